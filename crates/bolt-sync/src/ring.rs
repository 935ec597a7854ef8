//! Owns: the ring between one producer and one consumer, in place or on the heap. Never blocks, never grows, and allocates
//! nothing after it was made; a side of a ring of 256 slots or more that has caught up with the other may let it run for 32 spin hints. Limits: one producer and one consumer at a time, a power of two of slots, at most half of the address
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
    let capacity = producer.mask + 1;
    (
        Producer(Half::new(producer, tail, head.wrapping_add(capacity))),
        Consumer(Half::new(consumer, head, tail)),
    )
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

    /// Asks the processor for the cache line of a slot, to write to it or to read it, without waiting for it. Nothing but on x86-64.
    #[inline(always)]
    #[allow(unused_variables)]
    fn ask<const WRITE: bool>(&self, position: usize) {
        #[cfg(all(target_arch = "x86_64", not(miri), not(bolt_loom)))]
        {
            let line = self.slots.addr().get() + (position & self.mask) * size_of::<Slot<T>>();
            // The first with an operand that no intrinsic of the baseline gives; x86-64 processors that lack it take it for a `nop`.
            if WRITE {
                // SAFETY: a hint; it changes no memory, no register and no flag, and faults nowhere.
                unsafe {
                    core::arch::asm!("prefetchw [{}]", in(reg) line, options(nomem, nostack, preserves_flags));
                };
            } else {
                // SAFETY: as above.
                unsafe {
                    core::arch::asm!("prefetcht0 [{}]", in(reg) line, options(nomem, nostack, preserves_flags));
                };
            }
        }
    }

    fn leave(&self, side: usize) {
        // Release pairs with the Acquire of `split` and of `is_closed`; a read-modify-write, so that it also stays in the release
        // sequence of the other half's.
        self.shared().sides.fetch_and(!side, Ordering::Release);
    }
}

/// A look that finds fewer slots than this has caught up with the other side: eight cache lines of words.
const FEW: usize = 64;

/// The fewest slots of a ring in which two sides can run that far apart.
const CAPACITY_APART: usize = 4 * FEW;

/// How long a side that has caught up lets the other run: two moves of a cache line between cores, 100 ns to 1 µs by processor.
const HINTS: u32 = 32;

/// A wait pays if the other side came this much further: it then is faster than the two are on each other's heels.
const PAID: usize = 16;

/// Most chances to wait that are let go by after waits in vain: then waiting costs less than 0.2 ns for each look.
const UNTRIED_MAX: u16 = 4095;

/// How far ahead a cache line is asked for: the store buffer alone reaches three or four lines ahead; 4 and 16 were slower.
const LINES_AHEAD: usize = 8;

/// Whether to wait when a look found few slots.
///
/// Two sides on each other's heels move two cache lines for every value, and each look takes them from the other in the middle of its
/// work. One that waits for a moment finds dozens of values instead. But if the other side has no more to do, it waits for nothing: so a
/// wait in vain is not repeated at once, but after twice as many chances each time.
#[derive(Clone, Copy, Default)]
struct Patience {
    /// Chances that were let go by after the last wait: none if it paid.
    untried_last: u16,
    /// Chances still to let go by.
    untried: u16,
}

impl Patience {
    fn waits(&mut self) -> bool {
        let waits = self.untried == 0;
        self.untried = self.untried.saturating_sub(1);
        waits
    }

    fn learn(&mut self, paid: bool) {
        self.untried_last = if paid { 0 } else { (self.untried_last * 2 + 1).min(UNTRIED_MAX) };
        self.untried = self.untried_last;
    }
}

/// What the two halves have in common: a side of the ring, where it is and how far it may go.
struct Half<'r, T> {
    place: Place<'r, T>,
    /// Equals this side's shared index between calls.
    at: usize,
    /// The slots at `at..until` are this side's (2): as far as the other side had come when it was last looked at, hence never too far.
    until: usize,
    patience: Patience,
}

