//! The memory of a buffer: one aligned allocation with a header in front, and the cursors over it.
//!
//! unsafe: allowed here
//!
//! Owns the allocation, the cursors and the count of who still needs the allocation. Never decides how large it should be,
//! and never grows: whoever wants more allocates a second [`Store`] and moves the unread bytes.
//! Limits: one allocation of at most `isize::MAX` bytes; all of it is initialised (zeroed once, by `calloc` where the
//! allocator is the system's, so that large buffers cost no writes until they are used).
//!
//! ```text
//!  base          data (LINE_BYTES-aligned)                              data + capacity
//!  │ pad │ header │ consumed │ unread            │ tail                 │ guard │
//!                 0          read                write                  capacity
//! ```
//!
//! # Invariants
//!
//! 1. `capacity == 0`: nothing is allocated, `data` dangles (aligned), and all cursors and `guard` are 0.
//!    Otherwise `data` points at `capacity + guard` initialised bytes, [`HEADER_BYTES`] behind a live [`Header`] in the same
//!    allocation, with that allocation's provenance.
//! 2. `rewind <= read <= write <= capacity`.
//! 3. The store holds one unit of `Header::holders`; each slot with a non-zero count that was opened, and each
//!    `SharedFrame`, hold one more. Who takes it from 1 to 0 frees the allocation, and nobody touches it afterwards.
//! 4. `shared == false`: the store is the only holder. `shared == true`: frames may read bytes below `rewind`, and nobody
//!    writes those until `holders` was seen at 1.
//! 5. A slot's count is touched only by the thread on which it was opened until it is back at zero: cutters and frames
//!    that point at it are `!Send`. Slots from `next_slot` on are unused and belong to the store.
//! 6. `Header::base` and `Header::layout` are those of the allocation and never change.

#![allow(unsafe_code)]

use alloc::alloc::{alloc_zeroed, dealloc};
use core::alloc::Layout;
use core::mem::{align_of, offset_of, size_of};
use core::ptr::{self, NonNull};
use core::slice;

#[cfg(not(bolt_tsan))]
use bolt_sync::atomic::fence;
use bolt_sync::atomic::{AtomicUsize, Ordering};
use bolt_sync::cell::Cell;

/// Alignment of a buffer's memory: the cache line of the target, at least 64 bytes.
pub const LINE_BYTES: usize = align_of::<Header>();

/// Batches of frames that may be alive at once in one chunk; the next batch moves the buffer to another chunk.
/// Sixteen counts of 8 bytes fill two lines, and sixteen reads of 1,448 bytes fill more than the smallest chunk.
pub(crate) const SLOT_COUNT: usize = 16;

/// Distance from the header to the data: a multiple of the alignment, so that both are aligned.
pub(crate) const HEADER_BYTES: usize = size_of::<Header>();

/// What the allocator is asked for. Not [`LINE_BYTES`]: `malloc`'s aligned entry is a dozen times slower than its plain one
/// and has no zeroing variant, so the few bytes to the next line are asked for as well.
const BASE_ALIGN: usize = 2 * size_of::<usize>();

const _: () =
    assert!(LINE_BYTES >= 64 && LINE_BYTES >= BASE_ALIGN && HEADER_BYTES.is_multiple_of(LINE_BYTES));

/// How many frames of one batch are alive.
#[repr(C)]
pub(crate) struct Slot {
    count: Cell<u32>,
    /// The slot's place in `Header::slots`, by which the header is found.
    index: u32,
}

/// What stands in front of the data.
#[cfg_attr(target_arch = "s390x", repr(C, align(256)))]
#[cfg_attr(
    any(target_arch = "powerpc64", all(target_arch = "aarch64", target_vendor = "apple")),
    repr(C, align(128))
)]
#[cfg_attr(
    not(any(
        target_arch = "s390x",
        target_arch = "powerpc64",
        all(target_arch = "aarch64", target_vendor = "apple")
    )),
    repr(C, align(64))
)]
pub(crate) struct Header {
    /// Invariant 3.
    holders: AtomicUsize,
    /// Invariant 6.
    base: NonNull<u8>,
    /// Invariant 6.
    layout: Layout,
    /// Stands for the data in the loom models: read by frames, written when the data may be overwritten.
    #[cfg(bolt_loom)]
    witness: bolt_sync::cell::UnsafeCell<()>,
    /// Invariant 5.
    slots: [Slot; SLOT_COUNT],
}

