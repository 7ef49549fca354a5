//! A request's head as it was read, and the response as far as it is made: one box that a server uses again and again.

use super::request::Producer;
use crate::handles::{Owned, Word};
use crate::protocol::http::{Bad, Fields, fields};
use crate::status::{Result, Status};

/// A part of a message's text, with a NUL behind it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Span {
    start: u32,
    length: u32,
}

/// See the module. Emptied, it keeps its room.
#[derive(Default)]
pub struct Message {
    /// Method, target, path, query and host, each with a NUL behind it.
    text: Vec<u8>,
    method: Span,
    target: Span,
    /// As it was sent, from the first slash on.
    raw_path: Span,
    path: Span,
    query: Option<Span>,
    host: Option<Span>,
    /// The minor version of HTTP/1, or 255: HTTP/2.
    pub minor: u8,
    /// The request's headers.
    pub fields: Fields,
    /// The names and values of the query's parameters; made when first asked for.
    pub(super) parameters: Option<Fields>,
    /// What the router's pattern has found: the names are the pattern's.
    pub(super) route: Fields,
    /// The body, where it is collected; with a NUL behind it once it is there.
    pub(super) body: Vec<u8>,
    /// The response's headers.
    pub(super) response: Fields,
    /// Told to whoever writes the response's body.
    pub(super) producer: Option<Producer>,
    /// Told of the request's body as it comes.
    pub(super) body_functions: Option<super::body::Functions>,
    /// The host's own.
    pub(super) user_data: Owned,
    /// Of the event that tells of it.
    pub(super) tag: u64,
}

/// A message that grew larger than this is not kept.
const KEPT: usize = 64 * 1024;
/// The minor version that stands for HTTP/2.
pub const HTTP_2: u8 = 255;

impl Message {
    /// Empties it; false: it has grown so large that it is better thrown away.
    pub(super) fn clear(&mut self) -> bool {
        self.text.clear();
        (self.query, self.host) = (None, None);
        self.fields.clear();
        self.response.clear();
        self.route.clear();
        self.body.clear();
        self.parameters = None;
        self.text.capacity() + self.fields.size() + self.body.capacity() <= KEPT
    }

    fn add(&mut self, bytes: &[u8]) -> Span {
        let start = self.text.len() as u32;
        self.text.extend_from_slice(bytes);
        self.text.push(0);
        Span { start, length: bytes.len() as u32 }
    }

    fn bytes(&self, span: Span) -> &[u8] {
        &self.text[span.start as usize..(span.start + span.length) as usize]
    }

    /// Takes method and target (RFC 9112, 3.2), and what the target says: path, query and host.
    pub fn set_target(&mut self, method: &[u8], target: &[u8]) -> std::result::Result<(), Bad> {
        // Once, so that nothing that was lent moves.
        self.text.try_reserve(method.len() + 4 * target.len() + 16).map_err(|_| Bad::too_large(503, "no memory"))?;
        self.method = self.add(method);
        self.target = self.add(target);
        let is_connect = method == b"CONNECT";
        if is_connect {
            if !is_authority(target) || !target.contains(&b':') {
                return Err(Bad::request("a target of CONNECT that is no host and port"));
            }
            self.host = Some(self.add(target));
            (self.raw_path, self.path) = (self.target, self.target);
            return Ok(());
        }
        if target == b"*" {
            if method != b"OPTIONS" {
                return Err(Bad::request("a target of * that is not of OPTIONS"));
            }
            (self.raw_path, self.path) = (self.target, self.target);
            return Ok(());
        }
        let path = match target.first() {
            Some(b'/') => target,
            _ => self.set_absolute(target)?,
        };
        self.set_path(path)
    }

    /// The authority of a request whose target has none of its own: of HTTP/2.
    pub fn set_host(&mut self, host: &[u8]) -> std::result::Result<(), Bad> {
        if !is_authority(host) {
            return Err(Bad::request("an authority that is no host"));
        }
        self.host = Some(self.add(host));
        Ok(())
    }

