//! The reactor: one thread's loop, its clock, its queues and all that lives in it.

pub mod close;
pub mod events;
pub mod hooks;
pub mod kept;
pub mod posts;
pub mod run;
pub mod scopes;
pub mod simulation;
mod slab;
pub mod soon;
pub mod thread_queue;
pub mod timers;
pub mod turn;
pub mod waits;
pub mod watch;
mod wheel;

use crate::driver::{Driver, MioDriver, Ready, SimulatedDriver};
use crate::handles::{self, Body, Item, KINDS, Kind, Owned, Pools, Word};
use crate::status::{Result, Status};
use hooks::Hooks;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

/// A reactor, as functions pass it on.
pub type ReactorItem = Item<Reactor>;

/// What a thread sends beside plain calls: run on the reactor's thread, or dropped with the reactor.
pub type Message = Box<dyn FnOnce(ReactorItem) + Send>;

/// Reactors alive in the process.
static ALIVE: AtomicI64 = AtomicI64::new(0);

/// Where a reactor is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum State {
    /// Not started, or stopped again.
    #[default]
    Idle,
    /// Its start-up triggers are at work.
    Starting,
    /// Between start-up and shutdown.
    Running,
    /// Its shutdown triggers are at work.
    Stopping,
    /// It is being freed.
    Closing,
}

/// What the options set.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Pool threads at most.
    pub pool_threads: u32,
    /// An idle pool thread ends after so many nanoseconds.
    pub pool_idle: u64,
    /// Pool jobs that wait, at most; 0 no limit.
    pub jobs: u32,
    /// What the end of a scope or of the reactor waits for jobs, in nanoseconds.
    pub shutdown: u64,
    /// A callback that takes longer is reported; 0 off.
    pub slow: u64,
    /// How long to look for work before sleeping; 0 off.
    pub spin: u64,
    /// Waiting events at which watchers pause.
    pub events: u32,
}

impl Default for Limits {
    fn default() -> Self {
        let second = timers::SECOND;
        Self { pool_threads: 10, pool_idle: 30 * second, jobs: 0, shutdown: 5 * second, slow: 0, spin: 0, events: 1024 }
    }
}

/// A kind of thing that a layer above has in the reactor, and what the loop tells such a thing.
pub trait Served: Body<Root = Reactor> {
    /// It is ready, or there is room for its events again.
    fn ready(_: ReactorItem, _: Item<Self>, _: Ready) {}
    /// Delivers its end.
    fn finish(_: Item<Self>) {}
    /// Closes what it has of the system: the reactor has panicked, and nothing of it will be told any more.
    fn close(_: Item<Self>) {}
}

#[derive(Clone, Copy)]
struct OfKind {
    ready: fn(ReactorItem, Ready),
    finish: fn(Word),
    close: fn(ReactorItem),
}

/// What the kinds do that are in use.
pub struct ByKind([Cell<Option<OfKind>>; KINDS]);

impl Default for ByKind {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Cell::new(None)))
    }
}

impl ByKind {
    /// From now on, things of this kind are told. One that ended meanwhile is stale.
    pub fn serve<T: Served>(&self) {
        self.0[T::KIND as usize].set(Some(OfKind {
            ready: |reactor, ready| {
                if let Ok(thing) = handles::get::<T>(ready.key) {
                    T::ready(reactor, thing, ready);
                }
            },
            finish: |thing| {
                if let Ok(thing) = handles::get::<T>(thing) {
                    T::finish(thing);
                }
            },
            close: |reactor| reactor.pools.all::<T>().into_iter().for_each(T::close),
        }));
    }

    #[inline]
    fn of(&self, thing: Word) -> Option<OfKind> {
        self.0.get(handles::kind_number(thing)).and_then(Cell::get)
    }

    fn close_all(&self, reactor: ReactorItem) {
        self.0.iter().filter_map(Cell::get).for_each(|of| (of.close)(reactor));
    }

    fn clear(&self) {
        self.0.iter().for_each(|of| of.set(None));
    }
}

/// What the layers above do for the reactor, set when they are first used.
#[derive(Default)]
pub struct Above {
    /// Fires the triggers of start-up (0) or shutdown (1), and calls `run::started` or `run::stopped` at the end.
    pub fire_triggers: Cell<Option<fn(ReactorItem, i32)>>,
    /// Sees to it that no pool job of a scope (0: of any) is begun any more, and tells those that run.
    pub cancel_jobs: Cell<Option<fn(ReactorItem, u32)>>,
    /// Waits for the pool jobs of a scope (0: all of them) until the deadline of the monotonic clock.
    pub end_jobs: Cell<Option<fn(ReactorItem, u32, u64)>>,
    /// Lets go of those on other threads who wait for an answer: the reactor has panicked and will not give one.
    pub on_panic: Cell<Option<fn(ReactorItem)>>,
    /// Pool jobs waiting or running, and pool threads.
    pub jobs: Cell<Option<fn(ReactorItem) -> (usize, usize)>>,
    /// Sends what was written to the thing with this handle.
    pub flush: Cell<Option<fn(ReactorItem, Word)>>,
    /// The reactor was stopped, or crashed.
    pub stopped: Cell<Option<fn(ReactorItem)>>,
    /// What is done for each kind of thing but watchers.
    pub by_kind: ByKind,
}

