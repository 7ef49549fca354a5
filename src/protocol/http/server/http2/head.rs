//! Heads: of a request as h2 has read it, and of a response as it sends it.

use super::super::carrier::{ResponseHead, Size};
use super::super::head::Most;
use super::super::message::{HTTP_2, Message, is_authority};
use crate::protocol::http::framing::{Length, number};
use crate::protocol::http::{Bad, Fields};
use crate::status::{Result, Status};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderName, HeaderValue, SERVER};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};

/// What a head says of what follows.
pub struct Head {
    pub body: Length,
    /// The client waits for a 100 before it sends the body.
    pub expects: bool,
}

const NO_MEMORY: Bad = Bad::too_large(503, "no memory");

/// Reads a head into an empty message. What RFC 9113, 8.2 and 8.3 want of it, h2 has seen to: pseudo-headers, names in lower case,
/// nothing that is about a connection of HTTP/1. `ended`: nothing follows.
pub fn read(head: &Parts, ended: bool, most: &Most, message: &mut Message) -> std::result::Result<Head, Bad> {
    message.minor = HTTP_2;
    let authority = head.uri.authority().map(|authority| authority.as_str().as_bytes());
    let is_connect = head.method == http::Method::CONNECT;
    let target = match head.uri.path_and_query() {
        Some(path) if !is_connect => path.as_str().as_bytes(),
        _ => authority.unwrap_or_default(),
    };
    if target.len() > most.line {
        return Err(Bad::too_large(414, "the path is too long"));
    }
    if !target.iter().all(|byte| *byte > b' ' && *byte < 127 && *byte != b'#') {
        return Err(Bad::request("a path with a byte that no URL has"));
    }
    message.set_target(head.method.as_str().as_bytes(), target)?;
    set_host(head, authority, message)?;
    if head.headers.len() > most.fields {
        return Err(Bad::too_large(431, "too many headers"));
    }
    push_fields(&head.headers, message)?;
    let length = content_length(&head.headers)?;
    let body = match (ended, length) {
        (true, None | Some(0)) => Length::None,
        (true, Some(_)) => return Err(Bad::request("a Content-Length without its body")),
        (false, Some(length)) => Length::Exactly(length),
        // Its frames tell.
        (false, None) => Length::Chunked,
    };
    if is_connect && body != Length::None {
        return Err(Bad::request("a body of CONNECT"));
    }
    Ok(Head { body, expects: expects(&head.headers, body)? })
}

/// The authority, under the name that it has in HTTP/1 as well; a Host besides must say the same (RFC 9113, 8.3.1).
fn set_host(head: &Parts, authority: Option<&[u8]>, message: &mut Message) -> std::result::Result<(), Bad> {
    let mut hosts = head.headers.get_all(http::header::HOST).iter().map(HeaderValue::as_bytes);
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Bad::request("more than one Host"));
    }
    let said = authority.or(host).ok_or(Bad::request("no authority and no Host"))?;
    if host.is_some_and(|host| !host.eq_ignore_ascii_case(said)) {
        return Err(Bad::request("a Host that is not the authority"));
    }
    if !is_authority(said) {
        return Err(Bad::request("an authority that is none"));
    }
    match host {
        Some(_) => Ok(()),
        None => message.fields.push(b"host", said).map_err(|_| NO_MEMORY),
    }
}

/// A cookie may come in pieces (8.2.3), which are one again.
fn push_fields(headers: &HeaderMap, message: &mut Message) -> std::result::Result<(), Bad> {
    for (name, value) in headers {
        if name != http::header::COOKIE {
            message.fields.push(name.as_str().as_bytes(), value.as_bytes()).map_err(|_| NO_MEMORY)?;
        }
    }
    let pieces = headers.get_all(http::header::COOKIE).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
    match &pieces[..] {
        [] => Ok(()),
        pieces => message.fields.push(b"cookie", &pieces.join(&b"; "[..])).map_err(|_| NO_MEMORY),
    }
}

fn content_length(headers: &HeaderMap) -> std::result::Result<Option<u64>, Bad> {
    let mut all = headers.get_all(CONTENT_LENGTH).iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some(one), None) => number(one.as_bytes()).map(Some),
        _ => Err(Bad::request("more than one Content-Length")),
    }
}

fn expects(headers: &HeaderMap, body: Length) -> std::result::Result<bool, Bad> {
    let mut all = headers.get_all(http::header::EXPECT).iter().peekable();
    let expects = all.peek().is_some();
    if all.any(|value| !value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Err(Bad { code: 417, text: "an expectation that is not 100-continue" });
    }
    Ok(expects && body != Length::None && body != Length::Exactly(0))
}

/// What every response says besides.
pub struct Own<'a> {
    pub date: Option<&'a [u8]>,
    pub server: &'a [u8],
}

/// The head of a response.
pub fn write(head: &ResponseHead, own: &Own) -> Result<Response<()>> {
    let mut headers = HeaderMap::new();
    if let Some(date) = own.date.filter(|_| !head.has_date) {
        add(&mut headers, DATE, date)?;
    }
    if !own.server.is_empty() && !head.has_server {
        add(&mut headers, SERVER, own.server)?;
    }
    if let Some(content_type) = head.content_type {
        add(&mut headers, CONTENT_TYPE, content_type)?;
    }
    if let Size::Exactly(length) = head.size {
        add(&mut headers, CONTENT_LENGTH, length.to_string().as_bytes())?;
    }
    add_fields(&mut headers, head.fields)?;
    made(head.code, headers)
}

/// The head of an interim response.
pub fn write_interim(code: u16, fields: &Fields) -> Result<Response<()>> {
    let mut headers = HeaderMap::new();
    add_fields(&mut headers, fields)?;
    made(code, headers)
}

fn made(code: u16, headers: HeaderMap) -> Result<Response<()>> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(code).map_err(|_| Status::ERR_INVALID_ARGUMENT)?;
    *response.headers_mut() = headers;
    Ok(response)
}

fn add_fields(headers: &mut HeaderMap, fields: &Fields) -> Result {
    for (name, value) in fields.iter() {
        let name = HeaderName::from_bytes(name).map_err(|_| Status::ERR_INVALID_ARGUMENT)?;
        // What is about a connection of HTTP/1 has no place here (8.2.2).
        if !matches!(
            name.as_str(),
            "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade" | "te"
        ) {
            add(headers, name, value)?;
        }
    }
    Ok(())
}

fn add(headers: &mut HeaderMap, name: HeaderName, value: &[u8]) -> Result {
    let value = HeaderValue::from_bytes(value).map_err(|_| Status::ERR_INVALID_ARGUMENT)?;
    headers.try_append(name, value).map(drop).map_err(|_| Status::ERR_TOO_LONG.because("too many headers"))
}
