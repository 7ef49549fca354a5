//! How an HTTP agent does what it does.

use super::convert;
use super::guard;
use super::status::lariat_status;
use super::structs::{self, Versioned, fields};
use super::types::*;
use crate::protocol::http::client::agent::Settings;
use crate::protocol::http::client::proxy::Proxies;
use crate::protocol::http::fields::is_value;
use crate::status::Result;
use std::ffi::{c_char, c_void};
use std::ptr;

/// Cookies are kept and sent (RFC 6265).
pub const LARIAT_HTTP_AGENT_COOKIES: u32 = 1;
/// Compressed bodies are neither asked for nor undone.
pub const LARIAT_HTTP_AGENT_NO_DECOMPRESSION: u32 = 2;
/// A redirect may lead from https to http.
pub const LARIAT_HTTP_AGENT_ALLOW_DOWNGRADE: u32 = 4;
/// The environment says which proxies there are, as it does for curl: http_proxy, https_proxy, all_proxy, no_proxy, and all but the
/// first in capitals, too. Read when the agent is made.
pub const LARIAT_HTTP_AGENT_ENVIRONMENT_PROXIES: u32 = 8;

/// How an HTTP agent does what it does: to be filled by lariat_http_agent_options_init and changed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_http_agent_options {
    /// Set by lariat_http_agent_options_init.
    pub struct_size: u32,
    /// LARIAT_HTTP_AGENT_COOKIES and so on, together; default 0.
    pub flags: u32,
    /// Connections at most, used or not, those that are being made among them; 0: no limit. Default 256.
    pub max_connections: u32,
    /// The same for each host. Default 6.
    pub max_connections_per_host: u32,
    /// Connections to a host that are kept while nobody uses them; 0: none is. Default 6.
    pub max_idle_per_host: u32,
    /// Requests that may wait for a connection; 0: no limit (default).
    pub max_waiting: u32,
    /// Redirects that are followed, one after the other; 0: none is, their responses are as good as others. Default 10.
    pub max_redirects: u32,
    /// Bytes of a response's head. Default 65536.
    pub max_head_size: u32,
    /// Headers of a response. Default 128.
    pub max_headers: u32,
    /// Responses with 1xx before the one that counts. Default 16.
    pub max_informational: u32,
    /// So many times its size a compressed body may become, once it is more than 1 MiB; 0: no limit. Default 200.
    pub max_inflate_ratio: u32,
    /// 0.
    pub reserved: u32,
    /// Bytes of a response's body, as it comes; 0: no limit (default). See lariat_http_response_read_body, too.
    pub max_body_size: u64,
    /// Seconds after which a connection that nobody uses is closed: 0 or more, or INFINITY. Default 60.
    pub idle_connection_seconds: f64,
    /// Seconds that a connection may take, its look-up included: 0 or more, or INFINITY. Default 30.
    pub connect_seconds: f64,
    /// Seconds that the head of a response may take when all of the request is sent; or INFINITY. Default 60.
    pub response_seconds: f64,
    /// Seconds in which nothing comes or goes while something should; or INFINITY. Default 60.
    pub silence_seconds: f64,
    /// Seconds that a request may take, redirects and the body of its response included; or INFINITY (default).
    pub total_seconds: f64,
    /// Seconds that a server may take to say that it wants a body, where it is asked. Default 1.
    pub continue_seconds: f64,
    /// What it says it is. May be NULL: "lariat/" and the version (default). Empty: it does not say.
    pub user_agent: *const c_char,
    /// What TLS is like: of a client. May be NULL: whom the system trusts is trusted (default). It may be freed afterwards.
    /// Of its alpn only http/1.1 is spoken.
    pub tls: *const lariat_tls_configuration,
    /// A proxy for all requests, such as "http://user:password@proxy:3128": requests by http are sent to it as they are, for https it
    /// is asked for a tunnel (CONNECT). May be NULL: none (default).
    pub proxy: *const c_char,
    /// What goes by no proxy, with commas between: names, which stand for all below them too, with a port or without;
    /// addresses; networks such as 10.0.0.0/8; or *. May be NULL. Of proxy alone: the environment has its own.
    pub no_proxy: *const c_char,
    /// Tells which domains are public suffixes. May be NULL: then a cookie for a parent domain is kept for the host alone
    /// that has set it, since nobody knows whether strangers share that domain.
    pub is_public_suffix: lariat_public_suffix_fn,
    /// What that gets; may be NULL. It has to live as long as the agent.
    pub user_data: *mut c_void,
}

