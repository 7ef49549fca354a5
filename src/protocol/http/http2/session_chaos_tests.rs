//! Whatever a peer sends and a host asks for, in whatever order: each stream ends once, and nothing comes after the end.

use super::*;
use crate::protocol::http::http2::PREFACE;
use std::collections::BTreeSet;

/// A generator of numbers that is good enough to make inputs.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Blocks of fields: requests that are right, and such as are not.
const BLOCKS: [&[u8]; 8] = [
    // GET / http of the static table, :authority "a".
    b"\x82\x84\x86\x41\x01a",
    b"\x83\x84\x86\x41\x01a",
    b"\x83\x84\x86\x41\x01a\x0f\x0d\x0210",
    // No path, an unknown index, a name in capitals, connection-specific, trailers, a size update.
    b"\x82\x86",
    b"\x82\x84\x86\xff\xff\xff\x0f",
    b"\x82\x84\x86\x00\x01A\x01b",
    b"\x40\x01x\x01y",
    b"\x3f\xe1\x1f\x82\x84\x86\x41\x01a",
];

/// Mostly what a client may send; `next` is the next stream that it may begin.
fn frames(next: &mut u32, random: &mut Random) -> Vec<u8> {
    let begun = (*next / 2) as usize;
    if random.below(100) == 0 {
        let payload = vec![1; random.below(30)];
        return frame(random.below(12) as u8, random.below(64) as u8, random.below(4) as u32, &payload);
    }
    let stream = if begun == 0 { 1 } else { 1 + 2 * random.below(begun) as u32 };
    let number = (1 + random.below(100_000) as u32).to_be_bytes();
    match random.below(20) {
        0..7 => {
            *next += 2;
            let bad = random.below(10) == 0;
            let block = if bad { random.one(&BLOCKS) } else { random.one(&BLOCKS[..3]) };
            frame(1, [4, 5][random.below(2)], *next - 2, block)
        }
        _ if begun == 0 => frame(6, 0, 0, &[0; 8]),
        7..13 => frame(0, (random.below(4) == 0) as u8, stream, &vec![7; random.below(9_000)][..]),
        13 => frame(3, 0, stream, &number),
        14 | 15 => frame(8, 0, [0, stream][random.below(2)], &number),
        16 => {
            let (setting, value) =
                [(3, 0), (3, 9), (4, 0), (4, 70_000), (5, 16_384), (5, 50_000), (6, 100)][random.below(7)];
            frame(4, 0, 0, &[&[0, setting][..], &(value as u32).to_be_bytes()].concat())
        }
        17 | 18 => frame(6, 0, 0, &[0; 8]),
        _ => frame(2, 0, stream, &[0, 0, 0, 0, 1]),
    }
}

/// What a host may do with a stream.
fn act(session: &mut Session, stream: u32, random: &mut Random) -> bool {
    match random.below(10) {
        0 => session.set_paused(stream, true),
        1 => session.set_paused(stream, false),
        2 | 3 => drop(session.respond(stream, Response::new(()), random.below(4) == 0)),
        4 => session.write(stream, Bytes::from(vec![5; random.below(50_000)])),
        5 => session.finish(stream, None),
        6 => session.finish(stream, Some(HeaderMap::new())),
        7 => session.tell_room(stream, random.below(1000)),
        8 if random.below(4) == 0 => {
            session.reset(stream, Reason::CANCEL);
            return true;
        }
        _ => drop(session.inform(stream, Response::builder().status(103).body(()).unwrap())),
    }
    false
}

fn one_connection(seed: u64) -> usize {
    let random = &mut Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut session = Session::new(&Limits::default(), 0);
    session.set_room(100_000);
    let mut bytes = PREFACE.to_vec();
    bytes.extend([frame(4, 0, 0, &[]), frame(4, 1, 0, &[])].concat());
    let mut next = 1;
    for _ in 0..random.below(100) {
        bytes.extend(frames(&mut next, random));
    }
    if random.below(3) == 0 {
        let at = random.below(bytes.len());
        bytes[at] ^= 1 << random.below(8);
    }
    let (mut open, mut ever, mut closed) = (BTreeSet::new(), 0, false);
    let mut left = &bytes[..];
    while !left.is_empty() {
        let (now, rest) = left.split_at(left.len().min(1 + random.below(9_000)));
        left = rest;
        session.receive(now, 0);
        if left.is_empty() {
            session.receive_end();
        }
        session.set_room([0, 1, 500, 100_000][random.below(4)].max(if left.is_empty() { 10_000_000 } else { 0 }));
        while let Some(event) = session.next_event() {
            assert!(!closed, "{event:?} after the end, seed {seed}");
            match event {
                Event::Request { stream, .. } => {
                    assert!(open.insert(stream), "seed {seed}");
                    ever += 1;
                }
                Event::Sent { stream } | Event::Reset { stream, .. } => assert!(open.remove(&stream), "seed {seed}"),
                Event::Body { stream, .. } | Event::Ended { stream, .. } | Event::Room { stream } => {
                    assert!(open.contains(&stream), "seed {seed}");
                }
                Event::Closed { .. } => {
                    assert!(open.is_empty(), "seed {seed}");
                    closed = true;
                }
            }
            if let Some(&stream) = open.iter().nth(random.below(open.len() + 1)) {
                if act(&mut session, stream, random) {
                    open.remove(&stream);
                }
            }
        }
        session.take_output(Vec::new());
    }
    assert_eq!(session.streams(), open.len(), "seed {seed}");
    assert!(closed && session.next_event().is_none(), "seed {seed}");
    ever
}

#[test]
fn a_connection_survives_anything() {
    let ever = (1..2000).map(one_connection).sum::<usize>();
    assert!(ever > 3_000, "only {ever} requests");
}
