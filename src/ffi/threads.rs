//! The thread pool, the jobs on it, and blocking calls from other threads.

use super::convert;
use super::guard;
use super::status::lariat_status;
use super::types::*;
use crate::handles::{self, Owned, Word};
use crate::reactor::{Limits, Reactor};
use crate::status::Status;
use crate::threads::job::{self, JobOutcome};
use crate::threads::{blocking, pool};
use std::ffi::{c_char, c_void};
use std::time::Duration;

/// Has the thread pool use so many threads at most. Threads start when there is work for them.
///
/// size     0: 10.
/// thread   the reactor's.
/// Twisted  IReactorThreads.suggestThreadPoolSize.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_suggest_thread_pool_size(reactor: *mut lariat_reactor, size: u32) -> lariat_status {
    guard::on(reactor, |reactor| {
        reactor.set_pool_threads(if size == 0 { Limits::default().pool_threads } else { size });
        Ok(())
    })
}

/// Calls fn(user_data) once, on a thread of the pool. On a simulated reactor the call comes on its loop.
///
/// user_data  may be NULL; passed through.
/// errors     LARIAT_ERR_LIMIT at options.max_jobs; LARIAT_ERR_OS when no thread can be started.
/// thread     the reactor's. The call comes on another one.
/// Twisted    IReactorInThreads.callInThread.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_call_in_thread(
    reactor: *mut lariat_reactor,
    r#fn: lariat_call_fn,
    user_data: *mut c_void,
) -> lariat_status {
    call_in_thread(reactor, r#fn, convert::borrowed(user_data))
}

/// The same as lariat_reactor_call_in_thread, with user_data owned by the library from here on:
/// free_user_data(user_data) is called exactly once, on the reactor's thread: after the call, when it is not to be
/// made any more, or before this fails. If the call outlasts the reactor's free, it is freed on the pool thread.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_call_in_thread_full(
    reactor: *mut lariat_reactor,
    r#fn: lariat_call_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> lariat_status {
    call_in_thread(reactor, r#fn, convert::owned(user_data, free_user_data))
}

fn call_in_thread(reactor: *mut lariat_reactor, function: lariat_call_fn, data: Owned) -> lariat_status {
    guard::on(reactor, move |reactor| {
        let function = convert::required("fn", convert::call_fn(function))?;
        pool::call_in_thread(reactor, function, data)
    })
}

/// Calls fn(job, user_data) on a thread of the pool: what it returns or records is the result. On a simulated reactor
/// the call comes on its loop. Cancelling takes the job back if it does not run yet, else lets it ask.
///
/// user_data  may be NULL; passed through.
/// returns    a Deferred that fires, on the reactor's thread, with what fn gives; NULL on failure.
/// errors     LARIAT_ERR_LIMIT at options.max_jobs or max_deferreds; LARIAT_ERR_OS when no thread can be started.
/// thread     the reactor's. The call comes on another one.
/// Twisted    threads.deferToThread.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_defer_to_thread(
    reactor: *mut lariat_reactor,
    r#fn: lariat_job_fn,
    user_data: *mut c_void,
) -> *mut lariat_deferred {
    defer_to_thread(reactor, r#fn, convert::borrowed(user_data))
}

/// The same as lariat_reactor_defer_to_thread, with user_data owned by the library from here on: freed as by
/// lariat_reactor_call_in_thread_full.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_defer_to_thread_full(
    reactor: *mut lariat_reactor,
    r#fn: lariat_job_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> *mut lariat_deferred {
    defer_to_thread(reactor, r#fn, convert::owned(user_data, free_user_data))
}

fn defer_to_thread(reactor: *mut lariat_reactor, function: lariat_job_fn, data: Owned) -> *mut lariat_deferred {
    guard::on(reactor, move |reactor| {
        let function = convert::required("fn", convert::job_fn(function))?;
        pool::defer_to_thread(reactor, function, data)
    })
}

/// Makes a value the result of the running job, as its return value would be, but owned: free_value(value) is called
/// when the Deferred that it ends up in is reclaimed, unless somebody takes it, or before this fails. The last result
/// recorded wins.
///
/// value       may be NULL; the library's from here on.
/// free_value  may be NULL.
/// returns     NULL, for the job to return.
/// errors      LARIAT_ERR_STALE_HANDLE outside of the job.
/// thread      the job's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_job_return(
    job: *mut lariat_job,
    value: *mut c_void,
    free_value: lariat_free_fn,
) -> *mut c_void {
    let value = convert::owned(value, free_value);
    guard::alone(move || {
        job::record(Word::new(job), JobOutcome::Value(value))?;
        Ok(Word::NULL)
    })
}

/// Makes a failure the result of the running job. The last result recorded wins.
///
/// code     not 0: negative one of lariat's, positive the program's own.
/// message  UTF-8, copied; may be NULL: the code's own text.
/// returns  NULL, for the job to return.
/// errors   LARIAT_ERR_STALE_HANDLE outside of the job.
/// thread   the job's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_job_fail(job: *mut lariat_job, code: i32, message: *const c_char) -> *mut c_void {
    guard::alone(|| {
        let job = Word::new(job);
        job::is_cancelled(job)?;
        let reason = convert::reason(code, 0, convert::text("message", message)?)?;
        job::record(job, JobOutcome::Failure(code, reason.message.map(str::to_owned)))?;
        Ok(Word::NULL)
    })
}

/// Tells a job whether anybody still wants its result: for long ones to ask now and then.
///
/// returns  1 when its Deferred was cancelled, or its scope or reactor is ending; else 0; negative: an error.
/// errors   LARIAT_ERR_STALE_HANDLE outside of the job.
/// thread   the job's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_job_cancelled(job: *mut lariat_job) -> i32 {
    guard::alone(|| job::is_cancelled(Word::new(job)))
}

/// Has fn(reactor, user_data) called on the reactor's thread, and blocks until the Deferred that it returns gives
/// something.
///
/// seconds    how long to wait at most, 0 or more, or INFINITY. fn is not called, or has returned, when this returns.
/// user_data  may be NULL; passed through.
/// value      written if this returns LARIAT_OK: the value, now the caller's.
/// returns    LARIAT_OK, or why not: the code of the Deferred's failure, which is positive if it is the program's own,
///            with its message as the last error's.
/// errors     LARIAT_ERR_TIMED_OUT; LARIAT_ERR_INVALID_STATE on the reactor's own thread; LARIAT_ERR_CLOSED when the
///            reactor is freed meanwhile.
/// thread     any but the reactor's.
/// Twisted    threads.blockingCallFromThread.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_blocking_call(
    reactor: *mut lariat_reactor,
    seconds: f64,
    r#fn: lariat_blocking_fn,
    user_data: *mut c_void,
    value: *mut *mut c_void,
) -> i32 {
    guard::any_thread(reactor, |reactor, _| {
        let wait = convert::wait("seconds", seconds)?.map(Duration::from_nanos);
        let function = convert::required("fn", convert::blocking_fn(r#fn))?;
        let value = convert::out("value", value)?;
        if handles::get::<Reactor>(reactor).is_ok() {
            return Err(Status::ERR_INVALID_STATE.because("the reactor's own thread would wait for itself"));
        }
        match blocking::blocking_call(reactor, wait, function, Word::new(user_data))? {
            Ok(given) => value.write(given.pointer()),
            Err((code, Some(message))) => return Err(Status(code).because(message)),
            Err((code, None)) => return Err(Status(code)),
        }
        Ok(())
    })
}
