//! Reconnecting clients.

use super::convert::{self, invalid};
use super::guard::{self, HandleOf};
use super::listener::served;
use super::protocol::{self, lariat_protocol};
use super::status::lariat_status;
use super::structs::{self, Versioned, fields};
use super::types::*;
use crate::handles::{Item, Owned};
use crate::net::dial::Dialer;
use crate::net::listener::Build;
use crate::net::reconnecting::{self, Backoff, Client, Teller};
use crate::net::transport::Transport;
use crate::status::Result;
use std::ffi::{c_char, c_void};

/// How long a reconnecting client waits before it tries again: to be filled by lariat_backoff_init and changed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_backoff {
    /// Set by lariat_backoff_init.
    pub struct_size: u32,
    /// Attempts in a row that may fail, after the first, before the client gives up; 0: it never does (default).
    pub max_retries: u32,
    /// Seconds after a connection was lost, and after the first attempt that failed: 0 to 1e9; default 1.
    pub initial_seconds: f64,
    /// The wait after each further failure is longer by this factor: 1 to 1e6; default 1.5.
    pub factor: f64,
    /// Seconds that it grows to at most: initial_seconds to 1e9; default 60.
    pub max_seconds: f64,
    /// The part of each wait by which it is shorter or longer by chance, so that not all clients of a server that was
    /// away come back at once: 0 to 1; default 0.1.
    pub jitter: f64,
}

// SAFETY: repr(C), begins with struct_size, and holds numbers.
unsafe impl Versioned for lariat_backoff {
    const FIELDS: &'static [usize] =
        fields!(lariat_backoff: struct_size max_retries initial_seconds factor max_seconds jitter);

    fn initial(struct_size: u32) -> Self {
        let Backoff { initial, factor, max, jitter, max_retries } = Backoff::default();
        Self { struct_size, max_retries, initial_seconds: initial, factor, max_seconds: max, jitter }
    }
}

/// Fills a backoff with the defaults.
///
/// backoff      written.
/// struct_size  sizeof(lariat_backoff).
/// thread       any.
/// Twisted      backoffPolicy.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_backoff_init(backoff: *mut lariat_backoff, struct_size: u32) -> lariat_status {
    guard::alone(|| structs::init("backoff", backoff, struct_size))
}

fn backoff(given: *const lariat_backoff) -> Result<Backoff> {
    if given.is_null() {
        return Ok(Backoff::default());
    }
    let read = structs::read("backoff", given)?;
    structs::check_tail("backoff", given)?;
    let within = |name: &str, number: f64, least: f64, most: f64| match number {
        number if (least..=most).contains(&number) => Ok(number),
        _ => Err(invalid(format_args!("backoff.{name} is {number:?}; it must be from {least} to {most:e}"))),
    };
    let initial = within("initial_seconds", read.initial_seconds, 0.0, 1e9)?;
    Ok(Backoff {
        initial,
        factor: within("factor", read.factor, 1.0, 1e6)?,
        max: within("max_seconds", read.max_seconds, initial, 1e9)?,
        jitter: within("jitter", read.jitter, 0.0, 1.0)?,
        max_retries: read.max_retries,
    })
}

/// Makes a client that connects once it is started, and connects again whenever its connection is lost or an attempt
/// fails, until it is stopped. A connection that was made ends the series of failures.
///
/// endpoint        as for lariat_reactor_connect.
/// protocol        copied; each connection's.
/// backoff         copied; may be NULL: the defaults.
/// build_protocol  makes the self of each connection, with NULL as its listener; may be NULL: self is user_data, and
///                 free_self is not called. A connection that it refuses counts as an attempt that failed.
/// user_data       may be NULL; passed through.
/// returns         the client, to be freed by lariat_reconnecting_client_free or with its scope or reactor; NULL on
///                 failure.
/// errors          LARIAT_ERR_BAD_ENDPOINT.
/// thread          the reactor's.
/// Twisted         ClientService; ReconnectingClientFactory.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reconnecting_client_new(
    reactor: *mut lariat_reactor,
    endpoint: *const c_char,
    protocol: *const lariat_protocol,
    backoff: *const lariat_backoff,
    build_protocol: lariat_build_protocol_fn,
    user_data: *mut c_void,
) -> *mut lariat_reconnecting_client {
    new(reactor, endpoint, protocol, backoff, build_protocol, convert::borrowed(user_data))
}

