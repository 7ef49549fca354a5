//! Terminals and serial ports among the streams.

use super::paths::{open_path, refuse};
use super::{Side, side, side_of, start};
use crate::driver::Readiness;
use crate::handles::{Item, Owned};
use crate::net::error;
use crate::net::protocol::Protocol;
use crate::net::transport::Transport;
use crate::platform::descriptors::{self, Opening, Sort};
use crate::platform::terminals::{self, Hold, Mode, Serial};
use crate::reactor::ReactorItem;
use crate::status::{Result, Status};
use std::io;
use std::rc::Rc;

fn plain(transport: Item<Transport>) -> Result<Rc<Side>> {
    transport.check_open()?;
    side_of(transport).ok_or_else(|| Status::ERR_NOT_SUPPORTED.because("the connection is a socket, and no terminal"))
}

fn terminal(transport: Item<Transport>) -> Result<Rc<Side>> {
    let side = plain(transport)?;
    match descriptors::is_terminal(side.file.0) {
        true => Ok(side),
        false => Err(Status::ERR_NOT_SUPPORTED.because(format_args!("{} is no terminal", side.name))),
    }
}

/// Whether a stream is a terminal, or the master of one.
pub fn is_terminal(transport: Item<Transport>) -> Result<bool> {
    transport.check_open()?;
    Ok(side_of(transport).is_some_and(|side| descriptors::is_terminal(side.file.0)))
}

/// Columns and rows.
pub fn size(transport: Item<Transport>) -> Result<(u16, u16)> {
    let side = terminal(transport)?;
    terminals::size(side.file.0).map_err(|why| error::refused(&side.name, &why))
}

/// Sets columns and rows.
pub fn set_size(transport: Item<Transport>, size: (u16, u16)) -> Result {
    let side = terminal(transport)?;
    terminals::set_size(side.file.0, size).map_err(|why| error::refused(&side.name, &why))
}

/// Has a terminal hand on what is typed in this way.
pub fn set_mode(transport: Item<Transport>, mode: Mode) -> Result {
    let side = terminal(transport)?;
    if side.sort != Sort::Terminal || side.serial.get() {
        let why = format_args!("{} has no modes: only the terminal that a person types at has", side.name);
        return Err(Status::ERR_NOT_SUPPORTED.because(why));
    }
    let refused = |why: io::Error| error::refused(&side.name, &why);
    let hold = match side.hold.take() {
        Some(hold) => hold,
        None if mode == Mode::Cooked => return Ok(()),
        None => Hold::of(side.file.0).map_err(refused)?,
    };
    let done = hold.before().in_mode(mode).apply(side.file.0).map_err(refused);
    if mode != Mode::Cooked {
        *side.hold.borrow_mut() = Some(hold);
    }
    transport.root().above.stopped.set(Some(restore));
    done
}

/// The reactor has stopped: its terminals are as they were found.
fn restore(reactor: ReactorItem) {
    for transport in reactor.pools.all::<Transport>() {
        if let Some(side) = side_of(transport).filter(|side| !side.serial.get()) {
            side.hold.take();
        }
    }
}

/// Opens a serial port, for this process alone.
pub fn serial(
    reactor: ReactorItem,
    path: &[u8],
    wanted: Serial,
    protocol: Rc<Protocol>,
    this: Owned,
) -> Result<Item<Transport>> {
    reactor.check_system("serial ports")?;
    let name = format!("serial port {}", String::from_utf8_lossy(path));
    let file = open_path(&name, path, Opening { read: true, write: true, ..Opening::default() })?;
    let side = side(file.0, name, Readiness { readable: true, writable: true })?;
    if side.sort != Sort::Terminal {
        return refuse(&side.name, "is no serial port");
    }
    let refused = |why: io::Error| error::refused(&side.name, &why);
    terminals::take_port(side.file.0).map_err(refused)?;
    side.serial.set(true);
    *side.hold.borrow_mut() = Some(Hold::of(side.file.0).map_err(refused)?);
    terminals::set_serial(side.file.0, wanted).map_err(refused)?;
    start(reactor, side, protocol, this)
}

fn port(transport: Item<Transport>) -> Result<Rc<Side>> {
    let side = plain(transport)?;
    match side.serial.get() {
        true => Ok(side),
        false => Err(Status::ERR_NOT_SUPPORTED.because(format_args!("{} is no serial port", side.name))),
    }
}

/// Sets a serial port anew.
pub fn set_serial(transport: Item<Transport>, wanted: Serial) -> Result {
    let side = port(transport)?;
    terminals::set_serial(side.file.0, wanted).map_err(|why| error::refused(&side.name, &why))
}

/// The lines of a serial port that are on.
pub fn lines(transport: Item<Transport>) -> Result<u32> {
    let side = port(transport)?;
    terminals::lines(side.file.0).map_err(|why| error::refused(&side.name, &why))
}

/// Turns some of them on, and others off.
pub fn set_lines(transport: Item<Transport>, on: u32, off: u32) -> Result {
    let side = port(transport)?;
    terminals::set_lines(side.file.0, on, off).map_err(|why| error::refused(&side.name, &why))
}

impl Drop for Side {
    fn drop(&mut self) {
        // As it was found, before anybody else may have it.
        drop(self.hold.take());
        if self.serial.get() {
            terminals::leave_port(self.file.0);
        }
    }
}
