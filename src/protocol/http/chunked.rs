//! The chunked coding (RFC 9112, section 7.1). The decoder looks at what comes, wherever it was cut, and lends the data out of
//! it; it copies nothing but trailers.

use super::Bad;
use super::fields::{Fields, is_token, is_value, trim};

/// How much of what is not data is taken.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all extensions of a body. More than a few are an attack.
    pub extensions: u32,
    /// Bytes of all trailer lines.
    pub trailers: u32,
    /// How many trailers.
    pub trailer_count: u32,
    /// Whether spaces may stand behind a size: some servers pad it. What a server reads must not, not even where an extension
    /// follows, as the grammar would have it (BWS): h11 and Node read it in no other way, and nobody sends it.
    pub padded: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { extensions: 16 << 10, trailers: 16 << 10, trailer_count: 100, padded: false }
    }
}

/// What [`Decoder::next`] has found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece<'a> {
    /// Data of the body, never empty.
    Data(&'a [u8]),
    /// All that came is used up.
    Needs,
    /// The body is over; what is left of the input belongs to the next message.
    End,
}

/// Of a chunk's size.
const MOST_DIGITS: u8 = 16;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// At the first digit of a size.
    Begin,
    Size,
    /// Spaces between size and extension, or padding.
    Space,
    Extension,
    /// After the CR of the size's line.
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the beginning of a trailer's line.
    Line,
    Trailer,
    TrailerLf,
    LastLf,
    End,
}

/// See the module.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    /// Of the chunk: its size as far as it was read, then what is still to come.
    left: u64,
    /// Of the size.
    digits: u8,
    extensions: u32,
    limits: Limits,
    /// Lines, each with an LF.
    trailers: Vec<u8>,
    trailer_count: u32,
}

impl Decoder {
    /// At the beginning of a body.
    pub fn new(limits: Limits) -> Self {
        Self { state: State::Begin, left: 0, digits: 0, extensions: 0, limits, trailers: Vec::new(), trailer_count: 0 }
    }

    /// Takes the next piece off the front of `input`.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Piece<'a>, Bad> {
        while self.state != State::End {
            if self.state == State::Data {
                if input.is_empty() {
                    return Ok(Piece::Needs);
                }
                let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len());
                let (data, rest) = input.split_at(length);
                *input = rest;
                self.left -= length as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
                return Ok(Piece::Data(data));
            }
            let Some((byte, rest)) = input.split_first() else { return Ok(Piece::Needs) };
            self.state = self.step(*byte)?;
            *input = rest;
        }
        Ok(Piece::End)
    }

    fn step(&mut self, byte: u8) -> Result<State, Bad> {
        match (self.state, byte) {
            (State::Begin | State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.digit(byte),
            (State::Size | State::Space | State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Size | State::Space, b' ' | b'\t') if self.limits.padded => self.count(State::Space),
            (State::Size, b' ' | b'\t') => Err(Bad::request("spaces behind a chunk's size")),
            (State::Size | State::Space, b';') => self.count(State::Extension),
            (State::Extension, _) if is_value(&[byte]) => self.count(State::Extension),
            (State::Extension, _) => Err(Bad::request("a control character in a chunk's extension")),
            (State::Begin | State::Size | State::Space, _) => Err(Bad::request("a chunk's size that is no number")),
            (State::SizeLf, b'\n') if self.left == 0 => Ok(State::Line),
            (State::SizeLf, b'\n') => Ok(State::Data),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Begin),
            (State::DataCr | State::DataLf, _) => Err(Bad::request("a chunk that is longer than its size")),
            (State::Line, b'\r') => Ok(State::LastLf),
            (State::Trailer, b'\r') => Ok(State::TrailerLf),
            (State::Line | State::Trailer, b'\n') => Err(Bad::request("an LF without its CR among the trailers")),
            (State::Line | State::Trailer, _) => self.trailer(byte),
            (State::TrailerLf, b'\n') => self.end_of_trailer(),
            (State::LastLf, b'\n') => Ok(State::End),
            (State::SizeLf | State::TrailerLf | State::LastLf, _) => {
                Err(Bad::request("a CR without its LF in a chunked body"))
            }
            (State::Data | State::End, _) => unreachable!("next has seen to it"),
        }
    }

    fn digit(&mut self, byte: u8) -> Result<State, Bad> {
        let value = (byte as char).to_digit(16).unwrap_or(0);
        if self.state == State::Begin {
            (self.left, self.digits) = (0, 0);
        }
        // So many that the largest size has all of them: more are zeros, which a peer could send for ever.
        if self.digits == MOST_DIGITS || self.left > (i64::MAX as u64) >> 4 {
            return Err(Bad::request("a chunk's size past all bounds"));
        }
        self.digits += 1;
        self.left = self.left << 4 | u64::from(value);
        Ok(State::Size)
    }

    /// Counts a byte that says nothing.
    fn count(&mut self, next: State) -> Result<State, Bad> {
        self.extensions += 1;
        if self.extensions > self.limits.extensions {
            return Err(Bad::too_large(413, "too many bytes of chunk extensions"));
        }
        Ok(next)
    }

    fn trailer(&mut self, byte: u8) -> Result<State, Bad> {
        if self.trailers.len() >= self.limits.trailers as usize {
            return Err(Bad::too_large(431, "too many bytes of trailers"));
        }
        self.trailers.push(byte);
        Ok(State::Trailer)
    }

    fn end_of_trailer(&mut self) -> Result<State, Bad> {
        let line = self.trailers.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        trailer_of(line)?;
        self.trailer_count += 1;
        if self.trailer_count > self.limits.trailer_count {
            return Err(Bad::too_large(431, "too many trailers"));
        }
        self.trailers.push(b'\n');
        Ok(State::Line)
    }

    /// Whether the body has ended.
    pub fn is_over(&self) -> bool {
        self.state == State::End
    }

    /// Adds the trailers that have come to a list; they are never to be mixed with the head's fields.
    pub fn trailers(&self, fields: &mut Fields) -> crate::status::Result {
        let lines = self.trailers.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
        for line in lines {
            if let Ok((name, value)) = trailer_of(line) {
                fields.push(name, value)?;
            }
        }
        Ok(())
    }
}

