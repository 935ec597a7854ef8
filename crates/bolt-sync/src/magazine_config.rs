//! Owns: the numbers of a magazine store: what can be configured, what is counted, what can go wrong. Never touches
//! an item. Limits: a thread's takes are counted to 2⁵⁶ (years of nothing else), everything else in machine words.

use std::fmt;

use crate::atomic::{AtomicUsize, Ordering, fence};
use crate::hint::spin_loop;
// Not explored by loom: nothing is ordered by these, and each is written by one thread at a time.
use crate::unmodelled::AtomicUsize as PlainUsize;

/// A constructor that is `const` where atomics are the processor's and not loom's.
macro_rules! counting {
    ($visible:vis fn $name:ident() -> Self $body:block) => {
        #[cfg(not(bolt_loom))]
        $visible const fn $name() -> Self $body
        #[cfg(bolt_loom)]
        $visible fn $name() -> Self $body
    };
}

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
    /// Items of one magazine, 32 at first; used as at least 1 and at most 255 or an eighth of `items_max`. A thread hides up to twice as many from
    /// the others.
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
        let most = (self.items_max / MAGAZINES_MIN).clamp(1, LEN_MAX);
        let magazine_items = self.magazine_items.clamp(1, most);
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

/// What a magazine store did so far, all threads added up.
///
/// Exact while nobody takes or gives. Otherwise each thread is read at a moment of its own: the sum is off by no more than the takes and gives that
/// happen while it is made. Items that only move, by an exchange, a flush or the end of a thread, are counted all the time, and once.
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
    /// Adds what one lane says; what threads without a lane share, under its lock. Until [`settle`](Self::settle), `idle` is a
    /// sum in which a lane may stand below zero.
    pub(crate) fn add(&mut self, lane: &LaneCounts) {
        let (idle, hits) = lane.idle_and_hits();
        self.idle = self.idle.wrapping_add(idle);
        self.hits = self.hits.wrapping_add(hits);
        self.trimmed = self.trimmed.wrapping_add(lane.trimmed.get());
        self.misses = self.misses.wrapping_add(lane.misses.get());
        self.refused = self.refused.wrapping_add(lane.refused.get());
        self.exchanges = self.exchanges.wrapping_add(lane.exchanges.get());
    }

    /// All lanes are added: what was kept is what left again and what is still here.
    pub(crate) fn settle(&mut self) {
        self.kept = self.hits.wrapping_add(self.trimmed).wrapping_add(self.idle);
        // A lane may have taken what another gave: only the whole sum means something, and a race may leave it below zero.
        if self.idle > usize::MAX / 2 {
            self.idle = 0;
        }
    }
}

/// A number that one thread at a time writes and any may read.
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct Counter(PlainUsize);

impl Counter {
    pub(crate) const fn new() -> Self {
        Self(PlainUsize::new(0))
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
}

/// Bits of a [`Fill`] that tell how many items there are.
const LEN_BITS: u32 = 8;
/// Most items of one magazine.
pub(crate) const LEN_MAX: usize = (1 << LEN_BITS) - 1;

/// The items in a lane's loaded magazine, and above them the takes from that lane so far: one word, so that a take writes nothing else, and a
/// give nothing but this and a slot. Written by the lane's owner alone.
#[derive(Debug)]
#[repr(transparent)]
#[cfg(target_has_atomic = "64")]
pub(crate) struct Fill(crate::atomic::AtomicU64);

/// What a [`Fill`] said at some time.
#[derive(Debug, Clone, Copy)]
#[cfg(target_has_atomic = "64")]
pub(crate) struct Filled(u64);

#[cfg(target_has_atomic = "64")]
impl Filled {
    #[inline(always)]
    pub(crate) fn len(self) -> u8 {
        self.0 as u8
    }

    fn hits(self) -> usize {
        (self.0 >> LEN_BITS) as usize
    }
}

#[cfg(target_has_atomic = "64")]
impl Fill {
    counting! { pub(crate) fn new() -> Self { Self(crate::atomic::AtomicU64::new(0)) } }

    /// For the owner.
    #[inline(always)]
    pub(crate) fn now(&self) -> Filled {
        // Relaxed: who asks wrote it.
        Filled(self.0.load(Ordering::Relaxed))
    }

    /// For those who count.
    fn published(&self) -> Filled {
        // Acquire: pairs with the Release in `give`.
        Filled(self.0.load(Ordering::Acquire))
    }

    /// One item less, and one take more.
    #[inline(always)]
    pub(crate) fn take(&self, now: Filled) {
        // Relaxed: what a take did is published by the give that follows it.
        self.0.store(now.0.wrapping_add((1 << LEN_BITS) - 1), Ordering::Relaxed);
    }

    /// One item more, as the last thing an operation does: who finds everything returned may free what the operation touched.
    #[inline(always)]
    pub(crate) fn give(&self, now: Filled) {
        // Release: pairs with the Acquire in `published`.
        self.0.store(now.0.wrapping_add(1), Ordering::Release);
    }

    /// Another number of items, and no take.
    pub(crate) fn set_len(&self, len: u8) {
        let takes = self.now().0 & !(LEN_MAX as u64);
        // Release: pairs with the Acquire in `published`; see `LaneCounts`.
        self.0.store(takes | u64::from(len), Ordering::Release);
    }
}

/// As above, in two words: where there is no atomic word of 64 bits, the takes would not fit beside the items for long.
#[derive(Debug)]
#[cfg(not(target_has_atomic = "64"))]
pub(crate) struct Fill {
    len: AtomicUsize,
    hits: Counter,
}

#[derive(Debug, Clone, Copy)]
#[cfg(not(target_has_atomic = "64"))]
pub(crate) struct Filled {
    len: usize,
    hits: usize,
}

#[cfg(not(target_has_atomic = "64"))]
impl Filled {
    #[inline(always)]
    pub(crate) fn len(self) -> u8 {
        self.len as u8
    }