/// An aligned allocation and the cursors over it.
pub(crate) struct Store {
    data: NonNull<u8>,
    capacity: usize,
    read: usize,
    write: usize,
    /// Where `rewind` returns to: the read cursor when room was last made, or a frame last cut.
    rewind: usize,
    guard: usize,
    shared: bool,
    next_slot: u8,
}

// SAFETY: the store owns its allocation (invariant 3) and shares only the atomic `holders` with frames: the bytes that
// frames read are not written (4), the slot counts of another thread are not touched (5).
unsafe impl Send for Store {}
// SAFETY: through `&Store` bytes are only read, and nothing is changed.
unsafe impl Sync for Store {}

impl Store {
    /// A store without memory.
    pub(crate) const fn empty() -> Self {
        Self {
            data: NonNull::<Header>::dangling().cast(),
            capacity: 0,
            read: 0,
            write: 0,
            rewind: 0,
            guard: 0,
            shared: false,
            next_slot: 0,
        }
    }

    /// A store of `capacity` zeroed bytes (at least 1) with `guard` more behind them, or `None` if the allocator refuses or the
    /// size is beyond what an allocation can be.
    pub(crate) fn allocate(capacity: usize, guard: usize) -> Option<Self> {
        debug_assert!(capacity > 0);
        let slack = LINE_BYTES - BASE_ALIGN;
        let bytes = capacity.checked_add(guard)?.checked_add(HEADER_BYTES + slack)?;
        let layout = Layout::from_size_align(bytes, BASE_ALIGN).ok()?;
        // SAFETY: the size is not zero, since it includes the header.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        let pad = base.as_ptr().align_offset(LINE_BYTES);
        assert!(pad <= slack, "the distance between two multiples of BASE_ALIGN");
        // SAFETY: pad <= slack bytes in, HEADER_BYTES are left by the sum above.
        let header = unsafe { base.add(pad) }.cast::<Header>();
        let value = Header {
            holders: AtomicUsize::new(1),
            base,
            layout,
            #[cfg(bolt_loom)]
            witness: bolt_sync::cell::UnsafeCell::new(()),
            slots: core::array::from_fn(|index| Slot { count: Cell::new(0), index: index as u32 }),
        };
        // SAFETY: aligned by `align_offset`, inside the allocation, and nobody else knows it.
        unsafe { header.write(value) };
        // SAFETY: the data follows the header inside the allocation, by the sum above.
        let data = unsafe { header.cast::<u8>().add(HEADER_BYTES) };
        Some(Self { data, capacity, read: 0, write: 0, rewind: 0, guard, shared: false, next_slot: 0 })
    }

    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.write - self.read
    }

    /// Bytes in front of the unread ones.
    #[inline]
    pub(crate) fn consumed(&self) -> usize {
        self.read
    }

    #[inline]
    pub(crate) fn tail_len(&self) -> usize {
        self.capacity - self.write
    }

    #[inline]
    pub(crate) fn unread(&self) -> &[u8] {
        // SAFETY: inside the allocation, initialised (1, 2).
        let start = unsafe { self.data.add(self.read) };
        // SAFETY: `read..write` is initialised memory (1, 2); no frame writes, and `&self` keeps the store from writing.
        unsafe { slice::from_raw_parts(start.as_ptr(), self.write - self.read) }
    }

    /// The unread bytes and the readable ones behind them that belong to nobody: at least `guard`.
    #[inline]
    pub(crate) fn unread_with_guard(&self) -> &[u8] {
        // SAFETY: inside the allocation, initialised (1, 2).
        let start = unsafe { self.data.add(self.read) };
        // SAFETY: all of `read..capacity + guard` is initialised (1); as in `unread`, nobody writes it meanwhile.
        unsafe { slice::from_raw_parts(start.as_ptr(), self.capacity - self.read + self.guard) }
    }

    #[inline]
    pub(crate) fn unread_mut(&mut self) -> &mut [u8] {
        // SAFETY: inside the allocation, initialised (1, 2).
        let start = unsafe { self.data.add(self.read) };
        // SAFETY: initialised (1, 2); frames read only below `rewind <= read` (4), so this is the only access.
        unsafe { slice::from_raw_parts_mut(start.as_ptr(), self.write - self.read) }
    }

    #[inline]
    pub(crate) fn tail_mut(&mut self) -> &mut [u8] {
        // SAFETY: inside the allocation, initialised (1, 2).
        let start = unsafe { self.data.add(self.write) };
        // SAFETY: initialised (1, 2); frames read only below `rewind <= write` (4), so this is the only access.
        unsafe { slice::from_raw_parts_mut(start.as_ptr(), self.capacity - self.write) }
    }

    /// The first `n` bytes of the tail are unread from now on. `false`, and nothing changes, if the tail is shorter.
    #[inline]
    pub(crate) fn commit(&mut self, n: usize) -> bool {
        if n > self.capacity - self.write {
            return false;
        }
        self.write += n;
        true
    }

    /// The first `n` unread bytes are consumed, all of them if there are fewer.
    #[inline]
    pub(crate) fn consume(&mut self, n: usize) {
        self.read += n.min(self.write - self.read);
    }

    /// Only the first `len` unread bytes stay.
    #[inline]
    pub(crate) fn truncate(&mut self, len: usize) {
        self.write -= (self.write - self.read).saturating_sub(len);
    }

    /// What was consumed since room was last made is unread again; says how many bytes that were.
    pub(crate) fn rewind(&mut self) -> usize {
        let n = self.read - self.rewind;
        self.read = self.rewind;
        n
    }

    /// Whether no frame needs this memory any more. One load if frames were cut since it was last so.
    #[inline]
    pub(crate) fn is_exclusive(&mut self) -> bool {
        !self.shared || self.regain()
    }

    #[cold]
    fn regain(&mut self) -> bool {
        // Acquire pairs with the Release in `release`: what frames read and counted is over before this memory is written.
        if self.header().holders.load(Ordering::Acquire) != 1 {
            return false;
        }
        self.witness_write();
        self.shared = false;
        self.next_slot = 0;
        true
    }

    /// Ends the reach of `rewind`, and moves the cursors to the front if nothing is unread and no frame holds the memory.
    /// Moves no byte.
    #[inline]
    pub(crate) fn prepare(&mut self) {
        self.rewind = self.read;
        if self.read == self.write && self.read > 0 && self.is_exclusive() {
            self.read = 0;
            self.write = 0;
            self.rewind = 0;
        }
    }

    /// Moves the unread bytes to the front. `None`, and nothing changes, while a frame holds the memory.
    pub(crate) fn compact(&mut self) -> Option<usize> {
        self.rewind = self.read;
        if !self.is_exclusive() {
            return None;
        }
        let (read, write) = (self.read, self.write);
        // SAFETY: `0..write` is initialised (1, 2) and this store is its only holder (4).
        let used = unsafe { slice::from_raw_parts_mut(self.data.as_ptr(), write) };
        used.copy_within(read..write, 0);
        self.read = 0;
        self.write = write - read;
        self.rewind = 0;
        Some(self.write)
    }

    /// Whether the guard is as it was made: all zero. Always, unless someone wrote through a pointer of their own.
    pub(crate) fn is_guard_intact(&self) -> bool {
        // SAFETY: `data + capacity` is inside the allocation or one past its end (1).
        let start = unsafe { self.data.add(self.capacity) };
        // SAFETY: `guard` initialised bytes follow (1), which nobody writes.
        let guard = unsafe { slice::from_raw_parts(start.as_ptr(), self.guard) };
        guard.iter().all(|byte| *byte == 0)
    }

    /// Whether [`open_slot`](Self::open_slot) would find one.
    pub(crate) fn has_slot(&mut self) -> bool {
        self.capacity > 0 && (self.is_exclusive() || usize::from(self.next_slot) < SLOT_COUNT)
    }

    /// Opens a slot for a batch of frames and counts the cutter in it; `None` when there is no memory or no slot left.
    ///
    /// The slot is opened on the calling thread (invariant 5), and must be closed by [`close_slot`](Self::close_slot) or leak.
    pub(crate) fn open_slot(&mut self) -> Option<NonNull<Slot>> {
        if !self.has_slot() {
            return None;
        }
        let index = usize::from(self.next_slot);
        let offset = HEADER_BYTES - offset_of!(Header, slots) - index * size_of::<Slot>();
        // SAFETY: the header stands HEADER_BYTES in front of the data (1), and `index < SLOT_COUNT`.
        let slot = unsafe { self.data.sub(offset) }.cast::<Slot>();
        // SAFETY: a live slot; shared access only, its count is a Cell that no other thread touches (5).
        unsafe { slot.as_ref() }.count.set(1);
        if self.shared {
            // Relaxed: a new unit made from one that is held; the frames are handed on by other means.
            self.header().holders.fetch_add(1, Ordering::Relaxed);
        } else {
            // The store is the only holder (4), so nobody can change the count under a plain store.
            self.header().holders.store(2, Ordering::Relaxed);
            self.shared = true;
        }
        self.next_slot += 1;
        Some(slot)
    }

    /// Takes the cutter's own count from a slot.
    ///
    /// # Safety
    /// `slot` is the slot most recently opened on this store, on this thread, and the caller's count in it is given up.
    pub(crate) unsafe fn close_slot(&mut self, slot: NonNull<Slot>) {
        // SAFETY: the slot lives as long as the allocation, which this store holds (3).
        let count = unsafe { &slot.as_ref().count };
        count.set(count.get() - 1);
        if count.get() > 0 {
            return;
        }
        // No frame is left in the slot: it is unused again, and its unit of `holders` goes back.
        self.next_slot -= 1;
        let holders = &self.header().holders;
        // Acquire pairs with the Release in `release`, as in `regain`.
        if holders.load(Ordering::Acquire) == 2 {
            // The store's unit and the slot's: both are ours, so nobody can change the count under a plain store.
            holders.store(1, Ordering::Relaxed);
            self.witness_write();
            self.shared = false;
            self.next_slot = 0;
        } else {
            // Never the last unit: the store holds one. Release, for whoever sees 1 next.
            holders.fetch_sub(1, Ordering::Release);
        }
    }

    /// Cuts the first `n` unread bytes off for a frame: they are consumed for good and will not be written while the slot
    /// is open. `None`, and nothing changes, if fewer are unread. The store must be `shared` by an open slot.
    #[inline]
    pub(crate) fn cut(&mut self, n: usize) -> Option<NonNull<u8>> {
        debug_assert!(self.shared);
        if n > self.write - self.read {
            return None;
        }
        // SAFETY: inside the allocation (1, 2).
        let start = unsafe { self.data.add(self.read) };
        self.read += n;
        self.rewind = self.read;
        Some(start)
    }

    /// Counts one more holder that may be on any thread, and shares the memory from now on.
    pub(crate) fn share(&mut self) -> Option<NonNull<Header>> {
        if self.capacity == 0 {
            return None;
        }
        let header = self.header_ptr();
        // SAFETY: the header lives while this store does (1, 3).
        unsafe { add_holder(header) };
        self.shared = true;
        Some(header)
    }

    fn header_ptr(&self) -> NonNull<Header> {
        debug_assert!(self.capacity > 0);
        // SAFETY: the header stands HEADER_BYTES in front of the data (1).
        unsafe { self.data.sub(HEADER_BYTES) }.cast()
    }

    fn header(&self) -> &Header {
        // SAFETY: live while this store holds it (1, 3), and changed only through atomics and cells.
        unsafe { self.header_ptr().as_ref() }
    }

    /// Tells loom that the data may be written from here on.
    #[inline]
    fn witness_write(&self) {
        #[cfg(bolt_loom)]
        self.header().witness.with_mut(|_| ());
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.capacity > 0 {
            debug_assert!(self.is_guard_intact(), "bytes were written behind the capacity of a buffer");
            // SAFETY: this store's unit, which nobody uses after the drop (3).
            unsafe { release(self.header_ptr()) };
        }
    }
}

