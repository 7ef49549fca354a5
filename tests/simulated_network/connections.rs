//! How connections begin and end.

use crate::common::*;
use lariat::driver::address::{Address, Family, UnixAddress};
use lariat::driver::sockets::{Carries, SocketOption, Sockets};
use lariat::driver::{Driver, Link};
use std::io::ErrorKind;
use std::net::Shutdown;
use std::time::Duration;

#[test]
fn addresses_are_those_of_the_hosts() {
    let two = faithful(1);
    let (client, server) = pair(&two);
    assert_eq!(two.b.local_address(server).unwrap(), ip("10.0.0.2:80"));
    assert_eq!(two.a.peer_address(client).unwrap(), ip("10.0.0.2:80"));
    let from = two.a.local_address(client).unwrap();
    assert_eq!(from.ip().unwrap().ip().to_string(), "10.0.0.1");
    assert_eq!(two.b.peer_address(server).unwrap(), from);
    let (v4, v6) = two.world.host_addresses("b");
    assert_eq!((v4.to_string(), v6.to_string()), ("10.0.0.2".into(), "fd00::2".into()));
    let look_up = |name| two.a.look_up(name).unwrap().1.map(|found| found.len());
    assert_eq!(look_up("b").unwrap(), 2);
    assert_eq!(look_up("localhost").unwrap(), 2);
    assert_eq!(kind(look_up("nowhere")), ErrorKind::NotFound);
}

