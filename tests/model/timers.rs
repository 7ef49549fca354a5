use super::{Handle, Random};
use lariat::ffi::stats::lariat_stats;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::mem::MaybeUninit;

type Call = extern "C" fn(Handle);

unsafe extern "C" {
    fn lariat_reactor_free(reactor: Handle) -> i32;
    fn lariat_reactor_advance(reactor: Handle, seconds: f64) -> i32;
    fn lariat_reactor_iterate(reactor: Handle, seconds: f64) -> i32;
    fn lariat_reactor_run_frame(reactor: Handle, seconds: f64) -> i32;
    fn lariat_reactor_seconds(reactor: Handle) -> f64;
    fn lariat_reactor_call_later(reactor: Handle, seconds: f64, call: Call, data: Handle) -> Handle;
    fn lariat_reactor_call_later_full(
        reactor: Handle,
        seconds: f64,
        call: Call,
        data: Handle,
        free: Option<Call>,
    ) -> Handle;
    fn lariat_delayed_call_cancel(call: Handle) -> i32;
    fn lariat_delayed_call_reset(call: Handle, seconds: f64) -> i32;
    fn lariat_delayed_call_delay(call: Handle, seconds: f64) -> i32;
    fn lariat_delayed_call_active(call: Handle) -> i32;
    fn lariat_delayed_call_time(call: Handle) -> f64;
    fn lariat_stats_init(stats: *mut lariat_stats, size: u32) -> i32;
    fn lariat_reactor_stats(reactor: Handle, stats: *mut lariat_stats) -> i32;
}

const MORE: i32 = 1;
const STALE: i32 = -3;
const ALREADY_CALLED: i32 = -15;
const ALREADY_CANCELLED: i32 = -16;

const SECOND: u64 = 1_000_000_000;
/// The longest delay.
const LONGEST: u64 = SECOND * SECOND;
/// Beyond the wheel's last level.
const WHEEL: u64 = 1 << 56;
/// Turns that an advance makes at one instant.
const TURNS: u32 = 1000;

/// So many moves in one turn have the library settle them.
const NOTED: usize = 1 << 10;

/// A line of the script. Times and delays are nanoseconds, timers are numbered as they are made.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Line {
    // What is done: first the timer, then what it is given or must be.
    /// And whether it owns its data.
    Schedule(usize, u64, bool),
    Cancel(usize),
    Reset(usize, u64),
    Delay(usize, u64),
    IsActive(usize),
    IsAt(usize, u64),
    /// It is running or over: what is answered about its activity, and otherwise.
    Refused(usize, i32, i32),
    Advance(u64),
    Turn,
    /// What it answers.
    Frame(i32),
    AliveAre(u64),
    /// The reactor is freed, and what remains with it, in any order.
    Ends,
    // What the library is to do.
    /// And at what time.
    Called(usize, u64),
    /// The call is over.
    Returns,
    /// And what a cancellation is answered meanwhile.
    Freed(usize, i32),
}

// ---- The player: knows nothing of timers but their handles.

struct Player {
    reactor: Handle,
    script: VecDeque<Line>,
    handles: Vec<Handle>,
    freed: usize,
    wrong: Option<String>,
}

impl Player {
    const fn new(reactor: Handle) -> Self {
        Self { reactor, script: VecDeque::new(), handles: Vec::new(), freed: 0, wrong: None }
    }
}

thread_local! {
    static PLAYER: RefCell<Player> = const { RefCell::new(Player::new(std::ptr::null_mut())) };
}

/// A delay in seconds such that the library gets the very nanoseconds: see [`exact`].
fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / SECOND as f64
}

/// The next line; none after something went wrong.
fn next() -> Option<Line> {
    PLAYER.with_borrow_mut(|player| if player.wrong.is_none() { player.script.pop_front() } else { None })
}

fn is_wrong(what: String) {
    PLAYER.with_borrow_mut(|player| _ = player.wrong.get_or_insert(what));
}

fn check<T: PartialEq + Debug>(line: Line, got: T, expected: T) {
    if got != expected {
        is_wrong(format!("{line:?}: got {got:?} instead of {expected:?}"));
    }
}

/// Plays what is to be done by the timer that is called, or from outside.
fn play() {
    while let Some(line) = next() {
        if line == Line::Returns {
            return;
        }
        make(line);
    }
}