fn trailer_of(line: &[u8]) -> Result<(&[u8], &[u8]), Bad> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or(Bad::request("a trailer without a colon"))?;
    let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
    if !is_token(name) || !is_value(value) {
        return Err(Bad::request("a trailer that is not one"));
    }
    if [&b"content-length"[..], b"transfer-encoding", b"host"].iter().any(|framing| name.eq_ignore_ascii_case(framing))
    {
        return Err(Bad::request("a trailer that says how long the message is"));
    }
    Ok((name, value))
}

/// What goes before a chunk's data; behind it goes [`AFTER`].
pub struct Head {
    bytes: [u8; 18],
    start: u8,
}

/// What goes behind a chunk's data.
pub const AFTER: &[u8] = b"\r\n";
/// What ends a body without trailers.
pub const LAST: &[u8] = b"0\r\n\r\n";

impl Head {
    /// For so many bytes: at least one, since an empty chunk ends the body.
    pub fn new(length: usize) -> Self {
        debug_assert!(length > 0, "an empty chunk would end the body");
        let (mut bytes, mut start, mut left) = ([0; 18], 16, length);
        bytes[16..].copy_from_slice(b"\r\n");
        while start == 16 || left > 0 {
            start -= 1;
            bytes[start] = b"0123456789abcdef"[left & 15];
            left >>= 4;
        }
        Self { bytes, start: start as u8 }
    }

    /// The size and the end of its line.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[usize::from(self.start)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data, what is left, and whether it ended; with the input cut into pieces of `step` bytes.
    fn decode(limits: Limits, input: &[u8], step: usize) -> Result<(Vec<u8>, usize, Decoder), Bad> {
        let (mut decoder, mut data, mut left) = (Decoder::new(limits), Vec::new(), input.len());
        for mut piece in input.chunks(step) {
            let length = piece.len();
            loop {
                match decoder.next(&mut piece)? {
                    Piece::Data(bytes) => data.extend_from_slice(bytes),
                    Piece::Needs => break,
                    Piece::End => {
                        left -= length - piece.len();
                        return Ok((data, left, decoder));
                    }
                }
            }
            left -= length;
        }
        Ok((data, left, decoder))
    }

    fn bad(limits: Limits, input: &[u8]) -> Bad {
        let whole = decode(limits, input, input.len()).map(|_| ()).expect_err("it is to be refused");
        assert_eq!(decode(limits, input, 1).map(|_| ()), Err(whole), "by bytes");
        whole
    }

    #[test]
    fn data_is_the_same_however_it_is_cut() {
        let input = b"5\r\nhello\r\n009;name=\"x;y\" ; b\r\n 0123\r\n89\r\n0\r\nX: y\r\nZ:\r\n\r\nGET /";
        for step in 1..=input.len() {
            let (data, left, decoder) = decode(Limits::default(), input, step).expect("it is well formed");
            assert_eq!((&data[..], left), (&b"hello 0123\r\n89"[..], 5), "{step}");
            let mut trailers = Fields::new();
            assert_eq!((decoder.is_over(), decoder.trailers(&mut trailers)), (true, Ok(())));
            assert_eq!(trailers.iter().collect::<Vec<_>>(), [(&b"X"[..], &b"y"[..]), (b"Z", b"")]);
        }
    }

