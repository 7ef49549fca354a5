//! What a connection can be told and asked: its addresses, the system's options, the idle time-out, descriptors.

use super::error;
use super::out::{OwnDescriptor, Part};
use super::transport::{Transport, flag};
use super::writing;
use crate::deferred::{Deferred, DeferredItem, chain, later};
use crate::driver::Address;
use crate::driver::sockets::{Credentials, SocketOption};
use crate::handles::{self, Item, Word};
use crate::platform::{self, Socket};
use crate::reactor::timers::{self, DelayedCall};
use crate::status::{Result, Status};

const MILLISECOND: u64 = 1_000_000;
/// Descriptors that came and were not taken, at most; more are closed.
const DESCRIPTORS: usize = 64;

/// The other end's address; as it was, also when it is gone.
pub fn peer(transport: Item<Transport>) -> Result<Address> {
    if let Some(peer) = transport.with_extra(|extra| extra.peer).flatten() {
        return Ok(peer);
    }
    transport.check_open()?;
    let peer = transport.with_socket(|driver, socket| driver.peer_address(socket));
    peer.map_err(|why| error::refused("asking for the peer's address", &why))
}

/// Its own address.
pub fn address(transport: Item<Transport>) -> Result<Address> {
    transport.check_open()?;
    let address = transport.with_socket(|driver, socket| driver.local_address(socket));
    address.map_err(|why| error::refused("asking for the connection's address", &why))
}

/// Tells the system.
pub fn set(transport: Item<Transport>, what: &str, option: SocketOption) -> Result {
    transport.check_open()?;
    let done = transport.with_socket(|driver, socket| driver.set(socket, option));
    done.map_err(|why| error::refused(format_args!("setting {what}"), &why))
}

/// Ends the connection when nothing came or went for so many nanoseconds; 0: never.
pub fn set_idle(transport: Item<Transport>, nanoseconds: u64) -> Result {
    transport.check_open()?;
    let milliseconds = nanoseconds.div_ceil(MILLISECOND).min(u64::from(u32::MAX)) as u32;
    let timer = handles::get::<DelayedCall>(transport.idle_timer.replace(Word::NULL));
    if let Ok(timer) = timer {
        let _ = timers::cancel(timer);
    }
    transport.idle.set(milliseconds);
    if milliseconds != 0 {
        let reactor = transport.root();
        let deadline = reactor.read_clock().saturating_add(u64::from(milliseconds) * MILLISECOND);
        let timer = timers::call_at(reactor, deadline, idle_for_too_long, transport.word());
        transport.idle_timer.set(timer.inspect_err(|_| transport.idle.set(0))?.word());
    }
    Ok(())
}

/// Something came or went.
#[cold]
pub(super) fn reset_idle(transport: Item<Transport>) {
    if let Ok(timer) = handles::get::<DelayedCall>(transport.idle_timer.get()) {
        let delay = u64::from(transport.idle.get()) * MILLISECOND;
        let _ = timers::reset(timer, delay);
    }
}

extern "C-unwind" fn idle_for_too_long(word: Word) {
    let Ok(transport) = handles::get::<Transport>(word) else { return };
    transport.idle_timer.set(Word::NULL);
    let seconds = f64::from(transport.idle.get()) / 1e3;
    transport.lost_to(Status::ERR_TIMED_OUT, &format!("nothing came or went for {seconds} s"));
}

/// Its socket, for what there is no call for.
pub fn descriptor(transport: Item<Transport>) -> Result<Socket> {
    transport.check_open()?;
    if transport.has(flag::PLAIN) {
        return Err(Status::ERR_NOT_SUPPORTED.because("the stream is no socket"));
    }
    if transport.root().is_simulated() {
        return Err(Status::ERR_NOT_SUPPORTED.because("a simulated reactor has no descriptors of the system"));
    }
    Ok(transport.socket.get())
}

/// Who is at the other end of a Unix socket.
pub fn credentials(transport: Item<Transport>) -> Result<Credentials> {
    transport.check_open()?;
    if !transport.has(flag::UNIX) {
        return Err(Status::ERR_NOT_SUPPORTED.because("only a Unix socket knows who is at the other end"));
    }
    let credentials = transport.with_socket(|driver, socket| driver.peer_credentials(socket));
    credentials.map_err(|why| error::refused("asking for the peer's credentials", &why))
}

fn own_copy(descriptor: Socket) -> Result<OwnDescriptor> {
    let copy = platform::duplicate(descriptor);
    copy.map(OwnDescriptor).map_err(|why| error::refused(format_args!("descriptor {descriptor}"), &why))
}

/// Sends a descriptor with the next byte that is written.
pub fn send_descriptor(transport: Item<Transport>, descriptor: Socket) -> Result {
    if !transport.has(flag::UNIX) || transport.has(flag::TLS) {
        return Err(Status::ERR_NOT_SUPPORTED.because("only a Unix socket carries descriptors, and without TLS alone"));
    }
    writing::send_file(transport, Part::Descriptor(own_copy(descriptor)?))
}

/// Keeps descriptors that came until they are taken.
pub(super) fn keep_descriptors(transport: Item<Transport>, came: Vec<Socket>) {
    let over = transport.with_new_extra(|extra| {
        extra.descriptors.extend(came.iter().take(DESCRIPTORS.saturating_sub(extra.descriptors.len())));
        extra.descriptors.len()
    });
    let kept = transport.with_extra(|extra| extra.descriptors.clone()).unwrap_or_default();
    for lost in came.into_iter().filter(|one| over.is_err() || !kept.contains(one)) {
        transport.with_socket(|driver, _| driver.close(lost));
    }
}

/// The oldest descriptor that came; it is the caller's from here on.
pub fn take_descriptor(transport: Item<Transport>) -> Result<Option<Socket>> {
    transport.check_open()?;
    let first = |extra: &mut super::transport::Extra| {
        if extra.descriptors.is_empty() { None } else { Some(extra.descriptors.remove(0)) }
    };
    Ok(transport.with_extra(first).flatten())
}

/// Sends a part of a file without copying it, where the system can; the Deferred fires when it is sent.
pub fn send_file(transport: Item<Transport>, file: Socket, offset: u64, length: u64) -> Result<DeferredItem> {
    transport.check_open()?;
    if i64::try_from(offset).is_err() || i64::try_from(length).is_err() {
        return Err(Status::ERR_INVALID_ARGUMENT.because("offset or len is past what a file can have"));
    }
    let file = own_copy(file)?;
    // Cancelling changes nothing: half a file would leave the peer waiting for the other.
    let deferred: Item<Deferred> = chain::new_inside(transport.root(), keeps_sending, Word::NULL)?;
    let part = Part::File { file, offset, left: length, deferred: deferred.word() };
    writing::send_file(transport, part).inspect_err(|_| later::discard(deferred))?;
    Ok(deferred)
}

extern "C-unwind" fn keeps_sending(_: Word, _: Word) {}
