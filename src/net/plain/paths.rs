//! Streams that are opened by their paths, and the standard streams.

use super::{Side, side, start};
use crate::driver::Readiness;
use crate::handles::{Item, Owned};
use crate::net::error;
use crate::net::out::OwnDescriptor;
use crate::net::protocol::Protocol;
use crate::net::transport::Transport;
use crate::platform::descriptors::{self, Opening, Sort};
use crate::platform::{self, Socket};
use crate::reactor::ReactorItem;
use crate::status::{Result, Status};
use std::fmt::Display;
use std::rc::Rc;

const READ: Readiness = Readiness { readable: true, writable: false };
const WRITE: Readiness = Readiness { readable: false, writable: true };

/// One of the three that a process begins with.
#[derive(Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named after its number's name")]
pub enum Standard {
    Input,
    Output,
    Error,
}

/// Makes a stream of what a standard stream is; its number stays the process's.
pub fn standard(reactor: ReactorItem, which: Standard, protocol: Rc<Protocol>, this: Owned) -> Result<Item<Transport>> {
    let (descriptor, name, ways) = match which {
        Standard::Input => (0, "standard input", READ),
        Standard::Output => (1, "standard output", WRITE),
        Standard::Error => (2, "standard error", WRITE),
    };
    super::open(reactor, descriptor as Socket, name.to_owned(), ways, protocol, this)
}

fn name_of(what: &str, path: &[u8]) -> String {
    format!("{what} {}", String::from_utf8_lossy(path))
}

pub(super) fn open_path(name: &str, path: &[u8], opening: Opening) -> Result<OwnDescriptor> {
    let opened = descriptors::open_path(path, opening);
    opened.map(OwnDescriptor).map_err(|why| error::refused(name, &why))
}

pub(super) fn refuse<T>(name: &str, why: impl Display) -> Result<T> {
    Err(Status::ERR_INVALID_ARGUMENT.because(format_args!("{name} {why}")))
}

/// A named pipe. `keeps_open`: the end of a writer is not the end of what is read.
pub fn pipe(
    reactor: ReactorItem,
    path: &[u8],
    ways: Readiness,
    keeps_open: bool,
    protocol: Rc<Protocol>,
    this: Owned,
) -> Result<Item<Transport>> {
    reactor.check_system("pipes")?;
    let name = name_of("pipe", path);
    if ways.readable == ways.writable {
        return refuse(&name, "is either read or written");
    }
    if keeps_open && ways.writable {
        return refuse(&name, "is written: there is nothing to keep open");
    }
    let read = Opening { read: ways.readable, write: ways.writable, ..Opening::default() };
    let file = open_path(&name, path, read)?;
    let mut side = side_of_own(&file, name, ways)?;
    if side.sort != Sort::Pipe {
        return refuse(&side.name, "is no named pipe");
    }
    if keeps_open {
        side.writer = Some(open_path(&side.name, path, Opening { write: true, ..Opening::default() })?);
    }
    start(reactor, side, protocol, this)
}

fn side_of_own(file: &OwnDescriptor, name: String, ways: Readiness) -> Result<Side> {
    side(file.0, name, ways)
}

/// Makes a named pipe.
pub fn make_pipe(reactor: ReactorItem, path: &[u8], mode: u32) -> Result {
    reactor.check_system("pipes")?;
    descriptors::make_pipe(path, mode).map_err(|why| error::refused(name_of("pipe", path), &why))
}

/// What is read from a file, or written to it, from `offset` on.
pub fn file(
    reactor: ReactorItem,
    path: &[u8],
    opening: Opening,
    offset: u64,
    protocol: Rc<Protocol>,
    this: Owned,
) -> Result<Item<Transport>> {
    reactor.check_system("files")?;
    let name = name_of("file", path);
    let ways = Readiness { readable: opening.read, writable: opening.write };
    if ways.readable == ways.writable {
        return refuse(&name, "is either read or written as a stream");
    }
    if opening.append && offset != 0 {
        return refuse(&name, "is appended to: there is no offset");
    }
    let file = open_path(&name, path, opening)?;
    if offset != 0 {
        platform::descriptors::seek(file.0, offset).map_err(|why| error::refused(&name, &why))?;
    }
    start(reactor, side_of_own(&file, name, ways)?, protocol, this)
}
