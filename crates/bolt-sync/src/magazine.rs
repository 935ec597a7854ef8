//! Per-thread magazines in front of a shared depot: the mechanism under pools whose usual take and give cost a nanosecond.
//!
//! Owns: `Magazines<T>`, per-thread stacks of items in front of a shared depot, and the memory the items lie in. Never runs the
//! items' code while anything is borrowed, never allocates after construction but once a thread.
//! Limits: 2³¹ magazines (2¹⁵ without 64-bit atomics). Feature `std`.
//!
//! unsafe: allowed here
//!
//! ```text
//!  thread 0            thread 1                      lane = two magazines, touched by one thread alone, no atomics
//!  loaded   previous   loaded   previous
//!  [■■■□]   [■■■■]     [■□□□]   [□□□□]
//!      │ both full: the previous one goes down, an empty one comes up
//!      │ both empty: the previous one goes down, a full one comes up
//!  ════╪═════════════════════════════════════════    depot = two lock-free lists of magazine numbers
//!   full:  5 → 2 → 7          empty:  0 → 3
//!
//!   slab:  │ 0 │ 1 │ 2 │ 3 │ 4 │ 5 │ 6 │ 7 │         one allocation; magazine k is the k-th stride, on cache lines of its own
//! ```
//!
//! # Invariants
//!
//! 1. `slab` points at `layout`, of which magazine `k < magazine_count` owns the stride at `k * stride_bytes`: `magazine_items` slots (`last_items` for the last), aligned for `T`.
//! 2. Each magazine number is in exactly one place: the list `full`, the list `empty`, or one `Held`. A `Held` stays inside its `Depot`.
//! 3. All slots of a magazine in `full` are initialised, none of one in `empty`; of a loaded one, as many as its lane's `fill` says; of a previous
//!    one, all or none, as `previous_full` says.
//! 4. The state of lane `i` is touched by the one thread that has number `i`, or through `&mut Depot`. Numbers change hands through a lock.
//! 5. An entry of `lanes` points at nobody's lane, or at one that lives until the depot is dropped. Nobody's lane has no magazine and is
//!    never written: it is the one lane that all threads may read.
//! 6. While a lane's state is borrowed nothing runs but moves of bytes and the two lists: no code of `T`, no allocator.
//! 7. `Magazines::lanes` is the table of its depot, which is boxed, and neither moved nor freed before the depot. `ShortWay::lanes` is that of a
//!    depot that lives, or the table in which all entries are nobody's.
//! 8. Each `State` has the one `LaneCounts` that is passed along with it: its lane's, or `counter_counts` with the state behind the lock. Its `fill`
//!    is at most the capacity of `loaded`.
//! 9. While a lane's owner is not inside of one of the functions here, `limit` is at most the capacity of its loaded magazine.

use std::alloc::{Layout, alloc, dealloc};
use std::any::Any;
use std::boxed::Box;
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::{self, NonNull};
use std::sync::{Arc, PoisonError};
use std::vec::Vec;

use crate::atomic::{AtomicBool, Ordering};
#[cfg(bolt_loom)]
use crate::cell::UnsafeCell;
use crate::magazine_config::{Counter, LaneCounts};
#[cfg(not(bolt_loom))]
use crate::magazine_lane::nobodys;
use crate::magazine_lane::{self, ENTRIES, Held, Lane, LaneTable, NONE, State};
use crate::sync::{Mutex, MutexGuard};
use crate::thread_index::{self, AtThreadEnd};
// Real pointers even under loom: a lane's pointer is stored once by its first owner, and what is behind it is modelled.
use crate::unmodelled::AtomicPtr;
use crate::{CachePadded, Link, SlotList};

pub use crate::magazine_config::{MagazineConfig, MagazineCounts, MagazineError};
pub use crate::magazine_lane::ShortWay;
// For models that number their threads themselves.
#[doc(hidden)]
pub use crate::thread_index::ThreadIndices;

/// Magazines lie on multiples of this, so that two threads never write one pair of lines (adjacent lines are fetched together).
const MAGAZINE_ALIGN: usize = 128;

