//! Where the library finds Python objects: it keeps a number, which means nothing once the object is gone.

use crate::locked::Locked;
use pyo3::ffi;
use std::ffi::c_void;

struct Slot {
    generation: u32,
    object: *mut ffi::PyObject,
}

struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

static SLOTS: Locked<Slots> = Locked::new(Slots { slots: Vec::new(), free: Vec::new() });

/// A number for this object, which has to be given back before the object goes.
#[inline]
pub fn add(object: *mut ffi::PyObject) -> u64 {
    let slots = SLOTS.get();
    let index = slots.free.pop().unwrap_or_else(|| {
        slots.slots.push(Slot { generation: 1, object });
        (slots.slots.len() - 1) as u32
    });
    let slot = &mut slots.slots[index as usize];
    slot.object = object;
    u64::from(slot.generation) << 32 | u64::from(index)
}

/// Gives a number back.
#[inline]
pub fn remove(number: u64) {
    let slots = SLOTS.get();
    let index = number as u32;
    let slot = &mut slots.slots[index as usize];
    slot.object = std::ptr::null_mut();
    slot.generation = slot.generation.wrapping_add(1).max(1);
    slots.free.push(index);
}

/// The object with this number; null: it is gone.
#[inline]
pub fn find(word: *mut c_void) -> *mut ffi::PyObject {
    let number = word as u64;
    match SLOTS.get().slots.get(number as u32 as usize) {
        Some(slot) if u64::from(slot.generation) == number >> 32 => slot.object,
        _ => std::ptr::null_mut(),
    }
}
