//! Simulations: several reactors on one clock, in an order that follows from the seed.

use super::run::start;
use super::turn::{How, turn};
use super::{Reactor, ReactorItem, State};
use crate::driver::World;
use crate::handles::{self, Body, Item, Kind, Pools, Word};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Turns at one instant before the clock goes on all the same.
const TURNS_AT_AN_INSTANT: u32 = 1000;

/// A world and its reactors.
#[derive(Default)]
pub struct Simulation {
    pools: Pools,
    world: RefCell<Option<Rc<World>>>,
    reactors: RefCell<Vec<Member>>,
    /// Other threads read it to know whether the simulation is idle.
    running: AtomicU32,
    at_instant: Cell<u32>,
}

#[derive(Clone)]
struct Member {
    reactor: Word,
    host: u64,
}

impl Body for Simulation {
    const KIND: Kind = Kind::Simulation;
    const SLOTS: u32 = 1;
    type Root = Simulation;
    type Beside = ();

    fn end(_: Item<Self>) {}
}

impl Simulation {
    /// Its world.
    pub fn world(&self) -> Rc<World> {
        Rc::clone(self.world.borrow().as_ref().expect("an open simulation has a world"))
    }
}

/// A simulation in which everything follows from `seed`.
pub fn open(seed: u64) -> Result<Item<Simulation>> {
    let simulation = handles::root::<Simulation>(|simulation| &simulation.pools)?;
    *simulation.world.borrow_mut() = Some(Rc::new(World::new(seed)));
    Ok(simulation)
}

/// Frees a simulation without reactors.
pub fn free(simulation: Item<Simulation>) -> Result {
    let alive = simulation.reactors.borrow().len();
    if alive != 0 {
        return Err(Status::ERR_BUSY.because(format_args!("{alive} of its reactors are still alive")));
    }
    simulation.world.take();
    simulation.at_instant.set(0);
    handles::release_root(simulation, &simulation.pools);
    Ok(())
}

/// The reactor is one of the simulation's.
pub(super) fn join(simulation: Item<Simulation>, reactor: ReactorItem, host: String) {
    // FNV-1a, so that the trace knows hosts by name.
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let host = host.bytes().fold(0xcbf2_9ce4_8422_2325, hash);
    simulation.reactors.borrow_mut().push(Member { reactor: reactor.word(), host });
}

/// The reactor is no longer one of its simulation's.
pub(super) fn leave(reactor: ReactorItem) {
    if let Ok(simulation) = handles::get::<Simulation>(reactor.simulation.get()) {
        simulation.reactors.borrow_mut().retain(|member| member.reactor != reactor.word());
    }
}

impl Reactor {
    /// Whether a turn of a simulated reactor would find something now.
    fn is_due(&self) -> bool {
        self.is_due_beside(self.next_timer())
    }

    fn is_due_beside(&self, timer: Option<u64>) -> bool {
        let due = || timer.is_some_and(|deadline| deadline <= self.read_clock());
        self.has_work_now() || due() || self.with_driver(|driver| driver.would_report())
    }
}

struct Running(Item<Simulation>);

impl Running {
    fn start(simulation: Item<Simulation>) -> Result<Self> {
        if simulation.running.load(Ordering::Relaxed) != 0 {
            return Err(Status::ERR_REENTRANT.because("the simulation is running further up the stack"));
        }
        simulation.running.store(1, Ordering::Relaxed);
        Ok(Self(simulation))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.store(0, Ordering::Release);
    }
}

/// The reactors, those that are inside a call of the host left out.
fn members(simulation: Item<Simulation>) -> Vec<(Member, ReactorItem)> {
    let members = simulation.reactors.borrow().clone();
    let alive = |member: Member| handles::get::<Reactor>(member.reactor).ok().map(|reactor| (member, reactor));
    members.into_iter().filter_map(alive).filter(|(_, reactor)| !reactor.is_calling_out()).collect()
}

/// What may happen next.
struct Next {
    /// The reactors that have something to do.
    due: Vec<(Member, ReactorItem)>,
    /// The earliest deadline that has not come yet, of a reactor or of the network.
    later: Option<u64>,
    /// How many reactors there are.
    members: u32,
}

