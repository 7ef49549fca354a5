//! A request on its way out: its head, and its body from wherever that is.

use super::agent::{self, Settings};
use super::connection::{Connection, basic};
use super::exchange::{self, Exchange, flag};
use crate::files::trouble::Trouble;
use crate::handles::{Item, Owned, TransportFn, Word};
use crate::platform;
use crate::protocol::http::Fields;
use crate::protocol::http::chunked::{self, AFTER, LAST};
use crate::protocol::http::fields::{is_token, write_field};
use crate::protocol::http::url::Url;
use crate::status::{Result, Status};
use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::rc::Rc;

/// What is written at once of a body that is there as a whole.
const PIECE: usize = 64 << 10;
/// Bodies up to this size go out with the head.
const SMALL: usize = 16 << 10;

/// The body of a request.
#[derive(Clone, Default)]
pub enum Content {
    /// There is none.
    #[default]
    None,
    /// These.
    Bytes(Rc<Vec<u8>>),
    /// What the file at this path has when it is sent.
    File(PathBuf),
    /// What somebody writes.
    Stream(Rc<Stream>),
}

/// Who writes a body. Each function gets the exchange and `data`.
pub struct Stream {
    /// The body is wanted.
    pub start: Option<TransportFn>,
    /// No more is wanted for now.
    pub pause: Option<TransportFn>,
    /// More is wanted again.
    pub resume: Option<TransportFn>,
    /// No more will be wanted.
    pub stop: Option<TransportFn>,
    /// Its bytes; None: nobody knows, it goes in chunks.
    pub length: Option<u64>,
    /// What the functions get.
    pub data: Owned,
}

/// What is asked for.
pub struct Request {
    /// Such as GET.
    pub method: String,
    /// Of what.
    pub url: Url,
    /// As the host has them.
    pub fields: Fields,
    /// And with this.
    pub content: Content,
    /// Where to connect, in place of what the URL says.
    pub endpoint: Option<String>,
    /// User and password.
    pub user: Option<(String, String)>,
    /// What all of it may take.
    pub total_time: Option<u64>,
    /// Redirects that are followed.
    pub redirects: u32,
    /// A compressed body is undone.
    pub decompress: bool,
    /// The server is asked before the body is sent.
    pub expect_continue: bool,
}

/// How far the body is.
#[derive(Default)]
pub struct Sending {
    file: Option<File>,
    at: u64,
    /// None: in chunks.
    length: Option<u64>,
    is_paused: bool,
}

/// Refuses a method that is none, or the one that asks for a tunnel.
pub fn check_method(method: &str) -> Result {
    if method == "CONNECT" || !is_token(method.as_bytes()) {
        let why = format_args!("\"{}\" is no method of a request", method.escape_debug());
        return Err(Status::ERR_INVALID_ARGUMENT.because(why));
    }
    Ok(())
}

impl Request {
    /// By this method, with nothing else said.
    pub fn new(method: &str, url: Url, settings: &Settings) -> Self {
        Self {
            method: method.to_owned(),
            fields: Fields::new(),
            content: Content::None,
            endpoint: None,
            user: url.user().map(|(user, password)| (user.to_owned(), password.to_owned())),
            total_time: settings.total_time,
            redirects: settings.redirects,
            decompress: settings.decompress,
            expect_continue: false,
            url,
        }
    }
}

impl Content {
    /// Whether it can be sent a second time.
    pub fn is_repeatable(&self) -> bool {
        !matches!(self, Content::Stream(_))
    }

    fn is_none(&self) -> bool {
        matches!(self, Content::None)
    }
}

