//! Looping calls: a function called at an interval, never overlapping itself, on its phase.

use super::chain::{Agenda, add, callback, errback, new};
use super::slot::*;
use super::{failure, outcome};
use crate::handles::{self, Body, HandleFn, Item, Kind, Owned, Word};
use crate::reactor::timers::{self, DelayedCall};
use crate::reactor::{Reactor, ReactorItem, events, scopes};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};

/// `lariat_looping_call`
#[derive(Default)]
pub struct LoopingCall {
    /// None: an event with the data as its tag.
    function: Cell<Option<HandleFn>>,
    data: RefCell<Owned>,
    scope: Cell<u32>,
    interval: Cell<u64>,
    start: Cell<u64>,
    /// The interval counted last.
    counted: Cell<i64>,
    count: Cell<i64>,
    timer: Cell<Word>,
    /// Fires when it stops; null while it does not run.
    done: Cell<Word>,
    calling: Cell<bool>,
    /// Stopped while it was calling or waiting: its Deferred fires when that is over.
    stopping: Cell<bool>,
    freed: Cell<bool>,
}

impl Body for LoopingCall {
    const KIND: Kind = Kind::LoopingCall;
    type Root = Reactor;
    type Beside = ();

    fn end(looping: Item<Self>) {
        free(looping);
    }
}

/// One that does not run yet.
pub fn open(reactor: ReactorItem, function: Option<HandleFn>, data: Owned) -> Result<Item<LoopingCall>> {
    let looping = reactor.pools.alloc::<LoopingCall>()?;
    let scope = reactor.scope.get();
    if scope != 0 {
        scopes::join(reactor, scope, looping.word()).inspect_err(|_| reactor.pools.free(looping))?;
    }
    looping.function.set(function);
    looping.scope.set(scope);
    *looping.data.borrow_mut() = data;
    for word in [&looping.timer, &looping.done] {
        word.set(Word::NULL);
    }
    for flag in [&looping.calling, &looping.stopping, &looping.freed] {
        flag.set(false);
    }
    looping.count.set(0);
    Ok(looping)
}

/// Calls it every `interval` nanoseconds, at once or after the first. The Deferred fires when it stops.
pub fn start(looping: Item<LoopingCall>, interval: u64, now: bool) -> Result<DeferredItem> {
    if !looping.done.get().is_null() || looping.calling.get() {
        return Err(Status::ERR_INVALID_STATE.because("the looping call is running already"));
    }
    let reactor = looping.root();
    let done = reactor.in_scope(looping.scope.get(), || new(reactor))?;
    looping.done.set(done.word());
    looping.interval.set(interval);
    looping.start.set(reactor.turn_time());
    looping.counted.set(if now { -1 } else { 0 });
    if now {
        call(looping);
    } else {
        schedule(looping);
    }
    Ok(done)
}

/// Whether it runs.
pub fn is_running(looping: Item<LoopingCall>) -> bool {
    !looping.done.get().is_null() && !looping.stopping.get()
}

/// How many intervals passed since the call before: more than 1 when some were missed.
pub fn count(looping: Item<LoopingCall>) -> i64 {
    looping.count.get()
}

fn stop_timer(looping: Item<LoopingCall>) {
    if let Ok(timer) = handles::get::<DelayedCall>(looping.timer.replace(Word::NULL)) {
        let _ = timers::cancel(timer);
    }
}

/// Stops it; its Deferred fires with its handle.
pub fn stop(looping: Item<LoopingCall>) -> Result {
    if !is_running(looping) {
        return Err(Status::ERR_INVALID_STATE.because("the looping call is not running"));
    }
    stop_timer(looping);
    if looping.calling.get() {
        looping.stopping.set(true);
    } else {
        finish(looping, None);
    }
    Ok(())
}

fn finish(looping: Item<LoopingCall>, failed: Option<Word>) {
    looping.stopping.set(false);
    if let Ok(done) = handles::get::<Deferred>(looping.done.replace(Word::NULL)) {
        let _ = match failed {
            Some(failure) => errback(done, failure),
            None => callback(done, Owned::new(looping.word(), None)),
        };
    } else if let Some(failure) = failed {
        let _ = failure::release(failure);
    }
}

/// The next call comes a whole interval from now.
pub fn reset(looping: Item<LoopingCall>) -> Result {
    if !is_running(looping) {
        return Err(Status::ERR_INVALID_STATE.because("the looping call is not running"));
    }
    if !looping.timer.get().is_null() {
        stop_timer(looping);
        looping.start.set(looping.root().turn_time());
        looping.counted.set(0);
        schedule(looping);
    }
    Ok(())
}

