//! Listeners: they make transports of what connects.

use super::endpoint::Options;
use super::hand_over::{Dealer, Room};
use super::protocol::Protocol;
use super::tls::{self, handshake::Role};
use super::transport::{self, Transport, flag};
use super::unix_path::BoundPath;
use super::{Fresh, attempt, error, reading, would_block};
use crate::deferred::{Deferred, DeferredItem, chain, failure};
use crate::driver::sockets::{Carries, SocketOption};
use crate::driver::{Address, Driver, Readiness, Ready};
use crate::handles::{self, Body, BuildFn, Item, Kind, LostFn, Owned, Word};
use crate::platform::{self, Socket, SystemError};
use crate::reactor::timers::{self, DelayedCall};
use crate::reactor::{Reactor, ReactorItem, Served, hooks, scopes};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

/// Connections accepted in one go before it is others' turn.
const BATCH: u32 = 64;
/// Without descriptors, it is tried again after so many nanoseconds.
const RETRY: u64 = 50_000_000;

/// Of a listener that has none.
const NO_SOCKET: Socket = -1_i32 as Socket;

/// Stands for a peer without an IP address.
const NOBODY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

/// How a listener is made.
#[derive(Clone, Copy)]
pub struct How<'a> {
    /// Connections that wait at most.
    pub backlog: i32,
    /// Several may listen at one address, and share what connects.
    pub reuse_port: bool,
    /// Of an IPv6 address: no IPv4.
    pub only_v6: bool,
    /// What else the endpoint says.
    pub options: &'a Options,
}

/// What makes the self of a new connection's protocol.
#[derive(Default)]
pub struct Build {
    /// None: all have what their protocol shares.
    pub function: Option<BuildFn>,
    /// What it gets.
    pub data: Owned,
}

/// Told of handshakes that have failed.
pub struct Teller(pub LostFn, pub Owned);

/// See the module.
#[derive(Default)]
pub struct Listener {
    socket: Cell<Socket>,
    open: Cell<bool>,
    scope: Cell<u32>,
    protocol: RefCell<Option<Rc<Protocol>>>,
    build: RefCell<Build>,
    stopping: Cell<Word>,
    address: Cell<Address>,
    path: RefCell<Option<BoundPath>>,
    connections: Cell<u32>,
    most: Cell<u32>,
    most_by_peer: Cell<u32>,
    by_peer: RefCell<HashMap<IpAddr, u32>>,
    paused: Cell<bool>,
    /// There may be a connection that waits.
    readable: Cell<bool>,
    /// It is on the list of readiness to be reported again.
    again: Cell<bool>,
    /// Descriptors had run out, and this timer is set.
    short: Cell<Word>,
    /// A descriptor for when they have: who comes then is taken and closed, instead of waiting.
    spare: RefCell<Option<std::fs::File>>,
    /// It was said that they had.
    said: Cell<bool>,
    no_delay: Cell<bool>,
    /// What its connections have, from the first byte on.
    tls: RefCell<Option<Arc<tls::Server>>>,
    /// What is offered by ALPN where its TLS says nothing of that.
    offers: Cell<&'static [&'static [u8]]>,
    /// Told of those who do not get through their handshake.
    teller: RefCell<Option<Rc<Teller>>>,
    /// Hands connections on to other reactors.
    dealer: RefCell<Option<Dealer>>,
    /// Another reactor hands it what it has accepted.
    room: RefCell<Option<Arc<Room>>>,
}

impl Body for Listener {
    const KIND: Kind = Kind::Listener;
    const SLOTS: u32 = 8;
    type Root = Reactor;
    type Beside = ();

    fn end(listener: Item<Self>) {
        close(listener);
        finish(listener);
    }
}

impl Served for Listener {
    fn ready(reactor: ReactorItem, listener: Item<Self>, ready: Ready) {
        self::ready(reactor, listener, ready);
    }

    fn finish(listener: Item<Self>) {
        self::finish(listener);
    }

    fn close(listener: Item<Self>) {
        self::close(listener);
    }
}

