//! Connections: writing, ending, reading.

use super::convert;
use super::guard;
use super::listener::no_length;
use super::protocol::{self, lariat_protocol};
use super::status::lariat_status;
use super::types::*;
use crate::deferred::failure;
use crate::handles::{Owned, Word};
use crate::net::{ending, options, reading, transport, writing};
use crate::status::Status;
use std::ffi::{c_char, c_void};
use std::rc::Rc;

/// A piece of what is written.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_part {
    /// Where it is; may be NULL if len is 0.
    pub data: *const u8,
    /// How many bytes it has.
    pub len: usize,
}

/// Writes. The data is copied, or sent at once, so that it may be freed afterwards. What is written in a callback goes
/// out together when the callback returns, outside of the loop at once. What the system has no room for waits, without a
/// limit unless lariat_transport_set_max_buffer has set one: see lariat_transport_register_producer.
///
/// data    len bytes; may be NULL if len is 0.
/// len     bytes.
/// errors  all is accepted, or nothing: LARIAT_ERR_CLOSED when the connection is over or was closed for writing;
///         LARIAT_ERR_BUFFER_FULL. What was accepted may yet be lost with the connection, whose end is told later.
/// thread  the reactor's.
/// Twisted ITransport.write.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_write(
    transport: *mut lariat_transport,
    data: *const u8,
    len: usize,
) -> lariat_status {
    let quickly =
        |transport| convert::bytes_quickly(data, len).and_then(|data| writing::write_quickly(transport, data));
    if let Some(done) = guard::quickly(transport, quickly) {
        return done;
    }
    guard::on(transport, |transport| writing::write(transport, convert::bytes("data", data, len)?))
}

/// Writes several pieces as if they were one.
///
/// parts   count pieces; may be NULL if count is 0.
/// count   how many there are.
/// errors  as of lariat_transport_write.
/// thread  the reactor's.
/// Twisted ITransport.writeSequence.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_write_parts(
    transport: *mut lariat_transport,
    parts: *const lariat_part,
    count: usize,
) -> lariat_status {
    guard::on(transport, |transport| {
        let parts = convert::array("parts", parts, count)?;
        let mut whole = 0_usize;
        for part in parts {
            convert::bytes("data", part.data, part.len)?;
            whole = whole
                .checked_add(part.len)
                .filter(|whole| isize::try_from(*whole).is_ok())
                .ok_or_else(|| no_length("parts", part.len))?;
        }
        let pieces = parts.iter().filter_map(|part| convert::bytes("data", part.data, part.len).ok());
        writing::write_parts(transport, whole, pieces)
    })
}

/// Ends a connection: what waits is written first, also what is written before it is out. Nothing more is read. With TLS the
/// peer is told, and has five seconds to end as well: a reset might take away what it has not received yet.
///
/// errors   LARIAT_ERR_CLOSED when it is over.
/// thread   the reactor's. connection_lost comes later, with LARIAT_CONNECTION_DONE.
/// Twisted  ITransport.loseConnection.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_lose_connection(transport: *mut lariat_transport) -> lariat_status {
    guard::on(transport, ending::lose)
}

/// Ends a connection at once: what waits is dropped, and the peer sees a reset.
///
/// errors   LARIAT_ERR_CLOSED when it is over.
/// thread   the reactor's. connection_lost comes later, with LARIAT_ERR_CONNECTION_ABORTED.
/// Twisted  ITCPTransport.abortConnection.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_abort_connection(transport: *mut lariat_transport) -> lariat_status {
    guard::on(transport, |transport| {
        transport.check_open()?;
        ending::abort(transport, failure::of_status(transport.root(), Status::ERR_CONNECTION_ABORTED))
    })
}

/// Ends a connection at once, as lariat_transport_abort_connection does, for this reason: connection_lost gets it.
///
/// code     not 0; positive ones are the program's own.
/// message  what happened, UTF-8; may be NULL.
/// errors   LARIAT_ERR_CLOSED when it is over.
/// thread   the reactor's. connection_lost comes later.
/// Twisted  ITLSTransport.failVerification, and failIfNotConnected of clients.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_fail_connection(
    transport: *mut lariat_transport,
    code: i32,
    message: *const c_char,
) -> lariat_status {
    guard::on(transport, |transport| {
        transport.check_open()?;
        let reason = convert::reason(code, 0, convert::text("message", message)?)?;
        let failure = failure::make(transport.root(), &reason, Owned::default())?;
        ending::abort(transport, failure.word())
    })
}

