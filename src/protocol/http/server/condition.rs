//! Conditions and ranges (RFC 9110, sections 13 and 14): which answer a request for a file gets, and which parts of it.

use crate::protocol::http::date;
use crate::protocol::http::fields::{Fields, elements, trim};

/// More ranges than these are answered with the whole file: nobody needs them, and each costs more than its bytes.
const RANGES: usize = 16;

/// What is known of the file.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// A strong one, with its quotes.
    pub etag: &'a [u8],
    /// Seconds since 1970.
    pub modified: i64,
    /// Bytes.
    pub size: u64,
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// 200
    Whole,
    /// 206: where each part begins, and how long it is; never empty.
    Parts(Vec<(u64, u64)>),
    /// 304
    NotModified,
    /// 412
    Failed,
    /// 416
    NotSatisfiable,
}

/// Finds the answer to a request by `method` with these fields; `now` in seconds since 1970.
pub fn decide(method: &[u8], fields: &Fields, facts: &Facts, now: i64) -> Answer {
    let is_get = method == b"GET";
    let reads = is_get || method == b"HEAD";
    let dated = |name: &[u8]| fields.get(name).and_then(|text| date::parse(text, now));
    if fields.has(b"if-match") {
        if !matches(fields, b"if-match", facts.etag, true) {
            return Answer::Failed;
        }
    } else if dated(b"if-unmodified-since").is_some_and(|since| facts.modified > since) {
        return Answer::Failed;
    }
    if fields.has(b"if-none-match") {
        if matches(fields, b"if-none-match", facts.etag, false) {
            return if reads { Answer::NotModified } else { Answer::Failed };
        }
    } else if reads && dated(b"if-modified-since").is_some_and(|since| facts.modified <= since) {
        return Answer::NotModified;
    }
    match fields.get(b"range") {
        Some(range) if is_get && if_range(fields, facts, now) => ranges(range, facts.size),
        _ => Answer::Whole,
    }
}

/// Whether one of the listed tags is this one. A weak one is never strongly the same.
fn matches(fields: &Fields, name: &[u8], etag: &[u8], strong: bool) -> bool {
    fields.all(name).any(|value| {
        trim(value) == b"*"
            || elements(value).any(|tag| match tag.strip_prefix(b"W/") {
                Some(weak) => !strong && weak == etag,
                None => tag == etag,
            })
    })
}

/// Whether the range is asked of the file as it is.
fn if_range(fields: &Fields, facts: &Facts, now: i64) -> bool {
    match fields.get(b"if-range") {
        None => true,
        Some(tag) if tag.starts_with(b"\"") || tag.starts_with(b"W/") => tag == facts.etag,
        Some(text) => date::parse(text, now) == Some(facts.modified),
    }
}

/// The parts that a Range asks for. One that is not understood is as if it were not there.
fn ranges(text: &[u8], size: u64) -> Answer {
    let Some((unit, list)) = text.iter().position(|byte| *byte == b'=').map(|at| (&text[..at], &text[at + 1..])) else {
        return Answer::Whole;
    };
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return Answer::Whole;
    }
    let mut parts = Vec::new();
    let mut asked = 0;
    for range in list.split(|byte| *byte == b',').map(trim).filter(|range| !range.is_empty()) {
        asked += 1;
        let Some(range) = one_range(range, size) else { return Answer::Whole };
        parts.extend(range);
    }
    if asked == 0 || asked > RANGES {
        return Answer::Whole;
    }
    if parts.is_empty() {
        return Answer::NotSatisfiable;
    }
    // Overlaps that come to more than the file are no use to anybody but an attacker.
    let sum = parts.iter().fold(0_u64, |sum, (_, length)| sum.saturating_add(*length));
    if parts.len() > 1 && sum > size { Answer::Whole } else { Answer::Parts(parts) }
}

