//! Watching descriptors.

use super::convert::{self, invalid};
use super::guard;
use super::status::lariat_status;
use super::types::*;
use crate::driver::Readiness;
use crate::handles::{Item, Owned};
use crate::reactor::watch::{self, Action, Watcher};
use crate::status::Result;
use std::ffi::c_void;

/// There is something to read, a connection to accept, or an end or an error to find out about.
pub const LARIAT_READABLE: i32 = 1;
/// There is room to write, or an error to find out about.
pub const LARIAT_WRITABLE: i32 = 2;

/// Watches a descriptor: calls fn on every turn in which it is ready for what the interest names.
///
/// fd         stays its owner's, who stops the watcher before closing it. Not a regular file.
/// interest   LARIAT_READABLE, LARIAT_WRITABLE or both; 0: nothing yet.
/// user_data  may be NULL; passed through.
/// returns    a handle that is good until lariat_watcher_stop; NULL on failure.
/// errors     LARIAT_ERR_ALREADY_WATCHED by this reactor; LARIAT_ERR_OS for a descriptor that is closed, or cannot be
///            watched; LARIAT_ERR_NOT_SUPPORTED on Windows, so far.
/// thread     the reactor's.
/// Twisted    IReactorFDSet.addReader and addWriter.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_watch(
    reactor: *mut lariat_reactor,
    fd: lariat_socket,
    interest: i32,
    r#fn: lariat_ready_fn,
    user_data: *mut c_void,
) -> *mut lariat_watcher {
    watch_with(reactor, fd, interest, r#fn, convert::borrowed(user_data))
}

/// The same as lariat_reactor_watch, with user_data owned by the library from here on: free_user_data(user_data) is
/// called exactly once, when the watcher is stopped and its callback has returned, when its scope ends, when the
/// reactor is freed, or before this returns NULL.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_watch_full(
    reactor: *mut lariat_reactor,
    fd: lariat_socket,
    interest: i32,
    r#fn: lariat_ready_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> *mut lariat_watcher {
    watch_with(reactor, fd, interest, r#fn, convert::owned(user_data, free_user_data))
}

/// The same as lariat_reactor_watch, but queues an event, LARIAT_EVENT_READY, instead of calling. One event of a
/// watcher waits at a time: it is looked at again when the host has gone on to the next event.
///
/// tag     any number; comes back in the event.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_watch_event(
    reactor: *mut lariat_reactor,
    fd: lariat_socket,
    interest: i32,
    tag: u64,
) -> *mut lariat_watcher {
    guard::on(reactor, |reactor| {
        let (fd, interest) = (descriptor(fd)?, readiness("interest", interest)?);
        watch::watch(reactor, fd, interest, Action::Event(tag), Owned::default())
    })
}

fn watch_with(
    reactor: *mut lariat_reactor,
    fd: lariat_socket,
    interest: i32,
    function: lariat_ready_fn,
    data: Owned,
) -> *mut lariat_watcher {
    guard::on(reactor, move |reactor| -> Result<Item<Watcher>> {
        let function = convert::required("fn", convert::ready_fn(function))?;
        let (fd, interest) = (descriptor(fd)?, readiness("interest", interest)?);
        watch::watch(reactor, fd, interest, Action::Call(function), data)
    })
}

/// Refuses the number that the system answers when there is no descriptor.
pub(super) fn descriptor(fd: lariat_socket) -> Result<lariat_socket> {
    #[cfg(windows)]
    let none = fd == lariat_socket::MAX;
    #[cfg(not(windows))]
    let none = fd < 0;
    if none { Err(invalid(format_args!("fd is {fd}, which is no descriptor"))) } else { Ok(fd) }
}

pub(super) fn readiness(name: &str, bits: i32) -> Result<Readiness> {
    let why = || invalid(format_args!("{name} is {bits}; it is LARIAT_READABLE, LARIAT_WRITABLE, both or 0"));
    Readiness::from_bits(bits).ok_or_else(why)
}

/// Lists the watchers, in no particular order.
///
/// watchers  written: as many handles as there are, and at most capacity; may be NULL if that is 0.
/// capacity  how many handles there is room for.
/// count     written: how many there are, which may be more.
/// thread    the reactor's.
/// Twisted   IReactorFDSet.getReaders and getWriters.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_watchers(
    reactor: *mut lariat_reactor,
    watchers: *mut *mut lariat_watcher,
    capacity: usize,
    count: *mut usize,
) -> lariat_status {
    guard::on(reactor, |reactor| {
        let all = || reactor.pools.all::<Watcher>().into_iter().map(Item::word).collect();
        convert::write_handles("watchers", (watchers, capacity), count, all)
    })
}

/// Has a watcher ask for something else.
///
/// interest  LARIAT_READABLE, LARIAT_WRITABLE or both; 0: nothing, until it is set again.
/// errors    LARIAT_ERR_CLOSED once it was stopped; LARIAT_ERR_OS when its descriptor is closed.
/// thread    the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_watcher_set_interest(watcher: *mut lariat_watcher, interest: i32) -> lariat_status {
    guard::on(watcher, |watcher| watch::set_interest(watcher, readiness("interest", interest)?))
}

/// Tells what a watcher asks for.
///
/// returns  LARIAT_READABLE, LARIAT_WRITABLE, both or 0; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_watcher_interest(watcher: *mut lariat_watcher) -> i32 {
    guard::on(watcher, |watcher| Ok(watcher.interest().bits()))
}

/// Tells which descriptor a watcher watches.
///
/// fd      written.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_watcher_descriptor(watcher: *mut lariat_watcher, fd: *mut lariat_socket) -> lariat_status {
    guard::on(watcher, |watcher| {
        convert::out("fd", fd)?.write(watcher.socket());
        Ok(())
    })
}

/// Ends a watcher: it tells nothing more, also of what the present turn has found, and its handle is stale once its
/// callback has returned. The descriptor stays open.
///
/// errors   LARIAT_ERR_CLOSED when it was stopped inside its callback already.
/// thread   the reactor's.
/// Twisted  IReactorFDSet.removeReader and removeWriter.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_watcher_stop(watcher: *mut lariat_watcher) -> lariat_status {
    guard::on(watcher, watch::stop)
}
