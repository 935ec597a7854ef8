//! What one thread has of a magazine store: its lane, the magazines in it, and the short way there.
//!
//! Owns: `ShortWay`, `Lane`, `Held`. Never goes to a depot, never runs an item's code, never allocates. Limits: those of
//! `magazine.rs`, whose numbered invariants these are (1 to 9).
//!
//! unsafe: allowed here

use std::fmt;
#[cfg(all(target_pointer_width = "64", not(bolt_loom)))]
use std::mem;
use std::ptr::NonNull;

use crate::atomic::{AtomicBool, AtomicU8, Ordering, fence};
use crate::cell::UnsafeCell;
use crate::magazine_config::{Filled, LaneCounts, THREADS_LIMIT};
use crate::thread_index;
// Real pointers even under loom: a lane's pointer is stored once by its first owner, and what is behind it is modelled.
use crate::unmodelled::AtomicPtr;

/// Marks a `Held` that holds no magazine.
pub(crate) const NONE: u32 = u32::MAX;

/// An entry for each number, and behind them the one that threads without a number find.
pub(crate) const ENTRIES: usize = THREADS_LIMIT + 1;
pub(crate) type LaneTable<T> = [AtomicPtr<Lane<T>>; ENTRIES];

const _: () =
    assert!(thread_index::NO_LANE as usize == THREADS_LIMIT, "the last index of a table is nobody's");

/// The short way to the calling thread's own magazine, and to nothing else: what every caller's code should hold of a store, in front of one
/// call to the long way. Made by [`Magazines::short_way`](crate::magazine::Magazines::short_way).
///
/// It may be kept apart from the store, in front of what a pool looks at first, or in the item that is out, which so knows its way home without
/// asking. Giving by it can be [shut](crate::magazine::Magazines::shut), so that a pool is asked about every item from then on and asks
/// itself nothing before.
///
/// **Layout.** One pointer. **Cost.** About 1 ns each way: three loads to the items, no atomic read-modify-write, one branch.
pub struct ShortWay<T> {
    /// Invariant 7.
    lanes: *const LaneTable<T>,
}

// SAFETY: a pointer to what may be shared (4, 7): what it leads to is the calling thread's own.
unsafe impl<T: Send> Send for ShortWay<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for ShortWay<T> {}

impl<T> Clone for ShortWay<T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for ShortWay<T> {}

impl<T> ShortWay<T> {
    pub(crate) fn to(lanes: &LaneTable<T>) -> Self {
        Self { lanes }
    }

    /// One that leads nowhere: nothing is taken or given by it.
    #[must_use]
    pub fn nowhere() -> Self {
        #[cfg(bolt_loom)]
        let lanes = std::ptr::null();
        #[cfg(not(bolt_loom))]
        let lanes = nobodys::lanes();
        Self { lanes }
    }

    /// Takes the item this thread gave last. `None` says nothing about the rest of the store.
    #[inline(always)]
    pub fn take(self) -> Option<T> {
        // SAFETY: 4: `my_lane` is this thread's, or nobody's.
        unsafe { self.my_lane()?.take() }
    }

    /// Keeps an item in this thread's magazine.
    ///
    /// # Errors
    /// Gives the item back when that magazine is full, this thread has none yet, or the way is shut; the long way may still keep it.
    #[inline(always)]
    pub fn give(self, item: T) -> Result<(), T> {
        match self.my_lane() {
            // SAFETY: 4: `my_lane` is this thread's, or nobody's.
            Some(lane) => unsafe { lane.give(item) },
            None => Err(item),
        }
    }