/// Listens at an address.
pub fn listen(
    reactor: ReactorItem,
    address: &Address,
    how: How<'_>,
    protocol: Rc<Protocol>,
    build: Build,
) -> Result<Item<Listener>> {
    super::open(reactor)?;
    let what = || format!("listening at {address}");
    let mut path = None;
    let fresh = bound(reactor, address, how, &mut path).map_err(|why| match why {
        Trouble::System(why) => error::refused(what(), &why),
        Trouble::Said(status) => status,
    })?;
    let listening = fresh.with(|driver, socket| driver.listen(socket, how.backlog));
    listening.map_err(|why| error::refused(what(), &why))?;
    let listener = adopt(reactor, fresh, protocol, build)?;
    listener.no_delay.set(how.options.no_delay && address.ip().is_some());
    *listener.path.borrow_mut() = path;
    Ok(listener)
}

enum Trouble {
    System(io::Error),
    Said(Status),
}

impl From<io::Error> for Trouble {
    fn from(why: io::Error) -> Self {
        Trouble::System(why)
    }
}

fn bound(
    reactor: ReactorItem,
    address: &Address,
    how: How<'_>,
    path: &mut Option<BoundPath>,
) -> std::result::Result<Fresh, Trouble> {
    let open = || reactor.with_driver(|driver| driver.open(address.family(), Carries::Stream));
    let fresh = Fresh::new(reactor, open()?);
    if let Address::Unix(unix) = address {
        fresh.with(|driver, socket| set_inherited(driver, socket, how.options, false))?;
        *path = BoundPath::bind(&fresh, unix, how.options.mode).map_err(Trouble::Said)?;
        return Ok(fresh);
    }
    fresh.with(|driver, socket| {
        driver.set(socket, SocketOption::ReuseAddress)?;
        if how.reuse_port {
            driver.set(socket, SocketOption::ReusePort)?;
        }
        if matches!(address, Address::Ip(std::net::SocketAddr::V6(_))) {
            driver.set(socket, SocketOption::OnlyV6(how.only_v6))?;
        }
        set_inherited(driver, socket, how.options, true)?;
        driver.bind(socket, address)
    })?;
    Ok(fresh)
}

/// What is accepted inherits it, which saves a call for each connection.
fn set_inherited(driver: &dyn Driver, socket: Socket, options: &Options, is_ip: bool) -> io::Result<()> {
    options.of_stream(is_ip).try_for_each(|option| driver.set(socket, option))
}

/// Accepts at a socket that listens already.
pub(super) fn adopt(
    reactor: ReactorItem,
    fresh: Fresh,
    protocol: Rc<Protocol>,
    build: Build,
) -> Result<Item<Listener>> {
    let address = fresh.with(|driver, socket| driver.local_address(socket));
    let address = address.map_err(|why| error::refused("asking for the listener's address", &why))?;
    make(reactor, Some(fresh), address, protocol, build)
}

/// A listener at this socket; without one, it has what is accepted elsewhere handed to it.
pub(super) fn make(
    reactor: ReactorItem,
    fresh: Option<Fresh>,
    address: Address,
    protocol: Rc<Protocol>,
    build: Build,
) -> Result<Item<Listener>> {
    let listener = reactor.pools.alloc::<Listener>()?;
    let scope = reactor.scope.get();
    let joined = if scope == 0 { Ok(()) } else { scopes::join(reactor, scope, listener.word()) };
    let readable = Readiness { readable: true, writable: false };
    let watch = |fresh: &Fresh| fresh.with(|driver, socket| driver.watch(socket, listener.word(), readable));
    let watched = joined.and_then(|()| fresh.as_ref().map_or(Ok(()), watch));
    watched.inspect_err(|_| reactor.pools.free(listener))?;
    listener.socket.set(fresh.map_or(NO_SOCKET, Fresh::keep));
    listener.open.set(true);
    listener.scope.set(scope);
    *listener.protocol.borrow_mut() = Some(protocol);
    *listener.build.borrow_mut() = build;
    listener.stopping.set(Word::NULL);
    listener.address.set(address);
    listener.connections.set(0);
    listener.most.set(0);
    listener.most_by_peer.set(0);
    listener.paused.set(false);
    listener.readable.set(false);
    listener.again.set(false);
    listener.short.set(Word::NULL);
    listener.said.set(false);
    listener.spare.take();
    listener.tls.take();
    listener.offers.take();
    listener.teller.take();
    listener.dealer.take();
    listener.room.take();
    Ok(listener)
}

/// Whether the system has this family.
pub(super) fn has_family(reactor: ReactorItem, family: crate::driver::Family) -> bool {
    let opened = reactor.with_driver(|driver| driver.open(family, Carries::Stream));
    opened.map(|socket| drop(Fresh::new(reactor, socket))).is_ok()
}

