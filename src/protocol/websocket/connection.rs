//! A WebSocket on its connection: what comes is told, as far as it is wanted.

use super::deflate::{Deflater, Inflater};
use super::handshake::{Opened, Terms};
use super::receiver::{Control, Event, Limits, Payload, Receiver};
use super::sender::Sender;
use super::{Kind, Role, ending, keeping, sending};
use crate::handles::{self, Body, Item, Kind as HandleKind, Owned, Word};
use crate::net::protocol::{Filter, Protocol as Stream, Whole};
use crate::net::transport::{self, Transport};
use crate::net::{producer, reading};
use crate::reactor::timers::SECOND;
use crate::reactor::{Reactor, ReactorItem};
use crate::status::{self, Result, Status};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::CString;
use std::rc::Rc;

/// What is so about a WebSocket.
pub(super) mod flag {
    /// `opened` was told.
    pub const OPENED: u32 = 1;
    /// A close frame was sent: nothing is sent after it.
    pub const CLOSE_SENT: u32 = 1 << 1;
    /// The peer's close frame has come: what comes after it is nobody's.
    pub const CLOSE_RECEIVED: u32 = 1 << 2;
    /// It was failed: what comes is nobody's.
    pub const FAILED: u32 = 1 << 3;
    /// Something came since this was last looked at.
    pub const HEARD: u32 = 1 << 4;
    /// A ping was sent, and nothing has come since.
    pub const PINGED: u32 = 1 << 5;
    /// It masks what it sends.
    pub const CLIENT: u32 = 1 << 6;
    /// Its end was told.
    pub const CLOSED: u32 = 1 << 7;
}

/// What the owner of a WebSocket wants to be told; the layer above knows how. Nothing is borrowed while it is told.
pub trait Protocol {
    /// All goes into the queue of events, with this tag.
    fn tag(&self) -> Option<u64> {
        None
    }
    /// Messages are wanted in pieces, as they come.
    fn in_pieces(&self) -> bool {
        false
    }
    /// It is open.
    fn opened(&self, socket: Item<WebSocket>);
    /// A message has come, or a piece of one; whether it is the last.
    fn message(&self, socket: Item<WebSocket>, kind: Kind, data: &[u8], is_last: bool);
    /// A pong has come.
    fn pong(&self, socket: Item<WebSocket>, data: &[u8]);
    /// It is over: the code, the reason in words, and why as a failure that lives for the call.
    fn closed(&self, socket: Item<WebSocket>, code: u16, reason: &str, failure: Word);
}

/// How a WebSocket behaves, on either side.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is agreed to.
    pub terms: Terms,
    /// How much may come.
    pub limits: Limits,
    /// How hard is compressed, 1 to 9.
    pub level: u32,
    /// Messages of fewer bytes are not compressed.
    pub threshold: usize,
    /// How long the closing handshake may take.
    pub close_time: u64,
    /// So long nothing may come before a ping is sent; None: none is.
    pub ping_time: Option<u64>,
    /// So long may the answer to it take.
    pub pong_time: u64,
    /// So long there may be no message in either direction.
    pub idle_time: Option<u64>,
    /// Bytes that may wait to be written; 0: no limit.
    pub most_waiting: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            terms: Terms::default(),
            limits: Limits::default(),
            level: 6,
            threshold: 1024,
            close_time: 10 * SECOND,
            ping_time: Some(30 * SECOND),
            pong_time: 20 * SECOND,
            idle_time: None,
            most_waiting: 0,
        }
    }
}

/// See the module.
#[derive(Default)]
pub struct WebSocket {
    transport: Cell<Word>,
    flags: Cell<u32>,
    scope: Cell<u32>,
    protocol: RefCell<Option<Rc<dyn Protocol>>>,
    pub(super) settings: RefCell<Option<Rc<Settings>>>,
    receiver: Cell<Option<Box<Receiver>>>,
    pub(super) sender: Cell<Option<Box<Sender>>>,
    /// What came and is not wanted yet.
    held: Cell<Vec<u8>>,
    /// A pong that waits for room.
    pub(super) pong: Cell<Option<Box<Control>>>,
    /// The code and the reason that it ends with, as far as they are known.
    pub(super) close: RefCell<Option<(u16, String)>>,
    /// The status of what has failed it.
    pub(super) failure: Cell<Option<Status>>,
    subprotocol: RefCell<Option<CString>>,
    compressed: Cell<bool>,
    /// Pings when nothing comes.
    pub(super) keeper: Cell<Word>,
    /// Ends it when it does not close in time.
    pub(super) closer: Cell<Word>,
    /// Closes it when there are no messages.
    pub(super) idler: Cell<Word>,
    /// Sends a pong for which there was no room.
    pub(super) ponger: Cell<Word>,
}

impl Body for WebSocket {
    const KIND: HandleKind = HandleKind::WebSocket;
    type Root = Reactor;
    type Beside = ();