    #[inline(always)]
    fn my_lane<'a>(self) -> Option<&'a Lane<T>> {
        #[cfg(bolt_loom)]
        if self.lanes.is_null() {
            return None;
        }
        // SAFETY: 7; the lane is used for no longer than one of the two calls above.
        my_lane(unsafe { &*self.lanes })
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
    use super::{AtomicPtr, ENTRIES, Lane, LaneTable};

    struct Nobodys(Lane<()>);

    // SAFETY: 5: it is never written.
    unsafe impl Sync for Nobodys {}

    static LANE: Nobodys = Nobodys(Lane::new());
    static LANES: LaneTable<()> = [const { AtomicPtr::new((&raw const LANE.0).cast_mut()) }; ENTRIES];

    /// Layouts do not depend on the item: all they have of it is pointers, in the order written (`repr(C)`).
    pub(crate) fn lane<T>() -> *mut Lane<T> {
        (&raw const LANE.0).cast_mut().cast()
    }

    pub(crate) fn lanes<T>() -> *const LaneTable<T> {
        (&raw const LANES).cast()
    }
}

/// What one thread has of a depot, on a pair of cache lines of its own (adjacent lines are fetched together). What the short way needs lies in the
/// first of them.
#[repr(C, align(128))]
pub(crate) struct Lane<T> {
    /// How many items the loaded magazine may hold by the short way: its capacity, or 0 once that is shut.
    pub(crate) limit: AtomicU8,
    /// Touched by the owner alone (4).
    pub(crate) state: UnsafeCell<State<T>>,
    /// Written by the owner alone, read by whoever asks. What takes and gives write of it comes first.
    pub(crate) counts: LaneCounts,
}

#[cfg(all(target_pointer_width = "64", not(bolt_loom)))]
const _: () = {
    assert!(size_of::<Lane<u64>>() == 128);
    assert!(mem::offset_of!(Lane<u64>, counts) + size_of::<u64>() <= 64, "the short way needs one line");
};

impl<T> Lane<T> {
    #[cfg(not(bolt_loom))]
    pub(crate) const fn new() -> Self {
        Self { limit: AtomicU8::new(0), state: UnsafeCell::new(State::new()), counts: LaneCounts::new() }
    }

    #[cfg(bolt_loom)]
    pub(crate) fn new() -> Self {
        Self { limit: AtomicU8::new(0), state: UnsafeCell::new(State::new()), counts: LaneCounts::new() }
    }

    /// # Safety
    /// 4: the lane is the caller's alone, or nobody's.
    #[inline(always)]
    pub(crate) unsafe fn take(&self) -> Option<T> {
        self.state.with(|state| {
            // SAFETY: 4, passed on to our caller; 5: nobody's lane is only read; 6: nothing below comes back here.
            let loaded = unsafe { &(*state).loaded };
            // SAFETY: 8: they are of one lane.
            unsafe { loaded.pop(&self.counts) }
        })
    }

    /// # Safety
    /// 4: the lane is the caller's alone, or nobody's.
    #[inline(always)]
    pub(crate) unsafe fn give(&self, item: T) -> Result<(), T> {
        // Relaxed: who misses that it is shut counts as one who came before.
        let now = self.counts.fill.now();
        if now.len() >= self.limit.load(Ordering::Relaxed) {
            return Err(item);
        }
        self.state.with(|state| {
            // SAFETY: 4, passed on to our caller; 5: nobody's lane is only read; 6: nothing below comes back here.
            let loaded = unsafe { &(*state).loaded };
            // SAFETY: 8: they are of one lane; 9: the limit is at most the capacity.
            unsafe { loaded.push(&self.counts, now, item) };
        });
        Ok(())
    }

