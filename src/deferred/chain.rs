//! Firing, and running the callbacks: always in a loop, never nested, so that the longest chain takes constant stack.

use super::slot::*;
use super::{combine, failure, later};
use crate::handles::{self, BothFn, CallbackFn, CancellerFn, FreeFn, Owned, Word};
use crate::reactor::{Reactor, ReactorItem, events, hooks, scopes};
use crate::status::{Result, Status};

/// What is left to do when the present chain has run: lists nest without nesting the stack.
#[derive(Default)]
pub(super) struct Agenda(Vec<Step>);

pub(super) enum Step {
    Run(DeferredItem),
    Cancel(DeferredItem),
}

impl Agenda {
    pub(super) fn push(&mut self, step: Step) {
        self.0.push(step);
    }

    /// Does it all, the newest first.
    #[inline]
    pub(super) fn settle(&mut self) {
        while let Some(step) = self.0.pop() {
            // What came in between may have ended it.
            match step {
                Step::Run(deferred) if deferred.is_alive() => run(deferred, self),
                Step::Cancel(deferred) if deferred.is_alive() => super::cancel::cancel_one(deferred, self),
                _ => {}
            }
        }
    }
}

/// A result on its way: a value, or a failure that the bearer holds.
pub(super) enum Outcome {
    Value(Owned),
    Failure(Word),
}

/// A Deferred without a result, outside of scopes.
#[inline(always)]
pub fn new_quickly(reactor: ReactorItem) -> Option<DeferredItem> {
    if reactor.scope.get() != 0 {
        return None;
    }
    let deferred = reactor.pools.alloc_quickly::<Deferred>()?;
    deferred.link().set(0);
    deferred.scope.set(0);
    Some(deferred)
}

/// A Deferred without a result.
pub fn new(reactor: ReactorItem) -> Result<DeferredItem> {
    let deferred = reactor.pools.alloc::<Deferred>()?;
    deferred.link().set(0);
    let scope = reactor.scope.get();
    deferred.scope.set(scope);
    if scope != 0 {
        scopes::join(reactor, scope, deferred.word()).inspect_err(|_| reactor.pools.free(deferred))?;
    }
    Ok(deferred)
}

/// A Deferred that tells `canceller` when nobody wants it any more.
pub fn new_with_canceller(reactor: ReactorItem, canceller: Option<CancellerFn>, data: Owned) -> Result<DeferredItem> {
    let deferred = new(reactor)?;
    deferred.canceller.set(canceller);
    deferred.value.set(data.word());
    if data.free().is_some() {
        let kept = deferred.with_new_extra(|extra| extra.canceller_data = data);
        kept.inspect_err(|_| super::later::discard(deferred))?;
    }
    Ok(deferred)
}

/// A Deferred of the library's own that has a canceller of the library's own: no scope is needed to cancel it.
pub fn new_inside(reactor: ReactorItem, canceller: CancellerFn, data: Word) -> Result<DeferredItem> {
    new_with_canceller(reactor, Some(canceller), Owned::new(data, None))
}

/// Fires with a value. An error leaves the value to be freed by its owner.
#[inline]
pub fn callback(deferred: DeferredItem, value: Owned) -> Result {
    fire(deferred, Outcome::Value(value))
}

/// Fires with a failure that the caller holds; it is the Deferred's from here on.
pub fn errback(deferred: DeferredItem, failure: Word) -> Result {
    fire(deferred, Outcome::Failure(failure))
}

/// Fires with a failure that says this.
pub fn errback_with(deferred: DeferredItem, reason: &failure::Reason, payload: Owned) -> Result {
    if deferred.has(CALLED) {
        drop(payload);
        return refuse_fire(deferred);
    }
    let failure = failure::make(deferred.root(), reason, payload)?;
    errback(deferred, failure.word())
}

/// The worker will never fire it.
pub fn abandon(deferred: DeferredItem) -> Result {
    if deferred.has(CANCELLING) || (deferred.has(CALLED) && !deferred.has(WORKER_GONE)) {
        deferred.set(WORKER_GONE);
        deferred.clear(SWALLOW);
        reclaim_if_over(deferred);
        return Ok(());
    }
    if deferred.has(CALLED) {
        return Err(Status::ERR_ALREADY_CALLED);
    }
    let failure = failure::of_status(deferred.root(), Status::ERR_ABANDONED);
    errback(deferred, failure)
}

