//! The end of a reactor: everything that started ends once, everything owned is freed once.

use super::{ALIVE, Reactor, ReactorItem, State, events, posts, simulation};
use crate::handles::{self, Kind, Word};
use crate::platform;
use crate::status::{Result, Status};
use std::sync::atomic::Ordering;

/// What ends one by one, in this order.
const ENDED: [Kind; 31] = [
    Kind::HttpAgent,
    Kind::ReconnectingClient,
    Kind::ConnectionPool,
    Kind::Listener,
    Kind::DatagramPort,
    Kind::Process,
    Kind::Transport,
    Kind::HttpRequest,
    Kind::HttpServer,
    Kind::HttpRouter,
    Kind::WebSocket,
    Kind::File,
    Kind::Directory,
    Kind::Watcher,
    Kind::SignalWatch,
    Kind::FileWatch,
    Kind::Trigger,
    Kind::LoopingCall,
    Kind::CooperativeTask,
    Kind::Cooperator,
    Kind::Lock,
    Kind::Semaphore,
    Kind::Queue,
    Kind::Deferred,
    Kind::WebSocketHandshake,
    Kind::Connecting,
    Kind::LookUp,
    Kind::Resolver,
    Kind::DelayedCall,
    Kind::Scope,
    Kind::ThreadPool,
];

/// Ends the reactor and all that lives in it.
pub fn free(reactor: ReactorItem) -> Result {
    if reactor.is_calling_out() {
        return Err(Status::ERR_BUSY.because("the reactor is further up the stack"));
    }
    let out = reactor.call_out();
    reactor.state.set(State::Closing);
    // The calls that threads were promised.
    reactor.threads.close().for_each(|item| posts::run(reactor, item));
    // Endings still need failures; nothing else is made any more.
    reactor.pools.close(&[Kind::Failure, Kind::Results]);
    if let Some(cancel_jobs) = reactor.above.cancel_jobs.get() {
        cancel_jobs(reactor, 0);
    }
    end_things(reactor);
    if let Some(end_jobs) = reactor.above.end_jobs.get() {
        end_jobs(reactor, 0, platform::monotonic_nanoseconds().saturating_add(reactor.limits().shutdown));
    }
    reactor.pools.end_all(Kind::ThreadPool);
    reactor.pools.end_all(Kind::Network);
    reactor.pools.end_all(Kind::Signals);
    reactor.pools.end_all(Kind::FileWatches);
    reactor.soon.clear();
    drop(reactor.when_running.take());
    events::clear(reactor);
    reactor.pools.close(&[]);
    reactor.pools.end_all(Kind::Results);
    reactor.pools.end_all(Kind::Addresses);
    reactor.pools.end_all(Kind::Bytes);
    reactor.pools.end_all(Kind::DirectoryEntries);
    reactor.pools.end_all(Kind::FileInfo);
    reactor.pools.end_all(Kind::ProcessOutput);
    reactor.pools.end_all(Kind::HttpResponse);
    reactor.pools.end_all(Kind::Failure);
    simulation::leave(reactor);
    drop(reactor.take_hooks());
    reactor.waits.clear();
    drop(out);
    wipe(&reactor);
    handles::release_root(reactor, &reactor.pools);
    ALIVE.fetch_sub(1, Ordering::Relaxed);
    Ok(())
}

/// An ending may leave another to be done, such as a Deferred that waited for one that has just ended.
fn end_things(reactor: ReactorItem) {
    for kind in ENDED.into_iter().filter(|kind| *kind != Kind::ThreadPool) {
        reactor.pools.end_all(kind);
    }
    reactor.pools.end_all(Kind::Deferred);
}

/// A reactor that could not be opened after all.
pub(super) fn undo(reactor: ReactorItem) {
    drop(reactor.threads.close());
    wipe(&reactor);
    handles::release_root(reactor, &reactor.pools);
}

/// As a reactor that was never opened.
fn wipe(reactor: &Reactor) {
    reactor.driver.take();
    reactor.timers.take();
    reactor.owned.take();
    reactor.watches.clear();
    reactor.turn.clear();
    reactor.kept.clear();
    reactor.network.set(0);
    reactor.signals.set(0);
    reactor.file_watches.set(0);
    reactor.look_ups.set(0);
    reactor.processes.set(0);
    reactor.entered.take();
    reactor.scope.set(0);
    reactor.manual.set(None);
    reactor.now.set(None);
    reactor.stop_requested.set(false);
    reactor.crash_requested.set(false);
    reactor.embedded.set(false);
    reactor.stopped_between.set(false);
    reactor.was_started.set(false);
    reactor.turns.set(0);
    reactor.ending_scope.set(0);
    reactor.thread_pool.set(Word::NULL);
    reactor.simulation.set(Word::NULL);
    reactor.above.fire_triggers.set(None);
    reactor.above.cancel_jobs.set(None);
    reactor.above.end_jobs.set(None);
    reactor.above.jobs.set(None);
    reactor.above.flush.set(None);
    reactor.above.stopped.set(None);
    reactor.above.on_panic.set(None);
    reactor.above.by_kind.clear();
    reactor.state.set(State::Idle);
}

/// A reactor that panicked: its handles are forgotten, its memory is not used again.
pub fn forget(word: Word) -> bool {
    let forgotten = handles::forget_poisoned(word);
    if forgotten {
        ALIVE.fetch_sub(1, Ordering::Relaxed);
    }
    forgotten
}

/// Moves an idle reactor to the calling thread.
pub fn adopt(word: Word) -> Result {
    handles::adopt::<Reactor>(word, |reactor| !reactor.is_calling_out())
}
