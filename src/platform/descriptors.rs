//! Descriptors that are no sockets: pipes, terminals, devices, files. Reading and writing them without blocking, also
//! where others share the description, and so must not find it changed.

use super::Socket;
use super::sockets::{borrowed_socket, checked};
use std::ffi::CString;
use std::io::{self, IoSlice};

/// What a descriptor is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sort {
    /// A pipe, named or not.
    Pipe,
    /// A terminal, or a serial port.
    Terminal,
    /// A socket.
    Socket,
    /// A regular file.
    File,
    /// What holds bytes at places, but is no file: a disk.
    Disk,
    /// A directory.
    Directory,
    /// Anything else: a device, the master of a pseudo-terminal.
    Other,
}

/// A descriptor, as it was opened.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    /// What it is.
    pub sort: Sort,
    /// It can be read.
    pub readable: bool,
    /// It can be written.
    pub writable: bool,
    /// Calls do not block.
    pub non_blocking: bool,
    /// A read gives one write of the other end, and no more.
    pub in_packets: bool,
}

/// Looks at a descriptor.
pub fn look_at(descriptor: Socket) -> io::Result<Opened> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: fstat writes a stat to the place given or fails.
    checked(unsafe { libc::fstat(descriptor, stat.as_mut_ptr()) } as isize)?;
    // SAFETY: fstat succeeded and so has filled it in.
    let mode = unsafe { stat.assume_init() }.st_mode & libc::S_IFMT;
    // SAFETY: fcntl with this command takes a number alone.
    let flags = checked(unsafe { libc::fcntl(descriptor, libc::F_GETFL) } as isize)? as libc::c_int;
    let access = flags & libc::O_ACCMODE;
    let sort = match mode {
        libc::S_IFIFO => Sort::Pipe,
        libc::S_IFSOCK => Sort::Socket,
        libc::S_IFREG => Sort::File,
        libc::S_IFBLK => Sort::Disk,
        libc::S_IFDIR => Sort::Directory,
        _ if is_terminal(descriptor) && !is_terminal_master(descriptor) => Sort::Terminal,
        _ => Sort::Other,
    };
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let in_packets = sort == Sort::Pipe && flags & libc::O_DIRECT != 0;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let in_packets = false;
    Ok(Opened {
        sort,
        readable: access != libc::O_WRONLY,
        writable: access != libc::O_RDONLY,
        non_blocking: flags & libc::O_NONBLOCK != 0,
        in_packets,
    })
}

/// Whether a descriptor is a terminal.
pub fn is_terminal(descriptor: Socket) -> bool {
    // SAFETY: isatty takes a number alone.
    unsafe { libc::isatty(descriptor) == 1 }
}

/// Whether it is the master of a pseudo-terminal.
fn is_terminal_master(descriptor: Socket) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let mut number: libc::c_uint = 0;
        // SAFETY: the call writes a number to the place given, or fails.
        unsafe { libc::ioctl(descriptor, libc::TIOCGPTN, &raw mut number) == 0 }
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        // SAFETY: grantpt does nothing to a slave but fail.
        unsafe { libc::grantpt(descriptor) == 0 }
    }
}

/// Whether there is nothing to poll: it is always ready, or blocks for as long as its disk takes.
pub fn is_always_ready(descriptor: Socket) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: the event lives for the call; the descriptor that is closed was made here.
        unsafe {
            let poll = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            if poll < 0 {
                return false;
            }
            let added = libc::epoll_ctl(poll, libc::EPOLL_CTL_ADD, descriptor, &mut event);
            let refused = added != 0 && io::Error::last_os_error().raw_os_error() == Some(libc::EPERM);
            libc::close(poll);
            refused
        }
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = descriptor;
        false
    }
}

/// Opens the same pipe or terminal once more, as a description of our own that does not block.
pub fn reopen(descriptor: Socket, opened: Opened, readable: bool, writable: bool) -> io::Result<Socket> {
    let path = path_of(descriptor, opened.sort)?;
    let access = match (readable, writable) {
        (true, true) => libc::O_RDWR,
        (false, true) => libc::O_WRONLY,
        _ => libc::O_RDONLY,
    };
    open_with(&path, access, 0)
}