/// The same as lariat_reconnecting_client_new, with user_data owned by the library from here on:
/// free_user_data(user_data) is called exactly once, when the client is freed and, where it is their self, with the
/// last of its connections; or before this returns NULL.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reconnecting_client_new_full(
    reactor: *mut lariat_reactor,
    endpoint: *const c_char,
    protocol: *const lariat_protocol,
    backoff: *const lariat_backoff,
    build_protocol: lariat_build_protocol_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> *mut lariat_reconnecting_client {
    let data = convert::owned(user_data, free_user_data);
    new(reactor, endpoint, protocol, backoff, build_protocol, data)
}

fn new(
    reactor: *mut lariat_reactor,
    endpoint: *const c_char,
    protocol: *const lariat_protocol,
    given: *const lariat_backoff,
    build_protocol: lariat_build_protocol_fn,
    data: Owned,
) -> *mut lariat_reconnecting_client {
    guard::on(reactor, move |reactor| -> Result<Item<Client>> {
        let (protocol, build) = served(protocol, build_protocol, data)?;
        let dialer = Dialer::new(convert::bytes_text("endpoint", endpoint)?, protocol, build)?;
        reconnecting::open(reactor, dialer, backoff(given)?)
    })
}

/// The same as lariat_reconnecting_client_new, but its connections queue events instead of calling, as those of
/// lariat_reactor_connect_event.
///
/// endpoint  as for lariat_reactor_connect.
/// backoff   copied; may be NULL: the defaults.
/// tag       any number; comes back in the events of all its connections.
/// thread    the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reconnecting_client_new_event(
    reactor: *mut lariat_reactor,
    endpoint: *const c_char,
    backoff: *const lariat_backoff,
    tag: u64,
) -> *mut lariat_reconnecting_client {
    guard::on(reactor, |reactor| {
        let endpoint = convert::bytes_text("endpoint", endpoint)?;
        let dialer = Dialer::new(endpoint, protocol::events(tag), Build::default())?;
        reconnecting::open(reactor, dialer, self::backoff(backoff)?)
    })
}

/// Has fn(client, failure, seconds, user_data) called after each attempt that failed; a function given before is not
/// called any more.
///
/// fn         may be NULL: nobody is told.
/// user_data  may be NULL; passed through.
/// thread     the reactor's.
/// Twisted    ReconnectingClientFactory.clientConnectionFailed.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reconnecting_client_set_attempt_failed(
    client: *mut lariat_reconnecting_client,
    r#fn: lariat_attempt_failed_fn,
    user_data: *mut c_void,
) -> lariat_status {
    set_teller(client, r#fn, convert::borrowed(user_data))
}

/// The same as lariat_reconnecting_client_set_attempt_failed, with user_data owned by the library from here on:
/// free_user_data(user_data) is called exactly once, when the client is freed or told another function, once this one has
/// returned; or before this fails.
///
/// fn              may be NULL: nobody is told.
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reconnecting_client_set_attempt_failed_full(
    client: *mut lariat_reconnecting_client,
    r#fn: lariat_attempt_failed_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> lariat_status {
    set_teller(client, r#fn, convert::owned(user_data, free_user_data))
}

fn set_teller(
    client: *mut lariat_reconnecting_client,
    function: lariat_attempt_failed_fn,
    data: Owned,
) -> lariat_status {
    guard::on(client, move |client| {
        let function = convert::attempt_failed_fn(function);
        reconnecting::set_teller(client, function.map(|function| Teller::Function(function, data)));
        Ok(())
    })
}

/// The same as lariat_reconnecting_client_set_attempt_failed, but it queues events, LARIAT_EVENT_ATTEMPT_FAILED, instead
/// of calling.
///
/// tag     any number; comes back in the events.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reconnecting_client_set_attempt_failed_event(
    client: *mut lariat_reconnecting_client,
    tag: u64,
) -> lariat_status {
    guard::on(client, |client| {
        reconnecting::set_teller(client, Some(Teller::Events(tag)));
        Ok(())
    })
}

/// Starts a client: the first attempt begins on the next turn.
///
/// errors   LARIAT_ERR_INVALID_STATE when it was started and neither stopped nor given up since.
/// thread   the reactor's. Nothing is called from inside this call.
/// Twisted  ClientService.startService.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reconnecting_client_start(client: *mut lariat_reconnecting_client) -> lariat_status {
    guard::on(client, reconnecting::start)
}

