//! Random access: the places of a container's items, noted once.
//! Owns the scratch memory in which they are noted; never outlives the record they belong to. The first [`SCRATCH_PLACES`] places
//! of a record lie inside the decoder, the others in its arena, of which [`KEPT_BYTES_MAX`] stay from record to record.

use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use bolt_arena::{BoltPool, Handle, PoolLimits};

use crate::error::DecodeError;
use crate::value_ref::{ListRef, MapRef, RawRef, ValueRef};

/// Places held inside the decoder, 1 KiB: a path of a hundred steps, or a list of two hundred items.
const SCRATCH_PLACES: usize = 256;
/// Heap that stays for the next record: the places of 2¹⁸ items, whose walk costs far more than allocating for them again.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Where the items of the current record's indexed containers are: one allocation a container, all released by the next record.
#[derive(Debug)]
pub(crate) struct Scratch {
    places: RefCell<BoltPool<u32, SCRATCH_PLACES>>,
    /// Whether there is anything to forget. Most records index nothing, and then this byte is all that is looked at.
    used: Cell<bool>,
}

impl Scratch {
    pub(crate) const fn new() -> Self {
        let limits = PoolLimits { retained_bytes_max: KEPT_BYTES_MAX, ..PoolLimits::DEFAULT };
        Self { places: RefCell::new(BoltPool::with_limits(limits)), used: Cell::new(false) }
    }

    /// Forgets all notes. One compare when there are none.
    #[inline(always)]
    pub(crate) fn reset(&mut self) {
        if *self.used.get_mut() {
            self.forget();
        }
    }

    #[inline(never)]
    fn forget(&mut self) {
        self.places.get_mut().reset_all();
        self.used.set(false);
    }
}

/// The places of a container's items: in the decoder's scratch memory, or in a `Vec` where there is none.
#[derive(Clone)]
enum Places<'a> {
    Scratch { scratch: &'a Scratch, handle: Handle<u32> },
    Owned(Vec<u32>),
}

impl<'a> Places<'a> {
    /// Notes the `len` places that `found` yields, then lets `arrange` reorder them.
    ///
    /// `first` is the place of the first item. Each item takes a byte at least, so that no more than the bytes from there on are noted, or
    /// reserved for, whatever a message that was not walked announces.
    fn note(
        first: RawRef<'a>,
        len: usize,
        found: impl Iterator<Item = u32>,
        arrange: impl FnOnce(&mut [u32]),
    ) -> Self {
        let most = len.min(first.message.len().saturating_sub(first.at));
        let mut found = found.take(most);
        if let Some(scratch) = first.scratch
            && let Ok(mut places) = scratch.places.try_borrow_mut()
            && let Ok(mut notes) = places.builder()
            && notes.reserve(most).is_ok()
        {
            scratch.used.set(true);
            // Room was made for all of them, so that no push fails.
            while let Some(at) = found.next()
                && notes.push(at).is_ok()
            {}
            arrange(&mut notes);
            return Self::Scratch { scratch, handle: notes.finish() };
        }
        let mut own: Vec<u32> = found.collect();
        arrange(&mut own);
        Self::Owned(own)
    }

    #[inline]
    fn get(&self, i: usize) -> Option<usize> {
        match self {
            Self::Scratch { scratch, handle } => {
                let places = scratch.places.try_borrow().ok()?;
                places.resolve(*handle).ok()?.get(i).map(|&at| at as usize)
            }
            Self::Owned(own) => own.get(i).map(|&at| at as usize),
        }
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
        Self { list, places: Places::note(list.first, list.len(), found, |_| ()) }
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
        // Unstable sorting needs no memory; the offset as second criterion keeps duplicates in order.
        let arrange =
            |keys: &mut [u32]| keys.sort_unstable_by(|&a, &b| key_at(a).cmp(key_at(b)).then(a.cmp(&b)));
        Self { map, places: Places::note(map.first, map.len(), found, arrange) }
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
