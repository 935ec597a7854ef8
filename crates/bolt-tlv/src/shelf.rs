//! Where free blocks wait: the strategies behind one interface, the classes that use them, and how a pool ends.
//!
//! unsafe: allowed here
//!
//! Owns the number of blocks of each class and the bound on their bytes. Never looks into a payload.
//! Limits: 2³¹ buffers a class.
//!
//! # How a pool ends
//!
//! The classes of a pool live in one [`Core`], kept by an `Arc` of each handle **and by one more, which all buffers that are out
//! have together**. Buffers are not counted one by one in that `Arc`: two atomic operations a buffer would cost four times
//! what taking it costs. Instead each list knows what is out. When the last handle is dropped the lists are closed;
//! who then brings what is out to zero - the closing thread, or the one that gives the last buffer back - gives up the common
//! `Arc`. Each list says "nothing is out any more" exactly once.
//!
//! With magazines a thread learns of the close by a relaxed load, before it gives: one that misses it gives as if the pool were open, and the
//! closing thread may have counted before. Then nobody notices the end there and then. Making the giver look again afterwards would cost it a
//! fence a buffer, and the class might be gone by then; instead closed pools of which something is out are remembered
//! (`ending.rs`) and looked at whenever a pool of this program is made, closed or ticks.
//!
//! # Invariants
//!
//! 1. A block that was made for a list and is neither in it nor freed is counted as out, in that list.
//! 2. The common `Arc` of the buffers exists until every class has said, once, that it is closed and nothing of it is out. Nothing
//!    of a class is out any more after that, and nothing can be taken (there is no handle).
//! 3. `table[place]` of a [`LockFree`] list holds the pointer of the block that was made with that place, until that
//!    block is destroyed; the list of filled places holds those whose block is in the list.
//! 4. `Class::way` leads into the magazines of `Class::free`, or nowhere.
//! 5. `Core::classes` are the classes of `Core::table`, in its order, and one more. They neither move nor go before the core.
//! 6. `Core::by_step[i]` is the way of the one of them that the table gives for lengths above `64 (i - 1)` up to `64 i`.

#![allow(unsafe_code)]

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ptr::{self, NonNull};

use bolt_sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use bolt_sync::{CachePadded, Link, SlotList};

use crate::block::{Block, PooledBuffer, Slot};
use crate::class::{CLASS_STEP_BYTES, ClassSpec, ClassTable, DENSE_BYTES_MAX, DENSE_COUNT};
use crate::policy::{TrimPolicy, TrimState};
use crate::pool::{AcquireError, ClassStats, Exhausted, Strategy, Zeroing};
use crate::tally::Tally;

#[cfg(feature = "std")]
use crate::ending;
#[cfg(feature = "std")]
use crate::hoard::Hoard;
#[cfg(feature = "std")]
use crate::locked::Locked;

/// The top bit of a count of buffers that are out: the list is closed.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// Bit of `Class::special`: buffers are cleared when they come back.
const ZERO_ON_RETURN: u32 = 1;
/// Bit of `Class::special`: the pool is closed, and its magazines count no more by themselves.
#[cfg(feature = "std")]
const ENDED: u32 = 2;
/// Bit of `Class::special`: buffers are cleared when they are taken.
const ZERO_ON_TAKE: u32 = 4;

/// The way to this thread's magazine of a class: what a buffer takes along, so that on the way home nothing is asked.
#[cfg(feature = "std")]
pub(crate) type Way = bolt_sync::magazine::ShortWay<Slot>;

/// Without the standard library there are no magazines.
#[cfg(not(feature = "std"))]
#[derive(Clone, Copy)]
pub(crate) struct Way;

#[cfg(not(feature = "std"))]
impl Way {
    fn nowhere() -> Self {
        Self
    }

    fn take(self) -> Option<Slot> {
        None
    }

    fn give(self, slot: Slot) -> Result<(), Slot> {
        Err(slot)
    }
}

/// What the giver of a buffer has to do afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Given {
    /// Nothing.
    Kept,
    /// The list is closed and nothing of it is out any more; said once in the list's life.
    Last,
}