/// Stops a client, started or not: an attempt is given up, the connection closed as by
/// lariat_transport_lose_connection, and those who wait for one fail with LARIAT_ERR_CANCELLED, from inside this call. It
/// may be started again.
///
/// returns  a Deferred that fires, with NULL, when the connection is over, or has fired if there is none; cancelling it
///          changes nothing. It fails with LARIAT_ERR_CLOSED when the client is freed before. NULL on failure.
/// thread   the reactor's.
/// Twisted  ClientService.stopService.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reconnecting_client_stop(client: *mut lariat_reconnecting_client) -> *mut lariat_deferred {
    guard::on(client, reconnecting::stop)
}

/// Asks for the connection of a client: the present one, or else the next, also of a client that is not started yet.
///
/// failures  0: wait for as long as the client tries; else fail, with its failure, when so many attempts in a row have
///           failed, counted from the last connection or the start.
/// returns   a Deferred that fires with the connection, a lariat_transport, after its connection_made; cancelling it
///           stops waiting. NULL on failure. It fails with the last attempt's failure when the client gives up, with
///           LARIAT_ERR_CANCELLED when it is stopped, with LARIAT_ERR_CLOSED when it is freed.
/// thread    the reactor's.
/// Twisted   ClientService.whenConnected.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reconnecting_client_when_connected(
    client: *mut lariat_reconnecting_client,
    failures: u32,
) -> *mut lariat_deferred {
    guard::on(client, |client| reconnecting::when_connected(client, failures))
}

/// Tells which connection a client has.
///
/// returns  the connection, until its connection_lost has returned; NULL: it has none now.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reconnecting_client_transport(
    client: *mut lariat_reconnecting_client,
) -> *mut lariat_transport {
    guard::on(client, |client| Ok(HandleOf::<Transport>::new(client.transport())))
}

/// Tells how many attempts of a client have failed in a row.
///
/// returns  0 or more, since the last connection or the start; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reconnecting_client_failures(client: *mut lariat_reconnecting_client) -> i64 {
    guard::on(client, |client| Ok(i64::from(client.failures())))
}

/// Tells how long a client will wait before its next attempt.
///
/// returns  seconds, 0 or more; INFINITY: it waits for none; NaN on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reconnecting_client_next_attempt(client: *mut lariat_reconnecting_client) -> f64 {
    guard::on(client, |client| Ok(reconnecting::next_attempt(client).map_or(f64::INFINITY, convert::seconds)))
}

/// Ends a client: an attempt is given up, its connection is closed as by lariat_transport_lose_connection, and all who
/// wait for it fail with LARIAT_ERR_CLOSED, from inside this call. Its handle is stale from here on.
///
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reconnecting_client_free(client: *mut lariat_reconnecting_client) -> lariat_status {
    guard::on(client, |client| {
        reconnecting::free(client);
        Ok(())
    })
}
