//! Owns: a source of process-wide numbers that never repeat. Never blocks, never wraps.
//! Limits: 2⁶⁴ − 1 numbers where the target has 64-bit atomics, 2³² − 1 elsewhere; then it answers `None`.

use core::num::NonZeroU64;

#[cfg(not(target_has_atomic = "64"))]
use crate::unmodelled::AtomicU32 as Counter;
#[cfg(target_has_atomic = "64")]
use crate::unmodelled::AtomicU64 as Counter;
use crate::unmodelled::Ordering;

/// Hands out each number once in the life of the process: identities for pools, so that a handle of one pool is
/// recognised as foreign by another.
///
/// Layout: one atomic of 8 bytes (4 where the target has no 64-bit atomics). Cost of [`next`](Self::next): one
/// atomic addition, about 7 ns alone; callers that need many numbers take one and subdivide it.
///
/// ```
/// static POOLS: bolt_sync::IdSource = bolt_sync::IdSource::new();
/// let (first, second) = (POOLS.next().unwrap(), POOLS.next().unwrap());
/// assert!(first != second);
/// ```
#[derive(Debug)]
pub struct IdSource {
    /// The next number to hand out; 0 once everything has been handed out. Nothing is ordered by it: the only
    /// property used is that a read-modify-write never returns the same value twice, so `Relaxed` suffices.
    next: Counter,
}

impl IdSource {
    /// A source whose first number is 1.
    pub const fn new() -> Self {
        Self { next: Counter::new(1) }
    }

    /// The next number, or `None` when all have been handed out.
    pub fn next(&self) -> Option<NonZeroU64> {
        #[cfg(target_has_atomic = "64")]
        {
            // At 7 ns each this counter wraps after four thousand years.
            NonZeroU64::new(self.next.fetch_add(1, Ordering::Relaxed))
        }
        #[cfg(not(target_has_atomic = "64"))]
        {
            // 32 bits can run out, and must not wrap: 0 is sticky.
            let taken = self
                .next
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                    if n == 0 { None } else { Some(n.wrapping_add(1)) }
                })
                .ok()?;
            NonZeroU64::new(u64::from(taken))
        }
    }
}

impl Default for IdSource {
    fn default() -> Self {
        Self::new()
    }
}
