//! What only the tests need: never part of an installed library, nor of its header.

use super::convert::invalid;
use super::guard;
use super::status::lariat_status;
use super::types::*;
use crate::deferred::chain;
use crate::handles;
use crate::reactor::timers;

/// Panics inside the library, in a call on this reactor.
///
/// cbindgen:ignore
#[unsafe(no_mangle)]
pub extern "C" fn lariat_testing_panic(reactor: *mut lariat_reactor) -> lariat_status {
    guard::on(reactor, |_| -> crate::status::Result { panic!("on demand") })
}

/// Cancels a delayed call and moves its slot's generation: the next delayed call has the next odd one after it.
///
/// cbindgen:ignore
#[unsafe(no_mangle)]
pub extern "C" fn lariat_testing_set_delayed_call_generation(
    delayed_call: *mut lariat_delayed_call,
    generation: u32,
) -> lariat_status {
    guard::on(delayed_call, |call| {
        timers::cancel(call)?;
        handles::set_generation(call, generation);
        Ok(())
    })
}

/// Ends a Deferred that has neither fired nor callbacks, and moves its slot's generation.
///
/// cbindgen:ignore
#[unsafe(no_mangle)]
pub extern "C" fn lariat_testing_set_deferred_generation(
    deferred: *mut lariat_deferred,
    generation: u32,
) -> lariat_status {
    guard::on(deferred, |deferred| {
        chain::callback(deferred, Default::default())?;
        chain::release(deferred)?;
        if deferred.is_alive() {
            return Err(invalid("the Deferred is still alive"));
        }
        handles::set_generation(deferred, generation);
        Ok(())
    })
}
