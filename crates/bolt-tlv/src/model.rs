//! For tests and fuzz targets only: bytes as operations on a pool, each checked against a naive one that counts on its fingers; and
//! bytes as a stream of frames, read in several ways that must agree.
//!
//! Owns the naive twins. It adds code and changes none.

use alloc::vec::Vec;
use std::io::{self, Read};

use crate::{
    AcquireError, BufferPool, Exhausted, FrameErrorKind, FrameReader, HEADER_BYTES, Header, PooledBuffer,
    SharedFrame, Strategy, Zeroing, read_frame_pooled,
};

/// Classes of the pool under test: small, so that every bound is met soon.
const SIZES: [usize; 3] = [64, 128, 320];
const CAPACITY: usize = 3;
/// Plain buffers a class may have on top of those it keeps.
const PLAIN_MAX: usize = 2;
/// Longest stream of frames looked at.
const STREAM_BYTES_MAX: usize = 4096;

/// What the naive pool knows of a buffer: its class and what was written into it.
struct Held {
    class: usize,
    plain: bool,
    mark: u8,
    buffer: Form,
}

enum Form {
    Buffer(PooledBuffer),
    Shared(Vec<SharedFrame>),
}

impl Held {
    fn check(&self) {
        let all = |bytes: &[u8]| {
            assert!(bytes.iter().all(|&byte| byte == self.mark), "somebody wrote into a buffer in use");
        };
        match &self.buffer {
            Form::Buffer(buffer) => all(buffer),
            Form::Shared(frames) => frames.iter().for_each(|frame| all(frame)),
        }
    }
}

/// The naive pool: how many buffers of each class exist and are out.
#[derive(Default, Clone, Copy)]
struct Count {
    kept_out: usize,
    plain_out: usize,
    made: usize,
    refused: u64,
}

/// Runs `bytes` as operations. The first byte chooses the pool; then each operation is two bytes.
///
/// # Panics
/// When the pool and the naive one disagree.
pub fn run_pool(bytes: &[u8]) {
    let [first, operations @ ..] = bytes else { return };
    let strategy =
        [Strategy::List, Strategy::Mutex, Strategy::Magazines, Strategy::Ring][usize::from(first & 3)];
    let exhausted = if first & 4 == 0 { Exhausted::Allocate } else { Exhausted::Error };
    let zeroing =
        [Zeroing::Never, Zeroing::OnTake, Zeroing::OnReturn, Zeroing::Never][usize::from(first >> 4 & 3)];
    let mut builder = BufferPool::builder().strategy(strategy).exhausted(exhausted).zeroing(zeroing);
    for size in SIZES {
        let class = crate::ClassSpec::new(size, CAPACITY).with_bytes_max(size * (CAPACITY + PLAIN_MAX));
        builder = builder.with_class(class);
    }
    let mut pool = Some(builder.build());
    let mut counts = [Count::default(); SIZES.len()];
    let mut held: Vec<Held> = Vec::new();

    for operation in operations.chunks_exact(2) {
        let (code, argument) = (operation[0], operation[1]);
        let choose = |len: usize| (len > 0).then(|| usize::from(argument) % len);
        match code % 8 {
            0..=2 => {
                let Some(pool) = &pool else { continue };
                let len = usize::from(argument) + if code & 8 == 0 { 0 } else { 100 };
                take(pool, len, exhausted, zeroing, code, &mut counts, &mut held);
            }
            3 => {
                // A buffer or the last frame of it goes home, possibly from another thread.
                let Some(index) = choose(held.len()) else { continue };
                let mut entry = held.swap_remove(index);
                entry.check();
                if let Form::Shared(frames) = &mut entry.buffer
                    && frames.len() > 1
                {
                    frames.pop();
                    held.push(entry);
                    continue;
                }
                let count = &mut counts[entry.class];
                if entry.plain {
                    count.plain_out -= 1;
                } else {
                    count.kept_out -= 1;
                }
                drop(entry);
            }
            4 => {
                let Some(index) = choose(held.len()) else { continue };
                let mut entry = held.swap_remove(index);
                entry.buffer = match entry.buffer {
                    Form::Buffer(buffer) => Form::Shared(alloc::vec![buffer.share()]),
                    Form::Shared(mut frames) => {
                        let part = frames[0].slice(0..frames[0].len() / 2).expect("a part of it");
                        frames.push(part);
                        Form::Shared(frames)
                    }
                };
                held.push(entry);
            }
            5 => {
                let Some(index) = choose(held.len()) else { continue };
                let mut entry = held.swap_remove(index);
                if let Form::Shared(mut frames) = entry.buffer {
                    let alone = frames.len() == 1;
                    let frame = frames.swap_remove(0);
                    entry.buffer = match frame.try_into_buffer() {
                        Ok(buffer) => {
                            assert!(alone, "a shared frame became writable");
                            Form::Buffer(buffer)
                        }
                        Err(frame) => {
                            assert!(!alone, "the only frame of a buffer did not become one");
                            frames.push(frame);
                            Form::Shared(frames)
                        }
                    };
                }
                held.push(entry);
            }
            6 => {
                let Some(pool) = &pool else { continue };
                let before = pool.stats();
                let released = if argument & 1 == 0 { pool.release_idle() } else { pool.idle_tick() };
                let mut sum = 0;
                for ((count, before), after) in
                    counts.iter_mut().zip(before.classes()).zip(pool.stats().classes())
                {
                    assert!(after.free <= before.free);
                    let gone = before.free - after.free;
                    count.made -= gone;
                    sum += gone;
                }
                assert_eq!(released, sum, "what was freed is not what is missing");
            }
            _ => {
                if argument == 255 {
                    pool = None;
                }
            }
        }
        held.iter().for_each(Held::check);
        if let Some(pool) = &pool {
            compare(pool, &counts);
        }
    }
    if held.len().is_multiple_of(2) {
        drop(pool);
        drop(held);
    } else {
        drop(held);
        if let Some(pool) = &pool {
            assert_eq!(pool.stats().in_use(), 0, "a buffer was lost");
        }
    }
}