/// Per-thread magazines in front of a shared depot (Bonwick and Adams 2001): a bounded store of items in which the
/// usual take and give touch nothing another thread writes.
///
/// Each thread has two magazines of [`magazine_items`](MagazineConfig::magazine_items) items; only when both are empty (or
/// full) does it exchange one with the depot, so the shared lists are touched once in `magazine_items` operations even
/// where one thread takes and another gives. When a thread ends, its magazines go to the depot.
///
/// **Layout.** One slab for all items, allocated at construction; 128 bytes a thread that uses it, 8 bytes a magazine, and a table of 2 KiB.
///
/// **Cost.** `take` and `give`: about 1 ns each, no atomic read-modify-write; an exchange is two pops or pushes of a
/// [`SlotList`]. The first use by a thread takes a lock and may allocate; later uses do not. Threads beyond
/// [`threads_max`](MagazineConfig::threads_max), and threads that are ending, share a locked pair of magazines (20 ns).
///
/// **Limits.** LIFO per thread. `T` must have a size (refused at compile time). Items in another thread's magazines, at most `2 * magazine_items` for each, cannot be
/// reached: `take` may answer `None` while they lie there. `threads_max(0)` gives that up for exactness.
///
/// The items' own code (`Drop`, hooks of a pool above) is only run by the caller, and at the drop of the whole.
///
/// ```
/// use bolt_sync::magazine::{MagazineConfig, Magazines};
/// let pool = Magazines::new(MagazineConfig::new(1024))?;
/// assert_eq!(pool.take(), None);
/// pool.give(vec![1, 2, 3]).unwrap();
/// std::thread::scope(|scope| {
///     // Joined by hand: a scope that closes by itself waits for closures, not for the ends of threads.
///     scope.spawn(|| pool.give(vec![4]).unwrap()).join().unwrap();
/// });
/// // The other thread has ended, so what it gave can be had here.
/// assert_eq!(pool.take(), Some(vec![1, 2, 3]));
/// assert_eq!(pool.take(), Some(vec![4]));
/// # Ok::<(), bolt_sync::magazine::MagazineError>(())
/// ```
pub struct Magazines<T: Send + 'static> {
    /// The table in `depot`, so that it takes one load less to get there.
    lanes: NonNull<LaneTable<T>>,
    /// Shared with nobody but threads that are just ending.
    depot: Arc<Depot<T>>,
}

// SAFETY: 7: `lanes` is a reference into `depot`, which is Send and Sync.
unsafe impl<T: Send + 'static> Send for Magazines<T> {}
// SAFETY: as above.
unsafe impl<T: Send + 'static> Sync for Magazines<T> {}

