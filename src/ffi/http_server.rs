//! HTTP servers.

use super::convert::{self, invalid};
use super::guard;
use super::status::lariat_status;
use super::structs::{self, Versioned, fields};
use super::types::*;
use crate::handles::{Item, Owned, Word};
use crate::protocol::http::http2::Allowance;
use crate::protocol::http::server::head::{MOST_FIELDS, Most};
use crate::protocol::http::server::http2::Options as Http2;
use crate::protocol::http::server::message::Message;
use crate::protocol::http::server::{self, Function, Handler, Limits, Server, access};
use crate::status::{Result, Status};
use std::ffi::{c_char, c_void};
use std::rc::Rc;

/// How much an HTTP server takes, and how long it waits: to be filled by lariat_http_server_options_init and changed.
/// Seconds are 0 or more, or INFINITY: for ever.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_http_server_options {
    /// Set by lariat_http_server_options_init.
    pub struct_size: u32,
    /// Bytes of a request's first line, at most: more is answered with 414. Default 8192.
    pub max_request_line: u32,
    /// Bytes of a request's headers, at most: more is answered with 431. Default 32768.
    pub max_header_bytes: u32,
    /// Headers of a request, at most, up to 256: more is answered with 431. Default 100.
    pub max_headers: u32,
    /// Bytes of a request's body, at most, unless lariat_http_request_set_max_body says otherwise for one: more is
    /// answered with 413. Default 1048576.
    pub max_body: u64,
    /// Bytes that wait while the request before them is being answered, or while nobody takes the body in: with more,
    /// nothing is read. Default 65536.
    pub max_pipelined_bytes: u32,
    /// Requests of a connection, at most: it is closed after so many; 0: no limit (default).
    pub max_requests_per_connection: u32,
    /// Connections at most, of each endpoint: who comes then waits in the backlog; 0: no limit (default).
    pub max_connections: u32,
    /// Connections from one IP address at most, of each endpoint: one more is closed at once; 0: no limit (default).
    pub max_connections_per_peer: u32,
    /// Bytes a second that a client has to send of a body at least, on average and after body_seconds; 0: any.
    /// Default 500.
    pub min_body_rate: u32,
    /// 1: responses have a header Date (default).
    pub send_date: i32,
    /// 1: a client that sends no more is still answered; 0: a request that is not answered then is lost, for most such
    /// clients are gone (default).
    pub answer_half_closed: i32,
    /// Zero.
    pub reserved: u32,
    /// How long a head may take, from its first byte on, and from when a client has connected: answered with 408.
    /// Default 60.
    pub head_seconds: f64,
    /// How long a connection may wait for its next request: then it is closed. Default 75.
    pub idle_seconds: f64,
    /// How long nothing may come of a body that is wanted: answered with 408. Default 60.
    pub body_seconds: f64,
    /// How long a request may take in all, from its head to the end of its response: answered with 503, or cut off.
    /// Default INFINITY.
    pub request_seconds: f64,
    /// How long a client may read nothing of what waits for it: then it is cut off. Default 60.
    pub write_seconds: f64,
    /// How long a client that was refused has to read the answer, before the connection is closed. Default 5.
    pub linger_seconds: f64,
    /// What the header Server says; copied; NULL: "lariat" (default); empty: it is not sent.
    pub server_name: *const c_char,
    /// 1: HTTP/2 is offered to who comes by TLS, by ALPN (default).
    pub http2: i32,
    /// 1: a client that knows of it may speak HTTP/2 on a plain endpoint as well (RFC 9113, 3.3). Default 0.
    pub http2_on_plain: i32,
    /// Requests of one connection of HTTP/2 at once, at most: one more is refused. Default 128.
    pub http2_max_streams: u32,
    /// Bytes of a body that may come on one stream before they are taken. Default 65536.
    pub http2_stream_window: u32,
    /// The same for all streams of a connection together, 65535 at least; 0: as much as all may have, so that none that is
    /// paused holds up another (default).
    pub http2_connection_window: u32,
    /// Bytes of a frame that comes, from 16384 to 16777215. Default 16384.
    pub http2_max_frame: u32,
    /// Frames that carry neither headers nor data, at once: a client that sends more of them, for which it has no cause, is
    /// told to calm down, and closed. Default 1000.
    pub http2_control_frames: u32,
    /// So many more a second. Default 100.
    pub http2_control_frames_per_second: u32,
    /// Requests that a client gives up by resetting them, at once; with more, it is told to calm down, and closed.
    /// Default 1000.
    pub http2_resets: u32,
    /// So many more a second. Default 33.
    pub http2_resets_per_second: u32,
}