/// See the module.
#[derive(Default)]
pub struct Reactor {
    /// All that lives in it.
    pub pools: Pools,
    /// The scope that new things join; 0 none.
    pub scope: Cell<u32>,
    entered: RefCell<Vec<u32>>,
    /// Calls out to the host that have not returned. Other threads read it to know whether the reactor is idle.
    depth: AtomicU32,
    turning: Cell<bool>,
    poisoned: Cell<bool>,
    /// User data that delayed calls own.
    owned: RefCell<slab::Slab<Owned>>,
    /// The waiting timers.
    pub timers: RefCell<wheel::Wheel>,
    soon: soon::Soon,
    threads: thread_queue::Consumer<Message>,
    driver: RefCell<Option<Rc<dyn Driver>>>,
    /// The time of a manual clock.
    manual: Cell<Option<u64>>,
    /// The clock as the turn read it; None: nothing in the turn has needed it.
    now: Cell<Option<u64>>,
    state: Cell<State>,
    stop_requested: Cell<bool>,
    crash_requested: Cell<bool>,
    /// It stopped between two turns, and whoever makes the next one has to be told.
    stopped_between: Cell<bool>,
    /// What a turn does last is being done.
    ends_turn: Cell<bool>,
    was_started: Cell<bool>,
    turn: turn::Turn,
    when_running: RefCell<Vec<soon::Call>>,
    limits: Cell<Limits>,
    hooks: RefCell<Hooks>,
    logging: Cell<bool>,
    waits: waits::Waits,
    watches: watch::Watches,
    kept: kept::Kept,
    /// The network's slot number, for `net`; 0: none yet.
    pub network: Cell<u32>,
    /// Child processes whose end is still to be told.
    pub processes: Cell<u32>,
    /// The slot number of what the signals are received by, for `process`; 0: none yet.
    pub signals: Cell<u32>,
    /// The slot number of what files are watched by, for `files`; 0: none yet.
    pub file_watches: Cell<u32>,
    /// Look-ups that wait for the system.
    pub look_ups: Cell<u32>,
    events: events::Events,
    /// The host polls the backend descriptor itself.
    embedded: Cell<bool>,
    turns: Cell<u64>,
    /// The scope that is being ended; 0 none.
    pub ending_scope: Cell<u32>,
    /// See [`Above`].
    pub above: Above,
    /// The thread pool's handle, for `threads`.
    pub thread_pool: Cell<Word>,
    /// Which hold of the start-up or shutdown triggers is in force, and how many Deferreds it still waits for.
    pub held: Cell<(u64, usize)>,
    numbers: Cell<u64>,
    simulation: Cell<Word>,
}

impl Body for Reactor {
    const KIND: Kind = Kind::Reactor;
    const SLOTS: u32 = 1;
    type Root = Reactor;
    type Beside = ();

    fn end(_: Item<Self>) {}
}

/// Which driver, and which clock.
pub enum Seam {
    /// The real ones.
    Real,
    /// The real driver under a clock that the host moves.
    Manual,
    /// A part of a simulation, by the name of its host.
    Simulated(Item<simulation::Simulation>, String),
}

/// Makes a reactor of the calling thread.
pub fn open(seam: Seam, limits: Limits, hooks: Hooks) -> Result<ReactorItem> {
    // mio and a few small things allocate without a way to say no.
    handles::check_memory(64 * 1024)?;
    let driver: Rc<dyn Driver> = match &seam {
        Seam::Real | Seam::Manual => Rc::new(MioDriver::new()?),
        Seam::Simulated(simulation, host) => Rc::new(SimulatedDriver::new(simulation.world(), host)),
    };
    let mut wheel = wheel::Wheel::default();
    let reactor = handles::root::<Reactor>(|reactor| &reactor.pools)?;
    // A manual clock starts at zero, as Twisted's does.
    let now = if matches!(seam, Seam::Manual) { 0 } else { driver.now() };
    reactor.manual.set(matches!(seam, Seam::Manual).then_some(now));
    let started = wheel.start(now);
    *reactor.timers.borrow_mut() = wheel;
    let waker = driver.waker();
    *reactor.driver.borrow_mut() = Some(driver);
    let opened = reactor.threads.open(reactor.word().addr() as u64, waker).map_err(|_| Status::ERR_NO_MEMORY);
    if let Err(why) = started.and(opened) {
        close::undo(reactor);
        return Err(why);
    }
    reactor.limits.set(limits);
    *reactor.hooks.borrow_mut() = hooks;
    if let Seam::Simulated(simulation, host) = seam {
        reactor.simulation.set(simulation.word());
        simulation::join(simulation, reactor, host);
    }
    ALIVE.fetch_add(1, Ordering::Relaxed);
    Ok(reactor)
}

/// Reactors alive in the process.
pub fn alive() -> i64 {
    ALIVE.load(Ordering::Relaxed)
}

