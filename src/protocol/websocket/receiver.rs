//! What comes in: bytes become messages, as they come. Nothing here knows what a connection is.

use super::deflate::Inflater;
use super::frame::{self, Head, LONGEST_CONTROL, LONGEST_HEAD, Opcode};
use super::utf8::Utf8;
use super::{Broken, Kind, Role, close};

/// How much may come.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a message, inflated.
    pub message: u64,
    /// Bytes of a frame, as it comes.
    pub frame: u64,
    /// Fragments of a message.
    pub fragments: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message: 16 * 1024 * 1024, frame: u64::MAX, fragments: 128 * 1024 }
    }
}

/// Bytes that are lent, or that go back by [`Receiver::give_back`].
pub enum Payload<'data> {
    /// A part of what came.
    Lent(&'data [u8]),
    /// Put together.
    Own(Vec<u8>),
}

impl std::ops::Deref for Payload<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Lent(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }
}

/// Something that has come.
pub enum Event<'data> {
    /// A message, or a piece of one if they are wanted as they come; whether it is the last.
    Message(Kind, Payload<'data>, bool),
    /// A ping, to be answered.
    Ping(Control),
    /// A pong.
    Pong(Control),
    /// The peer closes; the code, if there is one, and the reason. Last.
    Close(Option<u16>, String),
}

/// The body of a control frame.
#[derive(Clone, Copy)]
pub struct Control {
    bytes: [u8; LONGEST_CONTROL],
    length: usize,
}

impl Default for Control {
    fn default() -> Self {
        Self { bytes: [0; LONGEST_CONTROL], length: 0 }
    }
}

impl std::ops::Deref for Control {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// A buffer of up to this size is kept for the next message.
const KEPT: usize = 4096;

/// The frame whose body comes.
struct Frame {
    head: Head,
    /// How much of it has come.
    at: u64,
}

/// The message that comes.
struct Message {
    kind: Kind,
    compressed: bool,
    fragments: u32,
    /// Bytes of it so far, inflated.
    length: u64,
}

/// See the module.
pub struct Receiver {
    role: Role,
    limits: Limits,
    /// Messages are wanted as they come.
    in_pieces: bool,
    inflater: Option<Inflater>,
    head: [u8; LONGEST_HEAD],
    head_length: usize,
    frame: Option<Frame>,
    message: Option<Message>,
    payload: Vec<u8>,
    /// Masked bytes on their way to the inflater.
    deflated: Vec<u8>,
    utf8: Utf8,
    control: Control,
}

impl Receiver {
    /// Of this role; with an inflater where compression was agreed on.
    pub fn new(role: Role, limits: Limits, in_pieces: bool, inflater: Option<Inflater>) -> Self {
        Self {
            role,
            limits,
            in_pieces,
            inflater,
            head: [0; LONGEST_HEAD],
            head_length: 0,
            frame: None,
            message: None,
            payload: Vec::new(),
            deflated: Vec::new(),
            utf8: Utf8::default(),
            control: Control::default(),
        }
    }

