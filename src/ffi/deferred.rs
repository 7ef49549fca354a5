//! The Deferred: making one, and the worker's end of it, from the reactor's thread.

use super::convert;
use super::guard;
use super::status::lariat_status;
use super::types::*;
use crate::deferred::{DeferredItem, chain, failure, later};
use crate::handles::{Owned, Word};
use crate::status::Result;
use std::ffi::{c_char, c_void};

/// Makes a Deferred, which has two ends: the waiter's, over when it is released or handed over, and the worker's, over
/// when it is fired or abandoned. When both are over and its callbacks have run, it is reclaimed.
///
/// returns  the Deferred; NULL on failure.
/// errors   LARIAT_ERR_LIMIT at options.max_deferreds.
/// thread   the reactor's.
/// Twisted  Deferred.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_new(reactor: *mut lariat_reactor) -> *mut lariat_deferred {
    guard::quickly(reactor, chain::new_quickly).unwrap_or_else(|| new(reactor))
}

#[inline(never)]
fn new(reactor: *mut lariat_reactor) -> *mut lariat_deferred {
    guard::on(reactor, chain::new)
}

/// Makes a Deferred whose worker wants to know when nobody wants the result any more.
///
/// canceller  called at most once, inside lariat_deferred_cancel or the end of the Deferred's scope or reactor.
/// user_data  may be NULL; passed through.
/// returns    the Deferred; NULL on failure.
/// errors     as lariat_deferred_new.
/// thread     the reactor's.
/// Twisted    Deferred with a canceller.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_new_with_canceller(
    reactor: *mut lariat_reactor,
    canceller: lariat_canceller_fn,
    user_data: *mut c_void,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| {
        let canceller = convert::required("canceller", convert::canceller_fn(canceller))?;
        chain::new_with_canceller(reactor, Some(canceller), convert::borrowed(user_data))
    })
}

/// The same as lariat_deferred_new_with_canceller, with user_data owned by the library from here on:
/// free_user_data(user_data) is called exactly once, when the Deferred is reclaimed, or before this returns NULL.
///
/// canceller       may be NULL.
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_new_full(
    reactor: *mut lariat_reactor,
    canceller: lariat_canceller_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> *mut lariat_deferred {
    let data = convert::owned(user_data, free_user_data);
    guard::on(reactor, move |reactor| chain::new_with_canceller(reactor, convert::canceller_fn(canceller), data))
}

/// Makes a Deferred that has fired with a value.
///
/// value    may be NULL; stays the caller's to free.
/// returns  the Deferred; NULL on failure.
/// errors   as lariat_deferred_new.
/// thread   the reactor's.
/// Twisted  succeed.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_new_succeeded(
    reactor: *mut lariat_reactor,
    value: *mut c_void,
) -> *mut lariat_deferred {
    new_succeeded(reactor, convert::borrowed(value))
}

/// The same as lariat_deferred_new_succeeded, with the value owned by the library from here on: free_value(value) is
/// called when the Deferred is reclaimed, unless somebody takes it, or before this returns NULL.
///
/// free_value  may be NULL.
/// thread      the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_new_succeeded_full(
    reactor: *mut lariat_reactor,
    value: *mut c_void,
    free_value: lariat_free_fn,
) -> *mut lariat_deferred {
    new_succeeded(reactor, convert::owned(value, free_value))
}

fn new_succeeded(reactor: *mut lariat_reactor, value: Owned) -> *mut lariat_deferred {
    guard::on(reactor, move |reactor| -> Result<DeferredItem> {
        let deferred = chain::new(reactor)?;
        chain::callback(deferred, value)?;
        Ok(deferred)
    })
}

/// Makes a Deferred that has fired with a failure.
///
/// code     not 0: negative one of lariat's, positive the program's own.
/// message  UTF-8, copied; may be NULL: the code's own text.
/// returns  the Deferred; NULL on failure.
/// errors   as lariat_deferred_new.
/// thread   the reactor's.
/// Twisted  fail.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_new_failed(
    reactor: *mut lariat_reactor,
    code: i32,
    message: *const c_char,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| {
        let message = convert::text("message", message)?;
        let failure = failure::make(reactor, &convert::reason(code, 0, message)?, Owned::default())?;
        let failure = failure::owned(failure.word());
        let deferred = chain::new(reactor)?;
        chain::errback(deferred, failure.into_parts().0)?;
        Ok(deferred)
    })
}

