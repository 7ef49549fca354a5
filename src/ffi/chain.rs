//! The Deferred: the waiter's end of it.

use super::convert::{self, invalid};
use super::guard;
use super::status::lariat_status;
use super::types::*;
use crate::deferred::{Deferred, cancel, chain, later, outcome};
use crate::handles::{self, Owned, Word};
use crate::status::Status;
use std::ffi::c_void;

/// Adds a callback to the chain, for a value; a failure passes it by. If the chain has got there already, it runs at
/// once, from inside this call; if a callback of the chain is running, after it has returned.
///
/// user_data  may be NULL; passed through.
/// errors     LARIAT_ERR_RELEASED once the waiter has released it or handed it over.
/// thread     the reactor's.
/// Twisted    Deferred.addCallback.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_add_callback(
    deferred: *mut lariat_deferred,
    callback: lariat_callback_fn,
    user_data: *mut c_void,
) -> lariat_status {
    let quickly = guard::quickly(deferred, |deferred| {
        let callback = convert::callback_fn(callback)?;
        deferred.push_plain(Some(callback), None, Word::new(user_data))
    });
    quickly.unwrap_or_else(|| add_callback(deferred, callback, user_data, None))
}

/// The same as lariat_deferred_add_callback, with user_data owned by the library from here on:
/// free_user_data(user_data) is called exactly once, when the chain has passed it, called or not, when its scope ends,
/// when the reactor is freed, or before this fails.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_add_callback_full(
    deferred: *mut lariat_deferred,
    callback: lariat_callback_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> lariat_status {
    add_callback(deferred, callback, user_data, free_user_data)
}

#[inline(never)]
fn add_callback(
    deferred: *mut lariat_deferred,
    callback: lariat_callback_fn,
    data: *mut c_void,
    free: lariat_free_fn,
) -> lariat_status {
    let data = convert::owned(data, free);
    guard::on(deferred, move |deferred| {
        let callback = convert::required("callback", convert::callback_fn(callback))?;
        chain::add_pair(deferred, Some(callback), None, data)
    })
}

/// Adds an errback to the chain, for a failure, which it handles unless it records another; a value passes it by. When
/// it runs, and from where, is as with lariat_deferred_add_callback.
///
/// user_data  may be NULL; passed through.
/// errors     LARIAT_ERR_RELEASED once the waiter has released it or handed it over.
/// thread     the reactor's.
/// Twisted    Deferred.addErrback.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_add_errback(
    deferred: *mut lariat_deferred,
    errback: lariat_errback_fn,
    user_data: *mut c_void,
) -> lariat_status {
    let quickly = guard::quickly(deferred, |deferred| {
        let errback = convert::errback_fn(errback)?;
        deferred.push_plain(None, Some(errback), Word::new(user_data))
    });
    quickly.unwrap_or_else(|| add_errback(deferred, errback, user_data, None))
}

/// The same as lariat_deferred_add_errback, with user_data owned by the library from here on: freed as by
/// lariat_deferred_add_callback_full.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_add_errback_full(
    deferred: *mut lariat_deferred,
    errback: lariat_errback_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> lariat_status {
    add_errback(deferred, errback, user_data, free_user_data)
}

#[inline(never)]
fn add_errback(
    deferred: *mut lariat_deferred,
    errback: lariat_errback_fn,
    data: *mut c_void,
    free: lariat_free_fn,
) -> lariat_status {
    let data = convert::owned(data, free);
    guard::on(deferred, move |deferred| {
        let errback = convert::required("errback", convert::errback_fn(errback))?;
        chain::add_pair(deferred, None, Some(errback), data)
    })
}

