//! Loom models of the shared pool, and broken twins that must fail.
//!
//! Run: `cargo xtask loom bolt-triple`. A batch is touched at both ends of each loan, so loom reports two loans of one batch that are not ordered.
//! The ring and the list beneath have models of their own in bolt-sync, the list's with three threads; with the tokens and their ends three threads are more
//! than loom gets through where all of them take, so there are two then.
#![cfg(bolt_loom)]

use std::panic::catch_unwind;

use bolt_sync::atomic::{AtomicU32, Ordering};
use bolt_sync::cell::UnsafeCell;
use bolt_sync::sync::Arc;
use bolt_sync::thread;
use bolt_triple::{PoolError, ShardedPool, Triple};

/// Explores a model under a bound of preemptions unless the environment sets another.
fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.max_branches = 100_000;
    builder.check(model);
}

/// What a model needs of a pool of two batches in two shards; the twins implement it too.
trait Shared: Send + Sync + 'static {
    fn new() -> Self;
    /// Takes a batch, writes `value` into it, reads it back, returns it. False when all are out.
    fn use_one(&self, home: usize, value: u64) -> bool;
    /// True if every batch can be taken at once.
    fn all_there(&self) -> bool;
}

impl Shared for ShardedPool<2, 1> {
    fn new() -> Self {
        ShardedPool::new()
    }
    fn use_one(&self, home: usize, value: u64) -> bool {
        match self.get_soa_near(home, 1) {
            Ok(mut soa) => {
                soa.set(0, Triple::new(value, value, value)).expect("one long");
                assert_eq!(soa.get(0), Some(Triple::new(value, value, value)));
                true
            }
            Err(error) => {
                // Fewer in use: they lie ready near another thread.
                assert!(
                    matches!(error, PoolError::ExhaustedCapacity { in_use: 0..=2, total: 2 }),
                    "{error:?}"
                );
                false
            }
        }
    }
    fn all_there(&self) -> bool {
        let both = (soon(self), soon(self));
        let third = self.get_soa_near(1, 1).is_err();
        drop(both);
        third
    }
}

/// A pool of two shards of one batch each, as a flag and a cell; with a piece taken out of it.
struct Twin<const EXCHANGE: bool, const RELEASE: bool> {
    taken: [AtomicU32; 2],
    cells: [UnsafeCell<u64>; 2],
}

// SAFETY: loom reports every unordered pair of accesses itself; that report is the test.
unsafe impl<const EXCHANGE: bool, const RELEASE: bool> Sync for Twin<EXCHANGE, RELEASE> {}

impl<const EXCHANGE: bool, const RELEASE: bool> Twin<EXCHANGE, RELEASE> {
    fn take(&self, shard: usize) -> bool {
        let taken = &self.taken[shard];
        if EXCHANGE {
            taken.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
        } else {
            // Looks and then takes: another thread may look in between.
            taken.load(Ordering::Acquire) == 0 && {
                taken.store(1, Ordering::Relaxed);
                true
            }
        }
    }
    fn give(&self, shard: usize) {
        self.taken[shard].store(0, if RELEASE { Ordering::Release } else { Ordering::Relaxed });
    }
}

impl<const EXCHANGE: bool, const RELEASE: bool> Shared for Twin<EXCHANGE, RELEASE> {
    fn new() -> Self {
        Self {
            taken: [AtomicU32::new(0), AtomicU32::new(0)],
            cells: [UnsafeCell::new(0), UnsafeCell::new(0)],
        }
    }
    fn use_one(&self, home: usize, value: u64) -> bool {
        let Some(shard) = [home, 1 - home].into_iter().find(|&shard| self.take(shard)) else { return false };
        self.cells[shard].with_mut(|cell| {
            // SAFETY: valid for the call; exclusive access is what loom checks.
            unsafe { *cell = value }
        });
        self.give(shard);
        true
    }
    fn all_there(&self) -> bool {
        self.take(0) && self.take(1)
    }
}

