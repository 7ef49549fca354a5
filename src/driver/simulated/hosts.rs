//! Hosts, their addresses, names and ports.

use super::descriptors::{Body, Descriptor};
use super::errors::{self, Errno};
use super::network::Network;
use crate::driver::address::{Address, Family, UnixAddress};
use crate::driver::sockets::KeepAlive;
use crate::platform::Socket;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A host, by the order in which they were first named.
pub(super) type Host = u32;

/// What a port is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Tcp,
    Udp,
}

/// Where ports are from that nobody asked for.
const EPHEMERAL: std::ops::RangeInclusive<u16> = 32768..=60999;

/// What all sockets of a program have.
#[derive(Clone, Default)]
pub(super) struct Common {
    pub host: Host,
    pub family: Option<Family>,
    /// Its own address, IPv4 ones never mapped into IPv6.
    pub local: Option<Address>,
    /// It holds its port, or its name.
    pub bound: bool,
    pub options: Options,
}

/// What a socket was told.
#[derive(Clone)]
pub(super) struct Options {
    pub reuse_address: bool,
    pub reuse_port: bool,
    pub only_v6: bool,
    /// A close resets.
    pub abortive: bool,
    pub keep_alive: Option<KeepAlive>,
    pub receive_buffer: usize,
    pub send_buffer: usize,
    pub broadcast: bool,
    pub multicast_loop: bool,
    pub multicast_time_to_live: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            reuse_address: false,
            reuse_port: false,
            only_v6: false,
            abortive: false,
            keep_alive: None,
            receive_buffer: 128 * 1024,
            send_buffer: 128 * 1024,
            broadcast: false,
            multicast_loop: true,
            multicast_time_to_live: 1,
        }
    }
}

impl Common {
    /// Its own IP address and port.
    pub fn local_ip(&self) -> Option<SocketAddr> {
        self.local.and_then(|local| local.ip())
    }

    /// An address as this socket's family has it.
    pub fn shown(&self, address: Address) -> Address {
        match (address, self.family) {
            (Address::Ip(SocketAddr::V4(v4)), Some(Family::V6)) => {
                Address::Ip(SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()))
            }
            _ => address,
        }
    }

    /// What the program gives for an address, IPv4 ones not mapped into IPv6.
    pub fn taken(&self, address: &Address) -> Result<SocketAddr, Errno> {
        let ip = address.ip().filter(|_| Some(address.family()) == self.family).ok_or(errors::WRONG_FAMILY)?;
        let plain = SocketAddr::new(ip.ip().to_canonical(), ip.port());
        let mapped = self.family == Some(Family::V6) && plain.is_ipv4();
        if mapped && self.options.only_v6 { Err(errors::UNREACHABLE) } else { Ok(plain) }
    }

    /// Whether what comes for `ip` comes here: 2 for exactly this address, 1 for any.
    pub fn takes(&self, ip: IpAddr) -> u32 {
        let Some(own) = self.local_ip().map(|local| local.ip()) else { return 0 };
        let dual = own.is_ipv6() && !self.options.only_v6;
        match own {
            _ if own == ip => 2,
            _ if own.is_unspecified() && (own.is_ipv4() == ip.is_ipv4() || dual) => 1,
            _ => 0,
        }
    }

    /// Whether two sockets of one port may live beside each other.
    pub fn may_share(&self, other: &Common, one_listens: bool) -> bool {
        let (Some(own), Some(others)) = (self.local_ip(), other.local_ip()) else { return true };
        let overlap = self.takes(others.ip()) != 0 || other.takes(own.ip()) != 0;
        let (mine, theirs) = (&self.options, &other.options);
        let reuse = mine.reuse_address && theirs.reuse_address && !one_listens;
        !overlap || reuse || (mine.reuse_port && theirs.reuse_port)
    }
}

/// What is known of a host.
#[derive(Default)]
struct Known {
    /// Who has a port, of TCP and of UDP.
    ports: [HashMap<u16, Vec<Socket>>; 2],
    next_port: [u16; 2],
    /// Who has the name of a Unix socket, of streams and of datagrams.
    names: [HashMap<UnixAddress, Socket>; 2],
    /// How many connections to a port (0: any) are still to be refused; negative: all.
    refusing: BTreeMap<u16, i32>,
}

/// All hosts.
#[derive(Default)]
pub(super) struct Hosts {
    known: Vec<Known>,
    by_name: HashMap<String, Host>,
}