fn make(line: Line) {
    let reactor = PLAYER.with_borrow(|player| player.reactor);
    let handle = |timer: usize| PLAYER.with_borrow(|player| player.handles[timer]);
    unsafe {
        match line {
            Line::Schedule(timer, delay, owning) => {
                let (delay, data) = (seconds(delay), timer as Handle);
                let handle = match owning {
                    true => lariat_reactor_call_later_full(reactor, delay, called, data, Some(freed)),
                    false if timer % 4 == 0 => lariat_reactor_call_later_full(reactor, delay, called, data, None),
                    false => lariat_reactor_call_later(reactor, delay, called, data),
                };
                check(line, handle.is_null(), false);
                PLAYER.with_borrow_mut(|player| player.handles.push(handle));
            }
            Line::Cancel(timer) => check(line, lariat_delayed_call_cancel(handle(timer)), 0),
            Line::Reset(timer, delay) => check(line, lariat_delayed_call_reset(handle(timer), seconds(delay)), 0),
            Line::Delay(timer, delay) => check(line, lariat_delayed_call_delay(handle(timer), seconds(delay)), 0),
            Line::IsActive(timer) => check(line, lariat_delayed_call_active(handle(timer)), 1),
            Line::IsAt(timer, time) => check(line, lariat_delayed_call_time(handle(timer)), seconds(time)),
            Line::Refused(timer, active, status) => {
                let handle = handle(timer);
                check(line, lariat_delayed_call_active(handle), active);
                check(line, lariat_delayed_call_cancel(handle), status);
                check(line, lariat_delayed_call_reset(handle, 0.0), status);
                check(line, lariat_delayed_call_delay(handle, 0.0), status);
            }
            Line::Advance(by) => check(line, lariat_reactor_advance(reactor, seconds(by)), 0),
            Line::Turn => check(line, lariat_reactor_iterate(reactor, 0.0), 0),
            Line::Frame(status) => check(line, lariat_reactor_run_frame(reactor, 0.0), status),
            Line::AliveAre(count) => check(line, alive(reactor), count),
            Line::Called(..) | Line::Returns | Line::Freed(..) => is_wrong(format!("{line:?} did not come")),
            Line::Ends => {
                PLAYER.with_borrow_mut(|player| player.script.push_back(Line::Ends));
                check(line, lariat_reactor_free(reactor), 0);
                PLAYER.with_borrow_mut(|player| player.script.clear());
            }
        }
    }
}

fn alive(reactor: Handle) -> u64 {
    let mut stats = MaybeUninit::<lariat_stats>::uninit();
    unsafe {
        assert_eq!(lariat_stats_init(stats.as_mut_ptr(), size_of::<lariat_stats>() as u32), 0);
        assert_eq!(lariat_reactor_stats(reactor, stats.as_mut_ptr()), 0);
        stats.assume_init().delayed_calls
    }
}

extern "C" fn called(data: Handle) {
    let timer = data.addr();
    let time = unsafe { lariat_reactor_seconds(PLAYER.with_borrow(|player| player.reactor)) };
    match next() {
        Some(Line::Called(expected, now)) if expected == timer && seconds(now) == time => play(),
        other => is_wrong(format!("{timer} called at {time} instead of {other:?}")),
    }
}

extern "C" fn freed(data: Handle) {
    let (timer, ends) = PLAYER.with_borrow_mut(|player| {
        player.freed += 1;
        (data.addr(), player.script.front() == Some(&Line::Ends))
    });
    if ends {
        return;
    }
    match next() {
        Some(line @ Line::Freed(expected, status)) if expected == timer => {
            let handle = PLAYER.with_borrow(|player| player.handles[timer]);
            check(line, unsafe { lariat_delayed_call_cancel(handle) }, status);
        }
        other => is_wrong(format!("{timer} freed instead of {other:?}")),
    }
}

// ---- The model: a map of what waits by deadline and order of scheduling.

/// What a timer's call does.
#[derive(Clone, Copy)]
enum Does {
    Nothing,
    /// So many things with timers.
    Acts(u64),
    /// Schedules itself again with no delay so many times.
    Again(u64),
    ClearsOut,
    /// Resets all that wait, more often than the library notes in one turn.
    MovesAll,
}

struct Timer {
    deadline: u64,
    order: u64,
    waits: bool,
    owning: bool,
    does: Does,
}

