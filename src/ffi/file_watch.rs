//! Watching files and directories.

use super::convert;
use super::guard;
use super::path::{read_flags, read_path};
use super::status::lariat_status;
use super::types::*;
use crate::files::compare as kinds;
use crate::files::watch::{self, Action, FileWatch, How, Told};
use crate::handles::{FreeFn, Item, Owned, Word};
use crate::status::Result;
use std::ffi::{CString, c_char, c_void};
use std::rc::Rc;

/// With all directories below, those that are made later included.
pub const LARIAT_WATCH_RECURSIVE: i32 = 1;
/// By looking from time to time: for file systems whose changes are made elsewhere, as over a network.
pub const LARIAT_WATCH_POLL: i32 = 2;

/// There is something new.
pub const LARIAT_CHANGE_CREATED: i32 = 1;
/// A file was written to, cut short, or replaced by another one.
pub const LARIAT_CHANGE_MODIFIED: i32 = 2;
/// Permissions, owner or times have changed.
pub const LARIAT_CHANGE_ATTRIBUTES: i32 = 3;
/// It is gone, or was moved to where it is not watched. Of a directory what was in it is told first.
pub const LARIAT_CHANGE_REMOVED: i32 = 4;
/// It has another path now: from is the old one. What is in a directory has moved along, and what was at the new path
/// before is gone.
pub const LARIAT_CHANGE_MOVED: i32 = 5;
/// More has changed than the system could remember. What is different is told next, found by looking; what changed in
/// between is lost.
pub const LARIAT_CHANGE_OVERFLOW: i32 = 6;
/// What is watched is gone itself, or was moved: the last change of a watch, which is stale when it is told.
pub const LARIAT_CHANGE_GONE: i32 = 7;

const _: () = assert!(
    LARIAT_CHANGE_CREATED == kinds::CREATED
        && LARIAT_CHANGE_MODIFIED == kinds::MODIFIED
        && LARIAT_CHANGE_ATTRIBUTES == kinds::ATTRIBUTES
        && LARIAT_CHANGE_REMOVED == kinds::REMOVED
        && LARIAT_CHANGE_MOVED == kinds::MOVED
        && LARIAT_CHANGE_OVERFLOW == kinds::OVERFLOW
        && LARIAT_CHANGE_GONE == kinds::GONE
);

/// A change of something that is watched. It lives until the function that is told of it returns; as the value of an
/// event, with that.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_file_change {
    /// sizeof(lariat_file_change), as the library knows it.
    pub struct_size: u32,
    /// What it is: LARIAT_CHANGE_CREATED and so on.
    pub kind: i32,
    /// What has changed: the path as it was given, and what is below it.
    pub path: *const c_char,
    /// What was moved: its path before; else NULL.
    pub from: *const c_char,
    /// 1: it is a directory.
    pub is_directory: i32,
    /// 0.
    pub reserved: i32,
}

/// A change with its text; what C sees is at its beginning.
#[repr(C)]
struct Change {
    seen: lariat_file_change,
    _path: CString,
    _from: Option<CString>,
}

impl Change {
    fn new(told: Told) -> Self {
        let text = |bytes| CString::new(bytes).unwrap_or_default();
        let (path, from) = (text(told.path), told.from.map(text));
        let seen = lariat_file_change {
            struct_size: size_of::<lariat_file_change>() as u32,
            kind: told.kind,
            path: path.as_ptr(),
            from: from.as_ref().map_or(std::ptr::null(), |from| from.as_ptr()),
            is_directory: i32::from(told.is_directory),
            reserved: 0,
        };
        Self { seen, _path: path, _from: from }
    }
}

fn own(told: Told) -> Result<Owned> {
    const FREE: FreeFn = free_change;
    let change = Box::into_raw(Box::new(Change::new(told)));
    Ok(Owned::new(Word::new(change), Some(FREE)))
}

extern "C-unwind" fn free_change(word: Word) {
    // SAFETY: the word is one that `own` has made, and its owner frees it once.
    drop(unsafe { Box::from_raw(word.pointer::<Change>()) });
}

