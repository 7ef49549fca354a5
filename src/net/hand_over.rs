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
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The listener that accepts, as those know it who get what it has accepted.
pub struct Acceptor {
    reactor: Word,
    listener: Word,
    /// It waits until somebody has room.
    waits: AtomicBool,
}

impl Acceptor {
    pub(super) fn new(reactor: Word, listener: Word) -> Self {
        Self { reactor, listener, waits: AtomicBool::new(false) }
    }

    /// Somebody has room. By any thread.
    fn wake(&self) {
        if self.waits.swap(false, Ordering::SeqCst) {
            let listener = self.listener;
            // One that is over waits no more.
            let _ = posts::post_message(self.reactor, Box::new(move |_| listener::go_on(listener)));
        }
    }
}

/// How many more a receiver may get: the acceptor asks before it accepts, so that others wait in the backlog.
pub struct Room {
    acceptor: Arc<Acceptor>,
    /// Its connections, and those on their way to it.
    taken: AtomicU32,
    /// 0: no limit.
    most: AtomicU32,
    shut: AtomicBool,
}

// Who makes room and then finds the acceptor not waiting, and who says that it waits and then looks for room, must not miss
// each other: all of it is in one order.
impl Room {
    pub(super) fn new(acceptor: Arc<Acceptor>) -> Self {
        let (taken, most, shut) = (AtomicU32::new(0), AtomicU32::new(0), AtomicBool::new(false));
        Self { acceptor, taken, most, shut }
    }

    fn has_some(&self) -> bool {
        let most = self.most.load(Ordering::SeqCst);
        !self.shut.load(Ordering::SeqCst) && (most == 0 || self.taken.load(Ordering::SeqCst) < most)
    }

    pub(super) fn set_most(&self, most: u32) {
        self.most.store(most, Ordering::SeqCst);
        self.acceptor.wake();
    }

    /// Nothing is to be handed to it any more, or again.
    pub(super) fn set_shut(&self, shut: bool) {
        self.shut.store(shut, Ordering::SeqCst);
        self.acceptor.wake();
    }

    pub(super) fn take(&self) {
        self.taken.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn give_back(&self) {
        self.taken.fetch_sub(1, Ordering::SeqCst);
        self.acceptor.wake();
    }
}

/// The place of a connection that is on its way.
struct Place(Arc<Room>);

impl Place {
    fn of(room: &Arc<Room>) -> Self {
        room.take();
        Self(Arc::clone(room))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

/// Another reactor, and its listener.
pub struct Other {
    pub(super) reactor: Word,
    pub(super) listener: Word,
    pub(super) room: Arc<Room>,
}

/// Deals what a listener accepts by turns.
pub struct Dealer {
    acceptor: Arc<Acceptor>,
    others: RefCell<Vec<Other>>,
    /// Who is next: 0 is the reactor that accepts.
    turn: Cell<usize>,
}

impl Dealer {
    /// Deals to these, and to the reactor that accepts.
    pub fn new(acceptor: Arc<Acceptor>, others: Vec<Other>) -> Self {
        Self { acceptor, others: RefCell::new(others), turn: Cell::new(0) }
    }

    /// Whether anybody has room, whose turn it is then. If nobody has, the listener is told when somebody does.
    pub(super) fn has_room(&self, own: bool) -> bool {
        self.find(own) || {
            self.acceptor.waits.store(true, Ordering::SeqCst);
            self.find(own)
        }
    }

    fn find(&self, own: bool) -> bool {
        let (others, first) = (self.others.borrow(), self.turn.get());
        let has_room = |turn: usize| turn.checked_sub(1).map_or(own, |other| others[other].room.has_some());
        let found = (first..=others.len()).chain(0..first).find(|&turn| has_room(turn));
        self.turn.set(found.unwrap_or(first));
        found.is_some()
    }

    /// Hands a connection on, if it is not this reactor's own turn.
    pub(super) fn deal(&self, fresh: Fresh) -> Option<Fresh> {
        let turn = self.turn.get();
        let mut others = self.others.borrow_mut();
        self.turn.set(if turn >= others.len() { 0 } else { turn + 1 });
        let Some(other) = turn.checked_sub(1).and_then(|other| others.get(other)) else {
            return Some(fresh);
        };
        // Closed if nobody takes it: a message that is refused is dropped.
        let (connection, place, listener) = (OwnDescriptor(fresh.keep()), Place::of(&other.room), other.listener);
        let message = Box::new(move |reactor| take(reactor, listener, connection, place));
        if posts::post_message(other.reactor, message).is_err() {
            // That reactor is over; from here on the others do without it.
            others.remove(turn - 1);
            self.turn.set(if turn > others.len() { 0 } else { turn });
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
    room: Arc<Room>,
) -> Result<Item<Listener>> {
    super::open(reactor)?;
    let listener = listener::make(reactor, None, address, protocol, build)?;
    listener.is_handed_by(room);
    Ok(listener)
}

/// Takes what another reactor has accepted. Its place on the way is given back when it has one of a connection.
fn take(reactor: ReactorItem, listener: Word, connection: OwnDescriptor, _place: Place) {
    if let Ok(listener) = handles::get::<Listener>(listener).and_then(|listener| {
        reactor.check_open()?;
        listener::check_open(listener)?;
        Ok(listener)
    }) {
        listener::accepted(reactor, listener, Fresh::new(reactor, connection.into_socket()));
    }
}
