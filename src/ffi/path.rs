//! What is done to a path, and to a whole file at once.

use super::convert::{self, invalid};
use super::guard;
use super::types::*;
use crate::files::whole::Writing;
use crate::files::{self, path, whole};
use crate::status::Result;
use std::ffi::c_char;
use std::path::PathBuf;

/// It may be read.
pub const LARIAT_ACCESS_READ: i32 = 4;
/// It may be written to.
pub const LARIAT_ACCESS_WRITE: i32 = 2;
/// It may be executed, or searched if it is a directory.
pub const LARIAT_ACCESS_EXECUTE: i32 = 1;

/// What is read whole if no limit is set.
const MOST: usize = 256 << 20;

/// A path of C.
pub(super) fn read_path(name: &str, path: *const c_char) -> Result<PathBuf> {
    files::path(name, convert::bytes_text(name, path)?)
}

fn read_paths(from: (&str, *const c_char), to: (&str, *const c_char)) -> Result<(PathBuf, PathBuf)> {
    Ok((read_path(from.0, from.1)?, read_path(to.0, to.1)?))
}

/// Permissions of C.
pub(super) fn read_mode(mode: u32) -> Result<u32> {
    if mode <= 0o7777 { Ok(mode) } else { Err(invalid(format_args!("mode is {mode:#o}; it must be up to 07777"))) }
}

/// Flags of C, if they are some of these.
pub(super) fn read_flags(flags: i32, known: i32) -> Result<i32> {
    match flags & !known {
        0 => Ok(flags),
        unknown => Err(invalid(format_args!("flags has {unknown:#x}, which no constant for this call names"))),
    }
}

fn read_writing(mode: u32, flags: i32) -> Result<Writing> {
    use super::file::{LARIAT_FILE_EXCLUSIVE, LARIAT_FILE_UNSYNCED};
    let flags = read_flags(flags, LARIAT_FILE_EXCLUSIVE | LARIAT_FILE_UNSYNCED)?;
    let (exclusive, unsynced) = (flags & LARIAT_FILE_EXCLUSIVE != 0, flags & LARIAT_FILE_UNSYNCED != 0);
    Ok(Writing { mode: read_mode(mode)?, exclusive, unsynced })
}

/// Reads a whole file.
///
/// path       bytes, ended by NUL, copied.
/// max_bytes  of a longer file nothing is given; 0: 256 MiB.
/// returns    a Deferred of a lariat_bytes; NULL on failure. It fails with LARIAT_ERR_NOT_FOUND,
///            LARIAT_ERR_PERMISSION_DENIED, LARIAT_ERR_NOT_A_FILE, LARIAT_ERR_TOO_LONG past max_bytes,
///            LARIAT_ERR_NO_MEMORY or LARIAT_ERR_OS; the message names the path. Cancelling stops the reading.
/// errors     LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread     the reactor's.
/// Twisted    FilePath.getContent.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_read_file(
    reactor: *mut lariat_reactor,
    path: *const c_char,
    max_bytes: usize,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| {
        let most = if max_bytes == 0 { MOST } else { max_bytes };
        whole::read(reactor, read_path("path", path)?, most)
    })
}

