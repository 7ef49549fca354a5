//! Streams: what a socket keeps of a connection.
//!
//! Each end has a pipe of segments on their way, in order. The first one arrives when its link says so, or is lost and
//! tried again; those behind it wait for it. What a program has sent and the other has not read counts against the
//! buffers of both ends, so that one who does not read stops the other.

use super::descriptors::{Body, Level, Life};
use super::errors::Errno;
use super::hosts::Host;
use super::network::Network;
use crate::driver::Readiness;
use crate::driver::address::Address;
use crate::platform::Socket;
use std::collections::VecDeque;

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
    pub fn number(&self) -> u64 {
        match self {
            Segment::Syn => 1,
            Segment::SynAck => 2,
            Segment::Established => 3,
            Segment::Data(_) => 4,
            Segment::Fin => 5,
            Segment::Reset => 6,
        }
    }

    pub fn length(&self) -> usize {
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
    pub attempt: u32,
    /// Since when the first is tried.
    pub stalled_since: Option<u64>,
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
    pub fn push(&mut self, data: Vec<u8>) {
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
}
