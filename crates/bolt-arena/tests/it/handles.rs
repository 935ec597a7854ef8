//! Handles, marks and scopes: what resolves, what is refused, and with which numbers.

use bolt_arena::{
    AllocError, ArenaAllocator, BoltPool, HandleError, ReleaseError, RollbackError, ScratchBuffer,
};

#[test]
fn handles_see_their_values_across_overflow_into_the_arena() {
    let mut pool = BoltPool::<u32, 16>::new();
    let mut handles = Vec::new();
    let large = if cfg!(miri) { 3_000 } else { 70_000 }; // each value is a step of the interpreter
    for n in [0, 1, 5, 16, 3, 1000, 0, 2, large] {
        let base = handles.len() as u32 * 1_000_000;
        handles.push((pool.alloc_with(n, |i| base + i as u32).unwrap(), n, base));
    }
    for (handle, n, base) in handles {
        assert_eq!((handle.len(), handle.is_empty()), (n, n == 0));
        assert!(pool.resolve(handle).unwrap().iter().copied().eq(base..base + n as u32));
    }
    assert_eq!(pool.stats().values_in_use, 1_027 + large);
}

#[test]
fn what_a_handle_sees_does_not_move_while_the_pool_grows() {
    let mut pool = BoltPool::<u64, 4>::new();
    let in_scratch = pool.alloc(4).unwrap();
    let in_arena = pool.alloc(4).unwrap();
    let places = |pool: &BoltPool<u64, 4>| {
        [in_scratch, in_arena].map(|handle| pool.resolve(handle).unwrap().as_ptr() as usize)
    };
    let before = places(&pool);
    for _ in 0..if cfg!(miri) { 200 } else { 2000 } {
        pool.alloc(50).unwrap();
    }
    assert_eq!(places(&pool), before);
}

#[test]
fn handles_survive_a_move_of_the_pool() {
    let mut pool = BoltPool::<u32, 8>::new();
    let handle = pool.alloc_copy(&[1, 2, 3]).unwrap();
    let boxed = Box::new(pool);
    assert_eq!(boxed.resolve(handle).unwrap(), [1, 2, 3]);
    let mut pool = *boxed;
    pool.resolve_mut(handle).unwrap()[0] = 9;
    assert_eq!(pool.resolve(handle).unwrap(), [9, 2, 3]);
}

#[test]
fn an_allocation_never_straddles_scratch_and_arena() {
    let mut pool = BoltPool::<u8, 10>::new();
    pool.alloc(7).unwrap();
    assert_eq!(pool.stats().overflows, 0);
    let four = pool.alloc_copy(b"four").unwrap(); // three slots are left: all four go to the arena
    assert_eq!(pool.stats().overflows, 1);
    assert_eq!(pool.resolve(four).unwrap(), b"four");
    pool.release(1).unwrap();
    let three = pool.alloc_copy(b"thr").unwrap(); // and after the release the scratch is used again
    assert_eq!(pool.stats().overflows, 1);
    assert_eq!(pool.resolve(three).unwrap(), b"thr");
}

#[test]
fn scratch_and_chunks_start_at_a_cache_line() {
    let mut pool = BoltPool::<u8, 3>::new();
    let scratch = pool.alloc(3).unwrap();
    let arena = pool.alloc(3).unwrap();
    for handle in [scratch, arena] {
        assert_eq!(pool.resolve(handle).unwrap().as_ptr() as usize % 64, 0);
    }
    let mut buffer = ScratchBuffer::<u8, 5>::new();
    assert_eq!(buffer.alloc(1).unwrap().as_ptr() as usize % 64, 0);
    #[derive(Default)]
    #[repr(align(256))]
    struct Wide(u8);
    let mut wide = ArenaAllocator::<Wide>::new();
    let handle = wide.alloc(3).unwrap();
    assert_eq!(wide.resolve(handle).unwrap().as_ptr() as usize % 256, 0);
    assert_eq!(wide.resolve(handle).unwrap()[2].0, 0);
}

#[test]
fn a_released_handle_is_refused_even_when_its_place_is_taken_again() {
    let mut pool = BoltPool::<u32, 8>::new();
    let old = pool.alloc_copy(&[1, 1]).unwrap();
    pool.release(1).unwrap();
    assert_eq!(pool.resolve(old), Err(HandleError { index: 0, live_allocations: 0 }));
    let new = pool.alloc_copy(&[2, 2]).unwrap();
    assert_eq!(pool.resolve(new).unwrap(), [2, 2]);
    assert_eq!(pool.resolve(old), Err(HandleError { index: 0, live_allocations: 1 }));
    assert!(pool.resolve_mut(old).is_err());
    assert_ne!(old, new);
    assert!(pool.resolve(old).unwrap_err().to_string().contains("stale or foreign"));
}

