//! What a file is: its kind, size, permissions and times.

use super::convert;
use super::guard;
use super::path::read_path;
use super::status::lariat_status;
use super::structs::{self, Versioned, fields};
use super::types::*;
use crate::files::info::{self, Facts};
use crate::files::path;
use std::ffi::c_char;

/// A regular file.
pub const LARIAT_FILE_KIND_FILE: i32 = 1;
/// A directory.
pub const LARIAT_FILE_KIND_DIRECTORY: i32 = 2;
/// A symbolic link.
pub const LARIAT_FILE_KIND_SYMLINK: i32 = 3;
/// A named pipe.
pub const LARIAT_FILE_KIND_PIPE: i32 = 4;
/// A Unix socket.
pub const LARIAT_FILE_KIND_SOCKET: i32 = 5;
/// A character device, such as a terminal.
pub const LARIAT_FILE_KIND_CHARACTER_DEVICE: i32 = 6;
/// A block device, such as a disk.
pub const LARIAT_FILE_KIND_BLOCK_DEVICE: i32 = 7;

/// What is known of a file: to be prepared once by lariat_file_facts_init, and filled by lariat_file_info_get. What a
/// system does not know is 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_file_facts {
    /// Set by lariat_file_facts_init.
    pub struct_size: u32,
    /// LARIAT_FILE_KIND_FILE and so on; 0: something else.
    pub kind: i32,
    /// Bytes.
    pub size: u64,
    /// Bytes that it takes on the disk: fewer than size if it has holes.
    pub allocated: u64,
    /// When it was last written to, in nanoseconds since the beginning of 1970; negative before.
    pub modified: i64,
    /// When it was last read, in the same way, as far as the system keeps count.
    pub accessed: i64,
    /// When anything of it was last changed, its permissions included.
    pub changed: i64,
    /// When it was made.
    pub created: i64,
    /// The device that it is on.
    pub device: u64,
    /// Its number there: two paths with the same device and inode lead to one file.
    pub inode: u64,
    /// How many names it has.
    pub links: u64,
    /// Its permissions, as chmod takes them: up to 07777.
    pub mode: u32,
    /// Its owner's number.
    pub user: u32,
    /// Its group's number.
    pub group: u32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: repr(C), begins with struct_size, and holds numbers.
unsafe impl Versioned for lariat_file_facts {
    const FIELDS: &'static [usize] = fields!(lariat_file_facts:
        struct_size kind size allocated modified accessed changed created device inode links mode user group reserved);

    fn initial(struct_size: u32) -> Self {
        Self::of(&Facts::default(), struct_size)
    }
}

impl lariat_file_facts {
    fn of(facts: &Facts, struct_size: u32) -> Self {
        let details = &facts.details;
        Self {
            struct_size,
            kind: facts.kind,
            size: facts.size,
            allocated: details.allocated,
            modified: facts.modified,
            accessed: facts.accessed,
            changed: details.changed,
            created: facts.created,
            device: details.device,
            inode: details.inode,
            links: details.links,
            mode: details.mode,
            user: details.user,
            group: details.group,
            reserved: 0,
        }
    }
}

/// Prepares facts to be filled.
///
/// facts        written.
/// struct_size  sizeof(lariat_file_facts).
/// thread       any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_file_facts_init(facts: *mut lariat_file_facts, struct_size: u32) -> lariat_status {
    guard::alone(|| structs::init("facts", facts, struct_size))
}

/// Finds out what has this path.
///
/// path     bytes, ended by NUL, copied.
/// follow   1: what a symbolic link leads to; 0: the link itself.
/// returns  a Deferred of a lariat_file_info; NULL on failure. It fails with LARIAT_ERR_NOT_FOUND,
///          LARIAT_ERR_NOT_A_DIRECTORY, LARIAT_ERR_PERMISSION_DENIED or LARIAT_ERR_OS; the message names the path.
/// errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
/// thread   the reactor's.
/// POSIX    stat, lstat.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_stat(
    reactor: *mut lariat_reactor,
    path: *const c_char,
    follow: i32,
) -> *mut lariat_deferred {
    guard::on(reactor, |reactor| path::stat(reactor, read_path("path", path)?, convert::switch("follow", follow)?))
}

/// Copies what is known of a file.
///
/// facts   prepared by lariat_file_facts_init; written.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_file_info_get(info: *const lariat_file_info, facts: *mut lariat_file_facts) -> lariat_status {
    guard::on(info, |info| {
        let place = structs::filled("facts", facts)?;
        info.with(|facts| place.write(|size| lariat_file_facts::of(facts, size)));
        Ok(())
    })
}

/// Frees an info that was taken by lariat_deferred_take, or that nobody will look at any more. One that was not taken is
/// freed with its Deferred.
///
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_file_info_free(info: *mut lariat_file_info) -> lariat_status {
    guard::on(info, |info| {
        info::free(info);
        Ok(())
    })
}