fn take(
    pool: &BufferPool,
    len: usize,
    exhausted: Exhausted,
    zeroing: Zeroing,
    mark: u8,
    counts: &mut [Count; SIZES.len()],
    held: &mut Vec<Held>,
) {
    let taken = pool.acquire(len);
    let Some(class) = SIZES.iter().position(|&size| len <= size) else {
        let largest_bytes = SIZES[SIZES.len() - 1];
        assert_eq!(taken.map(|_| ()), Err(AcquireError::TooLarge { requested: len, largest_bytes }));
        return;
    };
    let count = &mut counts[class];
    let plain = count.kept_out == CAPACITY;
    if plain && (exhausted == Exhausted::Error || count.plain_out == PLAIN_MAX) {
        count.refused += 1;
        let expected =
            AcquireError::Exhausted { requested: len, class_bytes: SIZES[class], capacity: CAPACITY };
        assert_eq!(taken.map(|_| ()), Err(expected));
        return;
    }
    let mut buffer = taken.expect("the naive pool has one");
    assert_eq!((buffer.len(), buffer.capacity(), buffer.is_plain()), (len, SIZES[class], plain));
    if zeroing != Zeroing::Never {
        assert!(buffer.iter().all(|&byte| byte == 0), "not cleared");
    }
    if plain {
        count.plain_out += 1;
    } else {
        count.kept_out += 1;
        count.made = count.made.max(count.kept_out);
    }
    buffer.fill(mark);
    held.push(Held { class, plain, mark, buffer: Form::Buffer(buffer) });
}

fn compare(pool: &BufferPool, counts: &[Count; SIZES.len()]) {
    for (class, count) in pool.stats().classes().iter().zip(counts) {
        assert_eq!(class.in_use, count.kept_out + count.plain_out);
        assert_eq!((class.plain, class.refused), (count.plain_out, count.refused));
        assert_eq!(class.free, count.made - count.kept_out);
        assert_eq!(class.bytes, (count.made + count.plain_out) * class.size_bytes);
        assert!(class.bytes <= class.bytes_max);
    }
}

/// A stream in memory that gives as many bytes at a time as a seed says.
struct Cut<'a> {
    rest: &'a [u8],
    seed: u32,
}

impl Read for Cut<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let n = out.len().min(1 + (self.seed >> 16) as usize % 97);
        self.rest.read(&mut out[..n])
    }
}

/// What a reader says of a stream, without its buffers.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Frame(Header, Vec<u8>),
    TooLong(Header),
    CriticalFlags(Header),
    OutOfStep,
    Truncated,
    End,
}

