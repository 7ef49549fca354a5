//! The part of the seam that is about sockets: numbers that never block. What would block is `WouldBlock`, and an edge
//! of readiness follows.

use super::address::{Address, Family};
use crate::platform::Socket;
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::time::Duration;

/// What a socket carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carries {
    /// A stream of bytes.
    Stream,
    /// Datagrams.
    Datagrams,
}

/// When a silent peer is looked after, and when it counts as gone.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct KeepAlive {
    /// The silence before the first probe.
    pub idle: Duration,
    /// Between two probes; None: the system's.
    pub interval: Option<Duration>,
    /// Probes without an answer; 0: the system's.
    pub count: u32,
}

/// What a socket can be told. One that its kind does not know is an error.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "each is named after the system's option")]
pub enum SocketOption {
    ReuseAddress,
    ReusePort,
    OnlyV6(bool),
    NoDelay(bool),
    /// None: off.
    KeepAlive(Option<KeepAlive>),
    /// What a close does with what is not sent: None: the system goes on sending; zero: it is reset.
    Linger(Option<Duration>),
    TypeOfService(u32),
    TimeToLive(u32),
    ReceiveBuffer(usize),
    SendBuffer(usize),
    Broadcast(bool),
    MulticastLoop(bool),
    MulticastTimeToLive(u32),
    /// For what is sent; by address (IPv4) and index (IPv6).
    MulticastInterface(Interface),
    JoinGroup(IpAddr, Interface),
    LeaveGroup(IpAddr, Interface),
    /// Datagrams of one peer are received many at once, where the kernel can.
    ReceiveSegments(bool),
}

/// A network interface: unspecified and 0 for the system's choice.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the fields are what they are called")]
pub struct Interface {
    pub address: Option<std::net::Ipv4Addr>,
    pub index: u32,
}

/// Who is at the other end of a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are what they are called")]
pub struct Credentials {
    pub process: i64,
    pub user: i64,
    pub group: i64,
}

/// A received datagram.
#[derive(Clone, Copy, Debug, Default)]
pub struct Received {
    /// How much of the buffer it fills.
    pub length: usize,
    /// It was longer than the buffer.
    pub truncated: bool,
    /// It is several of this size, the last maybe shorter; 0: it is one.
    pub segment: usize,
    /// Who sent it.
    pub peer: Address,
}

/// A datagram to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Its bytes.
    pub data: &'a [u8],
    /// It goes as several of this size, the last maybe shorter, which only kernels can that know how; 0: as one.
    pub segment: usize,
    /// None: to whom the socket is connected to.
    pub to: Option<&'a Address>,
}

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Sockets, by number. None of this blocks, calls back or raises a signal.
pub trait Sockets {
    /// A new socket, which does not live on in a program that this one executes.
    fn open(&self, family: Family, carries: Carries) -> io::Result<Socket>;
    /// Gives it its own address.
    fn bind(&self, socket: Socket, address: &Address) -> io::Result<()>;
    /// Has it take connections, so many waiting at most.
    fn listen(&self, socket: Socket, backlog: i32) -> io::Result<()>;
    /// A connection that waits.
    fn accept(&self, socket: Socket) -> io::Result<Socket>;
    /// Begins to connect; true: it is done already. Else it is done when the socket is writable: see `take_error`.
    /// Of a datagram socket: sets whom it talks to.
    fn connect(&self, socket: Socket, address: &Address) -> io::Result<bool>;
    /// The error that waits at the socket.
    fn take_error(&self, socket: Socket) -> io::Result<Option<io::Error>>;
    /// Reads; 0: the peer sends no more.
    fn receive(&self, socket: Socket, buffer: &mut [u8]) -> io::Result<usize>;
    /// Whether less than asked for means that an edge follows before there is more, if the peer has not ended.
    fn drains(&self) -> bool {
        false
    }
    /// Writes what there is room for.
    fn send(&self, socket: Socket, data: &[u8]) -> io::Result<usize>;
    /// Writes what there is room for of several parts.
    fn send_parts(&self, socket: Socket, parts: &[IoSlice<'_>]) -> io::Result<usize>;
    /// Ends one direction or both.
    fn shutdown(&self, socket: Socket, how: std::net::Shutdown) -> io::Result<()>;
    /// Closes it.
    fn close(&self, socket: Socket);
    /// Its own address.
    fn local_address(&self, socket: Socket) -> io::Result<Address>;
    /// The other end's.
    fn peer_address(&self, socket: Socket) -> io::Result<Address>;
    /// Tells it something.
    fn set(&self, socket: Socket, option: SocketOption) -> io::Result<()>;

    /// Receives a datagram of a socket that does not receive segments.
    fn receive_from(&self, socket: Socket, buffer: &mut [u8]) -> io::Result<Received>;
    /// The same into its place, without copies on the way.
    fn receive_into(&self, socket: Socket, buffer: &mut [u8], received: &mut Received) -> io::Result<()> {
        *received = self.receive_from(socket, buffer)?;
        Ok(())
    }
    /// Sends a datagram, whole, to the address or whom the socket is connected to. `segment`: as several of this size,
    /// which only kernels can that know how; 0: as one.
    fn send_to(&self, socket: Socket, data: &[u8], segment: usize, to: Option<&Address>) -> io::Result<()>;
    /// Receives datagrams, each into its part of `buffer`, `room` bytes long; adds them to `received`: at least one, and
    /// as many as there are parts at most. True: nothing is left, an edge follows before there is more.
    fn receive_many(
        &self,
        socket: Socket,
        buffer: &mut [u8],
        room: usize,
        received: &mut Vec<Received>,
    ) -> io::Result<bool> {
        received.push(self.receive_from(socket, &mut buffer[..room])?);
        Ok(false)
    }
    /// Sends datagrams; how many of the first went out, at least one.
    fn send_many(&self, socket: Socket, datagrams: &[Outgoing<'_>]) -> io::Result<usize> {
        let Some(one) = datagrams.first() else { return Ok(0) };
        self.send_to(socket, one.data, one.segment, one.to).map(|()| 1)
    }

    /// Sends a part of a file without copying it through this process.
    fn send_file(&self, _socket: Socket, _file: Socket, _offset: u64, _length: usize) -> io::Result<usize> {
        unsupported()
    }
    /// Sends data with a descriptor, of a Unix socket.
    fn send_with_descriptor(&self, _socket: Socket, _data: &[u8], _descriptor: Socket) -> io::Result<usize> {
        unsupported()
    }
    /// Reads as `receive` does, and adds the descriptors that came with it.
    fn receive_with_descriptors(&self, socket: Socket, buffer: &mut [u8], _: &mut Vec<Socket>) -> io::Result<usize> {
        self.receive(socket, buffer)
    }
    /// Who is at the other end of a Unix socket.
    fn peer_credentials(&self, _socket: Socket) -> io::Result<Credentials> {
        unsupported()
    }
    /// What a name leads to, and after how many nanoseconds that is known, where there is no system to ask; None: ask it.
    fn look_up(&self, _name: &str) -> Option<(u64, io::Result<Vec<IpAddr>>)> {
        None
    }
    /// A number that nobody can foretell, or that follows from the seed.
    fn random(&self) -> u64;
}
