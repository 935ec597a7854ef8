//! The stream buffer beside plain `Vec`: length-prefixed frames read 1,448 bytes and 64 KiB at a time, borrowed and owned; single
//! operations; a burst and the way back.
//!
//! Owns 4 MiB of generated frames per shape, which are read again and again. Every pass is checked against the sum of all frames
//! before it is timed. Reads are copies from memory. `BytesMut` and other crates: `benches/compare/pools`.

use std::hint::black_box;
use std::io::Read;
use std::time::Duration;

use bolt_buf::{BoltBuf, Cycle, Decision, Frame, GrowthConfig, GrowthPolicy};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const INPUT_BYTES: usize = 4 << 20;
const HEAD_BYTES: usize = 4;
const READ_SIZES: [usize; 2] = [1448, 64 << 10];
const FRAME_SIZES: [(&str, usize, usize); 3] =
    [("16-512B", 16, 512), ("64B-16KiB", 64, 16 << 10), ("32-96KiB", 32 << 10, 96 << 10)];

/// Frames of `min..=max` bytes, evenly spread, each behind its length in four bytes, little end first.
fn input(min: usize, max: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut bytes = Vec::with_capacity(INPUT_BYTES + max);
    while bytes.len() < INPUT_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let len = min + (state >> 33) as usize % (max - min + 1);
        bytes.extend_from_slice(&(len as u32).to_le_bytes());
        bytes.resize(bytes.len() + len - 1, state as u8);
        bytes.push((state >> 8) as u8);
    }
    bytes
}

/// Gives at most `read_bytes` at a time, as a socket would.
struct Segments<'a> {
    rest: &'a [u8],
    read_bytes: usize,
}

impl Read for Segments<'_> {
    #[inline]
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let n = self.read_bytes.min(into.len()).min(self.rest.len());
        let (now, later) = self.rest.split_at(n);
        into[..n].copy_from_slice(now);
        self.rest = later;
        Ok(n)
    }
}

/// What is done with a frame: its length, first and last byte enter a sum.
#[inline]
fn look(frame: &[u8]) -> u64 {
    ((frame.len() as u64) << 16) | (u64::from(frame[0]) << 8) | u64::from(frame[frame.len() - 1])
}

/// The first frame of `bytes`, if all of it is there.
#[inline]
fn first_frame(bytes: &[u8]) -> Option<&[u8]> {
    let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
    rest.get(..u32::from_le_bytes(*head) as usize)
}

fn expected(input: &[u8]) -> u64 {
    let (mut sum, mut rest) = (0_u64, input);
    while let Some(frame) = first_frame(rest) {
        sum = sum.wrapping_add(look(frame));
        rest = &rest[HEAD_BYTES + frame.len()..];
    }
    assert!(rest.is_empty());
    sum
}

fn borrowed(source: &mut Segments<'_>, buf: &mut BoltBuf) -> u64 {
    let mut sum = 0_u64;
    while buf.fill_from(source).expect("memory") > 0 {
        while let Some(frame) = first_frame(buf.read_slice()) {
            sum = sum.wrapping_add(look(frame));
            let len = frame.len();
            buf.consume(HEAD_BYTES + len);
        }
    }
    sum
}

fn owned(source: &mut Segments<'_>, buf: &mut BoltBuf, held: &mut Vec<Frame>) -> u64 {
    let mut sum = 0_u64;
    while buf.fill_from(source).expect("memory") > 0 {
        let mut cutter = buf.frames().expect("memory");
        while let Some(len) = first_frame(cutter.unread()).map(<[u8]>::len) {
            cutter.skip(HEAD_BYTES);
            held.push(cutter.cut(len).expect("just seen"));
        }
        drop(cutter);
        for frame in held.drain(..) {
            sum = sum.wrapping_add(look(&frame));
        }
    }
    sum
}

fn vec_drain(source: &mut Segments<'_>, buf: &mut Vec<u8>) -> u64 {
    let mut sum = 0_u64;
    while fill_vec(source, buf) {
        let mut at = 0;
        while let Some(frame) = first_frame(&buf[at..]) {
            sum = sum.wrapping_add(look(frame));
            at += HEAD_BYTES + frame.len();
        }
        buf.drain(..at);
    }
    sum
}

fn vec_copied(source: &mut Segments<'_>, buf: &mut Vec<u8>, held: &mut Vec<Vec<u8>>) -> u64 {
    let mut sum = 0_u64;
    while fill_vec(source, buf) {
        let mut at = 0;
        while let Some(frame) = first_frame(&buf[at..]) {
            held.push(frame.to_vec());
            at += HEAD_BYTES + frame.len();
        }
        buf.drain(..at);
        for frame in held.drain(..) {
            sum = sum.wrapping_add(look(&frame));
        }
    }
    sum
}

