//! System event triggers: what is done when the reactor starts and stops.

use super::convert;
use super::guard;
use super::status::lariat_status;
use super::types::*;
use crate::deferred::triggers;
use crate::handles::Owned;
use std::ffi::c_void;

/// First; Deferreds that these triggers return are waited for before the next phase.
pub const LARIAT_TRIGGER_BEFORE: i32 = 0;
/// Second.
pub const LARIAT_TRIGGER_DURING: i32 = 1;
/// Last.
pub const LARIAT_TRIGGER_AFTER: i32 = 2;
/// The reactor starts: run, or its first frame or turn.
pub const LARIAT_TRIGGER_STARTUP: i32 = 0;
/// The reactor was asked to stop.
pub const LARIAT_TRIGGER_SHUTDOWN: i32 = 1;

/// Has fn(user_data) called once, in a phase of the reactor's next start or end. A failure of the Deferred that it
/// returns is logged, and the others go on.
///
/// phase      LARIAT_TRIGGER_BEFORE, _DURING or _AFTER; within a phase, in the order of these calls.
/// event      LARIAT_TRIGGER_STARTUP or _SHUTDOWN.
/// user_data  may be NULL; passed through.
/// returns    a handle that goes stale when it has fired or was removed; NULL on failure.
/// thread     the reactor's.
/// Twisted    IReactorCore.addSystemEventTrigger.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_add_system_event_trigger(
    reactor: *mut lariat_reactor,
    phase: i32,
    event: i32,
    r#fn: lariat_trigger_fn,
    user_data: *mut c_void,
) -> *mut lariat_trigger {
    add(reactor, phase, event, r#fn, convert::borrowed(user_data))
}

/// The same as lariat_reactor_add_system_event_trigger, with user_data owned by the library from here on:
/// free_user_data(user_data) is called exactly once, after the call, when the trigger is removed, when its scope ends,
/// when the reactor is freed, or before this returns NULL.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_add_system_event_trigger_full(
    reactor: *mut lariat_reactor,
    phase: i32,
    event: i32,
    r#fn: lariat_trigger_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> *mut lariat_trigger {
    add(reactor, phase, event, r#fn, convert::owned(user_data, free_user_data))
}

/// The same as lariat_reactor_add_system_event_trigger, but queues an event, LARIAT_EVENT_TRIGGER, instead of calling.
///
/// tag     any number; comes back in the event.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_add_system_event_trigger_event(
    reactor: *mut lariat_reactor,
    phase: i32,
    event: i32,
    tag: u64,
) -> *mut lariat_trigger {
    guard::on(reactor, |reactor| triggers::add_trigger(reactor, phase, event, None, convert::tag(tag)))
}

fn add(
    reactor: *mut lariat_reactor,
    phase: i32,
    event: i32,
    function: lariat_trigger_fn,
    data: Owned,
) -> *mut lariat_trigger {
    guard::on(reactor, move |reactor| {
        let function = convert::required("fn", convert::trigger_fn(function))?;
        triggers::add_trigger(reactor, phase, event, Some(function), data)
    })
}

/// Takes a trigger back: it does not fire, and its user data is freed.
///
/// errors   LARIAT_ERR_ALREADY_CALLED inside its own function.
/// thread   the reactor's.
/// Twisted  IReactorCore.removeSystemEventTrigger.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_trigger_remove(trigger: *mut lariat_trigger) -> lariat_status {
    guard::on(trigger, triggers::remove)
}
