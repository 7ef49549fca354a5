//! Unix: what std does not do with files.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
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
    Some(OsString::from_vec(bytes.to_vec()).into())
}

/// The bytes of a path, or of a name.
pub fn bytes_of(path: &OsStr) -> Vec<u8> {
    path.as_bytes().to_vec()
}

fn text(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn checked(answer: libc::c_int) -> io::Result<libc::c_int> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// What std's metadata say of the file on Unix.
pub fn file_details(metadata: &Metadata) -> FileDetails {
    FileDetails {
        mode: metadata.mode() & 0o7777,
        device: metadata.dev(),
        inode: metadata.ino(),
        links: metadata.nlink(),
        user: metadata.uid(),
        group: metadata.gid(),
        allocated: metadata.blocks().saturating_mul(512),
        changed: metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec()),
    }
}

/// A descriptor for nothing, to be closed when one is needed.
pub fn spare() -> io::Result<File> {
    File::open("/dev/null")
}

/// Opens without waiting for the other end of a named pipe, and without taking a terminal for the process's own.
pub fn open_file(options: &mut OpenOptions, mode: u32, path: &Path) -> io::Result<File> {
    let opened = options.mode(mode).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    match opened {
        // Somebody has a lease on it, which the system takes back if it is waited for.
        Err(why) if why.kind() == io::ErrorKind::WouldBlock => options.custom_flags(libc::O_NOCTTY).open(path),
        opened => opened,
    }
}

/// Has reads and writes of what `open_file` has opened wait.
pub fn make_waiting(file: &File) -> io::Result<()> {
    // SAFETY: neither command takes a pointer, and the descriptor is open as long as the file is borrowed.
    let flags = checked(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) })?;
    // SAFETY: as above.
    checked(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags & !libc::O_NONBLOCK) }).map(|_| ())
}

/// Closes it, and tells what std keeps to itself: a delayed write may fail as late as here.
pub fn finish_file(file: File) -> io::Result<()> {
    // SAFETY: the descriptor was the file's alone, which has given it up. It is closed whatever the answer.
    checked(unsafe { libc::close(file.into_raw_fd()) }).map(|_| ())
}

/// Reads at a place; the file's position stays where it is.
pub fn read_file_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

/// Writes at a place; the file's position stays where it is.
pub fn write_file_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, bytes, offset)
}

/// The error of a directory where a file is wanted.
pub fn is_a_directory() -> io::Error {
    io::Error::from_raw_os_error(libc::EISDIR)
}

/// The error of something that must not be there.
pub fn already_exists() -> io::Error {
    io::Error::from_raw_os_error(libc::EEXIST)
}

/// Whether the error says that a name, or a path, is longer than may be.
pub fn is_name_too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENAMETOOLONG)
}

/// Whether its kind has no content to be read from a place: a named pipe.
pub fn is_pipe(metadata: &Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&metadata.file_type())
}

/// What it is, as `LARIAT_FILE_KIND_` names it: pipe 4, socket 5, character device 6, block device 7; else 0.
pub fn special_kind(kind: std::fs::FileType) -> i32 {
    use std::os::unix::fs::FileTypeExt;
    match kind {
        kind if kind.is_fifo() => 4,
        kind if kind.is_socket() => 5,
        kind if kind.is_char_device() => 6,
        kind if kind.is_block_device() => 7,
        _ => 0,
    }
}

/// Whether the process may read (4), write (2) or execute (1) it; 0: whether it is there.
pub fn check_access(path: &Path, access: u32) -> io::Result<()> {
    let path = text(path)?;
    // SAFETY: the path is NUL-ended and lives for the call.
    let answer = unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), access as libc::c_int, libc::AT_EACCESS) };
    checked(answer).map(|_| ())
}

/// Sets the permissions of an open file.
pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))
}

/// Sets the permissions of a file.
pub fn change_mode(path: &Path, mode: u32) -> io::Result<()> {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
}

/// Gives a new file the owner, group and permissions of the one that it is to replace, as far as this process may:
/// never more permissions to anybody.
pub fn take_after(file: &File, before: &Metadata) -> io::Result<()> {
    let now = file.metadata()?;
    let mut mode = before.mode() & 0o7777;
    if now.uid() != before.uid() && std::os::unix::fs::fchown(file, Some(before.uid()), None).is_err() {
        mode &= 0o1777;
    }
    if now.gid() != before.gid() && std::os::unix::fs::fchown(file, None, Some(before.gid())).is_err() {
        // The group is another one: it gets what others have.
        mode = mode & 0o1707 | (mode & 0o007) << 3;
    }
    set_mode(file, mode)
}

/// Makes a folder remember which files are in it.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(path)?.sync_all() {
        // Some file systems have no such thing.
        Err(why) if why.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        synced => synced,
    }
}

