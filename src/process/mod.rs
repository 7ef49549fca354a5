//! Child processes: each is one handle from its start to the end of its last pipe.
//!
//! `start` makes them, `pipes` are their descriptors at this end, `ending` is how they are signalled and waited for, and
//! `run` collects what one writes. Each child is waited for by itself: by its descriptor where the system has those, else
//! by a thread that waits for its number alone. `orphans` are those that nobody is told of any more.

pub mod ending;
mod orphans;
pub mod output;
pub mod pipes;
pub mod run;
pub mod signals;
pub mod start;

use crate::deferred::failure;
use crate::driver::Ready;
use crate::handles::{Body, Item, Kind, Word};
use crate::platform::{Child, Exit};
use crate::reactor::{Reactor, ReactorItem, Served};
use crate::status::{Result, Status};
use pipes::Pipe;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// What is so about a process.
pub(crate) mod flag {
    /// `made` was told.
    pub const MADE: u32 = 1;
    /// It was waited for.
    pub const EXITED: u32 = 1 << 1;
    /// `exited` was told.
    pub const TOLD: u32 = 1 << 2;
    /// Its end is about to be told.
    pub const ENDING: u32 = 1 << 3;
    /// It leads a group.
    pub const LEADS: u32 = 1 << 4;
    /// Its group is killed with it.
    pub const KILL_GROUP: u32 = 1 << 5;
    /// It is killed when its scope or its reactor ends.
    pub const KILL_AT_END: u32 = 1 << 6;
    /// Its time was up.
    pub const TIMED_OUT: u32 = 1 << 7;
    /// Nobody is told of it any more; it is still waited for.
    pub const ORPHAN: u32 = 1 << 8;
    /// Its descriptors 0, 1 and 2 are one terminal.
    pub const TERMINAL: u32 = 1 << 9;
}

/// What the owner of a process wants to be told; the layer above knows how. Nothing is borrowed while it is told.
pub trait Protocol {
    /// All goes into the queue of events, with this tag.
    fn tag(&self) -> Option<u64>;
    /// The process runs.
    fn made(&self, process: Item<Process>);
    /// It has written to this descriptor of its own.
    fn received(&self, process: Item<Process>, child_fd: i32, data: &[u8]);
    /// The pipe at this descriptor is closed.
    fn pipe_lost(&self, process: Item<Process>, child_fd: i32, reason: Word);
    /// It has ended.
    fn exited(&self, process: Item<Process>, reason: Word);
    /// It has ended, and all its pipes are closed.
    fn ended(&self, process: Item<Process>, reason: Word);
}

/// See the module.
#[derive(Default)]
pub struct Process {
    child: RefCell<Option<Child>>,
    pid: Cell<i32>,
    flags: Cell<u32>,
    scope: Cell<u32>,
    exit: Cell<Option<Exit>>,
    /// How messages name it.
    name: RefCell<String>,
    /// Why it has ended; a failure that it holds.
    reason: Cell<Word>,
    pipes: RefCell<Vec<Pipe>>,
    /// Ends it when its time is up, and kills it when it has not ended in spite of a signal.
    limit: Cell<Word>,
    killer: Cell<Word>,
    /// How long it may go on after it was asked to end; None: for ever.
    kill_after: Cell<Option<u64>>,
    protocol: RefCell<Option<Rc<dyn Protocol>>>,
}

impl Body for Process {
    const KIND: Kind = Kind::Process;
    type Root = Reactor;
    type Beside = ();

    fn end(process: Item<Self>) {
        ending::end(process);
    }
}

impl Served for Process {
    fn ready(_: ReactorItem, process: Item<Self>, ready: Ready) {
        if !process.has(flag::ORPHAN) {
            process.tell_made();
        }
        if ready.readiness.readable {
            ending::reap(process);
        }
    }

    fn finish(process: Item<Self>) {
        ending::finish(process);
    }

    fn close(process: Item<Self>) {
        if let Some(child) = process.child.take().filter(|_| !process.has(flag::EXITED)) {
            orphans::add(child);
        }
    }
}

impl Process {
    fn has(&self, flag: u32) -> bool {
        self.flags.get() & flag != 0
    }

    fn set(&self, flag: u32) {
        self.flags.set(self.flags.get() | flag);
    }

    /// Its number; the system may give it to another process once it has ended.
    pub fn pid(&self) -> i32 {
        self.pid.get()
    }

    /// How it has ended; None: it has not, as far as is known.
    pub fn exit(&self) -> Option<Exit> {
        self.exit.get()
    }

    /// How messages name it.
    fn described(&self) -> String {
        format!("{} (process {})", self.name.borrow(), self.pid())
    }
}

impl Item<Process> {
    /// Calls one of the protocol's functions, in the scope of the process.
    fn tell(self, call: impl FnOnce(&dyn Protocol)) {
        let protocol = self.protocol.borrow().clone();
        if let Some(protocol) = protocol {
            let reactor = self.root();
            let _out = reactor.call_out();
            reactor.in_scope(self.scope.get(), || call(&*protocol));
        }
    }

    /// Before anything else is told.
    fn tell_made(self) {
        if !self.has(flag::MADE) {
            self.set(flag::MADE);
            self.tell(|protocol| protocol.made(self));
        }
    }

    /// Refuses what has ended.
    pub fn check_running(self) -> Result {
        if self.has(flag::EXITED) {
            return Err(Status::ERR_CLOSED.because(format_args!("{} has ended", self.described())));
        }
        Ok(())
    }
}

/// Cleans up after what has failed; the words that it has left for the caller are kept.
fn keep_words<R>(done: Result<R>, clean_up: impl FnOnce()) -> Result<R> {
    done.map_err(|why| {
        let words = crate::status::detail_of(why);
        clean_up();
        words.map_or(why, |words| why.because(words))
    })
}

/// Its slot is free from here on, and what it owned is freed.
fn free(process: Item<Process>) {
    let reactor = process.root();
    ending::stop_timers(process);
    let _ = failure::release(process.reason.replace(Word::NULL));
    let owned = (process.child.take(), process.protocol.take());
    process.pipes.take();
    process.name.take();
    if !process.has(flag::ORPHAN) {
        reactor.processes.set(reactor.processes.get() - 1);
    }
    let scope = process.scope.get();
    let _out = reactor.call_out();
    reactor.pools.free(process);
    reactor.in_scope(scope, || drop(owned));
}
