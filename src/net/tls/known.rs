//! What is known of a connection's TLS.

use super::configuration::Version;
use super::{Session, session_of};
use crate::handles::Item;
use crate::net::transport::Transport;
use crate::status::{Result, Status};
use rustls::pki_types::CertificateDer;
use rustls::{Connection, HandshakeKind, ProtocolVersion};
use std::rc::Rc;

/// The session, once its handshake is over.
fn session(transport: Item<Transport>) -> Option<Rc<Session>> {
    session_of(transport).filter(|session| session.with_connection(|connection| !connection.is_handshaking()))
}

fn ask<R>(transport: Item<Transport>, ask: impl FnOnce(&mut Connection) -> R) -> Result<R> {
    match session(transport) {
        Some(session) => Ok(session.with_connection(ask)),
        None => Err(Status::ERR_INVALID_STATE.because("the connection has no TLS, or its handshake is not over")),
    }
}

/// The version on the wire; 0: it has none, or none yet.
pub fn version(transport: Item<Transport>) -> i32 {
    let version = session(transport).and_then(|session| session.with_connection(|one| one.protocol_version()));
    version.map_or(0, Version::number)
}

/// The cipher suite as its RFC names it.
pub fn cipher_suite(transport: Item<Transport>) -> Result<String> {
    let suite = ask(transport, |connection| connection.negotiated_cipher_suite())?;
    Ok(suite.map(|suite| format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1)).unwrap_or_default())
}

/// What is spoken above; empty: nothing was said of it.
pub fn alpn(transport: Item<Transport>) -> Result<Vec<u8>> {
    ask(transport, |connection| connection.alpn_protocol().unwrap_or_default().to_vec())
}

/// Whom the client has asked for; empty: nobody.
pub fn server_name(transport: Item<Transport>) -> Result<String> {
    let session = session(transport);
    let asked = session.and_then(|session| session.name.clone());
    let sent = ask(transport, |connection| match connection {
        Connection::Server(server) => server.server_name().map(str::to_owned),
        Connection::Client(_) => None,
    })?;
    Ok(asked.or(sent).unwrap_or_default())
}

/// The certificates that the peer has shown, its own first.
pub fn peer_certificates(transport: Item<Transport>) -> Result<usize> {
    ask(transport, |connection| connection.peer_certificates().map_or(0, <[_]>::len))
}

/// One of them, in DER.
pub fn peer_certificate(transport: Item<Transport>, index: usize) -> Result<CertificateDer<'static>> {
    let found = ask(transport, |connection| {
        let all = connection.peer_certificates().unwrap_or_default();
        all.get(index).map(|one| one.clone().into_owned()).ok_or(all.len())
    })?;
    found.map_err(|count| Status::ERR_NOT_FOUND.because(format_args!("index is {index}, the peer has shown {count}")))
}

/// Whether the two have gone on with an earlier session, and done without certificates.
pub fn is_resumed(transport: Item<Transport>) -> Result<bool> {
    ask(transport, |connection| connection.handshake_kind() == Some(HandshakeKind::Resumed))
}

/// Has what is sent from here on encrypted with new keys, and the peer do the same.
pub fn update_keys(transport: Item<Transport>) -> Result {
    transport.check_open()?;
    let done = ask(transport, |connection| match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => connection.refresh_traffic_keys().map_err(|why| super::trouble::told(&why)),
        _ => Err(super::trouble::older()),
    })?;
    done.map_err(|trouble| trouble.status.because(trouble.words))?;
    super::flush(transport);
    Ok(())
}
