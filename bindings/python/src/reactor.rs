//! The reactor: what lariat.internet's and Twisted's are made of.

use crate::call::{Call, attached};
use crate::errors::{check, of_reactor};
use crate::home::Home;
use crate::link::Kept;
use crate::timers::{DelayedCall, Waiting};
use lariat::ffi::calls::*;
use lariat::ffi::reactor::*;
use lariat::ffi::status::*;
use lariat::ffi::types::*;
use pyo3::exceptions::{PyAssertionError, PyKeyboardInterrupt};
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use pyo3::{PyTraverseError, intern};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ffi::c_void;
use std::sync::Arc;

/// One thread's event loop, its clock, and what is scheduled in it. A class made from it has `_errors`, a module with
/// its exceptions, and `_unhandled(exception, what)`, which is told of those that nobody catches.
#[pyclass(subclass, dict, weakref, frozen, module = "lariat._lariat")]
pub struct Reactor {
    /// False while the object is being made: the interpreter may collect between its allocation and its contents.
    ready: Cell<bool>,
    home: Arc<Home>,
    /// Delayed calls that wait.
    waiting: Waiting,
    /// What else the library may call.
    kept: Kept,
    /// The list of contexts of Twisted's log, on this thread.
    contexts: RefCell<Option<Py<PyList>>>,
    /// What the library's clock showed at 0 of the clock that Python is told.
    epoch: Cell<f64>,
    /// Calls from threads, in the order in which they came; the library is asked once for all that are there.
    posted: RefCell<VecDeque<Call>>,
    is_asked: Cell<bool>,
    /// What ended the loop, for `run` to raise.
    interrupt: RefCell<Option<PyErr>>,
}

// SAFETY: the interpreter's lock is held wherever it is touched, and no borrow is held while Python code runs.
unsafe impl Send for Reactor {}
// SAFETY: the same.
unsafe impl Sync for Reactor {}

thread_local! {
    /// The reactors that this thread is running, one inside of the other.
    static RUNNING: RefCell<Vec<Py<Reactor>>> = const { RefCell::new(Vec::new()) };
}

impl Reactor {
    /// Its token.
    #[inline]
    pub fn handle(&self) -> *mut lariat_reactor {
        self.home.handle()
    }

    /// From the end of the start-up triggers to the end of the shutdown triggers.
    pub fn is_running(&self) -> bool {
        lariat_reactor_running(self.handle()) == 1
    }

    /// Delayed calls that wait.
    pub fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    /// What else the library may call.
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// A time of the library's clock, as Python is told it.
    #[inline]
    pub fn time_of(&self, seconds: f64) -> f64 {
        seconds + self.epoch.get()
    }

    /// The time, as Python is told it.
    pub fn now(&self) -> f64 {
        self.time_of(lariat_reactor_seconds(self.handle()))
    }

    /// The list of contexts of Twisted's log; None: there is none.
    pub fn log_contexts<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyList>> {
        self.contexts.borrow().as_ref().map(|contexts| contexts.bind(py).clone())
    }

    /// Moves it to this thread, if that is possible and it is not there.
    #[inline]
    pub fn here(&self) {
        self.on(|| lariat_reactor_running(self.handle()));
    }

    /// Makes a call of the library, on a reactor that is this thread's or can be moved to it.
    #[inline]
    pub fn on(&self, call: impl Fn() -> lariat_status) -> lariat_status {
        let status = call();
        if status == LARIAT_ERR_WRONG_THREAD && self.home.adopt() { call() } else { status }
    }

    /// What a call from the reactor ended with, where nobody else is to be told. A KeyboardInterrupt stops the loop.
    #[cold]
    pub fn report(slf: &Bound<'_, Self>, error: PyErr, what: &str) {
        let py = slf.py();
        if error.is_instance_of::<PyKeyboardInterrupt>(py) {
            return slf.get().stop_with(error);
        }
        if let Err(error) = slf.call_method1(intern!(py, "_unhandled"), (error.value(py), what)) {
            error.write_unraisable(py, Some(slf.as_any()));
        }
    }

    /// Ends the loop, so that `run` raises this.
    pub fn stop_with(&self, error: PyErr) {
        drop(self.interrupt.replace(Some(error)));
        if lariat_reactor_stop(self.handle()) != LARIAT_OK {
            // It stops already: somebody is impatient.
            lariat_reactor_crash(self.handle());
        }
    }

