//! Child processes.

use super::convert;
use super::guard;
use super::process_options::{self, lariat_process_options};
use super::process_protocol::{self, Tagged, lariat_process_protocol};
use super::status::lariat_status;
use super::types::*;
use crate::platform::Exit;
use crate::process::{ending, pipes, run, start};
use std::ffi::c_void;
use std::rc::Rc;

/// Starts a program as a child process.
///
/// It begins with all signals as the system has them, with no descriptor but those that the options give it, and as fast
/// in a large process as in a small one. Each child is waited for by itself: no other child of the host is ever waited
/// for, no handler of SIGCHLD is needed or replaced; a host that waits for any child, or ignores SIGCHLD, may take away
/// how it has ended. It is watched by its descriptor (Linux 5.4), else by a thread of its own.
///
/// options   copied.
/// protocol  copied.
/// self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
/// returns   a handle that is good until process_ended has returned; NULL on failure: then nothing was started, and
///           nothing is told.
/// errors    LARIAT_ERR_NOT_FOUND: no such program, or directory; LARIAT_ERR_PERMISSION_DENIED: it is no program, or may
///           not be run; LARIAT_ERR_TOO_MANY_DESCRIPTORS; LARIAT_ERR_OS. The message names the program and what failed.
///           LARIAT_ERR_NOT_SUPPORTED on Windows, and by a simulated reactor.
/// thread    the reactor's. Nothing is called from inside this call. When the scope or the reactor ends first, its pipes
///           are closed, and it is killed with LARIAT_PROCESS_KILL_AT_END alone; one that goes on is waited for when
///           another child is started or ends, or by the host.
/// Twisted   IReactorProcess.spawnProcess.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_spawn(
    reactor: *mut lariat_reactor,
    options: *const lariat_process_options,
    protocol: *const lariat_process_protocol,
    self_: *mut c_void,
) -> *mut lariat_process {
    let protocol = process_protocol::read(protocol, self_);
    guard::on(reactor, move |reactor| {
        let protocol = protocol?;
        start::start(reactor, process_options::read(options, true)?, protocol)
    })
}

/// The same as lariat_reactor_spawn, but queues events instead of calling: LARIAT_EVENT_CHILD_DATA_RECEIVED,
/// LARIAT_EVENT_CHILD_CONNECTION_LOST, LARIAT_EVENT_PROCESS_EXITED and, last, LARIAT_EVENT_PROCESS_ENDED. While the
/// queue is full, nothing is read.
///
/// options  copied.
/// tag      any number; comes back in the events.
/// returns  as lariat_reactor_spawn does.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_spawn_event(
    reactor: *mut lariat_reactor,
    options: *const lariat_process_options,
    tag: u64,
) -> *mut lariat_process {
    guard::on(reactor, |reactor| {
        let how = process_options::read(options, true)?;
        start::start(reactor, how, Rc::new(Tagged(tag)))
    })
}

/// Runs a program, and collects what it writes. Descriptor 0 is the null device where there is no input, unless the
/// options say what it is; all pipes that the process writes are collected, each by itself.
///
/// options     copied.
/// input       len bytes, written to descriptor 0, which is then closed; may be NULL if len is 0.
/// len         bytes.
/// max_output  bytes in all that are collected at most; 0: 64 MiB.
/// returns     a Deferred that fires with a lariat_process_output when the process has ended and its pipes are closed,
///             however it has ended; or fails with LARIAT_ERR_TIMED_OUT, LARIAT_ERR_LIMIT when it writes more than
///             max_output, or LARIAT_ERR_STATUS_UNKNOWN. Cancelling it, and the limits, end the process: see kill_after
///             of the options; the end of its scope or reactor kills it. NULL on failure.
/// errors      as of lariat_reactor_spawn.
/// thread      the reactor's.
/// Twisted     twisted.internet.utils.getProcessOutputAndValue.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_run_process(
    reactor: *mut lariat_reactor,
    options: *const lariat_process_options,
    input: *const u8,
    len: usize,
    max_output: u64,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| {
        let input = convert::bytes("input", input, len)?;
        let how = process_options::read(options, len != 0)?;
        run::run(reactor, how, input, if max_output == 0 { run::MOST } else { max_output })
    })
}

/// Gives the stream at this end of a pipe of a process, or of its terminal: for all that streams can, such as being
/// paused, framing, water marks and limits. With another protocol it is read past the process, whose
/// child_connection_lost is called all the same.
///
/// child_fd  the number that the pipe has in the child; 0, 1 or 2 of a terminal.
/// returns   the stream, which goes stale when it is closed; NULL on failure.
/// errors    LARIAT_ERR_CLOSED when it is closed; LARIAT_ERR_INVALID_ARGUMENT when there is no pipe at that number.
/// thread    the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_process_transport(process: *mut lariat_process, child_fd: i32) -> *mut lariat_transport {
    guard::on(process, |process| pipes::transport(process, child_fd))
}

