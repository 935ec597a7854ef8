//! Opening, reading, writing, and what is left after reopening.

use std::time::Duration;

use bbolt_pages::io::MemoryStorage;
use bbolt_pages::{Db, MapMode, Refusal};
use bbolt_pages::{Error, Options, Usage};

use crate::scratch::Scratch;

#[test]
fn what_is_committed_is_there_after_reopening() {
    let scratch = Scratch::new("reopen");
    let path = scratch.path("a.db");
    {
        let db = Db::open(&path).unwrap();
        db.update(|tx| {
            let mut users = tx.create_bucket(b"users")?;
            users.put(b"ada", b"1815")?;
            users.put(b"empty", b"")?;
            users.set_sequence(7)?;
            let mut nested = users.create_bucket(b"nested")?;
            nested.put(b"deep", &[7; 5000])?;
            Ok::<_, Error>(())
        })
        .unwrap();
    }
    for mode in [MapMode::Mapped, MapMode::Plain] {
        let db = Options::new().read_only(true).map_mode(mode).open(&path).unwrap();
        let tx = db.begin_read().unwrap();
        let users = tx.require(b"users").unwrap();
        assert_eq!(users.get(b"ada"), Some(b"1815".as_slice()));
        assert_eq!(users.get(b"empty"), Some(b"".as_slice()));
        assert_eq!(users.get(b"nested"), None);
        assert_eq!(users.get(b"missing"), None);
        assert_eq!(users.sequence(), 7);
        assert_eq!(users.require(b"nested").unwrap().get(b"deep"), Some([7; 5000].as_slice()));
        assert_eq!(tx.txid(), 2);
        assert!(matches!(db.begin_write(), Err(Error::Usage(Usage::DatabaseReadOnly))));
        assert!(matches!(db.free_page_ids(), Err(Error::Usage(Usage::FreePagesNotLoaded))));
    }
}

#[test]
fn a_write_transaction_sees_its_changes_and_nobody_else_does() {
    let db = Options::new().open_storage(MemoryStorage::default()).unwrap();
    let before = db.begin_read().unwrap();
    let mut tx = db.begin_write().unwrap();
    tx.create_bucket(b"b").unwrap().put(b"k", b"v").unwrap();
    assert_eq!(tx.bucket(b"b").unwrap().unwrap().get(b"k"), Some(b"v".as_slice()));
    assert!(db.begin_read().unwrap().bucket(b"b").unwrap().is_none());
    tx.commit().unwrap();
    assert!(before.bucket(b"b").unwrap().is_none());
    assert!(db.begin_read().unwrap().bucket(b"b").unwrap().is_some());
    db.update(|tx| {
        tx.delete_bucket(b"b")?;
        Err::<(), Error>(Usage::NoEntry.into())
    })
    .unwrap_err();
    assert!(db.begin_read().unwrap().bucket(b"b").unwrap().is_some());
}

#[test]
fn a_lock_is_waited_for_and_then_given_up() {
    let scratch = Scratch::new("lock");
    let path = scratch.path("a.db");
    let first = Db::open(&path).unwrap();
    let options = Options::new().timeout(Duration::from_millis(20));
    let error = options.open(&path).unwrap_err();
    assert!(
        matches!(&error, Error::Refused(refusal) if matches!(**refusal, Refusal::Timeout { .. })),
        "{error}"
    );
    assert!(error.is_retryable());
    drop(first);
    let shared = options.clone().read_only(true);
    let (one, two) = (shared.open(&path).unwrap(), shared.open(&path).unwrap());
    assert_eq!(options.open(&path).unwrap_err().name(), "timeout");
    drop((one, two));
    options.open(&path).unwrap();
}

#[test]
fn what_is_no_database_is_refused_by_name() {
    let scratch = Scratch::new("refused");
    let path = scratch.path("a.db");
    assert_eq!(Options::new().read_only(true).open(&path).unwrap_err().name(), "not-found");
    std::fs::write(&path, [0; 10_000]).unwrap();
    assert_eq!(Db::open(&path).unwrap_err().name(), "invalid-database");
    std::fs::write(&path, b"short").unwrap();
    assert_eq!(Db::open(&path).unwrap_err().name(), "file-too-small");
    std::fs::remove_file(&path).unwrap();
    Db::open(&path).unwrap();
    let sound = std::fs::read(&path).unwrap();
    let mut swapped = sound.clone();
    swapped[16..20].reverse();
    swapped[4096 + 16..4096 + 20].reverse();
    std::fs::write(&path, &swapped).unwrap();
    assert_eq!(Db::open(&path).unwrap_err().name(), "byte-swapped");
    std::fs::write(&path, &sound[..3 * 4096]).unwrap();
    assert_eq!(Db::open(&path).unwrap_err().name(), "file-too-small");
    assert_eq!(Options::new().page_size(512).open(scratch.path("b.db")).unwrap_err().name(), "bad-option");
}

