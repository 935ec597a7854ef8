//! The memory of a buffer: one aligned allocation with a header in front, owned by one [`Slot`] at a time.
//!
//! unsafe: allowed here
//!
//! Owns every allocation of the crate that a frame's bytes lie in, and the way a buffer goes home. Never decides how
//! many blocks there are, and knows nothing of frames on the wire.
//! Limits: one allocation of at most `isize::MAX` bytes, all of it initialised (zeroed once, by `calloc` where the allocator is
//! the system's, so that a large block costs no writes until it is used).
//!
//! ```text
//!  base     block (64-byte aligned)                 data (64-byte aligned)          data + capacity
//!  │ pad    │ header: class, holders, capacity …    │ payload … │ older bytes       │
//! ```
//!
//! # Invariants
//!
//! 1. A [`Slot`], a [`PooledBuffer`] and the last of a family of [`SharedFrame`]s each *own* their block: no two owners of one
//!    block exist, and the owner is what frees it or passes it on.
//! 2. `block` points at a live [`Block`] with, from [`HEADER_BYTES`] on, `capacity` initialised bytes in the same allocation and
//!    with that allocation's provenance. `base` and `layout` are those of the allocation.
//! 3. While a block is in a `PooledBuffer` or a `SharedFrame`, the class it points to is alive: the pool frees its classes only
//!    when no buffer is out (shelf.rs, "How a pool ends"), and a plain block keeps its pool by an `Arc` of its own. A plain
//!    block points to the class behind the last one, which has no magazines.
//! 4. `holders` counts the `SharedFrame`s of a block. It is 1 or more while there are any, and means nothing otherwise. Who
//!    takes it to 0 owns the block (1).
//! 5. While `SharedFrame`s exist, the payload is only read. `start + len <= capacity` in each.

#![allow(unsafe_code)]

use alloc::alloc::{alloc_zeroed, dealloc};
use alloc::sync::Arc;
use core::alloc::Layout;
use core::mem::{ManuallyDrop, align_of, size_of};
use core::ops::{Deref, DerefMut, Range};
use core::ptr::NonNull;
use core::{fmt, slice};

use bolt_sync::atomic::{AtomicUsize, Ordering};

use crate::shelf::{self, Class, Core, Way};

/// Alignment of a buffer's first byte.
pub const BUFFER_ALIGN: usize = align_of::<Block>();

/// Distance from the header to the payload.
const HEADER_BYTES: usize = size_of::<Block>();

/// What the allocator is asked for. Not [`BUFFER_ALIGN`]: `malloc`'s aligned entry is a dozen times slower than its plain one
/// and has no zeroing variant, so the few bytes to the next line are asked for as well.
const BASE_ALIGN: usize = 2 * size_of::<usize>();

/// The place of a block that no list keeps.
const PLAIN: u32 = u32::MAX;

const _: () = assert!(BUFFER_ALIGN >= 64 && HEADER_BYTES.is_multiple_of(BUFFER_ALIGN));

/// What stands in front of the payload.
#[repr(C, align(64))]
pub(crate) struct Block {
    /// Invariant 3.
    class: NonNull<Class>,
    /// Invariant 4.
    holders: AtomicUsize,
    /// Invariant 2.
    capacity: usize,
    /// The block's number in its class, or [`PLAIN`].
    place: u32,
    /// Invariant 2.
    base: NonNull<u8>,
    /// Invariant 2.
    layout: Layout,
    /// Keeps the pool of a plain block (3).
    pool: Option<Arc<Core>>,
    /// Stands for the payload in the loom models: read by `deref`, written by `deref_mut`.
    #[cfg(bolt_loom)]
    witness: bolt_sync::cell::UnsafeCell<()>,
}

/// A free block and the right to it. Dropping it frees the memory and tells nobody.
pub(crate) struct Slot(
    /// Invariants 1 and 2.
    NonNull<Block>,
);

// SAFETY: a slot owns its block (1); nothing in it belongs to a thread.
unsafe impl Send for Slot {}

