//! What is alive, in numbers.

use super::guard;
use super::status::lariat_status;
use super::structs::{self, Versioned, fields};
use super::types::lariat_reactor;
use crate::handles::Kind;
use crate::reactor::{self, ReactorItem};

/// How much of each kind is alive in a reactor: to be prepared once by lariat_stats_init, and filled by
/// lariat_reactor_stats. A leak is a number here.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_stats {
    /// Set by lariat_stats_init.
    pub struct_size: u32,
    /// Pool threads.
    pub threads: u32,
    /// Delayed calls that wait, timers of the library's own among them.
    pub delayed_calls: u64,
    /// Calls that wait for the next turn, or for the reactor to run.
    pub soon_calls: u64,
    /// Deferreds that are not reclaimed yet.
    pub deferreds: u64,
    /// Failures that somebody holds.
    pub failures: u64,
    /// Results of lists.
    pub results: u64,
    /// Watchers that were not stopped.
    pub watchers: u64,
    /// Triggers that have not fired.
    pub triggers: u64,
    /// Locks.
    pub locks: u64,
    /// Semaphores.
    pub semaphores: u64,
    /// Queues.
    pub queues: u64,
    /// Looping calls, running or not.
    pub looping_calls: u64,
    /// Cooperators.
    pub cooperators: u64,
    /// Tasks of cooperators that are not over.
    pub cooperative_tasks: u64,
    /// Scopes.
    pub scopes: u64,
    /// Pool jobs that wait or run.
    pub jobs: u64,
    /// Events that wait to be taken.
    pub events: u64,
    /// Callbacks that have not returned, turns of the loop included: 0 outside of all.
    pub callbacks_running: u64,
    /// Turns made so far.
    pub turns: u64,
    /// Connections, those included that are being made.
    pub transports: u64,
    /// Listeners.
    pub listeners: u64,
    /// Datagram ports.
    pub datagram_ports: u64,
    /// Look-ups of names that are not over.
    pub look_ups: u64,
    /// Addresses that look-ups have found, or a resolver is filling in.
    pub addresses: u64,
    /// Reconnecting clients, started or not.
    pub reconnecting_clients: u64,
    /// Connection pools.
    pub connection_pools: u64,
    /// Open files.
    pub files: u64,
    /// Directories that are being read.
    pub directories: u64,
    /// Bytes, entries and information that operations on files have given.
    pub file_values: u64,
    /// Child processes that are not over, those included that nobody is told of any more.
    pub processes: u64,
    /// Outputs of processes.
    pub process_outputs: u64,
    /// Watches of signals that were not stopped, those of the Deferreds of lariat_reactor_when_signal among them.
    pub signal_watches: u64,
    /// Watches of files and directories that were not stopped.
    pub file_watches: u64,
    /// HTTP agents.
    pub http_agents: u64,
    /// Requests of HTTP agents that are not over.
    pub http_exchanges: u64,
    /// Responses that HTTP agents have got.
    pub http_responses: u64,
    /// HTTP servers.
    pub http_servers: u64,
    /// Requests to HTTP servers whose end was not told yet.
    pub http_requests: u64,
    /// Routers of HTTP servers.
    pub http_routers: u64,
    /// WebSockets, those of clients included whose handshake is not over.
    pub websockets: u64,
}

