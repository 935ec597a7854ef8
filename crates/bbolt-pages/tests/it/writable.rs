//! Changes that reach the file before their commit, stored into the mapping or by early writes: the same file as without, for this crate and for others;
//! snapshots stay as they were; growth, small pages, waits for the disk.
//!
//! unsafe: allowed here

use std::collections::BTreeMap;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::path::Path;

use bbolt_pages::io::MemoryStorage;
use bbolt_pages::{CheckOptions, Db, Error, MapMode, Options, ReadTx, WriteTx, check, open_shared};

use crate::child;
use crate::scratch::Scratch;

pub(crate) fn writable(options: Options) -> Options {
    // SAFETY: this process is tests in safe code and the standard library; none of it stores through stray pointers.
    unsafe { options.writable_map(true) }
}

/// Whether there is a map.
const MAPPED: bool = cfg!(all(unix, target_pointer_width = "64"));

type Way = fn(Options) -> Options;

/// The ways, and whether every transaction reaches the file before its commit: all changes do, in pages of the usual size and in large ones; of early
/// writes it depends on whether there is a leaf that nothing more is to be done to.
const WAYS: [(Way, bool); 3] = [
    (writable, true),
    (|options| writable(options).large_pages(true), true),
    (|options| options.leaves_kept(1), false),
];

type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

fn compare(tx: &ReadTx<'_>, contents: &Contents) {
    let bucket = tx.require(b"b").unwrap();
    let found = bucket.iter().unwrap().map(|entry| {
        let entry = entry.unwrap();
        (entry.key.to_vec(), entry.value().unwrap().to_vec())
    });
    assert!(found.eq(contents.iter().map(|(key, value)| (key.clone(), value.clone()))));
}

/// A state of the file, opened by ordinary reads: sound, and these contents.
fn assert_holds(path: &Path, contents: &Contents) {
    let file = std::fs::File::open(path).unwrap();
    let report = check(&bbolt_pages::RawFile::new(&file).unwrap(), &CheckOptions::default()).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings.first());
    compare(&Options::new().map_mode(MapMode::Plain).open(path).unwrap().begin_read().unwrap(), contents);
}

/// Some keys put, some deleted, a value of several pages among them.
fn change(db: &Db, contents: &mut Contents, round: u64) {
    db.update(|tx| change_in(tx, contents, round)).unwrap();
}

fn change_in(tx: &mut WriteTx<'_>, contents: &mut Contents, round: u64) -> Result<(), Error> {
    let mut bucket = tx.create_bucket_if_not_exists(b"b")?;
    for step in 0..300 {
        let key = (step * 7919 + round * 104_729).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        let key = key[..3].to_vec();
        if step % 5 == 4 {
            bucket.delete(&key)?;
            contents.remove(&key);
        } else {
            let length = if step == 0 { 20_000 } else { (step % 90) as usize };
            let value = vec![(round + step) as u8; length];
            bucket.put(&key, &value)?;
            contents.insert(key, value);
        }
    }
    Ok(())
}

#[test]
fn stored_pages_are_those_that_writes_would_have_made() {
    let sizes = [(1024, true), (4096, false), (16_384, true)];
    for ((way, _), (page_size, no_sync)) in WAYS.iter().flat_map(|way| sizes.map(|size| (way, size))) {
        let scratch = Scratch::new("writable");
        let path = scratch.path("a.db");
        let options =
            Options::new().page_size(page_size).no_sync(no_sync).alloc_size(64 << 10).digest_from(0);
        let mut contents = Contents::new();
        {
            let db = way(options.clone()).open(&path).unwrap();
            let mut open = Vec::new();
            for round in 0..24 {
                change(&db, &mut contents, round);
                let tx = db.begin_read().unwrap();
                compare(&tx, &contents);
                if round % 6 == 0 {
                    open.push((tx, contents.clone()));
                }
            }
            for (tx, contents) in &open {
                compare(tx, contents);
            }
        }
        let file = open_shared(&path, None).unwrap();
        let report = check(&bbolt_pages::RawFile::new(&file).unwrap(), &CheckOptions::default()).unwrap();
        assert!(report.findings.is_empty(), "{:?}", report.findings.first());
        drop(file);
        // Without the option, by ordinary reads: what was stored is in the file.
        let db = options.map_mode(MapMode::Plain).open(&path).unwrap();
        compare(&db.begin_read().unwrap(), &contents);
        change(&db, &mut contents, 99);
        compare(&db.begin_read().unwrap(), &contents);
    }
}