/// A batch that is there, or lies ready near a joined thread: it is anybody's as soon as that thread's locals are gone, a little after the join.
fn soon<const S: usize, const N: usize>(pool: &ShardedPool<S, N>) -> bolt_triple::SharedSoa<'_, N> {
    loop {
        match pool.get_soa_near(0, 1) {
            Ok(soa) => break soa,
            Err(_) => thread::yield_now(),
        }
    }
}

/// `threads` threads that each use a batch `rounds` times, all from the same home shard, so that they meet and help themselves elsewhere.
fn users<P: Shared>(threads: usize, rounds: usize) {
    let pool = Arc::new(P::new());
    let work = move |pool: &P, me: usize| {
        for round in 0..rounds {
            pool.use_one(0, (me * 10 + round) as u64);
        }
    };
    let others: Vec<_> = (1..threads)
        .map(|me| {
            let pool = pool.clone();
            thread::spawn(move || work(&pool, me))
        })
        .collect();
    work(&pool, 0);
    for other in others {
        other.join().unwrap();
    }
    assert!(pool.all_there(), "a batch was lost, or is there twice");
}

#[test]
fn two_threads_on_one_shard() {
    bounded(3, || users::<ShardedPool<2, 1>>(2, 1));
}

#[test]
fn two_threads_two_rounds() {
    bounded(2, || users::<ShardedPool<2, 1>>(2, 2));
}

/// A batch goes to another thread and comes back from there.
#[test]
fn a_batch_returned_elsewhere_is_seen_whole() {
    bounded(3, || {
        let pool = Arc::new(ShardedPool::<1, 1>::new());
        // A guard borrows its pool, so the pool outlives the model's threads.
        let here = pool.clone();
        let other = thread::spawn(move || {
            if let Ok(mut soa) = here.get_soa_near(0, 1) {
                soa.set(0, Triple::new(1, 2, 3)).unwrap();
            }
        });
        if let Ok(soa) = pool.get_soa_near(0, 1) {
            let triple = soa.get(0).unwrap();
            assert!(triple == Triple::new(1, 2, 3) || triple == Triple::new(0, 0, 0), "{triple:?}");
        }
        other.join().unwrap();
        let soa = soon(&pool);
        assert_eq!(pool.capacity_usage().soa_buffers_in_use, 1);
        drop(soa);
    });
}

/// Two batches of one shard come back on two other threads while their owner takes what has come back.
#[test]
fn what_comes_back_elsewhere_is_taken_whole_and_once() {
    bounded(2, || {
        let pool: &'static ShardedPool<1, 2> = Box::leak(Box::new(ShardedPool::new()));
        let sent = [1, 2].map(|value| {
            let mut soa = pool.get_soa_near(0, 1).unwrap();
            soa.set(0, Triple::new(value, value, value)).unwrap();
            soa
        });
        let others = sent.map(|soa| {
            thread::spawn(move || {
                let mut soa = soa;
                let value = soa.get(0).unwrap().subject + 10;
                soa.set(0, Triple::new(value, value, value)).unwrap();
            })
        });
        let early = pool.get_soa_near(0, 1).ok().map(|soa| soa.get(0).unwrap());
        assert!(early.is_none_or(|triple| [11, 12].contains(&triple.subject)), "{early:?}");
        others.into_iter().for_each(|other| other.join().unwrap());
        let both = [pool.get_soa_near(0, 1).unwrap(), pool.get_soa_near(0, 1).unwrap()];
        assert!(pool.get_soa_near(0, 1).is_err(), "a batch is there twice");
        assert_eq!(pool.capacity_usage().soa_buffers_in_use, 2);
        drop(both);
    });
}

