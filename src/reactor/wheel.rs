//! The timing wheel: six levels of 64 buckets, no heap.
//!
//! A bucket is an append-only array of timer numbers; a timer knows its bucket and position, so that taking it out blanks
//! one entry. A timer moved to later stays where it is and is filed anew when its old bucket comes up. What the present
//! tick holds is sorted by (deadline, order of scheduling) just before it runs. Timers made inside a turn are *staged*:
//! they count from the turn's next reading of the clock, so that the clock is read once a turn and no timer is early.

use super::timers::DelayedCall;
use crate::handles::Item;
use crate::status::{Result, Status};

type Timer = Item<DelayedCall>;

/// A tick is 2^20 ns, about a millisecond.
const TICK_BITS: u32 = 20;
const LEVEL_BITS: u32 = 6;
const LEVELS: usize = 6;
const WHEEL: usize = LEVELS << LEVEL_BITS;
/// The bucket of what lies beyond the wheel's 2.3 years.
const BEYOND: u32 = WHEEL as u32;
/// In no bucket: staged, being called, or sorted to run.
const NOWHERE: u32 = BEYOND + 1;

const POSITION_BITS: u32 = 23;
/// Positions from here on are searched for.
const FAR: u32 = (1 << POSITION_BITS) - 1;

/// How many timers ahead the next ones are fetched.
const AHEAD: usize = 12;

#[derive(Default)]
struct Bucket {
    timers: Vec<u32>,
    /// Entries taken out and not yet swept up.
    blanks: usize,
}

#[derive(Clone, Copy)]
struct Due {
    deadline: u64,
    order: u32,
    timer: u32,
}

impl Due {
    /// The timer, if it still waits as it was when it was sorted in.
    fn timer(self) -> Option<Timer> {
        Timer::peek(self.timer).filter(|timer| timer.order() == self.order && bucket_of(*timer) == NOWHERE)
    }
}

/// See the module.
#[derive(Default)]
pub struct Wheel {
    /// The tick up to which buckets have been emptied.
    elapsed: u64,
    buckets: Vec<Bucket>,
    occupied: [u64; LEVELS],
    /// Sorted; those before `head` have run.
    current: Vec<Due>,
    head: usize,
    /// Of the present tick or before, not sorted in yet.
    incoming: Vec<u32>,
    staged: Vec<u32>,
    orders: u32,
}

fn bucket_of(timer: Timer) -> u32 {
    timer.link().get() >> POSITION_BITS
}

fn place(timer: Timer, bucket: u32, position: usize) {
    timer.link().set(bucket << POSITION_BITS | (position.min(FAR as usize) as u32));
}

fn tick_of(deadline: u64) -> u64 {
    deadline >> TICK_BITS
}

/// Room for one more, or an error: only moving timers between buckets may abort when memory is short.
fn reserve<T>(list: &mut Vec<T>) -> Result {
    if list.len() == list.capacity() {
        list.try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
    }
    Ok(())
}

impl Wheel {
    /// Starts the wheel at this time. Only while it is empty.
    pub fn start(&mut self, now: u64) -> Result {
        self.elapsed = tick_of(now);
        if self.buckets.is_empty() {
            self.buckets.try_reserve_exact(WHEEL + 1).map_err(|_| Status::ERR_NO_MEMORY)?;
            self.buckets.resize_with(WHEEL + 1, Bucket::default);
        }
        Ok(())
    }

    /// The next number in the order of scheduling.
    #[inline]
    fn next_order(&mut self) -> u32 {
        self.orders = self.orders.wrapping_add(1);
        self.orders
    }

    /// Files a new timer for the next reading of the clock plus `delay`.
    #[inline]
    pub fn stage(&mut self, timer: Timer, delay: u64) -> Result {
        reserve(&mut self.staged)?;
        timer.set_order(self.next_order());
        timer.set_staged(delay);
        place(timer, NOWHERE, 0);
        self.staged.push(timer.index());
        Ok(())
    }

    /// Files a new timer.
    pub fn add(&mut self, timer: Timer, deadline: u64) -> Result {
        reserve(self.list_for(tick_of(deadline)))?;
        timer.set_order(self.next_order());
        timer.set_deadline(deadline);
        self.file(timer, deadline);
        Ok(())
    }

