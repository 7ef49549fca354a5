//! Streams that are no sockets: pipes, terminals, devices, the standard streams.

use super::convert::{self, invalid};
use super::file::read_opening;
use super::guard;
use super::protocol::{self, lariat_protocol};
use super::status::lariat_status;
use super::types::*;
use crate::driver::Readiness;
use crate::handles::{Item, Owned, Word};
use crate::net::plain;
use crate::net::plain::paths::{self, Standard};
use crate::net::protocol::Protocol;
use crate::net::transport::Transport;
use crate::platform::descriptors::Opening;
use crate::reactor::ReactorItem;
use crate::status::Result;
use std::ffi::{c_char, c_void};
use std::rc::Rc;

/// Opens a stream with the protocol and self that C gave.
pub(super) fn opened(
    reactor: *mut lariat_reactor,
    protocol: *const lariat_protocol,
    this: *mut c_void,
    open: impl FnOnce(ReactorItem, Rc<Protocol>, Owned) -> Result<Item<Transport>>,
) -> *mut lariat_transport {
    let read = protocol::read(protocol);
    let owned = read.as_ref().map_or_else(|_| Owned::default(), |read| read.own(Word::new(this)));
    guard::on(reactor, move |reactor| -> Result<Item<Transport>> {
        let read = read?;
        protocol::check(protocol)?;
        open(reactor, Rc::new(read), owned)
    })
}

/// The same with a protocol that queues events with this tag.
pub(super) fn opened_event(
    reactor: *mut lariat_reactor,
    tag: u64,
    open: impl FnOnce(ReactorItem, Rc<Protocol>, Owned) -> Result<Item<Transport>>,
) -> *mut lariat_transport {
    guard::on(reactor, move |reactor| open(reactor, protocol::events(tag), Owned::default()))
}

fn ways_of(ways: i32) -> Result<Readiness> {
    super::watcher::readiness("ways", ways)
}

/// Makes a stream of a descriptor: a pipe, a named pipe, a terminal or the master of one, a socket, a device, a regular
/// file. It is a transport like any other; what it cannot do, such as telling its address, is LARIAT_ERR_NOT_SUPPORTED.
///
/// A stream that is only read ends with LARIAT_CONNECTION_DONE when there is nothing more to read. One that is only
/// written ends when lariat_transport_lose_connection was called and all is written; a pipe that nobody reads any more
/// ends with LARIAT_CONNECTION_DONE if all that was written was read, else with LARIAT_ERR_CONNECTION_LOST.
///
/// Others who share the description find it as it was: O_NONBLOCK is not set on it. SIGPIPE is never raised.
///
/// fd        the library's from here on if this succeeds, else untouched.
/// ways      LARIAT_READABLE, LARIAT_WRITABLE or both.
/// protocol  copied; its connection_made is called by the next turn.
/// self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
/// returns   the stream; NULL on failure.
/// errors    LARIAT_ERR_INVALID_ARGUMENT for a directory, a socket that listens or is for datagrams, or one that is not
///           open for what ways says; LARIAT_ERR_OS for one that is not open; LARIAT_ERR_NOT_SUPPORTED on Windows, and by a
///           simulated reactor.
/// thread    the reactor's.
/// Twisted   IReactorProcess's and StandardIO's ProcessReader and ProcessWriter.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_adopt_descriptor(
    reactor: *mut lariat_reactor,
    fd: lariat_socket,
    ways: i32,
    protocol: *const lariat_protocol,
    self_: *mut c_void,
) -> *mut lariat_transport {
    opened(reactor, protocol, self_, |reactor, protocol, this| {
        plain::adopt(reactor, super::watcher::descriptor(fd)?, ways_of(ways)?, protocol, this)
    })
}

/// The same as lariat_reactor_adopt_descriptor, but queues events instead of calling: LARIAT_EVENT_CONNECTION_MADE,
/// LARIAT_EVENT_DATA_RECEIVED and LARIAT_EVENT_CONNECTION_LOST. While the queue is full, nothing is read.
///
/// tag     any number; comes back in the events.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_adopt_descriptor_event(
    reactor: *mut lariat_reactor,
    fd: lariat_socket,
    ways: i32,
    tag: u64,
) -> *mut lariat_transport {
    opened_event(reactor, tag, |reactor, protocol, this| {
        plain::adopt(reactor, super::watcher::descriptor(fd)?, ways_of(ways)?, protocol, this)
    })
}

