//! Owns: `ArenaPool`, bump arenas that wait for the next batch, and `BatchContext`, one batch's arena. Never keeps more bytes than it was
//! told, never a value whose destructor would be forgotten. Limits: arenas of 4 KiB to 16 MiB are kept; above it they are freed.

use core::fmt;
use core::mem;
use std::cell::RefCell;
use std::vec::Vec;

use bolt_sync::CachePadded;
use bolt_sync::atomic::{AtomicUsize, Ordering};
use bolt_sync::magazine::{MagazineConfig, Magazines};
use bumpalo::Bump;
use bumpalo::collections::{String as ArenaString, Vec as ArenaVec};

use crate::pool::PoolError;

/// The smallest arena: a page of the system.
const ARENA_BYTES_MIN: usize = 4 << 10;
/// Sizes of arenas, each twice the one before: 4 KiB to 16 MiB.
const CLASSES: usize = 13;
/// Arenas of one size that are kept, if the bytes allow.
const ARENAS_PER_CLASS: usize = 64;
/// Arenas of a magazine. They are taken once a batch, not once a value, and every one in a magazine is out of the others' reach.
const MAGAZINE_ARENAS: usize = 2;
/// Arenas kept for a thread by [`with_thread_arena`], and the largest of them.
const THREAD_ARENAS: usize = 4;
const THREAD_ARENA_BYTES_MAX: usize = 1 << 20;

/// Limits of an [`ArenaPool`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArenaLimits {
    /// Bytes of all waiting arenas together, 64 MiB at first; an arena that comes back above it is freed.
    pub retained_bytes_max: usize,
    /// Bytes of one waiting arena, 16 MiB at first and at most.
    pub arena_bytes_max: usize,
}

impl Default for ArenaLimits {
    fn default() -> Self {
        Self { retained_bytes_max: 64 << 20, arena_bytes_max: ARENA_BYTES_MIN << (CLASSES - 1) }
    }
}

/// What a batch expects to allocate, so that its arena is large enough from the beginning.
///
/// ```
/// use bolt_objects::SizeHint;
/// let hint = SizeHint::new().values::<u64>(1000).bytes(500);
/// assert_eq!(hint.total(), 8000 + 500);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SizeHint {
    bytes: usize,
}

impl SizeHint {
    /// Nothing is known: the smallest arena will do, and grows.
    pub const fn new() -> Self {
        Self { bytes: 0 }
    }

    /// And so many bytes of text or others.
    #[must_use]
    pub const fn bytes(self, bytes: usize) -> Self {
        Self { bytes: self.bytes.saturating_add(bytes) }
    }

    /// And so many values of a type.
    #[must_use]
    pub const fn values<T>(self, count: usize) -> Self {
        // Padding in front of the first value, if the arena stands askew then.
        let padding = if align_of::<T>() > 8 { align_of::<T>() } else { 0 };
        self.bytes(size_of::<T>().saturating_mul(count).saturating_add(padding))
    }

    /// The bytes added up so far.
    pub const fn total(self) -> usize {
        self.bytes
    }
}

/// What an [`ArenaPool`] did and holds. Exact while nobody uses it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArenaStats {
    /// Batches that found a waiting arena of their size or larger.
    pub hits: usize,
    /// Batches for which one was made.
    pub created: usize,
    /// Arenas freed when they came back: larger than one may be.
    pub freed_large: usize,
    /// Arenas freed when they came back: enough were waiting.
    pub freed_full: usize,
    /// Arenas waiting.
    pub retained_arenas: usize,
    /// Their bytes.
    pub retained_bytes: usize,
}