/// The slot's count of frames.
///
/// # Safety
/// The slot's unit of its chunk is held, and the caller is on the thread that opened it (invariant 5).
#[inline]
pub(crate) unsafe fn slot_count<'a>(slot: NonNull<Slot>) -> &'a Cell<u32> {
    // SAFETY: live, and touched by this thread only, by the contract.
    unsafe { &slot.as_ref().count }
}

/// The header in front of which array a slot stands.
///
/// # Safety
/// The slot's unit of its chunk is held.
#[inline]
pub(crate) unsafe fn header_of(slot: NonNull<Slot>) -> NonNull<Header> {
    // SAFETY: live by the contract; the index never changes.
    let index = unsafe { slot.as_ref().index } as usize;
    let offset = offset_of!(Header, slots) + index * size_of::<Slot>();
    // SAFETY: the slot stands `offset` bytes into its header (5), with the allocation's provenance (1).
    unsafe { slot.cast::<u8>().sub(offset) }.cast()
}

/// Counts one more holder of a chunk.
///
/// # Panics
/// When `isize::MAX` holders exist, which only a program that forgets frames in a loop can reach.
///
/// # Safety
/// The caller holds a unit of the chunk.
pub(crate) unsafe fn add_holder(header: NonNull<Header>) {
    // SAFETY: live by the contract.
    let holders = unsafe { &header.as_ref().holders };
    // Relaxed: a new unit made from one that is held; it travels to another thread by means that synchronise.
    if holders.fetch_add(1, Ordering::Relaxed) > isize::MAX as usize {
        holders.fetch_sub(1, Ordering::Relaxed);
        panic!("more than isize::MAX holders of one buffer chunk");
    }
}

