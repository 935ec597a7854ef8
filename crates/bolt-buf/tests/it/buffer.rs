//! The buffer's promises one by one: alignment, offsets that survive, bounded moves, the guarded tail, the hard maximum.

use std::io::{BufRead, Read, Write};

use bolt_buf::{BoltBuf, BufConfig, CapacityError, Cycle, LINE_BYTES, RangeError};

fn numbered(range: std::ops::Range<usize>) -> Vec<u8> {
    range.map(|i| (i % 251) as u8).collect()
}

#[test]
fn memory_is_aligned_to_a_cache_line_at_every_capacity() {
    const { assert!(LINE_BYTES >= 64) };
    for capacity in [1, 63, 64, 100, 4096, 16 << 10, 128 << 10, 1 << 20] {
        let mut buf = BoltBuf::with_config(BufConfig::new(capacity, 2 << 20).unwrap());
        assert_eq!(buf.writable().as_ptr().align_offset(LINE_BYTES), 0);
        buf.append(&vec![1; capacity + 1]).unwrap();
        assert_eq!(buf.read_slice().as_ptr().align_offset(LINE_BYTES), 0, "after growth from {capacity}");
    }
}

#[test]
fn a_partial_message_survives_growth_compaction_and_further_bytes() {
    let mut buf = BoltBuf::with_config(BufConfig::new(64, 1 << 20).unwrap());
    let message = numbered(0..10_000);
    buf.append(&[0xAA; 40]).unwrap();
    buf.append(&message[..20]).unwrap();
    buf.consume(40);
    // Offsets count from the read cursor, so they mean the same byte whatever moves.
    buf.write_at(3, &[0xFF]).unwrap();
    for piece in message[20..].chunks(97) {
        buf.append(piece).unwrap();
        assert_eq!(buf.read_slice()[3], 0xFF);
    }
    buf.compact();
    assert_eq!(buf.read_slice()[3], 0xFF);
    buf.write_at(3, &message[3..4]).unwrap();
    assert_eq!(buf.read_slice(), message);
    assert!(buf.stats().grows > 0);
}

/// The seed's tail safety: a message that ends at the very end of the memory is whole, and nothing lies behind it.
#[test]
fn the_guard_behind_the_capacity_is_readable_and_never_written() {
    let guard = 64;
    let mut buf =
        BoltBuf::with_config(BufConfig { tail_guard_bytes: guard, ..BufConfig::new(256, 256).unwrap() });
    assert!(buf.read_slice_with_guard().is_empty(), "no memory yet");
    for round in 0..100 {
        let room = buf.writable().len();
        buf.writable().fill(0xCC);
        buf.advance(room).unwrap();
        let whole = buf.read_slice_with_guard();
        assert_eq!(whole.len(), 256 + guard);
        assert_eq!(whole[256..], [0; 64], "round {round}");
        assert_eq!(buf.advance(1), Err(RangeError { end: 1, available: 0 }));
        buf.consume(100 + round);
    }
}

#[test]
fn growth_copies_only_what_is_unread() {
    let mut buf = BoltBuf::new();
    buf.append(&numbered(0..16 << 10)).unwrap();
    buf.consume((16 << 10) - 100);
    // Seven eighths of the capacity are consumed, yet the message needs more than all of it.
    buf.reserve(40 << 10).unwrap();
    let stats = buf.stats();
    assert_eq!((stats.grows, stats.moves, stats.bytes_moved), (1, 1, 100));
    assert_eq!(stats.capacity_bytes, 64 << 10, "one step to what is asked, not one doubling at a time");
    assert_eq!(buf.read_slice(), &numbered(0..16 << 10)[(16 << 10) - 100..]);
}

/// BytesMut's reserve keeps the dead prefix: 64 KiB, 30,000 consumed, 30,000 more wanted made 98 KiB although compaction fitted.
#[test]
fn reserve_compacts_where_compaction_is_enough() {
    let mut buf = BoltBuf::with_config(BufConfig::new(64 << 10, 1 << 20).unwrap());
    buf.append(&numbered(0..64 << 10)).unwrap();
    buf.consume(33_000);
    buf.reserve(30_000).unwrap();
    assert_eq!(buf.capacity_bytes(), 64 << 10);
    assert_eq!(buf.read_slice(), &numbered(0..64 << 10)[33_000..]);
}

#[test]
fn bytes_moved_stay_below_bytes_consumed_for_every_frame_size() {
    for frame_bytes in [1, 7, 100, 1000, 5000, 9000, 15_000, 40_000, 100_000] {
        if cfg!(miri) && frame_bytes != 1000 {
            continue;
        }
        for read_bytes in [100, 1448, 4096, 65_536] {
            let mut buf = BoltBuf::new();
            let stream = vec![0_u8; if cfg!(miri) { 30_000 } else { 1 << 20 }];
            let mut consumed = 0_u64;
            for read in stream.chunks(read_bytes) {
                let mut rest = read;
                while !rest.is_empty() {
                    let _ = buf.fill_from(&mut rest).unwrap();
                    while buf.len() >= frame_bytes {
                        buf.consume(frame_bytes);
                        consumed += frame_bytes as u64;
                    }
                }
            }
            let stats = buf.stats();
            let grown = stats.capacity_high_water_bytes as u64;
            assert!(
                stats.bytes_moved <= consumed + grown,
                "frames of {frame_bytes} read {read_bytes} at a time: {stats:?} for {consumed} consumed"
            );
        }
    }
}

