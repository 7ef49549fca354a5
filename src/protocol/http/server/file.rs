//! Answers with files. They are opened on the thread pool, since a disk may take its time, and small ones are read there;
//! what is sent without copying is sent by the loop, as by every such call.

use super::answer;
use super::carrier::Size;
use super::condition::{self, Answer, Facts};
use super::listing;
use super::message::check_field;
use super::mime;
use super::request::{self, Request, flag};
use crate::deferred::chain;
use crate::files;
use crate::handles::{self, Item, Word};
use crate::net::out::OwnDescriptor;
use crate::platform;
use crate::protocol::http::date;
use crate::status::{Result, Status};
use crate::threads::pool;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::UNIX_EPOCH;

/// A file up to this size is read where it is opened, and sent with its head.
const SMALL: u64 = 32 * 1024;

/// What is served below a folder.
#[derive(Clone, Default)]
pub struct Folder {
    /// The folder itself.
    pub root: PathBuf,
    /// A folder without an index.html is listed.
    pub lists: bool,
    /// A folder's index.html is not served for it.
    pub no_index: bool,
    /// Names that begin with a dot are served.
    pub hidden: bool,
}

/// What is looked for.
struct Wanted {
    /// None: the path is anywhere.
    folder: Option<Folder>,
    path: Vec<u8>,
    /// What a folder is answered with: by its index, its list, the way to it. Not where the host names the file itself.
    folders: bool,
    content_type: Option<String>,
}

/// What was found.
enum Found {
    File(Opened),
    /// A folder whose path does not end in a slash.
    Slash,
    List(Vec<u8>),
}

/// A file that was opened.
struct Opened {
    file: File,
    size: u64,
    /// Nanoseconds since 1970.
    modified: i64,
    content_type: String,
    /// All of it, if it is small.
    content: Option<Vec<u8>>,
}

/// Answers with the file at a path of the host.
pub fn respond(request: Item<Request>, directory: Option<&[u8]>, path: &[u8], content_type: Option<&[u8]>) -> Result {
    if let Some(content_type) = content_type {
        check_field(b"Content-Type", content_type)?;
    }
    let root = directory.map(|directory| files::path("directory", directory)).transpose()?;
    let folder = root.map(|root| Folder { root, hidden: true, ..Folder::default() });
    files::path("path", path)?;
    let content_type = content_type.map(|text| String::from_utf8_lossy(text).into_owned());
    begin(request, Wanted { folder, path: path.to_vec(), folders: false, content_type })
}

/// Answers with what a folder has at a path, whose segments were decoded.
pub(super) fn respond_below(request: Item<Request>, folder: &Folder, path: Vec<u8>) -> Result {
    begin(request, Wanted { folder: Some(folder.clone()), path, folders: true, content_type: None })
}

fn begin(request: Item<Request>, wanted: Wanted) -> Result {
    request.check_before_head()?;
    request::check_promised(request)?;
    let reactor = request.root();
    reactor.check_system("files")?;
    let word = request.word();
    pool::run_inside(
        reactor,
        request.scope.get(),
        Box::new(move |_| {
            let found = find(&wanted);
            Box::new(move |_, _| {
                if let Ok(request) = handles::get::<Request>(word) {
                    request.clear(flag::PROMISED);
                    answer_with(request, found);
                }
            })
        }),
        Word::NULL,
    )?;
    request.set(flag::PROMISED);
    Ok(())
}

// ---- on a pool thread ----

fn find(wanted: &Wanted) -> io::Result<Found> {
    let Some(folder) = &wanted.folder else {
        let path = platform::path_of(&wanted.path).ok_or(ErrorKind::NotFound)?;
        let file = platform::open_file(File::options().read(true), 0, &path)?;
        return opened(file, wanted).map(Found::File);
    };
    check_names(&wanted.path, folder.hidden)?;
    let is_folder = wanted.path.is_empty() || wanted.path.ends_with(b"/");
    if is_folder {
        return if wanted.folders { find_folder(folder, wanted) } else { Err(ErrorKind::NotFound.into()) };
    }
    let file = open(folder, &wanted.path)?;
    if wanted.folders && file.metadata()?.is_dir() {
        return Ok(Found::Slash);
    }
    opened(file, wanted).map(Found::File)
}

