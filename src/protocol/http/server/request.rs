//! A request and its response: one thing for the host, whatever carries it.
//!
//! It lives from its head until the response is finished, or cannot be any more, and that was told: at the earliest when
//! the handler has returned, else at the end of a turn. So nothing that was lent is gone while a callback looks at it.

use super::carrier::{Carrier, ResponseHead, Size};
use super::message::{HTTP_2, Message, check_field};
use super::{Shared, access, answer, body};
use crate::deferred::{Deferred, DeferredItem, cancel, chain, failure, later};
use crate::handles::{self, Body, Item, Kind, Owned, TransportFn, Word};
use crate::net::attempt;
use crate::net::protocol::Protocol;
use crate::net::transport::Transport;
use crate::protocol::http::framing::Length;
use crate::reactor::scopes::{self, Scope};
use crate::reactor::{Reactor, ReactorItem, Served};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// What is so about a request.
pub mod flag {
    /// Its handler is being called.
    pub const HANDLING: u32 = 1;
    /// The head of its response is sent.
    pub const HEAD_SENT: u32 = 1 << 1;
    /// All of its response is handed over.
    pub const FINISHED: u32 = 1 << 2;
    /// Its response cannot be finished any more.
    pub const LOST: u32 = 1 << 3;
    /// Its end is being told.
    pub const TOLD: u32 = 1 << 4;
    /// Its body is collected.
    pub const WHOLE: u32 = 1 << 5;
    /// Its body is handed on as it comes.
    pub const STREAMED: u32 = 1 << 6;
    /// All of its body has come.
    pub const BODY_ENDED: u32 = 1 << 7;
    /// The host has paused its body.
    pub const HELD: u32 = 1 << 8;
    /// Nothing of the response's body is sent.
    pub const ONLY_HEAD: u32 = 1 << 9;
    /// The host has set that header itself.
    pub const HAS_DATE: u32 = 1 << 10;
    /// The host has set that header itself.
    pub const HAS_SERVER: u32 = 1 << 11;
    /// The connection is to be closed after it.
    pub const CLOSES: u32 = 1 << 12;
    /// It is on the list of what is looked at when the turn ends.
    pub const NOTED: u32 = 1 << 13;
    /// A file is being sent.
    pub const SENDING: u32 = 1 << 14;
    /// Something will answer it: a file that is being opened, or a Deferred.
    pub const PROMISED: u32 = 1 << 15;
    /// An event tells of it when its body is there.
    pub const EVENT: u32 = 1 << 16;
    /// The connection was taken over.
    pub const UPGRADED: u32 = 1 << 17;
    /// Its producer was told to pause.
    pub const PAUSED: u32 = 1 << 18;
    /// What goes wrong is not answered any more: that is done.
    pub const REFUSED: u32 = 1 << 19;
    /// Its producer is pulled.
    pub const PULLED: u32 = 1 << 20;
}

/// Who writes a response's body as fast as it is sent.
pub struct Producer {
    /// It produces until paused; else one piece each time it is resumed.
    pub streaming: bool,
    /// Told when too much waits.
    pub pause: Option<TransportFn>,
    /// Told when there is room.
    pub resume: Option<TransportFn>,
    /// Told when nothing is wanted any more.
    pub stop: Option<TransportFn>,
    /// What the functions get.
    pub data: Owned,
}

/// See the module.
#[derive(Default)]
pub struct Request {
    flags: Cell<u32>,
    shared: Cell<Option<Rc<Shared>>>,
    carrier: RefCell<Option<Rc<dyn Carrier>>>,
    message: Cell<Option<Box<Message>>>,
    /// The response's code.
    code: Cell<u16>,
    /// The length of the response's body, if the host has said it.
    declared: Cell<Option<u64>>,
    /// Bytes of the response's body handed over, and of the request's that came.
    pub(super) sent: Cell<u64>,
    pub(super) received: Cell<u64>,
    pub(super) most_body: Cell<u64>,
    pub(super) length: Cell<Option<u64>>,
    pub(super) began: Cell<u64>,
    pub(super) scope: Cell<u32>,
    own_scope: Cell<Word>,
    /// Who waits for its end.
    waiting: RefCell<Vec<Word>>,
    /// Who waits for its body, and what its handler has returned.
    pub(super) body_deferred: Cell<Word>,
    pub(super) handled: Cell<Word>,
    /// The Deferred whose value is to be the answer.
    promised: Cell<Word>,
    /// A failure: why it is lost.
    reason: Cell<Word>,
}

