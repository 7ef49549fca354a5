//! Signals: the handler counts them and wakes the reactor up, whose turns tell those who watch.

use crate::deferred::{Deferred, DeferredItem, chain};
use crate::driver::{Readiness, Ready};
use crate::handles::{self, Body, FreeFn, Item, Kind, Owned, SignalFn, Word};
use crate::platform::{self, SignalReceiver, SystemError};
use crate::reactor::{Reactor, ReactorItem, Served, events, run, scopes};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::io;

/// What the reactor receives signals by; made when the first is watched.
#[derive(Default)]
pub struct Signals {
    receiver: RefCell<Option<SignalReceiver>>,
    /// In the order of their making; those that were stopped go when the next is made.
    watches: RefCell<Vec<Word>>,
}

impl Body for Signals {
    const KIND: Kind = Kind::Signals;
    const SLOTS: u32 = 1;
    type Root = Reactor;
    type Beside = ();

    fn end(signals: Item<Self>) {
        let reactor = signals.root();
        Self::close(signals);
        signals.watches.take();
        reactor.signals.set(0);
        reactor.pools.free(signals);
    }
}

impl Served for Signals {
    fn ready(reactor: ReactorItem, signals: Item<Self>, _: Ready) {
        received(reactor, signals);
    }

    /// The handlers that were there before are put back.
    fn close(signals: Item<Self>) {
        if let Some(receiver) = signals.receiver.take() {
            let _ = signals.root().driver().unwatch(receiver.descriptor());
        }
    }
}

/// What a watch does when its signal has come.
#[derive(Clone, Copy, Default)]
pub enum Action {
    /// Nothing any more.
    #[default]
    Stopped,
    /// Calls.
    Call(SignalFn),
    /// Queues an event.
    Event(u64),
}

/// A watched signal.
#[derive(Default)]
pub struct SignalWatch {
    number: Cell<i32>,
    action: Cell<Action>,
    /// How often the signal came.
    count: Cell<u64>,
    /// It came, and that is still to be told.
    came: Cell<bool>,
    data: Cell<Word>,
    free: Cell<Option<FreeFn>>,
    scope: Cell<u32>,
    calling: Cell<bool>,
}

impl Body for SignalWatch {
    const KIND: Kind = Kind::SignalWatch;
    const SLOTS: u32 = 16;
    type Root = Reactor;
    type Beside = ();

    fn end(watch: Item<Self>) {
        let _ = stop(watch);
    }
}

impl Served for SignalWatch {
    fn ready(reactor: ReactorItem, watch: Item<Self>, _: Ready) {
        tell(reactor, watch.word());
    }
}

impl SignalWatch {
    /// The signal's number.
    pub fn number(&self) -> i32 {
        self.number.get()
    }

    /// How often it came.
    pub fn count(&self) -> u64 {
        self.count.get()
    }

    fn is_stopped(&self) -> bool {
        matches!(self.action.get(), Action::Stopped)
    }
}

/// Refuses what is no signal, or none that can be watched.
pub fn check_number(number: i32) -> Result {
    match platform::unwatchable_signal(number) {
        Some(why) => Err(Status::ERR_INVALID_ARGUMENT.because(why)),
        None => Ok(()),
    }
}

/// Watches a signal.
pub fn watch(reactor: ReactorItem, number: i32, action: Action, data: Owned) -> Result<Item<SignalWatch>> {
    reactor.check_system("signals")?;
    let signals = open(reactor)?;
    let mut watches = signals.watches.borrow_mut();
    watches.retain(|watch| reactor.pools.is_alive(*watch));
    watches.try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
    let watch = reactor.pools.alloc::<SignalWatch>()?;
    let scope = reactor.scope.get();
    let joined = if scope == 0 { Ok(()) } else { scopes::join(reactor, scope, watch.word()) };
    let wanted = joined.and_then(|()| want(signals, number));
    wanted.inspect_err(|_| reactor.pools.free(watch))?;
    watches.push(watch.word());
    watch.number.set(number);
    watch.action.set(action);
    watch.count.set(0);
    watch.came.set(false);
    watch.scope.set(scope);
    watch.calling.set(false);
    let (word, free) = data.into_parts();
    watch.data.set(word);
    watch.free.set(free);
    Ok(watch)
}

fn refused(what: &str, error: &io::Error) -> Status {
    let status = match platform::system_error(error) {
        Some(SystemError::NoMemory) => Status::ERR_NO_MEMORY,
        Some(SystemError::NoDescriptors) => Status::ERR_TOO_MANY_DESCRIPTORS,
        _ if error.kind() == io::ErrorKind::Unsupported => Status::ERR_NOT_SUPPORTED,
        _ => Status::ERR_OS,
    };
    status.because(format_args!("{what}: {error}"))
}

/// The signals of a reactor, made when they are first needed.
fn open(reactor: ReactorItem) -> Result<Item<Signals>> {
    if reactor.signals.get() == 0 {
        handles::check_memory(64 * 1024)?;
        let receiver = SignalReceiver::new().map_err(|error| refused("preparing to receive signals", &error))?;
        let signals = reactor.pools.alloc::<Signals>()?;
        let readable = Readiness { readable: true, writable: false };
        let watched = reactor.driver().watch(receiver.descriptor(), signals.word(), readable);
        watched.inspect_err(|_| reactor.pools.free(signals))?;
        *signals.receiver.borrow_mut() = Some(receiver);
        reactor.signals.set(signals.index());
        reactor.above.by_kind.serve::<Signals>();
        reactor.above.by_kind.serve::<SignalWatch>();
    }
    Ok(Item::<Signals>::at(reactor.signals.get()))
}

