//! Messages out of chunks and chunks out of messages.
//!
//! Owns framing and nothing above it: a [`Dechunker`] joins chunks inside the receive buffer, a [`MessageWriter`] cuts what is
//! encoded into chunks inside the send buffer. Neither allocates or keeps a byte of its own. Limits: a chunk carries
//! 65,535 bytes, a message what the caller allows; joined or not, a message of n bytes takes at most 3 n + 2 bytes of buffer,
//! which a peer reaches by sending one byte a chunk. Facts: Bolt specification, "message", chunking.
//!
//! ```text
//! message = chunk+ 00 00       chunk = [u16 size ≥ 1][size bytes]       NOOP = 00 00 between messages
//!
//! 00 02 B0 0F 00 00                    RESET in one chunk
//! 00 01 B0 00 01 0F 00 00              the same in two
//! ```

use alloc::vec::Vec;
use core::fmt;

use bolt_buf::BoltBuf;

use crate::encode::Output;
use crate::error::EncodeError;

/// Bytes of payload one chunk can carry.
pub const CHUNK_BYTES_MAX: usize = 0xFFFF;

/// A chunk's size, big-endian; also what ends a message, when zero.
const HEADER_BYTES: usize = 2;

/// What the bytes received so far amount to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Chunked {
    /// A whole message: its body is `unread[start..end]`. Use it, then consume `consumed` bytes.
    Message {
        /// First byte of the body.
        start: usize,
        /// End of the body.
        end: usize,
        /// Bytes that belonged to the message, headers included.
        consumed: usize,
    },
    /// Keep-alives, as many in a row as have come. Consume `consumed` bytes; half of that is their number.
    Noop {
        /// Bytes they took.
        consumed: usize,
    },
    /// Nothing whole yet.
    NeedMore {
        /// How many more bytes must come, at least, before there can be a message: reserve so much. Never 0.
        at_least: usize,
    },
}

/// A message is longer than allowed. The connection is of no further use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ChunkError {
    /// Offset, from the message's first chunk header, of the chunk that went too far.
    pub offset: usize,
    /// Bytes of payload with that chunk.
    pub message_bytes: usize,
    /// What is allowed.
    pub message_bytes_max: usize,
}

impl fmt::Display for ChunkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, message_bytes, message_bytes_max } = self;
        write!(
            f,
            "at byte {offset}: the message reaches {message_bytes} bytes with this chunk, allowed are {message_bytes_max}: \
             raise Limits::message_bytes_max if this is legitimate"
        )
    }
}

impl core::error::Error for ChunkError {}

/// Joins chunks in place. One per receive buffer; 32 bytes, no heap.
///
/// Positions are kept relative to the first unread byte, so the buffer may move or grow between calls. A message in one chunk, which is
/// nearly every message, is found by one comparison and stays where the kernel put it. The chunks of a longer one are moved down
/// over the headers between them as they arrive: each byte once, however the stream is cut.
///
/// ```
/// use bolt_wire::chunk::{Chunked, Dechunker};
/// let mut dechunker = Dechunker::new();
/// let mut unread = [0x00, 0x01, 0xB0, 0x00, 0x01, 0x0F, 0x00, 0x00];
/// assert_eq!(dechunker.next(&mut unread[..3], 64), Ok(Chunked::NeedMore { at_least: 2 }));
/// assert_eq!(dechunker.next(&mut unread, 64), Ok(Chunked::Message { start: 2, end: 4, consumed: 8 }));
/// assert_eq!(unread[2..4], [0xB0, 0x0F]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Dechunker {
    /// Raw bytes of the current message looked at so far; 0 = none begun. Then a header or chunk bytes follow.
    scanned: usize,
    /// Bytes of body joined so far, from `HEADER_BYTES` on.
    joined: usize,
    /// Bytes still missing from the chunk that `scanned` stands in.
    chunk_left: usize,
}

impl Dechunker {
    /// A dechunker at the border between two messages.
    #[must_use]
    pub const fn new() -> Self {
        Self { scanned: 0, joined: 0, chunk_left: 0 }
    }

    /// Forgets a half-received message, for a buffer that was emptied.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// Whether part of a message that is not complete has been looked at.
    #[must_use]
    pub const fn is_inside_message(&self) -> bool {
        self.scanned != 0
    }

    /// Looks at all unread bytes of the receive buffer, beginning with those it saw before.
    ///
    /// After a message or keep-alives the caller consumes the bytes named before the next call: the joined body is lost by a
    /// second look. Between calls the unread bytes may move, but not change.
    ///
    /// # Errors
    /// A message goes beyond `message_bytes_max`; known from the header of the chunk that does it.
    #[inline]
    pub fn next(&mut self, unread: &mut [u8], message_bytes_max: usize) -> Result<Chunked, ChunkError> {
        // The hot path: a message begins here, in one chunk, and is complete.
        if self.scanned == 0
            && let Some(&[high, low]) = unread.first_chunk()
        {
            let size = usize::from(u16::from_be_bytes([high, low]));
            let end = HEADER_BYTES + size;
            if size != 0
                && size <= message_bytes_max
                && unread.get(end..).and_then(<[u8]>::first_chunk) == Some(&[0, 0])
            {
                return Ok(Chunked::Message { start: HEADER_BYTES, end, consumed: end + HEADER_BYTES });
            }
        }
        self.next_slow(unread, message_bytes_max)
    }