#[test]
fn stale_handles_stay_stale_over_many_blocks_of_epochs() {
    let mut pool = BoltPool::<u32, 8>::new();
    let below = pool.alloc_copy(&[5]).unwrap();
    let mut old = Vec::new();
    let rounds = if cfg!(miri) { 50 } else { 20_000 }; // several blocks of 4,096
    for round in 0..rounds {
        let handle = pool.alloc_copy(&[round]).unwrap();
        assert_eq!(pool.resolve(handle).unwrap(), [round]);
        if round % 97 == 0 {
            old.push(handle);
        }
        pool.release(1).unwrap();
    }
    pool.alloc_copy(&[0]).unwrap();
    assert!(old.iter().all(|&handle| pool.resolve(handle).is_err()));
    assert_eq!(pool.resolve(below).unwrap(), [5]);
}

#[test]
fn a_foreign_handle_is_refused_at_the_same_index() {
    let mut ours = BoltPool::<u32, 8>::new();
    let mut theirs = BoltPool::<u32, 8>::new();
    let here = ours.alloc_copy(&[1]).unwrap();
    let there = theirs.alloc_copy(&[2]).unwrap();
    assert!(ours.resolve(there).is_err());
    assert!(theirs.resolve(here).is_err());
    std::mem::swap(&mut ours, &mut theirs); // handles follow the contents
    assert_eq!((ours.resolve(there).unwrap(), theirs.resolve(here).unwrap()), (&[2][..], &[1][..]));
}

#[test]
fn release_counts_allocations_and_release_values_counts_values() {
    let mut pool = BoltPool::<u8, 32>::new();
    let ten = pool.alloc(10).unwrap();
    let three = pool.alloc(3).unwrap();
    let empty = pool.alloc(0).unwrap();
    assert_eq!(pool.release(4), Err(ReleaseError { requested: 4, available: 3 }));
    assert_eq!(pool.release_values(5), Err(ReleaseError { requested: 5, available: 3 }));
    assert!([ten, three, empty].iter().all(|&handle| pool.resolve(handle).is_ok()), "nothing was released");
    pool.release_values(3).unwrap();
    assert!(pool.resolve(empty).is_err() && pool.resolve(three).is_err());
    pool.release(0).unwrap();
    assert_eq!(pool.resolve(ten).unwrap().len(), 10);
    pool.release(1).unwrap();
    assert_eq!(pool.allocations(), 0);
    assert_eq!(pool.release_values(1), Err(ReleaseError { requested: 1, available: 0 }));
}

#[test]
fn marks_roll_back_and_know_when_they_are_stale() {
    let mut pool = BoltPool::<u32, 8>::new();
    let bottom = pool.mark();
    let one = pool.alloc(1).unwrap();
    let middle = pool.mark();
    let two = pool.alloc(100).unwrap();
    pool.rollback(middle).unwrap();
    assert!(pool.resolve(one).is_ok() && pool.resolve(two).is_err());
    pool.rollback(middle).unwrap(); // good as long as what is below it lives
    pool.rollback(bottom).unwrap();
    assert_eq!(pool.rollback(middle), Err(RollbackError { marked_allocations: 1, live_allocations: 0 }));
    let another = pool.alloc(1).unwrap();
    assert_eq!(pool.rollback(middle), Err(RollbackError { marked_allocations: 1, live_allocations: 1 }));
    assert!(pool.resolve(another).is_ok(), "a stale mark releases nothing");
    let mut stranger = BoltPool::<u32, 8>::new();
    let foreign = stranger.mark();
    assert!(pool.rollback(foreign).is_err());
    assert!(stranger.rollback(bottom).is_err());
}

#[test]
fn scopes_nest_and_tolerate_what_the_body_does_to_the_pool() {
    let mut pool = BoltPool::<u32, 8>::new();
    let outer = pool.alloc_copy(&[1]).unwrap();
    let (middle, inner) = pool.scope(|pool| {
        let middle = pool.alloc_copy(&[2; 20]).unwrap();
        let inner = pool.scope(|pool| pool.alloc_copy(&[3; 3000]).unwrap());
        assert!(pool.resolve(middle).is_ok() && pool.resolve(inner).is_err());
        (middle, inner)
    });
    assert!(pool.resolve(middle).is_err() && pool.resolve(inner).is_err());
    assert_eq!(pool.resolve(outer).unwrap(), [1]);
    // The body releases below its own start: the scope has nothing left to do.
    pool.scope(|pool| pool.reset_all());
    assert_eq!(pool.allocations(), 0);
    // The body puts another pool in place.
    let kept = pool.scope(|pool| {
        *pool = BoltPool::new();
        pool.alloc_copy(&[4]).unwrap()
    });
    assert_eq!(pool.resolve(kept).unwrap(), [4]);
}