/// Opens what has to be open, and says how long the body is.
fn prepare(content: &Content) -> Result<Sending> {
    let (mut file, mut length) = (None, Some(0));
    match content {
        Content::None => {}
        Content::Bytes(bytes) => length = Some(bytes.len() as u64),
        Content::Stream(stream) => length = stream.length,
        Content::File(path) => {
            let opened = platform::open_file(OpenOptions::new().read(true), 0, path);
            let opened = opened.and_then(|file| file.metadata().map(|metadata| (file, metadata)));
            let refused = |why| {
                let trouble = Trouble::at("opening", path, &why);
                trouble.status.because(trouble.message)
            };
            let (opened, metadata) = opened.map_err(refused)?;
            if !metadata.is_file() {
                let why = format_args!("{}: it is not a file with a length", path.display());
                return Err(Status::ERR_NOT_A_FILE.because(why));
            }
            (file, length) = (Some(opened), Some(metadata.len()));
        }
    }
    Ok(Sending { file, at: 0, length, is_paused: false })
}

/// Sends the head of a request, and as much of its body as there is room for.
pub(super) fn begin(exchange: Item<Exchange>, connection: &Rc<Connection>) -> Result {
    let Some(agent) = exchange.owner() else { return Err(Status::ERR_CLOSED) };
    let settings = agent.settings();
    let content = exchange.with_request(|request| request.content.clone()).unwrap_or_default();
    let sending = prepare(&content)?;
    let cookies = if settings.cookies { exchange.url().and_then(|url| agent::cookies(agent, &url)) } else { None };
    let head = exchange.with_request(|request| head_of(request, &settings, connection, &sending, cookies.as_deref()));
    let Some(mut head) = head.transpose()? else { return Err(Status::ERR_CLOSED) };
    let waits = exchange.with_request(|request| request.expect_continue && !request.content.is_none()) == Some(true);
    exchange.sending.replace(sending);
    match content {
        Content::None => {
            connection.write(&head);
            sent(exchange);
        }
        _ if waits => {
            connection.write(&head);
            exchange.set(flag::WAITS_TO_SEND);
            exchange::start_timer(exchange, settings.continue_time, not_told_to_continue);
        }
        Content::Bytes(bytes) if bytes.len() <= SMALL => {
            head.extend_from_slice(&bytes);
            connection.write(&head);
            sent(exchange);
        }
        _ => {
            connection.write(&head);
            send_body(exchange);
        }
    }
    Ok(())
}

fn head_of(
    request: &Request,
    settings: &Settings,
    connection: &Connection,
    sending: &Sending,
    cookies: Option<&[u8]>,
) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    head.try_reserve(512 + request.fields.size()).map_err(|_| Status::ERR_NO_MEMORY)?;
    let Request { method, url, fields, .. } = request;
    let target = if connection.place.forward.is_some() { url.text() } else { url.target() };
    head.extend_from_slice(format!("{method} {target} HTTP/1.1\r\n").as_bytes());
    let mut add = |name: &str, value: &[u8]| write_field(&mut head, name.as_bytes(), value);
    if !fields.has(b"host") {
        add("Host", url.authority().as_bytes());
    }
    if !fields.has(b"user-agent") && !settings.user_agent.is_empty() {
        add("User-Agent", settings.user_agent.as_bytes());
    }
    if !fields.has(b"accept") {
        add("Accept", b"*/*");
    }
    // A range of a compressed body could not be undone.
    if request.decompress && !fields.has(b"accept-encoding") && !fields.has(b"range") {
        add("Accept-Encoding", b"gzip, deflate");
    }
    if let Some((user, password)) = request.user.as_ref().filter(|_| !fields.has(b"authorization")) {
        add("Authorization", basic(user, password).as_bytes());
    }
    if let Some(Some(authorization)) = &connection.place.forward {
        add("Proxy-Authorization", authorization.as_bytes());
    }
    if let Some(cookies) = cookies.filter(|_| !fields.has(b"cookie")) {
        add("Cookie", cookies);
    }
    let expects_body = ["POST", "PUT", "PATCH"].contains(&&method[..]);
    match sending.length {
        Some(0) if request.content.is_none() && !expects_body => {}
        Some(length) => add("Content-Length", length.to_string().as_bytes()),
        None => add("Transfer-Encoding", b"chunked"),
    }
    if request.expect_continue && !request.content.is_none() {
        add("Expect", b"100-continue");
    }
    fields.write(&mut head)?;
    head.extend_from_slice(b"\r\n");
    Ok(head)
}

