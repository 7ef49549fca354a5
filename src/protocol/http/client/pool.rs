//! The connections of an agent, by where they lead; and the requests that wait for one.

use super::agent::Agent;
use super::connection::{self, Connection, Place};
use super::exchange::{self, Exchange};
use crate::deferred::{Deferred, cancel, chain, failure};
use crate::handles::{self, BothFn, Item, Owned, Word};
use crate::net::protocol::Protocol;
use crate::net::transport::Transport;
use crate::net::{connect, dial};
use crate::reactor::timers::{self, DelayedCall};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

/// Those of one place.
struct Host {
    place: Rc<Place>,
    /// All that are there: used, unused and on their way out.
    connections: Vec<Rc<Connection>>,
    /// Those that are being made, and the Deferred that says how that goes; null: it waits for a proxy.
    attempts: Vec<(Word, Rc<Connection>)>,
    /// Those that nobody uses and when each is to be closed, the one used last at the end.
    idle: VecDeque<(Rc<Connection>, u64)>,
    waiting: VecDeque<Word>,
}

/// See the module.
#[derive(Default)]
pub struct Pool {
    hosts: RefCell<HashMap<String, Host>>,
    pub(super) total: Cell<usize>,
    timer: Cell<Word>,
}

/// What an agent that ends leaves to be ended.
pub struct Left {
    attempts: Vec<Word>,
    connections: Vec<Rc<Connection>>,
}

impl Pool {
    pub(super) fn reset(&self) {
        self.total.set(0);
        self.timer.set(Word::NULL);
    }

    fn with<R>(&self, key: &str, read: impl FnOnce(&mut Host) -> R) -> Option<R> {
        self.hosts.borrow_mut().get_mut(key).map(read)
    }

    fn sum(&self, of: impl Fn(&Host) -> usize) -> usize {
        self.hosts.borrow().values().map(of).sum()
    }

    pub(super) fn idle(&self) -> usize {
        self.sum(|host| host.idle.len())
    }

    pub(super) fn waiting(&self) -> usize {
        self.sum(|host| host.waiting.len())
    }

    fn add(&self, more: usize) {
        self.total.set(self.total.get() + more);
    }

    fn subtract(&self, less: usize) {
        self.total.set(self.total.get().saturating_sub(less));
    }
}

/// Gives a request a connection that nobody uses, now or when there is one. `fresh`: one that was never used before.
pub(super) fn acquire(agent: Item<Agent>, exchange: Item<Exchange>, place: Rc<Place>, fresh: bool) -> Result {
    let key = place.key.clone();
    {
        let mut hosts = agent.pool.hosts.borrow_mut();
        hosts.try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
        hosts.entry(key.clone()).or_insert_with(|| Host::new(place));
    }
    if !fresh {
        if let Some(connection) = take_idle(agent, &key) {
            exchange::connected(exchange, &connection);
            return Ok(());
        }
    }
    let most = agent.settings().waiting as usize;
    let room = has_room(agent, &key);
    let waits = || {
        let unserved = || agent.pool.sum(|host| host.waiting.len().saturating_sub(host.attempts.len()));
        if most != 0 && !room && unserved() >= most {
            return Err(Status::ERR_LIMIT.because(format_args!("{most} requests wait for a connection, the limit")));
        }
        let reserved = agent.pool.with(&key, |host| {
            host.waiting.try_reserve(1)?;
            // One that was there before goes first again.
            if fresh {
                host.waiting.push_front(exchange.word())
            } else {
                host.waiting.push_back(exchange.word())
            }
            Ok::<(), std::collections::TryReserveError>(())
        });
        reserved.unwrap_or(Ok(())).map_err(|_| Status::ERR_NO_MEMORY)?;
        if room && wants_more(agent, &key) { begin(agent, &key) } else { Ok(()) }
    };
    waits().inspect_err(|_| {
        agent.pool.with(&key, |host| host.waiting.retain(|waiting| *waiting != exchange.word()));
        sweep(agent, &key);
    })
}

