//! Delayed calls.

use crate::call::{Call, attached};
use crate::errors::{self, of_reactor};
use crate::reactor::Reactor;
use lariat::ffi::calls::*;
use lariat::ffi::delayed_call::*;
use lariat::ffi::reactor::*;
use lariat::ffi::status::*;
use lariat::ffi::types::*;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::pyclass::CompareOp;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;

/// The delayed calls of a reactor that wait: the library knows them by their address, and the collector sees them here.
#[derive(Default)]
pub struct Waiting(RefCell<Vec<Option<Py<DelayedCall>>>>, RefCell<Vec<usize>>);

impl Waiting {
    #[inline]
    fn add(&self, call: Py<DelayedCall>) -> usize {
        let mut calls = self.0.borrow_mut();
        match self.1.borrow_mut().pop() {
            Some(place) => {
                calls[place] = Some(call);
                place
            }
            None => {
                calls.push(Some(call));
                calls.len() - 1
            }
        }
    }

    #[inline]
    fn remove(&self, place: usize) -> Option<Py<DelayedCall>> {
        let call = self.0.borrow_mut().get_mut(place)?.take()?;
        self.1.borrow_mut().push(place);
        Some(call)
    }

    /// All of them, in no particular order.
    pub fn all<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, DelayedCall>> {
        self.0.borrow().iter().flatten().map(|call| call.bind(py).clone()).collect()
    }

    /// Shows the collector what waits.
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.0.borrow().iter().flatten().try_for_each(|call| visit.call(call))
    }

    /// Takes all of them back: their reactor is garbage.
    pub fn clear(&self) {
        let calls = self.0.take();
        self.1.take();
        for call in calls.iter().flatten() {
            lariat_delayed_call_cancel(call.get().handle.replace(std::ptr::null_mut()));
        }
        drop(calls);
    }
}

/// A call that the reactor is to make at its time.
#[pyclass(weakref, frozen, module = "lariat._lariat")]
pub struct DelayedCall {
    /// False while the object is being made: the interpreter may collect between its allocation and its contents.
    ready: Cell<bool>,
    reactor: Py<Reactor>,
    handle: Cell<*mut lariat_delayed_call>,
    place: Cell<usize>,
    call: RefCell<Option<Call>>,
    time: Cell<f64>,
    called: Cell<bool>,
    cancelled: Cell<bool>,
}

// SAFETY: the interpreter's lock is held wherever it is touched, and no borrow is held while Python code runs.
unsafe impl Send for DelayedCall {}
// SAFETY: the same.
unsafe impl Sync for DelayedCall {}

extern "C" fn make(word: *mut c_void) {
    let py = attached();
    // SAFETY: the reactor keeps the object for as long as the library has the call.
    let this = unsafe { Bound::from_borrowed_ptr(py, word.cast()).cast_into_unchecked::<DelayedCall>() };
    let call = this.get();
    drop(call.end());
    call.called.set(true);
    let Some(made) = call.call.take() else { return };
    if let Err(error) = made.make(py) {
        Reactor::report(call.reactor.bind(py), error, "callLater");
    }
}

impl DelayedCall {
    /// Schedules a call.
    pub fn start<'py>(reactor: &Bound<'py, Reactor>, seconds: f64, call: Call) -> PyResult<Bound<'py, Self>> {
        let this = Bound::new(
            reactor.py(),
            Self {
                ready: Cell::new(true),
                reactor: reactor.clone().unbind(),
                handle: Cell::new(std::ptr::null_mut()),
                place: Cell::new(usize::MAX),
                call: RefCell::new(Some(call)),
                time: Cell::new(f64::NAN),
                called: Cell::new(false),
                cancelled: Cell::new(false),
            },
        )?;
        let word: *mut c_void = this.as_ptr().cast();
        let reactor = reactor.get();
        let mut status = LARIAT_OK;
        let mut handle = lariat_reactor_call_later(reactor.handle(), seconds, Some(make), word);
        if handle.is_null() {
            status = reactor.on(|| lariat_reactor_running(reactor.handle()));
            if status >= 0 {
                handle = lariat_reactor_call_later(reactor.handle(), seconds, Some(make), word);
                status = lariat_last_error();
            }
        }
        if handle.is_null() {
            return Err(errors::exception(status));
        }
        this.get().handle.set(handle);
        this.get().place.set(reactor.waiting().add(this.clone().unbind()));
        Ok(this)
    }

    /// It waits no longer.
    fn end(&self) -> Option<Py<Self>> {
        self.handle.set(std::ptr::null_mut());
        self.reactor.get().waiting().remove(self.place.replace(usize::MAX))
    }

    /// Refuses what only one that waits can do.
    fn check_waits(&self, py: Python<'_>) -> PyResult<()> {
        let class = match (self.cancelled.get(), self.called.get()) {
            (true, _) => "AlreadyCancelled",
            (_, true) => "AlreadyCalled",
            _ => return Ok(()),
        };
        Err(of_reactor(self.reactor.bind(py), class, ()))
    }
}

