//! The Deferred: its order, waiting, cancelling and time-outs are the library's; its functions and results are here.

mod awaiting;
mod methods;

pub use awaiting::Awaiting;

use crate::call::attached;
use crate::classes::{classes, failure_of, is_failure};
use crate::errors;
use crate::home::Home;
use crate::level::{Args, Level, call};
use crate::reactor::Reactor;
use crate::slots;
use lariat::ffi::calls::*;
use lariat::ffi::chain::*;
use lariat::ffi::deferred::*;
use lariat::ffi::deferred_from_thread::*;
use lariat::ffi::failure::*;
use lariat::ffi::outcome::*;
use lariat::ffi::status::*;
use lariat::ffi::types::*;
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

/// The code of a failure that is an exception of Python's.
const EXCEPTION: i32 = 1;

/// A result that is not there yet, and the callbacks that wait for it.
#[pyclass(subclass, dict, weakref, frozen, module = "lariat.defer", generic)]
pub struct Deferred {
    /// False while the object is being made: the interpreter may collect between its allocation and its contents.
    ready: Cell<bool>,
    home: RefCell<Option<Arc<Home>>>,
    /// What the library knows it by; null: it has not been told yet.
    first: Cell<*mut lariat_deferred>,
    /// By what callbacks find it; 0: by nothing yet.
    number: Cell<u64>,
    /// The result of `first` has moved to one that waited for it.
    moved: Cell<bool>,
    /// The newest of `first` and `later` is handed over: what is added goes to another one.
    handed: Cell<bool>,
    /// Those that go on, one after the other, once results have moved away.
    later: RefCell<Vec<*mut lariat_deferred>>,
    levels: RefCell<VecDeque<Level>>,
    result: RefCell<Option<Py<PyAny>>>,
    failed: Cell<bool>,
    called: Cell<bool>,
    /// The worker has fired it: nothing is left to be abandoned.
    fired: Cell<bool>,
    pauses: Cell<i32>,
    chained_to: RefCell<Option<Py<Deferred>>>,
    /// Itself, between the end of its wait and the run of its callbacks.
    kept: RefCell<Option<Py<Deferred>>>,
    /// The one that `chainDeferred` has fire it.
    source: RefCell<Option<Py<Deferred>>>,
    /// Its canceller has raised: it is as if it had not been cancelled.
    refused: Cell<bool>,
    /// Stacks are kept of this one.
    debug: Cell<bool>,
    canceller: RefCell<Option<Py<PyAny>>>,
    info: RefCell<Option<Py<PyAny>>>,
}

// SAFETY: the interpreter's lock is held wherever it is touched, and no borrow is held while Python code runs.
unsafe impl Send for Deferred {}
// SAFETY: the same.
unsafe impl Sync for Deferred {}

/// While it lives, a method is at work; at its end, those go on whose results have moved meanwhile.
struct Work<'d>(&'d Home, usize);

impl<'d> Work<'d> {
    #[inline]
    fn new(home: &'d Home) -> Self {
        home.depth.set(home.depth.get() + 1);
        Self(home, home.emptied.borrow().len())
    }

    /// What a canceller raised meanwhile.
    fn raised(&self) -> PyResult<()> {
        self.0.raised.take().map_or(Ok(()), Err)
    }
}

impl Drop for Work<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.0.emptied.borrow().len() > self.1 {
            go_on(self.0, self.1);
        }
        self.0.depth.set(self.0.depth.get() - 1);
    }
}

/// Lets those go on, the newest first, that have been emptied since there were so many.
#[cold]
fn go_on(home: &Home, since: usize) {
    loop {
        let mut emptied = home.emptied.borrow_mut();
        let next = if emptied.len() > since { emptied.pop() } else { None };
        drop(emptied);
        let Some(next) = next else { return };
        let handle = next.get().later.borrow().first().copied();
        if let Some(handle) = handle {
            lariat_deferred_callback(handle, ptr::null_mut());
        }
    }
}

extern "C" fn go_on_soon(word: *mut c_void) {
    // SAFETY: a Home outlives its reactor, which calls.
    go_on(unsafe { Home::from_word(word) }, 0);
}

