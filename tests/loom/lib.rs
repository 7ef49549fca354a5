//! As much of the library as its models under loom need, each file where it stands in the library.
#![cfg(all(loom, test))]
#![allow(dead_code, unused_imports)]

#[path = "../../src/handles/foreign.rs"]
mod handles;
#[path = "../../src/reactor/thread_queue/mod.rs"]
mod thread_queue;
