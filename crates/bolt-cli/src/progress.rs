//! The line that tells how far a long stream has come: on standard error, if that is a terminal, and gone when the stream ends.
//!
//! When the records go to the same terminal, [`Screen`] takes the line away before each block of them, so the two never mix. Looks at the
//! clock only every [`LOOK_EVERY`] records, so that a stream of millions a second does not pay for it; allocates nothing.

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::scalar;

/// Records between two looks at the clock.
const LOOK_EVERY: u64 = 256;
/// A stream shorter than this needs no line.
const QUIET: Duration = Duration::from_millis(700);
/// Time between two lines: what an eye can follow.
const INTERVAL: Duration = Duration::from_millis(200);

/// Back to the start of the line, and wipe it.
const WIPE: &[u8] = b"\r\x1b[K";

/// Standard output, which wipes the progress line before it writes.
pub(crate) struct Screen<W: Write> {
    writer: W,
    shown: Rc<Cell<bool>>,
}

impl<W: Write> Write for Screen<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        wipe(&self.shown);
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

fn wipe(shown: &Cell<bool>) {
    if shown.replace(false) {
        let _ = io::stderr().write_all(WIPE);
    }
}

pub(crate) struct Progress {
    began: Instant,
    next: Option<Instant>,
    shown: Rc<Cell<bool>>,
    line: Vec<u8>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let began = Instant::now();
        let next = io::stderr().is_terminal().then_some(began + QUIET);
        Self { began, next, shown: Rc::default(), line: Vec::with_capacity(128) }
    }

    /// Wraps what the records are written to.
    pub(crate) fn screen<W: Write>(&self, writer: W) -> Screen<W> {
        Screen { writer, shown: Rc::clone(&self.shown) }
    }

    /// So many records have come.
    #[inline]
    pub(crate) fn record(&mut self, records: u64) {
        if records.is_multiple_of(LOOK_EVERY)
            && let Some(next) = self.next
        {
            self.look(records, next);
        }
    }

    #[cold]
    fn look(&mut self, records: u64, next: Instant) {
        let now = Instant::now();
        if now < next {
            return;
        }
        self.next = Some(now + INTERVAL);
        self.shown.set(true);
        let rate = records as f64 / now.duration_since(self.began).as_secs_f64();
        self.line.clear();
        self.line.extend_from_slice(WIPE);
        scalar::int(&mut self.line, i64::try_from(records).unwrap_or(i64::MAX));
        self.line.extend_from_slice(b" records, ");
        scalar::int(&mut self.line, rate as i64);
        self.line.extend_from_slice(b" a second");
        let _ = io::stderr().write_all(&self.line);
    }

    /// Takes the line away.
    pub(crate) fn end(&mut self) {
        wipe(&self.shown);
    }
}
