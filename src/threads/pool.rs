//! The pool of a reactor: threads that come when there is work and go when there is none.

use super::job::{End, Inside, Job, JobOutcome, Work};
use crate::deferred::{Deferred, DeferredItem, chain, failure};
use crate::handles::{self, Body, HandleFn, Item, Kind, Owned, Word};
use crate::platform;
use crate::reactor::{Reactor, ReactorItem, posts, soon};
use crate::status::{Result, Status};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What the pool's threads share.
#[derive(Default)]
struct Shared {
    /// Jobs sent and not yet picked up, less the threads that wait for one: when positive, another thread helps.
    waiting: AtomicUsize,
    idle: AtomicUsize,
    alive: Mutex<usize>,
    ended: Condvar,
}

struct Record {
    job: Arc<Job>,
    /// The Deferred that gets its result; null for a plain call.
    deferred: Word,
}

#[derive(Default)]
struct Threads {
    sender: Option<Sender<Arc<Job>>>,
    receiver: Option<Receiver<Arc<Job>>>,
    handles: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
}

/// See the module.
#[derive(Default)]
pub struct ThreadPool {
    records: RefCell<BTreeMap<u64, Record>>,
    threads: RefCell<Threads>,
}

impl Body for ThreadPool {
    const KIND: Kind = Kind::ThreadPool;
    const SLOTS: u32 = 1;
    type Root = Reactor;
    type Beside = ();

    fn end(pool: Item<Self>) {
        pool.root().pools.free(pool);
    }
}

fn pool_of(reactor: ReactorItem) -> Result<Item<ThreadPool>> {
    if let Ok(pool) = handles::get::<ThreadPool>(reactor.thread_pool.get()) {
        return Ok(pool);
    }
    let pool = reactor.pools.alloc::<ThreadPool>()?;
    reactor.thread_pool.set(pool.word());
    reactor.above.cancel_jobs.set(Some(cancel_jobs));
    reactor.above.end_jobs.set(Some(end_jobs));
    reactor.above.jobs.set(Some(jobs));
    Ok(pool)
}

/// Runs `work` on a pool thread, for a Deferred or for nobody.
fn submit(reactor: ReactorItem, work: Work, scope: u32, deferred: Word) -> Result<Arc<Job>> {
    reactor.check_open()?;
    let pool = pool_of(reactor)?;
    let limit = reactor.limits().jobs as usize;
    if limit != 0 && waiting(reactor, pool) >= limit {
        return Err(Status::ERR_LIMIT.because(format_args!("{limit} jobs are waiting, the limit")));
    }
    handles::check_memory(8 * 1024)?;
    let job = Job::new(work, scope);
    let record = Record { job: Arc::clone(&job), deferred };
    pool.records.borrow_mut().insert(job.number, record);
    if let Err(why) = dispatch(reactor, pool, &job) {
        pool.records.borrow_mut().remove(&job.number);
        drop(job.cancel());
        return Err(why);
    }
    Ok(job)
}

/// Jobs that no thread has begun.
fn waiting(reactor: ReactorItem, pool: Item<ThreadPool>) -> usize {
    if reactor.is_simulated() {
        return pool.records.borrow().len();
    }
    pool.threads.borrow().shared.waiting.load(Ordering::Acquire)
}

fn dispatch(reactor: ReactorItem, pool: Item<ThreadPool>, job: &Arc<Job>) -> Result {
    if reactor.is_simulated() {
        let scope = reactor.scope.replace(0);
        let number = Word::from_addr(job.number as usize);
        let posted = soon::call_soon(reactor, Some(run_on_loop), Owned::new(number, None));
        reactor.scope.set(scope);
        // The loop finds the reactor by the number alone: jobs of a thread's simulations are few.
        SIMULATED.with(|jobs| jobs.borrow_mut().insert(job.number, reactor.word()));
        return posted;
    }
    let mut threads = pool.threads.borrow_mut();
    if threads.sender.is_none() {
        let (sender, receiver) = unbounded();
        (threads.sender, threads.receiver) = (Some(sender), Some(receiver));
    }
    let shared = Arc::clone(&threads.shared);
    let waiting = shared.waiting.fetch_add(1, Ordering::AcqRel) + 1;
    let alive = *shared.alive.lock().unwrap_or_else(PoisonError::into_inner);
    if waiting > shared.idle.load(Ordering::Acquire) && alive < reactor.limits().pool_threads as usize {
        if let Err(why) = start_thread(reactor, &mut threads) {
            if alive == 0 {
                shared.waiting.fetch_sub(1, Ordering::AcqRel);
                return Err(Status::ERR_OS.because(format_args!("starting a pool thread: {why}")));
            }
        }
    }
    let sender = threads.sender.as_ref().ok_or(Status::ERR_CLOSED)?;
    sender.send(Arc::clone(job)).map_err(|_| Status::ERR_CLOSED)
}

