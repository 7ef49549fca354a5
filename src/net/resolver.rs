//! Looking names up: by the host's resolver where there is one, by the world of a simulation, or by the system.

use super::look_up_threads::{Answered, Question};
use super::{addresses, host_resolver};
use crate::deferred::{Deferred, DeferredItem, chain, failure, later};
use crate::driver::Family;
use crate::handles::{self, Body, CallFn, Item, Kind, Owned, Word};
use crate::reactor::timers::{self, DelayedCall, SECOND};
use crate::reactor::{Reactor, ReactorItem};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;

/// How long Twisted waits for an answer: 1 + 3 + 11 + 45 seconds.
pub const LONGEST: u64 = 60 * SECOND;

/// What is to be looked up.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// A name, or an address in words.
    pub name: &'a str,
    /// None: both.
    pub family: Option<Family>,
    /// In nanoseconds; None: as long as it takes.
    pub wait: Option<u64>,
    /// Not by the host's resolver.
    pub by_system: bool,
}

/// Why there are no addresses.
#[derive(Clone, Debug)]
pub struct LookUpError {
    /// Its code; positive if it is the program's own.
    pub status: Status,
    /// The system's error; 0 none.
    pub os_error: i32,
    /// In words, the name among them.
    pub message: String,
}

/// The addresses with port 0, each once and in the order in which they are best tried; at least one.
pub type Answer = std::result::Result<Vec<SocketAddr>, LookUpError>;

/// Told the answer once, from the loop.
pub type Done = Box<dyn FnOnce(ReactorItem, Answer)>;

/// Who is to answer.
#[derive(Clone, Copy, Default)]
pub(super) enum Asked {
    /// Nobody else.
    #[default]
    Nobody,
    /// A thread.
    System,
    /// The host's resolver: the Deferred that it returned, or null, and the addresses that it fills in.
    Host(Word, Word),
}

/// A look-up. Goes stale when it is answered or cancelled.
#[derive(Default)]
pub struct LookUp {
    name: RefCell<String>,
    family: Cell<Option<Family>>,
    done: Cell<Option<Done>>,
    /// The timer that ends the wait.
    deadline: Cell<Word>,
    wait: Cell<u64>,
    /// The timer that brings an answer which is there already.
    arrival: Cell<Word>,
    answer: Cell<Option<Answer>>,
    pub(super) asked: Cell<Asked>,
}

impl Body for LookUp {
    const KIND: Kind = Kind::LookUp;
    type Root = Reactor;
    type Beside = ();

    fn end(look_up: Item<Self>) {
        cancel(look_up);
    }
}

/// Looks a name up; `done` is told, never from inside this call. It belongs to no scope: whoever waits for it cancels it.
pub fn look_up(reactor: ReactorItem, ask: &Ask, done: Done) -> Result<Item<LookUp>> {
    super::open(reactor)?;
    if ask.name.is_empty() {
        return Err(Status::ERR_INVALID_ARGUMENT.because("the name is empty"));
    }
    handles::check_memory(1024 + ask.name.len())?;
    let look_up = reactor.pools.alloc::<LookUp>()?;
    *look_up.name.borrow_mut() = ask.name.to_owned();
    look_up.family.set(ask.family);
    look_up.done.set(Some(done));
    start(look_up, ask).inspect_err(|_| cancel(look_up))?;
    Ok(look_up)
}

fn start(look_up: Item<LookUp>, ask: &Ask) -> Result {
    let reactor = look_up.root();
    if let Some(wait) = ask.wait {
        look_up.wait.set(wait);
        look_up.deadline.set(timer(look_up, wait, timed_out)?);
    }
    if let Some(address) = addresses::of_text(ask.name) {
        return arrive(look_up, 0, Ok(vec![address]));
    }
    if !ask.by_system && host_resolver::ask(look_up, ask.name, ask.family)? {
        return Ok(());
    }
    if reactor.is_simulated() {
        return ask_world(look_up, ask.name);
    }
    look_up.asked.set(Asked::System);
    reactor.look_ups.set(reactor.look_ups.get() + 1);
    super::of(reactor).names.ask(reactor, look_up.question(), look_up.word())
}

fn ask_world(look_up: Item<LookUp>, name: &str) -> Result {
    let unknown = || (0, Err(io::ErrorKind::NotFound.into()));
    let (delay, found) = look_up.root().with_driver(|driver| driver.look_up(name)).unwrap_or_else(unknown);
    let found = found.map(|found| found.into_iter().map(|address| SocketAddr::new(address, 0)).collect());
    let failed = |why: io::Error| match why.kind() {
        io::ErrorKind::NotFound => look_up.error(Status::ERR_NAME_NOT_FOUND, 0, "no host has this name"),
        _ => look_up.error(Status::ERR_LOOKUP_FAILED, why.raw_os_error().unwrap_or(0), why),
    };
    arrive(look_up, delay, found.map_err(failed))
}

/// A timer of the look-up's own.
fn timer(look_up: Item<LookUp>, delay: u64, call: CallFn) -> Result<Word> {
    let reactor = look_up.root();
    let deadline = reactor.read_clock().saturating_add(delay);
    timers::call_at(reactor, deadline, call, look_up.word()).map(Item::word)
}

/// The answer is there, and is told after so many nanoseconds.
pub(super) fn arrive(look_up: Item<LookUp>, delay: u64, answer: Answer) -> Result {
    look_up.answer.set(Some(answer));
    look_up.arrival.set(timer(look_up, delay, arrived)?);
    Ok(())
}

