//! The driver as a plain stream has it: readiness is the driver's own, reading and writing go by the side.

use super::{Side, Way};
use crate::driver::sockets::{Carries, Credentials, Received, SocketOption, Sockets};
use crate::driver::{Address, Driver, Family, Readiness, Ready, Waker};
use crate::handles::{Item, Word};
use crate::net::transport::Transport;
use crate::platform::Socket;
use crate::platform::descriptors::{self, Sort};
use crate::status::Result;
use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;

/// What a pipe that is ready takes without blocking: POSIX says 512 at least, each system's is its own.
#[cfg(unix)]
const PIECE: usize = libc::PIPE_BUF;
#[cfg(windows)]
const PIECE: usize = 512;

/// See the module.
pub struct Through<'a> {
    pub driver: &'a dyn Driver,
    pub side: &'a Side,
    pub transport: Item<Transport>,
}

fn unsupported<T>() -> io::Result<T> {
    Err(io::Error::new(ErrorKind::Unsupported, "only sockets have this"))
}

pub fn would_block<T>() -> io::Result<T> {
    Err(ErrorKind::WouldBlock.into())
}

/// A call that the kernel may refuse for a file for good; None: it has.
pub fn if_known<R>(known: &std::cell::Cell<bool>, call: impl FnOnce() -> io::Result<R>) -> Option<io::Result<R>> {
    if !known.get() {
        return None;
    }
    match call() {
        Err(why) if why.kind() == ErrorKind::Unsupported => {
            known.set(false);
            None
        }
        done => Some(done),
    }
}

impl Side {
    fn receive(&self, transport: Item<Transport>, buffer: &mut [u8]) -> io::Result<usize> {
        let file = self.file.0;
        let read = match self.reads {
            Way::Closed => Ok(0),
            Way::Away => self.receive_away(transport, buffer),
            Way::AtOnce => descriptors::read(file, buffer),
            Way::Socket => descriptors::receive_at_once(file, buffer),
            Way::Polled => match if_known(&self.reads_at_once, || descriptors::read_at_once(file, buffer)) {
                Some(done) => done,
                None if descriptors::poll_now(file, true, false).0 => descriptors::read(file, buffer),
                None => would_block(),
            },
        };
        match read {
            // A terminal whose other end is gone says so by an error.
            Err(why) if matches!(self.sort, Sort::Terminal | Sort::Other) && descriptors::is_hung_up(&why) => Ok(0),
            read => read,
        }
    }

    fn send(&self, transport: Item<Transport>, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let file = self.file.0;
        if parts.iter().all(|part| part.is_empty()) {
            return self.probe();
        }
        match self.writes {
            Way::Closed => Err(descriptors::broken_pipe()),
            Way::Away => self.send_away(transport, parts),
            Way::AtOnce => descriptors::write(file, parts),
            Way::Socket => descriptors::send_at_once(file, parts),
            Way::Polled => match if_known(&self.writes_at_once, || descriptors::write_at_once(file, parts)) {
                Some(done) => done,
                None if descriptors::poll_now(file, false, true).1 => self.send_piece(parts),
                None => would_block(),
            },
        }
    }

    /// As much as there is room for, once there is any.
    fn send_piece(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(first) = parts.iter().find(|part| !part.is_empty()) else { return Ok(0) };
        descriptors::write(self.file.0, &[IoSlice::new(&first[..first.len().min(PIECE)])])
    }

    /// Whether there is anybody to write to.
    fn probe(&self) -> io::Result<usize> {
        match self.sort {
            Sort::Pipe if descriptors::has_no_reader(self.file.0) => Err(descriptors::broken_pipe()),
            Sort::Socket => descriptors::send_at_once(self.file.0, &[]),
            _ => Ok(0),
        }
    }
}

