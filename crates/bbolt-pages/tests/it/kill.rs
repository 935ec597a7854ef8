//! A process that commits is killed at any moment, on a real file: what it acknowledged is there, and at most the one transaction in flight beside it.
//!
//! `BBOLT_KILL_SECONDS` sets how long (default 1). What a kill cannot show, the loss of what the system had not yet written, `crash.rs` simulates.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::{Duration, Instant};

use bbolt_pages::io::MemoryStorage;
use bbolt_pages::{CheckOptions, Db, Error, MapMode, Options, RawFile, check};

use crate::crash::{Random, change, state};
use crate::scratch::Scratch;
use crate::writable::writable;
use crate::{child, scratch};

/// Kills of one file before it is begun anew.
const KILLS_A_FILE: u64 = 12;
/// The longest life of a child after its start.
const LIFE_MAX_MS: u64 = 60;

/// The file in which a child says how many transactions are committed: eight bytes, written after each commit.
fn acknowledgements(path: &Path) -> std::path::PathBuf {
    path.with_extension("acknowledged")
}

/// The number of the newest transaction; 0 in a new database.
fn number_of(db: &Db) -> Result<u64, Error> {
    let tx = db.begin_read()?;
    let Some(bucket) = tx.bucket(b"number")? else { return Ok(0) };
    Ok(bucket.try_get(b"n")?.and_then(|value| value.try_into().ok()).map_or(0, u64::from_le_bytes))
}

/// Transaction `number`: the crash test's changes and the number itself.
fn commit(db: &Db, number: u64) -> Result<(), Error> {
    db.update(|tx| {
        change(tx, number)?;
        tx.create_bucket_if_not_exists(b"number")?.put(b"n", &number.to_le_bytes())
    })
}

/// Whether the child of this kind stores its pages into the mapping: one in three does, by turns with the others on the same file.
fn is_stored(kind: u64) -> bool {
    kind % 3 == 1 && kind % 5 != 4
}

/// A child's life: `kind` chooses its options.
pub(crate) fn commit_until_killed(path: &Path, kind: u64) {
    let options = Options::new()
        .page_size([1024, 4096][(kind / KILLS_A_FILE % 2) as usize])
        .no_sync(kind % 2 == 1)
        .no_freelist_sync(kind / 2 % 3 == 2)
        .no_grow_sync(kind / 4 % 2 == 1)
        .map_mode(if kind % 5 == 4 { MapMode::Plain } else { MapMode::Mapped });
    let db = if is_stored(kind) { writable(options) } else { options }.open(path).expect("open");
    let mut acknowledged = OpenOptions::new();
    let acknowledged = acknowledged.create(true).truncate(false).write(true).open(acknowledgements(path));
    let acknowledged = acknowledged.expect("a file");
    let mut reader = None;
    for number in number_of(&db).expect("a number") + 1.. {
        commit(&db, number).expect("commit");
        scratch::write_at(&acknowledged, 0, &number.to_le_bytes());
        // A reader holds pages back, for a while.
        if number % 8 == 0 {
            reader = Some(db.begin_read().expect("read"));
        } else if number % 8 == 5 {
            reader = None;
        }
    }
    drop(reader);
}

#[test]
fn a_killed_process_loses_nothing_acknowledged() {
    let seconds = std::env::var("BBOLT_KILL_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1.0);
    let scratch = Scratch::new("kill");
    let path = scratch.path("a.db");
    let mut random = Random(20_261_121);
    let started = Instant::now();
    let (mut kills, mut commits, mut in_flight) = (0_u64, 0, 0);
    // How many of the kills, and of the commits, met a process that stores into its mapping.
    let mut stored = (0_u64, 0);
    // What the same transactions make of a database that nobody kills.
    let mut model = Options::new().open_storage(MemoryStorage::default()).expect("open");
    let mut modelled = 0;
    while started.elapsed() < Duration::from_secs_f64(seconds) || commits == 0 {
        if kills.is_multiple_of(KILLS_A_FILE) {
            let _ = std::fs::remove_file(&path);
            let _ = std::fs::remove_file(acknowledgements(&path));
            model = Options::new().open_storage(MemoryStorage::default()).expect("open");
            modelled = 0;
        }
        let mut process = child::start(child::command("commit until killed", &path, kills));
        std::thread::sleep(Duration::from_micros(random.below(LIFE_MAX_MS * 1000)));
        process.kill().expect("a process that runs");
        let output = process.wait_with_output().expect("an end");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!told.contains("panicked"), "kill {kills}: {told}");
        let by_storing = is_stored(kills);
        stored.0 += u64::from(by_storing);
        kills += 1;

        let acknowledged = std::fs::read(acknowledgements(&path)).ok();
        let acknowledged = acknowledged.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
        // What was found after the kill before stays, acknowledged by its process or not.
        let acknowledged = acknowledged.max(modelled);
        if !path.exists() {
            // Killed before the new file had its name.
            assert_eq!(acknowledged, 0, "kill {kills}");
            continue;
        }
        let file = std::fs::File::open(&path).expect("a file");
        let report = RawFile::new(&file).and_then(|raw| check(&raw, &CheckOptions::default()));
        let report = report.unwrap_or_else(|error| panic!("kill {kills}: {error}"));
        assert!(report.is_sound() && report.unsound_meta.is_none(), "kill {kills}: {report:?}");
        // The lock went with the process that held it.
        let db = Options::new().timeout(Duration::from_secs(10)).no_sync(true).open(&path).expect("reopened");
        let found = number_of(&db).expect("a number");
        assert!(
            found == acknowledged || found == acknowledged + 1,
            "kill {kills}: {acknowledged} transactions were acknowledged, and {found} are there"
        );
        in_flight += found - acknowledged;
        commits += found - modelled;
        stored.1 += if by_storing { found - modelled } else { 0 };
        while modelled < found {
            modelled += 1;
            commit(&model, modelled).expect("commit");
        }
        assert_eq!(state(&db), state(&model), "kill {kills}");
    }
    let (stored_kills, stored_commits) = stored;
    println!("{kills} kills in {commits} commits; {in_flight} times the one in flight was there");
    println!("{stored_kills} of the kills and {stored_commits} of the commits by the writable map");
}
