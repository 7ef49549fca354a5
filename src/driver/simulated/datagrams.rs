//! Datagram sockets: whole or not at all, in any order, once, twice or never.

use super::descriptors::{Body, Descriptor, Level};
use super::errors::{self, Errno};
use super::events::Event;
use super::hosts::{Common, Host, Hosts, Transport, is_broadcast};
use super::network::{Network, Share};
use crate::driver::Readiness;
use crate::driver::address::{Address, Family, UnixAddress};
use crate::driver::sockets::Received;
use crate::platform::Socket;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// What fits into one.
const LONGEST: usize = 65507;
/// A datagram that is held back comes so much later, at most, beside twice its way.
const HELD_BACK: u64 = 10_000_000;

/// What a datagram socket keeps.
#[derive(Default)]
pub(super) struct Datagrams {
    /// Whom it talks to.
    pub peer: Option<Address>,
    queue: VecDeque<(Rc<[u8]>, Address)>,
    held: usize,
    pub error: Option<Errno>,
    pub groups: Vec<IpAddr>,
}

/// A datagram on its way.
pub(super) struct Flying {
    sender: Socket,
    from_host: Host,
    to_host: Host,
    from: SocketAddr,
    to: SocketAddr,
    data: Rc<[u8]>,
}

impl Datagrams {
    pub fn level(&self) -> Level {
        let failed = self.error.is_some();
        Level { ready: Readiness { readable: !self.queue.is_empty(), writable: true }, ended: false, failed }
    }

    /// False: there is no room for it.
    fn push(&mut self, data: Rc<[u8]>, from: Address, room: usize) -> bool {
        // An empty one takes room too.
        let size = data.len() + size_of::<(Rc<[u8]>, Address)>();
        let fits = self.held + size <= room || self.queue.is_empty();
        if fits {
            self.held += size;
            self.queue.push_back((data, from));
        }
        fits
    }

    fn pop(&mut self) -> Option<(Rc<[u8]>, Address)> {
        let (data, from) = self.queue.pop_front()?;
        self.held -= data.len() + size_of::<(Rc<[u8]>, Address)>();
        Some((data, from))
    }
}

impl Network {
    fn own_datagrams(&mut self, socket: Socket) -> Result<(&mut Datagrams, &Common), Errno> {
        let descriptor = self.open_one(socket)?;
        match &mut descriptor.body {
            Body::Datagrams(datagrams) => Ok((datagrams, &descriptor.common)),
            _ => Err(errors::NOT_SUPPORTED),
        }
    }

    /// Sets whom a socket talks to.
    pub fn connect_datagrams(&mut self, socket: Socket, address: &Address) -> Result<(), Errno> {
        let common = self.own_datagrams(socket)?.1.clone();
        let peer = match address {
            Address::Unix(name) => {
                self.named_datagrams(&common, name)?;
                *address
            }
            Address::Ip(_) => {
                let (_, to) = self.way(&common, address)?;
                self.take_source(socket, &common, to)?;
                Address::Ip(to)
            }
        };
        self.own_datagrams(socket)?.0.peer = Some(peer);
        Ok(())
    }

    /// Receives one, or what of it the buffer has room for.
    pub fn receive_from(&mut self, socket: Socket, buffer: &mut [u8]) -> Result<Received, Errno> {
        let (datagrams, _) = self.own_datagrams(socket)?;
        if let Some(errno) = datagrams.error.take() {
            return Err(errno);
        }
        if datagrams.queue.is_empty() {
            return Err(errors::WOULD_BLOCK);
        }
        // There is something, but it does not pass the checksum, say.
        if let Share::None = self.share(1) {
            self.touch(socket);
            return Err(errors::WOULD_BLOCK);
        }
        let (datagrams, common) = self.own_datagrams(socket)?;
        let (data, from) = datagrams.pop().ok_or(errors::WOULD_BLOCK)?;
        let length = data.len().min(buffer.len());
        buffer[..length].copy_from_slice(&data[..length]);
        Ok(Received { length, truncated: length < data.len(), segment: 0, peer: common.shown(from) })
    }

