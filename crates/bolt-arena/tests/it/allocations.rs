//! "Allocates nothing once warm", shown over at least 10,000 operations each.

use bolt_alloc::assert_no_alloc;
use bolt_arena::{BoltPool, Handle, ScratchBuffer};

const ROUNDS: u32 = if cfg!(miri) { 5 } else { 10_000 };

/// One record's worth of work: a few lists in the scratch, at times one that overflows, then everything goes.
fn one_record(pool: &mut BoltPool<u32, 256>, round: u32) {
    let mut handles = [None::<Handle<u32>>; 5];
    for (i, slot) in handles.iter_mut().enumerate() {
        let n = if round.is_multiple_of(16) && i == 3 { 3000 } else { 8 * i + 1 };
        *slot = Some(pool.alloc_with(n, |j| round ^ j as u32).unwrap());
    }
    let mut builder = pool.builder().unwrap();
    for i in 0..round % 400 {
        builder.push(i).unwrap();
    }
    let built = builder.finish();
    assert_eq!(pool.resolve(built).unwrap().len(), (round % 400) as usize);
    for handle in handles.into_iter().flatten() {
        assert_eq!(pool.resolve(handle).unwrap()[0], round);
    }
    pool.scope(|pool| {
        pool.alloc(20).unwrap();
    });
    pool.frame(|frame| {
        for i in 0..100 {
            *frame.alloc(i).unwrap() += 1;
        }
    });
    pool.reset_all();
}

#[test]
fn a_warm_pool_allocates_nothing() {
    let mut pool = BoltPool::<u32, 256>::new();
    // Twice the period of what a record allocates.
    for round in 0..if cfg!(miri) { ROUNDS } else { 800 } {
        one_record(&mut pool, round);
    }
    assert_no_alloc(|| {
        for round in 0..ROUNDS {
            one_record(&mut pool, round);
        }
    });
}

#[test]
fn a_scratch_buffer_and_a_frame_within_the_scratch_never_touch_the_heap() {
    assert_no_alloc(|| {
        let mut scratch = ScratchBuffer::<u64, 32>::new();
        let mut pool = BoltPool::<u64, 32>::new();
        for round in 0..u64::from(ROUNDS) {
            scratch.alloc_with(32, |i| i as u64 + round).unwrap();
            scratch.reset();
            pool.frame(|frame| frame.alloc_with(32, |i| i as u64).map(|values| assert_eq!(values[31], 31)))
                .unwrap();
            pool.reset_all();
        }
    });
}

#[test]
#[cfg(feature = "std")]
fn a_warm_thread_pool_allocates_nothing_two_levels_deep() {
    let work = || {
        bolt_arena::with_thread_pool::<u64, _>(|outer| {
            let handle = outer.alloc(10).unwrap();
            bolt_arena::with_thread_pool::<u64, _>(|inner| {
                inner.alloc(300).unwrap();
                assert!(inner.resolve(handle).is_err());
            });
            assert_eq!(outer.resolve(handle).unwrap(), [0; 10]);
        });
    };
    work();
    assert_no_alloc(|| {
        for _ in 0..ROUNDS {
            work();
        }
    });
}
