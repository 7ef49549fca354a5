//! Windows: pipes and consoles are no streams here yet, only sockets are.

use super::Socket;
use std::io::{self, IoSlice};

/// What a descriptor is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "as on Unix")]
pub enum Sort {
    Pipe,
    Terminal,
    Socket,
    File,
    Disk,
    Directory,
    Other,
}

/// A descriptor, as it was opened.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "as on Unix")]
pub struct Opened {
    pub sort: Sort,
    pub readable: bool,
    pub writable: bool,
    pub non_blocking: bool,
    pub in_packets: bool,
}

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

/// How a path is opened.
#[derive(Clone, Copy, Default)]
#[expect(missing_docs, reason = "as on Unix")]
pub struct Opening {
    pub read: bool,
    pub write: bool,
    pub append: bool,
    pub create: bool,
    pub exclusive: bool,
    pub truncate: bool,
}

/// Refuses.
pub fn open_path(_path: &[u8], _opening: Opening) -> io::Result<Socket> {
    unsupported()
}

/// Refuses.
pub fn make_pipe(_path: &[u8], _mode: u32) -> io::Result<()> {
    unsupported()
}

/// Refuses.
pub fn seek(_file: Socket, _offset: u64) -> io::Result<()> {
    unsupported()
}

/// None is, so far.
pub fn is_terminal(_descriptor: Socket) -> bool {
    false
}

/// Refuses.
pub fn look_at(_descriptor: Socket) -> io::Result<Opened> {
    unsupported()
}

/// Never called.
pub fn is_always_ready(_descriptor: Socket) -> bool {
    false
}

/// Refuses.
pub fn reopen(_descriptor: Socket, _opened: Opened, _readable: bool, _writable: bool) -> io::Result<Socket> {
    unsupported()
}

/// Never called.
pub fn has_no_reader(_pipe: Socket) -> bool {
    false
}

/// The error of writing where nobody reads.
pub fn broken_pipe() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

/// Never called.
pub fn unread_in(_pipe: Socket) -> usize {
    0
}

/// Never called.
pub fn is_hung_up(_error: &io::Error) -> bool {
    false
}

/// Refuses.
pub fn read(_descriptor: Socket, _buffer: &mut [u8]) -> io::Result<usize> {
    unsupported()
}

/// Refuses.
pub fn read_at_once(_descriptor: Socket, _buffer: &mut [u8]) -> io::Result<usize> {
    unsupported()
}

/// Refuses.
pub fn write_at_once(_descriptor: Socket, _parts: &[IoSlice<'_>]) -> io::Result<usize> {
    unsupported()
}

/// Refuses.
pub fn write(_descriptor: Socket, _parts: &[IoSlice<'_>]) -> io::Result<usize> {
    unsupported()
}

/// Refuses.
pub fn receive_at_once(_socket: Socket, _buffer: &mut [u8]) -> io::Result<usize> {
    unsupported()
}

/// Refuses.
pub fn send_at_once(_socket: Socket, _parts: &[IoSlice<'_>]) -> io::Result<usize> {
    unsupported()
}

/// Never called.
pub fn poll_now(_socket: Socket, readable: bool, writable: bool) -> (bool, bool) {
    (readable, writable)
}
