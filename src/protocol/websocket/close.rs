//! Close frames: RFC 6455, sections 5.5.1 and 7.4.

use super::Broken;

/// It is done with.
pub const NORMAL: u16 = 1000;
/// A server goes down, or a page is left.
pub const GOING_AWAY: u16 = 1001;
/// The peer broke the protocol.
pub const PROTOCOL_ERROR: u16 = 1002;
/// The close frame had no code; never sent.
pub const NO_CODE: u16 = 1005;
/// There was no close frame; never sent.
pub const ABNORMAL: u16 = 1006;
/// A message is not what its kind says: no UTF-8.
pub const BAD_DATA: u16 = 1007;
/// A message is too big.
pub const TOO_BIG: u16 = 1009;
/// Something inside failed.
pub const INTERNAL_ERROR: u16 = 1011;

/// The longest reason.
pub const LONGEST_REASON: usize = 123;

/// Whether a close frame may have this code.
pub fn is_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The code and the reason of a close frame; None of an empty one.
pub fn read(body: &[u8]) -> Result<Option<(u16, &str)>, Broken> {
    let (code, reason) = match body {
        [] => return Ok(None),
        [_] => return Err(Broken::protocol("a close frame has half a code")),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    if !is_code(code) {
        return Err(Broken { code: PROTOCOL_ERROR, why: format!("a close frame has the code {code}").into() });
    }
    match std::str::from_utf8(reason) {
        Ok(reason) => Ok(Some((code, reason))),
        Err(_) => Err(Broken::utf8("the reason of a close frame is not valid UTF-8")),
    }
}

/// The body of a close frame; a reason that is too long is cut between two characters.
pub fn write(code: Option<u16>, reason: &str) -> Vec<u8> {
    let Some(code) = code else { return Vec::new() };
    let mut end = reason.len().min(LONGEST_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    [&code.to_be_bytes(), &reason.as_bytes()[..end]].concat()
}
