//! What the world outside does to a database: other processes, full disks, files that are cut or lengthened underneath, paths that are no files.
//! Each is an error that says what and where, or does no harm.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use bbolt_pages::page::{Meta, PageHeader, PageKind};
use bbolt_pages::{CheckOptions, Db, Error, MapMode, Options, RawFile, check, open_shared};

use crate::child;
use crate::scratch::Scratch;

const MODES: [MapMode; 2] = [MapMode::Mapped, MapMode::Plain];

/// Puts `count` values of `length` bytes under numbers from `first` on.
fn fill(db: &Db, first: u64, count: u64, length: usize) -> Result<(), Error> {
    db.update(|tx| {
        let mut bucket = tx.create_bucket_if_not_exists(b"b")?;
        (first..first + count).try_for_each(|key| bucket.put(&key.to_be_bytes(), &vec![key as u8; length]))
    })
}

/// How many entries there are, each looked at.
fn count(db: &Db) -> Result<u64, Error> {
    let tx = db.begin_read()?;
    let Some(bucket) = tx.bucket(b"b")? else { return Ok(0) };
    let mut count = 0;
    for entry in bucket.iter()? {
        let entry = entry?;
        let key = u64::from_be_bytes(entry.key.try_into().expect("eight bytes"));
        let value = entry.value().expect("a plain key");
        assert!(value.iter().all(|&byte| byte == key as u8), "key {key}");
        count += 1;
    }
    Ok(count)
}

fn assert_sound(path: &Path) {
    let file = File::open(path).expect("a file");
    let report =
        check(&RawFile::new(&file).expect("a database"), &CheckOptions::default()).expect("a report");
    assert!(report.is_sound() && report.unsound_meta.is_none(), "{report:?}");
}

fn name_of<T>(result: Result<T, Error>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(error) => {
            assert!(!error.to_string().is_empty());
            error.name()
        }
    }
}

// ---- the lock ------------------------------------------------------------------------------------------------------

/// A child's life: holds the lock until its input ends.
pub(crate) fn hold_the_lock(path: &Path) {
    let db = Db::open(path).expect("open");
    std::fs::write(path.with_extension("held"), b"").expect("a sign");
    let _ = std::io::stdin().read(&mut [0]);
    drop(db);
}

#[test]
fn a_foreign_process_s_lock_is_waited_for_and_then_told() {
    let scratch = Scratch::new("foreign");
    let path = scratch.path("a.db");
    let mut holder = child::start(child::command("hold the lock", &path, 0));
    let started = Instant::now();
    while !path.with_extension("held").exists() {
        assert!(started.elapsed() < Duration::from_secs(20), "the other process does not start");
        std::thread::sleep(Duration::from_millis(1));
    }
    let wait = Duration::from_millis(60);
    for read_only in [false, true] {
        let begun = Instant::now();
        let error = Options::new().timeout(wait).read_only(read_only).open(&path).expect_err("it is locked");
        let waited = begun.elapsed();
        assert!(error.is_retryable() && error.to_string().contains("another process"), "{error}");
        assert!(waited >= wait && waited < wait + Duration::from_secs(5), "{waited:?}");
    }
    assert_eq!(name_of(open_shared(&path, Some(wait))), "timeout");
    // Who waits long enough gets it.
    let waiting = std::thread::spawn({
        let path = path.clone();
        move || count(&Options::new().timeout(Duration::from_secs(20)).open(path).expect("open"))
    });
    drop(holder.stdin.take());
    assert_eq!(waiting.join().expect("a thread").expect("readable"), 0);
    assert!(holder.wait().expect("an end").success());
}

// ---- the disk ------------------------------------------------------------------------------------------------------

