//! Cooperators: tasks that share the loop, a step at a time.

use super::chain::{Agenda, add, callback, errback, new};
use super::slot::*;
use super::{failure, outcome};
use crate::handles::{self, Body, Item, Kind, Owned, StepFn, Word};
use crate::platform;
use crate::reactor::{Reactor, ReactorItem, scopes, soon};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

/// `lariat_cooperator`
#[derive(Default)]
pub struct Cooperator {
    budget: Cell<u64>,
    ready: RefCell<VecDeque<Word>>,
    scheduled: Cell<bool>,
}

/// `lariat_cooperative_task`
#[derive(Default)]
pub struct Task {
    cooperator: Cell<Word>,
    step: Cell<Option<StepFn>>,
    data: RefCell<Owned>,
    scope: Cell<u32>,
    /// The Deferreds that want to know when it is done.
    waiting: RefCell<Vec<Word>>,
    pauses: Cell<u32>,
    queued: Cell<bool>,
    stepping: Cell<bool>,
    /// How it ended, once it has: `OK`, or the failure's status.
    ended: Cell<Option<Status>>,
}

impl Body for Cooperator {
    const KIND: Kind = Kind::Cooperator;
    type Root = Reactor;
    type Beside = ();

    fn end(cooperator: Item<Self>) {
        free(cooperator);
    }
}

impl Body for Task {
    const KIND: Kind = Kind::CooperativeTask;
    type Root = Reactor;
    type Beside = ();

    fn end(task: Item<Self>) {
        end_task(task, Status::ERR_CANCELLED, Word::NULL);
    }
}

/// A new one, which may use `budget` nanoseconds a turn; 0: one step a turn.
pub fn open(reactor: ReactorItem, budget: u64) -> Result<Item<Cooperator>> {
    let cooperator = reactor.pools.alloc::<Cooperator>()?;
    if reactor.scope.get() != 0 {
        let joined = scopes::join(reactor, reactor.scope.get(), cooperator.word());
        joined.inspect_err(|_| reactor.pools.free(cooperator))?;
    }
    cooperator.budget.set(budget);
    cooperator.scheduled.set(false);
    Ok(cooperator)
}

/// Calls `step` again and again, from the next turn on, until it says that it is done.
pub fn cooperate(cooperator: Item<Cooperator>, step: StepFn, data: Owned) -> Result<Item<Task>> {
    let reactor = cooperator.root();
    let task = reactor.pools.alloc::<Task>()?;
    let scope = reactor.scope.get();
    task.scope.set(scope);
    task.cooperator.set(cooperator.word());
    task.pauses.set(0);
    for flag in [&task.queued, &task.stepping] {
        flag.set(false);
    }
    task.ended.set(None);
    let joined = if scope == 0 { Ok(()) } else { scopes::join(reactor, scope, task.word()) };
    joined.and_then(|()| enqueue(cooperator, task)).inspect_err(|_| reactor.pools.free(task))?;
    task.step.set(Some(step));
    *task.data.borrow_mut() = data;
    Ok(task)
}

fn enqueue(cooperator: Item<Cooperator>, task: Item<Task>) -> Result {
    cooperator.ready.borrow_mut().try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
    schedule(cooperator)?;
    task.queued.set(true);
    cooperator.ready.borrow_mut().push_back(task.word());
    Ok(())
}

fn schedule(cooperator: Item<Cooperator>) -> Result {
    if !cooperator.scheduled.get() {
        let reactor = cooperator.root();
        let scope = reactor.scope.replace(0);
        let posted = soon::call_soon(reactor, Some(turn), Owned::new(cooperator.word(), None));
        reactor.scope.set(scope);
        posted?;
        cooperator.scheduled.set(true);
    }
    Ok(())
}

/// One turn's share: steps, task by task, until the budget is spent.
extern "C-unwind" fn turn(word: Word) {
    let Ok(cooperator) = handles::get::<Cooperator>(word) else { return };
    // It counts as scheduled until it knows whether anything is left.
    let end = platform::monotonic_nanoseconds().saturating_add(cooperator.budget.get());
    while cooperator.is_alive() {
        let next = cooperator.ready.borrow_mut().pop_front();
        let Some(next) = next else { break };
        if let Ok(task) = handles::get::<Task>(next) {
            task.queued.set(false);
            step(cooperator, task);
        }
        if cooperator.is_alive() && (cooperator.budget.get() == 0 || platform::monotonic_nanoseconds() >= end) {
            break;
        }
    }
    if !cooperator.is_alive() {
        return;
    }
    cooperator.scheduled.set(false);
    if !cooperator.ready.borrow().is_empty() {
        // It fails only when memory is short; the next task that is added tries again.
        let _ = schedule(cooperator);
    }
}

