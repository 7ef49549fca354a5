//! Connections to one endpoint, made again and again: what clients that last and pools have in common.

use super::connect;
use super::listener::{self, Build};
use super::protocol::Protocol;
use super::tls;
use super::transport::{Ended, Transport, flag};
use super::{attempt, ending};
use crate::deferred::{Deferred, cancel, chain};
use crate::handles::{self, BothFn, Item, Owned, Word};
use crate::reactor::ReactorItem;
use crate::status::{Result, Status};
use std::rc::Rc;
use std::sync::Arc;

/// See the module.
pub struct Dialer {
    endpoint: Vec<u8>,
    /// One for all connections, which then go on with each other's sessions.
    tls: Option<Arc<tls::Client>>,
    protocol: Rc<Protocol>,
    build: Build,
}

impl Dialer {
    /// Refuses an endpoint that cannot be connected to.
    pub fn new(endpoint: &[u8], protocol: Rc<Protocol>, build: Build) -> Result<Rc<Self>> {
        Self::with_tls(endpoint, None, protocol, build)
    }

    /// The same, with TLS as is said here, if it is; the endpoint says nothing of it then.
    pub fn with_tls(
        endpoint: &[u8],
        tls: Option<Arc<tls::Client>>,
        protocol: Rc<Protocol>,
        build: Build,
    ) -> Result<Rc<Self>> {
        let tls = connect::tls_of(endpoint, tls)?;
        Ok(Rc::new(Self { endpoint: endpoint.to_owned(), tls, protocol, build }))
    }

    /// Begins an attempt, and gives its Deferred's handle. `told`, which gets `data`, is told of a connection that has
    /// no protocol yet, or of the failure; not from inside this call.
    pub fn begin(&self, reactor: ReactorItem, told: BothFn, data: Word) -> Result<Word> {
        // Nothing is read before it has its own protocol: until the loop is back there is none to read for.
        let how = (None, self.tls.clone());
        let deferred = connect::connect_with(reactor, &self.endpoint, how, Rc::default(), Owned::default())?;
        let added = chain::add_both(deferred, told, Owned::new(data, None));
        if added.is_err() {
            cancel::cancel(deferred);
        }
        chain::release(deferred)?;
        added.map(|()| deferred.word())
    }

    /// Gives a new connection its self and its protocol. `ended` is told of its end. False: it was refused, and `ended` is
    /// not told.
    pub fn establish(&self, transport: Item<Transport>, ended: Ended) -> bool {
        let reactor = transport.root();
        let build = (self.build.function, self.build.data.word());
        let this = listener::make_self(reactor, &self.protocol, build, (Word::NULL, transport));
        let kept = match &this {
            Some(_) if !transport.has(flag::LOST) => transport.with_new_extra(|extra| extra.ended = Some(ended)),
            _ => Err(Status::ERR_CONNECTION_REFUSED),
        };
        match (kept, this) {
            (Ok(()), Some(this)) => {
                attempt::establish(transport, Rc::clone(&self.protocol), this);
                true
            }
            (_, this) => {
                ending::lost(transport, Status::ERR_CONNECTION_REFUSED);
                reactor.in_scope(transport.scope.get(), || drop(this));
                false
            }
        }
    }
}

/// Gives an attempt up. Who began it has forgotten it already.
pub fn give_up(attempt: Word) {
    if let Ok(deferred) = handles::get::<Deferred>(attempt) {
        cancel::cancel(deferred);
    }
}

impl Item<Transport> {
    /// Whether nothing speaks against using it once more.
    pub(crate) fn is_sound(self) -> bool {
        const ENDS: u32 =
            flag::LOST | flag::LOSING | flag::LOSING_WRITE | flag::READ_CLOSED | flag::WRITE_CLOSED | flag::PEER_ENDED;
        !self.has(ENDS)
    }
}

/// Writes what waits, and closes; nothing if it has ended.
pub(super) fn close(transport: Word) {
    if let Ok(transport) = handles::get::<Transport>(transport) {
        if !transport.has(flag::LOST) {
            ending::lose_quietly(transport);
        }
    }
}