/// Free blocks of one class.
pub(crate) enum FreeList {
    LockFree(Box<LockFree>),
    #[cfg(feature = "std")]
    Locked(Locked),
    #[cfg(feature = "std")]
    Magazines(Hoard),
    /// Of the class that stands behind the last one: it has no blocks and never gets any.
    Nothing,
}

impl FreeList {
    fn new(strategy: Strategy, capacity: usize) -> Self {
        match strategy {
            Strategy::List => Self::LockFree(Box::new(LockFree::new(capacity))),
            #[cfg(feature = "std")]
            Strategy::Magazines => match Hoard::new(capacity) {
                Some(hoard) => Self::Magazines(hoard),
                None => Self::Locked(Locked::new(capacity)),
            },
            #[cfg(feature = "std")]
            _ => Self::Locked(Locked::new(capacity)),
        }
    }

    /// A free block, counted as out from here on.
    fn take(&self) -> Option<Slot> {
        match self {
            Self::LockFree(list) => list.take(),
            #[cfg(feature = "std")]
            Self::Locked(list) => list.take(),
            #[cfg(feature = "std")]
            Self::Magazines(list) => list.take(),
            Self::Nothing => None,
        }
    }

    /// Takes a block back. `self` is not touched once others can see that nothing is out.
    fn give(&self, slot: Slot) -> Given {
        match self {
            Self::LockFree(list) => list.give(slot),
            #[cfg(feature = "std")]
            Self::Locked(list) => list.give(slot),
            #[cfg(feature = "std")]
            Self::Magazines(list) => list.give(slot),
            Self::Nothing => {
                drop(slot);
                Given::Kept
            }
        }
    }

    /// Makes a block by `make`, which is given its place, and counts it as out. `None` if `make` fails.
    fn add(&self, make: impl FnOnce(u32) -> Option<Slot>) -> Option<Slot> {
        match self {
            Self::LockFree(list) => list.add(make),
            #[cfg(feature = "std")]
            Self::Locked(list) => {
                let slot = make(0)?;
                list.count_out();
                Some(slot)
            }
            #[cfg(feature = "std")]
            Self::Magazines(list) => {
                let slot = make(0)?;
                list.count_out();
                Some(slot)
            }
            Self::Nothing => None,
        }
    }

    /// Frees up to `n` blocks that lie idle, the coldest first where the list knows; says how many.
    fn release(&self, n: usize) -> usize {
        match self {
            Self::LockFree(list) => list.release(n),
            #[cfg(feature = "std")]
            Self::Locked(list) => list.release(n),
            #[cfg(feature = "std")]
            Self::Magazines(list) => list.release(n),
            Self::Nothing => 0,
        }
    }

    /// No more is kept from here on. `Last` if nothing is out.
    fn close(&self) -> Given {
        match self {
            Self::LockFree(list) => list.close(),
            #[cfg(feature = "std")]
            Self::Locked(list) => list.close(),
            #[cfg(feature = "std")]
            Self::Magazines(list) => list.close(),
            Self::Nothing => Given::Last,
        }
    }

    /// Blocks out, and takes that found a block.
    fn counts(&self) -> (usize, u64) {
        match self {
            Self::LockFree(list) => list.counts(),
            #[cfg(feature = "std")]
            Self::Locked(list) => list.counts(),
            #[cfg(feature = "std")]
            Self::Magazines(list) => list.counts(),
            Self::Nothing => (0, 0),
        }
    }
}

/// A list without locks and without the standard library: two lists of numbers and a table from numbers to blocks.
pub(crate) struct LockFree {
    /// Numbers of the blocks that are in the list. Invariant 3.
    filled: CachePadded<SlotList<Box<[Link]>>>,
    /// Numbers that no block has.
    vacant: SlotList<Box<[Link]>>,
    /// Invariant 3.
    table: Box<[AtomicPtr<Block>]>,
    /// Invariant 1; the top bit is [`CLOSED`].
    out: CachePadded<AtomicUsize>,
    hits: Tally,
}

fn links(n: usize) -> Box<[Link]> {
    (0..n).map(|_| Link::new()).collect()
}