    /// Moves a waiting timer to the next reading of the clock plus `delay`, after all that is scheduled already.
    #[inline]
    pub fn restage(&mut self, timer: Timer, delay: u64) -> Result {
        if !timer.is_staged() {
            reserve(&mut self.staged)?;
            self.staged.push(timer.index());
        }
        timer.set_order(self.next_order());
        timer.set_staged(delay);
        Ok(())
    }

    /// Moves a waiting timer to `deadline`, after all that is scheduled already.
    pub fn refile(&mut self, timer: Timer, deadline: u64) -> Result {
        let stays = self.comes_up_by(bucket_of(timer), tick_of(deadline));
        if !stays {
            reserve(self.list_for(tick_of(deadline)))?;
        }
        timer.set_order(self.next_order());
        timer.set_deadline(deadline);
        if !stays {
            self.take_out(timer);
            self.file(timer, deadline);
        }
        Ok(())
    }

    /// Whether the bucket comes up no later than `tick`, so that its timers can be filed for `tick` then.
    fn comes_up_by(&self, bucket: u32, tick: u64) -> bool {
        match bucket {
            NOWHERE.. => false,
            BEYOND => tick >> (LEVEL_BITS * LEVELS as u32) != self.elapsed >> (LEVEL_BITS * LEVELS as u32),
            bucket => self.start_of(bucket) <= tick,
        }
    }

    /// The first tick of a bucket.
    fn start_of(&self, bucket: u32) -> u64 {
        let shift = LEVEL_BITS * (bucket >> LEVEL_BITS);
        let above = self.elapsed >> (shift + LEVEL_BITS) << (shift + LEVEL_BITS);
        above | u64::from(bucket & 63) << shift
    }

    /// Which bucket a tick after the elapsed one belongs to: by the highest digit in which the two differ.
    #[inline]
    fn bucket_for(&self, tick: u64) -> u32 {
        let differ = 63 - ((tick ^ self.elapsed) | 1).leading_zeros();
        let level = differ / LEVEL_BITS;
        if level as usize >= LEVELS {
            return BEYOND;
        }
        level << LEVEL_BITS | (tick >> (LEVEL_BITS * level)) as u32 & 63
    }

    fn list_for(&mut self, tick: u64) -> &mut Vec<u32> {
        if tick <= self.elapsed {
            return &mut self.incoming;
        }
        let bucket = self.bucket_for(tick);
        &mut self.buckets[bucket as usize].timers
    }

    #[inline]
    fn file(&mut self, timer: Timer, deadline: u64) {
        let tick = tick_of(deadline);
        if tick <= self.elapsed {
            place(timer, NOWHERE, 0);
            self.incoming.push(timer.index());
            return;
        }
        let bucket = self.bucket_for(tick);
        let timers = &mut self.buckets[bucket as usize].timers;
        place(timer, bucket, timers.len());
        timers.push(timer.index());
        if bucket < BEYOND {
            self.occupied[(bucket >> LEVEL_BITS) as usize] |= 1 << (bucket & 63);
        }
    }

    /// Takes a timer out of its bucket; those in none are told apart by their state when they come up.
    #[inline]
    pub fn take_out(&mut self, timer: Timer) {
        let number = bucket_of(timer);
        if number >= NOWHERE {
            return;
        }
        let bucket = &mut self.buckets[number as usize];
        let position = timer.link().get() & FAR;
        let position = match position {
            FAR => {
                bucket.timers[FAR as usize..].iter().position(|one| *one == timer.index()).map(|at| at + FAR as usize)
            }
            near => Some(near as usize),
        };
        if let Some(position) = position {
            bucket.timers[position] = 0;
            bucket.blanks += 1;
        }
        place(timer, NOWHERE, 0);
        if bucket.blanks >= 64 && bucket.blanks * 4 > bucket.timers.len() * 3 {
            self.sweep(number);
        }
    }

