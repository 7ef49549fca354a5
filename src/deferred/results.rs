//! What a list of Deferreds gives: for each, a value or a failure.

use super::failure;
use crate::handles::{self, Body, FreeFn, Item, Kind, Owned, Word};
use crate::reactor::{Reactor, ReactorItem};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};

/// One element's result.
#[derive(Default)]
pub struct OneResult {
    /// The value; empty for a failure.
    pub value: Owned,
    /// The failure, held; empty for a value.
    pub failure: Owned,
    /// Whether it has come.
    pub done: bool,
}

/// See the module.
#[derive(Default)]
pub struct Results {
    items: RefCell<Vec<OneResult>>,
    index: Cell<i64>,
    /// They were taken from their Deferred: the host frees them.
    taken: Cell<bool>,
}

impl Body for Results {
    const KIND: Kind = Kind::Results;
    type Root = Reactor;
    type Beside = ();

    fn end(results: Item<Self>) {
        free(results);
    }
}

/// Results as a value: freed with it.
pub fn make(reactor: ReactorItem, items: Vec<OneResult>, index: i64) -> Result<Owned> {
    let results = reactor.pools.alloc::<Results>()?;
    *results.items.borrow_mut() = items;
    results.index.set(index);
    results.taken.set(false);
    const FREE: FreeFn = free_word;
    Ok(Owned::new(results.word(), Some(FREE)))
}

extern "C-unwind" fn free_word(word: Word) {
    if let Ok(results) = handles::get::<Results>(word) {
        free(results);
    }
}

/// The value was taken from its Deferred; if it is results, the host has to free them.
pub fn note_taken(word: Word, free: Option<FreeFn>) {
    if let Some(results) = free.and_then(|_| handles::get::<Results>(word).ok()) {
        results.taken.set(true);
    }
}

/// Frees results that were taken from their Deferred.
pub fn free_taken(results: Item<Results>) -> Result {
    if !results.taken.get() {
        return Err(Status::ERR_INVALID_STATE.because("the results are their Deferred's; take them to free them"));
    }
    free(results);
    Ok(())
}

/// Frees the results, and the values that nobody took.
pub fn free(results: Item<Results>) {
    let reactor = results.root();
    let items = results.items.take();
    reactor.pools.free(results);
    let _out = reactor.call_out();
    drop(items);
}

impl Results {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.items.borrow().len()
    }

    /// Which element it was: of a race or a first success; else -1.
    pub fn index(&self) -> i64 {
        self.index.get()
    }

    fn with<R>(&self, index: usize, read: impl FnOnce(&mut OneResult) -> R) -> Result<R> {
        let mut items = self.items.borrow_mut();
        let count = items.len();
        let out = || Status::ERR_INVALID_ARGUMENT.because(format_args!("index {index} of {count} results"));
        items.get_mut(index).map(read).ok_or_else(out)
    }

    /// Whether the element has a value.
    pub fn is_success(&self, index: usize) -> Result<bool> {
        self.with(index, |one| one.done && one.failure.word().is_null())
    }

    /// The element's value; still the results'.
    pub fn value(&self, index: usize) -> Result<Word> {
        self.with(index, |one| one.value.word())
    }

    /// The element's failure; null if it has a value.
    pub fn failure(&self, index: usize) -> Result<Word> {
        self.with(index, |one| one.failure.word())
    }

    /// The element's value, the caller's from here on.
    pub fn take(&self, index: usize) -> Result<Word> {
        let (word, free) = self.with(index, |one| std::mem::take(&mut one.value).into_parts())?;
        note_taken(word, free);
        Ok(word)
    }
}

/// A held failure as one result.
pub(super) fn failed(word: Word) -> OneResult {
    OneResult { value: Owned::default(), failure: failure::owned(word), done: true }
}
