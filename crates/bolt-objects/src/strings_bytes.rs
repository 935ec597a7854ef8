//! Owns: `BytesPool`, the interner whose strings are `Bytes`, and the memory it needs: a handle for each string, headers in the queues, no text.
//! What it does is in `strings_core`. Never copies what it is given as `Bytes`; a handle that leaves is dropped after the operation that
//! evicted it, since the destructor of its owner is somebody's code.

use alloc::vec::Vec;
use core::fmt;
use core::mem;

use bytes::Bytes;

use crate::strings_config::{StringError, StringId, StringPoolConfig, StringStats};
use crate::strings_core::{Core, Found, Memory, Put};
use crate::strings_index::{Index, tag_of};
use crate::strings_places::{HEADER, LEN_MAX};
use crate::strings_snapshot::{self, SnapshotError};

/// Handles of all strings, by number.
struct Handles {
    handles: Vec<Bytes>,
    /// What left since the last look, still to be dropped.
    left: Vec<Bytes>,
    /// Headers of the queues and of pinned strings.
    words: Vec<u64>,
    index: Index,
    bytes: usize,
    bytes_max: usize,
}

impl Handles {
    #[inline(always)]
    fn of_header(&self, at: u32) -> &Bytes {
        // Headers name numbers that exist; the low half of an id is one.
        &self.handles[self.words[at as usize] as u32 as usize]
    }

    /// The string at `at`, if it is `text`.
    #[inline(always)]
    fn found(&self, at: u32, text: &[u8]) -> Option<Found> {
        (self.of_header(at) == text).then(|| Found { at, first: self.word(at), second: self.word(at + 1) })
    }
}

impl Memory for Handles {
    const WAYS: usize = Index::WAYS;

    fn units(_len: usize) -> u32 {
        HEADER
    }

    fn has_room(&self, len: usize) -> bool {
        self.bytes + len <= self.bytes_max
    }

    #[inline(always)]
    fn word(&self, at: u32) -> u64 {
        self.words[at as usize]
    }

    #[inline(always)]
    fn set_word(&mut self, at: u32, word: u64) {
        self.words[at as usize] = word;
    }

    fn shift(&mut self, from: u32, to: u32, units: u32) {
        let from = from as usize;
        self.words.copy_within(from..from + units as usize, to as usize);
    }

    fn publish(&mut self, slot: u32, generation: u32, _at: u32, _len: u32) {
        if generation == 0 {
            let handle = mem::take(&mut self.handles[slot as usize]);
            self.bytes -= handle.len();
            self.left.push(handle);
        }
    }

    fn copy_to(&self, slot: u32, _at: u32, _len: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.handles[slot as usize]);
    }

    #[inline(always)]
    fn buckets(&self) -> usize {
        self.index.buckets()
    }

    #[inline(always)]
    fn find_quick(&self, bucket: usize, tag: u32, text: &[u8]) -> Option<Found> {
        self.found(self.index.places(bucket, tag).next()?, text)
    }

    fn find_in(&self, bucket: usize, tag: u32, text: &[u8]) -> Option<Found> {
        self.index.places(bucket, tag).find_map(|at| self.found(at, text))
    }

    fn entry(&self, bucket: usize, way: usize) -> Option<u32> {
        self.index.entry(bucket, way)
    }

    fn set_entry(&mut self, bucket: usize, way: usize, entry: Option<(u32, u32)>) {
        self.index.set_entry(bucket, way, entry);
    }
}

impl Put<Bytes> for Handles {
    fn put(&mut self, slot: u32, _at: u32, handle: Bytes) {
        self.bytes += handle.len();
        self.handles[slot as usize] = handle;
    }
}

impl Put<&[u8]> for Handles {
    fn put(&mut self, slot: u32, at: u32, bytes: &[u8]) {
        self.put(slot, at, Bytes::copy_from_slice(bytes));
    }
}

/// Gives byte strings small numbers, as [`StringPool`](crate::StringPool) does, and keeps each as [`Bytes`]: what [`resolve`](Self::resolve) answers
/// can be cloned without a copy, sent to other threads, and outlives the string's eviction.
///
/// **Layout**: tables, 31 bytes for a string, a handle of 32 and headers of 34 are allocated at once; the bytes themselves lie where their handle
/// says. All of it together stays within the budget, the length of each string counted once: clones that are held elsewhere keep theirs
/// beyond it, and a handle that is a part of a larger buffer keeps the whole of that.
///
/// **Cost**: a hit as in a `StringPool` and one line more, the handle; no count is touched. A new string is copied once, one allocation, or
/// not at all when it comes as `Bytes`. A clone of a handle is an atomic addition.
///
/// ```
/// use bolt_objects::{BytesPool, StringPoolConfig};
/// use bytes::Bytes;
///
/// let mut pool = BytesPool::new(StringPoolConfig::new(64 * 1024))?;
/// let received = Bytes::from(b"key=value".to_vec());
/// let key = pool.intern_bytes(received.slice(..3))?; // no copy
/// assert_eq!(pool.intern(b"key")?, key);
///
/// let kept = pool.resolve(key).cloned().expect("it is alive");
/// assert_eq!(kept.as_ptr(), received.as_ptr(), "the very bytes that were received");
/// for number in 0..10_000_u32 {
///     pool.intern(&number.to_le_bytes())?;
/// }
/// assert_eq!(kept, "key", "whatever became of it in the pool");
/// # Ok::<(), bolt_objects::StringError>(())
/// ```
pub struct BytesPool {
    core: Core<Handles>,
}