    /// The loaded magazine may be another one now: the short way may fill it, unless it is shut. Called by the owner.
    pub(crate) fn set_limit(&self, capacity: u8, shut: &AtomicBool) {
        // Relaxed: a 0 that another thread is just storing is what it becomes in the end.
        if self.limit.load(Ordering::Relaxed) != capacity {
            self.limit.store(capacity, Ordering::Relaxed);
            // SeqCst: with the one in `shut`, either this thread sees that it is shut, or the other's 0 comes last.
            fence(Ordering::SeqCst);
            if shut.load(Ordering::Relaxed) {
                self.limit.store(0, Ordering::Relaxed);
            }
        }
    }
}

/// Shuts the short ways of these lanes for good; see [`Magazines::shut`](crate::magazine::Magazines::shut).
pub(crate) fn shut<'a, T: 'a>(lanes: impl Iterator<Item = &'a Lane<T>>, shut: &AtomicBool) {
    shut.store(true, Ordering::Relaxed);
    // SeqCst: with the one in `set_limit`.
    fence(Ordering::SeqCst);
    for lane in lanes {
        lane.limit.store(0, Ordering::Relaxed);
    }
}

#[repr(C)]
pub(crate) struct State<T> {
    /// Taken from and given to. How many of its slots are filled say the counts that belong to this state (8).
    pub(crate) loaded: Held<T>,
    /// Full, empty or absent: a thread at the boundary of a magazine swaps the two instead of running to the depot.
    pub(crate) previous: Held<T>,
    /// All slots of `previous` are initialised; otherwise none of them.
    pub(crate) previous_full: bool,
    /// The thread is told of its end, so magazines may be left here.
    pub(crate) enrolled: bool,
}

impl<T> State<T> {
    pub(crate) const fn new() -> Self {
        Self { loaded: Held::none(), previous: Held::none(), previous_full: false, enrolled: false }
    }

    /// Items in `previous`.
    pub(crate) fn previous_len(&self) -> u8 {
        if self.previous_full { self.previous.capacity } else { 0 }
    }
}

/// A magazine out of the lists. It is neither copied nor does it free anything: it always goes back.
#[repr(C)]
pub(crate) struct Held<T> {
    /// Where its slots begin, which this value alone may touch (1, 2).
    pub(crate) base: NonNull<T>,
    pub(crate) magazine: u32,
    /// How many slots there are.
    pub(crate) capacity: u8,
    /// Where loom sees the accesses to the slots.
    #[cfg(bolt_loom)]
    pub(crate) watch: *const UnsafeCell<()>,
}

impl<T> Held<T> {
    /// No magazine: it can give nothing and keep nothing.
    pub(crate) const fn none() -> Self {
        Self {
            base: NonNull::dangling(),
            magazine: NONE,
            capacity: 0,
            #[cfg(bolt_loom)]
            watch: std::ptr::null(),
        }
    }

    /// Takes the last item; it counts as taken.
    ///
    /// # Safety
    /// 8: this is the loaded magazine of the lane that `counts` belong to.
    #[inline(always)]
    pub(crate) unsafe fn pop(&self, counts: &LaneCounts) -> Option<T> {
        let now = counts.fill.now();
        if now.len() == 0 {
            return None;
        }
        // SAFETY: 3, 8: so many are initialised, and the next line says that one is not any more.
        let item = unsafe { self.read_below(now.len()) };
        counts.fill.take(now);
        Some(item)
    }

    /// The last of `len` items, at least one.
    ///
    /// # Safety
    /// 3: so many slots are initialised, and the caller sees to it that the last one counts as such no more.
    #[inline(always)]
    pub(crate) unsafe fn read_below(&self, len: u8) -> T {
        self.seen();
        // SAFETY: 1: there are at least as many slots as items.
        let slot = unsafe { self.base.add(usize::from(len) - 1) };
        // SAFETY: 3, passed on to our caller.
        unsafe { slot.read() }
    }

    /// Keeps an item and counts it.
    ///
    /// # Safety
    /// As [`pop`](Self::pop); `now` is what `counts` say, and there are fewer items than slots.
    #[inline(always)]
    pub(crate) unsafe fn push(&self, counts: &LaneCounts, now: Filled, item: T) {
        self.seen();
        // SAFETY: 1, and fewer items than slots.
        let slot = unsafe { self.base.add(usize::from(now.len())) };
        // SAFETY: 1, 2: the slot is ours; 3: it is not initialised.
        unsafe { slot.write(item) };
        counts.fill.give(now);
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
