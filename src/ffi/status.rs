//! Status codes, and the thread's last failure.

use super::guard::{self, Text};
use crate::handles::Word;
use crate::status::{self, Status};
use std::ffi::c_char;

/// What a call answers: 0 is LARIAT_OK, negative an error, positive information. The same on every operating system.
///
/// A call with a handle may answer, first of all and in this order: LARIAT_ERR_INVALID_ARGUMENT (the handle is NULL),
/// LARIAT_ERR_INVALID_HANDLE (not a handle), LARIAT_ERR_FORKED, LARIAT_ERR_PANIC, LARIAT_ERR_WRONG_THREAD,
/// LARIAT_ERR_INVALID_HANDLE (of another kind), LARIAT_ERR_STALE_HANDLE. A call that makes or keeps something may
/// answer LARIAT_ERR_NO_MEMORY, and LARIAT_ERR_CLOSED while its reactor is being freed; one with other arguments
/// answers LARIAT_ERR_INVALID_ARGUMENT when one of them is not what its comment asks for, before anything is kept or
/// done. The comments below list only what comes beside these.
///
/// A call that returns a handle or a pointer returns NULL when it fails, one that returns seconds a NaN;
/// lariat_last_error then tells the status.
pub type lariat_status = i32;

/// It worked.
pub const LARIAT_OK: i32 = 0;
/// There is more to do: the budget of a frame ran out with work left; from a step function: call me again.
pub const LARIAT_MORE: i32 = 1;
/// The reactor has stopped, its shutdown triggers are done.
pub const LARIAT_STOPPED: i32 = 2;
/// No event is waiting.
pub const LARIAT_EMPTY: i32 = 3;
/// An argument is not what it must be; the message names it.
pub const LARIAT_ERR_INVALID_ARGUMENT: i32 = -1;
/// The handle is not one, or names a thing of another kind.
pub const LARIAT_ERR_INVALID_HANDLE: i32 = -2;
/// What the handle named is over: freed, fired and released, made, stopped.
pub const LARIAT_ERR_STALE_HANDLE: i32 = -3;
/// The handle belongs to a reactor of another thread.
pub const LARIAT_ERR_WRONG_THREAD: i32 = -4;
/// Two handles belong to different reactors.
pub const LARIAT_ERR_WRONG_REACTOR: i32 = -5;
/// The handle was made before the process forked: it is the parent's.
pub const LARIAT_ERR_FORKED: i32 = -6;
/// It cannot be done now, or not with this reactor.
pub const LARIAT_ERR_INVALID_STATE: i32 = -7;
/// The reactor is running further up the stack: run inside run, iterate inside a callback.
pub const LARIAT_ERR_REENTRANT: i32 = -8;
/// It cannot be ended, or moved, while a callback of its own is running.
pub const LARIAT_ERR_BUSY: i32 = -9;
/// The reactor, lock, queue or the like is being freed, or was.
pub const LARIAT_ERR_CLOSED: i32 = -10;
/// There is not enough memory. Nothing was changed.
pub const LARIAT_ERR_NO_MEMORY: i32 = -11;
/// Not on this platform, or not with this driver.
pub const LARIAT_ERR_NOT_SUPPORTED: i32 = -12;
/// The library failed inside, which is a bug in it; the reactor refuses all work but lariat_reactor_free.
pub const LARIAT_ERR_PANIC: i32 = -13;
/// The operating system refused; the message, and lariat_failure_os_error, say why.
pub const LARIAT_ERR_OS: i32 = -14;
/// The Deferred has fired; the delayed call has been made.
pub const LARIAT_ERR_ALREADY_CALLED: i32 = -15;
/// The delayed call was cancelled.
pub const LARIAT_ERR_ALREADY_CANCELLED: i32 = -16;
/// The Deferred was cancelled.
pub const LARIAT_ERR_CANCELLED: i32 = -17;
/// The worker of the Deferred gave it up.
pub const LARIAT_ERR_ABANDONED: i32 = -18;
/// The waiter of the Deferred has released it.
pub const LARIAT_ERR_RELEASED: i32 = -19;
/// The Deferred was handed over to another waiter.
pub const LARIAT_ERR_ALREADY_WAITED: i32 = -20;
/// A Deferred would wait for itself.
pub const LARIAT_ERR_CYCLE: i32 = -21;
/// It took too long.
pub const LARIAT_ERR_TIMED_OUT: i32 = -22;
/// Every Deferred of a race failed; lariat_failure_results tells why.
pub const LARIAT_ERR_ALL_FAILED: i32 = -23;
/// The reactor is not running, or was told to stop already.
pub const LARIAT_ERR_NOT_RUNNING: i32 = -24;
/// The queue holds as many values as it may.
pub const LARIAT_ERR_QUEUE_OVERFLOW: i32 = -25;
/// As many Deferreds wait for the queue as may.
pub const LARIAT_ERR_QUEUE_UNDERFLOW: i32 = -26;
/// The descriptor is watched already.
pub const LARIAT_ERR_ALREADY_WATCHED: i32 = -27;
/// Nothing can ever happen again in the simulation.
pub const LARIAT_ERR_DEADLOCK: i32 = -28;
/// The Deferred has no result yet.
pub const LARIAT_ERR_NOT_CALLED: i32 = -29;
/// A limit set by the options was reached.
pub const LARIAT_ERR_LIMIT: i32 = -30;
/// The connection was closed cleanly: the reason of an end, no error.
pub const LARIAT_CONNECTION_DONE: i32 = -31;
/// The connection was lost: reset by the peer, or failed.
pub const LARIAT_ERR_CONNECTION_LOST: i32 = -32;
/// The connection was ended by lariat_transport_abort_connection.
pub const LARIAT_ERR_CONNECTION_ABORTED: i32 = -33;
/// Nobody takes connections there, or this one was not wanted.
pub const LARIAT_ERR_CONNECTION_REFUSED: i32 = -34;
/// No connection could be made; the message says what each address answered.
pub const LARIAT_ERR_CONNECT_FAILED: i32 = -35;
/// There is no way to the host or network.
pub const LARIAT_ERR_UNREACHABLE: i32 = -36;
/// Somebody else has the address.
pub const LARIAT_ERR_ADDRESS_IN_USE: i32 = -37;
/// The address is not one of this host's.
pub const LARIAT_ERR_ADDRESS_NOT_AVAILABLE: i32 = -38;
/// The operating system does not allow it.
pub const LARIAT_ERR_PERMISSION_DENIED: i32 = -39;
/// The name has no address.
pub const LARIAT_ERR_NAME_NOT_FOUND: i32 = -40;
/// The name could not be looked up; it may be another time.
pub const LARIAT_ERR_LOOKUP_FAILED: i32 = -41;
/// The endpoint is not one; the message shows the place.
pub const LARIAT_ERR_BAD_ENDPOINT: i32 = -42;
/// As much waits to be written as may.
pub const LARIAT_ERR_BUFFER_FULL: i32 = -43;
/// It is longer than it may be.
pub const LARIAT_ERR_TOO_LONG: i32 = -44;
/// It was cut short.
pub const LARIAT_ERR_TRUNCATED: i32 = -45;
/// What came breaks the rules of the framing.
pub const LARIAT_ERR_BAD_FRAME: i32 = -46;
/// The connection has a producer already.
pub const LARIAT_ERR_ALREADY_REGISTERED: i32 = -47;
/// The process, or the system, has as many descriptors as it may.
pub const LARIAT_ERR_TOO_MANY_DESCRIPTORS: i32 = -48;
/// There is no such file, program or directory; the message names it.
pub const LARIAT_ERR_NOT_FOUND: i32 = -49;
/// There is a file or directory of that name already.
pub const LARIAT_ERR_ALREADY_EXISTS: i32 = -50;
/// It is no directory, where one is needed.
pub const LARIAT_ERR_NOT_A_DIRECTORY: i32 = -51;
/// It is a directory, a named pipe or the like, where a file is needed.
pub const LARIAT_ERR_NOT_A_FILE: i32 = -52;
/// The directory is not empty.
pub const LARIAT_ERR_NOT_EMPTY: i32 = -53;
/// The disk, or the user's share of it, is full.
pub const LARIAT_ERR_NO_SPACE: i32 = -54;
/// The reason of a process that has ended with code 0.
pub const LARIAT_PROCESS_DONE: i32 = -55;
/// A process has ended with another code, or by a signal: see lariat_failure_exit_code and lariat_failure_exit_signal.
pub const LARIAT_ERR_PROCESS_TERMINATED: i32 = -56;
/// A process has ended, and how is not known: somebody else has waited for it.
pub const LARIAT_ERR_STATUS_UNKNOWN: i32 = -57;
/// TLS failed: the peer broke its rules, or has no version or cipher suite in common with this side; the message says what.
pub const LARIAT_ERR_TLS: i32 = -60;
/// The peer has ended TLS with an alert, which the message names.
pub const LARIAT_ERR_TLS_ALERT: i32 = -61;
/// The peer's certificate has expired, or is not valid yet; the message says when.
pub const LARIAT_ERR_CERTIFICATE_EXPIRED: i32 = -62;
/// The peer's certificate is for other names than the one that was connected to; the message says which.
pub const LARIAT_ERR_CERTIFICATE_NAME: i32 = -63;
/// The peer's certificate is issued by nobody that is trusted.
pub const LARIAT_ERR_CERTIFICATE_ISSUER: i32 = -64;
/// The peer's certificate is not valid for another reason: its signature, its purpose, its form.
pub const LARIAT_ERR_CERTIFICATE_INVALID: i32 = -65;
/// Neither the peer's certificate nor its public key is pinned; the message has both.
pub const LARIAT_ERR_CERTIFICATE_PIN: i32 = -66;
/// The peer has shown no certificate, which is required.
pub const LARIAT_ERR_CERTIFICATE_MISSING: i32 = -67;
/// There is no protocol above TLS that both sides speak (ALPN).
pub const LARIAT_ERR_ALPN: i32 = -68;
/// A certificate or private key of a configuration cannot be used; the message names the file and says why.
pub const LARIAT_ERR_BAD_CERTIFICATE: i32 = -69;
/// What came from a peer is not a message of the protocol that is spoken.
pub const LARIAT_ERR_BAD_MESSAGE: i32 = -70;
/// A request is redirected, and may not be: to where, or why not, is in the message.
pub const LARIAT_ERR_REDIRECT: i32 = -71;
/// The peer, or a rule that it broke, has ended the stream of HTTP/2.
pub const LARIAT_ERR_STREAM_RESET: i32 = -85;
/// The other side does not agree to a WebSocket: what it has sent is no handshake, or it refuses; the message says which.
pub const LARIAT_ERR_WEBSOCKET_HANDSHAKE: i32 = -80;

