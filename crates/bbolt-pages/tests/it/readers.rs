//! Readers beside a writer whose file grows: each sees one whole state for as long as it looks, and nothing of any other.
//!
//! `BBOLT_READERS_SECONDS` sets how long (default 2), half of it through a mapping and half by plain reads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bbolt_pages::{CheckOptions, Db, Error, MapMode, Options, RawFile, ReadTx, check};

use crate::scratch::Scratch;

const ACCOUNTS: u64 = 400;
const BALANCE: u64 = 1_000;
/// Entries of the log before its older half is deleted.
const LOG_MAX: u64 = 6_000;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes[..8].try_into().expect("eight bytes"))
}

/// A balance, and bytes behind it that belong to this account and this transaction alone.
fn account(key: u64, balance: u64, txid: u64) -> Vec<u8> {
    let mut value = balance.to_be_bytes().to_vec();
    value.resize(8 + (key * 7 + txid) as usize % 300, (key ^ txid) as u8);
    value
}

fn entry(txid: u64, at: u64) -> Vec<u8> {
    let mut value = txid.to_be_bytes().to_vec();
    value.resize(8 + 500 + at as usize % 900, at as u8);
    value
}

fn open_accounts(db: &Db) -> Result<(), Error> {
    db.update(|tx| {
        let txid = tx.txid();
        let mut accounts = tx.create_bucket(b"accounts")?;
        for key in 0..ACCOUNTS {
            accounts.put(&key.to_be_bytes(), &account(key, BALANCE, txid))?;
        }
        tx.create_bucket(b"log")?.put(&0_u64.to_be_bytes(), &entry(txid, 0))
    })
}

/// Moves money about, and adds to the log, whose sequence is the number of its last entry.
fn transfer(db: &Db, random: &mut Random) -> Result<(), Error> {
    db.update(|tx| {
        let txid = tx.txid();
        let mut accounts = tx.bucket_mut(b"accounts")?;
        for _ in 0..1 + random.below(4) {
            let (from, to) = (random.below(ACCOUNTS), random.below(ACCOUNTS));
            let mut move_by = |key: u64, by: i64| -> Result<(), Error> {
                let balance = number(accounts.get(&key.to_be_bytes()).expect("an account"));
                accounts.put(&key.to_be_bytes(), &account(key, balance.wrapping_add_signed(by), txid))
            };
            let by = random.below(50) as i64;
            move_by(from, -by)?;
            move_by(to, by)?;
        }
        let mut log = tx.bucket_mut(b"log")?;
        for _ in 0..1 + random.below(8) {
            let at = log.next_sequence()?;
            log.put(&at.to_be_bytes(), &entry(txid, at))?;
        }
        let first = number(log.cursor().first()?.expect("an entry").key);
        let last = log.sequence();
        if last - first > LOG_MAX {
            for at in first..first + LOG_MAX / 2 {
                log.delete(&at.to_be_bytes())?;
            }
        }
        Ok(())
    })
}

/// Looks at everything and says what it was in one number; anything that is not of one state fails.
fn look(tx: &ReadTx<'_>) -> Result<u64, Error> {
    let mut hash = tx.txid();
    let mut mix = |number: u64| hash = (hash ^ number).wrapping_mul(0x100_0000_01b3);
    let (mut sum, mut newest) = (0_u64, 0);
    let accounts = tx.require(b"accounts")?;
    for (wanted, entry) in (0..).zip(accounts.iter()?) {
        let entry = entry?;
        let (key, value) = (number(entry.key), entry.value().expect("a plain key"));
        assert_eq!(key, wanted);
        sum = sum.wrapping_add(number(value));
        if let Some(&filler) = value.get(8) {
            assert!(value[8..].iter().all(|&byte| byte == filler), "account {key} is of one transaction");
        }
        mix(number(value));
        mix(value.len() as u64);
    }
    assert_eq!(sum, ACCOUNTS * BALANCE, "money is moved and never made");
    // The same by key, one by one and sixteen together: other ways to the pages than the iterator's.
    let mut by_key = 0_u64;
    for first in (0..ACCOUNTS).step_by(16) {
        let keys: [[u8; 8]; 16] = std::array::from_fn(|at| (first + at as u64).to_be_bytes());
        let mut values = [None; 16];
        accounts.get_many(&keys.each_ref().map(|key| key.as_slice()), &mut values)?;
        for (key, value) in keys.iter().zip(values) {
            assert_eq!(accounts.get(key), value);
            by_key = by_key.wrapping_add(number(value.expect("an account")));
        }
    }
    assert_eq!(by_key, sum, "a get gives what the iterator gives");
    let log = tx.require(b"log")?;
    let mut expected = None;
    for entry in log.iter()? {
        let entry = entry?;
        let (key, value) = (number(entry.key), entry.value().expect("a plain key"));
        assert_eq!(expected.unwrap_or(key), key, "the log has no gap");
        assert!(value[8..].iter().all(|&byte| byte == key as u8) && value.len() == 508 + key as usize % 900);
        assert!(number(value) >= newest, "later entries are of later transactions");
        newest = number(value);
        expected = Some(key + 1);
    }
    assert_eq!(expected, Some(log.sequence() + 1), "the sequence and the last entry are of one state");
    assert!(newest == tx.txid(), "the newest entry is of the transaction that is seen");
    let last = log.sequence();
    assert_eq!(log.get(&last.to_be_bytes()).map(number), Some(newest));
    assert_eq!(log.get(&(last + 1).to_be_bytes()), None, "nothing of a later state");
    mix(last);
    Ok(hash)
}

