//! Care of memory, checked against the system's own account of this process: hints, locking, and what is resident.
//!
//! Linux only: nothing else tells as much.

use std::path::Path;

use bbolt_pages::{Db, Error, Hint, MapMode, Options};

use crate::scratch::Scratch;

/// A part of a mapping as `/proc/self/smaps` tells it.
#[derive(Debug, Default)]
struct Part {
    start: usize,
    /// In pages of 4 KiB, from the file's start.
    offset: u64,
    bytes: u64,
    resident_kib: u64,
    referenced_kib: u64,
    locked_kib: u64,
    anonymous_kib: u64,
    flags: Vec<String>,
}

/// The parts of the mapping of the file at `path`, by address.
fn parts(path: &Path) -> Vec<Part> {
    let text = std::fs::read_to_string("/proc/self/smaps").expect("the system's account");
    let path = path.to_str().expect("text");
    let (mut parts, mut ours) = (Vec::<Part>::new(), false);
    for line in text.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        if let Some((start, end)) = words[0].split_once('-')
            && let (Ok(start), Ok(end)) = (usize::from_str_radix(start, 16), usize::from_str_radix(end, 16))
        {
            ours = words.last() == Some(&path);
            if ours {
                let offset = u64::from_str_radix(words[2], 16).expect("an offset");
                parts.push(Part { start, offset, bytes: (end - start) as u64, ..Part::default() });
            }
        } else if ours {
            let part = parts.last_mut().expect("a part");
            let kib = || words[1].parse::<u64>().expect("a number");
            match words[0] {
                "Rss:" => part.resident_kib = kib(),
                "Referenced:" => part.referenced_kib = kib(),
                "Locked:" => part.locked_kib = kib(),
                "Anonymous:" => part.anonymous_kib = kib(),
                "VmFlags:" => part.flags = words[1..].iter().map(ToString::to_string).collect(),
                _ => {}
            }
        }
    }
    parts
}

fn sum(parts: &[Part], of: impl Fn(&Part) -> u64) -> u64 {
    parts.iter().map(of).sum()
}

#[test]
fn a_new_database_is_mapped_under_its_own_name() {
    let scratch = Scratch::new("named");
    let path = scratch.path("new.db");
    let _db = Db::open(&path).expect("a new database");
    // Created under another name, and moved: the system's tables know it by the one it has now.
    assert!(sum(&parts(&path), |part| part.bytes) > 0);
    assert_eq!(std::fs::read_dir(path.parent().expect("a directory")).expect("its files").count(), 1);
}

const VALUE: usize = 3_000;
const KEYS: u32 = 2_000;

/// A database with a bucket of 6 MB, opened under the name it was created with.
fn filled(path: &Path, options: &Options) -> Db {
    options
        .open(path)
        .expect("open")
        .update(|tx| {
            let mut bucket = tx.create_bucket(b"b")?;
            (0..KEYS).try_for_each(|key| bucket.put(&key.to_be_bytes(), &[key as u8; VALUE]))
        })
        .expect("commit");
    options.open(path).expect("open")
}

fn read_all(db: &Db) {
    db.view(|tx| {
        let bucket = tx.require(b"b")?;
        for (key, entry) in (0_u32..).zip(bucket.iter()?) {
            let entry = entry?;
            assert_eq!(entry.key, key.to_be_bytes());
            assert_eq!(entry.value(), Some([key as u8; VALUE].as_slice()));
        }
        Ok::<_, Error>(())
    })
    .expect("readable");
}

