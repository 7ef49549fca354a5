//! Files: opened, read and written on the thread pool.

use super::convert::{self, invalid};
use super::directory::read_wanted;
use super::guard::{self, TextOrNull};
use super::path::{read_flags, read_mode, read_path};
use super::types::*;
use crate::files::file::{self, Opening};
use crate::status::Result;
use std::ffi::c_char;
use std::io::SeekFrom;

/// Open it to be read.
pub const LARIAT_FILE_READ: i32 = 1;
/// Open it to be written.
pub const LARIAT_FILE_WRITE: i32 = 2;
/// Open it to be written, and have each write go to the end, also if others write there too.
pub const LARIAT_FILE_APPEND: i32 = 4;
/// Make it if it is not there. Needs LARIAT_FILE_WRITE or LARIAT_FILE_APPEND.
pub const LARIAT_FILE_CREATE: i32 = 8;
/// With LARIAT_FILE_CREATE: it must not be there yet, not even as a symbolic link.
pub const LARIAT_FILE_EXCLUSIVE: i32 = 16;
/// Throw away what is in it. Needs LARIAT_FILE_WRITE without LARIAT_FILE_APPEND.
pub const LARIAT_FILE_TRUNCATE: i32 = 32;
/// Do not wait until it has reached the disk, where that is the rule.
pub const LARIAT_FILE_UNSYNCED: i32 = 64;
/// A temporary file that has no name, and is gone when it is closed, or the process ends.
pub const LARIAT_FILE_UNNAMED: i32 = 128;

/// From the beginning of the file.
pub const LARIAT_SEEK_START: i32 = 0;
/// From the position.
pub const LARIAT_SEEK_CURRENT: i32 = 1;
/// From the end of the file.
pub const LARIAT_SEEK_END: i32 = 2;

fn read_opening(flags: i32, mode: u32) -> Result<Opening> {
    let flags = read_flags(flags, LARIAT_FILE_UNSYNCED - 1)?;
    let has = |flag| flags & flag != 0;
    let writes = has(LARIAT_FILE_WRITE | LARIAT_FILE_APPEND);
    let why = match () {
        () if !has(LARIAT_FILE_READ) && !writes => {
            "LARIAT_FILE_READ, LARIAT_FILE_WRITE or LARIAT_FILE_APPEND is missing"
        }
        () if has(LARIAT_FILE_CREATE) && !writes => "LARIAT_FILE_CREATE needs one of those that write",
        () if has(LARIAT_FILE_EXCLUSIVE) && !has(LARIAT_FILE_CREATE) => {
            "LARIAT_FILE_EXCLUSIVE needs LARIAT_FILE_CREATE"
        }
        () if has(LARIAT_FILE_TRUNCATE) && (!has(LARIAT_FILE_WRITE) || has(LARIAT_FILE_APPEND)) => {
            "LARIAT_FILE_TRUNCATE needs LARIAT_FILE_WRITE without LARIAT_FILE_APPEND"
        }
        () => {
            return Ok(Opening {
                read: has(LARIAT_FILE_READ),
                write: has(LARIAT_FILE_WRITE),
                append: has(LARIAT_FILE_APPEND),
                create: has(LARIAT_FILE_CREATE),
                exclusive: has(LARIAT_FILE_EXCLUSIVE),
                truncate: has(LARIAT_FILE_TRUNCATE),
                mode: read_mode(mode)?,
            });
        }
    };
    Err(invalid(format_args!("flags is {flags:#x}: {why}")))
}

/// An offset or a size, as the systems have them.
fn read_offset(name: &str, offset: u64) -> Result<u64> {
    match i64::try_from(offset) {
        Ok(_) => Ok(offset),
        Err(_) => Err(invalid(format_args!("{name} is {offset}, which is past what a file can have"))),
    }
}

fn read_length(length: usize) -> Result<usize> {
    if length < isize::MAX as usize { Ok(length) } else { Err(invalid("length is past the address space")) }
}

/// Opens a file. It is not inherited by programs that the process executes.
///
/// path     bytes, ended by NUL, copied.
/// flags    LARIAT_FILE_READ and LARIAT_FILE_WRITE or LARIAT_FILE_APPEND, with some of LARIAT_FILE_CREATE,
///          LARIAT_FILE_EXCLUSIVE and LARIAT_FILE_TRUNCATE.
/// mode     the permissions of a file that is made, less the umask, such as 0666; else not looked at.
/// returns  a Deferred of a lariat_file, which joins the present scope; NULL on failure. It fails with
///          LARIAT_ERR_NOT_FOUND, LARIAT_ERR_PERMISSION_DENIED, LARIAT_ERR_ALREADY_EXISTS, LARIAT_ERR_NOT_A_DIRECTORY,
///          LARIAT_ERR_NOT_A_FILE for a directory or a named pipe, LARIAT_ERR_TOO_MANY_DESCRIPTORS,
///          LARIAT_ERR_NO_SPACE or LARIAT_ERR_OS; the message names the path. If it is cancelled, the file is closed.
/// errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread   the reactor's.
/// POSIX    open.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_open_file(
    reactor: *mut lariat_reactor,
    path: *const c_char,
    flags: i32,
    mode: u32,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| file::open(reactor, read_path("path", path)?, read_opening(flags, mode)?))
}

