//! Addresses of sockets, as values.

use super::convert::{self, invalid};
use super::guard;
use super::status::lariat_status;
use super::structs::{self, Versioned, fields};
use crate::driver::{Address, UnixAddress, address::UNIX_PATH};
use crate::handles::{Owned, Word};
use crate::net::endpoint::{self, Place, Purpose};
use crate::status::{Result, Status};
use std::ffi::c_char;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// A Unix socket: path, path_length.
pub const LARIAT_ADDRESS_UNIX: i32 = 1;
/// IPv4: the first 4 bytes of host, port.
pub const LARIAT_ADDRESS_IPV4: i32 = 4;
/// IPv6: host, port, scope_id.
pub const LARIAT_ADDRESS_IPV6: i32 = 6;

/// Where a socket is; to be prepared once by lariat_address_init. A plain value: two that are equal byte by byte are
/// the same address.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_address {
    /// Set by lariat_address_init.
    pub struct_size: u32,
    /// LARIAT_ADDRESS_IPV4, LARIAT_ADDRESS_IPV6 or LARIAT_ADDRESS_UNIX; 0: none.
    pub family: i32,
    /// The number of the network interface of a link-local IPv6 address; else 0.
    pub scope_id: u32,
    /// The port, in the host's byte order; 0 of a Unix socket.
    pub port: u16,
    /// How many bytes path has; 0 of a Unix socket without a name.
    pub path_length: u16,
    /// The IP address, in network byte order.
    pub host: [u8; 16],
    /// The path of a Unix socket, or after a zero byte its abstract name; not ended by NUL.
    pub path: [u8; 108],
}

const _: () = assert!(UNIX_PATH == 108);

// SAFETY: repr(C), begins with struct_size, and holds numbers.
unsafe impl Versioned for lariat_address {
    const FIELDS: &'static [usize] = fields!(lariat_address: struct_size family scope_id port path_length host path);

    fn initial(struct_size: u32) -> Self {
        Self { struct_size, family: 0, scope_id: 0, port: 0, path_length: 0, host: [0; 16], path: [0; 108] }
    }
}

impl lariat_address {
    /// An address as C has it.
    #[inline]
    pub(super) fn of(address: &Address, struct_size: u32) -> Self {
        let mut of = Self::initial(struct_size);
        of.fill(address);
        of
    }

    /// One for callbacks, of this version, to be filled.
    #[inline]
    pub(super) fn new() -> Self {
        Self::initial(size_of::<Self>() as u32)
    }

    /// Fills in a new one.
    #[inline]
    pub(super) fn fill(&mut self, address: &Address) {
        match address {
            Address::Ip(SocketAddr::V4(address)) => {
                (self.family, self.port) = (LARIAT_ADDRESS_IPV4, address.port());
                self.host[..4].copy_from_slice(&address.ip().octets());
            }
            Address::Ip(SocketAddr::V6(address)) => {
                (self.family, self.port, self.scope_id) = (LARIAT_ADDRESS_IPV6, address.port(), address.scope_id());
                self.host = address.ip().octets();
            }
            Address::Unix(address) => {
                (self.family, self.path_length) = (LARIAT_ADDRESS_UNIX, address.name().len() as u16);
                self.path[..address.name().len()].copy_from_slice(address.name());
            }
        }
    }

    /// The same for callbacks, of this version.
    pub(super) fn whole(address: &Address) -> Self {
        Self::of(address, size_of::<Self>() as u32)
    }

    #[inline]
    fn put(&self, name: &str, place: &mut Address) -> Result {
        *place = match self.family {
            LARIAT_ADDRESS_IPV4 => {
                let [a, b, c, d, ..] = self.host;
                Address::Ip((Ipv4Addr::new(a, b, c, d), self.port).into())
            }
            LARIAT_ADDRESS_IPV6 => {
                let host = Ipv6Addr::from(self.host);
                Address::Ip(SocketAddrV6::new(host, self.port, 0, self.scope_id).into())
            }
            LARIAT_ADDRESS_UNIX => {
                let path = self.path.get(..usize::from(self.path_length)).and_then(UnixAddress::new);
                let why = || invalid(format_args!("{name}: a path_length of {} is too much", self.path_length));
                let path = path.ok_or_else(why)?;
                // The system would take it for what comes before that.
                if path.path().is_some_and(|path| path.contains(&0)) {
                    return Err(invalid(format_args!("{name}: a path has no zero byte")));
                }
                Address::Unix(path)
            }
            family => return Err(invalid(format_args!("{name}: no family is {family}"))),
        };
        Ok(())
    }
}

