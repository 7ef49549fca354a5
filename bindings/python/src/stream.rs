//! Connections, and the ends of pipes and terminals.

use crate::errors::{self, check};
use crate::link::{self, Hold};
use crate::reactor::{LogContext, Reactor};
use lariat::ffi::chain::*;
use lariat::ffi::connect::*;
use lariat::ffi::descriptor::*;
use lariat::ffi::failure::*;
use lariat::ffi::flow::*;
use lariat::ffi::protocol::*;
use lariat::ffi::status::*;
use lariat::ffi::transport::*;
use lariat::ffi::types::*;
use pyo3::exceptions::{PyNotImplementedError, PyTypeError};
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView, PyString};
use pyo3::{PyTraverseError, intern};
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString, c_char, c_void};
use std::mem::size_of;
use std::ptr;

/// A connection of the library. The classes made from it say who is told: `_made`, `_lost`, `_connect_failed`,
/// `_read_ended`, `_write_ended`, `_raised`.
#[pyclass(subclass, dict, weakref, frozen, module = "lariat._lariat")]
pub struct Stream {
    hold: Hold,
    handle: Cell<*mut lariat_transport>,
    /// What waits for it to be connected.
    connecting: Cell<*mut lariat_deferred>,
    protocol: RefCell<Option<Py<PyAny>>>,
    producer: RefCell<Option<Py<PyAny>>>,
    streaming: Cell<bool>,
    paused: Cell<bool>,
    /// The producer writes on, though the connection is to be lost.
    loses_later: Cell<bool>,
    connected: Cell<bool>,
    disconnected: Cell<bool>,
    disconnecting: Cell<bool>,
    reading: Cell<bool>,
    write_ended: Cell<bool>,
    secure: Cell<bool>,
    aborting: Cell<bool>,
    /// What log messages from its callbacks say of it.
    context: RefCell<Option<Py<PyAny>>>,
}

// SAFETY: the interpreter's lock is held wherever it is touched, and no borrow is held while Python code runs.
unsafe impl Send for Stream {}
// SAFETY: the same.
unsafe impl Sync for Stream {}

/// What a failure of the library says: its code, the system's error number, and its words.
pub fn why(failure: *const lariat_failure) -> (i32, i32, String) {
    // SAFETY: the library's text is NUL-ended, and lives as long as the failure.
    let text = unsafe { CStr::from_ptr(lariat_failure_message(failure)) };
    (lariat_failure_code(failure), lariat_failure_os_error(failure), text.to_string_lossy().into_owned())
}

/// Text that the library writes into what it is given.
pub fn text_of(write: impl Fn(*mut c_char, usize, *mut usize) -> lariat_status) -> PyResult<String> {
    let mut room = [0_u8; 256];
    let mut length = 0_usize;
    check(write(room.as_mut_ptr().cast(), room.len(), &mut length))?;
    Ok(String::from_utf8_lossy(&room[..length.min(room.len())]).into_owned())
}

/// The bytes of what Python has as such.
pub fn with_bytes<R>(data: &Bound<'_, PyAny>, call: impl FnOnce(&[u8]) -> R) -> PyResult<R> {
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return Ok(call(bytes.as_bytes()));
    }
    if data.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("Data must be bytes"));
    }
    let bytes = PyMemoryView::from(data)?.call_method0(intern!(data.py(), "tobytes"))?;
    Ok(call(bytes.cast::<PyBytes>()?.as_bytes()))
}

pub fn c_text(text: &str) -> PyResult<CString> {
    Ok(CString::new(text)?)
}

extern "C" fn made(transport: *mut lariat_transport, word: *mut c_void) {
    let Some(stream) = link::object::<Stream>(word) else { return };
    let this = stream.get();
    this.handle.set(transport);
    if !this.connected.get() && !this.disconnected.get() {
        this.connected.set(true);
        Stream::tell(&stream, "_made");
    }
}

