//! Undoes gzip and deflate (RFC 9110, 8.4.1), a little at a time: what comes out of a little can be much.

use crate::protocol::http::Fields;
use crate::protocol::http::fields::elements;
use crate::status::{Result, Status};
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use std::io::{self, Write};

/// What is fed at once: of so much come 256 KiB at most.
const STEP: usize = 256;
/// So much may always come out, whatever the ratio.
const ALWAYS: u64 = 1 << 20;

enum Coding {
    Gzip(MultiGzDecoder<Vec<u8>>),
    Zlib(ZlibDecoder<Vec<u8>>),
    Raw(DeflateDecoder<Vec<u8>>),
    /// Which of the two is said by the first byte: many servers leave out zlib's head.
    Deflate,
}

/// See the module.
pub struct Inflate {
    coding: Coding,
    came: u64,
    gave: u64,
    /// So many times what came may come out; 0: no limit.
    ratio: u32,
}

/// What to undo for a response with these fields; None: nothing that is known, and nothing needs be.
pub fn of(fields: &Fields, ratio: u32) -> Option<Inflate> {
    let mut codings = fields.all(b"content-encoding").flat_map(elements);
    let coding = codings.next().filter(|_| codings.next().is_none())?;
    let is = |name: &str| coding.eq_ignore_ascii_case(name.as_bytes());
    let coding = match () {
        () if is("gzip") || is("x-gzip") => Coding::Gzip(MultiGzDecoder::new(Vec::new())),
        () if is("deflate") => Coding::Deflate,
        () => return None,
    };
    Some(Inflate { coding, came: 0, gave: 0, ratio })
}

impl Inflate {
    /// Takes some of `data` off, and gives what has come of it, which may be nothing.
    pub fn next(&mut self, data: &mut &[u8]) -> Result<Vec<u8>> {
        let (some, rest) = data.split_at(data.len().min(STEP));
        *data = rest;
        if let (Coding::Deflate, Some(first)) = (&self.coding, some.first()) {
            self.coding = if first & 15 == 8 {
                Coding::Zlib(ZlibDecoder::new(Vec::new()))
            } else {
                Coding::Raw(DeflateDecoder::new(Vec::new()))
            };
        }
        self.came += some.len() as u64;
        let out = match &mut self.coding {
            Coding::Gzip(decoder) => decoder.write_all(some).map(|()| std::mem::take(decoder.get_mut())),
            Coding::Zlib(decoder) => decoder.write_all(some).map(|()| std::mem::take(decoder.get_mut())),
            Coding::Raw(decoder) => decoder.write_all(some).map(|()| std::mem::take(decoder.get_mut())),
            Coding::Deflate => Ok(Vec::new()),
        };
        self.counted(out)
    }

    /// No more comes: gives what is left. An error where something is missing.
    pub fn finish(&mut self) -> Result<Vec<u8>> {
        let out = match &mut self.coding {
            // A body of no bytes is what servers make of nothing.
            _ if self.came == 0 => Ok(Vec::new()),
            Coding::Gzip(decoder) => decoder.try_finish().map(|()| std::mem::take(decoder.get_mut())),
            Coding::Zlib(decoder) => decoder.try_finish().map(|()| std::mem::take(decoder.get_mut())),
            Coding::Raw(decoder) => decoder.try_finish().map(|()| std::mem::take(decoder.get_mut())),
            Coding::Deflate => Ok(Vec::new()),
        };
        self.counted(out)
    }

