//! Callbacks: the types of the functions that the library calls.

use super::status::lariat_status;
use crate::deferred::Deferred;
use crate::deferred::cooperator::{Cooperator, Task};
use crate::deferred::failure::Failure;
use crate::deferred::gate::{Lock, Semaphore};
use crate::deferred::looping_call::LoopingCall;
use crate::deferred::queue::Queue;
use crate::deferred::results::Results;
use crate::deferred::triggers::Trigger;
use crate::files::bytes::Bytes;
use crate::files::directory::{Directory, DirectoryEntries};
use crate::files::file::File;
use crate::files::info::FileInfo;
use crate::files::watch::FileWatch;
use crate::handles::Body;
use crate::net::connection_pool::ConnectionPool;
use crate::net::group::ReactorGroup;
use crate::net::reconnecting::Client;
use crate::net::{addresses::Addresses, datagram::DatagramPort, listener::Listener, transport::Transport};
use crate::process::signals::SignalWatch;
use crate::process::{Process, output::ProcessOutput};
use crate::protocol::http::client::{agent::Agent, exchange::Exchange, response::Response};
use crate::protocol::http::server::{Server, request::Request, router::Router};
use crate::protocol::websocket::connection::WebSocket;
use crate::reactor::{Reactor, scopes::Scope, simulation::Simulation, timers::DelayedCall, watch::Watcher};
use std::ffi::{c_char, c_void};

/// A reactor: one thread's event loop, its clock, and the owner of all that is made through it. From
/// lariat_reactor_new to lariat_reactor_free. As every handle it is a token that the library looks up, never an
/// address that it follows.
pub struct lariat_reactor {
    _private: [u8; 0],
}

/// A call to be made at its time. Goes stale when it has been made or cancelled; nobody frees it.
pub struct lariat_delayed_call {
    _private: [u8; 0],
}

/// A function to be called when the reactor starts or stops, until lariat_trigger_remove.
pub struct lariat_trigger {
    _private: [u8; 0],
}

/// A watched descriptor, until lariat_watcher_stop.
pub struct lariat_watcher {
    _private: [u8; 0],
}

/// A watched file or directory, until lariat_file_watch_stop, or until it has told that what it watched is gone.
pub struct lariat_file_watch {
    _private: [u8; 0],
}

/// A watched signal, until lariat_signal_watch_stop.
pub struct lariat_signal_watch {
    _private: [u8; 0],
}

/// A socket of datagrams, from when it is opened until it has told that it is stopped.
pub struct lariat_datagram_port {
    _private: [u8; 0],
}

/// A result that is not there yet, and the callbacks that wait for it. It has two ends: the waiter's is over when it
/// is released or handed over, the worker's when it is fired or abandoned.
pub struct lariat_deferred {
    _private: [u8; 0],
}

/// Why there is no result: a code, a message, the system's error number, a payload. Valid until the callback that got
/// it returns, unless kept by lariat_failure_keep.
pub struct lariat_failure {
    _private: [u8; 0],
}

/// What the Deferreds of a list gave, in the order given.
pub struct lariat_results {
    _private: [u8; 0],
}

/// The addresses that a name leads to. They live as long as the Deferred whose value they are, or, once they are taken,
/// until lariat_addresses_free.
pub struct lariat_addresses {
    _private: [u8; 0],
}

/// A lock for which Deferreds wait. Until lariat_lock_free.
pub struct lariat_lock {
    _private: [u8; 0],
}

/// A number of tokens for which Deferreds wait. Until lariat_semaphore_free.
pub struct lariat_semaphore {
    _private: [u8; 0],
}

/// Values that wait for Deferreds, and Deferreds that wait for values. Until lariat_queue_free.
pub struct lariat_queue {
    _private: [u8; 0],
}

/// A function that is called over and over, at an interval. Until lariat_looping_call_free.
pub struct lariat_looping_call {
    _private: [u8; 0],
}

/// Shares the loop's time among tasks. Until lariat_cooperator_free.
pub struct lariat_cooperator {
    _private: [u8; 0],
}

/// A task of a cooperator, done step by step. Goes stale when it is over; nobody frees it.
pub struct lariat_cooperative_task {
    _private: [u8; 0],
}

