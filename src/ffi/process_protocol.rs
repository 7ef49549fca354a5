//! What the owner of a child process wants to be told.

use super::convert;
use super::guard;
use super::status::lariat_status;
use super::structs::{self, Versioned, fields};
use super::types::*;
use crate::deferred::failure;
use crate::handles::{self, ChildDataFn, ChildLostFn, Item, LostFn, Owned, TransportFn, Word};
use crate::process::{Process, Protocol};
use crate::reactor::events::{self, Event};
use crate::status::Result;
use std::ffi::c_void;
use std::rc::Rc;

/// Told that a process runs, on the reactor's thread.
///
/// process  the process.
/// self     as given when it was started.
pub type lariat_process_fn = Option<extern "C" fn(process: *mut lariat_process, self_: *mut c_void)>;

/// Told that a process has written something, on the reactor's thread.
///
/// process   the process.
/// child_fd  where it has written: 1 is its standard output, 2 its standard error; 1 of a terminal.
/// data      len bytes, until the function returns.
/// len       at least 1; of a frame also 0.
/// self      as given when it was started.
pub type lariat_child_data_received_fn =
    Option<extern "C" fn(process: *mut lariat_process, child_fd: i32, data: *const u8, len: usize, self_: *mut c_void)>;

/// Told that a pipe of a process is closed, by either side, on the reactor's thread; once for each pipe.
///
/// process   the process, which may still run.
/// child_fd  the number that the pipe has there; 1 of a terminal.
/// reason    LARIAT_CONNECTION_DONE; else why. Valid until the function returns, unless kept.
/// self      as given when it was started.
pub type lariat_child_connection_lost_fn = Option<
    extern "C" fn(process: *mut lariat_process, child_fd: i32, reason: *const lariat_failure, self_: *mut c_void),
>;

/// Told that a process has ended, on the reactor's thread, never from inside the call that ended it, but for the free of
/// the reactor and the end of a scope.
///
/// process  the process: for lariat_process_exit_code and lariat_process_exit_signal.
/// reason   LARIAT_PROCESS_DONE: it has ended with code 0; LARIAT_ERR_PROCESS_TERMINATED: with another code, or by a
///          signal; LARIAT_ERR_TIMED_OUT: at its time limit; LARIAT_ERR_STATUS_UNKNOWN: somebody else has waited for it;
///          LARIAT_ERR_CLOSED: its scope or its reactor ends. Valid until the function returns, unless kept.
/// self     as given when it was started.
pub type lariat_process_over_fn =
    Option<extern "C" fn(process: *mut lariat_process, reason: *const lariat_failure, self_: *mut c_void)>;

/// What the owner of a process wants to be told: to be filled by lariat_process_protocol_init, changed, and given to
/// lariat_reactor_spawn, which copies it. Every function may be NULL.
///
/// Twisted  IProcessProtocol.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_process_protocol {
    /// Set by lariat_process_protocol_init.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// The process runs; comes first, from the loop.
    pub connection_made: lariat_process_fn,
    /// It has written something.
    pub child_data_received: lariat_child_data_received_fn,
    /// A pipe of it is closed.
    pub child_connection_lost: lariat_child_connection_lost_fn,
    /// It has ended; some of its pipes may still be open, and hold what it has written, or be another's, too. Comes once.
    pub process_exited: lariat_process_over_fn,
    /// It has ended, and all its pipes are closed. Comes once, after everything else.
    pub process_ended: lariat_process_over_fn,
    /// Frees self: called exactly once, after all others, or before the call that was to start the process returns NULL.
    pub free_self: lariat_free_fn,
}

// SAFETY: repr(C), begins with struct_size, and holds numbers and optional functions.
unsafe impl Versioned for lariat_process_protocol {
    const FIELDS: &'static [usize] = fields!(lariat_process_protocol:
        struct_size reserved connection_made child_data_received child_connection_lost process_exited process_ended
        free_self);

    fn initial(struct_size: u32) -> Self {
        Self {
            struct_size,
            reserved: 0,
            connection_made: None,
            child_data_received: None,
            child_connection_lost: None,
            process_exited: None,
            process_ended: None,
            free_self: None,
        }
    }
}

