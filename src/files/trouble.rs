//! Why an operation has failed, on its way from a pool thread.

use crate::platform::{self, SystemError};
use crate::status::Status;
use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::path::Path;

/// See the module.
#[derive(Debug)]
pub struct Trouble {
    /// What C gets as the failure's code.
    pub status: Status,
    /// The system's number; 0 none.
    pub os_error: i32,
    /// What was being done, and to what.
    pub message: String,
}

/// The status that an error of the system stands for.
fn status_of(error: &io::Error) -> Status {
    match platform::system_error(error) {
        Some(SystemError::NoMemory) => return Status::ERR_NO_MEMORY,
        Some(SystemError::NoDescriptors) => return Status::ERR_TOO_MANY_DESCRIPTORS,
        Some(SystemError::TooLong | SystemError::Unusable) | None => {}
    }
    match error.kind() {
        ErrorKind::NotFound => Status::ERR_NOT_FOUND,
        ErrorKind::AlreadyExists => Status::ERR_ALREADY_EXISTS,
        ErrorKind::NotADirectory => Status::ERR_NOT_A_DIRECTORY,
        ErrorKind::IsADirectory => Status::ERR_NOT_A_FILE,
        ErrorKind::DirectoryNotEmpty => Status::ERR_NOT_EMPTY,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Status::ERR_NO_SPACE,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Status::ERR_PERMISSION_DENIED,
        ErrorKind::FileTooLarge => Status::ERR_TOO_LONG,
        ErrorKind::OutOfMemory => Status::ERR_NO_MEMORY,
        ErrorKind::InvalidInput if error.raw_os_error().is_none() => Status::ERR_INVALID_ARGUMENT,
        ErrorKind::Unsupported => Status::ERR_NOT_SUPPORTED,
        _ if platform::is_name_too_long(error) => Status::ERR_TOO_LONG,
        _ => Status::ERR_OS,
    }
}

impl Trouble {
    /// Something that the library itself refuses.
    pub fn new(status: Status, message: String) -> Self {
        Self { status, os_error: 0, message }
    }

    /// What the system says to what was being done.
    pub fn saying(what: impl Display, error: &io::Error) -> Self {
        let message = format!("{what}: {error}");
        Self { status: status_of(error), os_error: error.raw_os_error().unwrap_or(0), message }
    }

    /// The same, being done to a path.
    pub fn at(doing: &str, path: &Path, error: &io::Error) -> Self {
        Self::saying(format_args!("{doing} {}", path.display()), error)
    }

    /// The same, being done with two.
    pub fn between(doing: &str, (from, to): (&Path, &Path), error: &io::Error) -> Self {
        Self::saying(format_args!("{doing} {} to {}", from.display(), to.display()), error)
    }
}
