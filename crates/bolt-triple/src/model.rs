//! Owns: the model of a pool: bytes become operations, run against a naive oracle. For tests and fuzz targets only. Never part of a build
//! without feature `model`. Limits: 4,096 operations an input.

use std::vec::Vec;

use crate::{
    BatchLen, BufferPool, Level, Matcher, Pattern, PoolError, PooledSoa, Receipt, ReceiptHandle, SoaBatch,
    SoaHandle, Triple,
};

/// Few, so that short inputs exhaust them.
const BATCHES: usize = 5;
const RECEIPTS: usize = 7;

type Pool = BufferPool<BATCHES, RECEIPTS>;

/// What the pool should hold, kept the simple way.
#[derive(Default)]
struct Oracle<'p> {
    /// Batches on loan, each with a copy of what was written into it.
    guards: Vec<(PooledSoa<'p, BATCHES>, SoaBatch)>,
    /// Parked batches that are still parked.
    parked: Vec<(SoaHandle, SoaBatch)>,
    /// Handles that should be refused.
    stale: Vec<SoaHandle>,
    /// Free slots, the next to go out last, as far as it is known: slots that came back.
    returned: Vec<usize>,
    receipts: Vec<(ReceiptHandle, Receipt)>,
    stale_receipts: Vec<ReceiptHandle>,
    high_water: usize,
}

impl Oracle<'_> {
    fn in_use(&self) -> usize {
        self.guards.len() + self.parked.len()
    }
}

/// Runs `bytes` as operations on a pool and panics where the pool and the oracle differ.
pub fn run(bytes: &[u8]) {
    let pool = Pool::new();
    let stranger = Pool::new();
    let foreign = stranger.get_soa(1).and_then(PooledSoa::into_handle).expect("a fresh pool");
    let foreign_receipt = stranger.get_receipt().expect("a fresh pool");
    let mut oracle = Oracle::default();
    for (number, operation) in bytes.chunks_exact(2).take(4096).enumerate() {
        step(&pool, &mut oracle, operation[0], operation[1], number as u64);
        assert!(pool.redeem(foreign).is_err() && pool.receipt(foreign_receipt).is_err(), "a stranger's");
        check(&pool, &oracle);
    }
    drop(oracle.guards);
    assert_eq!(pool.capacity_usage().soa_buffers_in_use, oracle.parked.len());
    assert_eq!(pool.clear().handles_revoked, oracle.parked.len());
    stranger.return_handle(foreign).expect("still parked");
}

fn step<'p>(pool: &'p Pool, oracle: &mut Oracle<'p>, code: u8, argument: u8, number: u64) {
    let pick = |len: usize| usize::from(argument) % len.max(1);
    match code % 12 {
        0..=2 => take(pool, oracle, argument),
        3 => {
            if !oracle.guards.is_empty() {
                let (soa, _) = oracle.guards.swap_remove(pick(oracle.guards.len()));
                oracle.returned.push(soa.slot());
                if code < 128 { pool.return_soa(soa) } else { drop(soa) }
            }
        }
        4 => {
            if !oracle.guards.is_empty() {
                let at = pick(oracle.guards.len());
                let (soa, copy) = &mut oracle.guards[at];
                let triple = Triple::new(number, u64::from(argument) % 3, u64::from(code) % 3);
                assert_eq!(soa.push(triple).is_ok(), copy.push(triple).is_ok());
                if let Some(last) = copy.len().checked_sub(1) {
                    soa.set(last, triple).expect("below the length");
                    copy.set(last, triple).expect("below the length");
                }
                ask(soa, argument, number);
            }
        }
        5 => {
            if !oracle.guards.is_empty() {
                let (soa, copy) = oracle.guards.swap_remove(pick(oracle.guards.len()));
                oracle.parked.push((soa.into_handle().expect("tickets"), copy));
            }
        }
        6 => {
            if !oracle.parked.is_empty() {
                let (handle, copy) = oracle.parked.swap_remove(pick(oracle.parked.len()));
                oracle.guards.push((pool.redeem(handle).expect("parked"), copy));
                oracle.stale.push(handle);
            }
        }
        7 => {
            if !oracle.parked.is_empty() {
                let (handle, _) = oracle.parked.swap_remove(pick(oracle.parked.len()));
                let soa = pool.redeem(handle).expect("parked");
                oracle.returned.push(soa.slot());
                drop(soa);
                oracle.stale.push(handle);
            }
        }
        8 => {
            for &handle in &oracle.stale {
                assert!(matches!(pool.return_handle(handle), Err(PoolError::StaleHandle { .. })));
            }
            oracle.stale.truncate(8);
        }
        9 => {
            let cleared = pool.clear();
            assert_eq!(cleared.soa_buffers_still_out, oracle.guards.len());
            assert_eq!(cleared.handles_revoked, oracle.parked.len());
            assert_eq!(cleared.receipts_reset, oracle.receipts.len());
            oracle.stale.extend(oracle.parked.drain(..).map(|(handle, _)| handle));
            oracle.stale_receipts.extend(oracle.receipts.drain(..).map(|(handle, _)| handle));
            oracle.returned.clear(); // the order in which revoked batches lie is not promised
            oracle.high_water = oracle.guards.len();
        }
        10 => {
            let receipt =
                Receipt { ticks: number, lanes: u64::from(argument), hash: number << 8, ..Receipt::IDENTITY };
            match pool.get_receipt() {
                Ok(handle) => {
                    assert_eq!(handle.index(), oracle.receipts.len());
                    assert_eq!(pool.receipt(handle), Ok(Receipt::IDENTITY));
                    pool.write_receipt(handle, receipt).expect("of this run");
                    oracle.receipts.push((handle, receipt));
                }
                Err(error) => {
                    assert_eq!(error, PoolError::ReceiptsExhausted { total: RECEIPTS });
                    assert_eq!(oracle.receipts.len(), RECEIPTS);
                }
            }
        }
        _ => {
            if argument.is_multiple_of(4) {
                pool.reset_receipt_pool();
                oracle.stale_receipts.extend(oracle.receipts.drain(..).map(|(handle, _)| handle));
            }
            for &handle in &oracle.stale_receipts {
                assert!(matches!(pool.receipt(handle), Err(PoolError::StaleReceipt { .. })));
            }
            oracle.stale_receipts.truncate(8);
        }
    }
}

