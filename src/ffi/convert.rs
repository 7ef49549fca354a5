//! What C hands over, as the core takes it, and the other way round.
//!
//! The functions that follow a pointer rely on what C alone can vouch for: that an array, an out-pointer or a string
//! that is given is what the header says. Everything else is checked.

use super::datagram::*;
use super::process_protocol::*;
use super::types::*;
use super::websocket_protocol::*;
use crate::deferred::failure::{self, Failure, Reason};
use crate::handles::{self, *};
use crate::reactor::ReactorItem;
use crate::status::{Result, Status};
use std::ffi::{CStr, c_char, c_void};
use std::mem::transmute;
use std::ptr::NonNull;

/// The refusal of an argument.
#[cold]
pub fn invalid(why: impl std::fmt::Display) -> Status {
    Status::ERR_INVALID_ARGUMENT.because(why)
}

#[cold]
fn is_null(name: &str) -> Status {
    invalid(format_args!("{name} is NULL"))
}

/// A function for each type of callback: the pointer that C gave, as the core calls it.
macro_rules! functions {
    ($($name:ident: $given:ty => $taken:ty;)*) => {$(
        #[inline(always)]
        pub fn $name(function: $given) -> Option<$taken> {
            // SAFETY: both are one function pointer of the C ABI, or null for None. They differ in pointer parameters
            // and returns alone, for which the core has a Word, transparent over a pointer: the ABI is the same.
            unsafe { transmute::<$given, Option<$taken>>(function) }
        }
    )*};
}

functions! {
    call_fn: lariat_call_fn => CallFn;
    free_fn: lariat_free_fn => FreeFn;
    callback_fn: lariat_callback_fn => CallbackFn;
    errback_fn: lariat_errback_fn => CallbackFn;
    both_fn: lariat_both_fn => BothFn;
    canceller_fn: lariat_canceller_fn => CancellerFn;
    trigger_fn: lariat_trigger_fn => TriggerFn;
    looping_fn: lariat_looping_fn => HandleFn;
    step_fn: lariat_step_fn => StepFn;
    ready_fn: lariat_ready_fn => ReadyFn;
    signal_fn: lariat_signal_fn => SignalFn;
    file_changed_fn: lariat_file_changed_fn => FileChangedFn;
    job_fn: lariat_job_fn => HandleFn;
    blocking_fn: lariat_blocking_fn => HandleFn;
    resolver_fn: lariat_resolver_fn => ResolverFn;
    log_fn: lariat_log_fn => LogFn;
    slow_fn: lariat_slow_fn => SlowFn;
    unhandled_fn: lariat_unhandled_fn => UnhandledFn;
    transport_fn: lariat_half_closed_fn => TransportFn;
    data_fn: lariat_data_received_fn => DataFn;
    lost_fn: lariat_connection_lost_fn => LostFn;
    build_fn: lariat_build_protocol_fn => BuildFn;
    datagram_port_fn: lariat_datagram_port_fn => TransportFn;
    datagram_received_fn: lariat_datagram_received_fn => DatagramFn;
    datagram_batch_fn: lariat_datagram_batch_fn => DataFn;
    datagram_failed_fn: lariat_datagram_failed_fn => DatagramFailedFn;
    datagram_stopped_fn: lariat_datagram_stopped_fn => LostFn;
    handshake_failed_fn: lariat_handshake_failed_fn => LostFn;
    attempt_failed_fn: lariat_attempt_failed_fn => AttemptFailedFn;
    process_fn: lariat_process_fn => TransportFn;
    child_data_fn: lariat_child_data_received_fn => ChildDataFn;
    child_lost_fn: lariat_child_connection_lost_fn => ChildLostFn;
    process_over_fn: lariat_process_over_fn => LostFn;
    group_setup_fn: lariat_group_setup_fn => GroupSetupFn;
    exchange_fn: lariat_http_exchange_fn => TransportFn;
    response_received_fn: lariat_http_response_received_fn => DataFn;
    response_ended_fn: lariat_http_response_ended_fn => LostFn;
    public_suffix_fn: lariat_public_suffix_fn => StepFn;
    http_handler_fn: lariat_http_handler_fn => HandleFn;
    http_body_received_fn: lariat_http_body_received_fn => DataFn;
    http_body_ended_fn: lariat_http_body_ended_fn => LostFn;
    http_producer_fn: lariat_http_producer_fn => TransportFn;
    http_access_fn: lariat_http_access_fn => TransportFn;
    websocket_fn: lariat_websocket_opened_fn => TransportFn;
    message_fn: lariat_websocket_message_received_fn => MessageFn;
    fragment_fn: lariat_websocket_fragment_received_fn => FragmentFn;
    pong_fn: lariat_websocket_pong_received_fn => DataFn;
    closed_fn: lariat_websocket_closed_fn => ClosedFn;
}

/// Refuses a function that is not there.
#[inline(always)]
pub fn required<F>(name: &str, function: Option<F>) -> Result<F> {
    function.ok_or_else(|| is_null(name))
}

