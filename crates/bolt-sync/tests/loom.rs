//! Loom models of `SlotList` and of the ring, and broken twins that must fail.
//!
//! Run: `RUSTFLAGS="--cfg bolt_loom" cargo test -p bolt-sync --release --test loom`. Two threads are explored without a bound;
//! three threads and two rounds each under a bound of preemptions, which `LOOM_MAX_PREEMPTIONS` overrides.
#![cfg(bolt_loom)]

use std::panic::catch_unwind;

use bolt_sync::atomic::{AtomicU32, AtomicU64, Ordering};
use bolt_sync::cell::UnsafeCell;
use bolt_sync::ring::{self, Ring};
use bolt_sync::sync::Arc;
use bolt_sync::{Link, SlotList, thread};

/// What a model needs of a list; the twins implement it too, so that all run the very same body.
trait List: Send + Sync + 'static {
    fn new() -> Self;
    fn pop(&self) -> Option<u32>;
    fn push(&self, index: u32);
}

impl<const N: usize> List for SlotList<[Link; N]> {
    fn new() -> Self {
        SlotList::array()
    }
    fn pop(&self) -> Option<u32> {
        SlotList::pop(self)
    }
    fn push(&self, index: u32) {
        SlotList::push(self, index).expect("a slot this thread owns is accepted");
    }
}

/// A copy of the algorithm with one piece taken out: the generation, or the Release of `push`.
struct Twin<const N: usize, const GENERATION: bool, const RELEASE: bool> {
    head: AtomicU64,
    links: [AtomicU32; N],
}

impl<const N: usize, const GENERATION: bool, const RELEASE: bool> List for Twin<N, GENERATION, RELEASE> {
    fn new() -> Self {
        Self { head: AtomicU64::new(0), links: std::array::from_fn(|i| AtomicU32::new(i as u32 + 1)) }
    }
    fn pop(&self) -> Option<u32> {
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let index = head as u32;
            let next = self.links.get(index as usize)?.load(Ordering::Relaxed);
            let new = (head & !0xffff_ffff) | u64::from(next);
            match self.head.compare_exchange_weak(head, new, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(index),
                Err(seen) => head = seen,
            }
        }
    }
    fn push(&self, index: u32) {
        let release = if RELEASE { Ordering::Release } else { Ordering::Relaxed };
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            self.links[index as usize].store(head as u32, Ordering::Relaxed);
            let generation = if GENERATION { (head >> 32) + 1 } else { 0 };
            let new = (generation << 32) | u64::from(index);
            match self.head.compare_exchange_weak(head, new, release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(seen) => head = seen,
            }
        }
    }
}

/// The slots the indices stand for: loom reports any access to one cell by two threads at once, or unordered.
struct Slots<const N: usize>([UnsafeCell<u32>; N]);

// SAFETY: loom runs one thread at a time and reports every unordered pair of accesses itself; that report is the test.
unsafe impl<const N: usize> Sync for Slots<N> {}

impl<const N: usize> Slots<N> {
    fn new() -> Self {
        Self(std::array::from_fn(|_| UnsafeCell::new(0)))
    }
    fn write(&self, index: u32) {
        self.0[index as usize].with_mut(|slot| {
            // SAFETY: the pointer is valid for the call; exclusive access is what loom checks here.
            unsafe { *slot += 1 }
        });
    }
}

/// `threads` threads that each take one slot, write it and give it back, `rounds` times.
fn take_write_return<L: List, const N: usize>(threads: usize, rounds: usize) {
    let shared = Arc::new((L::new(), Slots::<N>::new()));
    let body = move |shared: &(L, Slots<N>)| {
        for _ in 0..rounds {
            if let Some(slot) = shared.0.pop() {
                shared.1.write(slot);
                shared.0.push(slot);
            }
        }
    };
    let others: Vec<_> = (1..threads)
        .map(|_| {
            let shared = shared.clone();
            thread::spawn(move || body(&shared))
        })
        .collect();
    body(&shared);
    for other in others {
        other.join().unwrap();
    }
    all_back::<L, N>(&shared.0);
}

