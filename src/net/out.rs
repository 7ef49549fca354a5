//! What waits to be written: small writes copied together, large ones as they are, files and descriptors in their place.

use crate::driver::sockets::Sockets;
use crate::handles::Word;
use crate::platform::{self, Socket};
use crate::status::{Result, Status};
use std::collections::VecDeque;
use std::io::{self, IoSlice};

/// Small writes are copied together in pieces of this size.
const CHUNK: usize = 16 * 1024;
/// Parts given to the system at once.
const PARTS: usize = 64;
/// So much of a file is sent at once.
const FILE: usize = 1024 * 1024;

/// A descriptor of the library's own, closed when it is dropped.
pub struct OwnDescriptor(pub Socket);

impl OwnDescriptor {
    /// The descriptor, closed by somebody else from here on.
    pub fn into_socket(self) -> Socket {
        let socket = self.0;
        std::mem::forget(self);
        socket
    }
}

impl Drop for OwnDescriptor {
    fn drop(&mut self) {
        platform::close_file(self.0);
    }
}

/// Something that waits.
pub enum Part {
    /// Bytes.
    Bytes(Vec<u8>),
    /// A part of a file; the Deferred is told when it is sent.
    File {
        /// The file.
        file: OwnDescriptor,
        /// Where it goes on.
        offset: u64,
        /// How much is left.
        left: u64,
        /// Who is told.
        deferred: Word,
    },
    /// A descriptor, which goes with the byte behind it.
    Descriptor(OwnDescriptor),
}

/// See the module.
#[derive(Default)]
pub struct Out {
    parts: VecDeque<Part>,
    /// How much of the first part is written.
    offset: usize,
    /// Bytes that wait, those of files included.
    length: u64,
    /// An empty buffer for what comes next.
    spare: Vec<u8>,
}

/// What a try to write came to.
pub enum Sent {
    /// So many bytes went out; whether that was less than was offered, so that there is no more room.
    Some(usize, bool),
    /// Of a file or a part nothing is left, and somebody waits to be told: the Deferred, and whether all was there.
    File(Word, bool),
    /// Nothing can go out before more is written.
    Nothing,
}

