//! One stream: a request's body as it comes, and its response as the peer has room for it.

use super::guard::Guard;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Response};
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

/// What is looked at together with a stream.
pub struct Around<'a> {
    pub guard: &'a mut Guard,
    pub now: u64,
}

/// What happened on a stream.
pub enum Step {
    Body(Bytes),
    Ended(Option<HeaderMap>),
    Room,
    Sent,
    Reset(Option<Reason>),
}

/// How a response is to end.
enum End {
    Open,
    /// After what waits, with these trailers.
    Asked(Option<HeaderMap>),
    Done,
}

pub struct Stream {
    respond: SendResponse<Bytes>,
    /// There once the head was sent, if a body follows.
    send: Option<SendStream<Bytes>>,
    /// There until the request has ended.
    body: Option<RecvStream>,
    pub waker: Waker,
    waiting: VecDeque<Bytes>,
    waits: usize,
    end: End,
    /// It is told when no more than this waits.
    low: Option<usize>,
    pub paused: bool,
    /// Since when something waits of which the peer takes nothing.
    stalled: Option<u64>,
}

impl Stream {
    pub fn new(respond: SendResponse<Bytes>, body: RecvStream, waker: Waker) -> Self {
        let body = (!body.is_end_stream()).then_some(body);
        Self {
            respond,
            send: None,
            body,
            waker,
            waiting: VecDeque::new(),
            waits: 0,
            end: End::Open,
            low: None,
            paused: false,
            stalled: None,
        }
    }

    pub fn has_ended(&self) -> bool {
        self.body.is_none()
    }

    pub fn waits(&self) -> usize {
        self.waits
    }

    pub fn stalled_since(&self) -> Option<u64> {
        self.stalled
    }

    /// Sends an interim response.
    pub fn inform(&mut self, head: Response<()>) -> Result<(), h2::Error> {
        self.respond.send_informational(head)
    }

    /// Sends the head; `ended`: nothing follows.
    pub fn respond(&mut self, head: Response<()>, ended: bool) -> Result<(), h2::Error> {
        let send = self.respond.send_response(head, ended)?;
        self.send = Some(send);
        if ended {
            self.end = End::Done;
        }
        Ok(())
    }

    pub fn write(&mut self, data: Bytes) {
        if !data.is_empty() && matches!(self.end, End::Open) {
            self.waits += data.len();
            self.waiting.push_back(data);
        }
    }

    pub fn finish(&mut self, trailers: Option<HeaderMap>) {
        if matches!(self.end, End::Open) {
            self.end = End::Asked(trailers);
        }
    }

    pub fn tell_room(&mut self, low: usize) {
        self.low = Some(low);
    }

    pub fn reset(&mut self, reason: Reason) {
        match &mut self.send {
            Some(send) => send.send_reset(reason),
            None => self.respond.send_reset(reason),
        }
    }

    /// Does what can be done now; what happened, if anything did: then it is to be asked again.
    pub fn step(&mut self, around: &mut Around<'_>) -> Option<Step> {
        let waker = self.waker.clone();
        let context = &mut Context::from_waker(&waker);
        let was_reset = match &mut self.send {
            Some(send) => send.poll_reset(context),
            None => self.respond.poll_reset(context),
        };
        if let Poll::Ready(reason) = was_reset {
            return Some(Step::Reset(reason.ok()));
        }
        if let Err(reason) = self.push(around, context) {
            return Some(Step::Reset(reason));
        }
        if matches!(self.end, End::Done) {
            return Some(Step::Sent);
        }
        if self.low.is_some_and(|low| self.waits <= low) {
            self.low = None;
            return Some(Step::Room);
        }
        if self.paused { None } else { self.pull(context) }
    }

    /// Hands to h2 what the peer's windows have room for.
    fn push(&mut self, around: &mut Around<'_>, context: &mut Context<'_>) -> Result<(), Option<Reason>> {
        let Some(send) = &mut self.send else { return Ok(()) };
        while let Some(first) = self.waiting.front_mut() {
            send.reserve_capacity(self.waits);
            let room = send.capacity();
            if room == 0 {
                match send.poll_capacity(context) {
                    Poll::Ready(Some(Ok(_))) => continue,
                    Poll::Ready(_) => return Err(None),
                    Poll::Pending => {}
                }
                self.stalled.get_or_insert(around.now);
                return Ok(());
            }
            self.stalled = None;
            let piece = first.split_to(first.len().min(room));
            self.waits -= piece.len();
            around.guard.sent(piece.len());
            if first.is_empty() {
                self.waiting.pop_front();
            }
            let is_last = self.waiting.is_empty() && matches!(self.end, End::Asked(None));
            send.send_data(piece, is_last).map_err(|why| why.reason())?;
            if is_last {
                self.end = End::Done;
            }
        }
        let trailers = match &mut self.end {
            End::Asked(trailers) => trailers.take(),
            _ => return Ok(()),
        };
        self.end = End::Done;
        let done = match trailers {
            Some(trailers) => send.send_trailers(trailers),
            None => send.send_data(Bytes::new(), true),
        };
        done.map_err(|why| why.reason())
    }

    /// Takes what came of the request's body. The peer may send as much again.
    fn pull(&mut self, context: &mut Context<'_>) -> Option<Step> {
        let body = self.body.as_mut()?;
        let ended = loop {
            match body.poll_data(context) {
                Poll::Pending => return None,
                Poll::Ready(Some(Ok(data))) => {
                    // The stream is open: nothing else is refused here.
                    let _ = body.flow_control().release_capacity(data.len());
                    if !data.is_empty() {
                        return Some(Step::Body(data));
                    }
                }
                Poll::Ready(Some(Err(why))) => return Some(Step::Reset(why.reason())),
                Poll::Ready(None) => match body.poll_trailers(context) {
                    Poll::Pending => return None,
                    Poll::Ready(Ok(trailers)) => break Step::Ended(trailers),
                    Poll::Ready(Err(why)) => return Some(Step::Reset(why.reason())),
                },
            }
        };
        self.body = None;
        Some(ended)
    }
}
