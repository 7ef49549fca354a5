//! Cuts a stream into frames: whole ones go on as they are, the beginning of one is kept until the rest has come.

use super::format::{Format, Step};
use crate::status::{Result, Status};
use memchr::memchr;
use std::cell::Cell;
use std::rc::Rc;

/// Where the frames go. Its functions may call anything of the cutter but [`Cutter::feed`].
pub trait Sink {
    /// Whether it takes one more now; what it does not take waits.
    fn wants(&self) -> bool;
    /// Takes a frame.
    fn frame(&self, body: &[u8]);
    /// Takes what came while there was no format.
    fn raw(&self, data: &[u8]);
}

/// See the module.
#[derive(Default)]
pub struct Cutter {
    /// None: raw.
    format: Cell<Option<Rc<Format>>>,
    held: Cell<Held>,
}

/// What came and did not go on yet.
#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    /// Those before are done with.
    at: usize,
    /// So many from there on were looked at: without more, nothing comes of them.
    seen: usize,
}

/// An emptied buffer of up to this size is kept for the next frame.
const KEPT: usize = 4096;
/// The least room that is asked for.
const LEAST: usize = 64;

impl Held {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Whether something may come of it as it is.
    fn is_worth_a_look(&self) -> bool {
        self.at + self.seen < self.bytes.len()
    }

    /// Adds bytes at the end. Room grows by doubling, but not past `whole`, which is how long it will be in the end.
    fn append(&mut self, data: &[u8], whole: usize) -> Result {
        let length = self.rest().len() + data.len();
        if self.bytes.len() + data.len() > self.bytes.capacity() {
            self.bytes.drain(..std::mem::take(&mut self.at));
            let room = (2 * self.bytes.capacity()).max(LEAST).min(whole).max(length);
            let more = room - self.bytes.len();
            self.bytes.try_reserve_exact(more).map_err(|_| no_memory())?;
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    /// Adds bytes at the beginning.
    fn prepend(&mut self, data: &[u8]) -> Result {
        if self.at < data.len() {
            let mut joined = Vec::new();
            joined.try_reserve_exact(data.len() + self.rest().len()).map_err(|_| no_memory())?;
            joined.extend_from_slice(data);
            joined.extend_from_slice(self.rest());
            (self.bytes, self.at) = (joined, 0);
        } else {
            self.at -= data.len();
            self.bytes[self.at..][..data.len()].copy_from_slice(data);
        }
        self.seen = 0;
        Ok(())
    }

    /// So many bytes have gone on.
    fn consume(&mut self, length: usize) {
        self.at += length;
        self.seen = 0;
        if self.is_empty() {
            self.at = 0;
            self.bytes.clear();
            if self.bytes.capacity() > KEPT {
                self.bytes = Vec::new();
            }
        }
    }
}

#[cold]
fn no_memory() -> Status {
    Status::ERR_NO_MEMORY.because("no memory for what was received")
}

impl Cutter {
    /// What comes from here on, and what waits, is cut this way; None: not at all.
    pub fn set_format(&self, format: Option<Rc<Format>>) {
        self.format.set(format);
        self.with_held(|held| held.seen = 0);
    }

    /// How it is cut now.
    pub fn format(&self) -> Option<Rc<Format>> {
        let format = self.format.take();
        self.format.set(format.clone());
        format
    }

    /// Puts bytes before all that did not go on yet.
    pub fn give_back(&self, data: &[u8]) -> Result {
        self.with_held(|held| held.prepend(data))
    }

    /// What was given back goes on when more has come, or with another format.
    pub fn wait_for_more(&self) {
        self.with_held(|held| held.seen = held.rest().len());
    }

    /// Whether something waits that may go on when it is wanted.
    pub fn has_more(&self) -> bool {
        self.with_held(|held| held.is_worth_a_look())
    }

    /// Takes back what did not go on yet.
    pub fn take_rest(&self) -> Vec<u8> {
        let held = self.held.take();
        held.rest().to_vec()
    }

    fn with_held<R>(&self, change: impl FnOnce(&mut Held) -> R) -> R {
        let mut held = self.held.take();
        let result = change(&mut held);
        self.held.set(held);
        result
    }

    /// Bytes came, or what waits is wanted again: hands on what is whole, keeps the rest.
    pub fn feed(&self, sink: &impl Sink, mut data: &[u8]) -> Result {
        loop {
            let mut held = self.held.take();
            if data.is_empty() && !held.is_worth_a_look() {
                self.held.set(held);
                return Ok(());
            }
            if !sink.wants() {
                let kept = held.append(data, usize::MAX);
                self.held.set(held);
                return kept;
            }
            data = match self.format() {
                None => self.pass(sink, held, data)?,
                Some(format) if held.is_empty() => self.cut(sink, &format, held, data)?,
                Some(format) => self.join(sink, &format, held, data)?,
            };
        }
    }

    /// Hands on all there is. What is given back meanwhile comes again with more behind it, else it would for ever.
    fn pass<'data>(&self, sink: &impl Sink, mut held: Held, data: &'data [u8]) -> Result<&'data [u8]> {
        if held.is_empty() {
            sink.raw(data);
        } else {
            held.append(data, usize::MAX)?;
            sink.raw(held.rest());
        }
        if self.format().is_none() {
            self.wait_for_more();
        }
        Ok(&[])
    }

