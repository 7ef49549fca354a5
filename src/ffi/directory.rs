//! Directories: listing, making, removing.

use super::convert;
use super::guard::{self, TextOrNull};
use super::path::{read_mode, read_path};
use super::status::lariat_status;
use super::types::*;
use crate::files::directory;
use crate::files::temporary::Wanted;
use crate::status::Result;
use std::ffi::c_char;

/// What is read in one go if the host does not say.
const BATCH: usize = 256;
/// And at most.
const LARGEST_BATCH: usize = 1 << 16;
/// What is listed if no limit is set.
const MOST: usize = 1_000_000;

/// Opens a directory to be read bit by bit: however large it is, no more of it is in memory than was asked for.
///
/// path     bytes, ended by NUL, copied.
/// returns  a Deferred of a lariat_directory, which joins the present scope; NULL on failure. It fails with
///          LARIAT_ERR_NOT_FOUND, LARIAT_ERR_NOT_A_DIRECTORY, LARIAT_ERR_PERMISSION_DENIED,
///          LARIAT_ERR_TOO_MANY_DESCRIPTORS or LARIAT_ERR_OS; the message names the path. If it is cancelled, the
///          directory is closed.
/// errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread   the reactor's.
/// POSIX    opendir.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_open_directory(
    reactor: *mut lariat_reactor,
    path: *const c_char,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| directory::open(reactor, read_path("path", path)?))
}

/// Reads the next entries of a directory, in no order; "." and ".." are left out. Reads are done in the order asked for.
///
/// max_entries  so many at most, up to 65536; 0: 256.
/// returns      a Deferred of lariat_directory_entries, none of them at the end; NULL on failure. It fails with
///              LARIAT_ERR_OS; the message names the directory. What a read that is cancelled late has read is lost.
/// errors       LARIAT_ERR_CLOSED after lariat_directory_close; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread       the reactor's.
/// POSIX        readdir.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_directory_read(directory: *mut lariat_directory, max_entries: usize) -> *mut lariat_deferred {
    guard::on(directory, |directory| {
        let most = if max_entries == 0 { BATCH } else { max_entries.min(LARGEST_BATCH) };
        directory::read(directory, most)
    })
}

/// Closes a directory when what was asked for before is done; its handle is stale then.
///
/// returns  a Deferred of NULL; NULL on failure. It need not be waited for; cancelling it does not keep it open.
/// errors   LARIAT_ERR_CLOSED when it is being closed already.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_directory_close(directory: *mut lariat_directory) -> *mut lariat_deferred {
    guard::on(directory, directory::close)
}

/// Lists a whole directory, in the order of the bytes of the names; "." and ".." are left out.
///
/// path         bytes, ended by NUL, copied.
/// max_entries  of a larger one nothing is given; 0: a million.
/// returns      a Deferred of lariat_directory_entries; NULL on failure. It fails as that of
///              lariat_reactor_open_directory, and with LARIAT_ERR_LIMIT past max_entries.
/// errors       LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread       the reactor's.
/// Twisted      FilePath.listdir.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_list_directory(
    reactor: *mut lariat_reactor,
    path: *const c_char,
    max_entries: usize,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| {
        let most = if max_entries == 0 { MOST } else { max_entries };
        directory::list(reactor, read_path("path", path)?, most)
    })
}

/// Tells how many entries there are.
///
/// returns  the count; 0 on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_directory_entries_count(entries: *const lariat_directory_entries) -> usize {
    guard::on(entries, |entries| Ok(entries.count()))
}

/// Gives the name of an entry, without the directory's.
///
/// index    0 to lariat_directory_entries_count - 1.
/// returns  bytes, ended by NUL, that live as long as the entries; NULL on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_directory_entries_name(
    entries: *const lariat_directory_entries,
    index: usize,
) -> *const c_char {
    guard::on(entries, |entries| entries.name(index).map(TextOrNull))
}

/// Tells the kind of an entry; of a symbolic link itself.
///
/// index    0 to lariat_directory_entries_count - 1.
/// returns  LARIAT_FILE_KIND_FILE and so on; 0: the file system does not tell, lariat_reactor_stat will; negative: an
///          error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_directory_entries_kind(entries: *const lariat_directory_entries, index: usize) -> i32 {
    guard::on(entries, |entries| entries.kind(index))
}

