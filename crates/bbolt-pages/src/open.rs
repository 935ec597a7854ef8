//! Opening: the file, its lock, its page size, its newest valid meta, its free pages.
//!
//! Owns every decision between a path and a database. A new file is written beside its place and moved there whole, so a crash leaves either no
//! database or an empty one. Never repairs: what cannot be read is refused with the reason. Limit: the lock is advisory, as bbolt's is.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bolt_sync::unmodelled::{AtomicU64, Ordering};

use crate::error::{Damage, Error, Refusal, Result, Rule, Usage};
use crate::free::{FreePages, PageSet};
use crate::io::{FileStorage, Storage};
use crate::options::Options;
use crate::page::{
    BucketHeader, FIRST_DATA_PAGE, META_PAGE_BYTES, Meta, MetaFault, NO_FREELIST, PageHeader, PageKind,
};
use crate::source::Source;

/// bbolt reads this much at once when it looks for a meta page.
const PROBE_BYTES: usize = 4096;
/// Page sizes at which bbolt looks for the second meta: 1 KiB to 16 MiB.
const PROBE_SHIFTS: std::ops::Range<u32> = 0..15;
/// Page sizes of new files.
const NEW_PAGE_SIZES: std::ops::RangeInclusive<u32> = 1024..=65_536;
/// The wait between two tries of a lock grows up to bbolt's.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// What was found out about a file: the current meta, and the length that was seen.
pub(crate) struct Found {
    pub(crate) meta: Meta,
    pub(crate) file_bytes: u64,
}

/// Page size of a new file.
pub(crate) fn new_page_size(options: &Options) -> Result<u32> {
    let size = match options.page_size {
        0 => system_page_size().clamp(*NEW_PAGE_SIZES.start(), *NEW_PAGE_SIZES.end()),
        size => size,
    };
    if NEW_PAGE_SIZES.contains(&size) {
        Ok(size)
    } else {
        Err(Usage::BadOption { option: "page_size", given: u64::from(size) }.into())
    }
}

fn system_page_size() -> u32 {
    #[cfg(unix)]
    return rustix::param::page_size() as u32;
    #[cfg(not(unix))]
    return 4096;
}

/// The four pages of a new file.
pub(crate) fn initial_pages(page_size: u32) -> Vec<u8> {
    let size = page_size as usize;
    let mut bytes = vec![0; 4 * size];
    let (metas, data) = bytes.split_at_mut(2 * size);
    for (id, page) in (0..).zip(metas.chunks_exact_mut(size)) {
        let meta = Meta { page_size, flags: 0, root: 3, sequence: 0, freelist: 2, high_water: 4, txid: id };
        meta.write(id, page);
    }
    for (id, kind) in [(2, PageKind::Freelist), (3, PageKind::Leaf)] {
        let at = (id as usize - 2) * size;
        PageHeader { id, flags: kind.flags(), count: 0, overflow: 0 }.write(&mut data[at..]);
    }
    bytes
}

// ---- the file and its lock -----------------------------------------------------------------------------------------

/// Opens or creates the file at `path`, locked.
pub(crate) fn open_file(path: &Path, options: &Options) -> Result<File> {
    let started = Instant::now();
    loop {
        is_file_or_absent(path)?;
        let file = match OpenOptions::new().read(true).write(!options.read_only).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound && options.read_only => {
                return Err(Refusal::NotFound.into());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match create(path, options, false)? {
                    Some(file) => return Ok(file),
                    // Somebody else was faster; theirs is opened in the next round.
                    None => continue,
                }
            }
            Err(error) => return Err(Error::io("open", 0, error)),
        };
        lock(&file, options, started)?;
        // While this process waited, the holder may have put another file in its place.
        if !is_still_at(&file, path) {
            continue;
        }
        let length = file.metadata().map_err(|error| Error::io("length", 0, error))?.len();
        if length == 0 && !options.read_only {
            if let Some(file) = create(path, options, true)? {
                return Ok(file);
            }
            continue;
        }
        return Ok(file);
    }
}

/// Refuses what is there and is no file. Asked before opening: to open a pipe for reading waits for its writer.
pub(crate) fn is_file_or_absent(path: &Path) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => Err(Refusal::NotAFile.into()),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn is_still_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(here), Ok(there)) => here.dev() == there.dev() && here.ino() == there.ino(),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_still_at(_file: &File, _path: &Path) -> bool {
    true
}