/// Bump arenas for work that comes in batches: take one, allocate freely, drop it, and its memory waits for the next batch.
///
/// Arenas are returned by size: a batch gets the smallest waiting one that its hint fits into. One that overflowed
/// keeps its last and largest chunk only, so sizes settle at what batches need. Sizes are kept apart, so small batches never sit on the
/// arena that a large one will want.
///
/// **Layout.** A list of waiting arenas for each of 13 sizes, per-thread magazines in front ([`bolt_sync::magazine`]).
///
/// **Cost.** A batch: two atomic additions and a handful of nanoseconds; a value: a bump of a pointer, about 1 ns. No
/// allocation once warm.
///
/// ```
/// use bolt_objects::{ArenaPool, SizeHint};
///
/// let pool = ArenaPool::new()?;
/// for round in 0..3_u64 {
///     let batch = pool.batch(SizeHint::new().values::<u64>(100));
///     let mut numbers = batch.vec::<u64>(100);
///     numbers.extend((0..100).map(|n| n * round));
///     let name = batch.str("a copy in the arena");
///     assert_eq!((numbers.len(), name.len()), (100, 19));
/// }
/// assert_eq!(pool.stats().created, 1);
/// # Ok::<(), bolt_objects::PoolError>(())
/// ```
pub struct ArenaPool {
    /// By size; class `c` holds arenas of `ARENA_BYTES_MIN << c` bytes up to twice that.
    classes: Vec<Magazines<Bump>>,
    limits: ArenaLimits,
    retained_bytes: CachePadded<AtomicUsize>,
    created: AtomicUsize,
    freed_large: AtomicUsize,
    freed_full: AtomicUsize,
}

impl ArenaPool {
    /// A pool with the usual limits.
    ///
    /// # Errors
    /// [`PoolError`] when there is no memory for its lists.
    pub fn new() -> Result<Self, PoolError> {
        Self::with_limits(ArenaLimits::default())
    }

