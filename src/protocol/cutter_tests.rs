use super::*;
use crate::protocol::{LengthPrefix, Line, Netstring};
use std::cell::RefCell;

/// What a sink was given: a frame, or raw bytes.
#[derive(Clone, Debug, PartialEq)]
enum Got {
    Frame(Vec<u8>),
    Raw(Vec<u8>),
}

/// Does something for each thing that it gets; it may be paused by that.
struct Recorder<'a> {
    got: RefCell<Vec<Got>>,
    paused: Cell<bool>,
    react: Box<dyn Fn(&Cell<bool>, &Got) + 'a>,
}

impl<'a> Recorder<'a> {
    fn new(react: impl Fn(&Cell<bool>, &Got) + 'a) -> Self {
        Self { got: RefCell::default(), paused: Cell::new(false), react: Box::new(react) }
    }

    fn take(&self, got: Got) {
        assert!(!self.paused.get(), "nothing comes while it is paused");
        self.got.borrow_mut().push(got.clone());
        (self.react)(&self.paused, &got);
    }
}

impl Sink for Recorder<'_> {
    fn wants(&self) -> bool {
        !self.paused.get()
    }

    fn frame(&self, body: &[u8]) {
        self.take(Got::Frame(body.to_vec()));
    }

    fn raw(&self, data: &[u8]) {
        assert!(!data.is_empty(), "raw bytes are some");
        self.take(Got::Raw(data.to_vec()));
    }
}

/// A generator of numbers that is good enough to make inputs.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

fn line(delimiter: &[u8], max: usize) -> Option<Rc<Format>> {
    Line::new(delimiter, max).ok().map(|line| Rc::new(Format::Line(line)))
}

fn netstring(max: usize) -> Option<Rc<Format>> {
    Some(Rc::new(Format::Netstring(Netstring::new(max))))
}

fn prefix(bits: i32, max: usize) -> Option<Rc<Format>> {
    LengthPrefix::new(bits, max).ok().map(|prefix| Rc::new(Format::LengthPrefix(prefix)))
}

fn cutter(format: Option<Rc<Format>>) -> Cutter {
    let cutter = Cutter::default();
    cutter.set_format(format);
    cutter
}

fn frames(bodies: &[&[u8]]) -> Vec<Got> {
    bodies.iter().map(|body| Got::Frame(body.to_vec())).collect()
}

/// What comes out of these pieces, and what was said at the end.
fn cut(format: Option<Rc<Format>>, pieces: &[&[u8]]) -> (Vec<Got>, Result) {
    let (cutter, recorder) = (cutter(format), Recorder::new(|_, _| ()));
    let fed = pieces.iter().try_for_each(|piece| cutter.feed(&recorder, piece));
    (recorder.got.into_inner(), fed.and_then(|()| cutter.finish()))
}

/// What comes out of all of it at once comes out of any two pieces of it, and of single bytes.
fn check_splits(format: impl Fn() -> Option<Rc<Format>>, input: &[u8], bodies: &[&[u8]], end: Result) {
    let want = (frames(bodies), end);
    for place in 0..=input.len() {
        let (one, other) = input.split_at(place);
        assert_eq!(cut(format(), &[one, other]), want, "split at {place}");
    }
    assert_eq!(cut(format(), &input.chunks(1).collect::<Vec<_>>()), want, "byte by byte");
}

#[test]
fn every_split_gives_the_same() {
    let crlf = || line(b"\r\n", 0);
    check_splits(crlf, b"one\r\n\r\ntwo\rthree\nfour\r\r\n\r\n", &[b"one", b"", b"two\rthree\nfour\r", b""], Ok(()));
    check_splits(crlf, b"one\r\ntwo\r", &[b"one"], Err(Status::ERR_TRUNCATED));
    check_splits(|| line(b"\n", 0), b"a\r\nb\n\n", &[b"a\r", b"b", b""], Ok(()));
    check_splits(|| line(b"abab", 0), b"xabababab-ababab", &[b"x", b"", b"-"], Err(Status::ERR_TRUNCATED));
    check_splits(|| netstring(0), b"5:hello,0:,3:a,b,", &[b"hello", b"", b"a,b"], Ok(()));
    check_splits(|| netstring(0), b"5:hello,12:too sh", &[b"hello"], Err(Status::ERR_TRUNCATED));
    check_splits(|| prefix(8, 0), b"\x02hi\0\x01!", &[b"hi", b"", b"!"], Ok(()));
    check_splits(|| prefix(16, 0), b"\0\x02hi\0\0\0\x01!", &[b"hi", b"", b"!"], Ok(()));
    check_splits(|| prefix(32, 0), b"\0\0\0\x02hi\0\0\0\0\0", &[b"hi", b""], Err(Status::ERR_TRUNCATED));
}

