//! The list of free slots and the magazines beside a `Mutex<Vec<u32>>`, which is what one writes without them: take a slot and give it
//! back, alone and on two threads at once; take on one thread and give on another; numbers from an `IdSource`.
//!
//! Owns lists of 64 slots (256 across threads). Every contender is checked before it is timed: each slot comes out once, and all are back afterwards.
//! Times on two threads are those of one round trip of one thread while the other does the same.

use std::hint::black_box;
use std::sync::mpsc;
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bolt_sync::magazine::{MagazineConfig, Magazines};
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

impl Free for Magazines<u32> {
    #[inline]
    fn take(&self) -> Option<u32> {
        Magazines::take(self)
    }
    #[inline]
    fn give(&self, slot: u32) {
        Magazines::give(self, slot).expect("made for so many");
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

/// Takes on one thread, gives on the other, 32 slots a message; `count` slots in all.
fn across_threads(free: &impl Free, count: u64) -> Duration {
    const BATCH: usize = 32;
    // Empty vectors travel back, so that the channel is all that is between the pools.
    let (to, from) = mpsc::sync_channel::<Vec<u32>>(2);
    let (back, empties) = mpsc::sync_channel::<Vec<u32>>(4);
    for _ in 0..3 {
        back.send(Vec::with_capacity(BATCH)).expect("there is room");
    }
    thread::scope(|scope| {
        let giver = scope.spawn(move || {
            for mut batch in from {
                batch.drain(..).for_each(|slot| free.give(slot));
                let _ = back.send(batch);
            }
        });
        let begin = Instant::now();
        let mut left = count as usize;
        while left > 0 {
            let mut batch = empties.recv().expect("the other end lives");
            while batch.len() < BATCH.min(left) {
                match free.take() {
                    Some(slot) => batch.push(slot),
                    // The giver has them; it needs the processor more than we do.
                    None => thread::yield_now(),
                }
            }
            left -= batch.len();
            to.send(batch).expect("the other end lives");
        }
        drop(to);
        giver.join().expect("the other thread");
        begin.elapsed()
    })
}

fn crossing(c: &mut Criterion, name: &str, free: &impl Free) {
    across_threads(free, 10_000);
    c.bench_function(&format!("bolt-sync/across/{name}/32-at-a-time"), |b| {
        b.iter_custom(|count| across_threads(free, count));
    });
}

/// Magazines that hold `slots` slots.
fn magazines(slots: u32) -> Magazines<u32> {
    let free = Magazines::new(MagazineConfig::new(slots as usize).never_refuses()).expect("small");
    (0..slots).for_each(|slot| free.give(slot).expect("made for so many"));
    free.flush_thread();
    free
}

fn free_lists(c: &mut Criterion) {
    contender(c, "Magazines", &magazines(SLOTS as u32));
    contender(c, "SlotList", &CachePadded::new(SlotList::<[Link; SLOTS]>::array()));
    contender(c, "Mutex-Vec", &Mutex::new((0..SLOTS as u32).collect::<Vec<_>>()));
}

fn across(c: &mut Criterion) {
    const SLOTS: u32 = 256;
    crossing(c, "Magazines", &magazines(SLOTS));
    crossing(c, "Mutex-Vec", &Mutex::new((0..SLOTS).collect::<Vec<_>>()));
}

fn numbers(c: &mut Criterion) {
    let source = IdSource::new();
    assert!(source.next() < source.next(), "numbers rise on one thread");
    c.bench_function("bolt-sync/id/IdSource", |b| b.iter(|| source.next()));
}

criterion_group!(benches, free_lists, across, numbers);
criterion_main!(benches);
