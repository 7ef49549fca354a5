//! Opening datagram ports: at an endpoint, or of a socket that is there already.

use super::datagram::{DatagramPort, Protocol, flag, open};
use super::endpoint::{Endpoint, Inherited, Options, Place};
use super::unix_path::BoundPath;
use super::{Fresh, adopt, error, inherited, listener};
use crate::driver::sockets::{Carries, SocketOption};
use crate::driver::{Address, Driver, Family};
use crate::handles::{Item, Owned};
use crate::platform::Socket;
use crate::reactor::ReactorItem;
use crate::status::{Result, Status};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

/// Opens a port at an endpoint.
pub fn listen(
    reactor: ReactorItem,
    endpoint: &Endpoint,
    protocol: Rc<dyn Protocol>,
    this: Owned,
) -> Result<Item<DatagramPort>> {
    super::open(reactor)?;
    let options = &endpoint.options;
    let any = |address: IpAddr, port| Address::Ip((address, port).into());
    let (address, only_v6) = match endpoint.place {
        Place::At(address) => (address, options.only_v6.unwrap_or(false)),
        Place::Any { family: Some(Family::V4), port } => (any(Ipv4Addr::UNSPECIFIED.into(), port), false),
        Place::Any { family: Some(_), port } => (any(Ipv6Addr::UNSPECIFIED.into(), port), true),
        Place::Any { family: None, port } => {
            let (v6, v4) = (any(Ipv6Addr::UNSPECIFIED.into(), port), any(Ipv4Addr::UNSPECIFIED.into(), port));
            let has_v6 = listener::has_family(reactor, Family::V6);
            (if has_v6 { v6 } else { v4 }, options.only_v6.unwrap_or(false))
        }
        Place::Inherited(ref which) => return inherited(reactor, which, options, protocol, this),
        // The parser refuses it.
        Place::Name { .. } => return Err(Status::ERR_BAD_ENDPOINT),
    };
    let (fresh, path) = bound(reactor, &address, options, only_v6)?;
    let opened = open(fresh, protocol, this);
    match (&opened, path) {
        (Ok(port), path) => port.set_path(path),
        (Err(_), Some(path)) => path.unlink(),
        (Err(_), None) => {}
    }
    if let (Ok(port), true) = (&opened, options.segments) {
        segment(*port);
    }
    opened
}

fn inherited(
    reactor: ReactorItem,
    which: &Inherited,
    options: &Options,
    protocol: Rc<dyn Protocol>,
    this: Owned,
) -> Result<Item<DatagramPort>> {
    let socket = inherited::take(which)?;
    let port = adopt::datagrams(reactor, socket, protocol, this);
    let port = port.inspect_err(|_| inherited::give_back(socket))?;
    let sizes =
        [options.receive_buffer.map(SocketOption::ReceiveBuffer), options.send_buffer.map(SocketOption::SendBuffer)];
    for size in sizes.into_iter().flatten() {
        // It works with what it has, too.
        let _ = port.with_socket(|driver, socket| driver.set(socket, size));
    }
    Ok(port)
}

fn bound(
    reactor: ReactorItem,
    address: &Address,
    options: &Options,
    only_v6: bool,
) -> Result<(Fresh, Option<BoundPath>)> {
    let refused = |why: io::Error| error::refused(format_args!("listening at {address}"), &why);
    let open = reactor.with_driver(|driver| driver.open(address.family(), Carries::Datagrams));
    let fresh = Fresh::new(reactor, open.map_err(refused)?);
    fresh.with(|driver, socket| set_all(driver, socket, address, options, only_v6)).map_err(refused)?;
    if let Address::Unix(unix) = address {
        let path = BoundPath::bind(&fresh, unix, options.mode)?;
        return Ok((fresh, path));
    }
    fresh.with(|driver, socket| driver.bind(socket, address)).map_err(refused)?;
    Ok((fresh, None))
}

/// What the endpoint's options say.
fn set_all(driver: &dyn Driver, socket: Socket, address: &Address, options: &Options, only_v6: bool) -> io::Result<()> {
    let on = |on: bool, option| on.then_some(option);
    let list = [
        on(options.reuse_address == Some(true), SocketOption::ReuseAddress),
        on(options.reuse_port, SocketOption::ReusePort),
        on(address.family() == Family::V6, SocketOption::OnlyV6(only_v6)),
        on(options.broadcast, SocketOption::Broadcast(true)),
        options.receive_buffer.map(SocketOption::ReceiveBuffer),
        options.send_buffer.map(SocketOption::SendBuffer),
        options.type_of_service.map(SocketOption::TypeOfService),
        options.time_to_live.map(SocketOption::TimeToLive),
    ];
    list.into_iter().flatten().try_for_each(|option| driver.set(socket, option))
}

/// Has datagrams come several in one, where the kernel can; elsewhere they come one by one.
fn segment(port: Item<DatagramPort>) {
    if port.with_socket(|driver, socket| driver.set(socket, SocketOption::ReceiveSegments(true))).is_ok() {
        port.set(flag::SEGMENTS);
    }
}
