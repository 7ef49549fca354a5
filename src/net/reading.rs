//! Reading: one buffer for all, a budget an event, and what stops it.

use super::protocol::Filter;
use super::transport::{Transport, flag};
use super::{Network, ending, was_interrupted, would_block};
use crate::driver::{Driver, Readiness, Ready};
use crate::handles::Item;
use crate::reactor::{ReactorItem, events};
use crate::status::{Result, Status};
use std::io;
use std::rc::Rc;

/// So much is read at most before it is others' turn.
const BUDGET: usize = 256 * 1024;
/// So much that was not consumed waits at most; then reading pauses until some is.
const PULLED: usize = 1024 * 1024;

const STOPS: u32 = flag::LOST
    | flag::CONNECTING
    | flag::PAUSED
    | flag::READ_LIMITED
    | flag::READ_CLOSED
    | flag::LOSING
    | flag::PULL_FULL;

/// Reads what there is, as far as that is wanted and the budget goes.
pub(super) fn read(reactor: ReactorItem, network: Item<Network>, transport: Item<Transport>) {
    if transport.has(flag::READING | STOPS) || transport.is_held() {
        if transport.has(flag::TLS) {
            super::tls::linger_on(transport);
        }
        return;
    }
    let Ok(mut buffer) = network.take_buffer() else {
        return transport.lost_to(Status::ERR_NO_MEMORY, "no memory to read into");
    };
    transport.set(flag::READING);
    if transport.has(flag::FILTERED) {
        // It may hold back what it had when reading was paused.
        filtered(transport, &[]);
    }
    let mut budget = BUDGET;
    // A filter that found no room for its events has set the flag: the end must not overtake what it still has.
    while transport.has(flag::READABLE | flag::LEFT_OVER) && !transport.has(STOPS | flag::HELD) {
        if transport.has(flag::LEFT_OVER) {
            hand_over_left(transport);
            if transport.is_held() {
                break;
            }
            continue;
        }
        let room = allowed(transport, buffer.len());
        match receive(transport, &mut buffer[..room]) {
            Ok(0) => {
                transport.clear(flag::READABLE);
                ended(transport);
            }
            Ok(length) => {
                if length < room && is_drained(transport) {
                    transport.clear(flag::READABLE);
                }
                received(transport, &buffer[..length]);
                budget = budget.saturating_sub(length);
                if transport.has(flag::LOST) || transport.is_held() {
                    break;
                }
                if budget == 0 && transport.has(flag::READABLE) {
                    again(reactor, transport);
                    break;
                }
            }
            Err(why) if would_block(&why) => transport.clear(flag::READABLE),
            Err(why) if was_interrupted(&why) => {}
            Err(why) => ending::lost_by(transport, &why),
        }
    }
    transport.clear(flag::READING);
    network.give_buffer(buffer);
}

fn receive(transport: Item<Transport>, buffer: &mut [u8]) -> io::Result<usize> {
    if !transport.has(flag::UNIX) {
        return transport.with_socket(|driver, socket| driver.receive(socket, buffer));
    }
    let mut came = Vec::new();
    let done = transport.with_socket(|driver, socket| driver.receive_with_descriptors(socket, buffer, &mut came));
    if !came.is_empty() {
        super::options::keep_descriptors(transport, came);
    }
    done
}

/// Whether less than asked for means that nothing is left.
fn is_drained(transport: Item<Transport>) -> bool {
    !transport.has(flag::PEER_ENDED | flag::UNIX) && transport.with_socket(|driver, _| driver.drains())
}

/// How much may be read at once.
fn allowed(transport: Item<Transport>, room: usize) -> usize {
    if transport.has(flag::RATED) { super::rate::may_read(transport, room) } else { room }
}

/// Has the transport go on in the next turn: by a readiness for nothing, which tells it from an edge.
pub(super) fn again(reactor: ReactorItem, transport: Item<Transport>) {
    if !transport.has(flag::AGAIN) {
        transport.set(flag::AGAIN);
        reactor.ready_again(Ready { key: transport.word(), readiness: Readiness::default(), ended: false });
    }
}

#[inline]
fn received(transport: Item<Transport>, data: &[u8]) {
    if transport.has(flag::RATED) {
        super::rate::did_read(transport, data.len());
    }
    if transport.idle.get() != 0 {
        super::options::reset_idle(transport);
    }
    if transport.has(flag::FILTERED) {
        filtered(transport, data);
    } else {
        hand_on(transport, data);
    }
}

