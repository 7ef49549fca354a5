//! TLS, by rustls: a stream that has it is a transport like any other, with `flag::TLS`, by which [`Item::with_socket`]
//! takes the way through [`Through`]. So framing, producers, rates and time-outs are the same with it and without.
//!
//! A `configuration` says what a side shows and trusts; `identities`, `roots` and `verifier` are what it is made of. A
//! `session` is one connection's, and the `handshake` is what makes one.
//!
//! Keys, and all else that must not be foretold, are the system's random numbers, and certificates are valid by the
//! system's clock, also in a simulation: there the bytes on the wire do not follow from the seed, but what happens does.

pub mod configuration;
mod goodbye;
pub mod handshake;
mod identities;
mod key_log;
pub mod known;
mod pem;
mod roots;
mod session;
pub mod start;
mod through;
pub mod trouble;
mod verifier;
mod words;

pub use configuration::{Client, ClientCertificates, ClientOptions, Common, Configuration, HANDSHAKE};
pub use configuration::{Identity, SESSIONS, Server, ServerOptions, Version, server_name};
pub(super) use goodbye::{linger, linger_on, say_goodbye};
pub use pem::Pem;
pub use session::Session;
pub use words::{pins, protocols};

use super::transport::{Transport, flag};
use super::{ending, plain, reading, writing};
use crate::driver::Driver;
use crate::handles::Item;
use crate::platform::Socket;
use crate::status::{Result, Status};
use session::Wire;
use std::io;
use std::rc::Rc;
use through::Through;
use trouble::Trouble;

fn session_of(transport: Item<Transport>) -> Option<Rc<Session>> {
    transport.with_extra(|extra| extra.tls.clone()).flatten()
}

/// Calls what is for the socket of a transport with the driver below TLS.
fn with_inner<R>(transport: Item<Transport>, call: impl FnOnce(&dyn Driver, Socket) -> R) -> R {
    if transport.has(flag::PLAIN) {
        return plain::with(transport, call);
    }
    transport.root_body().with_driver(|driver| call(driver, transport.socket.get()))
}

/// The same with the driver as a connection with TLS has it.
#[inline(never)]
pub(super) fn with<R>(transport: Item<Transport>, call: impl FnOnce(&dyn Driver, Socket) -> R) -> R {
    let session = session_of(transport);
    with_inner(transport, |driver, socket| match &session {
        Some(session) => call(&Through { driver, session, transport }, socket),
        None => call(driver, socket),
    })
}

/// What came before TLS was asked for, and was not handed over or consumed.
fn take_unread(transport: Item<Transport>) -> Result<Vec<u8>> {
    let mut unread = reading::take_pulled(transport)?;
    if let Some(filter) = reading::filter(transport) {
        unread.extend_from_slice(&filter.take_rest());
    }
    Ok(unread)
}

/// Bytes that are encrypted and wait to be sent.
pub(super) fn waiting(transport: Item<Transport>) -> u64 {
    session_of(transport).map_or(0, |session| session.waiting() as u64)
}

/// Sends what is encrypted and waits. False: some is left, or the connection has ended for it.
pub(super) fn flush(transport: Item<Transport>) -> bool {
    session_of(transport).is_none_or(|session| {
        // Behind the end of that direction nothing can be sent, and rustls has nothing but answers.
        transport.has(flag::WRITE_CLOSED) || sent(transport, |wire| session.flush(wire))
    })
}

fn sent(transport: Item<Transport>, send: impl FnOnce(Wire<'_>) -> io::Result<bool>) -> bool {
    let done = with_inner(transport, |driver, socket| send((driver, socket)));
    if let Ok(false) = done {
        transport.set(flag::FULL);
    }
    match done {
        Ok(all) => all,
        Err(_) if transport.has(flag::READ_CLOSED) && writing::buffered(transport) == waiting(transport) => {
            // The peer has said that it has all it wants, and is gone: nothing is lost with it.
            ending::lost(transport, Status::CONNECTION_DONE);
            false
        }
        Err(why) => {
            writing::failed(transport, &why);
            false
        }
    }
}

/// What the peer has said before it took nothing more.
pub(super) fn last_words(transport: Item<Transport>) -> Option<Trouble> {
    let session = session_of(transport).filter(|_| !transport.has(flag::LOST))?;
    let network = super::of(transport.root());
    with_inner(transport, |driver, socket| session.last_words((driver, socket), &network))
}
