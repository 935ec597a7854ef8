//! What a pool promises, with every strategy: bounds, returns, statistics, the end.

use bolt_tlv::{AcquireError, BufferPool, Exhausted, Strategy};

const STRATEGIES: [Strategy; 4] = [Strategy::List, Strategy::Mutex, Strategy::Magazines, Strategy::Ring];

#[test]
fn a_pool_can_end_before_its_buffers() {
    for strategy in STRATEGIES {
        let pool =
            BufferPool::builder().strategy(strategy).with_size_class(128, 4).with_size_class(64, 4).build();
        let mut a = pool.acquire(100).unwrap();
        let b = pool.acquire(10).unwrap().share();
        drop(pool.acquire(3).unwrap());
        let other = pool.clone();
        drop(pool);
        let c = other.acquire(64).unwrap();
        drop(other);
        a.fill(1);
        std::thread::spawn(move || drop(a)).join().unwrap();
        assert_eq!(b.len(), 10);
        drop(b.clone());
        drop(c);
        drop(b);
    }
}

#[test]
fn capacity_is_a_bound() {
    for strategy in STRATEGIES {
        let pool = BufferPool::builder()
            .strategy(strategy)
            .exhausted(Exhausted::Error)
            .with_size_class(128, 3)
            .build();
        let held: Vec<_> = (0..3).map(|_| pool.acquire(1).unwrap()).collect();
        let expected = AcquireError::Exhausted { requested: 1, class_bytes: 128, capacity: 3 };
        assert_eq!(pool.acquire(1).unwrap_err(), expected);
        drop(held);
        let again: Vec<_> = (0..3).map(|_| pool.acquire(1).unwrap()).collect();
        let stats = pool.stats().classes()[0];
        assert_eq!((stats.in_use, stats.free, stats.bytes, stats.high_water), (3, 0, 3 * 128, 3));
        assert_eq!((stats.hits, stats.misses, stats.refused), (3, 3, 1));
        drop(again);
        assert_eq!(pool.stats().classes()[0].free, 3);
    }
}
