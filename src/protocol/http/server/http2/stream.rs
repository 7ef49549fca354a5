//! One stream of a connection, which carries one request.

use super::super::body;
use super::super::carrier::{Carrier, ResponseHead};
use super::super::request::{Request, in_scope};
use super::Connection;
use super::head;
use crate::deferred::{Deferred, chain, failure};
use crate::driver::Address;
use crate::handles::{self, Item, Owned, Word};
use crate::net::options;
use crate::net::out::OwnDescriptor;
use crate::net::transport::HIGH_WATER;
use crate::platform;
use crate::protocol::http::Fields;
use crate::status::{Result, Status};
use bytes::Bytes;
use h2::Reason;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

/// So much of a file is read at once, and waits to be sent.
const FILE: usize = 64 * 1024;

mod flag {
    /// The client waits for a 100.
    pub const EXPECTS: u32 = 1;
    /// The head of the response was sent.
    pub const ANSWERED: u32 = 1 << 1;
    /// The body is wanted.
    pub const WANTED: u32 = 1 << 2;
    /// All of the body has come.
    pub const ENDED: u32 = 1 << 3;
    /// It is told how much waits to be sent.
    pub const WATCHED: u32 = 1 << 4;
    /// It was told that too much does.
    pub const PAUSED: u32 = 1 << 5;
    /// The stream is no more.
    pub const LOST: u32 = 1 << 6;
}

/// A file of which a part is still to be sent.
struct Sending {
    file: OwnDescriptor,
    offset: u64,
    left: u64,
    done: Word,
}

/// See the module.
pub(super) struct Stream {
    connection: Weak<Connection>,
    id: u32,
    flags: Cell<u32>,
    request: Cell<Option<Item<Request>>>,
    file: RefCell<Option<Sending>>,
    /// Since when the body is wanted, and how much of it had come then; when something came last.
    pub(super) wanted: Cell<(u64, u64)>,
    pub(super) came: Cell<u64>,
}

impl Stream {
    pub(super) fn new(connection: Weak<Connection>, id: u32, expects: bool) -> Rc<Self> {
        Rc::new(Self {
            connection,
            id,
            flags: Cell::new(if expects { flag::EXPECTS } else { 0 }),
            request: Cell::new(None),
            file: RefCell::default(),
            wanted: Cell::default(),
            came: Cell::default(),
        })
    }

    pub(super) fn set_request(&self, request: Item<Request>) {
        self.request.set(Some(request));
    }

    /// Its request, while that is one.
    pub(super) fn request(&self) -> Option<Item<Request>> {
        self.request.get().filter(|request| request.is_alive())
    }

    fn has(&self, flag: u32) -> bool {
        self.flags.get() & flag != 0
    }

    fn set(&self, flag: u32) {
        self.flags.set(self.flags.get() | flag);
    }

    fn clear(&self, flag: u32) {
        self.flags.set(self.flags.get() & !flag);
    }

    /// Whether a part of the body is being waited for.
    pub(super) fn waits_for_body(&self) -> bool {
        self.has(flag::WANTED) && !self.has(flag::ENDED | flag::LOST)
    }

    fn open(&self) -> Result<Rc<Connection>> {
        let connection = self.connection.upgrade().filter(|connection| !connection.is_gone() && !self.has(flag::LOST));
        connection.ok_or(Status::ERR_CLOSED.because("the stream is over"))
    }

    // ---- what the connection has for it ----

    pub(super) fn body_came(&self, data: &[u8]) {
        let (Some(request), Ok(connection)) = (self.request(), self.open()) else { return };
        self.clear(flag::EXPECTS);
        self.came.set(connection.now());
        if !body::came(request, data) {
            connection.session(|session| session.set_paused(self.id, true));
            self.clear(flag::WANTED);
        }
    }

    pub(super) fn body_ended(&self) {
        self.set(flag::ENDED);
        self.clear(flag::EXPECTS);
        if let Some(request) = self.request() {
            body::ended(request);
        }
    }

