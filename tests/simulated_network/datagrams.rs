//! Datagrams: lost, doubled and overtaken as the link has it, but never broken.

use crate::common::*;
use lariat::driver::Link;
use lariat::driver::address::{Address, Family, UnixAddress};
use lariat::driver::sockets::{Carries, Interface, Received, SocketOption, Sockets};
use std::io::{self, ErrorKind};

fn receive(
    driver: &lariat::driver::SimulatedDriver,
    socket: lariat::platform::Socket,
) -> io::Result<(Vec<u8>, Received)> {
    let mut buffer = vec![0; 70_000];
    let received = driver.receive_from(socket, &mut buffer)?;
    buffer.truncate(received.length);
    Ok((buffer, received))
}

/// Sends numbers one millisecond apart; returns those that came, and the hash.
fn numbers(seed: u64, count: u32, link: Link) -> (Vec<u32>, u64) {
    let two = faithful(seed);
    two.world.set_link(None, None, link);
    let from = datagrams(&two.a, "0.0.0.0:0");
    let to = datagrams(&two.b, "0.0.0.0:9");
    let mut got = Vec::new();
    let take = |got: &mut Vec<u32>| {
        while let Ok((data, _)) = receive(&two.b, to) {
            got.push(u32::from_le_bytes(data.try_into().unwrap()));
        }
    };
    for number in 0..count {
        two.a.send_to(from, &number.to_le_bytes(), 0, Some(&ip("10.0.0.2:9"))).unwrap();
        pass(&two.world, MILLISECOND);
        take(&mut got);
    }
    settle(&two.world);
    take(&mut got);
    (got, two.world.trace_hash())
}

#[test]
fn a_perfect_link_keeps_all() {
    assert_eq!(numbers(1, 1000, slow()).0, (0..1000).collect::<Vec<_>>());
}

#[test]
fn loss_duplication_and_reordering_are_as_probable_as_asked() {
    let (lossy, _) = numbers(1, 10_000, Link { loss: 0.2, ..slow() });
    assert!((7_800..8_200).contains(&lossy.len()), "{}", lossy.len());
    assert!(lossy.is_sorted());
    let (doubled, _) = numbers(1, 10_000, Link { duplication: 0.1, ..slow() });
    assert!((10_850..11_150).contains(&doubled.len()), "{}", doubled.len());
    let (mixed, _) = numbers(1, 10_000, Link { reordering: 0.05, ..slow() });
    let late = mixed.windows(2).filter(|two| two[0] > two[1]).count();
    assert!((300..600).contains(&late), "{late}");
    assert_eq!(mixed.len(), 10_000);
    assert_eq!(numbers(1, 100, Link { loss: 1.0, ..slow() }).0, []);
    assert_eq!(numbers(1, 100, Link { duplication: 1.0, ..slow() }).0.len(), 200);
}

#[test]
fn the_seed_decides() {
    let link = Link { loss: 0.2, duplication: 0.1, reordering: 0.1, jitter: 20 * MILLISECOND, ..slow() };
    let first = numbers(3, 500, link);
    assert_eq!(numbers(3, 500, link), first);
    assert_ne!(numbers(4, 500, link).0, first.0);
}

#[test]
fn one_that_is_cut_short_says_so() {
    let two = faithful(1);
    let (from, to) = (datagrams(&two.a, "10.0.0.1:7"), datagrams(&two.b, "[::]:9"));
    two.a.send_to(from, &[5; 100], 0, Some(&ip("10.0.0.2:9"))).unwrap();
    two.a.send_to(from, &[], 0, Some(&ip("10.0.0.2:9"))).unwrap();
    two.a.send_to(from, &[6; 250], 100, Some(&ip("10.0.0.2:9"))).unwrap();
    settle(&two.world);
    let got = two.b.receive_from(to, &mut [0; 60]).unwrap();
    assert_eq!((got.length, got.truncated), (60, true));
    assert_eq!(got.peer, ip("[::ffff:10.0.0.1]:7"), "as the family of the socket has it");
    let got = two.b.receive_from(to, &mut [0; 60]).unwrap();
    assert_eq!((got.length, got.truncated), (0, false));
    let sizes = [(); 3].map(|()| receive(&two.b, to).unwrap().0.len());
    assert_eq!(sizes, [100, 100, 50]);
    assert_eq!(kind(receive(&two.b, to)), ErrorKind::WouldBlock);
    assert!(two.a.send_to(from, &[0; 66_000], 0, Some(&ip("10.0.0.2:9"))).is_err());
    assert!(two.a.send_to(from, &[0], 0, None).is_err());
}

