//! How long a connection and its streams may take for what they do. There is one timer, for the earliest of all deadlines: one that
//! is put off leaves it as it is, and when it fires all are looked at.

use super::super::body;
use super::stream::Stream;
use super::{Connection, Phase};
use crate::deferred::failure;
use crate::handles::{self, Word};
use crate::net::transport::Transport;
use crate::net::{ending, writing};
use crate::reactor::timers::{self, DelayedCall};
use crate::status::Status;
use h2::Reason;
use std::cell::Cell;
use std::rc::Rc;

const NEVER: u64 = u64::MAX;

/// See the module. Times of the reactor's clock.
pub(super) struct Times {
    timer: Cell<Word>,
    /// When the timer fires.
    filed: Cell<u64>,
    /// When it should, at the latest.
    wanted: Cell<u64>,
    /// Of what is being waited for while there is no stream: the first request, the next one, the peer's close.
    idle: Cell<u64>,
    /// When it is looked whether something was sent, and what was when that was looked at last.
    write: Cell<u64>,
    sent: Cell<u64>,
}

impl Default for Times {
    fn default() -> Self {
        let never = || Cell::new(NEVER);
        Self {
            timer: Cell::new(Word::NULL),
            filed: never(),
            wanted: never(),
            idle: never(),
            write: never(),
            sent: Cell::new(0),
        }
    }
}

impl Connection {
    fn after(&self, time: Option<u64>) -> u64 {
        time.map_or(NEVER, |time| self.now().saturating_add(time))
    }

    fn due(&self, at: u64) {
        self.times.wanted.set(self.times.wanted.get().min(at));
    }

    pub(super) fn wait_for_first(&self) {
        self.idle_until(self.after(self.shared.limits.get().head_time));
    }

    /// The last request is over: the next is waited for; where none is to come, the peer's close.
    pub(super) fn wait_for_next(&self) {
        let limits = self.shared.limits.get();
        let time = if self.winding_down.get() { limits.linger_time } else { limits.idle_time };
        self.idle_until(self.after(time));
    }

    pub(super) fn begin_linger_time(&self) {
        self.idle_until(self.after(self.shared.limits.get().linger_time));
    }

    fn idle_until(&self, at: u64) {
        self.times.idle.set(at);
        self.due(at);
    }

    pub(super) fn begin_request_time(&self) {
        self.times.idle.set(NEVER);
        if let time @ Some(_) = self.shared.limits.get().request_time {
            self.due(self.after(time));
        }
    }

    pub(super) fn begin_body_time(&self, stream: &Stream) {
        self.due(self.body_deadline(stream));
        self.arm();
    }

    /// What waits on a stream has a time in which some of it has to go.
    pub(super) fn watch_stalls(&self) {
        self.due(self.after(self.shared.limits.get().write_time));
        self.arm();
    }

    /// Something waits to be sent, maybe: it is looked after until all is.
    pub(super) fn watch_writing(&self) {
        if self.times.write.get() == NEVER && writing::buffered(self.transport) != 0 {
            self.times.sent.set(self.sent());
            self.times.write.set(self.after(self.shared.limits.get().write_time));
            self.due(self.times.write.get());
            self.arm();
        }
    }

    fn sent(&self) -> u64 {
        self.written.get().saturating_sub(writing::buffered(self.transport))
    }

    fn body_deadline(&self, stream: &Stream) -> u64 {
        let limits = self.shared.limits.get();
        let Some(time) = limits.body_time.filter(|_| stream.waits_for_body()) else { return NEVER };
        let (since, before) = stream.wanted.get();
        let came = stream.request().map_or(0, |request| request.received.get()).saturating_sub(before);
        let by_rate = match limits.body_rate {
            0 => NEVER,
            rate => since.saturating_add(time).saturating_add(came.saturating_mul(timers::SECOND) / u64::from(rate)),
        };
        by_rate.min(stream.came.get().saturating_add(time))
    }

    fn request_deadline(&self, stream: &Stream) -> u64 {
        match (self.shared.limits.get().request_time, stream.request()) {
            (Some(time), Some(request)) => request.began.get().saturating_add(time),
            _ => NEVER,
        }
    }

