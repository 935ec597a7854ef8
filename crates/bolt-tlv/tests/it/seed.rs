//! The five tests that the design behind this crate asks for, by its names: correctness, no leaks, capacity limits, size selection,
//! performance with and without the pool.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bolt_alloc::measure;
use bolt_tlv::{BufferPool, Exhausted, FrameReader, Header, SharedFrame, read_frame_pooled, write_frame};

use crate::pool::STRATEGIES;

/// Fewer buffers where each is interpreted.
const FEWER: usize = if cfg!(miri) { 8 } else { 1 };

/// The design's three messages: 84, 180 and 800 bytes in classes of 128, 256 and 1,024.
fn pool_of_the_design(strategy: bolt_tlv::Strategy) -> BufferPool {
    BufferPool::builder()
        .strategy(strategy)
        .with_size_class(128, 256 / FEWER)
        .with_size_class(256, 128 / FEWER)
        .with_size_class(1024, 64 / FEWER)
        .build()
}

#[test]
fn correctness_contents_are_not_corrupted_across_reuse() {
    for strategy in STRATEGIES {
        let pool = pool_of_the_design(strategy);
        let mut held = std::collections::VecDeque::new();
        for round in 0..if cfg!(miri) { 30 } else { 20_000 } {
            let len = [84, 180, 800][round % 3];
            let mut buffer = pool.acquire(len).unwrap();
            assert_eq!(buffer.len(), len);
            buffer.fill(round as u8);
            held.push_back((round as u8, buffer));
            // Between 1 and 40 buffers are out; the oldest is looked at and goes.
            if held.len() > round % 40 {
                let (mark, buffer) = held.pop_front().unwrap();
                assert!(
                    buffer.iter().all(|&byte| byte == mark),
                    "{strategy:?}: somebody wrote into a buffer in use"
                );
            }
        }
    }
}

#[test]
fn no_leaks_buffers_return_on_drop_and_on_panic() {
    for strategy in STRATEGIES {
        let pool = pool_of_the_design(strategy);
        drop(pool.acquire(84).unwrap());
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _first = pool.acquire(84).unwrap();
            let _second: SharedFrame = pool.acquire(180).unwrap().share();
            panic!("in the middle of a message");
        }));
        assert!(panicked.is_err());
        std::thread::scope(|scope| {
            let buffer = pool.acquire(800).unwrap();
            let handle = scope.spawn(move || {
                let _mine = buffer;
                panic!("on another thread");
            });
            assert!(handle.join().is_err());
        });
        let stats = pool.stats();
        assert_eq!(stats.in_use(), 0, "{strategy:?}");
        assert_eq!(
            stats.classes().iter().map(|class| class.free).sum::<usize>(),
            3,
            "{strategy:?}: {stats:?}"
        );
    }
}

#[test]
fn capacity_limits_the_pool_does_not_grow_unbounded() {
    for strategy in STRATEGIES {
        let pool = pool_of_the_design(strategy);
        let mut held = Vec::new();
        let refused = loop {
            match pool.acquire(1024) {
                Ok(buffer) => held.push(buffer),
                Err(error) => break error,
            }
        };
        // 64 that are kept and as many plain ones: twice the class's bytes, and not one buffer more.
        assert_eq!(held.len(), 128 / FEWER, "{strategy:?}: {refused}");
        assert_eq!(pool.stats().bytes(), 128 / FEWER * 1024);
        drop(held);
        assert_eq!(pool.stats().bytes(), 64 / FEWER * 1024, "plain ones are freed, kept ones are kept");
        assert_eq!(pool.stats().in_use(), 0);
    }
}

#[test]
fn size_selection_messages_are_routed_to_the_right_class() {
    let pool = pool_of_the_design(bolt_tlv::Strategy::default());
    for (len, class) in [(0, 128), (84, 128), (128, 128), (129, 256), (180, 256), (257, 1024), (1024, 1024)] {
        assert_eq!(pool.acquire(len).unwrap().capacity(), class, "{len} bytes");
    }
    assert!(pool.acquire(1025).is_err());
}

/// What the source does today: header and payload into one vector, a zeroed vector for the payload, a copy, an `Arc`.
fn read_frame_of_the_source(stream: &mut impl Read) -> std::io::Result<(u16, Arc<Vec<u8>>)> {
    let mut header = [0; 8];
    stream.read_exact(&mut header)?;
    let header_bytes = header;
    let header = Header::from_bytes(header);
    let mut bytes = Vec::with_capacity(8 + header.length as usize);
    bytes.extend_from_slice(&header_bytes);
    let mut payload = vec![0; header.length as usize];
    stream.read_exact(&mut payload)?;
    bytes.extend_from_slice(&payload);
    Ok((header.type_id, Arc::new(bytes)))
}

/// Time is the benchmark's business (`cargo bench --bench bolt-tlv`); here the cause of it is counted.
#[test]
fn performance_three_allocations_a_message_without_the_pool_and_none_with_it() {
    const FRAMES: u64 = if cfg!(miri) { 20 } else { 10_000 };
    let mut wire = Vec::new();
    for _ in 0..FRAMES {
        write_frame(&mut wire, Header { type_id: 1, version: 1, flags: 0, length: 84 }, &[7; 84]).unwrap();
    }

    let mut stream = wire.as_slice();
    let ((), counts) = measure(|| {
        while !stream.is_empty() {
            assert_eq!(read_frame_of_the_source(&mut stream).unwrap().1.len(), 92);
        }
    });
    assert_eq!(counts.allocations, 3 * FRAMES);

    for strategy in STRATEGIES {
        let pool = BufferPool::builder()
            .strategy(strategy)
            .exhausted(Exhausted::Error)
            .with_size_class(128, 4)
            .build();
        drop(pool.acquire(84).unwrap());
        let mut stream = wire.as_slice();
        let mut frames = 0;
        let ((), counts) = measure(|| {
            while let Some(frame) = read_frame_pooled(&mut stream, &pool).unwrap() {
                assert_eq!(frame.payload, [7; 84]);
                frames += 1;
            }
        });
        assert_eq!((frames, counts.allocations), (FRAMES, 0), "{strategy:?}");

        let mut stream = wire.as_slice();
        let mut reader = FrameReader::new();
        let ((), counts) = measure(|| {
            while let Some(frame) = reader.read(&mut stream, &pool).unwrap() {
                assert_eq!(frame.payload.share(), [7; 84]);
            }
        });
        assert_eq!(counts.allocations, 0, "{strategy:?}");
    }
}
