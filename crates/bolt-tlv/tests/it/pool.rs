//! What a pool promises, with every strategy: bounds, returns, statistics, the end.

use std::time::Duration;

use bolt_tlv::{
    AcquireError, BUFFER_ALIGN, BufferPool, CLASS_COUNT_MAX, Exhausted, PooledBuffer, Strategy, TrimPolicy,
    Zeroing,
};

pub(crate) const STRATEGIES: [Strategy; 4] =
    [Strategy::List, Strategy::Mutex, Strategy::Magazines, Strategy::Ring];

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

#[test]
fn memory_goes_back_when_the_pool_is_idle_and_not_before() {
    for strategy in STRATEGIES {
        let trim = TrimPolicy { quiet_ticks: 3, keep_free: 2 };
        let pool = BufferPool::builder().strategy(strategy).trim(trim).with_size_class(128, 64).build();
        let wave = || drop((0..40).map(|_| pool.acquire(1).unwrap()).collect::<Vec<_>>());
        wave();
        assert_eq!([pool.idle_tick(), pool.idle_tick(), pool.idle_tick()], [0, 0, 0]);
        wave();
        let freed: usize = (0..20).map(|_| pool.idle_tick()).sum();
        let stats = pool.stats().classes()[0];
        // Magazines of this thread stay with it; the rest of what is above the reserve goes.
        assert!(freed >= 24 && stats.free == 40 - freed, "{strategy:?}: {freed} freed, {stats:?}");
        assert_eq!((stats.trimmed as usize, stats.bytes), (freed, stats.free * 128));
        wave();
        assert_eq!(pool.stats().classes()[0].free, 40);
    }
}

#[test]
fn a_pool_that_waits_gets_what_another_thread_returns() {
    let wait = Exhausted::Wait(Duration::from_secs(20));
    let pool = BufferPool::builder().exhausted(wait).with_size_class(128, 1).build();
    assert_eq!(pool.strategy(), Strategy::Mutex);
    let held = pool.acquire(1).unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.acquire(2).map(|buffer| buffer.len()));
        std::thread::sleep(Duration::from_millis(20));
        drop(held);
        assert_eq!(waiter.join().unwrap(), Ok(2));
    });
    let pool =
        BufferPool::builder().exhausted(Exhausted::Wait(Duration::ZERO)).with_size_class(128, 1).build();
    let _held = pool.acquire(1).unwrap();
    assert!(matches!(pool.acquire(1), Err(AcquireError::Exhausted { .. })));
}

#[test]
fn clearing_happens_when_it_is_asked_for() {
    for strategy in STRATEGIES {
        for zeroing in [Zeroing::Never, Zeroing::OnTake, Zeroing::OnReturn] {
            let pool =
                BufferPool::builder().strategy(strategy).zeroing(zeroing).with_size_class(128, 1).build();
            pool.acquire(128).unwrap().fill(7);
            let expected = if zeroing == Zeroing::Never { 7 } else { 0 };
            assert_eq!(pool.acquire(128).unwrap(), [expected; 128], "{strategy:?} {zeroing:?}");
        }
    }
}

#[test]
fn one_class_can_be_cleared_and_the_others_not() {
    for strategy in STRATEGIES {
        let builder =
            BufferPool::builder().strategy(strategy).with_size_class(128, 2).with_size_class(256, 2);
        let pool = builder.zeroing_of(200, Zeroing::OnReturn).build();
        assert_eq!([pool.zeroing(1), pool.zeroing(256)], [Zeroing::Never, Zeroing::OnReturn]);
        for (len, expected) in [(128, 7), (256, 0)] {
            pool.acquire(len).unwrap().fill(7);
            assert!(pool.acquire(len).unwrap().iter().all(|&byte| byte == expected), "{strategy:?}, {len}");
        }
        let (mut taker, mut giver) = pool.ring().unwrap();
        for (len, expected) in [(128, 7), (256, 0)] {
            let mut buffer = taker.acquire(len).unwrap();
            buffer.fill(7);
            giver.give(buffer);
            assert!(
                taker.acquire(len).unwrap().iter().all(|&byte| byte == expected),
                "{strategy:?}, ring, {len}"
            );
        }
    }
}

