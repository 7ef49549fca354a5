//! Child processes that run: how they are signalled and waited for, each alone. Pipes and terminals for them.

use super::Socket;
use super::command::{Exit, FileUse};
use std::ffi::{CStr, c_int};
use std::io;
#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicU8, Ordering};

/// A child that nobody has waited for yet: its number is its own until then. Where there are descriptors of processes
/// it has one, which is readable when the child has ended, and means this child for ever.
#[derive(Debug)]
pub struct Child {
    pid: libc::pid_t,
    descriptor: Socket,
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.descriptor >= 0 {
            super::close_file(self.descriptor);
        }
    }
}

/// Whether descriptors of processes can be waited for: 0 not known, 1 yes, 2 no.
#[cfg(target_os = "linux")]
static DESCRIPTORS: AtomicU8 = AtomicU8::new(0);

impl Child {
    /// A child that was just born, with its descriptor, or -1.
    pub(super) fn new(pid: libc::pid_t, descriptor: Socket) -> Self {
        let mut child = Self { pid, descriptor };
        #[cfg(target_os = "linux")]
        if descriptor >= 0 && (!child.descriptor_works() || is_without_descriptors()) {
            super::close_file(std::mem::replace(&mut child.descriptor, -1));
        }
        let _ = &mut child;
        child
    }

    #[cfg(target_os = "linux")]
    fn descriptor_works(&self) -> bool {
        if DESCRIPTORS.load(Ordering::Relaxed) == 0 {
            let waits = self.wait(libc::WEXITED | libc::WNOHANG | libc::WNOWAIT);
            // Kernels that give the descriptor out, but cannot wait for it, do not know what is asked.
            let works = !waits.is_err_and(|error| error.raw_os_error() == Some(libc::EINVAL));
            DESCRIPTORS.store(if works { 1 } else { 2 }, Ordering::Relaxed);
        }
        DESCRIPTORS.load(Ordering::Relaxed) == 1
    }

    /// Its number.
    pub fn id(&self) -> i32 {
        self.pid
    }

    /// What is readable when it has ended, if the system has that.
    pub fn descriptor(&self) -> Option<Socket> {
        (self.descriptor >= 0).then_some(self.descriptor)
    }

    /// Whether it has ended, which is then known once: nothing is left of it.
    pub fn try_wait(&self) -> Option<Exit> {
        self.wait_until_known(libc::WEXITED | libc::WNOHANG)
    }

    /// Whether it has ended, with its number still its own.
    pub fn has_ended(&self) -> bool {
        self.wait_until_known(libc::WEXITED | libc::WNOHANG | libc::WNOWAIT).is_some()
    }

    /// Waits until it has ended, which it is about to do.
    pub(super) fn wait_for_end(&self) {
        self.wait_until_known(libc::WEXITED);
    }

    fn wait_until_known(&self, flags: c_int) -> Option<Exit> {
        loop {
            match self.wait(flags) {
                Ok(exit) => return exit,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Some(self.exit_in_the_kernel().unwrap_or(Exit::Unknown)),
            }
        }
    }

    /// None: it has not ended.
    fn wait(&self, flags: c_int) -> io::Result<Option<Exit>> {
        #[cfg(target_os = "linux")]
        let (which, number, flags) = match self.descriptor() {
            // One whose program never began reports its end in a way that has to be asked for.
            Some(descriptor) => (libc::P_PIDFD, descriptor, flags | libc::__WALL),
            None => (libc::P_PID, self.pid, flags | libc::__WALL),
        };
        #[cfg(not(target_os = "linux"))]
        let (which, number) = (libc::P_PID, self.pid);
        wait_for(which, number as libc::id_t, flags)
    }

    /// Newer kernels remember how a child has ended for as long as somebody has its descriptor.
    fn exit_in_the_kernel(&self) -> Option<Exit> {
        #[cfg(target_os = "linux")]
        {
            #[repr(C)]
            #[derive(Default)]
            struct Info {
                mask: u64,
                cgroup: u64,
                numbers: [u32; 11],
                exit_code: i32,
            }
            const INFO_EXIT: u64 = 1 << 3;
            const GET_INFO: libc::c_ulong = (3 << 30) | ((size_of::<Info>() as libc::c_ulong) << 16) | (0xff << 8) | 11;
            let mut info = Info { mask: INFO_EXIT, ..Info::default() };
            // SAFETY: the call's number says how large the struct is that it fills in; without it, it is refused.
            let done = unsafe { libc::ioctl(self.descriptor()?, GET_INFO as _, &mut info) } == 0;
            if !done || info.mask & INFO_EXIT == 0 {
                return None;
            }
            let status = info.exit_code;
            Some(if libc::WIFEXITED(status) {
                Exit::Code(libc::WEXITSTATUS(status))
            } else {
                Exit::Signal(libc::WTERMSIG(status), libc::WCOREDUMP(status))
            })
        }
        #[cfg(not(target_os = "linux"))]
        None
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if let Some(descriptor) = self.descriptor() {
            match send_by_descriptor(descriptor, signal, 0) {
                // Not everything that runs programs knows this call.
                Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {}
                sent => return sent,
            }
        }
        // SAFETY: takes no pointers. Nobody has waited for the child, so that its number is its own.
        answer(unsafe { libc::kill(self.pid, signal) }.into())
    }

