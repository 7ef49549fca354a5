//! A connection of HTTP/1: reads requests, one after the other, and carries their responses, in the same order.
//!
//! What comes is looked at where it was received; only what cannot be used yet is kept: a head that is not all there, a body
//! that nobody wants yet, requests behind one that is not answered. When more of that waits than `pipelined` says, nothing is
//! read. A request begins when the one before is answered and told, and not too much of that answer waits to be sent.

use super::answer::{PLAIN, plain_text};
use super::carrier::{Carrier, ResponseHead, Size};
use super::head::{self, Head};
use super::message::Message;
use super::request::{self, Request, flag as of_request};
use super::{Link, Shared, access, body, http2, response};
use crate::deferred::failure;
use crate::driver::Address;
use crate::handles::{Item, Owned, Word};
use crate::net::out::{OwnDescriptor, Part};
use crate::net::protocol::{Protocol, Whole};
use crate::net::transport::{self, HIGH_WATER, Transport};
use crate::net::{ending, options, producer, reading, writing};
use crate::protocol::http::chunked::{self, Decoder, Piece};
use crate::protocol::http::framing::Length;
use crate::protocol::http::http2::PREFACE;
use crate::protocol::http::{Bad, Fields};
use crate::reactor::ReactorItem;
use crate::status::{Result, Status};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

mod deadlines;

/// So much of a body that nobody wants is read and dropped, for the sake of the next request.
const DROPPED: u64 = 64 * 1024;
/// So much is read and dropped of one that is being closed, at most.
const LINGERED: u64 = 1024 * 1024;
/// A body up to this size is copied behind its head.
const JOINED: usize = 4096;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// The next bytes are those of a head.
    Head,
    /// A request is being handled.
    Busy,
    /// The rest of a body that nobody wants is being dropped.
    Dropping,
    /// The last response is sent: the peer is waited for to read it and to close.
    Lingering,
    /// Somebody else has the connection.
    Upgraded,
    /// It is over.
    Gone,
}

/// What is left of the body of a request.
enum Coding {
    None,
    Length(u64),
    Chunked(Decoder),
}

mod flag {
    /// The client keeps the connection.
    pub const KEEPS: u32 = 1;
    /// The client waits for a 100.
    pub const EXPECTS: u32 = 1 << 1;
    /// The body is wanted.
    pub const WANTED: u32 = 1 << 2;
    /// What came is being looked at.
    pub const CONSUMING: u32 = 1 << 3;
    /// The response's body is in chunks.
    pub const CHUNKED: u32 = 1 << 4;
    /// It is the last response.
    pub const LAST: u32 = 1 << 5;
    /// Reading is paused, for so much waits here.
    pub const FULL: u32 = 1 << 6;
    /// The peer sends no more.
    pub const READ_ENDED: u32 = 1 << 7;
    /// It is told how much waits to be sent.
    pub const WATCHED: u32 = 1 << 8;
    /// So much waits to be sent that no further request is begun.
    pub const BACKLOG: u32 = 1 << 9;
    /// All of the response was handed over.
    pub const ENDED: u32 = 1 << 10;
    /// More came than what was used.
    pub const MORE: u32 = 1 << 11;
    /// The head of the response was sent.
    pub const ANSWERED: u32 = 1 << 12;
}

/// See the module.
pub struct Connection {
    own: Weak<Connection>,
    shared: Rc<Shared>,
    transport: Item<Transport>,
    number: Cell<u64>,
    /// Who it is, if the access log asks for it.
    peer: Cell<Option<Address>>,
    phase: Cell<Phase>,
    flags: Cell<u32>,
    request: Cell<Option<Item<Request>>>,
    /// What came and was not used.
    pending: RefCell<Vec<u8>>,
    /// How far a head that is not all there was looked at.
    seen: Cell<usize>,
    coding: RefCell<Coding>,
    minor: Cell<u8>,
    requests: Cell<u32>,
    /// Bytes dropped; bytes handed over to be sent.
    dropped: Cell<u64>,
    written: Cell<u64>,
    times: deadlines::Times,
}

