//! A Deferred's slot: three cache lines that hold the result, four callbacks and the links to other Deferreds.

use super::combine::List;
use crate::handles::{Body, BothFn, CallbackFn, CancellerFn, FreeFn, Item, Kind, Owned, Word, check_memory};
use crate::reactor::{Reactor, scopes};
use crate::status::{Result, Status};
use std::cell::Cell;
use std::collections::VecDeque;

/// A Deferred, as functions pass it on.
pub type DeferredItem = Item<Deferred>;

/// It has fired.
pub(super) const CALLED: u32 = 1;
/// Its result is a failure.
pub(super) const FAILED: u32 = 1 << 1;
/// Its callbacks are running.
pub(super) const RUNNING: u32 = 1 << 2;
/// Its chain waits for another Deferred.
pub(super) const WAITING: u32 = 1 << 3;
pub(super) const PAUSED: u32 = 1 << 4;
/// The waiter's claim is over.
pub(super) const RELEASED: u32 = 1 << 5;
/// The waiter's claim was handed over.
pub(super) const HANDED: u32 = 1 << 6;
/// The worker's claim is over.
pub(super) const WORKER_GONE: u32 = 1 << 7;
/// The next fire is swallowed.
pub(super) const SWALLOW: u32 = 1 << 8;
pub(super) const CANCELLING: u32 = 1 << 9;
/// Its waiter is the target of a chain: it fires it rather than to resume it.
pub(super) const CHAINED: u32 = 1 << 10;
/// What it waits on fires it, rather than to resume it.
pub(super) const CHAIN_TARGET: u32 = 1 << 11;
/// Outcomes that a running callback has recorded.
pub(super) const OUT_RETURN: u32 = 1 << 12;
pub(super) const OUT_FAIL: u32 = 1 << 13;
pub(super) const OUT_REFAIL: u32 = 1 << 14;
pub(super) const OUT_WAIT: u32 = 1 << 15;
pub(super) const OUTCOME: u32 = OUT_RETURN | OUT_FAIL | OUT_REFAIL | OUT_WAIT;
/// It has an `Extra`.
pub(super) const HAS_EXTRA: u32 = 1 << 16;
/// It holds a lock or a semaphore.
pub(super) const GATED: u32 = 1 << 17;
/// It fires when others have.
pub(super) const IS_LIST: u32 = 1 << 18;
/// Seen by a search.
pub(super) const MARKED: u32 = 1 << 19;
/// A callback is running right now; `RUNNING` also covers the steps between two.
pub(super) const IN_CALLBACK: u32 = 1 << 20;
/// It has been unusable from the start of a forced end.
pub(super) const ENDING: u32 = 1 << 21;
const HEAD_SHIFT: u32 = 24;
const LENGTH_SHIFT: u32 = 26;
const HEAD: u32 = 3 << HEAD_SHIFT;
pub(super) const LENGTH: u32 = 7 << LENGTH_SHIFT;
const INLINE: u32 = 4;

/// What the chain does of the library's own.
pub(super) type InsideFn = fn(DeferredItem, Word, &mut super::chain::Agenda);

/// One level of the chain.
#[derive(Clone, Copy, Default)]
pub(super) enum Entry {
    #[default]
    None,
    /// A callback, an errback, or one of each.
    Pair {
        freed: bool,
        scope: u32,
        callback: Option<CallbackFn>,
        errback: Option<CallbackFn>,
        data: Word,
    },
    Both {
        freed: bool,
        scope: u32,
        both: BothFn,
        data: Word,
    },
    /// Frees the data of the entry before it.
    Free(FreeFn),
    Event {
        scope: u32,
        tag: u64,
    },
    /// Its timer; null once it has fired.
    Timeout {
        scope: u32,
        timer: Word,
    },
    /// The result goes to a list.
    Element {
        list: Word,
        index: u32,
    },
    Inside {
        inside: InsideFn,
        data: Word,
    },
}

