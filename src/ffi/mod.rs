//! The C API, one file a noun: convert, call, convert. The doc comments here are the public header.
//!
//! An export looks its handle up and runs its body through `guard`, which turns errors and panics into answers; it
//! takes apart what C hands over, and puts together what C gets back, through `convert` and `structs`. The exports
//! take plain pointers of C: what only C can vouch for is said in `convert`.

#![allow(non_camel_case_types, reason = "types are named as C names them")]

mod convert;
mod guard;
mod structs;

pub mod address;
pub mod bytes;
pub mod calls;
pub mod chain;
pub mod combinators;
pub mod connect;
pub mod connection_pool;
pub mod cooperator;
pub mod datagram;
pub mod datagram_port;
pub mod deferred;
pub mod deferred_from_thread;
pub mod delayed_call;
pub mod descriptor;
pub mod directory;
pub mod event;
pub mod failure;
pub mod file;
pub mod file_info;
pub mod file_watch;
pub mod flow;
pub mod framing;
pub mod http_agent;
pub mod http_agent_options;
pub mod http_agent_response;
pub mod http_exchange;
pub mod http_request;
pub mod http_request_options;
pub mod http_response;
pub mod http_router;
pub mod http_server;
pub mod listener;
pub mod lock;
pub mod looping_call;
pub mod multicast;
pub mod options;
pub mod outcome;
pub mod path;
pub mod process;
pub mod process_options;
pub mod process_output;
pub mod process_protocol;
pub mod protocol;
pub mod queue;
pub mod reactor;
pub mod reactor_group;
pub mod reconnecting_client;
pub mod resolver;
pub mod scope;
pub mod semaphore;
pub mod serial;
pub mod signal_watch;
pub mod simulated_network;
pub mod simulation;
pub mod stats;
pub mod status;
pub mod terminal;
#[cfg(feature = "testing")]
pub mod testing;
pub mod threads;
pub mod tls;
pub mod tls_configuration;
pub mod transport;
pub mod trigger;
pub mod types;
pub mod version;
pub mod watcher;
pub mod websocket;
pub mod websocket_options;
pub mod websocket_protocol;
