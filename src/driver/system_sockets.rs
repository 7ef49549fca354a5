//! The sockets of the operating system, for the real driver. What all systems share goes through socket2.

use super::address::{Address, Family};
use super::sockets::*;
use super::{MioDriver, system_datagrams};
use crate::platform::{self, Socket, borrowed_socket};
use socket2::{Domain, Protocol, Type};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, IoSlice, Read};
use std::net::Shutdown;

/// No signal for a peer that is gone.
#[cfg(unix)]
const SEND_FLAGS: i32 = libc::MSG_NOSIGNAL;
#[cfg(windows)]
const SEND_FLAGS: i32 = 0;

fn domain(family: Family) -> Domain {
    match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
        Family::Unix => Domain::UNIX,
    }
}

fn set_keep_alive(socket: &socket2::Socket, keep_alive: Option<KeepAlive>) -> io::Result<()> {
    let Some(keep_alive) = keep_alive else { return socket.set_keepalive(false) };
    let mut parameters = socket2::TcpKeepalive::new().with_time(keep_alive.idle);
    if let Some(interval) = keep_alive.interval {
        parameters = parameters.with_interval(interval);
    }
    #[cfg(not(target_os = "windows"))]
    if keep_alive.count != 0 {
        parameters = parameters.with_retries(keep_alive.count);
    }
    socket.set_tcp_keepalive(&parameters)
}

impl Sockets for MioDriver {
    fn open(&self, family: Family, carries: Carries) -> io::Result<Socket> {
        let kind = match carries {
            Carries::Stream => Type::STREAM,
            Carries::Datagrams => Type::DGRAM,
        };
        let socket = platform::new_socket(domain(family), kind, None::<Protocol>)?;
        self.forget(socket);
        Ok(socket)
    }

    fn bind(&self, socket: Socket, address: &Address) -> io::Result<()> {
        borrowed_socket(socket).bind(&address.to_system()?)
    }

    fn listen(&self, socket: Socket, backlog: i32) -> io::Result<()> {
        borrowed_socket(socket).listen(backlog)
    }

    fn accept(&self, socket: Socket) -> io::Result<Socket> {
        let accepted = self.read(socket, platform::accept(socket))?;
        self.forget(accepted);
        Ok(accepted)
    }

    fn connect(&self, socket: Socket, address: &Address) -> io::Result<bool> {
        platform::connect(socket, &address.to_system()?)
    }

    fn take_error(&self, socket: Socket) -> io::Result<Option<io::Error>> {
        borrowed_socket(socket).take_error()
    }

    #[inline]
    fn receive(&self, socket: Socket, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(socket, (&*borrowed_socket(socket)).read(buffer))
    }

    fn drains(&self) -> bool {
        cfg!(any(target_os = "linux", target_os = "android"))
    }

    #[inline]
    fn send(&self, socket: Socket, data: &[u8]) -> io::Result<usize> {
        self.written(socket, borrowed_socket(socket).send_with_flags(data, SEND_FLAGS))
    }

    fn send_parts(&self, socket: Socket, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.written(socket, borrowed_socket(socket).send_vectored_with_flags(parts, SEND_FLAGS))
    }

    fn shutdown(&self, socket: Socket, how: Shutdown) -> io::Result<()> {
        borrowed_socket(socket).shutdown(how)
    }

    fn close(&self, socket: Socket) {
        self.forget(socket);
        platform::close_socket(socket);
    }

    fn local_address(&self, socket: Socket) -> io::Result<Address> {
        Ok(Address::from_system(&borrowed_socket(socket).local_addr()?))
    }

    fn peer_address(&self, socket: Socket) -> io::Result<Address> {
        Ok(Address::from_system(&borrowed_socket(socket).peer_addr()?))
    }

