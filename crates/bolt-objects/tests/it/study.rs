//! A small database's work with this crate's techniques on and off: the answers are the same, each technique saves allocations by itself, and all of
//! them together save more than half. `docs/memory-study.md` has the whole study, with times and memory; here is its count, in small.

use std::collections::HashMap;

use bolt_alloc::{Counts, measure};
use bolt_objects::ready::{self, FxHashMap, HashMapPool, SerializationBufferPool, StringBufferPool};
use bolt_objects::{ArenaPool, SizeHint, StringId, StringPool, StringPoolConfig};

const TRANSACTIONS: u64 = if cfg!(miri) { 8 } else { 1000 };
const WRITES: u64 = 16;
/// Records of the log that are kept whole; both ways pay for them.
const KEPT: usize = 64;
const NAMES: u64 = 200;
const NAMES_BYTES: usize = 64 * 1024;

/// What is on.
#[derive(Clone, Copy)]
struct On {
    pools: bool,
    arena: bool,
    strings: bool,
}

struct Database {
    on: On,
    maps: HashMapPool<u64, u64>,
    records: SerializationBufferPool,
    lines: StringBufferPool,
    arenas: ArenaPool,
    names: StringPool,
    interned: Vec<StringId>,
    owned: Vec<String>,
    kept: Vec<Vec<u8>>,
}

impl Database {
    fn new(on: On) -> Self {
        Self {
            on,
            maps: ready::hash_maps().unwrap(),
            records: ready::serialization_buffers().unwrap(),
            lines: ready::string_buffers().unwrap(),
            arenas: ArenaPool::new().unwrap(),
            names: StringPool::new(StringPoolConfig::new(NAMES_BYTES)).unwrap(),
            interned: Vec::new(),
            owned: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// A transaction: a write set, the index entries of what it wrote, a record for the log, a line and a name.
    fn transact(&mut self, number: u64) -> u64 {
        let mut sum = 0;
        if self.on.pools {
            write(&mut self.maps.get(), number);
            let mut record = self.records.get();
            encode(&mut record, number);
            sum += log(&record, &mut self.kept);
            sum += tell(&mut self.lines.get(), number);
        } else {
            write(&mut FxHashMap::default(), number);
            let mut record = Vec::new();
            encode(&mut record, number);
            sum += log(&record, &mut self.kept);
            sum += tell(&mut String::new(), number);
        }
        let key = |write: u64| (number * WRITES + write).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        if self.on.arena {
            let batch = self.arenas.batch(SizeHint::new().bytes(WRITES as usize * 32));
            let mut entries = batch.vec::<&[u8]>(WRITES as usize);
            entries.extend((0..WRITES).map(|write| &*batch.slice(&key(write))));
            entries.sort_unstable();
            sum += u64::from(entries[0][0]);
        } else {
            let mut entries: Vec<_> = (0..WRITES).map(|write| key(write).to_vec()).collect();
            entries.sort_unstable();
            sum += u64::from(entries[0][0]);
        }
        sum + self.name(&NAMED[..4 + (number % NAMES) as usize])
    }

    fn name(&mut self, text: &str) -> u64 {
        let length = if self.on.strings {
            let id = self.names.intern(text).unwrap();
            self.interned.push(id);
            self.names.resolve(id).map_or(0, str::len)
        } else {
            self.owned.push(text.to_owned());
            text.len()
        };
        length as u64
    }
}

/// What names are cut from, so that they cost nothing to make.
const NAMED: &str = {
    const BYTES: [u8; 256] = [b'n'; 256];
    match str::from_utf8(&BYTES) {
        Ok(text) => text,
        Err(_) => unreachable!(),
    }
};

fn write<S: std::hash::BuildHasher>(writes: &mut HashMap<u64, u64, S>, number: u64) {
    writes.extend((0..WRITES).map(|write| (number * WRITES + write, write)));
}

fn encode(record: &mut Vec<u8>, number: u64) {
    for write in 0..WRITES {
        record.extend_from_slice(&(number * WRITES + write).to_le_bytes());
        record.extend_from_slice(&[write as u8; 40]);
    }
}

fn log(record: &[u8], kept: &mut Vec<Vec<u8>>) -> u64 {
    if kept.len() < KEPT {
        kept.push(record.to_vec());
    }
    record.len() as u64
}

fn tell(line: &mut String, number: u64) -> u64 {
    use std::fmt::Write as _;
    for write in 0..WRITES {
        write!(line, "{} ", number + write).unwrap();
    }
    line.len() as u64
}

fn work(on: On) -> (u64, Counts) {
    measure(|| {
        let mut database = Database::new(on);
        (0..TRANSACTIONS).map(|number| database.transact(number)).sum()
    })
}

#[test]
fn half_of_the_allocations_are_saved() {
    let off = On { pools: false, arena: false, strings: false };
    let (answer, none) = work(off);
    let calls = |counts: Counts| counts.allocations + counts.reallocations;
    for (name, on) in [
        ("pools", On { pools: true, ..off }),
        ("arena", On { arena: true, ..off }),
        ("strings", On { strings: true, ..off }),
    ] {
        let (same, alone) = work(on);
        assert_eq!(same, answer, "{name} gives another answer");
        assert!(cfg!(miri) || alone.allocations < none.allocations, "{name}: {alone}, without it {none}");
    }
    let (same, all) = work(On { pools: true, arena: true, strings: true });
    assert_eq!(same, answer);
    // Miri's few transactions do not pay for setting the pools up.
    if !cfg!(miri) {
        assert!(2 * all.allocations <= none.allocations, "{all}, with nothing on {none}");
        assert!(2 * calls(all) <= calls(none), "{all}, with nothing on {none}");
    }
}
