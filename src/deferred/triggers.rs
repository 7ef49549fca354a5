//! System event triggers: what is done before, during and after start-up and shutdown.

use super::chain::{Agenda, add, release};
use super::slot::*;
use super::{failure, outcome};
use crate::handles::{self, Body, Item, Kind, Owned, TriggerFn, Word};
use crate::reactor::{Reactor, ReactorItem, State, events, hooks, run, scopes};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};

/// A registration; it fires once.
#[derive(Default)]
pub struct Trigger {
    phase: Cell<i32>,
    event: Cell<i32>,
    order: Cell<u64>,
    scope: Cell<u32>,
    /// None: an event with the data as its tag.
    function: Cell<Option<TriggerFn>>,
    data: RefCell<Owned>,
    firing: Cell<bool>,
}

impl Body for Trigger {
    const KIND: Kind = Kind::Trigger;
    type Root = Reactor;
    type Beside = ();

    fn end(trigger: Item<Self>) {
        let _ = remove(trigger);
    }
}

/// Before, during, after.
const PHASES: i32 = 3;

/// Has `function` called in that phase (0 before, 1 during, 2 after) of that event (0 start-up, 1 shutdown).
pub fn add_trigger(
    reactor: ReactorItem,
    phase: i32,
    event: i32,
    function: Option<TriggerFn>,
    data: Owned,
) -> Result<Item<Trigger>> {
    if !(0..PHASES).contains(&phase) || !(0..2).contains(&event) {
        return Err(Status::ERR_INVALID_ARGUMENT.because(format_args!("phase {phase} of event {event} does not exist")));
    }
    let trigger = reactor.pools.alloc::<Trigger>()?;
    let scope = reactor.scope.get();
    if scope != 0 {
        scopes::join(reactor, scope, trigger.word()).inspect_err(|_| reactor.pools.free(trigger))?;
    }
    reactor.above.fire_triggers.set(Some(fire));
    trigger.phase.set(phase);
    trigger.event.set(event);
    trigger.order.set(reactor.next_number());
    trigger.scope.set(scope);
    trigger.function.set(function);
    trigger.firing.set(false);
    *trigger.data.borrow_mut() = data;
    Ok(trigger)
}

/// Takes it back.
pub fn remove(trigger: Item<Trigger>) -> Result {
    if trigger.firing.get() {
        return Err(Status::ERR_ALREADY_CALLED);
    }
    finish(trigger);
    Ok(())
}

fn finish(trigger: Item<Trigger>) {
    let reactor = trigger.root();
    let data = trigger.data.take();
    reactor.pools.free(trigger);
    let _out = reactor.call_out();
    drop(data);
}

/// Fires an event: its phases one after the other, each once the one before is done.
fn fire(reactor: ReactorItem, event: i32) {
    fire_phase(reactor, event, 0);
}

fn fire_phase(reactor: ReactorItem, event: i32, first: i32) {
    for phase in first..PHASES {
        let mut triggers = reactor.pools.all::<Trigger>();
        triggers.retain(|trigger| trigger.phase.get() == phase && trigger.event.get() == event);
        triggers.sort_by_key(|trigger| trigger.order.get());
        let mut held = Vec::new();
        for trigger in triggers.into_iter().filter(|trigger| trigger.is_alive()) {
            held.extend(fire_one(reactor, trigger).filter(|_| phase == 0));
        }
        if !held.is_empty() && hold(reactor, event, held) {
            return;
        }
    }
    match event {
        0 => run::started(reactor),
        _ => run::stopped(reactor),
    }
}

/// Calls one trigger; the Deferred that it returned, if it did.
fn fire_one(reactor: ReactorItem, trigger: Item<Trigger>) -> Option<DeferredItem> {
    trigger.firing.set(true);
    let data = trigger.data.borrow().word();
    let returned = match trigger.function.get() {
        Some(function) => reactor.in_scope(trigger.scope.get(), || function(data)),
        None => {
            events::push_tag(reactor, events::TRIGGER, data, trigger.word());
            Word::NULL
        }
    };
    finish(trigger);
    if returned.is_null() {
        return None;
    }
    let taken = handles::get::<Deferred>(returned).and_then(|deferred| {
        outcome::check_can_hand_over(reactor, deferred)?;
        Ok(deferred)
    });
    if let Err(why) = taken {
        hooks::log(reactor, hooks::ERROR, format!("a trigger returned what cannot be waited for: {why:?}"));
    }
    taken.ok()
}

/// Waits for the Deferreds of the *before* phase; false if there is nothing to wait for after all.
fn hold(reactor: ReactorItem, event: i32, held: Vec<DeferredItem>) -> bool {
    // A crash and a new start in between make a late one harmless: its number is no longer the reactor's.
    let number = reactor.next_number();
    reactor.held.set((number, held.len() + 1));
    for deferred in held {
        let added = add(deferred, Entry::Inside { inside: log_failure, data: Word::NULL }, None).and_then(|()| {
            let data = Word::from_addr(number as usize * 2 + event as usize);
            add(deferred, Entry::Inside { inside: count_down, data }, None)
        });
        if added.is_err() {
            let _ = one_less(reactor, number);
        }
        if deferred.is_alive() {
            deferred.set(HANDED);
            let _ = release(deferred);
        }
    }
    !one_less(reactor, number)
}

/// Whether that was the last one.
fn one_less(reactor: ReactorItem, number: u64) -> bool {
    let (of, left) = reactor.held.get();
    if of != number {
        return false;
    }
    reactor.held.set((of, left - 1));
    left == 1
}

fn log_failure(deferred: DeferredItem, _: Word, _: &mut Agenda) {
    if deferred.has(FAILED) {
        let word = deferred.value.replace(Word::NULL);
        deferred.clear(FAILED);
        if let Ok(item) = handles::get::<failure::Failure>(word) {
            hooks::log(deferred.root(), hooks::ERROR, format!("a trigger failed: {}", item.describe()));
        }
        let _ = failure::release(word);
    }
}

fn count_down(deferred: DeferredItem, data: Word, _: &mut Agenda) {
    let reactor = deferred.root();
    let waits = matches!(reactor.state(), State::Starting | State::Stopping);
    if one_less(reactor, data.addr() as u64 / 2) && waits {
        fire_phase(reactor, data.addr() as i32 & 1, 1);
    }
}
