//! What carries a request and its response: a connection of HTTP/1, or a stream of HTTP/2.
//!
//! A carrier reads heads into a `Message`, makes a request of each by `request::begin`
//! and calls `request::handle`, and tells that of its body by
//! `body::came` and `body::ended`, of its own end by `lost`. What the request calls here comes from the
//! host or from the library, at any time; a carrier never calls the request from inside of such a call, but for
//! `Carrier::file`'s Deferred. When the response is finished and has
//! been told, `over` is the last call.

use super::request::Request;
use crate::driver::Address;
use crate::handles::{self, Item, Word};
use crate::net::options;
use crate::net::out::OwnDescriptor;
use crate::net::transport::Transport;
use crate::protocol::http::Fields;
use crate::status::{Result, Status};
use std::rc::Rc;

/// How much a response's body is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    /// So many bytes. Not more, and not less, are handed over.
    Exactly(u64),
    /// What comes until `end`.
    Unknown,
    /// There is no body, and nothing is said of one: 204, 304, a 2xx to CONNECT.
    None,
}

/// The head of a response.
pub struct ResponseHead<'a> {
    /// 200 to 599, or 101.
    pub code: u16,
    /// What the host has set: never Content-Length, Transfer-Encoding or Connection.
    pub fields: &'a Fields,
    /// A Content-Type besides.
    pub content_type: Option<&'a [u8]>,
    /// What is said of the body, also where none is sent.
    pub size: Size,
    /// No byte of the body is handed over: the answer to HEAD, and the like.
    pub only_head: bool,
    /// The host has set its own.
    pub has_date: bool,
    /// The host has set its own.
    pub has_server: bool,
    /// The connection is not to be used again.
    pub close: bool,
}

/// See the module.
pub trait Carrier {
    /// Sends the head of the response, the first bytes of its body, and, where `ends`, its end.
    fn head(&self, head: &ResponseHead, first: &[u8], ends: bool) -> Result;
    /// Sends more of the body.
    fn data(&self, data: &[u8]) -> Result;
    /// Sends a part of a file as a part of the body; the Deferred `done` is fired when it is sent, or failed.
    fn file(&self, file: OwnDescriptor, offset: u64, length: u64, done: Word) -> Result;
    /// The body is over.
    fn end(&self) -> Result;
    /// Sends a head with a code from 100 to 199 before the response. 101 is `upgrade`'s.
    fn information(&self, code: u16, fields: &Fields) -> Result;
    /// Whether the body is wanted now: at first it is not. The first time, who waits for a 100 gets it.
    fn want_body(&self, wanted: bool);
    /// The response cannot be finished: the peer must notice that.
    fn abort(&self, reason: Word);
    /// Bytes of the response that wait to be sent.
    fn buffered(&self) -> u64;
    /// Has the request told by `paused` and `resumed` how much waits.
    fn watch_room(&self) -> Result;
    /// The connection, maybe stale.
    fn transport(&self) -> Word;
    /// The other end's address, as it was, if anybody knows.
    fn peer(&self) -> Option<Address> {
        handles::get::<Transport>(self.transport()).and_then(options::peer).ok()
    }
    /// Whether it goes by TLS.
    fn is_secure(&self) -> bool;
    /// Sends the head of the response, 101 or 2xx, and gives up the connection: whoever takes it gets what comes from here
    /// on, by `reading::leave`, once the caller has put its protocol in place of this carrier's.
    fn upgrade(&self, _head: &ResponseHead) -> Result<Item<Transport>> {
        Err(Status::ERR_NOT_SUPPORTED.because("only a connection of HTTP/1 can be taken over"))
    }
    /// What the host has asked for since may go on: outside of its calls, at the end of a turn.
    fn go_on(&self);
    /// The request was told that it is over; it is the last time that it can be looked at.
    fn before_over(&self, _request: Item<Request>) {}
    /// The request is no more. Outside of calls of the host.
    fn over(&self);
    /// For who has made it.
    fn as_any(self: Rc<Self>) -> Rc<dyn std::any::Any>;
}
