//! Starting, stopping, and the ways to drive the loop.

use super::turn::{How, turn};
use super::{Reactor, ReactorItem, State, soon};
use crate::handles::{Item, Kind};
use crate::platform::{self, Socket};
use crate::status::{Result, Status};

/// Turns at one instant before a clock that is moved by hand or by a simulation goes on: a call that adds itself again
/// with no delay must not hold it up.
const TURNS_AT_AN_INSTANT: u32 = 1000;

fn check_can_run(reactor: ReactorItem) -> Result {
    reactor.check_open()?;
    if reactor.is_calling_out() {
        return Err(Status::ERR_REENTRANT);
    }
    Ok(())
}

/// Fires the start-up triggers unless it has started.
#[inline]
pub(super) fn start(reactor: ReactorItem) {
    if reactor.state.get() == State::Idle {
        start_up(reactor);
    }
}

#[cold]
fn start_up(reactor: ReactorItem) {
    reactor.stopped_between.set(false);
    reactor.was_started.set(true);
    reactor.state.set(State::Starting);
    reactor.stop_requested.set(false);
    reactor.crash_requested.set(false);
    match reactor.above.fire_triggers.get() {
        Some(fire) => {
            let _out = reactor.call_out();
            fire(reactor, 0);
        }
        None => started(reactor),
    }
}

/// The start-up triggers are done.
pub fn started(reactor: ReactorItem) {
    if reactor.state.get() != State::Starting {
        return;
    }
    reactor.state.set(State::Running);
    let waiting = reactor.when_running.take();
    let _out = reactor.call_out();
    waiting.into_iter().for_each(|call| soon::run(reactor, call));
}

/// The shutdown triggers are done.
pub fn stopped(reactor: ReactorItem) {
    if reactor.state.get() == State::Stopping {
        reactor.state.set(State::Idle);
        // Between two turns: whoever drives the loop has still to be told.
        reactor.stopped_between.set(!reactor.is_turning() && !reactor.ends_turn.get());
        tell_above(reactor);
    }
}

fn tell_above(reactor: ReactorItem) {
    if let Some(stopped) = reactor.above.stopped.get() {
        stopped(reactor);
    }
}

/// What the turn was asked to do at its end.
#[inline]
pub(super) fn end_of_turn(reactor: ReactorItem) {
    if reactor.stop_requested.get() || reactor.crash_requested.get() {
        reactor.ends_turn.set(true);
        stop_if_asked(reactor);
        reactor.ends_turn.set(false);
    }
    if reactor.embedded.get() {
        arm_backend(&reactor);
    }
}

#[cold]
fn stop_if_asked(reactor: ReactorItem) {
    if reactor.crash_requested.replace(false) {
        reactor.stop_requested.set(false);
        reactor.state.set(State::Idle);
        tell_above(reactor);
    } else if reactor.state.get() == State::Running && reactor.stop_requested.replace(false) {
        reactor.state.set(State::Stopping);
        match reactor.above.fire_triggers.get() {
            Some(fire) => fire(reactor, 1),
            None => stopped(reactor),
        }
    }
}

/// Runs until stopped.
pub fn run(reactor: ReactorItem) -> Result {
    check_can_run(reactor)?;
    if reactor.manual.get().is_some() {
        return Err(Status::ERR_INVALID_STATE.because("a reactor with a manual clock is moved by advance and iterate"));
    }
    start(reactor);
    if reactor.is_simulated() {
        return super::simulation::run_reactor(reactor);
    }
    let _out = reactor.call_out();
    while reactor.state.get() != State::Idle {
        turn(reactor, How { wait: None, budget_end: None, until_idle: false })?;
    }
    reactor.stopped_between.set(false);
    Ok(())
}

/// Runs until nothing is left that could call back, or until stopped.
pub fn run_until_idle(reactor: ReactorItem) -> Result {
    check_can_run(reactor)?;
    start(reactor);
    if reactor.is_simulated() {
        return super::simulation::run_reactor_until_idle(reactor);
    }
    while reactor.state.get() != State::Idle && reactor.has_work() {
        turn(reactor, How { wait: None, budget_end: None, until_idle: true })?;
    }
    Ok(())
}

/// One turn that waits at most `wait` nanoseconds (None: no limit).
pub fn iterate(reactor: ReactorItem, wait: Option<u64>) -> Result<Status> {
    one_turn(reactor, How { wait, budget_end: None, until_idle: false })
}

/// One turn that does not wait and starts nothing after `budget` nanoseconds.
pub fn run_frame(reactor: ReactorItem, budget: u64) -> Result<Status> {
    let budget_end = Some(platform::monotonic_nanoseconds().saturating_add(budget));
    one_turn(reactor, How { wait: Some(0), budget_end, until_idle: false })
}