    /// "http://host/path": returns the path.
    fn set_absolute<'a>(&mut self, target: &'a [u8]) -> std::result::Result<&'a [u8], Bad> {
        let scheme = [&b"http://"[..], b"https://"]
            .into_iter()
            .find(|scheme| target.len() > scheme.len() && target[..scheme.len()].eq_ignore_ascii_case(scheme));
        let Some(scheme) = scheme else { return Err(Bad::request("a target that is neither a path nor a URL")) };
        let rest = &target[scheme.len()..];
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
        let (host, path) = rest.split_at(end);
        if !is_authority(host) {
            return Err(Bad::request("a target whose host is none"));
        }
        self.host = Some(self.add(host));
        Ok(path)
    }

    fn set_path(&mut self, target: &[u8]) -> std::result::Result<(), Bad> {
        let (path, query) = match memchr::memchr(b'?', target) {
            Some(at) => (&target[..at], Some(&target[at + 1..])),
            None => (target, None),
        };
        self.raw_path = self.add(if path.is_empty() { b"/" } else { path });
        self.query = query.map(|query| self.add(query));
        if memchr::memchr(b'%', path).is_none() {
            self.path = self.raw_path;
            return Ok(());
        }
        let start = self.text.len();
        if !decode_into(&mut self.text, path, false) {
            return Err(Bad::request("a path whose percent-encoding is none"));
        }
        self.path = Span { start: start as u32, length: (self.text.len() - start) as u32 };
        self.text.push(0);
        Ok(())
    }

    /// Such as GET.
    pub fn method(&self) -> &[u8] {
        self.bytes(self.method)
    }

    /// As it was sent.
    pub fn target(&self) -> &[u8] {
        self.bytes(self.target)
    }

    /// Percent-decoded, without the query.
    pub fn path(&self) -> &[u8] {
        self.bytes(self.path)
    }

    /// The path as it was sent.
    pub fn raw_path(&self) -> &[u8] {
        self.bytes(self.raw_path)
    }

    /// What is behind the question mark, as it was sent.
    pub fn query(&self) -> Option<&[u8]> {
        self.query.map(|query| self.bytes(query))
    }

    /// The target's host, else the header's.
    pub fn host(&self) -> Option<&[u8]> {
        match self.host {
            Some(host) => Some(self.bytes(host)),
            None => self.fields.get(b"host"),
        }
    }

    /// What the router's pattern has found for a parameter.
    pub fn parameter(&self, name: &[u8]) -> Option<&[u8]> {
        self.route.iter().find(|(its, _)| *its == name).map(|(_, value)| value)
    }

    /// The host's own.
    pub fn user_data(&self) -> Word {
        self.user_data.word()
    }

    /// The first value of a parameter in the query, decoded as a form's (`+` is a space).
    pub fn query_parameter(&mut self, name: &[u8]) -> Result<Option<&[u8]>> {
        if self.parameters.is_none() {
            self.parameters = Some(self.read_query()?);
        }
        Ok(self
            .parameters
            .as_ref()
            .and_then(|parameters| parameters.iter().find(|(its, _)| *its == name))
            .map(|(_, value)| value))
    }

    fn read_query(&self) -> Result<Fields> {
        let mut read = Fields::new();
        let mut part = Vec::new();
        for pair in self.query().unwrap_or_default().split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let at = memchr::memchr(b'=', pair);
            let (name, value) = at.map_or((pair, &b""[..]), |at| (&pair[..at], &pair[at + 1..]));
            part.clear();
            part.try_reserve(pair.len()).map_err(|_| Status::ERR_NO_MEMORY)?;
            // What is no encoding is not a parameter: text for C has no NUL inside.
            if decode_into(&mut part, name, true) {
                let end = part.len();
                if decode_into(&mut part, value, true) {
                    read.push(&part[..end], &part[end..])?;
                }
            }
        }
        Ok(read)
    }
}

/// Adds `text` percent-decoded to `out`; false: something in it is no encoding, or a NUL.
pub fn decode_into(out: &mut Vec<u8>, text: &[u8], plus_is_space: bool) -> bool {
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(|digit| (*digit as char).to_digit(16));
                let (Some(high), Some(low)) = (digit(), digit()) else { return false };
                (high << 4 | low) as u8
            }
            b'+' if plus_is_space => b' ',
            byte => byte,
        };
        if byte == 0 {
            return false;
        }
        out.push(byte);
    }
    true
}

/// Whether this is a host and maybe a port (RFC 3986, 3.2.2 and 3.2.3), without a user.
pub fn is_authority(text: &[u8]) -> bool {
    let (host, port) = if let Some(rest) = text.strip_prefix(b"[") {
        let Some(end) = memchr::memchr(b']', rest) else { return false };
        let inside = std::str::from_utf8(&rest[..end]).is_ok_and(|inside| inside.parse::<std::net::Ipv6Addr>().is_ok());
        if !inside {
            return false;
        }
        (&rest[..end], &rest[end + 1..])
    } else {
        let end = memchr::memchr(b':', text).unwrap_or(text.len());
        if !text[..end].iter().all(|byte| is_name_byte(*byte)) {
            return false;
        }
        text.split_at(end)
    };
    let port_is_one = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    !host.is_empty() && port_is_one
}

/// What a registered name is made of: unreserved, sub-delims and the percent sign.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte)
}

/// Whether these can be a header of a response that the host sets.
pub(super) fn check_field(name: &[u8], value: &[u8]) -> Result {
    if fields::is_token(name) && fields::is_value(value) {
        return Ok(());
    }
    let why = format_args!("\"{}\" with \"{}\" is no header", name.escape_ascii(), value.escape_ascii());
    Err(Status::ERR_INVALID_ARGUMENT.because(why))
}
