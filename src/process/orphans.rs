//! Children that were left running when their reactor ended: they are the host's children still, and nobody else waits
//! for them. Whoever starts a child, sees one end, or ends a reactor looks whether one of them has ended.

use crate::platform::{Child, Orphan};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

static ORPHANS: Mutex<Vec<Orphan>> = Mutex::new(Vec::new());
/// So that it costs nothing where there are none.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// One more; its descriptor is closed.
pub(super) fn add(child: Child) {
    if child.try_wait().is_some() {
        return;
    }
    let orphan = Orphan::new(&child);
    let mut orphans = ORPHANS.lock().unwrap_or_else(PoisonError::into_inner);
    // Without memory for it, it is waited for when the host ends.
    if orphans.try_reserve(1).is_ok() {
        orphans.push(orphan);
        COUNT.store(orphans.len(), Ordering::Relaxed);
    }
}

/// Waits for those that have ended.
pub(super) fn sweep() {
    if COUNT.load(Ordering::Relaxed) == 0 {
        return;
    }
    // Another thread that looks after them does as well.
    if let Ok(mut orphans) = ORPHANS.try_lock() {
        orphans.retain(|orphan| !orphan.is_over());
        COUNT.store(orphans.len(), Ordering::Relaxed);
    }
}
