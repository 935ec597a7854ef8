//! The feature `profiling` counts and changes nothing else: one script of operations, every answer of which is written down, beside one text for
//! both builds. Where there are figures the script looks at them and clears them all the way, so that looking changes nothing either.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bolt_triple::{
    Answer, BufferPool, CapacityUsage, Emission, Fault, Hooks, Ids, InFlight, InOrder, Load, Matcher,
    Pattern, PatternHook, Pipeline, PoolError, Progress, Receipt, SoaBatch, Stages, Triple,
};

/// What happened, a line each.
#[derive(Default)]
struct Transcript(RefCell<Vec<String>>);

impl Transcript {
    fn say(&self, line: impl Display) {
        self.0.borrow_mut().push(line.to_string());
    }

    fn usage(&self, usage: CapacityUsage) {
        let CapacityUsage { soa_buffers_in_use, soa_buffers_total, soa_buffers_high_water, .. } = usage;
        let CapacityUsage { receipts_in_use, receipts_total, receipts_high_water, .. } = usage;
        let CapacityUsage { triples_in_use_max, triples_total, triples_limit, .. } = usage;
        self.say(format_args!(
            "usage: batches {soa_buffers_in_use}/{soa_buffers_total} ({soa_buffers_high_water}), \
             receipts {receipts_in_use}/{receipts_total} ({receipts_high_water}), \
             triples {triples_in_use_max}/{triples_total}/{triples_limit}"
        ));
    }

    /// Compares line by line, so that a difference is told by its place.
    fn is(self, expected: &[&str]) {
        let lines = self.0.into_inner();
        for (at, (line, expected)) in lines.iter().zip(expected).enumerate() {
            assert_eq!(line, expected, "line {at}");
        }
        assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    }
}

/// Looks at the figures and clears them; without the feature there are none.
fn look<const N: usize, const R: usize>(pool: &BufferPool<N, R>) {
    #[cfg(feature = "profiling")]
    {
        let stats = pool.stats();
        assert_eq!((stats.misses, stats.allocation_count), (stats.cold + stats.exhausted, 0));
        pool.reset_stats();
        assert_eq!(pool.stats(), bolt_triple::PoolStats::default());
    }
    #[cfg(not(feature = "profiling"))]
    let _ = pool;
}

fn told<T>(result: Result<T, PoolError>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "ok".to_owned())
}

