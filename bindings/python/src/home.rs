//! The reactors of the library, and the quiet one of each thread: where Deferreds live, whether somebody made a reactor
//! or not. lariat.internet's reactor shares its thread's, so that its Deferreds have their time-outs from the library.

use crate::deferred::Deferred;
use crate::{errors, reactor};
use lariat::ffi::calls::*;
use lariat::ffi::options::*;
use lariat::ffi::reactor::*;
use lariat::ffi::stats::*;
use lariat::ffi::status::*;
use lariat::ffi::types::*;
use pyo3::ffi;
use pyo3::prelude::*;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::sync::Arc;

/// A reactor of the library, for as long as a Deferred or a Reactor object lives in it.
pub struct Home {
    handle: *mut lariat_reactor,
    /// The Reactor object, once it has run or was posted to; null when it is gone.
    pub object: Cell<*mut ffi::PyObject>,
    /// The interpreter's state of the thread that waits.
    pub saved: Cell<*mut ffi::PyThreadState>,
    /// How many methods of its Deferreds are at work, one inside of the other.
    pub depth: Cell<usize>,
    /// Deferreds whose result has moved on, and that are to go on without one when the present call is done.
    pub emptied: RefCell<Vec<Py<Deferred>>>,
    /// What a canceller raised, for the method that it was called in.
    pub raised: RefCell<Option<PyErr>>,
}

// SAFETY: the interpreter's lock is held wherever it is touched; the library checks its token on every thread.
unsafe impl Send for Home {}
// SAFETY: the same.
unsafe impl Sync for Home {}

thread_local! {
    static HERE: RefCell<Option<Arc<Home>>> = const { RefCell::new(None) };
}

impl Home {
    /// A new one, of this thread.
    pub fn new() -> PyResult<Arc<Self>> {
        // SAFETY: a struct of numbers, pointers and optional functions, of which the next line makes the defaults.
        let mut options: lariat_reactor_options = unsafe { std::mem::zeroed() };
        errors::check(lariat_reactor_options_init(&mut options, size_of::<lariat_reactor_options>() as u32))?;
        // As Python waits for its threads: for as long as their jobs take.
        options.shutdown_seconds = f64::INFINITY;
        let handle = lariat_reactor_new_with_options(&options);
        if handle.is_null() {
            return Err(errors::exception(lariat_last_error()));
        }
        let home = Arc::new(Self {
            handle,
            object: Cell::new(std::ptr::null_mut()),
            saved: Cell::new(std::ptr::null_mut()),
            depth: Cell::new(0),
            emptied: RefCell::default(),
            raised: RefCell::default(),
        });
        errors::check(lariat_reactor_set_wait_callbacks(handle, Some(let_go), Some(take_again), home.word()))?;
        Ok(home)
    }

    /// This thread's.
    #[inline]
    pub fn here() -> PyResult<Arc<Self>> {
        match HERE.with(|here| here.borrow().clone()) {
            Some(home) => Ok(home),
            None => Self::renew(),
        }
    }

    /// A new one for this thread, whose old one another thread has taken, if it had one.
    #[cold]
    pub fn renew() -> PyResult<Arc<Self>> {
        let home = Self::new()?;
        Self::settle(&home);
        Ok(home)
    }

    /// Makes it this thread's.
    pub fn settle(home: &Arc<Self>) {
        drop(HERE.with(|here| here.replace(Some(Arc::clone(home)))));
    }

    /// Its token.
    #[inline]
    pub fn handle(&self) -> *mut lariat_reactor {
        self.handle
    }

    /// What callbacks from the library are given to find it by: it outlives them all.
    pub fn word(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    /// The one that a callback was given.
    ///
    /// # Safety
    /// The word is that of one that is alive.
    pub unsafe fn from_word<'call>(word: *mut c_void) -> &'call Self {
        // SAFETY: as the caller says.
        unsafe { &*word.cast::<Self>() }
    }

    /// Whether it could be moved to this thread: nobody is using it on its own.
    pub fn adopt(&self) -> bool {
        lariat_reactor_adopt(self.handle) == LARIAT_OK
    }
}

/// What of the library's is alive in this thread's reactor, by kind: a leak is a number that a test can check.
#[pyfunction]
pub fn _alive() -> PyResult<Vec<(&'static str, u64)>> {
    // SAFETY: a struct of numbers, of which the next line makes the defaults.
    let mut stats: lariat_stats = unsafe { std::mem::zeroed() };
    errors::check(lariat_stats_init(&mut stats, size_of::<lariat_stats>() as u32))?;
    errors::check(lariat_reactor_stats(Home::here()?.handle(), &mut stats))?;
    Ok(vec![
        ("deferreds", stats.deferreds),
        ("delayed_calls", stats.delayed_calls),
        ("failures", stats.failures),
        ("soon_calls", stats.soon_calls),
        ("triggers", stats.triggers),
        ("watchers", stats.watchers),
    ])
}

/// Before a wait of the library: other threads may run Python.
extern "C" fn let_go(word: *mut c_void) {
    // SAFETY: a Home outlives its reactor, which calls; the lock is held, as in every callback.
    unsafe { Home::from_word(word).saved.set(ffi::PyEval_SaveThread()) };
}

extern "C" fn take_again(word: *mut c_void) {
    // SAFETY: what `let_go` let go of, on the same thread, which alone touches the field meanwhile.
    unsafe { ffi::PyEval_RestoreThread(Home::from_word(word).saved.replace(std::ptr::null_mut())) };
    reactor::check_signals(word);
}

impl Drop for Home {
    fn drop(&mut self) {
        // At the end of a thread nobody holds the interpreter's lock; at the end of the interpreter nobody can.
        Python::try_attach(|_| {
            if lariat_reactor_free(self.handle) == LARIAT_ERR_WRONG_THREAD && self.adopt() {
                lariat_reactor_free(self.handle);
            }
        });
    }
}
