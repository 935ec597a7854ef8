//! Messages out of chunks of any cut, and back: against a naive reader, and at the edges.

use bolt_buf::{BoltBuf, BufConfig};
use bolt_wire::chunk::{ChunkError, Chunked, Dechunker, MessageWriter, look_ahead};
use bolt_wire::request::{Reset, Run, RunExtra, WriteMessage};
use bolt_wire::{EncodeError, Output, Uuid, Version, model_proto};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_stream_in_any_cuts(input in vec(any::<u8>(), 0..400)) {
        model_proto::dechunk(&input);
    }

    #[test]
    fn any_bytes_as_handshake(input in vec(any::<u8>(), 0..80)) {
        model_proto::handshake(&input);
    }

    #[test]
    fn any_bytes_as_request(mut input in vec(any::<u8>(), 4..80), tag in 0_usize..13) {
        // Most random bytes are no request at all: help them to a header.
        let tag = bolt_wire::request::RequestTag::ALL[tag];
        input[2] = 0xB0 | tag.field_count();
        input[3] = tag as u8;
        model_proto::request(&input);
    }

    #[test]
    fn any_bytes_as_answer(mut input in vec(any::<u8>(), 4..120), tag in 0_usize..3) {
        input[1] = 0xB1;
        input[2] = [0x70, 0x7F, 0x7E][tag];
        model_proto::response(&input);
    }
}

#[test]
fn keep_alives_cost_nothing_and_come_in_rows() {
    let mut dechunker = Dechunker::new();
    let mut stream = vec![0; 1 << 16];
    assert_eq!(dechunker.next(&mut stream, 64), Ok(Chunked::Noop { consumed: 1 << 16 }));
    assert!(!dechunker.is_inside_message());
    // Half a keep-alive is none; between messages it is one; inside a message it is the end.
    assert_eq!(dechunker.next(&mut [0], 64), Ok(Chunked::NeedMore { at_least: 1 }));
    let mut stream = [0, 0, 0, 0, 0, 2, 0xB0, 0x0F, 0, 0];
    assert_eq!(dechunker.next(&mut stream, 64), Ok(Chunked::Noop { consumed: 4 }));
    assert_eq!(dechunker.next(&mut stream[4..], 64), Ok(Chunked::Message { start: 2, end: 4, consumed: 6 }));
}

#[test]
fn a_reader_is_told_how_much_to_reserve() {
    let mut dechunker = Dechunker::new();
    assert_eq!(dechunker.next(&mut [], 64), Ok(Chunked::NeedMore { at_least: 2 }));
    assert_eq!(dechunker.next(&mut [0x10], 1 << 20), Ok(Chunked::NeedMore { at_least: 1 }));
    assert_eq!(dechunker.next(&mut [0x10, 0], 1 << 20), Ok(Chunked::NeedMore { at_least: 0x1002 }));
    assert!(dechunker.is_inside_message());
    dechunker.reset();
    assert!(!dechunker.is_inside_message());
}

