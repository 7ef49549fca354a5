//! The head of a response of HTTP/1, as it is sent.

use super::Shared;
use super::answer::reason_of;
use super::carrier::{ResponseHead, Size};
use crate::protocol::http::fields::write_field;
use crate::reactor::ReactorItem;

/// What the connection says of itself.
#[derive(Clone, Copy)]
pub(super) struct How {
    /// The request's version of HTTP/1.
    pub minor: u8,
    /// It is closed after this response.
    pub last: bool,
}

pub(super) fn status_line(out: &mut Vec<u8>, code: u16) {
    out.extend_from_slice(b"HTTP/1.1 ");
    digits(out, u64::from(code));
    out.push(b' ');
    out.extend_from_slice(reason_of(code).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// A number in decimal.
pub(super) fn digits(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return out.extend_from_slice(&digits[at..]);
        }
    }
}

fn begin(out: &mut Vec<u8>, head: &ResponseHead, shared: &Shared, reactor: ReactorItem) {
    if head.code == 200 && !head.has_date && !head.has_server {
        out.extend_from_slice(&shared.date.of_ok(reactor));
    } else {
        status_line(out, head.code);
        shared.date.write(reactor, out, !head.has_date, !head.has_server);
    }
    for (name, value) in head.fields.iter() {
        write_field(out, name, value);
    }
}

/// The head of a final response.
pub(super) fn write(out: &mut Vec<u8>, head: &ResponseHead, shared: &Shared, reactor: ReactorItem, how: How) {
    begin(out, head, shared, reactor);
    if let Some(content_type) = head.content_type {
        write_field(out, b"Content-Type", content_type);
    }
    match head.size {
        Size::Exactly(length) => {
            out.extend_from_slice(b"Content-Length: ");
            digits(out, length);
            out.extend_from_slice(b"\r\n");
        }
        Size::Unknown if how.minor != 0 => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Size::Unknown | Size::None => {}
    }
    if how.last {
        out.extend_from_slice(b"Connection: close\r\n");
    } else if how.minor == 0 {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// The head of a 101, or of a 2xx to CONNECT.
pub(super) fn write_upgrade(out: &mut Vec<u8>, head: &ResponseHead, shared: &Shared, reactor: ReactorItem, _how: How) {
    begin(out, head, shared, reactor);
    if head.code == 101 {
        out.extend_from_slice(b"Connection: Upgrade\r\n");
    }
    out.extend_from_slice(b"\r\n");
}
