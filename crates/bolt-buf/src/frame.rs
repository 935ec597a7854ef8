//! Owned frames: parts of a buffer's memory that outlive it, counted once per batch instead of once per frame.
//!
//! unsafe: allowed here
//!
//! Owns the counts of frames. Never copies bytes and never writes them. Limits: 16 batches may be alive in one chunk of
//! memory, and 2³² − 2 frames in one batch.
//!
//! ```text
//!  BoltBuf ──1──┐
//!               ├─▶ holders (atomic, in the chunk) ──0──▶ freed, or the buffer alone: reused in place
//!  batch ───1───┤       ▲
//!    ▲ ▲ ▲      │       └─1── SharedFrame (any thread)
//!    │ │ └ Frame│ count (plain, in the chunk, one thread)
//!    │ └── Frame
//!    └──── FrameCutter
//! ```
//!
//! # Invariants
//!
//! 1. A `Frame` and a `FrameCutter` each hold one count of an open slot of the chunk (chunk.rs 3, 5), and stay on the thread
//!    that opened it: `NonNull` makes them `!Send` and `!Sync`.
//! 2. `data..data + len` are initialised bytes of that chunk below its `rewind` cursor, so nobody writes them while the
//!    slot or the `SharedFrame`'s own unit is held (chunk.rs 4).
//! 3. A `SharedFrame` holds one unit of `holders` itself.

#![allow(unsafe_code)]

use core::fmt;
use core::ops::{Deref, Range};
use core::ptr::NonNull;
use core::slice;

use crate::chunk::{self, Header, Slot, Store};
use crate::error::RangeError;

/// Cuts frames off the front of a buffer; made by [`BoltBuf::frames`](crate::BoltBuf::frames).
///
/// One cutter makes one batch: opening it costs at most one atomic read-modify-write, the last frame of the batch one, and each
/// frame a plain increment and decrement. It borrows the buffer, so the next read comes when the batch is cut.
pub struct FrameCutter<'a> {
    store: &'a mut Store,
    slot: NonNull<Slot>,
}

impl<'a> FrameCutter<'a> {
    /// `None` if the store has no memory or no slot.
    pub(crate) fn open(store: &'a mut Store) -> Option<Self> {
        let slot = store.open_slot()?;
        Some(Self { store, slot })
    }

    /// The bytes that are not cut yet.
    #[inline]
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.store.unread()
    }

    /// Consumes `n` bytes without making a frame of them, such as a length that was read; all of them if there are fewer.
    #[inline]
    pub fn skip(&mut self, n: usize) {
        self.store.consume(n);
    }

    /// The first `n` unread bytes as a frame.
    ///
    /// Cost: a plain increment here, a plain decrement when it is dropped. No copy, no atomic, no allocation.
    ///
    /// # Errors
    /// Fewer than `n` bytes are unread; nothing was changed. Read more first.
    ///
    /// # Panics
    /// When 2³² − 1 frames of this batch exist, which only a program that forgets frames in a loop can reach.
    #[inline]
    pub fn cut(&mut self, n: usize) -> Result<Frame, RangeError> {
        let available = self.store.len();
        let Some(data) = self.store.cut(n) else {
            return Err(RangeError { end: n, available });
        };
        // SAFETY: this cutter holds a count of the slot on this thread (1).
        unsafe { add_count(self.slot) };
        Ok(Frame { data, len: n, slot: self.slot })
    }
}

impl Drop for FrameCutter<'_> {
    fn drop(&mut self) {
        // SAFETY: opened last on this store, which was borrowed since; on this thread (1); the cutter ends here.
        unsafe { self.store.close_slot(self.slot) };
    }
}

impl fmt::Debug for FrameCutter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameCutter").field("unread", &self.store.len()).finish_non_exhaustive()
    }
}

/// Bytes of a buffer's memory that nobody moves or overwrites while the frame lives, whatever becomes of the buffer.
///
/// Three words. Stays on its thread (not `Send`): its batch is counted without atomics. [`into_shared`](Self::into_shared)
/// makes it travel. Cost: cloning and dropping are a plain increment and decrement; the last drop of a batch is one atomic
/// operation, and frees the memory if the buffer has let go of it.
///
/// A frame keeps its whole chunk (16 KiB and up) alive: copy what is small and kept for long.
pub struct Frame {
    /// Invariant 2.
    data: NonNull<u8>,
    len: usize,
    /// Invariant 1.
    slot: NonNull<Slot>,
}

impl Frame {
    /// A part of this frame as a frame of its own.
    ///
    /// # Errors
    /// The range is not inside the frame, or its start lies behind its end.
    pub fn slice(&self, range: Range<usize>) -> Result<Self, RangeError> {
        let data = part(self.data, self.len, &range)?;
        // SAFETY: this frame holds a count of the slot on this thread (1).
        unsafe { add_count(self.slot) };
        Ok(Self { data, len: range.end - range.start, slot: self.slot })
    }

    /// The same bytes as a frame that may go to other threads. Cost: one atomic increment, no copy.
    #[must_use]
    pub fn into_shared(self) -> SharedFrame {
        // SAFETY: this frame holds a count of the slot (1), which holds a unit of the chunk.
        let header = unsafe { chunk::header_of(self.slot) };
        // SAFETY: as above; the unit is kept until `self` drops at the end of this call.
        unsafe { chunk::add_holder(header) };
        SharedFrame { data: self.data, len: self.len, header }
    }
}

