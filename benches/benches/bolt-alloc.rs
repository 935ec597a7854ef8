//! What counting costs: the same calls to the system's allocator, plain and through `CountingAlloc`; a scope of `measure`.
//!
//! Owns both allocators as plain values for the calls that are compared, so that one run times both. The global allocator counts too,
//! since a scope can only be measured then; the counts of each case are checked before it is timed.
//! unsafe: allowed here

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use bolt_alloc::{CountingAlloc, assert_no_alloc, global_counts, measure};
use criterion::{Criterion, criterion_group, criterion_main};

#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc::new();

/// Takes and gives back `count` blocks, each written once.
fn round_trips(allocator: &impl GlobalAlloc, layout: Layout, count: u64) {
    assert!(layout.size() > 0);
    for _ in 0..count {
        // SAFETY: the layout has a size.
        let memory = unsafe { allocator.alloc(layout) };
        assert!(!memory.is_null());
        // SAFETY: the first byte of a block just given.
        unsafe { memory.write(1) };
        let memory = black_box(memory);
        // SAFETY: given above for this layout, given back once.
        unsafe { allocator.dealloc(memory, layout) };
    }
}

/// `count` round trips on each of two threads, which begin together.
fn on_two_threads(allocator: &(impl GlobalAlloc + Sync), layout: Layout, count: u64) -> Duration {
    let start = Barrier::new(2);
    let timed = || {
        start.wait();
        let begin = Instant::now();
        round_trips(allocator, layout, count);
        begin.elapsed()
    };
    let (one, other) = thread::scope(|scope| {
        let other = scope.spawn(timed);
        (timed(), other.join().expect("the other thread"))
    });
    (one + other) / 2
}

fn contender(c: &mut Criterion, name: &str, counted: u64, allocator: &(impl GlobalAlloc + Sync)) {
    for size in [64, 1024] {
        let layout = Layout::from_size_align(size, 8).expect("small");
        let ((), counts) = measure(|| round_trips(allocator, layout, 10));
        let expected = (10 * counted, 10 * counted, 10 * counted * size as u64);
        assert_eq!((counts.allocations, counts.deallocations, counts.bytes_allocated), expected);
        c.bench_function(&format!("bolt-alloc/take-give/{name}/{size}B/1-thread"), |b| {
            b.iter_custom(|count| {
                let begin = Instant::now();
                round_trips(allocator, layout, count);
                begin.elapsed()
            });
        });
        c.bench_function(&format!("bolt-alloc/take-give/{name}/{size}B/2-threads"), |b| {
            b.iter_custom(|count| on_two_threads(allocator, layout, count));
        });
    }
}

fn counting(c: &mut Criterion) {
    contender(c, "System", 0, &System);
    contender(c, "CountingAlloc", 1, &CountingAlloc::new());
}

fn scopes(c: &mut Criterion) {
    assert_eq!(measure(|| drop(black_box(Box::new(1_u64)))).1.allocations, 1);
    assert_eq!(assert_no_alloc(|| black_box(2)), 2);
    assert!(global_counts().allocations > 0);
    c.bench_function("bolt-alloc/measure/empty", |b| b.iter(|| measure(|| black_box(1)).1));
    c.bench_function("bolt-alloc/global_counts/64-stripes", |b| b.iter(global_counts));
}

criterion_group!(benches, counting, scopes);
criterion_main!(benches);
