use super::*;
use crate::protocol::http::http2::PREFACE;
use h2::client::{self, ResponseFuture, SendRequest};
use h2::{FlowControl, SendStream};
use http::{Method, StatusCode};

const SECOND: u64 = 1_000_000_000;

/// h2's own client, whose connection is memory as well.
struct Client {
    buffers: Rc<Buffers>,
    connection: client::Connection<Pipe, Bytes>,
    requests: SendRequest<Bytes>,
    waker: Waker,
    woken: Arc<Woken>,
    over: Option<Result<(), h2::Error>>,
}

/// A client and a session, and what the session has said.
struct Pair {
    client: Client,
    server: Session,
    events: Vec<Event>,
    now: u64,
}

fn ready<T>(poll: Poll<T>) -> T {
    match poll {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it is not ready"),
    }
}

impl Client {
    fn new(builder: &client::Builder) -> Self {
        let buffers = Rc::new(Buffers::default());
        buffers.set_room(usize::MAX);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut handshake = Box::pin(builder.handshake(Pipe(Rc::clone(&buffers))));
        let (requests, connection) = ready(handshake.as_mut().poll(&mut Context::from_waker(&waker))).unwrap();
        Self { buffers, connection, requests, waker, woken, over: None }
    }

    /// Does what it can: what it sends.
    fn turn(&mut self) -> Vec<u8> {
        while self.over.is_none() {
            self.woken.take_connection();
            match Pin::new(&mut self.connection).poll(&mut Context::from_waker(&self.waker)) {
                Poll::Ready(over) => self.over = Some(over),
                Poll::Pending if self.woken.take_connection() => {}
                Poll::Pending => break,
            }
        }
        self.buffers.take_output(Vec::new())
    }
}

impl Pair {
    fn new(limits: &Limits) -> Self {
        Self::with_client(limits, &client::Builder::new())
    }

    fn with_client(limits: &Limits, builder: &client::Builder) -> Self {
        let mut server = Session::new(limits, 0);
        server.set_room(64 * 1024);
        let mut pair = Self { client: Client::new(builder), server, events: Vec::new(), now: 0 };
        pair.turn();
        pair
    }

    /// Bytes go both ways until there are none; each event is seen by `react`.
    fn turn_with(&mut self, mut react: impl FnMut(&mut Session, &Event)) {
        loop {
            let sent = self.client.turn();
            self.server.receive(&sent, self.now);
            while let Some(event) = self.server.next_event() {
                react(&mut self.server, &event);
                self.events.push(event);
            }
            let answer = self.server.take_output(Vec::new());
            self.client.buffers.push(&answer).unwrap();
            if sent.is_empty() && answer.is_empty() {
                return;
            }
        }
    }

    fn turn(&mut self) {
        self.turn_with(|_, _| {});
    }

    fn ask(&mut self, method: Method, ended: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let request = Request::builder().method(method).uri("https://example.org/path?query").body(()).unwrap();
        self.client.requests.send_request(request, ended).unwrap()
    }

    fn take<T>(&mut self, mut which: impl FnMut(&Event) -> Option<T>) -> T {
        let found = self.events.iter().position(|event| which(event).is_some());
        let at = found.unwrap_or_else(|| panic!("there is no such event among {:?}", self.events));
        which(&self.events.remove(at)).unwrap()
    }

    fn request(&mut self) -> u32 {
        self.take(|event| if let Event::Request { stream, .. } = event { Some(*stream) } else { None })
    }

    fn body(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        for event in &self.events {
            if let Event::Body { data, .. } = event {
                all.extend_from_slice(data);
            }
        }
        self.events.retain(|event| !matches!(event, Event::Body { .. }));
        all
    }

    fn response(&self, future: &mut ResponseFuture) -> Response<RecvStream> {
        ready(Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))).unwrap()
    }
}

fn head(code: u16) -> Response<()> {
    Response::builder().status(code).header("server", "lariat").body(()).unwrap()
}

