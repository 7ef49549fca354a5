//! What the formats of frames have in common.

use super::{LengthPrefix, Line, Netstring};
use crate::status::Result;
use std::ops::Range;

/// A way to put frames into a stream.
#[expect(missing_docs, reason = "each is documented where it is defined")]
pub enum Format {
    Line(Line),
    Netstring(Netstring),
    LengthPrefix(LengthPrefix),
}

/// A whole frame at the beginning of some bytes.
#[derive(Debug, PartialEq)]
pub struct Frame {
    /// What is handed to the protocol.
    pub body: Range<usize>,
    /// How long it is with what is around the body.
    pub length: usize,
}

/// What there is at the beginning of some bytes.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// A whole frame.
    Whole(Frame),
    /// The beginning of one, which is not whole before so many more bytes have come.
    Lacks(usize),
    /// The beginning of one, which is not whole before this byte has come.
    LacksByte(u8),
}

/// What goes around a body: before it and behind it.
pub struct Around<'a> {
    /// Room for what is put together for the call.
    head: [u8; 24],
    head_length: usize,
    /// What comes behind the body.
    pub tail: &'a [u8],
}

impl<'a> Around<'a> {
    pub(super) fn new(head: &[u8], tail: &'a [u8]) -> Self {
        let mut around = Self { head: [0; 24], head_length: head.len(), tail };
        around.head[..head.len()].copy_from_slice(head);
        around
    }

    /// What comes before the body.
    pub fn head(&self) -> &[u8] {
        &self.head[..self.head_length]
    }
}

/// No frame is longer than this: lengths can be added without a thought.
const LONGEST: usize = isize::MAX as usize / 2;

/// A limit as the host gives it: 0 means the usual one.
pub(super) fn limit(given: usize, usual: usize) -> usize {
    if given == 0 { usual } else { given.min(LONGEST) }
}

impl Format {
    /// Looks for a whole frame at the beginning of `bytes`, of which the first `seen` are known to hold none.
    #[inline]
    pub(super) fn next(&self, bytes: &[u8], seen: usize) -> Result<Step> {
        match self {
            Format::Line(line) => line.next(bytes, seen),
            Format::Netstring(netstring) => netstring.next(bytes),
            Format::LengthPrefix(prefix) => prefix.next(bytes),
        }
    }

    /// What goes around this body, so that it comes out as one frame at the other end.
    pub(super) fn around(&self, body: &[u8]) -> Result<Around<'_>> {
        match self {
            Format::Line(line) => line.around(body),
            Format::Netstring(_) => Ok(Netstring::around(body)),
            Format::LengthPrefix(prefix) => prefix.around(body),
        }
    }

    /// What a frame is called.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Format::Line(_) => "line",
            Format::Netstring(_) => "netstring",
            Format::LengthPrefix(_) => "frame",
        }
    }
}
