//! What the library answers, as Python's exceptions. Their classes are the reactor's: lariat.error's or Twisted's.

use crate::call::attached;
use lariat::ffi::status::*;
use pyo3::call::PyCallArgs;
use pyo3::exceptions::{PyMemoryError, PyOSError, PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use std::ffi::CStr;

/// The thread's last error, in words.
pub fn last_message() -> String {
    // SAFETY: the library's text is NUL-ended and stays until the thread's next failure.
    let text = unsafe { CStr::from_ptr(lariat_last_error_message()) };
    text.to_string_lossy().into_owned()
}

/// The exception for a status that no method has a better one for; `status` tells which it is.
#[cold]
pub fn exception(status: lariat_status) -> PyErr {
    let message = last_message();
    let error = match status {
        LARIAT_ERR_INVALID_ARGUMENT | LARIAT_ERR_BAD_ENDPOINT => PyValueError::new_err(message),
        LARIAT_ERR_NO_MEMORY => PyMemoryError::new_err(message),
        LARIAT_ERR_OS => PyOSError::new_err(message),
        _ => PyRuntimeError::new_err(message),
    };
    let _ = error.value(attached()).setattr("status", status);
    error
}

/// An exception unless the call worked; what is positive is information.
#[inline]
pub fn check(status: lariat_status) -> PyResult<lariat_status> {
    if status < 0 { Err(exception(status)) } else { Ok(status) }
}

/// An exception of a class that the reactor names in its `_errors`.
#[cold]
pub fn of_reactor<'py>(reactor: &Bound<'py, PyAny>, class: &str, args: impl PyCallArgs<'py>) -> PyErr {
    let errors = reactor.getattr(intern!(reactor.py(), "_errors"));
    let made = errors.and_then(|errors| errors.getattr(class)).and_then(|class| class.call1(args));
    made.map_or_else(|error| error, PyErr::from_value)
}
