//! Owns: the public face of the pool: handles, marks, scopes, builders, limits and figures. Never touches memory itself:
//! `raw` does. Limits: 2³² − 1 live allocations, 2³² − 1 values each.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;

use crate::error::{AllocError, HandleError, ReleaseError, RollbackError};
use crate::frame::{Frame, Open};
use crate::raw::{Stack, Ticket};

/// Names one allocation of one pool: a slice of `T`.
///
/// Layout: 16 bytes (epoch, index, length), `Copy`, `Send`. A handle whose allocation was released, or that another pool made, is
/// recognised by [`BoltPool::resolve`]: the pair of index and epoch is given to one allocation in the life of the process.
pub struct Handle<T> {
    ticket: Ticket,
    of: PhantomData<fn() -> T>,
}

impl<T> Handle<T> {
    /// How many values it names.
    #[inline]
    #[allow(clippy::len_without_is_empty)] // `is_empty` is below, under its own condition of use
    pub const fn len(&self) -> usize {
        self.ticket.len() as usize
    }

    /// Whether it names no values. Such a handle is checked like any other.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.ticket.len() == 0
    }
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Handle<T> {}
impl<T> PartialEq for Handle<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.ticket.epoch(), self.ticket.index()) == (other.ticket.epoch(), other.ticket.index())
    }
}
impl<T> Eq for Handle<T> {}
impl<T> Hash for Handle<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.ticket.epoch(), self.ticket.index()).hash(state);
    }
}
impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle(#{} epoch {} len {})", self.ticket.index(), self.ticket.epoch(), self.ticket.len())
    }
}

/// A point of a pool to roll back to; see [`BoltPool::mark`]. Layout: 24 bytes, `Copy`.
///
/// It stays good as long as all that was allocated when it was taken still is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pool_id: u64,
    /// Epoch of the newest allocation below the mark, 0 if there is none.
    epoch_below: u64,
    live: u32,
}

/// What a pool may hold. Plain numbers; change what you need:
///
/// ```
/// use bolt_arena::PoolLimits;
/// let limits = PoolLimits { heap_bytes_max: 8 << 20, ..PoolLimits::DEFAULT };
/// assert!(limits.retained_bytes_max <= limits.heap_bytes_max);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// Heap bytes (chunks and log) at most; an allocation that would pass it is refused with
    /// [`AllocError::LimitReached`].
    pub heap_bytes_max: usize,
    /// Heap bytes that [`BoltPool::reset_all`] keeps for the next round; what is above is given back.
    pub retained_bytes_max: usize,
}

impl PoolLimits {
    /// No ceiling; 1 MiB kept.
    pub const DEFAULT: Self = Self { heap_bytes_max: usize::MAX, retained_bytes_max: 1 << 20 };
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A pool's figures at one moment; see [`BoltPool::stats`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Live allocations.
    pub allocations: usize,
    /// Live values.
    pub values_in_use: usize,
    /// Most values that were live at once.
    pub values_high_water: usize,
    /// Values the scratch holds.
    pub scratch_capacity: usize,
    /// Times an allocation left its region for a chunk of the heap, kept or new.
    pub overflows: u64,
    /// Heap bytes held: chunks, empty or not, and the log of allocations.
    pub heap_bytes: usize,
}

/// A growing arena of `T` on the heap: a [`BoltPool`] without scratch. The same type, so the same handles, scopes and tests.
///
/// ```
/// let mut arena = bolt_arena::ArenaAllocator::<u32>::new();
/// let (a, b) = (arena.alloc_copy(&[1, 2, 3])?, arena.alloc(100_000)?);
/// assert_eq!(arena.resolve(a)?, [1, 2, 3]);
/// assert_eq!(arena.resolve(b)?.len(), 100_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type ArenaAllocator<T> = BoltPool<T, 0>;

