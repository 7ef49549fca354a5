//! Requests that two readers could understand in two ways: each is refused, or framed in the one way that RFC 9112 has.
//!
//! A case is what a client sends, and what becomes of it: the requests that are found, as "METHOD target [body]", then the
//! code of the refusal, or "..." where more is needed. Every case comes whole, cut in two at every place, and byte by byte.

use super::head::{self, Most};
use super::message::Message;
use crate::protocol::http::chunked::{Decoder, Limits, Piece};
use crate::protocol::http::framing::Length;

/// What a connection makes of these pieces.
fn read(pieces: &[&[u8]]) -> String {
    let mut found = String::new();
    let (mut kept, mut seen) = (Vec::new(), 0);
    let mut state = State::Head;
    for piece in pieces {
        kept.extend_from_slice(piece);
        loop {
            match step(&mut state, &kept, &mut seen, &mut found) {
                Ok(Some(used)) => drop(kept.drain(..used)),
                Ok(None) => break,
                Err(code) => return format!("{found}{code}"),
            }
        }
    }
    let at_rest = kept.is_empty() && matches!(state, State::Head);
    if at_rest { found.trim_end().to_owned() } else { format!("{found}...") }
}

enum State {
    Head,
    Length(u64, Vec<u8>),
    Chunked(Decoder, Vec<u8>),
}

fn step(state: &mut State, bytes: &[u8], seen: &mut usize, found: &mut String) -> Result<Option<usize>, u16> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let (used, body) = match state {
        State::Head => {
            let mut message = Message::default();
            let Some(head) = head::read(bytes, seen, &Most::default(), &mut message).map_err(|bad| bad.code)? else {
                return Ok(None);
            };
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            found.push_str(&format!("{} {} ", text(message.method()), text(message.target())));
            *state = match head.body {
                Length::None | Length::Exactly(0) => {
                    found.push_str("[] ");
                    State::Head
                }
                Length::Exactly(length) => State::Length(length, Vec::new()),
                _ => State::Chunked(Decoder::new(Limits::default()), Vec::new()),
            };
            return Ok(Some(head.length));
        }
        State::Length(left, body) => {
            let length = (*left).min(bytes.len() as u64) as usize;
            body.extend_from_slice(&bytes[..length]);
            *left -= length as u64;
            (length, (*left == 0).then(|| std::mem::take(body)))
        }
        State::Chunked(decoder, body) => {
            let mut input = bytes;
            match decoder.next(&mut input).map_err(|bad| bad.code)? {
                Piece::Data(data) => body.extend_from_slice(data),
                Piece::Needs => {}
                Piece::End => {
                    let body = std::mem::take(body);
                    found.push_str(&format!("[{}] ", String::from_utf8_lossy(&body)));
                    *state = State::Head;
                    return Ok(Some(bytes.len() - input.len()));
                }
            }
            return Ok(Some(bytes.len() - input.len()).filter(|used| *used > 0));
        }
    };
    if let Some(body) = body {
        found.push_str(&format!("[{}] ", String::from_utf8_lossy(&body)));
        *state = State::Head;
    }
    Ok(Some(used))
}

/// Holds a case to its outcome however it is cut; counts it.
fn check(count: &mut usize, sent: &[u8], wanted: &str) {
    *count += 1;
    let shown = sent.escape_ascii();
    assert_eq!(read(&[sent]), wanted, "{shown}");
    for cut in 1..sent.len() {
        assert_eq!(read(&[&sent[..cut], &sent[cut..]]), wanted, "{shown} cut at {cut}");
    }
    let bytes = sent.chunks(1).collect::<Vec<_>>();
    assert_eq!(read(&bytes), wanted, "{shown} byte by byte");
}

/// What would be smuggled, behind a request.
const NEXT: &str = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n";

/// A request with these lines, the first of them without its CR LF before.
fn post(lines: &str, body: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n{body}").into_bytes()
}

