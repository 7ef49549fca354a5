//! Connecting: listeners, and the three steps by which a connection comes about.

use super::descriptors::{Body, Level, Life};
use super::errors::{self, Errno};
use super::hosts::{Common, Host, Hosts, Transport};
use super::network::{Network, Share};
use super::stream::{Remote, Segment, State, Stream};
use crate::driver::Readiness;
use crate::driver::address::{Address, Family, UnixAddress};
use crate::platform::Socket;
use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

/// More connections than this never wait, whatever the program asks for.
const LONGEST_BACKLOG: i32 = 4096;

/// What a listening socket keeps.
pub(super) struct Listener {
    backlog: usize,
    /// To be accepted.
    queue: VecDeque<Socket>,
    /// Those whose client has not heard yet.
    half_open: BTreeSet<Socket>,
}

impl Listener {
    pub fn level(&self) -> Level {
        let ready = Readiness { readable: !self.queue.is_empty(), writable: false };
        Level { ready, ..Level::default() }
    }

    fn is_full(&self) -> bool {
        self.queue.len() + self.half_open.len() > self.backlog
    }
}

impl Network {
    fn listener(&mut self, socket: Socket) -> Option<&mut Listener> {
        match &mut self.descriptors.get_mut(&socket)?.body {
            Body::Listener(listener) => Some(listener),
            _ => None,
        }
    }

    /// Has a socket take connections.
    pub fn listen(&mut self, socket: Socket, backlog: i32) -> Result<(), Errno> {
        let backlog = if backlog < 0 { LONGEST_BACKLOG } else { backlog.min(LONGEST_BACKLOG) } as usize;
        let descriptor = self.open_one(socket)?;
        match &mut descriptor.body {
            Body::Listener(listener) => {
                listener.backlog = backlog;
                return Ok(());
            }
            Body::Stream(stream) if stream.state == State::Fresh => {}
            Body::Stream(_) => return Err(errors::INVALID),
            _ => return Err(errors::NOT_SUPPORTED),
        }
        let common = descriptor.common.clone();
        match (common.local, common.family) {
            (None, Some(Family::Unix)) => return Err(errors::INVALID),
            (None, family) => {
                let any = if family == Some(Family::V6) { "[::]:0" } else { "0.0.0.0:0" };
                self.take_port(socket, any.parse().expect("it is an address"))?;
            }
            (Some(Address::Ip(local)), _) => self.check_sole_listener(socket, &common, local)?,
            (Some(Address::Unix(_)), _) => {}
        }
        let listener = Listener { backlog, queue: VecDeque::new(), half_open: BTreeSet::new() };
        self.open_one(socket)?.body = Body::Listener(Box::new(listener));
        Ok(())
    }

    /// Sockets that may share a port may not both listen there, unless that is what they share it for.
    fn check_sole_listener(&self, socket: Socket, common: &Common, local: SocketAddr) -> Result<(), Errno> {
        let others = self.hosts.holders(common.host, Transport::Tcp, local.port());
        let clashes = others.iter().filter(|other| **other != socket).any(|other| match self.descriptors.get(other) {
            Some(other) if matches!(other.body, Body::Listener(_)) => !common.may_share(&other.common, true),
            _ => false,
        });
        if clashes { Err(errors::ADDRESS_IN_USE) } else { Ok(()) }
    }

    /// A connection that waits.
    pub fn accept(&mut self, socket: Socket) -> Result<Socket, Errno> {
        match &self.open_one(socket)?.body {
            Body::Listener(listener) if listener.queue.is_empty() => return Err(errors::WOULD_BLOCK),
            Body::Listener(_) => {}
            _ => return Err(errors::INVALID),
        }
        if let Share::None = self.share(1) {
            self.touch(socket);
            return Err(errors::WOULD_BLOCK);
        }
        let accepted = self.listener(socket).and_then(|listener| listener.queue.pop_front());
        let accepted = accepted.ok_or(errors::WOULD_BLOCK)?;
        if let Some(descriptor) = self.descriptors.get_mut(&accepted) {
            descriptor.life = Life::Open;
        }
        Ok(accepted)
    }

    /// Begins to connect a stream; true: it is done already.
    pub fn connect_stream(&mut self, socket: Socket, address: &Address) -> Result<bool, Errno> {
        let descriptor = self.open_one(socket)?;
        match &descriptor.body {
            Body::Stream(stream) => match stream.state {
                State::Fresh => {}
                State::Connecting => return Err(errors::ALREADY_CONNECTING),
                State::Connected | State::Shaking(_) => return Err(errors::CONNECTED),
                State::Dead => return Err(errors::INVALID),
            },
            _ => return Err(errors::CONNECTED),
        }
        let common = descriptor.common.clone();
        if let Address::Unix(name) = address {
            return self.connect_name(socket, &common, *name);
        }
        let (host, to) = self.way(&common, address)?;
        if to.ip().is_multicast() || to.port() == 0 {
            return Err(errors::UNREACHABLE);
        }
        self.take_source(socket, &common, to)?;
        if let Some(stream) = self.stream_mut(socket) {
            stream.state = State::Connecting;
            stream.remote = Remote { host, address: Some(Address::Ip(to)), ..Remote::default() };
        }
        self.push(socket, Segment::Syn);
        Ok(false)
    }