    fn counted(&mut self, out: io::Result<Vec<u8>>) -> Result<Vec<u8>> {
        let out = out.map_err(|why| match why.kind() {
            io::ErrorKind::UnexpectedEof => Status::ERR_TRUNCATED.because("the compressed body was cut short"),
            _ => Status::ERR_BAD_FRAME.because(format_args!("the compressed body is damaged: {why}")),
        })?;
        self.gave += out.len() as u64;
        let most = ALWAYS.max(self.came.saturating_mul(u64::from(self.ratio)));
        if self.ratio != 0 && self.gave > most {
            let (came, gave) = (self.came, self.gave);
            let why =
                format_args!("{came} bytes of compressed body have become {gave}, past the limit of {}", self.ratio);
            return Err(Status::ERR_LIMIT.because(why));
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    fn fields(coding: &str) -> Fields {
        let mut fields = Fields::new();
        assert_eq!(fields.add(b"Content-Encoding", coding.as_bytes()), Ok(()));
        fields
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).and_then(|()| encoder.finish()).expect("it compresses")
    }

    fn inflate(coding: &str, data: &[u8], step: usize, ratio: u32) -> Result<Vec<u8>> {
        let mut inflate = of(&fields(coding), ratio).expect("it is known");
        let mut out = Vec::new();
        for mut piece in data.chunks(step) {
            while !piece.is_empty() {
                out.extend(inflate.next(&mut piece)?);
            }
        }
        out.extend(inflate.finish()?);
        Ok(out)
    }

    fn text() -> Vec<u8> {
        (0..20_000_u32).flat_map(|number| (number * number).to_string().into_bytes()).collect()
    }

    #[test]
    fn all_codings_come_back_however_they_are_cut() {
        let text = text();
        let (mut zlib, mut raw) =
            (ZlibEncoder::new(Vec::new(), Compression::fast()), DeflateEncoder::new(Vec::new(), Compression::fast()));
        let zlib = zlib.write_all(&text).and_then(|()| zlib.finish()).expect("it compresses");
        let raw = raw.write_all(&text).and_then(|()| raw.finish()).expect("it compresses");
        let twice = [gzip(&text[..5]), gzip(&text[5..])].concat();
        for step in [1, 7, 100_000] {
            for (coding, data) in [("gzip", &gzip(&text)), ("X-Gzip", &twice), ("deflate", &zlib), ("deflate", &raw)] {
                assert!(inflate(coding, data, step, 0) == Ok(text.clone()), "{coding} in pieces of {step}");
            }
        }
        assert_eq!(inflate("gzip", b"", 1, 0), Ok(Vec::new()));
    }

    #[test]
    fn what_is_not_known_is_left_alone() {
        for coding in ["br", "gzip, gzip", "identity", ""] {
            assert!(of(&fields(coding), 0).is_none(), "{coding}");
        }
        assert!(of(&Fields::new(), 0).is_none());
    }

    #[test]
    fn what_is_cut_short_or_damaged_is_no_body() {
        let mut data = gzip(&text());
        // Of its checksum, which cannot be right then.
        assert_eq!(inflate("gzip", &data[..data.len() - 1], 100, 0), Err(Status::ERR_BAD_FRAME));
        assert_eq!(inflate("gzip", &data[..data.len() / 2], 100, 0), Err(Status::ERR_TRUNCATED));
        assert_eq!(inflate("gzip", &data[..5], 100, 0), Err(Status::ERR_TRUNCATED));
        let last = data.len() - 6;
        data[last] ^= 1;
        assert_eq!(inflate("gzip", &data, 100, 0), Err(Status::ERR_BAD_FRAME));
        assert_eq!(inflate("gzip", b"no gzip at all", 100, 0), Err(Status::ERR_BAD_FRAME));
        assert_eq!(inflate("deflate", b"\xff\xff\xff", 100, 0), Err(Status::ERR_BAD_FRAME));
    }

    #[test]
    fn a_bomb_is_stopped_long_before_its_end() {
        let bomb = gzip(&vec![0; 64 << 20]);
        assert!(bomb.len() < 100_000);
        assert_eq!(inflate("gzip", &bomb, 1 << 16, 100), Err(Status::ERR_LIMIT));
        let mut inflate = of(&fields("gzip"), 100).expect("it is known");
        let (mut rest, mut most) = (&bomb[..], 0);
        while let Ok(out) = inflate.next(&mut rest) {
            most = most.max(out.len());
        }
        assert!(most <= 1032 * STEP + (64 << 10), "{most} at once");
        assert!(inflate.gave < 10 << 20, "{} in all", inflate.gave);
    }
}
