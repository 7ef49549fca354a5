//! What the interpreter's lock guards.

use std::cell::UnsafeCell;

/// A thing of the whole process that is touched only with the interpreter's lock held, and never while Python code runs.
pub struct Locked<T>(UnsafeCell<T>);

// SAFETY: as said above: the lock lets one thread in at a time.
unsafe impl<T> Sync for Locked<T> {}

impl<T> Locked<T> {
    pub const fn new(thing: T) -> Self {
        Self(UnsafeCell::new(thing))
    }

    /// The thing, for as long as no Python code runs.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "the interpreter's lock sees to it that there is one at a time")]
    pub fn get(&self) -> &mut T {
        // SAFETY: as said above.
        unsafe { &mut *self.0.get() }
    }
}
