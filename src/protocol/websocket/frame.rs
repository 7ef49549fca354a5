//! Frames: RFC 6455, section 5.2. What a head says, how one is written, and the mask.

use super::{Broken, Role};

/// The longest head: two bytes, a length of eight, a masking key of four.
pub const LONGEST_HEAD: usize = 14;
/// The longest body of a control frame.
pub const LONGEST_CONTROL: usize = 125;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "named as in the RFC")]
pub enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    /// Whether it may come between the fragments of a message.
    pub fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

/// What the head of a frame says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// No fragment of the message follows.
    pub is_last: bool,
    /// The first reserved bit, which permessage-deflate uses.
    pub compressed: bool,
    /// What it is.
    pub opcode: Opcode,
    /// The masking key of what a client sends.
    pub key: Option<[u8; 4]>,
    /// Bytes of its body.
    pub length: u64,
}

/// How many bytes a head has that begins with these two.
pub fn head_length(second: u8) -> usize {
    let length = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + length + if second & 0x80 != 0 { 4 } else { 0 }
}

impl Head {
    /// Reads a whole head that has come to this role. What breaks the rules of the protocol at any time does so here.
    pub fn read(bytes: &[u8], role: Role) -> Result<Self, Broken> {
        let (first, second) = (bytes[0], bytes[1]);
        if first & 0x30 != 0 {
            return Err(Broken::protocol("a frame has a reserved bit set"));
        }
        let opcode = Opcode::from_bits(first & 0x0f);
        let opcode = opcode.ok_or_else(|| Broken::protocol("a frame has a reserved opcode"))?;
        let is_masked = second & 0x80 != 0;
        if is_masked != (role == Role::Server) {
            let why = if is_masked { "a frame of the server is masked" } else { "a frame of the client is not masked" };
            return Err(Broken::protocol(why));
        }
        let (length, at) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes([bytes[2], bytes[3]])), 4),
            127 => (bytes[2..10].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)), 10),
            short => (u64::from(short), 2),
        };
        let shortest = match length {
            0..=125 => 2,
            126..=0xffff => 4,
            _ => 10,
        };
        if at != shortest || length >> 63 != 0 {
            return Err(Broken::protocol("a frame's length is not written as it must be"));
        }
        let head = Self {
            is_last: first & 0x80 != 0,
            compressed: first & 0x40 != 0,
            opcode,
            key: is_masked.then(|| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]),
            length,
        };
        if opcode.is_control() && (!head.is_last || length > LONGEST_CONTROL as u64) {
            let why = if head.is_last { "a control frame is too long" } else { "a control frame is fragmented" };
            return Err(Broken::protocol(why));
        }
        Ok(head)
    }

    /// As it goes out.
    pub fn write(&self) -> HeadBytes {
        let mut head = HeadBytes { bytes: [0; LONGEST_HEAD], length: 2 };
        head.bytes[0] = u8::from(self.is_last) << 7 | u8::from(self.compressed) << 6 | self.opcode as u8;
        let short = match self.length {
            0..=125 => self.length as u8,
            126..=0xffff => {
                head.add(&(self.length as u16).to_be_bytes());
                126
            }
            _ => {
                head.add(&self.length.to_be_bytes());
                127
            }
        };
        head.bytes[1] = short | u8::from(self.key.is_some()) << 7;
        if let Some(key) = &self.key {
            head.add(key);
        }
        head
    }
}

/// The bytes of a head.
pub struct HeadBytes {
    bytes: [u8; LONGEST_HEAD],
    length: usize,
}

impl HeadBytes {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes[self.length..][..bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }
}

impl std::ops::Deref for HeadBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Masks or unmasks what is `at` bytes into its frame, a word at a time.
pub fn mask(data: &mut [u8], key: [u8; 4], at: u64) {
    let mut turned = key;
    turned.rotate_left((at % 4) as usize);
    let word = u64::from(u32::from_ne_bytes(turned));
    let word = word | word << 32;
    let mut words = data.chunks_exact_mut(8);
    for chunk in &mut words {
        let masked = u64::from_ne_bytes(chunk.try_into().unwrap_or_default()) ^ word;
        chunk.copy_from_slice(&masked.to_ne_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(turned.iter().cycle()) {
        *byte ^= key;
    }
}
