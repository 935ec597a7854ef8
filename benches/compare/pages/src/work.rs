//! The workloads: which keys, which values, in which order, and what every engine must have seen at the end.
//!
//! Owns the data, so that each engine (the Go program in `go/` too, which repeats this file's arithmetic) gets the same bytes, and the
//! [`Sum`] that proves it read them. Knows no engine. Limits: keys of at most [`KEY_MAX`] bytes, values of at most 64 KiB.

use std::path::Path;
use std::time::{Duration, Instant};

/// The longest key that a shape makes.
pub const KEY_MAX: usize = 208;
/// Keys a write transaction takes in the bulk workloads.
pub const BATCH: usize = 1_000;
/// Gets asked together by `many`.
pub const TOGETHER: usize = 16;
/// Entries a range workload reads from each start.
pub const RANGE_LENGTH: usize = 100;
/// Commits of one key in a round of `durable` and `durable-new`, at most, and one for every hundred keys of smaller databases. Short rounds
/// let the engines take turns often; ask for many.
pub const DURABLE_COMMITS: u64 = 500;
/// Commits of one key in `bigfree`.
pub const BIGFREE_COMMITS: u64 = 2_000;
/// A value of `bigfree`: two pages of 4 KiB and a little, so that N/20 of them leave N/10 free pages.
pub const BIGFREE_VALUE_BYTES: usize = 8_200;

/// The second half of SplitMix64: a bijection of 64-bit numbers.
pub fn mix(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What the keys look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// 16 random bytes.
    Random,
    /// A prefix that many keys share, then 16 hexadecimal digits.
    Prefix,
    /// 8 to 200 random bytes.
    Sizes,
    /// 8 bytes, big-endian, ascending: full leaves behind the writer, half-full ones with bbolt.
    Sequence,
    /// 16 random bytes; and as many keys again, untimed, that are put after the load and deleted: pages are half full.
    Halved,
}

impl Shape {
    /// By its name on the command line.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "random" => Self::Random,
            "prefix" => Self::Prefix,
            "sizes" => Self::Sizes,
            "sequence" => Self::Sequence,
            "halved" => Self::Halved,
            _ => return None,
        })
    }

    /// Key number `id` in `room`.
    pub fn key(self, id: u64, room: &mut [u8; KEY_MAX]) -> &[u8] {
        let random = mix(id);
        let length = match self {
            Self::Random | Self::Halved => {
                room[..8].copy_from_slice(&random.to_le_bytes());
                room[8..16].copy_from_slice(&mix(random).to_le_bytes());
                16
            }
            Self::Prefix => {
                let head = b"tenant-00/object/by-name/";
                room[..head.len()].copy_from_slice(head);
                room[7] = b'0' + (random % 4) as u8;
                room[8] = b'0' + (random / 4 % 10) as u8;
                for (at, byte) in room[head.len()..head.len() + 16].iter_mut().enumerate() {
                    *byte = b"0123456789abcdef"[(random >> (60 - 4 * at) & 15) as usize];
                }
                head.len() + 16
            }
            Self::Sizes => {
                let length = 8 + (mix(!id) % 193) as usize;
                let mut word = random;
                for piece in room.chunks_exact_mut(8).take(length.div_ceil(8)) {
                    piece.copy_from_slice(&word.to_le_bytes());
                    word = mix(word);
                }
                length
            }
            Self::Sequence => {
                room[..8].copy_from_slice(&id.to_be_bytes());
                8
            }
        };
        &room[..length]
    }
}

/// One run's numbers.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Keys in the database.
    pub keys: u64,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// What the keys look like.
    pub shape: Shape,
}

impl Work {
    /// The value that key `id` has after `version` overwrites.
    pub fn value<'a>(&self, id: u64, version: u64, room: &'a mut Vec<u8>) -> &'a [u8] {
        room.clear();
        room.resize(self.value_bytes, b'v');
        let word = mix(id ^ version << 48).to_le_bytes();
        let head = word.len().min(room.len());
        room[..head].copy_from_slice(&word[..head]);
        room
    }
}

/// What was read: how many entries, and a sum that does not depend on their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Entries found.
    pub count: u64,
    /// Wrapping sum over [`word`] of what was found.
    pub sum: u64,
}

