//! Loom models of `SlotList`, of the ring and of the magazines, each with broken twins that must fail.
//!
//! Run: `RUSTFLAGS="--cfg bolt_loom" cargo test -p bolt-sync --release --test loom`. Two threads are explored without a bound;
//! three threads and two rounds each under a bound of preemptions, which `LOOM_MAX_PREEMPTIONS` overrides.
#![cfg(bolt_loom)]

use std::panic::catch_unwind;

use bolt_sync::atomic::{AtomicU32, AtomicU64, Ordering};
use bolt_sync::cell::UnsafeCell;
use bolt_sync::magazine::{Depot, MagazineConfig, ThreadIndices};
use bolt_sync::ring::{self, Ring};
use bolt_sync::sync::Arc;
use bolt_sync::{Link, SlotList, thread};
use magazine_numbers::{Counted, Shut};

#[path = "loom/magazine_numbers.rs"]
mod magazine_numbers;

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

/// What the models of magazines need; the twin implements it too. A lane is used by one thread at a time: that is what the models vary.
trait Lanes: Send + Sync + 'static {
    fn new(items_max: usize, lanes: usize) -> Self;
    fn begin(&self, lane: u32);
    fn take(&self, lane: u32) -> Option<u32>;
    fn give(&self, lane: u32, item: u32) -> bool;
    fn end(&self, lane: u32);
    /// What a thread without a lane does.
    fn take_without(&self) -> Option<u32>;
}

impl Lanes for Depot<u32> {
    fn new(items_max: usize, lanes: usize) -> Self {
        let config = MagazineConfig::new(items_max).magazine_items(1).threads_max(lanes);
        Depot::new(config).expect("small")
    }
    fn begin(&self, lane: u32) {
        // SAFETY: the model gives each lane to one thread at a time; loom reports where it does not.
        assert!(unsafe { self.begin_lane(lane) });
    }
    fn take(&self, lane: u32) -> Option<u32> {
        // SAFETY: as above.
        unsafe { self.take_as(lane) }
    }
    fn give(&self, lane: u32, item: u32) -> bool {
        // SAFETY: as above.
        unsafe { self.give_as(lane, item) }.is_ok()
    }
    fn end(&self, lane: u32) {
        // SAFETY: as above.
        unsafe { self.end_lane(lane) }
    }
    fn take_without(&self) -> Option<u32> {
        self.take_locked()
    }
}

/// Magazines of one item each in front of a shelf with a place for each item, with one piece taken out: the flush at the end of a
/// thread, or the Release and Acquire of the exchange.
struct LanesTwin<const FLUSH: bool, const ORDERED: bool> {
    lanes: Vec<UnsafeCell<Option<u32>>>,
    /// Place `item` holds `item + 1` when it lies there, or 0.
    shelf: [AtomicU32; 2],
}

// SAFETY: loom reports unordered accesses to a lane; that report is the test.
unsafe impl<const FLUSH: bool, const ORDERED: bool> Sync for LanesTwin<FLUSH, ORDERED> {}

impl<const FLUSH: bool, const ORDERED: bool> LanesTwin<FLUSH, ORDERED> {
    fn swap(&self, lane: u32, new: Option<u32>) -> Option<u32> {
        self.lanes[lane as usize].with_mut(|slot| {
            // SAFETY: the pointer is valid for the call; exclusive access is what loom checks here.
            let slot = unsafe { &mut *slot };
            std::mem::replace(slot, new)
        })
    }
    fn put(&self, item: u32) {
        let order = if ORDERED { Ordering::Release } else { Ordering::Relaxed };
        self.shelf[item as usize].swap(item + 1, order);
    }
    fn find(&self) -> Option<u32> {
        let order = if ORDERED { Ordering::Acquire } else { Ordering::Relaxed };
        self.shelf.iter().find_map(|place| place.swap(0, order).checked_sub(1))
    }
}

