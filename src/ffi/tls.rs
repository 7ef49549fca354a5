//! TLS of listeners and connections.

use super::convert;
use super::guard;
use super::listener::served;
use super::protocol::{self, lariat_protocol};
use super::status::lariat_status;
use super::tls_configuration::configuration;
use super::types::*;
use crate::handles::{Owned, Word};
use crate::net::listener::{self, Build, Teller};
use crate::net::tls::{known, start};
use crate::net::{connect, open};
use std::ffi::{c_char, c_void};
use std::rc::Rc;

/// Listens as lariat_reactor_listen does, and has each connection begin with TLS. It counts among the listener's
/// connections from the first byte on; its protocol is made, and told, when the handshake is over. Who does not get
/// through is told of by lariat_listener_set_handshake_failed, or else to the log.
///
/// endpoint        as for lariat_reactor_listen, with any scheme of streams, and without options of TLS.
/// configuration   a server's; may be freed afterwards.
/// protocol        copied.
/// build_protocol  makes the self of each connection's protocol, and may ask what is known of its TLS; may be NULL: self is
///                 user_data, and free_self is not called.
/// user_data       may be NULL; passed through.
/// returns         as lariat_reactor_listen does.
/// errors          as of lariat_reactor_listen; LARIAT_ERR_INVALID_ARGUMENT for a client's configuration.
/// thread          the reactor's. All callbacks come from turns of the loop.
/// Twisted         IReactorSSL.listenSSL.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_listen_tls(
    reactor: *mut lariat_reactor,
    endpoint: *const c_char,
    configuration: *const lariat_tls_configuration,
    protocol: *const lariat_protocol,
    build_protocol: lariat_build_protocol_fn,
    user_data: *mut c_void,
) -> *mut lariat_listener {
    listen(reactor, endpoint, configuration, protocol, build_protocol, convert::borrowed(user_data))
}

/// The same as lariat_reactor_listen_tls, with user_data owned by the library from here on, as by
/// lariat_reactor_listen_full.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_listen_tls_full(
    reactor: *mut lariat_reactor,
    endpoint: *const c_char,
    configuration: *const lariat_tls_configuration,
    protocol: *const lariat_protocol,
    build_protocol: lariat_build_protocol_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> *mut lariat_listener {
    let data = convert::owned(user_data, free_user_data);
    listen(reactor, endpoint, configuration, protocol, build_protocol, data)
}

fn listen(
    reactor: *mut lariat_reactor,
    endpoint: *const c_char,
    given: *const lariat_tls_configuration,
    protocol: *const lariat_protocol,
    build_protocol: lariat_build_protocol_fn,
    data: Owned,
) -> *mut lariat_listener {
    guard::on(reactor, move |reactor| {
        let (protocol, build) = served(protocol, build_protocol, data)?;
        let tls = configuration(given)?.server()?;
        open::listen_tls(reactor, convert::bytes_text("endpoint", endpoint)?, tls, protocol, build)
    })
}

/// The same as lariat_reactor_listen_tls, but queues events instead of calling, as lariat_reactor_listen_event does.
///
/// endpoint       as for lariat_reactor_listen_tls.
/// configuration  a server's; may be freed afterwards.
/// tag            any number; comes back in the events of all its connections.
/// thread         the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_listen_tls_event(
    reactor: *mut lariat_reactor,
    endpoint: *const c_char,
    configuration: *const lariat_tls_configuration,
    tag: u64,
) -> *mut lariat_listener {
    guard::on(reactor, |reactor| {
        let tls = self::configuration(configuration)?.server()?;
        let endpoint = convert::bytes_text("endpoint", endpoint)?;
        open::listen_tls(reactor, endpoint, tls, protocol::events(tag), Build::default())
    })
}

/// Connects as lariat_reactor_connect does, and begins with TLS: connection_made is called, and the Deferred fires, when
/// the handshake is over. The endpoint's timeout is for all of it.
///
/// endpoint       as for lariat_reactor_connect, with any scheme of streams, and without options of TLS.
/// configuration  a client's; may be freed afterwards.
/// protocol       copied; its connection_made is called before the Deferred fires.
/// self           what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
/// returns        as lariat_reactor_connect does.
/// errors         as of lariat_reactor_connect; LARIAT_ERR_INVALID_ARGUMENT for a server's configuration, or where nothing
///                says whose certificate it must be. The Deferred fails also with LARIAT_ERR_CERTIFICATE_EXPIRED, _NAME,
///                _ISSUER, _INVALID or _PIN, LARIAT_ERR_ALPN, LARIAT_ERR_TLS_ALERT, LARIAT_ERR_TLS, or
///                LARIAT_ERR_TIMED_OUT; its message names the host and says why.
/// thread         the reactor's. Nothing is called from inside this call.
/// Twisted        IReactorSSL.connectSSL, wrapClientTLS.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_connect_tls(
    reactor: *mut lariat_reactor,
    endpoint: *const c_char,
    configuration: *const lariat_tls_configuration,
    protocol: *const lariat_protocol,
    self_: *mut c_void,
) -> *mut lariat_deferred {
    let read = protocol::read(protocol);
    let owned = read.as_ref().map_or_else(|_| Owned::default(), |read| read.own(Word::new(self_)));
    guard::on(reactor, move |reactor| {
        let read = read?;
        protocol::check(protocol)?;
        let tls = self::configuration(configuration)?.client()?;
        connect::connect_tls(reactor, convert::bytes_text("endpoint", endpoint)?, tls, Rc::new(read), owned)
    })
}

