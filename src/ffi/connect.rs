//! Connecting.

use super::convert;
use super::guard;
use super::protocol::{self, lariat_protocol};
use super::types::*;
use crate::handles::{Item, Owned, Word};
use crate::net::transport::Transport;
use crate::net::{adopt, connect};
use crate::status::Result;
use std::ffi::{c_char, c_void};
use std::rc::Rc;

/// Connects to an endpoint. A name is looked up without holding up anything else, and all its addresses are tried,
/// IPv6 and IPv4 by turns, until one answers.
///
/// endpoint  where to: "tcp://example.org:80", "tcp://[::1]:80", "unix:///run/x.sock", "unix-abstract://name"; options
///           follow a ?, with & between them: timeout=30 (seconds, for all of it), bind=127.0.0.1:0, no_delay=0;
///           of what it binds itself to, reuse_address=0 and reuse_port=1.
///           "tls://example.org:853" and "https://example.org" (port 443) begin with TLS, as by lariat_reactor_connect_tls:
///           the server's certificate must be for that name, and issued by whom the system trusts, or by ca=FILE (PEM);
///           server_name=NAME, alpn=h2,http/1.1, pin=SHA-256, minimum_version=1.3, handshake_timeout=10 (seconds; 0:
///           none), certificate=FILE and private_key=FILE to be shown, key_log=FILE, insecure_no_verification=1. Those
///           that connect often have a configuration, which remembers sessions.
/// protocol  copied; its connection_made is called before the Deferred fires.
/// self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
/// returns   a Deferred that fires with the connection, a lariat_transport; cancelling it gives up. NULL on failure.
/// errors    LARIAT_ERR_BAD_ENDPOINT; LARIAT_ERR_NOT_FOUND and LARIAT_ERR_BAD_CERTIFICATE for files of TLS. The Deferred fails with LARIAT_ERR_NAME_NOT_FOUND, LARIAT_ERR_LOOKUP_FAILED,
///           LARIAT_ERR_CONNECTION_REFUSED, LARIAT_ERR_UNREACHABLE, LARIAT_ERR_TIMED_OUT or LARIAT_ERR_CONNECT_FAILED;
///           its message names the host, and what each of its addresses answered; with TLS also as
///           lariat_reactor_connect_tls does.
/// thread    the reactor's. Nothing is called from inside this call.
/// Twisted   IReactorTCP.connectTCP, HostnameEndpoint, clientFromString; RFC 8305.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_connect(
    reactor: *mut lariat_reactor,
    endpoint: *const c_char,
    protocol: *const lariat_protocol,
    self_: *mut c_void,
) -> *mut lariat_deferred {
    let read = protocol::read(protocol);
    let owned = read.as_ref().map_or_else(|_| Owned::default(), |read| read.own(Word::new(self_)));
    guard::on(reactor, move |reactor| {
        let read = read?;
        protocol::check(protocol)?;
        connect::connect(reactor, convert::bytes_text("endpoint", endpoint)?, Rc::new(read), owned)
    })
}

/// The same as lariat_reactor_connect, but queues events instead of calling: LARIAT_EVENT_CONNECTION_MADE,
/// LARIAT_EVENT_DATA_RECEIVED and LARIAT_EVENT_CONNECTION_LOST. While the queue is full, nothing is read.
///
/// endpoint  as for lariat_reactor_connect.
/// tag       any number; comes back in the events.
/// returns   as lariat_reactor_connect does.
/// thread    the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_connect_event(
    reactor: *mut lariat_reactor,
    endpoint: *const c_char,
    tag: u64,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| {
        let endpoint = convert::bytes_text("endpoint", endpoint)?;
        connect::connect(reactor, endpoint, protocol::events(tag), Owned::default())
    })
}

/// The same as lariat_reactor_connect with a socket that was made elsewhere: bound, or with options of its own.
///
/// fd        a stream socket that is not connected; the library's from here on if this succeeds, else untouched.
/// endpoint  an address: "tcp://192.0.2.1:80", "tcp://[::1]:80", "unix:///run/x.sock"; nothing is looked up. Options as
///           of lariat_reactor_connect, but for bind.
/// protocol  copied; its connection_made is called before the Deferred fires.
/// self      as of lariat_reactor_connect.
/// returns   as lariat_reactor_connect does.
/// errors    LARIAT_ERR_BAD_ENDPOINT; LARIAT_ERR_INVALID_ARGUMENT for a descriptor that is something else;
///           LARIAT_ERR_OS for one that is not open; LARIAT_ERR_NOT_SUPPORTED by a simulated reactor.
/// thread    the reactor's. Nothing is called from inside this call.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_connect_socket(
    reactor: *mut lariat_reactor,
    fd: lariat_socket,
    endpoint: *const c_char,
    protocol: *const lariat_protocol,
    self_: *mut c_void,
) -> *mut lariat_deferred {
    let read = protocol::read(protocol);
    let owned = read.as_ref().map_or_else(|_| Owned::default(), |read| read.own(Word::new(self_)));
    guard::on(reactor, move |reactor| {
        let read = read?;
        protocol::check(protocol)?;
        let endpoint = convert::bytes_text("endpoint", endpoint)?;
        connect::connect_socket(reactor, super::watcher::descriptor(fd)?, endpoint, Rc::new(read), owned)
    })
}

/// Makes a connection of a socket that is connected already: one of a socketpair, or one that was passed on.
///
/// fd        a connected stream socket; the library's from here on if this succeeds, else untouched.
/// protocol  copied; its connection_made is called by the next turn.
/// self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
/// returns   the connection; NULL on failure.
/// errors    LARIAT_ERR_INVALID_ARGUMENT for a descriptor that is something else.
/// thread    the reactor's.
/// Twisted   IReactorSocket.adoptStreamConnection.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_adopt_stream(
    reactor: *mut lariat_reactor,
    fd: lariat_socket,
    protocol: *const lariat_protocol,
    self_: *mut c_void,
) -> *mut lariat_transport {
    let read = protocol::read(protocol);
    let owned = read.as_ref().map_or_else(|_| Owned::default(), |read| read.own(Word::new(self_)));
    guard::on(reactor, move |reactor| -> Result<Item<Transport>> {
        let read = read?;
        protocol::check(protocol)?;
        adopt::stream(reactor, super::watcher::descriptor(fd)?, Rc::new(read), owned)
    })
}
