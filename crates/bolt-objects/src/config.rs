//! Owns: the numbers of a pool: what is configured, what is counted, what can go wrong. Never touches an object.
//! Limits: counts are machine words and wrap after centuries.

use core::fmt;

use crate::policy::TrimPolicy;

/// Idle objects kept unless told otherwise.
#[cfg(feature = "std")]
const IDLE_MAX: usize = 1024;
/// The slots of idle objects take no more than this of address space unless told otherwise.
#[cfg(feature = "std")]
const SLOTS_BYTES_MAX: usize = 4 << 20;
/// Even very large objects get so many slots: a pool of two would refuse most of what comes back.
#[cfg(feature = "std")]
const IDLE_MIN: usize = 16;
/// An object that holds more than this is not kept unless told otherwise: one large message should not stay for good, and
/// above it the system call that a large allocation costs is small beside the writing of so many bytes.
pub(crate) const OBJECT_BYTES_MAX: usize = 1 << 20;

/// How large a pool is and what it keeps.
///
/// ```
/// use bolt_objects::PoolConfig;
/// let config = PoolConfig::new().idle_max(64).object_bytes_max(64 << 10);
/// assert_eq!(config.objects_max, usize::MAX);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolConfig {
    /// Idle objects that are kept, in all threads' magazines and the depot; one more is dropped. `None` chooses 1,024, or less where
    /// the objects themselves are large (4 MiB of slots).
    pub idle_max: Option<usize>,
    /// Objects that may exist, idle and in use; no limit at first. See [`bounded`](Self::bounded).
    pub objects_max: usize,
    /// Bytes that an object may hold and still be kept, as `Manage::bytes` tells; 1 MiB at first.
    pub object_bytes_max: usize,
    /// Objects of a magazine. `None` chooses 32, at most an eighth of `idle_max`, and for a bounded pool 0, see there.
    pub magazine_items: Option<usize>,
    /// Threads that get magazines of their own, 256 at first; further ones share a locked pair.
    pub threads_max: usize,
    /// When idle objects go; see [`TrimPolicy`].
    pub trim: TrimPolicy,
}

impl PoolConfig {
    /// Unbounded, 1,024 idle objects, 1 MiB an object.
    pub const fn new() -> Self {
        Self {
            idle_max: None,
            objects_max: usize::MAX,
            object_bytes_max: OBJECT_BYTES_MAX,
            magazine_items: None,
            threads_max: 256,
            trim: TrimPolicy { keep: 8, patience_ticks: 8, patience_ticks_max: 128 },
        }
    }

    /// Sets how many idle objects are kept.
    #[must_use]
    pub const fn idle_max(self, idle_max: usize) -> Self {
        Self { idle_max: Some(idle_max), ..self }
    }

    /// At most so many objects exist, and `try_get` answers [`Exhausted`] when all are out.
    ///
    /// A bounded pool has no magazines unless [`magazine_items`](Self::magazine_items) asks for them: an idle object in another
    /// thread's magazine cannot be reached, and a pool of three that refuses while three lie idle would help nobody. Without
    /// magazines take and give share a lock and cost some 30 ns instead of 2.
    #[must_use]
    pub const fn bounded(self, objects_max: usize) -> Self {
        Self { objects_max, ..self }
    }

    /// Sets what an object may hold and still be kept.
    #[must_use]
    pub const fn object_bytes_max(self, object_bytes_max: usize) -> Self {
        Self { object_bytes_max, ..self }
    }

    /// Sets the objects of a magazine; 0 for none. A thread hides at most twice as many idle objects from the others.
    #[must_use]
    pub const fn magazine_items(self, magazine_items: usize) -> Self {
        Self { magazine_items: Some(magazine_items), ..self }
    }

    /// Sets how many threads get magazines.
    #[must_use]
    pub const fn threads_max(self, threads_max: usize) -> Self {
        Self { threads_max, ..self }
    }

    /// Sets when idle objects go.
    #[must_use]
    pub const fn trim(self, trim: TrimPolicy) -> Self {
        Self { trim, ..self }
    }

    /// Idle objects of `object_size` bytes in place that are kept.
    #[cfg(feature = "std")]
    pub(crate) fn idle_slots(&self, object_size: usize) -> usize {
        let chosen = self.idle_max.unwrap_or_else(|| {
            let fitting = SLOTS_BYTES_MAX.checked_div(object_size).unwrap_or(IDLE_MAX);
            fitting.clamp(IDLE_MIN, IDLE_MAX)
        });
        chosen.min(self.objects_max)
    }
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// What a pool did so far, and what it holds. Exact while nobody uses it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Gets served by an object that was idle (and found valid).
    pub hits: usize,
    /// Gets that found no idle object.
    pub misses: usize,
    /// Objects made by the factory.
    pub created: usize,
    /// Objects that went out for good: by `detach`.
    pub detached: usize,
    /// Objects that came in from outside: by `put`.
    pub adopted: usize,
    /// Objects dropped when they came back: they held more bytes than is kept.
    pub dropped_oversized: usize,
    /// Objects dropped when they came back: the pool was full.
    pub dropped_full: usize,
    /// Objects dropped when they should go out again: they were invalid.
    pub dropped_invalid: usize,
    /// Objects dropped because a hook panicked over them.
    pub dropped_panicked: usize,
    /// Objects dropped by trimming.
    pub trimmed: usize,
    /// Gets refused because the pool was exhausted.
    pub exhausted: usize,
    /// Objects lying in the pool.
    pub idle: usize,
    /// Objects out with somebody.
    pub in_use: usize,
}

impl PoolStats {
    /// Part of all gets that an idle object served, from 0 to 1; 1 before the first.
    pub fn hit_rate(&self) -> f64 {
        let gets = self.hits + self.misses;
        if gets == 0 { 1.0 } else { self.hits as f64 / gets as f64 }
    }
}

/// Every object of a bounded pool is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted {
    /// The bound of the pool.
    pub objects_max: usize,
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "all {} objects of the pool are in use; give one back, or raise the bound",
            self.objects_max
        )
    }
}

impl core::error::Error for Exhausted {}
