//! Owns: the ring between one producer and one consumer, in place or on the heap. Never blocks, never spins, never grows, and allocates
//! nothing after it was made. Limits: one producer and one consumer at a time, a power of two of slots, at most half of the address
//! space.
//!
//! unsafe: allowed here

use core::fmt;
use core::marker::PhantomData;
use core::mem::{self, MaybeUninit};
use core::ptr::{self, NonNull};

use crate::CachePadded;
use crate::atomic::{AtomicUsize, Ordering};
use crate::cell::UnsafeCell;
#[cfg(feature = "alloc")]
use crate::heap::{Arc, Box, Vec};

type Slot<T> = UnsafeCell<MaybeUninit<T>>;

/// Bits of `Shared::sides`: which halves are out.
const PRODUCER: usize = 1;
const CONSUMER: usize = 2;

/// What both halves read, each word on a cache line of its own.
///
/// # Invariants
///
/// 1. `tail - head` (wrapping) is at most the number of slots; a slot is at `position & mask`.
/// 2. The slots at `head..tail` hold values and belong to the consumer; all others are empty and belong to the producer.
/// 3. `tail` is written by the one producer only, `head` by the one consumer only; `sides` says whether each is out.
struct Shared {
    tail: CachePadded<AtomicUsize>,
    head: CachePadded<AtomicUsize>,
    sides: CachePadded<AtomicUsize>,
}

impl Shared {
    #[cfg(not(bolt_loom))]
    const fn new(sides: usize) -> Self {
        Self {
            tail: CachePadded::new(AtomicUsize::new(0)),
            head: CachePadded::new(AtomicUsize::new(0)),
            sides: CachePadded::new(AtomicUsize::new(sides)),
        }
    }

    #[cfg(bolt_loom)]
    fn new(sides: usize) -> Self {
        Self {
            tail: CachePadded::new(AtomicUsize::new(0)),
            head: CachePadded::new(AtomicUsize::new(0)),
            sides: CachePadded::new(AtomicUsize::new(sides)),
        }
    }

    /// Drops what is in `slots`; for the owner of both, when neither half is out.
    fn drop_values<T>(&self, slots: &[Slot<T>]) {
        if !mem::needs_drop::<T>() {
            return;
        }
        // Relaxed: whoever may drop the ring was handed it by both halves, and their last stores with it.
        let (mut head, tail) = (self.head.load(Ordering::Relaxed), self.tail.load(Ordering::Relaxed));
        while head != tail {
            // SAFETY: by 2 the slot holds a value; should its destructor panic, the loop ends and the rest leaks.
            slots[head & (slots.len() - 1)].with_mut(|slot| unsafe { ptr::drop_in_place(slot.cast::<T>()) });
            head = head.wrapping_add(1);
        }
    }
}

/// A ring of `N` slots in place: in a `static`, on the stack, inside another value.
///
/// **Layout.** Three padded words, then `N` slots of `T`. `N` is a power of two; anything else does not compile.
/// **Cost.** Making it writes three words; the slots are not touched.
///
/// ```
/// use bolt_sync::ring::Ring;
///
/// static RING: Ring<u64, 8> = Ring::new();
/// let (mut producer, mut consumer) = RING.split()?;
/// std::thread::scope(|scope| {
///     scope.spawn(move || assert_eq!(producer.push_slice(&[1, 2, 3]), 3));
///     let mut sum = 0;
///     while sum < 6 {
///         sum += consumer.pop().unwrap_or(0);
///     }
/// });
/// # Ok::<(), bolt_sync::ring::RingError>(())
/// ```
pub struct Ring<T, const N: usize> {
    shared: Shared,
    slots: [Slot<T>; N],
}

// SAFETY: the halves give each value from one thread to the other, which `T: Send` allows; by 2 no slot is reached by both at once.
unsafe impl<T: Send, const N: usize> Sync for Ring<T, N> {}

impl<T, const N: usize> Ring<T, N> {
    /// An empty ring.
    #[cfg(not(bolt_loom))]
    pub const fn new() -> Self {
        const { assert!(N.is_power_of_two(), "a ring has a power of two of slots") }
        Self { shared: Shared::new(0), slots: [const { Slot::<T>::new(MaybeUninit::uninit()) }; N] }
    }

