//! Owns: the memory of a pool of one thread and what lends it: `LocalSlots`, `LocalSlot`. Never allocates, never clears, never copies a
//! batch. Limits: what is lent is lent by index, once; policy and errors are the pools'; several threads have `shard`.
//!
//! unsafe: allowed here

use core::cell::Cell;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use bolt_sync::cell::UnsafeCell;

use crate::batch::SoaBatch;
use crate::ticket::Tickets;

/// `N` batches for one thread, free ones on a stack.
///
/// # Invariants
///
/// 1. `free[..free_len]` are distinct indices below `N`, and `free_len <= N`.
/// 2. An index that is not among them belongs to exactly one `LocalSlot`, or is parked (its ticket is not 0), or its `LocalSlot` was
///    forgotten.
/// 3. Only the `LocalSlot` an index belongs to reaches its batch.
#[derive(Debug)]
pub(crate) struct LocalSlots<const N: usize> {
    batches: [UnsafeCell<SoaBatch>; N],
    free: [Cell<u32>; N],
    free_len: Cell<usize>,
    /// The fewest there were free.
    free_low: Cell<usize>,
    /// The same, never forgotten: slots above it in the stack's first order were never out.
    free_low_ever: Cell<usize>,
    /// For each index, the ticket it is parked under, or 0.
    parked: [Cell<u64>; N],
    tickets: Tickets,
}

impl<const N: usize> LocalSlots<N> {
    pub(crate) fn new() -> Self {
        Self {
            batches: core::array::from_fn(|_| UnsafeCell::new(SoaBatch::new())),
            // The top of the stack is slot 0, so that a pool that is little used touches little memory.
            free: core::array::from_fn(|at| Cell::new((N - 1 - at) as u32)),
            free_len: Cell::new(N),
            free_low: Cell::new(N),
            free_low_ever: Cell::new(N),
            parked: [const { Cell::new(0) }; N],
            tickets: Tickets::new(),
        }
    }

    /// The batch that came back last, or nothing when all are out. The second is true if it was never out before.
    #[inline(always)]
    pub(crate) fn take(&self) -> Option<(LocalSlot<'_, N>, bool)> {
        let at = self.free_len.get().checked_sub(1)?;
        // SAFETY: by 1, `at < free_len <= N`.
        let index = unsafe { self.free.get_unchecked(at) }.get();
        self.free_len.set(at);
        let mut cold = false;
        if at < self.free_low.get() {
            self.free_low.set(at);
            cold = at < self.free_low_ever.get();
            if cold {
                self.free_low_ever.set(at);
            }
        }
        Some((self.lend(index, at), cold))
    }

