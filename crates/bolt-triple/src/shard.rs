//! Owns: the memory of one shard of a pool of several threads and what lends it: `Shard`, `SharedSlot`. Never allocates, never blocks, never
//! clears, never copies a batch. Limits: what is lent is lent by index, once; which shard is asked when is `sharded`'s.
//!
//! unsafe: allowed here

use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use bolt_sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use bolt_sync::cell::UnsafeCell;
use bolt_sync::thread_token::ThreadToken;
use bolt_sync::{CachePadded, Link, SlotList};

use crate::batch::SoaBatch;

/// In the owner's word: somebody found nothing, and asks the owner for what lies in its lane.
const ASKED: usize = 1;

/// `N` batches for several threads: free ones in a list that all of them reach, and up to half of them in a lane that belongs to one thread. What comes back
/// on other threads while the lane has an owner is strung together, and taken all at once.
///
/// # Invariants
///
/// 1. An index below `N` is in one place: in `free`, in `lane` below its length, in `returned` or with the thread that has just taken all of that, or with the
///    one `SharedSlot` that reaches its batch.
/// 2. `owner` is 0 or a thread's token, perhaps with [`ASKED`]. From 0, or from the token of a thread that has ended, a thread changes it to its own
///    token; while the thread of a token lives, others set that bit and nothing else, and it alone takes it away, or writes 0.
/// 3. `lane` is read for its indices and written only by the living thread whose token is in `owner`. Hence by one at a time, and what the last
///    one did comes before: it has written 0 with Release, or has ended (`ThreadToken::is_living`).
/// 4. What the last user of an index did comes before what the next one does: on the way through `free` by its promise 2, on the way through
///    the lane by 3, on the way through `returned` by the Release in `push` and the Acquire in `take_all`.
#[derive(Debug)]
pub(crate) struct Shard<const N: usize> {
    /// Read by everybody, written seldom: on a cache line of its own.
    owner: CachePadded<AtomicUsize>,
    lane: CachePadded<Lane<N>>,
    free: CachePadded<SlotList<[Link; N]>>,
    returned: CachePadded<Returned<N>>,
    batches: [UnsafeCell<SoaBatch>; N],
    /// For figures only, so every access is relaxed: which indices are neither in `free` nor in `returned` (each word written by its index's holder alone), and how
    /// many there ever were of them. The list gives a fresh index only when all lower ones are out.
    out: [AtomicU32; N],
    high_water: AtomicU32,
}

/// Free indices of one thread, a stack. Atomics only so that others may look at its length; every access is relaxed, by 3.
#[derive(Debug)]
struct Lane<const N: usize> {
    len: AtomicUsize,
    stack: [AtomicU32; N],
}

/// Indices that came back on other threads than the owner's, strung together. Anybody may add one or take all, so an index that is seen at the head twice
/// is no other the second time.
#[derive(Debug)]
struct Returned<const N: usize> {
    /// The one that came last, plus 1; 0 for none.
    head: AtomicU32,
    /// For each index that is strung in, the one that came before it, plus 1; 0 for none. Written by its holder, on the way in.
    before: [AtomicU32; N],
}

impl<const N: usize> Returned<N> {
    /// Only for an index that is the caller's.
    fn push(&self, index: u32) {
        let Some(before) = self.before.get(index as usize) else { return };
        // Relaxed: the exchange checks it.
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // Relaxed: published by the exchange.
            before.store(head, Ordering::Relaxed);
            // Release pairs with the Acquire in `take_all`. Every push exchanges, so that one sees what was done before earlier ones, too.
            match self.head.compare_exchange_weak(head, index + 1, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(seen) => head = seen,
            }
        }
    }

    /// All of them, the latest first; they are the caller's.
    #[inline]
    fn take_all(&self) -> impl Iterator<Item = u32> {
        // Mostly there are none, and a look is cheaper than an exchange.
        let any = self.head.load(Ordering::Relaxed) != 0;
        let mut next = if any { self.head.swap(0, Ordering::Acquire) } else { 0 };
        core::iter::from_fn(move || {
            let index = next.checked_sub(1)?;
            // Relaxed: seen by the Acquire above. Before the index is given on, since whoever has it may write here.
            next = self.before.get(index as usize)?.load(Ordering::Relaxed);
            Some(index)
        })
    }
}

// SAFETY: by 1 and 4 no batch is reached by two threads at once, and a batch is plain words.
unsafe impl<const N: usize> Sync for Shard<N> {}

impl<const N: usize> Shard<N> {
    /// The most indices a lane keeps: the other half of a shard is in everybody's reach.
    pub(crate) const LANE_MAX: usize = N.div_ceil(2);

    pub(crate) fn new() -> Self {
        let zeros = || core::array::from_fn(|_| AtomicU32::new(0));
        Self {
            owner: CachePadded::new(AtomicUsize::new(0)),
            lane: CachePadded::new(Lane { len: AtomicUsize::new(0), stack: zeros() }),
            free: CachePadded::new(SlotList::array()),
            returned: CachePadded::new(Returned { head: AtomicU32::new(0), before: zeros() }),
            batches: core::array::from_fn(|_| UnsafeCell::new(SoaBatch::new())),
            out: zeros(),
            high_water: AtomicU32::new(0),
        }
    }

