//! Datagrams on Unix: one in a call, or many where the kernel can; several of one size as one.

use super::Socket;
use super::sockets::checked;
#[cfg(target_os = "linux")]
use super::sockets::set_number;
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

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

/// Many datagrams of one peer in one call, where the kernel can.
pub fn receive_segments(socket: Socket, on: bool) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return set_number(socket, libc::SOL_UDP, libc::UDP_GRO, libc::c_int::from(on));
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (socket, on);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Room for one control message with a number.
#[derive(Clone, Copy)]
#[repr(align(16))]
struct Control([u8; 64]);

/// Where a datagram and its sender go.
struct Slot {
    part: libc::iovec,
    name: libc::sockaddr_storage,
    control: Control,
}

impl Slot {
    fn new() -> Self {
        // SAFETY: zeroes are an address of no family.
        let name = unsafe { std::mem::zeroed() };
        Self { part: libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }, name, control: Control([0; 64]) }
    }

    /// Has the header point here; it is good for as long as this is not moved.
    fn prepare(&mut self, header: &mut libc::msghdr, data: *mut u8, length: usize) {
        self.part = libc::iovec { iov_base: data.cast(), iov_len: length };
        header.msg_name = (&raw mut self.name).cast();
        header.msg_namelen = size_of_val(&self.name) as libc::socklen_t;
        header.msg_iov = &raw mut self.part;
        header.msg_iovlen = 1;
        header.msg_control = self.control.0.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&self.control) as _;
        header.msg_flags = 0;
    }

    /// What the kernel has put here.
    fn datagram(&self, header: &libc::msghdr, length: usize) -> Datagram<'_> {
        Datagram {
            length,
            truncated: header.msg_flags & libc::MSG_TRUNC != 0,
            segment: segment_size(header),
            // SAFETY: the kernel has written so much of it, over zeroes.
            peer: unsafe { read_name(&self.name, header.msg_namelen as usize) },
        }
    }
}

fn empty_header() -> libc::msghdr {
    // SAFETY: a msghdr of zeroes is an empty one.
    unsafe { std::mem::zeroed() }
}

/// What the system has written.
///
/// # Safety
/// The family is there, and as many bytes as `length` says.
#[inline(always)]
unsafe fn read_name<'a>(name: *const libc::sockaddr_storage, length: usize) -> Name<'a> {
    // SAFETY: by the caller's promise. A family says what the bytes are, and a sockaddr_storage is aligned for any.
    unsafe {
        match libc::c_int::from((*name).ss_family) {
            libc::AF_INET if length >= size_of::<libc::sockaddr_in>() => {
                let name = &*name.cast::<libc::sockaddr_in>();
                let address = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
                Name::Ip((address, u16::from_be(name.sin_port)).into())
            }
            libc::AF_INET6 if length >= size_of::<libc::sockaddr_in6>() => {
                let name = &*name.cast::<libc::sockaddr_in6>();
                let (address, port) = (Ipv6Addr::from(name.sin6_addr.s6_addr), u16::from_be(name.sin6_port));
                Name::Ip(SocketAddrV6::new(address, port, name.sin6_flowinfo, name.sin6_scope_id).into())
            }
            libc::AF_UNIX => {
                let length = length.min(size_of::<libc::sockaddr_un>()).saturating_sub(PATH);
                let bytes = std::slice::from_raw_parts(name.cast::<u8>().add(PATH), length);
                let is_path = bytes.first().is_some_and(|first| *first != 0);
                // A path may come with the zero byte that ends it.
                let end = bytes.iter().position(|byte| *byte == 0).filter(|_| is_path);
                Name::Unix(&bytes[..end.unwrap_or(length)])
            }
            _ => Name::Unix(&[]),
        }
    }
}

/// Where the name of a Unix socket begins.
const PATH: usize = std::mem::offset_of!(libc::sockaddr_un, sun_path);

type Storage = MaybeUninit<libc::sockaddr_storage>;