impl<T: Send + 'static> Magazines<T> {
    /// An empty store.
    ///
    /// All that grows with the items is asked for so that the system may refuse it. What does not (half a kilobyte, and 128 bytes when a thread
    /// first comes) is allocated as `Box::new` does it, which ends the program where there is no memory at all.
    ///
    /// # Errors
    /// [`MagazineError`] when the slab would be larger than memory or its magazines more than a list can number: ask for fewer items.
    pub fn new(config: MagazineConfig) -> Result<Self, MagazineError> {
        let depot = Arc::new(Depot::new(config)?);
        Ok(Self { lanes: NonNull::from(&*depot.lanes), depot })
    }

    #[inline(always)]
    fn my_lane(&self) -> Option<&Lane<T>> {
        // SAFETY: 7.
        magazine_lane::my_lane(unsafe { self.lanes.as_ref() })
    }

    /// Takes the item that this thread gave last, or one from the depot; `None` when there is none in either.
    #[inline]
    pub fn take(&self) -> Option<T> {
        if let Some(lane) = self.my_lane() {
            // SAFETY: 4: it is this thread's, or nobody's.
            if let Some(item) = unsafe { lane.take() } {
                return Some(item);
            }
        }
        self.take_cold()
    }

    /// Keeps an item for the next `take` of this thread.
    ///
    /// # Errors
    /// Gives the item back when the store is full (see [`MagazineConfig`] for when that is).
    #[inline]
    pub fn give(&self, item: T) -> Result<(), T> {
        let item = match self.my_lane() {
            // SAFETY: 4: it is this thread's, or nobody's.
            Some(lane) => match unsafe { lane.give(item) } {
                Ok(()) => return Ok(()),
                Err(item) => item,
            },
            None => item,
        };
        self.give_cold(item)
    }

    /// The short way of [`take`](Self::take) and [`give`](Self::give) by itself, for who has a long one of its own behind it, so that both are
    /// one call in every caller's code.
    ///
    /// # Safety
    /// Neither it nor a copy of it is used once these magazines are dropped.
    #[must_use]
    pub unsafe fn short_way(&self) -> ShortWay<T> {
        ShortWay::to(&self.depot.lanes)
    }

    /// Shuts the short ways for good: from when a thread sees it, nothing is given by them. [`give`](Self::give) itself goes on, and what lies here
    /// may be taken by either.
    ///
    /// Threads see it at some time, in the order of a relaxed store: who misses it is as one who came before.
    pub fn shut(&self) {
        self.depot.shut_all();
    }

    #[cold]
    #[inline(never)]
    fn take_cold(&self) -> Option<T> {
        match self.my_index() {
            // SAFETY: 4: it is this thread's number.
            Some(index) => unsafe { self.depot.take_as(index) },
            None => self.depot.take_locked(),
        }
    }

    #[cold]
    #[inline(never)]
    fn give_cold(&self, item: T) -> Result<(), T> {
        match self.my_index() {
            // SAFETY: 4: it is this thread's number.
            Some(index) => unsafe { self.depot.give_as(index, item) },
            None => self.depot.give_locked(item),
        }
    }

    /// This thread's number if it has a lane here; enrolled, so that its end is heard of.
    fn my_index(&self) -> Option<u32> {
        if self.depot.threads_max == 0 {
            return None;
        }
        let index = thread_index::current();
        // SAFETY: 4: it is this thread's number, if it has one.
        if unsafe { self.depot.is_enrolled(index) } {
            return Some(index);
        }
        let index = thread_index::enroll(thread_index::weak(&self.depot), self.depot.threads_max)?;
        // SAFETY: 4: it is this thread's number.
        unsafe { self.depot.begin_lane(index) }.then_some(index)
    }

    /// Moves this thread's magazines to the depot, so that other threads find the items. For a thread that will be
    /// idle for long, or before counting what is idle.
    pub fn flush_thread(&self) {
        // SAFETY: 4: `current` is this thread's number.
        unsafe { self.depot.flush_as(thread_index::current()) };
    }

    /// Takes an item from the depot and never from this thread's magazines: the way to trim what lies idle.
    pub fn take_shared(&self) -> Option<T> {
        self.depot.take_trimmed()
    }

    /// Items of one magazine, after all limits.
    pub fn magazine_items(&self) -> usize {
        self.depot.magazine_items
    }

    /// Items kept here, in magazines of all threads and the depot. Exact while nobody takes or gives; what only moves, as by a flush or the end of
    /// a thread, is counted all the time.
    ///
    /// Cost: reads a pointer for each thread there could be, and a line for each that came.
    pub fn idle(&self) -> usize {
        self.counts().idle
    }

    /// What happened so far, all threads added up; see [`MagazineCounts`]. Cost as [`idle`](Self::idle).
    pub fn counts(&self) -> MagazineCounts {
        self.depot.counts()
    }
}

impl<T: Send + 'static> fmt::Debug for Magazines<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Magazines").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl<T: Send + 'static> AtThreadEnd for Depot<T> {
    fn thread_ends(&self, index: u32) {
        // SAFETY: 4: called on the thread whose number it still is.
        unsafe { self.end_lane(index) };
    }
}

/// The mechanism without thread-locals: the caller says which lane is its own.
///
/// [`Magazines`] is this with the number of the calling thread; the loom models use it with numbers of their own.
#[doc(hidden)]
pub struct Depot<T> {
    /// Magazines whose slots are all initialised (3).
    full: CachePadded<SlotList<Box<[Link]>>>,
    /// Magazines without an item (3).
    empty: CachePadded<SlotList<Box<[Link]>>>,
    /// For whoever has no lane, and for the partly filled magazines of threads that ended.
    counter: CachePadded<Mutex<State<T>>>,
    counter_counts: CachePadded<LaneCounts>,
    /// Items in `counter`, written under its lock: a hint that spares the lock when there is nothing.
    counter_items: Counter,
    /// A lane for each thread that came so far (5). Pointers and not lanes side by side: with the lane's address in one register,
    /// what an operation stores reaches the next one without waiting for the cache (1.9 against 4.7 ns a pair).
    lanes: Box<LaneTable<T>>,
    /// The short ways are shut.
    shut: AtomicBool,
    /// How many of them threads may have.
    threads_max: usize,
    slab: NonNull<u8>,
    layout: Layout,
    stride_bytes: usize,
    magazine_items: usize,
    /// Slots of the last magazine: less than the others' where the cap is no multiple.
    last_items: usize,
    magazine_count: usize,
    #[cfg(bolt_loom)]
    watch: Box<[UnsafeCell<()>]>,
    /// Loom's cells belong to one run of a model, so nobody's lane cannot be a `static` there.
    #[cfg(bolt_loom)]
    nobody: Box<Lane<T>>,
}

