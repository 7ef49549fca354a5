//! The HTTP server.
//!
//! A `Server` listens; each connection is a `connection::Connection`, which reads heads by `head` into a `Message` and makes a
//! `Request` of each, for the host. A request is answered through its `Carrier`, the connection or a stream of HTTP/2, so
//! nothing above knows which. `answer` finds who handles a request: a function, an event, or a `router`. `body` is the
//! request's body, `file` answers with a file, `waiting` with what a Deferred gives.

pub mod access;
pub mod answer;
pub mod body;
pub mod carrier;
mod condition;
pub mod connection;
mod date_line;
pub mod file;
pub mod head;
pub mod http2;
mod listing;
pub mod message;
mod mime;
pub mod request;
mod response;
pub mod router;
#[cfg(test)]
mod smuggling_tests;
pub mod waiting;

use crate::deferred::{Deferred, DeferredItem, chain, failure};
use crate::handles::{self, Body, HandleFn, Item, Kind, Owned, Word};
use crate::net::listener::{self, Build, Listener};
use crate::net::protocol::{Protocol, Whole};
use crate::net::tls::{self, known};
use crate::net::transport::Transport;
use crate::net::{self, open};
use crate::reactor::timers::{self, DelayedCall};
use crate::reactor::{Reactor, ReactorItem, Served, scopes};
use crate::status::{Result, Status};
use date_line::DateLine;
use message::Message;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

const SECOND: u64 = timers::SECOND;
/// What ALPN calls HTTP/2 and HTTP/1.1 (RFC 9113, 3.2).
const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";
/// Messages that are kept to be used again.
const SPARE: usize = 64;

/// How much of everything there may be, and how long it may take, in nanoseconds; None: for ever.
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "each is named after its field in lariat_http_server_options")]
pub struct Limits {
    pub head: head::Most,
    pub body: u64,
    pub pipelined: u32,
    /// 0: no limit, here and below.
    pub requests: u32,
    pub connections: u32,
    pub connections_per_peer: u32,
    pub body_rate: u32,
    pub head_time: Option<u64>,
    pub idle_time: Option<u64>,
    pub body_time: Option<u64>,
    pub request_time: Option<u64>,
    pub write_time: Option<u64>,
    pub linger_time: Option<u64>,
    pub date: bool,
    pub half_closed: bool,
    pub http2: http2::Options,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: head::Most::default(),
            body: 1 << 20,
            pipelined: 64 << 10,
            requests: 0,
            connections: 0,
            connections_per_peer: 0,
            body_rate: 500,
            head_time: Some(60 * SECOND),
            idle_time: Some(75 * SECOND),
            body_time: Some(60 * SECOND),
            request_time: None,
            write_time: Some(60 * SECOND),
            linger_time: Some(5 * SECOND),
            date: true,
            half_closed: false,
            http2: http2::Options::default(),
        }
    }
}

/// A function of the host that handles requests.
pub struct Function {
    /// `lariat_http_handler_fn`
    pub call: HandleFn,
    /// What it gets.
    pub data: Owned,
}

/// Who handles requests.
#[derive(Clone)]
pub enum Handler {
    /// A function.
    Function(Rc<Function>),
    /// An event with this tag tells of each once its body is there.
    Event(u64),
    /// Whoever the method and the path say.
    Routes(Rc<router::Routes>),
}

/// A connection, as its server sees it.
pub trait Link {
    /// What is under way may end; then it is closed.
    fn wind_down(&self);
    /// It ends now, for this reason, a failure that lives for the call.
    fn cut(&self, reason: Word);
}

/// What a server has and its connections share; it lives as long as any of them.
pub struct Shared {
    server: Word,
    /// See [`Limits`].
    pub limits: Cell<Limits>,
    pub(super) handler: RefCell<Option<Handler>>,
    pub(super) log: RefCell<Option<Rc<access::Log>>>,
    links: RefCell<HashMap<u64, Rc<dyn Link>>>,
    #[expect(clippy::vec_box, reason = "they move to the requests that need them, and back")]
    messages: RefCell<Vec<Box<Message>>>,
    pub(super) date: DateLine,
    /// What a head is put together in.
    pub(super) scratch: RefCell<Vec<u8>>,
    stopping: Cell<bool>,
}

/// See the module.
#[derive(Default)]
pub struct Server {
    shared: RefCell<Option<Rc<Shared>>>,
    scope: Cell<u32>,
    listeners: RefCell<Vec<Word>>,
    /// Who waits for the end of all that is under way.
    stopped: Cell<Word>,
    deadline: Cell<Word>,
}

impl Body for Server {
    const KIND: Kind = Kind::HttpServer;
    const SLOTS: u32 = 8;
    type Root = Reactor;
    type Beside = ();

    fn end(server: Item<Self>) {
        free(server);
    }
}

impl Served for Server {
    fn finish(server: Item<Self>) {
        tell_if_stopped(server);
    }
}

