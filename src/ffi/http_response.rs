//! Responses of HTTP: what a request is answered with.

use super::convert::{self, invalid};
use super::guard;
use super::protocol::{self, lariat_protocol};
use super::status::lariat_status;
use super::structs::{self, Versioned, fields};
use super::types::*;
use crate::handles::{Item, Owned, Word};
use crate::net::transport::Transport;
use crate::protocol::http::server::request::{self, Producer};
use crate::protocol::http::server::{file, waiting};
use crate::status::{Result, Status};
use std::ffi::{c_char, c_void};
use std::rc::Rc;

/// Text of the library's as C reads it.
pub(super) fn text_of(word: Word) -> *const c_char {
    word.pointer::<c_char>().cast_const()
}

/// A code that a final response can have.
fn code(code: i32) -> Result<u16> {
    match code {
        200..=599 => Ok(code as u16),
        _ => Err(invalid(format_args!("code is {code}; it must be from 200 to 599"))),
    }
}

fn optional<'call>(name: &str, text: *const c_char) -> Result<Option<&'call [u8]>> {
    if text.is_null() { Ok(None) } else { convert::bytes_text(name, text).map(Some) }
}

/// Answers a request with all of a response: the headers that were set, and this body.
///
/// code          200 to 599.
/// content_type  such as "text/html; charset=utf-8"; may be NULL: none is said.
/// data          the body, copied; may be NULL if len is 0. A response to HEAD says its length and leaves it out; with 204
///               and 304 it is left out.
/// len           how many bytes data has.
/// errors        LARIAT_ERR_INVALID_STATE when the response was begun, or is finished; LARIAT_ERR_CLOSED when the client is
///               gone.
/// thread        the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_respond(
    request: *mut lariat_http_request,
    code: i32,
    content_type: *const c_char,
    data: *const u8,
    len: usize,
) -> lariat_status {
    guard::on(request, |request| {
        let data = convert::bytes("data", data, len)?;
        request::check_promised(request)?;
        request::respond(request, self::code(code)?, optional("content_type", content_type)?, data)
    })
}

/// Answers a request by sending the client elsewhere.
///
/// code      301, 302, 303, 307 or 308.
/// location  a URL, or a path.
/// errors    as of lariat_http_request_respond.
/// thread    the reactor's.
/// Twisted   Request.redirect.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_redirect(
    request: *mut lariat_http_request,
    code: i32,
    location: *const c_char,
) -> lariat_status {
    guard::on(request, |request| {
        if !matches!(code, 301..=303 | 307 | 308) {
            return Err(invalid(format_args!("code is {code}; a redirection is 301, 302, 303, 307 or 308")));
        }
        request::check_promised(request)?;
        request::redirect(request, code as u16, convert::bytes_text("location", location)?)
    })
}

/// Answers a request with a file, opened on the thread pool and sent without copying it where the system can. It has an
/// ETag and a Last-Modified, and conditions (If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, If-Range)
/// and ranges are answered as they are asked: with 200, 206, 304, 412 or 416; several ranges as multipart/byteranges. One
/// that is not there is answered with 404, one that may not be read with 403.
///
/// directory     what the path may not lead out of: not by "..", not by a symbolic link (where the system can say so), not
///               by being absolute; may be NULL: path is any, and trusted.
/// path          of the file; below directory, if there is one.
/// content_type  may be NULL: by the file's name.
/// errors        LARIAT_ERR_INVALID_STATE when the response was begun, or is finished; LARIAT_ERR_NOT_SUPPORTED by a
///               simulated reactor. Whatever becomes of the file is answered.
/// thread        the reactor's.
/// Twisted       twisted.web.static.File.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_respond_file(
    request: *mut lariat_http_request,
    directory: *const c_char,
    path: *const c_char,
    content_type: *const c_char,
) -> lariat_status {
    guard::on(request, |request| {
        let directory = optional("directory", directory)?;
        let (path, content_type) = (convert::bytes_text("path", path)?, optional("content_type", content_type)?);
        file::respond(request, directory, path, content_type)
    })
}

