//! Receiving datagrams: into one buffer for all, many in a call where they are wanted together; a budget an event; and
//! what stops it.

use super::datagram::{self, DatagramPort, Protocol, flag};
use super::{Network, error, was_interrupted, would_block};
use crate::driver::sockets::Received;
use crate::driver::{Address, Readiness, Ready};
use crate::handles::{self, Item};
use crate::platform::{self, SystemError};
use crate::reactor::{ReactorItem, events};
use crate::status::{Result, Status};
use std::cell::Cell;
use std::collections::VecDeque;
use std::io;

/// Room for a datagram: more than any that IP carries. Not a power of two, or the first bytes of all would share one
/// line of the cache.
const ROOM: usize = 64 * 1024 + 256;
/// Those of Unix sockets may be larger.
const UNIX_ROOM: usize = 4 * ROOM;
/// Received at once, where the driver can.
const AT_ONCE: usize = 16;
/// The same where each may be many.
const SEGMENTED_AT_ONCE: usize = 4;
/// So much is received at most before it is others' turn, each datagram counting as so much more.
const BUDGET: usize = 256 * 1024;
const EACH: usize = 2 * 1024;
/// Without memory, it is tried again after so many nanoseconds.
const RETRY: u64 = 10_000_000;

const STOPS: u32 = flag::STOPPED | flag::PAUSED | flag::SHORT;

/// The buffer that all ports of a reactor receive into.
pub struct Space {
    buffer: Box<[u8]>,
    received: Vec<Received>,
    one: Received,
}

/// See the module. Taken while it is in use.
pub type SharedSpace = Cell<Option<Box<Space>>>;

/// Makes the buffer, unless it is there.
pub(super) fn prepare(network: Item<Network>) -> Result {
    match network.space.take() {
        Some(space) => network.space.set(Some(space)),
        None => network.space.set(Some(new_space()?)),
    }
    Ok(())
}

fn new_space() -> Result<Box<Space>> {
    let size = AT_ONCE * ROOM;
    handles::check_memory(size + AT_ONCE * size_of::<Received>() + size_of::<Space>())?;
    // Zeroed by the system, so that what is never received into is never touched.
    let buffer = vec![0; size].into_boxed_slice();
    Ok(Box::new(Space { buffer, received: Vec::with_capacity(AT_ONCE), one: Received::default() }))
}

/// Datagrams that came together, those alone that are whole.
pub struct Batch<'a> {
    buffer: &'a [u8],
    room: usize,
    received: &'a [Received],
}

/// One of them.
pub struct One<'a> {
    /// Its bytes.
    pub data: &'a [u8],
    /// It is several of this size; 0: it is one.
    pub segment: usize,
    /// Who sent it.
    pub peer: &'a Address,
}

impl<'a> Batch<'a> {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = One<'a>> + use<'a> {
        let rooms = self.buffer.chunks_exact(self.room);
        let whole = self.received.iter().zip(rooms).filter(|(one, _)| !one.truncated);
        whole.map(|(one, room)| One { data: &room[..one.length], segment: one.segment, peer: &one.peer })
    }
}

impl One<'_> {
    /// The datagrams that it is.
    fn pieces(&self) -> usize {
        if self.segment == 0 { 1 } else { self.data.len().div_ceil(self.segment).max(1) }
    }

    fn piece(&self, place: usize) -> &[u8] {
        if self.segment == 0 {
            return self.data;
        }
        let start = place * self.segment;
        &self.data[start..self.data.len().min(start + self.segment)]
    }
}

/// What was received, but came to an owner who wanted no more just then.
#[derive(Default)]
pub struct Kept(VecDeque<(Vec<u8>, Address)>);

/// Receives what there is, as far as that is wanted and the budget goes.
pub(super) fn read(reactor: ReactorItem, network: Item<Network>, port: Item<DatagramPort>) {
    if port.has(flag::READING | STOPS) {
        return;
    }
    let (Some(protocol), Some(mut space)) = (port.protocol(), network.space.take()) else { return };
    let protocol = &*protocol;
    let _out = reactor.call_out();
    port.set(flag::READING);
    deliver_kept(port, protocol);
    // A call for each is as cheap as one for many, but a batch is to be one.
    let many = port.has(flag::SEGMENTS) || protocol.takes_batches();
    let mut budget = BUDGET;
    while port.has(flag::READABLE) && is_wanted(port, protocol) {
        if budget == 0 {
            again(reactor, port);
            break;
        }
        let received =
            if many { receive_many(port, protocol, &mut space) } else { receive_one(port, protocol, &mut space) };
        let cost = received.unwrap_or_else(|why| {
            failed(port, &why);
            EACH
        });
        budget = budget.saturating_sub(cost);
    }
    port.clear(flag::READING);
    network.space.set(Some(space));
}

fn room_of(port: Item<DatagramPort>) -> usize {
    if port.has(flag::UNIX) { UNIX_ROOM } else { ROOM }
}

/// Returns what it costs of the budget.
#[inline]
fn receive_one(port: Item<DatagramPort>, protocol: &dyn Protocol, space: &mut Space) -> io::Result<usize> {
    let Space { buffer, one, .. } = space;
    let room = &mut buffer[..room_of(port)];
    port.with_socket(|driver, socket| driver.receive_into(socket, room, one))?;
    if port.has(flag::V6) {
        one.peer = one.peer.unmapped();
    }
    if one.truncated {
        cut_short(port, one);
    } else {
        let data = &buffer[..one.length];
        port.root().in_scope(port.scope(), || protocol.received(port, data, &one.peer));
    }
    Ok(one.length + EACH)
}

