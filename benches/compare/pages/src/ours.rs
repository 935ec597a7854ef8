//! bbolt-pages: as it is, and with commits that store into its mapping, which is unsafe to ask for.
//!
//! unsafe: allowed here

use std::path::Path;

use bbolt_pages::{Db, Options};

use crate::work::{Engine, KEY_MAX, Mode, RANGE_LENGTH, Sum, TOGETHER, Work};

const BUCKET: &[u8] = b"kv";

/// Our own store; `SYNCED_FREELIST` says whether each commit writes the free list, as bbolt does unless told otherwise; `WRITE_MAP` chooses the
/// writable map.
pub struct Ours<const SYNCED_FREELIST: bool, const WRITE_MAP: bool> {
    db: Db,
}

impl<const SYNCED_FREELIST: bool, const WRITE_MAP: bool> Engine for Ours<SYNCED_FREELIST, WRITE_MAP> {
    fn open(path: &Path, mode: Mode) -> Self {
        let options = Options::new()
            .page_size(4096)
            .no_sync(mode == Mode::Fast)
            .no_grow_sync(mode == Mode::Fast)
            .no_freelist_sync(!SYNCED_FREELIST)
            // With a writable map large pages are for what is not synced.
            .large_pages(WRITE_MAP && mode == Mode::Fast);
        // SAFETY: this process runs one workload and stores through no pointers of its own.
        let options = unsafe { options.writable_map(WRITE_MAP) };
        let db = options.open(path).expect("a database");
        db.update(|tx| tx.create_bucket_if_not_exists(BUCKET).map(|_| ())).expect("a bucket");
        Self { db }
    }

    fn put(&self, work: &Work, ids: impl Iterator<Item = u64>, version: u64, batch: usize) {
        let (mut key, mut value) = ([0; KEY_MAX], Vec::new());
        let mut ids = ids.peekable();
        while ids.peek().is_some() {
            let mut tx = self.db.begin_write().expect("a writer");
            let mut bucket = tx.bucket_mut(BUCKET).expect("a bucket");
            for id in ids.by_ref().take(batch) {
                let key = work.shape.key(id, &mut key);
                bucket.put(key, work.value(id, version, &mut value)).expect("a put");
            }
            tx.commit().expect("a commit");
        }
    }

    fn delete(&self, work: &Work, ids: impl Iterator<Item = u64>, batch: usize) {
        let mut key = [0; KEY_MAX];
        let mut ids = ids.peekable();
        while ids.peek().is_some() {
            let mut tx = self.db.begin_write().expect("a writer");
            let mut bucket = tx.bucket_mut(BUCKET).expect("a bucket");
            for id in ids.by_ref().take(batch) {
                bucket.delete(work.shape.key(id, &mut key)).expect("a delete");
            }
            tx.commit().expect("a commit");
        }
    }

    fn get(&self, work: &Work, ids: impl Iterator<Item = u64>) -> Sum {
        let tx = self.db.begin_read().expect("a reader");
        let bucket = tx.require(BUCKET).expect("a bucket");
        let (mut key, mut sum) = ([0; KEY_MAX], Sum::default());
        for id in ids {
            if let Some(value) = bucket.get(work.shape.key(id, &mut key)) {
                sum.value(value);
            }
        }
        sum
    }

    fn get_many(&self, work: &Work, ids: impl Iterator<Item = u64>) -> Sum {
        let tx = self.db.begin_read().expect("a reader");
        let bucket = tx.require(BUCKET).expect("a bucket");
        let (mut rooms, mut sum) = ([[0; KEY_MAX]; TOGETHER], Sum::default());
        let mut ids = ids.peekable();
        while ids.peek().is_some() {
            let mut keys: [&[u8]; TOGETHER] = [&[]; TOGETHER];
            let mut count = 0;
            for ((room, key), id) in rooms.iter_mut().zip(&mut keys).zip(ids.by_ref().take(TOGETHER)) {
                *key = work.shape.key(id, room);
                count += 1;
            }
            let mut values = [None; TOGETHER];
            bucket.get_many(&keys[..count], &mut values[..count]).expect("many gets");
            values.into_iter().flatten().for_each(|value| sum.value(value));
        }
        sum
    }

    fn get_each(&self, work: &Work, ids: impl Iterator<Item = u64>) -> Sum {
        let (mut key, mut sum) = ([0; KEY_MAX], Sum::default());
        for id in ids {
            let tx = self.db.begin_read().expect("a reader");
            if let Some(value) = tx.require(BUCKET).expect("a bucket").get(work.shape.key(id, &mut key)) {
                sum.value(value);
            }
        }
        sum
    }

    fn scan(&self, rounds: usize) -> Sum {
        let tx = self.db.begin_read().expect("a reader");
        let bucket = tx.require(BUCKET).expect("a bucket");
        let mut sum = Sum::default();
        for _ in 0..rounds {
            for entry in bucket.iter().expect("an iterator") {
                let entry = entry.expect("an entry");
                sum.entry(entry.key, entry.value().expect("a value"));
            }
        }
        sum
    }

    fn range(&self, work: &Work, ids: impl Iterator<Item = u64>) -> Sum {
        let tx = self.db.begin_read().expect("a reader");
        let bucket = tx.require(BUCKET).expect("a bucket");
        let (mut key, mut sum) = ([0; KEY_MAX], Sum::default());
        for id in ids {
            let range = bucket.range(work.shape.key(id, &mut key)..).expect("a range");
            for entry in range.take(RANGE_LENGTH) {
                let entry = entry.expect("an entry");
                sum.entry(entry.key, entry.value().expect("a value"));
            }
        }
        sum
    }

    fn begin(&self, count: u64) {
        for _ in 0..count {
            std::hint::black_box(self.db.begin_read().expect("a reader"));
        }
    }

    fn pinned(&self, work: &Work, during: impl FnOnce()) -> Sum {
        let tx = self.db.begin_read().expect("a reader");
        during();
        let (mut key, mut sum) = ([0; KEY_MAX], Sum::default());
        sum.value(tx.require(BUCKET).expect("a bucket").get(work.shape.key(0, &mut key)).expect("key 0"));
        sum
    }
}