impl Out {
    /// Bytes that wait.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Whether nothing waits: at most an emptied buffer is there.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.length == 0
            && match self.parts.front() {
                None => true,
                Some(Part::Bytes(_)) => self.parts.len() == 1,
                Some(_) => false,
            }
    }

    /// Whether a file comes next.
    pub fn begins_with_file(&self) -> bool {
        matches!(self.parts.front(), Some(Part::File { .. }))
    }

    /// Whether a file comes next of which all is sent.
    pub fn begins_with_done_file(&self) -> bool {
        matches!(self.parts.front(), Some(Part::File { left: 0, .. }))
    }

    /// Adds bytes where there is room for them already.
    #[inline(always)]
    pub fn push_quickly(&mut self, data: &[u8]) -> Option<()> {
        match self.parts.back_mut() {
            Some(Part::Bytes(last)) if last.capacity() - last.len() >= data.len() => {
                last.extend_from_slice(data);
                self.length += data.len() as u64;
                Some(())
            }
            _ => None,
        }
    }

    /// Adds bytes.
    pub fn push(&mut self, data: &[u8]) -> Result {
        let no_memory = |_| Status::ERR_NO_MEMORY;
        if self.push_quickly(data).is_some() {
            return Ok(());
        }
        if self.is_empty() {
            self.parts.clear();
        }
        self.parts.try_reserve(1).map_err(no_memory)?;
        let mut bytes = std::mem::take(&mut self.spare);
        bytes.try_reserve_exact(data.len().max(CHUNK)).map_err(no_memory)?;
        bytes.extend_from_slice(data);
        self.parts.push_back(Part::Bytes(bytes));
        self.length += data.len() as u64;
        Ok(())
    }

    /// Adds a part of a file, or a descriptor.
    pub fn push_part(&mut self, part: Part) -> Result {
        self.parts.try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
        if self.is_empty() {
            self.parts.clear();
        }
        if let Part::File { left, .. } = &part {
            self.length += left;
        }
        self.parts.push_back(part);
        Ok(())
    }

    /// What waits, if it is bytes in one piece, of which none has gone out yet.
    #[inline(always)]
    pub fn in_one_piece(&self) -> Option<&[u8]> {
        match self.parts.front() {
            Some(Part::Bytes(bytes)) if self.offset == 0 && self.parts.len() == 1 && bytes.capacity() <= CHUNK => {
                Some(bytes)
            }
            _ => None,
        }
    }

    /// The same of bytes in one piece, which most writes are.
    #[inline]
    fn send_one<S: Sockets + ?Sized>(&mut self, sockets: &S, socket: Socket, most: usize) -> Option<io::Result<Sent>> {
        let (1, Some(Part::Bytes(bytes))) = (self.parts.len(), self.parts.front()) else { return None };
        let bytes = &bytes[self.offset..];
        let offered = bytes.len().min(most);
        let sent = sockets.send(socket, &bytes[..offered]);
        Some(sent.map(|sent| {
            self.advance(sent);
            Sent::Some(sent, sent < offered)
        }))
    }

    /// Writes what there is room for, with `more` behind it; `most` bytes at most.
    #[inline]
    pub fn send<S: Sockets + ?Sized>(
        &mut self,
        sockets: &S,
        socket: Socket,
        more: &[u8],
        most: usize,
    ) -> io::Result<Sent> {
        let one = if more.is_empty() { self.send_one(sockets, socket, most) } else { None };
        one.unwrap_or_else(|| self.send_parts(sockets, socket, more, most))
    }

    fn send_parts<S: Sockets + ?Sized>(
        &mut self,
        sockets: &S,
        socket: Socket,
        more: &[u8],
        most: usize,
    ) -> io::Result<Sent> {
        match self.parts.front_mut() {
            Some(Part::File { left: 0, .. }) => self.file_done(true),
            Some(Part::File { file, offset, left, .. }) => {
                let length = (*left).min(FILE.min(most) as u64) as usize;
                match send_file(sockets, socket, file.0, *offset, length) {
                    Ok(0) => self.file_done(false),
                    Ok(sent) => {
                        (*offset, *left) = (*offset + sent as u64, *left - sent as u64);
                        self.length -= sent as u64;
                        // Less may be all that was read of the file.
                        Ok(Sent::Some(sent, false))
                    }
                    Err(error) => Err(error),
                }
            }
            Some(Part::Descriptor(_)) => self.send_descriptor(sockets, socket),
            Some(Part::Bytes(_)) => self.send_bytes(sockets, socket, more, most),
            None => Ok(Sent::Nothing),
        }
    }

    fn file_done(&mut self, whole: bool) -> io::Result<Sent> {
        match self.parts.pop_front() {
            Some(Part::File { left, deferred, .. }) => {
                self.length -= left;
                Ok(Sent::File(deferred, whole))
            }
            _ => Ok(Sent::Nothing),
        }
    }

    /// With the first byte behind it: that is what carries it.
    fn send_descriptor<S: Sockets + ?Sized>(&mut self, sockets: &S, socket: Socket) -> io::Result<Sent> {
        let (Some(Part::Descriptor(descriptor)), Some(Part::Bytes(bytes))) = (self.parts.front(), self.parts.get(1))
        else {
            return Ok(Sent::Nothing);
        };
        let sent = sockets.send_with_descriptor(socket, bytes, descriptor.0)?;
        self.parts.pop_front();
        self.advance(sent);
        Ok(Sent::Some(sent, false))
    }

    #[inline(never)]
    fn send_bytes<S: Sockets + ?Sized>(
        &mut self,
        sockets: &S,
        socket: Socket,
        more: &[u8],
        most: usize,
    ) -> io::Result<Sent> {
        let mut parts = [IoSlice::new(&[]); PARTS];
        let mut count = 0;
        let mut left = most;
        let mut skip = self.offset;
        let mut only_bytes = true;
        for part in &self.parts {
            let Part::Bytes(bytes) = part else {
                only_bytes = false;
                break;
            };
            if count == PARTS || left == 0 {
                only_bytes = false;
                break;
            }
            let bytes = &bytes[std::mem::take(&mut skip)..];
            let bytes = &bytes[..bytes.len().min(left)];
            left -= bytes.len();
            parts[count] = IoSlice::new(bytes);
            count += 1;
        }
        if only_bytes && !more.is_empty() && count < PARTS && left != 0 {
            parts[count] = IoSlice::new(&more[..more.len().min(left)]);
            count += 1;
        }
        let offered = parts[..count].iter().map(|part| part.len()).sum::<usize>();
        let sent = match &parts[..count] {
            [one] => sockets.send(socket, one)?,
            several => sockets.send_parts(socket, several)?,
        };
        // Of what was given beside nothing is kept here.
        self.advance(sent);
        Ok(Sent::Some(sent, sent < offered))
    }

    /// So many bytes of what is here are written; what is more was given beside.
    #[inline]
    pub fn advance(&mut self, mut sent: usize) {
        while let (count, Some(Part::Bytes(bytes))) = (self.parts.len(), self.parts.front_mut()) {
            let left = bytes.len() - self.offset;
            if sent < left {
                self.offset += sent;
                self.length -= sent as u64;
                return;
            }
            sent -= left;
            self.length -= left as u64;
            self.offset = 0;
            if count == 1 && bytes.capacity() <= CHUNK {
                // Stays, for what comes next.
                return bytes.clear();
            }
            if let Some(Part::Bytes(mut emptied)) = self.parts.pop_front() {
                if emptied.capacity() <= CHUNK {
                    emptied.clear();
                    self.spare = emptied;
                }
            }
        }
    }

    /// Takes what waits, if it is bytes alone.
    pub fn take_bytes(&mut self) -> Option<Vec<u8>> {
        let mut whole = Vec::new();
        let mut offset = self.offset;
        for part in &self.parts {
            let Part::Bytes(bytes) = part else { return None };
            whole.extend_from_slice(&bytes[std::mem::take(&mut offset)..]);
        }
        self.clear();
        Some(whole)
    }

    /// Ends all that waits; returns the Deferreds of files that were not sent.
    pub fn clear(&mut self) -> Vec<Word> {
        let parts = std::mem::take(&mut self.parts);
        (self.offset, self.length) = (0, 0);
        let waiting = |part| if let Part::File { deferred, .. } = part { Some(deferred) } else { None };
        parts.into_iter().filter_map(waiting).collect()
    }
}

/// Without copying where the system can; else by way of a buffer.
fn send_file<S: Sockets + ?Sized>(
    sockets: &S,
    socket: Socket,
    file: Socket,
    offset: u64,
    length: usize,
) -> io::Result<usize> {
    match sockets.send_file(socket, file, offset, length) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported || error.kind() == io::ErrorKind::InvalidInput => {
            let mut buffer = [0; 16 * 1024];
            let length = length.min(buffer.len());
            match platform::read_at(file, &mut buffer[..length], offset)? {
                0 => Ok(0),
                read => sockets.send(socket, &buffer[..read]),
            }
        }
        done => done,
    }
}
