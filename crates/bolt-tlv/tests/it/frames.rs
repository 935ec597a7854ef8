//! Frames over blocking streams: every cut, every refusal, and that no buffer is lost on any of them.

use std::io::{self, IoSliceMut, Read};

use bolt_tlv::{
    BufferPool, Exhausted, FrameErrorKind, FrameReader, Header, PooledBuffer, read_frame_pooled, write_frame,
};

pub(crate) fn header(type_id: u16, length: usize) -> Header {
    Header { type_id, version: 1, flags: 0, length: length as u32 }
}

/// Frames with lengths around everything that matters here.
pub(crate) fn wire() -> (Vec<u8>, Vec<(u16, Vec<u8>)>) {
    let mut wire = Vec::new();
    let mut frames = Vec::new();
    let all = [84, 0, 1, 4087, 4088, 4089, 4096, 84, 84, 9000, 7, 8, 9, 1023, 1024, 1025, 3];
    // Interpreted, a byte costs a microsecond: the long ones are left out there.
    let lengths = all.into_iter().filter(|&length| !cfg!(miri) || length < 1000);
    for (i, length) in lengths.enumerate() {
        let payload: Vec<u8> = (0..length).map(|j| (i * 31 + j) as u8).collect();
        write_frame(&mut wire, header(i as u16 + 1, length), &payload).unwrap();
        frames.push((i as u16 + 1, payload));
    }
    (wire, frames)
}

pub(crate) fn pool() -> BufferPool {
    BufferPool::builder()
        .exhausted(Exhausted::Error)
        .with_size_class(128, 4)
        .with_size_class(1024, 4)
        .with_size_class(10_000, 4)
        .build()
}

/// A stream that hands out `chunk` bytes at a time and counts its reads.
struct Chunks<'a> {
    rest: &'a [u8],
    chunk: usize,
    vectored: bool,
    reads: usize,
}

impl Read for Chunks<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        if self.reads.is_multiple_of(7) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let n = out.len().min(self.chunk);
        self.rest.read(&mut out[..n])
    }

    fn read_vectored(&mut self, outs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if !self.vectored {
            return self.read(outs.iter_mut().find(|out| !out.is_empty()).unwrap());
        }
        self.reads += 1;
        let (mut left, mut total) = (self.chunk, 0);
        for out in outs {
            let n = out.len().min(left);
            let n = self.rest.read(&mut out[..n])?;
            (left, total) = (left - n, total + n);
        }
        Ok(total)
    }
}

#[test]
fn every_cut_of_the_stream_gives_the_same_frames() {
    let (wire, expected) = wire();
    let pool = pool();
    let chunks: &[usize] =
        if cfg!(miri) { &[13, 1_000_000] } else { &[1, 2, 3, 5, 7, 8, 9, 13, 92, 1448, 4096, 4097, 65536] };
    for &chunk in chunks {
        for vectored in [false, true] {
            for reader in [FrameReader::new(), FrameReader::direct(), FrameReader::with_read_ahead(64)] {
                let mut reader = reader;
                let mut stream = Chunks { rest: &wire, chunk, vectored, reads: 0 };
                for (type_id, payload) in &expected {
                    let frame = reader.read(&mut stream, &pool).unwrap().expect("a frame");
                    assert_eq!(
                        (frame.type_id(), &frame.payload[..]),
                        (*type_id, &payload[..]),
                        "chunks of {chunk}"
                    );
                }
                assert!(reader.read(&mut stream, &pool).unwrap().is_none());
                assert!(reader.is_between_frames());
            }
            let mut stream = Chunks { rest: &wire, chunk, vectored, reads: 0 };
            for (type_id, payload) in &expected {
                let (found, buffer) = read_frame_pooled(&mut stream, &pool).unwrap().unwrap().into_parts();
                assert_eq!((found, &buffer[..]), (*type_id, &payload[..]));
            }
            assert!(read_frame_pooled(&mut stream, &pool).unwrap().is_none());
        }
    }
    assert_eq!(pool.stats().in_use(), 0);
}

