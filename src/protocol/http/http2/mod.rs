//! HTTP/2 (RFC 9113), the server's side.
//!
//! The protocol itself is the crate h2, driven by hand. It is written against tokio's traits, but needs no runtime: it is
//! given memory to read from and write to (`pipe`), wakers that note who is to be looked at (`wake`), and is polled when
//! bytes come, when there is room for more, and when a response goes on. `session` makes of that an object into which bytes
//! go, and from which events and bytes come; it knows no transport and no clock, and its tests need neither.
//!
//! nghttp2 is the other one that could carry this; its interface is this very object. Both are kept well and fuzzed all the time,
//! both are free to use (MIT), both have a defence for each flood that became known. For h2 speak:
//! - It is Rust without `unsafe` of its own: a bug in the decoder of what anybody may send is an error and no hole in the host's memory.
//! - Every target that the library is built for needs nothing but rustc. libnghttp2-sys compiles C, for which each cross build, macOS
//!   from Linux among them, would have to bring a compiler and its headers; its crate follows nghttp2 when somebody finds the time.
//! - It needs rustc 1.63 (this library: 1.85). What comes with it are small crates: bytes, http, indexmap, slab, the traits of tokio and
//!   tokio-util, and tracing, of which nothing runs unless the host asks for it.
//!
//! What it costs: 15 KB for a connection and 900 bytes for a stream, measured with ours, behind a lock that nobody else ever holds; and a
//! piece of a response is copied once, into
//! memory that can be counted. A file goes through memory, as it does on TLS: frames have to go between. Its decoder forgets streams
//! that were reset after a second by the real clock, which only tells how a late frame is refused.
//!
//! What h2 leaves to its user is here: `guard` counts frames that carry nothing, and resets; a peer that opens no window has a deadline.

mod guard;
mod pipe;
mod session;
mod stream;
mod wake;

pub use guard::{Allowance, PREFACE};
pub use session::{Event, Limits, Session};
