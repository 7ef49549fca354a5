//! Sockets on Unix: what socket2 does not do.

use super::Socket;
use socket2::{Domain, Protocol, SockAddr, Type};
use std::ffi::OsStr;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// A socket for the time of a call.
#[inline(always)]
pub fn borrowed_socket(socket: Socket) -> ManuallyDrop<socket2::Socket> {
    debug_assert!(socket >= 0);
    // SAFETY: it is not -1, is never dropped, and only used for system calls, which refuse a number that is not open.
    // Callers hold it for a call on a socket that is theirs.
    ManuallyDrop::new(unsafe { socket2::Socket::from_raw_fd(socket) })
}

/// A socket that does not block and is closed on exec.
pub fn new_socket(domain: Domain, kind: Type, protocol: Option<Protocol>) -> io::Result<Socket> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let kind = kind.nonblocking();
    let socket = socket2::Socket::new(domain, kind, protocol)?;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    socket.set_nonblocking(true)?;
    Ok(socket.into_raw_fd())
}

/// Whether a socket is one of IPv6.
pub fn is_v6(socket: Socket) -> io::Result<bool> {
    Ok(borrowed_socket(socket).local_addr()?.is_ipv6())
}

/// Closes a descriptor of the library's own.
pub fn close_socket(socket: Socket) {
    // SAFETY: callers own the descriptor and do not use it any more.
    drop(unsafe { OwnedFd::from_raw_fd(socket) });
}

pub(super) fn checked(result: isize) -> io::Result<usize> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as usize) }
}

/// Accepts a connection that does not block and is closed on exec.
pub fn accept(socket: Socket) -> io::Result<Socket> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: no address is asked for.
        let accepted = unsafe { libc::accept4(socket, std::ptr::null_mut(), std::ptr::null_mut(), flags) };
        if accepted < 0 { Err(io::Error::last_os_error()) } else { Ok(accepted) }
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let (accepted, _) = borrowed_socket(socket).accept()?;
        accepted.set_nonblocking(true)?;
        Ok(accepted.into_raw_fd())
    }
}

/// Begins to connect; true: it is done already.
pub fn connect(socket: Socket, to: &SockAddr) -> io::Result<bool> {
    match borrowed_socket(socket).connect(to) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The traffic class of IPv6.
pub fn set_traffic_class(socket: Socket, value: u32) -> io::Result<()> {
    let value = value as libc::c_int;
    set_number(socket, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, value)
}

pub(super) fn set_number(socket: Socket, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value is an int and lives for the call.
    let done = unsafe { libc::setsockopt(socket, level, name, (&raw const value).cast(), length) };
    checked(done as isize).map(drop)
}

/// Room for control messages: a few descriptors.
#[repr(align(16))]
struct Control([u8; 512]);

fn message(part: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    // SAFETY: a msghdr of zeroes is an empty one.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control.0) as _;
    message
}

/// Sends a part of a file, without a signal for a peer that is gone.
pub fn send_file(socket: Socket, file: Socket, offset: u64, length: usize) -> io::Result<usize> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let mut offset = offset as libc::off_t;
        // SAFETY: the offset lives for the call.
        super::without_sigpipe(|| checked(unsafe { libc::sendfile(socket, file, &mut offset, length) }))
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = (socket, file, offset, length);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Sends data with a descriptor.
pub fn send_with_descriptor(socket: Socket, data: &[u8], descriptor: Socket) -> io::Result<usize> {
    let mut part = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
    let mut control = Control([0; 512]);
    let mut message = message(&mut part, &mut control);
    let size = size_of::<libc::c_int>() as u32;
    // SAFETY: the control memory has room for one descriptor and is aligned; the message lives for the call.
    checked(unsafe {
        message.msg_controllen = libc::CMSG_SPACE(size) as _;
        let at = libc::CMSG_FIRSTHDR(&message);
        (*at).cmsg_level = libc::SOL_SOCKET;
        (*at).cmsg_type = libc::SCM_RIGHTS;
        (*at).cmsg_len = libc::CMSG_LEN(size) as _;
        libc::CMSG_DATA(at).cast::<libc::c_int>().write_unaligned(descriptor);
        libc::sendmsg(socket, &message, libc::MSG_NOSIGNAL)
    })
}

/// Reads data and adds the descriptors that came with it.
pub fn receive_with_descriptors(socket: Socket, buffer: &mut [u8], descriptors: &mut Vec<Socket>) -> io::Result<usize> {
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut control = Control([0; 512]);
    let mut message = message(&mut part, &mut control);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let flags = libc::MSG_CMSG_CLOEXEC;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let flags = 0;
    // SAFETY: the message points to memory that lives for the call.
    let length = checked(unsafe { libc::recvmsg(socket, &mut message, flags) })?;
    // SAFETY: the kernel filled in the control messages, which are walked as it says.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(&message);
        while !at.is_null() {
            if (*at).cmsg_level == libc::SOL_SOCKET && (*at).cmsg_type == libc::SCM_RIGHTS {
                let bytes = (*at).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let first = libc::CMSG_DATA(at).cast::<libc::c_int>();
                descriptors
                    .extend((0..bytes / size_of::<libc::c_int>()).map(|place| first.add(place).read_unaligned()));
            }
            at = libc::CMSG_NXTHDR(&message, at);
        }
    }
    Ok(length)
}