    #[inline(never)]
    fn next_slow(&mut self, unread: &mut [u8], message_bytes_max: usize) -> Result<Chunked, ChunkError> {
        if self.scanned == 0 {
            let noops = unread.chunks_exact(HEADER_BYTES).take_while(|pair| *pair == [0, 0]).count();
            if noops > 0 {
                return Ok(Chunked::Noop { consumed: noops * HEADER_BYTES });
            }
        }
        loop {
            // Move what has come of the current chunk down to the rest of the body.
            let present = self.chunk_left.min(unread.len().saturating_sub(self.scanned));
            let body_end = HEADER_BYTES + self.joined;
            if present > 0 && body_end != self.scanned {
                unread.copy_within(self.scanned..self.scanned + present, body_end);
            }
            self.scanned += present;
            self.joined += present;
            self.chunk_left -= present;
            if self.chunk_left > 0 {
                // The rest of the chunk, and the header of the next or the end.
                return Ok(Chunked::NeedMore { at_least: self.chunk_left + HEADER_BYTES });
            }
            let Some(&[high, low]) = unread.get(self.scanned..).and_then(<[u8]>::first_chunk) else {
                let present = unread.len().saturating_sub(self.scanned);
                return Ok(Chunked::NeedMore { at_least: HEADER_BYTES - present });
            };
            let size = usize::from(u16::from_be_bytes([high, low]));
            if size == 0 {
                let done = Chunked::Message {
                    start: HEADER_BYTES,
                    end: HEADER_BYTES + self.joined,
                    consumed: self.scanned + HEADER_BYTES,
                };
                self.reset();
                return Ok(done);
            }
            if size > message_bytes_max.saturating_sub(self.joined) {
                return Err(ChunkError {
                    offset: self.scanned,
                    message_bytes: self.joined + size,
                    message_bytes_max,
                });
            }
            self.scanned += HEADER_BYTES;
            self.chunk_left = size;
        }
    }
}

/// The whole messages that lie in received bytes, without joining or consuming any: to see what is coming.
///
/// Cost: one look per chunk. Keep-alives are passed over; a message that is not complete ends the iteration.
#[must_use]
pub fn look_ahead(unread: &[u8]) -> LookAhead<'_> {
    LookAhead { unread, at: 0 }
}

/// See [`look_ahead`].
#[derive(Clone, Debug)]
pub struct LookAhead<'a> {
    unread: &'a [u8],
    at: usize,
}

/// A whole message further on in the receive buffer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ahead<'a> {
    /// The bytes of its first chunk: all of the body, for a message in one chunk.
    pub first_chunk: &'a [u8],
    /// Whether that is all.
    pub is_whole: bool,
    /// Offset, among the bytes looked at, where the next message begins.
    pub end: usize,
}

impl<'a> Iterator for LookAhead<'a> {
    type Item = Ahead<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let mut at = self.at;
        let mut first: Option<&'a [u8]> = None;
        let mut chunks = 0_usize;
        loop {
            let &[high, low] = self.unread.get(at..)?.first_chunk()?;
            at += HEADER_BYTES;
            let size = usize::from(u16::from_be_bytes([high, low]));
            match first {
                Some(first_chunk) if size == 0 => {
                    self.at = at;
                    return Some(Ahead { first_chunk, is_whole: chunks == 1, end: at });
                }
                None if size == 0 => continue,
                _ => {}
            }
            let chunk = self.unread.get(at..at + size)?;
            first = first.or(Some(chunk));
            chunks += 1;
            at += size;
        }
    }
}

/// A buffer into which a message is written chunk by chunk: one that can go back to what it holds already.
///
/// Positions count from the first byte the buffer holds, and stay valid while it is only appended to.
pub trait ChunkOutput: Output {
    /// Bytes held.
    fn position(&self) -> usize;

    /// Overwrites the two bytes at `at`, which were written before.
    fn patch(&mut self, at: usize, bytes: [u8; 2]);

    /// Forgets everything from `position` on.
    fn truncate(&mut self, position: usize);
}

impl ChunkOutput for Vec<u8> {
    #[inline]
    fn position(&self) -> usize {
        self.len()
    }

    #[inline]
    fn patch(&mut self, at: usize, bytes: [u8; 2]) {
        if let Some(place) = self.get_mut(at..at + 2) {
            place.copy_from_slice(&bytes);
        }
    }

    fn truncate(&mut self, position: usize) {
        Self::truncate(self, position);
    }
}

impl ChunkOutput for BoltBuf {
    #[inline]
    fn position(&self) -> usize {
        self.len()
    }