/// Makes a file with a name that nothing has, and with permissions for its owner alone, and opens it to be read and
/// written.
///
/// directory  where; bytes, ended by NUL, copied; may be NULL: where TMPDIR says, or /tmp.
/// prefix     what its name begins with; bytes, ended by NUL, copied; may be NULL: "lariat-".
/// flags      LARIAT_FILE_UNNAMED: its name is taken away at once; 0: it keeps its name, which lariat_file_path tells,
///            and is not removed by itself.
/// returns    a Deferred of a lariat_file, which joins the present scope; NULL on failure. It fails with
///            LARIAT_ERR_NOT_FOUND, LARIAT_ERR_PERMISSION_DENIED, LARIAT_ERR_NO_SPACE,
///            LARIAT_ERR_TOO_MANY_DESCRIPTORS or LARIAT_ERR_OS; the message names the directory. If it is cancelled, no
///            file is left.
/// errors     LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread     the reactor's.
/// POSIX      mkstemp, tmpfile.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_open_temporary_file(
    reactor: *mut lariat_reactor,
    directory: *const c_char,
    prefix: *const c_char,
    flags: i32,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| {
        let unnamed = read_flags(flags, LARIAT_FILE_UNNAMED)? != 0;
        file::open_temporary(reactor, read_wanted(directory, prefix)?, unnamed)
    })
}

/// Tells the path that a file was opened by.
///
/// returns  text that lives as long as the handle; NULL on failure. Of an unnamed temporary file: what it once was.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_file_path(file: *const lariat_file) -> *const c_char {
    guard::on(file, |file| Ok(TextOrNull(file.path())))
}

/// Reads from the position, and moves it on. What is done to one file is done in the order asked for, each when the one
/// before is done. Of a device what is there is given, once something is.
///
/// length   so many bytes at most; fewer only at the end of the file.
/// returns  a Deferred of a lariat_bytes, empty at the end; NULL on failure. It fails with LARIAT_ERR_NO_MEMORY or
///          LARIAT_ERR_OS; the message names the file. If it is cancelled after it has begun, the position may have
///          moved.
/// errors   LARIAT_ERR_CLOSED after lariat_file_close; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread   the reactor's.
/// POSIX    read.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_file_read(file: *mut lariat_file, length: usize) -> *mut lariat_deferred {
    guard::on(file, |file| file::read(file, read_length(length)?))
}

/// The same as lariat_file_read, from a place; the position stays where it is.
///
/// offset  from the beginning of the file, in bytes.
/// length  so many bytes at most; fewer only at the end of the file.
/// thread  the reactor's.
/// POSIX   pread.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_file_read_at(file: *mut lariat_file, offset: u64, length: usize) -> *mut lariat_deferred {
    guard::on(file, |file| file::read_at(file, read_offset("offset", offset)?, read_length(length)?))
}

/// Writes all of the bytes at the position, and moves it on; at the end, if the file was opened to append. In order with
/// what else is done to the file.
///
/// data     len bytes, copied; may be NULL if len is 0.
/// len      how many.
/// returns  a Deferred of NULL; NULL on failure. It fails with LARIAT_ERR_NO_SPACE, LARIAT_ERR_TOO_LONG for a file that
///          becomes too large, or LARIAT_ERR_OS; the message names the file, and says how much was written, if anything
///          was. If it is cancelled after it has begun, some may have been written.
/// errors   LARIAT_ERR_CLOSED after lariat_file_close; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread   the reactor's.
/// POSIX    write.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_file_write(file: *mut lariat_file, data: *const u8, len: usize) -> *mut lariat_deferred {
    guard::on(file, |file| file::write(file, convert::bytes("data", data, len)?))
}

/// The same as lariat_file_write, at a place; the position stays where it is. Between the old end of the file and the
/// place zeros are read from then on.
///
/// offset  from the beginning of the file, in bytes.
/// data    len bytes, copied; may be NULL if len is 0.
/// len     how many.
/// errors  LARIAT_ERR_INVALID_STATE when the file was opened to append; as lariat_file_write.
/// thread  the reactor's.
/// POSIX   pwrite.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_file_write_at(
    file: *mut lariat_file,
    offset: u64,
    data: *const u8,
    len: usize,
) -> *mut lariat_deferred {
    guard::on(file, |file| file::write_at(file, read_offset("offset", offset)?, convert::bytes("data", data, len)?))
}

