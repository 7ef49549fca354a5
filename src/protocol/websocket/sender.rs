//! What goes out: messages become frames. Nothing here knows what a connection is.

use super::deflate::Deflater;
use super::frame::{self, Head, HeadBytes, Opcode};
use super::receiver::Payload;
use super::utf8::Utf8;
use super::{Kind, Role};
use crate::status::{Result, Status};

/// A buffer of up to this size is kept for the next frame.
const KEPT: usize = 4096;

/// A message that is sent fragment by fragment.
struct Begun {
    kind: Kind,
    compressed: bool,
    utf8: Utf8,
}

/// A frame as it goes out: the head, and the body behind it.
pub struct Frame<'a> {
    /// Its head.
    pub head: HeadBytes,
    /// Its body, masked and deflated; to be given back by [`Sender::give_back`].
    pub body: Payload<'a>,
}

/// See the module.
pub struct Sender {
    role: Role,
    deflater: Option<Deflater>,
    /// Messages of fewer bytes are not worth compressing.
    threshold: usize,
    begun: Option<Begun>,
    scratch: Vec<u8>,
}

impl Sender {
    /// Of this role; with a deflater where compression was agreed on.
    pub fn new(role: Role, deflater: Option<Deflater>, threshold: usize) -> Self {
        Self { role, deflater: deflater.filter(Deflater::compresses), threshold, begun: None, scratch: Vec::new() }
    }

    /// Whether a message is begun and not ended: no other can be sent meanwhile.
    pub fn is_within_message(&self) -> bool {
        self.begun.is_some()
    }

    /// A message in one frame. Text was found to be UTF-8 before.
    pub fn message<'a>(&mut self, kind: Kind, data: &'a [u8], key: impl FnOnce() -> [u8; 4]) -> Result<Frame<'a>> {
        if self.begun.is_some() {
            let why = "a message that was begun by lariat_websocket_send_fragment is not ended yet";
            return Err(Status::ERR_INVALID_STATE.because(why));
        }
        let compressed = self.deflater.is_some() && data.len() >= self.threshold;
        self.frame(
            Head { is_last: true, compressed, opcode: opcode(kind), key: None, length: 0 },
            compressed,
            data,
            key,
        )
    }

    /// The next fragment of a message, or the first.
    pub fn fragment<'a>(
        &mut self,
        kind: Kind,
        data: &'a [u8],
        is_last: bool,
        key: impl FnOnce() -> [u8; 4],
    ) -> Result<Frame<'a>> {
        let is_first = self.begun.is_none();
        let compressed = self.deflater.is_some();
        let begun = self.begun.get_or_insert_with(|| Begun { kind, compressed, utf8: Utf8::default() });
        if let Err(why) = check_fragment(begun, kind, data, is_last) {
            self.begun.take_if(|_| is_first);
            return Err(why);
        }
        let compressed = begun.compressed;
        self.begun.take_if(|_| is_last);
        let opcode = if is_first { opcode(kind) } else { Opcode::Continuation };
        let head = Head { is_last, compressed: compressed && is_first, opcode, key: None, length: 0 };
        self.frame(head, compressed, data, key)
    }

    /// A control frame, of at most 125 bytes.
    pub fn control<'a>(&mut self, opcode: Opcode, data: &'a [u8], key: impl FnOnce() -> [u8; 4]) -> Result<Frame<'a>> {
        self.frame(Head { is_last: true, compressed: false, opcode, key: None, length: 0 }, false, data, key)
    }

    fn frame<'a>(
        &mut self,
        mut head: Head,
        deflate: bool,
        data: &'a [u8],
        key: impl FnOnce() -> [u8; 4],
    ) -> Result<Frame<'a>> {
        let mut own = None;
        if let Some(deflater) = self.deflater.as_mut().filter(|_| deflate) {
            let deflated = own.insert(std::mem::take(&mut self.scratch));
            // What was begun and is not sent must not be referred to.
            deflater.deflate(data, head.is_last, deflated).inspect_err(|_| deflater.forget())?;
        }
        if self.role == Role::Client {
            let mut masked = match own {
                Some(deflated) => deflated,
                None => {
                    let mut copy = std::mem::take(&mut self.scratch);
                    copy.try_reserve_exact(data.len()).map_err(|_| Status::ERR_NO_MEMORY)?;
                    copy.extend_from_slice(data);
                    copy
                }
            };
            let key = key();
            frame::mask(&mut masked, key, 0);
            head.key = Some(key);
            own = Some(masked);
        }
        let body = own.map_or(Payload::Lent(data), Payload::Own);
        head.length = body.len() as u64;
        Ok(Frame { head: head.write(), body })
    }

    /// The buffer of a frame is used again.
    pub fn give_back(&mut self, body: Payload) {
        if let Payload::Own(mut bytes) = body {
            if bytes.capacity() <= KEPT {
                bytes.clear();
                self.scratch = bytes;
            }
        }
    }
}

fn opcode(kind: Kind) -> Opcode {
    if kind == Kind::Text { Opcode::Text } else { Opcode::Binary }
}

fn check_fragment(begun: &mut Begun, kind: Kind, data: &[u8], is_last: bool) -> Result {
    if kind != begun.kind {
        return Err(Status::ERR_INVALID_STATE.because("a fragment is of another kind than its message"));
    }
    if kind == Kind::Binary {
        return Ok(());
    }
    let mut utf8 = begun.utf8.clone();
    if !utf8.feed(data) || (is_last && !utf8.is_whole()) {
        return Err(Status::ERR_INVALID_ARGUMENT.because("the text is not valid UTF-8"));
    }
    begun.utf8 = utf8;
    Ok(())
}
