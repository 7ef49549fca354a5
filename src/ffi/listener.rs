//! Listeners.

use super::convert::{self, invalid};
use super::guard::{self, HandleOf};
use super::protocol::{self, lariat_protocol};
use super::status::lariat_status;
use super::types::*;
use crate::handles::{Item, Owned};
use crate::net::listener::{self, Build, Listener};
use crate::net::protocol::Protocol;
use crate::net::{adopt, open};
use crate::reactor::ReactorItem;
use crate::status::Result;
use std::ffi::{c_char, c_void};
use std::rc::Rc;

/// Listens at an endpoint, and makes a transport of each connection that comes.
///
/// endpoint        where: "tcp://127.0.0.1:80", "tcp://[::1]:0" (the system picks the port), "unix:///run/x.sock",
///                 "unix-abstract://name", "systemd://name" (a socket that systemd has opened); * for the host of
///                 tcp:// stands for all addresses, IPv6 and IPv4. Options follow a ?, with & between them:
///                 backlog=1024, reuse_port=1, only_v6=1, no_delay=0, mode=660 (of a Unix socket's file). The file of
///                 a Unix socket that nobody listens at any more is replaced, and removed with the listener.
///                 "tls://127.0.0.1:853" and "https://[::1]" (port 443) have each connection begin with TLS, as by
///                 lariat_reactor_listen_tls: certificate=FILE and private_key=FILE (PEM, which may be one file), for
///                 clients' certificates client_ca=FILE and client_certificates=optional or required (which it is with
///                 client_ca), alpn=h2,http/1.1, minimum_version=1.3, handshake_timeout=10 (seconds; 0: none),
///                 key_log=FILE; in a file's path % and & are written as %25 and %26.
/// protocol        copied.
/// build_protocol  makes the self of each connection's protocol; may be NULL: self is user_data, and free_self is not
///                 called.
/// user_data       may be NULL; passed through.
/// returns         a handle that is good until the Deferred of lariat_listener_stop has fired; NULL on failure.
/// errors          LARIAT_ERR_BAD_ENDPOINT; LARIAT_ERR_ADDRESS_IN_USE, LARIAT_ERR_ADDRESS_NOT_AVAILABLE,
///                 LARIAT_ERR_PERMISSION_DENIED, LARIAT_ERR_TOO_MANY_DESCRIPTORS or LARIAT_ERR_OS as the system says;
///                 LARIAT_ERR_NOT_FOUND and LARIAT_ERR_BAD_CERTIFICATE for files of TLS.
/// thread          the reactor's. All callbacks come from turns of the loop.
/// Twisted         IReactorTCP.listenTCP, IReactorUNIX.listenUNIX, serverFromString.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_listen(
    reactor: *mut lariat_reactor,
    endpoint: *const c_char,
    protocol: *const lariat_protocol,
    build_protocol: lariat_build_protocol_fn,
    user_data: *mut c_void,
) -> *mut lariat_listener {
    listen(reactor, endpoint, protocol, build_protocol, convert::borrowed(user_data))
}

/// The same as lariat_reactor_listen, with user_data owned by the library from here on: free_user_data(user_data) is
/// called exactly once, when the listener is over and, where it is their self, with the last of its connections; or
/// before this returns NULL.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_listen_full(
    reactor: *mut lariat_reactor,
    endpoint: *const c_char,
    protocol: *const lariat_protocol,
    build_protocol: lariat_build_protocol_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> *mut lariat_listener {
    listen(reactor, endpoint, protocol, build_protocol, convert::owned(user_data, free_user_data))
}

fn listen(
    reactor: *mut lariat_reactor,
    endpoint: *const c_char,
    protocol: *const lariat_protocol,
    build_protocol: lariat_build_protocol_fn,
    data: Owned,
) -> *mut lariat_listener {
    guard::on(reactor, move |reactor| {
        let (protocol, build) = served(protocol, build_protocol, data)?;
        open::listen(reactor, convert::bytes_text("endpoint", endpoint)?, protocol, build)
    })
}

