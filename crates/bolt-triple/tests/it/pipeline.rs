//! The pipeline over ids: order, errors of each stage, panics of each stage, a slow sink, folded receipts, and no allocation.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bolt_triple::{
    Answer, BufferPool, Cycle, Emission, Emit, Fault, Firing, Hook, Hooks, InFlight, InOrder, Ingest, Load,
    MatchMask, Matcher, Pattern, PatternHook, Pipeline, Place, PoolError, Progress, Receipt, ReceiptPool,
    SoaBatch, Stage, Stages, Tally, Triple, Typed,
};

/// A million outside Miri.
const MANY: u64 = if cfg!(miri) { 400 } else { 1_200_000 };

fn triple(i: u64) -> Triple {
    Triple::new(i, i % 5, i / 2)
}

fn hooks() -> Hooks<PatternHook, 2> {
    Hooks::new([
        PatternHook::new(1, Matcher::new(Pattern { predicate: Some(3), ..Pattern::ANY })),
        PatternHook::new(2, Matcher::new(Pattern { object: Some(7), ..Pattern::ANY })),
    ])
}

/// What a sink has to be told to count as having seen a run: every triple, once, in order.
#[derive(Default)]
struct Kept(Vec<Triple>);

impl Emit for Kept {
    fn emit(&mut self, emission: &Emission<'_>) -> Result<Answer, Fault> {
        self.0.extend(emission.batch.iter());
        Ok(Answer::Taken)
    }
}

#[test]
fn a_million_triples_pass_in_order_with_batches_in_flight_bounded() {
    let pool: BufferPool = BufferPool::new();
    let (mut next, mut calls, mut found) = (0, 0_u64, [0_u64; 2]);
    let sink = |emission: &Emission<'_>| {
        calls += 1;
        if calls % 7 < 3 {
            return Ok(Answer::NotNow); // slow now and then
        }
        for triple_of_batch in emission.batch.iter() {
            assert_eq!(triple_of_batch, triple(next), "in order, none lost, none twice");
            next += 1;
        }
        assert_eq!(emission.place, Place::Triple(next - emission.batch.len() as u64 + 1));
        for (found, firing) in found.iter_mut().zip(emission.firings) {
            *found += u64::from(firing.matched.count());
            assert_eq!(firing.receipt.cycle, emission.cycle.cycle);
        }
        Ok(Answer::Taken)
    };
    let stages = Stages::of_ids((0..MANY).map(triple), hooks(), sink);
    let mut pipeline = Pipeline::bounded(InFlight::<3>, &pool, pool.receipts(), stages);
    loop {
        let progress = pipeline.run().unwrap();
        assert!(pool.capacity_usage().soa_buffers_in_use <= 3);
        if progress == Progress::Done {
            break;
        }
        assert_eq!(progress, Progress::NotNow);
    }
    let totals = pipeline.totals();
    drop(pipeline);
    assert_eq!((next, found), (MANY, [MANY / 5, 2]));
    assert_eq!((totals.triples, totals.batches, totals.emitted), (MANY, MANY / 8, MANY / 8));
    assert_eq!(totals.receipt.lanes, MANY / 5 + 2);
    assert!(totals.refused > 0 && totals.in_flight_high_water == 3, "{totals:?}");
    assert_eq!(pool.capacity_usage().soa_buffers_in_use, 0);
    assert_eq!(pool.capacity_usage().soa_buffers_high_water, 3);
}

#[test]
fn a_slow_sink_fills_what_may_be_in_flight_and_then_stops_the_input() {
    let pool: BufferPool<16, 64> = BufferPool::new();
    let taken = std::cell::Cell::new(0);
    let input = (0..200).map(triple).inspect(|_| taken.set(taken.get() + 1));
    let open = std::cell::Cell::new(false);
    let mut kept = Kept::default();
    let sink = |emission: &Emission<'_>| {
        if open.get() { kept.emit(emission) } else { Ok(Answer::NotNow) }
    };
    let stages = Stages::of_ids(input, hooks(), sink);
    let mut pipeline = Pipeline::bounded(InFlight::<4>, &pool, pool.receipts(), stages);
    for _ in 0..5 {
        assert_eq!(pipeline.run().unwrap(), Progress::NotNow);
        assert_eq!((taken.get(), pipeline.in_flight()), (32, 4), "no more than four batches of input");
    }
    open.set(true);
    assert_eq!(pipeline.run().unwrap(), Progress::Done);
    drop(pipeline);
    assert_eq!(kept.0, (0..200).map(triple).collect::<Vec<_>>());
    assert_eq!(pool.capacity_usage().soa_buffers_in_use, 0);
}