/// The Deferred with this number.
#[inline]
fn find<'py>(py: Python<'py>, word: *mut c_void) -> Option<Bound<'py, Deferred>> {
    let object = slots::find(word);
    if object.is_null() {
        return None;
    }
    // SAFETY: it gives its number back before it goes.
    Some(unsafe { Bound::from_borrowed_ptr(py, object).cast_into_unchecked() })
}

extern "C" fn step(handle: *mut lariat_deferred, _value: *mut c_void, word: *mut c_void) -> *mut c_void {
    step_with(handle, ptr::null(), word)
}

#[inline(always)]
extern "C" fn step_with(
    handle: *mut lariat_deferred,
    failure: *const lariat_failure,
    word: *mut c_void,
) -> *mut c_void {
    if let Some(deferred) = find(attached(), word) {
        Deferred::step(&deferred, handle, failure);
    }
    ptr::null_mut()
}

extern "C" fn cancelled(_handle: *mut lariat_deferred, word: *mut c_void) {
    let Some(deferred) = find(attached(), word) else { return };
    let canceller = deferred.get().canceller.borrow().as_ref().map(|canceller| canceller.clone_ref(deferred.py()));
    let Some(canceller) = canceller else { return };
    if let Err(error) = canceller.bind(deferred.py()).call1((&deferred,)) {
        // Who raises has not cancelled anything, unless others wait for it that have to hear.
        let waited_for = deferred.get().levels.borrow().iter().any(|level| matches!(level, Level::Move(_)));
        deferred.get().refused.set(!waited_for);
        let home = deferred.get().home.borrow().clone();
        match home.filter(|home| home.depth.get() != 0) {
            Some(home) => drop(home.raised.replace(Some(error))),
            None => error.write_unraisable(deferred.py(), Some(canceller.bind(deferred.py()))),
        }
    }
}

impl Deferred {
    fn word(&self) -> *mut c_void {
        self.number.get() as *mut c_void
    }

    /// The newest of those that the library knows it by.
    #[inline]
    fn newest(&self) -> *mut lariat_deferred {
        let last = self.later.borrow().last().copied();
        last.unwrap_or(if self.moved.get() { ptr::null_mut() } else { self.first.get() })
    }

    /// The one whose levels run or will run next.
    fn front(&self) -> *mut lariat_deferred {
        if !self.moved.get() {
            return self.first.get();
        }
        self.later.borrow().first().copied().unwrap_or(ptr::null_mut())
    }

    /// The one to which levels can be added.
    #[inline]
    fn open(slf: &Bound<'_, Self>) -> PyResult<*mut lariat_deferred> {
        let this = slf.get();
        let newest = this.newest();
        if newest.is_null() || this.handed.get() { Self::make(slf) } else { Ok(newest) }
    }

    /// Has the library know it, or know it by another handle.
    fn make(slf: &Bound<'_, Self>) -> PyResult<*mut lariat_deferred> {
        let this = slf.get();
        if this.number.get() == 0 {
            this.number.set(slots::add(slf.as_ptr()));
        }
        let known = this.home.borrow().clone();
        let home = known.map_or_else(Home::here, Ok)?;
        let mut handle = this.make_in(&home);
        if handle.is_null() {
            let adopted = home.adopt();
            handle = if adopted { this.make_in(&home) } else { handle };
        }
        let home = if handle.is_null() && this.first.get().is_null() {
            // Another thread or process has the thread's.
            let home = Home::renew()?;
            handle = this.make_in(&home);
            home
        } else {
            home
        };
        if handle.is_null() {
            return Err(errors::exception(lariat_last_error()));
        }
        this.home.replace(Some(home));
        let emptied = this.moved.get() && this.later.borrow().is_empty();
        if this.first.get().is_null() {
            this.first.set(handle);
        } else {
            this.later.borrow_mut().push(handle);
            this.handed.set(false);
        }
        // Nothing ran meanwhile: it had no levels.
        if emptied || (this.called.get() && this.first.get() == handle) {
            lariat_deferred_callback(handle, ptr::null_mut());
        }
        Ok(handle)
    }

    fn make_in(&self, home: &Home) -> *mut lariat_deferred {
        if self.canceller.borrow().is_some() && self.first.get().is_null() {
            return lariat_deferred_new_with_canceller(home.handle(), Some(cancelled), self.word());
        }
        lariat_deferred_new(home.handle())
    }

