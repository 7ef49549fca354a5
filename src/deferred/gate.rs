//! Lock and semaphore: a number of tokens, and who waits for one.

use super::chain::{self, Agenda, abandon, callback, errback, new_inside};
use super::failure;
use super::slot::*;
use crate::handles::{self, Body, CallbackFn, Item, Kind, Owned, Word};
use crate::reactor::{Reactor, ReactorItem, scopes};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

/// What lock and semaphore are made of.
#[derive(Default)]
pub struct Gate {
    limit: Cell<u32>,
    tokens: Cell<u32>,
    waiting: RefCell<VecDeque<Word>>,
}

/// `lariat_lock`
#[derive(Default)]
pub struct Lock(Gate);

/// `lariat_semaphore`
#[derive(Default)]
pub struct Semaphore(Gate);

/// What has a gate.
pub trait Gated: Body<Root = Reactor> {
    /// Its gate.
    fn gate(&self) -> &Gate;
}

impl Gated for Lock {
    fn gate(&self) -> &Gate {
        &self.0
    }
}

impl Gated for Semaphore {
    fn gate(&self) -> &Gate {
        &self.0
    }
}

impl Body for Lock {
    const KIND: Kind = Kind::Lock;
    type Root = Reactor;
    type Beside = ();

    fn end(lock: Item<Self>) {
        free(lock);
    }
}

impl Body for Semaphore {
    const KIND: Kind = Kind::Semaphore;
    type Root = Reactor;
    type Beside = ();

    fn end(semaphore: Item<Self>) {
        free(semaphore);
    }
}

impl Gate {
    /// Tokens that nobody holds.
    pub fn tokens(&self) -> u32 {
        self.tokens.get()
    }
}

/// A new one with so many tokens.
pub fn open<T: Gated>(reactor: ReactorItem, tokens: u32) -> Result<Item<T>> {
    if tokens == 0 {
        return Err(Status::ERR_INVALID_ARGUMENT.because("0 tokens: nobody could ever acquire one"));
    }
    let gated = reactor.pools.alloc::<T>()?;
    if reactor.scope.get() != 0 {
        scopes::join(reactor, reactor.scope.get(), gated.word()).inspect_err(|_| reactor.pools.free(gated))?;
    }
    gated.gate().limit.set(tokens);
    gated.gate().tokens.set(tokens);
    Ok(gated)
}

/// A Deferred that fires with the handle when a token is the caller's.
pub fn acquire<T: Gated>(gated: Item<T>) -> Result<DeferredItem> {
    let gate = gated.gate();
    let deferred = new_inside(gated.root(), stop_waiting::<T>, gated.word())?;
    if let Some(left) = gate.tokens.get().checked_sub(1) {
        gate.tokens.set(left);
        callback(deferred, Owned::new(gated.word(), None))?;
        return Ok(deferred);
    }
    let mut waiting = gate.waiting.borrow_mut();
    if waiting.try_reserve(1).is_err() {
        super::later::discard(deferred);
        return Err(Status::ERR_NO_MEMORY);
    }
    waiting.push_back(deferred.word());
    Ok(deferred)
}

extern "C-unwind" fn stop_waiting<T: Gated>(deferred: Word, gated: Word) {
    if let Ok(gated) = handles::get::<T>(gated) {
        gated.gate().waiting.borrow_mut().retain(|waiting| *waiting != deferred);
    }
    if let Ok(deferred) = handles::get::<Deferred>(deferred) {
        let _ = abandon(deferred);
    }
}

/// Gives a token back: to whoever waits longest.
pub fn release<T: Gated>(gated: Item<T>) -> Result {
    let gate = gated.gate();
    if gate.tokens.get() == gate.limit.get() {
        return Err(Status::ERR_INVALID_STATE.because("nobody holds a token"));
    }
    let next = gate.waiting.borrow_mut().pop_front();
    match next.and_then(|next| handles::get::<Deferred>(next).ok()) {
        Some(next) => callback(next, Owned::new(gated.word(), None)),
        None => {
            gate.tokens.set(gate.tokens.get() + 1);
            Ok(())
        }
    }
}

/// Acquires, runs `function`, and releases when what it gives has come.
pub fn run<T: Gated>(gated: Item<T>, function: CallbackFn, data: Owned) -> Result<DeferredItem> {
    let deferred = super::chain::new(gated.root())?;
    // Its levels are in place before the token can come.
    let filled = || -> Result {
        chain::add(deferred, Entry::Inside { inside: entered, data: Word::NULL }, None)?;
        chain::add_pair(deferred, Some(function), None, data)?;
        chain::add(deferred, Entry::Inside { inside: leave::<T>, data: gated.word() }, None)?;
        let token = acquire(gated)?;
        super::outcome::chain(token, deferred)
    };
    filled().inspect_err(|_| super::later::discard(deferred))?;
    cancel_through(deferred);
    Ok(deferred)
}

/// A chain does not hand on cancellation; here nobody else could wait for the token.
fn cancel_through(deferred: DeferredItem) {
    if deferred.has(CHAIN_TARGET) {
        deferred.canceller.set(Some(cancel_source));
    }
}

extern "C-unwind" fn cancel_source(deferred: Word, _: Word) {
    let Ok(deferred) = handles::get::<Deferred>(deferred) else { return };
    let source = deferred.waits_on.get();
    if deferred.has(CHAIN_TARGET) && source != 0 {
        super::cancel::cancel(DeferredItem::at(source));
    }
}

fn entered(deferred: DeferredItem, _: Word, _: &mut Agenda) {
    if !deferred.has(FAILED) {
        deferred.set(GATED);
    }
}

fn leave<T: Gated>(deferred: DeferredItem, gated: Word, _: &mut Agenda) {
    if deferred.has(GATED) {
        deferred.clear(GATED);
        if let Ok(gated) = handles::get::<T>(gated) {
            let _ = release(gated);
        }
    }
}

/// Ends it: those who wait fail with `LARIAT_ERR_CLOSED`.
pub fn free<T: Gated>(gated: Item<T>) {
    let reactor = gated.root();
    let waiting = gated.gate().waiting.take();
    reactor.pools.free(gated);
    for word in waiting {
        if let Ok(deferred) = handles::get::<Deferred>(word) {
            let _ = errback(deferred, failure::of_status(reactor, Status::ERR_CLOSED));
        }
    }
}
