//! Datagram ports: sending, pausing, what they can be told and asked.

use super::address::{self, lariat_address};
use super::convert::{self, invalid};
use super::datagram::lariat_datagram;
use super::guard;
use super::status::lariat_status;
use super::types::*;
use crate::driver::Address;
use crate::driver::sockets::SocketOption;
use crate::handles::Item;
use crate::net::datagram::{self, DatagramPort};
use crate::net::datagram_writing::Given;
use crate::net::{datagram_reading as reading, datagram_writing as writing, endpoint};
use crate::status::Result;
use std::ffi::c_char;

/// Sends a datagram to whom the port is connected to. It goes out at once, or waits in order when the system has no
/// room; then what fails is told by datagram_failed.
///
/// data    copied if it has to wait; may be NULL if len is 0.
/// len     how many bytes data has.
/// errors  LARIAT_ERR_INVALID_STATE: not connected; LARIAT_ERR_TOO_LONG; LARIAT_ERR_BUFFER_FULL: what waits already is
///         all that may, see lariat_datagram_port_set_max_buffer; LARIAT_ERR_UNREACHABLE; LARIAT_ERR_PERMISSION_DENIED;
///         LARIAT_ERR_CLOSED; LARIAT_ERR_OS.
/// thread  the reactor's.
/// Twisted IUDPTransport.write.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_datagram_port_send(
    port: *mut lariat_datagram_port,
    data: *const u8,
    len: usize,
) -> lariat_status {
    guard::on(port, |port| {
        let data = convert::array("data", data, len)?;
        writing::send(port, data, None)
    })
}

/// Sends a datagram, as lariat_datagram_port_send does, to an address.
///
/// data    copied if it has to wait; may be NULL if len is 0.
/// len     how many bytes data has.
/// peer    as it was received, or parsed. A port of both families takes either.
/// errors  as lariat_datagram_port_send; LARIAT_ERR_INVALID_ARGUMENT for an address of another family than the port's.
/// thread  the reactor's.
/// Twisted IUDPTransport.write with an address.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_datagram_port_send_to(
    port: *mut lariat_datagram_port,
    data: *const u8,
    len: usize,
    peer: *const lariat_address,
) -> lariat_status {
    guard::on(port, |port| {
        let data = convert::array("data", data, len)?;
        let mut to = Address::default();
        address::read_into("peer", peer, &mut to)?;
        writing::send(port, data, Some(&to))
    })
}

/// Sends datagrams, in order, by as few calls to the system as it makes possible. Those with a segment_size go as
/// several of this size each, by the kernel where it can (UDP_SEGMENT), else one by one.
///
/// datagrams  what lariat_datagram_port_send_to is given, for each; may be NULL if count is 0.
/// count      how many they are.
/// sent       written, also on failure: how many of the first were accepted; may be NULL.
/// returns    LARIAT_OK: all were accepted; else why the next one was not. No later one is tried then.
/// errors     as lariat_datagram_port_send_to.
/// thread     the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_datagram_port_send_batch(
    port: *mut lariat_datagram_port,
    datagrams: *const lariat_datagram,
    count: usize,
    sent: *mut usize,
) -> lariat_status {
    convert::write_if_given(sent, 0);
    guard::on(port, |port| {
        let datagrams = convert::array("datagrams", datagrams, count)?;
        let (accepted, result) = writing::send_batch(port, count, |place| given(&datagrams[place]));
        convert::write_if_given(sent, accepted);
        result
    })
}

fn given<'call>(datagram: &lariat_datagram) -> Result<Given<'call>> {
    if datagram.reserved != 0 {
        return Err(invalid("datagrams: reserved is not 0"));
    }
    let data = convert::array("datagrams: data", datagram.data, datagram.len)?;
    let to = match datagram.peer.is_null() {
        true => None,
        false => Some(address::read("datagrams: peer", datagram.peer)?),
    };
    Ok((data, datagram.segment_size as usize, to))
}

/// Sets whom lariat_datagram_port_send sends to. What others send is not received any more, and that datagrams are
/// refused is told by datagram_failed. A second call sets another.
///
/// endpoint  an address, such as udp://127.0.0.1:53 or unix-datagram:///run/x; nothing is looked up.
/// errors    LARIAT_ERR_BAD_ENDPOINT; LARIAT_ERR_INVALID_ARGUMENT for another family than the port's;
///           LARIAT_ERR_UNREACHABLE; LARIAT_ERR_CONNECTION_REFUSED for a Unix socket that nobody has; LARIAT_ERR_CLOSED;
///           LARIAT_ERR_OS.
/// thread    the reactor's.
/// Twisted   IUDPTransport.connect.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_datagram_port_connect(
    port: *mut lariat_datagram_port,
    endpoint: *const c_char,
) -> lariat_status {
    guard::on(port, |port| {
        let peer = endpoint::parse_peer(convert::bytes_text("endpoint", endpoint)?)?;
        datagram::connect(port, &peer)
    })
}

/// Closes a port: it receives nothing after this call, also of what the present turn has found. What waits to be sent
/// goes out as far as there is room.
///
/// returns  a Deferred that fires with NULL once stopped was told, never from inside this call; NULL on failure.
/// errors   LARIAT_ERR_CLOSED when it was stopped already.
/// thread   the reactor's.
/// Twisted  IListeningPort.stopListening.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_datagram_port_stop(port: *mut lariat_datagram_port) -> *mut lariat_deferred {
    guard::on(port, datagram::stop)
}

/// Receives no more until resumed; the system keeps what it has room for, and drops the rest.
///
/// errors   LARIAT_ERR_CLOSED.
/// thread   the reactor's.
/// Twisted  IUDPTransport.stopReading.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_datagram_port_pause_reading(port: *mut lariat_datagram_port) -> lariat_status {
    guard::on(port, reading::pause)
}