    /// Its connection ends before, and tells it: then there is none left.
    fn end(socket: Item<Self>) {
        let why = Status::ERR_CLOSED.because("its reactor or its scope has ended");
        let failure = ending::failure_of(socket, why);
        ending::finish(socket, failure);
        let _ = crate::deferred::failure::release(failure);
    }
}

/// What the connection has of it: both its filter and what it is a part of.
struct Link(Word);

fn get(word: Word) -> Option<Item<WebSocket>> {
    handles::get::<WebSocket>(word).ok()
}

impl Filter for Link {
    fn received(&self, _: Item<Transport>, data: &[u8]) -> Result {
        match get(self.0) {
            Some(socket) => received(socket, data),
            None => Ok(()),
        }
    }

    fn ended(&self, _: Item<Transport>) -> Result {
        match get(self.0) {
            Some(socket) => ending::peer_ended(socket),
            None => Ok(()),
        }
    }

    fn put_back(&self, transport: Item<Transport>, data: &[u8]) -> Result {
        let Some(socket) = get(self.0) else { return Ok(()) };
        let held = socket.held.take();
        hold(socket, data.to_vec(), &held)?;
        reading::resume_if_possible(transport);
        Ok(())
    }

    fn take_rest(&self) -> Vec<u8> {
        get(self.0).map(|socket| socket.held.take()).unwrap_or_default()
    }

    fn as_any(self: Rc<Self>) -> Rc<dyn Any> {
        self
    }
}

impl Whole for Link {
    /// What came with the handshake; the rest goes by the filter.
    fn received(&self, transport: Item<Transport>, data: &[u8]) {
        if let Err(why) = Filter::received(self, transport, data) {
            crate::net::ending::fail(transport, why);
        }
    }

    fn may_go(&self) -> bool {
        false
    }

    fn lost(&self, _: Item<Transport>, reason: Word) {
        if let Some(socket) = get(self.0) {
            ending::finish(socket, reason);
        }
    }

    fn source(&self) -> (Word, i32) {
        (self.0, 0)
    }

    fn as_any(self: Rc<Self>) -> Rc<dyn Any> {
        self
    }
}

/// Makes a WebSocket of a connection whose handshake is done. `left` came after that; nothing is told from inside this.
pub fn open(
    transport: Item<Transport>,
    role: Role,
    settings: Rc<Settings>,
    opened: Opened,
    protocol: Rc<dyn Protocol>,
    left: &[u8],
) -> Result<Item<WebSocket>> {
    transport.check_open()?;
    let mut held = Vec::new();
    held.try_reserve_exact(left.len()).map_err(|_| Status::ERR_NO_MEMORY)?;
    held.extend_from_slice(left);
    handles::check_memory(size_of::<Receiver>() + size_of::<Sender>() + 512)?;
    let deflater = opened.deflate.map(|agreed| Deflater::new(agreed.own, settings.level));
    let inflater = opened.deflate.map(|agreed| Inflater::new(agreed.peer));
    let receiver = Receiver::new(role, settings.limits, protocol.in_pieces(), inflater);
    let sender = Sender::new(role, deflater, settings.threshold);
    if settings.most_waiting != 0 {
        producer::set_cap(transport, settings.most_waiting)?;
    }
    let reactor = transport.root();
    let socket = reactor.pools.alloc::<WebSocket>()?;
    socket.transport.set(transport.word());
    socket.flags.set(if role == Role::Client { flag::CLIENT } else { 0 });
    socket.scope.set(transport.scope());
    socket.receiver.set(Some(Box::new(receiver)));
    socket.sender.set(Some(Box::new(sender)));
    socket.held.set(held);
    socket.pong.set(None);
    socket.close.take();
    socket.failure.set(None);
    socket.compressed.set(opened.deflate.is_some());
    *socket.subprotocol.borrow_mut() = opened.subprotocol.map(status::text_for_c);
    for timer in [&socket.keeper, &socket.closer, &socket.idler, &socket.ponger] {
        timer.set(Word::NULL);
    }
    let link = Rc::new(Link(socket.word()));
    let kept =
        keeping::start(socket, &settings).and_then(|()| reading::set_filter(transport, Some(Rc::<Link>::clone(&link))));
    kept.inspect_err(|_| ending::discard(socket))?;
    *socket.settings.borrow_mut() = Some(settings);
    let stream = Stream { events: protocol.tag(), whole: Some(link), ..Stream::default() };
    *socket.protocol.borrow_mut() = Some(protocol);
    let before = transport::replace_protocol(transport, Rc::new(stream), Owned::default());
    reactor.in_scope(transport.scope(), || drop(before));
    // It is told that it is open from the loop, and what is left comes after that.
    reading::resume_if_possible(transport);
    Ok(socket)
}

impl WebSocket {
    pub(super) fn has(&self, flag: u32) -> bool {
        self.flags.get() & flag != 0
    }

    pub(super) fn set(&self, flag: u32) {
        self.flags.set(self.flags.get() | flag);
    }

    pub(super) fn clear(&self, flag: u32) {
        self.flags.set(self.flags.get() & !flag);
    }