impl<const FLUSH: bool, const ORDERED: bool> Lanes for LanesTwin<FLUSH, ORDERED> {
    fn new(_: usize, lanes: usize) -> Self {
        Self { lanes: (0..lanes).map(|_| UnsafeCell::new(None)).collect(), shelf: Default::default() }
    }
    fn begin(&self, _: u32) {}
    fn take(&self, lane: u32) -> Option<u32> {
        self.swap(lane, None).or_else(|| self.find())
    }
    fn give(&self, lane: u32, item: u32) -> bool {
        // Full: the older item goes to the shelf.
        if let Some(older) = self.swap(lane, Some(item)) {
            self.put(older);
        }
        true
    }
    fn end(&self, lane: u32) {
        if FLUSH && let Some(item) = self.swap(lane, None) {
            self.put(item);
        }
    }
    fn take_without(&self) -> Option<u32> {
        self.find()
    }
}

/// One thread gives what it wrote, another takes and writes it: the exchange of magazines orders the two.
fn one_gives_another_takes<L: Lanes>() {
    let shared = Arc::new((L::new(4, 2), Slots::<2>::new()));
    let giver = {
        let shared = shared.clone();
        thread::spawn(move || {
            shared.0.begin(0);
            for item in 0..2 {
                shared.1.write(item);
                assert!(shared.0.give(0, item), "there is room for four");
            }
            shared.0.end(0);
        })
    };
    shared.0.begin(1);
    let mut found = Vec::new();
    for _ in 0..2 {
        if let Some(item) = shared.0.take(1) {
            shared.1.write(item);
            found.push(item);
        }
    }
    for &item in &found {
        shared.1.write(item);
    }
    giver.join().unwrap();
    while let Some(item) = shared.0.take(1).or_else(|| shared.0.take_without()) {
        shared.1.write(item);
        found.push(item);
    }
    found.sort_unstable();
    assert_eq!(found, [0, 1], "an item was lost, or came out twice");
}

/// `threads` threads take or make, write and give, each in its lane; nothing is lost but what was refused.
fn each_in_its_lane<L: Lanes>(threads: usize, items: usize) {
    let items = items as u32;
    let shared = Arc::new((L::new(2, threads), Slots::<8>::new()));
    let body = move |shared: &(L, Slots<8>), lane: u32| {
        shared.0.begin(lane);
        let mut refused = 0;
        for item in lane * items..(lane + 1) * items {
            shared.1.write(item);
            refused += u32::from(!shared.0.give(lane, item));
        }
        if let Some(item) = shared.0.take(lane) {
            shared.1.write(item);
            refused += u32::from(!shared.0.give(lane, item));
        }
        shared.0.end(lane);
        refused
    };
    let others: Vec<_> = (1..threads as u32)
        .map(|lane| {
            let shared = shared.clone();
            thread::spawn(move || body(&shared, lane))
        })
        .collect();
    let refused = body(&shared, 0) + others.into_iter().map(|other| other.join().unwrap()).sum::<u32>();
    let mut found: Vec<_> = std::iter::from_fn(|| shared.0.take_without()).collect();
    found.iter().for_each(|&item| shared.1.write(item));
    found.sort_unstable();
    let all = found.len();
    found.dedup();
    assert_eq!(all, found.len(), "an item came out twice");
    assert_eq!(all as u32 + refused, threads as u32 * items, "an item was lost");
    assert!(all <= 2, "the cap was passed");
}

/// A thread ends while another begins: the second may get the first one's number, and then finds its lane flushed.
fn a_number_changes_hands<L: Lanes, const FLUSH_FIRST: bool>() {
    let shared = Arc::new((L::new(4, 2), Slots::<2>::new(), ThreadIndices::new()));
    let body = |shared: &(L, Slots<2>, ThreadIndices), item: u32| {
        let lane = shared.2.acquire().expect("there are plenty");
        shared.0.begin(lane);
        shared.1.write(item);
        assert!(shared.0.give(lane, item), "there is room for four");
        if FLUSH_FIRST {
            shared.0.end(lane);
            shared.2.release(lane);
        } else {
            shared.2.release(lane);
            shared.0.end(lane);
        }
    };
    let other = {
        let shared = shared.clone();
        thread::spawn(move || body(&shared, 0))
    };
    body(&shared, 1);
    other.join().unwrap();
    let mut found: Vec<_> = std::iter::from_fn(|| shared.0.take_without()).collect();
    found.sort_unstable();
    assert_eq!(found, [0, 1], "an item was lost with its thread");
}

