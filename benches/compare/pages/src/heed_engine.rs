//! heed 0.23, which is LMDB: the plain environment, and the one that writes through its map. Owns nothing shared. Opening an
//! environment is unsafe in heed's interface.
//!
//! unsafe: allowed here

use std::path::Path;

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, WithoutTls};

use crate::work::{Engine, KEY_MAX, Mode, RANGE_LENGTH, Sum, Work};

/// Far above what any workload reaches; only address space is taken.
const MAP_BYTES: usize = 16 << 30;

/// LMDB; `WRITE_MAP` chooses its writable map.
pub struct Heed<const WRITE_MAP: bool> {
    env: &'static Env<WithoutTls>,
    database: Database<'static, Bytes, Bytes>,
}

impl<const WRITE_MAP: bool> Engine for Heed<WRITE_MAP> {
    fn open(path: &Path, mode: Mode) -> Self {
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(MAP_BYTES).max_dbs(1).max_readers(16);
        let mut flags = EnvFlags::NO_SUB_DIR | EnvFlags::NO_READ_AHEAD;
        if mode == Mode::Fast {
            flags |= EnvFlags::NO_SYNC;
        }
        if WRITE_MAP {
            flags |= EnvFlags::WRITE_MAP;
            if mode == Mode::Fast {
                flags |= EnvFlags::MAP_ASYNC;
            }
        }
        // SAFETY: the flags are LMDB's own and the file is this process's alone.
        unsafe { options.flags(flags) };
        // SAFETY: the environment is opened once in this process, and no other process touches the file meanwhile.
        let env = unsafe { options.open(path) }.expect("an environment");
        // Lives as long as the process, which runs one workload.
        let env: &'static Env<WithoutTls> = Box::leak(Box::new(env));
        let txn = env.write_txn().expect("a writer");
        let database = env
            .create_databases_and_commit(txn, |opener, txn| -> heed::Result<_> {
                opener.create_database(txn, Some("kv")).map(CommitOrAbort::<_, ()>::Commit)
            })
            .expect("a database")
            .unwrap_commit();
        Self { env, database }
    }

    fn put(&self, work: &Work, ids: impl Iterator<Item = u64>, version: u64, batch: usize) {
        let (mut key, mut value) = ([0; KEY_MAX], Vec::new());
        let mut ids = ids.peekable();
        while ids.peek().is_some() {
            let mut txn = self.env.write_txn().expect("a writer");
            for id in ids.by_ref().take(batch) {
                let key = work.shape.key(id, &mut key);
                self.database.put(&mut txn, key, work.value(id, version, &mut value)).expect("a put");
            }
            txn.commit().expect("a commit");
        }
    }

    fn delete(&self, work: &Work, ids: impl Iterator<Item = u64>, batch: usize) {
        let mut key = [0; KEY_MAX];
        let mut ids = ids.peekable();
        while ids.peek().is_some() {
            let mut txn = self.env.write_txn().expect("a writer");
            for id in ids.by_ref().take(batch) {
                assert!(self.database.delete(&mut txn, work.shape.key(id, &mut key)).expect("a delete"));
            }
            txn.commit().expect("a commit");
        }
    }

    fn get(&self, work: &Work, ids: impl Iterator<Item = u64>) -> Sum {
        let txn = self.env.read_txn().expect("a reader");
        let (mut key, mut sum) = ([0; KEY_MAX], Sum::default());
        for id in ids {
            if let Some(value) = self.database.get(&txn, work.shape.key(id, &mut key)).expect("a get") {
                sum.value(value);
            }
        }
        sum
    }

    fn get_each(&self, work: &Work, ids: impl Iterator<Item = u64>) -> Sum {
        let (mut key, mut sum) = ([0; KEY_MAX], Sum::default());
        for id in ids {
            let txn = self.env.read_txn().expect("a reader");
            if let Some(value) = self.database.get(&txn, work.shape.key(id, &mut key)).expect("a get") {
                sum.value(value);
            }
        }
        sum
    }

    fn scan(&self, rounds: usize) -> Sum {
        let txn = self.env.read_txn().expect("a reader");
        let mut sum = Sum::default();
        for _ in 0..rounds {
            for entry in self.database.iter(&txn).expect("an iterator") {
                let (key, value) = entry.expect("an entry");
                sum.entry(key, value);
            }
        }
        sum
    }

    fn range(&self, work: &Work, ids: impl Iterator<Item = u64>) -> Sum {
        let txn = self.env.read_txn().expect("a reader");
        let (mut key, mut sum) = ([0; KEY_MAX], Sum::default());
        for id in ids {
            let from = std::ops::Bound::Included(work.shape.key(id, &mut key));
            let range = self.database.range(&txn, &(from, std::ops::Bound::Unbounded)).expect("a range");
            for entry in range.take(RANGE_LENGTH) {
                let (key, value) = entry.expect("an entry");
                sum.entry(key, value);
            }
        }
        sum
    }

    fn begin(&self, count: u64) {
        for _ in 0..count {
            std::hint::black_box(self.env.read_txn().expect("a reader"));
        }
    }

    fn pinned(&self, work: &Work, during: impl FnOnce()) -> Sum {
        let txn = self.env.read_txn().expect("a reader");
        during();
        let (mut key, mut sum) = ([0; KEY_MAX], Sum::default());
        let value = self.database.get(&txn, work.shape.key(0, &mut key)).expect("a get");
        sum.value(value.expect("key 0"));
        sum
    }
}
