//! A turn: calls from threads and soon-calls that were there when it began; due timers; poll; readiness; the end of a
//! run if one was asked for. A frame with a budget may leave it in the middle and go on from there.

use super::{Reactor, ReactorItem, State, hooks, kept, posts, run, timers, watch};
use crate::driver::Ready;
use crate::handles::{self, Kind};
use crate::platform;
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::ffi::CStr;

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Begin,
    BeforePoll,
    AfterPoll,
}

/// Between how many posts in a turn those that follow are let gather, and for how many of the processor's pauses.
const SEVERAL: std::ops::Range<u64> = 8..512;
const PAUSES: u32 = 96;

/// Where the turn is.
#[derive(Default)]
pub struct Turn {
    phase: Cell<Phase>,
    /// Whether the last poll found something.
    was_ready: Cell<bool>,
    ready: RefCell<Vec<Ready>>,
    next_ready: Cell<usize>,
}

/// How a turn is made.
#[derive(Clone, Copy)]
pub struct How {
    /// The longest wait for something to happen, in nanoseconds; None: no limit.
    pub wait: Option<u64>,
    /// The monotonic time at which no further item is started; the first always is.
    pub budget_end: Option<u64>,
    /// Without a wait when nothing is left that could call back.
    pub until_idle: bool,
}

impl How {
    /// A turn that does not wait.
    pub const AT_ONCE: How = How { wait: Some(0), budget_end: None, until_idle: false };

    fn is_spent(self) -> bool {
        self.budget_end.is_some_and(|end| platform::monotonic_nanoseconds() >= end)
    }
}

impl Turn {
    pub(super) fn clear(&self) {
        self.phase.set(Phase::Begin);
        self.was_ready.set(false);
        self.ready.take();
        self.next_ready.set(0);
    }
}

impl Reactor {
    /// Whether a frame left the turn in the middle.
    pub(super) fn is_mid_turn(&self) -> bool {
        self.turn.phase.get() != Phase::Begin
    }
}

/// Makes a turn, or what the budget allows of it: `LARIAT_MORE` when something is left over.
#[inline]
pub fn turn(reactor: ReactorItem, how: How) -> Result<Status> {
    let _out = reactor.call_out();
    reactor.turning.set(true);
    let done = phases(reactor, how);
    reactor.turning.set(false);
    if reactor.is_poisoned() {
        return Err(Status::ERR_PANIC);
    }
    if done? == Status::MORE {
        return Ok(Status::MORE);
    }
    reactor.turns.set(reactor.turns.get() + 1);
    run::end_of_turn(reactor);
    Ok(Status::OK)
}

#[inline]
fn phases(reactor: ReactorItem, how: How) -> Result<Status> {
    let turn = &reactor.turn;
    if turn.phase.get() == Phase::Begin {
        reactor.threads.begin_drain();
        reactor.soon.begin();
        expire(reactor);
        turn.phase.set(Phase::BeforePoll);
    }
    if turn.phase.get() == Phase::BeforePoll {
        // What an earlier frame of this turn has made is not found a second time.
        let more = (reactor.threads.is_draining() && items(reactor, how, c"call from a thread", run_posted))
            || (reactor.soon.is_running() && items(reactor, how, c"call_soon call", run_soon))
            || (reactor.now.get().is_some() && items(reactor, how, c"delayed call", run_timer));
        if more {
            return Ok(Status::MORE);
        }
        if reactor.keeps_something() {
            kept::flush(reactor);
        }
        poll(reactor, how)?;
        turn.phase.set(Phase::AfterPoll);
    }
    turn.was_ready.set(!turn.ready.borrow().is_empty());
    if turn.was_ready.get() {
        if items(reactor, how, c"readiness callback", run_ready) {
            return Ok(Status::MORE);
        }
        turn.ready.borrow_mut().clear();
        turn.next_ready.set(0);
    }
    if reactor.keeps_something() && end_turn(reactor, how) {
        return Ok(Status::MORE);
    }
    turn.phase.set(Phase::Begin);
    Ok(Status::OK)
}

