//! Handing connections over: one reactor accepts, and others get what it accepted by their thread queues.

use super::Fresh;
use super::listener::{self, Build, Listener};
use super::out::OwnDescriptor;
use super::protocol::Protocol;
use crate::driver::Address;
use crate::handles::{self, Item, Word};
use crate::reactor::{ReactorItem, posts};
use crate::status::Result;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Deals what a listener accepts by turns.
pub struct Dealer {
    /// The other reactors and their listeners.
    others: RefCell<Vec<(Word, Word)>>,
    turn: Cell<usize>,
}

impl Dealer {
    /// Deals to these, and to the reactor that accepts.
    pub fn new(others: Vec<(Word, Word)>) -> Self {
        Self { others: RefCell::new(others), turn: Cell::new(0) }
    }

    /// Hands a connection on, if it is not this reactor's own turn.
    pub(super) fn deal(&self, fresh: Fresh) -> Option<Fresh> {
        let turn = self.turn.get();
        let mut others = self.others.borrow_mut();
        self.turn.set(if turn >= others.len() { 0 } else { turn + 1 });
        let Some(&(reactor, listener)) = turn.checked_sub(1).and_then(|other| others.get(other)) else {
            return Some(fresh);
        };
        // Closed if nobody takes it: a message that is refused is dropped.
        let connection = OwnDescriptor(fresh.keep());
        let message = Box::new(move |reactor| take(reactor, listener, connection));
        if posts::post_message(reactor, message).is_err() {
            // That reactor is over; from here on the others do without it.
            others.remove(turn - 1);
        }
        None
    }
}

/// A listener that accepts nothing itself.
pub(super) fn receiver(
    reactor: ReactorItem,
    address: Address,
    protocol: Rc<Protocol>,
    build: Build,
) -> Result<Item<Listener>> {
    super::open(reactor)?;
    listener::make(reactor, None, address, protocol, build)
}

/// Takes what another reactor has accepted.
fn take(reactor: ReactorItem, listener: Word, connection: OwnDescriptor) {
    if let Ok(listener) = handles::get::<Listener>(listener).and_then(|listener| {
        reactor.check_open()?;
        listener::check_open(listener)?;
        Ok(listener)
    }) {
        listener::accepted(reactor, listener, Fresh::new(reactor, connection.into_socket()));
    }
}
