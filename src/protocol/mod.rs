//! Protocols above a stream of bytes: framing, which cuts the stream into lines, netstrings or messages with a
//! length before them; and HTTP.
//!
//! `line`, `netstring` and `length_prefix` each know one format: where a frame ends, and what goes around one that is
//! sent. `cutter` keeps what is not a whole frame yet and hands the others on, without knowing what a connection is;
//! `framing` puts it between a transport and its protocol.

pub mod cutter;
mod format;
pub mod framing;
pub mod http;
mod length_prefix;
mod line;
mod netstring;
pub mod websocket;

pub use format::Format;
pub use length_prefix::LengthPrefix;
pub use line::Line;
pub use netstring::Netstring;
