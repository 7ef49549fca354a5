//! Watching descriptors. The driver reports edges; a watcher behaves as if it saw levels: where interest remains after
//! its callback, the descriptor is looked at anew.

use super::{Reactor, ReactorItem, events, scopes};
use crate::driver::{Readiness, Ready};
use crate::handles::{Body, FreeFn, Item, Kind, Owned, ReadyFn, Word};
use crate::platform::Socket;
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// The watched descriptors of a reactor.
#[derive(Default)]
pub struct Watches {
    by_descriptor: RefCell<HashMap<Socket, Word>>,
    /// Watchers with an interest.
    interested: Cell<usize>,
}

impl Watches {
    pub(super) fn clear(&self) {
        self.by_descriptor.take();
        self.interested.set(0);
    }
}

/// What it does when its descriptor is ready.
#[derive(Clone, Copy, Default)]
pub enum Action {
    /// Nothing any more.
    #[default]
    Stopped,
    /// Calls.
    Call(ReadyFn),
    /// Queues an event.
    Event(u64),
}

/// A watched descriptor.
#[derive(Default)]
pub struct Watcher {
    socket: Cell<Socket>,
    interest: Cell<Readiness>,
    action: Cell<Action>,
    data: Cell<Word>,
    free: Cell<Option<FreeFn>>,
    scope: Cell<u32>,
    calling: Cell<bool>,
    /// An event of it waits to be looked at.
    told: Cell<bool>,
}

impl Body for Watcher {
    const KIND: Kind = Kind::Watcher;
    type Root = Reactor;
    type Beside = ();

    fn end(watcher: Item<Self>) {
        let _ = stop(watcher);
    }
}

impl Watcher {
    /// The descriptor.
    pub fn socket(&self) -> Socket {
        self.socket.get()
    }

    /// What it asks for.
    pub fn interest(&self) -> Readiness {
        self.interest.get()
    }
}

/// Watches a descriptor, which stays its owner's.
pub fn watch(
    reactor: ReactorItem,
    socket: Socket,
    interest: Readiness,
    action: Action,
    data: Owned,
) -> Result<Item<Watcher>> {
    reactor.check_open()?;
    #[cfg(unix)]
    if !reactor.is_simulated() {
        if let Some((_, why)) = crate::platform::unwatchable(socket) {
            return Err(Status::ERR_OS.because(why));
        }
    }
    forget_closed(reactor, socket)?;
    reactor.watches.by_descriptor.borrow_mut().try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
    let watcher = reactor.pools.alloc::<Watcher>()?;
    let scope = reactor.scope.get();
    let joined = if scope == 0 { Ok(()) } else { scopes::join(reactor, scope, watcher.word()) };
    let watched = joined.and_then(|()| reactor.driver().watch(socket, watcher.word(), interest));
    watched.inspect_err(|_| reactor.pools.free(watcher))?;
    reactor.watches.by_descriptor.borrow_mut().insert(socket, watcher.word());
    watcher.socket.set(socket);
    watcher.interest.set(Readiness::default());
    note_interest(reactor, watcher, interest);
    watcher.action.set(action);
    watcher.scope.set(scope);
    watcher.calling.set(false);
    watcher.told.set(false);
    let (word, free) = data.into_parts();
    watcher.data.set(word);
    watcher.free.set(free);
    Ok(watcher)
}

/// Refuses a descriptor that is watched; one whose old number is watched still, but was closed, is let go of first.
fn forget_closed(reactor: ReactorItem, socket: Socket) -> Result {
    let word = reactor.watches.by_descriptor.borrow().get(&socket).copied();
    let Some(old) = word.and_then(|word| crate::handles::get::<Watcher>(word).ok()) else { return Ok(()) };
    let already = Status::ERR_ALREADY_WATCHED;
    if reactor.is_simulated() || old.calling.get() {
        return Err(already);
    }
    // A closed descriptor is forgotten by the kernel, so that its number can be registered as if it were new.
    match reactor.driver().watch(socket, old.word(), old.interest.get()) {
        Ok(()) if !old.interest.get().is_empty() => {
            let _ = reactor.driver().unwatch(socket);
            stop(old)
        }
        _ => Err(already.because(format_args!("descriptor {socket} is watched already"))),
    }
}

