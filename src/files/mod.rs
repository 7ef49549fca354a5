//! Files: operations on the thread pool, each with a Deferred for its result.
//!
//! `path` has what is done to a path, `whole` a whole file at once, `copy` copying, `file` an open file, `directory` its
//! like for directories. What is done to one open thing is done in the order asked for: it waits in its `line`. A job
//! gives a `Value`, which becomes what C gets on the reactor's thread, or goes with all that it holds - descriptors,
//! temporary files - when nobody wants it any more.

pub mod bytes;
pub mod compare;
mod copy;
pub mod directory;
pub mod file;
pub mod info;
mod line;
pub mod path;
pub mod temporary;
mod tree;
pub(crate) mod trouble;
mod value;
pub mod watch;
pub mod whole;

pub use copy::copy;

use crate::deferred::DeferredItem;
use crate::platform;
use crate::reactor::ReactorItem;
use crate::status::{Result, Status};
use crate::threads::job::Job;
use crate::threads::pool;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use trouble::Trouble;
use value::Outcome;

/// What is read, written and copied in one go: afterwards a job looks whether anybody still wants it.
const PART: usize = 1 << 20;

/// A path from C.
pub fn path(name: &str, bytes: &[u8]) -> Result<PathBuf> {
    if bytes.is_empty() {
        return Err(Status::ERR_INVALID_ARGUMENT.because(format_args!("{name} is empty")));
    }
    let not_text = || Status::ERR_INVALID_ARGUMENT.because(format_args!("{name} is not valid UTF-8"));
    platform::path_of(bytes).ok_or_else(not_text)
}

/// Has the work done on a pool thread.
fn run(reactor: ReactorItem, work: impl FnOnce(&Job) -> Outcome + Send + 'static) -> Result<DeferredItem> {
    reactor.check_system("files")?;
    pool::defer_inside(
        reactor,
        Box::new(move |job| {
            let outcome = perform(work, job);
            Box::new(move |reactor, deferred| value::deliver(reactor, deferred, outcome))
        }),
    )
}

/// Does the work, and survives it.
fn perform(work: impl FnOnce(&Job) -> Outcome, job: &Job) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| work(job))).unwrap_or_else(|payload| {
        // Its drop is unknown, and might panic.
        std::mem::forget(payload);
        Err(Trouble::new(Status::ERR_PANIC, "a file operation failed inside the library".into()))
    })
}

/// What a job's part that was interrupted says: a signal, or nobody wants it any more.
fn go_on(job: &Job) -> io::Result<()> {
    if job.is_cancelled() { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
}

/// Reads until `length` bytes or the end are reached; where not `all`, what one read gives. `expected` is what will
/// probably come. There is room for one byte more.
fn read_bytes(
    job: &Job,
    (length, expected, all): (usize, usize, bool),
    mut read: impl FnMut(&mut [u8], usize) -> io::Result<usize>,
) -> io::Result<Vec<u8>> {
    const PROBE: usize = 4096;
    let no_memory = |_| io::Error::from(io::ErrorKind::OutOfMemory);
    let expected = expected.min(length);
    let mut data = Vec::new();
    data.try_reserve_exact(expected.saturating_add(PROBE).min(length) + 1).map_err(no_memory)?;
    while data.len() < length {
        go_on(job)?;
        let start = data.len();
        // When all that was expected is there, probably the end is.
        let part = if start < expected {
            PART.min(expected - start)
        } else if start == expected {
            PROBE
        } else {
            PART
        };
        let part = part.min(length - start);
        data.try_reserve(part + 1).map_err(no_memory)?;
        data.resize(start + part, 0);
        let count = read(&mut data[start..], start);
        data.truncate(start + *count.as_ref().unwrap_or(&0));
        match count {
            Ok(0) => break,
            Ok(_) if !all => break,
            Ok(_) => {}
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    Ok(data)
}

/// Writes all of it; on failure also how many bytes were written.
fn write_bytes(
    job: &Job,
    bytes: &[u8],
    mut write: impl FnMut(&[u8], usize) -> io::Result<usize>,
) -> std::result::Result<(), (usize, io::Error)> {
    let mut done = 0;
    while done < bytes.len() {
        let part = (bytes.len() - done).min(PART);
        match go_on(job).and_then(|()| write(&bytes[done..done + part], done)) {
            Ok(0) => return Err((done, io::ErrorKind::WriteZero.into())),
            Ok(count) => done += count,
            Err(why) if why.kind() == io::ErrorKind::Interrupted && !job.is_cancelled() => {}
            Err(why) => return Err((done, why)),
        }
    }
    Ok(())
}
