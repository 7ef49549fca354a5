//! Starting child processes. What the child needs is made ready before; between its birth and its program it does
//! nothing but system calls.
//!
//! On Linux the child borrows the parent's memory until its program begins, as vfork and posix_spawn do: that takes as
//! long in a large process as in a small one. It reports nothing to the host's SIGCHLD handler before that, so that one
//! that cannot be started is never seen by anybody. Where memory is not shared after all (under valgrind and other
//! emulators), where the child is to be another user's, and on other systems, it is a fork with a pipe for its errors.

use super::children::Child;
use super::command::{Command, SpawnError};
use super::spawn_child::{Report, Start, child_main};
use std::cell::Cell;
use std::ffi::{CString, c_char, c_int};
use std::io;
use std::ptr;
#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicU8, Ordering};

/// Starts a child. When this returns, its program has begun, or it is known why not and nothing of it is left.
pub fn spawn(command: &Command) -> Result<Child, SpawnError> {
    let pointers = |texts: &[CString]| texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect::<Vec<_>>();
    let candidates = pointers(&command.candidates);
    let arguments = pointers(&command.arguments);
    let environment = command.environment.as_deref().map(pointers);
    let mut descriptors = command.descriptors.clone();
    descriptors.sort_unstable();
    let report = Report::default();
    let start = Start {
        candidates: &candidates[..candidates.len() - 1],
        arguments: arguments.as_ptr(),
        environment: environment.as_ref().map_or_else(own_environment, |environment| environment.as_ptr()),
        directory: command.directory.as_ref().map_or(ptr::null(), |directory| directory.as_ptr()),
        descriptors: descriptors.as_mut_ptr(),
        descriptor_count: descriptors.len(),
        new_session: command.new_session,
        new_group: command.new_group,
        takes_terminal: command.takes_terminal,
        user: command.user,
        group: command.group,
        report: &report,
        errors: Cell::new(-1),
    };
    let changes_identity = command.user.is_some() || command.group.is_some();
    with_everything_blocked(|| start_child(start, changes_identity))
}

/// The parent's environment, where the C library keeps it.
fn own_environment() -> *const *const c_char {
    #[cfg(target_vendor = "apple")]
    // SAFETY: gives the place of the pointer, which is always there.
    return unsafe { (*libc::_NSGetEnviron()).cast_const().cast() };
    #[cfg(not(target_vendor = "apple"))]
    {
        unsafe extern "C" {
            static environ: *const *const c_char;
        }
        // SAFETY: the C library's own pointer; whoever changes the environment meanwhile breaks every getenv, too.
        unsafe { environ }
    }
}

/// No handler of the host runs in the child, which shares its memory; the child lets signals through again.
fn with_everything_blocked<R>(call: impl FnOnce() -> R) -> R {
    #[cfg(target_os = "linux")]
    {
        // Past the C library, which leaves out signals of its own.
        let (all, mut before) = (u64::MAX, 0_u64);
        // SAFETY: both masks live for the call and have the size given; the mask is this thread's own.
        let set = |mask: *const u64, before: *mut u64| unsafe {
            libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, mask, before, size_of::<u64>()) == 0
        };
        let blocked = set(&all, &mut before);
        let result = call();
        if blocked {
            set(&before, ptr::null_mut());
        }
        result
    }
    #[cfg(not(target_os = "linux"))]
    super::with_signals_blocked(call)
}

/// Whether a child that is to share the parent's memory does: 0 not known, 1 yes, 2 no.
#[cfg(target_os = "linux")]
static SHARES: AtomicU8 = AtomicU8::new(0);