/// A child's life on a disk that is full soon: everything acknowledged stays, and small changes go on.
pub(crate) fn fill_the_disk(path: &Path) {
    for mode in MODES {
        for no_grow_sync in [false, true] {
            let _ = std::fs::remove_file(path);
            let options =
                Options::new().map_mode(mode).no_grow_sync(no_grow_sync).no_sync(true).alloc_size(1 << 16);
            let db = options.open(path).expect("open");
            let mut acknowledged = 0;
            let error = loop {
                match fill(&db, acknowledged, 10, 9_000) {
                    Ok(()) => acknowledged += 10,
                    Err(error) => break error,
                }
                assert!(acknowledged < 10_000, "the disk is never full");
            };
            let Error::Io(failure) = &error else { panic!("{error}") };
            assert!(matches!(failure.operation, "write" | "set length"), "{error}");
            assert!(acknowledged > 0);
            assert_eq!(count(&db).expect("readable"), acknowledged);
            // What fits the free pages is written still.
            db.update(|tx| tx.bucket_mut(b"b")?.delete(&0_u64.to_be_bytes())).expect("room for less");
            assert_eq!(count(&db).expect("readable"), acknowledged - 1);
            drop(db);
            assert_sound(path);
            let db = options.read_only(true).open(path).expect("open");
            assert_eq!(count(&db).expect("readable"), acknowledged - 1);
        }
    }
    child::tell("full");
}

#[test]
#[cfg(unix)]
fn a_full_disk_is_an_error_and_loses_nothing() {
    let scratch = Scratch::new("full");
    let path = scratch.path("a.db");
    // Without the signal a write past the limit fails as one on a full disk does. 1,000 blocks are 500 KB or 1 MB, by the shell.
    let process = child::start(child::limited("trap '' XFSZ; ulimit -f 1000", "fill the disk", &path, 0));
    child::assert_told(&process.wait_with_output().expect("an end"), "full");
}

/// The same on a file system of a megabyte, which is truly full in the middle of a commit: by writes, by a map, and by a map over a file with holes.
#[test]
#[cfg(target_os = "linux")]
fn a_file_system_that_is_full_is_an_error_and_loses_nothing() {
    for role in ["fill the disk", "fill the disk by a map", "store into holes"] {
        let scratch = Scratch::new("tmpfs");
        let disk = scratch.path("disk");
        std::fs::create_dir(&disk).expect("a directory");
        let mount = format!("mount -t tmpfs -o size=1m tmpfs {}", disk.display());
        if let Some(output) = child::mounted(&mount, role, &disk.join("a.db")) {
            child::assert_told(&output, "full");
        }
        assert!(!disk.join("a.db").exists(), "the child had its own");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_system_that_may_only_be_read_is_read() {
    let scratch = Scratch::new("read-only");
    let disk = scratch.path("disk");
    std::fs::create_dir(&disk).expect("a directory");
    let path = disk.join("a.db");
    fill(&Db::open(&path).expect("open"), 0, 3, 10).expect("commit");
    let before = std::fs::read(&path).expect("bytes");
    let place = disk.display();
    let mount = format!("mount --bind {place} {place} && mount -o remount,bind,ro {place}");
    if let Some(output) = child::mounted(&mount, "read what may be read", &path) {
        child::assert_told(&output, "read");
    }
    assert!(std::fs::read(&path).expect("bytes") == before);
}

#[test]
#[cfg(unix)]
fn a_file_that_may_only_be_read_is_read() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new("permissions");
    let path = scratch.path("a.db");
    fill(&Db::open(&path).expect("open"), 0, 3, 10).expect("commit");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).expect("permissions");
    assert_eq!(count(&Options::new().read_only(true).open(&path).expect("open")).expect("readable"), 3);
    // The superuser is refused nothing.
    if OpenOptions::new().write(true).open(&path).is_err() {
        let error = Db::open(&path).expect_err("not writable");
        let Error::Io(failure) = &error else { panic!("{error}") };
        assert_eq!(
            (failure.operation, failure.source.kind()),
            ("open", std::io::ErrorKind::PermissionDenied)
        );
    }
    // Nobody may create a file here.
    assert_eq!(name_of(Db::open("/proc/a.db")), "io");
    assert_eq!(name_of(Db::open(scratch.path("none").join("a.db"))), "io");
}

