//! Random access: the places of a container's items, noted once.
//! Owns the scratch memory in which they are noted; never outlives the record they belong to.

use alloc::vec::Vec;
use core::cell::RefCell;

use crate::error::DecodeError;
use crate::value_ref::{ListRef, MapRef, RawRef, ValueRef};

/// Where the items of the current record's indexed containers are. Emptied by the next record, its memory kept.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    offsets: RefCell<Vec<u32>>,
}

impl Scratch {
    /// Forgets all notes.
    pub(crate) fn reset(&mut self) {
        self.offsets.get_mut().clear();
    }
}

/// A run of offsets: in the decoder's scratch memory, or in a `Vec` where there is none.
#[derive(Clone)]
enum Offsets<'a> {
    Scratch { scratch: &'a Scratch, start: usize, len: usize },
    Owned(Vec<u32>),
}

impl<'a> Offsets<'a> {
    /// Notes what `offsets` yields, then lets `arrange` reorder it.
    fn note(
        scratch: Option<&'a Scratch>,
        offsets: impl Iterator<Item = u32>,
        arrange: impl FnOnce(&mut [u32]),
    ) -> Self {
        if let Some(scratch) = scratch
            && let Ok(mut all) = scratch.offsets.try_borrow_mut()
        {
            let start = all.len();
            all.extend(offsets);
            arrange(&mut all[start..]);
            return Self::Scratch { scratch, start, len: all.len() - start };
        }
        let mut own: Vec<u32> = offsets.collect();
        arrange(&mut own);
        Self::Owned(own)
    }

    #[inline]
    fn get(&self, i: usize) -> Option<usize> {
        match self {
            Self::Scratch { scratch, start, len } => {
                let inside = if i < *len { start + i } else { return None };
                scratch.offsets.borrow().get(inside).map(|&at| at as usize)
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
    offsets: Offsets<'a>,
}

impl<'a> IndexedList<'a> {
    pub(crate) fn new(list: ListRef<'a>) -> Self {
        let places = list.raws().map(|raw| raw.at as u32);
        Self { list, offsets: Offsets::note(list.first.scratch, places, |_| ()) }
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
        Some(self.list.first.moved(self.offsets.get(i)?))
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
    offsets: Offsets<'a>,
}

impl<'a> IndexedMap<'a> {
    pub(crate) fn new(map: MapRef<'a>) -> Self {
        let mut entries = map.entries();
        let places = core::iter::from_fn(|| entries.next_raw().map(|(key, _)| key.at as u32));
        let key_at = |at: u32| map.first.moved(at as usize).str_bytes().unwrap_or_default();
        // Unstable sorting needs no memory; the offset as second criterion keeps duplicates in order.
        let arrange =
            |keys: &mut [u32]| keys.sort_unstable_by(|&a, &b| key_at(a).cmp(key_at(b)).then(a.cmp(&b)));
        Self { map, offsets: Offsets::note(map.first.scratch, places, arrange) }
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
            let name = self.map.first.moved(self.offsets.get(middle)?).str_bytes().ok()?;
            if name <= key.as_bytes() { low = middle + 1 } else { high = middle }
        }
        let place = self.map.first.moved(self.offsets.get(low.checked_sub(1)?)?);
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
