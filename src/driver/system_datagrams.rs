//! The datagrams of the operating system, for the real driver.

use super::address::{Address, UnixAddress};
#[cfg(any(target_os = "linux", target_os = "android"))]
use super::sockets::Outgoing;
use super::sockets::{Interface, Received};
use crate::platform::{self, Datagram, Message, Name, Socket, To, borrowed_socket};
use std::io;
use std::net::{IpAddr, Ipv4Addr};

pub(super) fn received(datagram: Datagram) -> Received {
    let mut received = Received::default();
    put(datagram, &mut received);
    received
}

#[inline(always)]
pub(super) fn put(datagram: Datagram, received: &mut Received) {
    received.length = datagram.length;
    received.truncated = datagram.truncated;
    received.segment = datagram.segment;
    received.peer = match datagram.peer {
        Name::Ip(address) => Address::Ip(address),
        Name::Unix(name) => Address::Unix(UnixAddress::new(name).unwrap_or_default()),
    };
}

#[inline]
pub(super) fn message<'a>(data: &'a [u8], segment: usize, to: Option<&'a Address>) -> Message<'a> {
    let name = |to: &'a Address| match to {
        Address::Ip(address) => To::Ip(address),
        Address::Unix(address) => To::Unix(address.name()),
    };
    Message { data, segment, to: to.map(name) }
}

/// Receives many in one call; made when it is first needed.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[derive(Default)]
pub(super) struct Receiver(std::cell::RefCell<Option<platform::Receiver>>);

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Receiver {
    /// In one call at most.
    const MOST: usize = 16;

    pub(super) fn receive(
        &self,
        socket: Socket,
        buffer: &mut [u8],
        room: usize,
        list: &mut Vec<Received>,
    ) -> io::Result<bool> {
        let mut receiver = self.0.borrow_mut();
        let receiver = receiver.get_or_insert_with(|| platform::Receiver::new(Self::MOST));
        receiver.receive(socket, buffer, room, |datagram| list.push(received(datagram)))
    }
}

/// Sends many in one call.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn send_many(socket: Socket, datagrams: &[Outgoing<'_>]) -> io::Result<usize> {
    const NONE: Message = Message { data: &[], segment: 0, to: None };
    let mut messages = [NONE; platform::SENT_AT_ONCE];
    let count = datagrams.len().min(messages.len());
    for (place, one) in messages.iter_mut().zip(datagrams) {
        *place = message(one.data, one.segment, one.to);
    }
    platform::send_datagrams(socket, &messages[..count])
}

fn is_by_index(interface: &Interface) -> bool {
    interface.address.is_none() && interface.index != 0
}

pub(super) fn join(socket: &socket2::Socket, group: IpAddr, interface: Interface) -> io::Result<()> {
    match group {
        IpAddr::V6(group) => socket.join_multicast_v6(&group, interface.index),
        IpAddr::V4(group) if is_by_index(&interface) => {
            socket.join_multicast_v4_n(&group, &socket2::InterfaceIndexOrAddress::Index(interface.index))
        }
        IpAddr::V4(group) => socket.join_multicast_v4(&group, &own(interface)),
    }
}

pub(super) fn leave(socket: &socket2::Socket, group: IpAddr, interface: Interface) -> io::Result<()> {
    match group {
        IpAddr::V6(group) => socket.leave_multicast_v6(&group, interface.index),
        IpAddr::V4(group) if is_by_index(&interface) => {
            socket.leave_multicast_v4_n(&group, &socket2::InterfaceIndexOrAddress::Index(interface.index))
        }
        IpAddr::V4(group) => socket.leave_multicast_v4(&group, &own(interface)),
    }
}

pub(super) fn set_interface(socket: Socket, interface: Interface, v6: bool) -> io::Result<()> {
    match v6 {
        true => borrowed_socket(socket).set_multicast_if_v6(interface.index),
        false if is_by_index(&interface) => platform::set_multicast_interface(socket, interface.index),
        false => borrowed_socket(socket).set_multicast_if_v4(&own(interface)),
    }
}

fn own(interface: Interface) -> Ipv4Addr {
    interface.address.unwrap_or(Ipv4Addr::UNSPECIFIED)
}
