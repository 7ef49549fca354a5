//! Writing: what a callback writes is copied together and sent when it returns; large pieces go out as they are.

use super::out::{Out, Part, Sent};
use super::transport::{Transport, flag};
use super::{SPARE, ending, producer, tls, was_interrupted, would_block};
use crate::deferred::Deferred;
use crate::deferred::{chain, failure};
use crate::handles::{self, Item, Owned, Word};
use crate::platform::{self, SystemError};
use crate::reactor::{events, timers};
use crate::status::{Result, Status};
use std::io;

/// Pieces of this size and more go to the system at once, without being copied.
const LARGE: usize = 8 * 1024;
/// The system had no room of its own: it is tried again after so many nanoseconds.
const AGAIN: u64 = 10_000_000;
/// So much is written at most before it is others' turn.
const BUDGET: usize = 1024 * 1024;

/// Refuses a transport on which nothing can be written any more.
pub fn check_writable(transport: Item<Transport>, more: u64) -> Result {
    transport.check_open()?;
    if transport.has(flag::WRITE_CLOSED | flag::LOSING_WRITE) {
        return Err(Status::ERR_CLOSED.because("the connection was closed for writing"));
    }
    if transport.has(flag::CONTROLLED) {
        let cap = transport.with_extra(|extra| extra.cap).unwrap_or(0);
        let waits = buffered(transport);
        if cap != 0 && waits.saturating_add(more) > cap {
            let why = format_args!("{waits} of at most {cap} bytes wait to be written, {more} more do not fit");
            return Err(Status::ERR_BUFFER_FULL.because(why));
        }
    }
    Ok(())
}

/// Bytes that wait to be written.
pub fn buffered(transport: Item<Transport>) -> u64 {
    let encrypted = if transport.has(flag::TLS) { tls::waiting(transport) } else { 0 };
    with_out(transport, Out::length).unwrap_or(0) + encrypted
}

fn with_out<R>(transport: Item<Transport>, read: impl FnOnce(&Out) -> R) -> Option<R> {
    let out = transport.out.take()?;
    let result = read(&out);
    transport.out.set(Some(out));
    Some(result)
}

fn take_out(transport: Item<Transport>) -> Result<Box<Out>> {
    if let Some(out) = transport.out.take() {
        return Ok(out);
    }
    let spare = super::of(transport.root()).outs.borrow_mut().pop();
    if let Some(out) = spare {
        return Ok(out);
    }
    handles::check_memory(size_of::<Out>())?;
    Ok(Box::default())
}

fn put_out(transport: Item<Transport>, out: Box<Out>) {
    if out.is_empty() { put_empty(transport, out) } else { transport.out.set(Some(out)) }
}

#[inline(always)]
fn put_empty(transport: Item<Transport>, out: Box<Out>) {
    let network = super::of(transport.root());
    let mut outs = network.outs.borrow_mut();
    if outs.len() < SPARE {
        outs.push(out);
    }
}

/// Adds a small piece to what the callback has written before.
#[inline(always)]
pub fn write_quickly(transport: Item<Transport>, data: &[u8]) -> Option<()> {
    const OTHERWISE: u32 = flag::LOST | flag::WRITE_CLOSED | flag::LOSING_WRITE | flag::CONTROLLED;
    if transport.has(OTHERWISE) || data.is_empty() || data.len() >= LARGE {
        return None;
    }
    if let Some(mut out) = transport.out.take() {
        let pushed = if transport.has(flag::WRITTEN) { out.push_quickly(data) } else { None };
        transport.out.set(Some(out));
        return pushed;
    }
    let network = super::of(transport.root());
    if network.current.get() != transport.word() {
        return None;
    }
    let mut outs = network.outs.borrow_mut();
    outs.last_mut()?.push_quickly(data)?;
    transport.out.set(outs.pop());
    // It goes out when the callback returns.
    transport.set(flag::WRITTEN);
    Some(())
}

/// Writes. All of it is accepted, or nothing.
#[inline]
pub fn write(transport: Item<Transport>, data: &[u8]) -> Result {
    check_writable(transport, data.len() as u64)?;
    if data.is_empty() {
        return Ok(());
    }
    let now = data.len() >= LARGE || !transport.root_body().is_turning();
    if now && !transport.has(flag::FULL | flag::CONNECTING | flag::RATED | flag::WRITE_LIMITED) {
        let waits = transport.has(flag::CONTROLLED) && producer::has_had_its_share(transport, data.len());
        if !waits {
            return write_now(transport, data);
        }
    }
    push(transport, data)?;
    written(transport);
    Ok(())
}

