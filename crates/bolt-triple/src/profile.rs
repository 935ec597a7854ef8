//! Owns: what the feature `profiling` counts. Without the feature it is empty and its calls compile to nothing. It never decides anything.

#[cfg(feature = "profiling")]
use core::cell::Cell;

/// Counters of one pool of one thread.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    #[cfg(feature = "profiling")]
    hits: Cell<u64>,
    #[cfg(feature = "profiling")]
    cold: Cell<u64>,
    #[cfg(feature = "profiling")]
    exhausted: Cell<u64>,
    #[cfg(feature = "profiling")]
    allocations: Cell<u64>,
}

#[cfg(not(feature = "profiling"))]
impl Counters {
    #[inline(always)]
    pub(crate) fn served(&self, _cold: bool) {}
    #[inline(always)]
    pub(crate) fn exhausted(&self) {}
    #[cfg(feature = "alloc")]
    #[inline(always)]
    pub(crate) fn allocated(&self) {}
}

#[cfg(feature = "profiling")]
impl Counters {
    #[inline(always)]
    pub(crate) fn served(&self, cold: bool) {
        let counter = if cold { &self.cold } else { &self.hits };
        counter.set(counter.get() + 1);
    }

    #[cold]
    pub(crate) fn exhausted(&self) {
        self.exhausted.set(self.exhausted.get() + 1);
    }

    #[cfg(feature = "alloc")]
    #[cold]
    pub(crate) fn allocated(&self) {
        self.allocations.set(self.allocations.get() + 1);
    }

    /// Adds what another pool counted of batches handed out.
    #[cfg(feature = "alloc")]
    pub(crate) fn absorb(&self, other: &PoolStats) {
        self.hits.set(self.hits.get() + other.hits);
        self.cold.set(self.cold.get() + other.cold);
    }

    pub(crate) fn stats(&self) -> PoolStats {
        let (hits, cold, exhausted) = (self.hits.get(), self.cold.get(), self.exhausted.get());
        PoolStats::of(hits, cold, exhausted, self.allocations.get())
    }

    pub(crate) fn reset(&self) {
        for counter in [&self.hits, &self.cold, &self.exhausted, &self.allocations] {
            counter.set(0);
        }
    }
}

/// What a pool counted. Feature `profiling`.
#[cfg(feature = "profiling")]
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PoolStats {
    /// Batches handed out that had been in use before, so that their lines are likely in the cache.
    pub hits: u64,
    /// All other requests: `cold + exhausted`.
    pub misses: u64,
    /// Batches handed out for the first time.
    pub cold: u64,
    /// Requests refused because all were out.
    pub exhausted: u64,
    /// `hits` of all requests, from 0 to 1; 0 if there were none.
    pub cache_hit_rate: f64,
    /// Times the pool asked the allocator. A `BufferPool` never does.
    pub allocation_count: u64,
}

#[cfg(feature = "profiling")]
impl PoolStats {
    pub(crate) fn of(hits: u64, cold: u64, exhausted: u64, allocation_count: u64) -> Self {
        let misses = cold + exhausted;
        let gets = hits + misses;
        let cache_hit_rate = if gets == 0 { 0.0 } else { hits as f64 / gets as f64 };
        Self { hits, misses, cold, exhausted, cache_hit_rate, allocation_count }
    }
}
