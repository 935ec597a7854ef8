//! Owns: the second workload, transactions on a small log-structured table: a request is parsed, read sets and write sets are kept, what was
//! written goes to a table in memory, full tables are merged into one sorted run of prefix-compressed keys. Never writes to disk; never
//! reads what it has not checked. One operation is a transaction; every few hundredth of them also merges.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use bolt_objects::ready::FxIndexMap;
use bytes::Bytes;

use crate::figures::Technique;
use crate::kinds::{
    Batch, Batches, Blob, Common, Gather, InArena, Inside, List, Lists, MapAndList, OnHeap, Pieces, WriteSet,
};
use crate::measure::{Rng, Work, digest, filler, mix};

/// Reads of a transaction that lie inside their list.
const READS_INSIDE: usize = 8;
/// Results that lie inside their list.
const RESULTS_INSIDE: usize = 8;
/// Tables that wait to be merged; the list of them is copied by each transaction, as its view.
const FROZEN_MAX: usize = 4;
/// Keys of a table that is full.
const TABLE_KEYS: usize = 1024;
/// Every so many entries a run has a key in full.
const RESTART: usize = 16;
const VALUE_MAX: usize = 1024;
/// No key is longer.
const KEY_BYTES: usize = 32;
/// What an index entry takes from the value, in front of the key.
const INDEXED_BYTES: usize = 4;
/// The index's log is written out when it is full.
const INDEX_LOG_BYTES: usize = 64 << 10;

/// What a table holds of a key: who wrote it, and what; nothing if it was deleted.
struct Cell<B> {
    version: u64,
    value: Option<B>,
}

type Table<B> = BTreeMap<B, Cell<B>>;

/// A sorted run. An entry: bytes shared with the key before, further bytes, length of the value (2), the further bytes, the value.
#[derive(Default)]
struct Run {
    bytes: Vec<u8>,
    restarts: Vec<u32>,
    entries: usize,
}

/// One entry as it lies there.
struct Stored<'r> {
    shared: usize,
    rest: &'r [u8],
    value: &'r [u8],
}

impl Run {
    fn with_room(bytes: usize, entries: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            restarts: Vec::with_capacity(entries.div_ceil(RESTART)),
            entries: 0,
        }
    }

    fn push(&mut self, last: &[u8], key: &[u8], value: &[u8]) {
        let mut shared = 0;
        if self.entries.is_multiple_of(RESTART) {
            self.restarts.push(self.bytes.len() as u32);
        } else {
            shared = last.iter().zip(key).take_while(|(one, other)| one == other).count();
        }
        self.bytes.extend_from_slice(&[shared as u8, (key.len() - shared) as u8]);
        self.bytes.extend_from_slice(&(value.len() as u16).to_le_bytes());
        self.bytes.extend_from_slice(&key[shared..]);
        self.bytes.extend_from_slice(value);
        self.entries += 1;
    }

    fn entries(&self, from: usize) -> impl Iterator<Item = Stored<'_>> {
        let mut rest = &self.bytes[from..];
        std::iter::from_fn(move || {
            let &[shared, key, low, high, ref tail @ ..] = rest else { return None };
            let (key, tail) = tail.split_at(key.into());
            let (value, tail) = tail.split_at(u16::from_le_bytes([low, high]).into());
            rest = tail;
            Some(Stored { shared: shared.into(), rest: key, value })
        })
    }

    /// The value of `key`; `scratch` is where keys are put together.
    fn get<'r>(&'r self, key: &[u8], scratch: &mut Vec<u8>, room: usize) -> Option<&'r [u8]> {
        let full = |&at: &u32| self.entries(at as usize).next().is_some_and(|entry| entry.rest <= key);
        let block = self.restarts.partition_point(full).checked_sub(1)?;
        scratch.reserve(room);
        for entry in self.entries(self.restarts[block] as usize).take(RESTART) {
            scratch.truncate(entry.shared);
            scratch.extend_from_slice(entry.rest);
            if **scratch == *key {
                return Some(entry.value);
            }
        }
        None
    }
}

/// A read of the transaction: what must not have changed until it commits.
struct Read<B> {
    key: B,
    version: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Get,
    Put,
    Delete,
}

/// A parsed request line: places in the request, not copies.
#[derive(Clone)]
struct Line {
    kind: Kind,
    key: Range<usize>,
    value: Range<usize>,
}

