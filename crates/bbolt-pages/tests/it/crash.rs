//! Crashes and failures at every step: nothing acknowledged is lost, nothing half-made is seen.
//!
//! The recorder lists every write, length and barrier of a workload. Between two barriers the disk may have kept any part of what was written, in any
//! order and torn at sectors; each such image is opened and must show the last acknowledged state or the one in flight, and pass the strict
//! check. `BBOLT_CRASH_IMAGES` sets how many are tried.

use std::collections::BTreeSet;

use bbolt_pages::io::{Event, Failing, Failure, FileStorage, MemoryStorage, Plan, Recording, Storage};
use bbolt_pages::page::{Meta, PageHeader};
use bbolt_pages::{CheckOptions, Db, Error, Options, RawFile, Value, WriteTx, check};

use crate::scratch::Scratch;

/// Everything in the top-level buckets, as text.
fn try_state(db: &Db) -> Result<String, Error> {
    let tx = db.begin_read()?;
    let mut text = String::new();
    for bucket in tx.root().buckets()? {
        let (name, bucket) = bucket?;
        text.push_str(&format!("{name:?} {}\n", bucket.sequence()));
        for entry in bucket.iter()? {
            let entry = entry?;
            let value = match entry.value {
                Value::Bytes(value) => format!("{}:{:?}", value.len(), value.first()),
                Value::Bucket(_) => "bucket".to_owned(),
            };
            text.push_str(&format!("{:?} {value}\n", entry.key));
        }
    }
    Ok(text)
}

pub(crate) fn state(db: &Db) -> String {
    try_state(db).expect("a sound database")
}

pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// The changes of one transaction of the mixed workload.
pub(crate) fn change(tx: &mut WriteTx<'_>, round: u64) -> Result<(), Error> {
    let mut random = Random(round);
    let name = [b'A' + (round % 3) as u8];
    let mut bucket = tx.create_bucket_if_not_exists(&name)?;
    for _ in 0..1 + random.below(12) {
        let key = random.below(120).to_be_bytes();
        match random.below(5) {
            0 => bucket.delete(&key)?,
            1 => bucket.put(&key, &vec![round as u8; random.below(3000) as usize])?,
            _ => bucket.put(&key, &vec![round as u8; random.below(60) as usize])?,
        }
    }
    bucket.next_sequence()?;
    if round % 7 == 6 {
        tx.delete_bucket(&name)?;
    }
    Ok(())
}

fn one_transaction(db: &Db, round: u64) -> Result<(), Error> {
    db.update(|tx| change(tx, round))
}

/// The states between transactions, and how many events had happened when each was acknowledged.
struct History {
    start: Vec<u8>,
    events: Vec<Event>,
    states: Vec<(usize, String)>,
}

fn record(options: &Options, rounds: std::ops::Range<u64>) -> History {
    record_from(options, 0, rounds, one_transaction)
}

/// A database with about `free` free pages.
fn with_free_pages(free: u64) -> MemoryStorage {
    let memory = MemoryStorage::default();
    let db = Options::new().page_size(1024).open_storage(memory.clone()).expect("a new database");
    if free > 0 {
        let fill = |tx: &mut WriteTx<'_>| {
            let mut bucket = tx.create_bucket(b"filled")?;
            (0..free).try_for_each(|key| bucket.put(&key.to_be_bytes(), &[7; 700]))
        };
        db.update(fill).expect("commit");
        db.update(|tx| tx.delete_bucket(b"filled")).expect("commit");
    }
    drop(db);
    memory
}

/// Records `transaction` on a database with about `free` free pages.
fn record_from(
    options: &Options,
    free: u64,
    rounds: std::ops::Range<u64>,
    transaction: impl Fn(&Db, u64) -> Result<(), Error>,
) -> History {
    let memory = with_free_pages(free);
    record_on(memory.clone(), memory.to_vec(), options, rounds, transaction)
}