/// A million chunks of one byte: each byte is moved once, so it takes no time to speak of, and the limit counts payload.
#[test]
fn a_million_chunks_of_one_byte() {
    const BYTES: usize = 1_000_000;
    let mut stream: Vec<u8> = (0..BYTES).flat_map(|i| [0, 1, i as u8]).collect();
    stream.extend([0, 0]);
    let started = std::time::Instant::now();
    let (mut dechunker, mut end) = (Dechunker::new(), 0);
    // Read 1,448 bytes at a time, as off a network.
    loop {
        end = (end + 1_448).min(stream.len());
        match dechunker.next(&mut stream[..end], BYTES).unwrap() {
            Chunked::NeedMore { .. } => {}
            Chunked::Message { start, end, consumed } => {
                assert_eq!((start, end, consumed), (2, 2 + BYTES, 3 * BYTES + 2));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(stream[2..2 + BYTES].iter().enumerate().all(|(i, &byte)| byte == i as u8));
    // Quadratic copying would take minutes; linear takes milliseconds even unoptimised.
    assert!(started.elapsed().as_secs() < 10);

    let mut stream: Vec<u8> = (0..100).flat_map(|i| [0, 1, i]).collect();
    let refused = Dechunker::new().next(&mut stream, 99);
    assert_eq!(refused, Err(ChunkError { offset: 297, message_bytes: 100, message_bytes_max: 99 }));
    assert!(refused.unwrap_err().to_string().starts_with("at byte 297: the message reaches 100 bytes"));
}

/// `FF FF` and 65,535 bytes without end: the limit ends it, at the header that goes too far.
#[test]
fn an_endless_message_meets_the_limit() {
    let chunk: Vec<u8> = [&[0xFF, 0xFF][..], &[7; 65_535]].concat();
    let (mut dechunker, mut unread) = (Dechunker::new(), Vec::new());
    for round in 0.. {
        unread.extend_from_slice(&chunk);
        match dechunker.next(&mut unread, 16 << 20) {
            Ok(Chunked::NeedMore { .. }) => assert!(round < 257),
            Err(error) => {
                assert_eq!(error.message_bytes, 257 * 65_535);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    // Before login the limit is small, and the first header alone is enough.
    let refused = Dechunker::new().next(&mut [0xFF, 0xFF], 1_000);
    assert_eq!(refused, Err(ChunkError { offset: 0, message_bytes: 65_535, message_bytes_max: 1_000 }));
}

#[test]
fn looking_ahead_consumes_nothing() {
    let mut flight = Vec::new();
    Reset.write(Version::V5_8, false, &mut flight).unwrap();
    flight.extend([0, 0]);
    flight.extend([0, 1, 0xB0, 0, 1, 0x12, 0, 0]);
    let whole = flight.len();
    flight.extend([0, 9, 0xB1]);
    let seen: Vec<_> = look_ahead(&flight).map(|a| (a.first_chunk.to_vec(), a.is_whole, a.end)).collect();
    assert_eq!(seen, [(vec![0xB0, 0x0F], true, 6), (vec![0xB0], false, whole)]);
}

/// A message that cannot be encoded, or finds no room, leaves what stood in the buffer before it, and nothing else.
#[test]
fn a_half_written_message_is_taken_back() {
    let extra = RunExtra::default();
    let run = Run { query: "RETURN $id", params: &[("id", Uuid([7; 16]))], extra: &extra };
    let mut flight = Vec::new();
    Reset.write(Version::V6_0, false, &mut flight).unwrap();
    let before = flight.clone();
    let refused = run.write(Version::V6_0, false, &mut flight).unwrap_err();
    assert!(matches!(refused, EncodeError::Unsupported { since: Version::V6_1, .. }), "{refused}");
    assert_eq!(flight, before);
    run.write(Version::V6_1, false, &mut flight).unwrap();
    assert!(flight.len() > before.len());

    let mut small = BoltBuf::with_config(BufConfig::new(4_096, 4_096).unwrap());
    Reset.write(Version::V6_0, false, &mut small).unwrap();
    let long = "x".repeat(70_000);
    let refused = Run { query: &long, params: &(), extra: &extra }.write(Version::V6_0, false, &mut small);
    assert!(matches!(refused, Err(EncodeError::Full { .. })), "{refused:?}");
    assert_eq!(small.read_slice(), before);
}

/// The same messages come out of a `BoltBuf` that was read from and moved while they were written.
#[test]
fn a_flight_in_a_buffer_that_moves() {
    let mut buf = BoltBuf::new();
    let mut expected = Vec::new();
    for size in [1_usize, 65_535, 3, 200_000, 70] {
        for out in [&mut buf as &mut dyn Pieces, &mut expected] {
            out.put(size);
        }
        buf.consume(1);
        expected.remove(0);
    }
    assert_eq!(buf.read_slice(), expected);
}

trait Pieces {
    fn put(&mut self, size: usize);
}

impl<B: bolt_wire::chunk::ChunkOutput> Pieces for B {
    fn put(&mut self, size: usize) {
        let mut message = MessageWriter::begin(self).unwrap();
        for piece in vec![0xA5; size].chunks(999) {
            message.write(piece).unwrap();
        }
        assert!(message.finish().unwrap() >= size + 4);
    }
}
