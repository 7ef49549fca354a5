//! Looping calls.

use super::convert::{self, invalid};
use super::guard;
use super::status::lariat_status;
use super::types::*;
use crate::deferred::looping_call;
use crate::handles::Owned;
use std::ffi::c_void;

/// Makes a looping call, which calls fn(looping_call, user_data) over and over once it is started. It never overlaps
/// itself: it waits for the Deferred that fn returns, and skips the intervals that pass meanwhile.
///
/// user_data  may be NULL; passed through.
/// returns    the looping call, to be freed by lariat_looping_call_free or with its scope or reactor; NULL on failure.
/// thread     the reactor's.
/// Twisted    task.LoopingCall.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_looping_call_new(
    reactor: *mut lariat_reactor,
    r#fn: lariat_looping_fn,
    user_data: *mut c_void,
) -> *mut lariat_looping_call {
    new(reactor, r#fn, convert::borrowed(user_data))
}

/// The same as lariat_looping_call_new, with user_data owned by the library from here on: free_user_data(user_data) is
/// called exactly once, when the looping call is gone and its function has returned, or before this returns NULL.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_looping_call_new_full(
    reactor: *mut lariat_reactor,
    r#fn: lariat_looping_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> *mut lariat_looping_call {
    new(reactor, r#fn, convert::owned(user_data, free_user_data))
}

/// The same as lariat_looping_call_new, but it queues an event, LARIAT_EVENT_LOOPING_CALL, instead of calling.
///
/// tag     any number; comes back in the events.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_looping_call_new_event(reactor: *mut lariat_reactor, tag: u64) -> *mut lariat_looping_call {
    guard::on(reactor, |reactor| looping_call::open(reactor, None, convert::tag(tag)))
}

fn new(reactor: *mut lariat_reactor, function: lariat_looping_fn, data: Owned) -> *mut lariat_looping_call {
    guard::on(reactor, move |reactor| {
        let function = convert::required("fn", convert::looping_fn(function))?;
        looping_call::open(reactor, Some(function), data)
    })
}

/// Starts a looping call, which keeps its phase: it is called at whole intervals after the start.
///
/// interval_seconds  0 to 1e9; 0: once a turn.
/// now               1: the first call comes from inside this one; 0: after the first interval.
/// returns           a Deferred that fires when the loop is stopped, with the looping call as its value, or fails with
///                   the failure of fn's Deferred, or with LARIAT_ERR_CLOSED when it is freed; NULL on failure.
/// errors            LARIAT_ERR_INVALID_STATE when it is running.
/// thread            the reactor's.
/// Twisted           LoopingCall.start.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_looping_call_start(
    looping_call: *mut lariat_looping_call,
    interval_seconds: f64,
    now: i32,
) -> *mut lariat_deferred {
    guard::on(looping_call, |looping| {
        let interval = convert::delay("interval_seconds", interval_seconds)?;
        match now {
            0 | 1 => looping_call::start(looping, interval, now == 1),
            _ => Err(invalid(format_args!("now is {now}; it must be 0 or 1"))),
        }
    })
}

/// Stops a looping call: its Deferred fires, from inside this call. It may be started again.
///
/// errors   LARIAT_ERR_INVALID_STATE when it is not running.
/// thread   the reactor's.
/// Twisted  LoopingCall.stop.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_looping_call_stop(looping_call: *mut lariat_looping_call) -> lariat_status {
    guard::on(looping_call, looping_call::stop)
}

/// Skips the next call of a looping call: the one after that comes a whole interval from now, and so does its phase.
///
/// errors   LARIAT_ERR_INVALID_STATE when it is not running.
/// thread   the reactor's.
/// Twisted  LoopingCall.reset.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_looping_call_reset(looping_call: *mut lariat_looping_call) -> lariat_status {
    guard::on(looping_call, looping_call::reset)
}

/// Tells whether a looping call was started and not stopped.
///
/// returns  1 or 0; negative: an error.
/// thread   the reactor's.
/// Twisted  LoopingCall.running.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_looping_call_running(looping_call: *mut lariat_looping_call) -> i32 {
    guard::on(looping_call, |looping| Ok(looping_call::is_running(looping)))
}

/// Tells, inside its function, how many intervals have passed since the call before: 1, or more if some were skipped.
///
/// returns  the count; 0 before the first call; negative: an error.
/// thread   the reactor's.
/// Twisted  LoopingCall.withCount.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_looping_call_count(looping_call: *mut lariat_looping_call) -> i64 {
    guard::on(looping_call, |looping| Ok(looping_call::count(looping)))
}

/// Ends a looping call: if it is running, its Deferred fails with LARIAT_ERR_CLOSED, from inside this call. Its handle
/// is stale from here on; inside its own function, once that has returned.
///
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_looping_call_free(looping_call: *mut lariat_looping_call) -> lariat_status {
    guard::on(looping_call, |looping| {
        looping_call::free(looping);
        Ok(())
    })
}