/// Makes a stream of what the standard input of the process is: a terminal, a pipe, a socket, a regular file, /dev/null.
/// Number 0 stays the process's own, and blocks as before; what is read here is gone from there.
///
/// protocol  copied; its connection_made is called by the next turn.
/// self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
/// returns   the stream, which is only read; NULL on failure.
/// errors    LARIAT_ERR_OS when it is not open; LARIAT_ERR_INVALID_ARGUMENT when it is a directory; LARIAT_ERR_NOT_SUPPORTED
///           on Windows, and by a simulated reactor.
/// thread    the reactor's.
/// Twisted   StandardIO.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_open_standard_input(
    reactor: *mut lariat_reactor,
    protocol: *const lariat_protocol,
    self_: *mut c_void,
) -> *mut lariat_transport {
    opened(reactor, protocol, self_, |reactor, protocol, this| {
        paths::standard(reactor, Standard::Input, protocol, this)
    })
}

/// The same as lariat_reactor_open_standard_input, but queues events instead of calling, as
/// lariat_reactor_adopt_descriptor_event does.
///
/// tag     any number; comes back in the events.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_open_standard_input_event(
    reactor: *mut lariat_reactor,
    tag: u64,
) -> *mut lariat_transport {
    opened_event(reactor, tag, |reactor, protocol, this| paths::standard(reactor, Standard::Input, protocol, this))
}

/// Makes a stream of what the standard output of the process is. Number 1 stays the process's own, and open, so that
/// whoever reads it sees its end when the process ends. What is written here and by printf goes out in no set order.
///
/// protocol  copied; its connection_made is called by the next turn.
/// self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
/// returns   the stream, which is only written; NULL on failure.
/// errors    as of lariat_reactor_open_standard_input.
/// thread    the reactor's.
/// Twisted   StandardIO.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_open_standard_output(
    reactor: *mut lariat_reactor,
    protocol: *const lariat_protocol,
    self_: *mut c_void,
) -> *mut lariat_transport {
    opened(reactor, protocol, self_, |reactor, protocol, this| {
        paths::standard(reactor, Standard::Output, protocol, this)
    })
}

/// The same as lariat_reactor_open_standard_output, but queues events instead of calling.
///
/// tag     any number; comes back in the events.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_open_standard_output_event(
    reactor: *mut lariat_reactor,
    tag: u64,
) -> *mut lariat_transport {
    opened_event(reactor, tag, |reactor, protocol, this| paths::standard(reactor, Standard::Output, protocol, this))
}

/// The same as lariat_reactor_open_standard_output, for the standard error, which is number 2.
///
/// protocol  copied; its connection_made is called by the next turn.
/// self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
/// returns   the stream, which is only written; NULL on failure.
/// errors    as of lariat_reactor_open_standard_input.
/// thread    the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_open_standard_error(
    reactor: *mut lariat_reactor,
    protocol: *const lariat_protocol,
    self_: *mut c_void,
) -> *mut lariat_transport {
    opened(reactor, protocol, self_, |reactor, protocol, this| {
        paths::standard(reactor, Standard::Error, protocol, this)
    })
}

/// The same as lariat_reactor_open_standard_error, but queues events instead of calling.
///
/// tag     any number; comes back in the events.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_open_standard_error_event(
    reactor: *mut lariat_reactor,
    tag: u64,
) -> *mut lariat_transport {
    opened_event(reactor, tag, |reactor, protocol, this| paths::standard(reactor, Standard::Error, protocol, this))
}

/// Of a named pipe that is read: goes on when those who wrote have closed it, and waits for others.
pub const LARIAT_PIPE_KEEP_OPEN: i32 = 4;

/// Opens a named pipe. One that is read opens at once; it ends when there were writers and the last has closed it, unless
/// LARIAT_PIPE_KEEP_OPEN is given. One that is written needs somebody who reads it.
///
/// path      the system's own bytes.
/// ways      LARIAT_READABLE, which LARIAT_PIPE_KEEP_OPEN may join, or LARIAT_WRITABLE.
/// protocol  copied; its connection_made is called by the next turn.
/// self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
/// returns   the stream; NULL on failure.
/// errors    LARIAT_ERR_OS with the system's word: there is none, or nobody reads it (ENXIO);
///           LARIAT_ERR_INVALID_ARGUMENT for what is no named pipe; LARIAT_ERR_PERMISSION_DENIED;
///           LARIAT_ERR_NOT_SUPPORTED on Windows, and by a simulated reactor.
/// thread    the reactor's.
/// POSIX     mkfifo.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_open_pipe(
    reactor: *mut lariat_reactor,
    path: *const c_char,
    ways: i32,
    protocol: *const lariat_protocol,
    self_: *mut c_void,
) -> *mut lariat_transport {
    opened(reactor, protocol, self_, |reactor, protocol, this| open_pipe(reactor, path, ways, protocol, this))
}