impl LockFree {
    fn new(capacity: usize) -> Self {
        // The builder bounds the capacity to what one list can number.
        let list = || SlotList::with_links(links(capacity)).ok();
        let none = || SlotList::with_links(links(0)).expect("an empty list can always be made");
        let (filled, vacant) = (list().unwrap_or_else(none), list().unwrap_or_else(none));
        // A fresh list holds every number; no number has a block yet.
        while filled.pop().is_some() {}
        Self {
            filled: CachePadded::new(filled),
            vacant,
            table: (0..capacity).map(|_| AtomicPtr::new(ptr::null_mut())).collect(),
            out: CachePadded::new(AtomicUsize::new(0)),
            hits: Tally::new(),
        }
    }

    /// Takes a block out of the list without counting it.
    #[inline]
    fn pop(&self) -> Option<Slot> {
        let place = self.filled.pop()?;
        // Relaxed: ordered by the push of this place, which came after the store, and the pop above.
        let raw = NonNull::new(self.table.get(place as usize)?.load(Ordering::Relaxed))?;
        // SAFETY: the place came out of the filled list, so its block was in the list and is this caller's alone now (3).
        Some(unsafe { Slot::from_raw(raw) })
    }

    #[inline]
    fn take(&self) -> Option<Slot> {
        let slot = self.pop()?;
        // Relaxed: the count only matters against `close`, and every take comes before the last handle's drop.
        self.out.fetch_add(1, Ordering::Relaxed);
        // Relaxed: a statistic.
        self.hits.add(1);
        Some(slot)
    }

    #[inline]
    fn give(&self, slot: Slot) -> Given {
        let place = slot.place();
        let _ = slot.into_raw();
        // The place was out, so the list has room for it and accepts it.
        let pushed = self.filled.push(place);
        debug_assert_eq!(pushed, Ok(()));
        // Release: the push comes before whatever is done on the strength of "nothing is out"; pairs with the Acquire
        // of who finds that, here and in `close`. The last access to `self`.
        match self.out.fetch_sub(1, Ordering::AcqRel) {
            before if before == CLOSED | 1 => Given::Last,
            _ => Given::Kept,
        }
    }

    fn add(&self, make: impl FnOnce(u32) -> Option<Slot>) -> Option<Slot> {
        // The class made sure that there are fewer blocks than places; a place may be a moment late.
        let place = self.vacant.pop()?;
        let Some(slot) = make(place) else {
            let pushed = self.vacant.push(place);
            debug_assert_eq!(pushed, Ok(()));
            return None;
        };
        let raw = slot.into_raw();
        if let Some(entry) = self.table.get(place as usize) {
            // Relaxed: read by who pops the place, which is pushed later.
            entry.store(raw, Ordering::Relaxed);
        }
        // Relaxed: as in `take`.
        self.out.fetch_add(1, Ordering::Relaxed);
        // SAFETY: taken back at once; the table's copy is used only when the place is popped from the filled list (3).
        NonNull::new(raw).map(|raw| unsafe { Slot::from_raw(raw) })
    }

    fn release(&self, n: usize) -> usize {
        let mut released = 0;
        while released < n {
            let Some(slot) = self.pop() else { break };
            let place = slot.place();
            drop(slot);
            let pushed = self.vacant.push(place);
            debug_assert_eq!(pushed, Ok(()));
            released += 1;
        }
        released
    }

    fn close(&self) -> Given {
        // AcqRel: pairs with the decrements in `give`.
        if self.out.fetch_or(CLOSED, Ordering::AcqRel) == 0 { Given::Last } else { Given::Kept }
    }

    fn counts(&self) -> (usize, u64) {
        // Relaxed: statistics.
        (self.out.load(Ordering::Relaxed) & !CLOSED, self.hits.get())
    }
}

impl Drop for LockFree {
    fn drop(&mut self) {
        while let Some(slot) = self.pop() {
            drop(slot);
        }
    }
}

