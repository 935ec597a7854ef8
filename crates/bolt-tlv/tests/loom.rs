//! Loom models of pools and shared frames over the public API, and broken twins of what they rest on, which must fail.
//!
//! Run: `cargo xtask loom bolt-tlv`. Two threads without a bound where that ends in seconds, otherwise under a bound of preemptions, which
//! `LOOM_MAX_PREEMPTIONS` overrides. The magazines and the ring have their models in bolt-sync; under loom a pool of
//! magazines goes through their locked part.
#![cfg(bolt_loom)]

use std::panic::catch_unwind;

use bolt_sync::atomic::{AtomicUsize, Ordering};
use bolt_sync::cell::UnsafeCell;
use bolt_sync::sync::Arc;
use bolt_sync::thread;
use bolt_tlv::{BufferPool, Exhausted, Strategy};

const STRATEGIES: [Strategy; 3] = [Strategy::List, Strategy::Mutex, Strategy::Magazines];

/// Explores a model under a bound of preemptions unless the environment sets another.
fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.max_branches = 100_000;
    builder.check(model);
}

fn pool(strategy: Strategy, capacity: usize) -> BufferPool {
    BufferPool::builder().strategy(strategy).exhausted(Exhausted::Error).with_size_class(64, capacity).build()
}

/// Takes a buffer if there is one, writes and reads it, and gives it back.
fn use_one(pool: &BufferPool, mark: u8) {
    if let Ok(mut buffer) = pool.acquire(4) {
        buffer.fill(mark);
        assert_eq!(&buffer[..], &[mark; 4]);
    }
}

#[test]
fn two_threads_take_write_and_return() {
    for strategy in STRATEGIES {
        for capacity in [1, 2] {
            bounded(2, move || {
                let pool = pool(strategy, capacity);
                let other = {
                    let pool = pool.clone();
                    thread::spawn(move || use_one(&pool, 1))
                };
                use_one(&pool, 2);
                other.join().unwrap();
                let stats = pool.stats().classes()[0];
                assert_eq!(stats.in_use, 0);
                assert!(stats.free >= 1 && stats.free <= capacity);
            });
        }
    }
}

#[test]
fn three_threads_share_one_frame_and_the_block_comes_home_once() {
    for strategy in STRATEGIES {
        bounded(2, move || {
            let pool = pool(strategy, 1);
            let mut buffer = pool.acquire(4).unwrap();
            buffer.fill(7);
            let frame = buffer.share();
            let others: Vec<_> = (0..2)
                .map(|_| {
                    let frame = frame.clone();
                    thread::spawn(move || assert_eq!(&frame[..], &[7; 4]))
                })
                .collect();
            drop(frame);
            // Loom sees every write of a block that somebody still reads: the block may be taken here only when all are done.
            if let Ok(mut again) = pool.acquire(4) {
                again.fill(8);
            }
            for other in others {
                other.join().unwrap();
            }
            let mut again = pool.acquire(4).expect("it came home");
            again.fill(9);
            assert_eq!(pool.stats().classes()[0].high_water, 1);
        });
    }
}

#[test]
fn a_frame_becomes_a_buffer_only_when_it_is_alone() {
    bounded(3, || {
        let pool = pool(Strategy::List, 1);
        let frame = pool.acquire(4).unwrap().share();
        let other = {
            let frame = frame.clone();
            thread::spawn(move || assert_eq!(frame.len(), 4))
        };
        match frame.try_into_buffer() {
            Ok(mut buffer) => buffer.fill(1),
            Err(frame) => assert_eq!(frame.len(), 4),
        }
        other.join().unwrap();
        assert_eq!(pool.stats().in_use(), 0);
    });
}

#[test]
fn a_pool_ends_while_its_last_buffers_come_home() {
    for strategy in STRATEGIES {
        bounded(2, move || {
            let pool = pool(strategy, 2);
            let (one, other) = (pool.acquire(1).unwrap(), pool.acquire(1).unwrap());
            let handle = pool.clone();
            let a = thread::spawn(move || drop(one));
            let b = thread::spawn(move || drop(handle));
            drop(pool);
            drop(other);
            a.join().unwrap();
            b.join().unwrap();
        });
    }
}

/// Runs the two on two threads, and gives back what they shared.
fn race<T: Send + Sync + 'static>(shared: T, theirs: fn(&T), ours: fn(&T)) -> Arc<T> {
    let shared = Arc::new(shared);
    let other = {
        let shared = shared.clone();
        thread::spawn(move || theirs(&shared))
    };
    ours(&shared);
    other.join().unwrap();
    shared
}

/// A copy of the count in a shared block, with one piece taken out: the release of a holder, or the decrement as one operation.
struct Twin<const RELEASE: bool, const ONE_OPERATION: bool> {
    holders: AtomicUsize,
    payload: UnsafeCell<u32>,
    home: AtomicUsize,
}

// SAFETY: loom runs one thread at a time and reports every unordered pair of accesses itself; that report is the test.
unsafe impl<const R: bool, const O: bool> Sync for Twin<R, O> {}

