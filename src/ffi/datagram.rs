//! Datagrams: what a port's owner is told, and opening a port.

use super::address::{self, lariat_address};
use super::convert;
use super::guard;
use super::status::lariat_status;
use super::structs::{self, Versioned, fields};
use super::types::*;
use super::watcher;
use crate::deferred::failure;
use crate::driver::Address;
use crate::handles::{self, DataFn, DatagramFailedFn, DatagramFn, FreeFn, Item, LostFn, Owned, TransportFn, Word};
use crate::net::datagram::{Batch, DatagramPort, Protocol};
use crate::net::endpoint::{self, Purpose};
use crate::net::{self, datagram_open};
use crate::reactor::events::{self, Event};
use crate::reactor::{ReactorItem, hooks};
use crate::status::{Result, Status};
use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::rc::Rc;

/// A datagram among several: received together, or to be sent. Fixed for ever.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_datagram {
    /// Its bytes; may be NULL if len is 0.
    pub data: *const u8,
    /// How many bytes data has.
    pub len: usize,
    /// Who sent it, or where it goes; NULL: to whom the port is connected.
    pub peer: *const lariat_address,
    /// It is several datagrams of this size behind each other, the last maybe shorter; 0: it is one.
    pub segment_size: u32,
    /// 0.
    pub reserved: u32,
}

/// Told of a port, on the reactor's thread.
///
/// port  the port.
/// self  as given when it was opened.
pub type lariat_datagram_port_fn = Option<extern "C" fn(port: *mut lariat_datagram_port, self_: *mut c_void)>;

/// Told that a datagram came, whole, on the reactor's thread. A reply goes out at once.
///
/// port  the port.
/// data  valid until the function returns.
/// len   how many bytes data has; may be 0.
/// peer  who sent it; valid until the function returns. An IPv4 address also on a port of both families.
/// self  as given when the port was opened.
pub type lariat_datagram_received_fn = Option<
    extern "C" fn(
        port: *mut lariat_datagram_port,
        data: *const u8,
        len: usize,
        peer: *const lariat_address,
        self_: *mut c_void,
    ),
>;

/// Told that datagrams came, all that were received by one call to the system, on the reactor's thread.
///
/// port       the port.
/// datagrams  valid until the function returns, with all that they point to; fit for lariat_datagram_port_send_batch.
/// count      how many they are, at least 1; those with a segment_size are several each.
/// self       as given when the port was opened.
pub type lariat_datagram_batch_fn = Option<
    extern "C" fn(port: *mut lariat_datagram_port, datagrams: *const lariat_datagram, count: usize, self_: *mut c_void),
>;

/// Told, on the reactor's thread, that something went wrong with a datagram. The port lives on.
///
/// port    the port.
/// reason  LARIAT_ERR_CONNECTION_REFUSED: whom the port is connected to does not listen; LARIAT_ERR_TRUNCATED: one that
///         came was too long, and is lost; others: one that had to wait could not be sent. Valid until the function
///         returns, unless kept.
/// peer    who sent it, or where it went; may be NULL. Valid until the function returns.
/// self    as given when the port was opened.
/// Twisted ConnectedDatagramProtocol.connectionRefused.
pub type lariat_datagram_failed_fn = Option<
    extern "C" fn(
        port: *mut lariat_datagram_port,
        reason: *const lariat_failure,
        peer: *const lariat_address,
        self_: *mut c_void,
    ),
>;

/// Told, on the reactor's thread, that a port is closed: once, last, and never from inside the call that closed it, but
/// for the free of the reactor and the end of a scope.
///
/// port    the port; stale once the function has returned.
/// reason  LARIAT_CONNECTION_DONE: it was stopped; LARIAT_ERR_CLOSED: its scope or its reactor ends; others: its socket
///         failed. Valid until the function returns, unless kept.
/// self    as given when the port was opened.
pub type lariat_datagram_stopped_fn =
    Option<extern "C" fn(port: *mut lariat_datagram_port, reason: *const lariat_failure, self_: *mut c_void)>;