// SAFETY: repr(C), begins with struct_size, and holds numbers and a pointer.
unsafe impl Versioned for lariat_http_server_options {
    const FIELDS: &'static [usize] = fields!(lariat_http_server_options:
        struct_size max_request_line max_header_bytes max_headers max_body max_pipelined_bytes
        max_requests_per_connection max_connections max_connections_per_peer min_body_rate send_date
        answer_half_closed reserved head_seconds idle_seconds body_seconds request_seconds write_seconds
        linger_seconds server_name http2 http2_on_plain http2_max_streams http2_stream_window http2_connection_window
        http2_max_frame http2_control_frames http2_control_frames_per_second http2_resets http2_resets_per_second);

    fn initial(struct_size: u32) -> Self {
        let limits = Limits::default();
        let seconds = |time: Option<u64>| time.map_or(f64::INFINITY, convert::seconds);
        Self {
            struct_size,
            max_request_line: limits.head.line as u32,
            max_header_bytes: limits.head.bytes as u32,
            max_headers: limits.head.fields as u32,
            max_body: limits.body,
            max_pipelined_bytes: limits.pipelined,
            max_requests_per_connection: limits.requests,
            max_connections: limits.connections,
            max_connections_per_peer: limits.connections_per_peer,
            min_body_rate: limits.body_rate,
            send_date: i32::from(limits.date),
            answer_half_closed: i32::from(limits.half_closed),
            reserved: 0,
            head_seconds: seconds(limits.head_time),
            idle_seconds: seconds(limits.idle_time),
            body_seconds: seconds(limits.body_time),
            request_seconds: seconds(limits.request_time),
            write_seconds: seconds(limits.write_time),
            linger_seconds: seconds(limits.linger_time),
            server_name: std::ptr::null(),
            http2: i32::from(limits.http2.on_tls),
            http2_on_plain: i32::from(limits.http2.on_plain),
            http2_max_streams: limits.http2.streams,
            http2_stream_window: limits.http2.stream_window,
            http2_connection_window: limits.http2.connection_window,
            http2_max_frame: limits.http2.frame,
            http2_control_frames: limits.http2.control.burst,
            http2_control_frames_per_second: limits.http2.control.per_second,
            http2_resets: limits.http2.resets.burst,
            http2_resets_per_second: limits.http2.resets.per_second,
        }
    }
}

/// Fills the options of an HTTP server with the defaults.
///
/// options      written.
/// struct_size  sizeof(lariat_http_server_options).
/// thread       any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_server_options_init(
    options: *mut lariat_http_server_options,
    struct_size: u32,
) -> lariat_status {
    guard::alone(|| structs::init("options", options, struct_size))
}

/// The name that a server has unless it is told another.
const NAME: &str = "lariat";

