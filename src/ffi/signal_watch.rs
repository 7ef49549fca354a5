//! Watching signals.

use super::convert;
use super::guard;
use super::status::lariat_status;
use super::types::*;
use crate::handles::{Item, Owned};
use crate::process::signals::{self, Action, SignalWatch};
use crate::status::Result;
use std::ffi::c_void;

/// Watches a signal: calls fn from a turn of the loop after it has come. Any number of watches, of this reactor and of
/// others, may watch the same one; each is told. From the first watch of a signal to the last one's end the process has
/// a handler of the library's, which calls the one that was there before, and is replaced by that again; one that the
/// program sets meanwhile stays, and has to call the library's, or nothing is told. What the signal did by default it
/// does not do while it is watched. A child of fork has what there was before.
///
/// A signal that comes again before its callback is made is told once; lariat_signal_watch_count counts all. A signal
/// that every thread has blocked does not come.
///
/// number     the signal's, as SIGINT; not SIGKILL or SIGSTOP, which cannot be caught, nor SIGSEGV and the like, which
///            say that the program is broken.
/// user_data  may be NULL; passed through.
/// returns    a handle that is good until lariat_signal_watch_stop; NULL on failure.
/// errors     LARIAT_ERR_NOT_SUPPORTED on Windows and when simulated; LARIAT_ERR_TOO_MANY_DESCRIPTORS; LARIAT_ERR_OS for
///            a signal that the system keeps for itself.
/// thread     the reactor's. Which thread the signal comes to does not matter.
/// POSIX      sigaction.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_watch_signal(
    reactor: *mut lariat_reactor,
    number: i32,
    r#fn: lariat_signal_fn,
    user_data: *mut c_void,
) -> *mut lariat_signal_watch {
    watch_with(reactor, number, r#fn, convert::borrowed(user_data))
}

/// The same as lariat_reactor_watch_signal, with user_data owned by the library from here on: free_user_data(user_data)
/// is called exactly once, when the watch is stopped and its callback has returned, when its scope ends, when the
/// reactor is freed, or before this returns NULL.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_watch_signal_full(
    reactor: *mut lariat_reactor,
    number: i32,
    r#fn: lariat_signal_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> *mut lariat_signal_watch {
    watch_with(reactor, number, r#fn, convert::owned(user_data, free_user_data))
}

/// The same as lariat_reactor_watch_signal, but queues an event, LARIAT_EVENT_SIGNAL, instead of calling.
///
/// tag     any number; comes back in the event.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_watch_signal_event(
    reactor: *mut lariat_reactor,
    number: i32,
    tag: u64,
) -> *mut lariat_signal_watch {
    guard::on(reactor, |reactor| {
        signals::check_number(number)?;
        signals::watch(reactor, number, Action::Event(tag), Owned::default())
    })
}

fn watch_with(
    reactor: *mut lariat_reactor,
    number: i32,
    function: lariat_signal_fn,
    data: Owned,
) -> *mut lariat_signal_watch {
    guard::on(reactor, move |reactor| -> Result<Item<SignalWatch>> {
        let function = convert::required("fn", convert::signal_fn(function))?;
        signals::check_number(number)?;
        signals::watch(reactor, number, Action::Call(function), data)
    })
}

/// Waits for a signal, once.
///
/// number   as of lariat_reactor_watch_signal.
/// returns  a Deferred that fires with the number, as a pointer, when the signal comes; cancelling it ends the watch.
///          NULL on failure.
/// errors   as of lariat_reactor_watch_signal.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_when_signal(reactor: *mut lariat_reactor, number: i32) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| {
        signals::check_number(number)?;
        signals::when(reactor, number)
    })
}

/// Has a signal stop the reactor, as lariat_reactor_stop does: through its shutdown triggers. One that comes while the
/// reactor does not run, or is stopping, changes nothing.
///
/// number   as of lariat_reactor_watch_signal: SIGINT, SIGTERM.
/// returns  the watch, to be ended by lariat_signal_watch_stop, or with the reactor; NULL on failure.
/// errors   as of lariat_reactor_watch_signal.
/// thread   the reactor's.
/// Twisted  reactor.run(installSignalHandlers=True), which is not the default here.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_stop_on_signal(reactor: *mut lariat_reactor, number: i32) -> *mut lariat_signal_watch {
    guard::on(reactor, |reactor| {
        signals::check_number(number)?;
        signals::stop_on(reactor, number)
    })
}

/// Tells which signal a watch watches.
///
/// returns  its number; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_signal_watch_number(watch: *mut lariat_signal_watch) -> i32 {
    guard::on(watch, |watch| Ok(watch.number()))
}

/// Tells how often the signal has come since it is watched, as far as turns have found out. The system makes one of
/// several that come while the first is not delivered; those from SIGRTMIN on come each.
///
/// returns  0 or more; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_signal_watch_count(watch: *mut lariat_signal_watch) -> i64 {
    guard::on(watch, |watch| Ok(watch.count() as i64))
}

/// Ends a watch: it tells nothing more, also of what has come already, and its handle is stale once its callback has
/// returned. With the last watch of a signal in the process, the handler that was there before is in its place again.
///
/// errors  LARIAT_ERR_CLOSED when it was stopped inside its callback already.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_signal_watch_stop(watch: *mut lariat_signal_watch) -> lariat_status {
    guard::on(watch, signals::stop)
}