#[test]
fn every_split_breaks_at_the_same_place() {
    check_splits(|| line(b"\r\n", 3), b"abc\r\nabcd\r\n", &[b"abc"], Err(Status::ERR_TOO_LONG));
    check_splits(|| line(b"\r\n", 3), b"abc\r\nabcdefgh", &[b"abc"], Err(Status::ERR_TOO_LONG));
    check_splits(|| line(b"\r\n", 3), b"abc\r\nabc\r", &[b"abc"], Err(Status::ERR_TRUNCATED));
    check_splits(|| netstring(3), b"3:abc,4:abcd,", &[b"abc"], Err(Status::ERR_TOO_LONG));
    check_splits(|| netstring(3), b"3:abc,03:abc,", &[b"abc"], Err(Status::ERR_BAD_FRAME));
    check_splits(|| netstring(3), b"3:abc,3:abcd,", &[b"abc"], Err(Status::ERR_BAD_FRAME));
    check_splits(|| prefix(8, 3), b"\x03abc\x04abcd", &[b"abc"], Err(Status::ERR_TOO_LONG));
}

/// All the formats, with limits of 40 bytes.
fn all() -> Vec<Option<Rc<Format>>> {
    vec![
        line(b"\r\n", 40),
        line(b"\n", 40),
        line(b"aab", 40),
        netstring(40),
        prefix(8, 40),
        prefix(16, 40),
        prefix(32, 40),
    ]
}

#[test]
fn what_is_wrapped_comes_out_again_however_it_is_cut_and_paused() {
    let mut random = Random(0x5eed);
    for round in 0..4000 {
        let formats = all();
        let format = formats[round % formats.len()].clone();
        let Some(wrapping) = &format else { panic!("every format is one") };
        let (mut stream, mut want) = (Vec::new(), Vec::new());
        for _ in 0..random.below(20) {
            let body = (0..random.below(41)).map(|_| b"ab\r\n,:05"[random.below(8)]).collect::<Vec<u8>>();
            if let Ok(around) = wrapping.around(&body) {
                stream.extend_from_slice(around.head());
                stream.extend_from_slice(&body);
                stream.extend_from_slice(around.tail);
                want.push(Got::Frame(body));
            }
        }
        let pauses = random.below(3);
        let cutter = cutter(format);
        let recorder = Recorder::new(|paused, got| {
            let Got::Frame(body) = got else { panic!("a frame") };
            paused.set(pauses == 1 && body.len() % 2 == 0 || pauses == 2);
        });
        let mut left = &stream[..];
        while !left.is_empty() || cutter.has_more() {
            let (piece, rest) = left.split_at(random.below(left.len().min(60) + 1));
            left = rest;
            assert_eq!(cutter.feed(&recorder, piece), Ok(()));
            if random.below(3) == 0 {
                recorder.paused.set(false);
                assert_eq!(cutter.feed(&recorder, &[]), Ok(()));
            }
        }
        assert_eq!(cutter.finish(), Ok(()));
        assert_eq!(recorder.got.into_inner(), want);
    }
}