/// Watches a file or directory: calls fn for each change, in order, from turns of the loop.
///
/// Of a directory its entries are watched, and with LARIAT_WATCH_RECURSIVE all below them; links in it are not followed.
/// What is made in a new directory before that is watched is told as well, once. A file is watched by its name: it may
/// be removed, made anew, or replaced by another. A change that follows another one of the same path before that was
/// told may be told with it: what was just created is not modified as well.
///
/// The system tells of changes by inotify. Where it does not, or has no watches left, which the log says, or with
/// LARIAT_WATCH_POLL, a pool thread looks from time to time: what happens between two looks is told as far as it can be
/// seen. A directory is looked through once when it is watched, which takes its time if it is large.
///
/// path       a path as the system has it, copied; what is told begins with it.
/// flags      0, LARIAT_WATCH_RECURSIVE, LARIAT_WATCH_POLL or both.
/// user_data  may be NULL; passed through.
/// returns    a handle that is good until lariat_file_watch_stop, or until LARIAT_CHANGE_GONE was told; NULL on failure.
/// errors     LARIAT_ERR_NOT_FOUND; LARIAT_ERR_PERMISSION_DENIED; LARIAT_ERR_NOT_SUPPORTED when simulated;
///            LARIAT_ERR_OS.
/// thread     the reactor's.
/// Twisted    twisted.internet.inotify.INotify.watch.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_watch_path(
    reactor: *mut lariat_reactor,
    path: *const c_char,
    flags: i32,
    r#fn: lariat_file_changed_fn,
    user_data: *mut c_void,
) -> *mut lariat_file_watch {
    watch_with(reactor, path, flags, r#fn, convert::borrowed(user_data))
}

/// The same as lariat_reactor_watch_path, with user_data owned by the library from here on: free_user_data(user_data) is
/// called exactly once, when the watch is over and its callback has returned, when its scope ends, when the reactor is
/// freed, or before this returns NULL.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_watch_path_full(
    reactor: *mut lariat_reactor,
    path: *const c_char,
    flags: i32,
    r#fn: lariat_file_changed_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> *mut lariat_file_watch {
    watch_with(reactor, path, flags, r#fn, convert::owned(user_data, free_user_data))
}

/// The same as lariat_reactor_watch_path, but queues events, LARIAT_EVENT_FILE_CHANGED, instead of calling. While the
/// queue is full, changes wait in the system.
///
/// tag     any number; comes back in the events.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_reactor_watch_path_event(
    reactor: *mut lariat_reactor,
    path: *const c_char,
    flags: i32,
    tag: u64,
) -> *mut lariat_file_watch {
    guard::on(reactor, |reactor| {
        let how = read_how(flags)?;
        watch::watch(reactor, read_path("path", path)?, how, Action::Event(tag, own), Owned::default())
    })
}

fn read_how(flags: i32) -> Result<How> {
    let flags = read_flags(flags, LARIAT_WATCH_RECURSIVE | LARIAT_WATCH_POLL)?;
    Ok(How { is_recursive: flags & LARIAT_WATCH_RECURSIVE != 0, polls: flags & LARIAT_WATCH_POLL != 0 })
}

fn watch_with(
    reactor: *mut lariat_reactor,
    path: *const c_char,
    flags: i32,
    function: lariat_file_changed_fn,
    data: Owned,
) -> *mut lariat_file_watch {
    guard::on(reactor, move |reactor| -> Result<Item<FileWatch>> {
        let function = convert::required("fn", convert::file_changed_fn(function))?;
        let (path, how) = (read_path("path", path)?, read_how(flags)?);
        let call = move |watch, told, data| {
            let change = Change::new(told);
            function(watch, Word::new(&raw const change.seen), data);
        };
        watch::watch(reactor, path, how, Action::Call(Rc::new(call)), data)
    })
}

/// Sets how often a watch looks that has to: once a second unless set.
///
/// seconds  between two looks; at least a millisecond is left.
/// errors   LARIAT_ERR_CLOSED when it was stopped inside its callback already.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_file_watch_set_interval(watch: *mut lariat_file_watch, seconds: f64) -> lariat_status {
    guard::on(watch, |watch| watch::set_interval(watch, convert::delay("seconds", seconds)?))
}

/// Tells whether a watch looks from time to time, because it was asked to or because the system does not tell.
///
/// returns  1: it does; 0: the system tells; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_file_watch_is_polling(watch: *mut lariat_file_watch) -> i32 {
    guard::on(watch, |watch| Ok(watch.is_polling()))
}

/// Ends a watch: it tells nothing more, also of what has happened already, and its handle is stale once its callback has
/// returned.
///
/// errors   LARIAT_ERR_CLOSED when it was stopped inside its callback already.
/// thread   the reactor's.
/// Twisted  INotify.ignore.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_file_watch_stop(watch: *mut lariat_file_watch) -> lariat_status {
    guard::on(watch, watch::stop)
}
