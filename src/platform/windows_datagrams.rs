//! Datagrams on Windows: one in a call.

use super::Socket;
use super::windows_sockets::borrowed_socket;
use socket2::SockAddr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use windows_sys::Win32::Networking::WinSock as winsock;

/// The name of a socket.
pub enum Name<'a> {
    /// An IP address with its port.
    Ip(SocketAddr),
    /// A Unix socket: a path, or after a zero byte an abstract name; nothing for one without a name.
    Unix(&'a [u8]),
}

/// Where a datagram goes.
#[derive(Clone, Copy)]
pub enum To<'a> {
    /// An IP address with its port.
    Ip(&'a SocketAddr),
    /// A Unix socket, as [`Name`] has it.
    Unix(&'a [u8]),
}

/// A received datagram: what of the buffer it fills, and who sent it.
pub struct Datagram<'a> {
    /// How much of the buffer it fills.
    pub length: usize,
    /// It was longer than the buffer.
    pub truncated: bool,
    /// It is several of this size; 0: it is one.
    pub segment: usize,
    /// Who sent it.
    pub peer: Name<'a>,
}

/// A datagram to be sent.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// Its bytes.
    pub data: &'a [u8],
    /// It goes as several of this size; 0: as one.
    pub segment: usize,
    /// Where it goes; None: to whom the socket is connected to.
    pub to: Option<To<'a>>,
}

/// Windows receives each on its own.
pub fn receive_segments(_socket: Socket, _on: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Receives a datagram.
pub fn receive_datagram<R>(socket: Socket, buffer: &mut [u8], read: impl FnOnce(Datagram) -> R) -> io::Result<R> {
    let (place, room) = (buffer.as_mut_ptr(), buffer.len().min(i32::MAX as usize) as i32);
    // SAFETY: buffer and address live for the call, and are as long as is said. What is not written of an address is of
    // no family.
    let received = unsafe {
        SockAddr::try_init(|storage, length| {
            let received = winsock::recvfrom(socket, place, room, 0, storage.cast(), length);
            match io::Error::last_os_error() {
                _ if received >= 0 => Ok((received as usize, false)),
                error if error.raw_os_error() == Some(winsock::WSAEMSGSIZE) => Ok((room as usize, true)),
                error => Err(refused(error)),
            }
        })
    };
    let ((length, truncated), peer) = received?;
    let peer = peer.as_socket().map_or(Name::Unix(&[]), Name::Ip);
    Ok(read(Datagram { length, truncated, segment: 0, peer }))
}

/// The peer's answer that nobody is there comes as a reset here.
fn refused(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(winsock::WSAECONNRESET) => io::Error::from_raw_os_error(winsock::WSAECONNREFUSED),
        _ => error,
    }
}

/// Sends a datagram.
pub fn send_datagram(socket: Socket, message: &Message) -> io::Result<()> {
    if message.segment != 0 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let socket = borrowed_socket(socket);
    let sent = match message.to {
        Some(To::Ip(to)) => socket.send_to(message.data, &SockAddr::from(*to)),
        Some(To::Unix(_)) => Err(io::ErrorKind::Unsupported.into()),
        None => socket.send(message.data),
    };
    sent.map(drop).map_err(refused)
}

/// Which interface multicast datagrams of IPv4 leave by.
pub fn set_multicast_interface(socket: Socket, index: u32) -> io::Result<()> {
    // An address of 0.0.0.0/8 stands for a number.
    borrowed_socket(socket).set_multicast_if_v4(&Ipv4Addr::from(index))
}

/// Interfaces go by their numbers here.
pub fn interface_with(_address: IpAddr) -> Option<u32> {
    None
}