/// Makes an HTTP connection of what has connected.
pub(super) fn begin(transport: Item<Transport>, shared: &Rc<Shared>) {
    if shared.is_stopping() {
        let _ = ending::lose(transport);
        return;
    }
    let connection = Rc::new_cyclic(|own| Connection {
        own: own.clone(),
        shared: Rc::clone(shared),
        transport,
        number: Cell::new(0),
        peer: Cell::new(None),
        phase: Cell::new(Phase::Head),
        flags: Cell::new(0),
        request: Cell::new(None),
        pending: RefCell::default(),
        seen: Cell::new(0),
        coding: RefCell::new(Coding::None),
        minor: Cell::new(1),
        requests: Cell::new(0),
        dropped: Cell::new(0),
        written: Cell::new(0),
        times: deadlines::Times::default(),
    });
    if shared.log.borrow().is_some() {
        // The log asks for it when the connection may be gone.
        connection.peer.set(options::peer(transport).ok());
    }
    connection.number.set(shared.link(transport.root(), Rc::clone(&connection) as Rc<dyn Link>));
    connection.wait_for_head();
    connection.arm();
    let protocol = Rc::new(Protocol { whole: Some(connection), ..Protocol::default() });
    drop(transport::replace_protocol(transport, protocol, Owned::default()));
}

impl Whole for Connection {
    fn received(&self, _transport: Item<Transport>, data: &[u8]) {
        match self.phase.get() {
            Phase::Gone | Phase::Upgraded => return,
            Phase::Lingering => return self.linger_on(data.len() as u64),
            _ => {}
        }
        let mut pending = self.pending.take();
        if pending.is_empty() {
            let used = self.consume(data);
            self.keep(&data[used..]);
        } else if pending.try_reserve(data.len()).is_ok() {
            pending.extend_from_slice(data);
            self.consume_pending(pending);
        } else {
            self.cut_by(Status::ERR_NO_MEMORY.because("no memory for what was received"));
        }
        self.settle();
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn read_ended(&self, _transport: Item<Transport>) {
        self.set(flag::READ_ENDED);
        match self.phase.get() {
            Phase::Busy => self.ended_within(),
            Phase::Upgraded | Phase::Gone => {}
            _ => self.close(),
        }
    }

    fn paused(&self, _transport: Item<Transport>) {
        if let Some(request) = self.request.get() {
            request.paused();
        }
    }

    fn resumed(&self, _transport: Item<Transport>) {
        self.clear(flag::BACKLOG);
        match self.request.get() {
            Some(request) => request.resumed(),
            None => self.go_on(),
        }
    }

    fn lost(&self, _transport: Item<Transport>, reason: Word) {
        let before = self.phase.replace(Phase::Gone);
        self.stop_timer();
        if before != Phase::Upgraded {
            self.shared.unlink(self.reactor(), self.number.get());
        }
        self.pending.take();
        if let Some(request) = self.request.take().filter(|request| request.is_alive()) {
            request.lost(failure::keep(reason));
        }
    }

    fn as_any(self: Rc<Self>) -> Rc<dyn Any> {
        self
    }
}

impl Connection {
    #[inline]
    fn has(&self, flag: u32) -> bool {
        self.flags.get() & flag != 0
    }

    #[inline]
    fn set(&self, flag: u32) {
        self.flags.set(self.flags.get() | flag);
    }

    #[inline]
    fn clear(&self, flag: u32) {
        self.flags.set(self.flags.get() & !flag);
    }

    fn reactor(&self) -> ReactorItem {
        self.transport.root()
    }

    fn is_over(&self) -> bool {
        matches!(self.phase.get(), Phase::Gone | Phase::Upgraded)
    }

    // ---- reading ----

