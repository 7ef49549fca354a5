//! Heads of messages: where one ends does not depend on where what came was cut, the fields that are taken are well formed, and a message
//! has one length.
#![no_main]

use lariat::protocol::http::Fields;
use lariat::protocol::http::date;
use lariat::protocol::http::fields::{elements, is_token, is_value, trim};
use lariat::protocol::http::framing::{Length, end_of_head, is_persistent, request_body, response_body};
use libfuzzer_sys::fuzz_target;

/// What a reader finds that is given ever more of it.
fn end_step_by_step(bytes: &[u8], step: usize) -> Option<Option<usize>> {
    let mut seen = 0;
    let mut length = 0;
    loop {
        match end_of_head(&bytes[..length], &mut seen) {
            Err(_) => return None,
            Ok(Some(end)) => return Some(Some(end)),
            Ok(None) if length == bytes.len() => return Some(None),
            Ok(None) => {}
        }
        assert!(seen <= length);
        length = (length + step).min(bytes.len());
    }
}

fuzz_target!(|bytes: &[u8]| {
    let at_once = end_step_by_step(bytes, bytes.len().max(1));
    for step in [1, 3] {
        let stepped = end_step_by_step(bytes, step);
        // Who reads more at once may find an end where the other found a fault behind it, and the other way round; the ends agree.
        if let (Some(Some(one)), Some(Some(other))) = (at_once, stepped) {
            assert_eq!(one, other);
        }
    }
    if let Some(Some(end)) = at_once {
        assert!(bytes[..end].ends_with(b"\r\n\r\n"));
        assert!(!bytes[..end - 4].windows(4).any(|four| four == b"\r\n\r\n"));
    }

    let mut fields = Fields::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Some(colon) = line.iter().position(|byte| *byte == b':') {
            let _ = fields.add(&line[..colon], trim(&line[colon + 1..]));
        }
    }
    let mut written = Vec::new();
    fields.write(&mut written).expect("there is memory");
    assert_eq!(written.iter().filter(|byte| **byte == b'\n').count(), fields.len());
    for (name, value) in fields.iter() {
        assert!(is_token(name) && is_value(value));
        assert!(fields.has(name) && fields.get(name).is_some() && fields.all(name).count() >= 1);
        assert!(elements(value).all(|element| trim(element) == element));
        if let Some(seconds) = date::parse(value, 0) {
            // What is written lies between 1970 and 9999.
            assert_eq!(date::parse(&date::format(seconds), 0), Some(seconds.clamp(0, 253_402_300_799)));
        }
    }
    for minor in [0, 1] {
        let coded = fields.has(b"transfer-encoding");
        let lengths = fields.all(b"content-length").count();
        match request_body(minor, &fields) {
            Ok(Length::None) => assert!(!coded && lengths == 0),
            Ok(Length::Exactly(_)) => assert!(!coded && lengths == 1),
            Ok(Length::Chunked) => assert!(coded && lengths == 0 && minor == 1),
            Ok(Length::UntilClose) => panic!("a request that lasts until the end"),
            Err(bad) => assert!((400..=599).contains(&bad.code)),
        }
        assert_eq!(request_body(minor, &fields).is_ok(), response_body(b"GET", 200, minor, &fields).is_ok());
        is_persistent(minor, &fields);
    }
});
