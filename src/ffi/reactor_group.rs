//! Reactor groups.

use super::convert::{self, invalid};
use super::guard::{self, HandleOf};
use super::listener::served;
use super::options::lariat_reactor_options;
use super::protocol::lariat_protocol;
use super::status::lariat_status;
use super::structs::{self, Versioned};
use super::types::*;
use crate::handles::{Owned, Word};
use crate::net::group;
use crate::net::share::{self, Serve, Sharing};
use crate::reactor::{Reactor, Seam};
use crate::status::{Result, Status};
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// As the system does it best: LARIAT_SHARING_PORT for TCP on Linux, else LARIAT_SHARING_HAND_OVER.
pub const LARIAT_SHARING_DEFAULT: i32 = 0;
/// Each reactor listens at a socket of its own at the same port, and the system shares out what connects (SO_REUSEPORT).
pub const LARIAT_SHARING_PORT: i32 = 1;
/// The first reactor accepts, and hands what it has accepted on to all by turns. Those whose listener is full, paused or
/// stopped are left out; while all are full, who connects waits in the backlog. When the first's is paused or stopped,
/// or its reactor ends, nobody accepts.
pub const LARIAT_SHARING_HAND_OVER: i32 = 2;

/// More are refused.
const MOST: u32 = 1024;

/// Makes a group of reactors, each of which will have a thread of its own, to be run and stopped together: a server that
/// uses all processors. Threads and reactors are made by lariat_reactor_group_listen or lariat_reactor_group_start.
///
/// reactors  at most 1024; 0: as many as there are processors.
/// options   of each reactor, as for lariat_reactor_new_with_options; may be NULL: the defaults. Its functions are called
///           on the threads of all reactors, also at the same time; its free functions once, when the group is freed.
/// returns   the group, to be freed by lariat_reactor_group_free; NULL on failure.
/// errors    LARIAT_ERR_NOT_SUPPORTED when options asks for a simulation or a manual clock.
/// thread    any: the group becomes that thread's. It belongs to no reactor and to no scope.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_group_new(
    reactors: u32,
    options: *const lariat_reactor_options,
) -> *mut lariat_reactor_group {
    guard::alone(|| {
        guard::quiet_panics();
        let make = make(options)?;
        match reactors {
            0..=MOST => group::open(reactors, make),
            _ => Err(invalid(format_args!("reactors is {reactors}; it must be at most {MOST}"))),
        }
    })
}

/// What makes a reactor by these options on any thread.
fn make(options: *const lariat_reactor_options) -> Result<group::Make> {
    let given = match options.is_null() {
        true => lariat_reactor_options::initial(size_of::<lariat_reactor_options>() as u32),
        false => structs::read("options", options)?,
    };
    let hooks = given.hooks();
    if !options.is_null() {
        structs::check_tail("options", options)?;
    }
    if !matches!(given.seam()?, Seam::Real) {
        return Err(
            Status::ERR_NOT_SUPPORTED.because("the reactors of a group have the real driver and the real clock")
        );
    }
    let (limits, most) = (given.limits()?, (given.max_delayed_calls, given.max_deferreds));
    Ok(Arc::new(move || super::reactor::open(Seam::Real, limits, hooks.borrowed(), most)))
}

/// Has all reactors of a group listen at one endpoint, and share what connects; before the group is started.
///
/// Each reactor has a listener of its own, which build_protocol is given, and so has each its own limits and counts.
///
/// endpoint        as for lariat_reactor_listen. Where the system is to pick the port, it is the same for all.
/// sharing         LARIAT_SHARING_DEFAULT, LARIAT_SHARING_PORT or LARIAT_SHARING_HAND_OVER.
/// protocol        copied; each connection's. Its functions are called on the threads of all reactors, also at the same
///                 time, but for one connection always on the same.
/// build_protocol  makes the self of each connection, on its reactor's thread; may be NULL: self is user_data, and
///                 free_self is not called.
/// user_data       may be NULL; passed through.
/// returns         the port, 1 to 65535; 0: it has none, being a Unix socket; negative: an error.
/// errors          as of lariat_reactor_listen; LARIAT_ERR_NOT_SUPPORTED for LARIAT_SHARING_PORT where the system does not
///                 share; LARIAT_ERR_INVALID_STATE once the group was started; LARIAT_ERR_CLOSED once it was stopped, and
///                 for good when threads or reactors could not be made.
/// thread          the group's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_group_listen(
    group: *mut lariat_reactor_group,
    endpoint: *const c_char,
    sharing: i32,
    protocol: *const lariat_protocol,
    build_protocol: lariat_build_protocol_fn,
    user_data: *mut c_void,
) -> i32 {
    listen(group, endpoint, sharing, protocol, build_protocol, convert::borrowed(user_data))
}

/// The same as lariat_reactor_group_listen, with user_data owned by the library from here on: free_user_data(user_data)
/// is called exactly once, on the group's thread, when the group is freed, or before this fails.
///
/// free_user_data  may be NULL.
/// thread          the group's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_group_listen_full(
    group: *mut lariat_reactor_group,
    endpoint: *const c_char,
    sharing: i32,
    protocol: *const lariat_protocol,
    build_protocol: lariat_build_protocol_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> i32 {
    listen(group, endpoint, sharing, protocol, build_protocol, convert::owned(user_data, free_user_data))
}