/// User data, a value or a payload, owned from here on if it comes with a free function.
#[inline(always)]
pub fn owned(data: *mut c_void, free: lariat_free_fn) -> Owned {
    Owned::new(Word::new(data), free_fn(free))
}

/// User data that stays the host's.
#[inline(always)]
pub fn borrowed(data: *mut c_void) -> Owned {
    Owned::new(Word::new(data), None)
}

/// The tag of an event, where a call keeps its user data.
#[inline(always)]
pub fn tag(tag: u64) -> Owned {
    Owned::new(Word::from_addr(tag as usize), None)
}

const SECOND: f64 = 1e9;

/// A delay in nanoseconds, if it is from 0 to 1e9 seconds.
#[inline(always)]
pub fn some_delay(seconds: f64) -> Option<u64> {
    (0.0..=1e9).contains(&seconds).then(|| nanoseconds(seconds))
}

/// A delay in nanoseconds, from 0 to 1e9 seconds.
#[inline(always)]
pub fn delay(name: &str, seconds: f64) -> Result<u64> {
    some_delay(seconds).ok_or_else(|| bad_delay(name, seconds))
}

#[cold]
fn bad_delay(name: &str, seconds: f64) -> Status {
    invalid(format_args!("{name} is {seconds:?}; it must be from 0 to 1e9"))
}

/// A wait in nanoseconds; None for INFINITY, and for what nobody lives to see the end of.
#[inline(always)]
pub fn wait(name: &str, seconds: f64) -> Result<Option<u64>> {
    match seconds {
        // No arithmetic for those that never wait.
        0.0 => Ok(Some(0)),
        0.0..=1e9 => Ok(Some(nanoseconds(seconds))),
        1e9.. => Ok(None),
        _ => Err(invalid(format_args!("{name} is {seconds:?}; it must be 0 or more, or INFINITY"))),
    }
}

#[inline(always)]
fn nanoseconds(seconds: f64) -> u64 {
    debug_assert!((0.0..=1e9).contains(&seconds));
    // SAFETY: all callers have checked that it is from 0 to 1e9, so that it fits. By way of i64, which the processor
    // converts to in one step.
    unsafe { (seconds * SECOND + 0.5).to_int_unchecked::<i64>() as u64 }
}

/// A time or a duration in seconds.
pub fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / SECOND
}

/// Text that may be NULL; it lives as long as C keeps it, that is for the call.
pub fn text<'call>(name: &str, text: *const c_char) -> Result<Option<&'call str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: it is not NULL, so it points to a NUL-ended string, which C vouches for, and which lives for the call.
    let bytes = unsafe { CStr::from_ptr(text) };
    bytes.to_str().map(Some).map_err(|_| invalid(format_args!("{name} is not valid UTF-8")))
}

