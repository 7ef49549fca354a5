//! The timing wheel: six levels of 64 buckets, no heap.
//!
//! A bucket is an append-only array of timer numbers with their ticks; a timer knows its place, its bucket and position,
//! and an entry counts only while its timer knows that place: taking a timer out touches no bucket, filing a bucket anew
//! touches only the timers' slots. A timer moved to later keeps its place and is filed anew when that comes up. What the
//! present tick holds is sorted by (deadline, order of scheduling) just before it runs. Timers made inside a turn are
//! *staged*: they count from the next reading of the clock, so that it is read once a turn and no timer is early.

use super::timers::{Call, DelayedCall};
use crate::handles::{Item, Word, index_of};
use crate::status::{Result, Status};

type Timer = Item<DelayedCall>;

/// A tick is 2^20 ns, about a millisecond.
const TICK_BITS: u32 = 20;
const LEVEL_BITS: u32 = 6;
const LEVELS: usize = 6;
const WHEEL: usize = LEVELS << LEVEL_BITS;
/// The bucket of what lies beyond the wheel's 2.3 years.
const BEYOND: u32 = WHEEL as u32;
/// In no bucket: staged, waiting to be sorted, or sorted.
const NOWHERE: u32 = BEYOND + 1;

const POSITION_BITS: u32 = 21;
/// All positions from here on.
const FAR: u32 = (1 << POSITION_BITS) - 1;

/// So many moves are noted before they are settled, with another reading of the clock: few enough that what they touched
/// is still in the cache, and that timers moved in a loop take no memory.
const MANY_MOVES: usize = 1 << 10;

/// How many timers ahead the next ones are fetched.
const AHEAD: usize = 12;

/// Where a timer is: the word of its slot. A bucket's number, two flags, the position in the bucket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Place(u32);

impl Place {
    const BUCKET_SHIFT: u32 = POSITION_BITS + 2;
    /// The deadline is a delay that counts from the next reading of the clock.
    const STAGED: u32 = 1 << (POSITION_BITS + 1);
    /// It has no scope, owns nothing, and waits.
    const IS_PLAIN: u32 = 1 << POSITION_BITS;

    /// In no bucket, and plain.
    pub const PLAIN: Place = Place(NOWHERE << Self::BUCKET_SHIFT | Self::IS_PLAIN);
    /// In no bucket, and not plain.
    pub const OWNING: Place = Place(NOWHERE << Self::BUCKET_SHIFT);
    /// Being called.
    pub const CALLED: Place = Place((NOWHERE + 1) << Self::BUCKET_SHIFT);
    /// Cancelled, and what it owns being freed.
    pub const CANCELLED: Place = Place((NOWHERE + 2) << Self::BUCKET_SHIFT);

    #[inline(always)]
    pub fn of(timer: Timer) -> Place {
        Place(timer.link().get())
    }

    #[inline(always)]
    pub fn set(self, timer: Timer) {
        timer.link().set(self.0);
    }

    #[inline(always)]
    pub fn waits(self) -> bool {
        self.0 < Self::CALLED.0
    }

    #[inline(always)]
    pub fn is_called(self) -> bool {
        self == Self::CALLED
    }

    #[inline(always)]
    pub fn is_staged(self) -> bool {
        self.0 & Self::STAGED != 0
    }

    #[inline(always)]
    pub fn is_plain(self) -> bool {
        self.0 & Self::IS_PLAIN != 0
    }

    #[inline(always)]
    pub fn is_in_bucket(self) -> bool {
        self.bucket() <= BEYOND
    }

    #[inline(always)]
    fn bucket(self) -> u32 {
        self.0 >> Self::BUCKET_SHIFT
    }

    /// In no bucket, and with its deadline known.
    #[inline(always)]
    fn is_due_soon(self) -> bool {
        self.bucket() == NOWHERE && !self.is_staged()
    }

    #[inline(always)]
    fn staged(self) -> Place {
        Place(self.0 | Self::STAGED)
    }

    #[inline(always)]
    fn stamped(self) -> Place {
        Place(self.0 & !Self::STAGED)
    }

    /// The same timer, with its deadline known, in another place.
    #[inline(always)]
    fn moved(self, bucket: u32, position: usize) -> Place {
        Place(self.0 & Self::IS_PLAIN | bucket << Self::BUCKET_SHIFT | position.min(FAR as usize) as u32)
    }

