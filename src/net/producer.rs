//! Producers: who writes as fast as the peer reads.

use super::transport::{HIGH_WATER, Transport, flag};
use super::writing;
use crate::handles::{self, Item, Owned, TransportFn, Word};
use crate::status::{Result, Status};

/// Who produces what is written, and how it is told.
pub struct Producer {
    /// It produces until paused (push); else one piece each time it is resumed (pull).
    pub streaming: bool,
    /// Told when too much waits.
    pub pause: Option<TransportFn>,
    /// Told when there is room.
    pub resume: Option<TransportFn>,
    /// Told when nothing is wanted any more.
    pub stop: Option<TransportFn>,
    /// What the functions get.
    pub data: Owned,
    /// It was told to pause.
    pub paused: bool,
    /// What was written at once, without waiting, in which turn.
    pub at_once: Share,
}

/// Bytes in a turn.
#[derive(Clone, Copy, Default)]
pub struct Share {
    turn: u64,
    bytes: u64,
}

/// Registers a producer. One on a lost connection is told to stop at once.
pub fn register(transport: Item<Transport>, producer: Producer) -> Result {
    if transport.has(flag::LOST) {
        tell_stop(transport, &producer);
        return Err(Status::ERR_CLOSED.because("the connection is over"));
    }
    let streaming = producer.streaming;
    let mut producer = Some(producer);
    let before = transport.with_new_extra(|extra| {
        if extra.producer.is_some() {
            return false;
        }
        extra.producer = producer.take();
        true
    });
    if !before? {
        return Err(Status::ERR_ALREADY_REGISTERED);
    }
    transport.set(flag::CONTROLLED);
    if streaming {
        pause_if_full(transport);
    } else {
        // The first piece is asked for when the callback has returned.
        writing::note_written(transport);
    }
    Ok(())
}

/// Has what the stream is a part of told when too much waits to be written, and when there is room again.
pub fn register_whole(transport: Item<Transport>) -> Result {
    let (pause, resume) = (Some(pause_whole as TransportFn), Some(resume_whole as TransportFn));
    let (data, paused, at_once) = (Owned::default(), false, Share::default());
    register(transport, Producer { streaming: true, pause, resume, stop: None, data, paused, at_once })
}

extern "C-unwind" fn pause_whole(transport: Word, _: Word) {
    if let Ok(transport) = handles::get::<Transport>(transport) {
        transport.tell_whole(|whole| whole.paused(transport));
    }
}

extern "C-unwind" fn resume_whole(transport: Word, _: Word) {
    if let Ok(transport) = handles::get::<Transport>(transport) {
        transport.tell_whole(|whole| whole.resumed(transport));
    }
}

/// Forgets the producer; what waited for it to end goes on.
pub fn unregister(transport: Item<Transport>) -> Result {
    let producer = transport.with_extra(|extra| extra.producer.take()).flatten();
    if producer.is_none() {
        return Err(Status::ERR_INVALID_STATE.because("no producer is registered"));
    }
    writing::note_written(transport);
    let reactor = transport.root();
    reactor.in_scope(transport.scope.get(), || drop(producer));
    Ok(())
}

/// Other marks: above `high` a producer is paused, at `low` it is resumed.
pub fn set_water_marks(transport: Item<Transport>, high: u64, low: u64) -> Result {
    transport.check_open()?;
    if low > high {
        let why = format_args!("low is {low}, which is above high, {high}");
        return Err(Status::ERR_INVALID_ARGUMENT.because(why));
    }
    transport.with_new_extra(|extra| (extra.high, extra.low) = (Some(high), low))?;
    transport.set(flag::CONTROLLED);
    writing::written(transport);
    Ok(())
}

/// No more than this waits to be written; 0: no limit.
pub fn set_cap(transport: Item<Transport>, bytes: u64) -> Result {
    transport.check_open()?;
    transport.with_new_extra(|extra| extra.cap = bytes)?;
    transport.set(flag::CONTROLLED);
    Ok(())
}

fn call(transport: Item<Transport>, function: Option<TransportFn>, data: Word) {
    if let Some(function) = function {
        let reactor = transport.root();
        let _out = reactor.call_out();
        reactor.in_scope(transport.scope.get(), || function(transport.word(), data));
    }
}

pub(super) fn pause_if_full(transport: Item<Transport>) {
    let waits = writing::buffered(transport);
    let pause = transport.with_extra(|extra| {
        let high = extra.high.unwrap_or(HIGH_WATER);
        let producer = extra.producer.as_mut().filter(|producer| !producer.paused && producer.streaming)?;
        producer.paused = waits > high;
        producer.paused.then_some((producer.pause, producer.data.word()))
    });
    if let Some((function, data)) = pause.flatten() {
        call(transport, function, data);
    }
}

pub(super) fn resume_if_drained(transport: Item<Transport>) {
    let waits = writing::buffered(transport);
    let resume = transport.with_extra(|extra| {
        let low = extra.low;
        let producer = extra.producer.as_mut().filter(|producer| producer.paused || !producer.streaming)?;
        producer.paused = producer.paused && waits > low;
        (waits <= low).then_some((producer.resume, producer.data.word()))
    });
    if let Some((function, data)) = resume.flatten() {
        writing::call_writer(transport, || call(transport, function, data));
    }
}

/// Whether a push producer has written so much at once in this turn that the rest has to wait, and pause it. It writes
/// until then: of a peer who reads as fast it would have no end, and the system takes megabytes of one who does not.
pub(super) fn has_had_its_share(transport: Item<Transport>, length: usize) -> bool {
    let turn = transport.root_body().turns();
    let had = transport.with_extra(|extra| {
        let high = extra.high.unwrap_or(HIGH_WATER);
        let producer = extra.producer.as_mut().filter(|producer| producer.streaming)?;
        let bytes = if producer.at_once.turn == turn { producer.at_once.bytes } else { 0 };
        producer.at_once = Share { turn, bytes: bytes.saturating_add(length as u64) };
        Some(bytes > high)
    });
    had.flatten() == Some(true)
}

/// A pull producer still has something to write: the end waits until it unregisters.
pub(super) fn holds_end(transport: Item<Transport>) -> bool {
    let pulls = transport.with_extra(|extra| extra.producer.as_ref().is_some_and(|producer| !producer.streaming));
    pulls == Some(true)
}

/// The connection is to end: a push producer is not waited for.
pub(super) fn stop_streaming(transport: Item<Transport>) {
    let stopped = transport.with_extra(|extra| {
        let streams = extra.producer.as_ref().is_some_and(|producer| producer.streaming);
        if streams { extra.producer.take() } else { None }
    });
    if let Some(producer) = stopped.flatten() {
        tell_stop(transport, &producer);
        let reactor = transport.root();
        reactor.in_scope(transport.scope.get(), || drop(producer));
    }
}

pub(super) fn tell_stop(transport: Item<Transport>, producer: &Producer) {
    call(transport, producer.stop, producer.data.word());
}
