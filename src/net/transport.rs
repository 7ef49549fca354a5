//! A connection: what it is, and what becomes of readiness.

use super::attempt::Done;
use super::ending;
use super::out::Out;
use super::producer::Producer;
use super::protocol::{Filter, Protocol};
use super::rate::Rates;
use super::{plain, reading, tls, writing};
use crate::driver::{Address, Driver, Ready};
use crate::handles::{Body, Item, Kind, Owned, Word};
use crate::platform::Socket;
use crate::reactor::{Reactor, ReactorItem, Served, scopes};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// What is so about a transport.
#[expect(missing_docs, reason = "what is not said here is said by the name")]
pub mod flag {
    /// Its attempt to connect has not succeeded yet.
    pub const CONNECTING: u32 = 1;
    /// `connection_made` was told.
    pub const MADE: u32 = 1 << 1;
    /// It has ended; what is left is to tell.
    pub const LOST: u32 = 1 << 2;
    /// There may be something to read.
    pub const READABLE: u32 = 1 << 3;
    /// The peer has ended, or there is an error: less than asked for does not mean that there is no more.
    pub const PEER_ENDED: u32 = 1 << 4;
    /// The host has paused reading.
    pub const PAUSED: u32 = 1 << 5;
    /// The rate limit has paused reading, or writing.
    pub const READ_LIMITED: u32 = 1 << 6;
    pub const WRITE_LIMITED: u32 = 1 << 7;
    /// Its events have no room in the queue.
    pub const HELD: u32 = 1 << 8;
    pub const READ_CLOSED: u32 = 1 << 9;
    pub const WRITE_CLOSED: u32 = 1 << 10;
    /// `lose_connection` was called: it ends when all is written.
    pub const LOSING: u32 = 1 << 11;
    /// `lose_write_connection` was called.
    pub const LOSING_WRITE: u32 = 1 << 12;
    /// It is on the list of those that were written to.
    pub const WRITTEN: u32 = 1 << 13;
    /// Its data is being handed over.
    pub const READING: u32 = 1 << 14;
    /// A Unix socket, whose messages with descriptors end a read early.
    pub const UNIX: u32 = 1 << 15;
    /// A filter is between it and its protocol.
    pub const FILTERED: u32 = 1 << 16;
    /// What is not consumed comes again.
    pub const PULL: u32 = 1 << 17;
    /// It is on the list of readiness to be reported again.
    pub const AGAIN: u32 = 1 << 18;
    /// It has limits of rate.
    pub const RATED: u32 = 1 << 19;
    /// It has a producer, or water marks of its own, or a cap.
    pub const CONTROLLED: u32 = 1 << 20;
    /// The socket was full when it was last written to: an edge says when it is not.
    pub const FULL: u32 = 1 << 21;
    /// Its listener counts it by peer.
    pub const COUNTED: u32 = 1 << 22;
    /// So much waits to be consumed that no more is read.
    pub const PULL_FULL: u32 = 1 << 23;
    /// Its protocol is told by events.
    pub const EVENTS: u32 = 1 << 24;
    /// It has written its share, and goes on in the next turn. FULL is set, too.
    pub const WRITES_AGAIN: u32 = 1 << 25;
    /// What the protocol before did not consume is to be handed over.
    pub const LEFT_OVER: u32 = 1 << 26;
    /// It is no socket of our own: see `plain`.
    pub const PLAIN: u32 = 1 << 27;
    /// What is sent is encrypted: see `tls`.
    pub const TLS: u32 = 1 << 28;
}

/// Above so many bytes that wait to be written a producer is paused, unless set.
pub const HIGH_WATER: u64 = 64 * 1024;

/// Told of the end of a connection and its reason, when all else of it is over.
pub type Ended = Box<dyn FnOnce(ReactorItem, Word)>;

