//! Owns: `StringPool`, the interner of one owner with a budget. What it does is in `strings_core`; this file is its face.

use alloc::vec::Vec;
use core::fmt;

use crate::strings_config::{StringError, StringId, StringPoolConfig, StringStats};
use crate::strings_core::Core;
use crate::strings_index::{Index, tag_of};
use crate::strings_snapshot::{self, SnapshotError};
use crate::strings_text::PlainText;

/// Gives strings small numbers and takes them back within a budget of bytes: what is not asked for again leaves first (S3-FIFO), its ids are
/// dead from then on, and a dead id is never another string's.
///
/// One owner: interning takes `&mut self`, resolving `&self`. For many threads: `SharedStringPool`, with `std`.
///
/// **Layout**: all memory is allocated at once, `bytes_held` bytes: 31 for each of `strings_max` strings (a slot, two index entries, one
/// remembered tag), the rest is text in two logs and the place of pinned strings; in front of each text stand twelve bytes.
///
/// **Cost**: a hit is a hash, one or two cache lines of index and those of the text, and at most one bit written; a miss evicts as many
/// strings as the new one's length asks for and moves at most eight. After construction nothing is ever allocated, and nothing is rebuilt.
///
/// ```
/// use bolt_objects::{StringPool, StringPoolConfig};
///
/// let mut pool = StringPool::new(StringPoolConfig::new(64 * 1024))?;
/// let person = pool.intern("Person")?;
/// assert_eq!(pool.intern("Person")?, person);
/// assert_eq!(pool.resolve(person), Some("Person"));
/// for number in 0..10_000 {
///     pool.intern(&format!("a name that comes once, {number}"))?;
/// }
/// // The budget was kept, so most of those had to go: their ids are dead, and never another string's. "Person" was asked for twice.
/// assert_eq!(pool.get("a name that comes once, 5000"), None);
/// assert_eq!(pool.resolve(person), Some("Person"));
/// # Ok::<(), bolt_objects::StringError>(())
/// ```
pub struct StringPool {
    core: Core<PlainText>,
}

impl StringPool {
    /// A pool with the memory that `config` says. Allocates, once and for all.
    ///
    /// # Errors
    /// [`StringError::BudgetTooSmall`] says how many bytes the other numbers of the configuration need, [`StringError::OutOfMemory`] that the
    /// system has not so many.
    pub fn new(config: StringPoolConfig) -> Result<Self, StringError> {
        let plan = config.plan(0, Index::bytes_for)?;
        Ok(Self { core: Core::new(plan, PlainText::new(plan.text_units(), plan.strings_max)) })
    }

    /// A pool that begins with strings which never leave. Their ids are known beforehand: the string at `index` has
    /// [`StringId::of_static`]`(index)`.
    ///
    /// # Errors
    /// As [`new`](Self::new) and [`intern_static`](Self::intern_static); [`StringError::StaticTwice`] when a string is in the list twice.
    ///
    /// ```
    /// use bolt_objects::{StringId, StringPool, StringPoolConfig};
    ///
    /// const KNOWS: StringId = StringId::of_static(1);
    /// let mut pool = StringPool::with_statics(StringPoolConfig::new(64 * 1024), &["name", "KNOWS"])?;
    /// assert_eq!(pool.intern("KNOWS")?, KNOWS);
    /// # Ok::<(), bolt_objects::StringError>(())
    /// ```
    pub fn with_statics(config: StringPoolConfig, statics: &[&str]) -> Result<Self, StringError> {
        let mut pool = Self::new(config)?;
        for (index, text) in statics.iter().enumerate() {
            if pool.intern_static(text)?.index() != index {
                return Err(StringError::StaticTwice { index });
            }
        }
        Ok(pool)
    }

