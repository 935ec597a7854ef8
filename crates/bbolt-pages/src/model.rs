//! The model test: bytes become operations, which run against the store and against maps of maps, snapshots included.
//!
//! Owns [`run`], shared by the crate's tests and the fuzz target. What it compares after each transaction: every entry forward and backward,
//! every value by `get`, sequences, nested buckets; and for each open reader the state of the moment it began. Never measures anything.
//! Limit: keys, names and values come from small families, so that operations meet each other.

use std::collections::BTreeMap;

use crate::{Bucket, BucketId, Db, Error, Options, ReadTx, Result, Usage, Value, WriteTx};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Tree {
    sequence: u64,
    entries: BTreeMap<Vec<u8>, Node>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Value(Vec<u8>),
    Bucket(Tree),
}

impl Tree {
    fn at(&mut self, path: &[Vec<u8>]) -> Option<&mut Tree> {
        let mut tree = self;
        for name in path {
            match tree.entries.get_mut(name) {
                Some(Node::Bucket(below)) => tree = below,
                _ => return None,
            }
        }
        Some(tree)
    }
}

/// The bytes that decide.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn or_zero(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    fn path(&mut self) -> Vec<Vec<u8>> {
        let byte = self.or_zero();
        (0..byte % 4).map(|level| vec![b'A' + (byte >> (2 + level)) % 3]).collect()
    }

    fn key(&mut self) -> Vec<u8> {
        let byte = self.or_zero();
        let mut key = vec![b'k', byte];
        // Some keys are long, so that branches split as well.
        if byte.is_multiple_of(7) {
            key.resize(150, byte);
        }
        key
    }

    fn value(&mut self) -> Vec<u8> {
        let (length, byte) = (usize::from(self.or_zero()), self.or_zero());
        vec![byte; if length > 250 { length * 20 } else { length }]
    }
}

fn same(bucket: &Bucket<'_>, tree: &Tree) {
    assert_eq!(bucket.sequence(), tree.sequence, "sequence");
    let entries: Vec<_> = bucket.iter().expect("iter").map(|entry| entry.expect("entry")).collect();
    assert_eq!(entries.len(), tree.entries.len(), "number of entries");
    for (entry, (key, node)) in entries.iter().zip(&tree.entries) {
        assert_eq!(entry.key, key, "key");
        match (entry.value, node) {
            (Value::Bytes(value), Node::Value(expected)) => {
                assert_eq!(value, expected, "value");
                assert_eq!(bucket.get(key), Some(expected.as_slice()), "get");
            }
            (Value::Bucket(_), Node::Bucket(expected)) => {
                assert_eq!(bucket.get(key), None, "get of a bucket");
                same(&bucket.require(key).expect("bucket"), expected);
            }
            _ => panic!("a value where a bucket is expected, or the reverse"),
        }
    }
    let mut backward: Vec<_> =
        bucket.iter().expect("iter").rev().map(|entry| entry.expect("entry")).collect();
    backward.reverse();
    assert_eq!(backward, entries, "backward");
    let mut cursor = bucket.cursor();
    let mut entry = cursor.last().expect("last");
    for (key, _) in tree.entries.iter().rev() {
        assert_eq!(entry.map(|entry| entry.key), Some(key.as_slice()), "prev");
        entry = cursor.prev().expect("prev");
    }
    assert_eq!(entry, None, "before the first");
}

/// What the model says an operation does: its change, or the error's name.
fn agree(result: Result<()>, expected: Result<(), Usage>) {
    match (result, expected) {
        (Ok(()), Ok(())) => {}
        (Err(Error::Usage(found)), Err(expected)) => {
            assert_eq!(std::mem::discriminant(&found), std::mem::discriminant(&expected));
        }
        (result, expected) => panic!("the store says {result:?}, the model {expected:?}"),
    }
}

