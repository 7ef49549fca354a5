//! What a connection's owner wants to be told.

use super::transport::{Transport, flag};
use crate::handles::{DataFn, FreeFn, Item, LostFn, Owned, TransportFn, Word};
use crate::reactor::events::{self, Event};
use crate::status::Result;
use std::any::Any;
use std::rc::Rc;

/// The functions of a protocol, or the tag of its events. None of it is told where there is neither.
#[derive(Default)]
#[expect(missing_docs, reason = "each is named after its field in lariat_protocol")]
pub struct Protocol {
    pub connection_made: Option<TransportFn>,
    pub data_received: Option<DataFn>,
    pub connection_lost: Option<LostFn>,
    pub read_connection_lost: Option<TransportFn>,
    pub write_connection_lost: Option<TransportFn>,
    pub free_self: Option<FreeFn>,
    /// What `data_received` does not consume comes again, with more behind it.
    pub pull: bool,
    pub events: Option<u64>,
    /// What all connections have as self, freed with the last of them.
    pub shared: Owned,
    /// Who is told in place of the functions: the stream is a part of something else.
    pub whole: Option<Rc<dyn Whole>>,
}

/// What a stream is a part of, such as a pipe of a process, or a connection of a web server: a protocol of our own. It is
/// called as the functions of a host's protocol are.
pub trait Whole {
    /// The connection is there.
    fn made(&self, _transport: Item<Transport>) {}
    /// Bytes came.
    fn received(&self, transport: Item<Transport>, data: &[u8]);
    /// Whether a direction that has ended leaves the other one open.
    fn keeps_half(&self) -> bool {
        false
    }
    /// Whether the host may give the connection another protocol.
    fn may_go(&self) -> bool {
        true
    }
    /// The peer sends no more, and the other direction is kept.
    fn read_ended(&self, _transport: Item<Transport>) {}
    /// More waits to be written than the high-water mark says; told after [`super::producer::register_whole`].
    fn paused(&self, _transport: Item<Transport>) {}
    /// There is room again.
    fn resumed(&self, _transport: Item<Transport>) {}
    /// The connection is over, for this reason; last. Only after `made`.
    fn lost(&self, _transport: Item<Transport>, _reason: Word) {}
    /// Where an event comes from, and which part of that the stream is.
    fn source(&self) -> (Word, i32) {
        (Word::NULL, 0)
    }
    /// For who has put it there, to find it again.
    fn as_any(self: Rc<Self>) -> Rc<dyn Any>;
}

impl Protocol {
    /// Whether a direction that has ended leaves the other one open.
    pub fn keeps_half(&self) -> bool {
        self.read_connection_lost.is_some()
            || self.write_connection_lost.is_some()
            || self.whole.as_ref().is_some_and(|whole| whole.keeps_half())
    }

    /// A self that is freed as this protocol wants it.
    pub fn own(&self, this: Word) -> Owned {
        Owned::new(this, self.free_self)
    }
}

/// Something between a connection and its protocol, that makes other pieces of what comes in and of what goes out.
pub trait Filter {
    /// Bytes came in: hands on what they make by [`Item::deliver`]. An error ends the connection with it.
    fn received(&self, transport: Item<Transport>, data: &[u8]) -> Result;
    /// The peer sends no more: an error where that cuts something short.
    fn ended(&self, transport: Item<Transport>) -> Result;
    /// Gets bytes that came in before all that was not handed on yet; hands them on when the loop is back.
    fn put_back(&self, transport: Item<Transport>, data: &[u8]) -> Result;
    /// Takes back what came in and was not handed on.
    fn take_rest(&self) -> Vec<u8>;
    /// For who has put it there, to find it again.
    fn as_any(self: Rc<Self>) -> Rc<dyn Any>;
}

impl Item<Transport> {
    /// Calls one of the protocol's functions that get no more than the transport; or queues its event.
    pub(super) fn tell(self, which: impl FnOnce(&Protocol) -> Option<TransportFn>, kind: i32) {
        let reactor = self.root();
        let Some((function, tag)) = self.with_protocol(|protocol| (which(protocol), protocol.events)) else { return };
        if let Some(tag) = tag {
            if self.is_part() {
                return;
            }
            if kind == events::CONNECTION_MADE {
                // Nothing is read before the host has seen it, and has said how: by framing, for one.
                self.set(flag::HELD);
            }
            events::push(reactor, Event { kind, tag, source: self.word(), ..Event::default() });
        } else if let Some(function) = function {
            let _out = reactor.call_out();
            reactor.in_scope(self.scope.get(), || function(self.word(), self.this.get()));
        } else if kind == events::CONNECTION_MADE {
            self.tell_whole(|whole| whole.made(self));
        } else if kind == events::READ_CONNECTION_LOST {
            self.tell_whole(|whole| whole.read_ended(self));
        }
    }

    /// Calls what the stream is a part of, if it is of anything.
    pub(super) fn tell_whole(self, call: impl FnOnce(&dyn Whole)) {
        if let Some(whole) = self.whole() {
            let reactor = self.root();
            let _out = reactor.call_out();
            reactor.in_scope(self.scope.get(), || call(&*whole));
        }
    }

    /// What the stream is a part of.
    pub fn whole(self) -> Option<Rc<dyn Whole>> {
        self.with_protocol(|protocol| protocol.whole.clone()).flatten()
    }

    /// Whether what it is a part of tells of it.
    pub(super) fn is_part(self) -> bool {
        self.with_protocol(|protocol| protocol.whole.is_some()) == Some(true)
    }

    /// Hands data to the protocol.
    #[inline]
    pub fn deliver(self, data: &[u8]) {
        let Some((function, tag)) = self.with_protocol(|protocol| (protocol.data_received, protocol.events)) else {
            return;
        };
        let reactor = self.root();
        if let Some(tag) = tag {
            self.push_data(tag, data);
        } else if let Some(function) = function {
            let _out = reactor.call_out();
            let place = Word::new(data.as_ptr());
            reactor.in_scope(self.scope.get(), || function(self.word(), place, data.len(), self.this.get()));
        } else {
            self.tell_whole(|whole| whole.received(self, data));
        }
    }

    fn push_data(self, tag: u64, data: &[u8]) {
        let mut copy = Vec::new();
        if copy.try_reserve_exact(data.len()).is_err() {
            return self.lost_to(crate::status::Status::ERR_NO_MEMORY, "no memory for what was received");
        }
        copy.extend_from_slice(data);
        let of = self.with_protocol(|protocol| protocol.whole.as_ref().map(|whole| whole.source())).flatten();
        let (kind, (source, child_fd)) = match of {
            Some(of) => (events::CHILD_DATA_RECEIVED, of),
            None => (events::DATA_RECEIVED, (self.word(), 0)),
        };
        events::push(self.root(), Event { kind, tag, source, child_fd, data: copy, ..Event::default() });
    }

    /// Whether the data that comes now has nowhere to go; then reading goes on when there is room for its events.
    #[inline]
    pub(super) fn is_held(self) -> bool {
        self.has(flag::EVENTS) && self.hold_if_full()
    }

    #[inline(never)]
    fn hold_if_full(self) -> bool {
        if self.has(flag::HELD) {
            return true;
        }
        let held = events::hold_if_full(self.root(), self.word());
        if held {
            self.set(flag::HELD);
        }
        held
    }
}
