//! Streams: what a socket keeps of a connection, and how what it sends gets to the other end.
//!
//! Each end has a pipe of segments on their way, in order. The first one arrives when its link says so, or is lost and
//! tried again; those behind it wait for it. What a program has sent and the other has not read counts against the
//! buffers of both ends, so that one who does not read stops the other.

use super::descriptors::{Body, Level, Life};
use super::errors::{self, Errno};
use super::events::Event;
use super::hosts::Host;
use super::network::Network;
use crate::driver::Readiness;
use crate::driver::address::Address;
use crate::platform::Socket;
use std::collections::VecDeque;

const SECOND: u64 = 1_000_000_000;
/// Before what was lost is sent again, at least and at most.
const RETRY: u64 = SECOND / 5;
const LONGEST_RETRY: u64 = 5 * SECOND;
/// A connection over which so long nothing got through is over.
const STALLED: u64 = 120 * SECOND;
/// The attempts to connect: after 1, 2, 4 seconds and so on, in all 127.
const SYN_ATTEMPTS: u32 = 7;
/// The most that travels as one.
pub(super) const SEGMENT: usize = 8192;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Not connected.
    Fresh,
    /// The client has asked.
    Connecting,
    /// The server has answered; the listener will get it.
    Shaking(Socket),
    Connected,
    /// Over.
    Dead,
}

pub(super) enum Segment {
    Syn,
    SynAck,
    /// The client knows that it is connected.
    Established,
    Data(Vec<u8>),
    Fin,
    Reset,
}

impl Segment {
    fn number(&self) -> u64 {
        match self {
            Segment::Syn => 1,
            Segment::SynAck => 2,
            Segment::Established => 3,
            Segment::Data(_) => 4,
            Segment::Fin => 5,
            Segment::Reset => 6,
        }
    }

    fn length(&self) -> usize {
        if let Segment::Data(data) = self { data.len() } else { 0 }
    }
}

/// What is on its way to the peer.
#[derive(Default)]
pub(super) struct Pipe {
    /// With the time of arrival; none arrives before those that were sent before.
    pub segments: VecDeque<(u64, Segment)>,
    /// When the event for the first is due.
    pub scheduled: Option<u64>,
    attempt: u32,
    /// Since when the first is tried.
    stalled_since: Option<u64>,
    /// Bytes that the peer's program has not read, as far as is known here.
    pub used: usize,
    /// The program found no room.
    pub wants_room: bool,
}

/// What has come and was not read.
#[derive(Default)]
pub(super) struct Incoming {
    parts: VecDeque<Vec<u8>>,
    /// How much of the first was read.
    read: usize,
    pub held: usize,
}

impl Incoming {
    fn push(&mut self, data: Vec<u8>) {
        self.held += data.len();
        self.parts.push_back(data);
    }

    /// Takes out what fits.
    pub fn take(&mut self, buffer: &mut [u8]) -> usize {
        let mut taken = 0;
        while let Some(part) = self.parts.front().filter(|_| taken < buffer.len()) {
            let length = (part.len() - self.read).min(buffer.len() - taken);
            buffer[taken..taken + length].copy_from_slice(&part[self.read..self.read + length]);
            taken += length;
            self.read += length;
            if self.read == part.len() {
                self.parts.pop_front();
                self.read = 0;
            }
        }
        self.held -= taken;
        taken
    }
}

/// The other end.
#[derive(Clone, Copy, Default)]
pub(super) struct Remote {
    pub host: Host,
    pub socket: Option<Socket>,
    pub address: Option<Address>,
    /// How much it holds for its program.
    pub receive_buffer: usize,
}

pub(super) struct Stream {
    pub state: State,
    pub remote: Remote,
    pub out: Pipe,
    pub incoming: Incoming,
    /// Bytes read of which the peer does not know.
    pub owed: usize,
    /// The peer sends no more.
    pub received_end: bool,
    /// The program sends no more.
    pub sent_end: bool,
    /// The program reads no more.
    pub deaf: bool,
    pub error: Option<Errno>,
}

impl Stream {
    pub fn new(state: State, remote: Remote) -> Self {
        Self {
            state,
            remote,
            out: Pipe::default(),
            incoming: Incoming::default(),
            owed: 0,
            received_end: false,
            sent_end: false,
            deaf: false,
            error: None,
        }
    }

    /// How much may be sent.
    pub fn room(&self, send_buffer: usize) -> usize {
        (send_buffer + self.remote.receive_buffer).saturating_sub(self.out.used)
    }

    pub fn level(&self, send_buffer: usize) -> Level {
        let is_connected = self.state == State::Connected;
        let ended = self.received_end || self.deaf;
        let failed = self.error.is_some() || self.state == State::Dead || (ended && self.sent_end);
        let ready = Readiness {
            readable: self.incoming.held != 0 || ended,
            writable: is_connected && (self.sent_end || self.room(send_buffer) != 0),
        };
        Level { ready, ended, failed }
    }
}

