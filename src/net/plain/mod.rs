//! Streams that are no sockets of our own: pipes, terminals, devices, and whatever the standard streams are.
//!
//! They are transports like any other, with `flag::PLAIN`, by which [`Item::with_socket`] takes the way through
//! [`Through`]. What others share is left as it was: it is opened once more, or read and written in ways that do not block
//! by themselves; `O_NONBLOCK` is never set on it.

mod away;
pub mod paths;
pub mod terminal;
mod through;

use super::out::OwnDescriptor;
use super::protocol::Protocol;
use super::transport::{self, Ended, Transport, flag};
use super::{Fresh, attempt, error};
use crate::driver::{Driver, Readiness, Ready};
use crate::handles::{Item, Owned};
use crate::platform::descriptors::{self, Opened, Sort};
use crate::platform::terminals::Hold;
use crate::platform::{self, Socket};
use crate::reactor::ReactorItem;
use crate::status::{Result, Status};
use away::{Reading, Writing};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use through::Through;

/// How one direction goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// Not at all.
    Closed,
    /// The description does not block.
    AtOnce,
    /// A socket: each call says that it does not block.
    Socket,
    /// It blocks, but not for what poll says that it is ready for.
    Polled,
    /// It may block: on the pool's threads.
    Away,
}

/// What a plain stream has beside its transport.
pub struct Side {
    /// Shared with the jobs that are at work on it.
    file: Arc<OwnDescriptor>,
    /// How messages name it.
    name: String,
    sort: Sort,
    reads: Way,
    writes: Way,
    /// Less than asked for means that nothing is left.
    drains: bool,
    /// Whether the kernel reads, and writes, this one without waiting.
    reads_at_once: Cell<bool>,
    writes_at_once: Cell<bool>,
    reading: Reading,
    writing: Writing,
    /// The other end of a pipe, so that the last of those who write to it is not the end.
    writer: Option<OwnDescriptor>,
    /// A terminal whose settings were changed.
    hold: RefCell<Option<Hold>>,
    /// It is a serial port, which is ours alone.
    serial: Cell<bool>,
}

/// Makes a stream of a descriptor of the host, which is the library's when this succeeds. `connection_made` is called
/// from the loop.
pub fn adopt(
    reactor: ReactorItem,
    descriptor: Socket,
    ways: Readiness,
    protocol: Rc<Protocol>,
    this: Owned,
) -> Result<Item<Transport>> {
    let stream = open(reactor, descriptor, format!("descriptor {descriptor}"), ways, protocol, this)?;
    platform::close_file(descriptor);
    Ok(stream)
}

/// Makes a stream of what is behind a descriptor, which itself stays as it is. The name is for messages.
pub fn open(
    reactor: ReactorItem,
    descriptor: Socket,
    name: String,
    ways: Readiness,
    protocol: Rc<Protocol>,
    this: Owned,
) -> Result<Item<Transport>> {
    reactor.check_system("streams that are no sockets")?;
    start(reactor, side(descriptor, name, ways)?, protocol, this)
}

fn start(reactor: ReactorItem, side: Side, protocol: Rc<Protocol>, this: Owned) -> Result<Item<Transport>> {
    super::open(reactor)?;
    let (interest, reads_away) = (side.interest(), side.reads == Way::Away);
    let transport = make(reactor, side, protocol, this)?;
    if !interest.is_empty() {
        let watched = transport.with_socket(|driver, socket| driver.watch(socket, transport.word(), interest));
        watched.inspect_err(|_| forget(transport))?;
    }
    // There may be neither data nor room to tell of: it is there all the same.
    let readiness = Readiness { readable: reads_away, writable: true };
    reactor.ready_again(Ready { key: transport.word(), readiness, ended: false });
    Ok(transport)
}

fn make(reactor: ReactorItem, side: Side, protocol: Rc<Protocol>, this: Owned) -> Result<Item<Transport>> {
    let closed = |way, flag| if way == Way::Closed { flag } else { 0 };
    let one_way = closed(side.reads, flag::READ_CLOSED) | closed(side.writes, flag::WRITE_CLOSED);
    // It is the side that closes it.
    let socket = Fresh::of_host(reactor, side.file.0);
    let flags = flag::PLAIN | flag::CONNECTING | one_way;
    let transport = transport::make(reactor, socket, reactor.scope.get(), flags)?;
    let this = Cell::new(Some(this));
    let done: attempt::Done = Box::new(move |_, outcome| {
        if let (Ok(transport), Some(this)) = (outcome, this.take()) {
            attempt::establish(transport, protocol, this);
        }
    });
    let prepared = transport.with_new_extra(|extra| {
        extra.connecting = Some(done);
        extra.side = Some(Rc::new(side));
    });
    prepared.inspect_err(|_| attempt::forget(transport))?;
    Ok(transport)
}

/// One that nobody is told of.
fn forget(transport: Item<Transport>) {
    transport.socket.set(-1_i32 as Socket);
    attempt::forget(transport);
}

/// Lets go of a stream that is not established yet; nobody is told.
pub fn discard(transport: Item<Transport>) {
    if transport.is_alive() && transport.has(flag::CONNECTING) && !transport.has(flag::LOST) {
        let socket = transport.socket.get();
        close(transport, socket);
        forget(transport);
    }
}