/// Receives again.
///
/// errors   LARIAT_ERR_CLOSED.
/// thread   the reactor's.
/// Twisted  IUDPTransport.startReading.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_datagram_port_resume_reading(port: *mut lariat_datagram_port) -> lariat_status {
    guard::on(port, reading::resume)
}

/// Tells the number of a port: the one that the system has picked, where port 0 was asked for.
///
/// returns  1 to 65535; 0 of a Unix socket; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_datagram_port_number(port: *mut lariat_datagram_port) -> i32 {
    guard::on(port, |port| Ok(i32::from(datagram::address(port)?.port())))
}

/// Tells where a port is, as an endpoint: udp://127.0.0.1:4000.
///
/// text      written, with a NUL behind it: as much as there is room for; may be NULL if capacity is 0.
/// capacity  how many bytes text has.
/// length    written: how many bytes there are, without the NUL; may be NULL.
/// errors    LARIAT_ERR_TOO_LONG when there was not enough room; LARIAT_ERR_CLOSED.
/// thread    the reactor's.
/// Twisted   IListeningPort.getHost.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_datagram_port_address(
    port: *mut lariat_datagram_port,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> lariat_status {
    guard::on(port, |port| {
        let endpoint = datagram::address(port)?.endpoint(true);
        convert::write_text("text", (text, capacity), length, &endpoint)
    })
}

/// Tells the descriptor of a port, for what the library has no call for: an option of the socket, a query.
///
/// fd      written: stays the library's, not to be read from, written to or closed; good until it is stopped.
/// errors  LARIAT_ERR_CLOSED; LARIAT_ERR_NOT_SUPPORTED by a simulated reactor.
/// thread  the reactor's.
/// Twisted ISystemHandle.getHandle.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_datagram_port_descriptor(
    port: *mut lariat_datagram_port,
    fd: *mut lariat_socket,
) -> lariat_status {
    guard::on(port, |port| {
        convert::out("fd", fd)?.write(datagram::descriptor(port)?);
        Ok(())
    })
}

/// Tells how much waits to be sent.
///
/// returns  bytes; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_datagram_port_buffered(port: *mut lariat_datagram_port) -> i64 {
    guard::on(port, |port| Ok(writing::buffered(port) as i64))
}

/// Sets how much may wait to be sent while the system has no room; what is sent beyond that is refused with
/// LARIAT_ERR_BUFFER_FULL.
///
/// bytes   at most so many, each datagram counting as 64 more; 1 MiB unless set; 0: nothing waits.
/// errors  LARIAT_ERR_CLOSED.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_datagram_port_set_max_buffer(port: *mut lariat_datagram_port, bytes: u64) -> lariat_status {
    guard::on(port, |port| datagram::set_most(port, bytes))
}

/// Allows sending to broadcast addresses, or forbids it, as it is at first.
///
/// on       0 or 1.
/// errors   LARIAT_ERR_CLOSED; LARIAT_ERR_OS.
/// thread   the reactor's.
/// Twisted  IUDPTransport.setBroadcastAllowed.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_datagram_port_set_broadcast(port: *mut lariat_datagram_port, on: i32) -> lariat_status {
    guard::on(port, |port| {
        let on = convert::switch("on", on)?;
        datagram::set(port, "broadcast", SocketOption::Broadcast(on))
    })
}

/// Sets how many hops what is sent may take.
///
/// hops    1 to 255.
/// errors  LARIAT_ERR_CLOSED; LARIAT_ERR_OS.
/// thread  the reactor's.
/// RFC     791 (time to live), 8200 (hop limit).
#[unsafe(no_mangle)]
pub extern "C" fn lariat_datagram_port_set_time_to_live(port: *mut lariat_datagram_port, hops: i32) -> lariat_status {
    guard::on(port, |port| {
        let hops = convert::within("hops", i64::from(hops), (1, 255))?;
        datagram::set(port, "the time to live", SocketOption::TimeToLive(hops as u32))
    })
}

/// Sets the type of service of what is sent, or the traffic class of IPv6.
///
/// value   0 to 255: the DSCP in the upper six bits.
/// errors  LARIAT_ERR_CLOSED; LARIAT_ERR_PERMISSION_DENIED; LARIAT_ERR_OS.
/// thread  the reactor's.
/// RFC     2474.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_datagram_port_set_type_of_service(
    port: *mut lariat_datagram_port,
    value: i32,
) -> lariat_status {
    guard::on(port, |port| {
        let value = convert::within("value", i64::from(value), (0, 255))?;
        datagram::set(port, "the type of service", SocketOption::TypeOfService(value as u32))
    })
}

/// Sets how large the system's buffers are; it may take other sizes than those.
///
/// receive  bytes for what is received; 0: as it is.
/// send     bytes for what is sent; 0: as it is.
/// errors   LARIAT_ERR_CLOSED; LARIAT_ERR_OS.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_datagram_port_set_buffer_sizes(
    port: *mut lariat_datagram_port,
    receive: i64,
    send: i64,
) -> lariat_status {
    guard::on(port, |port| {
        let limits = (0, i64::from(i32::MAX));
        let receive = convert::within("receive", receive, limits)? as usize;
        let send = convert::within("send", send, limits)? as usize;
        set_size(port, "the buffer for what is received", receive, SocketOption::ReceiveBuffer)?;
        set_size(port, "the buffer for what is sent", send, SocketOption::SendBuffer)
    })
}

fn set_size(port: Item<DatagramPort>, what: &str, size: usize, option: fn(usize) -> SocketOption) -> Result {
    if size == 0 { port.check_open() } else { datagram::set(port, what, option(size)) }
}
