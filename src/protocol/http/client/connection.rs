//! A connection of an agent: the framing of what comes, and the way through a proxy.

use super::agent::{Agent, Settings};
use super::exchange::{self, Exchange};
use super::{pool, sending};
use crate::deferred::{cancel, chain, failure};
use crate::handles::{self, BothFn, Item, Owned, Word};
use crate::net::protocol::Whole;
use crate::net::tls::configuration::{Client, Configuration};
use crate::net::tls::{known, start};
use crate::net::transport::Transport;
use crate::net::{ending, options, producer, reading, writing};
use crate::protocol::http::chunked::{self, Decoder, Piece};
use crate::protocol::http::framing::{self, Length, end_of_head};
use crate::protocol::http::url::Url;
use crate::protocol::http::{Bad, Fields};
use crate::status::{Result, Status};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Where a connection leads, and how.
#[derive(Debug)]
pub struct Place {
    /// What tells places apart.
    pub key: String,
    /// What is connected to.
    pub endpoint: String,
    /// A proxy that is asked for a tunnel: to where, and what it is told of who asks.
    tunnel: Option<(String, Option<String>)>,
    /// A proxy that is sent the requests as they are, with this for who asks.
    pub forward: Option<Option<String>>,
    /// The server's name, where TLS goes on top.
    secure: Option<String>,
}

impl Place {
    /// For requests to this URL.
    pub fn new(url: &Url, endpoint: Option<&str>, proxy: Option<&Url>, connect_time: Option<u64>) -> Self {
        let seconds = connect_time.map_or(0.0, |time| time as f64 / 1e9);
        let timed = |place: String| format!("tcp://{place}?timeout={seconds}");
        let secure = url.scheme().is_secure().then(|| url.host().to_owned());
        let authorization = proxy.and_then(Url::user).map(|(user, password)| basic(user, password));
        let origin = url.host_and_port();
        let (endpoint, by) = match (endpoint, proxy) {
            (Some(endpoint), _) => (endpoint.to_owned(), endpoint.to_owned()),
            (None, Some(proxy)) => (timed(proxy.host_and_port()), format!("by {}", proxy.text())),
            (None, None) => (timed(origin.clone()), String::new()),
        };
        let forward = (proxy.is_some() && secure.is_none()).then(|| authorization.clone());
        let tunnel = (proxy.is_some() && secure.is_some()).then(|| (origin.clone(), authorization));
        let to = if forward.is_some() { "" } else { &origin };
        let key = format!("{}://{to} {by}", url.scheme().name());
        Self { key, endpoint, tunnel, forward, secure }
    }
}

/// The value of an Authorization (RFC 7617).
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// The head of a response.
#[derive(Default)]
pub struct Head {
    /// Such as 200.
    pub code: u16,
    /// Of HTTP/1.
    pub minor: u8,
    /// What the server calls it.
    pub reason: String,
    /// The fields.
    pub fields: Fields,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// It is being made.
    Opening,
    /// The proxy is asked for a tunnel.
    Tunnel,
    /// Nothing is asked.
    Idle,
    /// The head of a response is awaited.
    Head,
    Body,
    /// What comes is not looked at any more.
    Over,
}

enum Body {
    Left(u64),
    Chunked(Box<Decoder>),
    UntilClose,
}

struct Reader {
    /// The part of a head that has come.
    held: Vec<u8>,
    seen: usize,
    body: Body,
    informational: u32,
}

/// What a response breaks, or a limit.
type Trouble = (Status, String);

fn bad(why: Bad) -> Trouble {
    (Status::ERR_BAD_MESSAGE, why.text.to_owned())
}

/// See the module.
pub struct Connection {
    agent: Word,
    pub(super) place: Rc<Place>,
    transport: Cell<Word>,
    exchange: Cell<Word>,
    phase: Cell<Phase>,
    /// Requests that it has carried.
    pub(super) requests: Cell<u32>,
    /// Something of the present response has come.
    pub(super) has_answered: Cell<bool>,
    /// So much waits to be written that no more should be.
    pub(super) is_full: Cell<bool>,
    is_held_up: Cell<bool>,
    /// The server keeps it after the present response.
    persists: Cell<bool>,
    reader: RefCell<Reader>,
    this: RefCell<std::rc::Weak<Connection>>,
}