    /// Its connection; None: that is over.
    pub fn transport(&self) -> Option<Item<Transport>> {
        handles::get::<Transport>(self.transport.get()).ok()
    }

    /// Its connection's handle.
    pub fn transport_word(&self) -> Word {
        self.transport.get()
    }

    /// Whether messages can be sent.
    pub fn is_open(&self) -> bool {
        !self.has(flag::CLOSE_SENT | flag::FAILED | flag::CLOSED)
    }

    /// Whether compression was agreed on.
    pub fn is_compressed(&self) -> bool {
        self.compressed.get()
    }

    /// What was agreed on, as C reads it; null: nothing.
    pub fn subprotocol(&self) -> Word {
        self.subprotocol.borrow().as_ref().map_or(Word::NULL, |text| Word::new(text.as_ptr()))
    }

    pub(super) fn with_settings<R>(&self, read: impl FnOnce(&Settings) -> R) -> Option<R> {
        self.settings.borrow().as_ref().map(|settings| read(settings))
    }

    pub(super) fn scope(&self) -> u32 {
        self.scope.get()
    }

    /// Everything that it has, to be dropped where nothing is borrowed.
    pub(super) fn take_all(&self) -> impl Sized + use<> {
        let parts = (self.receiver.take(), self.sender.take(), self.held.take(), self.pong.take());
        (parts, self.protocol.take(), self.settings.take(), self.close.take(), self.subprotocol.take())
    }
}

impl Item<WebSocket> {
    /// Calls one of the protocol's functions, in the scope of the connection.
    pub(super) fn tell(self, call: impl FnOnce(&dyn Protocol)) {
        let protocol = self.protocol.borrow().clone();
        if let Some(protocol) = protocol {
            let reactor: ReactorItem = self.root();
            let _out = reactor.call_out();
            reactor.in_scope(self.scope.get(), || call(&*protocol));
        }
    }

    /// Before anything else is told.
    pub fn tell_opened(self) {
        if !self.has(flag::OPENED) {
            self.set(flag::OPENED);
            self.tell(|protocol| protocol.opened(self));
        }
    }

    /// Whether more is to be told now.
    fn wants(self, transport: Item<Transport>) -> bool {
        !self.has(flag::CLOSE_RECEIVED | flag::FAILED) && reading::is_wanted(transport)
    }
}

/// Bytes came, or what is held may be wanted now.
fn received(socket: Item<WebSocket>, data: &[u8]) -> Result {
    let Some(transport) = socket.transport() else { return Ok(()) };
    socket.tell_opened();
    if !socket.is_alive() {
        return Ok(());
    }
    if !data.is_empty() {
        socket.set(flag::HEARD);
    }
    let mut held = socket.held.take();
    if held.is_empty() {
        let left = feed(socket, transport, data);
        return hold(socket, Vec::new(), left);
    }
    let added = held.try_reserve(data.len());
    added.map_err(|_| Status::ERR_NO_MEMORY.because("no memory for what was received"))?;
    held.extend_from_slice(data);
    let left = feed(socket, transport, &held).len();
    held.drain(..held.len() - left);
    hold(socket, held, &[])
}

/// Keeps what is not wanted yet.
fn hold(socket: Item<WebSocket>, mut held: Vec<u8>, more: &[u8]) -> Result {
    if socket.is_alive() && !socket.has(flag::CLOSE_RECEIVED | flag::FAILED) && (held.len() + more.len()) != 0 {
        held.try_reserve(more.len()).map_err(|_| Status::ERR_NO_MEMORY.because("no memory for what was received"))?;
        held.extend_from_slice(more);
        socket.held.set(held);
    }
    Ok(())
}

/// Tells what has come, until all is told or no more is wanted. Returns what is left.
fn feed(socket: Item<WebSocket>, transport: Item<Transport>, mut data: &[u8]) -> &[u8] {
    while !data.is_empty() && socket.is_alive() && socket.wants(transport) {
        let Some(mut receiver) = socket.receiver.take() else { return &[] };
        let event = receiver.next(&mut data);
        socket.receiver.set(Some(receiver));
        match event {
            Ok(None) => return &[],
            Ok(Some(event)) => came(socket, event),
            Err(broken) => {
                ending::broken(socket, broken);
                return &[];
            }
        }
    }
    data
}

fn came(socket: Item<WebSocket>, event: Event) {
    match event {
        Event::Message(kind, payload, is_last) => {
            keeping::message(socket);
            socket.tell(|protocol| protocol.message(socket, kind, &payload, is_last));
            give_back(socket, payload);
        }
        Event::Ping(body) => sending::answer(socket, body),
        Event::Pong(body) => socket.tell(|protocol| protocol.pong(socket, &body)),
        Event::Close(code, reason) => ending::peer_closes(socket, code, reason),
    }
}

fn give_back(socket: Item<WebSocket>, payload: Payload) {
    if let Some(mut receiver) = socket.receiver.take() {
        receiver.give_back(payload);
        socket.receiver.set(Some(receiver));
    }
}