    /// Uses what it can; how much that was.
    fn consume(&self, data: &[u8]) -> usize {
        self.set(flag::CONSUMING);
        let mut at = 0;
        loop {
            let rest = &data[at..];
            let used = match self.phase.get() {
                Phase::Head if rest.is_empty() || self.has(flag::BACKLOG) => None,
                Phase::Head => self.read_head(rest),
                Phase::Busy | Phase::Dropping => self.read_body(rest),
                // Whoever has it now gets the rest.
                Phase::Upgraded => None,
                Phase::Lingering | Phase::Gone => {
                    at = data.len();
                    None
                }
            };
            match used {
                Some(used) => at += used,
                None => break,
            }
        }
        self.clear(flag::CONSUMING);
        at
    }

    fn consume_pending(&self, mut pending: Vec<u8>) {
        let used = self.consume(&pending);
        if used == pending.len() {
            return;
        }
        if self.phase.get() == Phase::Upgraded {
            return self.keep(&pending[used..]);
        }
        pending.drain(..used);
        *self.pending.borrow_mut() = pending;
    }

    /// Keeps what cannot be used yet, or leaves it to who has the connection now.
    fn keep(&self, rest: &[u8]) {
        if rest.is_empty() || self.phase.get() == Phase::Gone {
            return;
        }
        let mut kept = Vec::new();
        if kept.try_reserve(rest.len()).is_err() {
            return self.cut_by(Status::ERR_NO_MEMORY.because("no memory for what was received"));
        }
        kept.extend_from_slice(rest);
        if self.phase.get() == Phase::Upgraded {
            self.leave(kept);
        } else {
            *self.pending.borrow_mut() = kept;
        }
    }

    /// Leaves what came to who has the connection now, by the framing that it may have by now.
    fn leave(&self, rest: Vec<u8>) {
        let put_back = reading::filter(self.transport).map(|filter| filter.put_back(self.transport, &rest));
        match put_back {
            None => reading::leave(self.transport, rest),
            Some(Ok(())) => {}
            Some(Err(why)) => ending::fail(self.transport, why),
        }
    }

    /// After what came was looked at: reads on or not, and until when.
    fn settle(&self) {
        if self.is_over() {
            return;
        }
        let waits = self.pending.borrow().len();
        if waits > self.shared.limits.get().pipelined as usize && self.phase.get() != Phase::Head {
            self.set(flag::FULL);
            let _ = reading::pause(self.transport);
        } else if self.has(flag::FULL) {
            self.clear(flag::FULL);
            let _ = reading::resume(self.transport);
        }
        self.note_progress(waits != 0);
        self.arm();
    }

    /// None: nothing can be used of it.
    fn read_head(&self, rest: &[u8]) -> Option<usize> {
        if let Some(used) = self.read_preface(rest) {
            return used;
        }
        let mut message = self.shared.take_message();
        let mut seen = self.seen.get();
        let read = head::read(rest, &mut seen, &self.shared.limits.get().head, &mut message);
        self.seen.set(seen);
        match read {
            Ok(None) => {
                self.shared.give_back(message);
                None
            }
            Ok(Some(head)) => {
                if rest.len() > head.length {
                    self.set(flag::MORE)
                } else {
                    self.clear(flag::MORE)
                }
                self.begin_request(&head, message);
                Some(head.length)
            }
            Err(bad) => {
                self.minor.set(1);
                self.shared.give_back(message);
                self.refuse(bad);
                Some(rest.len())
            }
        }
    }

    /// Who knows that HTTP/2 is spoken here begins with its preface (RFC 9113, 3.3); it is another's connection then. None: it is
    /// not that; else as `read_head`.
    fn read_preface(&self, rest: &[u8]) -> Option<Option<usize>> {
        if self.requests.get() != 0 || rest[0] != PREFACE[0] || !self.shared.limits.get().http2.on_plain {
            return None;
        }
        if rest.len() < PREFACE.len() {
            return PREFACE.starts_with(rest).then_some(None);
        }
        rest.starts_with(PREFACE).then(|| {
            self.stop_timer();
            self.phase.set(Phase::Upgraded);
            self.shared.unlink(self.reactor(), self.number.get());
            http2::begin(self.transport, &self.shared, rest);
            Some(rest.len())
        })
    }