impl Slot {
    /// A block of `capacity` zeroed bytes that belongs to `class`, or `None` if the allocator refuses.
    ///
    /// `pool` is given for a plain block only; `place` numbers a kept one.
    pub(crate) fn allocate(
        capacity: usize,
        class: NonNull<Class>,
        place: u32,
        pool: Option<Arc<Core>>,
    ) -> Option<Self> {
        let size = capacity.checked_add(HEADER_BYTES + BUFFER_ALIGN - BASE_ALIGN)?;
        let layout = Layout::from_size_align(size, BASE_ALIGN).ok()?;
        // SAFETY: the size is not 0, since a header is part of it.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        let pad = base.align_offset(BUFFER_ALIGN);
        // SAFETY: `pad <= BUFFER_ALIGN - BASE_ALIGN`, since `base` is aligned to BASE_ALIGN; header and payload fit behind it.
        let block: NonNull<Block> = unsafe { base.add(pad) }.cast();
        let header = Block {
            class,
            holders: AtomicUsize::new(0),
            capacity,
            place,
            base,
            layout,
            pool,
            #[cfg(bolt_loom)]
            witness: bolt_sync::cell::UnsafeCell::new(()),
        };
        // SAFETY: aligned, inside the allocation, and nobody else knows it.
        unsafe { block.write(header) };
        Some(Self(block))
    }

    #[inline(always)]
    fn block(&self) -> &Block {
        // SAFETY: live (2); the slot owns it (1), so nobody changes it but through atomics.
        unsafe { self.0.as_ref() }
    }

    /// Where the block goes home (3).
    pub(crate) fn class(&self) -> NonNull<Class> {
        self.block().class
    }

    /// Whether no list keeps this block.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        self.block().place == PLAIN
    }

    /// Bytes of payload.
    pub(crate) fn capacity(&self) -> usize {
        self.block().capacity
    }

    /// The number that `allocate` was given.
    #[inline(always)]
    pub(crate) fn place(&self) -> u32 {
        self.block().place
    }

    /// The block as a bare pointer, for a list that keeps pointers by number. [`from_raw`](Self::from_raw) takes it back.
    pub(crate) fn into_raw(self) -> *mut Block {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// # Safety
    /// `raw` came from [`into_raw`](Self::into_raw), and each such pointer is taken back once before the next `into_raw`.
    #[inline(always)]
    pub(crate) unsafe fn from_raw(raw: NonNull<Block>) -> Self {
        Self(raw)
    }

    /// Takes the pool out of a plain block.
    pub(crate) fn take_pool(&mut self) -> Option<Arc<Core>> {
        // SAFETY: live (2), and this slot is its only owner (1).
        unsafe { self.0.as_mut() }.pool.take()
    }

    /// Writes zeros over the payload.
    #[cold]
    pub(crate) fn zero(&mut self) {
        let capacity = self.block().capacity;
        // SAFETY: the payload begins behind the header (2).
        let data = unsafe { self.0.cast::<u8>().add(HEADER_BYTES) };
        // SAFETY: `capacity` bytes that this slot alone owns (1, 2).
        unsafe { data.write_bytes(0, capacity) };
    }

    /// The block as a buffer of `len` bytes.
    ///
    /// # Safety
    /// `way` is that of the block's class, or nowhere; `len` is at most the capacity; and the class stays alive as invariant 3 says: the caller
    /// has counted this buffer as out.
    #[inline(always)]
    pub(crate) unsafe fn into_buffer(self, way: Way, len: usize) -> PooledBuffer {
        debug_assert!(len <= self.block().capacity);
        PooledBuffer { block: ManuallyDrop::new(self).0, way, len }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let base = self.block().base;
        let layout = self.block().layout;
        // SAFETY: live (2), owned (1), not used again.
        unsafe { self.0.drop_in_place() };
        // SAFETY: base and layout are the allocation's (2), and its owner ends here (1).
        unsafe { dealloc(base.as_ptr(), layout) };
    }
}

/// A buffer that goes back to its pool when it is dropped: at the end of a scope, in a panic, on another thread.
///
/// **Layout.** Three words: where the block is, where it goes home, and how long the payload is. The first byte is 64-byte aligned.
/// **Contents.** It derefs to `len` bytes. They are never cleared unless the class says so
/// ([`Zeroing`](crate::Zeroing)): a fresh buffer shows what its last user left, never uninitialised memory.
/// **Cost.** Taking and giving back together 2 ns with the default strategy; no allocation once the pool is warm.
///
/// ```
/// use bolt_tlv::BufferPool;
/// let pool = BufferPool::builder().with_size_class(128, 16).build();
/// let mut buffer = pool.acquire(84)?;
/// buffer.fill(7);
/// assert_eq!((buffer.len(), buffer.capacity()), (84, 128));
/// drop(buffer);
/// assert_eq!(pool.stats().in_use(), 0);
/// # Ok::<(), bolt_tlv::AcquireError>(())
/// ```
#[must_use = "a buffer that is dropped at once was taken for nothing"]
pub struct PooledBuffer {
    /// Invariants 1, 2 and 3.
    block: NonNull<Block>,
    /// The way into the magazines of the block's class, or nowhere: on the way home nothing has to wait for the block to be read.
    way: Way,
    /// At most the capacity.
    len: usize,
}

