//! What an HTTP agent is asked for.

use super::convert::{self, invalid};
use super::guard;
use super::status::lariat_status;
use super::structs::{self, Versioned, fields};
use super::types::*;
use crate::handles::Owned;
use crate::platform;
use crate::protocol::http::Fields;
use crate::protocol::http::client::agent::Settings;
use crate::protocol::http::client::sending::{Content, Request, Stream, check_method};
use crate::protocol::http::url::{Scheme, Url};
use crate::status::{Result, Status};
use std::ffi::{c_char, c_void};
use std::ptr;
use std::rc::Rc;

/// Redirects are not followed: their responses are as good as others.
pub const LARIAT_HTTP_REQUEST_NO_REDIRECTS: u32 = 1;
/// A compressed body is neither asked for nor undone.
pub const LARIAT_HTTP_REQUEST_NO_DECOMPRESSION: u32 = 2;
/// The server is asked whether it wants the body before that is sent (Expect: 100-continue).
pub const LARIAT_HTTP_REQUEST_EXPECT_CONTINUE: u32 = 4;

/// Of body_length: nobody knows; the body goes in chunks. Twisted's UNKNOWN_LENGTH.
pub const LARIAT_HTTP_UNKNOWN_LENGTH: i64 = -1;

/// What an HTTP agent is asked for: to be filled by lariat_http_request_options_init and changed. All is copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_http_request_options {
    /// Set by lariat_http_request_options_init.
    pub struct_size: u32,
    /// LARIAT_HTTP_REQUEST_NO_REDIRECTS and so on, together; default 0.
    pub flags: u32,
    /// Such as "PUT". May be NULL: "GET" (default).
    pub method: *const c_char,
    /// Such as "https://example.org:8443/path?query"; must be set. User and password in it are sent as by user and password; a
    /// fragment is left out. A host is ASCII, as it is looked up.
    pub url: *const c_char,
    /// "Name: value" each, ended by NULL; they go before what the agent would say by itself. May be NULL (default). Not Content-Length,
    /// Transfer-Encoding and Expect, which follow from the rest.
    pub headers: *const *const c_char,
    /// The body; may be NULL if body_len is 0.
    pub body: *const u8,
    /// Bytes of body.
    pub body_len: usize,
    /// The file whose content is the body; the system's own bytes. May be NULL (default).
    pub body_path: *const c_char,
    /// Told when the body is wanted, which is written by lariat_http_exchange_write then. May be NULL (default): nobody writes it.
    pub start_producing: lariat_http_exchange_fn,
    /// Told when too much waits to be sent. May be NULL.
    pub pause_producing: lariat_http_exchange_fn,
    /// Told when there is room again. May be NULL.
    pub resume_producing: lariat_http_exchange_fn,
    /// Told once when no more is wanted although the body is not finished. May be NULL.
    pub stop_producing: lariat_http_exchange_fn,
    /// What these functions get; may be NULL.
    pub producer_data: *mut c_void,
    /// Frees producer_data, exactly once: when the request is over, or when the call that got these options fails. May be NULL.
    pub free_producer_data: lariat_free_fn,
    /// Bytes that start_producing will have written in the end; default LARIAT_HTTP_UNKNOWN_LENGTH.
    pub body_length: i64,
    /// For Basic authentication (RFC 7617), which anybody can read who sees the request; may be NULL (default).
    pub user: *const c_char,
    /// Goes with user; may be NULL: empty.
    pub password: *const c_char,
    /// Where to connect in place of what the URL says, as for lariat_reactor_connect, such as "unix:///run/app.sock"; by no
    /// proxy then. May be NULL (default).
    pub endpoint: *const c_char,
    /// Seconds that all of it may take, redirects and the body of the response included; or INFINITY; default -1: as the agent's options say.
    pub total_seconds: f64,
}

// SAFETY: repr(C), begins with struct_size, and holds numbers, pointers and optional functions.
unsafe impl Versioned for lariat_http_request_options {
    const FIELDS: &'static [usize] = fields!(lariat_http_request_options:
        struct_size flags method url headers body body_len body_path start_producing pause_producing resume_producing
        stop_producing producer_data free_producer_data body_length user password endpoint total_seconds);

    fn initial(struct_size: u32) -> Self {
        Self {
            struct_size,
            flags: 0,
            method: ptr::null(),
            url: ptr::null(),
            headers: ptr::null(),
            body: ptr::null(),
            body_len: 0,
            body_path: ptr::null(),
            start_producing: None,
            pause_producing: None,
            resume_producing: None,
            stop_producing: None,
            producer_data: ptr::null_mut(),
            free_producer_data: None,
            body_length: LARIAT_HTTP_UNKNOWN_LENGTH,
            user: ptr::null(),
            password: ptr::null(),
            endpoint: ptr::null(),
            total_seconds: -1.0,
        }
    }
}

/// Fills the options of a request with the defaults.
///
/// options      written.
/// struct_size  sizeof(lariat_http_request_options).
/// thread       any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_options_init(
    options: *mut lariat_http_request_options,
    struct_size: u32,
) -> lariat_status {
    guard::alone(|| structs::init("options", options, struct_size))
}

