//! Descriptors of the world, by numbers that are never given twice, and the edges of their readiness.

use super::datagrams::Datagrams;
use super::errors::{self, Errno};
use super::hosts::Common;
use super::listener::Listener;
use super::network::Network;
use super::stream::Stream;
use crate::driver::{Readiness, Ready};
use crate::handles::Word;
use crate::platform::Socket;

/// Made-up descriptors start here: no real one is as high.
pub(super) const FIRST: Socket = 1 << 24;

/// Who watches.
pub(super) struct Watch {
    /// The driver's number.
    driver: usize,
    key: Word,
    interest: Readiness,
    /// It is in the driver's list of what to report.
    listed: bool,
}

/// Whose a descriptor is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// A program's.
    Open,
    /// Nobody's yet: it was not accepted.
    Waiting,
    /// Nobody's any more: it goes on until the peer has all.
    Closed,
}

pub(super) enum Body {
    /// Readiness that the host sets, nothing else.
    MadeUp(Readiness),
    Stream(Box<Stream>),
    Listener(Box<Listener>),
    Datagrams(Box<Datagrams>),
}

pub(super) struct Descriptor {
    pub life: Life,
    pub watch: Option<Watch>,
    pub common: Common,
    pub body: Body,
}

/// What it is ready for, whoever is interested.
#[derive(Clone, Copy, Default)]
pub(super) struct Level {
    pub ready: Readiness,
    /// The peer sends no more.
    pub ended: bool,
    /// There is an error, or both directions have ended.
    pub failed: bool,
}

impl Level {
    /// What to report to this interest; as the kernels do it, a failure is for any.
    fn report(self, interest: Readiness) -> Option<(Readiness, bool)> {
        let ended = self.failed || (self.ended && interest.readable);
        let wanted = self.ready.and(interest);
        let readiness = Readiness { readable: wanted.readable || ended, writable: wanted.writable || self.failed };
        (!interest.is_empty() && !readiness.is_empty()).then_some((readiness, ended))
    }
}

impl Descriptor {
    fn level(&self) -> Level {
        match &self.body {
            Body::MadeUp(ready) => Level { ready: *ready, ..Level::default() },
            Body::Stream(stream) => stream.level(self.common.options.send_buffer),
            Body::Listener(listener) => listener.level(),
            Body::Datagrams(datagrams) => datagrams.level(),
        }
    }
}

impl Network {
    /// Adds a descriptor.
    pub fn add(&mut self, life: Life, common: Common, body: Body) -> Socket {
        let socket = self.next_descriptor;
        self.next_descriptor += 1;
        self.descriptors.insert(socket, Descriptor { life, watch: None, common, body });
        socket
    }

    /// One that a program has.
    pub fn open_one(&mut self, socket: Socket) -> Result<&mut Descriptor, Errno> {
        self.descriptors
            .get_mut(&socket)
            .filter(|descriptor| descriptor.life == Life::Open)
            .ok_or(errors::BAD_DESCRIPTOR)
    }

    /// Sees to it that whoever watches is told, if there is something to tell.
    pub fn touch(&mut self, socket: Socket) {
        let Some(descriptor) = self.descriptors.get_mut(&socket) else { return };
        let level = descriptor.level();
        let Some(watch) = &mut descriptor.watch else { return };
        if !watch.listed && level.report(watch.interest).is_some() {
            watch.listed = true;
            self.lists[watch.driver].push(socket);
        }
    }

    /// A list for one more driver.
    pub fn add_driver(&mut self) -> usize {
        self.lists.push(Vec::new());
        self.lists.len() - 1
    }

    /// Sets who watches; what is ready now is reported again.
    pub fn set_watch(&mut self, socket: Socket, driver: usize, key: Word, interest: Readiness) -> Result<(), Errno> {
        self.open_one(socket)?.watch = Some(Watch { driver, key, interest, listed: false });
        self.touch(socket);
        Ok(())
    }

    pub fn is_watched(&self, socket: Socket) -> bool {
        self.descriptors.get(&socket).is_some_and(|descriptor| descriptor.watch.is_some())
    }

    pub fn unwatch(&mut self, socket: Socket) {
        if let Some(descriptor) = self.descriptors.get_mut(&socket) {
            descriptor.watch = None;
        }
    }

    /// Whether a poll of this driver would find something.
    pub fn has_ready(&self, driver: usize) -> bool {
        let due = |socket: &Socket| {
            let descriptor = self.descriptors.get(socket)?;
            let watch = descriptor.watch.as_ref().filter(|watch| watch.driver == driver && watch.listed)?;
            descriptor.level().report(watch.interest)
        };
        self.lists[driver].iter().any(|socket| due(socket).is_some())
    }

    /// Takes out what became ready since the last time.
    pub fn poll(&mut self, driver: usize, ready: &mut Vec<Ready>) {
        let mut list = std::mem::take(&mut self.lists[driver]);
        for socket in list.drain(..) {
            let Some(descriptor) = self.descriptors.get_mut(&socket) else { continue };
            let level = descriptor.level();
            // It may be watched anew, by another, or be listed twice.
            let mine = |watch: &&mut Watch| watch.driver == driver && watch.listed;
            let Some(watch) = descriptor.watch.as_mut().filter(mine) else { continue };
            watch.listed = false;
            if let Some((readiness, ended)) = level.report(watch.interest) {
                ready.push(Ready { key: watch.key, readiness, ended });
            }
        }
        self.lists[driver] = list;
    }

    /// A made-up descriptor, ready for nothing.
    pub fn make_up(&mut self) -> Socket {
        self.add(Life::Open, Common::default(), Body::MadeUp(Readiness::default()))
    }

    fn made_up(&mut self, socket: Socket) -> Option<&mut Readiness> {
        match &mut self.open_one(socket).ok()?.body {
            Body::MadeUp(ready) => Some(ready),
            _ => None,
        }
    }

    /// Makes a made-up descriptor ready, or not; false: it is none.
    pub fn set_ready(&mut self, socket: Socket, ready: Readiness) -> bool {
        let Some(place) = self.made_up(socket) else { return false };
        *place = ready;
        self.touch(socket);
        true
    }

    /// Forgets a made-up descriptor; false: it is none.
    pub fn close_made_up(&mut self, socket: Socket) -> bool {
        self.made_up(socket).is_some() && self.descriptors.remove(&socket).is_some()
    }
}
