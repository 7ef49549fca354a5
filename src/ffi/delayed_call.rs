//! A delayed call, once it is scheduled.

use super::convert;
use super::guard;
use super::status::lariat_status;
use super::types::lariat_delayed_call;
use crate::reactor::timers;

/// Takes a delayed call back: it is not made, and its user data is freed.
///
/// errors   LARIAT_ERR_ALREADY_CALLED inside the call itself, LARIAT_ERR_ALREADY_CANCELLED inside the free of its user
///          data; LARIAT_ERR_STALE_HANDLE afterwards.
/// thread   the reactor's.
/// Twisted  IDelayedCall.cancel.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_delayed_call_cancel(delayed_call: *mut lariat_delayed_call) -> lariat_status {
    guard::quickly(delayed_call, timers::cancel_quickly).unwrap_or_else(|| cancel(delayed_call))
}

#[inline(never)]
fn cancel(delayed_call: *mut lariat_delayed_call) -> lariat_status {
    guard::on(delayed_call, timers::cancel)
}

/// Has a delayed call made after so many seconds from now, whatever it was before. It counts as scheduled anew.
///
/// seconds  0 to 1e9.
/// errors   as lariat_delayed_call_cancel.
/// thread   the reactor's.
/// Twisted  IDelayedCall.reset.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_delayed_call_reset(delayed_call: *mut lariat_delayed_call, seconds: f64) -> lariat_status {
    guard::quickly(delayed_call, |call| timers::reset_quickly(call, convert::some_delay(seconds)?))
        .unwrap_or_else(|| reset(delayed_call, seconds))
}

#[inline(never)]
fn reset(delayed_call: *mut lariat_delayed_call, seconds: f64) -> lariat_status {
    guard::on(delayed_call, |call| timers::reset(call, convert::delay("seconds", seconds)?))
}

/// Has a delayed call made so many seconds later than it would be. It counts as scheduled anew.
///
/// seconds  0 to 1e9.
/// errors   as lariat_delayed_call_cancel.
/// thread   the reactor's.
/// Twisted  IDelayedCall.delay.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_delayed_call_delay(delayed_call: *mut lariat_delayed_call, seconds: f64) -> lariat_status {
    guard::on(delayed_call, |call| timers::delay(call, convert::delay("seconds", seconds)?))
}

/// Tells whether a delayed call still waits to be made.
///
/// returns  1; 0 inside the call itself; negative: an error, LARIAT_ERR_STALE_HANDLE once it is over.
/// thread   the reactor's.
/// Twisted  IDelayedCall.active.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_delayed_call_active(delayed_call: *mut lariat_delayed_call) -> i32 {
    guard::on(delayed_call, |call| Ok(timers::is_active(call)))
}

/// Tells when a delayed call is to be made.
///
/// returns  seconds on the clock of lariat_reactor_seconds; NaN on failure.
/// thread   the reactor's.
/// Twisted  IDelayedCall.getTime.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_delayed_call_time(delayed_call: *mut lariat_delayed_call) -> f64 {
    guard::on(delayed_call, |call| Ok(convert::seconds(timers::deadline(call))))
}
