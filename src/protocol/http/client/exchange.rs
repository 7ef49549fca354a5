//! A request from its start to the last byte of its response, or to its failure: one of them, once.

use super::agent::{self, Agent};
use super::connection::{Connection, Head, Place};
use super::response::{self, Response};
use super::sending::{self, Content, Request, Sending};
use super::{following, pool};
use crate::deferred::failure::{self, Failure};
use crate::deferred::{Deferred, DeferredItem, chain, later};
use crate::handles::{self, Body, CallFn, Item, Kind, Word};
use crate::net::error;
use crate::protocol::http::Fields;
use crate::protocol::http::url::Url;
use crate::reactor::timers::{self, DelayedCall};
use crate::reactor::{Reactor, scopes};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// What is so about an exchange.
pub(super) mod flag {
    /// All of the request is written.
    pub const SENT: u32 = 1;
    /// The server is asked first whether it wants the body.
    pub const WAITS_TO_SEND: u32 = 1 << 1;
    /// Somebody else writes the body, and was told to start.
    pub const STREAMS: u32 = 1 << 2;
    /// The head of the response has come.
    pub const ANSWERED: u32 = 1 << 3;
    /// The rest of the request is not wanted.
    pub const REFUSED: u32 = 1 << 4;
    /// It was tried again already.
    pub const RETRIED: u32 = 1 << 5;
}

/// So much of a body that nobody wants is read, to keep the connection.
pub(super) const DRAINED: u64 = 64 << 10;

/// Where the body of a response goes.
#[derive(Clone, Copy, Default)]
enum Target {
    #[default]
    None,
    Response,
    /// Nowhere, and so much of it at most.
    Drain(u64),
}

/// See the module.
#[derive(Default)]
pub struct Exchange {
    agent: Cell<Word>,
    pub(super) scope: Cell<u32>,
    flags: Cell<u32>,
    /// Null once it has fired.
    deferred: Cell<Word>,
    response: Cell<Word>,
    target: Cell<Target>,
    request: RefCell<Option<Request>>,
    connection: RefCell<Option<Rc<Connection>>>,
    place: RefCell<Option<Rc<Place>>>,
    pub(super) sending: RefCell<Sending>,
    /// Bytes of the body that have come.
    came: Cell<u64>,
    /// Redirects that were followed.
    pub(super) redirects: Cell<u32>,
    /// What is asked for when this response is over.
    pub(super) next: RefCell<Option<following::Next>>,
    /// Of the present step, and of all.
    timer: Cell<Word>,
    deadline: Cell<Word>,
}

impl Body for Exchange {
    const KIND: Kind = Kind::HttpExchange;
    type Root = Reactor;
    type Beside = ();

    fn end(exchange: Item<Self>) {
        fail_with(exchange, Status::ERR_CLOSED, "its reactor or its scope has ended");
    }
}

/// Begins a request. The Deferred fires with the response, never from inside this call.
pub fn begin(agent: Item<Agent>, request: Request) -> Result<DeferredItem> {
    let reactor = agent.root();
    reactor.check_open()?;
    crate::net::open(reactor)?;
    handles::check_memory(4096)?;
    if matches!(request.content, Content::File(_)) {
        reactor.check_system("files")?;
    }
    let place = agent::place_of(&agent.settings(), &request.url, request.endpoint.as_deref())?;
    let deferred = chain::new_inside(reactor, give_up, Word::NULL)?;
    let exchange = reactor.pools.alloc::<Exchange>().inspect_err(|_| later::discard(deferred))?;
    let scope = reactor.scope.get();
    exchange.agent.set(agent.word());
    exchange.scope.set(scope);
    exchange.flags.set(0);
    exchange.deferred.set(deferred.word());
    exchange.response.set(Word::NULL);
    exchange.came.set(0);
    exchange.redirects.set(0);
    exchange.timer.set(Word::NULL);
    exchange.deadline.set(Word::NULL);
    let total = request.total_time;
    *exchange.request.borrow_mut() = Some(request);
    let joined = if scope == 0 { Ok(()) } else { scopes::join(reactor, scope, exchange.word()) };
    let begun = joined.and_then(|()| {
        if let Some(total) = total {
            let deadline = reactor.read_clock().saturating_add(total);
            exchange.deadline.set(timers::call_at(reactor, deadline, took_too_long, exchange.word())?.word());
        }
        acquire(agent, exchange, place, false)
    });
    keep_words(begun, || {
        exchange.deferred.set(Word::NULL);
        later::discard(deferred);
        close(exchange);
    })?;
    // It may have failed already: nobody has heard of that yet.
    if exchange.is_alive() {
        chain::set_canceller_data(deferred, exchange.word());
    }
    Ok(deferred)
}

