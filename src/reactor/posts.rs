//! What any thread may send to a reactor, found by its token.

use super::events;
use super::thread_queue::{self, Call, Item, Postable, Refused, Registry, Senders};
use super::{Message, ReactorItem};
use crate::handles::{CallFn, FreeFn, Word};
use crate::status::{Result, Status};
use std::cell::RefCell;

static REACTORS: Registry<Message> = Registry::new();

thread_local! {
    static SENDERS: RefCell<Senders<Message>> = const { RefCell::new(Senders::new()) };
}

impl Postable for Message {
    fn registry() -> &'static Registry<Self> {
        &REACTORS
    }

    #[inline]
    fn with_senders<R>(with: impl FnOnce(&mut Senders<Self>) -> R) -> Option<R> {
        SENDERS.try_with(|senders| senders.try_borrow_mut().ok().map(|mut senders| with(&mut senders))).ok().flatten()
    }
}

fn status(refused: Refused) -> Status {
    match refused {
        Refused::Closed => Status::ERR_CLOSED,
        Refused::NoMemory => Status::ERR_NO_MEMORY,
    }
}

/// Has `call(data)` made on the thread of the reactor with this token. What is refused is still the caller's.
#[inline]
pub fn post_call(reactor: Word, call: CallFn, data: Word, free: Option<FreeFn>) -> Result {
    thread_queue::post_call::<Message>(reactor.addr() as u64, Call { call, data, free }).map_err(status)
}

/// Queues an event on the reactor with this token.
pub fn post_event(reactor: Word, tag: u64) -> Result {
    let tag = Word::from_addr(tag as usize);
    post_message(reactor, Box::new(move |reactor| events::push_tag(reactor, events::CALL, tag, Word::NULL)))
}

/// Has the message run on the thread of the reactor with this token. What is refused is dropped.
pub fn post_message(reactor: Word, message: Message) -> Result {
    let posted = thread_queue::post_message::<Message>(reactor.addr() as u64, message);
    posted.map_err(|rejected| status(rejected.reason))
}

/// Runs what was posted.
#[inline]
pub(super) fn run(reactor: ReactorItem, item: Item<Message>) {
    match item {
        Item::Call(Call { call, data, free }) => {
            call(data);
            if let Some(free) = free {
                free(data);
            }
        }
        Item::Message(message) => message(reactor),
    }
}
