//! What a child does between its birth and its program: system calls, in its parent's memory or a copy of it. Nothing
//! here allocates, locks, panics or calls what does.

use super::Socket;
use super::command::Step;
use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// What the child tells its parent, where they share memory.
#[derive(Default)]
pub(super) struct Report {
    reached: AtomicBool,
    step: AtomicI32,
    descriptor: AtomicI32,
    errno: AtomicI32,
}

impl Report {
    /// Whether the child has written here, and not into a copy.
    #[cfg(target_os = "linux")]
    pub(super) fn was_reached(&self) -> bool {
        self.reached.load(Ordering::Acquire)
    }

    /// What the child has sent by a pipe.
    pub(super) fn fill(&self, [step, descriptor, errno]: [i32; 3]) {
        self.step.store(step, Ordering::Release);
        self.descriptor.store(descriptor, Ordering::Release);
        self.errno.store(errno, Ordering::Release);
    }

    /// Step, descriptor and error number of a child that could not begin.
    pub(super) fn failure(&self) -> Option<(Step, Socket, i32)> {
        let step = Step::from_number(self.step.load(Ordering::Acquire))?;
        Some((step, self.descriptor.load(Ordering::Acquire), self.errno.load(Ordering::Acquire)))
    }
}

/// What a child is told: pointers into what its parent keeps until the child's program has begun.
pub(super) struct Start<'a> {
    pub candidates: &'a [*const c_char],
    pub arguments: *const *const c_char,
    pub environment: *const *const c_char,
    pub directory: *const c_char,
    /// Their numbers and what they are now, in the order of their numbers; the child's to change.
    pub descriptors: *mut (Socket, Socket),
    pub descriptor_count: usize,
    pub new_session: bool,
    pub new_group: bool,
    pub takes_terminal: bool,
    pub user: Option<u32>,
    pub group: Option<u32>,
    pub report: &'a Report,
    /// Where errors are written, too; -1: nowhere.
    pub errors: Cell<c_int>,
}

/// A step that failed, about this descriptor, by this error.
type Failed = (Step, Socket, i32);

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

fn check(step: Step, answer: c_int) -> Result<c_int, Failed> {
    check_descriptor(step, -1, answer)
}

fn check_descriptor(step: Step, descriptor: Socket, answer: c_int) -> Result<c_int, Failed> {
    if answer < 0 { Err((step, descriptor, errno())) } else { Ok(answer) }
}