    /// The next thing in the data, which is cut off of it. None: all of it is taken in.
    pub fn next<'data>(&mut self, data: &mut &'data [u8]) -> Result<Option<Event<'data>>, Broken> {
        loop {
            if self.frame.is_none() {
                let Some(head) = self.read_head(data)? else { return Ok(None) };
                self.begin(&head)?;
                if let Some(whole) = self.lent(&head, data)? {
                    return Ok(Some(whole));
                }
                self.frame = Some(Frame { head, at: 0 });
            }
            let Some(frame) = &mut self.frame else { return Ok(None) };
            let (head, at) = (frame.head, frame.at);
            let length = (head.length - at).min(data.len() as u64) as usize;
            let (body, rest) = data.split_at(length);
            if body.is_empty() && head.length != at {
                return Ok(None);
            }
            *data = rest;
            frame.at += length as u64;
            let is_done = frame.at == head.length;
            if is_done {
                self.frame = None;
            }
            let event = if head.opcode.is_control() {
                self.control(&head, body, at, is_done)?
            } else {
                self.piece(&head, body, at, is_done)?
            };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    /// The buffer of a payload is used again.
    pub fn give_back(&mut self, payload: Payload<'_>) {
        if let Payload::Own(mut bytes) = payload {
            if bytes.capacity() <= KEPT && self.payload.capacity() == 0 {
                bytes.clear();
                self.payload = bytes;
            }
        }
    }

    fn read_head(&mut self, data: &mut &[u8]) -> Result<Option<Head>, Broken> {
        // The usual case: all of it is there.
        if self.head_length == 0 && data.len() >= LONGEST_HEAD {
            let (head, rest) = data.split_at(frame::head_length(data[1]));
            *data = rest;
            return Head::read(head, self.role).map(Some);
        }
        loop {
            let wanted = if self.head_length < 2 { 2 } else { frame::head_length(self.head[1]) };
            if self.head_length == wanted {
                self.head_length = 0;
                return Head::read(&self.head[..wanted], self.role).map(Some);
            }
            let more = data.len().min(wanted - self.head_length);
            if more == 0 {
                return Ok(None);
            }
            self.head[self.head_length..][..more].copy_from_slice(&data[..more]);
            self.head_length += more;
            *data = &data[more..];
        }
    }

    /// Whether a frame with this head may come now.
    fn begin(&mut self, head: &Head) -> Result<(), Broken> {
        if head.compressed && (self.inflater.is_none() || !matches!(head.opcode, Opcode::Text | Opcode::Binary)) {
            return Err(Broken::protocol("a frame has a reserved bit set"));
        }
        if head.opcode.is_control() {
            return Ok(());
        }
        if head.opcode == Opcode::Continuation {
            let Some(message) = &mut self.message else {
                return Err(Broken::protocol("a fragment has come without its beginning"));
            };
            message.fragments += 1;
            if message.fragments > self.limits.fragments {
                return Err(Broken::too_big("a message has more fragments than it may"));
            }
        } else if self.message.is_some() {
            return Err(Broken::protocol("a message has begun before the one before it was whole"));
        } else {
            let kind = if head.opcode == Opcode::Text { Kind::Text } else { Kind::Binary };
            self.utf8 = Utf8::default();
            self.message = Some(Message { kind, compressed: head.compressed, fragments: 1, length: 0 });
        }
        let so_far = self.message.as_ref().filter(|message| !message.compressed).map(|message| message.length);
        if head.length > self.limits.frame || so_far.is_some_and(|so_far| head.length > self.limits.message - so_far) {
            return Err(Broken::too_big("a message is larger than the limit"));
        }
        Ok(())
    }

    /// A whole message in one unmasked frame that has come in one piece needs no copy.
    fn lent<'data>(&mut self, head: &Head, data: &mut &'data [u8]) -> Result<Option<Event<'data>>, Broken> {
        let is_whole = head.is_last && head.key.is_none() && !head.compressed && head.length <= data.len() as u64;
        if !is_whole || !matches!(head.opcode, Opcode::Text | Opcode::Binary) {
            return Ok(None);
        }
        let Some(Message { kind, .. }) = self.message.take() else { return Ok(None) };
        let (body, rest) = data.split_at(head.length as usize);
        *data = rest;
        if kind == Kind::Text && std::str::from_utf8(body).is_err() {
            return Err(not_utf8());
        }
        Ok(Some(Event::Message(kind, Payload::Lent(body), true)))
    }

    fn control<'data>(
        &mut self,
        head: &Head,
        body: &[u8],
        at: u64,
        is_done: bool,
    ) -> Result<Option<Event<'data>>, Broken> {
        let place = &mut self.control.bytes[at as usize..][..body.len()];
        place.copy_from_slice(body);
        if let Some(key) = head.key {
            frame::mask(place, key, at);
        }
        if !is_done {
            return Ok(None);
        }
        self.control.length = head.length as usize;
        let control = std::mem::take(&mut self.control);
        Ok(Some(match head.opcode {
            Opcode::Ping => Event::Ping(control),
            Opcode::Pong => Event::Pong(control),
            _ => match close::read(&control)? {
                Some((code, reason)) => Event::Close(Some(code), reason.to_owned()),
                None => Event::Close(None, String::new()),
            },
        }))
    }

    /// Adds a piece of a message.
    fn piece<'data>(
        &mut self,
        head: &Head,
        body: &[u8],
        at: u64,
        is_done: bool,
    ) -> Result<Option<Event<'data>>, Broken> {
        let Some(message) = &mut self.message else { return Ok(None) };
        let (before, is_last) = (self.payload.len(), is_done && head.is_last);
        if message.compressed {
            self.deflated.clear();
            unmask(&mut self.deflated, body, head, at)?;
            let most = (self.limits.message - message.length).saturating_add(before as u64);
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            let inflater = self.inflater.as_mut().ok_or_else(|| Broken::protocol("a frame has a reserved bit set"))?;
            inflater.inflate(&self.deflated, is_last, &mut self.payload, most)?;
            if self.deflated.capacity() > KEPT && is_last {
                self.deflated = Vec::new();
            }
        } else {
            unmask(&mut self.payload, body, head, at)?;
        }
        let new = &self.payload[before..];
        message.length += new.len() as u64;
        let kind = message.kind;
        if kind == Kind::Text && !(self.utf8.feed(new) && (!is_last || self.utf8.is_whole())) {
            return Err(not_utf8());
        }
        if is_last {
            self.message = None;
        }
        if is_last || (self.in_pieces && !self.payload.is_empty()) {
            let payload = Payload::Own(std::mem::take(&mut self.payload));
            return Ok(Some(Event::Message(kind, payload, is_last)));
        }
        Ok(None)
    }
}

fn unmask(to: &mut Vec<u8>, body: &[u8], head: &Head, at: u64) -> Result<(), Broken> {
    let before = to.len();
    to.try_reserve(body.len()).map_err(|_| Broken::no_memory())?;
    to.extend_from_slice(body);
    if let Some(key) = head.key {
        frame::mask(&mut to[before..], key, at);
    }
    Ok(())
}

#[cold]
fn not_utf8() -> Broken {
    Broken::utf8("a text message is not valid UTF-8")
}
