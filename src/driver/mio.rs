//! The real driver: epoll, kqueue or AFD through mio, always edge-triggered.

use super::{Driver, Readiness, Ready, Waker};
use crate::handles::Word;
use crate::platform::{self, Socket, SystemError};
use crate::status::{Result, Status};
use mio::{Events, Poll, Token};
#[cfg(target_os = "linux")]
use std::cell::OnceCell;
use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The waker's and the kernel timer's token: no handle is zero.
const INTERNAL: Token = Token(0);

/// Events taken from the kernel in one go; those beyond come with the next turn.
const EVENTS: usize = 1024;

/// See the module.
pub struct MioDriver {
    #[cfg(windows)]
    registrations: super::mio_windows::Registrations,
    poll: RefCell<Poll>,
    events: RefCell<Events>,
    waker: Arc<mio::Waker>,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) receiver: super::system_datagrams::Receiver,
    #[cfg(target_os = "linux")]
    timer: OnceCell<platform::KernelTimer>,
}

fn os_error(what: &str, error: &io::Error) -> Status {
    let status = match platform::system_error(error) {
        Some(SystemError::NoMemory) => Status::ERR_NO_MEMORY,
        _ => Status::ERR_OS,
    };
    status.because(format_args!("{what}: {error}"))
}

impl MioDriver {
    /// Opens the poll and its waker.
    pub fn new() -> Result<Self> {
        let poll = Poll::new().map_err(|error| os_error("opening the poll", &error))?;
        let waker =
            mio::Waker::new(poll.registry(), INTERNAL).map_err(|error| os_error("opening the waker", &error))?;
        Ok(Self {
            #[cfg(windows)]
            registrations: super::mio_windows::Registrations::default(),
            poll: RefCell::new(poll),
            events: RefCell::new(Events::with_capacity(EVENTS)),
            waker: Arc::new(waker),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            receiver: super::system_datagrams::Receiver::default(),
            #[cfg(target_os = "linux")]
            timer: OnceCell::new(),
        })
    }

    /// What a call that reads a socket has come to. Without more to read, an edge says when there is: epoll and kqueue
    /// know that by themselves.
    #[inline(always)]
    pub(super) fn read<R>(&self, socket: Socket, result: io::Result<R>) -> io::Result<R> {
        #[cfg(windows)]
        return self.called(socket, Readiness { readable: true, writable: false }, result);
        #[cfg(unix)]
        {
            let _ = socket;
            result
        }
    }

    /// The same of a call that writes.
    #[inline(always)]
    pub(super) fn written<R>(&self, socket: Socket, result: io::Result<R>) -> io::Result<R> {
        #[cfg(windows)]
        return self.called(socket, Readiness { readable: false, writable: true }, result);
        #[cfg(unix)]
        {
            let _ = socket;
            result
        }
    }

    #[cfg(windows)]
    #[inline]
    fn called<R>(&self, socket: Socket, direction: Readiness, result: io::Result<R>) -> io::Result<R> {
        if let Err(error) = &result {
            if error.kind() == io::ErrorKind::WouldBlock {
                self.registrations.exhausted(self.poll.borrow().registry(), socket, direction)?;
            }
        }
        result
    }

    /// A socket is new, or gone: nothing of an older one with its number is left.
    #[inline(always)]
    pub(super) fn forget(&self, socket: Socket) {
        #[cfg(windows)]
        self.registrations.forget(socket);
        #[cfg(unix)]
        let _ = socket;
    }

    #[cfg(unix)]
    fn register(&self, socket: Socket, key: Word, interest: Readiness, again: bool) -> Result {
        let poll = self.poll.borrow();
        let mut source = mio::unix::SourceFd(&socket);
        let token = Token(key.addr());
        let done = match (interest_of(interest), again) {
            (None, false) => return Ok(()),
            // An interest in nothing keeps no registration, or a hang-up would be reported for ever.
            (None, true) => poll.registry().deregister(&mut source).or_else(unknown_is_fine),
            (Some(interest), false) => poll.registry().register(&mut source, token, interest),
            (Some(interest), true) => match poll.registry().reregister(&mut source, token, interest) {
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                    poll.registry().register(&mut source, token, interest)
                }
                done => done,
            },
        };
        done.map_err(|error| match error.raw_os_error() {
            Some(libc::EEXIST) => Status::ERR_ALREADY_WATCHED,
            _ => os_error(&format!("watching descriptor {socket}"), &error),
        })
    }
}

