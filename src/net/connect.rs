//! Connecting to where an endpoint says: the name is looked up, and its addresses are tried as RFC 8305 has it, one after
//! the other without waiting long for any, until one answers.

use super::attempt::{self, Failed, How};
use super::connect_error::{self, Refusal};
use super::endpoint::{self, Endpoint, Options, Place, Purpose};
use super::protocol::Protocol;
use super::resolver::{self, Answer, Ask, LookUp};
use super::tls::{self, handshake, handshake::Role};
use super::transport::Transport;
use super::{Fresh, adopt, ending};
use crate::deferred::{Deferred, DeferredItem, chain, later};
use crate::driver::Address;
use crate::handles::{self, Body, CallFn, Item, Kind, Owned, Word};
use crate::platform::Socket;
use crate::reactor::timers::{self, DelayedCall};
use crate::reactor::{Reactor, ReactorItem};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

/// How long an attempt is alone before the next address is tried beside it: RFC 8305's 250 milliseconds.
const DELAY: u64 = 250_000_000;

/// What a connection in the making will need.
struct Plan {
    deferred: Word,
    scope: u32,
    protocol: Rc<Protocol>,
    this: Owned,
    how: How,
    /// The socket, if the host has made it.
    own: RefCell<Option<Fresh>>,
    /// In words.
    target: String,
    /// What all of it may take, in nanoseconds.
    timeout: u64,
    /// What the connection begins with, and whom it wants to talk to.
    tls: Option<(Arc<tls::Client>, Option<String>)>,
}

/// A connection in the making, until the first attempt succeeds or the last has failed.
#[derive(Default)]
pub struct Connecting {
    plan: RefCell<Option<Plan>>,
    /// Addresses that were not tried yet.
    waiting: RefCell<VecDeque<Address>>,
    attempts: RefCell<Vec<(Address, Item<Transport>)>>,
    refusals: RefCell<Vec<Refusal>>,
    look_up: Cell<Word>,
    /// The timer that begins the next attempt.
    next: Cell<Word>,
    /// The timer that ends it all.
    deadline: Cell<Word>,
}

impl Body for Connecting {
    const KIND: Kind = Kind::Connecting;
    type Root = Reactor;
    type Beside = ();

    fn end(connecting: Item<Self>) {
        let plan = finish(connecting);
        drop_plan(connecting.root(), plan);
    }
}

/// Connects; the Deferred fires with the transport's handle, never from inside this call.
pub fn connect(reactor: ReactorItem, endpoint: &[u8], protocol: Rc<Protocol>, this: Owned) -> Result<DeferredItem> {
    connect_with(reactor, endpoint, (None, tls_of(endpoint, None)?), protocol, this)
}

/// The same, with TLS as is said here; the endpoint says nothing of it then.
pub fn connect_tls(
    reactor: ReactorItem,
    endpoint: &[u8],
    tls: Arc<tls::Client>,
    protocol: Rc<Protocol>,
    this: Owned,
) -> Result<DeferredItem> {
    connect_with(reactor, endpoint, (None, tls_of(endpoint, Some(tls))?), protocol, this)
}

/// The TLS of what connects: as is said beside the endpoint, or in it; None: it has none.
pub(super) fn tls_of(endpoint: &[u8], given: Option<Arc<tls::Client>>) -> Result<Option<Arc<tls::Client>>> {
    match (endpoint::parse(endpoint, Purpose::Connect)?.options.tls, given) {
        (None, given) => Ok(given),
        (Some(said), Some(given)) if said.is_empty() => Ok(Some(given)),
        (Some(_), Some(_)) => Err(endpoint::said_twice(endpoint)),
        (Some(said), None) => said.client().map(Some).map_err(|why| endpoint::refused(endpoint, why)),
    }
}

/// The same with a socket of the host, which is the library's when this succeeds.
pub fn connect_socket(
    reactor: ReactorItem,
    socket: Socket,
    endpoint: &[u8],
    protocol: Rc<Protocol>,
    this: Owned,
) -> Result<DeferredItem> {
    connect_with(reactor, endpoint, (Some(socket), tls_of(endpoint, None)?), protocol, this)
}

