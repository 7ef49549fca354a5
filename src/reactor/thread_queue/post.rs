//! The threads' side: a thread finds its ring to the reactor with some id, pushes, and tells the reactor.

use super::ring::{self, Entry, PushEnd};
use super::{CLOSED, Call, Refused, Rejected, Shared};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Messages of one type, and where the process keeps what their queues need: a static and a thread-local.
pub trait Postable: Send + Sized + 'static {
    /// The reactors that take them.
    fn registry() -> &'static Registry<Self>;

    /// Calls `with` with the calling thread's [`Senders`]. Returns None, not having called it, where there are none
    /// because the thread is ending, or where they are in use.
    fn with_senders<R>(with: impl FnOnce(&mut Senders<Self>) -> R) -> Option<R>;
}

/// One open reactor and its id.
type Registered<M> = (u64, Arc<Shared<M>>);

/// The open reactors of the process, by id. Not modelled: its lock is a leaf, and a static needs a constant.
pub struct Registry<M>(Mutex<Vec<Registered<M>>>);

impl<M> Registry<M> {
    /// An empty one.
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn list(&self) -> MutexGuard<'_, Vec<Registered<M>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, id: u64) -> Result<Arc<Shared<M>>, Refused> {
        let list = self.list();
        let at = list.binary_search_by_key(&id, |entry| entry.0).map_err(|_| Refused::Closed)?;
        Ok(Arc::clone(&list[at].1))
    }

    pub(super) fn insert(&self, id: u64, shared: &Arc<Shared<M>>) -> Result<(), Refused> {
        let mut list = self.list();
        list.try_reserve(1).map_err(|_| Refused::NoMemory)?;
        let at = list.partition_point(|entry| entry.0 < id);
        list.insert(at, (id, Arc::clone(shared)));
        Ok(())
    }

    pub(super) fn remove(&self, id: u64) {
        self.list().retain(|entry| entry.0 != id);
    }
}

impl<M> Default for Registry<M> {
    fn default() -> Self {
        Self::new()
    }
}

/// A thread's way to one reactor.
struct Sender<M> {
    id: u64,
    shared: Arc<Shared<M>>,
    end: PushEnd<M>,
}

impl<M> Sender<M> {
    /// True if the reactor has to be woken.
    #[inline(always)]
    fn post(&mut self, entry: &mut impl Entry<M>) -> Result<bool, Refused> {
        entry.push(&mut self.end)?;
        let announced = self.shared.announce(&self.end);
        if announced.is_err() {
            entry.take_back(&mut self.end);
        }
        announced
    }
}

/// A thread's ways to the reactors that it has posted to.
pub struct Senders<M> {
    /// By id.
    list: Vec<Sender<M>>,
    /// Where the last one used is.
    last: usize,
}

impl<M: Postable> Senders<M> {
    /// None yet.
    pub const fn new() -> Self {
        Self { list: Vec::new(), last: 0 }
    }

    #[inline(always)]
    fn post(&mut self, id: u64, entry: &mut impl Entry<M>) -> Result<bool, Refused> {
        let posted = match self.list.get_mut(self.last) {
            Some(sender) if sender.id == id => sender.post(entry),
            _ => self.find(id)?.post(entry),
        };
        if posted.is_err() {
            self.forget_closed();
        }
        posted
    }

    #[cold]
    fn find(&mut self, id: u64) -> Result<&mut Sender<M>, Refused> {
        self.last = match self.list.binary_search_by_key(&id, |sender| sender.id) {
            Ok(at) => at,
            Err(_) => self.connect(id)?,
        };
        Ok(&mut self.list[self.last])
    }

    /// Makes the way to a reactor that the thread has none to.
    fn connect(&mut self, id: u64) -> Result<usize, Refused> {
        self.forget_closed();
        self.list.try_reserve(1).map_err(|_| Refused::NoMemory)?;
        let shared = M::registry().get(id)?;
        let (end, other_end) = ring::ring(ring::FIRST)?;
        shared.register(other_end)?;
        let at = self.list.partition_point(|sender| sender.id < id);
        self.list.insert(at, Sender { id, shared, end });
        Ok(at)
    }

    /// Nothing is popped from their rings any more, so each further push would only make them longer.
    #[cold]
    fn forget_closed(&mut self) {
        self.list.retain(|sender| !sender.shared.is_in(CLOSED));
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn count(&self) -> usize {
        self.list.len()
    }
}

impl<M: Postable> Default for Senders<M> {
    fn default() -> Self {
        Self::new()
    }
}

/// Posts a call to the reactor with this id. Any thread. What is refused is still the poster's, its data included.
#[inline]
pub fn post_call<M: Postable>(id: u64, mut call: Call) -> Result<(), Refused> {
    post::<M>(id, &mut call)
}

/// Posts a message to the reactor with this id. Any thread. It comes after the calls that the thread posted before.
pub fn post_message<M: Postable>(id: u64, message: M) -> Result<(), Rejected<M>> {
    let mut entry = Some(message);
    let posted = post::<M>(id, &mut entry);
    match (posted, entry) {
        (Err(reason), Some(message)) => Err(Rejected { message, reason }),
        _ => Ok(()),
    }
}

#[inline(always)]
fn post<M: Postable>(id: u64, entry: &mut impl Entry<M>) -> Result<(), Refused> {
    let posted = match M::with_senders(|senders| senders.post(id, entry)) {
        Some(posted) => posted,
        None => post_alone(id, entry),
    };
    if posted? {
        wake::<M>(id);
    }
    Ok(())
}

/// Wakes the reactor outside of the thread's senders, so that a waker may post. A reactor that is gone by now needs no
/// waking: what was posted came into its last drain.
#[cold]
fn wake<M: Postable>(id: u64) {
    if let Ok(shared) = M::registry().get(id) {
        shared.wake();
    }
}

/// Posts without the thread's senders, by a ring for this entry alone. It is registered with the entry in it, behind
/// the thread's other rings, so the order is kept.
#[cold]
fn post_alone<M: Postable>(id: u64, entry: &mut impl Entry<M>) -> Result<bool, Refused> {
    let shared = M::registry().get(id)?;
    let (mut end, other_end) = ring::ring(1)?;
    entry.push(&mut end)?;
    let posted = shared.register(other_end).and_then(|()| shared.announce(&end));
    if posted.is_err() {
        entry.take_back(&mut end);
    }
    posted
}