impl BytesPool {
    /// A pool of `config`'s limits. `pinned_bytes` means nothing here: pins move no bytes, and what is pinned counts as everything else does.
    ///
    /// # Errors
    /// [`StringError::BudgetTooSmall`] says how many bytes so many strings need; [`StringError::OutOfMemory`].
    pub fn new(config: StringPoolConfig) -> Result<Self, StringError> {
        let (plan, bytes_max) = config.plan_handles(size_of::<Bytes>(), Index::bytes_for)?;
        let strings = plan.strings_max as usize;
        let memory = Handles {
            handles: alloc::vec![Bytes::new(); strings],
            left: Vec::new(),
            words: alloc::vec![0; plan.text_units()],
            index: Index::new(plan.strings_max),
            bytes: 0,
            bytes_max,
        };
        Ok(Self { core: Core::new(plan, memory) })
    }

    /// The id of `bytes`, which is in the pool afterwards: copied, if it was not before.
    ///
    /// # Errors
    /// [`StringError::TooLong`], and [`StringError::Full`] when what it could replace is pinned.
    #[inline]
    pub fn intern(&mut self, bytes: &[u8]) -> Result<StringId, StringError> {
        let id = self.core.intern(tag_of(bytes), bytes);
        self.drop_what_left();
        id
    }

    /// As [`intern`](Self::intern), without a copy: a new string is kept as the very handle. If the pool has the string already, its own handle
    /// stays and this one is dropped.
    ///
    /// # Errors
    /// As [`intern`](Self::intern).
    pub fn intern_bytes(&mut self, bytes: Bytes) -> Result<StringId, StringError> {
        let id = self.core.intern(tag_of(&bytes), bytes);
        self.drop_what_left();
        id
    }

    /// The id of `bytes` if it is in the pool. Writes nothing.
    #[inline]
    pub fn get(&self, bytes: &[u8]) -> Option<StringId> {
        self.core.get(tag_of(bytes), bytes)
    }

    /// The handle of `id`; nothing if it was evicted. Clone it to keep the bytes for longer.
    #[inline]
    pub fn resolve(&self, id: StringId) -> Option<&Bytes> {
        self.core.place_of(id)?;
        self.core.memory().handles.get(id.index())
    }

    /// Whether the string of `id` is in the pool.
    #[inline]
    pub fn is_live(&self, id: StringId) -> bool {
        self.core.is_live(id)
    }

    /// Counts `id` as asked for, as `intern` does for its bytes. False when it is dead.
    #[inline]
    pub fn touch(&mut self, id: StringId) -> bool {
        self.core.touch(id)
    }

    /// Keeps the string of `id` until it was unpinned as often; after 65,535 pins for ever.
    ///
    /// # Errors
    /// [`StringError::Dead`].
    pub fn pin(&mut self, id: StringId) -> Result<(), StringError> {
        self.core.pin(id, 1)
    }

    /// Takes one pin back.
    ///
    /// # Errors
    /// [`StringError::Dead`], [`StringError::NotPinned`].
    pub fn unpin(&mut self, id: StringId) -> Result<(), StringError> {
        let result = self.core.unpin(id);
        self.drop_what_left();
        result
    }

    /// The id of `bytes`, which never leaves the pool from now on.
    ///
    /// # Errors
    /// As [`intern`](Self::intern).
    pub fn intern_static(&mut self, bytes: &[u8]) -> Result<StringId, StringError> {
        let id = self.intern(bytes)?;
        self.core.pin_static(id)?;
        Ok(id)
    }

    /// Appends the pool to `out` in the form of [`StringPool::to_snapshot`](crate::StringPool::to_snapshot), which is the same for both.
    pub fn to_snapshot(&self, out: &mut Vec<u8>) {
        strings_snapshot::write(&self.core, out);
    }

    /// A pool from a snapshot, of a `BytesPool` or a `StringPool`: each string is copied, one allocation each. What does not fit in `config` any more
    /// is evicted on the way, the oldest first.
    ///
    /// # Errors
    /// As [`StringPool::from_snapshot`](crate::StringPool::from_snapshot).
    ///
    /// ```
    /// use bolt_objects::{BytesPool, StringPoolConfig};
    ///
    /// let config = StringPoolConfig::new(64 * 1024);
    /// let mut pool = BytesPool::new(config)?;
    /// let id = pool.intern(&[0xff, 0xfe])?;
    /// let mut bytes = Vec::new();
    /// pool.to_snapshot(&mut bytes);
    /// assert_eq!(BytesPool::from_snapshot(config, &bytes)?.resolve(id).unwrap(), &[0xff, 0xfe][..]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_snapshot(config: StringPoolConfig, bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut pool = Self::new(config).map_err(SnapshotError::pool)?;
        strings_snapshot::read::<&[u8], _>(&mut pool.core, bytes)?;
        pool.drop_what_left();
        Ok(pool)
    }

    /// The pool in numbers. `bytes_held` is tables and strings together at this moment.
    pub fn stats(&self) -> StringStats {
        let stats = self.core.stats();
        StringStats { bytes_held: stats.bytes_held + stats.text_bytes, ..stats }
    }

    /// The longest string that this pool takes.
    pub fn text_bytes_max(&self) -> usize {
        self.core.plan().text_bytes_max
    }

    /// Destructors of owners run here, when the pool is in order.
    #[inline]
    fn drop_what_left(&mut self) {
        let left = &mut self.core.memory_mut().left;
        if !left.is_empty() {
            left.clear();
        }
    }
}

const _: () = assert!(LEN_MAX <= u32::MAX as usize);

impl fmt::Debug for BytesPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BytesPool").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
