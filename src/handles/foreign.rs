//! Words and functions of the host, as the core holds them: it copies them, compares them and calls them, nothing more.

use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A pointer-sized word of the host: user data, a value, or a handle. Never dereferenced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Word(*mut std::ffi::c_void);

// SAFETY: a word is only copied and compared here; what it means on another thread is the host's own affair.
unsafe impl Send for Word {}
// SAFETY: as above.
unsafe impl Sync for Word {}

impl Word {
    /// The null word.
    pub const NULL: Word = Word(ptr::null_mut());

    /// The word of a pointer of the host.
    #[inline(always)]
    pub fn new<T>(pointer: *const T) -> Word {
        Word(pointer.cast_mut().cast())
    }

    /// The word with this number.
    #[inline(always)]
    pub fn from_addr(addr: usize) -> Word {
        Word(ptr::without_provenance_mut(addr))
    }

    /// The word as a number.
    #[inline(always)]
    pub fn addr(self) -> usize {
        self.0.addr()
    }

    /// The word as the pointer that it was made from.
    #[inline(always)]
    pub fn pointer<T>(self) -> *mut T {
        self.0.cast()
    }

    /// Whether it is null.
    #[inline(always)]
    pub fn is_null(self) -> bool {
        self.0.is_null()
    }
}

impl Default for Word {
    fn default() -> Self {
        Word::NULL
    }
}

/// `lariat_call_fn`.
pub type CallFn = extern "C-unwind" fn(Word);
/// `lariat_free_fn`.
pub type FreeFn = extern "C-unwind" fn(Word);
/// `lariat_callback_fn` and `lariat_errback_fn`: Deferred, value or failure, user data.
pub type CallbackFn = extern "C-unwind" fn(Word, Word, Word) -> Word;
/// `lariat_both_fn`: Deferred, value, failure, user data.
pub type BothFn = extern "C-unwind" fn(Word, Word, Word, Word) -> Word;
/// `lariat_canceller_fn`: Deferred, user data.
pub type CancellerFn = extern "C-unwind" fn(Word, Word);
/// `lariat_trigger_fn`: user data; returns a Deferred or null.
pub type TriggerFn = extern "C-unwind" fn(Word) -> Word;
/// `lariat_looping_fn` and `lariat_job_fn`: handle, user data; returns a Deferred, or a value.
pub type HandleFn = extern "C-unwind" fn(Word, Word) -> Word;
/// `lariat_step_fn`: task, user data; returns a status.
pub type StepFn = extern "C-unwind" fn(Word, Word) -> i32;
/// `lariat_ready_fn`: watcher, readiness, user data.
pub type ReadyFn = extern "C-unwind" fn(Word, i32, Word);
/// `lariat_signal_fn`: watch, number, user data.
pub type SignalFn = extern "C-unwind" fn(Word, i32, Word);
/// `lariat_file_changed_fn`: watch, change, user data.
pub type FileChangedFn = extern "C-unwind" fn(Word, Word, Word);
/// `lariat_log_fn`: level, message, user data.
pub type LogFn = extern "C-unwind" fn(i32, Word, Word);
/// `lariat_slow_fn`: seconds, what, user data.
pub type SlowFn = extern "C-unwind" fn(f64, Word, Word);
/// `lariat_unhandled_fn`: failure, user data.
pub type UnhandledFn = extern "C-unwind" fn(Word, Word);

