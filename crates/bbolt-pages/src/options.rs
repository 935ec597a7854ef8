//! How a database is opened: bbolt's options by their fields' names, and two of this crate's own.
//!
//! Owns [`Options`] and the numbers behind its defaults. Opens nothing itself; `open.rs` does.

use std::time::Duration;

/// bbolt's two ways to keep free pages in memory. Both spell the same on disk, and here both choose the same structure: one that takes the lowest
/// run that fits, as the array does, and is as fast as the hash map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FreelistType {
    /// bbolt's default.
    #[default]
    Array,
    /// bbolt's faster one.
    Hashmap,
}

/// How pages are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MapMode {
    /// Through a shared mapping of the file, where the system has it.
    #[default]
    Mapped,
    /// By ordinary reads: for files that others may truncate, and for systems whose mappings are not wanted. Each page is kept until the
    /// transaction that read it ends.
    Plain,
}

/// Options of an open, by bbolt's names. `Options::new()` is what `Db::open` uses.
///
/// ```
/// # fn main() -> bbolt_pages::Result<()> {
/// let db = bbolt_pages::Options::new().page_size(1024).open_storage(bbolt_pages::io::MemoryStorage::default())?;
/// assert_eq!(db.page_size(), 1024);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    pub(crate) timeout: Option<Duration>,
    pub(crate) no_grow_sync: bool,
    pub(crate) no_freelist_sync: bool,
    pub(crate) pre_load_freelist: bool,
    pub(crate) freelist_type: FreelistType,
    pub(crate) read_only: bool,
    pub(crate) initial_mmap_size: u64,
    pub(crate) page_size: u32,
    pub(crate) max_size: u64,
    pub(crate) no_sync: bool,
    pub(crate) mlock: bool,
    pub(crate) strict_mode: bool,
    pub(crate) alloc_size: u64,
    pub(crate) max_batch_size: usize,
    pub(crate) max_batch_delay: Duration,
    pub(crate) mode: u32,
    pub(crate) map_mode: MapMode,
    pub(crate) large_pages: bool,
    pub(crate) leaves_kept: Option<usize>,
    pub(crate) digest_bytes: u64,
    pub(crate) digest_from: u64,
    /// Set in `map.rs`, by an unsafe function.
    pub(crate) writable_map: bool,
}

/// Bytes of changed leaves that are kept unless said: they stay in a usual second-level cache beside what else a transaction touches. Measured by loads of
/// 1,000,000 keys in pages of 4 KiB: 16 and 32 leaves are alike, 64 take 3 % longer, 8 and 128 take 9 %.
const LEAVES_KEPT_BYTES: usize = 128 << 10;
/// The fewest leaves that are.
const LEAVES_KEPT_LEAST: usize = 8;
/// Enough for the pages of a gigabyte.
const DIGEST_BYTES: u64 = 64 << 20;
/// Twice a usual second-level cache: in files below it a lookup waits for memory too seldom.
const DIGEST_FROM: u64 = 4 << 20;

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: None,
            no_grow_sync: false,
            no_freelist_sync: false,
            pre_load_freelist: false,
            freelist_type: FreelistType::Array,
            read_only: false,
            initial_mmap_size: 0,
            page_size: 0,
            max_size: 0,
            no_sync: false,
            mlock: false,
            strict_mode: false,
            alloc_size: 16 << 20,
            max_batch_size: 1000,
            max_batch_delay: Duration::from_millis(10),
            mode: 0o600,
            map_mode: MapMode::Mapped,
            large_pages: false,
            leaves_kept: None,
            digest_bytes: DIGEST_BYTES,
            digest_from: DIGEST_FROM,
            writable_map: false,
        }
    }
}

impl Options {
    /// The defaults: read-write, synced, waiting for the file's lock as long as it takes.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long to wait for another process's lock; `None` waits for ever.
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// Growth does not set the file's length ahead; writes lengthen it page by page.
    pub fn no_grow_sync(mut self, yes: bool) -> Self {
        self.no_grow_sync = yes;
        self
    }

    /// Commits do not write the freelist; opening finds free pages by a walk.
    pub fn no_freelist_sync(mut self, yes: bool) -> Self {
        self.no_freelist_sync = yes;
        self
    }

    /// A read-only open loads the freelist, too; a writing one always does.
    pub fn pre_load_freelist(mut self, yes: bool) -> Self {
        self.pre_load_freelist = yes;
        self
    }