#[test]
fn a_pool_answers_the_same_with_and_without_figures() {
    let transcript = Transcript::default();
    let say = |line: String| transcript.say(line);
    let mut pool: BufferPool<3, 4> = BufferPool::new();
    transcript.usage(pool.capacity_usage());
    {
        let a = pool.get_soa(8).unwrap();
        let mut b = pool.get_soa(1).unwrap();
        b.set(0, Triple::new(4, 5, 6)).unwrap();
        let c = pool.get_soa(0).unwrap();
        say(format!("three: slots {} {} {}", a.slot(), b.slot(), c.slot()));
        say(format!("a fourth: {}", told(pool.get_soa(1))));
        say(format!("nine: {}", told(pool.get_soa(9))));
        look(&pool);
        pool.return_soa(b);
        let again = pool.get_soa(1).unwrap();
        say(format!("again: slot {}, {:?}", again.slot(), again.get(0)));
        drop((c, again));
        let next = pool.get_soa(2).unwrap();
        say(format!("after two: slot {}, {} triples", next.slot(), next.len()));
        let handle = next.into_handle().unwrap();
        transcript.usage(pool.capacity_usage());
        let redeemed = pool.redeem(handle).unwrap();
        say(format!("redeemed: slot {}, {} triples", redeemed.slot(), redeemed.len()));
        say(format!("twice: {}", told(pool.redeem(handle))));
        look(&pool);
        drop(redeemed);
        say(format!("late: {}", told(pool.return_handle(handle))));
        transcript.usage(pool.capacity_usage());
    }
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _two = (pool.get_soa(1).unwrap(), pool.get_soa(1).unwrap());
        panic!("while two are out");
    }));
    say(format!("panicked: {}", panicked.is_err()));
    look(&pool);
    for lanes in 1..=5 {
        let recorded = pool.receipts().record(Receipt { hash: lanes << 8, lanes, ..Receipt::IDENTITY });
        let index = recorded.map(|handle| handle.index());
        say(format!("receipt of {lanes}: {index:?}"));
    }
    let old = pool.receipts().merged();
    say(format!("merged: {} lanes, {:#x}", old.lanes, old.hash));
    let (guard, parked) = (pool.get_soa(3).unwrap(), pool.get_soa(4).unwrap().into_handle().unwrap());
    say(format!("{:?}", pool.clear()));
    look(&pool);
    say(format!("revoked: {}", told(pool.redeem(parked))));
    transcript.usage(pool.capacity_usage());
    let receipt = pool.get_receipt().unwrap();
    say(format!("new run: {} {:?}", receipt.index(), pool.receipt(receipt) == Ok(Receipt::IDENTITY)));
    pool.reset_receipt_pool();
    say(format!("old receipt: {}", told(pool.receipt(receipt))));
    drop(guard);
    std::mem::forget(pool.get_soa(1).unwrap());
    say(format!("{:?}", pool.reset()));
    look(&pool);
    transcript.usage(pool.capacity_usage());
    let taken: Vec<_> = std::iter::from_fn(|| pool.get_soa(8).ok().map(|soa| (soa.slot(), soa))).collect();
    say(format!("all: {:?}", taken.iter().map(|(slot, _)| slot).collect::<Vec<_>>()));
    drop(taken);
    transcript.usage(pool.capacity_usage());
    transcript.is(&[
        "usage: batches 0/3 (0), receipts 0/4 (0), triples 0/24/8192",
        "three: slots 0 1 2",
        "a fourth: 3 of 3 batches are in use; return one or make the pool larger",
        "nine: a batch holds at most 8 triples and 9 were asked for; split the run",
        "again: slot 1, Some(Triple { subject: 4, predicate: 5, object: 6 })",
        "after two: slot 1, 2 triples",
        "usage: batches 2/3 (3), receipts 0/4 (0), triples 16/24/8192",
        "redeemed: slot 1, 2 triples",
        "twice: the handle of batch 1 is stale: it was redeemed, returned or revoked, or is another pool's",
        "late: the handle of batch 1 is stale: it was redeemed, returned or revoked, or is another pool's",
        "usage: batches 1/3 (3), receipts 0/4 (0), triples 8/24/8192",
        "panicked: true",
        "receipt of 1: Ok(0)",
        "receipt of 2: Ok(1)",
        "receipt of 3: Ok(2)",
        "receipt of 4: Ok(3)",
        "receipt of 5: Err(ReceiptsExhausted { total: 4 })",
        "merged: 10 lanes, 0x400",
        "Cleared { soa_buffers_still_out: 1, handles_revoked: 1, receipts_reset: 4 }",
        "revoked: the handle of batch 0 is stale: it was redeemed, returned or revoked, or is another pool's",
        "usage: batches 1/3 (1), receipts 0/4 (4), triples 8/24/8192",
        "new run: 0 true",
        "old receipt: receipt 0 is from before a reset of this pool, or is another pool's",
        "Cleared { soa_buffers_still_out: 1, handles_revoked: 0, receipts_reset: 0 }",
        "usage: batches 0/3 (0), receipts 0/4 (4), triples 0/24/8192",
        "all: [0, 1, 2]",
        "usage: batches 0/3 (3), receipts 0/4 (4), triples 0/24/8192",
    ]);
}

/// A loader that refuses its second call.
struct Moody(u32);

impl Load for Moody {
    fn load_into(&mut self, typed: &[Triple], soa: &mut SoaBatch) -> Result<(), Fault> {
        self.0 += 1;
        if self.0 == 2 { Err(Fault::Refused("moody")) } else { InOrder.load_into(typed, soa) }
    }
}

