//! Owns: the numbers of a magazine store: what can be configured, what is counted, what can go wrong. Never touches
//! an item. Limits: counters are machine words and wrap after centuries.

use std::fmt;

// Not explored by loom: nothing is ordered by a count, and each is written by one thread at a time.
use crate::unmodelled::{AtomicUsize, Ordering};

/// Items of a magazine unless told otherwise: large enough that the two list operations of an exchange (up to 100 ns each when
/// threads contend) are a few nanoseconds an item, small enough that what a thread hides is not worth mentioning.
const MAGAZINE_ITEMS: usize = 32;
/// A magazine is at most this part of all items, so that a few threads can each have two.
const MAGAZINES_MIN: usize = 8;
/// Threads that get magazines of their own: more than most machines have processors, and the table of their lanes is 2 KiB. Miri's
/// programs have few threads, and it would spend a second on each store's spare magazines.
pub(crate) const THREADS_LIMIT: usize = if cfg!(miri) { 16 } else { 256 };
/// Magazines a thread has hold of at once: loaded, previous, and the one it is exchanging.
const HELD_PER_THREAD: usize = 3;

/// How large a magazine store is.
///
/// ```
/// use bolt_sync::magazine::MagazineConfig;
/// let config = MagazineConfig::new(4096).magazine_items(16).threads_max(64);
/// assert_eq!(config.items_max, 4096);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MagazineConfig {
    /// Most items kept.
    pub items_max: usize,
    /// Items of one magazine, 32 at first; used as at least 1 and at most an eighth of `items_max`. A thread hides up to twice as many from the others.
    pub magazine_items: usize,
    /// Threads that get magazines of their own, 256 at first and at most; further ones share a locked pair. With 0 all do: 20 times slower, but
    /// exactly LIFO, and no item is ever out of reach.
    pub threads_max: usize,
    /// What happens at the limit; see [`never_refuses`](Self::never_refuses).
    pub never_refuses: bool,
}

impl MagazineConfig {
    /// At most `items_max` items are kept, whatever else happens. Magazines that threads hold half filled count as full, so
    /// `give` may refuse earlier where many threads share few items.
    pub const fn new(items_max: usize) -> Self {
        Self { items_max, magazine_items: MAGAZINE_ITEMS, threads_max: THREADS_LIMIT, never_refuses: false }
    }

    /// Sets the items of one magazine.
    pub const fn magazine_items(self, magazine_items: usize) -> Self {
        Self { magazine_items, ..self }
    }

    /// Sets how many threads get magazines of their own.
    pub const fn threads_max(self, threads_max: usize) -> Self {
        Self { threads_max, ..self }
    }

    /// `give` never refuses as long as no more than `items_max` items exist at all: for items that must not be lost, as indices
    /// of slots. Memory for three more magazines a thread is reserved, and only touched when it is used.
    pub const fn never_refuses(self) -> Self {
        Self { never_refuses: true, ..self }
    }

    /// The derived numbers.
    pub(crate) fn shape(self) -> Shape {
        let magazine_items = self.magazine_items.clamp(1, (self.items_max / MAGAZINES_MIN).max(1));
        let threads_max = self.threads_max.min(THREADS_LIMIT);
        let whole = self.items_max.div_ceil(magazine_items);
        if self.never_refuses {
            // Out of the list of empty ones are: at most `whole` that are full, and those held by threads and by the counter.
            let held = HELD_PER_THREAD.saturating_mul(threads_max + 1);
            return Shape {
                magazine_items,
                magazine_count: whole.saturating_add(held),
                last_items: magazine_items,
                threads_max,
            };
        }
        Shape {
            magazine_items,
            magazine_count: whole,
            last_items: self.items_max - whole.saturating_sub(1) * magazine_items,
            threads_max,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) magazine_items: usize,
    pub(crate) magazine_count: usize,
    pub(crate) last_items: usize,
    pub(crate) threads_max: usize,
}

/// What a magazine store did so far, all threads added up. Exact while nobody uses it; a moment's picture otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MagazineCounts {
    /// Takes that got an item.
    pub hits: usize,
    /// Takes that found nothing.
    pub misses: usize,
    /// Gives that were kept.
    pub kept: usize,
    /// Gives that were refused.
    pub refused: usize,
    /// Items that left by `take_shared`.
    pub trimmed: usize,
    /// Magazines exchanged with the depot: hits and kept together, divided by this, is how much the magazines spare.
    pub exchanges: usize,
    /// Threads that had magazines of their own at some time, at the same time at the most.
    pub lanes: usize,
    /// Items kept at this moment.
    pub idle: usize,
}

