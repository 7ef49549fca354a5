//! Lines: whatever comes before a delimiter.

use super::format::{Around, Frame, Step, limit};
use crate::status::{Result, Status};
use memchr::{memchr, memmem};

const USUAL: usize = 16 * 1024;
/// No delimiter is longer: it is compared at each place where its last byte comes.
pub const LONGEST_DELIMITER: usize = 255;

/// See the module.
pub struct Line {
    delimiter: Box<[u8]>,
    last: u8,
    max: usize,
}

impl Line {
    /// Lines of at most `max` bytes, the delimiter not counted; 0: 16384.
    pub fn new(delimiter: &[u8], max: usize) -> Result<Self> {
        let Some(&last) = delimiter.last().filter(|_| delimiter.len() <= LONGEST_DELIMITER) else {
            let why = format_args!("a delimiter has 1 to {LONGEST_DELIMITER} bytes, not {}", delimiter.len());
            return Err(Status::ERR_INVALID_ARGUMENT.because(why));
        };
        Ok(Self { delimiter: delimiter.into(), last, max: limit(max, USUAL) })
    }

    /// A line can only end where the delimiter's last byte is: no place is looked at twice.
    #[inline]
    pub(super) fn next(&self, bytes: &[u8], seen: usize) -> Result<Step> {
        let mut from = seen;
        while let Some(at) = memchr(self.last, &bytes[from..]) {
            from += at + 1;
            if bytes[..from].ends_with(&self.delimiter) {
                let end = from - self.delimiter.len();
                if end > self.max {
                    return Err(self.too_long());
                }
                return Ok(Step::Whole(Frame { body: 0..end, length: from }));
            }
        }
        // All of the delimiter but its last byte may be there already.
        if bytes.len() > self.max + self.delimiter.len() - 1 {
            return Err(self.too_long());
        }
        Ok(Step::LacksByte(self.last))
    }

    #[cold]
    fn too_long(&self) -> Status {
        Status::ERR_TOO_LONG.because(format_args!("a line is longer than the limit of {} bytes", self.max))
    }

    pub(super) fn around(&self, body: &[u8]) -> Result<Around<'_>> {
        if self.ends_within(body) {
            let why = "the line contains its delimiter: it would come out as more than one";
            return Err(Status::ERR_INVALID_ARGUMENT.because(why));
        }
        Ok(Around::new(&[], &self.delimiter))
    }

    /// Whether a delimiter comes before the one behind this body: in it, or from its end into that one.
    fn ends_within(&self, body: &[u8]) -> bool {
        let delimiter = &self.delimiter;
        let across = |inside: usize| {
            let (begin, end) = delimiter.split_at(inside);
            body.ends_with(begin) && delimiter.starts_with(end)
        };
        memmem::find(body, delimiter).is_some() || (1..delimiter.len()).any(across)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_would_end_early_is_refused() {
        let refused = |delimiter: &[u8], body: &[u8]| {
            let line = Line::new(delimiter, 0).unwrap_or_else(|_| panic!("a delimiter"));
            line.around(body).is_err()
        };
        assert!(!refused(b"\r\n", b"") && !refused(b"\r\n", b"a\r") && !refused(b"\r\n", b"a\nb"));
        assert!(refused(b"\r\n", b"a\r\nb") && refused(b"\r\n", b"\r\n"));
        // "ba" and "aa" make "baaa", whose line is "b".
        assert!(refused(b"aa", b"ba") && !refused(b"aa", b"ab"));
        assert!(refused(b"abcab", b"xabc") && !refused(b"abcab", b"xab"));
    }

    #[test]
    fn a_delimiter_has_a_length() {
        assert!(Line::new(b"", 0).is_err() && Line::new(&[7; 256], 0).is_err());
        assert!(Line::new(&[7; 255], 0).is_ok());
    }
}
