//! Framing of connections: lines, netstrings, lengths.

use super::convert;
use super::guard;
use super::status::lariat_status;
use super::types::*;
use crate::protocol::{Format, LengthPrefix, Line, Netstring, framing};

/// Has a connection's data_received called with one whole line at a time, without its delimiter; with events, one is
/// queued for each. To be called in the build function or at any later time, also by data_received: it holds for all
/// that was received and not handed over yet, or queued. Of a protocol that has set pull that includes what it has not
/// consumed; lines are consumed when they are handed over.
///
/// A line longer than max_length ends the connection with LARIAT_ERR_TOO_LONG, the end of the stream within a line with
/// LARIAT_ERR_TRUNCATED: what was written before goes out as far as the system has room for it. No line is handed over
/// after lariat_transport_pause_reading until reading is resumed, nor once the connection is to end.
///
/// delimiter      1 to 255 bytes, copied; may be NULL if delimiter_len is 0: "\r\n". For peers that end lines with a bare
///                "\n", that; a "\r" before it is then a part of the line.
/// delimiter_len  bytes.
/// max_length     bytes of a line, without its delimiter; 0: 16384.
/// errors         LARIAT_ERR_CLOSED when the connection is over.
/// thread         the reactor's.
/// Twisted        LineReceiver and LineOnlyReceiver; setLineMode. There the end of an unfinished line is dropped.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_set_line_framing(
    transport: *mut lariat_transport,
    delimiter: *const u8,
    delimiter_len: usize,
    max_length: usize,
) -> lariat_status {
    guard::on(transport, |transport| {
        let usual = delimiter.is_null() && delimiter_len == 0;
        let delimiter = if usual { b"\r\n" } else { convert::bytes("delimiter", delimiter, delimiter_len)? };
        framing::set(transport, Format::Line(Line::new(delimiter, max_length)?))
    })
}

/// The same as lariat_transport_set_line_framing with netstrings: the length in decimal digits, a colon, the bytes, a
/// comma. One that is longer ends the connection with LARIAT_ERR_TOO_LONG; a length with other characters or with a zero
/// before it, or another character than the comma, with LARIAT_ERR_BAD_FRAME.
///
/// max_length  bytes of a netstring; 0: 99999.
/// errors      LARIAT_ERR_CLOSED when the connection is over.
/// thread      the reactor's.
/// Twisted     NetstringReceiver.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_set_netstring_framing(
    transport: *mut lariat_transport,
    max_length: usize,
) -> lariat_status {
    guard::on(transport, |transport| framing::set(transport, Format::Netstring(Netstring::new(max_length))))
}

/// The same as lariat_transport_set_line_framing with messages that have their length before them, in network order. One
/// that is announced to be longer ends the connection with LARIAT_ERR_TOO_LONG.
///
/// prefix_bits  8, 16 or 32.
/// max_length   bytes of a message, without its prefix; 0: 99999, or what the prefix can say. Memory for a message is
///              taken as it comes, not as it is announced.
/// errors       LARIAT_ERR_CLOSED when the connection is over.
/// thread       the reactor's.
/// Twisted      Int8StringReceiver, Int16StringReceiver, Int32StringReceiver.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_set_length_framing(
    transport: *mut lariat_transport,
    prefix_bits: i32,
    max_length: usize,
) -> lariat_status {
    guard::on(transport, |transport| {
        framing::set(transport, Format::LengthPrefix(LengthPrefix::new(prefix_bits, max_length)?))
    })
}

/// Ends framing: data_received is called with bytes as they come, first with those that were received and not handed
/// over as a frame yet.
///
/// errors   LARIAT_ERR_CLOSED when the connection is over.
/// thread   the reactor's.
/// Twisted  LineReceiver.setRawMode.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_set_raw(transport: *mut lariat_transport) -> lariat_status {
    guard::on(transport, framing::set_raw)
}

/// Gives bytes back, to come before all that was not handed over yet: those that a protocol was given raw, and that are
/// for the framing that it sets before or after this. Without a framing, what data_received gives back comes again with
/// more behind it, and what is given back elsewhere on the next turn.
///
/// data    len bytes, copied; may be NULL if len is 0.
/// len     bytes.
/// errors  LARIAT_ERR_INVALID_STATE for a protocol that has set pull, which consumes less instead; LARIAT_ERR_CLOSED when
///         the connection is over.
/// thread  the reactor's.
/// Twisted LineReceiver.setLineMode's extra.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_unread(
    transport: *mut lariat_transport,
    data: *const u8,
    len: usize,
) -> lariat_status {
    guard::on(transport, |transport| framing::unread(transport, convert::bytes("data", data, len)?))
}

/// Writes data as one frame of the connection's framing: with the delimiter, the comma or the length that belongs to it.
/// max_length is for what is received alone.
///
/// data    len bytes; may be NULL if len is 0.
/// len     bytes.
/// errors  nothing is written then: LARIAT_ERR_INVALID_STATE when there is no framing; LARIAT_ERR_INVALID_ARGUMENT for a
///         line that contains its delimiter; LARIAT_ERR_TOO_LONG for more than the prefix can say; and as of
///         lariat_transport_write.
/// thread  the reactor's.
/// Twisted LineReceiver.sendLine; NetstringReceiver.sendString and so on.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_write_frame(
    transport: *mut lariat_transport,
    data: *const u8,
    len: usize,
) -> lariat_status {
    guard::on(transport, |transport| framing::write(transport, convert::bytes("data", data, len)?))
}