    #[inline]
    fn patch(&mut self, at: usize, bytes: [u8; 2]) {
        let patched = self.write_at(at, &bytes);
        debug_assert!(patched.is_ok(), "a header is patched where it was written");
    }

    fn truncate(&mut self, position: usize) {
        Self::truncate(self, position);
    }
}

impl<B: ChunkOutput + ?Sized> ChunkOutput for &mut B {
    #[inline]
    fn position(&self) -> usize {
        (**self).position()
    }

    #[inline]
    fn patch(&mut self, at: usize, bytes: [u8; 2]) {
        (**self).patch(at, bytes);
    }

    fn truncate(&mut self, position: usize) {
        (**self).truncate(position);
    }
}

/// Writes one message in chunks, as it is encoded: headers are put in front and filled in later, nothing is moved.
///
/// Dropped before [`finish`](Self::finish), for instance by an error half-way, it takes back all it wrote. Several messages may
/// follow one another in the same buffer and leave in one write.
///
/// ```
/// use bolt_wire::{chunk::MessageWriter, Output};
/// let mut flight = Vec::new();
/// let mut message = MessageWriter::begin(&mut flight).unwrap();
/// message.write(&[0xB0, 0x0F]).unwrap();
/// message.finish().unwrap();
/// assert_eq!(flight, [0x00, 0x02, 0xB0, 0x0F, 0x00, 0x00]);
/// drop(MessageWriter::begin(&mut flight).unwrap());
/// assert_eq!(flight.len(), 6);
/// ```
#[derive(Debug)]
pub struct MessageWriter<'b, B: ChunkOutput> {
    out: &'b mut B,
    /// Where the message begins.
    begin: usize,
    /// Where the header of the open chunk stands.
    header: usize,
    /// Bytes in the open chunk.
    chunk: usize,
    finished: bool,
}

impl<'b, B: ChunkOutput> MessageWriter<'b, B> {
    /// Begins a message behind what `out` holds.
    ///
    /// # Errors
    /// `out` is full.
    #[inline]
    pub fn begin(out: &'b mut B) -> Result<Self, EncodeError> {
        let begin = out.position();
        out.write(&[0, 0])?;
        Ok(Self { out, begin, header: begin, chunk: 0, finished: false })
    }

    /// Ends the message and returns how many bytes it took, headers included.
    ///
    /// A message without a byte of body would be a keep-alive; it is taken back instead, and 0 returned.
    ///
    /// # Errors
    /// `out` is full; the message was taken back.
    #[inline]
    pub fn finish(mut self) -> Result<usize, EncodeError> {
        if self.header == self.begin && self.chunk == 0 {
            return Ok(0);
        }
        self.close_chunk();
        self.out.write(&[0, 0])?;
        self.finished = true;
        Ok(self.out.position() - self.begin)
    }

    /// Takes the message back. Dropping does the same.
    pub fn abandon(self) {}

    /// Bytes of payload so far.
    #[must_use]
    pub fn body_len(&self) -> usize {
        // All chunks but the open one are full.
        let full = (self.header - self.begin) / (HEADER_BYTES + CHUNK_BYTES_MAX);
        full * CHUNK_BYTES_MAX + self.chunk
    }

    #[inline]
    fn close_chunk(&mut self) {
        // A chunk never passes CHUNK_BYTES_MAX, which fits.
        self.out.patch(self.header, (self.chunk as u16).to_be_bytes());
    }

    #[inline(never)]
    fn write_across(&mut self, mut bytes: &[u8]) -> Result<(), EncodeError> {
        // All or nothing: what was written before a failure is taken back to where this call found it.
        let (position, header, chunk) = (self.out.position(), self.header, self.chunk);
        let written = (|| {
            while !bytes.is_empty() {
                if self.chunk == CHUNK_BYTES_MAX {
                    self.close_chunk();
                    self.header = self.out.position();
                    self.chunk = 0;
                    self.out.write(&[0, 0])?;
                }
                let (now, later) = bytes.split_at(bytes.len().min(CHUNK_BYTES_MAX - self.chunk));
                self.out.write(now)?;
                self.chunk += now.len();
                bytes = later;
            }
            Ok(())
        })();
        if written.is_err() {
            self.out.truncate(position);
            (self.header, self.chunk) = (header, chunk);
        }
        written
    }
}

impl<B: ChunkOutput> Output for MessageWriter<'_, B> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        if bytes.len() <= CHUNK_BYTES_MAX - self.chunk {
            self.out.write(bytes)?;
            self.chunk += bytes.len();
            return Ok(());
        }
        self.write_across(bytes)
    }
}

impl<B: ChunkOutput> Drop for MessageWriter<'_, B> {
    #[inline]
    fn drop(&mut self) {
        if !self.finished {
            self.out.truncate(self.begin);
        }
    }
}

/// Writes one keep-alive.
///
/// # Errors
/// `out` is full.
pub fn write_noop<O: Output>(out: &mut O) -> Result<(), EncodeError> {
    out.write(&[0, 0])
}
