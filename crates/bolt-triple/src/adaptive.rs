//! Owns: `CapacityPolicy`, which decides how many batches a pool should have, and `AdaptivePool`, which has them. The policy is a pure type
//! without memory of its own beyond two counters; the pool never decides. Limits: 8,192 triples, grown and shrunk between cycles only.

use core::cell::Cell;
use core::fmt;

#[cfg(not(any(feature = "std", bolt_loom)))]
use alloc::{boxed::Box, vec::Vec};
#[cfg(any(feature = "std", bolt_loom))]
use std::{boxed::Box, vec::Vec};

use crate::batch::BatchLen;
use crate::error::PoolError;
use crate::pool::{BATCHES_MAX, BufferPool, CapacityUsage, DEFAULT_BATCHES, PooledSoa, SoaPool};
use crate::profile::Counters;
#[cfg(feature = "profiling")]
use crate::profile::PoolStats;

/// The numbers behind growing and shrinking, all free to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapacityConfig {
    /// Never fewer batches than this.
    pub batches_min: usize,
    /// Never more than this; 1,024 are 8,192 triples.
    pub batches_max: usize,
    /// How many cycles in a row must see the pool exhausted before it grows: one spike is not enough.
    pub exhausted_cycles: u32,
    /// How many cycles in a row must leave half of the pool untouched before it shrinks.
    pub idle_cycles: u32,
}

impl CapacityConfig {
    /// From 16 batches to 1,024; up after 3 exhausted cycles, down after 32 idle ones.
    pub const DEFAULT: Self =
        Self { batches_min: DEFAULT_BATCHES, batches_max: BATCHES_MAX, exhausted_cycles: 3, idle_cycles: 32 };
}

impl Default for CapacityConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What one cycle of work asked of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CycleLoad {
    /// Requests that were refused because all batches were out.
    pub exhausted: u64,
    /// The most batches that were out at once, never told too low.
    pub in_use_max: usize,
}

/// Decides capacities. Pure: the same loads give the same answers; it holds no memory and reads no clock.
///
/// It doubles after some exhausted cycles in a row, and halves after many cycles in a row that would have fitted into half. Each answer begins
/// the count anew, and a cycle of the other kind ends it, so that traffic which swings does not make the pool swing.
///
/// ```
/// use bolt_triple::{CapacityConfig, CapacityPolicy, CycleLoad};
/// let mut policy = CapacityPolicy::new(CapacityConfig::DEFAULT);
/// let busy = CycleLoad { exhausted: 5, in_use_max: 16 };
/// assert_eq!([policy.next(16, busy), policy.next(16, busy), policy.next(16, busy)], [16, 16, 32]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapacityPolicy {
    config: CapacityConfig,
    exhausted_in_row: u32,
    idle_in_row: u32,
}

impl CapacityPolicy {
    /// A policy that has seen nothing. Numbers that contradict each other are put in order: at least one batch, no more than
    /// [`BATCHES_MAX`], the maximum not below the minimum, at least one cycle each.
    pub const fn new(config: CapacityConfig) -> Self {
        const fn clamp(value: usize, least: usize, most: usize) -> usize {
            if value < least {
                least
            } else if value > most {
                most
            } else {
                value
            }
        }
        let batches_min = clamp(config.batches_min, 1, BATCHES_MAX);
        let config = CapacityConfig {
            batches_min,
            batches_max: clamp(config.batches_max, batches_min, BATCHES_MAX),
            exhausted_cycles: if config.exhausted_cycles == 0 { 1 } else { config.exhausted_cycles },
            idle_cycles: if config.idle_cycles == 0 { 1 } else { config.idle_cycles },
        };
        Self { config, exhausted_in_row: 0, idle_in_row: 0 }
    }

    /// The numbers, put in order.
    pub const fn config(&self) -> CapacityConfig {
        self.config
    }

