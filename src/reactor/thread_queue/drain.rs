//! The reactor's side: what was posted comes out here, one at a time.

use super::ring::PopEnd;
use super::sync::{Ordering, lock};
use super::{Call, IDLE, Item, POSTED, Postable, Refused, SLEEPING, Shared, Waker};
use std::cell::{Cell, RefCell};
use std::iter::Chain;
use std::sync::Arc;
use std::vec;

/// The reactor's end: for its thread alone, and closed until it is opened. No borrow outlives a call, so what is taken
/// out may call anything here.
pub struct Consumer<M: Postable> {
    open: RefCell<Option<(u64, Arc<Shared<M>>)>>,
    /// In the order of registration, which keeps the order of a thread that has several.
    rings: RefCell<Vec<PopEnd<M>>>,
    /// The ring that the present drain is at, and how many entries it has left in all.
    at: Cell<usize>,
    left: Cell<u64>,
    /// How many entries the last drain had.
    drained: Cell<u64>,
    /// Looks in a row that found nothing.
    empty_looks: Cell<u32>,
}

/// So many turns find nothing before it no longer looks at every one: to take POSTED back costs more than a look.
const LOOKS: u32 = if cfg!(all(loom, test)) { 1 } else { 16 };

impl<M: Postable> Consumer<M> {
    /// Takes posts from now on, under an id that no reactor of this process has had.
    pub fn open(&self, id: u64, waker: Waker) -> Result<(), Refused> {
        let shared = Arc::new(Shared::new(waker));
        M::registry().insert(id, &shared)?;
        let before = self.open.replace(Some((id, shared)));
        debug_assert!(before.is_none(), "opened while open");
        Ok(())
    }

    /// What `ask` says of an open reactor; false of a closed one.
    #[inline]
    fn if_open(&self, ask: impl FnOnce(&Shared<M>) -> bool) -> bool {
        self.open.borrow().as_ref().is_some_and(|(_, shared)| ask(shared))
    }

    /// Whether there is something to run: left over, or posted since.
    #[inline]
    pub fn has_posts(&self) -> bool {
        self.left.get() > 0 || self.if_open(|shared| shared.is_in(POSTED) && self.has_more(shared))
    }

    fn has_more(&self, shared: &Shared<M>) -> bool {
        shared.arrived.load(Ordering::SeqCst) || self.rings.borrow().iter().any(PopEnd::has_more)
    }

    /// Settles what [`pop`](Self::pop) hands out: what is there now. While some of the last drain is left that goes
    /// first, and nothing is added, so that no thread can keep the others from their turn.
    #[inline]
    pub fn begin_drain(&self) {
        if self.left.get() == 0 {
            self.if_open(|shared| shared.is_in(POSTED) && self.gather(shared));
        }
    }

    /// Whether [`pop`](Self::pop) has something to hand out.
    #[inline]
    pub fn is_draining(&self) -> bool {
        self.left.get() > 0
    }

    #[inline(never)]
    fn gather(&self, shared: &Shared<M>) -> bool {
        let empty = if self.look(shared) { 0 } else { self.empty_looks.get() + 1 };
        self.empty_looks.set(empty % LOOKS);
        if empty < LOOKS || !shared.leave_posted(IDLE) {
            return true;
        }
        let found = self.look(shared);
        if shared.arrived.load(Ordering::Relaxed) {
            // Registered this very moment, or there was no memory to take it over: to be looked at again.
            shared.change(IDLE, POSTED);
        }
        found
    }

    /// Takes all that is there into the drain; whether that is anything.
    fn look(&self, shared: &Shared<M>) -> bool {
        let mut rings = self.rings.borrow_mut();
        // New rings first: the ring that its thread had before must be seen with all that came before the new one.
        if shared.arrived.load(Ordering::SeqCst) {
            let mut arrivals = lock(&shared.arrivals);
            if rings.try_reserve(arrivals.len()).is_ok() {
                rings.append(&mut arrivals);
                shared.arrived.store(false, Ordering::Relaxed);
            }
        }
        rings.retain_mut(PopEnd::refresh);
        self.left.set(rings.iter().map(PopEnd::waiting).sum());
        self.at.set(0);
        self.drained.set(self.left.get());
        self.left.get() > 0
    }

