//! Sockets that were made elsewhere: inherited, passed, or the host's own.

use super::datagram::{self, DatagramPort};
use super::listener::{self, Build, Listener};
use super::protocol::Protocol;
use super::transport::{self, Transport, flag};
use super::{Fresh, attempt, error, reading};
use crate::handles::{Item, Owned};
use crate::platform::{self, Socket};
use crate::reactor::ReactorItem;
use crate::status::{Result, Status};
use std::rc::Rc;

/// What a descriptor must be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// A stream socket that listens.
    Listening,
    /// A stream socket that is connected.
    Connected,
    /// A datagram socket.
    Datagrams,
    /// A stream socket that neither listens nor is connected.
    Unconnected,
}

/// Checks a descriptor of the host and makes it the library's: it does not block any more, and is closed with what is
/// made of it. Refused, it stays the host's as it is.
pub(super) fn take(reactor: ReactorItem, descriptor: Socket, sort: Sort) -> Result<Fresh> {
    super::open(reactor)?;
    if reactor.is_simulated() {
        return Err(Status::ERR_NOT_SUPPORTED.because("a simulated reactor has no descriptors of the system"));
    }
    let wanted = match sort {
        Sort::Listening => "a listening stream socket",
        Sort::Connected => "a connected stream socket",
        Sort::Datagrams => "a datagram socket",
        Sort::Unconnected => "a stream socket that is not connected",
    };
    let (stream, listening) = platform::socket_sort(descriptor).map_err(|why| not_wanted(descriptor, wanted, &why))?;
    let right = match sort {
        Sort::Listening => stream && listening,
        Sort::Connected => {
            stream && !listening && reactor.with_driver(|driver| driver.peer_address(descriptor).is_ok())
        }
        Sort::Datagrams => !stream,
        Sort::Unconnected => {
            stream && !listening && reactor.with_driver(|driver| driver.peer_address(descriptor).is_err())
        }
    };
    if !right {
        let why = format_args!("descriptor {descriptor} is not {wanted}");
        return Err(Status::ERR_INVALID_ARGUMENT.because(why));
    }
    platform::prepare_socket(descriptor)
        .map_err(|why| error::refused(format_args!("descriptor {descriptor}"), &why))?;
    Ok(Fresh::of_host(reactor, descriptor))
}

/// What is no socket at all is the wrong argument too; what is not open is the system's word.
fn not_wanted(descriptor: Socket, wanted: &str, why: &std::io::Error) -> Status {
    let what = format!("descriptor {descriptor} is not {wanted}");
    #[cfg(unix)]
    if matches!(why.raw_os_error(), Some(libc::ENOTSOCK | libc::EPROTOTYPE)) {
        return Status::ERR_INVALID_ARGUMENT.because(format_args!("{what}: {why}"));
    }
    error::refused(what, why)
}

/// Accepts at a socket of the host, which is the library's when this succeeds.
pub fn listener(reactor: ReactorItem, socket: Socket, protocol: Rc<Protocol>, build: Build) -> Result<Item<Listener>> {
    listener::adopt(reactor, take(reactor, socket, Sort::Listening)?, protocol, build)
}

/// Makes a connection of a socket of the host, which is the library's when this succeeds. `connection_made` is called
/// from the loop.
pub fn stream(reactor: ReactorItem, socket: Socket, protocol: Rc<Protocol>, this: Owned) -> Result<Item<Transport>> {
    let fresh = take(reactor, socket, Sort::Connected)?;
    let unix = reactor.with_driver(|driver| reading::is_unix(driver, socket));
    let flags = if unix { flag::UNIX } else { 0 } | flag::CONNECTING;
    let transport = transport::make(reactor, fresh, reactor.scope.get(), flags)?;
    let this = std::cell::Cell::new(Some(this));
    let done: attempt::Done = Box::new(move |_, outcome| {
        if let (Ok(transport), Some(this)) = (outcome, this.take()) {
            attempt::establish(transport, protocol, this);
        }
    });
    let prepared = transport.with_new_extra(|extra| extra.connecting = Some(done));
    prepared.and_then(|()| reading::watch(transport)).inspect_err(|_| attempt::forget(transport))?;
    Ok(transport)
}

/// Makes a datagram port of a socket of the host, which is the library's when this succeeds.
pub fn datagrams(
    reactor: ReactorItem,
    socket: Socket,
    protocol: Rc<dyn datagram::Protocol>,
    this: Owned,
) -> Result<Item<DatagramPort>> {
    datagram::open(take(reactor, socket, Sort::Datagrams)?, protocol, this)
}