    #[test]
    fn data_is_lent_without_a_copy() {
        let whole = b"3\r\nabc\r\n0\r\n\r\n";
        let (mut decoder, mut input) = (Decoder::new(Limits::default()), &whole[..]);
        let Ok(Piece::Data(data)) = decoder.next(&mut input) else { panic!("there is data") };
        assert_eq!(data.as_ptr(), whole[3..].as_ptr());
        assert_eq!(decoder.next(&mut input), Ok(Piece::End));
        assert_eq!((decoder.next(&mut input), input), (Ok(Piece::End), &b""[..]));
    }

    #[test]
    fn what_is_cut_short_is_not_over() {
        let whole = b"3\r\nabc\r\n0\r\nA: b\r\n\r\n";
        for end in 0..whole.len() {
            let (_, left, decoder) = decode(Limits::default(), &whole[..end], 100).expect("it is well formed so far");
            assert_eq!((left, decoder.is_over()), (0, false));
        }
    }

    #[test]
    fn what_breaks_the_grammar_is_refused() {
        let inputs = [
            "\r\n",
            " 5\r\nhello\r\n",
            "+5\r\nhello",
            "-1\r\n",
            "0x5\r\nhello",
            "g\r\n",
            ";a\r\n",
            "5\nhello",
            "5\r\rhello",
            "5\rhello",
            "5 \r\nhello",
            "5\t\r\nhello",
            "5 5\r\nhello",
            "5 ;a\r\nhello\r\n",
            "5\t;a\r\nhello\r\n",
            "5\r\nhelloo\r\n",
            "5\r\nhello\n",
            "5\r\nhello\r\r",
            "5\r\nhello0\r\n",
            "5;a\nb\r\n",
            "5;a\0\r\n",
            "5;a\rb\r\n",
            "0\r\n\n",
            "0\r\na\r\n\r\n",
            "0\r\n: b\r\n\r\n",
            "0\r\na : b\r\n\r\n",
            "0\r\n a: b\r\n\r\n",
            "0\r\na: b\n\r\n",
            "0\r\na: \0\r\n\r\n",
            "0\r\nContent-Length: 5\r\n\r\n",
            "0\r\ntransfer-encoding: chunked\r\n\r\n",
            "0\r\n\rX",
            "8000000000000000\r\n",
            "ffffffffffffffff\r\n",
            "10000000000000000\r\n",
            "5,5\r\n",
            "5\u{b}\r\n",
            "0\r\na: b\rc\r\n\r\n",
        ];
        for input in inputs {
            assert_eq!(bad(Limits::default(), input.as_bytes()).code, 400, "{input:?}");
        }
    }

    #[test]
    fn the_largest_size_is_that_of_a_file() {
        let (data, _, _) = decode(Limits::default(), b"7fffffffffffffff\r\nab", 3).expect("it may be");
        assert_eq!(data, b"ab");
    }

    #[test]
    fn padding_is_taken_where_it_is_said() {
        let limits = Limits { padded: true, ..Limits::default() };
        assert_eq!(decode(limits, b"2  \r\nab\r\n0 \r\n\r\n", 1).expect("it may be").0, b"ab");
        assert_eq!(decode(limits, b"2 ;a\r\nab\r\n0 \r\n\r\n", 1).expect("it may be").0, b"ab");
        assert_eq!(bad(limits, b"2 2\r\n").code, 400);
    }

    #[test]
    fn all_extensions_of_a_body_count_together() {
        let limits = Limits { extensions: 10, ..Limits::default() };
        assert!(decode(limits, b"1;234\r\na\r\n1;2345\r\nb\r\n", 4).is_ok());
        assert_eq!(bad(limits, b"1;234\r\na\r\n1;23456\r\nc\r\n0;\r\n").code, 413);
        assert!(decode(limits, b"0000000000000001\r\na\r\n", 4).is_ok());
        assert_eq!(bad(limits, b"00000000000000001\r\na").code, 400);
    }

    #[test]
    fn trailers_have_limits() {
        let limits = Limits { trailers: 12, trailer_count: 2, ..Limits::default() };
        assert!(decode(limits, b"0\r\na: b\r\nc: d\r\n\r\n", 4).is_ok());
        assert_eq!(bad(limits, b"0\r\na: b\r\nc: d\r\ne:\r\n\r\n").code, 431);
        assert_eq!(bad(limits, b"0\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").code, 431);
    }

    #[test]
    fn heads_of_chunks() {
        for (length, head) in [(1, "1\r\n"), (15, "f\r\n"), (16, "10\r\n"), (0xabcdef, "abcdef\r\n")] {
            assert_eq!(Head::new(length).as_bytes(), head.as_bytes());
        }
        assert_eq!(Head::new(usize::MAX).as_bytes(), b"ffffffffffffffff\r\n");
    }
}
