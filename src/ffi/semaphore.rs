//! Semaphores.

use super::convert::{self, invalid};
use super::guard;
use super::status::lariat_status;
use super::types::*;
use crate::deferred::gate::{self, Gated, Semaphore};
use crate::handles::Owned;
use std::ffi::c_void;

/// Makes a semaphore: a lock that so many may hold.
///
/// tokens   1 or more.
/// returns  the semaphore, to be freed by lariat_semaphore_free or with its scope or reactor; NULL on failure.
/// thread   the reactor's.
/// Twisted  DeferredSemaphore.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_semaphore_new(reactor: *mut lariat_reactor, tokens: u32) -> *mut lariat_semaphore {
    guard::on(reactor, |reactor| match tokens {
        0 => Err(invalid("tokens is 0; it must be 1 or more")),
        tokens => gate::open::<Semaphore>(reactor, tokens),
    })
}

/// Asks for a token. Those who wait get one in the order in which they asked; cancelling stops waiting.
///
/// returns  a Deferred that fires, with the semaphore as its value, when a token is the caller's; NULL on failure.
/// thread   the reactor's.
/// Twisted  DeferredSemaphore.acquire.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_semaphore_acquire(semaphore: *mut lariat_semaphore) -> *mut lariat_deferred {
    guard::on(semaphore, gate::acquire)
}

/// Gives a token back: to whoever waits longest, whose callbacks run from inside this call.
///
/// errors   LARIAT_ERR_INVALID_STATE when nobody holds one.
/// thread   the reactor's.
/// Twisted  DeferredSemaphore.release.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_semaphore_release(semaphore: *mut lariat_semaphore) -> lariat_status {
    guard::on(semaphore, gate::release)
}

/// Asks for a token, calls fn(deferred, NULL, user_data) when it has one, and gives it back when what that returns or
/// records has come, value or failure.
///
/// user_data  may be NULL; passed through.
/// returns    a Deferred that fires with what fn gives; cancelling it stops waiting. NULL on failure.
/// thread     the reactor's. The call may come from inside this one.
/// Twisted    DeferredSemaphore.run.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_semaphore_run(
    semaphore: *mut lariat_semaphore,
    r#fn: lariat_callback_fn,
    user_data: *mut c_void,
) -> *mut lariat_deferred {
    run(semaphore, r#fn, convert::borrowed(user_data))
}

/// The same as lariat_semaphore_run, with user_data owned by the library from here on: free_user_data(user_data) is
/// called exactly once, after the call, when it is not to be made any more, or before this returns NULL.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_semaphore_run_full(
    semaphore: *mut lariat_semaphore,
    r#fn: lariat_callback_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> *mut lariat_deferred {
    run(semaphore, r#fn, convert::owned(user_data, free_user_data))
}

fn run(semaphore: *mut lariat_semaphore, function: lariat_callback_fn, data: Owned) -> *mut lariat_deferred {
    guard::on(semaphore, move |semaphore| {
        let function = convert::required("fn", convert::callback_fn(function))?;
        gate::run(semaphore, function, data)
    })
}

/// Tells how many tokens nobody holds.
///
/// returns  0 or more; negative: an error.
/// thread   the reactor's.
/// Twisted  DeferredSemaphore.tokens.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_semaphore_tokens(semaphore: *mut lariat_semaphore) -> i64 {
    guard::on(semaphore, |semaphore| Ok(i64::from(semaphore.gate().tokens())))
}

/// Ends a semaphore, held or not; its handle is stale from here on. Those who wait for it fail with LARIAT_ERR_CLOSED,
/// from inside this call.
///
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_semaphore_free(semaphore: *mut lariat_semaphore) -> lariat_status {
    guard::on(semaphore, |semaphore| {
        gate::free(semaphore);
        Ok(())
    })
}