// SAFETY: the buffer owns its block (1); going home is thread-safe.
unsafe impl Send for PooledBuffer {}
// SAFETY: through a shared reference the payload is only read.
unsafe impl Sync for PooledBuffer {}

impl PooledBuffer {
    #[inline(always)]
    fn header(&self) -> &Block {
        // SAFETY: live (2).
        unsafe { self.block.as_ref() }
    }

    /// The class the buffer belongs to, as a mere address.
    #[cfg(feature = "std")]
    #[inline]
    pub(crate) fn class(&self) -> NonNull<Class> {
        self.header().class
    }

    /// Bytes of the class: how long the buffer can be made.
    #[inline]
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.header().capacity
    }

    /// Makes the buffer `len` bytes long. Bytes that come into view are what earlier users left there.
    ///
    /// # Errors
    /// `len` is above the capacity; nothing was changed. The error holds the capacity.
    #[inline]
    pub fn set_len(&mut self, len: usize) -> Result<(), usize> {
        let capacity = self.capacity();
        if len > capacity {
            return Err(capacity);
        }
        self.len = len;
        Ok(())
    }

    /// Shortens the buffer to `len` bytes; does nothing if it is shorter.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Whether the buffer was a plain allocation, made because its class had none left.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.header().place == PLAIN
    }

    /// The same bytes as a frame that many can hold; the count lies in the block, so this allocates nothing.
    #[inline]
    pub fn share(self) -> SharedFrame {
        let buffer = ManuallyDrop::new(self);
        // Relaxed: this thread alone knows the block (1); whoever sends the frame to another thread orders that.
        buffer.header().holders.store(1, Ordering::Relaxed);
        SharedFrame { block: buffer.block, start: 0, len: buffer.len }
    }

    /// The same bytes behind a [`bytes::Bytes`]; the buffer goes home when the last clone is dropped.
    ///
    /// Cost: one allocation of about 40 bytes, which `Bytes` makes for any owner that is not its own. [`share`](Self::share)
    /// makes none.
    #[cfg(feature = "bytes")]
    #[must_use]
    pub fn freeze(self) -> bytes::Bytes {
        bytes::Bytes::from_owner(self)
    }
}

impl Deref for PooledBuffer {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        #[cfg(bolt_loom)]
        self.header().witness.with(|_| ());
        // SAFETY: the payload begins behind the header, in the same allocation (2).
        let data = unsafe { self.block.cast::<u8>().add(HEADER_BYTES) };
        // SAFETY: `len <= capacity` initialised bytes (2), and nobody writes them while `self` is borrowed (1).
        unsafe { slice::from_raw_parts(data.as_ptr(), self.len) }
    }
}

impl DerefMut for PooledBuffer {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [u8] {
        #[cfg(bolt_loom)]
        self.header().witness.with_mut(|_| ());
        // SAFETY: the payload begins behind the header, in the same allocation (2).
        let data = unsafe { self.block.cast::<u8>().add(HEADER_BYTES) };
        // SAFETY: `len <= capacity` initialised bytes (2) that this buffer alone owns (1).
        unsafe { slice::from_raw_parts_mut(data.as_ptr(), self.len) }
    }
}

impl Drop for PooledBuffer {
    #[inline(always)]
    fn drop(&mut self) {
        let slot = Slot(self.block);
        // SAFETY: the buffer's ownership passes to the slot (1), the buffer is not used again, and its class is alive (3).
        unsafe { shelf::give_back(slot, self.way) };
    }
}

/// A read-only frame that many can hold, on many threads. The count lies in the buffer's own block.
///
/// **Layout.** Three words. **Cost.** Cloning and dropping are one atomic operation each (the last drop of a frame that was never
/// cloned is a plain load); no allocation, ever.
///
/// ```
/// use bolt_tlv::BufferPool;
/// let pool = BufferPool::builder().with_size_class(128, 16).build();
/// let mut buffer = pool.acquire(4)?;
/// buffer.copy_from_slice(b"tick");
/// let frame = buffer.share();
/// let other = frame.clone();
/// assert_eq!(std::thread::spawn(move || other.len()).join().unwrap(), 4);
/// assert_eq!(frame.slice(0..2).unwrap(), b"ti");
/// # Ok::<(), bolt_tlv::AcquireError>(())
/// ```
pub struct SharedFrame {
    /// Invariants 2, 3 and 4.
    block: NonNull<Block>,
    /// Invariant 5.
    start: usize,
    len: usize,
}

