//! Endpoints, as the host writes them.
#![no_main]

use lariat::net::endpoint::{Purpose, parse, parse_peer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    for purpose in [Purpose::Listen, Purpose::Connect, Purpose::Datagrams] {
        let _ = parse(text, purpose);
    }
    let _ = parse_peer(text);
});
