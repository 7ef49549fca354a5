//! What is done to one open thing, in the order asked for: one job at a time.

use super::trouble::Trouble;
use super::value::{self, Work};
use crate::deferred::{Deferred, DeferredItem, chain, later};
use crate::handles::{self, Body, Item, Owned, Word};
use crate::reactor::Reactor;
use crate::status::{self, Result, Status};
use crate::threads::job::{Finish, Job};
use crate::threads::pool;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

struct Operation {
    deferred: Word,
    work: Work,
    /// The close: it is done whether anybody waits for it or not.
    is_last: bool,
}

/// See the module.
#[derive(Default)]
pub struct Line {
    waiting: RefCell<VecDeque<Operation>>,
    /// The number of the job that is at work; 0 none.
    job: Cell<u64>,
    /// Whom that is for; null: nobody.
    deferred: Cell<Word>,
    /// The job at work is the close.
    at_last: Cell<bool>,
    /// The close is in line, or at work.
    closing: Cell<bool>,
    scope: Cell<u32>,
}

/// What operations stand in line for.
pub trait InLine: Body<Root = Reactor> {
    /// Its line.
    fn line(&self) -> &Line;
    /// What it is, for messages.
    fn describe(&self) -> String;
    /// It is closed, or as good as that: the slot is to be freed.
    fn over(item: Item<Self>);
}

impl Line {
    /// For a thing that is new, a member of this scope.
    pub fn open(&self, scope: u32) {
        self.closing.set(false);
        self.scope.set(scope);
    }

    /// How many wait.
    fn length(&self) -> usize {
        self.waiting.borrow().len()
    }
}

/// One operation more.
pub fn add<T: InLine>(item: Item<T>, work: Work) -> Result<DeferredItem> {
    push(item, || work, false)
}

/// The last operation: from here on no other is taken.
pub fn close<T: InLine>(item: Item<T>, work: impl FnOnce() -> Work) -> Result<DeferredItem> {
    push(item, work, true)
}

fn push<T: InLine>(item: Item<T>, work: impl FnOnce() -> Work, is_last: bool) -> Result<DeferredItem> {
    let (reactor, line) = (item.root(), item.line());
    reactor.check_open()?;
    if line.closing.get() {
        return Err(Status::ERR_CLOSED.because(format_args!("{} is being closed", item.describe())));
    }
    let limit = reactor.limits().jobs as usize;
    if limit != 0 && !is_last && line.length() >= limit {
        let why = format_args!("{}: {limit} operations are waiting, the limit", item.describe());
        return Err(Status::ERR_LIMIT.because(why));
    }
    line.waiting.borrow_mut().try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
    let deferred = chain::new_inside(reactor, cancel::<T>, item.word())?;
    let operation = Operation { deferred: deferred.word(), work: work(), is_last };
    line.closing.set(is_last);
    if line.job.get() != 0 {
        line.waiting.borrow_mut().push_back(operation);
    } else if let Err(why) = start(item, operation) {
        if !is_last {
            later::discard(deferred);
            return Err(why);
        }
        closed(item, deferred.word());
    }
    Ok(deferred)
}

/// There was no thread for the close: with what was to be done, the thing itself has been dropped.
fn closed<T: InLine>(item: Item<T>, deferred: Word) {
    end(item);
    if let Ok(deferred) = handles::get::<Deferred>(deferred) {
        let _ = chain::callback(deferred, Owned::default());
    }
}

/// Gives the operation to the pool, or drops it.
fn start<T: InLine>(item: Item<T>, operation: Operation) -> Result {
    let (reactor, line, word) = (item.root(), item.line(), item.word());
    let Operation { deferred, work, is_last } = operation;
    line.deferred.set(deferred);
    line.at_last.set(is_last);
    let inside = Box::new(move |job: &Job| -> Finish {
        let outcome = super::perform(work, job);
        Box::new(move |reactor, deferred| {
            if let Ok(item) = handles::get::<T>(word) {
                done(item);
            }
            value::deliver(reactor, deferred, outcome);
        })
    });
    let started = pool::run_inside(reactor, line.scope.get(), inside, deferred);
    line.job.set(started.inspect_err(|_| line.deferred.set(Word::NULL))?);
    Ok(())
}

/// The job has ended, or was taken back: the next one's turn.
fn done<T: InLine>(item: Item<T>) {
    let line = item.line();
    line.job.set(0);
    line.deferred.set(Word::NULL);
    if line.at_last.get() {
        return end(item);
    }
    next(item);
}

fn next<T: InLine>(item: Item<T>) {
    let line = item.line();
    while item.is_alive() && line.job.get() == 0 {
        let Some(operation) = line.waiting.borrow_mut().pop_front() else { return };
        let (deferred, is_last) = (operation.deferred, operation.is_last);
        match start(item, operation) {
            Ok(()) => {}
            Err(_) if is_last => closed(item, deferred),
            Err(why) => fail(deferred, why, status::detail_of(why)),
        }
    }
}

fn fail(deferred: Word, why: Status, message: Option<String>) {
    let Ok(deferred) = handles::get::<Deferred>(deferred) else { return };
    let text = || why.text().to_string_lossy().into_owned();
    let _out = deferred.root().call_out();
    value::deliver(deferred.root(), Some(deferred), Err(Trouble::new(why, message.unwrap_or_else(text))));
}

/// Ends the thing: what waits for it fails, and is not done; what is at work is not waited for.
pub fn end<T: InLine>(item: Item<T>) {
    let (reactor, line) = (item.root(), item.line());
    let waiting = line.waiting.take();
    let (job, deferred) = (line.job.replace(0), line.deferred.replace(Word::NULL));
    line.at_last.set(false);
    let message = format!("{} is closed", item.describe());
    T::over(item);
    if job != 0 {
        pool::give_up(reactor, job);
        fail(deferred, Status::ERR_CLOSED, Some(message.clone()));
    }
    for Operation { deferred, work, .. } in waiting {
        drop(work);
        fail(deferred, Status::ERR_CLOSED, Some(message.clone()));
    }
}

extern "C-unwind" fn cancel<T: InLine>(deferred: Word, thing: Word) {
    if let Ok(item) = handles::get::<T>(thing) {
        take_back(item, deferred);
    }
    if let Ok(deferred) = handles::get::<Deferred>(deferred) {
        let _ = chain::abandon(deferred);
    }
}

/// Nobody wants an operation any more: it is not done if it has not begun, and the close all the same.
fn take_back<T: InLine>(item: Item<T>, deferred: Word) {
    let line = item.line();
    if line.deferred.get() == deferred {
        line.deferred.set(Word::NULL);
        if !line.at_last.get() && pool::give_up(item.root(), line.job.get()) {
            done(item);
        }
        return;
    }
    let mut waiting = line.waiting.borrow_mut();
    let Some(place) = waiting.iter().position(|operation| operation.deferred == deferred) else { return };
    if waiting[place].is_last {
        waiting[place].deferred = Word::NULL;
    } else {
        let removed = waiting.remove(place);
        drop(waiting);
        drop(removed);
    }
}
