//! Where a message ends (RFC 9112, section 6), where its head does, and whether the connection goes on after it (9.3).

use super::Bad;
use super::fields::{Fields, elements};
use memchr::memchr2;

/// How long a message's body is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Length {
    /// There is none.
    None,
    /// So many bytes.
    Exactly(u64),
    /// In chunks.
    Chunked,
    /// Until the connection ends; only a response's.
    UntilClose,
}

type Decided<T> = std::result::Result<T, Bad>;

/// Where the head at the beginning of `bytes` ends: behind its empty line. `seen` are those looked at before, and is 0 at first.
/// Lines end in CR LF and in nothing else.
pub fn end_of_head(bytes: &[u8], seen: &mut usize) -> Decided<Option<usize>> {
    let mut at = *seen;
    while let Some(found) = memchr2(b'\r', b'\n', &bytes[at..]) {
        at += found;
        match bytes[at..] {
            [b'\r'] => break,
            [b'\r', b'\n', ..] => {}
            [b'\r', ..] => return Err(Bad::request("a CR without its LF in the head")),
            _ => return Err(Bad::request("an LF without its CR in the head")),
        }
        match bytes[at + 2..] {
            [b'\r', b'\n', ..] => {
                *seen = at;
                return Ok(Some(at + 4));
            }
            // What is behind it is still needed.
            [] | [b'\r'] => break,
            _ => at += 2,
        }
        *seen = at;
    }
    *seen = if memchr2(b'\r', b'\n', &bytes[at..]).is_some() { at } else { bytes.len() };
    Ok(None)
}

/// The body of a request with these fields, of HTTP/1.`minor`.
pub fn request_body(minor: u8, fields: &Fields) -> Decided<Length> {
    Ok(announced(minor, fields)?.unwrap_or(Length::None))
}

/// The body of the response to a request by this method.
pub fn response_body(method: &[u8], code: u16, minor: u8, fields: &Fields) -> Decided<Length> {
    let announced = announced(minor, fields)?;
    let none = method == b"HEAD" || matches!(code, 100..=199 | 204 | 304) || method == b"CONNECT" && code / 100 == 2;
    Ok(if none { Length::None } else { announced.unwrap_or(Length::UntilClose) })
}

fn announced(minor: u8, fields: &Fields) -> Decided<Option<Length>> {
    let mut lengths = fields.all(b"content-length");
    let length = lengths.next();
    let mut codings = fields.all(b"transfer-encoding");
    let Some(coding) = codings.next() else {
        if lengths.next().is_some() {
            return Err(Bad::request("more than one Content-Length"));
        }
        return length.map(|digits| Ok(Length::Exactly(number(digits)?))).transpose();
    };
    if length.is_some() {
        return Err(Bad::request("both Content-Length and Transfer-Encoding"));
    }
    if minor == 0 {
        return Err(Bad::request("Transfer-Encoding in HTTP/1.0"));
    }
    if coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none() {
        return Ok(Some(Length::Chunked));
    }
    Err(unknown_codings(fields))
}

#[cold]
fn unknown_codings(fields: &Fields) -> Bad {
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let all = || fields.all(b"transfer-encoding").flat_map(elements);
    match (all().last().is_some_and(is_chunked), all().filter(|coding| is_chunked(coding)).count(), all().count()) {
        (false, ..) => Bad::request("a Transfer-Encoding that does not end in chunked"),
        (true, 1, 1) => Bad::request("a Transfer-Encoding with empty elements"),
        (true, 1, _) => Bad { code: 501, text: "a Transfer-Encoding besides chunked" },
        _ => Bad::request("chunked more than once"),
    }
}

/// The number that these digits are; nothing but digits is one.
pub fn number(digits: &[u8]) -> Decided<u64> {
    let add = |sum: u64, digit: &u8| match digit {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Bad::request("a Content-Length that is no number"));
    }
    let number = digits.iter().try_fold(0, add);
    number.filter(|number| *number <= i64::MAX as u64).ok_or(Bad::request("a Content-Length past all bounds"))
}