/// Writes a whole file atomically: at any time, also after a crash, the path leads to the old content or to all of the
/// new. It is written beside the old one as .lariat- and ten letters, reaches the disk, and is renamed. An old file's
/// permissions, and its owner and group as far as the process may give them, are kept; extended attributes and other
/// names of it are not. A symbolic link stays, and what it leads to is replaced. If it fails or is cancelled before the
/// end, the old content stays and nothing is left beside it.
///
/// path     bytes, ended by NUL, copied.
/// data     len bytes, copied; may be NULL if len is 0.
/// len      how many.
/// mode     the permissions of a file that is new, less the umask, such as 0666.
/// flags    LARIAT_FILE_EXCLUSIVE: nothing may have the path yet; LARIAT_FILE_UNSYNCED: whether it has reached the disk
///          is not waited for, which is quicker, and after a crash of the system the file may be empty; or 0.
/// returns  a Deferred of NULL; NULL on failure. It fails with LARIAT_ERR_NOT_FOUND for a directory that is not there,
///          LARIAT_ERR_PERMISSION_DENIED, LARIAT_ERR_NOT_A_FILE when something else has the path,
///          LARIAT_ERR_ALREADY_EXISTS, LARIAT_ERR_NO_SPACE or LARIAT_ERR_OS; the message names the path.
/// errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread   the reactor's.
/// Twisted  FilePath.setContent.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_write_file(
    reactor: *mut lariat_reactor,
    path: *const c_char,
    data: *const u8,
    len: usize,
    mode: u32,
    flags: i32,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| {
        let bytes = convert::bytes("data", data, len)?;
        whole::write(reactor, read_path("path", path)?, bytes, read_writing(mode, flags)?)
    })
}

/// Copies a file with its permissions, but for set-user-ID and set-group-ID. The copy appears all at once, in place of a
/// file that has its path, as with lariat_reactor_write_file. Where the file system can, both share what they hold; else
/// the kernel copies where it can. Holes stay holes.
///
/// from     the file; bytes, ended by NUL, copied.
/// to       the path of the copy; bytes, ended by NUL, copied.
/// flags    LARIAT_FILE_EXCLUSIVE, LARIAT_FILE_UNSYNCED, as for lariat_reactor_write_file, or 0.
/// returns  a Deferred of NULL; NULL on failure. It fails as those of lariat_reactor_read_file and
///          lariat_reactor_write_file; the message names a path. Cancelling stops the copying, and leaves no part of it.
/// errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread   the reactor's.
/// Twisted  FilePath.copyTo.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_copy_file(
    reactor: *mut lariat_reactor,
    from: *const c_char,
    to: *const c_char,
    flags: i32,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| {
        let writing = read_writing(0, flags)?;
        files::copy(reactor, read_paths(("from", from), ("to", to))?, writing)
    })
}

/// Finds out whether something is there, and whether this process may use it. Somebody may change that before the answer
/// is read: to open it and see is surer.
///
/// path     bytes, ended by NUL, copied.
/// access   some of LARIAT_ACCESS_READ, LARIAT_ACCESS_WRITE and LARIAT_ACCESS_EXECUTE; 0: whether it is there.
/// returns  a Deferred of 1 or 0 in the place of a pointer; NULL on failure. It fails with LARIAT_ERR_OS when that could
///          not be found out; the message names the path.
/// errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread   the reactor's.
/// POSIX    faccessat with AT_EACCESS.
/// Twisted  FilePath.exists.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_check_access(
    reactor: *mut lariat_reactor,
    path: *const c_char,
    access: i32,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| {
        let access = convert::within("access", access.into(), (0, 7))?;
        path::check_access(reactor, read_path("path", path)?, access as u32)
    })
}

/// Renames a file or a directory, in one step; to another place on the same file system too.
///
/// from     bytes, ended by NUL, copied.
/// to       bytes, ended by NUL, copied. A file there is replaced, and an empty directory by a directory.
/// flags    LARIAT_FILE_EXCLUSIVE: nothing may have that path yet; or 0.
/// returns  a Deferred of NULL; NULL on failure. It fails with LARIAT_ERR_NOT_FOUND, LARIAT_ERR_PERMISSION_DENIED,
///          LARIAT_ERR_ALREADY_EXISTS, LARIAT_ERR_NOT_EMPTY, or LARIAT_ERR_OS, such as EXDEV for another file system;
///          the message names both paths.
/// errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread   the reactor's.
/// POSIX    rename.
/// Twisted  FilePath.moveTo.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_rename(
    reactor: *mut lariat_reactor,
    from: *const c_char,
    to: *const c_char,
    flags: i32,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| {
        let exclusive = read_flags(flags, super::file::LARIAT_FILE_EXCLUSIVE)? != 0;
        path::rename(reactor, read_paths(("from", from), ("to", to))?, exclusive)
    })
}

