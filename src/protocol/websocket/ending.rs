//! How a WebSocket ends: by the closing handshake, by what breaks the rules, or with its connection; told once, last.

use super::connection::{WebSocket, flag};
use super::{Broken, close, keeping, sending};
use crate::deferred::failure::{self, Failure};
use crate::handles::{self, Item, Word};
use crate::net::transport::Transport;
use crate::net::{ending, error, reading, writing};
use crate::status::{self, Result, Status};

/// Begins the closing handshake. None: without a code.
pub fn close(socket: Item<WebSocket>, code: Option<u16>, reason: &str) -> Result {
    sending::close(socket, &close::write(code, reason))?;
    keeping::stop(&socket.keeper);
    // Of one that reads no more the peer's answer would never come.
    if let Some(transport) = socket.transport() {
        let _ = reading::resume(transport);
    }
    wait(socket).inspect_err(|_| drop_connection(socket))
}

/// Ends it when it has not ended by itself in time.
fn wait(socket: Item<WebSocket>) -> Result {
    let time = socket.with_settings(|settings| settings.close_time).unwrap_or_default();
    keeping::timer(socket, &socket.closer, time, closed_too_late)
}

extern "C-unwind" fn closed_too_late(word: Word) {
    let Ok(socket) = handles::get::<WebSocket>(word) else { return };
    socket.closer.set(Word::NULL);
    if !socket.has(flag::CLOSE_RECEIVED | flag::FAILED) {
        let why = Status::ERR_TIMED_OUT.because("the peer has not answered the close frame");
        return fail(socket, close::ABNORMAL, why);
    }
    match socket.transport() {
        Some(transport) if writing::buffered(transport) == 0 => drop(ending::lose(transport)),
        _ => drop_connection(socket),
    }
}

/// Ends the connection as it is.
fn drop_connection(socket: Item<WebSocket>) {
    if let Some(transport) = socket.transport().filter(|transport| transport.check_open().is_ok()) {
        let reason = failure::of_status(transport.root(), Status::ERR_CONNECTION_ABORTED);
        let _ = ending::abort(transport, reason);
    }
}

/// The peer's close frame has come.
pub(super) fn peer_closes(socket: Item<WebSocket>, code: Option<u16>, reason: String) {
    socket.set(flag::CLOSE_RECEIVED);
    let answer = close::write(code, "");
    *socket.close.borrow_mut() = Some((code.unwrap_or(close::NO_CODE), reason));
    if !socket.has(flag::CLOSE_SENT) {
        let _ = sending::close(socket, &answer);
    }
    let Some(transport) = socket.transport() else { return };
    // It is the server that ends the connection, so that the client's port is free at once.
    if !socket.has(flag::CLIENT) {
        let _ = ending::lose(transport);
    }
    if wait(socket).is_err() {
        drop_connection(socket);
    }
}

/// The peer sends no more.
pub(super) fn peer_ended(socket: Item<WebSocket>) -> Result {
    if socket.has(flag::CLOSE_RECEIVED | flag::FAILED) {
        return Ok(());
    }
    Err(Status::ERR_TRUNCATED.because("the peer has ended the connection without a close frame"))
}

/// What came breaks the rules: the peer is told, and nothing that comes is looked at any more. The connection ends when the
/// peer has seen that, or after a while: an end at once might destroy the close frame on its way.
pub(super) fn broken(socket: Item<WebSocket>, Broken { code, why }: Broken) {
    let status = match code {
        close::TOO_BIG => Status::ERR_TOO_LONG,
        close::INTERNAL_ERROR => Status::ERR_NO_MEMORY,
        _ => Status::ERR_BAD_FRAME,
    };
    socket.failure.set(Some(status));
    let sent = sending::close(socket, &close::write(Some(code), &why));
    socket.set(flag::FAILED);
    *socket.close.borrow_mut() = Some((code, why.into_owned()));
    keeping::stop(&socket.keeper);
    let Some(transport) = socket.transport() else { return };
    // If a close frame went out before, the peer knows already.
    if sent.and_then(|()| ending::lose_write(transport)).is_err() || wait(socket).is_err() {
        drop_connection(socket);
    }
}

/// Ends the connection at once, for this reason, whose words the call has left.
pub(super) fn fail(socket: Item<WebSocket>, code: u16, why: Status) {
    let words = status::detail_of(why).unwrap_or_else(|| why.text().to_string_lossy().into_owned());
    socket.set(flag::FAILED);
    socket.failure.set(Some(why));
    *socket.close.borrow_mut() = Some((code, words));
    drop_connection(socket);
}

/// Ends the connection at once; the peer sees that this is no clean end.
pub fn abort(socket: Item<WebSocket>) -> Result {
    if socket.has(flag::FAILED) || socket.transport().is_none_or(|transport| transport.check_open().is_err()) {
        return Err(Status::ERR_CLOSED.because("the WebSocket is over"));
    }
    fail(socket, close::ABNORMAL, Status::ERR_CONNECTION_ABORTED.because("it was aborted"));
    Ok(())
}

/// A failure that names the peer.
pub(super) fn failure_of(socket: Item<WebSocket>, why: Status) -> Word {
    let words = status::detail_of(why).unwrap_or_else(|| why.text().to_string_lossy().into_owned());
    named(socket, why, &words)
}

fn named(socket: Item<WebSocket>, status: Status, words: &str) -> Word {
    let name = socket.transport().map_or_else(|| "WebSocket".to_owned(), Item::<Transport>::name);
    error::failure(socket.root(), status, format_args!("{name}: {words}"), None)
}

fn words_of(failure: Word) -> String {
    let Ok(failure) = handles::get::<Failure>(failure) else { return String::new() };
    failure.own_message().unwrap_or_else(|| Status(failure.code()).text().to_string_lossy().into_owned())
}

/// The connection is over, for this reason: so is the WebSocket.
pub(super) fn finish(socket: Item<WebSocket>, reason: Word) {
    let reactor = socket.root();
    let _out = reactor.call_out();
    for timer in [&socket.keeper, &socket.closer, &socket.idler, &socket.ponger] {
        keeping::stop(timer);
    }
    socket.tell_opened();
    let is_clean = socket.has(flag::CLOSE_SENT) && socket.has(flag::CLOSE_RECEIVED);
    let known = socket.close.borrow_mut().take();
    let (code, words, own) = match (known, socket.failure.get()) {
        (Some((code, words)), Some(status)) => (code, words.clone(), Some(named(socket, status, &words))),
        (Some((code, words)), None) if is_clean => {
            (code, words, Some(failure::of_status(reactor, Status::CONNECTION_DONE)))
        }
        _ => (close::ABNORMAL, words_of(reason), None),
    };
    socket.set(flag::CLOSED);
    socket.tell(|protocol| protocol.closed(socket, code, &words, own.unwrap_or(reason)));
    if let Some(own) = own {
        let _ = failure::release(own);
    }
    discard(socket);
}

/// Its slot is free from here on, and what it owned is freed.
pub(super) fn discard(socket: Item<WebSocket>) {
    let reactor = socket.root();
    for timer in [&socket.keeper, &socket.closer, &socket.idler, &socket.ponger] {
        keeping::stop(timer);
    }
    let (owned, scope) = (socket.take_all(), socket.scope());
    reactor.pools.free(socket);
    reactor.in_scope(scope, || drop(owned));
}
