//! Slots: typed, made once, reused for ever. A reference into one is valid for the life of the process; whether it
//! still is the same thing is told by the generation.

use super::directory::{self, Access, Entry, SLOT_BITS, base_of, claim, disown, entry_of, own, parts};
use super::foreign::Word;
use super::{KINDS, Kind};
use crate::status::{Result, Status};
use std::alloc::{Layout, alloc_zeroed};
use std::cell::{Cell, RefCell, UnsafeCell};
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// What a slot holds: made once by `default`, then cleared and used again, all through cells.
pub trait Body: Default + 'static {
    /// The kind of its handles.
    const KIND: Kind;
    /// Slots a segment.
    const SLOTS: u32 = 64;
    /// The reactor's type: the root of every segment.
    type Root: Body;
    /// The part that is kept apart, so that what the body holds lies close together; `()` for most.
    type Beside: Default + 'static;
    /// Ends the thing because its scope or its reactor ends.
    fn end(item: Item<Self>);
}

/// A free slot with this generation is never used again: the next would wrap.
const RETIRED: u32 = u32::MAX - 1;

/// Changed by the owner's thread alone. Atomic, because `find` reads it before `access` makes sure that the reactor was
/// not adopted in between: what it then read is not used, but it was read while the new owner might have written.
struct Generation(AtomicU32);

impl Generation {
    #[inline(always)]
    fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn set(&self, generation: u32) {
        self.0.store(generation, Ordering::Relaxed);
    }
}

/// One slot. An odd generation is alive, an even one free; zero was never used.
#[repr(C)]
struct Slot<T> {
    generation: Generation,
    /// The next free slot while free; the body's to use while alive.
    link: Cell<u32>,
    body: UnsafeCell<MaybeUninit<T>>,
}

/// A slot in use, as it was when it was looked up: two words, so that it travels in registers.
pub struct Item<T: 'static> {
    slot: &'static Slot<T>,
    word: Word,
}

impl<T> Clone for Item<T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Item<T> {}

impl<T> PartialEq for Item<T> {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        self.word == other.word
    }
}

impl<T> Deref for Item<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: an item is made only of a slot that was alive, whose body was therefore written; bodies are never
        // dropped or moved, and change through cells alone on the thread that owns the segment.
        unsafe { (*self.slot.body.get()).assume_init_ref() }
    }
}

impl<T: Body> Item<T> {
    /// Its handle.
    #[inline(always)]
    pub fn word(self) -> Word {
        self.word
    }

    /// Its slot number, for links between things of one reactor.
    #[inline(always)]
    pub fn index(self) -> u32 {
        directory::index_of(self.word)
    }

    #[inline(always)]
    fn generation(self) -> u32 {
        directory::generation_of(self.word)
    }

    /// The slot with this number, as it is now.
    #[inline(always)]
    fn now_at(index: u32) -> Item<T> {
        let slot = slot_at::<T>(index);
        Item { slot, word: directory::token(index, slot.generation.get()) }
    }

    /// Whether it is still what it was.
    #[inline(always)]
    pub fn is_alive(self) -> bool {
        self.slot.generation.get() == self.generation()
    }

    /// The part that is kept apart.
    #[inline(always)]
    pub fn beside(self) -> &'static T::Beside {
        let place = beside_at::<T>(self.index());
        // SAFETY: it was written together with the body, and like that is never dropped or moved.
        unsafe { (*place.get()).assume_init_ref() }
    }

    /// A word beside the body, for the body's use.
    #[inline(always)]
    pub fn link(self) -> &'static Cell<u32> {
        &self.slot.link
    }

    /// Its reactor.
    #[inline(always)]
    pub fn root(self) -> Item<T::Root> {
        let entry = entry_of(self.index());
        let pointer = entry.reactor.load(Ordering::Relaxed).cast::<Slot<T::Root>>();
        // SAFETY: `own` stored the slot of the reactor that has the segment, whose type is T::Root since only its
        // `Pools` hands out slots of T; reactors' slots live for ever.
        let slot = unsafe { &*pointer };
        Item { slot, word: entry.reactor_token() }
    }

    /// What its reactor's slot holds: all that is needed where no handle is.
    #[inline(always)]
    pub fn root_body(self) -> &'static T::Root {
        let pointer = entry_of(self.index()).reactor.load(Ordering::Relaxed).cast::<Slot<T::Root>>();
        // SAFETY: as in `root`; a root's body was written when its slot was first used, and bodies are never moved.
        unsafe { (*(*pointer).body.get()).assume_init_ref() }
    }

    /// The slot with this number, as it is now; for links that are cut before the slot is freed.
    #[inline(always)]
    pub fn at(index: u32) -> Item<T> {
        let item = Self::now_at(index);
        debug_assert!(item.generation() & 1 == 1, "a link to a free slot");
        item
    }

    /// The slot with this number, if it is in use.
    #[inline(always)]
    pub fn peek(index: u32) -> Option<Item<T>> {
        let item = Self::now_at(index);
        (item.generation() & 1 == 1).then_some(item)
    }

    /// What a handle of this kind and this reactor names, if it is alive.
    #[inline(always)]
    pub fn of_word(word: Word) -> Option<Item<T>> {
        let item = Self::now_at(directory::index_of(word));
        (item.word == word).then_some(item)
    }

    /// Asks the processor to fetch the slot with this number.
    #[inline(always)]
    pub fn prefetch(index: u32) {
        crate::platform::prefetch(std::ptr::from_ref(slot_at::<T>(index)));
    }

    /// The same for what is beside it.
    #[inline(always)]
    pub fn prefetch_beside(index: u32) {
        crate::platform::prefetch(beside_at::<T>(index));
    }
}

