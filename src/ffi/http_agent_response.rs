//! Responses that an HTTP agent has got.

use super::convert;
use super::guard::{self, TextOrNull};
use super::http_request_options::LARIAT_HTTP_UNKNOWN_LENGTH;
use super::status::lariat_status;
use super::types::*;
use crate::handles::{Owned, Word};
use crate::protocol::http::Fields;
use crate::protocol::http::client::response::{self, Functions};
use crate::status::Result;
use std::ffi::{c_char, c_void};

/// Tells the code of a response.
///
/// returns  such as 200; negative: an error.
/// thread   the reactor's.
/// Twisted  IResponse.code.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_response_code(response: *const lariat_http_response) -> i32 {
    guard::on(response, |response| Ok(i32::from(response.code())))
}

/// Tells what the server calls the code of its response.
///
/// returns  such as "Not Found", valid as long as the response; may be empty. NULL on failure.
/// thread   the reactor's.
/// Twisted  IResponse.phrase.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_response_reason(response: *const lariat_http_response) -> *const c_char {
    guard::on(response, |response| Ok(TextOrNull(response.reason())))
}

/// Tells where a response came from: after redirects, the last.
///
/// returns  a URL without user and fragment, valid as long as the response; NULL on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_response_url(response: *const lariat_http_response) -> *const c_char {
    guard::on(response, |response| Ok(TextOrNull(response.url())))
}

/// Tells how many redirects have led to a response.
///
/// returns  0 or more; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_response_redirects(response: *const lariat_http_response) -> i64 {
    guard::on(response, |response| Ok(i64::from(response.redirects())))
}

/// Looks for a header of a response.
///
/// name     in any case.
/// returns  the value of the first header of that name, valid as long as the response; NULL if there is none, which is no failure, and
///          on failure. Its bytes are the server's; it has no control characters but tabulators.
/// thread   the reactor's.
/// Twisted  IResponse.headers.getRawHeaders.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_response_header(
    response: *const lariat_http_response,
    name: *const c_char,
) -> *const c_char {
    guard::on(response, |response| {
        let name = convert::bytes_text("name", name)?;
        Ok(TextOrNull(response.with_fields(|fields| value_of(fields, name))))
    })
}

fn value_of(fields: &Fields, name: &[u8]) -> Word {
    fields.get(name).map_or(Word::NULL, |value| Word::new(value.as_ptr()))
}

/// Tells how many headers a response has.
///
/// returns  0 or more; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_response_header_count(response: *const lariat_http_response) -> i64 {
    guard::on(response, |response| Ok(response.with_fields(Fields::len) as i64))
}

/// Tells one of the headers of a response, in the order in which they came.
///
/// index   from 0 on.
/// name    written: valid as long as the response.
/// value   written: the same.
/// errors  LARIAT_ERR_INVALID_ARGUMENT when there are not so many.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_response_header_at(
    response: *const lariat_http_response,
    index: usize,
    name: *mut *const c_char,
    value: *mut *const c_char,
) -> lariat_status {
    guard::on(response, |response| {
        let (name, value) = (convert::out("name", name)?, convert::out("value", value)?);
        let place = |bytes: &[u8]| Word::new(bytes.as_ptr());
        let found = response.with_fields(|fields| {
            let count = fields.len();
            fields.at(index).map(|(name, value)| (place(name), place(value))).ok_or(count)
        });
        let (found_name, found_value) = found.map_err(|count| {
            convert::invalid(format_args!("index is {index}, but the response has {count} headers"))
        })?;
        name.write(found_name.pointer::<c_char>().cast_const());
        value.write(found_value.pointer::<c_char>().cast_const());
        Ok(())
    })
}

/// Looks for a trailer: a header that came behind a body in chunks, once all of that has come.
///
/// name     in any case.
/// returns  its value, valid as long as the response; NULL if there is none, which is no failure, and on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_response_trailer(
    response: *const lariat_http_response,
    name: *const c_char,
) -> *const c_char {
    guard::on(response, |response| {
        let name = convert::bytes_text("name", name)?;
        Ok(TextOrNull(response.with_trailers(|trailers| value_of(trailers, name))))
    })
}

