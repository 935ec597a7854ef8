//! The list behind a lock: a stack of blocks, and those who wait for one.
//!
//! Owns the blocks that lie in it and the count of those that are out. Never frees a block or wakes a waiter under the lock.
//! Limits: two threads that meet wait for each other.

use alloc::vec::Vec;
use core::task::Waker;
use std::time::Instant;

use bolt_sync::sync::{Condvar, Mutex, MutexGuard};

use crate::block::Slot;
use crate::shelf::Given;

/// A stack of blocks behind a mutex, and those who wait for one.
pub(crate) struct Locked {
    shelf: Mutex<Shelf>,
    returned: Condvar,
}

struct Shelf {
    /// The hottest last. Its room is reserved at the start.
    slots: Vec<Slot>,
    out: usize,
    closed: bool,
    hits: u64,
    waiting: usize,
    wakers: Vec<Waker>,
}

impl Locked {
    pub(crate) fn new(capacity: usize) -> Self {
        let shelf = Shelf {
            slots: Vec::with_capacity(capacity),
            out: 0,
            closed: false,
            hits: 0,
            waiting: 0,
            wakers: Vec::new(),
        };
        Self { shelf: Mutex::new(shelf), returned: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        // Nothing panics under the lock; if it did, the stack would still be whole.
        self.shelf.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn take(&self) -> Option<Slot> {
        let mut shelf = self.lock();
        let slot = shelf.slots.pop()?;
        shelf.out += 1;
        shelf.hits += 1;
        Some(slot)
    }

    pub(crate) fn give(&self, slot: Slot) -> Given {
        let mut shelf = self.lock();
        shelf.out -= 1;
        if shelf.closed {
            let given = if shelf.out == 0 { Given::Last } else { Given::Kept };
            drop(shelf);
            // Freeing touches the block alone.
            drop(slot);
            return given;
        }
        shelf.slots.push(slot);
        if shelf.waiting > 0 {
            self.returned.notify_one();
        }
        if shelf.wakers.is_empty() {
            return Given::Kept;
        }
        // All of them: a task that was cancelled since leaves its waker here, and waking that one alone would wake nobody.
        let wakers = core::mem::take(&mut shelf.wakers);
        drop(shelf);
        wakers.into_iter().for_each(Waker::wake);
        Given::Kept
    }

    pub(crate) fn count_out(&self) {
        self.lock().out += 1;
    }

    /// Waits for a block until `deadline`.
    #[cfg(not(bolt_loom))]
    pub(crate) fn wait(&self, deadline: Instant) -> Option<Slot> {
        let mut shelf = self.lock();
        shelf.waiting += 1;
        let slot = loop {
            if let Some(slot) = shelf.slots.pop() {
                shelf.out += 1;
                shelf.hits += 1;
                break Some(slot);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break None;
            }
            shelf = match self.returned.wait_timeout(shelf, left) {
                Ok((shelf, _)) => shelf,
                Err(poisoned) => poisoned.into_inner().0,
            };
        };
        shelf.waiting -= 1;
        slot
    }

    /// The model checker knows no time: it never waits.
    #[cfg(bolt_loom)]
    pub(crate) fn wait(&self, _deadline: Instant) -> Option<Slot> {
        self.take()
    }

    /// A block, or the promise to wake `waker` when one comes back.
    pub(crate) fn take_or_register(&self, waker: &Waker) -> Option<Slot> {
        let mut shelf = self.lock();
        if let Some(slot) = shelf.slots.pop() {
            shelf.out += 1;
            shelf.hits += 1;
            return Some(slot);
        }
        if !shelf.wakers.iter().any(|known| known.will_wake(waker)) {
            shelf.wakers.push(waker.clone());
        }
        None
    }

    pub(crate) fn release(&self, n: usize) -> usize {
        let released: Vec<Slot> = {
            let mut shelf = self.lock();
            let n = n.min(shelf.slots.len());
            shelf.slots.drain(..n).collect()
        };
        released.len()
    }

    pub(crate) fn close(&self) -> Given {
        let (given, idle) = {
            let mut shelf = self.lock();
            shelf.closed = true;
            (if shelf.out == 0 { Given::Last } else { Given::Kept }, core::mem::take(&mut shelf.slots))
        };
        drop(idle);
        given
    }

    pub(crate) fn counts(&self) -> (usize, u64) {
        let shelf = self.lock();
        (shelf.out, shelf.hits)
    }
}
