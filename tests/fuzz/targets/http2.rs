//! A session of HTTP/2: whatever a client sends, each stream ends once, and nothing comes after the end.
#![no_main]

use bytes::Bytes;
use http::Response;
use lariat::protocol::http::http2::{Event, Limits, PREFACE, Session};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;

const STEP: u64 = 1_000_000;

/// Takes what has happened; false after the end.
fn take(session: &mut Session, open: &mut BTreeSet<u32>, answers: u8) -> bool {
    while let Some(event) = session.next_event() {
        match event {
            Event::Request { stream, .. } => {
                assert!(open.insert(stream), "{stream} begins twice");
                if answers & 1 != 0 {
                    session.respond(stream, Response::new(()), false).expect("nothing is wrong with it");
                    session.write(stream, Bytes::from_static(&[b'x'; 1000]));
                    session.finish(stream, None);
                }
                session.set_paused(stream, answers & 2 != 0);
            }
            Event::Body { stream, .. } | Event::Ended { stream, .. } | Event::Room { stream } => {
                assert!(open.contains(&stream), "{stream} is not open");
            }
            Event::Sent { stream } | Event::Reset { stream, .. } => {
                assert!(open.remove(&stream), "{stream} ends twice")
            }
            Event::Closed { .. } => {
                assert!(open.is_empty(), "streams are left");
                assert!(session.next_event().is_none() && session.is_over());
                return false;
            }
        }
        assert_eq!(session.streams(), open.len());
    }
    session.take_output(Vec::new());
    true
}

// The first byte: how it is answered, and how it is cut; whether the preface is put before it.
fuzz_target!(|input: &[u8]| {
    let Some((how, bytes)) = input.split_first() else { return };
    let (mut now, mut open) = (0, BTreeSet::new());
    let mut session = Session::new(&Limits::default(), now);
    session.set_room(1 << 20);
    if how & 4 != 0 {
        session.receive(PREFACE, now);
        session.receive(&[0, 0, 0, 4, 0, 0, 0, 0, 0], now);
    }
    for piece in bytes.chunks(usize::from(how >> 3) * 8 + 1) {
        now += STEP;
        session.receive(piece, now);
        if !take(&mut session, &mut open, *how) {
            return;
        }
    }
    session.receive_end();
    take(&mut session, &mut open, *how);
});