/// Makes a folder with these permissions.
pub fn make_folder(path: &Path, mode: u32, parents: bool) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(mode).recursive(parents).create(path)
}

/// Makes a symbolic link.
pub fn make_symlink(target: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

/// Renames unless something is there already.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let (from_text, to_text) = (text(from)?, text(to)?);
    #[cfg(target_os = "linux")]
    {
        const NOREPLACE: libc::c_uint = 1;
        let here = libc::AT_FDCWD;
        // SAFETY: both paths are NUL-ended and live for the call.
        let answer =
            unsafe { libc::syscall(libc::SYS_renameat2, here, from_text.as_ptr(), here, to_text.as_ptr(), NOREPLACE) };
        match checked(answer as libc::c_int) {
            // An old kernel, or a file system that cannot.
            Err(why) if matches!(why.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL)) => {}
            renamed => return renamed.map(|_| ()),
        }
    }
    #[cfg(target_vendor = "apple")]
    {
        // SAFETY: both paths are NUL-ended and live for the call.
        let answer = unsafe { libc::renamex_np(from_text.as_ptr(), to_text.as_ptr(), libc::RENAME_EXCL) };
        match checked(answer) {
            Err(why) if why.raw_os_error() == Some(libc::ENOTSUP) => {}
            renamed => return renamed.map(|_| ()),
        }
    }
    drop((from_text, to_text));
    if std::fs::symlink_metadata(from)?.is_dir() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    std::fs::hard_link(from, to)?;
    std::fs::remove_file(from)
}

/// Has both files share what they hold, until one is written to, where the file system can.
pub fn share_content(from: &File, to: &File) -> bool {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: FICLONE takes a descriptor, no pointer; both are open.
        unsafe { libc::ioctl(to.as_raw_fd(), libc::FICLONE, from.as_raw_fd()) == 0 }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (from, to);
        false
    }
}

/// The next part of a file that holds data, from `offset` on: where it begins and ends. None: there is no more.
pub fn next_data(file: &File, offset: u64, length: u64) -> Option<(u64, u64)> {
    if offset >= length {
        return None;
    }
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    {
        let seek = |from: u64, whence| {
            // SAFETY: lseek takes no pointers.
            let found = unsafe { libc::lseek(file.as_raw_fd(), from as libc::off_t, whence) };
            u64::try_from(found).map_err(|_| io::Error::last_os_error().raw_os_error())
        };
        match seek(offset, libc::SEEK_DATA) {
            Ok(start) if start >= length => return None,
            Ok(start) => return Some((start, seek(start, libc::SEEK_HOLE).map_or(length, |end| end.min(length)))),
            Err(Some(libc::ENXIO)) => return None,
            Err(_) => {}
        }
    }
    #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
    let _ = file;
    Some((offset, length))
}

/// Has the kernel copy a part of a file to the same place of another; how many bytes it was. None: it cannot.
pub fn copy_part(from: &File, to: &File, offset: u64, length: usize) -> Option<io::Result<usize>> {
    #[cfg(target_os = "linux")]
    {
        let (mut here, mut there) = (offset as libc::off64_t, offset as libc::off64_t);
        let (from, to) = (from.as_raw_fd(), to.as_raw_fd());
        // SAFETY: both offsets are read and written during the call alone; the descriptors are open.
        let copied = unsafe { libc::copy_file_range(from, &mut here, to, &mut there, length, 0) };
        if let Ok(copied) = usize::try_from(copied) {
            return Some(Ok(copied));
        }
        let why = io::Error::last_os_error();
        const CANNOT: [i32; 6] = [libc::ENOSYS, libc::EXDEV, libc::EINVAL, libc::EOPNOTSUPP, libc::EPERM, libc::EBADF];
        let cannot = why.raw_os_error().is_some_and(|code| CANNOT.contains(&code));
        (!cannot).then_some(Err(why))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (from, to, offset, length);
        None
    }
}

/// Opens a new file that has no name any more: it is gone when it is closed.
pub fn open_unnamed(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.mode(0o600).open(path)?;
    std::fs::remove_file(path)?;
    Ok(file)
}

/// A folder that is being emptied: its descriptor, and the stream of its entries.
struct Folder(*mut libc::DIR);

impl Drop for Folder {
    fn drop(&mut self) {
        // SAFETY: fdopendir gave it, and it is closed once.
        unsafe { libc::closedir(self.0) };
    }
}

/// Which folder it is.
type Identity = (libc::dev_t, libc::ino_t);

