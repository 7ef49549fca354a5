//! permessage-deflate: RFC 7692. What goes out is deflated, what comes in inflated, message by message.

use super::Broken;
use crate::handles::check_memory;
use crate::status::{Result, Status};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status as Flate};

/// What a sync flush ends with, and a message does without.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// The least room that is made for what comes out.
const ROOM: usize = 512;
/// A message may begin anew so many times: each takes its time.
const ENDS: u32 = 16;
/// What a compressor, or its counterpart, takes about at most.
const STATE: usize = 512 * 1024;

/// What was agreed on for one direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Direction {
    /// The base-2 logarithm of the window, 8 to 15.
    pub window_bits: u8,
    /// Each message is deflated by itself.
    pub no_context_takeover: bool,
}

impl Default for Direction {
    fn default() -> Self {
        Self { window_bits: 15, no_context_takeover: false }
    }
}

/// What goes out.
pub struct Deflater {
    state: Option<Compress>,
    direction: Direction,
    level: u32,
}

impl Deflater {
    /// Takes no memory before it has something to do.
    pub fn new(direction: Direction, level: u32) -> Self {
        Self { state: None, direction, level }
    }

    /// Whether it can compress at all: into a window of 256 bytes zlib cannot. Messages then go out as they are, which is
    /// allowed at any time.
    pub fn compresses(&self) -> bool {
        self.direction.window_bits > 8
    }

    /// Adds the next piece of a message to what goes out, deflated.
    pub fn deflate(&mut self, mut data: &[u8], is_last: bool, out: &mut Vec<u8>) -> Result {
        if self.state.is_none() {
            check_memory(STATE)?;
        }
        let from = out.len();
        let (level, bits) = (Compression::new(self.level), self.direction.window_bits);
        let state = self.state.get_or_insert_with(|| Compress::new_with_window_bits(level, false, bits));
        loop {
            let room = ROOM.max(data.len() / 2);
            out.try_reserve(room).map_err(|_| Status::ERR_NO_MEMORY)?;
            let before = state.total_in();
            let done = state.compress_vec(data, out, FlushCompress::Sync);
            data = &data[(state.total_in() - before) as usize..];
            match done {
                // All is out if there was room for more.
                Ok(_) if data.is_empty() && out.len() < out.capacity() => break,
                Ok(_) => {}
                Err(_) => return Err(Status::ERR_NO_MEMORY.because("a message could not be deflated")),
            }
        }
        if is_last {
            if out.len() == from {
                // A flush after a flush gives nothing; an empty block goes on being one.
                out.push(0);
            } else {
                debug_assert!(out.ends_with(&TAIL));
                out.truncate(out.len() - TAIL.len());
            }
            if self.direction.no_context_takeover {
                self.state = None;
            }
        }
        Ok(())
    }

    /// A message was begun and will not be sent: what comes after must not refer to it.
    pub fn forget(&mut self) {
        self.state = None;
    }
}

/// What comes in.
pub struct Inflater {
    state: Option<Decompress>,
    direction: Direction,
    /// How many blocks of the present message said that they are the last.
    ends: u32,
}

impl Inflater {
    /// Takes no memory before it has something to do.
    pub fn new(direction: Direction) -> Self {
        Self { state: None, direction, ends: 0 }
    }

    /// Adds the next piece of a message, inflated; `out` gets no longer than `most`.
    pub fn inflate(
        &mut self,
        data: &[u8],
        is_last: bool,
        out: &mut Vec<u8>,
        most: usize,
    ) -> std::result::Result<(), Broken> {
        self.add(data, out, most)?;
        if is_last {
            self.add(&TAIL, out, most)?;
            self.ends = 0;
            if self.direction.no_context_takeover {
                self.state = None;
            }
        }
        Ok(())
    }

    fn add(&mut self, mut data: &[u8], out: &mut Vec<u8>, most: usize) -> std::result::Result<(), Broken> {
        if self.state.is_none() {
            check_memory(STATE).map_err(|_| Broken::no_memory())?;
        }
        // A larger window than agreed on does no harm, and zlib's smallest is one of 9 bits.
        let bits = self.direction.window_bits.max(9);
        let state = self.state.get_or_insert_with(|| Decompress::new_with_window_bits(false, bits));
        loop {
            // One byte more than there may be shows that there is more.
            let room = out.len().max(ROOM).max(data.len()).min(most.saturating_sub(out.len()).saturating_add(1));
            out.try_reserve(room).map_err(|_| Broken::no_memory())?;
            let before = state.total_in();
            let done = state.decompress_vec(data, out, FlushDecompress::Sync);
            data = &data[(state.total_in() - before) as usize..];
            if out.len() > most {
                return Err(Broken::too_big("a message is larger than the limit when it is inflated"));
            }
            match done {
                // A block said that it is the last one: what follows begins anew.
                Ok(Flate::StreamEnd) if self.ends < ENDS => {
                    self.ends += 1;
                    *state = Decompress::new_with_window_bits(false, bits);
                }
                Ok(Flate::StreamEnd) => return Err(Broken::data("a message has too many blocks that are the last")),
                Ok(_) if data.is_empty() && out.len() < out.capacity() => return Ok(()),
                Ok(_) => {}
                Err(_) => return Err(Broken::data("a message cannot be inflated")),
            }
        }
    }
}
