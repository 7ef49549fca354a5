//! Sending datagrams: at once where there is room, else in order once there is; several of one size in one call where
//! the kernel can.

use super::datagram::{self, DatagramPort, flag};
use super::{error, was_interrupted, would_block};
use crate::driver::Address;
use crate::driver::sockets::Outgoing;
use crate::handles::Item;
use crate::status::{Result, Status};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

/// Where no edge says when there is room, it is tried again after so many nanoseconds.
const AGAIN: u64 = 5_000_000;
/// A datagram that waits counts as so much more than its bytes.
const EACH: u64 = 64;
/// The most that IP carries, and the most that every kernel that knows of segments takes in one call.
const LONGEST: usize = 65507;
const SEGMENTS: usize = 64;

/// Datagrams that wait for room.
#[derive(Default)]
pub struct Waiting {
    list: VecDeque<Held>,
    bytes: u64,
}

struct Held {
    data: Vec<u8>,
    segment: usize,
    to: Option<Address>,
}

impl Held {
    fn outgoing(&self) -> Outgoing<'_> {
        Outgoing { data: &self.data, segment: self.segment, to: self.to.as_ref() }
    }
}

/// What of a datagram of several did not go out, and why.
struct Unsent {
    from: usize,
    why: io::Error,
}

impl Unsent {
    fn beyond(self, sent: usize) -> Self {
        Self { from: self.from + sent, ..self }
    }
}

/// An address as the port's socket has it; an error where nothing can be sent there.
#[inline]
pub fn reachable(port: Item<DatagramPort>, to: &Address) -> Result<Address> {
    let refused = |why: &str| Err(Status::ERR_INVALID_ARGUMENT.because(format_args!("{to}: {why}")));
    match to {
        Address::Ip(_) if port.has(flag::UNIX) => refused("the port is a Unix socket"),
        Address::Unix(_) if !port.has(flag::UNIX) => refused("the port is no Unix socket"),
        Address::Unix(name) if name.name().is_empty() => refused("nothing can be sent there"),
        Address::Ip(address) if address.port() == 0 => refused("there is no port 0"),
        Address::Ip(_) if port.has(flag::V6) => Ok(to.mapped()),
        Address::Ip(SocketAddr::V4(_)) | Address::Unix(_) => Ok(*to),
        Address::Ip(SocketAddr::V6(_)) => match to.unmapped() {
            Address::Ip(SocketAddr::V6(_)) => refused("the port is one of IPv4"),
            unmapped => Ok(unmapped),
        },
    }
}

fn check_connected(port: Item<DatagramPort>) -> Result {
    if port.has(flag::CONNECTED) {
        return Ok(());
    }
    Err(Status::ERR_INVALID_STATE.because("the port is not connected: to whom?"))
}

/// Sends a datagram, or has it wait for room behind those that do. All of it is accepted, or nothing.
#[inline]
pub fn send(port: Item<DatagramPort>, data: &[u8], to: Option<&Address>) -> Result {
    port.check_open()?;
    match to {
        None => {
            check_connected(port)?;
            send_checked(port, Outgoing { data, segment: 0, to })
        }
        // As it is.
        Some(Address::Ip(SocketAddr::V4(v4))) if v4.port() != 0 && !port.has(flag::V6 | flag::UNIX) => {
            send_checked(port, Outgoing { data, segment: 0, to })
        }
        Some(to) => {
            let to = reachable(port, to)?;
            send_checked(port, Outgoing { data, segment: 0, to: Some(&to) })
        }
    }
}

#[inline]
fn send_checked(port: Item<DatagramPort>, one: Outgoing<'_>) -> Result {
    if port.has(flag::FULL) {
        return wait(port, one, false);
    }
    if one.segment == 0 {
        return match send_once(port, one) {
            Ok(()) => Ok(()),
            Err(why) => try_again(port, one, why),
        };
    }
    transmit(port, one).or_else(|unsent| not_sent(port, one, &unsent))
}

#[cold]
#[inline(never)]
fn try_again(port: Item<DatagramPort>, one: Outgoing<'_>, why: io::Error) -> Result {
    let sent = insist(port, one, Err(why));
    sent.or_else(|why| not_sent(port, one, &Unsent { from: 0, why }))
}

