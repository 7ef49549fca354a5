//! From a request to its answer: who handles it, and what is answered where nobody does.

use super::request::{self, Request, flag, in_scope};
use super::{Handler, Shared, body, router};
use crate::handles::Item;
use crate::reactor::hooks;
use crate::status::Status;
use std::rc::Rc;

/// What a code says (RFC 9110, section 15).
pub fn reason_of(code: u16) -> &'static str {
    match code {
        100 => "Continue",
        101 => "Switching Protocols",
        102 => "Processing",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "",
    }
}

/// The content type of `plain_text`.
pub const PLAIN: &[u8] = b"text/plain; charset=utf-8";

/// What is said of a code where nobody else says more.
pub fn plain_text(code: u16) -> String {
    format!("{code} {}\n", reason_of(code))
}

/// Answers with nothing but a code and its name.
pub(super) fn plain(request: Item<Request>, code: u16) {
    // A request that cannot be answered is lost, and that is told.
    let _ = request::respond(request, code, Some(PLAIN), plain_text(code).as_bytes());
}

/// Has the request handled by whoever does.
pub(super) fn dispatch(request: Item<Request>, shared: &Rc<Shared>) {
    let handler = shared.handler.borrow().clone();
    match handler {
        Some(handler) => call(request, &handler),
        None => plain(request, 404),
    }
}

/// Has a handler called.
pub(super) fn call(request: Item<Request>, handler: &Handler) {
    match handler {
        Handler::Function(function) => {
            let returned = in_scope(request, || (function.call)(request.word(), function.data.word()));
            if request.is_alive() {
                request::wait(request, returned);
            } else {
                request::let_go(returned);
            }
        }
        Handler::Event(tag) => {
            request.with(|message| message.tag = *tag);
            body::collect(request);
        }
        Handler::Routes(routes) => router::route(request, routes),
    }
}

/// The whole body is there: the event comes.
pub(super) fn queue_event(request: Item<Request>) {
    if let Some(tag) = request.with(|message| message.tag) {
        body::event(request, tag);
    }
}

/// What the handler has returned has failed.
pub(super) fn failed(request: Item<Request>, code: i32, words: Option<&str>) {
    if request.has(flag::FINISHED | flag::LOST | flag::TOLD) {
        return;
    }
    request.clear(flag::PROMISED);
    let answer = u16::try_from(code).ok().filter(|code| (400..600).contains(code));
    if answer.is_none() {
        let words = words.map_or_else(|| Status(code).text().to_string_lossy().into_owned(), str::to_owned);
        let what = request.with(|message| {
            let (method, path) = (message.method().escape_ascii(), message.path().escape_ascii());
            format!("{method} {path}: the handler failed: {words}")
        });
        hooks::log(request.root(), hooks::ERROR, what.unwrap_or_default());
    }
    if request.has(flag::HEAD_SENT) {
        let why = Status::ERR_CANCELLED.because("the handler failed after the head of its response was sent");
        let _ = request::abort(request, why);
    } else {
        plain(request, answer.unwrap_or(500));
    }
}