impl Sum {
    /// Counts a value.
    #[inline]
    pub fn value(&mut self, value: &[u8]) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(word(value));
    }

    /// Counts a key with its value.
    #[inline]
    pub fn entry(&mut self, key: &[u8], value: &[u8]) {
        self.value(value);
        self.sum = self.sum.wrapping_add(word(key).rotate_left(1));
    }

    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// The first eight bytes as a number, and the length: enough to tell values apart, cheap enough to ask of each.
#[inline]
fn word(bytes: &[u8]) -> u64 {
    let first = bytes.first_chunk::<8>().map_or(0, |b| u64::from_le_bytes(*b));
    first ^ (bytes.len() as u64) << 56
}

/// How carefully commits go to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// No barrier at all, where the engine can leave it out.
    Fast,
    /// Every commit survives a power cut.
    Durable,
}

/// A store under test. Everything is one key space of bytes.
pub trait Engine: Sync + Sized {
    /// Opens or creates the database at `path`.
    fn open(path: &Path, mode: Mode) -> Self;
    /// Puts each of `ids` with version `version`, `batch` keys a transaction.
    fn put(&self, work: &Work, ids: impl Iterator<Item = u64>, version: u64, batch: usize);
    /// Deletes each of `ids`, `batch` keys a transaction.
    fn delete(&self, work: &Work, ids: impl Iterator<Item = u64>, batch: usize);
    /// Looks each of `ids` up in one read transaction.
    fn get(&self, work: &Work, ids: impl Iterator<Item = u64>) -> Sum;
    /// Looks each of `ids` up in a read transaction of its own.
    fn get_each(&self, work: &Work, ids: impl Iterator<Item = u64>) -> Sum;
    /// Looks the ids up [`TOGETHER`] at a time, where the engine can; one after the other where it cannot.
    fn get_many(&self, work: &Work, ids: impl Iterator<Item = u64>) -> Sum {
        self.get(work, ids)
    }
    /// Reads every entry `rounds` times.
    fn scan(&self, rounds: usize) -> Sum;
    /// Reads [`RANGE_LENGTH`] entries from each of `ids` on.
    fn range(&self, work: &Work, ids: impl Iterator<Item = u64>) -> Sum;
    /// Opens and closes `count` read transactions.
    fn begin(&self, count: u64);
    /// Runs `during` while a read transaction that began before it is open, and tells what that one sees afterwards of key 0.
    fn pinned(&self, work: &Work, during: impl FnOnce()) -> Sum;
}

/// The workloads, in the order of the table; those after `Load` start from a loaded database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    Load,
    Get,
    Get2,
    Many,
    Missing,
    GetTx,
    Begin,
    Scan,
    Range,
    Churn,
    Pinned,
    BigFree,
    DurableNew,
    Durable,
}

impl Workload {
    /// Every workload with its name and what one operation is.
    pub const ALL: &[(Self, &'static str, &'static str)] = &[
        (Self::Load, "load", "put, 1,000 a transaction, no sync"),
        (Self::Get, "get", "random get, one transaction"),
        (Self::Get2, "get2", "random get, two threads"),
        (Self::Many, "many", "random get, 16 asked together"),
        (Self::Missing, "missing", "get, half of the keys absent"),
        (Self::GetTx, "gettx", "random get, a transaction each"),
        (Self::Begin, "begin", "read transaction, begun and ended"),
        (Self::Scan, "scan", "entry of a full scan"),
        (Self::Range, "range", "entry, seeks of 100 entries each"),
        (Self::Churn, "churn", "delete or put, 1,000 a transaction"),
        (Self::Pinned, "pinned", "overwrite beside an open reader"),
        (Self::BigFree, "bigfree", "one-key commit over free pages"),
        (Self::DurableNew, "durable-new", "synced one-key commit, new file"),
        (Self::Durable, "durable", "synced one-key commit, loaded file"),
    ];

    /// By its name on the command line.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == name).map(|(workload, _, _)| *workload)
    }

    /// Whether it starts from the loaded database, and whether it changes it.
    pub fn starts_loaded(self) -> bool {
        !matches!(self, Self::Load | Self::BigFree | Self::DurableNew)
    }

    /// True where the loaded database must be copied first.
    pub fn writes(self) -> bool {
        matches!(self, Self::Churn | Self::Pinned | Self::Durable)
    }
}

/// What one run found.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Time of the timed part.
    pub time: Duration,
    /// Operations in it.
    pub operations: u64,
    /// What was read, or what the database holds at the end.
    pub sum: Sum,
}

