//! Delayed calls: Twisted's `callLater`.

use super::scopes;
use super::wheel::Place;
use super::{Reactor, ReactorItem};
use crate::handles::{Body, CallFn, Item, Kind, Owned, Word};
use crate::status::{Result, Status};
use std::cell::Cell;

/// The longest delay: 1e9 seconds.
pub const LONGEST: u64 = 1_000_000_000 * SECOND;
/// A second in nanoseconds.
pub const SECOND: u64 = 1_000_000_000;

/// A call to be made: its slot's word says where it is (see `wheel::Place`), the rest lies beside. So a call that is
/// cancelled is not fetched from memory: eight bytes of it are.
#[derive(Default)]
pub struct DelayedCall;

/// See [`DelayedCall`]. 40 bytes with the slot; half a cache line, and so never in two.
#[derive(Default)]
#[repr(align(32))]
pub struct Call {
    /// While it is staged: the delay.
    pub(super) deadline: Cell<u64>,
    pub(super) order: Cell<u32>,
    /// Where the place is not plain: the scope, and whether the data is the number of what the reactor keeps as owned.
    scope: Cell<u32>,
    /// None: an event, with the data as its tag.
    call: Cell<Option<CallFn>>,
    data: Cell<Word>,
}

/// Set in `scope`.
const OWNED: u32 = 1 << 31;

const _: () = assert!(size_of::<Call>() == 32 && size_of::<DelayedCall>() == 0);

impl Call {
    fn scope(&self) -> u32 {
        self.scope.get() & !OWNED
    }

    /// The user data of a call that is not plain, no longer kept by the reactor.
    fn take_data(&self, reactor: &Reactor) -> Owned {
        if self.scope.get() & OWNED == 0 {
            return Owned::new(self.data.get(), None);
        }
        self.scope.set(self.scope());
        let kept = reactor.owned.borrow_mut().remove(self.data.get().addr() as u32);
        kept.unwrap_or_default()
    }
}

impl Body for DelayedCall {
    const KIND: Kind = Kind::DelayedCall;
    const SLOTS: u32 = 1024;
    type Root = Reactor;
    type Beside = Call;

    fn end(item: Item<Self>) {
        if Place::of(item).waits() {
            drop_call(item);
        }
    }
}

/// Calls `call(data)` after `delay` nanoseconds, where that is asked for inside of a turn and outside of scopes.
#[inline(always)]
pub fn call_later_quickly(reactor: ReactorItem, delay: u64, call: CallFn, data: Word) -> Option<Item<DelayedCall>> {
    if !reactor.is_turning() || reactor.scope.get() != 0 {
        return None;
    }
    let mut wheel = reactor.timers.try_borrow_mut().ok().filter(|wheel| wheel.can_stage())?;
    let timer = reactor.pools.alloc_quickly::<DelayedCall>()?;
    let beside = timer.beside();
    wheel.stage(timer, beside, Place::PLAIN, delay).ok()?;
    beside.call.set(Some(call));
    beside.data.set(data);
    Some(timer)
}

/// Calls `call(data)` after `delay` nanoseconds. None for `call`: an event with `data` as its tag.
pub fn call_later(reactor: ReactorItem, delay: u64, call: Option<CallFn>, data: Owned) -> Result<Item<DelayedCall>> {
    if data.free().is_some() {
        reactor.owned.borrow_mut().reserve()?;
    }
    let timer = reactor.pools.alloc::<DelayedCall>()?;
    let beside = timer.beside();
    let scope = reactor.scope.get();
    let place = if scope == 0 && data.free().is_none() { Place::PLAIN } else { Place::OWNING };
    let filed = if reactor.is_turning() {
        reactor.timers.borrow_mut().stage(timer, beside, place, delay)
    } else {
        let now = reactor.read_clock();
        reactor.timers.borrow_mut().add(timer, place, now.saturating_add(delay))
    };
    filed.and_then(|()| join(reactor, scope, timer)).inspect_err(|_| {
        reactor.timers.borrow_mut().take_out(timer);
        reactor.pools.free(timer);
    })?;
    beside.call.set(call);
    beside.data.set(data.word());
    beside.scope.set(scope);
    if data.free().is_some() {
        let number = reactor.owned.borrow_mut().insert(data);
        beside.data.set(Word::from_addr(number as usize));
        beside.scope.set(scope | OWNED);
    }
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
    let beside = timer.beside();
    beside.call.set(Some(call));
    beside.data.set(data);
    let filed = reactor.timers.borrow_mut().add(timer, Place::PLAIN, deadline);
    filed.inspect_err(|_| reactor.pools.free(timer))?;
    reactor.work_added();
    Ok(timer)
}