/// Gives up one unit of a chunk, and frees it if that was the last.
///
/// # Safety
/// The caller holds a unit and never uses the chunk through it again.
#[cold]
pub(crate) unsafe fn release(header: NonNull<Header>) {
    // SAFETY: live by the contract.
    let holders = unsafe { &header.as_ref().holders };
    // Release pairs with the Acquire below and in `regain`: whatever this holder did with the bytes comes before.
    if holders.fetch_sub(1, Ordering::Release) != 1 {
        return;
    }
    // Pairs with the Release of every other holder: all of them are done.
    #[cfg(not(bolt_tsan))]
    fence(Ordering::Acquire);
    // ThreadSanitizer does not follow fences; a load from the same atomic orders as much, and it sees that.
    #[cfg(bolt_tsan)]
    holders.load(Ordering::Acquire);
    // SAFETY: the last unit is ours (3): nobody else reads, writes or frees.
    let dead = unsafe { header.as_ref() };
    #[cfg(bolt_loom)]
    dead.witness.with_mut(|_| ());
    let (base, layout) = (dead.base, dead.layout);
    // SAFETY: as above; the header is not used after this, `base` and `layout` are copies.
    unsafe { ptr::drop_in_place(header.as_ptr()) };
    // SAFETY: the allocation that `allocate` made with this very layout (6).
    unsafe { dealloc(base.as_ptr(), layout) };
}

