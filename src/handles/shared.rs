//! Things that belong to the process: counted, immutable, usable on any thread. Few, and looked up rarely, so a lock does.

use super::Kind;
use super::directory::{self, SLOT_BITS, claim, generation_of, index_of, is_shared, share};
use super::foreign::Word;
use crate::status::{Result, Status};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What such a handle names.
pub trait SharedBody: Send + Sync + 'static {
    /// The kind of its handles, of which all are in one table.
    const KIND: Kind;
    /// That table.
    fn table() -> &'static Shared<Self>
    where
        Self: Sized;
}

/// All things of one kind.
pub struct Shared<T>(Mutex<Table<T>>);

struct Table<T> {
    /// What is alive, by its handle.
    alive: BTreeMap<usize, Arc<T>>,
    /// The slots that were used and can be again, each with the generation that it had last.
    free: Vec<(u32, u32)>,
    /// The next slot that was never used, and where its segment ends.
    fresh: u32,
    fresh_end: u32,
}

/// A slot with this generation is not used again: the next would wrap.
const RETIRED: u32 = u32::MAX - 1;

/// What a segment's memory would be if there were any: the things are in the table.
static NO_MEMORY: u8 = 0;

impl<T: SharedBody> Shared<T> {
    /// An empty table.
    pub const fn new() -> Self {
        Self(Mutex::new(Table { alive: BTreeMap::new(), free: Vec::new(), fresh: 0, fresh_end: 0 }))
    }

    fn lock(&self) -> MutexGuard<'_, Table<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A handle for a thing. It counts as one that holds it.
    pub fn add(&self, thing: Arc<T>) -> Result<Word> {
        let mut table = self.lock();
        if table.fresh != 0 && !is_shared(table.fresh >> SLOT_BITS) {
            // A child of fork: all that is here is the parent's.
            (table.free, table.fresh, table.fresh_end) = (Vec::new(), 0, 0);
            std::mem::take(&mut table.alive).into_values().for_each(std::mem::forget);
        }
        let (index, generation) = match table.free.pop() {
            Some((index, generation)) => (index, generation + 2),
            None => (table.fresh_slot()?, 1),
        };
        let word = directory::token(index, generation);
        table.alive.insert(word.addr(), thing);
        Ok(word)
    }

    /// The thing that a handle names.
    pub fn get(&self, word: Word) -> Result<Arc<T>> {
        directory::check_shared(word, T::KIND)?;
        self.lock().alive.get(&word.addr()).cloned().ok_or(Status::ERR_STALE_HANDLE)
    }

    /// The handle is stale from here on; the thing lives on with who else holds it.
    pub fn remove(&self, word: Word) -> Result {
        directory::check_shared(word, T::KIND)?;
        let mut table = self.lock();
        let thing = table.alive.remove(&word.addr()).ok_or(Status::ERR_STALE_HANDLE)?;
        if generation_of(word) < RETIRED - 1 {
            table.free.push((index_of(word), generation_of(word)));
        }
        drop(table);
        drop(thing);
        Ok(())
    }

    /// How many handles are good.
    pub fn alive(&self) -> usize {
        self.lock().alive.len()
    }
}

impl<T: SharedBody> Table<T> {
    fn fresh_slot(&mut self) -> Result<u32> {
        if self.fresh + 1 >= self.fresh_end {
            let (number, _) = claim(T::KIND, || Some(std::ptr::from_ref(&NO_MEMORY).cast_mut()))?;
            share(number);
            (self.fresh, self.fresh_end) = (number << SLOT_BITS, (number + 1) << SLOT_BITS);
            return Ok(self.fresh);
        }
        self.fresh += 1;
        Ok(self.fresh)
    }
}

impl<T: SharedBody> Default for Shared<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing;

    static THINGS: Shared<Thing> = Shared::new();

    impl SharedBody for Thing {
        const KIND: Kind = Kind::TlsConfiguration;

        fn table() -> &'static Shared<Self> {
            &THINGS
        }
    }

    #[test]
    fn handles_go_stale_and_slots_are_used_again() {
        let first = THINGS.add(Arc::new(Thing)).expect("there is memory");
        let held = THINGS.get(first).expect("it is alive");
        assert_eq!(THINGS.remove(first), Ok(()));
        assert_eq!(Arc::strong_count(&held), 1);
        assert_eq!(THINGS.get(first).err(), Some(Status::ERR_STALE_HANDLE));
        assert_eq!(THINGS.remove(first).err(), Some(Status::ERR_STALE_HANDLE));
        let second = THINGS.add(held).expect("there is memory");
        assert_eq!(index_of(first), index_of(second));
        assert!(first != second);
        let more = (0..3000).map(|_| THINGS.add(Arc::new(Thing)).expect("there is memory")).collect::<Vec<_>>();
        assert_eq!(THINGS.alive(), 3001);
        more.into_iter().chain([second]).for_each(|word| THINGS.remove(word).expect("each is alive"));
        assert_eq!(THINGS.alive(), 0);
        assert_eq!(THINGS.get(Word::NULL).err(), Some(Status::ERR_INVALID_ARGUMENT));
        assert_eq!(THINGS.get(Word::from_addr(64)).err(), Some(Status::ERR_INVALID_HANDLE));
    }
}