/// Lines as one would write them down without a thought for speed.
fn model(delimiter: &[u8], max: usize, input: &[u8]) -> (Vec<Got>, Result) {
    let (mut got, mut rest) = (Vec::new(), input);
    while let Some(end) = rest.windows(delimiter.len()).position(|window| window == delimiter) {
        if end > max {
            return (got, Err(Status::ERR_TOO_LONG));
        }
        got.push(Got::Frame(rest[..end].to_vec()));
        rest = &rest[end + delimiter.len()..];
    }
    let begun = (0..delimiter.len()).rev().find(|begun| rest.ends_with(&delimiter[..*begun])).unwrap_or(0);
    let end = match rest.len() {
        0 => Ok(()),
        // Too long only once it is certain: what looks like the beginning of a delimiter may be one.
        length if length > max + delimiter.len() - 1 => Err(Status::ERR_TOO_LONG),
        length => {
            Err(if length - begun > max + delimiter.len() { Status::ERR_TOO_LONG } else { Status::ERR_TRUNCATED })
        }
    };
    (got, end)
}

#[test]
fn any_bytes_are_lines_as_in_the_model() {
    let mut random = Random(0xfeed);
    for _ in 0..4000 {
        let delimiter: &[u8] = [&b"\n"[..], b"\r\n", b"aab", b"abab"][random.below(4)];
        let input = (0..random.below(80)).map(|_| b"ab\r\n"[random.below(4)]).collect::<Vec<u8>>();
        let max = random.below(12) + 1;
        let pieces = input.chunks(random.below(9) + 1).collect::<Vec<_>>();
        assert_eq!(cut(line(delimiter, max), &pieces), model(delimiter, max, &input), "{}", input.escape_ascii());
    }
}

#[test]
fn any_bytes_break_every_format_at_the_same_place_however_they_come() {
    let mut random = Random(0xdeed);
    for round in 0..4000 {
        let input = (0..random.below(60)).map(|_| b"0123:,ab\0\x01\x02\x03"[random.below(12)]).collect::<Vec<u8>>();
        let want = cut(all()[round % 7].clone(), &[&input]);
        let pieces = input.chunks(random.below(5) + 1).collect::<Vec<_>>();
        assert_eq!(cut(all()[round % 7].clone(), &pieces), want, "{}", input.escape_ascii());
    }
}

#[test]
fn a_long_line_that_trickles_is_not_searched_over_and_over() {
    const LENGTH: usize = 1 << 20;
    let (cutter, recorder) = (cutter(line(b"\r\n", LENGTH)), Recorder::new(|_, _| ()));
    for place in 0..LENGTH {
        // Half of a delimiter comes often.
        let byte = if place % 3 == 0 { b'\n' } else { b'x' };
        assert_eq!(cutter.feed(&recorder, &[byte]), Ok(()));
    }
    assert_eq!(cutter.feed(&recorder, b"\r"), Ok(()));
    assert_eq!(cutter.feed(&recorder, b"\n"), Ok(()));
    assert!(matches!(&recorder.got.borrow()[..], [Got::Frame(line)] if line.len() == LENGTH));
}

#[test]
fn no_more_room_is_taken_than_the_frame_needs() {
    let (cutter, recorder) = (cutter(prefix(32, 1 << 20)), Recorder::new(|_, _| ()));
    let room = || cutter.with_held(|held| held.bytes.capacity());
    assert_eq!(cutter.feed(&recorder, b"\0\x10\0\0"), Ok(()));
    assert!(room() <= LEAST, "what is only announced takes no room");
    let body = vec![7; 1 << 20];
    for piece in body[..body.len() - 1].chunks(1000) {
        assert_eq!(cutter.feed(&recorder, piece), Ok(()));
        assert!(room() <= body.len() + 4);
    }
    assert_eq!(cutter.feed(&recorder, &[7, 0, 0]), Ok(()));
    assert!(room() <= KEPT, "and it is given back");
    assert_eq!(recorder.got.into_inner(), frames(&[&body]));
}

/// A stream whose frames say how it goes on, in pieces of each size: what comes out, raw bytes joined.
fn switched(stream: &[u8], on: impl Fn(&Cutter, &Got) + Copy, want: &[Got]) {
    for size in 1..=stream.len() {
        let cutter = cutter(line(b"\n", 0));
        let recorder = Recorder::new(|_, got| on(&cutter, got));
        stream.chunks(size).for_each(|piece| assert_eq!(cutter.feed(&recorder, piece), Ok(())));
        let mut joined = Vec::<Got>::new();
        for got in recorder.got.into_inner() {
            match (joined.last_mut(), got) {
                (Some(Got::Raw(before)), Got::Raw(more)) => before.extend(more),
                (_, got) => joined.push(got),
            }
        }
        assert_eq!(joined, want, "pieces of {size}");
    }
}