/// A function that runs on a pool thread. Valid on that thread, until the function returns.
pub struct lariat_job {
    _private: [u8; 0],
}

/// A group of things that end together: a level, a plug-in, a request. Until lariat_scope_free.
pub struct lariat_scope {
    _private: [u8; 0],
}

/// A world without a kernel: one clock, any number of reactors, all that happens decided by a seed. Until
/// lariat_simulation_free.
pub struct lariat_simulation {
    _private: [u8; 0],
}

/// A socket that takes connections, until the Deferred of lariat_listener_stop has fired.
pub struct lariat_listener {
    _private: [u8; 0],
}

/// A connection. Goes stale when its connection_lost has returned; nobody frees it.
pub struct lariat_transport {
    _private: [u8; 0],
}

/// Connects, and connects again when the connection is lost. Until lariat_reconnecting_client_free.
pub struct lariat_reconnecting_client {
    _private: [u8; 0],
}

/// Connections that are kept open to be used again. Until lariat_connection_pool_free.
pub struct lariat_connection_pool {
    _private: [u8; 0],
}

/// An open file, until the Deferred of lariat_file_close has fired.
pub struct lariat_file {
    _private: [u8; 0],
}

/// A directory that is being read, until the Deferred of lariat_directory_close has fired.
pub struct lariat_directory {
    _private: [u8; 0],
}

/// Bytes that were read, or a path. They live as long as the Deferred whose value they are, or, once they are taken,
/// until lariat_bytes_free.
pub struct lariat_bytes {
    _private: [u8; 0],
}

/// Entries of a directory. They live as long as the Deferred whose value they are, or, once they are taken, until
/// lariat_directory_entries_free.
pub struct lariat_directory_entries {
    _private: [u8; 0],
}

/// What is known of a file. It lives as long as the Deferred whose value it is, or, once it is taken, until
/// lariat_file_info_free.
pub struct lariat_file_info {
    _private: [u8; 0],
}

/// A child process. Goes stale when its process_ended has returned; nobody frees it.
pub struct lariat_process {
    _private: [u8; 0],
}

/// What a process has written, and how it has ended. Lives as long as the Deferred whose value it is, or, once it is
/// taken, until lariat_process_output_free.
pub struct lariat_process_output {
    _private: [u8; 0],
}

/// A client of HTTP, with its connections. Until lariat_http_agent_free.
pub struct lariat_http_agent {
    _private: [u8; 0],
}

/// A request of an agent, and what comes of it. Goes stale when it is over; nobody frees it.
pub struct lariat_http_exchange {
    _private: [u8; 0],
}

/// A response to a request of an agent. It lives as long as the Deferred whose value it is, or, once it is taken, until
/// lariat_http_response_free.
pub struct lariat_http_response {
    _private: [u8; 0],
}

/// A connection that carries messages. Goes stale when its closed has returned; nobody frees it.
pub struct lariat_websocket {
    _private: [u8; 0],
}

/// Several reactors, each on a thread of its own. Until lariat_reactor_group_free.
pub struct lariat_reactor_group {
    _private: [u8; 0],
}

/// What TLS connections show and trust: immutable, and usable on any thread. Until lariat_tls_configuration_free.
pub struct lariat_tls_configuration {
    _private: [u8; 0],
}

/// A server of HTTP. Until lariat_http_server_free.
pub struct lariat_http_server {
    _private: [u8; 0],
}

/// A request that came to a server, and the response to it. Goes stale when the response is finished, or cannot be any
/// more, and that was told: when its handler has returned, or at the end of a turn after that. Nobody frees it. What it
/// tells as text or bytes lives as long.
pub struct lariat_http_request {
    _private: [u8; 0],
}

/// Which requests go to which handler. Until lariat_http_router_free.
pub struct lariat_http_router {
    _private: [u8; 0],
}

/// A descriptor of the operating system: a SOCKET on Windows.
#[cfg(windows)]
pub type lariat_socket = usize;
/// A descriptor of the operating system: a file descriptor on Unix.
#[cfg(not(windows))]
pub type lariat_socket = std::ffi::c_int;

/// A call without arguments of its own. On the reactor's thread, except by lariat_reactor_call_in_thread: there on a
/// pool thread.
///
/// user_data  as given with the function.
pub type lariat_call_fn = Option<extern "C" fn(user_data: *mut c_void)>;

