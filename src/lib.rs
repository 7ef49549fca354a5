//! lariat: the reactor and the Deferred, behind a C ABI.
#![allow(dead_code)]
pub mod deferred;
pub mod driver;
pub mod ffi;
pub mod handles;
pub mod platform;
pub mod reactor;
pub mod status;
pub mod threads;
