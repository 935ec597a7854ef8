//! Owns: `BufferPool`, the pool of one thread: guards, handles, receipts, figures. Never allocates; the memory is `slots`'. Limits: 1,024
//! batches, that is 8,192 triples.

use core::fmt;
use core::ops::{Deref, DerefMut};

use crate::batch::{BatchLen, MAX_RUN_LEN, SoaBatch};
use crate::error::PoolError;
use crate::profile::Counters;
#[cfg(feature = "profiling")]
use crate::profile::PoolStats;
use crate::receipt::{DEFAULT_RECEIPTS, Receipt, ReceiptHandle, ReceiptPool};
use crate::slots::{LocalSlot, LocalSlots};

/// How many batches a pool has unless it is told otherwise: twice the eight operations the source's pipeline has in flight, and 4 KiB, so
/// that all of them fit into any first-level cache.
pub const DEFAULT_BATCHES: usize = 16;

/// The most triples a pool holds, from the source's design.
pub const TRIPLES_MAX: usize = 8192;

/// The most batches that makes.
pub const BATCHES_MAX: usize = TRIPLES_MAX / MAX_RUN_LEN;

/// What a pipeline needs of a pool: a batch on loan, or an error.
pub trait SoaPool {
    /// The batch on loan; it goes back when this is dropped.
    type Guard<'p>: DerefMut<Target = SoaBatch>
    where
        Self: 'p;

    /// A batch of `len` triples, whose words are leftovers.
    ///
    /// # Errors
    /// [`PoolError::InvalidSize`] above eight, [`PoolError::ExhaustedCapacity`] when all batches are out.
    fn get_soa(&self, len: usize) -> Result<Self::Guard<'_>, PoolError>;

    /// How much of it is in use.
    fn capacity_usage(&self) -> CapacityUsage;
}

/// `N` batches and `R` receipts for one thread, all in place.
///
/// **Layout.** 256 bytes a batch (three lanes and a line with the length), 64 a receipt, a few words: 69 KiB by default. No heap.
///
/// **Cost.** `get_soa` and a return are a handful of loads and stores each, no atomic. A batch is neither cleared nor copied on
/// either way; the one returned last is handed out first.
///
/// **Ownership.** A [`PooledSoa`] borrows the pool and is the only way to its batch, so it cannot be returned twice or to another pool. A
/// batch that has to leave the borrow (into a queue, a table) is parked as a [`SoaHandle`], which the pool checks.
///
/// ```
/// use bolt_triple::{BufferPool, PoolError, Triple};
/// let pool: BufferPool = BufferPool::new();
/// let mut soa = pool.get_soa(1)?;
/// soa.set(0, Triple::new(1, 2, 3))?;
/// assert_eq!(pool.capacity_usage().soa_buffers_in_use, 1);
/// pool.return_soa(soa); // or let it go out of scope
/// assert_eq!(pool.capacity_usage().soa_buffers_in_use, 0);
/// assert!(matches!(pool.get_soa(9), Err(PoolError::InvalidSize { requested: 9, max: 8 })));
/// # Ok::<(), PoolError>(())
/// ```
pub struct BufferPool<const N: usize = DEFAULT_BATCHES, const R: usize = DEFAULT_RECEIPTS> {
    slots: LocalSlots<N>,
    receipts: ReceiptPool<R>,
    counters: Counters,
}

impl<const N: usize, const R: usize> BufferPool<N, R> {
    /// A pool with everything in it. More than [`BATCHES_MAX`] batches do not compile.
    pub fn new() -> Self {
        const { assert!(N <= BATCHES_MAX, "a pool holds at most 8,192 triples") }
        Self { slots: LocalSlots::new(), receipts: ReceiptPool::new(), counters: Counters::default() }
    }