/// What the owner of a datagram port is told; to be prepared by lariat_datagram_protocol_init, and copied when a port is
/// opened. Each function may be NULL.
///
/// Twisted  DatagramProtocol.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_datagram_protocol {
    /// Set by lariat_datagram_protocol_init.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// The port is open; comes first, from the loop.
    pub started: lariat_datagram_port_fn,
    /// A datagram came; one of several that came as one is told for itself.
    pub datagram_received: lariat_datagram_received_fn,
    /// Datagrams came; if it is set, datagram_received is not called.
    pub batch_received: lariat_datagram_batch_fn,
    /// Something went wrong with a datagram; NULL: the log is told.
    pub datagram_failed: lariat_datagram_failed_fn,
    /// All that had to wait is sent, after a send was refused with LARIAT_ERR_BUFFER_FULL.
    pub drained: lariat_datagram_port_fn,
    /// The port is closed.
    pub stopped: lariat_datagram_stopped_fn,
    /// Frees self: called exactly once, after all others, or before the call that was to open the port returns NULL.
    pub free_self: lariat_free_fn,
}

// SAFETY: repr(C), begins with struct_size, and holds numbers and optional functions.
unsafe impl Versioned for lariat_datagram_protocol {
    const FIELDS: &'static [usize] = fields!(lariat_datagram_protocol:
        struct_size reserved started datagram_received batch_received datagram_failed drained stopped free_self);

    fn initial(struct_size: u32) -> Self {
        Self {
            struct_size,
            reserved: 0,
            started: None,
            datagram_received: None,
            batch_received: None,
            datagram_failed: None,
            drained: None,
            stopped: None,
            free_self: None,
        }
    }
}

/// Prepares a protocol: nothing is told.
///
/// protocol     written.
/// struct_size  sizeof(lariat_datagram_protocol).
/// thread       any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_datagram_protocol_init(
    protocol: *mut lariat_datagram_protocol,
    struct_size: u32,
) -> lariat_status {
    guard::alone(|| structs::init("protocol", protocol, struct_size))
}

/// Opens a datagram port.
///
/// endpoint  where: udp://127.0.0.1:4000; udp://[::1]:0: the system picks a port; with * for the host: all addresses of
///           both families, as with [::]; unix-datagram:///run/x; unix-datagram-abstract://x. Options follow a ?: gro=1
///           receives what one peer sends several at once, reuse_port=1, reuse_address=1 (for multicast), only_v6=1,
///           broadcast=1, receive_buffer, send_buffer, time_to_live, type_of_service, mode (of a Unix socket). A stale
///           file of a Unix socket is replaced; it goes when the port is stopped.
/// protocol  copied.
/// self      may be NULL; passed to the protocol's functions. The library's from here on if the protocol has free_self.
/// returns   a handle that is good until the protocol's stopped has returned; NULL on failure.
/// errors    LARIAT_ERR_BAD_ENDPOINT; LARIAT_ERR_ADDRESS_IN_USE; LARIAT_ERR_ADDRESS_NOT_AVAILABLE;
///           LARIAT_ERR_PERMISSION_DENIED; LARIAT_ERR_TOO_MANY_DESCRIPTORS; LARIAT_ERR_OS.
/// thread    the reactor's.
/// Twisted   IReactorUDP.listenUDP, IReactorMulticast.listenMulticast, IReactorUNIXDatagram.listenUNIXDatagram.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_listen_datagram(
    reactor: *mut lariat_reactor,
    endpoint: *const c_char,
    protocol: *const lariat_datagram_protocol,
    self_: *mut c_void,
) -> *mut lariat_datagram_port {
    let (given, this) = take(protocol, self_);
    guard::on(reactor, move |reactor| listen(reactor, endpoint, callbacks(&given?)?, this))
}

