//! What the system tells of changes in directories: inotify, where there is one.

#[cfg(any(target_os = "linux", target_os = "android"))]
pub use by_inotify::*;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub use by_nothing::*;

/// What happened, in a directory that is watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Happening {
    /// There is something new.
    Created,
    /// Something is gone.
    Deleted,
    /// Something was written to, or cut short.
    Modified,
    /// Permissions, an owner, times have changed.
    Attributes,
    /// Something has another name now, which comes next with the same number, if it is in a watched directory.
    MovedFrom,
    /// The same with the new name.
    MovedTo,
    /// The directory itself is gone.
    DirectoryGone,
    /// The directory itself has another name.
    DirectoryMoved,
    /// The directory is no longer watched, which comes last.
    Unwatched,
    /// The system could not remember all.
    Overflow,
}

/// One thing that happened.
#[derive(Clone, Copy, Debug)]
pub struct Notice<'a> {
    /// The number of the watched directory.
    pub watch: i32,
    /// What happened.
    pub what: Happening,
    /// What it happened to is a directory.
    pub is_directory: bool,
    /// What the two halves of a move have in common.
    pub cookie: u32,
    /// The name in the directory; empty: the directory itself.
    pub name: &'a [u8],
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod by_inotify {
    use super::super::Socket;
    use super::{Happening, Notice};
    use std::ffi::CString;
    use std::io;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    /// See the module.
    pub struct ChangeNotifier(OwnedFd);

    const ASKED: u32 = libc::IN_CREATE
        | libc::IN_DELETE
        | libc::IN_MODIFY
        | libc::IN_ATTRIB
        | libc::IN_MOVED_FROM
        | libc::IN_MOVED_TO
        | libc::IN_DELETE_SELF
        | libc::IN_MOVE_SELF
        | libc::IN_EXCL_UNLINK
        | libc::IN_ONLYDIR;

    const MEANINGS: [(u32, Happening); 11] = [
        (libc::IN_Q_OVERFLOW, Happening::Overflow),
        (libc::IN_IGNORED, Happening::Unwatched),
        (libc::IN_CREATE, Happening::Created),
        (libc::IN_DELETE, Happening::Deleted),
        (libc::IN_MODIFY, Happening::Modified),
        (libc::IN_ATTRIB, Happening::Attributes),
        (libc::IN_MOVED_FROM, Happening::MovedFrom),
        (libc::IN_MOVED_TO, Happening::MovedTo),
        (libc::IN_DELETE_SELF, Happening::DirectoryGone),
        (libc::IN_UNMOUNT, Happening::DirectoryGone),
        (libc::IN_MOVE_SELF, Happening::DirectoryMoved),
    ];

    impl ChangeNotifier {
        /// One that watches nothing yet.
        pub fn new() -> io::Result<Self> {
            // SAFETY: takes no pointers.
            let descriptor = unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) };
            if descriptor < 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: it was just made, and nobody else has it.
            Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
        }

        /// What becomes readable when something has happened.
        pub fn descriptor(&self) -> Socket {
            self.0.as_raw_fd()
        }

        /// Watches a directory; its number, which is the same for as long as it is watched.
        pub fn add(&self, directory: &Path, follow: bool) -> io::Result<i32> {
            let path = CString::new(directory.as_os_str().as_bytes())?;
            let mask = if follow { ASKED } else { ASKED | libc::IN_DONT_FOLLOW };
            // SAFETY: the path ends with NUL and lives for the call.
            match unsafe { libc::inotify_add_watch(self.descriptor(), path.as_ptr(), mask) } {
                number if number >= 0 => Ok(number),
                _ => Err(io::Error::last_os_error()),
            }
        }

        /// Watches it no more.
        pub fn remove(&self, number: i32) {
            // SAFETY: takes no pointers; a number that is none any more is refused.
            unsafe { libc::inotify_rm_watch(self.descriptor(), number as _) };
        }

        /// Reads what has happened, as much as there is room for; false: there was nothing.
        pub fn read(&self, buffer: &mut [u8], mut tell: impl FnMut(Notice)) -> io::Result<bool> {
            // SAFETY: the descriptor is ours and does not block; there is room for as many bytes.
            let count = unsafe { libc::read(self.descriptor(), buffer.as_mut_ptr().cast(), buffer.len()) };
            if count < 0 {
                let why = io::Error::last_os_error();
                return if why.kind() == io::ErrorKind::WouldBlock { Ok(false) } else { Err(why) };
            }
            let mut rest = &buffer[..count as usize];
            while let Some((head, behind)) = rest.split_at_checked(size_of::<libc::inotify_event>()) {
                let number = |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
                let (watch, mask, cookie, length) = (number(0) as i32, number(4), number(8), number(12) as usize);
                let Some((name, next)) = behind.split_at_checked(length) else { break };
                rest = next;
                let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
                let is_directory = mask & libc::IN_ISDIR != 0;
                for (_, what) in MEANINGS.into_iter().filter(|(bit, _)| mask & bit != 0) {
                    tell(Notice { watch, what, is_directory, cookie, name });
                }
            }
            Ok(count != 0)
        }
    }

    /// What the system has too few of, if that is what it says.
    pub fn watches_missing(error: &io::Error) -> Option<&'static str> {
        match error.raw_os_error() {
            Some(libc::ENOSPC) => Some("fs.inotify.max_user_watches"),
            Some(libc::EMFILE) => Some("fs.inotify.max_user_instances"),
            _ => None,
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod by_nothing {
    use super::super::Socket;
    use super::Notice;
    use std::convert::Infallible;
    use std::io;
    use std::path::Path;

    /// There is never one: what is watched is looked at from time to time.
    pub struct ChangeNotifier(Infallible);

    impl ChangeNotifier {
        /// Refuses.
        pub fn new() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        /// What becomes readable.
        pub fn descriptor(&self) -> Socket {
            match self.0 {}
        }

        /// Watches a directory.
        pub fn add(&self, _directory: &Path, _follow: bool) -> io::Result<i32> {
            match self.0 {}
        }

        /// Watches it no more.
        pub fn remove(&self, _number: i32) {
            match self.0 {}
        }

        /// Reads what has happened.
        pub fn read(&self, _buffer: &mut [u8], _tell: impl FnMut(Notice)) -> io::Result<bool> {
            match self.0 {}
        }
    }

    /// Nothing is missing where there is nothing.
    pub fn watches_missing(_error: &io::Error) -> Option<&'static str> {
        None
    }
}
