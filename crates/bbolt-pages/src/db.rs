//! The database: one file, many readers, one writer.
//!
//! Owns [`Db`] and what its transactions share: storage, mappings, the published state, the writer's turn. Never interprets a page.
//! Limits: one writer at a time in one process; other processes are kept out by the file's lock while it is open for writing.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::batch::Batches;
use crate::digest::Digests;
use crate::error::{Damage, Error, Refusal, Result, Rule, Usage};
use crate::free::{FreePages, Run};
use crate::homes::{Ahead, Homes};
use crate::io::{FileStorage, Storage};
use crate::map::{AVAILABLE, Hint, Mapping};
use crate::open;
use crate::options::{MapMode, Options};
use crate::page::Meta;
use crate::readers::Readers;
use crate::stats::{MemoryStats, Stats, TxStats};
use crate::tx::{Core, Handle, ReadTx};
use crate::work::Work;
use crate::write::WriteTx;

/// The least length a file grows to; from here it doubles until it grows by `alloc_size`.
const LEAST_GROWTH: u64 = 32 << 10;
/// Address space that is reserved at least, where the system lets us: growth within it moves nothing.
const LEAST_RESERVED: u64 = 64 << 30;
/// How much larger than the file a reservation is.
const RESERVE_FACTOR: u64 = 4;
/// Mappings a database can have: each is at least four times the one before.
const MAX_MAPS: usize = 12;

/// What a new transaction begins from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Published {
    pub(crate) meta: Meta,
    /// The mapping that shows all of it; `None` in the plain mode.
    pub(crate) map: Option<usize>,
}

/// The mappings of a database, oldest first. One is added when the file outgrows the last; none goes before the database is closed, so a
/// reader's pages stay where they are.
pub(crate) struct Maps {
    maps: [OnceLock<Mapping>; MAX_MAPS],
}

impl Maps {
    /// A mapping that was published.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> &Mapping {
        self.maps[index].get().expect("a published mapping exists")
    }
}

/// What the writer of the moment owns.
pub(crate) struct Writer {
    /// `None` in a read-only database that was not asked to load it.
    pub(crate) free: Option<FreePages>,
    pub(crate) work: Work,
    /// What the transaction was given of a writable map.
    pub(crate) homes: Homes,
    /// Length of the file; on a writable map no more of it than has its blocks.
    pub(crate) file_bytes: u64,
    /// A page of memory for the meta, zeros behind it; empty before the first commit.
    pub(crate) meta_page: Vec<u8>,
    /// Room for the freelist.
    pub(crate) buffer: Vec<u8>,
    /// What the commit at hand took of the free pages, took at the high-water mark, and listed as free: only the memory of these is kept.
    pub(crate) taken: Vec<Run>,
    pub(crate) fresh: Vec<Run>,
    pub(crate) listed: Vec<Run>,
    pub(crate) held: Vec<u64>,
}

#[derive(Default)]
struct Turn {
    writer: Option<Box<Writer>>,
    /// How many wait for it.
    waiting: usize,
    poisoned: bool,
    stats: TxStats,
    free_pages: u64,
    pending_pages: u64,
    private_bytes: u64,
}

/// What all transactions share.
pub(crate) struct Inner {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) options: Options,
    pub(crate) page_size: u64,
    pub(crate) maps: Maps,
    pub(crate) digests: Option<Digests>,
    /// Pages of the smallest file whose pages are digested.
    pub(crate) digests_from_pages: u64,
    pub(crate) readers: Readers<Published>,
    pub(crate) batches: Batches,
    path: Option<PathBuf>,
    turn: Mutex<Turn>,
    turns: Condvar,
}

impl Inner {
    fn turn(&self) -> MutexGuard<'_, Turn> {
        // Nothing panics while this lock is held, so its data is consistent even if it says it is poisoned.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the writer's turn.
    fn take_writer(&self) -> Result<Box<Writer>> {
        let mut turn = self.turn();
        loop {
            if turn.poisoned {
                return Err(Error::Poisoned);
            }
            if let Some(writer) = turn.writer.take() {
                return Ok(writer);
            }
            turn.waiting += 1;
            turn = self.turns.wait(turn).unwrap_or_else(PoisonError::into_inner);
            turn.waiting -= 1;
        }
    }

