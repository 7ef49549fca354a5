//! Public structs: `struct_size` decides what either side knows of.

use super::convert::{self, invalid};
use super::types::lariat_free_fn;
use crate::handles::{Owned, Word};
use crate::status::Result;
use std::ffi::c_void;
use std::ptr::{self, NonNull};

/// A struct of the public header.
///
/// # Safety
/// It is `repr(C)`, begins with `struct_size: u32`, and any value that C can give its fields is a value of theirs.
pub unsafe trait Versioned: Copy {
    /// Where its fields begin, in order.
    const FIELDS: &'static [usize];

    /// Its defaults, with this size.
    fn initial(struct_size: u32) -> Self;
}

/// Where the fields of a struct begin.
macro_rules! fields {
    ($type:ty: $($field:ident)*) => { &[$(std::mem::offset_of!($type, $field)),*] };
}
pub(super) use fields;

/// Every version has at least its size and one word more.
const SMALLEST: usize = 8;
/// No version comes near this: a larger size was never set.
const LARGEST: usize = 4096;

fn check_size(name: &str, size: u32) -> Result<usize> {
    match size as usize {
        size @ SMALLEST..=LARGEST => Ok(size),
        size => Err(invalid(format_args!("{name}: a struct_size of {size}; was its _init function called?"))),
    }
}

fn given<T>(name: &str, pointer: *const T) -> Result<NonNull<T>> {
    NonNull::new(pointer.cast_mut()).ok_or_else(|| invalid(format_args!("{name} is NULL")))
}

/// How many bytes of the struct a header of this size knows: only whole fields.
fn known<T: Versioned>(size: usize) -> usize {
    if size >= size_of::<T>() {
        return size_of::<T>();
    }
    T::FIELDS.iter().copied().filter(|start| *start <= size).max().unwrap_or(0)
}

/// Copies the bytes that both sides know.
fn copy<T: Versioned>(from: *const T, to: *mut T, size: usize) {
    // SAFETY: both hold at least the known part of a T: one is ours and whole, the other C's and `size` bytes long.
    unsafe { ptr::copy_nonoverlapping(from.cast::<u8>(), to.cast::<u8>(), known::<T>(size)) };
}

/// Fills a struct of `size` bytes with the defaults; what only its header knows becomes zero.
pub fn init<T: Versioned>(name: &str, pointer: *mut T, size: u32) -> Result {
    let pointer = given(name, pointer)?.as_ptr();
    let bytes = check_size(name, size)?;
    // SAFETY: C vouches that the struct has as many bytes as it says.
    unsafe { ptr::write_bytes(pointer.cast::<u8>(), 0, bytes) };
    copy(&T::initial(size), pointer, bytes);
    Ok(())
}

/// Reads a struct; fields that its header does not know have their defaults.
pub fn read<T: Versioned>(name: &str, pointer: *const T) -> Result<T> {
    let pointer = given(name, pointer)?.as_ptr();
    // SAFETY: every version of a struct begins with its size.
    let size = unsafe { pointer.cast::<u32>().read() };
    let mut read = T::initial(size);
    copy(pointer, &mut read, check_size(name, size)?);
    Ok(read)
}

/// The same where it is, if its header knows all that is known here.
#[inline]
pub fn with<T: Versioned, R>(name: &str, pointer: *const T, call: impl FnOnce(&T) -> Result<R>) -> Result<R> {
    let given = given(name, pointer)?;
    // SAFETY: every version of a struct begins with its size.
    if unsafe { given.cast::<u32>().read() } as usize == size_of::<T>() {
        // SAFETY: C vouches that the struct has as many bytes as it says, and that they stay as they are for the call.
        return call(unsafe { given.as_ref() });
    }
    let read = read(name, pointer)?;
    check_tail(name, pointer)?;
    call(&read)
}

/// Refuses a struct that [`read`] has accepted if it sets something that only its header knows.
pub fn check_tail<T: Versioned>(name: &str, pointer: *const T) -> Result {
    // SAFETY: every version of a struct begins with its size.
    let size = unsafe { pointer.cast::<u32>().read() } as usize;
    for byte in size_of::<T>()..size {
        // SAFETY: below the size that the struct has: C vouches for it.
        if unsafe { pointer.cast::<u8>().add(byte).read() } != 0 {
            return Err(invalid(format_args!("{name}: byte {byte} is set, which this version does not know")));
        }
    }
    Ok(())
}

/// A protocol, and self, which it may own: freed also where the protocol is refused. `ends`: its free_self and reserved.
pub fn take_protocol<T: Versioned>(
    protocol: *const T,
    this: *mut c_void,
    ends: impl Fn(&T) -> (lariat_free_fn, u32),
) -> (Result<T>, Owned) {
    let read = read("protocol", protocol);
    let free = read.as_ref().ok().and_then(|read| convert::free_fn(ends(read).0));
    let checked = read.and_then(|read| {
        check_tail("protocol", protocol)?;
        if ends(&read).1 == 0 { Ok(read) } else { Err(invalid("protocol: reserved is not 0")) }
    });
    (checked, Owned::new(Word::new(this), free))
}

/// The structs of an array, each as large as the first says that it is.
pub fn each<T: Versioned>(name: &str, array: *const T, count: usize) -> Result<Vec<*const T>> {
    let mut all = Vec::new();
    while all.len() < count {
        let first = given(name, array)?;
        // SAFETY: every version of a struct begins with its size.
        let size = unsafe { first.cast::<u32>().read() };
        let stride = check_size(name, size)?;
        if stride % align_of::<T>() != 0 || count > isize::MAX as usize / stride {
            return Err(invalid(format_args!("{name}: {count} with a struct_size of {size}")));
        }
        let one = array.wrapping_byte_add(all.len() * stride);
        // SAFETY: the same, of another one of so many as C vouches for; where they begin is aligned, as was checked.
        if unsafe { one.cast::<u32>().read() } != size {
            return Err(invalid(format_args!("{name}[{}] has another struct_size than the first", all.len())));
        }
        all.try_reserve(1).map_err(|_| crate::status::Status::ERR_NO_MEMORY)?;
        all.push(one);
    }
    Ok(all)
}

/// A struct that the library fills in.
pub struct Filled<T> {
    place: NonNull<T>,
    size: u32,
}

/// A struct to be filled in, once its size is checked.
pub fn filled<T: Versioned>(name: &str, pointer: *mut T) -> Result<Filled<T>> {
    let place = given(name, pointer)?;
    // SAFETY: every version of a struct begins with its size.
    let size = unsafe { place.cast::<u32>().read() };
    check_size(name, size)?;
    Ok(Filled { place, size })
}

impl<T: Versioned> Filled<T> {
    /// Fills in what the struct has room for; `make` is given the size to set.
    pub fn write(self, make: impl FnOnce(u32) -> T) {
        copy(&make(self.size), self.place.as_ptr(), self.size as usize);
    }
}
