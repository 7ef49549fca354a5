//! Good endpoints, bad ones, and the way from an address to an endpoint and back.

use super::*;
use crate::driver::UnixAddress;
use crate::status;
use std::net::SocketAddrV6;
use std::time::Duration;

fn listen(text: &str) -> Endpoint {
    good(text.as_bytes(), Purpose::Listen)
}

fn connect(text: &str) -> Endpoint {
    good(text.as_bytes(), Purpose::Connect)
}

fn datagrams(text: &str) -> Endpoint {
    good(text.as_bytes(), Purpose::Datagrams)
}

fn good(text: &[u8], purpose: Purpose) -> Endpoint {
    parse(text, purpose).unwrap_or_else(|why| panic!("{}: {:?}", String::from_utf8_lossy(text), status::detail_of(why)))
}

fn at(address: &str) -> Place {
    Place::At(Address::Ip(address.parse().expect("an address")))
}

fn unix(name: &[u8]) -> Place {
    Place::At(Address::Unix(UnixAddress::new(name).expect("a name that fits")))
}

/// The endpoint is refused in these words.
#[track_caller]
fn refused(text: impl AsRef<[u8]>, purpose: Purpose, at: usize, why: &str) {
    let text = text.as_ref();
    let status = parse(text, purpose).expect_err("a bad endpoint");
    assert_eq!(status, Status::ERR_BAD_ENDPOINT);
    let wanted = format!("{}: {why} (at byte {at})", String::from_utf8_lossy(text));
    assert_eq!(status::detail_of(status), Some(wanted));
}

#[test]
fn addresses() {
    assert_eq!(listen("tcp://127.0.0.1:80").place, at("127.0.0.1:80"));
    assert_eq!(listen("tcp://[::1]:0").place, at("[::1]:0"));
    assert_eq!(listen("tcp6://[::1]:0").place, at("[::1]:0"));
    assert_eq!(connect("tcp4://127.0.0.1:65535").place, at("127.0.0.1:65535"));
    assert_eq!(datagrams("udp://[::]:53").place, at("[::]:53"));
    let with_zone = SocketAddrV6::new("fe80::1".parse().expect("an address"), 80, 0, 7);
    assert_eq!(connect("tcp://[fe80::1%7]:80").place, Place::At(Address::Ip(with_zone.into())));
    assert_eq!(listen("tcp://*:80").place, Place::Any { family: None, port: 80 });
    assert_eq!(listen("tcp4://*:0").place, Place::Any { family: Some(Family::V4), port: 0 });
    assert_eq!(datagrams("udp6://*:0").place, Place::Any { family: Some(Family::V6), port: 0 });
    assert_eq!(listen("tcp://localhost:1").place, at("127.0.0.1:1"));
    assert_eq!(listen("tcp6://localhost:1").place, at("[::1]:1"));
}

#[test]
fn names() {
    let named = |name: &str, family, port| Place::Name { name: name.into(), family, port };
    assert_eq!(connect("tcp://example.org:80").place, named("example.org", None, 80));
    assert_eq!(connect("tcp4://a_b-c.example.:1").place, named("a_b-c.example.", Some(Family::V4), 1));
    assert_eq!(connect("tcp://localhost:80").place, named("localhost", None, 80));
    assert_eq!(connect("tcp://bücher.example:80").place, named("bücher.example", None, 80));
}

#[test]
fn unix_sockets() {
    assert_eq!(listen("unix:///run/x.sock").place, unix(b"/run/x.sock"));
    assert_eq!(connect("unix://here").place, unix(b"here"));
    assert_eq!(listen("unix:///a%3fb%25c?mode=660").place, unix(b"/a?b%c"));
    assert_eq!(good(b"unix:///\xff\xfe", Purpose::Connect).place, unix(b"/\xff\xfe"));
    assert_eq!(listen("unix-abstract://name%00x").place, unix(b"\0name\0x"));
    assert_eq!(datagrams("unix-datagram:///x").place, unix(b"/x"));
    assert_eq!(datagrams("unix-datagram-abstract://x").place, unix(b"\0x"));
    let longest = "x".repeat(107);
    assert_eq!(listen(&format!("unix://{longest}")).place, unix(longest.as_bytes()));
}