#[inline(always)]
fn fire(deferred: DeferredItem, outcome: Outcome) -> Result {
    if deferred.has(CALLED) {
        return fire_again(deferred, outcome);
    }
    deferred.set(WORKER_GONE);
    let reactor = deferred.root_body();
    settle_with(deferred, outcome);
    if reactor.is_poisoned() { Err(Status::ERR_PANIC) } else { Ok(()) }
}

#[cold]
#[inline(never)]
fn fire_again(deferred: DeferredItem, outcome: Outcome) -> Result {
    let refused = refuse_fire(deferred);
    let _out = deferred.root().call_out();
    drop_outcome(outcome);
    refused
}

/// A fire that comes second: swallowed after a cancellation, else an error. Either way the worker is done.
#[cold]
fn refuse_fire(deferred: DeferredItem) -> Result {
    let swallowed = deferred.has(SWALLOW);
    deferred.clear(SWALLOW);
    deferred.set(WORKER_GONE);
    reclaim_if_over(deferred);
    if swallowed { Ok(()) } else { Err(Status::ERR_ALREADY_CALLED) }
}

fn drop_outcome(outcome: Outcome) {
    match outcome {
        Outcome::Value(value) => drop(value),
        Outcome::Failure(failure) => drop(failure::owned(failure)),
    }
}

/// Gives a Deferred that has not fired its result, and runs what waits for it.
#[inline(always)]
pub(super) fn settle_with(deferred: DeferredItem, outcome: Outcome) {
    let reactor = deferred.root_body();
    let _out = reactor.calling_out();
    give(deferred, outcome);
    if !run_plain(deferred, reactor) {
        run_all(deferred);
    }
}

#[inline(never)]
fn run_all(deferred: DeferredItem) {
    let mut agenda = Agenda::default();
    run(deferred, &mut agenda);
    agenda.settle();
}

/// Runs the usual levels of a chain, callbacks for a value that nobody owns, outside of scopes. False: something else
/// is left to be done.
#[inline(always)]
fn run_plain(deferred: DeferredItem, reactor: &'static Reactor) -> bool {
    if deferred.flags() & (RUNNING | WAITING | PAUSED | FAILED) != 0 || reactor.scope.get() != 0 {
        return false;
    }
    deferred.set(RUNNING);
    while let Some((callback, data)) = deferred.pop_plain(IN_CALLBACK) {
        let returned = callback(deferred.word(), deferred.value.get(), data);
        if reactor.scope.get() != 0 {
            scopes::left_entered(deferred.root());
        }
        if deferred.flags() & (OUTCOME | FAILED) != 0 || deferred.free.get().is_some() {
            super::outcome::conclude(deferred, returned, None);
            break;
        }
        deferred.value.set(returned);
        deferred.clear(IN_CALLBACK);
    }
    deferred.clear(RUNNING);
    if deferred.flags() & (WAITING | PAUSED) != 0 || deferred.waiter.get() != 0 || deferred.has_entries() {
        return false;
    }
    reclaim_if_over(deferred);
    true
}

/// Gives a Deferred that has not fired its result; it still has to be run.
#[inline(always)]
pub(super) fn give(deferred: DeferredItem, outcome: Outcome) {
    match outcome {
        Outcome::Value(value) => {
            let (word, free) = value.into_parts();
            deferred.value.set(word);
            deferred.free.set(free);
            deferred.set(CALLED);
        }
        Outcome::Failure(failure) => {
            deferred.value.set(failure);
            deferred.set(CALLED | FAILED);
        }
    }
}

/// Takes the result away, leaving an empty one.
#[inline]
pub(super) fn take_result(deferred: DeferredItem) -> Outcome {
    let word = deferred.value.replace(Word::NULL);
    if deferred.has(FAILED) {
        deferred.clear(FAILED);
        return Outcome::Failure(word);
    }
    Outcome::Value(Owned::new(word, deferred.free.take()))
}

/// Adds a level, and runs it if the chain has got there already.
#[inline(always)]
pub(super) fn add(deferred: DeferredItem, entry: Entry, free: Option<FreeFn>) -> Result {
    if deferred.has(RELEASED) {
        return Err(Status::ERR_RELEASED);
    }
    if let Some(free) = free {
        add_freed(deferred, entry, free)?;
    } else {
        deferred.push(entry)?;
    }
    resume(deferred);
    Ok(())
}