/// The workload of one thread.
struct Transactions<'c, 'p, L: Lists, B: Blob, K, W> {
    common: &'c Common<'p>,
    rng: Rng,
    keys: usize,
    /// The connection's buffer, with the next request.
    wire: Vec<u8>,
    key: String,
    active: Table<B>,
    frozen: L::Of<Arc<Table<B>>, FROZEN_MAX>,
    run: Run,
    /// Written once and then empty again.
    index_log: Vec<u8>,
    version: u64,
    kinds: std::marker::PhantomData<fn(K) -> W>,
}

/// The workload of one thread: of ten transactions seven have 1 to 8 lines, two 8 to 32, one 64 to 200; half of the lines read.
pub fn batches<'c, 'p>(common: &'c Common<'p>, seed: u64, keys: usize) -> Box<dyn Work + 'c> {
    fn maps<'c, 'p, L: Lists, B: Blob, K: Batches>(
        common: &'c Common<'p>,
        seed: u64,
        keys: usize,
    ) -> Box<dyn Work + 'c>
    where
        L::Of<Arc<Table<B>>, FROZEN_MAX>: Clone,
    {
        if common.on.has(Technique::Maps) {
            Box::new(Transactions::<L, B, K, FxIndexMap<B, Option<B>>>::new(common, seed, keys))
        } else {
            Box::new(Transactions::<L, B, K, MapAndList<B>>::new(common, seed, keys))
        }
    }
    fn memory<'c, 'p, L: Lists, B: Blob>(common: &'c Common<'p>, seed: u64, keys: usize) -> Box<dyn Work + 'c>
    where
        L::Of<Arc<Table<B>>, FROZEN_MAX>: Clone,
    {
        if common.on.has(Technique::Arena) {
            maps::<L, B, InArena>(common, seed, keys)
        } else {
            maps::<L, B, Pieces>(common, seed, keys)
        }
    }
    match (common.on.has(Technique::SmallVec), common.on.has(Technique::Bytes)) {
        (false, false) => memory::<OnHeap, Vec<u8>>(common, seed, keys),
        (false, true) => memory::<OnHeap, Bytes>(common, seed, keys),
        (true, false) => memory::<Inside, Vec<u8>>(common, seed, keys),
        (true, true) => memory::<Inside, Bytes>(common, seed, keys),
    }
}

impl<'c, 'p, L: Lists, B: Blob, K: Batches, W: WriteSet<B>> Transactions<'c, 'p, L, B, K, W>
where
    L::Of<Arc<Table<B>>, FROZEN_MAX>: Clone,
{
    fn new(common: &'c Common<'p>, seed: u64, keys: usize) -> Self {
        Self {
            common,
            rng: Rng::new(seed),
            keys,
            wire: Vec::with_capacity(256 * 1024),
            key: String::with_capacity(64),
            active: Table::new(),
            frozen: L::Of::with_room(common.room(FROZEN_MAX)),
            run: Run::default(),
            index_log: Vec::with_capacity(2 * INDEX_LOG_BYTES),
            version: 0,
            kinds: std::marker::PhantomData,
        }
    }

    /// The newest value: of the tables, the newest first, then of the run.
    fn read<'s>(
        &'s self,
        view: &'s [Arc<Table<B>>],
        key: &[u8],
        scratch: &mut Vec<u8>,
    ) -> (u64, Option<Found<'s, B>>) {
        for table in [&self.active].into_iter().chain(view.iter().rev().map(|table| &**table)) {
            if let Some(cell) = table.get(key) {
                return (cell.version, cell.value.as_ref().map(Found::Kept));
            }
        }
        (0, self.run.get(key, scratch, self.common.room(KEY_BYTES)).map(Found::InRun))
    }

    /// Merges all frozen tables and the run into a new run.
    fn merge(&mut self) {
        let frozen = std::mem::take(&mut self.frozen);
        self.run = self.merged(&frozen);
        self.frozen = L::Of::with_room(self.common.room(FROZEN_MAX));
    }

    /// A run of all keys that are left, with the newest value of each.
    fn merged(&self, frozen: &[Arc<Table<B>>]) -> Run {
        let changed: usize = frozen.iter().map(|table| table.len()).sum();
        // Each key of the run comes out in full, so as many bytes again as the run has for keys are a fair guess.
        let all = self.run.entries + changed;
        let bytes = self.common.room(all * (size_of::<(&[u8], &[u8])>() + 48) + changed * 48);
        let memory = K::begin(self.common.pools, bytes);
        let mut old = memory.list(self.common.room(self.run.entries));
        let keys = {
            let mut keys = memory.list(self.common.room(self.run.entries));
            for entry in self.run.entries(0) {
                let front = keys.last().map_or(&[][..], |last: &<K::Of<'_> as Batch>::Text<'_>| &**last);
                keys.gather(memory.joined(&front[..entry.shared], entry.rest));
                old.gather(entry.value);
            }
            keys
        };
        // Newest first, so that the first of equal keys is the one that counts.
        let mut new = memory.list(self.common.room(changed));
        for table in frozen.iter().rev() {
            for (key, cell) in table.iter() {
                new.gather((&**key, cell));
            }
        }
        new.sort_by_key(|&(key, _)| key);
        let room =
            self.run.bytes.len() + new.iter().map(|(key, cell)| key.len() + 4 + length(cell)).sum::<usize>();
        let mut run = Run::with_room(self.common.room(room), self.common.room(all));
        let mut before: &[u8] = &[];
        let (mut at, mut olds) = (0, keys.iter().zip(old.iter()).peekable());
        loop {
            let fresh = new.get(at);
            let (key, value): (&[u8], Option<&[u8]>) = match (olds.peek(), fresh) {
                (None, None) => break,
                (Some((key, value)), fresh) if fresh.is_none_or(|(fresh, _)| ***key < **fresh) => {
                    let pair = (&***key, Some(**value));
                    olds.next();
                    pair
                }
                (stale, Some(&(key, cell))) => {
                    if stale.is_some_and(|(stale, _)| ***stale == *key) {
                        olds.next();
                    }
                    while new.get(at).is_some_and(|(same, _)| *same == key) {
                        at += 1;
                    }
                    (key, cell.value.as_deref())
                }
                (Some(_), None) => unreachable!("an old key without a fresh one was taken above"),
            };
            if let Some(value) = value {
                run.push(before, key, value);
                before = key;
            }
        }
        run
    }
}