/// The same as lariat_reactor_open_pipe, but queues events instead of calling, as lariat_reactor_adopt_descriptor_event
/// does.
///
/// path    as for lariat_reactor_open_pipe.
/// tag     any number; comes back in the events.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_open_pipe_event(
    reactor: *mut lariat_reactor,
    path: *const c_char,
    ways: i32,
    tag: u64,
) -> *mut lariat_transport {
    opened_event(reactor, tag, |reactor, protocol, this| open_pipe(reactor, path, ways, protocol, this))
}

fn open_pipe(
    reactor: ReactorItem,
    path: *const c_char,
    ways: i32,
    protocol: Rc<Protocol>,
    this: Owned,
) -> Result<Item<Transport>> {
    let path = convert::bytes_text("path", path)?;
    let keeps_open = ways & LARIAT_PIPE_KEEP_OPEN != 0;
    paths::pipe(reactor, path, ways_of(ways & !LARIAT_PIPE_KEEP_OPEN)?, keeps_open, protocol, this)
}

/// Makes a named pipe.
///
/// path    where: the system's own bytes.
/// mode    its permissions, such as 0600, less what the umask takes away.
/// errors  LARIAT_ERR_OS with the system's word, such as that there is something already; LARIAT_ERR_PERMISSION_DENIED;
///         LARIAT_ERR_NOT_SUPPORTED on Windows, and by a simulated reactor.
/// thread  the reactor's.
/// POSIX   mkfifo.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_make_pipe(
    reactor: *mut lariat_reactor,
    path: *const c_char,
    mode: u32,
) -> lariat_status {
    guard::on(reactor, |reactor| {
        let path = convert::bytes_text("path", path)?;
        if mode > 0o7777 {
            return Err(invalid(format_args!("mode is {mode:o}, which are no permissions")));
        }
        paths::make_pipe(reactor, path, mode)
    })
}

/// Opens a file as a stream that is read to its end, or written. What the kernel has at hand is read at once, the rest by
/// the thread pool, and so is all that is written: a slow disk holds up nothing else. As with any stream, pausing,
/// producers, framing and limits of rate hold; after lariat_transport_lose_connection the end comes when all is written, or
/// with the reason why it is not.
///
/// path      the system's own bytes.
/// flags     LARIAT_FILE_READ; or LARIAT_FILE_WRITE or LARIAT_FILE_APPEND, with LARIAT_FILE_CREATE, _EXCLUSIVE and
///           _TRUNCATE; a file that is made has the permissions 0666, less what the umask takes away.
/// offset    bytes from the beginning, where it starts; 0 with LARIAT_FILE_APPEND.
/// protocol  copied; its connection_made is called by the next turn.
/// self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
/// returns   the stream; NULL on failure.
/// errors    LARIAT_ERR_OS with the system's word, such as that there is none; LARIAT_ERR_PERMISSION_DENIED;
///           LARIAT_ERR_INVALID_ARGUMENT for a directory; LARIAT_ERR_NOT_SUPPORTED on Windows, and by a simulated reactor.
/// thread    the reactor's.
/// Twisted   FileSender, and FTP's file consumers.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_open_file_stream(
    reactor: *mut lariat_reactor,
    path: *const c_char,
    flags: i32,
    offset: u64,
    protocol: *const lariat_protocol,
    self_: *mut c_void,
) -> *mut lariat_transport {
    opened(reactor, protocol, self_, |reactor, protocol, this| {
        open_file(reactor, path, (flags, offset), protocol, this)
    })
}

/// The same as lariat_reactor_open_file_stream, but queues events instead of calling, as
/// lariat_reactor_adopt_descriptor_event does.
///
/// path    as for lariat_reactor_open_file_stream.
/// tag     any number; comes back in the events.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_open_file_stream_event(
    reactor: *mut lariat_reactor,
    path: *const c_char,
    flags: i32,
    offset: u64,
    tag: u64,
) -> *mut lariat_transport {
    opened_event(reactor, tag, |reactor, protocol, this| open_file(reactor, path, (flags, offset), protocol, this))
}

fn open_file(
    reactor: ReactorItem,
    path: *const c_char,
    (flags, offset): (i32, u64),
    protocol: Rc<Protocol>,
    this: Owned,
) -> Result<Item<Transport>> {
    let path = convert::bytes_text("path", path)?;
    let wanted = read_opening(flags, 0o666)?;
    let opening = Opening {
        read: wanted.read,
        write: wanted.write || wanted.append,
        append: wanted.append,
        create: wanted.create,
        exclusive: wanted.exclusive,
        truncate: wanted.truncate,
    };
    paths::file(reactor, path, opening, offset, protocol, this)
}