#[test]
fn a_message_of_sixteen_mebibytes_fits_the_defaults() {
    if cfg!(miri) {
        return;
    }
    let mut buf = BoltBuf::new();
    let message = vec![0xAB_u8; 16 << 20];
    let mut rest = message.as_slice();
    while !rest.is_empty() {
        let _ = buf.fill_from(&mut rest).unwrap();
    }
    assert!(buf.read_slice() == message);
    let stats = buf.stats();
    assert!(stats.bytes_moved <= 2 * message.len() as u64, "doubling: {stats:?}");
}

#[test]
fn the_hard_maximum_is_never_exceeded_and_nothing_is_lost_at_it() {
    let mut buf = BoltBuf::with_config(BufConfig::new(64, 1000).unwrap());
    buf.append(&numbered(0..900)).unwrap();
    let full = CapacityError { requested: 1001, available: 100, maximum: 1000 };
    assert_eq!(buf.append(&[0; 101]), Err(full));
    assert_eq!(buf.reserve(101), Err(full));
    assert!(!full.is_out_of_memory());
    assert!(full.to_string().contains("1001 bytes do not fit the buffer's maximum of 1000"));
    assert_eq!(buf.reserve(usize::MAX).unwrap_err().requested, usize::MAX, "saturates, does not wrap");
    buf.append(&numbered(900..1000)).unwrap();
    assert_eq!(buf.capacity_bytes(), 1000);
    assert!(buf.writable().is_empty());
    assert_eq!(buf.read_slice(), numbered(0..1000));
    assert_eq!(buf.write(b"x").unwrap_err().kind(), std::io::ErrorKind::OutOfMemory);
    buf.consume(1);
    assert_eq!(buf.write(b"xy").unwrap(), 1, "a short write");
}

#[test]
fn a_size_no_allocator_has_is_an_error_and_not_an_abort() {
    let mut buf = BoltBuf::with_config(BufConfig::new(64, usize::MAX).unwrap());
    buf.append(b"kept").unwrap();
    let error = buf.reserve(usize::MAX / 2).unwrap_err();
    assert!(error.is_out_of_memory());
    assert_eq!(buf.read_slice(), b"kept");
}

#[test]
fn consuming_too_much_is_refused_or_stops_at_the_write_cursor() {
    let mut buf = BoltBuf::new();
    buf.append(b"abc").unwrap();
    assert_eq!(buf.try_consume(4), Err(RangeError { end: 4, available: 3 }));
    assert_eq!(buf.len(), 3);
    let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| buf.consume(usize::MAX)));
    assert_eq!(tried.is_err(), cfg!(debug_assertions));
    assert_eq!(buf.len(), if cfg!(debug_assertions) { 3 } else { 0 });
}

#[test]
fn reset_read_starts_a_message_over() {
    let mut buf = BoltBuf::new();
    buf.append(b"head body").unwrap();
    buf.consume(5);
    assert_eq!(buf.reset_read(), 5);
    assert_eq!(buf.read_slice(), b"head body");
    buf.consume(5);
    buf.append(b"!").unwrap();
    assert_eq!(buf.reset_read(), 0, "room was made since");
    assert_eq!(buf.read_slice(), b"body!");
    buf.reset();
    assert_eq!((buf.len(), buf.reset_read()), (0, 0));
}

#[test]
fn truncate_takes_back_a_half_written_message() {
    let mut buf = BoltBuf::new();
    buf.append(b"whole").unwrap();
    let mark = buf.len();
    buf.append(b"half").unwrap();
    buf.truncate(mark);
    buf.truncate(100);
    buf.append(b"!").unwrap();
    assert_eq!(buf.read_slice(), b"whole!");
    assert_eq!(buf.write_at(5, b"??"), Err(RangeError { end: 7, available: 6 }));
    assert_eq!(buf.write_at(usize::MAX, b"??").unwrap_err().available, 6);
}

#[test]
fn load_that_comes_through_append_grows_at_the_next_room() {
    let mut buf = BoltBuf::new();
    for _ in 0..40 {
        buf.append(&[1; 15 << 10]).unwrap();
        buf.end_cycle(Cycle::Active);
        buf.consume(15 << 10);
    }
    let _ = buf.writable();
    assert_eq!((buf.capacity_bytes(), buf.stats().grows), (32 << 10, 1));
}

#[test]
fn the_io_traits_read_and_write() {
    let mut buf = BoltBuf::new();
    write!(buf, "line {}\nrest", 1).unwrap();
    let mut line = String::new();
    buf.read_line(&mut line).unwrap();
    assert_eq!(line, "line 1\n");
    let mut rest = Vec::new();
    buf.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"rest");
    buf.flush().unwrap();
    assert!(format!("{buf:?}").contains("unread_bytes: 0"));
}

#[cfg(feature = "bytes")]
#[test]
fn the_traits_of_bytes_read_and_write() {
    use bytes::{Buf, BufMut};
    let mut buf = BoltBuf::with_config(BufConfig::new(64, 1000).unwrap());
    buf.put_u32(0xDEAD_BEEF);
    buf.put_slice(b"abc");
    buf.put_bytes(b'x', 500);
    assert_eq!((buf.remaining(), buf.remaining_mut()), (507, 493));
    assert_eq!(buf.get_u32(), 0xDEAD_BEEF);
    assert_eq!(buf.copy_to_bytes(3), &b"abc"[..]);
    Buf::advance(&mut buf, 500);
    assert!(!buf.has_remaining());
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Buf::advance(&mut buf, 1))).is_err());
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| buf.put_slice(&[0; 1001]))).is_err());
    buf.put_slice(b"frame");
    let shared = buf.take_shared(5).unwrap();
    let bytes = bytes::Bytes::from(shared);
    drop(buf);
    assert_eq!(bytes, &b"frame"[..]);
}
