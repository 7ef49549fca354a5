//! Several Deferreds as one, and the results that come of it.

use super::convert::{self, invalid};
use super::guard::{self, HandleOf, Index};
use super::status::lariat_status;
use super::types::*;
use crate::deferred::failure::Failure;
use crate::deferred::{combine, results};
use std::ffi::c_void;

/// A list fires with the first value that comes, its index told by lariat_results_index.
pub const LARIAT_LIST_FIRE_ON_ONE_SUCCESS: i32 = 1;
/// A list fails with the first failure that comes, its index told by lariat_failure_index.
pub const LARIAT_LIST_FIRE_ON_ONE_FAILURE: i32 = 2;
/// A list handles the failures of its elements; without this they are reported as unhandled, too.
pub const LARIAT_LIST_CONSUME_FAILURES: i32 = 4;

const FLAGS: i32 = LARIAT_LIST_FIRE_ON_ONE_SUCCESS | LARIAT_LIST_FIRE_ON_ONE_FAILURE | LARIAT_LIST_CONSUME_FAILURES;

const _: () = assert!(
    LARIAT_LIST_FIRE_ON_ONE_SUCCESS == combine::ONE_SUCCESS
        && LARIAT_LIST_FIRE_ON_ONE_FAILURE == combine::ONE_FAILURE
        && LARIAT_LIST_CONSUME_FAILURES == combine::CONSUME
);

/// Waits for several Deferreds: fires with a lariat_results that has the value or the failure of each, in the order
/// given, whatever order they came in. An empty list fires at once, except when it waits for one success. Cancelling
/// it cancels those that have not fired.
///
/// deferreds  of the reactor; handed over: released for the caller, all of them, or none when this fails. May be NULL
///            if count is 0.
/// count      how many there are.
/// flags      0, or some of LARIAT_LIST_FIRE_ON_ONE_SUCCESS, _FIRE_ON_ONE_FAILURE and _CONSUME_FAILURES.
/// returns    the Deferred; NULL on failure.
/// errors     of an element, which the message names: those of its handle, LARIAT_ERR_RELEASED,
///            LARIAT_ERR_ALREADY_WAITED (also when it is in the list twice), LARIAT_ERR_WRONG_REACTOR.
/// thread     the reactor's.
/// Twisted    DeferredList.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_list(
    reactor: *mut lariat_reactor,
    deferreds: *const *mut lariat_deferred,
    count: usize,
    flags: i32,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| {
        if flags & !FLAGS != 0 {
            return Err(invalid(format_args!("flags is {flags}, of which {} is no flag", flags & !FLAGS)));
        }
        combine::list(reactor, convert::handle_array("deferreds", deferreds, count)?, flags)
    })
}

/// Waits for the values of several Deferreds: fires with a lariat_results that has them in the order given, or fails
/// with the first failure that comes, its index told by lariat_failure_index. All failures count as handled. An empty
/// one fires at once. Cancelling it cancels those that have not fired.
///
/// deferreds  of the reactor; handed over: released for the caller, all of them, or none when this fails. May be NULL
///            if count is 0.
/// count      how many there are.
/// returns    the Deferred; NULL on failure.
/// errors     as lariat_deferred_list.
/// thread     the reactor's.
/// Twisted    gatherResults.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_gather(
    reactor: *mut lariat_reactor,
    deferreds: *const *mut lariat_deferred,
    count: usize,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| combine::gather(reactor, convert::handle_array("deferreds", deferreds, count)?))
}

/// Waits for the first value of several Deferreds and cancels the others: fires with a lariat_results that has it
/// alone, its index told by lariat_results_index. If all fail it fails with LARIAT_ERR_ALL_FAILED, and
/// lariat_failure_results tells why. All failures count as handled. Cancelling it cancels those that have not fired.
///
/// deferreds  of the reactor; handed over: released for the caller, all of them, or none when this fails. May be NULL
///            if count is 0.
/// count      how many there are.
/// returns    the Deferred; NULL on failure.
/// errors     as lariat_deferred_list.
/// thread     the reactor's.
/// Twisted    race.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_deferred_race(
    reactor: *mut lariat_reactor,
    deferreds: *const *mut lariat_deferred,
    count: usize,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| combine::race(reactor, convert::handle_array("deferreds", deferreds, count)?))
}

/// Tells how many results there are. They live as long as the Deferred whose value they are, or, once they are taken,
/// until lariat_results_free.
///
/// returns  the count; 0 on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_results_count(results: *const lariat_results) -> usize {
    guard::on(results, |results| Ok(results.count()))
}

/// Tells whether an element has a value, not a failure.
///
/// index    0 to lariat_results_count - 1.
/// returns  1 or 0; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_results_success(results: *const lariat_results, index: usize) -> i32 {
    guard::on(results, |results| results.is_success(index))
}

/// Gives the value of an element, which stays the results'.
///
/// index    0 to lariat_results_count - 1.
/// returns  the value; NULL if it is NULL, if there is a failure, or on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_results_value(results: *const lariat_results, index: usize) -> *mut c_void {
    guard::on(results, |results| results.value(index))
}

/// Gives the failure of an element, which stays the results'.
///
/// index    0 to lariat_results_count - 1.
/// returns  the failure; NULL if there is a value, or on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_results_failure(results: *const lariat_results, index: usize) -> *const lariat_failure {
    guard::on(results, |results| results.failure(index).map(HandleOf::<Failure>::new))
}

/// Takes the value of an element out of the library's hands: it will not free it any more. It is still told by
/// lariat_results_value.
///
/// index    0 to lariat_results_count - 1.
/// returns  the value, now the caller's; NULL if it is NULL, if there is a failure, or on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_results_take(results: *mut lariat_results, index: usize) -> *mut c_void {
    guard::on(results, |results| results.take(index))
}

/// Tells which element of a race, or of a list that fires on one success, the only result is of.
///
/// returns  the index in the order given; -1 for all other results, and on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_results_index(results: *const lariat_results) -> i64 {
    guard::on(results, |results| Ok(Index((*results).index())))
}

/// Frees results that were taken by lariat_deferred_take or lariat_results_take, with the values that nobody took.
/// Those that were not taken are the library's to free.
///
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_results_free(results: *mut lariat_results) -> lariat_status {
    guard::on(results, results::free_taken)
}