impl MagazineCounts {
    pub(crate) fn add(&mut self, lane: &LaneCounts) {
        // Leaving is counted after entering on any one thread, so reading what left first rarely shows a negative sum.
        let (hits, trimmed) = (lane.hits.get(), lane.trimmed.get());
        let kept = lane.kept.get_published();
        self.hits = self.hits.wrapping_add(hits);
        self.trimmed = self.trimmed.wrapping_add(trimmed);
        self.kept = self.kept.wrapping_add(kept);
        self.misses = self.misses.wrapping_add(lane.misses.get());
        self.refused = self.refused.wrapping_add(lane.refused.get());
        self.exchanges = self.exchanges.wrapping_add(lane.exchanges.get());
        let idle = self.kept.wrapping_sub(self.hits).wrapping_sub(self.trimmed);
        // A lane may have taken what another gave: only the whole sum means something, and a race may leave it below zero.
        self.idle = if idle > usize::MAX / 2 { 0 } else { idle };
    }
}

/// A number that one thread at a time writes and any may read.
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct Counter(AtomicUsize);

impl Counter {
    pub(crate) const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> usize {
        // Relaxed: nothing is read on the strength of it.
        self.0.load(Ordering::Relaxed)
    }

    #[inline(always)]
    pub(crate) fn set(&self, value: usize) {
        // Relaxed: as above.
        self.0.store(value, Ordering::Relaxed);
    }

    /// One more. A load and a store: there is one writer, so no read-modify-write is needed.
    #[inline(always)]
    pub(crate) fn bump(&self) {
        self.set(self.get().wrapping_add(1));
    }

    /// One more, as the last thing an operation does: who reads it by [`get_published`](Self::get_published) and finds everything
    /// returned may free what the operation touched.
    #[inline(always)]
    pub(crate) fn publish(&self) {
        // Release: pairs with the Acquire in `get_published`.
        self.0.store(self.get().wrapping_add(1), Ordering::Release);
    }

    #[inline(always)]
    pub(crate) fn get_published(&self) -> usize {
        // Acquire: pairs with the Release in `publish`.
        self.0.load(Ordering::Acquire)
    }
}

/// The counts of one lane.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct LaneCounts {
    pub(crate) hits: Counter,
    pub(crate) kept: Counter,
    pub(crate) misses: Counter,
    pub(crate) refused: Counter,
    pub(crate) trimmed: Counter,
    pub(crate) exchanges: Counter,
}

impl LaneCounts {
    pub(crate) const fn new() -> Self {
        Self {
            hits: Counter::new(),
            kept: Counter::new(),
            misses: Counter::new(),
            refused: Counter::new(),
            trimmed: Counter::new(),
            exchanges: Counter::new(),
        }
    }
}

/// Why a store could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MagazineError {
    /// So many items cannot be numbered, or are more bytes than an address can tell.
    TooManyItems {
        /// Items asked for.
        items: usize,
    },
    /// The system refused the memory of the items.
    OutOfMemory {
        /// Bytes asked for.
        bytes: usize,
    },
}

impl fmt::Display for MagazineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooManyItems { items } => {
                write!(f, "{items} items are too many for one store; ask for fewer, or use several")
            }
            Self::OutOfMemory { bytes } => {
                write!(f, "{bytes} bytes for the items could not be had; ask for fewer items")
            }
        }
    }
}

impl std::error::Error for MagazineError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        let shape = |config: MagazineConfig| {
            let shape = config.shape();
            (shape.magazine_items, shape.magazine_count, shape.last_items)
        };
        for (config, expected) in [
            (MagazineConfig::new(0), (1, 0, 0)),
            (MagazineConfig::new(1), (1, 1, 1)),
            (MagazineConfig::new(7), (1, 7, 1)),
            (MagazineConfig::new(16), (2, 8, 2)),
            (MagazineConfig::new(100), (12, 9, 4)),
            (MagazineConfig::new(256), (32, 8, 32)),
            (MagazineConfig::new(257), (32, 9, 1)),
            (MagazineConfig::new(4096).magazine_items(0), (1, 4096, 1)),
            (MagazineConfig::new(4096).magazine_items(1 << 40), (512, 8, 512)),
            (MagazineConfig::new(100).threads_max(3).never_refuses(), (12, 9 + 12, 12)),
            (MagazineConfig::new(0).threads_max(0).never_refuses(), (1, 3, 1)),
        ] {
            assert_eq!(shape(config), expected, "{config:?}");
        }
    }
}
