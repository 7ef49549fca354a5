use super::deflate::{Deflater, Direction, Inflater};
use super::extensions::{self, Agreed, Wanted};
use super::frame::{self, Head, Opcode};
use super::receiver::{Event, Limits, Receiver};
use super::sender::Sender;
use super::utf8::Utf8;
use super::{Broken, Kind, Role, close, handshake};
use crate::protocol::http::Fields;

/// What came of some bytes, in words.
fn told(event: &Event) -> String {
    match event {
        Event::Message(kind, payload, last) => {
            let kind = if *kind == Kind::Text { 't' } else { 'b' };
            format!("{kind}{}:{}", if *last { "" } else { "+" }, payload.escape_ascii())
        }
        Event::Ping(body) => format!("ping:{}", body.escape_ascii()),
        Event::Pong(body) => format!("pong:{}", body.escape_ascii()),
        Event::Close(code, reason) => format!("close:{}:{reason}", code.unwrap_or(0)),
    }
}

fn take(receiver: &mut Receiver, mut data: &[u8]) -> Result<Vec<String>, Broken> {
    let mut all = Vec::new();
    while let Some(event) = receiver.next(&mut data)? {
        all.push(told(&event));
        if let Event::Message(_, payload, _) = event {
            receiver.give_back(payload);
        }
    }
    assert!(data.is_empty());
    Ok(all)
}

fn client() -> Receiver {
    Receiver::new(Role::Client, Limits::default(), false, None)
}

fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    let head = Head {
        is_last: first & 0x80 != 0,
        compressed: first & 0x40 != 0,
        opcode: Opcode::Ping,
        key: None,
        length: body.len() as u64,
    };
    let mut bytes = head.write().to_vec();
    bytes[0] = first;
    bytes.extend_from_slice(body);
    bytes
}

fn masked(first: u8, body: &[u8], key: [u8; 4]) -> Vec<u8> {
    let mut bytes = frame(first, body);
    bytes[1] |= 0x80;
    let at = bytes.len() - body.len();
    frame::mask(&mut bytes[at..], key, 0);
    bytes.splice(at..at, key);
    bytes
}

/// As it comes of the whole, of single bytes, and of two pieces wherever they are cut.
fn in_every_cut(make: impl Fn() -> Receiver, bytes: &[u8]) -> Result<Vec<String>, Broken> {
    let whole = take(&mut make(), bytes);
    for cut in 0..=bytes.len() {
        let (mut receiver, mut all) = (make(), Ok(Vec::new()));
        for piece in [&bytes[..cut], &bytes[cut..]] {
            all = all.and_then(|mut all| {
                all.extend(take(&mut receiver, piece)?);
                Ok(all)
            });
        }
        assert_eq!(all, whole, "cut at {cut}");
    }
    let (mut receiver, mut all) = (make(), Vec::new());
    for byte in bytes {
        match take(&mut receiver, &[*byte]) {
            Ok(more) => all.extend(more),
            Err(why) => {
                assert_eq!(Err(why), whole);
                return whole;
            }
        }
    }
    assert_eq!(Ok(all), whole);
    whole
}

fn code(bytes: &[u8]) -> u16 {
    in_every_cut(client, bytes).expect_err("the rules are broken").code
}

#[test]
fn messages_come_whole_wherever_they_are_cut() {
    let bytes = [
        frame(0x81, b"one"),
        frame(0x82, b""),
        frame(0x01, b"tw"),
        frame(0x89, b"?"),
        frame(0x00, b""),
        frame(0x80, b"o"),
        frame(0x82, &[7; 300]),
        frame(0x8a, b"!"),
        frame(0x88, b"\x03\xe8bye"),
    ];
    let all = in_every_cut(client, &bytes.concat()).expect("all is well");
    let long = format!("b:{}", "\\x07".repeat(300));
    assert_eq!(all, ["t:one", "b:", "ping:?", "t:two", &long, "pong:!", "close:1000:bye"]);
}

