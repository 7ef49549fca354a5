//! How a process ends: it is waited for alone, `exited` is told, and `ended` once all its pipes are closed, too.

use super::{Process, flag, free, orphans, pipes};
use crate::deferred::failure::{self, Failure};
use crate::driver::Readiness;
use crate::handles::{self, Body, Item, Word};
use crate::net::error;
use crate::net::transport::Transport;
use crate::platform::{self, Child, Exit, SIGKILL, SIGTERM};
use crate::reactor::timers::{self, DelayedCall};
use crate::status::{Result, Status};
use std::io;

/// Sends a signal to the process alone.
pub fn signal(process: Item<Process>, number: i32) -> Result {
    process.check_running()?;
    sent(process, number, |child| child.signal(number))
}

/// Sends a signal to all of the group that the process leads, also when it has ended itself.
pub fn signal_group(process: Item<Process>, number: i32) -> Result {
    if !process.has(flag::LEADS) {
        let why = format_args!("{} leads no group", process.described());
        return Err(Status::ERR_INVALID_STATE.because(why));
    }
    let is_alive = !process.has(flag::EXITED);
    sent(process, number, |child| child.signal_group(number, is_alive))
}

fn sent(process: Item<Process>, number: i32, send: impl FnOnce(&Child) -> io::Result<()>) -> Result {
    let sent = process.child.borrow().as_ref().map_or(Ok(()), send);
    sent.map_err(|why| {
        // There is nobody left to send it to.
        #[cfg(unix)]
        if why.raw_os_error() == Some(libc::ESRCH) {
            return Status::ERR_CLOSED.because(format_args!("{} has ended", process.described()));
        }
        error::refused(format_args!("signal {number} to {}", process.described()), &why)
    })
}

/// Where it leads a group that is to be killed with it, signals go to all of that.
fn signal_all(process: Item<Process>, number: i32) -> Result {
    if process.has(flag::KILL_GROUP) { signal_group(process, number) } else { signal(process, number) }
}

/// Asks it to end, and kills it when it has not after `grace` nanoseconds; 0: kills it at once; None: never.
pub fn terminate(process: Item<Process>, grace: Option<u64>) -> Result {
    process.check_running()?;
    signal_all(process, if grace == Some(0) { SIGKILL } else { SIGTERM })?;
    stop(&process.killer);
    if let Some(grace) = grace.filter(|grace| *grace != 0) {
        let killer = timer(process, grace, kill)?;
        process.killer.set(killer);
    }
    Ok(())
}

fn timer(process: Item<Process>, wait: u64, call: handles::CallFn) -> Result<Word> {
    let reactor = process.root();
    let deadline = reactor.read_clock().saturating_add(wait);
    timers::call_at(reactor, deadline, call, process.word()).map(|timer| timer.word())
}

fn stop(timer: &std::cell::Cell<Word>) {
    if let Ok(timer) = handles::get::<DelayedCall>(timer.replace(Word::NULL)) {
        let _ = timers::cancel(timer);
    }
}

pub(super) fn stop_timers(process: Item<Process>) {
    stop(&process.limit);
    stop(&process.killer);
}

extern "C-unwind" fn kill(word: Word) {
    if let Ok(process) = handles::get::<Process>(word) {
        process.killer.set(Word::NULL);
        let _ = signal_all(process, SIGKILL);
    }
}

/// Limits its time.
pub(super) fn set_limit(process: Item<Process>, limit: u64) -> Result {
    process.limit.set(timer(process, limit, time_is_up)?);
    Ok(())
}

extern "C-unwind" fn time_is_up(word: Word) {
    let Ok(process) = handles::get::<Process>(word) else { return };
    process.limit.set(Word::NULL);
    process.set(flag::TIMED_OUT);
    if process.has(flag::EXITED) {
        // Somebody else keeps its pipes open.
        abort_pipes(process);
    } else {
        let _ = terminate(process, process.kill_after.get());
    }
}

/// Closes the pipes as they are.
pub(super) fn abort_pipes(process: Item<Process>) {
    let reactor = process.root();
    for transport in pipes::opened(process) {
        let reason = failure::of_status(reactor, Status::ERR_CONNECTION_ABORTED);
        let _ = crate::net::ending::abort(transport, reason);
    }
}

/// Has the process looked after until it ends.
pub(super) fn watch(process: Item<Process>) -> Result {
    let reactor = process.root();
    let pid = process.pid();
    let descriptor = process.child.borrow().as_ref().and_then(Child::descriptor);
    if let Some(descriptor) = descriptor {
        let readable = Readiness { readable: true, writable: false };
        return reactor.with_driver(|driver| driver.watch(descriptor, process.word(), readable));
    }
    let (reactor, word) = (reactor.word(), process.word());
    let then = move || {
        let message = move |_| match handles::get::<Process>(word) {
            Ok(process) => reap(process),
            Err(_) => orphans::sweep(),
        };
        if crate::reactor::posts::post_message(reactor, Box::new(message)).is_err() {
            orphans::sweep();
        }
    };
    platform::wait_on_thread(pid, then).map_err(|why| error::refused(process.described(), &why))
}