/// The same; what the endpoint says of TLS is read already.
pub(super) fn connect_with(
    reactor: ReactorItem,
    endpoint: &[u8],
    (socket, tls): (Option<Socket>, Option<Arc<tls::Client>>),
    protocol: Rc<Protocol>,
    this: Owned,
) -> Result<DeferredItem> {
    let Endpoint { place, options } = endpoint::parse(endpoint, Purpose::Connect)?;
    let name = server_name(&place);
    if let Some(tls) = &tls {
        Role::client(tls, name.as_deref()).map_err(|why| endpoint::refused(endpoint, why))?;
    }
    super::open(reactor)?;
    let own = socket.map(|socket| taken(reactor, socket, &place, &options)).transpose()?;
    handles::check_memory(4096)?;
    let deferred: Item<Deferred> = chain::new_inside(reactor, give_up, Word::NULL)?;
    let connecting = reactor.pools.alloc::<Connecting>().inspect_err(|_| later::discard(deferred))?;
    let timeout = options.timeout.map_or(0, |timeout| timeout.as_nanos() as u64);
    let own = RefCell::new(own.map(Fresh::keep).map(|socket| Fresh::new(reactor, socket)));
    *connecting.plan.borrow_mut() = Some(Plan {
        deferred: deferred.word(),
        scope: reactor.scope.get(),
        protocol,
        this,
        target: connect_error::target(&place),
        timeout,
        tls: tls.map(|tls| (tls, name)),
        how: How { bind: options.bind, options: Rc::new(options) },
        own,
    });
    let begun = begin(connecting, place, timeout);
    begun.inspect_err(|_| {
        let plan = finish(connecting);
        // It stays the host's.
        let _ = plan.as_ref().and_then(|plan| plan.own.take()).map(Fresh::keep);
        later::discard(deferred);
        drop_plan(reactor, plan);
    })?;
    chain::set_canceller_data(deferred, connecting.word());
    Ok(deferred)
}

/// Whom a server's certificate must be for, if nothing else says.
fn server_name(place: &Place) -> Option<String> {
    match place {
        Place::Name { name, .. } => Some(name.clone()),
        Place::At(address) => address.ip().map(|address| address.ip().to_string()),
        Place::Any { .. } | Place::Inherited(_) => None,
    }
}

/// A socket of the host for one address.
fn taken(reactor: ReactorItem, socket: Socket, place: &Place, options: &Options) -> Result<Fresh> {
    if !matches!(place, Place::At(_)) {
        return Err(Status::ERR_BAD_ENDPOINT.because("a socket is connected to an address, not to a name"));
    }
    if options.bind.is_some() {
        return Err(Status::ERR_BAD_ENDPOINT.because("bind: the socket is bound by whoever has made it"));
    }
    let fresh = adopt::take(reactor, socket, adopt::Sort::Unconnected)?;
    let is_ip = matches!(place, Place::At(Address::Ip(_)));
    let set = fresh.with(|driver, socket| options.of_stream(is_ip).try_for_each(|option| driver.set(socket, option)));
    set.map_err(|why| super::error::refused(format_args!("descriptor {socket}"), &why))?;
    Ok(fresh)
}

fn begin(connecting: Item<Connecting>, place: Place, timeout: u64) -> Result {
    if timeout != 0 {
        connecting.deadline.set(timer(connecting, timeout, timed_out)?);
    }
    match place {
        Place::At(address) => {
            connecting.waiting.borrow_mut().push_back(address);
            if !try_next(connecting) {
                // Refused at once, which is told from the loop.
                connecting.next.set(timer(connecting, 0, try_further)?);
            }
        }
        Place::Name { name, family, port } => {
            let family = family.or(connecting.bind().map(|bind| bind.family()));
            let ask = Ask { name: &name, family, wait: None, by_system: false };
            let word = connecting.word();
            let done: resolver::Done = Box::new(move |_, answer| found(word, answer, port));
            connecting.look_up.set(resolver::look_up(connecting.root(), &ask, done)?.word());
        }
        Place::Any { .. } | Place::Inherited(_) => return Err(Status::ERR_BAD_ENDPOINT),
    }
    Ok(())
}

fn timer(connecting: Item<Connecting>, delay: u64, call: CallFn) -> Result<Word> {
    let reactor = connecting.root();
    let deadline = reactor.read_clock().saturating_add(delay);
    timers::call_at(reactor, deadline, call, connecting.word()).map(Item::word)
}

fn stop(timer: &Cell<Word>) {
    if let Ok(timer) = handles::get::<DelayedCall>(timer.replace(Word::NULL)) {
        let _ = timers::cancel(timer);
    }
}