#[test]
fn inherited_sockets() {
    let inherited = |text| match listen(text).place {
        Place::Inherited(which) => which,
        place => panic!("{text} is {place:?}"),
    };
    assert_eq!(inherited("systemd://web"), Inherited::Name("web".into()));
    assert_eq!(inherited("systemd://2"), Inherited::Index(2));
    assert_eq!(inherited("systemd://"), Inherited::Index(0));
    assert_eq!(datagrams("systemd://dns").place, Place::Inherited(Inherited::Name("dns".into())));
}

#[test]
fn options() {
    assert_eq!(listen("tcp://*:80").options, Options::default());
    let options = listen("tcp://*:80?backlog=10&reuse_port=1&only_v6=1&no_delay=0&keep_alive=60").options;
    let keep_alive = Some(Duration::from_secs(60));
    let set = Options { backlog: Some(10), reuse_port: true, only_v6: Some(true), ..Options::default() };
    assert_eq!(options, Options { no_delay: false, keep_alive, ..set });
    assert_eq!(listen("unix:///x?mode=0660&backlog=1").options.mode, Some(0o660));
    let bound = |text| connect(&format!("tcp://h.example:1?bind={text}")).options.bind.map(|bind| bind.to_string());
    assert_eq!(bound("127.0.0.1").as_deref(), Some("127.0.0.1:0"));
    assert_eq!(bound("127.0.0.1:5").as_deref(), Some("127.0.0.1:5"));
    assert_eq!(bound("::1").as_deref(), Some("[::1]:0"));
    assert_eq!(bound("[::1]:5").as_deref(), Some("[::1]:5"));
    assert_eq!(connect("unix:///x").options.timeout, Some(Duration::from_secs(30)));
    assert_eq!(connect("unix:///x?timeout=0.5").options.timeout, Some(Duration::from_millis(500)));
    assert_eq!(connect("tcp://h.example:1?timeout=0").options.timeout, None);
    let options = datagrams("udp://*:0?gro=1&broadcast=1&reuse_address=1&time_to_live=1&type_of_service=8").options;
    let set = Options { segments: true, broadcast: true, reuse_address: Some(true), ..Options::default() };
    assert_eq!(options, Options { time_to_live: Some(1), type_of_service: Some(8), ..set });
    let options = listen("unix-abstract://web?receive_buffer=4096&send_buffer=8192").options;
    assert_eq!((options.receive_buffer, options.send_buffer), (Some(4096), Some(8192)));
}

#[test]
fn bad_schemes() {
    for text in ["", "tcp", "127.0.0.1:80", "tcp:/x", ":80"] {
        refused(text, Purpose::Listen, 0, "there is no scheme, such as tcp:// or unix://");
    }
    refused("ftp://x:80", Purpose::Connect, 0, "ftp:// is no scheme");
    refused("TCP://x:80", Purpose::Connect, 0, "TCP:// is no scheme");
    refused("://x:80", Purpose::Connect, 0, ":// is no scheme");
    refused("udp://127.0.0.1:80", Purpose::Connect, 0, "udp:// carries datagrams alone");
    refused("tcp://127.0.0.1:80", Purpose::Datagrams, 0, "tcp:// carries no datagrams");
    refused("systemd://web", Purpose::Connect, 0, "systemd:// cannot be connected to");
}

