//! Calls for the next turn: two arrays that swap.

use super::slab::Slab;
use super::{Reactor, ReactorItem, State, events};
use crate::handles::{CallFn, Owned, Word};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};

/// A call that owns its user data, belongs to a scope, or is an event (None) with the data as its tag.
pub struct Call {
    /// None: an event.
    pub call: Option<CallFn>,
    /// The user data, or the event's tag.
    pub data: Owned,
    /// The scope that it belongs to; 0 none.
    pub scope: u32,
}

/// The plain case is a function and a word; all else is kept aside.
#[derive(Clone, Copy)]
enum Entry {
    Plain(CallFn, Word),
    Aside(u32),
}

const _: () = assert!(size_of::<Entry>() == 16);

/// See the module.
#[derive(Default)]
pub struct Soon {
    posted: RefCell<Vec<Entry>>,
    /// This turn's, those before `next` made already.
    running: RefCell<Vec<Entry>>,
    next: Cell<usize>,
    aside: RefCell<Slab<Call>>,
}

impl Soon {
    /// How many wait; the places of those dropped with their scope do not count.
    pub fn len(&self) -> usize {
        let (posted, running, aside) = (self.posted.borrow(), self.running.borrow(), self.aside.borrow());
        let waits = |entry: &&Entry| match entry {
            Entry::Plain(..) => true,
            Entry::Aside(place) => aside.holds(*place),
        };
        posted.iter().chain(&running[self.next.get()..]).filter(waits).count()
    }

    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.posted.borrow().is_empty() && self.next.get() == self.running.borrow().len()
    }

    /// Whether this turn has calls left to make.
    #[inline]
    pub fn is_running(&self) -> bool {
        self.next.get() < self.running.borrow().len()
    }

    fn push(&self, entry: Entry) -> Result {
        let mut posted = self.posted.borrow_mut();
        if posted.len() == posted.capacity() {
            posted.try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
        }
        posted.push(entry);
        Ok(())
    }

    fn push_aside(&self, call: Call) -> Result {
        let mut aside = self.aside.borrow_mut();
        aside.reserve()?;
        self.push(Entry::Aside(aside.next()))?;
        aside.insert(call);
        Ok(())
    }

    /// What was posted is this turn's from here on.
    #[inline]
    pub fn begin(&self) {
        debug_assert_eq!(self.next.get(), self.running.borrow().len());
        if self.posted.borrow().is_empty() {
            return;
        }
        self.running.borrow_mut().clear();
        self.next.set(0);
        std::mem::swap(&mut *self.posted.borrow_mut(), &mut *self.running.borrow_mut());
    }

    /// Makes the turn's next call; false if there is none.
    #[inline]
    pub fn run_one(&self, reactor: ReactorItem) -> bool {
        let next = self.next.get();
        let Some(entry) = self.running.borrow().get(next).copied() else {
            return false;
        };
        self.next.set(next + 1);
        match entry {
            Entry::Plain(call, data) => call(data),
            Entry::Aside(place) => {
                let call = self.aside.borrow_mut().remove(place);
                if let Some(call) = call {
                    run(reactor, call);
                }
            }
        }
        true
    }

    /// Drops the calls of a scope; their places in the queue stay, empty.
    pub fn drop_scope(&self, scope: u32) {
        loop {
            let dropped = self.aside.borrow_mut().take_one(|call| call.scope == scope);
            if dropped.is_none() {
                return;
            }
        }
    }

    /// Drops them all, and the memory.
    pub fn clear(&self) {
        self.posted.take();
        self.running.take();
        self.next.set(0);
        let aside = self.aside.take();
        drop(aside);
    }
}

/// Makes a call of the aside kind.
pub fn run(reactor: ReactorItem, call: Call) {
    match call.call {
        Some(made) if call.scope == 0 => made(call.data.word()),
        Some(made) => reactor.in_scope(call.scope, || {
            made(call.data.word());
            drop(call.data);
        }),
        None => events::push_tag(reactor, events::CALL, call.data.word(), Word::NULL),
    }
}

/// Makes a call outside of scopes on the next turn.
#[inline(always)]
pub fn call_soon_quickly(reactor: ReactorItem, call: CallFn, data: Word) -> Option<()> {
    let mut posted = reactor.soon.posted.try_borrow_mut().ok()?;
    let waits_for_host = reactor.embedded.get() && !reactor.is_turning();
    if posted.len() == posted.capacity() || reactor.scope.get() != 0 || waits_for_host {
        return None;
    }
    reactor.check_open().ok()?;
    posted.push(Entry::Plain(call, data));
    Some(())
}

/// Makes the call on the next turn.
pub fn call_soon(reactor: ReactorItem, call: Option<CallFn>, data: Owned) -> Result {
    reactor.check_open()?;
    let scope = reactor.scope.get();
    match call {
        Some(call) if scope == 0 && data.free().is_none() => reactor.soon.push(Entry::Plain(call, data.word()))?,
        _ => reactor.soon.push_aside(Call { call, data, scope })?,
    }
    reactor.work_added();
    Ok(())
}

/// Makes the call when the reactor runs: at once if it does.
pub fn call_when_running(reactor: ReactorItem, call: Option<CallFn>, data: Owned) -> Result {
    reactor.check_open()?;
    let call = Call { call, data, scope: reactor.scope.get() };
    if matches!(reactor.state(), State::Running | State::Stopping) {
        let _out = reactor.call_out();
        run(reactor, call);
        return Ok(());
    }
    let mut waiting = reactor.when_running.borrow_mut();
    waiting.try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
    waiting.push(call);
    Ok(())
}

impl Reactor {
    /// Calls that wait for the next turn or for the reactor to run.
    pub fn soon_calls(&self) -> usize {
        self.soon.len() + self.when_running.borrow().len()
    }

    /// Drops the calls that wait for the reactor to run and belong to the scope.
    pub(super) fn drop_when_running(&self, scope: u32) {
        let dropped: Vec<Call> = {
            let mut waiting = self.when_running.borrow_mut();
            let (dropped, kept) = waiting.drain(..).partition(|call| call.scope == scope);
            *waiting = kept;
            dropped
        };
        drop(dropped);
    }
}