    /// The Home of one that the library knows.
    #[inline]
    fn home(&self) -> Arc<Home> {
        let home = self.home.borrow();
        Arc::clone(home.as_ref().expect("what the library knows has a home"))
    }

    /// Adds a level; it runs at once if the chain has got there.
    #[inline]
    fn add(slf: &Bound<'_, Self>, level: Level) -> PyResult<()> {
        let this = slf.get();
        let handle = Self::open(slf)?;
        let home = this.home();
        let work = Work::new(&home);
        this.levels.borrow_mut().push_back(level);
        let mut status = lariat_deferred_add_callbacks(handle, Some(step), Some(step_with), this.word());
        if status == LARIAT_ERR_WRONG_THREAD && home.adopt() {
            status = lariat_deferred_add_callbacks(handle, Some(step), Some(step_with), this.word());
        }
        if status < 0 {
            let level = this.levels.borrow_mut().pop_back();
            drop(level);
            return Err(errors::exception(status));
        }
        if home.raised.borrow().is_some() { work.raised() } else { Ok(()) }
    }

    /// The present result.
    #[inline]
    fn present<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match &*self.result.borrow() {
            Some(result) => result.bind(py).clone(),
            None => py.None().into_bound(py),
        }
    }

    #[inline]
    fn set_result(&self, result: Bound<'_, PyAny>, failed: bool) {
        self.failed.set(failed);
        drop(self.result.replace(Some(result.unbind())));
    }

    /// The exception is the result.
    #[cold]
    fn set_exception(&self, py: Python<'_>, error: PyErr) {
        match failure_of(py, &error) {
            Ok(failure) => self.set_result(failure, true),
            Err(worse) => {
                // No room for a Failure even: who made the chain run is told.
                self.set_result(py.None().into_bound(py), false);
                match self.home.borrow().clone().filter(|home| home.depth.get() != 0) {
                    Some(home) => drop(home.raised.replace(Some(worse))),
                    None => worse.write_unraisable(py, None),
                }
            }
        }
        if error.is_instance_of::<PyKeyboardInterrupt>(py) {
            Reactor::interrupt_running(py, error);
        }
    }

    /// The library has fired it with a failure of its own.
    #[cold]
    fn settle(&self, py: Python<'_>, code: i32) {
        self.called.set(true);
        drop(self.canceller.take());
        let made = classes().and_then(|classes| match code {
            LARIAT_ERR_CANCELLED => classes.cancelled.bind(py).call0(),
            _ => {
                let message =
                    if code == LARIAT_ERR_CLOSED { "the reactor is gone" } else { "the Deferred is abandoned" };
                Ok(PyRuntimeError::new_err(message).into_value(py).into_bound(py).into_any())
            }
        });
        let failure = made.and_then(|error| classes()?.failure.bind(py).call1((error,)));
        match failure {
            Ok(failure) => self.set_result(failure, true),
            Err(error) => self.set_exception(py, error),
        }
    }

    /// A level of the chain, called by the library.
    #[inline]
    fn step(slf: &Bound<'_, Self>, handle: *mut lariat_deferred, failure: *const lariat_failure) {
        let (this, py) = (slf.get(), slf.py());
        if !failure.is_null() && !this.called.get() {
            if this.refused.get() {
                return;
            }
            this.settle(py, lariat_failure_code(failure));
        }
        if this.failed.get() {
            this.disarm(py);
        }
        let level = this.levels.borrow_mut().pop_front();
        let failed = this.failed.get();
        match &level {
            Some(Level::Pair(callback, errback, args)) => {
                let (function, args) = match args {
                    None => (if failed { errback } else { callback }, None),
                    Some(args) if failed => (errback, Some(&args.1)),
                    Some(args) => (callback, Some(&args.0)),
                };
                if let Some(function) = function {
                    Self::run(slf, handle, function, args);
                }
            }
            Some(Level::Both(function, args)) => Self::run(slf, handle, function, args.as_deref()),
            Some(Level::Move(waiter)) => return Self::move_to(slf, handle, waiter.bind(py)),
            Some(Level::Timeout(seconds))
                if !failure.is_null() && lariat_failure_code(failure) == LARIAT_ERR_TIMED_OUT =>
            {
                this.time_out(py, *seconds);
            }
            Some(Level::Timeout(_)) | None => {}
        }
        if this.failed.get() {
            this.pass_failure(py, handle);
            if this.levels.borrow().is_empty() {
                this.arm(py);
            }
        }
        if this.kept.borrow().is_some() && !this.goes_on() {
            drop(this.kept.take());
        }
    }

    /// Whether another level is to run at once.
    fn goes_on(&self) -> bool {
        !self.levels.borrow().is_empty() && self.chained_to.borrow().is_none() && self.pauses.get() <= 0
    }

    /// Calls a function of the chain; what it gives is the result, or is waited for.
    #[inline]
    fn run(slf: &Bound<'_, Self>, handle: *mut lariat_deferred, function: &Py<PyAny>, args: Option<&Args>) {
        let (this, py) = (slf.get(), slf.py());
        match call(py, function, &this.present(py), args) {
            Ok(result) => match result.cast_into::<Self>() {
                Ok(other) => Self::wait_for(slf, handle, other, function),
                Err(other) => {
                    let result = other.into_inner();
                    let failed = is_failure(&result);
                    this.set_result(result, failed);
                }
            },
            Err(error) => this.set_exception(py, error),
        }
    }

    /// The library is to know of a failure as one: a time-out tells a cancellation from others.
    #[cold]
    fn pass_failure(&self, py: Python<'_>, handle: *mut lariat_deferred) {
        let code = self.code(py);
        lariat_deferred_fail(handle, code, ptr::null());
    }

    /// The code of the present failure.
    #[cold]
    fn code(&self, py: Python<'_>) -> i32 {
        let check = classes().and_then(|classes| {
            let cancelled = classes.cancelled.bind(py);
            self.present(py).call_method1(intern!(py, "check"), (cancelled,))
        });
        if check.is_ok_and(|check| !check.is_none()) { LARIAT_ERR_CANCELLED } else { EXCEPTION }
    }

    #[cold]
    fn time_out(&self, py: Python<'_>, seconds: f64) {
        let made = classes().and_then(|classes| {
            let error = classes.timed_out.bind(py).call1((seconds, "Deferred"))?;
            classes.failure.bind(py).call1((error,))
        });
        match made {
            Ok(failure) => self.set_result(failure, true),
            Err(error) => self.set_exception(py, error),
        }
    }

    /// Whether it has a result that could be taken.
    fn has_result(&self) -> bool {
        self.called.get() && self.chained_to.borrow().is_none() && self.pauses.get() <= 0
    }

    /// A callback gave another one: its result is taken, or waited for.
    fn wait_for(slf: &Bound<'_, Self>, handle: *mut lariat_deferred, other: Bound<'_, Self>, function: &Py<PyAny>) {
        let (this, py) = (slf.get(), slf.py());
        if other.is(slf) {
            let warned = classes().and_then(|classes| classes.warn_of_itself.bind(py).call1((function,)));
            if let Err(error) = warned {
                return this.set_exception(py, error);
            }
            lariat_deferred_pause(handle);
            drop(this.chained_to.replace(Some(other.unbind())));
            return this.set_result(py.None().into_bound(py), false);
        }
        let that = other.get();
        if that.has_result() {
            let (result, failed) = (that.present(py), that.failed.get());
            that.set_result(py.None().into_bound(py), false);
            that.disarm(py);
            return this.set_result(result, failed);
        }
        if let Err(error) = Self::link(slf, handle, &other) {
            this.set_exception(py, error);
        }
    }

    /// Has the library wait for the other one, to which nothing more can be added as it is.
    fn link(slf: &Bound<'_, Self>, handle: *mut lariat_deferred, other: &Bound<'_, Self>) -> PyResult<()> {
        let (this, that) = (slf.get(), other.get());
        let theirs = Self::open(other)?;
        if !Arc::ptr_eq(&this.home(), &that.home()) {
            return Self::bridge(slf, handle, other);
        }
        Self::add(other, Level::Move(slf.clone().unbind()))?;
        lariat_deferred_wait_for(handle, theirs);
        if lariat_deferred_pause(theirs) == LARIAT_OK {
            // Not handed over: a ring of those that wait for each other.
            lariat_deferred_unpause(theirs);
            let level = that.levels.borrow_mut().pop_back();
            that.levels.borrow_mut().push_back(Level::Pair(None, None, None));
            drop(level);
            return Err(errors::exception(lariat_last_error()));
        }
        that.handed.set(true);
        Self::now_waits(slf, other);
        Ok(())
    }

    fn now_waits(slf: &Bound<'_, Self>, other: &Bound<'_, Self>) {
        drop(slf.get().chained_to.replace(Some(other.clone().unbind())));
        slf.get().set_result(slf.py().None().into_bound(slf.py()), false);
    }

    /// The other one lives in another reactor: it fires one of this reactor, which is waited for.
    #[cold]
    fn bridge(slf: &Bound<'_, Self>, handle: *mut lariat_deferred, other: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let between = Bound::new(py, Self::default())?;
        let cancel = pyo3::types::PyCFunction::new_closure(py, None, None, {
            let other = other.clone().unbind();
            move |args: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| Deferred::cancel(other.bind(args.py()))
        })?;
        between.get().canceller.replace(Some(cancel.into_any().unbind()));
        let fire = between.getattr(intern!(py, "callback"))?.unbind();
        Self::link(slf, handle, &between)?;
        Self::add(other, Level::Pair(Some(fire.clone_ref(py)), Some(fire), None))?;
        Ok(())
    }

    /// The result moves to the one that waits for it; this one is left without.
    fn move_to(slf: &Bound<'_, Self>, handle: *mut lariat_deferred, waiter: &Bound<'_, Self>) {
        let (this, that, py) = (slf.get(), waiter.get(), slf.py());
        if this.failed.get() {
            this.pass_failure(py, handle);
        }
        that.set_result(this.present(py), this.failed.get());
        drop(that.chained_to.take());
        this.set_result(py.None().into_bound(py), false);
        if this.moved.replace(true) {
            this.later.borrow_mut().remove(0);
        }
        if !this.later.borrow().is_empty() {
            let home = this.home();
            home.emptied.borrow_mut().push(slf.clone().unbind());
            if home.depth.get() == 0 {
                lariat_reactor_call_soon(home.handle(), Some(go_on_soon), home.word());
            }
        }
        if that.goes_on() {
            // Perhaps this was the last that knew of it.
            drop(that.kept.replace(Some(waiter.clone().unbind())));
        } else if that.failed.get() {
            that.arm(py);
        }
    }

    /// A failure that is the last result is told of when this is collected.
    #[cold]
    fn arm(&self, py: Python<'_>) {
        if let Ok(info) = self.debug_info(py) {
            let _ = info.setattr(intern!(py, "failResult"), self.present(py));
        }
    }

    fn disarm(&self, py: Python<'_>) {
        let info = self.info.borrow().as_ref().map(|info| info.clone_ref(py));
        if let Some(info) = info {
            let _ = info.bind(py).setattr(intern!(py, "failResult"), py.None());
        }
    }

    fn debug_info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(info) = &*self.info.borrow() {
            return Ok(info.bind(py).clone());
        }
        let info = classes()?.debug_info.bind(py).call0()?;
        drop(self.info.replace(Some(info.clone().unbind())));
        Ok(info)
    }

    /// Fires it.
    fn fire(slf: &Bound<'_, Self>, result: Bound<'_, PyAny>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        if this.called.get() {
            return Self::fire_again(slf);
        }
        if this.debug() {
            this.debug_info(py)?.call_method0(intern!(py, "noteInvoker"))?;
        }
        let failed = is_failure(&result);
        let first = this.first.get();
        if first.is_null() {
            this.fired_with(result, failed);
            if failed {
                this.arm(py);
            }
            return Ok(());
        }
        let home = this.home();
        let work = Work::new(&home);
        if lariat_deferred_called(first) == LARIAT_ERR_WRONG_THREAD && !home.adopt() {
            return Err(errors::exception(LARIAT_ERR_WRONG_THREAD));
        }
        this.fired_with(result, failed);
        let status = if failed {
            if this.levels.borrow().is_empty() {
                this.arm(py);
            }
            lariat_deferred_errback(first, this.code(py), ptr::null())
        } else {
            lariat_deferred_callback(first, ptr::null_mut())
        };
        errors::check(status)?;
        work.raised()
    }

    #[inline]
    fn fired_with(&self, result: Bound<'_, PyAny>, failed: bool) {
        self.called.set(true);
        self.fired.set(true);
        self.set_result(result, failed);
        drop(self.canceller.take());
        drop(self.source.take());
    }

    /// A second time: swallowed once after a cancellation.
    #[cold]
    fn fire_again(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        if !this.fired.replace(true) && lariat_deferred_callback(this.first.get(), ptr::null_mut()) == LARIAT_OK {
            return Ok(());
        }
        let class = classes()?.already_called.bind(py);
        let error = if this.debug() {
            class.call1((this.debug_info(py)?.call_method0(intern!(py, "describe"))?,))?
        } else {
            class.call0()?
        };
        Err(PyErr::from_value(error))
    }

    /// Has the library know it anew, as one that has not been cancelled.
    #[cold]
    fn start_over(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        let old = this.first.replace(ptr::null_mut());
        lariat_deferred_release(old);
        lariat_deferred_abandon(old);
        let handle = Self::make(slf)?;
        let levels = this.levels.borrow().len();
        (0..levels).try_for_each(|_| {
            errors::check(lariat_deferred_add_callbacks(handle, Some(step), Some(step_with), this.word())).map(drop)
        })?;
        (0..this.pauses.get()).try_for_each(|_| errors::check(lariat_deferred_pause(handle)).map(drop))
    }

    /// Lets go of what the library has.
    fn end(&self) {
        slots::remove(self.number.get());
        let newest = self.newest();
        let release = !self.handed.get() && !newest.is_null();
        let mut status = if release { lariat_deferred_release(newest) } else { LARIAT_OK };
        if self.fired.get() && self.pauses.get() <= 0 && self.later.borrow().is_empty() && status == LARIAT_OK {
            return;
        }
        let home = self.home();
        if !release {
            status = lariat_deferred_called(self.first.get());
        }
        if status == LARIAT_ERR_WRONG_THREAD && !home.adopt() {
            lariat_deferred_abandon_from_thread(self.first.get());
            self.later.borrow().iter().for_each(|later| _ = lariat_deferred_abandon_from_thread(*later));
            if release {
                lariat_deferred_release_from_thread(newest);
            }
            return;
        }
        if status == LARIAT_ERR_WRONG_THREAD && release {
            lariat_deferred_release(newest);
        }
        let front = self.front();
        (0..self.pauses.get()).for_each(|_| _ = lariat_deferred_unpause(front));
        if !self.fired.get() {
            lariat_deferred_abandon(self.first.get());
        }
        let later = self.later.take();
        later.into_iter().for_each(|later| _ = lariat_deferred_abandon(later));
    }
}

