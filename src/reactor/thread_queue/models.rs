//! The queue under loom, which tries every interleaving and every value that the memory model lets a thread read:
//! `RUSTFLAGS="--cfg loom" cargo test --release --lib models`. Rings are tiny here: see `ring.rs`.

use super::ring::Entry;
use super::*;
use loom::sync::Notify;
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

extern "C-unwind" fn ignore(_: Word) {}

/// Posts `number`, an odd one as a message; whether it was accepted.
fn post<M: Numbered>(id: u64, number: usize) -> bool {
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

/// Turns of a reactor until it has had `count` posts, asleep in between; loom reports a sleep that nothing ends.
fn run_until<M: Numbered>(consumer: &Consumer<M>, bell: &Notify, count: usize) -> Vec<usize> {
    let mut seen = vec![];
    loop {
        consumer.begin_drain();
        seen.extend(std::iter::from_fn(|| consumer.pop()).map(number));
        if seen.len() >= count {
            return seen;
        }
        if consumer.prepare_sleep() {
            bell.wait();
        }
        consumer.awake();
    }
}

/// Tries `model` with at most this many switches from a thread that could go on.
fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

#[test]
fn no_post_is_slept_through() {
    check(3, || {
        let (consumer, id, bell) = open::<Letter>();
        let poster = thread::spawn(move || assert!(post::<Letter>(id, 2) && post::<Letter>(id, 3)));
        assert_eq!(run_until(&consumer, &bell, 2), [2, 3]);
        poster.join().unwrap();
        assert_eq!(consumer.close().count(), 0);
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
    check(2, || {
        let (consumer, id, bell) = open::<Letter>();
        let poster = thread::spawn(move || assert!((2..9).all(|number| post::<Letter>(id, number))));
        assert_eq!(run_until(&consumer, &bell, 7), [2, 3, 4, 5, 6, 7, 8]);
        poster.join().unwrap();
        assert_eq!(consumer.close().count(), 0);
    });
}

/// Threads post `numbers` while the reactor takes a look and then closes: all that was accepted comes out, in order.
fn post_against_close<M: Numbered>(preemptions: usize, numbers: &'static [&'static [usize]]) {
    check(preemptions, move || {
        let (consumer, id, _) = open::<M>();
        let work = |numbers: &'static [usize]| {
            move || -> Vec<usize> { numbers.iter().copied().filter(|&number| post::<M>(id, number)).collect() }
        };
        let posters: Vec<_> = numbers.iter().map(|&numbers| thread::spawn(work(numbers))).collect();
        consumer.begin_drain();
        let mut seen: Vec<_> = consumer.pop().into_iter().map(number).collect();
        seen.extend(consumer.close().map(number));
        for (poster, numbers) in posters.into_iter().zip(numbers) {
            let theirs = seen.iter().copied().filter(|number| numbers.contains(number)).collect::<Vec<_>>();
            assert_eq!(poster.join().unwrap(), theirs);
        }
    });
}

#[test]
fn a_post_is_run_or_refused() {
    post_against_close::<Letter>(3, &[&[2, 3]]);
}

#[test]
fn posts_of_two_threads_are_run_or_refused() {
    post_against_close::<Letter>(2, &[&[2], &[3]]);
}

#[test]
fn a_post_without_thread_locals_is_run_or_refused() {
    post_against_close::<Will>(3, &[&[2, 3]]);
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
    check(3, || {
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