    fn begin_request(&self, head: &Head, message: Box<Message>) {
        let requests = self.requests.get() + 1;
        self.requests.set(requests);
        let most = self.shared.limits.get().requests;
        let keeps = head.keeps && (most == 0 || requests < most);
        let flags = if keeps { flag::KEEPS } else { 0 } | if head.expects { flag::EXPECTS } else { 0 };
        const OF_REQUEST: u32 =
            flag::KEEPS | flag::EXPECTS | flag::WANTED | flag::CHUNKED | flag::ENDED | flag::ANSWERED;
        self.flags.set(self.flags.get() & !OF_REQUEST | flags);
        self.minor.set(message.minor);
        if head.body != Length::None {
            *self.coding.borrow_mut() = match head.body {
                Length::Exactly(length) => Coding::Length(length),
                _ => Coding::Chunked(Decoder::new(chunked::Limits::default())),
            };
        }
        self.phase.set(Phase::Busy);
        let own: Option<Rc<dyn Carrier>> = self.own.upgrade().map(|own| own as Rc<dyn Carrier>);
        let Some(own) = own else { return };
        let scope = self.transport.scope();
        match request::begin(&self.shared, self.reactor(), own, message, head.body, scope) {
            Ok(request) => {
                self.request.set(Some(request));
                self.begin_times();
                if head.body == Length::Exactly(0) {
                    self.end_of_body(request);
                }
                request::handle(request, &self.shared);
            }
            Err(_) => self.refuse(Bad::too_large(503, "no memory")),
        }
    }

    /// None: nothing can be used of it.
    fn read_body(&self, rest: &[u8]) -> Option<usize> {
        let drops = self.phase.get() == Phase::Dropping;
        if rest.is_empty() || !(drops || self.has(flag::WANTED) && self.takes_more()) {
            return None;
        }
        let mut coding = self.coding.borrow_mut();
        let (used, data, ends) = match &mut *coding {
            Coding::None => return None,
            Coding::Length(left) => {
                let length = (*left).min(rest.len() as u64) as usize;
                *left -= length as u64;
                (length, &rest[..length], *left == 0)
            }
            Coding::Chunked(decoder) => {
                let mut input = rest;
                let piece = decoder.next(&mut input);
                let used = rest.len() - input.len();
                match piece {
                    Ok(Piece::Data(data)) => (used, data, false),
                    Ok(Piece::Needs) => (used, &rest[..0], false),
                    Ok(Piece::End) => (used, &rest[..0], true),
                    Err(bad) => {
                        drop(coding);
                        self.broken(bad);
                        return Some(rest.len());
                    }
                }
            }
        };
        if ends {
            *coding = Coding::None;
        }
        drop(coding);
        self.clear(flag::EXPECTS);
        if drops {
            self.drop_body(used as u64, ends)
        } else {
            self.hand_on(data, ends)
        }
        Some(used)
    }

    /// Whether the request is still one that a body is for.
    fn takes_more(&self) -> bool {
        let over = of_request::FINISHED | of_request::LOST | of_request::REFUSED;
        self.request.get().is_some_and(|request| request.is_alive() && !request.has(over))
    }

    fn hand_on(&self, data: &[u8], ends: bool) {
        let Some(request) = self.request.get().filter(|request| request.is_alive()) else { return };
        if (data.is_empty() || body::came(request, data)) && ends && request.is_alive() {
            self.end_of_body(request);
        }
    }

    fn end_of_body(&self, request: Item<Request>) {
        *self.coding.borrow_mut() = Coding::None;
        self.clear(flag::EXPECTS | flag::WANTED);
        body::ended(request);
    }

    fn drop_body(&self, length: u64, ends: bool) {
        self.dropped.set(self.dropped.get() + length);
        if ends {
            self.next_request();
        } else if self.dropped.get() > DROPPED {
            self.close();
        }
    }

    fn broken(&self, bad: Bad) {
        *self.coding.borrow_mut() = Coding::None;
        self.clear(flag::KEEPS | flag::WANTED);
        match self.request.get().filter(|request| request.is_alive()) {
            Some(request) => body::broken(request, bad),
            None => self.close(),
        }
    }

    // ---- from one request to the next ----