    /// The batch that came back last to the lane, if this is the calling thread's shard and one is there.
    #[inline(always)]
    pub(crate) fn take_near(&self) -> Option<SharedSlot<'_, N>> {
        if !self.is_of(ThreadToken::current()) {
            return None;
        }
        let at = self.lane.len.load(Ordering::Relaxed).checked_sub(1)?;
        let index = self.lane.stack.get(at)?.load(Ordering::Relaxed);
        self.lane.len.store(at, Ordering::Relaxed);
        // 1: it was in the lane, and is there no more.
        Some(self.lend(index, at))
    }

    /// The calling thread's own token in `owner`, and nobody asks. True only for the thread of 3; it may answer false, then the list serves.
    #[inline(always)]
    fn is_of(&self, me: ThreadToken) -> bool {
        // Relaxed: by 2 only this thread writes this word. `NONE` is in no `owner`.
        self.owner.load(Ordering::Relaxed) == me.to_raw()
    }

    /// True if the shard is `me`'s, which is the calling thread's token. Does what it was asked for first.
    pub(crate) fn is_mine(&self, me: ThreadToken) -> bool {
        if self.owner.load(Ordering::Relaxed) == me.to_raw() | ASKED && me != ThreadToken::NONE {
            self.empty_lane();
            // 2: only this thread takes the bit away, and nobody sets it while it is set. Release, as in `claim`.
            self.owner.store(me.to_raw(), Ordering::Release);
        }
        self.is_of(me)
    }

    /// Makes the shard `me`'s, which is the calling thread's token, unless it has an owner that lives.
    pub(crate) fn claim(&self, me: ThreadToken) -> bool {
        // Acquire pairs with the Release with which a token is written here: that token's beginning is seen, so that `is_living` cannot take the time
        // before it for the time after its end.
        let found = self.owner.load(Ordering::Acquire);
        // Tokens are not given twice, so who finds `found` again in the exchange finds the same owner, or none.
        let vacant = ThreadToken::from_raw(found).is_none_or(|owner| !owner.is_living());
        // Acquire pairs with the Release in `take_and_disown`, and that in `is_living` with the end of a thread: the lane is as its last owner left it.
        vacant
            && me != ThreadToken::NONE
            && self.owner.compare_exchange(found, me.to_raw(), Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Takes a batch from a shard that was just claimed, and leaves it to others. Only for the owner.
    pub(crate) fn take_and_disown(&self) -> Option<SharedSlot<'_, N>> {
        let left = self.take_near();
        self.empty_lane();
        // Release pairs with the Acquire in `claim`: the lane is empty.
        self.owner.store(0, Ordering::Release);
        left.or_else(|| self.take_far())
    }

    /// A batch from the list.
    #[inline]
    pub(crate) fn take_far(&self) -> Option<SharedSlot<'_, N>> {
        let index = self.free.pop()?;
        self.mark(index, 1);
        if index >= self.high_water.load(Ordering::Relaxed) {
            self.high_water.fetch_max(index + 1, Ordering::Relaxed);
        }
        // 1: by the list's promise 1 it is nobody else's. If the lane is this thread's, it is empty or will not be as high as this again.
        Some(self.lend(index, self.lane.len.load(Ordering::Relaxed)))
    }

    /// The batch that came back last on another thread than the owner's. All that came back so is in reach then: in the lane, if this is the calling
    /// thread's shard (`mine`) and as far as it has room, and in the list.
    pub(crate) fn take_returned(&self, mine: bool) -> Option<SharedSlot<'_, N>> {
        let mut all = self.returned.take_all();
        let first = all.next()?;
        self.mark(first, 1);
        let mut len = self.lane.len.load(Ordering::Relaxed);
        for index in all {
            match self.lane.stack.get(len) {
                Some(top) if mine && len < Self::LANE_MAX => {
                    self.mark(index, 1);
                    top.store(index, Ordering::Relaxed);
                    len += 1;
                    self.lane.len.store(len, Ordering::Relaxed);
                }
                _ => self.give_far(index),
            }
        }
        // 1: it was among those that this thread has just taken.
        Some(self.lend(first, len))
    }

    /// Puts what lies in the lane into the list. Only for the owner.
    fn empty_lane(&self) {
        let len = self.lane.len.load(Ordering::Relaxed);
        self.lane.len.store(0, Ordering::Relaxed);
        for index in self.lane.stack.iter().take(len) {
            self.give_far(index.load(Ordering::Relaxed));
        }
    }

    /// Asks the owner, if that is another thread, for what lies in its lane: it comes into the list with the owner's next call. True if something lies there.
    pub(crate) fn ask(&self) -> bool {
        let owner = self.owner.load(Ordering::Relaxed);
        if self.idle() == 0 {
            return false;
        }
        if owner & ASKED == 0 && owner != 0 {
            // Relaxed: a wish, which orders nothing. Compared, so that only this owner is asked.
            let _ = self.owner.compare_exchange(owner, owner | ASKED, Ordering::Relaxed, Ordering::Relaxed);
        }
        true
    }

    /// How many lie in the lane.
    pub(crate) fn idle(&self) -> usize {
        self.lane.len.load(Ordering::Relaxed)
    }

    /// Only for an index that has just left the list or the lane, so that by 1 it is nobody's.
    #[inline(always)]
    fn lend(&self, index: u32, at: usize) -> SharedSlot<'_, N> {
        // SAFETY: by 1 indices are below `N`.
        let cell = unsafe { self.batches.get_unchecked(index as usize) };
        // SAFETY: a cell's pointer is not null. Under loom this access is the witness of 1 and 4.
        let batch = cell.with_mut(|batch| unsafe { NonNull::new_unchecked(batch) });
        SharedSlot { shard: self, batch, index, at }
    }

    /// Only for an index whose `SharedSlot` ends with this call; `at` is a guess of the lane's length.
    #[inline(always)]
    fn give(&self, index: u32, at: usize) {
        // In the usual order the lane is as long as the guard remembers. Writing the length from that and not from the word just
        // loaded takes a trip through memory out of the chain of takes and returns (the branch is predicted).
        if self.is_of(ThreadToken::current())
            && self.lane.len.load(Ordering::Relaxed) == at
            && at < Self::LANE_MAX
            && let Some(top) = self.lane.stack.get(at)
        {
            // It usually stands there still, and a look is cheaper than a store.
            if top.load(Ordering::Relaxed) != index {
                top.store(index, Ordering::Relaxed);
            }
            self.lane.len.store(at + 1, Ordering::Relaxed);
        } else {
            self.give_out_of_order(index);
        }
    }

    #[inline(never)]
    fn give_out_of_order(&self, index: u32) {
        if self.is_mine(ThreadToken::current()) {
            let len = self.lane.len.load(Ordering::Relaxed);
            if len < Self::LANE_MAX
                && let Some(top) = self.lane.stack.get(len)
            {
                top.store(index, Ordering::Relaxed);
                self.lane.len.store(len + 1, Ordering::Relaxed);
                return;
            }
        } else if self.owner.load(Ordering::Relaxed) != 0 {
            // Relaxed: whoever the owner is, both ways lead back.
            self.mark(index, 0);
            return self.returned.push(index);
        }
        self.give_far(index);
    }

    fn give_far(&self, index: u32) {
        self.mark(index, 0);
        let returned = self.free.push(index);
        debug_assert!(returned.is_ok(), "an index that is owned is accepted");
    }

    #[inline(always)]
    fn mark(&self, index: u32, out: u32) {
        if let Some(word) = self.out.get(index as usize) {
            word.store(out, Ordering::Relaxed);
        }
    }

    /// Exact when nobody takes or returns meanwhile.
    pub(crate) fn in_use(&self) -> usize {
        let out = self.out.iter().filter(|out| out.load(Ordering::Relaxed) != 0).count();
        out.saturating_sub(self.idle())
    }

    /// Counts what lay in the lane as if it were in use.
    pub(crate) fn high_water(&self) -> usize {
        self.high_water.load(Ordering::Relaxed) as usize
    }
}