/// A read appended to a `Vec`, in one copy as into a buffer's tail.
#[inline]
fn fill_vec(source: &mut Segments<'_>, buf: &mut Vec<u8>) -> bool {
    let n = source.read_bytes.min(source.rest.len());
    let (now, later) = source.rest.split_at(n);
    buf.extend_from_slice(now);
    source.rest = later;
    n > 0
}

fn streams(c: &mut Criterion) {
    for (sizes, min, max) in FRAME_SIZES {
        let input = input(min, max);
        let answer = expected(&input);
        for read_bytes in READ_SIZES {
            let mut run = |operation: &str, pass: &mut dyn FnMut(&mut Segments<'_>) -> u64| {
                let mut once = || pass(&mut Segments { rest: black_box(&input), read_bytes });
                // Twice: what adapts has done so, and leftovers would show.
                assert_eq!((once(), once()), (answer, answer), "{operation} saw other frames");
                let mut group = c.benchmark_group(format!("bolt-buf/{operation}"));
                group.throughput(Throughput::Bytes(input.len() as u64));
                group.bench_function(format!("{sizes}/{read_bytes}"), |b| b.iter(&mut once));
                group.finish();
            };
            let mut buf = BoltBuf::new();
            run("borrowed", &mut |source| borrowed(source, &mut buf));
            let mut buf = Vec::with_capacity(128 << 10);
            run("borrowed-vec-drain", &mut |source| vec_drain(source, &mut buf));
            let (mut buf, mut held) = (BoltBuf::new(), Vec::new());
            run("owned", &mut |source| owned(source, &mut buf, &mut held));
            let (mut buf, mut held) = (Vec::with_capacity(128 << 10), Vec::new());
            run("owned-vec-copied", &mut |source| vec_copied(source, &mut buf, &mut held));
        }
    }
}

fn operations(c: &mut Criterion) {
    const FRAMES: usize = 1000;
    let mut group = c.benchmark_group("bolt-buf/operation");
    group.throughput(Throughput::Elements(FRAMES as u64));
    let mut buf = BoltBuf::new();
    group.bench_function("append-8B-and-consume", |b| {
        b.iter(|| {
            for i in 0..FRAMES as u64 {
                buf.append(&black_box(i).to_le_bytes()).expect("room");
            }
            for _ in 0..FRAMES {
                buf.consume(black_box(8));
            }
            assert!(buf.is_empty());
        });
    });
    let mut plain: Vec<u8> = Vec::with_capacity(16 << 10);
    group.bench_function("append-8B-and-consume-vec", |b| {
        b.iter(|| {
            for i in 0..FRAMES as u64 {
                plain.extend_from_slice(&black_box(i).to_le_bytes());
            }
            let mut at = 0;
            for _ in 0..FRAMES {
                at += black_box(8);
            }
            plain.drain(..at);
            assert!(plain.is_empty());
        });
    });
    let mut buf = BoltBuf::new();
    group.bench_function("cut-and-drop-a-frame", |b| {
        b.iter(|| {
            buf.append(&[1; 8 * FRAMES]).expect("room");
            let mut cutter = buf.frames().expect("memory");
            for _ in 0..FRAMES {
                drop(black_box(cutter.cut(8)));
            }
        });
    });
    group.throughput(Throughput::Elements(1));
    let mut policy = GrowthPolicy::new(GrowthConfig::default(), 16 << 10, 128 << 10);
    group.bench_function("policy-observe", |b| {
        b.iter(|| {
            let decision = policy.observe(Cycle::Active, black_box(1448), black_box(16 << 10), false);
            assert_eq!(decision, Decision::Keep);
        });
    });
    group.finish();
}

/// One round of a connection's life: a burst that grows the buffer to its ceiling, then idle ticks back to the floor.
fn burst_and_idle(c: &mut Criterion) {
    let input = vec![1_u8; 2 << 20];
    c.bench_function("bolt-buf/burst-and-idle/2MiB", |b| {
        b.iter(|| {
            let mut buf = BoltBuf::new();
            let mut source = input.as_slice();
            while buf.fill_from(&mut source).expect("memory") > 0 {
                buf.consume(buf.len());
            }
            assert_eq!(buf.capacity_bytes(), 128 << 10);
            for _ in 0..32 {
                buf.end_cycle(Cycle::Idle);
            }
            assert_eq!(buf.capacity_bytes(), 16 << 10);
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(30);
    targets = streams, operations, burst_and_idle
}
criterion_main!(benches);