impl Connection {
    pub(super) fn new(agent: Word, place: Rc<Place>) -> Self {
        Self {
            agent,
            place,
            transport: Cell::new(Word::NULL),
            exchange: Cell::new(Word::NULL),
            phase: Cell::new(Phase::Opening),
            requests: Cell::new(0),
            has_answered: Cell::new(false),
            is_full: Cell::new(false),
            is_held_up: Cell::new(false),
            persists: Cell::new(false),
            reader: RefCell::new(Reader { held: Vec::new(), seen: 0, body: Body::UntilClose, informational: 0 }),
            this: RefCell::default(),
        }
    }

    fn agent(&self) -> Option<Item<Agent>> {
        handles::get::<Agent>(self.agent).ok()
    }

    fn exchange(&self) -> Option<Item<Exchange>> {
        handles::get::<Exchange>(self.exchange.get()).ok()
    }

    fn settings(&self) -> Rc<Settings> {
        self.agent().map(|agent| agent.settings()).unwrap_or_default()
    }

    /// What carries it, while it is there.
    pub(super) fn transport(&self) -> Option<Item<Transport>> {
        handles::get::<Transport>(self.transport.get()).ok()
    }

    /// Whether nothing speaks against using it once more.
    pub(super) fn is_sound(&self) -> bool {
        self.phase.get() == Phase::Idle && self.transport().is_some_and(Item::is_sound)
    }

    /// Nobody wants it any more.
    pub(super) fn close(&self) {
        self.exchange.set(Word::NULL);
        let was = self.phase.replace(Phase::Over);
        let Some(transport) = self.transport() else { return };
        if was == Phase::Idle {
            let _ = ending::lose(transport);
        } else {
            // In the middle of something there is nothing to be waited for.
            let reason = failure::of_status(transport.root(), Status::ERR_CONNECTION_ABORTED);
            let _ = ending::abort(transport, reason);
        }
    }

    /// Writes; what fails shows as the end of the connection.
    pub(super) fn write(&self, data: &[u8]) {
        if let Some(transport) = self.transport() {
            let _ = writing::write(transport, data);
        }
    }

    /// The same of several parts.
    pub(super) fn write_parts(&self, parts: &[&[u8]]) {
        if let Some(transport) = self.transport() {
            let length = parts.iter().map(|part| part.len()).sum();
            let _ = writing::write_parts(transport, length, parts.iter().copied());
        }
    }

    /// Carries a request from here on: what comes is its response.
    pub(super) fn begin(&self, exchange: Item<Exchange>) {
        self.exchange.set(exchange.word());
        self.requests.set(self.requests.get() + 1);
        self.has_answered.set(false);
        self.reader.borrow_mut().informational = 0;
        self.phase.set(Phase::Head);
        self.watch_silence(true);
    }

    /// Reads on, or does not.
    pub(super) fn pause(&self, pause: bool) {
        let was = self.is_held_up.replace(pause);
        if let Some(transport) = self.transport().filter(|_| was != pause) {
            // Who is held up is silent without a fault.
            self.watch_silence(!pause);
            let _ = if pause { reading::pause(transport) } else { reading::resume(transport) };
        }
    }

    fn watch_silence(&self, on: bool) {
        let silence = if on { self.settings().silence } else { None };
        if let Some(transport) = self.transport() {
            let _ = options::set_idle(transport, silence.unwrap_or(0));
        }
    }

    fn me(&self) -> Option<Rc<Connection>> {
        self.this.borrow().upgrade()
    }
}

/// It is connected: a tunnel is asked for if one is needed.
pub(super) fn open(agent: Item<Agent>, connection: &Rc<Connection>) {
    *connection.this.borrow_mut() = Rc::downgrade(connection);
    if let Some(transport) = connection.transport() {
        if producer::register_whole(transport).is_err() {
            return connection.close();
        }
    }
    let Some((to, authorization)) = &connection.place.tunnel else { return secure(agent, connection) };
    connection.phase.set(Phase::Tunnel);
    let mut request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n");
    if let Some(authorization) = authorization {
        request.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
    }
    request.push_str("\r\n");
    if let Some(transport) = connection.transport() {
        let _ = options::set_idle(transport, agent.settings().connect_time.unwrap_or(0));
    }
    connection.write(request.as_bytes());
}