#[cold]
fn add_freed(deferred: DeferredItem, entry: Entry, free: FreeFn) -> Result {
    // Room for the second before the first is in: both or none.
    deferred.with_new_extra(|extra| extra.overflow.try_reserve(2))?.map_err(|_| Status::ERR_NO_MEMORY)?;
    deferred.push(entry)?;
    deferred.push(Entry::Free(free))
}

/// Adds a callback, an errback, or one of each.
pub fn add_pair(
    deferred: DeferredItem,
    callback: Option<CallbackFn>,
    errback: Option<CallbackFn>,
    data: Owned,
) -> Result {
    let scope = deferred.scope_for_entry()?;
    let entry = Entry::Pair { freed: data.free().is_some(), scope, callback, errback, data: data.word() };
    add(deferred, entry, data.free())?;
    data.into_parts();
    Ok(())
}

/// Adds a function for value and failure alike.
pub fn add_both(deferred: DeferredItem, both: BothFn, data: Owned) -> Result {
    let scope = deferred.scope_for_entry()?;
    let entry = Entry::Both { freed: data.free().is_some(), scope, both, data: data.word() };
    add(deferred, entry, data.free())?;
    data.into_parts();
    Ok(())
}

/// Queues an event with the result, which moves there.
pub fn add_event(deferred: DeferredItem, tag: u64) -> Result {
    let scope = deferred.scope_for_entry()?;
    add(deferred, Entry::Event { scope, tag }, None)
}

/// Runs the chain if it can go on.
#[inline]
pub(super) fn resume(deferred: DeferredItem) {
    if deferred.flags() & (CALLED | RUNNING | WAITING | PAUSED) == CALLED {
        let _out = deferred.root().call_out();
        run_all(deferred);
    }
}

/// Holds the chain up.
pub fn pause(deferred: DeferredItem) -> Result {
    if deferred.has(RELEASED) {
        return Err(Status::ERR_RELEASED);
    }
    deferred.pauses.set(deferred.pauses.get() + 1);
    deferred.set(PAUSED);
    Ok(())
}

/// Takes one pause back. Allowed after the release too: nothing else could let a paused chain go on.
pub fn unpause(deferred: DeferredItem) -> Result {
    let left = deferred.pauses.get().checked_sub(1);
    if left.is_none() && deferred.has(RELEASED) {
        return Err(Status::ERR_RELEASED);
    }
    let left = left.ok_or_else(|| Status::ERR_INVALID_STATE.because("the Deferred is not paused"))?;
    deferred.pauses.set(left);
    if left == 0 {
        deferred.clear(PAUSED);
        resume(deferred);
    }
    Ok(())
}

/// Ends the waiter's claim of a Deferred that has fired with a value that nobody owns, and has run; or has not fired.
#[inline(always)]
pub fn release_quickly(deferred: DeferredItem) -> Option<()> {
    const OVER: u32 = WORKER_GONE | CALLED;
    let flags = deferred.flags();
    if flags & (CALLED | RELEASED | WORKER_GONE) == 0 {
        deferred.set(RELEASED);
        return Some(());
    }
    let busy = RELEASED | RUNNING | WAITING | PAUSED | ENDING | FAILED | HAS_EXTRA | LENGTH;
    if flags & (OVER | busy) != OVER || deferred.waiter.get() != 0 || deferred.free.get().is_some() {
        return None;
    }
    deferred.canceller.set(None);
    deferred.root_body().pools.free(deferred);
    Some(())
}

/// Ends the waiter's claim.
pub fn release(deferred: DeferredItem) -> Result {
    if deferred.has(RELEASED) {
        return Err(Status::ERR_RELEASED);
    }
    deferred.set(RELEASED);
    reclaim_if_over(deferred);
    Ok(())
}