pub struct Model {
    seed: u64,
    random: Random,
    script: Vec<Line>,
    timers: Vec<Timer>,
    queue: BTreeMap<(u64, u64), usize>,
    /// What waits, and some that did.
    listed: Vec<usize>,
    now: u64,
    orders: u64,
    /// What the present turn has still to call, if that was not touched since: one that a frame left in the middle.
    turn: Option<VecDeque<(u64, usize)>>,
    running: Option<usize>,
    /// The timer and the delay that were used last.
    last: (usize, u64),
    /// Of the longest random delay of this run.
    bits: u64,
}

/// What a double of seconds can say: nanoseconds for less than 13 days, whole seconds beyond.
fn exact(nanoseconds: u64) -> u64 {
    let most = nanoseconds.min(LONGEST);
    if most < 1 << 50 { most } else { most - most % SECOND }
}

impl Model {
    pub fn new(reactor: Handle, seed: u64) -> Self {
        PLAYER.set(Player::new(reactor));
        let mut random = Random::new(!seed);
        let bits = [12, 22, 28, 40, 50, 60][random.below(6) as usize];
        Self {
            seed,
            random,
            script: vec![],
            timers: vec![],
            queue: BTreeMap::new(),
            listed: vec![],
            now: 0,
            orders: 0,
            turn: None,
            running: None,
            last: (0, 0),
            bits,
        }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random.below(below)
    }

    fn is_one_in(&mut self, many: u64) -> bool {
        self.random(many) == 0
    }

    /// Something from outside of a turn, in the model, then in the library.
    pub fn step(&mut self) {
        match self.random(32) {
            0..12 => self.act(),
            12..24 => {
                let by = self.advance_by();
                self.advance(by);
            }
            24 | 25 => self.one_turn(),
            26..30 => self.frame(),
            _ if !self.is_one_in(4) => self.act(),
            _ if self.is_one_in(2) => self.clear_out(),
            _ => self.burst(),
        }
        self.play();
    }

    fn play(&mut self) {
        let script = self.script.drain(..);
        PLAYER.with_borrow_mut(|player| player.script.extend(script));
        play();
        PLAYER.with_borrow_mut(|player| {
            let rest = player.script.front();
            assert!(player.wrong.is_none() && rest.is_none(), "seed {}: {:?}, {rest:?}", self.seed, player.wrong);
        });
    }

    /// Takes back or runs what is left, or leaves it to the reactor, which is freed.
    pub fn end(mut self) {
        self.script.push(Line::AliveAre(self.queue.len() as u64));
        while self.turn.is_some() {
            self.frame();
        }
        if self.is_one_in(2) {
            while let Some(timer) = self.queue.values().next().copied() {
                self.cancel(timer);
            }
            self.script.push(Line::AliveAre(0));
        }
        self.script.push(Line::Ends);
        self.play();
        PLAYER.with_borrow_mut(|player| {
            assert_eq!(player.handles.len(), self.timers.len());
            assert_eq!(player.freed, self.timers.iter().filter(|timer| timer.owning).count());
            // Stale; or their slots are those of another test's thread by now, and none of ours.
            assert!(player.handles.iter().all(|handle| unsafe { lariat_delayed_call_active(*handle) } < 0));
        });
    }

    /// Delays of all scales, such as end at the beginning of a bucket, and some that were there before.
    fn delay(&mut self) -> u64 {
        let delay = match self.random(8) {
            0 => 0,
            1 => self.last.1,
            2 => self.deadline_of_one().saturating_sub(self.now),
            3 => {
                let bucket = 20 + 6 * self.random((self.bits / 6 - 1).min(7));
                (1 << bucket) - self.now % (1 << bucket) + self.random(3) - 1
            }
            _ => {
                let bits = self.random(self.bits + 1);
                self.random(1 << bits)
            }
        };
        self.last.1 = exact(delay);
        self.last.1
    }

    fn advance_by(&mut self) -> u64 {
        let next = self.queue.first_key_value().map_or(self.now, |((deadline, _), _)| *deadline);
        let by = match self.random(6) {
            0 => next.saturating_sub(self.now),
            1 => next.saturating_sub(self.now + 1),
            2 => self.deadline_of_one().saturating_sub(self.now),
            _ => self.delay(),
        };
        // The clock must not come to its end.
        exact(if self.now > 1 << 63 { by.min(SECOND) } else { by.min(WHEEL * 3) })
    }

