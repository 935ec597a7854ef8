//! The list of free slots beside a `Mutex<Vec<u32>>`, which is what one writes without it: take a slot and give it back, alone and on
//! two threads at once; numbers from an `IdSource`.
//!
//! Owns lists of 64 slots. Every contender is checked before it is timed: each slot comes out once, and all are back afterwards.
//! Times on two threads are those of one round trip of one thread while the other does the same.

use std::hint::black_box;
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bolt_sync::{CachePadded, IdSource, Link, SlotList};
use criterion::{Criterion, criterion_group, criterion_main};

const SLOTS: usize = 64;

/// What both contenders can do.
trait Free: Sync {
    fn take(&self) -> Option<u32>;
    fn give(&self, slot: u32);
}

impl Free for CachePadded<SlotList<[Link; SLOTS]>> {
    #[inline]
    fn take(&self) -> Option<u32> {
        self.pop()
    }
    #[inline]
    fn give(&self, slot: u32) {
        self.push(slot).expect("taken before");
    }
}

impl Free for Mutex<Vec<u32>> {
    #[inline]
    fn take(&self) -> Option<u32> {
        self.lock().expect("nobody panics").pop()
    }
    #[inline]
    fn give(&self, slot: u32) {
        self.lock().expect("nobody panics").push(slot);
    }
}

/// Takes everything, finds each slot once, gives everything back.
fn all_there(free: &impl Free) {
    let mut taken: Vec<u32> = std::iter::from_fn(|| free.take()).collect();
    for &slot in &taken {
        free.give(slot);
    }
    taken.sort_unstable();
    assert!(taken.iter().copied().eq(0..SLOTS as u32), "{taken:?}");
}

fn round_trips(free: &impl Free, count: u64) {
    for _ in 0..count {
        let slot = free.take().expect("two threads hold two of many");
        free.give(black_box(slot));
    }
}

/// `count` round trips on each of two threads, which begin together.
fn on_two_threads(free: &impl Free, count: u64) -> Duration {
    let start = Barrier::new(2);
    let timed = || {
        start.wait();
        let begin = Instant::now();
        round_trips(free, count);
        begin.elapsed()
    };
    let (one, other) = thread::scope(|scope| {
        let other = scope.spawn(timed);
        (timed(), other.join().expect("the other thread"))
    });
    (one + other) / 2
}

fn contender(c: &mut Criterion, name: &str, free: &impl Free) {
    all_there(free);
    on_two_threads(free, 10_000);
    all_there(free);
    c.bench_function(&format!("bolt-sync/take-give/{name}/1-thread"), |b| {
        b.iter_custom(|count| {
            let begin = Instant::now();
            round_trips(free, count);
            begin.elapsed()
        });
    });
    c.bench_function(&format!("bolt-sync/take-give/{name}/2-threads"), |b| {
        b.iter_custom(|count| on_two_threads(free, count));
    });
    all_there(free);
}

fn free_lists(c: &mut Criterion) {
    contender(c, "SlotList", &CachePadded::new(SlotList::<[Link; SLOTS]>::array()));
    contender(c, "Mutex-Vec", &Mutex::new((0..SLOTS as u32).collect::<Vec<_>>()));
}

fn numbers(c: &mut Criterion) {
    let source = IdSource::new();
    assert!(source.next() < source.next(), "numbers rise on one thread");
    c.bench_function("bolt-sync/id/IdSource", |b| b.iter(|| source.next()));
}

criterion_group!(benches, free_lists, numbers);
criterion_main!(benches);
