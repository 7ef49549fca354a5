//! Handles: tokens over process-wide segments of slots.
//!
//! What no reactor owns, and every thread may use, is in `shared`.
//!
//! A token is 64 bits: a 32-bit generation, a segment number, a slot number and a tag in the low bits that no aligned
//! address has. A segment holds slots of one kind, belongs to one reactor at a time and is never unmapped, so that a
//! token can always be answered: its segment's entry in the directory names the owner thread, which is read first.

mod directory;
mod foreign;
mod pool;
mod shared;

pub use directory::{Access, check_any_thread, forget_poisoned, index_of, is_of_kind, kind_number, poison};
pub use foreign::*;
#[cfg(feature = "testing")]
pub use pool::set_generation;
pub use pool::{Body, Item, Pools, adopt, enter, enter_quickly, get, release_root, root};
pub use shared::{Shared, SharedBody};

#[cfg(not(target_pointer_width = "64"))]
compile_error!("lariat needs a 64-bit target: its handles are 64-bit tokens");

/// Whether there is memory for a few small things of `bytes` together, for places that allocate without a way to say
/// no. Only a hint: another thread may be quicker.
pub fn check_memory(bytes: usize) -> crate::status::Result {
    let mut probe = Vec::<u8>::new();
    probe.try_reserve_exact(bytes).map_err(|_| crate::status::Status::ERR_NO_MEMORY)?;
    std::hint::black_box(&mut probe);
    Ok(())
}

/// The kinds of things that have handles.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
#[expect(missing_docs, reason = "each is named after its C type")]
pub enum Kind {
    Reactor = 1,
    DelayedCall,
    Trigger,
    Watcher,
    Deferred,
    Failure,
    Results,
    Lock,
    Semaphore,
    Queue,
    LoopingCall,
    Cooperator,
    CooperativeTask,
    ThreadPool,
    Scope,
    Simulation,
    Network,
    Listener,
    Transport,
    DatagramPort,
    LookUp,
    Addresses,
    Resolver,
    Connecting,
    ReconnectingClient,
    ConnectionPool,
    ReactorGroup,
    File,
    Directory,
    Bytes,
    DirectoryEntries,
    FileInfo,
    Process,
    ProcessOutput,
    Signals,
    SignalWatch,
    FileWatches,
    FileWatch,
    TlsConfiguration,
    HttpAgent,
    HttpExchange,
    HttpResponse,
    HttpServer,
    HttpRequest,
    HttpRouter,
    WebSocket,
    WebSocketHandshake,
}

/// How many kinds there are, the unused zero included.
pub const KINDS: usize = 48;