impl Clone for Frame {
    #[inline]
    fn clone(&self) -> Self {
        // SAFETY: this frame holds a count of the slot on this thread (1).
        unsafe { add_count(self.slot) };
        Self { data: self.data, len: self.len, slot: self.slot }
    }
}

impl Drop for Frame {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this frame holds a count of the slot on this thread (1).
        let count = unsafe { chunk::slot_count(self.slot) };
        let left = count.get() - 1;
        count.set(left);
        if left == 0 {
            end_batch(self.slot);
        }
    }
}

/// The last count of a slot is gone, and with it the slot's unit of the chunk.
#[cold]
fn end_batch(slot: NonNull<Slot>) {
    // SAFETY: the slot's unit is held until the next statement.
    let header = unsafe { chunk::header_of(slot) };
    // SAFETY: no cutter and no frame of this slot is left, so nobody uses this unit again (1).
    unsafe { chunk::release(header) };
}

impl Deref for Frame {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        #[cfg(bolt_loom)]
        {
            // SAFETY: the slot's unit is held (1).
            let header = unsafe { chunk::header_of(self.slot) };
            // SAFETY: as above.
            unsafe { chunk::witness_read(header) };
        }
        // SAFETY: initialised, not written while this frame lives (2).
        unsafe { slice::from_raw_parts(self.data.as_ptr(), self.len) }
    }
}

/// A [`Frame`] that may go to other threads: one atomic operation to make, to clone and to drop.
///
/// Three words. With the feature `bytes` it turns into a `Bytes` without a copy.
pub struct SharedFrame {
    /// Invariant 2.
    data: NonNull<u8>,
    len: usize,
    /// Invariant 3.
    header: NonNull<Header>,
}

// SAFETY: the bytes are only read (2), and the unit of the chunk is counted atomically (3).
unsafe impl Send for SharedFrame {}
// SAFETY: as for Send; a shared reference only reads, or clones by an atomic increment.
unsafe impl Sync for SharedFrame {}

impl SharedFrame {
    /// `None` if fewer than `n` bytes are unread.
    pub(crate) fn take(store: &mut Store, n: usize) -> Option<Self> {
        if n > store.len() {
            return None;
        }
        let header = store.share()?;
        // The store is shared now, so what is cut off stays as it is until this unit is given back.
        store.cut(n).map(|data| Self { data, len: n, header })
    }

    /// A part of this frame as a frame of its own. Cost: one atomic increment.
    ///
    /// # Errors
    /// The range is not inside the frame, or its start lies behind its end.
    pub fn slice(&self, range: Range<usize>) -> Result<Self, RangeError> {
        let data = part(self.data, self.len, &range)?;
        // SAFETY: this frame holds a unit (3).
        unsafe { chunk::add_holder(self.header) };
        Ok(Self { data, len: range.end - range.start, header: self.header })
    }
}

impl Clone for SharedFrame {
    fn clone(&self) -> Self {
        // SAFETY: this frame holds a unit (3).
        unsafe { chunk::add_holder(self.header) };
        Self { data: self.data, len: self.len, header: self.header }
    }
}

impl Drop for SharedFrame {
    fn drop(&mut self) {
        // SAFETY: this frame's own unit, not used again (3).
        unsafe { chunk::release(self.header) };
    }
}

impl Deref for SharedFrame {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        #[cfg(bolt_loom)]
        // SAFETY: this frame holds a unit (3).
        unsafe {
            chunk::witness_read(self.header);
        }
        // SAFETY: initialised, not written while this frame lives (2).
        unsafe { slice::from_raw_parts(self.data.as_ptr(), self.len) }
    }
}

/// Counts one more frame in a slot.
///
/// # Safety
/// The caller holds a count of the slot, on the thread that opened it.
#[inline]
unsafe fn add_count(slot: NonNull<Slot>) {
    // SAFETY: by the contract.
    let count = unsafe { chunk::slot_count(slot) };
    count.set(count.get().checked_add(1).expect("fewer than 2³² frames of one batch"));
}

/// Where the part of a frame begins.
fn part(data: NonNull<u8>, len: usize, range: &Range<usize>) -> Result<NonNull<u8>, RangeError> {
    if range.start > range.end || range.end > len {
        return Err(RangeError { end: range.end.max(range.start), available: len });
    }
    // SAFETY: `start <= end <= len`, inside the frame's bytes.
    Ok(unsafe { data.add(range.start) })
}

macro_rules! frame_traits {
    ($($frame:ty),*) => {$(
        impl AsRef<[u8]> for $frame {
            #[inline]
            fn as_ref(&self) -> &[u8] {
                self
            }
        }

        impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for $frame {
            fn eq(&self, other: &T) -> bool {
                **self == *other.as_ref()
            }
        }

        impl Eq for $frame {}

        impl fmt::Debug for $frame {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}(b\"{}\")", stringify!($frame), self.escape_ascii())
            }
        }
    )*};
}

frame_traits!(Frame, SharedFrame);

#[cfg(feature = "bytes")]
impl From<SharedFrame> for bytes::Bytes {
    /// The same memory behind a `Bytes`. Cost: one small allocation, which `Bytes` needs for its owner.
    fn from(frame: SharedFrame) -> Self {
        Self::from_owner(frame)
    }
}
