//! TLS on a connection that was without it, as STARTTLS has it.

use super::configuration::Configuration;
use super::handshake::{self, Role};
use crate::deferred::{Deferred, DeferredItem, chain, failure, later};
use crate::handles::{self, Item, Owned, Word};
use crate::net::attempt::{Done, Failed};
use crate::net::transport::{Transport, flag};
use crate::net::{options, reading, writing};
use crate::status::{Result, Status};

/// Begins with TLS. What was written before goes out before it; what came and was not handed over or consumed belongs to
/// the handshake. The Deferred fires with the connection, never from inside this call.
pub fn start(transport: Item<Transport>, configuration: &Configuration, name: Option<&str>) -> Result<DeferredItem> {
    check(transport)?;
    let role = Role::new(configuration, name.or(host(transport).as_deref()))?;
    let deferred: Item<Deferred> = chain::new_inside(transport.root(), give_up, Word::NULL)?;
    let begun = begin(transport, role, deferred.word());
    begun.inspect_err(|_| later::discard(deferred))?;
    chain::set_canceller_data(deferred, transport.word());
    Ok(deferred)
}

fn check(transport: Item<Transport>) -> Result {
    transport.check_open()?;
    if transport.has(flag::TLS) {
        return Err(Status::ERR_INVALID_STATE.because("the connection has TLS already, or is beginning with it"));
    }
    if transport.has(flag::CONNECTING) {
        return Err(Status::ERR_INVALID_STATE.because("the connection is not there yet"));
    }
    if transport.has(flag::LOSING | flag::LOSING_WRITE | flag::READ_CLOSED | flag::WRITE_CLOSED) {
        return Err(Status::ERR_CLOSED.because("the connection has ended in one direction, or is about to"));
    }
    Ok(())
}

/// Whom a client talks to if nobody says.
fn host(transport: Item<Transport>) -> Option<String> {
    options::peer(transport).ok()?.ip().map(|address| address.ip().to_string())
}

fn begin(transport: Item<Transport>, role: Role, deferred: Word) -> Result {
    let written = writing::take_bytes(transport)?;
    let done: Done = Box::new(move |_, outcome| told(deferred, outcome));
    let begun = handshake::begin(transport, role, written, done);
    begun.inspect_err(|_| transport.lost_to(Status::ERR_NO_MEMORY, "no memory to begin with TLS"))?;
    // A client speaks first; and what came already is looked at when the callback that got it has returned.
    reading::again(transport.root(), transport);
    Ok(())
}

fn told(deferred: Word, outcome: std::result::Result<Item<Transport>, Failed>) {
    let deferred = handles::get::<Deferred>(deferred);
    match outcome {
        Ok(transport) => {
            if let Ok(deferred) = deferred {
                let _ = chain::callback(deferred, Owned::new(transport.word(), None));
            }
            if transport.is_alive() && !transport.has(flag::LOST) {
                reading::resume_if_possible(transport);
                writing::note_written(transport);
            }
        }
        Err(Failed::Ended(reason)) => {
            if let Ok(deferred) = deferred {
                let _ = chain::errback(deferred, failure::keep(reason));
            }
        }
        Err(Failed::System(_)) => {}
    }
}

/// There is no way back to what was before.
extern "C-unwind" fn give_up(deferred: Word, transport: Word) {
    if let Ok(transport) = handles::get::<Transport>(transport) {
        transport.lost_to(Status::ERR_CANCELLED, "its TLS handshake was given up");
    }
    if let Ok(deferred) = handles::get::<Deferred>(deferred) {
        let _ = chain::abandon(deferred);
    }
}
