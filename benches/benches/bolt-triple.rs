//! Pooled batches of eight triples beside a fresh batch, a fresh box and a plain `Vec` of triples; receipts beside an array; match kernels
//! beside a loop over triples; the rings of deltas.
//!
//! Every contender is checked against its answer before it is timed. Other crates: `benches/compare/pools`, bench `triple`, which also tells
//! core cycles.

use std::hint::black_box;
use std::time::Duration;

use bolt_triple::{
    AdaptivePool, BufferPool, CapacityConfig, Delta, DeltaKind, Level, MatchMask, Matcher, Pattern, Receipt,
    ReceiptPool, ShardedPool, SoaBatch, Triple, delta_ring,
};
use boltstack_benches::timed;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const PASS: u64 = 1000;
const SUM: u64 = PASS * (PASS - 1) / 2;

/// One triple in, one word out, through opaque references.
#[inline(always)]
fn touch(batch: &mut SoaBatch, seed: u64) -> u64 {
    let batch = black_box(batch);
    for lane in batch.lanes_mut() {
        lane[0] = seed;
    }
    black_box(batch).lanes()[2][0]
}

fn get_use_return(c: &mut Criterion) {
    let mut group = c.benchmark_group("bolt-triple/get-use-return");
    group.throughput(Throughput::Elements(PASS));
    let mut alone = Box::new(SoaBatch::new());
    timed(&mut group, "use-alone", SUM, || (0..PASS).map(|i| touch(&mut alone, black_box(i))).sum());
    let pool: BufferPool = BufferPool::new();
    timed(&mut group, "pool", SUM, || {
        (0..PASS).map(|i| touch(&mut pool.get_soa(black_box(8)).expect("one is out"), black_box(i))).sum()
    });
    let sharded = ShardedPool::<2>::new();
    timed(&mut group, "sharded", SUM, || {
        (0..PASS).map(|i| touch(&mut sharded.get_soa(black_box(8)).expect("one is out"), black_box(i))).sum()
    });
    let adaptive = AdaptivePool::new(CapacityConfig::DEFAULT).expect("memory");
    timed(&mut group, "adaptive", SUM, || {
        (0..PASS).map(|i| touch(&mut adaptive.get_soa(black_box(8)).expect("one is out"), black_box(i))).sum()
    });
    timed(&mut group, "fresh-on-the-stack", SUM, || {
        (0..PASS).map(|i| touch(&mut SoaBatch::new(), black_box(i))).sum()
    });
    timed(&mut group, "fresh-box", SUM, || {
        (0..PASS).map(|i| touch(&mut Box::new(SoaBatch::new()), black_box(i))).sum()
    });
    group.finish();
}

fn receipts(c: &mut Criterion) {
    let mut group = c.benchmark_group("bolt-triple/receipt");
    group.throughput(Throughput::Elements(PASS));
    let filled =
        |seed: u64| Receipt { cycle: seed, lanes: seed, ticks: seed, hash: seed, ..Receipt::IDENTITY };
    let mut array = vec![Receipt::IDENTITY; PASS as usize];
    timed(&mut group, "array", SUM, || {
        for (i, receipt) in array.iter_mut().enumerate() {
            *receipt = filled(black_box(i as u64));
        }
        let sum = array.iter().map(|receipt| receipt.lanes).sum();
        black_box(&mut array).fill(Receipt::IDENTITY);
        sum
    });
    let pool = Box::new(ReceiptPool::<1024>::new());
    timed(&mut group, "pool", SUM, || {
        for i in 0..PASS {
            black_box(pool.record(filled(black_box(i))).expect("room"));
        }
        let sum = pool.iter().map(|receipt| receipt.lanes).sum();
        pool.reset_receipt_pool();
        sum
    });
    group.finish();
}

/// Sixteen batches, in which every other triple matches each bound position of the patterns below.
fn batches() -> Vec<SoaBatch> {
    let triples: [Triple; 8] =
        std::array::from_fn(|i| Triple::new(i as u64 % 2, 10 + i as u64 % 2, 20 + i as u64 % 2));
    vec![SoaBatch::from_triples(&triples).expect("eight"); 16]
}

fn kernels(c: &mut Criterion) {
    let batches = batches();
    let mut group = c.benchmark_group("bolt-triple/select");
    group.throughput(Throughput::Elements(batches.len() as u64));
    // Each bound position is one lane of work: none to all.
    let kinds = [("any", 0), ("s", 1), ("p", 2), ("o", 4), ("sp", 3), ("so", 5), ("po", 6), ("spo", 7)];
    for (name, kind) in kinds {
        let bound = |bit: u8, id: u64| (kind & bit != 0).then_some(id);
        let pattern = Pattern::new(bound(1, 1), bound(2, 11), bound(4, 21));
        let expected = 16 * if kind == 0 { 8 } else { 4 };
        let aos: Vec<Vec<Triple>> = batches.iter().map(|batch| batch.iter().collect()).collect();
        timed(&mut group, &format!("{name}/vec-of-triples"), expected, || {
            let pattern = black_box(pattern);
            aos.iter()
                .map(|batch| batch.iter().filter(|&&triple| pattern.matches(triple)).count() as u64)
                .sum()
        });
        for level in Level::ALL {
            let Some(matcher) = Matcher::with_level(pattern, level) else { continue };
            timed(&mut group, &format!("{name}/{level:?}"), expected, || {
                batches
                    .iter()
                    .map(|batch| u64::from(black_box(&matcher).select(black_box(batch)).count()))
                    .sum()
            });
            let mut masks = [MatchMask::NONE; 16];
            timed(&mut group, &format!("{name}/{level:?}-each"), expected, || {
                black_box(&matcher).select_each(black_box(&batches), &mut masks);
                black_box(&masks).iter().map(|mask| u64::from(mask.count())).sum()
            });
        }
    }
    group.finish();
}

fn rings(c: &mut Criterion) {
    let mut group = c.benchmark_group("bolt-triple/delta-ring");
    group.throughput(Throughput::Elements(64));
    let (mut producer, mut consumer) = delta_ring(64).expect("memory");
    let deltas: Vec<Delta> =
        (0..64).map(|i| Delta { triple: Triple::new(i, 1, 2), cycle: 1, kind: DeltaKind::Insert }).collect();
    let mut batch = SoaBatch::new();
    timed(&mut group, "64-in-8-batches-out", 64 * 63 / 2, || {
        assert_eq!(producer.push_slice(&deltas), 64);
        let mut sum = 0;
        while consumer.load_into(&mut batch).is_some() {
            sum += batch.subjects().iter().sum::<u64>();
        }
        sum
    });
    let mut queue = std::collections::VecDeque::with_capacity(64);
    timed(&mut group, "vec-deque", 64 * 63 / 2, || {
        queue.extend(&deltas);
        let mut sum = 0;
        while !queue.is_empty() {
            batch.clear();
            let run = queue.len().min(8);
            batch.extend_from(queue.drain(..run).map(|delta: Delta| delta.triple));
            sum += batch.subjects().iter().sum::<u64>();
        }
        sum
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(600)).sample_size(20);
    targets = get_use_return, receipts, kernels, rings
}
criterion_main!(benches);
