//! Simulated networks: the links between the hosts of a simulation, and what goes wrong there.
//!
//! Sockets of simulated reactors reach each other, and nothing else, by the usual endpoints. A host is there once it is
//! named, and has an IPv4 and an IPv6 address by the order in which that happened; its name can be looked up.

use super::convert::{self, invalid};
use super::guard;
use super::status::lariat_status;
use super::structs::{self, Versioned, fields};
use super::types::lariat_simulation;
use crate::driver::Link;
use crate::status::Result;
use std::ffi::c_char;

/// How packets travel from one host to another: to be filled by lariat_link_init, changed, and given to
/// lariat_simulation_set_link, which copies it. Between programs on one host nothing takes time or is lost.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_link {
    /// Set by lariat_link_init.
    pub struct_size: u32,
    /// 1: nothing gets through; 0: it does (default).
    pub partitioned: i32,
    /// The way itself, in seconds; default 0.0005.
    pub latency: f64,
    /// Up to so many seconds more, by chance, for each packet: datagrams may overtake each other; default 0.
    pub jitter: f64,
    /// Bytes a second: what is sent meanwhile waits, however much it is; 0: no limit (default). Up to 1e12.
    pub bandwidth: f64,
    /// How probably a packet is lost, 0 to 1: of a stream it is sent again, which takes time; default 0.
    pub loss: f64,
    /// How probably a datagram comes twice, 0 to 1; default 0.
    pub duplication: f64,
    /// How probably a datagram is held back for a while, so that later ones overtake it, 0 to 1; default 0.
    pub reordering: f64,
}

// SAFETY: repr(C), begins with struct_size, and holds numbers.
unsafe impl Versioned for lariat_link {
    const FIELDS: &'static [usize] = fields!(lariat_link:
        struct_size partitioned latency jitter bandwidth loss duplication reordering);

    fn initial(struct_size: u32) -> Self {
        let link = Link::default();
        Self {
            struct_size,
            partitioned: i32::from(link.partitioned),
            latency: convert::seconds(link.latency),
            jitter: convert::seconds(link.jitter),
            bandwidth: link.bandwidth,
            loss: link.loss,
            duplication: link.duplication,
            reordering: link.reordering,
        }
    }
}

fn flag(name: &str, value: i32) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(invalid(format_args!("{name} is {value}; it must be 0 or 1"))),
    }
}

fn within(name: &str, value: f64, most: f64) -> Result<f64> {
    let is_good = (0.0..=most).contains(&value);
    if is_good { Ok(value) } else { Err(invalid(format_args!("{name} is {value:?}; it must be from 0 to {most:?}"))) }
}

impl lariat_link {
    fn link(&self) -> Result<Link> {
        Ok(Link {
            latency: convert::delay("latency", self.latency)?,
            jitter: convert::delay("jitter", self.jitter)?,
            bandwidth: within("bandwidth", self.bandwidth, 1e12)?,
            loss: within("loss", self.loss, 1.0)?,
            duplication: within("duplication", self.duplication, 1.0)?,
            reordering: within("reordering", self.reordering, 1.0)?,
            partitioned: flag("partitioned", self.partitioned)?,
        })
    }
}

fn host<'call>(name: &str, text: *const c_char) -> Result<&'call str> {
    convert::text(name, text)?.ok_or_else(|| invalid(format_args!("{name} is NULL")))
}

/// Fills a link with the defaults, those of a good local network.
///
/// link         written.
/// struct_size  sizeof(lariat_link).
/// thread       any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_link_init(link: *mut lariat_link, struct_size: u32) -> lariat_status {
    guard::alone(|| structs::init("link", link, struct_size))
}

/// Sets how packets travel from one host to another from now on; what is on its way already arrives as it was sent.
/// One direction: the other is a second call. Where several links fit, the one that names more hosts counts, and of
/// two that name one the one that names the sender.
///
/// from    the name of a host; may be NULL: any.
/// to      the same.
/// link    prepared by lariat_link_init; copied.
/// thread  the simulation's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_simulation_set_link(
    simulation: *mut lariat_simulation,
    from: *const c_char,
    to: *const c_char,
    link: *const lariat_link,
) -> lariat_status {
    guard::on(simulation, |simulation| {
        let (from, to) = (convert::text("from", from)?, convert::text("to", to)?);
        let read = structs::read("link", link)?;
        structs::check_tail("link", link)?;
        simulation.world().set_link(from, to, read.link()?);
        Ok(())
    })
}

