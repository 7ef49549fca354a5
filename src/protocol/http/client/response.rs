//! A response, as the host has it: its head, and its body for whoever takes it.
//!
//! Until somebody does, what has come waits here, and no more is read. What was compressed is undone a little at a time, so that
//! whoever wants no more for now gets no more.

use super::connection::Head;
use super::exchange::{self, Exchange};
use super::inflate::{self, Inflate};
use crate::deferred::failure;
use crate::deferred::{Deferred, DeferredItem, chain};
use crate::files::bytes;
use crate::handles::{self, Body, DataFn, FreeFn, Item, Kind, LostFn, Owned, Word};
use crate::net::error;
use crate::protocol::http::Fields;
use crate::reactor::timers::{self, DelayedCall};
use crate::reactor::{Reactor, scopes};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::ffi::CString;
use std::rc::Rc;

/// More than this is not collected, unless it is asked for.
pub const MOST: u64 = 64 << 20;

/// Who takes the body.
#[derive(Clone, Default)]
enum Taker {
    /// Nobody yet.
    #[default]
    None,
    /// A Deferred gets all of it.
    Whole { deferred: Word, most: u64 },
    /// Functions get it as it comes.
    Functions(Rc<Functions>),
    /// It has been told the end.
    Told,
}

/// Who is told of a body as it comes. Each gets the response and `data`.
pub struct Functions {
    /// Of a piece.
    pub received: DataFn,
    /// Of the end.
    pub ended: LostFn,
    /// What they get.
    pub data: Owned,
}

/// How a body has ended.
enum End {
    Whole,
    /// With this failure, which is held.
    Failed(Owned),
}

/// See the module.
#[derive(Default)]
pub struct Response {
    exchange: Cell<Word>,
    scope: Cell<u32>,
    code: Cell<u16>,
    /// None only while the slot is not used: a slot that was not yet must own no memory.
    reason: RefCell<Option<CString>>,
    url: RefCell<Option<CString>>,
    fields: RefCell<Fields>,
    trailers: RefCell<Fields>,
    redirects: Cell<u32>,
    /// Of the body as the host gets it; None: nobody knows.
    length: Cell<Option<u64>>,
    taker: RefCell<Taker>,
    whole: RefCell<Vec<u8>>,
    /// What came and was not handed on, as it came.
    waiting: RefCell<Vec<u8>>,
    inflate: RefCell<Option<Inflate>>,
    end: RefCell<Option<End>>,
    is_paused: Cell<bool>,
    is_handing: Cell<bool>,
    /// Whoever had it as a value has it no more.
    is_let_go: Cell<bool>,
    timer: Cell<Word>,
}

impl Body for Response {
    const KIND: Kind = Kind::HttpResponse;
    type Root = Reactor;
    type Beside = ();

    fn end(response: Item<Self>) {
        free(response);
    }
}

/// The response to a request. `ratio`: what is compressed is undone, to at most so many times its size.
pub(super) fn make(
    exchange: Item<Exchange>,
    head: Head,
    url: &str,
    length: Option<u64>,
    ratio: Option<u32>,
) -> Result<Item<Response>> {
    let reactor = exchange.root();
    let response = reactor.pools.alloc::<Response>()?;
    let scope = exchange.scope.get();
    if scope != 0 {
        scopes::join(reactor, scope, response.word()).inspect_err(|_| reactor.pools.free(response))?;
    }
    let inflate = ratio.and_then(|ratio| inflate::of(&head.fields, ratio));
    response.exchange.set(exchange.word());
    response.scope.set(scope);
    response.code.set(head.code);
    *response.reason.borrow_mut() = Some(crate::status::text_for_c(head.reason));
    *response.url.borrow_mut() = Some(crate::status::text_for_c(url.to_owned()));
    *response.fields.borrow_mut() = head.fields;
    response.redirects.set(exchange.redirects.get());
    response.length.set(length.filter(|_| inflate.is_none()));
    *response.inflate.borrow_mut() = inflate;
    response.is_paused.set(false);
    response.is_handing.set(false);
    response.is_let_go.set(false);
    response.timer.set(Word::NULL);
    Ok(response)
}

