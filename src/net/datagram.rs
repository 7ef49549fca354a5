//! Datagram ports: a socket of datagrams, and whom it tells. `datagram_open` makes them, `datagram_reading` and
//! `datagram_writing` are what happens to them, `multicast` the groups that they are in.

use super::datagram_writing::Waiting;
use super::unix_path::BoundPath;
use super::{Fresh, datagram_reading as reading, datagram_writing as writing, error};
use crate::deferred::{Deferred, DeferredItem, chain, failure};
use crate::driver::sockets::SocketOption;
use crate::driver::{Address, Driver, Family, Readiness, Ready};
use crate::handles::{self, Body, Item, Kind, Owned, Word};
use crate::platform::Socket;
use crate::reactor::timers::{self, DelayedCall};
use crate::reactor::{Reactor, ReactorItem, Served, hooks, scopes};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

/// What is so about a port.
pub(super) mod flag {
    pub const STARTED: u32 = 1;
    /// It has ended; what is left is to tell.
    pub const STOPPED: u32 = 1 << 1;
    /// There may be something to receive.
    pub const READABLE: u32 = 1 << 2;
    /// The host has paused reading.
    pub const PAUSED: u32 = 1 << 3;
    /// Its events have no room in the queue.
    pub const HELD: u32 = 1 << 4;
    /// Its datagrams are being handed over.
    pub const READING: u32 = 1 << 5;
    /// It is on the list of readiness to be reported again.
    pub const AGAIN: u32 = 1 << 6;
    /// The socket was full; an edge or the timer says when it is not.
    pub const FULL: u32 = 1 << 7;
    /// The driver reports room to send.
    pub const WATCHES_ROOM: u32 = 1 << 8;
    /// Somebody was told that the buffer is full, and waits to hear that it is empty.
    pub const WANTS_ROOM: u32 = 1 << 9;
    /// A send has found that an earlier datagram was refused, which is still to be told.
    pub const REFUSED: u32 = 1 << 10;
    /// There was no memory to receive with; the timer looks after it.
    pub const SHORT: u32 = 1 << 11;
    /// An IPv6 socket, which has IPv4 addresses inside of its own.
    pub const V6: u32 = 1 << 12;
    pub const UNIX: u32 = 1 << 13;
    /// Datagrams come several in one.
    pub const SEGMENTS: u32 = 1 << 14;
    pub const CONNECTED: u32 = 1 << 15;
}

/// So much waits to be sent at most, unless set.
pub const BUFFER: u64 = 1024 * 1024;

/// Received datagrams, as they lie in the buffer.
pub use reading::Batch;

/// What a port's owner wants to be told; the layer above knows how. Nothing is borrowed while it is told.
pub trait Protocol {
    /// A self that is freed as its owner wants it.
    fn own(&self, this: Word) -> Owned;
    /// What is received goes into the queue of events.
    fn queues_events(&self) -> bool;
    /// Datagrams that came together are wanted together.
    fn takes_batches(&self) -> bool;
    /// The port is open.
    fn started(&self, port: Item<DatagramPort>);
    /// A datagram came.
    fn received(&self, port: Item<DatagramPort>, data: &[u8], peer: &Address);
    /// Several came.
    fn batch_received(&self, port: Item<DatagramPort>, batch: &Batch);
    /// Something went wrong, and the port lives on. False: its owner does not want to know.
    fn failed(&self, port: Item<DatagramPort>, reason: Word, peer: Option<&Address>) -> bool;
    /// All that had to wait is sent, after there was no room for more.
    fn drained(&self, port: Item<DatagramPort>);
    /// The port is closed.
    fn stopped(&self, port: Item<DatagramPort>, reason: Word);
}

/// See the module.
#[derive(Default)]
pub struct DatagramPort {
    socket: Cell<Socket>,
    flags: Cell<u32>,
    scope: Cell<u32>,
    this: Cell<Word>,
    reason: Cell<Word>,
    stopping: Cell<Word>,
    timer: Cell<Word>,
    /// Its own, as it was last seen.
    address: Cell<Address>,
    /// Whom it is connected to.
    pub(super) peer: Cell<Option<Address>>,
    /// So much waits to be sent at most.
    pub(super) most: Cell<u64>,
    pub(super) waiting: RefCell<Waiting>,
    pub(super) kept: RefCell<reading::Kept>,
    protocol: RefCell<Option<Rc<dyn Protocol>>>,
    path: RefCell<Option<BoundPath>>,
}

