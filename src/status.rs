//! Status codes, and the last failure of each thread.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString};
use std::fmt;

/// What a call answers: 0 it worked, negative an error, positive information.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Status(pub i32);

/// What most functions of the library return.
pub type Result<T = ()> = std::result::Result<T, Status>;

macro_rules! statuses {
    ($($name:ident = $code:literal, $text:literal;)*) => {
        impl Status {
            $(#[doc = $text] pub const $name: Status = Status($code);)*

            /// The constant's name in C.
            pub fn name(self) -> &'static CStr {
                match self.0 {
                    $($code => {
                        const NAME: &CStr = match CStr::from_bytes_with_nul(concat!("LARIAT_", stringify!($name), "\0").as_bytes()) {
                            Ok(name) => name,
                            Err(_) => panic!(),
                        };
                        NAME
                    })*
                    code if code > 0 => c"positive: the program's own",
                    _ => c"unknown status",
                }
            }

            /// What it means, in a sentence.
            pub fn text(self) -> &'static CStr {
                match self.0 {
                    $($code => {
                        const TEXT: &CStr = match CStr::from_bytes_with_nul(concat!($text, "\0").as_bytes()) {
                            Ok(text) => text,
                            Err(_) => panic!(),
                        };
                        TEXT
                    })*
                    code if code > 0 => c"a code of the program's own",
                    _ => c"unknown status",
                }
            }
        }
    };
}

statuses! {
    OK = 0, "it worked";
    MORE = 1, "there is more to do";
    STOPPED = 2, "the reactor has stopped";
    EMPTY = 3, "nothing is waiting";
    ERR_INVALID_ARGUMENT = -1, "an argument is not valid";
    ERR_INVALID_HANDLE = -2, "the handle is not one, or is of another kind";
    ERR_STALE_HANDLE = -3, "what the handle named is over";
    ERR_WRONG_THREAD = -4, "the handle belongs to another thread";
    ERR_WRONG_REACTOR = -5, "the handles belong to different reactors";
    ERR_FORKED = -6, "the handle was made before the process forked";
    ERR_INVALID_STATE = -7, "this cannot be done now";
    ERR_REENTRANT = -8, "the reactor is already running further up the stack";
    ERR_BUSY = -9, "it cannot be ended from inside its own callback";
    ERR_CLOSED = -10, "it is being freed, or was";
    ERR_NO_MEMORY = -11, "there is not enough memory";
    ERR_NOT_SUPPORTED = -12, "not supported here";
    ERR_PANIC = -13, "the library failed inside; the reactor refuses further work";
    ERR_OS = -14, "the operating system refused";
    ERR_ALREADY_CALLED = -15, "it has already been called";
    ERR_ALREADY_CANCELLED = -16, "it has already been cancelled";
    ERR_CANCELLED = -17, "cancelled";
    ERR_ABANDONED = -18, "abandoned by its worker before it fired";
    ERR_RELEASED = -19, "the waiter has released it";
    ERR_ALREADY_WAITED = -20, "something else already waits for it";
    ERR_CYCLE = -21, "it would wait for itself";
    ERR_TIMED_OUT = -22, "timed out";
    ERR_ALL_FAILED = -23, "all of them failed";
    ERR_NOT_RUNNING = -24, "the reactor is not running";
    ERR_QUEUE_OVERFLOW = -25, "the queue is full";
    ERR_QUEUE_UNDERFLOW = -26, "too many already wait for the queue";
    ERR_ALREADY_WATCHED = -27, "the descriptor is watched already";
    ERR_DEADLOCK = -28, "nothing can ever happen again in the simulation";
    ERR_NOT_CALLED = -29, "it has no result yet";
    ERR_LIMIT = -30, "a configured limit was reached";
    CONNECTION_DONE = -31, "the connection was closed cleanly";
    ERR_CONNECTION_LOST = -32, "the connection was lost";
    ERR_CONNECTION_ABORTED = -33, "the connection was aborted";
    ERR_CONNECTION_REFUSED = -34, "the connection was refused";
    ERR_CONNECT_FAILED = -35, "no connection could be made";
    ERR_UNREACHABLE = -36, "the host or network cannot be reached";
    ERR_ADDRESS_IN_USE = -37, "the address is in use";
    ERR_ADDRESS_NOT_AVAILABLE = -38, "the address is not one of this host";
    ERR_PERMISSION_DENIED = -39, "permission denied";
    ERR_NAME_NOT_FOUND = -40, "the name has no address";
    ERR_LOOKUP_FAILED = -41, "the name could not be looked up";
    ERR_BAD_ENDPOINT = -42, "the endpoint is not one";
    ERR_BUFFER_FULL = -43, "the buffer is full";
    ERR_TOO_LONG = -44, "it is too long";
    ERR_TRUNCATED = -45, "it was cut short";
    ERR_BAD_FRAME = -46, "what came breaks the framing";
    ERR_ALREADY_REGISTERED = -47, "a producer is registered already";
    ERR_TOO_MANY_DESCRIPTORS = -48, "no more descriptors can be opened";
    ERR_NOT_FOUND = -49, "there is no such file or directory";
    ERR_ALREADY_EXISTS = -50, "there is one already";
    ERR_NOT_A_DIRECTORY = -51, "it is no directory";
    ERR_NOT_A_FILE = -52, "it is a directory, or another thing that is no file";
    ERR_NOT_EMPTY = -53, "the directory is not empty";
    ERR_NO_SPACE = -54, "there is no space left";
    PROCESS_DONE = -55, "the process has ended well";
    ERR_PROCESS_TERMINATED = -56, "the process has failed, or was killed";
    ERR_STATUS_UNKNOWN = -57, "somebody else has waited for the process";
    ERR_TLS = -60, "TLS failed";
    ERR_TLS_ALERT = -61, "the peer has ended TLS";
    ERR_CERTIFICATE_EXPIRED = -62, "the peer's certificate has expired, or is not valid yet";
    ERR_CERTIFICATE_NAME = -63, "the peer's certificate is for another name";
    ERR_CERTIFICATE_ISSUER = -64, "the peer's certificate is issued by nobody that is trusted";
    ERR_CERTIFICATE_INVALID = -65, "the peer's certificate is not valid";
    ERR_CERTIFICATE_PIN = -66, "the peer's certificate is not the pinned one";
    ERR_CERTIFICATE_MISSING = -67, "the peer has shown no certificate";
    ERR_ALPN = -68, "there is no protocol that both sides speak";
    ERR_BAD_CERTIFICATE = -69, "a certificate or private key cannot be used";
    ERR_BAD_MESSAGE = -70, "what came is not a message that it could be";
    ERR_REDIRECT = -71, "a redirect that is not to be followed";
    ERR_STREAM_RESET = -85, "the stream of HTTP/2 was reset";
    ERR_WEBSOCKET_HANDSHAKE = -80, "the other side does not agree to a WebSocket";
}