/// Writes several parts, as if they were one.
pub fn write_parts<'data>(
    transport: Item<Transport>,
    length: usize,
    parts: impl Iterator<Item = &'data [u8]>,
) -> Result {
    check_writable(transport, length as u64)?;
    let mut whole = Vec::new();
    whole.try_reserve_exact(length).map_err(|_| Status::ERR_NO_MEMORY)?;
    parts.for_each(|part| whole.extend_from_slice(part));
    write(transport, &whole)
}

/// Writes a head and what belongs behind it: both are accepted, or nothing.
pub fn write_behind(transport: Item<Transport>, head: &[u8], body: &[u8]) -> Result {
    if write_quickly(transport, head).is_none() {
        check_writable(transport, (head.len() + body.len()) as u64)?;
        push(transport, head)?;
    }
    if body.is_empty() {
        written(transport);
        return Ok(());
    }
    if write_quickly(transport, body).is_some() {
        return Ok(());
    }
    // Half of it would be worse than nothing.
    write(transport, body).inspect_err(|why| transport.lost_to(*why, "no memory for what is to be written"))
}

/// Writes what is small and must go out, whatever waits already.
pub fn write_in_any_case(transport: Item<Transport>, data: &[u8]) -> Result {
    transport.check_open()?;
    if transport.has(flag::WRITE_CLOSED | flag::LOSING_WRITE) {
        return Err(Status::ERR_CLOSED.because("the connection was closed for writing"));
    }
    push(transport, data)?;
    written(transport);
    Ok(())
}

fn push(transport: Item<Transport>, data: &[u8]) -> Result {
    let mut out = take_out(transport)?;
    let pushed = out.push(data);
    put_out(transport, out);
    pushed
}

/// Sends at once what there is room for; what is left waits.
fn write_now(transport: Item<Transport>, data: &[u8]) -> Result {
    let mut out = take_out(transport)?;
    let before = out.length();
    let sent = if out.is_empty() {
        retry(|| transport.with_socket(|driver, socket| driver.send(socket, data))).map(|sent| sent as u64)
    } else if out.begins_with_file() {
        // Whoever waits for the file is told by the flush.
        Ok(0)
    } else {
        let send = |out: &mut Out| transport.with_socket(|driver, socket| out.send(driver, socket, data, usize::MAX));
        retry(|| send(&mut out)).map(|sent| if let Sent::Some(sent, _) = sent { sent as u64 } else { 0 })
    };
    let (sent, error) = match sent {
        Ok(sent) => (sent, None),
        Err(error) => (0, Some(error)),
    };
    // What went out of what waited before is no part of this.
    let of_this = sent.saturating_sub(before.min(sent)) as usize;
    let pushed = if of_this < data.len() { out.push(&data[of_this..]) } else { Ok(()) };
    put_out(transport, out);
    if sent != 0 {
        sent_some(transport, sent as usize);
    }
    match error {
        Some(error) if would_block(&error) => transport.set(flag::FULL),
        // The end is told later; what was written is lost with the rest.
        Some(error) if !is_short_of_room(&error) => ending::lost_by(transport, &error),
        _ => {}
    }
    pushed?;
    written(transport);
    Ok(())
}

/// What waits now goes out when the callback returns, or what is asked to end ends.
pub(super) fn written(transport: Item<Transport>) {
    if transport.has(flag::CONTROLLED) {
        producer::pause_if_full(transport);
    }
    note_written(transport);
}

pub(super) fn note_written(transport: Item<Transport>) {
    if transport.has(flag::WRITTEN | flag::LOST) {
        return;
    }
    transport.set(flag::WRITTEN);
    let reactor = transport.root();
    // Whoever is called just now is flushed when its callback returns.
    if super::of(reactor).current.get() != transport.word() {
        reactor.note_written(transport.word());
    }
}

/// What was written, or asked for, before the connection was there: an adopted one can be used at once.
pub(super) fn note_early(transport: Item<Transport>) {
    let asked = transport.has(flag::LOSING | flag::LOSING_WRITE | flag::CONTROLLED);
    if asked || with_out(transport, |_| ()).is_some() {
        note_written(transport);
    }
}

/// Sends what was written since.
pub(super) fn flush_written(transport: Item<Transport>) {
    transport.clear(flag::WRITTEN);
    if !transport.has(flag::LOST | flag::FULL | flag::CONNECTING) && flush_quickly(transport).is_none() {
        flush(transport);
    }
}