fn find(tx: &mut WriteTx<'_>, path: &[Vec<u8>]) -> Result<BucketId> {
    let names: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
    tx.open_bucket(&names)
}

/// One operation of a write transaction on store and model.
fn operate(tx: &mut WriteTx<'_>, tree: &mut Tree, bytes: &mut Bytes<'_>, operation: u8) {
    let path = bytes.path();
    let Some(place) = tree.at(&path) else {
        let missing = find(tx, &path).map(|_| ());
        return agree(missing, Err(Usage::BucketNotFound));
    };
    let id = find(tx, &path).expect("the bucket exists");
    match operation {
        0..=3 => {
            let (key, value) = (bytes.key(), bytes.value());
            tx.at(id).expect("open").put(&key, &value).expect("put");
            place.entries.insert(key, Node::Value(value));
        }
        4 | 5 => {
            let key = bytes.key();
            tx.at(id).expect("open").delete(&key).expect("delete");
            place.entries.remove(&key);
        }
        6 | 7 => {
            let name = vec![b'A' + bytes.or_zero() % 3];
            let result = tx.at(id).expect("open").create_bucket(&name).map(|_| ());
            let expected = match place.entries.get(&name) {
                Some(_) => Err(Usage::BucketExists),
                None => Ok(()),
            };
            if expected.is_ok() {
                place.entries.insert(name, Node::Bucket(Tree::default()));
            }
            agree(result, expected);
        }
        8 => {
            let name = vec![b'A' + bytes.or_zero() % 3];
            let result = tx.at(id).expect("open").delete_bucket(&name);
            agree(result, place.entries.remove(&name).map(|_| ()).ok_or(Usage::BucketNotFound));
        }
        9 => {
            let sequence = u64::from(bytes.or_zero());
            // The root's sequence is reached by no interface of bbolt either.
            if !path.is_empty() {
                tx.at(id).expect("open").set_sequence(sequence).expect("sequence");
                place.sequence = sequence;
            }
        }
        10 => {
            let (first, count) = (bytes.or_zero(), bytes.or_zero());
            let value = bytes.value();
            let mut bucket = tx.at(id).expect("open");
            bucket.set_fill_percent(f64::from(first) / 200.0);
            for number in 0..count {
                let key = vec![b'r', first, number];
                bucket.put(&key, &value).expect("put");
                place.entries.insert(key, Node::Value(value.clone()));
            }
        }
        11 => {
            let (first, count) = (bytes.or_zero(), bytes.or_zero());
            let mut bucket = tx.at(id).expect("open");
            let mut cursor = bucket.cursor();
            // Delete and then next: the successor, whatever was deleted.
            let mut entry = cursor.seek(&[b'r', first]).expect("seek");
            let mut deleted = Vec::new();
            for _ in 0..count {
                match entry {
                    Some(entry) if !entry.is_bucket() => deleted.push(entry.key.to_vec()),
                    _ => break,
                }
                cursor.delete().expect("delete");
                entry = cursor.next().expect("next");
            }
            let expected: Vec<_> = place
                .entries
                .range(vec![b'r', first]..)
                .take(usize::from(count))
                .take_while(|(_, node)| matches!(node, Node::Value(_)))
                .map(|(key, _)| key.clone())
                .collect();
            assert_eq!(deleted, expected, "delete and next");
            for key in deleted {
                place.entries.remove(&key);
            }
        }
        12 => {
            let target = bytes.path();
            let name = vec![b'A' + bytes.or_zero() % 3];
            let expected = moved(tree, &path, &name, &target);
            let result = find(tx, &target).and_then(|to| tx.move_bucket(id, &name, to));
            agree(result, expected);
        }
        _ => {
            let (low, high) = (bytes.key(), bytes.key());
            let bucket = tx.view(id).expect("view");
            let range = bucket.range(low.as_slice()..high.as_slice()).expect("range");
            let found: Vec<_> = range.map(|entry| entry.expect("entry").key.to_vec()).collect();
            let expected: Vec<_> = if low < high {
                place.entries.range(low..high).map(|(key, _)| key.clone()).collect()
            } else {
                Vec::new()
            };
            assert_eq!(found, expected, "range");
            let prefix: Vec<_> = bucket
                .prefix(b"r")
                .expect("prefix")
                .rev()
                .map(|entry| entry.expect("entry").key.to_vec())
                .collect();
            let expected: Vec<_> = place.entries.keys().rev().filter(|key| key[0] == b'r').cloned().collect();
            assert_eq!(prefix, expected, "prefix");
        }
    }
}