/// What all threads together have done.
#[derive(Default)]
struct Done {
    over: AtomicBool,
    looks: AtomicU64,
    commits: AtomicU64,
}

fn read(db: &Db, done: &Done, mut random: Random) -> Result<(), Error> {
    let mut before = 0;
    while !done.over.load(Relaxed) {
        let tx = db.begin_read()?;
        assert!(tx.txid() >= before, "time does not go back");
        before = tx.txid();
        let first = look(&tx)?;
        // A while later, many commits on, the same pages show the same.
        std::thread::sleep(Duration::from_millis(random.below(12)));
        assert_eq!(look(&tx)?, first);
        done.looks.fetch_add(2, Relaxed);
    }
    Ok(())
}

fn write(db: &Db, done: &Done, until: Instant, mut random: Random) -> Result<(), Error> {
    while Instant::now() < until {
        // A reader of the writer's own thread stays open through its growth.
        let tx = db.begin_read()?;
        let first = look(&tx)?;
        for _ in 0..1 + random.below(60) {
            transfer(db, &mut random)?;
            done.commits.fetch_add(1, Relaxed);
        }
        assert_eq!(look(&tx)?, first);
        done.looks.fetch_add(2, Relaxed);
    }
    Ok(())
}

#[test]
fn readers_see_one_state_each_beside_a_growing_writer() {
    let text = std::env::var("BBOLT_READERS_SECONDS").ok();
    let seconds = text.and_then(|text| text.parse().ok()).unwrap_or(2.0_f64);
    let scratch = Scratch::new("readers");
    for mode in [MapMode::Mapped, MapMode::Plain] {
        let path = scratch.path(format!("{mode:?}.db"));
        let db = Options::new().no_sync(true).map_mode(mode).alloc_size(1 << 18).open(&path).expect("open");
        open_accounts(&db).expect("commit");
        let (done, until) = (Done::default(), Instant::now() + Duration::from_secs_f64(seconds / 2.0));
        let size_before = db.begin_read().expect("read").size();
        std::thread::scope(|scope| {
            let (db, done) = (&db, &done);
            let readers: Vec<_> =
                (1..=3).map(|seed| scope.spawn(move || read(db, done, Random(seed)))).collect();
            let written = write(db, done, until, Random(0));
            done.over.store(true, Relaxed);
            written.expect("a writer that goes on");
            readers.into_iter().for_each(|reader| reader.join().expect("a thread").expect("one state"));
        });
        let (looks, commits) = (done.looks.load(Relaxed), done.commits.load(Relaxed));
        assert!(looks > 0 && commits > 0);
        assert!(db.begin_read().expect("read").size() > size_before, "the file grew");
        // With the readers gone everything that is not seen is free: one more commit leaves only its own old pages waiting.
        transfer(&db, &mut Random(9)).expect("commit");
        transfer(&db, &mut Random(9)).expect("commit");
        let stats = db.stats();
        assert_eq!(stats.open_tx_n, 0);
        assert!(stats.pending_page_n < 100, "{stats:?}");
        drop(db);
        let file = std::fs::File::open(&path).expect("a file");
        let report =
            check(&RawFile::new(&file).expect("a database"), &CheckOptions::default()).expect("read");
        assert!(report.is_sound(), "{report:?}");
        let bytes = file.metadata().expect("a file").len();
        println!("{mode:?}: {commits} commits, {looks} whole looks, {} KiB", bytes / 1024);
    }
}
