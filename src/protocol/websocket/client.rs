//! Connecting to a WebSocket's URL: a connection, the opening handshake on it, and what becomes of both.

use super::connection::{self, Protocol, Settings};
use super::handshake::{self, Opened};
use super::{Role, ending};
use crate::deferred::failure::Failure;
use crate::deferred::{Deferred, DeferredItem, cancel, chain, failure, later};
use crate::handles::{self, Body, CallFn, Item, Kind, Owned, Word};
use crate::net::protocol::{Protocol as Stream, Whole};
use crate::net::transport::Transport;
use crate::net::{self, connect, error, tls, writing};
use crate::protocol::http::Fields;
use crate::protocol::http::fields::{is_token, write_field};
use crate::protocol::http::framing;
use crate::protocol::http::url::{Scheme, Url};
use crate::reactor::timers::{self, DelayedCall, SECOND};
use crate::reactor::{Reactor, ReactorItem};
use crate::status::{self, Result, Status};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// Fields of an answer, at most.
const FIELDS: usize = 100;

/// How a client asks.
pub struct How {
    /// Fields of the request besides.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes of an answer's head, at most.
    pub most_head: usize,
    /// How long all of it may take.
    pub time: u64,
    /// What it trusts and shows; None: the usual.
    pub tls: Option<Arc<tls::Client>>,
}

impl Default for How {
    fn default() -> Self {
        Self { fields: Vec::new(), most_head: 16 * 1024, time: 30 * SECOND, tls: None }
    }
}

impl How {
    /// One field more: "Name: value".
    pub fn add(&mut self, line: &[u8]) -> Result {
        let refused =
            |why: &str| Status::ERR_INVALID_ARGUMENT.because(format_args!("\"{}\" {why}", line.escape_ascii()));
        let colon =
            line.iter().position(|byte| *byte == b':').ok_or_else(|| refused("is no header: it has no colon"))?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let own = [&b"host"[..], b"upgrade", b"connection", b"content-length", b"transfer-encoding"];
        let is_own = own.iter().any(|one| one.eq_ignore_ascii_case(name));
        if is_own || name.to_ascii_lowercase().starts_with(b"sec-websocket-") {
            return Err(refused("is a header that the handshake sets itself"));
        }
        if !is_token(name) || !crate::protocol::http::fields::is_value(value) {
            return Err(refused("is no header"));
        }
        self.fields.push((name.to_owned(), value.to_owned()));
        Ok(())
    }
}

/// What a handshake is about.
struct Plan {
    url: Url,
    key: String,
    how: How,
    settings: Rc<Settings>,
    protocol: Rc<dyn Protocol>,
    scope: u32,
}

/// A handshake that is not over.
#[derive(Default)]
pub struct Handshake {
    plan: RefCell<Option<Plan>>,
    deferred: Cell<Word>,
    /// The Deferred of the connection.
    attempt: Cell<Word>,
    transport: Cell<Word>,
    timer: Cell<Word>,
    /// What has come of the answer, and how far it was looked at.
    head: RefCell<Vec<u8>>,
    seen: Cell<usize>,
}

impl Body for Handshake {
    const KIND: Kind = Kind::WebSocketHandshake;
    const SLOTS: u32 = 16;
    type Root = Reactor;
    type Beside = ();

    fn end(handshake: Item<Self>) {
        drop_plan(handshake.root(), finish(handshake));
    }
}

fn get(word: Word) -> Option<Item<Handshake>> {
    handles::get::<Handshake>(word).ok()
}