// SAFETY: 4: all that is not atomic or locked belongs to one thread at a time, and items move between threads: T: Send.
unsafe impl<T: Send> Send for Depot<T> {}
// SAFETY: as above; no `&T` is ever handed out.
unsafe impl<T: Send> Sync for Depot<T> {}

impl<T: Send> Depot<T> {
    /// See [`Magazines::new`].
    pub fn new(config: MagazineConfig) -> Result<Self, MagazineError> {
        const { assert!(size_of::<T>() > 0, "values without size need no pool: make one where it is needed") }
        let shape = config.shape();
        let too_many = MagazineError::TooManyItems { items: config.items_max };
        let align = MAGAZINE_ALIGN.max(align_of::<T>());
        let stride_bytes = size_of::<T>()
            .checked_mul(shape.magazine_items)
            .and_then(|bytes| bytes.checked_next_multiple_of(align))
            .ok_or(too_many)?;
        let layout = stride_bytes
            .checked_mul(shape.magazine_count)
            .and_then(|bytes| Layout::from_size_align(bytes, align).ok())
            .ok_or(too_many)?;
        let links = || boxed(shape.magazine_count, Link::new);
        let full = SlotList::all_taken(links()?).map_err(|_| too_many)?;
        let empty = SlotList::with_links(links()?).map_err(|_| too_many)?;
        #[cfg(bolt_loom)]
        let nobody = Box::new(Lane::new());
        #[cfg(bolt_loom)]
        let no_lane = (&raw const *nobody).cast_mut();
        #[cfg(not(bolt_loom))]
        let no_lane = nobodys::lane();
        let Ok(lanes) = boxed(ENTRIES, || AtomicPtr::new(no_lane))?.try_into() else {
            unreachable!("a table of so many entries was asked for")
        };
        #[cfg(bolt_loom)]
        let watch = boxed(shape.magazine_count, || UnsafeCell::new(()))?;
        // Last of all that can fail: from here on the depot frees it.
        let slab = if layout.size() == 0 {
            // No magazine at all: an aligned address is all that is needed.
            NonNull::new(ptr::without_provenance_mut(align)).ok_or(too_many)?
        } else {
            // SAFETY: the size is not zero.
            let start = unsafe { alloc(layout) };
            NonNull::new(start).ok_or(MagazineError::OutOfMemory { bytes: layout.size() })?
        };
        Ok(Self {
            full: CachePadded::new(full),
            empty: CachePadded::new(empty),
            counter: CachePadded::new(Mutex::new(State::new())),
            counter_counts: CachePadded::new(LaneCounts::new()),
            counter_items: Counter::default(),
            lanes,
            shut: AtomicBool::new(false),
            threads_max: shape.threads_max,
            slab,
            layout,
            stride_bytes,
            magazine_items: shape.magazine_items,
            last_items: shape.last_items,
            magazine_count: shape.magazine_count,
            #[cfg(bolt_loom)]
            watch,
            #[cfg(bolt_loom)]
            nobody,
        })
    }

    /// Whether the lane was begun and not ended.
    ///
    /// # Safety
    /// 4: lane `index` is the caller's alone.
    unsafe fn is_enrolled(&self, index: u32) -> bool {
        self.lane(index).is_some_and(|lane| {
            lane.state.with(|state| {
                // SAFETY: 4, passed on to our caller; nobody else has a reference.
                unsafe { (*state).enrolled }
            })
        })
    }