impl Sockets for Through<'_> {
    fn open(&self, _family: Family, _carries: Carries) -> io::Result<Socket> {
        unsupported()
    }

    fn bind(&self, _socket: Socket, _address: &Address) -> io::Result<()> {
        unsupported()
    }

    fn listen(&self, _socket: Socket, _backlog: i32) -> io::Result<()> {
        unsupported()
    }

    fn accept(&self, _socket: Socket) -> io::Result<Socket> {
        unsupported()
    }

    fn connect(&self, _socket: Socket, _address: &Address) -> io::Result<bool> {
        unsupported()
    }

    fn take_error(&self, _socket: Socket) -> io::Result<Option<io::Error>> {
        Ok(None)
    }

    fn receive(&self, _socket: Socket, buffer: &mut [u8]) -> io::Result<usize> {
        self.side.receive(self.transport, buffer)
    }

    fn drains(&self) -> bool {
        self.side.drains
    }

    fn send(&self, _socket: Socket, data: &[u8]) -> io::Result<usize> {
        self.side.send(self.transport, &[IoSlice::new(data)])
    }

    fn send_parts(&self, _socket: Socket, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.side.send(self.transport, parts)
    }

    fn send_file(&self, socket: Socket, file: Socket, offset: u64, length: usize) -> io::Result<usize> {
        match self.side.writes {
            Way::AtOnce if self.side.sort == Sort::Pipe => self.driver.send_file(socket, file, offset, length),
            _ => unsupported(),
        }
    }

    fn shutdown(&self, socket: Socket, how: Shutdown) -> io::Result<()> {
        let is_two_way = self.side.reads != Way::Closed && self.side.writes != Way::Closed;
        // What has one way alone ends with it, and whoever shares it goes on.
        if self.side.sort == Sort::Socket && is_two_way { self.driver.shutdown(socket, how) } else { Ok(()) }
    }

    fn close(&self, socket: Socket) {
        self.driver.close(socket);
    }

    fn local_address(&self, socket: Socket) -> io::Result<Address> {
        if self.side.sort == Sort::Socket { self.driver.local_address(socket) } else { unsupported() }
    }

    fn peer_address(&self, socket: Socket) -> io::Result<Address> {
        if self.side.sort == Sort::Socket { self.driver.peer_address(socket) } else { unsupported() }
    }

    fn set(&self, socket: Socket, option: SocketOption) -> io::Result<()> {
        if self.side.sort == Sort::Socket { self.driver.set(socket, option) } else { unsupported() }
    }

    fn receive_from(&self, _socket: Socket, _buffer: &mut [u8]) -> io::Result<Received> {
        unsupported()
    }

    fn send_to(&self, _socket: Socket, _data: &[u8], _segment: usize, _to: Option<&Address>) -> io::Result<()> {
        unsupported()
    }

    fn peer_credentials(&self, socket: Socket) -> io::Result<Credentials> {
        if self.side.sort == Sort::Socket { self.driver.peer_credentials(socket) } else { unsupported() }
    }

    fn random(&self) -> u64 {
        self.driver.random()
    }
}

impl Driver for Through<'_> {
    fn now(&self) -> u64 {
        self.driver.now()
    }

    fn poll(&self, wait: Option<u64>, ready: &mut Vec<Ready>) -> Result {
        self.driver.poll(wait, ready)
    }

    fn waker(&self) -> Waker {
        self.driver.waker()
    }

    fn watch(&self, socket: Socket, key: Word, interest: Readiness) -> Result {
        self.driver.watch(socket, key, interest)
    }

    fn rewatch(&self, socket: Socket, key: Word, interest: Readiness) -> Result {
        self.driver.rewatch(socket, key, interest)
    }

    fn unwatch(&self, socket: Socket) -> Result {
        self.driver.unwatch(socket)
    }

    fn backend(&self) -> Result<Socket> {
        self.driver.backend()
    }

    fn arm(&self, wait: Option<u64>) {
        self.driver.arm(wait);
    }
}
