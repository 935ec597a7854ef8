//! Files the real bbolt wrote, and damaged ones, through the database itself: right data or an error, never a panic or an endless walk.

use std::fmt::Write as _;

use bbolt_pages::io::MemoryStorage;
use bbolt_pages::{
    Bucket, CheckOptions, Db, DumpValue, Error, Hex, MapMode, Options, RawFile, Result, Usage, Value, check,
};

use crate::fixtures::each;
use crate::scratch::Scratch;

/// Buckets in buckets, at most; a damaged file may make them hold each other.
const NESTING: usize = 40;

/// The canonical dump, read by iterators and by `get`.
fn dump_bucket(bucket: &Bucket<'_>, path: &str, depth: usize, out: &mut String) -> Result<()> {
    if depth > NESTING {
        return Err(Usage::IntoItself.into());
    }
    let shown = if path.is_empty() { "/" } else { path };
    for entry in bucket.iter()? {
        let entry = entry?;
        match entry.value {
            Value::Bytes(value) => {
                assert!(bucket.try_get(entry.key)?.is_none_or(|found| found == value || depth > 0));
                writeln!(out, "K {shown} {} {}", Hex(entry.key), DumpValue(value)).expect("a string");
            }
            Value::Bucket(_) => {
                let below = bucket.require(entry.key)?;
                let path = format!("{path}/{}", Hex(entry.key));
                writeln!(out, "B {path} seq={}", below.sequence()).expect("a string");
                dump_bucket(&below, &path, depth + 1, out)?;
            }
        }
    }
    Ok(())
}

fn dump(db: &Db) -> Result<String> {
    let mut out = String::new();
    let tx = db.begin_read()?;
    dump_bucket(&tx.root(), "", 0, &mut out)?;
    Ok(out)
}

fn assert_sound(name: &str, bytes: &[u8]) {
    let file = RawFile::new(&bytes).expect("a database");
    let report = check(&file, &CheckOptions::default()).expect("a report");
    assert!(report.is_sound(), "{name}: {report:?}");
}

/// Names of the top-level buckets.
fn names(db: &Db) -> Result<Vec<Vec<u8>>> {
    let tx = db.begin_read()?;
    let root = tx.root();
    root.buckets()?.map(|bucket| bucket.map(|(name, _)| name.to_vec())).collect()
}

/// Changes as much as possible: a new bucket, every second key of each bucket deleted, then every second bucket.
fn change(db: &Db) -> Result<()> {
    let names = names(db)?;
    db.update(|tx| {
        let mut new = tx.create_bucket_if_not_exists(b"a new bucket")?;
        for key in 0..200_u8 {
            new.put(&[key, 1], &vec![key; usize::from(key) * 10])?;
        }
        for name in &names {
            let mut bucket = tx.bucket_mut(name)?;
            let mut keys = Vec::new();
            for entry in bucket.as_bucket().iter()?.step_by(2).take(300) {
                let entry = entry?;
                if !entry.is_bucket() {
                    keys.push(entry.key.to_vec());
                }
            }
            for key in keys {
                bucket.delete(&key)?;
            }
        }
        Ok::<_, Error>(())
    })?;
    db.update(|tx| {
        for name in names.iter().step_by(2) {
            tx.delete_bucket(name)?;
        }
        Ok(())
    })
}

#[test]
fn sound_files_are_read_as_bbolt_reads_them_and_stay_sound_when_changed() {
    let scratch = Scratch::new("sound");
    let mut dumps = std::collections::BTreeMap::new();
    each(".", ".dump.gz", |name, bytes| {
        dumps.insert(name.to_owned(), String::from_utf8(bytes).expect("text"));
    });
    each(".", ".db.gz", |name, bytes| {
        if cfg!(debug_assertions) && bytes.len() > 10_000_000 {
            return;
        }
        let path = scratch.path(format!("{name}.db"));
        std::fs::write(&path, &bytes).expect("a file");
        for mode in [MapMode::Mapped, MapMode::Plain] {
            let read_only = Options::new().read_only(true).map_mode(mode).open(&path);
            let read_only = read_only.unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(dump(&read_only).unwrap(), dumps[name], "{name}, {mode:?}");
        }
        let storage = MemoryStorage::new(bytes);
        let db = Options::new().open_storage(storage.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(dump(&db).unwrap(), dumps[name], "{name}, in memory");
        change(&db).unwrap_or_else(|e| panic!("{name}: {e}"));
        drop(db);
        assert_sound(name, &storage.to_vec());
    });
}

/// Reads and writes all there is; errors are expected, anything worse fails the test.
fn use_up(bytes: Vec<u8>) -> (bool, bool) {
    let storage = MemoryStorage::new(bytes);
    let Ok(db) = Options::new().no_sync(true).open_storage(storage) else { return (false, false) };
    let read = dump(&db).is_ok();
    let _ = db.view(|tx| {
        for entry in tx.root().iter()?.rev() {
            let entry = entry?;
            if let Some(bucket) = tx.bucket(entry.key)? {
                for entry in bucket.iter()?.rev() {
                    bucket.get(entry?.key);
                }
            }
        }
        Ok::<_, Error>(())
    });
    (read, change(&db).is_ok())
}

#[test]
fn damaged_files_give_errors_or_data() {
    let mut refused = Vec::new();
    each("damaged", ".db.gz", |name, bytes| {
        match Options::new().open_storage(MemoryStorage::new(bytes.clone())) {
            Err(error) => refused.push((name.to_owned(), error.name())),
            Ok(_) => {
                use_up(bytes);
            }
        }
    });
    if refused.is_empty() {
        return;
    }
    for (name, error) in [
        ("bad-meta-both", "checksum"),
        ("bad-magic", "invalid-database"),
        ("bad-version", "version-mismatch"),
    ] {
        assert!(refused.contains(&(name.to_owned(), error)), "{name}: {refused:?}");
    }
}

/// One byte changed, or a structured field set to an extreme value, at a place that the seed chooses.
fn damage(bytes: &mut [u8], seed: &mut u64) {
    *seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    let place = (*seed >> 20) as usize % bytes.len();
    match *seed >> 61 {
        0..=3 => bytes[place] ^= 1 << (*seed >> 8 & 7),
        kind => {
            let place = place.min(bytes.len() - 8) / 8 * 8;
            let word = [0, u64::MAX, *seed >> 52, 0xFFFF_FFFF][kind as usize - 4];
            bytes[place..place + 8].copy_from_slice(&word.to_le_bytes());
        }
    }
}

#[test]
fn random_damage_gives_errors_or_data() {
    let rounds = std::env::var("BBOLT_DAMAGE_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(15);
    each(".", ".db.gz", |name, bytes| {
        if bytes.len() > 300_000 {
            return;
        }
        let mut seed = bytes.len() as u64 + name.len() as u64;
        let mut counts = [0; 2];
        for _ in 0..rounds {
            let mut damaged = bytes.clone();
            damage(&mut damaged, &mut seed);
            let (read, written) = use_up(damaged);
            counts[0] += usize::from(read);
            counts[1] += usize::from(written);
        }
        assert!(counts[0] > 0 || rounds < 10, "{name}: most damage hits bytes that nobody reads");
    });
}