/// The same as lariat_file_write, at the end of the file, where the position then is. Another program that writes there
/// at the same time is kept apart only if the file was opened with LARIAT_FILE_APPEND.
///
/// data    len bytes, copied; may be NULL if len is 0.
/// len     how many.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_file_append(file: *mut lariat_file, data: *const u8, len: usize) -> *mut lariat_deferred {
    guard::on(file, |file| file::append(file, convert::bytes("data", data, len)?))
}

/// Moves the position.
///
/// offset   in bytes; negative: before.
/// whence   from where: LARIAT_SEEK_START, LARIAT_SEEK_CURRENT or LARIAT_SEEK_END.
/// returns  a Deferred of the new position, from the beginning, in the place of a pointer; NULL on failure. It fails
///          with LARIAT_ERR_OS, such as EINVAL for a place before the beginning; the message names the file.
/// errors   LARIAT_ERR_CLOSED after lariat_file_close; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread   the reactor's.
/// POSIX    lseek.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_file_seek(file: *mut lariat_file, offset: i64, whence: i32) -> *mut lariat_deferred {
    guard::on(file, |file| {
        let to = match whence {
            LARIAT_SEEK_START => SeekFrom::Start(
                u64::try_from(offset).map_err(|_| invalid(format_args!("offset is {offset}, before the beginning")))?,
            ),
            LARIAT_SEEK_CURRENT => SeekFrom::Current(offset),
            LARIAT_SEEK_END => SeekFrom::End(offset),
            _ => return Err(invalid(format_args!("whence is {whence}, which no constant of LARIAT_SEEK_ names"))),
        };
        file::seek(file, to)
    })
}

/// Tells the position, when what was asked for before is done.
///
/// returns  a Deferred of the position, from the beginning, in the place of a pointer; NULL on failure. It fails with
///          LARIAT_ERR_OS for what has none; the message names the file.
/// errors   LARIAT_ERR_CLOSED after lariat_file_close; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_file_tell(file: *mut lariat_file) -> *mut lariat_deferred {
    guard::on(file, |file| file::seek(file, SeekFrom::Current(0)))
}

/// Tells the size, when what was asked for before is done.
///
/// returns  a Deferred of how many bytes it has, in the place of a pointer; NULL on failure. It fails with
///          LARIAT_ERR_OS; the message names the file.
/// errors   LARIAT_ERR_CLOSED after lariat_file_close; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_file_size(file: *mut lariat_file) -> *mut lariat_deferred {
    guard::on(file, file::size)
}

/// Makes a file shorter, or longer by zeros that take no room; the position stays where it is.
///
/// size     in bytes.
/// returns  a Deferred of NULL; NULL on failure. It fails with LARIAT_ERR_OS, such as EINVAL for a file that was not
///          opened to be written; the message names the file.
/// errors   LARIAT_ERR_CLOSED after lariat_file_close; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread   the reactor's.
/// POSIX    ftruncate.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_file_truncate(file: *mut lariat_file, size: u64) -> *mut lariat_deferred {
    guard::on(file, |file| file::truncate(file, read_offset("size", size)?))
}

/// Has what was written reach the disk.
///
/// data_only  1: of what is only about the file no more than is needed to read it again; 0: all of it.
/// returns    a Deferred of NULL; NULL on failure. It fails with LARIAT_ERR_NO_SPACE or LARIAT_ERR_OS; the message names
///            the file.
/// errors     LARIAT_ERR_CLOSED after lariat_file_close; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread     the reactor's.
/// POSIX      fsync, fdatasync.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_file_sync(file: *mut lariat_file, data_only: i32) -> *mut lariat_deferred {
    guard::on(file, |file| file::sync(file, convert::switch("data_only", data_only)?))
}

/// Finds out all that is known of a file, when what was asked for before is done.
///
/// returns  a Deferred of a lariat_file_info; NULL on failure. It fails with LARIAT_ERR_OS; the message names the file.
/// errors   LARIAT_ERR_CLOSED after lariat_file_close; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread   the reactor's.
/// POSIX    fstat.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_file_stat(file: *mut lariat_file) -> *mut lariat_deferred {
    guard::on(file, file::stat)
}

/// Closes a file when what was asked for before is done; its handle is stale then. Its scope's end and its reactor's
/// close it too, and fail what waits with LARIAT_ERR_CLOSED.
///
/// returns  a Deferred of NULL; NULL on failure. It fails when the system says only now that a write before has failed;
///          the file is closed all the same. It need not be waited for; cancelling it does not keep the file open.
/// errors   LARIAT_ERR_CLOSED when it is being closed already.
/// thread   the reactor's.
/// POSIX    close.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_file_close(file: *mut lariat_file) -> *mut lariat_deferred {
    guard::on(file, file::close)
}
