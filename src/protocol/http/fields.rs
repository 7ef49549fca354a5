//! A list of header fields: one buffer for all bytes, and where in it each is.
//!
//! Nothing comes in that could end a line: a value that a stranger has a say in cannot split a message. Each name and each value is
//! followed by a NUL, so that both can be lent to C as they are.

use crate::status::{Result, Status};
use std::ops::Range;

/// See the module. Emptied, it keeps its room, so that one list serves all the messages of a connection without an allocation.
#[derive(Default)]
pub struct Fields {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy)]
struct Entry {
    start: u32,
    /// The value begins one after it.
    name_end: u32,
    end: u32,
}

impl Entry {
    fn name(self) -> Range<usize> {
        self.start as usize..self.name_end as usize
    }

    fn value(self) -> Range<usize> {
        self.name_end as usize + 1..self.end as usize
    }
}

/// What a byte may be a part of.
const TOKEN: u8 = 1;
const VALUE: u8 = 2;

const KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let is_token = matches!(byte as u8, b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'!' | b'#'..=b'\'' | b'*' | b'+')
            || matches!(byte as u8, b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~');
        let is_value = byte == 9 || byte >= 32 && byte != 127;
        kinds[byte] = is_token as u8 * TOKEN + is_value as u8 * VALUE;
        byte += 1;
    }
    kinds
};

/// Whether these bytes are a token, as a method and a field's name are (RFC 9110, 5.6.2).
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| KINDS[*byte as usize] & TOKEN != 0)
}

/// Whether a field's value may be so: no control character but the tabulator (RFC 9110, 5.5).
pub fn is_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| KINDS[*byte as usize] & VALUE != 0)
}

/// Without the spaces and tabulators around it.
pub fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The elements of a list with commas, empty ones left out. Commas in quotes are none.
pub fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    let is_comma = move |byte: &u8| {
        let was_escaped = std::mem::take(&mut escaped);
        match byte {
            b'\\' => escaped = quoted && !was_escaped,
            b'"' if !was_escaped => quoted = !quoted,
            _ => {}
        }
        *byte == b',' && !quoted
    };
    list.split(is_comma).map(trim).filter(|element| !element.is_empty())
}

impl Fields {
    /// A list without fields.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), entries: Vec::new() }
    }

    /// Takes all out, and keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many bytes the names and values have.
    pub fn size(&self) -> usize {
        self.bytes.len() - 2 * self.entries.len()
    }

    /// Adds a field at the end, with its value trimmed. [`Status::ERR_INVALID_ARGUMENT`]: the name is no token, or the value has a
    /// control character, such as CR, LF or NUL.
    pub fn add(&mut self, name: &[u8], value: &[u8]) -> Result {
        check(name, value)?;
        self.push(name, trim(value))
    }

    /// The same with what a strict parser has found to be a name and a value.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> Result {
        let length = name.len() + value.len() + 2;
        if self.bytes.len() + length > u32::MAX as usize {
            return Err(Status::ERR_TOO_LONG);
        }
        self.entries.try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
        self.bytes.try_reserve(length).map_err(|_| Status::ERR_NO_MEMORY)?;
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(name);
        self.bytes.push(0);
        self.bytes.extend_from_slice(value);
        self.bytes.push(0);
        let name_end = start + name.len() as u32;
        self.entries.push(Entry { start, name_end, end: self.bytes.len() as u32 - 1 });
        Ok(())
    }

    /// One field of that name in place of those there are.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result {
        check(name, value)?;
        self.remove(name);
        self.push(name, trim(value))
    }

    /// Takes all fields of that name out, and answers how many there were. Their bytes stay until the list is emptied.
    pub fn remove(&mut self, name: &[u8]) -> usize {
        let before = self.entries.len();
        let bytes = &self.bytes;
        self.entries.retain(|entry| !bytes[entry.name()].eq_ignore_ascii_case(name));
        before - self.entries.len()
    }

    /// Name and value of the field at `index`.
    pub fn at(&self, index: usize) -> Option<(&[u8], &[u8])> {
        self.entries.get(index).map(|entry| (&self.bytes[entry.name()], &self.bytes[entry.value()]))
    }

    /// All names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries.iter().map(|entry| (&self.bytes[entry.name()], &self.bytes[entry.value()]))
    }

    /// The value of the first field of that name.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// The values of all fields of that name.
    pub fn all<'a, 'n>(&'a self, name: &'n [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        let of_name = move |entry: &&Entry| {
            (entry.name_end - entry.start) as usize == name.len() && self.bytes[entry.name()].eq_ignore_ascii_case(name)
        };
        self.entries.iter().filter(of_name).map(|entry| &self.bytes[entry.value()])
    }

    /// Whether there is a field of that name.
    pub fn has(&self, name: &[u8]) -> bool {
        self.get(name).is_some()
    }

    /// Whether a field of that name, a list with commas, has this element, in any case.
    pub fn lists(&self, name: &[u8], element: &[u8]) -> bool {
        self.all(name).flat_map(elements).any(|listed| listed.eq_ignore_ascii_case(element))
    }

    /// Adds the fields as they are sent, each on its line, to `out`.
    pub fn write(&self, out: &mut Vec<u8>) -> Result {
        out.try_reserve(self.bytes.len() + 2 * self.entries.len()).map_err(|_| Status::ERR_NO_MEMORY)?;
        for (name, value) in self.iter() {
            write_field(out, name, value);
        }
        Ok(())
    }

    /// A copy.
    pub fn copy(&self) -> Result<Self> {
        let mut copy = Self::new();
        copy.bytes.try_reserve_exact(self.bytes.len()).map_err(|_| Status::ERR_NO_MEMORY)?;
        copy.entries.try_reserve_exact(self.entries.len()).map_err(|_| Status::ERR_NO_MEMORY)?;
        copy.bytes.extend_from_slice(&self.bytes);
        copy.entries.extend_from_slice(&self.entries);
        Ok(copy)
    }
}

