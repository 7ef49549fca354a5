//! How a connection ends: once, last, with a reason, and never from inside the call that ends it.

use super::transport::{Transport, flag};
use super::{error, listener, plain, producer, tls, writing};
use crate::deferred::{Deferred, chain, failure};
use crate::driver::sockets::SocketOption;
use crate::handles::{self, Item, Word};
use crate::reactor::ReactorItem;
use crate::reactor::events::{self, Event};
use crate::reactor::timers::{self, DelayedCall};
use crate::status::{Result, Status};
use std::io;
use std::time::Duration;

impl Item<Transport> {
    /// Ends with this status and message.
    pub fn lost_to(self, status: Status, message: &str) {
        if !self.has(flag::LOST) {
            let reason = error::failure(self.root(), status, format_args!("{}: {message}", self.name()), None);
            lost_with(self, reason);
        }
    }

    /// How messages name it: by its peer.
    pub fn name(self) -> String {
        if let Some(name) = plain::name(self) {
            return name;
        }
        match super::options::peer(self) {
            Ok(peer) => format!("connection with {peer}"),
            Err(_) => "connection".to_owned(),
        }
    }
}

/// Ends with this status, of which no more is to be said.
pub(super) fn lost(transport: Item<Transport>, status: Status) {
    if !transport.has(flag::LOST) {
        let reason = failure::of_status(transport.root(), status);
        lost_with(transport, reason);
    }
}

/// Ends with the status and the words that a call has left. What was written before goes out as far as the system has
/// room for it now: answers to what came before the peer broke the rules do not depend on how its bytes arrived.
pub fn fail(transport: Item<Transport>, why: Status) {
    if !transport.has(flag::LOST) {
        let message = crate::status::detail_of(why);
        let message = message.unwrap_or_else(|| why.text().to_string_lossy().into_owned());
        writing::flush(transport);
        transport.lost_to(why, &message);
    }
}

/// Ends by an error of the system.
pub(super) fn lost_by(transport: Item<Transport>, why: &io::Error) {
    let last_words = if transport.has(flag::TLS) { tls::last_words(transport) } else { None };
    if let Some(trouble) = last_words.as_ref().or(tls::trouble::of(why)) {
        return transport.lost_to(trouble.status, &trouble.words);
    }
    if !transport.has(flag::LOST) {
        let plain = plain::name(transport);
        let status = match error::status_of(why) {
            status if plain.is_some() => status,
            status @ (Status::ERR_TIMED_OUT | Status::ERR_NO_MEMORY | Status::ERR_UNREACHABLE) => status,
            _ => Status::ERR_CONNECTION_LOST,
        };
        let reactor = transport.root();
        // A connection that the system has ended has no address any more; only who connected knows where to.
        let peer = || transport.with_extra(|extra| extra.peer).flatten().map(|peer| format!("connection with {peer}"));
        let reason = match plain.or_else(peer) {
            Some(name) => error::failure(reactor, status, name, Some(why)),
            None => error::bare(reactor, status, why),
        };
        lost_with(transport, reason);
    }
}

/// Ends; the reason is the transport's from here on. What is left to tell is told at the end of the turn.
pub(super) fn lost_with(transport: Item<Transport>, reason: Word) {
    transport.set(flag::LOST);
    transport.reason.set(reason);
    // While its address can still be asked for, the listener that counts it by peer is told.
    listener::forget_peer(transport);
    close(transport);
    transport.root().note_ended(transport.word());
}

/// Closes the socket, once.
pub(super) fn close(transport: Item<Transport>) {
    let socket = transport.socket.replace(-1_i32 as crate::platform::Socket);
    if transport.has(flag::PLAIN) {
        plain::close(transport, socket);
    } else if socket != -1_i32 as crate::platform::Socket {
        transport.root_body().with_driver(|driver| driver.close(socket));
    }
}

/// Writes what waits, those writes included that come before it is out, and then ends.
pub fn lose(transport: Item<Transport>) -> Result {
    transport.check_open()?;
    lose_quietly(transport);
    Ok(())
}

pub(super) fn lose_quietly(transport: Item<Transport>) {
    transport.set(flag::LOSING);
    if transport.has(flag::CONTROLLED) {
        producer::stop_streaming(transport);
    }
    writing::note_written(transport);
}