impl Body for DatagramPort {
    const KIND: Kind = Kind::DatagramPort;
    const SLOTS: u32 = 16;
    type Root = Reactor;
    type Beside = ();

    fn end(port: Item<Self>) {
        if !port.has(flag::STOPPED) {
            let why = format_args!("{}: its reactor or its scope has ended", port.name());
            end_with(port, error::failure(port.root(), Status::ERR_CLOSED, why, None));
        }
        finish(port);
    }
}

impl Served for DatagramPort {
    fn ready(reactor: ReactorItem, port: Item<Self>, ready: Ready) {
        self::ready(reactor, port, ready);
    }

    fn finish(port: Item<Self>) {
        self::finish(port);
    }

    fn close(port: Item<Self>) {
        self::close(port);
    }
}

impl DatagramPort {
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

    /// What its callbacks get as self.
    pub fn this(&self) -> Word {
        self.this.get()
    }

    pub(super) fn set_path(&self, path: Option<BoundPath>) {
        *self.path.borrow_mut() = path;
    }

    pub(super) fn scope(&self) -> u32 {
        self.scope.get()
    }

    /// How messages name it.
    pub(super) fn name(&self) -> String {
        format!("datagram port {}", self.address.get())
    }

    pub(super) fn protocol(&self) -> Option<Rc<dyn Protocol>> {
        self.protocol.borrow().clone()
    }

    /// Refuses a port that was stopped.
    pub fn check_open(&self) -> Result {
        if self.has(flag::STOPPED) { Err(Status::ERR_CLOSED.because("the port was stopped")) } else { Ok(()) }
    }
}

impl Item<DatagramPort> {
    #[inline]
    pub(super) fn with_socket<R>(self, call: impl FnOnce(&dyn Driver, Socket) -> R) -> R {
        let socket = self.socket.get();
        self.root_body().with_driver(|driver| call(driver, socket))
    }

    /// Tells the owner, unless that is over.
    pub(super) fn tell(self, call: impl FnOnce(&dyn Protocol)) {
        if let Some(protocol) = self.protocol() {
            let reactor = self.root();
            let _out = reactor.call_out();
            reactor.in_scope(self.scope.get(), || call(&*protocol));
        }
    }

    /// Tells that something went wrong: by the log, where the owner does not want to know.
    #[cold]
    pub(super) fn tell_failed(self, status: Status, what: &str, why: Option<&io::Error>, peer: Option<&Address>) {
        let reactor = self.root();
        let what = format!("{}: {what}", self.name());
        let reason = failure::owned(error::failure(reactor, status, &what, why));
        let mut told = false;
        self.tell(|protocol| told = protocol.failed(self, reason.word(), peer));
        if !told && self.is_alive() {
            let why = why.map_or_else(|| status.text().to_string_lossy().into_owned(), ToString::to_string);
            hooks::log(reactor, hooks::WARNING, format!("{what}: {why}"));
        }
    }
}

