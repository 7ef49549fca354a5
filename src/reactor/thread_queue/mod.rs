//! Calls from threads: how any thread hands calls to a reactor.
//!
//! Each thread has a ring of its own to each reactor that it posts to, made at its first post, so that threads never
//! contend and each keeps its order. Beside the rings stands one word, the reactor's state, and one rule: the poster
//! pushes, then reads the state; the reactor takes POSTED back, then looks into the rings; each with a full fence in
//! between, so at least one of the two sees the other. Posts are many and sleeps are few, so where the system can put a
//! fence into all threads of the process the reactor has it put there, and a post needs none of its own. Hence
//!
//! - a poster that finds POSTED has nothing to do: the reactor looks into the rings at every turn, and once more after
//!   it has taken POSTED back, which it does only when it found nothing. In a burst the word is thus only read, by all.
//! - a poster that finds anything else changes it, and so learns what it is now: if SLEEPING, it wakes the reactor;
//! - a poster that missed CLOSED was seen by the last drain. One that finds CLOSED may have been seen or not, and
//!   learns it from what the reactor noted in the ring, under the lock that it held meanwhile.
//!
//! `post.rs` is the threads' side, `drain.rs` the reactor's, `ring.rs` what lies between.

mod drain;
#[cfg(all(loom, test))]
mod loom_models;
mod post;
mod ring;
#[cfg(all(test, not(loom)))]
mod tests;

pub use drain::{Consumer, Rest};
pub use post::{Postable, Registry, Senders, post_call, post_message};

use crate::handles::{CallFn, FreeFn, Word};
use ring::{Padded, PopEnd, PushEnd};
use std::sync::Arc;
use sync::{AtomicBool, AtomicU8, Mutex, Ordering, fence_is_one_sided, lock, poster_fence, reactor_fence};

/// The primitives, real or modelled.
mod sync {
    #[cfg(all(loom, test))]
    pub use loom::sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    };
    #[cfg(not(all(loom, test)))]
    pub use std::sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    };

    /// Nothing is left half done under these locks, so one that a panic poisoned is as good as any.
    pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Whether the reactor's fence reaches the posters' threads. Asked once; loom models the answer yes, as a fence of
    /// each thread's own, which is what the system promises.
    pub fn fence_is_one_sided() -> bool {
        #[cfg(all(loom, test))]
        return true;
        #[cfg(not(all(loom, test)))]
        {
            static ANSWER: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
            *ANSWER.get_or_init(crate::platform::barrier_all_threads)
        }
    }

    /// Stands between a poster's push and its reading of the state. It keeps the compiler from swapping them; the
    /// processor is kept by the reactor's fence, or else by both being sequentially consistent.
    #[inline(always)]
    pub fn poster_fence() {
        #[cfg(all(loom, test))]
        loom::sync::atomic::fence(Ordering::SeqCst);
        #[cfg(not(all(loom, test)))]
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
    }

    /// Stands between the reactor's change of the state, which is sequentially consistent, and its look into the rings.
    pub fn reactor_fence(one_sided: bool) {
        #[cfg(all(loom, test))]
        loom::sync::atomic::fence(if one_sided { Ordering::SeqCst } else { unreachable!() });
        // Refused from some time on, as by a sandbox, it is replaced by a wait that outlasts any delayed store.
        #[cfg(not(all(loom, test)))]
        if one_sided && !crate::platform::barrier_all_threads() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

/// Why nothing was posted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The reactor is closed, or there never was one with this id.
    Closed,
    /// There is no memory for a longer queue.
    NoMemory,
}

/// A message that was not posted.
#[derive(Debug)]
pub struct Rejected<M> {
    /// The message, still the poster's.
    pub message: M,
    /// Why.
    pub reason: Refused,
}

/// A plain call.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// What is called.
    pub call: CallFn,
    /// Its argument.
    pub data: Word,
    /// Frees the argument.
    pub free: Option<FreeFn>,
}

/// What the reactor takes out.
#[derive(Debug)]
pub enum Item<M> {
    /// By far the most frequent.
    Call(Call),
    /// Anything else.
    Message(M),
}

/// Wakes a reactor that sleeps. Called on the poster's thread, with no lock held, once for each sleep that a post ends;
/// it must not block, and a last call may come while the reactor closes.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// Nothing was posted since the reactor looked.
const IDLE: u8 = 0;
/// Something may have been.
const POSTED: u8 = 1;
/// As idle, and the next post has to wake the reactor.
const SLEEPING: u8 = 2;
/// For ever.
const CLOSED: u8 = 3;

/// What the threads and one reactor share.
struct Shared<M> {
    state: Padded<AtomicU8>,
    /// New rings that the reactor has not taken over. Also the lock under which it closes.
    arrivals: Mutex<Vec<PopEnd<M>>>,
    /// Whether there are any.
    arrived: AtomicBool,
    /// Gone once closed, so that what it holds, a descriptor, does not live as long as the threads' ways here.
    waker: Mutex<Option<Waker>>,
    one_sided: bool,
}

impl<M> Shared<M> {
    fn new(waker: Waker) -> Self {
        Self {
            state: Padded(AtomicU8::new(IDLE)),
            arrivals: Mutex::new(Vec::new()),
            arrived: AtomicBool::new(false),
            waker: Mutex::new(Some(waker)),
            one_sided: fence_is_one_sided(),
        }
    }

    /// Adds a ring, unless the reactor is closed.
    fn register(&self, ring: PopEnd<M>) -> Result<(), Refused> {
        let mut arrivals = lock(&self.arrivals);
        if self.is_in(CLOSED) {
            return Err(Refused::Closed);
        }
        arrivals.try_reserve(1).map_err(|_| Refused::NoMemory)?;
        arrivals.push(ring);
        self.arrived.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Tells the reactor of a push: whether it has to be woken, or that it is closed and the push was refused.
    #[inline(always)]
    fn announce(&self, end: &PushEnd<M>) -> Result<bool, Refused> {
        poster_fence();
        let state = self.state.0.load(if end.one_sided() { Ordering::Relaxed } else { Ordering::SeqCst });
        if state == POSTED { Ok(false) } else { self.change_to_posted(state, end) }
    }

    #[cold]
    fn change_to_posted(&self, mut state: u8, end: &PushEnd<M>) -> Result<bool, Refused> {
        while state == IDLE || state == SLEEPING {
            match self.state.0.compare_exchange(state, POSTED, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(before) => return Ok(before == SLEEPING),
                Err(now) => state = now,
            }
        }
        if state == POSTED {
            return Ok(false);
        }
        let _closing_is_over = lock(&self.arrivals);
        if end.was_accepted() { Ok(false) } else { Err(Refused::Closed) }
    }

    fn wake(&self) {
        let waker = lock(&self.waker).clone();
        if let Some(wake) = waker {
            wake();
        }
    }

    #[inline]
    fn is_in(&self, state: u8) -> bool {
        self.state.0.load(Ordering::Relaxed) == state
    }

    /// For the reactor: changes the state if it is `from`.
    fn change(&self, from: u8, to: u8) -> bool {
        self.state.0.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// For the reactor: takes POSTED back. What was pushed by those who had found it can be seen from here on.
    fn leave_posted(&self, to: u8) -> bool {
        let left = self.change(POSTED, to);
        if left {
            reactor_fence(self.one_sided);
        }
        left
    }

    /// For the reactor: refuses posts.
    fn close(&self) {
        self.state.0.swap(CLOSED, Ordering::SeqCst);
        reactor_fence(self.one_sided);
    }
}
