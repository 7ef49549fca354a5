//! What of a peer's frames is too much. h2 itself refuses CONTINUATION floods, streams that are reset before they were
//! looked at, floods of small and empty DATA, and its own resets for broken frames. It answers each PING and each SETTINGS
//! though, as often as they come, and a stream that is reset once its request was handed over does not count any more: the
//! frames that carry nothing, and the resets, have a bucket each.

/// So much of something is allowed at once, and a second.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// At once.
    pub burst: u32,
    /// And so many more each second.
    pub per_second: u32,
}

/// What is left of an allowance.
struct Bucket {
    allowance: Allowance,
    level: f64,
    filled: u64,
}

impl Bucket {
    fn new(allowance: Allowance, now: u64) -> Self {
        Self { allowance, level: f64::from(allowance.burst), filled: now }
    }

    /// Takes one. False: there is none left.
    fn take(&mut self, now: u64) -> bool {
        let passed = now.saturating_sub(self.filled) as f64 / 1e9;
        self.filled = now;
        self.add(passed * f64::from(self.allowance.per_second));
        self.level -= 1.0;
        self.level >= 0.0
    }

    fn add(&mut self, more: f64) {
        self.level = (self.level + more).min(f64::from(self.allowance.burst));
    }
}

/// The frames of RFC 9113, 6 that matter here.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const HEADER_LENGTH: usize = 9;
/// What a client sends first, RFC 9113, 3.4.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A client may send as many frames for each that it gets: a WINDOW_UPDATE for the stream, one for the connection, and some.
const FOR_EACH_SENT: f64 = 4.0;
/// So much data is sent in one frame, if the peer does not ask for larger ones.
const FRAME: f64 = 16384.0;

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    TooManyControls,
    TooManyResets,
    /// The first frame is to be SETTINGS (RFC 9113, 3.4), which h2 does not insist on.
    NoSettings,
}

/// Looks at the heads of the frames that come.
pub struct Guard {
    /// Bytes until the next frame begins.
    skip: usize,
    head: [u8; HEADER_LENGTH],
    /// Bytes of the head that are there.
    has: usize,
    /// A frame has come.
    begun: bool,
    control: Bucket,
    resets: Bucket,
}

impl Guard {
    pub fn new(control: Allowance, resets: Allowance, now: u64) -> Self {
        Self {
            skip: PREFACE.len(),
            head: [0; HEADER_LENGTH],
            has: 0,
            begun: false,
            control: Bucket::new(control, now),
            resets: Bucket::new(resets, now),
        }
    }

    /// Looks at bytes that came. Whether they are frames at all is h2's matter.
    pub fn look(&mut self, mut data: &[u8], now: u64) -> Result<(), Trouble> {
        loop {
            let skipped = self.skip.min(data.len());
            self.skip -= skipped;
            data = &data[skipped..];
            let taken = (HEADER_LENGTH - self.has).min(data.len());
            self.head[self.has..self.has + taken].copy_from_slice(&data[..taken]);
            self.has += taken;
            data = &data[taken..];
            if self.has < HEADER_LENGTH {
                return Ok(());
            }
            self.has = 0;
            self.skip = u32::from_be_bytes([0, self.head[0], self.head[1], self.head[2]]) as usize;
            self.count(self.head[3], now)?;
        }
    }

    fn count(&mut self, kind: u8, now: u64) -> Result<(), Trouble> {
        if !std::mem::replace(&mut self.begun, true) {
            return if kind == SETTINGS { Ok(()) } else { Err(Trouble::NoSettings) };
        }
        if kind == RST_STREAM && !self.resets.take(now) {
            return Err(Trouble::TooManyResets);
        }
        if !matches!(kind, DATA | HEADERS | CONTINUATION) && !self.control.take(now) {
            return Err(Trouble::TooManyControls);
        }
        Ok(())
    }

    /// Data of this length was sent, which the peer may answer.
    pub fn sent(&mut self, length: usize) {
        self.control.add(FOR_EACH_SENT * (1.0 + length as f64 / FRAME));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: Allowance = Allowance { burst: 10, per_second: 5 };
    const SECOND: u64 = 1_000_000_000;

    fn frame(kind: u8, length: usize) -> Vec<u8> {
        let mut frame = (length as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, 0, 0, 0, 0, 0]);
        frame.resize(frame.len() + length, kind);
        frame
    }

    fn guard() -> Guard {
        guard_of(FEW)
    }

    fn guard_of(control: Allowance) -> Guard {
        let mut guard = Guard::new(control, FEW, 0);
        guard.look(PREFACE, 0).unwrap();
        guard.look(&frame(SETTINGS, 0), 0).unwrap();
        guard
    }

    #[test]
    fn settings_come_first() {
        let mut guard = Guard::new(FEW, FEW, 0);
        guard.look(PREFACE, 0).unwrap();
        assert_eq!(guard.look(&frame(HEADERS, 3), 0), Err(Trouble::NoSettings));
    }

    #[test]
    fn it_counts_what_carries_nothing_and_refills_with_time() {
        const PING: u8 = 6;
        let mut guard = guard();
        for _ in 0..10 {
            guard.look(&frame(PING, 8), 0).unwrap();
        }
        assert_eq!(guard.look(&frame(PING, 8), 0), Err(Trouble::TooManyControls));
        let mut guard = self::guard();
        let pings = frame(PING, 8).repeat(10);
        guard.look(&pings, 0).unwrap();
        guard.look(&pings[..pings.len() / 2], SECOND).unwrap();
        assert_eq!(guard.look(&pings, SECOND), Err(Trouble::TooManyControls));
    }

    #[test]
    fn resets_have_a_bucket_of_their_own() {
        let most = Allowance { burst: 1000, per_second: 0 };
        let mut guard = guard_of(most);
        guard.look(&frame(RST_STREAM, 4).repeat(10), 0).unwrap();
        assert_eq!(guard.look(&frame(RST_STREAM, 4), 0), Err(Trouble::TooManyResets));
    }

    #[test]
    fn requests_and_data_are_free_however_they_are_cut() {
        let mut stream = [PREFACE, &frame(SETTINGS, 6)].concat();
        for length in [0, 1, 300, 16384] {
            for kind in [DATA, HEADERS, CONTINUATION].repeat(20) {
                stream.extend(frame(kind, length));
            }
        }
        for piece in [1, 7, 9, 10, 4096, stream.len()] {
            let mut guard = Guard::new(FEW, FEW, 0);
            stream.chunks(piece).for_each(|piece| guard.look(piece, 0).unwrap());
            assert_eq!((guard.skip, guard.has), (0, 0));
        }
    }

    #[test]
    fn who_downloads_may_open_windows() {
        const WINDOW_UPDATE: u8 = 8;
        let mut guard = guard();
        for _ in 0..1000 {
            guard.sent(1);
            guard.look(&frame(WINDOW_UPDATE, 4).repeat(2), 0).unwrap();
        }
    }
}
