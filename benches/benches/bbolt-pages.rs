//! The page store beside `BTreeMap` and a plain file: gets, gets asked together, scans, loads and durable commits.
//!
//! Each answer is checked before it is timed. 100,000 random 16-byte keys with 100-byte values, so the tree has three levels and does not fit the
//! second-level cache. Rivals and the million-key workloads: `benches/compare/pages`.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::Write as _;
use std::path::PathBuf;

use bbolt_pages::{Db, Error, Options};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const KEYS: u64 = 100_000;
const VALUE: [u8; 100] = [7; 100];
/// Keys asked together.
const TOGETHER: usize = 16;

/// Key number `index`: SplitMix64, twice.
fn key(index: u64) -> [u8; 16] {
    let mut state = index.wrapping_mul(0xD134_2543_DE82_EF95);
    let mut key = [0; 16];
    for half in key.chunks_exact_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        half.copy_from_slice(&(z ^ (z >> 31)).to_be_bytes());
    }
    key
}

/// A file of this run's own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bbolt-pages-bench-{}-{name}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn load(scratch: &Scratch) -> Db {
    let db = Options::new().no_sync(true).open(&scratch.0).expect("a new database");
    for first in (0..KEYS).step_by(1000) {
        db.update(|tx| {
            let mut bucket = tx.create_bucket_if_not_exists(b"b")?;
            for index in first..first + 1000 {
                bucket.put(&key(index), &VALUE)?;
            }
            Ok::<_, Error>(())
        })
        .expect("a commit");
    }
    db
}

fn read(c: &mut Criterion) {
    let scratch = Scratch::new("read");
    let db = load(&scratch);
    let tx = db.begin_read().expect("a snapshot");
    let bucket = tx.require(b"b").expect("the bucket");
    let map: BTreeMap<[u8; 16], [u8; 100]> = (0..KEYS).map(|index| (key(index), VALUE)).collect();
    let order: Vec<[u8; 16]> = (0..KEYS).map(|index| key(index * 48_271 % KEYS)).collect();

    let mut group = c.benchmark_group("bbolt-pages/get");
    group.throughput(Throughput::Elements(KEYS));
    let pass = || order.iter().map(|key| bucket.get(key).expect("a value").len()).sum::<usize>();
    assert_eq!(pass(), KEYS as usize * VALUE.len());
    group.bench_function("one-by-one", |b| b.iter(pass));
    let pass = || {
        let mut sum = 0;
        for keys in order.chunks(TOGETHER) {
            let keys: Vec<&[u8]> = keys.iter().map(<[u8; 16]>::as_slice).collect();
            let mut values = [None; TOGETHER];
            bucket.get_many(&keys, &mut values).expect("sound pages");
            sum += values.iter().flatten().map(|value| value.len()).sum::<usize>();
        }
        sum
    };
    assert_eq!(pass(), KEYS as usize * VALUE.len());
    group.bench_function("many", |b| b.iter(pass));
    let pass = || order.iter().map(|key| map.get(key).expect("a value").len()).sum::<usize>();
    assert_eq!(pass(), KEYS as usize * VALUE.len());
    group.bench_function("btreemap", |b| b.iter(pass));
    group.finish();

    let mut group = c.benchmark_group("bbolt-pages/scan");
    group.throughput(Throughput::Elements(KEYS));
    let pass = || {
        let entries = bucket.iter().expect("sound pages");
        entries.map(|entry| usize::from(entry.expect("an entry").key[0])).sum::<usize>()
    };
    let expected = map.keys().map(|key| usize::from(key[0])).sum::<usize>();
    assert_eq!(pass(), expected);
    group.bench_function("iterator", |b| b.iter(pass));
    group.bench_function("btreemap", |b| {
        b.iter(|| black_box(&map).keys().map(|key| usize::from(key[0])).sum::<usize>());
    });
    group.finish();

    c.bench_function("bbolt-pages/begin-read", |b| b.iter(|| db.begin_read().expect("a snapshot").txid()));
}

fn write(c: &mut Criterion) {
    let mut group = c.benchmark_group("bbolt-pages/write");
    group.sample_size(10);
    group.throughput(Throughput::Elements(1000));
    let scratch = Scratch::new("write");
    let db = load(&scratch);
    let mut round = 0;
    group.bench_function("overwrite-1000", |b| {
        b.iter(|| {
            round += 1;
            db.update(|tx| {
                let mut bucket = tx.bucket_mut(b"b")?;
                for index in 0..1000 {
                    bucket.put(&key((index * 97 + round) % KEYS), &VALUE)?;
                }
                Ok::<_, Error>(())
            })
            .expect("a commit");
        });
    });
    let tx = db.begin_read().expect("a snapshot");
    assert_eq!(tx.require(b"b").expect("the bucket").iter().expect("sound pages").count(), KEYS as usize);
    group.throughput(Throughput::Elements(1));
    let scratch = Scratch::new("durable");
    let durable = Db::open(&scratch.0).expect("a new database");
    let mut index = 0;
    group.bench_function("durable-commit", |b| {
        b.iter(|| {
            index += 1;
            durable
                .update(|tx| tx.create_bucket_if_not_exists(b"b")?.put(&key(index % 1500), &VALUE))
                .expect("a commit");
        });
    });
    // What the two barriers cost alone.
    let scratch = Scratch::new("plain");
    let mut file = std::fs::File::create(&scratch.0).expect("a file");
    group.bench_function("two-plain-writes-and-syncs", |b| {
        b.iter(|| {
            for _ in 0..2 {
                file.write_all(&[7; 4096]).expect("a write");
                file.sync_data().expect("a sync");
            }
        });
    });
    group.finish();
}

criterion_group!(benches, read, write);
criterion_main!(benches);
