//! Terminals and serial ports: their settings, their sizes, and who puts the settings back.

use super::Socket;
use super::sockets::{checked, close_socket, duplicate};
use std::cell::UnsafeCell;
use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// The settings of a terminal.
#[derive(Clone, Copy)]
pub struct Settings(libc::termios);

/// How a terminal hands on what is typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// As it was found: by lines, most likely.
    Cooked,
    /// Byte by byte, nothing looked at, nothing changed in either direction.
    Raw,
    /// Byte by byte, not echoed; keys that make signals still do, and what is written is changed as before.
    Keys,
}

impl Settings {
    /// Those that a terminal has now.
    pub fn of(terminal: Socket) -> io::Result<Self> {
        let mut settings = MaybeUninit::<libc::termios>::uninit();
        // SAFETY: the call writes settings to the place given, or fails.
        checked(unsafe { libc::tcgetattr(terminal, settings.as_mut_ptr()) } as isize)?;
        // SAFETY: the call succeeded and so has filled them in.
        Ok(Self(unsafe { settings.assume_init() }))
    }

    /// Gives them to a terminal. A process in the background is not stopped for it.
    pub fn apply(&self, terminal: Socket) -> io::Result<()> {
        without_signal(libc::SIGTTOU, || {
            // SAFETY: the settings live for the call.
            checked(unsafe { libc::tcsetattr(terminal, libc::TCSANOW, &self.0) } as isize).map(drop)
        })
    }

    /// The same in another mode.
    pub fn in_mode(mut self, mode: Mode) -> Self {
        match mode {
            Mode::Cooked => return self,
            // SAFETY: the settings are there to be changed.
            Mode::Raw => unsafe { libc::cfmakeraw(&mut self.0) },
            Mode::Keys => self.0.c_lflag &= !(libc::ICANON | libc::ECHO | libc::ECHONL | libc::IEXTEN),
        }
        self.0.c_cc[libc::VMIN] = 1;
        self.0.c_cc[libc::VTIME] = 0;
        self
    }
}

/// Calls with a signal blocked. Safe in a signal handler.
fn without_signal<R>(signal: libc::c_int, call: impl FnOnce() -> R) -> R {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is filled in before it is read; the mask is this thread's own.
    let blocked = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), before.as_mut_ptr()) == 0
    };
    let result = call();
    if blocked {
        // SAFETY: the call above succeeded, so that the old mask was written.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    }
    result
}

/// Columns and rows.
pub fn size(terminal: Socket) -> io::Result<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the call writes a size to the place given, or fails.
    checked(unsafe { libc::ioctl(terminal, libc::TIOCGWINSZ, &raw mut size) } as isize)?;
    Ok((size.ws_col, size.ws_row))
}

/// Sets columns and rows; those who use the terminal hear of it by SIGWINCH.
pub fn set_size(terminal: Socket, (columns, rows): (u16, u16)) -> io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the size lives for the call.
    checked(unsafe { libc::ioctl(terminal, libc::TIOCSWINSZ, &raw const size) } as isize).map(drop)
}

/// Terminals of which the settings were changed: at most so many at once.
const SLOTS: usize = 32;

const FREE: u32 = 0;
const CHANGING: u32 = 1;
const HELD: u32 = 2;
const RESTORING: u32 = 3;

/// A terminal as it was before. The settings are written while the state is CHANGING, and read while it is HELD by whoever
/// has the list, or RESTORING by whoever has made it so.
struct Slot {
    state: AtomicU32,
    terminal: AtomicI32,
    before: UnsafeCell<MaybeUninit<Settings>>,
}

// SAFETY: who may touch the settings follows from the state, as is said above.
unsafe impl Sync for Slot {}

static HELD_TERMINALS: [Slot; SLOTS] = [const {
    Slot { state: AtomicU32::new(FREE), terminal: AtomicI32::new(-1), before: UnsafeCell::new(MaybeUninit::uninit()) }
}; SLOTS];

/// The process that holds them: a child of fork leaves the terminal as its parent wants it.
static HOLDER: AtomicI32 = AtomicI32::new(0);

/// The device of each slot, and how many have it.
static USERS: Mutex<[(libc::dev_t, u32); SLOTS]> = Mutex::new([(0, 0); SLOTS]);

fn users() -> MutexGuard<'static, [(libc::dev_t, u32); SLOTS]> {
    USERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A terminal whose settings were looked at before they were changed. Dropped by the last who has it, they are put back.