/// Returns what they cost of the budget.
fn receive_many(port: Item<DatagramPort>, protocol: &dyn Protocol, space: &mut Space) -> io::Result<usize> {
    let room = room_of(port);
    let at_once = if port.has(flag::SEGMENTS) { SEGMENTED_AT_ONCE } else { AT_ONCE };
    let size = space.buffer.len().min(at_once * room);
    space.received.clear();
    let (buffer, received) = (&mut space.buffer[..size], &mut space.received);
    if port.with_socket(|driver, socket| driver.receive_many(socket, buffer, room, received))? {
        port.clear(flag::READABLE);
    }
    if port.has(flag::V6) {
        received.iter_mut().for_each(|one| one.peer = one.peer.unmapped());
    }
    Ok(hand_over(port, protocol, space))
}

#[cold]
fn cut_short(port: Item<DatagramPort>, one: &Received) {
    let what = format!("a datagram of more than {} bytes from {}", one.length, one.peer);
    port.tell_failed(Status::ERR_TRUNCATED, &what, None, Some(&one.peer));
}

/// Whether its owner takes more now.
#[inline]
fn is_wanted(port: Item<DatagramPort>, protocol: &dyn Protocol) -> bool {
    if port.has(STOPS | flag::HELD) {
        return false;
    }
    if protocol.queues_events() && events::hold_if_full(port.root(), port.word()) {
        port.set(flag::HELD);
    }
    !port.has(flag::HELD)
}

/// Returns what it costs of the budget.
fn hand_over(port: Item<DatagramPort>, protocol: &dyn Protocol, space: &mut Space) -> usize {
    let batch = Batch { buffer: &space.buffer, room: room_of(port), received: &space.received };
    let bytes: usize = space.received.iter().map(|one| one.length).sum();
    for cut in space.received.iter().filter(|one| one.truncated) {
        if !port.has(flag::STOPPED) {
            cut_short(port, cut);
        }
    }
    if protocol.takes_batches() {
        if !port.has(flag::STOPPED) && batch.iter().next().is_some() {
            port.tell(|protocol| protocol.batch_received(port, &batch));
        }
        return bytes + EACH * space.received.len();
    }
    batch.iter().map(|one| deliver(port, protocol, &one)).sum::<usize>() * EACH + bytes
}

/// Hands over a datagram, or the several that it is. Returns how many that are.
fn deliver(port: Item<DatagramPort>, protocol: &dyn Protocol, one: &One) -> usize {
    let pieces = one.pieces();
    for place in 0..pieces {
        if !is_wanted(port, protocol) {
            keep(port, one, place);
            break;
        }
        let reactor = port.root();
        reactor.in_scope(port.scope(), || protocol.received(port, one.piece(place), one.peer));
    }
    pieces
}

/// Keeps the pieces from this one on until they are wanted. Without memory they are lost, as datagrams may be.
#[cold]
fn keep(port: Item<DatagramPort>, one: &One, from: usize) {
    if port.has(flag::STOPPED) {
        return;
    }
    let list = &mut port.kept.borrow_mut().0;
    for place in from..one.pieces() {
        let mut copy = Vec::new();
        if list.try_reserve(1).is_ok() && copy.try_reserve_exact(one.piece(place).len()).is_ok() {
            copy.extend_from_slice(one.piece(place));
            list.push_back((copy, *one.peer));
        }
    }
}

fn deliver_kept(port: Item<DatagramPort>, protocol: &dyn Protocol) {
    while !port.kept.borrow().0.is_empty() && is_wanted(port, protocol) {
        let first = port.kept.borrow_mut().0.pop_front();
        if let Some((data, peer)) = first {
            port.tell(|protocol| protocol.received(port, &data, &peer));
        }
    }
}

/// The driver could not receive; mostly an earlier datagram was refused, and the port lives on.
fn failed(port: Item<DatagramPort>, why: &io::Error) {
    if would_block(why) {
        return port.clear(flag::READABLE);
    }
    if was_interrupted(why) {
        return;
    }
    if is_hopeless(why) {
        return datagram::lost(port, why);
    }
    match error::status_of(why) {
        Status::ERR_NO_MEMORY => {
            port.set(flag::SHORT);
            datagram::set_timer(port, RETRY);
        }
        status => {
            let peer = port.peer.get();
            let what = peer.map_or_else(|| "receiving".to_owned(), |peer| format!("a datagram to {peer}"));
            port.tell_failed(status, &what, Some(why), peer.as_ref());
        }
    }
}

fn is_hopeless(why: &io::Error) -> bool {
    platform::system_error(why) == Some(SystemError::Unusable)
}

/// Has the port read on in the next turn: by a readiness for nothing, which tells it from an edge.
fn again(reactor: ReactorItem, port: Item<DatagramPort>) {
    if !port.has(flag::AGAIN) {
        port.set(flag::AGAIN);
        reactor.ready_again(Ready { key: port.word(), readiness: Readiness::default(), ended: false });
    }
}

/// Receives no more until resumed; the system keeps what has room.
pub fn pause(port: Item<DatagramPort>) -> Result {
    port.check_open()?;
    port.set(flag::PAUSED);
    Ok(())
}

/// Receives again.
pub fn resume(port: Item<DatagramPort>) -> Result {
    port.check_open()?;
    port.clear(flag::PAUSED);
    resume_if_possible(port);
    Ok(())
}

pub(super) fn resume_if_possible(port: Item<DatagramPort>) {
    let has_some = port.has(flag::READABLE) || !port.kept.borrow().0.is_empty();
    if has_some && !port.has(STOPS) {
        again(port.root(), port);
    }
}