/// The same as lariat_reactor_connect_tls, but queues events instead of calling, as lariat_reactor_connect_event does.
///
/// endpoint       as for lariat_reactor_connect_tls.
/// configuration  a client's; may be freed afterwards.
/// tag            any number; comes back in the events.
/// returns        as lariat_reactor_connect does.
/// thread         the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_connect_tls_event(
    reactor: *mut lariat_reactor,
    endpoint: *const c_char,
    configuration: *const lariat_tls_configuration,
    tag: u64,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| {
        let tls = self::configuration(configuration)?.client()?;
        let endpoint = convert::bytes_text("endpoint", endpoint)?;
        connect::connect_tls(reactor, endpoint, tls, protocol::events(tag), Owned::default())
    })
}

/// Gives a listener another configuration, as when certificates were renewed: who connects from here on has it, the others
/// keep what they have. One that was without TLS has it from here on.
///
/// configuration  a server's; may be freed afterwards.
/// errors         LARIAT_ERR_CLOSED once the listener was stopped; LARIAT_ERR_INVALID_ARGUMENT for a client's configuration.
/// thread         the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_listener_set_tls(
    listener: *mut lariat_listener,
    configuration: *const lariat_tls_configuration,
) -> lariat_status {
    guard::on(listener, |listener| listener::set_tls(listener, self::configuration(configuration)?.server()?))
}

/// Has a function told of each connection that does not get through its TLS handshake, of which nobody else hears. Without
/// one the log is told.
///
/// fn         may be NULL: the log is told (default). Its failure names the peer and says why: LARIAT_ERR_TIMED_OUT,
///            LARIAT_ERR_CERTIFICATE_MISSING, LARIAT_ERR_TLS_ALERT and so on.
/// user_data  may be NULL; passed through.
/// errors     LARIAT_ERR_CLOSED once the listener was stopped.
/// thread     the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_listener_set_handshake_failed(
    listener: *mut lariat_listener,
    r#fn: lariat_handshake_failed_fn,
    user_data: *mut c_void,
) -> lariat_status {
    set_teller(listener, r#fn, convert::borrowed(user_data))
}

/// The same as lariat_listener_set_handshake_failed, with user_data owned by the library from here on:
/// free_user_data(user_data) is called exactly once, when the listener is over or has another function, once this one has
/// returned; or before this fails.
///
/// fn              may be NULL: the log is told.
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_listener_set_handshake_failed_full(
    listener: *mut lariat_listener,
    r#fn: lariat_handshake_failed_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> lariat_status {
    set_teller(listener, r#fn, convert::owned(user_data, free_user_data))
}

fn set_teller(listener: *mut lariat_listener, function: lariat_handshake_failed_fn, data: Owned) -> lariat_status {
    guard::on(listener, move |listener| {
        let function = convert::handshake_failed_fn(function);
        listener::set_teller(listener, function.map(|function| Teller(function, data)))
    })
}

/// Begins with TLS on a connection that was without, as STARTTLS has it. What was written before goes out before; what is
/// written from here on waits for the end of the handshake. What came and was not handed over to the protocol, or not
/// consumed by one that has set pull, or was given back by lariat_transport_unread, belongs to the handshake.
///
/// configuration  a server's: the peer is the client; a client's: the peer is the server. May be freed afterwards.
/// server_name    of a client: the name that the server's certificate must be for, unless the configuration has one; may be
///                NULL: the peer's IP address. Of a server: NULL.
/// returns        a Deferred that fires with the connection when the handshake is over. It fails with the reason of the
///                connection's end, which it is too, as lariat_reactor_connect_tls does; cancelling it ends the connection.
///                NULL on failure.
/// errors         LARIAT_ERR_INVALID_STATE when the connection has TLS, is not there yet, or a file waits to be sent;
///                LARIAT_ERR_CLOSED when it is over, is about to be, or has ended in one direction.
/// thread         the reactor's. Nothing is called from inside this call.
/// Twisted        ITLSTransport.startTLS.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_start_tls(
    transport: *mut lariat_transport,
    configuration: *const lariat_tls_configuration,
    server_name: *const c_char,
) -> *mut lariat_deferred {
    guard::on(transport, |transport| {
        let configuration = self::configuration(configuration)?;
        start::start(transport, &configuration, convert::text("server_name", server_name)?)
    })
}

/// Tells the version of a connection's TLS.
///
/// returns  LARIAT_TLS_1_2 or LARIAT_TLS_1_3; 0: it has none, or its handshake is not over; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_tls_version(transport: *mut lariat_transport) -> i32 {
    guard::on(transport, |transport| Ok(known::version(transport)))
}