extern "C" fn received(_transport: *mut lariat_transport, data: *const u8, len: usize, word: *mut c_void) {
    let Some(stream) = link::object::<Stream>(word) else { return };
    let py = stream.py();
    let this = stream.get();
    if this.aborting.get() {
        return;
    }
    let protocol = this.protocol.borrow().as_ref().map(|protocol| protocol.clone_ref(py));
    let Some(protocol) = protocol else { return };
    // SAFETY: the library's data is len bytes until this returns.
    let bytes = PyBytes::new(py, unsafe { std::slice::from_raw_parts(data, len) });
    let _context = this.log_context(py);
    let result = protocol.bind(py).call_method1(intern!(py, "dataReceived"), (bytes,));
    if let Err(error) = result {
        Stream::raised(&stream, error, "dataReceived");
    }
}

extern "C" fn received_with_descriptors(
    transport: *mut lariat_transport,
    data: *const u8,
    len: usize,
    word: *mut c_void,
) {
    let Some(stream) = link::object::<Stream>(word) else { return };
    let mut descriptor = -1;
    while lariat_transport_take_descriptor(transport, &mut descriptor) == LARIAT_OK {
        if let Err(error) = stream.call_method1(intern!(stream.py(), "_descriptor_received"), (descriptor,)) {
            Stream::raised(&stream, error, "fileDescriptorReceived");
        }
    }
    received(transport, data, len, word);
}

extern "C" fn lost(_transport: *mut lariat_transport, reason: *const lariat_failure, word: *mut c_void) {
    let Some(stream) = link::object::<Stream>(word) else { return };
    let this = stream.get();
    this.handle.set(ptr::null_mut());
    this.hold.let_go();
    let _context = this.log_context(stream.py());
    if let Err(error) = stream.call_method1(intern!(stream.py(), "_lost"), why(reason)) {
        Stream::raised(&stream, error, "connectionLost");
    }
}

extern "C" fn read_ended(_transport: *mut lariat_transport, word: *mut c_void) {
    if let Some(stream) = link::object::<Stream>(word) {
        Stream::tell(&stream, "_read_ended");
    }
}

extern "C" fn write_ended(_transport: *mut lariat_transport, word: *mut c_void) {
    if let Some(stream) = link::object::<Stream>(word) {
        stream.get().write_ended.set(true);
        Stream::tell(&stream, "_write_ended");
    }
}

extern "C" fn connected(_deferred: *mut lariat_deferred, _value: *mut c_void, word: *mut c_void) -> *mut c_void {
    if let Some(stream) = link::object::<Stream>(word) {
        stream.get().connecting.set(ptr::null_mut());
    }
    ptr::null_mut()
}

extern "C" fn not_connected(
    _deferred: *mut lariat_deferred,
    failure: *const lariat_failure,
    word: *mut c_void,
) -> *mut c_void {
    if let Some(stream) = link::object::<Stream>(word) {
        let this = stream.get();
        this.connecting.set(ptr::null_mut());
        this.hold.let_go();
        let _context = this.log_context(stream.py());
        if let Err(error) = stream.call_method1(intern!(stream.py(), "_connect_failed"), why(failure)) {
            Stream::raised(&stream, error, "clientConnectionFailed");
        }
    }
    ptr::null_mut()
}

extern "C" fn pause_producing(_transport: *mut lariat_transport, word: *mut c_void) {
    let Some(stream) = link::object::<Stream>(word) else { return };
    stream.get().paused.set(true);
    Stream::tell_producer(&stream, "pauseProducing");
}

extern "C" fn resume_producing(_transport: *mut lariat_transport, word: *mut c_void) {
    let Some(stream) = link::object::<Stream>(word) else { return };
    let this = stream.get();
    this.paused.set(false);
    Stream::tell_producer(&stream, "resumeProducing");
    if this.loses_later.get() && !this.paused.get() {
        this.loses_later.set(false);
        lariat_transport_lose_connection(this.handle.get());
    }
}