fn note_interest(reactor: ReactorItem, watcher: Item<Watcher>, interest: Readiness) {
    let interested = reactor.watches.interested.get();
    let before = usize::from(!watcher.interest.replace(interest).is_empty());
    reactor.watches.interested.set(interested + usize::from(!interest.is_empty()) - before);
}

fn is_stopped(watcher: Item<Watcher>) -> bool {
    matches!(watcher.action.get(), Action::Stopped)
}

/// Asks for something else; for nothing: it rests.
pub fn set_interest(watcher: Item<Watcher>, interest: Readiness) -> Result {
    if is_stopped(watcher) {
        return Err(Status::ERR_CLOSED);
    }
    let reactor = watcher.root();
    note_interest(reactor, watcher, interest);
    rewatch(reactor, watcher)
}

fn rewatch(reactor: ReactorItem, watcher: Item<Watcher>) -> Result {
    if watcher.told.get() {
        return Ok(());
    }
    reactor.driver().rewatch(watcher.socket.get(), watcher.word(), watcher.interest.get())
}

/// Watches no more. Inside its own callback its data is freed once that has returned.
pub fn stop(watcher: Item<Watcher>) -> Result {
    if is_stopped(watcher) {
        return Err(Status::ERR_CLOSED);
    }
    let reactor = watcher.root();
    note_interest(reactor, watcher, Readiness::default());
    watcher.action.set(Action::Stopped);
    let socket = watcher.socket.get();
    let mut watches = reactor.watches.by_descriptor.borrow_mut();
    if watches.get(&socket) == Some(&watcher.word()) {
        watches.remove(&socket);
    }
    drop(watches);
    // A descriptor that its owner closed first is no longer watched anyway.
    let _ = reactor.driver().unwatch(socket);
    if !watcher.calling.get() {
        finish(reactor, watcher);
    }
    Ok(())
}

fn finish(reactor: ReactorItem, watcher: Item<Watcher>) {
    let data = Owned::new(watcher.data.get(), watcher.free.take());
    let scope = watcher.scope.get();
    let _out = reactor.call_out();
    reactor.pools.free(watcher);
    reactor.in_scope(scope, || drop(data));
}

/// Tells a watcher what its descriptor is ready for.
pub(super) fn dispatch(reactor: ReactorItem, ready: Ready) {
    // One that was stopped by a sibling of the same batch is stale.
    let Ok(watcher) = crate::handles::get::<Watcher>(ready.key) else { return };
    let readiness = ready.readiness.and(watcher.interest.get());
    // One whose event waits looks again when that is taken.
    if readiness.is_empty() || watcher.told.get() {
        return;
    }
    match watcher.action.get() {
        Action::Stopped => return,
        Action::Event(tag) => {
            watcher.told.set(true);
            events::push_ready(reactor, tag, watcher.word(), readiness.bits());
            return;
        }
        Action::Call(call) => {
            watcher.calling.set(true);
            reactor.in_scope(watcher.scope.get(), || call(watcher.word(), readiness.bits(), watcher.data.get()));
            watcher.calling.set(false);
        }
    }
    if is_stopped(watcher) {
        finish(reactor, watcher);
    } else if !watcher.interest.get().is_empty() {
        // It fails only for a descriptor that was closed behind the watcher's back: nothing more will come of it.
        let _ = rewatch(reactor, watcher);
    }
}

/// There is room for the events of a watcher, or of what else was held, again.
pub(super) fn resume(reactor: ReactorItem, held: Word) {
    if crate::handles::is_of_kind(held, Kind::Watcher) {
        event_seen(reactor, held);
    } else {
        let readiness = Readiness { readable: true, writable: false };
        reactor.ready_again(Ready { key: held, readiness, ended: false });
    }
}

/// The host has taken the watcher's event: it watches again.
pub(super) fn event_seen(reactor: ReactorItem, watcher: Word) {
    if let Ok(watcher) = crate::handles::get::<Watcher>(watcher) {
        watcher.told.set(false);
        if !is_stopped(watcher) {
            let _ = rewatch(reactor, watcher);
        }
    }
}

impl Reactor {
    /// Whether a watcher has an interest.
    pub(super) fn watches_something(&self) -> bool {
        self.watches.interested.get() != 0
    }
}