#[test]
fn a_pool_smaller_than_the_flight_is_back_pressure_and_one_in_other_hands_an_error() {
    let pool: BufferPool<2, 64> = BufferPool::new();
    let open = std::cell::Cell::new(false);
    let mut kept = Kept::default();
    let sink = |emission: &Emission<'_>| if open.get() { kept.emit(emission) } else { Ok(Answer::NotNow) };
    let mut pipeline =
        Pipeline::new(&pool, pool.receipts(), Stages::of_ids((0..50).map(triple), hooks(), sink));
    assert_eq!(pipeline.run().unwrap(), Progress::NotNow);
    assert_eq!((pipeline.in_flight(), pipeline.discard()), (2, 24), "two batches, and eight triples typed");
    let held = [pool.get_soa(8).unwrap(), pool.get_soa(8).unwrap()];
    let error = pipeline.run().unwrap_err();
    assert_eq!((error.stage, error.place), (Stage::Load, Place::Triple(25)));
    assert!(matches!(error.fault, Fault::Pool(PoolError::ExhaustedCapacity { in_use: 2, total: 2 })));
    assert_eq!(
        error.to_string(),
        "load at triple 25: 2 of 2 batches are in use; return one or make the pool larger"
    );
    drop(held);
    open.set(true);
    assert_eq!(pipeline.run().unwrap(), Progress::Done);
    drop(pipeline);
    assert_eq!(kept.0, (24..50).map(triple).collect::<Vec<_>>(), "the error lost nothing");
}

/// A stage that fails, or panics, at its third call, and is its default otherwise.
#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    Error,
    Panic,
}

struct Bad<S> {
    inner: S,
    trouble: Option<Trouble>,
    calls: u32,
}

impl<S> Bad<S> {
    fn new(inner: S, trouble: Option<Trouble>) -> Self {
        Self { inner, trouble, calls: 0 }
    }

    fn strike(&mut self) -> Result<(), Fault> {
        self.calls += 1;
        match self.trouble {
            Some(Trouble::Error) if self.calls == 3 => Err(Fault::Refused("third call")),
            Some(Trouble::Panic) if self.calls == 3 => panic!("third call"),
            _ => Ok(()),
        }
    }
}

impl<S: Ingest> Ingest for Bad<S> {
    type Item = S::Item;
    fn ingest(&mut self) -> Result<Option<S::Item>, Fault> {
        self.strike()?;
        self.inner.ingest()
    }
    fn place(&self) -> Place {
        self.inner.place()
    }
}

impl bolt_triple::Transform<Triple> for Bad<Typed> {
    fn transform(&mut self, item: Triple) -> Result<Triple, Fault> {
        self.strike()?;
        Ok(item)
    }
}

impl Load for Bad<InOrder> {
    fn load_into(&mut self, typed: &[Triple], soa: &mut SoaBatch) -> Result<(), Fault> {
        self.strike()?;
        self.inner.load_into(typed, soa)
    }
}

impl<H: Hook> Hook for Bad<H> {
    fn id(&self) -> u64 {
        self.inner.id()
    }
    fn fire(&mut self, soa: &SoaBatch) -> Result<MatchMask, Fault> {
        self.strike()?;
        self.inner.fire(soa)
    }
}

impl Emit for Bad<Kept> {
    fn emit(&mut self, emission: &Emission<'_>) -> Result<Answer, Fault> {
        self.strike()?;
        self.inner.emit(emission)
    }
}