#[inline(always)]
fn check_waits(timer: Item<DelayedCall>) -> Result {
    let place = Place::of(timer);
    if place.waits() {
        return Ok(());
    }
    Err(if place.is_called() { Status::ERR_ALREADY_CALLED } else { Status::ERR_ALREADY_CANCELLED })
}

/// Takes a waiting call back that owns nothing.
#[inline(always)]
pub fn cancel_quickly(timer: Item<DelayedCall>) -> Option<()> {
    let (reactor, place) = (timer.root_body(), Place::of(timer));
    if !place.is_plain() {
        return None;
    }
    if place.is_in_bucket() {
        reactor.timers.try_borrow_mut().ok()?.take_out_quickly(place)?;
    }
    reactor.pools.free(timer);
    Some(())
}

/// Takes a waiting call back; what it owns is freed.
pub fn cancel(timer: Item<DelayedCall>) -> Result {
    check_waits(timer)?;
    drop_call(timer);
    Ok(())
}

fn drop_call(timer: Item<DelayedCall>) {
    let reactor = timer.root_body();
    let place = Place::of(timer);
    if place.is_in_bucket() {
        reactor.timers.borrow_mut().take_out(timer);
    }
    if !place.is_plain() {
        drop_owning(timer);
    }
    reactor.pools.free(timer);
}

/// Frees what the call owns, from within its scope.
#[cold]
#[inline(never)]
fn drop_owning(timer: Item<DelayedCall>) {
    let (reactor, beside) = (timer.root(), timer.beside());
    let data = beside.take_data(&reactor);
    if data.free().is_some() {
        Place::CANCELLED.set(timer);
        let _out = reactor.call_out();
        reactor.in_scope(beside.scope(), || drop(data));
    }
}

/// Starts the delay of a waiting call anew, inside of a turn.
#[inline(always)]
pub fn reset_quickly(timer: Item<DelayedCall>, delay: u64) -> Option<()> {
    let reactor = timer.root_body();
    if !Place::of(timer).waits() || !reactor.is_turning() {
        return None;
    }
    reactor.timers.try_borrow_mut().ok()?.restage_quickly(timer, delay)
}

/// Starts the delay anew, from now.
pub fn reset(timer: Item<DelayedCall>, delay: u64) -> Result {
    check_waits(timer)?;
    let reactor = timer.root_body();
    if !reactor.is_turning() {
        let now = reactor.read_clock();
        move_to(reactor, timer, now.saturating_add(delay))?;
        reactor.work_added();
        return Ok(());
    }
    let mut wheel = reactor.timers.borrow_mut();
    if wheel.has_many_moved() {
        wheel.settle(reactor.read_clock());
    }
    wheel.restage(timer, delay)
}

fn move_to(reactor: &Reactor, timer: Item<DelayedCall>, deadline: u64) -> Result {
    settle(reactor, timer);
    reactor.timers.borrow_mut().refile(timer, deadline)
}

/// Sees to it that the timer has a deadline, and no record of an older move.
fn settle(reactor: &Reactor, timer: Item<DelayedCall>) {
    if Place::of(timer).is_staged() {
        reactor.timers.borrow_mut().settle(reactor.read_clock());
    }
}

/// Adds to the deadline.
pub fn delay(timer: Item<DelayedCall>, delay: u64) -> Result {
    check_waits(timer)?;
    move_to(timer.root_body(), timer, deadline(timer).saturating_add(delay))
}

/// Whether it still waits.
pub fn is_active(timer: Item<DelayedCall>) -> bool {
    Place::of(timer).waits()
}

/// Its deadline in nanoseconds of the reactor's clock.
pub fn deadline(timer: Item<DelayedCall>) -> u64 {
    settle(timer.root_body(), timer);
    timer.beside().deadline.get()
}

/// Makes the call.
#[inline(always)]
pub(super) fn run(reactor: ReactorItem, timer: Item<DelayedCall>) {
    let beside = timer.beside();
    let plain = Place::of(timer).is_plain();
    Place::CALLED.set(timer);
    match beside.call.get() {
        Some(call) if plain => call(beside.data.get()),
        call => run_rest(reactor, timer, call, plain),
    }
    reactor.pools.free(timer);
}

#[inline(never)]
fn run_rest(reactor: ReactorItem, timer: Item<DelayedCall>, call: Option<CallFn>, plain: bool) {
    let beside = timer.beside();
    let scope = if plain { 0 } else { beside.scope() };
    let data = if plain { Owned::new(beside.data.get(), None) } else { beside.take_data(&reactor) };
    let made = move || {
        match call {
            Some(call) => call(data.word()),
            None => super::events::push_tag(reactor, super::events::DELAYED_CALL, data.word(), timer.word()),
        }
        drop(data);
    };
    if scope == 0 { made() } else { reactor.in_scope(scope, made) }
}
