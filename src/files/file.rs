//! An open file.

use super::info::Facts;
use super::line::{self, InLine, Line};
use super::temporary::{self, Wanted};
use super::trouble::Trouble;
use super::value::{Outcome, Value};
use super::{PART, read_bytes, write_bytes};
use crate::deferred::DeferredItem;
use crate::handles::{Body, Item, Kind, Word};
use crate::platform;
use crate::reactor::{Reactor, ReactorItem, Served, scopes};
use crate::status::{self, Result, Status};
use crate::threads::job::Job;
use std::cell::RefCell;
use std::ffi::CString;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `LARIAT_FILE_READ` and so on.
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "each is named after its constant in C")]
pub struct Opening {
    pub read: bool,
    pub write: bool,
    pub append: bool,
    pub create: bool,
    pub exclusive: bool,
    pub truncate: bool,
    pub mode: u32,
}

/// The file itself, shared by the handle and the job that is at work.
pub struct OpenFile {
    /// None: it is closed.
    file: Option<fs::File>,
    path: PathBuf,
    /// A regular file: reads are filled up.
    is_regular: bool,
    appends: bool,
    /// It is new and was not given to anybody yet: if that fails, it goes.
    remove: bool,
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if self.remove {
            // Where an open file cannot be removed.
            drop(self.file.take());
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// See the module.
#[derive(Default)]
pub struct File {
    line: Line,
    /// None once it is being closed.
    open: RefCell<Option<Arc<OpenFile>>>,
    path: RefCell<Option<CString>>,
}

impl Body for File {
    const KIND: Kind = Kind::File;
    type Root = Reactor;
    type Beside = ();

    fn end(file: Item<Self>) {
        line::end(file);
    }
}

impl Served for File {
    fn close(file: Item<Self>) {
        file.open.take();
    }
}

impl InLine for File {
    fn line(&self) -> &Line {
        &self.line
    }

    fn describe(&self) -> String {
        self.path.borrow().as_ref().map_or_else(String::new, |path| path.to_string_lossy().into_owned())
    }

    fn over(file: Item<Self>) {
        let open = file.open.take();
        file.path.take();
        file.root().pools.free(file);
        drop(open);
    }
}

/// Opens a file, but nothing that it could take for ever to open or to read. Also what is done to it.
pub(super) fn open_for(options: &mut fs::OpenOptions, mode: u32, path: &Path) -> io::Result<(fs::File, fs::Metadata)> {
    let file = platform::open_file(options, mode, path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(platform::is_a_directory());
    }
    if !metadata.is_file() {
        platform::make_waiting(&file)?;
    }
    Ok((file, metadata))
}

/// The trouble of what could be opened but is no file.
pub(super) fn check_kind(doing: &str, path: &Path, metadata: &fs::Metadata) -> std::result::Result<(), Trouble> {
    if !platform::is_pipe(metadata) {
        return Ok(());
    }
    let message = format!("{doing} {}: it is a named pipe, no file", path.display());
    Err(Trouble::new(Status::ERR_NOT_A_FILE, message))
}

/// Opens it on the pool; the handle joins the present scope.
pub fn open(reactor: ReactorItem, path: PathBuf, opening: Opening) -> Result<DeferredItem> {
    let scope = reactor.scope.get();
    super::run(reactor, move |_| Ok(Value::File(open_now(path, opening)?, scope)))
}

fn open_now(path: PathBuf, opening: Opening) -> std::result::Result<OpenFile, Trouble> {
    let mut options = fs::OpenOptions::new();
    options.read(opening.read).write(opening.write).append(opening.append);
    options.create(opening.create).create_new(opening.create && opening.exclusive).truncate(opening.truncate);
    let opened = open_for(&mut options, opening.mode, &path);
    let (file, metadata) = opened.map_err(|why| Trouble::at("opening", &path, &why))?;
    check_kind("opening", &path, &metadata)?;
    let is_regular = metadata.is_file();
    Ok(OpenFile { file: Some(file), path, is_regular, appends: opening.append, remove: false })
}

/// Makes a file that nobody has a name for, and opens it.
pub fn open_temporary(reactor: ReactorItem, wanted: Wanted, unnamed: bool) -> Result<DeferredItem> {
    let scope = reactor.scope.get();
    super::run(reactor, move |_| temporary::make_file(&wanted, unnamed, scope))
}

/// The handle of an open file.
pub(super) fn make(reactor: ReactorItem, mut open: OpenFile, scope: u32) -> Result<Item<File>> {
    reactor.above.by_kind.serve::<File>();
    let file = reactor.pools.alloc::<File>()?;
    if scope != 0 {
        scopes::join(reactor, scope, file.word()).inspect_err(|_| reactor.pools.free(file))?;
    }
    open.remove = false;
    file.line.open(scope);
    file.path.replace(Some(status::text_for_c(open.path.to_string_lossy().into_owned())));
    file.open.replace(Some(Arc::new(open)));
    Ok(file)
}

impl OpenFile {
    /// A new temporary file.
    pub fn temporary(file: fs::File, path: PathBuf, unnamed: bool) -> Self {
        Self { file: Some(file), path, is_regular: true, appends: false, remove: !unnamed }
    }

    fn get(&self) -> &fs::File {
        self.file.as_ref().expect("a file is open until it is dropped")
    }

    fn trouble(&self, doing: &str, error: &io::Error) -> Trouble {
        Trouble::at(doing, &self.path, error)
    }

    fn written(&self, job: &Job, bytes: &[u8], write: impl FnMut(&[u8], usize) -> io::Result<usize>) -> Outcome {
        match write_bytes(job, bytes, write) {
            Ok(()) => Ok(Value::Nothing),
            Err((0, why)) => Err(self.trouble("writing", &why)),
            Err((done, why)) => {
                let what = format_args!("writing {}, {done} of {} bytes", self.path.display(), bytes.len());
                Err(Trouble::saying(what, &why))
            }
        }
    }
}

impl File {
    /// Its path as it was opened, in memory that lives as long as the handle.
    pub fn path(&self) -> Word {
        self.path.borrow().as_ref().map_or(Word::NULL, |path| Word::new(path.as_ptr()))
    }
}

/// What the handle's file is done on the pool, in line.
fn operate(file: Item<File>, work: impl FnOnce(&Job, &OpenFile) -> Outcome + Send + 'static) -> Result<DeferredItem> {
    // Without one it is being closed, which the line refuses.
    let open = file.open.borrow().clone();
    let gone = || Trouble::new(Status::ERR_CLOSED, "the file is closed".into());
    line::add(file, Box::new(move |job| work(job, &*open.ok_or_else(gone)?)))
}

/// The host's bytes, which it may change as soon as the call has returned.
pub(super) fn copy_of(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| Status::ERR_NO_MEMORY)?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// How much of a regular file is left from a place on.
fn left(file: &fs::File, from: u64) -> usize {
    file.metadata().map_or(PART, |metadata| metadata.len().saturating_sub(from).min(usize::MAX as u64) as usize)
}

/// Reads from the position, which moves on.
pub fn read(file: Item<File>, length: usize) -> Result<DeferredItem> {
    operate(file, move |job, open| {
        let mut file = open.get();
        let expected = if open.is_regular { left(file, file.stream_position().unwrap_or(0)) } else { length.min(PART) };
        let data = read_bytes(job, (length, expected, open.is_regular), |buffer, _| file.read(buffer));
        data.map(Value::Bytes).map_err(|why| open.trouble("reading", &why))
    })
}

/// Reads from a place.
pub fn read_at(file: Item<File>, offset: u64, length: usize) -> Result<DeferredItem> {
    operate(file, move |job, open| {
        let file = open.get();
        let read = |buffer: &mut [u8], done| platform::read_file_at(file, buffer, offset + done as u64);
        let data = read_bytes(job, (length, left(file, offset), open.is_regular), read);
        data.map(Value::Bytes).map_err(|why| open.trouble("reading", &why))
    })
}

/// Writes at the position, which moves on.
pub fn write(file: Item<File>, bytes: &[u8]) -> Result<DeferredItem> {
    let bytes = copy_of(bytes)?;
    operate(file, move |job, open| {
        let mut file = open.get();
        open.written(job, &bytes, |part, _| file.write(part))
    })
}

/// Writes at a place.
pub fn write_at(file: Item<File>, offset: u64, bytes: &[u8]) -> Result<DeferredItem> {
    if file.open.borrow().as_ref().is_some_and(|open| open.appends) {
        let why = format_args!("{} was opened to append", file.describe());
        return Err(Status::ERR_INVALID_STATE.because(why));
    }
    let bytes = copy_of(bytes)?;
    operate(file, move |job, open| {
        open.written(job, &bytes, |part, done| platform::write_file_at(open.get(), part, offset + done as u64))
    })
}

/// Writes at the end, where the position then is.
pub fn append(file: Item<File>, bytes: &[u8]) -> Result<DeferredItem> {
    let bytes = copy_of(bytes)?;
    operate(file, move |job, open| {
        let mut file = open.get();
        if open.is_regular && !open.appends {
            file.seek(SeekFrom::End(0)).map_err(|why| open.trouble("seeking in", &why))?;
        }
        open.written(job, &bytes, |part, _| file.write(part))
    })
}

/// Moves the position, or tells it.
pub fn seek(file: Item<File>, to: SeekFrom) -> Result<DeferredItem> {
    operate(file, move |_, open| {
        let mut file = open.get();
        file.seek(to).map(Value::Number).map_err(|why| open.trouble("seeking in", &why))
    })
}

/// Tells its size.
pub fn size(file: Item<File>) -> Result<DeferredItem> {
    operate(file, |_, open| {
        let metadata = open.get().metadata().map_err(|why| open.trouble("looking at", &why))?;
        Ok(Value::Number(metadata.len()))
    })
}

/// Tells all that is known of it.
pub fn stat(file: Item<File>) -> Result<DeferredItem> {
    operate(file, |_, open| {
        let metadata = open.get().metadata().map_err(|why| open.trouble("looking at", &why))?;
        Ok(Value::Facts(Box::new(Facts::of(&metadata))))
    })
}

/// Makes it so long.
pub fn truncate(file: Item<File>, size: u64) -> Result<DeferredItem> {
    operate(file, move |_, open| {
        let done = open.get().set_len(size);
        done.map(|()| Value::Nothing).map_err(|why| open.trouble("truncating", &why))
    })
}

/// Has all that was written reach the disk.
pub fn sync(file: Item<File>, data_only: bool) -> Result<DeferredItem> {
    operate(file, move |_, open| {
        let done = if data_only { open.get().sync_data() } else { open.get().sync_all() };
        done.map(|()| Value::Nothing).map_err(|why| open.trouble("syncing", &why))
    })
}

/// Closes it when what was asked for before is done.
pub fn close(file: Item<File>) -> Result<DeferredItem> {
    line::close(file, || {
        let open = file.open.take();
        Box::new(move |_| {
            // No job before this one has it any more.
            let Some(mut open) = open.and_then(Arc::into_inner) else { return Ok(Value::Nothing) };
            let closed = open.file.take().map_or(Ok(()), platform::finish_file);
            closed.map(|()| Value::Nothing).map_err(|why| open.trouble("closing", &why))
        })
    })
}
