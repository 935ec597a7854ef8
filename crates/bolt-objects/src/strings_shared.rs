//! Owns: `SharedStringPool`, string pools of shards for many threads, and the memory their readers look into without a lock. What is new locks
//! one shard. Limits: as a string pool's, in each shard.
//!
//! Each string has a stamp: odd while its text is being moved or replaced. A reader copies the text out between two looks at the stamp and
//! believes the copy only if both are the same and even (a seqlock whose data are atomics, so that a torn copy is a wrong value and
//! not a race). Stamps have 64 bits and only grow.

use std::boxed::Box;
use std::fmt;
use std::string::String;
use std::sync::PoisonError;
use std::vec::Vec;

use bolt_sync::CachePadded;
use bolt_sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use bolt_sync::hint::spin_loop;
use bolt_sync::sync::{Arc, Mutex, MutexGuard};

use crate::strings_config::{StringError, StringId, StringPoolConfig, StringStats};
use crate::strings_core::{Core, Found, Memory, Put};
use crate::strings_index::{tag_of, ways};
use crate::strings_places::{HEADER, UNIT, is_string};

/// Looks at a string that is being moved before the reader waits for the shard's lock instead.
const LOOKS: usize = if cfg!(bolt_loom) { 1 } else { 64 };
/// Shards are at most so many, so that numbers of strings keep their bits.
const SHARDS_MAX: usize = 1 << 10;

/// Entries of a bucket of the index, one word each: a cache line.
const WAYS: usize = 8;

/// Entries of the index of a shard: half of them are filled at most.
const fn entries_for(strings_max: u32) -> usize {
    ((strings_max as usize).saturating_mul(2).div_ceil(WAYS) + 1).saturating_mul(WAYS)
}

/// What readers know of a string.
struct Published {
    /// Odd: being changed. Only the owner of the shard's lock writes.
    stamp: AtomicU64,
    /// Generation and place; generation 0 for none.
    place: AtomicU64,
    len: AtomicU32,
    /// Asked for since the hand passed. Set by any reader; a hint, so that one which comes too late does no harm.
    visited: AtomicU32,
}

/// Text, places and index of one shard.
struct SharedText {
    words: Box<[AtomicU64]>,
    published: Box<[Published]>,
    /// Tag and place, [`WAYS`] to a bucket.
    index: Box<[AtomicU64]>,
}

impl SharedText {
    fn new(units: usize, strings: u32) -> Self {
        let published = || Published {
            stamp: AtomicU64::new(0),
            place: AtomicU64::new(0),
            len: AtomicU32::new(0),
            visited: AtomicU32::new(0),
        };
        let words = |count| (0..count).map(|_| AtomicU64::new(0)).collect();
        Self {
            words: words(units),
            published: (0..strings).map(|_| published()).collect(),
            index: words(entries_for(strings)),
        }
    }

    /// The words of a text of `len` bytes whose header is at `at`; nothing when there are no such.
    #[inline]
    fn words(&self, at: u32, len: usize) -> Option<&[AtomicU64]> {
        self.words.get(at as usize + HEADER as usize..)?.get(..len.div_ceil(UNIT))
    }

    /// Whether the words after the header at `at` are those of `text`, for all this thread can see.
    #[inline]
    fn has_words(&self, at: u32, text: &[u8]) -> bool {
        let Some(words) = self.words(at, text.len()) else { return false };
        text.chunks(UNIT).zip(words).all(|(chunk, word)| word.load(Ordering::Relaxed) == padded(chunk))
    }