extern "C-unwind" fn not_told_to_continue(word: Word) {
    if let Some(exchange) = exchange::timer_fired(word) {
        may_send(exchange);
    }
}

/// The server wants the body, or has not said that it does not.
pub(super) fn may_send(exchange: Item<Exchange>) {
    if exchange.has(flag::WAITS_TO_SEND) {
        exchange.clear(flag::WAITS_TO_SEND);
        exchange::stop_timer(exchange);
        send_body(exchange);
    }
}

fn send_body(exchange: Item<Exchange>) {
    let content = exchange.with_request(|request| request.content.clone()).unwrap_or_default();
    match content {
        Content::Stream(_) => exchange::start_timer(exchange, 0, start_stream),
        _ => send_more(exchange, &content),
    }
}

/// Writes until there is no more room, or no more body.
fn send_more(exchange: Item<Exchange>, content: &Content) {
    while let Some(connection) = exchange.connection().filter(|connection| !connection.is_full.get()) {
        if exchange.has(flag::REFUSED) {
            return;
        }
        let done = {
            let mut sending = exchange.sending.borrow_mut();
            next_piece(content, &mut sending)
        };
        match done {
            Ok(piece) if piece.is_empty() => return sent(exchange),
            Ok(piece) => connection.write(&piece),
            Err((status, text)) => return exchange::fail_with(exchange, status, &text),
        }
        if connection.transport().is_none() || !exchange.is_alive() {
            return;
        }
    }
}

fn next_piece(content: &Content, sending: &mut Sending) -> std::result::Result<Vec<u8>, (Status, String)> {
    let left = sending.length.unwrap_or(0) - sending.at;
    let length = left.min(PIECE as u64) as usize;
    let mut piece = Vec::new();
    piece.try_reserve_exact(length).map_err(|_| (Status::ERR_NO_MEMORY, "no memory to send with".to_owned()))?;
    match (content, &sending.file) {
        (Content::Bytes(bytes), _) => piece.extend_from_slice(&bytes[sending.at as usize..][..length]),
        (Content::File(path), Some(file)) => {
            piece.resize(length, 0);
            let mut filled = 0;
            while filled < length {
                let read = platform::read_file_at(file, &mut piece[filled..], sending.at + filled as u64);
                match read {
                    Ok(0) => {
                        let why = format!("{} has become shorter while it was sent", path.display());
                        return Err((Status::ERR_TRUNCATED, why));
                    }
                    Ok(read) => filled += read,
                    Err(why) if why.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(why) => return Err((crate::net::error::status_of(&why), format!("{}: {why}", path.display()))),
                }
            }
        }
        _ => {}
    }
    sending.at += length as u64;
    Ok(piece)
}

/// All of the request is written.
fn sent(exchange: Item<Exchange>) {
    if exchange.has(flag::SENT) {
        return;
    }
    exchange.set(flag::SENT);
    exchange.sending.borrow_mut().file = None;
    let time = exchange.owner().and_then(|agent| agent.settings().response_time);
    if let Some(time) = time.filter(|_| !exchange.has(flag::ANSWERED)) {
        exchange::start_timer(exchange, time, no_response);
    }
}

extern "C-unwind" fn no_response(word: Word) {
    if let Some(exchange) = exchange::timer_fired(word) {
        let seconds = exchange.owner().and_then(|agent| agent.settings().response_time).unwrap_or(0) as f64 / 1e9;
        exchange::fail_with(exchange, Status::ERR_TIMED_OUT, &format!("no response within {seconds} s"));
    }
}

extern "C-unwind" fn start_stream(word: Word) {
    let Some(exchange) = exchange::timer_fired(word) else { return };
    exchange.set(flag::STREAMS);
    tell(exchange, |stream| stream.start);
}

