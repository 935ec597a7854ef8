//! `BufferPool` and `ReceiptPool` from outside: the nine tests the source's design names, by those names, and what its original got wrong.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bolt_alloc::assert_no_alloc;
use bolt_triple::{
    BATCHES_MAX, BatchLen, BufferPool, MAX_RUN_LEN, PoolError, PooledSoa, Receipt, SoaBatch, TRIPLES_MAX,
    Triple,
};

/// As many as a pool has by itself; fewer where each is interpreted.
const RECEIPTS: usize = if cfg!(miri) { 8 } else { 1024 };

fn pool() -> BufferPool<16, RECEIPTS> {
    BufferPool::new()
}

#[test]
fn test_buffer_pool_creation() {
    let pool: BufferPool = BufferPool::new();
    let usage = pool.capacity_usage();
    assert_eq!((usage.soa_buffers_in_use, usage.soa_buffers_total, usage.soa_buffers_high_water), (0, 16, 0));
    assert_eq!((usage.receipts_in_use, usage.receipts_total, usage.receipts_high_water), (0, 1024, 0));
    assert_eq!((usage.triples_in_use_max, usage.triples_total, usage.triples_limit), (0, 128, 8192));
    assert_eq!((MAX_RUN_LEN, TRIPLES_MAX, BATCHES_MAX), (8, 8192, 1024));
    let largest = Box::new(BufferPool::<BATCHES_MAX, 0>::new());
    assert_eq!(largest.capacity_usage().triples_total, largest.capacity_usage().triples_limit);
}

#[test]
fn test_get_soa_buffer() {
    let pool = pool();
    for len in 0..=8 {
        let mut soa = pool.get_soa(len).unwrap();
        assert_eq!(soa.len(), len);
        let lanes = soa.lanes_mut().map(|lane| lane.as_ptr() as usize);
        assert!(lanes.iter().all(|lane| lane % 64 == 0), "each lane is one cache line: {lanes:?}");
        assert_eq!((lanes[1] - lanes[0], lanes[2] - lanes[1]), (64, 64), "192 bytes, contiguous");
        assert_eq!(pool.capacity_usage().soa_buffers_in_use, 1);
        assert_eq!(pool.capacity_usage().triples_in_use_max, 8);
    }
    assert_eq!(pool.get_batch(BatchLen::Three).unwrap().len(), 3);
    assert_eq!(pool.capacity_usage().soa_buffers_high_water, 1);
}

#[test]
fn test_get_soa_buffer_invalid_size() {
    let pool = pool();
    for requested in [9, 10, 64, usize::MAX] {
        assert_eq!(pool.get_soa(requested).unwrap_err(), PoolError::InvalidSize { requested, max: 8 });
    }
    let message = pool.get_soa(9).unwrap_err().to_string();
    assert_eq!(message, "a batch holds at most 8 triples and 9 were asked for; split the run");
    assert_eq!(pool.capacity_usage().soa_buffers_in_use, 0);
}

#[test]
fn test_return_soa_buffer() {
    let pool = pool();
    let soa = pool.get_soa(8).unwrap();
    pool.return_soa(soa);
    assert_eq!(pool.capacity_usage().soa_buffers_in_use, 0);
    {
        let _by_scope = pool.get_soa(8).unwrap();
        assert_eq!(pool.capacity_usage().soa_buffers_in_use, 1);
    }
    assert_eq!(pool.capacity_usage().soa_buffers_in_use, 0);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _held = pool.get_soa(8).unwrap();
        panic!("while a batch is out");
    }));
    assert!(panicked.is_err());
    assert_eq!(pool.capacity_usage().soa_buffers_in_use, 0, "it came back on the way of the panic");
}

#[test]
fn test_buffer_reuse() {
    let pool = pool();
    let address = |soa: &PooledSoa<'_>| soa.lanes()[0].as_ptr() as usize;
    let (mut one, two) = (pool.get_soa(1).unwrap(), pool.get_soa(1).unwrap());
    one.set(0, Triple::new(7, 8, 9)).unwrap();
    let (first, second) = (address(&one), address(&two));
    assert_ne!(first, second);
    drop(two);
    drop(one);
    let again = pool.get_soa(1).unwrap();
    assert_eq!(address(&again), first, "last returned, first handed out");
    assert_eq!(again.get(0), Some(Triple::new(7, 8, 9)), "neither cleared nor copied");
    assert_eq!(address(&pool.get_soa(1).unwrap()), second);
}