/// Answers a request with what a Deferred gives: a lariat_bytes, or text that ends with NUL, or NULL for no body. What it
/// owns is freed afterwards. Its failure is answered as a handler's is. It is cancelled when the client is gone.
///
/// code          200 to 599.
/// content_type  may be NULL.
/// deferred      of the same reactor; handed over, unless this fails.
/// errors        LARIAT_ERR_INVALID_STATE when the response was begun, or is finished; LARIAT_ERR_ALREADY_WAITED and so on
///               when the Deferred cannot be waited for.
/// thread        the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_respond_deferred(
    request: *mut lariat_http_request,
    code: i32,
    content_type: *const c_char,
    deferred: *mut lariat_deferred,
) -> lariat_status {
    guard::on(request, |request| {
        crate::handles::get::<crate::deferred::Deferred>(Word::new(deferred))?;
        let (code, content_type) = (self::code(code)?, optional("content_type", content_type)?);
        waiting::respond(request, code, content_type, Word::new(deferred), host_text)
    })
}

/// The text that a Deferred gives.
fn host_text(text: &Word) -> &[u8] {
    convert::bytes_text("value", text_of(*text)).unwrap_or_default()
}

/// Sets the code of a response that is written piece by piece. Default 200.
///
/// code    200 to 599.
/// errors  LARIAT_ERR_INVALID_STATE when its head was sent.
/// thread  the reactor's.
/// Twisted Request.setResponseCode.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_set_response_code(request: *mut lariat_http_request, code: i32) -> lariat_status {
    guard::on(request, |request| request::set_code(request, self::code(code)?))
}

/// Sets a header of the response, in place of those of its name. Content-Length says how long a body is that is written
/// piece by piece (without it, it is sent in chunks); "Connection: close" has the connection closed afterwards;
/// Transfer-Encoding, and anything else of Connection, are the connection's own affair.
///
/// name    a token.
/// value   without control characters: nothing in it can end the line.
/// errors  LARIAT_ERR_INVALID_STATE when the head was sent.
/// thread  the reactor's.
/// Twisted Request.setHeader.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_set_header(
    request: *mut lariat_http_request,
    name: *const c_char,
    value: *const c_char,
) -> lariat_status {
    set_field(request, name, value, false)
}

/// Adds a header to the response beside those of its name, such as another Set-Cookie.
///
/// name    as for lariat_http_request_set_header.
/// value   the same.
/// errors  the same.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_add_header(
    request: *mut lariat_http_request,
    name: *const c_char,
    value: *const c_char,
) -> lariat_status {
    set_field(request, name, value, true)
}

fn set_field(
    request: *mut lariat_http_request,
    name: *const c_char,
    value: *const c_char,
    beside: bool,
) -> lariat_status {
    guard::on(request, |request| {
        let (name, value) = (convert::bytes_text("name", name)?, convert::bytes_text("value", value)?);
        request::set_field(request, name, value, beside)
    })
}

/// Takes the headers of a name out of the response again.
///
/// name    in any case.
/// errors  LARIAT_ERR_INVALID_STATE when the head was sent.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_remove_header(
    request: *mut lariat_http_request,
    name: *const c_char,
) -> lariat_status {
    guard::on(request, |request| request::remove_field(request, convert::bytes_text("name", name)?))
}

/// Writes a part of the response's body; before the first, the head is sent. What is written in a callback goes out when
/// that has returned. Without a Content-Length it is sent in chunks, or to a client of HTTP/1.0 until the connection is
/// closed. In answer to HEAD only the head is sent.
///
/// data    copied, or sent; may be NULL if len is 0: then the head is sent.
/// len     how many bytes data has.
/// errors  LARIAT_ERR_INVALID_ARGUMENT when it would be more than Content-Length says; LARIAT_ERR_INVALID_STATE when the
///         response is finished; LARIAT_ERR_CLOSED when the client is gone.
/// thread  the reactor's.
/// Twisted Request.write.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_write(
    request: *mut lariat_http_request,
    data: *const u8,
    len: usize,
) -> lariat_status {
    guard::on(request, |request| request::write(request, convert::bytes("data", data, len)?))
}

