//! Inside a callback of a Deferred: recording another outcome than the return value.

use super::convert;
use super::guard;
use super::types::*;
use crate::deferred::outcome;
use crate::handles::{Owned, Word};
use std::ffi::{c_char, c_void};

/// Makes a value the outcome of the running callback, as its return value would be, but owned: free_value(value) is
/// called when the Deferred that it ends up in is reclaimed, unless somebody takes it, or before this fails. The last
/// outcome recorded wins.
///
/// deferred    the one whose callback is running.
/// value       may be NULL; the library's from here on.
/// free_value  may be NULL.
/// returns     NULL, for the callback to return.
/// errors      LARIAT_ERR_INVALID_STATE outside of a callback of the Deferred.
/// thread      the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_return(
    deferred: *mut lariat_deferred,
    value: *mut c_void,
    free_value: lariat_free_fn,
) -> *mut c_void {
    let value = convert::owned(value, free_value);
    guard::on(deferred, move |deferred| outcome::record_return(deferred, value).map(null))
}

/// Makes a failure the outcome of the running callback. The last outcome recorded wins.
///
/// deferred  the one whose callback is running.
/// code      not 0: negative one of lariat's, positive the program's own.
/// message   UTF-8, copied; may be NULL: the code's own text.
/// returns   NULL, for the callback to return.
/// errors    LARIAT_ERR_INVALID_STATE outside of a callback of the Deferred.
/// thread    the reactor's.
/// Twisted   raising an exception.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_fail(
    deferred: *mut lariat_deferred,
    code: i32,
    message: *const c_char,
) -> *mut c_void {
    guard::on(deferred, |deferred| {
        let message = convert::text("message", message)?;
        outcome::record_fail(deferred, &convert::reason(code, 0, message)?, Owned::default()).map(null)
    })
}

/// The same as lariat_deferred_fail, with all that a failure can say.
///
/// os_error      an error number of the operating system; 0: none.
/// payload       may be NULL; the library's from here on.
/// free_payload  may be NULL; called once, when the failure is gone, or before this fails.
/// thread        the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_fail_full(
    deferred: *mut lariat_deferred,
    code: i32,
    os_error: i32,
    message: *const c_char,
    payload: *mut c_void,
    free_payload: lariat_free_fn,
) -> *mut c_void {
    let payload = convert::owned(payload, free_payload);
    guard::on(deferred, move |deferred| {
        let message = convert::text("message", message)?;
        outcome::record_fail(deferred, &convert::reason(code, os_error, message)?, payload).map(null)
    })
}

/// Makes a failure that came from elsewhere the outcome of the running callback, unchanged.
///
/// deferred  the one whose callback is running.
/// failure   of the same reactor; stays who holds it's.
/// returns   NULL, for the callback to return.
/// errors    LARIAT_ERR_INVALID_STATE outside of a callback of the Deferred; LARIAT_ERR_WRONG_REACTOR.
/// thread    the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_fail_failure(
    deferred: *mut lariat_deferred,
    failure: *const lariat_failure,
) -> *mut c_void {
    guard::on(deferred, |deferred| {
        let failure = convert::held(deferred.root(), Word::new(failure))?;
        outcome::record_failure(deferred, failure).map(null)
    })
}

/// Makes the failure that the running errback got its outcome: it has not handled it.
///
/// deferred  the one whose errback is running.
/// returns   NULL, for the errback to return.
/// errors    LARIAT_ERR_INVALID_STATE outside of an errback of the Deferred.
/// thread    the reactor's.
/// Twisted   returning the Failure.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_refail(deferred: *mut lariat_deferred) -> *mut c_void {
    guard::on(deferred, |deferred| outcome::record_refail(deferred).map(null))
}

/// Makes the result of another Deferred the outcome of the running callback: the chain waits until it is there, and
/// the result moves over with its free function. So return lariat_deferred_wait_for(deferred, fetch(reactor, url)) is
/// right whether fetch starts or not.
///
/// deferred  the one whose callback is running.
/// other     of the same reactor; handed over: released for the caller. NULL fails the chain with this thread's last
///           error, and one that cannot be waited for with the reason: LARIAT_ERR_ALREADY_WAITED, LARIAT_ERR_RELEASED,
///           LARIAT_ERR_CYCLE, LARIAT_ERR_WRONG_REACTOR and so on.
/// returns   NULL, for the callback to return.
/// errors    LARIAT_ERR_INVALID_STATE outside of a callback of the Deferred; the reason for which the chain fails.
/// thread    the reactor's.
/// Twisted   returning a Deferred.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_wait_for(deferred: *mut lariat_deferred, other: *mut lariat_deferred) -> *mut c_void {
    guard::on(deferred, |deferred| outcome::record_wait(deferred, Word::new(other)).map(null))
}

/// Takes the present value out of the library's hands: it will not free it any more. The value stays the result.
/// Outside of callbacks it takes that of a Deferred that has fired.
///
/// returns  the value, now the caller's; NULL if it is NULL, if there is a failure, or on failure.
/// errors   LARIAT_ERR_NOT_CALLED while there is no value; LARIAT_ERR_RELEASED outside of its callbacks, once the
///          waiter has released it or handed it over.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_take(deferred: *mut lariat_deferred) -> *mut c_void {
    guard::on(deferred, outcome::take)
}

/// What a callback returns that has recorded its outcome.
fn null((): ()) -> Word {
    Word::NULL
}