/// What comes back elsewhere, as a chain of two cells; with a piece taken out of it: the return releases nothing, the taking acquires nothing, or the
/// taking looks first and forgets afterwards.
struct ChainTwin<const RELEASE: bool, const ACQUIRE: bool, const EXCHANGE: bool> {
    head: AtomicU32,
    before: [AtomicU32; 2],
    cells: [UnsafeCell<u64>; 2],
}

// SAFETY: loom reports every unordered pair of accesses itself; that report is the test.
unsafe impl<const R: bool, const A: bool, const E: bool> Sync for ChainTwin<R, A, E> {}

impl<const RELEASE: bool, const ACQUIRE: bool, const EXCHANGE: bool> ChainTwin<RELEASE, ACQUIRE, EXCHANGE> {
    fn write(&self, index: u32) {
        self.cells[index as usize].with_mut(|cell| {
            // SAFETY: valid for the call; exclusive access is what loom checks.
            unsafe { *cell += 1 }
        });
    }

    fn give(&self, index: u32) {
        let order = if RELEASE { Ordering::Release } else { Ordering::Relaxed };
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            self.before[index as usize].store(head, Ordering::Relaxed);
            match self.head.compare_exchange_weak(head, index + 1, order, Ordering::Relaxed) {
                Ok(_) => return,
                Err(seen) => head = seen,
            }
        }
    }

    /// How many it took.
    fn take_all(&self) -> u32 {
        let order = if ACQUIRE { Ordering::Acquire } else { Ordering::Relaxed };
        let mut next = if EXCHANGE {
            self.head.swap(0, order)
        } else {
            let seen = self.head.load(order);
            self.head.store(0, Ordering::Relaxed);
            seen
        };
        let mut taken = 0;
        while let Some(index) = next.checked_sub(1) {
            next = self.before[index as usize].load(Ordering::Relaxed);
            self.write(index);
            taken += 1;
        }
        taken
    }

    fn model() {
        let zero = || AtomicU32::new(0);
        let cells = [UnsafeCell::new(0), UnsafeCell::new(0)];
        let twin = Arc::new(Self { head: zero(), before: [zero(), zero()], cells });
        let others = [0, 1].map(|index| {
            let there = twin.clone();
            thread::spawn(move || {
                there.write(index);
                there.give(index);
            })
        });
        let early = twin.take_all();
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(early + twin.take_all(), 2, "one was lost, or is there twice");
    }
}

#[test]
fn the_chain_twin_with_nothing_removed_passes() {
    bounded(3, ChainTwin::<true, true, true>::model);
}

#[test]
fn broken_chain_twin_that_returns_relaxed_fails() {
    let verdict = catch_unwind(|| bounded(3, ChainTwin::<false, true, true>::model));
    assert!(verdict.is_err(), "the model did not notice that a return no longer releases");
}

#[test]
fn broken_chain_twin_that_takes_relaxed_fails() {
    let verdict = catch_unwind(|| bounded(3, ChainTwin::<true, false, true>::model));
    assert!(verdict.is_err(), "the model did not notice that the taking no longer acquires");
}

#[test]
fn broken_chain_twin_that_looks_and_then_takes_fails() {
    let verdict = catch_unwind(|| bounded(3, ChainTwin::<true, true, false>::model));
    assert!(verdict.is_err(), "the model did not notice that a return between look and taking is lost");
}

/// The owner is asked by a thread that found nothing, and puts what it holds ready on the list with its next call.
#[test]
fn what_an_owner_holds_ready_comes_when_asked() {
    bounded(2, || {
        let pool = Arc::new(ShardedPool::<1, 1>::new());
        assert!(pool.use_any(1), "this thread owns the shard now, and the one batch lies ready");
        let there = pool.clone();
        let other = thread::spawn(move || there.use_any(2));
        let first = pool.use_any(3);
        other.join().unwrap();
        assert!(first || pool.use_any(4));
        // Whoever was refused has asked; the owner's last call has answered.
        assert!(pool.use_any(5));
    });
}

