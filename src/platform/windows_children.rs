//! Child processes on Windows: there are none yet.

use super::Socket;
use super::command::{Command, Exit, FileUse, SpawnError};
use std::ffi::CStr;
use std::io::{self, ErrorKind};

/// A child; none can be made.
#[derive(Debug)]
pub enum Child {}

impl Child {
    /// Its number.
    pub fn id(&self) -> i32 {
        match *self {}
    }

    /// What is readable when it has ended.
    pub fn descriptor(&self) -> Option<Socket> {
        match *self {}
    }

    /// Whether it has ended, which is then known once.
    pub fn try_wait(&self) -> Option<Exit> {
        match *self {}
    }

    /// Whether it has ended, with its number still its own.
    pub fn has_ended(&self) -> bool {
        match *self {}
    }

    /// Sends it a signal.
    pub fn signal(&self, _signal: i32) -> io::Result<()> {
        match *self {}
    }

    /// Sends a signal to all of the group that it leads.
    pub fn signal_group(&self, _signal: i32, _is_alive: bool) -> io::Result<()> {
        match *self {}
    }

    /// Waits at most so many milliseconds for it to end.
    pub fn wait_at_most(&self, _milliseconds: i32) -> Option<Exit> {
        match *self {}
    }
}

/// A child that its reactor did not outlive; there are none.
#[derive(Clone, Copy, Debug)]
pub struct Orphan;

impl Orphan {
    /// What is left of a child when it is let go of.
    pub fn new(_child: &Child) -> Self {
        Self
    }

    /// Waits for it if it has ended.
    pub fn is_over(&self) -> bool {
        true
    }
}

fn unsupported<T>() -> io::Result<T> {
    Err(io::Error::new(ErrorKind::Unsupported, "not on Windows"))
}

/// Starts a child.
pub fn spawn(_command: &Command) -> Result<Child, SpawnError> {
    Err(io::Error::new(ErrorKind::Unsupported, "not on Windows").into())
}

/// Waits, on a thread of its own, until a child has ended.
pub fn wait_on_thread(_pid: i32, _then: impl FnOnce() + Send + 'static) -> io::Result<()> {
    unsupported()
}

/// A pipe.
pub fn pipe() -> io::Result<(Socket, Socket)> {
    unsupported()
}

/// A new pseudo-terminal.
pub fn open_terminal(_columns: u16, _rows: u16) -> io::Result<(Socket, Socket)> {
    unsupported()
}

/// Opens a file for a child to have.
pub fn open_for_child(_path: &CStr, _to: FileUse) -> io::Result<Socket> {
    unsupported()
}

/// Has calls on a new description not block.
pub fn set_non_blocking(_descriptor: Socket) -> io::Result<()> {
    unsupported()
}

/// Whether there is a file at this path.
pub fn is_there(_path: &CStr) -> bool {
    false
}

/// What PATH says where nobody says it.
pub const DEFAULT_PATH: &[u8] = b"";

/// An environment variable of our own.
pub fn variable(_name: &str) -> Option<Vec<u8>> {
    None
}

/// The signal that asks a process to end.
pub const SIGTERM: i32 = 15;
/// The signal that ends a process.
pub const SIGKILL: i32 = 9;
