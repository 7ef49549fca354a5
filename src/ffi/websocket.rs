//! WebSockets: connecting, sending, closing.

use super::convert::{self, invalid};
use super::guard::{self, HandleOf, TextOrNull};
use super::status::lariat_status;
use super::types::*;
use super::websocket_options::{self, lariat_websocket_options};
use super::websocket_protocol::{
    self, LARIAT_WEBSOCKET_BINARY, LARIAT_WEBSOCKET_TEXT, Tagged, lariat_websocket_protocol,
};
use crate::handles::Item;
use crate::net::transport::Transport;
use crate::net::{reading, writing};
use crate::protocol::websocket::connection::WebSocket;
use crate::protocol::websocket::{Kind, client, close, ending, sending, server};
use crate::status::{Result, Status};
use std::ffi::{c_char, c_void};
use std::rc::Rc;

/// Connects to a WebSocket: looks the name up, connects as lariat_reactor_connect does, and asks the server for it. The
/// server's answer is checked to the letter; redirects are not followed.
///
/// url       "ws://example.org/path?query" or "wss://..."; a user and password become an Authorization header.
/// options   copied; may be NULL: the defaults.
/// protocol  copied; its opened is called before the Deferred fires.
/// self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
/// returns   a Deferred that fires with the lariat_websocket; cancelling it gives up. NULL on failure.
/// errors    LARIAT_ERR_INVALID_ARGUMENT for what is no such URL. The Deferred fails as that of lariat_reactor_connect,
///           with LARIAT_ERR_WEBSOCKET_HANDSHAKE when the server refuses or its answer is none, LARIAT_ERR_TOO_LONG,
///           LARIAT_ERR_TRUNCATED or LARIAT_ERR_TIMED_OUT; its message names the URL. Nothing of the protocol but
///           free_self is called then.
/// thread    the reactor's. Nothing is called from inside this call.
/// Twisted   autobahn's WebSocketClientFactory; RFC 6455, section 4.1.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_connect_websocket(
    reactor: *mut lariat_reactor,
    url: *const c_char,
    options: *const lariat_websocket_options,
    protocol: *const lariat_websocket_protocol,
    self_: *mut c_void,
) -> *mut lariat_deferred {
    let read = websocket_protocol::read(protocol, self_);
    guard::on(reactor, move |reactor| {
        let (settings, how) = websocket_options::read(options)?;
        client::connect(reactor, convert::required_text("url", url)?, how, settings, read?)
    })
}

/// The same as lariat_reactor_connect_websocket, but queues events instead of calling: LARIAT_EVENT_WEBSOCKET_OPENED, _TEXT,
/// _BINARY, _PONG and _CLOSED. While the queue is full, nothing is read.
///
/// url      as for lariat_reactor_connect_websocket.
/// options  as for lariat_reactor_connect_websocket.
/// tag      any number; comes back in the events.
/// returns  as lariat_reactor_connect_websocket does.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_connect_websocket_event(
    reactor: *mut lariat_reactor,
    url: *const c_char,
    options: *const lariat_websocket_options,
    tag: u64,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| {
        let (settings, how) = websocket_options::read(options)?;
        client::connect(reactor, convert::required_text("url", url)?, how, settings, Rc::new(Tagged(tag)))
    })
}

/// Takes the connection of a request over as a WebSocket: checks what the client asks for, answers with 101, and the request
/// is over. Headers that were set with the request are sent with that. Where the client asks for something else, or in a
/// wrong way, it is answered with 400, 403 (the page is of another origin), 405 or 426, and that was it, too. What the handler
/// does not like, as a cookie or a path, it answers itself before this.
///
/// options   copied; may be NULL: the defaults.
/// protocol  copied; its opened is called by the next turn.
/// self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
/// returns   the WebSocket, which can be sent to at once; NULL on failure.
/// errors    LARIAT_ERR_WEBSOCKET_HANDSHAKE when the request was refused, and was answered; LARIAT_ERR_INVALID_STATE when the
///           response was begun; LARIAT_ERR_NOT_SUPPORTED by HTTP/2; LARIAT_ERR_CLOSED when the client is gone.
/// thread    the reactor's. Nothing of the protocol is called from inside this call, but free_self when it fails.
/// Twisted   autobahn's WebSocketResource; RFC 6455, section 4.2.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_accept_websocket(
    request: *mut lariat_http_request,
    options: *const lariat_websocket_options,
    protocol: *const lariat_websocket_protocol,
    self_: *mut c_void,
) -> *mut lariat_websocket {
    let read = websocket_protocol::read(protocol, self_);
    guard::on(request, move |request| {
        let (settings, _) = websocket_options::read(options)?;
        server::accept(request, settings, read?)
    })
}

