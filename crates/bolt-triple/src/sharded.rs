//! Owns: `ShardedPool`, one pool for several threads: a shard near each thread, the others behind it. Never blocks, never allocates; the
//! memory is `slots`'. Limits: 8,192 triples over all shards; an exhausted pool costs a look at each shard.

use core::fmt;
use core::ops::{Deref, DerefMut};

use bolt_sync::CachePadded;

use crate::batch::{BatchLen, MAX_RUN_LEN, SoaBatch};
use crate::error::PoolError;
#[cfg(feature = "std")]
use crate::pool::SoaPool;
use crate::pool::{BATCHES_MAX, CapacityUsage, DEFAULT_BATCHES, TRIPLES_MAX};
use crate::slots::{SharedSlot, SharedSlots};

/// `SHARDS` times `N` batches for several threads, in place.
///
/// A request goes to its home shard and, when that is empty, to the next ones in turn; a batch goes back to the shard it came from, on
/// whichever thread. So threads with homes of their own do not meet, and no batch is out of reach of anybody.
///
/// **Layout.** 256 bytes and two words a batch; each shard begins on cache lines of its own. No heap.
///
/// **Cost.** One compare-and-swap to take and one to return, 9 to 13 ns each while a shard has one thread; more when threads contend
/// for one. A thread that works alone is better off with a [`BufferPool`](crate::BufferPool).
///
/// ```
/// use bolt_triple::{ShardedPool, Triple};
/// let pool = ShardedPool::<2, 8>::new();
/// std::thread::scope(|scope| {
///     for home in 0..2 {
///         let pool = &pool;
///         scope.spawn(move || {
///             let mut soa = pool.get_soa_near(home, 1)?;
///             soa.set(0, Triple::new(1, 2, 3))
///         });
///     }
/// });
/// assert_eq!(pool.capacity_usage().soa_buffers_in_use, 0);
/// ```
pub struct ShardedPool<const SHARDS: usize, const N: usize = DEFAULT_BATCHES> {
    shards: [CachePadded<SharedSlots<N>>; SHARDS],
}

impl<const SHARDS: usize, const N: usize> ShardedPool<SHARDS, N> {
    /// A pool with everything in it. No shards, or more than [`BATCHES_MAX`] batches, do not compile.
    pub fn new() -> Self {
        const { assert!(SHARDS > 0 && SHARDS * N <= BATCHES_MAX, "1 shard or more, 8,192 triples or fewer") }
        Self { shards: core::array::from_fn(|_| CachePadded::new(SharedSlots::new())) }
    }

    /// A batch of `len` triples, whose words are leftovers, if possible from the shard `home` (modulo their number).
    ///
    /// # Errors
    /// [`PoolError::InvalidSize`] above eight; [`PoolError::ExhaustedCapacity`] when every shard was found empty.
    pub fn get_soa_near(&self, home: usize, len: usize) -> Result<SharedSoa<'_, N>, PoolError> {
        let len = BatchLen::new(len)?;
        let home = home % SHARDS;
        let (before, from_home) = self.shards.split_at(home);
        for shard in from_home.iter().chain(before) {
            if let Some(mut slot) = shard.take() {
                slot.set_len(len);
                return Ok(SharedSoa(slot));
            }
        }
        Err(PoolError::ExhaustedCapacity { in_use: SHARDS * N, total: SHARDS * N })
    }

    /// A batch of `len` triples, whose words are leftovers, if possible from the calling thread's shard. Threads are numbered as they come,
    /// so up to `SHARDS` of them have shards of their own.
    ///
    /// # Errors
    /// As [`get_soa_near`](Self::get_soa_near).
    #[cfg(feature = "std")]
    #[inline]
    pub fn get_soa(&self, len: usize) -> Result<SharedSoa<'_, N>, PoolError> {
        self.get_soa_near(thread_number(), len)
    }

    /// Gives a batch back, as dropping it does. It goes to the shard it came from.
    #[inline]
    pub fn return_soa(&self, soa: SharedSoa<'_, N>) {
        drop(soa);
    }

    /// How much is in use; exact when nobody takes or returns meanwhile. The high-water mark is the sum of the shards'. Cost: a load for each
    /// batch.
    pub fn capacity_usage(&self) -> CapacityUsage {
        let in_use: usize = self.shards.iter().map(|shard| shard.in_use()).sum();
        CapacityUsage {
            soa_buffers_in_use: in_use,
            soa_buffers_total: SHARDS * N,
            soa_buffers_high_water: self.shards.iter().map(|shard| shard.high_water()).sum(),
            triples_in_use_max: in_use * MAX_RUN_LEN,
            triples_total: SHARDS * N * MAX_RUN_LEN,
            triples_limit: TRIPLES_MAX,
            ..CapacityUsage::default()
        }
    }
}

/// The calling thread's number, from 0 in the order of first use.
#[cfg(feature = "std")]
fn thread_number() -> usize {
    use bolt_sync::IdSource;
    static NUMBERS: IdSource = IdSource::new();
    std::thread_local! {
        static NUMBER: usize = NUMBERS.next().map_or(0, |number| number.get() as usize - 1);
    }
    // While a thread ends it may have no number any more; any shard will do.
    NUMBER.try_with(|number| *number).unwrap_or(0)
}

impl<const SHARDS: usize, const N: usize> Default for ShardedPool<SHARDS, N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "std")]
impl<const SHARDS: usize, const N: usize> SoaPool for ShardedPool<SHARDS, N> {
    type Guard<'p>
        = SharedSoa<'p, N>
    where
        Self: 'p;

    #[inline]
    fn get_soa(&self, len: usize) -> Result<SharedSoa<'_, N>, PoolError> {
        ShardedPool::get_soa(self, len)
    }

    fn capacity_usage(&self) -> CapacityUsage {
        ShardedPool::capacity_usage(self)
    }
}

impl<const SHARDS: usize, const N: usize> fmt::Debug for ShardedPool<SHARDS, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardedPool").field("usage", &self.capacity_usage()).finish_non_exhaustive()
    }
}

/// A batch on loan from a pool of several threads. It goes back when this is dropped, on any thread, on a panic too.
///
/// Layout: three words. `Send`.
#[derive(Debug)]
#[must_use = "dropped at once, the batch goes straight back"]
pub struct SharedSoa<'p, const N: usize = DEFAULT_BATCHES>(SharedSlot<'p, N>);

impl<const N: usize> Deref for SharedSoa<'_, N> {
    type Target = SoaBatch;
    #[inline(always)]
    fn deref(&self) -> &SoaBatch {
        &self.0
    }
}

impl<const N: usize> DerefMut for SharedSoa<'_, N> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut SoaBatch {
        &mut self.0
    }
}