/// Frees what the library was given to own: user data, a value or a payload. Called exactly once, on the reactor's
/// thread, or on the caller's when the call that it was given to fails.
///
/// data  what came with the function; NULL too, if that is what came.
pub type lariat_free_fn = Option<extern "C" fn(data: *mut c_void)>;

/// A callback in the chain of a Deferred, on the reactor's thread: gets the present value.
///
/// deferred   the Deferred whose chain runs: for lariat_deferred_return, _fail, _wait_for and _take.
/// value      what the callback before returned, or what it was fired with; stays the chain's unless taken.
/// user_data  as given with the function.
/// returns    the next value, unless another outcome was recorded.
pub type lariat_callback_fn =
    Option<extern "C" fn(deferred: *mut lariat_deferred, value: *mut c_void, user_data: *mut c_void) -> *mut c_void>;

/// An errback in the chain of a Deferred, on the reactor's thread: gets the present failure, which it handles unless
/// it records another one.
///
/// deferred   the Deferred whose chain runs: for lariat_deferred_refail, _fail, _wait_for and _return.
/// failure    valid until the function returns, unless kept.
/// user_data  as given with the function.
/// returns    the next value, unless another outcome was recorded.
pub type lariat_errback_fn = Option<
    extern "C" fn(
        deferred: *mut lariat_deferred,
        failure: *const lariat_failure,
        user_data: *mut c_void,
    ) -> *mut c_void,
>;

/// A function in the chain of a Deferred, on the reactor's thread, that gets values and failures alike.
///
/// deferred   the Deferred whose chain runs.
/// value      as a callback gets it; NULL when there is a failure.
/// failure    as an errback gets it; NULL when there is a value.
/// user_data  as given with the function.
/// returns    the next value, unless another outcome was recorded.
pub type lariat_both_fn = Option<
    extern "C" fn(
        deferred: *mut lariat_deferred,
        value: *mut c_void,
        failure: *const lariat_failure,
        user_data: *mut c_void,
    ) -> *mut c_void,
>;

/// Told, at most once and on the reactor's thread, that nobody wants the result any more. It may fire the Deferred;
/// unless it does, the Deferred then fires with LARIAT_ERR_CANCELLED.
///
/// deferred   the cancelled Deferred.
/// user_data  as given with the function.
pub type lariat_canceller_fn = Option<extern "C" fn(deferred: *mut lariat_deferred, user_data: *mut c_void)>;

/// A trigger of the reactor's start or end, on the reactor's thread.
///
/// user_data  as given with the function.
/// returns    NULL: it is done; or a Deferred, handed over: it is done when that has fired.
pub type lariat_trigger_fn = Option<extern "C" fn(user_data: *mut c_void) -> *mut lariat_deferred>;

/// The function of a looping call, on the reactor's thread.
///
/// looping_call  the looping call: for lariat_looping_call_count and _stop.
/// user_data     as given with the function.
/// returns       NULL: this time is done; or a Deferred, handed over: done when it has fired; its failure ends the
///               loop.
pub type lariat_looping_fn =
    Option<extern "C" fn(looping_call: *mut lariat_looping_call, user_data: *mut c_void) -> *mut lariat_deferred>;

/// One step of a cooperator's task, on the reactor's thread.
///
/// task       the task: for lariat_cooperative_task_wait_for and _pause.
/// user_data  as given with the function.
/// returns    LARIAT_MORE: call it again; LARIAT_OK: the task is done; anything else: it failed with that code.
pub type lariat_step_fn =
    Option<extern "C" fn(task: *mut lariat_cooperative_task, user_data: *mut c_void) -> lariat_status>;

/// Told, on the reactor's thread, that a watched descriptor is ready; once a turn for as long as it is.
///
/// watcher    the watcher of the descriptor.
/// readiness  LARIAT_READABLE, LARIAT_WRITABLE or both: of those that it asks for. An end or an error counts as
///            either.
/// user_data  as given with the function.
pub type lariat_ready_fn = Option<extern "C" fn(watcher: *mut lariat_watcher, readiness: i32, user_data: *mut c_void)>;

