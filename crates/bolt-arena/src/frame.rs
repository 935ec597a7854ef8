//! Owns: what puts values above a pool's cursor: frames, which lend references for the time of a closure and keep their cursor in registers, and
//! the slices that builders grow.
//! Never writes the log, never owns memory: `raw` does. Limits: those of the pool. unsafe: allowed here
//!
//! Refers to the invariants R1–R5 of `raw` and adds F1 and F2, at the fields of [`Frame`], and O1, at [`Open`].

use core::mem::{ManuallyDrop, needs_drop, size_of};
use core::ptr::{NonNull, null_mut};

use crate::error::AllocError;
use crate::raw::{Cursor, Heap, Scratch, Stack, Ticket, VALUES_MAX, after, fill, slots_between};

/// Unchecked allocation within a scope: references instead of handles, nothing logged, everything released when the
/// closure of [`BoltPool::frame`](crate::BoltPool::frame) returns or panics.
///
/// The lifetime `'f` is the frame's own: any number of references may be alive while more is allocated, and none can leave
/// the closure. **Cost.** One compare, one addition and the write of the value, as in a bump allocator; ending a frame is two
/// stores, plus `Drop` where `T` has one.
///
/// ```
/// let mut pool = bolt_arena::BoltPool::<u64, 16>::new();
/// let sum = pool.frame(|frame| {
///     let one = frame.alloc(1)?;
///     let many = frame.alloc_with(100, |i| i as u64)?; // does not fit the scratch: the arena takes it
///     *one += many.iter().sum::<u64>();
///     Ok::<u64, bolt_arena::AllocError>(*one)
/// })?;
/// assert_eq!(sum, 4951);
/// assert_eq!(pool.stats().values_in_use, 0);
/// # Ok::<(), bolt_arena::AllocError>(())
/// ```
///
/// A reference cannot outlive its frame:
///
/// ```compile_fail
/// let mut pool = bolt_arena::BoltPool::<u64, 16>::new();
/// let kept = pool.frame(|frame| frame.alloc(1).unwrap());
/// ```
pub struct Frame<'f, T> {
    /// Its cursor lags behind: `next` is the truth while the frame is open.
    heap: &'f mut Heap<T>,
    /// Invariant F1: a pointer to the pool's slots, which are borrowed for `'f` and reached through this alone.
    scratch: Scratch<T>,
    /// Invariant F2: the slots from `next` to `end`, where the current region ends, are free. Pointers, where the pool has places: only those of
    /// a zero-sized type, which nobody follows, are still places.
    next: *mut T,
    end: *mut T,
    start: Cursor<T>,
}

impl<'f, T> Frame<'f, T> {
    #[inline]
    fn open(heap: &'f mut Heap<T>, scratch: Scratch<T>) -> Self {
        let ((next, end), start) = (Self::pointers(heap, scratch), heap.cursor());
        Self { heap, scratch, next, end, start }
    }

    /// Where the pool's cursor stands, and the end of its region.
    #[inline(always)]
    fn pointers(heap: &Heap<T>, scratch: Scratch<T>) -> (*mut T, *mut T) {
        if size_of::<T>() != 0 && heap.base.is_null() {
            let first = scratch.first.as_ptr();
            (first.wrapping_byte_add(heap.next.addr()), first.wrapping_byte_add(heap.end.addr()))
        } else {
            (heap.next, heap.end)
        }
    }

    /// The pool's name for where the frame stands.
    #[inline(always)]
    fn place(heap: &Heap<T>, scratch: Scratch<T>, next: *mut T) -> *mut T {
        if size_of::<T>() != 0 && heap.base.is_null() {
            null_mut::<T>().wrapping_byte_add(next.addr() - scratch.first.addr().get())
        } else {
            next
        }
    }