/// A child's life as a user who owns nothing: reads what may be read, and is told the rest.
#[cfg(unix)]
pub(crate) fn read_what_may_be_read(path: &Path) {
    for mode in MODES {
        let db = Options::new().read_only(true).map_mode(mode).open(path).expect("readable");
        assert_eq!(count(&db).expect("readable"), 3);
    }
    let beside = path.with_extension("new");
    let advices = ["Options::read_only", "a directory that this user may write"];
    for (refused, advice) in [Db::open(path), Db::open(&beside)].into_iter().zip(advices) {
        let error = refused.expect_err("not writable");
        let Error::Io(failure) = &error else { panic!("{error}") };
        let kind = failure.source.kind();
        assert!(
            matches!(kind, std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem),
            "{error}"
        );
        assert!(error.to_string().contains(advice), "{error}");
    }
    assert!(!beside.exists());
    // A file that may be written needs nothing of its directory.
    let writable = path.with_extension("writable");
    if writable.exists() {
        let db = Db::open(&writable).expect("writable");
        fill(&db, 3, 500, 100).expect("commit");
        assert_eq!(count(&db).expect("readable"), 503);
    }
    child::tell("read");
}

#[test]
#[cfg(unix)]
fn a_user_who_owns_nothing_reads_and_changes_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new("nobody");
    let path = scratch.path("a.db");
    fill(&Db::open(&path).expect("open"), 0, 3, 10).expect("commit");
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permissions");
    };
    let writable = path.with_extension("writable");
    std::fs::copy(&path, &writable).expect("a copy");
    mode(&path, 0o444);
    mode(&writable, 0o666);
    mode(path.parent().expect("a directory"), 0o555);
    let before = std::fs::read(&path).expect("bytes");
    // The superuser becomes another user, where the system lets it; whoever is another user already stays.
    let other = "[ $(id -u) != 0 ] || set -- setpriv --reuid 65534 --regid 65534 --clear-groups \"$@\"";
    let process = child::start(child::limited(other, "read what may be read", &path, 0));
    let output = process.wait_with_output().expect("an end");
    mode(path.parent().expect("a directory"), 0o755);
    match output.status.code() {
        // The shell's word for a program that is not there, or that this user may not run.
        Some(126 | 127) => {
            let _ = writeln!(std::io::stderr(), "LEFT OUT: {}", String::from_utf8_lossy(&output.stderr));
        }
        _ => {
            child::assert_told(&output, "read");
            assert_sound(&writable);
        }
    }
    assert!(std::fs::read(&path).expect("bytes") == before);
}

// ---- the file underneath -------------------------------------------------------------------------------------------

#[test]
fn a_file_that_is_cut_underneath_is_an_error() {
    for mode in MODES {
        let scratch = Scratch::new("cut");
        let path = scratch.path("a.db");
        let db = Options::new().map_mode(mode).page_size(1024).open(&path).expect("open");
        fill(&db, 0, 300, 100).expect("commit");
        fill(&db, 0, 300, 101).expect("commit");
        let early = db.begin_read().expect("read");
        let file = OpenOptions::new().write(true).open(&path).expect("a file");
        let whole = std::fs::read(&path).expect("a file");
        file.set_len(3 * 1024).expect("shorter");
        // The next writer sees it before it touches a page, and so does whoever opens.
        assert_eq!(
            fill(&db, 300, 1, 1).expect_err("cut").damage().map(|d| d.rule.name()),
            Some("file-length")
        );
        assert_eq!(name_of(Options::new().read_only(true).timeout(Duration::ZERO).open(&path)), "timeout");
        // Where pages are read by calls, a reader sees it too. A mapping shows nothing behind the end of its file but a signal.
        if mode == MapMode::Plain {
            let bucket =
                early.bucket(b"b").and_then(|bucket| bucket.map_or(Ok(0), |b| Ok(b.iter()?.count())));
            let rule = bucket.err().and_then(|error| error.damage().map(|damage| damage.rule.name()));
            assert_eq!(rule, Some("page-in-file"));
            let tx = db.begin_read().expect("read");
            assert!(tx.bucket(b"b").is_err());
        }
        // Put back, it is as it was.
        drop(early);
        std::fs::write(scratch.path("copy"), &whole).expect("a copy");
        std::fs::copy(scratch.path("copy"), &path).expect("the bytes again");
        assert_eq!(count(&db).expect("readable"), 300);
        fill(&db, 300, 1, 1).expect("commit");
        drop(db);
        assert_sound(&path);
        let file = OpenOptions::new().write(true).open(&path).expect("a file");
        file.set_len(3 * 1024).expect("shorter");
        assert_eq!(name_of(Options::new().map_mode(mode).open(&path)), "file-too-small");
    }
}

