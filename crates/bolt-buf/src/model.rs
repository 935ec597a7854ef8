//! For testing: bytes become operations on a [`BoltBuf`], each checked against a plain `Vec` that does the same naively.
//!
//! Owns nothing that outlives a run. Never part of a program: feature `model`. The integration tests run it on generated
//! bytes, the fuzz target on whatever the fuzzer finds. Limits: 4 KiB of capacity, so that every edge is near.

use std::io::{self, BufRead, ErrorKind, IoSliceMut, Read, Write};
use std::vec::Vec;

use crate::{BoltBuf, BufConfig, CapacityError, Cycle, Frame, GrowthConfig, SharedFrame};

/// The largest capacity a run configures.
const MAX_CAPACITY_BYTES: usize = 4096;

/// Frames kept before the oldest goes, whatever the bytes say.
const KEPT_FRAMES_MAX: usize = 64;

/// The bytes that drive a run; past their end every number is zero.
struct Script<'a> {
    bytes: &'a [u8],
}

impl Script<'_> {
    fn byte(&mut self) -> usize {
        match self.bytes.split_first() {
            Some((first, rest)) => {
                self.bytes = rest;
                usize::from(*first)
            }
            None => 0,
        }
    }

    /// Mostly small, now and then up to `16 * 255`.
    fn size(&mut self) -> usize {
        let byte = self.byte();
        if byte & 1 == 0 { byte >> 1 } else { byte * 16 }
    }
}

/// What the reader of a fill does with the room it is offered.
#[derive(Clone, Copy)]
enum Manner {
    Takes(usize),
    Fails(ErrorKind),
    /// Claims this many bytes more than it was offered.
    Lies(usize),
}

/// A reader that may misbehave; it notes what it was offered and what it really wrote.
struct Source {
    manner: Manner,
    next: u8,
    offered: usize,
    wrote: Vec<u8>,
}

impl Source {
    fn fill(&mut self, into: &mut [u8], budget: &mut usize) {
        for byte in into.iter_mut().take(*budget) {
            self.next = self.next.wrapping_mul(5).wrapping_add(17);
            *byte = self.next;
            self.wrote.push(self.next);
        }
        *budget -= into.len().min(*budget);
    }
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.read_vectored(&mut [IoSliceMut::new(into)])
    }

    fn read_vectored(&mut self, into: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.offered = into.iter().map(|slice| slice.len()).sum();
        match self.manner {
            Manner::Takes(n) => {
                let mut budget = n.min(self.offered);
                let n = budget;
                for slice in into {
                    self.fill(slice, &mut budget);
                }
                Ok(n)
            }
            Manner::Fails(kind) => Err(kind.into()),
            Manner::Lies(n) => Ok(self.offered.saturating_add(n)),
        }
    }
}

/// The naive twin and what it has to remember.
#[derive(Default)]
struct Oracle {
    unread: Vec<u8>,
    /// What `reset_read` has to give back.
    consumed: Vec<u8>,
    frames: Vec<(Frame, Vec<u8>)>,
    shared: Vec<(SharedFrame, Vec<u8>)>,
    next: u8,
}

impl Oracle {
    fn fresh(&mut self, len: usize) -> Vec<u8> {
        (0..len)
            .map(|_| {
                self.next = self.next.wrapping_mul(13).wrapping_add(7);
                self.next
            })
            .collect()
    }

    fn consume(&mut self, n: usize) {
        let n = n.min(self.unread.len());
        self.consumed.extend(self.unread.drain(..n));
    }
}

fn carried<T: std::error::Error + 'static>(error: &io::Error) -> Option<&T> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// Runs the operations that `data` spells and panics at the first difference between buffer and oracle.
///
/// Any input is a valid script.
pub fn run(data: &[u8]) {
    let mut script = Script { bytes: data };
    let max = [1, 64, 100, 1000, MAX_CAPACITY_BYTES][script.byte() % 5];
    let min = (1 + script.size()).min(max);
    let config = BufConfig {
        min_capacity_bytes: min,
        load_capacity_bytes: (min * 2).min(max),
        max_capacity_bytes: max,
        growth: GrowthConfig { grow_cycles: 2, shrink_cycles: 3, ..GrowthConfig::default() },
        tail_guard_bytes: script.byte() % 80,
        min_fill_bytes: script.byte(),
        compact_after_bytes: script.size(),
    };
    let mut buf = BoltBuf::try_with_config(config).expect("the numbers above fit together");
    let mut oracle = Oracle::default();
    while !script.bytes.is_empty() {
        step(&mut buf, &mut oracle, &mut script, max);
        check(&buf, &oracle, &config);
    }
    // Frames outlive their buffer.
    drop(buf);
    check_frames(&oracle);
}