/// The same as lariat_reactor_listen_datagram, but queues events instead of calling: LARIAT_EVENT_DATAGRAM_RECEIVED,
/// LARIAT_EVENT_DATAGRAM_FAILED, LARIAT_EVENT_DATAGRAMS_DRAINED and, last, LARIAT_EVENT_DATAGRAM_PORT_STOPPED. A full
/// queue pauses reading.
///
/// tag     any number; comes back in the events.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_listen_datagram_event(
    reactor: *mut lariat_reactor,
    endpoint: *const c_char,
    tag: u64,
) -> *mut lariat_datagram_port {
    guard::on(reactor, |reactor| listen(reactor, endpoint, Rc::new(Tagged(tag)), Owned::default()))
}

/// Makes a datagram port of a socket that was made elsewhere: inherited, passed, or the host's own.
///
/// fd        a socket of datagrams, bound or connected as it may be; the library's once this succeeds, else as it was.
/// protocol  copied.
/// self      as with lariat_reactor_listen_datagram.
/// returns   as lariat_reactor_listen_datagram.
/// errors    LARIAT_ERR_INVALID_ARGUMENT for another kind of socket, and for what is none; LARIAT_ERR_ALREADY_WATCHED;
///           LARIAT_ERR_NOT_SUPPORTED when simulated.
/// thread    the reactor's.
/// Twisted   IReactorSocket.adoptDatagramPort.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_adopt_datagram(
    reactor: *mut lariat_reactor,
    fd: lariat_socket,
    protocol: *const lariat_datagram_protocol,
    self_: *mut c_void,
) -> *mut lariat_datagram_port {
    let (given, this) = take(protocol, self_);
    guard::on(reactor, move |reactor| {
        let (fd, protocol) = (watcher::descriptor(fd)?, callbacks(&given?)?);
        net::adopt::datagrams(reactor, fd, protocol, this)
    })
}

fn listen(
    reactor: ReactorItem,
    endpoint: *const c_char,
    protocol: Rc<dyn Protocol>,
    this: Owned,
) -> Result<Item<DatagramPort>> {
    let endpoint = endpoint::parse(convert::bytes_text("endpoint", endpoint)?, Purpose::Datagrams)?;
    datagram_open::listen(reactor, &endpoint, protocol, this)
}

/// The protocol, and self, which it may own.
fn take(protocol: *const lariat_datagram_protocol, this: *mut c_void) -> (Result<lariat_datagram_protocol>, Owned) {
    structs::take_protocol(protocol, this, |read| (read.free_self, read.reserved))
}

fn callbacks(protocol: &lariat_datagram_protocol) -> Result<Rc<dyn Protocol>> {
    handles::check_memory(size_of::<Callbacks>() + 64)?;
    Ok(Rc::new(Callbacks {
        started: convert::datagram_port_fn(protocol.started),
        received: convert::datagram_received_fn(protocol.datagram_received),
        batch: convert::datagram_batch_fn(protocol.batch_received),
        failed: convert::datagram_failed_fn(protocol.datagram_failed),
        drained: convert::datagram_port_fn(protocol.drained),
        stopped: convert::datagram_stopped_fn(protocol.stopped),
        free: convert::free_fn(protocol.free_self),
        lists: Cell::default(),
    }))
}

/// Where a batch is laid out for C.
type Lists = (Vec<lariat_address>, Vec<lariat_datagram>);

struct Callbacks {
    started: Option<TransportFn>,
    received: Option<DatagramFn>,
    batch: Option<DataFn>,
    failed: Option<DatagramFailedFn>,
    drained: Option<TransportFn>,
    stopped: Option<LostFn>,
    free: Option<FreeFn>,
    lists: Cell<Lists>,
}

fn lay_out((peers, datagrams): &mut Lists, batch: &Batch) -> Result {
    let no_memory = |_| Status::ERR_NO_MEMORY;
    peers.clear();
    datagrams.clear();
    let count = batch.iter().count();
    peers.try_reserve(count).map_err(no_memory)?;
    datagrams.try_reserve(count).map_err(no_memory)?;
    peers.extend(batch.iter().map(|one| lariat_address::whole(one.peer)));
    datagrams.extend(batch.iter().zip(&*peers).map(|(one, peer)| lariat_datagram {
        data: one.data.as_ptr(),
        len: one.data.len(),
        peer,
        segment_size: one.segment as u32,
        reserved: 0,
    }));
    Ok(())
}

