//! Lookups and ranges through digests: the same answers as without, while pages are written anew and older states are still open, for keys of
//! every kind; and the bound on their memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use bbolt_pages::{Bucket, Db, Entry, Error, Options, ReadTx, Value};

use crate::scratch::Scratch;

const KEYS: u64 = 2400;

fn mix(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Key `id` of a kind: random, with a long common prefix, of many sizes, ascending.
fn key(kind: u64, id: u64) -> Vec<u8> {
    let random = mix(id);
    match kind {
        0 => random.to_be_bytes().repeat(2),
        1 => format!("tenant-{:02}/object/by-name/{random:016x}", random % 3).into_bytes(),
        2 => random.to_be_bytes().repeat(1 + (random % 20) as usize),
        _ => id.to_be_bytes().to_vec(),
    }
}

type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

/// One by one and together, those that are there and those that are not.
fn compare(tx: &ReadTx<'_>, contents: &Contents, kind: u64) {
    let bucket = tx.require(b"b").unwrap();
    compare_ranges(&bucket, contents, kind, tx.txid());
    let keys: Vec<Vec<u8>> = (0..KEYS + KEYS / 4).map(|id| key(kind, id)).collect();
    for keys in keys.chunks(23) {
        let asked: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let mut together = vec![None; asked.len()];
        bucket.get_many(&asked, &mut together).unwrap();
        for (key, together) in asked.iter().zip(together) {
            let expected = contents.get(*key).map(Vec::as_slice);
            assert_eq!(bucket.get(key), expected);
            assert_eq!(together, expected);
        }
    }
}

type Pair<'a> = (&'a [u8], &'a [u8]);

fn pair(entry: Entry<'_>) -> Pair<'_> {
    match entry.value {
        Value::Bytes(value) => (entry.key, value),
        Value::Bucket(_) => unreachable!("no bucket was made"),
    }
}

/// Ranges with every kind of bound, walked from both ends by turns that `seed` chooses, and a cursor that seeks and turns around.
fn compare_ranges(bucket: &Bucket<'_>, contents: &Contents, kind: u64, seed: u64) {
    let mut step = mix(seed);
    let mut random = |below: u64| {
        step = mix(step);
        step % below
    };
    for _ in 0..12 {
        let mut bound = |most: u64| {
            let key = key(kind, random(KEYS + KEYS / 4));
            [Bound::Included(key.clone()), Bound::Excluded(key), Bound::Unbounded][random(most) as usize]
                .clone()
        };
        let (start, end) = (bound(3), bound(3));
        let inverted = match (&start, &end) {
            (Bound::Included(start), Bound::Included(end)) => start > end,
            (
                Bound::Included(start) | Bound::Excluded(start),
                Bound::Included(end) | Bound::Excluded(end),
            ) => start >= end,
            _ => false,
        };
        // Which way to go: mostly forward, mostly back, or one side alone.
        let back_of_eight = [0, 1, 4, 7, 8][random(5) as usize];
        let mut found = bucket.range::<Vec<u8>>((start.as_ref(), end.as_ref())).unwrap();
        let none = Contents::new();
        let mut expected = if inverted {
            none.range::<Vec<u8>, _>(..)
        } else {
            contents.range((start.clone(), end.clone()))
        };
        for _ in 0..random(KEYS) {
            let (found, expected) = if random(8) < back_of_eight {
                (found.next_back(), expected.next_back())
            } else {
                (found.next(), expected.next())
            };
            let found = found.map(|entry| pair(entry.unwrap()));
            assert_eq!(found, expected.map(|(key, value)| (&key[..], &value[..])), "{start:?} {end:?}");
            if found.is_none() {
                break;
            }
        }
        let sought = key(kind, random(KEYS + KEYS / 4));
        let mut cursor = bucket.cursor();
        let mut found = cursor.seek(&sought).unwrap().map(pair);
        let mut expected = contents.range(sought.clone()..).next();
        for _ in 0..random(200) {
            assert_eq!(found, expected.map(|(key, value)| (&key[..], &value[..])), "{sought:?}");
            let Some((at, _)) = expected else { break };
            let forward = random(8) != 0;
            let beside = if forward {
                contents.range((Bound::Excluded(at.clone()), Bound::Unbounded)).next()
            } else {
                contents.range(..at.clone()).next_back()
            };
            found = if forward { cursor.next() } else { cursor.prev() }.unwrap().map(pair);
            expected = beside;
        }
    }
}

fn write(db: &Db, contents: &mut Contents, kind: u64, round: u64) {
    db.update(|tx| {
        let mut bucket = tx.create_bucket_if_not_exists(b"b")?;
        for step in 0..KEYS / if round == 0 { 1 } else { 5 } {
            let id = if round == 0 { step } else { mix(round << 32 | step) % KEYS };
            let key = key(kind, id);
            if round % 3 == 1 {
                bucket.delete(&key)?;
                contents.remove(&key);
            } else {
                let value = vec![round as u8; (mix(id ^ round) % 60) as usize];
                bucket.put(&key, &value)?;
                contents.insert(key, value);
            }
        }
        Ok::<_, Error>(())
    })
    .unwrap();
}

#[test]
fn lookups_and_ranges_are_right_while_pages_are_written_anew() {
    // A table with room for all, and one in which pages fight for places.
    for (kind, digest_bytes) in [(0, 1 << 20), (1, 1 << 20), (2, 1 << 20), (3, 1 << 20), (0, 20_000)] {
        let scratch = Scratch::new("digests");
        let options = Options::new().page_size(1024).no_sync(true).digest_from(0).digest_bytes(digest_bytes);
        let db = options.open(scratch.path("a.db")).unwrap();
        let mut contents = Contents::new();
        let mut open = Vec::new();
        for round in 0..8 {
            write(&db, &mut contents, kind, round);
            let tx = db.begin_read().unwrap();
            for _ in 0..3 {
                compare(&tx, &contents, kind);
            }
            // Every other state stays open, and is asked again among the later ones.
            if round % 2 == 0 {
                open.push((tx, contents.clone()));
            }
            for (tx, contents) in open.iter().skip(1) {
                compare(tx, contents, kind);
            }
            if round == 5 {
                open.clear();
            }
        }
        let memory = db.memory();
        assert!(memory.digests_built > 0);
        assert!(memory.digest_bytes > 0 && memory.digest_bytes <= digest_bytes, "{memory:?}");
    }
}

#[test]
fn threads_learn_beside_a_writer() {
    let scratch = Scratch::new("digests-threads");
    let options = Options::new().page_size(1024).no_sync(true).digest_from(0).digest_bytes(60_000);
    let db = options.open(scratch.path("a.db")).unwrap();
    // Every key has the round as its value, so each state has one value only.
    let write = |round: u64| {
        db.update(|tx| {
            let mut bucket = tx.create_bucket_if_not_exists(b"b")?;
            // Values that grow and shrink move keys from page to page.
            let value = [round.to_le_bytes(); 6];
            for id in 0..KEYS / 4 {
                bucket.put(&key(id % 3, id), &value.as_flattened()[..8 + (round % 5) as usize * 8])?;
            }
            Ok::<_, Error>(())
        })
        .unwrap();
    };
    write(0);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for seed in 0..2 {
            let (db, done) = (&db, &done);
            scope.spawn(move || {
                let mut step = mix(seed);
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let tx = db.begin_read().unwrap();
                    let bucket = tx.require(b"b").unwrap();
                    let round = bucket.get(&key(0, 0)).unwrap()[..8].to_vec();
                    for _ in 0..500 {
                        step = mix(step);
                        let id = step % (KEYS / 4);
                        assert_eq!(bucket.get(&key(id % 3, id)).unwrap()[..8], round, "one state");
                        assert_eq!(bucket.get(&key(id % 3, id + KEYS)), None);
                    }
                }
            });
        }
        for round in 1..30 {
            write(round);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn small_files_plain_reads_and_a_budget_of_nothing_have_none() {
    let scratch = Scratch::new("digests-none");
    let mut contents = Contents::new();
    let built = |options: Options, name: &str, contents: &mut Contents| {
        let db = options.page_size(1024).no_sync(true).open(scratch.path(name)).unwrap();
        write(&db, contents, 0, 0);
        let tx = db.begin_read().unwrap();
        compare(&tx, contents, 0);
        compare(&tx, contents, 0);
        db.memory().digests_built
    };
    assert_eq!(built(Options::new(), "small", &mut contents), 0);
    assert_eq!(built(Options::new().digest_from(0).digest_bytes(0), "nothing", &mut contents), 0);
    let plain = Options::new().digest_from(0).map_mode(bbolt_pages::MapMode::Plain);
    assert_eq!(built(plain, "plain", &mut contents), 0);
    assert_ne!(built(Options::new().digest_from(0), "some", &mut contents), 0);
}
