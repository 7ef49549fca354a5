//! The system's numbers for errors that std has no kind for.

use std::io;

/// What an error says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SystemError {
    /// The system has no memory for it just now.
    NoMemory,
    /// There are as many descriptors as there may be.
    NoDescriptors,
    /// It does not fit into one datagram.
    TooLong,
    /// The descriptor is none, or not of the right kind, and never will be.
    Unusable,
}

/// What an error of the system says, if it is one of these.
pub fn system_error(error: &io::Error) -> Option<SystemError> {
    #[cfg(unix)]
    let system_error = match error.raw_os_error()? {
        libc::ENOMEM | libc::ENOBUFS => SystemError::NoMemory,
        libc::EMFILE | libc::ENFILE => SystemError::NoDescriptors,
        libc::EMSGSIZE => SystemError::TooLong,
        libc::EBADF | libc::ENOTSOCK | libc::EOPNOTSUPP | libc::EFAULT => SystemError::Unusable,
        _ => return None,
    };
    #[cfg(windows)]
    let system_error = {
        use windows_sys::Win32::Foundation::{
            ERROR_INVALID_HANDLE, ERROR_NOT_ENOUGH_MEMORY, ERROR_OUTOFMEMORY, ERROR_TOO_MANY_OPEN_FILES, WIN32_ERROR,
        };
        use windows_sys::Win32::Networking::WinSock as winsock;
        const NO_MEMORY: [WIN32_ERROR; 2] = [ERROR_NOT_ENOUGH_MEMORY, ERROR_OUTOFMEMORY];
        match error.raw_os_error()? {
            winsock::WSAENOBUFS => SystemError::NoMemory,
            code if NO_MEMORY.contains(&(code as WIN32_ERROR)) => SystemError::NoMemory,
            winsock::WSAEMFILE => SystemError::NoDescriptors,
            code if code as WIN32_ERROR == ERROR_TOO_MANY_OPEN_FILES => SystemError::NoDescriptors,
            winsock::WSAEMSGSIZE => SystemError::TooLong,
            winsock::WSAENOTSOCK | winsock::WSAEOPNOTSUPP | winsock::WSAEFAULT => SystemError::Unusable,
            code if code as WIN32_ERROR == ERROR_INVALID_HANDLE => SystemError::Unusable,
            _ => return None,
        }
    };
    Some(system_error)
}