/// The usual case: one small piece goes out whole, and nobody waits for that.
#[inline]
fn flush_quickly(transport: Item<Transport>) -> Option<()> {
    const OTHERWISE: u32 = flag::RATED | flag::CONTROLLED | flag::LOSING | flag::LOSING_WRITE;
    if transport.has(OTHERWISE) || transport.idle.get() != 0 {
        return None;
    }
    let mut out = transport.out.take()?;
    let sent = out.in_one_piece().map(|bytes| transport.with_socket(|driver, socket| driver.send(socket, bytes)));
    match sent {
        Some(Ok(sent)) => out.advance(sent),
        Some(Err(error)) if !was_interrupted(&error) => {
            transport.out.set(Some(out));
            failed(transport, &error);
            return Some(());
        }
        _ => {}
    }
    if !out.is_empty() {
        transport.out.set(Some(out));
        return None;
    }
    put_empty(transport, out);
    Some(())
}

fn retry<R>(mut call: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match call() {
            Err(error) if was_interrupted(&error) => {}
            done => return done,
        }
    }
}

/// The system has no memory for it just now, and no edge will say when it has.
fn is_short_of_room(error: &io::Error) -> bool {
    platform::system_error(error) == Some(SystemError::NoMemory)
}

/// Sends what there is room for; then what waits for that is done.
pub(super) fn flush(transport: Item<Transport>) {
    if transport.has(flag::TLS) && !tls::flush(transport) {
        return;
    }
    let Some(mut out) = transport.out.take() else { return drained(transport) };
    let mut told = Vec::new();
    let mut budget = BUDGET;
    let stopped = loop {
        if out.is_empty() || budget == 0 {
            break None;
        }
        let most = if transport.has(flag::RATED) { super::rate::may_write(transport, budget) } else { budget };
        // A file of which nothing is left needs no allowance to be done.
        if most == 0 && !out.begins_with_done_file() {
            break None;
        }
        match transport.with_socket(|driver, socket| out.send(driver, socket, &[], most)) {
            Ok(Sent::Some(sent, less)) => {
                budget = budget.saturating_sub(sent);
                sent_some(transport, sent);
                if less && tells_of_room(transport) {
                    transport.set(flag::FULL);
                    break None;
                }
            }
            Ok(Sent::File(deferred, whole)) => told.push((deferred, whole)),
            Ok(Sent::Nothing) => break None,
            Err(error) if was_interrupted(&error) => {}
            Err(error) => break Some(error),
        }
    };
    let left = !out.is_empty();
    put_out(transport, out);
    match stopped {
        Some(error) => failed(transport, &error),
        None if left && budget == 0 => write_again(transport),
        None => {}
    }
    if !told.is_empty() {
        let tell = || told.into_iter().for_each(|(deferred, whole)| file_sent(transport, deferred, whole));
        call_writer(transport, tell);
    }
    if !transport.has(flag::LOST) {
        drained(transport);
    }
}

pub(super) fn failed(transport: Item<Transport>, error: &io::Error) {
    if would_block(error) {
        transport.set(flag::FULL);
    } else if is_short_of_room(error) {
        try_again_later(transport);
    } else {
        ending::lost_by(transport, error);
    }
}

/// Looks whether a connection that is not read any more can still be written to: a peer that is gone shows in no other
/// way while nothing waits.
pub(super) fn probe(transport: Item<Transport>) {
    if transport.has(flag::LOST | flag::WRITE_CLOSED) {
        return;
    }
    match retry(|| transport.with_socket(|driver, socket| driver.send(socket, &[]))) {
        // A Unix socket knows of resets, a pipe of what was not read; this peer has closed, with nothing left to be said.
        Err(why)
            if transport.has(flag::UNIX | flag::PLAIN)
                && why.kind() == io::ErrorKind::BrokenPipe
                && buffered(transport) == 0
                && (transport.has(flag::UNIX) || super::plain::is_all_read(transport)) =>
        {
            ending::lost(transport, Status::CONNECTION_DONE);
        }
        Err(why) if !would_block(&why) && !is_short_of_room(&why) => ending::lost_by(transport, &why),
        _ => {}
    }
}

/// It has had its share: it goes on in the next turn, also if the system has room.
fn write_again(transport: Item<Transport>) {
    transport.set(flag::FULL | flag::WRITES_AGAIN);
    super::reading::again(transport.root(), transport);
}