    /// Whether this is the place: two far ones look alike, so that a timer may be met twice; the second time it is
    /// elsewhere, or over.
    #[inline(always)]
    fn is(self, bucket: u32, position: usize) -> bool {
        self.bucket() == bucket && self.0 & FAR == position.min(FAR as usize) as u32
    }
}

/// A timer in a bucket, and the low bits of the tick that it was filed for: of the deadline, or earlier.
#[derive(Clone, Copy)]
struct Filed {
    timer: u32,
    tick: u32,
}

#[derive(Default)]
struct Bucket {
    timers: Vec<Filed>,
    /// Entries whose timer is elsewhere or over, and how many of them there may be before it is seen whether too many.
    gone: u32,
    may_go: u32,
}

/// A timer that is to come after `delay` from the next reading of the clock, whatever it was before.
struct Moved {
    timer: Word,
    delay: u64,
    order: u32,
}

#[derive(Clone, Copy)]
struct Due {
    deadline: u64,
    order: u32,
    timer: u32,
}

impl Due {
    /// By this they are sorted: the order of scheduling counts back from `now`, since its numbers wrap.
    #[inline(always)]
    fn key(&self, now: u32) -> (u64, u32) {
        (self.deadline, !now.wrapping_sub(self.order))
    }

    /// The timer, if it still waits as it was when it was sorted in.
    #[inline(always)]
    fn timer(self) -> Option<Timer> {
        Timer::peek(self.timer)
            .filter(|timer| Place::of(*timer).is_due_soon() && timer.beside().order.get() == self.order)
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
    /// For sorting.
    unsorted: Vec<Due>,
    /// New timers whose deadline is still a delay.
    staged: Vec<u32>,
    moved: Vec<Moved>,
    orders: u32,
}

#[inline(always)]
fn tick_of(deadline: u64) -> u64 {
    deadline >> TICK_BITS
}

/// How many of a bucket's entries may be gone: three quarters.
fn may_go(entries: usize) -> u32 {
    (entries / 4 * 3).max(64) as u32
}

/// A list that has been gone through, kept for its memory unless that is much.
fn emptied<T>(mut list: Vec<T>) -> Vec<T> {
    list.clear();
    if list.capacity() * size_of::<T>() > 1 << 20 { Vec::new() } else { list }
}

fn deadline_of(timer: Timer) -> u64 {
    timer.beside().deadline.get()
}

/// Room for one more, or an error: only moving timers between buckets may abort when memory is short.
#[inline(always)]
fn reserve<T>(list: &mut Vec<T>) -> Result {
    if list.len() == list.capacity() { grow(list) } else { Ok(()) }
}

#[cold]
#[inline(never)]
fn grow<T>(list: &mut Vec<T>) -> Result {
    list.try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)
}

