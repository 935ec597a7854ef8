//! Memory, as the allocator sees it: nothing per operation once warm, back to the floor after a burst, nothing left behind.

use std::io::Write;
use std::ptr::null_mut;

use bolt_alloc::{assert_no_alloc, measure, thread_counts};
use bolt_buf::{BoltBuf, BufConfig, Cycle, Frame};
use bolt_sync::unmodelled::{AtomicPtr, Ordering};

const OPERATIONS: usize = if cfg!(miri) { 50 } else { 20_000 };

/// What an allocation has beside its capacity: header, guard, alignment. Part of the promise: a floor is a floor.
const OVERHEAD_BYTES_MAX: i64 = 512;

fn live() -> i64 {
    thread_counts().live_bytes
}

#[test]
fn allocates_nothing_before_the_first_write_and_leaves_nothing_behind() {
    let ((), counts) = measure(|| {
        let mut buf = assert_no_alloc(BoltBuf::new);
        assert_no_alloc(|| assert!(buf.read_slice().is_empty() && buf.release()));
        buf.append(&[1; 100_000]).unwrap();
        buf.consume(5);
    });
    assert_eq!((counts.live_bytes, counts.allocations), (0, counts.deallocations));
}

#[test]
fn a_warm_buffer_allocates_nothing_per_operation() {
    let stream = vec![7_u8; 64 << 10];
    let mut buf = BoltBuf::new();
    let mut held: Vec<Frame> = Vec::with_capacity(64);
    let mut work = |rounds: usize| {
        for round in 0..rounds {
            let read_bytes = 1 + round * 61 % 4096;
            while buf.fill_from(&mut &stream[..read_bytes]).unwrap() == 0 {}
            let mut cutter = buf.frames().unwrap();
            while cutter.unread().len() >= 512 {
                held.push(cutter.cut(100 + round % 400).unwrap());
            }
            drop(cutter);
            held.clear();
            buf.append(b"chunk").unwrap();
            buf.write_at(1, b"HUN").unwrap();
            buf.write_all(b"more").unwrap();
            buf.consume(buf.len() / 2);
            buf.end_cycle(if round % 7 == 0 { Cycle::Idle } else { Cycle::Active });
        }
    };
    work(if cfg!(miri) { 10 } else { 1_000 });
    assert_no_alloc(|| work(OPERATIONS));
}

/// What users ask most of a buffer: after a burst, where does the memory go?
#[test]
fn after_a_burst_the_allocator_has_its_memory_back_within_the_configured_idle_cycles() {
    if cfg!(miri) {
        return;
    }
    let before = live();
    let config = BufConfig::default();
    let floor = config.min_capacity_bytes as i64;
    let mut buf = BoltBuf::with_config(config);
    let stream = vec![1_u8; 256 << 10];
    let at_start = live();

    // Load: reads that fill what they are offered, until the ceiling of load is reached.
    for _ in 0..40 {
        let _ = buf.fill_from(&mut stream.as_slice()).unwrap();
        buf.consume(buf.len());
    }
    assert!(live() - at_start >= config.load_capacity_bytes as i64, "load grew the buffer");

    // And one message of 5 MB on top.
    for _ in 0..20 {
        buf.append(&stream).unwrap();
    }
    assert!(live() - at_start >= 20 * (256 << 10));
    buf.consume(buf.len() - 1);

    // A partial message waits: nothing shrinks, however long.
    for _ in 0..10 * config.growth.shrink_cycles {
        buf.end_cycle(Cycle::Idle);
    }
    assert!(live() - at_start >= 20 * (256 << 10), "never while bytes are unread");
    assert_eq!(buf.read_slice(), [1]);

    // It is consumed, traffic goes on for one read, then silence.
    let _ = buf.fill_from(&mut &stream[..100]).unwrap();
    buf.end_cycle(Cycle::Active);
    buf.consume(101);
    for _ in 0..config.growth.shrink_cycles {
        buf.end_cycle(Cycle::Idle);
    }
    let held = live() - at_start;
    assert!((floor..=floor + OVERHEAD_BYTES_MAX).contains(&held), "{held} bytes held, the floor is {floor}");
    assert!(buf.stats().shrinks > 0);

    drop(buf);
    drop(stream);
    assert_eq!(live(), before);
}

#[test]
fn release_gives_everything_back_and_the_buffer_works_on() {
    let mut buf = BoltBuf::new();
    let before = live();
    buf.append(b"abc").unwrap();
    assert!(!buf.release(), "bytes are unread");
    buf.consume(3);
    assert!(buf.release());
    assert_eq!(live(), before);
    buf.append(b"def").unwrap();
    assert_eq!(buf.read_slice(), b"def");
}

#[test]
fn frames_keep_their_memory_and_the_last_one_gives_it_back() {
    let before = live();
    let mut buf = BoltBuf::new();
    buf.append(&[3; 1000]).unwrap();
    let mut cutter = buf.frames().unwrap();
    let first = cutter.cut(400).unwrap();
    let second = cutter.cut(100).unwrap();
    drop(cutter);
    let part = first.slice(10..20).unwrap();
    let copy = second.clone().into_shared();
    drop(buf);
    assert!(live() > before, "four frames hold the memory");
    drop(first);
    drop(second);
    assert!(live() > before, "two frames hold the memory");
    assert_eq!(part, [3; 10]);
    drop(part);
    assert_eq!(copy, [3; 100]);
    drop(copy);
    assert_eq!(live(), before);
}

#[test]
fn frames_held_for_long_cost_two_chunks_that_take_turns() {
    let mut buf = BoltBuf::new();
    let stream = vec![9_u8; 8 << 10];
    let mut held: Vec<Frame> = Vec::with_capacity(8);
    let mut work = |rounds: usize| {
        for _ in 0..rounds {
            // Frames of the previous read are dropped after the next one, so the chunk is never free when room is needed.
            let _ = buf.fill_from(&mut stream.as_slice()).unwrap();
            let mut cutter = buf.frames().unwrap();
            let frame = cutter.cut(8 << 10).unwrap();
            drop(cutter);
            held.clear();
            held.push(frame);
        }
        buf.stats()
    };
    let stats = work(20);
    assert_eq!(stats.spare_bytes, stats.capacity_bytes);
    assert_no_alloc(|| work(OPERATIONS / 20));
}

/// Keeps what is leaked on purpose known to leak detectors.
static REACHABLE: AtomicPtr<u8> = AtomicPtr::new(null_mut());

#[test]
fn a_forgotten_cutter_leaks_its_chunk_and_nothing_else() {
    if cfg!(miri) {
        // Miri rightly reports the leak.
        return;
    }
    let mut buf = BoltBuf::new();
    buf.append(b"one two").unwrap();
    let mut cutter = buf.frames().unwrap();
    let frame = cutter.cut(3).unwrap();
    REACHABLE.store(frame.as_ptr().cast_mut(), Ordering::Relaxed);
    // No destructor runs: what forgetting does.
    let _ = std::mem::ManuallyDrop::new(cutter);
    assert_eq!(buf.read_slice(), b" two");
    for _ in 0..10_000 {
        buf.append(b"12345678").unwrap();
        buf.consume(8);
    }
    assert_eq!(frame, "one");
    drop(buf);
    assert_eq!(frame, "one");
}