/// Something waits to be accepted.
pub(super) fn ready(reactor: ReactorItem, listener: Item<Listener>, ready: Ready) {
    if ready.readiness.is_empty() {
        listener.again.set(false);
    } else {
        listener.readable.set(true);
        if listener.again.get() {
            // It is on the list: once a turn.
            return;
        }
    }
    let mut batch = BATCH;
    while listener.open.get() && listener.readable.get() && !listener.paused.get() && !is_full(listener) {
        if batch == 0 {
            return again(listener);
        }
        batch -= 1;
        match reactor.with_driver(|driver| driver.accept(listener.socket.get())) {
            Ok(socket) => {
                if let Some(own) = deal(listener, Fresh::new(reactor, socket)) {
                    accepted(reactor, listener, own);
                }
            }
            Err(why) if would_block(&why) => listener.readable.set(false),
            Err(why) => failed(reactor, listener, &why),
        }
    }
}

/// None: it was handed on.
fn deal(listener: Item<Listener>, fresh: Fresh) -> Option<Fresh> {
    match &*listener.dealer.borrow() {
        Some(dealer) => dealer.deal(fresh),
        None => Some(fresh),
    }
}

/// Whether nobody could take one more: it, or whom it hands on to.
fn is_full(listener: Item<Listener>) -> bool {
    let full = listener.most.get() != 0 && listener.connections.get() >= listener.most.get();
    match &*listener.dealer.borrow() {
        Some(dealer) => !dealer.has_room(!full),
        None => full,
    }
}

/// Those that wait are not left alone: they are looked at in the next turn, by a readiness for nothing.
fn again(listener: Item<Listener>) {
    if !listener.again.replace(true) {
        let ready = Ready { key: listener.word(), readiness: Readiness::default(), ended: false };
        listener.root().ready_again(ready);
    }
}

fn resume_if_possible(listener: Item<Listener>) {
    if listener.open.get() && listener.readable.get() && !listener.paused.get() && !is_full(listener) {
        again(listener);
    }
}

/// A connection that was gone before it was accepted, and the like, is not the end of the batch. Without descriptors
/// nobody is turned away: they wait until there are some, which a timer looks after.
fn failed(reactor: ReactorItem, listener: Item<Listener>, why: &io::Error) {
    let status = error::status_of(why);
    if !matches!(status, Status::ERR_TOO_MANY_DESCRIPTORS | Status::ERR_NO_MEMORY) {
        // A listener whose socket is no good any more would fail for ever.
        if is_hopeless(why) {
            listener.readable.set(false);
            hooks::log(reactor, hooks::ERROR, format!("accepting at {}: {why}", listener.address.get()));
        }
        return;
    }
    if status == Status::ERR_TOO_MANY_DESCRIPTORS && turn_away(reactor, listener) {
        return;
    }
    listener.readable.set(false);
    if !listener.short.get().is_null() {
        return;
    }
    if !listener.said.replace(true) {
        hooks::log(reactor, hooks::WARNING, format!("accepting at {}: {why}; waiting", listener.address.get()));
    }
    // What the host did when it was told.
    if !listener.open.get() {
        return;
    }
    let deadline = reactor.read_clock().saturating_add(RETRY);
    match timers::call_at(reactor, deadline, try_again, listener.word()) {
        Ok(timer) => listener.short.set(timer.word()),
        Err(_) => again(listener),
    }
}

/// Takes and closes one that waits, in place of the spare descriptor. False: there is none, or others were quicker.
fn turn_away(reactor: ReactorItem, listener: Item<Listener>) -> bool {
    let Some(spare) = listener.spare.take() else { return false };
    drop(spare);
    let socket = reactor.with_driver(|driver| driver.accept(listener.socket.get()));
    let taken = socket.map(|socket| drop(Fresh::new(reactor, socket)));
    *listener.spare.borrow_mut() = platform::spare().ok();
    if taken.is_ok() && !listener.said.replace(true) {
        let words = format!("accepting at {}: no descriptors are left; turning away", listener.address.get());
        hooks::log(reactor, hooks::WARNING, words);
    }
    match taken {
        Ok(()) => true,
        Err(why) if would_block(&why) => {
            listener.readable.set(false);
            true
        }
        Err(_) => false,
    }
}

fn is_hopeless(why: &io::Error) -> bool {
    why.kind() == io::ErrorKind::InvalidInput || platform::system_error(why) == Some(SystemError::Unusable)
}

