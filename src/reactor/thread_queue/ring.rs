//! The ring from one thread to one reactor: one end pushes, the other pops, and neither waits for the other.
//!
//! Entries are numbered from 0 for as long as the ring lives. They lie in segments: when one is full the next, twice the
//! size, is linked to it, and `end` says where. What is in a slot is made of atomic words, so no order of accesses
//! could tear one; that an entry is whole when it is read follows from `tail`, that it is read before its slot is used
//! again from `head`.

use super::sync::{AtomicBool, AtomicU64, Mutex, Ordering, fence_is_one_sided, lock};
use super::{Call, Item, Refused};
use crate::handles::{AtomicFn, AtomicWord, CallFn, FreeFn};
use std::collections::VecDeque;
use std::sync::Arc;

/// Entries of a ring's first segment and of its largest: powers of two. The largest still lies in a processor's own cache
/// and costs an allocator no system call. Tiny for loom, which tries every interleaving.
pub(super) const FIRST: usize = if cfg!(all(loom, test)) { 2 } else { 64 };
const LARGEST: usize = if cfg!(all(loom, test)) { 2 } else { 4096 };
/// No entry has this number.
const NEVER: u64 = u64::MAX;

/// Keeps a word that one thread writes off the cache lines of others; two lines, because they are fetched in pairs.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Padded<T>(pub T);

/// A call, or, where there is no function, the place of a message in the order.
#[derive(Default)]
struct Slot {
    call: AtomicFn<CallFn>,
    data: AtomicWord,
    free: AtomicFn<FreeFn>,
}

struct Segment {
    slots: Box<[Slot]>,
    /// The number of the entry that is the first in `next`.
    end: AtomicU64,
    next: Mutex<Option<Arc<Segment>>>,
}

impl Segment {
    fn new(entries: usize) -> Result<Arc<Self>, Refused> {
        let mut slots = Vec::new();
        slots.try_reserve_exact(entries).map_err(|_| Refused::NoMemory)?;
        slots.resize_with(entries, Slot::default);
        Ok(Arc::new(Self { slots: slots.into(), end: AtomicU64::new(NEVER), next: Mutex::new(None) }))
    }

    #[inline(always)]
    fn slot(&self, number: u64) -> &Slot {
        &self.slots[number as usize & (self.slots.len() - 1)]
    }
}

/// What the thread tells the reactor.
#[derive(Default)]
struct Tail {
    pushed: AtomicU64,
    /// No more will come.
    done: AtomicBool,
}

struct Ring<M> {
    tail: Padded<Tail>,
    /// What the reactor tells the thread: how many entries it popped.
    head: Padded<AtomicU64>,
    /// How many the reactor took over when it closed; under the lock of its list of new rings.
    sealed: AtomicU64,
    /// The messages that the slots without a function stand for.
    messages: Mutex<VecDeque<M>>,
    /// A largest segment that the reactor has emptied, for the thread to use again.
    spare: Mutex<Option<Arc<Segment>>>,
}

/// What can be pushed: a [`Call`], or a message in an `Option`, which is empty while the ring has it.
pub(super) trait Entry<M> {
    fn push(&mut self, to: &mut PushEnd<M>) -> Result<(), Refused>;
    /// Undoes the last push, which the reactor will never pop.
    fn take_back(&mut self, from: &mut PushEnd<M>);
}

impl<M> Entry<M> for Call {
    #[inline(always)]
    fn push(&mut self, to: &mut PushEnd<M>) -> Result<(), Refused> {
        to.make_room()?;
        let slot = to.segment.slot(to.tail);
        slot.call.store(Some(self.call));
        slot.data.store(self.data, Ordering::Relaxed);
        slot.free.store(self.free);
        to.publish();
        Ok(())
    }

    fn take_back(&mut self, _: &mut PushEnd<M>) {}
}

impl<M> Entry<M> for Option<M> {
    fn push(&mut self, to: &mut PushEnd<M>) -> Result<(), Refused> {
        to.make_room()?;
        let mut messages = lock(&to.ring.messages);
        messages.try_reserve(1).map_err(|_| Refused::NoMemory)?;
        messages.extend(self.take());
        drop(messages);
        to.segment.slot(to.tail).call.store(None);
        to.publish();
        Ok(())
    }

    fn take_back(&mut self, from: &mut PushEnd<M>) {
        *self = lock(&from.ring.messages).pop_back();
    }
}

/// The thread's end.
pub(super) struct PushEnd<M> {
    ring: Arc<Ring<M>>,
    segment: Arc<Segment>,
    tail: u64,
    /// The segment has room for the entries before this number, as far as is known here.
    room: u64,
    one_sided: bool,
}

impl<M> PushEnd<M> {
    #[inline(always)]
    fn make_room(&mut self) -> Result<(), Refused> {
        if self.tail < self.room { Ok(()) } else { self.find_room() }
    }

