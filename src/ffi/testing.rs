//! What only the tests need: never part of an installed library, nor of its header.

use super::guard;
use super::status::lariat_status;
use super::types::*;
use crate::deferred::gate::{self, Lock, Semaphore};
use crate::deferred::queue::{self, Queue};
use crate::handles::{self, Body, Item, Word};
use crate::reactor::posts;
use crate::reactor::scopes::{self, Scope};
use crate::status::{Result, Status};
use std::ffi::c_void;

/// Panics inside the library, in a call on this reactor.
///
/// cbindgen:ignore
#[unsafe(no_mangle)]
pub extern "C" fn lariat_testing_panic(reactor: *mut lariat_reactor) -> lariat_status {
    guard::on(reactor, |_| -> Result { panic!("on demand") })
}

/// Panics inside the library on the reactor's next turn, between two callbacks.
///
/// cbindgen:ignore
#[unsafe(no_mangle)]
pub extern "C" fn lariat_testing_panic_later(reactor: *mut lariat_reactor) -> lariat_status {
    let message = |_| panic!("on demand, later");
    guard::any_thread(reactor, |reactor, _| posts::post_message(reactor, Box::new(message)))
}

/// Frees a lock, semaphore, queue or scope and moves the generation of its slot near this one.
///
/// cbindgen:ignore
#[unsafe(no_mangle)]
pub extern "C" fn lariat_testing_set_generation(handle: *mut c_void, generation: u32) -> lariat_status {
    guard::alone(|| {
        let handle = Word::new(handle);
        let of_each_kind = [
            set::<Lock>(handle, generation, gate::free),
            set::<Semaphore>(handle, generation, gate::free),
            set::<Queue>(handle, generation, queue::free),
            set::<Scope>(handle, generation, |scope| {
                let _ = scopes::free(scope);
            }),
        ];
        let other_kind = Err(Status::ERR_INVALID_HANDLE);
        of_each_kind.into_iter().find(|done| *done != other_kind).unwrap_or(other_kind)
    })
}

fn set<T: Body>(handle: Word, generation: u32, free: impl FnOnce(Item<T>)) -> Result {
    let item = handles::get::<T>(handle)?;
    free(item);
    handles::set_generation(item, generation);
    Ok(())
}
