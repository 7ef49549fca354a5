//! What a running callback records in place of its return value, and waiting for another Deferred.

use super::chain::{Outcome, reclaim_if_over, take_result};
use super::failure::{self, Reason};
use super::slot::*;
use crate::handles::{self, Owned, Word};
use crate::status::{self, Result, Status};

/// Refuses outside of a callback of this Deferred.
fn check_inside(deferred: DeferredItem) -> Result {
    if deferred.has(IN_CALLBACK) {
        return Ok(());
    }
    Err(Status::ERR_INVALID_STATE.because("only a running callback of the Deferred can record an outcome"))
}

/// The last outcome recorded wins: what an earlier one brought is let go.
fn forget_recorded(deferred: DeferredItem) {
    let flags = deferred.flags();
    if flags & OUT_WAIT != 0 {
        let other = DeferredItem::at(deferred.waits_on.replace(0));
        other.waiter.set(0);
        reclaim_if_over(other);
    } else if flags & OUT_FAIL != 0 {
        let _ = failure::release(deferred.value.replace(Word::NULL));
    } else if flags & FAILED == 0 {
        retain(deferred);
    }
    deferred.clear(OUTCOME);
}

/// Puts the present value, if it is owned, among those that live as long as the Deferred.
fn retain(deferred: DeferredItem) {
    if let Some(free) = deferred.free.take() {
        let value = Owned::new(deferred.value.get(), Some(free));
        match deferred.with_new_extra(|extra| extra.retained.try_reserve(1)) {
            Ok(Ok(())) => drop(deferred.with_extra(|extra| extra.retained.push(value))),
            // Short of memory it is leaked rather than freed while the host may still read it.
            _ => std::mem::forget(value),
        }
    }
}

/// The next result is this value.
pub fn record_return(deferred: DeferredItem, value: Owned) -> Result {
    check_inside(deferred)?;
    forget_recorded(deferred);
    let (word, free) = value.into_parts();
    deferred.value.set(word);
    deferred.free.set(free);
    deferred.set(OUT_RETURN);
    Ok(())
}

/// The next result is a failure that says this.
pub fn record_fail(deferred: DeferredItem, reason: &Reason, payload: Owned) -> Result {
    check_inside(deferred)?;
    let failure = failure::make(deferred.root(), reason, payload)?;
    record_failure(deferred, failure.word())
}

/// The next result is this failure, which the caller holds.
pub fn record_failure(deferred: DeferredItem, failure: Word) -> Result {
    if let Err(status) = check_inside(deferred) {
        let _ = failure::release(failure);
        return Err(status);
    }
    forget_recorded(deferred);
    deferred.value.set(failure);
    deferred.set(OUT_FAIL);
    Ok(())
}

/// The failure that the errback got goes on.
pub fn record_refail(deferred: DeferredItem) -> Result {
    check_inside(deferred)?;
    if !deferred.has(FAILED) {
        return Err(Status::ERR_INVALID_STATE.because("there is no failure to pass on"));
    }
    forget_recorded(deferred);
    deferred.set(OUT_REFAIL);
    Ok(())
}

/// The next result is the other one's, once it has come; it is handed over. What cannot be waited for fails the chain.
pub fn record_wait(deferred: DeferredItem, other: Word) -> Result {
    check_inside(deferred)?;
    match handles::get::<Deferred>(other).and_then(|other| link(deferred, other).map(|()| other)) {
        Ok(other) => {
            forget_recorded(deferred);
            other.set(RELEASED | HANDED);
            other.waiter.set(deferred.index());
            deferred.waits_on.set(other.index());
            deferred.set(OUT_WAIT);
            Ok(())
        }
        Err(why) => {
            // A start that failed has left its reason as the thread's last error.
            let why = if other.is_null() && status::last().is_error() { status::last() } else { why };
            let message = if other.is_null() { status::last_message() } else { status::detail_of(why) };
            let reason = Reason { message: message.as_deref(), ..why.into() };
            record_fail(deferred, &reason, Owned::default())?;
            Err(message.map_or(why, |message| why.because(message)))
        }
    }
}

/// Whether the waiter's claim of `other` can be handed to `deferred`.
pub(super) fn link(deferred: DeferredItem, other: DeferredItem) -> Result {
    check_can_hand_over(deferred.root(), other)?;
    if waits_in_a_ring(deferred, other) { Err(Status::ERR_CYCLE) } else { Ok(()) }
}

