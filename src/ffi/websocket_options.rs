//! How WebSockets behave.

use super::convert::{self, invalid};
use super::guard;
use super::status::lariat_status;
use super::structs::{self, Versioned, fields};
use super::types::lariat_tls_configuration;
use crate::protocol::websocket::client::How;
use crate::protocol::websocket::connection::Settings;
use crate::protocol::websocket::extensions::Wanted;
use crate::protocol::websocket::handshake::{self, Terms};
use crate::protocol::websocket::receiver::Limits;
use crate::status::Result;
use std::ffi::c_char;
use std::rc::Rc;

/// No compression.
pub const LARIAT_WEBSOCKET_COMPRESSION_NONE: i32 = 0;
/// permessage-deflate (RFC 7692), where the peer has it, too.
pub const LARIAT_WEBSOCKET_COMPRESSION_DEFLATE: i32 = 1;

/// How a WebSocket behaves, on either side: to be filled by lariat_websocket_options_init and changed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_websocket_options {
    /// Set by lariat_websocket_options_init.
    pub struct_size: u32,
    /// LARIAT_WEBSOCKET_COMPRESSION_NONE (default) or LARIAT_WEBSOCKET_COMPRESSION_DEFLATE: that takes up to 300 KiB a
    /// connection that compresses, 40 KiB one that is sent something compressed, unless the windows are smaller or the
    /// context is not taken over.
    pub compression: i32,
    /// Subprotocols that are spoken, the dearest first; ends with NULL; may be NULL: none. A server chooses the first that
    /// the client offers, too, or none.
    pub subprotocols: *const *const c_char,
    /// Of a server: origins, as "https://example.org", whose pages may connect, "*" for all; ends with NULL. NULL (default):
    /// those of the host that the request is for. A request without an origin comes from no browser, and is accepted.
    pub origins: *const *const c_char,
    /// Headers of a client's request besides those of the handshake, each as "Name: value"; ends with NULL; may be NULL.
    pub headers: *const *const c_char,
    /// Of a client's wss://: what it trusts and shows, by lariat_tls_configuration_new_client, kept as long as it is needed;
    /// may be NULL: the system's roots.
    pub tls: *const lariat_tls_configuration,
    /// Bytes of a message that comes, uncompressed; 0: no limit. One that is longer ends the WebSocket with 1009. Default
    /// 16777216.
    pub max_message: u64,
    /// Bytes of a frame that comes; 0: no limit but that of its message (default).
    pub max_frame: u64,
    /// Frames that a message comes in; 0: no limit. More end the WebSocket with 1009. Default 131072.
    pub max_fragments: u32,
    /// Of a client: bytes of the head of the server's answer. Default 16384.
    pub max_head: u32,
    /// Bytes that may wait to be sent: what does not fit is refused with LARIAT_ERR_BUFFER_FULL; 0: no limit (default).
    pub max_buffered: u64,
    /// Of a client: seconds that connecting and the handshake may take together. Default 30.
    pub handshake_seconds: f64,
    /// Seconds that the peer has to answer a close frame, and to end the connection. Default 10.
    pub close_seconds: f64,
    /// Seconds without anything from the peer after which it is sent a ping, or INFINITY. Default 30.
    pub ping_seconds: f64,
    /// Seconds that it then has to send anything: else the connection ends. Default 20.
    pub pong_seconds: f64,
    /// Seconds without a message in either direction after which the WebSocket is closed with 1001, or INFINITY (default).
    pub idle_seconds: f64,
    /// How hard is compressed: 1 to 9. Default 6.
    pub compression_level: i32,
    /// Messages of fewer bytes are sent as they are. Default 1024.
    pub compression_threshold: u32,
    /// The base-2 logarithm of the window for what is sent: 9 to 15. Default 15.
    pub window_bits: i32,
    /// The same for what the peer sends, as far as it can be told so. Default 15.
    pub peer_window_bits: i32,
    /// 1: each message that is sent is compressed by itself, and takes no memory afterwards; 0: it may refer to those before
    /// (default).
    pub no_context_takeover: i32,
    /// The same for what the peer sends.
    pub peer_no_context_takeover: i32,
}

