//! The Deferred from other threads: what is done is queued for the reactor's.

use super::convert;
use super::guard;
use super::reactor::post;
use super::status::lariat_status;
use super::types::*;
use crate::deferred::{Deferred, DeferredItem, chain};
use crate::handles::{self, Owned, Word};
use crate::status::Result;
use std::ffi::{c_char, c_void};

/// Fires a Deferred with a value, on the next turn of its reactor.
///
/// value    may be NULL; stays the caller's to free.
/// returns  LARIAT_OK: it is queued. If the Deferred has fired by then, or is gone, nothing happens.
/// errors   LARIAT_ERR_CLOSED while the reactor is being freed, LARIAT_ERR_STALE_HANDLE afterwards.
/// thread   any.
/// Twisted  reactor.callFromThread(deferred.callback, value).
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_callback_from_thread(
    deferred: *mut lariat_deferred,
    value: *mut c_void,
) -> lariat_status {
    callback_from_thread(deferred, convert::borrowed(value))
}

/// The same as lariat_deferred_callback_from_thread, with the value owned by the library from here on:
/// free_value(value) is called as by lariat_deferred_callback_full, on the reactor's thread; or before this fails, on
/// the calling one.
///
/// free_value  may be NULL.
/// thread      any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_callback_from_thread_full(
    deferred: *mut lariat_deferred,
    value: *mut c_void,
    free_value: lariat_free_fn,
) -> lariat_status {
    callback_from_thread(deferred, convert::owned(value, free_value))
}

fn callback_from_thread(deferred: *mut lariat_deferred, value: Owned) -> lariat_status {
    guard::any_thread(deferred, move |deferred, reactor| {
        send(deferred, reactor, |deferred| chain::callback(deferred, value))
    })
}

/// Fires a Deferred with a failure, on the next turn of its reactor.
///
/// code     not 0: negative one of lariat's, positive the program's own.
/// message  UTF-8, copied; may be NULL: the code's own text.
/// returns  LARIAT_OK: it is queued. If the Deferred has fired by then, or is gone, nothing happens.
/// errors   LARIAT_ERR_CLOSED while the reactor is being freed, LARIAT_ERR_STALE_HANDLE afterwards.
/// thread   any.
/// Twisted  reactor.callFromThread(deferred.errback, failure).
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_errback_from_thread(
    deferred: *mut lariat_deferred,
    code: i32,
    message: *const c_char,
) -> lariat_status {
    guard::any_thread(deferred, |deferred, reactor| {
        let message = convert::text("message", message)?;
        convert::reason(code, 0, message)?;
        crate::handles::check_memory(4096 + 2 * message.map_or(0, str::len))?;
        let message = message.map(str::to_owned);
        send(deferred, reactor, move |deferred| {
            let reason = convert::reason(code, 0, message.as_deref())?;
            chain::errback_with(deferred, &reason, Owned::default())
        })
    })
}

/// Ends the worker's end without a result, as lariat_deferred_abandon does, on the next turn of its reactor.
///
/// returns  LARIAT_OK: it is queued. If the Deferred has fired by then, or is gone, nothing happens.
/// errors   LARIAT_ERR_CLOSED while the reactor is being freed, LARIAT_ERR_STALE_HANDLE afterwards.
/// thread   any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_abandon_from_thread(deferred: *mut lariat_deferred) -> lariat_status {
    guard::any_thread(deferred, |deferred, reactor| send(deferred, reactor, chain::abandon))
}

/// Ends the waiter's end, as lariat_deferred_release does, on the next turn of its reactor.
///
/// returns  LARIAT_OK: it is queued. If it is released by then, or is gone, nothing happens.
/// errors   LARIAT_ERR_CLOSED while the reactor is being freed, LARIAT_ERR_STALE_HANDLE afterwards.
/// thread   any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_release_from_thread(deferred: *mut lariat_deferred) -> lariat_status {
    guard::any_thread(deferred, |deferred, reactor| send(deferred, reactor, chain::release))
}

/// Has something done to the Deferred by its reactor, if it is there then; nobody is left to be told that it is not.
fn send(deferred: Word, reactor: Word, act: impl FnOnce(DeferredItem) -> Result + Send + 'static) -> Result {
    post(reactor, move |_| {
        let _ = handles::get::<Deferred>(deferred).and_then(act);
    })
}