/// Reads that `reader` needs for `count` frames of `length` bytes, all of which have come.
fn reads(mut reader: FrameReader, count: usize, length: usize) -> usize {
    let pool = pool();
    let mut wire = Vec::new();
    for _ in 0..count {
        write_frame(&mut wire, header(1, length), &vec![1; length]).unwrap();
    }
    let mut stream = Chunks { rest: &wire, chunk: usize::MAX, vectored: true, reads: 0 };
    for _ in 0..count {
        drop(reader.read(&mut stream, &pool).unwrap().unwrap());
    }
    stream.reads
}

#[test]
fn reads_are_few() {
    assert_eq!(reads(FrameReader::new(), 40, 84), 1, "40 small frames of one segment come with one read");
    let direct = reads(FrameReader::direct(), 5, 10_000);
    assert_eq!(direct, 6, "a header, and then each payload together with the next header");
}

#[test]
fn the_end_inside_a_frame_says_where() {
    let mut wire = Vec::new();
    write_frame(&mut wire, header(1, 4), b"tick").unwrap();
    write_frame(&mut wire, header(2, 84), &[9; 84]).unwrap();
    let pool = pool();
    for end in 13..wire.len() {
        let (mut stream, mut reader) = (&wire[..end], FrameReader::new());
        assert_eq!(reader.read(&mut stream, &pool).unwrap().unwrap().payload, b"tick");
        let error = reader.read(&mut stream, &pool).unwrap_err();
        assert_eq!(error.offset, 12);
        assert!(!error.is_in_step());
        let FrameErrorKind::Truncated { header, expected, received } = error.kind else { panic!("{error}") };
        if end < 20 {
            assert_eq!((header, expected, received), (None, 8, end as u64 - 12));
        } else {
            assert_eq!((header.unwrap().type_id, expected, received), (2, 84, end as u64 - 20));
        }
        let mut stream = &wire[12..end];
        assert!(read_frame_pooled(&mut stream, &pool).is_err());
    }
    assert_eq!(pool.stats().in_use(), 0);
}

#[test]
fn what_is_refused_is_skipped_and_the_stream_stays_in_step() {
    let mut wire = Vec::new();
    write_frame(&mut wire, header(1, 20_000), &[1; 20_000]).unwrap();
    write_frame(&mut wire, Header { flags: 0x40, ..header(2, 50) }, &[2; 50]).unwrap();
    write_frame(&mut wire, Header { flags: 0x04, version: 9, ..header(3, 5) }, b"after").unwrap();
    let pool = pool();

    let (mut stream, mut reader) = (wire.as_slice(), FrameReader::new());
    let error = reader.read(&mut stream, &pool).unwrap_err();
    assert!(error.is_in_step() && error.offset == 0);
    assert!(matches!(error.kind, FrameErrorKind::TooLong { length_max: 10_048, .. }), "{error}");
    let error = reader.read(&mut stream, &pool).unwrap_err();
    assert!(error.is_in_step() && error.offset == 20_008);
    assert!(matches!(error.kind, FrameErrorKind::CriticalFlags { .. }), "{error}");
    assert_eq!(reader.read(&mut stream, &pool).unwrap().unwrap().payload, b"after");
    assert!(reader.read(&mut stream, &pool).unwrap().is_none());

    let mut stream = wire.as_slice();
    assert!(read_frame_pooled(&mut stream, &pool).unwrap_err().is_in_step());
    assert!(read_frame_pooled(&mut stream, &pool).unwrap_err().is_in_step());
    assert_eq!(read_frame_pooled(&mut stream, &pool).unwrap().unwrap().payload, b"after");
    assert_eq!(pool.stats().misses(), 1, "no buffer was taken for a frame that is refused");
}