    /// An empty ring.
    #[cfg(bolt_loom)]
    pub fn new() -> Self {
        const { assert!(N.is_power_of_two(), "a ring has a power of two of slots") }
        Self {
            shared: Shared::new(0),
            slots: core::array::from_fn(|_| Slot::<T>::new(MaybeUninit::uninit())),
        }
    }

    /// The two halves. They may be dropped and taken anew; what was left inside is still there then.
    ///
    /// # Errors
    /// [`RingError::AlreadySplit`] while a half is out: wait until both were dropped.
    pub fn split(&self) -> Result<(Producer<'_, T>, Consumer<'_, T>), RingError> {
        // Acquire pairs with the Release of each half's drop: the next owner sees the indices and the values of the last.
        self.shared
            .sides
            .compare_exchange(0, PRODUCER | CONSUMER, Ordering::Acquire, Ordering::Relaxed)
            .map_err(|_| RingError::AlreadySplit)?;
        let place = || Place {
            shared: NonNull::from(&self.shared),
            slots: NonNull::from(&self.slots).cast(),
            mask: N - 1,
            keeper: Keeper::Borrowed,
            of: PhantomData,
        };
        Ok(halves(place(), place()))
    }
}

impl<T, const N: usize> Default for Ring<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const N: usize> Drop for Ring<T, N> {
    fn drop(&mut self) {
        self.shared.drop_values(&self.slots);
    }
}

impl<T, const N: usize> fmt::Debug for Ring<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("capacity", &N).finish_non_exhaustive()
    }
}

/// A ring on the heap, freed by the last of its two halves.
#[cfg(feature = "alloc")]
struct HeapRing<T> {
    shared: Shared,
    slots: Box<[Slot<T>]>,
}

#[cfg(feature = "alloc")]
// SAFETY: as for `Ring`.
unsafe impl<T: Send> Sync for HeapRing<T> {}
#[cfg(feature = "alloc")]
// SAFETY: it owns its slots, and the values in them may be sent.
unsafe impl<T: Send> Send for HeapRing<T> {}

#[cfg(feature = "alloc")]
impl<T> Drop for HeapRing<T> {
    fn drop(&mut self) {
        self.shared.drop_values(&self.slots);
    }
}

/// A ring on the heap of at least `capacity` slots (the next power of two), as its two halves.
///
/// Cost: two allocations, freed when both halves are gone, with whatever values are left inside.
///
/// # Errors
/// [`RingError::ZeroCapacity`], [`RingError::TooLarge`], and [`RingError::OutOfMemory`] when the allocator refuses.
///
/// ```
/// let (mut producer, mut consumer) = bolt_sync::ring::with_capacity(2)?;
/// assert!(producer.push('a').is_ok() && producer.push('b').is_ok());
/// assert_eq!(producer.push('c').unwrap_err().into_inner(), 'c', "full: the value comes back");
/// assert_eq!(consumer.pop(), Some('a'));
/// # Ok::<(), bolt_sync::ring::RingError>(())
/// ```
#[cfg(feature = "alloc")]
pub fn with_capacity<T>(capacity: usize) -> Result<(Producer<'static, T>, Consumer<'static, T>), RingError> {
    if capacity == 0 {
        return Err(RingError::ZeroCapacity);
    }
    let slot_bytes = size_of::<T>().max(1);
    let slot_count = capacity
        .checked_next_power_of_two()
        .filter(|count| count.checked_mul(slot_bytes).is_some_and(|bytes| bytes <= isize::MAX as usize))
        .ok_or(RingError::TooLarge { requested: capacity })?;
    let mut slots = Vec::new();
    slots.try_reserve_exact(slot_count).map_err(|_| RingError::OutOfMemory { requested: slot_count })?;
    slots.extend((0..slot_count).map(|_| Slot::<T>::new(MaybeUninit::uninit())));
    let ring =
        Arc::new(HeapRing { shared: Shared::new(PRODUCER | CONSUMER), slots: slots.into_boxed_slice() });
    let place = |ring: Arc<HeapRing<T>>| Place {
        shared: NonNull::from(&ring.shared),
        slots: NonNull::from(&*ring.slots).cast(),
        mask: slot_count - 1,
        keeper: Keeper::Shared(ring),
        of: PhantomData,
    };
    Ok(halves(place(ring.clone()), place(ring)))
}