/// What connections are to have, from a protocol, the function that makes its self, and what that gets.
pub(super) fn served(
    protocol: *const lariat_protocol,
    build_protocol: lariat_build_protocol_fn,
    data: Owned,
) -> Result<(Rc<Protocol>, Build)> {
    let function = convert::build_fn(build_protocol);
    let mut read = protocol::read(protocol)?;
    protocol::check(protocol)?;
    if function.is_some() {
        return Ok((Rc::new(read), Build { function, data }));
    }
    // Self is the user data, which is no one connection's.
    (read.free_self, read.shared) = (None, data);
    Ok((Rc::new(read), Build::default()))
}

/// The same as lariat_reactor_listen, but queues events instead of calling: LARIAT_EVENT_CONNECTION_MADE,
/// LARIAT_EVENT_DATA_RECEIVED and LARIAT_EVENT_CONNECTION_LOST. While the queue is full, nothing is read.
///
/// endpoint  as for lariat_reactor_listen.
/// tag       any number; comes back in the events of all its connections.
/// thread    the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_listen_event(
    reactor: *mut lariat_reactor,
    endpoint: *const c_char,
    tag: u64,
) -> *mut lariat_listener {
    guard::on(reactor, |reactor| {
        let endpoint = convert::bytes_text("endpoint", endpoint)?;
        open::listen(reactor, endpoint, protocol::events(tag), Build::default())
    })
}

/// Accepts at a socket that listens already: inherited, or passed by another process.
///
/// fd              a listening stream socket; the library's from here on if this succeeds, else untouched.
/// protocol        copied.
/// build_protocol  as for lariat_reactor_listen.
/// user_data       may be NULL; passed through.
/// returns         as lariat_reactor_listen does.
/// errors          LARIAT_ERR_INVALID_ARGUMENT for a descriptor that is something else; LARIAT_ERR_OS for one that is
///                 not open.
/// thread          the reactor's.
/// Twisted         IReactorSocket.adoptStreamPort.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_adopt_listener(
    reactor: *mut lariat_reactor,
    fd: lariat_socket,
    protocol: *const lariat_protocol,
    build_protocol: lariat_build_protocol_fn,
    user_data: *mut c_void,
) -> *mut lariat_listener {
    adopt_with(reactor, fd, protocol, build_protocol, convert::borrowed(user_data))
}

/// The same as lariat_reactor_adopt_listener, with user_data owned by the library from here on, as by
/// lariat_reactor_listen_full.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_adopt_listener_full(
    reactor: *mut lariat_reactor,
    fd: lariat_socket,
    protocol: *const lariat_protocol,
    build_protocol: lariat_build_protocol_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> *mut lariat_listener {
    adopt_with(reactor, fd, protocol, build_protocol, convert::owned(user_data, free_user_data))
}

fn adopt_with(
    reactor: *mut lariat_reactor,
    fd: lariat_socket,
    protocol: *const lariat_protocol,
    build_protocol: lariat_build_protocol_fn,
    data: Owned,
) -> *mut lariat_listener {
    guard::on(reactor, move |reactor: ReactorItem| -> Result<Item<Listener>> {
        let (protocol, build) = served(protocol, build_protocol, data)?;
        adopt::listener(reactor, super::watcher::descriptor(fd)?, protocol, build)
    })
}

/// Listens no more: after this call nothing is accepted. Its connections live on.
///
/// returns  a Deferred that fires, with NULL, once the socket is closed, from a turn of the loop; cancelling it changes
///          nothing. NULL on failure.
/// errors   LARIAT_ERR_CLOSED when it was stopped before.
/// thread   the reactor's.
/// Twisted  IListeningPort.stopListening.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_listener_stop(listener: *mut lariat_listener) -> *mut lariat_deferred {
    guard::on(listener, listener::stop)
}

/// Tells the port that it listens at, also the one that the system picked.
///
/// returns  1 to 65535; 0: it has none, being a Unix socket; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_listener_port(listener: *mut lariat_listener) -> i32 {
    guard::on(listener, |listener| Ok(i32::from(listener.address().port())))
}

