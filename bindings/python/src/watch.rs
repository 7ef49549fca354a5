//! Watching descriptors and signals.

use crate::errors::{self, check};
use crate::link::{self, Hold};
use crate::reactor::Reactor;
use lariat::ffi::signal_watch::*;
use lariat::ffi::status::*;
use lariat::ffi::types::*;
use lariat::ffi::watcher::*;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr;

/// A watched descriptor: `ready(readiness)` is called in each turn that finds it ready.
#[pyclass(weakref, frozen, module = "lariat._lariat")]
pub struct Watcher {
    hold: Hold,
    handle: Cell<*mut lariat_watcher>,
    ready: RefCell<Option<Py<PyAny>>>,
}

// SAFETY: the interpreter's lock is held wherever it is touched, and no borrow is held while Python code runs.
unsafe impl Send for Watcher {}
// SAFETY: the same.
unsafe impl Sync for Watcher {}

extern "C" fn is_ready(_watcher: *mut lariat_watcher, readiness: i32, word: *mut c_void) {
    let Some(watcher) = link::object::<Watcher>(word) else { return };
    let py = watcher.py();
    let ready = watcher.get().ready.borrow().as_ref().map(|ready| ready.clone_ref(py));
    if let Some(Err(error)) = ready.map(|ready| ready.bind(py).call1((readiness,))) {
        Reactor::report(watcher.get().hold.core.bind(py), error, "a watched descriptor");
    }
}

#[pymethods]
impl Watcher {
    #[new]
    fn new(
        py: Python<'_>,
        core: Bound<'_, Reactor>,
        descriptor: i32,
        interest: i32,
        ready: Bound<'_, PyAny>,
    ) -> PyResult<Py<Self>> {
        let this = Bound::new(
            py,
            Self {
                hold: Hold::new(core.clone()),
                handle: Cell::new(ptr::null_mut()),
                ready: RefCell::new(Some(ready.unbind())),
            },
        )?;
        core.get().here();
        let word = this.get().hold.word(&this);
        let handle = lariat_reactor_watch_full(
            core.get().handle(),
            descriptor,
            interest,
            Some(is_ready),
            word,
            Some(link::free),
        );
        if handle.is_null() {
            let error = errors::exception(lariat_last_error());
            this.get().hold.let_go();
            return Err(error);
        }
        this.get().handle.set(handle);
        Ok(this.unbind())
    }

    /// Asks for something else: 1 readable, 2 writable, 3 both.
    fn set_interest(&self, interest: i32) -> PyResult<()> {
        check(lariat_watcher_set_interest(self.handle.get(), interest)).map(drop)
    }

    /// Watches no more.
    fn stop(&self) {
        lariat_watcher_stop(self.handle.replace(ptr::null_mut()));
        let ready = self.ready.take();
        self.hold.let_go();
        drop(ready);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.hold.traverse(&visit)?;
        visit.call(&*self.ready.borrow())
    }

    fn __clear__(&self) {
        drop(self.ready.take());
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        lariat_watcher_stop(self.handle.get());
    }
}

/// A watched signal: the loop wakes up for it, and Python's own handler is called.
#[pyclass(weakref, frozen, module = "lariat._lariat")]
pub struct SignalWatch {
    hold: Hold,
    handle: Cell<*mut lariat_signal_watch>,
}

// SAFETY: the interpreter's lock is held wherever it is touched.
unsafe impl Send for SignalWatch {}
// SAFETY: the same.
unsafe impl Sync for SignalWatch {}

extern "C" fn has_come(_watch: *mut lariat_signal_watch, _number: i32, word: *mut c_void) {
    let Some(watch) = link::object::<SignalWatch>(word) else { return };
    if let Err(error) = watch.py().check_signals() {
        watch.get().hold.core.get().stop_with(error);
    }
}

