//! Connections to one endpoint that are kept open to be used again, and those who wait for one.

use super::dial::{self, Dialer};
use super::transport::Transport;
use crate::deferred::{Deferred, DeferredItem, chain, failure, later};
use crate::handles::{self, Body, Item, Kind, Owned, Word};
use crate::reactor::timers::{self, DelayedCall};
use crate::reactor::{Reactor, ReactorItem, scopes};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

/// How much of everything there may be.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Connections, those that are being made among them; 0: no limit.
    pub connections: u32,
    /// Connections that nobody uses.
    pub idle: u32,
    /// Those who wait although no connection is being made for them; 0: no limit.
    pub waiting: u32,
    /// How long a connection may be unused, in nanoseconds; None: as long as it lasts.
    pub idle_time: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 10, idle: 10, waiting: 0, idle_time: Some(60 * timers::SECOND) }
    }
}

/// Where a connection is in its life.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Its protocol is being told of it.
    Made,
    InUse,
    Idle,
    /// It is not to be used again.
    Ending,
}

/// See the module.
#[derive(Default)]
pub struct ConnectionPool {
    dialer: RefCell<Option<Rc<Dialer>>>,
    limits: Cell<Limits>,
    scope: Cell<u32>,
    /// The Deferreds of the attempts that are being made.
    attempts: RefCell<Vec<Word>>,
    /// The connections that are not over, by their handles.
    places: RefCell<HashMap<usize, Place>>,
    /// Those that nobody uses and when each is to be closed, the one used last at the end.
    idle: RefCell<VecDeque<(Word, u64)>>,
    timer: Cell<Word>,
    waiting: RefCell<VecDeque<Word>>,
}

impl Body for ConnectionPool {
    const KIND: Kind = Kind::ConnectionPool;
    const SLOTS: u32 = 16;
    type Root = Reactor;
    type Beside = ();

    fn end(pool: Item<Self>) {
        free(pool);
    }
}

/// An empty pool.
pub fn open(reactor: ReactorItem, dialer: Rc<Dialer>, limits: Limits) -> Result<Item<ConnectionPool>> {
    super::open(reactor)?;
    let pool = reactor.pools.alloc::<ConnectionPool>()?;
    let scope = reactor.scope.get();
    if scope != 0 {
        scopes::join(reactor, scope, pool.word()).inspect_err(|_| reactor.pools.free(pool))?;
    }
    *pool.dialer.borrow_mut() = Some(dialer);
    pool.limits.set(limits);
    pool.scope.set(scope);
    pool.timer.set(Word::NULL);
    Ok(pool)
}

fn get(word: Word) -> Option<Item<ConnectionPool>> {
    handles::get::<ConnectionPool>(word).ok()
}

impl ConnectionPool {
    fn place(&self, transport: Word) -> Option<Place> {
        self.places.borrow().get(&transport.addr()).copied()
    }

    fn put(&self, transport: Word, place: Place) {
        self.places.borrow_mut().insert(transport.addr(), place);
    }

    fn has_room(&self) -> bool {
        let most = self.limits.get().connections as usize;
        most == 0 || self.connections() < most
    }

    /// Connections, those that are being made among them.
    pub fn connections(&self) -> usize {
        self.places.borrow().len() + self.attempts.borrow().len()
    }

    /// Connections that nobody uses.
    pub fn idle(&self) -> usize {
        self.idle.borrow().len()
    }