    /// The id of `text` within this shard, without a lock. Nothing when it is not there, and perhaps when it is just being moved.
    #[inline]
    fn find(&self, tag: u32, text: &[u8]) -> Option<StringId> {
        for bucket in ways(tag, self.index.len() / WAYS) {
            let entries = &self.index[bucket * WAYS..][..WAYS];
            // All eight at once: which of them it is, no processor can guess.
            let mut found = 0_u32;
            for (way, entry) in entries.iter().enumerate() {
                // Relaxed: a hint; what it leads to is checked.
                found |= u32::from((entry.load(Ordering::Relaxed) >> 32) as u32 == tag) << way;
            }
            while found != 0 {
                let entry = entries[found.trailing_zeros() as usize % WAYS].load(Ordering::Relaxed);
                let id = self.check(entry as u32, text);
                if id.is_some() {
                    return id;
                }
                found &= found - 1;
            }
        }
        None
    }

    /// The id of the string whose header is at `at`, if it is alive and is `text`.
    #[inline]
    fn check(&self, at: u32, text: &[u8]) -> Option<StringId> {
        // Relaxed: a hint as well. It names the slot whose stamp decides.
        let slot = self.words.get(at as usize)?.load(Ordering::Relaxed) as u32;
        let published = self.published.get(slot as usize)?;
        // Acquire: pairs with the last store of `publish`, so that place and text are at least those.
        let stamp = published.stamp.load(Ordering::Acquire);
        let place = published.place.load(Ordering::Relaxed);
        let alive = stamp.is_multiple_of(2) && is_string(place) && place as u32 == at;
        if !alive || published.len.load(Ordering::Relaxed) as usize != text.len() || !self.has_words(at, text)
        {
            return None;
        }
        // Acquire: pairs with the fence in `retract`. Who saw a word written after it sees the stamp written before it.
        fence(Ordering::Acquire);
        if published.stamp.load(Ordering::Relaxed) != stamp {
            return None;
        }
        // Relaxed: a hint for eviction.
        if published.visited.load(Ordering::Relaxed) == 0 {
            published.visited.store(1, Ordering::Relaxed);
        }
        Some(StringId::new(slot, (place >> 32) as u32))
    }

    fn copy(&self, at: u32, len: usize, out: &mut Vec<u8>) -> bool {
        let Some(words) = self.words(at, len) else { return false };
        let start = out.len();
        for word in words {
            out.extend_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        out.truncate(start + len);
        true
    }

    /// Copies the text of a string: whether it is alive, or nothing when it was being changed meanwhile.
    fn try_copy(&self, slot: u32, generation: u32, out: &mut Vec<u8>) -> Option<bool> {
        let Some(published) = self.published.get(slot as usize) else { return Some(false) };
        // Acquire: pairs with the last store of `publish`, so that place and text are at least those.
        let stamp = published.stamp.load(Ordering::Acquire);
        let place = published.place.load(Ordering::Relaxed);
        if (place >> 32) as u32 != generation {
            return Some(false);
        }
        let len = published.len.load(Ordering::Relaxed) as usize;
        if stamp % 2 == 1 || !self.copy(place as u32, len, out) {
            return None;
        }
        // Acquire: pairs with the fence in `retract`. Who saw a word written after it sees the stamp written before it.
        fence(Ordering::Acquire);
        (published.stamp.load(Ordering::Relaxed) == stamp).then_some(true)
    }
}

/// The shard's owner's way to the text.
struct SharedMemory(Arc<SharedText>);

impl Memory for SharedMemory {
    const WAYS: usize = WAYS;

    fn units(len: usize) -> u32 {
        HEADER + len.div_ceil(UNIT) as u32
    }

    fn shift(&mut self, from: u32, to: u32, units: u32) {
        let (from, to) = (from as usize, to as usize);
        let words = &self.0.words;
        let step = |unit: usize| {
            let word = words[from + unit].load(Ordering::Relaxed);
            words[to + unit].store(word, Ordering::Relaxed);
        };
        // The places may overlap: what is still to be read is not written first.
        if to <= from {
            (0..units as usize).for_each(step);
        } else {
            (0..units as usize).rev().for_each(step);
        }
    }

    fn is_visited(&self, slot: u32, _at: u32) -> bool {
        self.0.published[slot as usize].visited.load(Ordering::Relaxed) != 0
    }

    fn visit(&mut self, slot: u32, _found: Found) {
        self.0.published[slot as usize].visited.store(1, Ordering::Relaxed);
    }