/// It as the value of a Deferred, which lets go of it in the end.
pub(super) fn value(response: Item<Response>) -> Owned {
    const LET_GO: FreeFn = let_go;
    Owned::new(response.word(), Some(LET_GO))
}

/// Whoever takes the body goes on doing so.
extern "C-unwind" fn let_go(word: Word) {
    let Ok(response) = handles::get::<Response>(word) else { return };
    let is_taken = matches!(&*response.taker.borrow(), Taker::Whole { .. } | Taker::Functions(_));
    if is_taken {
        response.is_let_go.set(true);
    } else {
        free(response);
    }
}

/// Ends it, whoever has the handle. Who takes the body hears that it is closed.
pub fn free(response: Item<Response>) {
    let reactor = response.root();
    let _out = reactor.call_out();
    let taken = matches!(&*response.taker.borrow(), Taker::Whole { .. } | Taker::Functions(_));
    if taken {
        let end = failure::owned(failure::of_status(reactor, Status::ERR_CLOSED));
        response.is_let_go.set(false);
        tell_end(response, End::Failed(end));
        if !response.is_alive() {
            return;
        }
    }
    let exchange = handles::get::<Exchange>(response.exchange.get());
    stop_timer(response);
    let left = (response.taker.take(), response.whole.take(), response.waiting.take(), response.end.take());
    response.inflate.take();
    response.reason.take();
    response.url.take();
    response.fields.borrow_mut().clear();
    response.trailers.borrow_mut().clear();
    reactor.pools.free(response);
    if let Ok(exchange) = exchange {
        if taken { exchange::abort(exchange) } else { exchange::drop_response(exchange) }
    }
    drop(left);
}

impl Response {
    /// Such as 200.
    pub fn code(&self) -> u16 {
        self.code.get()
    }

    /// What the server calls that, in memory that lives as long as the response.
    pub fn reason(&self) -> Word {
        Word::new(self.reason.borrow().as_deref().unwrap_or_default().as_ptr())
    }

    /// Where it came from in the end, in such memory.
    pub fn url(&self) -> Word {
        Word::new(self.url.borrow().as_deref().unwrap_or_default().as_ptr())
    }

    /// How many redirects led to it.
    pub fn redirects(&self) -> u32 {
        self.redirects.get()
    }

    /// How long the body is, if that is known.
    pub fn length(&self) -> Option<u64> {
        self.length.get()
    }

    /// The headers.
    pub fn with_fields<R>(&self, read: impl FnOnce(&Fields) -> R) -> R {
        read(&self.fields.borrow())
    }

    /// What came behind a body in chunks.
    pub fn with_trailers<R>(&self, read: impl FnOnce(&Fields) -> R) -> R {
        read(&self.trailers.borrow())
    }

    pub(super) fn set_trailers(&self, trailers: Fields) {
        *self.trailers.borrow_mut() = trailers;
    }

    /// Whether what comes now goes on, and does not wait.
    pub(super) fn wants_more(&self) -> bool {
        let taken = matches!(&*self.taker.borrow(), Taker::Whole { .. } | Taker::Functions(_));
        taken && !self.is_paused.get() && self.waiting.borrow().is_empty()
    }

    fn check_untaken(&self) -> Result {
        match &*self.taker.borrow() {
            Taker::None => Ok(()),
            _ => Err(Status::ERR_INVALID_STATE.because("somebody takes the body of this response already, or has")),
        }
    }
}

/// A Deferred that fires with all of the body, of at most `most` bytes.
pub fn read_whole(response: Item<Response>, most: u64) -> Result<DeferredItem> {
    response.check_untaken()?;
    let deferred = chain::new_inside(response.root(), stop_reading, response.word())?;
    *response.taker.borrow_mut() = Taker::Whole { deferred: deferred.word(), most };
    match response.length.get().filter(|length| *length > most) {
        Some(length) => too_long(response, &format!("the body has {length} bytes, the limit is {most}")),
        None => go_on(response),
    }
    Ok(deferred)
}