#[test]
fn a_pipeline_answers_the_same_with_and_without_figures() {
    let transcript = Transcript::default();
    let pool: BufferPool<2, 4> = BufferPool::new();
    let hook = |id, pattern| PatternHook::new(id, Matcher::new(pattern));
    let hooks = Hooks::new([
        hook(1, Pattern { predicate: Some(2), ..Pattern::ANY }),
        hook(2, Pattern { subject: Some(9), ..Pattern::ANY }),
    ]);
    let calls = Cell::new(0);
    let emit = |emission: &Emission<'_>| {
        look(&pool);
        calls.set(calls.get() + 1);
        let answer = match calls.get() {
            1..=3 => Ok(Answer::NotNow),
            5 => Err(Fault::Refused("the sink is full")),
            _ => Ok(Answer::Taken),
        };
        let subjects = emission.batch.subjects();
        let found = emission.firings.iter().map(|firing| {
            let (receipt, matched) = (firing.receipt, firing.matched.indices().collect::<Vec<_>>());
            format!("; hook {} {matched:?} {:016x}", receipt.hook, receipt.hash)
        });
        let found: String = found.collect();
        let (cycle, place) = (emission.cycle.cycle, emission.place);
        transcript.say(format_args!("emit {cycle} from {place}: {subjects:?}{found}: {answer:?}"));
        answer
    };
    let stages = Stages {
        ingest: Ids::new((1..=29_u64).map(|i| (i, i % 3, i * i))),
        transform: |item: (u64, u64, u64)| match item.0 {
            5 => Err(Fault::Refused("five is out of the question")),
            _ => Ok(Triple::from(item)),
        },
        load: Moody(0),
        reflex: hooks,
        emit,
    };
    let mut pipeline = Pipeline::bounded(InFlight::<2>, &pool, pool.receipts(), stages);
    loop {
        let answer = pipeline.run();
        look(&pool);
        match &answer {
            Ok(progress) => transcript.say(format_args!("{progress:?}")),
            Err(error) => transcript.say(error),
        }
        transcript.usage(pool.capacity_usage());
        if matches!(answer, Ok(Progress::Done)) {
            break;
        }
    }
    let mut totals = pipeline.totals();
    drop(pipeline);
    totals.receipt.ticks = 0; // the one thing that is never the same twice
    transcript.say(format_args!("{totals:?}"));
    transcript.usage(pool.capacity_usage());
    transcript.is(&[
        "transform at triple 5: five is out of the question",
        "usage: batches 0/2 (0), receipts 0/4 (0), triples 0/16/8192",
        "emit 1 from triple 1: [1, 2, 3, 4, 6, 7, 8, 9]; hook 1 [1, 6] 75b7791dae827116; hook 2 [7] 1bf7ca81f47b8f1a: Ok(NotNow)",
        "emit 1 from triple 1: [1, 2, 3, 4, 6, 7, 8, 9]; hook 1 [1, 6] 75b7791dae827116; hook 2 [7] 1bf7ca81f47b8f1a: Ok(NotNow)",
        "load at triple 10: moody",
        "usage: batches 1/2 (2), receipts 2/4 (2), triples 8/16/8192",
        "emit 1 from triple 1: [1, 2, 3, 4, 6, 7, 8, 9]; hook 1 [1, 6] 75b7791dae827116; hook 2 [7] 1bf7ca81f47b8f1a: Ok(NotNow)",
        "emit 1 from triple 1: [1, 2, 3, 4, 6, 7, 8, 9]; hook 1 [1, 6] 75b7791dae827116; hook 2 [7] 1bf7ca81f47b8f1a: Ok(Taken)",
        "emit 2 from triple 10: [10, 11, 12, 13, 14, 15, 16, 17]; hook 1 [1, 4, 7] 43945e3df6e2cd7d; hook 2 [] 0000000000000000: Err(Refused(\"the sink is full\"))",
        "emit at triple 10: the sink is full",
        "usage: batches 1/2 (2), receipts 4/4 (4), triples 8/16/8192",
        "emit 2 from triple 10: [10, 11, 12, 13, 14, 15, 16, 17]; hook 1 [1, 4, 7] 43945e3df6e2cd7d; hook 2 [] 0000000000000000: Ok(Taken)",
        "emit 3 from triple 18: [18, 19, 20, 21, 22, 23, 24, 25]; hook 1 [2, 5] 047c40b8d1ddcd84; hook 2 [] 0000000000000000: Ok(Taken)",
        "emit 4 from triple 26: [26, 27, 28, 29]; hook 1 [0, 3] 179c3e31537383a0; hook 2 [] 0000000000000000: Ok(Taken)",
        "Done",
        "usage: batches 0/2 (2), receipts 4/4 (4), triples 0/16/8192",
        "Totals { triples: 28, batches: 4, emitted: 4, refused: 3, in_flight_high_water: 2, folds: 1, receipt: Receipt { cycle: 0, shard: 0, hook: 0, ticks: 0, lanes: 10, span_id: 0, hash: 4482369329932107093 } }",
        "usage: batches 0/2 (2), receipts 4/4 (4), triples 0/16/8192",
    ]);
}