/// Writes what waits, and then ends that direction: the peer reads an end, and may go on sending.
///
/// errors   LARIAT_ERR_CLOSED when it is over, or closed for writing already.
/// thread   the reactor's. write_connection_lost comes later.
/// Twisted  ITCPTransport.loseWriteConnection.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_lose_write_connection(transport: *mut lariat_transport) -> lariat_status {
    guard::on(transport, ending::lose_write)
}

/// Reads no more until lariat_transport_resume_reading: the peer is held up once the system's buffers are full, and
/// its end is not noticed.
///
/// errors   LARIAT_ERR_CLOSED when the connection is over.
/// thread   the reactor's.
/// Twisted  IPushProducer.pauseProducing of a transport.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_pause_reading(transport: *mut lariat_transport) -> lariat_status {
    guard::on(transport, reading::pause)
}

/// Reads again.
///
/// errors   LARIAT_ERR_CLOSED when the connection is over.
/// thread   the reactor's. data_received comes later.
/// Twisted  IPushProducer.resumeProducing of a transport.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_resume_reading(transport: *mut lariat_transport) -> lariat_status {
    guard::on(transport, reading::resume)
}

/// Shows what was received and not consumed yet, of a protocol that has set pull.
///
/// data    written: where it is, until data_received returns, or more comes.
/// len     written: how many bytes.
/// errors  LARIAT_ERR_CLOSED when the connection is over.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_peek(
    transport: *mut lariat_transport,
    data: *mut *const u8,
    len: *mut usize,
) -> lariat_status {
    guard::on(transport, |transport| {
        let (data, len) = (convert::out("data", data)?, convert::out("len", len)?);
        let (place, length) = reading::peek(transport)?;
        data.write(place.pointer::<u8>().cast_const());
        len.write(length);
        Ok(())
    })
}

/// Is done with the first bytes of what was received, of a protocol that has set pull. What is left comes again, with
/// more behind it. When a megabyte waits, nothing more is read until some of it is consumed.
///
/// len     bytes, no more than there are.
/// errors  LARIAT_ERR_INVALID_STATE when the protocol has not set pull; LARIAT_ERR_CLOSED when the connection is over.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_consume(transport: *mut lariat_transport, len: usize) -> lariat_status {
    guard::on(transport, |transport| reading::consume(transport, len))
}

/// Sends a part of a file behind what was written, without copying it where the system can.
///
/// fd       a regular file, open for reading; the library has a copy of the descriptor from here on.
/// offset   bytes from its beginning.
/// len      bytes.
/// returns  a Deferred that fires, with NULL, when all is sent; cancelling it changes nothing. It fails with
///          LARIAT_ERR_TRUNCATED when the file ends before, and with the connection's end. NULL on failure.
/// errors   as of lariat_transport_write; LARIAT_ERR_OS for a descriptor that is not open.
/// thread   the reactor's.
/// Twisted  FileSender.beginFileTransfer.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_send_file(
    transport: *mut lariat_transport,
    fd: lariat_socket,
    offset: u64,
    len: u64,
) -> *mut lariat_deferred {
    guard::on(transport, |transport| {
        let fd = super::watcher::descriptor(fd)?;
        options::send_file(transport, fd, offset, len)
    })
}

/// Sends a descriptor over a Unix socket, with the next byte that is written.
///
/// fd       stays the caller's; the library has a copy of it from here on.
/// errors   LARIAT_ERR_NOT_SUPPORTED for what is no Unix socket; LARIAT_ERR_OS for a descriptor that is not open.
/// thread   the reactor's.
/// Twisted  IUNIXTransport.sendFileDescriptor.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_send_descriptor(
    transport: *mut lariat_transport,
    fd: lariat_socket,
) -> lariat_status {
    guard::on(transport, |transport| options::send_descriptor(transport, super::watcher::descriptor(fd)?))
}

