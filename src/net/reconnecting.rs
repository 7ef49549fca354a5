//! Clients that last: they connect, and connect again when the connection is lost, waiting longer after each failure.

use super::dial::{self, Dialer};
use super::transport::{Transport, flag};
use crate::deferred::{Deferred, DeferredItem, chain, failure};
use crate::handles::{self, AttemptFailedFn, Body, Item, Kind, Owned, Word};
use crate::reactor::events::{self, Event};
use crate::reactor::timers::{self, DelayedCall};
use crate::reactor::{Reactor, ReactorItem, scopes};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// How long to wait before the next attempt. Times are seconds.
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "each is named after its field in lariat_backoff")]
pub struct Backoff {
    pub initial: f64,
    pub factor: f64,
    pub max: f64,
    pub jitter: f64,
    pub max_retries: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { initial: 1.0, factor: 1.5, max: 60.0, jitter: 0.1, max_retries: 0 }
    }
}

impl Backoff {
    /// Seconds after so many failures in a row, `chance` being from 0 to 1.
    fn seconds(&self, failures: u32, chance: impl FnOnce() -> f64) -> f64 {
        let grown = self.factor.powi(failures.saturating_sub(1).min(1 << 20) as i32);
        // Nothing stays nothing, however much it grows.
        let base = if self.initial == 0.0 { 0.0 } else { (self.initial * grown).min(self.max) };
        let spread = if self.jitter == 0.0 { 0.0 } else { self.jitter * (2.0 * chance() - 1.0) };
        (base * (1.0 + spread)).clamp(0.0, 1e9)
    }
}

/// Who is told of attempts that failed.
pub enum Teller {
    /// This function, with its data.
    Function(AttemptFailedFn, Owned),
    /// Events with this tag.
    Events(u64),
}

struct Waiting {
    deferred: Word,
    /// It fails after so many failures in a row; 0: never.
    failures: u32,
}

/// `lariat_reconnecting_client`
#[derive(Default)]
pub struct Client {
    dialer: RefCell<Option<Rc<Dialer>>>,
    backoff: Cell<Backoff>,
    teller: RefCell<Option<Rc<Teller>>>,
    scope: Cell<u32>,
    started: Cell<bool>,
    /// Attempts in a row that failed.
    failures: Cell<u32>,
    /// The Deferred of the attempt that is being made; null: none is.
    attempt: Cell<Word>,
    /// The timer of the next attempt, and when it is due.
    timer: Cell<Word>,
    due: Cell<u64>,
    /// The present connection, until it is over.
    transport: Cell<Word>,
    waiting: RefCell<Vec<Waiting>>,
    /// Deferreds that fire when the present connection is over.
    stopping: RefCell<Vec<Word>>,
}

impl Body for Client {
    const KIND: Kind = Kind::ReconnectingClient;
    const SLOTS: u32 = 16;
    type Root = Reactor;
    type Beside = ();

    fn end(client: Item<Self>) {
        free(client);
    }
}

/// A client that is not started yet.
pub fn open(reactor: ReactorItem, dialer: Rc<Dialer>, backoff: Backoff) -> Result<Item<Client>> {
    super::open(reactor)?;
    let client = reactor.pools.alloc::<Client>()?;
    let scope = reactor.scope.get();
    if scope != 0 {
        scopes::join(reactor, scope, client.word()).inspect_err(|_| reactor.pools.free(client))?;
    }
    *client.dialer.borrow_mut() = Some(dialer);
    client.backoff.set(backoff);
    client.scope.set(scope);
    client.started.set(false);
    client.failures.set(0);
    for word in [&client.attempt, &client.timer, &client.transport] {
        word.set(Word::NULL);
    }
    Ok(client)
}

fn get(word: Word) -> Option<Item<Client>> {
    handles::get::<Client>(word).ok()
}

/// Has failed attempts told to somebody else, or to nobody.
pub fn set_teller(client: Item<Client>, teller: Option<Teller>) {
    let old = client.teller.replace(teller.map(Rc::new));
    let reactor = client.root();
    let _out = reactor.call_out();
    reactor.in_scope(client.scope.get(), || drop(old));
}

/// Begins to connect, from the loop, and goes on until stopped.
pub fn start(client: Item<Client>) -> Result {
    client.root().check_open()?;
    if client.started.get() {
        return Err(Status::ERR_INVALID_STATE.because("the client was started already"));
    }
    client.failures.set(0);
    // While the last connection is being closed, its end goes on with this.
    if client.transport.get().is_null() {
        schedule(client, 0.0)?;
    }
    client.started.set(true);
    Ok(())
}