impl Stream {
    /// The protocol that the library tells; `word` as Hold gives it.
    pub fn told(is_unix: bool) -> lariat_protocol {
        lariat_protocol {
            struct_size: size_of::<lariat_protocol>() as u32,
            pull: 0,
            connection_made: Some(made),
            data_received: Some(if is_unix { received_with_descriptors } else { received }),
            connection_lost: Some(lost),
            read_connection_lost: Some(read_ended),
            write_connection_lost: Some(write_ended),
            free_self: Some(link::free),
        }
    }

    fn silence() -> lariat_protocol {
        lariat_protocol {
            struct_size: size_of::<lariat_protocol>() as u32,
            pull: 0,
            connection_made: None,
            data_received: None,
            connection_lost: None,
            read_connection_lost: None,
            write_connection_lost: None,
            free_self: None,
        }
    }

    /// It is this connection from here on, and is told of it.
    pub fn attach(slf: &Bound<'_, Self>, handle: *mut lariat_transport) -> *mut c_void {
        slf.get().handle.set(handle);
        slf.get().hold.word(slf)
    }

    /// What belongs to somebody else, such as a pipe of a process.
    pub fn lend(slf: &Bound<'_, Self>, handle: *mut lariat_transport) {
        slf.get().handle.set(handle);
        slf.get().connected.set(true);
    }

    fn log_context<'py>(&self, py: Python<'py>) -> Option<LogContext<'py>> {
        let context = self.context.borrow().as_ref().map(|context| context.clone_ref(py))?;
        LogContext::enter(self.hold.core.get().log_contexts(py)?, context.bind(py))
    }

    fn tell(slf: &Bound<'_, Self>, what: &str) {
        let _context = slf.get().log_context(slf.py());
        if let Err(error) = slf.call_method0(what) {
            Self::raised(slf, error, what);
        }
    }

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

    fn tell_producer(slf: &Bound<'_, Self>, what: &str) {
        let producer = slf.get().producer.borrow().as_ref().map(|producer| producer.clone_ref(slf.py()));
        let Some(producer) = producer else { return };
        let _context = slf.get().log_context(slf.py());
        if let Err(error) = producer.bind(slf.py()).call_method0(what) {
            Self::raised(slf, error, what);
        }
    }

    fn write_bytes(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let handle = self.handle.get();
        let is_open = self.connected.get() && !self.write_ended.get() && !self.aborting.get();
        let status = with_bytes(data, |bytes| {
            if is_open { lariat_transport_write(handle, bytes.as_ptr(), bytes.len()) } else { LARIAT_OK }
        })?;
        self.accepted(status)
    }

    /// A write to what is over is dropped, as in Twisted.
    #[inline]
    fn accepted(&self, status: lariat_status) -> PyResult<()> {
        match status {
            LARIAT_OK | LARIAT_ERR_CLOSED | LARIAT_ERR_STALE_HANDLE => Ok(()),
            LARIAT_ERR_INVALID_ARGUMENT if self.handle.get().is_null() => Ok(()),
            status => Err(errors::exception(status)),
        }
    }

    /// Of a call that is nothing once the connection is over.
    fn quietly(&self, status: lariat_status) -> PyResult<()> {
        self.accepted(status)
    }
}

#[pymethods]
impl Stream {
    #[new]
    #[pyo3(signature = (_core, *_args, **_kwargs))]
    fn new(
        _core: Bound<'_, Reactor>,
        _args: &Bound<'_, pyo3::types::PyTuple>,
        _kwargs: Option<&Bound<'_, pyo3::types::PyDict>>,
    ) -> Self {
        Self {
            hold: Hold::new(_core),
            handle: Cell::new(ptr::null_mut()),
            connecting: Cell::new(ptr::null_mut()),
            protocol: RefCell::new(None),
            producer: RefCell::new(None),
            streaming: Cell::new(false),
            paused: Cell::new(false),
            loses_later: Cell::new(false),
            connected: Cell::new(false),
            disconnected: Cell::new(false),
            disconnecting: Cell::new(false),
            reading: Cell::new(false),
            write_ended: Cell::new(false),
            secure: Cell::new(false),
            aborting: Cell::new(false),
            context: RefCell::new(None),
        }
    }