fn take<'p>(pool: &'p Pool, oracle: &mut Oracle<'p>, argument: u8) {
    let len = usize::from(argument % 11);
    match pool.get_soa(len) {
        Ok(soa) => {
            assert!(len <= 8 && soa.len() == len && oracle.in_use() < BATCHES);
            if let Some(expected) = oracle.returned.pop() {
                assert_eq!(soa.slot(), expected, "last returned, first handed out");
            }
            assert!(oracle.guards.iter().all(|(other, _)| other.slot() != soa.slot()), "handed out twice");
            let copy = SoaBatch::clone(&soa);
            oracle.guards.push((soa, copy));
            oracle.high_water = oracle.high_water.max(oracle.in_use());
        }
        Err(PoolError::InvalidSize { requested, max: 8 }) => assert!(requested == len && len > 8),
        Err(error) => {
            assert_eq!(error, PoolError::ExhaustedCapacity { in_use: BATCHES, total: BATCHES });
            assert_eq!(oracle.in_use(), BATCHES);
        }
    }
}

/// Every level answers as the plain loop does, leftovers above the length included.
fn ask(batch: &SoaBatch, argument: u8, number: u64) {
    let bound = |bit: u8, id: u64| (argument & bit != 0).then_some(id);
    let pattern = Pattern::new(bound(32, number), bound(64, 1), bound(128, 2));
    let plain = batch.iter().enumerate().filter(|&(_, triple)| pattern.matches(triple));
    let plain = plain.fold(0, |mask, (at, _)| mask | 1 << at);
    for matcher in Level::ALL.into_iter().filter_map(|level| Matcher::with_level(pattern, level)) {
        assert_eq!(matcher.select(batch).0, plain, "{matcher:?} on {batch:?}");
    }
    let _ = BatchLen::new(batch.len()).expect("a batch is never longer than eight");
}

fn check(pool: &Pool, oracle: &Oracle<'_>) {
    for (soa, copy) in &oracle.guards {
        assert_eq!(**soa, *copy, "somebody else wrote into slot {}", soa.slot());
    }
    for (handle, receipt) in &oracle.receipts {
        assert_eq!(pool.receipt(*handle), Ok(*receipt));
    }
    assert_eq!(pool.receipts().merged(), oracle.receipts.iter().map(|(_, receipt)| *receipt).sum());
    let usage = pool.capacity_usage();
    assert_eq!(usage.soa_buffers_in_use, oracle.in_use());
    assert_eq!(usage.soa_buffers_high_water, oracle.high_water);
    assert_eq!((usage.receipts_in_use, pool.parked()), (oracle.receipts.len(), oracle.parked.len()));
}

#[cfg(test)]
mod tests {
    use super::run;
    use std::vec::Vec;

    /// A generator of bytes good enough to choose operations: xorshift64.
    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed | 1;
        (0..len)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 24) as u8
            })
            .collect()
    }

    #[test]
    fn random_operations_agree_with_the_oracle() {
        let (inputs, len) = if cfg!(miri) { (2_u64, 60) } else { (300, 1500) };
        for seed in 0..inputs {
            run(&noise((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15), len));
        }
    }
}