extern "C-unwind" fn arrived(word: Word) {
    let Ok(look_up) = handles::get::<LookUp>(word) else { return };
    if let Some(answer) = look_up.answer.take() {
        tell(look_up, answer);
    }
}

extern "C-unwind" fn timed_out(word: Word) {
    let Ok(look_up) = handles::get::<LookUp>(word) else { return };
    let seconds = look_up.wait.get() as f64 / SECOND as f64;
    let why = look_up.error(Status::ERR_TIMED_OUT, 0, format_args!("no answer within {seconds} s"));
    tell(look_up, Err(why));
}

/// A thread has asked the system.
pub(super) fn system_answered(look_up: Item<LookUp>, answered: &Answered) {
    let answer = answered.clone().map_err(|why| {
        let status = if why.not_found { Status::ERR_NAME_NOT_FOUND } else { Status::ERR_LOOKUP_FAILED };
        look_up.error(status, why.os_error, why.text)
    });
    tell(look_up, answer);
}

/// Tells the answer.
pub(super) fn tell(look_up: Item<LookUp>, answer: Answer) {
    let reactor = look_up.root();
    let answer = answer.and_then(|found| look_up.fitting(found));
    if let Some(done) = finish(look_up) {
        let _out = reactor.call_out();
        done(reactor, answer);
    }
}

/// Nobody waits for the answer any more: `done` is not told.
pub fn cancel(look_up: Item<LookUp>) {
    drop(finish(look_up));
}

/// The look-up is over, and whoever was asked is told so.
fn finish(look_up: Item<LookUp>) -> Option<Done> {
    let reactor = look_up.root();
    let done = look_up.done.take();
    for timer in [&look_up.deadline, &look_up.arrival] {
        if let Ok(timer) = handles::get::<DelayedCall>(timer.replace(Word::NULL)) {
            let _ = timers::cancel(timer);
        }
    }
    drop(look_up.answer.take());
    let asked = look_up.asked.take();
    let question = look_up.question();
    reactor.pools.free(look_up);
    match asked {
        Asked::Nobody => {}
        Asked::System => {
            reactor.look_ups.set(reactor.look_ups.get() - 1);
            super::of(reactor).names.forget(&question, look_up.word());
        }
        Asked::Host(deferred, answer) => host_resolver::let_go(reactor, deferred, answer),
    }
    done
}

impl LookUp {
    fn question(&self) -> Question {
        Question { name: self.name.borrow().clone(), family: self.family.get() }
    }

    /// Why there is no answer, in words that name the name.
    pub(super) fn error(&self, status: Status, os_error: i32, why: impl Display) -> LookUpError {
        LookUpError { status, os_error, message: format!("looking up {}: {why}", self.name.borrow()) }
    }

    /// What was asked for of what was found, each once.
    fn fitting(&self, found: Vec<SocketAddr>) -> Answer {
        let mut fitting: Vec<SocketAddr> = Vec::with_capacity(found.len());
        for address in found {
            let fits = self.family.get().is_none_or(|family| family == addresses::family_of(address));
            if fits && !fitting.contains(&address) {
                fitting.push(address);
            }
        }
        if !fitting.is_empty() {
            return Ok(fitting);
        }
        let what = match self.family.get() {
            None => "it has no address",
            Some(Family::V6) => "it has no IPv6 address",
            Some(_) => "it has no IPv4 address",
        };
        Err(self.error(Status::ERR_NAME_NOT_FOUND, 0, what))
    }
}

/// A Deferred that fires with the addresses; at once where the name is an address itself. Cancelling it gives the look-up
/// up.
pub fn resolve(reactor: ReactorItem, ask: &Ask) -> Result<DeferredItem> {
    let fits = |address: &SocketAddr| ask.family.is_none_or(|family| family == addresses::family_of(*address));
    if let Some(address) = addresses::of_text(ask.name).filter(fits) {
        let deferred = chain::new(reactor)?;
        let fired = addresses::make(reactor, &[address]).and_then(|value| chain::callback(deferred, value));
        return fired.inspect_err(|_| later::discard(deferred)).map(|()| deferred);
    }
    let deferred = chain::new_inside(reactor, cancel_resolve, Word::NULL)?;
    let waiting = deferred.word();
    let begun = look_up(reactor, ask, Box::new(move |reactor, answer| fire(reactor, waiting, answer)));
    let begun = begun.inspect_err(|_| later::discard(deferred))?;
    chain::set_canceller_data(deferred, begun.word());
    Ok(deferred)
}

fn fire(reactor: ReactorItem, deferred: Word, answer: Answer) {
    let Ok(deferred) = handles::get::<Deferred>(deferred) else { return };
    let made = match answer {
        Ok(found) => addresses::make(reactor, &found).map_err(|why| (why, 0, None)),
        Err(why) => Err((why.status, why.os_error, Some(why.message))),
    };
    let _ = match made {
        Ok(value) => chain::callback(deferred, value),
        Err((status, os_error, message)) => {
            let reason = failure::Reason { code: status.0, os_error, message: message.as_deref() };
            chain::errback_with(deferred, &reason, Owned::default())
        }
    };
}

extern "C-unwind" fn cancel_resolve(deferred: Word, look_up: Word) {
    if let Ok(look_up) = handles::get::<LookUp>(look_up) {
        cancel(look_up);
    }
    if let Ok(deferred) = handles::get::<Deferred>(deferred) {
        let _ = chain::abandon(deferred);
    }
}