/// Where a description of our own is to be had.
fn path_of(descriptor: Socket, sort: Sort) -> io::Result<Vec<u8>> {
    if cfg!(any(target_os = "linux", target_os = "android")) {
        return Ok(format!("/proc/self/fd/{descriptor}").into_bytes());
    }
    if sort != Sort::Terminal {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mut name = [0_u8; 256];
    // SAFETY: the name has room for so many bytes.
    let failed = unsafe { libc::ttyname_r(descriptor, name.as_mut_ptr().cast(), name.len()) };
    if failed != 0 {
        return Err(io::Error::from_raw_os_error(failed));
    }
    Ok(name.split(|byte| *byte == 0).next().unwrap_or_default().to_vec())
}

/// How a path is opened.
#[derive(Clone, Copy, Default)]
#[expect(missing_docs, reason = "each is named after the flag of open")]
pub struct Opening {
    pub read: bool,
    pub write: bool,
    pub append: bool,
    pub create: bool,
    pub exclusive: bool,
    pub truncate: bool,
}

/// Opens a path. It does not block, nor become the terminal of the process, and is closed on exec.
pub fn open_path(path: &[u8], opening: Opening) -> io::Result<Socket> {
    let access = match (opening.read, opening.write) {
        (true, true) => libc::O_RDWR,
        (false, true) => libc::O_WRONLY,
        _ => libc::O_RDONLY,
    };
    let flags = [
        (opening.append, libc::O_APPEND),
        (opening.create, libc::O_CREAT),
        (opening.exclusive, libc::O_EXCL),
        (opening.truncate, libc::O_TRUNC),
    ];
    open_with(path, flags.iter().filter(|(on, _)| *on).fold(access, |flags, (_, flag)| flags | flag), 0o666)
}

/// The same with the system's flags; interruptions are passed over.
fn open_with(path: &[u8], flags: libc::c_int, mode: u32) -> io::Result<Socket> {
    let path = CString::new(path)?;
    let flags = flags | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    loop {
        // SAFETY: the path ends with NUL and lives for the call.
        let opened = unsafe { libc::open(path.as_ptr(), flags, mode as libc::c_uint) };
        match checked(opened as isize) {
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            done => return done.map(|opened| opened as Socket),
        }
    }
}

/// What poll says of a descriptor now: readable, writable.
pub fn poll_now(socket: Socket, readable: bool, writable: bool) -> (bool, bool) {
    let events = if readable { libc::POLLIN } else { 0 } | if writable { libc::POLLOUT } else { 0 };
    let mut one = libc::pollfd { fd: socket, events, revents: 0 };
    // SAFETY: one pollfd, given with its count.
    let count = unsafe { libc::poll(&mut one, 1, 0) };
    let ends = libc::POLLHUP | libc::POLLERR | libc::POLLNVAL;
    let ready = |bit| count > 0 && one.revents & (bit | ends) != 0;
    (readable && ready(libc::POLLIN), writable && ready(libc::POLLOUT))
}

/// Whether nobody has the other end of a pipe open that reads it.
pub fn has_no_reader(pipe: Socket) -> bool {
    let mut one = libc::pollfd { fd: pipe, events: 0, revents: 0 };
    // SAFETY: one pollfd, given with its count.
    unsafe { libc::poll(&mut one, 1, 0) > 0 && one.revents & libc::POLLERR != 0 }
}

/// The error of writing where nobody reads.
pub fn broken_pipe() -> io::Error {
    io::Error::from_raw_os_error(libc::EPIPE)
}

/// Bytes that are in a pipe.
pub fn unread_in(pipe: Socket) -> usize {
    let mut count: libc::c_int = 0;
    // SAFETY: the call writes a number to the place given, or fails.
    let done = unsafe { libc::ioctl(pipe, libc::FIONREAD, &raw mut count) };
    if done == 0 { count as usize } else { 0 }
}

/// Makes a named pipe.
pub fn make_pipe(path: &[u8], mode: u32) -> io::Result<()> {
    let path = CString::new(path)?;
    // SAFETY: the path ends with NUL and lives for the call.
    checked(unsafe { libc::mkfifo(path.as_ptr(), mode as libc::mode_t) } as isize).map(drop)
}

/// Goes to a place in a file.
pub fn seek(file: Socket, offset: u64) -> io::Result<()> {
    let offset = libc::off_t::try_from(offset).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    // SAFETY: the call takes numbers alone.
    checked(unsafe { libc::lseek(file, offset, libc::SEEK_SET) } as isize).map(drop)
}

/// Whether an error of reading a terminal says that its other end is gone.
pub fn is_hung_up(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EIO)
}

