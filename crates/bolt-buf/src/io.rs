//! The buffer between readers and writers of `std::io`: one read call into the tail, and the traits.
//!
//! Owns nothing. Never calls a reader twice in one fill, and never believes what it returns before checking it.

use core::error::Error;
use core::fmt;
use std::io::{self, BufRead, ErrorKind, IoSliceMut, Read, Write};

use crate::buf::BoltBuf;
use crate::error::{CapacityError, RangeError};

/// Bytes were read into the spill and then could not be appended, since the allocator refused.
///
/// The first `spilled_bytes` of the spill slice are the stream's next bytes: append them once there is memory, or
/// the stream is out of step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpillError {
    /// Bytes of the spill slice that belong to the stream.
    pub spilled_bytes: usize,
    /// Why they were not appended.
    pub capacity: CapacityError,
}

impl fmt::Display for SpillError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes were read but remain in the spill: {}", self.spilled_bytes, self.capacity)
    }
}

impl Error for SpillError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.capacity)
    }
}

impl From<CapacityError> for io::Error {
    /// An error of kind `OutOfMemory` that carries the numbers: `get_ref` and `downcast_ref` find them.
    fn from(error: CapacityError) -> Self {
        Self::new(ErrorKind::OutOfMemory, error)
    }
}

/// A reader that says it read more than it was offered.
#[cold]
fn overrun(said: usize, offered: usize) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, RangeError { end: said, available: offered })
}

impl BoltBuf {
    /// One `read` call into the tail; says how many bytes came, 0 at the end of the stream.
    ///
    /// Makes room first, by the policy; the reader is offered the whole tail. Ends the cycle before it, so a loop of fills needs no
    /// [`end_cycle`](Self::end_cycle) but for idle ticks. Cost beside the read: a few nanoseconds, and no allocation once
    /// the capacity fits the traffic.
    ///
    /// ```
    /// use bolt_buf::BoltBuf;
    ///
    /// let mut stream: &[u8] = b"\x02hi";
    /// let mut buf = BoltBuf::new();
    /// assert_eq!(buf.fill_from(&mut stream)?, 3);
    /// assert_eq!(buf.read_slice(), b"\x02hi");
    /// assert_eq!(buf.fill_from(&mut stream)?, 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// The reader's own error, `Interrupted` and `WouldBlock` included: try again. `OutOfMemory` with a [`CapacityError`] inside
    /// when the maximum is unread: consume first. `InvalidData` when the reader claims more bytes than it was
    /// offered: do not use it again. The unread bytes are untouched in each case.
    #[inline]
    pub fn fill_from(&mut self, reader: &mut (impl Read + ?Sized)) -> io::Result<usize> {
        self.settle_cycle();
        self.make_room()?;
        let n = reader.read(self.tail_mut())?;
        if !self.filled(n) {
            return Err(overrun(n, self.tail_len()));
        }
        Ok(n)
    }

    /// One vectored `read` call into the tail and, when that is full, into `spill`; what lands there is appended.
    ///
    /// A small buffer takes a large read this way without having been large before; the spill may be on the stack, shared by all
    /// connections of a thread. Never more is read than the maximum can hold.
    ///
    /// ```
    /// use bolt_buf::BoltBuf;
    ///
    /// let stream = vec![7_u8; 40_000];
    /// let mut buf = BoltBuf::new();
    /// let mut spill = [0_u8; 65_536];
    /// assert_eq!(buf.fill_vectored_from(&mut stream.as_slice(), &mut spill)?, 40_000);
    /// assert_eq!(buf.len(), 40_000);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`fill_from`](Self::fill_from); and `OutOfMemory` with a [`SpillError`] inside when the allocator refuses what was already
    /// read: the spill holds it.
    pub fn fill_vectored_from(
        &mut self,
        reader: &mut (impl Read + ?Sized),
        spill: &mut [u8],
    ) -> io::Result<usize> {
        self.settle_cycle();
        self.make_room()?;
        let offered = self.tail_len();
        let spill_len = spill.len().min((self.max_capacity_bytes() - self.len()).saturating_sub(offered));
        let spill = &mut spill[..spill_len];
        let n = reader.read_vectored(&mut [IoSliceMut::new(self.tail_mut()), IoSliceMut::new(spill)])?;
        let spilled = n.saturating_sub(offered);
        let Some(spilled) = spill.get(..spilled) else {
            return Err(overrun(n, offered + spill_len));
        };
        self.filled(n - spilled.len());
        if let Err(capacity) = self.append(spilled) {
            let error = SpillError { spilled_bytes: spilled.len(), capacity };
            return Err(io::Error::new(ErrorKind::OutOfMemory, error));
        }
        Ok(n)
    }
}

/// Reads what is unread, and consumes it.
impl Read for BoltBuf {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let unread = self.read_slice();
        let n = unread.len().min(into.len());
        into[..n].copy_from_slice(&unread[..n]);
        BoltBuf::consume(self, n);
        Ok(n)
    }
}

/// Hands out what is unread; reads from nowhere, so an empty slice means that nothing is unread.
impl BufRead for BoltBuf {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.read_slice())
    }

    fn consume(&mut self, n: usize) {
        BoltBuf::consume(self, n);
    }
}

/// Appends; at the hard maximum a write is short, and then fails with a [`CapacityError`] inside.
impl Write for BoltBuf {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.max_capacity_bytes() - self.len();
        let n = bytes.len().min(room);
        if n == 0 {
            // Nothing to write, or no room for any of it: then this is the error.
            self.reserve(bytes.len())?;
        }
        self.append(&bytes[..n])?;
        Ok(n)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.append(bytes).map_err(io::Error::from)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