    fn deadline_of_one(&mut self) -> u64 {
        self.pick().map_or(self.now, |timer| self.timers[timer].deadline)
    }

    /// A timer that waits: any, the one used last, one of the newest, or one that is to run in this turn.
    fn pick(&mut self) -> Option<usize> {
        let count = self.timers.len();
        let one = match self.random(6) {
            0 => Some(self.last.0),
            1 if count > 0 => Some(count - 1 - self.random(count.min(5) as u64) as usize),
            2 | 3 => {
                let turn = self.turn.as_ref().filter(|turn| !turn.is_empty());
                let place = turn.map(|turn| self.random.below(turn.len().min(9) as u64) as usize);
                place.and_then(|place| self.turn.as_ref().map(|turn| turn[place].1))
            }
            _ => None,
        };
        if let Some(one) = one.filter(|one| self.timers.get(*one).is_some_and(|timer| timer.waits)) {
            return Some(one);
        }
        while !self.listed.is_empty() {
            let place = self.random(self.listed.len() as u64) as usize;
            if self.timers[self.listed[place]].waits {
                return Some(self.listed[place]);
            }
            self.listed.swap_remove(place);
        }
        None
    }

    // -- What is done from outside and by calls alike.

    fn act(&mut self) {
        match self.pick() {
            Some(timer) if !self.is_one_in(3) => self.touch(timer),
            _ if !self.timers.is_empty() && self.is_one_in(8) => {
                let timer = self.random(self.timers.len() as u64) as usize;
                self.touch(timer);
            }
            _ => {
                for _ in 0..=self.random(3) {
                    let (delay, does) = (self.delay(), self.does());
                    self.schedule(delay, does);
                }
            }
        }
    }

    fn does(&mut self) -> Does {
        match self.random(500) {
            0 => Does::Again(self.random(u64::from(TURNS) * 5 / 2)),
            1..4 => Does::ClearsOut,
            4..150 => Does::Acts(1 + self.random(4)),
            _ => Does::Nothing,
        }
    }

    fn touch(&mut self, timer: usize) {
        self.last.0 = timer;
        if !self.timers[timer].waits {
            let (active, status) = if self.running == Some(timer) { (0, ALREADY_CALLED) } else { (STALE, STALE) };
            return self.script.push(Line::Refused(timer, active, status));
        }
        match self.random(8) {
            0 => self.cancel(timer),
            1..4 => self.reset(timer),
            4 | 5 => {
                let delay = self.delay();
                self.script.push(Line::Delay(timer, delay));
                self.move_to(timer, self.timers[timer].deadline.saturating_add(delay));
            }
            6 => self.script.push(Line::IsAt(timer, self.timers[timer].deadline)),
            _ => self.script.push(Line::IsActive(timer)),
        }
    }

    fn schedule(&mut self, delay: u64, does: Does) {
        let (timer, owning) = (self.timers.len(), self.is_one_in(3));
        self.script.push(Line::Schedule(timer, delay, owning));
        self.timers.push(Timer { deadline: 0, order: 0, waits: true, owning, does });
        self.listed.push(timer);
        self.move_to(timer, self.now.saturating_add(delay));
    }

    fn reset(&mut self, timer: usize) {
        let delay = self.delay();
        self.script.push(Line::Reset(timer, delay));
        self.move_to(timer, self.now.saturating_add(delay));
    }

    fn cancel(&mut self, timer: usize) {
        self.script.push(Line::Cancel(timer));
        self.take_out(timer);
        self.free(timer, ALREADY_CANCELLED);
    }

    fn move_to(&mut self, timer: usize, deadline: u64) {
        self.take_out(timer);
        self.orders += 1;
        let it = &mut self.timers[timer];
        (it.deadline, it.order, it.waits) = (deadline, self.orders, true);
        self.queue.insert((deadline, self.orders), timer);
    }

    fn take_out(&mut self, timer: usize) {
        let it = &mut self.timers[timer];
        it.waits = false;
        self.queue.remove(&(it.deadline, it.order));
    }

    fn free(&mut self, timer: usize, status: i32) {
        if self.timers[timer].owning {
            self.script.push(Line::Freed(timer, status));
        }
    }

    /// Some thousands, many of which come up together.
    fn burst(&mut self) {
        let (least, spread) = (self.delay(), 1 << self.random(self.bits.min(48)));
        for _ in 0..100 + self.random(3000) {
            let does = if self.is_one_in(20) { self.does() } else { Does::Nothing };
            let delay = exact(least + self.random(spread));
            self.schedule(delay, does);
        }
    }

