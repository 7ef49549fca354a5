//! What the library asks of the operating system and the processor directly. Each platform supplies the same functions;
//! everything here is safe to call.

mod errors;
pub use errors::{SystemError, system_error};
#[cfg(unix)]
mod children;
#[cfg(unix)]
pub use children::*;
mod command;
pub use command::*;
mod watch_files;
pub use watch_files::*;
mod names;
pub use names::{NameError, look_up};
#[cfg(unix)]
mod datagrams;
#[cfg(unix)]
pub use datagrams::*;
#[cfg(unix)]
pub mod descriptors;
#[cfg(unix)]
mod files;
#[cfg(unix)]
pub use files::*;
#[cfg(unix)]
mod signals;
#[cfg(unix)]
pub use signals::*;
#[cfg(unix)]
mod sockets;
#[cfg(unix)]
pub use sockets::*;
#[cfg(unix)]
mod spawn;
#[cfg(unix)]
pub use spawn::spawn;
#[cfg(unix)]
mod spawn_child;
#[cfg(unix)]
pub mod terminals;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::*;
#[cfg(windows)]
mod windows_children;
#[cfg(windows)]
pub use windows_children::*;
#[cfg(windows)]
mod windows_datagrams;
#[cfg(windows)]
pub use windows_datagrams::*;
#[cfg(windows)]
#[path = "windows_descriptors.rs"]
pub mod descriptors;
#[cfg(windows)]
#[path = "windows_terminals.rs"]
pub mod terminals;
#[cfg(windows)]
mod windows_files;
#[cfg(windows)]
pub use windows_files::*;
#[cfg(windows)]
mod windows_signals;
#[cfg(windows)]
pub use windows_signals::*;
#[cfg(windows)]
mod windows_sockets;
#[cfg(windows)]
pub use windows_sockets::*;

/// A word that tells threads apart, the cheapest there is: the thread pointer where the processor keeps one.
#[inline(always)]
pub fn thread_word() -> usize {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    {
        let word: usize;
        // SAFETY: on x86-64 Linux fs:0 holds the thread pointer itself in every thread; reading it has no effect, and
        // no memory that Rust knows of is read.
        unsafe {
            core::arch::asm!("mov {}, fs:0", out(reg) word, options(nostack, preserves_flags, pure, nomem));
        }
        word
    }
    #[cfg(all(target_arch = "aarch64", target_os = "linux"))]
    {
        let word: usize;
        // SAFETY: tpidr_el0 is readable in user mode and is the thread pointer on Linux.
        unsafe {
            core::arch::asm!("mrs {}, tpidr_el0", out(reg) word, options(nostack, preserves_flags, pure, nomem));
        }
        word
    }
    #[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_os = "linux")))]
    {
        thread_local!(static WORD: u8 = const { 0 });
        WORD.try_with(|word| std::ptr::from_ref(word).addr()).unwrap_or(usize::MAX)
    }
}

/// Asks the processor to fetch the cache line of `place`; a hint, nothing else.
#[inline(always)]
pub fn prefetch<T>(place: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch never faults, whatever the address.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(place.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}
