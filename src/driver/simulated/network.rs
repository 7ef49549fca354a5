//! The network as a whole: what is there, and what happens next.

use super::clockwork::Clockwork;
use super::descriptors::{self, Descriptor};
use super::events::{Event, Events};
use super::hosts::Hosts;
use super::links::Links;
use crate::platform::Socket;
use std::collections::HashMap;
use std::rc::Rc;

/// How probably a call on a socket does less than it could, unless set.
const SHORT_IO: f64 = 0.1;

/// All that is not the clock's. Nothing walks through a map whose order is not the same in each run.
pub(super) struct Network {
    pub clockwork: Rc<Clockwork>,
    pub descriptors: HashMap<Socket, Descriptor>,
    pub next_descriptor: Socket,
    /// What to report, by driver.
    pub lists: Vec<Vec<Socket>>,
    pub hosts: Hosts,
    pub links: Links,
    pub events: Events,
    pub short_io: f64,
}

/// What a call on a socket is given to do.
pub(super) enum Share {
    /// All that it can.
    All,
    /// No more than this.
    Some(usize),
    /// Nothing, though it could.
    None,
}

impl Network {
    pub fn new(clockwork: Rc<Clockwork>) -> Self {
        Self {
            clockwork,
            descriptors: HashMap::new(),
            next_descriptor: descriptors::FIRST,
            lists: Vec::new(),
            hosts: Hosts::default(),
            links: Links::default(),
            events: Events::default(),
            short_io: SHORT_IO,
        }
    }

    pub fn now(&self) -> u64 {
        self.clockwork.now()
    }

    /// When something happens next.
    pub fn next_event(&mut self) -> Option<u64> {
        loop {
            let entry = self.events.first()?;
            if !self.is_over(&entry.event, entry.at) {
                return Some(entry.at);
            }
            self.events.pop();
        }
    }

    /// Whether an event is of no consequence any more.
    fn is_over(&self, event: &Event, at: u64) -> bool {
        let is_gone = |socket| !self.descriptors.contains_key(socket);
        match event {
            Event::Deliver(socket) => self.stream(*socket).is_none_or(|stream| stream.out.scheduled != Some(at)),
            Event::Credit { to, .. } | Event::Reset { to, .. } | Event::Refused { to, .. } => is_gone(to),
            Event::KeepAlive(socket) => is_gone(socket),
            Event::Datagram(_) => false,
        }
    }

    /// Lets everything happen that is due.
    pub fn deliver_due(&mut self) {
        let now = self.now();
        while self.next_event().is_some_and(|at| at <= now) {
            let Some(entry) = self.events.pop() else { return };
            self.clockwork.trace(entry.at);
            match entry.event {
                Event::Deliver(socket) => self.deliver_stream(socket),
                Event::Credit { to, from, amount } => self.credit_arrives(to, from, amount),
                Event::Reset { to, from } => self.reset_arrives(to, from),
                Event::Datagram(datagram) => self.datagram_arrives(*datagram),
                Event::Refused { to, from } => self.refusal_arrives(to, from),
                Event::KeepAlive(socket) => self.probes_unanswered(socket),
            }
        }
    }

    /// Decides how much a call may do that could do `able`.
    pub fn share(&self, able: usize) -> Share {
        if !self.clockwork.happens(self.short_io) {
            return Share::All;
        }
        match self.clockwork.up_to(3) {
            0 => Share::None,
            _ if able > 1 => Share::Some(1 + self.clockwork.up_to(able as u64 - 2) as usize),
            _ => Share::All,
        }
    }

    /// Whether a packet that is about to arrive does not.
    pub fn is_lost(&mut self, from: super::hosts::Host, to: super::hosts::Host) -> bool {
        let path = *self.links.path(from, to, self.clockwork.now());
        path.blocked_since.is_some() || self.clockwork.happens(path.link.loss)
    }
}