#[test]
fn a_format_set_for_a_frame_holds_for_all_behind_it() {
    let on = |cutter: &Cutter, got: &Got| match got {
        Got::Frame(body) if body == b"net" => cutter.set_format(netstring(0)),
        Got::Frame(body) if body == b"8" => cutter.set_format(prefix(8, 0)),
        Got::Frame(body) if body == b"raw" => cutter.set_format(None),
        _ => {}
    };
    let want = frames(&[b"a", b"net", b"b", b"8", b"cde", b"", b"raw"]);
    let want = [&want[..], &[Got::Raw(b"3:abc,\n".to_vec())]].concat();
    switched(b"a\nnet\n1:b,1:8,\x03cde\0\x03raw3:abc,\n", on, &want);
}

#[test]
fn raw_bytes_that_were_too_many_are_given_back() {
    // As a protocol does that takes two raw bytes: what is behind them is lines again.
    let need = Cell::new(0_usize);
    let on = |cutter: &Cutter, got: &Got| match got {
        Got::Frame(body) if body == b"two" => {
            need.set(2);
            cutter.set_format(None);
        }
        Got::Frame(_) => {}
        Got::Raw(data) => {
            let taken = need.get().min(data.len());
            need.set(need.get() - taken);
            if need.get() == 0 {
                assert_eq!(cutter.give_back(&data[taken..]), Ok(()));
                cutter.set_format(line(b"\n", 0));
            }
        }
    };
    for size in 1..20 {
        let cutter = cutter(line(b"\n", 0));
        let recorder = Recorder::new(|_, got| on(&cutter, got));
        let stream = b"a\ntwo\n\n\nb\ntwo\nxyc\n";
        stream.chunks(size).for_each(|piece| assert_eq!(cutter.feed(&recorder, piece), Ok(())));
        let got = recorder.got.into_inner().into_iter().filter(|got| matches!(got, Got::Frame(_))).collect::<Vec<_>>();
        assert_eq!(got, frames(&[b"a", b"two", b"b", b"two", b"c"]), "pieces of {size}");
        assert_eq!(cutter.finish(), Ok(()));
    }
}

#[test]
fn what_is_given_back_raw_comes_with_more_behind_it() {
    let cutter = cutter(None);
    let recorder = Recorder::new(|_, got| match got {
        Got::Raw(data) if data.len() < 4 => assert_eq!(cutter.give_back(data), Ok(())),
        _ => {}
    });
    for piece in [&b"a"[..], b"", b"bc", b"", b"de", b"f"] {
        assert_eq!(cutter.feed(&recorder, piece), Ok(()));
    }
    let want = [&b"a"[..], b"abc", b"abcde", b"f"].map(|data| Got::Raw(data.to_vec()));
    assert_eq!(recorder.got.into_inner(), want);
    assert_eq!(cutter.finish(), Ok(()), "it was seen: nothing is cut short");
}

#[test]
fn a_frame_that_is_given_back_comes_before_what_waits() {
    let (cutter, once) = (cutter(line(b"\n", 0)), Cell::new(true));
    let recorder = Recorder::new(|paused, got| {
        paused.set(true);
        if *got == Got::Frame(b"b".to_vec()) && once.replace(false) {
            assert_eq!(cutter.give_back(b"b again\nand "), Ok(()));
        }
    });
    for piece in [&b"a\nb\nc\nd"[..], b"", b"", b"", b"\n"] {
        assert_eq!(cutter.feed(&recorder, piece), Ok(()));
        recorder.paused.set(false);
    }
    assert_eq!(cutter.feed(&recorder, &[]), Ok(()));
    assert_eq!(recorder.got.into_inner(), frames(&[b"a", b"b", b"b again", b"and c", b"d"]));
}