fn schedule(client: Item<Client>, seconds: f64) -> Result {
    let reactor = client.root();
    let due = reactor.read_clock().saturating_add((seconds * timers::SECOND as f64) as u64);
    client.timer.set(timers::call_at(reactor, due, begin, client.word())?.word());
    client.due.set(due);
    Ok(())
}

extern "C-unwind" fn begin(word: Word) {
    let Some(client) = get(word) else { return };
    client.timer.set(Word::NULL);
    let Some(dialer) = client.dialer.borrow().clone() else { return };
    let reactor = client.root();
    match reactor.in_scope(client.scope.get(), || dialer.begin(reactor, attempted, word)) {
        Ok(attempt) => client.attempt.set(attempt),
        Err(why) => failed(client, failure::of_status(reactor, why)),
    }
}

extern "C-unwind" fn attempted(attempt: Word, transport: Word, failure: Word, client: Word) -> Word {
    // Of one that was given up nothing is left to be done.
    if let Some(client) = get(client).filter(|client| client.attempt.get() == attempt) {
        client.attempt.set(Word::NULL);
        match handles::get::<Transport>(transport) {
            Ok(transport) => connected(client, transport),
            Err(_) => failed(client, failure::keep(failure)),
        }
    }
    Word::NULL
}

fn connected(client: Item<Client>, transport: Item<Transport>) {
    let Some(dialer) = client.dialer.borrow().clone() else { return };
    let (word, of) = (transport.word(), client.word());
    let failures = client.failures.replace(0);
    client.transport.set(word);
    if !dialer.establish(transport, Box::new(move |_, _| over(of, word))) {
        if client.is_alive() {
            client.transport.set(Word::NULL);
            client.failures.set(failures);
            refused(client);
        }
    } else if client.is_alive() && client.started.get() {
        let waiting = client.waiting.take();
        fire(waiting.into_iter().map(|waiting| waiting.deferred), word);
    }
}

/// The host wanted none of the connection.
fn refused(client: Item<Client>) {
    if client.started.get() {
        failed(client, failure::of_status(client.root(), Status::ERR_CONNECTION_REFUSED));
    } else {
        fire(client.stopping.take().into_iter(), Word::NULL);
    }
}

fn fire(deferreds: impl Iterator<Item = Word>, value: Word) {
    for deferred in deferreds.filter_map(|word| handles::get::<Deferred>(word).ok()) {
        let _ = chain::callback(deferred, Owned::new(value, None));
    }
}

fn fail(reactor: ReactorItem, deferreds: impl Iterator<Item = Word>, failure: Word) {
    let _out = reactor.call_out();
    let failure = failure::owned(failure);
    for deferred in deferreds.filter_map(|word| handles::get::<Deferred>(word).ok()) {
        let _ = chain::errback(deferred, failure::keep(failure.word()));
    }
}

/// An attempt has failed; the failure is held for this.
fn failed(client: Item<Client>, failure: Word) {
    let reactor = client.root();
    let failure = failure::owned(failure);
    let backoff = client.backoff.get();
    let failures = client.failures.get().saturating_add(1);
    client.failures.set(failures);
    let mut seconds = f64::INFINITY;
    if backoff.max_retries == 0 || failures <= backoff.max_retries {
        seconds = backoff.seconds(failures, || chance(reactor));
    }
    if seconds == f64::INFINITY || schedule(client, seconds).is_err() {
        seconds = f64::INFINITY;
        client.started.set(false);
    }
    tell(client, failure.word(), seconds);
    if client.is_alive() {
        let (over, waiting) = client.waiting.take().into_iter().partition(|waiting: &Waiting| {
            seconds == f64::INFINITY || (waiting.failures != 0 && waiting.failures <= failures)
        });
        *client.waiting.borrow_mut() = waiting;
        let over: Vec<Waiting> = over;
        fail(reactor, over.into_iter().map(|waiting| waiting.deferred), failure::keep(failure.word()));
    }
}