/// Calls fn(deferred, NULL, user_data) at once, as the first callback of a new Deferred: what it returns or records is
/// the result. So a function that may work at once, wait or fail is always a Deferred.
///
/// user_data  may be NULL; passed through.
/// returns    the Deferred; NULL on failure.
/// errors     as lariat_deferred_new.
/// thread     the reactor's. The call comes from inside this one.
/// Twisted    maybeDeferred.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_maybe(
    reactor: *mut lariat_reactor,
    r#fn: lariat_callback_fn,
    user_data: *mut c_void,
) -> *mut lariat_deferred {
    maybe(reactor, r#fn, convert::borrowed(user_data))
}

/// The same as lariat_deferred_maybe, with user_data owned by the library from here on: free_user_data(user_data) is
/// called exactly once, after fn has returned, or before this returns NULL.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_maybe_full(
    reactor: *mut lariat_reactor,
    r#fn: lariat_callback_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> *mut lariat_deferred {
    maybe(reactor, r#fn, convert::owned(user_data, free_user_data))
}

fn maybe(reactor: *mut lariat_reactor, function: lariat_callback_fn, data: Owned) -> *mut lariat_deferred {
    guard::on(reactor, move |reactor| {
        let function = convert::required("fn", convert::callback_fn(function))?;
        later::maybe(reactor, function, data)
    })
}

/// Makes a Deferred that calls fn(deferred, NULL, user_data) after so many seconds: what it returns or records is the
/// result. Cancelling it before takes the call back.
///
/// seconds    0 to 1e9.
/// fn         may be NULL: the result is NULL.
/// user_data  may be NULL; passed through.
/// returns    the Deferred; NULL on failure.
/// errors     LARIAT_ERR_LIMIT at options.max_deferreds or max_delayed_calls.
/// thread     the reactor's.
/// Twisted    deferLater.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_defer_later(
    reactor: *mut lariat_reactor,
    seconds: f64,
    r#fn: lariat_callback_fn,
    user_data: *mut c_void,
) -> *mut lariat_deferred {
    defer_later(reactor, seconds, r#fn, convert::borrowed(user_data))
}

/// The same as lariat_reactor_defer_later, with user_data owned by the library from here on: free_user_data(user_data)
/// is called exactly once, after the call, when it is not to be made any more, or before this returns NULL.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_defer_later_full(
    reactor: *mut lariat_reactor,
    seconds: f64,
    r#fn: lariat_callback_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> *mut lariat_deferred {
    defer_later(reactor, seconds, r#fn, convert::owned(user_data, free_user_data))
}

fn defer_later(
    reactor: *mut lariat_reactor,
    seconds: f64,
    function: lariat_callback_fn,
    data: Owned,
) -> *mut lariat_deferred {
    guard::on(reactor, move |reactor| {
        let delay = convert::delay("seconds", seconds)?;
        later::defer_later(reactor, delay, convert::callback_fn(function), data)
    })
}

/// Fires a Deferred with a value: its callbacks run before this returns, as far as they can. The worker's end is over.
///
/// value    may be NULL; stays the caller's to free.
/// errors   LARIAT_ERR_ALREADY_CALLED when it has fired: the first result stands. After a cancellation one fire is
///          swallowed silently.
/// thread   the reactor's; from others lariat_deferred_callback_from_thread.
/// Twisted  Deferred.callback.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_callback(deferred: *mut lariat_deferred, value: *mut c_void) -> lariat_status {
    guard::on(deferred, |deferred| chain::callback(deferred, convert::borrowed(value)))
}

/// The same as lariat_deferred_callback, with the value owned by the library from here on: free_value(value) is called
/// when the Deferred that it ends up in is reclaimed, unless somebody takes it; or before this returns, when it fails
/// or is swallowed.
///
/// free_value  may be NULL.
/// thread      the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_callback_full(
    deferred: *mut lariat_deferred,
    value: *mut c_void,
    free_value: lariat_free_fn,
) -> lariat_status {
    let value = convert::owned(value, free_value);
    guard::on(deferred, move |deferred| chain::callback(deferred, value))
}

