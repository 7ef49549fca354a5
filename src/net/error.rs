//! The system's errors in the library's words.

use crate::deferred::failure::{self, Failure, Reason};
use crate::handles::{Item, Owned, Word};
use crate::platform::{self, SystemError};
use crate::reactor::ReactorItem;
use crate::status::Status;
use std::fmt::Display;
use std::io::{self, ErrorKind};

/// The status that an error of the system stands for.
pub fn status_of(error: &io::Error) -> Status {
    match platform::system_error(error) {
        Some(SystemError::NoMemory) => return Status::ERR_NO_MEMORY,
        Some(SystemError::NoDescriptors) => return Status::ERR_TOO_MANY_DESCRIPTORS,
        Some(SystemError::TooLong) => return Status::ERR_TOO_LONG,
        Some(SystemError::Unusable) | None => {}
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => Status::ERR_CONNECTION_REFUSED,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::NotConnected => Status::ERR_CONNECTION_LOST,
        ErrorKind::ConnectionAborted => Status::ERR_CONNECTION_ABORTED,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => Status::ERR_UNREACHABLE,
        ErrorKind::AddrInUse => Status::ERR_ADDRESS_IN_USE,
        ErrorKind::AddrNotAvailable => Status::ERR_ADDRESS_NOT_AVAILABLE,
        ErrorKind::PermissionDenied => Status::ERR_PERMISSION_DENIED,
        ErrorKind::TimedOut => Status::ERR_TIMED_OUT,
        ErrorKind::Unsupported => Status::ERR_NOT_SUPPORTED,
        ErrorKind::OutOfMemory => Status::ERR_NO_MEMORY,
        _ => Status::ERR_OS,
    }
}

/// The same as a call's answer; the message says what was being done, and what the system said.
#[cold]
pub fn refused(what: impl Display, error: &io::Error) -> Status {
    status_of(error).because(format_args!("{what}: {error}"))
}

/// A failure of what was being done.
pub fn failure(reactor: ReactorItem, status: Status, what: impl Display, error: Option<&io::Error>) -> Word {
    let message = match error {
        Some(error) => format!("{what}: {error}"),
        None => what.to_string(),
    };
    let os_error = error.and_then(io::Error::raw_os_error).unwrap_or(0);
    made(reactor, status, os_error, &message)
}

/// A failure that says what the system said; its words are made for who asks.
pub fn bare(reactor: ReactorItem, status: Status, error: &io::Error) -> Word {
    let reason = Reason { code: status.0, os_error: error.raw_os_error().unwrap_or(0), message: None };
    failure::make(reactor, &reason, Owned::default())
        .map_or_else(|_| failure::of_status(reactor, status), Item::<Failure>::word)
}

/// A failure with this message; without memory for it, one that says no more than its status.
pub fn made(reactor: ReactorItem, status: Status, os_error: i32, message: &str) -> Word {
    let reason = Reason { code: status.0, os_error, message: Some(message) };
    failure::make(reactor, &reason, Owned::default())
        .map_or_else(|_| failure::of_status(reactor, status), Item::<Failure>::word)
}