/// What was written goes out, what ended is closed; true if the budget ended before.
#[inline(never)]
fn end_turn(reactor: ReactorItem, how: How) -> bool {
    kept::flush(reactor);
    let more = items(reactor, how, c"end of a connection", kept::finish_one);
    if !more {
        // Ends that were told may have been answered by writing elsewhere.
        kept::flush(reactor);
        reactor.forget_if_empty();
    }
    more
}

/// Sorts in the timers that are due: what the calls of this turn schedule waits for the next one. Where no timer waits
/// the clock is not read until someone asks; one that may stand still costs nothing, and old entries are let go of.
#[inline]
fn expire(reactor: ReactorItem) {
    let stands_still = reactor.manual.get().is_some() || reactor.is_simulated();
    if !reactor.has_timers() && !stands_still && !reactor.timers.borrow().has_staged() {
        reactor.now.set(None);
        return;
    }
    expire_timers(reactor);
}

#[inline(never)]
fn expire_timers(reactor: ReactorItem) {
    let now = reactor.read_clock();
    reactor.now.set(Some(now));
    reactor.timers.borrow_mut().expire(now);
}

/// Work that the present turn leaves to the next.
fn left_over(reactor: ReactorItem) -> bool {
    !reactor.soon.is_empty() || reactor.threads.has_posts() || reactor.keeps_something()
}

/// Runs one item after the other until there are none; true if the budget ended before, or the reactor panicked. Apart
/// from the turn, so that one with nothing to do stays small.
#[inline(never)]
fn items(reactor: ReactorItem, how: How, what: &'static CStr, one: impl Fn(ReactorItem) -> bool) -> bool {
    let slow = reactor.limits().slow;
    if how.budget_end.is_some() || slow != 0 {
        return watched_items(reactor, how, what, slow, one);
    }
    while one(reactor) {
        if reactor.is_poisoned() {
            return true;
        }
        leave_scopes(reactor);
    }
    false
}

/// The same with an eye on the clock.
fn watched_items(
    reactor: ReactorItem,
    how: How,
    what: &'static CStr,
    slow: u64,
    one: impl Fn(ReactorItem) -> bool,
) -> bool {
    loop {
        let start = if slow == 0 { 0 } else { platform::monotonic_nanoseconds() };
        if !one(reactor) {
            return false;
        }
        if reactor.is_poisoned() {
            return true;
        }
        leave_scopes(reactor);
        if slow != 0 {
            let took = platform::monotonic_nanoseconds() - start;
            if took > slow {
                hooks::slow(reactor, took, what);
            }
        }
        if how.is_spent() && pending(reactor) {
            return true;
        }
    }
}

/// Whether the present turn has another item to start.
fn pending(reactor: ReactorItem) -> bool {
    let ready = reactor.turn.ready.borrow().len() > reactor.turn.next_ready.get();
    let due = reactor.now.get().is_some_and(|now| reactor.timers.borrow().is_due(now));
    ready || due || reactor.soon.is_running() || reactor.threads.has_posts() || reactor.has_ended()
}

/// What a callback entered and did not leave is left for it.
#[inline(always)]
fn leave_scopes(reactor: ReactorItem) {
    if reactor.scope.get() != 0 {
        super::scopes::restore(reactor, 0, 0);
    }
}

#[inline]
fn run_posted(reactor: ReactorItem) -> bool {
    reactor.threads.pop().map(|item| posts::run(reactor, item)).is_some()
}

#[inline]
fn run_soon(reactor: ReactorItem) -> bool {
    reactor.soon.run_one(reactor)
}

#[inline]
fn run_timer(reactor: ReactorItem) -> bool {
    let due = reactor.now.get().and_then(|now| reactor.timers.borrow_mut().next_due(now));
    due.map(|timer| timers::run(reactor, timer)).is_some()
}

fn run_ready(reactor: ReactorItem) -> bool {
    let next = reactor.turn.next_ready.get();
    let Some(ready) = reactor.turn.ready.borrow().get(next).copied() else {
        return false;
    };
    reactor.turn.next_ready.set(next + 1);
    if handles::is_of_kind(ready.key, Kind::Watcher) {
        watch::dispatch(reactor, ready);
    } else if let Some(of_kind) = reactor.above.by_kind.of(ready.key) {
        (of_kind.ready)(reactor, ready);
    }
    true
}

