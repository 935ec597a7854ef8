//! Counts against a known list of calls, scopes, threads, and the messages of a failed assertion.
//! It implements an allocator that always fails. unsafe: allowed here

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::thread;

use bolt_alloc::{CountingAlloc, assert_no_alloc, global_counts, is_installed, measure, thread_counts};

/// Tests of the process's totals would count each other's allocations.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn counts_are_those_of_the_calls_made() {
    assert!(is_installed());
    let ((), counts) = measure(|| {
        let mut list: Vec<u8> = Vec::with_capacity(100); // 1 allocation of 100
        list.reserve_exact(1000); // 1 reallocation to 1,000
        list.push(1);
        list.shrink_to(10); // 1 reallocation to 10
        let other = vec![0_u64; 4]; // 1 zeroed allocation of 32
        black_box((&list, &other));
    });
    assert_eq!((counts.allocations, counts.reallocations, counts.deallocations), (2, 2, 2));
    assert_eq!((counts.bytes_allocated, counts.bytes_deallocated), (1032, 1032));
    assert_eq!((counts.live_bytes, counts.peak_bytes), (0, 1000));
    assert!(counts.to_string().starts_with("2 allocations, 2 reallocations, 2 deallocations"));
}

#[test]
fn scopes_nest_and_their_peaks_are_their_own() {
    let (kept, outer) = measure(|| {
        drop(black_box(vec![0_u8; 5000]));
        let ((), inner) = measure(|| drop(black_box(vec![0_u8; 300])));
        assert_eq!((inner.peak_bytes, inner.allocations), (300, 1));
        let ((), inner) = measure(|| ());
        assert_eq!(inner, bolt_alloc::Counts::default());
        black_box(vec![0_u8; 70])
    });
    assert_eq!((outer.allocations, outer.peak_bytes, outer.live_bytes), (3, 5000, 70));
    drop(kept);
}

#[test]
fn a_panic_in_a_scope_leaves_outer_counts_right() {
    let (_, outer) = measure(|| {
        let kept = black_box(vec![0_u8; 4000]);
        let result = catch_unwind(|| {
            measure(|| {
                let _inside = black_box(vec![0_u8; 100]);
                // Without the panic hook, whose backtrace would be counted.
                resume_unwind(Box::new(()))
            })
            .1
        });
        assert!(result.is_err());
        drop(kept);
        drop(result);
    });
    assert!((4100..8000).contains(&outer.peak_bytes), "{outer}");
    let ((), after) = measure(|| drop(black_box(Box::new(1_u8))));
    assert_eq!((after.allocations, after.peak_bytes), (1, 1));
}

#[test]
fn other_threads_are_not_counted_in_a_scope() {
    let (sender, receiver) = std::sync::mpsc::sync_channel::<()>(0);
    let (answer, done) = std::sync::mpsc::sync_channel::<()>(0);
    let worker = thread::spawn(move || {
        receiver.recv().unwrap();
        for _ in 0..1000 {
            drop(black_box(vec![1_u8; 1000]));
        }
        answer.send(()).unwrap();
    });
    let ((), counts) = measure(|| {
        sender.send(()).unwrap();
        done.recv().unwrap();
    });
    worker.join().unwrap();
    assert!(counts.allocations < 100, "{counts}");
}

#[test]
fn memory_freed_by_another_thread_makes_live_bytes_negative_there() {
    let list = black_box(vec![0_u8; 10_000]);
    let counts = thread::spawn(move || measure(move || drop(list)).1).join().unwrap();
    assert_eq!((counts.live_bytes, counts.deallocations, counts.peak_bytes), (-10_000, 1, 0));
}

#[test]
fn totals_cover_all_threads_also_past_the_number_of_stripes() {
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let before = global_counts();
    let threads: u64 = if cfg!(miri) { 4 } else { 150 };
    for _ in 0..threads {
        thread::spawn(|| {
            let ((), counts) = measure(|| {
                for _ in 0..100 {
                    drop(black_box(Box::new([0_u8; 7])));
                }
            });
            assert_eq!((counts.allocations, counts.deallocations, counts.bytes_allocated), (100, 100, 700));
        })
        .join()
        .unwrap();
    }
    let after = global_counts();
    assert!(after.allocations - before.allocations >= 100 * threads);
    assert!(after.deallocations - before.deallocations >= 100 * threads);
    assert!(after.bytes_allocated - before.bytes_allocated >= 700 * threads);
    let mine = thread_counts();
    assert!(mine.allocations <= after.allocations);
}

#[test]
fn the_peak_of_the_process_sees_a_large_block() {
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    const BLOCK: u64 = 64 << 20;
    let live_before = global_counts().live_bytes;
    drop(black_box(Vec::<u8>::with_capacity(BLOCK as usize)));
    let peak = global_counts().peak_bytes;
    // Other tests of this binary hold kilobytes meanwhile; a megabyte is ample.
    assert!(peak as i64 >= live_before + BLOCK as i64 - (1 << 20), "{peak}");
    assert!(peak < 2 * BLOCK, "{peak}");
}

#[test]
fn assert_no_alloc_passes_the_value_and_fails_with_the_counts() {
    assert_eq!(assert_no_alloc(|| 1 + 1), 2);
    let list = vec![1_u8; 10];
    assert_no_alloc(|| drop(list)); // giving back is allowed
    let failure = catch_unwind(|| assert_no_alloc(|| drop(black_box(vec![1_u8; 33])))).unwrap_err();
    let message = failure.downcast_ref::<String>().expect("a formatted message");
    assert!(message.contains("expected no allocation in this scope, but counted 1 allocations"), "{message}");
    assert!(message.contains("33 bytes requested"), "{message}");
    let failure = catch_unwind(|| {
        let mut list = Vec::<u8>::with_capacity(1);
        assert_no_alloc(|| list.reserve_exact(100));
    });
    assert!(failure.is_err(), "a reallocation counts, too");
}

#[test]
fn a_failed_allocation_is_not_counted() {
    struct Empty;
    // SAFETY: it never hands out memory, so there is nothing to keep a promise about.
    unsafe impl GlobalAlloc for Empty {
        unsafe fn alloc(&self, _: Layout) -> *mut u8 {
            std::ptr::null_mut()
        }
        unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
    }
    let counting = CountingAlloc::with(Empty);
    let (memory, counts) = measure(|| {
        // SAFETY: the layout has a size.
        unsafe { counting.alloc(Layout::new::<u64>()) }
    });
    assert!(memory.is_null());
    assert_eq!(counts.allocations, 0);
}
