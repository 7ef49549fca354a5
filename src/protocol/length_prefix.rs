//! Messages with their length before them, in network order.

use super::format::{Around, Frame, Step, limit};
use crate::status::{Result, Status};

/// What is no limit for 8 and 16 bits, and keeps a peer from announcing gigabytes with 32.
const USUAL: usize = 99_999;

/// See the module.
pub struct LengthPrefix {
    /// Bytes of the prefix.
    size: usize,
    max: usize,
}

impl LengthPrefix {
    /// Messages of at most `max` bytes, the prefix not counted; 0: 99999, or what the prefix can say.
    pub fn new(bits: i32, max: usize) -> Result<Self> {
        if !matches!(bits, 8 | 16 | 32) {
            return Err(Status::ERR_INVALID_ARGUMENT.because(format_args!("prefix_bits is {bits}; it is 8, 16 or 32")));
        }
        Ok(Self { size: bits as usize / 8, max: limit(max, USUAL) })
    }

    /// The longest length that the prefix can say.
    fn longest(&self) -> u64 {
        (1 << (8 * self.size)) - 1
    }

    #[inline]
    pub(super) fn next(&self, bytes: &[u8]) -> Result<Step> {
        let Some(prefix) = bytes.get(..self.size) else { return Ok(Step::Lacks(self.size - bytes.len())) };
        let length = prefix.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        if length > self.max {
            return Err(self.too_long(length));
        }
        let end = self.size + length;
        if bytes.len() < end {
            return Ok(Step::Lacks(end - bytes.len()));
        }
        Ok(Step::Whole(Frame { body: self.size..end, length: end }))
    }

    #[cold]
    fn too_long(&self, length: usize) -> Status {
        let max = self.max;
        Status::ERR_TOO_LONG.because(format_args!("a frame of {length} bytes is announced, the limit is {max}"))
    }

    pub(super) fn around(&self, body: &[u8]) -> Result<Around<'_>> {
        let length = body.len() as u64;
        if length > self.longest() {
            let (bits, most) = (8 * self.size, self.longest());
            let why = format_args!("a frame of {length} bytes; a prefix of {bits} bits can say {most} at most");
            return Err(Status::ERR_TOO_LONG.because(why));
        }
        Ok(Around::new(&length.to_be_bytes()[8 - self.size..], &[]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_three_prefixes_exist() {
        for bits in [0, 1, 7, 9, 24, 64, -8, i32::MIN, i32::MAX] {
            assert!(LengthPrefix::new(bits, 0).is_err(), "{bits}");
        }
    }

    #[test]
    fn the_length_is_in_network_order() {
        let next = |bits, max, bytes: &[u8]| LengthPrefix::new(bits, max).and_then(|format| format.next(bytes));
        assert_eq!(next(8, 0, b"\x02abc"), Ok(Step::Whole(Frame { body: 1..3, length: 3 })));
        assert_eq!(next(16, 0, b"\x01\x02"), Ok(Step::Lacks(258)));
        assert_eq!(next(32, 0, b"\0\0\0"), Ok(Step::Lacks(1)));
        assert_eq!(next(32, 0, b"\0\x01\x86\x9f"), Ok(Step::Lacks(99_999)));
        assert_eq!(next(32, 0, b"\0\x01\x86\xa0"), Err(Status::ERR_TOO_LONG));
        assert_eq!(next(32, usize::MAX, b"\xff\xff\xff\xff"), Ok(Step::Lacks(0xffff_ffff)));
        assert_eq!(next(16, 3, b"\0\x04"), Err(Status::ERR_TOO_LONG));
    }

    #[test]
    fn what_the_prefix_cannot_say_is_refused() {
        let around = |bits, length| {
            LengthPrefix::new(bits, 1)
                .and_then(|format| format.around(&vec![0; length]).map(|around| around.head().to_vec()))
        };
        assert_eq!(around(8, 255), Ok(vec![255]));
        assert_eq!(around(8, 256), Err(Status::ERR_TOO_LONG));
        assert_eq!(around(16, 65_535), Ok(vec![255, 255]));
        assert_eq!(around(16, 65_536), Err(Status::ERR_TOO_LONG));
        assert_eq!(around(32, 65_536), Ok(vec![0, 1, 0, 0]));
    }
}