    /// A batch of `len` triples. Its words are what their last user left: neither zero nor yours.
    ///
    /// # Errors
    /// [`PoolError::InvalidSize`] above eight: split the run. [`PoolError::ExhaustedCapacity`] when all are out: return one, or
    /// give the pool more.
    #[inline]
    pub fn get_soa(&self, len: usize) -> Result<PooledSoa<'_, N>, PoolError> {
        self.get_batch(BatchLen::new(len)?)
    }

    /// The same for a length that cannot exceed eight.
    ///
    /// # Errors
    /// [`PoolError::ExhaustedCapacity`] when all are out: return one, or give the pool more.
    #[inline]
    pub fn get_batch(&self, len: BatchLen) -> Result<PooledSoa<'_, N>, PoolError> {
        let Some((mut slot, cold)) = self.slots.take() else {
            self.counters.exhausted();
            return Err(PoolError::ExhaustedCapacity { in_use: N, total: N });
        };
        self.counters.served(cold);
        // Mostly it has that length still, and a look is cheaper than a store.
        if slot.batch_len() != len {
            slot.set_len(len);
        }
        Ok(PooledSoa(slot))
    }

    /// Gives a batch back, as dropping it does. One of another pool goes back to that pool.
    #[inline]
    pub fn return_soa(&self, soa: PooledSoa<'_, N>) {
        drop(soa);
    }

    /// The batch behind a handle, as a guard again. The handle and its copies are void from here on.
    ///
    /// # Errors
    /// [`PoolError::StaleHandle`] if it is void already, or another pool's.
    #[inline]
    pub fn redeem(&self, handle: SoaHandle) -> Result<PooledSoa<'_, N>, PoolError> {
        let stale = PoolError::StaleHandle { index: handle.index };
        self.slots.redeem(handle.index, handle.ticket).map(PooledSoa).ok_or(stale)
    }

    /// Gives a parked batch back.
    ///
    /// # Errors
    /// [`PoolError::StaleHandle`] if it came back already, or is another pool's.
    #[inline]
    pub fn return_handle(&self, handle: SoaHandle) -> Result<(), PoolError> {
        self.redeem(handle).map(drop)
    }

    /// Begins anew as far as nobody is hurt: parked batches come back and their handles are void, receipts are reset, the
    /// high-water mark falls to what is out. Batches that guards hold stay out, and the answer says how many.
    pub fn clear(&self) -> Cleared {
        let handles_revoked = self.slots.revoke_parked();
        let receipts_reset = self.receipts.in_use();
        self.receipts.reset_receipt_pool();
        self.slots.forget_high_water();
        Cleared { soa_buffers_still_out: self.slots.in_use(), handles_revoked, receipts_reset }
    }

    /// Begins anew altogether. No guard can be alive here, so a batch that is neither free nor parked is one whose guard was
    /// forgotten (`mem::forget`): it comes back too, and the answer says how many there were.
    pub fn reset(&mut self) -> Cleared {
        let cleared = self.clear();
        self.slots.reset();
        cleared
    }

    /// How much is in use, and how much there is. Cost: a few loads.
    pub fn capacity_usage(&self) -> CapacityUsage {
        CapacityUsage {
            soa_buffers_in_use: self.slots.in_use(),
            soa_buffers_total: N,
            soa_buffers_high_water: self.slots.high_water(),
            triples_in_use_max: self.slots.in_use() * MAX_RUN_LEN,
            triples_total: N * MAX_RUN_LEN,
            triples_limit: TRIPLES_MAX,
            receipts_in_use: self.receipts.in_use(),
            receipts_total: R,
            receipts_high_water: self.receipts.high_water(),
        }
    }

    #[cfg(feature = "alloc")]
    pub(crate) fn forget_high_water(&self) {
        self.slots.forget_high_water();
    }

    /// How many batches are parked; they count as in use. Cost: a look at each slot.
    pub fn parked(&self) -> usize {
        self.slots.parked()
    }

    /// The receipts, with all their methods.
    #[inline]
    pub fn receipts(&self) -> &ReceiptPool<R> {
        &self.receipts
    }

    /// The next receipt, which is the identity until it is written.
    ///
    /// # Errors
    /// [`PoolError::ReceiptsExhausted`]: reset between runs, or make the pool larger.
    #[inline]
    pub fn get_receipt(&self) -> Result<ReceiptHandle, PoolError> {
        self.receipts.get_receipt()
    }

    /// What is written in a receipt of this run.
    ///
    /// # Errors
    /// [`PoolError::StaleReceipt`] for one from before a reset, or of another pool.
    #[inline]
    pub fn receipt(&self, handle: ReceiptHandle) -> Result<Receipt, PoolError> {
        self.receipts.receipt(handle)
    }

    /// Writes a receipt of this run.
    ///
    /// # Errors
    /// [`PoolError::StaleReceipt`] for one from before a reset, or of another pool.
    #[inline]
    pub fn write_receipt(&self, handle: ReceiptHandle, receipt: Receipt) -> Result<(), PoolError> {
        self.receipts.write_receipt(handle, receipt)
    }

    /// Takes all receipts back; handles of this run are refused from here on.
    pub fn reset_receipt_pool(&self) {
        self.receipts.reset_receipt_pool();
    }

    /// What was counted since the pool was made or [`reset_stats`](Self::reset_stats) was called.
    #[cfg(feature = "profiling")]
    pub fn stats(&self) -> PoolStats {
        self.counters.stats()
    }

    /// Counts from zero again.
    #[cfg(feature = "profiling")]
    pub fn reset_stats(&self) {
        self.counters.reset();
    }
}

impl<const N: usize, const R: usize> Default for BufferPool<N, R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize, const R: usize> SoaPool for BufferPool<N, R> {
    type Guard<'p>
        = PooledSoa<'p, N>
    where
        Self: 'p;