/// Cleans up after what has failed; the words that it has left for the caller are kept.
fn keep_words(done: Result, clean_up: impl FnOnce()) -> Result {
    done.map_err(|why| {
        let words = crate::status::detail_of(why);
        clean_up();
        words.map_or(why, |words| why.because(words))
    })
}

fn acquire(agent: Item<Agent>, exchange: Item<Exchange>, place: Place, fresh: bool) -> Result {
    let place = Rc::new(place);
    *exchange.place.borrow_mut() = Some(Rc::clone(&place));
    pool::acquire(agent, exchange, place, fresh)
}

/// It asks for a connection, or for another.
fn ask(exchange: Item<Exchange>, fresh: bool) {
    let Some(agent) = exchange.owner() else { return fail_with(exchange, Status::ERR_CLOSED, "its agent was freed") };
    let settings = agent.settings();
    let place = exchange.with_request(|request| agent::place_of(&settings, &request.url, request.endpoint.as_deref()));
    exchange.clear(flag::SENT | flag::WAITS_TO_SEND | flag::ANSWERED | flag::REFUSED);
    exchange.came.set(0);
    exchange.target.set(Target::None);
    exchange.sending.take();
    let asked = place.unwrap_or(Err(Status::ERR_CLOSED)).and_then(|place| acquire(agent, exchange, place, fresh));
    if let Err(why) = asked {
        fail_by(exchange, why);
    }
}

impl Exchange {
    pub(super) fn has(&self, flag: u32) -> bool {
        self.flags.get() & flag != 0
    }

    pub(super) fn set(&self, flag: u32) {
        self.flags.set(self.flags.get() | flag);
    }

    pub(super) fn clear(&self, flag: u32) {
        self.flags.set(self.flags.get() & !flag);
    }

    /// The handle of its agent; may be stale.
    pub(super) fn agent(&self) -> Word {
        self.agent.get()
    }

    pub(super) fn owner(&self) -> Option<Item<Agent>> {
        handles::get::<Agent>(self.agent.get()).ok()
    }

    /// Reads or changes what is asked for. Nothing is to be called meanwhile.
    pub(super) fn with_request<R>(&self, read: impl FnOnce(&mut Request) -> R) -> Option<R> {
        self.request.borrow_mut().as_mut().map(read)
    }

    pub(super) fn url(&self) -> Option<Url> {
        self.with_request(|request| request.url.clone())
    }

    pub(super) fn method(&self) -> Vec<u8> {
        self.with_request(|request| request.method.clone().into_bytes()).unwrap_or_default()
    }

    pub(super) fn connection(&self) -> Option<Rc<Connection>> {
        self.connection.borrow().clone()
    }

    fn response(&self) -> Option<Item<Response>> {
        handles::get::<Response>(self.response.get()).ok()
    }

    pub(super) fn is_sent(&self) -> bool {
        self.has(flag::SENT)
    }

    /// Whether the host has not asked for the connection to be closed.
    pub(super) fn keeps_alive(&self) -> bool {
        self.with_request(|request| !request.fields.lists(b"connection", b"close")) == Some(true)
    }

    /// The connection is not its any more.
    pub(super) fn let_go(&self) {
        self.connection.take();
    }

    pub(super) fn set_trailers(&self, trailers: Fields) {
        if let Some(response) = self.response() {
            response.set_trailers(trailers);
        }
    }

    /// Whether who gets the body takes more of it now.
    pub(super) fn wants_more(&self) -> bool {
        self.response().is_none_or(|response| response.wants_more())
    }
}

