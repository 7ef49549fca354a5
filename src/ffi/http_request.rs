//! Requests of HTTP: what a client has asked for.

use super::convert;
use super::guard::{self, HandleOf, TextOrNull};
use super::http_response::text_of;
use super::status::lariat_status;
use super::types::*;
use crate::handles::{Item, Owned, Word};
use crate::net::transport::Transport;
use crate::protocol::http::server::body::{self, Functions};
use crate::protocol::http::server::request::Request;
use crate::status::{Result, Status};
use std::ffi::{c_char, c_void};

fn place(bytes: &[u8]) -> Word {
    Word::new(bytes.as_ptr())
}

/// Tells the method of a request.
///
/// returns  such as "GET", for as long as the request lives; NULL on failure.
/// thread   the reactor's.
/// Twisted  Request.method.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_method(request: *mut lariat_http_request) -> *const c_char {
    guard::on(request, |request| request.message(|message| TextOrNull(place(message.method()))))
}

/// Tells the target of a request as it was sent: path and query, a URL, "*", or a host and a port.
///
/// returns  for as long as the request lives; NULL on failure.
/// thread   the reactor's.
/// Twisted  Request.uri.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_target(request: *mut lariat_http_request) -> *const c_char {
    guard::on(request, |request| request.message(|message| TextOrNull(place(message.target()))))
}

/// Tells the path of a request, percent-decoded, without the query. It is never without its first slash, but for "*" and
/// what CONNECT names. Bytes that were encoded can be anything but NUL, a slash among them; segments of dots are left as
/// they are.
///
/// returns  for as long as the request lives; NULL on failure.
/// thread   the reactor's.
/// Twisted  Request.path.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_path(request: *mut lariat_http_request) -> *const c_char {
    guard::on(request, |request| request.message(|message| TextOrNull(place(message.path()))))
}

/// Tells the query of a request, as it was sent: what is behind the question mark.
///
/// returns  for as long as the request lives; NULL if there is none, and on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_query(request: *mut lariat_http_request) -> *const c_char {
    guard::on(request, |request| request.message(|message| TextOrNull(message.query().map(place).unwrap_or_default())))
}

/// Tells the first value of a parameter in the query of a request, decoded: %XX is a byte, + a space. One whose encoding
/// is wrong, or that has a NUL, is not there.
///
/// name     as decoded.
/// returns  for as long as the request lives; NULL if there is none, and on failure.
/// thread   the reactor's.
/// Twisted  Request.args.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_query_parameter(
    request: *mut lariat_http_request,
    name: *const c_char,
) -> *const c_char {
    guard::on(request, |request| {
        let name = convert::bytes_text("name", name)?;
        let value = request.message(|message| message.query_parameter(name).map(|value| value.map(place)))??;
        Ok(TextOrNull(value.unwrap_or_default()))
    })
}

/// Tells what stands in the path of a request where the router's pattern has a parameter, percent-decoded.
///
/// name     as in the pattern, without the colon or star.
/// returns  for as long as the request lives; NULL if the pattern has none of that name, and on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_parameter(
    request: *mut lariat_http_request,
    name: *const c_char,
) -> *const c_char {
    guard::on(request, |request| {
        let name = convert::bytes_text("name", name)?;
        request.message(|message| TextOrNull(message.parameter(name).map(place).unwrap_or_default()))
    })
}

/// Tells the version of HTTP of a request.
///
/// returns  10, 11 or 20; negative: an error.
/// thread   the reactor's.
/// Twisted  Request.clientproto.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_version(request: *mut lariat_http_request) -> i32 {
    guard::on(request, |request| Ok(request.version()))
}

/// Tells which host a request is for: that of its target, else of its header Host; with the port, if there is one.
///
/// returns  for as long as the request lives; NULL if there is none, and on failure.
/// thread   the reactor's.
/// Twisted  Request.getRequestHostname.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_host(request: *mut lariat_http_request) -> *const c_char {
    guard::on(request, |request| request.message(|message| TextOrNull(message.host().map(place).unwrap_or_default())))
}

/// Tells the value of the first header of a name, in any case.
///
/// name     such as "Accept".
/// returns  for as long as the request lives; it may not be UTF-8. NULL if there is none, and on failure.
/// thread   the reactor's.
/// Twisted  Request.getHeader.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_header(request: *mut lariat_http_request, name: *const c_char) -> *const c_char {
    guard::on(request, |request| {
        let name = convert::bytes_text("name", name)?;
        request.message(|message| TextOrNull(message.fields.get(name).map(place).unwrap_or_default()))
    })
}

/// Tells how many headers a request has.
///
/// returns  0 or more; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_header_count(request: *mut lariat_http_request) -> i64 {
    guard::on(request, |request| request.message(|message| message.fields.len() as i64))
}

/// Tells one of the headers of a request, in the order in which they came.
///
/// index   from 0 on.
/// name    written: as it was sent; lives as long as the request; may be NULL.
/// value   written: the same; may be NULL.
/// errors  LARIAT_ERR_INVALID_ARGUMENT when there are not as many.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_header_at(
    request: *mut lariat_http_request,
    index: usize,
    name: *mut *const c_char,
    value: *mut *const c_char,
) -> lariat_status {
    guard::on(request, |request| {
        let found =
            request.message(|message| message.fields.at(index).map(|(name, value)| (place(name), place(value))))?;
        let (found_name, found_value) = found
            .ok_or_else(|| convert::invalid(format_args!("index is {index}, and there are not as many headers")))?;
        convert::write_if_given(name, text_of(found_name));
        convert::write_if_given(value, text_of(found_value));
        Ok(())
    })
}

