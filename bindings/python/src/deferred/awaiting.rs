//! Awaiting a Deferred.

use super::Deferred;
use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, intern};

/// What `await` asks: it gives the Deferred while that has no result.
#[pyclass(frozen, module = "lariat._lariat")]
pub struct Awaiting(pub(super) Py<Deferred>);

#[pymethods]
impl Awaiting {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<Deferred>> {
        let this = self.0.get();
        if !this.has_result() {
            return Ok(self.0.clone_ref(py));
        }
        let result = this.present(py);
        if !this.failed.get() {
            return Err(PyStopIteration::new_err((result.unbind(),)));
        }
        this.disarm(py);
        result.call_method0(intern!(py, "raiseException"))?;
        Err(PyRuntimeError::new_err("a failure that raises nothing"))
    }

    /// As `next`: what is sent is ignored.
    fn send(&self, py: Python<'_>, _value: &Bound<'_, PyAny>) -> PyResult<Py<Deferred>> {
        self.__next__(py)
    }

    /// Raises it where the Deferred is awaited.
    #[pyo3(signature = (kind, value = None, traceback = None))]
    fn throw(
        &self,
        kind: Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<Deferred>> {
        let error = PyErr::from_value(value.unwrap_or(kind));
        if let Some(traceback) = traceback {
            error.set_traceback(traceback.py(), traceback.cast_into().ok());
        }
        Err(error)
    }

    fn close(&self) {}

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.0)
    }
}
