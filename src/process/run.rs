//! A process whose output is collected: a Deferred fires with it when it is over.

use super::output::{self, Written};
use super::start::{self, How, What};
use super::{Process, Protocol, ending, keep_words, pipes};
use crate::deferred::failure::{self, Failure};
use crate::deferred::{Deferred, DeferredItem, chain, later};
use crate::handles::{self, Item, Word};
use crate::net::error;
use crate::reactor::ReactorItem;
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// More than this is not collected, unless it is asked for.
pub const MOST: u64 = 64 * 1024 * 1024;

/// What was collected, and for whom.
struct Collector {
    deferred: Cell<Word>,
    written: RefCell<Written>,
    most: u64,
    left: Cell<u64>,
}

impl Protocol for Collector {
    fn tag(&self) -> Option<u64> {
        None
    }

    fn made(&self, _process: Item<Process>) {}

    fn received(&self, process: Item<Process>, child_fd: i32, data: &[u8]) {
        let Ok(deferred) = self.deferred() else { return };
        let left = self.left.get().checked_sub(data.len() as u64);
        let kept = left.is_some() && self.keep(child_fd, data);
        match left {
            Some(left) if kept => self.left.set(left),
            _ => {
                let (status, why) = if left.is_none() {
                    (Status::ERR_LIMIT, format!("it has written more than {} bytes", self.most))
                } else {
                    (Status::ERR_NO_MEMORY, "no memory for what it writes".to_owned())
                };
                self.deferred.set(Word::NULL);
                self.written.take();
                end_it(process, Some(0));
                let why = error::failure(process.root(), status, format!("{}: {why}", process.described()), None);
                let _ = chain::errback(deferred, why);
            }
        }
    }

    fn pipe_lost(&self, _process: Item<Process>, _child_fd: i32, _reason: Word) {}

    fn exited(&self, _process: Item<Process>, _reason: Word) {}

    fn ended(&self, process: Item<Process>, reason: Word) {
        let Ok(deferred) = self.deferred() else { return };
        if process.root().check_open().is_err() {
            // It is cancelled by the same end.
            return;
        }
        self.deferred.set(Word::NULL);
        let code = handles::get::<Failure>(reason).map_or(Status::ERR_NO_MEMORY.0, |failure| failure.code());
        if code != Status::PROCESS_DONE.0 && code != Status::ERR_PROCESS_TERMINATED.0 {
            let _ = chain::errback(deferred, failure::keep(reason));
            return;
        }
        let reactor = process.root();
        let _ = match output::make(reactor, self.written.take(), process.exit()) {
            Ok(value) => chain::callback(deferred, value),
            Err(why) => chain::errback(deferred, failure::of_status(reactor, why)),
        };
    }
}

impl Collector {
    fn deferred(&self) -> Result<DeferredItem> {
        handles::get::<Deferred>(self.deferred.get())
    }

    /// False: there is no memory for it.
    fn keep(&self, child_fd: i32, data: &[u8]) -> bool {
        let mut written = self.written.borrow_mut();
        let Some((_, kept)) = written.iter_mut().find(|(number, _)| *number == child_fd) else { return false };
        let there = kept.try_reserve(data.len()).is_ok();
        if there {
            kept.extend_from_slice(data);
        }
        there
    }
}

/// Nobody wants it any more.
fn end_it(process: Item<Process>, grace: Option<u64>) {
    let _ = ending::terminate(process, grace);
    ending::abort_pipes(process);
}

/// Runs a process with this input, and collects what it writes, `most` bytes at most.
pub fn run(reactor: ReactorItem, mut how: How, input: &[u8], most: u64) -> Result<DeferredItem> {
    reactor.check_system("child processes")?;
    how.kill_at_end = true;
    if !input.is_empty() && !how.descriptors.iter().any(|(number, what)| *number == 0 && matches!(what, What::PipeIn)) {
        let why = "there is input, but descriptor 0 is not a pipe that the process reads";
        return Err(Status::ERR_INVALID_ARGUMENT.because(why));
    }
    let pipes_in = how.descriptors.iter().filter(|(_, what)| matches!(what, What::PipeIn));
    let reads = pipes_in.map(|(number, _)| *number).collect::<Vec<_>>();
    let mut numbers = how.descriptors.iter().filter(|(_, what)| matches!(what, What::PipeOut)).map(|(n, _)| *n);
    let mut written = numbers.by_ref().map(|number| (number, Vec::new())).collect::<Written>();
    if how.terminal.is_some() {
        written.push((1, Vec::new()));
    }
    let deferred = chain::new_inside(reactor, give_up, Word::NULL)?;
    let collector =
        Collector { deferred: Cell::new(deferred.word()), written: RefCell::new(written), most, left: Cell::new(most) };
    let process = keep_words(start::start(reactor, how, Rc::new(collector)), || later::discard(deferred))?;
    chain::set_canceller_data(deferred, process.word());
    if !input.is_empty() {
        // One that does not read it all may be right.
        let _ = pipes::write(process, 0, input);
    }
    for number in reads {
        let _ = pipes::close(process, number);
    }
    Ok(deferred)
}

extern "C-unwind" fn give_up(deferred: Word, process: Word) {
    if let Ok(process) = handles::get::<Process>(process) {
        end_it(process, process.kill_after.get());
    }
    if let Ok(deferred) = handles::get::<Deferred>(deferred) {
        let _ = chain::abandon(deferred);
    }
}