#[cfg(target_os = "linux")]
fn start_child(start: Start<'_>, changes_identity: bool) -> Result<Child, SpawnError> {
    // One that becomes another user's must not share memory with us: it could be looked into, and we would lose our
    // right to dump core.
    let shares = if changes_identity || forks() { 2 } else { SHARES.load(Ordering::Relaxed) };
    if shares == 2 {
        return fork_child(start);
    }
    // The first time, the errors come by a pipe as well.
    let mut pipe = if shares == 0 { Some(ErrorPipe::new()?) } else { None };
    start.errors.set(pipe.as_ref().map_or(-1, |pipe| pipe.write));
    let child = match clone_child(&start) {
        Ok(child) => child,
        Err(_) if shares == 0 => {
            // Such a clone is not to be had here.
            SHARES.store(2, Ordering::Relaxed);
            return fork_child(start);
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(mut pipe) = pipe.take() {
        let shared = start.report.was_reached();
        SHARES.store(if shared { 1 } else { 2 }, Ordering::Relaxed);
        if !shared {
            pipe.read_into(start.report);
        }
    }
    ended_well(child, start.report)
}

#[cfg(not(target_os = "linux"))]
fn start_child(start: Start<'_>, _changes_identity: bool) -> Result<Child, SpawnError> {
    fork_child(start)
}

/// Whether a test asks for forks.
#[cfg(target_os = "linux")]
fn forks() -> bool {
    cfg!(feature = "testing") && std::env::var_os("LARIAT_TEST_SPAWN_FORKS").is_some()
}

/// What the child has reported is the answer; one that could not begin has ended.
fn ended_well(child: Child, report: &Report) -> Result<Child, SpawnError> {
    let Some((step, descriptor, errno)) = report.failure() else { return Ok(child) };
    child.wait_for_end();
    Err(SpawnError { step, descriptor, error: io::Error::from_raw_os_error(errno) })
}

/// A child with a copy of the parent's memory.
fn fork_child(start: Start<'_>) -> Result<Child, SpawnError> {
    let mut pipe = ErrorPipe::new()?;
    start.errors.set(pipe.write);
    let child = fork(&start)?;
    pipe.read_into(start.report);
    ended_well(child, start.report)
}

/// Without the C library's handlers of fork, for this child never returns to the host's code; and without a signal to
/// the host before its program begins.
#[cfg(target_os = "linux")]
fn fork(start: &Start<'_>) -> io::Result<Child> {
    let mut descriptor: c_int = -1;
    // SAFETY: without memory shared and without a stack given it is a fork; the kernel writes the descriptor to the
    // place given. The child makes system calls alone, and never returns.
    let pid = unsafe {
        libc::syscall(libc::SYS_clone, libc::CLONE_PIDFD as libc::c_ulong, 0_usize, &mut descriptor, 0_usize, 0_usize)
    };
    match pid {
        0 => run_child(start),
        -1 => match io::Error::last_os_error() {
            // An emulator that knows no such child.
            why if why.raw_os_error() == Some(libc::EINVAL) => plain_fork(start),
            why => Err(why),
        },
        pid => Ok(Child::new(pid as libc::pid_t, descriptor)),
    }
}

#[cfg(not(target_os = "linux"))]
fn fork(start: &Start<'_>) -> io::Result<Child> {
    plain_fork(start)
}

fn plain_fork(start: &Start<'_>) -> io::Result<Child> {
    // SAFETY: the child makes system calls alone, and never returns.
    match unsafe { libc::fork() } {
        0 => run_child(start),
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(Child::new(pid, -1)),
    }
}

fn run_child(start: &Start<'_>) -> ! {
    let status = child_main(ptr::from_ref(start).cast_mut().cast());
    // SAFETY: ends the process without running anything of it.
    unsafe { libc::_exit(status) }
}

/// A child that borrows the parent's memory; the parent's thread rests until its program begins, or it has ended.
#[cfg(target_os = "linux")]
fn clone_child(start: &Start<'_>) -> io::Result<Child> {
    const STACK: usize = 64 * 1024;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
    // SAFETY: a new private anonymous mapping, wherever there is room.
    let stack = unsafe { libc::mmap(ptr::null_mut(), STACK, protection, flags, -1, 0) };
    if stack == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let mut descriptor: c_int = -1;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD;
    let argument = ptr::from_ref(start).cast_mut().cast();
    // SAFETY: the stack is the child's alone, and its end is aligned to a page. What it is given lives until this
    // returns, which is not before the child has left this memory. The kernel writes the descriptor to the place given.
    let pid = unsafe {
        let top = stack.cast::<u8>().add(STACK).cast();
        libc::clone(child_main, top, flags, argument, &mut descriptor as *mut c_int)
    };
    let error = io::Error::last_os_error();
    // SAFETY: the mapping made above, which the child has left.
    unsafe { libc::munmap(stack, STACK) };
    if pid < 0 { Err(error) } else { Ok(Child::new(pid, descriptor)) }
}

/// Carries a child's error to its parent; it ends without one when the program begins.
struct ErrorPipe {
    read: c_int,
    write: c_int,
}

impl ErrorPipe {
    fn new() -> io::Result<Self> {
        let (read, write) = super::children::pipe()?;
        Ok(Self { read, write })
    }

    /// Waits until the child has written, or its program has begun.
    fn read_into(&mut self, report: &Report) {
        super::close_file(std::mem::replace(&mut self.write, -1));
        let mut words = [0_i32; 3];
        loop {
            let size = size_of_val(&words);
            // SAFETY: room for as many bytes as are asked for; a pipe carries so few in one piece.
            let length = unsafe { libc::read(self.read, words.as_mut_ptr().cast(), size) };
            if length == size as isize {
                return report.fill(words);
            }
            if length >= 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                return;
            }
        }
    }
}

impl Drop for ErrorPipe {
    fn drop(&mut self) {
        [self.read, self.write].into_iter().filter(|end| *end >= 0).for_each(super::close_file);
    }
}

#[cfg(test)]
#[path = "spawn_tests.rs"]
mod tests;