fn lock(file: &File, options: &Options, started: Instant) -> Result<()> {
    let mut wait = Duration::from_millis(1);
    loop {
        let tried = if options.read_only { file.try_lock_shared() } else { file.try_lock() };
        match tried {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", 0, error)),
            Err(TryLockError::WouldBlock) => {}
        }
        let waited = started.elapsed();
        let left = match options.timeout {
            None => LOCK_POLL,
            Some(timeout) if waited >= timeout => return Err(Refusal::Timeout { waited }.into()),
            Some(timeout) => timeout - waited,
        };
        std::thread::sleep(wait.min(left));
        wait = (wait * 2).min(LOCK_POLL);
    }
}

/// Writes a new database beside `path` and moves it there, locked. `replace`: an empty file at `path`, whose lock is held, gives way. `None` if
/// another file stands there.
fn create(path: &Path, options: &Options, replace: bool) -> Result<Option<File>> {
    let page_size = new_page_size(options)?;
    let failed = |operation| move |error| Error::io(operation, 0, error);
    let beside = name_beside(path);
    let result = (|| {
        let mut open = OpenOptions::new();
        open.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut open, options.mode);
        let file = open.open(&beside).map_err(failed("create"))?;
        file.lock().map_err(failed("lock"))?;
        let storage = FileStorage::new(file);
        storage.write_at(0, &initial_pages(page_size)).map_err(failed("write"))?;
        storage.sync().map_err(failed("sync"))?;
        let moved =
            if replace { std::fs::rename(&beside, path).map(|()| true) } else { move_beside(&beside, path) };
        if !moved.map_err(failed("rename"))? {
            return Ok(None);
        }
        sync_directory(path).map_err(failed("sync directory"))?;
        Ok(Some(storage.into_file()))
    })();
    if !matches!(result, Ok(Some(_))) {
        let _ = std::fs::remove_file(&beside);
    }
    result
}

/// Moves `from` to `to` unless something stands there; false if it does.
fn move_beside(from: &Path, to: &Path) -> io::Result<bool> {
    // One step, where system and file system have it: the open file keeps one name, by which the system's tables call its mapping.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(true),
            Err(Errno::EXIST) => return Ok(false),
            // Older systems, and file systems without it.
            Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // A link fails where a rename would replace what another process put there a moment ago.
    match std::fs::hard_link(from, to) {
        Ok(()) => std::fs::remove_file(from).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(_) if !to.exists() => std::fs::rename(from, to).map(|()| true),
        Err(error) => Err(error),
    }
}

fn name_beside(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // Relaxed: a number that only has to differ.
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}-{number}.new", std::process::id()));
    path.with_file_name(name)
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}

// ---- page size and meta --------------------------------------------------------------------------------------------

/// Finds the page size and the current meta, and checks that the file holds what the meta says.
pub(crate) fn find(storage: &dyn Storage, options: &Options) -> Result<Found> {
    let file_bytes = storage.len().map_err(|error| Error::io("length", 0, error))?;
    let page_size = find_page_size(storage, file_bytes, options)?;
    let page_bytes = u64::from(page_size);
    if file_bytes < 2 * page_bytes {
        return Err(Refusal::TooSmall { file_bytes, needed_bytes: 2 * page_bytes }.into());
    }
    let first = read_meta(storage, 0)?;
    let second = read_meta(storage, page_bytes)?;
    let meta = choose(first, second)?;
    if meta.page_size != page_size {
        let rule = Rule::Meta;
        let (found, expected) = (u64::from(meta.page_size), page_bytes);
        return Err(Damage { page: meta.txid % 2, offset: 24, rule, found, expected }.into());
    }
    check_meta(&meta, file_bytes)?;
    Ok(Found { meta, file_bytes })
}

fn find_page_size(storage: &dyn Storage, file_bytes: u64, options: &Options) -> Result<u32> {
    if let Ok(meta) = read_meta(storage, 0)? {
        return Ok(meta.page_size);
    }
    for shift in PROBE_SHIFTS {
        let offset = 1024_u64 << shift;
        if offset >= file_bytes.saturating_sub(1024) {
            break;
        }
        if let Ok(meta) = read_meta(storage, offset)? {
            return Ok(meta.page_size);
        }
    }
    new_page_size(options)
}

/// The meta at a byte offset, and whether it is one.
pub(crate) fn read_meta(storage: &dyn Storage, offset: u64) -> Result<Result<Meta, MetaFault>> {
    let mut page = [0; PROBE_BYTES];
    let read = storage.read_at(offset, &mut page).map_err(|error| Error::io("read", offset, error))?;
    Ok(Meta::read(&page[..read.min(META_PAGE_BYTES)]))
}