#[test]
fn a_shared_frame_returns_with_its_last_holder() {
    for strategy in STRATEGIES {
        let pool = BufferPool::builder().strategy(strategy).with_size_class(128, 4).build();
        let mut buffer = pool.acquire(10).unwrap();
        buffer.copy_from_slice(b"0123456789");
        let frame = buffer.share();
        let part = frame.slice(2..5).unwrap();
        assert!(frame.slice(2..11).is_none() && part.slice(2..4).is_none());
        let (reversed, behind) = (core::ops::Range { start: 3, end: 2 }, 11..11);
        assert!(frame.slice(reversed).is_none() && frame.slice(behind).is_none());
        let frame = frame.try_into_buffer().unwrap_err();
        drop(part.slice(0..1));
        assert_eq!(std::thread::spawn(move || part[0]).join().unwrap(), b'2');
        let mut again = frame.try_into_buffer().unwrap();
        again[0] = b'X';
        assert_eq!(again, b"X123456789");
        drop(again);
        assert_eq!(pool.stats().in_use(), 0);
    }
}

#[test]
fn buffers_are_aligned_and_as_long_as_asked() {
    let pool = BufferPool::builder().with_size_class(100, 4).with_size_class(4096, 4).build();
    for len in [0, 1, 100, 101, 4096] {
        let mut buffer = pool.acquire(len).unwrap();
        assert!(buffer.as_ptr().addr().is_multiple_of(BUFFER_ALIGN));
        assert_eq!(buffer.len(), len);
        let capacity = buffer.capacity();
        assert_eq!(buffer.set_len(capacity + 1), Err(capacity));
        buffer.set_len(capacity).unwrap();
        buffer.fill(1);
        buffer.truncate(3);
        buffer.truncate(5);
        assert_eq!(buffer, [1; 3]);
    }
}

#[test]
fn a_builder_makes_sense_of_anything() {
    let empty = BufferPool::builder().with_size_class(0, 5).build();
    assert_eq!(empty.acquire(0).unwrap_err(), AcquireError::TooLarge { requested: 0, largest_bytes: 0 });
    let twice =
        BufferPool::builder().with_size_class(64, 5).with_size_class(65, 5).with_size_class(3, 7).build();
    let sizes: Vec<_> =
        twice.stats().classes().iter().map(|class| (class.size_bytes, class.capacity)).collect();
    assert_eq!(sizes, [(64, 7), (128, 5)]);
    let mut many = BufferPool::builder();
    for i in 1..=20 {
        many = many.with_size_class(i * 64, 1);
    }
    let many = many.build();
    assert_eq!(many.classes().class_count(), CLASS_COUNT_MAX);
    assert_eq!(many.acquire(1).unwrap().capacity(), 5 * 64, "the five smallest are one class now");
}

#[test]
fn a_ring_hands_buffers_from_one_thread_to_the_other() {
    let pool = BufferPool::builder()
        .strategy(Strategy::Ring)
        .with_size_class(128, 8)
        .with_size_class(256, 8)
        .build();
    let (mut taker, mut giver) = pool.ring().unwrap();
    let (mut sender, mut receiver) = bolt_sync::ring::with_capacity::<PooledBuffer>(4).unwrap();
    let rounds = if cfg!(miri) { 50 } else { 100_000 };
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while !(receiver.is_closed() && receiver.is_empty()) {
                match receiver.pop() {
                    // At times it is dropped instead, and a foreign one is given.
                    Some(buffer) if buffer[0] == 9 => drop(buffer),
                    Some(buffer) => giver.give(buffer),
                    None => std::thread::yield_now(),
                }
            }
            let foreign = BufferPool::builder().with_size_class(128, 1).build();
            giver.give(foreign.acquire(1).unwrap());
            assert_eq!(foreign.stats().in_use(), 0);
        });
        for round in 0..rounds {
            let mut buffer = taker.acquire(if round % 3 == 0 { 200 } else { 100 }).unwrap();
            buffer.fill(round as u8 % 10);
            while let Err(full) = sender.push(buffer) {
                buffer = full.into_inner();
                std::thread::yield_now();
            }
        }
        drop(sender);
    });
    drop(taker);
    let stats = pool.stats();
    assert_eq!(stats.in_use(), 0);
    assert!(stats.misses() <= 16, "{stats:?}");
}