#[inline]
fn poll(reactor: ReactorItem, how: How) -> Result {
    match wait_time(reactor, how) {
        Some(0) => poll_driver(&reactor, Some(0))?,
        wait if !reactor.waits.are_told() => sleep(reactor, wait)?,
        _ => sleep_between_calls(reactor, how)?,
    }
    if reactor.keeps_something() {
        reactor.take_again(&mut reactor.turn.ready.borrow_mut());
    }
    Ok(())
}

#[inline]
fn poll_driver(reactor: &Reactor, wait: Option<u64>) -> Result {
    // Borrowed meanwhile: a driver calls nothing back.
    let driver = reactor.driver.borrow();
    driver.as_ref().expect("a reactor that is open has a driver").poll(wait, &mut reactor.turn.ready.borrow_mut())
}

#[inline(never)]
fn sleep_between_calls(reactor: ReactorItem, how: How) -> Result {
    let _wait = reactor.wait();
    // The host may have done something meanwhile that leaves less to wait for.
    match wait_time(reactor, how) {
        Some(0) => poll_driver(&reactor, Some(0)),
        wait => sleep(reactor, wait),
    }
}

#[inline(never)]
fn sleep(reactor: ReactorItem, wait: Option<u64>) -> Result {
    let wait = spin(reactor, wait)?;
    if wait == Some(0) || !reactor.threads.prepare_sleep() {
        return poll_driver(&reactor, Some(0));
    }
    let polled = poll_driver(&reactor, wait);
    reactor.threads.awake();
    polled
}

/// How long the poll may wait, in nanoseconds; only a wait that is one needs the clock again.
#[inline]
fn wait_time(reactor: ReactorItem, how: How) -> Option<u64> {
    if how.wait == Some(0) { how.wait } else { longest_wait(reactor, how) }
}

fn longest_wait(reactor: ReactorItem, how: How) -> Option<u64> {
    if reactor.manual.get().is_some() || reactor.is_simulated() {
        return Some(0);
    }
    let_posts_gather(reactor);
    if left_over(reactor) {
        return Some(0);
    }
    if reactor.state.get() == State::Idle || (how.until_idle && !reactor.has_work_later()) {
        return Some(0);
    }
    if reactor.stop_requested.get() || reactor.crash_requested.get() || !reactor.turn.ready.borrow().is_empty() {
        return Some(0);
    }
    if !reactor.has_timers() {
        return how.wait;
    }
    let now = reactor.read_clock();
    let mut wheel = reactor.timers.borrow_mut();
    wheel.settle(now);
    let deadline = wheel.bound().map(|deadline| deadline.saturating_sub(now));
    how.wait.into_iter().chain(deadline).min()
}

/// Pauses for a microsecond or two after a drain of several posts, but not of so many that the reactor is behind, where
/// posts are all that it has to do. Who takes them out as fast as they come pays a turn for every few of them, and works
/// on the cache lines that the poster is writing, which costs both more than the posts themselves.
fn let_posts_gather(reactor: ReactorItem) {
    let drained = reactor.threads.take_drained();
    let else_busy = reactor.turn.was_ready.get() || !reactor.soon.is_empty() || reactor.limits().spin != 0;
    if SEVERAL.contains(&drained) && !else_busy {
        (0..PAUSES).for_each(|_| std::hint::spin_loop());
    }
}

/// Before sleeping, looks for work for as long as the options say. Returns what is left to wait.
fn spin(reactor: ReactorItem, wait: Option<u64>) -> Result<Option<u64>> {
    let longest = reactor.limits().spin;
    if longest == 0 {
        return Ok(wait);
    }
    let start = platform::monotonic_nanoseconds();
    let end = start.saturating_add(wait.map_or(longest, |wait| longest.min(wait)));
    loop {
        for _ in 0..64 {
            if reactor.threads.has_posts() {
                return Ok(Some(0));
            }
            std::hint::spin_loop();
        }
        poll_driver(&reactor, Some(0))?;
        if !reactor.turn.ready.borrow().is_empty() {
            return Ok(Some(0));
        }
        let now = platform::monotonic_nanoseconds();
        if now >= end {
            return Ok(wait.map(|wait| wait.saturating_sub(now - start)));
        }
    }
}