pub struct Hold(usize);

fn device(terminal: Socket) -> io::Result<libc::dev_t> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: fstat writes a stat to the place given or fails.
    checked(unsafe { libc::fstat(terminal, stat.as_mut_ptr()) } as isize)?;
    // SAFETY: fstat succeeded and so has filled it in.
    Ok(unsafe { stat.assume_init() }.st_rdev)
}

/// After fork: what the parent holds is its own to put back.
fn forget_the_parents(users: &mut [(libc::dev_t, u32); SLOTS]) {
    let process = std::process::id() as i32;
    if HOLDER.swap(process, Ordering::Relaxed) == process {
        return;
    }
    for (slot, user) in HELD_TERMINALS.iter().zip(users).filter(|(_, user)| user.1 != 0) {
        slot.state.store(FREE, Ordering::Relaxed);
        close_socket(slot.terminal.swap(-1, Ordering::Relaxed));
        *user = (0, 0);
    }
}

impl Hold {
    /// Has a terminal put back as it is now, also when the process exits.
    pub fn of(terminal: Socket) -> io::Result<Self> {
        let device = device(terminal)?;
        let mut users = users();
        forget_the_parents(&mut users);
        if let Some(place) = users.iter().position(|(held, count)| *count != 0 && *held == device) {
            users[place].1 += 1;
            return Ok(Self(place));
        }
        let before = Settings::of(terminal)?;
        let place = users.iter().position(|(_, count)| *count == 0).ok_or(io::ErrorKind::QuotaExceeded)?;
        let slot = &HELD_TERMINALS[place];
        let own = duplicate(terminal)?;
        slot.state.store(CHANGING, Ordering::Relaxed);
        // SAFETY: the slot is nobody's, and the list is locked; whoever restores passes over one that is changing.
        unsafe { (*slot.before.get()).write(before) };
        slot.terminal.store(own, Ordering::Relaxed);
        slot.state.store(HELD, Ordering::Release);
        users[place] = (device, 1);
        restore_at_exit();
        Ok(Self(place))
    }

    /// The settings as they were.
    pub fn before(&self) -> Settings {
        let _users = users();
        // SAFETY: it is held, so that they were written, and they are changed by nobody while the list is locked.
        unsafe { (*HELD_TERMINALS[self.0].before.get()).assume_init() }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut users = users();
        users[self.0].1 -= 1;
        if users[self.0].1 != 0 {
            return;
        }
        let slot = &HELD_TERMINALS[self.0];
        // Another thread may be about to restore it, which takes no time.
        while slot.state.compare_exchange(HELD, CHANGING, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            std::hint::spin_loop();
        }
        let terminal = slot.terminal.swap(-1, Ordering::Relaxed);
        // SAFETY: it was held, so that they were written; nobody else reads one that is changing.
        let before = unsafe { (*slot.before.get()).assume_init() };
        if HOLDER.load(Ordering::Relaxed) == std::process::id() as i32 {
            // One that was unplugged has no settings any more.
            let _ = before.apply(terminal);
        }
        close_socket(terminal);
        slot.state.store(FREE, Ordering::Release);
    }
}

/// Puts all terminals back as they were found. Safe in a signal handler.
pub fn restore_all() {
    // SAFETY: getpid takes nothing and cannot fail.
    if HOLDER.load(Ordering::Relaxed) != unsafe { libc::getpid() } {
        return;
    }
    let _errno = Errno::keep();
    for slot in &HELD_TERMINALS {
        if slot.state.compare_exchange(HELD, RESTORING, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            // SAFETY: it was held, so that they were written; whoever changes them waits for as long as it is restoring.
            let before = unsafe { (*slot.before.get()).assume_init() };
            let _ = before.apply(slot.terminal.load(Ordering::Relaxed));
            slot.state.store(HELD, Ordering::Release);
        }
    }
}

/// The thread's errno, which a signal handler leaves as it was.
struct Errno(libc::c_int);

fn errno() -> *mut libc::c_int {
    // SAFETY: it takes nothing, and every thread has one.
    #[cfg(any(target_os = "linux", target_os = "dragonfly"))]
    unsafe {
        libc::__errno_location()
    }
    // SAFETY: as above.
    #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
    unsafe {
        libc::__error()
    }
    // SAFETY: as above.
    #[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
    unsafe {
        libc::__errno()
    }
}