/// The whole of a child, from its birth on: returns what it ends with, when its program could not begin.
pub(super) extern "C" fn child_main(start: *mut c_void) -> c_int {
    // SAFETY: the parent gives a Start that it keeps until this child has ended or become another program.
    let start = unsafe { &*start.cast::<Start<'_>>() };
    start.report.reached.store(true, Ordering::Release);
    let (step, descriptor, errno) = become_program(start);
    start.report.fill([step as i32, descriptor, errno]);
    if start.errors.get() >= 0 {
        let words = [step as i32, descriptor, errno];
        // SAFETY: three words that live for the call. Nothing can be done if it fails.
        unsafe { libc::write(start.errors.get(), words.as_ptr().cast(), size_of_val(&words)) };
    }
    127
}

/// Returns only if that failed.
fn become_program(start: &Start<'_>) -> Failed {
    let prepared = prepare(start);
    prepared.map_or_else(|failed| failed, |()| (Step::Program, -1, execute(start)))
}

fn prepare(start: &Start<'_>) -> Result<(), Failed> {
    reset_signals();
    // SAFETY: these take no pointers, and change nothing but this process.
    unsafe {
        if start.new_session {
            check(Step::Session, libc::setsid())?;
        } else if start.new_group {
            check(Step::Group, libc::setpgid(0, 0))?;
        }
    }
    place_descriptors(start)?;
    if start.takes_terminal {
        // SAFETY: makes the terminal at descriptor 0 that of the session; no pointer is read.
        check(Step::Terminal, unsafe { libc::ioctl(0, libc::TIOCSCTTY as _, 0) })?;
    }
    if !start.directory.is_null() {
        // SAFETY: a NUL-ended path that the parent keeps.
        check(Step::Directory, unsafe { libc::chdir(start.directory) })?;
    }
    become_user(start)
}

/// What the host ignores or handles is the program's own affair again.
fn reset_signals() {
    #[cfg(target_os = "linux")]
    const LAST: c_int = 64;
    #[cfg(not(target_os = "linux"))]
    const LAST: c_int = 31;
    // SAFETY: a zeroed sigaction is the default one; those signals that have none refuse.
    unsafe {
        let default = std::mem::zeroed::<libc::sigaction>();
        for signal in 1..=LAST {
            libc::sigaction(signal, &default, std::ptr::null_mut());
        }
    }
}

/// Each descriptor goes where it belongs, and all others are closed by the program's beginning.
fn place_descriptors(start: &Start<'_>) -> Result<(), Failed> {
    // SAFETY: the parent keeps as many as it says, for this child alone.
    let descriptors = unsafe { std::slice::from_raw_parts_mut(start.descriptors, start.descriptor_count) };
    let above = descriptors.last().map_or(0, |(theirs, _)| theirs + 1);
    for (theirs, ours) in &mut *descriptors {
        if *ours < above {
            // SAFETY: takes no pointer. Out of the way of those that are placed before it.
            let moved = unsafe { libc::fcntl(*ours, libc::F_DUPFD_CLOEXEC, above) };
            *ours = check_descriptor(Step::Descriptor, *theirs, moved)?;
        }
    }
    if (0..above).contains(&start.errors.get()) {
        // SAFETY: as above.
        let moved = unsafe { libc::fcntl(start.errors.get(), libc::F_DUPFD_CLOEXEC, above) };
        start.errors.set(check(Step::Descriptor, moved)?);
    }
    let mut first = 0;
    for (theirs, ours) in descriptors {
        // SAFETY: takes no pointers; what is in its place is this child's alone to lose.
        check_descriptor(Step::Descriptor, *theirs, unsafe { libc::dup2(*ours, *theirs) })?;
        close_at_program(first, *theirs - 1);
        first = *theirs + 1;
    }
    close_at_program(first, c_int::MAX);
    Ok(())
}

/// Descriptors from `first` to `last` are closed when the program begins.
fn close_at_program(first: c_int, last: c_int) {
    if first > last {
        return;
    }
    #[cfg(target_os = "linux")]
    {
        let (first, last, flags) = (first as libc::c_uint, last as libc::c_uint, libc::CLOSE_RANGE_CLOEXEC);
        // SAFETY: takes no pointers.
        if unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) } == 0 {
            return;
        }
    }
    // An older kernel, or another: one by one, as far as there can be any.
    const MOST: c_int = 1 << 20;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes to the place given.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } == 0;
    let end = if known { c_int::try_from(limit.rlim_cur).unwrap_or(MOST).min(MOST) } else { MOST };
    for descriptor in first..end.min(last.saturating_add(1)) {
        // SAFETY: takes no pointers; one that is not open refuses.
        unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// The system calls themselves: the C library's would tell the parent's threads as well.
fn become_user(start: &Start<'_>) -> Result<(), Failed> {
    #[cfg(target_os = "linux")]
    // SAFETY: these take numbers, and an empty list.
    unsafe {
        let call = |number, one: libc::c_ulong| libc::syscall(number, one, 0_usize) as c_int;
        if start.user.is_some() || start.group.is_some() {
            // Who may not, keeps the groups that it had.
            call(libc::SYS_setgroups, 0);
        }
        if let Some(group) = start.group {
            check(Step::Identity, call(libc::SYS_setgid, group.into()))?;
        }
        if let Some(user) = start.user {
            check(Step::Identity, call(libc::SYS_setuid, user.into()))?;
        }
    }
    #[cfg(not(target_os = "linux"))]
    // SAFETY: as above; this child has its own copy of all memory.
    unsafe {
        if start.user.is_some() || start.group.is_some() {
            libc::setgroups(0, std::ptr::null());
        }
        if let Some(group) = start.group {
            check(Step::Identity, libc::setgid(group))?;
        }
        if let Some(user) = start.user {
            check(Step::Identity, libc::setuid(user))?;
        }
    }
    Ok(())
}

/// Signals come through, and the program begins; the error if it does not.
fn execute(start: &Start<'_>) -> i32 {
    let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is filled in before it is used; the mask is this child's own. Handlers there are none any more.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
    }
    let mut denied = None;
    let mut last = libc::ENOENT;
    for candidate in start.candidates {
        // SAFETY: NUL-ended strings, and lists of such that end with null, which the parent keeps.
        unsafe { libc::execve(*candidate, start.arguments, start.environment) };
        last = errno();
        match last {
            // One that is there but not for us may be elsewhere in PATH.
            libc::EACCES => denied = Some(last),
            libc::ENOENT | libc::ENOTDIR => {}
            _ => return last,
        }
    }
    denied.unwrap_or(if start.candidates.len() == 1 { last } else { libc::ENOENT })
}
