//! What one thread has of a magazine store: its lane, the magazines in it, and the short way there.
//!
//! Owns: `ShortWay`, `Lane`, `Held`. Never goes to a depot, never runs an item's code, never allocates. Limits: those of
//! `magazine.rs`, whose numbered invariants these are (1 to 7).
//!
//! unsafe: allowed here

use std::fmt;
use std::ptr::NonNull;

use crate::cell::UnsafeCell;
use crate::magazine_config::{LaneCounts, THREADS_LIMIT};
use crate::thread_index;
// Real pointers even under loom: a lane's pointer is stored once by its first owner, and what is behind it is modelled.
use crate::unmodelled::{AtomicPtr, Ordering};

/// Marks a `Held` that holds no magazine.
pub(crate) const NONE: u32 = u32::MAX;

/// An entry for each number, and behind them the one that threads without a number find.
pub(crate) type LaneTable<T> = [AtomicPtr<Lane<T>>; THREADS_LIMIT + 1];

const _: () =
    assert!(thread_index::NO_LANE as usize == THREADS_LIMIT, "the last index of a table is nobody's");

/// The short way to the calling thread's own magazine, and to nothing else: what every caller's code should hold of a store, in front of one
/// call to the long way. Made by [`Magazines::short_way`](crate::magazine::Magazines::short_way).
///
/// It may be kept apart from the store, in front of what a pool looks at first; and it can be [shut](Self::shut), so that a pool is asked
/// about every item from then on and asks itself nothing before.
///
/// **Layout.** One pointer. **Cost.** About 1 ns each way: four loads to the lane, no atomic read-modify-write, one branch.
pub struct ShortWay<T> {
    /// Invariant 7.
    lanes: AtomicPtr<LaneTable<T>>,
}

impl<T> ShortWay<T> {
    pub(crate) fn to(lanes: &LaneTable<T>) -> Self {
        Self { lanes: AtomicPtr::new((&raw const *lanes).cast_mut()) }
    }

    /// One that leads nowhere: what [`shut`](Self::shut) leaves.
    #[must_use]
    pub fn nowhere() -> Self {
        #[cfg(bolt_loom)]
        let lanes = std::ptr::null_mut();
        #[cfg(not(bolt_loom))]
        let lanes = nobodys::lanes();
        Self { lanes: AtomicPtr::new(lanes) }
    }

    /// Shuts it for good: from when a thread sees it, it takes and gives nothing there.
    ///
    /// Threads see it at some time, in the order of a relaxed store: who misses it is as one who came before.
    pub fn shut(&self) {
        self.lanes.store(Self::nowhere().lanes.into_inner(), Ordering::Relaxed);
    }

    /// Takes the item this thread gave last. `None` says nothing about the rest of the store.
    #[inline(always)]
    pub fn take(&self) -> Option<T> {
        // SAFETY: 4: `my_lane` is this thread's, or nobody's.
        unsafe { self.my_lane()?.take() }
    }

    /// Keeps an item in this thread's magazine.
    ///
    /// # Errors
    /// Gives the item back when that magazine is full, or this thread has none yet; the long way may still keep it.
    #[inline(always)]
    pub fn give(&self, item: T) -> Result<(), T> {
        match self.my_lane() {
            // SAFETY: 4: `my_lane` is this thread's, or nobody's.
            Some(lane) => unsafe { lane.give(item) },
            None => Err(item),
        }
    }

    #[inline(always)]
    fn my_lane(&self) -> Option<&Lane<T>> {
        // Relaxed: both tables are there as long as `self`, and either will do.
        let lanes = self.lanes.load(Ordering::Relaxed);
        #[cfg(bolt_loom)]
        if lanes.is_null() {
            return None;
        }
        // SAFETY: 7.
        my_lane(unsafe { &*lanes })
    }
}

/// This thread's lane, or nobody's: three loads and nothing to decide.
#[cfg(not(bolt_loom))]
#[inline(always)]
pub(crate) fn my_lane<T>(lanes: &LaneTable<T>) -> Option<&Lane<T>> {
    // SAFETY: `current` is at most NO_LANE, the last index of a table.
    let entry = unsafe { lanes.get_unchecked(thread_index::current() as usize) };
    // Acquire: pairs with the Release in `begin_lane`; the owner stored it itself, or its number came to it through a lock.
    let lane = entry.load(Ordering::Acquire);
    // SAFETY: 5.
    Some(unsafe { &*lane })
}

/// Loom's threads have no numbers, so none of them has a lane.
#[cfg(bolt_loom)]
pub(crate) fn my_lane<T>(_: &LaneTable<T>) -> Option<&Lane<T>> {
    debug_assert_eq!(thread_index::current(), thread_index::NO_LANE);
    None
}

impl<T> fmt::Debug for ShortWay<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShortWay").finish_non_exhaustive()
    }
}

/// The lane of nobody, in which nothing is and for which there is no room, so that the short way needs not ask whether there is a lane.
#[cfg(not(bolt_loom))]
pub(crate) mod nobodys {
    use super::{AtomicPtr, Lane, LaneTable, THREADS_LIMIT};

    struct Nobodys(Lane<()>);

    // SAFETY: 5: it is never written.
    unsafe impl Sync for Nobodys {}

    static LANE: Nobodys = Nobodys(Lane::new());
    static LANES: LaneTable<()> =
        [const { AtomicPtr::new((&raw const LANE.0).cast_mut()) }; THREADS_LIMIT + 1];

