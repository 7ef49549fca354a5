//! HTTP agents: clients of HTTP.

use super::convert;
use super::guard;
use super::http_agent_options::{self, lariat_http_agent_options};
use super::http_request_options::{self as request_options, lariat_http_request_options};
use super::status::lariat_status;
use super::types::*;
use crate::deferred::DeferredItem;
use crate::handles::Item;
use crate::protocol::http::client::agent::{self, Agent};
use crate::protocol::http::client::exchange;
use crate::protocol::http::client::sending::{Content, Request};
use crate::status::{Result, Status};
use std::ffi::c_char;

/// Makes an HTTP client, which keeps its connections to use them again.
///
/// options  copied; may be NULL: the defaults.
/// returns  the agent, to be freed by lariat_http_agent_free or with its scope or reactor; NULL on failure.
/// errors   LARIAT_ERR_INVALID_ARGUMENT also for a proxy that is none.
/// thread   the reactor's.
/// Twisted  twisted.web.client.Agent with HTTPConnectionPool, RedirectAgent, ContentDecoderAgent, CookieAgent and ProxyAgent.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_agent_new(
    reactor: *mut lariat_reactor,
    options: *const lariat_http_agent_options,
) -> *mut lariat_http_agent {
    guard::on(reactor, |reactor| agent::open(reactor, http_agent_options::read(options)?))
}

/// Ends an agent: its requests, and the bodies that are still coming, fail with LARIAT_ERR_CLOSED, from inside this call, and its
/// connections are closed. Responses that are whole live on. Its handle is stale from here on.
///
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_agent_free(agent: *mut lariat_http_agent) -> lariat_status {
    guard::on(agent, |agent| {
        agent::free(agent);
        Ok(())
    })
}

/// Asks for what a URL names.
///
/// A connection is one that is kept, or a new one; at max_connections the request waits for its turn. Redirects are followed: by GET after
/// 303, and after 301 and 302 if it was a POST, else by the same method; Authorization, Cookie and Host are not told to
/// another scheme, host or port. A request that may be repeated is tried once more when a connection that was used before ends
/// before the first byte of an answer.
///
/// options  copied. Of the producer's data: owned by the library from here on if there is a free_producer_data.
/// returns  a Deferred that fires with a lariat_http_response when its head has come, whatever its code; its value is freed with
///          it unless it is taken. Cancelling it gives up. NULL on failure.
/// errors   LARIAT_ERR_LIMIT at max_waiting. The Deferred fails as that of lariat_reactor_connect, or with LARIAT_ERR_CONNECTION_LOST,
///          LARIAT_ERR_TRUNCATED, LARIAT_ERR_TIMED_OUT, LARIAT_ERR_BAD_MESSAGE when what came is no response, LARIAT_ERR_LIMIT when a limit
///          is reached, LARIAT_ERR_REDIRECT, or LARIAT_ERR_CLOSED when the agent is freed; the message names method and URL.
/// thread   the reactor's. Nothing is called from inside this call.
/// Twisted  Agent.request.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_agent_request(
    agent: *mut lariat_http_agent,
    options: *const lariat_http_request_options,
) -> *mut lariat_deferred {
    let owned = request_options::owned(options);
    guard::on(agent, move |agent| {
        let (given, data) = owned?;
        let settings = agent.settings();
        exchange::begin(agent, request_options::request(&given, data, &settings)?)
    })
}

/// The same as lariat_http_agent_request by GET, with nothing but a URL.
///
/// url     such as "https://example.org/".
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_agent_get(agent: *mut lariat_http_agent, url: *const c_char) -> *mut lariat_deferred {
    guard::on(agent, |agent| simple(agent, "GET", url, None))
}

/// The same as lariat_http_agent_get by HEAD: the response has no body.
///
/// url     such as "https://example.org/".
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_agent_head(agent: *mut lariat_http_agent, url: *const c_char) -> *mut lariat_deferred {
    guard::on(agent, |agent| simple(agent, "HEAD", url, None))
}