/// Makes a port of a socket, which is its own when this succeeds.
pub(super) fn open(fresh: Fresh, protocol: Rc<dyn Protocol>, this: Owned) -> Result<Item<DatagramPort>> {
    let reactor = fresh.reactor;
    let address = fresh.with(|driver, socket| driver.local_address(socket));
    let address = address.map_err(|why| error::refused("asking for the port's address", &why))?;
    reading::prepare(super::of(reactor))?;
    let port = reactor.pools.alloc::<DatagramPort>()?;
    let scope = reactor.scope.get();
    let joined = if scope == 0 { Ok(()) } else { scopes::join(reactor, scope, port.word()) };
    let watched = joined.and_then(|()| fresh.with(|driver, socket| driver.watch(socket, port.word(), READABLE)));
    watched.inspect_err(|_| reactor.pools.free(port))?;
    let peer = fresh.with(|driver, socket| driver.peer_address(socket)).map(Address::unmapped);
    let connected = if peer.is_ok() { flag::CONNECTED } else { 0 };
    port.peer.set(peer.ok());
    port.socket.set(fresh.keep());
    let of_family = match address.family() {
        Family::V4 => 0,
        Family::V6 => flag::V6,
        Family::Unix => flag::UNIX,
    };
    port.flags.set(of_family | connected);
    port.scope.set(scope);
    port.reason.set(Word::NULL);
    port.stopping.set(Word::NULL);
    port.timer.set(Word::NULL);
    port.address.set(address);
    port.most.set(BUFFER);
    *port.protocol.borrow_mut() = Some(protocol);
    port.this.set(this.into_parts().0);
    // Its owner hears from the loop that it is open.
    reactor.note_written(port.word());
    Ok(port)
}

const READABLE: Readiness = Readiness { readable: true, writable: false };

/// The driver says that a port is ready.
pub(super) fn ready(reactor: ReactorItem, port: Item<DatagramPort>, ready: Ready) {
    if port.has(flag::STOPPED) {
        return;
    }
    let is_again = ready.readiness.is_empty();
    if is_again {
        port.clear(flag::AGAIN);
    }
    if ready.readiness.writable && port.has(flag::FULL) {
        writing::flush(port);
    }
    if ready.readiness.readable {
        port.set(flag::READABLE);
        port.clear(flag::HELD);
    }
    // One that is on the list reads when its turn comes, once a turn.
    if is_again || (ready.readiness.readable && !port.has(flag::AGAIN)) {
        reading::read(reactor, super::of(reactor), port);
    }
}

/// Tells what is to be told from the loop.
pub(super) fn flush(port: Item<DatagramPort>) {
    if !port.has(flag::STARTED | flag::STOPPED) {
        port.set(flag::STARTED);
        port.tell(|protocol| protocol.started(port));
    }
    if port.has(flag::REFUSED) && !port.has(flag::STOPPED) {
        port.clear(flag::REFUSED);
        let peer = port.peer.get();
        let what = peer.map_or_else(String::new, |peer| format!("a datagram to {peer}"));
        port.tell_failed(Status::ERR_CONNECTION_REFUSED, &what, None, peer.as_ref());
    }
}

/// Has the driver tell of room to send, or not.
pub(super) fn watch_room(port: Item<DatagramPort>, on: bool) -> Result {
    if on == port.has(flag::WATCHES_ROOM) {
        return Ok(());
    }
    let interest = Readiness { readable: true, writable: on };
    port.with_socket(|driver, socket| driver.rewatch(socket, port.word(), interest))?;
    if on {
        port.set(flag::WATCHES_ROOM)
    } else {
        port.clear(flag::WATCHES_ROOM)
    }
    Ok(())
}

/// Has [`again`] called in so many nanoseconds; without memory for a timer, in the next turn.
pub(super) fn set_timer(port: Item<DatagramPort>, after: u64) {
    if port.timer.get().is_null() {
        let reactor = port.root();
        let deadline = reactor.read_clock().saturating_add(after);
        match timers::call_at(reactor, deadline, again, port.word()) {
            Ok(timer) => port.timer.set(timer.word()),
            Err(_) => {
                port.clear(flag::SHORT);
                let readiness = Readiness { readable: true, writable: true };
                reactor.ready_again(Ready { key: port.word(), readiness, ended: false });
            }
        }
    }
}

extern "C-unwind" fn again(word: Word) {
    let Ok(port) = handles::get::<DatagramPort>(word) else { return };
    port.timer.set(Word::NULL);
    if port.has(flag::STOPPED) {
        return;
    }
    if port.has(flag::FULL) {
        writing::flush(port);
    }
    if port.has(flag::SHORT) {
        port.clear(flag::SHORT);
        reading::resume_if_possible(port);
    }
}

