//! An agent: the settings, the connections and the cookies that requests share.

use super::connection::Place;
use super::cookies::Jar;
use super::exchange::{self, Exchange};
use super::pool::{self, Pool};
use super::proxy::Proxies;
use crate::handles::{Body, Item, Kind, Owned, StepFn, Word};
use crate::net::tls::configuration::Client;
use crate::protocol::http::url::Url;
use crate::reactor::timers::SECOND;
use crate::reactor::{Reactor, ReactorItem, scopes};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::ffi::CString;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// How an agent does what it does. Times are in nanoseconds.
pub struct Settings {
    /// Connections, those that are being made among them; 0: no limit.
    pub connections: u32,
    /// The same for each host.
    pub connections_per_host: u32,
    /// Connections to a host that nobody uses.
    pub idle_per_host: u32,
    /// Requests that wait for a connection; 0: no limit.
    pub waiting: u32,
    /// How long a connection may be unused; None: as long as it lasts.
    pub idle_time: Option<u64>,
    /// What connecting may take, the look-up of the name included.
    pub connect_time: Option<u64>,
    /// How long the head of a response may take once the request is sent.
    pub response_time: Option<u64>,
    /// How long nothing may come or go.
    pub silence: Option<u64>,
    /// What all of a request may take.
    pub total_time: Option<u64>,
    /// Redirects that are followed; 0: none is.
    pub redirects: u32,
    /// A redirect may lead from https to http.
    pub downgrade: bool,
    /// Bytes of a response's head.
    pub head_size: u32,
    /// Fields of a response.
    pub headers: u32,
    /// Responses with 1xx before the one that counts.
    pub informational: u32,
    /// Bytes of a response's body; 0: no limit.
    pub body_size: u64,
    /// Compressed bodies are asked for, and undone.
    pub decompress: bool,
    /// So many times its size a compressed body may become; 0: no limit.
    pub inflate_ratio: u32,
    /// How long a server may take to say that it wants a body, if it is asked.
    pub continue_time: u64,
    /// Cookies are kept and sent.
    pub cookies: bool,
    /// What it says it is; empty: nothing.
    pub user_agent: String,
    /// Where requests go by.
    pub proxies: Proxies,
    /// What TLS is like; None: the usual.
    pub tls: Option<Arc<Client>>,
    /// Tells whether names below a domain belong to strangers.
    pub is_public: Option<StepFn>,
    /// What that gets.
    pub data: Owned,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections: 256,
            connections_per_host: 6,
            idle_per_host: 6,
            waiting: 0,
            idle_time: Some(60 * SECOND),
            connect_time: Some(30 * SECOND),
            response_time: Some(60 * SECOND),
            silence: Some(60 * SECOND),
            total_time: None,
            redirects: 10,
            downgrade: false,
            head_size: 64 << 10,
            headers: 128,
            informational: 16,
            body_size: 0,
            decompress: true,
            inflate_ratio: 200,
            continue_time: SECOND,
            cookies: false,
            user_agent: concat!("lariat/", env!("CARGO_PKG_VERSION")).to_owned(),
            proxies: Proxies::default(),
            tls: None,
            is_public: None,
            data: Owned::default(),
        }
    }
}

/// See the module.
#[derive(Default)]
pub struct Agent {
    settings: RefCell<Option<Rc<Settings>>>,
    pub(super) scope: Cell<u32>,
    pub(super) pool: Pool,
    jar: RefCell<Jar>,
}

impl Body for Agent {
    const KIND: Kind = Kind::HttpAgent;
    const SLOTS: u32 = 16;
    type Root = Reactor;
    type Beside = ();

    fn end(agent: Item<Self>) {
        free(agent);
    }
}

/// An agent without connections.
pub fn open(reactor: ReactorItem, settings: Settings) -> Result<Item<Agent>> {
    reactor.check_open()?;
    let agent = reactor.pools.alloc::<Agent>()?;
    let scope = reactor.scope.get();
    if scope != 0 {
        scopes::join(reactor, scope, agent.word()).inspect_err(|_| reactor.pools.free(agent))?;
    }
    *agent.settings.borrow_mut() = Some(Rc::new(settings));
    agent.scope.set(scope);
    agent.pool.reset();
    Ok(agent)
}

/// Ends it, and all that it is about: requests and bodies that are not over fail with `LARIAT_ERR_CLOSED`.
pub fn free(agent: Item<Agent>) {
    let reactor = agent.root();
    let _out = reactor.call_out();
    let word = agent.word();
    let (settings, scope) = (agent.settings.take(), agent.scope.get());
    let left = pool::take_all(agent);
    agent.jar.borrow_mut().clear();
    reactor.pools.free(agent);
    for exchange in reactor.pools.all::<Exchange>().into_iter().filter(|exchange| exchange.agent() == word) {
        if exchange.is_alive() {
            exchange::fail_with(exchange, Status::ERR_CLOSED, "its agent was freed");
        }
    }
    left.end();
    reactor.in_scope(scope, || drop(settings));
}

impl Agent {
    /// How it does what it does.
    pub fn settings(&self) -> Rc<Settings> {
        self.settings.borrow().clone().unwrap_or_default()
    }

    /// Connections, those that are being made among them.
    pub fn connections(&self) -> usize {
        self.pool.total.get()
    }

    /// Connections that nobody uses.
    pub fn idle(&self) -> usize {
        self.pool.idle()
    }

    /// Requests that wait for a connection.
    pub fn waiting(&self) -> usize {
        self.pool.waiting()
    }
}

/// Closes the connections that nobody uses.
pub fn close_idle(agent: Item<Agent>) {
    pool::close_idle(agent);
}

/// Where a request to this URL connects to.
pub(super) fn place_of(settings: &Settings, url: &Url, endpoint: Option<&str>) -> Result<Place> {
    let proxy = if endpoint.is_some() { None } else { settings.proxies.of(url) };
    Ok(Place::new(url, endpoint, proxy, settings.connect_time))
}

/// Seconds since 1970; where time is not the system's, since its beginning.
fn now(reactor: ReactorItem) -> i64 {
    if reactor.has_own_time() {
        return (reactor.read_clock() / SECOND) as i64;
    }
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

/// Keeps a cookie as if a response from this URL had set it. False: it was refused.
pub fn set_cookie(agent: Item<Agent>, url: &Url, header: &[u8]) -> bool {
    let (reactor, settings, scope) = (agent.root(), agent.settings(), agent.scope.get());
    let is_public = |domain: &str| {
        let (function, domain) = (settings.is_public?, CString::new(domain).ok()?);
        let _out = reactor.call_out();
        let answer = reactor.in_scope(scope, || function(Word::new(domain.as_ptr()), settings.data.word()));
        Some(answer != 0)
    };
    // The host may be asked: it must not find the jar borrowed.
    let mut jar = agent.jar.take();
    let kept = jar.set(url, header, now(reactor), &is_public);
    if agent.is_alive() {
        agent.jar.replace(jar);
    }
    kept
}

/// What a request to this URL has as Cookie.
pub fn cookies(agent: Item<Agent>, url: &Url) -> Option<Vec<u8>> {
    let now = now(agent.root());
    agent.jar.borrow_mut().header(url, now)
}

/// Forgets all cookies.
pub fn clear_cookies(agent: Item<Agent>) {
    agent.jar.borrow_mut().clear();
}
