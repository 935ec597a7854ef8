//! What the pool takes from the heap and gives back, read from the allocator, not from the pool.

use bolt_alloc::measure;
use bolt_arena::{AllocError, ArenaAllocator, BoltPool, PoolLimits};

#[test]
fn memory_is_kept_up_to_the_cap_and_given_back_above_it() {
    let limits = PoolLimits { retained_bytes_max: 64 << 10, ..PoolLimits::DEFAULT };
    let slices = if cfg!(miri) { 20 } else { 200 };
    let ((mut pool, peak), counts) = measure(|| {
        let mut pool = BoltPool::<u64, 16>::with_limits(limits);
        for _ in 0..slices {
            pool.alloc(1000).unwrap();
        }
        let peak = pool.stats().heap_bytes;
        pool.reset_all();
        (pool, peak)
    });
    assert!(peak >= slices * 8000, "{peak}");
    assert!(counts.peak_bytes >= peak as u64);
    // What the allocator still has out is what the pool says it keeps, but for the small table of chunks.
    let kept = pool.stats().heap_bytes;
    assert!(kept <= 64 << 10, "{kept}");
    assert!((kept as i64..=kept as i64 + 1024).contains(&counts.live_bytes), "{counts:?} but {kept} kept");
    let ((), counts) = measure(|| {
        for _ in 0..3 {
            pool.alloc(700).unwrap();
        }
        pool.reset_all();
    });
    assert_eq!(counts.allocations, 0, "what was kept is used again");
    pool.shrink_to(0);
    assert_eq!(pool.stats().heap_bytes, 0);
}

#[test]
fn the_ceiling_is_an_ordinary_error_and_nothing_is_lost() {
    let limits = PoolLimits { heap_bytes_max: 10_000, ..PoolLimits::DEFAULT };
    let mut pool = ArenaAllocator::<u64>::with_limits(limits);
    let first = pool.alloc_copy(&[1; 100]).unwrap();
    let refused = pool.alloc(10_000).unwrap_err();
    let AllocError::LimitReached { requested_bytes: 80_000, heap_bytes, heap_bytes_max: 10_000 } = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!(heap_bytes, pool.stats().heap_bytes);
    assert!(refused.to_string().contains("would pass the pool's limit of 10000"));
    // Small ones go on until the ceiling, which the pool never passes.
    let mut taken = 1;
    while pool.alloc(50).is_ok() {
        taken += 1;
        assert!(pool.stats().heap_bytes <= 10_000);
    }
    assert!(taken > 10, "{taken}");
    assert_eq!(pool.resolve(first).unwrap(), [1; 100]);
    pool.reset_all();
    assert!(pool.alloc(50).is_ok());
    // A ceiling of nothing refuses with numbers, too.
    let mut none = BoltPool::<u8, 4>::with_limits(PoolLimits { heap_bytes_max: 0, retained_bytes_max: 0 });
    assert!(matches!(none.alloc(5), Err(AllocError::LimitReached { heap_bytes: 0, heap_bytes_max: 0, .. })));
    assert!(none.frame(|frame| frame.alloc_copy(&[1; 4]).is_ok() && frame.alloc(5).is_err()));
}

#[test]
fn absurd_sizes_are_refused_before_memory_is_touched() {
    let mut pool = BoltPool::<u64, 4>::new();
    assert!(matches!(
        pool.alloc_with(usize::MAX, |_| 0),
        Err(AllocError::TooLarge { requested_values: usize::MAX, .. })
    ));
    assert!(matches!(pool.alloc_with(1 << 33, |_| 0), Err(AllocError::TooLarge { .. })));
    let mut builder = pool.builder().unwrap();
    builder.push(1).unwrap();
    assert!(builder.reserve(usize::MAX).is_err());
    let handle = builder.finish();
    assert_eq!(pool.resolve(handle).unwrap(), [1]);
}

#[test]
fn one_large_allocation_does_not_double_every_later_chunk() {
    // A known grief with bump arenas: after one large slice, each later chunk is at least as large.
    let limits = PoolLimits { retained_bytes_max: usize::MAX, ..PoolLimits::DEFAULT };
    let mut pool = ArenaAllocator::<u8>::with_limits(limits);
    let large = if cfg!(miri) { 20 << 10 } else { 50 << 20 }; // each value is a step of the interpreter
    pool.alloc(large).unwrap();
    pool.alloc(100).unwrap();
    let small_chunks_bytes = if cfg!(miri) { 16 << 10 } else { 64 << 10 };
    assert!(pool.stats().heap_bytes < large + small_chunks_bytes, "{}", pool.stats().heap_bytes);
}

#[test]
fn frames_reuse_kept_chunks_and_reset_trims_after_them() {
    let limits = PoolLimits { retained_bytes_max: 10_000, ..PoolLimits::DEFAULT };
    let mut pool = BoltPool::<u32, 8>::with_limits(limits);
    let use_it = |pool: &mut BoltPool<u32, 8>| {
        pool.frame(|frame| {
            for _ in 0..10_000 {
                frame.alloc(1).unwrap();
            }
        });
    };
    use_it(&mut pool);
    let ((), again) = measure(|| use_it(&mut pool));
    assert_eq!(again.allocations, 0);
    assert!(pool.stats().heap_bytes > 10_000);
    pool.reset_all();
    assert!(pool.stats().heap_bytes <= 10_000);
}