/// Where in a segment the parts begin that are kept apart: behind all slots.
const fn beside_offset<T: Body>() -> usize {
    (size_of::<Slot<T>>() * T::SLOTS as usize).next_multiple_of(align_of::<T::Beside>())
}

#[inline(always)]
fn number_of(index: u32) -> usize {
    index as usize & ((1 << SLOT_BITS) - 1)
}

#[inline(always)]
fn beside_at<T: Body>(index: u32) -> &'static UnsafeCell<MaybeUninit<T::Beside>> {
    let base = base_of(index);
    // SAFETY: as in `slot_in`; behind the slots a segment has as many of these, which the memory is large enough for.
    unsafe { &*base.add(beside_offset::<T>()).cast::<UnsafeCell<MaybeUninit<T::Beside>>>().add(number_of(index)) }
}

#[inline(always)]
fn slot_at<T: Body>(index: u32) -> &'static Slot<T> {
    slot_in(base_of(index), index)
}

#[inline(always)]
fn slot_in<T: Body>(base: *mut u8, index: u32) -> &'static Slot<T> {
    debug_assert!(!base.is_null());
    // SAFETY: callers have checked the kind, or hold an index that was given out for T, so the segment is an array of
    // T::SLOTS slots of T; an index was given out only below that, and random ones are checked by `find`.
    unsafe { &*base.cast::<Slot<T>>().add(number_of(index)) }
}

/// Makes a slot that was never used one that can be.
fn write_default<T: Body>(index: u32) {
    let slot = slot_at::<T>(index);
    debug_assert!(slot.generation.get() == 0);
    // SAFETY: a generation of zero means never used, so nobody has an item of the slot or of what is beside it.
    unsafe {
        (*slot.body.get()).write(T::default());
        (*beside_at::<T>(index).get()).write(T::Beside::default());
    }
}

#[inline(always)]
fn find<T: Body>(word: Word) -> Option<(Item<T>, &'static Entry)> {
    let (index, generation) = parts(word)?;
    let entry = entry_of(index);
    if !entry.is_mine(T::KIND) || number_of(index) >= T::SLOTS as usize {
        return None;
    }
    let slot = slot_in::<T>(entry.base.load(Ordering::Relaxed), index);
    (slot.generation.get() == generation && generation & 1 == 1).then_some((Item { slot, word }, entry))
}

/// After a look-up that failed: the word again if it is worth another try, else why.
#[cold]
#[inline(never)]
fn to_look_again<T: Body>(word: Word) -> Result<Word> {
    match directory::refusal(word, T::KIND) {
        // Another thread tried to take the reactor over when it was looked up, and does no more, or again.
        Status::ERR_STALE_HANDLE if is_alive_or_moving::<T>(word) => Ok(word),
        why => Err(why),
    }
}

/// Whether a handle of this thread names what is alive, also while another thread tries to take it over.
fn is_alive_or_moving<T: Body>(word: Word) -> bool {
    parts(word).is_some_and(|(index, generation)| {
        let entry = entry_of(index);
        entry.is_mine_or_moving(T::KIND)
            && number_of(index) < T::SLOTS as usize
            && slot_in::<T>(entry.base.load(Ordering::Relaxed), index).generation.get() == generation
            && generation & 1 == 1
    })
}