/// Hands data to the protocol as it wants it: what is not consumed comes again, or all of it is.
#[inline]
pub fn hand_on(transport: Item<Transport>, data: &[u8]) {
    if transport.has(flag::PULL) {
        pulled(transport, data);
    } else {
        transport.deliver(data);
    }
}

/// What is between a connection and its protocol.
pub fn filter(transport: Item<Transport>) -> Option<Rc<dyn Filter>> {
    if transport.has(flag::FILTERED) { filter_of(transport) } else { None }
}

fn filter_of(transport: Item<Transport>) -> Option<Rc<dyn Filter>> {
    transport.with_extra(|extra| extra.filter.clone()).flatten()
}

fn filtered(transport: Item<Transport>, data: &[u8]) {
    if let Some(Err(why)) = filter_of(transport).map(|filter| filter.received(transport, data)) {
        ending::fail(transport, why);
    }
}

/// Puts something between a connection and its protocol, or takes it away again.
pub fn set_filter(transport: Item<Transport>, filter: Option<Rc<dyn Filter>>) -> Result {
    transport.check_open()?;
    let on = filter.is_some();
    transport.with_new_extra(|extra| extra.filter = filter)?;
    if on {
        transport.set(flag::FILTERED)
    } else {
        transport.clear(flag::FILTERED)
    }
    Ok(())
}

/// What came joins what was not consumed, and all of it is handed over.
fn pulled(transport: Item<Transport>, data: &[u8]) {
    let kept = transport.with_new_extra(|extra| {
        // Nobody else looks at it outside of its own callback.
        let pulled = Rc::get_mut(&mut extra.pulled)?;
        pulled.drain(..std::mem::take(&mut extra.pulled_at));
        pulled.try_reserve(data.len()).ok()?;
        pulled.extend_from_slice(data);
        Some(())
    });
    if !matches!(kept, Ok(Some(()))) {
        return transport.lost_to(Status::ERR_NO_MEMORY, "no memory for what was received");
    }
    hand_over_pulled(transport);
}

fn hand_over_pulled(transport: Item<Transport>) {
    let Some((pulled, at)) = transport.with_extra(|extra| (Rc::clone(&extra.pulled), extra.pulled_at)) else {
        return;
    };
    if at < pulled.len() {
        transport.deliver(&pulled[at..]);
    }
    let left = transport.with_extra(|extra| extra.pulled.len() - extra.pulled_at);
    if left.is_some_and(|left| left >= PULLED) {
        transport.set(flag::PULL_FULL);
    }
}

/// Another protocol: what the one before left over is its own, and comes before what is read next.
pub(super) fn renew(transport: Item<Transport>) {
    transport.clear(flag::PULL_FULL);
    if transport.with_extra(|extra| extra.pulled.len() > extra.pulled_at) == Some(true) {
        transport.set(flag::LEFT_OVER);
    }
    resume_if_possible(transport);
}

/// Has bytes that the protocol before has not used handed to the one that is there in the next turn, before what is read
/// then.
pub fn leave(transport: Item<Transport>, bytes: Vec<u8>) {
    let kept = transport.with_new_extra(|extra| (extra.pulled, extra.pulled_at) = (Rc::new(bytes), 0));
    match kept {
        Ok(()) => {
            transport.set(flag::LEFT_OVER);
            resume_if_possible(transport);
        }
        Err(_) => transport.lost_to(Status::ERR_NO_MEMORY, "no memory for what was received"),
    }
}

fn hand_over_left(transport: Item<Transport>) {
    transport.clear(flag::LEFT_OVER);
    if transport.has(flag::PULL) {
        return hand_over_pulled(transport);
    }
    let left = transport.with_extra(|extra| (std::mem::take(&mut extra.pulled), std::mem::take(&mut extra.pulled_at)));
    if let Some((pulled, at)) = left.filter(|(pulled, at)| *at < pulled.len()) {
        transport.deliver(&pulled[at..]);
    }
}

/// What was not consumed yet, as it is now; it stays where it is until more comes.
pub fn peek(transport: Item<Transport>) -> Result<(crate::handles::Word, usize)> {
    transport.check_open()?;
    let place = |extra: &mut super::transport::Extra| {
        let data = &extra.pulled[extra.pulled_at..];
        (crate::handles::Word::new(data.as_ptr()), data.len())
    };
    Ok(transport.with_extra(place).unwrap_or_default())
}