/// Tells the cipher suite of a connection's TLS as its RFC names it: "TLS_AES_128_GCM_SHA256".
///
/// text      written, with a NUL behind it: as much as there is room for; may be NULL if capacity is 0.
/// capacity  how many bytes there is room for.
/// length    written: how many bytes the whole text has, without the NUL; may be NULL.
/// errors    LARIAT_ERR_TOO_LONG when there was not enough room; LARIAT_ERR_INVALID_STATE when it has no TLS, or its
///           handshake is not over.
/// thread    the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_tls_cipher_suite(
    transport: *mut lariat_transport,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> lariat_status {
    guard::on(transport, |transport| {
        convert::check_array("text", text, capacity)?;
        convert::write_text("text", (text, capacity), length, known::cipher_suite(transport)?.as_bytes())
    })
}

/// Tells which protocol is spoken above TLS (ALPN): "h2".
///
/// text      written, with a NUL behind it: as much as there is room for, "" if nothing was said of it; may be NULL if
///           capacity is 0.
/// capacity  how many bytes there is room for.
/// length    written: how many bytes the whole text has, without the NUL; may be NULL.
/// errors    as of lariat_transport_tls_cipher_suite.
/// thread    the reactor's.
/// Twisted   INegotiated.negotiatedProtocol.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_tls_alpn(
    transport: *mut lariat_transport,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> lariat_status {
    guard::on(transport, |transport| {
        convert::check_array("text", text, capacity)?;
        convert::write_text("text", (text, capacity), length, &known::alpn(transport)?)
    })
}

/// Tells whom a client has asked for (SNI): of a server's connection what the client said, of a client's whose certificate
/// it wanted.
///
/// text      written, with a NUL behind it: as much as there is room for, "" if nobody was asked for; may be NULL if
///           capacity is 0.
/// capacity  how many bytes there is room for.
/// length    written: how many bytes the whole text has, without the NUL; may be NULL.
/// errors    as of lariat_transport_tls_cipher_suite.
/// thread    the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_tls_server_name(
    transport: *mut lariat_transport,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> lariat_status {
    guard::on(transport, |transport| {
        convert::check_array("text", text, capacity)?;
        convert::write_text("text", (text, capacity), length, known::server_name(transport)?.as_bytes())
    })
}

/// Tells how many certificates the peer has shown.
///
/// returns  0 or more, 0 also of a client that was not asked; negative: an error.
/// errors   LARIAT_ERR_INVALID_STATE when it has no TLS, or its handshake is not over.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_tls_peer_certificates(transport: *mut lariat_transport) -> i64 {
    guard::on(transport, |transport| known::peer_certificates(transport).map(|count| count as i64))
}

/// Copies a certificate that the peer has shown, in DER.
///
/// index     0: the peer's own; from 1 on: those that lead from it to a root.
/// data      written: as many bytes as there is room for; may be NULL if capacity is 0.
/// capacity  how many bytes there is room for.
/// length    written: how many bytes the certificate has; may be NULL.
/// errors    LARIAT_ERR_TOO_LONG when there was not enough room; LARIAT_ERR_NOT_FOUND when the peer has not shown so many;
///           LARIAT_ERR_INVALID_STATE when it has no TLS, or its handshake is not over.
/// thread    the reactor's.
/// Twisted   ISSLTransport.getPeerCertificate.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_tls_peer_certificate(
    transport: *mut lariat_transport,
    index: usize,
    data: *mut u8,
    capacity: usize,
    length: *mut usize,
) -> lariat_status {
    guard::on(transport, |transport| {
        convert::check_array("data", data, capacity)?;
        convert::write_bytes("data", (data, capacity), length, &known::peer_certificate(transport, index)?)
    })
}

/// Tells whether a connection has gone on with an earlier session, and so done without certificates.
///
/// returns  1 or 0; negative: an error.
/// errors   LARIAT_ERR_INVALID_STATE when it has no TLS, or its handshake is not over.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_tls_is_resumed(transport: *mut lariat_transport) -> i32 {
    guard::on(transport, known::is_resumed)
}

/// Has new keys used for what is sent from here on, and asks the peer to do the same.
///
/// errors  LARIAT_ERR_NOT_SUPPORTED with TLS 1.2; LARIAT_ERR_INVALID_STATE when it has no TLS, or its handshake is not over;
///         LARIAT_ERR_CLOSED when the connection is over.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_tls_update_keys(transport: *mut lariat_transport) -> lariat_status {
    guard::on(transport, known::update_keys)
}
