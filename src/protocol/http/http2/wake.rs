//! Wakers that note who is to be looked at. h2 wants them fit for any thread; here only one ever has them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// Who was woken since it was last looked.
#[derive(Default)]
pub struct Woken {
    connection: AtomicBool,
    streams: Mutex<Vec<u32>>,
}

impl Woken {
    pub fn take_connection(&self) -> bool {
        self.connection.swap(false, Ordering::Relaxed)
    }

    /// Moves the streams that were woken to `ready`.
    pub fn take_streams(&self, ready: &mut impl Extend<u32>) {
        ready.extend(self.streams.lock().unwrap_or_else(PoisonError::into_inner).drain(..));
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.connection.store(true, Ordering::Relaxed);
    }
}

struct OfStream {
    stream: u32,
    woken: Arc<Woken>,
}

impl Wake for OfStream {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.streams.lock().unwrap_or_else(PoisonError::into_inner).push(self.stream);
    }
}

/// The waker of a stream.
pub fn of_stream(stream: u32, woken: &Arc<Woken>) -> Waker {
    Waker::from(Arc::new(OfStream { stream, woken: Arc::clone(woken) }))
}