/// Adds one level to the chain with a callback for a value and an errback for a failure; the errback does not see what
/// the callback fails with. When they run, and from where, is as with lariat_deferred_add_callback.
///
/// callback   may be NULL if errback is not.
/// errback    may be NULL if callback is not.
/// user_data  of either; may be NULL; passed through.
/// errors     LARIAT_ERR_RELEASED once the waiter has released it or handed it over.
/// thread     the reactor's.
/// Twisted    Deferred.addCallbacks.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_add_callbacks(
    deferred: *mut lariat_deferred,
    callback: lariat_callback_fn,
    errback: lariat_errback_fn,
    user_data: *mut c_void,
) -> lariat_status {
    let quickly = guard::quickly(deferred, |deferred| {
        let (callback, errback) = (convert::callback_fn(callback), convert::errback_fn(errback));
        callback.or(errback)?;
        deferred.push_plain(callback, errback, Word::new(user_data))
    });
    quickly.unwrap_or_else(|| add_callbacks(deferred, callback, errback, user_data, None))
}

/// The same as lariat_deferred_add_callbacks, with user_data owned by the library from here on: freed as by
/// lariat_deferred_add_callback_full.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_add_callbacks_full(
    deferred: *mut lariat_deferred,
    callback: lariat_callback_fn,
    errback: lariat_errback_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> lariat_status {
    add_callbacks(deferred, callback, errback, user_data, free_user_data)
}

#[inline(never)]
fn add_callbacks(
    deferred: *mut lariat_deferred,
    callback: lariat_callback_fn,
    errback: lariat_errback_fn,
    data: *mut c_void,
    free: lariat_free_fn,
) -> lariat_status {
    let data = convert::owned(data, free);
    guard::on(deferred, move |deferred| {
        if callback.is_none() && errback.is_none() {
            return Err(invalid("callback and errback are both NULL"));
        }
        chain::add_pair(deferred, convert::callback_fn(callback), convert::errback_fn(errback), data)
    })
}

/// Adds a function to the chain that gets values and failures alike. When it runs, and from where, is as with
/// lariat_deferred_add_callback.
///
/// user_data  may be NULL; passed through.
/// errors     LARIAT_ERR_RELEASED once the waiter has released it or handed it over.
/// thread     the reactor's.
/// Twisted    Deferred.addBoth.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_add_both(
    deferred: *mut lariat_deferred,
    both: lariat_both_fn,
    user_data: *mut c_void,
) -> lariat_status {
    add_both(deferred, both, convert::borrowed(user_data))
}

/// The same as lariat_deferred_add_both, with user_data owned by the library from here on: freed as by
/// lariat_deferred_add_callback_full.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_add_both_full(
    deferred: *mut lariat_deferred,
    both: lariat_both_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> lariat_status {
    add_both(deferred, both, convert::owned(user_data, free_user_data))
}

fn add_both(deferred: *mut lariat_deferred, both: lariat_both_fn, data: Owned) -> lariat_status {
    guard::on(deferred, move |deferred| {
        let both = convert::required("both", convert::both_fn(both))?;
        chain::add_both(deferred, both, data)
    })
}

/// Adds a level to the chain that moves the result into an event, LARIAT_EVENT_DEFERRED, and leaves NULL.
///
/// tag     any number; comes back in the event.
/// errors  LARIAT_ERR_RELEASED once the waiter has released it or handed it over.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_add_event(deferred: *mut lariat_deferred, tag: u64) -> lariat_status {
    guard::on(deferred, |deferred| chain::add_event(deferred, tag))
}

/// Cancels the Deferred unless the callbacks added so far have run within so many seconds; that cancellation, and no
/// other, is told as LARIAT_ERR_TIMED_OUT to the callbacks added later.
///
/// seconds  0 to 1e9.
/// errors   LARIAT_ERR_RELEASED once the waiter has released it or handed it over; LARIAT_ERR_LIMIT at
///          options.max_delayed_calls.
/// thread   the reactor's.
/// Twisted  Deferred.addTimeout.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_add_timeout(deferred: *mut lariat_deferred, seconds: f64) -> lariat_status {
    guard::on(deferred, |deferred| later::add_timeout(deferred, convert::delay("seconds", seconds)?))
}

