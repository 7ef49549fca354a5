//! Signals: one handler in the process, which counts what comes for each receiver and wakes it up.
//!
//! What the handler uses is atomic and lives for ever. It stands in a registry of the process's own, so that a child of
//! fork, where none of the receivers is, begins with an empty one; there the handlers that were before are put back.

use super::Socket;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The highest number of a signal.
const HIGHEST: usize = if cfg!(target_vendor = "apple") { 31 } else { 64 };

type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// The handler, several times over: one that the host has put its own above, and may call from there, cannot be put
/// above that one again, or the two would call each other for ever. The next one can.
const HANDLERS: [Handler; 4] = [handler::<0>, handler::<1>, handler::<2>, handler::<3>];

/// The handlers as the system knows them.
fn address_of(level: usize) -> usize {
    HANDLERS[level] as *const () as usize
}

/// What the handler calls in its turn: the address, with these bits. No address has them.
const WITH_INFORMATION: u64 = 1 << 63;
const ONLY_ONCE: u64 = 1 << 62;

/// What the process does about one signal.
struct Signal {
    /// Which of the handlers it is, or was.
    level: AtomicUsize,
    /// What was there before each of them: its handler, `SIG_DFL` or `SIG_IGN`.
    before: [AtomicU64; HANDLERS.len()],
    /// The whole of what is to be put back; null while nobody wants the signal.
    previous: AtomicPtr<libc::sigaction>,
}

/// One that signals are counted for. Used again, never freed: a handler may be looking at it.
struct Receiver {
    next: *const Receiver,
    is_taken: AtomicBool,
    /// Handlers that are about to write to the descriptor.
    inside: AtomicU32,
    /// -1: closed.
    descriptor: AtomicI32,
    /// A bit for each signal.
    wanted: AtomicU64,
    counts: [AtomicU64; HIGHEST + 1],
}

/// What is changed with a lock held, which no handler takes.
struct Changing {
    /// Receivers that want the signal.
    wanted: [u32; HIGHEST + 1],
    /// Handlers from this one on are nobody's.
    free_level: [usize; HIGHEST + 1],
}

/// The signals of one process.
struct Registry {
    process: libc::pid_t,
    signals: [Signal; HIGHEST + 1],
    receivers: AtomicPtr<Receiver>,
    changing: Mutex<Changing>,
    /// That of the process which this one was forked from.
    _parents: *const Registry,
}

// SAFETY: the pointers lead to what is never freed, and is made of atomics and a lock.
unsafe impl Sync for Registry {}

/// That of this process, or of one that it was forked from.
static REGISTRY: AtomicPtr<Registry> = AtomicPtr::new(ptr::null_mut());

fn process() -> libc::pid_t {
    // SAFETY: takes nothing, and cannot fail.
    unsafe { libc::getpid() }
}

/// The registry, of whichever process.
fn any_registry() -> Option<&'static Registry> {
    // SAFETY: null, or a registry that was leaked.
    unsafe { REGISTRY.load(Ordering::Acquire).as_ref() }
}

/// That of this process.
fn registry() -> &'static Registry {
    loop {
        let before = any_registry();
        if let Some(registry) = before.filter(|registry| registry.process == process()) {
            return registry;
        }
        let word = |number: usize, level: usize| {
            before.map_or(0, |registry| registry.signals[number].before[level].load(Ordering::Relaxed))
        };
        let parents = before.map_or(ptr::null(), ptr::from_ref);
        let new = Box::into_raw(Box::new(Registry {
            process: process(),
            // A handler of the host's may call one of ours still, and that has to know what to call.
            signals: std::array::from_fn(|number| Signal {
                level: AtomicUsize::new(0),
                before: std::array::from_fn(|level| AtomicU64::new(word(number, level))),
                previous: AtomicPtr::default(),
            }),
            receivers: AtomicPtr::default(),
            changing: Mutex::new(Changing { wanted: [0; HIGHEST + 1], free_level: [0; HIGHEST + 1] }),
            _parents: parents,
        }));
        match REGISTRY.compare_exchange(parents.cast_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
            // A child of fork has the registration of its parent already.
            Ok(before) if before.is_null() => super::at_fork_in_child(put_back_in_child),
            Ok(_) => {}
            // SAFETY: it was made above, and nobody has seen it.
            Err(_) => drop(unsafe { Box::from_raw(new) }),
        }
    }
}

