//! Sockets on Windows: what socket2 and mio do not do, and files that are sent.

use super::Socket;
use mio::{Interest, Registry, Token, event};
use socket2::{Domain, Protocol, SockAddr, Type};
use std::io;
use std::mem::ManuallyDrop;
use std::os::windows::io::{
    AsRawHandle, BorrowedHandle, FromRawHandle, FromRawSocket, IntoRawHandle, IntoRawSocket, OwnedHandle, OwnedSocket,
    RawSocket,
};
use windows_sys::Win32::Foundation as foundation;
use windows_sys::Win32::Networking::WinSock as winsock;
use windows_sys::Win32::Storage::FileSystem::{FILE_TYPE_DISK, GetFileType, ReadFile};
use windows_sys::Win32::System::IO::{GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Threading::CreateEventW;

/// A socket for the time of a call.
#[inline(always)]
pub fn borrowed_socket(socket: Socket) -> ManuallyDrop<socket2::Socket> {
    debug_assert!(socket != Socket::MAX);
    // SAFETY: it is not INVALID_SOCKET, is never dropped, and only used for system calls, which refuse a number that is
    // not open. Callers hold it for a call on a socket that is theirs.
    ManuallyDrop::new(unsafe { socket2::Socket::from_raw_socket(socket as RawSocket) })
}

/// A socket that does not block and is not inherited.
pub fn new_socket(domain: Domain, kind: Type, protocol: Option<Protocol>) -> io::Result<Socket> {
    if domain == Domain::UNIX {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "there are no Unix sockets on Windows"));
    }
    let socket = socket2::Socket::new(domain, kind, protocol)?;
    socket.set_nonblocking(true)?;
    let socket = socket.into_raw_socket() as Socket;
    if kind == Type::DGRAM {
        report_unreachable(socket, false);
    }
    Ok(socket)
}

/// Closes a socket of the library's own.
pub fn close_socket(socket: Socket) {
    // SAFETY: callers own the socket and do not use it any more.
    drop(unsafe { OwnedSocket::from_raw_socket(socket as RawSocket) });
}

/// Accepts a connection that does not block and is not inherited.
pub fn accept(socket: Socket) -> io::Result<Socket> {
    let listener = borrowed_socket(socket);
    let (accepted, _) = listener.accept()?;
    accepted.set_nonblocking(true)?;
    // Not every Windows has what is accepted inherit it, as the other options are.
    if listener.tcp_nodelay().unwrap_or(false) {
        accepted.set_tcp_nodelay(true)?;
    }
    Ok(accepted.into_raw_socket() as Socket)
}