/// Calls who may write more now that something was sent. That goes out in the next turn: whoever always has more would
/// hold up the others for as long as the peer reads as fast.
pub(super) fn call_writer(transport: Item<Transport>, call: impl FnOnce()) {
    let was_full = transport.has(flag::FULL);
    transport.set(flag::FULL);
    call();
    if was_full || transport.has(flag::LOST) {
        return;
    }
    if buffered(transport) == 0 {
        transport.clear(flag::FULL);
    } else {
        write_again(transport);
    }
}

fn sent_some(transport: Item<Transport>, sent: usize) {
    if transport.has(flag::RATED) {
        super::rate::did_write(transport, sent);
    }
    if transport.idle.get() != 0 {
        super::options::reset_idle(transport);
    }
}

/// Whether after less went out than was offered an edge says when there is room again.
fn tells_of_room(transport: Item<Transport>) -> bool {
    !transport.has(flag::UNIX | flag::PLAIN | flag::TLS) && transport.with_socket(|driver, _| driver.drains())
}

fn try_again_later(transport: Item<Transport>) {
    let reactor = transport.root();
    let deadline = reactor.read_clock().saturating_add(AGAIN);
    transport.set(flag::FULL);
    if timers::call_at(reactor, deadline, room_again, transport.word()).is_err() {
        transport.lost_to(Status::ERR_NO_MEMORY, "no memory to write with");
    }
}

extern "C-unwind" fn room_again(word: Word) {
    if let Ok(transport) = handles::get::<Transport>(word) {
        transport.clear(flag::FULL);
        note_written(transport);
    }
}

fn file_sent(transport: Item<Transport>, deferred: Word, whole: bool) {
    let Ok(deferred) = handles::get::<Deferred>(deferred) else { return };
    let reactor = transport.root();
    let _out = reactor.call_out();
    // The Deferred may be another's: it cannot end the scope of the connection meanwhile.
    reactor.in_scope(transport.scope.get(), || {
        if whole {
            let _ = chain::callback(deferred, Owned::default());
        } else {
            let why = Status::ERR_TRUNCATED.because("the file ended before all that was asked for was sent");
            let _ = chain::errback(deferred, failure::of_status(reactor, why));
        }
    });
}

/// After as much was sent as could be: who waits for room is told, and what was to happen after the last byte happens.
fn drained(transport: Item<Transport>) {
    if transport.has(flag::CONTROLLED) {
        producer::resume_if_drained(transport);
    }
    if !transport.has(flag::LOSING | flag::LOSING_WRITE) || transport.has(flag::LOST) || buffered(transport) != 0 {
        return;
    }
    if transport.has(flag::CONTROLLED) && producer::holds_end(transport) {
        return;
    }
    if transport.has(flag::TLS) && !tls::say_goodbye(transport) {
        return;
    }
    if transport.has(flag::LOSING) {
        if !(transport.has(flag::TLS) && tls::linger(transport)) {
            ending::lost(transport, Status::CONNECTION_DONE);
        }
    } else if !transport.has(flag::WRITE_CLOSED) {
        close_write(transport);
    }
}

fn close_write(transport: Item<Transport>) {
    transport.set(flag::WRITE_CLOSED);
    if let Err(error) = transport.with_socket(|driver, socket| driver.shutdown(socket, std::net::Shutdown::Write)) {
        return ending::lost_by(transport, &error);
    }
    transport.tell(|protocol| protocol.write_connection_lost, events::WRITE_CONNECTION_LOST);
    if transport.has(flag::READ_CLOSED) {
        ending::lost(transport, Status::CONNECTION_DONE);
    }
}

/// Takes what waits to be written, to be sent in another way.
pub(super) fn take_bytes(transport: Item<Transport>) -> Result<Vec<u8>> {
    let Some(mut out) = transport.out.take() else { return Ok(Vec::new()) };
    let taken = out.take_bytes();
    put_out(transport, out);
    taken.ok_or_else(|| Status::ERR_INVALID_STATE.because("a file, or a descriptor, waits to be sent before"))
}

/// Sends a part of a file after what was written before. The descriptor is the library's own copy.
pub fn send_file(transport: Item<Transport>, part: Part) -> Result {
    let length = if let Part::File { left, .. } = &part { *left } else { 0 };
    check_writable(transport, length)?;
    let mut out = take_out(transport)?;
    let pushed = out.push_part(part);
    put_out(transport, out);
    pushed?;
    written(transport);
    Ok(())
}