/// TLS begins, if there is to be any.
fn secure(agent: Item<Agent>, connection: &Rc<Connection>) {
    let Some(name) = &connection.place.secure else { return ready(agent, connection) };
    connection.phase.set(Phase::Opening);
    connection.watch_silence(false);
    let begun = begin_tls(agent, connection, name);
    match begun {
        Ok(attempt) => pool::attempts(agent, connection, attempt),
        Err(why) => {
            let why = failure::of_status(agent.root(), why);
            pool::failed(agent, connection, why);
            connection.close();
        }
    }
}

fn begin_tls(agent: Item<Agent>, connection: &Connection, name: &str) -> Result<Word> {
    let transport = connection.transport().ok_or(Status::ERR_CLOSED)?;
    let client = agent.settings().tls.clone().map_or_else(Client::usual, Ok)?;
    let deferred = start::start(transport, &Configuration::Client(client), Some(name))?;
    const TOLD: BothFn = secured;
    let added = chain::add_both(deferred, TOLD, Owned::new(agent.word(), None));
    if added.is_err() {
        cancel::cancel(deferred);
    }
    chain::release(deferred)?;
    added.map(|()| deferred.word())
}

extern "C-unwind" fn secured(attempt: Word, transport: Word, failure: Word, agent: Word) -> Word {
    let Ok(agent) = handles::get::<Agent>(agent) else { return Word::NULL };
    let Some(connection) = pool::connection_of(agent, attempt) else { return Word::NULL };
    let why = match handles::get::<Transport>(transport) {
        Ok(transport) => match &known::alpn(transport).unwrap_or_default()[..] {
            b"" | b"http/1.1" => {
                ready(agent, &connection);
                return Word::NULL;
            }
            other => {
                let name = connection.place.secure.as_deref().unwrap_or_default();
                let other = other.escape_ascii();
                let why = format_args!("{name} wants to speak {other}, but this is a client of HTTP/1.1");
                failure::of_status(agent.root(), Status::ERR_ALPN.because(why))
            }
        },
        Err(_) => failure::keep(failure),
    };
    pool::failed(agent, &connection, why);
    connection.close();
    Word::NULL
}

/// It can be used.
fn ready(agent: Item<Agent>, connection: &Rc<Connection>) {
    connection.phase.set(Phase::Idle);
    connection.watch_silence(false);
    pool::opened(agent, connection);
}

impl Whole for Connection {
    fn made(&self, transport: Item<Transport>) {
        self.transport.set(transport.word());
    }

    fn received(&self, transport: Item<Transport>, data: &[u8]) {
        let mut rest = data;
        while !rest.is_empty() && transport.is_alive() {
            let done = match self.phase.get() {
                Phase::Head => self.read_head(&mut rest),
                Phase::Body => self.read_body(&mut rest),
                Phase::Tunnel => self.read_tunnel(&mut rest),
                // What nobody has asked for is no answer to what is asked next.
                Phase::Idle => return self.close(),
                Phase::Opening | Phase::Over => return,
            };
            if let Err((status, text)) = done {
                return self.fail(status, &text);
            }
        }
        self.hold_up();
    }

    fn paused(&self, _transport: Item<Transport>) {
        self.is_full.set(true);
        if let Some(exchange) = self.exchange() {
            sending::paused(exchange);
        }
    }

    fn resumed(&self, _transport: Item<Transport>) {
        self.is_full.set(false);
        if let Some(exchange) = self.exchange() {
            sending::resumed(exchange);
        }
    }

    fn lost(&self, _transport: Item<Transport>, reason: Word) {
        let was = self.phase.replace(Phase::Over);
        let (Some(agent), Some(me)) = (self.agent(), self.me()) else { return };
        let until_close = was == Phase::Body && matches!(self.reader.borrow().body, Body::UntilClose);
        if was == Phase::Tunnel {
            let text = format!("the proxy at {} has closed the connection", me.place.endpoint);
            let failure = exchange::failure_of(agent.root(), reason, Status::ERR_CONNECT_FAILED, &text);
            pool::failed(agent, &me, failure);
        }
        if let Ok(exchange) = handles::get::<Exchange>(self.exchange.replace(Word::NULL)) {
            exchange::connection_lost(exchange, &me, reason, until_close);
        }
        if agent.is_alive() {
            pool::over(agent, &me);
        }
    }

    fn as_any(self: Rc<Self>) -> Rc<dyn Any> {
        self
    }
}

