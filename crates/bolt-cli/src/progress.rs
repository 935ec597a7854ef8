//! The line that tells how far a long stream has come: on standard error, if that is a terminal, and gone when the stream ends.
//!
//! When the records go to the same terminal, [`Screen`] takes the line away before each block of them, so the two never mix. How many
//! records pass before the clock is looked at again follows from their rate, so that a stream of millions a second does not pay for it and
//! one of a record a second is told at once; allocates nothing.

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::scalar;

/// Seconds of records between two looks at the clock: a quarter of [`INTERVAL`], so that lines come about when they should.
const LOOK_SECONDS: f64 = 0.05;
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
    /// When the next line is due.
    next: Instant,
    /// The record at which the clock is looked at.
    look_at: u64,
    shown: Rc<Cell<bool>>,
    line: Vec<u8>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let began = Instant::now();
        let look_at = if io::stderr().is_terminal() { 1 } else { u64::MAX };
        Self { began, next: began + QUIET, look_at, shown: Rc::default(), line: Vec::with_capacity(128) }
    }

    /// Wraps what the records are written to.
    pub(crate) fn screen<W: Write>(&self, writer: W) -> Screen<W> {
        Screen { writer, shown: Rc::clone(&self.shown) }
    }

    /// So many records have come.
    #[inline]
    pub(crate) fn record(&mut self, records: u64) {
        if records >= self.look_at {
            self.look(records);
        }
    }

    #[cold]
    fn look(&mut self, records: u64) {
        let now = Instant::now();
        let rate = records as f64 / now.duration_since(self.began).as_secs_f64().max(1e-6);
        self.look_at = records + (rate * LOOK_SECONDS).clamp(1.0, 1e6) as u64;
        if now < self.next {
            return;
        }
        self.next = now + INTERVAL;
        self.shown.set(true);
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
