//! The thread pool: work that may block, away from the loop.

pub mod blocking;
pub mod job;
pub mod pool;