/// Runs the chain of a Deferred that has its result, and then of those that wait for it.
pub(super) fn run(first: DeferredItem, agenda: &mut Agenda) {
    let mut deferred = first;
    loop {
        if deferred.flags() & (CALLED | RUNNING | WAITING | PAUSED) != CALLED {
            return;
        }
        deferred.set(RUNNING);
        run_entries(deferred, agenda);
        deferred.clear(RUNNING);
        if deferred.has(WAITING | PAUSED) {
            return;
        }
        match hand_on(deferred) {
            Some(next) => deferred = next,
            None => return reclaim_if_over(deferred),
        }
    }
}

/// Moves the result to whoever waits for it. Returns whose chain goes on.
#[inline]
fn hand_on(deferred: DeferredItem) -> Option<DeferredItem> {
    let number = deferred.waiter.get();
    if number == 0 {
        return None;
    }
    let waiter = DeferredItem::at(number);
    let chained = deferred.has(CHAINED);
    if !chained && !waiter.has(WAITING) {
        return None;
    }
    deferred.waiter.set(0);
    waiter.waits_on.set(0);
    let outcome = take_result(deferred);
    reclaim_if_over(deferred);
    if chained {
        waiter.clear(CHAIN_TARGET);
        if waiter.has(CALLED) {
            let _ = refuse_fire(waiter);
            drop_outcome(outcome);
            return None;
        }
        waiter.set(WORKER_GONE);
        give(waiter, outcome);
    } else {
        waiter.clear(WAITING);
        give(waiter, outcome);
    }
    Some(waiter)
}

/// Runs the levels of the chain until there are none or it has to wait.
#[inline]
fn run_entries(deferred: DeferredItem, agenda: &mut Agenda) {
    while !deferred.has(WAITING | PAUSED) {
        let Some(entry) = deferred.pop() else { return };
        match entry {
            Entry::Pair { freed, scope, callback, errback, data } => {
                let failed = deferred.has(FAILED);
                if let Some(function) = if failed { errback } else { callback } {
                    call(deferred, scope, |word, value| function(word, value, data));
                }
                free_data(deferred, freed, scope, data);
            }
            Entry::Both { freed, scope, both, data } => {
                let failed = deferred.has(FAILED);
                call(deferred, scope, |word, result| {
                    let (value, failure) = if failed { (Word::NULL, result) } else { (result, Word::NULL) };
                    both(word, value, failure, data)
                });
                free_data(deferred, freed, scope, data);
            }
            Entry::None | Entry::Free(_) => {}
            Entry::Event { tag, .. } => queue_event(deferred, tag),
            Entry::Timeout { timer, .. } => later::reached_timeout(deferred, timer),
            Entry::Element { list, index } => combine::element_done(deferred, list, index, agenda),
            Entry::Inside { inside, data } => inside(deferred, data, agenda),
        }
    }
}

#[inline(always)]
fn free_data(deferred: DeferredItem, freed: bool, scope: u32, data: Word) {
    if freed {
        if let Some(Entry::Free(free)) = deferred.pop() {
            deferred.root().in_scope(scope, || free(data));
        }
    }
}

/// Calls one function of the host with the result, and takes what it returned or recorded as the next one.
#[inline(always)]
fn call(deferred: DeferredItem, scope: u32, function: impl FnOnce(Word, Word) -> Word) {
    let input = deferred.value.get();
    let failed = deferred.has(FAILED);
    deferred.set(IN_CALLBACK);
    let word = deferred.word();
    let current = &deferred.root_body().scope;
    let returned = if scope | current.get() == 0 {
        let returned = function(word, input);
        if current.get() != 0 {
            scopes::left_entered(deferred.root());
        }
        returned
    } else {
        deferred.root().in_scope(scope, || function(word, input))
    };
    if deferred.flags() & (OUTCOME | FAILED) == 0 && deferred.free.get().is_none() {
        deferred.clear(IN_CALLBACK);
        deferred.value.set(returned);
        return;
    }
    super::outcome::conclude(deferred, returned, failed.then_some(input));
}

fn queue_event(deferred: DeferredItem, tag: u64) {
    let source = deferred.word();
    let (value, failure) = match take_result(deferred) {
        Outcome::Value(value) => (value, Owned::default()),
        Outcome::Failure(failure) => (Owned::default(), failure::owned(failure)),
    };
    let event = events::Event { kind: events::DEFERRED, tag, value, failure, source, ..events::Event::default() };
    events::push(deferred.root(), event);
}

