//! The ring from outside: order, wrapping, limits, what closes it, what drops its values, and two threads that run it hard.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread;

use bolt_sync::ring::{self, Consumer, Full, Producer, Ring, RingError};

/// Counts how many of its kind are alive.
struct Counted(u32, Rc<Cell<u32>>);

impl Counted {
    fn new(value: u32, alive: &Rc<Cell<u32>>) -> Self {
        alive.set(alive.get() + 1);
        Self(value, alive.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.set(self.1.get().checked_sub(1).expect("dropped twice"));
    }
}

#[test]
fn capacity_is_the_next_power_of_two_and_zero_is_refused() {
    for (asked, got) in [(1, 1), (2, 2), (3, 4), (64, 64), (65, 128)] {
        let (producer, consumer) = ring::with_capacity::<u8>(asked).unwrap();
        assert_eq!((producer.capacity(), consumer.capacity()), (got, got));
    }
    assert_eq!(ring::with_capacity::<u8>(0).unwrap_err(), RingError::ZeroCapacity);
    let huge = usize::MAX / 2;
    assert_eq!(ring::with_capacity::<u64>(huge).unwrap_err(), RingError::TooLarge { requested: huge });
}

#[test]
fn a_full_ring_gives_the_value_back_and_keeps_the_order() {
    let (mut producer, mut consumer) = ring::with_capacity(2).unwrap();
    producer.push("a").unwrap();
    producer.push("b").unwrap();
    assert_eq!(producer.push("c"), Err(Full("c")));
    assert_eq!(producer.free(), 0);
    assert_eq!(consumer.len(), 2);
    assert_eq!((consumer.peek(), consumer.peek()), (Some("a"), Some("a")));
    assert_eq!(consumer.pop(), Some("a"));
    producer.push("c").unwrap();
    assert_eq!((consumer.pop(), consumer.pop(), consumer.pop()), (Some("b"), Some("c"), None));
    assert!(consumer.is_empty());
}

#[test]
fn random_operations_agree_with_a_deque() {
    let rounds = if cfg!(miri) { 300 } else { 60_000 };
    for capacity in [1, 2, 8, 32, 256] {
        let (mut producer, mut consumer) = ring::with_capacity::<u64>(capacity).unwrap();
        let mut oracle = VecDeque::new();
        let (mut state, mut next) = (0x9e37_79b9_7f4a_7c15_u64 ^ capacity as u64, 0_u64);
        for _ in 0..rounds {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let n = (state >> 40) as usize % 12;
            let room = capacity - oracle.len();
            match state % 8 {
                0 => {
                    let pushed = producer.push(next).is_ok();
                    assert_eq!(pushed, room > 0);
                    if pushed {
                        oracle.push_back(next);
                        next += 1;
                    }
                }
                1 | 2 => {
                    let values: Vec<u64> = (next..next + n as u64).collect();
                    let pushed = producer.push_slice(&values);
                    assert_eq!(pushed, n.min(room));
                    oracle.extend(&values[..pushed]);
                    next += pushed as u64;
                }
                3 => {
                    let mut values = next..next + n as u64;
                    let pushed = producer.push_iter(&mut values);
                    assert_eq!(pushed, n.min(room));
                    oracle.extend(next..next + pushed as u64);
                    next += pushed as u64;
                    assert_eq!(values.start, next, "no value is taken that does not fit");
                }
                4 => assert_eq!(consumer.pop(), oracle.pop_front()),
                5 => {
                    let mut out = [0; 12];
                    let popped = consumer.pop_slice(&mut out[..n]);
                    assert_eq!(popped, n.min(oracle.len()));
                    assert!(out[..popped].iter().copied().eq(oracle.drain(..popped)));
                }
                6 => {
                    let expected = n.min(oracle.len());
                    let popped = consumer.pop_each(n, |value| assert_eq!(Some(value), oracle.pop_front()));
                    assert_eq!(popped, expected);
                }
                _ => {
                    let (one, two) = consumer.as_slices();
                    assert!(one.iter().chain(two).eq(oracle.iter()));
                    let skipped = consumer.skip(n / 4);
                    assert_eq!(skipped, (n / 4).min(oracle.len()));
                    oracle.drain(..skipped);
                }
            }
            assert_eq!(consumer.len(), oracle.len());
            assert_eq!(producer.free(), capacity - oracle.len());
        }
    }
}

#[test]
fn values_left_inside_are_dropped_once_with_the_ring() {
    let alive = Rc::new(Cell::new(0));
    {
        let (mut producer, mut consumer) = ring::with_capacity(4).unwrap();
        for i in 0..7 {
            producer.push(Counted::new(i, &alive)).ok().unwrap();
            if i > 2 {
                assert_eq!(consumer.pop().unwrap().0, i - 3);
            }
        }
        assert_eq!(alive.get(), 3);
        assert_eq!(consumer.skip(1), 1);
        assert_eq!(alive.get(), 2);
        drop(producer);
        assert_eq!(alive.get(), 2, "the consumer still holds the ring");
    }
    assert_eq!(alive.get(), 0);
    let ring = Ring::<Counted, 4>::new();
    let (mut producer, consumer) = ring.split().unwrap();
    assert_eq!(producer.push_iter((0..9).map(|i| Counted::new(i, &alive))), 4);
    drop((producer, consumer));
    assert_eq!(alive.get(), 4);
    drop(ring);
    assert_eq!(alive.get(), 0);
}

#[test]
fn a_panic_in_a_batch_loses_and_repeats_nothing() {
    let alive = Rc::new(Cell::new(0));
    let (mut producer, mut consumer) = ring::with_capacity(8).unwrap();
    let values = (0..6).map(|i| if i == 3 { panic!("the source fails") } else { Counted::new(i, &alive) });
    assert!(catch_unwind(AssertUnwindSafe(|| producer.push_iter(values))).is_err());
    assert_eq!(consumer.len(), 3, "those before the panic are in");
    let mut seen = 0;
    let fails = catch_unwind(AssertUnwindSafe(|| {
        consumer.pop_each(8, |value| {
            seen += 1;
            assert!(value.0 == 0, "the sink fails at the second");
        })
    }));
    assert!(fails.is_err());
    assert_eq!((seen, consumer.len(), alive.get()), (2, 1, 1));
    assert_eq!(consumer.pop().unwrap().0, 2);
    drop((producer, consumer));
    assert_eq!(alive.get(), 0);
}

#[test]
fn either_half_sees_that_the_other_is_gone() {
    let (mut producer, mut consumer) = ring::with_capacity(2).unwrap();
    assert!(!producer.is_closed() && !consumer.is_closed());
    producer.push(1).unwrap();
    drop(producer);
    assert!(consumer.is_closed());
    assert_eq!((consumer.pop(), consumer.pop()), (Some(1), None));
    let (producer, consumer) = ring::with_capacity::<u8>(2).unwrap();
    drop(consumer);
    assert!(producer.is_closed());
}

#[test]
fn a_ring_in_place_is_split_once_at_a_time_and_keeps_what_is_inside() {
    static RING: Ring<u32, 4> = Ring::new();
    let (mut producer, consumer) = RING.split().unwrap();
    assert_eq!(RING.split().unwrap_err(), RingError::AlreadySplit);
    assert_eq!(producer.push_slice(&[1, 2, 3]), 3);
    drop(producer);
    assert_eq!(RING.split().unwrap_err(), RingError::AlreadySplit);
    drop(consumer);
    let (mut producer, mut consumer) = RING.split().unwrap();
    assert_eq!(producer.push_slice(&[4, 5, 6]), 1, "three were left inside");
    let mut out = [0; 8];
    assert_eq!(consumer.pop_slice(&mut out), 4);
    assert_eq!(out[..4], [1, 2, 3, 4]);
}

#[test]
fn values_without_size_and_without_copy_pass_through() {
    let (mut producer, mut consumer) = ring::with_capacity::<()>(3).unwrap();
    assert_eq!(producer.push_iter([(); 9]), 4);
    assert_eq!(consumer.pop_each(9, |()| ()), 4);
    let (mut producer, mut consumer) = ring::with_capacity::<String>(2).unwrap();
    producer.push("owned".to_owned()).unwrap();
    assert_eq!(consumer.pop().as_deref(), Some("owned"));
}

#[test]
fn misuse_reads_as_advice() {
    assert!(RingError::AlreadySplit.to_string().contains("drop its producer and its consumer"));
    assert!(RingError::ZeroCapacity.to_string().contains("at least 1"));
    assert!(Full(1).to_string().contains("full"));
    fn sends<T: Send>(_: &T) {}
    let (producer, consumer) = ring::with_capacity::<Cell<u8>>(1).unwrap();
    sends(&producer);
    sends(&consumer);
}

/// Sends `count` numbers one way, by turns one by one, as slices and as iterators, and checks each.
fn two_threads(mut producer: Producer<'_, u64>, mut consumer: Consumer<'_, u64>, count: u64) {
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut next = 0;
            while next < count {
                let end = count.min(next + 1 + next % 40);
                let sent = match next % 3 {
                    0 => u64::from(producer.push(next).is_ok()),
                    1 => producer.push_slice(&(next..end).collect::<Vec<_>>()) as u64,
                    _ => producer.push_iter(next..end) as u64,
                };
                next += sent;
                if sent == 0 {
                    thread::yield_now();
                }
            }
        });
        let mut expected = 0;
        let mut out = [0; 24];
        loop {
            let closed = consumer.is_closed();
            let got = match expected % 3 {
                0 => consumer.pop().map_or(0, |value| {
                    assert_eq!(value, expected);
                    1
                }),
                1 => {
                    let got = consumer.pop_slice(&mut out);
                    assert!(out[..got].iter().copied().eq(expected..expected + got as u64));
                    got
                }
                _ => {
                    let mut next = expected;
                    consumer.pop_each(24, |value| {
                        assert_eq!(value, next);
                        next += 1;
                    })
                }
            };
            expected += got as u64;
            if got == 0 {
                if closed {
                    break;
                }
                thread::yield_now();
            }
        }
        assert_eq!(expected, count, "an empty ring after it was closed is the end");
    });
}

#[test]
fn two_threads_lose_nothing_and_keep_the_order() {
    let count = if cfg!(miri) { 500 } else { 400_000 };
    for capacity in [1, 2, 64, 1024] {
        let (producer, consumer) = ring::with_capacity(capacity).unwrap();
        two_threads(producer, consumer, count / 4);
    }
    let ring = Ring::<u64, 16>::new();
    let (producer, consumer) = ring.split().unwrap();
    two_threads(producer, consumer, count / 4);
}