impl Hosts {
    /// A host by its name, there from now on.
    pub fn named(&mut self, name: &str) -> Host {
        if let Some(host) = self.by_name.get(name) {
            return *host;
        }
        let host = self.known.len() as Host;
        self.known.push(Known { next_port: [*EPHEMERAL.start(); 2], ..Known::default() });
        self.by_name.insert(name.to_owned(), host);
        host
    }

    pub fn all(&self) -> std::ops::Range<Host> {
        0..self.known.len() as Host
    }

    /// Its address of either family: 10.0.0.1 and fd00::1 for the first.
    pub fn addresses(host: Host) -> (Ipv4Addr, Ipv6Addr) {
        let [_, high, middle, low] = (host + 1).to_be_bytes();
        let words = [u16::from(high), u16::from_be_bytes([middle, low])];
        (Ipv4Addr::new(10, high, middle, low), Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, words[0], words[1]))
    }

    /// Who is meant by an address on a host.
    pub fn with_address(&self, on: Host, ip: IpAddr) -> Option<Host> {
        let number = match ip {
            ip if ip.is_loopback() || ip.is_unspecified() => return Some(on),
            IpAddr::V4(ip) => u32::from(ip).checked_sub(10 << 24)?,
            IpAddr::V6(ip) => u32::try_from(u128::from(ip).checked_sub(0xfd00 << 112)?).ok()?,
        };
        number.checked_sub(1).filter(|host| (*host as usize) < self.known.len())
    }

    /// What a name leads to.
    pub fn look_up(&self, name: &str) -> Option<Vec<IpAddr>> {
        if name == "localhost" {
            return Some(vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]);
        }
        if let Ok(ip) = name.parse() {
            return Some(vec![ip]);
        }
        let (v4, v6) = Self::addresses(*self.by_name.get(name)?);
        Some(vec![v6.into(), v4.into()])
    }

    /// The address from which a program on `host` talks to `to`.
    pub fn source(host: Host, to: IpAddr) -> IpAddr {
        match to {
            to if to.is_loopback() => to,
            IpAddr::V4(_) => Self::addresses(host).0.into(),
            IpAddr::V6(_) => Self::addresses(host).1.into(),
        }
    }

    fn of(&mut self, host: Host) -> &mut Known {
        &mut self.known[host as usize]
    }

    pub fn holders(&self, host: Host, transport: Transport, port: u16) -> &[Socket] {
        self.known[host as usize].ports[transport as usize].get(&port).map_or(&[], Vec::as_slice)
    }

    pub fn name_holder(&self, host: Host, transport: Transport, name: &UnixAddress) -> Option<Socket> {
        self.known[host as usize].names[transport as usize].get(name).copied()
    }

    /// Refuses so many connections to a port; negative: all from now on.
    pub fn refuse(&mut self, host: Host, port: u16, count: i32) {
        self.of(host).refusing.insert(port, count);
    }

    /// Whether a connection to this port is to be refused, which is counted.
    pub fn refuses(&mut self, host: Host, port: u16) -> bool {
        let refusing = &mut self.of(host).refusing;
        for port in [port, 0] {
            match refusing.get_mut(&port) {
                Some(0) | None => {}
                Some(left) => {
                    *left -= i32::from(*left > 0);
                    return true;
                }
            }
        }
        false
    }
}

/// The port space of a descriptor.
fn transport(descriptor: &Descriptor) -> Transport {
    match descriptor.body {
        Body::Datagrams(_) => Transport::Udp,
        _ => Transport::Tcp,
    }
}

impl Network {
    /// Gives a socket its own address.
    pub fn bind(&mut self, socket: Socket, address: &Address) -> Result<(), Errno> {
        let descriptor = self.open_one(socket)?;
        let (host, transport) = (descriptor.common.host, transport(descriptor));
        if descriptor.common.local.is_some() {
            return Err(errors::INVALID);
        }
        if let Address::Unix(name) = address {
            return self.bind_name(socket, host, transport, *name);
        }
        let wanted = descriptor.common.taken(address)?;
        let ip = wanted.ip();
        let for_many = transport == Transport::Udp && (ip.is_multicast() || is_broadcast(ip));
        let (v4, v6) = Hosts::addresses(host);
        if !(ip.is_unspecified() || ip.is_loopback() || ip == v4 || ip == v6 || for_many) {
            return Err(errors::ADDRESS_NOT_AVAILABLE);
        }
        self.take_port(socket, wanted)
    }

