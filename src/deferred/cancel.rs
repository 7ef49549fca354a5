//! Cancelling, and the forced end with a scope or the reactor.

use super::chain::{Agenda, give, reclaim, reclaim_if_over, run};
use super::slot::*;
use super::{combine, failure};
use crate::handles::{Owned, Word};
use crate::reactor::State;
use crate::status::Status;

/// Nobody wants the result any more.
pub fn cancel(deferred: DeferredItem) {
    let _out = deferred.root().call_out();
    let mut agenda = Agenda::default();
    cancel_one(deferred, &mut agenda);
    agenda.settle();
}

/// Cancels what the Deferred waits for, or the Deferred itself.
pub(super) fn cancel_one(first: DeferredItem, agenda: &mut Agenda) {
    let mut deferred = first;
    while deferred.has(WAITING) {
        deferred = DeferredItem::at(deferred.waits_on.get());
    }
    if deferred.has(CALLED | CANCELLING) {
        return;
    }
    if deferred.has(IS_LIST) {
        return combine::cancel_elements(deferred, agenda);
    }
    match deferred.canceller.get() {
        Some(canceller) => {
            deferred.set(CANCELLING);
            let data = deferred.value.get();
            deferred.root().in_scope(deferred.scope.get(), || canceller(deferred.word(), data));
            if !deferred.is_alive() {
                return;
            }
            deferred.clear(CANCELLING);
            if deferred.has(CALLED) {
                return;
            }
        }
        None if !deferred.has(WORKER_GONE) => deferred.set(SWALLOW),
        None => {}
    }
    let failure = failure::of_status(deferred.root(), Status::ERR_CANCELLED);
    give(deferred, super::chain::Outcome::Failure(failure));
    run(deferred, agenda);
}

/// The scope that is ending, or the reactor, takes the Deferred with it; or only its callbacks, when it is another's.
pub(super) fn end(deferred: DeferredItem) {
    let reactor = deferred.root();
    let scope = reactor.ending_scope.get();
    if reactor.state() != State::Closing && deferred.scope.get() != scope {
        return remove_entries(deferred, scope);
    }
    let _out = reactor.call_out();
    unlink_from_source(deferred);
    cancel(deferred);
    if deferred.is_alive() && !deferred.has(RUNNING) {
        force(deferred);
    }
}

/// A Deferred that fires only when another does will never hear of it.
fn unlink_from_source(deferred: DeferredItem) {
    if deferred.has(CHAIN_TARGET) {
        deferred.clear(CHAIN_TARGET);
        let source = DeferredItem::at(deferred.waits_on.replace(0));
        source.waiter.set(0);
        source.clear(CHAINED);
        reclaim_if_over(source);
    }
}

/// After the cancellation: whatever still holds it back is set aside, so that its chain runs out and the slot is free.
fn force(deferred: DeferredItem) {
    if deferred.has(WAITING) {
        // What it waits for would not be cancelled: it fails here instead.
        let source = DeferredItem::at(deferred.waits_on.replace(0));
        source.waiter.set(0);
        deferred.clear(WAITING);
        let failure = failure::of_status(deferred.root(), Status::ERR_CANCELLED);
        give(deferred, super::chain::Outcome::Failure(failure));
        reclaim_if_over(source);
    }
    deferred.pauses.set(0);
    deferred.clear(PAUSED | SWALLOW);
    deferred.set(RELEASED | WORKER_GONE);
    if !deferred.has(CALLED) {
        let failure = failure::of_status(deferred.root(), Status::ERR_CANCELLED);
        give(deferred, super::chain::Outcome::Failure(failure));
    }
    let mut agenda = Agenda::default();
    run(deferred, &mut agenda);
    agenda.settle();
    if !deferred.is_alive() || deferred.has(RUNNING) {
        return;
    }
    if deferred.has(WAITING) {
        // A callback waits for something new while everything ends: its slot goes, its wait with it.
        let source = DeferredItem::at(deferred.waits_on.replace(0));
        source.waiter.set(0);
        deferred.clear(WAITING);
        discard_entries(deferred);
        reclaim_if_over(source);
    }
    if deferred.waiter.get() != 0 {
        let waiter = DeferredItem::at(deferred.waiter.replace(0));
        waiter.waits_on.set(0);
        if waiter.has(WAITING) {
            waiter.clear(WAITING);
            let failure = failure::of_status(deferred.root(), Status::ERR_CANCELLED);
            give(waiter, super::chain::Outcome::Failure(failure));
            let mut agenda = Agenda::default();
            run(waiter, &mut agenda);
            agenda.settle();
        }
        waiter.clear(CHAIN_TARGET);
    }
    if deferred.is_alive() {
        discard_entries(deferred);
        reclaim(deferred);
    }
}

/// Takes the levels off that belong to the scope; their user data is freed.
fn remove_entries(deferred: DeferredItem, scope: u32) {
    let mut freed = Vec::new();
    let mut pending: Option<Word> = None;
    deferred.each_entry(|entry| {
        match *entry {
            Entry::Pair { freed, scope: of, data, .. } | Entry::Both { freed, scope: of, data, .. } if of == scope => {
                pending = freed.then_some(data);
                *entry = Entry::None;
            }
            Entry::Event { scope: of, .. } if of == scope => *entry = Entry::None,
            Entry::Timeout { scope: of, timer } if of == scope => {
                super::later::stop_timer(timer);
                *entry = Entry::None;
            }
            Entry::Free(free) => {
                if let Some(data) = pending.take() {
                    freed.push(Owned::new(data, Some(free)));
                    *entry = Entry::None;
                }
            }
            _ => {}
        };
    });
    let _out = deferred.root().call_out();
    drop(freed);
}

/// Takes all levels off; their user data is freed.
pub(super) fn discard_entries(deferred: DeferredItem) {
    let _out = deferred.root().call_out();
    while let Some(entry) = deferred.pop() {
        if let Entry::Pair { freed: true, data, .. } | Entry::Both { freed: true, data, .. } = entry {
            if let Some(Entry::Free(free)) = deferred.pop() {
                free(data);
            }
        }
    }
}