/// Told that a signal has come, on the reactor's thread, from a turn of the loop: never from the handler, so it may do
/// anything.
///
/// watch      the watch: for lariat_signal_watch_count and _stop.
/// number     the signal's, as SIGINT.
/// user_data  as given with the function.
pub type lariat_signal_fn = Option<extern "C" fn(watch: *mut lariat_signal_watch, number: i32, user_data: *mut c_void)>;

/// Told of a change, on the reactor's thread.
///
/// watch      the watch: for lariat_file_watch_stop.
/// change     what has changed; valid until the function returns.
/// user_data  as given with the function.
pub type lariat_file_changed_fn = Option<
    extern "C" fn(
        watch: *mut lariat_file_watch,
        change: *const super::file_watch::lariat_file_change,
        user_data: *mut c_void,
    ),
>;

/// A job, on a pool thread.
///
/// job        for lariat_job_return, lariat_job_fail and lariat_job_cancelled.
/// user_data  as given with the function.
/// returns    the value that its Deferred fires with, unless another outcome was recorded.
pub type lariat_job_fn = Option<extern "C" fn(job: *mut lariat_job, user_data: *mut c_void) -> *mut c_void>;

/// What a blocking call has done on the reactor's thread.
///
/// reactor    the reactor.
/// user_data  as given with the function.
/// returns    a Deferred, handed over, whose result is waited for; NULL fails with the last error of the reactor's
///            thread.
pub type lariat_blocking_fn =
    Option<extern "C" fn(reactor: *mut lariat_reactor, user_data: *mut c_void) -> *mut lariat_deferred>;

/// Looks a name up in place of the system, on the reactor's thread.
///
/// reactor    the reactor.
/// name       UTF-8; valid until the function returns.
/// family     LARIAT_FAMILY_ANY, _IPV4 or _IPV6: addresses of another family are left out of the answer.
/// answer     for lariat_addresses_add; stale once the look-up is over.
/// user_data  as given with the function.
/// returns    NULL: answer has all addresses, or none; or a Deferred, handed over: it has when that has fired, together
///            with those of a lariat_addresses that it fires with; its failure is the look-up's. It is cancelled when
///            nobody waits any more.
pub type lariat_resolver_fn = Option<
    extern "C" fn(
        reactor: *mut lariat_reactor,
        name: *const c_char,
        family: i32,
        answer: *mut lariat_addresses,
        user_data: *mut c_void,
    ) -> *mut lariat_deferred,
>;

/// Told what the library has to say, on the reactor's thread. What it logs itself meanwhile is dropped.
///
/// level      LARIAT_LOG_ERROR, LARIAT_LOG_WARNING or LARIAT_LOG_INFO.
/// message    one line of text, valid until the function returns.
/// user_data  as given with the function.
pub type lariat_log_fn = Option<extern "C" fn(level: i32, message: *const c_char, user_data: *mut c_void)>;

/// Told of a callback that held up the loop for longer than slow_callback_seconds, on the reactor's thread.
///
/// seconds    how long it took.
/// what       what kind of callback it was, in words; valid until the function returns.
/// user_data  as given with the function.
pub type lariat_slow_fn = Option<extern "C" fn(seconds: f64, what: *const c_char, user_data: *mut c_void)>;

/// Told of a failure that nobody handled, once, on the reactor's thread, when its Deferred is reclaimed.
///
/// failure    valid until the function returns, unless kept.
/// user_data  as given with the function.
pub type lariat_unhandled_fn = Option<extern "C" fn(failure: *const lariat_failure, user_data: *mut c_void)>;

/// Told that a connection is there, on the reactor's thread, before anything else of it.
///
/// transport  the connection.
/// self       as given with the protocol, or made by the build function.
pub type lariat_connection_made_fn = Option<extern "C" fn(transport: *mut lariat_transport, self_: *mut c_void)>;

/// Told that data has come, on the reactor's thread. What it writes goes out when it returns.
///
/// transport  the connection.
/// data       len bytes, until the function returns.
/// len        at least 1; of a frame also 0.
/// self       as given with the protocol, or made by the build function.
pub type lariat_data_received_fn =
    Option<extern "C" fn(transport: *mut lariat_transport, data: *const u8, len: usize, self_: *mut c_void)>;