impl Body for Request {
    const KIND: Kind = Kind::HttpRequest;
    type Root = Reactor;
    type Beside = ();

    fn end(request: Item<Self>) {
        let closed = failure::of_status(request.root(), Status::ERR_CLOSED);
        request.set(flag::LOST);
        request.keep_reason(closed);
        request.clear(flag::HANDLING);
        complete(request);
    }
}

impl Served for Request {
    fn finish(request: Item<Self>) {
        request.clear(flag::NOTED);
        if request.has(flag::FINISHED | flag::LOST) {
            complete(request);
        } else if let Some(carrier) = request.carrier() {
            carrier.go_on();
        }
    }
}

/// A request whose head was read.
pub fn begin(
    shared: &Rc<Shared>,
    reactor: ReactorItem,
    carrier: Rc<dyn Carrier>,
    message: Box<Message>,
    length: Length,
    scope: u32,
) -> Result<Item<Request>> {
    let request = reactor.pools.alloc::<Request>()?;
    let only_head = message.method() == b"HEAD";
    request.flags.set(if only_head { flag::ONLY_HEAD } else { 0 });
    if length == Length::None {
        request.set(flag::BODY_ENDED);
    }
    request.shared.set(Some(Rc::clone(shared)));
    *request.carrier.borrow_mut() = Some(carrier);
    request.message.set(Some(message));
    request.code.set(200);
    request.declared.set(None);
    request.sent.set(0);
    request.received.set(0);
    request.most_body.set(shared.limits.get().body);
    request.length.set(if let Length::Exactly(length) = length { Some(length) } else { None });
    request.began.set(reactor.turn_time());
    request.scope.set(scope);
    request.own_scope.set(Word::NULL);
    request.body_deferred.set(Word::NULL);
    request.handled.set(Word::NULL);
    request.promised.set(Word::NULL);
    request.reason.set(Word::NULL);
    Ok(request)
}

impl Item<Request> {
    /// Whether one of these flags is set.
    #[inline]
    pub fn has(self, flag: u32) -> bool {
        self.flags.get() & flag != 0
    }

    /// Sets these flags.
    #[inline]
    pub fn set(self, flag: u32) {
        self.flags.set(self.flags.get() | flag);
    }

    /// Clears these flags.
    #[inline]
    pub fn clear(self, flag: u32) {
        self.flags.set(self.flags.get() & !flag);
    }

    /// What carries it.
    pub fn carrier(self) -> Option<Rc<dyn Carrier>> {
        self.carrier.borrow().clone()
    }

    /// What it shares with its server's others.
    pub fn shared(self) -> Option<Rc<Shared>> {
        let shared = self.shared.take();
        let copy = shared.clone();
        self.shared.set(shared);
        copy
    }

    /// Reads or changes the message. Nothing that it calls may come back here.
    #[inline]
    pub fn with<R>(self, read: impl FnOnce(&mut Message) -> R) -> Option<R> {
        let mut message = self.message.take()?;
        let result = read(&mut message);
        self.message.set(Some(message));
        Some(result)
    }

    /// The same where there must be one.
    #[inline]
    pub fn message<R>(self, read: impl FnOnce(&mut Message) -> R) -> Result<R> {
        self.with(read).ok_or(Status::ERR_CLOSED)
    }

    /// The response's code.
    pub fn code(self) -> u16 {
        self.code.get()
    }

    /// Refuses what is too late: the response is finished, or cannot be any more.
    pub fn check_open(self) -> Result {
        if self.has(flag::LOST) {
            return Err(Status::ERR_CLOSED.because("the client is gone, or was refused"));
        }
        if self.has(flag::FINISHED | flag::TOLD) {
            return Err(Status::ERR_INVALID_STATE.because("the response is finished"));
        }
        Ok(())
    }

