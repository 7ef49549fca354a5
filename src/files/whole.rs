//! A whole file at once: read, or written so that whoever looks sees the old content or the new, never a part.

use super::file::{check_kind, copy_of, open_for};
use super::temporary::{self, Sibling};
use super::trouble::Trouble;
use super::value::{Outcome, Value};
use super::{read_bytes, write_bytes};
use crate::deferred::DeferredItem;
use crate::platform;
use crate::reactor::ReactorItem;
use crate::status::{Result, Status};
use crate::threads::job::Job;
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// Reads all of it, `most` bytes at most.
pub fn read(reactor: ReactorItem, path: PathBuf, most: usize) -> Result<DeferredItem> {
    super::run(reactor, move |job| {
        let trouble = |why: io::Error| Trouble::at("reading", &path, &why);
        let (mut file, metadata) = open_for(OpenOptions::new().read(true), 0, &path).map_err(trouble)?;
        check_kind("reading", &path, &metadata)?;
        let too_long = |_: &()| {
            let message = format!("reading {}: it has more than {most} bytes, the limit", path.display());
            Trouble::new(Status::ERR_TOO_LONG, message)
        };
        if metadata.len() > most as u64 {
            return Err(too_long(&()));
        }
        let length = most.saturating_add(1).min(isize::MAX as usize - 1);
        let data = read_bytes(job, (length, metadata.len() as usize, true), |buffer, _| file.read(buffer));
        let data = data.map_err(trouble)?;
        if data.len() > most { Err(too_long(&())) } else { Ok(Value::Bytes(data)) }
    })
}

/// How a whole file is written.
#[derive(Clone, Copy)]
pub struct Writing {
    /// The permissions of a file that is new.
    pub mode: u32,
    /// Nothing may be there yet.
    pub exclusive: bool,
    /// It need not have reached the disk before it is told.
    pub unsynced: bool,
}

/// Writes a file in place of whatever is there.
pub fn write(reactor: ReactorItem, path: PathBuf, bytes: &[u8], writing: Writing) -> Result<DeferredItem> {
    reactor.check_system("files")?;
    let bytes = copy_of(bytes)?;
    super::run(reactor, move |job| write_now(job, &path, &bytes, writing))
}

fn write_now(job: &Job, path: &Path, bytes: &[u8], writing: Writing) -> Outcome {
    let trouble = |why: io::Error| Trouble::at("writing", path, &why);
    let target = if writing.exclusive { path.to_owned() } else { behind_links(path).map_err(trouble)? };
    let before = what_is_there("writing", &target, writing.exclusive)?;
    // Until it has the permissions of the old one, nobody else may look into it.
    let mode = if before.is_some() { 0o600 } else { writing.mode };
    let mut sibling = Sibling::new(&target, mode).map_err(trouble)?;
    write_bytes(job, bytes, |part, _| sibling.file.write(part)).map_err(|(_, why)| trouble(why))?;
    if let Some(before) = &before {
        platform::take_after(&sibling.file, before).map_err(trouble)?;
    }
    put(job, sibling, &target, writing).map_err(trouble)?;
    Ok(Value::Nothing)
}

/// Puts a file that is written to its place.
pub(super) fn put(job: &Job, sibling: Sibling, path: &Path, writing: Writing) -> io::Result<()> {
    super::go_on(job)?;
    if !writing.unsynced {
        sibling.file.sync_all()?;
    }
    super::go_on(job)?;
    sibling.put(path, writing.exclusive)?;
    if writing.unsynced { Ok(()) } else { platform::sync_folder(temporary::folder_of(path)) }
}

/// What is to be replaced; None: nothing. Only files are.
pub(super) fn what_is_there(
    doing: &str,
    path: &Path,
    exclusive: bool,
) -> std::result::Result<Option<Metadata>, Trouble> {
    let metadata = match fs::symlink_metadata(path) {
        Err(why) if why.kind() == ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(Trouble::at(doing, path, &why)),
        Ok(_) if exclusive => return Err(Trouble::at(doing, path, &platform::already_exists())),
        Ok(metadata) => metadata,
    };
    if metadata.is_dir() {
        return Err(Trouble::at(doing, path, &platform::is_a_directory()));
    }
    if !metadata.is_file() {
        let message = format!("{doing} {}: it is no file that could be replaced", path.display());
        return Err(Trouble::new(Status::ERR_NOT_A_FILE, message));
    }
    Ok(Some(metadata))
}

/// Where the path leads if it is a symbolic link, which then stays one.
pub(super) fn behind_links(path: &Path) -> io::Result<PathBuf> {
    const MOST: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MOST {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => path = temporary::folder_of(&path).join(fs::read_link(&path)?),
            // What is not there is for others to tell.
            _ => return Ok(path),
        }
    }
    // The system says it best.
    fs::metadata(&path).map(|_| path)
}