/// Two places of one ring, whose indices are equal to what the last halves left behind.
fn halves<'r, T>(producer: Place<'r, T>, consumer: Place<'r, T>) -> (Producer<'r, T>, Consumer<'r, T>) {
    // Relaxed: `split` has acquired, or the ring is new.
    let tail = producer.shared().tail.load(Ordering::Relaxed);
    let head = producer.shared().head.load(Ordering::Relaxed);
    (Producer { place: producer, tail, head_seen: head }, Consumer { place: consumer, head, tail_seen: tail })
}

/// What keeps the ring behind a `Place` alive.
enum Keeper<T> {
    /// The lifetime `'r` of the half does.
    Borrowed,
    /// This count does.
    #[cfg(feature = "alloc")]
    Shared(#[allow(dead_code)] Arc<HeapRing<T>>),
    /// Uses `T` where there is no heap.
    #[cfg(not(feature = "alloc"))]
    #[allow(dead_code)]
    Never(PhantomData<T>, core::convert::Infallible),
}

/// Where a half finds the ring.
///
/// # Invariants
///
/// 4. `shared` and the `mask + 1` slots from `slots` on live as long as `keeper` or `'r`, and never move.
/// 5. Of one ring there are at most two places at once, one in a `Producer` and one in a `Consumer`.
struct Place<'r, T> {
    shared: NonNull<Shared>,
    slots: NonNull<Slot<T>>,
    mask: usize,
    /// Held, not read.
    #[allow(dead_code)]
    keeper: Keeper<T>,
    /// Invariant in `T`: a half that takes values must not be coerced to one that takes shorter-lived ones.
    of: PhantomData<(&'r (), *mut T)>,
}

impl<T> Place<'_, T> {
    #[inline(always)]
    fn shared(&self) -> &Shared {
        // SAFETY: by 4 it is alive; it is only ever shared.
        unsafe { self.shared.as_ref() }
    }

    #[inline(always)]
    fn slot(&self, position: usize) -> &Slot<T> {
        // SAFETY: a masked position is below the number of slots, by 4.
        let slot = unsafe { self.slots.add(position & self.mask) };
        // SAFETY: by 4 it is alive; the cell is only ever shared.
        unsafe { slot.as_ref() }
    }

    /// How many of `count` slots from `position` on come before the end of the slots.
    #[inline(always)]
    fn before_wrap(&self, position: usize, count: usize) -> usize {
        count.min(self.mask + 1 - (position & self.mask))
    }

    fn leave(&self, side: usize) {
        // Release pairs with the Acquire of `split` and of `is_closed`; a read-modify-write, so that it also stays in the release
        // sequence of the other half's.
        self.shared().sides.fetch_and(!side, Ordering::Release);
    }
}

/// The half that puts values in. One at a time for each ring; it may move between threads.
///
/// Layout: seven words. Dropping it closes the ring for the consumer, who still gets what is inside.
pub struct Producer<'r, T> {
    place: Place<'r, T>,
    /// Equals the shared tail between calls.
    tail: usize,
    /// The head as last read: never ahead of the shared one, so there is at least as much room as it says.
    head_seen: usize,
}

// SAFETY: a half is the only one of its side (5), so moving it moves that side; the values behind it may be sent.
unsafe impl<T: Send> Send for Producer<'_, T> {}