#[test]
fn bad_hosts() {
    refused("tcp://", Purpose::Connect, 6, "there is no port");
    refused("tcp://:80", Purpose::Connect, 6, "there is no host");
    refused("tcp://.:80", Purpose::Connect, 6, "there is no host");
    refused("tcp://host", Purpose::Connect, 10, "there is no port");
    refused("tcp://[::1]", Purpose::Connect, 11, "there is no port");
    refused("tcp://*:80", Purpose::Connect, 6, "* cannot be connected to");
    refused("tcp://::1:80", Purpose::Connect, 6, "an IPv6 address is written in [ and ]");
    refused("tcp://[::1:80", Purpose::Connect, 6, "the [ is never closed");
    refused("tcp://[::1]x80", Purpose::Connect, 11, "after the ] comes a : and the port");
    refused("tcp://[1.2.3.4]:80", Purpose::Connect, 7, "1.2.3.4 is not an IPv6 address");
    refused("tcp://[:::]:80", Purpose::Connect, 7, "::: is not an IPv6 address");
    refused("tcp://[::1%]:80", Purpose::Connect, 11, "there is no network interface ");
    refused("tcp://[::1%no-such]:80", Purpose::Connect, 11, "there is no network interface no-such");
    for text in ["256.1.1.1", "127.1", "1.2.3.4.5", "1.2.3.4.", "0x7f000001", "2130706433"] {
        refused(format!("tcp://{text}:80"), Purpose::Connect, 6, &format!("{text} is not an IPv4 address"));
    }
    refused("tcp6://127.0.0.1:80", Purpose::Connect, 7, "the address is of the other family");
    refused("tcp4://[::1]:80", Purpose::Listen, 8, "the address is of the other family");
    refused("tcp://a b:80", Purpose::Connect, 7, "a host has no ' '");
    refused("tcp://user@host:80", Purpose::Connect, 10, "a host has no '@'");
    refused("tcp://host/x:80", Purpose::Connect, 10, "a host has no '/'");
    refused("tcp://a..b:80", Purpose::Connect, 6, "between dots a host has from 1 to 63 characters");
    refused(
        format!("tcp://{}:80", "x".repeat(64)),
        Purpose::Connect,
        6,
        "between dots a host has from 1 to 63 characters",
    );
    refused(format!("tcp://{}:80", "x.".repeat(130)), Purpose::Connect, 6, "the host has 259 bytes, 253 is the most");
    refused(b"tcp://a\xffb:80", Purpose::Connect, 7, "this is not valid UTF-8");
    refused("tcp://a\nb:80", Purpose::Connect, 7, "there is a control character");
    let why = "example.org is a name, where one of this host's addresses is needed";
    refused("tcp://example.org:80", Purpose::Listen, 6, why);
    refused("udp://example.org:80", Purpose::Datagrams, 6, why);
}

#[test]
fn bad_ports() {
    refused("tcp://host:99999", Purpose::Connect, 11, "port 99999 is over 65535");
    refused("tcp://host:99999999999999999999", Purpose::Connect, 11, "port 99999999999999999999 is over 65535");
    refused("tcp://host:", Purpose::Connect, 11, "there is no port");
    refused("tcp://host:+80", Purpose::Connect, 11, "port +80 is not a number");
    refused("tcp://host:80/", Purpose::Connect, 13, "port 80/ is not a number");
    refused("tcp://host:0", Purpose::Connect, 11, "port 0 cannot be connected to");
    refused("tcp://*:http", Purpose::Listen, 8, "port http is not a number");
}

#[test]
fn bad_unix_sockets() {
    refused("unix://", Purpose::Listen, 7, "there is no path");
    refused("unix://?mode=600", Purpose::Listen, 7, "there is no path");
    refused("unix-abstract://", Purpose::Listen, 16, "there is no name");
    refused("unix:///x%00y", Purpose::Connect, 7, "a path has no zero byte");
    let why = "after % come two hexadecimal digits; % itself is %25";
    for text in ["unix:///100%", "unix:///100%2", "unix:///100%g0"] {
        refused(text, Purpose::Connect, 11, why);
    }
    refused(format!("unix://{}", "x".repeat(108)), Purpose::Listen, 7, "the path has 108 bytes, 107 is the most");
    let name = "x".repeat(108);
    refused(format!("unix-abstract://{name}"), Purpose::Listen, 16, "the name has 108 bytes, 107 is the most");
    refused("systemd://99999999999999999999", Purpose::Listen, 10, "99999999999999999999 is no socket's place");
    refused("systemd://a\u{7f}", Purpose::Listen, 11, "there is a control character");
}