#[test]
fn frames_lend_many_references_at_once_and_nest() {
    let mut pool = BoltPool::<u32, 4>::new();
    let handle = pool.alloc_copy(&[7, 7]).unwrap();
    let total = pool.frame(|frame| {
        let a = frame.alloc(1).unwrap();
        let many: Vec<&mut u32> = (0..500).map(|i| frame.alloc(i).unwrap()).collect();
        let inner = frame.frame(|frame| {
            let b = frame.alloc_copy(&[100; 5000]).unwrap();
            let c = frame.alloc(5).unwrap();
            *c += 1;
            b.iter().sum::<u32>() + *c
        });
        let d = frame.alloc_with(3, |i| i as u32).unwrap();
        *a += 10;
        *a + many.iter().map(|v| **v).sum::<u32>() + inner + d.iter().sum::<u32>()
    });
    assert_eq!(total, 11 + 499 * 500 / 2 + 500_006 + 3);
    let stats = pool.stats();
    assert_eq!((stats.allocations, stats.values_in_use), (1, 2));
    assert!(stats.values_high_water >= 5500);
    assert_eq!(pool.resolve(handle).unwrap(), [7, 7]);
}

#[test]
fn builders_grow_across_regions_and_leave_no_trace_when_dropped() {
    let mut pool = BoltPool::<u32, 4>::new();
    let first = pool.alloc_copy(&[1, 2]).unwrap();
    let mut builder = pool.builder().unwrap();
    for i in 0..10_000 {
        builder.push(i).unwrap();
    }
    builder[0] = 42;
    assert_eq!(builder.len(), 10_000);
    drop(builder);
    assert_eq!((pool.stats().values_in_use, pool.allocations()), (2, 1));
    let mut builder = pool.builder().unwrap();
    builder.reserve(3000).unwrap();
    let place = builder.as_ptr();
    for i in 0..3000 {
        builder.push(i).unwrap();
    }
    assert_eq!(builder.as_ptr(), place, "reserved, so nothing moved");
    let handle = builder.finish();
    let empty = pool.builder().unwrap().finish();
    assert!(pool.resolve(handle).unwrap().iter().copied().eq(0..3000));
    assert!(pool.resolve(empty).unwrap().is_empty());
    assert_eq!(pool.resolve(first).unwrap(), [1, 2]);
}

#[test]
fn zero_sized_values_work_everywhere() {
    #[derive(Default, Debug, PartialEq, Clone, Copy)]
    struct Nothing;
    let mut pool = BoltPool::<Nothing, 2>::new();
    let two = pool.alloc(2).unwrap();
    let many_values = if cfg!(miri) { 1_000 } else { 1_000_000 }; // each is one step of the interpreter
    let many = pool.alloc(many_values).unwrap();
    let copied = pool.alloc_copy(&[Nothing; 3]).unwrap();
    assert_eq!([two, many, copied].map(|handle| pool.resolve(handle).unwrap().len()), [2, many_values, 3]);
    pool.release(2).unwrap();
    assert_eq!(pool.stats().values_in_use, 2);
    pool.frame(|frame| {
        assert_eq!(frame.alloc_with(9, |_| Nothing).unwrap().len(), 9);
        assert_eq!(frame.alloc(Nothing).unwrap(), &Nothing);
    });
    let too_many = u32::MAX as usize;
    assert!(
        pool.alloc(0).is_ok() && matches!(pool.alloc_copy(&[Nothing; 1]), Ok(handle) if handle.len() == 1)
    );
    assert!(matches!(pool.alloc_with(too_many + 1, |_| Nothing), Err(AllocError::TooLarge { .. })));
    let mut scratch = ScratchBuffer::<Nothing, 3>::new();
    assert_eq!(scratch.alloc(3).unwrap().len(), 3);
    assert!(scratch.alloc(1).is_err());
}

#[test]
fn scratch_buffer_fills_refuses_and_releases() {
    let mut scratch = ScratchBuffer::<u32, 4>::new();
    assert_eq!(scratch.capacity(), 4);
    scratch.alloc_copy(&[1, 2, 3]).unwrap()[0] = 9;
    assert_eq!(scratch.alloc(2).unwrap_err(), AllocError::Full { requested_values: 2, available_values: 1 });
    assert_eq!(*scratch, [9, 2, 3]);
    assert_eq!(scratch.release(4), Err(ReleaseError { requested: 4, available: 3 }));
    scratch.release(2).unwrap();
    scratch[0] = 1;
    assert_eq!(format!("{scratch:?}"), "[1]");
    scratch.reset();
    assert!(scratch.is_empty());
}

#[test]
fn pools_and_handles_cross_threads_when_their_values_may() {
    fn send_and_sync<T: Send + Sync>(_: &T) {}
    let mut pool = BoltPool::<u32, 8>::new();
    let handle = pool.alloc_copy(&[1, 2]).unwrap();
    send_and_sync(&pool);
    send_and_sync(&handle);
    let pool = std::thread::spawn(move || {
        assert_eq!(pool.resolve(handle).unwrap(), [1, 2]);
        pool
    })
    .join()
    .unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| assert_eq!(pool.resolve(handle).unwrap(), [1, 2]));
        }
    });
}
