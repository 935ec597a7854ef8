//! The pool per thread: entered twice, entered from destructors, left by a panic, used while the thread ends.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use bolt_arena::with_thread_pool;

#[test]
fn entering_twice_gives_two_pools_and_loses_nothing() {
    fn depth(levels: u32) -> u32 {
        with_thread_pool::<u32, _>(|pool| {
            let handle = pool.alloc_with(300, |i| i as u32 + levels).unwrap();
            let below = if levels == 0 { 0 } else { depth(levels - 1) };
            assert_eq!(pool.resolve(handle).unwrap()[299], 299 + levels);
            assert_eq!(pool.allocations(), 1, "no other level is seen");
            below + 1
        })
    }
    assert_eq!(depth(9), 10); // deeper than what is kept
    assert_eq!(depth(2), 3);
}

#[test]
fn what_was_allocated_is_released_on_the_way_out_and_memory_is_kept() {
    let handle = with_thread_pool::<u16, _>(|pool| pool.alloc(5000).unwrap());
    with_thread_pool::<u16, _>(|pool| {
        assert!(pool.resolve(handle).is_err());
        assert_eq!(pool.stats().values_in_use, 0);
        assert!(pool.stats().heap_bytes >= 10_000, "the chunk is still there");
    });
    with_thread_pool::<i16, _>(|pool| assert_eq!(pool.stats().heap_bytes, 0, "another type, another pool"));
}

#[test]
fn a_panic_inside_leaves_a_clean_pool_behind() {
    let result = catch_unwind(|| {
        with_thread_pool::<u8, _>(|pool| {
            pool.alloc(10).unwrap();
            panic!("inside");
        })
    });
    assert!(result.is_err());
    with_thread_pool::<u8, _>(|pool| assert_eq!(pool.allocations(), 0));
}

#[test]
fn a_destructor_may_enter_again() {
    thread_local!(static ENTERED: Cell<u32> = const { Cell::new(0) });
    struct Enters;
    impl Drop for Enters {
        fn drop(&mut self) {
            with_thread_pool::<Enters, _>(|pool| assert_eq!(pool.allocations(), 0));
            ENTERED.set(ENTERED.get() + 1);
        }
    }
    with_thread_pool::<Enters, _>(|pool| pool.alloc_with(3, |_| Enters).map(drop)).unwrap();
    assert_eq!(ENTERED.get(), 3);
}

#[test]
fn replacing_the_pool_inside_is_harmless() {
    with_thread_pool::<u64, _>(|pool| {
        pool.alloc(3).unwrap();
        let old = std::mem::take(pool);
        assert_eq!((old.allocations(), pool.allocations()), (1, 0));
        drop(old);
    });
}

#[test]
fn threads_have_pools_of_their_own_and_may_use_them_while_they_end() {
    struct AtExit;
    impl Drop for AtExit {
        fn drop(&mut self) {
            // Runs among the thread's destructors, possibly after the list of pools is gone.
            let sum = with_thread_pool::<u64, _>(|pool| {
                let handle = pool.alloc_copy(&[1, 2, 3]).unwrap();
                pool.resolve(handle).unwrap().iter().sum::<u64>()
            });
            assert_eq!(sum, 6);
        }
    }
    thread_local!(static EXIT: AtExit = const { AtExit });
    let handles: Vec<_> = (0..4_u64)
        .map(|me| {
            thread::spawn(move || {
                EXIT.with(|_| ());
                with_thread_pool::<u64, _>(|pool| {
                    let handle = pool.alloc_with(1000, |_| me).unwrap();
                    assert!(pool.resolve(handle).unwrap().iter().all(|&v| v == me));
                });
            })
        })
        .collect();
    for handle in handles {
        handle.join().unwrap();
    }
}

#[test]
fn entering_needs_no_unwind_safety_dance() {
    let outcome =
        catch_unwind(AssertUnwindSafe(|| with_thread_pool::<String, _>(|pool| pool.alloc(2).unwrap().len())));
    assert_eq!(outcome.unwrap(), 2);
}