impl Protocol for Callbacks {
    fn own(&self, this: Word) -> Owned {
        Owned::new(this, self.free)
    }

    fn queues_events(&self) -> bool {
        false
    }

    fn takes_batches(&self) -> bool {
        self.batch.is_some()
    }

    fn started(&self, port: Item<DatagramPort>) {
        if let Some(function) = self.started {
            function(port.word(), port.this());
        }
    }

    #[inline]
    fn received(&self, port: Item<DatagramPort>, data: &[u8], peer: &Address) {
        if let Some(function) = self.received {
            let mut place = lariat_address::new();
            place.fill(peer);
            function(port.word(), Word::new(data.as_ptr()), data.len(), Word::new(&raw const place), port.this());
        }
    }

    fn batch_received(&self, port: Item<DatagramPort>, batch: &Batch) {
        let Some(function) = self.batch else { return };
        let mut lists = self.lists.take();
        match lay_out(&mut lists, batch) {
            Ok(()) => function(port.word(), Word::new(lists.1.as_ptr()), lists.1.len(), port.this()),
            Err(_) => hooks::log(port.root(), hooks::ERROR, "no memory for a batch of datagrams".to_owned()),
        }
        self.lists.set(lists);
    }

    fn failed(&self, port: Item<DatagramPort>, reason: Word, peer: Option<&Address>) -> bool {
        let Some(function) = self.failed else { return false };
        let peer = peer.map(lariat_address::whole);
        let place = peer.as_ref().map_or(Word::NULL, |peer| Word::new(std::ptr::from_ref(peer)));
        function(port.word(), reason, place, port.this());
        true
    }

    fn drained(&self, port: Item<DatagramPort>) {
        if let Some(function) = self.drained {
            function(port.word(), port.this());
        }
    }

    fn stopped(&self, port: Item<DatagramPort>, reason: Word) {
        if let Some(function) = self.stopped {
            function(port.word(), reason, port.this());
        }
    }
}

/// Events with this tag.
struct Tagged(u64);

impl Tagged {
    fn push(&self, port: Item<DatagramPort>, kind: i32, event: Event) {
        events::push(port.root(), Event { kind, tag: self.0, source: port.word(), ..event });
    }
}

impl Protocol for Tagged {
    fn own(&self, this: Word) -> Owned {
        Owned::new(this, None)
    }

    fn queues_events(&self) -> bool {
        true
    }

    fn takes_batches(&self) -> bool {
        false
    }

    fn started(&self, _: Item<DatagramPort>) {}

    fn received(&self, port: Item<DatagramPort>, data: &[u8], peer: &Address) {
        let mut copy = Vec::new();
        if copy.try_reserve_exact(data.len()).is_err() {
            return hooks::log(port.root(), hooks::ERROR, "no memory for a datagram".to_owned());
        }
        copy.extend_from_slice(data);
        let event = Event { data: copy, peer: address::owned(peer), ..Event::default() };
        self.push(port, events::DATAGRAM_RECEIVED, event);
    }

    fn batch_received(&self, _: Item<DatagramPort>, _: &Batch) {}

    fn failed(&self, port: Item<DatagramPort>, reason: Word, peer: Option<&Address>) -> bool {
        let failure = failure::owned(failure::keep(reason));
        let peer = peer.map(address::owned).unwrap_or_default();
        self.push(port, events::DATAGRAM_FAILED, Event { failure, peer, ..Event::default() });
        true
    }

    fn drained(&self, port: Item<DatagramPort>) {
        self.push(port, events::DATAGRAMS_DRAINED, Event::default());
    }

    fn stopped(&self, port: Item<DatagramPort>, reason: Word) {
        let failure = failure::owned(failure::keep(reason));
        self.push(port, events::DATAGRAM_PORT_STOPPED, Event { failure, ..Event::default() });
    }
}