    /// Sends one, or several of `segment` bytes.
    pub fn send_to(&mut self, socket: Socket, data: &[u8], segment: usize, to: Option<&Address>) -> Result<(), Errno> {
        let (datagrams, common) = self.own_datagrams(socket)?;
        if let Some(errno) = datagrams.error.take() {
            return Err(errno);
        }
        let to = to.copied().or(datagrams.peer.map(|peer| common.shown(peer))).ok_or(errors::NO_DESTINATION)?;
        if segment == 0 || data.len() <= segment {
            return self.send_one(socket, data, &to);
        }
        data.chunks(segment).try_for_each(|one| self.send_one(socket, one, &to))
    }

    fn send_one(&mut self, socket: Socket, data: &[u8], to: &Address) -> Result<(), Errno> {
        if data.len() > LONGEST {
            return Err(errors::TOO_LONG);
        }
        let common = self.own_datagrams(socket)?.1;
        if let Address::Unix(name) = to {
            let common = common.clone();
            return self.send_to_name(&common, data, name);
        }
        let target = common.taken(to)?;
        if target.port() == 0 {
            return Err(errors::INVALID);
        }
        if is_broadcast(target.ip()) && !common.options.broadcast {
            return Err(errors::ACCESS_DENIED);
        }
        if target.ip().is_multicast() || is_broadcast(target.ip()) {
            return self.send_to_many(socket, data, target);
        }
        let common = common.clone();
        let (to_host, to) = self.way(&common, to)?;
        let from = self.sending_address(socket, &common, to)?;
        let data = Rc::from(data);
        self.fly(&Flying { sender: socket, from_host: common.host, to_host, from, to, data });
        Ok(())
    }

    /// The address that a datagram comes from; a socket without one gets it now.
    fn sending_address(&mut self, socket: Socket, common: &Common, to: SocketAddr) -> Result<SocketAddr, Errno> {
        let source = Hosts::source(common.host, to.ip());
        let own = match common.local_ip() {
            Some(own) => own,
            None => {
                let any = if to.is_ipv4() && common.family == Some(Family::V4) { "0.0.0.0:0" } else { "[::]:0" };
                self.take_port(socket, any.parse().expect("it is an address"))?;
                self.own_datagrams(socket)?.1.local_ip().unwrap_or(SocketAddr::new(source, 0))
            }
        };
        let is_own = !own.ip().is_unspecified() && !own.ip().is_multicast();
        Ok(SocketAddr::new(if is_own { own.ip() } else { source }, own.port()))
    }

    /// To a group or to all: a copy for each host.
    fn send_to_many(&mut self, socket: Socket, data: &[u8], to: SocketAddr) -> Result<(), Errno> {
        let common = self.own_datagrams(socket)?.1.clone();
        let from = self.sending_address(socket, &common, to)?;
        let data = Rc::<[u8]>::from(data);
        let options = &common.options;
        let is_group = to.ip().is_multicast();
        for to_host in self.hosts.all() {
            let is_wanted = match to_host == common.host {
                true => !is_group || options.multicast_loop,
                false => !is_group || options.multicast_time_to_live != 0,
            };
            if is_wanted {
                let data = Rc::clone(&data);
                self.fly(&Flying { sender: socket, from_host: common.host, to_host, from, to, data });
            }
        }
        Ok(())
    }

    /// Sends one off, or two, or none.
    fn fly(&mut self, datagram: &Flying) {
        let Flying { from_host, to_host, sender, .. } = *datagram;
        [sender as u64, u64::from(to_host)].into_iter().for_each(|what| self.clockwork.trace(what));
        self.clockwork.trace_data(&datagram.data);
        if self.is_lost(from_host, to_host) {
            return self.clockwork.trace(0);
        }
        let link = self.links.path(from_host, to_host, self.clockwork.now()).link;
        let copies = 1 + u32::from(self.clockwork.happens(link.duplication));
        for _ in 0..copies {
            let mut arrives = self.links.travel(from_host, to_host, datagram.data.len(), &self.clockwork);
            if self.clockwork.happens(link.reordering) {
                let most = link.latency.saturating_mul(2).saturating_add(link.jitter).saturating_add(HELD_BACK);
                arrives = arrives.saturating_add(self.clockwork.up_to(most));
            }
            let copy = Flying { data: Rc::clone(&datagram.data), ..*datagram };
            self.events.push(arrives, Event::Datagram(Box::new(copy)));
        }
    }

