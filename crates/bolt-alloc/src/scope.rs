//! Owns: counts of a scope on one thread, and the assertion that a scope allocates nothing. Never counts other threads.
//! Limits: a scope begins and ends on one thread (it is a closure, so it cannot do otherwise).

use std::fmt;

use crate::counting::{begin_peak, end_peak, is_installed, thread_counts};

/// Counts of calls and requested bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Successful `alloc` and `alloc_zeroed`.
    pub allocations: u64,
    /// `dealloc`.
    pub deallocations: u64,
    /// Successful `realloc`, whether they moved or not.
    pub reallocations: u64,
    /// Bytes requested, growth by `realloc` included.
    pub bytes_allocated: u64,
    /// Bytes given back, shrinking by `realloc` included.
    pub bytes_deallocated: u64,
    /// Bytes allocated minus bytes given back; negative where what others allocated is freed.
    pub live_bytes: i64,
    /// The most that was live at once, above what was live when the counting began.
    pub peak_bytes: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} allocations, {} reallocations, {} deallocations, {} bytes requested, {} returned, peak {}",
            self.allocations,
            self.reallocations,
            self.deallocations,
            self.bytes_allocated,
            self.bytes_deallocated,
            self.peak_bytes
        )
    }
}

/// Runs `f` and counts what this thread allocates meanwhile. Scopes nest; an outer scope counts what inner ones count.
///
/// Cost: two reads of the thread's counters. If `f` panics, the counts of outer scopes stay right.
///
/// # Panics
/// When [`CountingAlloc`](crate::CountingAlloc) is not the global allocator: the counts would all be zero and prove nothing.
///
/// ```
/// # use bolt_alloc::{CountingAlloc, measure};
/// # #[global_allocator] static ALLOC: CountingAlloc = CountingAlloc::new();
/// let (_, outer) = measure(|| {
///     let ((), inner) = measure(|| drop(vec![1_u8; 64]));
///     assert_eq!((inner.allocations, inner.live_bytes, inner.peak_bytes), (1, 0, 64));
///     vec![1_u8; 10]
/// });
/// assert_eq!((outer.allocations, outer.live_bytes, outer.peak_bytes), (2, 10, 64));
/// ```
#[track_caller]
pub fn measure<T>(f: impl FnOnce() -> T) -> (T, Counts) {
    assert_installed();
    /// Gives the outer scope its peak back, on unwinding too.
    struct Outer(i64);
    impl Drop for Outer {
        fn drop(&mut self) {
            end_peak(self.0);
        }
    }
    let before = thread_counts();
    let (live_before, peak_before) = begin_peak();
    let outer = Outer(peak_before);
    let value = f();
    let after = thread_counts();
    std::mem::forget(outer);
    let peak = end_peak(peak_before);
    let counts = Counts {
        allocations: after.allocations - before.allocations,
        deallocations: after.deallocations - before.deallocations,
        reallocations: after.reallocations - before.reallocations,
        bytes_allocated: after.bytes_allocated - before.bytes_allocated,
        bytes_deallocated: after.bytes_deallocated - before.bytes_deallocated,
        live_bytes: after.live_bytes - before.live_bytes,
        peak_bytes: (peak - live_before).max(0) as u64,
    };
    (value, counts)
}

/// Runs `f` and panics if this thread allocated or reallocated meanwhile. Giving memory back is allowed.
///
/// # Panics
/// When something was allocated, with the counts; and when [`CountingAlloc`](crate::CountingAlloc) is not the global allocator, since then
/// nothing would be proved.
///
/// ```
/// # use bolt_alloc::{CountingAlloc, assert_no_alloc};
/// # #[global_allocator] static ALLOC: CountingAlloc = CountingAlloc::new();
/// let mut list = Vec::with_capacity(10);
/// assert_no_alloc(|| list.extend([1, 2, 3]));
/// ```
#[track_caller]
pub fn assert_no_alloc<T>(f: impl FnOnce() -> T) -> T {
    let (value, counts) = measure(f);
    assert!(
        counts.allocations == 0 && counts.reallocations == 0,
        "expected no allocation in this scope, but counted {counts}"
    );
    value
}

#[track_caller]
fn assert_installed() {
    assert!(
        is_installed(),
        "allocations are not being counted: put `#[global_allocator] static ALLOC: bolt_alloc::CountingAlloc = \
         bolt_alloc::CountingAlloc::new();` into this program (for tests: into the test binary)"
    );
}