    /// Takes the next one of the present drain out.
    #[inline]
    pub fn pop(&self) -> Option<Item<M>> {
        let left = self.left.get().checked_sub(1)?;
        self.left.set(left);
        let mut rings = self.rings.borrow_mut();
        loop {
            if let Some(item) = rings.get_mut(self.at.get())?.pop() {
                return Some(item);
            }
            self.at.set(self.at.get() + 1);
        }
    }

    /// How many the last drain had; asked again, none.
    pub fn take_drained(&self) -> u64 {
        self.drained.take()
    }

    /// To be called before the reactor waits: false if there is something to run first. Else the next post wakes it.
    /// Twice is as good as once.
    #[must_use]
    pub fn prepare_sleep(&self) -> bool {
        self.left.get() == 0 && !self.if_open(|shared| !self.fall_asleep(shared))
    }

    fn fall_asleep(&self, shared: &Shared<M>) -> bool {
        if shared.change(IDLE, SLEEPING) || shared.is_in(SLEEPING) {
            return true;
        }
        // The first look leaves the state alone while posts pour in, the second is the one that counts.
        if self.has_more(shared) || !shared.leave_posted(SLEEPING) {
            return false;
        }
        if self.has_more(shared) {
            shared.change(SLEEPING, POSTED);
            return false;
        }
        true
    }

    /// To be called after the wait, whatever ended it.
    pub fn awake(&self) {
        self.if_open(|shared| shared.change(SLEEPING, IDLE));
    }

    /// Refuses posts from now on. Each one until now is in what this returns, or its poster learns that it is refused.
    pub fn close(&self) -> Rest<M> {
        let mut rings = self.rings.take();
        let mut late = Vec::new();
        self.left.set(0);
        if let Some((id, shared)) = self.open.take() {
            M::registry().remove(id);
            let mut arrivals = lock(&shared.arrivals);
            shared.close();
            rings.iter_mut().chain(arrivals.iter_mut()).for_each(PopEnd::seal);
            late = std::mem::take(&mut *arrivals);
            drop(arrivals);
            let _waker = lock(&shared.waker).take();
        }
        Rest { rings: rings.into_iter().chain(late), at: None }
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn ring_count(&self) -> usize {
        self.rings.borrow().len()
    }
}

impl<M: Postable> Default for Consumer<M> {
    fn default() -> Self {
        Self {
            open: RefCell::default(),
            rings: RefCell::default(),
            at: Cell::new(0),
            left: Cell::new(0),
            drained: Cell::new(0),
            empty_looks: Cell::new(0),
        }
    }
}

impl<M: Postable> Drop for Consumer<M> {
    fn drop(&mut self) {
        drop(self.close());
    }
}

/// What was accepted before the reactor closed. Dropped early, it frees the data of the calls that are left.
#[must_use = "what was accepted has to be run"]
pub struct Rest<M> {
    rings: Chain<vec::IntoIter<PopEnd<M>>, vec::IntoIter<PopEnd<M>>>,
    at: Option<PopEnd<M>>,
}

impl<M> Iterator for Rest<M> {
    type Item = Item<M>;

    fn next(&mut self) -> Option<Item<M>> {
        loop {
            if let Some(item) = self.at.as_mut().and_then(PopEnd::pop) {
                return Some(item);
            }
            self.at = Some(self.rings.next()?);
        }
    }
}

impl<M> Drop for Rest<M> {
    fn drop(&mut self) {
        for item in self {
            if let Item::Call(Call { data, free: Some(free), .. }) = item {
                free(data);
            }
        }
    }
}
