//! The queue under loom, which tries every interleaving and every value that the memory model lets a thread read:
//! `tests/run.py loom`, by the crate in tests/loom. Rings are tiny here: see `ring.rs`.

use super::ring::Entry;
use super::*;
use loom::sync::{Notify, atomic::AtomicUsize};
use loom::thread;
use std::cell::RefCell;
use std::sync::atomic::AtomicU64;

static IDS: AtomicU64 = AtomicU64::new(1);

/// A message of a thread that has senders.
struct Letter(usize);
static LETTERS: Registry<Letter> = Registry::new();
loom::thread_local!(static SENDERS: RefCell<Senders<Letter>> = RefCell::default());

impl Postable for Letter {
    fn registry() -> &'static Registry<Self> {
        step();
        &LETTERS
    }

    fn with_senders<R>(with: impl FnOnce(&mut Senders<Self>) -> R) -> Option<R> {
        SENDERS.try_with(|senders| with(&mut senders.borrow_mut())).ok()
    }
}

/// A message of a thread that is past its thread-locals.
struct Will(usize);
static WILLS: Registry<Will> = Registry::new();

impl Postable for Will {
    fn registry() -> &'static Registry<Self> {
        step();
        &WILLS
    }

    fn with_senders<R>(_: impl FnOnce(&mut Senders<Self>) -> R) -> Option<R> {
        None
    }
}

/// Both, with the number in them.
trait Numbered: Postable {
    fn new(number: usize) -> Self;
    fn number(&self) -> usize;
}

impl Numbered for Letter {
    fn new(number: usize) -> Self {
        Self(number)
    }

    fn number(&self) -> usize {
        self.0
    }
}

impl Numbered for Will {
    fn new(number: usize) -> Self {
        Self(number)
    }

    fn number(&self) -> usize {
        self.0
    }
}

loom::lazy_static!(static ref STEPS: AtomicUsize = AtomicUsize::new(0););

/// Makes loom try both orders of any two steps. On its own it would not: it remembers the last access to each word, so
/// a thread that reads the state and then changes it hides from it what another thread read before; and it does not
/// see the registry.
fn step() {
    STEPS.fetch_add(1, Ordering::Relaxed);
}

extern "C-unwind" fn ignore(_: Word) {}

/// Posts `number`, an odd one as a message; whether it was accepted.
fn post<M: Numbered>(id: u64, number: usize) -> bool {
    step();
    if number % 2 == 0 {
        return post_call::<M>(id, Call { call: ignore, data: Word::from_addr(number), free: None }).is_ok();
    }
    match post_message(id, M::new(number)) {
        Ok(()) => true,
        Err(rejected) => {
            assert_eq!(rejected.message.number(), number);
            false
        }
    }
}

fn number<M: Numbered>(item: Item<M>) -> usize {
    match item {
        Item::Call(call) => call.data.addr(),
        Item::Message(message) => message.number(),
    }
}

/// A reactor's end, its id, and what its waker rings.
fn open<M: Numbered>() -> (Consumer<M>, u64, Arc<Notify>) {
    let (consumer, bell) = (Consumer::default(), Arc::new(Notify::new()));
    let (id, rings) = (IDS.fetch_add(1, std::sync::atomic::Ordering::Relaxed), Arc::clone(&bell));
    consumer.open(id, Arc::new(move || rings.notify())).unwrap();
    (consumer, id, bell)
}

fn drain<M: Numbered>(consumer: &Consumer<M>) -> Vec<usize> {
    step();
    consumer.begin_drain();
    std::iter::from_fn(|| consumer.pop()).map(number).collect()
}

/// Turns of a reactor until it has had `count` posts, asleep in between; loom reports a sleep that nothing ends.
fn run_until<M: Numbered>(consumer: &Consumer<M>, bell: &Notify, count: usize) -> Vec<usize> {
    let mut seen = vec![];
    loop {
        seen.extend(drain(consumer));
        if seen.len() >= count {
            return seen;
        }
        step();
        if consumer.prepare_sleep() {
            bell.wait();
        }
        consumer.awake();
    }
}

/// Tries `model` with at most this many switches from a thread that could go on; with one less where the environment says that it must
/// be quick (LARIAT_LOOM=quick).
fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let less = usize::from(std::env::var("LARIAT_LOOM").is_ok_and(|how| how == "quick"));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some((preemptions - less).max(1));
    builder.check(model);
}

#[test]
fn no_post_is_slept_through() {
    check(4, || {
        let (consumer, id, bell) = open::<Letter>();
        let poster = thread::spawn(move || assert!(post::<Letter>(id, 2) && post::<Letter>(id, 3)));
        assert_eq!(run_until(&consumer, &bell, 2), [2, 3]);
        poster.join().unwrap();
        assert_eq!(consumer.close().count(), 0);
    });
}