    /// How many batches the next cycle should have, after one with `capacity` of them and this load.
    pub fn next(&mut self, capacity: usize, load: CycleLoad) -> usize {
        let within = |batches: usize| batches.clamp(self.config.batches_min, self.config.batches_max);
        if load.exhausted > 0 {
            self.idle_in_row = 0;
            self.exhausted_in_row += 1;
            if self.exhausted_in_row >= self.config.exhausted_cycles {
                self.exhausted_in_row = 0;
                return within(capacity.saturating_mul(2));
            }
        } else if load.in_use_max <= capacity / 2 && capacity > self.config.batches_min {
            self.exhausted_in_row = 0;
            self.idle_in_row += 1;
            if self.idle_in_row >= self.config.idle_cycles {
                self.idle_in_row = 0;
                return within(capacity / 2);
            }
        } else {
            self.exhausted_in_row = 0;
            self.idle_in_row = 0;
        }
        within(capacity)
    }
}

/// Batches of one chunk of an adaptive pool.
const CHUNK: usize = DEFAULT_BATCHES;
type Chunk = BufferPool<CHUNK, 0>;

/// A pool of one thread that has as many batches as its load wants.
///
/// Within a cycle it is fixed: a request that finds nothing is refused, as in any pool. At [`end_cycle`](Self::end_cycle) the policy sees what the
/// cycle asked for, and chunks of 16 batches come or go. That takes the pool exclusively, so no guard is alive and nothing moves under one.
///
/// **Layout.** One allocation a chunk of 16 batches (about 4.5 KiB). **Cost.** As [`BufferPool`], and a look at the chunk used last.
///
/// ```
/// use bolt_triple::{AdaptivePool, CapacityConfig};
/// let mut pool = AdaptivePool::new(CapacityConfig { exhausted_cycles: 1, ..CapacityConfig::DEFAULT })?;
/// {
///     let all: Vec<_> = (0..16).map(|_| pool.get_soa(8)).collect::<Result<_, _>>()?;
///     assert!(pool.get_soa(8).is_err(), "fixed within a cycle");
///     drop(all);
/// }
/// assert_eq!(pool.end_cycle()?, 32);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AdaptivePool {
    /// Boxed one by one, so that a chunk stays where it is while others come and go; a slice of one, because that allocation may fail.
    chunks: Vec<Box<[Chunk]>>,
    /// The chunk that served last, so that the batches in use stay close together.
    current: Cell<usize>,
    exhausted: Cell<u64>,
    policy: CapacityPolicy,
    high_water: Cell<usize>,
    counters: Counters,
}

impl AdaptivePool {
    /// A pool of the least number of batches, rounded up to chunks of 16.
    ///
    /// # Errors
    /// [`GrowError`] when the allocator refuses.
    pub fn new(config: CapacityConfig) -> Result<Self, GrowError> {
        let mut pool = Self {
            chunks: Vec::new(),
            current: Cell::new(0),
            exhausted: Cell::new(0),
            policy: CapacityPolicy::new(config),
            high_water: Cell::new(0),
            counters: Counters::default(),
        };
        pool.resize(pool.policy.config().batches_min)?;
        Ok(pool)
    }