    /// Refuses what has to come before the head of the response.
    pub fn check_before_head(self) -> Result {
        self.check_open()?;
        if self.has(flag::HEAD_SENT) {
            return Err(Status::ERR_INVALID_STATE.because("the head of the response is sent already"));
        }
        Ok(())
    }

    /// A Deferred gives the answer: it is cancelled when that cannot be sent any more.
    pub(super) fn waits_for(self, deferred: Word) {
        self.promised.set(deferred);
    }

    pub(super) fn waits_no_more(self, deferred: Word) {
        if self.promised.get() == deferred {
            self.promised.set(Word::NULL);
        }
    }

    /// The version of HTTP: 10, 11 or 20.
    pub fn version(self) -> i32 {
        match self.with(|message| message.minor) {
            Some(HTTP_2) => 20,
            minor => 10 + i32::from(minor.unwrap_or(1)),
        }
    }

    /// Bytes of the body, if that is known already.
    pub fn content_length(self) -> i64 {
        match self.length.get() {
            Some(length) => length as i64,
            None if self.has(flag::BODY_ENDED) => self.received.get() as i64,
            None => -1,
        }
    }

    /// Keeps a pointer of the host.
    pub fn set_user_data(self, data: Owned) -> Result {
        let old = self.message(|message| std::mem::replace(&mut message.user_data, data))?;
        if old.free().is_some() {
            in_scope(self, || drop(old));
        }
        Ok(())
    }

    fn keep_reason(self, reason: Word) {
        if self.reason.get().is_null() {
            self.reason.set(reason);
        } else {
            let _ = failure::release(reason);
        }
    }

    /// Has it looked at when the turn ends, unless its handler is running: then that is done when it returns.
    pub(super) fn note(self) {
        if !self.has(flag::HANDLING | flag::NOTED | flag::TOLD) {
            self.set(flag::NOTED);
            self.root().note_ended(self.word());
        }
    }

    /// The response cannot be finished any more, for this reason, which the caller holds no longer. From the carrier,
    /// outside of callbacks of the host: told now, unless its handler is running.
    pub fn lost(self, reason: Word) {
        self.set(flag::LOST);
        self.keep_reason(reason);
        if !self.has(flag::HANDLING | flag::TOLD) {
            complete(self);
        }
    }

    /// The same from inside of a call of the host.
    pub(super) fn lose_later(self, reason: Word) {
        self.set(flag::LOST);
        self.keep_reason(reason);
        self.note();
    }
}

/// Sets the response's code.
pub fn set_code(request: Item<Request>, code: u16) -> Result {
    request.check_before_head()?;
    request.code.set(code);
    Ok(())
}

/// Sets a header of the response, in place of others of its name, or beside them.
pub fn set_field(request: Item<Request>, name: &[u8], value: &[u8], beside: bool) -> Result {
    request.check_before_head()?;
    check_field(name, value)?;
    let is = |own: &str| name.eq_ignore_ascii_case(own.as_bytes());
    match name.len() {
        4 if is("Date") => request.set(flag::HAS_DATE),
        6 if is("Server") => request.set(flag::HAS_SERVER),
        10 if is("Connection") && value.eq_ignore_ascii_case(b"close") => {
            request.set(flag::CLOSES);
            return Ok(());
        }
        10 if is("Connection") || is("Keep-Alive") => return Err(own_affair(name)),
        14 if is("Content-Length") => {
            let length = crate::protocol::http::framing::number(value);
            let length = length.map_err(|bad| Status::ERR_INVALID_ARGUMENT.because(bad.text))?;
            request.declared.set(Some(length));
            return Ok(());
        }
        17 if is("Transfer-Encoding") => return Err(own_affair(name)),
        _ => {}
    }
    request.message(|message| match beside {
        true => message.response.add(name, value),
        false => message.response.set(name, value),
    })?
}

fn own_affair(name: &[u8]) -> Status {
    let name = String::from_utf8_lossy(name);
    Status::ERR_INVALID_ARGUMENT.because(format_args!("{name} is the connection's own affair"))
}