    /// A datagram is at its host.
    pub fn datagram_arrives(&mut self, datagram: Flying) {
        let Flying { from_host, to_host, from, to, sender, .. } = datagram;
        [sender as u64, u64::from(to_host)].into_iter().for_each(|what| self.clockwork.trace(what));
        let now = self.now();
        if self.links.is_blocked(from_host, to_host, now) {
            return self.clockwork.trace(0);
        }
        if to.ip().is_multicast() || is_broadcast(to.ip()) {
            let takers = self.takers(to_host, to);
            return takers.into_iter().for_each(|taker| self.hand_over(taker, &datagram.data, Address::Ip(from)));
        }
        let best = self.best(to_host, Transport::Udp, to.port(), |descriptor| fit(descriptor, from, to));
        if let Some(taker) = best {
            return self.hand_over(taker, &datagram.data, Address::Ip(from));
        }
        let arrives = self.links.travel(to_host, from_host, 0, &self.clockwork);
        self.events.push(arrives, Event::Refused { to: sender, from: to_host });
    }

    /// All that get what is for a group, or for all.
    fn takers(&self, host: Host, to: SocketAddr) -> Vec<Socket> {
        let takes = |socket: &&Socket| {
            let Some(descriptor) = self.descriptors.get(socket) else { return false };
            let Body::Datagrams(datagrams) = &descriptor.body else { return false };
            let is_meant = is_broadcast(to.ip()) || datagrams.groups.contains(&to.ip());
            is_meant && descriptor.common.takes(to.ip()) != 0
        };
        self.hosts.holders(host, Transport::Udp, to.port()).iter().filter(takes).copied().collect()
    }

    fn hand_over(&mut self, taker: Socket, data: &Rc<[u8]>, from: Address) {
        let Some(descriptor) = self.descriptors.get_mut(&taker) else { return };
        let room = descriptor.common.options.receive_buffer;
        let Body::Datagrams(datagrams) = &mut descriptor.body else { return };
        let is_taken = datagrams.push(Rc::clone(data), from, room);
        [taker as u64, u64::from(is_taken)].into_iter().for_each(|what| self.clockwork.trace(what));
        self.touch(taker);
    }

    /// Nobody took what a socket sent: it hears of it if that is whom it talks to.
    pub fn refusal_arrives(&mut self, to: Socket, from: Host) {
        let now = self.now();
        let Some(host) = self.descriptors.get(&to).map(|descriptor| descriptor.common.host) else { return };
        if self.links.is_blocked(from, host, now) {
            return;
        }
        let Ok((datagrams, _)) = self.own_datagrams(to) else { return };
        if datagrams.peer.is_some() {
            datagrams.error = Some(errors::REFUSED);
            self.touch(to);
        }
    }

    fn named_datagrams(&self, common: &Common, name: &UnixAddress) -> Result<Socket, Errno> {
        if common.family != Some(Family::Unix) {
            return Err(errors::WRONG_FAMILY);
        }
        let none = if name.path().is_some() { errors::NOT_FOUND } else { errors::REFUSED };
        self.hosts.name_holder(common.host, Transport::Udp, name).ok_or(none)
    }

    /// Within a host, where nothing is lost.
    fn send_to_name(&mut self, common: &Common, data: &[u8], name: &UnixAddress) -> Result<(), Errno> {
        let taker = self.named_datagrams(common, name)?;
        self.clockwork.trace_data(data);
        let from = common.local.unwrap_or(Address::Unix(UnixAddress::default()));
        let room = self.open_one(taker)?.common.options.receive_buffer;
        if !self.own_datagrams(taker)?.0.push(Rc::from(data), from, room) {
            return Err(errors::WOULD_BLOCK);
        }
        self.touch(taker);
        Ok(())
    }
}

/// How well a socket fits a datagram: one that talks to the sender best, one that talks to another not at all.
fn fit(descriptor: &Descriptor, from: SocketAddr, to: SocketAddr) -> u32 {
    match &descriptor.body {
        Body::Datagrams(datagrams) => match (datagrams.peer, descriptor.common.takes(to.ip())) {
            (None, takes) => takes,
            (Some(peer), takes) if takes != 0 && peer == Address::Ip(from) => takes + 2,
            _ => 0,
        },
        _ => 0,
    }
}
