//! The one seam to the operating system: time, readiness and wake-ups. The mio driver is the real one, the simulated one
//! knows no kernel.

pub mod address;
mod mio;
#[cfg(windows)]
mod mio_windows;
mod simulated;
pub mod sockets;
mod system_datagrams;
mod system_sockets;

pub use self::mio::MioDriver;
pub use address::{Address, Family, UnixAddress};
pub use simulated::{Link, SimulatedDriver, World};

use crate::handles::Word;
use crate::platform::Socket;
use crate::status::Result;
use sockets::Sockets;
use std::sync::Arc;

/// What a watcher is told, and what it asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Readiness {
    /// There is something to read, or an end or an error to find out about.
    pub readable: bool,
    /// There is room to write, or an error to find out about.
    pub writable: bool,
}

/// `LARIAT_READABLE`
pub const READABLE: i32 = 1;
/// `LARIAT_WRITABLE`
pub const WRITABLE: i32 = 2;

impl Readiness {
    /// From the bits of the C API.
    pub fn from_bits(bits: i32) -> Option<Self> {
        (bits & !(READABLE | WRITABLE) == 0)
            .then_some(Self { readable: bits & READABLE != 0, writable: bits & WRITABLE != 0 })
    }

    /// As the bits of the C API.
    pub fn bits(self) -> i32 {
        i32::from(self.readable) * READABLE + i32::from(self.writable) * WRITABLE
    }

    /// Neither.
    pub fn is_empty(self) -> bool {
        !self.readable && !self.writable
    }

    /// What is in both.
    pub fn and(self, other: Self) -> Self {
        Self { readable: self.readable && other.readable, writable: self.writable && other.writable }
    }
}

/// A source that became ready: the handle given when it was watched.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// The handle of what watches it, possibly stale by now.
    pub key: Word,
    /// What it is ready for.
    pub readiness: Readiness,
    /// The peer sends no more, or there is an error.
    pub ended: bool,
}

/// Wakes a poll that waits; from any thread.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// What the reactor needs of an operating system. Calls are for the reactor's thread; none calls back.
pub trait Driver: Sockets {
    /// The monotonic time in nanoseconds.
    fn now(&self) -> u64;
    /// Waits at most `wait` nanoseconds (None: without limit) and adds what became ready. Interrupted waits end early and are no error.
    fn poll(&self, wait: Option<u64>, ready: &mut Vec<Ready>) -> Result;
    /// What ends a wait from another thread.
    fn waker(&self) -> Waker;
    /// Reports readiness of `socket` once for each edge, under `key`.
    fn watch(&self, socket: Socket, key: Word, interest: Readiness) -> Result;
    /// The same with another interest; what is ready now is reported again.
    fn rewatch(&self, socket: Socket, key: Word, interest: Readiness) -> Result;
    /// Reports no more.
    fn unwatch(&self, socket: Socket) -> Result;
    /// A descriptor that is readable when a poll would find something.
    fn backend(&self) -> Result<Socket>;
    /// Makes the backend readable after `wait` nanoseconds; None: not by time.
    fn arm(&self, wait: Option<u64>);
    /// Whether a poll of a simulated driver would find something; real ones are polled to find out.
    fn would_report(&self) -> bool {
        false
    }
    /// The world, when it is a simulated one.
    fn world(&self) -> Option<&World> {
        None
    }
}