impl<T> Producer<'_, T> {
    /// How many values fit between the halves.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.place.mask + 1
    }

    /// Room for how many values there is at least; the consumer may be making more.
    #[inline]
    pub fn free(&mut self) -> usize {
        // Acquire pairs with the Release of the consumer's publication: its reads of these slots are over.
        self.head_seen = self.place.shared().head.load(Ordering::Acquire);
        self.free_seen()
    }

    #[inline(always)]
    fn free_seen(&self) -> usize {
        self.capacity() - self.tail.wrapping_sub(self.head_seen)
    }

    /// Room for up to `wanted` values; looks at the other side only when what it saw last is not enough.
    #[inline(always)]
    fn room(&mut self, wanted: usize) -> usize {
        let free = self.free_seen();
        if free >= wanted { wanted } else { self.free().min(wanted) }
    }

    /// True once the consumer is gone: what is pushed now nobody takes, unless a [`Ring`] is split again.
    pub fn is_closed(&self) -> bool {
        self.place.shared().sides.load(Ordering::Acquire) & CONSUMER == 0
    }

    /// Puts one value in.
    ///
    /// Cost: one write, one release store; an acquire load of the other side's line when the ring looks full.
    ///
    /// # Errors
    /// [`Full`] with the value: the consumer has fallen behind by the whole capacity.
    #[inline]
    pub fn push(&mut self, value: T) -> Result<(), Full<T>> {
        if self.room(1) == 0 {
            return Err(Full(value));
        }
        self.write(self.tail, value);
        self.publish(self.tail.wrapping_add(1));
        Ok(())
    }

    /// Puts in as many of `values` as fit, from the front, and returns how many. Cost: a copy and one release store.
    #[inline]
    pub fn push_slice(&mut self, values: &[T]) -> usize
    where
        T: Copy,
    {
        let count = self.room(values.len());
        if count == 0 {
            return 0; // whoever polls does not write to the line the other side reads
        }
        let first = self.place.before_wrap(self.tail, count);
        self.write_slice(self.tail, &values[..first]);
        self.write_slice(self.tail.wrapping_add(first), &values[first..count]);
        self.publish(self.tail.wrapping_add(count));
        count
    }

    /// Puts in values until the iterator ends or the ring is full, and returns how many. Takes no value that does not fit.
    ///
    /// They become visible together, at the end; should the iterator panic, those before it still do.
    pub fn push_iter(&mut self, values: impl IntoIterator<Item = T>) -> usize {
        /// Publishes on every way out.
        struct Batch<'a, 'r, T> {
            producer: &'a mut Producer<'r, T>,
            tail: usize,
        }
        impl<T> Drop for Batch<'_, '_, T> {
            fn drop(&mut self) {
                self.producer.publish(self.tail);
            }
        }
        let start = self.tail;
        let room = self.free();
        let mut batch = Batch { tail: start, producer: self };
        for value in values.into_iter().take(room) {
            batch.producer.write(batch.tail, value);
            batch.tail = batch.tail.wrapping_add(1);
        }
        batch.tail.wrapping_sub(start)
    }

    /// Only for positions from `tail` on for which there is room.
    #[inline(always)]
    fn write(&self, position: usize, value: T) {
        // SAFETY: by 2 and 5 the slots outside `head..tail` are this producer's alone, and this is one: `room` saw the head.
        self.place.slot(position).with_mut(|slot| unsafe { slot.cast::<T>().write(value) });
    }

    /// As `write` for several, none beyond the last slot.
    #[inline(always)]
    fn write_slice(&self, position: usize, values: &[T])
    where
        T: Copy,
    {
        #[cfg(bolt_loom)]
        for (i, value) in values.iter().enumerate() {
            self.write(position.wrapping_add(i), *value);
        }
        #[cfg(not(bolt_loom))]
        {
            debug_assert!(self.place.before_wrap(position, values.len()) == values.len());
            // SAFETY: a masked position is below the number of slots, by 4; one past the end is none when `values` is empty.
            let first = unsafe { self.place.slots.add(position & self.place.mask) };
            // SAFETY: as in `write`, for each slot; a slot has the layout of `T`, and a borrowed slice is not part of the ring.
            unsafe { ptr::copy_nonoverlapping(values.as_ptr(), first.as_ptr().cast::<T>(), values.len()) };
        }
    }

    #[inline(always)]
    fn publish(&mut self, tail: usize) {
        self.tail = tail;
        // Release pairs with the consumer's Acquire: the values are written before it sees them.
        self.place.shared().tail.store(tail, Ordering::Release);
    }
}