    /// Ends a turn. `poison`: nobody may write again.
    pub(crate) fn give_writer(&self, mut writer: Box<Writer>, poison: bool) {
        let counters = writer.work.counters;
        writer.work.reset();
        if let Some(free) = &mut writer.free {
            writer.homes.give_back(free);
        }
        let mut turn = self.turn();
        turn.stats.add(&counters);
        turn.poisoned |= poison;
        turn.set_figures(&writer);
        turn.writer = Some(writer);
        let waiting = turn.waiting;
        drop(turn);
        // To wake somebody is a call of the system, even if nobody is there.
        match waiting {
            0 => {}
            _ if poison => self.turns.notify_all(),
            _ => self.turns.notify_one(),
        }
    }

    /// Whether commits store into the mapping: only where what a storage is told can bypass it, as it can a plain file.
    fn writable_map(&self) -> bool {
        self.options.writable_map && !self.options.read_only && self.path.is_some()
    }

    /// The mapping for a file of `file_bytes`: the newest one extended, or a new one if that is too small. `None` in the plain mode.
    pub(crate) fn map_for(&self, current: Option<usize>, file_bytes: u64) -> Result<Option<usize>> {
        let (Some(index), Some(file)) = (current, self.storage.file()) else { return Ok(None) };
        let failed = |error| Error::io("map", file_bytes, error);
        let map = self.maps.get(index);
        let index = if file_bytes <= map.reserved() {
            index
        } else {
            self.reserve(index + 1, file_bytes)?;
            index + 1
        };
        let map = self.maps.get(index);
        let before = map.readable();
        map.extend(file, file_bytes).map_err(failed)?;
        if self.options.mlock {
            map.lock_in_memory(before).map_err(|error| Error::io("lock in memory", before, error))?;
        }
        Ok(Some(index))
    }

    /// Makes the file at least `needed` bytes long and shows all of it in mapping `map`, for changes that are stored there. False where that cannot be had.
    pub(crate) fn lengthen(&self, map: usize, needed: u64, file_bytes: &mut u64) -> bool {
        let limit = self.options.max_size;
        let before = *file_bytes;
        if (limit != 0 && needed > limit) || needed > self.maps.get(map).reserved() {
            return false;
        }
        if grow(&*self.storage, &self.options, needed, file_bytes, true).is_err() {
            return false;
        }
        let shown = self.map_for(Some(map), *file_bytes).is_ok_and(|shown| shown == Some(map));
        if shown {
            self.maps.get(map).populate(before, *file_bytes - before);
        }
        shown && needed <= self.maps.get(map).readable()
    }

    /// Reserves mapping `index` for a file of `file_bytes` and room to grow; less room where the system refuses more.
    fn reserve(&self, index: usize, file_bytes: u64) -> Result<()> {
        let Some(slot) = self.maps.maps.get(index) else {
            return Err(Error::io("map", file_bytes, std::io::ErrorKind::OutOfMemory.into()));
        };
        let wanted = file_bytes.saturating_mul(RESERVE_FACTOR);
        let mut bytes = wanted.max(LEAST_RESERVED).max(self.options.initial_mmap_size);
        let mapping = loop {
            let large_pages = self.options.large_pages;
            match Mapping::reserve(bytes, 2 * self.page_size, self.writable_map(), large_pages) {
                Ok(mapping) => break mapping,
                Err(_) if bytes / 2 >= file_bytes.max(1 << 20) => bytes /= 2,
                Err(error) => return Err(Error::io("reserve address space", bytes, error)),
            }
        };
        let _ = slot.set(mapping);
        Ok(())
    }
}

impl Turn {
    fn set_figures(&mut self, writer: &Writer) {
        if let Some(free) = &writer.free {
            self.free_pages = free.free_count();
            self.pending_pages = free.pending_count();
        }
        let buffers = writer.meta_page.capacity() + writer.buffer.capacity();
        self.private_bytes = writer.work.private_bytes() + buffers as u64;
    }
}

/// Lengthens the file ahead of its use, so that most commits change no length. Its new length becomes durable with the data.
pub(crate) fn grow(
    storage: &dyn Storage,
    options: &Options,
    needed: u64,
    file_bytes: &mut u64,
    stored: bool,
) -> Result<()> {
    if needed <= *file_bytes || (options.no_grow_sync && !stored) {
        return Ok(());
    }
    let step = options.alloc_size.max(LEAST_GROWTH);
    let ahead = if needed < step {
        needed.next_power_of_two().clamp(LEAST_GROWTH, step)
    } else {
        needed.checked_next_multiple_of(step).unwrap_or(needed)
    };
    let limit = if options.max_size == 0 { u64::MAX } else { options.max_size.max(needed) };
    let length = ahead.min(limit);
    let grown = if stored { storage.reserve(*file_bytes, length) } else { storage.set_len(length) };
    grown.map_err(|error| Error::io("set length", length, error))?;
    *file_bytes = length;
    Ok(())
}

