//! Scopes: what belongs together ends together.

use super::guard;
use super::status::lariat_status;
use super::types::*;
use crate::reactor::scopes;

/// Makes a scope: an empty group, itself a member of the scope that is entered.
///
/// returns  the scope, to be freed by lariat_scope_free or with the reactor; NULL on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_scope_new(reactor: *mut lariat_reactor) -> *mut lariat_scope {
    guard::on(reactor, scopes::open)
}

/// Has what is made from here on join the scope, until lariat_scope_leave or the return of the callback that entered
/// it. Enters nest. What is made in a callback of a member joins its scope by itself.
///
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_scope_enter(scope: *mut lariat_scope) -> lariat_status {
    guard::on(scope, scopes::enter)
}

/// Goes back to the scope that was entered before.
///
/// errors  LARIAT_ERR_INVALID_STATE unless the scope is the one entered last.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_scope_leave(scope: *mut lariat_scope) -> lariat_status {
    guard::on(scope, scopes::leave)
}

/// Ends all that is in the scope: cancels its Deferreds, drops its calls, stops its watchers, frees its locks and the
/// like, takes its callbacks off Deferreds outside, and waits for its running jobs, options.shutdown_seconds at most.
/// After this has returned none of its functions is called again. The scope is empty then, and may be used again.
///
/// errors  LARIAT_ERR_BUSY inside a callback of its own.
/// thread  the reactor's. What ends is told before this returns.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_scope_end(scope: *mut lariat_scope) -> lariat_status {
    guard::on(scope, scopes::end)
}

/// Ends all that is in the scope, as lariat_scope_end does, and the scope: its handle is stale from here on.
///
/// errors  LARIAT_ERR_BUSY inside a callback of its own.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_scope_free(scope: *mut lariat_scope) -> lariat_status {
    guard::on(scope, scopes::free)
}
