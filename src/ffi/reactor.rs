//! The reactor: making, running, stopping, embedding and freeing it.

use super::convert;
use super::guard;
use super::options::lariat_reactor_options;
use super::status::lariat_status;
use super::structs;
use super::types::*;
use crate::handles::{Kind, Word};
use crate::reactor::hooks::Hooks;
use crate::reactor::{self, Limits, ReactorItem, Seam, State, close, posts, run};
use crate::status::{Result, Status};

/// Makes a reactor of the calling thread, with the default options.
///
/// returns  the reactor, to be freed by lariat_reactor_free; NULL on failure.
/// errors   LARIAT_ERR_OS when the system has no descriptors left.
/// thread   any: it becomes the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_new() -> *mut lariat_reactor {
    guard::alone(|| {
        guard::quiet_panics();
        reactor::open(Seam::Real, Limits::default(), Hooks::default())
    })
}

/// Makes a reactor of the calling thread.
///
/// options  filled by lariat_reactor_options_init, then changed; copied. The user data in it is the library's from
///          here on, where a free function comes with it, also when this fails.
/// returns  the reactor, to be freed by lariat_reactor_free; NULL on failure.
/// errors   LARIAT_ERR_INVALID_ARGUMENT for a field that is not what its comment asks for, or that is set but unknown
///          to this version of the library; LARIAT_ERR_OS when the system has no descriptors left.
/// thread   any: it becomes the reactor's; of a simulated one, the simulation's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_new_with_options(options: *const lariat_reactor_options) -> *mut lariat_reactor {
    guard::alone(|| {
        guard::quiet_panics();
        let given = structs::read("options", options)?;
        let hooks = given.hooks();
        structs::check_tail("options", options)?;
        open(given.seam()?, given.limits()?, hooks, (given.max_delayed_calls, given.max_deferreds))
    })
}

/// A reactor with at most so many delayed calls and Deferreds; 0: no limit.
pub(super) fn open(seam: Seam, limits: Limits, hooks: Hooks, (calls, deferreds): (u64, u64)) -> Result<ReactorItem> {
    let reactor = reactor::open(seam, limits, hooks)?;
    let at_most = |kind, limit: u64| reactor.pools.set_limit(kind, u32::try_from(limit).unwrap_or(u32::MAX));
    at_most(Kind::DelayedCall, calls);
    at_most(Kind::Deferred, deferreds);
    Ok(reactor)
}

/// Ends a reactor and all that lives in it; every handle of it is stale from here on. Calls from threads that were
/// accepted before are made; Deferreds are cancelled; delayed calls, soon-calls, watchers and triggers only free their
/// user data; running jobs are waited for, shutdown_seconds at most. What ends is told before this returns.
///
/// reactor  any, running or not; also one that answers LARIAT_ERR_PANIC.
/// errors   LARIAT_ERR_BUSY inside one of its callbacks: stop it there, free it when run has returned.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_free(reactor: *mut lariat_reactor) -> lariat_status {
    guard::ending(reactor, close::free, |word, why| match why {
        Status::ERR_PANIC if close::forget(word) => Ok(()),
        why => Err(why),
    })
}

/// Moves an idle reactor to the calling thread, whose calls it takes from here on.
///
/// reactor  not running, not inside a call of its thread.
/// errors   LARIAT_ERR_BUSY when it is used by its own thread just now; LARIAT_ERR_NOT_SUPPORTED when it is simulated.
/// thread   the one that wants it.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_adopt(reactor: *mut lariat_reactor) -> lariat_status {
    guard::any_thread(reactor, |reactor, _| close::adopt(reactor))
}

/// Runs the reactor until it is stopped: the start-up triggers, turn after turn, the shutdown triggers. It may run
/// again afterwards. A simulated one runs its whole simulation meanwhile.
///
/// errors   LARIAT_ERR_REENTRANT inside one of its callbacks; LARIAT_ERR_INVALID_STATE with a manual clock;
///          LARIAT_ERR_DEADLOCK when nothing can ever happen again in the simulation; LARIAT_ERR_OS when polling
///          fails.
/// thread   the reactor's. All callbacks come from here.
/// Twisted  IReactorCore.run.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_run(reactor: *mut lariat_reactor) -> lariat_status {
    guard::on(reactor, run::run)
}

/// Runs the reactor until nothing is left that could call back, or until it is stopped. Delayed calls, soon-calls,
/// jobs and watchers with an interest count as left; Deferreds, locks and the like do not. No shutdown triggers run
/// unless it is stopped. With a manual clock it does what is due.
///
/// errors  LARIAT_ERR_REENTRANT inside one of its callbacks; LARIAT_ERR_OS when polling fails.
/// thread  the reactor's. All callbacks come from here.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_run_until_idle(reactor: *mut lariat_reactor) -> lariat_status {
    guard::on(reactor, run::run_until_idle)
}

/// Does a frame's share of work and never waits: at least one item, then items until the budget is spent. What is left
/// goes on in the next frame, in order. The first frame starts the reactor.
///
/// budget_seconds  real time, 0 or more, or INFINITY for a whole turn.
/// returns         LARIAT_OK: a turn is complete; LARIAT_MORE: the budget ran out with work left; LARIAT_STOPPED: it
///                 has stopped, and its shutdown triggers are done; negative: an error.
/// errors          LARIAT_ERR_REENTRANT inside one of its callbacks; LARIAT_ERR_OS when polling fails.
/// thread          the reactor's. Callbacks come from here.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_run_frame(reactor: *mut lariat_reactor, budget_seconds: f64) -> lariat_status {
    guard::on(reactor, |reactor| {
        let budget = convert::wait("budget_seconds", budget_seconds)?;
        run::run_frame(reactor, budget.unwrap_or(u64::MAX))
    })
}

