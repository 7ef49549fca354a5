//! Serial ports.

use super::convert::{self, invalid};
use super::descriptor::{opened, opened_event};
use super::guard;
use super::protocol::lariat_protocol;
use super::status::lariat_status;
use super::structs::{self, Versioned, fields};
use super::types::*;
use crate::handles::{Item, Owned};
use crate::net::plain::terminal;
use crate::net::protocol::Protocol;
use crate::net::transport::Transport;
use crate::platform::terminals::{Flow, Parity, Serial};
use crate::reactor::ReactorItem;
use crate::status::Result;
use std::ffi::{c_char, c_void};
use std::rc::Rc;

/// No parity bit.
pub const LARIAT_PARITY_NONE: i32 = 0;
/// The number of ones is odd.
pub const LARIAT_PARITY_ODD: i32 = 1;
/// The number of ones is even.
pub const LARIAT_PARITY_EVEN: i32 = 2;

/// Nobody is told to wait.
pub const LARIAT_FLOW_NONE: i32 = 0;
/// By the lines RTS and CTS.
pub const LARIAT_FLOW_HARDWARE: i32 = 1;
/// By the characters XON and XOFF, which the data must not have.
pub const LARIAT_FLOW_SOFTWARE: i32 = 2;

/// Data terminal ready: ours to set.
pub const LARIAT_LINE_DTR: u32 = 1;
/// Request to send: ours to set.
pub const LARIAT_LINE_RTS: u32 = 2;
/// Clear to send.
pub const LARIAT_LINE_CTS: u32 = 4;
/// Data set ready.
pub const LARIAT_LINE_DSR: u32 = 8;
/// Ring indicator.
pub const LARIAT_LINE_RI: u32 = 16;
/// Carrier detect.
pub const LARIAT_LINE_CD: u32 = 32;

/// How a serial port is set: to be filled by lariat_serial_options_init, and changed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_serial_options {
    /// Set by lariat_serial_options_init.
    pub struct_size: u32,
    /// Bits in a second (9600).
    pub speed: u32,
    /// 5, 6, 7 or 8 (default).
    pub data_bits: i32,
    /// LARIAT_PARITY_NONE (default), LARIAT_PARITY_ODD or LARIAT_PARITY_EVEN.
    pub parity: i32,
    /// 1 (default) or 2.
    pub stop_bits: i32,
    /// LARIAT_FLOW_NONE (default), LARIAT_FLOW_HARDWARE or LARIAT_FLOW_SOFTWARE.
    pub flow_control: i32,
}

// SAFETY: repr(C), begins with struct_size, and holds numbers.
unsafe impl Versioned for lariat_serial_options {
    const FIELDS: &'static [usize] =
        fields!(lariat_serial_options: struct_size speed data_bits parity stop_bits flow_control);

    fn initial(struct_size: u32) -> Self {
        Self { struct_size, speed: 9600, data_bits: 8, parity: 0, stop_bits: 1, flow_control: 0 }
    }
}

/// Fills the options with 9600 bits in a second, 8 data bits, no parity, 1 stop bit, and no flow control.
///
/// options      written.
/// struct_size  sizeof(lariat_serial_options).
/// thread       any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_serial_options_init(options: *mut lariat_serial_options, struct_size: u32) -> lariat_status {
    guard::alone(|| structs::init("options", options, struct_size))
}

fn read(options: *const lariat_serial_options) -> Result<Serial> {
    let given = structs::read("options", options)?;
    structs::check_tail("options", options)?;
    if given.speed == 0 {
        return Err(invalid("options.speed is 0"));
    }
    Ok(Serial {
        speed: given.speed,
        data_bits: convert::within("options.data_bits", given.data_bits.into(), (5, 8))? as u8,
        parity: match convert::within("options.parity", given.parity.into(), (0, 2))? {
            0 => Parity::None,
            1 => Parity::Odd,
            _ => Parity::Even,
        },
        stop_bits: convert::within("options.stop_bits", given.stop_bits.into(), (1, 2))? as u8,
        flow: match convert::within("options.flow_control", given.flow_control.into(), (0, 2))? {
            0 => Flow::None,
            1 => Flow::Hardware,
            _ => Flow::Software,
        },
    })
}