impl Folder {
    /// Opens a folder, in another one if there is one; never by a symbolic link.
    fn open(within: Option<&Folder>, name: &CStr) -> io::Result<Self> {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        let within = within.map_or(libc::AT_FDCWD, Folder::descriptor);
        // SAFETY: the name is NUL-ended and lives for the call.
        let descriptor = checked(unsafe { libc::openat(within, name.as_ptr(), flags) })?;
        // SAFETY: the descriptor was just opened and nobody else has it.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        // SAFETY: the descriptor is one of a folder; if this succeeds it is the stream's.
        let stream = unsafe { libc::fdopendir(descriptor.as_raw_fd()) };
        if stream.is_null() {
            return Err(io::Error::last_os_error());
        }
        let _ = descriptor.into_raw_fd();
        Ok(Self(stream))
    }

    fn descriptor(&self) -> libc::c_int {
        // SAFETY: the stream is open as long as this lives.
        unsafe { libc::dirfd(self.0) }
    }

    fn identity(&self) -> io::Result<Identity> {
        let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
        // SAFETY: fstat writes a stat to the place given or fails.
        checked(unsafe { libc::fstat(self.descriptor(), stat.as_mut_ptr()) })?;
        // SAFETY: fstat succeeded and so has filled it in.
        let stat = unsafe { stat.assume_init() };
        Ok((stat.st_dev, stat.st_ino))
    }

    /// The next entry but for the folder itself and the one above.
    fn next(&self) -> io::Result<Option<CString>> {
        loop {
            clear_errno();
            // SAFETY: the stream is open, and no other thread reads it.
            let entry = unsafe { libc::readdir(self.0) };
            if entry.is_null() {
                let why = io::Error::last_os_error();
                return if why.raw_os_error() == Some(0) { Ok(None) } else { Err(why) };
            }
            // SAFETY: an entry has a NUL-ended name, which lives until the next is read.
            let name = unsafe { CStr::from_ptr((*entry).d_name.as_ptr()) };
            if name != c"." && name != c".." {
                return Ok(Some(name.to_owned()));
            }
        }
    }

    fn unlink(&self, name: &CStr, flags: libc::c_int) -> io::Result<()> {
        // SAFETY: the name is NUL-ended and lives for the call.
        checked(unsafe { libc::unlinkat(self.descriptor(), name.as_ptr(), flags) }).map(|_| ())
    }

    /// Removes one entry. False: it is a folder that is not empty.
    fn remove(&self, name: &CStr) -> io::Result<bool> {
        match self.unlink(name, 0) {
            Ok(()) => Ok(true),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(true),
            // What unlink says of a folder: EISDIR, or EPERM as POSIX wants it.
            Err(why) => match self.unlink(name, libc::AT_REMOVEDIR) {
                Ok(()) => Ok(true),
                Err(other) if matches!(other.raw_os_error(), Some(libc::ENOTEMPTY | libc::EEXIST)) => Ok(false),
                Err(other) if other.kind() == io::ErrorKind::NotADirectory => Err(why),
                Err(other) => Err(other),
            },
        }
    }
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

/// What is in an open folder, `most` entries at most; a link to something is left out.
pub fn list_folder(folder: &File, most: usize) -> io::Result<Vec<Listed>> {
    let descriptor = folder.try_clone()?;
    // SAFETY: the descriptor is open; if this succeeds it is the stream's.
    let stream = unsafe { libc::fdopendir(descriptor.as_raw_fd()) };
    if stream.is_null() {
        return Err(io::Error::last_os_error());
    }
    let _ = descriptor.into_raw_fd();
    let stream = Folder(stream);
    let mut listed = Vec::new();
    while let Some(name) = stream.next()? {
        let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
        let (at, flags) = (stream.descriptor(), libc::AT_SYMLINK_NOFOLLOW);
        // SAFETY: the name is NUL-ended; fstatat writes a stat to the place given or fails.
        if unsafe { libc::fstatat(at, name.as_ptr(), stat.as_mut_ptr(), flags) } != 0 {
            continue;
        }
        // SAFETY: fstatat succeeded and so has filled it in.
        let stat = unsafe { stat.assume_init() };
        let kind = stat.st_mode & libc::S_IFMT;
        if kind == libc::S_IFDIR || kind == libc::S_IFREG {
            let name = name.into_bytes();
            listed.push(Listed {
                name,
                is_folder: kind == libc::S_IFDIR,
                size: stat.st_size as u64,
                modified: stat.st_mtime,
            });
        }
        if listed.len() == most {
            break;
        }
    }
    Ok(listed)
}

/// Opens something below a folder to be read, without waiting for the other end of a pipe: nothing that `path` or a link
/// on the way says leads out of it. Where the system cannot promise that of links, those are not followed.
pub fn open_beneath(root: &Path, path: &Path) -> io::Result<File> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;
    let folder = open_folder(root)?;
    let name = text(path)?;
    #[cfg(target_os = "linux")]
    {
        // SAFETY: the struct is made of numbers, for which zeros are good; the kernel refuses what it does not know.
        let mut how = unsafe { std::mem::zeroed::<libc::open_how>() };
        how.flags = flags as u64;
        how.resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS;
        let (at, size) = (folder.as_raw_fd(), size_of::<libc::open_how>());
        // SAFETY: the path is NUL-ended and the struct is as long as is said; both live for the call.
        let opened = unsafe { libc::syscall(libc::SYS_openat2, at, name.as_ptr(), &how, size) };
        match checked(opened as libc::c_int) {
            // An old kernel, or a sandbox that does not know the call.
            Err(why) if matches!(why.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {}
            // SAFETY: the descriptor was just opened and nobody else has it.
            opened => return opened.map(|descriptor| unsafe { File::from_raw_fd(descriptor) }),
        }
    }
    drop(name);
    open_step_by_step(folder, path, flags)
}

fn open_folder(root: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_CLOEXEC).open(root)
}