/// Tells where it listens, as an endpoint: "tcp://127.0.0.1:8080", "tls://127.0.0.1:8443", "unix:///run/x.sock".
///
/// text      written, with a NUL behind it: as much as there is room for; may be NULL if capacity is 0.
/// capacity  how many bytes there is room for.
/// length    written: how many bytes the whole text has, without the NUL; may be NULL.
/// errors    LARIAT_ERR_TOO_LONG when there was not enough room.
/// thread    the reactor's.
/// Twisted   IListeningPort.getHost.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_listener_address(
    listener: *mut lariat_listener,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> lariat_status {
    guard::on(listener, |listener| convert::write_text("text", (text, capacity), length, &listener.endpoint()))
}

/// Tells the descriptor of a listener, for what the library has no call for: an option of the socket, a query.
///
/// fd      written: stays the library's, not to be read from, written to or closed; good until it is stopped.
/// errors  LARIAT_ERR_CLOSED once it was stopped; LARIAT_ERR_NOT_SUPPORTED by a simulated reactor.
/// thread  the reactor's.
/// Twisted ISystemHandle.getHandle.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_listener_descriptor(listener: *mut lariat_listener, fd: *mut lariat_socket) -> lariat_status {
    guard::on(listener, |listener| {
        convert::out("fd", fd)?.write(listener::descriptor(listener)?);
        Ok(())
    })
}

/// Accepts no more until lariat_listener_resume; who connects meanwhile waits in the backlog.
///
/// errors   LARIAT_ERR_CLOSED once it was stopped.
/// thread   the reactor's.
/// Twisted  IPushProducer.pauseProducing of a port.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_listener_pause(listener: *mut lariat_listener) -> lariat_status {
    guard::on(listener, listener::pause)
}

/// Accepts again.
///
/// errors  LARIAT_ERR_CLOSED once it was stopped.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_listener_resume(listener: *mut lariat_listener) -> lariat_status {
    guard::on(listener, listener::resume)
}

/// Sets what becomes of those who connect when the process has no descriptors left.
///
/// on      1: they are taken and closed at once, for which a descriptor is kept; 0: they wait in the backlog until there
///         are some (default).
/// errors  LARIAT_ERR_CLOSED once it was stopped; LARIAT_ERR_TOO_MANY_DESCRIPTORS when none can be kept.
/// thread  the reactor's.
/// Twisted what its ports do.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_listener_set_turns_away(listener: *mut lariat_listener, on: i32) -> lariat_status {
    guard::on(listener, |listener| listener::set_turns_away(listener, convert::switch("on", on)?))
}

/// Limits the connections that a listener has at once. Who comes then waits in the backlog until one has ended.
///
/// connections  at most so many; 0: no limit (default).
/// errors       LARIAT_ERR_CLOSED once it was stopped.
/// thread       the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_listener_set_max_connections(
    listener: *mut lariat_listener,
    connections: u32,
) -> lariat_status {
    guard::on(listener, |listener| listener::set_most(listener, connections))
}

/// Limits the connections that a listener has at once from one IP address. One more is closed at once; those accepted
/// before the limit was set are not counted.
///
/// connections  at most so many; 0: no limit (default).
/// errors       LARIAT_ERR_CLOSED once it was stopped.
/// thread       the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_listener_set_max_connections_per_peer(
    listener: *mut lariat_listener,
    connections: u32,
) -> lariat_status {
    guard::on(listener, |listener| listener::set_most_by_peer(listener, connections))
}

/// Tells how many connections of a listener there are.
///
/// returns  0 or more; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_listener_connections(listener: *mut lariat_listener) -> i64 {
    guard::on(listener, |listener| Ok(i64::from(listener.connections())))
}

/// Tells which listener a connection came from.
///
/// returns  its listener, maybe stale; NULL of a client's connection, and on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_listener(transport: *mut lariat_transport) -> *mut lariat_listener {
    guard::on(transport, |transport| Ok(HandleOf::<Listener>::new(transport.listener())))
}

/// Refuses a length that memory cannot have.
#[cold]
pub(super) fn no_length(name: &str, length: usize) -> crate::status::Status {
    invalid(format_args!("{name}: a length of {length} is past the address space"))
}