// SAFETY: repr(C), begins with struct_size, and holds numbers.
unsafe impl Versioned for lariat_stats {
    const FIELDS: &'static [usize] = fields!(lariat_stats:
        struct_size threads delayed_calls soon_calls deferreds failures results watchers triggers locks semaphores
        queues looping_calls cooperators cooperative_tasks scopes jobs events callbacks_running turns transports
        listeners datagram_ports look_ups addresses reconnecting_clients connection_pools files directories
        file_values processes process_outputs signal_watches file_watches http_agents
        http_exchanges http_responses
        http_servers http_requests http_routers
        websockets);

    fn initial(struct_size: u32) -> Self {
        Self {
            struct_size,
            threads: 0,
            delayed_calls: 0,
            soon_calls: 0,
            deferreds: 0,
            failures: 0,
            results: 0,
            watchers: 0,
            triggers: 0,
            locks: 0,
            semaphores: 0,
            queues: 0,
            looping_calls: 0,
            cooperators: 0,
            cooperative_tasks: 0,
            scopes: 0,
            jobs: 0,
            events: 0,
            callbacks_running: 0,
            turns: 0,
            transports: 0,
            listeners: 0,
            datagram_ports: 0,
            look_ups: 0,
            addresses: 0,
            reconnecting_clients: 0,
            connection_pools: 0,
            files: 0,
            directories: 0,
            file_values: 0,
            processes: 0,
            process_outputs: 0,
            signal_watches: 0,
            file_watches: 0,
            http_agents: 0,
            http_exchanges: 0,
            http_responses: 0,
            http_servers: 0,
            http_requests: 0,
            http_routers: 0,
            websockets: 0,
        }
    }
}

/// Prepares stats to be filled.
///
/// stats        written.
/// struct_size  sizeof(lariat_stats).
/// thread       any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_stats_init(stats: *mut lariat_stats, struct_size: u32) -> lariat_status {
    guard::alone(|| structs::init("stats", stats, struct_size))
}

/// Counts what is alive in a reactor.
///
/// stats   prepared by lariat_stats_init; written.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_stats(reactor: *mut lariat_reactor, stats: *mut lariat_stats) -> lariat_status {
    guard::on(reactor, |reactor| {
        structs::filled("stats", stats)?.write(|size| lariat_stats::of(reactor, size));
        Ok(())
    })
}

/// Tells how many reactors are alive in the process.
///
/// returns  0 or more.
/// thread   any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactors_alive() -> i64 {
    guard::alone(|| Ok(reactor::alive()))
}

impl lariat_stats {
    fn of(reactor: ReactorItem, struct_size: u32) -> Self {
        let alive = |kind| u64::from(reactor.pools.alive(kind));
        let (jobs, threads) = reactor.above.jobs.get().map_or((0, 0), |jobs| jobs(reactor));
        Self {
            struct_size,
            threads: threads as u32,
            delayed_calls: alive(Kind::DelayedCall),
            soon_calls: reactor.soon_calls() as u64,
            deferreds: alive(Kind::Deferred),
            failures: alive(Kind::Failure),
            results: alive(Kind::Results),
            watchers: alive(Kind::Watcher),
            triggers: alive(Kind::Trigger),
            locks: alive(Kind::Lock),
            semaphores: alive(Kind::Semaphore),
            queues: alive(Kind::Queue),
            looping_calls: alive(Kind::LoopingCall),
            cooperators: alive(Kind::Cooperator),
            cooperative_tasks: alive(Kind::CooperativeTask),
            scopes: alive(Kind::Scope),
            jobs: jobs as u64,
            events: reactor.events_waiting() as u64,
            callbacks_running: u64::from(reactor.depth()),
            turns: reactor.turns(),
            transports: alive(Kind::Transport),
            listeners: alive(Kind::Listener),
            datagram_ports: alive(Kind::DatagramPort),
            look_ups: alive(Kind::LookUp),
            addresses: alive(Kind::Addresses),
            reconnecting_clients: alive(Kind::ReconnectingClient),
            connection_pools: alive(Kind::ConnectionPool),
            files: alive(Kind::File),
            directories: alive(Kind::Directory),
            file_values: alive(Kind::Bytes) + alive(Kind::DirectoryEntries) + alive(Kind::FileInfo),
            processes: alive(Kind::Process),
            process_outputs: alive(Kind::ProcessOutput),
            signal_watches: alive(Kind::SignalWatch),
            file_watches: alive(Kind::FileWatch),
            http_agents: alive(Kind::HttpAgent),
            http_exchanges: alive(Kind::HttpExchange),
            http_responses: alive(Kind::HttpResponse),
            http_servers: alive(Kind::HttpServer),
            http_requests: alive(Kind::HttpRequest),
            http_routers: alive(Kind::HttpRouter),
            websockets: alive(Kind::WebSocket) + alive(Kind::WebSocketHandshake),
        }
    }
}