    /// Those who wait for one.
    pub fn waiting(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// Whether more wait than connections are being made.
    fn wants_more(&self) -> bool {
        self.waiting() > self.attempts.borrow().len()
    }
}

/// A Deferred that fires with a connection that nobody else uses.
pub fn acquire(pool: Item<ConnectionPool>) -> Result<DeferredItem> {
    let most = pool.limits.get().waiting as usize;
    let deferred = chain::new_inside(pool.root(), stop_waiting, pool.word())?;
    if let Some(transport) = take_idle(pool) {
        chain::callback(deferred, Owned::new(transport, None))?;
        return Ok(deferred);
    }
    let room = pool.has_room();
    let reserved = pool.waiting.borrow_mut().try_reserve(1);
    let waits = || {
        reserved.map_err(|_| Status::ERR_NO_MEMORY)?;
        let unserved = pool.waiting().saturating_sub(pool.attempts.borrow().len());
        if !room && most != 0 && unserved >= most {
            return Err(Status::ERR_LIMIT.because(format_args!("{unserved} wait for a connection, the limit")));
        }
        pool.waiting.borrow_mut().push_back(deferred.word());
        if room && pool.wants_more() { begin(pool) } else { Ok(()) }
    };
    waits().inspect_err(|_| {
        pool.waiting.borrow_mut().retain(|waiting| *waiting != deferred.word());
        later::discard(deferred);
    })?;
    Ok(deferred)
}

/// The connection that was used last: it is the likeliest to be good still.
fn take_idle(pool: Item<ConnectionPool>) -> Option<Word> {
    loop {
        let (word, _) = pool.idle.borrow_mut().pop_back()?;
        if handles::get::<Transport>(word).is_ok_and(Item::is_sound) {
            pool.put(word, Place::InUse);
            return Some(word);
        }
        end(pool, word);
    }
}

extern "C-unwind" fn stop_waiting(deferred: Word, pool: Word) {
    if let Some(pool) = get(pool) {
        pool.waiting.borrow_mut().retain(|waiting| *waiting != deferred);
        // The connection that was being made for it would have nobody.
        let more = pool.attempts.borrow().len() > pool.waiting();
        let attempt = if more { pool.attempts.borrow_mut().pop() } else { None };
        attempt.into_iter().for_each(dial::give_up);
    }
    if let Ok(deferred) = handles::get::<Deferred>(deferred) {
        let _ = chain::abandon(deferred);
    }
}

/// Begins an attempt.
fn begin(pool: Item<ConnectionPool>) -> Result {
    let Some(dialer) = pool.dialer.borrow().clone() else { return Err(Status::ERR_CLOSED) };
    let reactor = pool.root();
    let attempt = reactor.in_scope(pool.scope.get(), || dialer.begin(reactor, attempted, pool.word()))?;
    pool.attempts.borrow_mut().push(attempt);
    Ok(())
}

/// Begins as many attempts as there is room and a need for.
fn fill(pool: Item<ConnectionPool>) {
    while pool.is_alive() && pool.wants_more() && pool.has_room() {
        if let Err(why) = begin(pool) {
            fail_first(pool, failure::of_status(pool.root(), why));
        }
    }
}

extern "C-unwind" fn attempted(attempt: Word, transport: Word, failure: Word, pool: Word) -> Word {
    let Some(pool) = get(pool) else { return Word::NULL };
    let place = pool.attempts.borrow().iter().position(|one| *one == attempt);
    // Of one that was given up nothing is left to be done.
    let Some(place) = place else { return Word::NULL };
    pool.attempts.borrow_mut().remove(place);
    match handles::get::<Transport>(transport) {
        Ok(transport) => made(pool, transport),
        Err(_) => {
            fail_first(pool, failure::keep(failure));
            fill(pool);
        }
    }
    Word::NULL
}

/// Whoever waits longest hears why there is no connection; the failure is held for that.
fn fail_first(pool: Item<ConnectionPool>, failure: Word) {
    let first = pool.waiting.borrow_mut().pop_front();
    match first.and_then(|first| handles::get::<Deferred>(first).ok()) {
        Some(first) => drop(chain::errback(first, failure)),
        None => drop(failure::release(failure)),
    }
}

fn made(pool: Item<ConnectionPool>, transport: Item<Transport>) {
    let Some(dialer) = pool.dialer.borrow().clone() else { return };
    let (word, of) = (transport.word(), pool.word());
    pool.put(word, Place::Made);
    if dialer.establish(transport, Box::new(move |_, _| over(of, word))) {
        if pool.is_alive() { give(pool, word) } else { dial::close(word) }
    } else if pool.is_alive() {
        pool.places.borrow_mut().remove(&word.addr());
        fail_first(pool, failure::of_status(pool.root(), Status::ERR_CONNECTION_REFUSED));
        fill(pool);
    }
}

/// Gives a connection to whoever waits longest, or keeps it.
fn give(pool: Item<ConnectionPool>, transport: Word) {
    if !handles::get::<Transport>(transport).is_ok_and(Item::is_sound) {
        return end(pool, transport);
    }
    let next = pool.waiting.borrow_mut().pop_front();
    if let Some(next) = next.and_then(|next| handles::get::<Deferred>(next).ok()) {
        pool.put(transport, Place::InUse);
        let _ = chain::callback(next, Owned::new(transport, None));
    } else if pool.idle() >= pool.limits.get().idle as usize {
        end(pool, transport);
    } else {
        pool.put(transport, Place::Idle);
        let until = pool.limits.get().idle_time.map(|time| pool.root().read_clock().saturating_add(time));
        pool.idle.borrow_mut().push_back((transport, until.unwrap_or(u64::MAX)));
        watch_idle(pool);
    }
}

/// Closes a connection that is not to be used again. Its place is free when it is over.
fn end(pool: Item<ConnectionPool>, transport: Word) {
    pool.put(transport, Place::Ending);
    dial::close(transport);
}

/// A connection is over, whoever had it.
fn over(pool: Word, transport: Word) {
    let Some(pool) = get(pool) else { return };
    let place = pool.places.borrow_mut().remove(&transport.addr());
    if place == Some(Place::Idle) {
        pool.idle.borrow_mut().retain(|(idle, _)| *idle != transport);
    }
    fill(pool);
}

/// Sees to it that there is a timer while a connection is unused that may not stay so for ever.
fn watch_idle(pool: Item<ConnectionPool>) {
    let first = pool.idle.borrow().front().map_or(u64::MAX, |(_, until)| *until);
    if pool.timer.get().is_null() && first != u64::MAX {
        // Without memory for it, the next one that is given back tries again.
        let timer = timers::call_at(pool.root(), first, close_idle, pool.word());
        pool.timer.set(timer.map_or(Word::NULL, Item::word));
    }
}

extern "C-unwind" fn close_idle(word: Word) {
    let Some(pool) = get(word) else { return };
    pool.timer.set(Word::NULL);
    let now = pool.root().read_clock();
    loop {
        match pool.idle.borrow().front() {
            Some((_, until)) if *until <= now => {}
            _ => break,
        }
        let due = pool.idle.borrow_mut().pop_front();
        due.into_iter().for_each(|(transport, _)| end(pool, transport));
    }
    watch_idle(pool);
}

fn check_in_use(pool: Item<ConnectionPool>, transport: Word) -> Result {
    match pool.place(transport) {
        Some(Place::InUse) => Ok(()),
        Some(Place::Made | Place::Idle | Place::Ending) => {
            Err(Status::ERR_INVALID_STATE.because("the connection is not one that was acquired and not given back"))
        }
        None => Err(Status::ERR_INVALID_ARGUMENT.because("the connection is not the pool's")),
    }
}

/// Gives an acquired connection back, to be used again if it can be.
pub fn release(pool: Item<ConnectionPool>, transport: Word) -> Result {
    check_in_use(pool, transport)?;
    give(pool, transport);
    Ok(())
}

/// Gives an acquired connection back, to be closed.
pub fn discard(pool: Item<ConnectionPool>, transport: Word) -> Result {
    check_in_use(pool, transport)?;
    end(pool, transport);
    Ok(())
}

/// Ends it: those who wait fail with `LARIAT_ERR_CLOSED`, what nobody uses is closed.
pub fn free(pool: Item<ConnectionPool>) {
    let reactor = pool.root();
    let _out = reactor.call_out();
    let dialer = pool.dialer.take();
    let (attempts, waiting) = (pool.attempts.take(), pool.waiting.take());
    let (idle, scope) = (pool.idle.take(), pool.scope.get());
    pool.places.take();
    if let Ok(timer) = handles::get::<DelayedCall>(pool.timer.replace(Word::NULL)) {
        let _ = timers::cancel(timer);
    }
    reactor.pools.free(pool);
    attempts.into_iter().for_each(dial::give_up);
    idle.into_iter().for_each(|(transport, _)| dial::close(transport));
    for deferred in waiting.into_iter().filter_map(|word| handles::get::<Deferred>(word).ok()) {
        let _ = chain::errback(deferred, failure::of_status(reactor, Status::ERR_CLOSED));
    }
    reactor.in_scope(scope, || drop(dialer));
}