/// One thread stands in `pop` while the other takes two slots and returns the first: the ABA shape.
fn aba<L: List, const N: usize>() {
    let shared = Arc::new((L::new(), Slots::<N>::new()));
    let other = {
        let shared = shared.clone();
        thread::spawn(move || {
            let first = shared.0.pop();
            let second = shared.0.pop();
            if let Some(slot) = first {
                shared.1.write(slot);
                shared.0.push(slot);
            }
            if let Some(slot) = second {
                shared.1.write(slot);
            }
            second
        })
    };
    let one = shared.0.pop();
    if let Some(slot) = one {
        shared.1.write(slot);
    }
    let two = shared.0.pop();
    if let Some(slot) = two {
        shared.1.write(slot);
    }
    let held = other.join().unwrap();
    for (a, b) in [(one, two), (one, held), (two, held)] {
        assert!(a.is_none() || a != b, "one slot has two owners");
    }
    for slot in [one, two, held].into_iter().flatten() {
        shared.0.push(slot);
    }
    all_back::<L, N>(&shared.0);
}

fn all_back<L: List, const N: usize>(list: &L) {
    let mut seen = [false; N];
    while let Some(slot) = list.pop() {
        assert!(!std::mem::replace(&mut seen[slot as usize], true), "slot {slot} is in the list twice");
    }
    assert!(seen.iter().all(|&s| s), "a slot was lost");
}

/// Explores a model under a bound of preemptions unless the environment sets another.
fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.max_branches = 100_000;
    builder.check(model);
}

#[test]
fn two_threads_two_slots_unbounded() {
    loom::model(take_write_return::<SlotList<[Link; 2]>, 2>.args(2, 1));
}

#[test]
fn two_threads_one_slot_unbounded() {
    loom::model(take_write_return::<SlotList<[Link; 1]>, 1>.args(2, 1));
}

#[test]
fn two_threads_two_rounds() {
    bounded(3, take_write_return::<SlotList<[Link; 2]>, 2>.args(2, 2));
}

#[test]
fn two_threads_aba_shape() {
    bounded(3, aba::<SlotList<[Link; 3]>, 3>);
}

#[test]
fn three_threads_two_slots() {
    bounded(2, take_write_return::<SlotList<[Link; 2]>, 2>.args(3, 1));
}

#[test]
fn the_twin_with_nothing_removed_passes() {
    bounded(3, aba::<Twin<3, true, true>, 3>);
    bounded(3, take_write_return::<Twin<2, true, true>, 2>.args(2, 1));
}

#[test]
fn broken_twin_without_generation_fails() {
    let verdict = catch_unwind(|| bounded(3, aba::<Twin<3, false, true>, 3>));
    assert!(verdict.is_err(), "the model did not notice that the generation is missing");
}

#[test]
fn broken_twin_without_release_fails() {
    let verdict = catch_unwind(|| bounded(3, take_write_return::<Twin<1, true, false>, 1>.args(2, 1)));
    assert!(verdict.is_err(), "the model did not notice that push no longer releases");
}

/// Binds the two arguments of a model body.
trait Args: Copy + Sync + Send + 'static {
    fn args(self, threads: usize, rounds: usize) -> impl Fn() + Sync + Send + 'static;
}

impl<F: Fn(usize, usize) + Copy + Sync + Send + 'static> Args for F {
    fn args(self, threads: usize, rounds: usize) -> impl Fn() + Sync + Send + 'static {
        move || self(threads, rounds)
    }
}

/// A copy of the ring of two slots with one ordering taken out. As in the ring, each side keeps its own index; a thread that loads a
/// word just before it stores to it would also hide the other side's load from loom's search.
struct RingTwin<const PUBLISH: bool, const FREE: bool> {
    tail: AtomicU32,
    head: AtomicU32,
    slots: [UnsafeCell<u32>; 2],
}

// SAFETY: as for `Slots`: loom reports each unordered pair of accesses.
unsafe impl<const PUBLISH: bool, const FREE: bool> Sync for RingTwin<PUBLISH, FREE> {}

const fn release(kept: bool) -> Ordering {
    if kept { Ordering::Release } else { Ordering::Relaxed }
}

impl<const PUBLISH: bool, const FREE: bool> RingTwin<PUBLISH, FREE> {
    fn new() -> Self {
        Self {
            tail: AtomicU32::new(0),
            head: AtomicU32::new(0),
            slots: std::array::from_fn(|_| UnsafeCell::new(0)),
        }
    }
    /// Called by one thread only, with its own index.
    fn push(&self, tail: &mut u32, value: u32) -> bool {
        if *tail - self.head.load(Ordering::Acquire) == 2 {
            return false;
        }
        self.slots[*tail as usize % 2].with_mut(|slot| {
            // SAFETY: valid for the call; exclusive access is what loom checks.
            unsafe { *slot = value }
        });
        *tail += 1;
        self.tail.store(*tail, release(PUBLISH));
        true
    }
    /// Called by one other thread only, with its own index.
    fn pop(&self, head: &mut u32) -> Option<u32> {
        if *head == self.tail.load(Ordering::Acquire) {
            return None;
        }
        let value = self.slots[*head as usize % 2].with(|slot| {
            // SAFETY: as above.
            unsafe { *slot }
        });
        *head += 1;
        self.head.store(*head, release(FREE));
        Some(value)
    }
}

