//! Connection pools.

use super::convert;
use super::guard;
use super::listener::served;
use super::protocol::{self, lariat_protocol};
use super::status::lariat_status;
use super::structs::{self, Versioned, fields};
use super::types::*;
use crate::handles::{self, Item, Owned, Word};
use crate::net::connection_pool::{self, ConnectionPool, Limits};
use crate::net::dial::Dialer;
use crate::net::listener::Build;
use crate::net::transport::Transport;
use crate::status::{Result, Status};
use std::ffi::{c_char, c_void};

/// How much a connection pool may have: to be filled by lariat_connection_pool_options_init and changed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_connection_pool_options {
    /// Set by lariat_connection_pool_options_init.
    pub struct_size: u32,
    /// Connections at most, used or not, those that are being made among them; 0: no limit. Default 10.
    pub max_connections: u32,
    /// Connections that are kept while nobody uses them, at most: more are closed when they are given back; 0: none is
    /// kept. Default 10.
    pub max_idle: u32,
    /// Those who may wait while max_connections are there; 0: no limit (default).
    pub max_waiting: u32,
    /// Seconds after which a connection that nobody uses is closed: 0 or more, or INFINITY. Default 60.
    pub idle_seconds: f64,
}

// SAFETY: repr(C), begins with struct_size, and holds numbers.
unsafe impl Versioned for lariat_connection_pool_options {
    const FIELDS: &'static [usize] =
        fields!(lariat_connection_pool_options: struct_size max_connections max_idle max_waiting idle_seconds);

    fn initial(struct_size: u32) -> Self {
        let Limits { connections, idle, waiting, idle_time } = Limits::default();
        Self {
            struct_size,
            max_connections: connections,
            max_idle: idle,
            max_waiting: waiting,
            idle_seconds: idle_time.map_or(f64::INFINITY, convert::seconds),
        }
    }
}

/// Fills the options of a pool with the defaults.
///
/// options      written.
/// struct_size  sizeof(lariat_connection_pool_options).
/// thread       any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_connection_pool_options_init(
    options: *mut lariat_connection_pool_options,
    struct_size: u32,
) -> lariat_status {
    guard::alone(|| structs::init("options", options, struct_size))
}

fn limits(options: *const lariat_connection_pool_options) -> Result<Limits> {
    if options.is_null() {
        return Ok(Limits::default());
    }
    let read = structs::read("options", options)?;
    structs::check_tail("options", options)?;
    Ok(Limits {
        connections: read.max_connections,
        idle: read.max_idle,
        waiting: read.max_waiting,
        idle_time: convert::wait("options.idle_seconds", read.idle_seconds)?,
    })
}

/// Makes an empty pool of connections to an endpoint.
///
/// endpoint        as for lariat_reactor_connect.
/// protocol        copied; each connection's.
/// options         copied; may be NULL: the defaults.
/// build_protocol  makes the self of each connection, with NULL as its listener; may be NULL: self is user_data, and
///                 free_self is not called.
/// user_data       may be NULL; passed through.
/// returns         the pool, to be freed by lariat_connection_pool_free or with its scope or reactor; NULL on failure.
/// errors          LARIAT_ERR_BAD_ENDPOINT.
/// thread          the reactor's.
/// Twisted         HTTPConnectionPool, for any protocol.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_connection_pool_new(
    reactor: *mut lariat_reactor,
    endpoint: *const c_char,
    protocol: *const lariat_protocol,
    options: *const lariat_connection_pool_options,
    build_protocol: lariat_build_protocol_fn,
    user_data: *mut c_void,
) -> *mut lariat_connection_pool {
    new(reactor, endpoint, protocol, options, build_protocol, convert::borrowed(user_data))
}

/// The same as lariat_connection_pool_new, with user_data owned by the library from here on: free_user_data(user_data)
/// is called exactly once, when the pool is freed and, where it is their self, with the last of its connections; or
/// before this returns NULL.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_connection_pool_new_full(
    reactor: *mut lariat_reactor,
    endpoint: *const c_char,
    protocol: *const lariat_protocol,
    options: *const lariat_connection_pool_options,
    build_protocol: lariat_build_protocol_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> *mut lariat_connection_pool {
    let data = convert::owned(user_data, free_user_data);
    new(reactor, endpoint, protocol, options, build_protocol, data)
}

