//! A Python callable with its arguments, and the making of the call.

use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// A function and what it is called with.
pub struct Call {
    pub function: Py<PyAny>,
    pub args: Py<PyTuple>,
    pub kwargs: Option<Py<PyDict>>,
}

impl Call {
    pub fn new(function: Bound<'_, PyAny>, args: Bound<'_, PyTuple>, kwargs: Option<Bound<'_, PyDict>>) -> Self {
        Self { function: function.unbind(), args: args.unbind(), kwargs: kwargs.map(Bound::unbind) }
    }

    /// Calls it.
    #[inline]
    pub fn make<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.function.bind(py).call(self.args.bind(py), self.kwargs.as_ref().map(|kwargs| kwargs.bind(py)))
    }

    /// Shows the collector what it holds.
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.function)?;
        visit.call(&self.args)?;
        visit.call(&self.kwargs)
    }
}

/// The interpreter's lock, in a function that the library calls.
///
/// The library calls back on the thread that called it, from a method of ours or from a wait that has taken the lock
/// again.
#[inline(always)]
pub fn attached<'py>() -> Python<'py> {
    // SAFETY: as said above.
    unsafe { Python::assume_attached() }
}
