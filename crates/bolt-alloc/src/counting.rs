//! Owns: the allocator that counts, and its counters per thread and for the process. Never allocates, blocks or panics inside a
//! hook. Limits: 63 threads have a stripe of the global counters to themselves, all others share one.
//! unsafe: allowed here
//!
//! ```text
//!  thread 1: cells ── store ─▶ stripe 1 ┐
//!  thread 2: cells ── store ─▶ stripe 2 ├─ summed by global_counts()
//!  64th and later: cells ─ add ▶ stripe 0 ┘
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bolt_sync::CachePadded;
use bolt_sync::unmodelled::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};

use crate::scope::Counts;

/// Stripe 0 is shared; the others have one owner each, for good.
const STRIPES: usize = 64;
/// A thread reports its live bytes to the process's peak in steps of this many, so that the shared counter is touched rarely.
const PEAK_STEP_BYTES: i64 = 4096;

/// One share of the process's counters. Every ordering is `Relaxed`: these are statistics, nothing is read on the
/// strength of them; a sum taken while others allocate is a sum of values that were all true at some moment.
struct Stripe {
    allocations: AtomicU64,
    deallocations: AtomicU64,
    reallocations: AtomicU64,
    bytes_allocated: AtomicU64,
    bytes_deallocated: AtomicU64,
}

impl Stripe {
    const fn new() -> Self {
        Self {
            allocations: AtomicU64::new(0),
            deallocations: AtomicU64::new(0),
            reallocations: AtomicU64::new(0),
            bytes_allocated: AtomicU64::new(0),
            bytes_deallocated: AtomicU64::new(0),
        }
    }
}

static TOTALS: [CachePadded<Stripe>; STRIPES] = [const { CachePadded::new(Stripe::new()) }; STRIPES];
static STRIPES_TAKEN: AtomicUsize = AtomicUsize::new(1);
/// Live bytes of the process as far as the threads have reported, and the most it ever was.
static REPORTED_LIVE: CachePadded<AtomicI64> = CachePadded::new(AtomicI64::new(0));
static REPORTED_PEAK: AtomicI64 = AtomicI64::new(0);
static INSTALLED: AtomicBool = AtomicBool::new(false);

/// The counters of one thread. No destructor, so the thread-local is there from the first to the last allocation.
struct Local {
    allocations: Cell<u64>,
    deallocations: Cell<u64>,
    reallocations: Cell<u64>,
    bytes_allocated: Cell<u64>,
    bytes_deallocated: Cell<u64>,
    /// Bytes allocated minus bytes freed by this thread; negative when it frees what others allocated.
    live: Cell<i64>,
    /// The most `live` was since the innermost scope began.
    peak: Cell<i64>,
    /// What `live` was when it was last reported to the process's peak.
    reported: Cell<i64>,
    /// 0: not chosen yet. `STRIPES` stands for the shared stripe.
    stripe: Cell<usize>,
}

thread_local! {
    static LOCAL: Local = const {
        Local {
            allocations: Cell::new(0),
            deallocations: Cell::new(0),
            reallocations: Cell::new(0),
            bytes_allocated: Cell::new(0),
            bytes_deallocated: Cell::new(0),
            live: Cell::new(0),
            peak: Cell::new(0),
            reported: Cell::new(0),
            stripe: Cell::new(0),
        }
    };
}

/// Adds to a cell and to its counterpart in the stripe: a plain store where the stripe is this thread's own.
#[inline(always)]
fn add(cell: &Cell<u64>, shared: &AtomicU64, own: bool, n: u64) {
    let sum = cell.get().wrapping_add(n);
    cell.set(sum);
    if own {
        // A stripe has one owner, for good, so its value is this thread's own count.
        shared.store(sum, Ordering::Relaxed);
    } else {
        shared.fetch_add(n, Ordering::Relaxed);
    }
}

impl Local {
    #[inline(always)]
    fn stripe(&self) -> (&'static Stripe, bool) {
        match self.stripe.get() {
            0 => self.choose_stripe(),
            STRIPES => (&TOTALS[0], false),
            index => (&TOTALS[index % STRIPES], true),
        }
    }

