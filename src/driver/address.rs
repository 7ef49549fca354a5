//! Addresses of sockets.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

/// Room for the path of a Unix socket, as the systems have it.
pub const UNIX_PATH: usize = 108;

/// Where a socket is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Address {
    /// An IP address with its port.
    Ip(SocketAddr),
    /// A Unix socket.
    Unix(UnixAddress),
}

/// The name of a Unix socket: a path, or after a zero byte a name of the abstract namespace; nothing for an unnamed one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnixAddress {
    length: u8,
    bytes: [u8; UNIX_PATH],
}

/// Families of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// Unix sockets.
    Unix,
}

impl UnixAddress {
    /// A path, or a name of the abstract namespace after a zero byte; None if it is too long.
    pub fn new(name: &[u8]) -> Option<Self> {
        let is_path = name.first().is_some_and(|first| *first != 0);
        // A path has a zero byte behind it.
        if name.len() + usize::from(is_path) > UNIX_PATH {
            return None;
        }
        let mut bytes = [0; UNIX_PATH];
        bytes[..name.len()].copy_from_slice(name);
        Some(Self { length: name.len() as u8, bytes })
    }

    /// As it was given to `new`.
    pub fn name(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The path, if it has one.
    pub fn path(&self) -> Option<&[u8]> {
        Some(self.name()).filter(|name| name.first().is_some_and(|first| *first != 0))
    }

    /// The name in the abstract namespace, if it has one.
    pub fn abstract_name(&self) -> Option<&[u8]> {
        self.name().split_first().filter(|(first, _)| **first == 0).map(|(_, name)| name)
    }
}

impl Address {
    /// Its family.
    pub fn family(&self) -> Family {
        match self {
            Address::Ip(SocketAddr::V4(_)) => Family::V4,
            Address::Ip(SocketAddr::V6(_)) => Family::V6,
            Address::Unix(_) => Family::Unix,
        }
    }

    /// Its port; 0 where there is none.
    pub fn port(&self) -> u16 {
        match self {
            Address::Ip(address) => address.port(),
            Address::Unix(_) => 0,
        }
    }

    /// The IP address and port.
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Address::Ip(address) => Some(*address),
            Address::Unix(_) => None,
        }
    }

    /// As the endpoint string that leads there; `datagram`: of a datagram socket.
    pub fn endpoint(&self, datagram: bool) -> Vec<u8> {
        let unix = |scheme: &str, name: &[u8]| [scheme.as_bytes(), &encoded(name)].concat();
        match self {
            Address::Ip(address) if datagram => format!("udp://{address}").into_bytes(),
            Address::Ip(address) => format!("tcp://{address}").into_bytes(),
            Address::Unix(address) => match (address.path(), address.abstract_name()) {
                (Some(path), _) if datagram => unix("unix-datagram://", path),
                (Some(path), _) => unix("unix://", path),
                (None, Some(name)) if datagram => unix("unix-datagram-abstract://", name),
                (None, Some(name)) => unix("unix-abstract://", name),
                (None, None) if datagram => b"unix-datagram://".to_vec(),
                (None, None) => b"unix://".to_vec(),
            },
        }
    }

    /// As the system has it.
    pub fn to_system(self) -> io::Result<socket2::SockAddr> {
        match self {
            Address::Ip(address) => Ok(address.into()),
            #[cfg(unix)]
            Address::Unix(address) => {
                use std::os::unix::ffi::OsStrExt;
                socket2::SockAddr::unix(std::ffi::OsStr::from_bytes(address.name()))
            }
            #[cfg(not(unix))]
            Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// From what the system has; an unnamed Unix socket's for what is neither.
    pub fn from_system(address: &socket2::SockAddr) -> Self {
        if let Some(address) = address.as_socket() {
            return Address::Ip(address);
        }
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            let path = address.as_pathname().map(|path| path.as_os_str().as_bytes().to_vec());
            #[cfg(any(target_os = "linux", target_os = "android"))]
            let path = path.or_else(|| address.as_abstract_namespace().map(|name| [b"\0", name].concat()));
            if let Some(address) = path.and_then(|path| UnixAddress::new(&path)) {
                return Address::Unix(address);
            }
        }
        Address::Unix(UnixAddress::default())
    }

    /// IPv4 in IPv6 becomes what it is.
    #[inline]
    pub fn unmapped(self) -> Self {
        match self {
            Address::Ip(SocketAddr::V6(address)) => match address.ip().to_ipv4_mapped() {
                Some(ip) => Address::Ip((ip, address.port()).into()),
                None => self,
            },
            _ => self,
        }
    }

    /// IPv4 as an IPv6 socket has it.
    #[inline]
    pub fn mapped(self) -> Self {
        match self {
            Address::Ip(SocketAddr::V4(address)) => Address::Ip((address.ip().to_ipv6_mapped(), address.port()).into()),
            _ => self,
        }
    }
}

/// What would end the name, or be no text, becomes %XX.
fn encoded(name: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(name.len());
    for byte in name {
        match byte {
            b'%' | b'?' | 0..=0x1f | 0x7f => text.extend(format!("%{byte:02X}").bytes()),
            byte => text.push(*byte),
        }
    }
    text
}

impl Default for UnixAddress {
    fn default() -> Self {
        Self { length: 0, bytes: [0; UNIX_PATH] }
    }
}

impl Default for Address {
    fn default() -> Self {
        Address::Ip(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)))
    }
}

impl fmt::Debug for UnixAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", Address::Unix(*self))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

/// For messages: `127.0.0.1:80`, `/run/x.sock`, `@name`.
impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => write!(formatter, "{address}"),
            Address::Unix(address) => match (address.path(), address.abstract_name()) {
                (Some(path), _) => formatter.write_str(&String::from_utf8_lossy(path)),
                (None, Some(name)) => write!(formatter, "@{}", String::from_utf8_lossy(name)),
                (None, None) => formatter.write_str("an unnamed Unix socket"),
            },
        }
    }
}