#[test]
fn what_is_masked_comes_out_again() {
    let server = || Receiver::new(Role::Server, Limits::default(), false, None);
    let bytes = [
        masked(0x81, b"Hello", [0x37, 0xfa, 0x21, 0x3d]),
        masked(0x02, b"0123456789abcdef!", [1, 2, 3, 4]),
        masked(0x89, b"ping", [9; 4]),
        masked(0x80, b"rest", [0xff, 0, 0xff, 0]),
    ];
    // The first is RFC 6455's own example.
    assert_eq!(bytes[0], [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    let all = in_every_cut(server, &bytes.concat()).expect("all is well");
    assert_eq!(all, ["t:Hello", "ping:ping", "b:0123456789abcdef!rest"]);
}

#[test]
fn the_mask_is_the_same_at_any_place_and_length() {
    let (data, key) = ((0..100).collect::<Vec<u8>>(), [0x12, 0x34, 0x56, 0x78]);
    for at in 0..9 {
        for length in 0..60 {
            let mut by_words = data[..length].to_vec();
            frame::mask(&mut by_words, key, at);
            let by_bytes = (0..length).map(|i| data[i] ^ key[(i + at as usize) % 4]).collect::<Vec<_>>();
            assert_eq!(by_words, by_bytes, "{length} bytes from {at}");
        }
    }
}

#[test]
fn what_breaks_the_protocol_is_1002() {
    for bits in [0x10, 0x20, 0x30, 0x40, 0x70] {
        assert_eq!(code(&frame(0x81 | bits, b"x")), 1002, "reserved bits {bits:x}");
        assert_eq!(code(&frame(0x89 | bits, b"x")), 1002, "reserved bits {bits:x}");
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        assert_eq!(code(&frame(0x80 | opcode, b"x")), 1002, "opcode {opcode}");
    }
    for opcode in [8, 9, 10] {
        assert_eq!(code(&frame(opcode, b"")), 1002, "fragmented control frame {opcode}");
        assert_eq!(code(&frame(0x80 | opcode, &[b'x'; 126])), 1002, "long control frame {opcode}");
    }
    assert_eq!(code(&masked(0x81, b"x", [1; 4])), 1002);
    let mut server = Receiver::new(Role::Server, Limits::default(), false, None);
    assert_eq!(take(&mut server, &frame(0x81, b"x")).expect_err("it is not masked").code, 1002);
    assert_eq!(code(&frame(0x80, b"x")), 1002);
    assert_eq!(code(&frame(0x00, b"x")), 1002);
    assert_eq!(code(&[frame(0x01, b"x"), frame(0x81, b"x")].concat()), 1002);
    assert_eq!(code(&[frame(0x02, b"x"), frame(0x01, b"x")].concat()), 1002);
    // A length that is longer than it need be, or longer than there is.
    assert_eq!(code(&[0x82, 126, 0, 125]), 1002);
    assert_eq!(code(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff]), 1002);
    assert_eq!(code(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 1]), 1002);
}

#[test]
fn close_codes() {
    for code in 0..=u16::MAX {
        let body = [&code.to_be_bytes()[..], b"why"].concat();
        let may = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        match take(&mut client(), &frame(0x88, &body)) {
            Ok(all) => assert!(may && all == [format!("close:{code}:why")], "{code}"),
            Err(why) => assert!(!may && why.code == 1002, "{code}"),
        }
    }
    assert_eq!(in_every_cut(client, &frame(0x88, b"")), Ok(vec!["close:0:".to_owned()]));
    assert_eq!(code(&frame(0x88, b"\x03")), 1002);
    assert_eq!(code(&frame(0x88, b"\x03\xe8\xff")), 1007);
    assert_eq!(close::write(Some(1000), &"é".repeat(70)).len(), 2 + 122);
    assert_eq!(close::write(None, "unsaid"), []);
}