fn open(folder: &Folder, path: &[u8]) -> io::Result<File> {
    let path = platform::path_of(path).ok_or(ErrorKind::NotFound)?;
    platform::open_beneath(&folder.root, &path)
}

fn find_folder(folder: &Folder, wanted: &Wanted) -> io::Result<Found> {
    if !folder.no_index {
        let path = [&wanted.path[..], b"index.html"].concat();
        match open(folder, &path) {
            Ok(file) => {
                let wanted = Wanted { folder: None, path, folders: false, content_type: None };
                return opened(file, &wanted).map(Found::File);
            }
            Err(why) if why.kind() == ErrorKind::NotFound => {}
            Err(why) => return Err(why),
        }
    }
    if !folder.lists {
        return Err(ErrorKind::NotFound.into());
    }
    let path = if wanted.path.is_empty() { b"." } else { &wanted.path[..wanted.path.len() - 1] };
    let entries = platform::list_folder(&open(folder, path)?, listing::MOST)?;
    Ok(Found::List(listing::page(&wanted.path, entries, folder.hidden)))
}

/// A path out of a URL names something below a folder, by names that are nothing else on any system.
fn check_names(path: &[u8], hidden: bool) -> io::Result<()> {
    let is_bad = |name: &[u8]| {
        let hides = !hidden && name.starts_with(b".");
        let on_windows = cfg!(windows) && name.iter().any(|byte| matches!(byte, b'\\' | b':') || *byte < 32);
        hides || on_windows || matches!(name, b"." | b"..") || name.contains(&0)
    };
    let inside = path.strip_suffix(b"/").unwrap_or(path);
    let mut names = inside.split(|byte| *byte == b'/');
    let bad = !inside.is_empty() && names.any(|name| name.is_empty() || is_bad(name)) || path == b"/";
    if bad { Err(ErrorKind::NotFound.into()) } else { Ok(()) }
}

fn opened(file: File, wanted: &Wanted) -> io::Result<Opened> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(ErrorKind::NotFound.into());
    }
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let size = metadata.len();
    let mut opened = Opened {
        file,
        size,
        modified: modified.map_or(0, |time| time.as_nanos() as i64),
        content_type: wanted.content_type.clone().unwrap_or_else(|| mime::of_name(&wanted.path)),
        content: None,
    };
    if size <= SMALL {
        let mut content = vec![0; size as usize];
        let mut at = 0;
        while at < content.len() {
            match platform::read_file_at(&opened.file, &mut content[at..], at as u64) {
                Ok(0) => return Ok(opened),
                Ok(read) => at += read,
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                Err(why) => return Err(why),
            }
        }
        opened.content = Some(content);
    }
    Ok(opened)
}

/// What is answered where there is no file.
fn code_of(why: &io::Error) -> u16 {
    match why.kind() {
        ErrorKind::PermissionDenied => 403,
        _ if platform::system_error(why) == Some(platform::SystemError::NoDescriptors) => 503,
        ErrorKind::OutOfMemory => 503,
        // A name that is no file's, a path out of the folder, a ring of links: it is not there.
        _ => 404,
    }
}

// ---- on the loop ----

fn answer_with(request: Item<Request>, found: io::Result<Found>) {
    if request.check_before_head().is_err() {
        return;
    }
    let answered = match found {
        Ok(Found::File(opened)) => send(request, opened),
        Ok(Found::List(page)) => request::respond(request, 200, Some(b"text/html; charset=utf-8"), &page),
        Ok(Found::Slash) => to_folder(request),
        Err(why) => {
            answer::plain(request, code_of(&why));
            Ok(())
        }
    };
    if let Err(why) = answered {
        answer::failed(request, why.0, crate::status::detail_of(why).as_deref());
    }
}

