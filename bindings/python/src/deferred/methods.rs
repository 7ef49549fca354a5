//! The methods of a Deferred, under Twisted's names.

use super::{Awaiting, Deferred, Work};
use crate::classes::{classes, is_debugging, is_failure};
use crate::errors;
use crate::level::{Args, Level};
use crate::reactor::Reactor;
use lariat::ffi::chain::*;
use lariat::ffi::status::*;
use pyo3::exceptions::PyAttributeError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, intern};

#[pymethods]
impl Deferred {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    #[inline]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::default()
    }

    #[pyo3(signature = (canceller = None))]
    #[inline]
    fn __init__(slf: &Bound<'_, Self>, canceller: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        if let Some(canceller) = canceller {
            drop(slf.get().canceller.replace(Some(canceller.unbind())));
        }
        if is_debugging() {
            slf.get().debug_info(slf.py())?.call_method0(intern!(slf.py(), "noteCreator"))?;
        }
        Ok(())
    }

    /// Adds a callback, and an errback for when there is a failure in its place.
    #[pyo3(
        name = "addCallbacks",
        signature = (callback, errback = None, callbackArgs = None, callbackKeywords = None, errbackArgs = None, errbackKeywords = None)
    )]
    #[allow(non_snake_case, reason = "keywords of Python's")]
    fn add_callbacks<'py>(
        slf: Bound<'py, Self>,
        callback: Option<Py<PyAny>>,
        errback: Option<Py<PyAny>>,
        callbackArgs: Option<Bound<'py, PyAny>>,
        callbackKeywords: Option<Bound<'py, PyAny>>,
        errbackArgs: Option<Bound<'py, PyAny>>,
        errbackKeywords: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let args = args_of(slf.py(), callbackArgs, callbackKeywords)?;
        let errback_args = args_of(slf.py(), errbackArgs, errbackKeywords)?;
        let callback = callback.unwrap_or_else(|| slf.py().None());
        Self::add(&slf, Level::pair(Some(callback), errback, args, errback_args))?;
        Ok(slf)
    }

    /// Adds a callback for a value; a failure passes it by.
    #[pyo3(name = "addCallback", signature = (callback, *args, **kwargs))]
    fn add_callback<'py>(
        slf: Bound<'py, Self>,
        callback: Py<PyAny>,
        args: Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Self>> {
        Self::add(&slf, Level::pair(Some(callback), None, Args::new(Some(args), kwargs), Args::default()))?;
        Ok(slf)
    }

    /// Adds an errback for a failure; a value passes it by.
    #[pyo3(name = "addErrback", signature = (errback, *args, **kwargs))]
    fn add_errback<'py>(
        slf: Bound<'py, Self>,
        errback: Py<PyAny>,
        args: Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Self>> {
        Self::add(&slf, Level::pair(None, Some(errback), Args::default(), Args::new(Some(args), kwargs)))?;
        Ok(slf)
    }

    /// Adds a function that gets values and failures alike.
    #[pyo3(name = "addBoth", signature = (callback, *args, **kwargs))]
    fn add_both<'py>(
        slf: Bound<'py, Self>,
        callback: Py<PyAny>,
        args: Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Self>> {
        Self::add(&slf, Level::both(callback, Args::new(Some(args), kwargs)))?;
        Ok(slf)
    }

    /// Fires another Deferred with the result.
    #[pyo3(name = "chainDeferred")]
    fn chain<'py>(slf: Bound<'py, Self>, d: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Self>> {
        let (callback, errback) = (d.getattr("callback")?.unbind(), d.getattr("errback")?.unbind());
        if let Ok(target) = d.cast::<Self>() {
            drop(target.get().source.replace(Some(slf.clone().unbind())));
        }
        Self::add(&slf, Level::Pair(Some(callback), Some(errback), None))?;
        Ok(slf)
    }

    /// Has the library cancel it after so many seconds of its reactor's clock. False: its reactor is another one.
    #[pyo3(name = "_addTimeout")]
    fn add_timeout(slf: &Bound<'_, Self>, seconds: f64, reactor: &Bound<'_, Reactor>) -> PyResult<bool> {
        let handle = Self::open(slf)?;
        let home = slf.get().home();
        if home.handle() != reactor.get().handle() {
            return Ok(false);
        }
        let mut status = lariat_deferred_add_timeout(handle, seconds);
        if status == LARIAT_ERR_WRONG_THREAD && home.adopt() {
            status = lariat_deferred_add_timeout(handle, seconds);
        }
        errors::check(status)?;
        Self::add(slf, Level::Timeout(seconds))?;
        Ok(true)
    }

    /// Fires it with a value: its callbacks run before this returns, as far as they can.
    #[inline]
    fn callback(slf: &Bound<'_, Self>, result: Bound<'_, PyAny>) -> PyResult<()> {
        Self::fire(slf, result)
    }

    /// Fires it with a failure, an exception, or the one that is being handled.
    #[pyo3(signature = (fail = None))]
    fn errback(slf: &Bound<'_, Self>, fail: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let failure = match fail {
            Some(fail) if is_failure(&fail) => fail,
            Some(fail) => classes()?.failure.bind(slf.py()).call1((fail,))?,
            None => classes()?.failure.bind(slf.py()).call0()?,
        };
        Self::fire(slf, failure)
    }

    /// Holds the chain up, until as many `unpause`.
    fn pause(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        Self::open(slf)?;
        match lariat_deferred_pause(this.front()) {
            LARIAT_ERR_RELEASED => {}
            status => drop(errors::check(status)?),
        }
        this.pauses.set(this.pauses.get() + 1);
        Ok(())
    }

    /// Takes one pause back.
    fn unpause(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        this.pauses.set(this.pauses.get() - 1);
        if this.first.get().is_null() {
            return Ok(());
        }
        let home = this.home();
        let work = Work::new(&home);
        match lariat_deferred_unpause(this.front()) {
            LARIAT_ERR_INVALID_STATE | LARIAT_ERR_RELEASED => {}
            status => drop(errors::check(status)?),
        }
        work.raised()
    }

    /// Says that nobody wants the result any more.
    pub(super) fn cancel(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        if this.called.get() && this.chained_to.borrow().is_none() {
            return Ok(());
        }
        if let Some(other) = Self::waits_for_another_kind(slf)? {
            return other.call_method0(intern!(py, "cancel")).map(drop);
        }
        Self::open(slf)?;
        let home = this.home();
        let work = Work::new(&home);
        let handle = if this.called.get() { this.front() } else { this.first.get() };
        let mut status = lariat_deferred_cancel(handle);
        if status == LARIAT_ERR_WRONG_THREAD && home.adopt() {
            status = lariat_deferred_cancel(handle);
        }
        errors::check(status)?;
        if this.refused.replace(false) {
            Self::start_over(slf)?;
        } else if !this.called.get() && lariat_deferred_called(this.first.get()) == 1 {
            this.settle(py, LARIAT_ERR_CANCELLED);
            this.arm(py);
        }
        work.raised()
    }

    #[getter]
    fn called(&self) -> bool {
        self.called.get()
    }

    #[getter]
    fn paused(&self) -> i32 {
        self.pauses.get() + i32::from(self.chained_to.borrow().is_some())
    }

    #[getter]
    fn result<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (this, py) = (slf.get(), slf.py());
        if !this.called.get() {
            return Err(PyAttributeError::new_err("'Deferred' object has no attribute 'result'"));
        }
        let chained = this.chained_to.borrow().as_ref().map(|other| other.clone_ref(py));
        Ok(chained.map_or_else(|| this.present(py), |other| other.into_bound(py).into_any()))
    }

    #[getter(_chainedTo)]
    fn chained_to(&self, py: Python<'_>) -> Option<Py<Deferred>> {
        let chained_to = self.chained_to.borrow();
        let source = self.source.borrow();
        chained_to.as_ref().or(source.as_ref()).map(|other| other.clone_ref(py))
    }

    /// Whether the stacks are kept in which this one is made and fired.
    #[getter]
    pub(super) fn debug(&self) -> bool {
        self.debug.get() || is_debugging()
    }

    #[setter]
    fn set_debug(&self, on: bool) {
        self.debug.set(on);
    }

    #[getter(_debugInfo)]
    fn info(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.info.borrow().as_ref().map(|info| info.clone_ref(py))
    }

    fn __iter__(slf: Bound<'_, Self>) -> Awaiting {
        Awaiting(slf.unbind())
    }

    fn __await__(slf: Bound<'_, Self>) -> Awaiting {
        Awaiting(slf.unbind())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let class = slf.get_type().name()?;
        let chained = this.chained_to(slf.py()).map(|other| other.as_ptr() as usize);
        let state = match chained {
            Some(other) => format!(" waiting on Deferred at {other:#x}"),
            None if !this.called.get() => String::new(),
            None => format!(" current result: {}", this.present(slf.py()).repr()?),
        };
        Ok(format!("<{class} at {:#x}{state}>", slf.as_ptr() as usize))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.ready.get() {
            return Ok(());
        }
        self.levels.borrow().iter().try_for_each(|level| level.traverse(&visit))?;
        visit.call(&*self.result.borrow())?;
        visit.call(&*self.chained_to.borrow())?;
        visit.call(&*self.kept.borrow())?;
        visit.call(&*self.source.borrow())?;
        visit.call(&*self.canceller.borrow())?;
        visit.call(&*self.info.borrow())
    }

    fn __clear__(&self) {
        drop(self.levels.take());
        drop(self.result.take());
        drop(self.chained_to.take());
        drop(self.kept.take());
        drop(self.source.take());
        drop(self.canceller.take());
        drop(self.info.take());
    }
}

/// What a function gets, from what Twisted's users give: any sequence, any mapping, or None.
fn args_of(py: Python<'_>, args: Option<Bound<'_, PyAny>>, kwargs: Option<Bound<'_, PyAny>>) -> PyResult<Args> {
    let args = match args {
        Some(args) => Some(match args.cast_into::<PyTuple>() {
            Ok(args) => args,
            Err(other) => {
                other.into_inner().try_iter()?.collect::<PyResult<Vec<_>>>().and_then(|all| PyTuple::new(py, all))?
            }
        }),
        None => None,
    };
    let kwargs = match kwargs {
        Some(kwargs) => Some(match kwargs.cast_into::<PyDict>() {
            Ok(kwargs) => kwargs,
            Err(other) => {
                let other = other.into_inner();
                let copied = PyDict::new(other.py());
                copied.update(other.cast()?)?;
                copied
            }
        }),
        None => None,
    };
    Ok(Args::new(args, kwargs))
}