impl Connection {
    /// What came ends the exchange.
    fn fail(&self, status: Status, text: &str) {
        if self.phase.get() == Phase::Tunnel {
            if let (Some(agent), Some(me)) = (self.agent(), self.me()) {
                let text = format!("the proxy at {}: {text}", self.place.endpoint);
                let failure = crate::net::error::made(agent.root(), status, 0, &text);
                self.phase.set(Phase::Over);
                pool::failed(agent, &me, failure);
            }
        } else if let Some(exchange) = self.exchange() {
            exchange::fail_with(exchange, status, text);
        }
        self.close();
    }

    /// Whoever gets the body may want no more for now.
    fn hold_up(&self) {
        if self.phase.get() == Phase::Body && self.exchange().is_some_and(|exchange| !exchange.wants_more()) {
            self.pause(true);
        }
    }

    /// The bytes of a head, once it is whole.
    fn take_head(&self, rest: &mut &[u8]) -> std::result::Result<Option<Head>, Trouble> {
        let settings = self.settings();
        let mut reader = self.reader.borrow_mut();
        let Reader { held, seen, .. } = &mut *reader;
        let before = held.len();
        held.try_reserve(rest.len()).map_err(|_| (Status::ERR_NO_MEMORY, "no memory for the head".to_owned()))?;
        let found = if before == 0 {
            end_of_head(rest, seen)
        } else {
            held.extend_from_slice(rest);
            end_of_head(held, seen)
        };
        let found = found.map_err(bad)?;
        let too_long = || {
            let most = settings.head_size;
            (Status::ERR_LIMIT, format!("the head of the response is longer than {most} bytes, the limit"))
        };
        let Some(end) = found else {
            if before == 0 {
                held.extend_from_slice(rest);
            }
            *rest = &[];
            return if held.len() > settings.head_size as usize { Err(too_long()) } else { Ok(None) };
        };
        if end > settings.head_size as usize {
            return Err(too_long());
        }
        let parsed = parse(if before == 0 { &rest[..end] } else { &held[..end] }, settings.headers);
        *rest = &rest[end - before..];
        (*held, *seen) = (Vec::new(), 0);
        parsed.map(Some)
    }

    fn read_tunnel(&self, rest: &mut &[u8]) -> std::result::Result<(), Trouble> {
        let Some(head) = self.take_head(rest)? else { return Ok(()) };
        if head.code / 100 == 1 {
            return self.count_informational();
        }
        if head.code / 100 != 2 {
            let text = format!("it makes no tunnel, but says {} {}", head.code, head.reason);
            return Err((Status::ERR_CONNECT_FAILED, text));
        }
        if !rest.is_empty() {
            return Err((Status::ERR_BAD_MESSAGE, "it sends before the tunnel is used".to_owned()));
        }
        if let (Some(agent), Some(me)) = (self.agent(), self.me()) {
            secure(agent, &me);
        }
        Ok(())
    }

    fn count_informational(&self) -> std::result::Result<(), Trouble> {
        let most = self.settings().informational;
        let mut reader = self.reader.borrow_mut();
        reader.informational += 1;
        if reader.informational > most {
            return Err((Status::ERR_LIMIT, format!("more than {most} responses with 1xx, the limit")));
        }
        Ok(())
    }

    fn read_head(&self, rest: &mut &[u8]) -> std::result::Result<(), Trouble> {
        self.has_answered.set(true);
        let Some(head) = self.take_head(rest)? else { return Ok(()) };
        let Some(exchange) = self.exchange() else { return Ok(()) };
        if head.code == 101 {
            return Err((Status::ERR_BAD_MESSAGE, "the server changes the protocol without being asked".to_owned()));
        }
        if head.code / 100 == 1 {
            self.count_informational()?;
            exchange::informed(exchange, head.code);
            return Ok(());
        }
        let length = framing::response_body(&exchange.method(), head.code, head.minor, &head.fields).map_err(bad)?;
        self.persists.set(framing::is_persistent(head.minor, &head.fields) && length != Length::UntilClose);
        let most = self.settings().body_size;
        if let Length::Exactly(length) = length {
            if most != 0 && length > most {
                return Err((Status::ERR_LIMIT, format!("the body has {length} bytes, the limit is {most}")));
            }
        }
        let body = match length {
            Length::None | Length::Exactly(0) => {
                if !rest.is_empty() {
                    let text = format!("there is something behind a response that has no body ({})", head.code);
                    return Err((Status::ERR_BAD_MESSAGE, text));
                }
                None
            }
            Length::Exactly(length) => Some(Body::Left(length)),
            Length::Chunked => {
                let limits = chunked::Limits { padded: true, ..chunked::Limits::default() };
                Some(Body::Chunked(Box::new(Decoder::new(limits))))
            }
            Length::UntilClose => Some(Body::UntilClose),
        };
        let known = if let Length::Exactly(length) = length { Some(length) } else { None };
        match body {
            Some(body) => {
                self.reader.borrow_mut().body = body;
                self.phase.set(Phase::Body);
                exchange::responded(exchange, head, known);
            }
            None => exchange::responded_whole(exchange, head, |exchange| self.done(exchange, true)),
        }
        Ok(())
    }