fn limits(options: *const lariat_http_server_options) -> Result<(Limits, String)> {
    if options.is_null() {
        return Ok((Limits::default(), NAME.to_owned()));
    }
    let read = structs::read("options", options)?;
    structs::check_tail("options", options)?;
    if read.max_headers as usize > MOST_FIELDS {
        return Err(invalid(format_args!("options.max_headers is {}, of at most {MOST_FIELDS}", read.max_headers)));
    }
    if read.reserved != 0 {
        return Err(invalid("options.reserved is not 0"));
    }
    let name = convert::text("options.server_name", read.server_name)?.unwrap_or(NAME);
    if !crate::protocol::http::fields::is_value(name.as_bytes()) {
        return Err(invalid("options.server_name has a control character"));
    }
    let limits = Limits {
        head: Most {
            line: read.max_request_line as usize,
            bytes: read.max_header_bytes as usize,
            fields: read.max_headers as usize,
        },
        body: read.max_body,
        pipelined: read.max_pipelined_bytes,
        requests: read.max_requests_per_connection,
        connections: read.max_connections,
        connections_per_peer: read.max_connections_per_peer,
        body_rate: read.min_body_rate,
        head_time: convert::wait("options.head_seconds", read.head_seconds)?,
        idle_time: convert::wait("options.idle_seconds", read.idle_seconds)?,
        body_time: convert::wait("options.body_seconds", read.body_seconds)?,
        request_time: convert::wait("options.request_seconds", read.request_seconds)?,
        write_time: convert::wait("options.write_seconds", read.write_seconds)?,
        linger_time: convert::wait("options.linger_seconds", read.linger_seconds)?,
        date: convert::switch("options.send_date", read.send_date)?,
        half_closed: convert::switch("options.answer_half_closed", read.answer_half_closed)?,
        http2: http2(&read)?,
    };
    Ok((limits, name.to_owned()))
}

fn http2(read: &lariat_http_server_options) -> Result<Http2> {
    const MOST: u32 = (1 << 31) - 1;
    let within = |name: &str, value: u32, least: u32, most: u32| match value {
        value if value < least || value > most => {
            Err(invalid(format_args!("options.{name} is {value}; it must be from {least} to {most}")))
        }
        value => Ok(value),
    };
    let allowance = |name: &str, burst: u32, per_second: u32| {
        within(name, burst, 1, u32::MAX).map(|burst| Allowance { burst, per_second })
    };
    let connection_window = match read.http2_connection_window {
        0 => 0,
        window => within("http2_connection_window", window, 65_535, MOST)?,
    };
    Ok(Http2 {
        on_tls: convert::switch("options.http2", read.http2)?,
        on_plain: convert::switch("options.http2_on_plain", read.http2_on_plain)?,
        streams: within("http2_max_streams", read.http2_max_streams, 1, MOST)?,
        stream_window: within("http2_stream_window", read.http2_stream_window, 1, MOST)?,
        connection_window,
        frame: within("http2_max_frame", read.http2_max_frame, 1 << 14, (1 << 24) - 1)?,
        control: allowance("http2_control_frames", read.http2_control_frames, read.http2_control_frames_per_second)?,
        resets: allowance("http2_resets", read.http2_resets, read.http2_resets_per_second)?,
    })
}

/// Makes a server of HTTP/1.1 and HTTP/2. It answers 404 until it has a handler, and listens nowhere yet.
///
/// options  copied; may be NULL: the defaults.
/// returns  the server, to be freed by lariat_http_server_free or with its scope or reactor; NULL on failure.
/// thread   the reactor's.
/// Twisted  twisted.web.server.Site.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_server_new(
    reactor: *mut lariat_reactor,
    options: *const lariat_http_server_options,
) -> *mut lariat_http_server {
    guard::on(reactor, |reactor| -> Result<Item<Server>> {
        let (limits, name) = limits(options)?;
        server::new(reactor, limits, name.as_bytes())
    })
}

/// Sets the function that handles the requests of a server, in place of what did.
///
/// handler    called for each request.
/// user_data  may be NULL; passed through.
/// thread     the reactor's. Callbacks come from turns of the loop.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_server_set_handler(
    server: *mut lariat_http_server,
    handler: lariat_http_handler_fn,
    user_data: *mut c_void,
) -> lariat_status {
    set_handler(server, handler, convert::borrowed(user_data))
}

/// The same as lariat_http_server_set_handler, with user_data owned by the library from here on:
/// free_user_data(user_data) is called exactly once, when the server is freed or has another handler, and no call of
/// this one is running; or when this fails.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_server_set_handler_full(
    server: *mut lariat_http_server,
    handler: lariat_http_handler_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> lariat_status {
    set_handler(server, handler, convert::owned(user_data, free_user_data))
}

