//! Delayed calls: Twisted's `callLater`.

use super::scopes;
use super::{Reactor, ReactorItem};
use crate::handles::{Body, CallFn, FreeFn, Item, Kind, Owned, Word};
use crate::status::{Result, Status};
use std::cell::Cell;

/// The longest delay: 1e9 seconds.
pub const LONGEST: u64 = 1_000_000_000 * SECOND;
/// A second in nanoseconds.
pub const SECOND: u64 = 1_000_000_000;

/// Set in `scope` while the deadline is a delay that counts from the next reading of the clock.
const STAGED: u32 = 1 << 31;
/// Set while the call is being made, and when it was cancelled.
const CALLING: u32 = 1 << 30;
const CANCELLED: u32 = 1 << 29;
const SCOPE: u32 = CANCELLED - 1;

/// A call to be made. 48 bytes with its slot's header.
#[derive(Default)]
pub struct DelayedCall {
    deadline: Cell<u64>,
    /// None: an event, with the data as its tag.
    call: Cell<Option<CallFn>>,
    data: Cell<Word>,
    free: Cell<Option<FreeFn>>,
    order: Cell<u32>,
    scope: Cell<u32>,
}

const _: () = assert!(size_of::<DelayedCall>() == 40);

impl Body for DelayedCall {
    const KIND: Kind = Kind::DelayedCall;
    const SLOTS: u32 = 1024;
    type Root = Reactor;

    fn end(item: Item<Self>) {
        if item.scope.get() & (CALLING | CANCELLED) == 0 {
            drop_call(item);
        }
    }
}

impl DelayedCall {
    #[inline]
    pub(super) fn deadline(&self) -> u64 {
        self.deadline.get()
    }

    #[inline]
    pub(super) fn set_deadline(&self, deadline: u64) {
        self.deadline.set(deadline);
        self.scope.set(self.scope.get() & !STAGED);
    }

    #[inline]
    pub(super) fn is_staged(&self) -> bool {
        self.scope.get() & STAGED != 0
    }

    #[inline]
    pub(super) fn staged_delay(&self) -> u64 {
        self.deadline.get()
    }

    #[inline]
    pub(super) fn set_staged(&self, delay: u64) {
        self.deadline.set(delay);
        self.scope.set(self.scope.get() | STAGED);
    }

    #[inline]
    pub(super) fn order(&self) -> u32 {
        self.order.get()
    }

    #[inline]
    pub(super) fn set_order(&self, order: u32) {
        self.order.set(order);
    }
}

/// Calls `call(data)` after `delay` nanoseconds. None for `call`: an event with `data` as its tag.
#[inline]
pub fn call_later(reactor: ReactorItem, delay: u64, call: Option<CallFn>, data: Owned) -> Result<Item<DelayedCall>> {
    let timer = reactor.pools.alloc::<DelayedCall>()?;
    let scope = reactor.scope.get();
    timer.scope.set(scope);
    let filed = if reactor.is_turning() {
        reactor.timers.borrow_mut().stage(timer, delay)
    } else {
        let now = reactor.read_clock();
        reactor.timers.borrow_mut().add(timer, now.saturating_add(delay))
    };
    filed.and_then(|()| join(reactor, scope, timer)).inspect_err(|_| {
        reactor.timers.borrow_mut().take_out(timer);
        reactor.pools.free(timer);
    })?;
    timer.call.set(call);
    let (word, free) = data.into_parts();
    timer.data.set(word);
    timer.free.set(free);
    reactor.work_added();
    Ok(timer)
}

#[inline(always)]
fn join(reactor: ReactorItem, scope: u32, timer: Item<DelayedCall>) -> Result {
    if scope == 0 { Ok(()) } else { scopes::join(reactor, scope, timer.word()) }
}

/// Calls `call(data)` at `deadline`, as a timer of the library's own that belongs to no scope.
pub fn call_at(reactor: ReactorItem, deadline: u64, call: CallFn, data: Word) -> Result<Item<DelayedCall>> {
    let timer = reactor.pools.alloc::<DelayedCall>()?;
    timer.scope.set(0);
    timer.call.set(Some(call));
    timer.data.set(data);
    timer.free.set(None);
    let filed = reactor.timers.borrow_mut().add(timer, deadline);
    filed.inspect_err(|_| reactor.pools.free(timer))?;
    reactor.work_added();
    Ok(timer)
}

fn waiting(timer: Item<DelayedCall>) -> Result {
    match timer.scope.get() & (CALLING | CANCELLED) {
        0 => Ok(()),
        CALLING => Err(Status::ERR_ALREADY_CALLED),
        _ => Err(Status::ERR_ALREADY_CANCELLED),
    }
}

/// Takes a waiting call back; what it owns is freed.
#[inline]
pub fn cancel(timer: Item<DelayedCall>) -> Result {
    waiting(timer)?;
    drop_call(timer);
    Ok(())
}

#[inline]
fn drop_call(timer: Item<DelayedCall>) {
    let reactor = timer.root();
    reactor.timers.borrow_mut().take_out(timer);
    if let Some(free) = timer.free.get() {
        timer.scope.set(timer.scope.get() & SCOPE | CANCELLED);
        let _out = reactor.call_out();
        reactor.in_scope(timer.scope.get() & SCOPE, || free(timer.data.get()));
    }
    timer.scope.set(0);
    reactor.pools.free(timer);
}

/// Starts the delay anew, from now.
#[inline]
pub fn reset(timer: Item<DelayedCall>, delay: u64) -> Result {
    waiting(timer)?;
    let reactor = timer.root();
    if reactor.is_turning() {
        return reactor.timers.borrow_mut().restage(timer, delay);
    }
    let now = reactor.read_clock();
    reactor.timers.borrow_mut().refile(timer, now.saturating_add(delay))?;
    reactor.work_added();
    Ok(())
}

/// Adds to the deadline.
pub fn delay(timer: Item<DelayedCall>, delay: u64) -> Result {
    waiting(timer)?;
    let reactor = timer.root();
    let mut wheel = reactor.timers.borrow_mut();
    if timer.is_staged() {
        return wheel.restage(timer, timer.staged_delay().saturating_add(delay));
    }
    let deadline = timer.deadline().saturating_add(delay);
    wheel.refile(timer, deadline)
}

/// Whether it still waits.
pub fn is_active(timer: Item<DelayedCall>) -> bool {
    waiting(timer).is_ok()
}

/// Its deadline in nanoseconds of the reactor's clock.
pub fn deadline(timer: Item<DelayedCall>) -> u64 {
    if timer.is_staged() {
        let reactor = timer.root();
        let now = reactor.read_clock();
        reactor.timers.borrow_mut().stamp_one(timer, now);
    }
    timer.deadline()
}

/// Makes the call.
pub(super) fn run(reactor: ReactorItem, timer: Item<DelayedCall>) {
    let (call, data, free) = (timer.call.get(), timer.data.get(), timer.free.get());
    let scope = timer.scope.get() & SCOPE;
    timer.scope.set(scope | CALLING);
    let made = || {
        match call {
            Some(call) => call(data),
            None => super::events::push_tag(reactor, super::events::DELAYED_CALL, data, timer.word()),
        }
        if let Some(free) = free {
            free(data);
        }
    };
    if scope == 0 {
        made()
    } else {
        reactor.in_scope(scope, made)
    }
    timer.scope.set(0);
    reactor.pools.free(timer);
}