#[test]
fn no_post_is_missed_by_a_reactor_that_becomes_idle() {
    check(4, || {
        let (consumer, id, bell) = open::<Letter>();
        let poster = thread::spawn(move || assert!(post::<Letter>(id, 2) && post::<Letter>(id, 3)));
        // Twice, so that it finds nothing while the state is POSTED.
        let mut seen = drain(&consumer);
        seen.extend(drain(&consumer));
        seen.extend(drain(&consumer));
        seen.extend(run_until(&consumer, &bell, 2 - seen.len()));
        assert_eq!(seen, [2, 3]);
        poster.join().unwrap();
    });
}

#[test]
fn no_post_of_two_threads_is_slept_through() {
    check(2, || {
        let (consumer, id, bell) = open::<Letter>();
        let posters = [2, 4].map(|number| thread::spawn(move || assert!(post::<Letter>(id, number))));
        let mut seen = run_until(&consumer, &bell, 2);
        seen.sort();
        assert_eq!(seen, [2, 4]);
        posters.into_iter().for_each(|poster| poster.join().unwrap());
        assert_eq!(consumer.close().count(), 0);
    });
}

#[test]
fn a_ring_grows_under_the_reactor() {
    check(1, || {
        let (consumer, id, bell) = open::<Letter>();
        // Enough for a third segment, which is the first one again if the reactor has emptied it. Calls alone: a message
        // has a lock more, and so many more interleavings.
        const NUMBERS: [usize; 5] = [2, 4, 6, 8, 10];
        let poster = thread::spawn(move || assert!(NUMBERS.iter().all(|&number| post::<Letter>(id, number))));
        assert_eq!(run_until(&consumer, &bell, 5), NUMBERS);
        poster.join().unwrap();
        assert_eq!(consumer.close().count(), 0);
    });
}

/// Threads post `numbers` while the reactor takes a look, falls asleep perhaps, and closes: all that was accepted comes out, in order.
fn post_against_close<M: Numbered>(preemptions: usize, numbers: &'static [&'static [usize]]) {
    check(preemptions, move || {
        let (consumer, id, _) = open::<M>();
        let work = |numbers: &'static [usize]| {
            move || -> Vec<usize> { numbers.iter().copied().filter(|&number| post::<M>(id, number)).collect() }
        };
        let posters: Vec<_> = numbers.iter().map(|&numbers| thread::spawn(work(numbers))).collect();
        step();
        consumer.begin_drain();
        let mut seen: Vec<_> = consumer.pop().into_iter().map(number).collect();
        step();
        let _may_be_asleep = consumer.prepare_sleep();
        step();
        seen.extend(consumer.close().map(number));
        for (poster, numbers) in posters.into_iter().zip(numbers) {
            let theirs = seen.iter().copied().filter(|number| numbers.contains(number)).collect::<Vec<_>>();
            assert_eq!(poster.join().unwrap(), theirs);
        }
    });
}

#[test]
fn a_post_is_run_or_refused() {
    post_against_close::<Letter>(4, &[&[2, 3]]);
}

#[test]
fn posts_of_two_threads_are_run_or_refused() {
    post_against_close::<Letter>(3, &[&[2], &[3]]);
}

/// As above with rings that are there already, so that more can be tried of what comes after.
#[test]
fn two_pushes_are_accepted_or_refused() {
    check(5, || {
        let (consumer, id, _) = open::<Letter>();
        let posters = [2, 4].map(|number| {
            let shared = LETTERS.get(id).unwrap();
            let (mut end, other_end) = ring::ring(1).unwrap();
            shared.register(other_end).unwrap();
            thread::spawn(move || {
                step();
                Some(Letter(number)).push(&mut end).unwrap();
                shared.announce(&end).is_ok()
            })
        });
        step();
        let seen: Vec<_> = consumer.close().map(number).collect();
        for (poster, number) in posters.into_iter().zip([2, 4]) {
            assert_eq!(poster.join().unwrap(), seen.contains(&number));
        }
    });
}

#[test]
fn a_post_without_thread_locals_is_run_or_refused() {
    post_against_close::<Will>(4, &[&[2, 3]]);
}

#[test]
fn a_post_without_thread_locals_is_not_slept_through() {
    check(3, || {
        let (consumer, id, bell) = open::<Will>();
        let poster = thread::spawn(move || assert!(post::<Will>(id, 2) && post::<Will>(id, 3)));
        assert_eq!(run_until(&consumer, &bell, 2), [2, 3]);
        poster.join().unwrap();
    });
}

#[test]
fn the_ring_of_a_thread_that_ends_is_not_dropped_too_early() {
    check(4, || {
        let (mut end, mut other_end) = ring::ring::<Letter>(2).unwrap();
        let poster = thread::spawn(move || {
            (2..5).for_each(|number| Some(Letter(number)).push(&mut end).unwrap());
        });
        let mut seen = 0;
        let mut look = || {
            let more_to_come = other_end.refresh();
            seen += std::iter::from_fn(|| other_end.pop()).count();
            assert!(more_to_come || seen == 3);
            more_to_come
        };
        look();
        look();
        poster.join().unwrap();
        look();
        assert!(!look());
    });
}