/// Three values through two slots, so that a slot is used again; tries are bounded so that the search ends.
fn three_through_two(
    mut push: impl FnMut(u32) -> bool + Send + 'static,
    mut pop: impl FnMut() -> Option<u32>,
) {
    let sender = thread::spawn(move || {
        let mut next = 0;
        for _ in 0..4 {
            if next < 3 && push(next) {
                next += 1;
            }
        }
        next
    });
    let mut expected = 0;
    let mut take = |tries: u32| {
        for _ in 0..tries {
            if let Some(value) = pop() {
                assert_eq!(value, expected);
                expected += 1;
            }
        }
        expected
    };
    take(3);
    let sent = sender.join().unwrap();
    assert_eq!(take(3), sent, "a value was lost");
}

fn twin<const PUBLISH: bool, const FREE: bool>() {
    let ring = Arc::new(RingTwin::<PUBLISH, FREE>::new());
    let (mut tail, mut head) = (0, 0);
    let other = ring.clone();
    three_through_two(move |value| other.push(&mut tail, value), move || ring.pop(&mut head));
}

#[test]
fn ring_twin_with_nothing_removed_passes() {
    bounded(3, twin::<true, true>);
}

#[test]
fn broken_ring_twin_that_publishes_relaxed_fails() {
    let verdict = catch_unwind(|| bounded(3, twin::<false, true>));
    assert!(verdict.is_err(), "the model did not notice that values are published before they are written");
}

#[test]
fn broken_ring_twin_that_frees_relaxed_fails() {
    let verdict = catch_unwind(|| bounded(3, twin::<true, false>));
    assert!(verdict.is_err(), "the model did not notice that slots are written while they are read");
}

/// The same body over the ring itself: one by one, two slots.
#[test]
fn ring_one_by_one_wraps() {
    bounded(3, || {
        let (mut producer, mut consumer) = ring::with_capacity::<u32>(2).unwrap();
        three_through_two(move |value| producer.push(value).is_ok(), move || consumer.pop());
    });
}

#[test]
fn ring_batches_wrap() {
    bounded(3, || {
        let (mut producer, mut consumer) = ring::with_capacity::<u32>(2).unwrap();
        let sender = thread::spawn(move || {
            let mut next = producer.push_slice(&[0, 1, 2]) as u32;
            next += producer.push_iter(next..3) as u32;
            next
        });
        let mut seen = Vec::new();
        let mut out = [0; 2];
        let got = consumer.pop_slice(&mut out);
        seen.extend_from_slice(&out[..got]);
        consumer.pop_each(2, |value| seen.push(value));
        let sent = sender.join().unwrap();
        consumer.pop_each(2, |value| seen.push(value));
        assert!(seen.iter().copied().eq(0..sent), "{seen:?} of {sent}");
    });
}

/// Values left inside are dropped by whichever half goes last; loom's `Arc` reports a leak of the ring.
#[test]
fn ring_dropped_from_both_sides_drops_its_values_once() {
    loom::model(|| {
        let witness = Arc::new(AtomicU32::new(0));
        let (mut producer, mut consumer) = ring::with_capacity::<Arc<AtomicU32>>(2).unwrap();
        let value = witness.clone();
        let sender = thread::spawn(move || {
            producer.push(value).unwrap();
        });
        drop(consumer.pop());
        drop(consumer);
        sender.join().unwrap();
        assert_eq!(Arc::strong_count(&witness), 1);
    });
}

/// A ring in place goes from one pair of halves to the next, on another thread.
#[test]
fn ring_split_again_sees_what_was_left() {
    bounded(3, || {
        let ring = Arc::new(Ring::<u32, 2>::new());
        let other = {
            let ring = ring.clone();
            thread::spawn(move || {
                if let Ok((mut producer, _consumer)) = ring.split() {
                    producer.push(7).unwrap();
                }
            })
        };
        let here = ring.split().map(|(mut producer, mut consumer)| {
            let found = consumer.pop();
            assert!(matches!(found, None | Some(7)));
            producer.push(8).unwrap();
        });
        other.join().unwrap();
        let (_producer, mut consumer) = ring.split().expect("all halves are back");
        let mut left = 0;
        while let Some(value) = consumer.pop() {
            assert!(value == 7 || (value == 8 && here.is_ok()));
            left += 1;
        }
        assert!(left >= 1);
    });
}
