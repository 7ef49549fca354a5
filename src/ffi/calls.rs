//! Calls to be made by the reactor: soon, later, when it runs, from threads.

use super::convert;
use super::guard;
use super::status::lariat_status;
use super::types::*;
use crate::handles::{Item, Owned, Word};
use crate::reactor::timers::{self, DelayedCall};
use crate::reactor::{ReactorItem, posts, soon, waits};
use crate::status::Result;
use std::ffi::c_void;

/// Calls fn(user_data) once, on the reactor's next turn, never from inside this call. Calls are made in the order in
/// which they were asked for.
///
/// user_data  may be NULL; passed through.
/// errors     LARIAT_ERR_CLOSED while the reactor is being freed; it drops the calls that wait.
/// thread     the reactor's.
/// Twisted    IReactorTime.callLater with 0.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_call_soon(
    reactor: *mut lariat_reactor,
    r#fn: lariat_call_fn,
    user_data: *mut c_void,
) -> lariat_status {
    let quickly = guard::quickly(reactor, |reactor| {
        soon::call_soon_quickly(reactor, convert::call_fn(r#fn)?, Word::new(user_data))
    });
    quickly.unwrap_or_else(|| call_soon(reactor, r#fn, user_data, None))
}

/// The same as lariat_reactor_call_soon, with user_data owned by the library from here on: free_user_data(user_data)
/// is called exactly once, after the call, when the call is dropped with its scope or reactor, or before this fails.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_call_soon_full(
    reactor: *mut lariat_reactor,
    r#fn: lariat_call_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> lariat_status {
    call_soon(reactor, r#fn, user_data, free_user_data)
}

/// The same as lariat_reactor_call_soon, but the next turn queues an event, LARIAT_EVENT_CALL, instead of calling.
///
/// tag     any number; comes back in the event.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_call_soon_event(reactor: *mut lariat_reactor, tag: u64) -> lariat_status {
    guard::on(reactor, |reactor| soon::call_soon(reactor, None, convert::tag(tag)))
}

#[inline(never)]
fn call_soon(
    reactor: *mut lariat_reactor,
    function: lariat_call_fn,
    data: *mut c_void,
    free: lariat_free_fn,
) -> lariat_status {
    let data = convert::owned(data, free);
    guard::on(reactor, move |reactor| {
        let function = convert::required("fn", convert::call_fn(function))?;
        soon::call_soon(reactor, Some(function), data)
    })
}

/// Calls fn(user_data) once, on the reactor's thread, after at least so many seconds, never from inside this call.
/// Calls due at the same instant are made in the order in which they were scheduled; one scheduled from inside a call
/// waits for the next turn.
///
/// seconds    0 to 1e9.
/// user_data  may be NULL; passed through.
/// returns    a handle that goes stale when the call has been made or cancelled; NULL on failure.
/// errors     LARIAT_ERR_LIMIT at options.max_delayed_calls.
/// thread     the reactor's.
/// Twisted    IReactorTime.callLater.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_call_later(
    reactor: *mut lariat_reactor,
    seconds: f64,
    r#fn: lariat_call_fn,
    user_data: *mut c_void,
) -> *mut lariat_delayed_call {
    let quickly = guard::quickly(reactor, |reactor| {
        let function = convert::call_fn(r#fn)?;
        timers::call_later_quickly(reactor, convert::some_delay(seconds)?, function, Word::new(user_data))
    });
    quickly.unwrap_or_else(|| call_later(reactor, seconds, r#fn, user_data, None))
}

/// The same as lariat_reactor_call_later, with user_data owned by the library from here on: free_user_data(user_data)
/// is called exactly once, after the call, after its cancellation, when its scope ends, when the reactor is freed, or
/// before this returns NULL. Every function that keeps user_data has such a _full form.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_call_later_full(
    reactor: *mut lariat_reactor,
    seconds: f64,
    r#fn: lariat_call_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> *mut lariat_delayed_call {
    call_later(reactor, seconds, r#fn, user_data, free_user_data)
}

/// The same as lariat_reactor_call_later, but queues an event, LARIAT_EVENT_DELAYED_CALL, instead of calling.
///
/// tag     any number; comes back in the event.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_call_later_event(
    reactor: *mut lariat_reactor,
    seconds: f64,
    tag: u64,
) -> *mut lariat_delayed_call {
    guard::on(reactor, |reactor| {
        timers::call_later(reactor, convert::delay("seconds", seconds)?, None, convert::tag(tag))
    })
}

#[inline(never)]
fn call_later(
    reactor: *mut lariat_reactor,
    seconds: f64,
    function: lariat_call_fn,
    data: *mut c_void,
    free: lariat_free_fn,
) -> *mut lariat_delayed_call {
    let data = convert::owned(data, free);
    guard::on(reactor, move |reactor| -> Result<Item<DelayedCall>> {
        let function = convert::required("fn", convert::call_fn(function))?;
        timers::call_later(reactor, convert::delay("seconds", seconds)?, Some(function), data)
    })
}

/// Calls fn(user_data) once, when the reactor runs: at once, from inside this call, if it does, else after the
/// start-up triggers of its next start.
///
/// user_data  may be NULL; passed through.
/// thread     the reactor's.
/// Twisted    IReactorCore.callWhenRunning.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_call_when_running(
    reactor: *mut lariat_reactor,
    r#fn: lariat_call_fn,
    user_data: *mut c_void,
) -> lariat_status {
    call_when_running(reactor, r#fn, convert::borrowed(user_data))
}

/// The same as lariat_reactor_call_when_running, with user_data owned by the library from here on:
/// free_user_data(user_data) is called exactly once, after the call, when the call is dropped with its scope or
/// reactor, or before this fails.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_call_when_running_full(
    reactor: *mut lariat_reactor,
    r#fn: lariat_call_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> lariat_status {
    call_when_running(reactor, r#fn, convert::owned(user_data, free_user_data))
}

/// The same as lariat_reactor_call_when_running, but queues an event, LARIAT_EVENT_CALL, instead of calling.
///
/// tag     any number; comes back in the event.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_call_when_running_event(reactor: *mut lariat_reactor, tag: u64) -> lariat_status {
    guard::on(reactor, |reactor| soon::call_when_running(reactor, None, convert::tag(tag)))
}

fn call_when_running(reactor: *mut lariat_reactor, function: lariat_call_fn, data: Owned) -> lariat_status {
    guard::on(reactor, move |reactor| {
        let function = convert::required("fn", convert::call_fn(function))?;
        soon::call_when_running(reactor, Some(function), data)
    })
}

/// Has fn(user_data) called once on the reactor's thread, on its next turn, which it wakes up for. Calls of one thread
/// are made in their order; none is lost or merged with another. From the reactor's own thread it waits for the next
/// turn as well.
///
/// user_data  may be NULL; passed through.
/// returns    LARIAT_OK: the call is queued, and is made even if the reactor is freed before its next turn.
/// errors     LARIAT_ERR_CLOSED while the reactor is being freed, LARIAT_ERR_STALE_HANDLE afterwards.
/// thread     any.
/// Twisted    IReactorFromThreads.callFromThread.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_call_from_thread(
    reactor: *mut lariat_reactor,
    r#fn: lariat_call_fn,
    user_data: *mut c_void,
) -> lariat_status {
    call_from_thread(reactor, r#fn, convert::borrowed(user_data))
}

/// The same as lariat_reactor_call_from_thread, with user_data owned by the library from here on:
/// free_user_data(user_data) is called exactly once: after the call, on the reactor's thread, or before this fails, on
/// the calling thread.
///
/// free_user_data  may be NULL.
/// thread          any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_call_from_thread_full(
    reactor: *mut lariat_reactor,
    r#fn: lariat_call_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> lariat_status {
    call_from_thread(reactor, r#fn, convert::owned(user_data, free_user_data))
}

/// The same as lariat_reactor_call_from_thread, but the reactor's next turn queues an event, LARIAT_EVENT_CALL,
/// instead of calling.
///
/// tag     any number; comes back in the event.
/// thread  any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_call_from_thread_event(reactor: *mut lariat_reactor, tag: u64) -> lariat_status {
    guard::any_thread(reactor, |reactor, _| posts::post_event(reactor, tag))
}

#[inline(always)]
fn call_from_thread(reactor: *mut lariat_reactor, function: lariat_call_fn, data: Owned) -> lariat_status {
    guard::any_thread(reactor, move |reactor, _| {
        let function = convert::required("fn", convert::call_fn(function))?;
        posts::post_call(reactor, function, data.word(), data.free())?;
        data.into_parts();
        Ok(())
    })
}

/// Has before(user_data) called before each wait of the reactor that may block, and after(user_data) behind it: for a
/// host with a lock that other threads need meanwhile, such as an interpreter's. The waits are those for something to
/// happen, and those for jobs at the end of the reactor or of a scope. A wait inside of one of the two is not told.
///
/// before     may be NULL if after is: then nobody is told any more.
/// after      called once for each call of before, also when the wait fails.
/// user_data  may be NULL; passed through.
/// errors     LARIAT_ERR_INVALID_ARGUMENT when one of the two is NULL and the other is not; LARIAT_ERR_BUSY inside of
///            the two.
/// thread     the reactor's. The two may call whatever a callback may.
/// libev      ev_set_loop_release_cb.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_set_wait_callbacks(
    reactor: *mut lariat_reactor,
    before: lariat_call_fn,
    after: lariat_call_fn,
    user_data: *mut c_void,
) -> lariat_status {
    set_wait_callbacks(reactor, before, after, convert::borrowed(user_data))
}

/// The same as lariat_reactor_set_wait_callbacks, with user_data owned by the library from here on:
/// free_user_data(user_data) is called exactly once, when others are set, when the reactor is freed, or before this
/// fails; at once, when both are NULL.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_set_wait_callbacks_full(
    reactor: *mut lariat_reactor,
    before: lariat_call_fn,
    after: lariat_call_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> lariat_status {
    set_wait_callbacks(reactor, before, after, convert::owned(user_data, free_user_data))
}

fn set_wait_callbacks(
    reactor: *mut lariat_reactor,
    before: lariat_call_fn,
    after: lariat_call_fn,
    data: Owned,
) -> lariat_status {
    guard::on(reactor, move |reactor| {
        let calls = match (convert::call_fn(before), convert::call_fn(after)) {
            (None, None) => None,
            (before, after) => Some((convert::required("before", before)?, convert::required("after", after)?)),
        };
        waits::set_calls(reactor, calls, data)
    })
}

/// Lists the delayed calls that wait, in no particular order.
///
/// delayed_calls  written: as many handles as there are, and at most capacity; may be NULL if that is 0.
/// capacity       how many handles there is room for.
/// count          written: how many there are, which may be more.
/// thread         the reactor's.
/// Twisted        IReactorTime.getDelayedCalls.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_delayed_calls(
    reactor: *mut lariat_reactor,
    delayed_calls: *mut *mut lariat_delayed_call,
    capacity: usize,
    count: *mut usize,
) -> lariat_status {
    let waiting = |reactor: ReactorItem| {
        let calls = reactor.pools.all::<DelayedCall>().into_iter();
        calls.filter(|call| timers::is_active(*call)).map(Item::word).collect()
    };
    guard::on(reactor, |reactor| {
        convert::write_handles("delayed_calls", (delayed_calls, capacity), count, || waiting(reactor))
    })
}