/// Reads an address of C.
pub(super) fn read(name: &str, address: *const lariat_address) -> Result<Address> {
    let mut place = Address::default();
    read_into(name, address, &mut place)?;
    Ok(place)
}

/// The same into its place, without copies on the way.
#[inline]
pub(super) fn read_into(name: &str, address: *const lariat_address, place: &mut Address) -> Result {
    structs::with(name, address, |address| address.put(name, place))
}

/// An address that C sees for as long as this is not dropped.
pub(super) fn owned(address: &Address) -> Owned {
    extern "C-unwind" fn free(address: Word) {
        // SAFETY: `owned` has made it so, and nothing else has it.
        drop(unsafe { Box::from_raw(address.pointer::<lariat_address>()) });
    }
    Owned::new(Word::new(Box::into_raw(Box::new(lariat_address::whole(address)))), Some(free))
}

/// Prepares an address: it is none yet.
///
/// address      written.
/// struct_size  sizeof(lariat_address).
/// thread       any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_address_init(address: *mut lariat_address, struct_size: u32) -> lariat_status {
    guard::alone(|| structs::init("address", address, struct_size))
}

/// Reads an address from text: an endpoint without options, such as udp://127.0.0.1:53 or unix-datagram:///run/x; or
/// 127.0.0.1:53 and [::1]:53 alone. Nothing is looked up.
///
/// address  prepared by lariat_address_init; written.
/// text     bytes, ended by NUL.
/// errors   LARIAT_ERR_BAD_ENDPOINT for what is no address; the message shows the place.
/// thread   any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_address_parse(address: *mut lariat_address, text: *const c_char) -> lariat_status {
    guard::alone(|| {
        let place = structs::filled("address", address)?;
        let address = parse(convert::bytes_text("text", text)?)?;
        place.write(|size| lariat_address::of(&address, size));
        Ok(())
    })
}

fn parse(text: &[u8]) -> Result<Address> {
    let is_stream = [&b"tcp"[..], b"unix:", b"unix-abstract:"].iter().any(|scheme| text.starts_with(scheme));
    let parsed = match text.windows(3).any(|part| part == b"://") {
        true if is_stream => endpoint::parse(text, Purpose::Listen)?,
        true => endpoint::parse(text, Purpose::Datagrams)?,
        false => endpoint::parse(&[b"udp://", text].concat(), Purpose::Datagrams)?,
    };
    match (parsed.place, text.contains(&b'?')) {
        (Place::At(address), false) => Ok(address),
        _ => {
            let text = String::from_utf8_lossy(text);
            Err(Status::ERR_BAD_ENDPOINT.because(format_args!("{text}: this is not one address (at byte 0)")))
        }
    }
}

/// Writes an address as the endpoint that leads there: udp://127.0.0.1:53, udp://[::1]:53, unix-datagram:///run/x.
///
/// address   as it was received, parsed or filled in.
/// text      written, with a NUL behind it: as much as there is room for; may be NULL if capacity is 0.
/// capacity  how many bytes text has.
/// length    written: how many bytes there are, without the NUL; may be NULL.
/// errors    LARIAT_ERR_TOO_LONG when there was not enough room; LARIAT_ERR_INVALID_ARGUMENT when it is no address.
/// thread    any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_address_format(
    address: *const lariat_address,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> lariat_status {
    guard::alone(|| {
        let endpoint = read("address", address)?.endpoint(true);
        convert::write_text("text", (text, capacity), length, &endpoint)
    })
}