/// The same as lariat_http_request_accept_websocket, but queues events instead of calling, as
/// lariat_reactor_connect_websocket_event does.
///
/// options  as for lariat_http_request_accept_websocket.
/// tag      any number; comes back in the events.
/// returns  as lariat_http_request_accept_websocket does.
/// errors   as of lariat_http_request_accept_websocket.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_request_accept_websocket_event(
    request: *mut lariat_http_request,
    options: *const lariat_websocket_options,
    tag: u64,
) -> *mut lariat_websocket {
    guard::on(request, |request| {
        let (settings, _) = websocket_options::read(options)?;
        server::accept(request, settings, Rc::new(Tagged(tag)))
    })
}

fn kind_of(kind: i32) -> Result<Kind> {
    match kind {
        LARIAT_WEBSOCKET_TEXT => Ok(Kind::Text),
        LARIAT_WEBSOCKET_BINARY => Ok(Kind::Binary),
        _ => Err(invalid(format_args!("kind is {kind}, not LARIAT_WEBSOCKET_TEXT or LARIAT_WEBSOCKET_BINARY"))),
    }
}

/// Sends a message, in one frame. All of it is accepted, or nothing; what the peer does not read yet waits in memory, see
/// lariat_websocket_buffered.
///
/// kind    LARIAT_WEBSOCKET_TEXT or LARIAT_WEBSOCKET_BINARY.
/// data    len bytes, copied; may be NULL if len is 0. Text is UTF-8.
/// len     bytes.
/// errors  LARIAT_ERR_INVALID_ARGUMENT for text that is not valid UTF-8; LARIAT_ERR_INVALID_STATE while a message that was
///         begun by lariat_websocket_send_fragment is not ended; LARIAT_ERR_BUFFER_FULL when more than max_buffered would
///         wait; LARIAT_ERR_CLOSED when it is closing or over.
/// thread  the reactor's.
/// Twisted autobahn's sendMessage.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_websocket_send(
    websocket: *mut lariat_websocket,
    kind: i32,
    data: *const u8,
    len: usize,
) -> lariat_status {
    guard::on(websocket, |socket| sending::message(socket, kind_of(kind)?, convert::bytes("data", data, len)?))
}

/// The same as lariat_websocket_send with a text that ends with NUL.
///
/// text    UTF-8, copied.
/// errors  as of lariat_websocket_send.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_websocket_send_text(websocket: *mut lariat_websocket, text: *const c_char) -> lariat_status {
    guard::on(websocket, |socket| sending::message(socket, Kind::Text, convert::bytes_text("text", text)?))
}

/// The same as lariat_websocket_send with any bytes.
///
/// data    len bytes, copied; may be NULL if len is 0.
/// len     bytes.
/// errors  as of lariat_websocket_send.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_websocket_send_binary(
    websocket: *mut lariat_websocket,
    data: *const u8,
    len: usize,
) -> lariat_status {
    guard::on(websocket, |socket| sending::message(socket, Kind::Binary, convert::bytes("data", data, len)?))
}

/// Sends a message fragment by fragment, for one that is not in memory as a whole: the first call begins it. Until it is
/// ended no other message can be sent; pings can.
///
/// kind     LARIAT_WEBSOCKET_TEXT or LARIAT_WEBSOCKET_BINARY, the same for all fragments of a message.
/// data     len bytes, copied; may be NULL if len is 0. A text may be cut within a character.
/// len      bytes.
/// is_last  1: the message ends with this; 0: more follows.
/// errors   as of lariat_websocket_send; LARIAT_ERR_INVALID_STATE for another kind than the message began with. What is
///          refused is no part of the message, which can go on.
/// thread   the reactor's.
/// Twisted  autobahn's beginMessage, sendMessageFrame and endMessage.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_websocket_send_fragment(
    websocket: *mut lariat_websocket,
    kind: i32,
    data: *const u8,
    len: usize,
    is_last: i32,
) -> lariat_status {
    guard::on(websocket, |socket| {
        let is_last = convert::switch("is_last", is_last)?;
        sending::fragment(socket, kind_of(kind)?, convert::bytes("data", data, len)?, is_last)
    })
}

