//! Random access: the places of a container's items, noted once.
//! Owns the scratch memory in which they are noted; never outlives the record they belong to. The first [`SCRATCH_PLACES`] places
//! of a record lie inside the decoder, more of them in its arena from the next record on, of which [`KEPT_PLACES_MAX`] stay.
//!
//! The memory is one block of a pool, given out from its front while a record is read and taken back by the next one. It is
//! made of atomics, so that a record may go to another thread, or be read by two: what is given out belongs to whoever took it
//! (the counter is only ever added to), and each place is written before its index is handed on, by means that synchronise.

use alloc::vec::Vec;
use core::cell::Cell;

use bolt_arena::{BoltPool, Handle, PoolLimits};
use bolt_sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::error::DecodeError;
use crate::value_ref::{ListRef, MapRef, RawRef, ValueRef};

/// Places held inside the decoder, 1 KiB: a path of a hundred steps, or a list of two hundred items. Few under loom, which remembers each.
const SCRATCH_PLACES: usize = if cfg!(bolt_loom) { 8 } else { 256 };
/// Bytes that stay for the next record: the walk of more than 2¹⁸ items costs far more than allocating for them again.
const KEPT_BYTES_MAX: usize = 1 << 20;
/// Places in that many bytes, less a page for what the arena keeps beside them.
const KEPT_PLACES_MAX: usize = (KEPT_BYTES_MAX - (4 << 10)) / size_of::<AtomicU32>();

/// Where the items of the current record's indexed containers are: one stretch of the block a container, all taken back by the next record.
#[derive(Debug)]
pub(crate) struct Scratch {
    pool: BoltPool<AtomicU32, SCRATCH_PLACES>,
    block: Option<Handle<AtomicU32>>,
    /// Places asked for since the last record: those given out, and those for which there was no room.
    taken: AtomicUsize,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        const LIMITS: PoolLimits = PoolLimits { retained_bytes_max: KEPT_BYTES_MAX, ..PoolLimits::DEFAULT };
        let mut scratch =
            Self { pool: BoltPool::with_limits(LIMITS), block: None, taken: AtomicUsize::new(0) };
        scratch.block = scratch.pool.alloc_with(SCRATCH_PLACES, |_| AtomicU32::new(0)).ok();
        scratch
    }

    /// Forgets all notes. One compare when there are none, which is so with most records.
    #[inline(always)]
    pub(crate) fn reset(&mut self) {
        // Relaxed: whoever has `&mut` has synchronised with all that had `&`.
        if self.taken.load(Ordering::Relaxed) != 0 {
            self.forget();
        }
    }

    #[inline(never)]
    fn forget(&mut self) {
        let taken = self.taken.load(Ordering::Relaxed);
        self.taken.store(0, Ordering::Relaxed);
        let room = self.block().len();
        if taken > room && room < KEPT_PLACES_MAX {
            // This record had to go without; one like it shall not.
            let places = taken.next_power_of_two().min(KEPT_PLACES_MAX);
            self.pool.reset_all();
            self.block = self.pool.alloc_with(places, |_| AtomicU32::new(0)).ok();
        }
    }

    fn block(&self) -> &[AtomicU32] {
        self.block.and_then(|block| self.pool.resolve(block).ok()).unwrap_or_default()
    }

    /// A stretch of `len` places that nobody else has or gets before the next record; `None` when there is no room.
    fn take(&self, len: usize) -> Option<&[AtomicU32]> {
        // Relaxed: the addition alone makes stretches disjoint; what is in them travels with the index.
        let grown = |taken: usize| Some(taken.saturating_add(len));
        let start = match self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown) {
            Ok(start) | Err(start) => start,
        };
        self.block().get(start..start.checked_add(len)?)
    }
}

/// The places of a container's items: in the decoder's scratch memory, or in a `Vec` where there is none.
#[derive(Clone)]
enum Places<'a> {
    Scratch(&'a [AtomicU32]),
    Owned(Vec<u32>),
}

impl<'a> Places<'a> {
    /// Notes the `len` places that `found` yields.
    ///
    /// `first` is the place of the first item. Each item takes a byte at least, so that no more than the bytes from there on are noted, or
    /// reserved for, whatever a message that was not walked announces.
    fn note(first: RawRef<'a>, len: usize, found: impl Iterator<Item = u32>) -> Self {
        let most = len.min(first.message.len().saturating_sub(first.at));
        let mut found = found.take(most);
        if let Some(places) = first.scratch.and_then(|scratch| scratch.take(most)) {
            let mut noted = 0;
            for (place, at) in places.iter().zip(&mut found) {
                place.store(at, Ordering::Relaxed);
                noted += 1;
            }
            return Self::Scratch(&places[..noted]);
        }
        Self::Owned(found.collect())
    }

    /// Puts the places in the order that `less` tells.
    fn sort(&mut self, less: impl Fn(u32, u32) -> bool) {
        match self {
            Self::Scratch(places) => {
                let at = |i: usize| places[i].load(Ordering::Relaxed);
                heap_sort(places.len(), at, |i, place| places[i].store(place, Ordering::Relaxed), less);
            }
            Self::Owned(own) => {
                let places = Cell::from_mut(own.as_mut_slice()).as_slice_of_cells();
                heap_sort(places.len(), |i| places[i].get(), |i, place| places[i].set(place), less);
            }
        }
    }

    #[inline]
    fn get(&self, i: usize) -> Option<usize> {
        match self {
            Self::Scratch(places) => places.get(i).map(|at| at.load(Ordering::Relaxed) as usize),
            Self::Owned(own) => own.get(i).map(|&at| at as usize),
        }
    }
}