#[test]
fn a_dual_stack_listener_takes_both_families() {
    let two = faithful(1);
    let listener = listen(&two.b, "[::]:80", 16);
    for (to, is_mapped) in [("10.0.0.2:80", true), ("[fd00::2]:80", false)] {
        let client = connect(&two.a, to);
        settle(&two.world);
        let server = two.b.accept(listener).unwrap();
        let own = two.b.local_address(server).unwrap().ip().unwrap();
        assert_eq!(own.is_ipv6() && own.ip().to_canonical().is_ipv4(), is_mapped);
        two.a.close(client);
    }
    let only_v6 = two.b.open(Family::V6, Carries::Stream).unwrap();
    two.b.set(only_v6, SocketOption::OnlyV6(true)).unwrap();
    two.b.bind(only_v6, &ip("[::]:81")).unwrap();
    two.b.listen(only_v6, 1).unwrap();
    let client = connect(&two.a, "10.0.0.2:81");
    settle(&two.world);
    assert_eq!(two.a.take_error(client).unwrap().unwrap().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn loopback_is_the_host_itself() {
    let two = faithful(1);
    let _elsewhere = listen(&two.a, "0.0.0.0:80", 16);
    let listener = listen(&two.b, "127.0.0.1:80", 16);
    let client = connect(&two.b, "127.0.0.1:80");
    settle(&two.world);
    assert_eq!(two.world.now(), 0);
    let server = two.b.accept(listener).unwrap();
    assert_eq!(two.b.peer_address(server).unwrap(), two.b.local_address(client).unwrap());
    let from_outside = connect(&two.a, "10.0.0.2:80");
    settle(&two.world);
    assert!(two.a.take_error(from_outside).unwrap().is_some(), "only the loopback address is listened at");
}

#[test]
fn ports_are_held_until_closed() {
    let two = faithful(1);
    let bind = |address: &str, shared: bool| {
        let socket = two.a.open(ip(address).family(), Carries::Stream).unwrap();
        if shared {
            two.a.set(socket, SocketOption::ReusePort).unwrap();
        }
        two.a.bind(socket, &ip(address)).map(|()| socket)
    };
    let first = bind("0.0.0.0:80", false).unwrap();
    assert_eq!(kind(bind("10.0.0.1:80", false)), ErrorKind::AddrInUse);
    assert_eq!(kind(bind("[::]:80", false)), ErrorKind::AddrInUse);
    assert_eq!(kind(bind("0.0.0.0:80", true)), ErrorKind::AddrInUse, "only one wants to share");
    assert_eq!(kind(bind("10.0.0.2:80", false)), ErrorKind::AddrNotAvailable);
    two.a.close(first);
    let shared = bind("0.0.0.0:80", true).unwrap();
    bind("0.0.0.0:80", true).unwrap();
    assert_eq!(kind(two.a.bind(shared, &ip("0.0.0.0:81"))), ErrorKind::InvalidInput);
    let any = bind("0.0.0.0:0", false).unwrap();
    assert!(two.a.local_address(any).unwrap().port() >= 32768);
    // Datagrams have ports of their own.
    datagrams(&two.a, "0.0.0.0:80");
}

#[test]
fn listeners_that_share_a_port_take_turns_by_the_seed() {
    let two = faithful(1);
    let listeners = [(); 4].map(|()| {
        let socket = open_v4(&two.b, Carries::Stream);
        two.b.set(socket, SocketOption::ReusePort).unwrap();
        two.b.bind(socket, &ip("0.0.0.0:80")).unwrap();
        two.b.listen(socket, 1000).unwrap();
        socket
    });
    for _ in 0..400 {
        connect(&two.a, "10.0.0.2:80");
    }
    settle(&two.world);
    let got = listeners.map(|listener| (0..1000).take_while(|_| two.b.accept(listener).is_ok()).count());
    assert_eq!(got.iter().sum::<usize>(), 400);
    assert!(got.iter().all(|count| (60..140).contains(count)), "{got:?}");
}

#[test]
fn nobody_there_is_a_refusal() {
    let two = faithful(1);
    let client = connect(&two.a, "10.0.0.2:81");
    watch(&two.a, client, 1);
    settle(&two.world);
    assert_eq!(ready(&two.a), [(1, BOTH, true)]);
    assert_eq!(two.a.take_error(client).unwrap().unwrap().kind(), ErrorKind::ConnectionRefused);
    let nowhere = two.a.connect(open_v4(&two.a, Carries::Stream), &ip("10.0.0.9:80"));
    assert_eq!(kind(nowhere), ErrorKind::NetworkUnreachable);
    let wrong_family = two.a.connect(open_v4(&two.a, Carries::Stream), &ip("[fd00::2]:80"));
    assert!(wrong_family.is_err());
}

#[test]
fn a_full_backlog_makes_clients_wait() {
    let two = faithful(1);
    let listener = listen(&two.b, "0.0.0.0:80", 1);
    let clients = [(); 3].map(|()| connect(&two.a, "10.0.0.2:80"));
    pass(&two.world, SECOND / 2);
    let connected = |two: &Two| clients.iter().filter(|one| two.a.send(**one, b"x").is_ok()).count();
    assert_eq!(connected(&two), 2);
    two.b.accept(listener).unwrap();
    pass(&two.world, SECOND);
    assert_eq!(connected(&two), 3, "asked again");
}

#[test]
fn half_close_leaves_the_other_direction() {
    let two = faithful(1);
    let (client, server) = pair(&two);
    watch(&two.b, server, 1);
    ready(&two.b);
    two.a.send(client, b"last words").unwrap();
    two.a.shutdown(client, Shutdown::Write).unwrap();
    assert_eq!(kind(two.a.send(client, b"more")), ErrorKind::BrokenPipe);
    settle(&two.world);
    assert!(ready(&two.b)[0].2, "an end is told of");
    let mut buffer = [0; 100];
    assert_eq!(two.b.receive(server, &mut buffer).unwrap(), 10);
    assert_eq!(two.b.receive(server, &mut buffer).unwrap(), 0);
    two.b.send(server, b"answer").unwrap();
    settle(&two.world);
    assert_eq!(two.a.receive(client, &mut buffer).unwrap(), 6);
    two.b.close(server);
    settle(&two.world);
    assert_eq!(two.a.receive(client, &mut buffer).unwrap(), 0);
}

#[test]
fn what_was_written_before_a_close_still_comes() {
    let two = faithful(1);
    let (client, server) = pair(&two);
    let data = bytes(200_000, 3);
    assert_eq!(two.a.send(client, &data).unwrap(), data.len());
    two.a.close(client);
    assert!(two.a.send(client, b"x").is_err());
    settle(&two.world);
    let mut buffer = vec![0; 300_000];
    assert_eq!(two.b.receive(server, &mut buffer).unwrap(), data.len());
    assert_eq!(two.b.receive(server, &mut buffer).unwrap(), 0);
    // The first write finds nobody, the second knows.
    two.b.send(server, b"x").unwrap();
    settle(&two.world);
    assert_eq!(kind(two.b.send(server, b"x")), ErrorKind::BrokenPipe);
}

#[test]
fn an_abort_is_a_reset() {
    let two = faithful(1);
    let (client, server) = pair(&two);
    watch(&two.b, server, 1);
    ready(&two.b);
    two.a.set(client, SocketOption::Linger(Some(Duration::ZERO))).unwrap();
    two.a.close(client);
    settle(&two.world);
    assert_eq!(ready(&two.b), [(1, BOTH, true)]);
    assert_eq!(kind(two.b.receive(server, &mut [0; 10])), ErrorKind::ConnectionReset);
    assert_eq!(two.b.receive(server, &mut [0; 10]).unwrap(), 0, "told once");
    assert_eq!(kind(two.b.send(server, b"x")), ErrorKind::BrokenPipe);
}

#[test]
fn an_abort_drops_what_has_not_left() {
    let two = faithful(1);
    two.world.set_link(Some("a"), Some("b"), Link { bandwidth: 1e5, ..slow() });
    let (client, server) = pair(&two);
    assert_eq!(two.a.send(client, &[1; 200_000]).unwrap(), 200_000);
    pass(&two.world, SECOND);
    two.a.set(client, SocketOption::Linger(Some(Duration::ZERO))).unwrap();
    two.a.close(client);
    settle(&two.world);
    assert_eq!(two.world.now() / SECOND, 1, "the link is not kept busy with it");
    let mut buffer = vec![0; 300_000];
    let received = two.b.receive(server, &mut buffer).unwrap();
    assert!(received < 200_000);
    assert_eq!(kind(two.b.receive(server, &mut buffer)), ErrorKind::ConnectionReset);
}

#[test]
fn an_edge_follows_when_accepting_finds_nothing_by_mistake() {
    let two = two(1);
    two.world.set_short_io(1.0);
    let listener = listen(&two.b, "0.0.0.0:80", 1000);
    watch(&two.b, listener, 1);
    for _ in 0..100 {
        connect(&two.a, "10.0.0.2:80");
    }
    settle(&two.world);
    let mut accepted = 0;
    while !ready(&two.b).is_empty() {
        accepted += (0..).take_while(|_| two.b.accept(listener).is_ok()).count();
    }
    assert_eq!(accepted, 100);
}

#[test]
fn closing_with_unread_data_is_a_reset() {
    let two = faithful(1);
    let (client, server) = pair(&two);
    two.a.send(client, b"never read").unwrap();
    settle(&two.world);
    two.b.close(server);
    settle(&two.world);
    assert_eq!(kind(two.a.send(client, b"x")), ErrorKind::ConnectionReset);
}

#[test]
fn a_listener_that_closes_resets_those_that_wait() {
    let two = faithful(1);
    let listener = listen(&two.b, "0.0.0.0:80", 10);
    let client = connect(&two.a, "10.0.0.2:80");
    settle(&two.world);
    two.b.close(listener);
    settle(&two.world);
    assert_eq!(kind(two.a.receive(client, &mut [0; 1])), ErrorKind::ConnectionReset);
    assert!(listen(&two.b, "0.0.0.0:80", 10) != listener);
}

#[test]
fn unix_sockets_are_their_hosts_own() {
    let two = faithful(1);
    for name in [&b"/run/x.sock"[..], b"\0abstract"] {
        let address = Address::Unix(UnixAddress::new(name).unwrap());
        let open = || two.a.open(Family::Unix, Carries::Stream).unwrap();
        let listener = open();
        two.a.bind(listener, &address).unwrap();
        two.a.listen(listener, 10).unwrap();
        let client = open();
        assert!(two.a.connect(client, &address).unwrap());
        let server = two.a.accept(listener).unwrap();
        assert_eq!(two.a.peer_address(client).unwrap(), address);
        assert_eq!(two.a.peer_address(server).unwrap(), Address::Unix(UnixAddress::default()));
        assert!(two.a.peer_credentials(server).is_ok());
        two.a.send(client, b"hello").unwrap();
        settle(&two.world);
        assert_eq!(two.a.receive(server, &mut [0; 10]).unwrap(), 5);
        let elsewhere = two.b.open(Family::Unix, Carries::Stream).unwrap();
        let why = kind(two.b.connect(elsewhere, &address));
        assert!(matches!(why, ErrorKind::NotFound | ErrorKind::ConnectionRefused));
        two.a.close(listener);
        assert!(two.a.connect(open(), &address).is_err());
    }
    assert_eq!(two.world.now(), 0);
}

#[test]
fn a_socket_has_one_watcher_and_none_when_closed() {
    let two = faithful(1);
    let (client, _) = pair(&two);
    watch(&two.a, client, 1);
    let key = lariat::handles::Word::from_addr(2);
    assert!(two.a.watch(client, key, BOTH).is_err());
    two.a.close(client);
    assert!(ready(&two.a).is_empty());
    assert!(two.a.rewatch(client, key, BOTH).is_err());
    assert!(two.a.unwatch(client).is_ok());
}

#[test]
fn ten_thousand_connections() {
    let two = two(1);
    let listener = listen(&two.b, "0.0.0.0:80", 4096);
    let mut clients = Vec::new();
    let mut servers = Vec::new();
    for _ in 0..10 {
        clients.extend((0..1000).map(|_| connect(&two.a, "10.0.0.2:80")));
        settle(&two.world);
        servers.extend((0..1000).map(|_| accept(&two.b, listener)));
    }
    for (number, client) in clients.iter().enumerate() {
        while two.a.send(*client, &(number as u32).to_le_bytes()[..1]).is_err() {}
    }
    settle(&two.world);
    let mut sum = 0;
    for server in &servers {
        let mut byte = [0];
        while two.b.receive(*server, &mut byte).is_err() {}
        sum += u64::from(byte[0]);
    }
    assert_eq!(sum, (0..10_000_u64).map(|number| number & 0xff).sum());
    clients.into_iter().for_each(|one| two.a.close(one));
    servers.into_iter().for_each(|one| two.b.close(one));
    settle(&two.world);
}
