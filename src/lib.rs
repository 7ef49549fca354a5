//! lariat: the reactor and the Deferred, behind a C ABI.
pub mod deferred;
pub mod driver;
pub mod ffi;
pub mod files;
pub mod handles;
pub mod net;
pub mod platform;
pub mod process;
pub mod protocol;
pub mod reactor;
pub mod status;
pub mod threads;
