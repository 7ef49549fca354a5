//! The simulated driver: no kernel. A world has one clock, which only the simulation moves, hosts with a network between
//! them, made-up descriptors whose readiness the host sets, randomness from the seed and a hash of all that happened.
//!
//! What is to happen - a segment arrives, a datagram is refused - waits in one queue, in order of time and of decision.
//! Sockets do what those of Linux would; only a broken link, a full buffer and the seed decide otherwise.

mod calls;
mod clockwork;
mod datagrams;
mod delivery;
mod descriptors;
mod ending;
mod errors;
mod events;
mod faults;
mod hosts;
mod links;
mod listener;
mod network;
mod options;
mod stream;
mod stream_calls;

use super::{Driver, Readiness, Ready, Waker};
use crate::handles::Word;
use crate::platform::Socket;
use crate::status::{Result, Status};
use clockwork::Clockwork;
use hosts::{Host, Hosts};
pub use links::Link;
use network::Network;
use std::cell::RefCell;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::rc::Rc;
use std::sync::Arc;

/// What all reactors of a simulation share.
pub struct World {
    clockwork: Rc<Clockwork>,
    network: RefCell<Network>,
}

fn not_made_up(socket: Socket) -> Status {
    Status::ERR_OS.because(format_args!("descriptor {socket} is not one that the simulation made up"))
}

impl World {
    /// A world in which everything follows from `seed`.
    pub fn new(seed: u64) -> Self {
        let clockwork = Rc::new(Clockwork::new(seed));
        let network = RefCell::new(Network::new(Rc::clone(&clockwork)));
        Self { clockwork, network }
    }

    /// The simulated time in nanoseconds.
    pub fn now(&self) -> u64 {
        self.clockwork.now()
    }

    /// Moves the clock forward; never back.
    pub fn advance_to(&self, now: u64) {
        self.clockwork.advance_to(now);
    }

    /// The next number of the seed's sequence.
    pub fn random(&self) -> u64 {
        self.clockwork.random()
    }

    /// Adds something that happened to the trace.
    pub fn trace(&self, what: u64) {
        self.clockwork.trace(what);
    }

    /// The hash of all that happened so far.
    pub fn trace_hash(&self) -> u64 {
        self.clockwork.trace_hash()
    }

    /// Lets happen in the network what is due.
    pub fn deliver_due(&self) {
        self.network.borrow_mut().deliver_due();
    }

    /// When something happens next in the network.
    pub fn next_event(&self) -> Option<u64> {
        self.network.borrow_mut().next_event()
    }

    /// A made-up descriptor, ready for nothing.
    pub fn new_descriptor(&self) -> Socket {
        self.network.borrow_mut().make_up()
    }

    /// Makes a made-up descriptor ready, or not.
    pub fn set_ready(&self, socket: Socket, ready: Readiness) -> Result {
        let done = self.network.borrow_mut().set_ready(socket, ready);
        if done { Ok(()) } else { Err(not_made_up(socket)) }
    }

    /// Forgets a made-up descriptor; whoever watches it hears no more.
    pub fn close_descriptor(&self, socket: Socket) -> Result {
        let done = self.network.borrow_mut().close_made_up(socket);
        if done { Ok(()) } else { Err(not_made_up(socket)) }
    }

    fn host(&self, name: &str) -> Host {
        self.network.borrow_mut().hosts.named(name)
    }

    /// The addresses of a host, which is there from now on.
    pub fn host_addresses(&self, name: &str) -> (Ipv4Addr, Ipv6Addr) {
        Hosts::addresses(self.host(name))
    }

    /// Another link from one host to another, None being any. The rule that names more hosts decides.
    pub fn set_link(&self, from: Option<&str>, to: Option<&str>, link: Link) {
        let [from, to] = [from, to].map(|name| name.map(|name| self.host(name)));
        self.network.borrow_mut().set_link(from, to, link);
    }

    /// Lets nothing through between two hosts, or again; None is any.
    pub fn partition(&self, a: Option<&str>, b: Option<&str>, on: bool) {
        let [a, b] = [a, b].map(|name| name.map(|name| self.host(name)));
        self.network.borrow_mut().partition(a, b, on);
    }

    /// Resets the connections between two hosts; None is any.
    pub fn reset_connections(&self, a: Option<&str>, b: Option<&str>) {
        let [a, b] = [a, b].map(|name| name.map(|name| self.host(name)));
        self.network.borrow_mut().reset_connections(a, b);
    }

    /// Has so many connections to a port of a host (0: to any) refused; negative: all from now on.
    pub fn refuse_connections(&self, host: &str, port: u16, count: i32) {
        let host = self.host(host);
        self.network.borrow_mut().hosts.refuse(host, port, count);
    }

    /// How probably a call on a socket does less than it could.
    pub fn set_short_io(&self, probability: f64) {
        self.network.borrow_mut().short_io = probability;
    }
}

/// One reactor's view of a world.
pub struct SimulatedDriver {
    world: Rc<World>,
    host: Host,
    number: usize,
}

impl SimulatedDriver {
    /// A view of `world` for one more reactor, which is on `host`.
    pub fn new(world: Rc<World>, host: &str) -> Self {
        let (host, number) = (world.host(host), world.network.borrow_mut().add_driver());
        Self { world, host, number }
    }
}

impl Driver for SimulatedDriver {
    fn now(&self) -> u64 {
        self.world.now()
    }

    fn poll(&self, _wait: Option<u64>, ready: &mut Vec<Ready>) -> Result {
        let mut network = self.world.network.borrow_mut();
        network.deliver_due();
        network.poll(self.number, ready);
        Ok(())
    }

    fn waker(&self) -> Waker {
        Arc::new(|| ())
    }

    fn watch(&self, socket: Socket, key: Word, interest: Readiness) -> Result {
        if self.world.network.borrow().is_watched(socket) {
            return Err(Status::ERR_ALREADY_WATCHED);
        }
        self.rewatch(socket, key, interest)
    }

    fn rewatch(&self, socket: Socket, key: Word, interest: Readiness) -> Result {
        let unknown = |_| Status::ERR_OS.because(format_args!("descriptor {socket} is not one of the simulation's"));
        self.world.network.borrow_mut().set_watch(socket, self.number, key, interest).map_err(unknown)
    }

    fn unwatch(&self, socket: Socket) -> Result {
        // Watching is over either way when the descriptor is gone.
        self.world.network.borrow_mut().unwatch(socket);
        Ok(())
    }

    fn backend(&self) -> Result<Socket> {
        Err(Status::ERR_NOT_SUPPORTED.because("a simulated reactor has no descriptor"))
    }

    fn arm(&self, _wait: Option<u64>) {}

    fn world(&self) -> Option<&World> {
        Some(&self.world)
    }

    fn would_report(&self) -> bool {
        self.world.network.borrow().has_ready(self.number)
    }
}
