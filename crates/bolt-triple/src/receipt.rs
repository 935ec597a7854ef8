//! Owns: `Receipt` and its merge, and `ReceiptPool`, which hands receipts out by index. Never allocates; no unsafe. Limits: `R` receipts
//! between two resets; they are cleared at the reset, never on the way out.

use core::cell::Cell;

use crate::error::PoolError;
use crate::ticket::Tickets;

/// How many receipts a pool has unless it is told otherwise, from the source's design.
pub const DEFAULT_RECEIPTS: usize = 1024;

/// What a hook leaves behind: where and when it ran, how long, over how many lanes, and a hash of what it saw.
///
/// Receipts merge: [`merge`](Self::merge) is associative and commutative, and [`IDENTITY`](Self::IDENTITY) changes nothing. So receipts of
/// shards and cycles can be folded in any order and any grouping.
///
/// Layout: 64 bytes, one cache line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(C, align(64))]
pub struct Receipt {
    /// The cycle of the pipeline; merged by exclusive or.
    pub cycle: u64,
    /// The shard; merged by exclusive or.
    pub shard: u64,
    /// The hook that ran; merged by exclusive or.
    pub hook: u64,
    /// How long it took, in the unit of [`ticks`](crate::ticks); merged to the greater.
    pub ticks: u64,
    /// How many lanes matched; merged to the sum, modulo 2⁶⁴.
    pub lanes: u64,
    /// The span of the trace it belongs to; merged by exclusive or.
    pub span_id: u64,
    /// A hash of what it saw; merged by exclusive or.
    pub hash: u64,
}

const _: () = assert!(size_of::<Receipt>() == 64);

impl Receipt {
    /// The receipt of nothing: merging it changes nothing.
    pub const IDENTITY: Self = Self { cycle: 0, shard: 0, hook: 0, ticks: 0, lanes: 0, span_id: 0, hash: 0 };

    /// Both in one: the greater of the ticks, the sum of the lanes modulo 2⁶⁴ (which keeps it associative), all else by exclusive or.
    ///
    /// ```
    /// use bolt_triple::Receipt;
    /// let one = Receipt { ticks: 7, lanes: 3, hash: 0b0110, ..Receipt::IDENTITY };
    /// let other = Receipt { ticks: 5, lanes: 8, hash: 0b0011, ..Receipt::IDENTITY };
    /// let both = one.merge(other);
    /// assert_eq!((both.ticks, both.lanes, both.hash), (7, 11, 0b0101));
    /// assert_eq!(both.merge(Receipt::IDENTITY), both);
    /// ```
    #[inline]
    #[must_use]
    pub const fn merge(self, other: Self) -> Self {
        Self {
            cycle: self.cycle ^ other.cycle,
            shard: self.shard ^ other.shard,
            hook: self.hook ^ other.hook,
            ticks: if self.ticks > other.ticks { self.ticks } else { other.ticks },
            lanes: self.lanes.wrapping_add(other.lanes),
            span_id: self.span_id ^ other.span_id,
            hash: self.hash ^ other.hash,
        }
    }
}

/// The merge of all.
impl core::iter::Sum for Receipt {
    fn sum<I: Iterator<Item = Self>>(receipts: I) -> Self {
        receipts.fold(Self::IDENTITY, Self::merge)
    }
}

/// Names one receipt of one pool and one run: the pool refuses it after a reset.
///
/// Layout: 16 bytes, `Copy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReceiptHandle {
    epoch: u64,
    index: u32,
}

impl ReceiptHandle {
    /// Which receipt of the run, counted from 0.
    #[inline]
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

/// `R` receipts, handed out by index and taken back all at once.
///
/// **Layout.** `R` cache lines and four words, in place. **Cost.** A receipt is an index and a bound; a reset clears those that were
/// used. One thread.
///
/// ```
/// use bolt_triple::{Receipt, ReceiptPool};
/// let receipts = ReceiptPool::<4>::new();
/// let handle = receipts.get_receipt()?;
/// receipts.update_receipt(handle, |receipt| receipt.lanes = 3)?;
/// assert_eq!(receipts.receipt(handle)?.lanes, 3);
/// receipts.reset_receipt_pool();
/// assert!(receipts.receipt(handle).is_err(), "it is from before the reset");
/// # Ok::<(), bolt_triple::PoolError>(())
/// ```
#[derive(Debug)]
pub struct ReceiptPool<const R: usize = DEFAULT_RECEIPTS> {
    /// Those at and above `taken` are the identity.
    receipts: [Cell<Receipt>; R],
    taken: Cell<u32>,
    high_water: Cell<u32>,
    /// A number no other run of any pool has.
    epoch: Cell<u64>,
    tickets: Tickets,
}

impl<const R: usize> ReceiptPool<R> {
    /// `R` receipts, none taken.
    pub fn new() -> Self {
        const { assert!(R <= u32::MAX as usize, "receipts are counted in 32 bits") }
        let pool = Self {
            receipts: [const { Cell::new(Receipt::IDENTITY) }; R],
            taken: Cell::new(0),
            high_water: Cell::new(0),
            epoch: Cell::new(0),
            tickets: Tickets::new(),
        };
        pool.begin_run();
        pool
    }