#[test]
fn a_storage_without_a_path_is_written_to() {
    let memory = MemoryStorage::default();
    let mut contents = Contents::new();
    change(&writable(Options::new()).open_storage(memory.clone()).unwrap(), &mut contents, 0);
    let db = Options::new().open_storage(MemoryStorage::new(memory.to_vec())).unwrap();
    compare(&db.begin_read().unwrap(), &contents);
}

#[test]
fn a_full_limit_is_an_error_and_nothing_is_lost() {
    let scratch = Scratch::new("writable-full");
    let db = writable(Options::new().page_size(4096).no_sync(true).max_size(256 << 10))
        .open(scratch.path("a.db"))
        .unwrap();
    let mut contents = Contents::new();
    change(&db, &mut contents, 0);
    let refused = db.update(|tx| tx.bucket_mut(b"b")?.put(b"large", &vec![1; 300 << 10]));
    assert_eq!(refused.unwrap_err().name(), "max-size-reached");
    compare(&db.begin_read().unwrap(), &contents);
    change(&db, &mut contents, 1);
    compare(&db.begin_read().unwrap(), &contents);
}

/// Where there is a map, edits go to free pages of the file at once, so whatever ends a transaction, and whenever the process dies, the state
/// before it stands. Where there is none (32-bit programs, Windows) they wait for the commit, and the file is not touched before.
#[test]
fn a_transaction_that_comes_to_nothing_leaves_nothing() {
    let sizes = [1024, 4096];
    for (&(way, always), page_size) in WAYS.iter().flat_map(|way| sizes.map(|size| (way, size))) {
        let scratch = Scratch::new("writable-nothing");
        let (path, dead) = (scratch.path("a.db"), scratch.path("dead.db"));
        let options = Options::new().page_size(page_size).no_sync(true).alloc_size(64 << 10).digest_from(0);
        let db = way(options).open(&path).unwrap();
        let mut contents = Contents::new();
        for round in 0..12 {
            change(&db, &mut contents, round);
        }
        let reader = db.begin_read().unwrap();
        let mut edited = false;
        for round in 12..18 {
            let free = db.free_page_ids().unwrap();
            let untouched = std::fs::read(&path).unwrap();
            let mut tx = db.begin_write().unwrap();
            change_in(&mut tx, &mut contents.clone(), round).unwrap();
            // What a process that dies here leaves: edited pages, none of which anybody can reach.
            std::fs::copy(&path, &dead).unwrap();
            let reached = std::fs::read(&dead).unwrap()[..untouched.len()] != untouched;
            if always {
                assert_eq!(reached, MAPPED, "edited in place where there is a map");
            }
            edited |= reached;
            assert_holds(&dead, &contents);
            match round % 3 {
                0 => drop(tx),
                1 => {
                    let panicked = std::panic::catch_unwind(AssertUnwindSafe(move || {
                        let _tx = tx;
                        std::panic::resume_unwind(Box::new("on the way"));
                    }));
                    assert!(panicked.is_err());
                }
                _ => tx.rollback(),
            }
            assert_eq!(db.free_page_ids().unwrap(), free);
            compare(&db.begin_read().unwrap(), &contents);
            change(&db, &mut contents, 100 + round);
            compare(&db.begin_read().unwrap(), &contents);
        }
        assert_eq!(edited, MAPPED, "edited in place, or written, where there is a map");
        drop(reader);
        drop(db);
        assert_holds(&path, &contents);
    }
}