/// Runs 100 triples with trouble in one stage; returns the first error if there was one, and what the sink got in the end.
fn troubled(stage: Stage, trouble: Trouble) -> (Option<(Stage, Place, String)>, Vec<u64>) {
    let at = |this| (this == stage).then_some(trouble);
    let pool: BufferPool<4, 8> = BufferPool::new();
    let any = PatternHook::new(9, Matcher::new(Pattern::ANY));
    let base = Stages::of_ids((0..100).map(triple), (), ());
    let stages = Stages {
        ingest: Bad::new(base.ingest, at(Stage::Ingest)),
        transform: Bad::new(Typed, at(Stage::Transform)),
        load: Bad::new(InOrder, at(Stage::Load)),
        reflex: Hooks::new([Bad::new(any, at(Stage::Reflex))]),
        emit: Bad::new(Kept::default(), at(Stage::Emit)),
    };
    let mut pipeline = Pipeline::new(&pool, pool.receipts(), stages);
    let first = catch_unwind(AssertUnwindSafe(|| pipeline.run()));
    let in_use = pool.capacity_usage().soa_buffers_in_use;
    assert_eq!(in_use, pipeline.in_flight(), "what is out is what waits");
    let error = match first {
        Ok(first) => {
            let error = first.unwrap_err();
            assert_eq!(in_use, usize::from(stage == Stage::Emit), "only a batch the sink refused is kept");
            Some((error.stage, error.place, error.to_string()))
        }
        Err(_) => {
            assert_eq!(in_use, 0, "a panic brings every batch back");
            None
        }
    };
    assert_eq!(pipeline.run().unwrap(), Progress::Done);
    let sink = pipeline.into_stages().emit;
    assert_eq!(pool.capacity_usage().soa_buffers_in_use, 0);
    (error, sink.inner.0.iter().map(|triple| triple.subject).collect())
}

#[test]
fn an_error_of_any_stage_says_where_brings_the_batch_back_and_loses_nothing_else() {
    let all = || (0..100).collect::<Vec<u64>>();
    let without = |lost| (0..100).filter(|i| *i != lost).collect::<Vec<u64>>();
    let table = [
        (Stage::Ingest, 2, all()),
        (Stage::Transform, 3, without(2)), // the refused item alone
        (Stage::Load, 17, all()),
        (Stage::Reflex, 17, all()),
        (Stage::Emit, 17, all()),
    ];
    for (stage, place, expected) in table {
        let (error, seen) = troubled(stage, Trouble::Error);
        let message = format!("{stage} at triple {place}: third call");
        assert_eq!(error, Some((stage, Place::Triple(place), message)));
        assert_eq!(seen, expected, "{stage}");
    }
}

#[test]
fn a_panic_of_any_stage_brings_the_batch_back_and_the_pipeline_goes_on() {
    for stage in [Stage::Ingest, Stage::Transform, Stage::Load, Stage::Reflex, Stage::Emit] {
        let (_, seen) = troubled(stage, Trouble::Panic);
        // What the stage had in its hands is gone; all else is there, once and in order.
        let lost: Vec<u64> = match stage {
            Stage::Transform => vec![2],
            Stage::Emit => (16..24).collect(),
            _ => vec![],
        };
        assert_eq!(seen, (0..100).filter(|i| !lost.contains(i)).collect::<Vec<_>>(), "{stage}");
    }
}

#[test]
fn a_dropped_pipeline_gives_back_what_waits() {
    let pool: BufferPool = BufferPool::new();
    let sink = |_: &Emission<'_>| Ok(Answer::NotNow);
    let mut pipeline =
        Pipeline::new(&pool, pool.receipts(), Stages::of_ids((0..100).map(triple), hooks(), sink));
    assert_eq!(pipeline.run().unwrap(), Progress::NotNow);
    assert_eq!(pool.capacity_usage().soa_buffers_in_use, 8);
    drop(pipeline);
    assert_eq!(pool.capacity_usage().soa_buffers_in_use, 0);
}

#[test]
fn receipts_are_folded_when_full_and_their_merge_is_that_of_all() {
    let small: BufferPool<4, 6> = BufferPool::new();
    let large: BufferPool<4, 1024> = BufferPool::new();
    let totals = |mut receipt: Receipt| {
        receipt.ticks = 0; // time is not the same twice
        receipt
    };
    let run = |pool: &BufferPool<4, 6>| {
        let stages = Stages::of_ids((0..500).map(triple), hooks(), Tally::default());
        let mut pipeline = Pipeline::new(pool, pool.receipts(), stages).with_origin(5, 77);
        assert_eq!(pipeline.run().unwrap(), Progress::Done);
        pipeline.totals()
    };
    let folded = run(&small);
    let stages = Stages::of_ids((0..500).map(triple), hooks(), Tally::default());
    let mut pipeline = Pipeline::new(&large, large.receipts(), stages).with_origin(5, 77);
    assert_eq!(pipeline.run().unwrap(), Progress::Done);
    assert_eq!((folded.folds, pipeline.totals().folds), (20, 0), "63 batches, three to a run");
    assert_eq!(totals(folded.receipt), totals(large.receipts().merged()));
    assert_eq!(large.receipts().in_use(), 126);
    assert_eq!(folded.receipt.lanes, 102);
    assert!(large.receipts().iter().all(|receipt| (receipt.shard, receipt.span_id) == (5, 77)));
    assert_eq!(pipeline.stages().emit, Tally { batches: 63, triples: 500, found: 102 });

    let none = ReceiptPool::<1>::new();
    let mut pipeline = Pipeline::new(&small, &none, Stages::of_ids([triple(1)], hooks(), Tally::default()));
    let error = pipeline.run().unwrap_err();
    assert_eq!(error.stage, Stage::Reflex);
    assert!(matches!(error.fault, Fault::Pool(PoolError::ReceiptsExhausted { total: 1 })));
}