fn get(word: Word) -> Option<Item<Connecting>> {
    handles::get::<Connecting>(word).ok()
}

impl Connecting {
    fn with_plan<R>(&self, read: impl FnOnce(&Plan) -> R) -> Option<R> {
        self.plan.borrow().as_ref().map(read)
    }

    fn bind(&self) -> Option<Address> {
        self.with_plan(|plan| plan.how.bind).flatten()
    }
}

/// The name was looked up.
fn found(word: Word, answer: Answer, port: u16) {
    let Some(connecting) = get(word) else { return };
    connecting.look_up.set(Word::NULL);
    match answer {
        Ok(found) => {
            *connecting.waiting.borrow_mut() = by_turns(&found, port);
            go_on(connecting);
        }
        Err(why) => fail(connecting, |target, _| connect_error::of_look_up(target, &why)),
    }
}

/// The addresses, those of the two families by turns: the family that the system prefers comes first.
fn by_turns(found: &[SocketAddr], port: u16) -> VecDeque<Address> {
    let first = found.first().is_some_and(SocketAddr::is_ipv6);
    let of = |v6: bool| found.iter().filter(move |address| address.is_ipv6() == v6);
    let (mut one, mut other) = (of(first), of(!first));
    let mut order = VecDeque::with_capacity(found.len());
    while order.len() < found.len() {
        let turn = [one.next(), other.next()];
        order.extend(turn.into_iter().flatten().map(|address| {
            let mut address = *address;
            address.set_port(port);
            Address::Ip(address)
        }));
    }
    order
}

/// Tries the next address; it has failed if there is none and nothing is under way.
fn go_on(connecting: Item<Connecting>) {
    stop(&connecting.next);
    if !try_next(connecting) {
        fail(connecting, connect_error::of_refusals);
    }
}

extern "C-unwind" fn try_further(word: Word) {
    if let Some(connecting) = get(word) {
        go_on(connecting);
    }
}

/// Begins an attempt at the next address that does not refuse at once. False: there is none, and no attempt is under way.
fn try_next(connecting: Item<Connecting>) -> bool {
    loop {
        let next = connecting.waiting.borrow_mut().pop_front();
        let Some(address) = next else { return !connecting.attempts.borrow().is_empty() };
        let Some(transport) = attempt_at(connecting, address) else { continue };
        connecting.attempts.borrow_mut().push((address, transport));
        if !connecting.waiting.borrow().is_empty() {
            // Without memory for it, the next comes when this one has failed.
            connecting.next.set(timer(connecting, DELAY, try_further).unwrap_or_default());
        }
        return true;
    }
}

/// None: it was refused at once.
fn attempt_at(connecting: Item<Connecting>, address: Address) -> Option<Item<Transport>> {
    let reactor = connecting.root();
    let (how, scope) = connecting.with_plan(|plan| (plan.how.clone(), plan.scope)).unwrap_or_default();
    let own = connecting.with_plan(|plan| plan.own.take()).flatten();
    let word = connecting.word();
    let done: attempt::Done = Box::new(move |_, outcome| attempted(word, address, outcome));
    let refusal = match reactor.in_scope(scope, || attempt::begin(reactor, &address, &how, own, done)) {
        Ok(Ok(transport)) => return Some(transport),
        Ok(Err(why)) => Refusal::of_system(address, &why),
        Err(why) => Refusal { address, status: why, os_error: 0, why: connect_error::words_of(why) },
    };
    connecting.refusals.borrow_mut().push(refusal);
    None
}

/// An attempt has succeeded or failed.
fn attempted(word: Word, address: Address, outcome: std::result::Result<Item<Transport>, Failed>) {
    let Some(connecting) = get(word) else { return };
    connecting.attempts.borrow_mut().retain(|(of, _)| *of != address);
    match outcome {
        Ok(transport) => match connecting.with_plan(|plan| plan.tls.clone()).flatten() {
            Some((tls, name)) => shake_hands(connecting, (address, transport), &tls, name.as_deref()),
            None => succeed(connecting, transport),
        },
        Err(Failed::System(why)) => {
            connecting.refusals.borrow_mut().push(Refusal::of_system(address, &why));
            go_on(connecting);
        }
        // The Deferred is cancelled by the same end.
        Err(Failed::Ended(_)) => {}
    }
}