    /// Hands on a frame that is whole as it came. Returns what is behind it.
    fn cut<'data>(&self, sink: &impl Sink, format: &Format, mut held: Held, data: &'data [u8]) -> Result<&'data [u8]> {
        match format.next(data, 0)? {
            Step::Whole(frame) => {
                self.held.set(held);
                let (whole, rest) = data.split_at(frame.length);
                sink.frame(&whole[frame.body]);
                Ok(rest)
            }
            lacks => {
                held.append(data, whole_length(&lacks, data.len()))?;
                held.seen = data.len();
                self.held.set(held);
                Ok(&[])
            }
        }
    }

    /// Hands on a frame that was kept, or adds what it lacks. Returns what is behind that.
    fn join<'data>(&self, sink: &impl Sink, format: &Format, mut held: Held, data: &'data [u8]) -> Result<&'data [u8]> {
        match format.next(held.rest(), held.seen)? {
            Step::Whole(frame) => {
                sink.frame(&held.rest()[frame.body]);
                held.consume(frame.length);
                // What was given back meanwhile is there now.
                let given = self.held.replace(held);
                if given.is_empty() { Ok(data) } else { self.give_back(given.rest()).map(|()| data) }
            }
            lacks => {
                let more = match lacks {
                    Step::LacksByte(byte) => memchr(byte, data).map(|at| at + 1),
                    Step::Lacks(more) => Some(more),
                    Step::Whole(_) => None,
                };
                let (more, rest) = data.split_at(more.map_or(data.len(), |more| more.min(data.len())));
                held.seen = held.rest().len();
                let whole = whole_length(&lacks, held.seen);
                held.append(more, whole)?;
                self.held.set(held);
                Ok(rest)
            }
        }
    }

    /// The stream has ended: whether that is in the middle of a frame.
    pub fn finish(&self) -> Result {
        let waits = self.with_held(|held| held.rest().len());
        match self.format() {
            Some(format) if waits != 0 => {
                let noun = format.noun();
                let why = format_args!("the stream ended within a {noun}, of which {waits} bytes had come");
                Err(Status::ERR_TRUNCATED.because(why))
            }
            _ => Ok(()),
        }
    }
}

/// How long a frame will be at least, if that is known.
fn whole_length(lacks: &Step, length: usize) -> usize {
    if let Step::Lacks(more) = lacks { length + more } else { usize::MAX }
}

#[cfg(test)]
#[path = "cutter_tests.rs"]
mod tests;