/// Connects; the Deferred fires with the WebSocket's handle, never from inside this call.
pub fn connect(
    reactor: ReactorItem,
    url: &str,
    how: How,
    settings: Rc<Settings>,
    protocol: Rc<dyn Protocol>,
) -> Result<DeferredItem> {
    let url = Url::parse(url)?;
    if !matches!(url.scheme(), Scheme::Ws | Scheme::Wss) {
        let why = format_args!("\"{}\" is not the URL of a WebSocket: it begins with ws:// or wss://", url.text());
        return Err(Status::ERR_INVALID_ARGUMENT.because(why));
    }
    net::open(reactor)?;
    handles::check_memory(4096)?;
    let deferred: Item<Deferred> = chain::new_inside(reactor, give_up, Word::NULL)?;
    let handshake = reactor.pools.alloc::<Handshake>().inspect_err(|_| later::discard(deferred))?;
    for word in [&handshake.attempt, &handshake.transport, &handshake.timer] {
        word.set(Word::NULL);
    }
    handshake.seen.set(0);
    handshake.deferred.set(deferred.word());
    let random = || reactor.with_driver(|driver| driver.random()).to_ne_bytes();
    let mut bytes = [0; 16];
    bytes.chunks_exact_mut(8).for_each(|half| half.copy_from_slice(&random()));
    let (key, scope) = (handshake::key(bytes), reactor.scope.get());
    *handshake.plan.borrow_mut() = Some(Plan { url, key, how, settings, protocol, scope });
    begin(handshake).inspect_err(|_| {
        later::discard(deferred);
        drop_plan(reactor, finish(handshake));
    })?;
    chain::set_canceller_data(deferred, handshake.word());
    Ok(deferred)
}

fn begin(handshake: Item<Handshake>) -> Result {
    let reactor = handshake.root();
    let read =
        |plan: &Plan| (endpoint(plan), plan.how.time, plan.how.tls.clone().filter(|_| plan.url.scheme().is_secure()));
    let (endpoint, time, tls) = handshake.with_plan(read).ok_or(Status::ERR_CLOSED)?;
    timer(handshake, time, timed_out)?;
    let whole: Rc<dyn Whole> = Rc::new(Talk(handshake.word()));
    let stream = Rc::new(Stream { whole: Some(whole), ..Stream::default() });
    let attempt = match tls {
        Some(tls) => connect::connect_tls(reactor, endpoint.as_bytes(), tls, stream, Owned::default()),
        None => connect::connect(reactor, endpoint.as_bytes(), stream, Owned::default()),
    }?;
    let added = chain::add_both(attempt, connected, Owned::new(handshake.word(), None));
    if added.is_err() {
        cancel::cancel(attempt);
    }
    chain::release(attempt)?;
    handshake.attempt.set(attempt.word());
    added
}

/// Where the connection goes; this handshake's own time is the limit.
fn endpoint(plan: &Plan) -> String {
    let scheme = if plan.url.scheme().is_secure() { "tls" } else { "tcp" };
    let seconds = (plan.how.time as f64 / SECOND as f64).max(0.001) + 1.0;
    format!("{scheme}://{}?timeout={seconds:.3}", plan.url.host_and_port())
}

fn timer(handshake: Item<Handshake>, time: u64, call: CallFn) -> Result {
    let reactor = handshake.root();
    let deadline = reactor.read_clock().saturating_add(time);
    handshake.timer.set(timers::call_at(reactor, deadline, call, handshake.word())?.word());
    Ok(())
}

impl Handshake {
    fn with_plan<R>(&self, read: impl FnOnce(&Plan) -> R) -> Option<R> {
        self.plan.borrow().as_ref().map(read)
    }
}

/// What the connection is a part of until the handshake is done.
struct Talk(Word);

impl Whole for Talk {
    fn made(&self, transport: Item<Transport>) {
        let Some(handshake) = get(self.0) else { return };
        handshake.transport.set(transport.word());
        let request = handshake.with_plan(request).unwrap_or_default();
        if let Err(why) = writing::write(transport, &request) {
            let words = words_of(why);
            fail(handshake, why, &words);
        }
    }

    fn received(&self, transport: Item<Transport>, data: &[u8]) {
        if let Some(handshake) = get(self.0) {
            received(handshake, transport, data);
        }
    }

    fn lost(&self, _: Item<Transport>, reason: Word) {
        let Some(handshake) = get(self.0) else { return };
        handshake.transport.set(Word::NULL);
        let why = handles::get::<Failure>(reason).map_or(Status::ERR_CLOSED, |reason| Status(reason.code()));
        if why == Status::CONNECTION_DONE {
            fail(handshake, Status::ERR_TRUNCATED, "the server has ended the connection without an answer");
        } else {
            fail_by(handshake, reason);
        }
    }

    fn as_any(self: Rc<Self>) -> Rc<dyn Any> {
        self
    }
}

