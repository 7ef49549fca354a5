//! Handshakes: from a stream to a connection with TLS, or to a failure that says why there is none.

use super::configuration::{Client, Configuration, Server};
use super::session::Session;
use super::{session_of, trouble};
use crate::driver::Ready;
use crate::handles::{self, Item, Word};
use crate::net::attempt::Done;
use crate::net::ending;
use crate::net::transport::{Transport, flag};
use crate::reactor::timers::{self, DelayedCall, SECOND};
use crate::status::{Result, Status};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Connection, ServerConnection};
use std::rc::Rc;
use std::sync::Arc;

/// Which side a connection is, and whom a client wants to talk to.
pub enum Role {
    /// It is connected to.
    Server(Arc<Server>),
    /// It connects.
    Client(Arc<Client>, ServerName<'static>),
}

impl Role {
    /// The role that goes with a configuration; `name` is whom a client wants to talk to, unless the configuration says.
    pub fn new(configuration: &Configuration, name: Option<&str>) -> Result<Self> {
        match configuration {
            Configuration::Server(server) => Ok(Role::Server(Arc::clone(server))),
            Configuration::Client(client) => Self::client(client, name),
        }
    }

    /// A client's.
    pub fn client(client: &Arc<Client>, name: Option<&str>) -> Result<Self> {
        let name = match (&client.server_name, name) {
            (Some(name), _) => name.clone(),
            (None, Some(name)) => super::server_name(name)?,
            (None, None) => {
                let why = "server_name is needed: nothing else says whose certificate it must be";
                return Err(Status::ERR_INVALID_ARGUMENT.because(why));
            }
        };
        Ok(Role::Client(Arc::clone(client), name))
    }

    fn time(&self) -> Option<u64> {
        match self {
            Role::Server(server) => server.handshake,
            Role::Client(client, _) => client.handshake,
        }
    }

    fn name(&self) -> Option<String> {
        match self {
            Role::Server(_) => None,
            Role::Client(_, name) => Some(name.to_str().into_owned()),
        }
    }

    fn connection(self) -> Result<Connection> {
        let made = match self {
            Role::Server(server) => ServerConnection::new(Arc::clone(&server.rustls)).map(Connection::Server),
            Role::Client(client, name) => {
                ClientConnection::new(Arc::clone(&client.rustls), name).map(Connection::Client)
            }
        };
        made.map_err(|why| trouble::told(&why)).map_err(|trouble| trouble.status.because(trouble.words))
    }
}

/// Begins; readiness drives it on from here, as of a stream that connects. `before` was written and goes out as it is;
/// what came and was not handed over is taken when the handshake goes on. `done` is told once, never from inside this
/// call: of a failure when the transport has ended for it.
pub fn begin(transport: Item<Transport>, role: Role, before: Vec<u8>, done: Done) -> Result {
    let reactor = transport.root();
    let (time, name) = (role.time(), role.name());
    handles::check_memory(size_of::<Session>() + size_of::<Connection>())?;
    let session = Rc::new(Session::new(role.connection()?, before, time, name));
    if let Some(time) = time {
        let deadline = reactor.read_clock().saturating_add(time);
        session.timer.set(timers::call_at(reactor, deadline, too_long, transport.word())?.word());
    }
    let timer = session.timer.get();
    let prepared = transport.with_new_extra(|extra| {
        extra.tls = Some(session);
        extra.connecting = Some(done);
    });
    prepared.inspect_err(|_| cancel(timer))?;
    transport.set(flag::TLS | flag::CONNECTING);
    Ok(())
}

extern "C-unwind" fn too_long(word: Word) {
    let Ok(transport) = handles::get::<Transport>(word) else { return };
    let Some(session) = session_of(transport) else { return };
    session.timer.set(Word::NULL);
    let seconds = session.time.unwrap_or(0) as f64 / SECOND as f64;
    transport.lost_to(Status::ERR_TIMED_OUT, &format!("the TLS handshake was not over within {seconds} s"));
}

fn cancel(timer: Word) {
    if let Ok(timer) = handles::get::<DelayedCall>(timer) {
        let _ = timers::cancel(timer);
    }
}

/// The handshake is over, one way or the other.
pub fn stop_timer(transport: Item<Transport>) {
    if let Some(session) = session_of(transport) {
        cancel(session.timer.replace(Word::NULL));
    }
}

/// The driver says that a connection in its handshake is ready, or it is to begin.
pub fn progress(transport: Item<Transport>, ready: Ready) {
    if ready.ended {
        transport.set(flag::PEER_ENDED);
    }
    if ready.readiness.is_empty() {
        transport.clear(flag::AGAIN);
    }
    let Some(session) = session_of(transport) else { return };
    if transport.has(flag::MADE) {
        match super::take_unread(transport) {
            Ok(unread) => session.prepend(unread),
            Err(why) => return ending::fail(transport, why),
        }
    }
    let network = crate::net::of(transport.root());
    let done = super::with_inner(transport, |driver, socket| session.shake((driver, socket), &network));
    match done {
        Ok(false) => {}
        Ok(true) => finish(transport, &session),
        Err(why) => match trouble::of(&why) {
            Some(trouble) => transport.lost_to(trouble.status, &format!("TLS handshake: {}", trouble.words)),
            None => ending::lost_by(transport, &why),
        },
    }
}

fn finish(transport: Item<Transport>, session: &Session) {
    stop_timer(transport);
    transport.clear(flag::CONNECTING | flag::FULL | flag::WRITES_AGAIN);
    // Something may have come with the end of the handshake.
    transport.set(flag::READABLE);
    if session.waiting() != 0 {
        transport.set(flag::FULL);
    }
    let Some(done) = transport.with_extra(|extra| extra.connecting.take()).flatten() else { return };
    let reactor = transport.root();
    let _out = reactor.call_out();
    done(reactor, Ok(transport));
}