#[test]
fn a_refusal_is_heard_by_one_who_is_connected() {
    let two = faithful(1);
    let socket = open_v4(&two.a, Carries::Datagrams);
    two.a.send_to(socket, b"x", 0, Some(&ip("10.0.0.2:9"))).unwrap();
    settle(&two.world);
    assert!(two.a.take_error(socket).unwrap().is_none());
    assert!(two.a.connect(socket, &ip("10.0.0.2:9")).unwrap());
    watch(&two.a, socket, 1);
    ready(&two.a);
    two.a.send(socket, b"x").unwrap();
    settle(&two.world);
    assert!(ready(&two.a)[0].1.readable);
    assert_eq!(kind(receive(&two.a, socket)), ErrorKind::ConnectionRefused);
    assert_eq!(kind(receive(&two.a, socket)), ErrorKind::WouldBlock);
    // It lives on.
    let to = datagrams(&two.b, "0.0.0.0:9");
    two.a.send(socket, b"y").unwrap();
    settle(&two.world);
    assert_eq!(receive(&two.b, to).unwrap().0, b"y");
}

#[test]
fn a_connected_one_hears_its_peer_alone() {
    let two = faithful(1);
    let server = datagrams(&two.b, "0.0.0.0:9");
    let [one, other] = [7, 8].map(|port| datagrams(&two.a, &format!("10.0.0.1:{port}")));
    two.b.connect(server, &ip("10.0.0.1:7")).unwrap();
    two.a.send_to(one, b"1", 0, Some(&ip("10.0.0.2:9"))).unwrap();
    two.a.send_to(other, b"2", 0, Some(&ip("10.0.0.2:9"))).unwrap();
    settle(&two.world);
    assert_eq!(receive(&two.b, server).unwrap().0, b"1");
    assert_eq!(kind(receive(&two.b, server)), ErrorKind::WouldBlock);
}

#[test]
fn broadcast_and_groups_reach_all_who_listen() {
    let two = faithful(1);
    let sender = datagrams(&two.a, "0.0.0.0:5");
    let [on_a, on_b] = [datagrams(&two.a, "0.0.0.0:9"), datagrams(&two.b, "0.0.0.0:9")];
    let everyone = ip("255.255.255.255:9");
    assert_eq!(kind(two.a.send_to(sender, b"x", 0, Some(&everyone))), ErrorKind::PermissionDenied);
    two.a.set(sender, SocketOption::Broadcast(true)).unwrap();
    two.a.send_to(sender, b"x", 0, Some(&everyone)).unwrap();
    settle(&two.world);
    assert!(receive(&two.a, on_a).is_ok() && receive(&two.b, on_b).is_ok());

    let (group, to) = ("239.1.2.3".parse().unwrap(), ip("239.1.2.3:9"));
    two.b.set(on_b, SocketOption::JoinGroup(group, Interface::default())).unwrap();
    assert!(two.b.set(on_b, SocketOption::JoinGroup(group, Interface::default())).is_err());
    two.a.send_to(sender, b"g", 0, Some(&to)).unwrap();
    settle(&two.world);
    assert!(receive(&two.a, on_a).is_err() && receive(&two.b, on_b).is_ok());
    two.b.set(on_b, SocketOption::LeaveGroup(group, Interface::default())).unwrap();
    two.a.set(on_a, SocketOption::JoinGroup(group, Interface::default())).unwrap();
    two.a.send_to(sender, b"g", 0, Some(&to)).unwrap();
    two.a.set(sender, SocketOption::MulticastLoop(false)).unwrap();
    two.a.send_to(sender, b"g", 0, Some(&to)).unwrap();
    settle(&two.world);
    assert!(receive(&two.a, on_a).is_ok() && receive(&two.a, on_a).is_err() && receive(&two.b, on_b).is_err());
}

#[test]
fn what_nobody_reads_is_dropped_in_the_end() {
    let two = faithful(1);
    let (from, to) = (datagrams(&two.a, "0.0.0.0:5"), datagrams(&two.b, "0.0.0.0:9"));
    for _ in 0..1000 {
        two.a.send_to(from, &[1; 1000], 0, Some(&ip("10.0.0.2:9"))).unwrap();
    }
    settle(&two.world);
    let got = (0..1000).take_while(|_| receive(&two.b, to).is_ok()).count();
    assert!((100..140).contains(&got), "{got}");
}

#[test]
fn datagrams_between_unix_sockets() {
    let two = faithful(1);
    let name = Address::Unix(UnixAddress::new(b"/run/log").unwrap());
    let open = || two.a.open(Family::Unix, Carries::Datagrams).unwrap();
    let (from, to) = (open(), open());
    assert_eq!(kind(two.a.send_to(from, b"x", 0, Some(&name))), ErrorKind::NotFound);
    two.a.bind(to, &name).unwrap();
    two.a.connect(from, &name).unwrap();
    two.a.send(from, b"line").unwrap();
    let (data, received) = receive(&two.a, to).unwrap();
    assert_eq!((data.as_slice(), received.peer), (&b"line"[..], Address::Unix(UnixAddress::default())));
}