/// Opens a serial port, for this process alone. The bytes go through unchanged. When the stream ends, or the process exits,
/// the port is set as it was found.
///
/// path      "/dev/ttyUSB0": the system's own bytes.
/// options   copied; may be NULL: as lariat_serial_options_init fills them.
/// protocol  copied; its connection_made is called by the next turn.
/// self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
/// returns   the stream; NULL on failure.
/// errors    LARIAT_ERR_OS with the system's word: there is none, or somebody has it (EBUSY);
///           LARIAT_ERR_INVALID_ARGUMENT for what is no serial port; LARIAT_ERR_NOT_SUPPORTED for what it does not take,
///           on Windows, and by a simulated reactor; LARIAT_ERR_PERMISSION_DENIED.
/// thread    the reactor's.
/// Twisted   SerialPort.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_open_serial_port(
    reactor: *mut lariat_reactor,
    path: *const c_char,
    options: *const lariat_serial_options,
    protocol: *const lariat_protocol,
    self_: *mut c_void,
) -> *mut lariat_transport {
    opened(reactor, protocol, self_, |reactor, protocol, this| open(reactor, path, options, protocol, this))
}

/// The same as lariat_reactor_open_serial_port, but queues events instead of calling, as
/// lariat_reactor_adopt_descriptor_event does.
///
/// path     as for lariat_reactor_open_serial_port.
/// options  as for lariat_reactor_open_serial_port.
/// tag      any number; comes back in the events.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_open_serial_port_event(
    reactor: *mut lariat_reactor,
    path: *const c_char,
    options: *const lariat_serial_options,
    tag: u64,
) -> *mut lariat_transport {
    opened_event(reactor, tag, |reactor, protocol, this| open(reactor, path, options, protocol, this))
}

fn open(
    reactor: ReactorItem,
    path: *const c_char,
    options: *const lariat_serial_options,
    protocol: Rc<Protocol>,
    this: Owned,
) -> Result<Item<Transport>> {
    let path = convert::bytes_text("path", path)?;
    let defaults = lariat_serial_options::initial(size_of::<lariat_serial_options>() as u32);
    let wanted = if options.is_null() { read(&defaults)? } else { read(options)? };
    terminal::serial(reactor, path, wanted, protocol, this)
}

/// Sets a serial port anew.
///
/// options  copied.
/// errors   LARIAT_ERR_NOT_SUPPORTED for what the port does not take, and for what is no serial port that was opened as one;
///          LARIAT_ERR_CLOSED when it is over.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_set_serial(
    transport: *mut lariat_transport,
    options: *const lariat_serial_options,
) -> lariat_status {
    guard::on(transport, |transport| terminal::set_serial(transport, read(options)?))
}

/// Tells which lines of a serial port are on, beside the data.
///
/// lines   written: LARIAT_LINE_DTR and so on, added up.
/// errors  LARIAT_ERR_NOT_SUPPORTED for what is no serial port; LARIAT_ERR_OS for one that has no lines.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_serial_lines(transport: *mut lariat_transport, lines: *mut u32) -> lariat_status {
    guard::on(transport, |transport| {
        let place = convert::out("lines", lines)?;
        place.write(terminal::lines(transport)?);
        Ok(())
    })
}

/// Turns lines of a serial port on and off; the others stay as they are.
///
/// raised   LARIAT_LINE_DTR and LARIAT_LINE_RTS, added up.
/// lowered  the same, and none of those of raised.
/// errors   as of lariat_transport_serial_lines.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_set_serial_lines(
    transport: *mut lariat_transport,
    raised: u32,
    lowered: u32,
) -> lariat_status {
    const OURS: u32 = LARIAT_LINE_DTR | LARIAT_LINE_RTS;
    guard::on(transport, |transport| {
        if (raised | lowered) & !OURS != 0 || raised & lowered != 0 {
            return Err(invalid(format_args!(
                "raised is {raised}, lowered {lowered}; they are LARIAT_LINE_DTR and _RTS, each once"
            )));
        }
        terminal::set_lines(transport, raised, lowered)
    })
}