/// Tells loom that a frame reads the data.
///
/// # Safety
/// The caller holds a unit of the chunk.
#[cfg(bolt_loom)]
pub(crate) unsafe fn witness_read(header: NonNull<Header>) {
    // SAFETY: live by the contract.
    unsafe { header.as_ref() }.witness.with(|_| ());
}

#[cfg(feature = "bytes")]
// SAFETY: `chunk_mut` is the tail, whose length never exceeds `remaining_mut`, and `advance_mut` is checked.
unsafe impl bytes::BufMut for crate::BoltBuf {
    /// What the hard maximum leaves; the allocator may refuse earlier, and then `chunk_mut` is empty.
    fn remaining_mut(&self) -> usize {
        self.max_capacity_bytes() - self.len()
    }

    /// # Panics
    /// If `cnt` is more than `chunk_mut` was long.
    unsafe fn advance_mut(&mut self, cnt: usize) {
        if let Err(error) = self.advance(cnt) {
            panic!("advance_mut: {error}");
        }
    }

    fn chunk_mut(&mut self) -> &mut bytes::buf::UninitSlice {
        bytes::buf::UninitSlice::new(self.writable())
    }

    fn put_slice(&mut self, src: &[u8]) {
        if let Err(error) = self.append(src) {
            panic!("put_slice: {error}");
        }
    }
}
