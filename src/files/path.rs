//! What is done to a path.

use super::info::Facts;
use super::trouble::Trouble;
use super::value::{Outcome, Value};
use crate::deferred::DeferredItem;
use crate::platform;
use crate::reactor::ReactorItem;
use crate::status::{Result, Status};
use std::fs;
use std::io;
use std::path::PathBuf;

fn nothing(done: io::Result<()>, trouble: impl FnOnce(&io::Error) -> Trouble) -> Outcome {
    done.map(|()| Value::Nothing).map_err(|why| trouble(&why))
}

/// Tells all that is known of what has this path.
pub fn stat(reactor: ReactorItem, path: PathBuf, follow: bool) -> Result<DeferredItem> {
    super::run(reactor, move |_| {
        let metadata = if follow { fs::metadata(&path) } else { fs::symlink_metadata(&path) };
        let metadata = metadata.map_err(|why| Trouble::at("looking at", &path, &why))?;
        Ok(Value::Facts(Box::new(Facts::of(&metadata))))
    })
}

/// Whether it is there, and the process may do this with it: 1 or 0.
pub fn check_access(reactor: ReactorItem, path: PathBuf, access: u32) -> Result<DeferredItem> {
    super::run(reactor, move |_| {
        const NO: [Status; 3] = [Status::ERR_NOT_FOUND, Status::ERR_NOT_A_DIRECTORY, Status::ERR_PERMISSION_DENIED];
        match platform::check_access(&path, access).map_err(|why| Trouble::at("looking at", &path, &why)) {
            Ok(()) => Ok(Value::Number(1)),
            Err(trouble) if NO.contains(&trouble.status) => Ok(Value::Number(0)),
            Err(trouble) => Err(trouble),
        }
    })
}

/// Renames, in one step.
pub fn rename(reactor: ReactorItem, (from, to): (PathBuf, PathBuf), exclusive: bool) -> Result<DeferredItem> {
    super::run(reactor, move |_| {
        let renamed = if exclusive { platform::rename_new(&from, &to) } else { fs::rename(&from, &to) };
        nothing(renamed, |why| Trouble::between("renaming", (&from, &to), why))
    })
}

/// Removes a file, or a link.
pub fn remove(reactor: ReactorItem, path: PathBuf) -> Result<DeferredItem> {
    super::run(reactor, move |_| {
        let removed = fs::remove_file(&path).map_err(|why| match fs::symlink_metadata(&path) {
            // Some systems say no more than that it is not permitted.
            Ok(metadata) if metadata.is_dir() => platform::is_a_directory(),
            _ => why,
        });
        nothing(removed, |why| Trouble::at("removing", &path, why))
    })
}

/// A second name for a file.
pub fn link(reactor: ReactorItem, (from, to): (PathBuf, PathBuf)) -> Result<DeferredItem> {
    super::run(reactor, move |_| {
        nothing(fs::hard_link(&from, &to), |why| Trouble::between("linking", (&from, &to), why))
    })
}

/// A symbolic link at `path`.
pub fn symlink(reactor: ReactorItem, (target, path): (PathBuf, PathBuf)) -> Result<DeferredItem> {
    super::run(reactor, move |_| {
        let made = platform::make_symlink(&target, &path);
        nothing(made, |why| Trouble::at("making the symbolic link", &path, why))
    })
}

fn text_of(path: &std::path::Path) -> Outcome {
    Ok(Value::Bytes(platform::bytes_of(path.as_os_str())))
}

/// Where a symbolic link leads.
pub fn read_link(reactor: ReactorItem, path: PathBuf) -> Result<DeferredItem> {
    super::run(reactor, move |_| match fs::read_link(&path) {
        Ok(target) => text_of(&target),
        Err(why) => Err(Trouble::at("reading the link", &path, &why)),
    })
}

/// The path without links, `.` and `..`.
pub fn real_path(reactor: ReactorItem, path: PathBuf) -> Result<DeferredItem> {
    super::run(reactor, move |_| match fs::canonicalize(&path) {
        Ok(real) => text_of(&real),
        Err(why) => Err(Trouble::at("finding", &path, &why)),
    })
}

/// Sets the permissions.
pub fn chmod(reactor: ReactorItem, path: PathBuf, mode: u32) -> Result<DeferredItem> {
    super::run(reactor, move |_| {
        let changed = platform::change_mode(&path, mode);
        nothing(changed, |why| Trouble::at("changing the permissions of", &path, why))
    })
}
