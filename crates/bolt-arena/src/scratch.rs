//! Owns: `ScratchBuffer`, a fixed aligned stack of values in place. Never touches the heap, never moves a value.
//! Limits: `N` values. unsafe: allowed here

use core::fmt;
use core::mem::MaybeUninit;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use crate::error::AllocError;
use crate::raw::fill;

/// `N` slots at a 64-byte boundary, none of them known to be initialised. Not a size: a line of cache on all targets we know
/// is 64 bytes or a divisor or double of it.
#[repr(C, align(64))]
pub(crate) struct Slots<T, const N: usize>([MaybeUninit<T>; N]);

impl<T, const N: usize> Slots<T, N> {
    pub(crate) const fn new() -> Self {
        Self([const { MaybeUninit::uninit() }; N])
    }

    /// The first slot, for reading only: the pointer comes from a shared borrow.
    #[inline(always)]
    pub(crate) const fn first(&self) -> NonNull<T> {
        let first: *const T = self.0.as_ptr().cast();
        // SAFETY: it comes from a reference, which is never null.
        unsafe { NonNull::new_unchecked(first.cast_mut()) }
    }

    /// The first slot, for writing. The pointer is good until the buffer is borrowed again in another way.
    #[inline(always)]
    pub(crate) const fn first_mut(&mut self) -> NonNull<T> {
        let first: *mut T = self.0.as_mut_ptr().cast();
        // SAFETY: it comes from a reference, which is never null.
        unsafe { NonNull::new_unchecked(first) }
    }
}

/// A fixed stack of up to `N` values, inline, starting at a 64-byte boundary; no heap, ever.
///
/// ```text
/// offset 0 (64-byte aligned)                     N × size_of::<T>()
///   │ v0 │ v1 │ v2 │ ··· live ··· │  free, uninitialised  │ len │
/// ```
///
/// **Layout.** `N` values, then the length; aligned to 64 bytes (or to `T`, if that is more). **Cost.** One compare and the
/// writes of the values; releasing is a subtraction, plus `Drop` where `T` has one. It dereferences to the slice of
/// its live values.
///
/// ```
/// use bolt_arena::ScratchBuffer;
/// let mut scratch = ScratchBuffer::<u32, 8>::new();
/// scratch.alloc_with(3, |i| i as u32 * 10)?.reverse();
/// assert_eq!(*scratch, [20, 10, 0]);
/// assert!(scratch.alloc(6).is_err(), "5 are free");
/// scratch.release(2)?;
/// assert_eq!(*scratch, [20]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ScratchBuffer<T, const N: usize> {
    /// Invariant S1: exactly the slots below `len` are initialised, and `len <= N`.
    slots: Slots<T, N>,
    len: usize,
}

impl<T, const N: usize> ScratchBuffer<T, N> {
    /// An empty buffer.
    pub const fn new() -> Self {
        Self { slots: Slots::new(), len: 0 }
    }

    /// Values it can hold.
    pub const fn capacity(&self) -> usize {
        N
    }

    /// Takes `n` slots directly after the live values, fills each with `make(index)` and lends them.
    ///
    /// If `make` panics, the values made by this call are dropped and the buffer is as before.
    ///
    /// # Errors
    /// [`AllocError::Full`] when fewer than `n` slots are free; nothing is taken.
    #[inline]
    pub fn alloc_with(&mut self, n: usize, make: impl FnMut(usize) -> T) -> Result<&mut [T], AllocError> {
        let free = N - self.len;
        if n > free {
            return Err(AllocError::Full { requested_values: n, available_values: free });
        }
        // SAFETY: by S1 and the check above, `len <= N` lies within the slots or at their end.
        let first = unsafe { self.slots.first_mut().add(self.len) };
        // SAFETY: `n` slots from there are free (checked) and uninitialised by S1; nothing else points at them.
        let made = unsafe { fill(first, n, make) };
        self.len += n;
        Ok(made)
    }

    /// Takes `n` slots filled with the default value. Errors as [`alloc_with`](Self::alloc_with).
    pub fn alloc(&mut self, n: usize) -> Result<&mut [T], AllocError>
    where
        T: Default,
    {
        self.alloc_with(n, |_| T::default())
    }

    /// Copies `values` in. Errors as [`alloc_with`](Self::alloc_with).
    pub fn alloc_copy(&mut self, values: &[T]) -> Result<&mut [T], AllocError>
    where
        T: Copy,
    {
        self.alloc_with(values.len(), |i| values[i])
    }

    /// Drops the last `n` values.
    ///
    /// # Errors
    /// [`ReleaseError`](crate::ReleaseError) when fewer are live; nothing is dropped.
    pub fn release(&mut self, n: usize) -> Result<(), crate::ReleaseError> {
        if n > self.len {
            return Err(crate::ReleaseError { requested: n, available: self.len });
        }
        self.truncate(self.len - n);
        Ok(())
    }

    /// Keeps the first `len` values and drops the others; no effect when there are no more than that.
    pub fn truncate(&mut self, len: usize) {
        if len >= self.len {
            return;
        }
        let released = self.len - len;
        // S1 holds before the first `Drop` runs, so a panic in one leaks nothing twice.
        self.len = len;
        // SAFETY: `len < N`, so the slot is one of ours.
        let first = unsafe { self.slots.first_mut().add(len) };
        let tail = NonNull::slice_from_raw_parts(first, released);
        // SAFETY: these were live by S1, and since `len` was lowered nothing else will drop them.
        unsafe { tail.drop_in_place() };
    }

    /// Drops everything.
    pub fn reset(&mut self) {
        self.truncate(0);
    }
}

impl<T, const N: usize> Deref for ScratchBuffer<T, N> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: by S1 the first `len` slots are initialised; the borrow of self covers them.
        unsafe { core::slice::from_raw_parts(self.slots.first().as_ptr().cast_const(), self.len) }
    }
}

impl<T, const N: usize> DerefMut for ScratchBuffer<T, N> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: by S1 the first `len` slots are initialised; the exclusive borrow of self covers them.
        unsafe { core::slice::from_raw_parts_mut(self.slots.first_mut().as_ptr(), self.len) }
    }
}

impl<T, const N: usize> Drop for ScratchBuffer<T, N> {
    fn drop(&mut self) {
        self.reset();
    }
}

impl<T, const N: usize> Default for ScratchBuffer<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug, const N: usize> fmt::Debug for ScratchBuffer<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
