//! The oracle's script language on `bbolt-pages`: one operation a line, one result a line.
//!
//! Owns the language as `xtask/bbolt-oracle/README.md` tells it, and nothing of the store: every operation is one or a few calls of
//! the public interface. Tests include this file, so that the golden scripts run without a process. Limit: a named cursor of a reader
//! is kept as the key it stands on and stood up anew for each move.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, Write};
use std::ops::Bound;
use std::path::PathBuf;
use std::time::Duration;

use bbolt_pages::{
    Bucket, BucketId, BucketMut, CheckOptions, CursorState, Db, DumpValue, Entry, Error, FreelistType, Hex,
    Options, RawFile, ReadTx, WriteTx, check,
};

/// A roomy first mapping, as the oracle asks for.
const MAP_BYTES: u64 = 1 << 30;
/// Keys up to this many bytes stand in results as they are.
const KEY_TEXT_BYTES: usize = 32;

/// Why an operation has no result: the name that the result line tells.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The line is malformed.
    Script(String),
    /// A name of the tool's own, or one that follows from it.
    Named(&'static str),
    /// The store said no.
    Store(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

type Done<T = String> = Result<T, Fault>;

fn malformed<T>(what: &str) -> Done<T> {
    Err(Fault::Script(what.to_owned()))
}

/// Where a named cursor stands, and in which bucket.
enum Place {
    Writer(BucketId, CursorState),
    Reader(Vec<Vec<u8>>, Stand),
}

#[derive(Clone)]
enum Stand {
    Nowhere,
    On(Vec<u8>),
    /// Behind the last key; this is what was sought.
    Behind(Vec<u8>),
}

struct NamedCursor {
    /// The reader's name; empty for the writer.
    who: String,
    place: Place,
}

/// Runs scripts on one file.
pub(crate) struct Runner {
    path: PathBuf,
    options: Options,
    writer: Option<WriteTx<'static>>,
    readers: HashMap<String, ReadTx<'static>>,
    cursors: HashMap<String, NamedCursor>,
    db: Option<Db>,
    malformed: bool,
}

impl Runner {
    /// A runner on the file at `path`, which is opened by the first operation that needs it.
    pub(crate) fn new(path: PathBuf) -> Self {
        let options = Options::new()
            .no_sync(true)
            .no_grow_sync(true)
            .initial_mmap_size(MAP_BYTES)
            .timeout(Duration::from_secs(5))
            .page_size(4096);
        Self {
            path,
            options,
            writer: None,
            readers: HashMap::new(),
            cursors: HashMap::new(),
            db: None,
            malformed: false,
        }
    }

    /// Whether some line was malformed.
    pub(crate) fn malformed(&self) -> bool {
        self.malformed
    }

    /// Changes the options for the next open.
    pub(crate) fn change_options(&mut self, change: impl FnOnce(Options) -> Options) {
        self.options = change(self.options.clone());
    }

    /// One `name=value`, for the next open.
    pub(crate) fn option(&mut self, word: &str) -> Done<()> {
        let Some((name, value)) = word.split_once('=') else {
            return malformed("an option wants name=value");
        };
        let options = self.options.clone();
        if name == "freelist" {
            self.options = match value {
                "array" => options.freelist_type(FreelistType::Array),
                "map" => options.freelist_type(FreelistType::Hashmap),
                _ => return malformed("freelist=array or freelist=map"),
            };
            return Ok(());
        }
        let number = number(value)?;
        let yes = number != 0;
        self.options = match name {
            "page" => options.page_size(u32::try_from(number).or_else(|_| malformed("a page of 32 bits"))?),
            "nofreelistsync" => options.no_freelist_sync(yes),
            "nosync" => options.no_sync(yes),
            "nogrowsync" => options.no_grow_sync(yes),
            "readonly" => options.read_only(yes),
            "preload" => options.pre_load_freelist(yes),
            "mmap" => options.initial_mmap_size(number),
            "alloc" => options.alloc_size(number),
            "maxsize" => options.max_size(number),
            "strict" => options.strict_mode(yes),
            _ => return malformed("an unknown option"),
        };
        Ok(())
    }

    /// Runs a script to its end; transactions still open are rolled back.
    pub(crate) fn run(&mut self, script: impl BufRead, out: &mut impl Write) -> io::Result<()> {
        let mut number = 0;
        for line in script.lines() {
            let line = line?;
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some((first, rest)) = words.split_first() else { continue };
            if first.starts_with('#') {
                continue;
            }
            number += 1;
            match self.line(first, rest) {
                Ok(text) if text.is_empty() => writeln!(out, "{number} {first} ok")?,
                Ok(text) => writeln!(out, "{number} {first} ok {text}")?,
                Err(fault) => {
                    let name = match &fault {
                        Fault::Script(_) => "bad-script",
                        Fault::Named(name) => name,
                        Fault::Store(error) => error.name(),
                    };
                    self.malformed |= name == "bad-script";
                    match &fault {
                        Fault::Script(why) => eprintln!("{line} - expected {why}"),
                        Fault::Store(error) if matches!(name, "io" | "damaged" | "poisoned") => {
                            eprintln!("{line} - {error}");
                        }
                        _ => {}
                    }
                    writeln!(out, "{number} {first} err {name}")?;
                }
            }
        }
        self.cursors.clear();
        self.readers.clear();
        self.writer = None;
        self.db.take().map_or(Ok(()), Db::close).map_err(|error| io::Error::other(error.to_string()))
    }

    fn line(&mut self, first: &str, words: &[&str]) -> Done {
        let (who, operation) = first.split_once(':').unwrap_or(("", first));
        let (least, most) = match operation {
            "options" => (1, 99),
            "reopen" => (0, 99),
            "commit" | "rollback" | "check" | "dump" => (0, 0),
            "begin" | "bucket" | "bucket-if-missing" | "delete-bucket" | "buckets" | "next-seq" | "first"
            | "last" | "rscan" => (1, 1),
            "read-tx" | "move-bucket" | "get" | "del" | "fill" | "seek" | "cursor-delete" => (2, 2),
            "put" => (3, 3),
            "seq" => (1, 2),
            "scan" => (1, 3),
            "cursor" => (2, 3),
            "put-range" | "put-rand" => (5, 5),
            "del-range" => (4, 4),
            _ => return malformed("an unknown operation"),
        };
        if !(least..=most).contains(&words.len()) {
            return malformed("another number of words");
        }
        self.operate(who, operation, words)
    }

    fn open(&mut self) -> Done<&Db> {
        if self.db.is_none() {
            self.db = Some(self.options.open(&self.path)?);
        }
        self.db.as_ref().ok_or(Fault::Named("database-not-open"))
    }

    fn operate(&mut self, who: &str, operation: &str, words: &[&str]) -> Done {
        match operation {
            "options" => {
                for word in words {
                    self.option(word)?;
                }
                return Ok(String::new());
            }
            "reopen" => {
                if self.writer.is_some() || !self.readers.is_empty() {
                    return Err(Fault::Named("tx-open"));
                }
                for word in words {
                    self.option(word)?;
                }
                if let Some(db) = self.db.take() {
                    db.close()?;
                }
                self.open()?;
                return Ok(String::new());
            }
            _ => {}
        }
        self.open()?;
        match operation {
            "begin" => {
                if words[0] != "w" {
                    return malformed("begin w");
                }
                if self.writer.is_some() {
                    return Err(Fault::Named("tx-open"));
                }
                let tx = self.open()?.begin_write_owned()?;
                let text = format!("txid={}", tx.txid());
                self.writer = Some(tx);
                Ok(text)
            }
            "commit" if who.is_empty() => {
                let tx = self.writer.take().ok_or(Fault::Named("tx-closed"))?;
                self.cursors.retain(|_, cursor| !cursor.who.is_empty());
                tx.commit()?;
                Ok(String::new())
            }
            "commit" => {
                self.reader(who)?;
                Err(Fault::Named("tx-not-writable"))
            }
            "rollback" => {
                let gone = if who.is_empty() {
                    self.writer.take().map(WriteTx::rollback).is_some()
                } else {
                    self.readers.remove(who).is_some()
                };
                if !gone {
                    return Err(Fault::Named("tx-closed"));
                }
                self.cursors.retain(|_, cursor| cursor.who != who);
                Ok(String::new())
            }
            "read-tx" => {
                let name = format!("r{}", words[1]);
                match words[0] {
                    "open" if self.readers.contains_key(&name) => Err(Fault::Named("tx-open")),
                    "open" => {
                        let tx = self.open()?.begin_read_owned()?;
                        let text = format!("txid={}", tx.txid());
                        self.readers.insert(name, tx);
                        Ok(text)
                    }
                    "close" => self.operate(&name, "rollback", &[]),
                    _ => malformed("read-tx open|close N"),
                }
            }
            "check" => {
                if self.writer.is_some() {
                    return Err(Fault::Named("tx-open"));
                }
                self.check()
            }
            "cursor" => self.cursor(who, words),
            "dump" => {
                let mut summary = Summary::default();
                dump(self.root(who)?, "", &mut summary)?;
                Ok(format!("lines={} hash={:016x}", summary.count, summary.hash.0))
            }
            _ => self.data(who, operation, words),
        }
    }

    /// The strict check on the file as it is.
    fn check(&self) -> Done {
        let opened = std::fs::File::open(&self.path).map_err(|_| Fault::Named("io"))?;
        let report =
            check(&RawFile::new(&opened)?, &CheckOptions { findings_max: 5, ..CheckOptions::default() })?;
        for finding in &report.findings {
            eprintln!("check: {finding}");
        }
        if report.is_sound() { Ok(String::new()) } else { Err(Fault::Named("check-failed")) }
    }

    fn reader(&self, who: &str) -> Done<&ReadTx<'static>> {
        self.readers.get(who).ok_or(Fault::Named("tx-closed"))
    }

    fn root(&self, who: &str) -> Done<Bucket<'_>> {
        if who.is_empty() {
            self.writer.as_ref().map(WriteTx::root).ok_or(Fault::Named("tx-closed"))
        } else {
            self.reader(who).map(ReadTx::root)
        }
    }

    /// The bucket at `path`, for reading.
    fn bucket(&self, who: &str, path: &[Vec<u8>]) -> Done<Bucket<'_>> {
        let mut bucket = self.root(who)?;
        for name in path {
            bucket = match bucket.bucket(name) {
                Ok(Some(found)) => found,
                Ok(None) => return Err(Fault::Named("bucket-not-found")),
                Err(error) if error.name() == "incompatible-value" => {
                    return Err(Fault::Named("bucket-not-found"));
                }
                Err(error) => return Err(error.into()),
            };
        }
        Ok(bucket)
    }

    /// The bucket at `path`, for changing: `tx-not-writable` on a reader, if the bucket is there.
    fn bucket_mut(&mut self, who: &str, path: &[Vec<u8>]) -> Done<BucketMut<'_, 'static>> {
        self.bucket(who, path)?;
        if !who.is_empty() {
            return Err(Fault::Named("tx-not-writable"));
        }
        let tx = self.writer.as_mut().ok_or(Fault::Named("tx-closed"))?;
        let names: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
        let id = tx.open_bucket(&names)?;
        Ok(tx.at(id)?)
    }

    fn data(&mut self, who: &str, operation: &str, words: &[&str]) -> Done {
        self.root(who)?;
        let path = path(words[0])?;
        match operation {
            "bucket" | "bucket-if-missing" | "delete-bucket" => {
                let Some((name, parent)) = path.split_last() else {
                    return malformed("the root is no bucket to make or delete");
                };
                let mut parent = self.bucket_mut(who, parent)?;
                match operation {
                    "bucket" => parent.create_bucket(name).map(|_| ())?,
                    "bucket-if-missing" => parent.create_bucket_if_not_exists(name).map(|_| ())?,
                    _ => parent.delete_bucket(name)?,
                }
                return Ok(String::new());
            }
            "move-bucket" => {
                let target = self::path(words[1])?;
                let Some((name, parent)) = path.split_last() else {
                    return malformed("the root cannot move");
                };
                self.bucket(who, parent)?;
                let target = self.bucket_mut(who, &target)?.id();
                let parent = self.bucket_mut(who, parent)?.id();
                self.writer.as_mut().ok_or(Fault::Named("tx-closed"))?.move_bucket(parent, name, target)?;
                return Ok(String::new());
            }
            "first" => return Ok(entry_text(self.bucket(who, &path)?.cursor().first()?)),
            "last" => return Ok(entry_text(self.bucket(who, &path)?.cursor().last()?)),
            "seek" => {
                let bucket = self.bucket(who, &path)?;
                return Ok(entry_text(bucket.cursor().seek(&bytes(words[1])?)?));
            }
            "scan" => {
                let bucket = self.bucket(who, &path)?;
                let from = words.get(1).map_or(Ok(Vec::new()), |word| bytes(word))?;
                let to = words.get(2).map_or(Ok(Vec::new()), |word| bytes(word))?;
                let end = if to.is_empty() { Bound::Unbounded } else { Bound::Excluded(to.as_slice()) };
                let mut summary = Summary::default();
                for entry in bucket.range::<&[u8]>((Bound::Included(from.as_slice()), end))? {
                    summary.entry(entry?);
                }
                return Ok(summary.text());
            }
            "rscan" => {
                let mut cursor = self.bucket(who, &path)?.cursor();
                let mut summary = Summary::default();
                let mut entry = cursor.last()?;
                while let Some(found) = entry {
                    summary.entry(found);
                    entry = cursor.prev()?;
                }
                return Ok(summary.text());
            }
            "buckets" => {
                let mut summary = Summary::default();
                for bucket in self.bucket(who, &path)?.buckets()? {
                    let (name, _) = bucket?;
                    summary.line(&format!("{} bucket", key_text(name)));
                }
                return Ok(summary.text());
            }
            _ => {}
        }
        self.bucket(who, &path)?;
        if path.is_empty() {
            return malformed("not on the root");
        }
        match operation {
            "seq" if words.len() == 1 => Ok(self.bucket(who, &path)?.sequence().to_string()),
            "seq" => {
                let sequence = number(words[1])?;
                self.bucket_mut(who, &path)?.set_sequence(sequence)?;
                Ok(String::new())
            }
            "next-seq" => Ok(self.bucket_mut(who, &path)?.next_sequence()?.to_string()),
            "fill" => {
                let percent = words[1].parse().or_else(|_| malformed("a number"))?;
                // On a reader's bucket it is a field that nobody looks at.
                if who.is_empty() {
                    self.bucket_mut(who, &path)?.set_fill_percent(percent);
                }
                Ok(String::new())
            }
            "put-range" | "put-rand" | "del-range" => {
                let mut numbers = [0; 4];
                for (place, word) in numbers.iter_mut().zip(&words[1..]) {
                    *place = number(word)?;
                }
                let step = match operation {
                    "put-rand" => numbers[1],
                    "del-range" => numbers[2],
                    _ => 1,
                };
                if step == 0 {
                    return malformed("a number that may not be 0");
                }
                let mut bucket = self.bucket_mut(who, &path)?;
                ranged(&mut bucket, operation, numbers).map(|count| format!("n={count}"))
            }
            "get" => {
                let key = bytes(words[1])?;
                let value = self.bucket(who, &path)?.try_get(&key)?;
                Ok(value.map_or_else(|| "nil".into(), |value| DumpValue(value).to_string()))
            }
            "put" => {
                let (key, value) = (bytes(words[1])?, bytes(words[2])?);
                self.bucket_mut(who, &path)?.put(&key, &value)?;
                Ok(String::new())
            }
            "del" => {
                let key = bytes(words[1])?;
                self.bucket_mut(who, &path)?.delete(&key)?;
                Ok(String::new())
            }
            "cursor-delete" => {
                let key = bytes(words[1])?;
                let found = self.bucket(who, &path)?.cursor().seek(&key)?.is_some();
                if !found {
                    return Ok("end".into());
                }
                let mut bucket = self.bucket_mut(who, &path)?;
                let mut cursor = bucket.cursor();
                let text = entry_text(cursor.seek(&key)?);
                cursor.delete()?;
                Ok(text)
            }
            _ => malformed("an unknown operation"),
        }
    }

    fn cursor(&mut self, who: &str, words: &[&str]) -> Done {
        self.root(who)?;
        if words[0] == "open" {
            let [_, name, place] = words else { return malformed("cursor open NAME PATH") };
            let path = path(place)?;
            self.bucket(who, &path)?;
            let place = if who.is_empty() {
                Place::Writer(self.bucket_mut(who, &path)?.id(), CursorState::default())
            } else {
                Place::Reader(path, Stand::Nowhere)
            };
            self.cursors.insert((*name).to_owned(), NamedCursor { who: who.to_owned(), place });
            return Ok(String::new());
        }
        let sought = match (words[1], words.get(2)) {
            ("seek", Some(word)) => bytes(word)?,
            ("first" | "last" | "next" | "prev" | "delete", _) => Vec::new(),
            _ => return malformed("cursor NAME first|last|next|prev|seek KEY|delete"),
        };
        let known = self.cursors.get_mut(words[0]).filter(|cursor| cursor.who == who);
        let place = &mut known.ok_or(Fault::Named("tx-closed"))?.place;
        match place {
            Place::Writer(bucket, state) => {
                let tx = self.writer.as_mut().ok_or(Fault::Named("tx-closed"))?;
                let mut bucket = tx.at(*bucket)?;
                let mut cursor = bucket.cursor_at(std::mem::take(state));
                let result = match words[1] {
                    "first" => cursor.first().map(entry_text),
                    "last" => cursor.last().map(entry_text),
                    "next" => cursor.next().map(entry_text),
                    "prev" => cursor.prev().map(entry_text),
                    "seek" => cursor.seek(&sought).map(entry_text),
                    // bbolt's cursor has nothing to delete behind the end, and says nothing.
                    _ => match cursor.delete() {
                        Err(error) if error.name() == "no-entry" => Ok(String::new()),
                        other => other.map(|()| String::new()),
                    },
                };
                *state = cursor.into_state();
                Ok(result?)
            }
            Place::Reader(path, stand) => {
                let (path, before) = (path.clone(), stand.clone());
                let mut cursor = self.bucket(who, &path)?.cursor();
                let stood = match (&before, words[1]) {
                    (Stand::On(key) | Stand::Behind(key), "next" | "prev") => {
                        cursor.seek(key)?;
                        true
                    }
                    _ => false,
                };
                let entry = match words[1] {
                    "first" => cursor.first()?,
                    "last" => cursor.last()?,
                    "seek" => cursor.seek(&sought)?,
                    "next" if stood => cursor.next()?,
                    "prev" if stood => cursor.prev()?,
                    "next" | "prev" => None,
                    _ => return Err(Fault::Named("tx-not-writable")),
                };
                let after = match (entry, words[1]) {
                    (Some(entry), _) => Stand::On(entry.key.to_vec()),
                    (None, "seek") => Stand::Behind(sought),
                    (None, "first" | "last") => Stand::Nowhere,
                    (None, _) => before,
                };
                let text = entry_text(entry);
                if let Some(NamedCursor { place: Place::Reader(_, stand), .. }) =
                    self.cursors.get_mut(words[0])
                {
                    *stand = after;
                }
                Ok(text)
            }
        }
    }
}