/// The thing that a handle names, on its own thread.
#[inline(always)]
pub fn get<T: Body>(mut word: Word) -> Result<Item<T>> {
    loop {
        match find(word) {
            Some((item, _)) => return Ok(item),
            None => word = to_look_again::<T>(word)?,
        }
    }
}

/// The same, at the border of the library: the reactor cannot be adopted while the access lives. None: ask `enter`.
#[inline(always)]
pub fn enter_quickly<T: Body>(word: Word) -> Option<(Item<T>, Access)> {
    let (item, entry) = find(word)?;
    entry.access().map(|access| (item, access))
}

/// The same, with the reason why not.
#[inline(always)]
pub fn enter<T: Body>(mut word: Word) -> Result<(Item<T>, Access)> {
    loop {
        if let Some(entered) = enter_quickly(word) {
            return Ok(entered);
        }
        word = to_look_again::<T>(word)?;
    }
}

/// What a reactor has of one kind.
#[derive(Default)]
struct Shelf {
    /// The first free slot; 0 none.
    free: Cell<u32>,
    /// The next slot of the newest segment that was never used, and where the segment ends.
    fresh: Cell<u32>,
    fresh_end: Cell<u32>,
    alive: Cell<u32>,
    /// At most this many alive; 0 no limit.
    limit: Cell<u32>,
    /// No new ones any more.
    closed: Cell<bool>,
    /// Slots a segment.
    slots: Cell<u32>,
    segments: RefCell<Vec<u32>>,
    /// `Body::end` of the slot with this number, if it is of this generation.
    end: Cell<Option<fn(u32, u32)>>,
    /// The generation of the slot with this number.
    generation: Cell<Option<fn(u32) -> u32>>,
    /// Makes stale what is still alive in the segment with this number.
    retire: Cell<Option<fn(u32)>>,
}

/// The slots of one reactor, of every kind.
pub struct Pools {
    shelves: [Shelf; KINDS],
    root: Cell<u32>,
}

impl Default for Pools {
    fn default() -> Self {
        // Arrays have a default of their own up to 32 elements.
        Self { shelves: std::array::from_fn(|_| Shelf::default()), root: Cell::default() }
    }
}

impl Pools {
    /// A slot for a new thing. Its body is as the last thing left it, or default.
    #[inline(always)]
    pub fn alloc<T: Body>(&self) -> Result<Item<T>> {
        match self.alloc_quickly() {
            Some(item) => Ok(item),
            None => self.alloc_slow::<T>(&self.shelves[T::KIND as usize]),
        }
    }

    /// The same if there is one on the free list and no limit.
    #[inline(always)]
    pub fn alloc_quickly<T: Body>(&self) -> Option<Item<T>> {
        let shelf = &self.shelves[T::KIND as usize];
        let index = shelf.free.get();
        (index != 0 && shelf.limit.get() == 0).then(|| Self::take::<T>(shelf, index))
    }

    #[inline(always)]
    fn take<T: Body>(shelf: &Shelf, index: u32) -> Item<T> {
        let slot = slot_at::<T>(index);
        shelf.free.set(slot.link.get());
        shelf.alive.set(shelf.alive.get() + 1);
        let generation = slot.generation.get() + 1;
        slot.generation.set(generation);
        Item { slot, word: directory::token(index, generation) }
    }

    #[cold]
    #[inline(never)]
    fn alloc_slow<T: Body>(&self, shelf: &Shelf) -> Result<Item<T>> {
        if shelf.closed.get() {
            return Err(Status::ERR_CLOSED);
        }
        let limit = shelf.limit.get();
        if limit != 0 && shelf.alive.get() >= limit {
            return Err(Status::ERR_LIMIT.because(format_args!("{limit} {:?} handles are alive, the limit", T::KIND)));
        }
        if shelf.free.get() == 0 {
            if shelf.fresh.get() == shelf.fresh_end.get() {
                self.add_segment::<T>(shelf)?;
            }
            if shelf.free.get() == 0 {
                Self::refill::<T>(shelf);
            }
        }
        Ok(Self::take::<T>(shelf, shelf.free.get()))
    }

    /// Puts some never used slots on the free list, in order: a few at a time, so that memory is touched when needed.
    fn refill<T: Body>(shelf: &Shelf) {
        let first = shelf.fresh.get();
        let end = shelf.fresh_end.get().min(first + 64);
        for index in (first..end).rev() {
            write_default::<T>(index);
            slot_at::<T>(index).link.set(shelf.free.get());
            shelf.free.set(index);
        }
        shelf.fresh.set(end);
    }