/// A stack of slices of `T`: the first `N` values in place, the others in chunks on the heap; everything is released in the reverse
/// order of its allocation.
///
/// **Layout.** `N` values inline at a 64-byte boundary, then about 180 bytes. Heap only when the scratch overflows, and for the log (16 bytes an
/// allocation, first 1 KiB); both are kept for the next round up to [`PoolLimits::retained_bytes_max`].
/// **Stability.** A slice lies in one piece, never half in scratch and half in the arena, and does not move relative to the pool (scratch) or at all
/// (arena) until its release. Once an allocation has overflowed, later ones follow it into the arena until it is released.
/// **Cost.** Allocation: two compares, 16 bytes of log, the values. Resolving: three compares, in whichever region. Rolling back any number of allocations: a few stores,
/// plus `Drop` of the values where `T` has one. No atomics but one per 4,096 rollbacks; no system calls of its own.
///
/// ```
/// use bolt_arena::BoltPool;
///
/// let mut pool = BoltPool::<u32, 256>::new();
/// let ten = pool.alloc(10)?; // ten zeros, one allocation
/// pool.resolve_mut(ten)?[3] = 7;
/// let two = pool.alloc_copy(&[1, 2])?;
/// assert_eq!(pool.resolve(ten)?[3], 7);
///
/// pool.release(1)?; // the last allocation: `two`
/// assert!(pool.resolve(two).is_err(), "stale, and told so");
/// pool.reset_all();
/// assert!(pool.resolve(ten).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BoltPool<T, const N: usize> {
    stack: Stack<T, N>,
}

impl<T, const N: usize> BoltPool<T, N> {
    /// An empty pool with [`PoolLimits::DEFAULT`]. Touches no heap.
    pub const fn new() -> Self {
        Self::with_limits(PoolLimits::DEFAULT)
    }

    /// An empty pool with limits of its own. Touches no heap.
    pub const fn with_limits(limits: PoolLimits) -> Self {
        Self { stack: Stack::new(limits) }
    }

    /// Allocates `n` default values, contiguous. `n` may be 0.
    ///
    /// # Errors
    /// [`AllocError`] when the limit is reached or memory runs out; the pool is as before.
    #[inline]
    pub fn alloc(&mut self, n: usize) -> Result<Handle<T>, AllocError>
    where
        T: Default,
    {
        self.alloc_with(n, |_| T::default())
    }

    /// Allocates `n` values, contiguous, made by `make(index)`. Errors as [`alloc`](Self::alloc).
    ///
    /// If `make` panics, the values it made are dropped and the pool is as before.
    #[inline]
    pub fn alloc_with(&mut self, n: usize, make: impl FnMut(usize) -> T) -> Result<Handle<T>, AllocError> {
        Ok(Handle { ticket: self.stack.alloc_with(n, make)?, of: PhantomData })
    }

    /// Allocates one value. Errors as [`alloc`](Self::alloc); the value is dropped then.
    #[inline]
    pub fn alloc_value(&mut self, value: T) -> Result<Handle<T>, AllocError> {
        Ok(Handle { ticket: self.stack.alloc_value(value)?, of: PhantomData })
    }

    /// Allocates a copy of `values`. Errors as [`alloc`](Self::alloc).
    #[inline]
    pub fn alloc_copy(&mut self, values: &[T]) -> Result<Handle<T>, AllocError>
    where
        T: Copy,
    {
        Ok(Handle { ticket: self.stack.alloc_copy(values)?, of: PhantomData })
    }

