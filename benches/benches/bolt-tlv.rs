//! Pooled buffers and frames beside plain `Vec`s: take and give back, sharing beside `Arc`, the lookup of classes, frames from a stream.
//!
//! A pass is 1,000 operations. Every pass is checked against its sum before it is timed. Allocators and pools of other crates, two threads
//! and loopback: `benches/compare/pools`.

use std::hint::black_box;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use bolt_tlv::{
    BufferPool, ClassSpec, ClassTable, FrameReader, Header, Strategy, read_frame_pooled, write_frame,
};
use boltstack_benches::timed;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const PASS: u64 = 1000;
/// The lengths of the three messages of the design: SwapEvent, PoolStateUpdate, LargeMessage.
const LENGTHS: [usize; 3] = [84, 180, 800];

fn pool(strategy: Strategy) -> BufferPool {
    BufferPool::builder()
        .strategy(strategy)
        .with_size_class(128, 256)
        .with_size_class(256, 128)
        .with_size_class(1024, 64)
        .build()
}

fn take_give(c: &mut Criterion) {
    for len in [LENGTHS[0], LENGTHS[2]] {
        let mut group = c.benchmark_group(format!("bolt-tlv/take-give-{len}"));
        group.throughput(Throughput::Elements(PASS));
        let expected = PASS * len as u64;
        for (name, strategy) in
            [("magazines", Strategy::Magazines), ("mutex", Strategy::Mutex), ("list", Strategy::List)]
        {
            let pool = pool(strategy);
            timed(&mut group, name, expected, || {
                // Where the buffer begins is shown to the optimiser, not the handle: copying an opaque aggregate costs more than the pool.
                let trip = |_| {
                    let buffer = pool.acquire(black_box(len)).expect("a class");
                    black_box(buffer.as_ptr());
                    buffer.len() as u64
                };
                (0..PASS).map(trip).sum()
            });
        }
        let (mut taker, mut giver) = pool(Strategy::Ring).ring().expect("memory");
        timed(&mut group, "ring-on-one-thread", expected, || {
            let mut sum = 0;
            for _ in 0..PASS {
                let buffer = taker.acquire(black_box(len)).expect("a class");
                black_box(buffer.as_ptr());
                sum += buffer.len() as u64;
                giver.give(buffer);
            }
            sum
        });
        timed(&mut group, "vec-zeroed", expected, || {
            (0..PASS).map(|_| black_box(&vec![0_u8; black_box(len)]).len() as u64).sum()
        });
        timed(&mut group, "vec-with-capacity", expected, || {
            (0..PASS).map(|_| (black_box(&Vec::<u8>::with_capacity(black_box(len))).len() + len) as u64).sum()
        });
    }
}

fn share(c: &mut Criterion) {
    let mut group = c.benchmark_group("bolt-tlv/share-and-clone");
    group.throughput(Throughput::Elements(PASS));
    let pool = pool(Strategy::Magazines);
    let len = LENGTHS[0];
    let expected = PASS * len as u64;
    timed(&mut group, "shared-frame", expected, || {
        (0..PASS)
            .map(|_| {
                let frame = pool.acquire(len).expect("a class").share();
                black_box(frame.clone()).len() as u64
            })
            .sum()
    });
    timed(&mut group, "shared-frame-not-cloned", expected, || {
        (0..PASS).map(|_| black_box(pool.acquire(len).expect("a class").share()).len() as u64).sum()
    });
    timed(&mut group, "arc-vec", expected, || {
        (0..PASS)
            .map(|_| {
                let frame = Arc::new(vec![0_u8; black_box(len)]);
                black_box(frame.clone()).len() as u64
            })
            .sum()
    });
}

fn classes(c: &mut Criterion) {
    static SPECS: [ClassSpec; 3] =
        [ClassSpec::new(128, 256), ClassSpec::new(256, 128), ClassSpec::new(1024, 64)];
    static TABLE: ClassTable = ClassTable::new(&SPECS);
    let mut group = c.benchmark_group("bolt-tlv/class-of");
    group.throughput(Throughput::Elements(PASS));
    // Lengths in no order that a branch predictor could learn.
    let lengths: Vec<usize> = (0..PASS).map(|i| (i * i * 7919 % 1024) as usize).collect();
    let expected = lengths
        .iter()
        .map(|&len| SPECS.iter().position(|class| len <= class.size_bytes).unwrap_or(3) as u64)
        .sum();
    timed(&mut group, "table", expected, || {
        lengths.iter().map(|&len| TABLE.class_of(black_box(len)).expect("below 1,024") as u64).sum()
    });
    timed(&mut group, "search", expected, || {
        lengths
            .iter()
            .map(|&len| SPECS.partition_point(|class| class.size_bytes < black_box(len)) as u64)
            .sum()
    });
}

/// What one writes without a pool: header and payload into one vector, a zeroed vector for the payload, a copy, an `Arc`.
fn read_plain(stream: &mut impl Read) -> Option<(u16, Arc<Vec<u8>>)> {
    let mut head = [0; 8];
    stream.read_exact(&mut head).ok()?;
    let header = Header::from_bytes(head);
    let mut bytes = Vec::with_capacity(8 + header.length as usize);
    bytes.extend_from_slice(&head);
    let mut payload = vec![0; header.length as usize];
    stream.read_exact(&mut payload).ok()?;
    bytes.extend_from_slice(&payload);
    Some((header.type_id, Arc::new(bytes)))
}

fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("bolt-tlv/read-frame-from-memory");
    group.throughput(Throughput::Elements(PASS));
    let mut wire = Vec::new();
    let mut expected = 0;
    for i in 0..PASS as usize {
        let length = LENGTHS[i % 3];
        let header = Header { type_id: 1, version: 1, flags: 0, length: length as u32 };
        write_frame(&mut wire, header, &[i as u8; 800][..length]).expect("memory");
        expected += length as u64;
    }
    let pool = pool(Strategy::Magazines);
    timed(&mut group, "frame-reader", expected, || {
        let (mut stream, mut sum) = (wire.as_slice(), 0);
        let mut reader = FrameReader::new();
        while let Some(frame) = reader.read(&mut stream, &pool).expect("frames") {
            sum += black_box(&frame.payload).len() as u64;
        }
        sum
    });
    timed(&mut group, "read-frame-pooled", expected, || {
        let (mut stream, mut sum) = (wire.as_slice(), 0);
        while let Some(frame) = read_frame_pooled(&mut stream, &pool).expect("frames") {
            sum += black_box(&frame.payload).len() as u64;
        }
        sum
    });
    timed(&mut group, "three-allocations", expected, || {
        let (mut stream, mut sum) = (wire.as_slice(), 0);
        while let Some((_, bytes)) = read_plain(&mut stream) {
            sum += black_box(&bytes).len() as u64 - 8;
        }
        sum
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(30);
    targets = take_give, share, classes, frames
}
criterion_main!(benches);
