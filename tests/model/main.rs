//! Random sequences of calls, through the C API, beside a model simple enough to be believed: Deferreds with their
//! callbacks, pauses, cancellations and waits, every callback of which notes what it got: after each call the notes must
//! be the model's; and timers on a manual clock, whose model writes the script that the library must then play.
//! `LARIAT_MODEL_SEED` repeats a run, `LARIAT_MODEL_SECONDS` makes it longer.

// SAFETY of them all: the C API may be called with any arguments, from the thread that owns the reactor.
#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "all are calls of the C API, about which one thing is to be said"
)]

use lariat::ffi::options::{LARIAT_CLOCK_MANUAL, lariat_reactor_options};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

type Handle = *mut c_void;
type Callback = extern "C" fn(Handle, Handle, Handle) -> Handle;

unsafe extern "C" {
    fn lariat_reactor_options_init(options: Handle, size: u32) -> i32;
    fn lariat_reactor_new_with_options(options: Handle) -> Handle;
    fn lariat_deferred_new(reactor: Handle) -> Handle;
    fn lariat_deferred_add_callbacks(d: Handle, callback: Callback, errback: Callback, data: Handle) -> i32;
    fn lariat_deferred_callback(d: Handle, value: Handle) -> i32;
    fn lariat_deferred_errback(d: Handle, code: i32, message: *const c_char) -> i32;
    fn lariat_deferred_cancel(d: Handle) -> i32;
    fn lariat_deferred_pause(d: Handle) -> i32;
    fn lariat_deferred_unpause(d: Handle) -> i32;
    fn lariat_deferred_fail(d: Handle, code: i32, message: *const c_char) -> Handle;
    fn lariat_deferred_refail(d: Handle) -> Handle;
    fn lariat_deferred_wait_for(d: Handle, other: Handle) -> Handle;
    fn lariat_failure_code(failure: Handle) -> i32;
}

const CANCELLED: i64 = -17;
const ALREADY_CALLED: i32 = -15;
const RELEASED: i32 = -19;
const ALREADY_WAITED: i64 = -20;
const CYCLE: i64 = -21;
const STALE: i64 = -3;
const INVALID_STATE: i32 = -7;

/// What a callback got: a value or a failure's code.
type Outcome = Result<i64, i64>;

/// What a level of a chain does with what it gets.
#[derive(Clone, Copy, Debug)]
enum Level {
    AddOne,
    Fail(i64),
    PassOn,
    WaitFor(usize),
}

thread_local! {
    static NOTES: RefCell<Vec<(usize, Outcome)>> = const { RefCell::new(Vec::new()) };
    static LEVELS: RefCell<Vec<(Level, Handle)>> = const { RefCell::new(Vec::new()) };
}

fn note(which: usize, got: Outcome) {
    NOTES.with_borrow_mut(|notes| notes.push((which, got)));
}

extern "C" fn value_level(deferred: Handle, value: Handle, data: Handle) -> Handle {
    level(deferred, Ok(value.addr() as i64), data.addr())
}

extern "C" fn failure_level(deferred: Handle, failure: Handle, data: Handle) -> Handle {
    // SAFETY: any handle may be given.
    level(deferred, Err(i64::from(unsafe { lariat_failure_code(failure) })), data.addr())
}

fn level(deferred: Handle, got: Outcome, number: usize) -> Handle {
    note(number, got);
    let (level, other) = LEVELS.with_borrow(|levels| levels[number]);
    // SAFETY: any handle may be given.
    unsafe {
        match (level, got) {
            (Level::AddOne, Ok(value)) => (value + 1) as usize as Handle,
            (Level::AddOne, Err(_)) => 1000 as Handle,
            (Level::Fail(code), _) => lariat_deferred_fail(deferred, code as i32, std::ptr::null()),
            (Level::PassOn, Ok(value)) => value as usize as Handle,
            (Level::PassOn, Err(_)) => lariat_deferred_refail(deferred),
            (Level::WaitFor(_), _) => lariat_deferred_wait_for(deferred, other),
        }
    }
}

/// The model of a Deferred: lists and numbers, recursion where the library has links.
#[derive(Default)]
struct Model {
    levels: VecDeque<(usize, Level)>,
    result: Option<Outcome>,
    called: bool,
    swallow: bool,
    pauses: u32,
    running: bool,
    waits_on: Option<usize>,
    waiter: Option<usize>,
    handed: bool,
}

