//! Requests of an agent whose body is written bit by bit.

use super::convert;
use super::guard;
use super::status::lariat_status;
use super::types::*;
use crate::deferred::failure;
use crate::handles::Owned;
use crate::protocol::http::client::sending;
use std::ffi::c_char;

/// Writes a piece of the body of a request. Allowed from when start_producing was called until lariat_http_exchange_finish or
/// stop_producing. All of it is accepted; when too much waits pause_producing is called, maybe from inside this call.
///
/// data    len bytes, copied or sent; may be NULL if len is 0.
/// len     bytes.
/// errors  LARIAT_ERR_INVALID_STATE when the body is not to be written now; LARIAT_ERR_TOO_LONG past body_length.
/// thread  the reactor's.
/// Twisted IConsumer.write, in IBodyProducer.startProducing.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_exchange_write(
    exchange: *mut lariat_http_exchange,
    data: *const u8,
    len: usize,
) -> lariat_status {
    guard::on(exchange, |exchange| sending::write(exchange, convert::bytes("data", data, len)?))
}

/// Ends the body of a request.
///
/// errors  LARIAT_ERR_INVALID_STATE when the body is not to be written now, or less than body_length was written.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_exchange_finish(exchange: *mut lariat_http_exchange) -> lariat_status {
    guard::on(exchange, sending::finish)
}

/// Says that there will be no more of the body of a request, although it is not whole: the request fails with this, and its connection is
/// closed, which tells the server.
///
/// code     of the failure: not 0; negative the library's, positive the program's.
/// message  copied; may be NULL.
/// errors   LARIAT_ERR_INVALID_STATE when the body is not to be written now.
/// thread   the reactor's. The request's Deferred fires from inside this call.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_exchange_fail(
    exchange: *mut lariat_http_exchange,
    code: i32,
    message: *const c_char,
) -> lariat_status {
    guard::on(exchange, |exchange| {
        let reason = convert::reason(code, 0, convert::text("message", message)?)?;
        let failure = failure::make(exchange.root(), &reason, Owned::default())?;
        sending::fail(exchange, failure.word())
    })
}