    /// A KeyboardInterrupt has come where no reactor is at hand: the one that runs on this thread stops.
    pub fn interrupt_running(py: Python<'_>, error: PyErr) {
        RUNNING.with(|running| {
            if let Some(reactor) = running.borrow().last() {
                reactor.get().stop_with(error.clone_ref(py));
            }
        });
    }

    /// Turns the loop.
    fn turn(slf: &Bound<'_, Self>, turn: impl Fn() -> lariat_status) -> PyResult<lariat_status> {
        slf.get().home.object.set(slf.as_ptr());
        RUNNING.with(|running| running.borrow_mut().push(slf.clone().unbind()));
        let status = slf.get().on(turn);
        let this = RUNNING.with(|running| running.borrow_mut().pop());
        drop(this);
        Self::turned(slf, status)
    }

    /// What the loop answered when it was to turn.
    fn turned(slf: &Bound<'_, Self>, status: lariat_status) -> PyResult<lariat_status> {
        if let Some(error) = slf.get().interrupt.take() {
            return Err(error);
        }
        match status {
            LARIAT_ERR_REENTRANT => Err(of_reactor(slf, "ReactorAlreadyRunning", ())),
            status => check(status),
        }
    }

    fn make_posted(slf: &Bound<'_, Self>) {
        let this = slf.get();
        let there = this.posted.borrow().len();
        for _ in 0..there {
            let Some(call) = this.posted.borrow_mut().pop_front() else { break };
            if let Err(error) = call.make(slf.py()) {
                Self::report(slf, error, "callFromThread");
            }
        }
        // What was posted meanwhile, by a posted call or by a thread, is asked for by the next turn, for the one after it:
        // delayed calls that are due come before it, as Twisted has it.
        let has_more = !this.posted.borrow().is_empty();
        if !has_more || lariat_reactor_call_soon(this.handle(), Some(ask_again), this.home.word()) != LARIAT_OK {
            this.is_asked.set(false);
        }
    }

    /// Asks the library to have the posted calls made on its next turn.
    fn ask(&self) -> PyResult<()> {
        if self.is_asked.replace(true) {
            return Ok(());
        }
        let asked = lariat_reactor_call_from_thread(self.handle(), Some(make_posted), self.home.word());
        check(asked).map(drop).inspect_err(|_| self.is_asked.set(false))
    }
}

/// The object of the reactor that a callback is for; None: it is gone.
fn object<'py>(word: *mut c_void) -> Option<Bound<'py, Reactor>> {
    // SAFETY: the word is a Home's, which outlives the reactor of the library that calls.
    let object = unsafe { Home::from_word(word) }.object.get();
    if object.is_null() {
        return None;
    }
    // SAFETY: the object takes itself out of its Home when it goes.
    Some(unsafe { Bound::from_borrowed_ptr(attached(), object).cast_into_unchecked() })
}

extern "C" fn ask_again(word: *mut c_void) {
    if let Some(reactor) = object(word) {
        reactor.get().is_asked.set(false);
        let _ = reactor.get().ask();
    }
}

extern "C" fn make_posted(word: *mut c_void) {
    if let Some(reactor) = object(word) {
        Reactor::make_posted(&reactor);
    }
}

/// After a wait: a handler of Python's that raises stops the loop.
pub fn check_signals(word: *mut c_void) {
    if let Err(error) = attached().check_signals() {
        if let Some(reactor) = object(word) {
            reactor.get().stop_with(error);
        }
    }
}

