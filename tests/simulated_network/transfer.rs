//! Data gets there whole and in order, whatever the link does to packets and the system to calls.

use crate::common::*;
use lariat::driver::Link;
use lariat::driver::sockets::Sockets;
use std::io::ErrorKind;

/// Sends both ways at once; returns the hash and how long it took.
fn transfer(seed: u64, length: usize, link: Link, short_io: f64) -> (u64, u64) {
    let two = two(seed);
    two.world.set_short_io(short_io);
    two.world.set_link(None, None, link);
    let (client, server) = pair(&two);
    let start = two.world.now();
    let (there, back) = (bytes(length, 1), bytes(length / 2 + 1, 2));
    let mut a = End::new(&two.a, client, there.clone());
    let mut b = End::new(&two.b, server, back.clone());
    while !(a.over && b.over) {
        if !(a.turn() | b.turn()) {
            assert!(step(&two.world), "both wait for an edge, and nothing is on its way");
        }
    }
    assert!(a.received == back && b.received == there, "what came is not what was sent");
    let took = two.world.now() - start;
    two.a.close(client);
    two.b.close(server);
    settle(&two.world);
    (two.world.trace_hash(), took)
}

#[test]
fn megabytes_both_ways_at_once() {
    let link = Link { latency: 20 * MILLISECOND, jitter: 30 * MILLISECOND, loss: 0.1, ..Link::default() };
    for seed in 0..5 {
        transfer(seed, 2_000_000, link, 0.5);
        transfer(seed, 2_000_000, Link::default(), 0.0);
        transfer(seed, 300_000, Link { loss: 0.6, ..link }, 0.95);
        transfer(seed, 100_000, Link { latency: 0, ..Link::default() }, 0.2);
        transfer(seed, 0, link, 1.0);
    }
}

#[test]
fn the_same_seed_does_the_same_and_another_does_not() {
    let link = Link { jitter: 30 * MILLISECOND, loss: 0.1, ..slow() };
    let first = transfer(7, 500_000, link, 0.3);
    assert_eq!(transfer(7, 500_000, link, 0.3), first);
    assert_ne!(transfer(8, 500_000, link, 0.3), first);
    assert_ne!(transfer(7, 500_001, link, 0.3).0, first.0);
}

#[test]
fn bandwidth_is_what_it_takes() {
    let link = Link { bandwidth: 1e6, ..slow() };
    let (_, took) = transfer(1, 3_000_000, link, 0.0);
    assert!((3 * SECOND..SECOND * 33 / 10).contains(&took), "{took}");
}

#[test]
fn one_who_does_not_read_stops_the_other() {
    let two = faithful(1);
    let (client, server) = pair(&two);
    watch(&two.a, client, 1);
    ready(&two.a);
    let (mut sent, data) = (0, [7; 10_000]);
    let error = loop {
        match two.a.send(client, &data) {
            Ok(length) => sent += length,
            Err(why) => break why,
        }
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert_eq!(sent, 256 * 1024, "the buffers of both ends");
    settle(&two.world);
    assert!(ready(&two.a).is_empty(), "no room yet");
    assert_eq!(kind(two.a.send(client, &data)), ErrorKind::WouldBlock);

    let mut buffer = [0; 300_000];
    assert_eq!(two.b.receive(server, &mut buffer).unwrap(), sent);
    assert_eq!(kind(two.b.receive(server, &mut buffer)), ErrorKind::WouldBlock);
    assert!(ready(&two.a).is_empty(), "that it was read is not known yet");
    settle(&two.world);
    let (_, readiness, ended) = ready(&two.a)[0];
    assert!(readiness.writable && !ended);
    assert_eq!(two.a.send(client, &data).unwrap(), data.len());
}

#[test]
fn each_arrival_is_an_edge() {
    let two = faithful(1);
    let (client, server) = pair(&two);
    watch(&two.b, server, 5);
    assert_eq!(ready(&two.b).len(), 1, "there is room");
    assert!(ready(&two.b).is_empty(), "told once");
    for _ in 0..3 {
        two.a.send(client, b"x").unwrap();
        settle(&two.world);
        assert_eq!(ready(&two.b), [(5, BOTH, false)]);
        assert!(ready(&two.b).is_empty());
    }
}

#[test]
fn data_takes_its_time() {
    let two = faithful(1);
    two.world.set_link(Some("a"), Some("b"), Link { latency: 70 * MILLISECOND, ..Link::default() });
    two.world.set_link(Some("b"), Some("a"), Link { latency: 30 * MILLISECOND, ..Link::default() });
    let listener = listen(&two.b, "0.0.0.0:80", 16);
    let client = connect(&two.a, "10.0.0.2:80");
    watch(&two.a, client, 1);
    pass(&two.world, 99 * MILLISECOND);
    assert!(ready(&two.a).is_empty());
    pass(&two.world, MILLISECOND);
    assert!(ready(&two.a)[0].1.writable, "connected after a round trip");
    assert!(two.a.take_error(client).unwrap().is_none());
    two.a.send(client, b"hello").unwrap();
    assert_eq!(kind(two.b.accept(listener)), ErrorKind::WouldBlock);
    pass(&two.world, 70 * MILLISECOND);
    let server = two.b.accept(listener).unwrap();
    let mut buffer = [0; 10];
    assert_eq!(two.b.receive(server, &mut buffer).unwrap(), 5);
    assert_eq!(&buffer[..5], b"hello");
}
