//! Owns: jemalloc as an allocator to choose, and its own statistics. Never installs it: that is the program's choice.
//! Limits: not for MSVC; statistics are of the whole process.

use std::fmt;

use tikv_jemalloc_ctl::{epoch, stats};
/// jemalloc; name it as the global allocator to use it.
///
/// ```
/// #[global_allocator]
/// static ALLOC: bolt_alloc::Jemalloc = bolt_alloc::Jemalloc;
/// assert_eq!(vec![1_u8; 5000].len(), 5000);
/// ```
pub use tikv_jemallocator::Jemalloc;

/// jemalloc's own statistics, in bytes, at one moment. They mean something only where [`Jemalloc`] is the global allocator.
///
/// ```text
/// allocated ≤ active ≤ resident ≤ mapped (+ retained)
///  asked for   pages    in RAM     address space
/// ```
///
/// ```
/// # #[global_allocator] static ALLOC: bolt_alloc::Jemalloc = bolt_alloc::Jemalloc;
/// let before = bolt_alloc::JemallocStats::read()?;
/// let kept = vec![1_u8; 1 << 20];
/// let after = bolt_alloc::JemallocStats::read()?;
/// assert!(after.allocated >= before.allocated + (1 << 20));
/// assert!(after.fragmentation() >= 1.0);
/// # drop(kept);
/// # Ok::<(), bolt_alloc::JemallocError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct JemallocStats {
    /// Bytes the application holds, rounded up to size classes.
    pub allocated: usize,
    /// Bytes of pages that hold at least one of them.
    pub active: usize,
    /// Bytes in physical memory, as far as jemalloc knows: active pages, its metadata, and dirty pages not yet given back.
    pub resident: usize,
    /// Bytes of active extents mapped.
    pub mapped: usize,
    /// Bytes of address space kept for later without memory behind it.
    pub retained: usize,
    /// Bytes of jemalloc's own records.
    pub metadata: usize,
}

impl JemallocStats {
    /// Reads them. Cost: jemalloc merges the statistics of all its arenas; some microseconds.
    ///
    /// # Errors
    /// [`JemallocError`] when this jemalloc was built without statistics.
    pub fn read() -> Result<Self, JemallocError> {
        let refused =
            |what| move |error: tikv_jemalloc_ctl::Error| JemallocError { what, message: error.to_string() };
        // Statistics are cached by jemalloc until its epoch is advanced.
        epoch::advance().map_err(refused("epoch"))?;
        Ok(Self {
            allocated: stats::allocated::read().map_err(refused("stats.allocated"))?,
            active: stats::active::read().map_err(refused("stats.active"))?,
            resident: stats::resident::read().map_err(refused("stats.resident"))?,
            mapped: stats::mapped::read().map_err(refused("stats.mapped"))?,
            retained: stats::retained::read().map_err(refused("stats.retained"))?,
            metadata: stats::metadata::read().map_err(refused("stats.metadata"))?,
        })
    }

    /// External fragmentation: active over allocated bytes. 1.0 is none; 1.5 means a third of the pages' bytes lies idle between values.
    pub fn fragmentation(&self) -> f64 {
        self.active as f64 / self.allocated.max(1) as f64
    }

    /// Resident over allocated bytes: what a byte of use costs in memory, everything included.
    pub fn overhead(&self) -> f64 {
        self.resident as f64 / self.allocated.max(1) as f64
    }
}

/// A statistic that jemalloc would not give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JemallocError {
    what: &'static str,
    message: String,
}

impl fmt::Display for JemallocError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "jemalloc did not give `{}`: {}; was it built without statistics?", self.what, self.message)
    }
}

impl std::error::Error for JemallocError {}