impl Host {
    fn new(place: Rc<Place>) -> Self {
        let (connections, attempts) = Default::default();
        Self { place, connections, attempts, idle: VecDeque::new(), waiting: VecDeque::new() }
    }

    fn count(&self) -> usize {
        self.connections.len() + self.attempts.len()
    }
}

/// Forgets a place that nothing is known of any more.
fn sweep(agent: Item<Agent>, key: &str) {
    let mut hosts = agent.pool.hosts.borrow_mut();
    if hosts.get(key).is_some_and(|host| host.count() + host.waiting.len() == 0) {
        hosts.remove(key);
    }
}

fn wants_more(agent: Item<Agent>, key: &str) -> bool {
    agent.pool.with(key, |host| host.waiting.len() > host.attempts.len()) == Some(true)
}

/// Whether there may be one more; to that end, one that leads elsewhere and that nobody uses is closed.
fn has_room(agent: Item<Agent>, key: &str) -> bool {
    let settings = agent.settings();
    let (most, here) = (settings.connections as usize, settings.connections_per_host as usize);
    if here != 0 && agent.pool.with(key, |host| host.count() >= here) == Some(true) {
        return false;
    }
    most == 0 || agent.pool.total.get() < most || close_oldest_idle(agent)
}

fn close_oldest_idle(agent: Item<Agent>) -> bool {
    let oldest = {
        let mut hosts = agent.pool.hosts.borrow_mut();
        let host = hosts.values_mut().filter(|host| !host.idle.is_empty()).min_by_key(|host| host.idle[0].1);
        host.and_then(|host| {
            let (oldest, _) = host.idle.pop_front()?;
            host.connections.retain(|one| !Rc::ptr_eq(one, &oldest));
            Some(oldest)
        })
    };
    oldest
        .map(|oldest| {
            agent.pool.subtract(1);
            oldest.close();
        })
        .is_some()
}

/// The connection that was used last: it is the likeliest to be good still.
fn take_idle(agent: Item<Agent>, key: &str) -> Option<Rc<Connection>> {
    loop {
        let (connection, _) = agent.pool.with(key, |host| host.idle.pop_back()).flatten()?;
        if connection.is_sound() {
            return Some(connection);
        }
        connection.close();
    }
}

/// Begins a connection.
fn begin(agent: Item<Agent>, key: &str) -> Result {
    let Some(place) = agent.pool.with(key, |host| Rc::clone(&host.place)) else { return Err(Status::ERR_CLOSED) };
    let reactor = agent.root();
    let connection = Rc::new(Connection::new(agent.word(), Rc::clone(&place)));
    let protocol = Protocol { whole: Some(Rc::clone(&connection) as Rc<_>), ..Protocol::default() };
    let begun = reactor.in_scope(agent.scope.get(), || -> Result<Word> {
        let deferred = connect::connect(reactor, place.endpoint.as_bytes(), Rc::new(protocol), Owned::default())?;
        const TOLD: BothFn = attempted;
        let added = chain::add_both(deferred, TOLD, Owned::new(agent.word(), None));
        if added.is_err() {
            cancel::cancel(deferred);
        }
        chain::release(deferred)?;
        added.map(|()| deferred.word())
    })?;
    agent.pool.with(key, |host| host.attempts.push((begun, connection)));
    agent.pool.add(1);
    Ok(())
}

/// Begins as many as there is room and a need for.
fn fill(agent: Item<Agent>, key: &str) {
    while agent.is_alive() && wants_more(agent, key) && has_room(agent, key) {
        if let Err(why) = begin(agent, key) {
            fail_first(agent, key, failure::of_status(agent.root(), why));
        }
    }
    if agent.is_alive() {
        sweep(agent, key);
    }
}

/// There is room again: for whom is not said.
fn fill_all(agent: Item<Agent>) {
    let keys = {
        let hosts = agent.pool.hosts.borrow();
        let waiting = hosts.iter().filter(|(_, host)| host.waiting.len() > host.attempts.len());
        waiting.map(|(key, _)| key.clone()).collect::<Vec<_>>()
    };
    for key in keys {
        if agent.is_alive() {
            fill(agent, &key);
        }
    }
}

