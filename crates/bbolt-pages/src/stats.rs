//! Counters of bbolt's shapes, and what memory the database takes.
//!
//! Owns [`Stats`], [`TxStats`] and [`MemoryStats`]: plain numbers, copied out when asked for. Counts nothing itself. Limit: the two freelist
//! figures in bytes are what bbolt would report for the same pages.

use std::time::Duration;

/// Statistics of a database since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Sums over finished write transactions.
    pub tx_stats: TxStats,
    /// Pages that can be allocated, as of the last write transaction.
    pub free_page_n: u64,
    /// Pages that wait until no reader can see them.
    pub pending_page_n: u64,
    /// Bytes of free and pending pages.
    pub free_alloc: u64,
    /// Bytes the freelist takes on disk.
    pub freelist_inuse: u64,
    /// Read transactions started.
    pub tx_n: u64,
    /// Read transactions open now.
    pub open_tx_n: u64,
    /// Whether a write transaction is open now: one that was leaked shows here.
    pub writer_open: bool,
}

impl Stats {
    /// What happened between `older` and this: counters subtracted, states as they are, open transactions 0, as in bbolt.
    pub fn sub(&self, older: &Self) -> Self {
        Self {
            tx_stats: self.tx_stats.sub(&older.tx_stats),
            tx_n: self.tx_n.wrapping_sub(older.tx_n),
            open_tx_n: 0,
            ..*self
        }
    }
}

macro_rules! tx_stats {
    ($($(#[$doc:meta])* $field:ident: $kind:ty,)*) => {
        /// Counters of write transactions, by bbolt's names.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct TxStats {
            $($(#[$doc])* pub $field: $kind,)*
        }

        impl TxStats {
            /// Counter by counter, this minus `older`.
            pub fn sub(&self, older: &Self) -> Self {
                Self { $($field: self.$field.saturating_sub(older.$field),)* }
            }

            pub(crate) fn add(&mut self, other: &Self) {
                $(self.$field = self.$field.saturating_add(other.$field);)*
            }
        }
    };
}

tx_stats! {
    /// Page allocations.
    page_count: u64,
    /// Bytes allocated for pages.
    page_alloc: u64,
    /// Cursors of write transactions.
    cursor_count: u64,
    /// Page images made: what bbolt calls nodes.
    node_count: u64,
    /// Always 0: images are never copied because a mapping moves, since it does not move.
    node_deref: u64,
    /// Pages merged with a neighbour or taken out.
    rebalance: u64,
    /// Time spent merging and splitting at commit; both happen in one pass, and the sum stands here.
    rebalance_time: Duration,
    /// Pages split.
    split: u64,
    /// Images given a page.
    spill: u64,
    /// Always zero: see `rebalance_time`.
    spill_time: Duration,
    /// Writes to the file.
    write: u64,
    /// Time spent writing and waiting for the disk.
    write_time: Duration,
}

/// Memory by kind. Resident parts of the mapping are shared with the system's page cache and given back when others need them; private
/// memory is this process's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryStats {
    /// Address space reserved; no memory.
    pub reserved_bytes: u64,
    /// Bytes of the file that are mapped.
    pub mapped_bytes: u64,
    /// Mapped bytes that are in memory for this process; `None` where the system does not tell.
    pub mapped_resident_bytes: Option<u64>,
    /// Page images, free-page sets and buffers of this database.
    pub private_bytes: u64,
    /// Bytes of digests in use, at most [`Options::digest_bytes`](crate::Options::digest_bytes); not part of `private_bytes`. The system gives the
    /// memory in pages of its own, so that up to the whole limit may be resident.
    pub digest_bytes: u64,
    /// Digests made since the database was opened: many more than pages say that the limit is too low, or that pages are written as often as read.
    pub digests_built: u64,
}