#[test]
fn the_hash_of_a_run_does_not_depend_on_how_it_was_cut() {
    let hash = |triples: &[Triple], size: usize| {
        let mut hooks = hooks();
        triples.chunks(size).fold(0, |sum, chunk| {
            let batch = SoaBatch::from_triples(chunk).unwrap();
            let firings: [Firing; 2] =
                bolt_triple::Reflex::reflex(&mut hooks, &batch, Cycle::default()).unwrap();
            sum ^ firings[0].receipt.hash ^ firings[1].receipt.hash
        })
    };
    let mut triples: Vec<Triple> = (0..64).map(triple).collect();
    let whole = hash(&triples, 8);
    assert_eq!(hash(&triples, 3), whole);
    triples.reverse();
    assert_eq!(hash(&triples, 5), whole);
    triples[60].object += 1; // subject 3, which the first hook wants
    assert_ne!(hash(&triples, 8), whole);
}

#[test]
fn ten_thousand_batches_through_a_warm_pipeline_allocate_nothing() {
    let batches = if cfg!(miri) { 50 } else { 12_500 };
    let pool: BufferPool = BufferPool::new();
    let run = |batches: u64| {
        let mut refusals = 0_u64;
        let mut tally = Tally::default();
        let sink = |emission: &Emission<'_>| {
            refusals += 1;
            if refusals.is_multiple_of(3) { Ok(Answer::NotNow) } else { tally.emit(emission) }
        };
        let stages = Stages::of_ids((0..batches * 8).map(triple), hooks(), sink);
        let mut pipeline = Pipeline::new(&pool, pool.receipts(), stages);
        while pipeline.run().unwrap() == Progress::NotNow {}
        drop(pipeline);
        tally
    };
    run(16);
    #[cfg(feature = "profiling")]
    pool.reset_stats();
    let tally = bolt_alloc::assert_no_alloc(|| run(batches));
    assert_eq!((tally.batches, tally.triples), (batches, batches * 8));
    #[cfg(feature = "profiling")]
    {
        let stats = pool.stats();
        assert!(stats.cache_hit_rate > 0.95 && stats.allocation_count == 0, "{stats:?}");
    }
}

// Without std a thread has no shard of its own, and such a pool is not a `SoaPool`.
#[cfg(feature = "std")]
#[test]
fn a_sharded_pool_serves_a_pipeline_and_a_ring_of_the_sink_another_thread() {
    let pool = bolt_triple::ShardedPool::<2>::new();
    let receipts = ReceiptPool::<64>::new();
    let many = MANY / 20;
    let (sender, receiver) = std::sync::mpsc::sync_channel::<Triple>(64);
    let reader = std::thread::spawn(move || receiver.iter().map(|triple| triple.subject).collect::<Vec<_>>());
    // A batch is taken whole or not at all: what the channel had no room for waits here.
    let mut rest = std::collections::VecDeque::new();
    let mut drained = 0_u64;
    let sink = |emission: &Emission<'_>| {
        while let Some(triple) = rest.pop_front() {
            if sender.try_send(triple).is_err() {
                rest.push_front(triple);
                return Ok(Answer::NotNow);
            }
            drained += 1;
        }
        rest.extend(emission.batch.iter());
        Ok(Answer::Taken)
    };
    let mut pipeline = Pipeline::new(&pool, &receipts, Stages::of_ids((0..many).map(triple), hooks(), sink));
    while pipeline.run().unwrap() == Progress::NotNow {
        std::thread::yield_now();
    }
    drop(pipeline);
    let left = rest.len() as u64;
    for triple in rest {
        sender.send(triple).unwrap();
    }
    drop(sender);
    assert_eq!(drained + left, many);
    assert_eq!(reader.join().unwrap(), (0..many).collect::<Vec<_>>());
}
