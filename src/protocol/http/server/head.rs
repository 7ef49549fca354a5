//! Reads the head of a request: by httparse, and to the letter of RFC 9112 where that is lenient.

use super::message::{Message, is_authority};
use crate::protocol::http::Bad;
use crate::protocol::http::framing::{self, Length};
use httparse::{EMPTY_HEADER, Error, Header, Status};
use memchr::memchr;
use std::mem::MaybeUninit;

/// No head has more headers than this, whatever the limit.
pub const MOST_FIELDS: usize = 256;
/// As many as there is room for without asking for more.
const FEW: usize = 32;

/// How much a head may be.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    /// Bytes of the first line.
    pub line: usize,
    /// Bytes of all headers.
    pub bytes: usize,
    /// Headers.
    pub fields: usize,
}

impl Default for Most {
    fn default() -> Self {
        Self { line: 8 << 10, bytes: 32 << 10, fields: 100 }
    }
}

/// What a head says of what follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// How many bytes it has.
    pub length: usize,
    /// How the body is framed.
    pub body: Length,
    /// Whether the client keeps the connection for another request.
    pub keeps: bool,
    /// Whether the client waits for a 100 before it sends the body.
    pub expects: bool,
}

/// Reads the head at the beginning of `bytes` into an empty message. None: it is not all there. `seen`: how far it was
/// looked at before; 0 at first.
pub fn read(bytes: &[u8], seen: &mut usize, most: &Most, message: &mut Message) -> Result<Option<Head>, Bad> {
    // One empty line before a request is forgiven (RFC 9112, 2.2).
    let skipped = match bytes {
        [b'\r', b'\n', ..] => 2,
        [b'\r'] => return Ok(None),
        _ => 0,
    };
    let rest = &bytes[skipped..];
    let Some(end) = framing::end_of_head(rest, seen)? else {
        check_sizes(rest, memchr(b'\n', rest).map(|at| at + 1), most)?;
        return Ok(None);
    };
    *seen = 0;
    let head = &rest[..end];
    check_sizes(head, memchr(b'\n', head).map(|at| at + 1), most)?;
    let found = parse(head, most, message)?;
    let mut head = decide(message, found)?;
    head.length = skipped + end;
    Ok(Some(head))
}

fn check_sizes(head: &[u8], line: Option<usize>, most: &Most) -> Result<(), Bad> {
    let line = line.unwrap_or(head.len());
    if line > most.line + 2 {
        return Err(Bad::too_large(414, "the request line is too long"));
    }
    if head.len() - line > most.bytes {
        return Err(Bad::too_large(431, "the headers are too large"));
    }
    Ok(())
}

/// Which of the headers that decide something are there.
#[derive(Clone, Copy, Default)]
struct Found {
    hosts: u32,
    framing: bool,
    connection: bool,
    expect: bool,
}

fn parse(head: &[u8], most: &Most, message: &mut Message) -> Result<Found, Bad> {
    let mut few = [const { MaybeUninit::<Header>::uninit() }; FEW];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(head, &mut few) {
        Err(Error::TooManyHeaders) => {
            let mut many = [EMPTY_HEADER; MOST_FIELDS];
            let mut request = httparse::Request::new(&mut many);
            let parsed = request.parse(head);
            take(head, parsed, &request, most, message)
        }
        parsed => take(head, parsed, &request, most, message),
    }
}

fn take(
    head: &[u8],
    parsed: httparse::Result<usize>,
    request: &httparse::Request,
    most: &Most,
    message: &mut Message,
) -> Result<Found, Bad> {
    match parsed {
        Ok(Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(Bad::request("a head that ends in two places")),
        Err(why) => return Err(refused(head, why)),
    }
    if request.headers.len() > most.fields {
        return Err(Bad::too_large(431, "too many headers"));
    }
    let (method, target) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
    // Whatever else there is between the words of the line was dropped by the parser.
    let line = method.len() + target.len() + " HTTP/1.1 \r\n".len();
    if head.len() < line || &head[line - 2..line] != b"\r\n" {
        return Err(Bad::request("a request line with more than single spaces"));
    }
    if !target.bytes().all(|byte| byte > b' ' && byte < 127 && byte != b'#') {
        return Err(Bad::request("a target with a byte that no URL has"));
    }
    message.minor = request.version.unwrap_or_default();
    message.set_target(method.as_bytes(), target.as_bytes())?;
    let mut found = Found::default();
    for field in request.headers.iter() {
        note(field.name.as_bytes(), &mut found);
        message.fields.push(field.name.as_bytes(), field.value).map_err(|_| Bad::too_large(503, "no memory"))?;
    }
    Ok(found)
}

#[cold]
fn refused(head: &[u8], why: Error) -> Bad {
    match why {
        Error::TooManyHeaders => Bad::too_large(431, "too many headers"),
        Error::Version if is_other_version(head) => {
            Bad { code: 505, text: "a version of HTTP that is not spoken here" }
        }
        Error::Version => Bad::request("a request line without a version"),
        Error::HeaderName => Bad::request("a header's name that is none"),
        Error::HeaderValue => Bad::request("a header's value with a control character"),
        Error::Token => Bad::request("a request line that is none"),
        Error::NewLine => Bad::request("a line that does not end in CR LF"),
        Error::Status => Bad::request("a status line where a request is expected"),
    }
}

/// Whether the request line is as it should be, but for the version.
fn is_other_version(head: &[u8]) -> bool {
    let line = &head[..memchr(b'\r', head).unwrap_or(head.len())];
    let words = line.split(|byte| *byte == b' ').collect::<Vec<_>>();
    match words[..] {
        [_, target, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]] => {
            !target.is_empty() && major.is_ascii_digit() && minor.is_ascii_digit()
        }
        _ => false,
    }
}

#[inline]
fn note(name: &[u8], found: &mut Found) {
    match name.len() {
        4 if name.eq_ignore_ascii_case(b"host") => found.hosts += 1,
        6 if name.eq_ignore_ascii_case(b"expect") => found.expect = true,
        10 if name.eq_ignore_ascii_case(b"connection") => found.connection = true,
        14 if name.eq_ignore_ascii_case(b"content-length") => found.framing = true,
        17 if name.eq_ignore_ascii_case(b"transfer-encoding") => found.framing = true,
        _ => {}
    }
}

fn decide(message: &Message, found: Found) -> Result<Head, Bad> {
    let (minor, fields) = (message.minor, &message.fields);
    if found.hosts > 1 {
        return Err(Bad::request("more than one Host"));
    }
    if found.hosts == 0 && minor >= 1 {
        return Err(Bad::request("no Host"));
    }
    if found.hosts == 1 && !is_authority(fields.get(b"host").unwrap_or_default()) {
        return Err(Bad::request("a Host that is none"));
    }
    let body = if found.framing { framing::request_body(minor, fields)? } else { Length::None };
    if body != Length::None && message.method() == b"CONNECT" {
        return Err(Bad::request("a body of CONNECT"));
    }
    let keeps = if found.connection { framing::is_persistent(minor, fields) } else { minor >= 1 };
    let mut expects = false;
    if found.expect && minor >= 1 {
        if fields.all(b"expect").any(|value| !value.eq_ignore_ascii_case(b"100-continue")) {
            return Err(Bad { code: 417, text: "an expectation that is not 100-continue" });
        }
        expects = body != Length::None && body != Length::Exactly(0);
    }
    Ok(Head { length: 0, body, keeps, expects })
}