// SAFETY: repr(C), begins with struct_size, and holds numbers, pointers and an optional function.
unsafe impl Versioned for lariat_http_agent_options {
    const FIELDS: &'static [usize] = fields!(lariat_http_agent_options:
        struct_size flags max_connections max_connections_per_host max_idle_per_host max_waiting max_redirects max_head_size
        max_headers max_informational max_inflate_ratio reserved max_body_size idle_connection_seconds connect_seconds
        response_seconds silence_seconds total_seconds continue_seconds user_agent tls proxy no_proxy is_public_suffix user_data);

    fn initial(struct_size: u32) -> Self {
        let usual = Settings::default();
        let seconds = |time: Option<u64>| time.map_or(f64::INFINITY, convert::seconds);
        Self {
            struct_size,
            flags: 0,
            max_connections: usual.connections,
            max_connections_per_host: usual.connections_per_host,
            max_idle_per_host: usual.idle_per_host,
            max_waiting: usual.waiting,
            max_redirects: usual.redirects,
            max_head_size: usual.head_size,
            max_headers: usual.headers,
            max_informational: usual.informational,
            max_inflate_ratio: usual.inflate_ratio,
            reserved: 0,
            max_body_size: usual.body_size,
            idle_connection_seconds: seconds(usual.idle_time),
            connect_seconds: seconds(usual.connect_time),
            response_seconds: seconds(usual.response_time),
            silence_seconds: seconds(usual.silence),
            total_seconds: seconds(usual.total_time),
            continue_seconds: convert::seconds(usual.continue_time),
            user_agent: ptr::null(),
            tls: ptr::null(),
            proxy: ptr::null(),
            no_proxy: ptr::null(),
            is_public_suffix: None,
            user_data: ptr::null_mut(),
        }
    }
}

/// Fills the options of an agent with the defaults.
///
/// options      written.
/// struct_size  sizeof(lariat_http_agent_options).
/// thread       any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_agent_options_init(
    options: *mut lariat_http_agent_options,
    struct_size: u32,
) -> lariat_status {
    guard::alone(|| structs::init("options", options, struct_size))
}

const FLAGS: u32 = LARIAT_HTTP_AGENT_COOKIES
    | LARIAT_HTTP_AGENT_NO_DECOMPRESSION
    | LARIAT_HTTP_AGENT_ALLOW_DOWNGRADE
    | LARIAT_HTTP_AGENT_ENVIRONMENT_PROXIES;

/// The options as the core has them; NULL: the defaults.
pub(super) fn read(options: *const lariat_http_agent_options) -> Result<Settings> {
    if options.is_null() {
        return Ok(Settings::default());
    }
    let given = structs::read("options", options)?;
    structs::check_tail("options", options)?;
    let has = |flag| given.flags & flag != 0;
    if given.flags & !FLAGS != 0 {
        return Err(convert::invalid(format_args!("options.flags is {:#x}, of which not all is known", given.flags)));
    }
    if given.reserved != 0 {
        return Err(convert::invalid("options.reserved is not 0"));
    }
    let usual = Settings::default();
    let user_agent = convert::text("options.user_agent", given.user_agent)?.unwrap_or(&usual.user_agent).to_owned();
    if !is_value(user_agent.as_bytes()) {
        return Err(convert::invalid("options.user_agent has a control character"));
    }
    Ok(Settings {
        connections: given.max_connections,
        connections_per_host: given.max_connections_per_host,
        idle_per_host: given.max_idle_per_host,
        waiting: given.max_waiting,
        idle_time: convert::wait("options.idle_connection_seconds", given.idle_connection_seconds)?,
        connect_time: convert::wait("options.connect_seconds", given.connect_seconds)?,
        response_time: convert::wait("options.response_seconds", given.response_seconds)?,
        silence: convert::wait("options.silence_seconds", given.silence_seconds)?,
        total_time: convert::wait("options.total_seconds", given.total_seconds)?,
        redirects: given.max_redirects,
        downgrade: has(LARIAT_HTTP_AGENT_ALLOW_DOWNGRADE),
        head_size: limit("options.max_head_size", given.max_head_size)?,
        headers: limit("options.max_headers", given.max_headers)?,
        informational: given.max_informational,
        body_size: given.max_body_size,
        decompress: !has(LARIAT_HTTP_AGENT_NO_DECOMPRESSION),
        inflate_ratio: given.max_inflate_ratio,
        continue_time: convert::delay("options.continue_seconds", given.continue_seconds)?,
        cookies: has(LARIAT_HTTP_AGENT_COOKIES),
        user_agent,
        tls: if given.tls.is_null() {
            None
        } else {
            Some(super::tls_configuration::configuration(given.tls)?.client()?)
        },
        proxies: proxies(&given)?,
        is_public: convert::public_suffix_fn(given.is_public_suffix),
        data: convert::borrowed(given.user_data),
    })
}

/// What comes is held in memory until it is whole.
fn limit(name: &str, number: u32) -> Result<u32> {
    convert::within(name, number.into(), (1, 64 << 20)).map(|number| number as u32)
}

fn proxies(given: &lariat_http_agent_options) -> Result<Proxies> {
    let from_environment = given.flags & LARIAT_HTTP_AGENT_ENVIRONMENT_PROXIES != 0;
    let none = convert::text("options.no_proxy", given.no_proxy)?;
    match convert::text("options.proxy", given.proxy)? {
        Some(_) if from_environment => Err(convert::invalid("options.proxy is set, and the environment is to say it")),
        Some(proxy) => Proxies::one(proxy, none.unwrap_or_default()),
        None if from_environment => Proxies::of_environment(|name| std::env::var(name).ok()),
        None => Ok(Proxies::default()),
    }
}