/// One that it hands on to has room again.
pub(super) fn go_on(listener: Word) {
    if let Ok(listener) = handles::get::<Listener>(listener) {
        resume_if_possible(listener);
    }
}

extern "C-unwind" fn try_again(word: Word) {
    if let Ok(listener) = handles::get::<Listener>(word) {
        listener.short.set(Word::NULL);
        listener.readable.set(true);
        resume_if_possible(listener);
    }
}

/// One more has connected.
pub(super) fn accepted(reactor: ReactorItem, listener: Item<Listener>, socket: Fresh) {
    listener.said.set(false);
    let unix = matches!(listener.address.get(), Address::Unix(_));
    let peer = if unix || listener.most_by_peer.get() == 0 { None } else { peer_of(&socket) };
    if peer.is_some_and(|peer| has_too_many(listener, peer)) {
        return;
    }
    let flags = if unix { flag::UNIX } else { 0 };
    let scope = listener.scope.get();
    let Ok(transport) = transport::make(reactor, socket, scope, flags) else {
        return hooks::log(reactor, hooks::ERROR, "no memory for a connection that was accepted".to_owned());
    };
    transport.listener.set(listener.word());
    listener.connections.set(listener.connections.get() + 1);
    listener.with_room(Room::take);
    if let Some(peer) = peer {
        // Kept, since a connection that was reset has no address any more.
        if transport.with_new_extra(|extra| extra.peer = Some(peer)).is_ok() {
            *listener.by_peer.borrow_mut().entry(peer.ip().map_or(NOBODY, |peer| peer.ip())).or_insert(0) += 1;
            transport.set(flag::COUNTED);
        }
    }
    let tls = listener.tls.borrow().clone();
    match tls {
        Some(server) => shake_hands(reactor, listener, transport, server),
        None => serve(reactor, listener, transport, reading::watch),
    }
}

/// Has the connection begin with TLS. Of who does not get through the teller hears, or else the log.
fn shake_hands(reactor: ReactorItem, listener: Item<Listener>, transport: Item<Transport>, server: Arc<tls::Server>) {
    let word = listener.word();
    let done: attempt::Done = Box::new(move |reactor, outcome| match (outcome, handles::get::<Listener>(word)) {
        (Ok(transport), Ok(listener)) => serve(reactor, listener, transport, |_| Ok(())),
        (Ok(transport), Err(_)) => super::ending::lost(transport, Status::ERR_CONNECTION_REFUSED),
        (Err(attempt::Failed::Ended(reason)), listener) => refused(reactor, listener.ok(), reason),
        (Err(attempt::Failed::System(_)), _) => {}
    });
    let begun = tls::handshake::begin(transport, Role::Server(server), Vec::new(), done);
    if begun.and_then(|()| reading::watch(transport)).is_err() {
        super::ending::lost(transport, Status::ERR_NO_MEMORY);
        hooks::log(reactor, hooks::ERROR, "no memory for a connection that was accepted".to_owned());
    }
}

fn refused(reactor: ReactorItem, listener: Option<Item<Listener>>, reason: Word) {
    let teller = listener.and_then(|listener| Some((listener, listener.teller.borrow().clone()?)));
    if let Some((listener, teller)) = teller {
        let _out = reactor.call_out();
        let Teller(function, data) = &*teller;
        reactor.in_scope(listener.scope.get(), || function(listener.word(), reason, data.word()));
        return drop_teller(listener.scope.get(), reactor, Some(teller));
    }
    if let Ok(reason) = handles::get::<failure::Failure>(reason) {
        hooks::log(reactor, hooks::INFO, reason.describe());
    }
}

/// The last of them frees its user data.
fn drop_teller(scope: u32, reactor: ReactorItem, teller: Option<Rc<Teller>>) {
    let _out = reactor.call_out();
    reactor.in_scope(scope, || drop(teller));
}

/// Tells of handshakes that have failed; None: nobody.
pub fn set_teller(listener: Item<Listener>, teller: Option<Teller>) -> Result {
    check_open(listener)?;
    let before = listener.teller.replace(teller.map(Rc::new));
    drop_teller(listener.scope.get(), listener.root(), before);
    Ok(())
}