/// One size class of a pool. On cache lines of its own, and a power of two long, so that its place is found by a shift.
#[repr(align(256))]
pub(crate) struct Class {
    /// Invariant 4. Nowhere where a buffer that is taken or comes back has anything to think about: with no magazines, and with zeroing. Shut once
    /// the pool is closed.
    way: Way,
    free: FreeList,
    spec: ClassSpec,
    /// Plain allocations that may exist at once, so that kept and plain ones together stay within `bytes_max`.
    plain_max: usize,
    exhausted: Exhausted,
    /// [`ZERO_ON_TAKE`], [`ZERO_ON_RETURN`], and [`ENDED`] once a pool with magazines is closed.
    special: AtomicU32,
    /// Blocks made for the list that exist.
    made: AtomicUsize,
    /// Plain blocks that exist.
    plain: AtomicUsize,
    /// Statistics, and the state of trimming; touched when a block is made or freed, or the pool ticks.
    created: Tally,
    plain_created: Tally,
    refused: Tally,
    trimmed: Tally,
    high_water: AtomicUsize,
    trim_quiet: AtomicU32,
    trim_created: Tally,
    /// The pool this class is part of.
    core: Weak<Core>,
}

impl Class {
    fn new(spec: ClassSpec, zeroing: Zeroing, options: &Options, core: Weak<Core>) -> Self {
        let kept = if options.enabled { spec.capacity } else { 0 };
        let plain_bytes = spec.bytes_max.saturating_sub(kept.saturating_mul(spec.size_bytes));
        let free = FreeList::new(options.strategy, kept);
        let zeroing = match zeroing {
            Zeroing::Never => 0,
            Zeroing::OnTake => ZERO_ON_TAKE,
            Zeroing::OnReturn => ZERO_ON_RETURN,
        };
        Self {
            way: way_of(&free, zeroing),
            free,
            spec: ClassSpec { capacity: kept, ..spec },
            plain_max: plain_bytes / spec.size_bytes.max(1),
            // With nothing kept there is nothing to wait for.
            exhausted: if options.enabled { options.exhausted } else { Exhausted::Allocate },
            special: AtomicU32::new(zeroing),
            made: AtomicUsize::new(0),
            plain: AtomicUsize::new(0),
            created: Tally::new(),
            plain_created: Tally::new(),
            refused: Tally::new(),
            trimmed: Tally::new(),
            high_water: AtomicUsize::new(0),
            trim_quiet: AtomicU32::new(0),
            trim_created: Tally::new(),
            core,
        }
    }

    /// The class behind the last one: what is too long for all others comes here and is refused, and plain blocks come home here,
    /// so that the usual way asks for neither.
    fn nothing(options: &Options, largest_bytes: usize, core: Weak<Core>) -> Self {
        let spec = ClassSpec { size_bytes: 0, capacity: 0, bytes_max: 0 };
        let none = Options { strategy: Strategy::List, enabled: false, ..*options };
        let mut class = Self::new(spec, Zeroing::Never, &none, core);
        class.free = FreeList::Nothing;
        class.spec.bytes_max = largest_bytes;
        class
    }

    /// A buffer of `len` bytes, which the class has room for.
    fn acquire(&self, len: usize) -> Result<PooledBuffer, AcquireError> {
        if matches!(self.free, FreeList::Nothing) {
            return Err(AcquireError::TooLarge { requested: len, largest_bytes: self.spec.bytes_max });
        }
        match self.free.take() {
            Some(slot) => Ok(self.buffer(slot, len)),
            None => self.acquire_slow(len),
        }
    }

    /// A block that is counted as out, as a buffer.
    fn buffer(&self, mut slot: Slot, len: usize) -> PooledBuffer {
        if self.special.load(Ordering::Relaxed) & ZERO_ON_TAKE != 0 {
            slot.zero();
        }
        debug_assert!(len <= self.spec.size_bytes);
        // SAFETY: the table, made of the same specifications, chose this class because it holds `len` bytes, and its blocks have
        // its size; the block is counted as out, which keeps the class alive (2).
        unsafe { slot.into_buffer(self.way, len) }
    }