/// The bulk operations; they stop at the first error.
fn ranged(bucket: &mut BucketMut<'_, '_>, operation: &str, numbers: [u64; 4]) -> Done<u64> {
    let mut count = 0;
    match operation {
        "put-range" => {
            let [from, to, length, seed] = numbers;
            for key in from..to {
                bucket.put(&key.to_be_bytes(), &pattern(length as usize, seed.wrapping_add(key)))?;
                count += 1;
            }
        }
        "put-rand" => {
            let [times, space, length, seed] = numbers;
            let mut random = SplitMix(seed);
            for _ in 0..times {
                let key = random.next() % space;
                bucket.put(&key.to_be_bytes(), &pattern(length as usize, seed.wrapping_add(key)))?;
                count += 1;
            }
        }
        _ => {
            let [from, to, step, _] = numbers;
            for key in (from..to).step_by(step as usize) {
                bucket.delete(&key.to_be_bytes())?;
                count += 1;
            }
        }
    }
    Ok(count)
}

/// The canonical dump of what a transaction sees.
fn dump(bucket: Bucket<'_>, path: &str, summary: &mut Summary) -> Done<()> {
    let at = if path.is_empty() { "/" } else { path };
    for entry in bucket.iter()? {
        let entry = entry?;
        if let Some(value) = entry.value() {
            summary.line(&format!("K {at} {} {}", Hex(entry.key), DumpValue(value)));
        } else if let Some(inner) = bucket.bucket(entry.key)? {
            let path = format!("{path}/{}", Hex(entry.key));
            summary.line(&format!("B {path} seq={}", inner.sequence()));
            dump(inner, &path, summary)?;
        }
    }
    Ok(())
}