fn poll_data(body: &mut RecvStream) -> Poll<Option<Result<Bytes, h2::Error>>> {
    body.poll_data(&mut Context::from_waker(Waker::noop()))
}

fn release(flow: &mut FlowControl, length: usize) {
    flow.release_capacity(length).unwrap();
}

/// All that is there of a body, whose windows are opened again.
fn drain(body: &mut RecvStream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Poll::Ready(Some(piece)) = poll_data(body) {
        let piece = piece.unwrap();
        release(body.flow_control(), piece.len());
        all.extend_from_slice(&piece);
    }
    all
}

#[test]
fn a_request_is_answered() {
    let mut pair = Pair::new(&Limits::default());
    let (mut future, _) = pair.ask(Method::GET, true);
    pair.turn();
    let stream = pair.take(|event| match event {
        Event::Request { stream, head, ended: true } => {
            assert_eq!(
                (head.method.as_str(), head.uri.to_string().as_str()),
                ("GET", "https://example.org/path?query")
            );
            Some(*stream)
        }
        _ => None,
    });
    pair.server.respond(stream, head(200), false).unwrap();
    pair.server.write(stream, Bytes::from_static(b"hello"));
    pair.server.finish(stream, None);
    pair.turn();
    let response = pair.response(&mut future);
    assert_eq!((response.status(), &response.headers()["server"]), (StatusCode::OK, &"lariat".parse().unwrap()));
    let mut body = response.into_body();
    assert_eq!(drain(&mut body), b"hello");
    assert!(body.is_end_stream());
    assert!(matches!(pair.events[..], [Event::Sent { .. }]), "{:?}", pair.events);
    assert_eq!(pair.server.streams(), 0);
}

#[test]
fn a_body_comes_as_it_is_taken() {
    let limits = Limits { stream_window: 1000, connection_window: 100_000, ..Limits::default() };
    let mut pair = Pair::new(&limits);
    let (_future, mut send) = pair.ask(Method::POST, false);
    pair.turn();
    let stream = pair.request();
    pair.server.set_paused(stream, true);
    let sent = (0..5000).map(|at| at as u8).collect::<Vec<_>>();
    send.send_data(Bytes::from(sent.clone()), true).unwrap();
    pair.turn();
    assert_eq!(pair.body(), b"", "it is paused");
    pair.server.set_paused(stream, false);
    let mut taken = 0;
    pair.turn_with(|server, event| {
        if let Event::Body { data, .. } = event {
            taken += data.len();
            // One piece a time: what the peer may send follows from what was taken.
            server.set_paused(stream, taken == 1000);
        }
    });
    assert_eq!(pair.body(), sent[..1000], "the peer sends no more than it may");
    pair.server.set_paused(stream, false);
    pair.turn();
    assert_eq!(pair.body(), sent[1000..]);
    pair.take(|event| if let Event::Ended { trailers: None, .. } = event { Some(()) } else { None });
}

#[test]
fn one_that_is_paused_holds_up_no_other() {
    let mut pair = Pair::new(&Limits::default());
    let mut streams = Vec::new();
    for _ in 0..10 {
        let (future, mut send) = pair.ask(Method::POST, false);
        pair.turn();
        let stream = pair.request();
        pair.server.set_paused(stream, true);
        send.send_data(Bytes::from(vec![1; 200_000]), true).unwrap();
        streams.push((future, send, stream));
    }
    pair.turn();
    let (_future, mut send) = pair.ask(Method::POST, false);
    send.send_data(Bytes::from(vec![2; 200_000]), true).unwrap();
    pair.turn();
    assert_eq!(pair.body(), vec![2; 200_000]);
    for (_, _, stream) in &streams {
        pair.server.set_paused(*stream, false);
        pair.turn();
        assert_eq!(pair.body(), vec![1; 200_000]);
    }
}

