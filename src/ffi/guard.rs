//! The border: handles are looked up, panics stop, and what fails becomes the thread's last error.

use super::types::{Named, Opaque};
use crate::handles::{self, Body, Item, Kind, Word};
use crate::reactor::{Reactor, hooks};
use crate::status::{self, Result, Status};
use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

#[cfg(not(panic = "unwind"))]
compile_error!("lariat needs panic=unwind: a panic inside must not end the program that it is a guest of");

/// What a body gives, and what C gets for it.
pub trait Answer: Sized {
    /// The type in C.
    type C;
    /// The answer of a call that worked.
    fn answer(self) -> Self::C;
    /// The answer of a call that failed.
    fn failed(status: Status) -> Self::C;
}

/// Types whose failures are answered by the status itself.
macro_rules! answered_by_status {
    ($($type:ty as $c:ty: $answer:expr;)*) => {$(
        impl Answer for $type {
            type C = $c;

            #[inline(always)]
            fn answer(self) -> $c {
                let answer: fn($type) -> $c = $answer;
                answer(self)
            }

            #[inline(always)]
            fn failed(status: Status) -> $c {
                <$c>::from(status.0)
            }
        }
    )*};
}

answered_by_status! {
    () as i32: |()| Status::OK.0;
    Status as i32: |status| status.0;
    bool as i32: i32::from;
    i32 as i32: |number| number;
    i64 as i64: |number| number;
}

/// Types whose failures are answered by a value that means nothing else.
macro_rules! answered_by_value {
    ($($type:ty as $failed:expr;)*) => {$(
        impl Answer for $type {
            type C = $type;

            #[inline(always)]
            fn answer(self) -> $type {
                self
            }

            #[inline(always)]
            fn failed(_: Status) -> $type {
                $failed
            }
        }
    )*};
}

answered_by_value! {
    f64 as f64::NAN;
    u64 as 0;
    usize as 0;
}

impl Answer for Word {
    type C = *mut c_void;

    #[inline(always)]
    fn answer(self) -> *mut c_void {
        self.pointer()
    }

    #[inline(always)]
    fn failed(_: Status) -> *mut c_void {
        std::ptr::null_mut()
    }
}

impl<T: Named> Answer for Item<T> {
    type C = *mut T::Opaque;

    #[inline(always)]
    fn answer(self) -> *mut T::Opaque {
        self.word().pointer()
    }

    #[inline(always)]
    fn failed(_: Status) -> *mut T::Opaque {
        std::ptr::null_mut()
    }
}

/// A handle of this kind, or null where that is no failure.
pub struct HandleOf<T>(Word, PhantomData<T>);

impl<T> HandleOf<T> {
    /// A word that is known to be one.
    pub fn new(word: Word) -> Self {
        Self(word, PhantomData)
    }
}

impl<T: Named> Answer for HandleOf<T> {
    type C = *mut T::Opaque;

    fn answer(self) -> *mut T::Opaque {
        self.0.pointer()
    }

    fn failed(_: Status) -> *mut T::Opaque {
        std::ptr::null_mut()
    }
}

/// A handle that belongs to no reactor.
pub struct SharedHandle<H>(Word, PhantomData<H>);

impl<H> SharedHandle<H> {
    /// A word that is known to be one.
    pub fn new(word: Word) -> Self {
        Self(word, PhantomData)
    }
}

impl<H> Answer for SharedHandle<H> {
    type C = *mut H;

    fn answer(self) -> *mut H {
        self.0.pointer()
    }

    fn failed(_: Status) -> *mut H {
        std::ptr::null_mut()
    }
}

/// A number that is 0 when the call fails.
pub struct OrZero(pub i32);

impl Answer for OrZero {
    type C = i32;

    fn answer(self) -> i32 {
        self.0
    }

    fn failed(_: Status) -> i32 {
        0
    }
}

/// A place in a list; -1 for none, and when the call fails.
pub struct Index(pub i64);

impl Answer for Index {
    type C = i64;

    fn answer(self) -> i64 {
        self.0
    }

    fn failed(_: Status) -> i64 {
        -1
    }
}

/// Text that C reads; never null.
pub struct Text(pub Word);

impl From<&'static CStr> for Text {
    fn from(text: &'static CStr) -> Self {
        Self(Word::new(text.as_ptr()))
    }
}

impl Answer for Text {
    type C = *const c_char;

    fn answer(self) -> *const c_char {
        self.0.pointer()
    }

    fn failed(status: Status) -> *const c_char {
        status.text().as_ptr()
    }
}

/// Text that C reads; null when the call fails.
pub struct TextOrNull(pub Word);

impl Answer for TextOrNull {
    type C = *const c_char;

    fn answer(self) -> *const c_char {
        self.0.pointer()
    }

    fn failed(_: Status) -> *const c_char {
        std::ptr::null()
    }
}