/// Takes a header of the response back.
pub fn remove_field(request: Item<Request>, name: &[u8]) -> Result {
    request.check_before_head()?;
    if name.eq_ignore_ascii_case(b"Content-Length") {
        request.declared.set(None);
    }
    request.message(|message| message.response.remove(name)).map(|_| ())
}

fn has_no_body(code: u16) -> bool {
    matches!(code, 204 | 304)
}

/// Sends the head with the first bytes of the body, and maybe its end.
pub(super) fn send_head(
    request: Item<Request>,
    content_type: Option<&[u8]>,
    size: Size,
    first: &[u8],
    ends: bool,
) -> Result {
    let carrier = request.carrier().ok_or(Status::ERR_CLOSED)?;
    let code = request.code.get();
    let is_connect = code < 300 && request.with(|message| message.method() == b"CONNECT") == Some(true);
    if is_connect {
        return Err(Status::ERR_INVALID_STATE.because("a CONNECT is accepted by taking the connection over"));
    }
    let no_body = has_no_body(code);
    let only_head = no_body || request.has(flag::ONLY_HEAD);
    let written = first.len() as u64;
    let first = if only_head { &[] } else { first };
    let fields = request.message(|message| std::mem::take(&mut message.response))?;
    let head = ResponseHead {
        code,
        fields: &fields,
        content_type,
        size: if no_body { Size::None } else { size },
        only_head,
        has_date: request.has(flag::HAS_DATE),
        has_server: request.has(flag::HAS_SERVER),
        close: request.has(flag::CLOSES),
    };
    if only_head {
        request.set(flag::ONLY_HEAD);
    }
    let sent = carrier.head(&head, first, ends);
    request.with(|message| message.response = fields);
    sent?;
    request.set(flag::HEAD_SENT);
    request.sent.set(written);
    Ok(())
}

/// Answers with all of a response.
pub fn respond(request: Item<Request>, code: u16, content_type: Option<&[u8]>, data: &[u8]) -> Result {
    request.check_before_head()?;
    if let Some(content_type) = content_type {
        check_field(b"Content-Type", content_type)?;
    }
    let before = request.code.replace(code);
    let sent = send_head(request, content_type, Size::Exactly(data.len() as u64), data, true);
    sent.inspect_err(|_| request.code.set(before))?;
    finished(request);
    Ok(())
}

/// Answers by sending the client elsewhere.
pub fn redirect(request: Item<Request>, code: u16, location: &[u8]) -> Result {
    request.check_before_head()?;
    set_field(request, b"Location", location, false)?;
    respond(request, code, None, &[])
}

/// All is handed over.
pub(super) fn finished(request: Item<Request>) {
    request.set(flag::FINISHED);
    request.note();
}

/// Writes a part of the response's body; before the first, the head.
pub fn write(request: Item<Request>, data: &[u8]) -> Result {
    request.check_open()?;
    check_promised(request)?;
    let sent = request.sent.get() + data.len() as u64;
    if let Some(declared) = request.declared.get().filter(|declared| sent > *declared) {
        let why = format_args!("Content-Length is {declared}, and this would make it {sent}");
        return Err(Status::ERR_INVALID_ARGUMENT.because(why));
    }
    if !request.has(flag::HEAD_SENT) {
        let size = request.declared.get().map_or(Size::Unknown, Size::Exactly);
        return send_head(request, None, size, data, false);
    }
    if !request.has(flag::ONLY_HEAD) && !data.is_empty() {
        request.carrier().ok_or(Status::ERR_CLOSED)?.data(data)?;
    }
    request.sent.set(sent);
    Ok(())
}

/// Refuses while something else answers.
pub fn check_promised(request: Item<Request>) -> Result {
    if request.has(flag::PROMISED | flag::SENDING) {
        return Err(Status::ERR_INVALID_STATE.because("the response is already being made: of a file or a Deferred"));
    }
    Ok(())
}

