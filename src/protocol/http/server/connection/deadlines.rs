//! How long a connection may take for what it does. There is one timer; a deadline that is put off leaves it as it is, and it
//! is set anew when it fires too early: a request that is answered at once costs no more than a store.

use super::{Carrier, Connection, Phase, flag};
use crate::handles::{self, Word};
use crate::net::transport::Transport;
use crate::net::{ending, writing};
use crate::protocol::http::Bad;
use crate::reactor::timers::{self, DelayedCall};
use crate::status::Status;
use std::cell::Cell;

const NEVER: u64 = u64::MAX;

/// See the module. Times of the reactor's clock.
pub(super) struct Times {
    timer: Cell<Word>,
    /// When the timer fires.
    filed: Cell<u64>,
    /// Of what is being waited for: the head, the next request, the body, the peer's close.
    phase: Cell<u64>,
    /// Of the request as a whole.
    request: Cell<u64>,
    /// When it is looked whether something was sent.
    write: Cell<u64>,
    /// What was sent when that was looked at last.
    sent: Cell<u64>,
    /// Since when the body is wanted, and how much of it had come then.
    wanted: Cell<(u64, u64)>,
    /// The head that is waited for has begun to come.
    begun: Cell<bool>,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            timer: Cell::new(Word::NULL),
            filed: Cell::new(NEVER),
            phase: Cell::new(NEVER),
            request: Cell::new(NEVER),
            write: Cell::new(NEVER),
            sent: Cell::new(0),
            wanted: Cell::new((0, 0)),
            begun: Cell::new(false),
        }
    }
}

impl Connection {
    fn after(&self, time: Option<u64>) -> u64 {
        time.map_or(NEVER, |time| self.reactor().turn_time().saturating_add(time))
    }

    /// A connection is there: its first head is waited for.
    pub(super) fn wait_for_head(&self) {
        self.times.begun.set(true);
        self.times.phase.set(self.after(self.shared.limits.get().head_time));
    }

    /// A response is over: the next request is waited for.
    pub(super) fn wait_for_next(&self) {
        self.times.begun.set(false);
        self.times.request.set(NEVER);
        self.times.phase.set(self.after(self.shared.limits.get().idle_time));
    }

    /// A head was read.
    pub(super) fn begin_times(&self) {
        self.times.phase.set(NEVER);
        self.times.request.set(match self.shared.limits.get().request_time {
            None => NEVER,
            time => self.after(time),
        });
    }

    /// The body is wanted from here on, or dropped.
    pub(super) fn begin_body_time(&self) {
        self.times.wanted.set((self.reactor().turn_time(), self.received()));
        self.times.phase.set(self.after(self.shared.limits.get().body_time));
    }

    /// The last response is sent.
    pub(super) fn begin_linger_time(&self) {
        self.times.request.set(NEVER);
        self.times.phase.set(self.after(self.shared.limits.get().linger_time));
        // The response itself may take its time.
        self.watch_writing();
    }

    fn received(&self) -> u64 {
        self.request.get().filter(|request| request.is_alive()).map_or(self.dropped.get(), |its| its.received.get())
    }

    /// Something came.
    pub(super) fn note_progress(&self, waits: bool) {
        let limits = self.shared.limits.get();
        match self.phase.get() {
            Phase::Head if waits && !self.times.begun.replace(true) && !self.has(flag::BACKLOG) => {
                self.times.phase.set(self.after(limits.head_time));
            }
            Phase::Busy if !self.has(flag::WANTED) => self.times.phase.set(NEVER),
            Phase::Busy | Phase::Dropping => {
                let Some(time) = limits.body_time else { return };
                let (since, before) = self.times.wanted.get();
                let came = self.received().saturating_sub(before);
                let by_rate = match limits.body_rate {
                    0 => NEVER,
                    rate => {
                        since.saturating_add(time).saturating_add(came.saturating_mul(timers::SECOND) / u64::from(rate))
                    }
                };
                self.times.phase.set(by_rate.min(self.after(Some(time))));
            }
            _ => {}
        }
    }

    /// Something waits to be sent, maybe: it is looked after until all is.
    pub(super) fn watch_writing(&self) {
        if self.times.write.get() == NEVER {
            if let Some(time) = self.shared.limits.get().write_time {
                self.times.sent.set(self.sent());
                self.times.write.set(self.after(Some(time)));
                self.arm();
            }
        }
    }

    fn sent(&self) -> u64 {
        self.written.get().saturating_sub(self.buffered())
    }

    /// Sees to it that the timer fires early enough.
    pub(super) fn arm(&self) {
        let times = &self.times;
        let at = times.phase.get().min(times.request.get()).min(times.write.get());
        if at >= times.filed.get() || self.is_over() {
            return;
        }
        self.stop_timer();
        match timers::call_at(self.reactor(), at, fired, self.transport.word()) {
            Ok(timer) => {
                times.timer.set(timer.word());
                times.filed.set(at);
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
        let times = &self.times;
        times.timer.set(Word::NULL);
        times.filed.set(NEVER);
        let now = self.reactor().read_clock();
        if times.write.get() <= now {
            self.look_at_writing();
        }
        if !self.is_over() && times.request.get() <= now {
            times.request.set(NEVER);
            self.too_late("the request took too long", 503);
        }
        if !self.is_over() && times.phase.get() <= now {
            times.phase.set(NEVER);
            self.phase_is_over();
        }
        self.arm();
    }

    fn look_at_writing(&self) {
        let times = &self.times;
        let sent = self.sent();
        times.write.set(NEVER);
        if self.buffered() == 0 {
            return;
        }
        if sent == times.sent.get() {
            return self
                .cut_by(Status::ERR_TIMED_OUT.because("the client has not read any of the response for too long"));
        }
        self.watch_writing();
    }

    fn phase_is_over(&self) {
        match self.phase.get() {
            // What was answered before still has to go out.
            Phase::Head if writing::buffered(self.transport) != 0 => {
                self.watch_writing();
                self.times.phase.set(self.times.write.get());
            }
            Phase::Head if self.pending.borrow().is_empty() => self.close_idle(),
            Phase::Head => self.refuse(Bad { code: 408, text: "the head of the request took too long" }),
            Phase::Busy => self.too_late("the body of the request took too long", 408),
            Phase::Dropping => self.close(),
            Phase::Lingering if writing::buffered(self.transport) != 0 => self.times.phase.set(self.times.write.get()),
            Phase::Lingering => drop(ending::lose(self.transport)),
            Phase::Upgraded | Phase::Gone => {}
        }
    }

    fn close_idle(&self) {
        self.clear(flag::MORE);
        self.close();
    }

    fn too_late(&self, text: &'static str, code: u16) {
        let Some(request) = self.request.get().filter(|request| request.is_alive()) else { return self.close() };
        let code = if self.body_left() == Some(0) { code } else { 408 };
        self.clear(flag::KEEPS);
        super::body::refuse(request, code, Status::ERR_TIMED_OUT.because(text));
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
