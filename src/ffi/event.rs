//! Events: what is made with a tag in place of a callback is told here.

use super::address::lariat_address;
use super::guard;
use super::status::{LARIAT_EMPTY, lariat_status};
use super::structs::{self, Versioned, fields};
use super::types::*;
use crate::handles::Word;
use crate::reactor::events;
use crate::status::Status;
use std::ffi::c_void;

/// A call soon, from a thread or when running is to be made.
pub const LARIAT_EVENT_CALL: i32 = 1;
/// A delayed call is to be made; source: its handle, stale.
pub const LARIAT_EVENT_DELAYED_CALL: i32 = 2;
/// A Deferred has its result: value or failure; source: its handle.
pub const LARIAT_EVENT_DEFERRED: i32 = 3;
/// A descriptor is ready: readiness; source: its watcher.
pub const LARIAT_EVENT_READY: i32 = 4;
/// A trigger of the reactor's start or end; source: its handle, stale.
pub const LARIAT_EVENT_TRIGGER: i32 = 5;
/// A looping call is due; source: its handle.
pub const LARIAT_EVENT_LOOPING_CALL: i32 = 6;
/// A connection was made; source: its transport. It is read when the host has gone on to the next event.
pub const LARIAT_EVENT_CONNECTION_MADE: i32 = 7;
/// Bytes were received: data, len; source: the transport.
pub const LARIAT_EVENT_DATA_RECEIVED: i32 = 8;
/// A connection is over: failure; source: its transport, stale.
pub const LARIAT_EVENT_CONNECTION_LOST: i32 = 9;
/// The peer of a half-closed connection sends no more; source: the transport.
pub const LARIAT_EVENT_READ_CONNECTION_LOST: i32 = 10;
/// All is sent that will be on a half-closed connection; source: the transport.
pub const LARIAT_EVENT_WRITE_CONNECTION_LOST: i32 = 11;
/// A datagram was received: data, len, peer; source: the port.
pub const LARIAT_EVENT_DATAGRAM_RECEIVED: i32 = 12;
/// Datagrams were refused or cut short, or could not be sent: failure, peer, as lariat_datagram_failed_fn; source: the
/// port, which lives on.
pub const LARIAT_EVENT_DATAGRAM_FAILED: i32 = 14;
/// All that had to wait is sent, after a send was refused with LARIAT_ERR_BUFFER_FULL; source: the port.
pub const LARIAT_EVENT_DATAGRAMS_DRAINED: i32 = 15;
/// A datagram port is closed: failure; source: the port, stale.
pub const LARIAT_EVENT_DATAGRAM_PORT_STOPPED: i32 = 16;
/// An attempt to connect has failed: failure; source: its reconnecting client.
pub const LARIAT_EVENT_ATTEMPT_FAILED: i32 = 17;
/// A child has written: data, len, child_fd; source: its process.
pub const LARIAT_EVENT_CHILD_DATA_RECEIVED: i32 = 18;
/// A pipe of a child is closed: child_fd, failure; source: its process.
pub const LARIAT_EVENT_CHILD_CONNECTION_LOST: i32 = 19;
/// A child has ended: failure; source: its process. Its pipes may still be open.
pub const LARIAT_EVENT_PROCESS_EXITED: i32 = 20;
/// A child has ended, and all its pipes are closed: failure; source: its process, stale.
pub const LARIAT_EVENT_PROCESS_ENDED: i32 = 21;
/// A signal has come, once or more often: lariat_signal_watch_number and _count tell; source: its watch.
pub const LARIAT_EVENT_SIGNAL: i32 = 22;
/// Something watched has changed: value is a const lariat_file_change; source: its watch, which is stale after
/// LARIAT_CHANGE_GONE.
pub const LARIAT_EVENT_FILE_CHANGED: i32 = 23;
/// A request has come to an HTTP server, with all of its body: lariat_http_request_body tells it; source: the request.
pub const LARIAT_EVENT_HTTP_REQUEST: i32 = 24;
/// A WebSocket is open; source: its handle.
pub const LARIAT_EVENT_WEBSOCKET_OPENED: i32 = 30;
/// A text has come by a WebSocket: data, len; source: its handle.
pub const LARIAT_EVENT_WEBSOCKET_TEXT: i32 = 31;
/// A binary message has come by a WebSocket: data, len; source: its handle.
pub const LARIAT_EVENT_WEBSOCKET_BINARY: i32 = 32;
/// A pong has come by a WebSocket: data, len; source: its handle.
pub const LARIAT_EVENT_WEBSOCKET_PONG: i32 = 33;
/// A WebSocket is over: code, failure, and the reason in data, len; source: its handle, stale.
pub const LARIAT_EVENT_WEBSOCKET_CLOSED: i32 = 34;

