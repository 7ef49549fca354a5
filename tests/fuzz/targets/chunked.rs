//! The decoder of the chunked coding: bytes that come at once and bytes that come in pieces give the same, within the limits, and
//! what was encoded comes back.
#![no_main]

use lariat::protocol::http::chunked::{AFTER, Decoder, Head, LAST, Limits, Piece};
use lariat::protocol::http::{Bad, Fields};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { extensions: 64, trailers: 64, trailer_count: 4, padded: false };

struct Decoded {
    body: Vec<u8>,
    /// What belongs to the next message.
    rest: Vec<u8>,
    end: Result<bool, Bad>,
    trailers: Vec<(Vec<u8>, Vec<u8>)>,
}

fn decode(pieces: &[&[u8]]) -> Decoded {
    let mut decoder = Decoder::new(LIMITS);
    let mut decoded = Decoded { body: Vec::new(), rest: Vec::new(), end: Ok(false), trailers: Vec::new() };
    for mut input in pieces.iter().copied() {
        loop {
            match decoder.next(&mut input) {
                Ok(Piece::Data(data)) => {
                    assert!(!data.is_empty());
                    decoded.body.extend_from_slice(data);
                }
                Ok(Piece::Needs) => {
                    assert!(input.is_empty());
                    break;
                }
                Ok(Piece::End) => {
                    decoded.rest.extend_from_slice(input);
                    decoded.end = Ok(true);
                    break;
                }
                Err(bad) => {
                    decoded.end = Err(bad);
                    return decoded;
                }
            }
        }
        assert_eq!(decoder.is_over(), decoded.end == Ok(true));
    }
    let mut fields = Fields::new();
    if decoded.end == Ok(true) {
        decoder.trailers(&mut fields).expect("there is memory");
    }
    assert!(fields.len() <= LIMITS.trailer_count as usize && fields.size() <= 4 * LIMITS.trailers as usize);
    decoded.trailers = fields.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    decoded
}

fuzz_target!(|input: (u16, Vec<u8>)| {
    let (cut, bytes) = input;
    let at_once = decode(&[&bytes]);
    let cut = usize::from(cut) % (bytes.len() + 1);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    for in_pieces in [decode(&[&bytes[..cut], &bytes[cut..]]), decode(&single)] {
        assert_eq!(at_once.end, in_pieces.end);
        assert_eq!(at_once.body, in_pieces.body);
        assert_eq!(at_once.trailers, in_pieces.trailers);
        assert_eq!(at_once.rest, in_pieces.rest);
    }
    assert!(at_once.body.len() < bytes.len().max(1), "a chunk takes more than its data");

    let mut encoded = Vec::new();
    for piece in bytes.chunks(cut.max(1)) {
        encoded.extend_from_slice(Head::new(piece.len()).as_bytes());
        encoded.extend_from_slice(piece);
        encoded.extend_from_slice(AFTER);
    }
    encoded.extend_from_slice(LAST);
    let decoded = decode(&[&encoded]);
    assert_eq!(decoded.end, Ok(true));
    assert_eq!(decoded.body, bytes);
});
