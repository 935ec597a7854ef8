//! Owns: `SlotList`, a bounded lock-free stack of slot indices. Never allocates, never blocks, never touches what
//! the indices stand for. Limits: 2³¹ slots with 64-bit atomics, 2¹⁵ elsewhere; the indices are dense from 0.

use core::fmt;

#[cfg(not(target_has_atomic = "64"))]
use crate::atomic::AtomicU32 as AtomicWord;
#[cfg(target_has_atomic = "64")]
use crate::atomic::AtomicU64 as AtomicWord;
use crate::atomic::{AtomicU32, Ordering};

#[cfg(target_has_atomic = "64")]
type Word = u64;
#[cfg(not(target_has_atomic = "64"))]
type Word = u32;

/// At least half of the word is left to the generation, whatever the capacity.
const CAPACITY_MAX: usize = 1 << (Word::BITS / 2 - 1);

/// The slot was free from the beginning: its successor is the next higher index. Zero, so that a fresh array of links
/// *is* the full list and can be made in a `const`.
const UNTOUCHED: u32 = 0;
/// The slot is out with somebody.
const TAKEN: u32 = 1;
/// Stored links to slot `i` read `i + LINK_BASE`.
const LINK_BASE: u32 = 2;

/// The link of one slot: what `SlotList` needs per slot besides its head.
///
/// Layout: 4 bytes. Opaque; made by [`Link::new`] or `Default`.
#[derive(Debug)]
pub struct Link(AtomicU32);

impl Link {
    /// A link of a slot that is free.
    #[cfg(not(bolt_loom))]
    pub const fn new() -> Self {
        Self(AtomicU32::new(UNTOUCHED))
    }

    /// A link of a slot that is free.
    #[cfg(bolt_loom)]
    pub fn new() -> Self {
        Self(AtomicU32::new(UNTOUCHED))
    }
}

impl Default for Link {
    fn default() -> Self {
        Self::new()
    }
}

/// A bounded lock-free LIFO list of free slot indices, full at first.
///
/// It is generic over where the links live: an array (`SlotList::<[Link; 16]>::array()`, `const`), a boxed slice, a
/// borrowed slice. The list knows indices only; the slots themselves are the caller's.
///
/// **Layout.** One word (index and generation) and 4 bytes a slot. Put it in a
/// [`CachePadded`](crate::CachePadded) if neighbours are written.
///
/// **Cost.** `pop` and `push`: one compare-and-swap each, 9 to 13 ns alone; threads that contend pay for a cache line that
/// travels at each operation, as with any shared list. Put a per-thread cache in front where that matters.
///
/// # Why ABA cannot happen
///
/// `pop` reads the head `(g, a)`, then the link of `a`, then swaps `(g, a)` for `(g, link)`. That is wrong only if between
/// the read and the swap `a` was taken and came back with another link while the head looks the same. To come back, `a`
/// has to be pushed, and every push raises the generation by one; so the head can only look the same after the generation has
/// run through all its values while that one thread stood still. The generation has every bit the index does not need:
/// 54 bits for 1,000 slots, that is 2⁵⁴ pushes at 9 ns ≈ five years of pushing within one preempted `pop`; 32 bits, the
/// least, at 2³¹ slots. On targets with 32-bit atomics only, it is 28 bits at 8 slots and 16 at the least.
/// Pops need not raise it: a head that only pops have changed shows another index.
///
/// # Orderings
///
/// Every write of the head is a read-modify-write, so all of them lie in the release sequence of every earlier push. `push`
/// releases; `pop` acquires, at its first read and at the swap. Hence who pops a slot sees everything its last
/// owner did before pushing it, and the link read in between is the one that push stored.
///
/// ```
/// use bolt_sync::{Link, SlotList};
/// static FREE: SlotList<[Link; 4]> = SlotList::array();
/// let slot = FREE.pop().unwrap();
/// assert_eq!(slot, 0);
/// FREE.push(slot).unwrap();
/// assert!(FREE.push(slot).is_err(), "it is free already");
/// ```
pub struct SlotList<L> {
    /// `generation << index_bits | index`; the index equals the capacity when the list is empty.
    head: AtomicWord,
    links: L,
    capacity: u32,
    /// Bits needed to write `capacity` itself (the end mark), not only the highest index.
    index_bits: u32,
}

impl<const N: usize> SlotList<[Link; N]> {
    /// A list over `N` slots in place. Refused at compile time beyond the limit of this target.
    #[cfg(not(bolt_loom))]
    pub const fn array() -> Self {
        const { assert!(N <= CAPACITY_MAX, "too many slots for one SlotList on this target") }
        Self {
            head: AtomicWord::new(0),
            links: [const { Link::new() }; N],
            capacity: N as u32,
            index_bits: bits_for(N as u32),
        }
    }

    /// A list over `N` slots in place. Refused at compile time beyond the limit of this target.
    #[cfg(bolt_loom)]
    pub fn array() -> Self {
        const { assert!(N <= CAPACITY_MAX, "too many slots for one SlotList on this target") }
        Self {
            head: AtomicWord::new(0),
            links: core::array::from_fn(|_| Link::new()),
            capacity: N as u32,
            index_bits: bits_for(N as u32),
        }
    }
}

impl<L: AsRef<[Link]>> SlotList<L> {
    /// A list over as many slots as `links` has, all free. The links must be new.
    ///
    /// # Errors
    /// [`SlotListError::TooManySlots`] beyond the limit of this target: use several lists.
    pub fn with_links(links: L) -> Result<Self, SlotListError> {
        let slots = links.as_ref().len();
        if slots > CAPACITY_MAX {
            return Err(SlotListError::TooManySlots { slots, slots_max: CAPACITY_MAX });
        }
        let capacity = slots as u32;
        Ok(Self { head: AtomicWord::new(0), links, capacity, index_bits: bits_for(capacity) })
    }