impl Errno {
    fn keep() -> Self {
        // SAFETY: it is this thread's own.
        Self(unsafe { errno().read() })
    }
}

impl Drop for Errno {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { errno().write(self.0) };
    }
}

extern "C" fn at_exit() {
    restore_all();
}

fn restore_at_exit() {
    static ONCE: Once = Once::new();
    // SAFETY: the function is one of this library, which is linked never to be unloaded.
    ONCE.call_once(|| _ = unsafe { libc::atexit(at_exit) });
}

/// What a serial port is set to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the fields are what they are called")]
pub struct Serial {
    pub speed: u32,
    pub data_bits: u8,
    pub parity: Parity,
    pub stop_bits: u8,
    pub flow: Flow,
}

/// The bit that makes the number of ones even or odd.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "they are what they are called")]
pub enum Parity {
    None,
    Odd,
    Even,
}

/// How one end of a line tells the other to wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// Not at all.
    None,
    /// By the lines RTS and CTS.
    Hardware,
    /// By the characters XON and XOFF.
    Software,
}

/// The speeds that have names.
const SPEEDS: &[(u32, libc::speed_t)] = &[
    (50, libc::B50),
    (75, libc::B75),
    (110, libc::B110),
    (134, libc::B134),
    (150, libc::B150),
    (200, libc::B200),
    (300, libc::B300),
    (600, libc::B600),
    (1200, libc::B1200),
    (1800, libc::B1800),
    (2400, libc::B2400),
    (4800, libc::B4800),
    (9600, libc::B9600),
    (19200, libc::B19200),
    (38400, libc::B38400),
    (57600, libc::B57600),
    (115_200, libc::B115200),
    (230_400, libc::B230400),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    (460_800, libc::B460800),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    (500_000, libc::B500000),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    (576_000, libc::B576000),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    (921_600, libc::B921600),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    (1_000_000, libc::B1000000),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    (1_152_000, libc::B1152000),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    (1_500_000, libc::B1500000),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    (2_000_000, libc::B2000000),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    (2_500_000, libc::B2500000),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    (3_000_000, libc::B3000000),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    (3_500_000, libc::B3500000),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    (4_000_000, libc::B4000000),
];

/// Sets a serial port; `Unsupported` names what it does not take.
pub fn set_serial(port: Socket, wanted: Serial) -> io::Result<()> {
    let mut settings = Settings::of(port)?.in_mode(Mode::Raw);
    let its = &mut settings.0;
    its.c_cflag |= libc::CLOCAL | libc::CREAD;
    its.c_cflag &= !(libc::CSIZE | libc::PARENB | libc::PARODD | libc::CSTOPB | libc::CRTSCTS);
    its.c_cflag |= match wanted.data_bits {
        5 => libc::CS5,
        6 => libc::CS6,
        7 => libc::CS7,
        _ => libc::CS8,
    };
    its.c_cflag |= match wanted.parity {
        Parity::None => 0,
        Parity::Odd => libc::PARENB | libc::PARODD,
        Parity::Even => libc::PARENB,
    };
    its.c_iflag &= !(libc::IXON | libc::IXOFF | libc::IXANY | libc::INPCK);
    its.c_iflag |= if wanted.parity == Parity::None { 0 } else { libc::INPCK };
    its.c_cflag |= if wanted.stop_bits == 2 { libc::CSTOPB } else { 0 };
    match wanted.flow {
        Flow::None => {}
        Flow::Hardware => its.c_cflag |= libc::CRTSCTS,
        Flow::Software => its.c_iflag |= libc::IXON | libc::IXOFF,
    }
    let named = SPEEDS.iter().find(|(speed, _)| *speed == wanted.speed);
    if let Some((_, name)) = named {
        set_named_speed(its, *name);
    }
    let wanted_settings = settings;
    settings.apply(port)?;
    if named.is_none() {
        set_any_speed(port, wanted.speed)?;
    }
    check_taken(port, wanted, &wanted_settings, named.is_some())
}

fn unsupported<T>(what: impl std::fmt::Display) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, format!("the port does not take {what}")))
}

