//! What keeps a WebSocket alive, and notices when it is not: pings, and the time without messages.

use super::connection::{Settings, WebSocket, flag};
use super::{close, ending, sending};
use crate::handles::{self, CallFn, Item, Word};
use crate::reactor::timers::{self, DelayedCall};
use crate::status::{Result, Status};
use std::cell::Cell;

/// A pong that has no room is tried again after so many nanoseconds.
const AGAIN: u64 = 50_000_000;

/// Calls `call` with the WebSocket's handle after `delay` nanoseconds.
pub(super) fn timer(socket: Item<WebSocket>, timer: &Cell<Word>, delay: u64, call: CallFn) -> Result {
    stop(timer);
    let reactor = socket.root();
    let deadline = reactor.read_clock().saturating_add(delay);
    timer.set(timers::call_at(reactor, deadline, call, socket.word())?.word());
    Ok(())
}

pub(super) fn stop(timer: &Cell<Word>) {
    if let Ok(timer) = handles::get::<DelayedCall>(timer.replace(Word::NULL)) {
        let _ = timers::cancel(timer);
    }
}

/// Begins to look after it.
pub(super) fn start(socket: Item<WebSocket>, settings: &Settings) -> Result {
    if let Some(time) = settings.ping_time {
        timer(socket, &socket.keeper, time, look)?;
    }
    if let Some(time) = settings.idle_time {
        timer(socket, &socket.idler, time, idle_for_too_long)?;
    }
    Ok(())
}

/// A message came or went.
pub(super) fn message(socket: Item<WebSocket>) {
    if let Ok(timer) = handles::get::<DelayedCall>(socket.idler.get()) {
        let time = socket.with_settings(|settings| settings.idle_time).flatten();
        let _ = time.map(|time| timers::reset(timer, time));
    }
}

/// Sends a pong when there is room.
pub(super) fn answer_later(socket: Item<WebSocket>) {
    if socket.ponger.get().is_null() {
        // Without memory for the timer, the next ping finds the room.
        let _ = timer(socket, &socket.ponger, AGAIN, sending::answer_now);
    }
}

/// Looks whether anything came since the last time: what comes itself only sets a flag.
extern "C-unwind" fn look(word: Word) {
    let Ok(socket) = handles::get::<WebSocket>(word) else { return };
    socket.keeper.set(Word::NULL);
    if !socket.is_open() {
        return;
    }
    let times = socket.with_settings(|settings| settings.ping_time.map(|ping| (ping, settings.pong_time)));
    let Some((ping, pong)) = times.flatten() else { return };
    let next = if socket.has(flag::HEARD) {
        socket.clear(flag::HEARD | flag::PINGED);
        ping
    } else if socket.has(flag::PINGED) {
        let seconds = pong as f64 / 1e9;
        let why = format_args!("the peer has not answered a ping for {seconds} s");
        return ending::fail(socket, close::ABNORMAL, Status::ERR_TIMED_OUT.because(why));
    } else {
        socket.set(flag::PINGED);
        let _ = sending::ping(socket, &[]);
        pong
    };
    if socket.is_alive() && timer(socket, &socket.keeper, next, look).is_err() {
        ending::fail(socket, close::ABNORMAL, Status::ERR_NO_MEMORY);
    }
}

extern "C-unwind" fn idle_for_too_long(word: Word) {
    let Ok(socket) = handles::get::<WebSocket>(word) else { return };
    socket.idler.set(Word::NULL);
    if socket.is_open() {
        let _ = ending::close(socket, Some(close::GOING_AWAY), "no message for too long");
    }
}
