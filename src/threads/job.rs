//! A job: what a pool thread runs, who may take it back, and what became of it.

use crate::deferred::DeferredItem;
use crate::handles::{CallFn, HandleFn, Owned, Word};
use crate::reactor::ReactorItem;
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Work of the library's own: on a pool thread. What it gives is called on the reactor's, or dropped if nobody is there.
pub type Inside = Box<dyn FnOnce(&Job) -> Finish + Send>;
/// Gives the Deferred what the work came to. None: nobody wants it any more.
pub type Finish = Box<dyn FnOnce(ReactorItem, Option<DeferredItem>) + Send>;

/// What is to be done.
pub enum Work {
    /// `call_in_thread`
    Call(CallFn, Owned),
    /// `defer_to_thread`
    Defer(HandleFn, Owned),
    /// See [`Inside`].
    Inside(Inside),
}

/// What was done.
pub enum End {
    /// The host's data, and what its function has recorded, the last one valid.
    Host(Owned, Vec<JobOutcome>),
    /// See [`Finish`].
    Inside(Finish),
}

/// What a job recorded or returned.
#[derive(Default)]
pub enum JobOutcome {
    /// Nothing to tell.
    #[default]
    Nothing,
    /// A value.
    Value(Owned),
    /// A failure: its code and its words.
    Failure(i32, Option<String>),
}

/// Where a job is. Whoever changes it owns what is in it.
enum Place {
    Waiting(Work),
    Running,
    Done(End),
    /// Taken back before it ran, or its end already seen to.
    Gone,
    /// Nobody waits for it any more: it frees what it has by itself.
    LeftOver,
}

/// A job, shared between the reactor's thread and the pool.
pub struct Job {
    /// Unlike any other's in the process.
    pub number: u64,
    /// The scope that it belongs to; 0 none.
    pub scope: u32,
    cancelled: AtomicBool,
    place: Mutex<Place>,
    done: Condvar,
}

struct Current {
    handle: Cell<Word>,
    job: RefCell<Option<Arc<Job>>>,
    /// The last one counts; those before are let go on the reactor's thread.
    recorded: RefCell<Vec<JobOutcome>>,
}

thread_local! {
    static CURRENT: Current =
        const { Current { handle: Cell::new(Word::NULL), job: RefCell::new(None), recorded: RefCell::new(Vec::new()) } };
}

/// Low bits that no other handle has.
const TAG: u64 = 0b0_1011;

fn lock(mutex: &Mutex<Place>) -> MutexGuard<'_, Place> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Job {
    /// A job that waits to be run.
    pub fn new(work: Work, scope: u32) -> Arc<Self> {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            scope,
            cancelled: AtomicBool::new(false),
            place: Mutex::new(Place::Waiting(work)),
            done: Condvar::new(),
        })
    }

    /// Runs it on this thread, unless it was taken back. True if its end is now to be seen to.
    pub fn run(self: &Arc<Self>) -> bool {
        let before = std::mem::replace(&mut *lock(&self.place), Place::Running);
        let Place::Waiting(work) = before else {
            *lock(&self.place) = before;
            return false;
        };
        let end = match work {
            Work::Call(call, data) => {
                call(data.word());
                End::Host(data, Vec::new())
            }
            Work::Defer(function, data) => {
                let recorded = self.call(function, data.word());
                End::Host(data, recorded)
            }
            Work::Inside(work) => End::Inside(work(self)),
        };
        let mut place = lock(&self.place);
        if matches!(*place, Place::LeftOver) {
            drop(place);
            drop(end);
            return false;
        }
        *place = Place::Done(end);
        self.done.notify_all();
        true
    }

    /// The outcomes that it recorded, the last one valid.
    fn call(self: &Arc<Self>, function: HandleFn, data: Word) -> Vec<JobOutcome> {
        let handle = Word::from_addr((self.number << 5 | TAG) as usize);
        let set = |handle, job| {
            CURRENT.try_with(|current| {
                current.handle.set(handle);
                *current.job.borrow_mut() = job;
                current.recorded.take()
            })
        };
        let outer = CURRENT.try_with(|current| (current.handle.get(), current.job.borrow().clone()));
        drop(set(handle, Some(Arc::clone(self))));
        let returned = function(handle, data);
        // On the simulated driver jobs run on the loop, and so may nest.
        let (outer, outer_job) = outer.unwrap_or_default();
        let mut recorded = set(outer, outer_job).unwrap_or_default();
        if recorded.is_empty() {
            recorded.push(JobOutcome::Value(Owned::new(returned, None)));
        }
        recorded
    }

    /// What it came to, once it is done; once.
    pub fn take_end(&self) -> Option<End> {
        let mut place = lock(&self.place);
        match std::mem::replace(&mut *place, Place::Gone) {
            Place::Done(end) => Some(end),
            other => {
                *place = other;
                None
            }
        }
    }

    /// Whether nobody wants its result any more.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Nobody wants its result: it is not run if it was not yet, and can ask if it runs. What was to be done, if it was
    /// not run.
    pub fn cancel(&self) -> Option<Work> {
        self.cancelled.store(true, Ordering::Release);
        let mut place = lock(&self.place);
        match std::mem::replace(&mut *place, Place::Gone) {
            Place::Waiting(work) => Some(work),
            other => {
                *place = other;
                None
            }
        }
    }

    /// Waits for it until the deadline; then it is left over.
    pub fn wait_until(&self, deadline: Instant) {
        let mut place = lock(&self.place);
        while matches!(*place, Place::Running) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                *place = Place::LeftOver;
                return;
            }
            place = self.done.wait_timeout(place, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Records an outcome of the job that runs on this thread.
pub fn record(handle: Word, outcome: JobOutcome) -> Result {
    with_current(handle, |current| current.recorded.borrow_mut().push(outcome))
}

/// Whether nobody wants the result of the job that runs on this thread.
pub fn is_cancelled(handle: Word) -> Result<bool> {
    with_current(handle, |current| current.job.borrow().as_ref().is_some_and(|job| job.is_cancelled()))
}

fn with_current<R>(handle: Word, call: impl FnOnce(&Current) -> R) -> Result<R> {
    if handle.is_null() {
        return Err(Status::ERR_INVALID_ARGUMENT.because("NULL where a job is expected"));
    }
    let called = CURRENT.try_with(|current| (current.handle.get() == handle).then(|| call(current)));
    let stale = || match handle.addr() as u64 & 31 == TAG {
        true => Status::ERR_STALE_HANDLE.because("the job does not run on this thread"),
        false => Status::ERR_INVALID_HANDLE,
    };
    called.ok().flatten().ok_or_else(stale)
}
