//! What programs do with streams.

use super::descriptors::{Body, Life};
use super::errors::{self, Errno};
use super::network::{Network, Share};
use super::stream::{SEGMENT, Segment, State, Stream};
use crate::driver::address::Address;
use crate::platform::Socket;
use std::net::Shutdown;

impl Network {
    /// A stream of a program's, with the size of its send buffer.
    fn own_stream(&mut self, socket: Socket) -> Result<(&mut Stream, usize), Errno> {
        let descriptor = self.open_one(socket)?;
        match &mut descriptor.body {
            Body::Stream(stream) => Ok((stream, descriptor.common.options.send_buffer)),
            Body::Listener(_) => Err(errors::NOT_CONNECTED),
            Body::MadeUp(_) | Body::Datagrams(_) => Err(errors::NOT_SUPPORTED),
        }
    }

    /// Reads; 0: the peer sends no more.
    pub fn receive(&mut self, socket: Socket, buffer: &mut [u8]) -> Result<usize, Errno> {
        let (stream, _) = self.own_stream(socket)?;
        let able = stream.incoming.held.min(buffer.len());
        if able == 0 {
            return nothing_to_read(stream);
        }
        let length = match self.share(able) {
            Share::All => able,
            Share::Some(length) => length,
            Share::None => {
                self.touch(socket);
                return Err(errors::WOULD_BLOCK);
            }
        };
        let (stream, _) = self.own_stream(socket)?;
        let read = stream.incoming.take(&mut buffer[..length]);
        stream.owed += read;
        self.give_credit(socket, false);
        Ok(read)
    }

    /// Writes what there is room for of `parts`.
    pub fn send<'a>(&mut self, socket: Socket, parts: impl Iterator<Item = &'a [u8]> + Clone) -> Result<usize, Errno> {
        let length = parts.clone().map(<[u8]>::len).sum::<usize>();
        let (stream, send_buffer) = self.own_stream(socket)?;
        check_sending(stream)?;
        let able = stream.room(send_buffer).min(length);
        if able < length {
            stream.out.wants_room = true;
        }
        if able == 0 {
            return if length == 0 { Ok(0) } else { Err(errors::WOULD_BLOCK) };
        }
        let sent = match self.share(able) {
            Share::All => able,
            Share::Some(some) => some,
            Share::None => 0,
        };
        if sent < able {
            // There is room all the same.
            self.touch(socket);
        }
        if sent == 0 {
            return Err(errors::WOULD_BLOCK);
        }
        self.own_stream(socket)?.0.out.used += sent;
        self.push_data(socket, parts, sent);
        Ok(sent)
    }

    /// Sends the first `left` bytes of `parts` off, a segment at a time.
    fn push_data<'a>(&mut self, socket: Socket, parts: impl Iterator<Item = &'a [u8]>, mut left: usize) {
        let mut segment = Vec::with_capacity(left.min(SEGMENT));
        for mut part in parts {
            while left != 0 && !part.is_empty() {
                let (now, rest) = part.split_at(part.len().min(left).min(SEGMENT - segment.len()));
                segment.extend_from_slice(now);
                (part, left) = (rest, left - now.len());
                if segment.len() == SEGMENT || left == 0 {
                    let full = std::mem::replace(&mut segment, Vec::with_capacity(left.min(SEGMENT)));
                    self.push(socket, Segment::Data(full));
                }
            }
        }
    }

    /// Ends one direction or both.
    pub fn shut_down(&mut self, socket: Socket, how: Shutdown) -> Result<(), Errno> {
        let (stream, _) = self.own_stream(socket)?;
        if stream.state != State::Connected {
            return Err(errors::NOT_CONNECTED);
        }
        if how != Shutdown::Write {
            stream.deaf = true;
        }
        if how != Shutdown::Read {
            self.send_end(socket);
        }
        self.touch(socket);
        Ok(())
    }

    fn send_end(&mut self, socket: Socket) {
        let Some(stream) = self.stream_mut(socket) else { return };
        if !std::mem::replace(&mut stream.sent_end, true) {
            self.push(socket, Segment::Fin);
        }
    }

    /// Closes a socket of any kind.
    pub fn close(&mut self, socket: Socket) {
        let Ok(descriptor) = self.open_one(socket) else { return };
        descriptor.watch = None;
        let abortive = descriptor.common.options.abortive;
        match &mut descriptor.body {
            Body::Listener(_) => self.close_listener(socket),
            Body::Stream(stream) if stream.state == State::Connected => {
                if abortive || (stream.incoming.held != 0 && !stream.deaf) {
                    return self.abort(socket);
                }
                descriptor.life = Life::Closed;
                self.send_end(socket);
                self.forget_if_over(socket);
            }
            _ => self.remove(socket),
        }
    }

    /// The error that waits at a socket, which is told once.
    pub fn take_error(&mut self, socket: Socket) -> Result<Option<Errno>, Errno> {
        Ok(match &mut self.open_one(socket)?.body {
            Body::Stream(stream) => stream.error.take(),
            Body::Datagrams(datagrams) => datagrams.error.take(),
            _ => None,
        })
    }

    pub fn local_address(&mut self, socket: Socket) -> Result<Address, Errno> {
        let common = &self.open_one(socket)?.common;
        Ok(common.shown(common.local.unwrap_or_else(|| common.unspecified())))
    }

    pub fn peer_address(&mut self, socket: Socket) -> Result<Address, Errno> {
        let descriptor = self.open_one(socket)?;
        let peer = match &descriptor.body {
            Body::Stream(stream) if stream.state != State::Connecting => stream.remote.address,
            Body::Datagrams(datagrams) => datagrams.peer,
            _ => None,
        };
        peer.map(|peer| descriptor.common.shown(peer)).ok_or(errors::NOT_CONNECTED)
    }
}

fn nothing_to_read(stream: &mut Stream) -> Result<usize, Errno> {
    if let Some(errno) = stream.error.take() {
        return Err(errno);
    }
    match stream.state {
        State::Fresh => Err(errors::NOT_CONNECTED),
        State::Dead => Ok(0),
        _ if stream.received_end || stream.deaf => Ok(0),
        // Asked for nothing, it has nothing to wait for.
        _ if stream.incoming.held != 0 => Ok(0),
        _ => Err(errors::WOULD_BLOCK),
    }
}

fn check_sending(stream: &mut Stream) -> Result<(), Errno> {
    if let Some(errno) = stream.error.take() {
        return Err(errno);
    }
    match stream.state {
        State::Fresh => Err(errors::NOT_CONNECTED),
        State::Connecting => {
            stream.out.wants_room = true;
            Err(errors::WOULD_BLOCK)
        }
        State::Dead => Err(errors::BROKEN_PIPE),
        _ if stream.sent_end => Err(errors::BROKEN_PIPE),
        _ => Ok(()),
    }
}
