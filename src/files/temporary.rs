//! Temporary files and directories: names that nobody has, and what is removed unless it is kept.

use super::file::OpenFile;
use super::trouble::Trouble;
use super::value::{Outcome, Value};
use crate::platform;
use crate::status::{Result, Status};
use std::collections::hash_map::RandomState;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Names that are tried before there is none.
const TRIES: usize = 100;

/// A name that probably nobody has.
fn random_name(prefix: &OsStr) -> OsString {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut number = RandomState::new().build_hasher().finish();
    let mut name = prefix.to_owned();
    for _ in 0..10 {
        name.push(char::from(LETTERS[number as usize % 32]).to_string());
        number >>= 5;
    }
    name
}

/// Makes something under a name that nobody has.
fn try_names<T>(folder: &Path, prefix: &OsStr, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<(T, PathBuf)> {
    let mut tried = Err(ErrorKind::AlreadyExists.into());
    for _ in 0..TRIES {
        let path = folder.join(random_name(prefix));
        tried = make(&path).map(|made| (made, path));
        if !tried.as_ref().is_err_and(|why| why.kind() == ErrorKind::AlreadyExists) {
            break;
        }
    }
    tried
}

/// A new file beside the one that it is to replace; it goes unless it is put there.
pub struct Sibling {
    /// The file, open to be written.
    pub file: File,
    path: Option<PathBuf>,
}

impl Sibling {
    /// Makes one with these permissions, for `path`.
    pub fn new(path: &Path, mode: u32) -> io::Result<Self> {
        let create = |path: &Path| platform::open_file(OpenOptions::new().write(true).create_new(true), mode, path);
        // Short, so that it is no longer than the name that it is for may be; hidden, so that a watcher can skip it.
        let (file, path) = try_names(folder_of(path), OsStr::new(".lariat-"), create)?;
        Ok(Self { file, path: Some(path) })
    }

    /// Puts it in its place: in one step, whatever was there, or only if nothing was.
    pub fn put(mut self, path: &Path, exclusive: bool) -> io::Result<()> {
        let Some(own) = &self.path else { return Ok(()) };
        match exclusive {
            true => platform::rename_new(own, path)?,
            false => std::fs::rename(own, path)?,
        }
        self.path = None;
        Ok(())
    }
}

impl Drop for Sibling {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The folder that a path is in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A directory that is removed unless somebody gets to know its path.
pub struct Made(Option<PathBuf>);

impl Made {
    /// Its path; it stays.
    pub fn keep(mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if let Some(path) = &self.0 {
            let path = platform::bytes_of(path.as_os_str());
            bytes.try_reserve_exact(path.len() + 1).map_err(|_| Status::ERR_NO_MEMORY)?;
            bytes.extend(path);
        }
        self.0 = None;
        Ok(bytes)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_dir(path);
        }
    }
}

/// Where something temporary goes, and what its name begins with.
pub struct Wanted {
    /// None: where the system wants it.
    pub folder: Option<PathBuf>,
    /// A part of a name.
    pub prefix: PathBuf,
}

impl Wanted {
    /// Checks what C has given; both may be missing.
    pub fn new(folder: Option<&[u8]>, prefix: Option<&[u8]>) -> Result<Self> {
        let folder = folder.map(|folder| super::path("directory", folder)).transpose()?;
        let prefix = super::path("prefix", prefix.unwrap_or(b"lariat-"))?;
        if prefix.components().count() != 1 || prefix.file_name() != Some(prefix.as_os_str()) {
            let why = format_args!("prefix is {}, which is no beginning of a name", prefix.display());
            return Err(Status::ERR_INVALID_ARGUMENT.because(why));
        }
        Ok(Self { folder, prefix })
    }

    fn folder(&self) -> PathBuf {
        self.folder.clone().unwrap_or_else(std::env::temp_dir)
    }
}

/// Makes a directory that nobody else may look into.
pub fn make_directory(wanted: &Wanted) -> Outcome {
    let folder = wanted.folder();
    let made = try_names(&folder, wanted.prefix.as_os_str(), |path| platform::make_folder(path, 0o700, false));
    let wrong = |why| Trouble::at("making a temporary directory in", &folder, &why);
    made.map(|((), path)| Value::Made(Made(Some(path)))).map_err(wrong)
}

/// Makes a file that nobody else may look into: one with a name, which stays, or one without.
pub fn make_file(wanted: &Wanted, unnamed: bool, scope: u32) -> Outcome {
    let folder = wanted.folder();
    let made = try_names(&folder, wanted.prefix.as_os_str(), |path| {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        if unnamed {
            platform::open_unnamed(&mut options, path)
        } else {
            platform::open_file(&mut options, 0o600, path)
        }
    });
    let (file, path) = made.map_err(|why| Trouble::at("making a temporary file in", &folder, &why))?;
    Ok(Value::File(OpenFile::temporary(file, path, unnamed), scope))
}