struct World {
    reactor: Handle,
    handles: Vec<Handle>,
    models: Vec<Model>,
    expected: Vec<(usize, Outcome)>,
    timers: timers::Model,
    random: Random,
}

/// A xorshift, so that a seed is a run.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self((seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed >> 7) | 1)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 2) % end
    }
}

/// A reactor with a manual clock, and a limit that is never reached where the seed says so.
fn manual_reactor(seed: u64) -> Handle {
    let mut options = MaybeUninit::<lariat_reactor_options>::uninit();
    let size = size_of::<lariat_reactor_options>() as u32;
    // SAFETY: the options are initialised by their init.
    let reactor = unsafe {
        assert_eq!(lariat_reactor_options_init(options.as_mut_ptr().cast(), size), 0);
        let options = options.assume_init_mut();
        options.clock = LARIAT_CLOCK_MANUAL;
        options.max_delayed_calls = if seed % 5 == 0 { 1_000_000 } else { 0 };
        lariat_reactor_new_with_options(std::ptr::from_mut(options).cast())
    };
    assert!(!reactor.is_null());
    reactor
}

impl World {
    fn new(seed: u64) -> Self {
        let reactor = manual_reactor(seed);
        LEVELS.with_borrow_mut(Vec::clear);
        let (handles, models, expected, timers) = (vec![], vec![], vec![], timers::Model::new(reactor, seed));
        Self { reactor, handles, models, expected, timers, random: Random::new(seed) }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random.below(below)
    }

    fn settle(&mut self, at: usize, result: Outcome) {
        self.models[at].called = true;
        self.models[at].result = Some(result);
        self.run(at);
    }

    fn run(&mut self, at: usize) {
        loop {
            let model = &mut self.models[at];
            if !model.called || model.running || model.pauses > 0 || model.waits_on.is_some() {
                return;
            }
            let Some((number, level)) = model.levels.pop_front() else { break };
            let got = model.result.take().unwrap_or(Ok(0));
            self.expected.push((number, got));
            let next = match (level, got) {
                (Level::AddOne, Ok(value)) => Ok(value + 1),
                (Level::AddOne, Err(_)) => Ok(1000),
                (Level::Fail(code), _) => Err(code),
                (Level::PassOn, got) => got,
                (Level::WaitFor(other), _) => match self.wait(at, other) {
                    Some(next) => next,
                    None => return,
                },
            };
            self.models[at].result = Some(next);
        }
        let waiter = self.models[at].waiter.filter(|waiter| self.models[*waiter].waits_on == Some(at));
        if let Some(waiter) = waiter {
            let result = self.models[at].result.replace(Ok(0)).unwrap_or(Ok(0));
            self.models[at].waiter = None;
            self.models[waiter].waits_on = None;
            self.models[waiter].result = Some(result);
            self.run(waiter);
        }
    }

    /// None: it has to wait.
    fn wait(&mut self, at: usize, other: usize) -> Option<Outcome> {
        if self.models[other].handed {
            return Some(Err(if self.is_gone(other) { STALE } else { ALREADY_WAITED }));
        }
        let mut up = Some(at);
        while let Some(one) = up {
            if one == other {
                return Some(Err(CYCLE));
            }
            up = self.models[one].waiter;
        }
        self.models[other].handed = true;
        let there = &mut self.models[other];
        if there.called && there.pauses == 0 && there.waits_on.is_none() && !there.running {
            return Some(there.result.replace(Ok(0)).unwrap_or(Ok(0)));
        }
        there.waiter = Some(at);
        self.models[at].waits_on = Some(other);
        None
    }

    fn step(&mut self) {
        let count = self.models.len() as u64;
        if count == 0 || (count < 40 && self.random(8) == 0) {
            // SAFETY: as everywhere here: any arguments are allowed.
            self.handles.push(unsafe { lariat_deferred_new(self.reactor) });
            return self.models.push(Model::default());
        }
        let at = self.random(count) as usize;
        let (handle, handed) = (self.handles[at], self.models[at].handed);
        match self.random(12) {
            0..4 => self.add_level(at),
            4 | 5 => self.fire(at),
            6 => {
                let status = unsafe { lariat_deferred_pause(handle) };
                assert_eq!(status == 0, !handed, "pause of {at}: {status}");
                self.models[at].pauses += u32::from(!handed);
            }
            7 | 8 if self.models[at].pauses > 0 => {
                assert_eq!(unsafe { lariat_deferred_unpause(handle) }, 0);
                self.models[at].pauses -= 1;
                self.run(at);
            }
            7 | 8 => assert!([INVALID_STATE, RELEASED, -3].contains(&unsafe { lariat_deferred_unpause(handle) })),
            9 if !self.is_gone(at) => {
                assert_eq!(unsafe { lariat_deferred_cancel(handle) }, 0);
                self.cancel(at);
            }
            _ => self.timers.step(),
        }
    }