#[cold]
fn not_sent(port: Item<DatagramPort>, one: Outgoing<'_>, unsent: &Unsent) -> Result {
    if !is_for_now(&unsent.why) {
        let to = one.to.copied().or(port.peer.get()).map(Address::unmapped).unwrap_or_default();
        return Err(error::refused(format_args!("sending {} bytes to {to}", one.data.len()), &unsent.why));
    }
    let rest = Outgoing { data: &one.data[unsent.from..], ..one };
    let accepted = wait(port, rest, unsent.from != 0);
    wait_for_room(port, &unsent.why);
    accepted
}

/// As many as are handed to the driver at once.
const AT_ONCE: usize = 16;

/// A datagram among many: its bytes, the size of its segments, and where it goes.
pub type Given<'data> = (&'data [u8], usize, Option<Address>);

/// Sends many; returns how many of the first were accepted, and why not the next.
pub fn send_batch<'data>(
    port: Item<DatagramPort>,
    count: usize,
    mut nth: impl FnMut(usize) -> Result<Given<'data>>,
) -> (usize, Result) {
    if let Err(why) = port.check_open() {
        return (0, Err(why));
    }
    let mut done = 0;
    while done < count {
        let mut given: [Given; AT_ONCE] = [(&[], 0, None); AT_ONCE];
        let (mut good, mut bad) = (0, Ok(()));
        while good < AT_ONCE && done + good < count && bad.is_ok() {
            match nth(done + good).and_then(|one| checked(port, one)) {
                Ok(one) => given[good] = one,
                Err(why) => bad = Err(why),
            }
            good += usize::from(bad.is_ok());
        }
        let list: [Outgoing; AT_ONCE] = std::array::from_fn(|place| {
            let (data, segment, to) = &given[place];
            Outgoing { data, segment: *segment, to: to.as_ref() }
        });
        let (sent, result) = send_some(port, &list[..good]);
        done += sent;
        if let Err(why) = result.and(bad) {
            return (done, Err(why));
        }
    }
    (done, Ok(()))
}

fn checked<'data>(port: Item<DatagramPort>, (data, segment, to): Given<'data>) -> Result<Given<'data>> {
    let to = match to {
        Some(to) => Some(reachable(port, &to)?),
        None => check_connected(port).map(|()| None)?,
    };
    Ok((data, if data.len() <= segment { 0 } else { segment }, to))
}

