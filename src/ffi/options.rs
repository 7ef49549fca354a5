//! What a reactor is made with.

use super::convert::{self, invalid};
use super::guard;
use super::status::lariat_status;
use super::structs::{self, Versioned, fields};
use super::types::*;
use crate::handles::{self, Item, Word};
use crate::reactor::hooks::{self, Hook, Hooks};
use crate::reactor::simulation::Simulation;
use crate::reactor::{Limits, Seam};
use crate::status::Result;
use std::ffi::{c_char, c_void};

/// The real driver: epoll, kqueue, or Windows' AFD.
pub const LARIAT_DRIVER_MIO: i32 = 0;
/// No kernel: the reactor is one of options.simulation's.
pub const LARIAT_DRIVER_SIMULATED: i32 = 1;
/// The system's monotonic clock, or the simulation's.
pub const LARIAT_CLOCK_REAL: i32 = 0;
/// A clock at 0 that lariat_reactor_advance alone moves; polls never wait, and lariat_reactor_run is refused.
pub const LARIAT_CLOCK_MANUAL: i32 = 1;

/// Something went wrong that no call could answer for: an unhandled failure, a trigger that failed, a panic.
pub const LARIAT_LOG_ERROR: i32 = 1;
/// Something may go wrong: a slow callback.
pub const LARIAT_LOG_WARNING: i32 = 2;
/// Something worth knowing.
pub const LARIAT_LOG_INFO: i32 = 3;

const _: () = assert!(LARIAT_LOG_ERROR == hooks::ERROR && LARIAT_LOG_WARNING == hooks::WARNING);

/// How a reactor is made: to be filled by lariat_reactor_options_init, changed, and given to
/// lariat_reactor_new_with_options, which copies it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_reactor_options {
    /// Set by lariat_reactor_options_init.
    pub struct_size: u32,
    /// LARIAT_DRIVER_MIO (default) or LARIAT_DRIVER_SIMULATED.
    pub driver: i32,
    /// LARIAT_CLOCK_REAL (default) or LARIAT_CLOCK_MANUAL.
    pub clock: i32,
    /// Pool threads at most; 0: 10 (default).
    pub thread_pool_size: u32,
    /// A pool thread without work ends after so many seconds, or INFINITY; default 30.
    pub thread_idle_seconds: f64,
    /// Seconds that lariat_reactor_free and lariat_scope_end wait for running jobs at most, or INFINITY; default 5.
    pub shutdown_seconds: f64,
    /// A callback that takes longer is reported to slow_callback; 0: none is (default).
    pub slow_callback_seconds: f64,
    /// How many seconds to look for work before the thread sleeps; 0: it sleeps at once (default).
    pub spin_seconds: f64,
    /// Events that wait to be taken, at which watchers pause; 0: 1024 (default).
    pub max_events: u32,
    /// Jobs that wait or run at most; 0: no limit (default).
    pub max_jobs: u32,
    /// Delayed calls at most; 0: no limit (default).
    pub max_delayed_calls: u64,
    /// Deferreds at most; 0: no limit (default).
    pub max_deferreds: u64,
    /// The simulation of LARIAT_DRIVER_SIMULATED; else NULL (default).
    pub simulation: *mut lariat_simulation,
    /// The name of this reactor's host in the simulation, UTF-8; may be NULL: "localhost".
    pub host: *const c_char,
    /// Told what the library has to say; may be NULL: nobody is (default).
    pub log: lariat_log_fn,
    /// For log; may be NULL.
    pub log_user_data: *mut c_void,
    /// May be NULL; called once, when the reactor is freed or could not be made.
    pub free_log_user_data: lariat_free_fn,
    /// Told of slow callbacks; may be NULL: log is told (default).
    pub slow_callback: lariat_slow_fn,
    /// For slow_callback; may be NULL.
    pub slow_user_data: *mut c_void,
    /// May be NULL; called once, when the reactor is freed or could not be made.
    pub free_slow_user_data: lariat_free_fn,
    /// Told of failures that nobody handled; may be NULL: log is told (default).
    pub unhandled_failure: lariat_unhandled_fn,
    /// For unhandled_failure; may be NULL.
    pub unhandled_user_data: *mut c_void,
    /// May be NULL; called once, when the reactor is freed or could not be made.
    pub free_unhandled_user_data: lariat_free_fn,
}