#[pymethods]
impl DelayedCall {
    /// When the call is to be made, in seconds of the reactor's clock.
    #[pyo3(name = "getTime")]
    fn time(&self) -> f64 {
        let handle = self.handle.get();
        if !handle.is_null() {
            self.time.set(self.reactor.get().time_of(lariat_delayed_call_time(handle)));
        }
        self.time.get()
    }

    /// Takes the call back.
    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        self.check_waits(py)?;
        self.time();
        errors::check(lariat_delayed_call_cancel(self.handle.get()))?;
        self.cancelled.set(true);
        let this = self.end();
        drop(self.call.take());
        drop(this);
        Ok(())
    }

    /// Has the call made so many seconds from now.
    #[pyo3(name = "reset")]
    fn reset(&self, py: Python<'_>, seconds_from_now: f64) -> PyResult<()> {
        self.check_waits(py)?;
        let seconds = seconds_from_now.clamp(0.0, 1e9);
        errors::check(lariat_delayed_call_reset(self.handle.get(), seconds)).map(drop)
    }

    /// Has the call made so many seconds later than it would be; earlier, if they are negative.
    fn delay(&self, py: Python<'_>, seconds_later: f64) -> PyResult<()> {
        self.check_waits(py)?;
        if seconds_later >= 0.0 {
            return errors::check(lariat_delayed_call_delay(self.handle.get(), seconds_later.min(1e9))).map(drop);
        }
        let left = self.time() + seconds_later - self.reactor.get().now();
        self.reset(py, left)
    }

    /// Whether the call still waits to be made.
    fn active(&self) -> bool {
        !self.handle.get().is_null()
    }

    /// The same as `getTime` gives.
    #[getter(time)]
    fn time_attribute(&self) -> f64 {
        self.time()
    }

    /// The time on the reactor's clock.
    fn seconds(&self) -> f64 {
        self.reactor.get().now()
    }

    #[getter]
    fn called(&self) -> bool {
        self.called.get()
    }

    #[getter]
    fn cancelled(&self) -> bool {
        self.cancelled.get()
    }

    #[getter]
    fn func(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.call.borrow().as_ref().map(|call| call.function.clone_ref(py))
    }

    #[getter]
    fn args(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.call.borrow().as_ref().map(|call| call.args.clone_ref(py).into_any())
    }

    #[getter]
    fn kw(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let call = self.call.borrow();
        let kwargs = call.as_ref()?.kwargs.as_ref();
        Some(
            kwargs.map_or_else(
                || pyo3::types::PyDict::new(py).into_any().unbind(),
                |kwargs| kwargs.clone_ref(py).into_any(),
            ),
        )
    }

    fn __richcmp__(&self, other: &Bound<'_, Self>, how: CompareOp) -> bool {
        let (mine, theirs) = (self.time(), other.get().time());
        let same = std::ptr::eq(self, other.get());
        match how {
            CompareOp::Eq => same,
            CompareOp::Ne => !same,
            CompareOp::Lt => mine < theirs,
            CompareOp::Le => mine <= theirs,
            CompareOp::Gt => mine > theirs,
            CompareOp::Ge => mine >= theirs,
        }
    }

    fn __hash__(&self) -> isize {
        std::ptr::from_ref(self) as isize >> 4
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let state = match (this.called.get(), this.cancelled.get()) {
            (true, _) => " called=1 cancelled=0",
            (_, true) => " called=0 cancelled=1",
            _ => " called=0 cancelled=0",
        };
        let left = this.time() - this.reactor.get().now();
        let what = match &*this.call.borrow() {
            Some(call) => format!(" {}{}", call.function.bind(slf.py()).repr()?, call.args.bind(slf.py()).repr()?),
            None => String::new(),
        };
        Ok(format!("<DelayedCall {:#x} [{left}s]{state}{what}>", slf.as_ptr() as usize))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.ready.get() {
            return Ok(());
        }
        visit.call(&self.reactor)?;
        self.call.borrow().as_ref().map_or(Ok(()), |call| call.traverse(&visit))
    }

    fn __clear__(&self) {
        drop(self.call.take());
    }
}
