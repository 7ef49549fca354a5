//! The simulated driver: no kernel. A world has one clock, which only the simulation moves, made-up descriptors whose
//! readiness the host sets, randomness from the seed and a hash of all that happened.

use super::sockets::{Carries, Received, SocketOption, Sockets};
use super::{Address, Driver, Family, Readiness, Ready, Waker};
use crate::handles::Word;
use crate::platform::Socket;
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;

/// Made-up descriptors start here: no real one is as high.
const FIRST_DESCRIPTOR: Socket = 1 << 24;

#[derive(Default)]
struct Descriptor {
    ready: Readiness,
    /// Who watches: the driver's number, the key, the interest, and whether the edge was reported.
    watch: Option<(u64, Word, Readiness, bool)>,
}

/// What all reactors of a simulation share.
pub struct World {
    now: Cell<u64>,
    random: Cell<u64>,
    trace: Cell<u64>,
    descriptors: RefCell<BTreeMap<Socket, Descriptor>>,
    next_descriptor: Cell<Socket>,
    drivers: Cell<u64>,
}

impl World {
    /// A world in which everything follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            now: Cell::new(0),
            random: Cell::new(seed),
            trace: Cell::new(0xcbf2_9ce4_8422_2325 ^ seed),
            descriptors: RefCell::default(),
            next_descriptor: Cell::new(FIRST_DESCRIPTOR),
            drivers: Cell::new(0),
        }
    }

    /// The simulated time in nanoseconds.
    pub fn now(&self) -> u64 {
        self.now.get()
    }

    /// Moves the clock forward; never back.
    pub fn advance_to(&self, now: u64) {
        self.now.set(self.now.get().max(now));
    }

    /// The next number of the seed's sequence (splitmix64).
    pub fn random(&self) -> u64 {
        let state = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Adds something that happened to the trace (FNV-1a over words).
    pub fn trace(&self, what: u64) {
        let mixed = (self.trace.get() ^ what).wrapping_mul(0x0000_0100_0000_01b3);
        self.trace.set(mixed ^ (mixed >> 29));
    }

    /// The hash of all that happened so far.
    pub fn trace_hash(&self) -> u64 {
        self.trace.get()
    }

    /// A made-up descriptor, ready for nothing.
    pub fn new_descriptor(&self) -> Socket {
        let socket = self.next_descriptor.get();
        self.next_descriptor.set(socket + 1);
        self.descriptors.borrow_mut().insert(socket, Descriptor::default());
        socket
    }

    /// Makes a descriptor ready, or not.
    pub fn set_ready(&self, socket: Socket, ready: Readiness) -> Result {
        self.with(socket, |descriptor| {
            descriptor.ready = ready;
            if let Some(watch) = &mut descriptor.watch {
                watch.3 = false;
            }
        })
    }

    /// Forgets a descriptor; whoever watches it hears no more.
    pub fn close_descriptor(&self, socket: Socket) -> Result {
        self.with(socket, |_| ())?;
        self.descriptors.borrow_mut().remove(&socket);
        Ok(())
    }

    fn with<R>(&self, socket: Socket, change: impl FnOnce(&mut Descriptor) -> R) -> Result<R> {
        let mut descriptors = self.descriptors.borrow_mut();
        let unknown = || Status::ERR_OS.because(format_args!("descriptor {socket} is not one of the simulation's"));
        descriptors.get_mut(&socket).map(change).ok_or_else(unknown)
    }
}

/// One reactor's view of a world.
pub struct SimulatedDriver {
    world: Rc<World>,
    number: u64,
}

impl SimulatedDriver {
    /// A view of `world` for one more reactor.
    pub fn new(world: Rc<World>) -> Self {
        let number = world.drivers.get() + 1;
        world.drivers.set(number);
        Self { world, number }
    }

    /// Whether a poll would find something.
    pub fn has_ready(world: &World, number: u64) -> bool {
        let descriptors = world.descriptors.borrow();
        descriptors.values().any(|descriptor| due(descriptor, number).is_some())
    }
}

fn due(descriptor: &Descriptor, number: u64) -> Option<Ready> {
    let (of, key, interest, reported) = descriptor.watch?;
    let readiness = descriptor.ready.and(interest);
    (of == number && !reported && !readiness.is_empty()).then_some(Ready { key, readiness, ended: false })
}

impl Driver for SimulatedDriver {
    fn now(&self) -> u64 {
        self.world.now()
    }

    fn poll(&self, _wait: Option<u64>, ready: &mut Vec<Ready>) -> Result {
        for descriptor in self.world.descriptors.borrow_mut().values_mut() {
            if let Some(one) = due(descriptor, self.number) {
                ready.push(one);
                if let Some(watch) = &mut descriptor.watch {
                    watch.3 = true;
                }
            }
        }
        Ok(())
    }

    fn waker(&self) -> Waker {
        Arc::new(|| ())
    }

    fn watch(&self, socket: Socket, key: Word, interest: Readiness) -> Result {
        self.world.with(socket, |descriptor| match descriptor.watch {
            Some(_) => Err(Status::ERR_ALREADY_WATCHED),
            None => {
                descriptor.watch = Some((self.number, key, interest, false));
                Ok(())
            }
        })?
    }

    fn rewatch(&self, socket: Socket, key: Word, interest: Readiness) -> Result {
        self.world.with(socket, |descriptor| descriptor.watch = Some((self.number, key, interest, false)))
    }

    fn unwatch(&self, socket: Socket) -> Result {
        // Watching is over either way when the descriptor is gone.
        if let Some(descriptor) = self.world.descriptors.borrow_mut().get_mut(&socket) {
            descriptor.watch = None;
        }
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
        Self::has_ready(&self.world, self.number)
    }
}

fn no_network<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Sockets for SimulatedDriver {
    fn open(&self, _: Family, _: Carries) -> io::Result<Socket> {
        no_network()
    }

    fn bind(&self, _: Socket, _: &Address) -> io::Result<()> {
        no_network()
    }

    fn listen(&self, _: Socket, _: i32) -> io::Result<()> {
        no_network()
    }

    fn accept(&self, _: Socket) -> io::Result<Socket> {
        no_network()
    }

    fn connect(&self, _: Socket, _: &Address) -> io::Result<bool> {
        no_network()
    }

    fn take_error(&self, _: Socket) -> io::Result<Option<io::Error>> {
        no_network()
    }

    fn receive(&self, _: Socket, _: &mut [u8]) -> io::Result<usize> {
        no_network()
    }

    fn send(&self, _: Socket, _: &[u8]) -> io::Result<usize> {
        no_network()
    }

    fn send_parts(&self, _: Socket, _: &[IoSlice<'_>]) -> io::Result<usize> {
        no_network()
    }

    fn shutdown(&self, _: Socket, _: Shutdown) -> io::Result<()> {
        no_network()
    }

    fn close(&self, _: Socket) {}

    fn local_address(&self, _: Socket) -> io::Result<Address> {
        no_network()
    }

    fn peer_address(&self, _: Socket) -> io::Result<Address> {
        no_network()
    }

    fn set(&self, _: Socket, _: SocketOption) -> io::Result<()> {
        no_network()
    }

    fn receive_from(&self, _: Socket, _: &mut [u8]) -> io::Result<Received> {
        no_network()
    }

    fn send_to(&self, _: Socket, _: &[u8], _: usize, _: Option<&Address>) -> io::Result<()> {
        no_network()
    }

    fn random(&self) -> u64 {
        self.world.random()
    }
}
