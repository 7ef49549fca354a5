//! The access log: one call for each request that is over, and for each that was refused before it was one.

use super::Shared;
use super::request::{Request, flag, in_scope};
use crate::deferred::failure;
use crate::driver::Address;
use crate::handles::{Item, Owned, Word};
use crate::net::transport::Transport;
use crate::protocol::http::Bad;
use crate::status::Status;

/// A line of the log: the request can be asked for all else.
pub struct Entry {
    /// The request, at its end; none where what came was refused as none.
    pub request: Option<Item<Request>>,
    /// Who has sent it.
    pub peer: Option<Address>,
    /// The failure for which it was lost, or null.
    pub lost: Word,
    /// The response's code; 0: none was sent.
    pub code: u16,
    /// Bytes of its body, and of the request's.
    pub sent: u64,
    /// See `sent`.
    pub received: u64,
    /// How long it took, in nanoseconds.
    pub took: u64,
}

impl Entry {
    /// Who has sent it, for people.
    pub fn peer_text(&self) -> String {
        self.peer.map_or_else(String::new, |peer| match peer.ip() {
            Some(ip) => ip.to_string(),
            None => peer.to_string(),
        })
    }
}

/// Who is told: a function of the host by way of `ffi`.
pub struct Log {
    /// Calls it.
    pub call: Box<dyn Fn(&Entry, Word)>,
    /// What it gets.
    pub data: Owned,
}

/// Tells of a request that is over.
pub(super) fn log(request: Item<Request>, lost: Word) {
    let Some(log) = request.shared().and_then(|shared| shared.log.borrow().clone()) else { return };
    let entry = Entry {
        request: Some(request),
        peer: request.carrier().and_then(|carrier| carrier.peer()),
        lost,
        code: if request.has(flag::HEAD_SENT) { request.code() } else { 0 },
        sent: if request.has(flag::ONLY_HEAD) { 0 } else { request.sent.get() },
        received: request.received.get(),
        took: request.root().turn_time().saturating_sub(request.began.get()),
    };
    in_scope(request, || (log.call)(&entry, log.data.word()));
}

/// Who has sent what is about to be refused; not asked for where nobody logs it.
pub(super) fn refused_peer(shared: &Shared, peer: impl FnOnce() -> Option<Address>) -> Option<Address> {
    if shared.log.borrow().is_some() { peer() } else { None }
}

/// Tells of what was refused with so many bytes, as it was no request; nothing may follow that needs what the host can end.
pub(super) fn log_refused(shared: &Shared, transport: Item<Transport>, peer: Option<Address>, bad: Bad, sent: usize) {
    let Some(log) = shared.log.borrow().clone() else { return };
    let reactor = transport.root();
    let status = match bad.code {
        408 => Status::ERR_TIMED_OUT,
        413 | 414 | 431 => Status::ERR_LIMIT,
        503 => Status::ERR_NO_MEMORY,
        _ => Status::ERR_BAD_MESSAGE,
    };
    let lost = failure::owned(failure::of_status(reactor, status.because(bad.text)));
    let entry =
        Entry { request: None, peer, lost: lost.word(), code: bad.code, sent: sent as u64, received: 0, took: 0 };
    let _out = reactor.call_out();
    reactor.in_scope(transport.scope(), || (log.call)(&entry, log.data.word()));
    drop(lost);
}
