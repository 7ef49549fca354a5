//! Connections: how much waits, who produces it, how fast and how long.

use super::convert::{self, invalid};
use super::guard;
use super::status::lariat_status;
use super::structs::{self, Versioned, fields};
use super::types::*;
use crate::driver::sockets::{KeepAlive, SocketOption};
use crate::handles::Owned;
use crate::net::producer::{self, Producer, Share};
use crate::net::{options, rate, writing};
use crate::status::Result;
use std::ffi::c_void;
use std::time::Duration;

/// Who writes as much as a connection takes: to be filled by lariat_producer_init, changed, and given to
/// lariat_transport_register_producer, which copies it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_producer {
    /// Set by lariat_producer_init.
    pub struct_size: u32,
    /// 1: it writes until it is paused (push; default); 0: it writes one piece each time it is resumed (pull).
    pub streaming: i32,
    /// More waits than the high-water mark: it is to write no more; may be NULL. Not for pull.
    pub pause_producing: lariat_producer_fn,
    /// There is room: it is to write; may be NULL.
    pub resume_producing: lariat_producer_fn,
    /// Nothing is wanted any more; may be NULL.
    pub stop_producing: lariat_producer_fn,
}

// SAFETY: repr(C), begins with struct_size, and holds numbers and optional functions.
unsafe impl Versioned for lariat_producer {
    const FIELDS: &'static [usize] =
        fields!(lariat_producer: struct_size streaming pause_producing resume_producing stop_producing);

    fn initial(struct_size: u32) -> Self {
        Self { struct_size, streaming: 1, pause_producing: None, resume_producing: None, stop_producing: None }
    }
}

/// Fills a producer with the defaults.
///
/// producer     written.
/// struct_size  sizeof(lariat_producer).
/// thread       any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_producer_init(producer: *mut lariat_producer, struct_size: u32) -> lariat_status {
    guard::alone(|| structs::init("producer", producer, struct_size))
}

/// Registers who writes to a connection, so that no more is written than the peer reads: a push producer is paused when
/// more waits than the high-water mark and resumed when it is down to the low one; a pull producer is resumed whenever
/// it is down to that. lariat_transport_lose_connection waits for a pull producer to unregister, a push producer is
/// stopped by it.
///
/// producer   copied.
/// user_data  may be NULL; passed through.
/// errors     LARIAT_ERR_ALREADY_REGISTERED; LARIAT_ERR_CLOSED when the connection is over: then stop_producing was called.
/// thread     the reactor's. pause_producing may be called from inside lariat_transport_write, and from inside this.
/// Twisted    IConsumer.registerProducer.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_register_producer(
    transport: *mut lariat_transport,
    producer: *const lariat_producer,
    user_data: *mut c_void,
) -> lariat_status {
    register(transport, producer, convert::borrowed(user_data))
}

/// The same as lariat_transport_register_producer, with user_data owned by the library from here on:
/// free_user_data(user_data) is called exactly once, when the producer is unregistered or stopped, or when this fails.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_register_producer_full(
    transport: *mut lariat_transport,
    producer: *const lariat_producer,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> lariat_status {
    register(transport, producer, convert::owned(user_data, free_user_data))
}

fn register(transport: *mut lariat_transport, producer: *const lariat_producer, data: Owned) -> lariat_status {
    guard::on(transport, move |transport| {
        let read = structs::read("producer", producer)?;
        structs::check_tail("producer", producer)?;
        let streaming = convert::switch("streaming", read.streaming)?;
        let (pause, resume) =
            (convert::transport_fn(read.pause_producing), convert::transport_fn(read.resume_producing));
        let stop = convert::transport_fn(read.stop_producing);
        let producer = Producer { streaming, pause, resume, stop, data, paused: false, at_once: Share::default() };
        producer::register(transport, producer)
    })
}

/// Forgets the producer of a connection: it has written all that it had to.
///
/// errors   LARIAT_ERR_INVALID_STATE when there is none.
/// thread   the reactor's.
/// Twisted  IConsumer.unregisterProducer.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_unregister_producer(transport: *mut lariat_transport) -> lariat_status {
    guard::on(transport, producer::unregister)
}

/// Sets when a producer is paused and resumed.
///
/// high    bytes that wait, above which it is paused; default 65536.
/// low     bytes that wait, down to which it is resumed, at most high; default 0.
/// errors  LARIAT_ERR_CLOSED when the connection is over.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_set_water_marks(
    transport: *mut lariat_transport,
    high: u64,
    low: u64,
) -> lariat_status {
    guard::on(transport, |transport| producer::set_water_marks(transport, high, low))
}

/// Limits what waits to be written: a write beyond it is refused with LARIAT_ERR_BUFFER_FULL.
///
/// bytes   at most; 0: no limit (default).
/// errors  LARIAT_ERR_CLOSED when the connection is over.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_set_max_buffer(transport: *mut lariat_transport, bytes: u64) -> lariat_status {
    guard::on(transport, |transport| producer::set_cap(transport, bytes))
}

/// Tells how much was written that the system has not taken yet.
///
/// returns  bytes; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_buffered(transport: *mut lariat_transport) -> i64 {
    guard::on(transport, |transport| Ok(i64::try_from(writing::buffered(transport)).unwrap_or(i64::MAX)))
}

