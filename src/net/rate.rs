//! Limits of rate: a bucket for each direction, which holds a second's worth at most.

use super::transport::{Transport, flag};
use super::{reading, writing};
use crate::handles::{self, Item, Word};
use crate::reactor::timers::{self, DelayedCall};
use crate::status::{Result, Status};

/// Bytes a second, and what of it may be used now.
#[derive(Clone, Copy, Default)]
struct Bucket {
    rate: f64,
    level: f64,
    filled: u64,
    /// What looks again when there is something to use.
    timer: Word,
}

/// The limits of both directions; a rate of 0 is none.
#[derive(Clone, Copy, Default)]
pub struct Rates {
    read: Bucket,
    write: Bucket,
}

/// Less than this is not worth a call; it is waited for.
const WORTH: f64 = 1024.0;

impl Bucket {
    fn new(rate: f64, now: u64) -> Self {
        Self { rate, level: rate, filled: now, timer: Word::NULL }
    }

    fn fill(&mut self, now: u64) {
        let passed = now.saturating_sub(self.filled) as f64 / 1e9;
        self.filled = now;
        self.level = (self.level + passed * self.rate).min(self.rate);
    }

    /// What may be used now, or nanoseconds until something may.
    fn may_use(&mut self, now: u64) -> std::result::Result<usize, u64> {
        self.fill(now);
        let worth = WORTH.min(self.rate).max(1.0);
        if self.level >= worth {
            return Ok(self.level as usize);
        }
        Err(((worth - self.level) / self.rate * 1e9) as u64 + 1)
    }
}

impl Rates {
    /// Its timers are for nothing any more.
    pub(super) fn forget(&self) {
        for bucket in [self.read, self.write] {
            if let Ok(timer) = handles::get::<DelayedCall>(bucket.timer) {
                let _ = timers::cancel(timer);
            }
        }
    }
}

/// Sets the limits, in bytes a second.
pub fn set(transport: Item<Transport>, read: f64, write: f64) -> Result {
    transport.check_open()?;
    let now = transport.root().read_clock();
    let rates = Rates { read: Bucket::new(read, now), write: Bucket::new(write, now) };
    let before = transport.with_new_extra(|extra| extra.rates.replace(rates))?;
    before.iter().for_each(Rates::forget);
    transport.set(flag::RATED);
    resume_reading(transport);
    resume_writing(transport);
    Ok(())
}

fn with<R>(transport: Item<Transport>, which: impl FnOnce(&mut Rates) -> R) -> Option<R> {
    transport.with_extra(|extra| extra.rates.as_mut().map(which)).flatten()
}

/// How much of `room` may be read now; at least one byte, since nothing read would mean an end.
pub(super) fn may_read(transport: Item<Transport>, room: usize) -> usize {
    let now = transport.root().read_clock();
    let level = with(transport, |rates| {
        if rates.read.rate <= 0.0 {
            return room;
        }
        rates.read.fill(now);
        rates.read.level as usize
    });
    level.unwrap_or(room).clamp(1, room)
}

pub(super) fn did_read(transport: Item<Transport>, length: usize) {
    let now = transport.root().read_clock();
    let wait = with(transport, |rates| {
        if rates.read.rate <= 0.0 {
            return None;
        }
        rates.read.level -= length as f64;
        rates.read.may_use(now).err()
    });
    if let Some(wait) = wait.flatten() {
        transport.set(flag::READ_LIMITED);
        let timer = wake(transport, now.saturating_add(wait), read_again);
        with(transport, |rates| rates.read.timer = timer);
    }
}

/// How much of `room` may be written now; with nothing, it is gone on with when there is.
pub(super) fn may_write(transport: Item<Transport>, room: usize) -> usize {
    if transport.has(flag::WRITE_LIMITED) {
        return 0;
    }
    let now = transport.root().read_clock();
    let level = with(transport, |rates| if rates.write.rate > 0.0 { rates.write.may_use(now) } else { Ok(room) });
    match level.unwrap_or(Ok(room)) {
        Ok(level) => level.min(room),
        Err(wait) => {
            transport.set(flag::WRITE_LIMITED);
            let timer = wake(transport, now.saturating_add(wait), write_again);
            with(transport, |rates| rates.write.timer = timer);
            0
        }
    }
}

pub(super) fn did_write(transport: Item<Transport>, length: usize) {
    with(transport, |rates| rates.write.level -= length as f64);
}

fn wake(transport: Item<Transport>, at: u64, call: handles::CallFn) -> Word {
    match timers::call_at(transport.root(), at, call, transport.word()) {
        Ok(timer) => timer.word(),
        Err(_) => {
            transport.lost_to(Status::ERR_NO_MEMORY, "no memory for a timer");
            Word::NULL
        }
    }
}

fn resume_reading(transport: Item<Transport>) {
    transport.clear(flag::READ_LIMITED);
    reading::resume_if_possible(transport);
}

fn resume_writing(transport: Item<Transport>) {
    transport.clear(flag::WRITE_LIMITED);
    writing::note_written(transport);
}

extern "C-unwind" fn read_again(word: Word) {
    if let Ok(transport) = handles::get::<Transport>(word) {
        resume_reading(transport);
    }
}

extern "C-unwind" fn write_again(word: Word) {
    if let Ok(transport) = handles::get::<Transport>(word) {
        resume_writing(transport);
    }
}