/// The address has answered, and is the only one from here on; the time for all of it goes on.
fn shake_hands(
    connecting: Item<Connecting>,
    (address, transport): (Address, Item<Transport>),
    tls: &Arc<tls::Client>,
    name: Option<&str>,
) {
    stop(&connecting.next);
    connecting.waiting.borrow_mut().clear();
    let others = connecting.attempts.replace(vec![(address, transport)]);
    for (_, other) in others.into_iter().filter(|(_, other)| other.is_alive()) {
        attempt::give_up(other);
    }
    let word = connecting.word();
    let done: attempt::Done = Box::new(move |_, outcome| shaken(word, outcome));
    let begun = Role::client(tls, name).and_then(|role| handshake::begin(transport, role, Vec::new(), done));
    match begun {
        // The client speaks first.
        Ok(()) => super::reading::again(transport.root(), transport),
        Err(why) => {
            ending::lost(transport, why);
            let why = Refusal { address, status: why, os_error: 0, why: connect_error::words_of(why) };
            fail(connecting, |target, _| connect_error::of_refusals(target, &[why]));
        }
    }
}

/// The handshake has succeeded or failed.
fn shaken(word: Word, outcome: std::result::Result<Item<Transport>, Failed>) {
    let Some(connecting) = get(word) else { return };
    connecting.attempts.take();
    match outcome {
        Ok(transport) => succeed(connecting, transport),
        Err(Failed::Ended(reason)) => {
            // Whoever waits is cancelled by the same end of the reactor or the scope.
            if let Some(why) = connect_error::of_handshake(reason) {
                fail(connecting, |target, _| why(target));
            }
        }
        Err(Failed::System(_)) => {}
    }
}

fn succeed(connecting: Item<Connecting>, transport: Item<Transport>) {
    let Some(Plan { deferred, protocol, this, .. }) = finish(connecting) else {
        return attempt::drop_connected(transport);
    };
    attempt::establish(transport, protocol, this);
    let fired = handles::get::<Deferred>(deferred)
        .and_then(|deferred| chain::callback(deferred, Owned::new(transport.word(), None)));
    if fired.is_err() && transport.is_alive() {
        // `connection_made` has cancelled it.
        attempt::drop_connected(transport);
    }
}

extern "C-unwind" fn timed_out(word: Word) {
    let Some(connecting) = get(word) else { return };
    let mut pending: Vec<Address> = connecting.attempts.borrow().iter().map(|(address, _)| *address).collect();
    pending.extend(connecting.waiting.borrow().iter());
    let timeout = connecting.with_plan(|plan| plan.timeout).unwrap_or_default();
    fail(connecting, |target, refusals| connect_error::of_timeout(target, timeout, refusals, &pending));
}

/// It has failed, for what `why` makes of the target's name and what the addresses answered.
fn fail(connecting: Item<Connecting>, why: impl FnOnce(&str, &[Refusal]) -> connect_error::Failure) {
    let reactor = connecting.root();
    let refusals = connecting.refusals.take();
    let plan = finish(connecting);
    let Some((deferred, target)) = plan.as_ref().map(|plan| (plan.deferred, plan.target.clone())) else { return };
    drop_plan(reactor, plan);
    if let Ok(deferred) = handles::get::<Deferred>(deferred) {
        let failure = why(&target, &refusals).make(reactor);
        let _ = chain::errback(deferred, failure);
    }
}

/// It is over: nothing of it happens any more, and all its sockets are closed.
fn finish(connecting: Item<Connecting>) -> Option<Plan> {
    let plan = connecting.plan.take();
    stop(&connecting.next);
    stop(&connecting.deadline);
    if let Ok(look_up) = handles::get::<LookUp>(connecting.look_up.replace(Word::NULL)) {
        resolver::cancel(look_up);
    }
    let attempts = connecting.attempts.take();
    connecting.waiting.take();
    connecting.refusals.take();
    connecting.root().pools.free(connecting);
    for (_, transport) in attempts.into_iter().filter(|(_, transport)| transport.is_alive()) {
        attempt::give_up(transport);
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
    if let Some(connecting) = get(word) {
        let plan = finish(connecting);
        drop_plan(connecting.root(), plan);
    }
    if let Ok(deferred) = handles::get::<Deferred>(deferred) {
        let _ = chain::abandon(deferred);
    }
}