/// Whoever waits longest hears why there is no connection; the failure is held for that.
fn fail_first(agent: Item<Agent>, key: &str, failure: Word) {
    let first = agent.pool.with(key, |host| host.waiting.pop_front()).flatten();
    match first.and_then(|first| handles::get::<Exchange>(first).ok()) {
        Some(exchange) => exchange::fail_because(exchange, failure),
        None => drop(failure::release(failure)),
    }
}

extern "C-unwind" fn attempted(attempt: Word, transport: Word, failure: Word, agent: Word) -> Word {
    let Ok(agent) = handles::get::<Agent>(agent) else { return Word::NULL };
    // Of one that was given up nothing is left to be done.
    let Some(connection) = connection_of(agent, attempt) else { return Word::NULL };
    if handles::get::<Transport>(transport).is_ok() {
        attempts(agent, &connection, Word::NULL);
        connection::open(agent, &connection);
    } else {
        failed(agent, &connection, failure::keep(failure));
    }
    Word::NULL
}

/// The connection that this attempt is to make.
pub(super) fn connection_of(agent: Item<Agent>, attempt: Word) -> Option<Rc<Connection>> {
    let hosts = agent.pool.hosts.borrow();
    let mut attempts = hosts.values().flat_map(|host| &host.attempts);
    attempts.find(|(of, _)| *of == attempt).map(|(_, connection)| Rc::clone(connection))
}

/// The making of a connection goes on with this Deferred; null: with none.
pub(super) fn attempts(agent: Item<Agent>, connection: &Rc<Connection>, attempt: Word) {
    agent.pool.with(&connection.place.key, |host| {
        let of_it = host.attempts.iter_mut().filter(|(_, one)| Rc::ptr_eq(one, connection));
        of_it.for_each(|one| one.0 = attempt);
    });
}

/// No connection has come of an attempt; the failure is held for that.
pub(super) fn failed(agent: Item<Agent>, connection: &Rc<Connection>, failure: Word) {
    let key = &connection.place.key;
    if remove_attempt(agent, connection) {
        agent.pool.subtract(1);
        fail_first(agent, key, failure);
        if agent.is_alive() {
            fill(agent, key);
            more_room(agent);
        }
    } else {
        let _ = failure::release(failure);
    }
}

fn remove_attempt(agent: Item<Agent>, connection: &Rc<Connection>) -> bool {
    let removed = agent.pool.with(&connection.place.key, |host| {
        let before = host.attempts.len();
        host.attempts.retain(|(_, one)| !Rc::ptr_eq(one, connection));
        before != host.attempts.len()
    });
    removed == Some(true)
}

/// A connection can be used.
pub(super) fn opened(agent: Item<Agent>, connection: &Rc<Connection>) {
    if remove_attempt(agent, connection) {
        agent.pool.with(&connection.place.key, |host| host.connections.push(Rc::clone(connection)));
        give(agent, connection);
    }
}

/// Gives a connection to whoever waits longest for one to its place, or keeps it.
fn give(agent: Item<Agent>, connection: &Rc<Connection>) {
    if !connection.is_sound() {
        return connection.close();
    }
    let key = &connection.place.key;
    let next = agent.pool.with(key, |host| host.waiting.pop_front()).flatten();
    if let Some(next) = next.and_then(|next| handles::get::<Exchange>(next).ok()) {
        return exchange::connected(next, connection);
    }
    let settings = agent.settings();
    if agent.pool.with(key, |host| host.idle.len() >= settings.idle_per_host as usize) != Some(false) {
        return connection.close();
    }
    let until = settings.idle_time.map_or(u64::MAX, |time| agent.root().read_clock().saturating_add(time));
    agent.pool.with(key, |host| host.idle.push_back((Rc::clone(connection), until)));
    watch_idle(agent);
    more_room(agent);
}