    #[inline]
    fn get_soa(&self, len: usize) -> Result<PooledSoa<'_, N>, PoolError> {
        BufferPool::get_soa(self, len)
    }

    fn capacity_usage(&self) -> CapacityUsage {
        BufferPool::capacity_usage(self)
    }
}

impl<const N: usize, const R: usize> fmt::Debug for BufferPool<N, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferPool").field("usage", &self.capacity_usage()).finish_non_exhaustive()
    }
}

/// A guard that was forgotten is a batch lost: said aloud in debug builds. A parked batch is not lost; its handle is void.
impl<const N: usize, const R: usize> Drop for BufferPool<N, R> {
    fn drop(&mut self) {
        #[cfg(feature = "std")]
        if std::thread::panicking() {
            return; // one report at a time
        }
        debug_assert!(
            self.slots.in_use() == self.slots.parked(),
            "a guard of this pool was forgotten: {:?}",
            self.capacity_usage()
        );
    }
}

/// A batch on loan from a pool of one thread. It goes back when this is dropped, on a panic too.
///
/// Layout: four words. It is not `Send`: the pool is one thread's. Another thread's pool is its own, or a
/// [`ShardedPool`](crate::ShardedPool).
#[derive(Debug)]
#[must_use = "dropped at once, the batch goes straight back"]
pub struct PooledSoa<'p, const N: usize = DEFAULT_BATCHES>(LocalSlot<'p, N>);

impl<const N: usize> PooledSoa<'_, N> {
    /// Which slot of the pool it lies in: below the number of batches.
    #[inline]
    pub fn slot(&self) -> usize {
        self.0.index() as usize
    }

    /// Leaves the batch out of the pool without a borrow: the handle is its way back.
    ///
    /// # Errors
    /// [`PoolError::HandlesExhausted`], which nobody will live to see with 64-bit atomics; the batch is back in its pool then.
    #[inline]
    pub fn into_handle(self) -> Result<SoaHandle, PoolError> {
        let (index, ticket) = self.0.park().ok_or(PoolError::HandlesExhausted)?;
        Ok(SoaHandle { ticket, index })
    }
}

impl<const N: usize> Deref for PooledSoa<'_, N> {
    type Target = SoaBatch;
    #[inline(always)]
    fn deref(&self) -> &SoaBatch {
        &self.0
    }
}

impl<const N: usize> DerefMut for PooledSoa<'_, N> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut SoaBatch {
        &mut self.0
    }
}

/// Names one parking of one batch of one pool.
///
/// Layout: 16 bytes, `Copy`, `Send`. Its number is given once in the life of the process, so a copy that comes late, or to another pool,
/// is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SoaHandle {
    ticket: u64,
    index: u32,
}

/// How much of a pool is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CapacityUsage {
    /// Batches that are out: with guards or parked.
    pub soa_buffers_in_use: usize,
    /// Batches there are.
    pub soa_buffers_total: usize,
    /// The most batches that were out at once, since the pool was made or cleared.
    pub soa_buffers_high_water: usize,
    /// Triples that the batches in use hold if they are full.
    pub triples_in_use_max: usize,
    /// Triples there is room for.
    pub triples_total: usize,
    /// The most triples a pool may have room for.
    pub triples_limit: usize,
    /// Receipts taken in this run.
    pub receipts_in_use: usize,
    /// Receipts there are.
    pub receipts_total: usize,
    /// The most receipts a run has taken.
    pub receipts_high_water: usize,
}

impl CapacityUsage {
    /// A pool of `batches` that nobody uses.
    #[cfg(feature = "alloc")]
    pub(crate) fn idle(batches: usize) -> Self {
        Self {
            soa_buffers_total: batches,
            triples_total: batches * MAX_RUN_LEN,
            triples_limit: TRIPLES_MAX,
            ..Self::default()
        }
    }

    /// Two pools as one; the high-water marks add up, though they may be of different times.
    #[cfg(feature = "alloc")]
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            soa_buffers_in_use: self.soa_buffers_in_use + other.soa_buffers_in_use,
            soa_buffers_total: self.soa_buffers_total + other.soa_buffers_total,
            soa_buffers_high_water: self.soa_buffers_high_water + other.soa_buffers_high_water,
            triples_in_use_max: self.triples_in_use_max + other.triples_in_use_max,
            triples_total: self.triples_total + other.triples_total,
            triples_limit: TRIPLES_MAX,
            receipts_in_use: self.receipts_in_use + other.receipts_in_use,
            receipts_total: self.receipts_total + other.receipts_total,
            receipts_high_water: self.receipts_high_water + other.receipts_high_water,
        }
    }
}

/// What [`BufferPool::clear`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cleared {
    /// Batches that guards still hold: they count as in use until those are dropped.
    pub soa_buffers_still_out: usize,
    /// Parked batches that came back; their handles are void.
    pub handles_revoked: usize,
    /// Receipts that were taken.
    pub receipts_reset: usize,
}
