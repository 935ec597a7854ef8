//! "A read allocates nothing after its transaction began", and a warm begin allocates nothing either.

use bbolt_pages::{Db, Error, Options};
use bolt_alloc::assert_no_alloc;

use crate::scratch::Scratch;

const KEYS: u32 = 20_000;

fn filled(scratch: &Scratch) -> Db {
    let db = Options::new().no_sync(true).digest_from(0).open(scratch.path("a.db")).unwrap();
    db.update(|tx| {
        let mut outer = tx.create_bucket(b"outer")?;
        let mut bucket = outer.create_bucket(b"inner")?;
        for key in 0..KEYS {
            bucket.put(&key.to_be_bytes(), &[key as u8; 40])?;
        }
        bucket.create_bucket(b"inline")?.put(b"k", b"v")?;
        Ok::<_, Error>(())
    })
    .unwrap();
    db
}

#[test]
fn reading_allocates_nothing() {
    let scratch = Scratch::new("allocations");
    let db = filled(&scratch);
    drop(db.begin_read().unwrap());
    assert_no_alloc(|| {
        for _ in 0..3 {
            let tx = db.begin_read().unwrap();
            let bucket = tx.require(b"outer").unwrap().require(b"inner").unwrap();
            for key in 0..KEYS {
                let value = bucket.get(&key.to_be_bytes()).unwrap();
                assert_eq!(value[0], key as u8);
            }
            assert_eq!(bucket.get(b"missing"), None);
            assert_eq!(bucket.require(b"inline").unwrap().get(b"k"), Some(b"v".as_slice()));
            let mut count = 0;
            for entry in bucket.iter().unwrap() {
                count += u32::from(!entry.unwrap().is_bucket());
            }
            assert_eq!(count, KEYS);
            assert_eq!(bucket.iter().unwrap().rev().count(), KEYS as usize + 1);
            let range = bucket.range(5_u32.to_be_bytes()..=900_u32.to_be_bytes()).unwrap();
            assert_eq!(range.count(), 896);
            assert_eq!(bucket.prefix(&[0, 0, 1]).unwrap().rev().count(), 256);
            let mut cursor = bucket.cursor();
            cursor.seek(&7000_u32.to_be_bytes()).unwrap();
            for _ in 0..5000 {
                cursor.prev().unwrap();
            }
            assert_eq!(cursor.current().unwrap().unwrap().key, 2000_u32.to_be_bytes());
        }
    });
}