/// One batch of a shard, lent: it goes back when this is dropped, on whichever thread.
///
/// # Invariants
///
/// 5. `index` belongs to this value (1), and `batch` points at that batch.
#[derive(Debug)]
pub(crate) struct SharedSlot<'p, const N: usize> {
    shard: &'p Shard<N>,
    batch: NonNull<SoaBatch>,
    index: u32,
    /// How long the lane was when this was lent: a guess of where the index goes.
    at: usize,
}

// SAFETY: by 5 and 1 it is the one way to its batch, like a `&mut SoaBatch`, and it may be returned on any thread.
unsafe impl<const N: usize> Send for SharedSlot<'_, N> {}
// SAFETY: a shared reference to it gives shared references to plain words only.
unsafe impl<const N: usize> Sync for SharedSlot<'_, N> {}

impl<const N: usize> Deref for SharedSlot<'_, N> {
    type Target = SoaBatch;
    #[inline(always)]
    fn deref(&self) -> &SoaBatch {
        // SAFETY: by 5 and 1 it is valid and only reached through `self`, which is borrowed as long as the result.
        unsafe { self.batch.as_ref() }
    }
}

impl<const N: usize> DerefMut for SharedSlot<'_, N> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut SoaBatch {
        // SAFETY: by 5 and 1 it is valid and only reached through `self`, which is borrowed exclusively as long as the result.
        unsafe { self.batch.as_mut() }
    }
}

impl<const N: usize> Drop for SharedSlot<'_, N> {
    #[inline(always)]
    fn drop(&mut self) {
        #[cfg(bolt_loom)]
        if let Some(batch) = self.shard.batches.get(self.index as usize) {
            batch.with_mut(|_| ());
        }
        self.shard.give(self.index, self.at);
    }
}