    /// Sends a signal to all of the group that it leads. `is_alive`: nobody has waited for it yet.
    pub fn signal_group(&self, signal: i32, is_alive: bool) -> io::Result<()> {
        if is_alive {
            // SAFETY: takes no pointers. The number is the group's for as long as its leader's is its own.
            return answer(unsafe { libc::kill(-self.pid, signal) }.into());
        }
        #[cfg(target_os = "linux")]
        if let Some(descriptor) = self.descriptor() {
            const PROCESS_GROUP: libc::c_uint = 1 << 2;
            return send_by_descriptor(descriptor, signal, PROCESS_GROUP);
        }
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    /// Waits at most so many milliseconds for it to end.
    pub fn wait_at_most(&self, milliseconds: i32) -> Option<Exit> {
        if let Some(descriptor) = self.descriptor() {
            let mut one = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
            // SAFETY: one pollfd, given with its count.
            unsafe { libc::poll(&mut one, 1, milliseconds) };
            return self.try_wait();
        }
        for _ in 0..milliseconds.max(1) {
            if let exit @ Some(_) = self.try_wait() {
                return exit;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        None
    }

    /// What tells this child from a later one with its number, where the system says.
    pub fn birth(&self) -> Option<u64> {
        birth_of(self.pid)
    }
}

/// Whether a test wants children watched as where there are no descriptors of processes.
#[cfg(target_os = "linux")]
fn is_without_descriptors() -> bool {
    cfg!(feature = "testing") && std::env::var_os("LARIAT_TEST_NO_PIDFD").is_some()
}

fn answer(answer: i64) -> io::Result<()> {
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(target_os = "linux")]
fn send_by_descriptor(descriptor: Socket, signal: i32, flags: libc::c_uint) -> io::Result<()> {
    let information = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open; no information goes with the signal.
    answer(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, descriptor, signal, information, flags) })
}

fn wait_for(which: libc::idtype_t, number: libc::id_t, flags: c_int) -> io::Result<Option<Exit>> {
    // SAFETY: zero is a siginfo like any other; waitid fills it in, or leaves it so when nothing has ended.
    let (done, information) = unsafe {
        let mut information = std::mem::zeroed::<libc::siginfo_t>();
        (libc::waitid(which, number, &mut information, flags), information)
    };
    answer(done.into())?;
    // SAFETY: what waitid fills in has these fields.
    let (pid, status) = unsafe { (information.si_pid(), information.si_status()) };
    if pid == 0 {
        return Ok(None);
    }
    Ok(Some(match information.si_code {
        libc::CLD_EXITED => Exit::Code(status),
        code => Exit::Signal(status, code == libc::CLD_DUMPED),
    }))
}

/// When the process with this number was born, in a unit of the system's own.
fn birth_of(pid: libc::pid_t) -> Option<u64> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let behind = text.iter().rposition(|byte| *byte == b')')?;
    let fields = std::str::from_utf8(&text[behind + 1..]).ok()?;
    fields.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// A child that its reactor did not outlive, and that is still to be waited for.
#[derive(Clone, Copy, Debug)]
pub struct Orphan {
    pid: libc::pid_t,
    /// Which of those that had this number.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "elsewhere nothing holds a number fast meanwhile")
    )]
    birth: Option<u64>,
}

impl Orphan {
    /// What is left of a child when its descriptor is closed.
    pub fn new(child: &Child) -> Self {
        Self { pid: child.id(), birth: child.birth() }
    }

    /// Waits for it if it has ended. False: it has not.
    pub fn is_over(&self) -> bool {
        #[cfg(target_os = "linux")]
        {
            // Whoever has its number now is kept by a descriptor while it is made sure that it is the same.
            // SAFETY: takes no pointers.
            let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, self.pid, 0) };
            if opened >= 0 {
                let now = Child { pid: self.pid, descriptor: opened as Socket };
                let same = self.birth.is_some() && now.birth() == self.birth && now.signal(0).is_ok();
                return !same || now.try_wait().is_some();
            }
            if io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH) {
                return true;
            }
        }
        Child { pid: self.pid, descriptor: -1 }.try_wait().is_some()
    }
}

