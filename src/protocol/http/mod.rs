//! HTTP (RFC 9110, 9112, 9113). What server and client share knows nothing of connections: bytes in, decisions out.
//!
//! `fields` is a list of headers, `framing` decides where a message ends, `chunked` undoes and does the chunked coding, `date`
//! and `url` are the two formats that need more than a line. All of them are strict: what two readers could understand in two
//! ways is refused. `http2` is the other form of it on the wire.

pub mod chunked;
pub mod client;
pub mod date;
pub mod fields;
pub mod framing;
pub mod http2;
pub mod server;
pub mod url;

pub use fields::Fields;

/// What is wrong with a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bad {
    /// The status that a server answers with: 400, 413, 414, 431 or 501.
    pub code: u16,
    /// What it is, in a few words.
    pub text: &'static str,
}

impl Bad {
    /// What breaks the rules.
    pub const fn request(text: &'static str) -> Self {
        Self { code: 400, text }
    }

    /// What is well formed, and more than a limit says.
    pub const fn too_large(code: u16, text: &'static str) -> Self {
        Self { code, text }
    }
}