    fn set(&self, socket: Socket, option: SocketOption) -> io::Result<()> {
        let number = socket;
        let socket = &*borrowed_socket(socket);
        match option {
            // What lingers of a listener that is gone does not keep an address from its successor on Windows anyway;
            // there the option would let any program take it over.
            #[cfg(windows)]
            SocketOption::ReuseAddress if socket.r#type()? == Type::STREAM => platform::set_exclusive(number),
            SocketOption::ReuseAddress => socket.set_reuse_address(true),
            #[cfg(unix)]
            SocketOption::ReusePort => socket.set_reuse_port(true),
            #[cfg(not(unix))]
            SocketOption::ReusePort => Err(io::ErrorKind::Unsupported.into()),
            SocketOption::OnlyV6(on) => socket.set_only_v6(on),
            SocketOption::NoDelay(on) => socket.set_tcp_nodelay(on),
            SocketOption::KeepAlive(keep_alive) => set_keep_alive(socket, keep_alive),
            SocketOption::Linger(linger) => socket.set_linger(linger),
            // What an IPv6 socket sends by IPv4 has options of its own.
            SocketOption::TypeOfService(value) if platform::is_v6(number)? => {
                let _ = socket.set_tos_v4(value);
                platform::set_traffic_class(number, value)
            }
            SocketOption::TypeOfService(value) => socket.set_tos_v4(value),
            SocketOption::TimeToLive(hops) if platform::is_v6(number)? => {
                let _ = socket.set_ttl_v4(hops);
                socket.set_unicast_hops_v6(hops)
            }
            SocketOption::TimeToLive(hops) => socket.set_ttl_v4(hops),
            SocketOption::ReceiveBuffer(size) => socket.set_recv_buffer_size(size),
            SocketOption::SendBuffer(size) => socket.set_send_buffer_size(size),
            SocketOption::Broadcast(on) => socket.set_broadcast(on),
            SocketOption::MulticastLoop(on) if platform::is_v6(number)? => {
                let _ = socket.set_multicast_loop_v4(on);
                socket.set_multicast_loop_v6(on)
            }
            SocketOption::MulticastLoop(on) => socket.set_multicast_loop_v4(on),
            SocketOption::MulticastTimeToLive(hops) if platform::is_v6(number)? => {
                let _ = socket.set_multicast_ttl_v4(hops);
                socket.set_multicast_hops_v6(hops)
            }
            SocketOption::MulticastTimeToLive(hops) => socket.set_multicast_ttl_v4(hops),
            SocketOption::MulticastInterface(interface) => {
                system_datagrams::set_interface(number, interface, platform::is_v6(number)?)
            }
            SocketOption::JoinGroup(group, interface) => system_datagrams::join(socket, group, interface),
            SocketOption::LeaveGroup(group, interface) => system_datagrams::leave(socket, group, interface),
            SocketOption::ReceiveSegments(on) => platform::receive_segments(number, on),
        }
    }

    fn receive_from(&self, socket: Socket, buffer: &mut [u8]) -> io::Result<Received> {
        self.read(socket, platform::receive_datagram(socket, buffer, system_datagrams::received))
    }

    #[inline]
    fn receive_into(&self, socket: Socket, buffer: &mut [u8], received: &mut Received) -> io::Result<()> {
        let put = |datagram: platform::Datagram| system_datagrams::put(datagram, received);
        self.read(socket, platform::receive_datagram(socket, buffer, put))
    }

    #[inline]
    fn send_to(&self, socket: Socket, data: &[u8], segment: usize, to: Option<&Address>) -> io::Result<()> {
        self.written(socket, platform::send_datagram(socket, &system_datagrams::message(data, segment, to)))
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn receive_many(
        &self,
        socket: Socket,
        buffer: &mut [u8],
        room: usize,
        received: &mut Vec<Received>,
    ) -> io::Result<bool> {
        self.receiver.receive(socket, buffer, room, received)
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn send_many(&self, socket: Socket, datagrams: &[Outgoing<'_>]) -> io::Result<usize> {
        system_datagrams::send_many(socket, datagrams)
    }

    #[cfg(unix)]
    fn send_file(&self, socket: Socket, file: Socket, offset: u64, length: usize) -> io::Result<usize> {
        platform::send_file(socket, file, offset, length)
    }

    #[cfg(unix)]
    fn send_with_descriptor(&self, socket: Socket, data: &[u8], descriptor: Socket) -> io::Result<usize> {
        platform::send_with_descriptor(socket, data, descriptor)
    }

    #[cfg(unix)]
    fn receive_with_descriptors(
        &self,
        socket: Socket,
        buffer: &mut [u8],
        descriptors: &mut Vec<Socket>,
    ) -> io::Result<usize> {
        platform::receive_with_descriptors(socket, buffer, descriptors)
    }

    #[cfg(unix)]
    fn peer_credentials(&self, socket: Socket) -> io::Result<Credentials> {
        let (process, user, group) = platform::peer_credentials(socket)?;
        Ok(Credentials { process, user, group })
    }

    fn random(&self) -> u64 {
        // Keys from the system's randomness, different each time.
        RandomState::new().hash_one(platform::monotonic_nanoseconds())
    }
}