    fn add_segment<T: Body>(&self, shelf: &Shelf) -> Result {
        let mut segments = shelf.segments.borrow_mut();
        segments.try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
        let siblings = segments.len();
        let (number, new) = claim(T::KIND, || make_segment::<T>(siblings))?;
        segments.push(number);
        drop(segments);
        shelf.slots.set(T::SLOTS);
        shelf.end.set(Some(|index, generation| {
            if let Some(item) = Item::<T>::peek(index).filter(|item| item.generation() == generation) {
                T::end(item);
            }
        }));
        shelf.generation.set(Some(|index| slot_at::<T>(index).generation.get()));
        shelf.retire.set(Some(|number| {
            for index in (number << SLOT_BITS)..((number << SLOT_BITS) + T::SLOTS) {
                let generation = &slot_at::<T>(index).generation;
                generation.set(generation.get() + (generation.get() & 1));
            }
        }));
        let root = Item::<T::Root>::at(self.root.get());
        own(number, std::ptr::from_ref(root.slot).cast_mut().cast(), root.word());
        let first = number << SLOT_BITS;
        if new {
            shelf.fresh.set(first);
            shelf.fresh_end.set(first + T::SLOTS);
            return Ok(());
        }
        for index in (first..first + T::SLOTS).rev() {
            let slot = slot_at::<T>(index);
            if slot.generation.get() == 0 {
                write_default::<T>(index);
            }
            if slot.generation.get() < RETIRED {
                slot.link.set(shelf.free.get());
                shelf.free.set(index);
            }
        }
        Ok(())
    }

    /// The slot is free from here on; its handle is stale.
    #[inline(always)]
    pub fn free<T: Body>(&self, item: Item<T>) {
        debug_assert!(item.is_alive());
        let shelf = &self.shelves[T::KIND as usize];
        shelf.alive.set(shelf.alive.get() - 1);
        let generation = item.generation() + 1;
        item.slot.generation.set(generation);
        // A slot whose generation would wrap is never used again.
        if generation < RETIRED {
            item.slot.link.set(shelf.free.get());
            shelf.free.set(item.index());
        }
    }

    /// How many of the kind are alive.
    pub fn alive(&self, kind: Kind) -> u32 {
        self.shelves[kind as usize].alive.get()
    }

    /// At most this many of the kind from here on; 0 no limit.
    pub fn set_limit(&self, kind: Kind, limit: u32) {
        self.shelves[kind as usize].limit.set(limit);
    }

    /// No new things from here on, but for these kinds.
    pub fn close(&self, but: &[Kind]) {
        for (number, shelf) in self.shelves.iter().enumerate() {
            let closed = but.iter().all(|kind| *kind as usize != number);
            shelf.closed.set(closed);
            // Any limit makes `alloc` ask whether it is closed.
            if closed {
                shelf.limit.set(shelf.limit.get().max(1));
            }
        }
    }

    /// Ends all that is alive of the kind.
    pub fn end_all(&self, kind: Kind) {
        let shelf = &self.shelves[kind as usize];
        let (Some(end), Some(generation)) = (shelf.end.get(), shelf.generation.get()) else { return };
        let segments = shelf.segments.borrow().clone();
        for index in
            segments.iter().flat_map(|number| (number << SLOT_BITS)..((number << SLOT_BITS) + shelf.slots.get()))
        {
            if generation(index) & 1 == 1 {
                end(index, generation(index));
            }
        }
    }

    /// All that is alive of the kind.
    pub fn all<T: Body>(&self) -> Vec<Item<T>> {
        let segments = self.shelves[T::KIND as usize].segments.borrow();
        let slots = segments.iter().flat_map(|number| (number << SLOT_BITS)..((number << SLOT_BITS) + T::SLOTS));
        slots.filter_map(Item::<T>::peek).collect()
    }

    /// Ends the thing of this reactor that the handle names, whatever its kind; nothing if it is over.
    pub fn end(&self, word: Word) {
        let Some((index, generation)) = parts(word) else { return };
        let kind = directory::kind_of(index) as usize;
        if let Some(end) = self.shelves.get(kind).and_then(|shelf| shelf.end.get()) {
            end(index, generation);
        }
    }

    /// Whether the thing of this reactor that the handle names is alive, whatever its kind.
    pub fn is_alive(&self, word: Word) -> bool {
        let Some((index, generation)) = parts(word) else { return false };
        let shelf = self.shelves.get(directory::kind_of(index) as usize);
        shelf.and_then(|shelf| shelf.generation.get()).is_some_and(|of| of(index) == generation)
    }

