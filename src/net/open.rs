//! From an endpoint to a listener.

use super::endpoint::{self, Endpoint, Inherited, Options, Place, Purpose};
use super::listener::{self, Build, How, Listener};
use super::protocol::Protocol;
use super::{adopt, inherited, tls};
use crate::driver::{Address, Family};
use crate::handles::Item;
use crate::reactor::ReactorItem;
use crate::status::{Result, Status};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

/// Connections that wait to be accepted, unless the endpoint says otherwise.
const BACKLOG: i32 = 1024;

/// Listens where an endpoint says.
pub fn listen(reactor: ReactorItem, endpoint: &[u8], protocol: Rc<Protocol>, build: Build) -> Result<Item<Listener>> {
    let tls = tls_of(endpoint, None)?;
    listen_with(reactor, endpoint, (None, false), tls, protocol, build)
}

/// The same, with TLS as is said here; the endpoint says nothing of it then.
pub fn listen_tls(
    reactor: ReactorItem,
    endpoint: &[u8],
    tls: Arc<tls::Server>,
    protocol: Rc<Protocol>,
    build: Build,
) -> Result<Item<Listener>> {
    let tls = tls_of(endpoint, Some(tls))?;
    listen_with(reactor, endpoint, (None, false), tls, protocol, build)
}

/// The TLS of those who connect: as is said beside the endpoint, or in it; None: they have none.
pub(super) fn tls_of(endpoint: &[u8], given: Option<Arc<tls::Server>>) -> Result<Option<Arc<tls::Server>>> {
    match (endpoint::parse(endpoint, Purpose::Listen)?.options.tls, given) {
        (None, given) => Ok(given),
        (Some(said), Some(given)) if said.is_empty() => Ok(Some(given)),
        (Some(_), Some(_)) => Err(endpoint::said_twice(endpoint)),
        (Some(said), None) => said.server().map(Some).map_err(|why| endpoint::refused(endpoint, why)),
    }
}

/// The same; at the address that another listener at the endpoint has got, if there is one. Whether others listen there
/// as well. What the endpoint says of TLS is read already.
pub(super) fn listen_with(
    reactor: ReactorItem,
    endpoint: &[u8],
    (at, shared): (Option<Address>, bool),
    tls: Option<Arc<tls::Server>>,
    protocol: Rc<Protocol>,
    build: Build,
) -> Result<Item<Listener>> {
    let Endpoint { place, options } = endpoint::parse(endpoint, Purpose::Listen)?;
    let mut how = how(&options);
    how.reuse_port |= shared;
    let (address, how) = match place {
        Place::At(address) => (address, how),
        Place::Any { family: Some(Family::V4), port } => (any_v4(port), how),
        Place::Any { port, family } => {
            let how = How { only_v6: options.only_v6.unwrap_or(family.is_some()), ..how };
            // Both families on one socket; a host without IPv6 has the other alone.
            let v4 = family.is_none() && !listener::has_family(reactor, Family::V6);
            (if v4 { any_v4(port) } else { any_v6(port) }, how)
        }
        Place::Name { name, .. } => {
            let why = format_args!("{name}: an address to listen at cannot be looked up; * stands for all");
            return Err(Status::ERR_BAD_ENDPOINT.because(why));
        }
        Place::Inherited(which) => {
            let socket = inherited(&which)?;
            let adopted = adopt::listener(reactor, socket, protocol, build);
            let listener = adopted.inspect_err(|_| inherited::give_back(socket))?;
            listener.use_tls(tls);
            return Ok(listener);
        }
    };
    let listener = listener::listen(reactor, &at.unwrap_or(address), how, protocol, build)?;
    listener.use_tls(tls);
    Ok(listener)
}

fn inherited(which: &Inherited) -> Result<crate::platform::Socket> {
    inherited::take(which)
}

fn how(options: &Options) -> How<'_> {
    How {
        backlog: options.backlog.unwrap_or(BACKLOG),
        reuse_port: options.reuse_port,
        only_v6: options.only_v6.unwrap_or(true),
        options,
    }
}

fn any_v4(port: u16) -> Address {
    Address::Ip(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
}

fn any_v6(port: u16) -> Address {
    Address::Ip(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))
}