    /// The list has nothing: make a block, or do as the policy says.
    #[cold]
    fn acquire_slow(&self, len: usize) -> Result<PooledBuffer, AcquireError> {
        if let Some(made) = self.make() {
            return made.map(|slot| self.buffer(slot, len));
        }
        match self.exhausted {
            Exhausted::Error => Err(self.refuse(len)),
            Exhausted::Allocate => self.allocate_plain(len),
            #[cfg(feature = "std")]
            Exhausted::Wait(timeout) => {
                // A timeout beyond what the clock can tell is one without an end; a century is.
                let century = core::time::Duration::from_secs(100 * 365 * 86_400);
                let deadline = std::time::Instant::now() + timeout.min(century);
                let slot = match &self.free {
                    FreeList::Locked(list) => list.wait(deadline),
                    _ => self.free.take(),
                };
                slot.map(|slot| self.buffer(slot, len)).ok_or_else(|| self.refuse(len))
            }
        }
    }

    /// A new block for the list, or `None` if it has as many as it may.
    fn make(&self) -> Option<Result<Slot, AcquireError>> {
        // Relaxed: a bound on a number; the blocks themselves are ordered by the list.
        let reserve = |made: usize| (made < self.spec.capacity).then_some(made + 1);
        let before = self.made.fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve).ok()?;
        let size = self.spec.size_bytes;
        let slot = self.free.add(|place| Slot::allocate(size, NonNull::from(self), place, None));
        if slot.is_none() {
            self.made.fetch_sub(1, Ordering::Relaxed);
            return Some(Err(AcquireError::OutOfMemory { requested: size }));
        }
        self.created.add(1);
        self.high_water.fetch_max(before + 1 + self.plain.load(Ordering::Relaxed), Ordering::Relaxed);
        slot.map(Ok)
    }

    fn allocate_plain(&self, len: usize) -> Result<PooledBuffer, AcquireError> {
        // Relaxed: a bound on a number.
        let reserve = |plain: usize| (plain < self.plain_max).then_some(plain + 1);
        let Ok(before) = self.plain.fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve) else {
            return Err(self.refuse(len));
        };
        let size = self.spec.size_bytes;
        // The pool is alive: somebody acquires from it.
        let pool = self.core.upgrade();
        let home = pool.as_deref().map_or(NonNull::from(self), |pool| NonNull::from(pool.nothing()));
        let Some(slot) = Slot::allocate(size, home, u32::MAX, pool) else {
            self.plain.fetch_sub(1, Ordering::Relaxed);
            return Err(AcquireError::OutOfMemory { requested: size });
        };
        self.plain_created.add(1);
        self.high_water.fetch_max(before + 1 + self.made.load(Ordering::Relaxed), Ordering::Relaxed);
        // SAFETY: the block has the size of the class that was chosen for `len`; it keeps its pool, and so its home, itself.
        Ok(unsafe { slot.into_buffer(Way::nowhere(), len) })
    }

    fn refuse(&self, len: usize) -> AcquireError {
        self.refused.add(1);
        AcquireError::Exhausted {
            requested: len,
            class_bytes: self.spec.size_bytes,
            capacity: self.spec.capacity,
        }
    }

    /// A buffer, or the promise to wake `waker` when one comes back. Only a pool that waits makes the promise.
    #[cfg(feature = "std")]
    fn poll_acquire(
        &self,
        len: usize,
        waker: &core::task::Waker,
    ) -> Option<Result<PooledBuffer, AcquireError>> {
        if let Some(slot) = self.free.take() {
            return Some(Ok(self.buffer(slot, len)));
        }
        match (&self.free, self.exhausted) {
            (FreeList::Locked(list), Exhausted::Wait(_)) => {
                if let Some(made) = self.make() {
                    return Some(made.map(|slot| self.buffer(slot, len)));
                }
                list.take_or_register(waker).map(|slot| Ok(self.buffer(slot, len)))
            }
            _ => Some(self.acquire_slow(len)),
        }
    }

    fn stats(&self) -> ClassStats {
        let (out, hits) = self.free.counts();
        let made = self.made.load(Ordering::Relaxed);
        let plain = self.plain.load(Ordering::Relaxed);
        let (created, plain_created) = (self.created.get(), self.plain_created.get());
        ClassStats {
            size_bytes: self.spec.size_bytes,
            capacity: self.spec.capacity,
            in_use: out + plain,
            free: made.saturating_sub(out),
            plain,
            bytes: (made + plain) * self.spec.size_bytes,
            bytes_max: self.spec.bytes_max,
            hits,
            misses: created + plain_created,
            refused: self.refused.get(),
            trimmed: self.trimmed.get(),
            high_water: self.high_water.load(Ordering::Relaxed),
        }
    }

    /// Frees up to `n` idle blocks; says how many.
    fn release(&self, n: usize) -> usize {
        let released = self.free.release(n);
        self.made.fetch_sub(released, Ordering::Relaxed);
        self.trimmed.add(released);
        released
    }

    fn idle_tick(&self, policy: &TrimPolicy) -> usize {
        let (out, _) = self.free.counts();
        let made = self.made.load(Ordering::Relaxed);
        // Relaxed: two threads that tick at once count one tick for two, or two for one.
        let grew = self.trim_created.follow(&self.created);
        let state = TrimState { quiet_ticks: self.trim_quiet.load(Ordering::Relaxed) };
        let (state, release) = policy.tick(state, made, out, grew);
        self.trim_quiet.store(state.quiet_ticks, Ordering::Relaxed);
        if release == 0 { 0 } else { self.release(release) }
    }
}