/// Fills the protocol of a process with nothing to be told.
///
/// protocol     written.
/// struct_size  sizeof(lariat_process_protocol).
/// thread       any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_process_protocol_init(
    protocol: *mut lariat_process_protocol,
    struct_size: u32,
) -> lariat_status {
    guard::alone(|| structs::init("protocol", protocol, struct_size))
}

/// The functions of C, and self, freed with them.
struct Callbacks {
    made: Option<TransportFn>,
    received: Option<ChildDataFn>,
    pipe_lost: Option<ChildLostFn>,
    exited: Option<LostFn>,
    ended: Option<LostFn>,
    this: Owned,
}

/// The host's protocol as the core has it; self is freed also when it is refused.
pub(super) fn read(protocol: *const lariat_process_protocol, this: *mut c_void) -> Result<Rc<dyn Protocol>> {
    let (read, this) = structs::take_protocol(protocol, this, |read| (read.free_self, read.reserved));
    let read = read?;
    handles::check_memory(size_of::<Callbacks>() + 64)?;
    Ok(Rc::new(Callbacks {
        made: convert::process_fn(read.connection_made),
        received: convert::child_data_fn(read.child_data_received),
        pipe_lost: convert::child_lost_fn(read.child_connection_lost),
        exited: convert::process_over_fn(read.process_exited),
        ended: convert::process_over_fn(read.process_ended),
        this,
    }))
}

impl Protocol for Callbacks {
    fn tag(&self) -> Option<u64> {
        None
    }

    fn made(&self, process: Item<Process>) {
        if let Some(function) = self.made {
            function(process.word(), self.this.word());
        }
    }

    fn received(&self, process: Item<Process>, child_fd: i32, data: &[u8]) {
        if let Some(function) = self.received {
            function(process.word(), child_fd, Word::new(data.as_ptr()), data.len(), self.this.word());
        }
    }

    fn pipe_lost(&self, process: Item<Process>, child_fd: i32, reason: Word) {
        if let Some(function) = self.pipe_lost {
            function(process.word(), child_fd, reason, self.this.word());
        }
    }

    fn exited(&self, process: Item<Process>, reason: Word) {
        if let Some(function) = self.exited {
            function(process.word(), reason, self.this.word());
        }
    }

    fn ended(&self, process: Item<Process>, reason: Word) {
        if let Some(function) = self.ended {
            function(process.word(), reason, self.this.word());
        }
    }
}

/// Queues events with this tag.
pub(super) struct Tagged(pub u64);

impl Tagged {
    fn push(&self, kind: i32, process: Item<Process>, child_fd: i32, reason: Word) {
        let (source, failure) = (process.word(), failure::owned(failure::keep(reason)));
        events::push(process.root(), Event { kind, tag: self.0, source, child_fd, failure, ..Event::default() });
    }
}

impl Protocol for Tagged {
    fn tag(&self) -> Option<u64> {
        Some(self.0)
    }

    fn made(&self, _process: Item<Process>) {}

    /// The stream queues them itself, for it is to pause when the queue is full.
    fn received(&self, _process: Item<Process>, _child_fd: i32, _data: &[u8]) {}

    fn pipe_lost(&self, process: Item<Process>, child_fd: i32, reason: Word) {
        self.push(events::CHILD_CONNECTION_LOST, process, child_fd, reason);
    }

    fn exited(&self, process: Item<Process>, reason: Word) {
        self.push(events::PROCESS_EXITED, process, 0, reason);
    }

    fn ended(&self, process: Item<Process>, reason: Word) {
        self.push(events::PROCESS_ENDED, process, 0, reason);
    }
}
