//! Sockets that take connections.

use crate::errors::{self, check};
use crate::link::{self, Hold};
use crate::reactor::Reactor;
use crate::stream::{Stream, text_of};
use lariat::ffi::chain::*;
use lariat::ffi::listener::*;
use lariat::ffi::status::*;
use lariat::ffi::transport::*;
use lariat::ffi::types::*;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::cell::Cell;
use std::ffi::{CString, c_void};
use std::ptr;

/// A listener of the library. The classes made from it have `_accepted(peer)`, which gives the Stream of a connection
/// or None, `_raised(exception, what)` and `_stopped()`.
#[pyclass(subclass, dict, weakref, frozen, module = "lariat._lariat")]
pub struct Listener {
    hold: Hold,
    handle: Cell<*mut lariat_listener>,
}

// SAFETY: the interpreter's lock is held wherever it is touched.
unsafe impl Send for Listener {}
// SAFETY: the same.
unsafe impl Sync for Listener {}

extern "C" fn build(
    _listener: *mut lariat_listener,
    transport: *mut lariat_transport,
    self_: *mut *mut c_void,
    word: *mut c_void,
) -> lariat_status {
    let Some(listener) = link::object::<Listener>(word) else { return LARIAT_ERR_CLOSED };
    let peer = text_of(|text, room, length| lariat_transport_peer(transport, text, room, length));
    let made = peer.and_then(|peer| listener.call_method1(intern!(listener.py(), "_accepted"), (peer,)));
    match made.and_then(|made| if made.is_none() { Ok(None) } else { Ok(Some(made.cast_into::<Stream>()?)) }) {
        Ok(Some(stream)) => {
            // SAFETY: the library's place for it.
            unsafe { *self_ = Stream::attach(&stream, transport) };
            LARIAT_OK
        }
        Ok(None) => LARIAT_ERR_CLOSED,
        Err(error) => {
            Listener::raised(&listener, error, "buildProtocol");
            LARIAT_ERR_CLOSED
        }
    }
}

extern "C" fn stopped(_deferred: *mut lariat_deferred, _value: *mut c_void, word: *mut c_void) -> *mut c_void {
    if let Some(listener) = link::object::<Listener>(word) {
        listener.get().hold.let_go();
        if let Err(error) = listener.call_method0(intern!(listener.py(), "_stopped")) {
            Listener::raised(&listener, error, "stopListening");
        }
    }
    ptr::null_mut()
}

impl Listener {
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

    fn opened(&self, handle: *mut lariat_listener) -> PyResult<()> {
        if handle.is_null() {
            let error = errors::exception(lariat_last_error());
            self.hold.let_go();
            return Err(error);
        }
        self.handle.set(handle);
        Ok(())
    }
}

#[pymethods]
impl Listener {
    #[new]
    #[pyo3(signature = (_core, *_args, **_kwargs))]
    fn new(_core: Bound<'_, Reactor>, _args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { hold: Hold::new(_core), handle: Cell::new(ptr::null_mut()) }
    }

    fn _adopt(slf: &Bound<'_, Self>, descriptor: i32, is_unix: bool) -> PyResult<()> {
        let this = slf.get();
        let core = this.hold.core.get();
        core.here();
        let word = this.hold.word(slf);
        this.opened(lariat_reactor_adopt_listener_full(
            core.handle(),
            descriptor,
            &Stream::told(is_unix),
            Some(build),
            word,
            Some(link::free),
        ))
    }

    fn _listen(slf: &Bound<'_, Self>, endpoint: &[u8], is_unix: bool) -> PyResult<()> {
        let this = slf.get();
        let core = this.hold.core.get();
        core.here();
        let endpoint = CString::new(endpoint)?;
        let word = this.hold.word(slf);
        this.opened(lariat_reactor_listen_full(
            core.handle(),
            endpoint.as_ptr(),
            &Stream::told(is_unix),
            Some(build),
            word,
            Some(link::free),
        ))
    }

    /// Takes no more; `_stopped` is called once the socket is closed.
    fn _stop(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        let deferred = lariat_listener_stop(this.handle.replace(ptr::null_mut()));
        if deferred.is_null() {
            return Err(errors::exception(lariat_last_error()));
        }
        let word = this.hold.word(slf);
        check(lariat_deferred_add_callback_full(deferred, Some(stopped), word, Some(link::free)))?;
        check(lariat_deferred_release(deferred)).map(drop)
    }

    /// Takes no more, and is told nothing more.
    #[pyo3(signature = (_orderly = true))]
    fn _leave(&self, _orderly: bool) {
        let handle = self.handle.replace(ptr::null_mut());
        if !handle.is_null() {
            lariat_deferred_release(lariat_listener_stop(handle));
        }
        self.hold.let_go();
    }

    /// Who comes when no descriptors are left is turned away, instead of waiting.
    fn _turn_away(&self) {
        lariat_listener_set_turns_away(self.handle.get(), 1);
    }

    fn _pause(&self) -> PyResult<()> {
        check(lariat_listener_pause(self.handle.get())).map(drop)
    }

    fn _resume(&self) -> PyResult<()> {
        check(lariat_listener_resume(self.handle.get())).map(drop)
    }

    fn _descriptor(&self) -> i32 {
        let mut descriptor = -1;
        lariat_listener_descriptor(self.handle.get(), &mut descriptor);
        descriptor
    }

    /// Where it listens, as an endpoint.
    fn _host(&self) -> PyResult<String> {
        text_of(|text, room, length| lariat_listener_address(self.handle.get(), text, room, length))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.hold.traverse(&visit)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if !self.handle.get().is_null() && self.hold.is_held() {
            lariat_deferred_release(lariat_listener_stop(self.handle.get()));
        }
    }
}
