//! The lines that all responses begin with: made once a second.

use crate::protocol::http::date;
use crate::reactor::ReactorItem;
use std::cell::{Cell, Ref, RefCell};
use std::time::{SystemTime, UNIX_EPOCH};

const SECOND: u64 = 1_000_000_000;
/// A simulated world begins in 2020.
const SIMULATED: u64 = 1_577_836_800;
const OK: &[u8] = b"HTTP/1.1 200 OK\r\n";

/// See the module.
pub struct DateLine {
    /// By the reactor's clock.
    until: Cell<u64>,
    has_date: bool,
    /// "Server: name", with the end of its line.
    server: Vec<u8>,
    /// The status line of a 200, the date, the server's name.
    block: RefCell<Vec<u8>>,
    date: Cell<date::Text>,
    seconds: Cell<i64>,
}

impl DateLine {
    pub(super) fn new(has_date: bool, name: &[u8]) -> Self {
        let server = if name.is_empty() { Vec::new() } else { [b"Server: ", name, b"\r\n"].concat() };
        let date = Cell::new(date::format(0));
        Self { until: Cell::new(0), has_date, server, block: RefCell::default(), date, seconds: Cell::new(0) }
    }

    fn refresh(&self, reactor: ReactorItem) {
        let now = reactor.turn_time();
        if now < self.until.get() {
            return;
        }
        let since = if reactor.is_simulated() {
            SIMULATED * SECOND + now
        } else {
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
        };
        self.seconds.set((since / SECOND) as i64);
        self.date.set(date::format(self.seconds.get()));
        self.until.set(now + SECOND - since % SECOND);
        let mut block = self.block.borrow_mut();
        block.clear();
        block.extend_from_slice(OK);
        if self.has_date {
            block.extend_from_slice(b"Date: ");
            block.extend_from_slice(&self.date.get());
            block.extend_from_slice(b"\r\n");
        }
        block.extend_from_slice(&self.server);
    }

    /// Status line, date and server of a 200.
    pub(super) fn of_ok(&self, reactor: ReactorItem) -> Ref<'_, Vec<u8>> {
        self.refresh(reactor);
        self.block.borrow()
    }

    /// The lines for the date and the server alone.
    pub(super) fn write(&self, reactor: ReactorItem, out: &mut Vec<u8>, date: bool, server: bool) {
        self.refresh(reactor);
        if date && self.has_date {
            out.extend_from_slice(b"Date: ");
            out.extend_from_slice(&self.date.get());
            out.extend_from_slice(b"\r\n");
        }
        if server {
            out.extend_from_slice(&self.server);
        }
    }

    /// The date alone, if it is told.
    pub(super) fn date(&self, reactor: ReactorItem) -> Option<date::Text> {
        self.refresh(reactor);
        self.has_date.then(|| self.date.get())
    }

    /// The server's name alone.
    pub(super) fn name(&self) -> &[u8] {
        self.server.strip_prefix(b"Server: ").and_then(|line| line.strip_suffix(b"\r\n")).unwrap_or_default()
    }

    /// Seconds since 1970.
    pub(super) fn now(&self, reactor: ReactorItem) -> i64 {
        self.refresh(reactor);
        self.seconds.get()
    }
}
