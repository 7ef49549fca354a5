//! Events: what is made with a tag in place of a callback waits here until the host takes it.

use super::{Reactor, ReactorItem, watch};
use crate::handles::{Owned, Word};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

/// `LARIAT_EVENT_CALL`
pub const CALL: i32 = 1;
/// `LARIAT_EVENT_DELAYED_CALL`
pub const DELAYED_CALL: i32 = 2;
/// `LARIAT_EVENT_DEFERRED`
pub const DEFERRED: i32 = 3;
/// `LARIAT_EVENT_READY`
pub const READY: i32 = 4;
/// `LARIAT_EVENT_TRIGGER`
pub const TRIGGER: i32 = 5;
/// `LARIAT_EVENT_LOOPING_CALL`
pub const LOOPING_CALL: i32 = 6;
/// `LARIAT_EVENT_CONNECTION_MADE`
pub const CONNECTION_MADE: i32 = 7;
/// `LARIAT_EVENT_DATA_RECEIVED`
pub const DATA_RECEIVED: i32 = 8;
/// `LARIAT_EVENT_CONNECTION_LOST`
pub const CONNECTION_LOST: i32 = 9;
/// `LARIAT_EVENT_READ_CONNECTION_LOST`
pub const READ_CONNECTION_LOST: i32 = 10;
/// `LARIAT_EVENT_WRITE_CONNECTION_LOST`
pub const WRITE_CONNECTION_LOST: i32 = 11;
/// `LARIAT_EVENT_DATAGRAM_RECEIVED`
pub const DATAGRAM_RECEIVED: i32 = 12;
/// `LARIAT_EVENT_DATAGRAM_FAILED`
pub const DATAGRAM_FAILED: i32 = 14;
/// `LARIAT_EVENT_DATAGRAMS_DRAINED`
pub const DATAGRAMS_DRAINED: i32 = 15;
/// `LARIAT_EVENT_DATAGRAM_PORT_STOPPED`
pub const DATAGRAM_PORT_STOPPED: i32 = 16;
/// `LARIAT_EVENT_ATTEMPT_FAILED`
pub const ATTEMPT_FAILED: i32 = 17;
/// `LARIAT_EVENT_CHILD_DATA_RECEIVED`
pub const CHILD_DATA_RECEIVED: i32 = 18;
/// `LARIAT_EVENT_CHILD_CONNECTION_LOST`
pub const CHILD_CONNECTION_LOST: i32 = 19;
/// `LARIAT_EVENT_PROCESS_EXITED`
pub const PROCESS_EXITED: i32 = 20;
/// `LARIAT_EVENT_PROCESS_ENDED`
pub const PROCESS_ENDED: i32 = 21;
/// `LARIAT_EVENT_SIGNAL`
pub const SIGNAL: i32 = 22;
/// `LARIAT_EVENT_FILE_CHANGED`
pub const FILE_CHANGED: i32 = 23;
/// `LARIAT_EVENT_HTTP_REQUEST`
pub const HTTP_REQUEST: i32 = 24;
/// `LARIAT_EVENT_WEBSOCKET_OPENED`
pub const WEBSOCKET_OPENED: i32 = 30;
/// `LARIAT_EVENT_WEBSOCKET_TEXT`
pub const WEBSOCKET_TEXT: i32 = 31;
/// `LARIAT_EVENT_WEBSOCKET_BINARY`
pub const WEBSOCKET_BINARY: i32 = 32;
/// `LARIAT_EVENT_WEBSOCKET_PONG`
pub const WEBSOCKET_PONG: i32 = 33;
/// `LARIAT_EVENT_WEBSOCKET_CLOSED`
pub const WEBSOCKET_CLOSED: i32 = 34;

/// One event. What it owns lives until the next one is asked for.
#[derive(Default)]
#[expect(missing_docs, reason = "each is named after its field in lariat_event")]
pub struct Event {
    pub kind: i32,
    pub tag: u64,
    pub value: Owned,
    pub failure: Owned,
    pub source: Word,
    pub readiness: i32,
    pub child_fd: i32,
    pub data: Vec<u8>,
    pub peer: Owned,
    pub code: i32,
}

