//! Programs on simulated hosts, which go by edges of readiness alone.

use lariat::driver::address::{Address, Family};
use lariat::driver::sockets::{Carries, Sockets};
use lariat::driver::{Driver, Link, Readiness, SimulatedDriver, World};
use lariat::handles::Word;
use lariat::platform::Socket;
use std::io::{self, ErrorKind};
use std::rc::Rc;

pub const MILLISECOND: u64 = 1_000_000;
pub const SECOND: u64 = 1_000_000_000;
pub const BOTH: Readiness = Readiness { readable: true, writable: true };

/// A world and a program on each of its two hosts.
pub struct Two {
    pub world: Rc<World>,
    pub a: SimulatedDriver,
    pub b: SimulatedDriver,
}

pub fn two(seed: u64) -> Two {
    let world = Rc::new(World::new(seed));
    let program = |host| SimulatedDriver::new(Rc::clone(&world), host);
    let (a, b) = (program("a"), program("b"));
    Two { world, a, b }
}

/// The same with sockets that always do what they can.
pub fn faithful(seed: u64) -> Two {
    let two = two(seed);
    two.world.set_short_io(0.0);
    two
}

pub fn ip(text: &str) -> Address {
    Address::Ip(text.parse().expect("an address"))
}

pub fn slow() -> Link {
    Link { latency: 10 * MILLISECOND, ..Link::default() }
}

/// The next thing that happens; false: nothing will.
pub fn step(world: &World) -> bool {
    world.deliver_due();
    let Some(at) = world.next_event() else { return false };
    world.advance_to(at);
    world.deliver_due();
    true
}

pub fn settle(world: &World) {
    while step(world) {}
}

/// Lets so much time pass.
pub fn pass(world: &World, nanoseconds: u64) {
    let end = world.now() + nanoseconds;
    while world.next_event().is_some_and(|at| at <= end) {
        step(world);
    }
    world.advance_to(end);
}

pub fn listen(driver: &SimulatedDriver, address: &str, backlog: i32) -> Socket {
    let address = ip(address);
    let socket = driver.open(address.family(), Carries::Stream).unwrap();
    driver.bind(socket, &address).unwrap();
    driver.listen(socket, backlog).unwrap();
    socket
}

pub fn connect(driver: &SimulatedDriver, address: &str) -> Socket {
    let address = ip(address);
    let socket = driver.open(address.family(), Carries::Stream).unwrap();
    assert!(!driver.connect(socket, &address).unwrap(), "it takes a round trip");
    socket
}

/// A connection from `a` to `b`.
pub fn pair(two: &Two) -> (Socket, Socket) {
    let listener = listen(&two.b, "0.0.0.0:80", 16);
    let client = connect(&two.a, "10.0.0.2:80");
    for _ in 0..20 {
        step(&two.world);
    }
    let server = accept(&two.b, listener);
    two.b.close(listener);
    (client, server)
}

pub fn accept(driver: &SimulatedDriver, listener: Socket) -> Socket {
    (0..100).find_map(|_| driver.accept(listener).ok()).expect("a connection waits")
}

pub fn datagrams(driver: &SimulatedDriver, address: &str) -> Socket {
    let address = ip(address);
    let socket = driver.open(address.family(), Carries::Datagrams).unwrap();
    driver.bind(socket, &address).unwrap();
    socket
}

pub fn open_v4(driver: &SimulatedDriver, carries: Carries) -> Socket {
    driver.open(Family::V4, carries).unwrap()
}

/// The kind of error of a result that must be one.
pub fn kind<T>(result: io::Result<T>) -> ErrorKind {
    result.map(drop).expect_err("must fail").kind()
}

/// What is ready, by the numbers that the sockets were watched under.
pub fn ready(driver: &SimulatedDriver) -> Vec<(usize, Readiness, bool)> {
    let mut ready = Vec::new();
    driver.poll(Some(0), &mut ready).unwrap();
    ready.into_iter().map(|one| (one.key.addr(), one.readiness, one.ended)).collect()
}

pub fn watch(driver: &SimulatedDriver, socket: Socket, key: usize) {
    driver.watch(socket, Word::from_addr(key), BOTH).unwrap();
}

/// Bytes that are different everywhere.
pub fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let world = World::new(seed);
    (0..length.div_ceil(8)).flat_map(|_| world.random().to_le_bytes()).take(length).collect()
}

/// One end of a connection: it writes all that it has, ends, and reads to the other's end.
pub struct End<'a> {
    driver: &'a SimulatedDriver,
    socket: Socket,
    data: Vec<u8>,
    sent: usize,
    pub received: Vec<u8>,
    pub over: bool,
    can: Readiness,
    pub would_block: usize,
}

impl<'a> End<'a> {
    pub fn new(driver: &'a SimulatedDriver, socket: Socket, data: Vec<u8>) -> Self {
        watch(driver, socket, 1);
        let (received, can) = (Vec::new(), Readiness::default());
        Self { driver, socket, data, sent: 0, received, over: false, can, would_block: 0 }
    }

    /// Does what the edges allow; false: there was none.
    pub fn turn(&mut self) -> bool {
        for (_, readiness, _) in ready(self.driver) {
            self.can.readable |= readiness.readable;
            self.can.writable |= readiness.writable;
        }
        let was_able = (self.can.readable && !self.over) || (self.can.writable && self.sent <= self.data.len());
        while self.can.writable && self.sent <= self.data.len() {
            self.write();
        }
        while self.can.readable && !self.over {
            self.read();
        }
        was_able
    }

    fn write(&mut self) {
        if self.sent == self.data.len() {
            self.driver.shutdown(self.socket, std::net::Shutdown::Write).unwrap();
            self.sent += 1;
            return;
        }
        let end = self.data.len().min(self.sent + 50_000);
        match self.driver.send(self.socket, &self.data[self.sent..end]) {
            Ok(sent) => self.sent += sent,
            Err(why) => {
                assert_eq!(why.kind(), ErrorKind::WouldBlock);
                self.would_block += 1;
                self.can.writable = false;
            }
        }
    }

    fn read(&mut self) {
        let mut buffer = [0; 20_000];
        match self.driver.receive(self.socket, &mut buffer) {
            Ok(0) => self.over = true,
            Ok(length) => self.received.extend_from_slice(&buffer[..length]),
            Err(why) => {
                assert_eq!(why.kind(), ErrorKind::WouldBlock);
                self.can.readable = false;
            }
        }
    }
}
