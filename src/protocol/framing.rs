//! Framing of a connection: a filter that hands its protocol whole frames.

use super::Format;
use super::cutter::{Cutter, Sink};
use crate::handles::{self, Item};
use crate::net::protocol::Filter;
use crate::net::transport::Transport;
use crate::net::{reading, writing};
use crate::status::{Result, Status};
use std::any::Any;
use std::rc::Rc;

/// Stays with a connection once there was a format: without one, it hands on what comes as it is.
#[derive(Default)]
struct Framing {
    cutter: Cutter,
}

/// A connection's protocol.
struct Protocol(Item<Transport>);

impl Sink for Protocol {
    fn wants(&self) -> bool {
        reading::is_wanted(self.0)
    }

    fn frame(&self, body: &[u8]) {
        self.0.deliver(body);
    }

    fn raw(&self, data: &[u8]) {
        reading::hand_on(self.0, data);
    }
}

impl Filter for Framing {
    fn received(&self, transport: Item<Transport>, data: &[u8]) -> Result {
        self.cutter.feed(&Protocol(transport), data)
    }

    fn ended(&self, _: Item<Transport>) -> Result {
        self.cutter.finish()
    }

    fn put_back(&self, transport: Item<Transport>, data: &[u8]) -> Result {
        unread(transport, data)
    }

    fn take_rest(&self) -> Vec<u8> {
        self.cutter.take_rest()
    }

    fn as_any(self: Rc<Self>) -> Rc<dyn Any> {
        self
    }
}

/// A connection's framing, if it has one.
fn of(transport: Item<Transport>) -> Option<Rc<Framing>> {
    reading::filter(transport).and_then(|filter| filter.as_any().downcast().ok())
}

/// The same, put there if there is none.
fn made(transport: Item<Transport>) -> Result<Rc<Framing>> {
    if let Some(framing) = of(transport) {
        return Ok(framing);
    }
    if reading::filter(transport).is_some() {
        return Err(Status::ERR_INVALID_STATE.because("the connection has a protocol of the library's own"));
    }
    handles::check_memory(size_of::<Framing>())?;
    let framing = Rc::new(Framing::default());
    reading::set_filter(transport, Some(Rc::<Framing>::clone(&framing)))?;
    Ok(framing)
}

/// What comes from here on, and what has come and was not handed over or consumed, is cut into frames.
pub fn set(transport: Item<Transport>, format: Format) -> Result {
    transport.check_open()?;
    handles::check_memory(size_of::<Format>())?;
    let framing = made(transport)?;
    framing.cutter.give_back(&reading::take_pulled(transport)?)?;
    framing.cutter.set_format(Some(Rc::new(format)));
    go_on(transport, &framing);
    Ok(())
}

/// The same is handed over as it comes.
pub fn set_raw(transport: Item<Transport>) -> Result {
    transport.check_open()?;
    if let Some(framing) = of(transport) {
        framing.cutter.set_format(None);
        go_on(transport, &framing);
    }
    Ok(())
}

/// Puts bytes before all that was not handed over yet.
pub fn unread(transport: Item<Transport>, data: &[u8]) -> Result {
    transport.check_open()?;
    if reading::pulls(transport) {
        let why = "the protocol has set pull: what it does not consume comes again";
        return Err(Status::ERR_INVALID_STATE.because(why));
    }
    let framing = made(transport)?;
    framing.cutter.give_back(data)?;
    if reading::is_reading(transport) && framing.cutter.format().is_none() {
        framing.cutter.wait_for_more();
    }
    go_on(transport, &framing);
    Ok(())
}

/// What waits is handed over on the next turn; if this is a callback of the connection, when it returns.
fn go_on(transport: Item<Transport>, framing: &Framing) {
    if framing.cutter.has_more() {
        reading::resume_if_possible(transport);
    }
}

/// Writes data as one frame.
pub fn write(transport: Item<Transport>, data: &[u8]) -> Result {
    transport.check_open()?;
    let Some(format) = of(transport).and_then(|framing| framing.cutter.format()) else {
        return Err(Status::ERR_INVALID_STATE.because("the connection has no framing"));
    };
    let around = format.around(data)?;
    let length = around.head().len() + data.len() + around.tail.len();
    writing::write_parts(transport, length, [around.head(), data, around.tail].into_iter())
}