/// Tells the connection that a request came by: for its addresses and its TLS. It is not to be written to or closed.
///
/// returns  the connection; NULL on failure.
/// thread   the reactor's.
/// Twisted  Request.transport.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_transport(request: *mut lariat_http_request) -> *mut lariat_transport {
    guard::on(request, |request| -> Result<HandleOf<Transport>> {
        let carrier = request.carrier().ok_or(Status::ERR_CLOSED)?;
        Ok(HandleOf::new(carrier.transport()))
    })
}

/// Tells whether a request came by TLS.
///
/// returns  1 or 0; negative: an error.
/// thread   the reactor's.
/// Twisted  Request.isSecure.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_is_secure(request: *mut lariat_http_request) -> i32 {
    guard::on(request, |request| -> Result<bool> { Ok(request.carrier().ok_or(Status::ERR_CLOSED)?.is_secure()) })
}

/// Keeps a pointer of the host with a request.
///
/// user_data       may be NULL; the library's from here on.
/// free_user_data  may be NULL; called once, when the request is over, when another pointer takes its place, or before
///                 this fails.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_set_user_data(
    request: *mut lariat_http_request,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> lariat_status {
    let data = convert::owned(user_data, free_user_data);
    guard::on(request, move |request| request.set_user_data(data))
}

/// Tells the pointer that lariat_http_request_set_user_data has kept.
///
/// returns  the pointer; NULL if there is none, and on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_user_data(request: *mut lariat_http_request) -> *mut c_void {
    guard::on(request, |request| request.message(|message| message.user_data()))
}

/// Makes a scope for what belongs to a request, or tells the one that was made: it is ended and freed when the request is
/// over. Until it is entered, nothing joins it.
///
/// returns  the scope, the request's; NULL on failure.
/// errors   LARIAT_ERR_CLOSED or LARIAT_ERR_INVALID_STATE when the request is over.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_scope(request: *mut lariat_http_request) -> *mut lariat_scope {
    guard::on(request, crate::protocol::http::server::request::scope)
}

// ---- the body ----

/// Tells how many bytes the body of a request has.
///
/// returns  0 or more; -1: that shows only when it has come, and on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_content_length(request: *mut lariat_http_request) -> i64 {
    guard::on(request, |request: Item<Request>| Ok(guard::Index(request.content_length())))
}

/// Sets another limit for the body of a request than the server's, before it is asked for.
///
/// bytes   at most; UINT64_MAX: any.
/// errors  LARIAT_ERR_INVALID_STATE when it was asked for already.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_set_max_body(request: *mut lariat_http_request, bytes: u64) -> lariat_status {
    guard::on(request, |request| body::set_most(request, bytes))
}

/// Reads the body of a request. Nothing of a body is read before it is asked for; a client that has sent "Expect:
/// 100-continue" is told to send it now.
///
/// returns  a Deferred that fires with a lariat_bytes; it fails with LARIAT_ERR_LIMIT when there are more than may be
///          (which is answered with 413), and with the reason when the client is gone or too slow. NULL on failure.
/// errors   LARIAT_ERR_INVALID_STATE when it was asked for already, or the response is finished.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_read_body(request: *mut lariat_http_request) -> *mut lariat_deferred {
    guard::on(request, body::read)
}

/// Has the body of a request handed on as it comes, also while the response is written already. An empty one is only
/// told to have ended.
///
/// received   told of each part.
/// ended      told once: that all has come, or why the rest does not.
/// user_data  may be NULL; passed through.
/// errors     LARIAT_ERR_INVALID_STATE when it was asked for already, or the response is finished.
/// thread     the reactor's. Neither is called from inside this.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_set_body_functions(
    request: *mut lariat_http_request,
    received: lariat_http_body_received_fn,
    ended: lariat_http_body_ended_fn,
    user_data: *mut c_void,
) -> lariat_status {
    set_body_functions(request, received, ended, convert::borrowed(user_data))
}

/// The same as lariat_http_request_set_body_functions, with user_data owned by the library from here on:
/// free_user_data(user_data) is called exactly once, after ended, or when this fails.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_set_body_functions_full(
    request: *mut lariat_http_request,
    received: lariat_http_body_received_fn,
    ended: lariat_http_body_ended_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> lariat_status {
    set_body_functions(request, received, ended, convert::owned(user_data, free_user_data))
}

fn set_body_functions(
    request: *mut lariat_http_request,
    received: lariat_http_body_received_fn,
    ended: lariat_http_body_ended_fn,
    data: Owned,
) -> lariat_status {
    guard::on(request, move |request| {
        let received = convert::required("received", convert::http_body_received_fn(received))?;
        let ended = convert::required("ended", convert::http_body_ended_fn(ended))?;
        body::stream(request, Functions { received, ended, data })
    })
}

/// Holds up a body that is handed on as it comes: the client is slowed down by its own buffers.
///
/// errors   LARIAT_ERR_INVALID_STATE when it is not handed on.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_pause_body(request: *mut lariat_http_request) -> lariat_status {
    guard::on(request, body::pause)
}

/// Goes on with a body that was held up.
///
/// errors   LARIAT_ERR_INVALID_STATE when it is not handed on.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_resume_body(request: *mut lariat_http_request) -> lariat_status {
    guard::on(request, body::resume)
}

/// Tells the whole body of a request that an event has told of.
///
/// data    written: lives as long as the request; may be NULL.
/// len     written: how many bytes it has; may be NULL.
/// errors  LARIAT_ERR_INVALID_STATE when it is not there, or was read in another way.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_body(
    request: *mut lariat_http_request,
    data: *mut *const u8,
    len: *mut usize,
) -> lariat_status {
    guard::on(request, |request| {
        let (place, length) = body::whole(request)?;
        convert::write_if_given(data, place.pointer::<u8>().cast_const());
        convert::write_if_given(len, length);
        Ok(())
    })
}
