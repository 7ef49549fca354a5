//! Names and the addresses that they lead to.

use super::convert::{self, invalid};
use super::guard::{self, TextOrNull};
use super::status::lariat_status;
use super::types::*;
use crate::driver::Family;
use crate::handles::Owned;
use crate::net::resolver::{self, Ask};
use crate::net::{addresses, host_resolver};
use crate::status::Result;
use std::ffi::{c_char, c_void};

/// IPv4 and IPv6 alike.
pub const LARIAT_FAMILY_ANY: i32 = 0;
/// IPv4.
pub const LARIAT_FAMILY_IPV4: i32 = 4;
/// IPv6.
pub const LARIAT_FAMILY_IPV6: i32 = 6;

fn family(number: i32) -> Result<Option<Family>> {
    match number {
        LARIAT_FAMILY_ANY => Ok(None),
        LARIAT_FAMILY_IPV4 => Ok(Some(Family::V4)),
        LARIAT_FAMILY_IPV6 => Ok(Some(Family::V6)),
        _ => Err(invalid(format_args!("family is {number}, which no constant of LARIAT_FAMILY_ names"))),
    }
}

/// Looks a name up: by the reactor's resolver if it has one, else by the system, on threads of the reactor's own that
/// are not those of its pool. On a simulated reactor the names are those of its world. What is an address already needs
/// no look-up, and its Deferred has fired. Cancelling gives the look-up up at once.
///
/// name     UTF-8, copied; not empty. An IP address is taken as one.
/// family   LARIAT_FAMILY_ANY, LARIAT_FAMILY_IPV4 or LARIAT_FAMILY_IPV6.
/// seconds  how long to wait at most, 0 or more, or INFINITY; 0: 60.
/// returns  a Deferred that fires with a lariat_addresses, at least one and in the order in which they are best tried;
///          NULL on failure. It fails with LARIAT_ERR_NAME_NOT_FOUND, with LARIAT_ERR_LOOKUP_FAILED when that could not
///          be found out, or with LARIAT_ERR_TIMED_OUT; the message names the name.
/// errors   LARIAT_ERR_OS when no thread can be started; LARIAT_ERR_REENTRANT when the reactor's resolver asks itself.
/// thread   the reactor's.
/// Twisted  IReactorPluggableNameResolver.nameResolver, and reactor.resolve.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_resolve(
    reactor: *mut lariat_reactor,
    name: *const c_char,
    family: i32,
    seconds: f64,
) -> *mut lariat_deferred {
    resolve(reactor, name, family, seconds, false)
}

/// The same as lariat_reactor_resolve, whatever lariat_reactor_set_resolver was given: for a resolver that passes on
/// what it does not know.
///
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_resolve_by_system(
    reactor: *mut lariat_reactor,
    name: *const c_char,
    family: i32,
    seconds: f64,
) -> *mut lariat_deferred {
    resolve(reactor, name, family, seconds, true)
}

fn resolve(
    reactor: *mut lariat_reactor,
    name: *const c_char,
    number: i32,
    seconds: f64,
    by_system: bool,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| {
        let name = convert::required_text("name", name)?;
        let family = family(number)?;
        let wait = match convert::wait("seconds", seconds)? {
            Some(0) => Some(resolver::LONGEST),
            wait => wait,
        };
        resolver::resolve(reactor, &Ask { name, family, wait, by_system })
    })
}

/// Has the reactor ask fn(reactor, name, family, answer, user_data) for names from here on, and no longer the system or
/// whoever was asked before. What is an address already is not asked for.
///
/// fn         may be NULL: the system is asked again.
/// user_data  may be NULL; passed through.
/// thread     the reactor's.
/// Twisted    IReactorPluggableNameResolver.installNameResolver.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_set_resolver(
    reactor: *mut lariat_reactor,
    r#fn: lariat_resolver_fn,
    user_data: *mut c_void,
) -> lariat_status {
    set_resolver(reactor, r#fn, convert::borrowed(user_data))
}

/// The same as lariat_reactor_set_resolver, with user_data owned by the library from here on: free_user_data(user_data)
/// is called exactly once, when fn is not called any more, because another one was set, its scope ended or the reactor
/// is freed, or before this fails.
///
/// fn              may be NULL: the system is asked again, and user_data is freed at once.
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_set_resolver_full(
    reactor: *mut lariat_reactor,
    r#fn: lariat_resolver_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> lariat_status {
    set_resolver(reactor, r#fn, convert::owned(user_data, free_user_data))
}

fn set_resolver(reactor: *mut lariat_reactor, function: lariat_resolver_fn, data: Owned) -> lariat_status {
    guard::on(reactor, move |reactor| host_resolver::set(reactor, convert::resolver_fn(function), data))
}

/// Tells how many addresses there are.
///
/// returns  the count; 0 on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_addresses_count(addresses: *const lariat_addresses) -> usize {
    guard::on(addresses, |addresses| Ok(addresses.count()))
}

/// Gives an address in words: "192.0.2.1", "2001:db8::1", or "fe80::1%2" where it needs its interface. In an endpoint the
/// latter two stand in brackets.
///
/// index    0 to lariat_addresses_count - 1.
/// returns  text that lives as long as the addresses; NULL on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_addresses_text(addresses: *const lariat_addresses, index: usize) -> *const c_char {
    guard::on(addresses, |addresses| addresses.text(index).map(TextOrNull))
}

/// Tells the family of an address.
///
/// index    0 to lariat_addresses_count - 1.
/// returns  LARIAT_FAMILY_IPV4 or LARIAT_FAMILY_IPV6; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_addresses_family(addresses: *const lariat_addresses, index: usize) -> i32 {
    guard::on(addresses, |of| Ok(addresses::number_of(Some(of.family(index)?))))
}

/// Adds an address to those that a resolver was given to fill in.
///
/// address  an IP address in words, as lariat_addresses_text gives it.
/// errors   LARIAT_ERR_INVALID_STATE for any other addresses; LARIAT_ERR_STALE_HANDLE when the look-up is over.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_addresses_add(addresses: *mut lariat_addresses, address: *const c_char) -> lariat_status {
    guard::on(addresses, |of| {
        let text = convert::required_text("address", address)?;
        let address = addresses::of_text(text);
        of.add(address.ok_or_else(|| invalid(format_args!("address is {text:?}, which is no IP address")))?)
    })
}

/// Frees addresses that were taken by lariat_deferred_take, or that nobody will look at any more. Those that were not
/// taken are freed with their Deferred.
///
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_addresses_free(addresses: *mut lariat_addresses) -> lariat_status {
    guard::on(addresses, |addresses| {
        addresses::free(addresses);
        Ok(())
    })
}