/// The way to a folder is by its name with a slash: what is in it names its neighbours from there.
pub(super) fn to_folder(request: Item<Request>) -> Result {
    let location = request.message(|message| {
        let query = message.query().map(|query| [b"?", query].concat()).unwrap_or_default();
        // Two slashes at the beginning would be another host.
        let path = message.raw_path();
        let slashes = path.iter().take_while(|byte| **byte == b'/').count();
        [b"/", &path[slashes..], b"/", &query[..]].concat()
    })?;
    request::redirect(request, 301, &location)
}

fn send(request: Item<Request>, opened: Opened) -> Result {
    let seconds = opened.modified.div_euclid(1_000_000_000);
    let etag = format!("\"{:x}-{:x}\"", opened.modified, opened.size);
    let now = request.shared().map_or(0, |shared| shared.date.now(request.root()));
    let facts = Facts { etag: etag.as_bytes(), modified: seconds.min(now), size: opened.size };
    let answer = request.message(|message| condition::decide(message.method(), &message.fields, &facts, now))?;
    set_unless_set(request, b"Last-Modified", &date::format(facts.modified))?;
    set_unless_set(request, b"ETag", etag.as_bytes())?;
    set_unless_set(request, b"Accept-Ranges", b"bytes")?;
    match answer {
        Answer::NotModified => request::respond(request, 304, None, &[]),
        Answer::Failed => request::respond(request, 412, Some(answer::PLAIN), answer::plain_text(412).as_bytes()),
        Answer::NotSatisfiable => {
            request::set_field(request, b"Content-Range", format!("bytes */{}", opened.size).as_bytes(), false)?;
            request::respond(request, 416, Some(answer::PLAIN), answer::plain_text(416).as_bytes())
        }
        Answer::Whole => send_whole(request, opened),
        Answer::Parts(parts) => match parts[..] {
            [(offset, length)] => send_part(request, opened, offset, length),
            _ => send_parts(request, opened, &parts),
        },
    }
}

fn set_unless_set(request: Item<Request>, name: &[u8], value: &[u8]) -> Result {
    if request.message(|message| message.response.has(name))? {
        return Ok(());
    }
    request::set_field(request, name, value, false)
}

/// The type of the content, unless the host has set its own.
fn content_type(request: Item<Request>, opened: &Opened) -> Option<Vec<u8>> {
    let has = request.with(|message| message.response.has(b"content-type")) == Some(true);
    (!has).then(|| opened.content_type.as_bytes().to_vec())
}

fn send_whole(request: Item<Request>, opened: Opened) -> Result {
    let content_type = content_type(request, &opened);
    if let Some(content) = &opened.content {
        return request::respond(request, 200, content_type.as_deref(), content);
    }
    request::set_code(request, 200)?;
    send_one(request, opened, content_type.as_deref(), 0, None)
}

fn send_part(request: Item<Request>, opened: Opened, offset: u64, length: u64) -> Result {
    let range = format!("bytes {offset}-{}/{}", offset + length - 1, opened.size);
    request::set_field(request, b"Content-Range", range.as_bytes(), false)?;
    request::set_code(request, 206)?;
    let content_type = content_type(request, &opened);
    send_one(request, opened, content_type.as_deref(), offset, Some(length))
}

fn send_one(
    request: Item<Request>,
    opened: Opened,
    content_type: Option<&[u8]>,
    offset: u64,
    length: Option<u64>,
) -> Result {
    let length = length.unwrap_or(opened.size);
    let nothing = length == 0 || request.has(flag::ONLY_HEAD);
    request::send_head(request, content_type, Size::Exactly(length), &[], nothing)?;
    if nothing {
        request::finished(request);
        return Ok(());
    }
    let sending = Sending::begin(request);
    sending.file(opened.file, offset, length)?;
    sending.all_handed_over();
    Ok(())
}