impl<'r, T> Half<'r, T> {
    fn new(place: Place<'r, T>, at: usize, until: usize) -> Self {
        Self { place, at, until, patience: Patience::default() }
    }

    fn capacity(&self) -> usize {
        self.place.mask + 1
    }

    /// Slots from `at` on that are known to be this side's.
    #[inline(always)]
    fn seen(&self) -> usize {
        self.until.wrapping_sub(self.at)
    }

    /// As many of `wanted` slots as are this side's; looks at the other side, with `look`, only if what was seen last is not enough.
    #[inline(always)]
    fn reach(&mut self, wanted: usize, look: impl Fn(&Place<'r, T>) -> usize) -> usize {
        if self.seen() < wanted {
            self.until = look(&self.place);
            if self.seen().wrapping_sub(1) < FEW - 1 && self.capacity() >= CAPACITY_APART {
                self.wait(look);
            }
        }
        self.seen().min(wanted)
    }

    /// Asks for the cache lines that this side will reach after `count` more slots and [`LINES_AHEAD`], if they are known to be its own.
    #[inline(always)]
    fn ask_ahead<const WRITE: bool>(&self, count: usize) {
        let ahead = LINES_AHEAD * Self::SLOTS_A_LINE;
        if Self::SLOTS_A_LINE == 0 || self.seen() <= ahead + count {
            return;
        }
        // The first slot from here on whose position is a multiple, so that each line is asked for about once.
        let mut next = self.at.wrapping_add(Self::SLOTS_A_LINE - 1) & !(Self::SLOTS_A_LINE - 1);
        while next.wrapping_sub(self.at) < count {
            self.place.ask::<WRITE>(next.wrapping_add(ahead));
            next = next.wrapping_add(Self::SLOTS_A_LINE);
        }
    }

    /// Slots that share a cache line, rounded down to a power of two; none for values that have lines of their own.
    const SLOTS_A_LINE: usize = {
        let slots = if size_of::<T>() == 0 { 0 } else { 64 / size_of::<T>() };
        if slots == 0 { 0 } else { 1 << slots.ilog2() }
    };

    /// Lets the other side run for a moment, if that has paid lately, and looks again.
    #[cold]
    #[inline(never)]
    fn wait(&mut self, look: impl Fn(&Place<'r, T>) -> usize) {
        if self.patience.waits() {
            let first = self.seen();
            for _ in 0..HINTS {
                crate::hint::spin_loop();
            }
            self.until = look(&self.place);
            self.patience.learn(self.seen() - first >= PAID);
        }
    }
}

/// The half that puts values in. One at a time for each ring; it may move between threads.
///
/// Layout: eight words. Dropping it closes the ring for the consumer, who still gets what is inside.
pub struct Producer<'r, T>(Half<'r, T>);

// SAFETY: a half is the only one of its side (5), so moving it moves that side; the values behind it may be sent.
unsafe impl<T: Send> Send for Producer<'_, T> {}

impl<T> Producer<'_, T> {
    /// How many values fit between the halves.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Room for how many values there is at least; the consumer may be making more.
    #[inline]
    pub fn free(&mut self) -> usize {
        self.0.until = Self::look(&self.0.place);
        self.0.seen()
    }

    /// How far the consumer lets this side go.
    #[inline(always)]
    fn look(place: &Place<'_, T>) -> usize {
        // Acquire pairs with the Release of the consumer's publication: its reads of these slots are over.
        place.shared().head.load(Ordering::Acquire).wrapping_add(place.mask + 1)
    }

    /// Room for up to `wanted` values.
    #[inline(always)]
    fn room(&mut self, wanted: usize) -> usize {
        self.0.reach(wanted, Self::look)
    }

    /// True once the consumer is gone: what is pushed now nobody takes, unless a [`Ring`] is split again.
    pub fn is_closed(&self) -> bool {
        self.0.place.shared().sides.load(Ordering::Acquire) & CONSUMER == 0
    }

