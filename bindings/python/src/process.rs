//! Child processes.

use crate::errors::{self, check};
use crate::link::{self, Hold};
use crate::reactor::Reactor;
use crate::stream::{Stream, why};
use lariat::ffi::failure::*;
use lariat::ffi::process::*;
use lariat::ffi::process_options::*;
use lariat::ffi::process_protocol::*;
use lariat::ffi::status::*;
use lariat::ffi::types::*;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use std::cell::Cell;
use std::ffi::{CString, c_char, c_void};
use std::mem::size_of;
use std::ptr;

/// A child process of the library. The classes made from it have `_started()`, `_data(child_fd, data)`,
/// `_closed(child_fd, code)`, `_exited(code, exit_code, signal)`, `_ended(code, exit_code, signal)` and `_raised`.
#[pyclass(subclass, dict, weakref, frozen, module = "lariat._lariat")]
pub struct Process {
    hold: Hold,
    handle: Cell<*mut lariat_process>,
}

// SAFETY: the interpreter's lock is held wherever it is touched.
unsafe impl Send for Process {}
// SAFETY: the same.
unsafe impl Sync for Process {}

extern "C" fn started(_process: *mut lariat_process, word: *mut c_void) {
    if let Some(process) = link::object::<Process>(word) {
        Process::tell(&process, "_started", ());
    }
}

extern "C" fn data(_process: *mut lariat_process, child_fd: i32, data: *const u8, len: usize, word: *mut c_void) {
    if let Some(process) = link::object::<Process>(word) {
        // SAFETY: the library's data is len bytes until this returns.
        let bytes = PyBytes::new(process.py(), unsafe { std::slice::from_raw_parts(data, len) });
        Process::tell(&process, "_data", (child_fd, bytes));
    }
}

extern "C" fn closed(_process: *mut lariat_process, child_fd: i32, reason: *const lariat_failure, word: *mut c_void) {
    if let Some(process) = link::object::<Process>(word) {
        Process::tell(&process, "_closed", (child_fd, why(reason).0));
    }
}

fn how(reason: *const lariat_failure) -> (i32, i32, i32) {
    (lariat_failure_code(reason), lariat_failure_exit_code(reason), lariat_failure_exit_signal(reason))
}

extern "C" fn exited(_process: *mut lariat_process, reason: *const lariat_failure, word: *mut c_void) {
    if let Some(process) = link::object::<Process>(word) {
        Process::tell(&process, "_exited", how(reason));
    }
}

extern "C" fn ended(_process: *mut lariat_process, reason: *const lariat_failure, word: *mut c_void) {
    if let Some(process) = link::object::<Process>(word) {
        process.get().handle.set(ptr::null_mut());
        process.get().hold.let_go();
        Process::tell(&process, "_ended", how(reason));
    }
}

impl Process {
    fn tell<'py>(slf: &Bound<'py, Self>, what: &str, args: impl pyo3::call::PyCallArgs<'py>) {
        let py = slf.py();
        let Err(error) = slf.call_method1(what, args) else { return };
        if error.is_instance_of::<pyo3::exceptions::PyKeyboardInterrupt>(py) {
            slf.get().hold.core.get().stop_with(error);
            return;
        }
        if let Err(error) = slf.call_method1(intern!(py, "_raised"), (error.value(py), what)) {
            error.write_unraisable(py, Some(slf.as_any()));
        }
    }
}

fn texts(list: Vec<Vec<u8>>) -> PyResult<Vec<CString>> {
    Ok(list.into_iter().map(CString::new).collect::<Result<_, _>>()?)
}

fn pointers(list: &[CString]) -> Vec<*const c_char> {
    list.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
}

#[pymethods]
impl Process {
    #[new]
    #[pyo3(signature = (_core, *_args, **_kwargs))]
    fn new(_core: Bound<'_, Reactor>, _args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { hold: Hold::new(_core), handle: Cell::new(ptr::null_mut()) }
    }

    /// Starts it. Descriptors are (number in the child, kind, descriptor here). Gives its number; of a failure
    /// (status, message).
    #[expect(clippy::too_many_arguments, reason = "they are those of the library's options")]
    fn _spawn<'py>(
        slf: &Bound<'py, Self>,
        program: Vec<u8>,
        arguments: Vec<Vec<u8>>,
        environment: Option<Vec<Vec<u8>>>,
        directory: Option<Vec<u8>>,
        uid: i64,
        gid: i64,
        flags: u32,
        descriptors: Vec<(i32, i32, i32)>,
    ) -> PyResult<(i32, String)> {
        let this = slf.get();
        let core = this.hold.core.get();
        core.here();
        let program = CString::new(program)?;
        let arguments = texts(arguments)?;
        let environment = environment.map(texts).transpose()?;
        let directory = directory.map(CString::new).transpose()?;
        let arguments = pointers(&arguments);
        let environment_pointers = environment.as_deref().map(pointers);
        let descriptors: Vec<_> = descriptors
            .into_iter()
            .map(|(child_fd, kind, fd)| lariat_process_descriptor { child_fd, kind, fd, path: ptr::null() })
            .collect();
        // SAFETY: numbers and pointers, of which all are set that are not to be 0.
        let mut options: lariat_process_options = unsafe { std::mem::zeroed() };
        check(lariat_process_options_init(&mut options, size_of::<lariat_process_options>() as u32))?;
        options.flags = flags;
        options.program = program.as_ptr();
        options.arguments = arguments.as_ptr();
        options.environment = environment_pointers.as_ref().map_or(ptr::null(), |list| list.as_ptr());
        options.directory = directory.as_ref().map_or(ptr::null(), |directory| directory.as_ptr());
        options.uid = uid;
        options.gid = gid;
        options.descriptors = if descriptors.is_empty() { ptr::null() } else { descriptors.as_ptr() };
        options.descriptor_count = descriptors.len();
        let protocol = lariat_process_protocol {
            struct_size: size_of::<lariat_process_protocol>() as u32,
            reserved: 0,
            connection_made: Some(started),
            child_data_received: Some(data),
            child_connection_lost: Some(closed),
            process_exited: Some(exited),
            process_ended: Some(ended),
            free_self: Some(link::free),
        };
        let handle = lariat_reactor_spawn(core.handle(), &options, &protocol, this.hold.word(slf));
        if handle.is_null() {
            let status = lariat_last_error();
            let message = errors::last_message();
            this.hold.let_go();
            return Ok((status, message));
        }
        this.handle.set(handle);
        Ok((lariat_process_pid(handle), String::new()))
    }

    /// Has a Stream be this end of a pipe: for its producer, and for pausing. False: it is closed.
    fn _lend(&self, child_fd: i32, stream: &Bound<'_, Stream>) -> bool {
        let handle = lariat_process_transport(self.handle.get(), child_fd);
        if !handle.is_null() {
            Stream::lend(stream, handle);
        }
        !handle.is_null()
    }

    /// Closes a pipe.
    fn _close(&self, child_fd: i32) {
        lariat_process_close(self.handle.get(), child_fd);
    }

    /// Sends it a signal; gives the library's status.
    fn _signal(&self, number: i32) -> i32 {
        lariat_process_signal(self.handle.get(), number)
    }

    /// Is told nothing more.
    fn _leave(&self) {
        lariat_process_lose_connection(self.handle.replace(ptr::null_mut()));
        self.hold.let_go();
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.hold.traverse(&visit)
    }
}