    pub(super) fn has_room(&self) {
        self.send_file();
        if let Ok(connection) = self.open() {
            self.watch_stalls(&connection);
        }
        if self.has(flag::PAUSED) && self.buffered() <= HIGH_WATER / 2 {
            self.clear(flag::PAUSED);
            if let Some(request) = self.request() {
                request.resumed();
            }
        }
    }

    /// It is over before its time, for this reason, which is the stream's.
    pub(super) fn lost(&self, reason: Word) {
        if self.has(flag::LOST) {
            return drop(failure::owned(reason));
        }
        self.set(flag::LOST);
        let reason = failure::owned(reason);
        self.give_up_file(reason.word());
        if let Some(request) = self.request() {
            request.lost(failure::keep(reason.word()));
        }
    }

    // ---- what the request asks for ----

    /// Sends what can be sent; whatever else comes of that is told when the turn ends.
    fn flush(&self, connection: &Connection) {
        if connection.pump() {
            if let Some(request) = self.request() {
                request.note();
            }
        }
        self.watch_stalls(connection);
        self.pause_if_full(connection);
    }

    /// What waits has a time in which some of it has to go.
    fn watch_stalls(&self, connection: &Connection) {
        if connection.session(|session| session.waits(self.id)) != 0 {
            connection.watch_stalls();
        }
    }

    fn pause_if_full(&self, connection: &Connection) {
        if !self.has(flag::WATCHED) || self.has(flag::PAUSED) || self.buffered() <= HIGH_WATER {
            return;
        }
        self.set(flag::PAUSED);
        connection.session(|session| session.tell_room(self.id, HIGH_WATER as usize / 2));
        if let Some(request) = self.request() {
            request.paused();
        }
    }

    fn write(&self, connection: &Connection, data: &[u8]) -> Result {
        let mut copy = Vec::new();
        copy.try_reserve_exact(data.len()).map_err(|_| Status::ERR_NO_MEMORY)?;
        copy.extend_from_slice(data);
        connection.session(|session| session.write(self.id, Bytes::from(copy)));
        Ok(())
    }

    /// Reads on in the file, as far as there is room for it.
    fn send_file(&self) {
        while let (Ok(connection), Some(mut sending)) = (self.open(), self.file.take()) {
            if sending.left == 0 {
                return self.file_sent(sending.done, Ok(()));
            }
            if connection.session(|session| session.waits(self.id)) >= FILE {
                *self.file.borrow_mut() = Some(sending);
                return connection.session(|session| session.tell_room(self.id, FILE / 2));
            }
            match read(&sending) {
                Ok(piece) => {
                    sending.offset += piece.len() as u64;
                    sending.left -= piece.len() as u64;
                    connection.session(|session| session.write(self.id, Bytes::from(piece)));
                    *self.file.borrow_mut() = Some(sending);
                }
                Err(why) => return self.file_sent(sending.done, Err(why)),
            }
        }
    }

    fn file_sent(&self, done: Word, how: Result) {
        let (Ok(deferred), Some(request)) = (handles::get::<Deferred>(done), self.request()) else { return };
        in_scope(request, || {
            let _ = match how {
                Ok(()) => chain::callback(deferred, Owned::default()),
                Err(why) => chain::errback(deferred, failure::of_status(request.root(), why)),
            };
        });
    }

    fn give_up_file(&self, reason: Word) {
        let Some(sending) = self.file.take() else { return };
        if let (Ok(deferred), Some(request)) = (handles::get::<Deferred>(sending.done), self.request()) {
            in_scope(request, || {
                let _ = chain::errback(deferred, failure::keep(reason));
            });
        }
    }
}

fn read(sending: &Sending) -> Result<Vec<u8>> {
    let length = sending.left.min(FILE as u64) as usize;
    let mut piece = Vec::new();
    piece.try_reserve_exact(length).map_err(|_| Status::ERR_NO_MEMORY)?;
    piece.resize(length, 0);
    let read = platform::read_at(sending.file.0, &mut piece, sending.offset);
    match read.map_err(|why| Status::ERR_OS.because(format_args!("the file cannot be read: {why}")))? {
        0 => Err(Status::ERR_TRUNCATED.because("the file ended before all that was asked for was sent")),
        length => {
            piece.truncate(length);
            Ok(piece)
        }
    }
}