impl Status {
    /// Negative codes are errors.
    pub fn is_error(self) -> bool {
        self.0 < 0
    }

    /// This status, with words of its own for `lariat_last_error_message`.
    #[cold]
    pub fn because(self, detail: impl fmt::Display) -> Status {
        let text = detail.to_string();
        let _ = LAST.try_with(|last| last.detail.set(Some((self, text))));
        self
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name().to_string_lossy())
    }
}

struct Last {
    /// Words that the place of the failure left; taken when the call returns with that status.
    detail: Cell<Option<(Status, String)>>,
    status: Cell<Status>,
    /// None: the status's own text.
    message: RefCell<Option<CString>>,
}

thread_local! {
    static LAST: Last = const { Last { detail: Cell::new(None), status: Cell::new(Status::OK), message: RefCell::new(None) } };
}

/// Makes `status` this thread's last failure, with the words left by [`Status::because`] if they were about it.
#[cold]
pub fn record(status: Status) {
    let _ = LAST.try_with(|last| {
        let detail = last.detail.take().filter(|(of, _)| *of == status).map(|(_, text)| text);
        last.status.set(status);
        *last.message.borrow_mut() = detail.map(text_for_c);
    });
}

/// Forgets words left by a failure that did not become a call's answer.
pub fn detail_of(status: Status) -> Option<String> {
    LAST.try_with(|last| last.detail.take()).ok().flatten().filter(|(of, _)| *of == status).map(|(_, text)| text)
}

/// This thread's last failure.
pub fn last() -> Status {
    LAST.try_with(|last| last.status.get()).unwrap_or(Status::OK)
}

/// This thread's last failure's words, if they say more than its status.
pub fn last_message() -> Option<String> {
    let copy = |last: &Last| last.message.borrow().as_deref().map(|text| text.to_string_lossy().into_owned());
    LAST.try_with(copy).ok().flatten()
}

/// Calls `read` with the last failure's words; they stay in place until the thread's next failure.
pub fn with_last_message<R>(read: impl FnOnce(&CStr) -> R) -> R {
    let mut read = Some(read);
    let done = LAST.try_with(|last| {
        let message = last.message.borrow();
        let text = message.as_deref().unwrap_or(last.status.get().text());
        read.take().map(|read| read(text))
    });
    match (done, read) {
        (Ok(Some(result)), _) => result,
        (_, Some(read)) => read(c""),
        _ => unreachable!("read was called or is still there"),
    }
}

/// Text as C can carry it: without interior NULs.
pub fn text_for_c(text: String) -> CString {
    CString::new(text).unwrap_or_else(|error| {
        let bytes = error.into_vec().into_iter().filter(|byte| *byte != 0).collect::<Vec<u8>>();
        CString::new(bytes).unwrap_or_default()
    })
}
