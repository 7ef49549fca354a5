//! What is still to happen in the world, in order of time; at one instant, in the order in which it was decided.

use super::datagrams::Flying;
use super::hosts::Host;
use crate::platform::Socket;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Something that will happen.
pub(super) enum Event {
    /// The first of what a stream has sent arrives.
    Deliver(Socket),
    /// A sender learns that so many bytes were read.
    Credit { to: Socket, from: Socket, amount: usize },
    /// A reset arrives that no socket has sent: there was none.
    Reset { to: Socket, from: Host },
    /// A datagram arrives.
    Datagram(Box<Flying>),
    /// A datagram's sender learns that nobody takes it there.
    Refused { to: Socket, from: Host },
    /// The probes of a silent connection have had no answer.
    KeepAlive(Socket),
}

pub(super) struct Entry {
    pub at: u64,
    sequence: u64,
    pub event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

#[derive(Default)]
pub(super) struct Events {
    heap: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
}

impl Events {
    pub fn push(&mut self, at: u64, event: Event) {
        self.sequence += 1;
        self.heap.push(Reverse(Entry { at, sequence: self.sequence, event }));
    }

    pub fn first(&self) -> Option<&Entry> {
        self.heap.peek().map(|Reverse(entry)| entry)
    }

    pub fn pop(&mut self) -> Option<Entry> {
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}