/// Waits for it, if it has ended.
pub(super) fn reap(process: Item<Process>) {
    if process.has(flag::EXITED) {
        return;
    }
    let exit = {
        let child = process.child.borrow();
        let Some(child) = child.as_ref() else { return };
        if process.has(flag::KILL_GROUP) && child.has_ended() {
            // While its number still is the group's.
            let _ = child.signal_group(SIGKILL, true);
        }
        child.try_wait()
    };
    let Some(exit) = exit else { return };
    orphans::sweep();
    if process.has(flag::ORPHAN) {
        return free(process);
    }
    exited(process, Some(exit));
    if process.is_alive() {
        if process.has(flag::TIMED_OUT) {
            abort_pipes(process);
        }
        note_if_over(process);
    }
}

/// It is over, and how is known now; None: it will never be.
fn exited(process: Item<Process>, exit: Option<Exit>) {
    process.set(flag::EXITED);
    process.exit.set(exit);
    stop(&process.killer);
    let reason = reason(process, exit);
    process.reason.set(reason);
    process.tell_made();
    process.set(flag::TOLD);
    process.tell(|protocol| protocol.exited(process, reason));
}

/// As waitpid tells it.
fn wait_status(exit: Exit) -> i32 {
    match exit {
        Exit::Code(code) => (code & 0xff) << 8,
        Exit::Signal(number, core) => number | if core { 0x80 } else { 0 },
        Exit::Unknown => -1,
    }
}

fn reason(process: Item<Process>, exit: Option<Exit>) -> Word {
    let name = process.described();
    let (mut status, mut text) = match exit {
        Some(Exit::Code(0)) => (Status::PROCESS_DONE, format!("{name} has ended well")),
        Some(Exit::Code(code)) => (Status::ERR_PROCESS_TERMINATED, format!("{name} has ended with code {code}")),
        Some(Exit::Signal(number, core)) => {
            let core = if core { ", and has left a core" } else { "" };
            (Status::ERR_PROCESS_TERMINATED, format!("{name} was ended by signal {number}{core}"))
        }
        Some(Exit::Unknown) => (
            Status::ERR_STATUS_UNKNOWN,
            format!("{name} has ended, and how is not known: somebody else has waited for it"),
        ),
        None => (Status::ERR_CLOSED, format!("{name}: its reactor or its scope has ended")),
    };
    if exit.is_some() && process.has(flag::TIMED_OUT) {
        status = Status::ERR_TIMED_OUT;
        text.push_str("; its time was up");
    }
    let reason = error::made(process.root(), status, 0, &text);
    if let (Ok(failure), Some(exit)) = (handles::get::<Failure>(reason), exit) {
        failure.set_exit_status(wait_status(exit));
    }
    reason
}

/// Once it has ended and all its pipes are closed, that is told at the end of the turn.
pub(super) fn note_if_over(process: Item<Process>) {
    if process.has(flag::TOLD) && !process.has(flag::ENDING) && pipes::all_closed(process) {
        process.set(flag::ENDING);
        process.root().note_ended(process.word());
    }
}

/// Tells of its end. Nothing of the process is called afterwards.
pub(super) fn finish(process: Item<Process>) {
    let reason = process.reason.get();
    process.tell(|protocol| protocol.ended(process, reason));
    free(process);
}

/// Because its scope or its reactor ends: it is told now. The child is killed only if it was asked for.
pub(super) fn end(process: Item<Process>) {
    if process.has(flag::ORPHAN) {
        if let Some(child) = process.child.take() {
            orphans::add(child);
        }
        return free(process);
    }
    process.tell_made();
    process.set(flag::ENDING);
    let left = if process.has(flag::EXITED) { None } else { end_child(process) };
    for transport in pipes::opened(process) {
        <Transport as Body>::end(transport);
    }
    if !process.has(flag::TOLD) {
        exited(process, process.exit.get());
    }
    if let Some(child) = left {
        leave(process, child);
    }
    finish(process);
}

/// Kills the child if it is to be killed. What is given back goes on.
fn end_child(process: Item<Process>) -> Option<Child> {
    let child = process.child.take()?;
    let mut exit = None;
    if process.has(flag::KILL_AT_END) {
        let group = process.has(flag::KILL_GROUP);
        let _ = if group { child.signal_group(SIGKILL, true) } else { child.signal(SIGKILL) };
        let milliseconds = process.root().limits().shutdown / 1_000_000;
        exit = child.wait_at_most(i32::try_from(milliseconds).unwrap_or(i32::MAX));
    }
    let exit = exit.or_else(|| child.try_wait());
    process.exit.set(exit);
    exit.is_none().then_some(child)
}

/// A child that goes on without its process: its reactor waits for it, as long as there is one.
fn leave(process: Item<Process>, child: Child) {
    let reactor = process.root();
    if reactor.check_open().is_err() || child.descriptor().is_none() {
        return orphans::add(child);
    }
    let Ok(orphan) = reactor.pools.alloc::<Process>() else { return orphans::add(child) };
    orphan.flags.set(flag::ORPHAN);
    orphan.pid.set(child.id());
    orphan.scope.set(0);
    orphan.reason.set(Word::NULL);
    orphan.limit.set(Word::NULL);
    orphan.killer.set(Word::NULL);
    orphan.exit.set(None);
    let descriptor = child.descriptor();
    *orphan.child.borrow_mut() = Some(child);
    let readable = Readiness { readable: true, writable: false };
    let rewatch = |descriptor| reactor.with_driver(|driver| driver.rewatch(descriptor, orphan.word(), readable));
    if descriptor.is_none_or(|descriptor| rewatch(descriptor).is_err()) {
        let child = orphan.child.take();
        free(orphan);
        child.into_iter().for_each(orphans::add);
    }
}
