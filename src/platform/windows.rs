//! Windows: the same questions; there is no fork.

/// A socket, as the platform names it.
pub type Socket = usize;

/// The monotonic clock in nanoseconds: it does not jump with the wall clock.
pub fn monotonic_nanoseconds() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    // One second ahead, so that no time is zero.
    START.get_or_init(std::time::Instant::now).elapsed().as_nanos() as u64 + 1_000_000_000
}

/// There is no fork, so nothing needs wiping.
pub fn wipe_on_fork<T>(_memory: &'static T) {}

/// Never called: there is no fork.
pub fn at_fork_in_child(_child: extern "C" fn()) {}

/// Every thread of the process passes a full memory barrier before this returns.
pub fn barrier_all_threads() -> bool {
    // SAFETY: takes nothing, returns nothing, and is there since Windows Vista.
    unsafe { windows_sys::Win32::System::Threading::FlushProcessWriteBuffers() };
    true
}

/// The allocator does as well here.
pub fn map_memory(_size: usize) -> *mut u8 {
    std::ptr::null_mut()
}

/// Nothing to tell.
pub fn will_write(_start: *mut u8, _size: usize) {}

/// There are no signals to block.
pub fn with_signals_blocked<R>(spawn: impl FnOnce() -> R) -> R {
    spawn()
}

/// Interfaces go by their numbers here.
pub fn interface_index(_name: &str) -> Option<u32> {
    None
}