/// Has functions told of the body. Nothing is called from inside this call.
pub fn deliver(response: Item<Response>, functions: Functions) -> Result {
    response.check_untaken()?;
    *response.taker.borrow_mut() = Taker::Functions(Rc::new(functions));
    go_on_later(response).inspect_err(|_| *response.taker.borrow_mut() = Taker::None)
}

/// No more for now.
pub fn pause(response: Item<Response>) -> Result {
    if matches!(&*response.taker.borrow(), Taker::Told) {
        return Err(Status::ERR_INVALID_STATE.because("all of the body was told"));
    }
    response.is_paused.set(true);
    Ok(())
}

/// More again, from the loop.
pub fn resume(response: Item<Response>) -> Result {
    if response.is_paused.replace(false) {
        go_on_later(response)?;
    }
    Ok(())
}

extern "C-unwind" fn stop_reading(deferred: Word, response: Word) {
    if let Ok(response) = handles::get::<Response>(response) {
        *response.taker.borrow_mut() = Taker::Told;
        if let Ok(exchange) = handles::get::<Exchange>(response.exchange.get()) {
            exchange::abort(exchange);
        }
        settle(response);
    }
    if let Ok(deferred) = handles::get::<Deferred>(deferred) {
        let _ = chain::abandon(deferred);
    }
}

fn stop_timer(response: Item<Response>) {
    if let Ok(timer) = handles::get::<DelayedCall>(response.timer.replace(Word::NULL)) {
        let _ = timers::cancel(timer);
    }
}

fn go_on_later(response: Item<Response>) -> Result {
    if response.timer.get().is_null() {
        let reactor = response.root();
        let timer = timers::call_at(reactor, reactor.read_clock(), go_on_now, response.word())?;
        response.timer.set(timer.word());
    }
    Ok(())
}

extern "C-unwind" fn go_on_now(word: Word) {
    if let Ok(response) = handles::get::<Response>(word) {
        response.timer.set(Word::NULL);
        go_on(response);
    }
}

/// A piece of the body, as it came.
pub(super) fn received(response: Item<Response>, piece: &[u8]) {
    if !response.wants_more() || response.is_handing.get() {
        return keep(response, piece);
    }
    hand_on(response, piece);
    // Somebody may have ended it meanwhile.
    if response.is_alive() && response.end.borrow().is_some() {
        go_on(response);
    }
}

fn keep(response: Item<Response>, piece: &[u8]) {
    let mut waiting = response.waiting.borrow_mut();
    if waiting.try_reserve(piece.len()).is_ok() {
        waiting.extend_from_slice(piece);
        return;
    }
    drop(waiting);
    fail_with(response, Status::ERR_NO_MEMORY, "no memory for the body");
}

/// Hands on what waits, then reads on, or tells the end.
fn go_on(response: Item<Response>) {
    let taken = matches!(&*response.taker.borrow(), Taker::Whole { .. } | Taker::Functions(_));
    if !taken || response.is_handing.get() || response.is_paused.get() {
        return;
    }
    let waiting = response.waiting.take();
    if !waiting.is_empty() {
        hand_on(response, &waiting);
    }
    if !response.is_alive() || !response.wants_more() {
        return;
    }
    if response.end.borrow().is_some() {
        return finish(response);
    }
    let connection = handles::get::<Exchange>(response.exchange.get()).ok().and_then(|exchange| exchange.connection());
    if let Some(connection) = connection {
        connection.pause(false);
    }
}

/// Hands a piece to who takes the body, until that wants no more; the rest waits.
fn hand_on(response: Item<Response>, mut piece: &[u8]) {
    response.is_handing.set(true);
    while !piece.is_empty() && response.is_alive() {
        if response.is_paused.get() || matches!(&*response.taker.borrow(), Taker::Told | Taker::None) {
            // Before what came meanwhile.
            let later = response.waiting.take();
            keep(response, piece);
            keep(response, &later);
            break;
        }
        let inflated = response.inflate.borrow_mut().as_mut().map(|inflate| inflate.next(&mut piece));
        match inflated {
            None => give(response, std::mem::take(&mut piece)),
            Some(Ok(out)) => give(response, &out),
            Some(Err(why)) => {
                let words = crate::status::detail_of(why).unwrap_or_default();
                fail_with(response, why, &words);
                break;
            }
        }
    }
    if response.is_alive() {
        response.is_handing.set(false);
        if matches!(&*response.taker.borrow(), Taker::Told) {
            settle(response);
        }
    }
}

