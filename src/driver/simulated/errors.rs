//! Errors as the platform numbers them, so that what reads them needs to know nothing of simulations.

use std::io;

/// A number of the system's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Errno(i32);

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> Self {
        io::Error::from_raw_os_error(errno.0)
    }
}

impl<T> From<Errno> for io::Result<T> {
    fn from(errno: Errno) -> Self {
        Err(errno.into())
    }
}

macro_rules! errors {
    ($($name:ident = $unix:ident, $windows:literal;)*) => {$(
        #[cfg(unix)]
        pub(super) const $name: Errno = Errno(libc::$unix);
        #[cfg(windows)]
        pub(super) const $name: Errno = Errno($windows);
    )*};
}

errors! {
    ACCESS_DENIED = EACCES, 10013;
    ADDRESS_IN_USE = EADDRINUSE, 10048;
    ADDRESS_NOT_AVAILABLE = EADDRNOTAVAIL, 10049;
    ALREADY_CONNECTING = EALREADY, 10037;
    BAD_DESCRIPTOR = EBADF, 10038;
    BROKEN_PIPE = EPIPE, 109;
    CONNECTED = EISCONN, 10056;
    INVALID = EINVAL, 10022;
    NO_DESTINATION = EDESTADDRREQ, 10039;
    NOT_CONNECTED = ENOTCONN, 10057;
    NOT_FOUND = ENOENT, 2;
    NOT_SUPPORTED = EOPNOTSUPP, 10045;
    REFUSED = ECONNREFUSED, 10061;
    RESET = ECONNRESET, 10054;
    TIMED_OUT = ETIMEDOUT, 10060;
    TOO_LONG = EMSGSIZE, 10040;
    UNREACHABLE = ENETUNREACH, 10051;
    WOULD_BLOCK = EAGAIN, 10035;
    WRONG_FAMILY = EAFNOSUPPORT, 10047;
}