fn entry_text(entry: Option<Entry<'_>>) -> String {
    match entry {
        None => "end".into(),
        Some(entry) => match entry.value() {
            Some(value) => format!("{} {}", key_text(entry.key), DumpValue(value)),
            None => format!("{} bucket", key_text(entry.key)),
        },
    }
}

fn key_text(key: &[u8]) -> String {
    if key.len() <= KEY_TEXT_BYTES {
        format!("k:{}", Hex(key))
    } else {
        format!("kh:{}:{:016x}", key.len(), bbolt_pages::page::fnv1a_64(key))
    }
}

/// FNV-1a 64 over text that comes in pieces.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

#[derive(Default)]
struct Summary {
    count: u64,
    hash: Fnv,
}

impl Summary {
    fn line(&mut self, text: &str) {
        self.count += 1;
        for byte in text.bytes().chain([b'\n']) {
            self.hash.0 = (self.hash.0 ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn entry(&mut self, entry: Entry<'_>) {
        self.line(&entry_text(Some(entry)));
    }

    fn text(&self) -> String {
        let mut text = format!("n={}", self.count);
        let _ = write!(text, " hash={:016x}", self.hash.0);
        text
    }
}

/// SplitMix64.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

/// The bytes of `@LEN:SEED`.
fn pattern(length: usize, seed: u64) -> Vec<u8> {
    let mut random = SplitMix(seed);
    let mut bytes = vec![0; length];
    for piece in bytes.chunks_mut(8) {
        piece.copy_from_slice(&random.next().to_le_bytes()[..piece.len()]);
    }
    bytes
}

/// A whole number, decimal or with the prefix `0x`.
fn number(word: &str) -> Done<u64> {
    let parsed = word.strip_prefix("0x").map_or_else(|| word.parse(), |hex| u64::from_str_radix(hex, 16));
    parsed.or_else(|_| malformed("a whole number"))
}

/// `-`, `=text`, `@LEN:SEED` or hexadecimal.
fn bytes(word: &str) -> Done<Vec<u8>> {
    if word == "-" {
        return Ok(Vec::new());
    }
    if let Some(text) = word.strip_prefix('=') {
        return Ok(text.as_bytes().to_vec());
    }
    if let Some(spec) = word.strip_prefix('@') {
        let Some((length, seed)) = spec.split_once(':') else { return malformed("@LEN:SEED") };
        return Ok(pattern(number(length)? as usize, number(seed)?));
    }
    let digits: Vec<u32> = word.chars().map_while(|c| c.to_digit(16)).collect();
    if digits.len() != word.len() || digits.is_empty() || digits.len() % 2 == 1 {
        return malformed("bytes");
    }
    Ok(digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}

fn path(word: &str) -> Done<Vec<Vec<u8>>> {
    match word.strip_prefix('/') {
        None => malformed("a path begins with /"),
        Some("") => Ok(Vec::new()),
        Some(names) => names.split('/').map(bytes).collect(),
    }
}
