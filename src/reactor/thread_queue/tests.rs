//! The queue with real threads.

use super::*;
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::thread;
use std::time::Duration;

/// A message with a number, and something to see it dropped by.
#[derive(Debug)]
struct Letter(usize, #[expect(dead_code, reason = "dropped, not read")] Arc<()>);

static REGISTRY: Registry<Letter> = Registry::new();
static IDS: AtomicU64 = AtomicU64::new(1);
thread_local!(static SENDERS: RefCell<Senders<Letter>> = const { RefCell::new(Senders::new()) });

impl Postable for Letter {
    fn registry() -> &'static Registry<Self> {
        &REGISTRY
    }

    fn with_senders<R>(with: impl FnOnce(&mut Senders<Self>) -> R) -> Option<R> {
        SENDERS.try_with(|senders| senders.try_borrow_mut().ok().map(|mut senders| with(&mut senders))).ok().flatten()
    }
}

extern "C-unwind" fn ignore(_: Word) {}

fn call(number: usize) -> Call {
    Call { call: ignore, data: Word::from_addr(number), free: None }
}

/// Posts `number`: every third one as a message.
fn post(id: u64, number: usize) -> Result<(), Refused> {
    match number % 3 {
        0 => post_message(id, Letter(number, Arc::default())).map_err(|rejected| rejected.reason),
        _ => post_call::<Letter>(id, call(number)),
    }
}

fn number(item: Item<Letter>) -> usize {
    match item {
        Item::Call(call) => call.data.addr(),
        Item::Message(letter) => letter.0,
    }
}

fn new_id() -> u64 {
    IDS.fetch_add(1, Ordering::Relaxed)
}

/// An open reactor's end, its id, and how often it was woken.
fn open() -> (Consumer<Letter>, u64, Arc<AtomicUsize>) {
    let (consumer, wakes) = (Consumer::default(), Arc::new(AtomicUsize::new(0)));
    let (id, counter) = (new_id(), Arc::clone(&wakes));
    let count = move || {
        counter.fetch_add(1, Ordering::SeqCst);
    };
    consumer.open(id, Arc::new(count)).unwrap();
    (consumer, id, wakes)
}

fn drain(consumer: &Consumer<Letter>) -> Vec<usize> {
    consumer.begin_drain();
    std::iter::from_fn(|| consumer.pop()).map(number).collect()
}

fn in_thread<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    thread::spawn(work).join().unwrap()
}

#[test]
fn calls_and_messages_keep_their_order_through_growth() {
    let (consumer, id, _) = open();
    for round in [10, 100, 300_000, 1000] {
        in_thread(move || (0..round).for_each(|number| post(id, number).unwrap()));
        (0..round).for_each(|number| post(id, number).unwrap());
        assert!(drain(&consumer).into_iter().eq((0..round).chain(0..round)), "ring by ring");
        assert!(!consumer.has_posts());
    }
}

#[test]
fn a_drain_has_what_was_there_when_it_began() {
    let (consumer, id, _) = open();
    (0..5).for_each(|number| post(id, number).unwrap());
    consumer.begin_drain();
    let mut seen = vec![];
    while let Some(item) = consumer.pop() {
        seen.push(number(item));
        post(id, 100).unwrap();
    }
    assert_eq!(seen, [0, 1, 2, 3, 4]);
    assert!(consumer.has_posts());
    assert_eq!(drain(&consumer), [100; 5]);
    assert!(!consumer.has_posts());
}

#[test]
fn what_is_left_goes_first_whichever_thread_posted_more() {
    let (consumer, id, _) = open();
    in_thread(move || (0..4).for_each(|number| post(id, number).unwrap()));
    in_thread(move || post(id, 10).unwrap());
    consumer.begin_drain();
    assert_eq!(consumer.pop().map(number), Some(0));
    post(id, 20).unwrap();
    assert!(consumer.has_posts() && !consumer.prepare_sleep());
    assert_eq!(drain(&consumer), [1, 2, 3, 10]);
    assert!(consumer.has_posts() && !consumer.prepare_sleep());
    assert_eq!(drain(&consumer), [20]);
}