/// Frees the slot when both claims are over and the chain has run out.
#[inline]
pub(super) fn reclaim_if_over(deferred: DeferredItem) {
    const OVER: u32 = RELEASED | WORKER_GONE | CALLED;
    if deferred.flags() & (OVER | RUNNING | WAITING | PAUSED) != OVER || deferred.waiter.get() != 0 {
        return;
    }
    if deferred.has(ENDING) || deferred.has_entries() {
        return;
    }
    reclaim(deferred);
}

#[inline]
pub(super) fn reclaim(deferred: DeferredItem) {
    let simple = deferred.flags() & (FAILED | HAS_EXTRA) == 0 && deferred.free.get().is_none();
    deferred.canceller.set(None);
    if simple {
        deferred.root_body().pools.free(deferred);
    } else {
        reclaim_rest(deferred.root(), deferred);
    }
}

#[cold]
fn reclaim_rest(reactor: ReactorItem, deferred: DeferredItem) {
    let _out = reactor.call_out();
    let outcome = take_result(deferred);
    let extra = deferred.take_extra();
    reactor.pools.free(deferred);
    if let Outcome::Failure(word) = outcome {
        report_unhandled(reactor, word);
    }
    drop_outcome(outcome);
    if let Some(extra) = extra {
        later::forget(&extra);
        drop(extra);
    }
}

fn report_unhandled(reactor: ReactorItem, word: Word) {
    let Ok(failure) = handles::get::<failure::Failure>(word) else { return };
    // What the end of everything cancels, nobody was there to handle.
    let ending = reactor.check_open().is_err() || reactor.ending_scope.get() != 0;
    let by_end = [Status::ERR_CANCELLED.0, Status::ERR_CLOSED.0].contains(&failure.code());
    if !(ending && by_end) {
        hooks::unhandled(reactor, word, || failure.describe());
    }
}

/// Whether it has fired.
pub fn is_called(deferred: DeferredItem) -> Result<bool> {
    if deferred.has(RELEASED) && !deferred.has(RUNNING) {
        return Err(Status::ERR_RELEASED);
    }
    Ok(deferred.has(CALLED))
}

/// The present result: whether it is a failure, and the word. None while there is none.
pub fn result(deferred: DeferredItem) -> Result<Option<(bool, Word)>> {
    if deferred.has(RELEASED) && !deferred.has(RUNNING) {
        return Err(Status::ERR_RELEASED);
    }
    let there = deferred.flags() & (CALLED | WAITING) == CALLED && !(deferred.has(PAUSED) && deferred.has_entries());
    Ok(there.then(|| (deferred.has(FAILED), deferred.value.get())))
}

/// What `when_over` tells: a value, taken out, or a failure's code and words.
pub type Told = std::result::Result<Owned, (i32, Option<String>)>;

/// Hands the Deferred over to a function of the library's own that is told the result.
pub fn when_over(deferred: DeferredItem, tell: Box<dyn FnOnce(Told)>) -> Result {
    super::outcome::check_can_hand_over(deferred.root(), deferred)?;
    deferred.with_new_extra(|extra| extra.tell = Some(tell))?;
    add(deferred, Entry::Inside { inside: tell_result, data: Word::NULL }, None)?;
    if deferred.is_alive() {
        deferred.set(HANDED);
        let _ = release(deferred);
    }
    Ok(())
}

/// Drops those functions unused.
pub fn forget_tellers(reactor: ReactorItem) {
    for deferred in reactor.pools.all::<Deferred>() {
        drop(deferred.with_extra(|extra| extra.tell.take()));
    }
}

fn tell_result(deferred: DeferredItem, _: Word, _: &mut Agenda) {
    let Some(tell) = deferred.with_extra(|extra| extra.tell.take()).flatten() else { return };
    match take_result(deferred) {
        Outcome::Value(value) => tell(Ok(value)),
        Outcome::Failure(word) => {
            let failure = handles::get::<failure::Failure>(word);
            tell(Err(
                failure.map_or((Status::ERR_NO_MEMORY.0, None), |failure| (failure.code(), failure.own_message()))
            ));
            let _ = failure::release(word);
        }
    }
}

/// The word that the canceller gets.
pub fn set_canceller_data(deferred: DeferredItem, data: Word) {
    if !deferred.has(CALLED) {
        deferred.value.set(data);
    }
}