/// So much is done with. Reading goes on if it had stopped for that.
pub fn consume(transport: Item<Transport>, length: usize) -> Result {
    transport.check_open()?;
    if !transport.has(flag::PULL) {
        return Err(Status::ERR_INVALID_STATE.because("the protocol has not set pull: all that comes is consumed"));
    }
    let consumed = transport.with_extra(|extra| {
        let left = extra.pulled.len() - extra.pulled_at;
        if length <= left {
            extra.pulled_at += length;
        }
        (length <= left, left)
    });
    let (enough, left) = consumed.unwrap_or((length == 0, 0));
    if !enough {
        return Err(Status::ERR_INVALID_ARGUMENT.because(format_args!("len is {length}, but only {left} bytes wait")));
    }
    if length != 0 && transport.has(flag::PULL_FULL) {
        transport.clear(flag::PULL_FULL);
        resume_if_possible(transport);
    }
    Ok(())
}

/// Whether its data is being handed over: then this is called by who it is handed to.
pub fn is_reading(transport: Item<Transport>) -> bool {
    transport.has(flag::READING)
}

/// Whether what is not consumed comes again.
pub fn pulls(transport: Item<Transport>) -> bool {
    transport.has(flag::PULL)
}

/// Takes what was not consumed, to be handed over in another way.
pub fn take_pulled(transport: Item<Transport>) -> Result<Vec<u8>> {
    let mut taken = Vec::new();
    let done = transport.with_extra(|extra| {
        let left = &extra.pulled[extra.pulled_at..];
        taken.try_reserve_exact(left.len()).map_err(|_| Status::ERR_NO_MEMORY)?;
        taken.extend_from_slice(left);
        // It stays where it is: the callback that looks at it may be running.
        extra.pulled_at = extra.pulled.len();
        Ok(())
    });
    done.unwrap_or(Ok(()))?;
    transport.clear(flag::PULL_FULL);
    Ok(taken)
}

/// The peer sends no more.
fn ended(transport: Item<Transport>) {
    transport.set(flag::READ_CLOSED);
    if let Some(Err(why)) = filter_of(transport).map(|filter| filter.ended(transport)) {
        return ending::fail(transport, why);
    }
    let keeps_half = transport.with_protocol(|protocol| protocol.keeps_half()).unwrap_or(false);
    if keeps_half {
        transport.tell(|protocol| protocol.read_connection_lost, events::READ_CONNECTION_LOST);
        // A reset may have come with the end: no other edge tells of it.
        super::writing::probe(transport);
    }
    if !keeps_half || transport.has(flag::WRITE_CLOSED) {
        // What was written goes out before: the peer may still be reading.
        ending::lose_quietly(transport);
    }
}

/// Reads no more until resumed. The peer is then held up by the system.
pub fn pause(transport: Item<Transport>) -> Result {
    transport.check_open()?;
    transport.set(flag::PAUSED);
    Ok(())
}

/// Reads again.
pub fn resume(transport: Item<Transport>) -> Result {
    transport.check_open()?;
    transport.clear(flag::PAUSED);
    resume_if_possible(transport);
    Ok(())
}

/// Reads what is there, and hands on what was kept, once nothing stops it any more.
pub fn resume_if_possible(transport: Item<Transport>) {
    let more = flag::READABLE | flag::FILTERED | flag::LEFT_OVER;
    if transport.has(more) && !transport.has(STOPS) {
        again(transport.root(), transport);
    }
}

/// Whether the protocol takes more now: a filter that has more asks before each piece. A limit of rate is for what is
/// read, not for what was.
pub fn is_wanted(transport: Item<Transport>) -> bool {
    !transport.has(STOPS & !(flag::READ_CLOSED | flag::READ_LIMITED)) && !transport.is_held()
}

/// Registers the socket: both directions, once, for all of its life.
pub(super) fn watch(transport: Item<Transport>) -> Result {
    let both = Readiness { readable: true, writable: true };
    transport.with_socket(|driver, socket| driver.watch(socket, transport.word(), both))
}

/// Whether a socket belongs to a Unix stream.
pub(super) fn is_unix(driver: &dyn Driver, socket: crate::platform::Socket) -> bool {
    matches!(driver.local_address(socket), Ok(crate::driver::Address::Unix(_)))
}