fn want(signals: Item<Signals>, number: i32) -> Result {
    let receiver = signals.receiver.borrow();
    let receiver = receiver.as_ref().ok_or(Status::ERR_CLOSED)?;
    receiver.want(number).map_err(|error| refused(&format!("watching signal {number}"), &error))
}

/// Signals have come.
fn received(reactor: ReactorItem, signals: Item<Signals>) {
    let watches = signals.watches.borrow();
    let of = |watch: &Word| handles::get::<SignalWatch>(*watch).ok().filter(|watch| !watch.is_stopped());
    let mut told = Vec::new();
    if let Some(receiver) = &*signals.receiver.borrow() {
        receiver.take(|number, count| {
            for watch in watches.iter().filter_map(of).filter(|watch| watch.number.get() == number) {
                watch.count.set(watch.count.get() + count);
                watch.came.set(true);
                told.push(watch.word());
            }
        });
    }
    drop(watches);
    told.into_iter().for_each(|watch| tell(reactor, watch));
}

fn tell(reactor: ReactorItem, watch: Word) {
    // One that was stopped by a sibling is stale.
    let Ok(watch) = handles::get::<SignalWatch>(watch) else { return };
    if !watch.came.get() {
        return;
    }
    match watch.action.get() {
        Action::Stopped => return,
        Action::Event(tag) => {
            if !events::hold_if_full(reactor, watch.word()) {
                watch.came.set(false);
                events::push_tag(reactor, events::SIGNAL, Word::from_addr(tag as usize), watch.word());
            }
            return;
        }
        Action::Call(call) => {
            watch.came.set(false);
            watch.calling.set(true);
            let _out = reactor.call_out();
            reactor.in_scope(watch.scope.get(), || call(watch.word(), watch.number.get(), watch.data.get()));
            watch.calling.set(false);
        }
    }
    if watch.is_stopped() {
        finish(reactor, watch);
    }
}

/// Watches no more. Inside its own callback its data is freed once that has returned.
pub fn stop(watch: Item<SignalWatch>) -> Result {
    if watch.is_stopped() {
        return Err(Status::ERR_CLOSED);
    }
    let reactor = watch.root();
    watch.action.set(Action::Stopped);
    forgo(reactor, watch.number.get());
    if !watch.calling.get() {
        finish(reactor, watch);
    }
    Ok(())
}

/// Unless another watch wants it still.
fn forgo(reactor: ReactorItem, number: i32) {
    let signals = Item::<Signals>::at(reactor.signals.get());
    let wants = |word: &Word| {
        handles::get::<SignalWatch>(*word).is_ok_and(|watch| !watch.is_stopped() && watch.number.get() == number)
    };
    if !signals.watches.borrow().iter().any(wants) {
        if let Some(receiver) = &*signals.receiver.borrow() {
            receiver.forgo(number);
        }
    }
}

fn finish(reactor: ReactorItem, watch: Item<SignalWatch>) {
    let data = Owned::new(watch.data.get(), watch.free.take());
    let scope = watch.scope.get();
    let _out = reactor.call_out();
    reactor.pools.free(watch);
    reactor.in_scope(scope, || drop(data));
}

/// A Deferred that fires with the signal's number when it comes.
pub fn when(reactor: ReactorItem, number: i32) -> Result<DeferredItem> {
    let watch = watch(reactor, number, Action::Call(fire), Owned::default())?;
    let deferred = chain::new_inside(reactor, stop_waiting, watch.word()).inspect_err(|_| {
        let _ = stop(watch);
    })?;
    watch.data.set(deferred.word());
    Ok(deferred)
}

extern "C-unwind" fn fire(watch: Word, number: i32, deferred: Word) {
    if let Ok(watch) = handles::get::<SignalWatch>(watch) {
        let _ = stop(watch);
    }
    if let Ok(deferred) = handles::get::<Deferred>(deferred) {
        let _ = chain::callback(deferred, Owned::new(Word::from_addr(number as usize), None));
    }
}

extern "C-unwind" fn stop_waiting(deferred: Word, watch: Word) {
    if let Ok(watch) = handles::get::<SignalWatch>(watch) {
        let _ = stop(watch);
    }
    if let Ok(deferred) = handles::get::<Deferred>(deferred) {
        let _ = chain::abandon(deferred);
    }
}

/// Stops the reactor when the signal comes.
pub fn stop_on(reactor: ReactorItem, number: i32) -> Result<Item<SignalWatch>> {
    watch(reactor, number, Action::Call(stop_reactor), Owned::default())
}

extern "C-unwind" fn stop_reactor(watch: Word, _: i32, _: Word) {
    if let Ok(watch) = handles::get::<SignalWatch>(watch) {
        // One that is stopping already goes on with that.
        let _ = run::stop(watch.root());
    }
}