/// Reads.
pub fn read(descriptor: Socket, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the buffer is as long as is said.
    checked(unsafe { libc::read(descriptor, buffer.as_mut_ptr().cast(), buffer.len()) })
}

/// Reads what is there without waiting for a disk or for a peer; `Unsupported` where the kernel cannot promise that.
pub fn read_at_once(descriptor: Socket, buffer: &mut [u8]) -> io::Result<usize> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        let call = [libc::SYS_preadv2, libc::c_long::from(descriptor), (&raw const part).addr() as libc::c_long, 1];
        with_flags(call, libc::RWF_NOWAIT)
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = (descriptor, buffer);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Calls preadv2 or pwritev2 at the file's own position.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn with_flags(call: [libc::c_long; 4], flags: libc::c_int) -> io::Result<usize> {
    let [number, descriptor, parts, count] = call;
    // SAFETY: callers give the address and the number of parts that live for the call, and whose memory is theirs to be
    // read or written; both halves of the position are -1, which stands for the file's own.
    let done = unsafe { libc::syscall(number, descriptor, parts, count, -1_i64, -1_i64, libc::c_long::from(flags)) };
    checked(done as isize).map_err(|why| match why.raw_os_error() {
        Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL | libc::ESPIPE) => io::ErrorKind::Unsupported.into(),
        _ => why,
    })
}

/// Writes, and waits for nothing; `Unsupported` where the kernel cannot promise that.
pub fn write_at_once(descriptor: Socket, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        write_with(descriptor, parts, libc::RWF_NOWAIT)
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = (descriptor, parts);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Writes without a signal for a pipe that nobody reads.
pub fn write(descriptor: Socket, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        write_with(descriptor, parts, 0)
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        write_masked(descriptor, parts)
    }
}

/// Since Linux 6.18 a write can be told to raise no SIGPIPE.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NO_SIGNAL: libc::c_int = 0x100;

#[cfg(any(target_os = "linux", target_os = "android"))]
fn write_with(descriptor: Socket, parts: &[IoSlice<'_>], flags: libc::c_int) -> io::Result<usize> {
    use std::sync::atomic::{AtomicBool, Ordering};
    static IS_UNKNOWN: AtomicBool = AtomicBool::new(false);
    let place = parts.as_ptr().addr() as libc::c_long;
    let call = [libc::SYS_pwritev2, libc::c_long::from(descriptor), place, parts.len() as libc::c_long];
    if !IS_UNKNOWN.load(Ordering::Relaxed) {
        match with_flags(call, flags | NO_SIGNAL) {
            // For a device that knows no flags at all, others pay no more than a change of the signal mask.
            Err(why) if why.kind() == io::ErrorKind::Unsupported => {
                IS_UNKNOWN.store(flags == 0, Ordering::Relaxed);
            }
            done => return done,
        }
    }
    match flags {
        0 => write_masked(descriptor, parts),
        flags => super::without_sigpipe(|| with_flags(call, flags)),
    }
}

fn write_masked(descriptor: Socket, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    let count = parts.len() as libc::c_int;
    // SAFETY: an IoSlice is an iovec; the parts and what they point to live for the call.
    super::without_sigpipe(|| checked(unsafe { libc::writev(descriptor, parts.as_ptr().cast(), count) }))
}

/// Receives from a socket that may block, without.
pub fn receive_at_once(socket: Socket, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the buffer is as long as is said.
    checked(unsafe { libc::recv(socket, buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_DONTWAIT) })
}

/// Sends to a socket that may block, without, and without a signal for a peer that is gone.
pub fn send_at_once(socket: Socket, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    borrowed_socket(socket).send_vectored_with_flags(parts, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
}