/// Process, user and group at the other end of a Unix socket; -1 for a process that the system does not tell.
pub fn peer_credentials(socket: Socket) -> io::Result<(i64, i64, i64)> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
        let mut length = size_of::<libc::ucred>() as libc::socklen_t;
        let place = (&raw mut credentials).cast();
        // SAFETY: the place has room for so many bytes.
        checked(unsafe { libc::getsockopt(socket, libc::SOL_SOCKET, libc::SO_PEERCRED, place, &mut length) } as isize)?;
        Ok((i64::from(credentials.pid), i64::from(credentials.uid), i64::from(credentials.gid)))
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let (mut user, mut group) = (0, 0);
        // SAFETY: both places live for the call.
        checked(unsafe { libc::getpeereid(socket, &mut user, &mut group) } as isize)?;
        Ok((-1, i64::from(user), i64::from(group)))
    }
}

/// A copy of a descriptor, closed on exec.
pub fn duplicate(descriptor: Socket) -> io::Result<Socket> {
    // SAFETY: fcntl with this command takes a number and refuses a descriptor that is not open.
    checked(unsafe { libc::fcntl(descriptor, libc::F_DUPFD_CLOEXEC, 3) } as isize).map(|copy| copy as Socket)
}

/// Closes a copy that `duplicate` has made.
pub fn close_file(copy: Socket) {
    close_socket(copy);
}

/// Reads a part of a file.
pub fn read_at(file: Socket, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    // SAFETY: the buffer is as long as is said.
    checked(unsafe { libc::pread(file, buffer.as_mut_ptr().cast(), buffer.len(), offset as libc::off_t) })
}

pub(super) fn get_number(socket: Socket, level: libc::c_int, name: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value has room for an int, and is written at most so far.
    let done = unsafe { libc::getsockopt(socket, level, name, (&raw mut value).cast(), &mut length) };
    checked(done as isize).map(|_| value)
}

/// Whether a descriptor is a stream socket, else one of datagrams; and whether it listens.
pub fn socket_sort(socket: Socket) -> io::Result<(bool, bool)> {
    let stream = match get_number(socket, libc::SOL_SOCKET, libc::SO_TYPE)? {
        libc::SOCK_STREAM => true,
        libc::SOCK_DGRAM => false,
        _ => return Err(io::Error::from_raw_os_error(libc::EPROTOTYPE)),
    };
    Ok((stream, stream && get_number(socket, libc::SOL_SOCKET, libc::SO_ACCEPTCONN)? != 0))
}

/// Has a descriptor not block, and not live on in a program that this one executes.
pub fn prepare_socket(socket: Socket) -> io::Result<()> {
    let socket = borrowed_socket(socket);
    socket.set_nonblocking(true)?;
    socket.set_cloexec(true)
}

fn path_of(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

/// Whether there is a socket at the path.
pub fn is_socket(path: &[u8]) -> bool {
    std::fs::symlink_metadata(path_of(path)).is_ok_and(|found| found.file_type().is_socket())
}

/// Sets the permissions of a socket's path, if some are asked for. Returns which file it is.
pub fn set_socket_mode(path: &[u8], mode: Option<u32>) -> io::Result<(u64, u64)> {
    let path = path_of(path);
    if let Some(mode) = mode {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    let found = std::fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// Removes the socket at the path, if it is this file.
pub fn unlink_socket(path: &[u8], file: Option<(u64, u64)>) {
    let path = path_of(path);
    let Ok(found) = std::fs::symlink_metadata(path) else { return };
    if found.file_type().is_socket() && file.is_none_or(|file| file == (found.dev(), found.ino())) {
        let _ = std::fs::remove_file(path);
    }
}
