//! A server's side of one HTTP/2 connection, without the connection: bytes go in, events and bytes come out.

use super::guard::{Allowance, Guard, Trouble};
use super::pipe::{Buffers, Pipe};
use super::stream::{Around, Step, Stream};
use super::wake::{self, Woken};
use bytes::Bytes;
use h2::server::{self, Connection, Handshake, SendResponse};
use h2::{Reason, RecvStream};
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// What the peer is told at the start, and what it may do.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Streams at once.
    pub streams: u32,
    /// What a peer may send on one stream before it is taken, in bytes.
    pub stream_window: u32,
    /// The same for all streams of the connection.
    pub connection_window: u32,
    /// The longest frame, 16,384 to 16,777,215 bytes.
    pub frame: u32,
    /// All fields of a request together, as RFC 9113, 6.5.2 counts them, in bytes.
    pub header_list: u32,
    /// What of a stream's response waits inside for its turn on the connection, in bytes.
    pub send_buffer: usize,
    /// Frames that carry neither fields nor data.
    pub control: Allowance,
    /// Streams that the peer resets.
    pub resets: Allowance,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            streams: 128,
            stream_window: 64 * 1024,
            connection_window: 128 * 64 * 1024,
            frame: 16 * 1024,
            header_list: 32 * 1024,
            send_buffer: 64 * 1024,
            control: Allowance { burst: 1000, per_second: 100 },
            resets: Allowance { burst: 1000, per_second: 33 },
        }
    }
}

/// What happened.
#[derive(Debug)]
#[expect(missing_docs, reason = "the variants say it")]
pub enum Event {
    /// A request came; `ended`: it has no body.
    Request { stream: u32, head: Box<Parts>, ended: bool },
    /// A part of a request's body.
    Body { stream: u32, data: Bytes },
    /// The request is whole.
    Ended { stream: u32, trailers: Option<HeaderMap> },
    /// No more than the mark waits to be sent.
    Room { stream: u32 },
    /// The response is done with, and so is the stream.
    Sent { stream: u32 },
    /// The stream is over before that: the peer, the protocol or the connection has ended it.
    Reset { stream: u32, reason: Option<Reason> },
    /// The connection is over, and no stream is left; last. The words are of what went wrong, if anything did.
    Closed { why: Option<String> },
}

enum State {
    /// The client's preface has not come.
    Shaking(Handshake<Pipe, Bytes>),
    Open(Connection<Pipe, Bytes>),
    /// What is left of the streams is told, then this.
    Ending(Option<String>),
    Over,
}

/// See the module.
pub struct Session {
    state: State,
    buffers: Rc<Buffers>,
    streams: BTreeMap<u32, Stream>,
    /// Streams to look at.
    ready: VecDeque<u32>,
    woken: Arc<Woken>,
    waker: Waker,
    guard: Guard,
    now: u64,
}

impl Session {
    /// A new one; `now` in nanoseconds, here and below.
    pub fn new(limits: &Limits, now: u64) -> Self {
        let buffers = Rc::new(Buffers::default());
        let woken = Arc::new(Woken::default());
        let handshake = server::Builder::new()
            .max_concurrent_streams(limits.streams)
            .initial_window_size(limits.stream_window)
            .initial_connection_window_size(limits.connection_window)
            .max_frame_size(limits.frame)
            .max_header_list_size(limits.header_list)
            .max_send_buffer_size(limits.send_buffer)
            .handshake(Pipe(Rc::clone(&buffers)));
        Self {
            state: State::Shaking(handshake),
            buffers,
            streams: BTreeMap::new(),
            ready: VecDeque::new(),
            waker: Waker::from(Arc::clone(&woken)),
            woken,
            guard: Guard::new(limits.control, limits.resets, now),
            now,
        }
    }

