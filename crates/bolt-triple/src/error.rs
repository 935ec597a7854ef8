//! Owns: the errors of the pools. Small, `Copy`, with the numbers inside; none of them allocates.

use core::fmt;

/// Why a pool refused. After each of them the pool is as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolError {
    /// A batch has at most [`MAX_RUN_LEN`](crate::MAX_RUN_LEN) triples: split the run.
    InvalidSize {
        /// Triples asked for.
        requested: usize,
        /// The most a batch holds.
        max: usize,
    },
    /// Every batch is out: return one, or make the pool larger.
    ExhaustedCapacity {
        /// Batches that are out.
        in_use: usize,
        /// Batches there are.
        total: usize,
    },
    /// Every receipt of this run is taken: reset the receipts between runs, or make the pool larger.
    ReceiptsExhausted {
        /// Receipts there are.
        total: usize,
    },
    /// The batch behind this handle was redeemed, returned or revoked, or another pool made the handle. Nothing was touched.
    StaleHandle {
        /// The slot the handle names.
        index: u32,
    },
    /// The receipt is from before a reset, or of another pool. Nothing was read.
    StaleReceipt {
        /// The receipt the handle names.
        index: u32,
    },
    /// The numbers that tell handles apart are used up, which takes 2⁶⁴ of them (2³² blocks of 2²⁰ where atomics have 32 bits).
    HandlesExhausted,
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::InvalidSize { requested, max } => {
                write!(f, "a batch holds at most {max} triples and {requested} were asked for; split the run")
            }
            Self::ExhaustedCapacity { in_use, total } => {
                write!(f, "{in_use} of {total} batches are in use; return one or make the pool larger")
            }
            Self::ReceiptsExhausted { total } => {
                write!(f, "all {total} receipts of this run are taken; reset the receipt pool between runs")
            }
            Self::StaleHandle { index } => write!(
                f,
                "the handle of batch {index} is stale: it was redeemed, returned or revoked, or is another pool's"
            ),
            Self::StaleReceipt { index } => {
                write!(f, "receipt {index} is from before a reset of this pool, or is another pool's")
            }
            Self::HandlesExhausted => f.write_str("the numbers that tell handles apart are used up"),
        }
    }
}

impl core::error::Error for PoolError {}
