//! What a file is: its kind, size, times, permissions.

use crate::handles::{self, Body, FreeFn, Item, Kind, Owned, Word};
use crate::platform::{self, FileDetails};
use crate::reactor::{Reactor, ReactorItem};
use crate::status::Result;
use std::cell::RefCell;
use std::fs::{FileType, Metadata};
use std::time::{SystemTime, UNIX_EPOCH};

/// What is known of a file.
#[derive(Clone, Default, Debug)]
#[expect(missing_docs, reason = "each is named after its field in C")]
pub struct Facts {
    pub kind: i32,
    pub size: u64,
    pub accessed: i64,
    pub modified: i64,
    pub created: i64,
    pub details: FileDetails,
}

/// Facts as a value.
#[derive(Default)]
pub struct FileInfo {
    facts: RefCell<Facts>,
}

impl Body for FileInfo {
    const KIND: Kind = Kind::FileInfo;
    type Root = Reactor;
    type Beside = ();

    fn end(info: Item<Self>) {
        free(info);
    }
}

/// The kind, as `LARIAT_FILE_KIND_` has it.
pub fn kind_of(kind: FileType) -> i32 {
    match kind {
        kind if kind.is_file() => 1,
        kind if kind.is_dir() => 2,
        kind if kind.is_symlink() => 3,
        kind => platform::special_kind(kind),
    }
}

/// Nanoseconds since 1970; 0 where it is not known.
fn nanoseconds(time: std::io::Result<SystemTime>) -> i64 {
    let nanoseconds = |duration: std::time::Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    time.map_or(0, |time| match time.duration_since(UNIX_EPOCH) {
        Ok(after) => nanoseconds(after),
        Err(before) => -nanoseconds(before.duration()),
    })
}

impl Facts {
    /// What the metadata say.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            kind: kind_of(metadata.file_type()),
            size: metadata.len(),
            accessed: nanoseconds(metadata.accessed()),
            modified: nanoseconds(metadata.modified()),
            created: nanoseconds(metadata.created()),
            details: platform::file_details(metadata),
        }
    }
}

/// Facts as a value, freed with it.
pub(super) fn make(reactor: ReactorItem, facts: Facts) -> Result<Owned> {
    let info = reactor.pools.alloc::<FileInfo>()?;
    info.facts.replace(facts);
    const FREE: FreeFn = free_word;
    Ok(Owned::new(info.word(), Some(FREE)))
}

extern "C-unwind" fn free_word(word: Word) {
    if let Ok(info) = handles::get::<FileInfo>(word) {
        free(info);
    }
}

/// Ends it, whoever has the handle.
pub fn free(info: Item<FileInfo>) {
    info.root().pools.free(info);
}

impl FileInfo {
    /// What is known.
    pub fn with<R>(&self, read: impl FnOnce(&Facts) -> R) -> R {
        read(&self.facts.borrow())
    }
}