const _: () = assert!(size_of::<Entry>() == 32 && size_of::<Deferred>() <= 176);

/// What few Deferreds need.
#[derive(Default)]
pub(super) struct Extra {
    /// Callbacks beyond four.
    pub(super) overflow: VecDeque<Entry>,
    /// Values replaced by later results: they live until the Deferred is reclaimed.
    pub(super) retained: Vec<Owned>,
    /// The canceller's user data.
    pub(super) canceller_data: Owned,
    pub(super) list: Option<List>,
    /// Values that timers will fire it with.
    pub(super) later: Vec<(Word, Owned)>,
    /// Who of the library is told the result.
    pub(super) tell: Option<Box<dyn FnOnce(super::chain::Told)>>,
}

/// See the module.
#[derive(Default)]
pub struct Deferred {
    pub(super) scope: Cell<u32>,
    pub(super) pauses: Cell<u32>,
    /// Slot numbers: whom its chain waits for, and who waits for it. 0 none.
    pub(super) waits_on: Cell<u32>,
    pub(super) waiter: Cell<u32>,
    /// The result: a value with its free function, or a failure. Before it has fired: the canceller's user data.
    pub(super) value: Cell<Word>,
    pub(super) free: Cell<Option<FreeFn>>,
    pub(super) canceller: Cell<Option<CancellerFn>>,
    extra: Cell<Option<Box<Extra>>>,
    entries: [Cell<Entry>; INLINE as usize],
}

impl Body for Deferred {
    const KIND: Kind = Kind::Deferred;
    const SLOTS: u32 = 1024;
    type Root = Reactor;
    type Beside = ();

    fn end(deferred: Item<Self>) {
        super::cancel::end(deferred);
    }
}

impl Item<Deferred> {
    #[inline(always)]
    pub(super) fn flags(self) -> u32 {
        self.link().get()
    }

    #[inline(always)]
    pub(super) fn has(self, flags: u32) -> bool {
        self.flags() & flags != 0
    }

    #[inline(always)]
    pub(super) fn set(self, flags: u32) {
        self.link().set(self.flags() | flags);
    }

    #[inline(always)]
    pub(super) fn clear(self, flags: u32) {
        self.link().set(self.flags() & !flags);
    }

    /// Reaches the rare part, if there is one. Not to be held while the host is called.
    #[inline]
    pub(super) fn with_extra<R>(self, read: impl FnOnce(&mut Extra) -> R) -> Option<R> {
        if !self.has(HAS_EXTRA) {
            return None;
        }
        let mut extra = self.extra.take()?;
        let result = read(&mut extra);
        self.extra.set(Some(extra));
        Some(result)
    }

    /// Reaches the rare part, made if need be.
    pub(super) fn with_new_extra<R>(self, read: impl FnOnce(&mut Extra) -> R) -> Result<R> {
        if !self.has(HAS_EXTRA) {
            check_memory(1024)?;
            self.extra.set(Some(Box::default()));
            self.set(HAS_EXTRA);
        }
        let mut extra = self.extra.take().unwrap_or_default();
        let result = read(&mut extra);
        self.extra.set(Some(extra));
        Ok(result)
    }

    pub(super) fn take_extra(self) -> Option<Box<Extra>> {
        self.clear(HAS_EXTRA);
        self.extra.take()
    }

    #[inline(always)]
    pub(super) fn has_entries(self) -> bool {
        self.flags() & LENGTH != 0 || self.overflows()
    }

    #[inline]
    fn overflows(self) -> bool {
        self.has(HAS_EXTRA) && self.with_extra(|extra| !extra.overflow.is_empty()).unwrap_or(false)
    }

    /// Adds a level to the chain.
    #[inline(always)]
    pub(super) fn push(self, entry: Entry) -> Result {
        let flags = self.flags();
        let length = (flags & LENGTH) >> LENGTH_SHIFT;
        if length == INLINE || (flags & HAS_EXTRA != 0 && self.overflows()) {
            return self.push_overflow(entry);
        }
        let place = ((flags & HEAD) >> HEAD_SHIFT) + length;
        self.entries[(place % INLINE) as usize].set(entry);
        self.link().set(flags + (1 << LENGTH_SHIFT));
        Ok(())
    }

