//! Simulations: several reactors, one clock, no kernel.

use super::convert;
use super::guard;
use super::status::lariat_status;
use super::types::{lariat_simulation, lariat_socket};
use super::watcher::readiness;
use crate::reactor::simulation;

/// Makes a simulation of the calling thread: a world with one clock, at 0, in which everything that is left to chance
/// follows from the seed. Reactors join it by lariat_reactor_options.
///
/// seed     any number; the same program with the same seed does the same.
/// returns  the simulation, to be freed by lariat_simulation_free; NULL on failure.
/// thread   any: it becomes the simulation's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_simulation_new(seed: u64) -> *mut lariat_simulation {
    guard::alone(|| {
        guard::quiet_panics();
        simulation::open(seed)
    })
}

/// Ends a simulation whose reactors are all freed; its handle is stale from here on.
///
/// errors  LARIAT_ERR_BUSY while a reactor of it is alive.
/// thread  the simulation's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_simulation_free(simulation: *mut lariat_simulation) -> lariat_status {
    guard::ending(simulation, simulation::free, |_, why| Err(why))
}

/// Runs all reactors of a simulation, starting those that have not started, until so much simulated time has passed.
/// The clock jumps from deadline to deadline; what is due at the same instant happens in an order from the seed.
///
/// seconds  0 to 1e9.
/// errors   LARIAT_ERR_REENTRANT while it is running further up the stack.
/// thread   the simulation's. All callbacks of its reactors come from here.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_simulation_run(simulation: *mut lariat_simulation, seconds: f64) -> lariat_status {
    guard::on(simulation, |simulation| simulation::run(simulation, convert::delay("seconds", seconds)?))
}

/// Runs all reactors of a simulation, starting those that have not started, until none has anything left to do.
///
/// errors  LARIAT_ERR_REENTRANT while it is running further up the stack.
/// thread  the simulation's. All callbacks of its reactors come from here.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_simulation_run_until_idle(simulation: *mut lariat_simulation) -> lariat_status {
    guard::on(simulation, simulation::run_until_idle)
}

/// Tells the simulated time.
///
/// returns  seconds since the beginning; NaN on failure.
/// thread   the simulation's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_simulation_seconds(simulation: *mut lariat_simulation) -> f64 {
    guard::on(simulation, |simulation| Ok(convert::seconds(simulation.world().now())))
}

/// Tells a hash of all that happened so far: two runs that differ anywhere have different ones.
///
/// returns  the hash; 0 on failure.
/// thread   the simulation's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_simulation_trace_hash(simulation: *mut lariat_simulation) -> u64 {
    guard::on(simulation, |simulation| Ok(simulation.world().trace_hash()))
}

/// Makes up a descriptor, ready for nothing, for reactors of the simulation to watch.
///
/// descriptor  written: a number that no descriptor of the system has.
/// thread      the simulation's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_simulation_descriptor_new(
    simulation: *mut lariat_simulation,
    descriptor: *mut lariat_socket,
) -> lariat_status {
    guard::on(simulation, |simulation| {
        let descriptor = convert::out("descriptor", descriptor)?;
        descriptor.write(simulation.world().new_descriptor());
        Ok(())
    })
}

/// Makes a descriptor of the simulation ready, or not any more. Its watcher is told on a turn of its reactor.
///
/// descriptor  one made by lariat_simulation_descriptor_new.
/// readiness   LARIAT_READABLE, LARIAT_WRITABLE, both or 0.
/// errors      LARIAT_ERR_OS for a descriptor that is not the simulation's.
/// thread      the simulation's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_simulation_descriptor_set_ready(
    simulation: *mut lariat_simulation,
    descriptor: lariat_socket,
    readiness: i32,
) -> lariat_status {
    guard::on(simulation, |simulation| {
        simulation.world().set_ready(descriptor, self::readiness("readiness", readiness)?)
    })
}

/// Forgets a descriptor of the simulation; a watcher of it is told nothing more.
///
/// descriptor  one made by lariat_simulation_descriptor_new.
/// errors      LARIAT_ERR_OS for a descriptor that is not the simulation's.
/// thread      the simulation's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_simulation_descriptor_close(
    simulation: *mut lariat_simulation,
    descriptor: lariat_socket,
) -> lariat_status {
    guard::on(simulation, |simulation| simulation.world().close_descriptor(descriptor))
}
