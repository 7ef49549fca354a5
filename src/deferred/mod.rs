//! The Deferred: a result that is not there yet, and the callbacks that wait for it. Above it: what is made of Deferreds.

pub mod cancel;
pub mod chain;
pub mod combine;
pub mod cooperator;
pub mod failure;
pub mod gate;
pub mod later;
pub mod looping_call;
pub mod outcome;
pub mod queue;
pub mod results;
mod slot;
pub mod triggers;

pub use slot::{Deferred, DeferredItem};