    /// Puts one value in.
    ///
    /// Cost: one write, one release store; an acquire load of the other side's line when the ring looks full. In a ring of 256 slots or
    /// more that load may come twice, 32 spin hints apart, while the consumer is at work and close ahead.
    ///
    /// # Errors
    /// [`Full`] with the value: the consumer has fallen behind by the whole capacity.
    #[inline]
    pub fn push(&mut self, value: T) -> Result<(), Full<T>> {
        if self.room(1) == 0 {
            return Err(Full(value));
        }
        self.write(self.0.at, value);
        self.0.ask_ahead::<true>(1);
        self.publish(self.0.at.wrapping_add(1));
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
        let first = self.0.place.before_wrap(self.0.at, count);
        self.write_slice(self.0.at, &values[..first]);
        self.write_slice(self.0.at.wrapping_add(first), &values[first..count]);
        self.0.ask_ahead::<true>(count);
        self.publish(self.0.at.wrapping_add(count));
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
        let start = self.0.at;
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
        self.0.place.slot(position).with_mut(|slot| unsafe { slot.cast::<T>().write(value) });
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
            debug_assert!(self.0.place.before_wrap(position, values.len()) == values.len());
            // SAFETY: a masked position is below the number of slots, by 4; one past the end is none when `values` is empty.
            let first = unsafe { self.0.place.slots.add(position & self.0.place.mask) };
            // SAFETY: as in `write`, for each slot; a slot has the layout of `T`, and a borrowed slice is not part of the ring.
            unsafe { ptr::copy_nonoverlapping(values.as_ptr(), first.as_ptr().cast::<T>(), values.len()) };
        }
    }

    #[inline(always)]
    fn publish(&mut self, tail: usize) {
        self.0.at = tail;
        // Release pairs with the consumer's Acquire: the values are written before it sees them.
        self.0.place.shared().tail.store(tail, Ordering::Release);
    }
}

impl<T> Drop for Producer<'_, T> {
    fn drop(&mut self) {
        self.0.place.leave(PRODUCER);
    }
}

impl<T> fmt::Debug for Producer<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}

/// The half that takes values out, first in first out. One at a time for each ring; it may move between threads.
///
/// Layout: eight words. Dropping it closes the ring for the producer; what is inside is dropped with the ring.
pub struct Consumer<'r, T>(Half<'r, T>);

// SAFETY: as for `Producer`.
unsafe impl<T: Send> Send for Consumer<'_, T> {}

