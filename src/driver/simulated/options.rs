//! What sockets can be told. What has no consequence in a world without a kernel is accepted.

use super::descriptors::Body;
use super::errors::{self, Errno};
use super::hosts::{Common, Options};
use super::network::Network;
use crate::driver::address::{Address, Family, UnixAddress};
use crate::driver::sockets::SocketOption;
use crate::platform::Socket;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// Buffers are no smaller, and no larger.
const BUFFERS: std::ops::RangeInclusive<usize> = 2048..=1 << 30;

impl Common {
    /// The address of a socket that has none.
    pub fn unspecified(&self) -> Address {
        match self.family {
            Some(Family::Unix) => Address::Unix(UnixAddress::default()),
            Some(Family::V6) => Address::Ip(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0)),
            _ => Address::Ip(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0)),
        }
    }
}

fn buffer(size: usize) -> usize {
    size.clamp(*BUFFERS.start(), *BUFFERS.end())
}

/// Remembers an option; false: it is none to remember.
fn remember(options: &mut Options, option: SocketOption) -> bool {
    match option {
        SocketOption::ReuseAddress => options.reuse_address = true,
        SocketOption::ReusePort => options.reuse_port = true,
        SocketOption::OnlyV6(on) => options.only_v6 = on,
        SocketOption::Linger(linger) => options.abortive = linger.is_some_and(|linger| linger.is_zero()),
        SocketOption::KeepAlive(keep_alive) => options.keep_alive = keep_alive,
        SocketOption::ReceiveBuffer(size) => options.receive_buffer = buffer(size),
        SocketOption::SendBuffer(size) => options.send_buffer = buffer(size),
        SocketOption::Broadcast(on) => options.broadcast = on,
        SocketOption::MulticastLoop(on) => options.multicast_loop = on,
        SocketOption::MulticastTimeToLive(hops) => options.multicast_time_to_live = hops,
        _ => return false,
    }
    true
}

impl Network {
    /// Tells a socket something.
    pub fn set(&mut self, socket: Socket, option: SocketOption) -> Result<(), Errno> {
        let descriptor = self.open_one(socket)?;
        if matches!(option, SocketOption::OnlyV6(_)) && descriptor.common.local.is_some() {
            return Err(errors::INVALID);
        }
        remember(&mut descriptor.common.options, option);
        match option {
            SocketOption::ReceiveBuffer(_) => self.receive_buffer_changed(socket),
            SocketOption::SendBuffer(_) => self.touch(socket),
            SocketOption::KeepAlive(_) => self.probe(socket),
            SocketOption::JoinGroup(group, _) | SocketOption::LeaveGroup(group, _) => {
                let Body::Datagrams(datagrams) = &mut descriptor.body else { return Err(errors::NOT_SUPPORTED) };
                let is_member = datagrams.groups.contains(&group);
                let joins = matches!(option, SocketOption::JoinGroup(..));
                match (joins, is_member) {
                    (true, true) => return Err(errors::ADDRESS_IN_USE),
                    (false, false) => return Err(errors::ADDRESS_NOT_AVAILABLE),
                    (true, false) if !group.is_multicast() => return Err(errors::INVALID),
                    (true, false) => datagrams.groups.push(group),
                    (false, true) => datagrams.groups.retain(|other| *other != group),
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The peer learns how much is held for this one.
    fn receive_buffer_changed(&mut self, socket: Socket) {
        self.give_credit(socket, true);
        let receive_buffer = self.descriptors.get(&socket).map_or(0, |one| one.common.options.receive_buffer);
        let Some(peer) = self.stream(socket).and_then(|stream| stream.remote.socket) else { return };
        if let Some(stream) = self.stream_mut(peer).filter(|stream| stream.remote.socket == Some(socket)) {
            stream.remote.receive_buffer = receive_buffer;
            self.touch(peer);
        }
    }
}