    /// Looks how far the reactor has come, and grows if that gained too little: the look costs a cache miss, which a
    /// ring that stays nearly full would pay for every entry.
    #[cold]
    fn find_room(&mut self) -> Result<(), Refused> {
        let entries = self.segment.slots.len();
        let popped = self.ring.head.0.load(Ordering::Acquire);
        self.room = self.room.max(popped + entries as u64);
        if self.room - self.tail >= (entries as u64 / 4).max(1) {
            return Ok(());
        }
        let spare = if entries == LARGEST { lock(&self.ring.spare).take() } else { None };
        let next = match spare {
            Some(spare) => spare,
            None => Segment::new((entries * 2).min(LARGEST))?,
        };
        self.room = self.tail + next.slots.len() as u64;
        *lock(&self.segment.next) = Some(Arc::clone(&next));
        self.segment.end.store(self.tail, Ordering::Release);
        self.segment = next;
        Ok(())
    }

    /// Gives the entry just written to the reactor, whose state the poster reads next.
    #[inline(always)]
    fn publish(&mut self) {
        self.tail += 1;
        let order = if self.one_sided { Ordering::Release } else { Ordering::SeqCst };
        self.ring.tail.0.pushed.store(self.tail, order);
    }

    /// Whether the reactor's fence stands for the poster's as well.
    #[inline(always)]
    pub(super) fn one_sided(&self) -> bool {
        self.one_sided
    }

    /// Whether the closed reactor took over the last push. For who holds the lock of its list of new rings.
    pub(super) fn was_accepted(&self) -> bool {
        self.tail <= self.ring.sealed.load(Ordering::Relaxed)
    }
}

impl<M> Drop for PushEnd<M> {
    fn drop(&mut self) {
        self.ring.tail.0.done.store(true, Ordering::Release);
    }
}

/// The reactor's end.
pub(super) struct PopEnd<M> {
    ring: Arc<Ring<M>>,
    segment: Arc<Segment>,
    head: u64,
    /// Pops need no look at anything shared up to here: the end of the segment or `limit`.
    stop: u64,
    /// Entries before this one belong to the present drain.
    limit: u64,
}

impl<M> PopEnd<M> {
    /// Takes what is there now into the present drain. False if nothing is left and nothing can come.
    pub(super) fn refresh(&mut self) -> bool {
        // Asked first: what the thread pushed before it was done must be seen.
        let done = self.ring.tail.0.done.load(Ordering::Acquire);
        self.limit = self.ring.tail.0.pushed.load(Ordering::SeqCst);
        // It covers an entry of the next segment only if `end` was stored before it.
        self.stop = self.limit.min(self.segment.end.load(Ordering::Relaxed));
        !done || self.waiting() > 0
    }

    /// As `refresh`, for the last time. For who holds the lock of the list of new rings.
    pub(super) fn seal(&mut self) {
        self.refresh();
        self.ring.sealed.store(self.limit, Ordering::Relaxed);
    }

    /// Whether there is more than the present drain has.
    pub(super) fn has_more(&self) -> bool {
        self.ring.tail.0.pushed.load(Ordering::SeqCst) != self.limit
    }

    /// How many entries of the present drain are left.
    pub(super) fn waiting(&self) -> u64 {
        self.limit - self.head
    }

    /// The next entry of the present drain.
    #[inline(always)]
    pub(super) fn pop(&mut self) -> Option<Item<M>> {
        if self.head == self.stop && !self.follow() {
            return None;
        }
        let slot = self.segment.slot(self.head);
        let item = match slot.call.load() {
            Some(call) => Item::Call(Call { call, data: slot.data.load(Ordering::Relaxed), free: slot.free.load() }),
            None => Item::Message(self.pop_message()),
        };
        self.head += 1;
        self.ring.head.0.store(self.head, Ordering::Release);
        Some(item)
    }

    /// Goes on to the next segment if the drain does.
    #[cold]
    fn follow(&mut self) -> bool {
        if self.head == self.limit {
            return false;
        }
        let next = lock(&self.segment.next).take();
        let emptied = std::mem::replace(&mut self.segment, next.expect("a segment has an end only when it has a next"));
        if emptied.slots.len() == LARGEST {
            emptied.end.store(NEVER, Ordering::Relaxed);
            *lock(&self.ring.spare) = Some(emptied);
        }
        self.stop = self.limit.min(self.segment.end.load(Ordering::Relaxed));
        true
    }

    fn pop_message(&self) -> M {
        // One at a time: a closing reactor must leave behind what it refuses, for the poster to take back.
        lock(&self.ring.messages).pop_front().expect("a message is stored before its place in the order")
    }
}

/// A ring with no entries and room for some.
pub(super) fn ring<M>(entries: usize) -> Result<(PushEnd<M>, PopEnd<M>), Refused> {
    let segment = Segment::new(entries)?;
    let ring = Arc::new(Ring {
        tail: Padded::default(),
        head: Padded::default(),
        sealed: AtomicU64::new(NEVER),
        messages: Mutex::new(VecDeque::new()),
        spare: Mutex::new(None),
    });
    let (to, room, one_sided) = (Arc::clone(&segment), entries as u64, fence_is_one_sided());
    let producer = PushEnd { ring: Arc::clone(&ring), segment: to, tail: 0, room, one_sided };
    Ok((producer, PopEnd { ring, segment, head: 0, stop: 0, limit: 0 }))
}
