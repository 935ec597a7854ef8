//! Damage of every kind, one at a time: nothing panics, hangs, faults or allocates without bound; the strict check names whatever changes
//! what a reader sees and lies in no key and no value; and what it finds sound can be read, changed and committed, and is sound afterwards.
//!
//! `BBOLT_DAMAGES` sets the number of damages of each test (default 400, or 1,200 in an optimised build, where 10,000 take 20 s).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bbolt_pages::io::MemoryStorage;
use bbolt_pages::page::{
    BUCKET_HEADER_BYTES, BucketHeader, ELEMENT_BYTES, Leaf, META_PAGE_BYTES, Meta, PAGE_HEADER_BYTES,
    PageKind,
};
use bbolt_pages::{CheckOptions, Db, Error, Options, RawFile, Step, Tree, check, dump};

use crate::fixtures;
use crate::scratch::Scratch;

/// Bytes that reading, checking and writing a damaged file of these sizes may allocate in all.
const ALLOCATED_MAX: u64 = 96 << 20;
/// How long that may take. Generous: the machine may be busy; what is tested is that it ends.
const TIME_MAX: Duration = Duration::from_secs(20);

fn damages() -> usize {
    let few = if cfg!(debug_assertions) { 400 } else { 1_200 };
    std::env::var("BBOLT_DAMAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(few)
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// A small database with everything in it: a tree, nested, inline and empty buckets, overflow, free pages, sequences.
fn base() -> Vec<u8> {
    let storage = MemoryStorage::default();
    let db =
        Options::new().page_size(1024).alloc_size(1024).open_storage(storage.clone()).expect("a database");
    let fill = |name: &[u8], from: u32, to: u32, length: usize| {
        db.update(|tx| {
            let mut bucket = tx.create_bucket_if_not_exists(name)?;
            bucket.next_sequence()?;
            (from..to).try_for_each(|key| bucket.put(&key.to_be_bytes(), &vec![key as u8 | 1; length]))
        })
        .expect("a commit");
    };
    fill(b"tree", 0, 400, 40);
    fill(b"big", 0, 4, 3_000);
    fill(b"gone", 0, 100, 60);
    db.update(|tx| {
        let mut outer = tx.create_bucket(b"outer")?;
        outer.put(b"plain", b"beside buckets")?;
        let mut inner = outer.create_bucket(b"inner")?;
        (0..60_u32).try_for_each(|key| inner.put(&key.to_le_bytes(), &[9; 30]))?;
        inner.create_bucket(b"innermost")?.put(b"k", b"v")?;
        outer.create_bucket(b"nothing")?;
        let mut small = tx.create_bucket(b"inline")?;
        small.put(b"a", b"1")?;
        small.put(b"b", b"22")?;
        tx.delete_bucket(b"gone")
    })
    .expect("a commit");
    fill(b"tree", 100, 120, 41);
    drop(db);
    storage.to_vec()
}

fn files() -> Vec<(String, Vec<u8>)> {
    let mut files = vec![("base".to_owned(), base())];
    fixtures::each("", ".db.gz", |name, bytes| {
        if matches!(name, "inline-1024" | "odd-keys" | "root-plain-key" | "inline-align" | "nested-12") {
            files.push((name.to_owned(), bytes));
        }
    });
    files
}

/// How [`hurt`] tells of a changed transaction number, the field with index 3.
const TXID_DAMAGE: &str = "meta field 3";

/// One damage at a place and of a kind that chance chooses.
fn hurt(bytes: &mut Vec<u8>, random: &mut Random) -> String {
    let page_size = RawFile::new(bytes).expect("a file").page_size() as usize;
    let pages = bytes.len() / page_size;
    let page = random.below(pages) * page_size;
    // Headers and the first elements are where a change has consequences.
    let near = page + random.below(128.min(page_size));
    let place = if random.below(2) == 0 { near } else { random.below(bytes.len()) };
    let word = place / 4 * 4;
    match random.below(12) {
        0..=4 => {
            let change = 1 + random.below(255) as u8;
            bytes[place] ^= change;
            format!("byte {place} xor {change:#x}")
        }
        5 => {
            let value =
                [0, 1, 2, 0xFFFF, 0x7FFF_FFFF, u32::MAX, 1 << 30, random.next() as u32][random.below(8)];
            bytes[word..word + 4].copy_from_slice(&value.to_le_bytes());
            format!("word {word} = {value:#x}")
        }
        6 => {
            let at = place / 8 * 8;
            let value = [0, 1, 2, 3, pages as u64, u64::MAX, 1 << 40, random.next() % 64][random.below(8)];
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
            format!("long {at} = {value:#x}")
        }
        7 => {
            let from = random.below(pages) * page_size;
            bytes.copy_within(from..from + page_size, page);
            format!("page {} copied over {}", from / page_size, page / page_size)
        }
        8 => {
            bytes[page..page + page_size].fill(0);
            format!("page {} zeroed", page / page_size)
        }
        9 => {
            bytes.truncate(place.max(1));
            format!("cut to {place}")
        }
        10 => {
            let at = random.below(bytes.len() - 16);
            let other = random.below(bytes.len() - 16);
            for byte in 0..16 {
                bytes.swap(at + byte, other + byte);
            }
            format!("16 bytes at {at} and {other} exchanged")
        }
        _ => {
            // A meta that is wrong and whose checksum is right.
            let at = random.below(2) * page_size;
            let Some(Ok(mut meta)) = bytes.get(at..at + META_PAGE_BYTES).map(Meta::read) else {
                return "nothing".into();
            };
            let value =
                [0, 1, 2, 3, pages as u64 + 1, u64::MAX - 1, 1 << 50, random.next() % 64][random.below(8)];
            let field = random.below(5);
            *[&mut meta.root, &mut meta.freelist, &mut meta.high_water, &mut meta.txid, &mut meta.sequence]
                [field] = value;
            let end = (at + page_size).min(bytes.len());
            meta.write((at / page_size) as u64, &mut bytes[at..end]);
            format!("meta field {field} = {value:#x}")
        }
    }
}

/// Everything that can be done with a file: checked, walked, opened, read both ways, changed, committed.
fn use_up(db: Result<Db, Error>, bytes: &[u8]) {
    if let Ok(file) = RawFile::new(&bytes) {
        let _ = check(&file, &CheckOptions::default());
        let _ = check(&file, &CheckOptions { older: true, ..CheckOptions::default() });
        if let Ok(tree) = Tree::new(file) {
            let _ = dump(&tree, &mut std::io::sink());
            let _ = tree.stats(&tree.root());
        }
    }
    let Ok(db) = db else { return };
    let _ = db.view(|tx| {
        for entry in tx.root().iter()? {
            let name = entry?.key;
            let Some(bucket) = tx.bucket(name)? else { continue };
            for entry in bucket.iter()? {
                let entry = entry?;
                let _ = bucket.try_get(entry.key)?;
            }
            for entry in bucket.iter()?.rev() {
                let _ = entry?;
            }
        }
        Ok::<_, Error>(())
    });
    for _ in 0..2 {
        let _ = change(&db);
    }
    let _ = db.close();
}

/// A transaction that writes to every top-level bucket, and deletes.
fn change(db: &Db) -> Result<(), Error> {
    db.update(|tx| {
        let names: Vec<Vec<u8>> = {
            let root = tx.root();
            root.buckets()?.map(|bucket| bucket.map(|(name, _)| name.to_vec())).collect::<Result<_, _>>()?
        };
        for name in names {
            let mut bucket = tx.bucket_mut(&name)?;
            let number = bucket.next_sequence()?;
            bucket.put(b"a new key", &[number as u8; 100])?;
            let first = bucket.cursor().first()?.map(|entry| (entry.key.to_vec(), entry.is_bucket()));
            if let Some((key, false)) = first {
                bucket.delete(&key)?;
            }
        }
        Ok(())
    })
}

/// Whether the strict check finds no error.
fn is_sound(bytes: &[u8]) -> bool {
    let report = RawFile::new(&bytes).and_then(|file| check(&file, &CheckOptions::default()));
    report.is_ok_and(|report| !report.has_errors())
}

#[test]
fn no_damage_faults_hangs_or_runs_away() {
    let scratch = Scratch::new("damage");
    let mut random = Random(20_261_121);
    let files = files();
    let (mut most, mut sound) = (0, 0);
    for round in 0..damages() {
        let (name, whole) = &files[round % files.len()];
        let mut bytes = whole.clone();
        let what = hurt(&mut bytes, &mut random);
        // With the greatest transaction numbers there is nothing wrong but that few can follow.
        if is_sound(&bytes) && !what.starts_with(TXID_DAMAGE) {
            sound += 1;
            let storage = MemoryStorage::new(bytes.clone());
            let db = Options::new().open_storage(storage.clone());
            let db = db.unwrap_or_else(|error| panic!("round {round}, {name}, {what}: {error}"));
            let used = change(&db).and_then(|()| change(&db));
            used.unwrap_or_else(|error| panic!("round {round}, {name}, {what}, found sound: {error}"));
            drop(db);
            assert!(is_sound(&storage.to_vec()), "round {round}, {name}, {what}: unsound once it is written");
        }
        let started = Instant::now();
        let ((), counts) = bolt_alloc::measure(|| {
            // By turns through a mapping of a real file, by ordinary reads of it, and in memory.
            let options = Options::new().no_sync(true).no_grow_sync(true).alloc_size(1 << 16);
            let path = scratch.path("damaged.db");
            let db = match round % 3 {
                2 => options.open_storage(MemoryStorage::new(bytes.clone())),
                kind => {
                    std::fs::write(&path, &bytes).expect("a file");
                    let mode = [bbolt_pages::MapMode::Mapped, bbolt_pages::MapMode::Plain][kind];
                    options.map_mode(mode).open(&path)
                }
            };
            use_up(db, &bytes);
        });
        assert!(started.elapsed() < TIME_MAX, "round {round}, {name}, {what}: {:?}", started.elapsed());
        assert!(counts.bytes_allocated < ALLOCATED_MAX, "round {round}, {name}, {what}: {counts:?}");
        most = most.max(counts.bytes_allocated);
    }
    assert!(most > 0, "the counting allocator counts");
    assert!(sound > damages() / 20 && sound < damages() * 19 / 20, "{sound} of {} were sound", damages());
}

/// What a byte of the newest state's pages is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    /// Of a key, a name, a value, or a bucket's sequence: data that only its owner can judge.
    Data,
    /// The sizes of a page's last element: key or value may grow into the zeros behind and make a page that bbolt might have written.
    LastSize,
    /// Everything else in use: headers, elements, bucket roots, inline pages.
    Structure,
}

/// The role of each byte that the newest state uses; metas and free lists are structure too.
fn roles(bytes: &[u8]) -> BTreeMap<usize, Role> {
    let file = RawFile::new(&bytes).expect("a file");
    let meta = file.meta().expect("a meta");
    let page_size = file.page_size() as usize;
    let mut roles = BTreeMap::new();
    let mut set = |range: std::ops::Range<usize>, role| {
        for at in range {
            roles.insert(at, role);
        }
    };
    let current = file.current().expect("a sound meta");
    set(current * page_size..current * page_size + META_PAGE_BYTES, Role::Structure);
    let mut pages = vec![meta.root];
    fn leaf_roles(
        leaf: &Leaf<'_>,
        start: usize,
        whole: bool,
        pages: &mut Vec<u64>,
        set: &mut impl FnMut(std::ops::Range<usize>, Role),
    ) {
        set(start..start + PAGE_HEADER_BYTES + ELEMENT_BYTES * leaf.count(), Role::Structure);
        for index in 0..leaf.count() {
            let (flags, (key, value, end)) = leaf.places(index).expect("a sound leaf");
            set(start + key..start + end, Role::Data);
            if whole && index + 1 == leaf.count() {
                let element = start + PAGE_HEADER_BYTES + ELEMENT_BYTES * index;
                set(element + 8..element + 16, Role::LastSize);
            }
            if flags == 1 {
                let bytes = &leaf.bytes()[value..end];
                let header = BucketHeader::read(bytes, 0).expect("a bucket");
                set(start + value..start + value + 8, Role::Structure);
                if header.root == 0 {
                    let inline = BucketHeader::inline_leaf(bytes, 0).expect("an inline bucket");
                    leaf_roles(&inline, start + value + BUCKET_HEADER_BYTES, false, pages, set);
                } else {
                    pages.push(header.root);
                }
            }
        }
    }
    while let Some(id) = pages.pop() {
        let allocation = file.allocation(id, meta.high_water).expect("a sound page");
        let page = allocation.page().expect("a sound page");
        let start = id as usize * page_size;
        if page.kind() == PageKind::Branch {
            let branch = page.branch().expect("a branch");
            set(start..start + PAGE_HEADER_BYTES + ELEMENT_BYTES * branch.count(), Role::Structure);
            for index in 0..branch.count() {
                pages.push(branch.child(index).expect("a child"));
            }
        } else {
            leaf_roles(&page.leaf().expect("a leaf"), start, true, &mut pages, &mut set);
        }
    }
    roles
}

fn contents(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let tree = RawFile::new(&bytes).and_then(Tree::new).map_err(|e| e.to_string())?;
    let mut text = Vec::new();
    dump(&tree, &mut text).map(|()| text).map_err(|e| e.to_string())
}

/// As [`contents`], with nothing between key and value: where one ends and the other begins only their owner knows, as long as both together are
/// as long as they were.
fn joined(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let tree = RawFile::new(&bytes).and_then(Tree::new).map_err(|e| e.to_string())?;
    let mut walk = tree.walk(&tree.root());
    let mut joined = Vec::new();
    while let Some(step) = walk.next().map_err(|e| e.to_string())? {
        match step {
            Step::Bucket { path, sequence, .. } => {
                joined.extend_from_slice(&path.concat());
                joined.extend_from_slice(&sequence.to_le_bytes());
            }
            Step::Pair { path, key, value } => {
                joined.extend_from_slice(&[path.concat().as_slice(), b"/", key, value, b"\n"].concat());
            }
            Step::End => joined.push(b'.'),
            Step::Page(_) => {}
            Step::Damage(damage) => return Err(damage.to_string()),
        }
    }
    Ok(joined)
}

/// Whether the strict check says anything: a finding, a refusal, or that a meta is torn.
fn is_told(bytes: &[u8]) -> bool {
    match RawFile::new(&bytes).and_then(|file| check(&file, &CheckOptions::default())) {
        Err(_) => true,
        Ok(report) => !report.is_sound() || report.unsound_meta.is_some(),
    }
}

#[test]
fn the_check_names_what_changes_a_reader_s_view_outside_keys_and_values() {
    let mut random = Random(7);
    let mut counts = BTreeMap::<(Role, bool), u32>::new();
    let files: Vec<(String, Vec<u8>)> =
        files().into_iter().filter(|(_, bytes)| bytes.len() < 200_000).collect();
    let prepared: Vec<_> = files
        .iter()
        .map(|(name, bytes)| {
            let roles: Vec<(usize, Role)> =
                roles(bytes).into_iter().filter(|(_, role)| *role != Role::Data).collect();
            (name, bytes, contents(bytes).expect("a sound file"), roles)
        })
        .collect();
    for round in 0..damages() {
        let (name, whole, before, roles) = &prepared[round % prepared.len()];
        let (place, role) = roles[random.below(roles.len())];
        let mut bytes = (*whole).clone();
        let change = if random.below(2) == 0 { 1 << random.below(8) } else { 1 + random.below(255) as u8 };
        bytes[place] ^= change;
        if contents(&bytes).as_ref() == Ok(before) {
            continue;
        }
        let told = is_told(&bytes);
        *counts.entry((role, told)).or_default() += 1;
        assert!(
            told || role == Role::LastSize,
            "{name}: byte {place} xor {change:#x} ({role:?}) changes what is read, and the check says nothing"
        );
    }
    let of = |role, told| counts.get(&(role, told)).copied().unwrap_or(0);
    assert!(of(Role::Structure, true) as usize > damages() / 4, "{counts:?}");
}

#[test]
fn the_check_names_what_greater_damage_changes_outside_keys_and_values() {
    let mut random = Random(11);
    let files: Vec<(String, Vec<u8>)> =
        files().into_iter().filter(|(_, bytes)| bytes.len() < 200_000).collect();
    let prepared: Vec<_> = files
        .iter()
        .map(|(name, bytes)| (name, bytes, joined(bytes).expect("a sound file"), roles(bytes)))
        .collect();
    let (mut changed, mut seen) = (0, 0);
    for round in 0..damages() {
        let (name, whole, before, roles) = &prepared[round % prepared.len()];
        let mut bytes = (*whole).clone();
        let what = hurt(&mut bytes, &mut random);
        // What only its owner can judge is put back: keys, values, sequences, and the sizes of last elements. So is what no reader of a sound
        // file looks at, but for a longer or newer meta that makes it count.
        for (&at, role) in roles {
            if *role != Role::Structure && at < bytes.len() {
                bytes[at] = whole[at];
            }
        }
        // A meta with another transaction's number and a right checksum makes the older state count, which is a whole one.
        if bytes == **whole || what.starts_with(TXID_DAMAGE) {
            continue;
        }
        changed += 1;
        if joined(&bytes).as_ref() == Ok(before) {
            continue;
        }
        seen += 1;
        assert!(
            is_told(&bytes),
            "{name}, round {round}: {what} changes what is read, and the check says nothing"
        );
    }
    assert!(seen > damages() / 20, "{seen} of {changed} damages were seen by a reader");
}
