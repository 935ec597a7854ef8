//! Object pools beside what one writes without them: `Mutex<Vec<T>>` and a fresh object each time; on one thread, on two at once, and
//! taken on one thread and given back on another. Arenas beside `Vec`s of the heap.
//!
//! Owns pools of 1 KiB buffers. Every contender is checked before it is timed: what comes out is empty, and with pools nothing is
//! made once warm. On two threads both work in one shared window of time, and a time is that of one round trip of one thread. Other
//! crates and allocators: `benches/compare/pools`.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bolt_objects::ready::{self, VEC_BUFFER_BYTES, VecBufferPool};
use bolt_objects::{
    ArenaPool, BatchContext, Hooks, LocalPool, ObjectPool, PoolConfig, SizeHint, with_thread_arena,
};
use criterion::{Criterion, criterion_group, criterion_main};

const BYTES: usize = VEC_BUFFER_BYTES;

/// One round trip: take a buffer, touch it, give it back.
trait Trip: Sync {
    fn trip(&self);
}

impl Trip for VecBufferPool {
    #[inline]
    fn trip(&self) {
        black_box(&mut *self.get());
    }
}

type Block = Box<[u8; BYTES]>;

impl Trip for ObjectPool<Block> {
    #[inline]
    fn trip(&self) {
        black_box(&mut **self.get());
    }
}

/// The usual limits, handled by the trait instead of closures.
struct Blocks;

impl bolt_objects::Manage<Block> for Blocks {
    fn create(&self) -> Block {
        Box::new([0; BYTES])
    }
}

impl Trip for ObjectPool<Block, Blocks> {
    #[inline]
    fn trip(&self) {
        black_box(&mut **self.get());
    }
}

/// As above, with guards that share the pool.
struct Owned(Arc<ObjectPool<Block, Blocks>>);

impl Trip for Owned {
    #[inline]
    fn trip(&self) {
        black_box(&mut **self.0.get_owned());
    }
}

impl Trip for Mutex<Vec<Vec<u8>>> {
    #[inline]
    fn trip(&self) {
        let mut buffer =
            self.lock().expect("nobody panics").pop().unwrap_or_else(|| Vec::with_capacity(BYTES));
        black_box(&mut buffer);
        self.lock().expect("nobody panics").push(buffer);
    }
}

/// No pool at all.
struct Fresh;

impl Trip for Fresh {
    #[inline]
    fn trip(&self) {
        black_box(&mut Vec::<u8>::with_capacity(BYTES));
    }
}

/// What two threads did in a window of `window`: the time of one trip of one thread.
fn on_two_threads(pool: &impl Trip, window: Duration) -> f64 {
    let (start, stop) = (Barrier::new(3), AtomicBool::new(false));
    let work = || {
        (0..1000).for_each(|_| pool.trip());
        start.wait();
        let begin = Instant::now();
        let mut trips = 0_u64;
        loop {
            (0..256).for_each(|_| pool.trip());
            trips += 256;
            if stop.load(Ordering::Relaxed) {
                break;
            }
        }
        begin.elapsed().as_nanos() as f64 / trips as f64
    };
    thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        start.wait();
        thread::sleep(window);
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum::<f64>() / 2.0
    })
}

fn contender(c: &mut Criterion, name: &str, pool: &impl Trip) {
    c.bench_function(&format!("bolt-objects/take-give-1KiB/{name}/1-thread"), |b| b.iter(|| pool.trip()));
    c.bench_function(&format!("bolt-objects/take-give-1KiB/{name}/2-threads"), |b| {
        b.iter_custom(|count| {
            // A window as long as `count` trips should take, so that criterion's budget holds.
            let window =
                Duration::from_nanos(count * 4).clamp(Duration::from_millis(1), Duration::from_millis(50));
            Duration::from_nanos((on_two_threads(pool, window) * count as f64) as u64)
        });
    });
}