#[pymethods]
impl SignalWatch {
    #[new]
    fn new(py: Python<'_>, core: Bound<'_, Reactor>, number: i32) -> PyResult<Py<Self>> {
        let this = Bound::new(py, Self { hold: Hold::new(core.clone()), handle: Cell::new(ptr::null_mut()) })?;
        core.get().here();
        let word = this.get().hold.word(&this);
        let handle =
            lariat_reactor_watch_signal_full(core.get().handle(), number, Some(has_come), word, Some(link::free));
        if handle.is_null() {
            let error = errors::exception(lariat_last_error());
            this.get().hold.let_go();
            return Err(error);
        }
        this.get().handle.set(handle);
        Ok(this.unbind())
    }

    /// Watches no more.
    fn stop(&self) {
        lariat_signal_watch_stop(self.handle.replace(ptr::null_mut()));
        self.hold.let_go();
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.hold.traverse(&visit)
    }
}

impl Drop for SignalWatch {
    fn drop(&mut self) {
        lariat_signal_watch_stop(self.handle.get());
    }
}

/// Names that the reactor looks up.
#[pyclass(weakref, frozen, module = "lariat._lariat")]
pub struct LookUp {
    hold: Hold,
    deferred: Cell<*mut lariat_deferred>,
    done: RefCell<Option<Py<PyAny>>>,
}

// SAFETY: the interpreter's lock is held wherever it is touched, and no borrow is held while Python code runs.
unsafe impl Send for LookUp {}
// SAFETY: the same.
unsafe impl Sync for LookUp {}

extern "C" fn found(
    _deferred: *mut lariat_deferred,
    value: *mut c_void,
    failure: *const lariat_failure,
    word: *mut c_void,
) -> *mut c_void {
    use lariat::ffi::resolver::{lariat_addresses_count, lariat_addresses_text};
    let Some(look_up) = link::object::<LookUp>(word) else { return ptr::null_mut() };
    let py = look_up.py();
    let this = look_up.get();
    this.deferred.set(ptr::null_mut());
    this.hold.let_go();
    let Some(done) = this.done.take() else { return ptr::null_mut() };
    let result = if failure.is_null() {
        let addresses: *const lariat_addresses = value.cast();
        let texts: Vec<String> = (0..lariat_addresses_count(addresses))
            .map(|index| {
                // SAFETY: the library's text, ended by NUL.
                unsafe { std::ffi::CStr::from_ptr(lariat_addresses_text(addresses, index)) }
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        done.bind(py).call1((texts, 0, ""))
    } else {
        let (code, _, text) = crate::stream::why(failure);
        done.bind(py).call1((py.None(), code, text))
    };
    if let Err(error) = result {
        Reactor::report(this.hold.core.bind(py), error, intern!(py, "a look-up").to_str().unwrap_or_default());
    }
    ptr::null_mut()
}

#[pymethods]
impl LookUp {
    /// Has `done(addresses, code, message)` called, `addresses` being None if there is none.
    #[new]
    fn new(
        py: Python<'_>,
        core: Bound<'_, Reactor>,
        name: &str,
        family: i32,
        seconds: f64,
        done: Bound<'_, PyAny>,
    ) -> PyResult<Py<Self>> {
        use lariat::ffi::chain::{lariat_deferred_add_both_full, lariat_deferred_release};
        let name = crate::stream::c_text(name)?;
        core.get().here();
        let deferred =
            lariat::ffi::resolver::lariat_reactor_resolve(core.get().handle(), name.as_ptr(), family, seconds);
        if deferred.is_null() {
            return Err(errors::exception(lariat_last_error()));
        }
        let this = Bound::new(
            py,
            Self { hold: Hold::new(core), deferred: Cell::new(deferred), done: RefCell::new(Some(done.unbind())) },
        )?;
        let word = this.get().hold.word(&this);
        check(lariat_deferred_add_both_full(deferred, Some(found), word, Some(link::free)))?;
        check(lariat_deferred_release(deferred))?;
        Ok(this.unbind())
    }

    /// Nobody wants to know any more.
    fn cancel(&self) {
        let deferred = self.deferred.replace(ptr::null_mut());
        let done = self.done.take();
        self.hold.let_go();
        if !deferred.is_null() {
            lariat::ffi::chain::lariat_deferred_cancel(deferred);
        }
        drop(done);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.hold.traverse(&visit)?;
        visit.call(&*self.done.borrow())
    }

    fn __clear__(&self) {
        drop(self.done.take());
    }
}