/// Told that a connection is over, on the reactor's thread, once and last, never from inside the call that ended it.
///
/// transport  the connection, which can do nothing any more; stale when the function returns.
/// reason     LARIAT_CONNECTION_DONE for a clean end; else why. Valid until the function returns, unless kept.
/// self       as given with the protocol, or made by the build function; freed afterwards by its free_self.
pub type lariat_connection_lost_fn =
    Option<extern "C" fn(transport: *mut lariat_transport, reason: *const lariat_failure, self_: *mut c_void)>;

/// Told that one direction of a connection has ended, on the reactor's thread.
///
/// transport  the connection.
/// self       as given with the protocol, or made by the build function.
pub type lariat_half_closed_fn = Option<extern "C" fn(transport: *mut lariat_transport, self_: *mut c_void)>;

/// Makes what the functions of a new connection's protocol get as self, on the reactor's thread. The transport can be
/// told things already, and be written to.
///
/// listener   where it came in; NULL of a connection that a reconnecting client or a pool has made.
/// transport  the connection.
/// self       to be written: what the functions get; NULL unless it is.
/// user_data  as given with the function.
/// returns    LARIAT_OK; anything else refuses the connection, which is closed, and nothing of it is called.
pub type lariat_build_protocol_fn = Option<
    extern "C" fn(
        listener: *mut lariat_listener,
        transport: *mut lariat_transport,
        self_: *mut *mut c_void,
        user_data: *mut c_void,
    ) -> lariat_status,
>;

/// Told that an attempt of a reconnecting client has failed, on the reactor's thread.
///
/// client     the client, which may be stopped or freed here.
/// failure    why; valid until the function returns, unless kept.
/// seconds    how long it waits before the next attempt; INFINITY: there is none, it has given up.
/// user_data  as given with the function.
pub type lariat_attempt_failed_fn = Option<
    extern "C" fn(
        client: *mut lariat_reconnecting_client,
        failure: *const lariat_failure,
        seconds: f64,
        user_data: *mut c_void,
    ),
>;

/// Told of a connection that did not get through its TLS handshake, on the reactor's thread.
///
/// listener   the listener that it came to.
/// failure    why, naming the peer; valid until the function returns, unless kept.
/// user_data  as given with the function.
pub type lariat_handshake_failed_fn =
    Option<extern "C" fn(listener: *mut lariat_listener, failure: *const lariat_failure, user_data: *mut c_void)>;

/// Prepares a reactor of a group before its loop runs, on the reactor's thread. The group calls it for one reactor after
/// the other, never for two at once.
///
/// reactor    one of the group's.
/// index      which, from 0 on.
/// user_data  as given with the function.
/// returns    LARIAT_OK; anything else ends the group, and becomes the answer of lariat_reactor_group_start.
pub type lariat_group_setup_fn =
    Option<extern "C" fn(reactor: *mut lariat_reactor, index: u32, user_data: *mut c_void) -> lariat_status>;

/// Tells a producer something, on the reactor's thread.
///
/// transport  the connection that it writes to.
/// user_data  as given with the producer.
pub type lariat_producer_fn = Option<extern "C" fn(transport: *mut lariat_transport, user_data: *mut c_void)>;

/// Told of the body of a request, on the reactor's thread.
///
/// exchange   the request: for lariat_http_exchange_write and the like.
/// user_data  producer_data of the request's options.
pub type lariat_http_exchange_fn = Option<extern "C" fn(exchange: *mut lariat_http_exchange, user_data: *mut c_void)>;

/// Told of a piece of the body of a response, on the reactor's thread.
///
/// response   the response.
/// data       len bytes, until the function returns.
/// len        at least 1.
/// user_data  as given with the function.
pub type lariat_http_response_received_fn =
    Option<extern "C" fn(response: *mut lariat_http_response, data: *const u8, len: usize, user_data: *mut c_void)>;

/// Told that the body of a response has ended, on the reactor's thread, once and last.
///
/// response   the response; if its Deferred is gone, stale when the function returns.
/// reason     NULL: the body is whole. Else why it is not: valid until the function returns, unless kept.
/// user_data  as given with the function.
pub type lariat_http_response_ended_fn =
    Option<extern "C" fn(response: *mut lariat_http_response, reason: *const lariat_failure, user_data: *mut c_void)>;

