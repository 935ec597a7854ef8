//! Owns: `ShardedPool`, one pool for several threads: a shard for each, and the others behind it. Never blocks, never allocates; the
//! memory is `shard`'s. Limits: 8,192 triples over all shards; what lies ready near another living thread has to be asked for.

use core::fmt;
use core::ops::{Deref, DerefMut};

use bolt_sync::CachePadded;
use bolt_sync::thread_token::ThreadToken;

use crate::batch::{BatchLen, MAX_RUN_LEN, SoaBatch};
use crate::error::PoolError;
#[cfg(feature = "std")]
use crate::pool::SoaPool;
use crate::pool::{BATCHES_MAX, CapacityUsage, DEFAULT_BATCHES, TRIPLES_MAX};
use crate::shard::{Shard, SharedSlot};

/// `SHARDS` times `N` batches for several threads, in place.
///
/// **Shards.** A thread's first request makes a shard its own that nobody owns, or whose thread has ended. Batches come back to the shard they are of: on the
/// thread that owns it to a stack which nobody else touches, up to half of the shard; on others strung together, until somebody takes all of those at
/// once; otherwise to a list that all threads reach. A request goes to the thread's own shard, and when that is empty to what others have in reach, in turn.
///
/// **What others hold ready.** The stack of a thread that lives is out of reach for others. A request that finds nothing asks for it: the
/// owner puts it on the list with its next call. So a pool of `n` shards serves one thread with all of its batches but half of those of the shards
/// that other living threads own, at once; and with those too, once they were asked. The stack of a thread that has ended is anybody's.
///
/// **Layout.** 256 bytes and four words of 32 bits a batch; each shard begins on cache lines of its own. No heap.
///
/// **Cost.** On a thread with a shard of its own 1 to 2 ns each way, no atomic read-modify-write. A batch that comes back on another
/// thread costs one compare-and-swap there, and its owner one exchange for all that came back meanwhile. On threads without a shard one of them each way, 9 to
/// 13 ns while nobody else is at that shard.
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
    shards: [CachePadded<Shard<N>>; SHARDS],
}

impl<const SHARDS: usize, const N: usize> ShardedPool<SHARDS, N> {
    /// A pool with everything in it. No shards, or more than [`BATCHES_MAX`] batches, do not compile.
    pub fn new() -> Self {
        const { assert!(SHARDS > 0 && SHARDS * N <= BATCHES_MAX, "1 shard or more, 8,192 triples or fewer") }
        Self { shards: core::array::from_fn(|_| CachePadded::new(Shard::new())) }
    }

    /// A batch of `len` triples, whose words are leftovers, if possible from the calling thread's own shard; `home` (modulo their number) is where a
    /// thread that has none begins to look, for a shard or for a batch.
    ///
    /// # Errors
    /// [`PoolError::InvalidSize`] above eight; [`PoolError::ExhaustedCapacity`] when nothing was found. If fewer are in use than there are, the rest lies ready
    /// near other threads and was asked for, or is on its way through one: try again later.
    #[inline]
    pub fn get_soa_near(&self, home: usize, len: usize) -> Result<SharedSoa<'_, N>, PoolError> {
        let len = BatchLen::new(len)?;
        let home = home % SHARDS;
        let near = self.shards.get(home).and_then(|shard| shard.take_near());
        let mut slot = match near {
            Some(slot) => slot,
            None => self.find(home)?,
        };
        // Mostly it has that length still, and a look is cheaper than a store.
        if slot.batch_len() != len {
            slot.set_len(len);
        }
        Ok(SharedSoa(slot))
    }

    /// A batch of `len` triples, whose words are leftovers, if possible from the calling thread's shard. Threads are numbered as they come,
    /// so up to `SHARDS` of them have shards of their own.
    ///
    /// # Errors
    /// As [`get_soa_near`](Self::get_soa_near).
    #[cfg(feature = "std")]
    #[inline]
    pub fn get_soa(&self, len: usize) -> Result<SharedSoa<'_, N>, PoolError> {
        self.get_soa_near(ThreadToken::current().number(), len)
    }

    /// A batch for a thread whose way was not the short one: from a shard of its own, from anybody's list, from the lane of a thread that has ended.
    #[inline(never)]
    fn find(&self, home: usize) -> Result<SharedSlot<'_, N>, PoolError> {
        let me = match ThreadToken::current() {
            ThreadToken::NONE => ThreadToken::enroll(),
            token => token,
        };
        let (before, from_home) = self.shards.split_at(home);
        let in_turn = || from_home.iter().chain(before);
        let mine = in_turn().find(|shard| shard.is_mine(me));
        if let Some(shard) = mine.or_else(|| in_turn().find(|shard| shard.claim(me)))
            && let Some(slot) =
                shard.take_near().or_else(|| shard.take_returned(true)).or_else(|| shard.take_far())
        {
            return Ok(slot);
        }
        let anywhere = || in_turn().find_map(|shard| shard.take_returned(false).or_else(|| shard.take_far()));
        if let Some(slot) = anywhere() {
            return Ok(slot);
        }
        let mut idle = 0;
        for shard in in_turn() {
            if shard.idle() > 0
                && shard.claim(me)
                && let Some(slot) = shard.take_and_disown()
            {
                return Ok(slot);
            }
            if shard.ask() {
                idle += shard.idle();
            }
        }
        // Perhaps somebody returned one meanwhile; one look more is all.
        anywhere().ok_or(PoolError::ExhaustedCapacity {
            in_use: (SHARDS * N).saturating_sub(idle),
            total: SHARDS * N,
        })
    }

    /// Gives a batch back, as dropping it does. It goes to the shard it came from.
    #[inline]
    pub fn return_soa(&self, soa: SharedSoa<'_, N>) {
        drop(soa);
    }

    /// How much is in use; exact when nobody takes or returns meanwhile. The high-water mark is the sum of the shards', and what lay ready near a thread
    /// while another took counts in it. Cost: a load for each batch.
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
/// Layout: four words. `Send`.
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
