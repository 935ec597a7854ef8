//! How full leaves are left: by keys in random order, in order, and in runs; and that what was moved between them is where it belongs.

use bbolt_pages::io::MemoryStorage;
use bbolt_pages::{CheckOptions, Options, RawFile, Tree, check};

use crate::crash::Random;

/// Puts `keys` in this order, 300 a transaction, with values of 20 to 59 bytes; how full the leaves are then, in percent.
fn filled(keys: &[u64], fill_percent: Option<f64>) -> u64 {
    let memory = MemoryStorage::default();
    let db = Options::new().page_size(1024).open_storage(memory.clone()).expect("a database");
    let value = |key: u64| vec![key as u8; 20 + (key % 40) as usize];
    for keys in keys.chunks(300) {
        let mut tx = db.begin_write().expect("a writer");
        let mut bucket = tx.create_bucket_if_not_exists(b"b").expect("a bucket");
        if let Some(fill_percent) = fill_percent {
            bucket.set_fill_percent(fill_percent);
        }
        for &key in keys {
            bucket.put(&key.to_be_bytes(), &value(key)).expect("a put");
            assert_eq!(bucket.get(&key.to_be_bytes()), Some(&*value(key)));
        }
        tx.commit().expect("a commit");
    }
    let tx = db.begin_read().expect("a reader");
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    let bucket = tx.require(b"b").expect("a bucket");
    let mut entries = bucket.iter().expect("an iterator");
    for &key in &sorted {
        let entry = entries.next().expect("an entry").expect("a sound page");
        assert_eq!((entry.key, entry.value()), (&key.to_be_bytes()[..], Some(&*value(key))));
    }
    assert!(entries.next().is_none());
    let bytes = memory.to_vec();
    let file = RawFile::new(&bytes).expect("a file");
    let report = check(&file, &CheckOptions::default()).expect("a check");
    assert!(report.findings.is_empty(), "{report:?}");
    let tree = Tree::new(file).expect("a tree");
    let stats = tree.stats(&tree.root()).expect("statistics");
    100 * stats.leaf_inuse / stats.leaf_alloc
}

const KEYS: u64 = if cfg!(miri) { 600 } else { 20_000 };

#[test]
fn keys_in_random_order_leave_leaves_four_fifths_full() {
    let mut keys: Vec<u64> = (0..KEYS).collect();
    let mut random = Random(1);
    for index in (1..keys.len()).rev() {
        keys.swap(index, random.below(index as u64 + 1) as usize);
    }
    let full = filled(&keys, None);
    assert!(full >= 78, "{full}: splitting alone leaves 69");
}

#[test]
fn keys_in_order_are_split_as_a_fill_percent_says() {
    let keys: Vec<u64> = (0..KEYS).collect();
    let (half, whole) = (filled(&keys, Some(0.5)), filled(&keys, Some(1.0)));
    assert!((42..=55).contains(&half), "{half}");
    assert!(whole >= 80, "{whole}: three elements at least go to the right");
}

#[test]
fn keys_in_order_leave_full_leaves_where_no_fill_percent_was_set() {
    let keys: Vec<u64> = (0..KEYS).collect();
    let full = filled(&keys, None);
    assert!(full >= 93, "{full}: one element goes to the right");
}

#[test]
fn runs_in_the_middle_and_keys_in_falling_order_fill_their_leaves_too() {
    let falling: Vec<u64> = (0..KEYS).rev().collect();
    let full = filled(&falling, None);
    assert!(full >= 60, "{full}");
    // Eight runs that grow by turns, as keys with a prefix do.
    let runs: Vec<u64> = (0..KEYS).map(|key| (key % 8) * KEYS + key / 8).collect();
    let full = filled(&runs, None);
    assert!(full >= 50, "{full}");
}

/// The commit puts the entries of changed buckets into their parent's leaf, one after the other, and then merges that leaf with its neighbour. What it
/// remembers of the way to the leaf must be gone when it goes on with the buckets above.
#[test]
fn buckets_beside_each_other_are_stored_while_their_parent_shrinks() {
    let memory = MemoryStorage::default();
    let db = Options::new().page_size(1024).open_storage(memory.clone()).expect("a database");
    let keys = if cfg!(miri) { 60 } else { 400_u32 };
    for kept in 0..6 {
        db.update(|tx| {
            let mut parent = tx.create_bucket_if_not_exists(b"parent")?;
            (0..keys).try_for_each(|key| parent.put(&key.to_be_bytes(), &[7; 50]))?;
            for name in 0..4 {
                let key = (keys / 2 + name).to_be_bytes();
                let mut child = parent.create_bucket_if_not_exists(&[&key[..], b"child"].concat())?;
                (0..40_u32).try_for_each(|key| child.put(&key.to_be_bytes(), &[name as u8; 30]))?;
            }
            Ok::<_, bbolt_pages::Error>(())
        })
        .expect("a commit");
        db.update(|tx| {
            let mut parent = tx.bucket_mut(b"parent")?;
            (0..keys).filter(|key| key % 40 >= kept).try_for_each(|key| parent.delete(&key.to_be_bytes()))?;
            for name in 0..4 {
                let key = (keys / 2 + name).to_be_bytes();
                parent.bucket_mut(&[&key[..], b"child"].concat())?.put(b"more", b"of it")?;
            }
            Ok::<_, bbolt_pages::Error>(())
        })
        .expect("a commit that merges what it has just been at");
        let tx = db.begin_read().expect("a reader");
        let parent = tx.require(b"parent").expect("a bucket");
        let left = (0..keys).filter(|key| key % 40 < kept).count();
        assert_eq!(parent.iter().expect("an iterator").count(), left + 4);
        for name in 0..4 {
            let key = (keys / 2 + name).to_be_bytes();
            let child = parent.require(&[&key[..], b"child"].concat()).expect("a bucket");
            assert_eq!(child.iter().expect("an iterator").count(), 41);
            assert_eq!(child.get(b"more"), Some(&b"of it"[..]));
        }
        drop(tx);
        let bytes = memory.to_vec();
        let report =
            check(&RawFile::new(&bytes).expect("a file"), &CheckOptions::default()).expect("a check");
        assert!(report.findings.is_empty(), "{report:?}");
    }
}