/// Finishes the response: its body is over. The request goes stale when that was told.
///
/// errors  LARIAT_ERR_INVALID_STATE when it is finished, or fewer bytes were written than Content-Length says;
///         LARIAT_ERR_CLOSED when the client is gone.
/// thread  the reactor's.
/// Twisted Request.finish.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_finish(request: *mut lariat_http_request) -> lariat_status {
    guard::on(request, request::finish)
}

/// Sends a head before that of the response, with the headers that were set so far, which stay set; to a client of
/// HTTP/1.0 nothing is sent.
///
/// code    102 to 199: such as 103, with "Link" headers.
/// errors  LARIAT_ERR_INVALID_STATE when the head of the response was sent.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_send_information(request: *mut lariat_http_request, code: i32) -> lariat_status {
    guard::on(request, |request| match code {
        102..=199 => request::send_information(request, code as u16),
        _ => Err(invalid(format_args!("code is {code}; it must be from 102 to 199"))),
    })
}

/// Gives a response up that cannot be finished: the connection is cut off, so that the client notices.
///
/// errors  LARIAT_ERR_INVALID_STATE when the response is finished; LARIAT_ERR_CLOSED when the client is gone.
/// thread  the reactor's.
/// Twisted Request.loseConnection, transport.abortConnection.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_abort(request: *mut lariat_http_request) -> lariat_status {
    guard::on(request, |request| request::abort(request, Status::ERR_CONNECTION_ABORTED))
}

/// Tells when a request is over.
///
/// returns  a Deferred that fires, with NULL, when the response is finished, and fails when it cannot be any more:
///          LARIAT_ERR_CONNECTION_LOST, LARIAT_ERR_TIMED_OUT and so on, as the connection has ended, LARIAT_ERR_LIMIT or
///          LARIAT_ERR_BAD_FRAME when what came was refused. NULL on failure.
/// thread   the reactor's.
/// Twisted  Request.notifyFinish.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_notify_finish(request: *mut lariat_http_request) -> *mut lariat_deferred {
    guard::on(request, request::notify_finish)
}

/// Tells how much of the response waits to be sent.
///
/// returns  bytes; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_buffered(request: *mut lariat_http_request) -> i64 {
    guard::on(request, |request| Ok(request.carrier().map_or(0, |carrier| carrier.buffered()) as i64))
}

/// Who writes a response as fast as its client reads: to be filled by lariat_http_producer_init, changed, and given to
/// lariat_http_request_register_producer, which copies it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_http_producer {
    /// Set by lariat_http_producer_init.
    pub struct_size: u32,
    /// 1: it writes until it is paused (push; default); 0: it writes one piece each time it is resumed (pull).
    pub streaming: i32,
    /// More than 64 KiB wait to be sent: it is to write no more; may be NULL. Not for pull.
    pub pause_producing: lariat_http_producer_fn,
    /// There is room: it is to write; may be NULL.
    pub resume_producing: lariat_http_producer_fn,
    /// Nothing is wanted any more: the client is gone; may be NULL.
    pub stop_producing: lariat_http_producer_fn,
}

// SAFETY: repr(C), begins with struct_size, and holds numbers and optional functions.
unsafe impl Versioned for lariat_http_producer {
    const FIELDS: &'static [usize] =
        fields!(lariat_http_producer: struct_size streaming pause_producing resume_producing stop_producing);

    fn initial(struct_size: u32) -> Self {
        Self { struct_size, streaming: 1, pause_producing: None, resume_producing: None, stop_producing: None }
    }
}

