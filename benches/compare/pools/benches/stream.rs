//! Length-prefixed frames through stream buffers: `BoltBuf` beside `BytesMut`, `circular`, `ringbuf` and `Vec` + `drain`.
//!
//! Owns the input, 4 MiB of frames that are read again and again, and one loop per contender. Every contender decodes each
//! frame where it can (borrowed) or as an owned frame (`owned`), and its sum is checked before it is timed. The reads are
//! copies from memory: a socket adds a system call to each, makes differences smaller, and favours large reads, which
//! contenders with a buffer of 8 or 16 KiB (`-8k`, `-16k`, circular) never make.
//! Name: `stream/<frame sizes>/<read size>/<contender>`; throughput in bytes, so 1 GiB takes `1 / throughput`.

use std::hint::black_box;
use std::io::Read;
use std::time::Duration;

use bolt_buf::{BoltBuf, BufConfig, Frame};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringbuf::traits::{Consumer, Observer, Producer, SplitRef};

const INPUT_BYTES: usize = 4 << 20;
const HEAD_BYTES: usize = 4;

/// One Ethernet segment's payload, and what a busy loopback or a large socket buffer gives.
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

/// What is done with a frame: its first and last byte enter a sum, so that the frame is really looked at.
#[inline]
fn look(frame: &[u8]) -> u64 {
    (frame.len() as u64) << 16 | u64::from(frame[0]) << 8 | u64::from(frame[frame.len() - 1])
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

fn read_only(source: &mut Segments<'_>, scratch: &mut [u8]) -> u64 {
    let mut sum = 0;
    loop {
        let n = source.read(scratch).expect("memory");
        if n == 0 {
            return sum;
        }
        sum += u64::from(black_box(&mut *scratch)[n - 1]);
    }
}

fn bolt_buf(source: &mut Segments<'_>, buf: &mut BoltBuf) -> u64 {
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

fn bolt_buf_owned(source: &mut Segments<'_>, buf: &mut BoltBuf, held: &mut Vec<Frame>) -> u64 {
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

/// The same without a batch in between: each frame dies before the next is cut.
fn bolt_buf_owned_one_by_one(source: &mut Segments<'_>, buf: &mut BoltBuf) -> u64 {
    let mut sum = 0_u64;
    while buf.fill_from(source).expect("memory") > 0 {
        let mut cutter = buf.frames().expect("memory");
        while let Some(len) = first_frame(cutter.unread()).map(<[u8]>::len) {
            cutter.skip(HEAD_BYTES);
            let frame = cutter.cut(len).expect("just seen");
            sum = sum.wrapping_add(look(black_box(&frame)));
        }
    }
    sum
}

/// The borrowed loop with the frames' slices kept for a moment, as `bolt_buf_owned` keeps the frames: what holding costs.
fn bolt_buf_held(source: &mut Segments<'_>, buf: &mut BoltBuf, held: &mut Vec<(usize, usize)>) -> u64 {
    let mut sum = 0_u64;
    while buf.fill_from(source).expect("memory") > 0 {
        let mut at = 0;
        while let Some(frame) = first_frame(&buf.read_slice()[at..]) {
            held.push((at + HEAD_BYTES, frame.len()));
            at += HEAD_BYTES + frame.len();
        }
        let unread = buf.read_slice();
        for (start, len) in held.drain(..) {
            sum = sum.wrapping_add(look(&unread[start..start + len]));
        }
        buf.consume(at);
    }
    sum
}

/// Reads into the spare capacity of a `BytesMut`, as tokio's `read_buf` does, at least `want` bytes of it.
#[inline]
fn fill_bytes_mut(source: &mut Segments<'_>, buf: &mut BytesMut, want: usize) -> usize {
    buf.reserve(want);
    let n = source.read_bytes.min(buf.capacity() - buf.len()).min(source.rest.len());
    let (now, later) = source.rest.split_at(n);
    buf.put_slice(now);
    source.rest = later;
    n
}

fn bytes_mut(source: &mut Segments<'_>, buf: &mut BytesMut, want: usize) -> u64 {
    let mut sum = 0_u64;
    while fill_bytes_mut(source, buf, want) > 0 {
        while let Some(frame) = first_frame(buf) {
            sum = sum.wrapping_add(look(frame));
            let len = frame.len();
            buf.advance(HEAD_BYTES + len);
        }
    }
    sum
}

fn bytes_mut_owned(source: &mut Segments<'_>, buf: &mut BytesMut, want: usize, held: &mut Vec<Bytes>) -> u64 {
    let mut sum = 0_u64;
    while fill_bytes_mut(source, buf, want) > 0 {
        while let Some(len) = first_frame(buf).map(<[u8]>::len) {
            buf.advance(HEAD_BYTES);
            held.push(buf.split_to(len).freeze());
        }
        for frame in held.drain(..) {
            sum = sum.wrapping_add(look(&frame));
        }
    }
    sum
}

fn circular(source: &mut Segments<'_>, buf: &mut circular::Buffer) -> u64 {
    let mut sum = 0_u64;
    loop {
        if buf.available_space() == 0 {
            buf.shift();
        }
        let n = source.read(buf.space()).expect("memory");
        if n == 0 {
            return sum;
        }
        buf.fill(n);
        while let Some(frame) = first_frame(buf.data()) {
            sum = sum.wrapping_add(look(frame));
            let len = frame.len();
            buf.consume(HEAD_BYTES + len);
        }
    }
}

fn vec_drain(source: &mut Segments<'_>, buf: &mut Vec<u8>) -> u64 {
    let mut sum = 0_u64;
    loop {
        let n = source.read_bytes.min(source.rest.len());
        if n == 0 {
            return sum;
        }
        let (now, later) = source.rest.split_at(n);
        buf.extend_from_slice(now);
        source.rest = later;
        let mut at = 0;
        while let Some(frame) = first_frame(&buf[at..]) {
            sum = sum.wrapping_add(look(frame));
            at += HEAD_BYTES + frame.len();
        }
        buf.drain(..at);
    }
}

/// A ring has no contiguous frames: one that wraps is copied out.
fn ring(source: &mut Segments<'_>, ring: &mut ringbuf::HeapRb<u8>, scratch: &mut Vec<u8>) -> u64 {
    let (mut producer, mut consumer) = ring.split_ref();
    let mut sum = 0_u64;
    loop {
        let n = source.read_bytes.min(source.rest.len()).min(producer.vacant_len());
        if n == 0 {
            return sum;
        }
        let (now, later) = source.rest.split_at(n);
        producer.push_slice(now);
        source.rest = later;
        loop {
            let (first, second) = consumer.as_slices();
            let used = if let Some(frame) = first_frame(first) {
                sum = sum.wrapping_add(look(frame));
                HEAD_BYTES + frame.len()
            } else {
                if first.len() + second.len() < HEAD_BYTES {
                    break;
                }
                let mut head = [0; HEAD_BYTES];
                consumer.peek_slice(&mut head);
                let total = HEAD_BYTES + u32::from_le_bytes(head) as usize;
                if first.len() + second.len() < total {
                    break;
                }
                scratch.clear();
                scratch.extend_from_slice(first);
                scratch.extend_from_slice(&second[..total - first.len()]);
                sum = sum.wrapping_add(look(&scratch[HEAD_BYTES..]));
                total
            };
            consumer.skip(used);
        }
    }
}

fn stream(c: &mut Criterion) {
    for (sizes, min, max) in FRAME_SIZES {
        let input = input(min, max);
        let answer = expected(&input);
        for read_bytes in READ_SIZES {
            let mut group = c.benchmark_group(format!("stream/{sizes}/{read_bytes}"));
            group.throughput(Throughput::Bytes(input.len() as u64));
            let mut run = |name: &str, pass: &mut dyn FnMut(&mut Segments<'_>) -> u64, is_checked: bool| {
                let mut once = || pass(&mut Segments { rest: black_box(&input), read_bytes });
                // Twice: contenders that adapt have done so, and leftovers would show.
                for _ in 0..2 {
                    let sum = once();
                    assert!(!is_checked || sum == answer, "{name} saw other frames");
                }
                group.bench_function(BenchmarkId::from_parameter(name), |b| b.iter(&mut once));
            };
            let mut scratch = vec![0; read_bytes];
            run("floor-reads", &mut |source| read_only(source, &mut scratch), false);
            let mut buf = BoltBuf::new();
            run("bolt-buf", &mut |source| bolt_buf(source, &mut buf), true);
            let small = BufConfig { load_capacity_bytes: 16 << 10, ..BufConfig::default() };
            let mut buf = BoltBuf::with_config(small);
            run("bolt-buf-16k", &mut |source| bolt_buf(source, &mut buf), true);
            let mut buf = BytesMut::with_capacity(8 << 10);
            run("bytes-mut-8k", &mut |source| bytes_mut(source, &mut buf, 1448), true);
            let mut buf = BytesMut::with_capacity(128 << 10);
            run("bytes-mut-128k", &mut |source| bytes_mut(source, &mut buf, read_bytes), true);
            let mut buf = circular::Buffer::with_capacity((2 * max + HEAD_BYTES).max(16 << 10));
            run("circular", &mut |source| circular(source, &mut buf), true);
            let mut buf = ringbuf::HeapRb::new(256 << 10);
            let mut wrapped = Vec::new();
            run("ringbuf", &mut |source| ring(source, &mut buf, &mut wrapped), true);
            let mut buf = Vec::with_capacity(128 << 10);
            run("vec-drain", &mut |source| vec_drain(source, &mut buf), true);
            let (mut buf, mut held) = (BoltBuf::new(), Vec::new());
            run("bolt-buf-held", &mut |source| bolt_buf_held(source, &mut buf, &mut held), true);
            let (mut buf, mut held) = (BoltBuf::new(), Vec::new());
            run("bolt-buf-owned", &mut |source| bolt_buf_owned(source, &mut buf, &mut held), true);
            let mut buf = BoltBuf::new();
            run("bolt-buf-owned-single", &mut |source| bolt_buf_owned_one_by_one(source, &mut buf), true);
            let (mut buf, mut held) = (BytesMut::with_capacity(128 << 10), Vec::new());
            run(
                "bytes-mut-owned",
                &mut |source| bytes_mut_owned(source, &mut buf, read_bytes, &mut held),
                true,
            );
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(30);
    targets = stream
}
criterion_main!(benches);
