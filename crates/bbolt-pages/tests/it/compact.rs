//! Compacting keeps everything, salvaging everything that can be reached, and a snapshot can be backed up beside a writer.

use bbolt_pages::io::MemoryStorage;
use bbolt_pages::{CheckOptions, Db, Options, RawFile, Tree, check, compact, dump, salvage};

use crate::fixtures;

fn dump_of(tree: &Tree<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    dump(tree, &mut text).expect("a dump");
    text
}

fn fresh(page_size: u32) -> Db {
    Options::new().page_size(page_size).open_storage(MemoryStorage::default()).expect("a database")
}

fn assert_sound(name: &str, db: &Db) {
    let tx = db.begin_read().expect("a reader");
    let report = tx.check(&CheckOptions::default()).expect("a report");
    assert!(report.is_sound(), "{name}: {:#?}", report.findings);
}

#[test]
fn compacting_keeps_everything() {
    fixtures::each("", ".db.gz", |name, bytes| {
        if bytes.len() > 1 << 20 && name != "overflow" {
            return;
        }
        let source = Tree::new(RawFile::new(&bytes).expect("a file")).expect("a meta");
        for (page_size, tx_max_bytes) in [(4096, 0), (1024, 10_000)] {
            let target = fresh(page_size);
            let copied = compact(&source, &target, tx_max_bytes).expect("a compaction");
            assert_eq!((copied.damages, copied.refused), (0, 0));
            assert_sound(name, &target);
            let tx = target.begin_read().expect("a reader");
            let snapshot = Tree::new(RawFile::of_snapshot(&tx)).expect("a meta");
            assert!(dump_of(&snapshot) == dump_of(&source), "{name} on pages of {page_size}");
        }
    });
}

#[test]
fn salvage_brings_home_what_can_be_reached() {
    let mut kept = Vec::new();
    fixtures::each("damaged", ".db.gz", |name, bytes| {
        let Ok(source) = RawFile::new(&bytes).and_then(Tree::new) else { return };
        let target = fresh(4096);
        let copied = salvage(&source, &target, 65_536).expect("a salvage");
        assert_sound(name, &target);
        kept.push((name.to_owned(), copied));
    });
    if let Some(most) = kept.iter().map(|(_, copied)| copied.pairs).max() {
        for (name, copied) in &kept {
            // One fault costs a page or a bucket, never the file; the base has a few hundred pairs in four buckets.
            let (least, whole) = match name.as_str() {
                "bad-bucket-root" | "bad-bucket-value-short" => (1, false),
                "bad-truncated" => (1, false),
                _ => (most / 2, copied.damages == 0),
            };
            assert!(copied.pairs >= least, "{name}: {copied:?}, at most {most}");
            assert!(
                !whole || copied.pairs + copied.refused + 60 >= most,
                "{name}: {copied:?}, at most {most}"
            );
        }
    }
}

#[test]
fn a_snapshot_is_backed_up_while_a_writer_goes_on() {
    let db = fresh(1024);
    let put = |from: u32, version: u8| {
        db.update(|tx| {
            let mut bucket = tx.create_bucket_if_not_exists(b"b")?;
            (from..from + 500).try_for_each(|key| bucket.put(&key.to_be_bytes(), &[version; 40]))
        })
        .expect("a commit");
    };
    put(0, 1);
    let tx = db.begin_read().expect("a reader");
    let before = dump_of(&Tree::new(RawFile::of_snapshot(&tx)).expect("a meta"));
    for version in 2..10 {
        put(u32::from(version) * 100, version);
    }
    let mut copy = Vec::new();
    let bytes = tx.write_to(&mut copy).expect("a backup");
    assert_eq!((bytes, tx.size()), (copy.len() as u64, copy.len() as u64));
    let file = RawFile::new(&copy).expect("a file");
    let report = check(&file, &CheckOptions::default()).expect("a report");
    assert!(report.is_sound(), "{:#?}", report.findings);
    assert!(dump_of(&Tree::new(file).expect("a meta")) == before);
    assert_eq!(tx.bucket_stats(&[b"b"]).expect("statistics").map(|stats| stats.key_n), Some(500));
    assert_eq!(tx.inspect().expect("a tree").buckets[0].key_n, 500);
    assert_eq!(
        tx.page(tx.meta().root).expect("a page").map(|page| page.used_as.to_string()),
        Some("leaf".into())
    );
    assert_eq!(tx.page(tx.meta().high_water).expect("a page"), None);
    drop(tx);
    assert_sound("the original", &db);
}
