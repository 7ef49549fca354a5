//! Several Deferreds as one: list, gather, race.

use super::chain::{Agenda, Outcome, Step, give, new, take_result};
use super::outcome::check_can_hand_over;
use super::results::{self, OneResult};
use super::slot::*;
use super::{failure, later};
use crate::handles::{self, Owned, Word};
use crate::reactor::ReactorItem;
use crate::status::{Result, Status};

/// `LARIAT_LIST_FIRE_ON_ONE_SUCCESS`
pub const ONE_SUCCESS: i32 = 1;
/// `LARIAT_LIST_FIRE_ON_ONE_FAILURE`
pub const ONE_FAILURE: i32 = 2;
/// `LARIAT_LIST_CONSUME_FAILURES`
pub const CONSUME: i32 = 4;
/// A race: the others are cancelled, and if all fail it fails.
const RACE: i32 = 8;

/// Set in an element's index when its failure is consumed, also after the list has fired and is gone.
const CONSUMED: u32 = 1 << 31;

/// What a list keeps until it fires.
#[derive(Default)]
pub(super) struct List {
    elements: Vec<Word>,
    results: Vec<OneResult>,
    waiting: usize,
    flags: i32,
}

/// All the results, in the order given; with `ONE_SUCCESS` or `ONE_FAILURE` the first of its kind. Hands the elements over, all or
/// none.
pub fn list(reactor: ReactorItem, words: Vec<Word>, flags: i32) -> Result<DeferredItem> {
    handles::check_memory(8 * 1024)?;
    let elements = check_elements(reactor, &words)?;
    let list = new(reactor)?;
    let count = elements.len();
    let mut results = Vec::new();
    // Each element gets one level more: what may need memory comes before anything is handed over.
    let make_room = |element: &DeferredItem| match element.has_entries() {
        true => element.with_new_extra(|extra| extra.overflow.try_reserve(1)).is_ok_and(|room| room.is_ok()),
        false => true,
    };
    let room =
        results.try_reserve(count).is_ok() && elements.iter().all(make_room) && list.with_new_extra(|_| ()).is_ok();
    if !room {
        later::discard(list);
        return Err(Status::ERR_NO_MEMORY);
    }
    results.resize_with(count, OneResult::default);
    list.set(IS_LIST);
    list.with_extra(|extra| extra.list = Some(List { elements: words, results, waiting: count, flags }));
    if count == 0 && (flags & ONE_SUCCESS == 0 || flags & RACE != 0) {
        let mut agenda = Agenda::default();
        fire_whole(list, &mut agenda);
        agenda.settle();
    }
    hand_over(list, elements, flags & CONSUME != 0);
    Ok(list)
}

fn check_elements(reactor: ReactorItem, words: &[Word]) -> Result<Vec<DeferredItem>> {
    let mut elements = Vec::new();
    elements.try_reserve(words.len()).map_err(|_| Status::ERR_NO_MEMORY)?;
    let mut checked = Ok(());
    for (index, word) in words.iter().enumerate() {
        checked = handles::get::<Deferred>(*word).and_then(|element| {
            check_can_hand_over(reactor, element)?;
            if element.has(MARKED) {
                return Err(Status::ERR_ALREADY_WAITED);
            }
            element.set(MARKED);
            elements.push(element);
            Ok(())
        });
        if let Err(status) = checked {
            let why = String::from_utf8_lossy(status.text().to_bytes()).into_owned();
            checked = Err(status.because(format_args!("element {index}: {why}")));
            break;
        }
    }
    elements.iter().for_each(|element| element.clear(MARKED));
    checked.map(|()| elements)
}

fn hand_over(list: DeferredItem, elements: Vec<DeferredItem>, consume: bool) {
    let _out = list.root().call_out();
    let word = list.word();
    for element in &elements {
        element.set(RELEASED | HANDED);
        element.waiter.set(list.index());
    }
    for (index, element) in elements.into_iter().enumerate() {
        if !element.is_alive() {
            continue;
        }
        // There is room: it was reserved.
        let _ = element.push(Entry::Element { list: word, index: index as u32 | if consume { CONSUMED } else { 0 } });
        super::chain::resume(element);
    }
}