impl<T> Consumer<'_, T> {
    /// How many values fit between the halves.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// How many values are there at least; the producer may be adding more.
    #[inline]
    pub fn len(&mut self) -> usize {
        self.0.until = Self::look(&self.0.place);
        self.0.seen()
    }

    /// True if nothing was there when it looked.
    #[inline]
    pub fn is_empty(&mut self) -> bool {
        self.len() == 0
    }

    /// How far the producer has come.
    #[inline(always)]
    fn look(place: &Place<'_, T>) -> usize {
        // Acquire pairs with the Release of the producer's publication: the values up to there are written.
        place.shared().tail.load(Ordering::Acquire)
    }

    /// Up to `wanted` values.
    #[inline(always)]
    fn ready(&mut self, wanted: usize) -> usize {
        self.0.reach(wanted, Self::look)
    }

    /// True once the producer is gone. A `pop` that finds nothing *after* this said so will never find anything again, unless a
    /// [`Ring`] is split again.
    pub fn is_closed(&self) -> bool {
        // Acquire pairs with the Release in the producer's drop: everything it published is visible to the next `len`.
        self.0.place.shared().sides.load(Ordering::Acquire) & PRODUCER == 0
    }

    /// Takes the oldest value.
    ///
    /// Cost: one read, one release store; an acquire load of the other side's line when the ring looks empty. An empty ring says so at
    /// once; in a ring of 256 slots or more a producer that is at work and close ahead may be let run for 32 spin hints.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        if self.ready(1) == 0 {
            return None;
        }
        let value = self.read(self.0.at);
        self.0.ask_ahead::<false>(1);
        self.publish(self.0.at.wrapping_add(1));
        Some(value)
    }

    /// A copy of the oldest value, which stays. Cost: as `pop`, without the store.
    #[inline]
    pub fn peek(&mut self) -> Option<T>
    where
        T: Copy,
    {
        (self.ready(1) != 0).then(|| self.read(self.0.at))
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
        let first = self.0.place.before_wrap(self.0.at, count);
        let (before, after) = out[..count].split_at_mut(first);
        self.read_slice(self.0.at, before);
        self.read_slice(self.0.at.wrapping_add(first), after);
        self.0.ask_ahead::<false>(count);
        self.publish(self.0.at.wrapping_add(count));
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
        let mut batch = Batch { head: self.0.at, consumer: self };
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
        let first = self.0.place.before_wrap(self.0.at, count);
        // SAFETY: a masked position is below the number of slots, by 4.
        let from_head = unsafe { self.0.place.slots.add(self.0.at & self.0.place.mask) };
        // SAFETY: by 2 these slots hold values of the layout of `T` and are this consumer's until it publishes, which takes `&mut`.
        let one = unsafe { core::slice::from_raw_parts(from_head.as_ptr().cast::<T>(), first) };
        // SAFETY: as above, for those that wrapped.
        let two =
            unsafe { core::slice::from_raw_parts(self.0.place.slots.as_ptr().cast::<T>(), count - first) };
        (one, two)
    }

    /// Drops up to `count` of the oldest values, and returns how many.
    pub fn skip(&mut self, count: usize) -> usize {
        self.pop_each(count, drop)
    }

    /// Only for positions in `at..until`, each once unless `T` is `Copy`: it moves the value out.
    #[inline(always)]
    fn read(&self, position: usize) -> T {
        // SAFETY: by 2 and 5 the slots in `head..tail` hold values and are this consumer's alone; each is read once, since the head
        // moves past it before anybody reads again, or is `Copy`.
        self.0.place.slot(position).with(|slot| unsafe { slot.cast::<T>().read() })
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
            debug_assert!(self.0.place.before_wrap(position, out.len()) == out.len());
            // SAFETY: a masked position is below the number of slots, by 4.
            let first = unsafe { self.0.place.slots.add(position & self.0.place.mask) };
            // SAFETY: as in `read`, for each slot; a borrowed slice is not part of the ring.
            unsafe { ptr::copy_nonoverlapping(first.as_ptr().cast::<T>(), out.as_mut_ptr(), out.len()) };
        }
    }

    #[inline(always)]
    fn publish(&mut self, head: usize) {
        self.0.at = head;
        // Release pairs with the producer's Acquire: the reads are over before it writes into these slots.
        self.0.place.shared().head.store(head, Ordering::Release);
    }
}

impl<T> Drop for Consumer<'_, T> {
    fn drop(&mut self) {
        self.0.place.leave(CONSUMER);
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

#[cfg(all(test, not(bolt_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_wait_in_vain_is_not_repeated_at_once_and_one_that_paid_is() {
        let mut patience = Patience::default();
        let (mut waited_at, mut waits) = ([0; 15], 0);
        for chance in 0..20_000 {
            if patience.waits() {
                waited_at[waits] = chance;
                waits += 1;
                patience.learn(false);
            }
        }
        assert_eq!(waited_at[..6], [0, 2, 6, 14, 30, 62], "twice as long each time");
        assert!(waited_at.windows(2).all(|pair| pair[1] - pair[0] <= i32::from(UNTRIED_MAX) + 1));
        assert_eq!(waits, waited_at.len(), "and then one in 4,096");
        while !patience.waits() {}
        patience.learn(true);
        assert!(patience.waits(), "it paid");
    }
}