    /// A list of as many slots as `links` has, none of them free: each begins in somebody's hands and comes in by
    /// [`push`](Self::push). The links must be new.
    ///
    /// # Errors
    /// As [`with_links`](Self::with_links).
    ///
    /// ```
    /// use bolt_sync::{Link, SlotList};
    /// let ready = SlotList::all_taken([const { Link::new() }; 2])?;
    /// assert_eq!(ready.pop(), None);
    /// ready.push(1)?;
    /// assert_eq!(ready.pop(), Some(1));
    /// # Ok::<(), bolt_sync::SlotListError>(())
    /// ```
    pub fn all_taken(links: L) -> Result<Self, SlotListError> {
        let list = Self::with_links(links)?;
        for link in list.links.as_ref() {
            // Relaxed: nobody else knows the list yet.
            link.0.store(TAKEN, Ordering::Relaxed);
        }
        // Relaxed: as above. The end mark, generation 0.
        list.head.store(Word::from(list.capacity), Ordering::Relaxed);
        Ok(list)
    }

    /// How many slots there are, free or not.
    pub fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// Whether no slot was free at the moment of the call.
    pub fn is_empty(&self) -> bool {
        // Relaxed: a hint, nothing is read on the strength of it.
        self.index_of(self.head.load(Ordering::Relaxed)) == self.capacity
    }

    /// Takes the slot that was given back last, or `None` when all are out.
    #[inline]
    pub fn pop(&self) -> Option<u32> {
        let links = self.links.as_ref();
        // Acquire: pairs with the Release in `push`, so that the link read below is the one that push stored.
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let index = self.index_of(head);
            // At the end mark the index equals the capacity and there is no such link.
            let link = links.get(index as usize)?;
            // Relaxed: ordered after the Acquire above; a value that is out of date makes the swap below fail.
            let next = match link.0.load(Ordering::Relaxed) {
                UNTOUCHED => index + 1,
                // Another thread took it since; the head has changed, so the swap below cannot succeed.
                TAKEN => self.capacity,
                stored => stored - LINK_BASE,
            };
            let new = (head & !self.index_mask()) | Word::from(next);
            // Acquire on success: pairs with the Release of every earlier push (see "Orderings").
            match self.head.compare_exchange_weak(head, new, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => {
                    // Relaxed: the slot is ours; its next reader is `push` on the way back.
                    link.0.store(TAKEN, Ordering::Relaxed);
                    return Some(index);
                }
                Err(seen) => head = seen,
            }
        }
    }

    /// Gives a slot back. Whatever its owner wrote before is seen by who pops it next.
    ///
    /// # Errors
    /// [`SlotListError::NoSuchSlot`] for an index this list never had, [`SlotListError::NotTaken`] for one that is free already.
    /// Nothing has changed then. Two threads that return the *same* slot at the same moment can both pass: the
    /// check is a guard against mistakes, not a lock.
    #[inline]
    pub fn push(&self, index: u32) -> Result<(), SlotListError> {
        let links = self.links.as_ref();
        let Some(link) = links.get(index as usize).filter(|_| index < self.capacity) else {
            return Err(SlotListError::NoSuchSlot { index, slots: self.capacity });
        };
        // Relaxed: the slot is the caller's; it stored TAKEN itself or got the index from who did.
        if link.0.load(Ordering::Relaxed) != TAKEN {
            return Err(SlotListError::NotTaken { index });
        }
        // Relaxed: only the generation and the index to put back matter here, and the swap checks both.
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // Relaxed: published by the Release below.
            link.0.store(self.index_of(head) + LINK_BASE, Ordering::Relaxed);
            let generation = (head >> self.index_bits).wrapping_add(1);
            let new = (generation << self.index_bits) | Word::from(index);
            // Release: pairs with the Acquire in `pop`; publishes the link and all the owner did to the slot.
            match self.head.compare_exchange_weak(head, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(seen) => head = seen,
            }
        }
    }

    #[inline(always)]
    fn index_mask(&self) -> Word {
        (1 << self.index_bits) - 1
    }

    #[inline(always)]
    fn index_of(&self, word: Word) -> u32 {
        (word & self.index_mask()) as u32
    }
}

impl<L> fmt::Debug for SlotList<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotList").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

/// Bits that hold every number from 0 to `capacity`.
const fn bits_for(capacity: u32) -> u32 {
    u32::BITS - capacity.leading_zeros()
}

/// Why a slot was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlotListError {
    /// More slots than one word can number here.
    TooManySlots {
        /// Slots asked for.
        slots: usize,
        /// Most slots of one list on this target.
        slots_max: usize,
    },
    /// The index was never one of this list's.
    NoSuchSlot {
        /// The index given.
        index: u32,
        /// Slots of the list; valid indices are below it.
        slots: u32,
    },
    /// The slot is free already: it was returned twice, or never taken.
    NotTaken {
        /// The index given.
        index: u32,
    },
}

impl fmt::Display for SlotListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooManySlots { slots, slots_max } => {
                write!(
                    f,
                    "{slots} slots do not fit one list, whose limit here is {slots_max}; use several lists"
                )
            }
            Self::NoSuchSlot { index, slots } => {
                write!(f, "slot {index} does not exist; this list has slots 0 to {}", i64::from(slots) - 1)
            }
            Self::NotTaken { index } => {
                write!(f, "slot {index} is free already; return each slot once, by whoever took it")
            }
        }
    }
}

impl core::error::Error for SlotListError {}