    /// A pool with limits of its own.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_limits(limits: ArenaLimits) -> Result<Self, PoolError> {
        let class = |_| {
            let config = MagazineConfig::new(ARENAS_PER_CLASS).magazine_items(MAGAZINE_ARENAS);
            Magazines::new(config.threads_max(ARENAS_PER_CLASS))
        };
        Ok(Self {
            classes: (0..CLASSES).map(class).collect::<Result<_, _>>()?,
            limits,
            retained_bytes: CachePadded::new(AtomicUsize::new(0)),
            created: AtomicUsize::new(0),
            freed_large: AtomicUsize::new(0),
            freed_full: AtomicUsize::new(0),
        })
    }

    /// An arena for one batch, given back when the batch is dropped. A hint that the system has no memory for is as good as none.
    pub fn batch(&self, hint: SizeHint) -> BatchContext<'_> {
        BatchContext { arena: self.take(hint), home: Home::Pool(self) }
    }

    /// Frees waiting arenas, the largest first, until no more than `keep_bytes` are held, as far as they can be reached: this
    /// thread's and the shared ones. Answers how many bytes went.
    pub fn trim(&self, keep_bytes: usize) -> usize {
        let mut freed = 0;
        for class in self.classes.iter().rev() {
            class.flush_thread();
            while self.retained_bytes.load(Ordering::Relaxed) > keep_bytes
                && let Some(arena) = class.take_shared()
            {
                let bytes = arena.chunk_capacity();
                self.retained_bytes.fetch_sub(bytes, Ordering::Relaxed);
                freed += bytes;
            }
        }
        freed
    }

    /// What happened so far and what waits.
    pub fn stats(&self) -> ArenaStats {
        let counts = self.classes.iter().map(Magazines::counts);
        let (hits, idle) =
            counts.fold((0, 0), |(hits, idle), counts| (hits + counts.hits, idle + counts.idle));
        // Relaxed: counts, by which nothing is ordered.
        ArenaStats {
            hits,
            created: self.created.load(Ordering::Relaxed),
            freed_large: self.freed_large.load(Ordering::Relaxed),
            freed_full: self.freed_full.load(Ordering::Relaxed),
            retained_arenas: idle,
            retained_bytes: self.retained_bytes.load(Ordering::Relaxed),
        }
    }

    /// Moves this thread's waiting arenas to where other threads find them.
    pub fn flush_thread(&self) {
        self.classes.iter().for_each(Magazines::flush_thread);
    }

    fn take(&self, hint: SizeHint) -> Bump {
        let class = class_that_holds(hint.bytes);
        // The larger ones as well: a waiting arena is better than a new one, and it comes back to its own class.
        for class in self.classes.iter().skip(class) {
            if let Some(arena) = class.take() {
                // Relaxed: a count; the arena itself came through the magazines.
                self.retained_bytes.fetch_sub(arena.chunk_capacity(), Ordering::Relaxed);
                return arena;
            }
        }
        self.created.fetch_add(1, Ordering::Relaxed);
        // Rounded up to its class, so that it comes back to where the next one like it is looked for.
        arena_of(hint.bytes.max(ARENA_BYTES_MIN << class.min(CLASSES - 1)))
    }

    fn give_back(&self, mut arena: Bump) {
        arena.reset();
        let bytes = arena.chunk_capacity();
        if bytes < ARENA_BYTES_MIN {
            // Never used: nothing to keep.
            return;
        }
        // A chunk is a little larger than asked for, so the largest class reaches to twice its name.
        if bytes >= self.limits.arena_bytes_max.saturating_mul(2) || bytes >= ARENA_BYTES_MIN << CLASSES {
            self.freed_large.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // Relaxed: the addition is what keeps the sum below the limit, whatever the order.
        let before = self.retained_bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.limits.retained_bytes_max;
        if !fits || self.classes[class_of(bytes)].give(arena).is_err() {
            self.retained_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.freed_full.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for ArenaPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArenaPool").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// A new arena. A hint beyond all memory is no more than a hint: the arena begins empty then, and grows as far as it can.
fn arena_of(bytes: usize) -> Bump {
    Bump::try_with_capacity(bytes).unwrap_or_default()
}

/// The class an arena of so many bytes belongs to; `bytes` is at least the smallest.
fn class_of(bytes: usize) -> usize {
    ((bytes / ARENA_BYTES_MIN).max(1).ilog2() as usize).min(CLASSES - 1)
}

/// The first class all of whose arenas hold so many bytes; `CLASSES` when none does.
fn class_that_holds(bytes: usize) -> usize {
    (0..CLASSES).find(|class| ARENA_BYTES_MIN << class >= bytes).unwrap_or(CLASSES)
}

enum Home<'pool> {
    Pool(&'pool ArenaPool),
    /// The arenas of this thread; never leaves it, since an arena cannot be shared and `with_thread_arena` lends it only.
    Thread,
}

/// The arena of one batch. What is allocated lives as long as the batch; all of it goes at once when it is dropped.
///
/// Vectors and strings from here have their storage in the arena, and vectors drop their elements. Values put in
/// directly must not need a destructor, as nobody would run it: that is refused at compile time.
///
/// ```compile_fail,E0080
/// let pool = bolt_objects::ArenaPool::new().unwrap();
/// let batch = pool.batch(bolt_objects::SizeHint::new());
/// let leaking = batch.value(String::from("its heap would never be freed"));
/// ```
///
/// What is in the arena cannot outlive it:
///
/// ```compile_fail,E0505
/// let pool = bolt_objects::ArenaPool::new().unwrap();
/// let batch = pool.batch(bolt_objects::SizeHint::new());
/// let name = batch.str("name");
/// drop(batch);
/// assert_eq!(name, "name");
/// ```
pub struct BatchContext<'pool> {
    arena: Bump,
    home: Home<'pool>,
}

impl<'pool> BatchContext<'pool> {
    /// A vector whose storage is in the arena, with room for `capacity` values. Its elements are dropped with it; when it grows, its
    /// old storage stays unused until the batch ends (if it is not the last thing allocated), so tell the capacity.
    pub fn vec<T>(&self, capacity: usize) -> ArenaVec<'_, T> {
        ArenaVec::with_capacity_in(capacity, &self.arena)
    }

    /// A string whose bytes are in the arena, with room for `capacity` bytes.
    pub fn string(&self, capacity: usize) -> ArenaString<'_> {
        ArenaString::with_capacity_in(capacity, &self.arena)
    }

    /// Puts one value into the arena. Values with destructors are refused at compile time: keep those in a [`vec`](Self::vec).
    pub fn value<T>(&self, value: T) -> &mut T {
        const { assert!(!mem::needs_drop::<T>(), "its destructor would never run: keep it in a vec of the batch") }
        self.arena.alloc(value)
    }

    /// Copies a slice into the arena.
    pub fn slice<T: Copy>(&self, values: &[T]) -> &mut [T] {
        self.arena.alloc_slice_copy(values)
    }

    /// Copies a string into the arena.
    pub fn str(&self, text: &str) -> &str {
        self.arena.alloc_str(text)
    }

    /// A batch within this one, with an arena of its own from the same pool: what only a part of the work needs goes with that part.
    pub fn child(&self, hint: SizeHint) -> BatchContext<'pool> {
        match self.home {
            Home::Pool(pool) => pool.batch(hint),
            Home::Thread => BatchContext { arena: take_of_thread(hint), home: Home::Thread },
        }
    }

    /// The arena itself, for what is not offered here (iterators, slices filled by closures, boxes).
    pub fn arena(&self) -> &Bump {
        &self.arena
    }

    /// Forgets everything allocated so far and begins anew with the same memory.
    pub fn reset(&mut self) {
        self.arena.reset();
    }

    /// Bytes of the arena's chunks, used or not.
    pub fn allocated_bytes(&self) -> usize {
        self.arena.allocated_bytes()
    }
}

