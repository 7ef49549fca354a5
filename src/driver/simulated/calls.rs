//! The sockets of a simulated reactor, as the seam has them.

use super::SimulatedDriver;
use super::descriptors::{Body, Life};
use super::errors;
use super::hosts::Common;
use super::network::Network;
use super::stream::{Remote, State, Stream};
use crate::driver::address::{Address, Family};
use crate::driver::sockets::{Carries, Credentials, Received, SocketOption, Sockets};
use crate::platform::Socket;
use std::cell::RefMut;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Shutdown};

/// A look-up takes a millisecond, and up to so much more.
const LOOK_UP: u64 = 1_000_000;
/// Who owns all that is simulated.
const OWNER: i64 = 1000;

impl SimulatedDriver {
    fn network(&self) -> RefMut<'_, Network> {
        self.world.network.borrow_mut()
    }
}

impl Sockets for SimulatedDriver {
    fn open(&self, family: Family, carries: Carries) -> io::Result<Socket> {
        let common = Common { host: self.host, family: Some(family), ..Common::default() };
        let body = match carries {
            Carries::Stream => Body::Stream(Box::new(Stream::new(State::Fresh, Remote::default()))),
            Carries::Datagrams => Body::Datagrams(Box::default()),
        };
        Ok(self.network().add(Life::Open, common, body))
    }

    fn bind(&self, socket: Socket, address: &Address) -> io::Result<()> {
        Ok(self.network().bind(socket, address)?)
    }

    fn listen(&self, socket: Socket, backlog: i32) -> io::Result<()> {
        Ok(self.network().listen(socket, backlog)?)
    }

    fn accept(&self, socket: Socket) -> io::Result<Socket> {
        Ok(self.network().accept(socket)?)
    }

    fn connect(&self, socket: Socket, address: &Address) -> io::Result<bool> {
        let mut network = self.network();
        if let Body::Datagrams(_) = network.open_one(socket)?.body {
            network.connect_datagrams(socket, address)?;
            return Ok(true);
        }
        Ok(network.connect_stream(socket, address)?)
    }

    fn take_error(&self, socket: Socket) -> io::Result<Option<io::Error>> {
        Ok(self.network().take_error(socket)?.map(io::Error::from))
    }

    fn receive(&self, socket: Socket, buffer: &mut [u8]) -> io::Result<usize> {
        let mut network = self.network();
        if let Body::Datagrams(_) = network.open_one(socket)?.body {
            return Ok(network.receive_from(socket, buffer)?.length);
        }
        Ok(network.receive(socket, buffer)?)
    }

    fn send(&self, socket: Socket, data: &[u8]) -> io::Result<usize> {
        let mut network = self.network();
        if let Body::Datagrams(_) = network.open_one(socket)?.body {
            network.send_to(socket, data, 0, None)?;
            return Ok(data.len());
        }
        Ok(network.send(socket, std::iter::once(data))?)
    }

    fn send_parts(&self, socket: Socket, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(self.network().send(socket, parts.iter().map(|part| &**part))?)
    }

    fn shutdown(&self, socket: Socket, how: Shutdown) -> io::Result<()> {
        Ok(self.network().shut_down(socket, how)?)
    }

    fn close(&self, socket: Socket) {
        self.network().close(socket);
    }

    fn local_address(&self, socket: Socket) -> io::Result<Address> {
        Ok(self.network().local_address(socket)?)
    }

    fn peer_address(&self, socket: Socket) -> io::Result<Address> {
        Ok(self.network().peer_address(socket)?)
    }

    fn set(&self, socket: Socket, option: SocketOption) -> io::Result<()> {
        Ok(self.network().set(socket, option)?)
    }

    fn receive_from(&self, socket: Socket, buffer: &mut [u8]) -> io::Result<Received> {
        Ok(self.network().receive_from(socket, buffer)?)
    }

    fn send_to(&self, socket: Socket, data: &[u8], segment: usize, to: Option<&Address>) -> io::Result<()> {
        Ok(self.network().send_to(socket, data, segment, to)?)
    }

    fn peer_credentials(&self, socket: Socket) -> io::Result<Credentials> {
        match self.network().open_one(socket)?.common.family {
            // A process of the real system would have no such number.
            Some(Family::Unix) => Ok(Credentials { process: 0, user: OWNER, group: OWNER }),
            _ => errors::NOT_SUPPORTED.into(),
        }
    }

    fn look_up(&self, name: &str) -> Option<(u64, io::Result<Vec<IpAddr>>)> {
        let found = self.network().hosts.look_up(name);
        let takes = LOOK_UP + self.world.clockwork.up_to(LOOK_UP);
        Some((takes, found.ok_or_else(|| io::ErrorKind::NotFound.into())))
    }

    fn random(&self) -> u64 {
        self.world.random()
    }
}
