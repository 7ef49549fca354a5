//! What the owner of a WebSocket wants to be told.

use super::convert;
use super::guard;
use super::status::lariat_status;
use super::structs::{self, Versioned, fields};
use super::types::*;
use crate::deferred::failure;
use crate::handles::{self, ClosedFn, DataFn, FragmentFn, Item, MessageFn, Owned, TransportFn, Word};
use crate::protocol::websocket::Kind;
use crate::protocol::websocket::connection::{Protocol, WebSocket};
use crate::reactor::events::{self, Event};
use crate::status::{self, Result};
use std::ffi::{c_char, c_void};
use std::rc::Rc;

/// A message of text: UTF-8.
pub const LARIAT_WEBSOCKET_TEXT: i32 = 1;
/// A message of any bytes.
pub const LARIAT_WEBSOCKET_BINARY: i32 = 2;

/// Told that a WebSocket is open, on the reactor's thread, before anything else of it.
///
/// websocket  the WebSocket: messages can be sent.
/// self       as given with the protocol.
pub type lariat_websocket_opened_fn = Option<extern "C" fn(websocket: *mut lariat_websocket, self_: *mut c_void)>;

/// Told that a message has come, on the reactor's thread. What it sends goes out when it returns.
///
/// websocket  the WebSocket.
/// kind       LARIAT_WEBSOCKET_TEXT, which is valid UTF-8, or LARIAT_WEBSOCKET_BINARY.
/// data       len bytes, until the function returns; no NUL is behind them.
/// len        bytes; may be 0.
/// self       as given with the protocol.
pub type lariat_websocket_message_received_fn =
    Option<extern "C" fn(websocket: *mut lariat_websocket, kind: i32, data: *const u8, len: usize, self_: *mut c_void)>;

/// Told that a piece of a message has come, on the reactor's thread: as it arrives, whatever its frames and fragments.
///
/// websocket  the WebSocket.
/// kind       LARIAT_WEBSOCKET_TEXT or LARIAT_WEBSOCKET_BINARY, the same for all pieces of a message.
/// data       len bytes, until the function returns. Of text, all that came so far is the beginning of valid UTF-8; a
///            piece may end within a character.
/// len        bytes; 0 only of the last piece.
/// is_last    1: the message is whole; 0: more follows.
/// self       as given with the protocol.
pub type lariat_websocket_fragment_received_fn = Option<
    extern "C" fn(
        websocket: *mut lariat_websocket,
        kind: i32,
        data: *const u8,
        len: usize,
        is_last: i32,
        self_: *mut c_void,
    ),
>;

/// Told that a pong has come, on the reactor's thread: the answer to a ping, or one that nobody asked for.
///
/// websocket  the WebSocket.
/// data       len bytes, as the ping had them, until the function returns.
/// len        0 to 125.
/// self       as given with the protocol.
pub type lariat_websocket_pong_received_fn =
    Option<extern "C" fn(websocket: *mut lariat_websocket, data: *const u8, len: usize, self_: *mut c_void)>;

/// Told that a WebSocket is over, on the reactor's thread, once and last, never from inside the call that ended it, but for
/// the free of the reactor and the end of a scope.
///
/// websocket  the WebSocket, which can do nothing any more; stale when the function returns.
/// code       the peer's; 1005: its close frame had none; 1006: the connection has ended without one. Of a WebSocket that
///            was failed here, what the peer was told: 1002 it broke the protocol, 1007 it sent invalid data, 1009 too much,
///            1011 there was no memory.
/// reason     the peer's, UTF-8; else what has happened, in words. Never NULL; valid until the function returns.
/// failure    LARIAT_CONNECTION_DONE: it was a clean end, both sides have sent a close frame; else why not:
///            LARIAT_ERR_TRUNCATED the peer ended the connection, LARIAT_ERR_CONNECTION_LOST it is lost,
///            LARIAT_ERR_CONNECTION_ABORTED by lariat_websocket_abort, LARIAT_ERR_TIMED_OUT the peer has not answered a ping
///            or the close frame, LARIAT_ERR_BAD_FRAME, LARIAT_ERR_TOO_LONG, LARIAT_ERR_NO_MEMORY it was failed here,
///            LARIAT_ERR_CLOSED its scope or its reactor ends. Valid until the function returns, unless kept.
/// self       as given with the protocol; freed afterwards by its free_self.
pub type lariat_websocket_closed_fn = Option<
    extern "C" fn(
        websocket: *mut lariat_websocket,
        code: i32,
        reason: *const c_char,
        failure: *const lariat_failure,
        self_: *mut c_void,
    ),
>;

/// What the owner of a WebSocket wants to be told: to be filled by lariat_websocket_protocol_init, changed, and given to
/// what opens one, which copies it. Every function may be NULL.
///
/// Twisted  autobahn's WebSocketProtocol: onOpen, onMessage, onPong, onClose.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_websocket_protocol {
    /// Set by lariat_websocket_protocol_init.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// It is open.
    pub opened: lariat_websocket_opened_fn,
    /// A whole message has come. Not called if there is a fragment_received.
    pub message_received: lariat_websocket_message_received_fn,
    /// A piece of a message has come. With this, no message is put together: memory does not limit its size.
    pub fragment_received: lariat_websocket_fragment_received_fn,
    /// A pong has come. Pings are answered without being told.
    pub pong_received: lariat_websocket_pong_received_fn,
    /// It is over.
    pub closed: lariat_websocket_closed_fn,
    /// Frees self; called once, in every outcome.
    pub free_self: lariat_free_fn,
}