/// Frees entries that were taken by lariat_deferred_take, or that nobody will look at any more. Those that were not
/// taken are freed with their Deferred.
///
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_directory_entries_free(entries: *mut lariat_directory_entries) -> lariat_status {
    guard::on(entries, |entries| {
        directory::free_entries(entries);
        Ok(())
    })
}

/// Makes a directory.
///
/// path     bytes, ended by NUL, copied.
/// mode     its permissions, less the umask, such as 0777.
/// parents  1: those above it that are missing are made too, with the same permissions, and one that is there already is
///          no failure; 0: only this one.
/// returns  a Deferred of NULL; NULL on failure. It fails with LARIAT_ERR_NOT_FOUND, LARIAT_ERR_ALREADY_EXISTS,
///          LARIAT_ERR_NOT_A_DIRECTORY, LARIAT_ERR_PERMISSION_DENIED, LARIAT_ERR_NO_SPACE or LARIAT_ERR_OS; the message
///          names the path.
/// errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread   the reactor's.
/// POSIX    mkdir.
/// Twisted  FilePath.createDirectory, FilePath.makedirs.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_make_directory(
    reactor: *mut lariat_reactor,
    path: *const c_char,
    mode: u32,
    parents: i32,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| {
        let (mode, parents) = (read_mode(mode)?, convert::switch("parents", parents)?);
        directory::make_directory(reactor, read_path("path", path)?, mode, parents)
    })
}

/// Reads where something temporary is to be made.
pub(super) fn read_wanted(directory: *const c_char, prefix: *const c_char) -> Result<Wanted> {
    let bytes = |name, text: *const c_char| (!text.is_null()).then(|| convert::bytes_text(name, text)).transpose();
    Wanted::new(bytes("directory", directory)?, bytes("prefix", prefix)?)
}

/// Makes a directory with a name that nothing has, and with permissions for its owner alone. It is not removed by
/// itself.
///
/// directory  where; bytes, ended by NUL, copied; may be NULL: where TMPDIR says, or /tmp.
/// prefix     what its name begins with; bytes, ended by NUL, copied; may be NULL: "lariat-".
/// returns    a Deferred of a lariat_bytes, its path; NULL on failure. It fails with LARIAT_ERR_NOT_FOUND,
///            LARIAT_ERR_PERMISSION_DENIED, LARIAT_ERR_NO_SPACE or LARIAT_ERR_OS; the message names the directory where
///            it was to be. If it is cancelled, no directory is left.
/// errors     LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread     the reactor's.
/// POSIX      mkdtemp.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_make_temporary_directory(
    reactor: *mut lariat_reactor,
    directory: *const c_char,
    prefix: *const c_char,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| directory::make_temporary(reactor, read_wanted(directory, prefix)?))
}

/// Removes an empty directory.
///
/// path     bytes, ended by NUL, copied.
/// returns  a Deferred of NULL; NULL on failure. It fails with LARIAT_ERR_NOT_FOUND, LARIAT_ERR_NOT_A_DIRECTORY,
///          LARIAT_ERR_NOT_EMPTY, LARIAT_ERR_PERMISSION_DENIED or LARIAT_ERR_OS; the message names the path.
/// errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread   the reactor's.
/// POSIX    rmdir.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_remove_directory(
    reactor: *mut lariat_reactor,
    path: *const c_char,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| directory::remove(reactor, read_path("path", path)?))
}

/// Removes a directory with all that is in it, or whatever else has this path. Symbolic links are removed, never
/// followed, also when somebody puts one in the way meanwhile. Cancelling leaves what is not removed yet.
///
/// path     bytes, ended by NUL, copied.
/// returns  a Deferred of NULL; NULL on failure. It stops at the first thing that cannot be removed, with
///          LARIAT_ERR_PERMISSION_DENIED or LARIAT_ERR_OS, whose path is in the message; and fails with
///          LARIAT_ERR_NOT_FOUND when there is nothing, with LARIAT_ERR_INVALID_ARGUMENT for the root.
/// errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread   the reactor's.
/// Twisted  FilePath.remove.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_remove_tree(
    reactor: *mut lariat_reactor,
    path: *const c_char,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| directory::remove_tree(reactor, read_path("path", path)?))
}
