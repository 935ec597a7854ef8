//! Pages that a write transaction is given before it commits, so that its images can be edited where they are going to lie, in a writable map, or be
//! written there early.
//!
//! Owns [`Homes`]: which pages were given, and how those that nobody needed come back. A page is given once, is free (or lies at the high-water mark)
//! until the commit says otherwise, and its digest is forgotten before anything is stored there. Never decides what becomes of a page's
//! bytes. Limits: single pages only; where none can be had, for want of space too, images lie on the heap and the commit says what is wrong.

use std::ops::Range;

use crate::db::Inner;
use crate::error::Damage;
use crate::free::{FreePages, Run};

/// Pages are given when fewer than this many are left, which is more than most changes need.
const LEAST: usize = 8;
/// How many are given at once: as many as before, within these bounds.
const AT_ONCE: Range<usize> = 8..256;

/// Which pages a write transaction is given before its commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ahead {
    /// None.
    None,
    /// Free ones: for leaves that are written early, and read through the mapping as it stands.
    Free,
    /// Free ones, and then those that lengthen the file: for pages that are edited in the writable map.
    Any,
}

/// What a write transaction was given.
#[derive(Debug, Default)]
pub(crate) struct Homes {
    /// Every page that was given in this transaction.
    given: Vec<u64>,
    /// The high-water mark this transaction began with, and the one behind all that it was given.
    began: u64,
    high_water: u64,
    /// Whether the file may be lengthened for more.
    lengthens: bool,
    /// Whether no more can be had.
    exhausted: bool,
}

impl Homes {
    /// Begins a transaction that is given pages as `ahead` says.
    pub(crate) fn begin(&mut self, high_water: u64, ahead: Ahead) {
        debug_assert!(self.given.is_empty(), "the transaction before gave everything back");
        *self = Self {
            given: std::mem::take(&mut self.given),
            began: high_water,
            high_water,
            lengthens: ahead == Ahead::Any,
            exhausted: ahead == Ahead::None,
        };
    }

    /// The high-water mark behind all that was given.
    pub(crate) fn high_water(&self) -> u64 {
        self.high_water
    }

    /// Whether `left`, the pages that are left to be used, should become more.
    #[inline]
    pub(crate) fn runs_low(&self, left: usize) -> bool {
        left < LEAST && !self.exhausted
    }

    /// Gives more pages: free ones, lowest first, then from the high-water mark, where the file and `map`, the transaction's mapping, are made longer first.
    #[cold]
    pub(crate) fn give(
        &mut self,
        db: &Inner,
        map: usize,
        free: &mut FreePages,
        file_bytes: &mut u64,
        left: &mut Vec<u64>,
    ) {
        let count = self.given.len().clamp(AT_ONCE.start, AT_ONCE.end);
        let before = self.given.len();
        while self.given.len() < before + count {
            if let Some(run) = free.take(1) {
                self.given.push(run.start);
                continue;
            }
            let needed = (self.high_water + 1) * db.page_size;
            let there = db.maps.get(map).readable().min(*file_bytes);
            if !self.lengthens || (needed > there && !db.lengthen(map, needed, file_bytes)) {
                self.exhausted = true;
                break;
            }
            self.given.push(self.high_water);
            self.high_water += 1;
        }
        let new = &self.given[before..];
        if let Some(digests) = &db.digests {
            new.iter().for_each(|&page| digests.forget(page));
        }
        // The lowest is used first.
        left.splice(0..0, new.iter().rev().copied());
    }

    /// Ends the transaction's use of what it was given: `left` was not needed. What was needed is counted as `taken` and `fresh`, as by a commit's own
    /// allocation; pages that are left below the high-water mark are `listed` as freed.
    ///
    /// # Errors
    /// As [`FreePages::list`].
    pub(crate) fn settle(
        &mut self,
        free: &mut FreePages,
        left: &mut Vec<u64>,
        high_water: &mut u64,
        taken: &mut Vec<Run>,
        fresh: &mut Vec<Run>,
        listed: &mut Vec<Run>,
    ) -> Result<(), Damage> {
        left.sort_unstable();
        let given = std::mem::take(&mut self.given);
        for page in given.into_iter().filter(|page| left.binary_search(page).is_err()) {
            let runs = if page < self.began { &mut *taken } else { &mut *fresh };
            runs.push(Run { start: page, length: 1 });
        }
        let mut result = Ok(());
        while let Some(page) = left.pop() {
            let run = Run { start: page, length: 1 };
            if page < self.began {
                free.untake(run);
            } else if page + 1 == *high_water {
                *high_water = page;
            } else {
                match free.list(run) {
                    Ok(()) => listed.push(run),
                    Err(damage) => result = Err(damage),
                }
            }
        }
        result
    }

    /// Gives everything back: the transaction came to nothing.
    pub(crate) fn give_back(&mut self, free: &mut FreePages) {
        for page in self.given.drain(..) {
            if page < self.began {
                free.untake(Run { start: page, length: 1 });
            }
        }
    }
}
