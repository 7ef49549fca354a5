//! Locks.

use super::convert;
use super::guard;
use super::status::lariat_status;
use super::types::*;
use crate::deferred::gate::{self, Lock};
use crate::handles::Owned;
use std::ffi::c_void;

/// Makes a lock that nobody holds.
///
/// returns  the lock, to be freed by lariat_lock_free or with its scope or reactor; NULL on failure.
/// thread   the reactor's.
/// Twisted  DeferredLock.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_lock_new(reactor: *mut lariat_reactor) -> *mut lariat_lock {
    guard::on(reactor, |reactor| gate::open::<Lock>(reactor, 1))
}

/// Asks for the lock. Those who wait get it in the order in which they asked; cancelling stops waiting.
///
/// returns  a Deferred that fires, with the lock as its value, when it is the caller's; NULL on failure.
/// thread   the reactor's.
/// Twisted  DeferredLock.acquire.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_lock_acquire(lock: *mut lariat_lock) -> *mut lariat_deferred {
    guard::on(lock, gate::acquire)
}

/// Gives the lock back: to whoever waits longest, whose callbacks run from inside this call.
///
/// errors   LARIAT_ERR_INVALID_STATE when nobody holds it.
/// thread   the reactor's.
/// Twisted  DeferredLock.release.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_lock_release(lock: *mut lariat_lock) -> lariat_status {
    guard::on(lock, gate::release)
}

/// Asks for the lock, calls fn(deferred, NULL, user_data) when it has it, and gives it back when what that returns or
/// records has come, value or failure.
///
/// user_data  may be NULL; passed through.
/// returns    a Deferred that fires with what fn gives; cancelling it stops waiting. NULL on failure.
/// thread     the reactor's. The call may come from inside this one.
/// Twisted    DeferredLock.run.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_lock_run(
    lock: *mut lariat_lock,
    r#fn: lariat_callback_fn,
    user_data: *mut c_void,
) -> *mut lariat_deferred {
    run(lock, r#fn, convert::borrowed(user_data))
}

/// The same as lariat_lock_run, with user_data owned by the library from here on: free_user_data(user_data) is called
/// exactly once, after the call, when it is not to be made any more, or before this returns NULL.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_lock_run_full(
    lock: *mut lariat_lock,
    r#fn: lariat_callback_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> *mut lariat_deferred {
    run(lock, r#fn, convert::owned(user_data, free_user_data))
}

fn run(lock: *mut lariat_lock, function: lariat_callback_fn, data: Owned) -> *mut lariat_deferred {
    guard::on(lock, move |lock| {
        let function = convert::required("fn", convert::callback_fn(function))?;
        gate::run(lock, function, data)
    })
}

/// Tells whether somebody holds the lock.
///
/// returns  1 or 0; negative: an error.
/// thread   the reactor's.
/// Twisted  DeferredLock.locked.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_lock_locked(lock: *mut lariat_lock) -> i32 {
    guard::on(lock, |lock| Ok(gate::Gated::gate(&*lock).tokens() == 0))
}

/// Ends a lock, held or not; its handle is stale from here on. Those who wait for it fail with LARIAT_ERR_CLOSED, from
/// inside this call.
///
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_lock_free(lock: *mut lariat_lock) -> lariat_status {
    guard::on(lock, |lock| {
        gate::free(lock);
        Ok(())
    })
}
