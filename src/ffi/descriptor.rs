//! Streams that are no sockets: pipes, terminals, devices, the standard streams.

use super::guard;
use super::protocol::{self, lariat_protocol};
use super::types::*;
use crate::driver::Readiness;
use crate::handles::{Item, Owned, Word};
use crate::net::plain;
use crate::net::protocol::Protocol;
use crate::net::transport::Transport;
use crate::reactor::ReactorItem;
use crate::status::Result;
use std::ffi::c_void;
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
/// errors    LARIAT_ERR_INVALID_ARGUMENT for a directory, or one that is not open for what ways says; LARIAT_ERR_OS for
///           one that is not open; LARIAT_ERR_NOT_SUPPORTED on Windows, and by a simulated reactor.
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