    fn unvisit(&mut self, slot: u32) {
        self.0.published[slot as usize].visited.store(0, Ordering::Relaxed);
    }

    fn word(&self, at: u32) -> u64 {
        self.0.words[at as usize].load(Ordering::Relaxed)
    }

    fn set_word(&mut self, at: u32, word: u64) {
        self.0.words[at as usize].store(word, Ordering::Relaxed);
    }

    fn retract(&mut self, slot: u32) {
        let stamp = &self.0.published[slot as usize].stamp;
        stamp.store(stamp.load(Ordering::Relaxed) | 1, Ordering::Relaxed);
        // Release: pairs with the fence in `try_copy`. Nothing written from here on is seen without the stamp.
        fence(Ordering::Release);
    }

    fn publish(&mut self, slot: u32, generation: u32, at: u32, len: u32) {
        let published = &self.0.published[slot as usize];
        published.place.store(u64::from(generation) << 32 | u64::from(at), Ordering::Relaxed);
        published.len.store(len, Ordering::Relaxed);
        // The next even number, whether it was retracted before or is new.
        let next = (published.stamp.load(Ordering::Relaxed) | 1) + 1;
        // Release: pairs with the first load of `try_copy`.
        published.stamp.store(next, Ordering::Release);
    }

    fn copy_to(&self, _slot: u32, at: u32, len: usize, out: &mut Vec<u8>) {
        self.0.copy(at, len, out);
    }

    fn buckets(&self) -> usize {
        self.0.index.len() / WAYS
    }

    fn find_in(&self, bucket: usize, tag: u32, text: &[u8]) -> Option<Found> {
        let entries = &self.0.index[bucket * WAYS..][..WAYS];
        let places = entries.iter().map(|entry| entry.load(Ordering::Relaxed));
        let mut places = places.filter(|&entry| (entry >> 32) as u32 == tag).map(|entry| entry as u32);
        let at = places.find(|&at| {
            let slot = self.word(at) & u64::from(u32::MAX);
            let len = self.0.published[slot as usize].len.load(Ordering::Relaxed) as usize;
            len == text.len() && self.0.has_words(at, text)
        })?;
        Some(Found { at, first: self.word(at), second: self.word(at + 1) })
    }

    fn entry(&self, bucket: usize, way: usize) -> Option<u32> {
        let entry = self.0.index[bucket * WAYS + way].load(Ordering::Relaxed);
        // No tag is 0.
        (entry != 0).then_some(entry as u32)
    }

