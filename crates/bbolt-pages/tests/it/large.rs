//! A database sixteen times as large as the memory its process may use: loaded, changed, read and checked, with the right answers.
//!
//! `BBOLT_LARGE_MIB` sets the size and asks for the bound (`cargo xtask crash` does); otherwise a small file is worked on without one. The system
//! bounds the memory, pages of files included, through a control group of its first or second kind, which takes a privilege; where there
//! is none, the work is done without a bound, and said so. Linux with a mapping only: a transaction that reads without one keeps what it has read.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bbolt_pages::{CheckOptions, Db, Error, Hint, Options, RawFile, check};

use crate::child;
use crate::crash::Random;
use crate::scratch::Scratch;

/// The size where nobody asks for one.
const SMALL_MIB: u64 = 8;
/// How many times larger the file is.
const TIMES: u64 = 16;
/// The least bound: this program itself, its heap and its stack take some of it.
const LIMIT_MIN: u64 = 24 << 20;
/// Beyond this the system spends its time on fetching this program's own code again.
const DEADLINE: Duration = Duration::from_secs(600);
const VALUE_BYTES: usize = 1_000;
const KEYS_A_TRANSACTION: u64 = 500;

/// A control group of this test's own with a bound on memory, removed at the end.
struct Group {
    directory: PathBuf,
    peak: &'static str,
}

impl Group {
    /// `None` if the system gives none.
    fn new(limit_bytes: u64) -> Option<Self> {
        let name = format!("bbolt-pages-{}", std::process::id());
        let kinds = [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes"),
            ("/sys/fs/cgroup", "memory.max", "memory.peak"),
        ];
        kinds.into_iter().find_map(|(root, limit, peak)| {
            let group = Self { directory: Path::new(root).join(&name), peak };
            fs::create_dir(&group.directory).ok()?;
            // Where the name makes a plain directory or a group without this control, there is no such file.
            let bounded = group.directory.join(limit).exists()
                && fs::write(group.directory.join(limit), limit_bytes.to_string()).is_ok();
            bounded.then_some(group)
        })
    }

    fn peak_bytes(&self) -> Option<u64> {
        fs::read_to_string(self.directory.join(self.peak)).ok()?.trim().parse().ok()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.directory);
    }
}

fn limit_bytes(mib: u64) -> u64 {
    ((mib << 20) / TIMES).max(LIMIT_MIN)
}

#[test]
fn a_database_larger_than_its_memory_answers_right() {
    let asked: Option<u64> = std::env::var("BBOLT_LARGE_MIB").ok().and_then(|text| text.parse().ok());
    let mib = asked.unwrap_or(SMALL_MIB);
    let limit_bytes = limit_bytes(mib);
    let scratch = Scratch::new("large");
    let path = scratch.path("a.db");
    let group = asked.and_then(|_| Group::new(limit_bytes));
    let enter = match &group {
        Some(group) => format!("echo $$ > {}/cgroup.procs", group.directory.display()),
        None => "true".to_owned(),
    };
    let mut process = child::start(child::limited(&enter, "work in little memory", &path, mib));
    let started = Instant::now();
    while process.try_wait().expect("a state").is_none() {
        if started.elapsed() > DEADLINE {
            process.kill().expect("a process that runs");
            process.wait().expect("an end");
            panic!("{mib} MiB in {limit_bytes} bytes of memory took longer than {DEADLINE:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = process.wait_with_output().expect("an end");
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    let file_bytes = fs::metadata(&path).expect("a file").len();
    assert!(file_bytes >= mib << 20, "{file_bytes} bytes");
    match &group {
        Some(group) => {
            let peak = group.peak_bytes();
            println!("{file_bytes} bytes of file, {limit_bytes} of memory, {peak:?} of them used at most");
            assert!(peak.is_none_or(|peak| peak <= limit_bytes && peak > limit_bytes / 2), "{peak:?}");
        }
        None if asked.is_some() => {
            println!("NOT BOUNDED: no control group can be made here; {file_bytes} bytes of file");
        }
        None => println!("not bounded, as nobody asked for it; {file_bytes} bytes of file"),
    }
}

/// What key `id` has after `version` changes.
fn value(id: u64, version: u64) -> Vec<u8> {
    let mut random = Random(id ^ version << 40);
    (0..VALUE_BYTES / 8).flat_map(|_| random.below(u64::MAX).to_le_bytes()).collect()
}

fn put(db: &Db, ids: impl Iterator<Item = u64>, version: u64) {
    let mut ids = ids.peekable();
    while ids.peek().is_some() {
        db.update(|tx| {
            let mut bucket = tx.create_bucket_if_not_exists(b"b")?;
            for id in ids.by_ref().take(KEYS_A_TRANSACTION as usize) {
                bucket.put(&id.to_be_bytes(), &value(id, version))?;
            }
            Ok::<_, Error>(())
        })
        .expect("commit");
    }
}

/// The child's work on a file of `mib`.
pub(crate) fn work_in_little_memory(path: &Path, mib: u64) {
    let keys = (mib << 20) / VALUE_BYTES as u64;
    // Digests are the one thing whose default, 64 MiB, is not made for so little.
    let options = Options::new().no_sync(true).digest_bytes(limit_bytes(mib) / 8);
    let db = options.open(path).expect("open");
    put(&db, 0..keys, 0);
    // Every place of the file is changed, few of its keys.
    let changed = |id: u64| id.is_multiple_of(61);
    let version = |id: u64| u64::from(changed(id));
    let snapshot = db.begin_read().expect("read");
    put(&db, (0..keys).filter(|&id| changed(id)), 1);
    let old = snapshot.require(b"b").expect("a bucket");
    let tx = db.begin_read().expect("read");
    let new = tx.require(b"b").expect("a bucket");
    let mut random = Random(7);
    for _ in 0..2_000 {
        let id = random.below(keys + keys / 8);
        let (then, now) = (old.try_get(&id.to_be_bytes()), new.try_get(&id.to_be_bytes()));
        if id >= keys {
            assert_eq!((then.expect("sound"), now.expect("sound")), (None, None));
            continue;
        }
        assert!(then.expect("sound") == Some(&value(id, 0)), "key {id} then");
        assert!(now.expect("sound") == Some(&value(id, version(id))), "key {id} now");
    }
    drop(snapshot);
    // In order, and told so.
    let pages = tx.size() / u64::from(tx.page_size());
    db.advise(0..pages, Hint::Sequential).expect("advice");
    let mut entries = new.iter().expect("sound");
    for id in 0..keys {
        let entry = entries.next().expect("an entry").expect("sound");
        assert!(entry.key == id.to_be_bytes() && entry.value() == Some(&value(id, version(id))), "key {id}");
    }
    assert!(entries.next().is_none());
    drop(tx);
    drop(db);
    let file = fs::File::open(path).expect("a file");
    let report = RawFile::new(&file).and_then(|raw| check(&raw, &CheckOptions::default())).expect("checked");
    assert!(report.is_sound(), "{:?}", report.findings.first());
}