    /// Accepted for the sake of programs that set it; see [`FreelistType`].
    pub fn freelist_type(mut self, kind: FreelistType) -> Self {
        self.freelist_type = kind;
        self
    }

    /// Opens for reading only, with a shared lock.
    pub fn read_only(mut self, yes: bool) -> Self {
        self.read_only = yes;
        self
    }

    /// Bytes of address space to reserve at least. Growth within it moves nothing; beyond it a second range is reserved.
    pub fn initial_mmap_size(mut self, bytes: u64) -> Self {
        self.initial_mmap_size = bytes;
        self
    }

    /// Page size of a new file, 1 KiB to 64 KiB; 0 takes the system's. An existing file knows its own, which may be any that bbolt opens.
    pub fn page_size(mut self, bytes: u32) -> Self {
        self.page_size = bytes;
        self
    }

    /// Bytes the file may grow to; 0 sets no limit.
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = bytes;
        self
    }

    /// Commits do not wait for the disk. A crash of the system may then lose the file.
    pub fn no_sync(mut self, yes: bool) -> Self {
        self.no_sync = yes;
        self
    }

    /// Keeps the mapped file in memory.
    pub fn mlock(mut self, yes: bool) -> Self {
        self.mlock = yes;
        self
    }

    /// Each commit re-reads what it wrote and verifies it before it counts.
    pub fn strict_mode(mut self, yes: bool) -> Self {
        self.strict_mode = yes;
        self
    }

    /// Bytes by which the file grows once it is larger than that.
    pub fn alloc_size(mut self, bytes: u64) -> Self {
        self.alloc_size = bytes;
        self
    }

    /// Calls that `batch` joins into one transaction at most.
    pub fn max_batch_size(mut self, calls: usize) -> Self {
        self.max_batch_size = calls;
        self
    }

    /// How long `batch` waits for company.
    pub fn max_batch_delay(mut self, delay: Duration) -> Self {
        self.max_batch_delay = delay;
        self
    }

    /// Permission bits of a new file, on Unix.
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// How pages are read.
    pub fn map_mode(mut self, mode: MapMode) -> Self {
        self.map_mode = mode;
        self
    }

    /// Asks the system to map the file by large pages, where it has them for files (Linux from 6.16 on with ext4, or with XFS; others ignore it): for files
    /// that stay in memory, which are then reached without a search for each page's address. Only what the system reads or makes after that can be large.
    ///
    /// The price: what is not in memory comes by 2 MiB, and through a [writable map](Self::writable_map) a changed page is written to the disk with
    /// the 2 MiB around it. So it is of use for loads without [syncs](Self::no_sync), and not for durable small commits or for files larger than the memory.
    pub fn large_pages(mut self, yes: bool) -> Self {
        self.large_pages = yes;
        self
    }

    /// Changed leaves that a write transaction keeps in memory: unless said 128 KiB of them, 32 of 4 KiB, and 8 at least. Of more than that, those that were not touched for longest are written
    /// to free pages before the commit, while they are in the processor's caches. With 0 all writes wait for the commit, as they do without a
    /// mapping and where no page is free.
    pub fn leaves_kept(mut self, leaves: usize) -> Self {
        self.leaves_kept = Some(leaves);
        self
    }

    /// The same for pages of `page_size` bytes; `None` if all writes wait for the commit.
    pub(crate) fn leaves_kept_of(&self, page_size: u64) -> Option<usize> {
        let unless_said = || (LEAVES_KEPT_BYTES / page_size as usize).max(LEAVES_KEPT_LEAST);
        Some(self.leaves_kept.unwrap_or_else(unless_said)).filter(|&leaves| leaves > 0)
    }

    /// Bytes of memory for digests of hot pages at most: 64 MiB unless said, 0 for none. They halve the time of a lookup in a file that the
    /// processor's caches do not hold. No memory is taken before it is used, about 5 % of the pages that lookups meet, and none by a
    /// file below 4 MiB or in the plain mode; see [`MemoryStats`](crate::MemoryStats).
    pub fn digest_bytes(mut self, bytes: u64) -> Self {
        self.digest_bytes = bytes;
        self
    }

    /// Bytes of the smallest file whose pages are digested: for tests.
    #[doc(hidden)]
    pub fn digest_from(mut self, bytes: u64) -> Self {
        self.digest_from = bytes;
        self
    }
}
