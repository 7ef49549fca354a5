//! A connection of HTTP/2: each of its streams carries a request, all at once.
//!
//! The protocol is a `Session`'s, which turns bytes into events and calls into bytes; here is what a connection adds: a transport,
//! time, and requests. Events are delivered from `drive` alone, when bytes have come, there is room again, or a turn ends: what the host
//! calls in between sends at once what it can, and what comes of it for the host waits in `pending`.

use super::answer::{PLAIN, plain_text};
use super::carrier::{Carrier, ResponseHead, Size};
use super::head::Most;
use super::request;
use super::{Link, Shared, access, body};
use crate::deferred::failure;
use crate::handles::{Item, Owned, Word};
use crate::net::protocol::{Protocol, Whole};
use crate::net::transport::{self, Transport};
use crate::net::{ending, options, producer, reading, writing};
use crate::protocol::http::framing::Length;
use crate::protocol::http::http2::{Allowance, Event, Limits, Session};
use crate::protocol::http::{Bad, Fields};
use crate::reactor::ReactorItem;
use crate::status::Status;
use h2::Reason;
use http::request::Parts;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::{Rc, Weak};
use stream::Stream;

mod deadlines;
mod head;
mod stream;

/// So much of what the session has to send is taken at once.
const ROOM: usize = 64 * 1024;
/// So much is read and dropped of one that is being closed, at most.
const LINGERED: u64 = 1024 * 1024;
/// RFC 9113, 6.9.1.
const LARGEST_WINDOW: u32 = (1 << 31) - 1;

/// What of HTTP/2 a server does, and how much.
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "each is named after its field in lariat_http_server_options")]
pub struct Options {
    pub on_tls: bool,
    pub on_plain: bool,
    pub streams: u32,
    pub stream_window: u32,
    /// 0: as much as all streams together, so that none that waits holds up another.
    pub connection_window: u32,
    pub frame: u32,
    pub control: Allowance,
    pub resets: Allowance,
}

impl Default for Options {
    fn default() -> Self {
        let session = Limits::default();
        Self {
            on_tls: true,
            on_plain: false,
            streams: session.streams,
            stream_window: session.stream_window,
            connection_window: 0,
            frame: session.frame,
            control: session.control,
            resets: session.resets,
        }
    }
}

