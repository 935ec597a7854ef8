//! Owns: the third workload, serialization: records are written into buffers, queued, gathered into a segment by whichever thread finds the queue
//! full, and read back when a segment is full. Never writes to disk. Between threads, buffers are freed where they were not made.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::PoisonError;

use bytes::Bytes;

use crate::figures::Technique;
use crate::kinds::{Blob, Common, Inside, List, Lists, OnHeap, RecordBuffer};
use crate::measure::{Rng, Work, digest, filler, mix};

/// Records that wait before somebody writes them all.
const GROUP: usize = 16;
/// A segment that is full is read back.
const SEGMENT_BYTES: usize = 64 << 10;
/// Entries that are read back at a time, and lie inside their list.
const RECOVERED_INSIDE: usize = 128;
/// Keys that a log speaks of.
const KEYS: usize = 2000;
const ENTRIES_MAX: usize = 20;
const VALUE_MAX: usize = 400;
/// In front of a record: its length and its digest.
const HEADER_BYTES: usize = 12;

struct Change {
    key: usize,
    length: usize,
    word: u64,
}

/// An entry that was read back.
struct Recovered<B> {
    key: B,
    value: B,
}

struct Log<'c, 'p, L, B> {
    common: &'c Common<'p>,
    rng: Rng,
    changes: Vec<Change>,
    /// Records that this thread took from the queue; empty between operations.
    taken: Vec<RecordBuffer<'p>>,
    segment: Vec<u8>,
    /// The newest value of each key, as the segments of this thread tell it.
    table: BTreeMap<B, B>,
    lists: std::marker::PhantomData<fn() -> L>,
}

/// The workload of one thread. An operation writes a record of 1 to 20 changes; every fourth is also told as a line of text.
pub fn log<'c, 'p>(common: &'c Common<'p>, seed: u64) -> Box<dyn Work + 'c> {
    match (common.on.has(Technique::SmallVec), common.on.has(Technique::Bytes)) {
        (false, false) => Box::new(Log::<OnHeap, Vec<u8>>::new(common, seed)),
        (false, true) => Box::new(Log::<OnHeap, Bytes>::new(common, seed)),
        (true, false) => Box::new(Log::<Inside, Vec<u8>>::new(common, seed)),
        (true, true) => Box::new(Log::<Inside, Bytes>::new(common, seed)),
    }
}

impl<'c, 'p, L: Lists, B: Blob> Log<'c, 'p, L, B> {
    fn new(common: &'c Common<'p>, seed: u64) -> Self {
        Self {
            common,
            rng: Rng::new(seed),
            changes: Vec::with_capacity(ENTRIES_MAX),
            taken: Vec::with_capacity(GROUP),
            segment: Vec::with_capacity(SEGMENT_BYTES + 2 * ENTRIES_MAX * VALUE_MAX),
            table: BTreeMap::new(),
            lists: std::marker::PhantomData,
        }
    }