/// Ends a connection on which nothing was received or sent for a while, with LARIAT_ERR_TIMED_OUT.
///
/// seconds  0 to 1e9, counted anew from each byte on, in milliseconds; 0: never (default).
/// errors   LARIAT_ERR_CLOSED when the connection is over.
/// thread   the reactor's.
/// Twisted  TimeoutMixin.setTimeout.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_set_idle_timeout(transport: *mut lariat_transport, seconds: f64) -> lariat_status {
    guard::on(transport, |transport| options::set_idle(transport, convert::delay("seconds", seconds)?))
}

/// Limits how fast a connection is read and written; a second's worth may come at once.
///
/// read_rate   bytes a second, to 1e15; 0: no limit (default).
/// write_rate  bytes a second, to 1e15; 0: no limit (default).
/// errors      LARIAT_ERR_CLOSED when the connection is over.
/// thread      the reactor's.
/// Twisted     ThrottlingFactory.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_set_rate_limit(
    transport: *mut lariat_transport,
    read_rate: f64,
    write_rate: f64,
) -> lariat_status {
    guard::on(transport, |transport| {
        rate::set(transport, bytes_a_second("read_rate", read_rate)?, bytes_a_second("write_rate", write_rate)?)
    })
}

fn bytes_a_second(name: &str, rate: f64) -> Result<f64> {
    // Less than a byte a second would never be told from none.
    if rate == 0.0 || (1.0..=1e15).contains(&rate) {
        return Ok(rate);
    }
    Err(invalid(format_args!("{name} is {rate:?}; it must be 0, or from 1 to 1e15")))
}

/// Has small pieces sent at once (default), or held back until what was sent before is acknowledged.
///
/// on       1 or 0.
/// errors   LARIAT_ERR_OS or LARIAT_ERR_NOT_SUPPORTED for what is no TCP connection.
/// thread   the reactor's.
/// Twisted  ITCPTransport.setTcpNoDelay.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_set_no_delay(transport: *mut lariat_transport, on: i32) -> lariat_status {
    guard::on(transport, |transport| {
        options::set(transport, "no-delay", SocketOption::NoDelay(convert::switch("on", on)?))
    })
}

/// Has the system look after a silent peer, so that one that is gone is noticed.
///
/// idle      seconds of silence before it does, at least 1; 0: never (default).
/// interval  seconds between two probes; 0: as the system has it.
/// count     probes without an answer after which the connection is lost; 0: as the system has it.
/// errors    LARIAT_ERR_OS or LARIAT_ERR_NOT_SUPPORTED for what is no TCP connection.
/// thread    the reactor's.
/// Twisted   ITCPTransport.setTcpKeepAlive.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_set_keep_alive(
    transport: *mut lariat_transport,
    idle: f64,
    interval: f64,
    count: u32,
) -> lariat_status {
    guard::on(transport, |transport| {
        let idle = Duration::from_nanos(convert::delay("idle", idle)?);
        let interval = Duration::from_nanos(convert::delay("interval", interval)?);
        let interval = Some(interval).filter(|interval| !interval.is_zero());
        let keep_alive = (!idle.is_zero()).then_some(KeepAlive { idle, interval, count });
        options::set(transport, "keep-alive", SocketOption::KeepAlive(keep_alive))
    })
}

/// Sets what the system does with what it has not sent when the connection is closed.
///
/// seconds  0: it is dropped, and the peer sees a reset; more: it is sent for so long; negative: for as long as it
///          takes (default). At most 65535.
/// errors   LARIAT_ERR_OS as the system says.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_set_linger(transport: *mut lariat_transport, seconds: f64) -> lariat_status {
    guard::on(transport, |transport| {
        if seconds.is_nan() || seconds > 65535.0 {
            return Err(invalid(format_args!("seconds is {seconds:?}; it must be at most 65535")));
        }
        let linger = (seconds >= 0.0).then(|| Duration::from_secs(seconds.ceil() as u64));
        options::set(transport, "linger", SocketOption::Linger(linger))
    })
}

/// Marks what is sent with a type of service (IPv4) or traffic class (IPv6).
///
/// value    0 to 255.
/// errors   LARIAT_ERR_OS as the system says.
/// thread   the reactor's.
/// Twisted  ITransport of IPv4: setTcpTos by getHandle; RFC 2474.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_set_type_of_service(transport: *mut lariat_transport, value: i32) -> lariat_status {
    guard::on(transport, |transport| {
        let value = u8::try_from(value).map_err(|_| invalid(format_args!("value is {value}; it must be 0 to 255")))?;
        options::set(transport, "the type of service", SocketOption::TypeOfService(u32::from(value)))
    })
}

/// Sets the sizes of the system's buffers; it may take others.
///
/// receive  bytes for what is received; 0: as it is.
/// send     bytes for what is sent; 0: as it is.
/// errors   LARIAT_ERR_OS as the system says.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_transport_set_buffer_sizes(
    transport: *mut lariat_transport,
    receive: u32,
    send: u32,
) -> lariat_status {
    guard::on(transport, |transport| {
        let sizes = [SocketOption::ReceiveBuffer(receive as usize), SocketOption::SendBuffer(send as usize)];
        for (size, option) in [receive, send].into_iter().zip(sizes).filter(|(size, _)| *size != 0) {
            options::set(transport, &format!("a buffer of {size} bytes"), option)?;
        }
        Ok(())
    })
}