/// The response's body is over.
pub fn finish(request: Item<Request>) -> Result {
    request.check_open()?;
    check_promised(request)?;
    let only_head = request.has(flag::ONLY_HEAD) || has_no_body(request.code.get());
    let declared = request.declared.get();
    if let Some(declared) = declared.filter(|declared| !only_head && *declared != request.sent.get()) {
        let why = format_args!("Content-Length is {declared}, and {} bytes were written", request.sent.get());
        return Err(Status::ERR_INVALID_STATE.because(why));
    }
    if request.has(flag::HEAD_SENT) {
        request.carrier().ok_or(Status::ERR_CLOSED)?.end()?;
    } else {
        send_head(request, None, Size::Exactly(declared.unwrap_or(0)), &[], true)?;
    }
    finished(request);
    Ok(())
}

/// Sends a head with a code from 102 to 199 before the response, such as 103 with links. `fields`: names and values.
pub fn send_information(request: Item<Request>, code: u16) -> Result {
    request.check_before_head()?;
    let carrier = request.carrier().ok_or(Status::ERR_CLOSED)?;
    let fields = request.message(|message| std::mem::take(&mut message.response))?;
    let sent = carrier.information(code, &fields);
    request.with(|message| message.response = fields);
    sent
}

/// Gives the response up: the peer notices.
pub fn abort(request: Item<Request>, status: Status) -> Result {
    request.check_open()?;
    let reason = failure::of_status(request.root(), status);
    if let Some(carrier) = request.carrier() {
        carrier.abort(reason);
    }
    request.lose_later(failure::keep(reason));
    let _ = failure::release(reason);
    Ok(())
}

/// A Deferred that fires when the response is finished, and fails when it cannot be any more.
pub fn notify_finish(request: Item<Request>) -> Result<DeferredItem> {
    if request.has(flag::TOLD) {
        return Err(Status::ERR_INVALID_STATE.because("the response is finished"));
    }
    let deferred = chain::new_inside(request.root(), stop_waiting, request.word())?;
    let reserved = request.waiting.borrow_mut().try_reserve(1);
    reserved.map_err(|_| Status::ERR_NO_MEMORY).inspect_err(|_| later::discard(deferred))?;
    request.waiting.borrow_mut().push(deferred.word());
    Ok(deferred)
}

extern "C-unwind" fn stop_waiting(deferred: Word, request: Word) {
    if let Ok(request) = handles::get::<Request>(request) {
        request.waiting.borrow_mut().retain(|waiting| *waiting != deferred);
    }
    if let Ok(deferred) = handles::get::<Deferred>(deferred) {
        let _ = chain::abandon(deferred);
    }
}

/// A scope that ends with the request, made when first asked for.
pub fn scope(request: Item<Request>) -> Result<Item<Scope>> {
    if let Ok(scope) = handles::get::<Scope>(request.own_scope.get()) {
        return Ok(scope);
    }
    request.check_open()?;
    let reactor = request.root();
    let outer = reactor.scope.replace(request.scope.get());
    let scope = scopes::open(reactor);
    reactor.scope.set(outer);
    request.own_scope.set(scope?.word());
    scope
}

/// Registers who writes the response's body as fast as it is sent.
pub fn register_producer(request: Item<Request>, producer: Producer) -> Result {
    if let Err(why) = request.check_open() {
        tell(request, producer.stop, producer.data.word());
        return Err(why);
    }
    let carrier = request.carrier().ok_or(Status::ERR_CLOSED)?;
    if request.message(|message| message.producer.is_some())? {
        return Err(Status::ERR_ALREADY_REGISTERED);
    }
    carrier.watch_room()?;
    request.clear(flag::PAUSED | flag::PULLED);
    if !producer.streaming {
        request.set(flag::PULLED);
    }
    let pulled = !producer.streaming;
    request.message(|message| message.producer = Some(producer))?;
    if pulled {
        request.note();
    }
    Ok(())
}

/// Forgets it.
pub fn unregister_producer(request: Item<Request>) -> Result {
    let producer = request.message(|message| message.producer.take())?;
    request.clear(flag::PAUSED | flag::PULLED);
    if producer.is_none() {
        return Err(Status::ERR_INVALID_STATE.because("no producer is registered"));
    }
    in_scope(request, || drop(producer));
    Ok(())
}