#[test]
fn test_pool_exhaustion() {
    let pool = pool();
    let all: Vec<_> = (0..16).map(|_| pool.get_soa(8).unwrap()).collect();
    let mut slots: Vec<_> = all.iter().map(PooledSoa::slot).collect();
    slots.sort_unstable();
    assert!(slots.into_iter().eq(0..16), "nobody shares a batch");
    let error = pool.get_soa(8).unwrap_err();
    assert_eq!(error, PoolError::ExhaustedCapacity { in_use: 16, total: 16 });
    assert!(error.to_string().contains("16 of 16 batches are in use"));
    drop(all);
    assert!(pool.get_soa(8).is_ok());
    assert_eq!(pool.capacity_usage().soa_buffers_high_water, 16);
    assert!(BufferPool::<0, 0>::new().get_soa(1).is_err());
}

#[test]
fn test_receipt_pool() {
    let pool = pool();
    for index in 0..RECEIPTS {
        let handle = pool.get_receipt().unwrap();
        assert_eq!(handle.index(), index);
        assert_eq!(pool.receipt(handle), Ok(Receipt::IDENTITY));
        let receipt = Receipt { cycle: 1, lanes: 2, ticks: index as u64, ..Receipt::IDENTITY };
        pool.write_receipt(handle, receipt).unwrap();
        assert_eq!(pool.receipt(handle), Ok(receipt));
    }
    assert_eq!(pool.get_receipt(), Err(PoolError::ReceiptsExhausted { total: RECEIPTS }));
    assert_eq!(pool.capacity_usage().receipts_in_use, RECEIPTS);
    let merged = pool.receipts().merged();
    let last = RECEIPTS as u64 - 1;
    assert_eq!((merged.lanes, merged.ticks, merged.cycle), (2 * RECEIPTS as u64, last, 0));
}

#[test]
fn test_receipt_pool_reset() {
    let pool = pool();
    let old = pool.get_receipt().unwrap();
    pool.write_receipt(old, Receipt { hash: 7, ..Receipt::IDENTITY }).unwrap();
    pool.reset_receipt_pool();
    assert_eq!(pool.capacity_usage().receipts_in_use, 0);
    assert_eq!(pool.capacity_usage().receipts_high_water, 1);
    let new = pool.get_receipt().unwrap();
    assert_eq!(pool.receipt(new), Ok(Receipt::IDENTITY), "nothing of the last run shows");
    assert_eq!(pool.receipt(old), Err(PoolError::StaleReceipt { index: 0 }));
    assert_eq!(pool.write_receipt(old, Receipt::IDENTITY), Err(PoolError::StaleReceipt { index: 0 }));
    assert!(pool.receipts().update_receipt(old, |_| unreachable!()).is_err());
    let other: BufferPool<1, 4> = BufferPool::new();
    assert_eq!(other.receipt(other.get_receipt().unwrap()), Ok(Receipt::IDENTITY));
    assert_eq!(other.receipt(new), Err(PoolError::StaleReceipt { index: 0 }), "another pool's");
}

#[test]
fn test_pool_clear() {
    let pool = pool();
    let guard = pool.get_soa(8).unwrap();
    let parked = pool.get_soa(8).unwrap().into_handle().unwrap();
    let receipt = pool.get_receipt().unwrap();
    let cleared = pool.clear();
    assert_eq!(
        (cleared.soa_buffers_still_out, cleared.handles_revoked, cleared.receipts_reset),
        (1, 1, 1),
        "it knows what is out"
    );
    assert_eq!(pool.redeem(parked).unwrap_err(), PoolError::StaleHandle { index: 1 });
    assert!(pool.receipt(receipt).is_err());
    assert_eq!(pool.capacity_usage().soa_buffers_in_use, 1, "the guard still holds its batch");
    assert_eq!(pool.capacity_usage().soa_buffers_high_water, 1);
    let taken: Vec<_> = std::iter::from_fn(|| pool.get_soa(1).ok()).collect();
    assert_eq!(taken.len(), 15, "what the guard holds is handed out to nobody");
    assert!(taken.iter().all(|soa| soa.slot() != guard.slot()));
    drop((taken, guard));
    assert_eq!(pool.capacity_usage().soa_buffers_in_use, 0);
}

#[test]
fn a_parked_batch_comes_back_once_and_to_its_own_pool() {
    let (pool, other) = (pool(), pool());
    let mut soa = pool.get_soa(2).unwrap();
    soa.set(1, Triple::new(1, 2, 3)).unwrap();
    let handle = soa.into_handle().unwrap();
    let copy = handle;
    assert_eq!((pool.parked(), pool.capacity_usage().soa_buffers_in_use), (1, 1));
    assert!(other.redeem(handle).is_err() && other.return_handle(handle).is_err(), "foreign");
    let soa = pool.redeem(handle).unwrap();
    assert_eq!(soa.get(1), Some(Triple::new(1, 2, 3)));
    assert!(pool.redeem(copy).is_err(), "while a guard holds it");
    let second = soa.into_handle().unwrap();
    assert_ne!(second, copy);
    pool.return_handle(second).unwrap();
    assert_eq!(pool.return_handle(second), Err(PoolError::StaleHandle { index: 0 }), "twice");
    assert_eq!(pool.capacity_usage().soa_buffers_in_use, 0);
    let handle = other.get_soa(1).unwrap().into_handle().unwrap();
    assert!(pool.redeem(handle).is_err());
    other.return_handle(handle).unwrap();
}