    #[cold]
    #[inline(never)]
    fn choose_stripe(&self) -> (&'static Stripe, bool) {
        INSTALLED.store(true, Ordering::Relaxed);
        // Once a thread; the counter cannot wrap.
        let index = STRIPES_TAKEN.fetch_add(1, Ordering::Relaxed).min(STRIPES);
        self.stripe.set(index);
        (&TOTALS[index % STRIPES], index != STRIPES)
    }

    #[inline(always)]
    fn live_changed(&self, by: i64) {
        let live = self.live.get() + by;
        self.live.set(live);
        if live > self.peak.get() {
            self.peak.set(live);
        }
        let unreported = live - self.reported.get();
        if unreported >= PEAK_STEP_BYTES || unreported <= -PEAK_STEP_BYTES {
            self.report_live(live, unreported);
        }
    }

    #[inline(never)]
    fn report_live(&self, live: i64, by: i64) {
        self.reported.set(live);
        let total = REPORTED_LIVE.fetch_add(by, Ordering::Relaxed) + by;
        if total > REPORTED_PEAK.load(Ordering::Relaxed) {
            REPORTED_PEAK.fetch_max(total, Ordering::Relaxed);
        }
    }

    #[inline(always)]
    fn allocated(&self, bytes: usize) {
        let (stripe, own) = self.stripe();
        add(&self.allocations, &stripe.allocations, own, 1);
        add(&self.bytes_allocated, &stripe.bytes_allocated, own, bytes as u64);
        self.live_changed(bytes as i64);
    }

    #[inline(always)]
    fn deallocated(&self, bytes: usize) {
        let (stripe, own) = self.stripe();
        add(&self.deallocations, &stripe.deallocations, own, 1);
        add(&self.bytes_deallocated, &stripe.bytes_deallocated, own, bytes as u64);
        self.live_changed(-(bytes as i64));
    }

    #[inline(always)]
    fn reallocated(&self, from: usize, to: usize) {
        let (stripe, own) = self.stripe();
        add(&self.reallocations, &stripe.reallocations, own, 1);
        if to >= from {
            add(&self.bytes_allocated, &stripe.bytes_allocated, own, (to - from) as u64);
        } else {
            add(&self.bytes_deallocated, &stripe.bytes_deallocated, own, (from - to) as u64);
        }
        self.live_changed(to as i64 - from as i64);
    }

    fn counts(&self) -> Counts {
        Counts {
            allocations: self.allocations.get(),
            deallocations: self.deallocations.get(),
            reallocations: self.reallocations.get(),
            bytes_allocated: self.bytes_allocated.get(),
            bytes_deallocated: self.bytes_deallocated.get(),
            live_bytes: self.live.get(),
            peak_bytes: self.peak.get().max(0) as u64,
        }
    }
}

/// A global allocator that counts what passes through it and leaves the work to `A`.
///
/// Put it into a test binary, a benchmark or a program that reports its own allocations:
///
/// ```
/// use bolt_alloc::{CountingAlloc, measure};
///
/// #[global_allocator]
/// static ALLOC: CountingAlloc = CountingAlloc::new(); // or CountingAlloc::with(Jemalloc)
///
/// let (list, counts) = measure(|| vec![0_u8; 100]);
/// assert_eq!((counts.allocations, counts.bytes_allocated), (1, 100));
/// drop(list);
/// ```
///
/// **Layout.** That of `A`; the counters are statics of this crate, shared by all instances. **Cost.** Measured beside the plain
/// allocator in `docs/bolt-alloc.md`: one to two nanoseconds a call; no lock, and no shared write but once per 4 KiB of change in live bytes. From the 64th
/// thread of a process on, threads share a stripe and pay an atomic addition a counter.
///
/// **Limits.** Requested sizes are counted, not what the allocator rounds them to. On targets without native thread-locals (windows-gnu) it needs a standard
/// library whose thread-locals do not allocate through the global allocator (Rust 1.93 and later).
#[derive(Debug, Default, Clone, Copy)]
pub struct CountingAlloc<A = System> {
    inner: A,
}

