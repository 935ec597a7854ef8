//! redb 4, with its own page cache of a gibibyte (its default). Safe code.

use std::path::Path;

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use crate::work::{Engine, KEY_MAX, Mode, RANGE_LENGTH, Sum, Work};

const TABLE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("kv");

/// redb.
pub struct Redb {
    database: Database,
    mode: Mode,
}

impl Redb {
    fn write(&self) -> redb::WriteTransaction {
        let mut txn = self.database.begin_write().expect("a writer");
        if self.mode == Mode::Fast {
            txn.set_durability(Durability::None).expect("a durability");
        }
        txn
    }
}

impl Drop for Redb {
    fn drop(&mut self) {
        // What was committed without durability reaches the file with the next durable commit, and only then.
        let txn = self.database.begin_write().expect("a writer");
        txn.commit().expect("a commit");
    }
}

impl Engine for Redb {
    fn open(path: &Path, mode: Mode) -> Self {
        let database = Database::create(path).expect("a database");
        let txn = database.begin_write().expect("a writer");
        txn.open_table(TABLE).expect("a table");
        txn.commit().expect("a commit");
        Self { database, mode }
    }

    fn put(&self, work: &Work, ids: impl Iterator<Item = u64>, version: u64, batch: usize) {
        let (mut key, mut value) = ([0; KEY_MAX], Vec::new());
        let mut ids = ids.peekable();
        while ids.peek().is_some() {
            let txn = self.write();
            let mut table = txn.open_table(TABLE).expect("a table");
            for id in ids.by_ref().take(batch) {
                table
                    .insert(work.shape.key(id, &mut key), work.value(id, version, &mut value))
                    .expect("a put");
            }
            drop(table);
            txn.commit().expect("a commit");
        }
    }

    fn delete(&self, work: &Work, ids: impl Iterator<Item = u64>, batch: usize) {
        let mut key = [0; KEY_MAX];
        let mut ids = ids.peekable();
        while ids.peek().is_some() {
            let txn = self.write();
            let mut table = txn.open_table(TABLE).expect("a table");
            for id in ids.by_ref().take(batch) {
                assert!(table.remove(work.shape.key(id, &mut key)).expect("a delete").is_some());
            }
            drop(table);
            txn.commit().expect("a commit");
        }
    }

    fn get(&self, work: &Work, ids: impl Iterator<Item = u64>) -> Sum {
        let txn = self.database.begin_read().expect("a reader");
        let table = txn.open_table(TABLE).expect("a table");
        let (mut key, mut sum) = ([0; KEY_MAX], Sum::default());
        for id in ids {
            if let Some(value) = table.get(work.shape.key(id, &mut key)).expect("a get") {
                sum.value(value.value());
            }
        }
        sum
    }

    fn get_each(&self, work: &Work, ids: impl Iterator<Item = u64>) -> Sum {
        let (mut key, mut sum) = ([0; KEY_MAX], Sum::default());
        for id in ids {
            let txn = self.database.begin_read().expect("a reader");
            let table = txn.open_table(TABLE).expect("a table");
            if let Some(value) = table.get(work.shape.key(id, &mut key)).expect("a get") {
                sum.value(value.value());
            }
        }
        sum
    }

    fn scan(&self, rounds: usize) -> Sum {
        let txn = self.database.begin_read().expect("a reader");
        let table = txn.open_table(TABLE).expect("a table");
        let mut sum = Sum::default();
        for _ in 0..rounds {
            for entry in table.iter().expect("an iterator") {
                let (key, value) = entry.expect("an entry");
                sum.entry(key.value(), value.value());
            }
        }
        sum
    }

    fn range(&self, work: &Work, ids: impl Iterator<Item = u64>) -> Sum {
        let txn = self.database.begin_read().expect("a reader");
        let table = txn.open_table(TABLE).expect("a table");
        let (mut key, mut sum) = ([0; KEY_MAX], Sum::default());
        for id in ids {
            let from = work.shape.key(id, &mut key);
            for entry in table.range::<&[u8]>(from..).expect("a range").take(RANGE_LENGTH) {
                let (key, value) = entry.expect("an entry");
                sum.entry(key.value(), value.value());
            }
        }
        sum
    }

    fn begin(&self, count: u64) {
        for _ in 0..count {
            std::hint::black_box(self.database.begin_read().expect("a reader"));
        }
    }

    fn pinned(&self, work: &Work, during: impl FnOnce()) -> Sum {
        let txn = self.database.begin_read().expect("a reader");
        during();
        let table = txn.open_table(TABLE).expect("a table");
        let (mut key, mut sum) = ([0; KEY_MAX], Sum::default());
        sum.value(table.get(work.shape.key(0, &mut key)).expect("a get").expect("key 0").value());
        sum
    }
}
