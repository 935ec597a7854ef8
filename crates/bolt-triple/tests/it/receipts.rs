//! Receipts: merging is associative and commutative and has an identity, so any order and grouping of shards gives one result.

use bolt_triple::{PoolError, Receipt, ReceiptPool};
use proptest::prelude::*;

fn receipt() -> impl Strategy<Value = Receipt> {
    any::<[u64; 7]>().prop_map(|[cycle, shard, hook, ticks, lanes, span_id, hash]| Receipt {
        cycle,
        shard,
        hook,
        ticks,
        lanes,
        span_id,
        hash,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn merging_is_associative_and_commutative_with_an_identity(a in receipt(), b in receipt(), c in receipt()) {
        prop_assert_eq!(a.merge(b).merge(c), a.merge(b.merge(c)));
        prop_assert_eq!(a.merge(b), b.merge(a));
        prop_assert_eq!(a.merge(Receipt::IDENTITY), a);
        prop_assert_eq!(Receipt::IDENTITY.merge(a), a);
        let both = a.merge(b);
        prop_assert_eq!(both.ticks, a.ticks.max(b.ticks));
        prop_assert_eq!(both.lanes, a.lanes.wrapping_add(b.lanes));
        prop_assert_eq!([both.cycle, both.shard, both.hook], [a.cycle ^ b.cycle, a.shard ^ b.shard, a.hook ^ b.hook]);
        prop_assert_eq!([both.span_id, both.hash], [a.span_id ^ b.span_id, a.hash ^ b.hash]);
    }

    #[test]
    fn any_order_and_grouping_gives_one_receipt(
        receipts in prop::collection::vec(receipt(), 0..20),
        cut in 0..20_usize,
        turn in 0..20_usize,
    ) {
        let all: Receipt = receipts.iter().copied().sum();
        let (left, right) = receipts.split_at(cut.min(receipts.len()));
        let halves = [right, left].into_iter().map(|half| half.iter().copied().sum::<Receipt>());
        prop_assert_eq!(halves.sum::<Receipt>(), all);
        let mut turned = receipts.clone();
        turned.rotate_left(turn.min(receipts.len()));
        prop_assert_eq!(turned.into_iter().sum::<Receipt>(), all);
        let pool = ReceiptPool::<20>::new();
        for &receipt in &receipts {
            pool.record(receipt).unwrap();
        }
        prop_assert_eq!(pool.merged(), all);
        prop_assert!(pool.iter().eq(receipts));
    }
}

#[test]
fn a_reset_inside_an_update_is_seen() {
    let pool = ReceiptPool::<2>::new();
    let handle = pool.record(Receipt { hash: 1, ..Receipt::IDENTITY }).unwrap();
    let updated = pool.update_receipt(handle, |receipt| {
        receipt.hash = 2;
        pool.reset_receipt_pool();
    });
    assert_eq!(updated, Err(PoolError::StaleReceipt { index: 0 }));
    let next = pool.get_receipt().unwrap();
    assert_eq!(pool.receipt(next), Ok(Receipt::IDENTITY), "the change went nowhere");
    assert_eq!((pool.in_use(), pool.total(), pool.high_water()), (1, 2, 1));
    pool.update_receipt(next, |receipt| receipt.hash = 9).unwrap();
    assert_eq!(pool.receipt(next).unwrap().hash, 9);
    assert_eq!(align_of::<Receipt>(), 64);
}
