//! What cannot be polled, such as a regular file, is read and written on the pool's threads: one job at a time for each
//! direction. What the kernel does without waiting is done at once.

use super::through::{if_known, would_block};
use super::{Side, side_of};
use crate::driver::{Readiness, Ready};
use crate::handles::{self, Item, Word};
use crate::net::transport::{Transport, flag};
use crate::net::{was_interrupted, would_block as is_would_block};
use crate::platform::descriptors;
use crate::reactor::ReactorItem;
use crate::threads::job::{Finish, Inside};
use crate::threads::pool;
use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};

/// So much is read, or written, by one job.
const CHUNK: usize = 256 * 1024;

/// What a job has read, or is to read into.
#[derive(Default)]
pub struct Reading {
    /// What a job read, from `at` on; else an empty buffer to be used again.
    data: RefCell<Vec<u8>>,
    at: Cell<usize>,
    /// The job at work; 0 none.
    job: Cell<u64>,
    /// There is no more.
    ended: Cell<bool>,
    failed: RefCell<Option<io::Error>>,
}

/// What a job has written.
#[derive(Default)]
pub struct Writing {
    /// Bytes written of which the writer does not know yet.
    done: Cell<usize>,
    job: Cell<u64>,
    failed: RefCell<Option<io::Error>>,
    /// Memory to be used again.
    data: RefCell<Vec<u8>>,
}

impl Side {
    pub(super) fn receive_away(&self, transport: Item<Transport>, buffer: &mut [u8]) -> io::Result<usize> {
        let reading = &self.reading;
        if reading.job.get() != 0 {
            return would_block();
        }
        if let Some(why) = reading.failed.take() {
            return Err(why);
        }
        if reading.has_some() {
            let length = reading.take(buffer);
            // Where the kernel cannot say what it has, the next part is read while this one is looked at.
            if !reading.has_some() && !self.reads_at_once.get() && !reading.ended.get() {
                self.begin_to_read(transport)?;
            }
            return Ok(length);
        }
        if reading.ended.get() {
            return Ok(0);
        }
        match if_known(&self.reads_at_once, || descriptors::read_at_once(self.file.0, buffer)) {
            Some(Err(why)) if is_would_block(&why) => {}
            Some(done) => return done,
            None => {}
        }
        self.begin_to_read(transport)?;
        would_block()
    }

    fn begin_to_read(&self, transport: Item<Transport>) -> io::Result<()> {
        let mut data = self.reading.data.take();
        data.clear();
        data.try_reserve_exact(CHUNK).map_err(|_| io::ErrorKind::OutOfMemory)?;
        data.resize(CHUNK, 0);
        let (file, word) = (self.file.clone(), transport.word());
        let work: Inside = Box::new(move |_| {
            let read = retry(|| descriptors::read(file.0, &mut data));
            let finish: Finish = Box::new(move |reactor, _| arrived(reactor, word, read, data));
            finish
        });
        self.reading.job.set(submit(transport, work)?);
        Ok(())
    }

    pub(super) fn send_away(&self, transport: Item<Transport>, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let writing = &self.writing;
        if writing.job.get() != 0 {
            return would_block();
        }
        let done = writing.done.get();
        if done != 0 {
            let offered = parts.iter().map(|part| part.len()).sum();
            let known = done.min(offered);
            writing.done.set(done - known);
            return Ok(known);
        }
        if let Some(why) = writing.failed.take() {
            return Err(why);
        }
        match if_known(&self.writes_at_once, || descriptors::write_at_once(self.file.0, parts)) {
            Some(Err(why)) if is_would_block(&why) => {}
            Some(done) => return done,
            None => {}
        }
        self.begin_to_write(transport, parts)?;
        would_block()
    }