// SAFETY: repr(C), begins with struct_size, and holds numbers and optional functions.
unsafe impl Versioned for lariat_websocket_protocol {
    const FIELDS: &'static [usize] = fields!(lariat_websocket_protocol:
        struct_size reserved opened message_received fragment_received pong_received closed free_self);

    fn initial(struct_size: u32) -> Self {
        Self {
            struct_size,
            reserved: 0,
            opened: None,
            message_received: None,
            fragment_received: None,
            pong_received: None,
            closed: None,
            free_self: None,
        }
    }
}

/// Fills the protocol of a WebSocket with nothing to be told.
///
/// protocol     written.
/// struct_size  sizeof(lariat_websocket_protocol).
/// thread       any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_websocket_protocol_init(
    protocol: *mut lariat_websocket_protocol,
    struct_size: u32,
) -> lariat_status {
    guard::alone(|| structs::init("protocol", protocol, struct_size))
}

/// The host's functions.
struct Callbacks {
    opened: Option<TransportFn>,
    message: Option<MessageFn>,
    fragment: Option<FragmentFn>,
    pong: Option<DataFn>,
    closed: Option<ClosedFn>,
    this: Owned,
}

/// Reads the host's protocol. Self is owned from here on, and freed also when this fails.
pub(super) fn read(protocol: *const lariat_websocket_protocol, this: *mut c_void) -> Result<Rc<dyn Protocol>> {
    let (read, this) = structs::take_protocol(protocol, this, |read| (read.free_self, read.reserved));
    let read = read?;
    handles::check_memory(size_of::<Callbacks>() + 64)?;
    Ok(Rc::new(Callbacks {
        opened: convert::websocket_fn(read.opened),
        message: convert::message_fn(read.message_received),
        fragment: convert::fragment_fn(read.fragment_received),
        pong: convert::pong_fn(read.pong_received),
        closed: convert::closed_fn(read.closed),
        this,
    }))
}

fn number(kind: Kind) -> i32 {
    match kind {
        Kind::Text => LARIAT_WEBSOCKET_TEXT,
        Kind::Binary => LARIAT_WEBSOCKET_BINARY,
    }
}

impl Protocol for Callbacks {
    fn in_pieces(&self) -> bool {
        self.fragment.is_some()
    }

    fn opened(&self, socket: Item<WebSocket>) {
        if let Some(function) = self.opened {
            function(socket.word(), self.this.word());
        }
    }

    fn message(&self, socket: Item<WebSocket>, kind: Kind, data: &[u8], is_last: bool) {
        let (word, place, this) = (socket.word(), Word::new(data.as_ptr()), self.this.word());
        if let Some(function) = self.fragment {
            function(word, number(kind), place, data.len(), i32::from(is_last), this);
        } else if let Some(function) = self.message {
            function(word, number(kind), place, data.len(), this);
        }
    }

    fn pong(&self, socket: Item<WebSocket>, data: &[u8]) {
        if let Some(function) = self.pong {
            function(socket.word(), Word::new(data.as_ptr()), data.len(), self.this.word());
        }
    }

    fn closed(&self, socket: Item<WebSocket>, code: u16, reason: &str, failure: Word) {
        if let Some(function) = self.closed {
            let reason = status::text_for_c(reason.to_owned());
            function(socket.word(), i32::from(code), Word::new(reason.as_ptr()), failure, self.this.word());
        }
    }
}

/// Queues events with this tag.
pub(super) struct Tagged(pub u64);

impl Tagged {
    fn push(&self, socket: Item<WebSocket>, kind: i32, data: &[u8]) {
        let (source, data) = (socket.word(), data.to_vec());
        events::push(socket.root(), Event { kind, tag: self.0, source, data, ..Event::default() });
    }
}

impl Protocol for Tagged {
    fn tag(&self) -> Option<u64> {
        Some(self.0)
    }

    fn opened(&self, socket: Item<WebSocket>) {
        self.push(socket, events::WEBSOCKET_OPENED, &[]);
    }

    fn message(&self, socket: Item<WebSocket>, kind: Kind, data: &[u8], _is_last: bool) {
        let kind = if kind == Kind::Text { events::WEBSOCKET_TEXT } else { events::WEBSOCKET_BINARY };
        self.push(socket, kind, data);
    }

    fn pong(&self, socket: Item<WebSocket>, data: &[u8]) {
        self.push(socket, events::WEBSOCKET_PONG, data);
    }

    fn closed(&self, socket: Item<WebSocket>, code: u16, reason: &str, failure: Word) {
        let (source, failure) = (socket.word(), failure::owned(failure::keep(failure)));
        let (kind, data) = (events::WEBSOCKET_CLOSED, reason.as_bytes().to_vec());
        let event = Event { kind, tag: self.0, source, failure, data, code: i32::from(code), ..Event::default() };
        events::push(socket.root(), event);
    }
}
