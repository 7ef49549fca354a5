//! The directory of segments: who owns each, what it holds and where it is. All of it is zero in a child of fork.

use super::foreign::Word;
use super::{KINDS, Kind};
use crate::platform;
use crate::status::{Result, Status};
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, compiler_fence, fence};

/// Low bits of every token: no pointer to anything aligned has them.
const TAG: usize = 0b1_0101;
const TAG_BITS: u32 = 5;
pub(super) const SLOT_BITS: u32 = 10;
const SEGMENT_BITS: u32 = 17;
const SEGMENTS: usize = 1 << SEGMENT_BITS;

/// Values of an owner word that are no thread's.
const NOBODY: usize = 0;
const POISONED: usize = 1;
const MOVING: usize = 2;
/// No thread word is this small: what every thread may use, see [`super::shared`].
const EVERYBODY: usize = 3;

/// One segment. The owner's thread writes `busy`; everything else changes only while nobody or a mover owns it.
#[repr(align(64))]
pub(super) struct Entry {
    owner: AtomicUsize,
    pub(super) base: AtomicPtr<u8>,
    /// The slot of the reactor that has the segment, for its owner thread.
    pub(super) reactor: AtomicPtr<u8>,
    /// The same reactor's token, for any thread.
    reactor_token: AtomicUsize,
    kind: AtomicU32,
    /// The next free segment of the kind.
    next: AtomicU32,
    /// The owner thread is inside a call that came by this segment; see [`adopt`].
    busy: AtomicU8,
}

#[repr(align(65536))]
pub(super) struct Directory {
    /// The first entries name no segment: their page says whether the process has forked.
    entries: [Entry; SEGMENTS],
    /// Where each segment is, once more: who follows numbers rather than handles finds more of these in the cache.
    bases: [AtomicPtr<u8>; SEGMENTS],
    /// Free segments by kind: a stack, its top tagged against reuse in between.
    free: [AtomicU64; KINDS],
}

static DIRECTORY: Directory = Directory {
    entries: [const {
        Entry {
            owner: AtomicUsize::new(NOBODY),
            base: AtomicPtr::new(std::ptr::null_mut()),
            reactor: AtomicPtr::new(std::ptr::null_mut()),
            reactor_token: AtomicUsize::new(0),
            kind: AtomicU32::new(0),
            next: AtomicU32::new(0),
            busy: AtomicU8::new(0),
        }
    }; SEGMENTS],
    bases: [const { AtomicPtr::new(std::ptr::null_mut()) }; SEGMENTS],
    free: [const { AtomicU64::new(0) }; KINDS],
};

/// Segments given out so far, in this process and those that it was forked from.
static COUNT: AtomicU32 = AtomicU32::new(0);
/// Segments up to here were made before the last fork that this process knows of.
static BEFORE_FORK: AtomicU32 = AtomicU32::new(0);
static PREPARED: AtomicU8 = AtomicU8::new(0);

/// Where an index leads.
#[inline(always)]
pub(super) fn entry_of(index: u32) -> &'static Entry {
    &DIRECTORY.entries[(index >> SLOT_BITS) as usize & (SEGMENTS - 1)]
}

/// Where the segment is that an index leads to.
#[inline(always)]
pub(super) fn base_of(index: u32) -> *mut u8 {
    DIRECTORY.bases[(index >> SLOT_BITS) as usize & (SEGMENTS - 1)].load(Ordering::Relaxed)
}

/// The kind of the segment that an index leads to, as a number.
pub(super) fn kind_of(index: u32) -> u32 {
    entry_of(index).kind.load(Ordering::Relaxed)
}

/// The kind of the thing that a word which the library made names, as a number.
#[inline(always)]
pub fn kind_number(word: Word) -> usize {
    kind_of(index_of(word)) as usize
}

/// Whether a word that the library made names a thing of this kind, alive or not.
#[inline(always)]
pub fn is_of_kind(word: Word, kind: Kind) -> bool {
    kind_of(index_of(word)) == kind as u32
}

/// The token of a slot.
#[inline(always)]
pub(super) fn token(index: u32, generation: u32) -> Word {
    Word::from_addr((generation as usize) << 32 | (index as usize) << TAG_BITS | TAG)
}

/// The index in a token.
#[inline(always)]
pub fn index_of(word: Word) -> u32 {
    word.addr() as u32 >> TAG_BITS
}

/// The generation in a token.
#[inline(always)]
pub(super) fn generation_of(word: Word) -> u32 {
    (word.addr() >> 32) as u32
}

