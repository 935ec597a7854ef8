//! Owns: the errors of the crate, small `Copy` types with the numbers inside. Never allocates.

use core::fmt;

/// Why memory was not given. The pool is as it was before the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AllocError {
    /// The pool's own ceiling (`PoolLimits::heap_bytes_max`) would be passed. Release something, or raise the ceiling.
    LimitReached {
        /// Heap bytes this call needed on top.
        requested_bytes: usize,
        /// Heap bytes the pool holds already.
        heap_bytes: usize,
        /// The ceiling.
        heap_bytes_max: usize,
    },
    /// The global allocator refused.
    OutOfMemory {
        /// Heap bytes this call needed on top.
        requested_bytes: usize,
    },
    /// More values in one slice than a handle can describe, or more than memory can hold.
    TooLarge {
        /// Values asked for.
        requested_values: usize,
        /// Most values of one slice.
        values_max: usize,
    },
    /// A fixed buffer has fewer free slots than were asked for.
    Full {
        /// Values asked for.
        requested_values: usize,
        /// Slots that are free.
        available_values: usize,
    },
    /// The process has used up the numbers that tell handles apart. Only targets without 64-bit atomics can get here.
    HandlesExhausted,
}

impl fmt::Display for AllocError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::LimitReached { requested_bytes, heap_bytes, heap_bytes_max } => write!(
                f,
                "{requested_bytes} more bytes would pass the pool's limit of {heap_bytes_max} ({heap_bytes} held); \
                 release values or raise heap_bytes_max"
            ),
            Self::OutOfMemory { requested_bytes } => {
                write!(f, "the global allocator refused {requested_bytes} bytes")
            }
            Self::TooLarge { requested_values, values_max } => {
                write!(
                    f,
                    "{requested_values} values do not fit one slice, whose limit is {values_max}; split them"
                )
            }
            Self::Full { requested_values, available_values } => {
                write!(
                    f,
                    "{requested_values} values asked for, {available_values} slots free in this fixed buffer"
                )
            }
            Self::HandlesExhausted => {
                write!(f, "no handle numbers are left in this process; create fewer pools")
            }
        }
    }
}

impl core::error::Error for AllocError {}

/// The handle does not name a live allocation of this pool: it was released (by `release`, `rollback`, the end of a scope
/// or `reset_all`), or another pool made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandleError {
    /// Position of the allocation the handle names, counted from the oldest.
    pub index: u32,
    /// Allocations live in the pool that was asked.
    pub live_allocations: u32,
}

impl fmt::Display for HandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "handle to allocation {} is stale or foreign: it was released, or another pool made it ({} live here)",
            self.index, self.live_allocations
        )
    }
}

impl core::error::Error for HandleError {}

/// More was to be released than is there. Nothing was released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseError {
    /// Allocations (or values) to release.
    pub requested: usize,
    /// What could have been released: allocations live, or values up to the nearest boundary between allocations.
    pub available: usize,
}

impl fmt::Display for ReleaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to release, {} possible; nothing was released", self.requested, self.available)
    }
}

impl core::error::Error for ReleaseError {}

/// The mark cannot be rolled back to: what lay directly below it is gone, or another pool made it. Nothing was released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RollbackError {
    /// Allocations that were live when the mark was taken.
    pub marked_allocations: u32,
    /// Allocations live now.
    pub live_allocations: u32,
}

impl fmt::Display for RollbackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the mark over {} allocations is stale or foreign ({} live here); nothing was released",
            self.marked_allocations, self.live_allocations
        )
    }
}

impl core::error::Error for RollbackError {}