/// Tells how long the body of a response will be.
///
/// length  written: bytes; LARIAT_HTTP_UNKNOWN_LENGTH: nobody knows, as of a body in chunks, or of one that was compressed and is undone.
/// thread  the reactor's.
/// Twisted IResponse.length.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_response_content_length(
    response: *const lariat_http_response,
    length: *mut i64,
) -> lariat_status {
    guard::on(response, |response| {
        let length = convert::out("length", length)?;
        length.write(response.length().map_or(LARIAT_HTTP_UNKNOWN_LENGTH, |length| length as i64));
        Ok(())
    })
}

/// Reads the body of a response as a whole. Until somebody takes the body, no more of it is read than has come with the head.
///
/// max_size  bytes at most, when it is decompressed; 0: 64 MiB.
/// returns   a Deferred that fires with a lariat_bytes, which is freed with it unless it is taken; cancelling it closes the
///           connection. NULL on failure. It fails with LARIAT_ERR_LIMIT when the body is longer, LARIAT_ERR_TRUNCATED when it was cut
///           short, LARIAT_ERR_BAD_FRAME when it is compressed and damaged, or for the reasons of lariat_http_agent_request.
/// errors    LARIAT_ERR_INVALID_STATE when somebody takes the body already.
/// thread    the reactor's.
/// Twisted   twisted.web.client.readBody.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_response_read_body(
    response: *mut lariat_http_response,
    max_size: u64,
) -> *mut lariat_deferred {
    guard::on(response, |response| {
        response::read_whole(response, if max_size == 0 { response::MOST } else { max_size })
    })
}

/// Has functions told of the body of a response as it comes. Until somebody takes the body, no more of it is read than has come
/// with the head. The response lives until ended has returned, also when its Deferred is gone.
///
/// received   told of each piece.
/// ended      told once, last.
/// user_data  may be NULL; passed through.
/// errors     LARIAT_ERR_INVALID_STATE when somebody takes the body already.
/// thread     the reactor's. Nothing is called from inside this call.
/// Twisted    IResponse.deliverBody.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_response_deliver_body(
    response: *mut lariat_http_response,
    received: lariat_http_response_received_fn,
    ended: lariat_http_response_ended_fn,
    user_data: *mut c_void,
) -> lariat_status {
    deliver(response, received, ended, convert::borrowed(user_data))
}

/// The same as lariat_http_response_deliver_body, with user_data owned by the library from here on: free_user_data(user_data) is called exactly
/// once, after ended, or before this answers that it failed.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_response_deliver_body_full(
    response: *mut lariat_http_response,
    received: lariat_http_response_received_fn,
    ended: lariat_http_response_ended_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> lariat_status {
    deliver(response, received, ended, convert::owned(user_data, free_user_data))
}

fn deliver(
    response: *mut lariat_http_response,
    received: lariat_http_response_received_fn,
    ended: lariat_http_response_ended_fn,
    data: Owned,
) -> lariat_status {
    guard::on(response, move |response| -> Result {
        let received = convert::required("received", convert::response_received_fn(received))?;
        let ended = convert::required("ended", convert::response_ended_fn(ended))?;
        response::deliver(response, Functions { received, ended, data })
    })
}

/// Has the body of a response wait: received is not called again before lariat_http_response_resume_body, and the server is held up.
///
/// errors  LARIAT_ERR_INVALID_STATE when all of it was told.
/// thread  the reactor's.
/// Twisted TransportProxyProducer.pauseProducing.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_response_pause_body(response: *mut lariat_http_response) -> lariat_status {
    guard::on(response, response::pause)
}

/// Lets the body of a response come again.
///
/// thread  the reactor's. Nothing is called from inside this call.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_response_resume_body(response: *mut lariat_http_response) -> lariat_status {
    guard::on(response, response::resume)
}

/// Frees a response that was taken by lariat_deferred_take, or that nobody will look at any more; one that was not taken is freed
/// with its Deferred. What takes its body fails with LARIAT_ERR_CLOSED, from inside this call. A body that is not whole and that nobody
/// takes is read to its end if that is near, else its connection is closed.
///
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_response_free(response: *mut lariat_http_response) -> lariat_status {
    guard::on(response, |response| {
        response::free(response);
        Ok(())
    })
}