/// An element's chain has run out: its result is the list's.
pub(super) fn element_done(element: DeferredItem, list: Word, index: u32, agenda: &mut Agenda) {
    element.waiter.set(0);
    let succeeded = !element.has(FAILED);
    let one = if succeeded || index & CONSUMED != 0 {
        match take_result(element) {
            Outcome::Value(value) => OneResult { value, failure: Owned::default(), done: true },
            Outcome::Failure(word) => results::failed(word),
        }
    } else {
        results::failed(failure::keep(element.value.get()))
    };
    let Some(list) = handles::get::<Deferred>(list).ok().filter(|list| !list.has(CALLED)) else { return };
    let index = (index & !CONSUMED) as usize;
    let state = list.with_extra(|extra| {
        let state = extra.list.as_mut()?;
        state.results[index] = one;
        state.waiting -= 1;
        Some((state.flags, state.waiting))
    });
    let Some((flags, waiting)) = state.flatten() else { return };
    match succeeded {
        true if flags & ONE_SUCCESS != 0 => fire_with_one(list, index, flags, agenda),
        false if flags & ONE_FAILURE != 0 => fire_failed(list, index, agenda),
        _ if waiting == 0 => fire_whole(list, agenda),
        _ => {}
    }
}

fn take_list(list: DeferredItem) -> List {
    list.with_extra(|extra| extra.list.take()).flatten().unwrap_or_default()
}

fn fire(list: DeferredItem, outcome: Outcome, agenda: &mut Agenda) {
    list.set(WORKER_GONE);
    give(list, outcome);
    agenda.push(Step::Run(list));
}

fn fire_value(list: DeferredItem, value: Result<Owned>, agenda: &mut Agenda) {
    let outcome = value.map_or_else(|why| Outcome::Failure(failure::of_status(list.root(), why)), Outcome::Value);
    fire(list, outcome, agenda);
}

/// The first success: the others' results are nobody's any more, and the rest of a race is cancelled.
fn fire_with_one(list: DeferredItem, index: usize, flags: i32, agenda: &mut Agenda) {
    let state = take_list(list);
    fire_value(list, results::make(list.root(), state.results, index as i64), agenda);
    if flags & RACE != 0 {
        // The agenda does the newest first: the others end before the race is told, as in Twisted.
        let others = state.elements.into_iter().rev().filter_map(|word| handles::get::<Deferred>(word).ok());
        others.for_each(|other| agenda.push(Step::Cancel(other)));
    }
}

fn fire_failed(list: DeferredItem, index: usize, agenda: &mut Agenda) {
    let state = take_list(list);
    let failure = failure::with_index(list.root(), state.results[index].failure.word(), index);
    fire(list, Outcome::Failure(failure), agenda);
    drop(state);
}

fn fire_whole(list: DeferredItem, agenda: &mut Agenda) {
    let state = take_list(list);
    let results = results::make(list.root(), state.results, -1);
    match results {
        Ok(results) if state.flags & RACE != 0 => {
            let failure = failure::with_results(list.root(), Status::ERR_ALL_FAILED, results);
            fire(list, Outcome::Failure(failure), agenda);
        }
        results => fire_value(list, results, agenda),
    }
}

/// Cancelling a list cancels what has not fired; the list then fires by its own rules.
pub(super) fn cancel_elements(list: DeferredItem, agenda: &mut Agenda) {
    let words = list.with_extra(|extra| extra.list.as_ref().map(|list| list.elements.clone()));
    let words = words.flatten().unwrap_or_default();
    if words.is_empty() {
        // An empty list that waits for one success: nothing else could end it.
        list.set(WORKER_GONE);
        let failure = failure::of_status(list.root(), Status::ERR_CANCELLED);
        return fire(list, Outcome::Failure(failure), agenda);
    }
    let elements = words.into_iter().rev().filter_map(|word| handles::get::<Deferred>(word).ok());
    elements.for_each(|element| agenda.push(Step::Cancel(element)));
}

/// All the values; fails with the first failure.
pub fn gather(reactor: ReactorItem, words: Vec<Word>) -> Result<DeferredItem> {
    list(reactor, words, ONE_FAILURE | CONSUME)
}

/// The first value; the others are cancelled. Fails if all do.
pub fn race(reactor: ReactorItem, words: Vec<Word>) -> Result<DeferredItem> {
    list(reactor, words, ONE_SUCCESS | CONSUME | RACE)
}
