//! Partitions, resets and refusals on demand.

use crate::common::*;
use lariat::driver::Link;
use lariat::driver::sockets::{KeepAlive, SocketOption, Sockets};
use std::io::ErrorKind;
use std::time::Duration;

#[test]
fn nothing_crosses_a_partition_until_it_heals() {
    let two = faithful(1);
    let (client, server) = pair(&two);
    two.world.partition(Some("b"), Some("a"), true);
    two.a.send(client, b"held up").unwrap();
    pass(&two.world, 60 * SECOND);
    assert_eq!(kind(two.b.receive(server, &mut [0; 10])), ErrorKind::WouldBlock);
    two.world.partition(Some("a"), Some("b"), false);
    pass(&two.world, 6 * SECOND);
    assert_eq!(two.b.receive(server, &mut [0; 10]).unwrap(), 7);
    assert!(two.world.next_event().is_none());
}

#[test]
fn a_connection_that_is_cut_for_long_dies_where_it_sends() {
    let two = faithful(1);
    let (client, server) = pair(&two);
    watch(&two.a, client, 1);
    ready(&two.a);
    two.world.partition(None, Some("b"), true);
    two.a.send(client, b"lost").unwrap();
    settle(&two.world);
    assert!((120..130).contains(&(two.world.now() / SECOND)), "{}", two.world.now());
    assert_eq!(ready(&two.a), [(1, BOTH, true)]);
    assert_eq!(kind(two.a.receive(client, &mut [0; 1])), ErrorKind::TimedOut);
    // The other end finds out when it writes and is heard again.
    assert_eq!(kind(two.b.receive(server, &mut [0; 1])), ErrorKind::WouldBlock);
    two.world.partition(None, None, false);
    two.b.send(server, b"x").unwrap();
    settle(&two.world);
    assert_eq!(kind(two.b.receive(server, &mut [0; 1])), ErrorKind::ConnectionReset);
}

#[test]
fn to_connect_over_a_partition_times_out() {
    let two = faithful(1);
    listen(&two.b, "0.0.0.0:80", 1);
    two.world.set_link(Some("a"), Some("b"), Link { partitioned: true, ..Link::default() });
    let client = connect(&two.a, "10.0.0.2:80");
    settle(&two.world);
    assert_eq!(two.world.now() / SECOND, 127);
    assert_eq!(two.a.take_error(client).unwrap().unwrap().kind(), ErrorKind::TimedOut);
    let again = connect(&two.a, "10.0.0.2:80");
    pass(&two.world, 2 * SECOND);
    two.world.set_link(Some("a"), Some("b"), Link::default());
    pass(&two.world, 2 * SECOND);
    assert!(two.a.send(again, b"x").is_ok(), "it asked again");
}

#[test]
fn news_of_room_that_got_lost_comes_when_the_link_heals() {
    let two = faithful(1);
    let (client, server) = pair(&two);
    let data = bytes(300_000, 1);
    let sent = two.a.send(client, &data).unwrap();
    settle(&two.world);
    watch(&two.a, client, 1);
    ready(&two.a);
    two.world.partition(Some("a"), Some("b"), true);
    assert_eq!(two.b.receive(server, &mut vec![0; 300_000]).unwrap(), sent);
    settle(&two.world);
    assert_eq!(kind(two.a.send(client, b"x")), ErrorKind::WouldBlock);
    two.world.partition(Some("a"), Some("b"), false);
    settle(&two.world);
    assert!(ready(&two.a)[0].1.writable);
    assert!(two.a.send(client, b"x").is_ok());
}

#[test]
fn probes_find_out_about_a_silent_connection() {
    let two = faithful(1);
    let (client, server) = pair(&two);
    let second = Duration::from_secs(1);
    let keep_alive = KeepAlive { idle: 30 * second, interval: Some(5 * second), count: 4 };
    two.b.set(server, SocketOption::KeepAlive(Some(keep_alive))).unwrap();
    settle(&two.world);
    let start = two.world.now();
    two.world.partition(Some("a"), Some("b"), true);
    pass(&two.world, 20 * SECOND);
    two.world.partition(Some("a"), Some("b"), false);
    settle(&two.world);
    assert_eq!(kind(two.b.receive(server, &mut [0; 1])), ErrorKind::WouldBlock, "it was not cut for long enough");
    two.world.partition(Some("a"), Some("b"), true);
    let cut = two.world.now();
    settle(&two.world);
    assert!(cut >= start && two.world.now() - cut == 50 * SECOND);
    assert_eq!(kind(two.b.receive(server, &mut [0; 1])), ErrorKind::TimedOut);
    assert_eq!(kind(two.a.receive(client, &mut [0; 1])), ErrorKind::WouldBlock, "nobody looks after this end");
}

#[test]
fn a_peer_that_vanished_behind_a_partition_is_found_out_by_writing() {
    let two = faithful(1);
    let (client, server) = pair(&two);
    two.world.partition(Some("a"), Some("b"), true);
    two.b.set(server, SocketOption::Linger(Some(Duration::ZERO))).unwrap();
    two.b.close(server);
    settle(&two.world);
    two.world.partition(Some("a"), Some("b"), false);
    settle(&two.world);
    assert_eq!(kind(two.a.receive(client, &mut [0; 1])), ErrorKind::WouldBlock);
    two.a.send(client, b"hello?").unwrap();
    settle(&two.world);
    assert_eq!(kind(two.a.receive(client, &mut [0; 1])), ErrorKind::ConnectionReset);
}

#[test]
fn connections_are_reset_on_demand() {
    let two = faithful(1);
    let (client, server) = pair(&two);
    two.world.reset_connections(Some("a"), Some("c"));
    assert_eq!(kind(two.a.receive(client, &mut [0; 1])), ErrorKind::WouldBlock);
    two.world.reset_connections(Some("b"), None);
    assert_eq!(kind(two.a.receive(client, &mut [0; 1])), ErrorKind::ConnectionReset);
    assert_eq!(kind(two.b.receive(server, &mut [0; 1])), ErrorKind::ConnectionReset);
    assert!(two.world.next_event().is_none());
}

#[test]
fn connections_are_refused_on_demand() {
    let two = faithful(1);
    listen(&two.b, "0.0.0.0:80", 100);
    two.world.refuse_connections("b", 80, 2);
    let is_refused = || {
        let client = connect(&two.a, "10.0.0.2:80");
        settle(&two.world);
        two.a.take_error(client).unwrap().is_some()
    };
    assert_eq!([(); 3].map(|()| is_refused()), [true, true, false]);
    two.world.refuse_connections("b", 0, -1);
    assert!([(); 3].into_iter().all(|()| is_refused()));
    two.world.refuse_connections("b", 0, 0);
    assert!(!is_refused());
}
