//! jemalloc's statistics follow what the program does.

use std::hint::black_box;

use bolt_alloc::JemallocStats;

#[test]
fn statistics_follow_a_large_block() {
    const BLOCK: usize = 32 << 20;
    let before = JemallocStats::read().unwrap();
    let block = black_box(vec![1_u8; BLOCK]);
    let with = JemallocStats::read().unwrap();
    drop(block);
    let after = JemallocStats::read().unwrap();
    // Other tests of this binary come and go meanwhile, hence the slack of a quarter; one of them holds 64 MiB for a moment.
    assert!(
        with.allocated >= before.allocated.saturating_sub(64 << 20) + BLOCK / 4 * 3
            || with.allocated >= BLOCK
    );
    assert!(after.allocated < with.allocated + (64 << 20));
    assert!(with.active >= with.allocated && with.resident >= with.active / 2 && with.mapped >= with.active);
    assert!(with.fragmentation() >= 1.0 && with.overhead() > 0.5);
    assert!(with.metadata > 0);
}