fn give(response: Item<Response>, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    let taker = response.taker.borrow().clone();
    match taker {
        Taker::Whole { most, .. } => {
            let mut whole = response.whole.borrow_mut();
            let length = whole.len() as u64 + data.len() as u64;
            // One more for the NUL behind it.
            let room = length <= most && whole.try_reserve(data.len() + 1).is_ok();
            if room {
                whole.extend_from_slice(data);
                return;
            }
            drop(whole);
            if length > most {
                too_long(response, &format!("the body has more than {most} bytes, the limit"));
            } else {
                fail_with(response, Status::ERR_NO_MEMORY, "no memory for the body");
            }
        }
        Taker::Functions(functions) => {
            let reactor = response.root();
            let _out = reactor.call_out();
            let place = Word::new(data.as_ptr());
            let call = || (functions.received)(response.word(), place, data.len(), functions.data.word());
            reactor.in_scope(response.scope.get(), call);
        }
        Taker::None | Taker::Told => {}
    }
}

fn too_long(response: Item<Response>, text: &str) {
    fail_with(response, Status::ERR_LIMIT, text);
}

/// The rest of the body is not wanted any more, for this reason.
fn fail_with(response: Item<Response>, status: Status, text: &str) {
    let url = response.url.borrow().as_deref().unwrap_or_default().to_string_lossy().into_owned();
    let failure = error::made(response.root(), status, 0, &format!("{url}: {text}"));
    response.waiting.take();
    if let Ok(exchange) = handles::get::<Exchange>(response.exchange.replace(Word::NULL)) {
        exchange::abort(exchange);
    }
    tell_end(response, End::Failed(failure::owned(failure)));
}

/// The body is whole, or has failed with a failure that is held for that: told when what came before was handed on.
pub(super) fn ended(response: Item<Response>, failure: Option<Word>) {
    response.exchange.set(Word::NULL);
    let end = failure.map_or(End::Whole, |failure| End::Failed(failure::owned(failure)));
    *response.end.borrow_mut() = Some(end);
    go_on(response);
}

/// All that came was handed on.
fn finish(response: Item<Response>) {
    let end = response.end.take().unwrap_or(End::Whole);
    let rest = match (&end, response.inflate.borrow_mut().as_mut()) {
        (End::Whole, Some(inflate)) => inflate.finish(),
        _ => Ok(Vec::new()),
    };
    match rest {
        Ok(rest) => {
            give(response, &rest);
            if response.is_alive() {
                tell_end(response, end);
            }
        }
        Err(why) => {
            let words = crate::status::detail_of(why).unwrap_or_default();
            fail_with(response, why, &words);
        }
    }
}

/// Who takes the body hears how it has ended, once.
fn tell_end(response: Item<Response>, end: End) {
    let reactor = response.root();
    let _out = reactor.call_out();
    let taker = response.taker.replace(Taker::Told);
    match (taker, end) {
        (Taker::Whole { deferred, .. }, end) => {
            let whole = response.whole.take();
            if let Ok(deferred) = handles::get::<Deferred>(deferred) {
                let _ = match end {
                    End::Failed(failure) => chain::errback(deferred, failure.into_parts().0),
                    End::Whole => match bytes::make(reactor, whole) {
                        Ok(value) => chain::callback(deferred, value),
                        Err(why) => chain::errback(deferred, failure::of_status(reactor, why)),
                    },
                };
            }
        }
        (Taker::Functions(functions), end) => {
            let reason = if let End::Failed(failure) = &end { failure.word() } else { Word::NULL };
            let call = || {
                (functions.ended)(response.word(), reason, functions.data.word());
                drop(functions);
            };
            reactor.in_scope(response.scope.get(), call);
        }
        (Taker::None | Taker::Told, _) => {}
    }
    if response.is_alive() {
        settle(response);
    }
}

/// Nobody has it any more: it is gone.
fn settle(response: Item<Response>) {
    if response.is_let_go.get() && !response.is_handing.get() {
        free(response);
    }
}
