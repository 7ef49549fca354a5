//! The end of a connection with TLS: the peer is told, and is listened to until it has ended as well.
//!
//! A socket that is closed while something waits to be read, such as the tickets that a server sends when it likes, is
//! reset, and with it goes what the peer has not received yet. So what comes is read and dropped for a while.

use super::{sent, session_of, with_inner};
use crate::handles::{self, Item, Word};
use crate::net::transport::{Transport, flag};
use crate::net::{ending, options};
use crate::reactor::timers::{self, SECOND};
use crate::status::Status;
use std::net::Shutdown;

/// So long a peer may take to end.
const LINGER: u64 = 5 * SECOND;

/// Has the peer told that nothing more is sent. False: it waits to be sent, or the connection has ended for it.
pub fn say_goodbye(transport: Item<Transport>) -> bool {
    session_of(transport)
        .is_none_or(|session| transport.has(flag::WRITE_CLOSED) || sent(transport, |wire| session.say_goodbye(wire)))
}

/// Waits for the peer's end, all having been said. False: there is nothing to wait for.
pub fn linger(transport: Item<Transport>) -> bool {
    let Some(session) = session_of(transport).filter(|_| !transport.has(flag::READ_CLOSED)) else { return false };
    if session.lingers.replace(true) {
        return true;
    }
    let reactor = transport.root();
    let deadline = reactor.read_clock().saturating_add(LINGER);
    let Ok(timer) = timers::call_at(reactor, deadline, long_enough, transport.word()) else { return false };
    session.timer.set(timer.word());
    let _ = options::set_idle(transport, 0);
    if !transport.has(flag::WRITE_CLOSED) {
        transport.set(flag::WRITE_CLOSED);
        // A stream that has no halves ends as it can.
        let _ = with_inner(transport, |driver, socket| driver.shutdown(socket, Shutdown::Write));
    }
    linger_on(transport);
    true
}

extern "C-unwind" fn long_enough(word: Word) {
    let Ok(transport) = handles::get::<Transport>(word) else { return };
    if let Some(session) = session_of(transport) {
        session.timer.set(Word::NULL);
    }
    ending::lost(transport, Status::CONNECTION_DONE);
}

/// Drops what has come; ends with the peer.
pub fn linger_on(transport: Item<Transport>) {
    let Some(session) = session_of(transport).filter(|session| session.lingers.get()) else { return };
    let network = crate::net::of(transport.root());
    if with_inner(transport, |driver, socket| session.drop_rest((driver, socket), &network)) {
        ending::lost(transport, Status::CONNECTION_DONE);
    }
}