fn length<B: Blob>(cell: &Cell<B>) -> usize {
    cell.value.as_ref().map_or(0, |value| value.len())
}

/// Where a value was found.
enum Found<'s, B> {
    Kept(&'s B),
    InRun(&'s [u8]),
}

/// The lines of a request.
fn parse(wire: &[u8], mut f: impl FnMut(Line)) {
    let mut at = 2;
    while let Some(&[kind, key, low, high]) = wire.get(at..).and_then(<[u8]>::first_chunk) {
        let key = at + 4..at + 4 + usize::from(key);
        let value = key.end..key.end + usize::from(u16::from_le_bytes([low, high]));
        at = value.end;
        let kind = match kind {
            0 => Kind::Get,
            1 => Kind::Put,
            _ => Kind::Delete,
        };
        f(Line { kind, key, value });
    }
}

impl<L: Lists, B: Blob, K: Batches, W: WriteSet<B>> Work for Transactions<'_, '_, L, B, K, W>
where
    L::Of<Arc<Table<B>>, FROZEN_MAX>: Clone,
{
    fn prepare(&mut self) {
        let lines = match self.rng.below(10) {
            0..7 => 1 + self.rng.below(8),
            7..9 => 8 + self.rng.below(25),
            _ => 64 + self.rng.below(137),
        };
        self.wire.clear();
        self.wire.extend_from_slice(&(lines as u16).to_le_bytes());
        for _ in 0..lines {
            let number = self.rng.skewed(self.keys);
            self.key.clear();
            // Infallible: a string grows.
            let _ = write!(self.key, "tenant:{:02}/order:{number:06}/state", number % 16);
            let (kind, value) = match self.rng.below(100) {
                0..50 => (0, 0),
                50..90 => (1, 8 + self.rng.below(120)),
                90..93 => (1, 512 + self.rng.below(VALUE_MAX - 512)),
                _ => (2, 0),
            };
            let [low, high] = (value as u16).to_le_bytes();
            self.wire.extend_from_slice(&[kind, self.key.len() as u8, low, high]);
            self.wire.extend_from_slice(self.key.as_bytes());
            self.wire.extend_from_slice(filler(self.rng.word(), value));
        }
    }

    fn operate(&mut self) -> u64 {
        self.version += 1;
        let mut sum = 0;
        {
            let frame = B::receive(&self.wire);
            let bytes = B::whole(&frame);
            let count = usize::from(u16::from_le_bytes([bytes[0], bytes[1]]));
            // What dies with the transaction: its parsed lines, and what the index is told.
            let entry = size_of::<Line>() + size_of::<&[u8]>() + INDEXED_BYTES + KEY_BYTES;
            let hint = self.common.room(count * entry);
            let memory = K::begin(self.common.pools, hint);
            let mut lines = memory.list(self.common.room(count));
            parse(bytes, |line| lines.gather(line));
            let writing = lines.iter().filter(|line| line.kind != Kind::Get).count();

            let view = self.frozen.clone();
            let mut reads = L::Of::<Read<B>, READS_INSIDE>::with_room(self.common.room(count - writing));
            let mut results = L::Of::<B, RESULTS_INSIDE>::with_room(self.common.room(count - writing));
            let mut writes = self.common.write_set::<B, W>(writing);
            for line in lines.iter() {
                let key = &bytes[line.key.clone()];
                match line.kind {
                    Kind::Get => {
                        if let Some(own) = writes.read(key) {
                            results.extend(own.clone());
                            continue;
                        }
                        let mut scratch = self.common.vector();
                        let (version, found) = self.read(&view, key, &mut scratch);
                        match found {
                            Some(Found::Kept(value)) => results.push(value.clone()),
                            Some(Found::InRun(value)) => results.push(B::copy_of(value)),
                            None => sum = mix(sum, 1),
                        }
                        reads.push(Read { key: B::part(&frame, line.key.clone()), version });
                    }
                    Kind::Put => {
                        let value = B::part(&frame, line.value.clone());
                        writes.put(B::part(&frame, line.key.clone()), Some(value));
                    }
                    Kind::Delete => writes.put(B::part(&frame, line.key.clone()), None),
                }
            }
            // The index learns of all puts at once, in order: entries that are put together, sorted, written and gone.
            let mut index = memory.list(self.common.room(writing));
            for line in lines.iter().filter(|line| line.kind == Kind::Put) {
                let indexed = &bytes[line.value.start..][..INDEXED_BYTES];
                index.gather(memory.joined(indexed, &bytes[line.key.clone()]));
            }
            index.sort_unstable_by(|one, other| one.cmp(other));
            for entry in index.iter() {
                self.index_log.extend_from_slice(entry);
            }
            for read in reads.iter() {
                let now = self.active.get(&*read.key).map_or(read.version, |cell| cell.version);
                assert_eq!(now, read.version, "nobody else writes here");
            }
            let (active, version) = (&mut self.active, self.version);
            writes.drain_to(|key, value| {
                active.insert(key, Cell { version, value });
            });
            sum = results.iter().fold(sum, |sum, value| mix(sum, digest(value)));
        }
        if self.index_log.len() >= INDEX_LOG_BYTES {
            sum = mix(sum, digest(&self.index_log));
            self.index_log.clear();
        }
        if self.active.len() >= TABLE_KEYS {
            self.frozen.push(Arc::new(std::mem::take(&mut self.active)));
            if self.frozen.len() == FROZEN_MAX {
                self.merge();
            }
        }
        sum
    }

    fn finish(&mut self) -> u64 {
        self.frozen.push(Arc::new(std::mem::take(&mut self.active)));
        self.merge();
        let mut key = Vec::new();
        self.run.entries(0).fold(self.run.entries as u64, |sum, entry| {
            key.truncate(entry.shared);
            key.extend_from_slice(entry.rest);
            mix(mix(sum, digest(&key)), digest(entry.value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_gives_back_what_was_put_in() {
        let mut run = Run::default();
        let keys: Vec<_> = (0..500).map(|number| format!("key:{:04}", number * 2).into_bytes()).collect();
        let mut last: &[u8] = &[];
        for key in &keys {
            run.push(last, key, &key[4..]);
            last = key;
        }
        assert!(run.bytes.len() < 500 * 16, "keys are compressed: {}", run.bytes.len());
        let mut scratch = Vec::new();
        for number in 0..1001 {
            let key = format!("key:{number:04}").into_bytes();
            let expected = (number % 2 == 0 && number < 1000).then(|| key[4..].to_vec());
            assert_eq!(run.get(&key, &mut scratch, 0).map(<[u8]>::to_vec), expected, "{number}");
        }
        assert_eq!(run.get(b"", &mut scratch, 0), None);
    }
}