/// One name after the other, and no link followed.
fn open_step_by_step(mut folder: File, path: &Path, flags: libc::c_int) -> io::Result<File> {
    let parts = path.as_os_str().as_bytes().split(|byte| *byte == b'/').collect::<Vec<_>>();
    for (place, part) in parts.iter().enumerate() {
        let last = place + 1 == parts.len();
        if *part == b".." || part.is_empty() && (!last || place == 0) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let part = CString::new(if part.is_empty() { b"." } else { *part })?;
        let flags = if last { flags } else { flags | libc::O_DIRECTORY } | libc::O_NOFOLLOW;
        // SAFETY: the name is NUL-ended and lives for the call.
        let descriptor = checked(unsafe { libc::openat(folder.as_raw_fd(), part.as_ptr(), flags) })?;
        // SAFETY: the descriptor was just opened and nobody else has it.
        folder = unsafe { File::from_raw_fd(descriptor) };
    }
    Ok(folder)
}

fn clear_errno() {
    #[cfg(target_os = "linux")]
    // SAFETY: the place is this thread's own.
    unsafe {
        *libc::__errno_location() = 0;
    }
    #[cfg(target_vendor = "apple")]
    // SAFETY: as above.
    unsafe {
        *libc::__error() = 0;
    }
}

/// What kept a tree from being removed, and where.
pub type TreeError = (io::Error, PathBuf);

/// Removes a folder with all that is in it, or whatever else has this path; a symbolic link itself. However deep it is,
/// two descriptors are open at a time, and no link that somebody puts in the way is followed. `stop` is asked before each
/// removal: true leaves the rest.
pub fn remove_tree(path: &Path, stop: &dyn Fn() -> bool) -> Result<(), TreeError> {
    let at_root = |why| (why, path.to_owned());
    let root = text(path).map_err(at_root)?;
    if !std::fs::symlink_metadata(path).map_err(at_root)?.is_dir() {
        return std::fs::remove_file(path).map_err(at_root);
    }
    let mut folder = Folder::open(None, &root).map_err(at_root)?;
    // The names of the folders from the root on, each with the one above.
    let mut names: Vec<(CString, Identity)> = Vec::new();
    loop {
        let here = |names: &[(CString, Identity)], name: Option<&CStr>| {
            let names = names.iter().map(|(name, _)| name.as_c_str()).chain(name);
            names.fold(path.to_owned(), |path, name| path.join(OsStr::from_bytes(name.to_bytes())))
        };
        let entry = folder.next().map_err(|why| (why, here(&names, None)))?;
        if stop() {
            return Err((io::ErrorKind::Interrupted.into(), here(&names, None)));
        }
        if let Some(name) = entry {
            let wrong = |why| (why, here(&names, Some(&name)));
            if !folder.remove(&name).map_err(wrong)? {
                let (below, above) = Folder::open(Some(&folder), &name)
                    .and_then(|below| Ok((below, folder.identity()?)))
                    .map_err(wrong)?;
                folder = below;
                names.push((name, above));
            }
        } else if let Some((name, identity)) = names.pop() {
            let wrong = |why| (why, here(&names, Some(&name)));
            let above = Folder::open(Some(&folder), c"..").map_err(wrong)?;
            if above.identity().map_err(wrong)? != identity {
                return Err(wrong(io::Error::other("it was moved away meanwhile")));
            }
            // Somebody may have put something there meanwhile: then it is emptied again.
            above.remove(&name).map_err(wrong)?;
            folder = above;
        } else {
            return std::fs::remove_dir(path).map_err(at_root);
        }
    }
}

/// The descriptor of a file, closed by somebody else from here on.
pub fn descriptor_of(file: File) -> super::Socket {
    file.into_raw_fd()
}
