//! The HTTP client: Twisted's Agent.
//!
//! An `agent` has settings and a `pool` of connections. An `exchange` is a request from its start to the last byte of its response,
//! over as many connections as redirects and retries take; a `connection` frames what it reads for the exchange that it carries,
//! and `sending` writes. A `response` is what the host gets: it keeps what came until somebody takes the body, and holds the server
//! up meanwhile. The rules that need no connection are in `redirect`, `cookies`, `proxy` and `inflate`.

pub mod agent;
mod connection;
mod cookies;
pub mod exchange;
mod following;
mod inflate;
mod pool;
pub mod proxy;
mod redirect;
pub mod response;
pub mod sending;