    /// Bytes came; [`Session::next_event`] says what they mean.
    pub fn receive(&mut self, data: &[u8], now: u64) {
        self.now = now;
        let looked = self.guard.look(data, now);
        if self.buffers.push(data).is_err() {
            return self.abort(Reason::INTERNAL_ERROR, "no memory for what was received");
        }
        if let Err(trouble) = looked {
            let (reason, why) = match trouble {
                Trouble::TooManyControls => {
                    (Reason::ENHANCE_YOUR_CALM, "the peer sends too many frames that carry nothing")
                }
                Trouble::TooManyResets => (Reason::ENHANCE_YOUR_CALM, "the peer resets too many streams"),
                Trouble::NoSettings => (Reason::PROTOCOL_ERROR, "the peer does not begin with its settings"),
            };
            self.abort(reason, why);
        }
    }

    /// The peer sends no more.
    pub fn receive_end(&mut self) {
        self.buffers.end();
    }

    /// Bytes that came and wait for room in the output: no more are wanted.
    pub fn unread(&self) -> usize {
        self.buffers.unread()
    }

    /// So much may wait in the output at once; 0: there is no room now.
    pub fn set_room(&mut self, room: usize) {
        self.buffers.set_room(room);
    }

    /// What is to be sent. `spare` gives its memory for what comes next.
    pub fn take_output(&mut self, spare: Vec<u8>) -> Vec<u8> {
        self.buffers.take_output(spare)
    }

    /// Whether there is any.
    pub fn has_output(&self) -> bool {
        self.buffers.has_output()
    }

    /// The time as it is from here on.
    pub fn set_now(&mut self, now: u64) {
        self.now = now;
    }