fn take_give(c: &mut Criterion) {
    let vectors = ready::vec_buffers().expect("small");
    let boxes = ObjectPool::managed(Blocks, PoolConfig::new()).expect("small");
    let hooked = ObjectPool::new(|| Box::new([0_u8; BYTES]));
    let hooks =
        Hooks::new(|| Box::new([0_u8; BYTES])).reset(|block| block[0] = 0).is_valid(|block| block[1] == 0);
    let all_hooks =
        ObjectPool::with_hooks(hooks.bytes(|block| block.len()), PoolConfig::new()).expect("small");
    let bounded = ObjectPool::managed(Blocks, PoolConfig::new().bounded(64)).expect("small");
    let owned = Owned(Arc::new(ObjectPool::managed(Blocks, PoolConfig::new()).expect("small")));
    contender(c, "ObjectPool-box", &boxes);
    contender(c, "ObjectPool-vec", &vectors);
    contender(c, "ObjectPool-box-closures", &hooked);
    contender(c, "ObjectPool-box-all-hooks", &all_hooks);
    contender(c, "ObjectPool-box-owned-guard", &owned);
    contender(c, "ObjectPool-box-bounded", &bounded);
    contender(c, "Mutex-Vec", &Mutex::new(Vec::new()));
    contender(c, "fresh", &Fresh);
    for (created, gets) in [(boxes.stats(), boxes.stats().hits), (vectors.stats(), vectors.stats().hits)] {
        assert!(
            created.created <= 3 && gets > 1000,
            "warm after one object for each of three threads: {created:?}"
        );
    }
    let local = LocalPool::new(Blocks, 16);
    c.bench_function("bolt-objects/take-give-1KiB/LocalPool-box/1-thread", |b| {
        b.iter(|| {
            black_box(&mut **local.get());
        });
    });
    c.bench_function("bolt-objects/take-give-1KiB/with_vec_buffer/1-thread", |b| {
        b.iter(|| ready::with_vec_buffer(|buffer| black_box(buffer).capacity()));
    });
}

/// Taken here, given back there, 32 a message; time of one object.
fn across<T: Send>(count: u64, mut take: impl FnMut() -> T) -> Duration {
    const BATCH: usize = 32;
    let (to, from) = sync_channel::<Vec<T>>(4);
    let (back, empties) = sync_channel::<Vec<T>>(8);
    for _ in 0..6 {
        back.send(Vec::with_capacity(BATCH)).expect("there is room");
    }
    thread::scope(|scope| {
        scope.spawn(move || {
            for mut batch in from {
                batch.clear();
                let _ = back.send(batch);
            }
        });
        let begin = Instant::now();
        for _ in 0..count.div_ceil(BATCH as u64) {
            let mut batch = empties.recv().expect("the other end lives");
            batch.extend((0..BATCH).map(|_| take()));
            to.send(batch).expect("the other end lives");
        }
        drop(to);
        begin.elapsed()
    })
}

fn across_threads(c: &mut Criterion) {
    let pool = ObjectPool::managed(Blocks, PoolConfig::new()).expect("small");
    pool.fill(512);
    let mut group = c.benchmark_group("bolt-objects/across-32-at-a-time");
    group.bench_function("ObjectPool-box", |b| b.iter_custom(|count| across(count, || pool.get())));
    assert_eq!(pool.stats().created, 512, "nothing was made once warm");
    group.bench_function("fresh", |b| {
        b.iter_custom(|count| across(count, || Vec::<u8>::with_capacity(BYTES)));
    });
    group.bench_function("nothing-but-the-channel", |b| b.iter_custom(|count| across(count, || 0_u64)));
    group.finish();
}

/// A batch of work: 64 vectors of 16 numbers and 64 strings.
fn batches(c: &mut Criterion) {
    const SUM: u64 = 64 * (15 * 16 / 2) + 64 * 12;
    let pool = ArenaPool::new().expect("small");
    let hint = SizeHint::new().values::<[u64; 16]>(64).bytes(64 * 16);
    let work = |batch: &BatchContext<'_>| {
        (0..64)
            .map(|_| {
                let mut numbers = batch.vec::<u64>(16);
                numbers.extend((0..16).map(black_box));
                let text = batch.str(black_box("twelve bytes"));
                numbers.iter().sum::<u64>() + text.len() as u64
            })
            .sum::<u64>()
    };
    let in_arena = || work(&pool.batch(hint));
    let in_thread_arena = || with_thread_arena(work);
    let on_heap = || {
        // All are kept until the end, as they are in an arena.
        let mut kept = Vec::with_capacity(64);
        for _ in 0..64 {
            let mut numbers = Vec::<u64>::with_capacity(16);
            numbers.extend((0..16).map(black_box));
            kept.push((numbers, String::from(black_box("twelve bytes"))));
        }
        kept.iter().map(|(numbers, text)| numbers.iter().sum::<u64>() + text.len() as u64).sum::<u64>()
    };
    assert_eq!((in_arena(), in_thread_arena(), on_heap()), (SUM, SUM, SUM));
    let mut group = c.benchmark_group("bolt-objects/batch-of-128");
    group.bench_function("ArenaPool", |b| b.iter(in_arena));
    group.bench_function("with_thread_arena", |b| b.iter(in_thread_arena));
    group.bench_function("heap", |b| b.iter(on_heap));
    group.finish();
    let mut group = c.benchmark_group("bolt-objects/empty-batch");
    group
        .bench_function("ArenaPool", |b| b.iter(|| black_box(pool.batch(SizeHint::new())).allocated_bytes()));
    group.bench_function("with_thread_arena", |b| {
        b.iter(|| with_thread_arena(|batch| batch.allocated_bytes()));
    });
    group.finish();
}

criterion_group!(benches, take_give, across_threads, batches);
criterion_main!(benches);
