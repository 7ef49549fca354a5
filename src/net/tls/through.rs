//! The driver as a connection with TLS has it: what is sent is encrypted, what is received decrypted.

use super::session::Session;
use crate::driver::sockets::{Carries, Credentials, Received, SocketOption, Sockets};
use crate::driver::{Address, Driver, Family, Readiness, Ready, Waker};
use crate::handles::{Item, Word};
use crate::net::transport::{Transport, flag};
use crate::platform::{self, Socket};
use crate::status::Result;
use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;

/// See the module.
pub struct Through<'a> {
    pub driver: &'a dyn Driver,
    pub session: &'a Session,
    pub transport: Item<Transport>,
}

fn unsupported<T>() -> io::Result<T> {
    Err(io::Error::new(ErrorKind::Unsupported, "not through TLS"))
}

impl Through<'_> {
    /// What is encrypted and waits goes out when the socket has room.
    fn note_waiting(&self) {
        if self.session.waiting() != 0 {
            self.transport.set(flag::FULL);
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

    fn take_error(&self, socket: Socket) -> io::Result<Option<io::Error>> {
        self.driver.take_error(socket)
    }

    fn receive(&self, socket: Socket, buffer: &mut [u8]) -> io::Result<usize> {
        let network = crate::net::of(self.transport.root());
        let done = self.session.receive((self.driver, socket), &network, buffer);
        self.note_waiting();
        done
    }

    fn drains(&self) -> bool {
        self.session.is_drained()
    }

    fn send(&self, socket: Socket, data: &[u8]) -> io::Result<usize> {
        self.send_parts(socket, &[IoSlice::new(data)])
    }

    fn send_parts(&self, socket: Socket, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let sent = self.session.send((self.driver, socket), parts);
        self.note_waiting();
        sent
    }

    /// Through memory: in larger pieces than are read for those who cannot do better.
    fn send_file(&self, socket: Socket, file: Socket, offset: u64, length: usize) -> io::Result<usize> {
        let network = crate::net::of(self.transport.root());
        if !self.session.flush((self.driver, socket))? {
            self.note_waiting();
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut buffer = network.take_ciphertext().map_err(|_| io::Error::from(ErrorKind::OutOfMemory))?;
        let most = length.min(buffer.len());
        let sent = platform::read_at(file, &mut buffer[..most], offset).and_then(|read| match read {
            0 => Ok(0),
            read => self.send(socket, &buffer[..read]),
        });
        network.give_ciphertext(buffer);
        sent
    }

    fn shutdown(&self, socket: Socket, how: Shutdown) -> io::Result<()> {
        // The peer was told before: see `say_goodbye`.
        self.driver.shutdown(socket, how)
    }

    fn close(&self, socket: Socket) {
        self.driver.close(socket);
    }

    fn local_address(&self, socket: Socket) -> io::Result<Address> {
        self.driver.local_address(socket)
    }

    fn peer_address(&self, socket: Socket) -> io::Result<Address> {
        self.driver.peer_address(socket)
    }

    fn set(&self, socket: Socket, option: SocketOption) -> io::Result<()> {
        self.driver.set(socket, option)
    }

    fn receive_from(&self, _socket: Socket, _buffer: &mut [u8]) -> io::Result<Received> {
        unsupported()
    }

    fn send_to(&self, _socket: Socket, _data: &[u8], _segment: usize, _to: Option<&Address>) -> io::Result<()> {
        unsupported()
    }

    fn peer_credentials(&self, socket: Socket) -> io::Result<Credentials> {
        self.driver.peer_credentials(socket)
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