    #[cold]
    fn push_overflow(self, entry: Entry) -> Result {
        self.with_new_extra(|extra| {
            extra.overflow.try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
            extra.overflow.push_back(entry);
            Ok(())
        })?
    }

    /// Adds a plain pair to a Deferred that has not fired, where nothing out of the ordinary is about: no scope, no
    /// overflow. Built in its place, it costs a few stores. None: it has to be done the long way.
    #[inline(always)]
    pub fn push_plain(self, callback: Option<CallbackFn>, errback: Option<CallbackFn>, data: Word) -> Option<()> {
        let flags = self.flags();
        let plain = flags & (CALLED | RELEASED | HAS_EXTRA) == 0 && flags & LENGTH != INLINE << LENGTH_SHIFT;
        if !plain || self.scope.get() | self.root_body().scope.get() != 0 {
            return None;
        }
        let place = ((flags & HEAD) >> HEAD_SHIFT) + ((flags & LENGTH) >> LENGTH_SHIFT);
        let entry = Entry::Pair { freed: false, scope: 0, callback, errback, data };
        self.entries[(place % INLINE) as usize].set(entry);
        self.link().set(flags + (1 << LENGTH_SHIFT));
        Some(())
    }

    /// Takes the next level off the chain, and sets these flags, if it is a callback that belongs to no scope and whose
    /// data nobody owns.
    #[inline(always)]
    pub(super) fn pop_plain(self, set: u32) -> Option<(CallbackFn, Word)> {
        let flags = self.flags();
        if flags & LENGTH == 0 || flags & PAUSED != 0 {
            return None;
        }
        let head = (flags & HEAD) >> HEAD_SHIFT;
        let Entry::Pair { freed: false, scope: 0, callback: Some(callback), data, .. } =
            self.entries[head as usize].get()
        else {
            return None;
        };
        let next = ((head + 1) % INLINE) << HEAD_SHIFT;
        self.link().set((flags - (1 << LENGTH_SHIFT)) & !HEAD | next | set);
        Some((callback, data))
    }

    /// Takes the next level off the chain.
    #[inline(always)]
    pub(super) fn pop(self) -> Option<Entry> {
        let flags = self.flags();
        if flags & LENGTH == 0 {
            return if flags & HAS_EXTRA == 0 { None } else { self.with_extra(|extra| extra.overflow.pop_front())? };
        }
        let head = (flags & HEAD) >> HEAD_SHIFT;
        let next = ((head + 1) % INLINE) << HEAD_SHIFT;
        self.link().set((flags - (1 << LENGTH_SHIFT)) & !HEAD | next);
        Some(self.entries[head as usize].get())
    }

    /// All levels, to be looked at or changed in place; those changed to `None` do nothing.
    pub(super) fn each_entry(self, mut visit: impl FnMut(&mut Entry)) {
        let flags = self.flags();
        let head = (flags & HEAD) >> HEAD_SHIFT;
        for place in head..head + ((flags & LENGTH) >> LENGTH_SHIFT) {
            let cell = &self.entries[(place % INLINE) as usize];
            let mut entry = cell.get();
            visit(&mut entry);
            cell.set(entry);
        }
        self.with_extra(|extra| extra.overflow.iter_mut().for_each(visit));
    }

    /// What is made now belongs to the scope that is entered: the callback that is being added, that is.
    #[inline(always)]
    pub(super) fn scope_for_entry(self) -> Result<u32> {
        let reactor = self.root();
        let scope = reactor.scope.get();
        if scope == 0 {
            return Ok(self.scope.get());
        }
        if scope != self.scope.get() {
            scopes::join(reactor, scope, self.word())?;
        }
        Ok(scope)
    }
}