/// Records `transaction` on a database in `storage`, which holds `start`.
fn record_on(
    storage: impl Storage + 'static,
    start: Vec<u8>,
    options: &Options,
    rounds: std::ops::Range<u64>,
    transaction: impl Fn(&Db, u64) -> Result<(), Error>,
) -> History {
    let (storage, events) = Recording::new(storage);
    let db = options.open_storage(storage).expect("open");
    let count = || events.lock().expect("the list").len();
    let mut states = vec![(count(), state(&db))];
    // A reader in the middle holds pages back and is then gone.
    let mut reader = None;
    for round in rounds {
        if round % 10 == 3 {
            reader = Some(db.begin_read().expect("read"));
        }
        if round % 10 == 8 {
            reader = None;
        }
        transaction(&db, round).expect("commit");
        states.push((count(), state(&db)));
    }
    drop(reader);
    drop(db);
    let events = std::mem::take(&mut *events.lock().expect("the list"));
    History { start, events, states }
}

/// A file of its own that holds `start`.
fn file_of(scratch: &Scratch, start: &[u8]) -> FileStorage {
    let path = scratch.path("a.db");
    std::fs::write(&path, start).expect("a file");
    FileStorage::new(std::fs::File::options().read(true).write(true).open(&path).expect("the file"))
}

fn apply(image: &mut Vec<u8>, event: &Event) {
    match event {
        Event::Write { offset, bytes } => {
            let end = *offset as usize + bytes.len();
            if image.len() < end {
                image.resize(end, 0);
            }
            image[*offset as usize..end].copy_from_slice(bytes);
        }
        Event::SetLen(length) => image.resize(*length as usize, 0),
        Event::Sync => {}
    }
}

/// Part of a write: some of its sectors.
fn torn(event: &Event, sector: usize, random: &mut Random) -> Vec<Event> {
    let Event::Write { offset, bytes } = event else { return vec![event.clone()] };
    let pieces = bytes.chunks(sector).enumerate();
    let kept = pieces.filter(|_| random.below(2) == 0);
    kept.map(|(index, piece)| Event::Write {
        offset: offset + (index * sector) as u64,
        bytes: piece.to_vec(),
    })
    .collect()
}

/// Opens an image; the state it shows, after a strict check.
fn reopened(image: &[u8]) -> Result<String, String> {
    let db = Options::new()
        .read_only(true)
        .open_storage(MemoryStorage::new(image.to_vec()))
        .map_err(|error| format!("does not open: {error}"))?;
    let text = try_state(&db).map_err(|error| error.to_string())?;
    let file = RawFile::new(&image).map_err(|error| error.to_string())?;
    let report = check(&file, &CheckOptions::default()).map_err(|error| error.to_string())?;
    if report.has_errors() { Err(format!("{report:?}")) } else { Ok(text) }
}

/// Tries images between all barriers, about `limit` of them; the first that is wrong.
fn images(history: &History, limit: usize) -> Result<usize, String> {
    let barriers = history.events.iter().filter(|event| **event == Event::Sync).count();
    let each = (limit / (barriers + 1)).max(4);
    let mut random = Random(limit as u64);
    let mut durable = history.start.clone();
    let mut tried = 0;
    let mut begin = 0;
    while begin < history.events.len() {
        let rest = &history.events[begin..];
        let length = rest.iter().position(|event| *event == Event::Sync).unwrap_or(rest.len());
        let pending = &rest[..length];
        // What was acknowledged before the first of these events, and what comes next.
        let acknowledged = history.states.iter().rposition(|&(at, _)| at <= begin).unwrap_or(0);
        let allowed: BTreeSet<&str> =
            history.states[acknowledged..].iter().take(2).map(|(_, text)| text.as_str()).collect();
        let mut try_image = |image: &[u8], how: &str| match reopened(image) {
            Ok(text) if allowed.contains(text.as_str()) => {
                tried += 1;
                Ok(())
            }
            Ok(_) => Err(format!("event {begin}+{length}, {how}: a state that was never acknowledged")),
            Err(error) => Err(format!("event {begin}+{length}, {how}: {error}")),
        };
        // Every prefix, whole and with its last event torn.
        let mut image = durable.clone();
        for event in pending {
            try_image(&image, "prefix")?;
            let mut half = image.clone();
            for part in torn(event, 512, &mut random) {
                apply(&mut half, &part);
            }
            try_image(&half, "torn prefix")?;
            apply(&mut image, event);
        }
        try_image(&image, "all")?;
        // Subsets: all of them where they are few, else a sample, each event whole, dropped or torn.
        let every = 1_usize.checked_shl(pending.len() as u32).filter(|&every| every <= each);
        for number in 0..every.unwrap_or(each) {
            let mut image = durable.clone();
            for (index, event) in pending.iter().enumerate() {
                let choice = match every {
                    Some(_) => (number >> index & 1) as u64,
                    None => random.below(4),
                };
                match choice {
                    0 => {}
                    1 | 2 => apply(&mut image, event),
                    _ => {
                        let sector = [512, 4096][random.below(2) as usize];
                        for part in torn(event, sector, &mut random) {
                            apply(&mut image, &part);
                        }
                    }
                }
            }
            try_image(&image, "subset")?;
        }
        for event in pending {
            apply(&mut durable, event);
        }
        begin += length + 1;
    }
    Ok(tried)
}