/// Text that need not be UTF-8, such as one that holds a path; it lives for the call.
pub fn bytes_text<'call>(name: &str, text: *const c_char) -> Result<&'call [u8]> {
    if text.is_null() {
        return Err(is_null(name));
    }
    // SAFETY: it is not NULL, so it points to a NUL-ended string, which C vouches for, and which lives for the call.
    Ok(unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// An array of C, which lives for the call; empty where its length is 0.
pub fn array<'call, T>(name: &str, array: *const T, length: usize) -> Result<&'call [T]> {
    check_array(name, array, length)?;
    if length == 0 {
        return Ok(&[]);
    }
    // SAFETY: it is not NULL, not longer than memory, and C vouches that it is as long as is said.
    Ok(unsafe { std::slice::from_raw_parts(array, length) })
}

/// Bytes of C, which live for the call.
#[inline(always)]
pub fn bytes<'call>(name: &str, data: *const u8, length: usize) -> Result<&'call [u8]> {
    array(name, data, length)
}

/// The same where they are sure to be right.
#[inline(always)]
pub fn bytes_quickly<'call>(data: *const u8, length: usize) -> Option<&'call [u8]> {
    if data.is_null() || length > isize::MAX as usize {
        return None;
    }
    // SAFETY: as in `array`.
    Some(unsafe { std::slice::from_raw_parts(data, length) })
}

/// Copies text to C, NUL-ended, and says how long it is.
pub fn write_text(name: &str, (text, capacity): (*mut c_char, usize), length: *mut usize, bytes: &[u8]) -> Result {
    check_array(name, text, capacity)?;
    write_if_given(length, bytes.len());
    if capacity != 0 {
        let fits = bytes.len().min(capacity - 1);
        for (place, byte) in bytes[..fits].iter().chain(&[0]).enumerate() {
            // SAFETY: `place` is below the capacity, so the text is not NULL and has room there: C vouches for it.
            unsafe { text.add(place).write(*byte as c_char) };
        }
    }
    if bytes.len() < capacity {
        return Ok(());
    }
    let why = format_args!("{name}: there is room for {capacity} bytes, and {} are needed", bytes.len() + 1);
    Err(Status::ERR_TOO_LONG.because(why))
}

/// Copies bytes to C, as many as there is room for, and says how many there are.
pub fn write_bytes(name: &str, (data, capacity): (*mut u8, usize), length: *mut usize, bytes: &[u8]) -> Result {
    check_array(name, data, capacity)?;
    write_if_given(length, bytes.len());
    let fits = bytes.len().min(capacity);
    for (place, byte) in bytes[..fits].iter().enumerate() {
        // SAFETY: `place` is below the capacity, so the array is not NULL and has room there: C vouches for it.
        unsafe { data.add(place).write(*byte) };
    }
    if fits == bytes.len() {
        return Ok(());
    }
    let why = format_args!("{name}: there is room for {capacity} bytes, and {} are needed", bytes.len());
    Err(Status::ERR_TOO_LONG.because(why))
}

/// A string of the system's own bytes, copied.
pub fn system_text(name: &str, text: *const c_char) -> Result<std::ffi::CString> {
    let bytes = bytes_text(name, text)?;
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len() + 1).map_err(|_| Status::ERR_NO_MEMORY)?;
    copy.extend_from_slice(bytes);
    std::ffi::CString::new(copy).map_err(|_| invalid(format_args!("{name} has a NUL inside")))
}

/// A list of strings of C that ends with NULL, copied; None if there is no list.
pub fn system_texts(name: &str, list: *const *const c_char) -> Result<Option<Vec<std::ffi::CString>>> {
    if list.is_null() {
        return Ok(None);
    }
    let mut texts = Vec::new();
    loop {
        // SAFETY: the list is not NULL, and C vouches that it ends with NULL, which was not reached yet.
        let text = unsafe { list.add(texts.len()).read() };
        if text.is_null() {
            return Ok(Some(texts));
        }
        texts.try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
        texts.push(system_text(name, text)?);
    }
}

/// Text that must be given.
pub fn required_text<'call>(name: &str, given: *const c_char) -> Result<&'call str> {
    text(name, given)?.ok_or_else(|| is_null(name))
}

/// 0 or 1.
pub fn switch(name: &str, on: i32) -> Result<bool> {
    match on {
        0 | 1 => Ok(on == 1),
        _ => Err(invalid(format_args!("{name} is {on}; it is 0 or 1"))),
    }
}

/// A number within limits.
pub fn within(name: &str, number: i64, (least, most): (i64, i64)) -> Result<i64> {
    match number {
        number if (least..=most).contains(&number) => Ok(number),
        _ => Err(invalid(format_args!("{name} is {number}; it must be from {least} to {most}"))),
    }
}

/// What a failure is to say; 0 is no failure's code.
pub fn reason(code: i32, os_error: i32, message: Option<&str>) -> Result<Reason<'_>> {
    if code == 0 { Err(invalid("code is 0, which is no failure's")) } else { Ok(Reason { code, os_error, message }) }
}

/// A failure for a thing of this reactor, held once more for that.
pub fn held(reactor: ReactorItem, failure: Word) -> Result<Word> {
    match handles::get::<Failure>(failure)? {
        item if item.root() != reactor => Err(Status::ERR_WRONG_REACTOR),
        _ => Ok(failure::keep(failure)),
    }
}

/// Where a result goes.
pub struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// Puts the result there.
    pub fn write(self, value: T) {
        // SAFETY: an out-pointer that is not NULL has room for its type: C vouches for it.
        unsafe { self.0.write(value) };
    }
}

/// An out-pointer that must be given.
pub fn out<T>(name: &str, pointer: *mut T) -> Result<Out<T>> {
    NonNull::new(pointer).map(Out).ok_or_else(|| is_null(name))
}

/// An out-pointer that may be NULL: then nothing is written.
pub fn write_if_given<T>(pointer: *mut T, value: T) {
    if let Some(place) = NonNull::new(pointer) {
        Out(place).write(value);
    }
}

/// Refuses an array that is not there, or longer than memory can be.
pub fn check_array<T>(name: &str, array: *const T, length: usize) -> Result {
    if length > isize::MAX as usize / size_of::<T>() {
        return Err(invalid(format_args!("{name}: a length of {length} is past the address space")));
    }
    if array.is_null() && length != 0 { Err(is_null(name)) } else { Ok(()) }
}

/// The handles in an array of C.
pub fn handle_array<H>(name: &str, array: *const *mut H, count: usize) -> Result<Vec<Word>> {
    check_array(name, array, count)?;
    let mut words = Vec::new();
    words.try_reserve(count).map_err(|_| Status::ERR_NO_MEMORY)?;
    for place in 0..count {
        // SAFETY: `place` is below the count, so the array is not NULL and has a handle there: C vouches for it.
        words.push(Word::new(unsafe { array.add(place).read() }));
    }
    Ok(words)
}

/// Copies handles into an array of C, as many as there is room for, and says how many there are.
pub fn write_handles<H>(
    name: &str,
    (array, capacity): (*mut *mut H, usize),
    count: *mut usize,
    handles: impl FnOnce() -> Vec<Word>,
) -> Result {
    check_array(name, array, capacity)?;
    let count = out("count", count)?;
    let handles = handles();
    for (place, handle) in handles.iter().take(capacity).enumerate() {
        // SAFETY: `place` is below the capacity, so the array is not NULL and has room there: C vouches for it.
        unsafe { array.add(place).write(handle.pointer()) };
    }
    count.write(handles.len());
    Ok(())
}