#[test]
fn a_sleeping_reactor_is_woken_once_and_one_awake_never() {
    let (consumer, id, wakes) = open();
    let woken = || wakes.swap(0, Ordering::SeqCst);
    post(id, 1).unwrap();
    assert!(!consumer.prepare_sleep(), "there is something to run");
    assert_eq!((drain(&consumer), woken()), (vec![1], 0));
    assert!(consumer.prepare_sleep() && consumer.prepare_sleep());
    (2..5).for_each(|number| post(id, number).unwrap());
    in_thread(move || post(id, 5).unwrap());
    assert_eq!(woken(), 1);
    consumer.awake();
    assert_eq!(drain(&consumer), [2, 3, 4, 5]);
    assert!(consumer.prepare_sleep(), "straight after a drain, the state still being POSTED");
    consumer.awake();
    post(id, 6).unwrap();
    assert_eq!((drain(&consumer), woken()), (vec![6], 0));
    assert!(drain(&consumer).is_empty() && consumer.prepare_sleep(), "from IDLE");
    post(id, 7).unwrap();
    assert_eq!(woken(), 1);
    assert!(!consumer.prepare_sleep());
}

#[test]
fn rings_of_threads_that_are_done_go() {
    let (consumer, id, _) = open();
    for round in 0..20 {
        let threads: Vec<_> = (0..50).map(|n| thread::spawn(move || post(id, round * 50 + n).unwrap())).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(drain(&consumer).len(), 50);
        assert!(consumer.ring_count() <= 50, "those of this round alone");
    }
    post(id, 0).unwrap();
    assert_eq!(drain(&consumer).len(), 1);
    assert_eq!(consumer.ring_count(), 1, "our own");
}

#[test]
fn closing_hands_over_what_was_accepted_and_refuses_the_rest() {
    let (consumer, id, _) = open();
    (0..4).for_each(|number| post(id, number).unwrap());
    consumer.begin_drain();
    assert_eq!(consumer.pop().map(number), Some(0));
    in_thread(move || post(id, 10).unwrap());
    let rest = consumer.close();
    assert!(consumer.pop().is_none() && !consumer.has_posts() && consumer.prepare_sleep());
    assert_eq!(post(id, 4), Err(Refused::Closed));
    assert_eq!(in_thread(move || post(id, 11)), Err(Refused::Closed));
    let (letter, seen) = (Arc::new(()), rest.map(number).collect::<Vec<_>>());
    let rejected = post_message(id, Letter(7, Arc::clone(&letter))).unwrap_err();
    assert_eq!((rejected.message.0, rejected.reason, Arc::strong_count(&letter)), (7, Refused::Closed, 2));
    assert_eq!(seen, [1, 2, 3, 10]);
    assert_eq!(consumer.close().count(), 0);
    assert_eq!(post_call::<Letter>(u64::MAX, call(0)), Err(Refused::Closed));
}

#[test]
fn a_rest_that_is_dropped_frees() {
    static FREED: AtomicUsize = AtomicUsize::new(0);
    extern "C-unwind" fn free(word: Word) {
        FREED.fetch_add(word.addr(), Ordering::SeqCst);
    }
    let (consumer, id, _) = open();
    let letter = Arc::new(());
    post_call::<Letter>(id, Call { free: Some(free), ..call(3) }).unwrap();
    post_message(id, Letter(0, Arc::clone(&letter))).unwrap();
    post_call::<Letter>(id, Call { free: Some(free), ..call(4) }).unwrap();
    drop(consumer);
    assert_eq!((FREED.load(Ordering::SeqCst), Arc::strong_count(&letter)), (7, 1));
}

