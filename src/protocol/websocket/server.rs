//! Taking a request of the HTTP server over as a WebSocket.

use super::Role;
use super::connection::{self, Protocol, Settings, WebSocket};
use super::handshake::{self, Refusal};
use crate::handles::{Item, Owned};
use crate::net::reading;
use crate::protocol::http::server::request::{self, Request};
use crate::status::{Result, Status};
use std::rc::Rc;

/// Answers a request with 101, and makes a WebSocket of its connection; or answers why not.
pub fn accept(request: Item<Request>, settings: Rc<Settings>, protocol: Rc<dyn Protocol>) -> Result<Item<WebSocket>> {
    request.check_before_head()?;
    let asked = request.message(|message| {
        let method = String::from_utf8_lossy(message.method()).into_owned();
        handshake::accept((&method, message.minor == 1), &message.fields, &settings.terms)
    })?;
    let (opened, fields) = match asked {
        Ok(agreed) => agreed,
        Err(refusal) => return refuse(request, &refusal),
    };
    for (name, value) in fields {
        request::set_field(request, name.as_bytes(), value.as_bytes(), false)?;
    }
    let transport = request::upgrade(request, 101, Rc::default(), Owned::default())?;
    let left = reading::take_pulled(transport)?;
    connection::open(transport, Role::Server, settings, opened, protocol, &left).inspect_err(|why| {
        transport.lost_to(*why, "no memory for a WebSocket");
    })
}

/// The client is told what is wrong, as HTTP has it.
fn refuse(request: Item<Request>, Refusal { status, why }: &Refusal) -> Result<Item<WebSocket>> {
    if *status == 426 {
        request::set_field(request, b"Upgrade", b"websocket", false)?;
        request::set_field(request, b"Sec-WebSocket-Version", b"13", false)?;
    }
    if *status == 405 {
        request::set_field(request, b"Allow", b"GET", false)?;
    }
    request::respond(request, *status, Some(b"text/plain; charset=utf-8"), format!("{why}\n").as_bytes())?;
    Err(Status::ERR_WEBSOCKET_HANDSHAKE.because(format_args!("answered with {status}: {why}")))
}
