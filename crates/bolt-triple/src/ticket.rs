//! Owns: the numbers that tell handles and runs apart, unique in the process. Never blocks; one atomic per 2²⁰ numbers.

use core::cell::Cell;

use bolt_sync::IdSource;

/// Numbers taken from the process at once.
const BLOCK_BITS: u32 = 20;

/// The first halves of all tickets. A `static`, so that two pools never share one.
static BLOCKS: IdSource = IdSource::new();

/// A source of numbers that nobody else in the process gets. Zero is never one.
#[derive(Debug)]
pub(crate) struct Tickets {
    next: Cell<u64>,
    end: Cell<u64>,
}

impl Tickets {
    pub(crate) const fn new() -> Self {
        Self { next: Cell::new(0), end: Cell::new(0) }
    }

    #[inline]
    pub(crate) fn next(&self) -> Option<u64> {
        if self.next.get() == self.end.get() {
            self.refill()?;
        }
        let ticket = self.next.get();
        self.next.set(ticket + 1);
        Some(ticket)
    }

    #[cold]
    fn refill(&self) -> Option<()> {
        let block = BLOCKS.next()?.get();
        let first = block.checked_mul(1 << BLOCK_BITS)?;
        self.next.set(first);
        self.end.set(first.checked_add(1 << BLOCK_BITS)?);
        Some(())
    }
}