/// A move in the model, with the store's order of errors.
fn moved(tree: &mut Tree, from: &[Vec<u8>], name: &[u8], to: &[Vec<u8>]) -> Result<(), Usage> {
    if tree.at(to).is_none() {
        return Err(Usage::BucketNotFound);
    }
    if !tree.at(from).is_some_and(|place| place.entries.contains_key(name)) {
        return Err(Usage::BucketNotFound);
    }
    if from == to {
        return Err(Usage::SameBuckets);
    }
    if tree.at(to).is_some_and(|place| place.entries.contains_key(name)) {
        return Err(Usage::BucketExists);
    }
    if to.len() > from.len() && to.starts_with(from) && to[from.len()] == name {
        return Err(Usage::IntoItself);
    }
    let node = tree.at(from).and_then(|place| place.entries.remove(name));
    if let (Some(place), Some(node)) = (tree.at(to), node) {
        place.entries.insert(name.to_vec(), node);
    }
    Ok(())
}

/// Runs `bytes` as operations. `open` opens the same database again and again, with the options given.
///
/// # Panics
/// If store and model disagree: that is the test.
pub fn run(bytes: &[u8], open: &dyn Fn(&Options) -> Db) {
    let mut bytes = Bytes(bytes);
    let page_size = 1024 << (bytes.or_zero() % 3);
    let mut committed = Tree::default();
    while !bytes.0.is_empty() {
        let settings = bytes.or_zero();
        let options = Options::new()
            .page_size(page_size)
            .no_sync(true)
            .no_freelist_sync(settings & 1 == 1)
            // Few leaves are kept where the file is mapped, so that others are written early.
            .leaves_kept([64, 0, 1, 2][usize::from(settings >> 1 & 3)])
            // Files here are small; a table this small has pages fight for its places.
            .digest_from(0)
            .digest_bytes(16 << 10);
        let db = open(&options);
        session(&db, &mut committed, &mut bytes);
        let tx = db.begin_read().expect("read");
        same(&tx.root(), &committed);
    }
}

/// Transactions between two openings.
fn session(db: &Db, committed: &mut Tree, bytes: &mut Bytes<'_>) {
    let mut readers: Vec<(ReadTx<'_>, Tree)> = Vec::new();
    loop {
        match bytes.next().map(|byte| byte % 16) {
            None | Some(0) => break,
            Some(1..=3) => {
                if readers.len() < 4 {
                    readers.push((db.begin_read().expect("read"), committed.clone()));
                }
            }
            Some(4 | 5) => {
                if !readers.is_empty() {
                    let at = usize::from(bytes.or_zero()) % readers.len();
                    let (tx, tree) = readers.swap_remove(at);
                    same(&tx.root(), &tree);
                }
            }
            Some(kind) => {
                let mut tree = committed.clone();
                let mut tx = db.begin_write().expect("write");
                for _ in 0..bytes.or_zero() % 32 {
                    let Some(operation) = bytes.next() else { break };
                    operate(&mut tx, &mut tree, bytes, operation % 14);
                }
                same(&tx.root(), &tree);
                if kind == 6 {
                    tx.rollback();
                } else {
                    tx.commit().expect("commit");
                    *committed = tree;
                }
            }
        }
    }
    for (tx, tree) in readers {
        same(&tx.root(), &tree);
    }
}