fn start_thread(reactor: ReactorItem, threads: &mut Threads) -> std::io::Result<()> {
    threads.handles.retain(|handle| !handle.is_finished());
    let Some(receiver) = threads.receiver.clone() else { return Ok(()) };
    let shared = Arc::clone(&threads.shared);
    let idle = Duration::from_nanos(reactor.limits().pool_idle);
    let reactor = reactor.word();
    *shared.alive.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    let counted = Arc::clone(&shared);
    let builder = std::thread::Builder::new().name("lariat pool".into());
    let spawned = platform::with_signals_blocked(|| builder.spawn(move || work(reactor, &receiver, &shared, idle)));
    match spawned {
        Ok(handle) => {
            threads.handles.push(handle);
            Ok(())
        }
        Err(why) => {
            *counted.alive.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
            Err(why)
        }
    }
}

/// A pool thread's life.
fn work(reactor: Word, receiver: &Receiver<Arc<Job>>, shared: &Shared, idle: Duration) {
    loop {
        shared.idle.fetch_add(1, Ordering::AcqRel);
        let received = receiver.recv_timeout(idle);
        shared.idle.fetch_sub(1, Ordering::AcqRel);
        match received {
            Ok(job) => {
                shared.waiting.fetch_sub(1, Ordering::AcqRel);
                if job.run() {
                    tell(reactor, job);
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
            // A job sent just now may have counted on this thread.
            Err(RecvTimeoutError::Timeout) if !receiver.is_empty() => {}
            Err(RecvTimeoutError::Timeout) => break,
        }
    }
    *shared.alive.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
    shared.ended.notify_all();
}

/// Has the end of a job seen to on the reactor's thread; if that is gone, here.
fn tell(reactor: Word, job: Arc<Job>) {
    let number = job.number;
    let message: crate::reactor::Message = Box::new(move |reactor| finish(reactor, number));
    if posts::post_message(reactor, message).is_err() {
        drop(job.take_end());
    }
}

fn take_record(reactor: ReactorItem, number: u64) -> Option<Record> {
    let pool = handles::get::<ThreadPool>(reactor.thread_pool.get()).ok()?;
    pool.records.borrow_mut().remove(&number)
}

/// On the reactor's thread: a job is done.
fn finish(reactor: ReactorItem, number: u64) {
    let Some(record) = take_record(reactor, number) else { return };
    let Some(end) = record.job.take_end() else { return };
    let _out = reactor.call_out();
    let deferred = handles::get::<Deferred>(record.deferred).ok();
    let (data, mut outcomes) = match end {
        End::Host(data, outcomes) => (data, outcomes),
        End::Inside(finish) => return finish(reactor, deferred),
    };
    let outcome = outcomes.pop().unwrap_or_default();
    if let Some(deferred) = deferred {
        let _ = match outcome {
            JobOutcome::Nothing => chain::callback(deferred, Owned::default()),
            JobOutcome::Value(value) => chain::callback(deferred, value),
            JobOutcome::Failure(code, message) => {
                let reason = failure::Reason { code, os_error: 0, message: message.as_deref() };
                chain::errback_with(deferred, &reason, Owned::default())
            }
        };
    } else {
        drop(outcome);
    }
    drop(data);
}

thread_local! {
    /// Which simulated reactor a job belongs to.
    static SIMULATED: RefCell<BTreeMap<u64, Word>> = const { RefCell::new(BTreeMap::new()) };
}

extern "C-unwind" fn run_on_loop(number: Word) {
    let number = number.addr() as u64;
    let reactor = SIMULATED.with(|jobs| jobs.borrow_mut().remove(&number));
    let Some(reactor) = reactor.and_then(|word| handles::get::<Reactor>(word).ok()) else { return };
    let pool = handles::get::<ThreadPool>(reactor.thread_pool.get());
    let job = pool.ok().and_then(|pool| pool.records.borrow().get(&number).map(|record| Arc::clone(&record.job)));
    if let Some(job) = job {
        let _out = reactor.call_out();
        job.run();
        finish(reactor, number);
    }
}

/// Calls `call` on a pool thread.
pub fn call_in_thread(reactor: ReactorItem, call: crate::handles::CallFn, data: Owned) -> Result {
    submit(reactor, Work::Call(call, data), reactor.scope.get(), Word::NULL).map(|_| ())
}

/// Calls `function` on a pool thread; the Deferred fires with what it gives. Cancelling takes the job back if it does
/// not run yet.
pub fn defer_to_thread(reactor: ReactorItem, function: HandleFn, data: Owned) -> Result<DeferredItem> {
    let deferred = chain::new_inside(reactor, cancel_job, Word::NULL)?;
    submit_for(reactor, Work::Defer(function, data), deferred)
}

/// The same for work of the library's own.
pub fn defer_inside(reactor: ReactorItem, work: Inside) -> Result<DeferredItem> {
    let deferred = chain::new_inside(reactor, cancel_job, Word::NULL)?;
    submit_for(reactor, Work::Inside(work), deferred)
}

fn submit_for(reactor: ReactorItem, work: Work, deferred: DeferredItem) -> Result<DeferredItem> {
    let job = submit(reactor, work, reactor.scope.get(), deferred.word());
    let job = job.inspect_err(|_| crate::deferred::later::discard(deferred))?;
    chain::set_canceller_data(deferred, Word::from_addr(job.number as usize));
    Ok(deferred)
}

/// Runs work of the library's own for a Deferred whose canceller is the caller's, as a job of `scope`. Gives the job's
/// number, for [`give_up`].
pub fn run_inside(reactor: ReactorItem, scope: u32, work: Inside, deferred: Word) -> Result<u64> {
    submit(reactor, Work::Inside(work), scope, deferred).map(|job| job.number)
}

/// Nobody wants the result of a job any more. True: it was taken back, and has no end. False: it runs, or has run, and
/// its end comes without a Deferred.
pub fn give_up(reactor: ReactorItem, number: u64) -> bool {
    let Ok(pool) = handles::get::<ThreadPool>(reactor.thread_pool.get()) else { return false };
    let job = pool.records.borrow_mut().get_mut(&number).map(|record| {
        record.deferred = Word::NULL;
        Arc::clone(&record.job)
    });
    let Some(work) = job.and_then(|job| job.cancel()) else { return false };
    take_record(reactor, number);
    drop(work);
    true
}

extern "C-unwind" fn cancel_job(deferred: Word, number: Word) {
    let Ok(deferred) = handles::get::<Deferred>(deferred) else { return };
    give_up(deferred.root(), number.addr() as u64);
    let _ = chain::abandon(deferred);
}

/// Jobs waiting or running, and threads.
fn jobs(reactor: ReactorItem) -> (usize, usize) {
    let Ok(pool) = handles::get::<ThreadPool>(reactor.thread_pool.get()) else { return (0, 0) };
    let alive = *pool.threads.borrow().shared.alive.lock().unwrap_or_else(PoisonError::into_inner);
    (pool.records.borrow().len(), alive)
}

/// See [`Above`](crate::reactor::Above).
fn cancel_jobs(reactor: ReactorItem, scope: u32) {
    let Ok(pool) = handles::get::<ThreadPool>(reactor.thread_pool.get()) else { return };
    let records = pool.records.borrow();
    let of_scope = records.values().filter(|record| scope == 0 || record.job.scope == scope);
    // The newest first: a thread whose job ends must find none that waits.
    let jobs: Vec<Arc<Job>> = of_scope.rev().map(|record| Arc::clone(&record.job)).collect();
    drop(records);
    let _out = reactor.call_out();
    jobs.iter().for_each(|job| drop(job.cancel()));
}

/// Takes back the jobs of a scope that do not run yet and waits for the others until the deadline; 0: all jobs, and the
/// threads too.
fn end_jobs(reactor: ReactorItem, scope: u32, deadline: u64) {
    let Ok(pool) = handles::get::<ThreadPool>(reactor.thread_pool.get()) else { return };
    let left = Duration::from_nanos(deadline.saturating_sub(platform::monotonic_nanoseconds()));
    let deadline = Instant::now() + left;
    let _out = reactor.call_out();
    let records = pool.records.take();
    let (ended, kept) = records.into_iter().partition(|(_, record)| scope == 0 || record.job.scope == scope);
    *pool.records.borrow_mut() = kept;
    let ended: BTreeMap<u64, Record> = ended;
    for record in ended.values() {
        drop(record.job.cancel());
    }
    for record in ended.values() {
        let wait = reactor.wait();
        record.job.wait_until(deadline);
        drop(wait);
        drop(record.job.take_end());
    }
    if scope == 0 {
        let _wait = reactor.wait();
        end_threads(pool, deadline);
    }
}

fn end_threads(pool: Item<ThreadPool>, deadline: Instant) {
    let threads = pool.threads.take();
    drop((threads.sender, threads.receiver));
    let mut alive = threads.shared.alive.lock().unwrap_or_else(PoisonError::into_inner);
    while *alive != 0 {
        let left = deadline.saturating_duration_since(Instant::now());
        // Idle threads end at once; only one with a job that is left over is not waited for.
        if left == Duration::ZERO {
            return;
        }
        alive = threads.shared.ended.wait_timeout(alive, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    drop(alive);
    threads.handles.into_iter().for_each(|handle| drop(handle.join()));
}