/// How messages name a request.
fn name(exchange: Item<Exchange>) -> String {
    exchange.with_request(|request| format!("{} {}", request.method, request.url.text())).unwrap_or_default()
}

/// A failure that says what was being done before what this one says; for a clean end `clean` stands in.
pub(super) fn failure_of(reactor: crate::reactor::ReactorItem, reason: Word, clean: Status, what: &str) -> Word {
    let Ok(of) = handles::get::<Failure>(reason) else { return failure::of_status(reactor, clean) };
    let is_clean = of.code() == Status::CONNECTION_DONE.0;
    let text = match of.own_message() {
        _ if is_clean => what.to_owned(),
        Some(message) => format!("{what}: {message}"),
        None => format!("{what}: {}", Status(of.code()).text().to_string_lossy()),
    };
    let code = if is_clean { clean } else { Status(of.code()) };
    error::made(reactor, code, of.os_error(), &text)
}

/// A timer for the present step, in place of the one before.
pub(super) fn start_timer(exchange: Item<Exchange>, time: u64, call: CallFn) {
    stop_timer(exchange);
    let reactor = exchange.root();
    match timers::call_at(reactor, reactor.read_clock().saturating_add(time), call, exchange.word()) {
        Ok(timer) => exchange.timer.set(timer.word()),
        Err(why) => fail_by(exchange, why),
    }
}

pub(super) fn stop_timer(exchange: Item<Exchange>) {
    stop(&exchange.timer);
}

fn stop(timer: &Cell<Word>) {
    if let Ok(timer) = handles::get::<DelayedCall>(timer.replace(Word::NULL)) {
        let _ = timers::cancel(timer);
    }
}

/// The exchange whose timer of the step calls.
pub(super) fn timer_fired(word: Word) -> Option<Item<Exchange>> {
    let exchange = handles::get::<Exchange>(word).ok()?;
    exchange.timer.set(Word::NULL);
    Some(exchange)
}

extern "C-unwind" fn took_too_long(word: Word) {
    let Ok(exchange) = handles::get::<Exchange>(word) else { return };
    exchange.deadline.set(Word::NULL);
    let seconds = exchange.with_request(|request| request.total_time).flatten().unwrap_or(0) as f64 / 1e9;
    fail_with(exchange, Status::ERR_TIMED_OUT, &format!("it is not over after {seconds} s"));
}

/// There is a connection for it.
pub(super) fn connected(exchange: Item<Exchange>, connection: &Rc<Connection>) {
    *exchange.connection.borrow_mut() = Some(Rc::clone(connection));
    connection.begin(exchange);
    if let Err(why) = sending::begin(exchange, connection) {
        fail_by(exchange, why);
    }
}

/// A response with 1xx.
pub(super) fn informed(exchange: Item<Exchange>, code: u16) {
    if code == 100 {
        sending::may_send(exchange);
    }
}

/// What every final head does: cookies are kept, and what is still to be sent may not be wanted.
fn take_note(exchange: Item<Exchange>, head: &Head) {
    exchange.set(flag::ANSWERED);
    stop_timer(exchange);
    if !exchange.is_sent() && (head.code >= 300 || exchange.has(flag::WAITS_TO_SEND)) {
        exchange.set(flag::REFUSED);
        exchange.clear(flag::WAITS_TO_SEND);
        sending::stop(exchange);
    }
    let (Some(agent), Some(url)) = (exchange.owner(), exchange.url()) else { return };
    if agent.settings().cookies {
        for cookie in head.fields.all(b"set-cookie").take_while(|_| agent.is_alive()) {
            agent::set_cookie(agent, &url, cookie);
        }
    }
}

/// The head of a response that has a body. None: what comes of it leads elsewhere, or has failed already.
pub(super) fn responded(exchange: Item<Exchange>, head: Head, length: Option<u64>) {
    take_note(exchange, &head);
    if !exchange.is_alive() {
        return;
    }
    match following::of(exchange, &head) {
        Ok(Some(next)) => {
            *exchange.next.borrow_mut() = Some(next);
            exchange.target.set(Target::Drain(DRAINED));
        }
        Ok(None) => {
            if let Some(response) = make_response(exchange, head, length) {
                fire(exchange, response);
            }
        }
        Err(why) => fail_by(exchange, why),
    }
}