/// Calls out for a request.
pub(super) fn in_scope<R>(request: Item<Request>, call: impl FnOnce() -> R) -> R {
    let reactor = request.root();
    let _out = reactor.call_out();
    reactor.in_scope(request.scope.get(), call)
}

fn tell(request: Item<Request>, function: Option<TransportFn>, data: Word) {
    if let Some(function) = function {
        in_scope(request, || function(request.word(), data));
    }
}

impl Item<Request> {
    /// Too much of the response waits to be sent; from the carrier.
    pub fn paused(self) {
        if self.has(flag::PAUSED | flag::TOLD) {
            return;
        }
        self.set(flag::PAUSED);
        let pause = self.with(|message| {
            message.producer.as_ref().filter(|producer| producer.streaming).map(|its| (its.pause, its.data.word()))
        });
        if let Some((function, data)) = pause.flatten() {
            tell(self, function, data);
        }
    }

    /// There is room again.
    pub fn resumed(self) {
        if !self.has(flag::PAUSED | flag::PULLED) || self.has(flag::TOLD) {
            return;
        }
        self.clear(flag::PAUSED);
        let resume = self.with(|message| message.producer.as_ref().map(|its| (its.resume, its.data.word())));
        if let Some((function, data)) = resume.flatten() {
            tell(self, function, data);
        }
        // One that is pulled is asked for the next piece in the next turn.
        if self.is_alive() && self.has(flag::PULLED) && !self.has(flag::PAUSED) {
            self.note();
        }
    }
}

impl Item<Request> {
    /// Asks a pulled producer for the next piece, unless too much waits; from the carrier, once a turn.
    pub fn pulled(self) {
        let waits = !self.has(flag::PULLED) || self.has(flag::PAUSED | flag::FINISHED | flag::LOST | flag::TOLD);
        if !waits {
            self.resumed();
        }
    }
}

/// Takes the connection over, after a response of 101, or of 2xx to a CONNECT: the protocol gets what comes from here on,
/// what came already included. The request is finished with that.
pub fn upgrade(request: Item<Request>, code: u16, protocol: Rc<Protocol>, this: Owned) -> Result<Item<Transport>> {
    request.check_before_head()?;
    check_promised(request)?;
    let is_connect = request.message(|message| message.method() == b"CONNECT")?;
    if !(is_connect && (200..300).contains(&code) || !is_connect && code == 101) {
        let why = "a connection is taken over by a 101, or by a 2xx where the method is CONNECT";
        return Err(Status::ERR_INVALID_ARGUMENT.because(why));
    }
    let carrier = request.carrier().ok_or(Status::ERR_CLOSED)?;
    let fields = request.message(|message| std::mem::take(&mut message.response))?;
    let head = ResponseHead {
        code,
        fields: &fields,
        content_type: None,
        size: Size::None,
        only_head: true,
        has_date: request.has(flag::HAS_DATE),
        has_server: request.has(flag::HAS_SERVER),
        close: false,
    };
    let transport = carrier.upgrade(&head);
    request.with(|message| message.response = fields);
    let transport = transport?;
    request.code.set(code);
    request.set(flag::HEAD_SENT | flag::UPGRADED);
    finished(request);
    attempt::establish(transport, protocol, this);
    Ok(transport)
}

/// What a word names, if it is any: to be refused costs more than to see that there is none.
pub(super) fn named<T: Body>(word: Word) -> Option<Item<T>> {
    if word.is_null() { None } else { handles::get::<T>(word).ok() }
}

