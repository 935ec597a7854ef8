//! Readers of every kind, the hostile ones included: what they return is checked before it is believed.

use std::io::{self, ErrorKind, IoSliceMut, Read};

use bolt_buf::{BoltBuf, BufConfig, CapacityError, RangeError};

/// Calls its function for each read.
struct With<F>(F);

impl<F: FnMut(&mut [u8]) -> io::Result<usize>> Read for With<F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        (self.0)(into)
    }
}

#[test]
fn a_reader_that_claims_more_than_it_was_offered_is_refused_and_changes_nothing() {
    let mut buf = BoltBuf::new();
    buf.append(b"before").unwrap();
    for lie in [1, 64, usize::MAX / 2] {
        let mut offered = 0;
        let mut reader = With(|into: &mut [u8]| {
            offered = into.len();
            into.fill(0xEE);
            Ok(into.len().saturating_add(lie))
        });
        let error = buf.fill_from(&mut reader).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let inner = error.get_ref().unwrap().downcast_ref::<RangeError>().unwrap();
        assert_eq!(*inner, RangeError { end: offered.saturating_add(lie), available: offered });
        assert_eq!(buf.read_slice(), b"before");
    }
}

#[test]
fn a_vectored_reader_that_lies_is_refused_too() {
    struct Liar;
    impl Read for Liar {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            unreachable!("one vectored call")
        }
        fn read_vectored(&mut self, into: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
            Ok(into.iter().map(|slice| slice.len()).sum::<usize>() + 1)
        }
    }
    let mut buf = BoltBuf::new();
    buf.append(b"before").unwrap();
    let error = buf.fill_vectored_from(&mut Liar, &mut [0; 100]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(buf.read_slice(), b"before");
}

#[test]
fn a_readers_own_error_passes_through() {
    let mut buf = BoltBuf::new();
    buf.append(b"before").unwrap();
    for kind in [ErrorKind::Interrupted, ErrorKind::WouldBlock, ErrorKind::ConnectionReset] {
        let mut reader = With(|_: &mut [u8]| Err(kind.into()));
        assert_eq!(buf.fill_from(&mut reader).unwrap_err().kind(), kind);
        assert_eq!(buf.fill_vectored_from(&mut reader, &mut [0; 10]).unwrap_err().kind(), kind);
    }
    assert_eq!(buf.read_slice(), b"before");
}

#[test]
fn a_fill_is_one_read_call() {
    let mut calls = 0;
    let mut buf = BoltBuf::new();
    let mut reader = With(|into: &mut [u8]| {
        calls += 1;
        into[0] = b'x';
        Ok(1)
    });
    assert_eq!(buf.fill_from(&mut reader).unwrap(), 1);
    assert_eq!((calls, buf.read_slice()), (1, &b"x"[..]));
}

#[test]
fn a_reader_through_a_trait_object_works() {
    let mut stream: &[u8] = b"dyn";
    let reader: &mut dyn Read = &mut stream;
    let mut buf = BoltBuf::new();
    assert_eq!(buf.fill_from(reader).unwrap(), 3);
}

#[test]
fn at_the_hard_maximum_a_fill_carries_the_numbers() {
    let mut buf = BoltBuf::with_config(BufConfig::new(64, 1000).unwrap());
    let mut stream = io::repeat(5);
    while buf.len() < 1000 {
        assert!(buf.fill_from(&mut stream).unwrap() > 0);
    }
    for _ in 0..2 {
        let error = buf.fill_from(&mut stream).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
        let inner = error.get_ref().unwrap().downcast_ref::<CapacityError>().unwrap();
        assert_eq!(*inner, CapacityError { requested: 1001, available: 0, maximum: 1000 });
        let error = buf.fill_vectored_from(&mut stream, &mut [0; 10]).unwrap_err();
        assert!(error.get_ref().unwrap().is::<CapacityError>());
    }
    assert_eq!(buf.read_slice(), [5; 1000]);
    buf.consume(1);
    assert_eq!(buf.fill_from(&mut stream).unwrap(), 1, "one byte consumed makes room for one");
}

#[test]
fn a_vectored_fill_takes_what_the_tail_cannot_and_never_more_than_the_maximum() {
    let mut buf = BoltBuf::with_config(BufConfig::new(1024, 3000).unwrap());
    let mut spill = [0; 4096];
    let stream: Vec<u8> = (0..8000_u32).map(|i| i as u8).collect();
    let mut rest = stream.as_slice();
    assert_eq!(buf.fill_vectored_from(&mut rest, &mut spill).unwrap(), 3000);
    assert_eq!(buf.read_slice(), &stream[..3000]);
    assert_eq!(rest.len(), 5000);
    buf.consume(2500);
    assert_eq!(buf.fill_vectored_from(&mut rest, &mut spill).unwrap(), 2500);
    assert_eq!(buf.read_slice(), &stream[2500..5500]);
}

#[test]
fn small_reads_keep_the_buffer_small_and_large_ones_make_it_large() {
    if cfg!(miri) {
        return;
    }
    let stream = vec![1_u8; 4 << 20];
    let story = |read_bytes: usize| {
        let mut buf = BoltBuf::new();
        let mut largest = 0;
        for chunk in stream.chunks(read_bytes) {
            let mut rest = chunk;
            while !rest.is_empty() {
                largest = largest.max(buf.fill_from(&mut rest).unwrap());
                buf.consume(buf.len());
            }
        }
        (buf.stats(), largest)
    };
    let (stats, _) = story(1448);
    assert_eq!((stats.capacity_bytes, stats.grows), (16 << 10, 0));
    let (stats, largest) = story(4 << 20);
    assert_eq!((stats.capacity_bytes, stats.grows), (128 << 10, 3));
    assert_eq!(largest, 128 << 10, "a read is offered the whole tail");
}