impl Network {
    pub fn stream(&self, socket: Socket) -> Option<&Stream> {
        match &self.descriptors.get(&socket)?.body {
            Body::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    pub fn stream_mut(&mut self, socket: Socket) -> Option<&mut Stream> {
        match &mut self.descriptors.get_mut(&socket)?.body {
            Body::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    /// One whose program is there, or will be, and that is not over.
    pub fn living_stream(&mut self, socket: Socket) -> Option<&mut Stream> {
        let descriptor = self.descriptors.get_mut(&socket).filter(|descriptor| descriptor.life != Life::Closed)?;
        match &mut descriptor.body {
            Body::Stream(stream) if stream.state != State::Dead => Some(stream),
            _ => None,
        }
    }

    /// From which host to which a stream sends.
    pub fn route(&self, socket: Socket) -> Option<(Host, Host)> {
        let remote = self.stream(socket)?.remote.host;
        Some((self.descriptors.get(&socket)?.common.host, remote))
    }

    /// Sends a segment off.
    pub fn push(&mut self, socket: Socket, segment: Segment) {
        let Some((from, to)) = self.route(socket) else { return };
        let arrives = self.links.travel(from, to, segment.length(), &self.clockwork);
        let Some(stream) = self.stream_mut(socket) else { return };
        stream.out.segments.push_back((arrives, segment));
        self.schedule(socket);
    }

    /// Sees to it that there is an event for the first segment.
    fn schedule(&mut self, socket: Socket) {
        let Some(stream) = self.stream_mut(socket) else { return };
        let first = stream.out.segments.front().map(|(arrives, _)| *arrives);
        if stream.out.scheduled == first {
            return;
        }
        stream.out.scheduled = first;
        if let Some(at) = first {
            self.events.push(at, Event::Deliver(socket));
        }
    }

    /// The first segment that a stream has sent is due, and maybe more.
    pub fn deliver_stream(&mut self, socket: Socket) {
        let now = self.now();
        while let Some(stream) = self.stream(socket) {
            let Some((_, segment)) = stream.out.segments.front().filter(|(arrives, _)| *arrives <= now) else { break };
            let (number, is_syn) = (segment.number(), matches!(segment, Segment::Syn));
            [socket as u64, number].into_iter().for_each(|what| self.clockwork.trace(what));
            let Some((from, to)) = self.route(socket) else { break };
            if self.is_lost(from, to) || (is_syn && !self.syn_arrives(socket)) {
                self.clockwork.trace(0);
                self.lost(socket, from, to);
                continue;
            }
            // What arrives may end the sender.
            let Some(stream) = self.stream_mut(socket) else { return };
            (stream.out.attempt, stream.out.stalled_since) = (0, None);
            if let Some((_, segment)) = stream.out.segments.pop_front() {
                self.arrived(socket, segment);
            }
        }
        if let Some(stream) = self.stream_mut(socket) {
            stream.out.scheduled = stream.out.scheduled.filter(|at| *at > now);
        }
        self.schedule(socket);
        self.forget_if_over(socket);
    }

    /// The first segment did not get through: it is sent again later, until nobody believes in it any more.
    fn lost(&mut self, socket: Socket, from: Host, to: Host) {
        let now = self.now();
        let (there, back) = (*self.links.path(from, to, now), *self.links.path(to, from, now));
        let round_trip = there.link.latency.saturating_add(back.link.latency);
        let Some(stream) = self.stream_mut(socket) else { return };
        let pipe = &mut stream.out;
        let since = *pipe.stalled_since.get_or_insert(now);
        let attempt = pipe.attempt.min(30);
        pipe.attempt += 1;
        // Later segments that arrive tell of the loss before any timer does.
        let is_noticed = attempt == 0 && there.blocked_since.is_none() && pipe.segments.len() > 1;
        let retry = RETRY.max(round_trip.saturating_mul(2));
        let (wait, is_over) = match pipe.segments.front() {
            Some((_, Segment::Reset)) => (0, true),
            Some((_, Segment::Syn)) => (SECOND << attempt, attempt >= SYN_ATTEMPTS),
            _ if is_noticed => (round_trip, false),
            _ => (retry.saturating_mul(1 << attempt).min(LONGEST_RETRY.max(retry)), now - since >= STALLED),
        };
        if is_over {
            return self.fail(socket, errors::TIMED_OUT);
        }
        if let Some((arrives, _)) = pipe.segments.front_mut() {
            *arrives = now.saturating_add(wait.max(1));
        }
    }

    /// A segment of a stream is at the other end.
    fn arrived(&mut self, sender: Socket, segment: Segment) {
        let Some(peer) = self.stream(sender).and_then(|stream| stream.remote.socket) else { return };
        match segment {
            // It was looked at before.
            Segment::Syn => {}
            Segment::SynAck => self.syn_ack_arrives(sender, peer),
            Segment::Established => self.established(sender, peer),
            Segment::Data(data) => self.data_arrives(sender, peer, data),
            Segment::Fin => {
                if let Some(stream) = self.living_stream(peer) {
                    stream.received_end = true;
                    self.touch(peer);
                }
            }
            Segment::Reset => self.reset(peer),
        }
    }

    fn data_arrives(&mut self, sender: Socket, peer: Socket, data: Vec<u8>) {
        self.clockwork.trace_data(&data);
        let Some(stream) = self.living_stream(peer) else { return self.answer_with_reset(peer, sender) };
        if stream.deaf {
            stream.owed += data.len();
            return self.give_credit(peer, false);
        }
        stream.incoming.push(data);
        self.touch(peer);
    }

    /// There is nobody for what has arrived.
    pub fn answer_with_reset(&mut self, nobody: Socket, sender: Socket) {
        if self.descriptors.get(&nobody).is_some_and(|descriptor| descriptor.life == Life::Closed) {
            self.remove(nobody);
        }
        if let Some((to, from)) = self.route(sender) {
            self.send_reset(sender, from, to);
        }
    }

    pub fn send_reset(&mut self, to: Socket, from: Host, to_host: Host) {
        let arrives = self.links.travel(from, to_host, 0, &self.clockwork);
        self.events.push(arrives, Event::Reset { to, from });
    }

    pub fn reset_arrives(&mut self, to: Socket, from: Host) {
        let now = self.now();
        let Some((host, _)) = self.route(to) else { return };
        if !self.links.is_blocked(from, host, now) {
            self.clockwork.trace(to as u64);
            self.reset(to);
        }
    }

    /// The peer knows nothing of the connection, or wants to know nothing more.
    pub fn reset(&mut self, socket: Socket) {
        let Some(stream) = self.stream(socket) else { return };
        let errno = match stream.state {
            State::Connecting => errors::REFUSED,
            _ if stream.received_end => errors::BROKEN_PIPE,
            _ => errors::RESET,
        };
        self.fail(socket, errno);
    }

    /// Ends a connection with an error.
    pub fn fail(&mut self, socket: Socket, errno: Errno) {
        let Some(descriptor) = self.descriptors.get_mut(&socket) else { return };
        let Body::Stream(stream) = &mut descriptor.body else { return };
        let (life, state) = (descriptor.life, stream.state);
        if state == State::Dead && life != Life::Closed {
            return;
        }
        stream.state = State::Dead;
        stream.error = Some(errno);
        stream.out.segments.clear();
        stream.out.scheduled = None;
        self.clockwork.trace(socket as u64);
        if let State::Shaking(listener) = state {
            self.forget_half_open(listener, socket);
        }
        if life == Life::Closed || matches!(state, State::Shaking(_)) {
            self.remove(socket)
        } else {
            self.touch(socket)
        }
    }

    /// A closed one goes when the peer has all.
    pub fn forget_if_over(&mut self, socket: Socket) {
        let is_closed = |network: &Self| network.descriptors.get(&socket).is_some_and(|one| one.life == Life::Closed);
        if is_closed(self) && self.stream(socket).is_some_and(|stream| stream.out.segments.is_empty()) {
            self.remove(socket);
        }
    }

    /// Drops what has not left yet and ends the connection by a reset.
    pub fn abort(&mut self, socket: Socket) {
        let Some((from, to)) = self.route(socket) else { return };
        let on_its_way = self.links.longest_way(from, to, self.clockwork.now());
        let Some(descriptor) = self.descriptors.get_mut(&socket) else { return };
        descriptor.life = Life::Closed;
        descriptor.watch = None;
        let Body::Stream(stream) = &mut descriptor.body else { return };
        stream.state = State::Dead;
        let segments = &mut stream.out.segments;
        let has_left = segments.iter().take_while(|(arrives, _)| *arrives <= on_its_way).count();
        let dropped = segments.drain(has_left..).map(|(_, segment)| segment.length()).sum();
        self.links.take_back(from, to, dropped, self.clockwork.now());
        self.push(socket, Segment::Reset);
    }

    /// Tells the sender how much was read, once it is worth it.
    pub fn give_credit(&mut self, reader: Socket, at_once: bool) {
        let Some((from, to)) = self.route(reader) else { return };
        let Some(descriptor) = self.descriptors.get_mut(&reader) else { return };
        let enough = if at_once { 1 } else { (descriptor.common.options.receive_buffer / 2).max(1) };
        let Body::Stream(stream) = &mut descriptor.body else { return };
        let Some(sender) = stream.remote.socket.filter(|_| stream.owed >= enough) else { return };
        let amount = std::mem::take(&mut stream.owed);
        let arrives = self.links.travel(from, to, 0, &self.clockwork);
        self.events.push(arrives, Event::Credit { to: sender, from: reader, amount });
    }

    /// The sender learns that there is room again; what is lost on the way is told again when the link is whole.
    pub fn credit_arrives(&mut self, to: Socket, from: Socket, amount: usize) {
        let now = self.now();
        let Some((here, there)) = self.route(to) else { return };
        let is_blocked = self.links.is_blocked(there, here, now);
        if is_blocked {
            if let Some(stream) = self.stream_mut(from) {
                stream.owed += amount;
            }
            return;
        }
        [to as u64, amount as u64].into_iter().for_each(|what| self.clockwork.trace(what));
        let Some(stream) = self.stream_mut(to) else { return };
        stream.out.used = stream.out.used.saturating_sub(amount);
        if std::mem::take(&mut stream.out.wants_room) {
            self.touch(to);
        }
    }
}
