//! The rollback arena beside plain `Vec` and `Box`: unchecked and checked allocation, resolving of handles, scopes rolled back.
//!
//! A pass is 1,000 operations on `u64`, so everything stays in the first-level cache. Every pass is checked against its sum before it is
//! timed. Other crates: `benches/compare/pools`.

use std::hint::black_box;
use std::time::Duration;

use bolt_arena::{ArenaAllocator, BoltPool};
use boltstack_benches::timed;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const PASS: u64 = 1000;
/// Values in the scratch: a pass fits.
const SCRATCH: usize = 1024;
const SUM: u64 = PASS * (PASS - 1) / 2;

fn alloc(c: &mut Criterion) {
    let mut group = c.benchmark_group("bolt-arena/alloc-u64");
    group.throughput(Throughput::Elements(PASS));
    let mut pool = BoltPool::<u64, SCRATCH>::new();
    timed(&mut group, "frame-in-scratch", SUM, || {
        pool.frame(|frame| (0..PASS).map(|i| *black_box(frame.alloc(i).expect("memory"))).sum())
    });
    let mut arena = ArenaAllocator::<u64>::new();
    timed(&mut group, "frame-in-arena", SUM, || {
        arena.frame(|frame| (0..PASS).map(|i| *black_box(frame.alloc(i).expect("memory"))).sum())
    });
    timed(&mut group, "handles", SUM, || {
        let sum = (0..PASS).map(|i| black_box(pool.alloc_value(i).expect("memory")).len() as u64 * i).sum();
        pool.reset_all();
        sum
    });
    let mut list = Vec::with_capacity(PASS as usize);
    timed(&mut group, "vec-reserved", SUM, || {
        list.clear();
        list.extend((0..PASS).map(black_box));
        black_box(&list).iter().sum()
    });
    timed(&mut group, "vec-of-boxes", SUM, || {
        let boxes: Vec<Box<u64>> = (0..PASS).map(|i| black_box(Box::new(i))).collect();
        boxes.iter().map(|value| **value).sum()
    });
    group.finish();
}

fn resolve(c: &mut Criterion) {
    let mut group = c.benchmark_group("bolt-arena/resolve-u64");
    group.throughput(Throughput::Elements(PASS));
    // A fixed shuffle, so that nobody profits from order.
    let order: Vec<usize> = (0..PASS as usize).map(|i| i * 389 % PASS as usize).collect();

    let mut pool = BoltPool::<u64, SCRATCH>::new();
    let made: Vec<_> = (0..PASS).map(|i| pool.alloc_value(i).expect("memory")).collect();
    let handles: Vec<_> = order.iter().map(|&i| made[i]).collect();
    timed(&mut group, "handle", SUM, || {
        handles.iter().map(|&handle| pool.resolve(handle).expect("live")[0]).sum()
    });
    let list: Vec<u64> = (0..PASS).collect();
    timed(&mut group, "vec-index", SUM, || order.iter().map(|&i| list[i]).sum());
    let boxes: Vec<Box<u64>> = (0..PASS).map(Box::new).collect();
    timed(&mut group, "vec-of-boxes-index", SUM, || order.iter().map(|&i| *boxes[i]).sum());
    group.finish();
}

fn scope_of_8(c: &mut Criterion) {
    let mut group = c.benchmark_group("bolt-arena/scope-of-8");
    group.throughput(Throughput::Elements(1));
    const EIGHT: u64 = 28;
    let mut pool = BoltPool::<u64, 256>::new();
    let kept = pool.alloc_value(1).expect("memory");
    timed(&mut group, "frame", EIGHT, || {
        pool.frame(|frame| (0..8).map(|i| *black_box(frame.alloc(i).expect("memory"))).sum())
    });
    timed(&mut group, "handles", EIGHT, || {
        pool.scope(|pool| {
            (0..8).map(|i| black_box(pool.alloc_value(i).expect("memory")).len() as u64 * i).sum()
        })
    });
    assert_eq!(pool.resolve(kept), Ok(&[1][..]));
    assert_eq!(pool.stats().values_in_use, 1, "every scope was rolled back");
    let mut list = Vec::with_capacity(64);
    list.push(1);
    timed(&mut group, "vec-truncate", EIGHT, || {
        let mark = list.len();
        list.extend((0..8).map(black_box));
        let sum = black_box(&list)[mark..].iter().sum();
        list.truncate(mark);
        sum
    });
    timed(&mut group, "vec-of-boxes", EIGHT, || {
        let boxes: Vec<Box<u64>> = (0..8).map(|i| black_box(Box::new(i))).collect();
        boxes.iter().map(|value| **value).sum()
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(30);
    targets = alloc, resolve, scope_of_8
}
criterion_main!(benches);