// SAFETY: repr(C), begins with struct_size, and holds numbers and pointers.
unsafe impl Versioned for lariat_websocket_options {
    const FIELDS: &'static [usize] = fields!(lariat_websocket_options:
        struct_size compression subprotocols origins headers tls max_message max_frame max_fragments max_head max_buffered
        handshake_seconds close_seconds ping_seconds pong_seconds idle_seconds compression_level compression_threshold
        window_bits peer_window_bits no_context_takeover peer_no_context_takeover);

    fn initial(struct_size: u32) -> Self {
        let (settings, how) = (Settings::default(), How::default());
        let seconds = |time: Option<u64>| time.map_or(f64::INFINITY, convert::seconds);
        Self {
            struct_size,
            compression: LARIAT_WEBSOCKET_COMPRESSION_NONE,
            subprotocols: std::ptr::null(),
            origins: std::ptr::null(),
            headers: std::ptr::null(),
            tls: std::ptr::null(),
            max_message: settings.limits.message,
            max_frame: 0,
            max_fragments: settings.limits.fragments,
            max_head: how.most_head as u32,
            max_buffered: settings.most_waiting,
            handshake_seconds: convert::seconds(how.time),
            close_seconds: convert::seconds(settings.close_time),
            ping_seconds: seconds(settings.ping_time),
            pong_seconds: convert::seconds(settings.pong_time),
            idle_seconds: seconds(settings.idle_time),
            compression_level: settings.level as i32,
            compression_threshold: settings.threshold as u32,
            window_bits: 15,
            peer_window_bits: 15,
            no_context_takeover: 0,
            peer_no_context_takeover: 0,
        }
    }
}

/// Fills the options of a WebSocket with the defaults.
///
/// options      written.
/// struct_size  sizeof(lariat_websocket_options).
/// thread       any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_websocket_options_init(
    options: *mut lariat_websocket_options,
    struct_size: u32,
) -> lariat_status {
    guard::alone(|| structs::init("options", options, struct_size))
}

/// What the options say; the defaults where there are none.
pub(super) fn read(options: *const lariat_websocket_options) -> Result<(Rc<Settings>, How)> {
    if options.is_null() {
        return Ok((Rc::default(), How::default()));
    }
    let read = structs::read("options", options)?;
    structs::check_tail("options", options)?;
    let limits = Limits {
        message: or_none(read.max_message),
        frame: or_none(read.max_frame),
        fragments: if read.max_fragments == 0 { u32::MAX } else { read.max_fragments },
    };
    let settings = Settings {
        terms: terms(&read)?,
        limits,
        level: convert::within("options.compression_level", i64::from(read.compression_level), (1, 9))? as u32,
        threshold: read.compression_threshold as usize,
        close_time: convert::delay("options.close_seconds", read.close_seconds)?,
        ping_time: positive("options.ping_seconds", read.ping_seconds)?,
        pong_time: convert::delay("options.pong_seconds", read.pong_seconds)?,
        idle_time: positive("options.idle_seconds", read.idle_seconds)?,
        most_waiting: read.max_buffered,
    };
    let mut how = How {
        fields: Vec::new(),
        most_head: read.max_head as usize,
        time: convert::delay("options.handshake_seconds", read.handshake_seconds)?,
        tls: if read.tls.is_null() { None } else { Some(super::tls_configuration::configuration(read.tls)?.client()?) },
    };
    for header in convert::system_texts("options.headers", read.headers)?.unwrap_or_default() {
        how.add(header.as_bytes())?;
    }
    Ok((Rc::new(settings), how))
}

fn or_none(most: u64) -> u64 {
    if most == 0 { u64::MAX } else { most }
}

/// A time that is not 0: what is done again and again has to have an end.
fn positive(name: &str, seconds: f64) -> Result<Option<u64>> {
    match convert::wait(name, seconds)? {
        Some(0) => Err(invalid(format_args!("{name} is 0; it must be more, or INFINITY"))),
        time => Ok(time),
    }
}

fn terms(read: &lariat_websocket_options) -> Result<Terms> {
    let texts = |name, list| -> Result<Option<Vec<String>>> {
        let texts = convert::system_texts(name, list)?;
        let text = |text: std::ffi::CString| {
            text.into_string().map_err(|_| invalid(format_args!("{name} has one that is not valid UTF-8")))
        };
        texts.map(|texts| texts.into_iter().map(text).collect()).transpose()
    };
    let subprotocols = texts("options.subprotocols", read.subprotocols)?.unwrap_or_default();
    if let Some(wrong) = subprotocols.iter().find(|name| !handshake::is_subprotocol(name)) {
        return Err(invalid(format_args!("options.subprotocols: \"{}\" is no subprotocol", wrong.escape_debug())));
    }
    let direction = |name: &str, bits, no_context_takeover: i32| {
        let no_context_takeover = convert::switch("options: no_context_takeover", no_context_takeover)?;
        let direction = handshake::direction(bits, no_context_takeover);
        direction.ok_or_else(|| invalid(format_args!("{name} is {bits}; it must be from 9 to 15")))
    };
    let wanted = Wanted {
        own: direction("options.window_bits", read.window_bits, read.no_context_takeover)?,
        peer: direction("options.peer_window_bits", read.peer_window_bits, read.peer_no_context_takeover)?,
    };
    let deflate = match read.compression {
        LARIAT_WEBSOCKET_COMPRESSION_NONE => None,
        LARIAT_WEBSOCKET_COMPRESSION_DEFLATE => Some(wanted),
        other => return Err(invalid(format_args!("options.compression is {other}, which is none"))),
    };
    Ok(Terms { subprotocols, origins: texts("options.origins", read.origins)?, deflate })
}