    /// Cancels most, in random order; some are moved before, and not forgotten.
    fn clear_out(&mut self) {
        for last in (1..self.listed.len()).rev() {
            let other = self.random(last as u64 + 1) as usize;
            self.listed.swap(last, other);
        }
        let kept: Vec<usize> = (0..8).filter_map(|_| self.pick()).collect();
        kept.iter().for_each(|timer| self.reset(*timer));
        for timer in self.listed.clone() {
            match self.random(12) {
                0 => self.touch(timer),
                1 => {
                    let delay = self.delay();
                    self.schedule(delay, Does::Nothing);
                }
                _ if self.timers[timer].waits && !kept.contains(&timer) => self.cancel(timer),
                _ => {}
            }
        }
        kept.iter().for_each(|timer| self.touch(*timer));
    }

    /// All, then a few again and again. Nothing is asked before the end: only the number of the moves may have the
    /// library settle them.
    fn move_all(&mut self) {
        let waiting: Vec<usize> = self.queue.values().copied().collect();
        let few = &waiting[..100];
        for timer in waiting.iter().chain(few.iter().cycle().take(NOTED)) {
            match (self.timers[*timer].waits, self.is_one_in(100)) {
                (true, true) if !few.contains(timer) => self.cancel(*timer),
                (true, _) => self.reset(*timer),
                _ => {}
            }
        }
        few.iter().for_each(|timer| self.touch(*timer));
    }

    // -- Turns.

    /// As the library says it: deadline by deadline, turn after turn while something is due, but not for ever.
    fn advance(&mut self, by: u64) {
        self.script.push(Line::Advance(by));
        let target = self.now + by;
        let mut turns = 0;
        while let Some(deadline) = self.queue.keys().next().map(|key| key.0).filter(|next| *next <= target) {
            turns = if deadline > self.now { 0 } else { turns + 1 };
            if turns > TURNS {
                break;
            }
            self.now = self.now.max(deadline);
            self.turn(false);
        }
        self.now = target;
        self.turn(false);
    }

    fn one_turn(&mut self) {
        self.script.push(Line::Turn);
        self.turn(false);
    }

    /// A turn in pieces: with a budget of nothing, one call is made at a time.
    fn frame(&mut self) {
        let place = self.script.len();
        self.script.push(Line::Turn);
        let status = if self.turn(true) { MORE } else { 0 };
        self.script[place] = Line::Frame(status);
    }

    /// A turn calls what is due when it begins, and of that what waits and was not scheduled anew meanwhile. True:
    /// something is left.
    fn turn(&mut self, only_one: bool) -> bool {
        if self.turn.is_none() {
            let due = self.queue.range(..=(self.now, u64::MAX));
            self.turn = Some(due.map(|((_, order), timer)| (*order, *timer)).collect());
        }
        while let Some((order, timer)) = self.turn.as_mut().and_then(VecDeque::pop_front) {
            if !self.is_as_it_was(timer, order) {
                continue;
            }
            self.call(timer);
            if only_one && self.turn.iter().flatten().any(|(order, timer)| self.is_as_it_was(*timer, *order)) {
                return true;
            }
        }
        self.turn = None;
        false
    }

    fn is_as_it_was(&self, timer: usize, order: u64) -> bool {
        self.timers[timer].waits && self.timers[timer].order == order
    }

    fn call(&mut self, timer: usize) {
        self.take_out(timer);
        self.running = Some(timer);
        self.script.push(Line::Called(timer, self.now));
        match self.timers[timer].does {
            Does::Nothing => {}
            Does::Acts(count) => (0..count).for_each(|_| self.act()),
            Does::Again(0) => {}
            Does::Again(times) => self.schedule(0, Does::Again(times - 1)),
            Does::ClearsOut => self.clear_out(),
            Does::MovesAll => self.move_all(),
        }
        self.script.push(Line::Returns);
        self.running = None;
        self.free(timer, ALREADY_CALLED);
    }

    pub fn many_moves(&mut self) {
        for _ in 0..5_000 {
            let delay = self.delay();
            self.schedule(delay, Does::Nothing);
        }
        self.schedule(0, Does::MovesAll);
        self.play();
        self.advance(0);
        self.play();
        self.advance(exact(WHEEL));
        self.play();
    }
}
