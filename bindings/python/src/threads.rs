//! Calls on the threads of the library's pool.

use crate::call::Call;
use crate::errors;
use crate::reactor::Reactor;
use lariat::ffi::threads::*;
use pyo3::exceptions::PyAssertionError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{ffi, intern};
use std::cell::Cell;
use std::ffi::c_void;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

struct Job {
    call: Call,
    reactor: Py<Reactor>,
}

/// How many threads of pools are at work in the interpreter, and whether it ends: then none begins any more.
struct AtWork {
    threads: usize,
    over: bool,
}

static AT_WORK: Mutex<AtWork> = Mutex::new(AtWork { threads: 0, over: false });
static DONE: Condvar = Condvar::new();

fn at_work() -> MutexGuard<'static, AtWork> {
    AT_WORK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// While it lives, the interpreter does not end.
struct Work;

impl Work {
    fn begin() -> Option<Self> {
        let mut at_work = at_work();
        if at_work.over {
            return None;
        }
        at_work.threads += 1;
        Some(Self)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        at_work().threads -= 1;
        DONE.notify_all();
    }
}

/// What the interpreter knows of a thread of the pool, from its first job to its end: what is kept in a threading.local
/// stays there between two jobs.
struct State(Cell<bool>);

thread_local! {
    static STATE: State = const { State(Cell::new(false)) };
}

impl State {
    fn keep(&self) {
        if !self.0.replace(true) {
            // SAFETY: one more of these than of those below, until the thread ends.
            unsafe {
                ffi::PyGILState_Ensure();
                ffi::PyEval_SaveThread();
            }
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if !self.0.get() {
            return;
        }
        if let Some(_work) = Work::begin() {
            // SAFETY: the last one is for that of `keep`; until then the thread holds the lock.
            unsafe {
                ffi::PyGILState_Ensure();
                ffi::PyGILState_Release(ffi::PyGILState_STATE::PyGILState_LOCKED);
                ffi::PyGILState_Release(ffi::PyGILState_STATE::PyGILState_UNLOCKED);
            }
        }
    }
}

extern "C" fn run(word: *mut c_void) {
    let Some(_work) = Work::begin() else { return };
    STATE.with(State::keep);
    // SAFETY: the library has the job until it frees it.
    let job = unsafe { &*word.cast::<Job>() };
    Python::attach(|py| {
        if let Err(error) = job.call.make(py) {
            let told = job.reactor.bind(py).call_method1(intern!(py, "_unhandled"), (error.value(py), "callInThread"));
            if let Err(error) = told {
                error.write_unraisable(py, None);
            }
        }
    });
}

extern "C" fn free(word: *mut c_void) {
    // SAFETY: it came from Box::into_raw, and is freed once.
    let job = unsafe { Box::from_raw(word.cast::<Job>()) };
    match Work::begin() {
        Some(_work) => Python::attach(|_| drop(job)),
        // The interpreter is past caring.
        None => std::mem::forget(job),
    }
}

#[pymethods]
impl Reactor {
    /// Calls callable(*args, **kwargs) on a thread of the pool.
    #[pyo3(name = "callInThread", signature = (callable, *args, **kwargs))]
    fn call_in_thread<'py>(
        slf: &Bound<'py, Self>,
        callable: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
    ) -> PyResult<()> {
        if !callable.is_callable() {
            return Err(PyAssertionError::new_err(format!("{} is not callable", callable.repr()?)));
        }
        let job = Box::new(Job { call: Call::new(callable, args, kwargs), reactor: slf.clone().unbind() });
        slf.get().here();
        let word = Box::into_raw(job).cast();
        let free = Some(free as extern "C" fn(*mut c_void));
        errors::check(lariat_reactor_call_in_thread_full(slf.get().handle(), Some(run), word, free)).map(drop)
    }

    /// Has the pool use so many threads at most.
    #[pyo3(name = "suggestThreadPoolSize")]
    fn suggest_thread_pool_size(&self, size: u32) -> PyResult<()> {
        errors::check(self.on(|| lariat_reactor_suggest_thread_pool_size(self.handle(), size))).map(drop)
    }
}

/// At the end of the interpreter: waits for the threads of all pools, which begin nothing any more.
#[pyfunction]
pub fn _end_threads(py: Python<'_>) {
    at_work().over = true;
    py.detach(|| {
        let mut at_work = at_work();
        while at_work.threads != 0 {
            at_work = DONE.wait(at_work).unwrap_or_else(PoisonError::into_inner);
        }
    });
}