impl Carrier for Stream {
    fn head(&self, head: &ResponseHead, first: &[u8], ends: bool) -> Result {
        let connection = self.open()?;
        let is_all = ends && first.is_empty();
        connection.with_head(head, |session, response| session.respond(self.id, response, is_all))?;
        self.set(flag::ANSWERED);
        if !first.is_empty() {
            self.write(&connection, first)?;
        }
        if ends && !is_all {
            connection.session(|session| session.finish(self.id, None));
        }
        self.flush(&connection);
        Ok(())
    }

    fn data(&self, data: &[u8]) -> Result {
        let connection = self.open()?;
        self.write(&connection, data)?;
        self.flush(&connection);
        Ok(())
    }

    fn file(&self, file: OwnDescriptor, offset: u64, length: u64, done: Word) -> Result {
        let connection = self.open()?;
        *self.file.borrow_mut() = Some(Sending { file, offset, left: length, done });
        self.send_file();
        self.flush(&connection);
        Ok(())
    }

    fn end(&self) -> Result {
        let connection = self.open()?;
        connection.session(|session| session.finish(self.id, None));
        self.flush(&connection);
        Ok(())
    }

    fn information(&self, code: u16, fields: &Fields) -> Result {
        let connection = self.open()?;
        let head = head::write_interim(code, fields)?;
        let sent = connection.session(|session| session.inform(self.id, head));
        self.flush(&connection);
        sent.map_err(|why| Status::ERR_CLOSED.because(format_args!("the stream takes no interim response: {why}")))
    }

    fn want_body(&self, wanted: bool) {
        let Ok(connection) = self.open() else { return };
        connection.session(|session| session.set_paused(self.id, !wanted));
        if !wanted {
            return self.clear(flag::WANTED);
        }
        if !self.has(flag::WANTED) {
            self.set(flag::WANTED);
            let received = self.request().map_or(0, |request| request.received.get());
            self.wanted.set((connection.now(), received));
            self.came.set(connection.now());
            connection.begin_body_time(self);
        }
        if self.has(flag::EXPECTS) && !self.has(flag::ANSWERED) {
            self.clear(flag::EXPECTS);
            let _ = self.information(100, &Fields::new());
        } else {
            self.flush(&connection);
        }
    }

    fn abort(&self, reason: Word) {
        let Ok(connection) = self.open() else { return };
        self.set(flag::LOST);
        connection.session(|session| session.reset(self.id, Reason::INTERNAL_ERROR));
        self.give_up_file(reason);
        self.flush(&connection);
    }

    fn buffered(&self) -> u64 {
        let Ok(connection) = self.open() else { return 0 };
        let of_file = self.file.borrow().as_ref().map_or(0, |sending| sending.left);
        connection.session(|session| session.waits(self.id)) as u64 + of_file
    }

    fn watch_room(&self) -> Result {
        let connection = self.open()?;
        self.set(flag::WATCHED);
        self.pause_if_full(&connection);
        Ok(())
    }

    fn peer(&self) -> Option<Address> {
        options::peer(self.connection.upgrade()?.transport).ok()
    }

    fn transport(&self) -> Word {
        self.connection.upgrade().map_or(Word::NULL, |connection| connection.transport.word())
    }

    fn is_secure(&self) -> bool {
        self.connection.upgrade().is_some_and(|connection| super::super::is_secure(connection.transport))
    }

    fn go_on(&self) {
        if let Ok(connection) = self.open() {
            connection.drive();
        }
        if let Some(request) = self.request() {
            request.pulled();
        }
    }

    fn before_over(&self, _: Item<Request>) {
        self.request.set(None);
    }

    fn over(&self) {
        if let Some(connection) = self.connection.upgrade() {
            connection.forget(self.id);
        }
    }

    fn as_any(self: Rc<Self>) -> Rc<dyn Any> {
        self
    }
}
