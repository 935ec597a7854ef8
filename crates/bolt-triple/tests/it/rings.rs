//! Delta and assertion rings: runs that fit a batch, nothing lost when a half goes, two threads.

use std::thread;

use bolt_sync::ring::RingError;
use bolt_triple::{
    Assertion, AssertionRing, Delta, DeltaKind, DeltaRing, DeltaRun, Receipt, SoaBatch, Triple,
    assertion_ring, delta_ring,
};

fn delta(id: u64, cycle: u64, kind: DeltaKind) -> Delta {
    Delta { triple: Triple::new(id, id + 1, id + 2), cycle, kind }
}

#[test]
fn runs_share_cycle_and_kind_and_fit_a_batch() {
    let (mut producer, mut consumer) = delta_ring(64).unwrap();
    let insert = |id| delta(id, 1, DeltaKind::Insert);
    assert_eq!(producer.push_iter((0..11).map(insert)), 11);
    producer.push(delta(20, 1, DeltaKind::Remove)).unwrap();
    assert_eq!(producer.push_slice(&[delta(30, 2, DeltaKind::Remove), delta(31, 2, DeltaKind::Remove)]), 2);
    let mut batch = SoaBatch::new();
    let mut runs = Vec::new();
    while let Some(run) = consumer.load_into(&mut batch) {
        runs.push((run, batch.subjects().to_vec()));
    }
    let run = |cycle, kind| DeltaRun { cycle, kind };
    assert_eq!(
        runs,
        [
            (run(1, DeltaKind::Insert), (0..8).collect::<Vec<u64>>()),
            (run(1, DeltaKind::Insert), vec![8, 9, 10]),
            (run(1, DeltaKind::Remove), vec![20]),
            (run(2, DeltaKind::Remove), vec![30, 31]),
        ]
    );
    assert!(batch.is_empty(), "nothing came, and nothing of the last run is left");
    assert!(consumer.is_empty());
    drop(producer);
    assert!(consumer.is_closed());
}

#[test]
fn a_ring_in_place_keeps_what_a_half_leaves_behind() {
    let ring = DeltaRing::<8>::new();
    let (mut producer, mut consumer) = ring.split().unwrap();
    assert_eq!(ring.split().map(drop).unwrap_err(), RingError::AlreadySplit);
    producer.push(delta(1, 1, DeltaKind::Insert)).unwrap();
    producer.push(delta(2, 2, DeltaKind::Insert)).unwrap();
    let mut batch = SoaBatch::new();
    assert_eq!(consumer.load_into(&mut batch).unwrap().cycle, 1);
    assert_eq!(producer.free(), 7);
    drop(consumer);
    assert!(producer.is_closed());
    drop(producer);
    let (_producer, mut consumer) = ring.split().unwrap();
    assert_eq!(consumer.pop(), Some(delta(2, 2, DeltaKind::Insert)), "it was looked at, and is still there");
    assert_eq!(consumer.len(), 0);
}

#[test]
fn assertions_carry_their_receipts_across_threads() {
    let count = if cfg!(miri) { 60 } else { 50_000_u64 };
    let (mut producer, mut consumer) = assertion_ring(32).unwrap();
    let merged = thread::scope(|scope| {
        scope.spawn(move || {
            for id in 0..count {
                let receipt = Receipt { lanes: 1, ticks: id, hash: id, ..Receipt::IDENTITY };
                let mut assertion = Assertion { triple: Triple::new(id, 0, 0), receipt };
                while let Err(full) = producer.push(assertion) {
                    assertion = full.into_inner();
                    thread::yield_now();
                }
            }
        });
        let (mut merged, mut next) = (Receipt::IDENTITY, 0);
        loop {
            let closed = consumer.is_closed();
            let got = consumer.pop_each(16, |assertion| {
                assert_eq!(assertion.triple.subject, next);
                next += 1;
                merged = merged.merge(assertion.receipt);
            });
            if got == 0 {
                if closed {
                    break merged;
                }
                thread::yield_now();
            }
        }
    });
    assert_eq!((merged.lanes, merged.ticks), (count, count - 1));
    let ring = AssertionRing::<4>::default();
    assert_eq!(ring.split().unwrap().0.capacity(), 4);
    assert_eq!(DeltaRing::<2>::default().split().unwrap().0.free(), 2);
}