    fn read_body(&self, rest: &mut &[u8]) -> std::result::Result<(), Trouble> {
        let Some(exchange) = self.exchange() else { return Ok(()) };
        let mut reader = self.reader.borrow_mut();
        let (piece, over) = match &mut reader.body {
            Body::UntilClose => (std::mem::take(rest), false),
            Body::Left(left) => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                let (piece, more) = rest.split_at(length);
                *rest = more;
                *left -= length as u64;
                (piece, *left == 0)
            }
            Body::Chunked(decoder) => match decoder.next(rest).map_err(bad)? {
                Piece::Data(piece) => (piece, false),
                Piece::Needs => (&[][..], false),
                Piece::End => {
                    let mut trailers = Fields::new();
                    let _ = decoder.trailers(&mut trailers);
                    drop(reader);
                    exchange.set_trailers(trailers);
                    self.finish_body(exchange, rest);
                    return Ok(());
                }
            },
        };
        drop(reader);
        if !piece.is_empty() {
            exchange::received(exchange, piece)?;
        }
        if over && self.exchange.get() == exchange.word() {
            self.finish_body(exchange, rest);
        }
        Ok(())
    }

    fn finish_body(&self, exchange: Item<Exchange>, rest: &mut &[u8]) {
        let clean = rest.is_empty();
        *rest = &[];
        self.done(exchange, clean);
        if exchange.is_alive() {
            exchange::finished(exchange);
        }
    }

    /// The response is whole: the exchange lets go of the connection, which carries another or none.
    fn done(&self, exchange: Item<Exchange>, clean: bool) {
        let keep = self.persists.get() && clean && exchange.is_sent() && exchange.keeps_alive();
        exchange.let_go();
        self.exchange.set(Word::NULL);
        let (Some(agent), Some(me)) = (self.agent(), self.me()) else { return self.close() };
        if clean && exchange.is_sent() {
            // Nothing is under way that a clean end would cut short.
            self.phase.set(Phase::Idle);
        }
        if !keep {
            return self.close();
        }
        self.pause(false);
        self.watch_silence(false);
        pool::release(agent, &me);
    }
}

fn parse(bytes: &[u8], most: u32) -> std::result::Result<Head, Trouble> {
    let mut headers = vec![httparse::EMPTY_HEADER; most as usize + 1];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => {
            return Err(bad(Bad::request("the head of the response has an empty line in it")));
        }
        Err(httparse::Error::TooManyHeaders) => return Err(too_many(most)),
        Err(why) => return Err((Status::ERR_BAD_MESSAGE, format!("the head of the response is none: {why}"))),
    }
    if response.headers.len() > most as usize {
        return Err(too_many(most));
    }
    let no_memory = |_| (Status::ERR_NO_MEMORY, "no memory for the head of the response".to_owned());
    let mut head = Head {
        code: response.code.unwrap_or(0),
        minor: response.version.unwrap_or(0),
        reason: response.reason.unwrap_or_default().to_owned(),
        fields: Fields::new(),
    };
    if !(100..=999).contains(&head.code) {
        return Err(bad(Bad::request("the response has a status that is none")));
    }
    for header in response.headers {
        head.fields.add(header.name.as_bytes(), header.value).map_err(no_memory)?;
    }
    Ok(head)
}

fn too_many(most: u32) -> Trouble {
    (Status::ERR_LIMIT, format!("the response has more than {most} headers, the limit"))
}