// SAFETY: repr(C), begins with struct_size, and holds numbers, pointers and optional functions.
unsafe impl Versioned for lariat_reactor_options {
    const FIELDS: &'static [usize] = fields!(lariat_reactor_options:
        struct_size driver clock thread_pool_size thread_idle_seconds shutdown_seconds slow_callback_seconds
        spin_seconds max_events max_jobs max_delayed_calls max_deferreds simulation host
        log log_user_data free_log_user_data
        slow_callback slow_user_data free_slow_user_data
        unhandled_failure unhandled_user_data free_unhandled_user_data);

    fn initial(struct_size: u32) -> Self {
        let limits = Limits::default();
        Self {
            struct_size,
            driver: LARIAT_DRIVER_MIO,
            clock: LARIAT_CLOCK_REAL,
            thread_pool_size: limits.pool_threads,
            thread_idle_seconds: convert::seconds(limits.pool_idle),
            shutdown_seconds: convert::seconds(limits.shutdown),
            slow_callback_seconds: 0.0,
            spin_seconds: 0.0,
            max_events: limits.events,
            max_jobs: 0,
            max_delayed_calls: 0,
            max_deferreds: 0,
            simulation: std::ptr::null_mut(),
            host: std::ptr::null(),
            log: None,
            log_user_data: std::ptr::null_mut(),
            free_log_user_data: None,
            slow_callback: None,
            slow_user_data: std::ptr::null_mut(),
            free_slow_user_data: None,
            unhandled_failure: None,
            unhandled_user_data: std::ptr::null_mut(),
            free_unhandled_user_data: None,
        }
    }
}

/// Fills the options with the defaults.
///
/// options      written.
/// struct_size  sizeof(lariat_reactor_options).
/// thread       any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_options_init(options: *mut lariat_reactor_options, struct_size: u32) -> lariat_status {
    guard::alone(|| structs::init("options", options, struct_size))
}

impl lariat_reactor_options {
    /// The hooks, which own their user data from here on. User data without a function is freed at once.
    pub(super) fn hooks(&self) -> Hooks {
        let log = convert::owned(self.log_user_data, self.free_log_user_data);
        let slow = convert::owned(self.slow_user_data, self.free_slow_user_data);
        let unhandled = convert::owned(self.unhandled_user_data, self.free_unhandled_user_data);
        Hooks {
            log: Some(Hook(convert::log_fn(self.log), log)),
            slow: Some(Hook(convert::slow_fn(self.slow_callback), slow)),
            unhandled: Some(Hook(convert::unhandled_fn(self.unhandled_failure), unhandled)),
        }
    }

    pub(super) fn limits(&self) -> Result<Limits> {
        let defaults = Limits::default();
        let or = |number: u32, default: u32| if number == 0 { default } else { number };
        let nanoseconds = |name, seconds| Ok(convert::wait(name, seconds)?.unwrap_or(u64::MAX));
        Ok(Limits {
            pool_threads: or(self.thread_pool_size, defaults.pool_threads),
            pool_idle: nanoseconds("thread_idle_seconds", self.thread_idle_seconds)?,
            jobs: self.max_jobs,
            shutdown: nanoseconds("shutdown_seconds", self.shutdown_seconds)?,
            slow: nanoseconds("slow_callback_seconds", self.slow_callback_seconds)?,
            spin: nanoseconds("spin_seconds", self.spin_seconds)?,
            events: or(self.max_events, defaults.events),
        })
    }

    pub(super) fn seam(&self) -> Result<Seam> {
        match (self.driver, self.clock) {
            (LARIAT_DRIVER_MIO, LARIAT_CLOCK_REAL | LARIAT_CLOCK_MANUAL) if !self.simulation.is_null() => {
                Err(invalid("simulation is set, but driver is LARIAT_DRIVER_MIO"))
            }
            (LARIAT_DRIVER_MIO, LARIAT_CLOCK_REAL) => Ok(Seam::Real),
            (LARIAT_DRIVER_MIO, LARIAT_CLOCK_MANUAL) => Ok(Seam::Manual),
            (LARIAT_DRIVER_SIMULATED, LARIAT_CLOCK_REAL) => {
                let host = convert::text("host", self.host)?.unwrap_or("localhost").to_owned();
                Ok(Seam::Simulated(self.simulation()?, host))
            }
            (LARIAT_DRIVER_SIMULATED, LARIAT_CLOCK_MANUAL) => {
                Err(invalid("clock is LARIAT_CLOCK_MANUAL, but a simulated reactor has its simulation's"))
            }
            (LARIAT_DRIVER_MIO | LARIAT_DRIVER_SIMULATED, clock) => Err(invalid(format_args!("no clock is {clock}"))),
            (driver, _) => Err(invalid(format_args!("no driver is {driver}"))),
        }
    }

    fn simulation(&self) -> Result<Item<Simulation>> {
        handles::get(Word::new(self.simulation))
    }
}
