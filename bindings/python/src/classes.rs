//! Python classes and functions that the Deferred needs: lariat.defer brings them.

use crate::locked::Locked;
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// See the module.
pub struct Classes {
    pub failure: Py<PyType>,
    pub cancelled: Py<PyAny>,
    pub timed_out: Py<PyAny>,
    pub already_called: Py<PyAny>,
    /// An object that logs the failure it was given, unless that is taken from it, when it is collected.
    pub debug_info: Py<PyAny>,
    /// Warns of a callback that returned its own Deferred.
    pub warn_of_itself: Py<PyAny>,
}

static CLASSES: Locked<Option<Classes>> = Locked::new(None);
static DEBUG: Locked<bool> = Locked::new(false);

/// The classes; an error before lariat.defer is imported.
pub fn classes() -> PyResult<&'static Classes> {
    // Set again by tests alone: what was borrowed before stays alive, as the old ones are kept.
    CLASSES.get().as_ref().ok_or_else(|| PyRuntimeError::new_err("lariat.defer is not imported"))
}

/// Whether it is a Failure.
#[inline]
pub fn is_failure(object: &Bound<'_, PyAny>) -> bool {
    match CLASSES.get() {
        // SAFETY: both are types, and alive.
        Some(classes) => unsafe {
            let (class, failure) = (ffi::Py_TYPE(object.as_ptr()), classes.failure.as_ptr().cast());
            class == failure || ffi::PyType_IsSubtype(class, failure) != 0
        },
        None => false,
    }
}

/// A Failure with this exception.
#[cold]
pub fn failure_of<'py>(py: Python<'py>, error: &PyErr) -> PyResult<Bound<'py, PyAny>> {
    classes()?.failure.bind(py).call1((error.value(py), error.get_type(py), error.traceback(py)))
}

/// Whether stacks are kept for who debugs.
#[inline]
pub fn is_debugging() -> bool {
    *DEBUG.get()
}

/// Gives the Deferred its classes.
#[pyfunction]
pub fn _set_classes(
    failure: Py<PyType>,
    cancelled: Py<PyAny>,
    timed_out: Py<PyAny>,
    already_called: Py<PyAny>,
    debug_info: Py<PyAny>,
    warn_of_itself: Py<PyAny>,
) {
    let classes = Classes { failure, cancelled, timed_out, already_called, debug_info, warn_of_itself };
    std::mem::forget(CLASSES.get().replace(classes));
}

/// Has stacks kept, or not.
#[pyfunction]
pub fn _set_debugging(on: bool) {
    *DEBUG.get() = on;
}