/// See the module.
#[derive(Default)]
pub struct Events {
    queue: RefCell<VecDeque<Event>>,
    /// The one that the host is looking at.
    taken: RefCell<Option<Event>>,
    /// Watchers that wait because the queue is full.
    held: RefCell<Vec<Word>>,
    full: Cell<bool>,
}

/// What the host sees of an event.
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "each is named after its field in lariat_event")]
pub struct Seen {
    pub kind: i32,
    pub tag: u64,
    pub value: Word,
    pub failure: Word,
    pub source: Word,
    pub readiness: i32,
    pub child_fd: i32,
    /// Where the data is, and how much.
    pub data: (Word, usize),
    pub peer: Word,
    pub code: i32,
}

/// Queues an event.
pub fn push(reactor: ReactorItem, event: Event) {
    reactor.events.queue.borrow_mut().push_back(event);
}

/// Queues an event that is nothing but its tag.
pub fn push_tag(reactor: ReactorItem, kind: i32, tag: Word, source: Word) {
    push(reactor, Event { kind, tag: tag.addr() as u64, source, ..Event::default() });
}

/// Queues what a watcher saw; false, and remembered, while the queue is full.
pub fn push_ready(reactor: ReactorItem, tag: u64, source: Word, readiness: i32) -> bool {
    let full = hold_if_full(reactor, source);
    if !full {
        push(reactor, Event { kind: READY, tag, source, readiness, ..Event::default() });
    }
    !full
}

/// Whether the queue is full; then what asks is remembered, and resumed once it is not.
pub fn hold_if_full(reactor: ReactorItem, source: Word) -> bool {
    let full = reactor.events.queue.borrow().len() >= reactor.limits().events as usize;
    if full {
        reactor.events.full.set(true);
        let mut held = reactor.events.held.borrow_mut();
        // More may come to what is held already.
        if !held.contains(&source) {
            held.push(source);
        }
    }
    full
}

/// Takes the oldest event; what the one before owned is freed. A watcher whose event was taken goes on watching.
pub fn next(reactor: ReactorItem) -> Option<Seen> {
    let before = reactor.events.taken.take();
    if let Some(before) = before {
        if before.kind == CONNECTION_MADE {
            watch::resume(reactor, before.source);
        }
        let _out = reactor.call_out();
        drop(before);
    }
    let event = reactor.events.queue.borrow_mut().pop_front();
    resume(reactor);
    let event = event?;
    if event.kind == READY {
        // Levels are looked at in the next poll: by then the host has read what it wanted.
        watch::event_seen(reactor, event.source);
    }
    let seen = Seen {
        kind: event.kind,
        tag: event.tag,
        value: event.value.word(),
        failure: event.failure.word(),
        source: event.source,
        readiness: event.readiness,
        child_fd: event.child_fd,
        data: (Word::new(event.data.as_ptr()), event.data.len()),
        peer: event.peer.word(),
        code: event.code,
    };
    *reactor.events.taken.borrow_mut() = Some(event);
    Some(seen)
}

/// Lets the held watchers go on once the queue is half empty.
fn resume(reactor: ReactorItem) {
    let half = reactor.limits().events as usize / 2;
    if reactor.events.full.get() && reactor.events.queue.borrow().len() <= half {
        reactor.events.full.set(false);
        let held = reactor.events.held.take();
        held.into_iter().for_each(|held| watch::resume(reactor, held));
    }
}

/// Drops all events and what they own.
pub fn clear(reactor: ReactorItem) {
    let (queue, taken) = (reactor.events.queue.take(), reactor.events.taken.take());
    reactor.events.held.take();
    reactor.events.full.set(false);
    drop((queue, taken));
}

impl Reactor {
    /// Events that wait to be taken.
    pub fn events_waiting(&self) -> usize {
        self.events.queue.borrow().len()
    }
}