const FLAGS: u32 =
    LARIAT_HTTP_REQUEST_NO_REDIRECTS | LARIAT_HTTP_REQUEST_NO_DECOMPRESSION | LARIAT_HTTP_REQUEST_EXPECT_CONTINUE;

/// The options, with the producer's data owned from here on, also when they are refused.
pub(super) fn owned(options: *const lariat_http_request_options) -> Result<(lariat_http_request_options, Owned)> {
    let given = structs::read("options", options)?;
    let owned = convert::owned(given.producer_data, given.free_producer_data);
    structs::check_tail("options", options)?;
    Ok((given, owned))
}

/// The request as the core has it.
pub(super) fn request(given: &lariat_http_request_options, data: Owned, settings: &Settings) -> Result<Request> {
    let has = |flag| given.flags & flag != 0;
    if given.flags & !FLAGS != 0 {
        return Err(invalid(format_args!("options.flags is {:#x}, of which not all is known", given.flags)));
    }
    let method = convert::text("options.method", given.method)?.unwrap_or("GET");
    check_method(method)?;
    let url = url("options.url", given.url)?;
    let total_time = match given.total_seconds {
        -1.0 => settings.total_time,
        seconds => convert::wait("options.total_seconds", seconds)?,
    };
    Ok(Request {
        fields: headers(given.headers)?,
        content: content(given, data)?,
        endpoint: convert::text("options.endpoint", given.endpoint)?.map(str::to_owned),
        user: user(given, &url)?,
        total_time,
        redirects: if has(LARIAT_HTTP_REQUEST_NO_REDIRECTS) { 0 } else { settings.redirects },
        decompress: settings.decompress && !has(LARIAT_HTTP_REQUEST_NO_DECOMPRESSION),
        expect_continue: has(LARIAT_HTTP_REQUEST_EXPECT_CONTINUE),
        method: method.to_owned(),
        url,
    })
}

/// A URL that a request can be for.
pub(super) fn url(name: &str, text: *const c_char) -> Result<Url> {
    let url = Url::parse(convert::required_text(name, text)?)?;
    match url.scheme() {
        Scheme::Http | Scheme::Https => Ok(url),
        _ => Err(invalid(format_args!("\"{}\" is not of http or https", url.text()))),
    }
}

fn user(given: &lariat_http_request_options, url: &Url) -> Result<Option<(String, String)>> {
    let user = convert::text("options.user", given.user)?;
    let password = convert::text("options.password", given.password)?;
    let Some(user) = user else {
        let of_url = url.user().map(|(user, password)| (user.to_owned(), password.to_owned()));
        return if password.is_none() { Ok(of_url) } else { Err(invalid("options.password is set without user")) };
    };
    if user.contains(':') {
        return Err(invalid("options.user has a colon, which ends it"));
    }
    Ok(Some((user.to_owned(), password.unwrap_or_default().to_owned())))
}

fn headers(list: *const *const c_char) -> Result<Fields> {
    let mut fields = Fields::new();
    for line in convert::system_texts("options.headers", list)?.unwrap_or_default() {
        let line = line.as_bytes();
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return Err(invalid(format_args!("options.headers: \"{}\" has no colon", line.escape_ascii())));
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        let own = ["content-length", "transfer-encoding", "expect"];
        if own.iter().any(|own| name.eq_ignore_ascii_case(own.as_bytes())) {
            return Err(invalid(format_args!("options.headers: {} is the agent's to say", name.escape_ascii())));
        }
        if name.eq_ignore_ascii_case(b"host") && fields.has(b"host") {
            return Err(invalid("options.headers: Host is there twice"));
        }
        fields.add(name, value)?;
    }
    Ok(fields)
}

fn content(given: &lariat_http_request_options, data: Owned) -> Result<Content> {
    let bytes = convert::bytes("options.body", given.body, given.body_len)?;
    let has_bytes = !given.body.is_null();
    let functions = given.start_producing;
    let ways = usize::from(has_bytes) + usize::from(!given.body_path.is_null()) + usize::from(functions.is_some());
    if ways > 1 {
        return Err(invalid("options has more than one of body, body_path and start_producing"));
    }
    let length = convert::within("options.body_length", given.body_length, (LARIAT_HTTP_UNKNOWN_LENGTH, i64::MAX))?;
    let length = u64::try_from(length).ok();
    if functions.is_some() {
        return Ok(Content::Stream(Rc::new(Stream {
            start: convert::exchange_fn(given.start_producing),
            pause: convert::exchange_fn(given.pause_producing),
            resume: convert::exchange_fn(given.resume_producing),
            stop: convert::exchange_fn(given.stop_producing),
            length,
            data,
        })));
    }
    if !given.body_path.is_null() {
        let path = convert::bytes_text("options.body_path", given.body_path)?;
        let path = platform::path_of(path).ok_or_else(|| invalid("options.body_path is not valid UTF-8"))?;
        return Ok(Content::File(path));
    }
    if !has_bytes {
        return Ok(Content::None);
    }
    copied(bytes)
}

/// A body that is kept.
pub(super) fn copied(bytes: &[u8]) -> Result<Content> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| Status::ERR_NO_MEMORY)?;
    copy.extend_from_slice(bytes);
    Ok(Content::Bytes(Rc::new(copy)))
}