#[test]
fn bad_options() {
    refused("tcp://*:80?", Purpose::Listen, 11, "\"\" is not key=value");
    refused("tcp://*:80?backlog", Purpose::Listen, 11, "\"backlog\" is not key=value");
    refused("tcp://*:80?backlog=1&", Purpose::Listen, 21, "\"\" is not key=value");
    refused("tcp://*:80?backlock=1", Purpose::Listen, 11, "there is no option \"backlock\"");
    refused("tcp://*:80?backlog=1&backlog=1", Purpose::Listen, 21, "backlog is set twice");
    refused("tcp://*:80?backlog=0", Purpose::Listen, 19, "\"0\" is not a number from 1 to 2147483647");
    refused("tcp://*:80?backlog=", Purpose::Listen, 19, "\"\" is not a number from 1 to 2147483647");
    refused("tcp://*:80?reuse_port=yes", Purpose::Listen, 22, "\"yes\" is neither 0 nor 1");
    refused("tcp://*:80?timeout=1", Purpose::Listen, 11, "timeout is no option of a TCP listener");
    refused("tcp://h:80?backlog=1", Purpose::Connect, 11, "backlog is no option of a TCP client");
    refused("tcp://*:80?mode=600", Purpose::Listen, 11, "mode is no option of a TCP listener");
    refused("udp://*:80?no_delay=1", Purpose::Datagrams, 11, "no_delay is no option of a UDP port");
    refused("unix-abstract://x?mode=600", Purpose::Listen, 18, "mode is no option of a listener on a Unix socket");
    refused("systemd://x?backlog=1", Purpose::Listen, 12, "backlog is no option of an inherited socket");
    refused("systemd://x?send_buffer=1", Purpose::Datagrams, 12, "send_buffer is no option of an inherited socket");
    refused("unix:///x?mode=999", Purpose::Listen, 15, "\"999\" is not a mode in octal, 0 to 777");
    refused("unix:///x?mode=1777", Purpose::Listen, 15, "\"1777\" is not a mode in octal, 0 to 777");
    for text in ["x", "", "-1", "1e3", "nan", "2000000000", "1.2.3"] {
        let why = format!("{text:?} is not a number of seconds, 0 to 1e9");
        refused(format!("tcp://h:80?timeout={text}"), Purpose::Connect, 19, &why);
    }
    refused("tcp6://h:80?bind=127.0.0.1", Purpose::Connect, 17, "the address is of the other family");
    refused("tcp://[::1]:80?no_delay=0&bind=127.0.0.1", Purpose::Connect, 31, "the address is of the other family");
    refused("tcp://h:80?bind=eth0", Purpose::Connect, 16, "eth0 is not an IP address");
    refused("tcp://h:80?bind=1.2.3.4:x", Purpose::Connect, 24, "port x is not a number");
}

#[test]
fn peers_of_datagrams() {
    assert_eq!(parse_peer(b"udp://127.0.0.1:53").map(Place::At), Ok(at("127.0.0.1:53")));
    assert_eq!(parse_peer(b"unix-datagram:///x").map(Place::At), Ok(unix(b"/x")));
    for text in ["udp://*:53", "udp://127.0.0.1:0", "systemd://x", "tcp://127.0.0.1:1"] {
        assert_eq!(parse_peer(text.as_bytes()), Err(Status::ERR_BAD_ENDPOINT), "{text}");
    }
}

