//! What mio knows of sockets on Windows. A socket is polled by a request that is answered once for each thing asked for;
//! what has been answered is asked for anew when a call has found that there is no more of it. That is an edge.

use super::Readiness;
use crate::handles::Word;
use crate::platform::{Socket, Source};
use crate::status::{Result, Status};
use mio::event::Source as _;
use mio::{Interest, Registry, Token};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;

/// The sockets that are watched. Their tokens are their numbers, of which none is zero.
#[derive(Default)]
pub(super) struct Registrations(RefCell<HashMap<Socket, Registration>>);

struct Registration {
    source: Source,
    key: Word,
    interest: Readiness,
    /// What the system has been asked for and has not answered.
    asked: Readiness,
}

fn interest_of(readiness: Readiness) -> Option<Interest> {
    match (readiness.readable, readiness.writable) {
        (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
        (true, false) => Some(Interest::READABLE),
        (false, true) => Some(Interest::WRITABLE),
        (false, false) => None,
    }
}

impl Registration {
    /// Asks for what has not been answered; what is so already is answered at once.
    fn ask(&mut self, registry: &Registry, socket: Socket) -> io::Result<()> {
        let Some(interest) = interest_of(self.asked) else { return Ok(()) };
        self.source.reregister(registry, Token(socket), interest)
    }
}

impl Registrations {
    /// Watches a socket that is not watched yet.
    pub fn watch(&self, registry: &Registry, socket: Socket, key: Word, interest: Readiness) -> Result<io::Result<()>> {
        let mut sockets = self.0.borrow_mut();
        if sockets.contains_key(&socket) {
            return Err(Status::ERR_ALREADY_WATCHED);
        }
        let Some(asked) = interest_of(interest) else { return Ok(Ok(())) };
        sockets.try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
        let mut source = Source::new(socket);
        if let Err(error) = source.register(registry, Token(socket), asked) {
            return Ok(Err(error));
        }
        sockets.insert(socket, Registration { source, key, interest, asked: interest });
        Ok(Ok(()))
    }

    /// Watches for something else, or anew.
    pub fn rewatch(
        &self,
        registry: &Registry,
        socket: Socket,
        key: Word,
        interest: Readiness,
    ) -> Result<io::Result<()>> {
        if interest.is_empty() {
            self.forget(socket);
            return Ok(Ok(()));
        }
        if let Some(found) = self.0.borrow_mut().get_mut(&socket) {
            (found.key, found.interest, found.asked) = (key, interest, interest);
            return Ok(found.ask(registry, socket));
        }
        self.watch(registry, socket, key, interest)
    }

    /// Watches no more. What mio has for it is dropped before the socket is closed.
    pub fn forget(&self, socket: Socket) {
        drop(self.0.borrow_mut().remove(&socket));
    }

    /// The system has answered: who watches the socket.
    pub fn answered(&self, token: Token, readiness: Readiness) -> Option<Word> {
        let mut sockets = self.0.borrow_mut();
        let found = sockets.get_mut(&token.0)?;
        found.asked.readable &= !readiness.readable;
        found.asked.writable &= !readiness.writable;
        Some(found.key)
    }

    /// A call has found that there is no more: an edge says when there is again.
    #[cold]
    pub fn exhausted(&self, registry: &Registry, socket: Socket, direction: Readiness) -> io::Result<()> {
        let mut sockets = self.0.borrow_mut();
        let Some(found) = sockets.get_mut(&socket) else { return Ok(()) };
        let wanted = direction.and(found.interest);
        if wanted.and(found.asked) == wanted {
            return Ok(());
        }
        found.asked.readable |= wanted.readable;
        found.asked.writable |= wanted.writable;
        found.ask(registry, socket)
    }
}
