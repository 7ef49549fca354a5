//! Listening by all reactors of a group at one address.

use super::endpoint::{self, Place, Purpose};
use super::group::{self, ReactorGroup, call};
use super::hand_over::{self, Acceptor, Dealer, Other, Room};
use super::listener::{Build, Listener};
use super::protocol::Protocol;
use super::{open, tls};
use crate::driver::Address;
use crate::handles::{self, Item, Owned, Word};
use crate::reactor::ReactorItem;
use crate::status::{self, Result, Status};
use std::rc::Rc;
use std::sync::Arc;

/// Who accepts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// As the system does it best.
    Default,
    /// Each reactor at a socket of its own: the system shares out what connects.
    Port,
    /// The first reactor, which hands on to the others by turns.
    HandOver,
}

/// What is served, made for each reactor on its own thread.
pub type Serve = Arc<dyn Fn() -> Result<(Rc<Protocol>, Build)> + Send + Sync>;

/// Whether the system shares out what connects among all sockets at a port; some let only the last have it.
const SYSTEM_SHARES: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Listens with all reactors; gives the address. `data` is what `serve` relies on.
pub fn listen(
    group: Item<ReactorGroup>,
    endpoint: &[u8],
    sharing: Sharing,
    serve: &Serve,
    data: Owned,
) -> Result<Address> {
    group.check_not_started()?;
    let by_port = by_port(endpoint, sharing)?;
    group::open_threads(group)?;
    let mut made = Vec::new();
    match listen_with_all(group, endpoint, by_port, serve, &mut made) {
        Ok(address) => {
            group.keep(data);
            Ok(address)
        }
        Err(why) => {
            let words = status::detail_of(why);
            // Those that listen already end before the data does.
            for (index, listener) in (0..).zip(made) {
                let _ = call(group, index, move |reactor| {
                    reactor.pools.end(listener);
                    Ok(())
                });
            }
            Err(group::told((why, words)))
        }
    }
}

/// Whether each reactor has a socket of its own.
fn by_port(endpoint: &[u8], sharing: Sharing) -> Result<bool> {
    let place = endpoint::parse(endpoint, Purpose::Listen)?.place;
    let has_port = match place {
        Place::At(address) => address.ip().is_some(),
        Place::Any { .. } => true,
        Place::Name { .. } | Place::Inherited(_) => false,
    };
    match sharing {
        Sharing::Default => Ok(has_port && SYSTEM_SHARES),
        Sharing::HandOver => Ok(false),
        Sharing::Port if has_port && SYSTEM_SHARES => Ok(true),
        Sharing::Port => Err(Status::ERR_NOT_SUPPORTED.because("the system does not share out what connects there")),
    }
}

fn listen_with_all(
    group: Item<ReactorGroup>,
    endpoint: &[u8],
    by_port: bool,
    serve: &Serve,
    made: &mut Vec<Word>,
) -> Result<Address> {
    // One for all, so that each can go on with the sessions of the others.
    let tls = open::tls_of(endpoint, None)?;
    let first = Socket { endpoint: endpoint.to_owned(), at: None, by_port, tls: tls.clone(), serve: Arc::clone(serve) };
    let (listener, address) = call(group, 0, move |reactor| first.listen(reactor))?;
    made.push(listener);
    let acceptor = Arc::new(Acceptor::new(group::reactor(group.word(), 0)?, listener));
    let mut others = Vec::new();
    for index in 1..group.size() {
        let at = by_port.then_some(address);
        let other = Socket { endpoint: endpoint.to_owned(), at, by_port, tls: tls.clone(), serve: Arc::clone(serve) };
        let room = Arc::new(Room::new(Arc::clone(&acceptor)));
        let receives = (!by_port).then(|| Arc::clone(&room));
        let (reactor, listener) = call(group, index, move |reactor| {
            let listener = match receives {
                Some(room) => other.receive(reactor, address, room)?,
                None => other.listen(reactor)?.0,
            };
            Ok((reactor.word(), listener))
        })?;
        made.push(listener);
        others.push(Other { reactor, listener, room });
    }
    if !by_port {
        call(group, 0, move |_| {
            handles::get::<Listener>(listener)?.hand_on_by(Dealer::new(acceptor, others));
            Ok(())
        })?;
    }
    Ok(address)
}

/// What one of the reactors has.
struct Socket {
    endpoint: Vec<u8>,
    /// Where the first one listens, which may have been left to the system.
    at: Option<Address>,
    by_port: bool,
    tls: Option<Arc<tls::Server>>,
    serve: Serve,
}

impl Socket {
    fn listen(self, reactor: ReactorItem) -> Result<(Word, Address)> {
        let (protocol, build) = (self.serve)()?;
        let listener = open::listen_with(reactor, &self.endpoint, (self.at, self.by_port), self.tls, protocol, build)?;
        Ok((listener.word(), listener.address()))
    }

    fn receive(self, reactor: ReactorItem, address: Address, room: Arc<Room>) -> Result<Word> {
        let (protocol, build) = (self.serve)()?;
        let listener = hand_over::receiver(reactor, address, protocol, build, room)?;
        listener.use_tls(self.tls);
        Ok(listener.word())
    }
}
