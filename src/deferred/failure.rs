//! Failures: why a Deferred has no value. Immutable, counted, and of one reactor.

use crate::handles::{self, Body, FreeFn, Item, Kind, Owned, Word};
use crate::reactor::{Reactor, ReactorItem};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString};

/// See the module.
#[derive(Default)]
pub struct Failure {
    code: Cell<i32>,
    os_error: Cell<i32>,
    /// Which element of a list failed; -1 none.
    index: Cell<i64>,
    holders: Cell<u32>,
    /// How a process has ended, as waitpid tells it; -1: it is about none.
    exit_status: Cell<i32>,
    /// None: the code's own text.
    message: RefCell<Option<CString>>,
    payload: RefCell<Owned>,
    /// The list of an `ERR_ALL_FAILED`, or the failure that this one speaks of.
    inner: RefCell<Owned>,
}

impl Body for Failure {
    const KIND: Kind = Kind::Failure;
    const SLOTS: u32 = 256;
    type Root = Reactor;
    type Beside = ();

    fn end(failure: Item<Self>) {
        free(failure);
    }
}

/// What a failure says.
#[derive(Default)]
pub struct Reason<'a> {
    /// Negative lariat's, positive the program's.
    pub code: i32,
    /// The operating system's error; 0 none.
    pub os_error: i32,
    /// None: the code's own text.
    pub message: Option<&'a str>,
}

impl From<Status> for Reason<'_> {
    fn from(status: Status) -> Self {
        Self { code: status.0, ..Self::default() }
    }
}

/// A failure with one holder: whoever gets it.
pub fn make(reactor: ReactorItem, reason: &Reason, payload: Owned) -> Result<Item<Failure>> {
    if reason.code == 0 {
        return Err(Status::ERR_INVALID_ARGUMENT.because("0 is not a failure's code"));
    }
    let message = reason.message.map(copy_text).transpose()?;
    let failure = reactor.pools.alloc::<Failure>()?;
    failure.code.set(reason.code);
    failure.os_error.set(reason.os_error);
    failure.index.set(-1);
    failure.exit_status.set(-1);
    failure.holders.set(1);
    *failure.message.borrow_mut() = message;
    *failure.payload.borrow_mut() = payload;
    Ok(failure)
}

/// The text as C can carry it, or an error: it may be long.
fn copy_text(text: &str) -> Result<CString> {
    let mut copy = Vec::new();
    // One more for the NUL, so that nothing moves.
    copy.try_reserve_exact(text.len() + 1).map_err(|_| Status::ERR_NO_MEMORY)?;
    copy.extend(text.bytes().filter(|byte| *byte != 0));
    CString::new(copy).map_err(|_| Status::ERR_INVALID_ARGUMENT)
}

/// A failure of the library's own; the null word if memory is too short even for that.
pub fn of_status(reactor: ReactorItem, status: Status) -> Word {
    let detail = crate::status::detail_of(status);
    let reason = Reason { message: detail.as_deref(), ..status.into() };
    make(reactor, &reason, Owned::default()).map_or(Word::NULL, Item::word)
}

/// The same failure with the index of the list's element that it came from; holds the given one meanwhile.
pub fn with_index(reactor: ReactorItem, failure: Word, index: usize) -> Word {
    let Ok(of) = handles::get::<Failure>(failure) else { return Word::NULL };
    let message = of.message.borrow().clone();
    let message = message.as_deref().map(CStr::to_string_lossy);
    let reason = Reason { code: of.code.get(), os_error: of.os_error.get(), message: message.as_deref() };
    let Ok(made) = make(reactor, &reason, Owned::new(of.payload.borrow().word(), None)) else { return Word::NULL };
    made.index.set(index as i64);
    made.exit_status.set(of.exit_status.get());
    *made.inner.borrow_mut() = owned(keep(failure));
    made.word()
}

