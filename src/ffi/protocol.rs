//! Protocols: what a connection's owner wants to be told.

use super::convert;
use super::guard;
use super::status::lariat_status;
use super::structs::{self, Versioned, fields};
use super::types::*;
use crate::handles::Owned;
use crate::net::protocol::Protocol;
use crate::status::Result;
use std::rc::Rc;

/// What the owner of a connection wants to be told: to be filled by lariat_protocol_init, changed, and given to what
/// makes connections, which copies it. Every function may be NULL.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_protocol {
    /// Set by lariat_protocol_init.
    pub struct_size: u32,
    /// 1: what data_received does not consume by lariat_transport_consume comes again, with more behind it; 0: all that
    /// it is given is consumed (default).
    pub pull: i32,
    /// The connection is there; called before everything else.
    pub connection_made: lariat_connection_made_fn,
    /// Bytes, or a frame, have come.
    pub data_received: lariat_data_received_fn,
    /// The connection is over; called once, after everything else, and only after connection_made.
    pub connection_lost: lariat_connection_lost_fn,
    /// The peer sends no more. With this or the next, one direction may end before the other; with neither, the end of
    /// one ends both, once what was written is out.
    pub read_connection_lost: lariat_half_closed_fn,
    /// All is sent that was written before lariat_transport_lose_write_connection.
    pub write_connection_lost: lariat_half_closed_fn,
    /// Frees self; called once, in every outcome.
    pub free_self: lariat_free_fn,
}

// SAFETY: repr(C), begins with struct_size, and holds numbers and optional functions.
unsafe impl Versioned for lariat_protocol {
    const FIELDS: &'static [usize] = fields!(lariat_protocol:
        struct_size pull connection_made data_received connection_lost read_connection_lost write_connection_lost
        free_self);

    fn initial(struct_size: u32) -> Self {
        Self {
            struct_size,
            pull: 0,
            connection_made: None,
            data_received: None,
            connection_lost: None,
            read_connection_lost: None,
            write_connection_lost: None,
            free_self: None,
        }
    }
}

/// Fills a protocol with nothing to be told.
///
/// protocol     written.
/// struct_size  sizeof(lariat_protocol).
/// thread       any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_protocol_init(protocol: *mut lariat_protocol, struct_size: u32) -> lariat_status {
    guard::alone(|| structs::init("protocol", protocol, struct_size))
}

/// The host's protocol as the core has it. What it wants freed is known before it is checked any further.
pub(super) fn read(protocol: *const lariat_protocol) -> Result<Protocol> {
    let read = structs::read("protocol", protocol)?;
    Ok(Protocol {
        connection_made: convert::transport_fn(read.connection_made),
        data_received: convert::data_fn(read.data_received),
        connection_lost: convert::lost_fn(read.connection_lost),
        read_connection_lost: convert::transport_fn(read.read_connection_lost),
        write_connection_lost: convert::transport_fn(read.write_connection_lost),
        free_self: convert::free_fn(read.free_self),
        pull: read.pull != 0,
        events: None,
        shared: Owned::default(),
        whole: None,
    })
}

/// Refuses what this version does not know.
pub(super) fn check(protocol: *const lariat_protocol) -> Result {
    let pull = structs::read("protocol", protocol)?.pull;
    structs::check_tail("protocol", protocol)?;
    if matches!(pull, 0 | 1) {
        Ok(())
    } else {
        Err(convert::invalid(format_args!("protocol.pull is {pull}, not 0 or 1")))
    }
}

/// A protocol whose data and ends are queued as events with this tag.
pub(super) fn events(tag: u64) -> Rc<Protocol> {
    Rc::new(Protocol { events: Some(tag), ..Protocol::default() })
}
