//! A request's body: as it comes, or whole. Until somebody asks for it nothing of it is read, so a peer is held up by its
//! own window, and one that waits for a 100 gets none.

use super::answer;
use super::request::{Request, flag, in_scope, named};
use crate::deferred::{Deferred, DeferredItem, chain, failure};
use crate::files::bytes;
use crate::handles::{self, DataFn, Item, LostFn, Owned, Word};
use crate::protocol::http::Bad;
use crate::reactor::events::{self, Event};
use crate::status::{Result, Status};

/// Who is told of a body as it comes.
pub struct Functions {
    /// Bytes came.
    pub received: DataFn,
    /// All came, or, with a failure, no more will.
    pub ended: LostFn,
    /// What both get.
    pub data: Owned,
}

fn check_unasked(request: Item<Request>) -> Result {
    request.check_open()?;
    if request.has(flag::WHOLE | flag::STREAMED) {
        return Err(Status::ERR_INVALID_STATE.because("the body was asked for already"));
    }
    Ok(())
}

/// Another limit than the server's, for this body.
pub fn set_most(request: Item<Request>, most: u64) -> Result {
    check_unasked(request)?;
    request.most_body.set(most);
    Ok(())
}

/// Wants the body from here on.
fn want(request: Item<Request>) {
    if let Some(carrier) = request.carrier().filter(|_| !request.has(flag::BODY_ENDED)) {
        match request.length.get().filter(|length| *length > request.most_body.get()) {
            Some(_) => too_large(request),
            None => carrier.want_body(true),
        }
    }
    // What is there already is told outside of this call.
    request.note();
}

/// A Deferred that fires with the whole body.
pub fn read(request: Item<Request>) -> Result<DeferredItem> {
    check_unasked(request)?;
    let deferred = chain::new_inside(request.root(), no_more, request.word())?;
    request.body_deferred.set(deferred.word());
    request.set(flag::WHOLE);
    if request.has(flag::BODY_ENDED) {
        give(request, deferred);
    } else {
        want(request);
    }
    Ok(deferred)
}

extern "C-unwind" fn no_more(deferred: Word, request: Word) {
    if let Ok(request) = handles::get::<Request>(request) {
        if request.body_deferred.get() == deferred {
            request.body_deferred.set(Word::NULL);
        }
    }
    if let Ok(deferred) = handles::get::<Deferred>(deferred) {
        let _ = chain::abandon(deferred);
    }
}

fn give(request: Item<Request>, deferred: DeferredItem) {
    request.body_deferred.set(Word::NULL);
    let reactor = request.root();
    let body = request.with(|message| std::mem::take(&mut message.body)).unwrap_or_default();
    let _ = match bytes::make(reactor, body) {
        Ok(value) => chain::callback(deferred, value),
        Err(why) => chain::errback(deferred, failure::of_status(reactor, why)),
    };
}

/// Has the body handed on as it comes.
pub fn stream(request: Item<Request>, functions: Functions) -> Result {
    check_unasked(request)?;
    request.message(|message| message.body_functions = Some(functions))?;
    request.set(flag::STREAMED);
    want(request);
    Ok(())
}

/// Collects it, without a Deferred: the handler is told when it is there.
pub(super) fn collect(request: Item<Request>) {
    request.set(flag::WHOLE | flag::EVENT);
    want(request);
}

/// The whole body, once it is there.
pub fn whole(request: Item<Request>) -> Result<(Word, usize)> {
    if !request.has(flag::BODY_ENDED) {
        return Err(Status::ERR_INVALID_STATE.because("the body is not there yet"));
    }
    request.message(|message| (Word::new(message.body.as_ptr()), message.body.len()))
}

/// No more of it for now.
pub fn pause(request: Item<Request>) -> Result {
    check_streamed(request)?;
    request.set(flag::HELD);
    if let Some(carrier) = request.carrier() {
        carrier.want_body(false);
    }
    Ok(())
}