/// A number from 0 to 1; on a simulated reactor it follows from the seed.
fn chance(reactor: ReactorItem) -> f64 {
    let bits = reactor.with_driver(|driver| driver.random()) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

fn tell(client: Item<Client>, failure: Word, seconds: f64) {
    // Held, should it be replaced meanwhile.
    let Some(teller) = client.teller.borrow().clone() else { return };
    let (reactor, source, scope) = (client.root(), client.word(), client.scope.get());
    let _out = reactor.call_out();
    match &*teller {
        Teller::Function(function, data) => {
            reactor.in_scope(scope, || function(source, failure, seconds, data.word()));
        }
        Teller::Events(tag) => {
            let failure = failure::owned(failure::keep(failure));
            let (kind, tag) = (events::ATTEMPT_FAILED, *tag);
            events::push(reactor, Event { kind, tag, source, failure, ..Event::default() });
        }
    }
    reactor.in_scope(scope, || drop(teller));
}

/// Its connection is over.
fn over(client: Word, transport: Word) {
    let Some(client) = get(client).filter(|client| client.transport.get() == transport) else { return };
    client.transport.set(Word::NULL);
    let reactor = client.root();
    let stopping = client.stopping.take();
    if client.started.get() {
        // One that was stopped and started again meanwhile has not been left by its peer.
        let seconds = if stopping.is_empty() { client.backoff.get().seconds(0, || chance(reactor)) } else { 0.0 };
        if let Err(why) = schedule(client, seconds) {
            failed(client, failure::of_status(reactor, why));
        }
    }
    fire(stopping.into_iter(), Word::NULL);
}

/// Makes no more attempts, and closes the connection. The Deferred fires when that is over.
pub fn stop(client: Item<Client>) -> Result<DeferredItem> {
    let reactor = client.root();
    let deferred = chain::new_inside(reactor, stops_anyway, Word::NULL)?;
    client.started.set(false);
    let waiting = client.waiting.take();
    halt(client);
    let connected = !client.transport.get().is_null();
    if connected {
        client.stopping.borrow_mut().push(deferred.word());
    }
    if !waiting.is_empty() {
        let why = Status::ERR_CANCELLED.because("the client was stopped");
        fail(reactor, waiting.into_iter().map(|waiting| waiting.deferred), failure::of_status(reactor, why));
    }
    if !connected {
        let _ = chain::callback(deferred, Owned::default());
    }
    Ok(deferred)
}

extern "C-unwind" fn stops_anyway(_: Word, _: Word) {}

/// Gives up what is being done, and begins to close the connection.
fn halt(client: Item<Client>) {
    if let Ok(timer) = handles::get::<DelayedCall>(client.timer.replace(Word::NULL)) {
        let _ = timers::cancel(timer);
    }
    let (attempt, transport) = (client.attempt.replace(Word::NULL), client.transport.get());
    dial::give_up(attempt);
    dial::close(transport);
}

/// A Deferred that fires with the connection: the present one, or the next. It fails after so many failures in a row;
/// 0: only when there will be no further attempt.
pub fn when_connected(client: Item<Client>, failures: u32) -> Result<DeferredItem> {
    client.waiting.borrow_mut().try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
    let deferred = chain::new_inside(client.root(), stop_waiting, client.word())?;
    match handles::get::<Transport>(client.transport.get()) {
        Ok(transport) if !transport.has(flag::LOST | flag::LOSING) => {
            chain::callback(deferred, Owned::new(transport.word(), None))?;
        }
        _ => client.waiting.borrow_mut().push(Waiting { deferred: deferred.word(), failures }),
    }
    Ok(deferred)
}

extern "C-unwind" fn stop_waiting(deferred: Word, client: Word) {
    if let Some(client) = get(client) {
        client.waiting.borrow_mut().retain(|waiting| waiting.deferred != deferred);
    }
    if let Ok(deferred) = handles::get::<Deferred>(deferred) {
        let _ = chain::abandon(deferred);
    }
}

impl Client {
    /// The present connection; null: there is none.
    pub fn transport(&self) -> Word {
        self.transport.get()
    }

    /// Attempts in a row that failed.
    pub fn failures(&self) -> u32 {
        self.failures.get()
    }
}

/// Nanoseconds until the next attempt; None: it waits for none.
pub fn next_attempt(client: Item<Client>) -> Option<u64> {
    (!client.timer.get().is_null()).then(|| client.due.get().saturating_sub(client.root().read_clock()))
}

/// Ends it: those who wait fail with `LARIAT_ERR_CLOSED`, and its connection is closed.
pub fn free(client: Item<Client>) {
    let reactor = client.root();
    let _out = reactor.call_out();
    let owned = (client.dialer.take(), client.teller.take());
    let waiting = client.waiting.take().into_iter().map(|waiting| waiting.deferred);
    let waiting: Vec<Word> = waiting.chain(client.stopping.take()).collect();
    let scope = client.scope.get();
    halt(client);
    reactor.pools.free(client);
    fail(reactor, waiting.into_iter(), failure::of_status(reactor, Status::ERR_CLOSED));
    reactor.in_scope(scope, || drop(owned));
}