    /// Makes lane `index` ready; false when it is beyond the last.
    ///
    /// # Safety
    /// 4: lane `index` is the caller's alone.
    pub unsafe fn begin_lane(&self, index: u32) -> bool {
        if index as usize >= self.threads_max {
            return false;
        }
        let Some(entry) = self.lanes.get(index as usize) else { return false };
        if self.lane(index).is_none() {
            let lane = Box::into_raw(Box::new(Lane::new()));
            // Release: pairs with the Acquire in `lane`. Compared, as the allocator above is somebody's code and may have used us.
            let stored = entry.compare_exchange(self.no_lane(), lane, Ordering::Release, Ordering::Relaxed);
            if stored.is_err() {
                // SAFETY: made a few lines above, and nobody else knows it.
                drop(unsafe { Box::from_raw(lane) });
            }
        }
        let Some(lane) = self.lane(index) else { return false };
        lane.state.with_mut(|state| {
            // SAFETY: 4, passed on to our caller; nobody else has a reference.
            unsafe { (*state).enrolled = true }
        });
        true
    }

    /// Takes from lane `index`, then from the depot.
    ///
    /// # Safety
    /// 4: lane `index` is the caller's alone.
    pub unsafe fn take_as(&self, index: u32) -> Option<T> {
        let Some(lane) = self.lane(index) else { return self.take_locked() };
        let taken = lane.state.with_mut(|state| {
            // SAFETY: 4, passed on to our caller; 6: nothing below comes back here.
            let state = unsafe { &mut *state };
            // SAFETY: 8: they are of one lane.
            let taken = unsafe { self.take_in(state, &lane.counts) };
            lane.set_limit(state.loaded.capacity, &self.shut);
            taken
        });
        if taken.is_some() {
            return taken;
        }
        // A relaxed hint: whoever gave before us in the order of events is seen; who gives at this moment may be missed.
        if self.counter_items.get() > 0
            && let Some(taken) = self.take_counter()
        {
            return Some(taken);
        }
        lane.counts.misses.bump();
        None
    }

    /// Gives to lane `index`, exchanging with the depot when both its magazines are full.
    ///
    /// # Safety
    /// 4: lane `index` is the caller's alone.
    pub unsafe fn give_as(&self, index: u32, item: T) -> Result<(), T> {
        let Some(lane) = self.lane(index) else { return self.give_locked(item) };
        let given = lane.state.with_mut(|state| {
            // SAFETY: 4, passed on to our caller; 6: nothing below comes back here.
            let state = unsafe { &mut *state };
            // SAFETY: 8: they are of one lane.
            unsafe {
                self.give_in(state, item, &lane.counts, |capacity| lane.set_limit(capacity, &self.shut))
            }
        });
        // No magazine is left; perhaps there is room in those that have no thread.
        given.or_else(|item| self.give_counter(item)).inspect_err(|_| lane.counts.refused.bump())
    }

    /// Moves the magazines of lane `index` to the depot.
    ///
    /// # Safety
    /// 4: lane `index` is the caller's alone.
    pub unsafe fn flush_as(&self, index: u32) {
        let Some(lane) = self.lane(index) else { return };
        lane.set_limit(0, &self.shut);
        let (loaded, previous, previous_full) = lane.state.with_mut(|state| {
            // SAFETY: 4, passed on to our caller; 6: moves.
            let state = unsafe { &mut *state };
            (
                mem::replace(&mut state.loaded, Held::none()),
                mem::replace(&mut state.previous, Held::none()),
                mem::take(&mut state.previous_full),
            )
        });
        self.put_in_list(previous, previous_full);
        let len = lane.counts.fill.now().len();
        lane.counts.reload(0);
        if len == 0 || len == loaded.capacity {
            self.put_in_list(loaded, len > 0);
        } else {
            self.put_away(loaded, len);
        }
    }

    /// Ends lane `index`: its magazines go to the depot, and its number may have another owner.
    ///
    /// # Safety
    /// 4: lane `index` is the caller's alone.
    pub unsafe fn end_lane(&self, index: u32) {
        // SAFETY: 4, passed on to our caller.
        unsafe { self.flush_as(index) };
        if let Some(lane) = self.lane(index) {
            lane.state.with_mut(|state| {
                // SAFETY: 4, passed on to our caller; nobody else has a reference.
                unsafe { (*state).enrolled = false }
            });
        }
    }

    /// For threads without a lane.
    pub fn take_locked(&self) -> Option<T> {
        let mut state = self.lock();
        // SAFETY: 8: they belong together.
        let taken = unsafe { self.take_in(&mut state, &self.counter_counts) };
        if taken.is_none() {
            self.counter_counts.misses.bump();
        }
        self.unlock(state);
        taken
    }