#[test]
fn an_empty_file_becomes_a_database_and_nothing_is_left_beside_it() {
    let scratch = Scratch::new("empty");
    let path = scratch.path("a.db");
    std::fs::write(&path, b"").unwrap();
    let db = Db::open(&path).unwrap();
    db.update(|tx| tx.create_bucket(b"b").map(|_| ())).unwrap();
    drop(db);
    assert!(Db::open(&path).unwrap().begin_read().unwrap().bucket(b"b").unwrap().is_some());
    assert_eq!(std::fs::read_dir(scratch.path(".")).unwrap().count(), 1);
}

#[test]
fn growth_waits_for_no_reader_and_a_reader_sees_its_snapshot_through_it() {
    let scratch = Scratch::new("growth");
    // A small reservation, so that the file outgrows it several times.
    let db = Options::new().no_sync(true).open(scratch.path("a.db")).unwrap();
    db.update(|tx| tx.create_bucket(b"b")?.put(b"k", b"first")).unwrap();
    let reader = db.begin_read().unwrap();
    let bucket = reader.require(b"b").unwrap();
    let value = bucket.get(b"k").unwrap();
    let rounds = if cfg!(bolt_tsan) { 4 } else { 40_u8 };
    for round in 0..rounds {
        db.update(|tx| tx.bucket_mut(b"b")?.put(&[round], &vec![round; 1 << 20])).unwrap();
        assert_eq!(value, b"first");
    }
    assert_eq!(bucket.get(&[1]), None);
    let last = db.begin_read().unwrap().require(b"b").unwrap().get(&[rounds - 1]).map(<[u8]>::len);
    assert_eq!(last, Some(1 << 20));
}

#[test]
fn transactions_may_own_the_database() {
    let scratch = Scratch::new("owned");
    let db = Db::open(scratch.path("a.db")).unwrap();
    let mut tx = db.begin_write_owned().unwrap();
    tx.create_bucket(b"b").unwrap().put(b"k", b"v").unwrap();
    tx.commit().unwrap();
    let tx = db.begin_read_owned().unwrap();
    drop(db);
    std::thread::spawn(move || {
        assert_eq!(tx.require(b"b").unwrap().get(b"k"), Some(b"v".as_slice()));
    })
    .join()
    .unwrap();
}

#[test]
fn max_size_is_kept_and_the_database_stays_usable() {
    let db = Options::new().max_size(1 << 16).open_storage(MemoryStorage::default()).unwrap();
    db.update(|tx| tx.create_bucket(b"b")?.put(b"k", b"v")).unwrap();
    let error = db.update(|tx| tx.bucket_mut(b"b")?.put(b"big", &[0; 1 << 17])).unwrap_err();
    assert_eq!(error.name(), "max-size-reached");
    db.update(|tx| tx.bucket_mut(b"b")?.put(b"small", &[0; 100])).unwrap();
    let tx = db.begin_read().unwrap();
    assert_eq!(tx.require(b"b").unwrap().get(b"big"), None);
    assert_eq!(tx.require(b"b").unwrap().get(b"small"), Some([0; 100].as_slice()));
}