    /// Closes the gaps of a bucket, so that timers that are always cancelled take no memory.
    #[cold]
    fn sweep(&mut self, number: u32) {
        let bucket = &mut self.buckets[number as usize];
        bucket.timers.retain(|timer| *timer != 0);
        bucket.timers.shrink_to(bucket.timers.len() * 2);
        bucket.blanks = 0;
        for (position, timer) in bucket.timers.iter().enumerate() {
            place(Timer::at(*timer), number, position);
        }
        if bucket.timers.is_empty() && number < BEYOND {
            self.occupied[(number >> LEVEL_BITS) as usize] &= !(1 << (number & 63));
        }
    }

    /// Gives every staged timer its deadline.
    fn stamp(&mut self, now: u64) {
        let staged = std::mem::take(&mut self.staged);
        for index in &staged {
            if let Some(timer) = Timer::peek(*index).filter(|timer| timer.is_staged()) {
                self.stamp_one(timer, now);
            }
        }
        // Kept for its memory, unless that is much.
        if staged.capacity() <= 4096 && self.staged.is_empty() {
            self.staged = staged;
            self.staged.clear();
        }
    }

    /// Gives a staged timer its deadline.
    pub fn stamp_one(&mut self, timer: Timer, now: u64) {
        let deadline = now.saturating_add(timer.staged_delay());
        timer.set_deadline(deadline);
        if !self.comes_up_by(bucket_of(timer), tick_of(deadline)) {
            self.take_out(timer);
            self.file(timer, deadline);
        }
    }

    /// Once a turn: files what is staged and sorts in what is due by `now`.
    pub fn expire(&mut self, now: u64) {
        if !self.staged.is_empty() {
            self.stamp(now);
        }
        let target = tick_of(now);
        if target > self.elapsed {
            self.advance(target);
        }
        if !self.incoming.is_empty() {
            self.sort_in();
        }
    }

    /// The next timer due by `now`, no longer waiting; it is the caller's to run and free.
    #[inline]
    pub fn next_due(&mut self, now: u64) -> Option<Timer> {
        while let Some(due) = self.current.get(self.head).copied() {
            if due.deadline > now {
                return None;
            }
            if let Some(ahead) = self.current.get(self.head + AHEAD) {
                Timer::prefetch(ahead.timer);
            }
            self.head += 1;
            if let Some(timer) = due.timer().filter(|timer| !timer.is_staged()) {
                return Some(timer);
            }
        }
        self.current.clear();
        self.head = 0;
        None
    }

    /// Whether `next_due` would give one.
    pub fn is_due(&self, now: u64) -> bool {
        let due = self.current[self.head..].iter().take_while(|due| due.deadline <= now);
        due.filter_map(|due| due.timer()).any(|timer| !timer.is_staged())
    }

    /// Empties the buckets up to the tick `target`.
    fn advance(&mut self, target: u64) {
        while let Some((bucket, start)) = self.next_bucket().filter(|(_, start)| *start <= target) {
            self.elapsed = start;
            self.empty(bucket);
        }
        let beyond = LEVEL_BITS * LEVELS as u32;
        let wraps = target >> beyond != self.elapsed >> beyond;
        self.elapsed = target;
        if wraps {
            self.empty(BEYOND);
        }
    }

    /// The next bucket with something in it, and its first tick. Buckets of lower levels come before those of higher ones.
    fn next_bucket(&self) -> Option<(u32, u64)> {
        (0..LEVELS as u32).find_map(|level| {
            let digit = (self.elapsed >> (LEVEL_BITS * level)) as u32 & 63;
            let later = self.occupied[level as usize] & (!1u64).checked_shl(digit).unwrap_or(0);
            (later != 0).then(|| {
                let bucket = level << LEVEL_BITS | later.trailing_zeros();
                (bucket, self.start_of(bucket))
            })
        })
    }