/// Two threads that believe the same lane is theirs: what the contract forbids, and what loom must see.
fn one_lane_for_two<L: Lanes>() {
    let shared = Arc::new(L::new(4, 2));
    shared.begin(0);
    let other = {
        let shared = shared.clone();
        thread::spawn(move || shared.give(0, 0))
    };
    shared.give(0, 1);
    other.join().unwrap();
}

impl Counted for Depot<u32> {
    fn new(magazine_items: usize) -> Self {
        let config = MagazineConfig::new(8 * magazine_items).magazine_items(magazine_items).threads_max(1);
        let depot = Depot::new(config).expect("small");
        // Here, since the pointer to a lane is not modelled, and loom would take its atomics for unordered.
        // SAFETY: one thread of the model alone uses it from here on.
        assert!(unsafe { depot.begin_lane(0) });
        depot
    }
    fn give(&self, item: u32) {
        // SAFETY: as above.
        assert_eq!(unsafe { self.give_as(0, item) }, Ok(()), "there is room for eight");
    }
    fn end(&self) {
        // SAFETY: as above.
        unsafe { self.end_lane(0) }
    }
    fn idle(&self) -> usize {
        self.counts().idle
    }
}

impl Shut for Depot<u32> {
    fn new() -> Self {
        <Self as Counted>::new(2)
    }
    fn give(&self, item: u32) {
        Counted::give(self, item);
    }
    fn give_short(&self, item: u32) -> bool {
        // SAFETY: one thread of the model at a time uses lane 0; loom reports where not.
        unsafe { self.give_short_as(0, item) }.is_ok()
    }
    fn flush(&self) {
        // SAFETY: as above.
        unsafe { self.flush_as(0) }
    }
    fn shut(&self) {
        self.shut_all();
    }
}

#[test]
fn magazines_one_gives_another_takes() {
    bounded(3, one_gives_another_takes::<Depot<u32>>);
}

#[test]
fn magazines_two_threads() {
    bounded(2, each_in_its_lane::<Depot<u32>>.args(2, 2));
}

#[test]
fn magazines_three_threads() {
    bounded(1, each_in_its_lane::<Depot<u32>>.args(3, 1));
}

#[test]
fn magazines_a_number_changes_hands() {
    bounded(3, a_number_changes_hands::<Depot<u32>, true>);
}

#[test]
fn magazines_twin_with_nothing_removed_passes() {
    bounded(3, one_gives_another_takes::<LanesTwin<true, true>>);
}

#[test]
fn magazines_broken_twin_whose_exchange_orders_nothing_fails() {
    let verdict = catch_unwind(|| bounded(3, one_gives_another_takes::<LanesTwin<true, false>>));
    assert!(verdict.is_err(), "the model did not notice that the exchange orders nothing");
}

#[test]
fn magazines_broken_twin_that_does_not_flush_fails() {
    let verdict = catch_unwind(|| bounded(3, one_gives_another_takes::<LanesTwin<false, true>>));
    assert!(verdict.is_err(), "the model did not notice that a thread took its items along");
}

#[test]
fn magazines_number_given_back_before_the_flush_fails() {
    let verdict = catch_unwind(|| bounded(3, a_number_changes_hands::<Depot<u32>, false>));
    assert!(verdict.is_err(), "the model did not notice that two threads had one lane");
}

#[test]
fn magazines_one_lane_for_two_fails() {
    let verdict = catch_unwind(|| bounded(3, one_lane_for_two::<Depot<u32>>));
    assert!(verdict.is_err(), "the model did not notice that two threads had one lane");
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