/// Writes what waits, and then ends that direction alone.
pub fn lose_write(transport: Item<Transport>) -> Result {
    transport.check_open()?;
    if transport.has(flag::LOSING_WRITE | flag::WRITE_CLOSED) {
        return Err(Status::ERR_CLOSED.because("the connection was closed for writing already"));
    }
    if transport.has(flag::PLAIN) && !transport.has(flag::READ_CLOSED) && !plain::has_halves(transport) {
        let why = format_args!("{}: it cannot be closed for writing alone", transport.name());
        return Err(Status::ERR_NOT_SUPPORTED.because(why));
    }
    transport.set(flag::LOSING_WRITE);
    writing::note_written(transport);
    Ok(())
}

/// Drops what waits and resets the connection; `reason` is what is told.
pub fn abort(transport: Item<Transport>, reason: Word) -> Result {
    if let Err(why) = transport.check_open() {
        let _ = failure::release(reason);
        return Err(why);
    }
    // A reset tells the peer that this is no clean end.
    let _ = transport.with_socket(|driver, socket| driver.set(socket, SocketOption::Linger(Some(Duration::ZERO))));
    lost_with(transport, reason);
    Ok(())
}

/// Because its scope or its reactor ends: it is told now.
pub(super) fn end(transport: Item<Transport>) {
    if !transport.has(flag::LOST) {
        transport.lost_to(Status::ERR_CLOSED, "its reactor or its scope has ended");
    }
    finish(transport);
}

/// Tells of the end. Nothing of the transport is called afterwards.
pub(super) fn finish(transport: Item<Transport>) {
    let reactor = transport.root();
    let _out = reactor.call_out();
    // Whoever is called, also on behalf of others, cannot end the scope under it.
    reactor.in_scope(transport.scope.get(), || finish_inside(reactor, transport));
}

fn finish_inside(reactor: ReactorItem, transport: Item<Transport>) {
    if let Ok(timer) = handles::get::<DelayedCall>(transport.idle_timer.replace(Word::NULL)) {
        let _ = timers::cancel(timer);
    }
    tls::handshake::stop_timer(transport);
    let reason = failure::owned(transport.reason.replace(Word::NULL));
    fail_files(transport, reason.word());
    let extra = transport.take_extra();
    if let Some(rates) = extra.as_ref().and_then(|extra| extra.rates.as_ref()) {
        rates.forget();
    }
    if let Some(producer) = extra.as_ref().and_then(|extra| extra.producer.as_ref()) {
        producer::tell_stop(transport, producer);
    }
    let mut extra = extra.unwrap_or_default();
    let connecting = extra.connecting.take();
    let protocol = transport.swap_protocol(None);
    if let Some(done) = connecting {
        done(reactor, Err(super::attempt::Failed::Ended(reason.word())));
    }
    if let Some(protocol) = &protocol {
        if transport.has(flag::MADE) {
            tell_lost(transport, protocol, reason.word());
        }
    }
    let this = transport.this.replace(Word::NULL);
    let owned = protocol.as_ref().map(|protocol| protocol.own(this));
    listener::connection_over(transport);
    for descriptor in std::mem::take(&mut extra.descriptors) {
        reactor.with_driver(|driver| driver.close(descriptor));
    }
    reactor.pools.free(transport);
    let ended = extra.ended.take();
    drop((owned, protocol, extra));
    if let Some(ended) = ended {
        ended(reactor, reason.word());
    }
}

fn tell_lost(transport: Item<Transport>, protocol: &super::protocol::Protocol, reason: Word) {
    let reactor = transport.root();
    if let Some(tag) = protocol.events.filter(|_| protocol.whole.is_none()) {
        let failure = failure::owned(failure::keep(reason));
        let source = transport.word();
        events::push(reactor, Event { kind: events::CONNECTION_LOST, tag, source, failure, ..Event::default() });
    } else if let Some(function) = protocol.connection_lost {
        function(transport.word(), reason, transport.this());
    } else if let Some(whole) = &protocol.whole {
        whole.lost(transport, reason);
    }
}

/// Who waits for a file to be sent hears why it was not.
fn fail_files(transport: Item<Transport>, reason: Word) {
    let Some(mut out) = transport.out.take() else { return };
    for deferred in out.clear() {
        if let Ok(deferred) = handles::get::<Deferred>(deferred) {
            let _ = chain::errback(deferred, failure::keep(reason));
        }
    }
}