    /// Writes: sent at once, or kept until there is room. Dropped when the connection is over.
    fn write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        if !self.secure.get() {
            return self.write_bytes(data);
        }
        let protocol = self.protocol.borrow().as_ref().map(|protocol| protocol.clone_ref(py));
        if let (Some(protocol), true) = (protocol, self.connected.get()) {
            protocol.bind(py).call_method1(intern!(py, "write"), (data,))?;
        }
        Ok(())
    }

    /// Writes past what TLS has put in front of it.
    fn _write_plain(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        self.write_bytes(data)
    }

    /// Writes several pieces as if they were one.
    #[pyo3(name = "writeSequence")]
    fn write_sequence(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.secure.get() {
            let protocol = self.protocol.borrow().as_ref().map(|protocol| protocol.clone_ref(py));
            if let (Some(protocol), true) = (protocol, self.connected.get()) {
                protocol.bind(py).call_method1(intern!(py, "writeSequence"), (data,))?;
            }
            return Ok(());
        }
        self._write_sequence_plain(data)
    }

    fn _write_sequence_plain(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let pieces = data.try_iter()?.collect::<PyResult<Vec<_>>>()?;
        let mut whole = Vec::new();
        for piece in &pieces {
            with_bytes(piece, |bytes| whole.extend_from_slice(bytes))?;
        }
        if !self.connected.get() || self.write_ended.get() {
            return Ok(());
        }
        self.accepted(lariat_transport_write(self.handle.get(), whole.as_ptr(), whole.len()))
    }

    // What the classes made from it are made of.

    fn _adopt(slf: &Bound<'_, Self>, descriptor: i32, is_unix: bool) -> PyResult<()> {
        let this = slf.get();
        let word = this.hold.word(slf);
        let core = this.hold.core.get();
        core.here();
        let handle = lariat_reactor_adopt_stream(core.handle(), descriptor, &Self::told(is_unix), word);
        Self::adopted(slf, handle)
    }

    fn _adopt_descriptor(slf: &Bound<'_, Self>, descriptor: i32, ways: i32) -> PyResult<()> {
        let this = slf.get();
        let word = this.hold.word(slf);
        let core = this.hold.core.get();
        core.here();
        let handle = lariat_reactor_adopt_descriptor(core.handle(), descriptor, ways, &Self::told(false), word);
        Self::adopted(slf, handle)
    }

    fn _connect(slf: &Bound<'_, Self>, endpoint: &[u8], is_unix: bool) -> PyResult<()> {
        let this = slf.get();
        let core = this.hold.core.get();
        core.here();
        let endpoint = CString::new(endpoint)?;
        let word = this.hold.word(slf);
        let deferred = lariat_reactor_connect(core.handle(), endpoint.as_ptr(), &Self::told(is_unix), word);
        Self::connects(slf, deferred)
    }

    fn _connect_socket(slf: &Bound<'_, Self>, descriptor: i32, endpoint: &[u8], is_unix: bool) -> PyResult<()> {
        let core = slf.get().hold.core.get();
        core.here();
        let endpoint = CString::new(endpoint)?;
        let word = slf.get().hold.word(slf);
        let told = Self::told(is_unix);
        let deferred = lariat_reactor_connect_socket(core.handle(), descriptor, endpoint.as_ptr(), &told, word);
        Self::connects(slf, deferred)
    }

    /// Reads and writes no more: it is about to be aborted.
    fn _freeze(&self) -> PyResult<()> {
        self.aborting.set(true);
        self.stop_reading()
    }

    #[getter]
    fn _is_frozen(&self) -> bool {
        self.aborting.get()
    }

    /// What log messages from its callbacks have as their context.
    fn _set_log_context(&self, context: Bound<'_, PyAny>) {
        drop(self.context.replace(Some(context.unbind())));
    }

    /// Gives up connecting, and is told no more.
    fn _give_up(&self) {
        self.hold.let_go();
        let deferred = self.connecting.replace(ptr::null_mut());
        if !deferred.is_null() {
            lariat_deferred_cancel(deferred);
        }
    }

    fn _lose(&self) -> PyResult<()> {
        self.disconnecting.set(true);
        if self.producer.borrow().is_some() && self.streaming.get() && self.paused.get() {
            // It is resumed when all is out, and may have more.
            self.loses_later.set(true);
            return self.quietly(lariat_transport_pause_reading(self.handle.get()));
        }
        self.quietly(lariat_transport_lose_connection(self.handle.get()))
    }

    fn _abort(&self) -> PyResult<()> {
        self.quietly(lariat_transport_abort_connection(self.handle.get()))
    }

    fn _lose_write(&self) -> PyResult<()> {
        self.quietly(lariat_transport_lose_write_connection(self.handle.get()))
    }

    /// Is told no more; the connection is closed, with what waits to be written, or reset.
    fn _leave(&self, orderly: bool) {
        let handle = self.handle.replace(ptr::null_mut());
        self.connected.set(false);
        self.disconnected.set(true);
        drop(self.producer.take());
        if handle.is_null() {
            return self._give_up();
        }
        lariat_transport_set_protocol(handle, &Self::silence(), ptr::null_mut());
        lariat_transport_unregister_producer(handle);
        if orderly {
            lariat_transport_lose_connection(handle);
        } else {
            lariat_transport_abort_connection(handle);
        }
        self.hold.let_go();
    }

    #[pyo3(name = "startReading")]
    fn start_reading(&self) -> PyResult<()> {
        if self.disconnected.get() || self.aborting.get() {
            return Ok(());
        }
        self.reading.set(true);
        self.quietly(lariat_transport_resume_reading(self.handle.get()))
    }

    #[pyo3(name = "stopReading")]
    fn stop_reading(&self) -> PyResult<()> {
        self.reading.set(false);
        self.quietly(lariat_transport_pause_reading(self.handle.get()))
    }

    fn _set_reading(&self, on: bool) {
        self.reading.set(on);
    }

    fn _buffered(&self) -> i64 {
        lariat_transport_buffered(self.handle.get()).max(0)
    }

    fn _set_water_marks(&self, high: u64, low: u64) -> PyResult<()> {
        self.quietly(lariat_transport_set_water_marks(self.handle.get(), high, low))
    }

    fn _descriptor(&self) -> PyResult<i32> {
        let mut descriptor = -1;
        match lariat_transport_descriptor(self.handle.get(), &mut descriptor) {
            LARIAT_OK => Ok(descriptor),
            LARIAT_ERR_NOT_SUPPORTED => Err(PyNotImplementedError::new_err(errors::last_message())),
            _ => Ok(-1),
        }
    }

    fn _send_descriptor(&self, descriptor: i32) -> PyResult<()> {
        check(lariat_transport_send_descriptor(self.handle.get(), descriptor)).map(drop)
    }

    /// Where the other end is, as an endpoint.
    fn _peer(&self) -> PyResult<String> {
        text_of(|text, room, length| lariat_transport_peer(self.handle.get(), text, room, length))
    }

    /// Where this end is, as an endpoint.
    fn _host(&self) -> PyResult<String> {
        text_of(|text, room, length| lariat_transport_address(self.handle.get(), text, room, length))
    }

    fn _set_no_delay(&self, on: bool) -> PyResult<()> {
        self.quietly(lariat_transport_set_no_delay(self.handle.get(), i32::from(on)))
    }

    fn _register(slf: &Bound<'_, Self>, producer: Bound<'_, PyAny>, streaming: bool) -> PyResult<()> {
        let this = slf.get();
        drop(this.producer.replace(Some(producer.unbind())));
        this.streaming.set(streaming);
        this.paused.set(false);
        let producer = lariat_producer {
            struct_size: size_of::<lariat_producer>() as u32,
            streaming: i32::from(streaming),
            pause_producing: streaming.then_some(pause_producing as extern "C" fn(_, _)),
            resume_producing: Some(resume_producing),
            stop_producing: None,
        };
        let word = this.hold.word(slf);
        let done = lariat_transport_register_producer_full(this.handle.get(), &producer, word, Some(link::free));
        this.quietly(done)
    }

    fn _unregister(&self) {
        let producer = self.producer.take();
        lariat_transport_unregister_producer(self.handle.get());
        if self.loses_later.replace(false) {
            lariat_transport_lose_connection(self.handle.get());
        }
        drop(producer);
    }

    #[getter]
    fn producer(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.producer.borrow().as_ref().map(|producer| producer.clone_ref(py))
    }

    #[getter(streamingProducer)]
    fn streaming_producer(&self) -> bool {
        self.streaming.get()
    }

    #[getter]
    fn protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.protocol.borrow().as_ref().map(|protocol| protocol.clone_ref(py))
    }

    #[setter]
    fn set_protocol(&self, protocol: Option<Bound<'_, PyAny>>) {
        drop(self.protocol.replace(protocol.map(Bound::unbind)));
    }

    #[getter(TLS)]
    fn secure(&self) -> bool {
        self.secure.get()
    }

    #[setter(TLS)]
    fn set_secure(&self, on: bool) {
        self.secure.set(on);
    }

    #[getter]
    fn connected(&self) -> bool {
        self.connected.get()
    }

    #[setter]
    fn set_connected(&self, on: &Bound<'_, PyAny>) -> PyResult<()> {
        self.connected.set(on.is_truthy()?);
        Ok(())
    }

    #[getter]
    fn disconnected(&self) -> bool {
        self.disconnected.get()
    }

    #[setter]
    fn set_disconnected(&self, on: &Bound<'_, PyAny>) -> PyResult<()> {
        self.disconnected.set(on.is_truthy()?);
        Ok(())
    }

    #[getter]
    fn disconnecting(&self) -> bool {
        self.disconnecting.get()
    }

    #[setter]
    fn set_disconnecting(&self, on: &Bound<'_, PyAny>) -> PyResult<()> {
        self.disconnecting.set(on.is_truthy()?);
        Ok(())
    }

    #[getter]
    fn reading(&self) -> bool {
        self.reading.get()
    }

    #[getter]
    fn _writing_is_over(&self) -> bool {
        self.write_ended.get()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.hold.traverse(&visit)?;
        visit.call(&*self.context.borrow())?;
        visit.call(&*self.protocol.borrow())?;
        visit.call(&*self.producer.borrow())
    }

    fn __clear__(&self) {
        drop(self.protocol.take());
        drop(self.producer.take());
    }
}

impl Stream {
    fn connects(slf: &Bound<'_, Self>, deferred: *mut lariat_deferred) -> PyResult<()> {
        let this = slf.get();
        if deferred.is_null() {
            let error = errors::exception(lariat_last_error());
            this.hold.let_go();
            return Err(error);
        }
        this.connecting.set(deferred);
        let added = lariat_deferred_add_callbacks_full(
            deferred,
            Some(connected),
            Some(not_connected),
            this.hold.word(slf),
            Some(link::free),
        );
        check(added)?;
        check(lariat_deferred_release(deferred)).map(drop)
    }

    fn adopted(slf: &Bound<'_, Self>, handle: *mut lariat_transport) -> PyResult<()> {
        if handle.is_null() {
            let error = errors::exception(lariat_last_error());
            slf.get().hold.let_go();
            return Err(error);
        }
        slf.get().handle.set(handle);
        slf.get().connected.set(true);
        Ok(())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let handle = self.handle.get();
        // What is held by its reactor goes with that; what is not has been told of its end.
        if !handle.is_null() && self.hold.is_held() {
            lariat_transport_set_protocol(handle, &Self::silence(), ptr::null_mut());
            lariat_transport_lose_connection(handle);
        }
    }
}