// SAFETY: the payload is only read (5), and the count is atomic (4).
unsafe impl Send for SharedFrame {}
// SAFETY: as for Send; a shared reference only reads, or clones by an atomic increment.
unsafe impl Sync for SharedFrame {}

impl SharedFrame {
    #[inline(always)]
    fn header(&self) -> &Block {
        // SAFETY: live (2) while this frame is counted (4).
        unsafe { self.block.as_ref() }
    }

    /// A part of the frame as a frame of its own; `None` if the range is not inside it.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Option<Self> {
        if range.start > range.end || range.end > self.len {
            return None;
        }
        let mut part = self.clone();
        part.start += range.start;
        part.len = range.end - range.start;
        Some(part)
    }

    /// The buffer again, with its whole payload writable, if this is the only frame of it; otherwise the frame.
    ///
    /// # Errors
    /// Others hold the frame too; it is given back.
    pub fn try_into_buffer(self) -> Result<PooledBuffer, Self> {
        // Acquire: pairs with the Release in `drop`; all that other holders read is done.
        if self.start != 0 || self.header().holders.load(Ordering::Acquire) != 1 {
            return Err(self);
        }
        let frame = ManuallyDrop::new(self);
        // SAFETY: the block is in a frame.
        let way = unsafe { shelf::way_home(frame.header().class) };
        Ok(PooledBuffer { block: frame.block, way, len: frame.len })
    }

    /// The same bytes behind a [`bytes::Bytes`]. Cost: one allocation of about 48 bytes, made by `Bytes`.
    #[cfg(feature = "bytes")]
    #[must_use]
    pub fn freeze(self) -> bytes::Bytes {
        bytes::Bytes::from_owner(self)
    }

    /// This frame was the last: the block goes home.
    #[cold]
    #[inline(never)]
    fn last(&self) {
        // SAFETY: the block is in this frame.
        let way = unsafe { shelf::way_home(self.header().class) };
        // SAFETY: nobody else holds the frame, so this one owns the block (4, 1), whose class is alive (3); it is being dropped.
        unsafe { shelf::give_back(Slot(self.block), way) };
    }
}

impl Clone for SharedFrame {
    #[inline]
    fn clone(&self) -> Self {
        // Relaxed: this frame is counted, so the count cannot reach 0 meanwhile; nothing is read on the strength of it.
        let before = self.header().holders.fetch_add(1, Ordering::Relaxed);
        // More frames than this do not fit memory: only forgetting them in a loop gets here, and a wrapped count would free a
        // buffer in use.
        assert!(before <= isize::MAX as usize, "fewer than 2⁶³ frames of one buffer");
        Self { block: self.block, start: self.start, len: self.len }
    }
}

impl Drop for SharedFrame {
    #[inline]
    fn drop(&mut self) {
        let holders = &self.header().holders;
        // Acquire: pairs with the Release below; one holder alone needs no read-modify-write to leave.
        if holders.load(Ordering::Acquire) == 1 {
            self.last();
            return;
        }
        // Release: what this holder read comes before the next use of the block; pairs with the Acquire fence below.
        if holders.fetch_sub(1, Ordering::Release) == 1 {
            // Acquire: pairs with the Release of every other holder's decrement. A load where a fence would do, since
            // ThreadSanitizer follows no fences.
            holders.load(Ordering::Acquire);
            self.last();
        }
    }
}

impl Deref for SharedFrame {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        #[cfg(bolt_loom)]
        self.header().witness.with(|_| ());
        // SAFETY: `start <= capacity` (5), so this stays inside the allocation (2).
        let data = unsafe { self.block.cast::<u8>().add(HEADER_BYTES + self.start) };
        // SAFETY: initialised (2), inside the payload and only read while frames exist (5).
        unsafe { slice::from_raw_parts(data.as_ptr(), self.len) }
    }
}

macro_rules! bytes_traits {
    ($($type:ty),*) => {$(
        impl AsRef<[u8]> for $type {
            #[inline]
            fn as_ref(&self) -> &[u8] {
                self
            }
        }

        impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for $type {
            fn eq(&self, other: &T) -> bool {
                **self == *other.as_ref()
            }
        }

        impl Eq for $type {}

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}(b\"{}\")", stringify!($type), self.escape_ascii())
            }
        }
    )*};
}

bytes_traits!(PooledBuffer, SharedFrame);

impl AsMut<[u8]> for PooledBuffer {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}