#[test]
fn a_reader_can_be_stricter_than_its_pool() {
    let mut wire = Vec::new();
    write_frame(&mut wire, header(1, 200), &[1; 200]).unwrap();
    write_frame(&mut wire, header(2, 100), &[2; 100]).unwrap();
    let (pool, mut stream) = (pool(), wire.as_slice());
    let mut reader = FrameReader::new().length_max(100);
    let error = reader.read(&mut stream, &pool).unwrap_err();
    assert!(matches!(error.kind, FrameErrorKind::TooLong { length_max: 100, .. }));
    assert_eq!(reader.read(&mut stream, &pool).unwrap().unwrap().type_id(), 2);
}

#[test]
fn type_zero_is_a_stream_out_of_step_for_ever() {
    let (pool, wire) = (pool(), [0; 64]);
    let (mut stream, mut reader) = (&wire[..], FrameReader::new());
    for _ in 0..3 {
        let error = reader.read(&mut stream, &pool).unwrap_err();
        assert!(matches!(error.kind, FrameErrorKind::OutOfStep { .. }) && !error.is_in_step());
    }
    assert!(!read_frame_pooled(&mut &wire[..], &pool).unwrap_err().is_in_step());
}

#[test]
fn an_exhausted_pool_is_asked_again_or_the_frame_given_up() {
    let mut wire = Vec::new();
    for i in 1..=3 {
        write_frame(&mut wire, header(i, 10), &[i as u8; 10]).unwrap();
    }
    let pool = BufferPool::builder().exhausted(Exhausted::Error).with_size_class(128, 1).build();
    let (mut stream, mut reader) = (wire.as_slice(), FrameReader::new());
    let held = pool.acquire(1).unwrap();
    for _ in 0..2 {
        let error = reader.read(&mut stream, &pool).unwrap_err();
        assert!(matches!(error.kind, FrameErrorKind::Acquire { .. }) && error.is_in_step());
    }
    drop(held);
    let first = reader.read(&mut stream, &pool).unwrap().unwrap();
    assert_eq!(first.type_id(), 1);
    assert!(reader.read(&mut stream, &pool).is_err());
    reader.skip_frame();
    drop(first);
    assert_eq!(reader.read(&mut stream, &pool).unwrap().unwrap().type_id(), 3);
}

#[test]
fn a_stream_that_would_block_loses_nothing() {
    struct Reluctant<'a>(&'a [u8], bool);
    impl Read for Reluctant<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let n = out.len().min(3);
            self.0.read(&mut out[..n])
        }
    }
    let mut wire = Vec::new();
    write_frame(&mut wire, header(5, 40), &[5; 40]).unwrap();
    let (pool, mut stream, mut reader) = (pool(), Reluctant(&wire, false), FrameReader::new());
    let mut blocked = 0;
    let frame = loop {
        match reader.read(&mut stream, &pool) {
            Ok(frame) => break frame.unwrap(),
            Err(error) => {
                let FrameErrorKind::Io(inner) = &error.kind else { panic!("{error}") };
                assert_eq!(inner.kind(), io::ErrorKind::WouldBlock);
                blocked += 1;
            }
        }
    };
    assert_eq!((frame.payload, blocked), (frame_of(&pool, &[5; 40]), 16));
}

fn frame_of(pool: &BufferPool, bytes: &[u8]) -> PooledBuffer {
    let mut buffer = pool.acquire(bytes.len()).unwrap();
    buffer.copy_from_slice(bytes);
    buffer
}

#[test]
fn a_header_that_lies_about_its_payload_is_not_written() {
    let mut wire = Vec::new();
    assert_eq!(
        write_frame(&mut wire, header(1, 3), b"tick").unwrap_err().kind(),
        io::ErrorKind::InvalidInput
    );
    assert!(wire.is_empty());
}

#[test]
fn a_slow_writer_gets_every_byte_once() {
    struct Slow(Vec<u8>);
    impl io::Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(5);
            self.0.extend_from_slice(&bytes[..n]);
            Ok(n)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut slow = Slow(Vec::new());
    write_frame(&mut slow, header(3, 12), b"twelve bytes").unwrap();
    write_frame(&mut slow, header(4, 0), b"").unwrap();
    assert_eq!(slow.0, b"\x03\0\x01\0\x0c\0\0\0twelve bytes\x04\0\x01\0\0\0\0\0");
}
