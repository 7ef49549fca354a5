//! The parts of an endpoint's text, each with its place in it.

use super::{Parsed, bad};
use crate::driver::{Address, UnixAddress};
use crate::platform;
use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The longest name, as the DNS has it.
const LONGEST_NAME: usize = 253;
/// The longest label of a name.
const LONGEST_LABEL: usize = 63;

/// Some of the text's bytes.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Part<'a> {
    /// All of it.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Where it begins.
    pub(super) fn at(self) -> usize {
        self.at
    }

    /// Where it ends.
    pub(super) fn end(self) -> usize {
        self.at + self.bytes.len()
    }

    /// For messages.
    pub(super) fn lossy(self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.bytes)
    }

    fn from(self, start: usize) -> Self {
        Self { bytes: &self.bytes[start..], at: self.at + start }
    }

    fn to(self, end: usize) -> Self {
        Self { bytes: &self.bytes[..end], at: self.at }
    }

    /// What is before and after the first of these.
    pub(super) fn split_at_first(self, mark: &[u8]) -> Option<(Self, Self)> {
        let place = self.bytes.windows(mark.len()).position(|window| window == mark)?;
        Some((self.to(place), self.from(place + mark.len())))
    }

    fn split_at_last(self, mark: u8) -> Option<(Self, Self)> {
        let place = self.bytes.iter().rposition(|byte| *byte == mark)?;
        Some((self.to(place), self.from(place + 1)))
    }

    /// As text.
    pub(super) fn text(self) -> Parsed<&'a str> {
        match std::str::from_utf8(self.bytes) {
            Ok(text) => match text.find(|character: char| character.is_control()) {
                Some(place) => bad(self.at + place, "there is a control character"),
                None => Ok(text),
            },
            Err(error) => bad(self.at + error.valid_up_to(), "this is not valid UTF-8"),
        }
    }

    /// The host, out of its brackets, and the port if there is one.
    pub(super) fn host_and_port(self) -> Parsed<(Self, Option<Self>)> {
        if self.bytes.first() == Some(&b'[') {
            let Some((host, rest)) = self.from(1).split_at_first(b"]") else {
                return bad(self.at, "the [ is never closed");
            };
            if !host.bytes.contains(&b':') {
                return bad(host.at, format!("{} is not an IPv6 address", host.lossy()));
            }
            return match rest.bytes.first() {
                None => Ok((host, None)),
                Some(b':') => Ok((host, Some(rest.from(1)))),
                Some(_) => bad(rest.at, "after the ] comes a : and the port"),
            };
        }
        match self.split_at_last(b':') {
            None => Ok((self, None)),
            Some((host, _)) if host.bytes.contains(&b':') => bad(self.at, "an IPv6 address is written in [ and ]"),
            Some((host, port)) => Ok((host, Some(port))),
        }
    }

    /// A number of the port's size.
    pub(super) fn port(self) -> Parsed<u16> {
        if self.bytes.is_empty() {
            return bad(self.at, "there is no port");
        }
        let text = self.text()?;
        if let Some(place) = text.find(|character: char| !character.is_ascii_digit()) {
            return bad(self.at + place, format!("port {text} is not a number"));
        }
        text.parse().or_else(|_| bad(self.at, format!("port {text} is over 65535")))
    }

    /// An IP address, with this port; None: it is a name.
    pub(super) fn ip(self, port: u16) -> Parsed<Option<SocketAddr>> {
        let text = self.text()?;
        if text.contains(':') {
            return self.ipv6(text, port).map(Some);
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Some((address, port).into()));
        }
        // Some systems take such for an address, each for another one.
        let last = text.trim_end_matches('.').rsplit('.').next().unwrap_or("");
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number(last) || last.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("0x")) {
            return bad(self.at, format!("{text} is not an IPv4 address"));
        }
        Ok(None)
    }

    fn ipv6(self, text: &str, port: u16) -> Parsed<SocketAddr> {
        let (address, zone) = match text.split_once('%') {
            Some((address, zone)) => (address, Some(zone)),
            None => (text, None),
        };
        let Ok(address) = address.parse::<Ipv6Addr>() else {
            return bad(self.at, format!("{text} is not an IPv6 address"));
        };
        let scope = match zone {
            None => 0,
            Some(zone) => match zone.parse().ok().or_else(|| platform::interface_index(zone)) {
                Some(index) => index,
                None => return bad(self.end() - zone.len(), format!("there is no network interface {zone}")),
            },
        };
        Ok(SocketAddrV6::new(address, port, 0, scope).into())
    }

    /// A name that can be looked up.
    pub(super) fn name(self) -> Parsed<&'a str> {
        let text = self.text()?;
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return bad(self.at, "there is no host");
        }
        let odd = |character: char| !(character.is_alphanumeric() || matches!(character, '-' | '_' | '.'));
        if let Some(place) = name.find(odd) {
            let character = name[place..].chars().next().unwrap_or_default();
            return bad(self.at + place, format!("a host has no {character:?}"));
        }
        if name.len() > LONGEST_NAME {
            return bad(self.at, format!("the host has {} bytes, {LONGEST_NAME} is the most", name.len()));
        }
        let fits = |label: &str| !label.is_empty() && label.chars().count() <= LONGEST_LABEL;
        match name.split('.').all(fits) {
            true => Ok(text),
            false => bad(self.at, format!("between dots a host has from 1 to {LONGEST_LABEL} characters")),
        }
    }

    /// The path of a Unix socket.
    pub(super) fn path(self) -> Parsed<Address> {
        let path = self.decoded()?;
        if path.is_empty() {
            return bad(self.at, "there is no path");
        }
        if path.contains(&0) {
            return bad(self.at, "a path has no zero byte");
        }
        self.unix(&path, "path", path.len())
    }

    /// A name of the abstract namespace.
    pub(super) fn abstract_name(self) -> Parsed<Address> {
        let name = self.decoded()?;
        if name.is_empty() {
            return bad(self.at, "there is no name");
        }
        self.unix(&[b"\0", &*name].concat(), "name", name.len())
    }

    fn unix(self, name: &[u8], what: &str, length: usize) -> Parsed<Address> {
        let most = crate::driver::address::UNIX_PATH - 1;
        match UnixAddress::new(name) {
            Some(address) => Ok(Address::Unix(address)),
            None => bad(self.at, format!("the {what} has {length} bytes, {most} is the most")),
        }
    }

    /// The bytes, with what is written as %XX.
    pub(super) fn decoded(self) -> Parsed<Vec<u8>> {
        let digit = |place: usize| self.bytes.get(place).and_then(|byte| char::from(*byte).to_digit(16));
        let (mut bytes, mut place) = (Vec::with_capacity(self.bytes.len()), 0);
        while let Some(byte) = self.bytes.get(place) {
            if *byte != b'%' {
                bytes.push(*byte);
                place += 1;
                continue;
            }
            let (Some(high), Some(low)) = (digit(place + 1), digit(place + 2)) else {
                return bad(self.at + place, "after % come two hexadecimal digits; % itself is %25");
            };
            bytes.push((high * 16 + low) as u8);
            place += 3;
        }
        Ok(bytes)
    }

    /// An IP address, with or without a port.
    pub(super) fn own_address(self) -> Parsed<Address> {
        let no_brackets = self.bytes.first() != Some(&b'[');
        let several = self.bytes.iter().filter(|byte| **byte == b':').count() > 1;
        let (host, port) = if no_brackets && several { (self, None) } else { self.host_and_port()? };
        let port = port.map_or(Ok(0), Part::port)?;
        match host.ip(port)? {
            Some(address) => Ok(Address::Ip(address)),
            None => bad(host.at, format!("{} is not an IP address", host.lossy())),
        }
    }
}
