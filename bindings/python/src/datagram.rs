//! Sockets of datagrams.

use crate::errors::{self, check};
use crate::link::{self, Hold};
use crate::reactor::{LogContext, Reactor};
use crate::stream::{c_text, why, with_bytes};
use lariat::ffi::address::*;
use lariat::ffi::chain::*;
use lariat::ffi::datagram::*;
use lariat::ffi::datagram_port::*;
use lariat::ffi::multicast::*;
use lariat::ffi::status::*;
use lariat::ffi::types::*;
use pyo3::exceptions::PyValueError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};
use pyo3::{PyTraverseError, intern};
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

/// A datagram port of the library. The classes made from it have `_raised`, `_failed(code, os_error, message)` and
/// `_stopped(code, os_error, message)`; the protocol is told of what comes.
#[pyclass(subclass, dict, weakref, frozen, module = "lariat._lariat")]
pub struct DatagramPort {
    hold: Hold,
    handle: Cell<*mut lariat_datagram_port>,
    protocol: RefCell<Option<Py<PyAny>>>,
    /// Bytes of a datagram that the protocol is given at most.
    most: Cell<usize>,
    /// What log messages from its callbacks say of it.
    context: RefCell<Option<Py<PyAny>>>,
    /// The protocol is not told who has sent what comes.
    is_connected: Cell<bool>,
}

// SAFETY: the interpreter's lock is held wherever it is touched, and no borrow is held while Python code runs.
unsafe impl Send for DatagramPort {}
// SAFETY: the same.
unsafe impl Sync for DatagramPort {}

/// An address as Python's sockets have it, without flow and scope; the path of a Unix socket.
fn address_of<'py>(py: Python<'py>, address: &lariat_address) -> PyResult<Bound<'py, PyAny>> {
    let host = match address.family {
        LARIAT_ADDRESS_IPV4 => {
            let [a, b, c, d, ..] = address.host;
            IpAddr::V4(Ipv4Addr::new(a, b, c, d)).to_string()
        }
        LARIAT_ADDRESS_IPV6 => {
            let host = Ipv6Addr::from(address.host).to_string();
            if address.scope_id == 0 { host } else { format!("{host}%{}", address.scope_id) }
        }
        _ => {
            let path = &address.path[..usize::from(address.path_length)];
            return Ok(match std::str::from_utf8(path) {
                Ok("") => py.None().into_bound(py),
                Ok(path) => PyString::new(py, path).into_any(),
                Err(_) => PyBytes::new(py, path).into_any(),
            });
        }
    };
    Ok((host, address.port).into_pyobject(py)?.into_any())
}

fn parse(host: &str, port: u16) -> PyResult<lariat_address> {
    let (host, scope) = host.split_once('%').map_or((host, 0), |(host, scope)| (host, interface(scope)));
    let ip: IpAddr = host.parse().map_err(|_| PyValueError::new_err(format!("{host:?} is no IP address")))?;
    let mut address = lariat_address {
        struct_size: size_of::<lariat_address>() as u32,
        family: LARIAT_ADDRESS_IPV4,
        scope_id: scope,
        port,
        path_length: 0,
        host: [0; 16],
        path: [0; 108],
    };
    match ip {
        IpAddr::V4(ip) => address.host[..4].copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => {
            address.family = LARIAT_ADDRESS_IPV6;
            address.host = ip.octets();
        }
    }
    Ok(address)
}

fn interface(scope: &str) -> u32 {
    scope.parse().unwrap_or_else(|_| {
        let Ok(name) = c_text(scope) else { return 0 };
        // SAFETY: text ended by NUL.
        unsafe { libc::if_nametoindex(name.as_ptr()) }
    })
}