/// `lariat_connection_made_fn` and `lariat_half_closed_fn`: transport, self; `lariat_datagram_port_fn`: port, self.
pub type TransportFn = extern "C-unwind" fn(Word, Word);
/// `lariat_data_received_fn`: transport, data, length, self; `lariat_datagram_batch_fn`: port, datagrams, count, self.
pub type DataFn = extern "C-unwind" fn(Word, Word, usize, Word);
/// `lariat_connection_lost_fn` and `lariat_datagram_stopped_fn`: transport or port, reason, self.
pub type LostFn = extern "C-unwind" fn(Word, Word, Word);
/// `lariat_child_data_received_fn`: process, descriptor, data, length, self.
pub type ChildDataFn = extern "C-unwind" fn(Word, i32, Word, usize, Word);
/// `lariat_child_connection_lost_fn`: process, descriptor, reason, self.
pub type ChildLostFn = extern "C-unwind" fn(Word, i32, Word, Word);
/// `lariat_websocket_message_received_fn`: WebSocket, kind, data, length, self.
pub type MessageFn = extern "C-unwind" fn(Word, i32, Word, usize, Word);
/// `lariat_websocket_fragment_received_fn`: WebSocket, kind, data, length, whether it is the last, self.
pub type FragmentFn = extern "C-unwind" fn(Word, i32, Word, usize, i32, Word);
/// `lariat_websocket_closed_fn`: WebSocket, code, reason, failure, self.
pub type ClosedFn = extern "C-unwind" fn(Word, i32, Word, Word, Word);
/// `lariat_build_protocol_fn`: listener, transport, where self goes, user data; returns a status.
pub type BuildFn = extern "C-unwind" fn(Word, Word, &mut Word, Word) -> i32;
/// `lariat_attempt_failed_fn`: client, failure, seconds, user data.
pub type AttemptFailedFn = extern "C-unwind" fn(Word, Word, f64, Word);
/// `lariat_group_setup_fn`: reactor, index, user data; returns a status.
pub type GroupSetupFn = extern "C-unwind" fn(Word, u32, Word) -> i32;

/// `lariat_resolver_fn`: reactor, name, family, answer, user data; returns a Deferred or null.
pub type ResolverFn = extern "C-unwind" fn(Word, Word, i32, Word, Word) -> Word;
/// `lariat_datagram_received_fn`: port, data, length, peer, self.
pub type DatagramFn = extern "C-unwind" fn(Word, Word, usize, Word, Word);
/// `lariat_datagram_failed_fn`: port, reason, peer, self.
pub type DatagramFailedFn = extern "C-unwind" fn(Word, Word, Word, Word);

/// A word with the function that frees it: dropping it frees, exactly once.
#[derive(Debug)]
pub struct Owned {
    word: Word,
    free: Option<FreeFn>,
}

impl Owned {
    /// Takes over `word`; without a function there is nothing to free.
    pub fn new(word: Word, free: Option<FreeFn>) -> Self {
        Self { word, free }
    }

    /// The word, still owned by this.
    pub fn word(&self) -> Word {
        self.word
    }

    /// The function that frees it.
    pub fn free(&self) -> Option<FreeFn> {
        self.free
    }

    /// Word and function, no longer owned by this.
    pub fn into_parts(self) -> (Word, Option<FreeFn>) {
        let parts = (self.word, self.free);
        std::mem::forget(self);
        parts
    }
}

impl Default for Owned {
    fn default() -> Self {
        Self::new(Word::NULL, None)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(free) = self.free {
            free(self.word);
        }
    }
}

/// A word that threads share.
#[derive(Debug, Default)]
pub struct AtomicWord(AtomicPtr<std::ffi::c_void>);

impl AtomicWord {
    /// Reads it.
    #[inline(always)]
    pub fn load(&self, order: Ordering) -> Word {
        Word(self.0.load(order))
    }

    /// Writes it.
    #[inline(always)]
    pub fn store(&self, word: Word, order: Ordering) {
        self.0.store(word.0, order);
    }
}

/// Marks the function types that fit into a word.
///
/// # Safety
/// Implemented for function pointers alone.
pub unsafe trait Function: Copy {}

// SAFETY: both are this function pointer type.
unsafe impl Function for extern "C-unwind" fn(Word) {}

/// An optional function that threads share; relaxed, whoever needs an order gets it from another word.
#[derive(Debug)]
pub struct AtomicFn<F>(AtomicPtr<std::ffi::c_void>, PhantomData<F>);

impl<F: Function> AtomicFn<F> {
    /// Reads it.
    #[inline(always)]
    pub fn load(&self) -> Option<F> {
        let word = self.0.load(Ordering::Relaxed);
        // SAFETY: only `store` and `default` write the word, from an Option<F>, and F is a function pointer, so that
        // Option<F> is one pointer with null for None.
        unsafe { std::mem::transmute_copy::<*mut std::ffi::c_void, Option<F>>(&word) }
    }

    /// Writes it.
    #[inline(always)]
    pub fn store(&self, function: Option<F>) {
        // SAFETY: as in `load`.
        let word = unsafe { std::mem::transmute_copy::<Option<F>, *mut std::ffi::c_void>(&function) };
        self.0.store(word, Ordering::Relaxed);
    }
}

impl<F> Default for AtomicFn<F> {
    fn default() -> Self {
        Self(AtomicPtr::default(), PhantomData)
    }
}