/// The timer of an entry, if that is still its place.
#[inline(always)]
fn timer_in(filed: Filed, bucket: u32, position: usize) -> Option<Timer> {
    Timer::peek(filed.timer).filter(|timer| Place::of(*timer).is(bucket, position))
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

    /// Whether there is room for one more in the list of those that are staged.
    #[inline(always)]
    pub fn can_stage(&self) -> bool {
        self.staged.len() < self.staged.capacity()
    }

    /// Files a new timer for the next reading of the clock plus `delay`.
    #[inline(always)]
    pub fn stage(&mut self, timer: Timer, beside: &Call, place: Place, delay: u64) -> Result {
        // First, since a timer that there is no room for is taken out again.
        place.staged().set(timer);
        reserve(&mut self.staged)?;
        self.staged.push(timer.index());
        self.schedule(beside, delay);
        Ok(())
    }

    /// Files a new timer.
    pub fn add(&mut self, timer: Timer, place: Place, deadline: u64) -> Result {
        place.set(timer);
        self.reserve_for(tick_of(deadline))?;
        self.schedule(timer.beside(), deadline);
        self.file(timer, place, tick_of(deadline));
        Ok(())
    }

    /// Moves a waiting timer to the next reading of the clock plus `delay`, after all that is scheduled already. It is
    /// only noted: what lies beside the timer is fetched when they all are stamped, many at a time.
    pub fn restage(&mut self, timer: Timer, delay: u64) -> Result {
        reserve(&mut self.moved)?;
        self.restage_quickly(timer, delay).ok_or(Status::ERR_NO_MEMORY)
    }

    /// The same if there is room for the note, and there are not so many that they should be settled first.
    #[inline(always)]
    pub fn restage_quickly(&mut self, timer: Timer, delay: u64) -> Option<()> {
        if self.moved.len() == self.moved.capacity() {
            return None;
        }
        self.orders = self.orders.wrapping_add(1);
        self.moved.push(Moved { timer: timer.word(), delay, order: self.orders });
        Place::of(timer).staged().set(timer);
        Some(())
    }

    /// Whether so many moves are noted that they should be settled.
    pub fn has_many_moved(&self) -> bool {
        self.moved.len() >= MANY_MOVES
    }

    /// Moves a waiting timer that is not staged to `deadline`, after all that is scheduled already.
    pub fn refile(&mut self, timer: Timer, deadline: u64) -> Result {
        let place = Place::of(timer);
        let stays = place.is_in_bucket() && deadline >= deadline_of(timer);
        if !stays {
            self.reserve_for(tick_of(deadline))?;
        }
        self.schedule(timer.beside(), deadline);
        if !stays {
            self.take_out(timer);
            self.file(timer, place, tick_of(deadline));
        }
        Ok(())
    }

    /// Notes the deadline, or the delay, and the next number in the order of scheduling.
    #[inline(always)]
    fn schedule(&mut self, call: &Call, deadline: u64) {
        self.orders = self.orders.wrapping_add(1);
        call.order.set(self.orders);
        call.deadline.set(deadline);
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

    fn reserve_for(&mut self, tick: u64) -> Result {
        if tick <= self.elapsed {
            return reserve(&mut self.incoming);
        }
        let bucket = self.bucket_for(tick);
        reserve(&mut self.buckets[bucket as usize].timers)
    }

    #[inline(always)]
    fn file(&mut self, timer: Timer, place: Place, tick: u64) {
        if tick <= self.elapsed {
            place.moved(NOWHERE, 0).set(timer);
            self.incoming.push(timer.index());
            return;
        }
        let bucket = self.bucket_for(tick);
        let timers = &mut self.buckets[bucket as usize].timers;
        place.moved(bucket, timers.len()).set(timer);
        timers.push(Filed { timer: timer.index(), tick: tick as u32 });
        if bucket < BEYOND {
            self.occupied[(bucket >> LEVEL_BITS) as usize] |= 1 << (bucket & 63);
        }
    }

    /// Notes that a timer in a bucket is over, unless the bucket should be swept.
    #[inline(always)]
    pub fn take_out_quickly(&mut self, place: Place) -> Option<()> {
        let bucket = self.buckets.get_mut(place.bucket() as usize).filter(|bucket| bucket.gone < bucket.may_go)?;
        bucket.gone += 1;
        Some(())
    }

    /// Takes a timer out of its bucket; those in none are told apart by their state when they come up.
    #[inline]
    pub fn take_out(&mut self, timer: Timer) {
        let place = Place::of(timer);
        if !place.is_in_bucket() {
            return;
        }
        place.moved(NOWHERE, 0).set(timer);
        if self.take_out_quickly(place).is_none() {
            self.see_to_gaps(place.bucket());
        }
    }

    /// One more entry is gone. If most are, closes the gaps, so that timers that are always cancelled take no memory.
    #[cold]
    #[inline(never)]
    fn see_to_gaps(&mut self, number: u32) {
        let bucket = &mut self.buckets[number as usize];
        bucket.gone += 1;
        bucket.may_go = may_go(bucket.timers.len());
        if bucket.gone <= bucket.may_go {
            return;
        }
        let mut kept = 0;
        for at in 0..bucket.timers.len() {
            let filed = bucket.timers[at];
            if let Some(timer) = timer_in(filed, number, at) {
                let (before, place) = (Place::of(timer), Place::of(timer).moved(number, kept));
                // A move that is noted still is.
                if before.is_staged() { place.staged() } else { place }.set(timer);
                bucket.timers[kept] = filed;
                kept += 1;
            }
        }
        bucket.timers.truncate(kept);
        bucket.timers.shrink_to(kept * 2);
        bucket.gone = 0;
        bucket.may_go = may_go(kept);
        if kept == 0 && number < BEYOND {
            self.occupied[(number >> LEVEL_BITS) as usize] &= !(1 << (number & 63));
        }
    }

    /// Gives every staged timer its deadline: the new ones first, then those that were moved, some of them new.
    fn stamp(&mut self, now: u64) {
        let staged = std::mem::take(&mut self.staged);
        for (at, index) in staged.iter().enumerate() {
            if let Some(ahead) = staged.get(at + AHEAD) {
                Timer::prefetch(*ahead);
                Timer::prefetch_beside(*ahead);
            }
            let Some(timer) = Timer::peek(*index) else { continue };
            let place = Place::of(timer);
            if place.is_staged() && !place.is_in_bucket() {
                let beside = timer.beside();
                let deadline = now.saturating_add(beside.deadline.get());
                beside.deadline.set(deadline);
                self.file(timer, place, tick_of(deadline));
            }
        }
        self.staged = emptied(staged);
        let moved = std::mem::take(&mut self.moved);
        for (at, one) in moved.iter().enumerate() {
            if let Some(ahead) = moved.get(at + AHEAD) {
                let index = index_of(ahead.timer);
                Timer::prefetch(index);
                Timer::prefetch_beside(index);
            }
            if let Some(timer) = Timer::of_word(one.timer) {
                self.stamp_moved(timer, now.saturating_add(one.delay), one.order);
            }
        }
        self.moved = emptied(moved);
    }

    #[inline(always)]
    fn stamp_moved(&mut self, timer: Timer, deadline: u64, order: u32) {
        let before = timer.beside().deadline.replace(deadline);
        timer.beside().order.set(order);
        let (place, tick) = (Place::of(timer).stamped(), tick_of(deadline));
        if place.is_in_bucket() && deadline >= before {
            place.set(timer);
        } else {
            self.take_out(timer);
            self.file(timer, place, tick);
        }
    }

    /// Once a turn: files what is staged and sorts in what is due by `now`.
    pub fn expire(&mut self, now: u64) {
        self.settle(now);
        let target = tick_of(now);
        if target > self.elapsed {
            self.advance(target);
        }
        if !self.incoming.is_empty() {
            self.sort_in();
        }
    }

    /// The next timer due by `now`, no longer waiting; it is the caller's to run and free.
    #[inline(always)]
    pub fn next_due(&mut self, now: u64) -> Option<Timer> {
        while let Some(due) = self.current.get(self.head).copied() {
            if due.deadline > now {
                return None;
            }
            if let Some(ahead) = self.current.get(self.head + AHEAD) {
                Timer::prefetch(ahead.timer);
                Timer::prefetch_beside(ahead.timer);
            }
            self.head += 1;
            if let Some(timer) = due.timer() {
                return Some(timer);
            }
        }
        self.current.clear();
        self.head = 0;
        None
    }

    /// Whether `next_due` would give one.
    pub fn is_due(&self, now: u64) -> bool {
        let mut due = self.current[self.head..].iter().take_while(|due| due.deadline <= now);
        due.any(|due| due.timer().is_some())
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

    /// Files the timers of a bucket that has come up by their ticks.
    fn empty(&mut self, number: u32) {
        let bucket = &mut self.buckets[number as usize];
        let timers = std::mem::take(&mut bucket.timers);
        (bucket.gone, bucket.may_go) = (0, 0);
        if number < BEYOND {
            self.occupied[(number >> LEVEL_BITS) as usize] &= !(1 << (number & 63));
        }
        let above = self.elapsed >> 32 << 32;
        for (at, filed) in timers.iter().enumerate() {
            if let Some(ahead) = timers.get(at + AHEAD) {
                Timer::prefetch(ahead.timer);
            }
            if let Some(timer) = timer_in(*filed, number, at) {
                // In a bucket of the wheel the higher bits are all the same. A far entry may be another timer's.
                let known = number < BEYOND && at < FAR as usize;
                let tick = if known { above | u64::from(filed.tick) } else { tick_of(deadline_of(timer)) };
                self.file(timer, Place::of(timer), tick);
            }
        }
        let kept = &mut self.buckets[number as usize].timers;
        if kept.is_empty() && timers.capacity() <= 4096 {
            *kept = emptied(timers);
        }
    }

    /// Sorts what has come up into what is waiting to run.
    fn sort_in(&mut self) {
        if self.head * 2 > self.current.len() {
            self.current.drain(..self.head);
            self.head = 0;
        }
        let now = self.orders;
        let key = |due: &Due| due.key(now);
        let mut sorted = true;
        let mut last = (0, 0);
        let first_new = self.current.len();
        let incoming = std::mem::take(&mut self.incoming);
        for (at, index) in incoming.iter().enumerate() {
            if let Some(ahead) = incoming.get(at + AHEAD) {
                Timer::prefetch_beside(*ahead);
            }
            // What was cancelled, staged or moved meanwhile is no longer here.
            let Some(timer) = Timer::peek(*index).filter(|timer| Place::of(*timer).is_due_soon()) else { continue };
            let deadline = deadline_of(timer);
            if tick_of(deadline) > self.elapsed {
                // Moved to later while it kept its place.
                self.file(timer, Place::of(timer), tick_of(deadline));
                continue;
            }
            let due = Due { deadline, order: timer.beside().order.get(), timer: *index };
            sorted &= last <= key(&due);
            last = key(&due);
            self.current.push(due);
        }
        // What was moved to later does not come in again before this is over.
        self.incoming = emptied(incoming);
        if !sorted {
            self.sort(first_new);
        }
        let (old, new) = (self.head..first_new, first_new..self.current.len());
        if !old.is_empty() && !new.is_empty() && key(&self.current[new.start]) < key(&self.current[old.end - 1]) {
            // Both halves are sorted, which a stable sort merges in one go.
            self.current[self.head..].sort_by_key(key);
        }
    }

    /// Sorts `current` from `first` on: many by the highest eight bits in which they differ, then each of these groups.
    fn sort(&mut self, first: usize) {
        const GROUPS: usize = 256;
        let now = self.orders;
        let key = |due: &Due| due.key(now);
        let list = &mut self.current[first..];
        if list.len() < 64 {
            return list.sort_unstable_by_key(key);
        }
        let (least, most) =
            list.iter().fold((u64::MAX, 0), |(least, most), due| (due.deadline.min(least), due.deadline.max(most)));
        let shift = (64 - (most - least).leading_zeros()).saturating_sub(GROUPS.trailing_zeros());
        let group = |due: &Due| ((due.deadline - least) >> shift) as usize % GROUPS;
        let mut ends = [0u32; GROUPS];
        list.iter().for_each(|due| ends[group(due)] += 1);
        let mut end = 0;
        for count in &mut ends {
            end += *count;
            *count = end;
        }
        self.unsorted.clear();
        self.unsorted.extend_from_slice(list);
        for due in self.unsorted.iter().rev() {
            let place = &mut ends[group(due)];
            *place -= 1;
            list[*place as usize] = *due;
        }
        // What were the ends are the beginnings now.
        for number in 0..GROUPS {
            let end = ends.get(number + 1).map_or(list.len(), |next| *next as usize);
            list[ends[number] as usize..end].sort_unstable_by_key(key);
        }
        self.unsorted = emptied(std::mem::take(&mut self.unsorted));
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
        let incoming = self.incoming.iter().filter_map(|index| Timer::peek(*index));
        let incoming = incoming.filter(|timer| Place::of(*timer).is_due_soon());
        sorted.into_iter().chain(incoming.map(deadline_of)).min()
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
        // What a bucket holds may have been moved to beyond the wheel.
        let is_beyond = best.is_none_or(|best| self.bucket_for(tick_of(best)) == BEYOND);
        if is_beyond { best.into_iter().chain(self.minimum_of(BEYOND)).min() } else { best }
    }

    fn minimum_of(&self, bucket: u32) -> Option<u64> {
        let timers = self.buckets.get(bucket as usize)?.timers.iter().enumerate();
        timers.filter_map(|(at, filed)| timer_in(*filed, bucket, at)).map(deadline_of).min()
    }

    /// Whether something waits for the next reading of the clock.
    #[inline(always)]
    pub fn has_staged(&self) -> bool {
        !self.staged.is_empty() || !self.moved.is_empty()
    }

    /// Files what is staged, so that deadlines can be asked for; `now` was read after the last of it was made.
    pub fn settle(&mut self, now: u64) {
        if self.has_staged() {
            self.stamp(now);
        }
    }
}