    /// For threads without a lane.
    pub fn give_locked(&self, item: T) -> Result<(), T> {
        let mut state = self.lock();
        // SAFETY: 8: they belong together.
        let given = unsafe { self.give_in(&mut state, item, &self.counter_counts, |_| ()) };
        if given.is_err() {
            self.counter_counts.refused.bump();
        }
        self.unlock(state);
        given
    }

    fn take_trimmed(&self) -> Option<T> {
        let mut state = self.lock();
        let counts = &*self.counter_counts;
        // SAFETY: 8: they belong together.
        let loaded = unsafe { self.load(&mut state, counts) };
        let taken = loaded.map(|()| {
            let len = counts.fill.now().len();
            // SAFETY: 3: it was loaded; the next line says that it is there no more.
            let taken = unsafe { state.loaded.read_below(len) };
            // Trimmed and not taken.
            counts.fill.set_len(len - 1);
            counts.trimmed.bump();
            taken
        });
        self.clear(&mut state);
        self.unlock(state);
        taken
    }

    /// For threads with a lane that found nothing in the lists.
    fn take_counter(&self) -> Option<T> {
        let mut state = self.lock();
        // SAFETY: 8: they belong together.
        let taken = unsafe { self.take_in(&mut state, &self.counter_counts) };
        self.clear(&mut state);
        self.unlock(state);
        taken
    }

    /// Gives the counter's magazines to the list of empty ones once nothing is in them: threads with lanes need them more.
    fn clear(&self, state: &mut State<T>) {
        if self.counter_counts.fill.now().len() == 0 && !state.previous_full {
            self.put_in_list(mem::replace(&mut state.loaded, Held::none()), false);
            self.put_in_list(mem::replace(&mut state.previous, Held::none()), false);
        }
    }