#[test]
fn cursors_turn_around_at_the_ends() {
    let db = Options::new().open_storage(MemoryStorage::default()).unwrap();
    db.update(|tx| {
        let mut bucket = tx.create_bucket(b"b")?;
        for key in 0..200_u8 {
            bucket.put(&[key + 1], &[0; 50])?;
        }
        Ok::<_, Error>(())
    })
    .unwrap();
    let tx = db.begin_read().unwrap();
    let mut cursor = tx.require(b"b").unwrap().cursor();
    let key =
        |entry: bbolt_pages::Result<Option<bbolt_pages::Entry<'_>>>| entry.unwrap().map(|entry| entry.key[0]);
    assert_eq!(key(cursor.next()), None);
    assert_eq!(key(cursor.prev()), None);
    assert_eq!(key(cursor.first()), Some(1));
    assert_eq!(key(cursor.prev()), None);
    assert_eq!(key(cursor.next()), Some(2));
    assert_eq!(key(cursor.last()), Some(200));
    assert_eq!(key(cursor.next()), None);
    assert_eq!(key(cursor.next()), None);
    assert_eq!(key(cursor.prev()), Some(199));
    assert_eq!(key(cursor.seek(&[201])), None);
    assert_eq!(key(cursor.next()), None);
    assert_eq!(key(cursor.prev()), Some(200));
    assert_eq!(key(cursor.seek(b"")), Some(1));
    assert_eq!(key(cursor.seek(&[100, 0])), Some(101));
}

#[test]
fn batch_joins_callers_and_isolates_the_one_that_fails() {
    let scratch = Scratch::new("batch");
    let db = Db::open(scratch.path("a.db")).unwrap();
    db.update(|tx| tx.create_bucket(b"b").map(|_| ())).unwrap();
    let before = db.begin_read().unwrap().txid();
    std::thread::scope(|scope| {
        for caller in 0..16_u8 {
            let db = &db;
            scope.spawn(move || {
                let result = db.batch(|tx| {
                    let mut bucket = tx.bucket_mut(b"b")?;
                    bucket.put(&[caller], b"v")?;
                    if caller == 5 {
                        return Err(Usage::NoEntry.into());
                    }
                    Ok(())
                });
                assert_eq!(result.is_err(), caller == 5);
            });
        }
    });
    let tx = db.begin_read().unwrap();
    let keys: Vec<u8> =
        tx.require(b"b").unwrap().iter().unwrap().map(|entry| entry.unwrap().key[0]).collect();
    assert_eq!(keys, (0..16).filter(|&caller| caller != 5).collect::<Vec<_>>());
    assert!(tx.txid() - before < 15, "callers shared transactions");
}

#[test]
fn any_page_size_of_bbolt_opens_and_strict_mode_verifies_each_commit() {
    for page_size in [1024, 5000, 12_288, 65_536] {
        let storage = MemoryStorage::default();
        let options = Options::new().page_size(page_size).strict_mode(true);
        let db = options.open_storage(storage.clone()).unwrap();
        for round in 0..20_u8 {
            db.update(|tx| {
                let mut bucket = tx.create_bucket_if_not_exists(b"b")?;
                for key in 0..50_u8 {
                    bucket.put(&[key.wrapping_mul(round), round], &vec![key; usize::from(key) * 8])?;
                }
                Ok::<_, Error>(())
            })
            .unwrap();
        }
        drop(db);
        let db = options.open_storage(storage).unwrap();
        assert_eq!(db.page_size(), page_size);
        let tx = db.begin_read().unwrap();
        assert!(tx.require(b"b").unwrap().get(&[0, 19]).is_some());
    }
}

#[test]
fn many_keys_are_looked_up_as_one_by_one() {
    let db = Options::new().page_size(1024).open_storage(MemoryStorage::default()).unwrap();
    db.update(|tx| {
        let mut bucket = tx.create_bucket(b"b")?;
        for key in (0..4000_u32).step_by(2) {
            bucket.put(&key.to_be_bytes(), &key.to_le_bytes())?;
        }
        bucket.create_bucket(&[0, 0, 0, 1])?.put(b"inline", b"v")?;
        Ok::<_, Error>(())
    })
    .unwrap();
    let tx = db.begin_read().unwrap();
    let bucket = tx.require(b"b").unwrap();
    let inline = bucket.require(&[0, 0, 0, 1]).unwrap();
    let keys: Vec<[u8; 4]> = (0..4001_u32).map(|number| (number * 7 % 4001).to_be_bytes()).collect();
    for count in [0, 1, 15, 16, 17, 4001] {
        let keys: Vec<&[u8]> = keys[..count].iter().map(|key| key.as_slice()).collect();
        let mut values = vec![None; count];
        bucket.get_many(&keys, &mut values).unwrap();
        for (key, value) in keys.iter().zip(&values) {
            assert_eq!(*value, bucket.get(key));
        }
    }
    let mut values = [None; 2];
    inline.get_many(&[b"inline", b"x"], &mut values).unwrap();
    assert_eq!(values, [Some(b"v".as_slice()), None]);
}