/// None: it is no range. Some(None): it has nothing of the file.
fn one_range(text: &[u8], size: u64) -> Option<Option<(u64, u64)>> {
    let at = text.iter().position(|byte| *byte == b'-')?;
    let (first, last) = (&text[..at], &text[at + 1..]);
    if first.is_empty() {
        let length = number(last)?.min(size);
        return Some((length > 0).then(|| (size - length, length)));
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    Some((first < size).then(|| (first, last.min(size - 1) - first + 1)))
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // One that is past all bounds is past the end of any file.
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(digits.iter().fold(0, add))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(method: &str, fields: &[(&str, &str)]) -> Answer {
        let mut list = Fields::new();
        for (name, value) in fields {
            assert_eq!(list.add(name.as_bytes(), value.as_bytes()), Ok(()));
        }
        let facts = Facts { etag: b"\"x\"", modified: 784_111_777, size: 1000 };
        decide(method.as_bytes(), &list, &facts, 1_600_000_000)
    }

    fn ranged(text: &str) -> Answer {
        answer("GET", &[("Range", text)])
    }

    #[test]
    fn ranges_are_read_as_they_are_meant() {
        let parts = |parts: &[(u64, u64)]| Answer::Parts(parts.to_vec());
        assert_eq!(ranged("bytes=0-0"), parts(&[(0, 1)]));
        assert_eq!(ranged("bytes=0-999"), parts(&[(0, 1000)]));
        assert_eq!(ranged("Bytes=10-"), parts(&[(10, 990)]));
        assert_eq!(ranged("bytes=-10"), parts(&[(990, 10)]));
        assert_eq!(ranged("bytes=-5000"), parts(&[(0, 1000)]));
        assert_eq!(ranged("bytes=990-5000"), parts(&[(990, 10)]));
        assert_eq!(ranged("bytes=0-1, 5-6,,-1"), parts(&[(0, 2), (5, 2), (999, 1)]));
        assert_eq!(ranged("bytes=0-1,1000-"), parts(&[(0, 2)]));
        assert_eq!(ranged("bytes=0-99999999999999999999999999"), parts(&[(0, 1000)]));
        for none in ["bytes=1000-", "bytes=-0", "bytes=1000-2000,5000-"] {
            assert_eq!(ranged(none), Answer::NotSatisfiable, "{none}");
        }
        for not_one in [
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=x-",
            "bytes=1",
            "bytes=5-4",
            "lines=0-1",
            "bytes=0-1,x",
            "bytes=--1",
            "bytes=+1-2",
            "bytes=0 -1",
        ] {
            assert_eq!(ranged(not_one), Answer::Whole, "{not_one}");
        }
    }

    #[test]
    fn too_many_ranges_are_the_whole() {
        assert_eq!(ranged(&format!("bytes={}", "0-0,".repeat(17))), Answer::Whole);
        assert_eq!(ranged("bytes=0-,0-,0-"), Answer::Whole);
    }

    #[test]
    fn conditions_come_in_their_order() {
        let (then, later) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT");
        let before = "Sun, 06 Nov 1994 08:49:36 GMT";
        assert_eq!(answer("GET", &[("If-Match", "\"y\"")]), Answer::Failed);
        assert_eq!(answer("GET", &[("If-Match", "W/\"x\"")]), Answer::Failed);
        assert_eq!(answer("GET", &[("If-Match", "\"y\", \"x\""), ("If-Unmodified-Since", before)]), Answer::Whole);
        assert_eq!(answer("GET", &[("If-Unmodified-Since", before)]), Answer::Failed);
        assert_eq!(answer("GET", &[("If-Unmodified-Since", then)]), Answer::Whole);
        assert_eq!(answer("GET", &[("If-None-Match", "W/\"x\"")]), Answer::NotModified);
        assert_eq!(answer("HEAD", &[("If-None-Match", "*")]), Answer::NotModified);
        assert_eq!(answer("PUT", &[("If-None-Match", "*")]), Answer::Failed);
        assert_eq!(answer("GET", &[("If-None-Match", "\"y\""), ("If-Modified-Since", later)]), Answer::Whole);
        assert_eq!(answer("GET", &[("If-Modified-Since", then)]), Answer::NotModified);
        assert_eq!(answer("GET", &[("If-Modified-Since", before)]), Answer::Whole);
        assert_eq!(answer("GET", &[("If-Modified-Since", "whenever")]), Answer::Whole);
        assert_eq!(answer("POST", &[("If-Modified-Since", later)]), Answer::Whole);
        assert_eq!(answer("GET", &[("If-None-Match", "\"x\""), ("Range", "bytes=0-1")]), Answer::NotModified);
    }

    #[test]
    fn a_range_of_another_version_is_the_whole_of_this_one() {
        let ranged = |if_range: &str| answer("GET", &[("Range", "bytes=0-1"), ("If-Range", if_range)]);
        assert_eq!(ranged("\"x\""), Answer::Parts(vec![(0, 2)]));
        assert_eq!(ranged("Sun, 06 Nov 1994 08:49:37 GMT"), Answer::Parts(vec![(0, 2)]));
        for other in ["\"y\"", "W/\"x\"", "Sun, 06 Nov 1994 08:49:38 GMT", "x"] {
            assert_eq!(ranged(other), Answer::Whole, "{other}");
        }
        assert_eq!(answer("HEAD", &[("Range", "bytes=0-1")]), Answer::Whole);
    }
}