/// Ends a port whose socket is no good any more.
#[cold]
pub(super) fn lost(port: Item<DatagramPort>, why: &io::Error) {
    let reason = error::failure(port.root(), error::status_of(why), port.name(), Some(why));
    end_with(port, reason);
    port.root().note_ended(port.word());
}

/// Its socket, for what there is no call for.
pub fn descriptor(port: Item<DatagramPort>) -> Result<Socket> {
    port.check_open()?;
    if port.root().is_simulated() {
        return Err(Status::ERR_NOT_SUPPORTED.because("a simulated reactor has no descriptors of the system"));
    }
    Ok(port.socket.get())
}

/// Closes a port. The Deferred fires once that is told, never from inside this call.
pub fn stop(port: Item<DatagramPort>) -> Result<DeferredItem> {
    port.check_open()?;
    let reactor = port.root();
    let deferred: Item<Deferred> = chain::new_inside(reactor, stops_anyway, Word::NULL)?;
    port.stopping.set(deferred.word());
    writing::send_what_fits(port);
    end_with(port, failure::of_status(reactor, Status::CONNECTION_DONE));
    reactor.note_ended(port.word());
    Ok(deferred)
}

extern "C-unwind" fn stops_anyway(_: Word, _: Word) {}

/// Closes the socket, once.
pub(super) fn close(port: Item<DatagramPort>) {
    if !port.has(flag::STOPPED) {
        port.set(flag::STOPPED);
        port.with_socket(|driver, socket| driver.close(socket));
    }
}

/// Closes the socket; the reason is the port's from here on.
fn end_with(port: Item<DatagramPort>, reason: Word) {
    close(port);
    port.reason.set(reason);
    if let Some(path) = port.path.take() {
        path.unlink();
    }
    if let Ok(timer) = handles::get::<DelayedCall>(port.timer.replace(Word::NULL)) {
        let _ = timers::cancel(timer);
    }
}

/// Tells of the end. Nothing of the port is called afterwards.
pub(super) fn finish(port: Item<DatagramPort>) {
    let reactor = port.root();
    let _out = reactor.call_out();
    let scope = port.scope.get();
    let stopping = handles::get::<Deferred>(port.stopping.replace(Word::NULL));
    let reason = failure::owned(port.reason.replace(Word::NULL));
    drop((port.waiting.take(), port.kept.take()));
    let protocol = port.protocol.take();
    if let Some(protocol) = &protocol {
        reactor.in_scope(scope, || protocol.stopped(port, reason.word()));
    }
    let this = port.this.replace(Word::NULL);
    let owned = protocol.as_ref().map(|protocol| protocol.own(this));
    reactor.pools.free(port);
    if let Ok(deferred) = stopping {
        let _ = chain::callback(deferred, Owned::default());
    }
    reactor.in_scope(scope, || drop(owned));
}

/// Where it is now.
pub fn address(port: Item<DatagramPort>) -> Result<Address> {
    port.check_open()?;
    let address = port.with_socket(|driver, socket| driver.local_address(socket));
    address.map_err(|why| error::refused("asking for the port's address", &why))
}

/// Sets whom `send` sends to; what others send does not come any more. Only literal addresses.
pub fn connect(port: Item<DatagramPort>, to: &Address) -> Result {
    port.check_open()?;
    let peer = writing::reachable(port, to)?;
    let done = port.with_socket(|driver, socket| driver.connect(socket, &peer));
    done.map_err(|why| error::refused(format_args!("connecting to {to}"), &why))?;
    port.peer.set(Some(*to));
    port.set(flag::CONNECTED);
    port.clear(flag::REFUSED);
    // It may have become another by that.
    port.address.set(address(port)?);
    Ok(())
}

/// Tells the system.
pub fn set(port: Item<DatagramPort>, what: &str, option: SocketOption) -> Result {
    port.check_open()?;
    let done = port.with_socket(|driver, socket| driver.set(socket, option));
    done.map_err(|why| error::refused(format_args!("setting {what}"), &why))
}

/// So much waits to be sent at most; 0: nothing does.
pub fn set_most(port: Item<DatagramPort>, most: u64) -> Result {
    port.check_open()?;
    port.most.set(most);
    Ok(())
}