/// The constants are literals for cbindgen's sake; here they are held to the core's.
macro_rules! same_as_in_core {
    ($($constant:ident $status:ident;)*) => { $(const _: () = assert!($constant == Status::$status.0);)* };
}

same_as_in_core! {
    LARIAT_OK OK;
    LARIAT_MORE MORE;
    LARIAT_STOPPED STOPPED;
    LARIAT_EMPTY EMPTY;
    LARIAT_ERR_INVALID_ARGUMENT ERR_INVALID_ARGUMENT;
    LARIAT_ERR_INVALID_HANDLE ERR_INVALID_HANDLE;
    LARIAT_ERR_STALE_HANDLE ERR_STALE_HANDLE;
    LARIAT_ERR_WRONG_THREAD ERR_WRONG_THREAD;
    LARIAT_ERR_WRONG_REACTOR ERR_WRONG_REACTOR;
    LARIAT_ERR_FORKED ERR_FORKED;
    LARIAT_ERR_INVALID_STATE ERR_INVALID_STATE;
    LARIAT_ERR_REENTRANT ERR_REENTRANT;
    LARIAT_ERR_BUSY ERR_BUSY;
    LARIAT_ERR_CLOSED ERR_CLOSED;
    LARIAT_ERR_NO_MEMORY ERR_NO_MEMORY;
    LARIAT_ERR_NOT_SUPPORTED ERR_NOT_SUPPORTED;
    LARIAT_ERR_PANIC ERR_PANIC;
    LARIAT_ERR_OS ERR_OS;
    LARIAT_ERR_ALREADY_CALLED ERR_ALREADY_CALLED;
    LARIAT_ERR_ALREADY_CANCELLED ERR_ALREADY_CANCELLED;
    LARIAT_ERR_CANCELLED ERR_CANCELLED;
    LARIAT_ERR_ABANDONED ERR_ABANDONED;
    LARIAT_ERR_RELEASED ERR_RELEASED;
    LARIAT_ERR_ALREADY_WAITED ERR_ALREADY_WAITED;
    LARIAT_ERR_CYCLE ERR_CYCLE;
    LARIAT_ERR_TIMED_OUT ERR_TIMED_OUT;
    LARIAT_ERR_ALL_FAILED ERR_ALL_FAILED;
    LARIAT_ERR_NOT_RUNNING ERR_NOT_RUNNING;
    LARIAT_ERR_QUEUE_OVERFLOW ERR_QUEUE_OVERFLOW;
    LARIAT_ERR_QUEUE_UNDERFLOW ERR_QUEUE_UNDERFLOW;
    LARIAT_ERR_ALREADY_WATCHED ERR_ALREADY_WATCHED;
    LARIAT_ERR_DEADLOCK ERR_DEADLOCK;
    LARIAT_ERR_NOT_CALLED ERR_NOT_CALLED;
    LARIAT_ERR_LIMIT ERR_LIMIT;
    LARIAT_CONNECTION_DONE CONNECTION_DONE;
    LARIAT_ERR_CONNECTION_LOST ERR_CONNECTION_LOST;
    LARIAT_ERR_CONNECTION_ABORTED ERR_CONNECTION_ABORTED;
    LARIAT_ERR_CONNECTION_REFUSED ERR_CONNECTION_REFUSED;
    LARIAT_ERR_CONNECT_FAILED ERR_CONNECT_FAILED;
    LARIAT_ERR_UNREACHABLE ERR_UNREACHABLE;
    LARIAT_ERR_ADDRESS_IN_USE ERR_ADDRESS_IN_USE;
    LARIAT_ERR_ADDRESS_NOT_AVAILABLE ERR_ADDRESS_NOT_AVAILABLE;
    LARIAT_ERR_PERMISSION_DENIED ERR_PERMISSION_DENIED;
    LARIAT_ERR_NAME_NOT_FOUND ERR_NAME_NOT_FOUND;
    LARIAT_ERR_LOOKUP_FAILED ERR_LOOKUP_FAILED;
    LARIAT_ERR_BAD_ENDPOINT ERR_BAD_ENDPOINT;
    LARIAT_ERR_BUFFER_FULL ERR_BUFFER_FULL;
    LARIAT_ERR_TOO_LONG ERR_TOO_LONG;
    LARIAT_ERR_TRUNCATED ERR_TRUNCATED;
    LARIAT_ERR_BAD_FRAME ERR_BAD_FRAME;
    LARIAT_ERR_ALREADY_REGISTERED ERR_ALREADY_REGISTERED;
    LARIAT_ERR_TOO_MANY_DESCRIPTORS ERR_TOO_MANY_DESCRIPTORS;
    LARIAT_ERR_NOT_FOUND ERR_NOT_FOUND;
    LARIAT_ERR_ALREADY_EXISTS ERR_ALREADY_EXISTS;
    LARIAT_ERR_NOT_A_DIRECTORY ERR_NOT_A_DIRECTORY;
    LARIAT_ERR_NOT_A_FILE ERR_NOT_A_FILE;
    LARIAT_ERR_NOT_EMPTY ERR_NOT_EMPTY;
    LARIAT_ERR_NO_SPACE ERR_NO_SPACE;
    LARIAT_PROCESS_DONE PROCESS_DONE;
    LARIAT_ERR_PROCESS_TERMINATED ERR_PROCESS_TERMINATED;
    LARIAT_ERR_STATUS_UNKNOWN ERR_STATUS_UNKNOWN;
    LARIAT_ERR_TLS ERR_TLS;
    LARIAT_ERR_TLS_ALERT ERR_TLS_ALERT;
    LARIAT_ERR_CERTIFICATE_EXPIRED ERR_CERTIFICATE_EXPIRED;
    LARIAT_ERR_CERTIFICATE_NAME ERR_CERTIFICATE_NAME;
    LARIAT_ERR_CERTIFICATE_ISSUER ERR_CERTIFICATE_ISSUER;
    LARIAT_ERR_CERTIFICATE_INVALID ERR_CERTIFICATE_INVALID;
    LARIAT_ERR_CERTIFICATE_PIN ERR_CERTIFICATE_PIN;
    LARIAT_ERR_CERTIFICATE_MISSING ERR_CERTIFICATE_MISSING;
    LARIAT_ERR_ALPN ERR_ALPN;
    LARIAT_ERR_BAD_CERTIFICATE ERR_BAD_CERTIFICATE;
    LARIAT_ERR_BAD_MESSAGE ERR_BAD_MESSAGE;
    LARIAT_ERR_REDIRECT ERR_REDIRECT;
    LARIAT_ERR_STREAM_RESET ERR_STREAM_RESET;
    LARIAT_ERR_WEBSOCKET_HANDSHAKE ERR_WEBSOCKET_HANDSHAKE;
}

/// Tells the status of this thread's last failed call. A call that works leaves it alone.
///
/// returns  a negative status; LARIAT_OK if no call of this thread has failed yet.
/// thread   any; each has its own.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_last_error() -> lariat_status {
    guard::alone(|| Ok(status::last()))
}

/// Tells in words why this thread's last failed call failed: which argument, which descriptor, what the system said.
///
/// returns  text, never NULL; valid until the thread's next failing call.
/// thread   any; each has its own.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_last_error_message() -> *const c_char {
    guard::alone(|| Ok(Text(status::with_last_message(|message| Word::new(message.as_ptr())))))
}

/// Tells the name of a status.
///
/// status   any number.
/// returns  such as "LARIAT_ERR_CLOSED"; for a number that is no status, words that say so. Never NULL, valid for
///          ever.
/// thread   any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_status_name(status: lariat_status) -> *const c_char {
    guard::alone(|| Ok(Text::from(Status(status).name())))
}

/// Tells what a status means, in a sentence.
///
/// status   any number.
/// returns  text; never NULL, valid for ever.
/// thread   any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_status_message(status: lariat_status) -> *const c_char {
    guard::alone(|| Ok(Text::from(Status(status).text())))
}