fn step(cooperator: Item<Cooperator>, task: Item<Task>) {
    let Some(function) = task.step.get().filter(|_| task.pauses.get() == 0) else { return };
    let reactor = task.root();
    let data = task.data.borrow().word();
    task.stepping.set(true);
    let answer = reactor.in_scope(task.scope.get(), || function(task.word(), data));
    task.stepping.set(false);
    if task.ended.get().is_some() {
        return finish(task);
    }
    match Status(answer) {
        Status::MORE if task.pauses.get() != 0 || task.queued.get() => {}
        Status::MORE => {
            let alive = cooperator.is_alive();
            if !alive || enqueue(cooperator, task).is_err() {
                end_task(task, if alive { Status::ERR_NO_MEMORY } else { Status::ERR_CLOSED }, Word::NULL);
            }
        }
        status => end_task(task, status, Word::NULL),
    }
}

/// A Deferred that fires with the task's handle when it is done, or with its failure.
pub fn when_done(task: Item<Task>) -> Result<DeferredItem> {
    let reactor = task.root();
    task.waiting.borrow_mut().try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
    let deferred = new(reactor)?;
    match task.ended.get() {
        Some(Status::OK) => callback(deferred, Owned::new(task.word(), None))?,
        Some(why) => errback(deferred, failure::of_status(reactor, why))?,
        None => task.waiting.borrow_mut().push(deferred.word()),
    }
    Ok(deferred)
}

/// No step until the Deferred fires; it is handed over, and its failure ends the task.
pub fn wait_for(task: Item<Task>, deferred: DeferredItem) -> Result {
    if !task.stepping.get() || task.ended.get().is_some() {
        return Err(Status::ERR_INVALID_STATE.because("only a step of the task can make it wait"));
    }
    outcome::check_can_hand_over(task.root(), deferred)?;
    pause(task)?;
    add(deferred, Entry::Inside { inside: waited, data: task.word() }, None).inspect_err(|_| {
        let _ = resume(task);
    })?;
    if deferred.is_alive() {
        deferred.set(HANDED);
        let _ = super::chain::release(deferred);
    }
    Ok(())
}

fn waited(deferred: DeferredItem, task: Word, _: &mut Agenda) {
    let Ok(task) = handles::get::<Task>(task) else { return };
    if deferred.has(FAILED) {
        let failure = deferred.value.replace(Word::NULL);
        deferred.clear(FAILED);
        end_task(task, Status::ERR_CANCELLED, failure);
    } else {
        let _ = resume(task);
    }
}

/// No step until as many resumes.
pub fn pause(task: Item<Task>) -> Result {
    check_runs(task)?;
    task.pauses.set(task.pauses.get() + 1);
    Ok(())
}

/// Takes one pause back.
pub fn resume(task: Item<Task>) -> Result {
    check_runs(task)?;
    let left = task.pauses.get().checked_sub(1);
    let left = left.ok_or_else(|| Status::ERR_INVALID_STATE.because("the task is not paused"))?;
    task.pauses.set(left);
    if left == 0 && !task.queued.get() && !task.stepping.get() {
        enqueue(handles::get::<Cooperator>(task.cooperator.get())?, task)?;
    }
    Ok(())
}

/// Ends it: those who wait for it hear `LARIAT_ERR_CANCELLED`.
pub fn stop(task: Item<Task>) -> Result {
    check_runs(task)?;
    end_task(task, Status::ERR_CANCELLED, Word::NULL);
    Ok(())
}

fn check_runs(task: Item<Task>) -> Result {
    if task.ended.get().is_some() { Err(Status::ERR_ALREADY_CALLED) } else { Ok(()) }
}

/// The end of a task, with a failure of its own if there is one; inside its step the handle lives until that returns.
fn end_task(task: Item<Task>, how: Status, failure: Word) {
    if task.ended.get().is_some() {
        let _ = failure::release(failure);
        return;
    }
    let reactor = task.root();
    let _out = reactor.call_out();
    task.ended.set(Some(how));
    for word in task.waiting.take() {
        let Ok(deferred) = handles::get::<Deferred>(word) else { continue };
        let _ = match how {
            Status::OK => callback(deferred, Owned::new(task.word(), None)),
            _ if !failure.is_null() => errback(deferred, failure::keep(failure)),
            why => errback(deferred, failure::of_status(reactor, why)),
        };
    }
    let _ = failure::release(failure);
    if !task.stepping.get() {
        finish(task);
    }
}

fn finish(task: Item<Task>) {
    let reactor = task.root();
    let data = task.data.take();
    task.step.set(None);
    reactor.pools.free(task);
    let _out = reactor.call_out();
    drop(data);
}

/// Ends it: its tasks end with `LARIAT_ERR_CLOSED`.
pub fn free(cooperator: Item<Cooperator>) {
    let reactor = cooperator.root();
    let word = cooperator.word();
    cooperator.ready.take();
    reactor.pools.free(cooperator);
    let tasks = reactor.pools.all::<Task>();
    for task in tasks.into_iter().filter(|task| task.is_alive() && task.cooperator.get() == word) {
        end_task(task, Status::ERR_CLOSED, Word::NULL);
    }
}