    fn hits(self) -> usize {
        self.hits
    }
}

#[cfg(not(target_has_atomic = "64"))]
impl Fill {
    counting! { pub(crate) fn new() -> Self { Self { len: AtomicUsize::new(0), hits: Counter::new() } } }

    #[inline(always)]
    pub(crate) fn now(&self) -> Filled {
        Filled { len: self.len.load(Ordering::Relaxed), hits: self.hits.get() }
    }

    fn published(&self) -> Filled {
        // Acquire: pairs with the Release in `give`.
        Filled { len: self.len.load(Ordering::Acquire), hits: self.hits.get() }
    }

    #[inline(always)]
    pub(crate) fn take(&self, now: Filled) {
        self.len.store(now.len.wrapping_sub(1), Ordering::Relaxed);
        self.hits.set(now.hits.wrapping_add(1));
    }

    #[inline(always)]
    pub(crate) fn give(&self, now: Filled) {
        // Release: pairs with the Acquire in `published`.
        self.len.store(now.len.wrapping_add(1), Ordering::Release);
    }

    pub(crate) fn set_len(&self, len: u8) {
        // Release: as in the one word.
        self.len.store(usize::from(len), Ordering::Release);
    }
}

/// The counts of one lane.
///
/// What is kept is not counted but derived: it is what lies in the loaded magazine (`fill`) and what this lane put anywhere else (`stored`), so
/// what they are together changes by the owner's takes and gives alone. When items move (a magazine is loaded, unloaded or flushed) both change,
/// one after the other. Who counts at that moment must neither miss an item nor count it twice: a pool may be freed by who counts everything as
/// returned. So:
///
/// 1. `moves` is odd while items move, and what the lane stands for during that is in `settled`. Who counts reads the two, or the one, between
///    two looks at `moves`, and again when those differ: the owner went on meanwhile, so nobody ever waits for a thread that stands still.
/// 2. A lane is never charged for what leaves it otherwise than by a take: what a flush moves behind the lock goes on counting for the lane, and
///    what is counted there is taken off what is stored there.
/// 3. What lies behind the lock is read under it.
///
/// Each lane is read at a moment of its own, so takes and gives that happen while one counts may be seen or not: the sum is off by no more than those.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct LaneCounts {
    pub(crate) fill: Fill,
    /// Modulo a word: a lane that takes what others gave is below zero.
    stored: AtomicUsize,
    /// Odd while items move.
    moves: AtomicUsize,
    /// What `fill` and `stored` are together while items move.
    settled: AtomicUsize,
    pub(crate) exchanges: Counter,
    pub(crate) misses: Counter,
    pub(crate) refused: Counter,
    pub(crate) trimmed: Counter,
}

impl LaneCounts {
    counting! {
        pub(crate) fn new() -> Self {
            Self {
                fill: Fill::new(),
                stored: AtomicUsize::new(0),
                moves: AtomicUsize::new(0),
                settled: AtomicUsize::new(0),
                exchanges: Counter::new(),
                misses: Counter::new(),
                refused: Counter::new(),
                trimmed: Counter::new(),
            }
        }
    }

    /// The loaded magazine is another one now, or none: so many of what this lane stands for lie in it, the others elsewhere.
    pub(crate) fn reload(&self, len: u8) {
        // Relaxed, all three: who asks wrote them.
        let (moves, stored) = (self.moves.load(Ordering::Relaxed), self.stored.load(Ordering::Relaxed));
        let settled = stored.wrapping_add(usize::from(self.fill.now().len()));
        // Release, all: pair with the Acquire in `idle_and_hits`.
        self.settled.store(settled, Ordering::Release);
        self.moves.store(moves.wrapping_add(1), Ordering::Release);
        // Release: pairs with the other fence, also for the takes that follow, which release nothing.
        fence(Ordering::Release);
        self.fill.set_len(len);
        self.stored.store(settled.wrapping_sub(usize::from(len)), Ordering::Release);
        self.moves.store(moves.wrapping_add(2), Ordering::Release);
    }

    /// So many items came into the loaded magazine that another lane goes on standing for. For the one behind the lock.
    pub(crate) fn lodge(&self, items: u8) {
        // Relaxed: under the lock, as all who read it.
        let stored = self.stored.load(Ordering::Relaxed);
        self.stored.store(stored.wrapping_sub(usize::from(items)), Ordering::Relaxed);
    }

    fn idle_and_hits(&self) -> (usize, usize) {
        loop {
            // Acquire, all: pair with the Release in `reload`.
            let moves = self.moves.load(Ordering::Acquire);
            let filled = self.fill.published();
            let idle = if moves.is_multiple_of(2) {
                self.stored.load(Ordering::Acquire).wrapping_add(usize::from(filled.len()))
            } else {
                self.settled.load(Ordering::Acquire)
            };
            // Acquire: pairs with the other fence.
            fence(Ordering::Acquire);
            // Relaxed: after a fence. A change means that the owner went on, so this ends.
            if self.moves.load(Ordering::Relaxed) == moves {
                return (idle, filled.hits());
            }
            spin_loop();
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
            (MagazineConfig::new(800).magazine_items(1 << 40), (100, 8, 100)),
            (MagazineConfig::new(4096).magazine_items(1 << 40), (255, 17, 16)),
            (MagazineConfig::new(100).threads_max(3).never_refuses(), (12, 9 + 12, 12)),
            (MagazineConfig::new(0).threads_max(0).never_refuses(), (1, 3, 1)),
        ] {
            assert_eq!(shape(config), expected, "{config:?}");
        }
    }
}
