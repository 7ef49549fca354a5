//! Queues.

use super::convert::{self, invalid};
use super::guard;
use super::status::lariat_status;
use super::types::*;
use crate::deferred::queue;
use crate::status::Result;
use std::ffi::c_void;

/// Makes a queue of values between those who put them in and those who wait for them.
///
/// max_size     values that may wait for somebody; 0 or more, or -1: no limit.
/// max_backlog  Deferreds that may wait for a value; 0 or more, or -1: no limit.
/// returns      the queue, to be freed by lariat_queue_free or with its scope or reactor; NULL on failure.
/// thread       the reactor's.
/// Twisted      DeferredQueue.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_queue_new(reactor: *mut lariat_reactor, max_size: i64, max_backlog: i64) -> *mut lariat_queue {
    guard::on(reactor, |reactor| queue::open(reactor, limit("max_size", max_size)?, limit("max_backlog", max_backlog)?))
}

fn limit(name: &str, limit: i64) -> Result<Option<usize>> {
    match limit {
        -1 => Ok(None),
        0.. => Ok(Some(limit as usize)),
        _ => Err(invalid(format_args!("{name} is {limit}; it must be 0 or more, or -1"))),
    }
}

/// Puts a value in: whoever waits longest gets it, from inside this call; else it waits.
///
/// value    may be NULL; stays the caller's to free.
/// errors   LARIAT_ERR_QUEUE_OVERFLOW when max_size values wait.
/// thread   the reactor's.
/// Twisted  DeferredQueue.put.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_queue_put(queue: *mut lariat_queue, value: *mut c_void) -> lariat_status {
    guard::on(queue, |queue| queue::put(queue, convert::borrowed(value)))
}

/// The same as lariat_queue_put, with the value owned by the library from here on: free_value(value) is called when
/// the Deferred that it ends up in is reclaimed, unless somebody takes it, when the queue is freed, or before this
/// fails.
///
/// free_value  may be NULL.
/// thread      the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_queue_put_full(
    queue: *mut lariat_queue,
    value: *mut c_void,
    free_value: lariat_free_fn,
) -> lariat_status {
    let value = convert::owned(value, free_value);
    guard::on(queue, move |queue| queue::put(queue, value))
}

/// Asks for the oldest value. Those who wait get one in the order in which they asked; cancelling stops waiting.
///
/// returns  a Deferred that fires with the value; NULL on failure.
/// errors   LARIAT_ERR_QUEUE_UNDERFLOW when max_backlog Deferreds wait.
/// thread   the reactor's.
/// Twisted  DeferredQueue.get.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_queue_get(queue: *mut lariat_queue) -> *mut lariat_deferred {
    guard::on(queue, queue::get)
}

/// Tells how many values wait.
///
/// returns  0 or more; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_queue_size(queue: *mut lariat_queue) -> i64 {
    guard::on(queue, |queue| Ok(queue.size() as i64))
}

/// Tells how many Deferreds wait for a value.
///
/// returns  0 or more; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_queue_backlog(queue: *mut lariat_queue) -> i64 {
    guard::on(queue, |queue| Ok(queue.backlog() as i64))
}

/// Ends a queue: the values in it are freed, its handle is stale from here on. Those who wait for it fail with
/// LARIAT_ERR_CLOSED, from inside this call.
///
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_queue_free(queue: *mut lariat_queue) -> lariat_status {
    guard::on(queue, |queue| {
        queue::free(queue);
        Ok(())
    })
}