/// What few connections have.
#[derive(Default)]
pub struct Extra {
    pub(super) producer: Option<Producer>,
    pub(super) high: Option<u64>,
    pub(super) low: u64,
    /// No more than this waits to be written; 0: no limit.
    pub(super) cap: u64,
    pub(super) filter: Option<Rc<dyn Filter>>,
    /// What came and was not consumed, from `pulled_at` on. Shared with the callback that looks at it.
    pub(super) pulled: Rc<Vec<u8>>,
    pub(super) pulled_at: usize,
    pub(super) rates: Option<Rates>,
    pub(super) connecting: Option<Done>,
    /// Who looks after it: not the protocol, which may be changed.
    pub(super) ended: Option<Ended>,
    pub(super) peer: Option<Address>,
    /// Descriptors that came and were not taken.
    pub(super) descriptors: Vec<Socket>,
    /// What is read and written, if it is no socket of our own.
    pub(super) side: Option<Rc<plain::Side>>,
    /// Its TLS, if it has that.
    pub(super) tls: Option<Rc<tls::Session>>,
}

/// See the module.
#[derive(Default)]
pub struct Transport {
    pub(super) socket: Cell<Socket>,
    flags: Cell<u32>,
    pub(super) scope: Cell<u32>,
    /// The idle time-out in milliseconds; 0 none.
    pub(super) idle: Cell<u32>,
    pub(super) idle_timer: Cell<Word>,
    pub(super) this: Cell<Word>,
    pub(super) listener: Cell<Word>,
    pub(super) reason: Cell<Word>,
    protocol: Cell<Option<Rc<Protocol>>>,
    pub(super) out: Cell<Option<Box<Out>>>,
    extra: Cell<Option<Box<RefCell<Extra>>>>,
}

impl Body for Transport {
    const KIND: Kind = Kind::Transport;
    type Root = Reactor;
    type Beside = ();

    fn end(transport: Item<Self>) {
        ending::end(transport);
    }
}

impl Served for Transport {
    fn ready(reactor: ReactorItem, transport: Item<Self>, ready: Ready) {
        self::ready(reactor, transport, ready);
    }

    fn finish(transport: Item<Self>) {
        ending::finish(transport);
    }

    fn close(transport: Item<Self>) {
        ending::close(transport);
    }
}

/// A transport for a socket, which it owns from here on, also when this fails.
pub(super) fn make(reactor: ReactorItem, socket: super::Fresh, scope: u32, flags: u32) -> Result<Item<Transport>> {
    let transport = reactor.pools.alloc::<Transport>()?;
    let joined = if scope == 0 { Ok(()) } else { scopes::join(reactor, scope, transport.word()) };
    joined.inspect_err(|_| reactor.pools.free(transport))?;
    transport.socket.set(socket.keep());
    transport.flags.set(flags);
    transport.scope.set(scope);
    transport.idle.set(0);
    transport.idle_timer.set(Word::NULL);
    transport.this.set(Word::NULL);
    transport.listener.set(Word::NULL);
    transport.reason.set(Word::NULL);
    Ok(transport)
}

impl Transport {
    #[inline]
    pub(super) fn has(&self, flag: u32) -> bool {
        self.flags.get() & flag != 0
    }

    #[inline]
    pub(super) fn set(&self, flag: u32) {
        self.flags.set(self.flags.get() | flag);
    }

    #[inline]
    pub(super) fn clear(&self, flag: u32) {
        self.flags.set(self.flags.get() & !flag);
    }

    /// Reads something from its protocol; None: it has none any more.
    #[inline]
    pub(super) fn with_protocol<R>(&self, read: impl FnOnce(&Protocol) -> R) -> Option<R> {
        let protocol = self.protocol.take()?;
        let read = read(&protocol);
        self.protocol.set(Some(protocol));
        Some(read)
    }

    pub(super) fn swap_protocol(&self, protocol: Option<Rc<Protocol>>) -> Option<Rc<Protocol>> {
        self.protocol.replace(protocol)
    }

    /// Reads what few have; None for the others. Nothing that it calls may come back here.
    pub(super) fn with_extra<R>(&self, read: impl FnOnce(&mut Extra) -> R) -> Option<R> {
        let extra = self.extra.take()?;
        let result = read(&mut extra.borrow_mut());
        self.extra.set(Some(extra));
        Some(result)
    }

    /// The same, made if it is not there yet.
    pub(super) fn with_new_extra<R>(&self, change: impl FnOnce(&mut Extra) -> R) -> Result<R> {
        if let Some(extra) = self.extra.take() {
            self.extra.set(Some(extra));
        } else {
            crate::handles::check_memory(size_of::<RefCell<Extra>>())?;
            self.extra.set(Some(Box::default()));
        }
        self.with_extra(change).ok_or(Status::ERR_NO_MEMORY)
    }