/// The index and generation in a token; None if it is none.
#[inline(always)]
pub(super) fn parts(word: Word) -> Option<(u32, u32)> {
    if word.addr() & ((1 << TAG_BITS) - 1) != TAG {
        return None;
    }
    Some((index_of(word), generation_of(word)))
}

/// While it lives, the owner thread counts as being inside a call, and nobody can adopt its reactor.
pub struct Access(&'static Entry, u8);

impl Drop for Access {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.busy.store(self.1, Ordering::Release);
    }
}

impl Entry {
    /// The owner's thread has `kind` here, and this is it.
    #[inline(always)]
    pub(super) fn is_mine(&self, kind: Kind) -> bool {
        self.owner.load(Ordering::Relaxed) == platform::thread_word()
            && self.kind.load(Ordering::Relaxed) == kind as u32
    }

    /// The same, or another thread is just trying to take it over.
    pub(super) fn is_mine_or_moving(&self, kind: Kind) -> bool {
        let owner = self.owner.load(Ordering::Acquire);
        (owner == platform::thread_word() || owner == MOVING) && self.kind.load(Ordering::Relaxed) == kind as u32
    }

    /// The owner, once nobody is trying to take the reactor over.
    fn settled_owner(&self) -> usize {
        loop {
            match self.owner.load(Ordering::Acquire) {
                MOVING => std::thread::yield_now(),
                owner => return owner,
            }
        }
    }

    /// The token of the reactor that has the segment.
    #[inline(always)]
    pub(super) fn reactor_token(&self) -> Word {
        Word::from_addr(self.reactor_token.load(Ordering::Relaxed))
    }

    /// Marks the owner as inside a call. The owner is read again after the mark is set: with the mover's barrier
    /// between its own write of the owner and its read of the mark, one of the two sees the other.
    #[inline(always)]
    pub(super) fn access(&'static self) -> Option<Access> {
        let outer = self.busy.load(Ordering::Relaxed);
        self.busy.store(1, Ordering::Relaxed);
        if cfg!(any(target_os = "linux", windows)) {
            compiler_fence(Ordering::SeqCst);
        } else {
            fence(Ordering::SeqCst);
        }
        let access = Access(self, outer);
        (self.owner.load(Ordering::Acquire) == platform::thread_word()).then_some(access)
    }
}

/// Why a word that failed the quick check is no handle of `kind` for this thread. The order is the contract's.
#[cold]
pub(super) fn refusal(word: Word, kind: Kind) -> Status {
    if word.is_null() {
        return Status::ERR_INVALID_ARGUMENT.because(format_args!("NULL where a {kind:?} handle is expected"));
    }
    let Some((index, _)) = parts(word) else { return Status::ERR_INVALID_HANDLE };
    let segment = index >> SLOT_BITS;
    if segment == 0 || segment > COUNT.load(Ordering::Acquire) {
        return Status::ERR_INVALID_HANDLE;
    }
    if forked() || segment <= BEFORE_FORK.load(Ordering::Acquire) {
        return Status::ERR_FORKED;
    }
    let entry = entry_of(index);
    match entry.settled_owner() {
        NOBODY if entry.kind.load(Ordering::Relaxed) == kind as u32 => Status::ERR_STALE_HANDLE,
        NOBODY => Status::ERR_INVALID_HANDLE,
        POISONED => Status::ERR_PANIC,
        EVERYBODY if entry.kind.load(Ordering::Relaxed) == kind as u32 => Status::ERR_STALE_HANDLE,
        EVERYBODY => Status::ERR_INVALID_HANDLE,
        owner if owner != platform::thread_word() => Status::ERR_WRONG_THREAD,
        _ if entry.kind.load(Ordering::Relaxed) != kind as u32 => Status::ERR_INVALID_HANDLE,
        _ => Status::ERR_STALE_HANDLE,
    }
}

/// Whether a word names a segment of `kind` that every thread may use; else why not.
pub(super) fn check_shared(word: Word, kind: Kind) -> Result {
    match parts(word).map(|(index, _)| entry_of(index)) {
        Some(entry)
            if entry.kind.load(Ordering::Relaxed) == kind as u32
                && entry.owner.load(Ordering::Acquire) == EVERYBODY =>
        {
            Ok(())
        }
        _ => Err(refusal(word, kind)),
    }
}

