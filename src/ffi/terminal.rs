//! Terminals: sizes, and how they hand on what is typed.

use super::convert::{self, invalid};
use super::guard;
use super::status::lariat_status;
use super::types::*;
use crate::net::plain::terminal;
use crate::platform::terminals::{self, Mode};
use crate::status::{Result, Status};

/// As the terminal was found: by lines, echoed, most likely.
pub const LARIAT_TERMINAL_COOKED: i32 = 0;
/// Byte by byte, nothing looked at, nothing changed in either direction: Ctrl-C is a byte like any other.
pub const LARIAT_TERMINAL_RAW: i32 = 1;
/// Byte by byte, not echoed; Ctrl-C and the like still make signals, and what is written is changed as before.
pub const LARIAT_TERMINAL_KEYS: i32 = 2;

fn mode_of(mode: i32) -> Result<Mode> {
    match mode {
        LARIAT_TERMINAL_COOKED => Ok(Mode::Cooked),
        LARIAT_TERMINAL_RAW => Ok(Mode::Raw),
        LARIAT_TERMINAL_KEYS => Ok(Mode::Keys),
        _ => Err(invalid(format_args!("mode is {mode}; it is one of LARIAT_TERMINAL_COOKED, _RAW and _KEYS"))),
    }
}

/// Tells whether a stream is a terminal, or the master of one.
///
/// returns  1 or 0; negative: an error.
/// errors   LARIAT_ERR_CLOSED when it is over.
/// thread   the reactor's.
/// POSIX    isatty.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_is_terminal(transport: *mut lariat_transport) -> i32 {
    guard::on(transport, |transport| terminal::is_terminal(transport).map(i32::from))
}

/// Tells the size of a terminal. It changes with SIGWINCH.
///
/// columns  written; 0: not known; may be NULL.
/// rows     written; 0: not known; may be NULL.
/// errors   LARIAT_ERR_NOT_SUPPORTED for what is no terminal; LARIAT_ERR_CLOSED when it is over.
/// thread   the reactor's.
/// POSIX    tcgetwinsize.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_terminal_size(
    transport: *mut lariat_transport,
    columns: *mut u16,
    rows: *mut u16,
) -> lariat_status {
    guard::on(transport, |transport| {
        let size = terminal::size(transport)?;
        convert::write_if_given(columns, size.0);
        convert::write_if_given(rows, size.1);
        Ok(())
    })
}

/// Sets the size of a terminal: of the master of one, most often. Those who use it get SIGWINCH.
///
/// columns  how many characters a line has.
/// rows     how many lines there are.
/// errors   LARIAT_ERR_NOT_SUPPORTED for what is no terminal; LARIAT_ERR_CLOSED when it is over.
/// thread   the reactor's.
/// POSIX    tcsetwinsize.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_set_terminal_size(
    transport: *mut lariat_transport,
    columns: u16,
    rows: u16,
) -> lariat_status {
    guard::on(transport, |transport| terminal::set_size(transport, (columns, rows)))
}

/// Sets how a terminal hands on what is typed. It is put back as it was found when the stream ends, when its reactor
/// stops or is freed, and when the process exits; not when a signal or _exit ends it: see lariat_terminal_restore. When
/// several streams have changed one terminal, the last of them puts it back.
///
/// mode    LARIAT_TERMINAL_COOKED, LARIAT_TERMINAL_RAW or LARIAT_TERMINAL_KEYS.
/// errors  LARIAT_ERR_NOT_SUPPORTED for what is no terminal, or the master of one; LARIAT_ERR_OS as the system says;
///         LARIAT_ERR_CLOSED when it is over.
/// thread  the reactor's.
/// POSIX   tcsetattr.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_set_terminal_mode(transport: *mut lariat_transport, mode: i32) -> lariat_status {
    guard::on(transport, |transport| terminal::set_mode(transport, mode_of(mode)?))
}

/// Puts all terminals and serial ports that the process has changed back as they were found. For a handler of a signal that
/// ends the process: it is safe there.
///
/// returns  LARIAT_OK.
/// thread   any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_terminal_restore() -> lariat_status {
    // Not by way of a guard: in a handler nothing may be recorded.
    terminals::restore_all();
    Status::OK.0
}