    pub(super) fn take_extra(&self) -> Option<Extra> {
        self.extra.take().map(|extra| extra.into_inner())
    }

    /// What its callbacks get as self.
    pub fn this(&self) -> Word {
        self.this.get()
    }

    /// The scope that it is in; 0: none.
    pub fn scope(&self) -> u32 {
        self.scope.get()
    }

    /// The handle of the listener that it came from; may be stale; null of a client.
    pub fn listener(&self) -> Word {
        self.listener.get()
    }
}

impl Item<Transport> {
    /// Calls the driver with its socket.
    #[inline]
    pub(super) fn with_socket<R>(self, call: impl FnOnce(&dyn Driver, Socket) -> R) -> R {
        if self.has(flag::PLAIN | flag::TLS) {
            return self.with_other_socket(call);
        }
        let socket = self.socket.get();
        self.root_body().with_driver(|driver| call(driver, socket))
    }

    #[inline(never)]
    fn with_other_socket<R>(self, call: impl FnOnce(&dyn Driver, Socket) -> R) -> R {
        if self.has(flag::TLS) { tls::with(self, call) } else { plain::with(self, call) }
    }

    /// Refuses what is over or still connecting.
    pub fn check_open(self) -> Result {
        if self.has(flag::LOST) {
            return Err(Status::ERR_CLOSED.because("the connection is over"));
        }
        Ok(())
    }
}

/// The driver says that a transport is ready.
pub(super) fn ready(reactor: ReactorItem, transport: Item<Transport>, ready: Ready) {
    if transport.has(flag::LOST) {
        return;
    }
    if transport.has(flag::CONNECTING) {
        return super::attempt::progress(transport, ready);
    }
    if ready.ended {
        transport.set(flag::PEER_ENDED);
        if transport.has(flag::READ_CLOSED | flag::LOSING) {
            writing::probe(transport);
            if transport.has(flag::LOST) {
                return;
            }
        }
    }
    let network = super::of(reactor);
    let outer = network.current.replace(transport.word());
    let is_again = ready.readiness.is_empty();
    let writes_again = transport.has(flag::WRITES_AGAIN);
    if is_again {
        transport.clear(flag::AGAIN | flag::WRITES_AGAIN);
    }
    if transport.has(flag::FULL) && if writes_again { is_again } else { ready.readiness.writable } {
        transport.clear(flag::FULL);
        writing::flush(transport);
    }
    if ready.readiness.readable {
        transport.set(flag::READABLE);
        transport.clear(flag::HELD);
    }
    // One that is on the list reads when its turn comes, once a turn.
    if is_again || (ready.readiness.readable && !transport.has(flag::AGAIN)) {
        reading::read(reactor, network, transport);
    }
    network.current.set(outer);
    if transport.has(flag::WRITTEN) {
        writing::flush_written(transport);
    }
}

/// Gives a transport another protocol and self; the old self is freed as the old protocol wants it.
pub fn set_protocol(transport: Item<Transport>, protocol: Rc<Protocol>, this: Owned) -> Result {
    transport.check_open()?;
    if transport.whole().is_some_and(|whole| !whole.may_go()) {
        return Err(Status::ERR_INVALID_STATE.because("the connection has a protocol of the library's own"));
    }
    if protocol.pull {
        transport.with_new_extra(|_| ())?;
    }
    let old = replace_protocol(transport, protocol, this);
    // What waited for the old protocol's appetite comes to the new one.
    reading::renew(transport);
    let reactor = transport.root();
    reactor.in_scope(transport.scope.get(), || drop(old));
    Ok(())
}

/// The same without further ado; returns the old self.
pub fn replace_protocol(transport: Item<Transport>, protocol: Rc<Protocol>, this: Owned) -> Owned {
    if protocol.pull {
        transport.set(flag::PULL);
    } else {
        transport.clear(flag::PULL);
    }
    if protocol.events.is_some() {
        transport.set(flag::EVENTS);
    } else {
        transport.clear(flag::EVENTS);
    }
    // The transport owns self by way of the protocol, which says how it is freed.
    let (word, _) = this.into_parts();
    let before = transport.this.replace(word);
    let old = transport.swap_protocol(Some(protocol));
    old.map_or_else(Owned::default, |old| old.own(before))
}
