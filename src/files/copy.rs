//! Copying a file: by sharing where the file system can, by the kernel where that can, else by hand; holes stay holes.

use super::file::{check_kind, open_for};
use super::temporary::Sibling;
use super::trouble::Trouble;
use super::value::{Outcome, Value};
use super::whole::{self, Writing};
use super::{PART, go_on};
use crate::deferred::DeferredItem;
use crate::platform;
use crate::reactor::ReactorItem;
use crate::status::Result;
use crate::threads::job::Job;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// What the kernel copies in one go.
const KERNEL_PART: usize = 16 * PART;

/// Copies a file: who looks sees what was there before, or all of the copy.
pub fn copy(reactor: ReactorItem, (from, to): (PathBuf, PathBuf), writing: Writing) -> Result<DeferredItem> {
    super::run(reactor, move |job| copy_now(job, &from, &to, writing))
}

fn copy_now(job: &Job, from: &Path, to: &Path, writing: Writing) -> Outcome {
    let trouble = |why: io::Error| Trouble::between("copying", (from, to), &why);
    let opened = open_for(OpenOptions::new().read(true), 0, from);
    let (source, metadata) = opened.map_err(|why| Trouble::at("opening", from, &why))?;
    check_kind("opening", from, &metadata)?;
    let target = if writing.exclusive { to.to_owned() } else { whole::behind_links(to).map_err(trouble)? };
    whole::what_is_there("copying to", &target, writing.exclusive)?;
    let sibling = Sibling::new(&target, 0o600).map_err(|why| Trouble::at("copying to", &target, &why))?;
    // What tells no length, as below /proc, is read to its end.
    let has_length = metadata.is_file() && metadata.len() != 0;
    let copied = if has_length {
        copy_parts(job, &source, &sibling.file, metadata.len())
    } else {
        copy_stream(job, &source, &sibling.file)
    };
    copied.map_err(trouble)?;
    // Its permissions, without what lets it act for somebody else.
    platform::set_mode(&sibling.file, platform::file_details(&metadata).mode & 0o1777).map_err(trouble)?;
    whole::put(job, sibling, &target, writing).map_err(trouble)?;
    Ok(Value::Nothing)
}

fn copy_parts(job: &Job, from: &File, to: &File, length: u64) -> io::Result<()> {
    if platform::share_content(from, to) {
        return Ok(());
    }
    let (mut offset, mut by_kernel) = (0, true);
    let mut buffer = Vec::new();
    while let Some((start, end)) = platform::next_data(from, offset, length) {
        offset = start;
        while offset < end {
            go_on(job)?;
            let left = (end - offset).min(KERNEL_PART as u64) as usize;
            let by = if by_kernel { platform::copy_part(from, to, offset, left) } else { None };
            let copied = match by {
                // None at all of what must be there: some file systems answer so rather than that they cannot.
                None | Some(Ok(0)) => {
                    by_kernel = false;
                    copy_by_hand(from, to, offset, left.min(PART), &mut buffer)
                }
                Some(copied) => copied,
            };
            match copied {
                // It has become shorter meanwhile.
                Ok(0) => return to.set_len(offset),
                Ok(count) => offset += count as u64,
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                Err(why) => return Err(why),
            }
        }
    }
    to.set_len(length)
}

fn copy_by_hand(from: &File, to: &File, offset: u64, length: usize, buffer: &mut Vec<u8>) -> io::Result<usize> {
    if buffer.is_empty() {
        buffer.try_reserve_exact(PART).map_err(|_| io::Error::from(ErrorKind::OutOfMemory))?;
        buffer.resize(PART, 0);
    }
    let count = platform::read_file_at(from, &mut buffer[..length], offset)?;
    let mut done = 0;
    while done < count {
        match platform::write_file_at(to, &buffer[done..count], offset + done as u64) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => done += written,
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    Ok(count)
}

fn copy_stream(job: &Job, mut from: &fs::File, mut to: &fs::File) -> io::Result<()> {
    loop {
        go_on(job)?;
        let copied = io::copy(&mut from.by_ref().take(PART as u64), &mut to)?;
        if copied == 0 {
            return Ok(());
        }
    }
}