/// Fires a Deferred with a value after so many seconds. If it has fired by then, or is gone, nothing happens.
///
/// seconds  0 to 1e9.
/// value    may be NULL; stays the caller's to free.
/// returns  the delayed call, which can be cancelled; NULL on failure.
/// errors   LARIAT_ERR_ALREADY_CALLED when it has fired; LARIAT_ERR_LIMIT at options.max_delayed_calls.
/// thread   the reactor's.
/// Twisted  reactor.callLater(seconds, deferred.callback, value).
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_callback_later(
    deferred: *mut lariat_deferred,
    seconds: f64,
    value: *mut c_void,
) -> *mut lariat_delayed_call {
    callback_later(deferred, seconds, convert::borrowed(value))
}

/// The same as lariat_deferred_callback_later, with the value owned by the library from here on: free_value(value) is
/// called as by lariat_deferred_callback_full, when the delayed call is cancelled, or before this returns NULL.
///
/// free_value  may be NULL.
/// thread      the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_callback_later_full(
    deferred: *mut lariat_deferred,
    seconds: f64,
    value: *mut c_void,
    free_value: lariat_free_fn,
) -> *mut lariat_delayed_call {
    callback_later(deferred, seconds, convert::owned(value, free_value))
}

fn callback_later(deferred: *mut lariat_deferred, seconds: f64, value: Owned) -> *mut lariat_delayed_call {
    guard::on(deferred, move |deferred| later::callback_later(deferred, convert::delay("seconds", seconds)?, value))
}

/// Fires a Deferred with a failure: its errbacks run before this returns, as far as they can. The worker's end is
/// over.
///
/// code     not 0: negative one of lariat's, positive the program's own.
/// message  UTF-8, copied; may be NULL: the code's own text.
/// errors   LARIAT_ERR_ALREADY_CALLED when it has fired: the first result stands. After a cancellation one fire is
///          swallowed silently.
/// thread   the reactor's; from others lariat_deferred_errback_from_thread.
/// Twisted  Deferred.errback.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_errback(
    deferred: *mut lariat_deferred,
    code: i32,
    message: *const c_char,
) -> lariat_status {
    guard::on(deferred, |deferred| {
        let message = convert::text("message", message)?;
        chain::errback_with(deferred, &convert::reason(code, 0, message)?, Owned::default())
    })
}

/// The same as lariat_deferred_errback, with all that a failure can say.
///
/// os_error      an error number of the operating system; 0: none.
/// payload       may be NULL; the library's from here on.
/// free_payload  may be NULL; called once, when the failure is gone, or before this fails.
/// thread        the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_errback_full(
    deferred: *mut lariat_deferred,
    code: i32,
    os_error: i32,
    message: *const c_char,
    payload: *mut c_void,
    free_payload: lariat_free_fn,
) -> lariat_status {
    let payload = convert::owned(payload, free_payload);
    guard::on(deferred, move |deferred| {
        let message = convert::text("message", message)?;
        chain::errback_with(deferred, &convert::reason(code, os_error, message)?, payload)
    })
}

/// Fires a Deferred with a failure that came from another one, unchanged.
///
/// failure  of the same reactor; stays who holds it's.
/// errors   LARIAT_ERR_ALREADY_CALLED when it has fired; LARIAT_ERR_WRONG_REACTOR.
/// thread   the reactor's.
/// Twisted  Deferred.errback with a Failure.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_errback_failure(
    deferred: *mut lariat_deferred,
    failure: *const lariat_failure,
) -> lariat_status {
    guard::on(deferred, |deferred| chain::errback(deferred, convert::held(deferred.root(), Word::new(failure))?))
}

/// Ends the worker's end without a result: unless the Deferred was cancelled or fired, it fires with
/// LARIAT_ERR_ABANDONED.
///
/// errors  LARIAT_ERR_ALREADY_CALLED when the worker has fired it.
/// thread  the reactor's; from others lariat_deferred_abandon_from_thread.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_abandon(deferred: *mut lariat_deferred) -> lariat_status {
    guard::on(deferred, chain::abandon)
}
