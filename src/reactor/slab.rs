//! Things that few calls have, kept by number, so that what every call has stays small.

use crate::status::{Result, Status};

/// See the module.
pub struct Slab<T> {
    things: Vec<Option<T>>,
    /// Numbers to be used again.
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { things: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Room for one more, now and in the list of free numbers when it goes.
    pub fn reserve(&mut self) -> Result {
        let room = self.things.len() + 1 - self.free.len();
        let reserved = self.things.try_reserve(1).and_then(|()| self.free.try_reserve(room));
        reserved.map_err(|_| Status::ERR_NO_MEMORY)
    }

    /// The number that the next thing will have.
    pub fn next(&self) -> u32 {
        self.free.last().copied().unwrap_or(self.things.len() as u32)
    }

    /// Keeps a thing, for which there is room. Returns its number.
    pub fn insert(&mut self, thing: T) -> u32 {
        let number = self.next();
        match self.free.pop() {
            Some(_) => self.things[number as usize] = Some(thing),
            None => self.things.push(Some(thing)),
        }
        number
    }

    /// Takes a thing out, if it is still there, and frees its number.
    pub fn remove(&mut self, number: u32) -> Option<T> {
        self.free.push(number);
        self.things[number as usize].take()
    }

    /// Whether the number's thing is still there.
    pub fn holds(&self, number: u32) -> bool {
        self.things[number as usize].is_some()
    }

    /// Takes out one thing that is so; its number is not free yet.
    pub fn take_one(&mut self, is_so: impl Fn(&T) -> bool) -> Option<T> {
        self.things.iter_mut().find(|thing| thing.as_ref().is_some_and(&is_so))?.take()
    }
}