/// A failure that carries a list.
pub fn with_results(reactor: ReactorItem, status: Status, results: Owned) -> Word {
    let word = of_status(reactor, status);
    if let Ok(failure) = handles::get::<Failure>(word) {
        *failure.inner.borrow_mut() = results;
    }
    word
}

/// One holder more.
pub fn keep(failure: Word) -> Word {
    if let Ok(item) = handles::get::<Failure>(failure) {
        item.holders.set(item.holders.get() + 1);
    }
    failure
}

/// One holder less; the last one frees it.
pub fn release(failure: Word) -> Result {
    if failure.is_null() {
        return Ok(());
    }
    let item = handles::get::<Failure>(failure)?;
    item.holders.set(item.holders.get() - 1);
    if item.holders.get() == 0 {
        free(item);
    }
    Ok(())
}

fn free(failure: Item<Failure>) {
    let reactor = failure.root();
    let owned = (failure.payload.take(), failure.inner.take());
    failure.message.take();
    reactor.pools.free(failure);
    if owned.0.free().is_some() || owned.1.free().is_some() {
        let _out = reactor.call_out();
        drop(owned);
    }
}

extern "C-unwind" fn release_word(failure: Word) {
    let _ = release(failure);
}

/// A holder that lets go when it is dropped.
pub fn owned(failure: Word) -> Owned {
    const RELEASE: FreeFn = release_word;
    Owned::new(failure, (!failure.is_null()).then_some(RELEASE))
}

impl Failure {
    /// Negative lariat's, positive the program's.
    pub fn code(&self) -> i32 {
        self.code.get()
    }

    /// The operating system's error; 0 none.
    pub fn os_error(&self) -> i32 {
        self.os_error.get()
    }

    /// Which element of a list failed; -1 none.
    pub fn index(&self) -> i64 {
        self.index.get()
    }

    /// Says how a process has ended, as waitpid tells it.
    pub fn set_exit_status(&self, status: i32) {
        self.exit_status.set(status);
    }

    /// The code that a process has ended with by itself.
    pub fn exit_code(&self) -> Option<i32> {
        let status = self.exit_status.get();
        (status >= 0 && status & 0x7f == 0).then_some((status >> 8) & 0xff)
    }

    /// The signal that a process was ended by.
    pub fn exit_signal(&self) -> Option<i32> {
        let status = self.exit_status.get();
        (status >= 0 && status & 0x7f != 0).then_some(status & 0x7f)
    }

    /// The payload; the failure's.
    pub fn payload(&self) -> Word {
        self.payload.borrow().word()
    }

    /// The list of an `ERR_ALL_FAILED`; else null.
    pub fn results(&self) -> Word {
        if self.code() == Status::ERR_ALL_FAILED.0 { self.inner.borrow().word() } else { Word::NULL }
    }

    /// Its words, in memory that lives as long as the failure.
    pub fn message(&self) -> Word {
        if self.message.borrow().is_none() && self.os_error() != 0 {
            // Made only for who asks: connections that are reset are many.
            let text = Status(self.code()).text().to_string_lossy();
            let error = std::io::Error::from_raw_os_error(self.os_error());
            *self.message.borrow_mut() = Some(crate::status::text_for_c(format!("{text}: {error}")));
        }
        match &*self.message.borrow() {
            Some(message) => Word::new(message.as_ptr()),
            None => Word::new(Status(self.code()).text().as_ptr()),
        }
    }

    /// Its words, if it has more than its code's.
    pub fn own_message(&self) -> Option<String> {
        self.message();
        self.message.borrow().as_deref().map(|text| text.to_string_lossy().into_owned())
    }

    /// For the log.
    pub fn describe(&self) -> String {
        self.message();
        let code = self.code();
        let name = if code < 0 { Status(code).name().to_string_lossy().into_owned() } else { format!("code {code}") };
        match &*self.message.borrow() {
            Some(message) => format!("{name}: {}", message.to_string_lossy()),
            None => format!("{name}: {}", Status(code).text().to_string_lossy()),
        }
    }
}