fn set_handler(server: *mut lariat_http_server, handler: lariat_http_handler_fn, data: Owned) -> lariat_status {
    guard::on(server, move |server| {
        let call = convert::required("handler", convert::http_handler_fn(handler))?;
        server.set_handler(Handler::Function(Rc::new(Function { call, data })))
    })
}

/// Has a server queue LARIAT_EVENT_HTTP_REQUEST for each request, once all of its body has come, instead of calling a
/// handler. The host answers it by lariat_http_request_respond and the like.
///
/// tag     any number; comes back in the events.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_server_set_event(server: *mut lariat_http_server, tag: u64) -> lariat_status {
    guard::on(server, |server| server.set_handler(Handler::Event(tag)))
}

/// Has a router say who handles the requests of a server, in place of what did.
///
/// router  of the same reactor; stays the host's. Once it is freed, the server answers 404.
/// errors  LARIAT_ERR_WRONG_REACTOR.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_server_set_router(
    server: *mut lariat_http_server,
    router: *mut lariat_http_router,
) -> lariat_status {
    guard::on(server, |server| {
        let router = crate::handles::get::<server::router::Router>(Word::new(router))?;
        if router.root() != server.root() {
            return Err(Status::ERR_WRONG_REACTOR);
        }
        server.set_handler(Handler::Routes(router.routes()?))
    })
}

/// Listens at an endpoint; a server may do so at several.
///
/// endpoint  as for lariat_reactor_listen; besides, "http://127.0.0.1:8080", which is the same as tcp:// and has port 80
///           unless it says another.
/// returns   a handle that is good until the server is stopped: for the port, and for the limits of connections; NULL on
///           failure.
/// errors    as of lariat_reactor_listen; LARIAT_ERR_CLOSED when the server was stopped.
/// thread    the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_server_listen(
    server: *mut lariat_http_server,
    endpoint: *const c_char,
) -> *mut lariat_listener {
    guard::on(server, |server| server::listen(server, convert::bytes_text("endpoint", endpoint)?))
}

/// Listens at an endpoint as lariat_http_server_listen does, by TLS.
///
/// endpoint       as for lariat_http_server_listen; it says nothing of TLS itself.
/// configuration  a server's; may be freed afterwards. Where it says nothing of ALPN, "h2" and "http/1.1" are offered, or
///                "http/1.1" alone where the server's options have no HTTP/2.
/// returns        as lariat_http_server_listen does; NULL on failure.
/// errors         as of lariat_http_server_listen and lariat_reactor_listen_tls.
/// thread         the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_server_listen_tls(
    server: *mut lariat_http_server,
    endpoint: *const c_char,
    configuration: *const lariat_tls_configuration,
) -> *mut lariat_listener {
    guard::on(server, |server| {
        let tls = super::tls_configuration::configuration(configuration)?.server()?;
        server::listen_tls(server, convert::bytes_text("endpoint", endpoint)?, tls)
    })
}

/// What an access log says of a request that is over, or of what was refused because it was none: 400, 408, 414, 431 and
/// their like. A combined log has all of it; the request can be asked for more.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_http_access {
    /// How large this struct is: fields past it are not there.
    pub struct_size: u32,
    /// The response's code; 0: none was sent.
    pub code: i32,
    /// The request: good until the function returns; NULL where what came was refused and is none.
    pub request: *mut lariat_http_request,
    /// NULL: the response was finished; else why it was not, or what was refused.
    pub failure: *const lariat_failure,
    /// Who asked, as "203.0.113.7:4711"; empty where nobody knows.
    pub peer: *const c_char,
    /// Such as "GET"; "" of what was refused.
    pub method: *const c_char,
    /// As it was sent; "" of what was refused.
    pub target: *const c_char,
    /// 10, 11 or 20; 0 of what was refused.
    pub version: i32,
    /// Zero.
    pub reserved: u32,
    /// The header Referer; may be NULL.
    pub referer: *const c_char,
    /// The header User-Agent; may be NULL.
    pub user_agent: *const c_char,
    /// Bytes of the response's body.
    pub bytes_sent: u64,
    /// Bytes of the request's body.
    pub bytes_received: u64,
    /// From the request's head to the end of its response.
    pub seconds: f64,
}