fn request(plan: &Plan) -> Vec<u8> {
    let mut request = format!("GET {} HTTP/1.1\r\n", plan.url.target()).into_bytes();
    write_field(&mut request, b"Host", plan.url.authority().as_bytes());
    for (name, value) in handshake::request(&plan.key, &plan.settings.terms) {
        write_field(&mut request, name.as_bytes(), value.as_bytes());
    }
    if let Some((user, password)) = plan.url.user() {
        write_field(&mut request, b"Authorization", handshake::basic(user, password).as_bytes());
    }
    for (name, value) in &plan.how.fields {
        write_field(&mut request, name, value);
    }
    request.extend_from_slice(b"\r\n");
    request
}

/// What an answer says.
struct Answer {
    code: u16,
    reason: String,
    fields: Fields,
    /// Bytes of its head.
    length: usize,
}

/// Bytes of the answer came.
fn received(handshake: Item<Handshake>, transport: Item<Transport>, data: &[u8]) {
    let most = handshake.with_plan(|plan| plan.how.most_head).unwrap_or_default();
    let mut head = handshake.head.take();
    let mut seen = handshake.seen.get();
    if head.try_reserve(data.len()).is_err() {
        return fail(handshake, Status::ERR_NO_MEMORY, "no memory for the server's answer");
    }
    head.extend_from_slice(data);
    // An answer before the answer, such as 103, is passed over.
    let answer = loop {
        match parse(&head, &mut seen) {
            Ok(Some(answer)) if answer.code != 101 && answer.code < 200 && answer.length <= most => {
                head.drain(..answer.length);
                seen = 0;
            }
            other => break other,
        }
    };
    match answer {
        Ok(Some(answer)) if answer.length <= most => answered(handshake, transport, &answer, &head[answer.length..]),
        Ok(None) if head.len() <= most => {
            handshake.seen.set(seen);
            *handshake.head.borrow_mut() = head;
        }
        Ok(_) => fail(
            handshake,
            Status::ERR_TOO_LONG,
            &format!("the head of the server's answer is longer than {most} bytes"),
        ),
        Err(why) => {
            let words = format!("the server's answer is not HTTP/1.1: {why}");
            fail(handshake, Status::ERR_WEBSOCKET_HANDSHAKE, &words);
        }
    }
}

/// Reads the head of an answer; None: it is not all there.
fn parse(bytes: &[u8], seen: &mut usize) -> std::result::Result<Option<Answer>, String> {
    // What does not begin as an answer does is none: that need not be waited out.
    let version = &b"HTTP/1.1 "[..bytes.len().min(9)];
    if &bytes[..version.len()] != version {
        return Err("it does not begin with the version".to_owned());
    }
    let Some(length) = framing::end_of_head(bytes, seen).map_err(|bad| bad.text.to_owned())? else { return Ok(None) };
    let mut space = [httparse::EMPTY_HEADER; FIELDS];
    let mut response = httparse::Response::new(&mut space);
    response.parse(&bytes[..length]).map_err(|why| why.to_string())?;
    let mut fields = Fields::new();
    for field in response.headers.iter() {
        fields.push(field.name.as_bytes(), field.value).map_err(words_of)?;
    }
    let reason = response.reason.unwrap_or_default().to_owned();
    Ok(Some(Answer { code: response.code.unwrap_or_default(), reason, fields, length }))
}

fn answered(handshake: Item<Handshake>, transport: Item<Transport>, answer: &Answer, left: &[u8]) {
    if answer.code != 101 {
        let redirects = if (300..400).contains(&answer.code) { ", and redirects are not followed" } else { "" };
        let words = format!("the server has answered {} {}{redirects}", answer.code, answer.reason);
        return fail(handshake, Status::ERR_WEBSOCKET_HANDSHAKE, words.trim_end());
    }
    let checked = handshake.with_plan(|plan| handshake::check(&answer.fields, &plan.key, &plan.settings.terms));
    match checked {
        Some(Ok(opened)) => succeed(handshake, transport, opened, left),
        Some(Err(why)) => {
            let words = format!("the server's answer is no handshake: {why}");
            fail(handshake, Status::ERR_WEBSOCKET_HANDSHAKE, &words);
        }
        None => {}
    }
}