/// Waits, on a thread of its own, until the child with this number has ended; it is still to be waited for then.
pub fn wait_on_thread(pid: i32, then: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let wait = move || {
        let child = Child { pid, descriptor: -1 };
        child.wait_until_known(libc::WEXITED | libc::WNOWAIT);
        then();
    };
    let thread = std::thread::Builder::new().name("lariat child".to_owned()).stack_size(256 * 1024);
    super::with_signals_blocked(|| thread.spawn(wait)).map(drop)
}

/// A pipe: where it is read, and where it is written. Both block, and are closed in other programs.
pub fn pipe() -> io::Result<(Socket, Socket)> {
    let mut ends = [-1; 2];
    #[cfg(not(target_vendor = "apple"))]
    // SAFETY: writes two descriptors to the place given.
    answer(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }.into())?;
    #[cfg(target_vendor = "apple")]
    // SAFETY: writes two descriptors to the place given, which are then open.
    unsafe {
        answer(libc::pipe(ends.as_mut_ptr()).into())?;
        for end in ends {
            libc::fcntl(end, libc::F_SETFD, libc::FD_CLOEXEC);
        }
    }
    Ok((ends[0], ends[1]))
}

/// A new pseudo-terminal: the master, and the terminal that a child gets. A size of 0 is not set.
pub fn open_terminal(columns: u16, rows: u16) -> io::Result<(Socket, Socket)> {
    #[cfg(not(target_vendor = "apple"))]
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    #[cfg(target_vendor = "apple")]
    let flags = libc::O_RDWR | libc::O_NOCTTY;
    // SAFETY: takes no pointers.
    let master = unsafe { libc::posix_openpt(flags) };
    if master < 0 {
        return Err(io::Error::last_os_error());
    }
    open_slave(master, columns, rows).map(|slave| (master, slave)).inspect_err(|_| super::close_file(master))
}

fn open_slave(master: Socket, columns: u16, rows: u16) -> io::Result<Socket> {
    let mut name = [0 as libc::c_char; 128];
    #[cfg(target_vendor = "apple")]
    // SAFETY: takes no pointers.
    unsafe {
        libc::fcntl(master, libc::F_SETFD, libc::FD_CLOEXEC);
    }
    // SAFETY: the master is open; the name is written to the place given, with the size that it has.
    unsafe {
        answer(libc::grantpt(master).into())?;
        answer(libc::unlockpt(master).into())?;
        #[cfg(target_os = "linux")]
        if libc::ptsname_r(master, name.as_mut_ptr(), name.len()) != 0 {
            return Err(io::Error::last_os_error());
        }
        #[cfg(not(target_os = "linux"))]
        libc::ioctl(master, libc::TIOCPTYGNAME as _, name.as_mut_ptr());
    }
    // SAFETY: the name ends with NUL.
    let slave = unsafe { libc::open(name.as_ptr(), libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) };
    if slave < 0 {
        return Err(io::Error::last_os_error());
    }
    if columns != 0 || rows != 0 {
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: reads the size from the place given.
        unsafe { libc::ioctl(slave, libc::TIOCSWINSZ, &size) };
    }
    Ok(slave)
}

/// Opens a file for a child to have; one that would block until somebody else opens it is refused.
pub fn open_for_child(path: &CStr, to: FileUse) -> io::Result<Socket> {
    let access = match to {
        FileUse::Read => libc::O_RDONLY,
        FileUse::Write => libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC,
        FileUse::Append => libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND,
    };
    let flags = access | libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_NONBLOCK;
    // SAFETY: the path ends with NUL and lives for the call.
    let file = unsafe { libc::open(path.as_ptr(), flags, 0o666 as libc::c_uint) };
    if file < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: takes no pointers; the description is new, and nobody else's.
    unsafe { libc::fcntl(file, libc::F_SETFL, access & !libc::O_CREAT & !libc::O_TRUNC) };
    Ok(file)
}

/// Has calls on a new description not block.
pub fn set_non_blocking(descriptor: Socket) -> io::Result<()> {
    // SAFETY: takes no pointers.
    let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFL) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above.
    answer(unsafe { libc::fcntl(descriptor, libc::F_SETFL, flags | libc::O_NONBLOCK) }.into())
}

/// Whether there is a file at this path.
pub fn is_there(path: &CStr) -> bool {
    // SAFETY: the path ends with NUL and lives for the call.
    unsafe { libc::access(path.as_ptr(), libc::F_OK) == 0 }
}

/// What PATH says where nobody says it.
pub const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/bin:/usr/bin";

/// An environment variable of our own.
pub fn variable(name: &str) -> Option<Vec<u8>> {
    use std::os::unix::ffi::OsStringExt;
    std::env::var_os(name).map(OsStringExt::into_vec)
}

/// The signal that asks a process to end.
pub const SIGTERM: i32 = libc::SIGTERM;
/// The signal that ends a process.
pub const SIGKILL: i32 = libc::SIGKILL;
