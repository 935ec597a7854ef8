//! Commits that store into the mapping: the same file as by writes, for this crate and for others; snapshots stay as they were; growth, small
//! pages, waits for the disk.
//!
//! unsafe: allowed here

use std::collections::BTreeMap;

use bbolt_pages::io::MemoryStorage;
use bbolt_pages::{CheckOptions, Db, Error, Options, ReadTx, check, open_shared};

use crate::scratch::Scratch;

fn writable(options: Options) -> Options {
    // SAFETY: this process is tests in safe code and the standard library; none of it stores through stray pointers.
    unsafe { options.writable_map(true) }
}

type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

fn compare(tx: &ReadTx<'_>, contents: &Contents) {
    let bucket = tx.require(b"b").unwrap();
    let found = bucket.iter().unwrap().map(|entry| {
        let entry = entry.unwrap();
        (entry.key.to_vec(), entry.value().unwrap().to_vec())
    });
    assert!(found.eq(contents.iter().map(|(key, value)| (key.clone(), value.clone()))));
}

/// Some keys put, some deleted, a value of several pages among them.
fn change(db: &Db, contents: &mut Contents, round: u64) {
    db.update(|tx| {
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
        Ok::<_, Error>(())
    })
    .unwrap();
}

#[test]
fn stored_pages_are_those_that_writes_would_have_made() {
    for (page_size, no_sync) in [(1024, true), (4096, false), (16_384, true)] {
        let scratch = Scratch::new("writable");
        let path = scratch.path("a.db");
        let options =
            Options::new().page_size(page_size).no_sync(no_sync).alloc_size(64 << 10).digest_from(0);
        let mut contents = Contents::new();
        {
            let db = writable(options.clone()).open(&path).unwrap();
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
        let db = options.map_mode(bbolt_pages::MapMode::Plain).open(&path).unwrap();
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
