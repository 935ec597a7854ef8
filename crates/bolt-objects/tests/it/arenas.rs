//! `ArenaPool`, batches, children, the arena of a thread: sizes, limits, destructors, re-entry.

use std::cell::Cell;
use std::thread;

use bolt_objects::{ArenaLimits, ArenaPool, SizeHint, with_thread_arena};

fn hint(bytes: usize) -> SizeHint {
    SizeHint::new().bytes(bytes)
}

#[test]
fn arenas_are_returned_by_size() {
    let pool = ArenaPool::new().unwrap();
    drop((pool.batch(hint(1000)), pool.batch(hint(50_000)), pool.batch(hint(900_000))));
    assert_eq!((pool.stats().created, pool.stats().retained_arenas), (3, 3));
    // Each hint finds the smallest that holds it, whatever was given back last.
    for (bytes, at_least, below) in
        [(500_000, 900_000, 4 << 20), (100, 1000, 50_000), (40_000, 50_000, 900_000)]
    {
        let batch = pool.batch(hint(bytes));
        assert!((at_least..below).contains(&batch.allocated_bytes()), "{bytes}: {}", batch.allocated_bytes());
    }
    assert_eq!(pool.stats().created, 3);
    let _small = pool.batch(hint(0));
    let _larger = pool.batch(hint(0));
    assert_eq!(pool.stats().created, 3, "a larger one that waits is better than a new one");
}

#[test]
fn a_hint_spares_the_growing() {
    let count = if cfg!(miri) { 200 } else { 10_000 };
    let pool = ArenaPool::new().unwrap();
    let values = SizeHint::new().values::<u64>(count).values::<[u128; 2]>(10).bytes(300);
    let batch = pool.batch(values);
    let before = batch.allocated_bytes();
    let mut numbers = batch.vec::<u64>(count);
    numbers.extend(0..count as u64);
    batch.slice(&[[1_u128, 2]; 10]);
    batch.str(&"x".repeat(300));
    assert_eq!(batch.allocated_bytes(), before, "all of it fits the first chunk");
    assert_eq!(SizeHint::new().values::<u64>(usize::MAX).bytes(5).total(), usize::MAX);
}

#[test]
fn an_arena_that_overflowed_keeps_its_largest_chunk() {
    let pool = ArenaPool::new().unwrap();
    for _ in 0..if cfg!(miri) { 2 } else { 3 } {
        let batch = pool.batch(hint(0));
        for _ in 0..if cfg!(miri) { 40 } else { 100 } {
            batch.slice(&[1_u8; 1000]);
        }
    }
    let retained = pool.stats().retained_bytes;
    assert!((16_000..400_000).contains(&retained), "{retained}");
    assert_eq!(pool.stats().created, 1, "the grown one served the later batches");
}

#[test]
fn retained_bytes_are_capped() {
    let limits = ArenaLimits { retained_bytes_max: 130_000, arena_bytes_max: 64 << 10 };
    let pool = ArenaPool::with_limits(limits).unwrap();
    drop((0..10).map(|_| pool.batch(hint(30_000))).collect::<Vec<_>>());
    let stats = pool.stats();
    assert!(stats.retained_bytes <= 130_000, "{stats:?}");
    assert_eq!((stats.retained_arenas, stats.freed_full), (3, 7));
    drop(pool.batch(hint(1 << 20)));
    assert_eq!(pool.stats().freed_large, 1);
    assert!(pool.trim(50_000) >= 60_000);
    assert!(pool.stats().retained_bytes <= 50_000);
    pool.trim(0);
    assert_eq!((pool.stats().retained_bytes, pool.stats().retained_arenas), (0, 0));
}