fn listen(
    group: *mut lariat_reactor_group,
    endpoint: *const c_char,
    sharing: i32,
    protocol: *const lariat_protocol,
    build_protocol: lariat_build_protocol_fn,
    data: Owned,
) -> i32 {
    guard::on(group, move |group| {
        let sharing = match sharing {
            LARIAT_SHARING_DEFAULT => Sharing::Default,
            LARIAT_SHARING_PORT => Sharing::Port,
            LARIAT_SHARING_HAND_OVER => Sharing::HandOver,
            _ => return Err(invalid(format_args!("no sharing is {sharing}"))),
        };
        let endpoint = convert::bytes_text("endpoint", endpoint)?;
        let serve = serve(protocol, build_protocol, data.word())?;
        Ok(i32::from(share::listen(group, endpoint, sharing, &serve, data)?.port()))
    })
}

/// What makes the protocol of each reactor's listener on its own thread; the data is not theirs to free.
fn serve(protocol: *const lariat_protocol, build: lariat_build_protocol_fn, data: Word) -> Result<Serve> {
    let mut copy = structs::read("protocol", protocol)?;
    super::protocol::check(protocol)?;
    copy.struct_size = size_of::<lariat_protocol>() as u32;
    Ok(Arc::new(move || served(&copy, build, Owned::new(data, None))))
}

/// Starts a group: setup(reactor, index, user_data) is called for one reactor after the other, each on its own thread,
/// and then all their loops run. A group is started once.
///
/// setup      makes what a reactor is to begin with; may be NULL.
/// user_data  may be NULL; passed through.
/// returns    LARIAT_OK: all loops run, or soon will; else why not, which may be what setup has answered, with its message
///            if it has one. Then nothing of the group is left but its handle, unless it runs already.
/// errors     LARIAT_ERR_INVALID_STATE when it was started before; LARIAT_ERR_CLOSED once it was stopped; LARIAT_ERR_OS
///            and others when threads or reactors cannot be made.
/// thread     the group's. It returns when all setups have.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_group_start(
    group: *mut lariat_reactor_group,
    setup: lariat_group_setup_fn,
    user_data: *mut c_void,
) -> lariat_status {
    start(group, setup, convert::borrowed(user_data))
}

/// The same as lariat_reactor_group_start, with user_data owned by the library from here on: free_user_data(user_data)
/// is called exactly once, on the group's thread, when the group is freed, or before this fails.
///
/// setup           may be NULL.
/// free_user_data  may be NULL.
/// thread          the group's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_group_start_full(
    group: *mut lariat_reactor_group,
    setup: lariat_group_setup_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> lariat_status {
    start(group, setup, convert::owned(user_data, free_user_data))
}

fn start(group: *mut lariat_reactor_group, setup: lariat_group_setup_fn, data: Owned) -> lariat_status {
    guard::on(group, move |group| group::start(group, convert::group_setup_fn(setup), data))
}

/// Stops a group: each reactor as by lariat_reactor_stop, with its shutdown triggers, and then it is freed, with all that
/// lives in it, on its own thread. A group that was not started is ended all the same.
///
/// returns  LARIAT_OK when all threads are over; on one of the group's own threads: when that was asked for, since it
///          cannot wait for itself; else what went wrong on one of the threads.
/// errors   LARIAT_ERR_OS when a poll has failed; LARIAT_ERR_PANIC.
/// thread   any. What the shutdown triggers wait for must not be on the thread that calls this.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_group_stop(group: *mut lariat_reactor_group) -> lariat_status {
    guard::any_thread(group, |group, _| group::stop(group))
}

/// Waits until all loops of a group have ended and their reactors are freed: because it was stopped, or because each was.
///
/// returns  as lariat_reactor_group_stop.
/// errors   LARIAT_ERR_NOT_RUNNING when it was not started.
/// thread   the group's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_group_wait(group: *mut lariat_reactor_group) -> lariat_status {
    guard::on(group, group::wait)
}

/// Tells how many reactors a group has, or will have.
///
/// returns  1 or more; negative: an error.
/// thread   the group's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_group_size(group: *mut lariat_reactor_group) -> i64 {
    guard::on(group, |group| Ok(i64::from(group.size())))
}

/// Gives one of the reactors of a group, for the calls that any thread may make, such as lariat_reactor_call_from_thread.
///
/// index    from 0 on.
/// returns  the reactor, which is the group's to run and to free; stale when its loop has ended. NULL on failure.
/// errors   LARIAT_ERR_INVALID_ARGUMENT for one that there is not, or not yet.
/// thread   any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_group_reactor(group: *mut lariat_reactor_group, index: u32) -> *mut lariat_reactor {
    guard::any_thread(group, |group, _| Ok(HandleOf::<Reactor>::new(group::reactor(group, index)?)))
}

/// Ends a group, which is stopped first, as by lariat_reactor_group_stop, if it was not. Its handle is stale from here on.
///
/// thread  the group's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_group_free(group: *mut lariat_reactor_group) -> lariat_status {
    guard::ending(group, group::free, |_, why| Err(why))
}
