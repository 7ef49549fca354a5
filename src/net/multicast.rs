//! Groups of multicast: joining and leaving them, and the interface that is meant.

use super::datagram::{self, DatagramPort, flag};
use crate::driver::sockets::{Interface, SocketOption};
use crate::handles::Item;
use crate::platform;
use crate::status::{Result, Status};
use std::net::IpAddr;

/// Joins a group on an interface; None: the system picks one.
pub fn join(port: Item<DatagramPort>, group: &str, interface: Option<&str>) -> Result {
    let (group, interface) = read(port, group, interface)?;
    datagram::set(port, &format!("membership of {group}"), SocketOption::JoinGroup(group, interface))
}

/// Leaves a group that was joined on this interface.
pub fn leave(port: Item<DatagramPort>, group: &str, interface: Option<&str>) -> Result {
    let (group, interface) = read(port, group, interface)?;
    datagram::set(port, &format!("membership of {group}"), SocketOption::LeaveGroup(group, interface))
}

/// Has what goes to groups leave by this interface; None: the system picks one.
pub fn set_interface(port: Item<DatagramPort>, interface: Option<&str>) -> Result {
    port.check_open()?;
    let interface = find(port, interface, port.has(flag::V6))?;
    datagram::set(port, "the multicast interface", SocketOption::MulticastInterface(interface))
}

fn read(port: Item<DatagramPort>, group: &str, interface: Option<&str>) -> Result<(IpAddr, Interface)> {
    port.check_open()?;
    let group = match group.parse::<IpAddr>() {
        Ok(group) if group.is_multicast() => group,
        _ => return Err(Status::ERR_INVALID_ARGUMENT.because(format_args!("{group} is no group's address"))),
    };
    Ok((group, find(port, interface, group.is_ipv6())?))
}

/// The interface with this address, name or number; for IPv6 it goes by its number.
fn find(port: Item<DatagramPort>, interface: Option<&str>, v6: bool) -> Result<Interface> {
    let Some(text) = interface else { return Ok(Interface::default()) };
    let address = text.parse::<IpAddr>().ok();
    if let (Some(IpAddr::V4(address)), false) = (address, v6) {
        return Ok(Interface { address: Some(address), index: 0 });
    }
    let has_names = !port.root().is_simulated();
    let index = match (address, text.parse::<u32>()) {
        (None, Ok(index)) => Some(index),
        (Some(address), _) if has_names => platform::interface_with(address),
        (None, Err(_)) if has_names => platform::interface_index(text),
        _ => None,
    };
    let none = || Status::ERR_INVALID_ARGUMENT.because(format_args!("there is no network interface {text}"));
    Ok(Interface { address: None, index: index.ok_or_else(none)? })
}