    /// Sees to it that the timer fires early enough.
    pub(super) fn arm(&self) {
        let at = self.times.wanted.get();
        if at >= self.times.filed.get() || self.is_gone() {
            return;
        }
        self.stop_timer();
        match timers::call_at(self.reactor(), at, fired, self.transport.word()) {
            Ok(timer) => {
                self.times.timer.set(timer.word());
                self.times.filed.set(at);
            }
            Err(_) => self.cut_by(Status::ERR_NO_MEMORY.because("no memory for a timer")),
        }
    }

    pub(super) fn stop_timer(&self) {
        self.times.filed.set(NEVER);
        if let Ok(timer) = handles::get::<DelayedCall>(self.times.timer.replace(Word::NULL)) {
            let _ = timers::cancel(timer);
        }
    }

    fn look(&self) {
        let now = self.reactor().read_clock();
        self.times.timer.set(Word::NULL);
        self.times.filed.set(NEVER);
        self.times.wanted.set(NEVER);
        self.look_at_writing(now);
        self.look_at_stalls(now);
        let streams = self.streams.borrow().values().cloned().collect::<Vec<_>>();
        streams.iter().for_each(|stream| self.look_at(stream, now));
        if !self.is_gone() && self.times.idle.get() <= now {
            self.times.idle.set(NEVER);
            self.idle_is_over();
        }
        self.due(self.times.idle.get());
        self.due(self.times.write.get());
        self.drive();
        self.arm();
    }

    fn look_at(&self, stream: &Rc<Stream>, now: u64) {
        let Some(request) = stream.request() else { return };
        if self.request_deadline(stream) <= now {
            let code = if stream.waits_for_body() { 408 } else { 503 };
            body::refuse(request, code, Status::ERR_TIMED_OUT.because("the request took too long"));
        } else if self.body_deadline(stream) <= now {
            body::refuse(request, 408, Status::ERR_TIMED_OUT.because("the body of the request took too long"));
        } else {
            self.due(self.request_deadline(stream));
            self.due(self.body_deadline(stream));
        }
    }

    /// Streams whose peer opens no window, or none of the connection's.
    fn look_at_stalls(&self, now: u64) {
        let Some(time) = self.shared.limits.get().write_time else { return };
        while let Some((since, id)) = self.session(|session| session.most_stalled()) {
            if since.saturating_add(time) > now {
                return self.due(since.saturating_add(time));
            }
            self.session(|session| session.reset(id, Reason::CANCEL));
            if let Some(stream) = self.stream(id) {
                let why = Status::ERR_TIMED_OUT.because("the client has not taken any of the response for too long");
                stream.lost(failure::of_status(self.reactor(), why));
            }
        }
    }

    fn look_at_writing(&self, now: u64) {
        if self.times.write.get() > now {
            return;
        }
        self.times.write.set(NEVER);
        let moved = self.sent() != self.times.sent.get();
        if moved || writing::buffered(self.transport) == 0 {
            return self.watch_writing();
        }
        self.cut_by(Status::ERR_TIMED_OUT.because("the client has not read anything for too long"));
    }

    fn idle_is_over(&self) {
        match self.phase.get() {
            Phase::Gone => {}
            Phase::Lingering => drop(ending::lose(self.transport)),
            // What was answered before still has to go out; that has a deadline of its own.
            Phase::Open if self.session.borrow().streams() != 0 => self.wait_for_next(),
            Phase::Open => self.session(|session| session.abort(Reason::NO_ERROR, "nothing was asked for too long")),
        }
    }
}

extern "C-unwind" fn fired(transport: Word) {
    let Ok(transport) = handles::get::<Transport>(transport) else { return };
    let connection = transport.whole().and_then(|whole| whole.as_any().downcast::<Connection>().ok());
    if let Some(connection) = connection {
        let reactor = transport.root();
        let _out = reactor.call_out();
        reactor.in_scope(transport.scope(), || connection.look());
    }
}