fn succeed(handshake: Item<Handshake>, transport: Item<Transport>, opened: Opened, left: &[u8]) {
    let made = handshake.with_plan(|plan| (Rc::clone(&plan.settings), Rc::clone(&plan.protocol)));
    let Some((settings, protocol)) = made else { return };
    let socket = match connection::open(transport, Role::Client, settings, opened, protocol, left) {
        Ok(socket) => socket,
        Err(why) => {
            let words = words_of(why);
            return fail(handshake, why, &words);
        }
    };
    // The connection is the WebSocket's from here on.
    handshake.transport.set(Word::NULL);
    let deferred = handshake.deferred.get();
    drop_plan(handshake.root(), finish(handshake));
    socket.tell_opened();
    let fired = handles::get::<Deferred>(deferred)
        .and_then(|deferred| chain::callback(deferred, Owned::new(socket.word(), None)));
    if fired.is_err() && socket.is_alive() {
        // `opened` has cancelled it.
        let _ = ending::abort(socket);
    }
}

fn words_of(why: Status) -> String {
    status::detail_of(why).unwrap_or_else(|| why.text().to_string_lossy().into_owned())
}

extern "C-unwind" fn connected(_: Word, _transport: Word, failure: Word, handshake: Word) -> Word {
    if let Some(handshake) = get(handshake) {
        handshake.attempt.set(Word::NULL);
        if !failure.is_null() {
            fail_by(handshake, failure);
        }
    }
    Word::NULL
}

extern "C-unwind" fn timed_out(word: Word) {
    let Some(handshake) = get(word) else { return };
    handshake.timer.set(Word::NULL);
    let seconds = handshake.with_plan(|plan| plan.how.time as f64 / SECOND as f64).unwrap_or_default();
    fail(handshake, Status::ERR_TIMED_OUT, &format!("no answer within {seconds} s"));
}

/// It has failed as this has.
fn fail_by(handshake: Item<Handshake>, reason: Word) {
    let Ok(reason) = handles::get::<Failure>(reason) else { return };
    let status = Status(reason.code());
    let words = reason.own_message().unwrap_or_else(|| status.text().to_string_lossy().into_owned());
    fail_with(handshake, status, reason.os_error(), &words);
}

fn fail(handshake: Item<Handshake>, why: Status, words: &str) {
    fail_with(handshake, why, 0, words);
}

fn fail_with(handshake: Item<Handshake>, why: Status, os_error: i32, words: &str) {
    let reactor = handshake.root();
    let deferred = handshake.deferred.get();
    let plan = finish(handshake);
    let url = plan.as_ref().map(|plan| plan.url.text().to_owned()).unwrap_or_default();
    drop_plan(reactor, plan);
    if let Ok(deferred) = handles::get::<Deferred>(deferred) {
        let _ = chain::errback(deferred, error::made(reactor, why, os_error, &format!("{url}: {words}")));
    }
}

/// It is over: nothing of it happens any more, and its connection is closed.
fn finish(handshake: Item<Handshake>) -> Option<Plan> {
    let plan = handshake.plan.take();
    if let Ok(timer) = handles::get::<DelayedCall>(handshake.timer.replace(Word::NULL)) {
        let _ = timers::cancel(timer);
    }
    handshake.head.take();
    let (attempt, transport) = (handshake.attempt.get(), handshake.transport.get());
    handshake.root().pools.free(handshake);
    if let Ok(transport) = handles::get::<Transport>(transport) {
        let reason = failure::of_status(transport.root(), Status::ERR_CONNECTION_ABORTED);
        let _ = net::ending::abort(transport, reason);
    } else if let Ok(attempt) = handles::get::<Deferred>(attempt) {
        cancel::cancel(attempt);
    }
    plan
}

/// What the protocol got as self is freed.
fn drop_plan(reactor: ReactorItem, plan: Option<Plan>) {
    let _out = reactor.call_out();
    let scope = plan.as_ref().map_or(0, |plan| plan.scope);
    reactor.in_scope(scope, || drop(plan));
}

extern "C-unwind" fn give_up(deferred: Word, word: Word) {
    if let Some(handshake) = get(word) {
        drop_plan(handshake.root(), finish(handshake));
    }
    if let Ok(deferred) = handles::get::<Deferred>(deferred) {
        let _ = chain::abandon(deferred);
    }
}