#[cfg(unix)]
fn unknown_is_fine(error: io::Error) -> io::Result<()> {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::EBADF) => Ok(()),
        _ => Err(error),
    }
}

#[cfg(unix)]
fn interest_of(readiness: Readiness) -> Option<mio::Interest> {
    match (readiness.readable, readiness.writable) {
        (true, true) => Some(mio::Interest::READABLE | mio::Interest::WRITABLE),
        (true, false) => Some(mio::Interest::READABLE),
        (false, true) => Some(mio::Interest::WRITABLE),
        (false, false) => None,
    }
}

impl Driver for MioDriver {
    fn now(&self) -> u64 {
        platform::monotonic_nanoseconds()
    }

    fn poll(&self, wait: Option<u64>, ready: &mut Vec<Ready>) -> Result {
        let mut events = self.events.borrow_mut();
        let wait = wait.map(Duration::from_nanos);
        match self.poll.borrow_mut().poll(&mut events, wait) {
            Ok(()) if events.is_empty() => return Ok(()),
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(os_error("polling", &error)),
        }
        for event in events.iter().filter(|event| event.token() != INTERNAL) {
            // An end or an error is for whoever asked for either direction: reading or writing finds it out.
            let ended = event.is_read_closed() || event.is_error();
            let readiness = Readiness {
                readable: event.is_readable() || ended,
                writable: event.is_writable() || event.is_write_closed() || event.is_error(),
            };
            #[cfg(unix)]
            let key = Word::from_addr(event.token().0);
            #[cfg(windows)]
            let Some(key) = self.registrations.answered(event.token(), readiness) else { continue };
            ready.push(Ready { key, readiness, ended });
        }
        Ok(())
    }

    fn waker(&self) -> Waker {
        let waker = Arc::clone(&self.waker);
        Arc::new(move || {
            // It can fail only when the counter is full, and then a wake-up is on its way already.
            let _ = waker.wake();
        })
    }

    #[cfg(unix)]
    fn watch(&self, socket: Socket, key: Word, interest: Readiness) -> Result {
        self.register(socket, key, interest, false)
    }

    #[cfg(unix)]
    fn rewatch(&self, socket: Socket, key: Word, interest: Readiness) -> Result {
        self.register(socket, key, interest, true)
    }

    #[cfg(unix)]
    fn unwatch(&self, socket: Socket) -> Result {
        self.register(socket, Word::NULL, Readiness::default(), true)
    }

    #[cfg(unix)]
    fn backend(&self) -> Result<Socket> {
        use std::os::fd::AsRawFd;
        #[cfg(target_os = "linux")]
        if self.timer.get().is_none() {
            let timer = platform::KernelTimer::new().map_err(|error| os_error("opening a timer", &error))?;
            let poll = self.poll.borrow();
            let descriptor = timer.descriptor();
            let mut source = mio::unix::SourceFd(&descriptor);
            poll.registry()
                .register(&mut source, INTERNAL, mio::Interest::READABLE)
                .map_err(|error| os_error("watching a timer", &error))?;
            let _ = self.timer.set(timer);
        }
        Ok(self.poll.borrow().as_raw_fd())
    }

    #[cfg(windows)]
    fn watch(&self, socket: Socket, key: Word, interest: Readiness) -> Result {
        let done = self.registrations.watch(self.poll.borrow().registry(), socket, key, interest)?;
        done.map_err(|error| os_error(&format!("watching socket {socket}"), &error))
    }

    #[cfg(windows)]
    fn rewatch(&self, socket: Socket, key: Word, interest: Readiness) -> Result {
        let done = self.registrations.rewatch(self.poll.borrow().registry(), socket, key, interest)?;
        done.map_err(|error| os_error(&format!("watching socket {socket}"), &error))
    }

    #[cfg(windows)]
    fn unwatch(&self, socket: Socket) -> Result {
        self.registrations.forget(socket);
        Ok(())
    }

    #[cfg(windows)]
    fn backend(&self) -> Result<Socket> {
        Err(Status::ERR_NOT_SUPPORTED.because("there is no descriptor behind a reactor on Windows"))
    }

    fn arm(&self, wait: Option<u64>) {
        #[cfg(target_os = "linux")]
        if let Some(timer) = self.timer.get() {
            timer.set(wait);
        }
        #[cfg(not(target_os = "linux"))]
        if wait == Some(0) {
            let _ = self.waker.wake();
        }
    }
}