impl Options {
    fn session(&self, most: &Most) -> Limits {
        let all = self.stream_window.saturating_mul(self.streams).min(LARGEST_WINDOW);
        // Each field counts as 32 bytes more than it has.
        let header_list = most.line.saturating_add(most.bytes).saturating_add(32 * most.fields);
        Limits {
            streams: self.streams,
            stream_window: self.stream_window,
            connection_window: if self.connection_window == 0 { all } else { self.connection_window },
            frame: self.frame,
            header_list: u32::try_from(header_list).unwrap_or(u32::MAX),
            control: self.control,
            resets: self.resets,
            ..Limits::default()
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Open,
    /// The session is over: the peer is waited for to read its goodbye and to close.
    Lingering,
    Gone,
}

/// See the module.
pub(super) struct Connection {
    own: Weak<Connection>,
    shared: Rc<Shared>,
    transport: Item<Transport>,
    number: Cell<u64>,
    phase: Cell<Phase>,
    session: RefCell<Session>,
    /// Those whose request is not over.
    streams: RefCell<BTreeMap<u32, Rc<Stream>>>,
    /// What the session has said while the host was calling.
    pending: RefCell<VecDeque<Event>>,
    driving: Cell<bool>,
    /// The transport takes no more for now.
    full: Cell<bool>,
    /// Reading is paused, since what came cannot be answered.
    held: Cell<bool>,
    winding_down: Cell<bool>,
    /// Memory for what is sent next.
    spare: RefCell<Vec<u8>>,
    requests: Cell<u32>,
    written: Cell<u64>,
    dropped: Cell<u64>,
    times: deadlines::Times,
}

/// Makes a connection of HTTP/2 of what has connected; `first` came already.
pub(super) fn begin(transport: Item<Transport>, shared: &Rc<Shared>, first: &[u8]) {
    if shared.is_stopping() {
        let _ = ending::lose(transport);
        return;
    }
    let limits = shared.limits.get();
    let session = Session::new(&limits.http2.session(&limits.head), transport.root().turn_time());
    let connection = Rc::new_cyclic(|own| Connection {
        own: own.clone(),
        shared: Rc::clone(shared),
        transport,
        number: Cell::new(0),
        phase: Cell::new(Phase::Open),
        session: RefCell::new(session),
        streams: RefCell::default(),
        pending: RefCell::default(),
        driving: Cell::new(false),
        full: Cell::new(false),
        held: Cell::new(false),
        winding_down: Cell::new(false),
        spare: RefCell::default(),
        requests: Cell::new(0),
        written: Cell::new(0),
        dropped: Cell::new(0),
        times: deadlines::Times::default(),
    });
    connection.number.set(shared.link(transport.root(), Rc::clone(&connection) as Rc<dyn Link>));
    let protocol = Rc::new(Protocol { whole: Some(Rc::clone(&connection) as Rc<dyn Whole>), ..Protocol::default() });
    drop(transport::replace_protocol(transport, protocol, Owned::default()));
    if let Err(why) = producer::register_whole(transport) {
        return connection.cut_by(why);
    }
    connection.session.borrow_mut().set_room(ROOM);
    connection.wait_for_first();
    connection.received(transport, first);
}

impl Whole for Connection {
    fn received(&self, _: Item<Transport>, data: &[u8]) {
        match self.phase.get() {
            Phase::Open => self.session.borrow_mut().receive(data, self.now()),
            Phase::Lingering => return self.linger_on(data.len() as u64),
            Phase::Gone => return,
        }
        self.drive();
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn read_ended(&self, _: Item<Transport>) {
        match self.phase.get() {
            Phase::Open => self.session.borrow_mut().receive_end(),
            Phase::Lingering => {
                let _ = ending::lose(self.transport);
                return;
            }
            Phase::Gone => return,
        }
        self.drive();
    }

    fn paused(&self, _: Item<Transport>) {
        self.full.set(true);
        // Called while it is written: nobody else has the session then.
        self.session.borrow_mut().set_room(0);
    }

    fn resumed(&self, _: Item<Transport>) {
        self.full.set(false);
        self.session.borrow_mut().set_room(ROOM);
        self.drive();
    }

    fn lost(&self, _: Item<Transport>, reason: Word) {
        if self.phase.get() != Phase::Gone {
            self.gone(reason);
        }
    }

    fn as_any(self: Rc<Self>) -> Rc<dyn Any> {
        self
    }
}

impl Connection {
    fn reactor(&self) -> ReactorItem {
        self.transport.root()
    }

    fn now(&self) -> u64 {
        self.reactor().turn_time()
    }

    fn is_gone(&self) -> bool {
        self.phase.get() == Phase::Gone
    }

    fn session<R>(&self, call: impl FnOnce(&mut Session) -> R) -> R {
        call(&mut self.session.borrow_mut())
    }

    fn stream(&self, id: u32) -> Option<Rc<Stream>> {
        self.streams.borrow().get(&id).cloned()
    }

    /// Tells all that has happened, and sends all that there is to send. Never from inside a call of the host.
    fn drive(&self) {
        if self.is_gone() || self.driving.replace(true) {
            return;
        }
        // What is told may end the connection: then nobody is there for the rest.
        while !self.is_gone() {
            let waiting = self.pending.borrow_mut().pop_front();
            match waiting.or_else(|| self.session(Session::next_event)) {
                Some(event) => self.deliver(event),
                None if self.send() => {}
                None => break,
            }
        }
        self.driving.set(false);
        self.settle();
    }

    /// The same while the host is calling: it is told later; whether there is something.
    fn pump(&self) -> bool {
        if self.is_gone() || self.driving.get() {
            return false;
        }
        loop {
            while let Some(event) = self.session(Session::next_event) {
                self.pending.borrow_mut().push_back(event);
            }
            if !self.send() {
                break;
            }
        }
        !self.pending.borrow().is_empty()
    }

    /// Sends what there is; whether there was something, and there is room for more.
    fn send(&self) -> bool {
        let spare = self.spare.take();
        let out = self.session(|session| session.take_output(spare));
        let some = !out.is_empty();
        let mut open = !self.is_gone();
        if some && open {
            self.written.set(self.written.get() + out.len() as u64);
            open = writing::write(self.transport, &out).is_ok();
            self.watch_writing();
        }
        *self.spare.borrow_mut() = out;
        some && open && !self.full.get()
    }

    /// Reads on, or not: nothing is read while what came before cannot be answered.
    fn settle(&self) {
        if self.phase.get() != Phase::Open {
            return;
        }
        let held = self.full.get() && self.session.borrow().unread() != 0;
        if held != self.held.replace(held) {
            let _ = if held { reading::pause(self.transport) } else { reading::resume(self.transport) };
        }
        self.arm();
    }

    fn deliver(&self, event: Event) {
        match event {
            Event::Request { stream, head, ended } => self.begin_request(stream, &head, ended),
            Event::Body { stream, data } => {
                if let Some(stream) = self.stream(stream) {
                    stream.body_came(&data);
                }
            }
            Event::Ended { stream, .. } => {
                if let Some(stream) = self.stream(stream) {
                    stream.body_ended();
                }
            }
            Event::Room { stream } => {
                if let Some(stream) = self.stream(stream) {
                    stream.has_room();
                }
            }
            // The request knows: it has said itself that this is all.
            Event::Sent { .. } => {}
            Event::Reset { stream, reason } => {
                if let Some(stream) = self.stream(stream) {
                    let why = match reason {
                        Some(reason) => {
                            Status::ERR_STREAM_RESET.because(format_args!("the stream was reset: {reason}"))
                        }
                        None => Status::ERR_CONNECTION_LOST.because("the client has closed the connection"),
                    };
                    stream.lost(failure::of_status(self.reactor(), why));
                }
            }
            Event::Closed { .. } => self.close(),
        }
    }

    fn begin_request(&self, id: u32, parts: &Parts, ended: bool) {
        let limits = self.shared.limits.get();
        let requests = self.requests.get() + 1;
        self.requests.set(requests);
        if limits.requests != 0 && requests >= limits.requests {
            self.wind_down();
        }
        self.session(|session| session.set_paused(id, true));
        let mut message = self.shared.take_message();
        let begun = head::read(parts, ended, &limits.head, &mut message).and_then(|head| {
            let stream = Stream::new(self.own.clone(), id, head.expects);
            let scope = self.transport.scope();
            let carrier = Rc::clone(&stream) as Rc<dyn Carrier>;
            let begun =
                request::begin(&self.shared, self.reactor(), carrier, std::mem::take(&mut message), head.body, scope);
            let request = begun.map_err(|_| Bad::too_large(503, "no memory"))?;
            Ok((request, stream, head.body))
        });
        match begun {
            Ok((request, stream, body)) => {
                stream.set_request(request);
                self.streams.borrow_mut().insert(id, stream);
                self.begin_request_time();
                if body == Length::Exactly(0) {
                    body::ended(request);
                }
                request::handle(request, &self.shared);
            }
            Err(bad) => {
                self.shared.give_back(message);
                self.refuse(id, parts, bad);
            }
        }
    }

    /// Answers what is no request.
    fn refuse(&self, id: u32, parts: &Parts, bad: Bad) {
        let text = format!("{}: {}\n", plain_text(bad.code).trim_end(), bad.text);
        let fields = Fields::new();
        let head = ResponseHead {
            code: bad.code,
            fields: &fields,
            content_type: Some(PLAIN),
            size: Size::Exactly(text.len() as u64),
            only_head: parts.method == http::Method::HEAD,
            has_date: false,
            has_server: false,
            close: false,
        };
        let peer = access::refused_peer(&self.shared, || options::peer(self.transport).ok());
        let length = if head.only_head { 0 } else { text.len() };
        let sent = self.with_head(&head, |session, response| {
            session.respond(id, response, head.only_head)?;
            if !head.only_head {
                session.write(id, text.into());
                session.finish(id, None);
            }
            Ok(())
        });
        if sent.is_err() {
            self.session(|session| session.reset(id, Reason::INTERNAL_ERROR));
        }
        access::log_refused(&self.shared, self.transport, peer, bad, length);
    }

    /// Calls `send` with a response's head as the session wants it.
    fn with_head(
        &self,
        head: &ResponseHead,
        send: impl FnOnce(&mut Session, http::Response<()>) -> Result<(), h2::Error>,
    ) -> crate::status::Result {
        let date = self.shared.date.date(self.reactor());
        let own = head::Own { date: date.as_ref().map(|date| &date[..]), server: self.shared.date.name() };
        let response = head::write(head, &own)?;
        let sent = self.session(|session| {
            session.set_now(self.now());
            send(session, response)
        });
        sent.map_err(|why| Status::ERR_CLOSED.because(format_args!("the stream takes no response: {why}")))
    }

    /// A request is over.
    fn forget(&self, id: u32) {
        let forgotten = self.streams.borrow_mut().remove(&id);
        drop(forgotten);
        if self.streams.borrow().is_empty() {
            self.wait_for_next();
        }
        self.drive();
    }

    /// The session is over: what it has to send goes out, then it is closed. A socket that is closed with something unread
    /// resets, and takes the goodbye with it.
    fn close(&self) {
        self.send();
        if self.phase.replace(Phase::Lingering) != Phase::Open {
            return;
        }
        let lingers = self.shared.limits.get().linger_time.is_some_and(|time| time > 0);
        if !lingers || ending::lose_write(self.transport).is_err() {
            let _ = ending::lose(self.transport);
        }
        if self.held.take() {
            let _ = reading::resume(self.transport);
        }
        self.begin_linger_time();
        self.arm();
    }

    fn linger_on(&self, length: u64) {
        self.dropped.set(self.dropped.get() + length);
        if self.dropped.get() > LINGERED {
            let _ = ending::lose(self.transport);
        }
    }

    /// The connection is no more, for this reason, which lives for the call.
    fn gone(&self, reason: Word) {
        self.phase.set(Phase::Gone);
        self.stop_timer();
        self.shared.unlink(self.reactor(), self.number.get());
        self.pending.take();
        for stream in self.streams.take().into_values() {
            stream.lost(failure::keep(reason));
        }
    }

    fn cut_by(&self, why: Status) {
        let reason = failure::owned(failure::of_status(self.reactor(), why));
        self.cut(reason.word());
    }
}

impl Link for Connection {
    fn wind_down(&self) {
        if self.phase.get() != Phase::Open || self.winding_down.replace(true) {
            return;
        }
        self.session(Session::shut_down);
        if self.streams.borrow().is_empty() {
            self.wait_for_next();
        }
        self.drive();
    }

    fn cut(&self, reason: Word) {
        if self.is_gone() {
            return;
        }
        let transport = self.transport;
        let kept = failure::keep(reason);
        self.gone(reason);
        let _ = ending::abort(transport, kept);
    }
}