    /// Starts a slice whose length is not known yet. Errors as [`alloc`](Self::alloc).
    ///
    /// ```
    /// let mut pool = bolt_arena::BoltPool::<u32, 4>::new();
    /// let mut builder = pool.builder()?;
    /// for offset in (0..30).step_by(3) {
    ///     builder.push(offset)?;
    /// }
    /// let handle = builder.finish();
    /// assert_eq!(pool.resolve(handle)?[9], 27);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn builder(&mut self) -> Result<Builder<'_, T, N>, AllocError> {
        Ok(Builder { open: self.stack.open()? })
    }

    /// The values a handle names. Cost: three compares, whichever region they are in; no atomics.
    ///
    /// # Errors
    /// [`HandleError`] when the allocation was released or belongs to another pool.
    #[inline]
    pub fn resolve(&self, handle: Handle<T>) -> Result<&[T], HandleError> {
        self.stack.get(handle.ticket).ok_or_else(|| self.refused(handle))
    }

    /// The values a handle names, for writing. Errors as [`resolve`](Self::resolve).
    #[inline]
    pub fn resolve_mut(&mut self, handle: Handle<T>) -> Result<&mut [T], HandleError> {
        let refused = self.refused(handle);
        self.stack.get_mut(handle.ticket).ok_or(refused)
    }

    #[inline]
    fn refused(&self, handle: Handle<T>) -> HandleError {
        HandleError { index: handle.ticket.index(), live_allocations: self.stack.live() as u32 }
    }

    /// Releases the last `allocations` allocations, newest first: `release(1)` undoes one `alloc(10)` as a whole.
    ///
    /// # Errors
    /// [`ReleaseError`] when fewer are live; nothing is released.
    #[inline]
    pub fn release(&mut self, allocations: usize) -> Result<(), ReleaseError> {
        let live = self.stack.live();
        if allocations > live {
            return Err(ReleaseError { requested: allocations, available: live });
        }
        self.stack.truncate(live - allocations);
        Ok(())
    }

    /// Releases the last allocations that hold `values` values together: `release_values(10)` undoes one `alloc(10)`, or ten `alloc(1)`.
    /// Empty allocations on top of them go too. Cost: one step an allocation.
    ///
    /// # Errors
    /// [`ReleaseError`] when `values` ends inside an allocation or is more than there is; nothing is released.
    pub fn release_values(&mut self, values: usize) -> Result<(), ReleaseError> {
        let mut live = self.stack.live();
        let mut found = 0;
        while found < values && live > 0 {
            let len = self.stack.len_of(live - 1);
            if len > values - found {
                break;
            }
            found += len;
            live -= 1;
        }
        if found != values {
            return Err(ReleaseError { requested: values, available: found });
        }
        self.stack.truncate(live);
        Ok(())
    }

    /// Remembers this point, to [`rollback`](Self::rollback) to it. Cost: a few loads.
    #[inline]
    pub fn mark(&mut self) -> Mark {
        let live = self.stack.live();
        let epoch_below = if live == 0 { 0 } else { self.stack.epoch_of(live - 1) };
        Mark { pool_id: self.stack.id(), epoch_below, live: live as u32 }
    }

    /// Releases everything allocated since the mark, newest first. Cost: the same for any number of allocations whose type has no `Drop`.
    ///
    /// # Errors
    /// [`RollbackError`] when something that lay below the mark has been released since, or the mark is another pool's.
    #[inline]
    pub fn rollback(&mut self, mark: Mark) -> Result<(), RollbackError> {
        let live = mark.live as usize;
        let good = mark.pool_id == self.stack.id()
            && (live == 0
                || (live <= self.stack.live() && self.stack.epoch_of(live - 1) == mark.epoch_below));
        if !good {
            let live_allocations = self.stack.live() as u32;
            return Err(RollbackError { marked_allocations: mark.live, live_allocations });
        }
        self.stack.truncate(live);
        Ok(())
    }

    /// Runs `body` and releases what it allocated, also when it panics. Handles made inside are stale afterwards; those made before stay good.
    ///
    /// ```
    /// let mut pool = bolt_arena::BoltPool::<u8, 64>::new();
    /// let outer = pool.alloc_copy(b"kept")?;
    /// let inner = pool.scope(|pool| pool.alloc_copy(b"gone"))?;
    /// assert_eq!(pool.resolve(outer)?, b"kept");
    /// assert!(pool.resolve(inner).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn scope<R>(&mut self, body: impl FnOnce(&mut Self) -> R) -> R {
        struct Scope<'p, T, const N: usize> {
            pool: &'p mut BoltPool<T, N>,
            mark: Mark,
        }
        impl<T, const N: usize> Drop for Scope<'_, T, N> {
            #[inline(always)]
            fn drop(&mut self) {
                // Stale only if `body` itself released what lay below, or put another pool here: then there is nothing to do.
                let _ = self.pool.rollback(self.mark);
            }
        }
        let mark = self.mark();
        let scope = Scope { pool: self, mark };
        body(&mut *scope.pool)
    }

    /// Runs `body` with a [`Frame`]: references instead of handles, at the price of a bump allocator. Everything in the frame is released when `body`
    /// returns or panics.
    #[inline]
    pub fn frame<R>(&mut self, body: impl for<'f> FnOnce(&mut Frame<'f, T>) -> R) -> R {
        self.stack.frame(body)
    }

    /// Releases everything and gives heap back above [`PoolLimits::retained_bytes_max`]. Cost when nothing was allocated: two compares.
    #[inline]
    pub fn reset_all(&mut self) {
        self.stack.reset();
    }

    /// Gives unused heap back until at most `heap_bytes` are held, or nothing unused is left. Live values stay where they are.
    pub fn shrink_to(&mut self, heap_bytes: usize) {
        self.stack.shrink_to(heap_bytes);
    }

    /// Live allocations.
    #[inline]
    pub fn allocations(&self) -> usize {
        self.stack.live()
    }

    /// The limits it was made with.
    pub fn limits(&self) -> PoolLimits {
        self.stack.limits()
    }

    /// The figures of this moment. Cost: a few loads.
    pub fn stats(&self) -> PoolStats {
        PoolStats {
            allocations: self.stack.live(),
            values_in_use: self.stack.values_in_use(),
            values_high_water: self.stack.values_high_water(),
            scratch_capacity: N,
            overflows: self.stack.overflows(),
            heap_bytes: self.stack.heap_bytes(),
        }
    }
}

