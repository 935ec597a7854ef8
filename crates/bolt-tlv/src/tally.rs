//! Owns [`Tally`], a counter of events. Nobody orders anything by it. Limit: it counts in 64 bits where the target has such atomics,
//! and wraps at the width of an address elsewhere.

use bolt_sync::atomic::Ordering;

#[cfg(target_has_atomic = "64")]
use bolt_sync::atomic::AtomicU64 as Word;
#[cfg(not(target_has_atomic = "64"))]
use bolt_sync::atomic::AtomicUsize as Word;

#[cfg(not(target_has_atomic = "64"))]
type Value = usize;
#[cfg(target_has_atomic = "64")]
type Value = u64;

/// How often something happened. Every access is relaxed: statistics, exact when nothing moves.
#[derive(Debug)]
pub(crate) struct Tally(Word);

impl Tally {
    pub(crate) fn new() -> Self {
        Self(Word::new(0))
    }

    #[inline(always)]
    pub(crate) fn add(&self, events: usize) {
        self.0.fetch_add(events as Value, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        let count: Value = self.0.load(Ordering::Relaxed);
        #[allow(clippy::useless_conversion, reason = "an address is narrower on some targets")]
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// Stores the count of `other` as it is and says whether that is news.
    pub(crate) fn follow(&self, other: &Self) -> bool {
        let count = other.0.load(Ordering::Relaxed);
        self.0.swap(count, Ordering::Relaxed) != count
    }
}
