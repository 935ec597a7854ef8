//! "Allocates nothing once warm", counted over a million frames: read, shared, on two threads, and through panics.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use bolt_alloc::{assert_no_alloc, thread_counts};
use bolt_sync::ring;
use bolt_tlv::{
    BufferPool, Exhausted, FrameReader, Header, PooledBuffer, SharedFrame, Strategy, write_frame,
};

use crate::pool::STRATEGIES;

const FRAMES: usize = if cfg!(miri) {
    8
} else if cfg!(bolt_tsan) {
    20_000
} else {
    1_000_000
};

/// A stream of frames without end: the same thousand again and again.
struct Endless {
    wire: Vec<u8>,
    position: usize,
}

impl Endless {
    fn new() -> Self {
        let mut wire = Vec::new();
        for i in 0..if cfg!(miri) { 10 } else { 1000 } {
            let length = [84, 180, 800][i as usize % 3];
            let header = Header { type_id: 1 + i as u16, version: 1, flags: 0, length };
            write_frame(&mut wire, header, &vec![i as u8; length as usize]).unwrap();
        }
        Self { wire, position: 0 }
    }
}

impl std::io::Read for Endless {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        // Never more than a packet at once, so that frames are cut everywhere.
        let n = out.len().min(1448).min(self.wire.len() - self.position);
        out[..n].copy_from_slice(&self.wire[self.position..self.position + n]);
        self.position = (self.position + n) % self.wire.len();
        Ok(n)
    }
}

fn pool(strategy: Strategy) -> BufferPool {
    BufferPool::builder()
        .strategy(strategy)
        .exhausted(Exhausted::Error)
        .with_size_class(128, 64)
        .with_size_class(256, 64)
        .with_size_class(1024, 64)
        .build()
}

/// A pool with `ready` buffers of each class, and a stream and its reader after one frame, so that the first use by a thread is behind us.
fn warm(strategy: Strategy, ready: usize) -> (BufferPool, Endless, FrameReader) {
    let pool = pool(strategy);
    pool.prefill(ready).unwrap();
    let (mut stream, mut reader) = (Endless::new(), FrameReader::new());
    drop(reader.read(&mut stream, &pool).unwrap());
    (pool, stream, reader)
}

#[test]
fn a_million_frames_on_one_thread() {
    for strategy in STRATEGIES {
        let (pool, mut stream, mut reader) = warm(strategy, 8);
        let mut kept: Option<SharedFrame> = None;
        assert_no_alloc(|| {
            for _ in 0..FRAMES {
                let frame = reader.read(&mut stream, &pool).unwrap().unwrap();
                assert_eq!(frame.payload.first(), frame.payload.last());
                let shared = frame.payload.share();
                // The last frame is held by two for a while.
                drop(kept.replace(shared.clone()));
                drop(shared);
            }
        });
        drop(kept);
        assert_eq!(pool.stats().in_use(), 0, "{strategy:?}");
    }
}

#[test]
fn a_million_frames_read_on_one_thread_and_dropped_on_another() {
    for strategy in STRATEGIES {
        // As many as the ring and both threads' stacks can hold at once.
        let (pool, mut stream, mut reader) = warm(strategy, 64);
        let (mut sender, mut receiver) = ring::with_capacity::<PooledBuffer>(8).unwrap();
        std::thread::scope(|scope| {
            let consumer = scope.spawn(move || {
                let mut frames = 0;
                let mut before = thread_counts();
                loop {
                    match receiver.pop() {
                        Some(buffer) => {
                            assert_eq!(buffer.first(), buffer.last());
                            drop(buffer);
                            frames += 1;
                            if frames == 3 {
                                // The first return to each class by a thread may give it its place there.
                                before = thread_counts();
                            }
                        }
                        None if receiver.is_closed() && receiver.is_empty() => break,
                        None => std::thread::yield_now(),
                    }
                }
                (frames, thread_counts().allocations - before.allocations)
            });
            assert_no_alloc(|| {
                for _ in 0..FRAMES {
                    // Exhausted for a moment: what is missing lies with the other thread, which gives it back.
                    let frame = loop {
                        match reader.read(&mut stream, &pool) {
                            Ok(frame) => break frame.unwrap(),
                            Err(error) if error.is_in_step() => std::thread::yield_now(),
                            Err(error) => panic!("{error}"),
                        }
                    };
                    let mut buffer = frame.payload;
                    while let Err(full) = sender.push(buffer) {
                        buffer = full.into_inner();
                        std::thread::yield_now();
                    }
                }
            });
            drop(sender);
            assert_eq!(consumer.join().unwrap(), (FRAMES, 0), "{strategy:?}");
        });
        assert_eq!(pool.stats().in_use(), 0, "{strategy:?}");
    }
}

#[test]
fn frames_through_panics() {
    for strategy in STRATEGIES {
        let (pool, mut stream, mut reader) = warm(strategy, 8);
        let payload: Box<dyn std::any::Any + Send> = Box::new("no message is printed for this one");
        let mut payload = Some(payload);
        for _ in 0..FRAMES.div_ceil(100) {
            let before = pool.stats();
            let unwound = catch_unwind(AssertUnwindSafe(|| {
                let _frame = reader.read(&mut stream, &pool).unwrap().unwrap();
                let _other = pool.acquire(84).unwrap();
                resume_unwind(payload.take().unwrap());
            }));
            payload = Some(unwound.unwrap_err());
            let after = pool.stats();
            // Unwinding itself allocates its exception; the pool does not.
            assert_eq!((after.in_use(), after.misses()), (0, before.misses()), "{strategy:?}");
        }
    }
}

#[test]
fn freezing_costs_one_small_allocation() {
    let pool = pool(Strategy::default());
    pool.prefill(2).unwrap();
    let warm = pool.acquire(84).unwrap();
    drop(warm);
    let buffer = pool.acquire(84).unwrap();
    let (frozen, counts) = bolt_alloc::measure(|| buffer.freeze());
    assert_eq!(counts.allocations, 1);
    let copy = frozen.slice(1..3);
    drop(frozen);
    assert_eq!((copy.len(), pool.stats().in_use()), (2, 1));
    drop(copy);
    assert_eq!(pool.stats().in_use(), 0);
}