#[test]
fn a_response_goes_as_the_peer_takes_it() {
    let mut client = client::Builder::new();
    client.initial_window_size(10_000);
    let mut pair = Pair::with_client(&Limits::default(), &client);
    let (mut future, _) = pair.ask(Method::GET, true);
    pair.turn();
    let stream = pair.request();
    let sent = (0..30_000).map(|at| (at / 7) as u8).collect::<Vec<_>>();
    pair.server.respond(stream, head(200), false).unwrap();
    pair.server.write(stream, Bytes::from(sent.clone()));
    pair.server.tell_room(stream, 5_000);
    pair.server.set_now(7);
    pair.turn();
    assert_eq!(pair.server.waits(stream), 20_000, "so much the window allows");
    assert_eq!(pair.server.most_stalled(), Some((0, stream)));
    let mut body = pair.response(&mut future).into_body();
    let mut got = drain(&mut body);
    assert_eq!(got, sent[..10_000]);
    pair.now = SECOND;
    pair.turn();
    assert_eq!(pair.server.most_stalled(), Some((SECOND, stream)), "what was taken counts");
    assert!(pair.events.is_empty(), "{:?}", pair.events);
    got.extend(drain(&mut body));
    pair.turn();
    assert!(matches!(pair.events[..], [Event::Room { .. }]), "{:?}", pair.events);
    pair.server.finish(stream, None);
    pair.turn();
    got.extend(drain(&mut body));
    assert!(got == sent && body.is_end_stream());
    assert_eq!(pair.server.most_stalled(), None);
}

#[test]
fn nothing_is_read_while_nothing_can_be_written() {
    let mut pair = Pair::new(&Limits::default());
    pair.server.set_room(0);
    let mut futures = Vec::new();
    for _ in 0..50 {
        let (future, _) = pair.ask(Method::GET, true);
        pair.turn_with(|server, event| {
            if let Event::Request { stream, .. } = event {
                server.respond(*stream, head(200), false).unwrap();
                server.write(*stream, Bytes::from(vec![3; 10_000]));
                server.finish(*stream, None);
            }
        });
        futures.push(future);
    }
    assert!(!pair.server.has_output());
    // What answers to a ping has no place: the rest waits.
    for _ in 0..2_000 {
        pair.server.receive(&[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8], pair.now);
        pair.now += SECOND;
        while let Some(event) = pair.server.next_event() {
            pair.events.push(event);
        }
    }
    assert!(pair.server.unread() > 10_000, "{} bytes wait", pair.server.unread());
    let mut bytes = 0;
    loop {
        pair.server.set_room(1000);
        while let Some(event) = pair.server.next_event() {
            pair.events.push(event);
        }
        let sent = pair.server.take_output(Vec::new());
        assert!(sent.len() <= 1000, "no more than there is room for");
        if sent.is_empty() {
            break;
        }
        bytes += sent.len();
    }
    assert!(bytes > 50 * 1_300 + 2_000 * 17, "{bytes} bytes went out: windows of 65,535, and the pongs");
    assert_eq!(pair.server.unread(), 0);
}

#[test]
fn trailers_and_interim_responses_go_both_ways() {
    let mut pair = Pair::new(&Limits::default());
    let (mut future, mut send) = pair.ask(Method::POST, false);
    pair.turn();
    let stream = pair.request();
    pair.server.inform(stream, Response::builder().status(100).body(()).unwrap()).unwrap();
    pair.turn();
    send.send_data(Bytes::from_static(b"body"), false).unwrap();
    send.send_trailers(HeaderMap::from_iter([(http::header::ETAG, "1".parse().unwrap())])).unwrap();
    pair.turn();
    assert_eq!(pair.body(), b"body");
    let etag = |event: &Event| match event {
        Event::Ended { trailers: Some(trailers), .. } => Some(trailers[http::header::ETAG].clone()),
        _ => None,
    };
    assert_eq!(pair.take(etag), "1");
    pair.server.respond(stream, head(200), false).unwrap();
    pair.server.write(stream, Bytes::from_static(b"answer"));
    pair.server.finish(stream, Some(HeaderMap::from_iter([(http::header::ETAG, "2".parse().unwrap())])));
    pair.turn();
    let mut body = pair.response(&mut future).into_body();
    assert_eq!(drain(&mut body), b"answer");
    let trailers = ready(body.poll_trailers(&mut Context::from_waker(Waker::noop()))).unwrap().unwrap();
    assert_eq!(trailers[http::header::ETAG], "2");
}