/// One that waits to be let in elsewhere may be.
fn more_room(agent: Item<Agent>) {
    if agent.settings().connections != 0 && agent.pool.waiting() != 0 {
        fill_all(agent);
    }
}

/// A request is done with its connection.
pub(super) fn release(agent: Item<Agent>, connection: &Rc<Connection>) {
    give(agent, connection);
}

/// A connection is over, whoever had it.
pub(super) fn over(agent: Item<Agent>, connection: &Rc<Connection>) {
    let key = &connection.place.key;
    let removed = agent.pool.with(key, |host| {
        host.idle.retain(|(one, _)| !Rc::ptr_eq(one, connection));
        let before = host.connections.len();
        host.connections.retain(|one| !Rc::ptr_eq(one, connection));
        before - host.connections.len()
    });
    agent.pool.subtract(removed.unwrap_or(0));
    fill(agent, key);
    if agent.is_alive() {
        more_room(agent);
    }
}

/// A request waits no more.
pub(super) fn forget(agent: Item<Agent>, exchange: Word, key: &str) {
    let surplus = agent.pool.with(key, |host| {
        let before = host.waiting.len();
        host.waiting.retain(|waiting| *waiting != exchange);
        // The connection that was being made for it would have nobody.
        let surplus = before != host.waiting.len() && host.attempts.len() > host.waiting.len();
        if surplus { host.attempts.pop() } else { None }
    });
    if let Some((attempt, connection)) = surplus.flatten() {
        agent.pool.subtract(1);
        dial::give_up(attempt);
        connection.close();
    }
    sweep(agent, key);
}

/// Sees to it that there is a timer while a connection is unused that may not stay so for ever.
fn watch_idle(agent: Item<Agent>) {
    let first = agent.pool.hosts.borrow().values().filter_map(|host| host.idle.front()).map(|(_, until)| *until).min();
    if let Some(first) = first.filter(|first| *first != u64::MAX && agent.pool.timer.get().is_null()) {
        // Without memory for it, the next one that is given back tries again.
        let timer = timers::call_at(agent.root(), first, close_due, agent.word());
        agent.pool.timer.set(timer.map_or(Word::NULL, Item::word));
    }
}

extern "C-unwind" fn close_due(agent: Word) {
    let Ok(agent) = handles::get::<Agent>(agent) else { return };
    agent.pool.timer.set(Word::NULL);
    let now = agent.root().read_clock();
    close_until(agent, now);
    watch_idle(agent);
}

fn close_until(agent: Item<Agent>, now: u64) {
    let mut due = Vec::new();
    for host in agent.pool.hosts.borrow_mut().values_mut() {
        while host.idle.front().is_some_and(|(_, until)| *until <= now) {
            due.extend(host.idle.pop_front());
        }
    }
    // Their places are free when they are over.
    due.into_iter().for_each(|(connection, _)| connection.close());
}

/// Closes those that nobody uses.
pub(super) fn close_idle(agent: Item<Agent>) {
    close_until(agent, u64::MAX);
}

/// The agent ends: nothing is the pool's any more.
pub(super) fn take_all(agent: Item<Agent>) -> Left {
    let mut left = Left { attempts: Vec::new(), connections: Vec::new() };
    for (_, host) in agent.pool.hosts.take() {
        for (attempt, connection) in host.attempts {
            left.attempts.push(attempt);
            left.connections.push(connection);
        }
        left.connections.extend(host.connections);
    }
    agent.pool.total.set(0);
    if let Ok(timer) = handles::get::<DelayedCall>(agent.pool.timer.replace(Word::NULL)) {
        let _ = timers::cancel(timer);
    }
    left
}

impl Left {
    pub(super) fn end(self) {
        self.attempts.into_iter().filter(|attempt| handles::get::<Deferred>(*attempt).is_ok()).for_each(dial::give_up);
        self.connections.into_iter().for_each(|connection| connection.close());
    }
}