fn said(result: Result<Option<crate::Frame>, crate::FrameError>) -> Said {
    match result {
        Ok(Some(frame)) => Said::Frame(frame.header, frame.payload.to_vec()),
        Ok(None) => Said::End,
        Err(error) => match error.kind {
            FrameErrorKind::TooLong { header, .. } => Said::TooLong(header),
            FrameErrorKind::CriticalFlags { header } => Said::CriticalFlags(header),
            FrameErrorKind::OutOfStep { .. } => Said::OutOfStep,
            FrameErrorKind::Truncated { .. } => Said::Truncated,
            kind => panic!("memory does not fail, and the pool has buffers: {kind:?}"),
        },
    }
}

/// The naive reader.
fn expected(mut rest: &[u8]) -> Vec<Said> {
    let mut all = Vec::new();
    loop {
        let Some((head, behind)) = rest.split_first_chunk::<HEADER_BYTES>() else {
            all.push(if rest.is_empty() { Said::End } else { Said::Truncated });
            return all;
        };
        let header = Header::from_bytes(*head);
        let refused = if header.type_id == 0 {
            all.push(Said::OutOfStep);
            return all;
        } else if header.flags & 0xF0 != 0 {
            Some(Said::CriticalFlags(header))
        } else if header.length as usize > SIZES[2] {
            Some(Said::TooLong(header))
        } else {
            None
        };
        let payload = behind.get(..header.length as usize);
        match (refused, payload) {
            (Some(refused), payload) => {
                all.push(refused);
                let Some(payload) = payload else {
                    all.push(Said::Truncated);
                    return all;
                };
                rest = &behind[payload.len()..];
            }
            (None, Some(payload)) => {
                all.push(Said::Frame(header, payload.to_vec()));
                rest = &behind[payload.len()..];
            }
            (None, None) => {
                all.push(Said::Truncated);
                return all;
            }
        }
    }
}

/// Reads `bytes` as a stream of frames, in three ways and in pieces; all must say what the naive reader says.
///
/// # Panics
/// When they do not, or when a buffer is lost.
pub fn run_frames(bytes: &[u8]) {
    let [seed, stream @ ..] = bytes else { return };
    let stream = &stream[..stream.len().min(STREAM_BYTES_MAX)];
    let mut builder = BufferPool::builder().exhausted(Exhausted::Error);
    for size in SIZES {
        builder = builder.with_size_class(size, 1);
    }
    let pool = builder.build();
    let expected = expected(stream);
    for mut reader in [FrameReader::new(), FrameReader::direct(), FrameReader::with_read_ahead(50)] {
        let mut cut = Cut { rest: stream, seed: u32::from(*seed) };
        for expected in &expected {
            assert_eq!(&said(reader.read(&mut cut, &pool)), expected);
        }
    }
    // The function that keeps no state skips a refused frame at once, so a stream that ends inside one says only that.
    let mut cut = Cut { rest: stream, seed: u32::from(*seed) };
    for (index, one) in expected.iter().enumerate() {
        let refused = matches!(one, Said::TooLong(_) | Said::CriticalFlags(_));
        if refused && expected.get(index + 1) == Some(&Said::Truncated) && index + 2 == expected.len() {
            // Either the end lies inside the refused frame, or behind it inside another header.
            let _ = read_frame_pooled(&mut cut, &pool);
            break;
        }
        assert_eq!(&said(read_frame_pooled(&mut cut, &pool)), one);
    }
    assert_eq!(pool.stats().in_use(), 0, "a buffer was lost");
}

#[cfg(test)]
mod tests {
    /// A reproducible stream of bytes.
    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        (0..len)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 24) as u8
            })
            .collect()
    }

    const ROUNDS: u64 = if cfg!(miri) { 2 } else { 1000 };

    #[test]
    fn random_operations_agree_with_the_naive_pool() {
        for seed in 0..ROUNDS {
            super::run_pool(&noise(seed, 2 + seed as usize % 300));
        }
    }

    #[test]
    fn random_streams_agree_with_the_naive_reader() {
        for seed in 0..ROUNDS {
            let mut bytes = noise(seed, 2 + seed as usize % 500);
            super::run_frames(&bytes);
            // And streams of mostly valid headers, which pure noise never gets far into.
            let mut at = 1;
            while at + 8 < bytes.len() {
                let length = bytes[at + 4] % 90;
                bytes[at] |= 1;
                if bytes[at + 2] > 20 {
                    bytes[at + 3] &= 0x0F;
                    bytes[at + 5] = u8::from(bytes[at + 2] > 240) * 2;
                    bytes[at + 6] = 0;
                    bytes[at + 7] = 0;
                }
                bytes[at + 4] = length;
                at += 8 + usize::from(length);
            }
            super::run_frames(&bytes);
        }
    }
}
