//! Endpoints: one string that says where to listen or to connect, and how.
//!
//! ```text
//! tcp://example.org:80        tcp://[fe80::1%eth0]:80     tcp://*:0        tcp4:// and tcp6://: of that family alone
//! udp://127.0.0.1:53          udp4:// and udp6://
//! unix:///run/x.sock          unix-datagram:///run/x      paths are bytes; %XX stands for one that cannot be there
//! unix-abstract://name        unix-datagram-abstract://name
//! tls://example.org:853       https://example.org         and tls4:// and tls6://; https:// has port 443, http:// port 80
//! systemd://web               systemd://0                 by LISTEN_FDNAMES, or by place
//! ```
//!
//! Options follow a `?`, as `key=value` with `&` between them.

mod options;
mod parts;
#[cfg(test)]
mod tests;
mod tls_options;

pub use options::Options;
pub use tls_options::TlsOptions;

use crate::driver::sockets::Carries;
use crate::driver::{Address, Family};
use crate::status::{Result, Status};
use parts::Part;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an endpoint is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Taking connections.
    Listen,
    /// Making one.
    Connect,
    /// The own address of a datagram port.
    Datagrams,
}

/// Where it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// An address as the system takes it.
    At(Address),
    /// All addresses of this host, or those of one family.
    Any {
        /// None: both, on one socket.
        family: Option<Family>,
        /// 0: the system picks one.
        port: u16,
    },
    /// A name to be looked up.
    Name {
        /// The name.
        name: String,
        /// None: both.
        family: Option<Family>,
        /// Not 0.
        port: u16,
    },
    /// A socket that whoever started the process has opened.
    Inherited(Inherited),
}

impl Place {
    fn family(&self) -> Option<Family> {
        match self {
            Place::At(address) => Some(address.family()),
            Place::Any { family, .. } | Place::Name { family, .. } => *family,
            Place::Inherited(_) => None,
        }
    }
}

/// Which of the sockets that were passed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Inherited {
    /// By its place in the list, from 0 on.
    Index(usize),
    /// By its name.
    Name(String),
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Where it is.
    pub place: Place,
    /// How it is done.
    pub options: Options,
}

/// What is wrong, and at which byte.
struct Bad {
    at: usize,
    why: String,
}

type Parsed<T> = std::result::Result<T, Bad>;

fn bad<T>(at: usize, why: impl Into<String>) -> Parsed<T> {
    Err(Bad { at, why: why.into() })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Ip(Option<Family>),
    Tls(Option<Family>),
    Path,
    Abstract,
    Inherited,
}

struct Scheme {
    name: &'static str,
    form: Form,
    /// None: either.
    carries: Option<Carries>,
    /// Where no other is said.
    port: Option<u16>,
}

const fn scheme(name: &'static str, form: Form, carries: Option<Carries>) -> Scheme {
    Scheme { name, form, carries, port: None }
}

const fn with_port(name: &'static str, form: Form, port: u16) -> Scheme {
    Scheme { name, form, carries: Some(Carries::Stream), port: Some(port) }
}

const SCHEMES: [Scheme; 16] = [
    scheme("tcp", Form::Ip(None), Some(Carries::Stream)),
    scheme("tcp4", Form::Ip(Some(Family::V4)), Some(Carries::Stream)),
    scheme("tcp6", Form::Ip(Some(Family::V6)), Some(Carries::Stream)),
    scheme("tls", Form::Tls(None), Some(Carries::Stream)),
    scheme("tls4", Form::Tls(Some(Family::V4)), Some(Carries::Stream)),
    scheme("tls6", Form::Tls(Some(Family::V6)), Some(Carries::Stream)),
    with_port("http", Form::Ip(None), 80),
    with_port("https", Form::Tls(None), 443),
    scheme("udp", Form::Ip(None), Some(Carries::Datagrams)),
    scheme("udp4", Form::Ip(Some(Family::V4)), Some(Carries::Datagrams)),
    scheme("udp6", Form::Ip(Some(Family::V6)), Some(Carries::Datagrams)),
    scheme("unix", Form::Path, Some(Carries::Stream)),
    scheme("unix-abstract", Form::Abstract, Some(Carries::Stream)),
    scheme("unix-datagram", Form::Path, Some(Carries::Datagrams)),
    scheme("unix-datagram-abstract", Form::Abstract, Some(Carries::Datagrams)),
    scheme("systemd", Form::Inherited, None),
];

/// Reads an endpoint. A bad one is `ERR_BAD_ENDPOINT`, whose words show the place.
pub fn parse(text: &[u8], purpose: Purpose) -> Result<Endpoint> {
    read(text, purpose).map_err(|bad| {
        let text = String::from_utf8_lossy(text);
        Status::ERR_BAD_ENDPOINT.because(format_args!("{text}: {} (at byte {})", bad.why, bad.at))
    })
}