trait UseAny {
    fn use_any(&self, value: u64) -> bool;
}

impl<const S: usize, const N: usize> UseAny for ShardedPool<S, N> {
    fn use_any(&self, value: u64) -> bool {
        self.get_soa_near(0, 1)
            .map(|mut soa| soa.set(0, Triple::new(value, value, value)).expect("one long"))
            .is_ok()
    }
}

/// The lane of a shard, as a cell behind its owner's word and the owner's life (0 before, 2 while, 4 after it), with a piece taken out of it: whether
/// the owner lives is not asked, its end releases nothing, or the word that says who it is releases nothing.
struct LaneTwin<const ASKS: bool, const END: bool, const WORD: bool> {
    owner: AtomicU32,
    life: AtomicU32,
    cell: UnsafeCell<u64>,
}

// SAFETY: loom reports every unordered pair of accesses itself; that report is the test.
unsafe impl<const ASKS: bool, const END: bool, const WORD: bool> Sync for LaneTwin<ASKS, END, WORD> {}

impl<const ASKS: bool, const END: bool, const WORD: bool> LaneTwin<ASKS, END, WORD> {
    fn claim(&self, found: u32, me: u32) {
        let order = if WORD { Ordering::AcqRel } else { Ordering::Relaxed };
        if self.owner.compare_exchange(found, me, order, Ordering::Relaxed).is_ok() {
            self.cell.with_mut(|cell| {
                // SAFETY: valid for the call; exclusive access is what loom checks.
                unsafe { *cell += 1 }
            });
        }
    }

    fn model() {
        let zero = || AtomicU32::new(0);
        let twin = Arc::new(Self { owner: zero(), life: zero(), cell: UnsafeCell::new(0) });
        let there = twin.clone();
        let other = thread::spawn(move || {
            there.life.store(2, Ordering::Relaxed);
            there.claim(0, 2);
            there.life.store(4, if END { Ordering::Release } else { Ordering::Relaxed });
        });
        let found = twin.owner.load(if WORD { Ordering::Acquire } else { Ordering::Relaxed });
        if found == 0 || !ASKS || twin.life.load(Ordering::Acquire) != found {
            twin.claim(found, 6);
        }
        other.join().unwrap();
    }
}

#[test]
fn the_lane_twin_with_nothing_removed_passes() {
    bounded(3, LaneTwin::<true, true, true>::model);
}

#[test]
fn broken_lane_twin_that_takes_from_the_living_fails() {
    let verdict = catch_unwind(|| bounded(3, LaneTwin::<false, true, true>::model));
    assert!(verdict.is_err(), "the model did not notice that a lane has two users");
}

#[test]
fn broken_lane_twin_whose_end_releases_nothing_fails() {
    let verdict = catch_unwind(|| bounded(3, LaneTwin::<true, false, true>::model));
    assert!(verdict.is_err(), "the model did not notice that the end of a thread no longer releases");
}

#[test]
fn the_twin_with_nothing_removed_passes() {
    bounded(3, || users::<Twin<true, true>>(2, 2));
}

#[test]
fn broken_twin_that_looks_and_then_takes_fails() {
    let verdict = catch_unwind(|| bounded(3, || users::<Twin<false, true>>(2, 1)));
    assert!(verdict.is_err(), "the model did not notice that a batch has two users");
}

#[test]
fn broken_twin_that_returns_relaxed_fails() {
    let verdict = catch_unwind(|| bounded(3, || users::<Twin<true, false>>(2, 1)));
    assert!(verdict.is_err(), "the model did not notice that a return no longer releases");
}

#[test]
fn broken_lane_twin_whose_word_releases_nothing_fails() {
    let verdict = catch_unwind(|| bounded(3, LaneTwin::<true, true, false>::model));
    assert!(
        verdict.is_err(),
        "the model did not notice that an owner that has just begun looks as if it had ended"
    );
}