impl CountingAlloc<System> {
    /// Counts on top of the system's allocator.
    pub const fn new() -> Self {
        Self { inner: System }
    }
}

impl<A> CountingAlloc<A> {
    /// Counts on top of any allocator.
    pub const fn with(inner: A) -> Self {
        Self { inner }
    }
}

// Invariants (`docs/unsafe.md` says who would notice a breach):
// 1. Each call goes to `A` unchanged and its answer comes back unchanged.
// 2. Counting touches cells and atomics only: it neither allocates nor blocks nor unwinds.
// 3. `LOCAL` is made in a `const` and has no destructor, so it is there from a thread's first call to its last.
//
// SAFETY: by invariant 1 `A`'s promises are this type's; 2 and 3 keep the counting from breaking them.
unsafe impl<A: GlobalAlloc> GlobalAlloc for CountingAlloc<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: invariant 1: the caller's promise about `layout` is `A`'s.
        let memory = unsafe { self.inner.alloc(layout) };
        if !memory.is_null() {
            let _ = LOCAL.try_with(|local| local.allocated(layout.size()));
        }
        memory
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: invariant 1: the caller's promise about `layout` is `A`'s.
        let memory = unsafe { self.inner.alloc_zeroed(layout) };
        if !memory.is_null() {
            let _ = LOCAL.try_with(|local| local.allocated(layout.size()));
        }
        memory
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: invariant 1: the memory came from `A` with this layout, by the caller's promise.
        unsafe { self.inner.dealloc(memory, layout) };
        let _ = LOCAL.try_with(|local| local.deallocated(layout.size()));
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: invariant 1: as for `dealloc`, and the caller's promise about `new_size` is `A`'s.
        let moved = unsafe { self.inner.realloc(memory, layout, new_size) };
        if !moved.is_null() {
            let _ = LOCAL.try_with(|local| local.reallocated(layout.size(), new_size));
        }
        moved
    }
}

/// Whether a [`CountingAlloc`] is this program's global allocator: it has counted at least once.
pub fn is_installed() -> bool {
    if !INSTALLED.load(Ordering::Relaxed) {
        // Nothing counted yet: allocate something that the compiler cannot leave out, and look again.
        drop(std::hint::black_box(Box::new(std::hint::black_box(0_u8))));
    }
    INSTALLED.load(Ordering::Relaxed)
}

/// What this thread has counted since it began. `peak_bytes` is the most since the innermost [`measure`](crate::measure) began, or ever.
pub fn thread_counts() -> Counts {
    LOCAL.try_with(Local::counts).unwrap_or_default()
}

/// What the process has counted since it began: the sum over all threads, those that ended included.
///
/// Cost: 64 cache lines are read. The sum is not a snapshot while others allocate. `peak_bytes` is exact to 4 KiB a thread.
pub fn global_counts() -> Counts {
    let mut sum = Counts::default();
    for stripe in &TOTALS {
        sum.allocations += stripe.allocations.load(Ordering::Relaxed);
        sum.deallocations += stripe.deallocations.load(Ordering::Relaxed);
        sum.reallocations += stripe.reallocations.load(Ordering::Relaxed);
        sum.bytes_allocated += stripe.bytes_allocated.load(Ordering::Relaxed);
        sum.bytes_deallocated += stripe.bytes_deallocated.load(Ordering::Relaxed);
    }
    sum.live_bytes = sum.bytes_allocated as i64 - sum.bytes_deallocated as i64;
    sum.peak_bytes = REPORTED_PEAK.load(Ordering::Relaxed).max(sum.live_bytes).max(0) as u64;
    sum
}

/// Starts a new peak at the present live bytes. Returns those and the peak so far.
pub(crate) fn begin_peak() -> (i64, i64) {
    LOCAL.try_with(|local| (local.live.get(), local.peak.replace(local.live.get()))).unwrap_or_default()
}

/// Ends the peak begun last: the outer scope's is the higher of both. Returns the inner one.
pub(crate) fn end_peak(outer: i64) -> i64 {
    LOCAL
        .try_with(|local| {
            let inner = local.peak.get();
            local.peak.set(inner.max(outer));
            inner
        })
        .unwrap_or_default()
}
