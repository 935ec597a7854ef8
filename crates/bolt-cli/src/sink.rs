//! Where rendered bytes go: standard output in blocks of 64 KiB, or a table cell of bounded size.
//!
//! Rendering code writes to a [`Sink`] and never sees an error: [`Out`] keeps the first one and swallows what follows, and the loop
//! that owns it looks once a record. The buffer is allocated once, so writing a record allocates nothing however long the record is.

use std::fmt;
use std::io::{self, Write};

/// Bytes gathered before one write to the operating system: large enough that system calls do not show, small enough to stay in cache.
const BLOCK_BYTES: usize = 64 << 10;

/// Something rendered text can be appended to.
pub(crate) trait Sink {
    /// Appends bytes; a full or broken sink drops them and remembers that it did.
    fn put(&mut self, bytes: &[u8]);

    /// Appends text.
    fn text(&mut self, text: &str) {
        self.put(text.as_bytes());
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// `fmt::Write` over a sink, for the few things `core::fmt` prints best.
pub(crate) struct Fmt<'s, S: Sink>(pub(crate) &'s mut S);

impl<S: Sink> fmt::Write for Fmt<'_, S> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.text(text);
        Ok(())
    }
}

/// Standard output, or anything else that takes bytes, behind one reused block.
pub(crate) struct Out<W: Write> {
    writer: W,
    block: Vec<u8>,
    broken: Option<io::Error>,
}

impl<W: Write> Out<W> {
    pub(crate) fn new(writer: W) -> Self {
        Self { writer, block: Vec::with_capacity(BLOCK_BYTES), broken: None }
    }

    /// Hands everything over to the operating system.
    pub(crate) fn flush(&mut self) {
        self.write_block();
        if self.broken.is_none()
            && let Err(e) = self.writer.flush()
        {
            self.broken = Some(e);
        }
    }

    /// The first error met, once. After it the sink swallows everything.
    pub(crate) fn check(&self) -> Result<(), &io::Error> {
        self.broken.as_ref().map_or(Ok(()), Err)
    }

    fn write_block(&mut self) {
        if self.broken.is_none()
            && !self.block.is_empty()
            && let Err(e) = self.writer.write_all(&self.block)
        {
            self.broken = Some(e);
        }
        self.block.clear();
    }
}

impl<W: Write> Sink for Out<W> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        if bytes.len() > BLOCK_BYTES - self.block.len() {
            self.write_block();
            if bytes.len() >= BLOCK_BYTES {
                if self.broken.is_none()
                    && let Err(e) = self.writer.write_all(bytes)
                {
                    self.broken = Some(e);
                }
                return;
            }
        }
        self.block.extend_from_slice(bytes);
    }
}

/// At most `limit_bytes` of text, for a table cell: a value of many megabytes costs no more than what can be shown of it.
pub(crate) struct Cell {
    text: Vec<u8>,
    limit_bytes: usize,
    cut: bool,
}

impl Cell {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { text: Vec::with_capacity(limit_bytes), limit_bytes, cut: false }
    }

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.cut = false;
    }

    /// Whether something no longer fitted.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// What was kept, ending at a character.
    pub(crate) fn as_str(&self) -> &str {
        match std::str::from_utf8(&self.text) {
            Ok(text) => text,
            Err(e) => std::str::from_utf8(&self.text[..e.valid_up_to()]).unwrap_or(""),
        }
    }
}

impl Sink for Cell {
    fn put(&mut self, bytes: &[u8]) {
        let room = self.limit_bytes - self.text.len();
        if bytes.len() > room {
            self.cut = true;
        }
        if !self.cut || room > 0 {
            self.text.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, then fails like a closed pipe.
    struct Pipe {
        taken: Vec<u8>,
        room: usize,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.taken.len() + bytes.len() > self.room {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.taken.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn bytes_of_every_size_arrive_in_order() {
        let mut out = Out::new(Pipe { taken: Vec::new(), room: usize::MAX });
        let mut expected = Vec::new();
        for size in [0, 1, 10, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3, 5 * BLOCK_BYTES, 7] {
            let piece: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            out.put(&piece);
            expected.extend_from_slice(&piece);
        }
        out.flush();
        assert!(out.check().is_ok());
        assert_eq!(out.writer.taken, expected);
        assert_eq!(out.block.capacity(), BLOCK_BYTES, "the block never grows");
    }

    #[test]
    fn the_first_error_stays_and_nothing_more_is_written() {
        let mut out = Out::new(Pipe { taken: Vec::new(), room: BLOCK_BYTES });
        for _ in 0..4 {
            out.put(&[7; BLOCK_BYTES / 2 + 1]);
        }
        out.flush();
        assert_eq!(out.check().expect_err("broken").kind(), io::ErrorKind::BrokenPipe);
        assert!(out.writer.taken.len() <= BLOCK_BYTES);
    }

    #[test]
    fn a_cell_keeps_whole_characters() {
        let mut cell = Cell::new(4);
        cell.text("aé€");
        assert!(cell.is_cut());
        assert_eq!(cell.as_str(), "aé");
        cell.text("more");
        assert_eq!(cell.as_str(), "aé");
        cell.clear();
        cell.text("four");
        assert!(!cell.is_cut());
        assert_eq!(cell.as_str(), "four");
    }
}
