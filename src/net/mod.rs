//! Networking: streams, datagrams, names and endpoints, above the reactor and the Deferred. Sockets are reached through
//! the driver alone.
//!
//! `transport` is a connection and its state; `reading`, `writing` and `ending` are what happens to it. `listener` makes
//! transports of what connects here, `attempt` and `connect` of what is connected to. `datagram` is a port for datagrams.
//! `plain` makes transports of what is no socket, and `tls` has what they carry encrypted. An `endpoint` says where, and `resolver` looks its name up: by
//! `host_resolver`, or by `names` on `look_up_threads`.
//! `reconnecting` and `connection_pool` connect again and again, by `dial`; `group` has several reactors listen, by `share`.

pub mod addresses;
pub mod adopt;
pub mod attempt;
pub mod connect;
mod connect_error;
pub mod connection_pool;
pub mod datagram;
pub mod datagram_open;
pub mod datagram_reading;
pub mod datagram_writing;
pub mod dial;
pub mod ending;
pub mod endpoint;
pub mod error;
pub mod group;
pub mod hand_over;
pub mod host_resolver;
pub mod inherited;
pub mod listener;
mod look_up_threads;
pub mod multicast;
mod names;
pub mod open;
pub mod options;
pub mod out;
pub mod plain;
pub mod producer;
pub mod protocol;
pub mod rate;
pub mod reading;
pub mod reconnecting;
pub mod resolver;
pub mod share;
pub mod tls;
pub mod transport;
pub mod unix_path;
pub mod writing;

use crate::driver::Driver;
use crate::handles::{self, Body, Item, Kind, Word};
use crate::platform::Socket;
use crate::reactor::{Reactor, ReactorItem};
use crate::status::{Result, Status};
use datagram::DatagramPort;
use listener::Listener;
use out::Out;
use std::cell::{Cell, RefCell};
use std::io;
use transport::Transport;

/// What is received in one go: one buffer for all, lent to the callback.
const RECEIVE: usize = 64 * 1024;
/// Emptied buffers that are kept to be used again.
const SPARE: usize = 64;

/// What the connections of a reactor share.
#[derive(Default)]
pub struct Network {
    buffer: Cell<Option<Box<[u8]>>>,
    /// What is received to be decrypted.
    ciphertext: Cell<Option<Box<[u8]>>>,
    /// Emptied write queues, each with an emptied buffer.
    #[expect(clippy::vec_box, reason = "they move to the connections that need them, and back")]
    outs: RefCell<Vec<Box<Out>>>,
    /// Whose callback is running: what it writes goes out when that returns.
    current: Cell<Word>,
    names: names::Names,
    /// The host's resolver; null for the system.
    resolver: Cell<Word>,
    /// Calls of the host's resolver that have not returned.
    resolving: Cell<u32>,
    /// What datagrams are received into; there once a port was opened.
    space: datagram_reading::SharedSpace,
}

impl Body for Network {
    const KIND: Kind = Kind::Network;
    const SLOTS: u32 = 1;
    type Root = Reactor;
    type Beside = ();

    fn end(network: Item<Self>) {
        network.buffer.take();
        network.ciphertext.take();
        network.space.take();
        network.outs.take();
        network.current.set(Word::NULL);
        network.names.close();
        network.resolver.set(Word::NULL);
        network.root().network.set(0);
        network.root().pools.free(network);
    }
}

/// The network of a reactor, made when it is first needed.
pub fn open(reactor: ReactorItem) -> Result<Item<Network>> {
    reactor.check_open()?;
    if reactor.network.get() == 0 {
        let network = reactor.pools.alloc::<Network>()?;
        reactor.network.set(network.index());
        reactor.above.flush.set(Some(flush));
        reactor.above.by_kind.serve::<Transport>();
        reactor.above.by_kind.serve::<Listener>();
        reactor.above.by_kind.serve::<DatagramPort>();
    }
    Ok(of(reactor))
}

/// The network of a reactor, if it was needed yet.
fn opened(reactor: ReactorItem) -> Option<Item<Network>> {
    (reactor.network.get() != 0).then(|| of(reactor))
}

/// The network of a reactor that has connections.
#[inline]
fn of(reactor: ReactorItem) -> Item<Network> {
    Item::<Network>::at(reactor.network.get())
}

impl Network {
    fn take_buffer(&self) -> Result<Box<[u8]>> {
        self.buffer.take().map_or_else(Self::new_buffer, Ok)
    }

    fn take_ciphertext(&self) -> Result<Box<[u8]>> {
        self.ciphertext.take().map_or_else(Self::new_buffer, Ok)
    }

    fn new_buffer() -> Result<Box<[u8]>> {
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(RECEIVE).map_err(|_| Status::ERR_NO_MEMORY)?;
        buffer.resize(RECEIVE, 0);
        Ok(buffer.into_boxed_slice())
    }

    fn give_buffer(&self, buffer: Box<[u8]>) {
        self.buffer.set(Some(buffer));
    }

    fn give_ciphertext(&self, buffer: Box<[u8]>) {
        self.ciphertext.set(Some(buffer));
    }
}

fn flush(_: ReactorItem, thing: Word) {
    if handles::is_of_kind(thing, Kind::Transport) {
        if let Ok(transport) = handles::get::<Transport>(thing) {
            writing::flush_written(transport);
        }
    } else if let Ok(port) = handles::get::<DatagramPort>(thing) {
        datagram::flush(port);
    }
}

/// A socket that is closed unless it is kept.
struct Fresh {
    reactor: ReactorItem,
    socket: Option<Socket>,
    /// It stays the host's unless it is kept.
    is_hosts: bool,
}

impl Fresh {
    fn new(reactor: ReactorItem, socket: Socket) -> Self {
        Self { reactor, socket: Some(socket), is_hosts: false }
    }

    fn of_host(reactor: ReactorItem, socket: Socket) -> Self {
        // Not with the rest of another one: that would be dropped, and close it.
        Self { reactor, socket: Some(socket), is_hosts: true }
    }

    fn socket(&self) -> Socket {
        self.socket.expect("a fresh socket is there until it is kept")
    }

    fn keep(mut self) -> Socket {
        self.socket.take().expect("a fresh socket is there until it is kept")
    }

    fn with<R>(&self, call: impl FnOnce(&dyn Driver, Socket) -> R) -> R {
        self.reactor.with_driver(|driver| call(driver, self.socket()))
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Some(socket) = self.socket.filter(|_| !self.is_hosts) {
            self.reactor.with_driver(|driver| driver.close(socket));
        }
    }
}

fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

fn was_interrupted(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Interrupted
}