    /// The id of `text`, which is in the pool afterwards. Ids are dense: a new string takes the number of an evicted one, or the next.
    ///
    /// # Errors
    /// [`StringError::TooLong`], and [`StringError::Full`] when everything it could replace is pinned. The pool is as it was, but for
    /// strings that may have been evicted to make room.
    #[inline]
    pub fn intern(&mut self, text: &str) -> Result<StringId, StringError> {
        self.core.intern(tag_of(text.as_bytes()), text)
    }

    /// The id of `text` if it is in the pool. Writes nothing, so it does not count as being asked for; [`touch`](Self::touch) does.
    #[inline]
    pub fn get(&self, text: &str) -> Option<StringId> {
        self.core.get(tag_of(text.as_bytes()), text.as_bytes())
    }

    /// The string of `id`; nothing if it was evicted. Writes nothing.
    #[inline]
    pub fn resolve(&self, id: StringId) -> Option<&str> {
        self.core.resolve(id)
    }

    /// Whether the string of `id` is in the pool.
    #[inline]
    pub fn is_live(&self, id: StringId) -> bool {
        self.core.is_live(id)
    }

    /// Counts `id` as asked for, as `intern` does for its text. False when it is dead.
    #[inline]
    pub fn touch(&mut self, id: StringId) -> bool {
        self.core.touch(id)
    }

    /// Keeps the string of `id` until it was unpinned as often as it was pinned; after 65,535 pins for ever. Its text moves to the part of
    /// the budget that is kept for pins.
    ///
    /// # Errors
    /// [`StringError::Dead`]; [`StringError::PinsFull`], then it is not pinned.
    pub fn pin(&mut self, id: StringId) -> Result<(), StringError> {
        self.core.pin(id, 1)
    }

    /// Takes one pin back. After the last, the string is among the others, as one that was asked for. A static string stays.
    ///
    /// # Errors
    /// [`StringError::Dead`], [`StringError::NotPinned`].
    pub fn unpin(&mut self, id: StringId) -> Result<(), StringError> {
        self.core.unpin(id)
    }

    /// The id of `text`, which never leaves the pool from now on.
    ///
    /// # Errors
    /// As [`intern`](Self::intern) and [`pin`](Self::pin); if it cannot be pinned, it may be interned all the same.
    pub fn intern_static(&mut self, text: &str) -> Result<StringId, StringError> {
        let id = self.intern(text)?;
        self.core.pin_static(id)?;
        Ok(id)
    }

    /// The pool in numbers.
    pub fn stats(&self) -> StringStats {
        self.core.stats()
    }

    /// The longest text that this pool takes.
    pub fn text_bytes_max(&self) -> usize {
        self.core.plan().text_bytes_max
    }

    /// Appends the pool to `out` as bytes: every live string with its id, pins and place in the queues, and the generations of all numbers, so
    /// that dead ids stay dead. The form is in the documentation page of this crate.
    ///
    /// ```
    /// use bolt_objects::{StringPool, StringPoolConfig};
    ///
    /// let config = StringPoolConfig::new(64 * 1024);
    /// let mut pool = StringPool::new(config)?;
    /// let id = pool.intern("Person")?;
    /// let mut bytes = Vec::new();
    /// pool.to_snapshot(&mut bytes);
    /// let again = StringPool::from_snapshot(config, &bytes)?;
    /// assert_eq!(again.resolve(id), Some("Person"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_snapshot(&self, out: &mut Vec<u8>) {
        strings_snapshot::write(&self.core, out);
    }

    /// A pool from the bytes of [`to_snapshot`](Self::to_snapshot). Its configuration may be another one: what does not fit any more is
    /// evicted on the way, the oldest first.
    ///
    /// # Errors
    /// The place in the bytes and what was expected there. Bytes from anywhere are safe to try; no more than `config` says is allocated.
    pub fn from_snapshot(config: StringPoolConfig, bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut pool = Self::new(config).map_err(SnapshotError::pool)?;
        strings_snapshot::read::<&str, _>(&mut pool.core, bytes)?;
        Ok(pool)
    }
}

impl fmt::Debug for StringPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StringPool").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
