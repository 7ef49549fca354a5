//! Deferreds and timers: firing later, time-outs, `deferLater`.

use super::chain::{self, add, callback, new, new_inside};
use super::slot::*;
use super::{cancel, failure};
use crate::handles::{self, CallbackFn, FreeFn, Item, Owned, Word};
use crate::reactor::ReactorItem;
use crate::reactor::timers::{self, DelayedCall};
use crate::status::{Result, Status};

fn timer(word: Word) -> Option<Item<DelayedCall>> {
    handles::get::<DelayedCall>(word).ok()
}

/// Whether this is the timer whose call is being made: it is alive, but no longer waits.
fn is_calling(word: Word) -> bool {
    timer(word).is_some_and(|timer| !timers::is_active(timer))
}

/// A timer of the library's own: it outlives no scope's end by itself, its Deferred takes it along.
fn start_timer(reactor: ReactorItem, delay: u64, call: crate::handles::CallFn, data: Owned) -> Result<Word> {
    let scope = reactor.scope.replace(0);
    let timer = timers::call_later(reactor, delay, Some(call), data);
    reactor.scope.set(scope);
    Ok(timer?.word())
}

/// Fires with `value` after `delay` nanoseconds. Cancelling the call frees the value.
pub fn callback_later(deferred: DeferredItem, delay: u64, value: Owned) -> Result<Item<DelayedCall>> {
    if deferred.has(CALLED) {
        return Err(Status::ERR_ALREADY_CALLED);
    }
    let reactor = deferred.root();
    const SWEEP: FreeFn = later_over;
    deferred.with_new_extra(|extra| extra.later.try_reserve(1))?.map_err(|_| Status::ERR_NO_MEMORY)?;
    let timer = timers::call_later(reactor, delay, Some(fire_later), Owned::new(deferred.word(), Some(SWEEP)))?;
    deferred.with_extra(|extra| extra.later.push((timer.word(), value)));
    Ok(timer)
}

extern "C-unwind" fn fire_later(word: Word) {
    let Ok(deferred) = handles::get::<Deferred>(word) else { return };
    let value = deferred.with_extra(|extra| {
        let place = extra.later.iter().position(|(timer, _)| is_calling(*timer))?;
        Some(extra.later.swap_remove(place).1)
    });
    if let Some(value) = value.flatten() {
        // It may have fired, or been cancelled, meanwhile: the value is freed then.
        let _ = callback(deferred, value);
    }
}

/// The timer is over: the value of a cancelled one is freed.
extern "C-unwind" fn later_over(word: Word) {
    let Ok(deferred) = handles::get::<Deferred>(word) else { return };
    let dropped = deferred.with_extra(|extra| {
        let place =
            extra.later.iter().position(|(word, _)| timer(*word).is_none_or(|timer| !timers::is_active(timer)))?;
        Some(extra.later.swap_remove(place).1)
    });
    drop(dropped);
}

/// The timers of a Deferred that is gone have nothing to fire.
pub(super) fn forget(extra: &Extra) {
    let waiting = extra.later.iter().filter_map(|(word, _)| timer(*word)).filter(|timer| timers::is_active(*timer));
    waiting.for_each(|timer| {
        let _ = timers::cancel(timer);
    });
}

/// Cancels the Deferred unless the chain gets here within `delay` nanoseconds; that cancellation then is
/// `LARIAT_ERR_TIMED_OUT`.
pub fn add_timeout(deferred: DeferredItem, delay: u64) -> Result {
    if deferred.has(RELEASED) {
        return Err(Status::ERR_RELEASED);
    }
    let scope = deferred.scope_for_entry()?;
    let timer = start_timer(deferred.root(), delay, timed_out, Owned::new(deferred.word(), None))?;
    add(deferred, Entry::Timeout { scope, timer }, None).inspect_err(|_| stop_timer(timer))
}

pub(super) fn stop_timer(word: Word) {
    if let Some(timer) = timer(word).filter(|timer| timers::is_active(*timer)) {
        let _ = timers::cancel(timer);
    }
}

extern "C-unwind" fn timed_out(word: Word) {
    let Ok(deferred) = handles::get::<Deferred>(word) else { return };
    deferred.each_entry(|entry| match entry {
        Entry::Timeout { timer, .. } if is_calling(*timer) => *timer = Word::NULL,
        _ => {}
    });
    cancel::cancel(deferred);
}

/// The chain has reached a time-out: its timer is gone, and the cancellation that it caused gets its name.
pub(super) fn reached_timeout(deferred: DeferredItem, timer: Word) {
    if !timer.is_null() {
        return stop_timer(timer);
    }
    let word = deferred.value.get();
    let failed = deferred.has(FAILED).then(|| handles::get::<failure::Failure>(word).ok()).flatten();
    if failed.is_some_and(|failure| failure.code() == Status::ERR_CANCELLED.0) {
        deferred.value.set(failure::of_status(deferred.root(), Status::ERR_TIMED_OUT));
        let _ = failure::release(word);
    }
}

/// A Deferred that calls `function` after `delay` nanoseconds and gives what it gives. Cancelling stops the timer.
pub fn defer_later(
    reactor: ReactorItem,
    delay: u64,
    function: Option<CallbackFn>,
    data: Owned,
) -> Result<DeferredItem> {
    let deferred = new_inside(reactor, stop_deferred_timer, Word::NULL)?;
    let filled = || -> Result {
        if function.is_some() {
            chain::add_pair(deferred, function, None, data)?;
        }
        let timer = start_timer(reactor, delay, fire_empty, Owned::new(deferred.word(), None))?;
        chain::set_canceller_data(deferred, timer);
        Ok(())
    };
    filled().inspect_err(|_| discard(deferred))?;
    Ok(deferred)
}

extern "C-unwind" fn stop_deferred_timer(word: Word, timer: Word) {
    stop_timer(timer);
    if let Ok(deferred) = handles::get::<Deferred>(word) {
        let _ = chain::abandon(deferred);
    }
}

extern "C-unwind" fn fire_empty(word: Word) {
    if let Ok(deferred) = handles::get::<Deferred>(word) {
        let _ = callback(deferred, Owned::default());
    }
}

/// Frees a Deferred that nobody has seen yet.
pub fn discard(deferred: DeferredItem) {
    deferred.set(RELEASED | WORKER_GONE | CALLED);
    super::cancel::discard_entries(deferred);
    chain::reclaim(deferred);
}

/// Runs `function` now, as the first callback of a new Deferred without a value.
pub fn maybe(reactor: ReactorItem, function: CallbackFn, data: Owned) -> Result<DeferredItem> {
    let deferred = new(reactor)?;
    chain::add_pair(deferred, Some(function), None, data).inspect_err(|_| discard(deferred))?;
    callback(deferred, Owned::default())?;
    Ok(deferred)
}
