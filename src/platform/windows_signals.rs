//! Windows has no signals that could be watched.

use super::Socket;
use std::convert::Infallible;
use std::io;

/// There is never one.
pub struct SignalReceiver(Infallible);

impl SignalReceiver {
    /// Refuses.
    pub fn new() -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "there are no signals on Windows"))
    }

    /// What becomes readable.
    pub fn descriptor(&self) -> Socket {
        match self.0 {}
    }

    /// Counts this signal from here on.
    pub fn want(&self, _number: i32) -> io::Result<()> {
        match self.0 {}
    }

    /// Counts it no more.
    pub fn forgo(&self, _number: i32) {
        match self.0 {}
    }

    /// Calls for each signal that has come.
    pub fn take(&self, _tell: impl FnMut(i32, u64)) {
        match self.0 {}
    }
}

/// Whatever the number: the receiver says why.
pub fn unwatchable_signal(_number: i32) -> Option<String> {
    None
}