/// More of it.
pub fn resume(request: Item<Request>) -> Result {
    check_streamed(request)?;
    request.clear(flag::HELD);
    if let Some(carrier) = request.carrier().filter(|_| !request.has(flag::BODY_ENDED)) {
        carrier.want_body(true);
        request.note();
    }
    Ok(())
}

fn check_streamed(request: Item<Request>) -> Result {
    request.check_open()?;
    if request.has(flag::STREAMED) {
        return Ok(());
    }
    Err(Status::ERR_INVALID_STATE.because("the body is not handed on as it comes"))
}

/// Some of it came, and was wanted; from the carrier. False: no more of it is.
pub fn came(request: Item<Request>, data: &[u8]) -> bool {
    if request.has(flag::FINISHED | flag::LOST | flag::REFUSED) {
        return false;
    }
    let received = request.received.get() + data.len() as u64;
    request.received.set(received);
    if received > request.most_body.get() {
        too_large(request);
        return false;
    }
    if request.has(flag::WHOLE) {
        let kept = request.with(|message| {
            // With a NUL behind it, which C may rely on.
            let kept = message.body.try_reserve(data.len() + 1).is_ok();
            if kept {
                message.body.extend_from_slice(data);
            }
            kept
        });
        if kept == Some(false) {
            refuse(request, 503, Status::ERR_NO_MEMORY.because("no memory for the request's body"));
            return false;
        }
    } else {
        let functions =
            request.with(|message| message.body_functions.as_ref().map(|its| (its.received, its.data.word())));
        if let Some((received, user)) = functions.flatten() {
            in_scope(request, || received(request.word(), Word::new(data.as_ptr()), data.len(), user));
        }
    }
    request.is_alive() && !request.has(flag::FINISHED | flag::LOST | flag::REFUSED)
}

/// All of it came; from the carrier.
pub fn ended(request: Item<Request>) {
    request.set(flag::BODY_ENDED);
    if !request.has(flag::HANDLING) {
        told_when_there(request);
    }
}

/// Tells that all is there, once somebody has asked for it.
pub(super) fn told_when_there(request: Item<Request>) {
    if !request.has(flag::BODY_ENDED) {
        return;
    }
    if request.has(flag::EVENT) {
        request.clear(flag::EVENT);
        answer::queue_event(request);
    }
    if let Some(deferred) = named::<Deferred>(request.body_deferred.get()) {
        return give(request, deferred);
    }
    let functions = request.with(|message| message.body_functions.take()).flatten();
    if let Some(functions) = functions {
        in_scope(request, || (functions.ended)(request.word(), Word::NULL, functions.data.word()));
        in_scope(request, || drop(functions));
    }
}

/// It is more than it may be.
pub(super) fn too_large(request: Item<Request>) {
    let why = format!("the request's body has more than {} bytes, the limit", request.most_body.get());
    refuse(request, 413, Status::ERR_LIMIT.because(why));
}

/// What came breaks the rules; from the carrier.
pub fn broken(request: Item<Request>, bad: Bad) {
    refuse(request, bad.code, Status::ERR_BAD_FRAME.because(bad.text));
}

/// The request is answered with this, if it can be, and lost.
pub(super) fn refuse(request: Item<Request>, code: u16, why: Status) {
    if request.has(flag::REFUSED | flag::TOLD | flag::LOST) {
        return;
    }
    let reason = failure::of_status(request.root(), why);
    request.set(flag::REFUSED);
    if request.has(flag::HEAD_SENT) || request.has(flag::FINISHED) {
        if let Some(carrier) = request.carrier().filter(|_| !request.has(flag::FINISHED)) {
            carrier.abort(reason);
        }
    } else {
        request.set(flag::CLOSES);
        answer::plain(request, code);
    }
    request.lose_later(reason);
}

/// A new event, if the handler is one.
pub(super) fn event(request: Item<Request>, tag: u64) {
    let event = Event { kind: events::HTTP_REQUEST, tag, source: request.word(), ..Event::default() };
    events::push(request.root(), event);
}
