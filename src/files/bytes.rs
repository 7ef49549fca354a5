//! Bytes as a value: what was read, or a path.

use crate::handles::{self, Body, FreeFn, Item, Kind, Owned, Word};
use crate::reactor::{Reactor, ReactorItem};
use crate::status::Result;
use std::cell::RefCell;

/// See the module. A NUL follows them, so that a path is text for C.
#[derive(Default)]
pub struct Bytes {
    data: RefCell<Vec<u8>>,
}

impl Body for Bytes {
    const KIND: Kind = Kind::Bytes;
    type Root = Reactor;
    type Beside = ();

    fn end(bytes: Item<Self>) {
        free(bytes);
    }
}

/// Bytes as a value, freed with it; `data` has room for a NUL.
pub fn make(reactor: ReactorItem, mut data: Vec<u8>) -> Result<Owned> {
    let bytes = reactor.pools.alloc::<Bytes>()?;
    data.push(0);
    bytes.data.replace(data);
    const FREE: FreeFn = free_word;
    Ok(Owned::new(bytes.word(), Some(FREE)))
}

extern "C-unwind" fn free_word(word: Word) {
    if let Ok(bytes) = handles::get::<Bytes>(word) {
        free(bytes);
    }
}

/// Ends them, whoever has the handle.
pub fn free(bytes: Item<Bytes>) {
    drop(bytes.data.take());
    bytes.root().pools.free(bytes);
}

impl Bytes {
    /// Where they are, for as long as they live.
    pub fn data(&self) -> Word {
        Word::new(self.data.borrow().as_ptr())
    }

    /// Lends them, without the NUL.
    pub fn with<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        let data = self.data.borrow();
        read(&data[..data.len() - 1])
    }

    /// How many there are.
    pub fn length(&self) -> usize {
        self.data.borrow().len() - 1
    }
}