    /// The streams that are open.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Whether the client's preface has come.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Whether nothing is left but to tell of it.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Ending(_) | State::Over)
    }

    /// What happens next; none: nothing, until more comes or is asked for.
    pub fn next_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.next_of_streams() {
                return Some(event);
            }
            let waker = self.waker.clone();
            let context = &mut Context::from_waker(&waker);
            match &mut self.state {
                State::Shaking(_) => {
                    self.shake();
                    if let State::Shaking(_) = self.state {
                        return None;
                    }
                }
                State::Open(connection) => match connection.poll_accept(context) {
                    Poll::Ready(Some(Ok((request, respond)))) => return Some(self.begin(request, respond)),
                    Poll::Ready(Some(Err(why))) => self.state = State::Ending(Some(why.to_string())),
                    Poll::Ready(None) => self.state = State::Ending(None),
                    Poll::Pending => {
                        self.woken.take_streams(&mut self.ready);
                        if self.ready.is_empty() && !self.woken.take_connection() {
                            return None;
                        }
                    }
                },
                State::Ending(_) => return Some(self.end_next()),
                State::Over => return None,
            }
        }
    }

    /// Goes on with the handshake, of which no frame is a part but the settings that are sent.
    fn shake(&mut self) {
        let State::Shaking(handshake) = &mut self.state else { return };
        match Pin::new(handshake).poll(&mut Context::from_waker(&self.waker)) {
            Poll::Pending => {}
            Poll::Ready(Ok(connection)) => self.state = State::Open(connection),
            Poll::Ready(Err(why)) => self.state = State::Ending(Some(why.to_string())),
        }
    }

    fn next_of_streams(&mut self) -> Option<Event> {
        self.woken.take_streams(&mut self.ready);
        while let Some(id) = self.ready.pop_front() {
            let mut around = Around { guard: &mut self.guard, now: self.now };
            let Some(step) = self.streams.get_mut(&id).and_then(|stream| stream.step(&mut around)) else { continue };
            // It may have more, after the others.
            self.ready.push_back(id);
            return Some(self.event_of(id, step));
        }
        None
    }

    fn event_of(&mut self, stream: u32, step: Step) -> Event {
        match step {
            Step::Body(data) => Event::Body { stream, data },
            Step::Ended(trailers) => Event::Ended { stream, trailers },
            Step::Room => Event::Room { stream },
            Step::Sent => {
                self.streams.remove(&stream);
                Event::Sent { stream }
            }
            Step::Reset(reason) => {
                self.streams.remove(&stream);
                Event::Reset { stream, reason }
            }
        }
    }

    fn begin(&mut self, request: Request<RecvStream>, respond: SendResponse<Bytes>) -> Event {
        let id = respond.stream_id().as_u32();
        let (head, body) = request.into_parts();
        let stream = Stream::new(respond, body, wake::of_stream(id, &self.woken));
        let ended = stream.has_ended();
        self.streams.insert(id, stream);
        self.ready.push_back(id);
        Event::Request { stream: id, head: Box::new(head), ended }
    }

    /// The connection is over: so is each stream, then all of it.
    fn end_next(&mut self) -> Event {
        if let Some((stream, _)) = self.streams.pop_first() {
            return Event::Reset { stream, reason: None };
        }
        let before = std::mem::replace(&mut self.state, State::Over);
        Event::Closed { why: if let State::Ending(why) = before { why } else { None } }
    }

    /// Calls `change` for a stream that is still there, and has it looked at.
    fn with<R>(&mut self, id: u32, change: impl FnOnce(&mut Stream) -> R) -> Option<R> {
        let stream = self.streams.get_mut(&id)?;
        let result = change(stream);
        self.ready.push_back(id);
        Some(result)
    }

    /// Sends an interim response, such as 100.
    pub fn inform(&mut self, stream: u32, head: Response<()>) -> Result<(), h2::Error> {
        self.with(stream, |stream| stream.inform(head)).unwrap_or(Ok(()))
    }

    /// Sends the head of the response; `ended`: that is all of it. Connection-specific fields are refused.
    pub fn respond(&mut self, stream: u32, head: Response<()>, ended: bool) -> Result<(), h2::Error> {
        self.with(stream, |stream| stream.respond(head, ended)).unwrap_or(Ok(()))
    }

    /// Sends a part of the body, as the peer has room for it.
    pub fn write(&mut self, stream: u32, data: Bytes) {
        self.with(stream, |stream| stream.write(data));
    }

    /// Ends the response after all of its body.
    pub fn finish(&mut self, stream: u32, trailers: Option<HeaderMap>) {
        self.with(stream, |stream| stream.finish(trailers));
    }

    /// Bytes of a response that the peer has no room for yet.
    pub fn waits(&self, stream: u32) -> usize {
        self.streams.get(&stream).map_or(0, Stream::waits)
    }

    /// Has [`Event::Room`] told, once, when no more than `low` bytes wait.
    pub fn tell_room(&mut self, stream: u32, low: usize) {
        self.with(stream, |stream| stream.tell_room(low));
    }

    /// The request's body does not come until it is resumed; the peer is held up by its window.
    pub fn set_paused(&mut self, stream: u32, paused: bool) {
        self.with(stream, |stream| stream.paused = paused);
    }

    /// Ends a stream at once. No event comes of it any more.
    pub fn reset(&mut self, stream: u32, reason: Reason) {
        if let Some(mut stream) = self.streams.remove(&stream) {
            stream.reset(reason);
        }
    }

    /// The stream whose peer has taken nothing for the longest time of what waits for it, and since when.
    pub fn most_stalled(&self) -> Option<(u64, u32)> {
        self.streams.iter().filter_map(|(id, stream)| Some((stream.stalled_since()?, *id))).min()
    }

    /// No new streams: the peer is told in two steps, so that none which is on its way is lost; those that are open finish.
    pub fn shut_down(&mut self) {
        match &mut self.state {
            State::Open(connection) => connection.graceful_shutdown(),
            State::Shaking(_) => self.state = State::Ending(None),
            _ => {}
        }
    }

    /// Ends all of it, and tells the peer why.
    pub fn abort(&mut self, reason: Reason, why: &str) {
        // What the peer gets of this goes out without waiting for anything.
        self.buffers.set_room(usize::MAX);
        self.shake();
        if let State::Open(connection) = &mut self.state {
            connection.abrupt_shutdown(reason);
            let _ = connection.poll_closed(&mut Context::from_waker(&self.waker));
        }
        if !self.is_over() {
            self.state = State::Ending(Some(why.to_owned()));
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "session_chaos_tests.rs"]
mod chaos_tests;
