//! How what a stream sends gets to the other end: segment by segment, and again when it is lost; and how the sender learns
//! that there is room for more.

use super::descriptors::Body;
use super::errors;
use super::events::Event;
use super::hosts::Host;
use super::network::Network;
use super::stream::Segment;
use crate::platform::Socket;

const SECOND: u64 = 1_000_000_000;
/// Before what was lost is sent again, at least and at most.
const RETRY: u64 = SECOND / 5;
const LONGEST_RETRY: u64 = 5 * SECOND;
/// A connection over which so long nothing got through is over.
const STALLED: u64 = 120 * SECOND;
/// The attempts to connect: after 1, 2, 4 seconds and so on, in all 127.
const SYN_ATTEMPTS: u32 = 7;

impl Network {
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