/// Gives a connection its protocol and self, or refuses it.
fn serve(
    reactor: ReactorItem,
    listener: Item<Listener>,
    transport: Item<Transport>,
    watch: impl FnOnce(Item<Transport>) -> Result,
) {
    let built = build(reactor, listener, transport);
    if built.is_some() && !transport.has(flag::LOST) && watch(transport).is_ok() {
        let (protocol, this) = built.unwrap_or_default();
        return attempt::establish(transport, protocol, this);
    }
    super::ending::lost(transport, Status::ERR_CONNECTION_REFUSED);
    reactor.in_scope(transport.scope.get(), || drop(built));
}

fn peer_of(socket: &Fresh) -> Option<Address> {
    socket.with(|driver, socket| driver.peer_address(socket)).ok()
}

fn has_too_many(listener: Item<Listener>, peer: Address) -> bool {
    let most = listener.most_by_peer.get();
    let count = peer.ip().and_then(|peer| listener.by_peer.borrow().get(&peer.ip()).copied());
    count.is_some_and(|count| count >= most)
}

/// Asks for the protocol's self. None: the connection is refused.
fn build(reactor: ReactorItem, listener: Item<Listener>, transport: Item<Transport>) -> Option<(Rc<Protocol>, Owned)> {
    let protocol = listener.protocol.borrow().clone()?;
    let (function, data) = {
        let build = listener.build.borrow();
        (build.function, build.data.word())
    };
    let this = make_self(reactor, &protocol, (function, data), (listener.word(), transport))?;
    Some((protocol, this))
}

/// The self of a new connection; `listener` is null for one that was made from here. None: it is refused.
pub(super) fn make_self(
    reactor: ReactorItem,
    protocol: &Protocol,
    (function, data): (Option<BuildFn>, Word),
    (listener, transport): (Word, Item<Transport>),
) -> Option<Owned> {
    let Some(function) = function else { return Some(protocol.own(protocol.shared.word())) };
    let mut this = Word::NULL;
    let _out = reactor.call_out();
    let scope = transport.scope.get();
    let status = reactor.in_scope(scope, || function(listener, transport.word(), &mut this, data));
    (status == Status::OK.0).then(|| protocol.own(this))
}

/// A connection ends: its peer may have another.
pub(super) fn forget_peer(transport: Item<Transport>) {
    if !transport.has(flag::COUNTED) {
        return;
    }
    transport.clear(flag::COUNTED);
    let Ok(listener) = handles::get::<Listener>(transport.listener.get()) else { return };
    let peer = transport.with_extra(|extra| extra.peer).flatten().and_then(|peer| peer.ip());
    let peer = peer.map_or(NOBODY, |peer| peer.ip());
    let mut by_peer = listener.by_peer.borrow_mut();
    if let Some(count) = by_peer.get_mut(&peer) {
        *count -= 1;
        if *count == 0 {
            by_peer.remove(&peer);
        }
    }
}

/// A connection is over: there is room for another.
pub(super) fn connection_over(transport: Item<Transport>) {
    if let Ok(listener) = handles::get::<Listener>(transport.listener.get()) {
        listener.connections.set(listener.connections.get().saturating_sub(1));
        listener.with_room(Room::give_back);
        resume_if_possible(listener);
    }
}

/// Listens no more; its connections live on. The Deferred fires once the socket is closed, never from inside this call.
pub fn stop(listener: Item<Listener>) -> Result<DeferredItem> {
    if !listener.open.get() {
        return Err(Status::ERR_CLOSED.because("the listener was stopped already"));
    }
    let deferred: Item<Deferred> = chain::new_inside(listener.root(), stops_anyway, Word::NULL)?;
    listener.stopping.set(deferred.word());
    close(listener);
    listener.root().note_ended(listener.word());
    Ok(deferred)
}

extern "C-unwind" fn stops_anyway(_: Word, _: Word) {}

pub(super) fn close(listener: Item<Listener>) {
    if listener.open.replace(false) {
        listener.with_room(|room| room.set_shut(true));
        if let Ok(timer) = handles::get::<DelayedCall>(listener.short.replace(Word::NULL)) {
            let _ = timers::cancel(timer);
        }
        listener.spare.take();
        let socket = listener.socket.replace(NO_SOCKET);
        if socket != NO_SOCKET {
            listener.root_body().with_driver(|driver| driver.close(socket));
        }
        if let Some(path) = listener.path.take() {
            path.unlink();
        }
    }
}