    fn give_counter(&self, item: T) -> Result<(), T> {
        let mut state = self.lock();
        // SAFETY: 8: they belong together.
        let given = unsafe { self.give_in(&mut state, item, &self.counter_counts, |_| ()) };
        self.unlock(state);
        given
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing that can panic runs under the lock, so a poisoned one has lost nothing.
        self.counter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unlock(&self, state: MutexGuard<'_, State<T>>) {
        let items = usize::from(self.counter_counts.fill.now().len()) + usize::from(state.previous_len());
        self.counter_items.set(items);
        drop(state);
    }

    /// Bonwick's take: loaded, previous, then a full magazine from the depot.
    ///
    /// # Safety
    /// 8: `counts` belong to `state`.
    unsafe fn take_in(&self, state: &mut State<T>, counts: &LaneCounts) -> Option<T> {
        // SAFETY: passed on to our caller.
        unsafe { self.load(state, counts) }?;
        // SAFETY: as above.
        unsafe { state.loaded.pop(counts) }
    }

    /// Sees to it that there is an item in the loaded magazine; `None` when there is none anywhere.
    ///
    /// # Safety
    /// 8: `counts` belong to `state`.
    unsafe fn load(&self, state: &mut State<T>, counts: &LaneCounts) -> Option<()> {
        if counts.fill.now().len() > 0 {
            return Some(());
        }
        if state.previous_full {
            mem::swap(&mut state.loaded, &mut state.previous);
        } else {
            let full = self.pop_full()?;
            counts.exchanges.bump();
            let loaded = mem::replace(&mut state.loaded, full);
            let previous = mem::replace(&mut state.previous, loaded);
            self.put_in_list(previous, false);
        }
        state.previous_full = false;
        counts.reload(state.loaded.capacity);
        Some(())
    }

    /// Bonwick's give: loaded, previous, then an empty magazine from the depot. Keeping the item is the last thing it does; `loaded` is told
    /// the capacity of the loaded magazine before that.
    ///
    /// # Safety
    /// 8: `counts` belong to `state`.
    unsafe fn give_in(
        &self,
        state: &mut State<T>,
        item: T,
        counts: &LaneCounts,
        loaded: impl FnOnce(u8),
    ) -> Result<(), T> {
        if counts.fill.now().len() == state.loaded.capacity {
            if state.previous.capacity > 0 && !state.previous_full {
                mem::swap(&mut state.loaded, &mut state.previous);
            } else {
                let Some(empty) = self.pop_empty() else { return Err(item) };
                counts.exchanges.bump();
                let loaded = mem::replace(&mut state.loaded, empty);
                let previous = mem::replace(&mut state.previous, loaded);
                self.put_in_list(previous, state.previous_full);
            }
            state.previous_full = state.previous.capacity > 0;
            counts.reload(0);
        }
        loaded(state.loaded.capacity);
        // SAFETY: 8, passed on to our caller; the magazine was not full, or another took its place that is empty.
        unsafe { state.loaded.push(counts, counts.fill.now(), item) };
        Ok(())
    }

    /// A partly filled magazine of a lane goes to the counter. Its items go on counting for the lane.
    fn put_away(&self, held: Held<T>, mut len: u8) {
        let (mut state, counts) = (self.lock(), &*self.counter_counts);
        let whole = len;
        while len > 0 && counts.fill.now().len() < state.loaded.capacity {
            // SAFETY: 3: so many of its slots are initialised; `len` says from here on that this one is not.
            let item = unsafe { held.read_below(len) };
            len -= 1;
            // SAFETY: 8: they belong together; there was room three lines ago.
            unsafe { state.loaded.push(counts, counts.fill.now(), item) };
        }
        counts.lodge(whole - len);
        if len > 0 {
            // The loaded one is full now (or there was none): it becomes the previous one, which is full or empty.
            let loaded = mem::replace(&mut state.loaded, held);
            let previous_full = mem::replace(&mut state.previous_full, loaded.capacity > 0);
            let previous = mem::replace(&mut state.previous, loaded);
            counts.reload(len);
            self.put_in_list(previous, previous_full);
        } else {
            self.put_in_list(held, false);
        }
        self.unlock(state);
    }

    /// Of both magazines of a state, `previous` is always full, empty or absent; only such a one comes here.
    fn put_in_list(&self, held: Held<T>, full: bool) {
        if held.magazine == NONE {
            return;
        }
        let list = if full { &self.full } else { &self.empty };
        let back = list.push(held.magazine);
        debug_assert!(back.is_ok(), "a magazine is in one place only");
    }

    /// See [`Magazines::shut`].
    pub fn shut_all(&self) {
        magazine_lane::shut((0..self.threads_max as u32).filter_map(|index| self.lane(index)), &self.shut);
    }

    /// What the short way does, for models: theirs has no thread-locals to find the lane by.
    ///
    /// # Safety
    /// 4: lane `index` is the caller's alone.
    #[cfg(bolt_loom)]
    pub unsafe fn give_short_as(&self, index: u32, item: T) -> Result<(), T> {
        match self.lane(index) {
            // SAFETY: 4, passed on to our caller.
            Some(lane) => unsafe { lane.give(item) },
            None => Err(item),
        }
    }

    /// See [`Magazines::counts`].
    pub fn counts(&self) -> MagazineCounts {
        let mut sum = MagazineCounts::default();
        {
            // Under the lock: see `LaneCounts`.
            let _unchanged = self.lock();
            sum.add(&self.counter_counts);
        }
        for lane in (0..self.threads_max as u32).filter_map(|index| self.lane(index)) {
            sum.lanes += 1;
            sum.add(&lane.counts);
        }
        sum.settle();
        sum
    }
}

/// So many values in a box, or an error where there is no memory.
fn boxed<V>(count: usize, value: impl FnMut() -> V) -> Result<Box<[V]>, MagazineError> {
    let mut values = Vec::new();
    let refused = MagazineError::OutOfMemory { bytes: count.saturating_mul(size_of::<V>()) };
    values.try_reserve_exact(count).map_err(|_| refused)?;
    values.extend(std::iter::repeat_with(value).take(count));
    Ok(values.into_boxed_slice())
}

impl<T> Depot<T> {
    /// The lane with this number, if there is one.
    fn lane(&self, index: u32) -> Option<&Lane<T>> {
        // Acquire: pairs with the Release in `begin_lane`, for those who count; the owner stored it itself, or its number came to it
        // through a lock.
        let lane = self.lanes.get(index as usize)?.load(Ordering::Acquire);
        if lane == self.no_lane() {
            return None;
        }
        // SAFETY: 5.
        Some(unsafe { &*lane })
    }

    /// What an entry of `lanes` is that has none.
    fn no_lane(&self) -> *mut Lane<T> {
        #[cfg(bolt_loom)]
        return (&raw const *self.nobody).cast_mut();
        #[cfg(not(bolt_loom))]
        nobodys::lane()
    }

