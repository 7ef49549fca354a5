//! Multicast: groups that a datagram port is in, and how it sends to groups.

use super::convert;
use super::guard;
use super::status::lariat_status;
use super::types::*;
use crate::driver::sockets::SocketOption;
use crate::net::{datagram, multicast};
use std::ffi::c_char;

/// Joins a group: the port receives what is sent to it, at the port's own number.
///
/// group      an IPv4 or IPv6 multicast address: "239.1.2.3", "ff02::1234".
/// interface  the network interface, by its address, name or number; may be NULL: the system picks one.
/// errors     LARIAT_ERR_INVALID_ARGUMENT: no such group or interface; LARIAT_ERR_ADDRESS_IN_USE: joined already;
///            LARIAT_ERR_CLOSED; LARIAT_ERR_OS.
/// thread     the reactor's.
/// Twisted    IMulticastTransport.joinGroup; RFC 1112, 3678.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_datagram_port_join_group(
    port: *mut lariat_datagram_port,
    group: *const c_char,
    interface: *const c_char,
) -> lariat_status {
    guard::on(port, |port| {
        let group = convert::required("group", convert::text("group", group)?)?;
        multicast::join(port, group, convert::text("interface", interface)?)
    })
}

/// Leaves a group.
///
/// group      as it was joined.
/// interface  as it was joined.
/// errors     LARIAT_ERR_ADDRESS_NOT_AVAILABLE: the port is not in it; those of lariat_datagram_port_join_group.
/// thread     the reactor's.
/// Twisted    IMulticastTransport.leaveGroup.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_datagram_port_leave_group(
    port: *mut lariat_datagram_port,
    group: *const c_char,
    interface: *const c_char,
) -> lariat_status {
    guard::on(port, |port| {
        let group = convert::required("group", convert::text("group", group)?)?;
        multicast::leave(port, group, convert::text("interface", interface)?)
    })
}

/// Sets whether what is sent to a group comes to the members on this host too, as it does at first.
///
/// on       0 or 1.
/// errors   LARIAT_ERR_CLOSED; LARIAT_ERR_OS.
/// thread   the reactor's.
/// Twisted  IMulticastTransport.setLoopbackMode.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_datagram_port_set_multicast_loop(port: *mut lariat_datagram_port, on: i32) -> lariat_status {
    guard::on(port, |port| {
        let on = convert::switch("on", on)?;
        datagram::set(port, "multicast loop", SocketOption::MulticastLoop(on))
    })
}

/// Sets how many hops what is sent to a group may take; 1 unless set.
///
/// hops     0 to 255; 0: it stays on this host.
/// errors   LARIAT_ERR_CLOSED; LARIAT_ERR_OS.
/// thread   the reactor's.
/// Twisted  IMulticastTransport.setTTL.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_datagram_port_set_multicast_time_to_live(
    port: *mut lariat_datagram_port,
    hops: i32,
) -> lariat_status {
    guard::on(port, |port| {
        let hops = convert::within("hops", i64::from(hops), (0, 255))?;
        datagram::set(port, "the multicast time to live", SocketOption::MulticastTimeToLive(hops as u32))
    })
}

/// Sets the network interface that what is sent to a group leaves by.
///
/// interface  by its address, name or number; may be NULL: the system picks one, as it does at first.
/// errors     LARIAT_ERR_INVALID_ARGUMENT: no such interface; LARIAT_ERR_CLOSED; LARIAT_ERR_OS.
/// thread     the reactor's.
/// Twisted    IMulticastTransport.setOutgoingInterface.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_datagram_port_set_multicast_interface(
    port: *mut lariat_datagram_port,
    interface: *const c_char,
) -> lariat_status {
    guard::on(port, |port| multicast::set_interface(port, convert::text("interface", interface)?))
}