impl Drop for BatchContext<'_> {
    fn drop(&mut self) {
        // An empty arena has no memory of its own, so nothing is allocated for it.
        let arena = mem::take(&mut self.arena);
        match self.home {
            Home::Pool(pool) => pool.give_back(arena),
            Home::Thread => give_to_thread(arena),
        }
    }
}

impl fmt::Debug for BatchContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchContext")
            .field("allocated_bytes", &self.allocated_bytes())
            .finish_non_exhaustive()
    }
}

thread_local! {
    /// Waiting arenas of this thread, the one used last on top.
    static ARENAS: RefCell<Vec<Bump>> = const { RefCell::new(Vec::new()) };
}

/// Runs `f` with an arena of this thread; what `f` allocated in it goes when `f` returns or panics, the memory waits for the next time.
///
/// It may be entered again from inside `f`: the inner call gets an arena of its own. Four arenas of at most 1 MiB are kept a
/// thread; while the thread is ending, fresh ones are made.
///
/// ```
/// use bolt_objects::with_thread_arena;
/// let sum: u64 = with_thread_arena(|outer| {
///     let numbers = outer.slice(&[1_u64, 2, 3]);
///     let doubled: u64 = with_thread_arena(|inner| inner.slice(numbers).iter().map(|n| 2 * n).sum());
///     numbers.iter().sum::<u64>() + doubled
/// });
/// assert_eq!(sum, 18);
/// ```
pub fn with_thread_arena<R>(f: impl FnOnce(&BatchContext<'_>) -> R) -> R {
    let batch = BatchContext { arena: take_of_thread(SizeHint::new()), home: Home::Thread };
    f(&batch)
}

fn take_of_thread(hint: SizeHint) -> Bump {
    let waiting = ARENAS.try_with(|arenas| {
        let mut arenas = arenas.try_borrow_mut().ok()?;
        let fits = arenas.iter().rposition(|arena| arena.chunk_capacity() >= hint.bytes)?;
        Some(arenas.remove(fits))
    });
    waiting.ok().flatten().unwrap_or_else(|| arena_of(hint.bytes.max(ARENA_BYTES_MIN)))
}

fn give_to_thread(mut arena: Bump) {
    arena.reset();
    let mut arena = Some(arena);
    // The closure takes it only if there is room; otherwise it is freed here, outside of the borrow.
    let _ = ARENAS.try_with(|arenas| {
        if let Ok(mut arenas) = arenas.try_borrow_mut()
            && arenas.len() < THREAD_ARENAS
            && arena.as_ref().is_some_and(|arena| arena.chunk_capacity() <= THREAD_ARENA_BYTES_MAX)
        {
            arenas.extend(arena.take());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        for (bytes, holds, of) in [
            (0, 0, 0),
            (1, 0, 0),
            (4096, 0, 0),
            (4097, 1, 0),
            (8191, 1, 0),
            (8192, 1, 1),
            (16 << 20, 12, 12),
            ((16 << 20) + 1, CLASSES, 12),
            (usize::MAX, CLASSES, 12),
        ] {
            assert_eq!((class_that_holds(bytes), class_of(bytes)), (holds, of), "{bytes}");
        }
    }
}