/// Sends a ping, which the peer answers by a pong with the same data: the protocol's pong_received is told. The options'
/// ping_seconds does so by itself.
///
/// data    len bytes, copied; may be NULL if len is 0.
/// len     0 to 125.
/// errors  LARIAT_ERR_CLOSED when it is closing or over.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_websocket_ping(
    websocket: *mut lariat_websocket,
    data: *const u8,
    len: usize,
) -> lariat_status {
    guard::on(websocket, |socket| sending::ping(socket, convert::bytes("data", data, len)?))
}

/// Closes a WebSocket: what was sent before goes out, then a close frame, and it is over when the peer has answered that or
/// the options' close_seconds have passed. Messages that come before the answer are still told, also if reading was paused.
///
/// code    1000 to 1003, 1007 to 1014, or 3000 to 4999; 0: none.
/// reason  UTF-8 of at most 123 bytes, copied; may be NULL: empty. With code 0 it is empty.
/// errors  LARIAT_ERR_CLOSED when it is closing or over.
/// thread  the reactor's. closed is told later, never from inside this call.
/// Twisted autobahn's sendClose; RFC 6455, section 7.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_websocket_close(
    websocket: *mut lariat_websocket,
    code: i32,
    reason: *const c_char,
) -> lariat_status {
    guard::on(websocket, |socket| {
        let reason = convert::text("reason", reason)?.unwrap_or_default();
        if reason.len() > close::LONGEST_REASON {
            let why = format_args!("reason has {} bytes, more than {}", reason.len(), close::LONGEST_REASON);
            return Err(invalid(why));
        }
        if code == 0 && reason.is_empty() {
            return ending::close(socket, None, "");
        }
        let code = u16::try_from(code).ok().filter(|code| close::is_code(*code));
        ending::close(socket, Some(code.ok_or_else(|| invalid("code is none that a close frame may have"))?), reason)
    })
}

/// Ends a WebSocket at once, without a close frame: what waits to be sent is dropped, and the connection reset.
///
/// errors  LARIAT_ERR_CLOSED when it is over.
/// thread  the reactor's. closed is told later, never from inside this call.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_websocket_abort(websocket: *mut lariat_websocket) -> lariat_status {
    guard::on(websocket, ending::abort)
}

/// Tells the connection of a WebSocket: for its addresses and options, for water marks and producers, for limits of rate. It
/// is not to be written to; another protocol or framing is refused.
///
/// returns  the connection, stale with the WebSocket; NULL on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_websocket_transport(websocket: *mut lariat_websocket) -> *mut lariat_transport {
    guard::on(websocket, |socket| Ok(HandleOf::<Transport>::new(socket.transport_word())))
}

/// Tells how many bytes wait to be sent, with what frames them.
///
/// returns  0 or more; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_websocket_buffered(websocket: *mut lariat_websocket) -> i64 {
    guard::on(websocket, |socket| Ok(writing::buffered(connection(socket)?) as i64))
}

fn connection(socket: Item<WebSocket>) -> Result<Item<Transport>> {
    socket.transport().ok_or_else(|| Status::ERR_CLOSED.because("the WebSocket is over"))
}

/// Takes no more messages until resumed: none is told, also of those that have come, and the peer is held up by the system.
/// Pings are not answered meanwhile.
///
/// errors  LARIAT_ERR_CLOSED when the connection is over.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_websocket_pause_reading(websocket: *mut lariat_websocket) -> lariat_status {
    guard::on(websocket, |socket| reading::pause(connection(socket)?))
}

/// Takes messages again. Those that have come are told on the next turn.
///
/// errors  LARIAT_ERR_CLOSED when the connection is over.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_websocket_resume_reading(websocket: *mut lariat_websocket) -> lariat_status {
    guard::on(websocket, |socket| reading::resume(connection(socket)?))
}

/// Tells whether messages can be sent: neither side has closed yet.
///
/// returns  1 or 0; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_websocket_is_open(websocket: *mut lariat_websocket) -> i32 {
    guard::on(websocket, |socket| Ok(socket.is_open()))
}

/// Tells whether permessage-deflate was agreed on.
///
/// returns  1 or 0; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_websocket_is_compressed(websocket: *mut lariat_websocket) -> i32 {
    guard::on(websocket, |socket| Ok(socket.is_compressed()))
}

/// Tells the subprotocol that was agreed on.
///
/// returns  text that lives as long as the WebSocket; NULL: there is none, or on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_websocket_subprotocol(websocket: *mut lariat_websocket) -> *const c_char {
    guard::on(websocket, |socket| Ok(TextOrNull(socket.subprotocol())))
}