/// Whether the sender of a message with these fields, of HTTP/1.`minor`, keeps the connection for another.
pub fn is_persistent(minor: u8, fields: &Fields) -> bool {
    !fields.lists(b"connection", b"close") && (minor >= 1 || fields.lists(b"connection", b"keep-alive"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::http::fields::tests::of;

    #[test]
    fn a_request_without_either_has_no_body_and_a_response_lasts_until_the_close() {
        assert_eq!(request_body(1, &of(&[("Host", "a")])), Ok(Length::None));
        assert_eq!(response_body(b"GET", 200, 1, &of(&[])), Ok(Length::UntilClose));
    }

    #[test]
    fn a_length_is_digits_and_there_is_one() {
        for (digits, length) in [("0", 0), ("5", 5), ("007", 7), ("9223372036854775807", i64::MAX as u64)] {
            assert_eq!(request_body(1, &of(&[("content-LENGTH", digits)])), Ok(Length::Exactly(length)));
            assert_eq!(request_body(0, &of(&[("content-LENGTH", digits)])), Ok(Length::Exactly(length)));
        }
        for digits in
            ["", "+5", "-5", "5 5", "5,5", "5, 5", "0x5", "5.0", "5;", "\u{665}", "9223372036854775808", "1e3", "5_0"]
        {
            let bad = request_body(1, &of(&[("Content-Length", digits)])).expect_err(digits);
            assert_eq!(bad.code, 400, "{digits}");
        }
        let huge = "1".repeat(400);
        assert_eq!(request_body(1, &of(&[("Content-Length", &huge)])).map_err(|bad| bad.code), Err(400));
        for second in ["5", "6", ""] {
            let twice = of(&[("Content-Length", "5"), ("content-length", second)]);
            assert_eq!(request_body(1, &twice).map_err(|bad| bad.code), Err(400));
            assert_eq!(response_body(b"HEAD", 200, 1, &twice).map_err(|bad| bad.code), Err(400));
        }
    }

    #[test]
    fn chunked_is_the_only_coding_and_stands_alone() {
        assert_eq!(request_body(1, &of(&[("Transfer-Encoding", "Chunked")])), Ok(Length::Chunked));
        let bad = [
            (400, "identity"),
            (400, "chunked, identity"),
            (400, "gzip"),
            (400, "chunked, chunked"),
            (400, "xchunked"),
            (400, "chunked;q=1"),
            (400, "\"chunked\""),
            (400, ""),
            (400, ", chunked"),
            (400, "chunked,"),
            (400, "chunked, gzip, chunked"),
            (501, "cow, chunked"),
            (501, "gzip, chunked"),
        ];
        for (code, coding) in bad {
            let answered = request_body(1, &of(&[("Transfer-Encoding", coding)])).map_err(|bad| bad.code);
            assert_eq!(answered, Err(code), "{coding}");
        }
        let twice = of(&[("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")]);
        assert_eq!(request_body(1, &twice).map_err(|bad| bad.code), Err(400));
        let split = of(&[("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "identity")]);
        assert_eq!(request_body(1, &split).map_err(|bad| bad.code), Err(400));
        assert_eq!(request_body(0, &of(&[("Transfer-Encoding", "chunked")])).map_err(|bad| bad.code), Err(400));
    }

    #[test]
    fn both_are_refused() {
        let both = of(&[("Transfer-Encoding", "chunked"), ("Content-Length", "5")]);
        assert_eq!(request_body(1, &both), Err(Bad::request("both Content-Length and Transfer-Encoding")));
        assert!(response_body(b"GET", 200, 1, &both).is_err());
    }

    #[test]
    fn some_responses_have_no_body_whatever_they_say() {
        let long = of(&[("Content-Length", "5")]);
        for (method, code) in [("HEAD", 200), ("GET", 204), ("GET", 304), ("POST", 101), ("CONNECT", 200)] {
            assert_eq!(response_body(method.as_bytes(), code, 1, &long), Ok(Length::None), "{method} {code}");
        }
        assert_eq!(response_body(b"CONNECT", 407, 1, &long), Ok(Length::Exactly(5)));
        assert_eq!(response_body(b"GET", 200, 0, &long), Ok(Length::Exactly(5)));
    }

    #[test]
    fn a_connection_lasts_unless_somebody_says_otherwise() {
        assert!(is_persistent(1, &of(&[])) && !is_persistent(0, &of(&[])));
        assert!(!is_persistent(1, &of(&[("Connection", "upgrade, Close")])));
        assert!(is_persistent(0, &of(&[("Connection", "Keep-Alive")])));
        assert!(!is_persistent(0, &of(&[("Connection", "Keep-Alive, close")])));
    }

    #[test]
    fn the_head_ends_in_the_empty_line_however_it_comes() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody\r\n\r\n";
        for first in 0..head.len() {
            let mut seen = 0;
            let early = end_of_head(&head[..first], &mut seen);
            assert!(seen <= first);
            assert_eq!(early, Ok((first >= 27).then_some(27)), "{first}");
            if early == Ok(None) {
                assert_eq!(end_of_head(head, &mut seen), Ok(Some(27)), "{first}");
            }
        }
        let mut seen = 0;
        for end in 0..=27 {
            assert_eq!(end_of_head(&head[..end], &mut seen), Ok((end == 27).then_some(27)));
        }
    }

    #[test]
    fn lines_end_in_both_and_in_nothing_else() {
        for head in ["GET / HTTP/1.1\n\n", "a\r\nb\n\r\n", "a\r\rb", "a\rb", "a\r\nb\r\n\r\r", "\n"] {
            let whole = end_of_head(head.as_bytes(), &mut 0);
            assert!(whole.is_err(), "{head:?}: {whole:?}");
            let mut seen = 0;
            let bytes = (1..=head.len()).map(|end| end_of_head(&head.as_bytes()[..end], &mut seen));
            assert!(bytes.filter_map(Result::err).next().is_some(), "{head:?} by bytes");
        }
    }
}