/// Takes the oldest descriptor that came over a Unix socket: it is there when data_received is called with the byte
/// that it was sent with. 64 wait at most, more are closed; those that nobody takes are closed with the connection.
///
/// fd       written: a descriptor, the caller's from here on.
/// returns  LARIAT_OK; LARIAT_EMPTY: none is waiting; negative: an error.
/// thread   the reactor's.
/// Twisted  IFileDescriptorReceiver.fileDescriptorReceived.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_take_descriptor(
    transport: *mut lariat_transport,
    fd: *mut lariat_socket,
) -> lariat_status {
    guard::on(transport, |transport| {
        let place = convert::out("fd", fd)?;
        Ok(match options::take_descriptor(transport)? {
            Some(descriptor) => {
                place.write(descriptor);
                Status::OK
            }
            None => Status::EMPTY,
        })
    })
}

/// Gives a connection another protocol, whose connection_made is not called. The old self is freed.
///
/// protocol  copied.
/// self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
/// errors    LARIAT_ERR_CLOSED when the connection is over.
/// thread    the reactor's.
/// Twisted   assigning transport.protocol.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_set_protocol(
    transport: *mut lariat_transport,
    protocol: *const lariat_protocol,
    self_: *mut c_void,
) -> lariat_status {
    let read = protocol::read(protocol);
    let owned = read.as_ref().map_or_else(|_| Owned::default(), |read| read.own(Word::new(self_)));
    guard::on(transport, move |transport| {
        let read = read?;
        protocol::check(protocol)?;
        transport::set_protocol(transport, Rc::new(read), owned)
    })
}

/// Tells what a connection's functions get as self.
///
/// returns  self; NULL on failure too.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_self(transport: *mut lariat_transport) -> *mut c_void {
    guard::on(transport, |transport| Ok(transport.this()))
}

/// Tells where the other end of a connection is, as an endpoint: "tcp://192.0.2.1:4000", "unix://".
///
/// text      written, with a NUL behind it: as much as there is room for; may be NULL if capacity is 0.
/// capacity  how many bytes there is room for.
/// length    written: how many bytes the whole text has, without the NUL; may be NULL.
/// errors    LARIAT_ERR_TOO_LONG when there was not enough room; LARIAT_ERR_CLOSED when the connection is over.
/// thread    the reactor's.
/// Twisted   ITransport.getPeer.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_peer(
    transport: *mut lariat_transport,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> lariat_status {
    guard::on(transport, |transport| {
        convert::write_text("text", (text, capacity), length, &options::peer(transport)?.endpoint(false))
    })
}

/// Tells where this end of a connection is, as an endpoint.
///
/// text      written, with a NUL behind it: as much as there is room for; may be NULL if capacity is 0.
/// capacity  how many bytes there is room for.
/// length    written: how many bytes the whole text has, without the NUL; may be NULL.
/// errors    as of lariat_transport_peer.
/// thread    the reactor's.
/// Twisted   ITransport.getHost.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_address(
    transport: *mut lariat_transport,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> lariat_status {
    guard::on(transport, |transport| {
        convert::write_text("text", (text, capacity), length, &options::address(transport)?.endpoint(false))
    })
}

/// Tells the descriptor of a connection, for what the library has no call for: an option of the socket, a query.
///
/// fd      written: stays the library's, not to be read from, written to or closed; good until it is over.
/// errors  LARIAT_ERR_CLOSED when the connection is over; LARIAT_ERR_NOT_SUPPORTED for what is no socket, and by a
///         simulated reactor.
/// thread  the reactor's.
/// Twisted ISystemHandle.getHandle.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_descriptor(
    transport: *mut lariat_transport,
    fd: *mut lariat_socket,
) -> lariat_status {
    guard::on(transport, |transport| {
        convert::out("fd", fd)?.write(options::descriptor(transport)?);
        Ok(())
    })
}

/// Tells who is at the other end of a Unix socket, as the system knows it.
///
/// pid     written: the process; -1 where the system does not tell; may be NULL.
/// uid     written: the user; may be NULL.
/// gid     written: the group; may be NULL.
/// errors  LARIAT_ERR_NOT_SUPPORTED for what is no Unix socket.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_peer_credentials(
    transport: *mut lariat_transport,
    pid: *mut i64,
    uid: *mut i64,
    gid: *mut i64,
) -> lariat_status {
    guard::on(transport, |transport| {
        let credentials = options::credentials(transport)?;
        convert::write_if_given(pid, credentials.process);
        convert::write_if_given(uid, credentials.user);
        convert::write_if_given(gid, credentials.group);
        Ok(())
    })
}