/// The same as lariat_http_agent_get by POST, with a body.
///
/// url           such as "https://example.org/".
/// content_type  such as "application/json". May be NULL: it is not said.
/// data          the body, copied; may be NULL if len is 0.
/// len           bytes.
/// thread        the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_agent_post(
    agent: *mut lariat_http_agent,
    url: *const c_char,
    content_type: *const c_char,
    data: *const u8,
    len: usize,
) -> *mut lariat_deferred {
    guard::on(agent, |agent| {
        let content = request_options::copied(convert::bytes("data", data, len)?)?;
        simple(agent, "POST", url, Some((convert::text("content_type", content_type)?, content)))
    })
}

fn simple(
    agent: Item<Agent>,
    method: &str,
    url: *const c_char,
    body: Option<(Option<&str>, Content)>,
) -> Result<DeferredItem> {
    let mut request = Request::new(method, request_options::url("url", url)?, &agent.settings());
    if let Some((content_type, content)) = body {
        content_type.map(|content_type| request.fields.add(b"Content-Type", content_type.as_bytes())).transpose()?;
        request.content = content;
    }
    exchange::begin(agent, request)
}

/// Closes the connections of an agent that nobody uses.
///
/// thread   the reactor's.
/// Twisted  HTTPConnectionPool.closeCachedConnections.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_agent_close_idle(agent: *mut lariat_http_agent) -> lariat_status {
    guard::on(agent, |agent| {
        agent::close_idle(agent);
        Ok(())
    })
}

/// Tells how many connections an agent has: used, kept, being made and being closed.
///
/// returns  0 or more; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_agent_connections(agent: *const lariat_http_agent) -> i64 {
    guard::on(agent, |agent| Ok(agent.connections() as i64))
}

/// Tells how many connections an agent keeps that nobody uses.
///
/// returns  0 or more; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_agent_idle(agent: *const lariat_http_agent) -> i64 {
    guard::on(agent, |agent| Ok(agent.idle() as i64))
}

/// Tells how many requests of an agent wait for a connection.
///
/// returns  0 or more; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_agent_waiting(agent: *const lariat_http_agent) -> i64 {
    guard::on(agent, |agent| Ok(agent.waiting() as i64))
}

/// Keeps a cookie as if a response had set it, whether the agent keeps others or not; it is sent with LARIAT_HTTP_AGENT_COOKIES alone.
///
/// url     where the response would have come from.
/// cookie  the value of a Set-Cookie, such as "name=value; Path=/; Max-Age=3600".
/// errors  LARIAT_ERR_INVALID_ARGUMENT also for a cookie that this URL may not set.
/// thread  the reactor's. is_public_suffix of the options may be called from inside this call.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_agent_set_cookie(
    agent: *mut lariat_http_agent,
    url: *const c_char,
    cookie: *const c_char,
) -> lariat_status {
    guard::on(agent, |agent| {
        let url = request_options::url("url", url)?;
        if agent::set_cookie(agent, &url, convert::bytes_text("cookie", cookie)?) {
            return Ok(());
        }
        Err(Status::ERR_INVALID_ARGUMENT.because(format_args!("cookie is none that {} may set", url.text())))
    })
}

/// Forgets the cookies of an agent.
///
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_agent_clear_cookies(agent: *mut lariat_http_agent) -> lariat_status {
    guard::on(agent, |agent| {
        agent::clear_cookies(agent);
        Ok(())
    })
}

/// Tells which cookies a request to a URL would have.
///
/// url       such as "https://example.org/".
/// text      written: "name=value; other=value", NUL-ended; may be NULL if capacity is 0.
/// capacity  bytes of text.
/// len       written: bytes that are needed, without the NUL; 0: there are none. May be NULL.
/// errors    LARIAT_ERR_TOO_LONG when they do not fit.
/// thread    the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_agent_cookies(
    agent: *mut lariat_http_agent,
    url: *const c_char,
    text: *mut c_char,
    capacity: usize,
    len: *mut usize,
) -> lariat_status {
    guard::on(agent, |agent| {
        let cookies = agent::cookies(agent, &request_options::url("url", url)?).unwrap_or_default();
        convert::write_text("text", (text, capacity), len, &cookies)
    })
}