#[test]
fn a_file_that_grows_underneath_does_no_harm() {
    for mode in MODES {
        let scratch = Scratch::new("longer");
        let path = scratch.path("a.db");
        let options = Options::new().map_mode(mode).page_size(1024).no_sync(true).alloc_size(1024);
        let db = options.open(&path).expect("open");
        for round in 0..20 {
            fill(&db, 10 * round, 10, 400).expect("commit");
            let end = std::fs::metadata(&path).expect("a file").len();
            let file = OpenOptions::new().write(true).open(&path).expect("a file");
            crate::scratch::write_at(&file, end, &[0xA5; 1_500]);
            assert_eq!(count(&db).expect("readable"), 10 * round + 10);
        }
        drop(db);
        assert_sound(&path);
        assert_eq!(count(&options.open(&path).expect("open")).expect("readable"), 200);
    }
}

#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    let scratch = Scratch::new("no-file");
    let directory = scratch.path("directory");
    std::fs::create_dir(&directory).expect("a directory");
    let paths = vec![directory];
    #[cfg(unix)]
    let paths = {
        let mut paths = paths;
        let pipe = scratch.path("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        if made.is_ok_and(|status| status.success()) {
            paths.push(pipe);
        }
        paths.push("/dev/null".into());
        paths
    };
    for path in paths {
        for read_only in [false, true] {
            for mode in MODES {
                let opened = Options::new().read_only(read_only).map_mode(mode).open(&path);
                assert_eq!(name_of(opened), "not-a-file", "{}", path.display());
            }
        }
        assert_eq!(name_of(open_shared(&path, None)), "not-a-file", "{}", path.display());
    }
    let empty = scratch.path("empty.db");
    std::fs::write(&empty, b"").expect("a file");
    assert_eq!(name_of(Options::new().read_only(true).open(&empty)), "file-too-small");
}

#[test]
fn a_huge_sparse_file_costs_what_is_in_it() {
    let scratch = Scratch::new("sparse");
    let path = scratch.path("a.db");
    let sparse = |bytes: u64| OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(bytes));
    std::fs::write(&path, b"").expect("a file");
    if sparse(1 << 40).is_err() {
        return;
    }
    if cfg!(target_pointer_width = "32") {
        // More than there are addresses for: refused where it was to be mapped, whatever the file holds.
        fill(&Db::open(scratch.path("b.db")).expect("open"), 0, 10, 10).expect("commit");
        let file = OpenOptions::new().write(true).open(scratch.path("b.db")).expect("a file");
        file.set_len(1 << 40).expect("longer");
        assert_eq!(name_of(Db::open(scratch.path("b.db"))), "does-not-fit");
        return;
    }
    // Nothing but holes.
    for mode in MODES {
        assert_eq!(name_of(Options::new().map_mode(mode).open(&path)), "invalid-database");
    }
    std::fs::remove_file(&path).expect("gone");
    fill(&Db::open(&path).expect("open"), 0, 10, 10).expect("commit");
    sparse(1 << 40).expect("longer");
    for mode in MODES {
        let db = Options::new().map_mode(mode).no_sync(true).open(&path).expect("open");
        fill(&db, 0, 20, 5_000).expect("commit");
        assert_eq!(count(&db).expect("readable"), 20);
        assert!(db.memory().private_bytes < 4 << 20, "{:?}", db.memory());
    }
    assert_sound(&path);
}

// ---- page sizes and long free lists on real files --------------------------------------------------------------------