/// A copy of a descriptor, or a description of our own, and how it is read and written.
fn side(descriptor: Socket, name: String, ways: Readiness) -> Result<Side> {
    let opened = descriptors::look_at(descriptor).map_err(|why| error::refused(&name, &why))?;
    check_ways(&name, opened, ways)?;
    if opened.sort == Sort::Socket && !matches!(platform::socket_sort(descriptor), Ok((true, false))) {
        return Err(Status::ERR_INVALID_ARGUMENT.because(format_args!("{name} is a socket, but no connection")));
    }
    let copy = || platform::duplicate(descriptor).map(OwnDescriptor).map_err(|why| error::refused(&name, &why));
    let both = |file: Result<OwnDescriptor>, way| file.map(|file| (file, way, way));
    let (file, reads, writes) = match opened.sort {
        Sort::File | Sort::Disk => both(copy(), Way::Away),
        Sort::Other if descriptors::is_always_ready(descriptor) => both(copy(), Way::Away),
        Sort::Socket => both(copy(), Way::Socket),
        _ if opened.non_blocking => both(copy(), Way::AtOnce),
        Sort::Pipe | Sort::Terminal => match descriptors::reopen(descriptor, opened, ways.readable, ways.writable) {
            Ok(own) => both(Ok(OwnDescriptor(own)), Way::AtOnce),
            Err(_) if opened.sort == Sort::Pipe => both(copy(), Way::Polled),
            Err(_) => copy().map(|file| (file, Way::Polled, Way::Away)),
        },
        // How much it takes at once, only a pipe says.
        _ => copy().map(|file| (file, Way::Polled, Way::Away)),
    }?;
    Ok(Side {
        file: Arc::new(file),
        name,
        sort: opened.sort,
        reads: if ways.readable { reads } else { Way::Closed },
        writes: if ways.writable { writes } else { Way::Closed },
        drains: opened.sort == Sort::Pipe
            && !opened.in_packets
            && cfg!(any(target_os = "linux", target_os = "android")),
        reads_at_once: Cell::new(true),
        writes_at_once: Cell::new(true),
        reading: Reading::default(),
        writing: Writing::default(),
        writer: None,
        hold: RefCell::default(),
        serial: Cell::new(false),
    })
}

fn check_ways(name: &str, opened: Opened, ways: Readiness) -> Result {
    let refused = |why: &str| Err(Status::ERR_INVALID_ARGUMENT.because(format_args!("{name} {why}")));
    match opened.sort {
        _ if ways.is_empty() => refused("is to be neither read nor written"),
        Sort::Directory => refused("is a directory"),
        Sort::File | Sort::Disk if ways.readable && ways.writable => {
            refused("is a file, which is either read or written as a stream")
        }
        _ if ways.readable && !opened.readable => refused("is not open for reading"),
        _ if ways.writable && !opened.writable => refused("is not open for writing"),
        _ => Ok(()),
    }
}

impl Side {
    /// What the driver can tell of.
    fn interest(&self) -> Readiness {
        let is_polled = |way| !matches!(way, Way::Closed | Way::Away);
        Readiness { readable: is_polled(self.reads), writable: is_polled(self.writes) }
    }
}

/// Who looks after a stream, beside its protocol: told of its end and the reason when all else of it is over.
pub fn when_ended(transport: Item<Transport>, ended: Ended) -> Result {
    transport.with_new_extra(|extra| extra.ended = Some(ended))
}

fn side_of(transport: Item<Transport>) -> Option<Rc<Side>> {
    transport.with_extra(|extra| extra.side.clone()).flatten()
}

/// Calls what is for the socket of a transport with the driver as a plain stream has it.
#[cold]
#[inline(never)]
pub(super) fn with<R>(transport: Item<Transport>, call: impl FnOnce(&dyn Driver, Socket) -> R) -> R {
    let side = side_of(transport);
    transport.root_body().with_driver(|driver| match &side {
        Some(side) => call(&Through { driver, side, transport }, transport.socket.get()),
        None => call(driver, transport.socket.get()),
    })
}

/// Closes it, once.
pub(super) fn close(transport: Item<Transport>, socket: Socket) {
    let Some(side) = transport.with_extra(|extra| extra.side.take()).flatten() else { return };
    if !side.interest().is_empty() {
        // The description may live on elsewhere, and with it the registration.
        let _ = transport.root_body().with_driver(|driver| driver.unwatch(socket));
    }
    side.give_up_jobs(transport.root());
}

/// How messages name a plain stream; None: it is none.
pub(super) fn name(transport: Item<Transport>) -> Option<String> {
    transport.with_extra(|extra| extra.side.as_ref().map(|side| side.name.clone())).flatten()
}

/// Whether all that went into a pipe was read.
pub(super) fn is_all_read(transport: Item<Transport>) -> bool {
    side_of(transport).is_some_and(|side| side.sort != Sort::Pipe || descriptors::unread_in(side.file.0) == 0)
}

/// Whether one direction can end before the other.
pub(super) fn has_halves(transport: Item<Transport>) -> bool {
    side_of(transport).is_none_or(|side| side.sort == Sort::Socket)
}