fn send_parts(request: Item<Request>, opened: Opened, parts: &[(u64, u64)]) -> Result {
    let own_type = opened.content_type.clone();
    // Whoever can have it in the file has changed the file.
    let boundary =
        format!("lariat-{:016x}{:x}", opened.modified.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64), opened.size);
    let head = |offset: u64, length: u64| {
        let (last, size) = (offset + length - 1, opened.size);
        format!("\r\n--{boundary}\r\nContent-Type: {own_type}\r\nContent-Range: bytes {offset}-{last}/{size}\r\n\r\n")
    };
    let end = format!("\r\n--{boundary}--\r\n");
    let size = parts.iter().map(|(offset, length)| head(*offset, *length).len() as u64 + length).sum::<u64>();
    let content_type = format!("multipart/byteranges; boundary={boundary}");
    request::remove_field(request, b"Content-Type")?;
    request::set_code(request, 206)?;
    let size = Size::Exactly(size + end.len() as u64);
    let nothing = request.has(flag::ONLY_HEAD);
    request::send_head(request, Some(content_type.as_bytes()), size, &[], nothing)?;
    if nothing {
        request::finished(request);
        return Ok(());
    }
    let sending = Sending::begin(request);
    let carrier = request.carrier().ok_or(Status::ERR_CLOSED)?;
    for (offset, length) in parts {
        let text = head(*offset, *length);
        carrier.data(text.as_bytes())?;
        sending.more(text.len() as u64);
        let file = opened.file.try_clone().map_err(|_| Status::ERR_TOO_MANY_DESCRIPTORS)?;
        sending.file(file, *offset, *length)?;
    }
    carrier.data(end.as_bytes())?;
    sending.more(end.len() as u64);
    sending.all_handed_over();
    Ok(())
}

/// Parts of files that are on their way: the response is finished when the last is sent.
struct Sending {
    request: Word,
    left: Cell<u32>,
    bytes: Cell<u64>,
    whole: Cell<bool>,
}

impl Sending {
    fn begin(request: Item<Request>) -> Rc<Self> {
        request.set(flag::SENDING);
        let word = request.word();
        Rc::new(Self { request: word, left: Cell::new(0), bytes: Cell::new(0), whole: Cell::new(false) })
    }

    fn more(&self, bytes: u64) {
        self.bytes.set(self.bytes.get() + bytes);
    }

    fn file(self: &Rc<Self>, file: File, offset: u64, length: u64) -> Result {
        let request = handles::get::<Request>(self.request)?;
        let carrier = request.carrier().ok_or(Status::ERR_CLOSED)?;
        let done = chain::new_inside(request.root(), keeps_sending, Word::NULL)?;
        self.left.set(self.left.get() + 1);
        let of = Rc::clone(self);
        let told = chain::when_over(
            done,
            Box::new(move |told| {
                of.left.set(of.left.get() - 1);
                match told {
                    Ok(_) => of.more(length),
                    Err((code, _)) => of.fail(Status(code)),
                }
                of.end_if_sent();
            }),
        );
        told?;
        let file = OwnDescriptor(platform::descriptor_of(file));
        let word = done.word();
        carrier.file(file, offset, length, word).inspect_err(|_| {
            let _ = chain::abandon(done);
        })
    }

    fn all_handed_over(&self) {
        self.whole.set(true);
        self.end_if_sent();
    }

    fn end_if_sent(&self) {
        if !self.whole.get() || self.left.get() != 0 {
            return;
        }
        let Ok(request) = handles::get::<Request>(self.request) else { return };
        request.clear(flag::SENDING);
        request.sent.set(self.bytes.get());
        if request.check_open().is_err() {
            return;
        }
        if let Err(why) = request.carrier().map_or(Err(Status::ERR_CLOSED), |carrier| carrier.end()) {
            let _ = request::abort(request, why);
            return;
        }
        request::finished(request);
    }

    /// It has become shorter, say: the length that was promised cannot be kept.
    fn fail(&self, why: Status) {
        if let Ok(request) = handles::get::<Request>(self.request) {
            let _ = request::abort(request, why.because("the file could not be sent"));
        }
    }
}

extern "C-unwind" fn keeps_sending(_: Word, _: Word) {}

/// A folder of files, as a path.
pub fn folder(directory: &[u8]) -> Result<PathBuf> {
    files::path("directory", directory)
}