fn new(
    reactor: *mut lariat_reactor,
    endpoint: *const c_char,
    protocol: *const lariat_protocol,
    options: *const lariat_connection_pool_options,
    build_protocol: lariat_build_protocol_fn,
    data: Owned,
) -> *mut lariat_connection_pool {
    guard::on(reactor, move |reactor| -> Result<Item<ConnectionPool>> {
        let (protocol, build) = served(protocol, build_protocol, data)?;
        let dialer = Dialer::new(convert::bytes_text("endpoint", endpoint)?, protocol, build)?;
        connection_pool::open(reactor, dialer, limits(options)?)
    })
}

/// The same as lariat_connection_pool_new, but its connections queue events instead of calling, as those of
/// lariat_reactor_connect_event.
///
/// endpoint  as for lariat_reactor_connect.
/// options   copied; may be NULL: the defaults.
/// tag       any number; comes back in the events of all its connections.
/// thread    the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_connection_pool_new_event(
    reactor: *mut lariat_reactor,
    endpoint: *const c_char,
    options: *const lariat_connection_pool_options,
    tag: u64,
) -> *mut lariat_connection_pool {
    guard::on(reactor, |reactor| {
        let endpoint = convert::bytes_text("endpoint", endpoint)?;
        let dialer = Dialer::new(endpoint, protocol::events(tag), Build::default())?;
        connection_pool::open(reactor, dialer, limits(options)?)
    })
}

/// Asks for a connection that nobody else uses: of those kept the one used last, else a new one, else, at
/// max_connections, the first that is given back. Those who wait get theirs in the order in which they asked.
///
/// returns  a Deferred that fires with the connection, a lariat_transport, which is to be given back by
///          lariat_connection_pool_release or _discard; cancelling it stops waiting. NULL on failure. When an attempt to
///          connect fails, whoever waits longest fails as by lariat_reactor_connect.
/// errors   LARIAT_ERR_LIMIT at options.max_waiting.
/// thread   the reactor's.
/// Twisted  HTTPConnectionPool.getConnection.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_connection_pool_acquire(pool: *mut lariat_connection_pool) -> *mut lariat_deferred {
    guard::on(pool, connection_pool::acquire)
}

fn give_back(
    pool: *mut lariat_connection_pool,
    transport: *mut lariat_transport,
    way: fn(Item<ConnectionPool>, Word) -> Result,
) -> lariat_status {
    guard::on(pool, |pool| {
        let transport = handles::get::<Transport>(Word::new(transport))?;
        if transport.root() != pool.root() {
            return Err(Status::ERR_WRONG_REACTOR);
        }
        way(pool, transport.word())
    })
}

/// Gives a connection back: to whoever waits longest, whose callbacks run from inside this call, else it is kept. One
/// that is over or on its way there is not used again; its place is free when it has ended.
///
/// errors   LARIAT_ERR_STALE_HANDLE when the connection is over, with nothing left to be done;
///          LARIAT_ERR_INVALID_ARGUMENT when it is not the pool's; LARIAT_ERR_INVALID_STATE when it is not in use.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_connection_pool_release(
    pool: *mut lariat_connection_pool,
    transport: *mut lariat_transport,
) -> lariat_status {
    give_back(pool, transport, connection_pool::release)
}

/// Gives a connection back that is not to be used again: it is closed as by lariat_transport_lose_connection.
///
/// errors  as of lariat_connection_pool_release.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_connection_pool_discard(
    pool: *mut lariat_connection_pool,
    transport: *mut lariat_transport,
) -> lariat_status {
    give_back(pool, transport, connection_pool::discard)
}

/// Tells how many connections a pool has: used, kept, being made and being closed.
///
/// returns  0 or more; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_connection_pool_connections(pool: *mut lariat_connection_pool) -> i64 {
    guard::on(pool, |pool| Ok(pool.connections() as i64))
}

/// Tells how many connections a pool keeps that nobody uses.
///
/// returns  0 or more; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_connection_pool_idle(pool: *mut lariat_connection_pool) -> i64 {
    guard::on(pool, |pool| Ok(pool.idle() as i64))
}

/// Tells how many wait for a connection of a pool.
///
/// returns  0 or more; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_connection_pool_waiting(pool: *mut lariat_connection_pool) -> i64 {
    guard::on(pool, |pool| Ok(pool.waiting() as i64))
}

/// Ends a pool: those who wait fail with LARIAT_ERR_CLOSED, from inside this call, and connections that nobody uses are
/// closed as by lariat_transport_lose_connection. Those in use live on, and belong to no pool. Its handle is stale from
/// here on.
///
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_connection_pool_free(pool: *mut lariat_connection_pool) -> lariat_status {
    guard::on(pool, |pool| {
        connection_pool::free(pool);
        Ok(())
    })
}
