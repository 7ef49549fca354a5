//! Calling into a reactor from another thread, and waiting there for what comes.

use crate::deferred::{Deferred, chain};
use crate::handles::{self, HandleFn, Owned, Word};
use crate::reactor::{Message, ReactorItem, posts};
use crate::status::{self, Result, Status};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What came of it: a value, now the caller's, or a failure's code and words.
pub type Answer = std::result::Result<Word, (i32, Option<String>)>;

/// The answer on its way: a value that nobody waits for any more is freed.
type Sent = std::result::Result<Owned, (i32, Option<String>)>;

/// The caller's function and its data, until one of the two sides takes it.
type Call = Arc<Mutex<Option<(HandleFn, Word)>>>;

/// Calls `function` on the reactor's thread and waits for its Deferred, `wait` at most.
pub fn blocking_call(reactor: Word, wait: Option<Duration>, function: HandleFn, data: Word) -> Result<Answer> {
    let call: Call = Arc::new(Mutex::new(Some((function, data))));
    let (sender, receiver) = bounded(1);
    let theirs = Arc::clone(&call);
    let message: Message = Box::new(move |reactor| begin(reactor, &theirs, sender));
    posts::post_message(reactor, message)?;
    match receive(&receiver, wait) {
        Ok(answer) => Ok(answer.map(|value| value.into_parts().0)),
        Err(RecvTimeoutError::Disconnected) => Err(Status::ERR_CLOSED),
        Err(RecvTimeoutError::Timeout) => {
            // If the reactor has begun, its thread holds the lock until the caller's function has returned.
            call.lock().unwrap_or_else(PoisonError::into_inner).take();
            Err(Status::ERR_TIMED_OUT)
        }
    }
}

fn receive(receiver: &Receiver<Sent>, wait: Option<Duration>) -> std::result::Result<Sent, RecvTimeoutError> {
    match wait.and_then(|wait| Instant::now().checked_add(wait)) {
        Some(deadline) => receiver.recv_deadline(deadline),
        None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
    }
}

/// On the reactor's thread: calls the function, and sends on what its Deferred gives.
fn begin(reactor: ReactorItem, call: &Call, sender: Sender<Sent>) {
    let mut call = call.lock().unwrap_or_else(PoisonError::into_inner);
    // None: the caller has given up.
    let Some((function, data)) = call.take() else { return };
    reactor.above.on_panic.set(Some(chain::forget_tellers));
    let _out = reactor.call_out();
    let returned = function(reactor.word(), data);
    drop(call);
    let given = handles::get::<Deferred>(returned).and_then(|deferred| {
        let sender = sender.clone();
        chain::when_over(deferred, Box::new(move |outcome| drop(sender.send(outcome))))
    });
    if let Err(why) = given {
        let last = status::last();
        let started = !returned.is_null() || !last.is_error();
        let (code, message) = if started { (why.0, status::detail_of(why)) } else { (last.0, status::last_message()) };
        drop(sender.send(Err((code, message))));
    }
}