#[test]
fn a_forgotten_guard_loses_its_batch_until_a_reset() {
    let mut pool: BufferPool<2, 1> = BufferPool::new();
    std::mem::forget(pool.get_soa(1).unwrap());
    let parked = pool.get_soa(1).unwrap().into_handle().unwrap();
    assert!(pool.get_soa(1).is_err());
    assert_eq!(pool.clear().soa_buffers_still_out, 1);
    assert_eq!(pool.reset().soa_buffers_still_out, 1);
    assert_eq!(pool.capacity_usage().soa_buffers_in_use, 0);
    assert!(pool.redeem(parked).is_err());
    let both = (pool.get_soa(1).unwrap(), pool.get_soa(1).unwrap());
    assert_ne!(both.0.slot(), both.1.slot());
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "a debug assertion")]
fn a_pool_that_lost_a_batch_says_so_when_it_is_dropped() {
    let pool: BufferPool<2, 1> = BufferPool::new();
    std::mem::forget(pool.get_soa(1).unwrap());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(pool))).is_err());
}

#[test]
fn batches_hold_what_was_pushed_and_no_more_than_eight() {
    let triples: Vec<Triple> = (0..9).map(|i| Triple::new(i, i * 10, i * 100)).collect();
    let mut batch = SoaBatch::new();
    assert!(batch.is_empty());
    assert_eq!(batch.extend_from(triples.iter().copied()), 8);
    assert!(batch.is_full());
    assert_eq!(batch.push(triples[8]), Err(PoolError::InvalidSize { requested: 9, max: 8 }));
    assert!(batch.iter().eq(triples[..8].iter().copied()));
    assert_eq!(batch, SoaBatch::from_triples(&triples[..8]).unwrap());
    assert!(SoaBatch::from_triples(&triples).is_err());
    assert_eq!(batch.get(8), None);
    assert_eq!(batch.objects()[7], 700);
    batch.set_len(BatchLen::Two);
    assert_eq!((batch.len(), batch.subjects(), batch.predicates()), (2, &[0, 1][..], &[0, 10][..]));
    assert!(batch.set(2, triples[0]).is_err());
    assert_ne!(batch, SoaBatch::from_triples(&triples[..3]).unwrap());
    batch.clear();
    assert_eq!(batch, SoaBatch::new(), "leftovers do not count");
    assert_eq!(format!("{:?}", SoaBatch::from_triples(&triples[..1]).unwrap()).matches("Triple").count(), 1);
}

#[test]
fn ten_thousand_runs_allocate_nothing() {
    let rounds = if cfg!(miri) { 20 } else { 10_000 };
    assert_no_alloc(|| {
        let pool: BufferPool<16, 64> = BufferPool::new();
        for round in 0..rounds {
            let mut soa = pool.get_soa(8).unwrap();
            soa.set(3, Triple::new(round, 1, 2)).unwrap();
            let receipt = pool.get_receipt().unwrap();
            pool.write_receipt(receipt, Receipt { lanes: 8, ..Receipt::IDENTITY }).unwrap();
            let handle = soa.into_handle().unwrap();
            let second = pool.get_soa(1).unwrap();
            pool.return_handle(handle).unwrap();
            pool.return_soa(second);
            if round % 64 == 63 {
                assert_eq!(pool.receipts().merged().lanes, 64 * 8);
                pool.reset_receipt_pool();
            }
        }
    });
}

#[test]
#[cfg(feature = "profiling")]
fn a_pipeline_of_few_batches_hits_more_than_95_percent() {
    let pool = pool();
    for _ in 0..1000 {
        let _three = (pool.get_soa(8).unwrap(), pool.get_soa(8).unwrap(), pool.get_soa(8).unwrap());
    }
    let stats = pool.stats();
    assert_eq!((stats.hits, stats.misses, stats.cold, stats.exhausted), (2997, 3, 3, 0));
    assert!(stats.cache_hit_rate > 0.95, "{stats:?}");
    assert_eq!(stats.allocation_count, 0);
    let all: Vec<_> = std::iter::from_fn(|| pool.get_soa(8).ok()).collect();
    assert_eq!(all.len(), 16);
    assert_eq!((pool.stats().cold, pool.stats().exhausted), (16, 1));
    pool.reset_stats();
    assert_eq!(pool.stats().misses, 0);
}
