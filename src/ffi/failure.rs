//! Failures: why there is no result.

use super::guard::{self, HandleOf, Index, OrZero, Text};
use super::status::lariat_status;
use super::types::*;
use crate::deferred::failure;
use crate::deferred::results::Results;
use std::ffi::{c_char, c_void};

/// Tells what kind of failure it is.
///
/// returns  negative: one of lariat's, LARIAT_ERR_CANCELLED and so on; positive: the program's own; 0 on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_failure_code(failure: *const lariat_failure) -> i32 {
    guard::on(failure, |failure| Ok(OrZero(failure.code())))
}

/// Tells the error number of the operating system behind a failure.
///
/// returns  errno, or what GetLastError gives on Windows; 0 if there is none, and on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_failure_os_error(failure: *const lariat_failure) -> i32 {
    guard::on(failure, |failure| Ok(OrZero(failure.os_error())))
}

/// Tells the code that the process ended with that a failure is about.
///
/// returns  0 to 255; -1 if it is about none, or that was ended by a signal, or how it ended is not known; another
///          negative number for a handle that is none.
/// thread   the reactor's.
/// Twisted  ProcessTerminated.exitCode.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_failure_exit_code(failure: *const lariat_failure) -> i32 {
    guard::on(failure, |failure| Ok(failure.exit_code().unwrap_or(-1)))
}

/// Tells the signal that the process was ended by that a failure is about.
///
/// returns  its number; 0 if there is none, and on failure.
/// thread   the reactor's.
/// Twisted  ProcessTerminated.signal.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_failure_exit_signal(failure: *const lariat_failure) -> i32 {
    guard::on(failure, |failure| Ok(OrZero(failure.exit_signal().unwrap_or(0))))
}

/// Tells in words what went wrong.
///
/// returns  text that lives as long as the failure; never NULL: for a handle that is none, words that say so.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_failure_message(failure: *const lariat_failure) -> *const c_char {
    guard::on(failure, |failure| Ok(Text(failure.message())))
}

/// Gives the payload that came with a failure, which stays the failure's.
///
/// returns  the payload; NULL if there is none, and on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_failure_payload(failure: *const lariat_failure) -> *mut c_void {
    guard::on(failure, |failure| Ok(failure.payload()))
}

/// Tells which element of a gather, or of a list that fails on one failure, the failure is of.
///
/// returns  the index in the order given; -1 for all other failures, and on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_failure_index(failure: *const lariat_failure) -> i64 {
    guard::on(failure, |failure| Ok(Index((*failure).index())))
}

/// Gives the results behind LARIAT_ERR_ALL_FAILED: why each element of the race failed. They stay the failure's.
///
/// returns  the results; NULL for all other failures, and on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_failure_results(failure: *const lariat_failure) -> *mut lariat_results {
    guard::on(failure, |failure| Ok(HandleOf::<Results>::new(failure.results())))
}

/// Keeps a failure alive beyond the callback that got it, until as many lariat_failure_release, or the reactor's end.
///
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_failure_keep(failure: *const lariat_failure) -> lariat_status {
    guard::on(failure, |failure| {
        failure::keep(failure.word());
        Ok(())
    })
}

/// Takes one lariat_failure_keep back.
///
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_failure_release(failure: *const lariat_failure) -> lariat_status {
    guard::on(failure, |failure| failure::release(failure.word()))
}
