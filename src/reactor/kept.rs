//! What a turn keeps for later: readiness that was not used up, things that were written to, and things that have ended.

use super::{Reactor, ReactorItem};
use crate::driver::Ready;
use crate::handles::Word;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

/// See the module.
#[derive(Default)]
pub struct Kept {
    /// Something is in one of the lists.
    any: Cell<bool>,
    again: RefCell<Vec<Ready>>,
    written: RefCell<Vec<Word>>,
    ended: RefCell<VecDeque<Word>>,
}

impl Kept {
    pub(super) fn clear(&self) {
        self.any.set(false);
        self.again.take();
        self.written.take();
        self.ended.take();
    }
}

impl Reactor {
    /// Has this readiness reported again by the next turn, and that one not wait: the driver tells of edges alone.
    pub fn ready_again(&self, ready: Ready) {
        self.kept.any.set(true);
        self.kept.again.borrow_mut().push(ready);
        self.work_added();
    }

    /// Has what was written go out before the turn ends, or waits.
    #[inline]
    pub fn note_written(&self, thing: Word) {
        self.kept.any.set(true);
        self.kept.written.borrow_mut().push(thing);
        self.work_added();
    }

    /// Has the end of a thing delivered when the turn ends.
    pub fn note_ended(&self, thing: Word) {
        self.kept.any.set(true);
        self.kept.ended.borrow_mut().push_back(thing);
        self.work_added();
    }

    /// Whether any of it waits.
    #[inline]
    pub(super) fn keeps_something(&self) -> bool {
        self.kept.any.get()
    }

    /// Readiness kept for this turn is added to what the poll found.
    pub(super) fn take_again(&self, ready: &mut Vec<Ready>) {
        ready.append(&mut self.kept.again.borrow_mut());
    }

    /// Notes that the lists are empty, if they are.
    pub(super) fn forget_if_empty(&self) {
        let kept = &self.kept;
        let empty =
            kept.again.borrow().is_empty() && kept.written.borrow().is_empty() && kept.ended.borrow().is_empty();
        kept.any.set(!empty);
    }

    pub(super) fn has_ended(&self) -> bool {
        !self.kept.ended.borrow().is_empty()
    }
}

/// Sends what was written. What the sending has written goes out too.
pub(super) fn flush(reactor: ReactorItem) {
    let Some(flush) = reactor.above.flush.get() else { return };
    loop {
        // In the order written. What is written meanwhile comes in the next round.
        let written = reactor.kept.written.take();
        if written.is_empty() {
            return;
        }
        for &thing in &written {
            flush(reactor, thing);
        }
        if reactor.is_poisoned() {
            return;
        }
        let mut list = reactor.kept.written.borrow_mut();
        if list.is_empty() {
            // Its memory is used again.
            *list = written;
            list.clear();
        }
    }
}

/// Delivers one end; false: there was none.
pub(super) fn finish_one(reactor: ReactorItem) -> bool {
    let ended = reactor.kept.ended.borrow_mut().pop_front();
    let Some(ended) = ended else { return false };
    if let Some(of_kind) = reactor.above.by_kind.of(ended) {
        (of_kind.finish)(ended);
    }
    true
}
