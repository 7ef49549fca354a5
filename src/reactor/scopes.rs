//! Scopes: what belongs together, ended together.

use super::{Reactor, ReactorItem};
use crate::handles::{Body, Item, Kind, Word};
use crate::platform;
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};

/// A group of things. Its number is its slot's, from 1 on; 0 means no scope.
#[derive(Default)]
pub struct Scope {
    /// Handles of what joined, those long gone among them.
    members: RefCell<Vec<Word>>,
    /// When the list is this long, those gone are swept out.
    sweep_at: Cell<usize>,
    /// Callbacks of its own that are running.
    running: Cell<u32>,
    entered: Cell<u32>,
    /// The scope that it is inside of; 0 none.
    parent: Cell<u32>,
}

impl Body for Scope {
    const KIND: Kind = Kind::Scope;
    type Root = Reactor;
    type Beside = ();

    fn end(scope: Item<Self>) {
        // A scope inside another ends with it.
        let _ = free(scope);
    }
}

/// A new, empty scope; itself a member of the present one.
pub fn open(reactor: ReactorItem) -> Result<Item<Scope>> {
    let scope = reactor.pools.alloc::<Scope>()?;
    scope.sweep_at.set(64);
    scope.parent.set(reactor.scope.get());
    if reactor.scope.get() != 0 {
        join(reactor, reactor.scope.get(), scope.word()).inspect_err(|_| reactor.pools.free(scope))?;
    }
    Ok(scope)
}

/// Makes the thing a member: it ends when the scope ends.
pub fn join(reactor: ReactorItem, scope: u32, member: Word) -> Result {
    let scope = Item::<Scope>::at(scope);
    let mut members = scope.members.borrow_mut();
    if members.len() >= scope.sweep_at.get() {
        members.retain(|member| reactor.pools.is_alive(*member));
        scope.sweep_at.set(members.len() * 2 + 64);
    }
    members.try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
    members.push(member);
    Ok(())
}

/// Calls out with what is made meanwhile joining the scope.
pub fn within<R>(reactor: ReactorItem, scope: u32, call: impl FnOnce() -> R) -> R {
    if scope == 0 && reactor.scope.get() == 0 {
        return call();
    }
    let _out = reactor.call_out();
    reactor.scope.set(scope);
    if scope == 0 {
        return call();
    }
    note_running(scope, 1);
    let result = call();
    note_running(scope, -1);
    result
}

/// A callback of a scope is one of those that it is inside of too.
fn note_running(mut scope: u32, by: i32) {
    while scope != 0 {
        let item = Item::<Scope>::at(scope);
        item.running.set(item.running.get().wrapping_add_signed(by));
        scope = item.parent.get();
    }
}

/// What is made from here on joins the scope.
pub fn enter(scope: Item<Scope>) -> Result {
    let reactor = scope.root();
    reactor.check_open()?;
    let mut entered = reactor.entered.borrow_mut();
    entered.try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
    entered.push(reactor.scope.get());
    scope.entered.set(scope.entered.get() + 1);
    reactor.scope.set(scope.index());
    Ok(())
}

/// Back to what was joined before the scope was entered.
pub fn leave(scope: Item<Scope>) -> Result {
    let reactor = scope.root();
    if reactor.scope.get() != scope.index() || scope.entered.get() == 0 {
        return Err(Status::ERR_INVALID_STATE.because("the scope is not the one entered last"));
    }
    let before = reactor.entered.borrow_mut().pop().unwrap_or_default();
    scope.entered.set(scope.entered.get() - 1);
    reactor.scope.set(before);
    Ok(())
}

/// After a callback that belongs to no scope: what it entered and did not leave is left for it.
#[cold]
pub fn left_entered(reactor: ReactorItem) {
    restore(reactor, 0, 0);
}

/// After a call out that entered scopes and did not leave them.
#[cold]
pub(super) fn restore(reactor: ReactorItem, scope: u32, entered: usize) {
    let mut stack = reactor.entered.borrow_mut();
    let mut top = reactor.scope.get();
    while stack.len() > entered {
        if let Some(left) = Item::<Scope>::peek(top).filter(|_| top != 0) {
            left.entered.set(left.entered.get().saturating_sub(1));
        }
        top = stack.pop().unwrap_or_default();
    }
    reactor.scope.set(scope);
}

/// Ends all that is in the scope, and waits for its jobs. Afterwards none of its functions is called any more.
pub fn end(scope: Item<Scope>) -> Result {
    let reactor = scope.root();
    let number = scope.index();
    if scope.running.get() != 0 || reactor.ending_scope.get() == number {
        return Err(Status::ERR_BUSY.because("a callback of the scope is running"));
    }
    let _out = reactor.call_out();
    if let Some(cancel_jobs) = reactor.above.cancel_jobs.get() {
        cancel_jobs(reactor, number);
    }
    // What its endings make joins it and is ended too; a callback that always makes more is not waited for.
    for _ in 0..16 {
        let members = scope.members.take();
        if members.is_empty() {
            break;
        }
        for member in members {
            let outer = reactor.ending_scope.replace(number);
            within(reactor, number, || reactor.pools.end(member));
            reactor.ending_scope.set(outer);
        }
        end_calls(reactor, number);
    }
    end_calls(reactor, number);
    if let Some(end_jobs) = reactor.above.end_jobs.get() {
        end_jobs(reactor, number, platform::monotonic_nanoseconds().saturating_add(reactor.limits().shutdown));
    }
    Ok(())
}

fn end_calls(reactor: ReactorItem, number: u32) {
    reactor.soon.drop_scope(number);
    reactor.drop_when_running(number);
}

/// Ends the scope and its handle.
pub fn free(scope: Item<Scope>) -> Result {
    end(scope)?;
    let reactor = scope.root();
    while scope.entered.get() > 0 {
        // Nothing can join what is gone: wherever it was entered, no scope is in its place.
        scope.entered.set(0);
        let number = scope.index();
        reactor.entered.borrow_mut().iter_mut().filter(|entered| **entered == number).for_each(|entered| *entered = 0);
        if reactor.scope.get() == number {
            reactor.scope.set(0);
        }
    }
    scope.members.take();
    reactor.pools.free(scope);
    Ok(())
}