const _: () = assert!(
    LARIAT_EVENT_CALL == events::CALL
        && LARIAT_EVENT_DELAYED_CALL == events::DELAYED_CALL
        && LARIAT_EVENT_DEFERRED == events::DEFERRED
        && LARIAT_EVENT_READY == events::READY
        && LARIAT_EVENT_TRIGGER == events::TRIGGER
        && LARIAT_EVENT_LOOPING_CALL == events::LOOPING_CALL
        && LARIAT_EVENT_CONNECTION_MADE == events::CONNECTION_MADE
        && LARIAT_EVENT_DATA_RECEIVED == events::DATA_RECEIVED
        && LARIAT_EVENT_CONNECTION_LOST == events::CONNECTION_LOST
        && LARIAT_EVENT_READ_CONNECTION_LOST == events::READ_CONNECTION_LOST
        && LARIAT_EVENT_WRITE_CONNECTION_LOST == events::WRITE_CONNECTION_LOST
        && LARIAT_EVENT_DATAGRAM_RECEIVED == events::DATAGRAM_RECEIVED
        && LARIAT_EVENT_DATAGRAM_FAILED == events::DATAGRAM_FAILED
        && LARIAT_EVENT_DATAGRAMS_DRAINED == events::DATAGRAMS_DRAINED
        && LARIAT_EVENT_DATAGRAM_PORT_STOPPED == events::DATAGRAM_PORT_STOPPED
        && LARIAT_EVENT_ATTEMPT_FAILED == events::ATTEMPT_FAILED
        && LARIAT_EVENT_CHILD_DATA_RECEIVED == events::CHILD_DATA_RECEIVED
        && LARIAT_EVENT_CHILD_CONNECTION_LOST == events::CHILD_CONNECTION_LOST
        && LARIAT_EVENT_PROCESS_EXITED == events::PROCESS_EXITED
        && LARIAT_EVENT_PROCESS_ENDED == events::PROCESS_ENDED
        && LARIAT_EVENT_SIGNAL == events::SIGNAL
        && LARIAT_EVENT_FILE_CHANGED == events::FILE_CHANGED
        && LARIAT_EVENT_HTTP_REQUEST == events::HTTP_REQUEST
        && LARIAT_EVENT_WEBSOCKET_OPENED == events::WEBSOCKET_OPENED
        && LARIAT_EVENT_WEBSOCKET_TEXT == events::WEBSOCKET_TEXT
        && LARIAT_EVENT_WEBSOCKET_BINARY == events::WEBSOCKET_BINARY
        && LARIAT_EVENT_WEBSOCKET_PONG == events::WEBSOCKET_PONG
        && LARIAT_EVENT_WEBSOCKET_CLOSED == events::WEBSOCKET_CLOSED
        && LARIAT_EMPTY == Status::EMPTY.0
);

/// What happened to something that was made with a tag; to be prepared once by lariat_event_init, and filled by
/// lariat_reactor_next_event. What it points to lives until the next such call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_event {
    /// Set by lariat_event_init.
    pub struct_size: u32,
    /// What it is: LARIAT_EVENT_CALL and so on; 0: none.
    pub kind: i32,
    /// As given when the thing was made.
    pub tag: u64,
    /// The value of a Deferred; else NULL. If it came with a free function, it is freed with the event.
    pub value: *mut c_void,
    /// The failure of a Deferred, or why something has failed or ended; else NULL.
    pub failure: *const lariat_failure,
    /// The handle of what it came from, by kind; may be stale, or NULL.
    pub source: *mut c_void,
    /// LARIAT_READABLE, LARIAT_WRITABLE or both, of a watcher; else 0.
    pub readiness: i32,
    /// Which descriptor of a child it was, by its number there; else 0.
    pub child_fd: i32,
    /// What was received, by a transport, a datagram port, a WebSocket or from a child; else NULL.
    pub data: *const u8,
    /// How many bytes data has.
    pub len: usize,
    /// Who sent a datagram, or where it went; else NULL.
    pub peer: *const lariat_address,
    /// The code that a WebSocket was closed with; else 0.
    pub code: i32,
}

// SAFETY: repr(C), begins with struct_size, and holds numbers and pointers.
unsafe impl Versioned for lariat_event {
    const FIELDS: &'static [usize] =
        fields!(lariat_event: struct_size kind tag value failure source readiness child_fd data len peer code);

    fn initial(struct_size: u32) -> Self {
        Self {
            struct_size,
            kind: 0,
            tag: 0,
            value: std::ptr::null_mut(),
            failure: std::ptr::null(),
            source: std::ptr::null_mut(),
            readiness: 0,
            child_fd: 0,
            data: std::ptr::null(),
            len: 0,
            peer: std::ptr::null(),
            code: 0,
        }
    }
}

/// Prepares an event to be filled.
///
/// event        written.
/// struct_size  sizeof(lariat_event).
/// thread       any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_event_init(event: *mut lariat_event, struct_size: u32) -> lariat_status {
    guard::alone(|| structs::init("event", event, struct_size))
}

/// Takes the oldest event that waits. What the event before it pointed to is freed.
///
/// event    prepared by lariat_event_init; written, also when there is none.
/// returns  LARIAT_OK; LARIAT_EMPTY: none is waiting; negative: an error.
/// thread   the reactor's. Events are queued by turns, and by what fires Deferreds.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_next_event(reactor: *mut lariat_reactor, event: *mut lariat_event) -> lariat_status {
    guard::on(reactor, |reactor| {
        let event = structs::filled("event", event)?;
        let seen = events::next(reactor);
        event.write(|size| seen.map_or(lariat_event::initial(size), |seen| lariat_event::of(&seen, size)));
        Ok(if seen.is_some() { Status::OK } else { Status::EMPTY })
    })
}

impl lariat_event {
    fn of(seen: &events::Seen, struct_size: u32) -> Self {
        let pointer = Word::pointer;
        Self {
            struct_size,
            kind: seen.kind,
            tag: seen.tag,
            value: pointer(seen.value),
            failure: seen.failure.pointer(),
            source: pointer(seen.source),
            readiness: seen.readiness,
            child_fd: seen.child_fd,
            data: if seen.data.1 == 0 { std::ptr::null() } else { seen.data.0.pointer() },
            len: seen.data.1,
            peer: seen.peer.pointer(),
            code: seen.code,
        }
    }
}
