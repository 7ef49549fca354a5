//! Netstrings: the length in decimal digits, a colon, the body, a comma.

use super::format::{Around, Frame, Step, limit};
use crate::status::{Result, Status};
use std::io::Write;

const USUAL: usize = 99_999;

/// See the module.
pub struct Netstring {
    max: usize,
}

impl Netstring {
    /// Netstrings of at most `max` bytes; 0: 99999.
    pub fn new(max: usize) -> Self {
        Self { max: limit(max, USUAL) }
    }

    #[inline]
    pub(super) fn next(&self, bytes: &[u8]) -> Result<Step> {
        let mut length = 0_usize;
        for (place, &byte) in bytes.iter().enumerate() {
            match byte {
                b':' if place > 0 => return body(bytes, place + 1, length),
                // No zero comes first, but in a length of nothing.
                b'0'..=b'9' if place == 0 || length > 0 => {
                    length = length.saturating_mul(10).saturating_add(usize::from(byte - b'0'));
                }
                _ => return Err(bad_length(&bytes[..=place])),
            }
            if length > self.max {
                return Err(self.too_long(length));
            }
        }
        // The colon and the comma, if no more.
        Ok(Step::Lacks(2))
    }

    #[cold]
    fn too_long(&self, length: usize) -> Status {
        let max = self.max;
        Status::ERR_TOO_LONG.because(format_args!("a netstring has {length} bytes or more, the limit is {max}"))
    }

    pub(super) fn around(body: &[u8]) -> Around<'static> {
        let mut head = [0; 24];
        let room = head.len();
        let mut left = &mut head[..];
        write!(left, "{}:", body.len()).expect("the digits of a length and a colon have room");
        let used = room - left.len();
        Around::new(&head[..used], b",")
    }
}

/// What comes behind the colon.
fn body(bytes: &[u8], start: usize, length: usize) -> Result<Step> {
    let end = start + length;
    match bytes.get(end) {
        None => Ok(Step::Lacks(end + 1 - bytes.len())),
        Some(b',') => Ok(Step::Whole(Frame { body: start..end, length: end + 1 })),
        Some(&other) => Err(no_comma(length, other)),
    }
}

#[cold]
fn bad_length(bytes: &[u8]) -> Status {
    let bytes = bytes.escape_ascii();
    Status::ERR_BAD_FRAME.because(format_args!("a netstring begins with \"{bytes}\", which is no length and colon"))
}

#[cold]
fn no_comma(length: usize, other: u8) -> Status {
    let other = [other];
    let other = other.escape_ascii();
    let why = format_args!("a netstring of {length} bytes has \"{other}\" behind it, where a comma must be");
    Status::ERR_BAD_FRAME.because(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(bytes: &[u8]) -> Result<Step> {
        Netstring::new(1234).next(bytes)
    }

    #[test]
    fn whole_ones_are_found() {
        assert_eq!(next(b"0:,"), Ok(Step::Whole(Frame { body: 2..2, length: 3 })));
        assert_eq!(next(b"3:a,b,4:"), Ok(Step::Whole(Frame { body: 2..5, length: 6 })));
        for beginning in [&b""[..], b"1", b"0", b"1234"] {
            assert_eq!(next(beginning), Ok(Step::Lacks(2)));
        }
        assert_eq!(next(b"10:abc"), Ok(Step::Lacks(8)));
        assert_eq!(next(b"0:"), Ok(Step::Lacks(1)));
    }

    #[test]
    fn bad_ones_are_refused_at_the_first_bad_byte() {
        for bad in [&b":"[..], b"00", b"01", b"-", b" 1", b"+1", b"1 ", b"1;", b"a", b"2:abc", b"0:x", b"\xff"] {
            assert_eq!(next(bad), Err(Status::ERR_BAD_FRAME), "{}", bad.escape_ascii());
        }
        for long in [&b"1235"[..], b"1235:", b"2000", b"99999999999999999999999999999999999999", b"1240x"] {
            assert_eq!(next(long), Err(Status::ERR_TOO_LONG), "{}", long.escape_ascii());
        }
    }
}