    /// Length and digest, then for each change: length of the key, length of the value (2), key, value.
    fn encode(&self) -> RecordBuffer<'p> {
        // The exact length, told beforehand; only asked for where it is used.
        let exact = || self.changes.iter().map(|change| 3 + 12 + change.length).sum::<usize>();
        let mut record =
            self.common.record(if self.common.room(1) == 1 { HEADER_BYTES + exact() } else { 0 });
        record.extend_from_slice(&[0; HEADER_BYTES]);
        for change in &self.changes {
            record.push(12);
            record.extend_from_slice(&(change.length as u16).to_le_bytes());
            // Infallible: a vector grows.
            let _ = std::io::Write::write_fmt(&mut *record, format_args!("item:{:07}", change.key));
            record.extend_from_slice(filler(change.word, change.length));
        }
        let length = (record.len() - HEADER_BYTES) as u32;
        let check = digest(&record[HEADER_BYTES..]);
        record[..4].copy_from_slice(&length.to_le_bytes());
        record[4..HEADER_BYTES].copy_from_slice(&check.to_le_bytes());
        record
    }

    fn tell(&self) -> u64 {
        let mut line = self.common.text(24 * self.changes.len() + 16);
        line.push_str("{\"changes\":[");
        for change in &self.changes {
            // Infallible: a string grows.
            let _ = write!(line, "[{},{}],", change.key, change.length);
        }
        line.push_str("]}");
        digest(line.as_bytes())
    }

    /// Takes all that wait and writes them into the segment. The sum is that of segments which became full meanwhile.
    fn write_group(&mut self) -> u64 {
        let mut sum: u64 = 0;
        let mut taken = std::mem::take(&mut self.taken);
        for record in taken.drain(..) {
            if self.segment.len() + record.len() > SEGMENT_BYTES {
                sum = sum.wrapping_add(self.recover());
            }
            self.segment.extend_from_slice(&record);
        }
        self.taken = taken;
        sum
    }

    /// Reads a segment back, checks each record, applies its changes, and begins the next. The sum does not depend on the order.
    fn recover(&mut self) -> u64 {
        let mut sum: u64 = 0;
        {
            let frame = B::receive(&self.segment);
            let bytes = B::whole(&frame);
            let mut recovered =
                L::Of::<Recovered<B>, RECOVERED_INSIDE>::with_room(self.common.room(RECOVERED_INSIDE));
            let mut at = 0;
            while at < bytes.len() {
                let header = bytes[at..].first_chunk::<HEADER_BYTES>().expect("a header");
                let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
                let body = at + HEADER_BYTES..at + HEADER_BYTES + length;
                assert_eq!(
                    header[4..],
                    digest(&bytes[body.clone()]).to_le_bytes(),
                    "the record at {at} is whole"
                );
                at = body.start;
                while at < body.end {
                    let key = at + 3..at + 3 + usize::from(bytes[at]);
                    let value =
                        key.end..key.end + usize::from(u16::from_le_bytes([bytes[at + 1], bytes[at + 2]]));
                    at = value.end;
                    let (key, value) = (B::part(&frame, key), B::part(&frame, value));
                    sum = sum.wrapping_add(mix(digest(&key), digest(&value)));
                    if recovered.len() == RECOVERED_INSIDE {
                        apply(&mut recovered, &mut self.table);
                    }
                    recovered.push(Recovered { key, value });
                }
            }
            apply(&mut recovered, &mut self.table);
        }
        self.segment.clear();
        sum
    }
}

fn apply<B: Blob, L: List<Recovered<B>>>(recovered: &mut L, table: &mut BTreeMap<B, B>) {
    recovered.drain_to(|entry| {
        table.insert(entry.key, entry.value);
    });
}

impl<L: Lists, B: Blob> Work for Log<'_, '_, L, B> {
    fn prepare(&mut self) {
        self.changes.clear();
        for _ in 0..1 + self.rng.skewed(ENTRIES_MAX) {
            let length = if self.rng.percent(90) {
                8 + self.rng.below(92)
            } else {
                100 + self.rng.below(VALUE_MAX - 100)
            };
            self.changes.push(Change { key: self.rng.below(KEYS), length, word: self.rng.word() });
        }
    }

    fn operate(&mut self) -> u64 {
        let record = self.encode();
        let mut sum = if self.changes[0].word.is_multiple_of(4) { self.tell() } else { 0 };
        {
            let mut waiting = self.common.log.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push(record);
            if waiting.len() >= GROUP {
                self.taken.append(&mut waiting);
            }
        }
        if !self.taken.is_empty() {
            sum = sum.wrapping_add(self.write_group());
        }
        sum
    }

    fn finish(&mut self) -> u64 {
        {
            let mut waiting = self.common.log.lock().unwrap_or_else(PoisonError::into_inner);
            self.taken.append(&mut waiting);
        }
        let sum = self.write_group();
        sum.wrapping_add(self.recover())
    }
}