/// A system sets what it can and is silent about the rest.
fn check_taken(port: Socket, wanted: Serial, settings: &Settings, by_name: bool) -> io::Result<()> {
    let (taken, wanted_flags) = (Settings::of(port)?.0, settings.0.c_cflag);
    let differs = |mask| taken.c_cflag & mask != wanted_flags & mask;
    if differs(libc::CSIZE) {
        return unsupported(format_args!("{} data bits", wanted.data_bits));
    }
    if differs(libc::PARENB | libc::PARODD) {
        return unsupported("this parity");
    }
    if differs(libc::CSTOPB) {
        return unsupported(format_args!("{} stop bits", wanted.stop_bits));
    }
    if differs(libc::CRTSCTS) {
        return unsupported("flow control by its lines");
    }
    if by_name && named_speed(&taken) != named_speed(&settings.0) {
        return unsupported(format_args!("a speed of {}", wanted.speed));
    }
    Ok(())
}

/// By hand: what libc names for it is of one version of the C library, and not in the static one.
fn set_named_speed(settings: &mut libc::termios, name: libc::speed_t) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        settings.c_cflag = settings.c_cflag & !libc::CBAUD | name;
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        (settings.c_ispeed, settings.c_ospeed) = (name, name);
    }
}

fn named_speed(settings: &libc::termios) -> libc::speed_t {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        settings.c_cflag & libc::CBAUD
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        settings.c_ospeed
    }
}

/// A speed that has no name.
fn set_any_speed(port: Socket, speed: u32) -> io::Result<()> {
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        let mut settings = MaybeUninit::<libc::termios2>::uninit();
        // SAFETY: the first call fills in the settings or fails; the second is given them.
        let done = unsafe {
            checked(libc::ioctl(port, libc::TCGETS2, settings.as_mut_ptr()) as isize)?;
            let mut settings = settings.assume_init();
            settings.c_cflag = settings.c_cflag & !libc::CBAUD | libc::BOTHER;
            (settings.c_ispeed, settings.c_ospeed) = (speed, speed);
            libc::ioctl(port, libc::TCSETS2, &raw const settings)
        };
        checked(done as isize).map(drop)
    }
    #[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    {
        let _ = port;
        unsupported(format_args!("a speed of {speed}"))
    }
}

/// Takes a serial port for this process alone; `ResourceBusy`: another one has it.
pub fn take_port(port: Socket) -> io::Result<()> {
    // SAFETY: both calls take numbers alone. The superuser may open what is exclusive, so that there is a lock, too.
    unsafe {
        checked(libc::flock(port, libc::LOCK_EX | libc::LOCK_NB) as isize).map_err(|why| match why.kind() {
            io::ErrorKind::WouldBlock => io::Error::from_raw_os_error(libc::EBUSY),
            _ => why,
        })?;
        checked(libc::ioctl(port, libc::TIOCEXCL as _) as isize).map(drop)
    }
}

/// Others may have it again. The lock ends with the descriptor.
pub fn leave_port(port: Socket) {
    // SAFETY: the call takes a number alone.
    unsafe { libc::ioctl(port, libc::TIOCNXCL as _) };
}

/// The lines beside the data: DTR 1, RTS 2, CTS 4, DSR 8, RI 16, CD 32.
const LINES: [(u32, libc::c_int); 6] = [
    (1, libc::TIOCM_DTR),
    (2, libc::TIOCM_RTS),
    (4, libc::TIOCM_CTS),
    (8, libc::TIOCM_DSR),
    (16, libc::TIOCM_RNG),
    (32, libc::TIOCM_CAR),
];

/// Those of a serial port that are on.
pub fn lines(port: Socket) -> io::Result<u32> {
    let mut bits: libc::c_int = 0;
    // SAFETY: the call writes a number to the place given, or fails.
    checked(unsafe { libc::ioctl(port, libc::TIOCMGET, &raw mut bits) } as isize)?;
    Ok(LINES.iter().filter(|(_, bit)| bits & bit != 0).map(|(line, _)| line).sum())
}

/// Turns some of them on, and others off.
pub fn set_lines(port: Socket, on: u32, off: u32) -> io::Result<()> {
    for (lines, call) in [(on, libc::TIOCMBIS), (off, libc::TIOCMBIC)] {
        let bits = LINES.iter().filter(|(line, _)| lines & line != 0).fold(0, |bits, (_, bit)| bits | bit);
        if bits != 0 {
            // SAFETY: the number lives for the call.
            checked(unsafe { libc::ioctl(port, call, &raw const bits) } as isize)?;
        }
    }
    Ok(())
}
