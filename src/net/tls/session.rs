//! One connection's TLS: what of it waits in either direction, between rustls and the driver.
//!
//! What is written is encrypted only while nothing encrypted waits, so that what waits stays in the transport's own queue,
//! with its water marks; the rest is at most what rustls takes at once. What is read comes from the socket in large pieces
//! and is all handed on, as far as there is room for it.

use super::trouble::{self, Trouble};
use crate::driver::Driver;
use crate::handles::Word;
use crate::net::{Network, was_interrupted, would_block};
use crate::platform::Socket;
use crate::status::Status;
use rustls::{Connection, ProtocolVersion};
use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, IoSlice, Read, Write};

/// Parts that are encrypted at once.
const PARTS: usize = 64;
/// The least that is read from the socket at once.
const LEAST: usize = 16 * 1024;
/// Plaintext in one record.
const RECORD: usize = 16 * 1024;
/// With TLS 1.2 the keys stay the same, and are good for so many records: RFC 8446, 5.5, with some left for the end.
const RECORDS: u32 = (1 << 24) - 1024;

/// See the module.
pub struct Session {
    connection: RefCell<Connection>,
    /// What was written before TLS began, and goes out as it is.
    before: RefCell<Vec<u8>>,
    /// What came and was not decrypted yet.
    came: RefCell<Vec<u8>>,
    /// Bytes that wait to be sent, those of `before` aside.
    waiting: Cell<usize>,
    /// After the last call that read, the socket was empty, and so is all that is here.
    drained: Cell<bool>,
    /// The socket's end was read.
    ended: Cell<bool>,
    /// Why nothing more is decrypted; told when what was before it is taken.
    trouble: RefCell<Option<Trouble>>,
    /// Records that were sent.
    records: Cell<u32>,
    said_goodbye: Cell<bool>,
    /// All was sent and said; what is left is the peer's end.
    pub(super) lingers: Cell<bool>,
    /// The timer of the handshake, or of the wait for the peer's end.
    pub(super) timer: Cell<Word>,
    /// What the handshake may take, in nanoseconds.
    pub(super) time: Option<u64>,
    /// Whom a client wants to talk to.
    pub(super) name: Option<String>,
}

/// The driver, and a socket of it.
pub(super) type Wire<'a> = (&'a dyn Driver, Socket);

/// What there is to decrypt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    /// No room for it.
    Full,
    /// Nothing, before more comes.
    Nothing,
    /// Nothing: the peer has said that it sends no more.
    Ended,
    /// Nothing: the connection ended without that.
    Cut,
}

/// Takes what rustls has for the socket.
struct Sink<'a> {
    wire: Wire<'a>,
    /// What was last offered.
    offered: usize,
}

impl Write for Sink<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(data)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.offered = parts.iter().map(|part| part.len()).sum();
        let (driver, socket) = self.wire;
        match parts {
            [one] => driver.send(socket, one),
            several => driver.send_parts(socket, several),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is decrypted goes here.
struct Space<'a> {
    out: &'a mut [u8],
    filled: usize,
}

impl Space<'_> {
    /// Takes what rustls has decrypted.
    fn fill(&mut self, connection: &mut Connection) -> Left {
        loop {
            if self.filled == self.out.len() {
                return Left::Full;
            }
            match connection.reader().read(&mut self.out[self.filled..]) {
                Ok(0) => return Left::Ended,
                Ok(length) => self.filled += length,
                Err(why) if would_block(&why) => return Left::Nothing,
                Err(_) => return Left::Cut,
            }
        }
    }
}

impl Session {
    /// `before` was written before TLS began; the handshake may take `time` nanoseconds; a client talks to `name`.
    pub(super) fn new(connection: Connection, before: Vec<u8>, time: Option<u64>, name: Option<String>) -> Self {
        Self {
            connection: RefCell::new(connection),
            before: RefCell::new(before),
            came: RefCell::default(),
            waiting: Cell::new(0),
            drained: Cell::new(false),
            ended: Cell::new(false),
            trouble: RefCell::new(None),
            records: Cell::new(0),
            said_goodbye: Cell::new(false),
            lingers: Cell::new(false),
            timer: Cell::new(Word::NULL),
            time,
            name,
        }
    }

