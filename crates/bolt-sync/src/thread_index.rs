//! Owns: a small dense number for each living thread, and what has to happen when a thread ends. Never gives one number to
//! two living threads; never runs a callback while something here is borrowed. Limits: 2³² − 2 threads at once, of which the first
//! [`THREADS_LIMIT`] can have lanes.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, Weak};
use std::vec::Vec;

use crate::magazine_config::THREADS_LIMIT;
use crate::sync::Mutex;

/// What [`current`] says of a thread that has not asked for a number yet, whose number is beyond all lanes, or that is ending.
pub(crate) const NO_LANE: u32 = THREADS_LIMIT as u32;

/// Numbers that are dense from 0: a number given back is the next one handed out, the smallest first.
///
/// Giving back and handing out go through one lock, so what the last owner did happens before what the next one does.
#[doc(hidden)]
#[derive(Debug)]
pub struct ThreadIndices(Mutex<Numbers>);

#[derive(Debug)]
struct Numbers {
    /// All numbers below this one have been handed out at some time.
    next: u32,
    free: Vec<u32>,
}

impl ThreadIndices {
    /// All numbers free.
    #[cfg(not(bolt_loom))]
    pub const fn new() -> Self {
        Self(Mutex::new(Numbers { next: 0, free: Vec::new() }))
    }

    /// All numbers free.
    #[cfg(bolt_loom)]
    pub fn new() -> Self {
        Self(Mutex::new(Numbers { next: 0, free: Vec::new() }))
    }

    /// The smallest free number.
    pub fn acquire(&self) -> Option<u32> {
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let smallest = numbers.free.iter().enumerate().min_by_key(|&(_, &number)| number).map(|(at, _)| at);
        if let Some(at) = smallest {
            return Some(numbers.free.swap_remove(at));
        }
        if numbers.next == u32::MAX {
            return None;
        }
        numbers.next += 1;
        Some(numbers.next - 1)
    }

    /// Gives a number back.
    pub fn release(&self, number: u32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).free.push(number);
    }
}

impl Default for ThreadIndices {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(not(bolt_loom))]
static INDICES: ThreadIndices = ThreadIndices::new();

thread_local! {
    /// Read on every operation of every pool: `const` and without a destructor, so that it costs one load.
    static INDEX: Cell<u32> = const { Cell::new(NO_LANE) };
    /// Touched on cold paths only. Its destructor is the end of the thread as far as pools are concerned.
    static END: RefCell<Option<ThreadEnd>> = const { RefCell::new(None) };
}

/// What a pool does when a thread that used it ends.
pub(crate) trait AtThreadEnd: Send + Sync {
    /// Called on the ending thread, whose number is still its own.
    fn thread_ends(&self, index: u32);
}

struct ThreadEnd {
    index: u32,
    /// Weak, so that a thread never keeps a pool alive.
    pools: Vec<Weak<dyn AtThreadEnd>>,
}

impl Drop for ThreadEnd {
    fn drop(&mut self) {
        // First of all: values dropped below may use pools, and from here on they find this thread without a number.
        INDEX.set(NO_LANE);
        for pool in self.pools.drain(..) {
            if let Some(pool) = pool.upgrade() {
                pool.thread_ends(self.index);
                // Perhaps the last owner: destructors of pooled values then run here, and a panic that left a thread's
                // destructor would abort the process.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(pool)));
            }
        }
        #[cfg(not(bolt_loom))]
        INDICES.release(self.index);
    }
}

/// This thread's number where it can have a lane, otherwise [`NO_LANE`]. Never above that.
///
/// Cost: one thread-local load, half a nanosecond.
#[inline(always)]
pub(crate) fn current() -> u32 {
    INDEX.get()
}

/// This thread's number after remembering that `pool` has to hear of the thread's end. `None`, and nothing is remembered: the number
/// is not below `threads_max`, the thread is ending, or this call came from inside another one.
#[cold]
pub(crate) fn enroll(pool: Weak<dyn AtThreadEnd>, threads_max: usize) -> Option<u32> {
    // Values that go out of scope are dropped after the borrow: dropping runs the allocator, which is somebody's code.
    let mut forgotten = Vec::new();
    let index = END
        .try_with(|end| {
            let mut end = end.try_borrow_mut().ok()?;
            let end = match &mut *end {
                Some(end) => end,
                none => none.insert(ThreadEnd { index: new_index()?, pools: Vec::new() }),
            };
            if end.index as usize >= threads_max.min(THREADS_LIMIT) {
                return None;
            }
            if end.pools.len() == end.pools.capacity() {
                // About to grow: pools that are gone make room first, so the list stays within twice the living ones.
                let (living, gone): (Vec<_>, Vec<_>) =
                    end.pools.drain(..).partition(|pool| pool.strong_count() > 0);
                end.pools = living;
                forgotten = gone;
            }
            end.pools.push(pool);
            Some(end.index)
        })
        .ok()
        .flatten();
    if let Some(index) = index {
        INDEX.set(index);
    }
    drop(forgotten);
    index
}

#[cfg(not(bolt_loom))]
fn new_index() -> Option<u32> {
    INDICES.acquire()
}

/// Loom's threads share one thread of the system, so a thread-local would give them all the same number: they get none, and
/// the models pass numbers explicitly.
#[cfg(bolt_loom)]
fn new_index() -> Option<u32> {
    None
}

/// Boxes nothing: names the conversion once, so that callers need not spell out the trait object.
pub(crate) fn weak<P: AtThreadEnd + 'static>(pool: &Arc<P>) -> Weak<dyn AtThreadEnd> {
    let pool: Weak<P> = Arc::downgrade(pool);
    pool
}

#[cfg(all(test, not(bolt_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_free_number_comes_first() {
        let indices = ThreadIndices::new();
        assert_eq!([indices.acquire(), indices.acquire(), indices.acquire()], [Some(0), Some(1), Some(2)]);
        indices.release(2);
        indices.release(0);
        assert_eq!([indices.acquire(), indices.acquire(), indices.acquire()], [Some(0), Some(2), Some(3)]);
    }

    #[test]
    fn a_thread_remembers_living_pools_only() {
        struct Quiet;
        impl AtThreadEnd for Quiet {
            fn thread_ends(&self, _: u32) {}
        }
        std::thread::spawn(|| {
            let kept = Arc::new(Quiet);
            let first = enroll(weak(&kept), THREADS_LIMIT);
            assert!(first.is_some());
            for _ in 0..if cfg!(miri) { 50 } else { 1000 } {
                assert_eq!(enroll(weak(&Arc::new(Quiet)), THREADS_LIMIT), first);
                assert_eq!(
                    enroll(weak(&kept), 0),
                    None,
                    "a pool without a lane for this thread is not remembered"
                );
            }
            END.with_borrow(|end| {
                let remembered = end.as_ref().expect("enrolled").pools.len();
                assert!(remembered <= 16, "{remembered} pools remembered, of which one lives");
            });
            assert_eq!(current(), first.unwrap());
        })
        .join()
        .unwrap();
    }
}
