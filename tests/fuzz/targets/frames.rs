//! Lines, netstrings and messages with a length before them: at once and in pieces they are the same, within the limit.
#![no_main]

use lariat::protocol::cutter::{Cutter, Sink};
use lariat::protocol::{Format, LengthPrefix, Line, Netstring};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::rc::Rc;

const LONGEST: usize = 50;

struct Frames(RefCell<Vec<Vec<u8>>>);

impl Sink for Frames {
    fn wants(&self) -> bool {
        true
    }

    fn frame(&self, body: &[u8]) {
        assert!(body.len() <= LONGEST);
        self.0.borrow_mut().push(body.to_vec());
    }

    fn raw(&self, _data: &[u8]) {
        panic!("there is a format");
    }
}

/// The frames, and whether all was well.
fn frames<'a>(format: &Rc<Format>, pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, bool) {
    let (cutter, frames) = (Cutter::default(), Frames(RefCell::default()));
    cutter.set_format(Some(format.clone()));
    let is_well = pieces.into_iter().all(|piece| cutter.feed(&frames, piece).is_ok());
    (frames.0.into_inner(), is_well)
}

fuzz_target!(|input: (u8, u8, Vec<u8>)| {
    let (kind, size, bytes) = input;
    let format = match kind % 6 {
        0 => Format::Netstring(Netstring::new(LONGEST)),
        1 => Format::Line(Line::new(b"\n", LONGEST).expect("a delimiter")),
        2 => Format::Line(Line::new(b"\r\n\r\n", LONGEST).expect("a delimiter")),
        bits => Format::LengthPrefix(LengthPrefix::new(8 << (bits - 3), LONGEST).expect("a size")),
    };
    let format = Rc::new(format);
    let at_once = frames(&format, std::iter::once(&bytes[..]));
    let in_pieces = frames(&format, bytes.chunks(usize::from(size % 16) + 1));
    assert_eq!(at_once, in_pieces);
});