/// Where the buffers of a class go first: a way into its magazines, or nowhere.
fn way_of(free: &FreeList, zeroing: u32) -> Way {
    match free {
        // SAFETY: it is kept by the class itself, by the core that keeps the class, and by buffers, while which are out there is a class (2, 4, 6).
        #[cfg(feature = "std")]
        FreeList::Magazines(hoard) if zeroing == 0 => unsafe { hoard.magazines().short_way() },
        _ => {
            let _ = zeroing;
            Way::nowhere()
        }
    }
}

/// Takes a block home.
///
/// # Safety
/// The caller owned the block of `slot` in a buffer or as the last shared frame; `way` is that of its class, or nowhere.
#[inline(always)]
pub(crate) unsafe fn give_back(slot: Slot, way: Way) {
    // Who misses that it is shut counts as before that (see "How a pool ends").
    if let Err(slot) = way.give(slot) {
        // SAFETY: passed on to our caller.
        unsafe { give_back_shared(slot) };
    }
}

/// The way of a block's class.
///
/// # Safety
/// The block is in a buffer or a shared frame, so that its class is alive (block.rs 3).
pub(crate) unsafe fn way_home(class: NonNull<Class>) -> Way {
    // SAFETY: alive, by the contract.
    unsafe { class.as_ref() }.way
}

/// # Safety
/// As [`give_back`].
#[cold]
#[inline(never)]
unsafe fn give_back_shared(mut slot: Slot) {
    if slot.is_plain() {
        give_back_plain(slot);
        return;
    }
    let class = slot.class();
    // SAFETY: alive, since the block was out (block.rs 3).
    let alive = unsafe { class.as_ref() };
    // Acquire: pairs with the Release in `close`; whoever sees ENDED sees every take there ever was.
    let special = alive.special.load(Ordering::Acquire);
    if special & ZERO_ON_RETURN != 0 {
        slot.zero();
    }
    #[cfg(feature = "std")]
    if special & ENDED != 0
        && let FreeList::Magazines(hoard) = &alive.free
    {
        // This buffer is out, so the pool is there; and it stays until this thread has looked.
        let pool = alive.core.upgrade();
        hoard.end(slot);
        if hoard.look() == Given::Last {
            // SAFETY: the class is closed and nothing of it is out; said once; `pool` keeps it meanwhile.
            unsafe { class_ended(class) };
        }
        drop(pool);
        return;
    }
    if alive.free.give(slot) == Given::Last {
        // SAFETY: the class is closed and nothing of it is out; said once.
        unsafe { class_ended(class) };
    }
}