    /// A batch of `len` triples, whose words are leftovers.
    ///
    /// # Errors
    /// [`PoolError::InvalidSize`] above eight; [`PoolError::ExhaustedCapacity`] when all are out, which the next
    /// [`end_cycle`](Self::end_cycle) hears of.
    #[inline]
    pub fn get_soa(&self, len: usize) -> Result<PooledSoa<'_, CHUNK>, PoolError> {
        let len = BatchLen::new(len)?;
        match self
            .chunks
            .get(self.current.get())
            .and_then(|chunk| chunk.first())
            .map(|chunk| chunk.get_batch(len))
        {
            Some(Ok(soa)) => Ok(soa),
            _ => self.get_elsewhere(len),
        }
    }

    /// The first chunk, from the front, that has one: so load gathers there, and idle chunks lie at the end.
    #[cold]
    fn get_elsewhere(&self, len: BatchLen) -> Result<PooledSoa<'_, CHUNK>, PoolError> {
        for (at, chunk) in self.chunks.iter().flatten().enumerate() {
            if let Ok(soa) = chunk.get_batch(len) {
                self.current.set(at);
                return Ok(soa);
            }
        }
        self.exhausted.set(self.exhausted.get() + 1);
        self.counters.exhausted();
        let total = self.capacity();
        Err(PoolError::ExhaustedCapacity { in_use: total, total })
    }

    /// Gives a batch back, as dropping it does.
    #[inline]
    pub fn return_soa(&self, soa: PooledSoa<'_, CHUNK>) {
        drop(soa);
    }

    /// Ends a cycle: shows its load to the policy, grows or shrinks as that says, and returns how many batches there are now.
    ///
    /// # Errors
    /// [`GrowError`] when the allocator refuses to grow; the pool keeps what it has.
    pub fn end_cycle(&mut self) -> Result<usize, GrowError> {
        let chunks = self.chunks.iter().flatten();
        let in_use_max: usize = chunks.map(|chunk| chunk.capacity_usage().soa_buffers_high_water).sum();
        self.high_water.set(self.high_water.get().max(in_use_max));
        let load = CycleLoad { exhausted: self.exhausted.replace(0), in_use_max };
        let wanted = self.policy.next(self.capacity(), load);
        for chunk in self.chunks.iter().flatten() {
            chunk.forget_high_water();
        }
        self.current.set(0);
        self.resize(wanted)?;
        Ok(self.capacity())
    }

    fn resize(&mut self, batches: usize) -> Result<(), GrowError> {
        let chunks = batches.div_ceil(CHUNK);
        #[cfg(feature = "profiling")]
        for gone in self.chunks.iter().skip(chunks).flatten() {
            self.counters.absorb(&gone.stats());
        }
        self.chunks.truncate(chunks);
        let missing = chunks - self.chunks.len();
        self.chunks.try_reserve(missing).map_err(|_| GrowError { batches })?;
        for _ in 0..missing {
            let mut chunk = Vec::new();
            chunk.try_reserve_exact(1).map_err(|_| GrowError { batches })?;
            chunk.push(Chunk::new());
            self.chunks.push(chunk.into_boxed_slice());
            self.counters.allocated();
        }
        Ok(())
    }

    /// How many batches there are in this cycle.
    pub fn capacity(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    /// How much is in use. The high-water mark is the sum of the chunks', at least.
    pub fn capacity_usage(&self) -> CapacityUsage {
        let chunks = self.chunks.iter().flatten().map(|chunk| chunk.capacity_usage());
        let mut usage = chunks.fold(CapacityUsage::idle(0), CapacityUsage::plus);
        usage.soa_buffers_high_water = usage.soa_buffers_high_water.max(self.high_water.get());
        usage
    }

    /// What was counted since the pool was made or [`reset_stats`](Self::reset_stats) was called; the allocations are those of chunks.
    #[cfg(feature = "profiling")]
    pub fn stats(&self) -> PoolStats {
        let all = Counters::default();
        for chunk in self.chunks.iter().flatten() {
            all.absorb(&chunk.stats());
        }
        all.absorb(&self.counters.stats());
        let own = self.counters.stats();
        PoolStats::of(all.stats().hits, all.stats().cold, own.exhausted, own.allocation_count)
    }

    /// Counts from zero again.
    #[cfg(feature = "profiling")]
    pub fn reset_stats(&self) {
        self.chunks.iter().flatten().for_each(Chunk::reset_stats);
        self.counters.reset();
    }
}

impl SoaPool for AdaptivePool {
    type Guard<'p> = PooledSoa<'p, CHUNK>;

    #[inline]
    fn get_soa(&self, len: usize) -> Result<PooledSoa<'_, CHUNK>, PoolError> {
        AdaptivePool::get_soa(self, len)
    }

    fn capacity_usage(&self) -> CapacityUsage {
        AdaptivePool::capacity_usage(self)
    }
}

impl fmt::Debug for AdaptivePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptivePool")
            .field("usage", &self.capacity_usage())
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// The allocator refused to let a pool grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrowError {
    /// Batches the pool should have had.
    pub batches: usize,
}

impl fmt::Display for GrowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no memory for a pool of {} batches; it keeps what it has", self.batches)
    }
}

impl core::error::Error for GrowError {}