/// Transactions of one history, and images tried of it.
const ROUNDS: u64 = 40;
const IMAGES: usize = 3000;

fn wanted() -> usize {
    let small = if cfg!(debug_assertions) { 3_000 } else { 20_000 };
    std::env::var("BBOLT_CRASH_IMAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(small)
}

#[test]
fn every_crash_shows_the_last_acknowledged_state_or_the_one_in_flight() {
    let wanted = wanted();
    let all = [Options::new(), Options::new().no_freelist_sync(true), Options::new().no_grow_sync(true)];
    // Leaves that are written before their commit, to pages that were free; for that it takes a file.
    let early = Options::new().leaves_kept(1);
    let mut tried = 0;
    let mut first = 0;
    while tried < wanted {
        let rounds = || first..first + ROUNDS;
        let (scratch, start) = (Scratch::new("crash-early"), with_free_pages(60).to_vec());
        let file = file_of(&scratch, &start);
        let last =
            std::iter::once_with(|| (&early, record_on(file, start, &early, rounds(), one_transaction)));
        let histories = all.iter().map(|options| (options, record(options, rounds())));
        for (options, history) in histories.chain(last) {
            match images(&history, IMAGES) {
                Ok(number) => tried += number,
                Err(error) => panic!("{options:?}: {error}"),
            }
        }
        first += ROUNDS;
    }
}

#[test]
fn with_a_barrier_taken_out_a_crash_is_found() {
    // The broken twin: data and meta with no barrier between them.
    let mut history = record(&Options::new(), 0..30);
    let mut seen = 0;
    let mut kept = vec![0_usize; history.events.len() + 1];
    let mut events = Vec::new();
    for (index, event) in history.events.drain(..).enumerate() {
        kept[index] = events.len();
        seen += usize::from(event == Event::Sync);
        // The first of each commit's two barriers.
        if event == Event::Sync && seen % 2 == 1 {
            continue;
        }
        events.push(event);
    }
    let last = kept.len() - 1;
    kept[last] = events.len();
    history.events = events;
    for (at, _) in &mut history.states {
        *at = kept[*at];
    }
    assert!(images(&history, 3_000).is_err(), "the twin must fail");
}

/// Transactions of one small change, now and then of a larger one: what they free and take lies at both ends of the file.
fn small_transaction(db: &Db, round: u64) -> Result<(), Error> {
    if round % 12 == 5 {
        return one_transaction(db, round);
    }
    db.update(|tx| {
        let mut bucket = tx.create_bucket_if_not_exists(b"small")?;
        bucket.put(&(round % 3).to_be_bytes(), &vec![round as u8; 400])
    })
}

/// What a commit wrote of its freelist.
struct ListWrites {
    /// Its run, in bytes of the file.
    run: std::ops::Range<u64>,
    /// Bytes that were written there.
    bytes: u64,
    /// Those writes.
    events: Vec<usize>,
}

/// The freelist's writes of each commit; commit `n` is the events from state `n` to the next.
fn list_writes(history: &History) -> Vec<ListWrites> {
    let mut image = history.start.clone();
    let commits = history.states.windows(2).map(|pair| pair[0].0..pair[1].0);
    commits
        .map(|commit| {
            history.events[commit.clone()].iter().for_each(|event| apply(&mut image, event));
            let metas = [0, 1024].map(|at| Meta::read(&image[at..at + 1024]).expect("a sound meta"));
            let freelist = metas.iter().max_by_key(|meta| meta.txid).expect("two metas").freelist;
            let start = freelist * 1024;
            let header = PageHeader::read(&image[start as usize..]).expect("a header");
            let run = start..start + 1024 * (1 + u64::from(header.overflow));
            let events: Vec<usize> = commit
                .filter(|&index| match &history.events[index] {
                    Event::Write { offset, .. } => run.contains(offset),
                    _ => false,
                })
                .collect();
            let length = |index: &usize| match &history.events[*index] {
                Event::Write { bytes, .. } => bytes.len() as u64,
                _ => 0,
            };
            ListWrites { run, bytes: events.iter().map(length).sum(), events }
        })
        .collect()
}

#[test]
fn a_freelist_of_several_pages_written_in_part_survives_every_crash() {
    let wanted = wanted() / 4;
    let (mut tried, mut first, mut in_part, mut not_at_all) = (0, 0, 0, 0);
    while tried < wanted {
        let history = record_from(&Options::new(), 700, first..first + ROUNDS, small_transaction);
        for list in list_writes(&history) {
            assert!(list.run.end - list.run.start > 4 * 1024, "several pages");
            in_part += usize::from(list.bytes > 0 && list.bytes < list.run.end - list.run.start);
            not_at_all += usize::from(list.bytes == 0);
        }
        match images(&history, wanted.min(IMAGES)) {
            Ok(number) => tried += number,
            Err(error) => panic!("{error}"),
        }
        first += ROUNDS;
    }
    println!("{tried} images, {in_part} freelists written in part, {not_at_all} not at all");
    assert!(in_part > 4, "{in_part}");
}

#[test]
fn a_freelist_overwritten_one_transaction_too_early_is_found() {
    // The broken twin: what a commit writes onto the list of the last but one is written by the commit before, while that list is in force.
    let mut history = record_from(&Options::new(), 700, 0..30, small_transaction);
    let lists = list_writes(&history);
    let mut commits: Vec<Vec<Event>> =
        history.states.windows(2).map(|pair| history.events[pair[0].0..pair[1].0].to_vec()).collect();
    let mut moved = 0;
    for commit in 2..commits.len() {
        if lists[commit].run != lists[commit - 2].run || lists[commit].bytes == 0 {
            continue;
        }
        let begin = history.states[commit].0;
        for &event in lists[commit].events.iter().rev() {
            let event = commits[commit].remove(event - begin);
            commits[commit - 1].insert(0, event);
        }
        moved += 1;
        break;
    }
    assert_eq!(moved, 1, "a place is used again");
    let mut at = history.states[0].0;
    for (commit, (end, _)) in commits.iter().zip(&mut history.states[1..]) {
        at += commit.len();
        *end = at;
    }
    history.events.truncate(history.states[0].0);
    history.events.extend(commits.into_iter().flatten());
    assert!(images(&history, 1_000).is_err(), "the twin must fail");
}

#[test]
fn whichever_operation_fails_nothing_acknowledged_is_lost() {
    let limit = 120;
    let with_few = [Failure::NoSpace, Failure::Broken, Failure::ShortWrite].map(|failure| (failure, 0));
    // Where the freelist takes several pages, a write of part of it may fail.
    for (failure, free) in with_few.into_iter().chain([(Failure::ShortWrite, 300)]) {
        let start = with_free_pages(free).to_vec();
        for nth in 0..limit {
            let memory = MemoryStorage::new(start.clone());
            let (storage, plan) = Failing::new(memory.clone());
            let db = Options::new().open_storage(storage).expect("open");
            let mut states = vec![state(&db)];
            {
                let mut plan = plan.lock().expect("the plan");
                plan.remaining = Some(nth);
                plan.failure = failure;
            }
            let mut failed = None;
            for round in 0..20 {
                match one_transaction(&db, round) {
                    Ok(()) => states.push(state(&db)),
                    Err(error) => {
                        assert!(matches!(error, Error::Io(_)), "{error}");
                        failed = Some(round);
                        break;
                    }
                }
            }
            let Some(round) = failed else { break };
            // Readers go on with what was acknowledged.
            assert_eq!(state(&db), states[states.len() - 1]);
            match one_transaction(&db, round) {
                // Before the barriers, a failure is undone and the next try succeeds.
                Ok(()) => {
                    states.push(state(&db));
                    drop(db);
                    assert_eq!(reopened(&memory.to_vec()).as_ref(), Ok(&states[states.len() - 1]));
                }
                // After a failed barrier nobody knows what the disk holds, until it is opened again.
                Err(error) => {
                    assert!(matches!(error, Error::Poisoned), "{error}");
                    drop(db);
                    let found = reopened(&memory.to_vec()).expect("opens");
                    let again = Options::new().open_storage(memory.clone()).expect("open");
                    let acknowledged = &states[states.len() - 1];
                    if found != *acknowledged {
                        let copy = MemoryStorage::default();
                        let other = Options::new().page_size(1024).open_storage(copy).expect("open");
                        (0..=round).for_each(|round| one_transaction(&other, round).expect("commit"));
                        assert_eq!(found, state(&other), "the state in flight");
                    }
                    one_transaction(&again, round).expect("writes again");
                }
            }
        }
    }
}

/// A leaf that cannot be written early is written by the commit; if that fails, too, nothing has happened.
#[test]
fn an_early_write_that_fails_is_made_again_by_the_commit() {
    let start = with_free_pages(300).to_vec();
    let (mut gone_on, mut undone) = (0, 0);
    for forever in [false, true] {
        for nth in 0..30 {
            let scratch = Scratch::new("crash-early-fails");
            let (storage, plan) = Failing::new(file_of(&scratch, &start));
            let db = Options::new().leaves_kept(1).open_storage(storage).expect("open");
            let many = |tx: &mut WriteTx<'_>| {
                let mut bucket = tx.create_bucket_if_not_exists(b"many")?;
                (0..400_u32).try_for_each(|key| bucket.put(&key.wrapping_mul(77_003).to_be_bytes(), &[3; 60]))
            };
            db.update(many).expect("commit");
            let before = state(&db);
            let mut tx = db.begin_write().expect("write");
            let set = Plan { remaining: Some(nth), failure: Failure::ShortWrite, forever, failed: 0 };
            *plan.lock().expect("the plan") = set;
            let mut bucket = tx.bucket_mut(b"many").expect("the bucket");
            for key in 0..400_u32 {
                bucket.put(&key.wrapping_mul(77_003).to_be_bytes(), &[4; 60]).expect("a put");
            }
            let failed_early = plan.lock().expect("the plan").failed > 0;
            let result = tx.commit();
            plan.lock().expect("the plan").remaining = None;
            match result {
                Ok(()) => gone_on += u64::from(failed_early),
                Err(Error::Poisoned) => unreachable!("the commit that fails says how"),
                Err(error) => {
                    assert!(matches!(error, Error::Io(_)), "{error}");
                    assert_eq!(state(&db), before);
                    undone += u64::from(failed_early);
                }
            }
        }
    }
    if cfg!(all(unix, target_pointer_width = "64")) {
        assert!(gone_on > 5 && undone > 5, "{gone_on} {undone}");
    }
}

#[test]
fn a_file_that_shrinks_underneath_is_an_error_of_the_next_writer() {
    let memory = MemoryStorage::default();
    let db = Options::new().page_size(1024).open_storage(memory.clone()).expect("open");
    one_transaction(&db, 1).expect("commit");
    memory.set_len(2048).expect("shorter");
    let error = one_transaction(&db, 2).expect_err("too short");
    assert_eq!(error.damage().map(|damage| damage.rule.name()), Some("file-length"));
    let tx = db.begin_read().expect("read");
    assert!(tx.root().iter().is_err());
}
