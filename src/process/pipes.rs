//! The descriptors of a child at this end: streams, each a part of its process.

use super::{Process, Protocol, ending, flag};
use crate::driver::Readiness;
use crate::handles::{self, Item, Owned, Word};
use crate::net::out::OwnDescriptor;
use crate::net::protocol::{self as stream, Whole};
use crate::net::transport::Transport;
use crate::net::{self, plain, writing};
use crate::platform;
use crate::status::{Result, Status};
use std::any::Any;
use std::rc::Rc;

/// One descriptor of a child that is a stream here.
#[derive(Clone, Copy)]
pub struct Pipe {
    /// Its number in the child.
    pub child_fd: i32,
    /// The stream; null once it is closed.
    pub transport: Word,
}

/// What a stream is to its process.
struct Part {
    process: Word,
    child_fd: i32,
}

impl Whole for Part {
    fn received(&self, _transport: Item<Transport>, data: &[u8]) {
        if let Ok(process) = handles::get::<Process>(self.process) {
            process.tell_made();
            process.tell(|protocol| protocol.received(process, self.child_fd, data));
        }
    }

    fn source(&self) -> (Word, i32) {
        (self.process, self.child_fd)
    }

    fn as_any(self: Rc<Self>) -> Rc<dyn Any> {
        self
    }
}

/// Makes a stream of this end of a pipe or a terminal.
pub(super) fn open(
    process: Item<Process>,
    child_fd: i32,
    descriptor: OwnDescriptor,
    ways: Readiness,
    protocol: &dyn Protocol,
) -> Result {
    let word = process.word();
    let name = format!("{}, descriptor {child_fd}", process.name.borrow());
    platform::set_non_blocking(descriptor.0).map_err(|why| net::error::refused(&name, &why))?;
    let whole: Rc<dyn Whole> = Rc::new(Part { process: word, child_fd });
    let of_stream = stream::Protocol { events: protocol.tag(), whole: Some(whole), ..stream::Protocol::default() };
    let transport = plain::open(process.root(), descriptor.0, name, ways, Rc::new(of_stream), Owned::default())?;
    process.pipes.borrow_mut().push(Pipe { child_fd, transport: transport.word() });
    plain::when_ended(transport, Box::new(move |_, reason| lost(word, child_fd, reason)))
}

/// Lets go of the streams of a child that could not be started.
pub(super) fn discard(process: Item<Process>) {
    for pipe in process.pipes.take() {
        if let Ok(transport) = handles::get::<Transport>(pipe.transport) {
            plain::discard(transport);
        }
    }
}

/// A stream is over.
fn lost(process: Word, child_fd: i32, reason: Word) {
    let Ok(process) = handles::get::<Process>(process) else { return };
    let mut pipes = process.pipes.borrow_mut();
    pipes.iter_mut().filter(|pipe| pipe.child_fd == child_fd).for_each(|pipe| pipe.transport = Word::NULL);
    drop(pipes);
    process.tell_made();
    process.tell(|protocol| protocol.pipe_lost(process, child_fd, reason));
    if process.is_alive() {
        ending::note_if_over(process);
    }
}

/// Whether all are closed.
pub(super) fn all_closed(process: Item<Process>) -> bool {
    process.pipes.borrow().iter().all(|pipe| pipe.transport.is_null())
}

/// Those that are open.
pub(super) fn opened(process: Item<Process>) -> Vec<Item<Transport>> {
    let pipes = process.pipes.borrow();
    pipes.iter().filter_map(|pipe| handles::get::<Transport>(pipe.transport).ok()).collect()
}

/// The stream at a descriptor of the child.
pub fn transport(process: Item<Process>, child_fd: i32) -> Result<Item<Transport>> {
    let number = if process.has(flag::TERMINAL) && (0..3).contains(&child_fd) { 1 } else { child_fd };
    let pipe = process.pipes.borrow().iter().find(|pipe| pipe.child_fd == number).copied();
    let Some(pipe) = pipe else {
        let why = format_args!("{} has no pipe at descriptor {child_fd}", process.described());
        return Err(Status::ERR_INVALID_ARGUMENT.because(why));
    };
    handles::get(pipe.transport).map_err(|_| {
        let why = format_args!("{}: the pipe at its descriptor {child_fd} is closed", process.described());
        Status::ERR_CLOSED.because(why)
    })
}

/// Writes to a descriptor of the child.
pub fn write(process: Item<Process>, child_fd: i32, data: &[u8]) -> Result {
    writing::write(transport(process, child_fd)?, data)
}

/// Closes the pipe at a descriptor of the child, once all is written.
pub fn close(process: Item<Process>, child_fd: i32) -> Result {
    net::ending::lose(transport(process, child_fd)?)
}

/// Closes all pipes, once all is written.
pub fn close_all(process: Item<Process>) {
    for transport in opened(process) {
        // One that is over already has its end to be told.
        let _ = net::ending::lose(transport);
    }
}