/// Whether a file of `file_bytes` can be mapped where pointers reach `address_bytes`.
fn fits(file_bytes: u64, address_bytes: u64) -> Result<()> {
    // Half of the address space is the most that one object may take.
    let limit_bytes = address_bytes / 2;
    if file_bytes > limit_bytes {
        return Err(Refusal::DoesNotFit { file_bytes, limit_bytes }.into());
    }
    Ok(())
}

/// An open database. Clones share it; the last one to go closes the file.
///
/// `Send` and `Sync`. Any number of read transactions run beside one write transaction, each on the state of the moment it began.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

impl Options {
    /// Opens the database at `path`; creates it if it is missing, unless read-only.
    ///
    /// # Errors
    /// [`Refusal`] says why the file was not opened; [`Error::Io`] what the system refused.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Db> {
        let path = path.as_ref();
        let file = open::open_file(path, self)?;
        self.clone().open_parts(Arc::new(FileStorage::new(file)), Some(path.to_owned()))
    }

    /// Opens a database in any storage: memory, a recorder, a failing disk. An empty one gets the initial pages. There is no lock.
    ///
    /// # Errors
    /// As [`Options::open`].
    pub fn open_storage(&self, storage: impl Storage + 'static) -> Result<Db> {
        let empty = storage.is_empty().map_err(|error| Error::io("length", 0, error))?;
        if empty && !self.read_only {
            let pages = open::initial_pages(open::new_page_size(self)?);
            storage.write_at(0, &pages).map_err(|error| Error::io("write", 0, error))?;
            storage.sync().map_err(|error| Error::io("sync", 0, error))?;
        }
        self.clone().open_parts(Arc::new(storage), None)
    }

    fn open_parts(self, storage: Arc<dyn Storage>, path: Option<PathBuf>) -> Result<Db> {
        let found = open::find(&*storage, &self)?;
        let meta = found.meta;
        let file_bytes = found.file_bytes;
        if self.max_size != 0 && file_bytes > self.max_size && !self.read_only {
            return Err(Usage::MaxSizeReached { needed: file_bytes, limit: self.max_size }.into());
        }
        let mapped = self.map_mode == MapMode::Mapped && AVAILABLE && storage.file().is_some();
        if self.map_mode == MapMode::Mapped && storage.file().is_some() {
            fits(file_bytes, usize::MAX as u64)?;
        }
        let maps = Maps { maps: [const { OnceLock::new() }; MAX_MAPS] };
        let mut inner = Inner {
            storage,
            page_size: u64::from(meta.page_size),
            maps,
            digests: mapped.then(|| Digests::new(self.digest_bytes, u64::from(meta.page_size))).flatten(),
            digests_from_pages: self.digest_from / u64::from(meta.page_size),
            readers: Readers::new(meta.txid, Published { meta, map: None }),
            batches: Batches::default(),
            path,
            turn: Mutex::default(),
            turns: Condvar::new(),
            options: self,
        };
        let mut map = None;
        let mut writable_bytes = file_bytes;
        if mapped {
            inner.reserve(0, file_bytes)?;
            map = inner.map_for(Some(0), file_bytes)?;
            if inner.writable_map() {
                // A page that is stored into a hole of the file has nowhere to go on a full disk, and no call that could say so.
                writable_bytes = meta.high_water * inner.page_size;
                let reserved = inner.storage.reserve(0, writable_bytes);
                reserved.map_err(|error| Error::io("reserve blocks", writable_bytes, error))?;
            }
            inner.readers = Readers::new(meta.txid, Published { meta, map });
        }
        let inner = Arc::new(inner);
        let writing = !inner.options.read_only;
        let mut writer = Box::new(Writer {
            free: None,
            work: Work::default(),
            homes: Homes::default(),
            file_bytes: writable_bytes,
            meta_page: Vec::new(),
            buffer: Vec::new(),
            taken: Vec::new(),
            fresh: Vec::new(),
            listed: Vec::new(),
            held: Vec::new(),
        });
        if writing || inner.options.pre_load_freelist {
            let core = Core::new(Handle::Borrowed(&inner), meta, map);
            writer.free = Some(open::load_free_pages(&core.source(None), &meta)?);
        }
        inner.turn().set_figures(&writer);
        inner.turn().writer = Some(writer);
        let db = Db { inner };
        if writing && meta.freelist == crate::page::NO_FREELIST && !db.inner.options.no_freelist_sync {
            // As bbolt does: the rebuilt freelist is written at once.
            db.begin_write()?.commit()?;
        }
        Ok(db)
    }
}