/// splitmix64
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// Groups of an IPv6 address, many of them zero.
    fn address(&mut self) -> Address {
        let port = self.next() as u16;
        match self.below(4) {
            0 => Address::Ip((Ipv4Addr::from(self.next() as u32), port).into()),
            1 => {
                let groups = std::array::from_fn(|_| if self.below(2) == 0 { 0 } else { self.next() as u16 });
                let [a, b, c, d, e, f, g, h] = groups;
                let scope = if self.below(2) == 0 { 0 } else { self.next() as u32 };
                Address::Ip(SocketAddrV6::new(Ipv6Addr::new(a, b, c, d, e, f, g, h), port, 0, scope).into())
            }
            abstract_or_path => {
                let length = 1 + self.below(107) as usize;
                let mut name = self.bytes(length);
                match abstract_or_path {
                    2 => name.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b'?'),
                    _ => name.insert(0, 0),
                }
                Address::Unix(UnixAddress::new(&name).expect("a name that fits"))
            }
        }
    }
}

#[test]
fn an_address_is_found_again_in_its_endpoint() {
    let mut random = Random(1);
    for _ in 0..20_000 {
        let address = random.address();
        for (datagram, purpose) in [(false, Purpose::Listen), (true, Purpose::Datagrams)] {
            assert_eq!(good(&address.endpoint(datagram), purpose).place, Place::At(address));
        }
    }
}

#[test]
fn any_bytes_are_answered() {
    const PIECES: [&str; 16] =
        ["tcp", "udp", "unix", "systemd", "://", "[", "]", "::1", ":", "80", "%", "?", "&", "=", "bind", "é"];
    let mut random = Random(2);
    for _ in 0..50_000 {
        let mut text = Vec::new();
        for _ in 0..random.below(12) {
            match random.below(8) {
                0 => text.push(random.next() as u8),
                _ => text.extend(PIECES[random.below(16) as usize].bytes()),
            }
        }
        for purpose in [Purpose::Listen, Purpose::Connect, Purpose::Datagrams] {
            let _ = parse(&text, purpose);
        }
    }
}

#[test]
fn tls() {
    let name = |name: &str, port| Place::Name { name: name.to_owned(), family: None, port };
    assert_eq!(connect("https://example.org").place, name("example.org", 443));
    assert_eq!(connect("https://example.org:8443").place, name("example.org", 8443));
    assert_eq!(connect("http://example.org").place, name("example.org", 80));
    assert_eq!(listen("https://*").place, Place::Any { family: None, port: 443 });
    assert_eq!(connect("tls6://[::1]:1").place, at("[::1]:1"));
    assert_eq!(connect("tcp://example.org:443").options.tls, None);
    assert!(connect("tls://example.org:443").options.tls.is_some_and(|tls| tls.is_empty()));
    let text = "tls://*:1?certificate=/a%26b.pem&alpn=h2,http/1.1&minimum_version=1.3&handshake_timeout=0.5&backlog=7";
    let options = listen(text).options;
    assert_eq!(options.backlog, Some(7));
    let tls = options.tls.expect("its options");
    assert_eq!(tls.certificate.as_deref(), Some(&b"/a&b.pem"[..]));
    assert_eq!(tls.alpn, [&b"h2"[..], b"http/1.1"]);
    assert_eq!((tls.minimum_version, tls.handshake_timeout), (crate::net::tls::Version::Tls13, Some(500_000_000)));
    refused("tls://*:1?ca=x", Purpose::Listen, 10, "ca is no option of a listener with TLS");
    refused("tls://x:1?client_ca=x", Purpose::Connect, 10, "client_ca is no option of a client with TLS");
    refused("tcp://x:1?ca=x", Purpose::Connect, 10, "ca is no option of a TCP client");
    refused("tls://x", Purpose::Connect, 7, "there is no port");
    refused("tls://127.0.0.1:1", Purpose::Datagrams, 0, "tls:// carries no datagrams");
    refused("tls://x:1?minimum_version=1.1", Purpose::Connect, 26, "\"1.1\" is neither 1.2 nor 1.3");
    refused("tls://x:1?ca=", Purpose::Connect, 13, "there is no path of a file");
}