    fn pop_full(&self) -> Option<Held<T>> {
        // 2, 3: the list gave it to nobody else, and all its slots are initialised.
        self.full.pop().map(|magazine| self.hold(magazine))
    }

    fn pop_empty(&self) -> Option<Held<T>> {
        self.empty.pop().map(|magazine| self.hold(magazine))
    }

    /// The magazine that was just popped from a list (2).
    fn hold(&self, magazine: u32) -> Held<T> {
        let last = magazine as usize + 1 == self.magazine_count;
        let capacity = if last { self.last_items } else { self.magazine_items };
        // SAFETY: 1: the list's numbers are below `magazine_count`, so the stride lies within the slab.
        let base: NonNull<T> = unsafe { self.slab.add(magazine as usize * self.stride_bytes) }.cast();
        Held {
            base,
            magazine,
            // At most LEN_MAX, as the shape was made.
            capacity: capacity as u8,
            #[cfg(bolt_loom)]
            watch: &self.watch[magazine as usize],
        }
    }

    /// Drops the items of a magazine that is in no list any more: all of them, also when the destructor of some panic. Keeps the first panic.
    fn empty_out(held: Held<T>, len: u8, panicked: &mut Option<Box<dyn Any + Send>>) {
        for below in (1..=len).rev() {
            // SAFETY: 3: so many slots are initialised, and each is read once.
            let item = unsafe { held.read_below(below) };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(item))) {
                panicked.get_or_insert(panic);
            }
        }
    }
}

impl<T> Drop for Depot<T> {
    fn drop(&mut self) {
        // 2, 3: nobody else is left, so this finds every magazine that holds something.
        let mut panicked = None;
        while let Some(held) = self.pop_full() {
            let len = held.capacity;
            Self::empty_out(held, len, &mut panicked);
        }
        let mut emptied = |state: &mut State<T>, counts: &LaneCounts| {
            let (loaded_len, previous_len) = (counts.fill.now().len(), state.previous_len());
            Self::empty_out(mem::replace(&mut state.loaded, Held::none()), loaded_len, &mut panicked);
            Self::empty_out(mem::replace(&mut state.previous, Held::none()), previous_len, &mut panicked);
        };
        emptied(&mut self.counter.lock().unwrap_or_else(PoisonError::into_inner), &self.counter_counts);
        let no_lane = self.no_lane();
        for entry in self.lanes.iter_mut() {
            let lane = mem::replace(entry.get_mut(), no_lane);
            if lane != no_lane {
                // SAFETY: 5: boxed in `begin_lane`, freed here only.
                let lane = unsafe { Box::from_raw(lane) };
                lane.state.with_mut(|state| {
                    // SAFETY: 4: `&mut self`.
                    emptied(unsafe { &mut *state }, &lane.counts);
                });
            }
        }
        if self.layout.size() > 0 {
            // SAFETY: 1: allocated with this layout by `Depot::new`, freed here only.
            unsafe { dealloc(self.slab.as_ptr(), self.layout) };
        }
        if let Some(panic) = panicked {
            resume_unwind(panic);
        }
    }
}

impl<T> fmt::Debug for Depot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Depot").field("magazine_count", &self.magazine_count).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(bolt_loom)))]
mod tests {
    use super::*;

    #[test]
    fn shut_short_ways_give_nothing_more() {
        let pool = Magazines::new(MagazineConfig::new(64).magazine_items(4)).unwrap();
        // SAFETY: not used after the store.
        let way = unsafe { pool.short_way() };
        assert_eq!((way.give(0), way.take()), (Err(0), None), "this thread has no lane yet");
        pool.give(1).unwrap();
        assert_eq!((way.give(2), way.take()), (Ok(()), Some(2)));
        pool.shut();
        assert_eq!(way.give(3), Err(3));
        // The long way goes on through all exchanges, and opens nothing again.
        for item in 2..40 {
            pool.give(item).unwrap();
            assert_eq!(way.give(0), Err(0), "after {item}");
        }
        assert_eq!(way.take(), Some(39), "what lies there may be taken by either");
        let found: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        assert_eq!(found, (1..39).rev().collect::<Vec<_>>());
        assert_eq!((way.give(0), pool.idle()), (Err(0), 0));
        let nowhere = ShortWay::nowhere();
        assert_eq!((nowhere.give(1), nowhere.take()), (Err(1), None));
    }
}