/// Writes a name as the system takes it; returns how long it is.
#[inline]
fn write_name(name: &To, place: &mut Storage) -> libc::socklen_t {
    // SAFETY: a sockaddr_storage has room for each of these and is aligned for it; zeroes are a value of theirs.
    unsafe {
        match name {
            To::Ip(SocketAddr::V4(address)) => {
                let place = place.as_mut_ptr().cast::<libc::sockaddr_in>();
                place.write(std::mem::zeroed());
                (*place).sin_family = libc::AF_INET as _;
                (*place).sin_port = address.port().to_be();
                (*place).sin_addr.s_addr = u32::from(*address.ip()).to_be();
                size_of::<libc::sockaddr_in>() as libc::socklen_t
            }
            To::Ip(SocketAddr::V6(address)) => {
                let place = place.as_mut_ptr().cast::<libc::sockaddr_in6>();
                place.write(std::mem::zeroed());
                (*place).sin6_family = libc::AF_INET6 as _;
                (*place).sin6_port = address.port().to_be();
                (*place).sin6_addr.s6_addr = address.ip().octets();
                (*place).sin6_flowinfo = address.flowinfo();
                (*place).sin6_scope_id = address.scope_id();
                size_of::<libc::sockaddr_in6>() as libc::socklen_t
            }
            To::Unix(name) => {
                let place = place.as_mut_ptr().cast::<libc::sockaddr_un>();
                place.write(std::mem::zeroed());
                (*place).sun_family = libc::AF_UNIX as _;
                let length = name.len().min(size_of::<libc::sockaddr_un>() - PATH);
                place.cast::<u8>().add(PATH).copy_from_nonoverlapping(name.as_ptr(), length);
                // A path is ended by a zero byte, if there is room for that.
                let ends = name.first().is_some_and(|first| *first != 0);
                (PATH + length + usize::from(ends)).min(size_of::<libc::sockaddr_un>()) as libc::socklen_t
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn segment_size(message: &libc::msghdr) -> usize {
    // SAFETY: the kernel filled in the control messages of this header, which are walked as it says.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(message);
        while !at.is_null() {
            if (*at).cmsg_level == libc::SOL_UDP && (*at).cmsg_type == libc::UDP_GRO {
                return libc::CMSG_DATA(at).cast::<libc::c_int>().read_unaligned() as usize;
            }
            at = libc::CMSG_NXTHDR(message, at);
        }
    }
    0
}

#[cfg(not(target_os = "linux"))]
fn segment_size(_: &libc::msghdr) -> usize {
    0
}

/// Receives a datagram of a socket that does not receive several as one.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[inline(always)]
pub fn receive_datagram<R>(socket: Socket, buffer: &mut [u8], read: impl FnOnce(Datagram) -> R) -> io::Result<R> {
    let mut name = Storage::uninit();
    let mut name_length = size_of_val(&name) as libc::socklen_t;
    let (place, room) = (buffer.as_mut_ptr().cast(), buffer.len());
    // A name that is not written has no family. With MSG_TRUNC the whole length is told.
    // SAFETY: name and buffer live for the call, and are as long as is said.
    let length = checked(unsafe {
        (*name.as_mut_ptr()).ss_family = 0;
        libc::recvfrom(socket, place, room, libc::MSG_TRUNC, name.as_mut_ptr().cast(), &mut name_length)
    })?;
    // SAFETY: the system has written the name.
    let peer = unsafe { read_name(name.as_ptr(), name_length as usize) };
    Ok(read(Datagram { length: length.min(room), truncated: length > room, segment: 0, peer }))
}

/// Receives a datagram.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn receive_datagram<R>(socket: Socket, buffer: &mut [u8], read: impl FnOnce(Datagram) -> R) -> io::Result<R> {
    let mut slot = Slot::new();
    let mut header = empty_header();
    slot.prepare(&mut header, buffer.as_mut_ptr(), buffer.len());
    // SAFETY: the header points to memory that lives for the call, and that nobody else has.
    let length = checked(unsafe { libc::recvmsg(socket, &mut header, 0) })?;
    Ok(read(slot.datagram(&header, length)))
}

/// Receives many datagrams in one call.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub struct Receiver {
    headers: Box<[libc::mmsghdr]>,
    slots: Box<[Slot]>,
    /// The buffer and the room in it that the first headers were made for, and how many these are.
    made_for: (*mut u8, usize),
    made: usize,
    /// The kernel has written into the headers before this one.
    used: usize,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Receiver {
    /// One for at most so many.
    pub fn new(most: usize) -> Self {
        let header = || libc::mmsghdr { msg_hdr: empty_header(), msg_len: 0 };
        Self {
            headers: (0..most).map(|_| header()).collect(),
            slots: (0..most).map(|_| Slot::new()).collect(),
            made_for: (std::ptr::null_mut(), 0),
            made: 0,
            used: 0,
        }
    }

    /// Receives as many as are there, each into its part of the buffer, `room` bytes long. Returns whether there was
    /// room for more: then nothing is left.
    pub fn receive(
        &mut self,
        socket: Socket,
        buffer: &mut [u8],
        room: usize,
        mut read: impl FnMut(Datagram),
    ) -> io::Result<bool> {
        let count = (buffer.len() / room).min(self.headers.len());
        self.prepare(buffer.as_mut_ptr(), count, room);
        // SAFETY: the headers point to the slots, which are as many and stay where they are, and into the buffer, which
        // has that room for each.
        let done = unsafe { libc::recvmmsg(socket, self.headers.as_mut_ptr(), count as _, 0, std::ptr::null_mut()) };
        let received = checked(done as isize)?;
        self.used = received;
        for (slot, header) in self.slots.iter().zip(&self.headers[..received]) {
            read(slot.datagram(&header.msg_hdr, header.msg_len as usize));
        }
        Ok(received < count)
    }

    /// Headers are good for many calls: only those that the kernel has changed are made anew.
    fn prepare(&mut self, start: *mut u8, count: usize, room: usize) {
        if self.made_for != (start, room) {
            (self.made_for, self.made) = ((start, room), 0);
        }
        for place in (0..self.used.min(self.made)).chain(self.made..count) {
            let part = start.wrapping_add(place * room);
            self.slots[place].prepare(&mut self.headers[place].msg_hdr, part, room);
        }
        self.made = self.made.max(count);
        self.used = 0;
    }
}

/// Whether the kernel sends several datagrams of one size in one call. One that does not know of it would send them as
/// one, so it is asked first.
#[cfg(target_os = "linux")]
fn knows_segments(socket: Socket) -> bool {
    use std::sync::atomic::{AtomicU8, Ordering};
    static KNOWN: AtomicU8 = AtomicU8::new(0);
    let known = KNOWN.load(Ordering::Relaxed);
    if known != 0 {
        return known == 1;
    }
    let knows = super::sockets::get_number(socket, libc::SOL_UDP, libc::UDP_SEGMENT).is_ok();
    KNOWN.store(if knows { 1 } else { 2 }, Ordering::Relaxed);
    knows
}

#[cfg(not(target_os = "linux"))]
fn knows_segments(_: Socket) -> bool {
    false
}

/// Sends a datagram.
#[inline]
pub fn send_datagram(socket: Socket, message: &Message) -> io::Result<()> {
    let (data, length) = (message.data.as_ptr().cast(), message.data.len());
    if message.segment != 0 {
        return send_segments(socket, message);
    }
    let mut name = Storage::uninit();
    let (place, name_length) = match &message.to {
        Some(to) => (name.as_mut_ptr().cast_const().cast(), write_name(to, &mut name)),
        None => (std::ptr::null(), 0),
    };
    // SAFETY: data and name live for the call, and are as long as is said.
    checked(unsafe { libc::sendto(socket, data, length, libc::MSG_NOSIGNAL, place, name_length) }).map(drop)
}

fn send_segments(socket: Socket, message: &Message) -> io::Result<()> {
    let mut part = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
    let (mut control, mut name) = (Control([0; 64]), Storage::uninit());
    let mut header = empty_header();
    address(socket, &mut header, message, &mut part, &mut control, &mut name)?;
    // SAFETY: the header points to memory that lives for the call and is not written.
    checked(unsafe { libc::sendmsg(socket, &header, libc::MSG_NOSIGNAL) }).map(drop)
}

/// Has a header point to a message, by way of the others.
fn address(
    socket: Socket,
    header: &mut libc::msghdr,
    message: &Message,
    part: &mut libc::iovec,
    control: &mut Control,
    name: &mut Storage,
) -> io::Result<()> {
    *part = libc::iovec { iov_base: message.data.as_ptr().cast_mut().cast(), iov_len: message.data.len() };
    header.msg_iov = part;
    header.msg_iovlen = 1;
    if let Some(to) = &message.to {
        header.msg_namelen = write_name(to, name);
        header.msg_name = name.as_mut_ptr().cast();
    }
    if message.segment != 0 {
        if !knows_segments(socket) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        put_segment(header, message.segment, control)?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn put_segment(message: &mut libc::msghdr, segment: usize, control: &mut Control) -> io::Result<()> {
    let segment = u16::try_from(segment).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let size = size_of::<u16>() as u32;
    message.msg_control = control.0.as_mut_ptr().cast();
    // SAFETY: the control memory has room for one message of this size, and is aligned for it.
    unsafe {
        message.msg_controllen = libc::CMSG_SPACE(size) as _;
        let at = libc::CMSG_FIRSTHDR(message);
        (*at).cmsg_level = libc::SOL_UDP;
        (*at).cmsg_type = libc::UDP_SEGMENT;
        (*at).cmsg_len = libc::CMSG_LEN(size) as _;
        libc::CMSG_DATA(at).cast::<u16>().write_unaligned(segment);
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn put_segment(_: &mut libc::msghdr, _: usize, _: &mut Control) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// So many at most go out in one call.
pub const SENT_AT_ONCE: usize = 16;

/// Sends datagrams in one call; how many went out, at least one.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn send_datagrams(socket: Socket, messages: &[Message]) -> io::Result<usize> {
    let count = messages.len().min(SENT_AT_ONCE);
    let part = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
    let (mut parts, mut controls) = ([part; SENT_AT_ONCE], [Control([0; 64]); SENT_AT_ONCE]);
    let mut names = [const { Storage::uninit() }; SENT_AT_ONCE];
    let mut headers = [libc::mmsghdr { msg_hdr: empty_header(), msg_len: 0 }; SENT_AT_ONCE];
    for (place, message) in messages[..count].iter().enumerate() {
        let (part, control) = (&mut parts[place], &mut controls[place]);
        address(socket, &mut headers[place].msg_hdr, message, part, control, &mut names[place])?;
    }
    // SAFETY: the first `count` headers point to memory that lives for the call and is not written.
    let sent = unsafe { libc::sendmmsg(socket, headers.as_mut_ptr(), count as _, libc::MSG_NOSIGNAL as _) };
    checked(sent as isize)
}

/// Which interface multicast datagrams of IPv4 leave by.
pub fn set_multicast_interface(socket: Socket, index: u32) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple", target_os = "freebsd"))]
    {
        let none = libc::in_addr { s_addr: 0 };
        let value = libc::ip_mreqn { imr_multiaddr: none, imr_address: none, imr_ifindex: index as libc::c_int };
        let length = size_of_val(&value) as libc::socklen_t;
        let place = (&raw const value).cast();
        // SAFETY: the value lives for the call, and is as long as is said.
        let done = unsafe { libc::setsockopt(socket, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, place, length) };
        checked(done as isize).map(drop)
    }
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple", target_os = "freebsd")))]
    {
        let _ = (socket, index);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The number of the network interface that has this address.
pub fn interface_with(address: IpAddr) -> Option<u32> {
    let mut list = std::ptr::null_mut();
    // SAFETY: the list is written, and freed below.
    if unsafe { libc::getifaddrs(&mut list) } != 0 {
        return None;
    }
    let (mut at, mut found) = (list, None);
    while !at.is_null() && found.is_none() {
        // SAFETY: an entry of the list, which the system has filled in.
        let entry = unsafe { &*at };
        if ip_of(entry.ifa_addr) == Some(address) {
            // SAFETY: an entry's name ends with NUL.
            found = Some(unsafe { libc::if_nametoindex(entry.ifa_name) }).filter(|index| *index != 0);
        }
        at = entry.ifa_next;
    }
    // SAFETY: getifaddrs has made it, and nothing of it is used any more.
    unsafe { libc::freeifaddrs(list) };
    found
}

fn ip_of(address: *const libc::sockaddr) -> Option<IpAddr> {
    if address.is_null() {
        return None;
    }
    // SAFETY: not null, so the system has put an address there, as long as its family says.
    unsafe {
        match libc::c_int::from((*address).sa_family) {
            libc::AF_INET => {
                let address = address.cast::<libc::sockaddr_in>().read_unaligned();
                Some(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)).into())
            }
            libc::AF_INET6 => {
                let address = address.cast::<libc::sockaddr_in6>().read_unaligned();
                Some(Ipv6Addr::from(address.sin6_addr.s6_addr).into())
            }
            _ => None,
        }
    }
}