/// Begins to connect; true: it is done already. A datagram socket with a peer is told when nobody is there.
pub fn connect(socket: Socket, to: &SockAddr) -> io::Result<bool> {
    let borrowed = borrowed_socket(socket);
    match borrowed.connect(to) {
        Ok(()) => {
            if borrowed.r#type()? == Type::DGRAM {
                report_unreachable(socket, true);
            }
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

fn checked(result: i32) -> io::Result<i32> {
    // Winsock's errors are the thread's last error.
    if result == winsock::SOCKET_ERROR { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Nobody else may bind itself to the same address, as SO_REUSEADDR would let any program do here.
pub fn set_exclusive(socket: Socket) -> io::Result<()> {
    let on: i32 = 1;
    let (value, length) = ((&raw const on).cast(), size_of::<i32>() as i32);
    // SAFETY: the value is an int and lives for the call.
    checked(unsafe { winsock::setsockopt(socket, winsock::SOL_SOCKET, winsock::SO_EXCLUSIVEADDRUSE, value, length) })
        .map(drop)
}

/// Windows has no such option.
pub fn set_traffic_class(_socket: Socket, _value: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether a datagram socket is told that what it has sent has reached nobody. One without a peer cannot say of which
/// datagram that was, and would take it for an error of its own.
fn report_unreachable(socket: Socket, on: bool) {
    const UDP_NETRESET: u32 = winsock::IOC_IN | winsock::IOC_VENDOR | 15;
    for control in [winsock::SIO_UDP_CONNRESET, UDP_NETRESET] {
        let (on, mut written) = (i32::from(on), 0_u32);
        let (value, length) = ((&raw const on).cast(), size_of::<i32>() as u32);
        // SAFETY: the value is a BOOL and lives for the call, as does what is written; nothing is asked for. Where the
        // system does not know it, it stays as it is.
        unsafe {
            winsock::WSAIoctl(
                socket,
                control,
                value,
                length,
                std::ptr::null_mut(),
                0,
                &mut written,
                std::ptr::null_mut(),
                None,
            );
        }
    }
}

fn number_option(socket: Socket, name: i32) -> io::Result<i32> {
    let (mut value, mut length) = (0_i32, size_of::<i32>() as i32);
    // SAFETY: the value has room for an int, and is written at most so far.
    checked(unsafe { winsock::getsockopt(socket, winsock::SOL_SOCKET, name, (&raw mut value).cast(), &mut length) })
        .map(|_| value)
}

/// Whether a socket is one of IPv6. One that is not bound has no address here that would tell.
pub fn is_v6(socket: Socket) -> io::Result<bool> {
    let mut info = winsock::WSAPROTOCOL_INFOW::default();
    let (place, mut length) = ((&raw mut info).cast(), size_of_val(&info) as i32);
    // SAFETY: the place has room for what is asked for, and it is plain numbers, good whatever is written.
    checked(unsafe {
        winsock::getsockopt(socket, winsock::SOL_SOCKET, winsock::SO_PROTOCOL_INFOW, place, &mut length)
    })?;
    Ok(info.iAddressFamily == i32::from(winsock::AF_INET6))
}

/// Whether a socket is one of streams, else one of datagrams; and whether it listens.
pub fn socket_sort(socket: Socket) -> io::Result<(bool, bool)> {
    let stream = match number_option(socket, winsock::SO_TYPE)? {
        winsock::SOCK_STREAM => true,
        winsock::SOCK_DGRAM => false,
        _ => return Err(io::Error::from_raw_os_error(winsock::WSAEPROTOTYPE)),
    };
    // Windows writes one byte of it.
    Ok((stream, stream && number_option(socket, winsock::SO_ACCEPTCONN)? & 0xff != 0))
}

/// Has a socket not block, and not be inherited by a program that this one starts.
pub fn prepare_socket(socket: Socket) -> io::Result<()> {
    let borrowed = borrowed_socket(socket);
    borrowed.set_nonblocking(true)?;
    let _ = borrowed.set_no_inherit(true);
    if borrowed.r#type()? == Type::DGRAM {
        report_unreachable(socket, borrowed.peer_addr().is_ok());
    }
    Ok(())
}

/// There are no Unix sockets here.
pub fn is_socket(_path: &[u8]) -> bool {
    false
}

/// There are no Unix sockets here.
pub fn set_socket_mode(_path: &[u8], _mode: Option<u32>) -> io::Result<(u64, u64)> {
    Err(io::ErrorKind::Unsupported.into())
}

/// There are no Unix sockets here.
pub fn unlink_socket(_path: &[u8], _file: Option<(u64, u64)>) {}

/// A copy of the handle of a file.
pub fn duplicate(file: Socket) -> io::Result<Socket> {
    let handle = std::ptr::with_exposed_provenance_mut(file);
    // SAFETY: GetFileType takes any number and refuses one that is no handle.
    if unsafe { GetFileType(handle) } != FILE_TYPE_DISK {
        return Err(io::Error::from_raw_os_error(foundation::ERROR_INVALID_HANDLE as i32));
    }
    // SAFETY: it was open just now, and is used for the call alone.
    let copy = unsafe { BorrowedHandle::borrow_raw(handle) }.try_clone_to_owned()?;
    Ok(copy.into_raw_handle().expose_provenance())
}

/// Closes a copy that `duplicate` has made.
pub fn close_file(file: Socket) {
    // SAFETY: callers own the handle and do not use it any more.
    drop(unsafe { OwnedHandle::from_raw_handle(std::ptr::with_exposed_provenance_mut(file)) });
}

/// Reads a part of a file.
pub fn read_at(file: Socket, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let file = std::ptr::with_exposed_provenance_mut(file);
    // SAFETY: no name and no attributes: an event of its own, that nobody else signals.
    let event = unsafe { CreateEventW(std::ptr::null(), 1, 0, std::ptr::null()) };
    if event.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just made, and nobody else has it.
    let event = unsafe { OwnedHandle::from_raw_handle(event) };
    let mut position = OVERLAPPED { hEvent: event.as_raw_handle(), ..OVERLAPPED::default() };
    position.Anonymous.Anonymous.Offset = offset as u32;
    position.Anonymous.Anonymous.OffsetHigh = (offset >> 32) as u32;
    let (place, length, mut read) = (buffer.as_mut_ptr(), buffer.len().min(1 << 30) as u32, 0_u32);
    // SAFETY: buffer and position live until this returns, and it returns when the system is done with both: a handle
    // that was opened to read while the caller goes on is waited for.
    let done = unsafe {
        ReadFile(file, place, length, &mut read, &mut position) != 0
            || (foundation::GetLastError() == foundation::ERROR_IO_PENDING
                && GetOverlappedResult(file, &position, &mut read, 1) != 0)
    };
    match io::Error::last_os_error() {
        _ if done => Ok(read as usize),
        error if error.raw_os_error() == Some(foundation::ERROR_HANDLE_EOF as i32) => Ok(0),
        error => Err(error),
    }
}

/// A socket as mio registers it, which is not closed with it. It is of a stream, a listener or of datagrams: mio asks for
/// no more than its number.
pub struct Source(Option<mio::net::TcpStream>);

impl Source {
    /// One for a socket, whose owner drops it before the socket is closed.
    pub fn new(socket: Socket) -> Self {
        // SAFETY: it is given up again when this is dropped, so that it is never closed here; mio uses it for system
        // calls alone, which refuse a number that is not open.
        Self(Some(unsafe { mio::net::TcpStream::from_raw_socket(socket as RawSocket) }))
    }

    fn with(&mut self, call: impl FnOnce(&mut mio::net::TcpStream) -> io::Result<()>) -> io::Result<()> {
        self.0.as_mut().map_or(Ok(()), call)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // Ends the registration, and leaves the socket as it is.
        let _ = self.0.take().map(IntoRawSocket::into_raw_socket);
    }
}

impl event::Source for Source {
    fn register(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        self.with(|stream| stream.register(registry, token, interest))
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        self.with(|stream| stream.reregister(registry, token, interest))
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.with(|stream| stream.deregister(registry))
    }
}
