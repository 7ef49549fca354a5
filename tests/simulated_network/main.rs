//! The simulated network by itself: programs on two hosts that call the driver, with no reactor between.

mod common;
mod connections;
mod datagrams;
mod faults;
mod transfer;