impl<const R: bool, const O: bool> Twin<R, O> {
    fn leave(&self) {
        self.payload.with(|_| ());
        if self.holders.load(Ordering::Acquire) == 1 {
            return self.last();
        }
        let order = if R { Ordering::Release } else { Ordering::Relaxed };
        let before = if O {
            self.holders.fetch_sub(1, order)
        } else {
            let before = self.holders.load(Ordering::Acquire);
            self.holders.store(before - 1, order);
            before
        };
        if before == 1 {
            self.holders.load(Ordering::Acquire);
            self.last();
        }
    }

    fn last(&self) {
        self.payload.with_mut(|_| ());
        assert_eq!(self.home.fetch_add(1, Ordering::Relaxed), 0, "a block came home twice");
    }
}

fn twin<const R: bool, const O: bool>() {
    let twin =
        Twin::<R, O> { holders: AtomicUsize::new(2), payload: UnsafeCell::new(0), home: AtomicUsize::new(0) };
    let twin = race(twin, Twin::leave, Twin::leave);
    assert_eq!(twin.home.load(Ordering::Relaxed), 1, "a block never came home");
}

#[test]
fn the_twin_with_nothing_removed_passes() {
    bounded(3, twin::<true, true>);
}

#[test]
fn broken_twin_whose_holders_do_not_release_fails() {
    assert!(
        catch_unwind(|| bounded(3, twin::<false, true>)).is_err(),
        "the model did not notice the missing Release"
    );
}

#[test]
fn broken_twin_that_counts_in_two_operations_fails() {
    assert!(
        catch_unwind(|| bounded(3, twin::<true, false>)).is_err(),
        "the model did not notice the torn decrement"
    );
}

/// A copy of how a list ends, with the closing mark apart from the count: closer and giver may both see the other unfinished, or both
/// see the end.
struct End<const ONE_WORD: bool> {
    out: AtomicUsize,
    closed: AtomicUsize,
    said: AtomicUsize,
}

const CLOSED: usize = 1 << (usize::BITS - 1);

impl<const ONE_WORD: bool> End<ONE_WORD> {
    fn give(&self) {
        let last = if ONE_WORD {
            self.out.fetch_sub(1, Ordering::AcqRel) == CLOSED | 1
        } else {
            self.out.fetch_sub(1, Ordering::AcqRel) == 1 && self.closed.load(Ordering::Acquire) == 1
        };
        if last {
            self.said.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn close(&self) {
        let last = if ONE_WORD {
            self.out.fetch_or(CLOSED, Ordering::AcqRel) == 0
        } else {
            self.closed.store(1, Ordering::Release);
            self.out.load(Ordering::Acquire) == 0
        };
        if last {
            self.said.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn end<const ONE_WORD: bool>() {
    let end =
        End::<ONE_WORD> { out: AtomicUsize::new(1), closed: AtomicUsize::new(0), said: AtomicUsize::new(0) };
    let end = race(end, End::give, End::close);
    assert_eq!(end.said.load(Ordering::Relaxed), 1, "the end is said once");
}

#[test]
fn the_end_is_said_once() {
    bounded(3, end::<true>);
}

#[test]
fn broken_twin_whose_closing_mark_is_apart_fails() {
    assert!(
        catch_unwind(|| bounded(3, end::<false>)).is_err(),
        "the model did not notice the mark apart from the count"
    );
}

/// A copy of how a class with magazines ends: a giver that misses the close, a closer that counts before the return, and somebody who
/// looks again.
struct Late<const LOOKS_AGAIN: bool, const RELEASE: bool> {
    ended: AtomicUsize,
    kept: AtomicUsize,
    said: AtomicUsize,
    freed: AtomicUsize,
    block: UnsafeCell<u32>,
}

// SAFETY: loom runs one thread at a time and reports every unordered pair of accesses itself; that report is the test.
unsafe impl<const L: bool, const R: bool> Sync for Late<L, R> {}

impl<const L: bool, const R: bool> Late<L, R> {
    fn give(&self) {
        let ended = self.ended.load(Ordering::Acquire) == 1;
        self.block.with_mut(|_| ());
        self.kept.store(1, if R { Ordering::Release } else { Ordering::Relaxed });
        if ended {
            self.look();
        }
    }

    fn close(&self) {
        self.ended.swap(1, Ordering::SeqCst);
        self.look();
    }

    fn look(&self) {
        if self.kept.load(Ordering::Acquire) == 1 && self.said.swap(1, Ordering::AcqRel) == 0 {
            self.block.with_mut(|_| ());
            self.freed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn late<const L: bool, const R: bool>() {
    let late = Late::<L, R> {
        ended: AtomicUsize::new(0),
        kept: AtomicUsize::new(0),
        said: AtomicUsize::new(0),
        freed: AtomicUsize::new(0),
        block: UnsafeCell::new(0),
    };
    let late = race(late, Late::give, Late::close);
    if L {
        late.look();
    }
    assert_eq!(late.freed.load(Ordering::Relaxed), 1, "the memory goes once");
}

#[test]
fn an_end_that_nobody_noticed_is_found_later() {
    bounded(3, late::<true, true>);
}

#[test]
fn broken_twin_that_does_not_look_again_fails() {
    assert!(
        catch_unwind(|| bounded(3, late::<false, true>)).is_err(),
        "the model did not notice the end that nobody noticed"
    );
}

#[test]
fn broken_twin_whose_return_is_not_released_fails() {
    assert!(
        catch_unwind(|| bounded(3, late::<true, false>)).is_err(),
        "the model did not notice the block freed under its giver"
    );
}