fn send_some(port: Item<DatagramPort>, list: &[Outgoing<'_>]) -> (usize, Result) {
    let mut done = 0;
    while done < list.len() {
        // One that was refused would be forgotten in the middle of a call for many; so a connected port makes a call
        // for each.
        let alone = port.has(flag::FULL | flag::UNIX | flag::CONNECTED) || done + 1 == list.len();
        if !alone {
            if let Ok(sent) = port.with_socket(|driver, socket| driver.send_many(socket, &list[done..])) {
                done += sent;
                continue;
            }
        }
        if let Err(why) = send_checked(port, list[done]) {
            return (done, Err(why));
        }
        done += 1;
    }
    (done, Ok(()))
}

/// Room comes again.
fn is_for_now(why: &io::Error) -> bool {
    would_block(why) || error::status_of(why) == Status::ERR_NO_MEMORY
}

#[inline]
fn transmit(port: Item<DatagramPort>, one: Outgoing<'_>) -> std::result::Result<(), Unsent> {
    if one.segment == 0 || one.data.len() <= one.segment {
        return try_to_send(port, Outgoing { segment: 0, ..one }).map_err(|why| Unsent { from: 0, why });
    }
    transmit_segments(port, one)
}

/// In one call, or in as few as the kernel makes possible.
fn transmit_segments(port: Item<DatagramPort>, one: Outgoing<'_>) -> std::result::Result<(), Unsent> {
    if !port.has(flag::UNIX) {
        match try_to_send(port, one) {
            Err(why) if is_about_segments(&why) => {}
            done => return done.map_err(|why| Unsent { from: 0, why }),
        }
    }
    let most = one.segment * (LONGEST / one.segment).clamp(1, SEGMENTS);
    let part = if one.data.len() > most { most } else { one.segment };
    for (place, data) in one.data.chunks(part).enumerate() {
        transmit(port, Outgoing { data, ..one }).map_err(|unsent| unsent.beyond(place * part))?;
    }
    Ok(())
}

/// Too many segments, too large ones, or a kernel or an interface that cannot.
fn is_about_segments(why: &io::Error) -> bool {
    #[cfg(unix)]
    if let Some(libc::EINVAL | libc::EIO | libc::EMSGSIZE | libc::ENOPROTOOPT) = why.raw_os_error() {
        return true;
    }
    why.kind() == io::ErrorKind::Unsupported
}

#[inline(always)]
fn send_once(port: Item<DatagramPort>, one: Outgoing<'_>) -> io::Result<()> {
    port.with_socket(|driver, socket| driver.send_to(socket, one.data, one.segment, one.to))
}

fn try_to_send(port: Item<DatagramPort>, one: Outgoing<'_>) -> io::Result<()> {
    insist(port, one, send_once(port, one))
}

/// Sends once more where a failure was not this datagram's.
fn insist(port: Item<DatagramPort>, one: Outgoing<'_>, mut sent: io::Result<()>) -> io::Result<()> {
    let mut refused = false;
    loop {
        match sent {
            Err(why) if was_interrupted(&why) => {}
            // That is about an earlier datagram: this one has not even been tried.
            Err(why) if !refused && is_earlier(port, &why) => {
                refused = true;
                port.set(flag::REFUSED);
                port.root().note_written(port.word());
            }
            done => return done,
        }
        sent = send_once(port, one);
    }
}

fn is_earlier(port: Item<DatagramPort>, why: &io::Error) -> bool {
    why.kind() == io::ErrorKind::ConnectionRefused && !port.has(flag::UNIX) && port.has(flag::CONNECTED)
}

/// Has a datagram wait; the rest of one that is on its way waits in any case.
fn wait(port: Item<DatagramPort>, one: Outgoing<'_>, is_rest: bool) -> Result {
    let mut waiting = port.waiting.borrow_mut();
    let cost = one.data.len() as u64 + EACH;
    let (now, most) = (waiting.bytes + waiting.list.len() as u64 * EACH, port.most.get());
    if !is_rest && now + cost > most {
        port.set(flag::WANTS_ROOM);
        let why = format_args!("{} bytes wait to be sent, {} more do not fit", waiting.bytes, one.data.len());
        return Err(Status::ERR_BUFFER_FULL.because(why));
    }
    let mut data = Vec::new();
    data.try_reserve_exact(one.data.len()).map_err(|_| Status::ERR_NO_MEMORY)?;
    waiting.list.try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
    data.extend_from_slice(one.data);
    waiting.bytes += data.len() as u64;
    waiting.list.push_back(Held { data, segment: one.segment, to: one.to.copied() });
    Ok(())
}

fn wait_for_room(port: Item<DatagramPort>, why: &io::Error) {
    port.set(flag::FULL);
    // A Unix socket may have room where its peer has none, and of memory nobody tells.
    let is_told = would_block(why) && !port.has(flag::UNIX) && datagram::watch_room(port, true).is_ok();
    if !is_told {
        datagram::set_timer(port, AGAIN);
    }
}

/// Sends what waits, as far as there is room. What fails is told.
pub(super) fn flush(port: Item<DatagramPort>) {
    port.clear(flag::FULL);
    while !port.has(flag::STOPPED) {
        let Some(mut held) = pop(port) else { return drained(port) };
        let Err(unsent) = transmit(port, held.outgoing()) else { continue };
        if is_for_now(&unsent.why) {
            held.data.drain(..unsent.from);
            push_front(port, held);
            return wait_for_room(port, &unsent.why);
        }
        let to = held.to.or(port.peer.get()).map(Address::unmapped);
        let what = format!("sending {} bytes to {}", held.data.len(), to.unwrap_or_default());
        port.tell_failed(error::status_of(&unsent.why), &what, Some(&unsent.why), to.as_ref());
    }
}

fn pop(port: Item<DatagramPort>) -> Option<Held> {
    let mut waiting = port.waiting.borrow_mut();
    let held = waiting.list.pop_front()?;
    waiting.bytes -= held.data.len() as u64;
    Some(held)
}

fn push_front(port: Item<DatagramPort>, held: Held) {
    let mut waiting = port.waiting.borrow_mut();
    waiting.bytes += held.data.len() as u64;
    waiting.list.push_front(held);
}

fn drained(port: Item<DatagramPort>) {
    let _ = datagram::watch_room(port, false);
    if port.has(flag::WANTS_ROOM) {
        port.clear(flag::WANTS_ROOM);
        port.tell(|protocol| protocol.drained(port));
    }
}

/// Before the port is closed: sends what there is room for, and nothing is told.
pub(super) fn send_what_fits(port: Item<DatagramPort>) {
    while let Some(held) = pop(port) {
        if transmit(port, held.outgoing()).is_err_and(|unsent| is_for_now(&unsent.why)) {
            return;
        }
    }
}

/// Bytes that wait to be sent.
pub fn buffered(port: Item<DatagramPort>) -> u64 {
    port.waiting.borrow().bytes
}