#[test]
fn an_answer_before_the_request_has_ended_comes_whole() {
    let mut client = client::Builder::new();
    client.initial_window_size(20_000);
    let mut pair = Pair::with_client(&Limits::default(), &client);
    let (mut future, mut send) = pair.ask(Method::POST, false);
    send.send_data(Bytes::from(vec![0; 300_000]), false).unwrap();
    pair.turn_with(|server, event| {
        if let Event::Request { stream, .. } = event {
            server.set_paused(*stream, true);
            server.respond(*stream, head(413), false).unwrap();
            server.write(*stream, Bytes::from(vec![4; 100_000]));
            server.finish(*stream, None);
        }
    });
    let mut body = pair.response(&mut future).into_body();
    let mut got = Vec::new();
    while got.len() < 100_000 {
        let more = drain(&mut body);
        assert!(!more.is_empty(), "only {} bytes came", got.len());
        got.extend(more);
        pair.turn();
    }
    assert!(ready(poll_data(&mut body)).is_none());
    pair.take(|event| if let Event::Sent { .. } = event { Some(()) } else { None });
    let reset = ready(send.poll_reset(&mut Context::from_waker(Waker::noop()))).unwrap();
    assert_eq!(reset, Reason::NO_ERROR, "the peer need not send the rest");
}

#[test]
fn a_stream_that_the_peer_resets_is_over() {
    let mut pair = Pair::new(&Limits::default());
    let (_first, mut send) = pair.ask(Method::POST, false);
    let (mut second, _) = pair.ask(Method::GET, true);
    pair.turn();
    let (one, two) = (pair.request(), pair.request());
    send.send_reset(Reason::CANCEL);
    pair.turn();
    let reset = pair.take(|event| match event {
        Event::Reset { stream, reason } => Some((*stream, *reason)),
        _ => None,
    });
    assert_eq!(reset, (one, Some(Reason::CANCEL)));
    // What is said of it afterwards is for nothing.
    pair.server.respond(one, head(200), false).unwrap();
    pair.server.write(one, Bytes::from_static(b"late"));
    pair.server.finish(one, None);
    pair.server.respond(two, head(204), true).unwrap();
    pair.turn();
    assert_eq!(pair.response(&mut second).status(), StatusCode::NO_CONTENT);
    assert_eq!(pair.server.streams(), 0);
}

#[test]
fn a_stream_can_be_reset() {
    let mut pair = Pair::new(&Limits::default());
    let (mut future, _) = pair.ask(Method::GET, true);
    pair.turn();
    let stream = pair.request();
    pair.server.reset(stream, Reason::INTERNAL_ERROR);
    pair.turn();
    let why = ready(Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop()))).unwrap_err();
    assert_eq!(why.reason(), Some(Reason::INTERNAL_ERROR));
    assert!(pair.events.is_empty() && pair.server.streams() == 0);
}

#[test]
fn a_shutdown_lets_streams_finish() {
    let mut pair = Pair::new(&Limits::default());
    let (mut future, _) = pair.ask(Method::GET, true);
    pair.turn();
    let stream = pair.request();
    pair.server.shut_down();
    pair.turn();
    assert!(pair.client.over.is_none() && !pair.server.is_over());
    let refused = pair.client.requests.poll_ready(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(refused, Poll::Ready(Err(_))), "the client knows of it");
    pair.server.respond(stream, head(200), true).unwrap();
    pair.turn();
    assert_eq!(pair.response(&mut future).status(), StatusCode::OK);
    pair.take(|event| if let Event::Closed { why: None } = event { Some(()) } else { None });
    assert!(pair.client.over.take().is_some_and(|over| over.is_ok()));
}