    /// Only for an index that has just stopped being free or parked, so that by 2 it belongs to nobody.
    #[inline(always)]
    fn lend(&self, index: u32, at: usize) -> LocalSlot<'_, N> {
        // SAFETY: by 1 and `redeem`, which is bounded by `parked`, indices are below `N`.
        let cell = unsafe { self.batches.get_unchecked(index as usize) };
        // SAFETY: a cell's pointer is not null.
        let batch = cell.with_mut(|batch| unsafe { NonNull::new_unchecked(batch) });
        LocalSlot { slots: self, batch, index, at }
    }

    /// Only for an index that belonged to the `LocalSlot` or ticket that ends with this call.
    #[inline(always)]
    fn give_at(&self, index: u32, at: usize) {
        // In the usual order the stack is as high as `take` left it. Saying so with what the guard remembers, instead of the word just
        // loaded, takes one trip through memory out of the chain of takes and returns (five cycles; the branch is predicted).
        if self.free_len.get() == at {
            // SAFETY: by 2 and 1 at least this index is not on the stack, so `at`, its height, is below `N`.
            let top = unsafe { self.free.get_unchecked(at) };
            // It usually stands there still. A store costs more than a look: the core retires one cache line of them a cycle.
            if top.get() != index {
                top.set(index);
            }
            self.free_len.set(at + 1);
        } else {
            self.give(index);
        }
    }

    /// The same in any order.
    #[cold]
    #[inline(never)]
    fn give(&self, index: u32) {
        let at = self.free_len.get();
        debug_assert!(at < N);
        // SAFETY: by 2 and 1 at least this index is not on the stack, so `free_len < N`.
        unsafe { self.free.get_unchecked(at) }.set(index);
        self.free_len.set(at + 1);
    }

    /// The batch parked at `index` under `ticket`, if it still is.
    #[inline]
    pub(crate) fn redeem(&self, index: u32, ticket: u64) -> Option<LocalSlot<'_, N>> {
        let parked = self.parked.get(index as usize)?;
        if parked.get() != ticket || ticket == 0 {
            return None;
        }
        parked.set(0);
        Some(self.lend(index, self.free_len.get()))
    }

    /// Frees every parked batch; their tickets are void. Returns how many.
    pub(crate) fn revoke_parked(&self) -> usize {
        let mut revoked = 0;
        for (index, parked) in self.parked.iter().enumerate() {
            if parked.replace(0) != 0 {
                self.give(index as u32);
                revoked += 1;
            }
        }
        revoked
    }

    /// Makes every batch free, also those whose `LocalSlot` was forgotten: none can be alive while this borrows exclusively.
    pub(crate) fn reset(&mut self) {
        self.parked.iter().for_each(|parked| parked.set(0));
        for (at, free) in self.free.iter().enumerate() {
            free.set((N - 1 - at) as u32);
        }
        self.free_len.set(N);
        self.free_low.set(N);
    }

    #[inline]
    pub(crate) fn in_use(&self) -> usize {
        N - self.free_len.get()
    }

    pub(crate) fn high_water(&self) -> usize {
        N - self.free_low.get()
    }

    /// The high-water mark begins anew at what is out.
    pub(crate) fn forget_high_water(&self) {
        self.free_low.set(self.free_len.get());
    }

    pub(crate) fn parked(&self) -> usize {
        self.parked.iter().filter(|parked| parked.get() != 0).count()
    }
}

/// One batch, lent: it goes back when this is dropped. Not `Send`: its pool is one thread's.
///
/// # Invariants
///
/// 4. `index` belongs to this value (2), and `batch` points at that slot.
#[derive(Debug)]
pub(crate) struct LocalSlot<'p, const N: usize> {
    slots: &'p LocalSlots<N>,
    batch: NonNull<SoaBatch>,
    index: u32,
    /// How high the stack was when this was lent: a guess of where the index goes back to.
    at: usize,
}

impl<const N: usize> LocalSlot<'_, N> {
    #[inline]
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// Leaves the batch out under a new ticket, which is its only way back; nothing when tickets are used up (the batch is free then).
    #[inline]
    pub(crate) fn park(self) -> Option<(u32, u64)> {
        let ticket = self.slots.tickets.next()?;
        let this = ManuallyDrop::new(self);
        if let Some(parked) = this.slots.parked.get(this.index as usize) {
            parked.set(ticket);
        }
        Some((this.index, ticket))
    }
}

impl<const N: usize> Deref for LocalSlot<'_, N> {
    type Target = SoaBatch;
    #[inline(always)]
    fn deref(&self) -> &SoaBatch {
        // SAFETY: by 4 and 3 it is valid and only reached through `self`, which is borrowed as long as the result.
        unsafe { self.batch.as_ref() }
    }
}

impl<const N: usize> DerefMut for LocalSlot<'_, N> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut SoaBatch {
        // SAFETY: by 4 and 3 it is valid and only reached through `self`, which is borrowed exclusively as long as the result.
        unsafe { self.batch.as_mut() }
    }
}

impl<const N: usize> Drop for LocalSlot<'_, N> {
    #[inline(always)]
    fn drop(&mut self) {
        self.slots.give_at(self.index, self.at);
    }
}