    /// Layouts do not depend on the item: all they have of it is pointers, in the order written (`repr(C)`).
    pub(crate) fn lane<T>() -> *mut Lane<T> {
        (&raw const LANE.0).cast_mut().cast()
    }

    pub(crate) fn lanes<T>() -> *mut LaneTable<T> {
        (&raw const LANES).cast_mut().cast()
    }
}

/// What one thread has of a depot, on a pair of cache lines of its own (adjacent lines are fetched together).
#[repr(C, align(128))]
pub(crate) struct Lane<T> {
    /// Touched by the owner alone (4).
    pub(crate) state: UnsafeCell<State<T>>,
    /// Written by the owner alone, read by whoever asks.
    pub(crate) counts: LaneCounts,
}

impl<T> Lane<T> {
    #[cfg(not(bolt_loom))]
    pub(crate) const fn new() -> Self {
        Self { state: UnsafeCell::new(State::new()), counts: LaneCounts::new() }
    }

    #[cfg(bolt_loom)]
    pub(crate) fn new() -> Self {
        Self { state: UnsafeCell::new(State::new()), counts: LaneCounts::new() }
    }

    /// # Safety
    /// 4: the lane is the caller's alone, or nobody's.
    #[inline(always)]
    pub(crate) unsafe fn take(&self) -> Option<T> {
        // Before anything is borrowed for writing: of nobody's lane nothing is written (5).
        let empty = self.state.with(|state| {
            // SAFETY: 4, passed on to our caller; 5: nobody's lane is only read.
            unsafe { (*state).loaded.is_empty() }
        });
        if empty {
            return None;
        }
        let taken = self.state.with_mut(|state| {
            // SAFETY: 4, passed on to our caller; 5: it has an item, so it is not nobody's; 6: `pop` moves bytes.
            unsafe { (*state).loaded.pop() }
        });
        self.counts.hits.bump();
        taken
    }

    /// # Safety
    /// 4: the lane is the caller's alone, or nobody's.
    #[inline(always)]
    pub(crate) unsafe fn give(&self, item: T) -> Result<(), T> {
        let full = self.state.with(|state| {
            // SAFETY: 4, passed on to our caller; 5: nobody's lane is only read.
            unsafe { (*state).loaded.is_full() }
        });
        if full {
            return Err(item);
        }
        let given = self.state.with_mut(|state| {
            // SAFETY: 4, passed on to our caller; 5: it has room, so it is not nobody's; 6: `push` moves bytes.
            unsafe { (*state).loaded.push(item) }
        });
        self.counts.kept.publish();
        given
    }
}

#[repr(C)]
pub(crate) struct State<T> {
    /// Taken from and given to.
    pub(crate) loaded: Held<T>,
    /// Full, empty or absent: a thread at the boundary of a magazine swaps the two instead of running to the depot.
    pub(crate) previous: Held<T>,
    /// The thread is told of its end, so magazines may be left here.
    pub(crate) enrolled: bool,
}

impl<T> State<T> {
    pub(crate) const fn new() -> Self {
        Self { loaded: Held::none(), previous: Held::none(), enrolled: false }
    }
}

/// A magazine out of the lists. It is neither copied nor does it free anything: it always goes back.
///
/// Pointers and not a length: one addition less between an operation and the next, which is a third of its time.
#[repr(C)]
pub(crate) struct Held<T> {
    /// `base <= top <= end`; the slots below `top` are initialised (3).
    pub(crate) top: NonNull<T>,
    /// From here to `end` lie the slots, which this value alone may touch (1, 2).
    pub(crate) base: NonNull<T>,
    pub(crate) end: NonNull<T>,
    pub(crate) magazine: u32,
    /// Where loom sees the accesses to the slots.
    #[cfg(bolt_loom)]
    pub(crate) watch: *const UnsafeCell<()>,
}

impl<T> Held<T> {
    /// No magazine: it can give nothing and keep nothing.
    pub(crate) const fn none() -> Self {
        Self {
            top: NonNull::dangling(),
            base: NonNull::dangling(),
            end: NonNull::dangling(),
            magazine: NONE,
            #[cfg(bolt_loom)]
            watch: std::ptr::null(),
        }
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.top == self.base
    }

    #[inline(always)]
    pub(crate) fn is_full(&self) -> bool {
        self.top == self.end
    }

    pub(crate) fn len(&self) -> usize {
        // Values have a size, so this division is by more than zero.
        (self.top.addr().get() - self.base.addr().get()) / size_of::<T>()
    }

    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        // SAFETY: 1: `top` is above `base`.
        let slot = unsafe { self.top.sub(1) };
        self.top = slot;
        self.seen();
        // SAFETY: 3: it was below `top`, hence initialised, and is not any more.
        Some(unsafe { slot.read() })
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, item: T) -> Result<(), T> {
        if self.is_full() {
            return Err(item);
        }
        self.seen();
        let slot = self.top;
        // SAFETY: 1: `top` is below `end`. Computed before the write, or the compiler reads `top` again behind it.
        let top = unsafe { slot.add(1) };
        // SAFETY: 1, 2: the slot is ours; 3: it is not initialised.
        unsafe { slot.write(item) };
        self.top = top;
        Ok(())
    }

    #[cfg(not(bolt_loom))]
    #[inline(always)]
    fn seen(&self) {}

    #[cfg(bolt_loom)]
    fn seen(&self) {
        // SAFETY: a magazine that has slots has a cell, in the depot that this value stays inside of (2).
        let watch = unsafe { &*self.watch };
        watch.with_mut(|_| ());
    }
}