#[test]
fn vectors_lie_in_the_arena_and_drop_their_elements_once() {
    struct Counted<'a>(&'a Cell<u32>);
    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let dropped = Cell::new(0);
    let pool = ArenaPool::new().unwrap();
    {
        let batch = pool.batch(hint(4000));
        let mut counted = batch.vec::<Counted<'_>>(4);
        for _ in 0..20 {
            counted.push(Counted(&dropped));
        }
        counted.truncate(15);
        assert_eq!(dropped.get(), 5);
        let mut numbers = batch.vec::<u32>(10);
        numbers.push(7);
        let mut text = batch.string(10);
        text.push_str("in it");
        // SAFETY is not needed to look at addresses: all three lie within the arena's chunks.
        let mut inside = 0;
        let addresses =
            [(&raw const numbers[0]).addr(), text.as_ptr().addr(), (&raw const counted[0]).addr()];
        let mut own = pool.batch(hint(0));
        own.reset();
        drop(own);
        let chunk = batch.allocated_bytes();
        let first = batch.str("a landmark").as_ptr().addr();
        for address in addresses {
            inside += usize::from(address.abs_diff(first) <= chunk);
        }
        assert_eq!(inside, 3);
    }
    assert_eq!(dropped.get(), 20);
}

#[test]
fn children_give_their_memory_back_before_their_parent() {
    let pool = ArenaPool::new().unwrap();
    let batch = pool.batch(hint(0));
    let mut sums = batch.vec::<u64>(10);
    for part in 0..10_u64 {
        let child = batch.child(hint(0));
        let grandchild = child.child(hint(0));
        let mut numbers = grandchild.vec::<u64>(100);
        numbers.extend(part * 100..(part + 1) * 100);
        sums.push(*child.value(numbers.iter().sum()));
    }
    assert_eq!(sums.iter().sum::<u64>(), 999 * 1000 / 2);
    assert_eq!(pool.stats().created, 3, "one for each level");
}

#[test]
fn a_batch_can_begin_anew() {
    let pool = ArenaPool::new().unwrap();
    let mut batch = pool.batch(hint(0));
    for _ in 0..if cfg!(miri) { 20 } else { 1000 } {
        batch.slice(&[0_u8; 2000]);
        batch.reset();
    }
    assert!(batch.allocated_bytes() < 20_000);
    assert_eq!(batch.arena().alloc_str("more"), "more");
}

#[test]
fn a_panic_brings_the_arena_back() {
    let pool = ArenaPool::new().unwrap();
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let batch = pool.batch(hint(5000));
        batch.str("half way");
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(unwound.is_err());
    assert_eq!(pool.stats().retained_arenas, 1);
}

#[test]
fn the_threads_arena_may_be_entered_twice_and_from_destructors() {
    let total: usize = with_thread_arena(|outer| {
        let text = outer.str("outer");
        let inner: usize = with_thread_arena(|inner| {
            let copy = inner.str(text);
            let child = inner.child(hint(10_000));
            copy.len() + child.str("child").len()
        });
        text.len() + inner
    });
    assert_eq!(total, 15);
    struct AtEnd;
    impl Drop for AtEnd {
        fn drop(&mut self) {
            assert_eq!(with_thread_arena(|arena| arena.str("late").len()), 4);
        }
    }
    thread_local! {
        static FIRST: AtEnd = const { AtEnd };
        static LAST: AtEnd = const { AtEnd };
    }
    thread::spawn(|| {
        FIRST.with(|_| ());
        with_thread_arena(|arena| arena.str("x").len());
        LAST.with(|_| ());
    })
    .join()
    .unwrap();
}

#[test]
fn threads_share_a_pool() {
    let rounds = if cfg!(miri) { 4 } else { 2000 };
    let pool = ArenaPool::new().unwrap();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..3_usize)
            .map(|thread| {
                let pool = &pool;
                scope.spawn(move || {
                    for round in 0..rounds {
                        let batch = pool.batch(hint(1000 << (round % 4)));
                        let mut numbers = batch.vec::<usize>(50);
                        numbers.extend((0..50).map(|n| n * thread));
                        assert_eq!(numbers.iter().sum::<usize>(), 49 * 25 * thread);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    let stats = pool.stats();
    assert_eq!(stats.hits + stats.created, 3 * rounds);
    assert!(stats.created <= 24, "{stats:?}");
}