    /// Both claims are over and the chain has run out: its handle is stale.
    fn is_gone(&self, at: usize) -> bool {
        let model = &self.models[at];
        model.handed && model.called && !model.swallow && model.waiter.is_none() && model.waits_on.is_none()
    }

    fn add_level(&mut self, at: usize) {
        let level = match self.random(6) {
            0 | 1 => Level::AddOne,
            2 => Level::Fail(1 + self.random(5) as i64),
            3 | 4 => Level::PassOn,
            _ => Level::WaitFor(self.random(self.models.len() as u64) as usize),
        };
        let other = if let Level::WaitFor(other) = level {
            if self.is_gone(other) {
                return;
            }
            self.handles[other]
        } else {
            null_mut()
        };
        let number = LEVELS.with_borrow_mut(|levels| {
            levels.push((level, other));
            levels.len() - 1
        });
        let data = number as Handle;
        let status = unsafe { lariat_deferred_add_callbacks(self.handles[at], value_level, failure_level, data) };
        if self.models[at].handed {
            return assert!(status == RELEASED || status == -3, "added to {at}, which was handed over: {status}");
        }
        assert_eq!(status, 0);
        self.models[at].levels.push_back((number, level));
        self.run(at);
    }

    fn fire(&mut self, at: usize) {
        if self.is_gone(at) {
            return;
        }
        let value = self.random(100) as i64;
        let failed = self.random(3) == 0;
        let status = match failed {
            true => unsafe { lariat_deferred_errback(self.handles[at], value as i32 + 1, std::ptr::null()) },
            false => unsafe { lariat_deferred_callback(self.handles[at], value as usize as Handle) },
        };
        let model = &mut self.models[at];
        match (model.called, std::mem::take(&mut model.swallow)) {
            (true, true) => assert_eq!(status, 0),
            (true, false) => assert_eq!(status, ALREADY_CALLED),
            (false, _) => {
                assert_eq!(status, 0);
                self.settle(at, if failed { Err(value + 1) } else { Ok(value) });
            }
        }
    }

    fn cancel(&mut self, mut at: usize) {
        while let Some(inner) = self.models[at].waits_on {
            at = inner;
        }
        if !self.models[at].called {
            self.models[at].swallow = true;
            self.settle(at, Err(CANCELLED));
        }
    }
}

/// The model of the timers goes ahead and writes a script: the calls that are made from outside and those that are made
/// by the timers' own calls inside of a turn, and between them what the library is to do meanwhile. When the script is
/// played, whoever is called by the library looks whether that is the next line, and goes on with what follows.
mod timers;

fn run(seed: u64) {
    if seed % 2 == 0 { run_all(seed, 500) } else { run_timers(seed, 300) }
}

/// Deferreds and timers.
fn run_all(seed: u64, steps: u64) {
    let mut world = World::new(seed);
    for step in 0..steps {
        world.step();
        let notes = NOTES.take();
        assert_eq!(notes, world.expected, "seed {seed}, step {step}");
        world.expected.clear();
    }
    world.timers.end();
    NOTES.take();
}

/// Timers alone.
fn run_timers(seed: u64, steps: u64) {
    let mut timers = timers::Model::new(manual_reactor(seed), seed);
    for _ in 0..steps {
        timers.step();
    }
    timers.end();
}

#[test]
fn random_sequences_do_as_the_model_does() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("LARIAT_MODEL_SEED") {
        return run(seed);
    }
    let end = Instant::now() + Duration::from_secs(number("LARIAT_MODEL_SECONDS").unwrap_or(5));
    let first = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_secs()) * 1_000_000;
    let mut seed = first;
    while seed < first + 2 || Instant::now() < end {
        run(seed);
        seed += 1;
    }
    println!("seeds {first} to {}", seed - 1);
}

#[test]
fn more_moves_in_a_turn_than_are_noted() {
    for seed in 1..3 {
        let mut timers = timers::Model::new(manual_reactor(seed), seed);
        timers.many_moves();
        timers.end();
    }
}