/// Has the result of one Deferred fire another, which hands on results but not cancellation. The worker's end of the
/// target is over.
///
/// deferred  handed over: released for the caller, unless this fails.
/// target    of the same reactor; not fired.
/// errors    LARIAT_ERR_ALREADY_WAITED or LARIAT_ERR_RELEASED when deferred was handed over or released;
///           LARIAT_ERR_ALREADY_CALLED when target has fired or is fired by another; LARIAT_ERR_CYCLE;
///           LARIAT_ERR_WRONG_REACTOR.
/// thread    the reactor's.
/// Twisted   Deferred.chainDeferred.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_chain(deferred: *mut lariat_deferred, target: *mut lariat_deferred) -> lariat_status {
    guard::on(deferred, |deferred| outcome::chain(deferred, handles::get::<Deferred>(Word::new(target))?))
}

/// Says that nobody wants the result any more. A Deferred that waits for another cancels that one; else its canceller
/// is told; and unless that fires it, it fires with LARIAT_ERR_CANCELLED. Does nothing once it has fired. Legal after
/// the release, too.
///
/// thread   the reactor's. Callbacks come from inside this call.
/// Twisted  Deferred.cancel.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_cancel(deferred: *mut lariat_deferred) -> lariat_status {
    guard::on(deferred, |deferred| {
        cancel::cancel(deferred);
        Ok(())
    })
}

/// Holds the chain up: no callback runs until as many lariat_deferred_unpause.
///
/// errors   LARIAT_ERR_RELEASED once the waiter has released it or handed it over.
/// thread   the reactor's.
/// Twisted  Deferred.pause.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_pause(deferred: *mut lariat_deferred) -> lariat_status {
    guard::on(deferred, chain::pause)
}

/// Takes one pause back; after the last one the chain goes on, from inside this call. Legal after the release, too.
///
/// errors   LARIAT_ERR_INVALID_STATE when it is not paused.
/// thread   the reactor's.
/// Twisted  Deferred.unpause.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_unpause(deferred: *mut lariat_deferred) -> lariat_status {
    guard::on(deferred, chain::unpause)
}

/// Ends the waiter's end: no more callbacks will be added; those that were run all the same. A failure that they leave
/// unhandled is reported when the Deferred is reclaimed. From here on only lariat_deferred_cancel, _unpause and the
/// calls inside its chain are legal for the waiter.
///
/// errors  LARIAT_ERR_RELEASED when it was released or handed over before.
/// thread  the reactor's; from others lariat_deferred_release_from_thread.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_release(deferred: *mut lariat_deferred) -> lariat_status {
    guard::quickly(deferred, chain::release_quickly).unwrap_or_else(|| release(deferred))
}

#[inline(never)]
fn release(deferred: *mut lariat_deferred) -> lariat_status {
    guard::on(deferred, chain::release)
}

/// Tells whether a Deferred has fired.
///
/// returns  1 or 0; negative: an error.
/// thread   the reactor's.
/// Twisted  Deferred.called.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_called(deferred: *mut lariat_deferred) -> i32 {
    guard::on(deferred, chain::is_called)
}

/// Looks at the present result, which stays the Deferred's and is valid until it changes.
///
/// value    may be NULL; written: the value, or NULL if there is a failure.
/// failure  may be NULL; written: the failure, or NULL if there is a value.
/// errors   LARIAT_ERR_NOT_CALLED while there is none: not fired, paused, or waiting for another Deferred;
///          LARIAT_ERR_RELEASED once the waiter has released it or handed it over. Nothing is written then.
/// thread   the reactor's.
/// Twisted  Deferred.result.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_result(
    deferred: *mut lariat_deferred,
    value: *mut *mut c_void,
    failure: *mut *const lariat_failure,
) -> lariat_status {
    guard::on(deferred, |deferred| {
        let (failed, result) = chain::result(deferred)?.ok_or(Status::ERR_NOT_CALLED)?;
        let (good, bad) = if failed { (Word::NULL, result) } else { (result, Word::NULL) };
        convert::write_if_given(value, good.pointer());
        convert::write_if_given(failure, bad.pointer::<lariat_failure>().cast_const());
        Ok(())
    })
}