    fn next_request(&self) {
        self.phase.set(Phase::Head);
        self.wait_for_next();
        if self.has(flag::READ_ENDED) && self.pending.borrow().is_empty() && !self.has(flag::CONSUMING) {
            self.close();
        }
    }

    /// How much of the body is still to come; None: who knows.
    fn body_left(&self) -> Option<u64> {
        match &*self.coding.borrow() {
            Coding::None => Some(0),
            Coding::Length(left) => Some(*left),
            Coding::Chunked(_) => None,
        }
    }

    /// Whether the connection can be used after this response.
    fn goes_on(&self) -> bool {
        if !self.has(flag::KEEPS) || self.shared.is_stopping() || self.has(flag::READ_ENDED) {
            return false;
        }
        // One that still waits for its 100 may or may not send the body: nobody can tell what comes next.
        !self.has(flag::EXPECTS) && (self.has(flag::WANTED) || self.body_left().is_none_or(|left| left <= DROPPED))
    }

    /// The request is told; the connection goes on, or ends.
    fn after_response(&self) {
        let unread = self.body_left() != Some(0);
        // Its head may have gone out before the server was stopped.
        if self.has(flag::LAST) || self.shared.is_stopping() {
            return self.close();
        }
        if unread && (self.has(flag::EXPECTS) || self.body_left().is_some_and(|left| left > DROPPED)) {
            return self.close();
        }
        self.clear(flag::WANTED);
        if writing::buffered(self.transport) > HIGH_WATER && self.watch_room().is_ok() {
            self.set(flag::BACKLOG);
        }
        if unread {
            self.dropped.set(0);
            self.phase.set(Phase::Dropping);
            self.begin_body_time();
        } else {
            self.next_request();
        }
    }

    /// Refuses what is no request, and closes.
    fn refuse(&self, bad: Bad) {
        let text = format!("{}: {}\n", plain_text(bad.code).trim_end(), bad.text);
        let fields = Fields::new();
        let head = ResponseHead {
            code: bad.code,
            fields: &fields,
            content_type: Some(PLAIN),
            size: Size::Exactly(text.len() as u64),
            only_head: false,
            has_date: false,
            has_server: false,
            close: true,
        };
        let peer = access::refused_peer(&self.shared, || self.peer());
        let _ = self.head(&head, text.as_bytes(), true);
        self.set(flag::MORE);
        self.close();
        access::log_refused(&self.shared, self.transport, peer, bad, text.len());
    }

    /// Closes once all is sent: at once where nothing more can come, else when the peer has had the time to read it. A
    /// socket that is closed with something unread resets, and takes the response with it.
    fn close(&self) {
        if self.is_over() || self.phase.get() == Phase::Lingering {
            if self.phase.get() == Phase::Lingering {
                let _ = ending::lose(self.transport);
            }
            return;
        }
        let quiet = !self.has(flag::MORE) && self.pending.borrow().is_empty() && self.body_left() == Some(0);
        let lingers = self.shared.limits.get().linger_time.is_some_and(|time| time > 0);
        self.pending.take();
        self.phase.set(Phase::Lingering);
        if quiet || self.has(flag::READ_ENDED) || !lingers || ending::lose_write(self.transport).is_err() {
            let _ = ending::lose(self.transport);
        }
        if self.has(flag::FULL) {
            let _ = reading::resume(self.transport);
        }
        self.dropped.set(0);
        self.begin_linger_time();
        self.arm();
    }

    fn linger_on(&self, length: u64) {
        self.dropped.set(self.dropped.get() + length);
        if self.dropped.get() > LINGERED {
            let _ = ending::lose(self.transport);
        }
    }