/// Tells whether a domain is a public suffix (publicsuffix.org): one below which anybody may register names, such as "co.uk". Called on the
/// reactor's thread.
///
/// domain     in lower case, without a dot before it; valid until the function returns.
/// user_data  as given with the function.
/// returns    not 0: it is.
pub type lariat_public_suffix_fn = Option<extern "C" fn(domain: *const c_char, user_data: *mut c_void) -> i32>;
/// Handles a request, on the reactor's thread: called when its head has come.
///
/// request    the request, and its response.
/// user_data  as given with the function.
/// returns    NULL: the function has answered, or somebody will, by lariat_http_request_respond and the like. Or a
///            Deferred, handed over: when it fails and nothing was answered, the answer is 500, or the failure's code if
///            that is from 400 to 599; it is cancelled when the client is gone. Its value means nothing.
pub type lariat_http_handler_fn =
    Option<extern "C" fn(request: *mut lariat_http_request, user_data: *mut c_void) -> *mut lariat_deferred>;

/// Told, on the reactor's thread, of a part of a request's body that has come.
///
/// request    the request.
/// data       valid until the function returns.
/// len        how many bytes data has, at least 1.
/// user_data  as given with the function.
pub type lariat_http_body_received_fn =
    Option<extern "C" fn(request: *mut lariat_http_request, data: *const u8, len: usize, user_data: *mut c_void)>;

/// Told, once and on the reactor's thread, that no more of a request's body comes.
///
/// request    the request.
/// failure    NULL: all of it has come; else why the rest does not. Valid until the function returns, unless kept.
/// user_data  as given with the function.
pub type lariat_http_body_ended_fn =
    Option<extern "C" fn(request: *mut lariat_http_request, failure: *const lariat_failure, user_data: *mut c_void)>;

/// Tells who writes a response something, on the reactor's thread.
///
/// request    the request that is answered.
/// user_data  as given with the producer.
pub type lariat_http_producer_fn = Option<extern "C" fn(request: *mut lariat_http_request, user_data: *mut c_void)>;

/// Told of a request that is over, on the reactor's thread.
///
/// access     what there is to be logged; valid until the function returns.
/// user_data  as given with the function.
pub type lariat_http_access_fn =
    Option<extern "C" fn(access: *const super::http_server::lariat_http_access, user_data: *mut c_void)>;

/// What an opaque type of C stands for in the core.
pub trait Opaque {
    /// The body of the slot that its handles name.
    type Of: Body;
}

/// The way back.
pub trait Named: Body {
    /// The type of its handles in C.
    type Opaque;
}

macro_rules! handles {
    ($($opaque:ty = $body:ty;)*) => {$(
        impl Opaque for $opaque {
            type Of = $body;
        }

        impl Named for $body {
            type Opaque = $opaque;
        }
    )*};
}

handles! {
    lariat_reactor = Reactor;
    lariat_delayed_call = DelayedCall;
    lariat_trigger = Trigger;
    lariat_watcher = Watcher;
    lariat_signal_watch = SignalWatch;
    lariat_file_watch = FileWatch;
    lariat_datagram_port = DatagramPort;
    lariat_deferred = Deferred;
    lariat_failure = Failure;
    lariat_results = Results;
    lariat_addresses = Addresses;
    lariat_lock = Lock;
    lariat_semaphore = Semaphore;
    lariat_queue = Queue;
    lariat_looping_call = LoopingCall;
    lariat_cooperator = Cooperator;
    lariat_cooperative_task = Task;
    lariat_scope = Scope;
    lariat_listener = Listener;
    lariat_transport = Transport;
    lariat_simulation = Simulation;
    lariat_reconnecting_client = Client;
    lariat_connection_pool = ConnectionPool;
    lariat_reactor_group = ReactorGroup;
    lariat_file = File;
    lariat_directory = Directory;
    lariat_bytes = Bytes;
    lariat_directory_entries = DirectoryEntries;
    lariat_file_info = FileInfo;
    lariat_process = Process;
    lariat_process_output = ProcessOutput;
    lariat_http_agent = Agent;
    lariat_http_exchange = Exchange;
    lariat_http_response = Response;
    lariat_http_server = Server;
    lariat_http_request = Request;
    lariat_http_router = Router;
    lariat_websocket = WebSocket;
}