/// Words for TLS that is said in an endpoint, and beside it.
pub(super) fn said_twice(text: &[u8]) -> Status {
    let text = String::from_utf8_lossy(text);
    Status::ERR_BAD_ENDPOINT
        .because(format_args!("{text}: a TLS configuration was given, so the endpoint has no options of TLS"))
}

/// What an endpoint asked for was refused: the words name it.
pub(super) fn refused(text: &[u8], why: Status) -> Status {
    let words = crate::status::detail_of(why).unwrap_or_else(|| why.text().to_string_lossy().into_owned());
    why.because(format_args!("{}: {words}", String::from_utf8_lossy(text)))
}

/// Where datagrams go: an address of this kind of endpoint, nothing to be looked up.
pub fn parse_peer(text: &[u8]) -> Result<Address> {
    let endpoint = parse(text, Purpose::Datagrams)?;
    match endpoint.place {
        Place::At(address) if address.ip().is_none_or(|ip| ip.port() != 0) => Ok(address),
        _ => {
            let text = String::from_utf8_lossy(text);
            Err(Status::ERR_BAD_ENDPOINT.because(format_args!("{text}: nothing can be sent there (at byte 0)")))
        }
    }
}

fn read(text: &[u8], purpose: Purpose) -> Parsed<Endpoint> {
    let whole = Part::new(text);
    let Some((name, rest)) = whole.split_at_first(b"://") else {
        return bad(0, "there is no scheme, such as tcp:// or unix://");
    };
    let scheme = SCHEMES.iter().find(|scheme| scheme.name.as_bytes() == name.bytes());
    let Some(scheme) = scheme else { return bad(0, format!("{}:// is no scheme", name.lossy())) };
    check_purpose(scheme, purpose)?;
    let (place, options) = match rest.split_at_first(b"?") {
        Some((place, options)) => (place, Some(options)),
        None => (rest, None),
    };
    let place = read_place(scheme, place, purpose)?;
    let options = options::read(options, scheme.form, purpose, place.family())?;
    Ok(Endpoint { place, options })
}

fn check_purpose(scheme: &Scheme, purpose: Purpose) -> Parsed<()> {
    let name = scheme.name;
    let wanted = if purpose == Purpose::Datagrams { Carries::Datagrams } else { Carries::Stream };
    match scheme.carries {
        None if purpose == Purpose::Connect => bad(0, format!("{name}:// cannot be connected to")),
        Some(Carries::Stream) if wanted == Carries::Datagrams => bad(0, format!("{name}:// carries no datagrams")),
        Some(Carries::Datagrams) if wanted == Carries::Stream => bad(0, format!("{name}:// carries datagrams alone")),
        _ => Ok(()),
    }
}

fn read_place(scheme: &Scheme, place: Part, purpose: Purpose) -> Parsed<Place> {
    match scheme.form {
        Form::Ip(family) | Form::Tls(family) => read_ip_place(place, (family, scheme.port), purpose),
        Form::Path => place.path().map(Place::At),
        Form::Abstract => place.abstract_name().map(Place::At),
        Form::Inherited => read_inherited(place),
    }
}

fn read_ip_place(place: Part, (family, usual): (Option<Family>, Option<u16>), purpose: Purpose) -> Parsed<Place> {
    let (host, port_part) = place.host_and_port()?;
    let port = match (port_part, usual) {
        (Some(port), _) => port.port()?,
        (None, Some(port)) => port,
        (None, None) => return bad(place.end(), "there is no port"),
    };
    let connects = purpose == Purpose::Connect;
    if connects && port == 0 {
        return bad(port_part.map_or(place.at(), Part::at), "port 0 cannot be connected to");
    }
    if host.bytes() == b"*" {
        return if connects { bad(host.at(), "* cannot be connected to") } else { Ok(Place::Any { family, port }) };
    }
    if let Some(address) = host.ip(port)? {
        let address = Address::Ip(address);
        let fits = family.is_none_or(|family| family == address.family());
        return if fits { Ok(Place::At(address)) } else { bad(host.at(), "the address is of the other family") };
    }
    let name = host.name()?;
    if connects {
        return Ok(Place::Name { name: name.to_owned(), family, port });
    }
    // A name would have to be looked up first; this one is known.
    let loopback: IpAddr = match family {
        Some(Family::V6) => Ipv6Addr::LOCALHOST.into(),
        _ => Ipv4Addr::LOCALHOST.into(),
    };
    match name.eq_ignore_ascii_case("localhost") {
        true => Ok(Place::At(Address::Ip((loopback, port).into()))),
        false => bad(host.at(), format!("{name} is a name, where one of this host's addresses is needed")),
    }
}

fn read_inherited(place: Part) -> Parsed<Place> {
    let name = place.text()?;
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        let index = if name.is_empty() { Ok(0) } else { name.parse() };
        return match index {
            Ok(index) => Ok(Place::Inherited(Inherited::Index(index))),
            Err(_) => bad(place.at(), format!("{name} is no socket's place")),
        };
    }
    Ok(Place::Inherited(Inherited::Name(name.to_owned())))
}