    /// Has a socket hold a port; 0: any that is free.
    pub fn take_port(&mut self, socket: Socket, wanted: SocketAddr) -> Result<(), Errno> {
        let descriptor = self.open_one(socket)?;
        let (host, transport) = (descriptor.common.host, transport(descriptor));
        let mut port = wanted.port();
        if port == 0 {
            port = self.free_port(host, transport).ok_or(errors::ADDRESS_IN_USE)?;
        }
        let mut common = self.open_one(socket)?.common.clone();
        common.local = Some(Address::Ip(SocketAddr::new(wanted.ip(), port)));
        common.bound = true;
        if !self.may_hold(host, transport, port, &common, socket) {
            return Err(errors::ADDRESS_IN_USE);
        }
        self.open_one(socket)?.common = common;
        self.hosts.of(host).ports[transport as usize].entry(port).or_default().push(socket);
        Ok(())
    }

    /// Whether no other holder of the port minds.
    fn may_hold(&self, host: Host, transport: Transport, port: u16, common: &Common, itself: Socket) -> bool {
        let mut others = self.hosts.holders(host, transport, port).iter().filter(|other| **other != itself);
        others.all(|other| {
            let Some(other) = self.descriptors.get(other) else { return true };
            common.may_share(&other.common, matches!(other.body, Body::Listener(_)))
        })
    }

    fn free_port(&mut self, host: Host, transport: Transport) -> Option<u16> {
        let known = self.hosts.of(host);
        for _ in EPHEMERAL {
            let next = &mut known.next_port[transport as usize];
            let port = *next;
            *next = if port == *EPHEMERAL.end() { *EPHEMERAL.start() } else { port + 1 };
            if known.ports[transport as usize].get(&port).is_none_or(Vec::is_empty) {
                return Some(port);
            }
        }
        None
    }

    fn bind_name(&mut self, socket: Socket, host: Host, of: Transport, name: UnixAddress) -> Result<(), Errno> {
        let common = &mut self.open_one(socket)?.common;
        if common.family != Some(Family::Unix) {
            return Err(errors::WRONG_FAMILY);
        }
        if name.name().is_empty() {
            return Err(errors::INVALID);
        }
        if self.hosts.name_holder(host, of, &name).is_some() {
            return Err(errors::ADDRESS_IN_USE);
        }
        self.hosts.of(host).names[of as usize].insert(name, socket);
        let common = &mut self.open_one(socket)?.common;
        common.local = Some(Address::Unix(name));
        common.bound = true;
        Ok(())
    }

    /// Forgets a descriptor; what it held is free.
    pub fn remove(&mut self, socket: Socket) {
        let Some(descriptor) = self.descriptors.remove(&socket) else { return };
        let transport = transport(&descriptor);
        let Common { host, local, bound: true, .. } = descriptor.common else { return };
        let known = self.hosts.of(host);
        match local {
            Some(Address::Ip(local)) => {
                let ports = &mut known.ports[transport as usize];
                if let Some(holders) = ports.get_mut(&local.port()) {
                    holders.retain(|holder| *holder != socket);
                    if holders.is_empty() {
                        ports.remove(&local.port());
                    }
                }
            }
            Some(Address::Unix(name)) => {
                known.names[transport as usize].remove(&name);
            }
            None => {}
        }
    }

    /// Who is to get what comes for an address, by how well it fits; chance decides among equals.
    pub fn best(
        &self,
        host: Host,
        transport: Transport,
        port: u16,
        fits: impl Fn(&Descriptor) -> u32,
    ) -> Option<Socket> {
        let fit = |socket: &Socket| self.descriptors.get(socket).map_or(0, &fits);
        let holders = self.hosts.holders(host, transport, port);
        let best = holders.iter().map(fit).max().filter(|best| *best != 0)?;
        let equal = holders.iter().filter(|holder| fit(holder) == best);
        let count = equal.clone().count() as u64;
        let chosen = if count > 1 { self.clockwork.up_to(count - 1) } else { 0 };
        equal.copied().nth(chosen as usize)
    }

    /// Where an address leads, for a socket with this beginning; the own loopback address for an unspecified one.
    pub fn way(&self, common: &Common, address: &Address) -> Result<(Host, SocketAddr), Errno> {
        let mut to = common.taken(address)?;
        if to.ip().is_unspecified() {
            let loopback = if to.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
            to.set_ip(loopback);
        }
        let host = self.hosts.with_address(common.host, to.ip()).ok_or(errors::UNREACHABLE)?;
        // The loopback address leads nowhere else.
        let own = common.local_ip().map(|own| own.ip());
        if own.is_some_and(|own| own.is_loopback()) && host != common.host {
            return Err(errors::INVALID);
        }
        Ok((host, to))
    }
}

pub(super) fn is_broadcast(ip: IpAddr) -> bool {
    ip == Ipv4Addr::BROADCAST || ip == Ipv4Addr::new(10, 255, 255, 255)
}