/// A server that does not listen yet. `name`: of the header Server; empty: none is sent.
pub fn new(reactor: ReactorItem, limits: Limits, name: &[u8]) -> Result<Item<Server>> {
    net::open(reactor)?;
    reactor.above.by_kind.serve::<Server>();
    reactor.above.by_kind.serve::<request::Request>();
    let server = reactor.pools.alloc::<Server>()?;
    let scope = reactor.scope.get();
    if scope != 0 {
        scopes::join(reactor, scope, server.word()).inspect_err(|_| reactor.pools.free(server))?;
    }
    server.scope.set(scope);
    server.stopped.set(Word::NULL);
    server.deadline.set(Word::NULL);
    *server.shared.borrow_mut() = Some(Rc::new(Shared {
        server: server.word(),
        limits: Cell::new(limits),
        handler: RefCell::new(None),
        log: RefCell::new(None),
        links: RefCell::default(),
        messages: RefCell::default(),
        date: DateLine::new(limits.date, name),
        scratch: RefCell::default(),
        stopping: Cell::new(false),
    }));
    Ok(server)
}

impl Item<Server> {
    /// What its connections share.
    pub fn shared(self) -> Result<Rc<Shared>> {
        self.shared.borrow().clone().ok_or(Status::ERR_CLOSED)
    }

    /// Its handler from here on; what it had before is let go.
    pub fn set_handler(self, handler: Handler) -> Result {
        let old = self.shared()?.handler.replace(Some(handler));
        self.let_go(old);
        Ok(())
    }

    /// Told of each request that is over.
    pub fn set_access_log(self, log: Option<access::Log>) -> Result {
        let old = self.shared()?.log.replace(log.map(Rc::new));
        self.let_go(old);
        Ok(())
    }

    fn let_go<T>(self, old: T) {
        let reactor = self.root();
        let _out = reactor.call_out();
        reactor.in_scope(self.scope.get(), || drop(old));
    }

    /// How many connections it has.
    pub fn connections(self) -> usize {
        self.shared.borrow().as_ref().map_or(0, |shared| shared.links.borrow().len())
    }
}

/// Makes a connection of each transport that a listener has accepted.
struct Door(Rc<Shared>);

impl Whole for Door {
    fn made(&self, transport: Item<Transport>) {
        if known::alpn(transport).is_ok_and(|spoken| spoken == HTTP_2) {
            http2::begin(transport, &self.0, &[]);
        } else {
            connection::begin(transport, &self.0);
        }
    }

    fn received(&self, _transport: Item<Transport>, _data: &[u8]) {}

    fn keeps_half(&self) -> bool {
        true
    }

    fn as_any(self: Rc<Self>) -> Rc<dyn Any> {
        self
    }
}

/// The protocol of those who connect.
pub fn protocol(shared: &Rc<Shared>) -> Rc<Protocol> {
    let whole: Rc<dyn Whole> = Rc::new(Door(Rc::clone(shared)));
    Rc::new(Protocol { whole: Some(whole), ..Protocol::default() })
}

/// Listens at an endpoint, besides those where it does already.
pub fn listen(server: Item<Server>, endpoint: &[u8]) -> Result<Item<Listener>> {
    let endpoint = of_stream(endpoint);
    listen_by(server, |reactor, protocol| open::listen(reactor, &endpoint, protocol, Build::default()))
}

/// The same, by TLS.
pub fn listen_tls(server: Item<Server>, endpoint: &[u8], tls: Arc<tls::Server>) -> Result<Item<Listener>> {
    let endpoint = of_stream(endpoint);
    listen_by(server, |reactor, protocol| open::listen_tls(reactor, &endpoint, tls, protocol, Build::default()))
}

/// Whether a connection has TLS.
pub(super) fn is_secure(transport: Item<Transport>) -> bool {
    known::version(transport) != 0
}

/// The same by another way to listen.
pub fn listen_by(
    server: Item<Server>,
    listen: impl FnOnce(ReactorItem, Rc<Protocol>) -> Result<Item<Listener>>,
) -> Result<Item<Listener>> {
    let shared = server.shared()?;
    if shared.stopping.get() {
        return Err(Status::ERR_CLOSED.because("the server was stopped"));
    }
    let reserved = server.listeners.borrow_mut().try_reserve(1);
    reserved.map_err(|_| Status::ERR_NO_MEMORY)?;
    let reactor = server.root();
    let outer = reactor.scope.replace(server.scope.get());
    let listener = listen(reactor, protocol(&shared));
    reactor.scope.set(outer);
    let listener = listener?;
    let limits = shared.limits.get();
    listener.offer(if limits.http2.on_tls { &[HTTP_2, HTTP_1] } else { &[HTTP_1] });
    listener::set_most(listener, limits.connections)?;
    listener::set_most_by_peer(listener, limits.connections_per_peer)?;
    server.listeners.borrow_mut().push(listener.word());
    Ok(listener)
}