#[test]
fn text_is_utf8_and_what_is_not_is_found_at_once() {
    let good = ["", "κόσμε", "\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}", "\0"];
    for text in good {
        let all = in_every_cut(client, &frame(0x81, text.as_bytes())).expect(text);
        assert_eq!(all, [format!("t:{}", text.as_bytes().escape_ascii())]);
    }
    let bad: [&[u8]; 9] =
        [b"\x80", b"\xc0\xaf", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xf4\x90", b"\xf8", b"\xff", b"\xc3(", b"\xe2\x82"];
    for text in bad {
        assert_eq!(code(&frame(0x81, text)), 1007, "{text:x?}");
        let mut split = frame(0x01, &text[..1]);
        split.extend(frame(0x80, &text[1..]));
        assert_eq!(code(&split), 1007, "{text:x?} in two fragments");
    }
    // The third byte cannot go on, whatever the frame still promises.
    let mut begun = frame(0x81, &[0; 20]);
    begun.truncate(2);
    begun.extend(b"\xf4\x90");
    assert_eq!(take(&mut client(), &begun).expect_err("it is no UTF-8").code, 1007);
    let mut whole = Utf8::default();
    assert!(
        whole.feed(b"a\xe2") && !whole.is_whole() && whole.feed(b"\x82") && whole.feed(b"\xac") && whole.is_whole()
    );
}

fn limited(message: u64, frame: u64, fragments: u32) -> Receiver {
    Receiver::new(Role::Client, Limits { message, frame, fragments }, false, None)
}

#[test]
fn limits_are_1009_as_soon_as_they_are_announced() {
    let make = || limited(10, 8, 3);
    assert!(in_every_cut(make, &frame(0x82, &[1; 8])).is_ok());
    assert_eq!(take(&mut make(), &frame(0x82, &[1; 9])[..2]).expect_err("a frame").code, 1009);
    let two = [frame(0x02, &[1; 6]), frame(0x80, &[1; 5])].concat();
    assert_eq!(in_every_cut(make, &two).expect_err("a message").code, 1009);
    let three = [frame(0x02, b"a"), frame(0x00, b"b"), frame(0x80, b"c")].concat();
    assert_eq!(in_every_cut(make, &three), Ok(vec!["b:abc".to_owned()]));
    let four = [frame(0x02, b""), frame(0x00, b""), frame(0x00, b""), frame(0x80, b"")].concat();
    assert_eq!(in_every_cut(make, &four).expect_err("fragments").code, 1009);
    let huge = [0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(take(&mut client(), &huge).expect_err("all of memory").code, 1009);
}

#[test]
fn pieces_come_as_they_do() {
    let mut receiver = Receiver::new(Role::Client, Limits::default(), true, None);
    let bytes = [frame(0x01, b"one"), frame(0x00, b""), frame(0x80, b"two")].concat();
    assert_eq!(take(&mut receiver, &bytes[..4]), Ok(vec!["t+:on".to_owned()]));
    assert_eq!(take(&mut receiver, &bytes[4..]), Ok(vec!["t+:e".to_owned(), "t:two".to_owned()]));
    assert_eq!(
        take(&mut receiver, &[frame(0x02, b"x"), frame(0x80, b"")].concat()).expect("all is well"),
        ["b+:x", "b:"]
    );
}

/// Sends by one side and receives by the other.
fn through(sender: &mut Sender, receiver: &mut Receiver, data: &[u8]) -> (usize, Vec<String>) {
    let sent = sender.message(Kind::Text, data, || [1, 2, 3, 4]).expect("it can be sent");
    let bytes = [&sent.head[..], &sent.body].concat();
    (bytes.len(), take(receiver, &bytes).expect("it can be read"))
}

#[test]
fn what_is_sent_can_be_received_by_both_roles() {
    for (from, to) in [(Role::Client, Role::Server), (Role::Server, Role::Client)] {
        let mut sender = Sender::new(from, None, 0);
        let mut receiver = Receiver::new(to, Limits::default(), false, None);
        for length in [0, 1, 125, 126, 127, 1000, 65535, 65536, 100_000] {
            let text = "x".repeat(length);
            let head = [2, 4, 10][usize::from(length > 125) + usize::from(length > 65535)];
            let key = if from == Role::Client { 4 } else { 0 };
            assert_eq!(
                through(&mut sender, &mut receiver, text.as_bytes()),
                (head + key + length, vec![format!("t:{text}")])
            );
        }
        let mut fragment = |data: &[u8], is_last| {
            let sent =
                sender.fragment(Kind::Text, data, is_last, || [7; 4]).map(|sent| [&sent.head[..], &sent.body].concat());
            sent.map(|bytes| take(&mut receiver, &bytes).expect("it can be read"))
        };
        assert_eq!(fragment(b"\xe2\x82", false), Ok(vec![]));
        assert!(fragment(b"x", false).is_err());
        assert!(fragment(b"\xac\xe2", true).is_err());
        assert_eq!(fragment(b"\xac", true), Ok(vec![r"t:\xe2\x82\xac".to_owned()]));
        assert!(fragment(b"\xff", false).is_err());
        assert_eq!(fragment(b"", true), Ok(vec!["t:".to_owned()]));
        assert!(!sender.is_within_message());
    }
}

fn compressed(direction: Direction, message: u64) -> (Sender, Receiver) {
    let sender = Sender::new(Role::Server, Some(Deflater::new(direction, 6)), 0);
    let limits = Limits { message, ..Limits::default() };
    (sender, Receiver::new(Role::Client, limits, false, Some(Inflater::new(direction))))
}

#[test]
fn compression_with_all_parameters() {
    let text = (0..2000).map(|number| format!("{number} is a number, ")).collect::<String>();
    for window_bits in 8..=15 {
        for no_context_takeover in [false, true] {
            let (mut sender, mut receiver) = compressed(Direction { window_bits, no_context_takeover }, u64::MAX);
            let first = through(&mut sender, &mut receiver, text.as_bytes());
            assert_eq!(first.1, [format!("t:{text}")]);
            assert_eq!(first.0 < text.len() / 2, window_bits > 8, "{window_bits} bits");
            for empty in 0..3 {
                assert_eq!(through(&mut sender, &mut receiver, b"").1, ["t:"], "empty message {empty}");
            }
            let short = "a short one that is sent twice";
            let once = through(&mut sender, &mut receiver, short.as_bytes());
            let twice = through(&mut sender, &mut receiver, short.as_bytes());
            assert_eq!((&once.1, &twice.1), (&vec![format!("t:{short}")], &once.1));
            assert_eq!(twice.0 < once.0, !no_context_takeover && window_bits > 8, "{window_bits} bits: it refers back");
            for (at, piece) in [&text[..10], "", &text[10..5000], "", ""].iter().enumerate() {
                let sent = sender.fragment(Kind::Text, piece.as_bytes(), at == 4, || [0; 4]).expect("it can be sent");
                let come = take(&mut receiver, &[&sent.head[..], &sent.body].concat()).expect("it can be read");
                assert_eq!(come, if at == 4 { vec![format!("t:{}", &text[..5000])] } else { vec![] });
            }
            assert_eq!(through(&mut sender, &mut receiver, short.as_bytes()).1, once.1);
        }
    }
}

#[test]
fn the_examples_of_rfc_7692_can_be_read() {
    let make = || Receiver::new(Role::Client, Limits::default(), false, Some(Inflater::new(Direction::default())));
    let fixed = frame(0xc1, b"\xf2\x48\xcd\xc9\xc9\x07\x00");
    assert_eq!(in_every_cut(make, &fixed), Ok(vec!["t:Hello".to_owned()]));
    let again = [&fixed[..], &frame(0xc1, b"\xf2\x00\x11\x00\x00")].concat();
    assert_eq!(in_every_cut(make, &again), Ok(vec!["t:Hello".to_owned(); 2]));
    let fragments = [frame(0x41, b"\xf2\x48\xcd"), frame(0x80, b"\xc9\xc9\x07\x00")].concat();
    assert_eq!(in_every_cut(make, &fragments), Ok(vec!["t:Hello".to_owned()]));
    let stored = frame(0xc1, b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00");
    assert_eq!(in_every_cut(make, &stored), Ok(vec!["t:Hello".to_owned()]));
    let last = frame(0xc1, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00");
    assert_eq!(in_every_cut(make, &[&last[..], &fixed].concat()), Ok(vec!["t:Hello".to_owned(); 2]));
    let blocks = frame(0xc1, b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00");
    assert_eq!(in_every_cut(make, &blocks), Ok(vec!["t:Hello".to_owned()]));
    assert_eq!(in_every_cut(make, &frame(0x81, b"plain")), Ok(vec!["t:plain".to_owned()]));
    // The bit is the first fragment's alone, and no control frame's.
    let late = [frame(0x01, b"a"), frame(0xc0, b"b")].concat();
    for wrong in [late, frame(0xc9, b""), frame(0xa1, b"x")] {
        assert_eq!(in_every_cut(make, &wrong).expect_err("a reserved bit").code, 1002);
    }
    assert_eq!(in_every_cut(make, &frame(0xc1, b"\xff\xff\xff\xff")).expect_err("no deflate").code, 1007);
}

#[test]
fn inflate_bombs_are_1009() {
    let (mut sender, mut receiver) = compressed(Direction::default(), 1 << 20);
    let fits = vec![b'x'; 1 << 20];
    let sent = sender.message(Kind::Binary, &fits, || [0; 4]).expect("it can be sent");
    let (fits, mut more) = ([&sent.head[..], &sent.body].concat(), Vec::new());
    assert!(fits.len() < 2000);
    let mut data = &fits[..];
    let Ok(Some(Event::Message(_, whole, true))) = receiver.next(&mut data) else { panic!("it fits") };
    assert_eq!(whole.len(), 1 << 20);
    let bomb = vec![0; (1 << 20) + 1];
    let sent = sender.message(Kind::Binary, &bomb, || [0; 4]).expect("it can be sent");
    more.extend([&sent.head[..], &sent.body].concat());
    assert_eq!(receiver.next(&mut &more[..]).map(|_| ()).expect_err("it is too large").code, 1009);
    // A block that says that it is the last one, over and over.
    let mut receiver = Receiver::new(Role::Client, Limits::default(), false, Some(Inflater::new(Direction::default())));
    assert_eq!(take(&mut receiver, &frame(0xc2, &b"\x03\x00".repeat(1000))).expect_err("too many").code, 1007);
}

fn wanted(own: (u8, bool), peer: (u8, bool)) -> Wanted {
    let of = |(window_bits, no_context_takeover)| Direction { window_bits, no_context_takeover };
    Wanted { own: of(own), peer: of(peer) }
}

fn agreed(own: (u8, bool), peer: (u8, bool)) -> Agreed {
    let Wanted { own, peer } = wanted(own, peer);
    Agreed { own, peer }
}

#[test]
fn offers_are_taken_by_the_first_that_can_be() {
    let full = (15, false);
    let easy = wanted(full, full);
    let taken = |offer: &str, wanted: &Wanted| extensions::accept(&[offer], wanted).expect("a list");
    let cases: [(&str, (u8, bool), (u8, bool), &str); 8] = [
        ("permessage-deflate", full, full, ""),
        ("permessage-deflate; client_max_window_bits", full, full, ""),
        ("permessage-deflate;server_no_context_takeover", (15, true), full, "; server_no_context_takeover"),
        ("permessage-deflate;client_no_context_takeover", full, (15, true), "; client_no_context_takeover"),
        ("permessage-deflate; server_max_window_bits=10", (10, false), full, "; server_max_window_bits=10"),
        ("permessage-deflate; server_max_window_bits=\"8\"", (8, false), full, "; server_max_window_bits=8"),
        ("permessage-deflate; client_max_window_bits=9", full, (9, false), "; client_max_window_bits=9"),
        ("x-webkit-deflate-frame, permessage-deflate; what, permessage-deflate", full, full, ""),
    ];
    for (offer, own, peer, answer) in cases {
        let want = (agreed(own, peer), format!("permessage-deflate{answer}"));
        assert_eq!(taken(offer, &easy), Some(want), "{offer}");
    }
    let wrong = [
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits",
        "server_max_window_bits=09",
        "client_max_window_bits=x",
        "server_no_context_takeover=1",
        "client_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits=9; server_max_window_bits=9",
        "unknown",
        "unknown=1",
    ];
    for parameters in wrong {
        assert_eq!(taken(&format!("permessage-deflate; {parameters}"), &easy), None, "{parameters}");
    }
    for list in ["a b", "permessage-deflate; =1", ";", "a; b=\"", "a; b=c d"] {
        assert!(extensions::accept(&[list], &easy).is_err(), "{list}");
    }
    assert_eq!(taken("", &easy), None);
    let small = wanted((10, true), (9, true));
    let answer =
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10";
    assert_eq!(taken("permessage-deflate", &small), Some((agreed((10, true), (15, true)), answer.to_owned())));
    let told = taken("permessage-deflate; client_max_window_bits", &small).expect("it is taken");
    assert_eq!(told, (agreed((10, true), (9, true)), format!("{answer}; client_max_window_bits=9")));
}

#[test]
fn answers_are_checked_against_the_offer() {
    let full = (15, false);
    let (easy, strict) = (wanted(full, full), wanted((12, false), (11, true)));
    assert_eq!(extensions::offer(&easy), "permessage-deflate; client_max_window_bits");
    let offer = "permessage-deflate; server_no_context_takeover; server_max_window_bits=11; client_max_window_bits=12";
    assert_eq!(extensions::offer(&strict), offer);
    let check = |answer: &str, wanted: &Wanted| extensions::check(&[answer], Some(wanted));
    assert_eq!(check("", &easy), Ok(None));
    assert_eq!(check("permessage-deflate", &easy), Ok(Some(agreed(full, full))));
    let answer = "permessage-deflate; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits=8";
    assert_eq!(check(answer, &strict), Ok(Some(agreed((8, false), (10, true)))));
    let answer =
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=11; client_no_context_takeover";
    assert_eq!(check(answer, &strict), Ok(Some(agreed((12, true), (11, true)))));
    let wrong = [
        "permessage-deflate",
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=12",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=13",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; more",
        "permessage-deflate, permessage-deflate",
        "another",
        "permessage-deflate; server_max_window_bits=20",
        "a b",
    ];
    for answer in wrong {
        assert!(check(answer, &strict).is_err(), "{answer}");
    }
    assert!(extensions::check(&["permessage-deflate"], None).is_err());
}

fn fields(lines: &str) -> Fields {
    let mut fields = Fields::new();
    for line in lines.lines() {
        let (name, value) = line.trim().split_once(": ").expect("a field");
        fields.add(name.as_bytes(), value.as_bytes()).expect("a good field");
    }
    fields
}

const REQUEST: &str = "Host: example.org
    Upgrade: WebSocket
    Connection: keep-alive, Upgrade
    Sec-WebSocket-Version: 13
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

fn refused(request: &str) -> u16 {
    let terms = handshake::Terms::default();
    handshake::accept(("GET", true), &fields(request), &terms)
        .map(|_| ())
        .map_err(|why| why.status)
        .err()
        .unwrap_or(101)
}

#[test]
fn a_server_takes_what_is_whole_and_says_what_is_not() {
    let mut terms = handshake::Terms { subprotocols: vec!["v2".into(), "v1".into()], ..handshake::Terms::default() };
    let request = format!(
        "{REQUEST}\nSec-WebSocket-Protocol: v1, x\nSec-WebSocket-Protocol: v2\nSec-WebSocket-Extensions: permessage-deflate"
    );
    let (opened, answer) = handshake::accept(("GET", true), &fields(&request), &terms).expect("it is whole");
    assert_eq!((opened.subprotocol.as_deref(), opened.deflate), (Some("v2"), None));
    let text = answer.iter().map(|(name, value)| format!("{name}: {value}\n")).collect::<String>();
    let accept = "Upgrade: websocket\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n";
    assert_eq!(text, format!("{accept}Sec-WebSocket-Protocol: v2\n"));
    terms.deflate = Some(Wanted::default());
    let (opened, answer) = handshake::accept(("GET", true), &fields(&request), &terms).expect("it is whole");
    assert!(
        opened.deflate.is_some() && answer.contains(&("Sec-WebSocket-Extensions", "permessage-deflate".to_owned()))
    );

    assert_eq!(refused(REQUEST), 101);
    for (word, other, status) in [
        ("WebSocket", "h2c", 426),
        ("Upgrade\n", "close\n", 426),
        (": 13", ": 8", 426),
        ("dGhl", "dGh", 400),
        ("Key: dGhlIHNhbXBsZSBub25jZQ==", "Key: dGhl", 400),
        ("\n    Sec-WebSocket-Key", "\n    Sec-WebSocket-Kex", 400),
    ] {
        let request = REQUEST.replace(word, other);
        assert_ne!(request, REQUEST);
        assert_eq!(refused(&request), status, "{other}");
    }
    assert_eq!(refused(&format!("{REQUEST}\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")), 400);
    let with =
        |method, is_1_1| handshake::accept((method, is_1_1), &fields(REQUEST), &terms).map_err(|why| why.status).err();
    assert_eq!((with("POST", true), with("GET", false)), (Some(405), Some(426)));
}

#[test]
fn pages_of_other_origins_are_refused() {
    let from = |origin: &str| refused(&format!("{REQUEST}\nOrigin: {origin}"));
    assert_eq!((from("https://example.org"), from("http://EXAMPLE.org")), (101, 101));
    for other in ["https://evil.org", "https://example.org.evil.org", "https://example.org:444", "null", "example.org"]
    {
        assert_eq!(from(other), 403, "{other}");
    }
    let terms = |origins: &[&str]| handshake::Terms {
        origins: Some(origins.iter().map(|&one| one.to_owned()).collect()),
        ..handshake::Terms::default()
    };
    let request = fields(&format!("{REQUEST}\nOrigin: https://a.org"));
    let is_taken = |origins: &[&str]| handshake::accept(("GET", true), &request, &terms(origins)).is_ok();
    assert!(is_taken(&["https://b.org", "https://A.org"]) && is_taken(&["*"]));
    assert!(!is_taken(&[]) && !is_taken(&["https://b.org"]));
    let twice = fields(&format!("{REQUEST}\nOrigin: https://a.org\nOrigin: https://a.org"));
    assert!(handshake::accept(("GET", true), &twice, &terms(&["*"])).is_err());
}

#[test]
fn a_client_checks_the_answer() {
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    let terms = handshake::Terms { subprotocols: vec!["v1".into()], ..handshake::Terms::default() };
    let good = "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    let check = |answer: &str| handshake::check(&fields(answer), key, &terms);
    assert_eq!(check(good), Ok(handshake::Opened::default()));
    let spoken = check(&format!("{good}\nSec-WebSocket-Protocol: v1")).expect("it was offered");
    assert_eq!(spoken.subprotocol.as_deref(), Some("v1"));
    for (word, other) in [("websocket", "h2c"), ("Connection: Upgrade", "Connection: close"), ("xOo=", "xOp=")] {
        assert!(check(&good.replace(word, other)).is_err(), "{other}");
    }
    for more in [
        "Sec-WebSocket-Protocol: v2",
        "Sec-WebSocket-Protocol: v1\nSec-WebSocket-Protocol: v1",
        "Upgrade: websocket",
        "Sec-WebSocket-Extensions: permessage-deflate",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    ] {
        assert!(check(&format!("{good}\n{more}")).is_err(), "{more}");
    }
    let names = handshake::request(key, &terms).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let want = ["Upgrade", "Connection", "Sec-WebSocket-Version", "Sec-WebSocket-Key", "Sec-WebSocket-Protocol"];
    assert_eq!(names, want);
}