/// Runs one workload on the database at `path`.
pub fn run<E: Engine>(path: &Path, workload: Workload, work: &Work) -> Measured {
    let n = work.keys;
    let mode =
        if matches!(workload, Workload::Durable | Workload::DurableNew) { Mode::Durable } else { Mode::Fast };
    let engine = E::open(path, mode);
    let random = |seed: u64, count: u64| (0..count).map(move |i| mix(seed << 40 ^ i) % n);
    if workload.starts_loaded() && !workload.writes() {
        // Warm: every page is touched, and the processor has seen the code.
        engine.scan(1);
        engine.get(work, random(99, n / 10));
    }
    let measure = |operations: u64, timed: &mut dyn FnMut() -> Sum| {
        let start = Instant::now();
        let sum = timed();
        Measured { time: start.elapsed(), operations, sum }
    };
    match workload {
        Workload::Load => {
            let mut measured = measure(n, &mut || {
                engine.put(work, 0..n, 0, BATCH);
                Sum::default()
            });
            if work.shape == Shape::Halved {
                // Numbers that no workload asks for.
                engine.put(work, 2 * n..3 * n, 0, BATCH);
                engine.delete(work, 2 * n..3 * n, BATCH);
            }
            measured.sum = engine.scan(1);
            measured
        }
        Workload::Get => measure(2 * n, &mut || engine.get(work, random(1, 2 * n))),
        Workload::Get2 => measure(4 * n, &mut || {
            std::thread::scope(|scope| {
                let halves = [1, 2].map(|seed| {
                    scope.spawn({
                        let engine = &engine;
                        move || engine.get(work, random(seed, 2 * n))
                    })
                });
                let mut sum = Sum::default();
                halves.into_iter().for_each(|half| sum.add(half.join().expect("a reader")));
                sum
            })
        }),
        Workload::Many => measure(2 * n, &mut || engine.get_many(work, random(1, 2 * n))),
        Workload::Missing => {
            measure(2 * n, &mut || engine.get(work, (0..2 * n).map(|i| mix(3 << 40 ^ i) % (2 * n))))
        }
        Workload::GetTx => measure(2 * n, &mut || engine.get_each(work, random(1, 2 * n))),
        Workload::Begin => measure(n, &mut || {
            engine.begin(n);
            Sum::default()
        }),
        Workload::Scan => measure(5 * n, &mut || engine.scan(5)),
        Workload::Range => {
            // Ranges that would meet the end of the key space are shorter; the count of the sum tells.
            let mut measured = measure(0, &mut || engine.range(work, random(4, n / 20)));
            measured.operations = measured.sum.count;
            measured
        }
        Workload::Churn => {
            let mut measured = measure(2 * (n / 2), &mut || {
                engine.delete(work, (0..n / 2).map(|i| 2 * i), BATCH);
                engine.put(work, (0..n / 2).map(|i| 2 * i), 1, BATCH);
                Sum::default()
            });
            measured.sum = engine.scan(1);
            measured
        }
        Workload::Pinned => {
            let writes = n / 5;
            let mut seen = Sum::default();
            let mut measured = measure(writes, &mut || {
                seen = engine.pinned(work, || engine.put(work, random(5, writes), 2, BATCH));
                Sum::default()
            });
            measured.sum = engine.scan(1);
            measured.sum.add(seen);
            measured
        }
        Workload::BigFree => {
            let big = Work { value_bytes: BIGFREE_VALUE_BYTES, ..*work };
            engine.put(&big, 0..n / 20, 0, BATCH);
            engine.delete(&big, 0..n / 20, BATCH);
            // What the last transactions freed becomes free with the next ones.
            engine.put(work, 0..2, 0, 1);
            let mut measured = measure(BIGFREE_COMMITS, &mut || {
                engine.put(work, random(6, BIGFREE_COMMITS), 3, 1);
                Sum::default()
            });
            measured.sum = engine.scan(1);
            measured
        }
        Workload::DurableNew | Workload::Durable => {
            let commits = (n / 100).clamp(10, DURABLE_COMMITS);
            let mut measured = measure(commits, &mut || {
                engine.put(work, random(7, commits), 4, 1);
                Sum::default()
            });
            measured.sum = engine.scan(1);
            measured
        }
    }
}