#[test]
fn a_closed_reactor_leaves_nothing_with_the_threads() {
    let waker: Waker = Arc::new(|| {});
    let count = || SENDERS.with_borrow(Senders::count);
    for _ in 0..10 {
        let (consumer, id) = (Consumer::<Letter>::default(), new_id());
        consumer.open(id, Arc::clone(&waker)).unwrap();
        post(id, 1).unwrap();
        assert_eq!(count(), 1, "those before are forgotten");
        assert_eq!(consumer.close().count(), 1);
        assert_eq!(Arc::strong_count(&waker), 1);
        let id = new_id();
        consumer.open(id, Arc::clone(&waker)).unwrap();
        post(id, 1).unwrap();
        assert_eq!(drain(&consumer), [1], "the same end, opened again");
    }
    let (consumer, id, _) = open();
    post(id, 1).unwrap();
    drop(consumer.close());
    (0..1000).for_each(|number| assert_eq!(post(id, number), Err(Refused::Closed)));
    assert_eq!(count(), 0);
}

#[test]
fn a_thread_that_is_ending_can_post() {
    /// Posts its second number to the reactor with the first one when it is dropped.
    struct Last(u64, usize);
    impl Drop for Last {
        fn drop(&mut self) {
            (0..3).for_each(|n| post(self.0, self.1 + n).unwrap());
        }
    }
    // One of them is dropped after the thread's senders, whichever order the platform has.
    thread_local!(static FIRST: RefCell<Option<Last>> = const { RefCell::new(None) });
    thread_local!(static SECOND: RefCell<Option<Last>> = const { RefCell::new(None) });
    let (consumer, id, wakes) = open();
    assert!(consumer.prepare_sleep());
    in_thread(move || {
        FIRST.set(Some(Last(id, 100)));
        (0..3).for_each(|number| post(id, number).unwrap());
        SECOND.set(Some(Last(id, 200)));
    });
    let mut seen = drain(&consumer);
    assert_eq!(seen[..3], [0, 1, 2]);
    seen[3..].sort_by_key(|number| number / 100);
    assert_eq!(seen[3..], [100, 101, 102, 200, 201, 202]);
    assert_eq!(wakes.load(Ordering::SeqCst), 1);
}

/// Posts numbers to `id` until told that it is closed; how many were accepted.
fn post_until_closed(id: u64, thread: usize, at_most: usize) -> usize {
    (0..at_most).take_while(|number| post(id, thread << 32 | number) != Err(Refused::Closed)).count()
}

/// Notes a number, which has to be the next one of its thread.
fn note(counts: &mut [usize], item: Item<Letter>) {
    let number = number(item);
    assert_eq!(counts[number >> 32], number & 0xffff_ffff);
    counts[number >> 32] += 1;
}

/// Four threads post while the reactor sleeps and wakes; it closes when it has had `enough`.
fn race(enough: usize, at_most: usize) {
    let consumer = Consumer::<Letter>::default();
    let (id, reactor) = (new_id(), thread::current());
    consumer.open(id, Arc::new(move || reactor.unpark())).unwrap();
    let threads = [0, 1, 2, 3].map(|n| thread::spawn(move || post_until_closed(id, n, at_most)));
    let mut counts = [0; 4];
    while counts.iter().sum::<usize>() < enough {
        consumer.begin_drain();
        std::iter::from_fn(|| consumer.pop()).for_each(|item| note(&mut counts, item));
        if counts.iter().sum::<usize>() < enough && consumer.prepare_sleep() {
            let start = std::time::Instant::now();
            thread::park_timeout(Duration::from_secs(20));
            assert!(start.elapsed() < Duration::from_secs(15), "slept through a post");
            consumer.awake();
        }
    }
    consumer.close().for_each(|item| note(&mut counts, item));
    assert_eq!(threads.map(|thread| thread.join().unwrap()), counts);
}

#[test]
fn nothing_is_lost_or_doubled() {
    race(4 * 200_000, 200_000);
}

#[test]
fn a_post_against_a_close_is_run_or_refused() {
    (0..100).for_each(|round| race(round * 20, usize::MAX));
}
