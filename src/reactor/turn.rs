//! A turn: calls from threads and soon-calls that were there when it began; due timers; poll; readiness; the end of a
//! run if one was asked for. A frame with a budget may leave it in the middle and go on from there.

use super::{Reactor, ReactorItem, State, hooks, posts, run, timers, watch};
use crate::driver::Ready;
use crate::platform;
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::ffi::CStr;
use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Begin,
    Threads,
    Soon,
    Timers,
    Poll,
    Ready,
}

/// Where the turn is.
#[derive(Default)]
pub struct Turn {
    phase: Cell<Phase>,
    ready: RefCell<Vec<Ready>>,
    next_ready: Cell<usize>,
}

/// How a turn is made.
#[derive(Clone, Copy)]
pub struct How {
    /// The longest wait for something to happen; None: no limit.
    pub wait: Option<Duration>,
    /// The monotonic time at which no further item is started; the first always is.
    pub budget_end: Option<u64>,
    /// Without a wait when nothing is left that could call back.
    pub until_idle: bool,
}

impl How {
    /// A turn that does not wait.
    pub const AT_ONCE: How = How { wait: Some(Duration::ZERO), budget_end: None, until_idle: false };

    fn is_spent(self) -> bool {
        self.budget_end.is_some_and(|end| platform::monotonic_nanoseconds() >= end)
    }
}

impl Turn {
    pub(super) fn clear(&self) {
        self.phase.set(Phase::Begin);
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

fn phases(reactor: ReactorItem, how: How) -> Result<Status> {
    let phase = &reactor.turn.phase;
    loop {
        let (next, more) = match phase.get() {
            Phase::Begin => {
                reactor.threads.begin_drain();
                reactor.soon.begin();
                // What the calls of this turn schedule waits for the next one.
                reactor.now.set(reactor.read_clock());
                reactor.timers.borrow_mut().expire(reactor.now.get());
                (Phase::Threads, false)
            }
            Phase::Threads => (Phase::Soon, items(reactor, how, c"call from a thread", run_posted)),
            Phase::Soon => (Phase::Timers, items(reactor, how, c"call_soon call", run_soon)),
            Phase::Timers => (Phase::Poll, items(reactor, how, c"delayed call", run_timer)),
            Phase::Poll => {
                poll(reactor, how)?;
                (Phase::Ready, false)
            }
            Phase::Ready if items(reactor, how, c"readiness callback", run_ready) => (Phase::Ready, true),
            Phase::Ready => {
                reactor.turn.ready.borrow_mut().clear();
                reactor.turn.next_ready.set(0);
                phase.set(Phase::Begin);
                return Ok(Status::OK);
            }
        };
        if more || reactor.is_poisoned() {
            return Ok(Status::MORE);
        }
        phase.set(next);
    }
}

/// Work that the present turn leaves to the next.
fn left_over(reactor: ReactorItem) -> bool {
    !reactor.soon.is_empty() || reactor.threads.has_posts()
}

/// Runs one item after the other until there are none; true if the budget ended before.
#[inline]
fn items(reactor: ReactorItem, how: How, what: &'static CStr, one: impl Fn(ReactorItem) -> bool) -> bool {
    if how.budget_end.is_none() && reactor.limits().slow == 0 {
        while one(reactor) && !reactor.is_poisoned() {
            leave_scopes(reactor);
        }
        return false;
    }
    loop {
        let slow = reactor.limits().slow;
        let start = if slow == 0 { 0 } else { platform::monotonic_nanoseconds() };
        if !one(reactor) || reactor.is_poisoned() {
            return false;
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
    let due = reactor.timers.borrow().is_due(reactor.now.get());
    ready || due || reactor.soon.is_running() || reactor.threads.has_posts()
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
    let due = reactor.timers.borrow_mut().next_due(reactor.now.get());
    due.map(|timer| timers::run(reactor, timer)).is_some()
}

fn run_ready(reactor: ReactorItem) -> bool {
    let next = reactor.turn.next_ready.get();
    let Some(ready) = reactor.turn.ready.borrow().get(next).copied() else {
        return false;
    };
    reactor.turn.next_ready.set(next + 1);
    watch::dispatch(reactor, ready);
    true
}

fn poll(reactor: ReactorItem, how: How) -> Result {
    let mut wait = wait_time(reactor, how);
    if wait.is_none_or(|wait| !wait.is_zero()) {
        wait = spin(reactor, wait)?;
    }
    let sleeps = wait.is_none_or(|wait| !wait.is_zero());
    if sleeps && !reactor.threads.prepare_sleep() {
        wait = Some(Duration::ZERO);
    }
    let driver = reactor.driver();
    let polled = driver.poll(wait, &mut reactor.turn.ready.borrow_mut());
    if sleeps {
        reactor.threads.awake();
    }
    polled
}

/// How long the poll may wait; only a wait that is one needs the clock again.
fn wait_time(reactor: ReactorItem, how: How) -> Option<Duration> {
    let zero = Some(Duration::ZERO);
    let limit = how.wait;
    if limit == zero || reactor.manual.get().is_some() || reactor.is_simulated() || left_over(reactor) {
        return zero;
    }
    if reactor.state.get() == State::Idle || (how.until_idle && !reactor.has_work_later()) {
        return zero;
    }
    if reactor.stop_requested.get() || reactor.crash_requested.get() || !reactor.turn.ready.borrow().is_empty() {
        return zero;
    }
    let now = reactor.read_clock();
    let mut wheel = reactor.timers.borrow_mut();
    wheel.settle(now);
    let deadline = wheel.bound().map(|deadline| Duration::from_nanos(deadline.saturating_sub(now)));
    limit.into_iter().chain(deadline).min()
}

/// Before sleeping, looks for work for as long as the options say. Returns what is left to wait.
fn spin(reactor: ReactorItem, wait: Option<Duration>) -> Result<Option<Duration>> {
    let longest = reactor.limits().spin;
    if longest == 0 {
        return Ok(wait);
    }
    let start = platform::monotonic_nanoseconds();
    let end = start.saturating_add(wait.map_or(longest, |wait| longest.min(wait.as_nanos() as u64)));
    let driver = reactor.driver();
    loop {
        for _ in 0..64 {
            if reactor.threads.has_posts() {
                return Ok(Some(Duration::ZERO));
            }
            std::hint::spin_loop();
        }
        driver.poll(Some(Duration::ZERO), &mut reactor.turn.ready.borrow_mut())?;
        let now = platform::monotonic_nanoseconds();
        if now >= end || !reactor.turn.ready.borrow().is_empty() {
            let found = !reactor.turn.ready.borrow().is_empty();
            let left = wait.map(|wait| wait.saturating_sub(Duration::from_nanos(now - start)));
            return Ok(if found { Some(Duration::ZERO) } else { left });
        }
    }
}