fn check(buf: &BoltBuf, oracle: &Oracle, config: &BufConfig) {
    assert_eq!(buf.read_slice(), oracle.unread);
    assert_eq!(buf.len(), oracle.unread.len());
    assert_eq!(buf.is_empty(), oracle.unread.is_empty());
    assert!(buf.capacity_bytes() <= config.max_capacity_bytes);
    let guarded = buf.read_slice_with_guard();
    assert!(guarded.starts_with(&oracle.unread));
    assert!(buf.capacity_bytes() == 0 || guarded.len() >= buf.len() + config.tail_guard_bytes);
    let stats = buf.stats();
    assert_eq!((stats.unread_bytes, stats.capacity_bytes), (buf.len(), buf.capacity_bytes()));
    assert!(stats.high_water_bytes >= buf.len() && stats.high_water_bytes <= config.max_capacity_bytes);
    assert!(stats.moves <= stats.bytes_moved);
    check_frames(oracle);
}

fn check_frames(oracle: &Oracle) {
    assert!(oracle.frames.iter().all(|(frame, bytes)| frame == bytes));
    assert!(oracle.shared.iter().all(|(frame, bytes)| frame == bytes));
}

fn step(buf: &mut BoltBuf, oracle: &mut Oracle, script: &mut Script<'_>, max: usize) {
    match script.byte() % 24 {
        0 | 1 => {
            let size = script.size();
            let bytes = oracle.fresh(size);
            oracle.consumed.clear();
            match buf.append(&bytes) {
                Ok(()) => oracle.unread.extend(&bytes),
                Err(error) => assert_full(error, oracle, size, max),
            }
        }
        2 | 3 => {
            let n = script.size().min(oracle.unread.len());
            buf.consume(n);
            oracle.consume(n);
        }
        4 => {
            let n = script.size();
            let fits = n <= oracle.unread.len();
            assert_eq!(buf.try_consume(n).is_ok(), fits);
            oracle.consume(if fits { n } else { 0 });
        }
        5..=7 => fill(buf, oracle, script, max, false),
        8 => fill(buf, oracle, script, max, true),
        9 => {
            let offset = script.size();
            let size = script.size();
            let bytes = oracle.fresh(size);
            let range = oracle.unread.get_mut(offset..offset + bytes.len());
            assert_eq!(buf.write_at(offset, &bytes).is_ok(), range.is_some());
            if let Some(range) = range {
                range.copy_from_slice(&bytes);
            }
        }
        10 => {
            let len = script.size();
            buf.truncate(len);
            oracle.unread.truncate(len);
        }
        11 => {
            buf.reset();
            oracle.unread.clear();
            oracle.consumed.clear();
        }
        12 => {
            assert_eq!(buf.reset_read(), oracle.consumed.len());
            let mut unread = std::mem::take(&mut oracle.consumed);
            unread.append(&mut oracle.unread);
            oracle.unread = unread;
        }
        13 => {
            buf.compact();
            oracle.consumed.clear();
        }
        14 => {
            let additional = script.size() * 2;
            oracle.consumed.clear();
            match buf.reserve(additional) {
                Ok(()) => assert!(buf.tail_len() >= additional),
                Err(error) => assert_full(error, oracle, additional, max),
            }
        }
        15 => {
            oracle.consumed.clear();
            let len = buf.writable().len();
            assert_eq!(len == 0, oracle.unread.len() == max, "room as long as the maximum allows");
            let n = script.size();
            let size = n.min(len);
            let bytes = oracle.fresh(size);
            buf.writable()[..bytes.len()].copy_from_slice(&bytes);
            let advanced = buf.advance(n);
            assert_eq!(advanced.is_ok(), n <= len);
            if advanced.is_ok() {
                oracle.unread.extend(&bytes);
            }
        }
        16 => buf.end_cycle(Cycle::Active),
        17 => {
            oracle.consumed.clear();
            for _ in 0..=script.byte() % 5 {
                buf.end_cycle(Cycle::Idle);
            }
        }
        18 | 19 => cut(buf, oracle, script),
        20 => {
            let n = script.byte();
            match n % 4 {
                0 => oracle.frames.clear(),
                1 => oracle.shared.clear(),
                2 => {
                    if let Some((frame, bytes)) = oracle.frames.pop() {
                        oracle.shared.push((frame.into_shared(), bytes));
                    }
                }
                _ => {
                    let half = oracle.frames.len() / 2;
                    oracle.frames.drain(..half);
                }
            }
        }
        21 => {
            let n = script.size();
            let fits = n <= oracle.unread.len();
            match buf.take_shared(n) {
                Ok(frame) => {
                    let bytes: Vec<u8> = oracle.unread.drain(..n).collect();
                    oracle.consumed.clear();
                    oracle.shared.push((frame, bytes));
                }
                Err(_) => assert!(!fits || buf.capacity_bytes() == 0),
            }
            if oracle.shared.len() > KEPT_FRAMES_MAX {
                oracle.shared.remove(0);
            }
        }
        22 => traits(buf, oracle, script, max),
        _ => {
            assert_eq!(buf.release(), oracle.unread.is_empty());
            if oracle.unread.is_empty() {
                oracle.consumed.clear();
                assert_eq!(buf.capacity_bytes(), 0);
            }
            for byte in buf.read_slice_mut() {
                *byte ^= 0xFF;
            }
            for byte in &mut oracle.unread {
                *byte ^= 0xFF;
            }
        }
    }
}