    /// Everything left over is stale from here on, and the segments are free for other reactors.
    fn release(&self) {
        for shelf in &self.shelves {
            for number in shelf.segments.take() {
                if let Some(retire) = shelf.retire.get() {
                    retire(number);
                }
                disown(number);
            }
            shelf.free.set(0);
            shelf.fresh.set(0);
            shelf.fresh_end.set(0);
            shelf.alive.set(0);
            shelf.limit.set(0);
            shelf.closed.set(false);
        }
    }
}

/// Fresh memory that segments of kinds with many are cut from, and how much of it is taken.
static ARENA: Mutex<(AtomicPtr<u8>, usize)> = Mutex::new((AtomicPtr::new(std::ptr::null_mut()), 0));
const ARENA_SIZE: usize = 2 << 20;

/// From so many segments on, those of a reactor's kind will be filled soon after they are made.
const MANY: usize = 16;

/// The next `size` bytes of an arena; None where there are none. Huge pages would suit the look-ups, but a fresh one can
/// cost a virtual machine more than all that is done with it.
fn take_of_arena(size: usize) -> Option<*mut u8> {
    let size = size.next_multiple_of(64);
    let mut arena = ARENA.lock().ok().filter(|_| size <= ARENA_SIZE)?;
    let full = arena.0.get_mut().is_null() || arena.1 + size > ARENA_SIZE;
    if full {
        let memory = crate::platform::map_memory(ARENA_SIZE);
        if memory.is_null() {
            return None;
        }
        *arena = (AtomicPtr::new(memory), 0);
    }
    // SAFETY: the arena is ARENA_SIZE bytes, and this part of it is within and given out once.
    let part = unsafe { arena.0.get_mut().add(arena.1) };
    crate::platform::will_write(part, size);
    arena.1 += size;
    Some(part)
}

fn make_segment<T: Body>(siblings: usize) -> Option<*mut u8> {
    const { assert!(T::SLOTS <= 1 << SLOT_BITS && align_of::<Slot<T>>() <= 64 && align_of::<T::Beside>() <= 64) };
    let size = beside_offset::<T>() + size_of::<T::Beside>() * T::SLOTS as usize;
    if siblings >= MANY {
        if let Some(part) = take_of_arena(size) {
            return Some(part);
        }
    }
    let layout = Layout::from_size_align(size, 64).ok()?;
    // SAFETY: the layout is not empty: a slot has its generation. Zeroed slots were never used.
    let memory = unsafe { alloc_zeroed(layout) };
    (!memory.is_null()).then_some(memory)
}

/// A new root: a reactor or a simulation of this thread, alone in its segment, with its pools told.
pub fn root<T: Body<Root = T>>(pools: impl Fn(&T) -> &Pools) -> Result<Item<T>> {
    loop {
        let (number, _) = claim(T::KIND, || make_segment::<T>(0))?;
        let index = number << SLOT_BITS;
        let slot = slot_at::<T>(index);
        if slot.generation.get() == 0 {
            write_default::<T>(index);
        }
        if slot.generation.get() >= RETIRED {
            continue;
        }
        let generation = slot.generation.get() + 1;
        slot.generation.set(generation);
        let item = Item { slot, word: directory::token(index, generation) };
        pools(&item).root.set(index);
        own(number, std::ptr::from_ref(slot).cast_mut().cast(), item.word());
        return Ok(item);
    }
}

/// Moves a root to the calling thread, unless its own thread is inside a call on anything of it or `is_idle` says no:
/// that is asked when the old owner can make no new call.
pub fn adopt<T: Body<Root = T>>(word: Word, is_idle: impl FnOnce(&T) -> bool) -> Result {
    directory::check_any_thread(word, T::KIND)?;
    let (index, generation) = parts(word).ok_or(Status::ERR_INVALID_HANDLE)?;
    directory::adopt(word, || {
        let slot = slot_at::<T>(index);
        slot.generation.get() == generation && is_idle(&Item { slot, word })
    })
}

/// Frees a root and all that its pools hold: every handle of it is stale from here on.
pub fn release_root<T: Body<Root = T>>(item: Item<T>, pools: &Pools) {
    pools.release();
    item.slot.generation.set(item.generation() + 1);
    disown(item.index() >> SLOT_BITS);
}

/// Moves the generation of a free slot's last thing; see `lariat_testing_set_generation`.
#[cfg(feature = "testing")]
pub fn set_generation<T: Body>(freed: Item<T>, generation: u32) {
    freed.slot.generation.set((generation & !1).min(RETIRED - 2));
}
