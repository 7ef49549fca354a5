//! WebSockets: RFC 6455, and permessage-deflate, RFC 7692, over any connection.
//!
//! `frame`, `utf8`, `close` and `deflate` are what messages are made of; `receiver` makes messages of bytes and `sender`
//! bytes of messages, `extensions` and `handshake` are how both sides agree. None of these knows what a connection is.
//! `connection` puts them on one; `sending` and `ending` are what the host asks for there, `keeping` is done by the clock,
//! `client` connects, and `server` takes requests of an HTTP server over.
//!
//! The framing is our own: tungstenite's context (0.30) ends the connection at any reserved bit, and so leaves no place for
//! permessage-deflate, neither above nor below it; a frame's mask and its text are looked at in one pass here besides.

pub mod client;
pub mod close;
pub mod connection;
pub mod deflate;
pub mod ending;
pub mod extensions;
pub mod frame;
pub mod handshake;
pub mod keeping;
pub mod receiver;
pub mod sender;
pub mod sending;
pub mod server;
pub mod utf8;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

/// Which side of a connection this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Masks what it sends.
    Client,
    /// Gets what is masked.
    Server,
}

/// What a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// Why a connection is failed, and the code that says so to the peer.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "said above")]
pub struct Broken {
    pub code: u16,
    pub why: Cow<'static, str>,
}

impl Broken {
    #[cold]
    fn protocol(why: &'static str) -> Self {
        Self { code: close::PROTOCOL_ERROR, why: why.into() }
    }

    #[cold]
    fn utf8(why: &'static str) -> Self {
        Self { code: close::BAD_DATA, why: why.into() }
    }

    #[cold]
    fn data(why: &'static str) -> Self {
        Self { code: close::BAD_DATA, why: why.into() }
    }

    #[cold]
    fn too_big(why: &'static str) -> Self {
        Self { code: close::TOO_BIG, why: why.into() }
    }

    #[cold]
    fn no_memory() -> Self {
        Self { code: close::INTERNAL_ERROR, why: "no memory for what was received".into() }
    }
}