    /// Opens a frame, runs `body`, and releases what is in the frame, on unwinding too.
    ///
    /// A frame has no `Drop` of its own: the call from the unwinding path would make its address known, and its fields would have to
    /// live in memory. So where values have no `Drop`, the guard knows the start of the frame and nothing of the frame.
    #[inline(always)]
    pub(crate) fn run<R>(
        heap: &'f mut Heap<T>,
        scratch: Scratch<T>,
        body: impl FnOnce(&mut Frame<'f, T>) -> R,
    ) -> R {
        if needs_drop::<T>() {
            struct Open<'f, T>(Frame<'f, T>);
            impl<T> Drop for Open<'_, T> {
                fn drop(&mut self) {
                    self.0.note();
                    self.0.drop_values();
                }
            }
            let mut open = Open(Self::open(heap, scratch));
            body(&mut open.0)
        } else {
            struct Back<T> {
                heap: NonNull<Heap<T>>,
                to: Cursor<T>,
                scratch_cap: usize,
            }
            impl<T> Drop for Back<T> {
                #[inline(always)]
                fn drop(&mut self) {
                    // SAFETY: the frame, which had the exclusive borrow, is not used any more: the guard was made before it.
                    let heap = unsafe { self.heap.as_mut() };
                    heap.enter(self.to, self.scratch_cap);
                }
            }
            let mut heap = NonNull::from(heap);
            // SAFETY: made from an exclusive borrow for `'f` just above; the guard uses its copy only after the frame's last use.
            let mut frame = Self::open(unsafe { heap.as_mut() }, scratch);
            let _back = Back { heap, to: frame.start, scratch_cap: scratch.cap };
            let result = body(&mut frame);
            frame.note();
            result
        }
    }

    /// Tells the pool where the frame stood at its end.
    #[inline(always)]
    fn note(&mut self) {
        self.sync();
        self.heap.note_high_water();
    }

    /// Puts one value into the frame.
    ///
    /// # Errors
    /// [`AllocError`] when the pool's limit is reached or memory runs out; the value is dropped.
    #[inline]
    pub fn alloc(&mut self, value: T) -> Result<&'f mut T, AllocError> {
        if self.next == self.end {
            (self.next, self.end) = Self::advance(self.heap, self.scratch, self.next, 1)?;
        }
        let mut slot = self.take(1);
        // SAFETY: F2: the slot is free, and `take` gave it to this call alone.
        unsafe { slot.write(value) };
        // SAFETY: just written; valid for `'f` since the frame never reuses a slot, and the pool is borrowed for `'f`.
        Ok(unsafe { slot.as_mut() })
    }

    /// Puts `n` values into the frame, contiguous, made by `make(index)`. If `make` panics, those made are dropped.
    ///
    /// # Errors
    /// As [`alloc`](Self::alloc); nothing is made then.
    #[inline]
    pub fn alloc_with(&mut self, n: usize, make: impl FnMut(usize) -> T) -> Result<&'f mut [T], AllocError> {
        if !Heap::fits(n, self.next, self.end) {
            (self.next, self.end) = Self::advance(self.heap, self.scratch, self.next, n)?;
        }
        // SAFETY: F2: `n` free slots; `self` is borrowed, so `make` cannot reach them; they count as taken only afterwards,
        // so a panic leaves none uninitialised below the cursor.
        let made = unsafe { fill(self.first_free(), n, make) };
        self.take(n);
        Ok(made)
    }

    /// Copies a slice into the frame. Errors as [`alloc`](Self::alloc).
    #[inline]
    pub fn alloc_copy(&mut self, values: &[T]) -> Result<&'f mut [T], AllocError>
    where
        T: Copy,
    {
        let n = values.len();
        if !Heap::fits(n, self.next, self.end) {
            (self.next, self.end) = Self::advance(self.heap, self.scratch, self.next, n)?;
        }
        let first = self.take(n);
        // SAFETY: F2: `n` free slots, which the source, being borrowed, cannot overlap.
        unsafe { first.as_ptr().copy_from_nonoverlapping(values.as_ptr(), n) };
        let mut made = NonNull::slice_from_raw_parts(first, n);
        // SAFETY: all were just copied; valid for `'f` as in `alloc`.
        Ok(unsafe { made.as_mut() })
    }

    /// Opens a frame within this one: what it allocates is released when `body` returns, what this one allocated stays.
    #[inline]
    pub fn frame<R>(&mut self, body: impl for<'n> FnOnce(&mut Frame<'n, T>) -> R) -> R {
        self.sync();
        Frame::run(&mut *self.heap, self.scratch, body)
    }

    /// The first free slot.
    #[inline(always)]
    fn first_free(&self) -> NonNull<T> {
        if size_of::<T>() == 0 {
            NonNull::dangling()
        } else {
            // SAFETY: F2: a pointer into a region, or to its end.
            unsafe { NonNull::new_unchecked(self.next) }
        }
    }

    /// Moves past `n` free slots and returns the first. The caller has checked that they fit.
    #[inline(always)]
    fn take(&mut self, n: usize) -> NonNull<T> {
        let first = self.first_free();
        self.next = after(self.next, n);
        first
    }

    /// Tells the pool's cursor where the frame stands.
    #[inline(always)]
    fn sync(&mut self) {
        self.heap.next = Self::place(self.heap, self.scratch, self.next);
    }

    /// Moves to a region with at least `n` slots and returns where it begins and ends. Takes and returns values, not the frame itself, whose
    /// address would otherwise be known outside and whose fields would have to live in memory.
    #[cold]
    #[inline(never)]
    fn advance(
        heap: &mut Heap<T>,
        scratch: Scratch<T>,
        next: *mut T,
        n: usize,
    ) -> Result<(*mut T, *mut T), AllocError> {
        heap.next = Self::place(heap, scratch, next);
        heap.advance(n)?;
        Ok(Self::pointers(heap, scratch))
    }

    /// Drops the values of the frame, region by region; if a destructor panics, the others still run, once each.
    #[inline(never)]
    fn drop_values(&mut self) {
        struct Rest<'a, T> {
            heap: &'a mut Heap<T>,
            scratch: Scratch<T>,
            start: Cursor<T>,
        }
        impl<T> Rest<'_, T> {
            fn run(&mut self) {
                loop {
                    let last = self.heap.region == self.start.region;
                    let (from, to) = (if last { self.start.next } else { self.heap.base }, self.heap.next);
                    self.heap.next = from;
                    let first = self.heap.next_slot(self.scratch);
                    let values = NonNull::slice_from_raw_parts(first, slots_between(from, to));
                    // The cursor leaves them before the first destructor runs.
                    if !last {
                        self.heap.enter_region_below(self.scratch.cap);
                    }
                    // SAFETY: the frame wrote them all, without gaps within a region, and they are below no cursor any more.
                    unsafe { values.drop_in_place() };
                    if last {
                        return;
                    }
                }
            }
        }
        impl<T> Drop for Rest<'_, T> {
            fn drop(&mut self) {
                // Runs only what a panic left over; on the straight path nothing is left.
                self.run();
            }
        }
        Rest { heap: self.heap, scratch: self.scratch, start: self.start }.run();
    }
}