    fn set_entry(&mut self, bucket: usize, way: usize, entry: Option<(u32, u32)>) {
        let word = entry.map_or(0, |(tag, at)| u64::from(tag) << 32 | u64::from(at));
        // Relaxed: readers check what it leads to.
        self.0.index[bucket * WAYS + way].store(word, Ordering::Relaxed);
    }
}

impl Put<&str> for SharedMemory {
    fn put(&mut self, _slot: u32, at: u32, text: &str) {
        for (chunk, word) in text.as_bytes().chunks(UNIT).zip(&self.0.words[(at + HEADER) as usize..]) {
            word.store(padded(chunk), Ordering::Relaxed);
        }
    }
}

/// Up to eight bytes as a word.
fn padded(chunk: &[u8]) -> u64 {
    let mut word = [0; UNIT];
    word[..chunk.len()].copy_from_slice(chunk);
    u64::from_le_bytes(word)
}

struct Shard {
    text: Arc<SharedText>,
    core: Mutex<Core<SharedMemory>>,
}

impl Shard {
    fn lock(&self) -> MutexGuard<'_, Core<SharedMemory>> {
        // No code of a caller runs under the lock.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A [`StringPool`](crate::StringPool) for many threads: interning what is there locks nothing, nor does resolving; what is new
/// locks the one shard that the text's hash names.
///
/// **Layout**: shards, each a string pool with its part of the budget and 33 more bytes a string. **Cost**: a hit reads an index, a header, a stamp
/// and the text, and writes only that the string was asked for, if nobody did before; a new string is that of a string pool and a lock; a resolve copies the text out, since it may be evicted at any moment, checks it to be
/// UTF-8, and writes nothing that another thread reads. If the very string is being moved just then, it looks again, and after 64
/// looks waits for the shard.
///
/// ```
/// use bolt_objects::{SharedStringPool, StringPoolConfig};
///
/// let pool = SharedStringPool::new(StringPoolConfig::new(1 << 20), 8)?;
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| {
///             let id = pool.intern("Person").expect("it is short");
///             let mut text = String::new();
///             assert!(pool.resolve_into(id, &mut text));
///             assert_eq!(text, "Person");
///         });
///     }
/// });
/// assert_eq!(pool.stats().strings, 1);
/// # Ok::<(), bolt_objects::StringError>(())
/// ```
pub struct SharedStringPool {
    shards: Box<[CachePadded<Shard>]>,
    bits: u32,
}

impl SharedStringPool {
    /// A pool of `shards` (the next power of two, at most 1,024) that divide the budget among them. More shards than threads lets most
    /// threads find their shard free; a shard's own limits are what bounds a text.
    ///
    /// # Errors
    /// [`StringError::BudgetTooSmall`] and [`StringError::OutOfMemory`], with the numbers of one shard.
    pub fn new(config: StringPoolConfig, shards: usize) -> Result<Self, StringError> {
        let shards = shards.clamp(1, SHARDS_MAX).next_power_of_two();
        let plan = config.divided(shards).plan(size_of::<Published>(), |strings| {
            entries_for(strings).saturating_mul(size_of::<AtomicU64>())
        })?;
        let shard = || {
            let text = Arc::new(SharedText::new(plan.text_units(), plan.strings_max));
            let core = Mutex::new(Core::new(plan, SharedMemory(text.clone())));
            CachePadded::new(Shard { text, core })
        };
        Ok(Self { shards: (0..shards).map(|_| shard()).collect(), bits: shards.trailing_zeros() })
    }

    /// The shard of a text by other bits than those its index goes by.
    fn shard_of(&self, tag: u32) -> u32 {
        (tag >> 8) & (self.shards.len() as u32 - 1)
    }

    fn outside(&self, shard: u32, id: StringId) -> StringId {
        StringId::new(id.slot() << self.bits | shard, id.generation())
    }

    fn inside(&self, id: StringId) -> (&Shard, StringId) {
        let shard = id.index() & (self.shards.len() - 1);
        (&self.shards[shard], StringId::new(id.slot() >> self.bits, id.generation()))
    }

    /// The caller's name for the id in an error.
    fn named(&self, result: Result<(), StringError>, outside: StringId) -> Result<(), StringError> {
        result.map_err(|error| match error {
            StringError::Dead { .. } => StringError::Dead { id: outside },
            StringError::NotPinned { .. } => StringError::NotPinned { id: outside },
            other => other,
        })
    }

    /// The id of `text`, which is in the pool afterwards. Locks nothing when it was there, one shard when not. Numbers are dense but for the share of each shard.
    ///
    /// # Errors
    /// As [`StringPool::intern`](crate::StringPool::intern).
    pub fn intern(&self, text: &str) -> Result<StringId, StringError> {
        let tag = tag_of(text.as_bytes());
        let number = self.shard_of(tag);
        let shard = &self.shards[number as usize];
        let id = match shard.text.find(tag, text.as_bytes()) {
            Some(id) => id,
            None => shard.lock().intern(tag, text)?,
        };
        Ok(self.outside(number, id))
    }

    /// The id of `text` if it is in the pool. Locks nothing when it is, one shard to be sure that it is not.
    pub fn get(&self, text: &str) -> Option<StringId> {
        let tag = tag_of(text.as_bytes());
        let number = self.shard_of(tag);
        let shard = &self.shards[number as usize];
        let found = shard.text.find(tag, text.as_bytes());
        let id = found.or_else(|| shard.lock().get(tag, text.as_bytes()))?;
        Some(self.outside(number, id))
    }

    /// Copies the string of `id` to `out`, in place of what was there; false when it was evicted, and `out` is empty then. Locks nothing, and
    /// allocates only what `out` lacks.
    pub fn resolve_into(&self, id: StringId, out: &mut String) -> bool {
        let (shard, id) = self.inside(id);
        let mut bytes = std::mem::take(out).into_bytes();
        let mut found = None;
        for _ in 0..LOOKS {
            bytes.clear();
            found = shard.text.try_copy(id.slot(), id.generation(), &mut bytes);
            if found.is_some() {
                break;
            }
            spin_loop();
        }
        let found = found.unwrap_or_else(|| {
            bytes.clear();
            shard.lock().copy_to(id, &mut bytes)
        });
        if !found {
            bytes.clear();
        }
        // What both stamps vouch for was copied from a `str`.
        *out = String::from_utf8(bytes).unwrap_or_default();
        found
    }

    /// The string of `id`, in memory of its own; nothing if it was evicted.
    pub fn resolve(&self, id: StringId) -> Option<String> {
        let mut text = String::new();
        self.resolve_into(id, &mut text).then_some(text)
    }

    /// Whether the string of `id` is in the pool at this moment. Locks nothing.
    pub fn is_live(&self, id: StringId) -> bool {
        let (shard, id) = self.inside(id);
        let published = shard.text.published.get(id.slot() as usize);
        // Acquire: as the reader's first load, so that an id from another thread is found.
        published.is_some_and(|published| {
            (published.place.load(Ordering::Acquire) >> 32) as u32 == id.generation()
        })
    }

    /// Keeps the string of `id`, as [`StringPool::pin`](crate::StringPool::pin). Locks one shard.
    ///
    /// # Errors
    /// [`StringError::Dead`], [`StringError::PinsFull`].
    pub fn pin(&self, id: StringId) -> Result<(), StringError> {
        let (shard, inside) = self.inside(id);
        self.named(shard.lock().pin(inside, 1), id)
    }

    /// Takes one pin back, as [`StringPool::unpin`](crate::StringPool::unpin). Locks one shard.
    ///
    /// # Errors
    /// [`StringError::Dead`], [`StringError::NotPinned`].
    pub fn unpin(&self, id: StringId) -> Result<(), StringError> {
        let (shard, inside) = self.inside(id);
        self.named(shard.lock().unpin(inside), id)
    }

    /// The id of `text`, which never leaves the pool from now on. Locks one shard, once.
    ///
    /// # Errors
    /// As [`intern`](Self::intern) and [`pin`](Self::pin).
    pub fn intern_static(&self, text: &str) -> Result<StringId, StringError> {
        let tag = tag_of(text.as_bytes());
        let shard = self.shard_of(tag);
        let mut core = self.shards[shard as usize].lock();
        let id = core.intern(tag, text)?;
        core.pin_static(id)?;
        Ok(self.outside(shard, id))
    }

    /// All shards in numbers. Locks one after the other.
    pub fn stats(&self) -> StringStats {
        self.shards.iter().map(|shard| shard.lock().stats()).fold(StringStats::default(), |sum, one| {
            StringStats {
                strings: sum.strings + one.strings,
                text_bytes: sum.text_bytes + one.text_bytes,
                pinned: sum.pinned + one.pinned,
                bytes_held: sum.bytes_held + one.bytes_held,
                interned: sum.interned + one.interned,
                evicted: sum.evicted + one.evicted,
                retired: sum.retired + one.retired,
            }
        })
    }

    /// The longest text that a shard takes.
    pub fn text_bytes_max(&self) -> usize {
        self.shards[0].lock().plan().text_bytes_max
    }
}

impl fmt::Debug for SharedStringPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedStringPool")
            .field("shards", &self.shards.len())
            .field("stats", &self.stats())
            .finish()
    }
}