/// Fills a producer with the defaults.
///
/// producer     written.
/// struct_size  sizeof(lariat_http_producer).
/// thread       any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_producer_init(producer: *mut lariat_http_producer, struct_size: u32) -> lariat_status {
    guard::alone(|| structs::init("producer", producer, struct_size))
}

/// Registers who writes a response, so that no more is written than the client reads. It is unregistered by
/// lariat_http_request_unregister_producer, or when the request is over.
///
/// producer   copied.
/// user_data  may be NULL; passed through.
/// errors     LARIAT_ERR_ALREADY_REGISTERED; LARIAT_ERR_CLOSED or LARIAT_ERR_INVALID_STATE when the request is over: then
///            stop_producing was called.
/// thread     the reactor's. pause_producing may be called from inside lariat_http_request_write, and from inside this.
/// Twisted    Request.registerProducer.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_register_producer(
    request: *mut lariat_http_request,
    producer: *const lariat_http_producer,
    user_data: *mut c_void,
) -> lariat_status {
    register_producer(request, producer, convert::borrowed(user_data))
}

/// The same as lariat_http_request_register_producer, with user_data owned by the library from here on:
/// free_user_data(user_data) is called exactly once, when the producer is unregistered, or when this fails.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_register_producer_full(
    request: *mut lariat_http_request,
    producer: *const lariat_http_producer,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> lariat_status {
    register_producer(request, producer, convert::owned(user_data, free_user_data))
}

fn register_producer(
    request: *mut lariat_http_request,
    producer: *const lariat_http_producer,
    data: Owned,
) -> lariat_status {
    guard::on(request, move |request| {
        let read = structs::read("producer", producer)?;
        structs::check_tail("producer", producer)?;
        let streaming = convert::switch("streaming", read.streaming)?;
        let [pause, resume, stop] =
            [read.pause_producing, read.resume_producing, read.stop_producing].map(convert::http_producer_fn);
        request::register_producer(request, Producer { streaming, pause, resume, stop, data })
    })
}

/// Forgets the producer of a response: it has written all that it had to.
///
/// errors   LARIAT_ERR_INVALID_STATE when there is none.
/// thread   the reactor's.
/// Twisted  Request.unregisterProducer.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_unregister_producer(request: *mut lariat_http_request) -> lariat_status {
    guard::on(request, request::unregister_producer)
}

/// Takes the connection of a request over, for another protocol: answers with 101 (the headers, Upgrade among them, are to
/// be set before; Connection is said by itself) or, where the method is CONNECT, with 200, and gives the connection a
/// protocol, whose connection_made is called from inside this. What the client has sent behind the request comes as the
/// first data. The request is over then, the connection lives on, and is no affair of the server any more.
///
/// code      101; or 200 to 299, for CONNECT.
/// protocol  copied.
/// self      what the protocol's functions get; may be NULL; freed by protocol.free_self, also when this fails.
/// returns   the connection; NULL on failure.
/// errors    LARIAT_ERR_INVALID_STATE when the response was begun, or the request has a body that was not read;
///           LARIAT_ERR_NOT_SUPPORTED by HTTP/2; LARIAT_ERR_CLOSED when the client is gone.
/// thread    the reactor's.
/// Twisted   transport.switchProtocol.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_upgrade(
    request: *mut lariat_http_request,
    code: i32,
    protocol: *const lariat_protocol,
    self_: *mut c_void,
) -> *mut lariat_transport {
    let read = protocol::read(protocol);
    let owned = read.as_ref().map_or_else(|_| Owned::default(), |read| read.own(Word::new(self_)));
    guard::on(request, move |request| -> Result<Item<Transport>> {
        protocol::check(protocol)?;
        let code = u16::try_from(code).map_err(|_| invalid(format_args!("code is {code}")))?;
        request::upgrade(request, code, Rc::new(read?), owned)
    })
}
