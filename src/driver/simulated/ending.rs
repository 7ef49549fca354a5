//! How connections end other than by an agreement: resets, errors, and what nobody waits for any more.

use super::descriptors::{Body, Life};
use super::errors::{self, Errno};
use super::events::Event;
use super::hosts::Host;
use super::network::Network;
use super::stream::{Segment, State};
use crate::platform::Socket;

impl Network {
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
}
