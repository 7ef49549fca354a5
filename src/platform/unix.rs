//! Unix: memory that fork wipes, the barrier for all threads, descriptors.

use std::io;

/// A descriptor, as the platform names it.
pub type Socket = libc::c_int;

/// The monotonic clock in nanoseconds: it does not jump with the wall clock.
#[inline]
pub fn monotonic_nanoseconds() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes a timespec to the place given; this clock is always there.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Fresh zeroed memory of `size` bytes, which costs nothing before it is used. Never given back; null where that is not
/// to be had.
pub fn map_memory(size: usize) -> *mut u8 {
    #[cfg(target_os = "linux")]
    {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new private anonymous mapping, wherever there is room.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), size, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED { std::ptr::null_mut() } else { start.cast() }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = size;
        std::ptr::null_mut()
    }
}

/// Tells the system that all of this memory is about to be written, if it wants to know: one call then does for many
/// pages what each would trap for.
pub fn will_write(start: *mut u8, size: usize) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4096;
        // The page that the memory begins in is its neighbour's.
        let (first, end) = (start.addr().next_multiple_of(PAGE), (start.addr() + size).next_multiple_of(PAGE));
        if first < end {
            let from = start.wrapping_add(first - start.addr());
            // SAFETY: MADV_POPULATE_WRITE changes nothing of what is mapped, and fails for what is not, or if unknown.
            unsafe { libc::madvise(from.cast(), end - first, libc::MADV_POPULATE_WRITE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, size);
}

/// Makes the memory read as zero in a child of fork, where that is to be had.
pub fn wipe_on_fork<T>(memory: &'static T) {
    #[cfg(target_os = "linux")]
    {
        let start = std::ptr::from_ref(memory).cast_mut().cast::<libc::c_void>();
        // SAFETY: the range is one static of this library, page-aligned and made of atomics, for which zero is valid.
        unsafe { libc::madvise(start, size_of::<T>(), libc::MADV_WIPEONFORK) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = memory;
}

/// Has `child` called in every child that `fork` makes.
pub fn at_fork_in_child(child: extern "C" fn()) {
    // SAFETY: the handler is a function of this library, which is linked never to be unloaded.
    unsafe {
        libc::pthread_atfork(None, None, Some(std::mem::transmute::<extern "C" fn(), unsafe extern "C" fn()>(child)));
    }
}

/// Every thread of the process passes a full memory barrier before this returns. False where that is not to be had.
pub fn barrier_all_threads() -> bool {
    #[cfg(target_os = "linux")]
    {
        const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
        const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;
        // SAFETY: membarrier takes no pointers.
        let call = |command: libc::c_int| unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 };
        // The process registers when it is told that it has not.
        call(PRIVATE_EXPEDITED) || (call(REGISTER_PRIVATE_EXPEDITED) && call(PRIVATE_EXPEDITED))
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// Calls `spawn` with all signals blocked, for threads that inherit the mask: the host's handlers run on its own threads.
pub fn with_signals_blocked<R>(spawn: impl FnOnce() -> R) -> R {
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset fills the set given; the mask is this thread's own, and the old one goes to the other set.
    let blocked = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) == 0
    };
    let result = spawn();
    if blocked {
        // SAFETY: the call above succeeded, so that the old mask was written.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    }
    result
}

/// Calls `write`; the SIGPIPE that it may raise on this thread is taken back, unless one was pending before.
pub fn without_sigpipe<R>(write: impl FnOnce() -> R) -> R {
    let mut pipe = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut pending = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the sets are filled in by these calls before they are read; the mask is this thread's own, and the signal
    // waited for is blocked and does not block the wait, whose timeout is zero.
    unsafe {
        libc::sigemptyset(pipe.as_mut_ptr());
        libc::sigaddset(pipe.as_mut_ptr(), libc::SIGPIPE);
        libc::sigemptyset(pending.as_mut_ptr());
        libc::sigpending(pending.as_mut_ptr());
        let was_pending = libc::sigismember(pending.as_ptr(), libc::SIGPIPE) == 1;
        if was_pending || libc::pthread_sigmask(libc::SIG_BLOCK, pipe.as_ptr(), before.as_mut_ptr()) != 0 {
            return write();
        }
        let result = write();
        take_sigpipe(pipe.as_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut());
        result
    }
}

/// Takes a pending SIGPIPE, if there is one.
///
/// # Safety
/// The set holds SIGPIPE alone, which is blocked.
unsafe fn take_sigpipe(pipe: *const libc::sigset_t) {
    #[cfg(not(target_vendor = "apple"))]
    {
        let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: set and time live for the call; nobody asks for the information.
        while unsafe { libc::sigtimedwait(pipe, std::ptr::null_mut(), &at_once) } < 0
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
    }
    #[cfg(target_vendor = "apple")]
    {
        let mut pending = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        let mut taken = 0;
        // SAFETY: it is waited for only when it is pending, so that the wait does not block.
        unsafe {
            libc::sigemptyset(pending.as_mut_ptr());
            libc::sigpending(pending.as_mut_ptr());
            if libc::sigismember(pending.as_ptr(), libc::SIGPIPE) == 1 {
                libc::sigwait(pipe, &mut taken);
            }
        }
    }
}

/// What keeps a descriptor from being watched, in words; None if nothing does.
pub fn unwatchable(socket: Socket) -> Option<(i32, String)> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: fstat writes a stat to the place given or fails.
    if unsafe { libc::fstat(socket, stat.as_mut_ptr()) } != 0 {
        let error = io::Error::last_os_error();
        return Some((error.raw_os_error().unwrap_or(0), format!("descriptor {socket} cannot be watched: {error}")));
    }
    // SAFETY: fstat succeeded and so has filled it in.
    let mode = unsafe { stat.assume_init() }.st_mode & libc::S_IFMT;
    let what = match mode {
        libc::S_IFREG => "a regular file",
        libc::S_IFDIR => "a directory",
        libc::S_IFBLK => "a block device",
        _ => return None,
    };
    Some((libc::EPERM, format!("descriptor {socket} is {what}, which is always ready and cannot be watched")))
}

/// The number of the network interface with this name.
pub fn interface_index(name: &str) -> Option<u32> {
    let name = std::ffi::CString::new(name).ok()?;
    // SAFETY: the name ends with NUL and lives for the call.
    Some(unsafe { libc::if_nametoindex(name.as_ptr()) }).filter(|index| *index != 0)
}

/// A kernel timer behind a descriptor that becomes readable when it is due.
#[cfg(target_os = "linux")]
pub struct KernelTimer(std::os::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl KernelTimer {
    /// A timer that is not set.
    pub fn new() -> io::Result<Self> {
        use std::os::fd::FromRawFd;
        // SAFETY: timerfd_create takes no pointers.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and nobody else has it.
        Ok(Self(unsafe { std::os::fd::OwnedFd::from_raw_fd(fd) }))
    }

    /// The descriptor to watch.
    pub fn descriptor(&self) -> Socket {
        use std::os::fd::AsRawFd;
        self.0.as_raw_fd()
    }

    /// Due once after `wait` nanoseconds; None clears it.
    pub fn set(&self, wait: Option<u64>) {
        let wait = wait.map_or(0, |wait| wait.max(1));
        let (seconds, nanoseconds) = (wait / 1_000_000_000, wait % 1_000_000_000);
        let once = libc::timespec { tv_sec: seconds as libc::time_t, tv_nsec: nanoseconds as _ };
        let never = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let spec = libc::itimerspec { it_interval: never, it_value: once };
        // SAFETY: the descriptor is ours and open; the new value lives for the call, the old one is not asked for.
        unsafe { libc::timerfd_settime(self.descriptor(), 0, &spec, std::ptr::null_mut()) };
    }
}