/// Adds one field as it is sent to `out`.
pub fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn check(name: &[u8], value: &[u8]) -> Result {
    if !is_token(name) {
        return Err(refused(format_args!("the header's name \"{}\" is no token", name.escape_ascii())));
    }
    if !is_value(value) {
        let name = name.escape_ascii();
        return Err(refused(format_args!("the header {name} has a control character in its value")));
    }
    Ok(())
}

#[cold]
fn refused(why: std::fmt::Arguments) -> Status {
    Status::ERR_INVALID_ARGUMENT.because(why)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// These fields.
    pub fn of(fields: &[(&str, &str)]) -> Fields {
        let mut list = Fields::new();
        for (name, value) in fields {
            assert_eq!(list.add(name.as_bytes(), value.as_bytes()), Ok(()));
        }
        list
    }

    #[test]
    fn a_name_is_found_in_any_case_and_the_order_is_kept() {
        let list = of(&[("Host", "a"), ("Accept", " x \t"), ("ACCEPT", "y")]);
        assert_eq!(list.get(b"host"), Some(&b"a"[..]));
        assert_eq!(list.all(b"accept").collect::<Vec<_>>(), [b"x", b"y"]);
        assert_eq!(list.get(b"hos"), None);
        assert_eq!(list.at(2), Some((&b"ACCEPT"[..], &b"y"[..])));
        assert_eq!(list.at(3), None);
        assert_eq!(list.size(), "HostaAcceptxACCEPTy".len());
    }

    #[test]
    fn nothing_that_ends_a_line_comes_in() {
        let mut list = Fields::new();
        for byte in 0..=255_u8 {
            let value = [b'a', byte, b'b'];
            let may = byte == b'\t' || byte >= b' ' && byte != 127;
            assert_eq!(list.add(b"x", &value).is_ok(), may, "{byte} in a value");
            let may = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(list.add(&value, b"").is_ok(), may, "{byte} in a name");
            assert_eq!(list.set(&value, b"").is_ok(), may, "{byte} in a name");
        }
        assert_eq!(list.add(b"", b"x"), Err(Status::ERR_INVALID_ARGUMENT));
        assert_eq!(list.add(b"x", b"1\r\nSet-Cookie: y"), Err(Status::ERR_INVALID_ARGUMENT));
    }

    #[test]
    fn set_replaces_all_and_remove_counts() {
        let mut list = of(&[("a", "1"), ("b", "2"), ("A", "3")]);
        assert_eq!(list.set(b"a", b"4"), Ok(()));
        assert_eq!(list.iter().collect::<Vec<_>>(), [(&b"b"[..], &b"2"[..]), (b"a", b"4")]);
        assert_eq!((list.remove(b"B"), list.remove(b"B"), list.len()), (1, 0, 1));
        list.clear();
        assert!(list.is_empty() && !list.has(b"a"));
    }

    #[test]
    fn lists_are_read_across_fields() {
        let list = of(&[("connection", "keep-alive, Upgrade"), ("Connection", ",,x")]);
        assert!(list.lists(b"Connection", b"upgrade") && list.lists(b"Connection", b"X"));
        assert!(!list.lists(b"Connection", b"keep"));
        let quoted = elements(b"a=\"x, y\", b=\"\\\"\", c").collect::<Vec<_>>();
        assert_eq!(quoted, [&b"a=\"x, y\""[..], b"b=\"\\\"\"", b"c"]);
    }

    #[test]
    fn they_are_sent_each_on_its_line() {
        let mut out = Vec::new();
        assert_eq!(of(&[("a", "1"), ("b", "")]).write(&mut out), Ok(()));
        assert_eq!(out, b"a: 1\r\nb: \r\n");
    }

    #[test]
    fn c_can_read_names_and_values_as_they_are() {
        let list = of(&[("name", "value")]);
        assert_eq!(list.bytes, b"name\0value\0");
        let (name, value) = list.at(0).expect("it is there");
        assert_eq!((name.len(), value.len()), (4, 5));
    }
}