/// The same of one that has none: `done` gives the connection back before anybody hears of it.
pub(super) fn responded_whole(exchange: Item<Exchange>, head: Head, done: impl FnOnce(Item<Exchange>)) {
    take_note(exchange, &head);
    if !exchange.is_alive() {
        return;
    }
    match following::of(exchange, &head) {
        Ok(Some(next)) => {
            *exchange.next.borrow_mut() = Some(next);
            done(exchange);
            if exchange.is_alive() {
                finished(exchange);
            }
        }
        Ok(None) => {
            let Some(response) = make_response(exchange, head, Some(0)) else { return };
            done(exchange);
            if exchange.is_alive() {
                response::ended(response, None);
                fire(exchange, response);
            }
            if exchange.is_alive() {
                close(exchange);
            }
        }
        Err(why) => fail_by(exchange, why),
    }
}

fn make_response(exchange: Item<Exchange>, head: Head, length: Option<u64>) -> Option<Item<Response>> {
    let ratio = exchange.owner().map_or(0, |agent| agent.settings().inflate_ratio);
    let decompress = exchange.with_request(|request| request.decompress && request.method != "HEAD") == Some(true);
    let url = exchange.with_request(|request| request.url.text().to_owned()).unwrap_or_default();
    let ratio = decompress.then_some(ratio);
    match response::make(exchange, head, &url, length, ratio) {
        Ok(response) => {
            exchange.response.set(response.word());
            exchange.target.set(Target::Response);
            Some(response)
        }
        Err(why) => {
            fail_by(exchange, why);
            None
        }
    }
}

/// The host hears of the response.
fn fire(exchange: Item<Exchange>, response: Item<Response>) {
    let deferred = exchange.deferred.replace(Word::NULL);
    if let Ok(deferred) = handles::get::<Deferred>(deferred) {
        let _ = chain::callback(deferred, response::value(response));
    }
}

/// A piece of the body.
pub(super) fn received(exchange: Item<Exchange>, piece: &[u8]) -> std::result::Result<(), (Status, String)> {
    let came = exchange.came.get().saturating_add(piece.len() as u64);
    exchange.came.set(came);
    match exchange.target.get() {
        Target::Response => {
            let most = exchange.owner().map_or(0, |agent| agent.settings().body_size);
            if most != 0 && came > most {
                return Err((Status::ERR_LIMIT, format!("the body has more than {most} bytes, the limit")));
            }
            if let Some(response) = exchange.response() {
                response::received(response, piece);
            }
        }
        Target::Drain(left) if came > left => {
            // Another connection costs less than to read on.
            let connection = exchange.connection.take();
            connection.into_iter().for_each(|connection| connection.close());
            finished(exchange);
        }
        Target::Drain(_) | Target::None => {}
    }
    Ok(())
}

/// The response is whole, or what is left of it is not waited for: the next request is made, or it is all over.
pub(super) fn finished(exchange: Item<Exchange>) {
    let next = exchange.next.borrow_mut().take();
    if let Some(next) = next {
        following::follow(exchange, next);
        return ask(exchange, false);
    }
    let response = exchange.response();
    close(exchange);
    if let Some(response) = response {
        response::ended(response, None);
    }
}