#[test]
fn every_page_size_is_written_and_read_both_ways() {
    let scratch = Scratch::new("sizes");
    for page_size in [1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, 5000, 12_288] {
        let path = scratch.path(format!("{page_size}.db"));
        for (round, mode) in (0..).zip(MODES) {
            let db =
                Options::new().page_size(page_size).map_mode(mode).no_sync(true).open(&path).expect("open");
            assert_eq!(db.page_size(), page_size);
            fill(&db, 100 * round, 100, 700).expect("commit");
            assert_eq!(count(&db).expect("readable"), 100 * round + 100);
        }
        assert_sound(&path);
        for mode in MODES {
            let db = Options::new().read_only(true).map_mode(mode).open(&path).expect("open");
            assert_eq!(count(&db).expect("readable"), 200);
        }
    }
    for page_size in [80, 512, 1023, 65_537, 1 << 20] {
        let refused = Options::new().page_size(page_size).open(scratch.path("new.db"));
        assert_eq!(name_of(refused), "bad-option", "{page_size}");
    }
}

#[test]
fn a_file_of_smaller_pages_than_new_files_may_have_is_read_and_written() {
    let scratch = Scratch::new("512");
    for page_size in [512_u32, 256] {
        let path = scratch.path(format!("{page_size}.db"));
        let mut file = vec![0; 4 * page_size as usize];
        for (id, page) in (0..).zip(file.chunks_exact_mut(page_size as usize)) {
            let kind = [PageKind::Meta, PageKind::Meta, PageKind::Freelist, PageKind::Leaf][id as usize];
            match kind {
                PageKind::Meta => {
                    let meta = Meta {
                        page_size,
                        flags: 0,
                        root: 3,
                        sequence: 0,
                        freelist: 2,
                        high_water: 4,
                        txid: id,
                    };
                    meta.write(id, page);
                }
                kind => PageHeader { id, flags: kind.flags(), count: 0, overflow: 0 }.write(page),
            }
        }
        std::fs::write(&path, &file).expect("a file");
        for (round, mode) in (0..).zip(MODES) {
            let db = Options::new().map_mode(mode).no_sync(true).open(&path).expect("open");
            assert_eq!(db.page_size(), page_size);
            fill(&db, 100 * round, 100, 700).expect("commit");
            assert_eq!(count(&db).expect("readable"), 100 * round + 100);
        }
        assert_sound(&path);
    }
}

#[test]
fn a_free_list_of_more_than_sixteen_bits_is_written_read_and_used() {
    let scratch = Scratch::new("long-list");
    let path = scratch.path("a.db");
    let options = Options::new().page_size(1024).no_sync(true);
    let free = |db: &Db| db.free_page_ids().expect("loaded");
    let listed = {
        let db = options.open(&path).expect("open");
        db.update(|tx| tx.create_bucket(b"b")?.put(b"large", &vec![7; 70_000 * 1024])).expect("commit");
        db.update(|tx| tx.bucket_mut(b"b")?.delete(b"large")).expect("commit");
        db.update(|tx| tx.bucket_mut(b"b")?.put(b"small", b"1")).expect("commit");
        free(&db)
    };
    assert!(listed.len() > 66_000, "{}", listed.len());
    assert_sound(&path);
    for mode in MODES {
        let db = options.clone().map_mode(mode).read_only(true).pre_load_freelist(true).open(&path);
        assert_eq!(free(&db.expect("open")), listed);
    }
    // The same pages are found by a walk when nobody lists them.
    let unlisted = {
        let db = options.clone().no_freelist_sync(true).open(&path).expect("open");
        db.update(|tx| tx.bucket_mut(b"b")?.put(b"small", b"2")).expect("commit");
        free(&db)
    };
    let size = std::fs::metadata(&path).expect("a file").len();
    let db = options.clone().no_freelist_sync(true).open(&path).expect("open");
    assert_eq!(free(&db), unlisted);
    assert!(unlisted.len() > listed.len(), "the list's own pages are free");
    drop(db);
    // An open that lists them again changes the file, as bbolt's does, and they are used before the file grows.
    let db = options.open(&path).expect("open");
    assert_eq!(db.begin_read().expect("read").txid(), 6);
    fill(&db, 0, 5_000, 4_000).expect("commit");
    drop(db);
    assert_sound(&path);
    assert_eq!(std::fs::metadata(&path).expect("a file").len(), size);
}
