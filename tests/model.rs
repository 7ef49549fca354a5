//! Random sequences of calls, through the C API, beside a model simple enough to be believed: Deferreds with their
//! callbacks, pauses, cancellations and waits; timers on a manual clock. Every callback notes what it got; after each
//! call the notes must be the model's. `LARIAT_MODEL_SEED` repeats a run, `LARIAT_MODEL_SECONDS` makes it longer.

// SAFETY of them all: the C API may be called with any arguments, from the thread that owns the reactor.
#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "all are calls of the C API, about which one thing is to be said"
)]

use lariat as _;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::{c_char, c_void};
use std::ptr::null_mut;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

type Handle = *mut c_void;
type Callback = extern "C" fn(Handle, Handle, Handle) -> Handle;

unsafe extern "C" {
    fn lariat_reactor_options_init(options: Handle, size: u32) -> i32;
    fn lariat_reactor_new_with_options(options: Handle) -> Handle;
    fn lariat_reactor_free(reactor: Handle) -> i32;
    fn lariat_reactor_advance(reactor: Handle, seconds: f64) -> i32;
    fn lariat_reactor_call_later(reactor: Handle, seconds: f64, call: extern "C" fn(Handle), data: Handle) -> Handle;
    fn lariat_delayed_call_cancel(call: Handle) -> i32;
    fn lariat_delayed_call_reset(call: Handle, seconds: f64) -> i32;
    fn lariat_delayed_call_delay(call: Handle, seconds: f64) -> i32;
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

extern "C" fn timer_call(data: Handle) {
    note(data.addr(), Ok(-1));
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
    timers: Vec<(usize, Handle, u64, u64)>,
    now: u64,
    order: u64,
    random: u64,
}

/// A tick of the timers' model: a quarter of a millisecond, so that several fall into one of the wheel's.
const TICK: f64 = 0.00025;

impl World {
    fn new(seed: u64) -> Self {
        let mut options = [0u64; 64];
        let pointer = options.as_mut_ptr().cast::<c_void>();
        // SAFETY: the buffer is larger than the options; the third word is the clock, 1 the manual one.
        let reactor = unsafe {
            let size = options_size();
            assert_eq!(lariat_reactor_options_init(pointer, size), 0);
            pointer.cast::<i32>().add(2).write(1);
            lariat_reactor_new_with_options(pointer)
        };
        assert!(!reactor.is_null());
        LEVELS.with_borrow_mut(Vec::clear);
        let (handles, models, expected, timers) = (vec![], vec![], vec![], vec![]);
        Self { reactor, handles, models, expected, timers, now: 0, order: 0, random: seed | 1 }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % below
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
            _ => self.timer_step(),
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

    fn timer_step(&mut self) {
        let ticks = [0, 1, 2, 5, 17, 300, 70_000, 9_000_000][self.random(8) as usize] + self.random(3);
        let seconds = ticks as f64 * TICK;
        let waiting = self.timers.len() as u64;
        self.order += 1;
        match self.random(6) {
            0..3 => {
                let number = 1_000_000_000 + self.order as usize;
                let call = unsafe { lariat_reactor_call_later(self.reactor, seconds, timer_call, number as Handle) };
                assert!(!call.is_null());
                self.timers.push((number, call, self.now + ticks, self.order));
            }
            3 if waiting > 0 => {
                let at = self.random(waiting) as usize;
                assert_eq!(unsafe { lariat_delayed_call_cancel(self.timers.swap_remove(at).1) }, 0);
            }
            4 if waiting > 0 => {
                let (at, resets) = (self.random(waiting) as usize, self.random(2) == 0);
                let (now, order, timer) = (self.now, self.order, &mut self.timers[at]);
                timer.2 = if resets { now } else { timer.2 } + ticks;
                timer.3 = order;
                let moved = if resets { lariat_delayed_call_reset } else { lariat_delayed_call_delay };
                assert_eq!(unsafe { moved(timer.1, seconds) }, 0);
            }
            _ => {
                assert_eq!(unsafe { lariat_reactor_advance(self.reactor, seconds) }, 0);
                self.now += ticks;
                self.timers.sort_by_key(|timer| (timer.2, timer.3));
                let due = self.timers.partition_point(|timer| timer.2 <= self.now);
                self.expected.extend(self.timers.drain(..due).map(|timer| (timer.0, Ok(-1))));
            }
        }
    }
}

/// The size of `lariat_reactor_options` as its init accepts it: the largest it fills.
fn options_size() -> u32 {
    size_of::<lariat::ffi::options::lariat_reactor_options>() as u32
}

fn run(seed: u64, steps: u64) {
    let mut world = World::new(seed);
    for step in 0..steps {
        world.step();
        let notes = NOTES.take();
        assert_eq!(notes, world.expected, "seed {seed}, step {step}");
        world.expected.clear();
    }
    assert_eq!(unsafe { lariat_reactor_free(world.reactor) }, 0);
    NOTES.take();
}

#[test]
fn random_sequences_do_as_the_model_does() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("LARIAT_MODEL_SEED") {
        return run(seed, 500);
    }
    let end = Instant::now() + Duration::from_secs(number("LARIAT_MODEL_SECONDS").unwrap_or(5));
    let first = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_secs()) * 1_000_000;
    let mut seed = first;
    while seed == first || Instant::now() < end {
        run(seed, 500);
        seed += 1;
    }
    println!("seeds {first} to {}, 500 steps each", seed - 1);
}