/// Tells of the end, and ends it.
fn complete(request: Item<Request>) {
    if request.has(flag::TOLD | flag::HANDLING) {
        return;
    }
    request.set(flag::TOLD);
    let reactor = request.root();
    let _out = reactor.call_out();
    let lost = failure::owned(request.reason.replace(Word::NULL));
    access::log(request, lost.word());
    end_of_body(request, lost.word());
    end_of_producer(request);
    tell_waiting(request, lost.word());
    if request.has(flag::LOST) {
        for waited in [request.promised.replace(Word::NULL), request.handled.replace(Word::NULL)] {
            if let Ok(waited) = handles::get::<Deferred>(waited) {
                cancel::cancel(waited);
            }
        }
    }
    drop(lost);
    if let Some(scope) = named::<Scope>(request.own_scope.replace(Word::NULL)) {
        // From inside of a callback of its own it cannot end: then it does with the one around it.
        let _ = scopes::free(scope);
    }
    // What was told may have ended the reactor's scope that it is in, and it.
    if !request.is_alive() {
        return;
    }
    let carrier = request.carrier.take();
    let (message, shared) = (request.message.take(), request.shared.take());
    let owned = message.and_then(|mut message| {
        let data = std::mem::take(&mut message.user_data);
        if let Some(shared) = shared {
            shared.give_back(message);
        }
        data.free().map(|_| data)
    });
    if let Some(carrier) = &carrier {
        carrier.before_over(request);
    }
    reactor.pools.free(request);
    if let Some(owned) = owned {
        reactor.in_scope(0, || drop(owned));
    }
    if let Some(carrier) = carrier {
        carrier.over();
    }
}

/// Who takes the body in hears that no more of it comes, unless all has come.
fn end_of_body(request: Item<Request>, lost: Word) {
    let functions = request.with(|message| message.body_functions.take()).flatten();
    let waiting = named::<Deferred>(request.body_deferred.replace(Word::NULL));
    if functions.is_none() && waiting.is_none() {
        return;
    }
    let why = if lost.is_null() {
        let early = Status::ERR_CLOSED.because("the response was finished before all of the body had come");
        failure::of_status(request.root(), early)
    } else {
        failure::keep(lost)
    };
    let why = failure::owned(why);
    if let Some(functions) = functions {
        if !request.has(flag::BODY_ENDED) {
            in_scope(request, || (functions.ended)(request.word(), why.word(), functions.data.word()));
        }
        in_scope(request, || drop(functions));
    }
    if let Some(waiting) = waiting {
        let _ = chain::errback(waiting, failure::keep(why.word()));
    }
}

fn end_of_producer(request: Item<Request>) {
    let producer = request.with(|message| message.producer.take()).flatten();
    if let Some(producer) = producer {
        if request.has(flag::LOST) {
            tell(request, producer.stop, producer.data.word());
        }
        in_scope(request, || drop(producer));
    }
}

fn tell_waiting(request: Item<Request>, lost: Word) {
    for deferred in request.waiting.take() {
        if let Ok(deferred) = handles::get::<Deferred>(deferred) {
            let _ = match lost.is_null() {
                true => chain::callback(deferred, Owned::default()),
                false => chain::errback(deferred, failure::keep(lost)),
            };
        }
    }
}

/// Calls the handler, and sees to what it returns.
pub fn handle(request: Item<Request>, shared: &Rc<Shared>) {
    request.set(flag::HANDLING);
    answer::dispatch(request, shared);
    // Its scope may have ended, and it.
    if request.is_alive() {
        request.clear(flag::HANDLING);
        if request.has(flag::FINISHED | flag::LOST) {
            complete(request);
        } else {
            body::told_when_there(request);
            if request.is_alive() && request.has(flag::PULLED) {
                request.note();
            }
        }
    }
}

/// What a handler has returned whose request is over: nobody waits for it.
pub(super) fn let_go(returned: Word) {
    if let Ok(deferred) = handles::get::<Deferred>(returned) {
        let _ = chain::when_over(deferred, Box::new(|_| {}));
    }
}

/// What the handler has returned is waited for: its failure is answered.
pub(super) fn wait(request: Item<Request>, returned: Word) {
    if returned.is_null() {
        return;
    }
    let word = request.word();
    let told = handles::get::<Deferred>(returned).and_then(|deferred| {
        request.handled.set(returned);
        chain::when_over(
            deferred,
            Box::new(move |told| {
                let Ok(request) = handles::get::<Request>(word) else { return };
                request.handled.set(Word::NULL);
                if let Err((code, words)) = told {
                    answer::failed(request, code, words.as_deref());
                }
            }),
        )
    });
    if let Err(why) = told {
        request.handled.set(Word::NULL);
        answer::failed(request, why.0, crate::status::detail_of(why).as_deref());
    }
}