/// A call on the thing that a handle names, by the thread of its reactor, which cannot be adopted meanwhile. What the
/// body owns is freed before a failure is recorded, also when the handle is refused.
#[inline(always)]
pub fn on<H: Opaque, A: Answer>(handle: *const H, body: impl FnOnce(Item<H::Of>) -> Result<A>) -> A::C {
    let word = Word::new(handle);
    border(word, H::Of::KIND, move || {
        let (item, _access) = handles::enter::<H::Of>(word)?;
        body(item)
    })
}

/// The usual case of a hot call, tried before [`on`] and outside of its panic boundary: what is done here calls nobody,
/// cannot panic, and so needs no stack frame. None: nothing was done, and `on` is to do it.
#[inline(always)]
pub fn quickly<H: Opaque, A: Answer>(handle: *const H, body: impl FnOnce(Item<H::Of>) -> Option<A>) -> Option<A::C> {
    let (item, _access) = handles::enter_quickly::<H::Of>(Word::new(handle))?;
    body(item).map(A::answer)
}

/// The same for a call that, when it works, ends the reactor or simulation itself: its segment is then nobody's, and
/// its next owner must not be marked as idle by the end of this access. `refused` may overrule a refused handle.
pub fn ending<H: Opaque>(
    handle: *const H,
    body: impl FnOnce(Item<H::Of>) -> Result,
    refused: impl FnOnce(Word, Status) -> Result,
) -> i32 {
    let word = Word::new(handle);
    border(word, H::Of::KIND, move || {
        let (item, access) = match handles::enter::<H::Of>(word) {
            Ok(entered) => entered,
            Err(why) => return refused(word, why),
        };
        body(item)?;
        std::mem::forget(access);
        Ok(())
    })
}

/// A call by any thread: the body gets the handle and the reactor that it belongs to.
#[inline(always)]
pub fn any_thread<H: Opaque, A: Answer>(handle: *const H, body: impl FnOnce(Word, Word) -> Result<A>) -> A::C {
    let word = Word::new(handle);
    border(word, H::Of::KIND, move || {
        let reactor = handles::check_any_thread(word, H::Of::KIND)?;
        // A reactor's segment holds one: another token there means that this one is over.
        if H::Of::KIND == Kind::Reactor && reactor != word {
            return Err(Status::ERR_STALE_HANDLE);
        }
        body(word, reactor)
    })
}

/// A call without a handle.
#[inline(always)]
pub fn alone<A: Answer>(body: impl FnOnce() -> Result<A>) -> A::C {
    border(Word::NULL, Kind::Reactor, body)
}

#[inline(always)]
fn border<A: Answer>(word: Word, kind: Kind, body: impl FnOnce() -> Result<A>) -> A::C {
    match panic::catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(answer)) => answer.answer(),
        Ok(Err(status)) => A::failed(failed(status)),
        Err(payload) => A::failed(panicked(word, kind, payload)),
    }
}

#[cold]
#[inline(never)]
fn failed(status: Status) -> Status {
    status::record(status);
    status
}

/// The reactor that the call was for refuses work from here on, if it is this thread's.
#[cold]
#[inline(never)]
fn panicked(word: Word, kind: Kind, payload: Box<dyn Any + Send>) -> Status {
    let text = text_of(payload);
    let reactor = handles::check_any_thread(word, kind).and_then(handles::get::<Reactor>);
    if let Ok(reactor) = reactor {
        // The log hook is the host's; the report itself must not fail the caller a second time.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| hooks::panicked(reactor, &text)));
    }
    failed(Status::ERR_PANIC.because(&text))
}

fn text_of(payload: Box<dyn Any + Send>) -> String {
    let place = PLACE.try_with(RefCell::take).unwrap_or_default();
    let said = match payload.downcast::<&'static str>() {
        Ok(text) => (*text).to_owned(),
        Err(payload) => match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(other) => {
                // Its drop is unknown, and might panic.
                std::mem::forget(other);
                "unknown panic".to_owned()
            }
        },
    };
    if place.is_empty() { said } else { format!("{place}: {said}") }
}

thread_local! {
    /// Where the library last panicked on this thread.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps the library's own panics off the standard error: a guest prints nothing, the log hook is told instead. Panics
/// of other code, in a process where that shares this Rust runtime, go to whatever hook there was.
pub fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| match info.location().filter(|place| is_ours(place.file())) {
            Some(place) => {
                let place = format!("{}:{}", place.file(), place.line());
                let _ = PLACE.try_with(|last| last.replace(place));
            }
            None => before(info),
        }));
    });
}

/// Whether a source file is one of this library's.
fn is_ours(file: &str) -> bool {
    let here = file!();
    file.starts_with(&here[..here.len() - "ffi/guard.rs".len()])
}