/// A child's life on a disk that is full soon: a transaction that needs more is refused at its commit, and everything acknowledged stays.
pub(crate) fn fill_the_disk(path: &Path) {
    let db = writable(Options::new().page_size(4096).no_sync(true).alloc_size(64 << 10)).open(path).unwrap();
    let mut contents = Contents::new();
    let put = |tx: &mut WriteTx<'_>, round: u32| {
        let mut bucket = tx.create_bucket_if_not_exists(b"b")?;
        (0..400_u32).try_for_each(|key| bucket.put(&(key ^ round << 10).to_be_bytes(), &[round as u8; 90]))
    };
    for round in 0.. {
        assert!(round < 1000, "the disk is never full");
        match db.update(|tx| put(tx, round)) {
            Ok(()) => contents.extend(
                (0..400_u32).map(|key| ((key ^ round << 10).to_be_bytes().to_vec(), vec![round as u8; 90])),
            ),
            Err(error) => {
                assert_eq!(error.name(), "io", "{error}");
                break;
            }
        }
    }
    compare(&db.begin_read().unwrap(), &contents);
    // Small changes go on, in the pages that are free.
    let small = contents.keys().next().unwrap().clone();
    db.update(|tx| tx.bucket_mut(b"b")?.delete(&small)).unwrap();
    contents.remove(&small);
    drop(db);
    assert_holds(path, &contents);
    child::tell("full");
}

/// A child's life on a small disk: the file's length is ahead of its blocks, and something else takes the rest of the disk. What is stored there would end
/// the process.
#[cfg(unix)]
pub(crate) fn store_into_holes(path: &Path) {
    let ballast = path.with_extension("ballast");
    let options = Options::new().page_size(4096).no_sync(true).alloc_size(512 << 10);
    let put = |db: &Db, from: u32, count: u32| {
        db.update(|tx| {
            let mut bucket = tx.create_bucket_if_not_exists(b"b")?;
            (from..from + count).try_for_each(|key| bucket.put(&key.to_be_bytes(), &[7; 90]))
        })
    };
    for mapped_first in [false, true] {
        let _ = std::fs::remove_file(path);
        let mut contents = Contents::new();
        // Made by writes: as long as it will be for a while, with nothing behind most of it.
        put(&options.open(path).unwrap(), 0, 2000).unwrap();
        contents.extend((0..2000_u32).map(|key| (key.to_be_bytes().to_vec(), vec![7; 90])));
        let first = mapped_first.then(|| writable(options.clone()).open(path).unwrap());
        let mut bytes = 1 << 20;
        while bytes > 0 {
            match std::fs::OpenOptions::new()
                .append(true)
                .create(true)
                .open(&ballast)
                .unwrap()
                .write(&vec![1; bytes])
            {
                Ok(written) if written > 0 => {}
                _ => bytes /= 2,
            }
        }
        let db = first.unwrap_or_else(|| writable(options.clone()).open(path).unwrap());
        let mut refused = 0;
        for round in 0..20 {
            match put(&db, 10_000 + 1000 * round, 1000) {
                Ok(()) => contents.extend(
                    (0..1000).map(|key| ((10_000 + 1000 * round + key).to_be_bytes().to_vec(), vec![7; 90])),
                ),
                Err(error) => {
                    assert!(error.to_string().contains("make room"), "{error}");
                    refused += 1;
                }
            }
        }
        assert!(refused > 10, "{refused}");
        compare(&db.begin_read().unwrap(), &contents);
        drop(db);
        assert_holds(path, &contents);
        std::fs::remove_file(&ballast).unwrap();
    }
    child::tell("full");
}

#[test]
#[cfg(unix)]
fn a_full_disk_is_an_error_and_no_bus_error() {
    let scratch = Scratch::new("writable-disk");
    let path = scratch.path("a.db");
    let limits = "trap '' XFSZ; ulimit -f 1000";
    let process = child::start(child::limited(limits, "fill the disk by a map", &path, 0));
    let output = process.wait_with_output().unwrap();
    child::assert_told(&output, "full");
}