/// "http://host" is "tcp://host:80".
fn of_stream(endpoint: &[u8]) -> Vec<u8> {
    let Some(rest) = endpoint.strip_prefix(b"http://") else { return endpoint.to_vec() };
    let (place, options) = rest.split_at(memchr::memchr(b'?', rest).unwrap_or(rest.len()));
    let place = place.strip_suffix(b"/").unwrap_or(place);
    let has_port = memchr::memrchr(b':', place).is_some_and(|at| memchr::memchr(b']', &place[at..]).is_none());
    let port: &[u8] = if has_port { b"" } else { b":80" };
    [b"tcp://", place, port, options].concat()
}

/// Listens no more, lets what is under way end, for `grace` nanoseconds at most, and closes what is idle. The Deferred
/// fires when all connections are over.
pub fn stop(server: Item<Server>, grace: Option<u64>) -> Result<DeferredItem> {
    let shared = server.shared()?;
    if shared.stopping.get() {
        return Err(Status::ERR_CLOSED.because("the server was stopped already"));
    }
    let reactor = server.root();
    let deferred = chain::new_inside(reactor, stops_anyway, Word::NULL)?;
    if let Some(grace) = grace {
        let timer = timers::call_at(reactor, reactor.read_clock().saturating_add(grace), too_late, server.word());
        server.deadline.set(timer.inspect_err(|_| crate::deferred::later::discard(deferred))?.word());
    }
    shared.stopping.set(true);
    server.stopped.set(deferred.word());
    stop_listening(server);
    for link in shared.all_links() {
        link.wind_down();
    }
    reactor.note_ended(server.word());
    Ok(deferred)
}

extern "C-unwind" fn stops_anyway(_: Word, _: Word) {}

extern "C-unwind" fn too_late(server: Word) {
    let Ok(server) = handles::get::<Server>(server) else { return };
    server.deadline.set(Word::NULL);
    if let Ok(shared) = server.shared() {
        let why = Status::ERR_TIMED_OUT.because("the server was stopped, and the time for what was under way is over");
        shared.cut_all(server.root(), why);
    }
}

fn stop_listening(server: Item<Server>) {
    for listener in server.listeners.take() {
        let stopped = handles::get::<Listener>(listener).and_then(listener::stop);
        // Stopped by the host already, or over.
        let _ = stopped.and_then(chain::release);
    }
}

fn tell_if_stopped(server: Item<Server>) {
    if server.connections() != 0 {
        return;
    }
    if let Ok(timer) = handles::get::<DelayedCall>(server.deadline.replace(Word::NULL)) {
        let _ = timers::cancel(timer);
    }
    if let Ok(deferred) = handles::get::<Deferred>(server.stopped.replace(Word::NULL)) {
        let _ = chain::callback(deferred, Owned::default());
    }
}

/// Ends it at once: its connections are closed, and their requests told so from inside this call.
pub fn free(server: Item<Server>) {
    let reactor = server.root();
    let _out = reactor.call_out();
    if let Ok(timer) = handles::get::<DelayedCall>(server.deadline.replace(Word::NULL)) {
        let _ = timers::cancel(timer);
    }
    stop_listening(server);
    let shared = server.shared.take();
    let (scope, stopped) = (server.scope.get(), server.stopped.replace(Word::NULL));
    reactor.pools.free(server);
    if let Some(shared) = shared {
        shared.stopping.set(true);
        shared.cut_all(reactor, Status::ERR_CLOSED.because("its server was freed"));
        let owned = (shared.handler.take(), shared.log.take());
        shared.messages.take();
        reactor.in_scope(scope, || drop(owned));
    }
    if let Ok(deferred) = handles::get::<Deferred>(stopped) {
        let _ = chain::errback(deferred, failure::of_status(reactor, Status::ERR_CLOSED));
    }
}

impl Shared {
    /// An empty message.
    pub fn take_message(&self) -> Box<Message> {
        self.messages.borrow_mut().pop().unwrap_or_default()
    }

    /// A message that is not needed any more.
    pub fn give_back(&self, mut message: Box<Message>) {
        let mut messages = self.messages.borrow_mut();
        if message.clear() && messages.len() < SPARE && !self.server.is_null() {
            messages.push(message);
        }
    }

    /// Whether what is under way is the last of its connection.
    pub fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// A connection is there. The number is for `unlink`.
    pub fn link(&self, reactor: ReactorItem, link: Rc<dyn Link>) -> u64 {
        let number = reactor.next_number();
        self.links.borrow_mut().insert(number, link);
        number
    }

    /// A connection is over.
    pub fn unlink(&self, reactor: ReactorItem, number: u64) {
        let link = self.links.borrow_mut().remove(&number);
        drop(link);
        if self.stopping.get() && self.links.borrow().is_empty() && handles::get::<Server>(self.server).is_ok() {
            reactor.note_ended(self.server);
        }
    }

    fn all_links(&self) -> Vec<Rc<dyn Link>> {
        self.links.borrow().values().cloned().collect()
    }

    fn cut_all(&self, reactor: ReactorItem, why: Status) {
        let reason = failure::owned(failure::of_status(reactor, why));
        for link in self.all_links() {
            link.cut(reason.word());
        }
    }
}
