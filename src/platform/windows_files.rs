//! Windows: what std does not do with files everywhere alike.

use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Seek};
use std::os::windows::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What a file is besides what std tells of it everywhere.
#[derive(Clone, Default, Debug)]
#[expect(missing_docs, reason = "each is named after its field in C")]
pub struct FileDetails {
    pub mode: u32,
    pub device: u64,
    pub inode: u64,
    pub links: u64,
    pub user: u32,
    pub group: u32,
    pub allocated: u64,
    pub changed: i64,
}

/// A path from the bytes of C; None: they are none.
pub fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    std::str::from_utf8(bytes).ok().map(PathBuf::from)
}

/// The bytes of a path, or of a name.
pub fn bytes_of(path: &OsStr) -> Vec<u8> {
    path.to_string_lossy().into_owned().into_bytes()
}

/// What there is of Unix's details: a file that is only to be read.
pub fn file_details(metadata: &Metadata) -> FileDetails {
    let write = if metadata.permissions().readonly() { 0 } else { 0o222 };
    let search = if metadata.is_dir() { 0o111 } else { 0 };
    FileDetails { mode: 0o444 | write | search, links: 1, allocated: metadata.file_size(), ..FileDetails::default() }
}

/// A descriptor for nothing, to be closed when one is needed.
pub fn spare() -> io::Result<File> {
    File::open("NUL")
}

/// Opens; there are no permissions to give to a new file.
pub fn open_file(options: &mut OpenOptions, _mode: u32, path: &Path) -> io::Result<File> {
    options.open(path)
}

/// Reads and writes always wait.
pub fn make_waiting(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Closes it.
pub fn finish_file(file: File) -> io::Result<()> {
    drop(file);
    Ok(())
}

/// Calls something that moves the file's position, and moves it back.
fn keeping_position<R>(mut file: &File, call: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
    let position = file.stream_position()?;
    let result = call();
    file.seek(io::SeekFrom::Start(position))?;
    result
}

/// Reads at a place; the file's position stays where it is.
pub fn read_file_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    keeping_position(file, || file.seek_read(buffer, offset))
}

/// Writes at a place; the file's position stays where it is.
pub fn write_file_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    keeping_position(file, || file.seek_write(bytes, offset))
}

/// The error of a directory where a file is wanted.
pub fn is_a_directory() -> io::Error {
    io::ErrorKind::IsADirectory.into()
}

/// The error of something that must not be there.
pub fn already_exists() -> io::Error {
    io::ErrorKind::AlreadyExists.into()
}

/// Whether the error says that a name, or a path, is longer than may be.
pub fn is_name_too_long(error: &io::Error) -> bool {
    use windows_sys::Win32::Foundation::ERROR_FILENAME_EXCED_RANGE;
    error.raw_os_error() == Some(ERROR_FILENAME_EXCED_RANGE as i32)
}

/// There are no named pipes in folders.
pub fn is_pipe(_metadata: &Metadata) -> bool {
    false
}

/// There are no special files; a link to a folder is told as a link by std.
pub fn special_kind(kind: std::fs::FileType) -> i32 {
    let _ = kind.is_symlink_dir();
    0
}

/// Whether it is there, and may be written to.
pub fn check_access(path: &Path, access: u32) -> io::Result<()> {
    let metadata = std::fs::metadata(path)?;
    let refused = access & 2 != 0 && metadata.permissions().readonly();
    if refused { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(()) }
}

/// Whether it may be written to is all that there is of permissions.
pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    let mut permissions = file.metadata()?.permissions();
    permissions.set_readonly(mode & 0o222 == 0);
    file.set_permissions(permissions)
}

/// Sets the permissions of a file.
pub fn change_mode(path: &Path, mode: u32) -> io::Result<()> {
    let mut permissions = std::fs::metadata(path)?.permissions();
    permissions.set_readonly(mode & 0o222 == 0);
    std::fs::set_permissions(path, permissions)
}

/// Permissions come from the folder.
pub fn take_after(_file: &File, _before: &Metadata) -> io::Result<()> {
    Ok(())
}

/// The system sees to it.
pub fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Makes a folder.
pub fn make_folder(path: &Path, _mode: u32, parents: bool) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(parents).create(path)
}

/// Makes a symbolic link, of the kind that its target is now.
pub fn make_symlink(target: &Path, path: &Path) -> io::Result<()> {
    let seen_from = path.parent().map_or_else(|| target.to_owned(), |parent| parent.join(target));
    match seen_from.is_dir() {
        true => std::os::windows::fs::symlink_dir(target, path),
        false => std::os::windows::fs::symlink_file(target, path),
    }
}

/// Renames unless something is there already.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    if std::fs::symlink_metadata(from)?.is_dir() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    std::fs::hard_link(from, to)?;
    std::fs::remove_file(from)
}

/// Not here.
pub fn share_content(_from: &File, _to: &File) -> bool {
    false
}

/// All of it is taken for data.
pub fn next_data(_file: &File, offset: u64, length: u64) -> Option<(u64, u64)> {
    (offset < length).then_some((offset, length))
}

/// Not here.
pub fn copy_part(_from: &File, _to: &File, _offset: u64, _length: usize) -> Option<io::Result<usize>> {
    None
}

/// Opens a new file that is gone when it is closed.
pub fn open_unnamed(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    const DELETE_ON_CLOSE: u32 = 0x0400_0000;
    options.custom_flags(DELETE_ON_CLOSE).open(path)
}

/// What kept a tree from being removed, and where.
pub type TreeError = (io::Error, PathBuf);

/// Removes a folder with all that is in it, or whatever else has this path. `stop` is asked once.
pub fn remove_tree(path: &Path, stop: &dyn Fn() -> bool) -> Result<(), TreeError> {
    let removed = match std::fs::symlink_metadata(path) {
        _ if stop() => Err(io::ErrorKind::Interrupted.into()),
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(why) => Err(why),
    };
    removed.map_err(|why| (why, path.to_owned()))
}

/// An entry of a folder.
pub struct Listed {
    /// Its name.
    pub name: Vec<u8>,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Bytes of a file.
    pub size: u64,
    /// When it was changed, in seconds since 1970.
    pub modified: i64,
}

/// What is in an open folder: Windows has no such call of std.
pub fn list_folder(_folder: &File, _most: usize) -> io::Result<Vec<Listed>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Opens something below a folder to be read: nothing that `path` or a link on the way says leads out of it, unless a link
/// is changed meanwhile.
pub fn open_beneath(root: &Path, path: &Path) -> io::Result<File> {
    let root = std::fs::canonicalize(root)?;
    let whole = std::fs::canonicalize(root.join(path))?;
    if !whole.starts_with(&root) {
        return Err(io::ErrorKind::NotFound.into());
    }
    File::open(whole)
}

/// The handle of a file, closed by somebody else from here on.
pub fn descriptor_of(file: File) -> super::Socket {
    std::os::windows::io::IntoRawHandle::into_raw_handle(file) as super::Socket
}