/// What any thread can know of a handle: that it names a segment of `kind`. Returns the reactor's token.
pub fn check_any_thread(word: Word, kind: Kind) -> Result<Word> {
    let quick = parts(word).map(|(index, _)| entry_of(index));
    match quick {
        // A mover holds it only for a moment, and any thread may call meanwhile.
        Some(entry)
            if entry.kind.load(Ordering::Relaxed) == kind as u32 && entry.owner.load(Ordering::Acquire) >= MOVING =>
        {
            Ok(entry.reactor_token())
        }
        _ => match refusal(word, kind) {
            Status::ERR_WRONG_THREAD => reactor_of(word, kind),
            status => Err(status),
        },
    }
}

/// The token of the reactor that has the handle's segment now.
pub fn reactor_of(word: Word, kind: Kind) -> Result<Word> {
    let Some((index, _)) = parts(word) else { return Err(refusal(word, kind)) };
    let entry = entry_of(index);
    if entry.kind.load(Ordering::Relaxed) != kind as u32 {
        return Err(Status::ERR_INVALID_HANDLE);
    }
    Ok(entry.reactor_token())
}

/// Whether the process is a child of fork that has made no reactor of its own yet.
fn forked() -> bool {
    PREPARED.load(Ordering::Acquire) != 0 && DIRECTORY.entries[0].owner.load(Ordering::Acquire) == NOBODY
}

/// Before the first segment of a process, and of a child of fork: from here on a fork is noticed. One thread does it, and others that
/// make their first reactor at that moment wait: what these make must not count as made before the fork.
fn prepare() {
    let state = &DIRECTORY.entries[0].owner;
    // No thread word is odd. With the process in it, a child knows of one that its parent was in the middle of.
    let preparing = std::process::id() as usize * 2 + 1;
    loop {
        match state.load(Ordering::Acquire) {
            now if now == preparing => std::thread::yield_now(),
            now if now != NOBODY && now & 1 == 0 => return,
            now => {
                if state.compare_exchange(now, preparing, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                    break;
                }
            }
        }
    }
    if PREPARED.swap(1, Ordering::AcqRel) == 0 {
        // Both: the kernel's way also covers a bare clone, the handler also emulators that take the advice and forget it.
        platform::wipe_on_fork(&DIRECTORY);
        platform::at_fork_in_child(wipe);
    } else {
        BEFORE_FORK.store(COUNT.load(Ordering::Acquire), Ordering::Release);
    }
    state.store(platform::thread_word(), Ordering::Release);
}

/// What the kernel does where it can: nobody owns anything any more.
extern "C" fn wipe() {
    if DIRECTORY.entries[0].owner.load(Ordering::Relaxed) == NOBODY {
        return;
    }
    let count = COUNT.load(Ordering::Acquire) as usize;
    for entry in &DIRECTORY.entries[..=count.min(SEGMENTS - 1)] {
        entry.owner.store(NOBODY, Ordering::Relaxed);
        entry.base.store(std::ptr::null_mut(), Ordering::Relaxed);
    }
    for base in &DIRECTORY.bases[..=count.min(SEGMENTS - 1)] {
        base.store(std::ptr::null_mut(), Ordering::Relaxed);
    }
    for top in &DIRECTORY.free {
        top.store(0, Ordering::Relaxed);
    }
}

/// A free segment of the kind, if there is one: its number.
fn pop_free(kind: Kind) -> Option<u32> {
    let top = &DIRECTORY.free[kind as usize];
    let mut seen = top.load(Ordering::Acquire);
    loop {
        let number = seen as u32;
        if number == 0 {
            return None;
        }
        let next = DIRECTORY.entries[number as usize].next.load(Ordering::Relaxed);
        let tagged = ((seen >> 32) + 1) << 32 | u64::from(next);
        match top.compare_exchange_weak(seen, tagged, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Some(number),
            Err(now) => seen = now,
        }
    }
}

/// A segment for this thread: `make` gives the memory of a new one. Returns its number and whether it is new.
pub(super) fn claim(kind: Kind, make: impl FnOnce() -> Option<*mut u8>) -> Result<(u32, bool)> {
    prepare();
    if let Some(number) = pop_free(kind) {
        return Ok((number, false));
    }
    let base = make().ok_or(Status::ERR_NO_MEMORY)?;
    let number = COUNT.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
        (count as usize + 1 < SEGMENTS).then_some(count + 1)
    });
    let number = number.map_err(|_| Status::ERR_LIMIT.because("no more handles: all segments are in use"))? + 1;
    let entry = &DIRECTORY.entries[number as usize];
    entry.kind.store(kind as u32, Ordering::Relaxed);
    DIRECTORY.bases[number as usize].store(base, Ordering::Relaxed);
    entry.base.store(base, Ordering::Release);
    Ok((number, true))
}