#[pymethods]
impl Reactor {
    #[new]
    #[pyo3(signature = (*_args, _of_thread = false, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _of_thread: bool, _kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let home = if _of_thread { Home::here()? } else { Home::new()? };
        Ok(Self {
            ready: Cell::new(true),
            home,
            waiting: Waiting::default(),
            kept: Kept::default(),
            contexts: RefCell::new(None),
            epoch: Cell::new(0.0),
            posted: RefCell::default(),
            is_asked: Cell::new(false),
            interrupt: RefCell::new(None),
        })
    }

    /// Runs the loop until it is stopped. Raises the KeyboardInterrupt that stopped it.
    fn _run(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::turn(slf, || lariat_reactor_run(slf.get().handle())).map(drop)
    }

    /// Makes one turn of the loop, which waits at most so many seconds. False: it has stopped.
    #[pyo3(name = "_iterate")]
    fn iterate(slf: &Bound<'_, Self>, seconds: f64) -> PyResult<bool> {
        let status = Self::turn(slf, || lariat_reactor_iterate(slf.get().handle(), seconds))?;
        Ok(status != LARIAT_STOPPED)
    }

    /// Asks the loop to stop: the turn in progress is finished, the shutdown triggers run.
    fn stop(slf: &Bound<'_, Self>) -> PyResult<()> {
        match lariat_reactor_stop(slf.get().handle()) {
            LARIAT_ERR_NOT_RUNNING => {
                Err(of_reactor(slf, "ReactorNotRunning", ("Can't stop reactor that isn't running.",)))
            }
            status => check(status).map(drop),
        }
    }

    /// Ends the loop after the turn in progress, without shutdown triggers.
    fn crash(&self) -> PyResult<()> {
        match lariat_reactor_crash(self.handle()) {
            LARIAT_ERR_NOT_RUNNING => Ok(()),
            status => check(status).map(drop),
        }
    }

    /// Whether the loop runs: from the end of the start-up triggers to the end of the shutdown triggers.
    #[getter]
    fn running(&self) -> bool {
        self.is_running()
    }

    /// The time on the reactor's clock, in seconds; it never goes back.
    fn seconds(&self) -> f64 {
        self.time_of(lariat_reactor_seconds(self.handle()))
    }

    /// Calls function(*args, **kwargs) after at least so many seconds.
    #[pyo3(name = "callLater", signature = (delay, callable, *args, **kw))]
    fn call_later<'py>(
        slf: &Bound<'py, Self>,
        delay: &Bound<'py, PyAny>,
        callable: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
        kw: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, DelayedCall>> {
        let seconds = delay.extract::<f64>()?;
        if !callable.is_callable() {
            let text = format!("{} is not callable", callable.repr()?);
            return Err(PyAssertionError::new_err(text));
        }
        if seconds.is_nan() || seconds < 0.0 {
            let text = format!("{delay} is not greater than or equal to 0 seconds");
            return Err(PyAssertionError::new_err(text));
        }
        DelayedCall::start(slf, seconds.min(1e9), Call::new(callable, args, kw))
    }

    /// The delayed calls that wait.
    #[pyo3(name = "getDelayedCalls")]
    fn delayed_calls<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, DelayedCall>> {
        self.waiting.all(py)
    }

    /// Has the clock show this from here on: `time.time()`, whose steps it does not make.
    fn _set_seconds(&self, now: f64) {
        self.epoch.set(now - lariat_reactor_seconds(self.handle()));
    }

    /// Sets the list of contexts of Twisted's log, of this thread.
    fn _set_log_contexts(&self, contexts: Bound<'_, PyList>) {
        drop(self.contexts.replace(Some(contexts.unbind())));
    }

    /// What is open: streams, listeners, ports, processes, watchers.
    fn _open(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        self.kept.all(py).into_iter().map(Bound::unbind).collect()
    }

    /// Has function(*args, **kwargs) called on the reactor's thread, on its next turn, which it wakes up for. From any
    /// thread.
    #[pyo3(name = "callFromThread", signature = (callable, *args, **kw))]
    fn call_from_thread<'py>(
        slf: &Bound<'py, Self>,
        callable: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
        kw: Option<Bound<'py, PyDict>>,
    ) -> PyResult<()> {
        if !callable.is_callable() {
            let text = format!("{} is not callable", callable.repr()?);
            return Err(PyAssertionError::new_err(text));
        }
        let this = slf.get();
        this.home.object.set(slf.as_ptr());
        this.posted.borrow_mut().push_back(Call::new(callable, args, kw));
        this.ask()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.ready.get() {
            return Ok(());
        }
        self.waiting.traverse(&visit)?;
        self.kept.traverse(&visit)?;
        self.posted.borrow().iter().try_for_each(|call| call.traverse(&visit))
    }

    fn __clear__(&self) {
        self.waiting.clear();
        self.kept.clear();
        drop(self.posted.take());
        drop(self.interrupt.take());
    }
}

/// A context of Twisted's log, for as long as this is there.
pub struct LogContext<'py>(Bound<'py, PyList>);

impl<'py> LogContext<'py> {
    /// Puts it on top of the others.
    pub fn enter(contexts: Bound<'py, PyList>, context: &Bound<'py, PyAny>) -> Option<Self> {
        contexts.append(context).ok()?;
        Some(Self(contexts))
    }
}

impl Drop for LogContext<'_> {
    fn drop(&mut self) {
        if let Some(last) = self.0.len().checked_sub(1) {
            let _ = self.0.del_item(last);
        }
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        self.home.object.set(std::ptr::null_mut());
    }
}