/// Tells of the end of a stopped listener.
pub(super) fn finish(listener: Item<Listener>) {
    let reactor = listener.root();
    let _out = reactor.call_out();
    let scope = listener.scope.get();
    let stopping = handles::get::<Deferred>(listener.stopping.replace(Word::NULL));
    let owned = (listener.build.take(), listener.protocol.take(), listener.teller.take());
    listener.by_peer.take();
    listener.room.take();
    listener.tls.take();
    reactor.pools.free(listener);
    if let Ok(deferred) = stopping {
        let _ = chain::callback(deferred, Owned::default());
    }
    reactor.in_scope(scope, || drop(owned));
}

impl Listener {
    /// Where it listens.
    pub fn address(&self) -> Address {
        self.address.get()
    }

    /// As the endpoint string that leads there.
    pub fn endpoint(&self) -> Vec<u8> {
        let endpoint = self.address().endpoint(false);
        match endpoint.strip_prefix(b"tcp://") {
            Some(place) if self.tls.borrow().is_some() => [b"tls://", place].concat(),
            _ => endpoint,
        }
    }

    /// Has those who connect from here on begin with TLS, or not.
    pub(super) fn use_tls(&self, tls: Option<Arc<tls::Server>>) {
        *self.tls.borrow_mut() = tls.map(|tls| tls.offering(self.offers.get()));
    }

    /// Offers these protocols by ALPN from here on, where its TLS, as it is and as it will be set, offers none itself.
    pub fn offer(&self, protocols: &'static [&'static [u8]]) {
        self.offers.set(protocols);
        let tls = self.tls.take();
        self.use_tls(tls);
    }

    /// Has what it accepts dealt out from here on.
    pub(super) fn hand_on_by(&self, dealer: Dealer) {
        *self.dealer.borrow_mut() = Some(dealer);
    }

    /// Has what another accepts handed to it, as long as there is room.
    pub(super) fn is_handed_by(&self, room: Arc<Room>) {
        *self.room.borrow_mut() = Some(room);
    }

    fn with_room(&self, call: impl FnOnce(&Room)) {
        if let Some(room) = &*self.room.borrow() {
            call(room);
        }
    }

    /// How many connections of it there are.
    pub fn connections(&self) -> u32 {
        self.connections.get()
    }
}

pub(super) fn check_open(listener: Item<Listener>) -> Result {
    if listener.open.get() { Ok(()) } else { Err(Status::ERR_CLOSED.because("the listener was stopped")) }
}

/// Has those who connect from here on begin with this TLS.
pub fn set_tls(listener: Item<Listener>, tls: Arc<tls::Server>) -> Result {
    check_open(listener)?;
    listener.use_tls(Some(tls));
    Ok(())
}

/// Its socket, for what there is no call for.
pub fn descriptor(listener: Item<Listener>) -> Result<Socket> {
    check_open(listener)?;
    if listener.root().is_simulated() {
        return Err(Status::ERR_NOT_SUPPORTED.because("a simulated reactor has no descriptors of the system"));
    }
    Ok(listener.socket.get())
}

/// Accepts no more until resumed; who connects waits in the backlog.
pub fn pause(listener: Item<Listener>) -> Result {
    check_open(listener)?;
    listener.paused.set(true);
    listener.with_room(|room| room.set_shut(true));
    Ok(())
}

/// Accepts again.
pub fn resume(listener: Item<Listener>) -> Result {
    check_open(listener)?;
    listener.paused.set(false);
    listener.with_room(|room| room.set_shut(false));
    resume_if_possible(listener);
    Ok(())
}

/// Whether who comes when no descriptors are left is turned away at once.
pub fn set_turns_away(listener: Item<Listener>, on: bool) -> Result {
    check_open(listener)?;
    let spare = if on {
        let spare = platform::spare();
        Some(spare.map_err(|why| error::refused("keeping a spare descriptor", &why))?)
    } else {
        None
    };
    listener.spare.replace(spare);
    Ok(())
}

/// At most so many connections in all; 0: no limit. Who comes then waits in the backlog.
pub fn set_most(listener: Item<Listener>, most: u32) -> Result {
    check_open(listener)?;
    listener.most.set(most);
    listener.with_room(|room| room.set_most(most));
    resume_if_possible(listener);
    Ok(())
}

/// At most so many connections from one IP address; 0: no limit. One more is closed as soon as it is accepted.
pub fn set_most_by_peer(listener: Item<Listener>, most: u32) -> Result {
    check_open(listener)?;
    listener.most_by_peer.set(most);
    Ok(())
}