impl Default for Deferred {
    #[inline]
    fn default() -> Self {
        Self {
            ready: Cell::new(true),
            home: RefCell::new(None),
            first: Cell::new(ptr::null_mut()),
            number: Cell::new(0),
            moved: Cell::new(false),
            handed: Cell::new(false),
            later: RefCell::new(Vec::new()),
            levels: RefCell::new(VecDeque::new()),
            result: RefCell::new(None),
            failed: Cell::new(false),
            called: Cell::new(false),
            fired: Cell::new(false),
            pauses: Cell::new(0),
            chained_to: RefCell::new(None),
            kept: RefCell::new(None),
            source: RefCell::new(None),
            refused: Cell::new(false),
            debug: Cell::new(false),
            canceller: RefCell::new(None),
            info: RefCell::new(None),
        }
    }
}

impl Drop for Deferred {
    #[inline]
    fn drop(&mut self) {
        if self.number.get() != 0 {
            self.end();
        }
    }
}

impl Deferred {
    /// The one that it waits for, in the end, if that is of a class of its own, with its own way to be cancelled.
    fn waits_for_another_kind<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, Self>>> {
        let py = slf.py();
        let own = py.get_type::<Self>();
        let next = |deferred: &Self| deferred.chained_to.borrow().as_ref().map(|other| other.bind(py).clone());
        let mut at = next(slf.get());
        while let Some(other) = at {
            if other.is(slf) {
                return Ok(None);
            }
            if !other.get_type().is(&own) {
                return Ok(Some(other));
            }
            at = next(other.get());
        }
        Ok(None)
    }
}
