//! Owns: how many values of one type stand in a payload: vectors, arrays, and the lists over them that decode when asked.
//! Part of [`wire`](crate::wire), which names all of this. Never allocates except for owned values, and then no more than the walk over
//! the payload has found. Limits: counts of four bytes.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use crate::codec::{DecodeError, EncodeError, Reader, Writer};
use crate::wire::{Wire, boxed, prefix_bytes, read_length, reads_like, write_length};

/// At most `MAX` values of one type: `vector<E, MAX>`.
#[derive(Debug)]
pub struct Seq<E, const MAX: usize>(PhantomData<E>);

impl<E: Wire, const MAX: usize> Wire for Seq<E, MAX> {
    type View<'a> = List<'a, E>;
    type Owned = Vec<E::Owned>;
    type Parts<'a> = &'a [E::Parts<'a>];
    const MAX_BYTES: usize = prefix_bytes(MAX) + MAX * E::MAX_BYTES;
    const FIXED_BYTES: Option<usize> = None;

    fn skip(reader: &mut Reader<'_>, field: &'static str) -> Result<(), DecodeError> {
        let count = read_length(reader, MAX, field)?;
        skip_items::<E>(reader, count, field)
    }

    fn read<'a>(reader: &mut Reader<'a>, field: &'static str) -> Result<List<'a, E>, DecodeError> {
        let count = read_length(reader, MAX, field)?;
        read_items(reader, count, field)
    }

    fn own(view: List<'_, E>) -> Result<Vec<E::Owned>, DecodeError> {
        view.to_vec()
    }

    fn size(value: &Vec<E::Owned>) -> usize {
        sum(value.iter().map(E::size)).saturating_add(prefix_bytes(MAX))
    }

    fn write(value: &Vec<E::Owned>, out: &mut Writer<'_>, field: &'static str) -> Result<(), EncodeError> {
        write_length(value.len(), MAX, out, field)?;
        value.iter().try_for_each(|item| E::write(item, out, field))
    }

    fn size_parts(value: &&[E::Parts<'_>]) -> usize {
        sum(value.iter().map(E::size_parts)).saturating_add(prefix_bytes(MAX))
    }

    fn write_parts(
        value: &&[E::Parts<'_>],
        out: &mut Writer<'_>,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        write_length(value.len(), MAX, out, field)?;
        value.iter().try_for_each(|item| E::write_parts(item, out, field))
    }
}

/// Exactly `N` values of one type, held inline: `array<E, N>`.
#[derive(Debug)]
pub struct Array<E, const N: usize>(PhantomData<E>);

impl<E: Wire, const N: usize> Wire for Array<E, N> {
    type View<'a> = List<'a, E>;
    type Owned = [E::Owned; N];
    type Parts<'a> = [E::Parts<'a>; N];
    const MAX_BYTES: usize = N * E::MAX_BYTES;
    const FIXED_BYTES: Option<usize> = match E::FIXED_BYTES {
        Some(bytes) => Some(N * bytes),
        None => None,
    };

    fn skip(reader: &mut Reader<'_>, field: &'static str) -> Result<(), DecodeError> {
        skip_items::<E>(reader, N, field)
    }

    fn read<'a>(reader: &mut Reader<'a>, field: &'static str) -> Result<List<'a, E>, DecodeError> {
        read_items(reader, N, field)
    }

    fn own(view: List<'_, E>) -> Result<[E::Owned; N], DecodeError> {
        let mut reader = view.reader;
        let mut failure = None;
        let items: [Option<E::Owned>; N] = core::array::from_fn(|_| {
            if failure.is_some() {
                return None;
            }
            let item = E::read(&mut reader, view.field).and_then(E::own);
            item.map_err(|error| failure = Some(error)).ok()
        });
        match failure {
            Some(error) => Err(error),
            None => Ok(items.map(|item| item.unwrap_or_else(|| unreachable!("every item was read")))),
        }
    }

    fn size(value: &[E::Owned; N]) -> usize {
        sum(value.iter().map(E::size))
    }

    fn write(value: &[E::Owned; N], out: &mut Writer<'_>, field: &'static str) -> Result<(), EncodeError> {
        value.iter().try_for_each(|item| E::write(item, out, field))
    }

    fn size_parts(value: &[E::Parts<'_>; N]) -> usize {
        sum(value.iter().map(E::size_parts))
    }

    fn write_parts(
        value: &[E::Parts<'_>; N],
        out: &mut Writer<'_>,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        value.iter().try_for_each(|item| E::write_parts(item, out, field))
    }
}

/// Exactly `N` values of one type, so many that an owned struct keeps them behind a box.
#[derive(Debug)]
pub struct BoxArray<E, const N: usize>(PhantomData<E>);

impl<E: Wire, const N: usize> Wire for BoxArray<E, N> {
    type Owned = Box<[E::Owned; N]>;
    type Parts<'a> = &'a [E::Parts<'a>; N];
    reads_like!(Array<E, N>);

    fn own(view: List<'_, E>) -> Result<Box<[E::Owned; N]>, DecodeError> {
        view.to_vec().map(boxed)
    }

    fn size(value: &Box<[E::Owned; N]>) -> usize {
        sum(value.iter().map(E::size))
    }

    fn write(
        value: &Box<[E::Owned; N]>,
        out: &mut Writer<'_>,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        value.iter().try_for_each(|item| E::write(item, out, field))
    }

    fn size_parts(value: &&[E::Parts<'_>; N]) -> usize {
        sum(value.iter().map(E::size_parts))
    }

    fn write_parts(
        value: &&[E::Parts<'_>; N],
        out: &mut Writer<'_>,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        value.iter().try_for_each(|item| E::write_parts(item, out, field))
    }
}

/// Sizes added up. A slice may repeat one long text more often than memory could hold copies of it.
fn sum(sizes: impl Iterator<Item = usize>) -> usize {
    sizes.fold(0, usize::saturating_add)
}

fn skip_items<E: Wire>(
    reader: &mut Reader<'_>,
    count: usize,
    field: &'static str,
) -> Result<(), DecodeError> {
    match E::FIXED_BYTES {
        Some(bytes) => reader.skip(count.saturating_mul(bytes), field),
        None => (0..count).try_for_each(|_| E::skip(reader, field)),
    }
}

fn read_items<'a, E: Wire>(
    reader: &mut Reader<'a>,
    count: usize,
    field: &'static str,
) -> Result<List<'a, E>, DecodeError> {
    let list = List { reader: *reader, field, count, items: PhantomData };
    skip_items::<E>(reader, count, field)?;
    Ok(list)
}

/// Values of one type, still in the payload; each is decoded when it is asked for.
///
/// Layout: where the first one begins and how many there are; 56 bytes. Cost: nothing is allocated; `get` is one multiplication where
/// every value has the same number of bytes, and otherwise walks over those before it.
pub struct List<'a, E> {
    reader: Reader<'a>,
    field: &'static str,
    count: usize,
    items: PhantomData<fn() -> E>,
}

impl<E> Clone for List<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for List<'_, E> {}

impl<'a, E: Wire> List<'a, E> {
    /// How many there are.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All of them, in order. After an error there is nothing more.
    #[inline]
    #[must_use]
    pub const fn iter(&self) -> ListIter<'a, E> {
        ListIter { reader: self.reader, field: self.field, left: self.count, items: PhantomData }
    }

    /// The one at `index`; `None` behind the last.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Result<E::View<'a>, DecodeError>> {
        if index >= self.count {
            return None;
        }
        let mut reader = self.reader;
        Some(skip_items::<E>(&mut reader, index, self.field).and_then(|()| E::read(&mut reader, self.field)))
    }

    /// Owned copies of all of them.
    ///
    /// # Errors
    /// The first that turns out wrong.
    pub fn to_vec(&self) -> Result<Vec<E::Owned>, DecodeError> {
        // The walk over the payload has found all of them there, so the count is one that was paid for.
        let mut items = Vec::with_capacity(self.count);
        for item in self.iter() {
            items.push(E::own(item?)?);
        }
        Ok(items)
    }
}

impl<'a, E: Wire> IntoIterator for List<'a, E> {
    type Item = Result<E::View<'a>, DecodeError>;
    type IntoIter = ListIter<'a, E>;

    fn into_iter(self) -> ListIter<'a, E> {
        self.iter()
    }
}

impl<'a, E: Wire> fmt::Debug for List<'a, E>
where
    E::View<'a>: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Walks over a [`List`].
pub struct ListIter<'a, E> {
    reader: Reader<'a>,
    field: &'static str,
    left: usize,
    items: PhantomData<fn() -> E>,
}

impl<E> fmt::Debug for ListIter<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListIter")
            .field("field", &self.field)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl<'a, E: Wire> Iterator for ListIter<'a, E> {
    type Item = Result<E::View<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let item = E::read(&mut self.reader, self.field);
        if item.is_err() {
            self.left = 0;
        }
        Some(item)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left.min(1), Some(self.left))
    }
}
