//! What is sent: messages, fragments, pings, and the pongs that answer them.

use super::connection::{WebSocket, flag};
use super::frame::{LONGEST_CONTROL, Opcode};
use super::receiver::Control;
use super::sender::{Frame, Sender};
use super::{Kind, keeping};
use crate::handles::{self, Item, Word};
use crate::net::transport::Transport;
use crate::net::writing;
use crate::status::{Result, Status};

/// While so much waits to be written, pings are answered by one pong, to the last of them.
const BUSY: u64 = 64 * 1024;
/// The most that a frame has beside its data, and that compression adds to what it cannot compress: five bytes for
/// each piece of 16 KiB.
fn most(length: usize) -> u64 {
    (length + length / 1024 + 64) as u64
}

/// Refuses once a close frame was sent.
fn open(socket: Item<WebSocket>) -> Result<Item<Transport>> {
    if !socket.is_open() {
        return Err(Status::ERR_CLOSED.because("the WebSocket is closing"));
    }
    socket.transport().ok_or_else(|| Status::ERR_CLOSED.because("the WebSocket is over"))
}

/// Four bytes that nobody can foresee.
fn key(transport: Item<Transport>) -> [u8; 4] {
    let random = transport.root().with_driver(|driver| driver.random());
    (random as u32).to_ne_bytes()
}

/// Sends a frame: all of it is accepted, or nothing.
fn send<'data>(
    socket: Item<WebSocket>,
    transport: Item<Transport>,
    encode: impl FnOnce(&mut Sender) -> Result<Frame<'data>>,
) -> Result {
    let Some(mut sender) = socket.sender.take() else { return Err(Status::ERR_CLOSED) };
    let frame = encode(&mut sender);
    socket.sender.set(Some(sender));
    let frame = frame?;
    // A producer may be told to pause from inside of this, and may send.
    let done = writing::write_behind(transport, &frame.head, &frame.body);
    if let Some(mut sender) = socket.sender.take() {
        sender.give_back(frame.body);
        socket.sender.set(Some(sender));
    }
    done
}

/// Sends a message.
pub fn message(socket: Item<WebSocket>, kind: Kind, data: &[u8]) -> Result {
    let transport = open(socket)?;
    if kind == Kind::Text && std::str::from_utf8(data).is_err() {
        return Err(Status::ERR_INVALID_ARGUMENT.because("the text is not valid UTF-8"));
    }
    writing::check_writable(transport, most(data.len()))?;
    keeping::message(socket);
    send(socket, transport, |sender| sender.message(kind, data, || key(transport)))
}

/// Sends a fragment of a message.
pub fn fragment(socket: Item<WebSocket>, kind: Kind, data: &[u8], is_last: bool) -> Result {
    let transport = open(socket)?;
    writing::check_writable(transport, most(data.len()))?;
    keeping::message(socket);
    send(socket, transport, |sender| sender.fragment(kind, data, is_last, || key(transport)))
}

/// Sends a ping.
pub fn ping(socket: Item<WebSocket>, data: &[u8]) -> Result {
    let transport = open(socket)?;
    if data.len() > LONGEST_CONTROL {
        let why = format_args!("len is {}, and a ping has at most {LONGEST_CONTROL} bytes", data.len());
        return Err(Status::ERR_INVALID_ARGUMENT.because(why));
    }
    writing::check_writable(transport, most(data.len()))?;
    send(socket, transport, |sender| sender.control(Opcode::Ping, data, || key(transport)))
}

/// Sends a close frame, which no limit of what waits holds up; it is the last.
pub(super) fn close(socket: Item<WebSocket>, body: &[u8]) -> Result {
    let transport = open(socket)?;
    let sent = control(socket, transport, Opcode::Close, body);
    socket.set(flag::CLOSE_SENT);
    sent
}

fn control(socket: Item<WebSocket>, transport: Item<Transport>, opcode: Opcode, body: &[u8]) -> Result {
    let Some(mut sender) = socket.sender.take() else { return Err(Status::ERR_CLOSED) };
    let frame = sender.control(opcode, body, || key(transport));
    let bytes = frame.map(|frame| [&*frame.head, &*frame.body].concat());
    socket.sender.set(Some(sender));
    writing::write_in_any_case(transport, &bytes?)
}

/// Answers a ping. A peer that sends them without reading the answers gets one, to the last, when there is room: all the
/// others take no memory.
pub(super) fn answer(socket: Item<WebSocket>, body: Control) {
    let Ok(transport) = open(socket) else { return };
    if writing::buffered(transport) < BUSY {
        let _ = control(socket, transport, Opcode::Pong, &body);
        socket.pong.set(None);
    } else {
        socket.pong.set(Some(Box::new(body)));
        keeping::answer_later(socket);
    }
}

/// There may be room for a pong now.
pub(super) extern "C-unwind" fn answer_now(word: Word) {
    let Ok(socket) = handles::get::<WebSocket>(word) else { return };
    socket.ponger.set(Word::NULL);
    if let Some(body) = socket.pong.take() {
        answer(socket, *body);
    }
}