/// The valid meta of the higher transaction, page 0 when equal.
pub(crate) fn choose(first: Result<Meta, MetaFault>, second: Result<Meta, MetaFault>) -> Result<Meta> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok(if second.txid > first.txid { second } else { first }),
        (Ok(meta), Err(_)) | (Err(_), Ok(meta)) => Ok(meta),
        // bbolt tells of the first page's fault; the second may know more.
        (Err(MetaFault::Magic | MetaFault::Short), Err(MetaFault::ByteSwapped)) => {
            Err(Refusal::ByteSwapped.into())
        }
        (Err(fault), Err(_)) => Err(match fault {
            MetaFault::Short | MetaFault::Magic => Refusal::InvalidDatabase,
            MetaFault::ByteSwapped => Refusal::ByteSwapped,
            MetaFault::Version(found) => Refusal::VersionMismatch { found },
            MetaFault::Checksum | MetaFault::PageSize(_) => Refusal::Checksum,
        }
        .into()),
    }
}

/// What a meta says must be possible in this file.
fn check_meta(meta: &Meta, file_bytes: u64) -> Result<()> {
    let page = meta.txid % 2;
    let pages = file_bytes / u64::from(meta.page_size);
    let in_bounds = |id: u64| (FIRST_DATA_PAGE..meta.high_water).contains(&id);
    if meta.high_water > pages {
        let needed_bytes = meta.high_water.saturating_mul(u64::from(meta.page_size));
        return Err(Refusal::TooSmall { file_bytes, needed_bytes }.into());
    }
    let rule = Rule::PageInBounds;
    if !in_bounds(meta.root) {
        return Err(Damage { page, offset: 32, rule, found: meta.root, expected: meta.high_water }.into());
    }
    if meta.freelist != NO_FREELIST && !in_bounds(meta.freelist) {
        return Err(Damage { page, offset: 48, rule, found: meta.freelist, expected: meta.high_water }.into());
    }
    Ok(())
}

// ---- free pages ----------------------------------------------------------------------------------------------------

/// The free pages of a snapshot: from its freelist page, or by a walk if it has none.
pub(crate) fn load_free_pages(source: &Source<'_>, meta: &Meta) -> Result<FreePages> {
    if meta.freelist == NO_FREELIST {
        return walk_free_pages(source, meta);
    }
    let page = source.page(meta.freelist)?;
    let list = page.freelist()?;
    let own = meta.freelist..meta.freelist + page.bytes().len() as u64 / source.page_size;
    for id in list.ids() {
        let damage = |rule, expected| Damage { page: meta.freelist, offset: 16, rule, found: id, expected };
        // A freelist that names pages it cannot name would hand out pages in use.
        if id < FIRST_DATA_PAGE || id >= meta.high_water {
            return Err(damage(Rule::FreelistBounds, meta.high_water).into());
        }
        if own.contains(&id) || id == meta.root {
            return Err(damage(Rule::FreelistInUse, meta.freelist).into());
        }
    }
    FreePages::new(list.ids()).map_err(|id| {
        Damage { page: meta.freelist, offset: 16, rule: Rule::FreelistOrder, found: id, expected: id }.into()
    })
}

/// Walks every bucket; what no page covers is free. Each page is visited once, so the walk ends on any file.
fn walk_free_pages(source: &Source<'_>, meta: &Meta) -> Result<FreePages> {
    let mut used = PageSet::default();
    let mut stack = vec![meta.root];
    while let Some(id) = stack.pop() {
        let page = source.page(id)?;
        let length = page.bytes().len() as u64 / source.page_size;
        for covered in id..id + length {
            if !used.insert(covered) {
                let rule = Rule::PageShared;
                return Err(Damage { page: covered, offset: 0, rule, found: id, expected: 0 }.into());
            }
        }
        match page.kind() {
            PageKind::Branch => {
                let branch = page.branch()?;
                for index in 0..branch.count() {
                    stack.push(branch.child(index)?);
                }
            }
            PageKind::Leaf => {
                let leaf = page.leaf()?;
                for index in 0..leaf.count() {
                    let element = leaf.element(index)?;
                    if element.is_bucket() {
                        let header = BucketHeader::read(element.value, id)?;
                        if header.root != 0 {
                            stack.push(header.root);
                        }
                    }
                }
            }
            kind => return Err(crate::cursor::wrong_kind(id, kind)),
        }
    }
    let free = (FIRST_DATA_PAGE..meta.high_water).filter(|&id| !used.contains(id));
    FreePages::new(free)
        .map_err(|id| Damage { page: id, offset: 0, rule: Rule::FreedTwice, found: id, expected: 0 }.into())
}
