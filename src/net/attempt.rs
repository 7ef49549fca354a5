//! One attempt to connect to one address, and what it becomes.

use super::endpoint::Options;
use super::protocol::Protocol;
use super::transport::{self, Transport, flag};
use super::{Fresh, ending, reading, tls, writing};
use crate::driver::sockets::{Carries, SocketOption};
use crate::driver::{Address, Ready};
use crate::handles::{Item, Owned, Word};
use crate::reactor::{ReactorItem, events};
use crate::status::Result;
use std::io;
use std::rc::Rc;

/// Why an attempt did not succeed.
pub enum Failed {
    /// The system said so.
    System(io::Error),
    /// The reactor or the scope has ended; a failure that lives for the call.
    Ended(Word),
}

/// Told once how an attempt came out, never from inside the call that began it.
pub type Done = Box<dyn FnOnce(ReactorItem, std::result::Result<Item<Transport>, Failed>)>;

/// How an attempt is made.
#[derive(Clone, Default)]
pub struct How {
    /// What it binds itself to before.
    pub bind: Option<Address>,
    /// What the socket is told.
    pub options: Rc<Options>,
}

/// Begins to connect to an address. An error comes back as the system has it; else `done` is told. The transport joins
/// the present scope. It can be given up by [`give_up`]. `own`: the socket, if there is one already.
pub(super) fn begin(
    reactor: ReactorItem,
    address: &Address,
    how: &How,
    own: Option<Fresh>,
    done: Done,
) -> Result<io::Result<Item<Transport>>> {
    super::open(reactor)?;
    let begun = match own {
        Some(fresh) => fresh.with(|driver, socket| driver.connect(socket, address)).map(|_| fresh),
        None => connecting(reactor, address, how),
    };
    let socket = match begun {
        Ok(socket) => socket,
        Err(why) => return Ok(Err(why)),
    };
    let unix = if matches!(address, Address::Unix(_)) { flag::UNIX } else { 0 };
    let transport = transport::make(reactor, socket, reactor.scope.get(), flag::CONNECTING | unix)?;
    let prepared = transport.with_new_extra(|extra| {
        extra.connecting = Some(done);
        extra.peer = Some(*address);
    });
    // What is connected already is writable as soon as it is watched.
    prepared.and_then(|()| reading::watch(transport)).inspect_err(|_| abandon(transport))?;
    Ok(Ok(transport))
}

fn connecting(reactor: ReactorItem, address: &Address, how: &How) -> io::Result<Fresh> {
    let socket = reactor.with_driver(|driver| driver.open(address.family(), Carries::Stream))?;
    let fresh = Fresh::new(reactor, socket);
    fresh.with(|driver, socket| {
        if let Some(own) = &how.bind {
            if how.options.reuse_address != Some(false) {
                driver.set(socket, SocketOption::ReuseAddress)?;
            }
            if how.options.reuse_port {
                driver.set(socket, SocketOption::ReusePort)?;
            }
            driver.bind(socket, own)?;
        }
        for option in how.options.of_stream(address.ip().is_some()) {
            driver.set(socket, option)?;
        }
        driver.connect(socket, address)
    })?;
    Ok(fresh)
}

/// Ends an attempt that nobody is told of.
fn abandon(transport: Item<Transport>) {
    let socket = transport.socket.get();
    transport.root_body().with_driver(|driver| driver.close(socket));
    forget(transport);
}

/// The same, its socket left as it is.
pub(super) fn forget(transport: Item<Transport>) {
    let reactor = transport.root();
    tls::handshake::stop_timer(transport);
    transport.take_extra();
    transport.set(flag::LOST);
    reactor.pools.free(transport);
}

/// Gives an attempt up: `done` is not told any more.
pub fn give_up(transport: Item<Transport>) {
    if transport.has(flag::CONNECTING) && !transport.has(flag::LOST) {
        let done = transport.with_extra(|extra| extra.connecting.take());
        abandon(transport);
        drop(done);
    }
}

/// The driver says that something became of it.
pub(super) fn progress(transport: Item<Transport>, ready: Ready) {
    if transport.has(flag::TLS) {
        return tls::handshake::progress(transport, ready);
    }
    if !ready.readiness.writable && !ready.ended && !transport.has(flag::PLAIN) {
        return;
    }
    let reactor = transport.root();
    let outcome = transport.with_socket(|driver, socket| driver.take_error(socket));
    let Some(done) = transport.with_extra(|extra| extra.connecting.take()).flatten() else { return };
    let _out = reactor.call_out();
    match outcome {
        Ok(None) => {
            transport.clear(flag::CONNECTING);
            if ready.readiness.readable {
                transport.set(flag::READABLE);
            }
            if ready.ended {
                transport.set(flag::PEER_ENDED);
            }
            done(reactor, Ok(transport));
            // One that is only written hears once that nobody reads it any more.
            if ready.ended && transport.is_alive() && transport.has(flag::READ_CLOSED) {
                writing::probe(transport);
            }
        }
        Ok(Some(why)) | Err(why) => {
            abandon(transport);
            done(reactor, Err(Failed::System(why)));
        }
    }
}

/// Makes a connected socket a connection: `connection_made` is told, and it reads.
pub fn establish(transport: Item<Transport>, protocol: Rc<Protocol>, this: Owned) {
    let owned = transport::replace_protocol(transport, protocol, this);
    let reactor = transport.root();
    reactor.in_scope(transport.scope.get(), || drop(owned));
    transport.set(flag::MADE);
    transport.tell(|protocol| protocol.connection_made, events::CONNECTION_MADE);
    if !transport.has(flag::LOST) {
        reading::resume_if_possible(transport);
        writing::note_early(transport);
    }
}

/// Closes a connected transport that nobody wants.
pub fn drop_connected(transport: Item<Transport>) {
    if !transport.has(flag::LOST) {
        ending::lost(transport, crate::status::Status::ERR_CANCELLED);
    }
}