fn assert_full(error: CapacityError, oracle: &Oracle, additional: usize, max: usize) {
    let requested = oracle.unread.len() + additional;
    assert!(requested > max, "refused although {requested} bytes fit {max}");
    assert_eq!(error, CapacityError { requested, available: max - oracle.unread.len(), maximum: max });
}

fn fill(buf: &mut BoltBuf, oracle: &mut Oracle, script: &mut Script<'_>, max: usize, vectored: bool) {
    let manner = match script.byte() % 8 {
        0 => Manner::Fails(ErrorKind::WouldBlock),
        1 => Manner::Lies(1 + script.byte()),
        2 => Manner::Lies(usize::MAX),
        3 => Manner::Takes(usize::MAX),
        _ => Manner::Takes(script.size()),
    };
    let mut source = Source { manner, next: oracle.next, offered: 0, wrote: Vec::new() };
    let mut spill = std::vec![0; if vectored { script.size() } else { 0 }];
    let filled =
        if vectored { buf.fill_vectored_from(&mut source, &mut spill) } else { buf.fill_from(&mut source) };
    oracle.next = source.next;
    oracle.consumed.clear();
    match filled {
        Ok(n) => {
            assert!(matches!(manner, Manner::Takes(_)));
            assert!(source.offered > 0 && source.offered <= max - oracle.unread.len());
            assert_eq!(n, source.wrote.len());
            oracle.unread.append(&mut source.wrote);
        }
        Err(error) if source.offered == 0 => {
            let inner = carried::<CapacityError>(&error).expect("only a full buffer offers nothing");
            assert_eq!(error.kind(), ErrorKind::OutOfMemory);
            assert_full(*inner, oracle, 1, max);
        }
        Err(error) => match manner {
            Manner::Fails(kind) => assert_eq!(error.kind(), kind),
            Manner::Lies(_) => assert_eq!(error.kind(), ErrorKind::InvalidData),
            Manner::Takes(_) => panic!("an honest reader was refused: {error}"),
        },
    }
}

fn cut(buf: &mut BoltBuf, oracle: &mut Oracle, script: &mut Script<'_>) {
    oracle.consumed.clear();
    let mut cutter = buf.frames().expect("memory for one small chunk");
    for _ in 0..script.byte() % 5 {
        let (skip, len) = (script.byte() % 9, script.size());
        cutter.skip(skip);
        oracle.consume(skip);
        assert_eq!(cutter.unread(), oracle.unread);
        match cutter.cut(len) {
            Ok(frame) => {
                let bytes: Vec<u8> = oracle.unread.drain(..len).collect();
                oracle.consumed.clear();
                match frame.slice(len / 3..len) {
                    Ok(part) if len % 2 == 0 => oracle.frames.push((part, bytes[len / 3..].to_vec())),
                    Ok(_) => {}
                    Err(error) => panic!("{error}"),
                }
                assert!(frame.slice(0..len + 1).is_err());
                oracle.frames.push((frame.clone(), bytes));
            }
            Err(error) => assert_eq!((error.end, error.available), (len, oracle.unread.len())),
        }
    }
    drop(cutter);
    let surplus = oracle.frames.len().saturating_sub(KEPT_FRAMES_MAX);
    oracle.frames.drain(..surplus);
}

fn traits(buf: &mut BoltBuf, oracle: &mut Oracle, script: &mut Script<'_>, max: usize) {
    let n = script.size();
    match script.byte() % 3 {
        0 => {
            let mut into = std::vec![0; n];
            let read = buf.read(&mut into).expect("memory does not fail");
            assert_eq!(read, n.min(oracle.unread.len()));
            assert_eq!(into[..read], oracle.unread[..read]);
            oracle.consume(read);
        }
        1 => {
            let len = buf.fill_buf().expect("memory does not fail").len();
            assert_eq!(len, oracle.unread.len());
            BufRead::consume(buf, len.min(n));
            oracle.consume(len.min(n));
        }
        _ => {
            let bytes = oracle.fresh(n);
            let room = max - oracle.unread.len();
            oracle.consumed.clear();
            match buf.write(&bytes) {
                Ok(written) => {
                    assert_eq!(written, n.min(room));
                    oracle.unread.extend(&bytes[..written]);
                }
                Err(error) => {
                    assert!(room == 0 && n > 0);
                    assert!(carried::<CapacityError>(&error).is_some());
                }
            }
        }
    }
}
