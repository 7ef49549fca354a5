//! A level of a Deferred's chain: what Python gave, in the object, where the collector sees it. The library has a level
//! for each, all alike, so that their order is the library's and their contents are these.

use crate::deferred::Deferred;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, ffi};

/// What a function gets beside the result.
#[derive(Default)]
pub struct Args(pub Option<Py<PyTuple>>, pub Option<Py<PyDict>>);

impl Args {
    /// None of both, if they are empty.
    pub fn new(args: Option<Bound<'_, PyTuple>>, kwargs: Option<Bound<'_, PyDict>>) -> Self {
        let args = args.filter(|args| !args.is_empty());
        let kwargs = kwargs.filter(|kwargs| !kwargs.is_empty());
        Self(args.map(Bound::unbind), kwargs.map(Bound::unbind))
    }

    fn is_empty(&self) -> bool {
        self.0.is_none() && self.1.is_none()
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.0)?;
        visit.call(&self.1)
    }
}

/// See the module.
pub enum Level {
    /// A callback and an errback, either of which may be none. The arguments of both, if there are any.
    Pair(Option<Py<PyAny>>, Option<Py<PyAny>>, Option<Box<(Args, Args)>>),
    /// A function for both.
    Both(Py<PyAny>, Option<Box<Args>>),
    /// The result goes to one that waits for it.
    Move(Py<Deferred>),
    /// A time-out of so many seconds ends here.
    Timeout(f64),
}

impl Level {
    pub fn pair(callback: Option<Py<PyAny>>, errback: Option<Py<PyAny>>, args: Args, errback_args: Args) -> Self {
        let none = args.is_empty() && errback_args.is_empty();
        Self::Pair(callback, errback, (!none).then(|| Box::new((args, errback_args))))
    }

    pub fn both(function: Py<PyAny>, args: Args) -> Self {
        Self::Both(function, (!args.is_empty()).then(|| Box::new(args)))
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Pair(callback, errback, args) => {
                visit.call(callback)?;
                visit.call(errback)?;
                args.as_ref().map_or(Ok(()), |args| args.0.traverse(visit).and_then(|()| args.1.traverse(visit)))
            }
            Self::Both(function, args) => {
                visit.call(function)?;
                args.as_ref().map_or(Ok(()), |args| args.traverse(visit))
            }
            Self::Move(waiter) => visit.call(waiter),
            Self::Timeout(_) => Ok(()),
        }
    }
}

/// Calls a function with a result and what else it gets.
#[inline]
pub fn call<'py>(
    py: Python<'py>,
    function: &Py<PyAny>,
    result: &Bound<'py, PyAny>,
    args: Option<&Args>,
) -> PyResult<Bound<'py, PyAny>> {
    let function = function.as_ptr();
    let Some(Args(args, kwargs)) = args.filter(|args| !args.is_empty()) else {
        // SAFETY: both objects are alive, and a null ends the list.
        return unsafe {
            let null = std::ptr::null_mut::<ffi::PyObject>();
            Bound::from_owned_ptr_or_err(py, ffi::PyObject_CallFunctionObjArgs(function, result.as_ptr(), null))
        };
    };
    let first = std::iter::once(result.clone());
    let all = match args {
        Some(args) => PyTuple::new(py, first.chain(args.bind(py).iter()).collect::<Vec<_>>())?,
        None => PyTuple::new(py, first.collect::<Vec<_>>())?,
    };
    let kwargs = kwargs.as_ref().map_or(std::ptr::null_mut(), Py::as_ptr);
    // SAFETY: all objects are alive; no keywords are a null.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyObject_Call(function, all.as_ptr(), kwargs)) }
}