/// Calls one of the functions of who writes the body.
fn tell(exchange: Item<Exchange>, which: impl FnOnce(&Stream) -> Option<TransportFn>) {
    let content = exchange.with_request(|request| request.content.clone());
    let Some(Content::Stream(stream)) = content else { return };
    tell_stream(exchange, &stream, which);
}

fn tell_stream(exchange: Item<Exchange>, stream: &Stream, which: impl FnOnce(&Stream) -> Option<TransportFn>) {
    if let Some(function) = which(stream) {
        let reactor = exchange.root();
        let _out = reactor.call_out();
        reactor.in_scope(exchange.scope.get(), || function(exchange.word(), stream.data.word()));
    }
}

/// Too much waits to be written.
pub(super) fn paused(exchange: Item<Exchange>) {
    if exchange.has(flag::STREAMS) {
        exchange.sending.borrow_mut().is_paused = true;
        tell(exchange, |stream| stream.pause);
    }
}

/// There is room again.
pub(super) fn resumed(exchange: Item<Exchange>) {
    if exchange.has(flag::STREAMS) {
        if std::mem::take(&mut exchange.sending.borrow_mut().is_paused) {
            tell(exchange, |stream| stream.resume);
        }
        return;
    }
    let content = exchange.with_request(|request| request.content.clone()).unwrap_or_default();
    let is_stream = matches!(content, Content::Stream(_));
    if !exchange.has(flag::SENT | flag::WAITS_TO_SEND) && !is_stream {
        send_more(exchange, &content);
    }
}

/// No more of the body is wanted: who writes it is told, once.
pub(super) fn stop(exchange: Item<Exchange>) {
    if exchange.has(flag::STREAMS) {
        exchange.clear(flag::STREAMS);
        tell(exchange, |stream| stream.stop);
    }
}

fn check_streams(exchange: Item<Exchange>) -> Result<Rc<Connection>> {
    let connection = exchange.connection().filter(|_| exchange.has(flag::STREAMS));
    connection.ok_or_else(|| Status::ERR_INVALID_STATE.because("the body of this request is not to be written now"))
}

/// Writes a piece of a body.
pub fn write(exchange: Item<Exchange>, data: &[u8]) -> Result {
    let connection = check_streams(exchange)?;
    let (at, length) = {
        let sending = exchange.sending.borrow();
        (sending.at, sending.length)
    };
    let more = at.saturating_add(data.len() as u64);
    if let Some(length) = length.filter(|length| more > *length) {
        let why = format_args!("{more} bytes are written of a body that was said to have {length}");
        return Err(Status::ERR_TOO_LONG.because(why));
    }
    if data.is_empty() {
        return Ok(());
    }
    exchange.sending.borrow_mut().at = more;
    match length {
        Some(_) => connection.write(data),
        None => connection.write_parts(&[chunked::Head::new(data.len()).as_bytes(), data, AFTER]),
    }
    Ok(())
}

/// The body is whole.
pub fn finish(exchange: Item<Exchange>) -> Result {
    let connection = check_streams(exchange)?;
    let (at, length) = {
        let sending = exchange.sending.borrow();
        (sending.at, sending.length)
    };
    match length {
        Some(length) if at < length => {
            let why = format_args!("{at} bytes were written of a body that was said to have {length}");
            return Err(Status::ERR_INVALID_STATE.because(why));
        }
        Some(_) => {}
        None => connection.write(LAST),
    }
    exchange.clear(flag::STREAMS);
    sent(exchange);
    Ok(())
}

/// Who writes the body has failed; the failure is held for that.
pub fn fail(exchange: Item<Exchange>, failure: Word) -> Result {
    if let Err(why) = check_streams(exchange) {
        let _ = crate::deferred::failure::release(failure);
        return Err(why);
    }
    exchange::fail_because(exchange, failure);
    Ok(())
}
