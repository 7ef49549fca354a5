//! The two ends of a connection as h2 wants them, tokio's traits, over memory: no socket, no runtime.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What came and was not read yet, and what was written and did not go yet.
#[derive(Default)]
pub struct Buffers {
    input: RefCell<Vec<u8>>,
    /// So much of the input was read.
    read: Cell<usize>,
    /// The peer sends no more.
    ended: Cell<bool>,
    output: RefCell<Vec<u8>>,
    /// No more than this waits in the output.
    room: Cell<usize>,
}

impl Buffers {
    pub fn push(&self, data: &[u8]) -> io::Result<()> {
        let mut input = self.input.borrow_mut();
        input.drain(..self.read.take());
        input.try_reserve(data.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        input.extend_from_slice(data);
        Ok(())
    }

    pub fn end(&self) {
        self.ended.set(true);
    }

    /// Bytes that came and were not read, since there is no room for what they would be answered with.
    pub fn unread(&self) -> usize {
        self.input.borrow().len() - self.read.get()
    }

    pub fn set_room(&self, room: usize) {
        self.room.set(room);
    }

    /// What was written; `spare` is written to next, so that its memory is used again.
    pub fn take_output(&self, mut spare: Vec<u8>) -> Vec<u8> {
        spare.clear();
        self.output.replace(spare)
    }

    pub fn has_output(&self) -> bool {
        !self.output.borrow().is_empty()
    }
}

/// h2's end of the buffers.
pub struct Pipe(pub Rc<Buffers>);

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let buffers = &self.0;
        let mut input = buffers.input.borrow_mut();
        let from = buffers.read.get();
        let length = into.remaining().min(input.len() - from);
        if length == 0 && !buffers.ended.get() {
            return Poll::Pending;
        }
        into.put_slice(&input[from..from + length]);
        buffers.read.set(from + length);
        if from + length == input.len() {
            input.clear();
            buffers.read.set(0);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(data)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut output = self.0.output.borrow_mut();
        let mut room = self.0.room.get().saturating_sub(output.len());
        if room == 0 && parts.iter().any(|part| !part.is_empty()) {
            return Poll::Pending;
        }
        let mut written = 0;
        for part in parts {
            let part = &part[..part.len().min(room)];
            output.try_reserve(part.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
            output.extend_from_slice(part);
            written += part.len();
            room -= part.len();
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