impl Db {
    /// Opens the database at `path` with the default options; creates it if it is missing.
    ///
    /// # Errors
    /// As [`Options::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Options::new().open(path)
    }

    /// Begins a read transaction on the newest state.
    ///
    /// Cost: one uncontended lock, held for a few dozen instructions; no system call.
    ///
    /// # Errors
    /// None today; a later version may limit the number of readers.
    #[inline]
    pub fn begin_read(&self) -> Result<ReadTx<'_>> {
        let (_, Published { meta, map }) = self.inner.readers.enter();
        Ok(ReadTx { core: Core::new(Handle::Borrowed(&self.inner), meta, map) })
    }

    /// As [`Db::begin_read`], for a transaction that outlives this handle: it holds the database open by itself.
    ///
    /// # Errors
    /// As [`Db::begin_read`].
    pub fn begin_read_owned(&self) -> Result<ReadTx<'static>> {
        let (_, Published { meta, map }) = self.inner.readers.enter();
        Ok(ReadTx { core: Core::new(Handle::Owned(Arc::clone(&self.inner)), meta, map) })
    }

    /// Begins the write transaction; waits until no other is open.
    ///
    /// A thread that has one open and begins another waits for itself: for ever.
    ///
    /// # Errors
    /// [`Usage::DatabaseReadOnly`]; [`Error::Poisoned`] after a commit whose fate is not known; damage if somebody truncated the file.
    pub fn begin_write(&self) -> Result<WriteTx<'_>> {
        self.begin_write_on(Handle::Borrowed(&self.inner))
    }

    /// As [`Db::begin_write`], for a transaction that outlives this handle.
    ///
    /// # Errors
    /// As [`Db::begin_write`].
    pub fn begin_write_owned(&self) -> Result<WriteTx<'static>> {
        self.begin_write_on(Handle::Owned(Arc::clone(&self.inner)))
    }

    fn begin_write_on<'a>(&self, handle: Handle<'a>) -> Result<WriteTx<'a>> {
        if self.inner.options.read_only {
            return Err(Usage::DatabaseReadOnly.into());
        }
        let mut writer = self.inner.take_writer()?;
        let (txid, Published { meta, map }) = self.inner.readers.current();
        let needed = meta.high_water * self.inner.page_size;
        let length = self.inner.storage.len().map_err(|error| Error::io("length", 0, error));
        let refused = match length {
            // No transaction can follow the greatest number: only damage with a right checksum has it.
            Ok(_) if txid == u64::MAX => Some(
                Damage { page: txid % 2, offset: 64, rule: Rule::Meta, found: txid, expected: txid - 1 }
                    .into(),
            ),
            Ok(bytes) if bytes >= needed => None,
            Ok(found) => Some(
                Damage { page: txid % 2, offset: 56, rule: Rule::FileLength, found, expected: needed }.into(),
            ),
            Err(error) => Some(error),
        };
        if let Some(error) = refused {
            self.inner.give_writer(writer, false);
            return Err(error);
        }
        let mut held = std::mem::take(&mut writer.held);
        self.inner.readers.held(&mut held);
        if let Some(free) = &mut writer.free {
            free.release(&held);
        }
        writer.held = held;
        let stored = map.is_some_and(|map| self.inner.maps.get(map).is_writable());
        let kept = self.inner.options.leaves_kept_of(self.inner.page_size);
        let leaves_kept = kept.filter(|_| map.is_some() && !stored);
        let ahead = match leaves_kept {
            Some(_) => Ahead::Free,
            None if stored => Ahead::Any,
            None => Ahead::None,
        };
        writer.homes.begin(meta.high_water, ahead);
        writer.work.begin(txid + 1, self.inner.page_size, (meta.root, meta.sequence), leaves_kept);
        Ok(WriteTx::new(Core::new(handle, meta, map), writer))
    }

    /// Runs `f` in a read transaction.
    ///
    /// # Errors
    /// Those of `f`; damage that a `get` in `f` met and could not tell of.
    pub fn view<T, E: From<Error>>(&self, f: impl FnOnce(&ReadTx<'_>) -> Result<T, E>) -> Result<T, E> {
        let tx = self.begin_read()?;
        let value = f(&tx)?;
        match tx.fault() {
            None => Ok(value),
            Some(fault) => Err(fault.into()),
        }
    }

    /// Runs `f` in a write transaction and commits it; an error or a panic in `f` leaves everything as it was.
    ///
    /// # Errors
    /// Those of `f`, of [`Db::begin_write`] and of [`WriteTx::commit`].
    pub fn update<T, E: From<Error>>(
        &self,
        f: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut tx = self.begin_write()?;
        let value = f(&mut tx)?;
        tx.commit()?;
        Ok(value)
    }

    /// Bytes of a page.
    pub fn page_size(&self) -> u32 {
        self.inner.page_size as u32
    }

    /// Where the file is; `None` for other storages.
    pub fn path(&self) -> Option<&Path> {
        self.inner.path.as_deref()
    }

    /// Whether it was opened for reading only.
    pub fn is_read_only(&self) -> bool {
        self.inner.options.read_only
    }

    /// The options it was opened with.
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// Makes everything that was written durable: for databases with `no_sync`.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync(&self) -> Result<()> {
        self.inner.storage.sync().map_err(|error| Error::io("sync", 0, error))
    }

    /// Statistics since it was opened.
    pub fn stats(&self) -> Stats {
        let (open_tx_n, tx_n) = self.inner.readers.counts();
        let turn = self.inner.turn();
        let listed = turn.free_pages + turn.pending_pages;
        Stats {
            tx_stats: turn.stats,
            free_page_n: turn.free_pages,
            pending_page_n: turn.pending_pages,
            free_alloc: listed * self.inner.page_size,
            freelist_inuse: crate::page::FreelistPage::bytes_for(listed),
            tx_n,
            open_tx_n,
            writer_open: turn.writer.is_none(),
        }
    }

    /// What memory the database takes. Cost: reads the system's account of this process; not for hot paths.
    pub fn memory(&self) -> MemoryStats {
        let private_bytes = self.inner.turn().private_bytes;
        let (digest_bytes, digests_built) = self.inner.digests.as_ref().map_or((0, 0), Digests::figures);
        let mut stats = MemoryStats { private_bytes, digest_bytes, digests_built, ..MemoryStats::default() };
        for map in self.inner.maps.maps.iter().filter_map(OnceLock::get) {
            stats.reserved_bytes += map.reserved();
            stats.mapped_bytes += map.readable();
            if let Some(resident) = resident_bytes(&map.addresses()) {
                *stats.mapped_resident_bytes.get_or_insert(0) += resident;
            }
        }
        stats
    }

    /// Tells the system how `pages` of the file will be used. No effect in the plain mode.
    ///
    /// # Errors
    /// What the system says.
    pub fn advise(&self, pages: Range<u64>, hint: Hint) -> Result<()> {
        let (_, Published { meta, map }) = self.inner.readers.current();
        let Some(map) = map else { return Ok(()) };
        let pages = pages.start.min(meta.high_water)..pages.end.min(meta.high_water);
        if pages.is_empty() {
            return Ok(());
        }
        let offset = pages.start * self.inner.page_size;
        let length = (pages.end - pages.start) * self.inner.page_size;
        let map = self.inner.maps.get(map);
        map.advise(offset, length, hint).map_err(|error| Error::io("advise", offset, error))
    }

    /// Free and pending pages, ascending. Waits for the writer's turn.
    ///
    /// # Errors
    /// [`Usage::FreePagesNotLoaded`] for a read-only database that was not asked to load them.
    pub fn free_page_ids(&self) -> Result<Vec<u64>> {
        let writer = self.inner.take_writer()?;
        let ids = writer.free.as_ref().map(|free| free.listed().collect());
        self.inner.give_writer(writer, false);
        ids.ok_or_else(|| Usage::FreePagesNotLoaded.into())
    }

    /// Closes this handle. The file is closed, and its lock released, when the last handle and the last owned transaction are gone.
    ///
    /// # Errors
    /// None today: everything acknowledged is durable already.
    pub fn close(self) -> Result<()> {
        drop(self);
        Ok(())
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

/// Resident bytes of the mappings within an address range, from the system's own account; `None` where it keeps none.
fn resident_bytes(range: &Range<usize>) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/smaps").ok()?;
    let mut inside = false;
    let mut kibibytes = 0;
    for line in text.lines() {
        let first = line.split_ascii_whitespace().next()?;
        if let Some((start, _)) = first.split_once('-')
            && let Ok(start) = usize::from_str_radix(start, 16)
        {
            inside = range.contains(&start);
        } else if inside && first == "Rss:" {
            let number = line.split_ascii_whitespace().nth(1)?;
            kibibytes += number.parse::<u64>().ok()?;
        }
    }
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_does_not_fit_the_address_space_is_refused() {
        assert!(fits(1 << 30, u64::from(u32::MAX)).is_ok());
        let error = fits(1 << 31, u64::from(u32::MAX)).unwrap_err();
        assert_eq!(error.name(), "does-not-fit");
        assert!(error.to_string().contains("MapMode::Plain"), "{error}");
    }
}