    /// Gives a socket the address that it talks to `to` from, where it has none of its own.
    pub fn take_source(&mut self, socket: Socket, common: &Common, to: SocketAddr) -> Result<(), Errno> {
        let source = Hosts::source(common.host, to.ip());
        match common.local_ip() {
            None => self.take_port(socket, SocketAddr::new(source, 0)),
            Some(own) if own.ip().is_unspecified() => {
                self.open_one(socket)?.common.local = Some(Address::Ip(SocketAddr::new(source, own.port())));
                Ok(())
            }
            Some(_) => Ok(()),
        }
    }

    /// Connects to a Unix socket, which is done at once.
    fn connect_name(&mut self, socket: Socket, common: &Common, name: UnixAddress) -> Result<bool, Errno> {
        if common.family != Some(Family::Unix) {
            return Err(errors::WRONG_FAMILY);
        }
        let holder = self.hosts.name_holder(common.host, Transport::Tcp, &name);
        let none = if name.path().is_some() { errors::NOT_FOUND } else { errors::REFUSED };
        let listener = holder.ok_or(none)?;
        let is_full = self.listener(listener).ok_or(errors::REFUSED)?.is_full();
        if is_full {
            return Err(errors::WOULD_BLOCK);
        }
        let child = self.add_child(socket, listener, Some(Address::Unix(name)), State::Connected);
        let receive_buffer = self.open_one(listener)?.common.options.receive_buffer;
        if let Some(stream) = self.stream_mut(socket) {
            stream.state = State::Connected;
            let address = Some(Address::Unix(name));
            stream.remote = Remote { host: common.host, socket: Some(child), address, receive_buffer };
        }
        if let Some(listener) = self.listener(listener) {
            listener.queue.push_back(child);
        }
        self.touch(listener);
        self.touch(socket);
        Ok(true)
    }

    /// The server's end of a connection.
    fn add_child(&mut self, client: Socket, listener: Socket, local: Option<Address>, state: State) -> Socket {
        let of = |network: &Self, socket: Socket| network.descriptors[&socket].common.clone();
        let (client_common, server) = (of(self, client), of(self, listener));
        let unnamed = (client_common.family == Some(Family::Unix)).then(|| Address::Unix(UnixAddress::default()));
        let remote = Remote {
            host: client_common.host,
            socket: Some(client),
            address: client_common.local.or(unnamed),
            receive_buffer: client_common.options.receive_buffer,
        };
        let common = Common { local, bound: false, ..server };
        self.add(Life::Waiting, common, Body::Stream(Box::new(Stream::new(state, remote))))
    }

    /// A client's first segment is there. False: the listener has no room, and the client will ask again.
    pub fn syn_arrives(&mut self, client: Socket) -> bool {
        let Some((client_host, host)) = self.route(client) else { return true };
        let to = self.stream(client).and_then(|stream| stream.remote.address?.ip());
        let Some(to) = to else { return true };
        let listener = if self.hosts.refuses(host, to.port()) { None } else { self.listener_for(host, to) };
        let Some(listener) = listener else {
            self.send_reset(client, host, client_host);
            return true;
        };
        if self.listener(listener).is_some_and(|listener| listener.is_full()) {
            return false;
        }
        let child = self.add_child(client, listener, Some(Address::Ip(to)), State::Shaking(listener));
        if let Some(listener) = self.listener(listener) {
            listener.half_open.insert(child);
        }
        self.push(child, Segment::SynAck);
        true
    }

    fn listener_for(&self, host: Host, to: SocketAddr) -> Option<Socket> {
        self.best(host, Transport::Tcp, to.port(), |descriptor| match descriptor.body {
            Body::Listener(_) => descriptor.common.takes(to.ip()),
            _ => 0,
        })
    }

    /// The server's answer is at the client.
    pub fn syn_ack_arrives(&mut self, child: Socket, client: Socket) {
        let receive_buffer = self.descriptors[&child].common.options.receive_buffer;
        match self.living_stream(client) {
            Some(stream) if stream.state == State::Connecting => {
                stream.state = State::Connected;
                stream.remote = Remote { socket: Some(child), receive_buffer, ..stream.remote };
                self.push(client, Segment::Established);
                self.touch(client);
            }
            _ => self.answer_with_reset(client, child),
        }
    }

    /// The server hears that the client knows.
    pub fn established(&mut self, client: Socket, child: Socket) {
        let state = self.stream(child).map(|stream| stream.state);
        let Some(State::Shaking(listener)) = state else { return self.answer_with_reset(child, client) };
        if let Some(stream) = self.stream_mut(child) {
            stream.state = State::Connected;
        }
        if let Some(listener) = self.listener(listener) {
            listener.half_open.remove(&child);
            listener.queue.push_back(child);
        }
        self.touch(listener);
    }

    pub fn forget_half_open(&mut self, listener: Socket, child: Socket) {
        if let Some(listener) = self.listener(listener) {
            listener.half_open.remove(&child);
        }
    }

    /// Takes no more connections; those that wait are reset.
    pub fn close_listener(&mut self, socket: Socket) {
        let Some(listener) = self.listener(socket) else { return };
        let half_open = std::mem::take(&mut listener.half_open);
        let children = half_open.into_iter().chain(std::mem::take(&mut listener.queue)).collect::<Vec<_>>();
        children.into_iter().for_each(|child| self.abort(child));
        self.remove(socket);
    }
}
