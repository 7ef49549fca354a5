//! UTF-8 that comes in pieces: what is wrong is found with the first byte that makes it so.

use std::str::from_utf8;

/// Looks at the pieces of a text; keeps a character that is not whole yet.
#[derive(Clone, Default)]
pub struct Utf8 {
    begun: [u8; 4],
    length: usize,
}

impl Utf8 {
    /// Looks at the next piece. False: no text begins with what came so far.
    pub fn feed(&mut self, mut data: &[u8]) -> bool {
        while self.length != 0 {
            let Some((byte, rest)) = data.split_first() else { return true };
            data = rest;
            self.begun[self.length] = *byte;
            self.length += 1;
            match from_utf8(&self.begun[..self.length]) {
                Ok(_) => self.length = 0,
                Err(why) if why.error_len().is_none() => {}
                Err(_) => return false,
            }
        }
        match from_utf8(data) {
            Ok(_) => true,
            Err(why) if why.error_len().is_none() => {
                let begun = &data[why.valid_up_to()..];
                self.begun[..begun.len()].copy_from_slice(begun);
                self.length = begun.len();
                true
            }
            Err(_) => false,
        }
    }

    /// Whether the text may end here.
    pub fn is_whole(&self) -> bool {
        self.length == 0
    }
}