/// Its connection is over; the response may be whole with that.
pub(super) fn connection_lost(exchange: Item<Exchange>, connection: &Rc<Connection>, reason: Word, until_close: bool) {
    exchange.connection.take();
    let code = handles::get::<Failure>(reason).map_or(0, |failure| failure.code());
    let clean = code == Status::CONNECTION_DONE.0;
    if exchange.next.borrow().is_some() || until_close && clean {
        return finished(exchange);
    }
    let again = exchange.with_request(|request| {
        super::redirect::is_idempotent(request.method.as_bytes()) && request.content.is_repeatable()
    });
    let unseen = !connection.has_answered.get() && connection.requests.get() > 1 && code != Status::ERR_TIMED_OUT.0;
    if unseen && again == Some(true) && !exchange.has(flag::RETRIED) {
        exchange.set(flag::RETRIED);
        stop_timer(exchange);
        return ask(exchange, true);
    }
    let (status, text) = match (exchange.has(flag::ANSWERED), connection.has_answered.get()) {
        (true, _) => (Status::ERR_TRUNCATED, "the server closed the connection before the body was whole"),
        (false, true) => {
            (Status::ERR_TRUNCATED, "the server closed the connection in the middle of the response's head")
        }
        (false, false) => (Status::ERR_CONNECTION_LOST, "the server closed the connection before it answered"),
    };
    let text = format!("{}: {text}", name(exchange));
    let failure = if clean {
        failure_of(exchange.root(), reason, status, &text)
    } else {
        failure_of(exchange.root(), reason, status, &name(exchange))
    };
    fail(exchange, failure);
}

/// Fails with this, and the request's name before it.
pub(super) fn fail_with(exchange: Item<Exchange>, status: Status, text: &str) {
    let text = format!("{}: {text}", name(exchange));
    let failure = error::made(exchange.root(), status, 0, &text);
    fail(exchange, failure);
}

/// The same with the words that a call has left.
fn fail_by(exchange: Item<Exchange>, why: Status) {
    let words = crate::status::detail_of(why).unwrap_or_else(|| why.text().to_string_lossy().into_owned());
    fail_with(exchange, why, &words);
}

/// The same for what another failure says; it is held for that.
pub(super) fn fail_because(exchange: Item<Exchange>, reason: Word) {
    let failure = failure_of(exchange.root(), reason, Status::ERR_CONNECTION_LOST, &name(exchange));
    let _ = failure::release(reason);
    fail(exchange, failure);
}

/// It is over without a response, or with a part of one. The failure is held for that.
fn fail(exchange: Item<Exchange>, failure: Word) {
    let _out = exchange.root().call_out();
    let deferred = exchange.deferred.replace(Word::NULL);
    let response = exchange.response();
    close(exchange);
    match (response, handles::get::<Deferred>(deferred)) {
        (Some(response), _) => response::ended(response, Some(failure)),
        (None, Ok(deferred)) => drop(chain::errback(deferred, failure)),
        (None, Err(_)) => drop(failure::release(failure)),
    }
}

/// Nobody wants the rest of the response: a little is read, for the connection's sake, more is not.
pub(super) fn drop_response(exchange: Item<Exchange>) {
    exchange.response.set(Word::NULL);
    let Some(connection) = exchange.connection() else { return close(exchange) };
    exchange.target.set(Target::Drain(exchange.came.get() + DRAINED));
    connection.pause(false);
}

/// Nobody wants anything of it: it ends at once, and nobody is told.
pub(super) fn abort(exchange: Item<Exchange>) {
    exchange.deferred.set(Word::NULL);
    exchange.response.set(Word::NULL);
    close(exchange);
}

/// It is over: the connection, if it still has one, is not to be used again.
fn close(exchange: Item<Exchange>) {
    let reactor = exchange.root();
    sending::stop(exchange);
    if !exchange.is_alive() {
        return;
    }
    stop_timer(exchange);
    stop(&exchange.deadline);
    let (connection, place) = (exchange.connection.take(), exchange.place.take());
    let (request, sending) = (exchange.request.take(), exchange.sending.take());
    exchange.next.take();
    exchange.response.set(Word::NULL);
    exchange.target.set(Target::None);
    let (word, scope) = (exchange.word(), exchange.scope.get());
    let owner = exchange.owner();
    reactor.pools.free(exchange);
    if let (Some(agent), Some(place), None) = (owner, &place, &connection) {
        pool::forget(agent, word, &place.key);
    }
    connection.into_iter().for_each(|connection| connection.close());
    let _out = reactor.call_out();
    reactor.in_scope(scope, || drop((request, sending)));
}

extern "C-unwind" fn give_up(deferred: Word, exchange: Word) {
    if let Ok(exchange) = handles::get::<Exchange>(exchange) {
        abort(exchange);
    }
    if let Ok(deferred) = handles::get::<Deferred>(deferred) {
        let _ = chain::abandon(deferred);
    }
}