/// A slice under construction at the top of a pool; see `pool::Builder`.
///
/// Invariant O1: the `len` slots from the cursor on are initialised and belong to this value alone.
pub(crate) struct Open<'p, T, const N: usize> {
    stack: &'p mut Stack<T, N>,
    len: usize,
}

impl<'p, T, const N: usize> Open<'p, T, N> {
    #[inline]
    pub(crate) fn new(stack: &'p mut Stack<T, N>) -> Result<Self, AllocError> {
        stack.heap.make_room(0)?;
        Ok(Self { stack, len: 0 })
    }

    #[inline]
    pub(crate) fn push(&mut self, value: T) -> Result<(), AllocError> {
        if after(self.stack.heap.next, self.len) == self.stack.heap.end {
            self.grow(1)?;
        }
        let first = self.first();
        // SAFETY: `len` is below the slots left in the region, checked above or made so by `grow`.
        let slot = unsafe { first.add(self.len) };
        // SAFETY: by O1 and R2 that slot is empty and ours.
        unsafe { slot.write(value) };
        self.len += 1;
        Ok(())
    }

    #[inline]
    pub(crate) fn reserve(&mut self, additional: usize) -> Result<(), AllocError> {
        let heap = &self.stack.heap;
        if !Heap::<T>::fits(additional, after(heap.next, self.len), heap.end) {
            self.grow(additional)?;
        }
        Ok(())
    }

    /// Moves what is built to a region with room for `additional` more.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, additional: usize) -> Result<(), AllocError> {
        let too_large = AllocError::TooLarge {
            requested_values: self.len.saturating_add(additional),
            values_max: VALUES_MAX,
        };
        let least = self.len.checked_add(additional).filter(|&n| n <= VALUES_MAX).ok_or(too_large)?;
        let scratch = self.stack.scratch();
        let old = self.stack.heap.next_slot(scratch);
        // Twice as much, so that pushing one by one moves each value a bounded number of times; or just enough near a limit.
        let ample = least.max(self.len.saturating_mul(2)).min(VALUES_MAX);
        if self.stack.heap.advance(ample).is_err() {
            self.stack.heap.advance(least)?;
        }
        // Through the same borrow of the scratch as `old`, which a new one would end.
        let new = self.stack.heap.next_slot(scratch);
        // SAFETY: `len` values are initialised there (O1), as many slots are free here (R2), and regions are disjoint. They are moved: the
        // old slots lie above the log's end and count as empty from now on.
        unsafe { new.copy_from_nonoverlapping(old, self.len) };
        Ok(())
    }

    #[inline]
    pub(crate) fn finish(self) -> Ticket {
        let mut open = ManuallyDrop::new(self);
        let len = open.len;
        // SAFETY: `open` made room for the entry, the slots are there by O1, and the cursor stands before the first.
        unsafe { open.stack.heap.commit(len) }
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[T] {
        let scratch = Scratch { first: self.stack.slots.first(), cap: N };
        let first = self.stack.heap.next_slot(scratch).as_ptr().cast_const();
        // SAFETY: O1.
        unsafe { core::slice::from_raw_parts(first, self.len) }
    }

    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        let first = self.first();
        // SAFETY: O1, and the borrow of self is exclusive.
        unsafe { core::slice::from_raw_parts_mut(first.as_ptr(), self.len) }
    }

    #[inline(always)]
    fn first(&mut self) -> NonNull<T> {
        let scratch = self.stack.scratch();
        self.stack.heap.next_slot(scratch)
    }
}

impl<T, const N: usize> Drop for Open<'_, T, N> {
    fn drop(&mut self) {
        struct Back<'a, T>(&'a mut Heap<T>, usize);
        impl<T> Drop for Back<'_, T> {
            fn drop(&mut self) {
                self.0.settle_now(self.1);
            }
        }
        let built = NonNull::slice_from_raw_parts(self.first(), self.len);
        let _back = Back(&mut self.stack.heap, N);
        // SAFETY: O1; this value is going away, so they are dropped once.
        unsafe { built.drop_in_place() };
    }
}
