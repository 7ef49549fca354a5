//! Directories: reading one as it is asked for, or all of it; making and removing them.

use super::info;
use super::line::{self, InLine, Line};
use super::temporary::{self, Wanted};
use super::trouble::Trouble;
use super::value::Value;
use crate::deferred::DeferredItem;
use crate::handles::{self, Body, FreeFn, Item, Kind, Owned, Word};
use crate::platform;
use crate::reactor::{Reactor, ReactorItem, Served, scopes};
use crate::status::{self, Result, Status};
use std::cell::RefCell;
use std::ffi::CString;
use std::fs::{self, ReadDir};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A directory that is being read, shared by the handle and the job that is at work.
pub struct OpenDirectory {
    entries: Mutex<ReadDir>,
    path: PathBuf,
}

/// See the module.
#[derive(Default)]
pub struct Directory {
    line: Line,
    /// None once it is being closed.
    open: RefCell<Option<Arc<OpenDirectory>>>,
    path: RefCell<Option<CString>>,
}

impl Body for Directory {
    const KIND: Kind = Kind::Directory;
    type Root = Reactor;
    type Beside = ();

    fn end(directory: Item<Self>) {
        line::end(directory);
    }
}

impl Served for Directory {
    fn close(directory: Item<Self>) {
        directory.open.take();
    }
}

impl InLine for Directory {
    fn line(&self) -> &Line {
        &self.line
    }

    fn describe(&self) -> String {
        self.path.borrow().as_ref().map_or_else(String::new, |path| path.to_string_lossy().into_owned())
    }

    fn over(directory: Item<Self>) {
        let open = directory.open.take();
        directory.path.take();
        directory.root().pools.free(directory);
        drop(open);
    }
}

/// One entry: its name, ended by NUL, and its kind.
struct Entry {
    name: Vec<u8>,
    kind: i32,
}

/// Some entries of a directory.
#[derive(Default)]
pub struct Entries(Vec<Entry>);

/// Entries as a value.
#[derive(Default)]
pub struct DirectoryEntries {
    list: RefCell<Entries>,
}

impl Body for DirectoryEntries {
    const KIND: Kind = Kind::DirectoryEntries;
    type Root = Reactor;
    type Beside = ();

    fn end(entries: Item<Self>) {
        free_entries(entries);
    }
}

/// Entries as a value, freed with it.
pub(super) fn make_entries(reactor: ReactorItem, list: Entries) -> Result<Owned> {
    let entries = reactor.pools.alloc::<DirectoryEntries>()?;
    entries.list.replace(list);
    const FREE: FreeFn = free_word;
    Ok(Owned::new(entries.word(), Some(FREE)))
}

extern "C-unwind" fn free_word(word: Word) {
    if let Ok(entries) = handles::get::<DirectoryEntries>(word) {
        free_entries(entries);
    }
}

/// Ends them, whoever has the handle.
pub fn free_entries(entries: Item<DirectoryEntries>) {
    drop(entries.list.take());
    entries.root().pools.free(entries);
}

impl DirectoryEntries {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.list.borrow().0.len()
    }

    fn with<R>(&self, index: usize, read: impl FnOnce(&Entry) -> R) -> Result<R> {
        let list = &self.list.borrow().0;
        let out = || Status::ERR_INVALID_ARGUMENT.because(format_args!("index {index} of {} entries", list.len()));
        list.get(index).map(read).ok_or_else(out)
    }

    /// The name of one, in memory that lives as long as the entries.
    pub fn name(&self, index: usize) -> Result<Word> {
        self.with(index, |entry| Word::new(entry.name.as_ptr()))
    }

    /// The kind of one; 0: the directory does not tell.
    pub fn kind(&self, index: usize) -> Result<i32> {
        self.with(index, |entry| entry.kind)
    }
}

impl Directory {
    /// Its path as it was opened, in memory that lives as long as the handle.
    pub fn path(&self) -> Word {
        self.path.borrow().as_ref().map_or(Word::NULL, |path| Word::new(path.as_ptr()))
    }
}

fn open_now(path: PathBuf) -> std::result::Result<OpenDirectory, Trouble> {
    match fs::read_dir(&path) {
        Ok(entries) => Ok(OpenDirectory { entries: Mutex::new(entries), path }),
        Err(why) => Err(Trouble::at("opening the directory", &path, &why)),
    }
}

/// Opens it on the pool; the handle joins the present scope.
pub fn open(reactor: ReactorItem, path: PathBuf) -> Result<DeferredItem> {
    let scope = reactor.scope.get();
    super::run(reactor, move |_| Ok(Value::Directory(open_now(path)?, scope)))
}

