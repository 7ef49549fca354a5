//! Frames of WebSocket: at once and in pieces they are the same messages, within the limits, and what was sent comes back.
#![no_main]

use lariat::protocol::websocket::deflate::{Deflater, Direction, Inflater};
use lariat::protocol::websocket::extensions::{self, Wanted};
use lariat::protocol::websocket::receiver::{Event, Limits, Receiver};
use lariat::protocol::websocket::sender::Sender;
use lariat::protocol::websocket::{Kind, Role, close};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { message: 100_000, frame: 90_000, fragments: 20 };

#[derive(PartialEq, Debug)]
enum Came {
    Message(bool, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    Broken(u16),
}

fn receive(role: Role, deflates: bool, in_pieces: bool, pieces: &[&[u8]]) -> Vec<Came> {
    let mut receiver = Receiver::new(role, LIMITS, in_pieces, deflates.then(|| Inflater::new(Direction::default())));
    let (mut came, mut message) = (Vec::new(), Vec::new());
    for mut data in pieces.iter().copied() {
        loop {
            match receiver.next(&mut data) {
                Ok(None) => {
                    assert!(data.is_empty());
                    break;
                }
                Ok(Some(Event::Message(kind, payload, is_last))) => {
                    message.extend_from_slice(&payload);
                    receiver.give_back(payload);
                    assert!(in_pieces || is_last);
                    if is_last {
                        assert!(message.len() as u64 <= LIMITS.message);
                        let is_text = matches!(kind, Kind::Text);
                        assert!(!is_text || std::str::from_utf8(&message).is_ok());
                        came.push(Came::Message(is_text, std::mem::take(&mut message)));
                    }
                }
                Ok(Some(Event::Ping(body))) => came.push(Came::Ping(body.to_vec())),
                Ok(Some(Event::Pong(body))) => came.push(Came::Pong(body.to_vec())),
                Ok(Some(Event::Close(code, reason))) => {
                    assert!(code.is_none_or(close::is_code));
                    came.push(Came::Close(code, reason));
                    return came;
                }
                Err(broken) => {
                    assert!(close::is_code(broken.code));
                    came.push(Came::Broken(broken.code));
                    return came;
                }
            }
        }
    }
    came
}

// The first byte says who receives, whether it is deflated, and where it is cut.
fuzz_target!(|input: &[u8]| {
    let Some((flags, bytes)) = input.split_first() else { return };
    let (role, deflates) = (if flags & 1 == 0 { Role::Server } else { Role::Client }, flags & 2 != 0);
    let at_once = receive(role, deflates, false, &[bytes]);
    let cut = usize::from(flags >> 2) % (bytes.len() + 1);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(at_once, receive(role, deflates, false, &[&bytes[..cut], &bytes[cut..]]));
    assert_eq!(at_once, receive(role, deflates, false, &single));
    // Who takes the pieces of a message may have to stop within it where another stops at it: the whole ones before are the same.
    let in_pieces = receive(role, deflates, true, &[bytes]);
    assert_eq!(at_once, in_pieces);

    let other = if role == Role::Server { Role::Client } else { Role::Server };
    let mut sender = Sender::new(other, deflates.then(|| Deflater::new(Direction::default(), 1)), 10);
    let mut sent = Vec::new();
    for piece in bytes.chunks(cut.max(1)).take(8) {
        let frame = sender.message(Kind::Binary, piece, || [1, 2, 3, *flags]).expect("it is sent");
        sent.extend_from_slice(&frame.head);
        sent.extend_from_slice(&frame.body);
    }
    let back = receive(role, deflates, false, &[&sent]);
    for (came, piece) in back.iter().zip(bytes.chunks(cut.max(1)).take(8)) {
        assert_eq!(*came, Came::Message(false, piece.to_vec()));
    }
    assert_eq!(back.len(), bytes.chunks(cut.max(1)).take(8).len());

    if let Ok(text) = std::str::from_utf8(bytes) {
        let wanted = Wanted::default();
        if let Ok(Some((agreed, answer))) = extensions::accept(&[text], &wanted) {
            let Ok(Some(understood)) = extensions::check(&[&answer], Some(&wanted)) else { panic!("{answer}") };
            assert_eq!((agreed.own, agreed.peer), (understood.peer, understood.own));
        }
        let _ = extensions::check(&[text], Some(&wanted));
    }
});