fn next(simulation: Item<Simulation>, world: &World) -> Next {
    let now = world.now();
    let is_later = |at: &u64| *at > now;
    let mut next = Next { due: Vec::new(), later: world.next_event().filter(is_later), members: 0 };
    for member in &*simulation.reactors.borrow() {
        let reactor = handles::get::<Reactor>(member.reactor).ok().filter(|reactor| !reactor.is_calling_out());
        let Some(reactor) = reactor else { continue };
        next.members += 1;
        // One that has stopped stays so until it is run again; one that was made meanwhile starts.
        if reactor.state() == State::Idle && reactor.was_started.get() {
            continue;
        }
        let timer = reactor.next_timer();
        if reactor.is_due_beside(timer) {
            next.due.push((member.clone(), reactor));
        }
        next.later = next.later.into_iter().chain(timer.filter(is_later)).min();
    }
    next
}

/// Lets happen in the network what is due, and makes one turn of one reactor that has something to do; or moves the
/// clock to the next deadline, no further than `limit`. False: nothing can happen by then.
fn step(simulation: Item<Simulation>, limit: u64) -> Result<bool> {
    let world = simulation.world();
    world.deliver_due();
    let Next { due, later, members } = next(simulation, &world);
    let stuck = simulation.at_instant.get() >= TURNS_AT_AN_INSTANT * members;
    if let Some(at) = later.filter(|at| (due.is_empty() || stuck) && *at <= limit) {
        world.advance_to(at);
        simulation.at_instant.set(0);
        return Ok(true);
    }
    if due.is_empty() || (stuck && limit < u64::MAX) {
        simulation.at_instant.set(0);
        return Ok(false);
    }
    simulation.at_instant.set(simulation.at_instant.get() + 1);
    let (member, reactor) = &due[(world.random() % due.len() as u64) as usize];
    [world.now(), member.host, reactor.turns()].into_iter().for_each(|what| world.trace(what));
    start(*reactor);
    turn(*reactor, How::AT_ONCE)?;
    let left = [Kind::DelayedCall, Kind::Deferred].map(|kind| u64::from(reactor.pools.alive(kind)));
    left.into_iter().for_each(|what| world.trace(what));
    Ok(true)
}

fn simulation_of(reactor: ReactorItem) -> Result<Item<Simulation>> {
    handles::get::<Simulation>(reactor.simulation.get())
}

/// Drives the whole simulation until this reactor has stopped.
pub(super) fn run_reactor(reactor: ReactorItem) -> Result {
    let simulation = simulation_of(reactor)?;
    let _running = Running::start(simulation)?;
    while reactor.state() != State::Idle {
        if !step(simulation, u64::MAX)? {
            return Err(Status::ERR_DEADLOCK);
        }
    }
    Ok(())
}

/// Drives the whole simulation until this reactor has stopped or has nothing left to do.
pub(super) fn run_reactor_until_idle(reactor: ReactorItem) -> Result {
    let simulation = simulation_of(reactor)?;
    let _running = Running::start(simulation)?;
    while reactor.state() != State::Idle && reactor.has_work() {
        if !step(simulation, u64::MAX)? {
            break;
        }
    }
    Ok(())
}

/// Drives the simulation until this reactor has something to do, no longer than `wait` nanoseconds of its time.
pub(super) fn wait_for_work(reactor: ReactorItem, wait: Option<u64>) -> Result {
    let simulation = simulation_of(reactor)?;
    let _running = Running::start(simulation)?;
    let world = simulation.world();
    let limit = wait.map_or(u64::MAX, |wait| world.now().saturating_add(wait));
    while !reactor.is_due() {
        if !step(simulation, limit)? {
            if limit < u64::MAX {
                world.advance_to(limit);
            }
            break;
        }
    }
    Ok(())
}

/// Runs all reactors until `nanoseconds` of simulated time have passed.
pub fn run(simulation: Item<Simulation>, nanoseconds: u64) -> Result {
    let _running = Running::start(simulation)?;
    let world = simulation.world();
    let limit = world.now().saturating_add(nanoseconds);
    start_all(simulation);
    while step(simulation, limit)? {}
    world.advance_to(limit);
    Ok(())
}

/// Runs all reactors until none has anything left to do.
pub fn run_until_idle(simulation: Item<Simulation>) -> Result {
    let _running = Running::start(simulation)?;
    start_all(simulation);
    while step(simulation, u64::MAX)? {}
    Ok(())
}

fn start_all(simulation: Item<Simulation>) {
    members(simulation).into_iter().for_each(|(_, reactor)| start(reactor));
}