/// While it lives, the host's code may be running: the reactor cannot be freed, moved or run.
pub struct CallOut {
    reactor: ReactorItem,
    scope: u32,
    entered: usize,
}

impl Drop for CallOut {
    #[inline]
    fn drop(&mut self) {
        let reactor = self.reactor;
        if reactor.scope.get() != self.scope {
            scopes::restore(reactor, self.scope, self.entered);
        }
        let depth = reactor.depth.load(Ordering::Relaxed);
        reactor.depth.store(depth - 1, Ordering::Release);
    }
}

impl Item<Reactor> {
    /// To be held whenever the host's code is called.
    #[inline]
    pub fn call_out(self) -> CallOut {
        let depth = self.depth.load(Ordering::Relaxed);
        self.depth.store(depth + 1, Ordering::Relaxed);
        let scope = self.scope.get();
        CallOut { reactor: self, scope, entered: if scope == 0 { 0 } else { self.entered.borrow().len() } }
    }

    /// Calls out with what is made meanwhile joining `scope`.
    pub fn in_scope<R>(self, scope: u32, call: impl FnOnce() -> R) -> R {
        scopes::within(self, scope, call)
    }
}

/// The same where the scope is seen to otherwise.
pub struct CallingOut(&'static Reactor);

impl Drop for CallingOut {
    #[inline(always)]
    fn drop(&mut self) {
        let depth = self.0.depth.load(Ordering::Relaxed);
        self.0.depth.store(depth - 1, Ordering::Release);
    }
}

impl Reactor {
    /// To be held whenever the host's code is called, by those who restore the scope themselves.
    #[inline(always)]
    pub fn calling_out(&'static self) -> CallingOut {
        let depth = self.depth.load(Ordering::Relaxed);
        self.depth.store(depth + 1, Ordering::Relaxed);
        CallingOut(self)
    }

    /// Whether the host's code is running further up the stack.
    pub fn is_calling_out(&self) -> bool {
        self.depth.load(Ordering::Acquire) != 0
    }

    /// How many calls out are in progress.
    pub fn depth(&self) -> u32 {
        self.depth.load(Ordering::Relaxed)
    }

    /// Whether a turn is in progress: then what is scheduled counts from the clock's next reading.
    #[inline]
    pub fn is_turning(&self) -> bool {
        self.turning.get()
    }

    /// The driver, held apart so that nothing stays borrowed.
    pub fn driver(&self) -> Rc<dyn Driver> {
        let driver = self.driver.borrow();
        Rc::clone(driver.as_ref().expect("a reactor that is open has a driver"))
    }

    /// The driver, for a call that is made often; drivers call nothing back.
    #[inline]
    pub fn with_driver<R>(&self, call: impl FnOnce(&dyn Driver) -> R) -> R {
        let driver = self.driver.borrow();
        call(&**driver.as_ref().expect("a reactor that is open has a driver"))
    }

    /// The time in nanoseconds, read now.
    #[inline]
    pub fn read_clock(&self) -> u64 {
        match (self.manual.get(), &*self.driver.borrow()) {
            (Some(now), _) => now,
            (None, Some(driver)) => driver.now(),
            (None, None) => self.now.get().unwrap_or_default(),
        }
    }

    /// The time when the turn read the clock, which it does at its beginning or when first asked; before a turn, now.
    pub fn turn_time(&self) -> u64 {
        if !self.is_turning() {
            return self.read_clock();
        }
        let now = self.now.get().unwrap_or_else(|| self.read_clock());
        self.now.set(Some(now));
        now
    }

    /// Its limits.
    pub fn limits(&self) -> Limits {
        self.limits.get()
    }

    /// Another number of pool threads at most.
    pub fn set_pool_threads(&self, threads: u32) {
        self.limits.set(Limits { pool_threads: threads, ..self.limits.get() });
    }

    /// Where it is in its life.
    pub fn state(&self) -> State {
        self.state.get()
    }

    /// Whether its time and its jobs are simulated.
    pub fn is_simulated(&self) -> bool {
        !self.simulation.get().is_null()
    }

    /// Whether its time is its own, and not the system's.
    pub fn has_own_time(&self) -> bool {
        self.is_simulated() || self.manual.get().is_some()
    }

    /// Refuses what only a reactor of the system can have.
    pub fn check_system(&self, what: &str) -> Result {
        if self.is_simulated() {
            return Err(Status::ERR_NOT_SUPPORTED.because(format_args!("a simulated reactor has no {what}")));
        }
        self.check_open()
    }

    /// A number that it never gave before.
    pub fn next_number(&self) -> u64 {
        self.numbers.set(self.numbers.get() + 1);
        self.numbers.get()
    }

    /// Turns made so far.
    pub fn turns(&self) -> u64 {
        self.turns.get()
    }

    /// To be called when there is new work: a host that polls the backend itself must notice.
    #[inline]
    pub fn work_added(&self) {
        if self.embedded.get() && !self.is_turning() {
            run::arm_backend(self);
        }
    }

    /// Refuses once the reactor is being freed.
    pub fn check_open(&self) -> Result {
        if self.state.get() == State::Closing { Err(Status::ERR_CLOSED) } else { Ok(()) }
    }
}