impl<T> Drop for Producer<'_, T> {
    fn drop(&mut self) {
        self.place.leave(PRODUCER);
    }
}

impl<T> fmt::Debug for Producer<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}

/// The half that takes values out, first in first out. One at a time for each ring; it may move between threads.
///
/// Layout: seven words. Dropping it closes the ring for the producer; what is inside is dropped with the ring.
pub struct Consumer<'r, T> {
    place: Place<'r, T>,
    /// Equals the shared head between calls.
    head: usize,
    /// The tail as last read: never ahead of the shared one, so at least that many values are there.
    tail_seen: usize,
}

// SAFETY: as for `Producer`.
unsafe impl<T: Send> Send for Consumer<'_, T> {}

impl<T> Consumer<'_, T> {
    /// How many values fit between the halves.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.place.mask + 1
    }

    /// How many values are there at least; the producer may be adding more.
    #[inline]
    pub fn len(&mut self) -> usize {
        // Acquire pairs with the Release of the producer's publication: the values up to there are written.
        self.tail_seen = self.place.shared().tail.load(Ordering::Acquire);
        self.len_seen()
    }

    /// True if nothing was there when it looked.
    #[inline]
    pub fn is_empty(&mut self) -> bool {
        self.len() == 0
    }

    #[inline(always)]
    fn len_seen(&self) -> usize {
        self.tail_seen.wrapping_sub(self.head)
    }

    /// Up to `wanted` values; looks at the other side only when what it saw last is not enough.
    #[inline(always)]
    fn ready(&mut self, wanted: usize) -> usize {
        let len = self.len_seen();
        if len >= wanted { wanted } else { self.len().min(wanted) }
    }

    /// True once the producer is gone. A `pop` that finds nothing *after* this said so will never find anything again, unless a
    /// [`Ring`] is split again.
    pub fn is_closed(&self) -> bool {
        // Acquire pairs with the Release in the producer's drop: everything it published is visible to the next `len`.
        self.place.shared().sides.load(Ordering::Acquire) & PRODUCER == 0
    }

    /// Takes the oldest value.
    ///
    /// Cost: one read, one release store; an acquire load of the other side's line when the ring looks empty.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        if self.ready(1) == 0 {
            return None;
        }
        let value = self.read(self.head);
        self.publish(self.head.wrapping_add(1));
        Some(value)
    }

    /// A copy of the oldest value, which stays. Cost: as `pop`, without the store.
    #[inline]
    pub fn peek(&mut self) -> Option<T>
    where
        T: Copy,
    {
        (self.ready(1) != 0).then(|| self.read(self.head))
    }

    /// Fills `out` from the front with the oldest values and returns how many there were. Cost: a copy and one release store.
    #[inline]
    pub fn pop_slice(&mut self, out: &mut [T]) -> usize
    where
        T: Copy,
    {
        let count = self.ready(out.len());
        if count == 0 {
            return 0; // whoever polls does not write to the line the other side reads
        }
        let first = self.place.before_wrap(self.head, count);
        let (before, after) = out[..count].split_at_mut(first);
        self.read_slice(self.head, before);
        self.read_slice(self.head.wrapping_add(first), after);
        self.publish(self.head.wrapping_add(count));
        count
    }

    /// Hands up to `max` of the oldest values to `take`, and returns how many.
    ///
    /// Their slots become free together, at the end; should `take` panic, those it was given are gone and the others stay.
    pub fn pop_each(&mut self, max: usize, mut take: impl FnMut(T)) -> usize {
        /// Publishes on every way out.
        struct Batch<'a, 'r, T> {
            consumer: &'a mut Consumer<'r, T>,
            head: usize,
        }
        impl<T> Drop for Batch<'_, '_, T> {
            fn drop(&mut self) {
                self.consumer.publish(self.head);
            }
        }
        let count = self.ready(max);
        if count == 0 {
            return 0;
        }
        let mut batch = Batch { head: self.head, consumer: self };
        for _ in 0..count {
            let value = batch.consumer.read(batch.head);
            batch.head = batch.head.wrapping_add(1);
            take(value);
        }
        count
    }

    /// All values that are there, in place and in order: those up to the end of the slots, then those from their beginning.
    ///
    /// Nothing is taken; [`skip`](Self::skip) does. Not in a build with `--cfg bolt_loom`, which cannot watch slices.
    #[cfg(not(bolt_loom))]
    pub fn as_slices(&mut self) -> (&[T], &[T]) {
        let count = self.len();
        let first = self.place.before_wrap(self.head, count);
        // SAFETY: a masked position is below the number of slots, by 4.
        let from_head = unsafe { self.place.slots.add(self.head & self.place.mask) };
        // SAFETY: by 2 these slots hold values of the layout of `T` and are this consumer's until it publishes, which takes `&mut`.
        let one = unsafe { core::slice::from_raw_parts(from_head.as_ptr().cast::<T>(), first) };
        // SAFETY: as above, for those that wrapped.
        let two =
            unsafe { core::slice::from_raw_parts(self.place.slots.as_ptr().cast::<T>(), count - first) };
        (one, two)
    }

    /// Drops up to `count` of the oldest values, and returns how many.
    pub fn skip(&mut self, count: usize) -> usize {
        self.pop_each(count, drop)
    }

    /// Only for positions in `head..tail_seen`, each once unless `T` is `Copy`: it moves the value out.
    #[inline(always)]
    fn read(&self, position: usize) -> T {
        // SAFETY: by 2 and 5 the slots in `head..tail` hold values and are this consumer's alone; each is read once, since the head
        // moves past it before anybody reads again, or is `Copy`.
        self.place.slot(position).with(|slot| unsafe { slot.cast::<T>().read() })
    }

    /// As `read` for several, none beyond the last slot.
    #[inline(always)]
    fn read_slice(&self, position: usize, out: &mut [T])
    where
        T: Copy,
    {
        #[cfg(bolt_loom)]
        for (i, out) in out.iter_mut().enumerate() {
            *out = self.read(position.wrapping_add(i));
        }
        #[cfg(not(bolt_loom))]
        {
            debug_assert!(self.place.before_wrap(position, out.len()) == out.len());
            // SAFETY: a masked position is below the number of slots, by 4.
            let first = unsafe { self.place.slots.add(position & self.place.mask) };
            // SAFETY: as in `read`, for each slot; a borrowed slice is not part of the ring.
            unsafe { ptr::copy_nonoverlapping(first.as_ptr().cast::<T>(), out.as_mut_ptr(), out.len()) };
        }
    }

    #[inline(always)]
    fn publish(&mut self, head: usize) {
        self.head = head;
        // Release pairs with the producer's Acquire: the reads are over before it writes into these slots.
        self.place.shared().head.store(head, Ordering::Release);
    }
}