/// The handle of an open directory.
pub(super) fn make(reactor: ReactorItem, open: OpenDirectory, scope: u32) -> Result<Item<Directory>> {
    reactor.above.by_kind.serve::<Directory>();
    let directory = reactor.pools.alloc::<Directory>()?;
    if scope != 0 {
        scopes::join(reactor, scope, directory.word()).inspect_err(|_| reactor.pools.free(directory))?;
    }
    directory.line.open(scope);
    directory.path.replace(Some(status::text_for_c(open.path.to_string_lossy().into_owned())));
    directory.open.replace(Some(Arc::new(open)));
    Ok(directory)
}

/// The next entries, `most` of them at most.
fn next_entries(
    job: &crate::threads::job::Job,
    open: &OpenDirectory,
    most: usize,
) -> std::result::Result<Entries, Trouble> {
    let wrong = |why: &std::io::Error| Trouble::at("reading the directory", &open.path, why);
    let mut entries = open.entries.lock().unwrap_or_else(PoisonError::into_inner);
    let mut list = Vec::new();
    while list.len() < most {
        super::go_on(job).map_err(|why| wrong(&why))?;
        let Some(entry) = entries.next().transpose().map_err(|why| wrong(&why))? else { break };
        let mut name = platform::bytes_of(&entry.file_name());
        name.push(0);
        list.try_reserve(1).map_err(|_| wrong(&std::io::ErrorKind::OutOfMemory.into()))?;
        list.push(Entry { name, kind: entry.file_type().map_or(0, info::kind_of) });
    }
    Ok(Entries(list))
}

/// Reads the next entries.
pub fn read(directory: Item<Directory>, most: usize) -> Result<DeferredItem> {
    let open = directory.open.borrow().clone();
    let gone = || Trouble::new(Status::ERR_CLOSED, "the directory is closed".into());
    let work = move |job: &_| Ok(Value::Entries(next_entries(job, &*open.ok_or_else(gone)?, most)?));
    line::add(directory, Box::new(work))
}

/// Closes it when what was asked for before is done.
pub fn close(directory: Item<Directory>) -> Result<DeferredItem> {
    line::close(directory, || {
        let open = directory.open.take();
        Box::new(move |_| {
            drop(open);
            Ok(Value::Nothing)
        })
    })
}

/// Reads all of it, `most` entries at most, in the order of their names' bytes.
pub fn list(reactor: ReactorItem, path: PathBuf, most: usize) -> Result<DeferredItem> {
    super::run(reactor, move |job| {
        let open = open_now(path)?;
        let mut entries = next_entries(job, &open, most.saturating_add(1))?;
        if entries.0.len() > most {
            let message = format!("listing {}: it has more than {most} entries, the limit", open.path.display());
            return Err(Trouble::new(Status::ERR_LIMIT, message));
        }
        entries.0.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(Value::Entries(entries))
    })
}

/// Makes a directory, where wanted with those above it.
pub fn make_directory(reactor: ReactorItem, path: PathBuf, mode: u32, parents: bool) -> Result<DeferredItem> {
    super::run(reactor, move |_| {
        let made = platform::make_folder(&path, mode, parents);
        made.map(|()| Value::Nothing).map_err(|why| Trouble::at("making the directory", &path, &why))
    })
}

/// Makes a directory that nobody has a name for.
pub fn make_temporary(reactor: ReactorItem, wanted: Wanted) -> Result<DeferredItem> {
    super::run(reactor, move |_| temporary::make_directory(&wanted))
}

/// Removes an empty directory.
pub fn remove(reactor: ReactorItem, path: PathBuf) -> Result<DeferredItem> {
    super::run(reactor, move |_| {
        let removed = fs::remove_dir(&path);
        removed.map(|()| Value::Nothing).map_err(|why| Trouble::at("removing the directory", &path, &why))
    })
}

/// Removes a directory with all that is in it.
pub fn remove_tree(reactor: ReactorItem, path: PathBuf) -> Result<DeferredItem> {
    super::run(reactor, move |job| {
        if is_root(&path) {
            let message = format!("removing {}: that is all there is", path.display());
            return Err(Trouble::new(Status::ERR_INVALID_ARGUMENT, message));
        }
        let removed = platform::remove_tree(&path, &|| job.is_cancelled());
        removed.map(|()| Value::Nothing).map_err(|(why, at)| Trouble::at("removing", &at, &why))
    })
}

/// Whether the path leads to the root, by whatever name; of a link itself not.
fn is_root(path: &Path) -> bool {
    let is_link = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    !is_link && fs::canonicalize(path).is_ok_and(|path| path.parent().is_none())
}