/// The intervals that have passed since it started.
fn passed(looping: Item<LoopingCall>, now: u64) -> u64 {
    let since = now.saturating_sub(looping.start.get());
    since.checked_div(looping.interval.get()).unwrap_or(0)
}

fn schedule(looping: Item<LoopingCall>) {
    let reactor = looping.root();
    let (interval, now) = (looping.interval.get(), reactor.turn_time());
    // On its phase: missed intervals are skipped.
    let next = passed(looping, now) + 1;
    let deadline = looping.start.get().saturating_add(interval.saturating_mul(next));
    let deadline = if interval == 0 { now } else { deadline };
    match timers::call_at(reactor, deadline, due, looping.word()) {
        Ok(timer) => looping.timer.set(timer.word()),
        Err(why) => finish(looping, Some(failure::of_status(reactor, why))),
    }
}

extern "C-unwind" fn due(word: Word) {
    if let Ok(looping) = handles::get::<LoopingCall>(word) {
        looping.timer.set(Word::NULL);
        call(looping);
    }
}

fn call(looping: Item<LoopingCall>) {
    let reactor = looping.root();
    let interval = passed(looping, reactor.turn_time()) as i64;
    looping.count.set(if looping.interval.get() == 0 { 1 } else { (interval - looping.counted.get()).max(1) });
    looping.counted.set(interval);
    let data = looping.data.borrow().word();
    looping.calling.set(true);
    let _out = reactor.call_out();
    let returned = match looping.function.get() {
        Some(function) => reactor.in_scope(looping.scope.get(), || function(looping.word(), data)),
        None => {
            events::push_tag(reactor, events::LOOPING_CALL, data, looping.word());
            Word::NULL
        }
    };
    looping.calling.set(false);
    if looping.freed.get() {
        finish_free(looping);
        let _ = handles::get::<Deferred>(returned).map(super::chain::release);
        return;
    }
    match handles::get::<Deferred>(returned) {
        Ok(deferred) => wait(looping, deferred),
        Err(_) if returned.is_null() => go_on(looping),
        Err(why) => finish(looping, Some(failure::of_status(reactor, why))),
    }
}

fn go_on(looping: Item<LoopingCall>) {
    if looping.stopping.get() {
        finish(looping, None);
    } else if is_running(looping) && looping.timer.get().is_null() {
        schedule(looping);
    }
}

/// Goes on when the Deferred has fired; its failure ends the loop.
fn wait(looping: Item<LoopingCall>, deferred: DeferredItem) {
    let handed = outcome::check_can_hand_over(looping.root(), deferred);
    if let Err(why) = handed {
        return finish(looping, Some(failure::of_status(looping.root(), why)));
    }
    looping.calling.set(true);
    if let Err(why) = add(deferred, Entry::Inside { inside: waited, data: looping.word() }, None) {
        looping.calling.set(false);
        finish(looping, Some(failure::of_status(looping.root(), why)));
    }
    if deferred.is_alive() {
        deferred.set(HANDED);
        let _ = super::chain::release(deferred);
    }
}

fn waited(deferred: DeferredItem, looping: Word, _: &mut Agenda) {
    let Ok(looping) = handles::get::<LoopingCall>(looping) else { return };
    looping.calling.set(false);
    if looping.freed.get() {
        return finish_free(looping);
    }
    if !deferred.has(FAILED) {
        return go_on(looping);
    }
    let failure = deferred.value.replace(Word::NULL);
    deferred.clear(FAILED);
    stop_timer(looping);
    finish(looping, Some(failure));
}

/// Ends it: its Deferred fails with `LARIAT_ERR_CLOSED` if it runs. Inside its own call its data lives until that returns.
pub fn free(looping: Item<LoopingCall>) {
    if looping.freed.get() {
        return;
    }
    stop_timer(looping);
    looping.freed.set(true);
    if !looping.done.get().is_null() {
        finish(looping, Some(failure::of_status(looping.root(), Status::ERR_CLOSED)));
    }
    let waits = looping.root().state() != crate::reactor::State::Closing && looping.calling.get();
    if looping.is_alive() && !waits {
        finish_free(looping);
    }
}

fn finish_free(looping: Item<LoopingCall>) {
    let reactor = looping.root();
    let data = looping.data.take();
    reactor.pools.free(looping);
    let _out = reactor.call_out();
    drop(data);
}