extern "C" fn received(
    _port: *mut lariat_datagram_port,
    data: *const u8,
    len: usize,
    peer: *const lariat_address,
    word: *mut c_void,
) {
    let Some(port) = link::object::<DatagramPort>(word) else { return };
    let py = port.py();
    let this = port.get();
    let protocol = this.protocol.borrow().as_ref().map(|protocol| protocol.clone_ref(py));
    let Some(protocol) = protocol else { return };
    let len = len.min(this.most.get());
    // SAFETY: the library's data is len bytes until this returns; may be NULL if there are none.
    let bytes = if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data, len) } };
    let context = this.context.borrow().as_ref().map(|context| context.clone_ref(py));
    let contexts = context.as_ref().and_then(|_| this.hold.core.get().log_contexts(py));
    let _context = contexts.zip(context).map(|(contexts, context)| LogContext::enter(contexts, context.bind(py)));
    let (protocol, name, bytes) = (protocol.bind(py), intern!(py, "datagramReceived"), PyBytes::new(py, bytes));
    let told = if this.is_connected.get() {
        protocol.call_method1(name, (bytes,))
    } else {
        // SAFETY: the same of the address.
        address_of(py, unsafe { &*peer }).and_then(|address| protocol.call_method1(name, (bytes, address)))
    };
    if let Err(error) = told {
        DatagramPort::raised(&port, error, "datagramReceived");
    }
}

extern "C" fn failed(
    _port: *mut lariat_datagram_port,
    reason: *const lariat_failure,
    _peer: *const lariat_address,
    word: *mut c_void,
) {
    let Some(port) = link::object::<DatagramPort>(word) else { return };
    if let Err(error) = port.call_method1(intern!(port.py(), "_failed"), why(reason)) {
        DatagramPort::raised(&port, error, "a datagram that failed");
    }
}

extern "C" fn stopped(_port: *mut lariat_datagram_port, reason: *const lariat_failure, word: *mut c_void) {
    let Some(port) = link::object::<DatagramPort>(word) else { return };
    port.get().handle.set(ptr::null_mut());
    port.get().hold.let_go();
    if let Err(error) = port.call_method1(intern!(port.py(), "_stopped"), why(reason)) {
        DatagramPort::raised(&port, error, "stopProtocol");
    }
}

impl DatagramPort {
    #[cold]
    fn raised(slf: &Bound<'_, Self>, error: PyErr, what: &str) {
        let py = slf.py();
        if error.is_instance_of::<pyo3::exceptions::PyKeyboardInterrupt>(py) {
            slf.get().hold.core.get().stop_with(error);
            return;
        }
        if let Err(error) = slf.call_method1(intern!(py, "_raised"), (error.value(py), what)) {
            error.write_unraisable(py, Some(slf.as_any()));
        }
    }
}

