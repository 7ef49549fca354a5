//! What makes a world repeatable: one clock, chance from the seed, and a hash of all that happened.

use std::cell::Cell;

/// The clock, the seed's sequence and the trace.
pub(super) struct Clockwork {
    now: Cell<u64>,
    random: Cell<u64>,
    trace: Cell<u64>,
}

impl Clockwork {
    pub fn new(seed: u64) -> Self {
        Self { now: Cell::new(0), random: Cell::new(seed), trace: Cell::new(0xcbf2_9ce4_8422_2325 ^ seed) }
    }

    /// The time in nanoseconds.
    pub fn now(&self) -> u64 {
        self.now.get()
    }

    /// Moves the clock forward; never back.
    pub fn advance_to(&self, now: u64) {
        self.now.set(self.now.get().max(now));
    }

    /// The next number of the seed's sequence (splitmix64).
    pub fn random(&self) -> u64 {
        let state = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Whether something of this probability happens; what is certain either way takes no number of the sequence.
    pub fn happens(&self, probability: f64) -> bool {
        let fraction = || (self.random() >> 11) as f64 / (1_u64 << 53) as f64;
        probability >= 1.0 || (probability > 0.0 && fraction() < probability)
    }

    /// A number from 0 to `most`.
    pub fn up_to(&self, most: u64) -> u64 {
        match most {
            0 => 0,
            u64::MAX => self.random(),
            most => self.random() % (most + 1),
        }
    }

    /// Adds something that happened to the trace (FNV-1a over words).
    pub fn trace(&self, what: u64) {
        let mixed = (self.trace.get() ^ what).wrapping_mul(0x0000_0100_0000_01b3);
        self.trace.set(mixed ^ (mixed >> 29));
    }

    /// Adds data to the trace.
    pub fn trace_data(&self, data: &[u8]) {
        self.trace(data.len() as u64);
        let mut words = data.chunks_exact(8);
        let word = |bytes: &[u8]| bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        words.by_ref().for_each(|bytes| self.trace(word(bytes)));
        if !words.remainder().is_empty() {
            self.trace(word(words.remainder()));
        }
    }

    /// The hash of all that happened so far.
    pub fn trace_hash(&self) -> u64 {
        self.trace.get()
    }
}
