//! Length-prefixed frames through stream buffers: `BoltBuf` beside `BytesMut`, `circular`, `ringbuf` and `Vec` + `drain`.
//!
//! Owns the input, 4 MiB of frames that are read again and again, and one loop per contender. Every contender decodes each
//! frame where it can (borrowed) or as an owned frame (`owned`), and its sum is checked before it is timed. The reads are
//! copies from memory: a socket adds a system call to each, makes differences smaller, and favours large reads, which
//! contenders with a buffer of 8 or 16 KiB (`-8k`, `-16k`, circular) never make.
//!
//! Not criterion: the contenders take turns, pass by pass, so that a machine whose speed wanders slows all of them alike, and each
//! ratio is one of neighbours in time. Arguments: a part of `stream/SIZES/READ` to run only that; `--test` for one round.

use std::hint::black_box;
use std::io::Read;
use std::time::Instant;

use bolt_buf::{BoltBuf, BufConfig, Frame};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use ringbuf::traits::{Consumer, Observer, Producer, SplitRef};

const INPUT_BYTES: usize = 4 << 20;
const HEAD_BYTES: usize = 4;
const WARM_UP_ROUNDS: usize = 20;
const ROUNDS: usize = 300;

/// The reads alone, into one small scratch: what no contender can be faster than.
const FLOOR: &str = "floor-reads";

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

/// The sum of all frames, and how many there are.
fn expected(input: &[u8]) -> (u64, usize) {
    let (mut sum, mut frames, mut rest) = (0_u64, 0, input);
    while let Some(frame) = first_frame(rest) {
        sum = sum.wrapping_add(look(frame));
        frames += 1;
        rest = &rest[HEAD_BYTES + frame.len()..];
    }
    assert!(rest.is_empty());
    (sum, frames)
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

/// One contender and the seconds of each of its passes.
struct Contender<'a> {
    name: &'static str,
    pass: Box<dyn FnMut(&mut Segments<'_>) -> u64 + 'a>,
    seconds: Vec<f64>,
}

fn contenders<'a>(max: usize, read_bytes: usize) -> Vec<Contender<'a>> {
    let mut list = Vec::new();
    let mut add = |name, pass: Box<dyn FnMut(&mut Segments<'_>) -> u64 + 'a>| {
        list.push(Contender { name, pass, seconds: Vec::new() });
    };
    let mut scratch = vec![0; read_bytes];
    add(FLOOR, Box::new(move |source| read_only(source, &mut scratch)));
    let mut buf = BoltBuf::new();
    add("bolt-buf", Box::new(move |source| bolt_buf(source, &mut buf)));
    let small = BufConfig { load_capacity_bytes: 16 << 10, ..BufConfig::default() };
    let mut buf = BoltBuf::with_config(small);
    add("bolt-buf-16k", Box::new(move |source| bolt_buf(source, &mut buf)));
    let mut buf = BytesMut::with_capacity(8 << 10);
    add("bytes-mut-8k", Box::new(move |source| bytes_mut(source, &mut buf, 1448)));
    let mut buf = BytesMut::with_capacity(128 << 10);
    add("bytes-mut-128k", Box::new(move |source| bytes_mut(source, &mut buf, read_bytes)));
    let mut buf = circular::Buffer::with_capacity((2 * max + HEAD_BYTES).max(16 << 10));
    add("circular", Box::new(move |source| circular(source, &mut buf)));
    let mut buf = ringbuf::HeapRb::new(256 << 10);
    let mut wrapped = Vec::new();
    add("ringbuf", Box::new(move |source| ring(source, &mut buf, &mut wrapped)));
    let mut buf = Vec::with_capacity(128 << 10);
    add("vec-drain", Box::new(move |source| vec_drain(source, &mut buf)));
    let (mut buf, mut held) = (BoltBuf::new(), Vec::new());
    add("bolt-buf-held", Box::new(move |source| bolt_buf_held(source, &mut buf, &mut held)));
    let (mut buf, mut held) = (BoltBuf::new(), Vec::new());
    add("bolt-buf-owned", Box::new(move |source| bolt_buf_owned(source, &mut buf, &mut held)));
    let mut buf = BoltBuf::new();
    add("bolt-buf-owned-single", Box::new(move |source| bolt_buf_owned_one_by_one(source, &mut buf)));
    let (mut buf, mut held) = (BytesMut::with_capacity(128 << 10), Vec::new());
    add("bytes-mut-owned", Box::new(move |source| bytes_mut_owned(source, &mut buf, read_bytes, &mut held)));
    list
}

/// The middle, the 10th and the 90th percentile.
fn percentiles(values: &mut [f64]) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [values.len() / 2, values.len() / 10, values.len() * 9 / 10].map(|i| values[i])
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_smoke = arguments.iter().any(|argument| argument == "--test");
    let filter = arguments.iter().find(|argument| !argument.starts_with("--"));
    let rounds = if is_smoke { 1 } else { ROUNDS };
    for (sizes, min, max) in FRAME_SIZES {
        for read_bytes in READ_SIZES {
            let title = format!("stream/{sizes}/{read_bytes}");
            if filter.is_some_and(|filter| !title.contains(filter.as_str())) {
                continue;
            }
            let input = input(min, max);
            let (answer, frames) = expected(&input);
            let mut list = contenders(max, read_bytes);
            for round in 0..WARM_UP_ROUNDS + rounds {
                for Contender { name, pass, seconds } in &mut list {
                    let start = Instant::now();
                    let sum = pass(&mut Segments { rest: black_box(&input), read_bytes });
                    let elapsed = start.elapsed().as_secs_f64();
                    assert!(*name == FLOOR || sum == answer, "{title}/{name} saw other frames");
                    if round >= WARM_UP_ROUNDS {
                        seconds.push(elapsed);
                    }
                }
            }
            let ours = list.iter().position(|contender| contender.name == "bolt-buf").expect("listed");
            let ours = list[ours].seconds.clone();
            println!("{title}: {frames} frames in {} bytes, {rounds} rounds", input.len());
            println!("  {:<22} {:>10} {:>24}", "", "ms per GiB", "of bolt-buf (p10 to p90)");
            for Contender { name, seconds, .. } in &mut list {
                let mut ratios: Vec<f64> =
                    seconds.iter().zip(&ours).map(|(theirs, ours)| theirs / ours).collect();
                let per_gib = 1e3 * (1_u64 << 30) as f64 / input.len() as f64;
                let [median, ..] = percentiles(seconds);
                let [ratio, low, high] = percentiles(&mut ratios);
                println!("  {name:<22} {:>10.1} {ratio:>8.2} ({low:.2} to {high:.2})", median * per_gib);
            }
            let of = |name| {
                list.iter().find(|c| c.name == name).map(|c| c.seconds[c.seconds.len() / 2]).expect("listed")
            };
            let extra_ns = |owned, borrowed| (of(owned) - of(borrowed)) * 1e9 / frames as f64;
            println!(
                "  an owned frame costs: bolt-buf {:.2} ns kept, {:.2} ns dropped at once; bytes-mut {:.2} ns\n",
                extra_ns("bolt-buf-owned", "bolt-buf-held"),
                extra_ns("bolt-buf-owned-single", "bolt-buf"),
                extra_ns("bytes-mut-owned", "bytes-mut-128k"),
            );
        }
    }
}