#[test]
fn lengths_and_codings_are_understood_in_one_way() {
    let mut count = 0;
    let count = &mut count;
    check(count, &post("Content-Length: 5", "12345"), "POST / [12345]");
    check(count, &post("Content-Length: 5", &format!("12345{NEXT}")), "POST / [12345] GET /admin []");
    check(count, &post("content-length:5", "12345"), "POST / [12345]");
    check(count, &post("Content-Length: \t 5 \t", "12345"), "POST / [12345]");
    check(count, &post("Content-Length: 0005", "12345"), "POST / [12345]");
    check(count, &post("Content-Length: 0", NEXT), "POST / [] GET /admin []");
    for value in [
        "",
        "+5",
        "-5",
        "-0",
        "+0",
        "5,5",
        "5, 5",
        "5 5",
        "5;5",
        "0x5",
        "0X5",
        "5x",
        "x5",
        "5.0",
        "5e0",
        "0b1",
        "0o5",
        "٥",
        "５",
        "5_0",
        "1,2",
        "5\u{a0}",
        "\u{b}5",
        "5\u{c}",
        "NaN",
        "inf",
        "nil",
        "\"5\"",
        "'5'",
        "(5)",
        "5,",
        ",5",
        "=5",
        ":5",
        "#5",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "18446744073709551621",
        "99999999999999999999999999999999",
        "4294967301 5",
    ] {
        check(count, &post(&format!("Content-Length: {value}"), "12345"), "400");
    }
    for second in ["5", "6", "0", "", "+5", "05"] {
        check(count, &post(&format!("Content-Length: 5\r\nContent-Length: {second}"), "12345"), "400");
        check(count, &post(&format!("Content-Length: {second}\r\nX: y\r\ncontent-length: 5"), "12345"), "400");
    }
    check(count, &post("Transfer-Encoding: chunked", "5\r\n12345\r\n0\r\n\r\n"), "POST / [12345]");
    check(count, &post("Transfer-Encoding: Chunked", &format!("0\r\n\r\n{NEXT}")), "POST / [] GET /admin []");
    check(count, &post("transfer-encoding:\tCHUNKED\t", "0\r\n\r\n"), "POST / []");
    for (code, value) in [
        (400, "identity"),
        (400, ""),
        (400, "chunke"),
        (400, "chunkedd"),
        (400, "xchunked"),
        (400, "x chunked"),
        (400, "chunked x"),
        (400, "chunked, identity"),
        (501, "identity, chunked"),
        (400, "chunked, chunked"),
        (400, "chunked,"),
        (400, ",chunked"),
        (400, "chunked;q=1"),
        (400, "chunked;"),
        (400, "\"chunked\""),
        (400, "'chunked'"),
        (400, "[chunked]"),
        (400, "chunked\u{0}"),
        (400, "\u{0}chunked"),
        (400, "\u{b}chunked"),
        (400, "chunked\u{b}"),
        (400, "\u{7f}chunked"),
        (400, "chunKed\u{212a}"),
        (400, "cow"),
        (501, "cow, chunked"),
        (400, "chunked, cow"),
        (400, "gzip"),
        (400, "chunked, gzip"),
        (501, "gzip, chunked"),
        (501, "gzip,chunked"),
        (400, "\u{feff}chunked"),
        (400, "\u{a0}chunked"),
        (400, "chu\u{0}nked"),
        (400, "chunked\\"),
        (400, "%63hunked"),
        (400, "chunked=1"),
    ] {
        check(count, &post(&format!("Transfer-Encoding: {value}"), "0\r\n\r\n"), &code.to_string());
    }
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "Content-Length: 6\r\nTransfer-Encoding: identity",
        "Content-Length: 6\r\nTransfer-Encoding: x",
        "Content-Length: 6\r\nTransfer-Encoding: ",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:\r\nTransfer-Encoding: chunked",
    ] {
        // Of codings that end in chunked and are more than that, the answer may be that they are not known here.
        let sent = post(lines, "0\r\n\r\n");
        let wanted =
            if read(&[&sent]) == "501" && lines.ends_with("\r\nTransfer-Encoding: chunked") { "501" } else { "400" };
        check(count, &sent, wanted);
    }
    // A name that is not quite one says nothing: what follows is the next request, in one way only.
    for lines in [
        "Content_Length: 5",
        "ContentLength: 5",
        "Content-Lengt: 5",
        "Content-Length-: 5",
        "X-Transfer-Encoding: chunked",
        "Transfer_Encoding: chunked",
    ] {
        check(count, &post(lines, NEXT), "POST / [] GET /admin []");
    }
    let old = |lines: &str| format!("POST / HTTP/1.0\r\nHost: a\r\n{lines}\r\n\r\n").into_bytes();
    check(count, &old("Transfer-Encoding: chunked"), "400");
    check(count, &old("Transfer-Encoding: chunked\r\nConnection: keep-alive"), "400");
    check(count, &old("Transfer-Encoding: identity"), "400");
    check(count, &old("Content-Length: 0"), "POST / []");
    check(count, b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345", "400");
    check(count, b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400");
    check(count, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "GET / [abc]");
    check(count, b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "HEAD / [abc]");
    assert!(*count >= 120, "{count}");
}

#[test]
fn lines_and_names_are_what_they_look_like() {
    let mut count = 0;
    let count = &mut count;
    for lines in [
        "Content-Length : 5",
        "Content-Length\t: 5",
        " Content-Length: 5",
        "\tContent-Length: 5",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\u{b}: chunked",
        "Transfer-Encoding\u{0}: chunked",
        "\u{b}Transfer-Encoding: chunked",
        "Transfer-Encoding\r: chunked",
        "Transfer-Encoding\n: chunked",
        "Transfer-Encoding: \nchunked",
        "Transfer-Encoding: chunked\r",
        "X: y\rTransfer-Encoding: chunked",
        "X: y\nTransfer-Encoding: chunked",
        "X: y\n\nTransfer-Encoding: chunked",
        "X: y\r\rTransfer-Encoding: chunked",
        "X: y\r\n Transfer-Encoding: chunked",
        "X: y\r\n\tTransfer-Encoding: chunked",
        "X:\r\n y",
        "X: y\r\n \r\nZ: z",
        "X: y\r\n ",
        "Transfer-Encoding: chun\r\n ked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding",
        "Transfer-Encoding chunked",
        "Transfer-Encoding=chunked",
        "Transfer-Encoding;chunked",
        ": chunked",
        "::",
        ":",
        "X",
        "X y: z",
        "\"X\": y",
        "(X): y",
        "X[]: y",
        "X{}: y",
        "X/Y: z",
        "X\\Y: z",
        "X@Y: z",
        "X<Y: z",
        "X=Y: z",
        "X?: y",
        "X;: y",
        "X,: y",
        "é: y",
        "Content-Length\u{a0}: 5",
        "X: y\u{0}",
        "X: \u{0}y",
        "X: a\u{0}b",
        "X: y\rz",
        "X: y\nz",
        "\u{0}X: y",
        "X\u{0}: y",
        "\r\n",
        "\n",
        "\r",
    ] {
        let sent = post(lines, "0\r\n\r\n");
        let ends_early = lines == "\r\n";
        check(count, &sent, if ends_early { "POST / [] 400" } else { "400" });
    }
    for byte in (0..32_u8).filter(|byte| *byte != b'\t').chain([127]) {
        let mut sent = b"GET / HTTP/1.1\r\nHost: a\r\nX: a".to_vec();
        sent.push(byte);
        sent.extend_from_slice(b"b\r\n\r\n");
        check(count, &sent, "400");
    }
    for byte in (128..=255_u8).chain([b'\t']) {
        let mut sent = b"GET / HTTP/1.1\r\nHost: a\r\nX: a".to_vec();
        sent.push(byte);
        sent.extend_from_slice(b"b\r\n\r\n");
        check(count, &sent, "GET / []");
    }
    for byte in (0..=255_u8).filter(|byte| !byte.is_ascii_alphanumeric() && !b"!#$%&'*+-.^_`|~:".contains(byte)) {
        let mut sent = b"GET / HTTP/1.1\r\nHost: a\r\nX".to_vec();
        sent.push(byte);
        sent.extend_from_slice(b"Y: b\r\n\r\n");
        check(count, &sent, "400");
    }
    for sent in [
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\n",
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
        "GET / HTTP/1.1\r\rHost: a\r\r",
        "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\tGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\0GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\u{feff}GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        check(count, sent.as_bytes(), "400");
    }
    check(count, b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / []");
    check(count, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n", "GET / [] GET /2 []");
    assert!(*count >= 300, "{count}");
}

#[test]
fn request_lines_and_hosts_are_as_they_should_be() {
    let mut count = 0;
    let count = &mut count;
    for (line, wanted) in [
        ("GET / HTTP/1.1", "GET / []"),
        ("GET  / HTTP/1.1", "400"),
        ("GET /  HTTP/1.1", "400"),
        ("GET / HTTP/1.1 ", "400"),
        ("GET\t/ HTTP/1.1", "400"),
        ("GET /\tHTTP/1.1", "400"),
        ("GET / HTTP/1.1\t", "400"),
        ("GET /", "400"),
        ("GET", "400"),
        ("GET ", "400"),
        ("/ HTTP/1.1", "400"),
        ("GET /HTTP/1.1", "400"),
        ("GET / http/1.1", "400"),
        ("GET / Http/1.1", "400"),
        ("GET / HTTP/1", "400"),
        ("GET / HTTP/1.", "400"),
        ("GET / HTTP/01.1", "400"),
        ("GET / HTTP/1.01", "400"),
        ("GET / HTTP/1.10", "400"),
        ("GET / HTTP/ 1.1", "400"),
        ("GET / HTTP /1.1", "400"),
        ("GET / HTTP/1,1", "400"),
        ("GET / HTTP/+1.1", "400"),
        ("GET / HTTP/1.x", "400"),
        ("GET / HTTP/2.0", "505"),
        ("GET / HTTP/0.9", "505"),
        ("GET / HTTP/1.2", "505"),
        ("GET / HTTP/9.9", "505"),
        ("GET / HTTPS/1.1", "400"),
        ("GET / ICY/1.1", "400"),
        ("GET / x HTTP/1.1", "400"),
        ("GET /a b HTTP/1.1", "400"),
        ("G\u{0}T / HTTP/1.1", "400"),
        ("GET /\u{0} HTTP/1.1", "400"),
        ("GET /\u{7f} HTTP/1.1", "400"),
        ("GET /é HTTP/1.1", "400"),
        ("G(T / HTTP/1.1", "400"),
        ("G:T / HTTP/1.1", "400"),
        ("G\"T / HTTP/1.1", "400"),
        ("get / HTTP/1.1", "get / []"),
        ("M-SEARCH / HTTP/1.1", "M-SEARCH / []"),
        ("GET * HTTP/1.1", "400"),
        ("OPTIONS * HTTP/1.1", "OPTIONS * []"),
        ("OPTIONS ** HTTP/1.1", "400"),
        ("GET a HTTP/1.1", "400"),
        ("GET a:80 HTTP/1.1", "400"),
        ("GET http://a/ HTTP/1.1", "GET http://a/ []"),
        ("GET HTTP://a HTTP/1.1", "GET HTTP://a []"),
        ("GET http:// HTTP/1.1", "400"),
        ("GET http:/// HTTP/1.1", "400"),
        ("GET http://u@a/ HTTP/1.1", "400"),
        ("GET http://a:b/ HTTP/1.1", "400"),
        ("GET ftp://a/ HTTP/1.1", "400"),
        ("GET http:a HTTP/1.1", "400"),
        ("GET ?x HTTP/1.1", "400"),
        ("GET /#x HTTP/1.1", "400"),
        ("GET /%zz HTTP/1.1", "400"),
        ("GET /%0 HTTP/1.1", "400"),
        ("GET /%00 HTTP/1.1", "400"),
        ("GET /%2e%2e HTTP/1.1", "GET /%2e%2e []"),
        ("GET //a HTTP/1.1", "GET //a []"),
        ("CONNECT a:80 HTTP/1.1", "CONNECT a:80 []"),
        ("CONNECT a HTTP/1.1", "400"),
        ("CONNECT / HTTP/1.1", "400"),
        ("CONNECT http://a:80 HTTP/1.1", "400"),
        ("CONNECT u@a:80 HTTP/1.1", "400"),
    ] {
        check(count, format!("{line}\r\nHost: a\r\n\r\n").as_bytes(), wanted);
    }
    for (lines, wanted) in [
        ("", "400"),
        ("Host:\r\n", "400"),
        ("Host: \r\n", "400"),
        ("Host: a\r\nHost: a\r\n", "400"),
        ("Host: a\r\nhost: b\r\n", "400"),
        ("Host: a\r\nX: y\r\nHOST:\r\n", "400"),
        ("Host: a b\r\n", "400"),
        ("Host: a,b\r\n", "GET / []"),
        ("Host: a/b\r\n", "400"),
        ("Host: a?b\r\n", "400"),
        ("Host: a#b\r\n", "400"),
        ("Host: u@a\r\n", "400"),
        ("Host: a:b\r\n", "400"),
        ("Host: a:80:80\r\n", "400"),
        ("Host: a:-1\r\n", "400"),
        ("Host: a:123456\r\n", "400"),
        ("Host: a:\r\n", "GET / []"),
        ("Host: a:80\r\n", "GET / []"),
        ("Host: :80\r\n", "400"),
        ("Host: [::1]\r\n", "GET / []"),
        ("Host: [::1]:80\r\n", "GET / []"),
        ("Host: [::1\r\n", "400"),
        ("Host: ::1\r\n", "400"),
        ("Host: [a]\r\n", "400"),
        ("Host: [::1]80\r\n", "400"),
        ("Host: a\\b\r\n", "400"),
        ("Host: \"a\"\r\n", "400"),
        ("Host: <a>\r\n", "400"),
        ("Host: a^b\r\n", "400"),
        ("Host: é\r\n", "400"),
        ("Host: http://a\r\n", "400"),
        ("Host : a\r\n", "400"),
        (" Host: a\r\n", "400"),
        ("Host: a\r\n b\r\n", "400"),
        ("X: y\r\nHost: a\r\n", "GET / []"),
    ] {
        check(count, format!("GET / HTTP/1.1\r\n{lines}\r\n").as_bytes(), wanted);
    }
    check(count, b"GET / HTTP/1.0\r\n\r\n", "GET / []");
    check(count, b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "400");
    check(count, b"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", "400");
    check(count, b"GET /\r\n", "...");
    check(count, b"GET /\r\n\r\n", "400");
    check(count, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505");
    assert!(*count >= 100, "{count}");
}

#[test]
fn chunks_are_as_long_as_they_say() {
    let mut count = 0;
    let count = &mut count;
    let chunked = |body: &str| post("Transfer-Encoding: chunked", body);
    for (body, wanted) in [
        ("1\r\na\r\n0\r\n\r\n", "POST / [a]"),
        ("A\r\n0123456789\r\n0\r\n\r\n", "POST / [0123456789]"),
        ("0a\r\n0123456789\r\n0\r\n\r\n", "POST / [0123456789]"),
        ("1\r\na\r\n00\r\n\r\n", "POST / [a]"),
        ("1;x\r\na\r\n0\r\n\r\n", "POST / [a]"),
        ("1;x=y\r\na\r\n0\r\n\r\n", "POST / [a]"),
        ("1;x=\"y;\"\r\na\r\n0;z\r\n\r\n", "POST / [a]"),
        ("1\r\na\r\n0\r\nX: y\r\n\r\n", "POST / [a]"),
        ("\r\n", "POST / 400"),
        ("g\r\n", "POST / 400"),
        ("-1\r\na\r\n", "POST / 400"),
        ("+1\r\na\r\n", "POST / 400"),
        (" 1\r\na\r\n", "POST / 400"),
        ("1 \r\na\r\n", "POST / 400"),
        ("1\t\r\na\r\n", "POST / 400"),
        ("0x1\r\na\r\n", "POST / 400"),
        ("1_0\r\n", "POST / 400"),
        ("1.0\r\n", "POST / 400"),
        ("1,2\r\n", "POST / 400"),
        ("1\na\r\n0\r\n\r\n", "POST / 400"),
        ("1\r\na\n0\r\n\r\n", "POST / 400"),
        ("1\r\na\r0\r\n\r\n", "POST / 400"),
        ("1\ra\r\n0\r\n\r\n", "POST / 400"),
        ("1\r\r\na\r\n", "POST / 400"),
        ("1\r\nab\r\n0\r\n\r\n", "POST / 400"),
        ("2\r\na\r\n0\r\n\r\n", "POST / 400"),
        ("1\r\na\r\n\r\n0\r\n\r\n", "POST / 400"),
        ("1\r\na0\r\n\r\n", "POST / 400"),
        ("1;x\ny\r\na\r\n", "POST / 400"),
        ("1;x\ry\r\na\r\n", "POST / 400"),
        ("1;x\u{0}\r\na\r\n", "POST / 400"),
        ("1;\u{7f}\r\na\r\n", "POST / 400"),
        ("1\u{0}\r\na\r\n", "POST / 400"),
        ("8000000000000000\r\n", "POST / 400"),
        ("10000000000000000\r\n", "POST / 400"),
        ("ffffffffffffffff\r\n", "POST / 400"),
        ("fffffffffffffffff1\r\n", "POST / 400"),
        ("7fffffffffffffff\r\n", "POST / ..."),
        ("0\r\n\n", "POST / 400"),
        ("0\n\r\n", "POST / 400"),
        ("0\n\n", "POST / 400"),
        ("0\r\n\r\r\n", "POST / 400"),
        ("0\r\n \r\n", "POST / 400"),
        ("0\r\nX: y\n\r\n", "POST / 400"),
        ("0\r\nX y\r\n\r\n", "POST / 400"),
        ("0\r\nX : y\r\n\r\n", "POST / 400"),
        ("0\r\n X: y\r\n\r\n", "POST / 400"),
        ("0\r\nX: y\r\n z\r\n\r\n", "POST / 400"),
        ("0\r\nX: \u{0}\r\n\r\n", "POST / 400"),
        ("0\r\nContent-Length: 5\r\n\r\n", "POST / 400"),
        ("0\r\nTransfer-Encoding: chunked\r\n\r\n", "POST / 400"),
        ("0\r\nHost: b\r\n\r\n", "POST / 400"),
        ("0\r\n", "POST / ..."),
        ("0\r\n\r", "POST / ..."),
        ("5\r\nabc", "POST / ..."),
        ("5\r\nabcde", "POST / ..."),
        ("0", "POST / ..."),
    ] {
        check(count, &chunked(body), wanted);
    }
    check(count, &chunked(&format!("1\r\na\r\n0\r\n\r\n{NEXT}")), "POST / [a] GET /admin []");
    check(count, &chunked(&format!("0\r\nX: y\r\n\r\n{NEXT}")), "POST / [] GET /admin []");
    check(count, &chunked(&format!("0\r\n\r\n\r\n{NEXT}")), "POST / [] GET /admin []");
    assert!(*count >= 55, "{count}");
}

#[test]
fn what_is_too_large_is_said_to_be() {
    let most = Most { line: 100, bytes: 200, fields: 5 };
    let read = |sent: &str| {
        let mut message = Message::default();
        let whole = head::read(sent.as_bytes(), &mut 0, &most, &mut message).map(|head| head.is_some());
        whole.map_err(|bad| bad.code)
    };
    let line =
        |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(length - "GET / HTTP/1.1".len()));
    assert_eq!(read(&line(100)), Ok(true));
    assert_eq!(read(&line(101)), Err(414));
    assert_eq!(read(&"x".repeat(102)), Ok(false));
    assert_eq!(read(&"x".repeat(103)), Err(414));
    let fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    assert_eq!(read(&fields(5)), Ok(true));
    assert_eq!(read(&fields(6)), Err(431));
    let bytes = |length: usize| {
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(length - "Host: a\r\nX: \r\n\r\n".len()))
    };
    assert_eq!(read(&bytes(200)), Ok(true));
    assert_eq!(read(&bytes(201)), Err(431));
    assert_eq!(read(&format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(250))), Err(431));
    let many = Most { fields: 300, ..Most::default() };
    let mut message = Message::default();
    assert_eq!(head::read(fields(256).as_bytes(), &mut 0, &many, &mut message).map(|head| head.is_some()), Ok(true));
    assert_eq!(message.fields.len(), 256);
    let mut message = Message::default();
    assert_eq!(head::read(fields(257).as_bytes(), &mut 0, &many, &mut message).map_err(|bad| bad.code), Err(431));
}

#[test]
fn an_expectation_is_one_that_is_known() {
    let read = |lines: &str| {
        let mut message = Message::default();
        let sent = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n");
        let head = head::read(sent.as_bytes(), &mut 0, &Most::default(), &mut message).map_err(|bad| bad.code)?;
        Ok::<_, u16>(head.map(|head| (head.expects, head.keeps)))
    };
    assert_eq!(read("Content-Length: 5\r\nExpect: 100-Continue"), Ok(Some((true, true))));
    assert_eq!(read("Content-Length: 0\r\nExpect: 100-continue"), Ok(Some((false, true))));
    assert_eq!(read("Expect: 100-continue\r\nConnection: close"), Ok(Some((false, false))));
    for other in ["100-continu", "200-ok", "", "100-continue, x"] {
        assert_eq!(read(&format!("Content-Length: 5\r\nExpect: {other}")), Err(417), "{other}");
    }
}