/// Makes one turn: calls from threads, soon-calls, due delayed calls, a poll, readiness. The first one starts the
/// reactor.
///
/// max_wait_seconds  how long the poll may wait, 0 or more, or INFINITY. It waits only when there is nothing to do,
///                   and never with a manual clock; of a simulation, it is simulated time.
/// returns           LARIAT_OK, or LARIAT_STOPPED when the reactor has stopped; negative: an error.
/// errors            LARIAT_ERR_REENTRANT inside one of its callbacks; LARIAT_ERR_OS when polling fails.
/// thread            the reactor's. Callbacks come from here.
/// Twisted           ReactorBase.iterate.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_iterate(reactor: *mut lariat_reactor, max_wait_seconds: f64) -> lariat_status {
    guard::on(reactor, |reactor| {
        let wait = convert::wait("max_wait_seconds", max_wait_seconds)?;
        run::iterate(reactor, wait)
    })
}

/// Asks a running reactor to stop: the turn in progress is finished, the shutdown triggers run, then run returns.
///
/// errors   LARIAT_ERR_NOT_RUNNING before it has started, or when it was asked already.
/// thread   the reactor's; from others lariat_reactor_stop_from_thread.
/// Twisted  IReactorCore.stop.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_stop(reactor: *mut lariat_reactor) -> lariat_status {
    guard::on(reactor, run::stop)
}

/// Asks a reactor to stop, as lariat_reactor_stop does, on its next turn. Nothing happens if it is not running then.
///
/// returns  LARIAT_OK: the request is queued.
/// errors   LARIAT_ERR_CLOSED while it is being freed.
/// thread   any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_stop_from_thread(reactor: *mut lariat_reactor) -> lariat_status {
    fn stop(reactor: ReactorItem) {
        // One that does not run, or stops already, needs no asking.
        let _ = run::stop(reactor);
    }
    guard::any_thread(reactor, |reactor, _| post(reactor, stop))
}

/// Sends a message to a reactor of any thread.
pub(super) fn post(reactor: Word, message: impl FnOnce(ReactorItem) + Send + 'static) -> Result {
    posts::post_message(reactor, Box::new(message))
}

/// Makes run return after the turn in progress, without the shutdown triggers. The reactor may run again.
///
/// errors   LARIAT_ERR_NOT_RUNNING before it has started.
/// thread   the reactor's.
/// Twisted  IReactorCore.crash.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_crash(reactor: *mut lariat_reactor) -> lariat_status {
    guard::on(reactor, run::crash)
}

/// Tells whether the reactor is running: from the end of the start-up triggers to the end of the shutdown triggers,
/// whether it is driven by run, by frames or by iterate.
///
/// returns  1 or 0; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_running(reactor: *mut lariat_reactor) -> i32 {
    guard::on(reactor, |reactor| Ok(matches!(reactor.state(), State::Running | State::Stopping)))
}

/// Tells the time on the reactor's clock, which never goes back: only differences mean something.
///
/// returns  seconds; NaN on failure. A manual or simulated clock starts at 0.
/// thread   the reactor's.
/// Twisted  IReactorTime.seconds.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_seconds(reactor: *mut lariat_reactor) -> f64 {
    guard::on(reactor, |reactor| Ok(convert::seconds(reactor.read_clock())))
}

/// Moves a manual clock, deadline by deadline, and makes at each the delayed calls that are due, with all that a turn
/// does. A call that it schedules within that time is made too.
///
/// seconds  0 to 1e9.
/// errors   LARIAT_ERR_INVALID_STATE without a manual clock; LARIAT_ERR_REENTRANT inside one of its callbacks.
/// thread   the reactor's. Callbacks come from here.
/// Twisted  Clock.advance.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_advance(reactor: *mut lariat_reactor, seconds: f64) -> lariat_status {
    guard::on(reactor, |reactor| run::advance(reactor, convert::delay("seconds", seconds)?))
}

/// Tells how long a host that polls the backend descriptor itself may wait before it makes the next turn.
///
/// returns  seconds: 0 when there is work now, INFINITY when only the descriptor can tell; NaN on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_next_deadline(reactor: *mut lariat_reactor) -> f64 {
    guard::on(reactor, |reactor| Ok(reactor.next_deadline().map_or(f64::INFINITY, convert::seconds)))
}

/// Gives a descriptor that is readable whenever a turn would find something: for a host with an event loop of its own,
/// which then calls lariat_reactor_iterate with 0. On Linux delayed calls and queued calls make it readable too;
/// elsewhere lariat_reactor_next_deadline tells how long to wait at most.
///
/// fd      written: the reactor's, not to be read from or closed.
/// errors  LARIAT_ERR_NOT_SUPPORTED on Windows and when simulated.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_backend_fd(reactor: *mut lariat_reactor, fd: *mut lariat_socket) -> lariat_status {
    guard::on(reactor, |reactor| {
        let fd = convert::out("fd", fd)?;
        fd.write(run::backend(reactor)?);
        Ok(())
    })
}
