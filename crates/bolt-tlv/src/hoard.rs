//! The list in front of which each thread has magazines.
//!
//! Owns the blocks that lie in it, and the numbers from which what is out is told. Never writes a word that two threads share on the usual
//! way. Limits: what lies in another thread's magazines is out of reach.

use bolt_sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use bolt_sync::magazine::{MagazineConfig, Magazines};

use crate::block::Slot;
use crate::shelf::Given;

/// Magazines, and the numbers that say what is out.
pub(crate) struct Hoard {
    free: Magazines<Slot>,
    /// Blocks that were made and went out without being taken from here.
    added: AtomicUsize,
    /// Blocks that were out and are freed instead of given.
    ended: AtomicUsize,
    /// `Last` was said.
    done: AtomicBool,
}

impl Hoard {
    /// `None` if the memory for so many cannot be had.
    pub(crate) fn new(capacity: usize) -> Option<Self> {
        Some(Self {
            free: Magazines::new(MagazineConfig::new(capacity).never_refuses()).ok()?,
            added: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            done: AtomicBool::new(false),
        })
    }

    /// The magazines, for the short way to them.
    pub(crate) fn magazines(&self) -> &Magazines<Slot> {
        &self.free
    }

    pub(crate) fn take(&self) -> Option<Slot> {
        self.free.take()
    }

    /// Nothing is touched after the magazines' own count of returns, which is the last thing they write.
    pub(crate) fn give(&self, slot: Slot) -> Given {
        if let Err(slot) = self.free.give(slot) {
            return self.end(slot);
        }
        Given::Kept
    }

    /// Frees a block that was out. The caller keeps the pool meanwhile.
    #[cold]
    pub(crate) fn end(&self, slot: Slot) -> Given {
        drop(slot);
        // Release: pairs with the Acquire in `out`.
        self.ended.fetch_add(1, Ordering::Release);
        Given::Kept
    }

    /// `Last` if nothing is out, once. Called only after the pool was closed, by who keeps it meanwhile.
    #[cold]
    pub(crate) fn look(&self) -> Given {
        if self.out() > 0 {
            return Given::Kept;
        }
        // Goes through the lock that returns without a lane of their own hold while they count: they are done with it then.
        while let Some(idle) = self.free.take_shared() {
            drop(idle);
        }
        // AcqRel: one of those who look says it.
        if self.done.swap(true, Ordering::AcqRel) { Given::Kept } else { Given::Last }
    }

    /// Frees what can be reached. `Last` if nothing is out.
    pub(crate) fn close(&self) -> Given {
        while let Some(idle) = self.free.take_shared() {
            drop(idle);
        }
        self.look()
    }

    pub(crate) fn count_out(&self) {
        // Relaxed: every addition comes before the last handle's drop.
        self.added.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn release(&self, n: usize) -> usize {
        (0..n).take_while(|_| self.free.take_shared().is_some()).count()
    }

    fn out(&self) -> usize {
        // Acquire: pairs with the Release in `end`.
        let ended = self.ended.load(Ordering::Acquire);
        // Returns are counted by Release and read here by Acquire, so what a counted return did is done.
        let counts = self.free.counts();
        let went = self.added.load(Ordering::Relaxed).wrapping_add(counts.hits);
        let out = went.wrapping_sub(counts.kept).wrapping_sub(ended);
        // While others take and give, the sum may show a return whose take it has not seen.
        if out > usize::MAX / 2 { 0 } else { out }
    }

    pub(crate) fn counts(&self) -> (usize, u64) {
        (self.out(), self.free.counts().hits as u64)
    }
}