#[test]
fn an_abort_ends_all_and_says_why() {
    let mut pair = Pair::new(&Limits::default());
    let (_future, _) = pair.ask(Method::GET, true);
    pair.turn();
    let stream = pair.request();
    pair.server.abort(Reason::ENHANCE_YOUR_CALM, "enough");
    pair.turn();
    let ids = |events: &[Event]| match events {
        [Event::Reset { stream, reason: Some(Reason::ENHANCE_YOUR_CALM) }, Event::Closed { why: Some(why) }] => {
            Some((*stream, why.clone()))
        }
        _ => None,
    };
    assert_eq!(ids(&pair.events), Some((stream, "enough".to_owned())));
    pair.client.buffers.end();
    pair.client.turn();
    assert_eq!(pair.client.over.take().unwrap().unwrap_err().reason(), Some(Reason::ENHANCE_YOUR_CALM));
}

#[test]
fn an_end_of_the_connection_ends_its_streams() {
    let mut pair = Pair::new(&Limits::default());
    let (_future, _send) = pair.ask(Method::POST, false);
    pair.turn();
    let stream = pair.request();
    pair.server.receive_end();
    pair.turn();
    let first = pair.take(|event| if let Event::Reset { stream, .. } = event { Some(*stream) } else { None });
    assert_eq!(first, stream);
    pair.take(|event| if let Event::Closed { .. } = event { Some(()) } else { None });
    assert!(pair.server.next_event().is_none());
}

#[test]
fn what_is_no_http2_is_refused() {
    for bytes in [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], &PREFACE[..10], b""] {
        let mut session = Session::new(&Limits::default(), 0);
        session.set_room(1 << 16);
        session.receive(bytes, 0);
        session.receive_end();
        assert!(matches!(session.next_event(), Some(Event::Closed { why: Some(_) })));
        assert!(session.next_event().is_none());
    }
}

#[test]
fn floods_end_the_connection() {
    const PING: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    const PRIORITY: &[u8] = &[0, 0, 5, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
    const UNKNOWN: &[u8] = &[0, 0, 1, 99, 0, 0, 0, 0, 1, 0];
    for frame in [PING, SETTINGS, PRIORITY, UNKNOWN] {
        let mut session = Session::new(&Limits::default(), 0);
        session.set_room(1 << 20);
        session.receive(&[PREFACE, SETTINGS, &frame.repeat(900)].concat(), 0);
        assert!(session.next_event().is_none() && session.is_open());
        session.receive(&frame.repeat(101), 0);
        assert!(matches!(session.next_event(), Some(Event::Closed { why: Some(_) })));
        let output = session.take_output(Vec::new());
        let goodbye = output.len() - 17;
        assert_eq!(output[goodbye..goodbye + 9], [0, 0, 8, 7, 0, 0, 0, 0, 0], "a GOAWAY");
        assert_eq!(output[output.len() - 1], 11, "ENHANCE_YOUR_CALM");
    }
}

#[test]
fn streams_that_are_reset_as_they_come_end_the_connection() {
    let limits = Limits { resets: Allowance { burst: 30, per_second: 0 }, ..Limits::default() };
    let mut pair = Pair::new(&limits);
    for count in 0..31 {
        let (_future, mut send) = pair.ask(Method::POST, false);
        // It is handed over first: that is how it does not count for h2.
        pair.turn();
        send.send_reset(Reason::CANCEL);
        pair.turn();
        assert_eq!(pair.server.is_over(), count == 30, "after {count}");
    }
    assert_eq!(pair.client.over.take().unwrap().unwrap_err().reason(), Some(Reason::ENHANCE_YOUR_CALM));
}