fn one_turn(reactor: ReactorItem, how: How) -> Result<Status> {
    check_can_run(reactor)?;
    if reactor.stopped_between.replace(false) {
        return Ok(Status::STOPPED);
    }
    start(reactor);
    if reactor.embedded.get() {
        reactor.threads.awake();
    }
    if reactor.is_simulated() && how.wait != Some(0) {
        super::simulation::wait_for_work(reactor, how.wait)?;
    }
    let status = turn(reactor, how)?;
    Ok(if reactor.state.get() == State::Idle { Status::STOPPED } else { status })
}

/// Asks the loop to end after this turn, through the shutdown triggers.
pub fn stop(reactor: ReactorItem) -> Result {
    let stoppable = matches!(reactor.state.get(), State::Starting | State::Running);
    if !stoppable || reactor.stop_requested.get() {
        return Err(Status::ERR_NOT_RUNNING);
    }
    reactor.stop_requested.set(true);
    reactor.work_added();
    Ok(())
}

/// Asks the loop to end after this turn, without the shutdown triggers.
pub fn crash(reactor: ReactorItem) -> Result {
    if matches!(reactor.state.get(), State::Idle | State::Closing) {
        return Err(Status::ERR_NOT_RUNNING);
    }
    reactor.crash_requested.set(true);
    reactor.work_added();
    Ok(())
}

/// Moves a manual clock, deadline by deadline, making turns.
pub fn advance(reactor: ReactorItem, by: u64) -> Result {
    check_can_run(reactor)?;
    let Some(now) = reactor.manual.get() else {
        return Err(Status::ERR_INVALID_STATE.because("only a manual clock can be advanced"));
    };
    start(reactor);
    let target = now.saturating_add(by);
    let mut at_instant = 0;
    while let Some(deadline) = reactor.next_timer().filter(|deadline| *deadline <= target) {
        let now = reactor.manual.get().unwrap_or(target);
        at_instant = if deadline > now { 0 } else { at_instant + 1 };
        if at_instant > TURNS_AT_AN_INSTANT {
            break;
        }
        reactor.manual.set(Some(deadline.max(now)));
        turn(reactor, How::AT_ONCE)?;
        if reactor.state.get() == State::Idle {
            break;
        }
    }
    reactor.manual.set(Some(target));
    if reactor.state.get() != State::Idle {
        turn(reactor, How::AT_ONCE)?;
    }
    Ok(())
}

impl Item<Reactor> {
    /// Whether anything is left that could call back.
    pub(super) fn has_work(self) -> bool {
        self.has_work_now() || self.has_work_later()
    }

    /// Whether anything is there to be waited for.
    pub(super) fn has_work_later(self) -> bool {
        let jobs = self.above.jobs.get().is_some_and(|jobs| jobs(self).0 != 0);
        let timers = self.has_timers() && (self.manual.get().is_none() || self.has_timer_due());
        let watched = [Kind::Listener, Kind::Transport, Kind::DatagramPort, Kind::SignalWatch, Kind::FileWatch];
        timers
            || jobs
            || self.watches_something()
            || self.look_ups.get() != 0
            || self.processes.get() != 0
            || watched.iter().any(|kind| self.pools.alive(*kind) != 0)
    }
}

impl Reactor {
    /// Whether a delayed call waits.
    #[inline]
    pub(super) fn has_timers(&self) -> bool {
        self.pools.alive(Kind::DelayedCall) != 0
    }

    /// The earliest deadline of a timer, staged ones filed first.
    pub(super) fn next_timer(&self) -> Option<u64> {
        let now = self.read_clock();
        let mut wheel = self.timers.borrow_mut();
        wheel.settle(now);
        wheel.next_deadline()
    }

    /// Whether a turn would find something at once.
    pub(super) fn has_work_now(&self) -> bool {
        let stopping = self.stop_requested.get() || self.crash_requested.get() || self.stopped_between.get();
        stopping || self.is_mid_turn() || !self.soon.is_empty() || self.threads.has_posts() || self.keeps_something()
    }

    fn has_timer_due(&self) -> bool {
        self.next_timer().is_some_and(|deadline| deadline <= self.read_clock())
    }

    /// How long a host may wait before it makes the next turn, in nanoseconds; None: for ever.
    pub fn next_deadline(&self) -> Option<u64> {
        if self.has_work_now() {
            return Some(0);
        }
        let deadline = self.next_timer()?;
        Some(deadline.saturating_sub(self.read_clock()))
    }
}

/// The descriptor that becomes readable when there is work; from here on it is kept armed.
pub fn backend(reactor: ReactorItem) -> Result<Socket> {
    let socket = reactor.driver().backend()?;
    reactor.embedded.set(true);
    arm_backend(&reactor);
    Ok(socket)
}

/// Makes the backend descriptor readable when the next turn has something to do.
pub(super) fn arm_backend(reactor: &Reactor) {
    let idle = reactor.threads.prepare_sleep();
    let wait = if idle { reactor.next_deadline() } else { Some(0) };
    reactor.driver().arm(wait);
}
