//! The pipeline over pooled batches beside the same stages that allocate: a fresh batch each time, and, as the source's first version did, fresh memory
//! from each stage. Answers are asserted before anything is timed.

use std::hint::black_box;

use bolt_triple::{
    Answer, BufferPool, Cycle, Emission, Emit, Firing, Hooks, InOrder, Load, Matcher, Pattern, PatternHook,
    Pipeline, Place, Progress, Receipt, Reflex, SoaBatch, Stages, Tally, Triple, ticks,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const TRIPLES: u64 = 8 * 1024;

fn hooks() -> Hooks<PatternHook, 1> {
    Hooks::new([PatternHook::new(1, Matcher::new(Pattern { predicate: Some(63), ..Pattern::ANY }))])
}

fn ids() -> impl Iterator<Item = Triple> {
    (0..black_box(TRIPLES)).map(|i| Triple::new(i, i % 64, i + 1))
}

fn pooled(pool: &BufferPool) -> (Tally, Receipt) {
    pool.reset_receipt_pool();
    let mut pipeline = Pipeline::new(pool, pool.receipts(), Stages::of_ids(ids(), hooks(), Tally::default()));
    assert_eq!(pipeline.run().expect("no stage fails"), Progress::Done);
    (pipeline.stages().emit, pipeline.totals().receipt)
}

/// The same stages; `every` says whether each of them hands on fresh memory, or only load does.
fn fresh(every: bool) -> (Tally, Receipt) {
    let (mut hooks, mut tally, mut total) = (hooks(), Tally::default(), Receipt::IDENTITY);
    let mut input = ids();
    let mut kept = Vec::new();
    for cycle in 1.. {
        let mut typed = [Triple::default(); 8];
        let mut len = 0;
        for (slot, triple) in typed.iter_mut().zip(&mut input) {
            *slot = triple;
            len += 1;
        }
        if len == 0 {
            break;
        }
        let mut batch = black_box(Box::new(SoaBatch::new()));
        if every {
            let ingested: Vec<Triple> = black_box(typed[..len].to_vec());
            let typed: Vec<Triple> = black_box(ingested.to_vec());
            InOrder.load_into(&typed, &mut batch).expect("eight fit");
        } else {
            InOrder.load_into(&typed[..len], &mut batch).expect("eight fit");
        }
        let cycle = Cycle { cycle, ..Cycle::default() };
        let firings = hooks.reflex(&batch, cycle).expect("no hook fails");
        let boxed: Vec<Firing> = if every { black_box(firings.to_vec()) } else { Vec::new() };
        let firings: &[Firing] = if every { &boxed } else { &firings };
        for firing in firings {
            kept.push(firing.receipt);
            total = total.merge(firing.receipt);
        }
        let place = Place::Triple(cycle.cycle);
        tally.emit(&Emission { batch: &batch, firings, cycle, place }).expect("it counts");
    }
    black_box(kept);
    (tally, total)
}

/// The middle of many readings.
fn median(mut readings: Vec<u64>) -> u64 {
    readings.sort_unstable();
    readings[readings.len() / 2]
}

/// The source's claim: a hook that takes 8 ticks takes 7 when its batch comes from the pool. As the receipts tell it, beside two readings of the
/// counter with nothing between them, which every receipt contains.
fn a_hooks_ticks(pool: &BufferPool) {
    let nothing = median((0..TRIPLES).map(|_| ticks::now().abs_diff(ticks::now())).collect());
    let mut pooled = Vec::with_capacity(TRIPLES as usize / 8);
    pool.reset_receipt_pool();
    let sink = |emission: &Emission<'_>| {
        pooled.extend(emission.firings.iter().map(|firing| firing.receipt.ticks));
        Ok(Answer::Taken)
    };
    let mut pipeline = Pipeline::new(pool, pool.receipts(), Stages::of_ids(ids(), hooks(), sink));
    assert_eq!(pipeline.run().expect("no stage fails"), Progress::Done);
    drop(pipeline);
    let (mut hooks, mut input, mut fresh) = (hooks(), ids(), Vec::with_capacity(TRIPLES as usize / 8));
    while fresh.len() < pooled.len() {
        let mut batch = black_box(Box::new(SoaBatch::new()));
        assert_eq!(batch.extend_from(&mut input), 8);
        let firings = hooks.reflex(&batch, Cycle::default()).expect("no hook fails");
        fresh.extend(firings.iter().map(|firing| firing.receipt.ticks));
    }
    let (pooled, fresh) = (median(pooled), median(fresh));
    println!("ticks of a hook over a batch: pooled {pooled}, fresh {fresh}, of which two readings {nothing}");
}

fn pipeline(c: &mut Criterion) {
    let pool: BufferPool = BufferPool::new();
    let expected = Tally { batches: TRIPLES / 8, triples: TRIPLES, found: TRIPLES / 64 };
    let answers = [pooled(&pool), fresh(false), fresh(true)];
    for (tally, total) in answers {
        assert_eq!((tally, total.hash, total.lanes), (expected, answers[0].1.hash, TRIPLES / 64));
    }
    a_hooks_ticks(&pool);
    let mut group = c.benchmark_group("bolt-triple/pipeline");
    group.throughput(Throughput::Elements(TRIPLES / 8));
    group.bench_function(BenchmarkId::from_parameter("pooled"), |b| b.iter(|| pooled(&pool)));
    group.bench_function(BenchmarkId::from_parameter("fresh-batch"), |b| b.iter(|| fresh(false)));
    group.bench_function(BenchmarkId::from_parameter("fresh-at-each-stage"), |b| b.iter(|| fresh(true)));
    group.finish();
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
