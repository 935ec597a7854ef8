//! The page store beside `BTreeMap` and a plain file: gets, gets asked together, scans, loads and durable commits; and what free pages cost where
//! there are ten million.
//!
//! Each answer is checked before it is timed. 100,000 random 16-byte keys with 100-byte values, so the tree has three levels and does not fit the
//! second-level cache. Rivals and the million-key workloads: `benches/compare/pages`.

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use bbolt_pages::free::{FreePages, Run};
use bbolt_pages::page::{Meta, NO_FREELIST};
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

/// Free pages in each of these: every third page is in use.
const FREE_PAGES: [u64; 2] = [1_000, 10_000_000];
/// The page behind `count` free ones.
fn behind(count: u64) -> u64 {
    count + count / 2 + 3
}
fn is_free(page: u64) -> bool {
    !page.is_multiple_of(3)
}

/// What a commit of one key asks: three pages freed, three taken, those of the commit before released.
fn free(c: &mut Criterion) {
    let mut group = c.benchmark_group("bbolt-pages/free");
    for count in FREE_PAGES {
        let ids = || (1..behind(count)).filter(|&page| is_free(page)).take(count as usize);
        let mut free = FreePages::new(ids()).expect("different pages");
        let (mut used, mut txid) = ([1, 2, 4].map(|start| Run { start, length: 1 }), 2);
        used.iter().for_each(|&run| assert_eq!(free.take(1), Some(run)));
        group.bench_function(format!("commit/{count}"), |b| {
            b.iter(|| {
                free.release(&[]);
                let old = used;
                used = [(); 3].map(|()| free.take(1).expect("a page"));
                old.iter().for_each(|&run| free.list(run).expect("in use"));
                free.commit(txid, old.into_iter(), used.into_iter(), false);
                txid += 1;
            });
        });
        assert_eq!(free.free_count() + free.pending_count(), count - 3);
        // Two in a row are anywhere; three are nowhere, which every segment is asked.
        group.bench_function(format!("take-two/{count}"), |b| {
            b.iter(|| {
                let run = free.take(2).expect("two pages");
                free.untake(run);
                run.start
            });
        });
        assert_eq!(free.take(3), None);
        group.bench_function(format!("take-three-in-vain/{count}"), |b| b.iter(|| free.take(3)));
        let mut set: BTreeSet<u64> = ids().collect();
        let mut used = [1, 2, 4];
        used.iter().for_each(|page| assert!(set.remove(page)));
        let mut pending = Vec::new();
        group.bench_function(format!("commit-btreeset/{count}"), |b| {
            b.iter(|| {
                set.extend(pending.drain(..));
                pending.extend(used);
                used = [(); 3].map(|()| set.pop_first().expect("a page"));
            });
        });
        assert_eq!(set.len() + pending.len(), count as usize - 3);
    }
    group.finish();
    let mut group = c.benchmark_group("bbolt-pages/one-key-commit");
    for count in FREE_PAGES {
        let scratch = Scratch::new("free");
        let Some(db) = with_free_pages(&scratch, count) else {
            println!("LEFT OUT: the file system has no file of {count} pages");
            continue;
        };
        assert!(db.stats().free_page_n > count - 10);
        let mut index = 0;
        group.bench_function(format!("unsynced-freelist/{count}"), |b| {
            b.iter(|| {
                index += 1;
                db.update(|tx| tx.bucket_mut(b"b")?.put(&key(index % 1500), &VALUE)).expect("a commit");
            });
        });
        let tx = db.begin_read().expect("a snapshot");
        let found = tx.require(b"b").expect("the bucket").iter().expect("sound pages").count() as u64;
        assert_eq!(found, index.min(1500));
    }
    group.finish();
}

/// A database whose file holds `count` free pages, nearly all of them holes. It lists none of them, so opening it finds them.
fn with_free_pages(scratch: &Scratch, count: u64) -> Option<Db> {
    let options = Options::new().page_size(4096).no_sync(true).no_grow_sync(true).no_freelist_sync(true);
    {
        let db = options.open(&scratch.0).expect("a new database");
        db.update(|tx| tx.create_bucket(b"b").map(drop)).expect("a commit");
        let meta = db.begin_read().expect("a snapshot").meta();
        assert_eq!(meta.freelist, NO_FREELIST);
        let meta = Meta { high_water: meta.high_water + count, ..meta };
        drop(db);
        let mut page = [0; 4096];
        meta.write(meta.txid % 2, &mut page);
        let mut file = std::fs::OpenOptions::new().write(true).open(&scratch.0).expect("the file");
        file.seek(SeekFrom::Start(meta.txid % 2 * 4096)).expect("a place");
        file.write_all(&page).expect("a meta");
        file.set_len((meta.high_water + 1) * 4096).ok()?;
    }
    options.open(&scratch.0).ok()
}

criterion_group!(benches, read, write, free);
criterion_main!(benches);