#[pymethods]
impl DatagramPort {
    #[new]
    #[pyo3(signature = (_core, *_args, **_kwargs))]
    fn new(_core: Bound<'_, Reactor>, _args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self {
            hold: Hold::new(_core),
            handle: Cell::new(ptr::null_mut()),
            protocol: RefCell::new(None),
            most: Cell::new(usize::MAX),
            context: RefCell::new(None),
            is_connected: Cell::new(false),
        }
    }

    fn _adopt(slf: &Bound<'_, Self>, descriptor: i32, most: usize) -> PyResult<()> {
        let this = slf.get();
        this.most.set(most);
        let core = this.hold.core.get();
        core.here();
        let protocol = lariat_datagram_protocol {
            struct_size: size_of::<lariat_datagram_protocol>() as u32,
            reserved: 0,
            started: None,
            datagram_received: Some(received),
            batch_received: None,
            datagram_failed: Some(failed),
            drained: None,
            stopped: Some(stopped),
            free_self: Some(link::free),
        };
        let handle = lariat_reactor_adopt_datagram(core.handle(), descriptor, &protocol, this.hold.word(slf));
        if handle.is_null() {
            let error = errors::exception(lariat_last_error());
            this.hold.let_go();
            return Err(error);
        }
        this.handle.set(handle);
        Ok(())
    }

    /// The protocol is not told who has sent what comes.
    fn _hide_peers(&self) {
        self.is_connected.set(true);
    }

    /// What log messages from its callbacks have as their context.
    fn _set_log_context(&self, context: Bound<'_, PyAny>) {
        drop(self.context.replace(Some(context.unbind())));
    }

    /// Sends a datagram; gives the library's status.
    fn _send(&self, data: &Bound<'_, PyAny>) -> PyResult<i32> {
        with_bytes(data, |bytes| lariat_datagram_port_send(self.handle.get(), bytes.as_ptr(), bytes.len()))
    }

    /// The same, to an IP address.
    fn _send_to(&self, data: &Bound<'_, PyAny>, host: &str, port: u16) -> PyResult<i32> {
        let peer = parse(host, port)?;
        with_bytes(data, |bytes| lariat_datagram_port_send_to(self.handle.get(), bytes.as_ptr(), bytes.len(), &peer))
    }

    /// The same, to the path of a Unix socket.
    fn _send_to_path(&self, data: &Bound<'_, PyAny>, path: &[u8]) -> PyResult<i32> {
        let mut peer = parse("0.0.0.0", 0)?;
        if path.len() >= peer.path.len() {
            return Err(PyValueError::new_err("AF_UNIX path too long"));
        }
        peer.family = LARIAT_ADDRESS_UNIX;
        peer.path_length = path.len() as u16;
        peer.path[..path.len()].copy_from_slice(path);
        with_bytes(data, |bytes| lariat_datagram_port_send_to(self.handle.get(), bytes.as_ptr(), bytes.len(), &peer))
    }

    fn _connect(&self, endpoint: &str) -> PyResult<()> {
        let endpoint = c_text(endpoint)?;
        check(lariat_datagram_port_connect(self.handle.get(), endpoint.as_ptr())).map(drop)
    }

    /// Closes it; `_stopped` is called later.
    fn _stop(&self) -> PyResult<()> {
        let deferred = lariat_datagram_port_stop(self.handle.get());
        if deferred.is_null() {
            return Err(errors::exception(lariat_last_error()));
        }
        check(lariat_deferred_release(deferred)).map(drop)
    }

    /// Closes it, and is told nothing more.
    #[pyo3(signature = (_orderly = true))]
    fn _leave(&self, _orderly: bool) {
        let handle = self.handle.replace(ptr::null_mut());
        self.hold.let_go();
        if !handle.is_null() {
            lariat_deferred_release(lariat_datagram_port_stop(handle));
        }
    }

    fn _pause(&self) {
        lariat_datagram_port_pause_reading(self.handle.get());
    }

    fn _resume(&self) {
        lariat_datagram_port_resume_reading(self.handle.get());
    }

    fn _set_broadcast(&self, on: bool) -> PyResult<()> {
        check(lariat_datagram_port_set_broadcast(self.handle.get(), i32::from(on))).map(drop)
    }

    /// Joins a multicast group, or leaves it.
    fn _group(&self, group: &str, interface: Option<&str>, joins: bool) -> PyResult<()> {
        let group = c_text(group)?;
        let interface = interface.map(c_text).transpose()?;
        let interface = interface.as_ref().map_or(ptr::null(), |interface| interface.as_ptr());
        let call = if joins { lariat_datagram_port_join_group } else { lariat_datagram_port_leave_group };
        check(call(self.handle.get(), group.as_ptr(), interface)).map(drop)
    }

    #[getter]
    fn protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.protocol.borrow().as_ref().map(|protocol| protocol.clone_ref(py))
    }

    #[setter]
    fn set_protocol(&self, protocol: Option<Bound<'_, PyAny>>) {
        drop(self.protocol.replace(protocol.map(Bound::unbind)));
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.hold.traverse(&visit)?;
        visit.call(&*self.context.borrow())?;
        visit.call(&*self.protocol.borrow())
    }

    fn __clear__(&self) {
        drop(self.protocol.take());
    }
}

impl Drop for DatagramPort {
    fn drop(&mut self) {
        if !self.handle.get().is_null() && self.hold.is_held() {
            lariat_deferred_release(lariat_datagram_port_stop(self.handle.get()));
        }
    }
}