impl<T> Drop for Consumer<'_, T> {
    fn drop(&mut self) {
        self.place.leave(CONSUMER);
    }
}

impl<T> fmt::Debug for Consumer<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}

/// The ring was full; the value that did not fit is inside.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Full<T>(pub T);

impl<T> Full<T> {
    /// The value that did not fit.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Full(..)")
    }
}

impl<T> fmt::Display for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ring is full; the consumer has to take something first")
    }
}

impl<T> core::error::Error for Full<T> {}

/// Why a ring could not be made or split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RingError {
    /// A ring has at least one slot.
    ZeroCapacity,
    /// The slots would not fit into the address space.
    TooLarge {
        /// Slots asked for.
        requested: usize,
    },
    /// The allocator refused.
    OutOfMemory {
        /// Slots it was asked for.
        requested: usize,
    },
    /// A half of this ring is still out.
    AlreadySplit,
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroCapacity => f.write_str("a ring of no slots holds nothing; ask for at least 1"),
            Self::TooLarge { requested } => {
                write!(f, "a ring of {requested} slots exceeds the address space; ask for fewer")
            }
            Self::OutOfMemory { requested } => write!(f, "no memory for a ring of {requested} slots"),
            Self::AlreadySplit => {
                f.write_str("this ring is split already; drop its producer and its consumer first")
            }
        }
    }
}

impl core::error::Error for RingError {}