    /// The next receipt, which is the identity until it is written.
    ///
    /// # Errors
    /// [`PoolError::ReceiptsExhausted`]: reset between runs, or make the pool larger.
    #[inline]
    pub fn get_receipt(&self) -> Result<ReceiptHandle, PoolError> {
        let index = self.taken.get();
        if index as usize >= R {
            return Err(PoolError::ReceiptsExhausted { total: R });
        }
        self.taken.set(index + 1);
        Ok(ReceiptHandle { epoch: self.epoch.get(), index })
    }

    /// Takes the next receipt and writes it.
    ///
    /// # Errors
    /// As [`get_receipt`](Self::get_receipt).
    #[inline]
    pub fn record(&self, receipt: Receipt) -> Result<ReceiptHandle, PoolError> {
        let handle = self.get_receipt()?;
        if let Some(cell) = self.receipts.get(handle.index()) {
            cell.set(receipt);
        }
        Ok(handle)
    }

    /// What is written there.
    ///
    /// # Errors
    /// [`PoolError::StaleReceipt`] for one from before a reset, or of another pool.
    #[inline]
    pub fn receipt(&self, handle: ReceiptHandle) -> Result<Receipt, PoolError> {
        self.cell(handle).map(Cell::get)
    }

    /// Writes it whole.
    ///
    /// # Errors
    /// [`PoolError::StaleReceipt`] for one from before a reset, or of another pool.
    #[inline]
    pub fn write_receipt(&self, handle: ReceiptHandle, receipt: Receipt) -> Result<(), PoolError> {
        self.cell(handle).map(|cell| cell.set(receipt))
    }

    /// Changes parts of it. Should `change` panic, the receipt is as before.
    ///
    /// # Errors
    /// [`PoolError::StaleReceipt`] for one from before a reset, or of another pool.
    #[inline]
    pub fn update_receipt(
        &self,
        handle: ReceiptHandle,
        change: impl FnOnce(&mut Receipt),
    ) -> Result<(), PoolError> {
        let cell = self.cell(handle)?;
        let mut receipt = cell.get();
        change(&mut receipt);
        // The change may have reset this very pool.
        self.cell(handle)?.set(receipt);
        Ok(())
    }

    #[inline(always)]
    fn cell(&self, handle: ReceiptHandle) -> Result<&Cell<Receipt>, PoolError> {
        // The epoch alone decides: handles of this epoch exist for taken receipts only.
        match self.receipts.get(handle.index()) {
            Some(cell) if handle.epoch == self.epoch.get() => Ok(cell),
            _ => Err(PoolError::StaleReceipt { index: handle.index }),
        }
    }

    /// The receipts taken in this run, in order.
    pub fn iter(&self) -> impl Iterator<Item = Receipt> + '_ {
        self.receipts.iter().take(self.in_use()).map(Cell::get)
    }

    /// All receipts of this run merged into one.
    pub fn merged(&self) -> Receipt {
        self.iter().sum()
    }

    /// Takes all receipts back and begins a new run; handles of the last one are refused from here on.
    ///
    /// Cost: a cache line for each receipt that was taken.
    pub fn reset_receipt_pool(&self) {
        for cell in self.receipts.iter().take(self.in_use()) {
            cell.set(Receipt::IDENTITY);
        }
        self.high_water.set(self.high_water.get().max(self.taken.get()));
        self.begin_run();
    }

    fn begin_run(&self) {
        match self.tickets.next() {
            Some(epoch) => {
                self.epoch.set(epoch);
                self.taken.set(0);
            }
            // No number is left to tell runs apart: the pool stays exhausted rather than accept an old handle.
            None => {
                self.epoch.set(0);
                self.taken.set(R as u32);
            }
        }
    }

    /// Receipts taken in this run.
    #[inline]
    pub fn in_use(&self) -> usize {
        self.taken.get() as usize
    }

    /// Receipts there are.
    pub const fn total(&self) -> usize {
        R
    }

    /// The most receipts a run has taken.
    pub fn high_water(&self) -> usize {
        self.high_water.get().max(self.taken.get()) as usize
    }
}

impl<const R: usize> Default for ReceiptPool<R> {
    fn default() -> Self {
        Self::new()
    }
}