#[test]
fn memory_is_told_as_the_system_tells_it() {
    let scratch = Scratch::new("memory");
    let path = scratch.path("a.db");
    let db = filled(&path, &Options::new().no_sync(true));
    let before = db.memory();
    assert_eq!(before.mapped_bytes, std::fs::metadata(&path).expect("a file").len());
    assert!(before.reserved_bytes >= 64 << 30 && before.private_bytes < 1 << 20, "{before:?}");
    read_all(&db);
    let after = db.memory();
    let resident = after.mapped_resident_bytes.expect("told on Linux");
    let (read, parts) = (u64::from(KEYS) * VALUE as u64, parts(&path));
    assert!(resident >= read && resident <= after.mapped_bytes + 4096, "{after:?}");
    assert!(
        before.mapped_resident_bytes.is_some_and(|earlier| earlier < resident / 2),
        "{before:?}, {after:?}"
    );
    assert_eq!(resident, 1024 * sum(&parts, |part| part.resident_kib));
    // The mapping is the page cache's own memory: nothing of it belongs to this process alone.
    assert_eq!(sum(&parts, |part| part.anonymous_kib), 0);
    // A change is private until it is committed, and the memory stays for the next one.
    db.update(|tx| {
        let mut bucket = tx.bucket_mut(b"b")?;
        (0..KEYS).try_for_each(|key| bucket.put(&key.to_be_bytes(), &[key as u8; VALUE]))
    })
    .expect("commit");
    assert!(db.memory().private_bytes > before.private_bytes);
    drop(db);
    assert_eq!(self::parts(&path).len(), 0, "nothing stays mapped");
    let plain = Options::new().map_mode(MapMode::Plain).open(&path).expect("open");
    read_all(&plain);
    let memory = plain.memory();
    assert_eq!((memory.reserved_bytes, memory.mapped_bytes, memory.mapped_resident_bytes), (0, 0, None));
    plain.advise(0..100, Hint::WillNeed).expect("no effect");
}

#[test]
fn hints_reach_the_system_for_the_range_they_name() {
    let scratch = Scratch::new("hints");
    let path = scratch.path("a.db");
    let db = filled(&path, &Options::new().no_sync(true));
    let pages = db.begin_read().expect("read").size() / u64::from(db.page_size());
    let flags_at = |page: u64| {
        let (offset, parts) = (page * u64::from(db.page_size()), parts(&path));
        let part = parts.into_iter().find(|part| (part.offset..part.offset + part.bytes).contains(&offset));
        part.expect("a mapped page").flags
    };
    let has = |page: u64, flag: &str| flags_at(page).iter().any(|found| found == flag);
    // "rr" is random, "sr" sequential reading.
    assert!(has(10, "rr") && has(pages - 1, "rr"), "random is the default");
    db.advise(100..200, Hint::Sequential).expect("a hint");
    assert!(has(100, "sr") && has(199, "sr") && has(99, "rr") && has(200, "rr"));
    db.advise(100..150, Hint::Normal).expect("a hint");
    assert!(!has(120, "sr") && !has(120, "rr") && has(160, "sr"));
    db.advise(0..u64::MAX, Hint::Random).expect("a hint");
    assert!(has(120, "rr") && has(160, "rr"));
    read_all(&db);
    db.advise(0..pages, Hint::WillNeed).expect("a hint");
    db.advise(pages..pages + 10, Hint::WillNeed).expect("nothing to do");
    db.advise(5..5, Hint::Cold).expect("nothing to do");
    // Cold pages count as not looked at, those beside them as looked at; all keep what is in them.
    let looked_at = || sum(&parts(&path), |part| part.referenced_kib);
    let before = looked_at();
    db.advise(pages / 2..pages, Hint::Cold).expect("a hint");
    let after = looked_at();
    assert!(after < before * 3 / 4, "{before} KiB were looked at, and {after} still count so");
    read_all(&db);
}

#[test]
fn what_is_locked_in_memory_stays_locked_as_it_grows() {
    let scratch = Scratch::new("mlock");
    let path = scratch.path("a.db");
    let options = Options::new().no_sync(true).mlock(true).alloc_size(1 << 16);
    drop(Db::open(&path).expect("a new file"));
    let db = match options.open(&path) {
        Ok(db) => db,
        // A system that lets nobody lock a page says so.
        Err(Error::Io(failure)) if failure.operation == "lock in memory" => return,
        Err(error) => panic!("{error}"),
    };
    for round in 0..20_u8 {
        let grown = db.update(|tx| tx.create_bucket_if_not_exists(b"b")?.put(&[round], &[round; 40_000]));
        match grown {
            Ok(()) => {}
            // Little may be locked here; the transaction was undone.
            Err(Error::Io(failure)) if failure.operation == "lock in memory" => break,
            Err(error) => panic!("{error}"),
        }
        let parts = parts(&path);
        assert_eq!(sum(&parts, |part| part.locked_kib), sum(&parts, |part| part.resident_kib));
        assert!(sum(&parts, |part| part.locked_kib) * 1024 >= db.memory().mapped_bytes, "round {round}");
    }
    assert!(parts(&path).windows(2).all(|pair| pair[0].start < pair[1].start));
}