/// Gives the segment to this thread, for the reactor in `slot` with `token`.
pub(super) fn own(number: u32, slot: *mut u8, token: Word) {
    let entry = &DIRECTORY.entries[number as usize];
    entry.reactor.store(slot, Ordering::Relaxed);
    entry.reactor_token.store(token.addr(), Ordering::Relaxed);
    entry.busy.store(0, Ordering::Relaxed);
    entry.owner.store(platform::thread_word(), Ordering::Release);
}

/// Gives the segment to all threads, for the life of the process.
pub(super) fn share(number: u32) {
    let entry = &DIRECTORY.entries[number as usize];
    entry.reactor_token.store(0, Ordering::Relaxed);
    entry.owner.store(EVERYBODY, Ordering::Release);
}

/// Whether it still is what [`share`] made it: in a child of fork it is not.
pub(super) fn is_shared(number: u32) -> bool {
    DIRECTORY.entries[number as usize].owner.load(Ordering::Acquire) == EVERYBODY
}

/// Nobody's from here on, and free to be claimed again.
pub(super) fn disown(number: u32) {
    let entry = &DIRECTORY.entries[number as usize];
    // First, so that who tries to adopt it meanwhile no longer finds it.
    entry.reactor_token.store(0, Ordering::SeqCst);
    entry.owner.store(NOBODY, Ordering::Release);
    let top = &DIRECTORY.free[entry.kind.load(Ordering::Relaxed) as usize];
    let mut seen = top.load(Ordering::Acquire);
    loop {
        entry.next.store(seen as u32, Ordering::Relaxed);
        let tagged = ((seen >> 32) + 1) << 32 | u64::from(number);
        match top.compare_exchange_weak(seen, tagged, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return,
            Err(now) => seen = now,
        }
    }
}

/// The segments of the reactor with this token.
fn segments_of(token: Word) -> impl Iterator<Item = &'static Entry> {
    let count = COUNT.load(Ordering::Acquire) as usize;
    DIRECTORY.entries[1..=count].iter().filter(move |entry| entry.reactor_token.load(Ordering::Relaxed) == token.addr())
}

/// From here on every call on anything of the reactor answers `LARIAT_ERR_PANIC`.
pub fn poison(token: Word) {
    for entry in segments_of(token) {
        entry.owner.store(POISONED, Ordering::Release);
    }
}

/// Whether this is the handle of a reactor that has panicked; it is forgotten by making it nobody's, its memory kept.
pub fn forget_poisoned(word: Word) -> bool {
    let Some((index, _)) = parts(word) else { return false };
    let poisoned = entry_of(index).owner.load(Ordering::Acquire) == POISONED;
    if poisoned {
        for entry in segments_of(word) {
            entry.owner.store(NOBODY, Ordering::Release);
        }
    }
    poisoned
}

/// Moves the reactor with this token to the calling thread, if no call on anything of it is in progress; `idle` is
/// asked once the old owner can make no new one.
pub(super) fn adopt(word: Word, idle: impl FnOnce() -> bool) -> Result {
    let (index, _) = parts(word).ok_or(Status::ERR_INVALID_HANDLE)?;
    let root = entry_of(index);
    let mine = platform::thread_word();
    if root.reactor_token.load(Ordering::Acquire) != word.addr() {
        return Err(Status::ERR_STALE_HANDLE);
    }
    let owner = root.owner.load(Ordering::Acquire);
    if owner == mine {
        return Ok(());
    }
    if owner <= MOVING || root.owner.compare_exchange(owner, MOVING, Ordering::AcqRel, Ordering::Acquire).is_err() {
        return Err(Status::ERR_BUSY);
    }
    for entry in segments_of(word) {
        entry.owner.store(MOVING, Ordering::SeqCst);
    }
    let quiet = platform::barrier_all_threads()
        && segments_of(word).all(|entry| entry.busy.load(Ordering::Acquire) == 0)
        && idle();
    let owner = if quiet { mine } else { owner };
    for entry in segments_of(word) {
        entry.owner.store(owner, Ordering::Release);
    }
    if quiet { Ok(()) } else { Err(Status::ERR_BUSY.because("the reactor's own thread is using it")) }
}
