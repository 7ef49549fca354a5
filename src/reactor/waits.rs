//! What the host does around the reactor's waits: lets go of an interpreter's lock, and takes it again.

use super::{Reactor, ReactorItem};
use crate::handles::{CallFn, Item, Owned, Word};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};

#[derive(Clone, Copy)]
struct Calls {
    before: CallFn,
    after: CallFn,
    data: Word,
}

/// See the module.
#[derive(Default)]
pub struct Waits {
    calls: Cell<Option<Calls>>,
    owned: RefCell<Owned>,
    /// Between the two calls, and inside of them.
    waiting: Cell<bool>,
}

impl Waits {
    /// Whether the host wants to be told.
    #[inline(always)]
    pub(super) fn are_told(&self) -> bool {
        self.calls.get().is_some()
    }

    /// As it was at first.
    pub(super) fn clear(&self) {
        self.calls.set(None);
        drop(self.owned.take());
    }
}

/// Has `before` and `after` called around each wait; without the two, nobody.
pub fn set_calls(reactor: ReactorItem, calls: Option<(CallFn, CallFn)>, data: Owned) -> Result {
    if reactor.waits.waiting.get() {
        return Err(Status::ERR_BUSY.because("the reactor is waiting, and its wait callbacks are in use"));
    }
    let word = data.word();
    reactor.waits.calls.set(calls.map(|(before, after)| Calls { before, after, data: word }));
    let (kept, unused) = if calls.is_some() { (data, Owned::default()) } else { (Owned::default(), data) };
    let old = reactor.waits.owned.replace(kept);
    let _out = reactor.call_out();
    drop((old, unused));
    Ok(())
}

/// While it lives, the thread may be blocked.
pub struct Wait(ReactorItem, Option<Calls>);

impl Item<Reactor> {
    /// To be held while the thread may be blocked, with nothing borrowed when it begins and when it ends.
    pub fn wait(self) -> Wait {
        // A callback that waits itself, as by ending a scope with jobs, does so between no two others.
        let calls = self.waits.calls.get().filter(|_| !self.waits.waiting.get());
        if let Some(Calls { before, data, .. }) = calls {
            self.waits.waiting.set(true);
            before(data);
        }
        Wait(self, calls)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(Calls { after, data, .. }) = self.1 {
            after(data);
            self.0.waits.waiting.set(false);
        }
    }
}