/// Writes to a pipe that a process reads, or to its terminal. What the pipe has no room for waits: see
/// lariat_transport_register_producer, and lariat_transport_set_max_buffer, with lariat_process_transport.
///
/// child_fd  the number that the pipe has in the child; 0 is its standard input.
/// data      len bytes; may be NULL if len is 0.
/// len       bytes.
/// errors    as of lariat_process_transport and of lariat_transport_write.
/// thread    the reactor's.
/// Twisted   IProcessTransport.writeToChild.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_process_write(
    process: *mut lariat_process,
    child_fd: i32,
    data: *const u8,
    len: usize,
) -> lariat_status {
    guard::on(process, |process| pipes::write(process, child_fd, convert::bytes("data", data, len)?))
}

/// Closes a pipe of a process, once all that was written is out. A terminal is closed as a whole, which hangs it up.
///
/// child_fd  the number that the pipe has in the child.
/// errors    as of lariat_process_transport.
/// thread    the reactor's. child_connection_lost comes later.
/// Twisted   IProcessTransport.closeChildFD.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_process_close(process: *mut lariat_process, child_fd: i32) -> lariat_status {
    guard::on(process, |process| pipes::close(process, child_fd))
}

/// Closes all pipes of a process, once all that was written is out. So a process that has ended is over, though others
/// have its pipes still.
///
/// thread   the reactor's. child_connection_lost comes later, for each.
/// Twisted  IProcessTransport.loseConnection.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_process_lose_connection(process: *mut lariat_process) -> lariat_status {
    guard::on(process, |process| {
        pipes::close_all(process);
        Ok(())
    })
}

/// Sends a signal to a process, and to it alone.
///
/// signal   its number; 0 sends nothing, but tells whether it could be sent.
/// errors   LARIAT_ERR_CLOSED when it has ended; LARIAT_ERR_PERMISSION_DENIED when it is another user's now.
/// thread   the reactor's.
/// Twisted  IProcessTransport.signalProcess.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_process_signal(process: *mut lariat_process, signal: i32) -> lariat_status {
    guard::on(process, |process| ending::signal(process, signal_number(signal)?))
}

/// Sends a signal to all of the process group that a process leads, also when it has ended itself: until process_ended,
/// where the system can (Linux 6.9).
///
/// signal  its number; 0 sends nothing, but tells whether it could be sent.
/// errors  LARIAT_ERR_INVALID_STATE when it leads no group; LARIAT_ERR_CLOSED when nobody is left of it;
///         LARIAT_ERR_PERMISSION_DENIED; LARIAT_ERR_NOT_SUPPORTED when it has ended, where the system cannot.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_process_signal_group(process: *mut lariat_process, signal: i32) -> lariat_status {
    guard::on(process, |process| ending::signal_group(process, signal_number(signal)?))
}

fn signal_number(number: i32) -> crate::status::Result<i32> {
    Ok(convert::within("signal", number.into(), (0, 64))? as i32)
}

/// Asks a process to end, by SIGTERM, and kills it if it has not after a while; with LARIAT_PROCESS_KILL_GROUP all of its
/// group. Called again, it begins anew.
///
/// grace_seconds  how long it has before it is killed; 0: it is killed at once; INFINITY: it never is.
/// errors         LARIAT_ERR_CLOSED when it has ended; LARIAT_ERR_PERMISSION_DENIED when it is another user's now.
/// thread         the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_process_terminate(process: *mut lariat_process, grace_seconds: f64) -> lariat_status {
    guard::on(process, |process| ending::terminate(process, convert::wait("grace_seconds", grace_seconds)?))
}

/// Tells the number of a process. Once it has ended, the system may give that to another one.
///
/// returns  1 or more; negative: an error.
/// thread   the reactor's.
/// Twisted  IProcessTransport.pid.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_process_pid(process: *mut lariat_process) -> i32 {
    guard::on(process, |process| Ok(process.pid()))
}

/// Tells the code that a process has ended with.
///
/// code     written: 0 to 255; -1 if it was ended by a signal. May be NULL.
/// returns  LARIAT_OK; LARIAT_EMPTY: it has not ended, as far as is known; negative: an error.
/// errors   LARIAT_ERR_STATUS_UNKNOWN when somebody else has waited for it.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_process_exit_code(process: *mut lariat_process, code: *mut i32) -> lariat_status {
    guard::on(process, |process| told(process.exit(), code, |exit| if let Exit::Code(code) = exit { code } else { -1 }))
}

/// Tells the signal that a process was ended by.
///
/// signal   written: its number; 0 if it has ended by itself. May be NULL.
/// returns  LARIAT_OK; LARIAT_EMPTY: it has not ended, as far as is known; negative: an error.
/// errors   LARIAT_ERR_STATUS_UNKNOWN when somebody else has waited for it.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_process_exit_signal(process: *mut lariat_process, signal: *mut i32) -> lariat_status {
    guard::on(process, |process| {
        told(process.exit(), signal, |exit| if let Exit::Signal(number, _) = exit { number } else { 0 })
    })
}

/// Writes what is known of an end.
pub(super) fn told(
    exit: Option<Exit>,
    place: *mut i32,
    what: impl FnOnce(Exit) -> i32,
) -> crate::status::Result<crate::status::Status> {
    use crate::status::Status;
    match exit {
        None => Ok(Status::EMPTY),
        Some(Exit::Unknown) => Err(Status::ERR_STATUS_UNKNOWN),
        Some(exit) => {
            convert::write_if_given(place, what(exit));
            Ok(Status::OK)
        }
    }
}