/// What the system does about a signal.
fn action_of(number: usize) -> io::Result<libc::sigaction> {
    let mut now = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: nothing is changed, and what is there is written to the place given, or the call fails.
    match unsafe { libc::sigaction(number as libc::c_int, ptr::null(), now.as_mut_ptr()) } {
        // SAFETY: the call has succeeded and so has filled it in.
        0 => Ok(unsafe { now.assume_init() }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Changes that; what was there before.
fn set_action(number: usize, to: &libc::sigaction) -> io::Result<libc::sigaction> {
    let mut before = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: the handler in it is one of ours, or was the process's before; the old one is written to the place given.
    match unsafe { libc::sigaction(number as libc::c_int, to, before.as_mut_ptr()) } {
        // SAFETY: the call has succeeded and so has filled it in.
        0 => Ok(unsafe { before.assume_init() }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// An action without flags and with an empty mask.
fn bare_action(handler: usize) -> libc::sigaction {
    // SAFETY: a sigaction of zeroes is one: the default, no flags, and on all systems an empty mask.
    let mut action = unsafe { std::mem::zeroed::<libc::sigaction>() };
    // SAFETY: fills in the set given.
    unsafe { libc::sigemptyset(&mut action.sa_mask) };
    action.sa_sigaction = handler;
    action
}

fn calls_a_handler(action: &libc::sigaction) -> bool {
    !matches!(action.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN)
}

fn to_word(action: &libc::sigaction) -> u64 {
    let bit = |flag, bit| if action.sa_flags & flag != 0 && calls_a_handler(action) { bit } else { 0 };
    action.sa_sigaction as u64 | bit(libc::SA_SIGINFO, WITH_INFORMATION) | bit(libc::SA_RESETHAND, ONLY_ONCE)
}

fn of_word(word: u64) -> libc::sigaction {
    let mut action = bare_action((word & !(WITH_INFORMATION | ONLY_ONCE)) as usize);
    let flag = |bit, flag| if word & bit != 0 { flag } else { 0 };
    action.sa_flags = flag(WITH_INFORMATION, libc::SA_SIGINFO) | flag(ONLY_ONCE, libc::SA_RESETHAND);
    action
}

/// Ours in place of `now`: what the host has asked of the system for its own handler holds on.
fn in_place_of(now: &libc::sigaction, number: usize, level: usize) -> libc::sigaction {
    const KEPT: libc::c_int = libc::SA_RESTART | libc::SA_NODEFER | libc::SA_NOCLDSTOP | libc::SA_NOCLDWAIT;
    let mut ours = bare_action(address_of(level));
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    if calls_a_handler(now) {
        ours.sa_mask = now.sa_mask;
        ours.sa_flags |= now.sa_flags & KEPT;
    } else {
        // No call was interrupted before, so none is now.
        ours.sa_flags |= libc::SA_RESTART;
        if number == libc::SIGCHLD as usize && now.sa_sigaction == libc::SIG_IGN {
            // Then no child was to be waited for.
            ours.sa_flags |= libc::SA_NOCLDWAIT;
        }
    }
    ours
}

impl Registry {
    fn changing(&self) -> MutexGuard<'_, Changing> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the handler in place.
    fn install(&self, number: usize, changing: &mut Changing) -> io::Result<()> {
        let signal = &self.signals[number];
        let mut now = action_of(number)?;
        let in_place = (0..HANDLERS.len()).find(|level| address_of(*level) == now.sa_sigaction);
        let level = in_place.unwrap_or(changing.free_level[number]);
        if level >= HANDLERS.len() {
            let why = format!("the handler of signal {number} was replaced {level} times while it was watched");
            return Err(io::Error::other(why));
        }
        if in_place.is_some() {
            // One that the host has put back, after it was the only watcher's last time.
            now = of_word(signal.before[level].load(Ordering::Acquire));
        }
        signal.before[level].store(to_word(&now), Ordering::Release);
        signal.level.store(level, Ordering::Release);
        let previous = Box::into_raw(Box::new(now));
        signal.previous.store(previous, Ordering::Release);
        if in_place.is_some() {
            return Ok(());
        }
        // SAFETY: made above; it is freed by `uninstall`, or below, with the same lock held.
        let set = set_action(number, &in_place_of(unsafe { &*previous }, number, level));
        match set {
            // It may have become another one meanwhile.
            Ok(before) => {
                signal.before[level].store(to_word(&before), Ordering::Release);
                let previous = signal.previous.swap(Box::into_raw(Box::new(before)), Ordering::AcqRel);
                free_previous(previous);
                Ok(())
            }
            Err(why) => {
                free_previous(signal.previous.swap(ptr::null_mut(), Ordering::AcqRel));
                Err(why)
            }
        }
    }

    /// Puts back what was there before, where that is still ours to do.
    fn uninstall(&self, number: usize, changing: &mut Changing) {
        let signal = &self.signals[number];
        let level = signal.level.load(Ordering::Acquire);
        let previous = signal.previous.swap(ptr::null_mut(), Ordering::AcqRel);
        let is_restored = self.restore(number, previous).is_ok_and(|restored| restored);
        // One that is left may be called for as long as the process lives.
        changing.free_level[number] = if is_restored { level } else { level + 1 };
        free_previous(previous);
    }

    fn restore(&self, number: usize, previous: *const libc::sigaction) -> io::Result<bool> {
        let signal = &self.signals[number];
        let level = signal.level.load(Ordering::Acquire);
        if previous.is_null() || action_of(number)?.sa_sigaction != address_of(level) {
            return Ok(false);
        }
        let is_used_up = signal.before[level].load(Ordering::Acquire) == libc::SIG_DFL as u64;
        // SAFETY: not null, and it is freed only by who has taken it out of its place, which is the caller.
        let put_back = if is_used_up { bare_action(libc::SIG_DFL) } else { unsafe { *previous } };
        let replaced = set_action(number, &put_back)?;
        if replaced.sa_sigaction == address_of(level) {
            return Ok(true);
        }
        // Another thread has changed it in between: it was right.
        set_action(number, &replaced).map(|_| false)
    }

    /// A receiver that nobody has.
    fn receiver(&self) -> &'static Receiver {
        let _changing = self.changing();
        let first = self.receivers.load(Ordering::Acquire);
        let mut next: *const Receiver = first;
        // SAFETY: null, or a receiver, which is never freed.
        while let Some(receiver) = unsafe { next.as_ref() } {
            if !receiver.is_taken.swap(true, Ordering::AcqRel) {
                return receiver;
            }
            next = receiver.next;
        }
        let new = Box::leak(Box::new(Receiver {
            next: first,
            is_taken: AtomicBool::new(true),
            inside: AtomicU32::new(0),
            descriptor: AtomicI32::new(-1),
            wanted: AtomicU64::new(0),
            counts: [const { AtomicU64::new(0) }; HIGHEST + 1],
        }));
        self.receivers.store(new, Ordering::Release);
        new
    }

    /// Counts a signal, by the handler.
    fn tell(&self, number: usize) {
        let mut next: *const Receiver = self.receivers.load(Ordering::Acquire);
        // SAFETY: null, or a receiver, which is never freed.
        while let Some(receiver) = unsafe { next.as_ref() } {
            receiver.tell(number);
            next = receiver.next;
        }
    }
}

fn free_previous(previous: *mut libc::sigaction) {
    if !previous.is_null() {
        // SAFETY: it came from Box::into_raw, and was taken out of its place by the caller, with the lock held.
        drop(unsafe { Box::from_raw(previous) });
    }
}

fn bit_of(number: usize) -> u64 {
    1 << (number - 1)
}

impl Receiver {
    fn tell(&self, number: usize) {
        if self.wanted.load(Ordering::Acquire) & bit_of(number) == 0 {
            return;
        }
        // Who closes the descriptor says so first, and then waits until nobody is inside.
        self.inside.fetch_add(1, Ordering::SeqCst);
        let descriptor = self.descriptor.load(Ordering::SeqCst);
        if descriptor >= 0 {
            self.counts[number].fetch_add(1, Ordering::SeqCst);
            let one = 1u64.to_ne_bytes();
            // SAFETY: write may be called by a handler, and the descriptor stays open meanwhile. When there is no room,
            // the receiver will wake up anyway.
            unsafe { libc::write(descriptor, one.as_ptr().cast(), one.len()) };
        }
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Where errno is.
fn errno() -> *mut libc::c_int {
    // SAFETY: the address of a variable of this thread's, which is always there.
    unsafe {
        #[cfg(any(target_os = "linux", target_os = "emscripten", target_os = "hurd"))]
        return libc::__errno_location();
        #[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
        return libc::__errno();
        #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
        return libc::__error();
    }
}

/// What the system calls. Everything in it may be done by a handler: nothing is allocated and nothing locked.
extern "C" fn handler<const LEVEL: usize>(
    number: libc::c_int,
    information: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let Some(registry) = any_registry() else { return };
    // SAFETY: a variable of this thread's, which nobody else reads meanwhile.
    let before = unsafe { *errno() };
    let (index, signal) = (number as usize, &registry.signals[number as usize]);
    // A child of fork, or of vfork, has none of the receivers, although it may have their descriptors.
    let is_own = registry.process == process();
    if is_own && signal.level.load(Ordering::Acquire) == LEVEL {
        registry.tell(index);
    }
    let word = signal.before[LEVEL].load(Ordering::Acquire);
    let is_ours = || action_of(index).is_ok_and(|now| now.sa_sigaction == address_of(LEVEL));
    if word == libc::SIG_DFL as u64 && !is_own && is_ours() {
        // What the parent wants to know, the child does not: it is as if nobody had asked.
        let _ = set_action(index, &bare_action(libc::SIG_DFL));
        // SAFETY: raise may be called by a handler; the signal is blocked until that has returned.
        unsafe { libc::raise(number) };
    }
    // SAFETY: as above. The host's handler finds what it would have found.
    unsafe { *errno() = before };
    pass_on(&signal.before[LEVEL], word, (number, information, context));
}

/// Calls the handler that was there before.
fn pass_on(
    place: &AtomicU64,
    word: u64,
    (number, information, context): (libc::c_int, *mut libc::siginfo_t, *mut libc::c_void),
) {
    let address = (word & !(WITH_INFORMATION | ONLY_ONCE)) as usize;
    if matches!(address, libc::SIG_DFL | libc::SIG_IGN) {
        return;
    }
    let default = libc::SIG_DFL as u64;
    let mine =
        word & ONLY_ONCE == 0 || place.compare_exchange(word, default, Ordering::AcqRel, Ordering::Acquire).is_ok();
    if !mine {
        return;
    }
    if word & WITH_INFORMATION != 0 {
        // SAFETY: the host gave this function to the system as a handler of three arguments; they are the system's.
        let call = unsafe { std::mem::transmute::<usize, Handler>(address) };
        call(number, information, context);
    } else {
        // SAFETY: the same with one argument.
        let call = unsafe { std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(address) };
        call(number);
    }
}

/// In a child of fork: the signals are again as the host has them, for what it executes as well.
extern "C" fn put_back_in_child() {
    let Some(registry) = any_registry() else { return };
    for (number, signal) in registry.signals.iter().enumerate() {
        let previous = signal.previous.load(Ordering::Acquire);
        if !previous.is_null() {
            // There are no other threads here. What one of the parent's was about to change, its handler does without.
            let _ = registry.restore(number, previous);
        }
    }
}

/// Counts signals, and has a descriptor that becomes readable when one has come.
pub struct SignalReceiver {
    registry: &'static Registry,
    receiver: &'static Receiver,
    readable: OwnedFd,
    /// Where it is not the same.
    _writable: Option<OwnedFd>,
}

impl SignalReceiver {
    /// One that wants no signal yet.
    pub fn new() -> io::Result<Self> {
        let (readable, writable) = wake_up()?;
        let registry = registry();
        let receiver = registry.receiver();
        let written = writable.as_ref().unwrap_or(&readable).as_raw_fd();
        receiver.descriptor.store(written, Ordering::SeqCst);
        Ok(Self { registry, receiver, readable, _writable: writable })
    }

    /// What becomes readable.
    pub fn descriptor(&self) -> Socket {
        self.readable.as_raw_fd()
    }

    /// Counts this signal from here on.
    pub fn want(&self, number: i32) -> io::Result<()> {
        let (index, bit) = (number as usize, bit_of(number as usize));
        let mut changing = self.registry.changing();
        if self.receiver.wanted.load(Ordering::Relaxed) & bit != 0 {
            return Ok(());
        }
        self.receiver.counts[index].store(0, Ordering::SeqCst);
        self.receiver.wanted.fetch_or(bit, Ordering::SeqCst);
        if changing.wanted[index] == 0 {
            if let Err(why) = self.registry.install(index, &mut changing) {
                self.receiver.wanted.fetch_and(!bit, Ordering::SeqCst);
                return Err(why);
            }
        }
        changing.wanted[index] += 1;
        Ok(())
    }

    /// Counts it no more.
    pub fn forgo(&self, number: i32) {
        let (index, bit) = (number as usize, bit_of(number as usize));
        let mut changing = self.registry.changing();
        if self.receiver.wanted.fetch_and(!bit, Ordering::SeqCst) & bit != 0 {
            changing.wanted[index] -= 1;
            if changing.wanted[index] == 0 {
                self.registry.uninstall(index, &mut changing);
            }
        }
    }

    /// Calls `tell` for each signal that has come, with how often that was.
    pub fn take(&self, mut tell: impl FnMut(i32, u64)) {
        let mut bytes = [0u8; 512];
        // SAFETY: the descriptor is ours and does not block; there is room for as many bytes.
        while unsafe { libc::read(self.descriptor(), bytes.as_mut_ptr().cast(), bytes.len()) } == bytes.len() as isize {
        }
        for number in (1..=HIGHEST).filter(|number| self.receiver.wanted.load(Ordering::Acquire) & bit_of(*number) != 0)
        {
            let count = self.receiver.counts[number].swap(0, Ordering::SeqCst);
            if count != 0 {
                tell(number as i32, count);
            }
        }
    }
}

impl Drop for SignalReceiver {
    fn drop(&mut self) {
        (1..=HIGHEST as i32).for_each(|number| self.forgo(number));
        self.receiver.descriptor.store(-1, Ordering::SeqCst);
        while self.receiver.inside.load(Ordering::SeqCst) != 0 {
            std::thread::yield_now();
        }
        self.receiver.is_taken.store(false, Ordering::Release);
    }
}

/// A descriptor to wait for, and the one to write to if that is another.
fn wake_up() -> io::Result<(OwnedFd, Option<OwnedFd>)> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        // SAFETY: takes no pointers.
        let descriptor = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was just made, and nobody else has it.
        Ok((unsafe { OwnedFd::from_raw_fd(descriptor) }, None))
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let mut ends = [-1; 2];
        // SAFETY: two descriptors are written to the array, or the call fails.
        if unsafe { libc::pipe(ends.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: they were just made, and nobody else has them.
        let ends = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
        for end in &ends {
            // SAFETY: flags of descriptors that are ours.
            unsafe {
                libc::fcntl(end.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC);
                libc::fcntl(end.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK);
            }
        }
        let [readable, writable] = ends;
        Ok((readable, Some(writable)))
    }
}

/// Why a signal cannot be watched, in words; None: it can, unless the system refuses it.
pub fn unwatchable_signal(number: i32) -> Option<String> {
    const AT_FAULT: &str = "it comes of what the program does itself, and would come again and again";
    let (name, why) = match number {
        libc::SIGKILL => ("SIGKILL", "the system lets nobody catch it"),
        libc::SIGSTOP => ("SIGSTOP", "the system lets nobody catch it"),
        libc::SIGSEGV => ("SIGSEGV", AT_FAULT),
        libc::SIGBUS => ("SIGBUS", AT_FAULT),
        libc::SIGILL => ("SIGILL", AT_FAULT),
        libc::SIGFPE => ("SIGFPE", AT_FAULT),
        libc::SIGTRAP => ("SIGTRAP", AT_FAULT),
        libc::SIGSYS => ("SIGSYS", AT_FAULT),
        libc::SIGABRT => ("SIGABRT", "the program ends by it whatever is done"),
        1.. if number as usize <= HIGHEST => return None,
        _ => return Some(format!("{number} is no signal; they go from 1 to {HIGHEST}")),
    };
    Some(format!("{name}, signal {number}, cannot be watched: {why}"))
}
