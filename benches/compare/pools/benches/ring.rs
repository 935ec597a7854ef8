//! The SPSC ring beside rtrb, ringbuf, ArrayQueue and std's bounded channel: numbers from one thread to another, one by one and 32 at a time.
//!
//! Not criterion: the contenders take turns, round by round, so that a machine whose speed wanders slows all of them alike. Each turn has its own
//! two threads, sends a fixed count and checks the sum. One by one is bimodal on any ring (a few ns while one side runs ahead, many in
//! lockstep), so the lower quartile stands beside the median. Arguments: a part of a group's name to run only that; `--test` for
//! one short round.

use std::hint::{black_box, spin_loop};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use bolt_sync::ring as bolt;
use crossbeam_queue::ArrayQueue;
use ringbuf::HeapRb;
use ringbuf::traits::{Consumer as _, Producer as _, Split as _};

const SLOTS: usize = 1024;
const BATCH: usize = 32;
const ITEMS: u64 = 400_000;
const ROUNDS: usize = 31;

/// Runs both halves at once, each with a start signal, and returns the nanoseconds an item.
fn timed(
    items: u64,
    send: impl FnOnce(u64) + Send + 'static,
    receive: impl FnOnce(u64) -> u64 + Send + 'static,
) -> f64 {
    let go = Arc::new(AtomicBool::new(false));
    let gate = go.clone();
    let sender = thread::spawn(move || {
        while !gate.load(Ordering::Acquire) {
            spin_loop();
        }
        send(items);
    });
    let start = Instant::now();
    go.store(true, Ordering::Release);
    let sum = receive(items);
    let nanoseconds = start.elapsed().as_nanos() as f64;
    sender.join().expect("the sender");
    assert_eq!(sum, items * (items - 1) / 2, "something was lost or repeated");
    nanoseconds / items as f64
}

/// `push` returns how many of the batch went in.
fn send_batches(items: u64, mut push: impl FnMut(&[u64]) -> usize) {
    let mut batch = [0_u64; BATCH];
    let mut next = 0;
    while next < items {
        for (i, slot) in batch.iter_mut().enumerate() {
            *slot = next + i as u64;
        }
        let mut done = 0;
        while done < BATCH {
            let pushed = push(&batch[done..]);
            if pushed == 0 {
                spin_loop();
            }
            done += pushed;
        }
        next += BATCH as u64;
    }
}

/// `pop` fills the front of the batch and returns how many.
fn receive_batches(items: u64, mut pop: impl FnMut(&mut [u64]) -> usize) -> u64 {
    let mut batch = [0_u64; BATCH];
    let (mut sum, mut seen) = (0, 0);
    while seen < items {
        let got = pop(&mut batch);
        if got == 0 {
            spin_loop();
        }
        sum += batch[..got].iter().sum::<u64>();
        seen += got as u64;
    }
    black_box(sum)
}

fn send_each(items: u64, mut push: impl FnMut(u64) -> bool) {
    for value in 0..items {
        while !push(value) {
            spin_loop();
        }
    }
}

fn receive_each(items: u64, mut pop: impl FnMut() -> Option<u64>) -> u64 {
    let (mut sum, mut seen) = (0, 0);
    while seen < items {
        match pop() {
            Some(value) => {
                sum += value;
                seen += 1;
            }
            None => spin_loop(),
        }
    }
    black_box(sum)
}

type Contender = (&'static str, fn(u64) -> f64);

const ONE_BY_ONE: &[Contender] = &[
    ("bolt-sync", |items| {
        let (mut producer, mut consumer) = bolt::with_capacity(SLOTS).expect("memory");
        timed(
            items,
            move |n| send_each(n, |value| producer.push(value).is_ok()),
            move |n| receive_each(n, || consumer.pop()),
        )
    }),
    ("ringbuf", |items| {
        let (mut producer, mut consumer) = HeapRb::<u64>::new(SLOTS).split();
        timed(
            items,
            move |n| send_each(n, |value| producer.try_push(value).is_ok()),
            move |n| receive_each(n, || consumer.try_pop()),
        )
    }),
    ("rtrb", |items| {
        let (mut producer, mut consumer) = rtrb::RingBuffer::new(SLOTS);
        timed(
            items,
            move |n| send_each(n, |value| producer.push(value).is_ok()),
            move |n| receive_each(n, || consumer.pop().ok()),
        )
    }),
    ("crossbeam-array-queue", |items| {
        let queue = Arc::new(ArrayQueue::new(SLOTS));
        let other = queue.clone();
        timed(
            items,
            move |n| send_each(n, |value| queue.push(value).is_ok()),
            move |n| receive_each(n, || other.pop()),
        )
    }),
    ("std-sync-channel", |items| {
        let (sender, receiver) = mpsc::sync_channel(SLOTS);
        timed(
            items,
            move |n| send_each(n, |value| sender.try_send(value).is_ok()),
            move |n| receive_each(n, || receiver.try_recv().ok()),
        )
    }),
];

const BATCHES_OF_32: &[Contender] = &[
    ("bolt-sync", |items| {
        let (mut producer, mut consumer) = bolt::with_capacity(SLOTS).expect("memory");
        timed(
            items,
            move |n| send_batches(n, |batch| producer.push_slice(batch)),
            move |n| receive_batches(n, |batch| consumer.pop_slice(batch)),
        )
    }),
    ("ringbuf", |items| {
        let (mut producer, mut consumer) = HeapRb::<u64>::new(SLOTS).split();
        timed(
            items,
            move |n| send_batches(n, |batch| producer.push_slice(batch)),
            move |n| receive_batches(n, |batch| consumer.pop_slice(batch)),
        )
    }),
    ("rtrb", |items| {
        let (mut producer, mut consumer) = rtrb::RingBuffer::<u64>::new(SLOTS);
        timed(
            items,
            move |n| {
                send_batches(n, |batch| {
                    let (_, rest) = producer.push_partial_slice(batch);
                    batch.len() - rest.len()
                })
            },
            move |n| {
                receive_batches(n, |batch| {
                    let (filled, _) = consumer.pop_partial_slice(batch);
                    filled.len()
                })
            },
        )
    }),
];

/// The median and the lower quartile.
fn quartiles(times: &mut [f64]) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() / 4])
}

fn group(name: &str, contenders: &[Contender]) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let only = arguments.iter().find(|argument| !argument.starts_with("--"));
    if only.is_some_and(|only| !name.contains(only.as_str())) {
        return;
    }
    let smoke = arguments.iter().any(|argument| argument == "--test");
    let (rounds, items) = if smoke { (1, BATCH as u64 * 100) } else { (ROUNDS, ITEMS) };
    let mut times = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds {
        for (at, (_, run)) in contenders.iter().enumerate() {
            times[at].push(run(items));
        }
    }
    println!("\n{name}: ns an item, median of {rounds} turns (lower quartile)");
    for (at, (contender, _)) in contenders.iter().enumerate() {
        let (median, quartile) = quartiles(&mut times[at]);
        println!("  {contender:24} {median:8.2} ({quartile:.2})");
    }
}

fn main() {
    group("one-by-one", ONE_BY_ONE);
    group("batches-of-32", BATCHES_OF_32);
}
