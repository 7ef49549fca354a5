//! A queue of values between those who put and those who get.

use super::chain::{abandon, callback, errback, new_inside};
use super::failure;
use super::slot::*;
use crate::handles::{self, Body, Item, Kind, Owned, Word};
use crate::reactor::{Reactor, ReactorItem, scopes};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

/// `lariat_queue`
#[derive(Default)]
pub struct Queue {
    values: RefCell<VecDeque<Owned>>,
    waiting: RefCell<VecDeque<Word>>,
    max_size: Cell<Option<usize>>,
    max_backlog: Cell<Option<usize>>,
}

impl Body for Queue {
    const KIND: Kind = Kind::Queue;
    type Root = Reactor;
    type Beside = ();

    fn end(queue: Item<Self>) {
        free(queue);
    }
}

/// A new queue; None: no limit.
pub fn open(reactor: ReactorItem, max_size: Option<usize>, max_backlog: Option<usize>) -> Result<Item<Queue>> {
    let queue = reactor.pools.alloc::<Queue>()?;
    if reactor.scope.get() != 0 {
        scopes::join(reactor, reactor.scope.get(), queue.word()).inspect_err(|_| reactor.pools.free(queue))?;
    }
    queue.max_size.set(max_size);
    queue.max_backlog.set(max_backlog);
    Ok(queue)
}

/// Gives the value to whoever waits longest, or keeps it.
pub fn put(queue: Item<Queue>, value: Owned) -> Result {
    let next = queue.waiting.borrow_mut().pop_front();
    if let Some(deferred) = next.and_then(|next| handles::get::<Deferred>(next).ok()) {
        return callback(deferred, value);
    }
    let mut values = queue.values.borrow_mut();
    if queue.max_size.get().is_some_and(|max| values.len() >= max) {
        return Err(Status::ERR_QUEUE_OVERFLOW);
    }
    values.try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
    values.push_back(value);
    Ok(())
}

/// A Deferred that fires with the next value.
pub fn get(queue: Item<Queue>) -> Result<DeferredItem> {
    if queue.values.borrow().is_empty() {
        let full = |max| queue.waiting.borrow().len() >= max;
        if queue.max_backlog.get().is_some_and(full) {
            return Err(Status::ERR_QUEUE_UNDERFLOW);
        }
        queue.waiting.borrow_mut().try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
    }
    let deferred = new_inside(queue.root(), stop_waiting, queue.word())?;
    let value = queue.values.borrow_mut().pop_front();
    match value {
        Some(value) => callback(deferred, value)?,
        None => queue.waiting.borrow_mut().push_back(deferred.word()),
    }
    Ok(deferred)
}

extern "C-unwind" fn stop_waiting(deferred: Word, queue: Word) {
    if let Ok(queue) = handles::get::<Queue>(queue) {
        queue.waiting.borrow_mut().retain(|waiting| *waiting != deferred);
    }
    if let Ok(deferred) = handles::get::<Deferred>(deferred) {
        let _ = abandon(deferred);
    }
}

impl Queue {
    /// Values that wait to be got.
    pub fn size(&self) -> usize {
        self.values.borrow().len()
    }

    /// Deferreds that wait for a value.
    pub fn backlog(&self) -> usize {
        self.waiting.borrow().len()
    }
}

/// Ends it: those who wait fail with `LARIAT_ERR_CLOSED`, the values in it are freed.
pub fn free(queue: Item<Queue>) {
    let reactor = queue.root();
    let (values, waiting) = (queue.values.take(), queue.waiting.take());
    reactor.pools.free(queue);
    for word in waiting {
        if let Ok(deferred) = handles::get::<Deferred>(word) {
            let _ = errback(deferred, failure::of_status(reactor, Status::ERR_CLOSED));
        }
    }
    let _out = reactor.call_out();
    drop(values);
}