/// Removes a file, a symbolic link or whatever else is no directory.
///
/// path     bytes, ended by NUL, copied.
/// returns  a Deferred of NULL; NULL on failure. It fails with LARIAT_ERR_NOT_FOUND, LARIAT_ERR_PERMISSION_DENIED,
///          LARIAT_ERR_NOT_A_FILE for a directory, or LARIAT_ERR_OS; the message names the path.
/// errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread   the reactor's.
/// POSIX    unlink.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_remove_file(
    reactor: *mut lariat_reactor,
    path: *const c_char,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| path::remove(reactor, read_path("path", path)?))
}

/// Gives a file a second name.
///
/// from     the file; bytes, ended by NUL, copied.
/// to       its new name, which nothing may have yet; bytes, ended by NUL, copied.
/// returns  a Deferred of NULL; NULL on failure. It fails with LARIAT_ERR_NOT_FOUND, LARIAT_ERR_ALREADY_EXISTS,
///          LARIAT_ERR_PERMISSION_DENIED, or LARIAT_ERR_OS; the message names both paths.
/// errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread   the reactor's.
/// POSIX    link.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_link(
    reactor: *mut lariat_reactor,
    from: *const c_char,
    to: *const c_char,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| path::link(reactor, read_paths(("from", from), ("to", to))?))
}

/// Makes a symbolic link.
///
/// target   where it leads, seen from where it is; need not be there; bytes, ended by NUL, copied.
/// path     the link, which nothing may have as its path yet; bytes, ended by NUL, copied.
/// returns  a Deferred of NULL; NULL on failure. It fails with LARIAT_ERR_ALREADY_EXISTS, LARIAT_ERR_NOT_FOUND,
///          LARIAT_ERR_PERMISSION_DENIED, or LARIAT_ERR_OS; the message names the path.
/// errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread   the reactor's.
/// POSIX    symlink.
/// Twisted  FilePath.linkTo.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_symlink(
    reactor: *mut lariat_reactor,
    target: *const c_char,
    path: *const c_char,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| path::symlink(reactor, read_paths(("target", target), ("path", path))?))
}

/// Finds out where a symbolic link leads.
///
/// path     the link; bytes, ended by NUL, copied.
/// returns  a Deferred of a lariat_bytes, as it was given when the link was made; NULL on failure. It fails with
///          LARIAT_ERR_NOT_FOUND, LARIAT_ERR_PERMISSION_DENIED, or LARIAT_ERR_OS, which is EINVAL for what is no link;
///          the message names the path.
/// errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread   the reactor's.
/// POSIX    readlink.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_read_link(reactor: *mut lariat_reactor, path: *const c_char) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| path::read_link(reactor, read_path("path", path)?))
}

/// Finds out the absolute path of something, without symbolic links, "." and "..".
///
/// path     bytes, ended by NUL, copied.
/// returns  a Deferred of a lariat_bytes; NULL on failure. It fails with LARIAT_ERR_NOT_FOUND,
///          LARIAT_ERR_PERMISSION_DENIED, or LARIAT_ERR_OS; the message names the path.
/// errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread   the reactor's.
/// POSIX    realpath.
/// Twisted  FilePath.realpath.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_real_path(reactor: *mut lariat_reactor, path: *const c_char) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| path::real_path(reactor, read_path("path", path)?))
}

/// Sets the permissions of what has this path; of what a symbolic link leads to.
///
/// path     bytes, ended by NUL, copied.
/// mode     up to 07777, whatever the umask. On Windows only whether anybody may write counts.
/// returns  a Deferred of NULL; NULL on failure. It fails with LARIAT_ERR_NOT_FOUND, LARIAT_ERR_PERMISSION_DENIED, or
///          LARIAT_ERR_OS; the message names the path.
/// errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread   the reactor's.
/// Twisted  FilePath.chmod.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_chmod(
    reactor: *mut lariat_reactor,
    path: *const c_char,
    mode: u32,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| path::chmod(reactor, read_path("path", path)?, read_mode(mode)?))
}