/// Sets the function that is told of each request that is over, and of each that was refused.
///
/// fn         may be NULL: nobody is told any more.
/// user_data  may be NULL; passed through.
/// thread     the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_server_set_access_log(
    server: *mut lariat_http_server,
    r#fn: lariat_http_access_fn,
    user_data: *mut c_void,
) -> lariat_status {
    set_access_log(server, r#fn, convert::borrowed(user_data))
}

/// The same as lariat_http_server_set_access_log, with user_data owned by the library from here on:
/// free_user_data(user_data) is called exactly once, when the server is freed or somebody else is told, or when this
/// fails.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_server_set_access_log_full(
    server: *mut lariat_http_server,
    r#fn: lariat_http_access_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> lariat_status {
    set_access_log(server, r#fn, convert::owned(user_data, free_user_data))
}

fn set_access_log(server: *mut lariat_http_server, function: lariat_http_access_fn, data: Owned) -> lariat_status {
    guard::on(server, move |server| {
        let log = convert::http_access_fn(function).map(|function| access::Log {
            call: Box::new(move |entry, user_data| {
                lariat_http_access::with(entry, |access| function(Word::new(access), user_data));
            }),
            data,
        });
        server.set_access_log(log)
    })
}

impl lariat_http_access {
    fn with(entry: &access::Entry, call: impl FnOnce(&Self)) {
        let peer = crate::status::text_for_c(entry.peer_text());
        let text = |word: Option<Word>| word.unwrap_or_default().pointer::<c_char>().cast_const();
        let place = |bytes: &[u8]| Word::new(bytes.as_ptr());
        let with = |part: &dyn Fn(&Message) -> Option<Word>| entry.request?.with(|message| part(message))?;
        let header = |name: &[u8]| text(with(&|message| message.fields.get(name).map(place)));
        let line = |part: &dyn Fn(&Message) -> Word| text(with(&|message| Some(part(message))).or(Some(place(b"\0"))));
        call(&Self {
            struct_size: size_of::<Self>() as u32,
            code: i32::from(entry.code),
            request: entry.request.map_or(Word::NULL, Item::word).pointer(),
            failure: entry.lost.pointer::<lariat_failure>(),
            peer: peer.as_ptr(),
            method: line(&|message| place(message.method())),
            target: line(&|message| place(message.target())),
            version: entry.request.map_or(0, Item::version),
            reserved: 0,
            referer: header(b"referer"),
            user_agent: header(b"user-agent"),
            bytes_sent: entry.sent,
            bytes_received: entry.received,
            seconds: convert::seconds(entry.took),
        });
    }
}

/// Tells how many connections a server has.
///
/// returns  0 or more; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_server_connections(server: *mut lariat_http_server) -> i64 {
    guard::on(server, |server| Ok(server.connections() as i64))
}

/// Stops a server: it listens no more, connections without a request are closed, and requests that are under way are
/// answered, each as the last of its connection.
///
/// grace_seconds  how long they have: 0 or more, or INFINITY. Those left over are cut off, and told
///                LARIAT_ERR_TIMED_OUT.
/// returns        a Deferred that fires, with NULL, when all connections are over, from a turn of the loop; cancelling it
///                changes nothing. NULL on failure.
/// errors         LARIAT_ERR_CLOSED when it was stopped before.
/// thread         the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_server_stop(server: *mut lariat_http_server, grace_seconds: f64) -> *mut lariat_deferred {
    guard::on(server, |server| server::stop(server, convert::wait("grace_seconds", grace_seconds)?))
}

/// Ends a server at once: its requests are told LARIAT_ERR_CLOSED, from inside this call, and its connections are cut
/// off. The Deferred of lariat_http_server_stop fails with LARIAT_ERR_CLOSED if it has not fired. Its handle is stale
/// from here on. Connections that were taken over live on.
///
/// thread  the reactor's. It may be called from inside of a handler.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_server_free(server: *mut lariat_http_server) -> lariat_status {
    guard::on(server, |server| {
        server::free(server);
        Ok(())
    })
}
