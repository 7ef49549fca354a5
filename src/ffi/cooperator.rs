//! Cooperators and their tasks.

use super::convert;
use super::guard;
use super::status::lariat_status;
use super::types::*;
use crate::deferred::{Deferred, cooperator};
use crate::handles::{self, Owned, Word};
use std::ffi::c_void;

/// Makes a cooperator, which shares some of every turn among its tasks, step by step in rounds.
///
/// budget_seconds  real time that its tasks may use in a turn, 0 or more, or INFINITY; 0: one step a turn.
/// returns         the cooperator, to be freed by lariat_cooperator_free or with its scope or reactor; NULL on
///                 failure.
/// thread          the reactor's.
/// Twisted         task.Cooperator.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_cooperator_new(reactor: *mut lariat_reactor, budget_seconds: f64) -> *mut lariat_cooperator {
    guard::on(reactor, |reactor| {
        let budget = convert::wait("budget_seconds", budget_seconds)?;
        cooperator::open(reactor, budget.unwrap_or(u64::MAX))
    })
}

/// Adds a task: fn(task, user_data) is called from the next turn on, again and again while it returns LARIAT_MORE.
///
/// user_data  may be NULL; passed through.
/// returns    a handle that goes stale when the task is over; NULL on failure.
/// thread     the reactor's.
/// Twisted    Cooperator.cooperate.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_cooperator_cooperate(
    cooperator: *mut lariat_cooperator,
    r#fn: lariat_step_fn,
    user_data: *mut c_void,
) -> *mut lariat_cooperative_task {
    cooperate(cooperator, r#fn, convert::borrowed(user_data))
}

/// The same as lariat_cooperator_cooperate, with user_data owned by the library from here on:
/// free_user_data(user_data) is called exactly once, when the task is over and its step has returned, or before this
/// returns NULL.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_cooperator_cooperate_full(
    cooperator: *mut lariat_cooperator,
    r#fn: lariat_step_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> *mut lariat_cooperative_task {
    cooperate(cooperator, r#fn, convert::owned(user_data, free_user_data))
}

fn cooperate(
    cooperator: *mut lariat_cooperator,
    function: lariat_step_fn,
    data: Owned,
) -> *mut lariat_cooperative_task {
    guard::on(cooperator, move |cooperator| {
        let function = convert::required("fn", convert::step_fn(function))?;
        cooperator::cooperate(cooperator, function, data)
    })
}

/// Ends a cooperator and its tasks, which fail with LARIAT_ERR_CLOSED, from inside this call. Its handle is stale from
/// here on.
///
/// thread   the reactor's.
/// Twisted  Cooperator.stop.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_cooperator_free(cooperator: *mut lariat_cooperator) -> lariat_status {
    guard::on(cooperator, |cooperator| {
        cooperator::free(cooperator);
        Ok(())
    })
}

/// Asks to be told of the end of a task. Any number may ask.
///
/// returns  a Deferred that fires when the task is done, with the task's handle as its value, or fails: with the code
///          that its step returned, with the failure that it waited for, with LARIAT_ERR_CANCELLED when it is stopped,
///          or with LARIAT_ERR_CLOSED when its cooperator is freed; NULL on failure.
/// thread   the reactor's.
/// Twisted  CooperativeTask.whenDone.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_cooperative_task_when_done(task: *mut lariat_cooperative_task) -> *mut lariat_deferred {
    guard::on(task, cooperator::when_done)
}

/// Inside its step: has a task wait; no step comes until the Deferred has fired. Its failure ends the task.
///
/// deferred  of the same reactor; handed over: released for the caller, unless this fails.
/// errors    LARIAT_ERR_INVALID_STATE outside of a step of the task; LARIAT_ERR_ALREADY_WAITED or LARIAT_ERR_RELEASED
///           when deferred was handed over or released; LARIAT_ERR_WRONG_REACTOR.
/// thread    the reactor's.
/// Twisted   a Deferred from the task's iterator.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_cooperative_task_wait_for(
    task: *mut lariat_cooperative_task,
    deferred: *mut lariat_deferred,
) -> lariat_status {
    guard::on(task, |task| cooperator::wait_for(task, handles::get::<Deferred>(Word::new(deferred))?))
}

/// Holds a task up: no step comes until as many lariat_cooperative_task_resume.
///
/// errors   LARIAT_ERR_ALREADY_CALLED when it has ended, inside its last step.
/// thread   the reactor's.
/// Twisted  CooperativeTask.pause.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_cooperative_task_pause(task: *mut lariat_cooperative_task) -> lariat_status {
    guard::on(task, cooperator::pause)
}

/// Takes one pause of a task back.
///
/// errors   LARIAT_ERR_INVALID_STATE when it is not paused; LARIAT_ERR_ALREADY_CALLED when it has ended, inside its
///          last step.
/// thread   the reactor's.
/// Twisted  CooperativeTask.resume.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_cooperative_task_resume(task: *mut lariat_cooperative_task) -> lariat_status {
    guard::on(task, cooperator::resume)
}

/// Ends a task: those who wait for it hear LARIAT_ERR_CANCELLED, from inside this call. Its handle is stale from here
/// on; inside its own step, once that has returned.
///
/// errors   LARIAT_ERR_ALREADY_CALLED when it has ended, inside its last step.
/// thread   the reactor's.
/// Twisted  CooperativeTask.stop.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_cooperative_task_stop(task: *mut lariat_cooperative_task) -> lariat_status {
    guard::on(task, cooperator::stop)
}