/// Whether the waiter's claim is there to be handed over.
pub(super) fn check_can_hand_over(reactor: crate::reactor::ReactorItem, other: DeferredItem) -> Result {
    match other.flags() {
        _ if other.root() != reactor => Err(Status::ERR_WRONG_REACTOR),
        flags if flags & HANDED != 0 => Err(Status::ERR_ALREADY_WAITED),
        flags if flags & RELEASED != 0 => Err(Status::ERR_RELEASED),
        _ => Ok(()),
    }
}

/// Each Deferred has one waiter, so links form paths: up from the one and down from the other, in lockstep, so that the
/// shorter way decides. The way down ends at a list, which waits for many; then the way up alone decides.
pub(super) fn waits_in_a_ring(deferred: DeferredItem, other: DeferredItem) -> bool {
    let (mut up, mut down) = (Some(deferred), Some(other));
    loop {
        match up {
            None => return false,
            Some(up) if up == other => return true,
            Some(_) => {}
        }
        match down {
            Some(down) if down == deferred => return true,
            Some(down) if down.has(IS_LIST) => {}
            Some(down) if down.waits_on.get() == 0 => return false,
            _ => {}
        }
        let at = |number: u32| (number != 0).then(|| DeferredItem::at(number));
        up = up.and_then(|up| at(up.waiter.get()));
        down = down.and_then(|down| at(down.waits_on.get()));
    }
}

/// The value is the caller's from here on.
pub fn take(deferred: DeferredItem) -> Result<Word> {
    if deferred.has(RELEASED) && !deferred.has(RUNNING) {
        return Err(Status::ERR_RELEASED);
    }
    if deferred.flags() & (CALLED | WAITING) != CALLED {
        return Err(Status::ERR_NOT_CALLED);
    }
    if deferred.has(FAILED) {
        return Ok(Word::NULL);
    }
    let word = deferred.value.replace(Word::NULL);
    super::results::note_taken(word, deferred.free.take());
    Ok(word)
}

/// After a callback: what it returned or recorded is the result. `failed` is the failure that it got.
#[cold]
#[inline(never)]
pub(super) fn conclude(deferred: DeferredItem, returned: Word, failed: Option<Word>) {
    let flags = deferred.flags();
    deferred.clear(IN_CALLBACK | OUTCOME);
    let passes_on = flags & OUT_REFAIL != 0;
    if let Some(failure) = failed.filter(|_| !passes_on) {
        deferred.clear(FAILED);
        let _ = failure::release(failure);
    }
    if flags & OUT_FAIL != 0 {
        deferred.set(FAILED);
    } else if flags & OUT_WAIT != 0 {
        retain_input(deferred, failed);
        wait(deferred);
    } else if flags & OUTCOME == 0 {
        // A callback that returns its own value again keeps it owned.
        if failed.is_some() || deferred.value.get() != returned {
            retain_input(deferred, failed);
            deferred.value.set(returned);
        }
    }
}

fn retain_input(deferred: DeferredItem, failed: Option<Word>) {
    if failed.is_none() {
        retain(deferred);
    }
    deferred.value.set(Word::NULL);
}

/// Takes the other's result if it is there; else the chain waits.
fn wait(deferred: DeferredItem) {
    let other = DeferredItem::at(deferred.waits_on.get());
    let there = other.flags() & (CALLED | RUNNING | WAITING | PAUSED) == CALLED && !other.has_entries();
    if !there {
        deferred.set(WAITING);
        return;
    }
    deferred.waits_on.set(0);
    other.waiter.set(0);
    let outcome = take_result(other);
    reclaim_if_over(other);
    match outcome {
        Outcome::Value(value) => {
            let (word, free) = value.into_parts();
            deferred.value.set(word);
            deferred.free.set(free);
        }
        Outcome::Failure(failure) => {
            deferred.value.set(failure);
            deferred.set(FAILED);
        }
    }
}

/// The Deferred's result fires `target`, which takes the worker's claim of it; `deferred` is handed over.
pub fn chain(deferred: DeferredItem, target: DeferredItem) -> Result {
    if deferred == target {
        return Err(Status::ERR_CYCLE);
    }
    check_can_hand_over(target.root(), deferred)?;
    if target.has(CALLED) || target.has(CHAIN_TARGET) {
        return Err(Status::ERR_ALREADY_CALLED);
    }
    if waits_in_a_ring(target, deferred) {
        return Err(Status::ERR_CYCLE);
    }
    deferred.set(RELEASED | HANDED | CHAINED);
    deferred.waiter.set(target.index());
    target.waits_on.set(deferred.index());
    target.set(CHAIN_TARGET);
    super::chain::resume(deferred);
    Ok(())
}