    /// Files the timers of a bucket that has come up by their deadlines.
    fn empty(&mut self, number: u32) {
        let bucket = &mut self.buckets[number as usize];
        let mut timers = std::mem::take(&mut bucket.timers);
        bucket.blanks = 0;
        if number < BEYOND {
            self.occupied[(number >> LEVEL_BITS) as usize] &= !(1 << (number & 63));
        }
        for at in 0..timers.len() {
            if let Some(ahead) = timers.get(at + AHEAD).filter(|ahead| **ahead != 0) {
                Timer::prefetch(*ahead);
            }
            if timers[at] != 0 {
                let timer = Timer::at(timers[at]);
                self.file(timer, timer.deadline());
            }
        }
        let kept = &mut self.buckets[number as usize].timers;
        if kept.is_empty() && timers.capacity() <= 4096 {
            timers.clear();
            *kept = timers;
        }
    }

    /// Sorts what has come up into what is waiting to run.
    fn sort_in(&mut self) {
        if self.head * 2 > self.current.len() {
            self.current.drain(..self.head);
            self.head = 0;
        }
        let now = self.orders;
        let mut sorted = true;
        let mut last = (0, 0);
        let first_new = self.current.len();
        for at in 0..self.incoming.len() {
            if let Some(ahead) = self.incoming.get(at + AHEAD) {
                Timer::prefetch(*ahead);
            }
            let index = self.incoming[at];
            // What was cancelled, staged or moved meanwhile is no longer here.
            let Some(timer) = Timer::peek(index).filter(|timer| bucket_of(*timer) == NOWHERE && !timer.is_staged())
            else {
                continue;
            };
            let due = Due { deadline: timer.deadline(), order: timer.order(), timer: index };
            let key = (due.deadline, !now.wrapping_sub(due.order));
            sorted &= last <= key;
            last = key;
            self.current.push(due);
        }
        self.incoming.clear();
        let key = |due: &Due| (due.deadline, !now.wrapping_sub(due.order));
        if !sorted {
            self.current[first_new..].sort_unstable_by_key(key);
        }
        let (old, new) = (self.head..first_new, first_new..self.current.len());
        if !old.is_empty() && !new.is_empty() && key(&self.current[new.start]) < key(&self.current[old.end - 1]) {
            // Both halves are sorted, which a stable sort merges in one go.
            self.current[self.head..].sort_by_key(key);
        }
    }

    /// Nothing waits for the next turn but what has a deadline.
    pub fn has_staged(&self) -> bool {
        !self.staged.is_empty()
    }

    /// No later than the next deadline, and exact when that is cheap: for a poll. Staged timers must be stamped.
    pub fn bound(&self) -> Option<u64> {
        let early = self.current_minimum();
        match (early, self.next_bucket()) {
            (Some(early), _) => Some(early),
            (None, Some((bucket, start))) if self.buckets[bucket as usize].timers.len() > 64 => {
                Some(start << TICK_BITS)
            }
            _ => self.next_deadline(),
        }
    }

    fn current_minimum(&self) -> Option<u64> {
        let sorted = self.current[self.head..].iter().find(|due| due.timer().is_some()).map(|due| due.deadline);
        let incoming = self.incoming.iter().filter_map(|index| Timer::peek(*index)).filter(|timer| !timer.is_staged());
        sorted.into_iter().chain(incoming.map(|timer| timer.deadline())).min()
    }

    /// The earliest deadline. Staged timers must be stamped.
    pub fn next_deadline(&self) -> Option<u64> {
        let mut best = self.current_minimum();
        for level in 0..LEVELS as u32 {
            let mut bits = self.occupied[level as usize];
            while bits != 0 {
                let bucket = level << LEVEL_BITS | bits.trailing_zeros();
                bits &= bits - 1;
                // A timer moved to later leaves its bucket's time; the buckets behind may then hold an earlier one.
                if best.is_some_and(|best| self.start_of(bucket) << TICK_BITS > best) {
                    break;
                }
                best = best.into_iter().chain(self.minimum_of(bucket)).min();
            }
        }
        best.or_else(|| self.minimum_of(BEYOND))
    }

    fn minimum_of(&self, bucket: u32) -> Option<u64> {
        let timers = self.buckets.get(bucket as usize)?.timers.iter();
        timers.filter(|timer| **timer != 0).map(|timer| Timer::at(*timer).deadline()).min()
    }

    /// Files what is staged, so that deadlines can be asked for.
    pub fn settle(&mut self, now: u64) {
        if !self.staged.is_empty() {
            self.stamp(now);
        }
    }
}
