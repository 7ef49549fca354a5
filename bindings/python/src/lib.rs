//! lariat for Python: what the package's Python files build on. The functions called are those of the C ABI, with the
//! types that `include/lariat.h` is generated from.
//!
//! The interpreter's lock stands for every other one: it is held in each method and in each callback from the library,
//! and let go of by the reactor's wait alone.

#![allow(non_local_definitions, reason = "what pyo3's macros make")]

mod call;
mod classes;
mod datagram;
mod deferred;
mod errors;
mod home;
mod level;
mod link;
mod listener;
mod locked;
mod process;
mod reactor;
mod slots;
mod stream;
mod threads;
mod timers;
mod triggers;
mod watch;

use pyo3::prelude::*;

#[pymodule(name = "_lariat", gil_used = true)]
mod module {
    #[pymodule_export]
    use super::classes::{_set_classes, _set_debugging};
    #[pymodule_export]
    use super::deferred::{Awaiting, Deferred};
    #[pymodule_export]
    use super::home::_alive;
    #[pymodule_export]
    use super::reactor::Reactor;
    #[pymodule_export]
    use super::threads::_end_threads;
    #[pymodule_export]
    use super::timers::DelayedCall;
    #[pymodule_export]
    use super::triggers::Trigger;
    #[pymodule_export]
    use super::{
        datagram::DatagramPort, listener::Listener, process::Process, stream::Stream, watch::LookUp,
        watch::SignalWatch, watch::Watcher,
    };
}