    /// The peer sends no more while its request is under way.
    fn ended_within(&self) {
        let Some(request) = self.request.get().filter(|request| request.is_alive()) else { return self.close() };
        let unread = self.body_left() != Some(0);
        let handed_over = self.has(flag::ENDED) || request.has(of_request::SENDING);
        let serves_on = !unread && (handed_over || self.shared.limits.get().half_closed);
        if serves_on {
            return self.set(flag::LAST);
        }
        let why = match unread {
            true => Status::ERR_TRUNCATED.because("the client has closed the connection within its request's body"),
            false => Status::ERR_CONNECTION_LOST.because("the client has closed the connection"),
        };
        self.clear(flag::KEEPS);
        self.set(flag::LAST);
        self.request.set(None);
        request.lost(failure::of_status(self.reactor(), why));
        let _ = ending::lose(self.transport);
    }

    /// Ends at once, for this reason.
    fn cut_by(&self, why: Status) {
        let reason = failure::owned(failure::of_status(self.reactor(), why));
        self.cut(reason.word());
    }

    fn write(&self, data: &[u8]) -> Result {
        self.written.set(self.written.get() + data.len() as u64);
        match writing::write_quickly(self.transport, data) {
            Some(()) => Ok(()),
            None => writing::write(self.transport, data),
        }
    }

    /// Fails where nothing can be written: the transport may be over already, and its slot another's.
    fn check_open(&self) -> Result {
        if self.is_over() {
            return Err(Status::ERR_CLOSED.because("the connection is over"));
        }
        Ok(())
    }

    fn head_into(&self, out: &mut Vec<u8>, head: &ResponseHead) {
        let goes_on = !head.close && self.goes_on();
        let unknown = head.size == Size::Unknown;
        let last = !goes_on || (unknown && self.minor.get() == 0 && !head.only_head);
        if last {
            self.set(flag::LAST);
        }
        if unknown && self.minor.get() != 0 && !head.only_head {
            self.set(flag::CHUNKED);
        }
        response::write(out, head, &self.shared, self.reactor(), response::How { minor: self.minor.get(), last });
    }

    fn in_chunk(&self, out: &mut Vec<u8>, data: &[u8]) {
        if !data.is_empty() {
            out.extend_from_slice(chunked::Head::new(data.len()).as_bytes());
            out.extend_from_slice(data);
            out.extend_from_slice(chunked::AFTER);
        }
    }
}

impl Link for Connection {
    fn wind_down(&self) {
        if self.phase.get() == Phase::Head && self.pending.borrow().is_empty() {
            self.close();
        }
    }

    fn cut(&self, reason: Word) {
        if self.is_over() {
            return;
        }
        self.phase.set(Phase::Gone);
        self.stop_timer();
        if let Some(request) = self.request.take().filter(|request| request.is_alive()) {
            request.lost(failure::keep(reason));
        }
        let _ = ending::abort(self.transport, failure::keep(reason));
    }
}

impl Carrier for Connection {
    fn head(&self, head: &ResponseHead, first: &[u8], ends: bool) -> Result {
        self.check_open()?;
        let mut out = self.shared.scratch.take();
        out.clear();
        let room = out.try_reserve(512 + head.fields.size() + 4 * head.fields.len() + first.len().min(JOINED));
        room.map_err(|_| Status::ERR_NO_MEMORY)?;
        self.head_into(&mut out, head);
        self.set(flag::ANSWERED | if ends { flag::ENDED } else { 0 });
        let chunked = self.has(flag::CHUNKED);
        let joined = first.len() <= JOINED;
        if joined && chunked {
            self.in_chunk(&mut out, first);
        } else if joined {
            out.extend_from_slice(first);
        }
        if joined && ends && chunked {
            out.extend_from_slice(chunked::LAST);
        }
        let written = self.write(&out);
        *self.shared.scratch.borrow_mut() = out;
        written?;
        if !joined {
            self.data(first)?;
            if ends && chunked {
                self.write(chunked::LAST)?;
            }
        }
        if !ends {
            self.watch_writing();
        }
        Ok(())
    }

    fn data(&self, data: &[u8]) -> Result {
        self.check_open()?;
        if !self.has(flag::CHUNKED) {
            self.write(data)?;
        } else if data.len() <= JOINED {
            let mut out = self.shared.scratch.take();
            out.clear();
            self.in_chunk(&mut out, data);
            let written = self.write(&out);
            *self.shared.scratch.borrow_mut() = out;
            written?;
        } else {
            self.write(chunked::Head::new(data.len()).as_bytes())?;
            self.write(data)?;
            self.write(chunked::AFTER)?;
        }
        self.watch_writing();
        Ok(())
    }