impl<T, const N: usize> Default for BoltPool<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const N: usize> fmt::Debug for BoltPool<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoltPool").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// A slice under construction; see [`BoltPool::builder`]. Dropping it unfinished drops what was pushed and leaves the pool as before.
///
/// While it grows, its values may move to a roomier region (nobody holds a handle yet); from [`finish`](Self::finish) on they stay.
/// It dereferences to what was pushed so far.
pub struct Builder<'p, T, const N: usize> {
    open: Open<'p, T, N>,
}

impl<T, const N: usize> Builder<'_, T, N> {
    /// Appends one value. Cost: one compare and the write, amortised.
    ///
    /// # Errors
    /// [`AllocError`] when there is no room; the value is dropped, what was pushed before stays. [`reserve`](Self::reserve) first where the value matters.
    #[inline]
    pub fn push(&mut self, value: T) -> Result<(), AllocError> {
        self.open.push(value)
    }

    /// Makes sure that `additional` pushes will succeed.
    ///
    /// # Errors
    /// [`AllocError`] when there is no room.
    #[inline]
    pub fn reserve(&mut self, additional: usize) -> Result<(), AllocError> {
        self.open.reserve(additional)
    }

    /// Ends the slice and names it.
    #[inline]
    pub fn finish(self) -> Handle<T> {
        Handle { ticket: self.open.finish(), of: PhantomData }
    }
}

impl<T, const N: usize> core::ops::Deref for Builder<'_, T, N> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        self.open.as_slice()
    }
}

impl<T, const N: usize> core::ops::DerefMut for Builder<'_, T, N> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        self.open.as_mut_slice()
    }
}

impl<T: fmt::Debug, const N: usize> fmt::Debug for Builder<'_, T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