    /// A copy of what is offered goes to a job; the writer hears that there is no room until it is written.
    fn begin_to_write(&self, transport: Item<Transport>, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let mut data = self.writing.data.take();
        data.clear();
        data.try_reserve_exact(CHUNK).map_err(|_| io::ErrorKind::OutOfMemory)?;
        for part in parts {
            data.extend_from_slice(&part[..part.len().min(CHUNK - data.len())]);
        }
        let (file, word) = (self.file.clone(), transport.word());
        let work: Inside = Box::new(move |_| {
            let (done, failed) = write_all(file.0, &data);
            let finish: Finish = Box::new(move |reactor, _| written(reactor, word, done, failed, data));
            finish
        });
        self.writing.job.set(submit(transport, work)?);
        Ok(())
    }

    /// Jobs that have not begun are taken back; what the others come to is nobody's.
    pub(super) fn give_up_jobs(&self, reactor: ReactorItem) {
        for job in [&self.reading.job, &self.writing.job] {
            let job = job.take();
            if job != 0 {
                pool::give_up(reactor, job);
            }
        }
    }
}

impl Reading {
    fn has_some(&self) -> bool {
        self.at.get() < self.data.borrow().len()
    }

    fn take(&self, buffer: &mut [u8]) -> usize {
        let data = self.data.borrow();
        let left = &data[self.at.get()..];
        let length = left.len().min(buffer.len());
        buffer[..length].copy_from_slice(&left[..length]);
        self.at.set(self.at.get() + length);
        length
    }
}

fn submit(transport: Item<Transport>, work: Inside) -> io::Result<u64> {
    let submitted = pool::run_inside(transport.root(), transport.scope.get(), work, Word::NULL);
    submitted.map_err(|why| {
        let text = crate::status::detail_of(why);
        io::Error::other(text.unwrap_or_else(|| why.text().to_string_lossy().into_owned()))
    })
}

fn retry<R>(mut call: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match call() {
            Err(why) if was_interrupted(&why) => {}
            done => return done,
        }
    }
}

/// How much of it was written, and why not all.
fn write_all(file: crate::platform::Socket, data: &[u8]) -> (usize, Option<io::Error>) {
    let mut done = 0;
    while done < data.len() {
        match retry(|| descriptors::write(file, &[IoSlice::new(&data[done..])])) {
            Ok(0) => return (done, Some(io::ErrorKind::WriteZero.into())),
            Ok(written) => done += written,
            Err(why) => return (done, Some(why)),
        }
    }
    (done, None)
}

/// The side of a stream that is still there.
fn with_live(reactor: ReactorItem, word: Word, call: impl FnOnce(&Side)) -> Option<Item<Transport>> {
    let transport = handles::get::<Transport>(word).ok().filter(|transport| !transport.has(flag::LOST))?;
    let side = side_of(transport).filter(|_| transport.root() == reactor)?;
    call(&side);
    Some(transport)
}

fn arrived(reactor: ReactorItem, word: Word, read: io::Result<usize>, mut data: Vec<u8>) {
    let live = with_live(reactor, word, |side| {
        let reading = &side.reading;
        reading.job.set(0);
        reading.at.set(0);
        data.truncate(*read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => reading.ended.set(true),
            Ok(_) => {}
            Err(why) => *reading.failed.borrow_mut() = Some(why),
        }
        *reading.data.borrow_mut() = data;
    });
    if let Some(transport) = live {
        let readiness = Readiness { readable: true, writable: false };
        reactor.ready_again(Ready { key: transport.word(), readiness, ended: false });
    }
}

fn written(reactor: ReactorItem, word: Word, done: usize, failed: Option<io::Error>, data: Vec<u8>) {
    let live = with_live(reactor, word, |side| {
        side.writing.job.set(0);
        side.writing.done.set(done);
        *side.writing.failed.borrow_mut() = failed;
        *side.writing.data.borrow_mut() = data;
    });
    if let Some(transport) = live {
        let readiness = Readiness { readable: false, writable: true };
        reactor.ready_again(Ready { key: transport.word(), readiness, ended: false });
    }
}