/// Sorts `len` words behind `get` and `set`: slices of atomics have no sort of their own, and this one needs no memory.
fn heap_sort(
    len: usize,
    get: impl Fn(usize) -> u32,
    set: impl Fn(usize, u32),
    less: impl Fn(u32, u32) -> bool,
) {
    // Lets `word` sink from `root` to where both below it, within `end`, are no greater.
    let sink = |mut root: usize, end: usize, word: u32| {
        loop {
            let mut child = 2 * root + 1;
            if child >= end {
                break;
            }
            if child + 1 < end && less(get(child), get(child + 1)) {
                child += 1;
            }
            if !less(word, get(child)) {
                break;
            }
            set(root, get(child));
            root = child;
        }
        set(root, word);
    };
    // Keys often come sorted, or nearly so.
    if (1..len).all(|i| !less(get(i), get(i - 1))) {
        return;
    }
    for root in (0..len / 2).rev() {
        sink(root, len, get(root));
    }
    for end in (1..len).rev() {
        let last = get(end);
        set(end, get(0));
        sink(0, end, last);
    }
}

/// A list whose items' places are known: `get(i)` looks at item `i` and nothing else.
///
/// ```
/// use bolt_wire::{Dialect, FromValue, ListRef, RawRef, ValueRef, Walker};
///
/// let bytes = b"\x93\x01\xC9\x03\xE8\x83abc";
/// Walker::default().walk(bytes, 0, Dialect::default())?;
/// let list = RawRef::new(bytes, 0).list()?.indexed();
/// assert_eq!(list.get_as::<&str>(2)?, "abc");
/// assert_eq!(list.get_as::<i64>(1)?, 1_000);
/// # Ok::<(), bolt_wire::DecodeError>(())
/// ```
#[derive(Clone)]
pub struct IndexedList<'a> {
    list: ListRef<'a>,
    places: Places<'a>,
}

impl<'a> IndexedList<'a> {
    pub(crate) fn new(list: ListRef<'a>) -> Self {
        let found = list.raws().map(|raw| raw.at as u32);
        Self { list, places: Places::note(list.first, list.len(), found) }
    }

    /// Number of items.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are no items.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The place of item `i`.
    #[inline]
    #[must_use]
    pub fn raw(&self, i: usize) -> Option<RawRef<'a>> {
        Some(self.list.first.moved(self.places.get(i)?))
    }

    /// Item `i`; `None` beyond the end.
    ///
    /// # Errors
    /// What [`RawRef::value`] says.
    #[inline]
    pub fn get(&self, i: usize) -> Result<Option<ValueRef<'a>>, DecodeError> {
        self.raw(i).map(RawRef::value).transpose()
    }

    /// Item `i` as a `T`.
    ///
    /// # Errors
    /// [`DecodeReason::NoSuchColumn`](crate::DecodeReason::NoSuchColumn) beyond the end, and what `T` refuses.
    #[inline]
    pub fn get_as<T: crate::FromValue<'a>>(&self, i: usize) -> Result<T, DecodeError> {
        match self.raw(i) {
            Some(raw) => T::from_raw(raw),
            None => Err(crate::record::no_such_column(i, self.len())),
        }
    }
}

/// A dictionary whose entries are sorted by key: `get` is a binary search.
#[derive(Clone)]
pub struct IndexedMap<'a> {
    map: MapRef<'a>,
    /// Places of the keys, in the order of the keys' bytes; duplicates in the order they came.
    places: Places<'a>,
}

impl<'a> IndexedMap<'a> {
    pub(crate) fn new(map: MapRef<'a>) -> Self {
        let mut entries = map.entries();
        let found = core::iter::from_fn(|| entries.next_raw().map(|(key, _)| key.at as u32));
        let key_at = |at: u32| map.first.moved(at as usize).str_bytes().unwrap_or_default();
        let mut places = Places::note(map.first, map.len(), found);
        // The offset as second criterion keeps duplicates in order.
        places.sort(|a, b| (key_at(a), a) < (key_at(b), b));
        Self { map, places }
    }

    /// Number of entries, duplicates counted.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there are no entries.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The place of the value that belongs to `key`; the last one, if the key is there more than once.
    #[must_use]
    pub fn raw(&self, key: &str) -> Option<RawRef<'a>> {
        // The first entry whose key is greater; the one before it is the last equal one, if any is equal.
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let name = self.map.first.moved(self.places.get(middle)?).str_bytes().ok()?;
            if name <= key.as_bytes() { low = middle + 1 } else { high = middle }
        }
        let place = self.map.first.moved(self.places.get(low.checked_sub(1)?)?);
        (place.str_bytes().ok()? == key.as_bytes()).then(|| place.moved(place.end()))
    }

    /// The value that belongs to `key`.
    ///
    /// # Errors
    /// What [`RawRef::value`] says.
    pub fn get(&self, key: &str) -> Result<Option<ValueRef<'a>>, DecodeError> {
        self.raw(key).map(RawRef::value).transpose()
    }

    /// The value that belongs to `key`, as a `T`; a missing key reads as `None` where `T` is an `Option`.
    ///
    /// # Errors
    /// [`DecodeReason::NoSuchName`](crate::DecodeReason::NoSuchName) for a missing key, and what `T` refuses.
    pub fn get_as<T: crate::FromValue<'a>>(&self, key: &str) -> Result<T, DecodeError> {
        match self.raw(key) {
            Some(raw) => T::from_raw(raw),
            None => match T::missing() {
                Some(value) => Ok(value),
                None => Err(DecodeError::new(self.map.first.at, crate::DecodeReason::NoSuchName)),
            },
        }
    }
}