    fn file(&self, file: OwnDescriptor, offset: u64, length: u64, done: Word) -> Result {
        self.check_open()?;
        writing::send_file(self.transport, Part::File { file, offset, left: length, deferred: done })?;
        self.written.set(self.written.get() + length);
        self.watch_writing();
        Ok(())
    }

    fn end(&self) -> Result {
        self.check_open()?;
        self.set(flag::ENDED);
        if self.has(flag::CHUNKED) { self.write(chunked::LAST) } else { Ok(()) }
    }

    fn information(&self, code: u16, fields: &Fields) -> Result {
        self.check_open()?;
        if self.minor.get() == 0 {
            return Ok(());
        }
        let mut out = Vec::new();
        response::status_line(&mut out, code);
        fields.write(&mut out)?;
        out.extend_from_slice(b"\r\n");
        self.write(&out)
    }

    fn want_body(&self, wanted: bool) {
        if self.is_over() {
            return;
        }
        if !wanted {
            return self.clear(flag::WANTED);
        }
        if !self.has(flag::WANTED) {
            self.set(flag::WANTED);
            self.begin_body_time();
        }
        if self.has(flag::EXPECTS) && !self.has(flag::ANSWERED) {
            self.clear(flag::EXPECTS);
            let _ = self.write(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    }

    fn abort(&self, reason: Word) {
        if !self.is_over() {
            let _ = ending::abort(self.transport, failure::keep(reason));
        }
    }

    fn buffered(&self) -> u64 {
        if self.is_over() { 0 } else { writing::buffered(self.transport) }
    }

    fn watch_room(&self) -> Result {
        if !self.has(flag::WATCHED) {
            self.check_open()?;
            producer::register_whole(self.transport)?;
            self.set(flag::WATCHED);
        }
        Ok(())
    }

    fn transport(&self) -> Word {
        self.transport.word()
    }

    fn peer(&self) -> Option<Address> {
        match self.peer.get() {
            None if !self.is_over() => options::peer(self.transport).ok(),
            known => known,
        }
    }

    fn is_secure(&self) -> bool {
        super::is_secure(self.transport)
    }

    fn upgrade(&self, head: &ResponseHead) -> Result<Item<Transport>> {
        self.check_open()?;
        if self.body_left() != Some(0) {
            return Err(Status::ERR_INVALID_STATE.because("the request's body has not been read"));
        }
        let mut out = Vec::new();
        let how = response::How { minor: self.minor.get(), last: false };
        response::write_upgrade(&mut out, head, &self.shared, self.reactor(), how);
        self.write(&out)?;
        if self.has(flag::WATCHED) {
            let _ = producer::unregister(self.transport);
        }
        self.stop_timer();
        self.phase.set(Phase::Upgraded);
        self.shared.unlink(self.reactor(), self.number.get());
        let pending = self.pending.take();
        if !pending.is_empty() {
            reading::leave(self.transport, pending);
        }
        if self.has(flag::FULL) {
            let _ = reading::resume(self.transport);
        }
        Ok(self.transport)
    }

    fn go_on(&self) {
        if self.is_over() || self.has(flag::CONSUMING) {
            return;
        }
        let pending = self.pending.take();
        if !pending.is_empty() {
            self.consume_pending(pending);
        }
        self.settle();
        if let Some(request) = self.request.get().filter(|request| request.is_alive()) {
            request.pulled();
        }
    }

    fn before_over(&self, request: Item<Request>) {
        if self.request.get() == Some(request) {
            self.request.set(None);
        }
    }

    fn over(&self) {
        if self.is_over() || self.phase.get() == Phase::Lingering {
            return;
        }
        self.after_response();
        if !self.has(flag::CONSUMING) {
            self.go_on();
        }
    }

    fn as_any(self: Rc<Self>) -> Rc<dyn Any> {
        self
    }
}
