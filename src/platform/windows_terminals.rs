//! Windows: consoles and serial ports are no streams here yet.

use super::Socket;
use std::io;

/// How a terminal hands on what is typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "as on Unix")]
pub enum Mode {
    Cooked,
    Raw,
    Keys,
}

/// The settings of a terminal.
#[derive(Clone, Copy)]
pub struct Settings(());

/// A terminal whose settings are put back.
pub struct Hold(());

/// What a serial port is set to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "as on Unix")]
pub struct Serial {
    pub speed: u32,
    pub data_bits: u8,
    pub parity: Parity,
    pub stop_bits: u8,
    pub flow: Flow,
}

/// The bit that makes the number of ones even or odd.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "as on Unix")]
pub enum Parity {
    None,
    Odd,
    Even,
}

/// How one end of a line tells the other to wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "as on Unix")]
pub enum Flow {
    None,
    Hardware,
    Software,
}

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

#[expect(missing_docs, reason = "as on Unix; it is never called")]
impl Settings {
    pub fn apply(&self, _terminal: Socket) -> io::Result<()> {
        unsupported()
    }

    pub fn in_mode(self, _mode: Mode) -> Self {
        self
    }
}

#[expect(missing_docs, reason = "as on Unix; it refuses")]
impl Hold {
    pub fn of(_terminal: Socket) -> io::Result<Self> {
        unsupported()
    }

    pub fn before(&self) -> Settings {
        Settings(())
    }
}

/// Refuses.
pub fn size(_terminal: Socket) -> io::Result<(u16, u16)> {
    unsupported()
}

/// Refuses.
pub fn set_size(_terminal: Socket, _size: (u16, u16)) -> io::Result<()> {
    unsupported()
}

/// Nothing to put back.
pub fn restore_all() {}

/// Refuses.
pub fn set_serial(_port: Socket, _wanted: Serial) -> io::Result<()> {
    unsupported()
}

/// Refuses.
pub fn take_port(_port: Socket) -> io::Result<()> {
    unsupported()
}

/// Never called.
pub fn leave_port(_port: Socket) {}

/// Refuses.
pub fn lines(_port: Socket) -> io::Result<u32> {
    unsupported()
}

/// Refuses.
pub fn set_lines(_port: Socket, _on: u32, _off: u32) -> io::Result<()> {
    unsupported()
}