    /// Bytes that wait to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.get() + self.before.borrow().len()
    }

    /// Whether after the last call that read nothing is left, in the socket neither.
    pub(super) fn is_drained(&self) -> bool {
        self.drained.get()
    }

    /// Lets rustls be asked, or told something.
    pub(super) fn with_connection<R>(&self, call: impl FnOnce(&mut Connection) -> R) -> R {
        call(&mut self.connection.borrow_mut())
    }

    /// Sends what waits. False: some is left, and an edge says when there is room.
    pub(super) fn flush(&self, wire: Wire<'_>) -> io::Result<bool> {
        self.flush_with(&mut self.connection.borrow_mut(), wire)
    }

    fn flush_with(&self, connection: &mut Connection, wire: Wire<'_>) -> io::Result<bool> {
        let done = self.send_before(wire).and_then(|()| self.send_encrypted(connection, wire));
        match done {
            Ok(()) => Ok(true),
            Err(why) if would_block(&why) => Ok(false),
            Err(why) => Err(why),
        }
    }

    fn send_before(&self, (driver, socket): Wire<'_>) -> io::Result<()> {
        let mut before = self.before.borrow_mut();
        while !before.is_empty() {
            match driver.send(socket, &before) {
                Ok(sent) => drop(before.drain(..sent)),
                Err(why) if was_interrupted(&why) => {}
                Err(why) => return Err(why),
            }
        }
        Ok(())
    }

    fn send_encrypted(&self, connection: &mut Connection, wire: Wire<'_>) -> io::Result<()> {
        while connection.wants_write() {
            let mut sink = Sink { wire, offered: 0 };
            let sent = connection.write_tls(&mut sink);
            self.waiting.set(sink.offered - *sent.as_ref().unwrap_or(&0));
            match sent {
                Err(why) if !was_interrupted(&why) => return Err(why),
                _ => {}
            }
        }
        self.waiting.set(0);
        Ok(())
    }

    /// Encrypts and sends what there is room for.
    pub(super) fn send(&self, wire: Wire<'_>, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut connection = self.connection.borrow_mut();
        if !self.flush_with(&mut connection, wire)? || connection.is_handshaking() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut copy = [IoSlice::new(&[]); PARTS];
        let count = parts.len().min(PARTS);
        copy[..count].copy_from_slice(&parts[..count]);
        let (mut rest, mut done) = (&mut copy[..count], 0);
        IoSlice::advance_slices(&mut rest, 0);
        if rest.is_empty() {
            // Whether the peer is still there.
            return wire.0.send(wire.1, &[]);
        }
        while !rest.is_empty() {
            let taken = match self.encrypt(&mut connection, rest) {
                Ok(taken) => taken,
                Err(why) if done == 0 => return Err(why),
                Err(_) => break,
            };
            done += taken;
            IoSlice::advance_slices(&mut rest, taken);
            match self.flush_with(&mut connection, wire) {
                Ok(true) => {}
                Ok(false) => break,
                Err(why) if done == taken => return Err(why),
                // The next call says so.
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn encrypt(&self, connection: &mut Connection, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.records.get() >= RECORDS && connection.protocol_version() == Some(ProtocolVersion::TLSv1_2) {
            let words = "so much was sent that the keys of TLS 1.2 are used up".to_owned();
            return Err(Trouble { status: Status::ERR_LIMIT, words }.into());
        }
        let taken = connection.writer().write_vectored(parts)?;
        self.records.set(self.records.get().saturating_add(taken.div_ceil(RECORD) as u32));
        if taken == 0 { Err(ErrorKind::BrokenPipe.into()) } else { Ok(taken) }
    }

    /// Says that nothing more is sent. True: it is out.
    pub(super) fn say_goodbye(&self, wire: Wire<'_>) -> io::Result<bool> {
        let mut connection = self.connection.borrow_mut();
        if !self.said_goodbye.replace(true) {
            connection.send_close_notify();
        }
        self.flush_with(&mut connection, wire)
    }

    /// Reads all there is, to find out whether the peer has said why it takes nothing more.
    pub(super) fn last_words(&self, wire: Wire<'_>, network: &Network) -> Option<Trouble> {
        let mut rest = network.take_buffer().ok()?;
        let found = loop {
            match self.receive(wire, network, &mut rest) {
                Ok(1..) => {}
                Ok(0) => break None,
                Err(why) => break trouble::of(&why).filter(|trouble| trouble.status != Status::ERR_TRUNCATED).cloned(),
            }
        };
        network.give_buffer(rest);
        found
    }

    /// Reads all there is, which nobody wants. True: that was the end.
    pub(super) fn drop_rest(&self, (driver, socket): Wire<'_>, network: &Network) -> bool {
        let Ok(mut rest) = network.take_ciphertext() else { return true };
        let ended = loop {
            match driver.receive(socket, &mut rest) {
                Ok(0) => break true,
                Ok(_) => {}
                Err(why) if was_interrupted(&why) => {}
                Err(why) => break !would_block(&why),
            }
        };
        network.give_ciphertext(rest);
        ended
    }

    /// Reads and decrypts. What goes wrong with TLS travels as a [`Trouble`]; the peer is told of it.
    pub(super) fn receive(&self, wire: Wire<'_>, network: &Network, out: &mut [u8]) -> io::Result<usize> {
        let mut connection = self.connection.borrow_mut();
        let mut space = Space { out, filled: 0 };
        let mut drained = false;
        let done = loop {
            let left = self.decrypt_kept(&mut connection, &mut space);
            if space.filled != 0 {
                drained &= left == Left::Nothing && self.trouble.borrow().is_none();
                break Ok(space.filled);
            }
            if let Some(trouble) = &*self.trouble.borrow() {
                break Err(trouble.clone().into());
            }
            match left {
                Left::Ended => break Ok(0),
                Left::Cut => break Err(trouble::truncated().into()),
                Left::Full | Left::Nothing if drained => break Err(ErrorKind::WouldBlock.into()),
                Left::Full | Left::Nothing => {}
            }
            match self.fill(&mut connection, wire, network, &mut space) {
                Ok(is_empty) => drained = is_empty,
                Err(why) => break Err(why),
            }
        };
        self.drained.set(drained);
        if connection.wants_write() {
            // An alert, or an answer to a change of keys. Whether it can be sent is told to who writes.
            let _ = self.flush_with(&mut connection, wire);
        }
        done
    }

    /// Decrypts what came before and is kept, as far as there is room.
    fn decrypt_kept(&self, connection: &mut Connection, space: &mut Space<'_>) -> Left {
        let mut came = self.came.take();
        let mut source = &came[..];
        let left = self.decrypt(connection, &mut source, space);
        let done = came.len() - source.len();
        came.drain(..done);
        if !came.is_empty() {
            self.came.replace(came);
        }
        left
    }

    fn decrypt(&self, connection: &mut Connection, source: &mut &[u8], space: &mut Space<'_>) -> Left {
        loop {
            let left = space.fill(connection);
            if left != Left::Nothing || source.is_empty() {
                return left;
            }
            self.take(connection, source);
        }
    }

    /// Gives rustls a piece of what came. What comes after the peer's end, or after trouble, is nobody's.
    fn take(&self, connection: &mut Connection, source: &mut &[u8]) {
        let taken =
            connection.read_tls(source).map_err(|why| Trouble { status: Status::ERR_TLS, words: why.to_string() });
        let processed = match &taken {
            Ok(_) => connection.process_new_packets().map(|_| ()).map_err(|why| trouble::told(&why)),
            Err(why) => Err(why.clone()),
        };
        if !matches!(taken, Ok(1..)) || processed.is_err() {
            *source = &[];
        }
        if let Err(why) = processed {
            self.trouble.borrow_mut().get_or_insert(why);
        }
    }

    /// Reads from the socket and decrypts. True: the socket is empty.
    fn fill(
        &self,
        connection: &mut Connection,
        (driver, socket): Wire<'_>,
        network: &Network,
        space: &mut Space<'_>,
    ) -> io::Result<bool> {
        let mut buffer = network.take_ciphertext().map_err(|_| io::Error::from(ErrorKind::OutOfMemory))?;
        let most = (space.out.len() - space.filled).max(LEAST).min(buffer.len());
        let done = driver.receive(socket, &mut buffer[..most]).and_then(|length| {
            if length == 0 {
                self.ended.set(true);
                // That is how rustls is told of the end.
                let _ = connection.read_tls(&mut io::empty());
            }
            let mut source = &buffer[..length];
            self.decrypt(connection, &mut source, space);
            self.keep(source)?;
            Ok(length != 0 && length < most && driver.drains())
        });
        network.give_ciphertext(buffer);
        done
    }

    /// What was read before TLS began comes first.
    pub(super) fn prepend(&self, unread: Vec<u8>) {
        let mut came = self.came.borrow_mut();
        drop(came.splice(..0, unread));
    }

    fn keep(&self, rest: &[u8]) -> io::Result<()> {
        if !rest.is_empty() {
            let mut came = self.came.borrow_mut();
            came.try_reserve(rest.len()).map_err(|_| io::Error::from(ErrorKind::OutOfMemory))?;
            came.extend_from_slice(rest);
        }
        Ok(())
    }

    /// Goes on with the handshake. True: it is over; what came behind it is kept.
    pub(super) fn shake(&self, wire: Wire<'_>, network: &Network) -> io::Result<bool> {
        let mut connection = self.connection.borrow_mut();
        let mut nowhere = Space { out: &mut [], filled: 0 };
        loop {
            self.shake_with_kept(&mut connection);
            // The alert goes out, if it can, before what it is about is told.
            let flushed = self.flush_with(&mut connection, wire);
            if let Some(trouble) = &*self.trouble.borrow() {
                return Err(trouble.clone().into());
            }
            if !connection.is_handshaking() {
                return Ok(true);
            }
            if self.ended.get() {
                return Err(trouble::left().into());
            }
            match self.fill(&mut connection, wire, network, &mut nowhere) {
                // One that takes nothing more may have said why before.
                Err(why) if would_block(&why) => return flushed.map(|_| false),
                Err(why) if !was_interrupted(&why) => return Err(why),
                _ => {}
            }
        }
    }

    /// Without room for anything decrypted, what came is kept: here it goes to the handshake, as far as that wants it.
    fn shake_with_kept(&self, connection: &mut Connection) {
        let mut came = self.came.take();
        let mut source = &came[..];
        while !source.is_empty() && connection.is_handshaking() {
            self.take(connection, &mut source);
        }
        let done = came.len() - source.len();
        came.drain(..done);
        self.came.replace(came);
    }
}