/// A plain block is freed, and its class has room for another.
#[cold]
fn give_back_plain(mut slot: Slot) {
    // Held until the end of this function: the block's home is in there.
    let Some(pool) = slot.take_pool() else { return };
    let capacity = slot.capacity();
    drop(slot);
    if let Some(class) = pool.classes.get(pool.table.index_of(capacity)) {
        class.plain.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A class is closed and nothing of it is out: the last class to end gives up the buffers' common `Arc`.
///
/// # Safety
/// Called once for each class of a pool, when the class has said so.
#[cold]
unsafe fn class_ended(class: NonNull<Class>) {
    // SAFETY: this class has not been subtracted yet, so the common `Arc` exists (2).
    let core = unsafe { class.as_ref() }.core.as_ptr();
    // SAFETY: as above.
    let open = unsafe { &(*core).open_classes };
    // AcqRel: all that any class did comes before the end of the last one.
    if open.fetch_sub(1, Ordering::AcqRel) == 1 {
        #[cfg(feature = "std")]
        ending::forget(core);
        // SAFETY: the common `Arc` was made by `into_raw` in `Core::new` and is given up here, once: this was the last class (2).
        drop(unsafe { Arc::from_raw(core) });
    }
}

/// What a pool is made with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) strategy: Strategy,
    pub(crate) exhausted: Exhausted,
    pub(crate) enabled: bool,
    pub(crate) trim: TrimPolicy,
}

/// The classes of a pool.
pub(crate) struct Core {
    /// Invariant 6.
    by_step: [Way; DENSE_COUNT],
    table: ClassTable,
    /// Invariant 5. Not a box, which would claim to be the only way to them when it is moved.
    classes: Vec<Class>,
    options: Options,
    /// Classes that have not ended; invariant 2.
    open_classes: AtomicUsize,
}

impl Core {
    /// `table` is made of `specs`, and `zeroing` has an entry for each.
    pub(crate) fn new(
        specs: &[ClassSpec],
        table: ClassTable,
        zeroing: &[Zeroing],
        options: Options,
    ) -> Arc<Self> {
        #[cfg(feature = "std")]
        ending::look_again();
        let largest_bytes = table.largest_bytes();
        let core = Arc::new_cyclic(|core| {
            let kept = specs
                .iter()
                .zip(zeroing)
                .map(|(&spec, &zeroing)| Class::new(spec, zeroing, &options, core.clone()));
            let classes: Vec<Class> =
                kept.chain([Class::nothing(&options, largest_bytes, core.clone())]).collect();
            Self {
                by_step: core::array::from_fn(|step| classes[table.index_of(step * CLASS_STEP_BYTES)].way),
                table,
                classes,
                options,
                open_classes: AtomicUsize::new(specs.len()),
            }
        });
        if !specs.is_empty() {
            // The common `Arc` of the buffers (2).
            let _ = Arc::into_raw(core.clone());
        }
        core
    }

    #[inline(always)]
    pub(crate) fn acquire(&self, len: usize) -> Result<PooledBuffer, AcquireError> {
        if len > DENSE_BYTES_MAX {
            return self.acquire_long(len);
        }
        // SAFETY: `len` is at most DENSE_BYTES_MAX, so this is at most the last step.
        let way = *unsafe { self.by_step.get_unchecked(len.div_ceil(CLASS_STEP_BYTES)) };
        match way.take() {
            // SAFETY: the way leads to blocks of this class, which holds `len` bytes (6); they count as out once they are taken.
            Some(slot) => Ok(unsafe { slot.into_buffer(way, len) }),
            None => self.acquire_long(len),
        }
    }

    /// This thread has none, or classes are to be compared one by one: a call, in front of a buffer that is made, or takes microseconds to read.
    #[cold]
    #[inline(never)]
    fn acquire_long(&self, len: usize) -> Result<PooledBuffer, AcquireError> {
        // The table answers at most the number of classes it was made of, and there is one more (5).
        self.classes[self.table.index_of(len)].acquire(len)
    }

    /// The classes that have buffers.
    fn classes(&self) -> &[Class] {
        &self.classes[..self.table.class_count()]
    }

    /// The class behind the last one.
    fn nothing(&self) -> &Class {
        &self.classes[self.table.class_count()]
    }

    #[cfg(feature = "std")]
    pub(crate) fn poll_acquire(
        &self,
        len: usize,
        waker: &core::task::Waker,
    ) -> Option<Result<PooledBuffer, AcquireError>> {
        match self.classes().get(self.table.index_of(len)) {
            Some(class) => class.poll_acquire(len, waker),
            None => Some(self.nothing().acquire(len)),
        }
    }

    pub(crate) fn table(&self) -> &ClassTable {
        &self.table
    }

    #[cfg(feature = "std")]
    #[inline]
    pub(crate) fn class_of_buffer(&self, buffer: &PooledBuffer) -> Option<usize> {
        let index = self.table.class_of(buffer.capacity())?;
        let class = NonNull::from(self.classes().get(index)?);
        (buffer.class() == class).then_some(index)
    }

    /// When the buffers that serve `len` bytes are cleared.
    pub(crate) fn zeroing(&self, len: usize) -> Zeroing {
        let special = self
            .classes()
            .get(self.table.index_of(len))
            .map_or(0, |class| class.special.load(Ordering::Relaxed));
        match special {
            special if special & ZERO_ON_TAKE != 0 => Zeroing::OnTake,
            special if special & ZERO_ON_RETURN != 0 => Zeroing::OnReturn,
            _ => Zeroing::Never,
        }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn stats(&self) -> impl Iterator<Item = ClassStats> {
        self.classes().iter().map(Class::stats)
    }

    pub(crate) fn idle_tick(&self) -> usize {
        #[cfg(feature = "std")]
        ending::look_again();
        self.classes().iter().map(|class| class.idle_tick(&self.options.trim)).sum()
    }

    pub(crate) fn release_idle(&self) -> usize {
        self.classes().iter().map(|class| class.release(usize::MAX)).sum()
    }

    /// Makes up to `n` blocks of each class in advance.
    pub(crate) fn prefill(&self, n: usize) -> Result<(), AcquireError> {
        for class in self.classes() {
            let mut made = Vec::with_capacity(n.min(class.spec.capacity));
            while made.len() < n {
                match class.make() {
                    Some(slot) => made.push(class.buffer(slot?, 0)),
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// The last handle is gone.
    pub(crate) fn close(this: &Arc<Self>) {
        #[cfg(feature = "std")]
        for class in this.classes() {
            if let FreeList::Magazines(hoard) = &class.free {
                // SeqCst: as early as can be; see "How a pool ends" for what comes too late to see it.
                class.special.fetch_or(ENDED, Ordering::SeqCst);
                hoard.magazines().shut();
            }
        }
        for class in this.classes() {
            if class.free.close() == Given::Last {
                // SAFETY: said once; `this` keeps the pool meanwhile.
                unsafe { class_ended(NonNull::from(class)) };
            }
        }
        #[cfg(feature = "std")]
        {
            // Acquire: as the others that look at it.
            if this.open_classes.load(Ordering::Acquire) > 0 {
                ending::remember(this);
            }
            ending::look_again();
        }
    }

    /// Ends the classes of a closed pool that have ended and not been noticed.
    #[cfg(feature = "std")]
    pub(crate) fn look(this: &Arc<Self>) {
        for class in this.classes() {
            if let FreeList::Magazines(hoard) = &class.free
                && hoard.look() == Given::Last
            {
                // SAFETY: the class is closed and nothing of it is out; said once; `this` keeps the pool meanwhile.
                unsafe { class_ended(NonNull::from(class)) };
            }
        }
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    #[test]
    fn a_return_that_misses_the_close_is_noticed_later() {
        let specs = [ClassSpec::new(64, 4)];
        let options = Options {
            strategy: Strategy::Magazines,
            exhausted: Exhausted::Error,
            enabled: true,
            trim: TrimPolicy::default(),
        };
        let core = Core::new(&specs, ClassTable::new(&specs), &[Zeroing::Never], options);
        drop(core.acquire(1).unwrap());
        let slot = core.classes[0].free.take().expect("it is idle");
        let ended = Arc::downgrade(&core);
        Core::close(&core);
        // As a thread does that loaded the way home before the close and gives after it.
        assert_eq!(core.classes[0].free.give(slot), Given::Kept);
        drop(core);
        drop(crate::BufferPool::builder().build());
        assert!(ended.upgrade().is_none(), "the next pool that is made looks again");
    }
}
