//! What is called when the reactor starts and stops.

use crate::call::Call;
use crate::errors;
use crate::link::{self, Hold};
use crate::reactor::Reactor;
use lariat::ffi::deferred::*;
use lariat::ffi::status::*;
use lariat::ffi::trigger::*;
use lariat::ffi::types::*;
use pyo3::exceptions::{PyAssertionError, PyKeyError, PyValueError};
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use pyo3::{PyTraverseError, intern};
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr;

/// A call to be made when the reactor starts or stops.
#[pyclass(weakref, frozen, module = "lariat._lariat")]
pub struct Trigger {
    /// False while the object is being made: the interpreter may collect between its allocation and its contents.
    ready: Cell<bool>,
    hold: Hold,
    handle: Cell<*mut lariat_trigger>,
    call: RefCell<Option<Call>>,
}

// SAFETY: the interpreter's lock is held wherever it is touched, and no borrow is held while Python code runs.
unsafe impl Send for Trigger {}
// SAFETY: the same.
unsafe impl Sync for Trigger {}

extern "C" fn fire(word: *mut c_void) -> *mut lariat_deferred {
    let Some(trigger) = link::object::<Trigger>(word) else { return ptr::null_mut() };
    let this = trigger.get();
    this.handle.set(ptr::null_mut());
    this.hold.let_go();
    let Some(call) = this.call.take() else { return ptr::null_mut() };
    let core = this.hold.core.bind(trigger.py()).clone();
    match call.make(trigger.py()).and_then(|result| wait_for(core.get(), &result)) {
        Ok(deferred) => deferred,
        Err(error) => {
            Reactor::report(&core, error, "a system event trigger");
            ptr::null_mut()
        }
    }
}

/// A Deferred of the library that fires when that of Python does; null: it is none.
fn wait_for(reactor: &Reactor, result: &Bound<'_, PyAny>) -> PyResult<*mut lariat_deferred> {
    let py = result.py();
    let Some(add_both) = result.getattr_opt(intern!(py, "addBoth"))? else { return Ok(ptr::null_mut()) };
    let deferred = lariat_deferred_new(reactor.handle());
    let address = deferred as usize;
    let fired =
        PyCFunction::new_closure(py, None, None, move |args: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
            lariat_deferred_callback(address as *mut lariat_deferred, ptr::null_mut());
            // A failure is passed on, to be logged when its Deferred is collected.
            args.get_item(0).map(Bound::unbind)
        })?;
    add_both.call1((fired,))?;
    Ok(deferred)
}

#[pymethods]
impl Reactor {
    /// Has callable(*args, **kw) called in a phase of the next start or end: "before", "during" or "after", "startup" or
    /// "shutdown". The Deferreds that those of "before" return are waited for. Gives what `removeSystemEventTrigger` takes.
    #[pyo3(name = "addSystemEventTrigger", signature = (phase, event_type, callable, *args, **kw))]
    fn add_trigger<'py>(
        slf: &Bound<'py, Self>,
        phase: &str,
        event_type: &str,
        callable: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
        kw: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Trigger>> {
        let phase = match phase {
            "before" => LARIAT_TRIGGER_BEFORE,
            "during" => LARIAT_TRIGGER_DURING,
            "after" => LARIAT_TRIGGER_AFTER,
            other => return Err(PyKeyError::new_err(format!("invalid phase: {other}"))),
        };
        let event = match event_type {
            "startup" => LARIAT_TRIGGER_STARTUP,
            "shutdown" => LARIAT_TRIGGER_SHUTDOWN,
            other => return Err(PyKeyError::new_err(format!("no such event: {other}"))),
        };
        if !callable.is_callable() {
            return Err(PyAssertionError::new_err(format!("{} is not callable", callable.repr()?)));
        }
        let trigger = Bound::new(
            slf.py(),
            Trigger {
                ready: Cell::new(true),
                hold: Hold::new(slf.clone()),
                handle: Cell::new(ptr::null_mut()),
                call: RefCell::new(Some(Call::new(callable, args, kw))),
            },
        )?;
        slf.get().here();
        let word = trigger.get().hold.word(&trigger);
        let free = Some(link::free as extern "C" fn(*mut c_void));
        let handle =
            lariat_reactor_add_system_event_trigger_full(slf.get().handle(), phase, event, Some(fire), word, free);
        if handle.is_null() {
            trigger.get().hold.let_go();
            return Err(errors::exception(lariat_last_error()));
        }
        trigger.get().handle.set(handle);
        Ok(trigger)
    }

    /// Takes a trigger back.
    #[pyo3(name = "removeSystemEventTrigger")]
    fn remove_trigger(&self, trigger_id: &Bound<'_, Trigger>) -> PyResult<()> {
        let this = trigger_id.get();
        let handle = this.handle.replace(ptr::null_mut());
        if handle.is_null() {
            return Err(PyValueError::new_err("the trigger has fired or was removed"));
        }
        errors::check(self.on(|| lariat_trigger_remove(handle)))?;
        this.hold.let_go();
        drop(this.call.take());
        Ok(())
    }

    /// Calls it now, if the reactor runs, else when it does.
    #[pyo3(name = "callWhenRunning", signature = (callable, *args, **kw))]
    fn call_when_running<'py>(
        slf: &Bound<'py, Self>,
        callable: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
        kw: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Option<Bound<'py, Trigger>>> {
        if slf.get().is_running() {
            Call::new(callable, args, kw).make(slf.py())?;
            return Ok(None);
        }
        Self::add_trigger(slf, "after", "startup", callable, args, kw).map(Some)
    }
}

#[pymethods]
impl Trigger {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.ready.get() {
            return Ok(());
        }
        self.hold.traverse(&visit)?;
        self.call.borrow().as_ref().map_or(Ok(()), |call| call.traverse(&visit))
    }

    fn __clear__(&self) {
        drop(self.call.take());
    }
}