/// Lets nothing through between two hosts, in both directions, or again. Streams send what was lost once it is over; one
/// that gets nothing through for 120 seconds ends with LARIAT_ERR_TIMED_OUT, one that connects after 127. Datagrams are
/// lost.
///
/// host_a  the name of a host; may be NULL: any.
/// host_b  the same.
/// on      1: parts them; 0: ends this and all partitions between hosts that this pair covers, NULL and NULL all of them.
///         A link's own partitioned stays as it is.
/// thread  the simulation's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_simulation_partition(
    simulation: *mut lariat_simulation,
    host_a: *const c_char,
    host_b: *const c_char,
    on: i32,
) -> lariat_status {
    guard::on(simulation, |simulation| {
        let (a, b) = (convert::text("host_a", host_a)?, convert::text("host_b", host_b)?);
        simulation.world().partition(a, b, flag("on", on)?);
        Ok(())
    })
}

/// Resets the connections between two hosts, at both ends at once: they are lost with LARIAT_ERR_CONNECTION_LOST.
///
/// host_a  the name of a host; may be NULL: any. The same as host_b: those within the host.
/// host_b  the same.
/// thread  the simulation's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_simulation_reset_connections(
    simulation: *mut lariat_simulation,
    host_a: *const c_char,
    host_b: *const c_char,
) -> lariat_status {
    guard::on(simulation, |simulation| {
        let (a, b) = (convert::text("host_a", host_a)?, convert::text("host_b", host_b)?);
        simulation.world().reset_connections(a, b);
        Ok(())
    })
}

/// Has the next connections to a port refused, as if nobody listened there.
///
/// host      the name of the host that is connected to.
/// port      1 to 65535; 0: any of its ports.
/// attempts  how many are refused; -1: all from now on; 0: no more. Replaces what was set for this port.
/// thread    the simulation's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_simulation_refuse_connections(
    simulation: *mut lariat_simulation,
    host: *const c_char,
    port: i32,
    attempts: i32,
) -> lariat_status {
    guard::on(simulation, |simulation| {
        let host = self::host("host", host)?;
        let number = u16::try_from(port);
        let number = number.map_err(|_| invalid(format_args!("port is {port}; it must be from 0 to 65535")))?;
        if attempts < -1 {
            return Err(invalid(format_args!("attempts is {attempts}; it must be -1 or more")));
        }
        simulation.world().refuse_connections(host, number, attempts);
        Ok(())
    })
}

/// Sets how probably the system does less than it could: reads or writes a part of what it was asked for, or says that
/// there is nothing to do though there is. Programs above cannot tell, but what is wrong in them shows.
///
/// short_io_probability  0 to 1; a new simulation has 0.1.
/// thread                the simulation's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_simulation_set_faults(
    simulation: *mut lariat_simulation,
    short_io_probability: f64,
) -> lariat_status {
    guard::on(simulation, |simulation| {
        simulation.world().set_short_io(within("short_io_probability", short_io_probability, 1.0)?);
        Ok(())
    })
}

/// Tells the address of a host: 10.0.0.1 and fd00::1 for the first that was named, by a reactor or in a call like this.
///
/// host      its name; it is there from now on.
/// family    4 or 6.
/// text      written, with a NUL behind it: as much as there is room for; may be NULL if capacity is 0.
/// capacity  how many bytes there is room for; 46 are enough.
/// length    written: how many bytes the whole address has, without the NUL; may be NULL.
/// errors    LARIAT_ERR_TOO_LONG when there was not enough room.
/// thread    the simulation's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_simulation_host_address(
    simulation: *mut lariat_simulation,
    host: *const c_char,
    family: i32,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> lariat_status {
    guard::on(simulation, |simulation| {
        let host = self::host("host", host)?;
        if !matches!(family, 4 | 6) {
            return Err(invalid(format_args!("family is {family}; it must be 4 or 6")));
        }
        let (v4, v6) = simulation.world().host_addresses(host);
        let address = if family == 4 { v4.to_string() } else { v6.to_string() };
        convert::write_text("text", (text, capacity), length, address.as_bytes())
    })
}
