//! Borrowed values: views of bytes that were walked, decoded when they are asked for.
//! Owns [`RawRef`] (a place in a message), [`ValueRef`], [`ListRef`] and [`MapRef`]; never copies, never allocates, never
//! recurses. Bytes that were not walked first give errors or nonsense, but no panic and no access out of bounds.

use crate::error::{DecodeError, DecodeReason};
use crate::index::{IndexedList, IndexedMap, Scratch};
use crate::marker::{self, Kind, LEAF_LEN};
use crate::structure::{
    DateTimeZonedRef, NodeRef, PathRef, RelationshipRef, StructRef, UnboundRelationshipRef, UnsupportedRef,
    VectorRef,
};
use crate::types::{Date, DateTime, Duration, LocalDateTime, LocalTime, Point2D, Point3D, Time, Uuid};
use crate::walk::{size_at, skip, unexpected_end};

/// The place of one value in a walked message; 32 bytes, `Copy`, nothing decoded yet.
///
/// This is what [`FromValue`](crate::FromValue) reads from: `int()`, `str()` and the like look at one marker and do not build
/// a [`ValueRef`] first.
#[derive(Clone, Copy)]
pub struct RawRef<'a> {
    pub(crate) message: &'a [u8],
    pub(crate) at: usize,
    pub(crate) scratch: Option<&'a Scratch>,
}

impl<'a> RawRef<'a> {
    /// The value at `message[at]`, which a [`Walker`](crate::Walker) has walked.
    #[inline]
    #[must_use]
    pub const fn new(message: &'a [u8], at: usize) -> Self {
        Self { message, at, scratch: None }
    }

    /// Where the value begins in the message body.
    #[inline]
    #[must_use]
    pub const fn offset(self) -> usize {
        self.at
    }

    /// Where the value ends; walks it once more if it is a container.
    #[inline]
    #[must_use]
    pub fn end(self) -> usize {
        skip(self.message, self.at)
    }

    /// The bytes of the value, marker included.
    #[inline]
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.message.get(self.at..self.end()).unwrap_or_default()
    }

    /// The same place with `at` moved.
    #[inline(always)]
    pub(crate) const fn moved(self, at: usize) -> Self {
        Self { at, ..self }
    }

    #[inline(always)]
    pub(crate) fn marker(self) -> Result<u8, DecodeError> {
        match self.message.get(self.at) {
            Some(&m) => Ok(m),
            None => Err(unexpected_end(self.message, self.at, 1)),
        }
    }

    /// The kind of value that stands here.
    #[inline]
    #[must_use]
    pub fn kind(self) -> Kind {
        self.message.get(self.at).map_or(Kind::Reserved, |&m| Kind::of(m))
    }

    /// Whether the value is null.
    #[inline]
    #[must_use]
    pub fn is_null(self) -> bool {
        self.message.get(self.at) == Some(&marker::NULL)
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn wrong_type(self, expected: &'static str) -> DecodeError {
        DecodeError {
            offset: self.at,
            reason: DecodeReason::WrongType { expected, found: self.kind().name() },
        }
    }

    /// The integer that stands here, of whatever width.
    ///
    /// # Errors
    /// [`DecodeReason::WrongType`].
    #[inline(always)]
    pub fn int(self) -> Result<i64, DecodeError> {
        let m = self.marker()?;
        let tiny = m.cast_signed();
        if tiny >= -16 {
            return Ok(i64::from(tiny));
        }
        if m & 0xFC != marker::INT8 {
            return Err(self.wrong_type("an integer"));
        }
        let bits = 8u32 << (m & 3);
        match self.message.get(self.at + 1..).and_then(|rest| rest.first_chunk::<8>()) {
            // Eight bytes at once, whatever the width: no branch on it.
            Some(window) => Ok(i64::from_be_bytes(*window) >> (64 - bits)),
            None => self.int_near_end(bits),
        }
    }

    /// The integer that stands here; moves behind it.
    ///
    /// Where the next item begins is known beforehand if this one is as wide as the last: then a branch lets the processor run
    /// ahead, where the table would make it wait for this marker. After a wrong guess the table serves a while.
    #[inline(always)]
    pub(crate) fn next_int(&mut self, guess: &mut Guess) -> Result<i64, DecodeError> {
        let Some(&[m, ref body @ ..]) = self.message.get(self.at..).and_then(|rest| rest.first_chunk::<9>())
        else {
            let raw = *self;
            self.at = raw.end();
            return raw.int();
        };
        let body: &[u8; 8] = body;
        let wide = i64::from_be_bytes(*body);
        let tiny = m.cast_signed();
        if guess.0 == Guess::WIDE.0 {
            if m == marker::INT64 {
                self.at += 9;
                return Ok(wide);
            }
            guess.0 = Guess::PAUSE;
        } else if guess.0 == Guess::TINY.0 {
            if tiny >= -16 {
                self.at += 1;
                return Ok(i64::from(tiny));
            }
            guess.0 = Guess::PAUSE;
        } else {
            guess.0 -= 1;
            if guess.0 == 0 {
                *guess = if tiny >= -16 { Guess::TINY } else { Guess::WIDE };
            }
        }
        if (tiny < -16) & (m & 0xFC != marker::INT8) {
            let raw = *self;
            self.at = raw.end();
            return raw.int();
        }
        self.at += usize::from(LEAF_LEN[usize::from(m)]);
        let unused = 64 - (8u32 << (m & 3));
        Ok(if tiny >= -16 { i64::from(tiny) } else { wide >> unused })
    }

    /// The float that stands here; moves behind it.
    #[inline(always)]
    pub(crate) fn next_float(&mut self) -> Result<f64, DecodeError> {
        let raw = *self;
        match raw.float() {
            Ok(value) => {
                self.at += 9;
                Ok(value)
            }
            Err(error) => {
                self.at = raw.end();
                Err(error)
            }
        }
    }

    /// An integer with fewer than eight bytes behind its marker.
    #[inline(never)]
    fn int_near_end(self, bits: u32) -> Result<i64, DecodeError> {
        let width = bits as usize / 8;
        let Some(bytes) = self.message.get(self.at + 1..self.at + 1 + width) else {
            return Err(unexpected_end(self.message, self.at, 1 + width));
        };
        let wide = bytes.iter().fold(0i64, |wide, &byte| wide << 8 | i64::from(byte));
        Ok(wide << (64 - bits) >> (64 - bits))
    }

    /// The float that stands here.
    ///
    /// # Errors
    /// [`DecodeReason::WrongType`]; an integer is not a float.
    #[inline(always)]
    pub fn float(self) -> Result<f64, DecodeError> {
        if self.marker()? != marker::FLOAT {
            return Err(self.wrong_type("a float"));
        }
        match self.message.get(self.at + 1..).and_then(|rest| rest.first_chunk::<8>()) {
            Some(bytes) => Ok(f64::from_be_bytes(*bytes)),
            None => Err(unexpected_end(self.message, self.at, 9)),
        }
    }

    /// The boolean that stands here.
    ///
    /// # Errors
    /// [`DecodeReason::WrongType`].
    #[inline(always)]
    pub fn bool(self) -> Result<bool, DecodeError> {
        match self.marker()? {
            marker::TRUE => Ok(true),
            marker::FALSE => Ok(false),
            _ => Err(self.wrong_type("a boolean")),
        }
    }

    /// The bytes of the string that stands here, not checked to be UTF-8.
    ///
    /// # Errors
    /// [`DecodeReason::WrongType`].
    #[inline(always)]
    pub fn str_bytes(self) -> Result<&'a [u8], DecodeError> {
        let m = self.marker()?;
        if m & 0xF0 == marker::STRING0 {
            let len = usize::from(m & 0x0F);
            return match self.message.get(self.at + 1..self.at + 1 + len) {
                Some(bytes) => Ok(bytes),
                None => Err(unexpected_end(self.message, self.at, 1 + len)),
            };
        }
        if Kind::of(m) != Kind::String {
            return Err(self.wrong_type("a string"));
        }
        self.sized(m)
    }

    /// The string that stands here.
    ///
    /// # Errors
    /// [`DecodeReason::WrongType`]; where the walk was told not to look at text, [`DecodeReason::InvalidUtf8`] with the offset of the first
    /// bad byte.
    #[inline(always)]
    pub fn str(self) -> Result<&'a str, DecodeError> {
        let bytes = self.str_bytes()?;
        match core::str::from_utf8(bytes) {
            Ok(text) => Ok(text),
            Err(error) => Err(self.invalid_utf8(bytes.len(), error.valid_up_to())),
        }
    }

    #[cold]
    #[inline(never)]
    fn invalid_utf8(self, len: usize, valid: usize) -> DecodeError {
        DecodeError { offset: self.end().saturating_sub(len) + valid, reason: DecodeReason::InvalidUtf8 }
    }

    /// The byte array that stands here.
    ///
    /// # Errors
    /// [`DecodeReason::WrongType`].
    #[inline]
    pub fn bytes(self) -> Result<&'a [u8], DecodeError> {
        let m = self.marker()?;
        if Kind::of(m) != Kind::Bytes {
            return Err(self.wrong_type("bytes"));
        }
        self.sized(m)
    }

    #[inline]
    fn sized(self, m: u8) -> Result<&'a [u8], DecodeError> {
        let (len, body) = size_at(self.message, self.at, m, marker::STRING0)?;
        match self.message.get(body..body + len as usize) {
            Some(bytes) => Ok(bytes),
            None => Err(unexpected_end(self.message, body, len as usize)),
        }
    }

    /// The UUID that stands here.
    ///
    /// # Errors
    /// [`DecodeReason::WrongType`].
    #[inline]
    pub fn uuid(self) -> Result<Uuid, DecodeError> {
        if self.marker()? != marker::UUID {
            return Err(self.wrong_type("a UUID"));
        }
        match self.message.get(self.at + 1..).and_then(|rest| rest.first_chunk::<16>()) {
            Some(bytes) => Ok(Uuid(*bytes)),
            None => Err(unexpected_end(self.message, self.at, 17)),
        }
    }

    /// The list that stands here.
    ///
    /// # Errors
    /// [`DecodeReason::WrongType`].
    #[inline]
    pub fn list(self) -> Result<ListRef<'a>, DecodeError> {
        let m = self.marker()?;
        if Kind::of(m) != Kind::List {
            return Err(self.wrong_type("a list"));
        }
        let (len, body) = size_at(self.message, self.at, m, marker::LIST0)?;
        Ok(ListRef { first: self.moved(body), len })
    }

    /// The dictionary that stands here.
    ///
    /// # Errors
    /// [`DecodeReason::WrongType`].
    #[inline]
    pub fn map(self) -> Result<MapRef<'a>, DecodeError> {
        let m = self.marker()?;
        if Kind::of(m) != Kind::Map {
            return Err(self.wrong_type("a dictionary"));
        }
        let (len, body) = size_at(self.message, self.at, m, marker::MAP0)?;
        Ok(MapRef { first: self.moved(body), len })
    }

    /// The structure that stands here, whatever its tag.
    ///
    /// # Errors
    /// [`DecodeReason::WrongType`].
    #[inline]
    pub fn structure(self) -> Result<StructRef<'a>, DecodeError> {
        StructRef::read(self, "a structure")
    }

    /// The value that stands here, decoded as far as one level goes.
    ///
    /// # Errors
    /// [`DecodeReason::InvalidUtf8`] for a string that is not UTF-8, which a walk finds first unless told not to look.
    #[inline]
    pub fn value(self) -> Result<ValueRef<'a>, DecodeError> {
        Ok(match self.kind() {
            Kind::Null => ValueRef::Null,
            Kind::Bool => ValueRef::Bool(self.bool()?),
            Kind::Int => ValueRef::Int(self.int()?),
            Kind::Float => ValueRef::Float(self.float()?),
            Kind::Bytes => ValueRef::Bytes(self.bytes()?),
            Kind::String => ValueRef::String(self.str()?),
            Kind::List => ValueRef::List(self.list()?),
            Kind::Map => ValueRef::Map(self.map()?),
            Kind::Structure => self.structure()?.to_value(),
            Kind::Uuid => ValueRef::Uuid(self.uuid()?),
            Kind::Reserved => {
                return Err(DecodeError::new(self.at, DecodeReason::ReservedMarker(self.marker()?)));
            }
        })
    }
}

/// A decoded value that borrows the message: 64 bytes, `Copy`.
///
/// Scalars are decoded, strings are checked, containers and structures are views whose parts are decoded when asked for.
/// A structure of unknown tag, and a known one with wrong fields, arrives as [`ValueRef::Structure`]; the rest of the
/// record is not affected.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum ValueRef<'a> {
    /// Null.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float, bit for bit.
    Float(f64),
    /// A string.
    String(&'a str),
    /// A byte array.
    Bytes(&'a [u8]),
    /// A list.
    List(ListRef<'a>),
    /// A dictionary.
    Map(MapRef<'a>),
    /// A node.
    Node(NodeRef<'a>),
    /// A relationship.
    Relationship(RelationshipRef<'a>),
    /// A relationship without end points, as paths have them.
    UnboundRelationship(UnboundRelationshipRef<'a>),
    /// A path.
    Path(PathRef<'a>),
    /// A day.
    Date(Date),
    /// A time of day with offset.
    Time(Time),
    /// A time of day.
    LocalTime(LocalTime),
    /// An instant with offset.
    DateTime(DateTime),
    /// An instant with the name of a zone.
    DateTimeZoned(DateTimeZonedRef<'a>),
    /// A date and time without offset.
    LocalDateTime(LocalDateTime),
    /// A span of time.
    Duration(Duration),
    /// A point in the plane.
    Point2D(Point2D),
    /// A point in space.
    Point3D(Point3D),
    /// A vector of numbers.
    Vector(VectorRef<'a>),
    /// A UUID.
    Uuid(Uuid),
    /// The stand-in for a value that this protocol version cannot carry.
    Unsupported(UnsupportedRef<'a>),
    /// A structure with an unknown tag, or a known one that is broken; [`StructRef::problem`] tells which.
    Structure(StructRef<'a>),
}

impl ValueRef<'_> {
    /// What the value is, as errors name it.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a float",
            Self::String(_) => "a string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Map(_) => "a dictionary",
            Self::Node(_) => "a node",
            Self::Relationship(_) => "a relationship",
            Self::UnboundRelationship(_) => "an unbound relationship",
            Self::Path(_) => "a path",
            Self::Date(_) => "a date",
            Self::Time(_) => "a time",
            Self::LocalTime(_) => "a local time",
            Self::DateTime(_) => "a date-time",
            Self::DateTimeZoned(_) => "a zoned date-time",
            Self::LocalDateTime(_) => "a local date-time",
            Self::Duration(_) => "a duration",
            Self::Point2D(_) => "a 2D point",
            Self::Point3D(_) => "a 3D point",
            Self::Vector(_) => "a vector",
            Self::Uuid(_) => "a UUID",
            Self::Unsupported(_) => "an unsupported value",
            Self::Structure(_) => "a structure",
        }
    }
}

/// A list inside a message: 40 bytes, `Copy`.
///
/// `iter` is one pass. `get` walks from the first item each time: for random access take [`ListRef::indexed`] once.
#[derive(Clone, Copy)]
pub struct ListRef<'a> {
    /// Place of the first item (or of whatever follows an empty list).
    pub(crate) first: RawRef<'a>,
    pub(crate) len: u32,
}

impl<'a> ListRef<'a> {
    /// Number of items.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are no items.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The items, decoded one by one.
    #[inline]
    #[must_use]
    pub const fn iter(&self) -> ListIter<'a> {
        ListIter { raws: self.raws() }
    }

    /// The places of the items, nothing decoded.
    #[inline(always)]
    #[must_use]
    pub const fn raws(&self) -> RawIter<'a> {
        RawIter { item: self.first, left: self.len, given: false }
    }

    /// The items as `T`s, each without the detour over a [`ValueRef`].
    #[inline(always)]
    #[must_use]
    pub fn iter_as<T: crate::FromValue<'a>>(&self) -> TypedIter<'a, T> {
        TypedIter { next: self.first, left: self.len, guess: Guess::WIDE, item: core::marker::PhantomData }
    }

    /// The items as integers.
    #[inline(always)]
    #[must_use]
    pub fn ints(&self) -> TypedIter<'a, i64> {
        self.iter_as()
    }

    /// The items as floats.
    #[inline(always)]
    #[must_use]
    pub fn floats(&self) -> TypedIter<'a, f64> {
        self.iter_as()
    }

    /// The place of item `i`, found by walking from the first.
    #[must_use]
    pub fn raw(&self, i: usize) -> Option<RawRef<'a>> {
        if i >= self.len() {
            return None;
        }
        Some(self.first.moved(crate::walk::skip_values(self.first.message, self.first.at, i as u64)))
    }

    /// Item `i`, found by walking from the first; `None` beyond the end.
    ///
    /// # Errors
    /// What [`RawRef::value`] says.
    pub fn get(&self, i: usize) -> Result<Option<ValueRef<'a>>, DecodeError> {
        self.raw(i).map(RawRef::value).transpose()
    }

    /// The list with the place of each item noted, so that every later `get` costs the same.
    ///
    /// The notes live in the scratch memory of the connection's [`RecordDecoder`](crate::RecordDecoder) until its next
    /// record; nothing is allocated once that is warm. A list that did not come through a decoder keeps them in a `Vec`.
    #[must_use]
    pub fn indexed(&self) -> IndexedList<'a> {
        IndexedList::new(*self)
    }
}

impl<'a> IntoIterator for ListRef<'a> {
    type Item = Result<ValueRef<'a>, DecodeError>;
    type IntoIter = ListIter<'a>;

    fn into_iter(self) -> ListIter<'a> {
        self.iter()
    }
}

/// The places of a list's items.
///
/// An item is passed over when the next one is asked for, and the last one never: to go down through lists of one item each, however many, is
/// one look at each.
#[derive(Clone)]
pub struct RawIter<'a> {
    /// The item given last, or the first.
    item: RawRef<'a>,
    left: u32,
    given: bool,
}

impl<'a> Iterator for RawIter<'a> {
    type Item = RawRef<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<RawRef<'a>> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        if self.given {
            self.item.at = skip(self.item.message, self.item.at);
        }
        self.given = true;
        Some(self.item)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for RawIter<'_> {}

/// The items of a list.
#[derive(Clone)]
pub struct ListIter<'a> {
    raws: RawIter<'a>,
}

impl<'a> Iterator for ListIter<'a> {
    type Item = Result<ValueRef<'a>, DecodeError>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        self.raws.next().map(RawRef::value)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.raws.size_hint()
    }
}

impl ExactSizeIterator for ListIter<'_> {}

/// What an iterator over integers expects the next one to be: eight bytes wide, or no more than its marker, or, for the number of
/// items it counts, nothing. For other types: whether the item that was read last must still be passed over.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Guess(u8);

impl Guess {
    const WIDE: Self = Self(0xFF);
    const TINY: Self = Self(0xFE);
    const PASS_OVER: Self = Self(0xFD);
    /// Items for which nothing is guessed after a wrong guess.
    const PAUSE: u8 = 32;

    /// Moves `next` to the item to be read: behind the one that was read last, if there is one.
    #[inline(always)]
    pub(crate) fn pass_over(&mut self, next: &mut RawRef<'_>) {
        if self.0 == Self::PASS_OVER.0 {
            next.at = next.end();
        }
        *self = Self::PASS_OVER;
    }
}

/// The items of a list, as `T`s.
pub struct TypedIter<'a, T> {
    next: RawRef<'a>,
    left: u32,
    guess: Guess,
    item: core::marker::PhantomData<fn() -> T>,
}

impl<'a, T: crate::FromValue<'a>> Iterator for TypedIter<'a, T> {
    type Item = Result<T, DecodeError>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some(T::read_next(&mut self.next, &mut self.guess))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl<'a, T: crate::FromValue<'a>> ExactSizeIterator for TypedIter<'a, T> {}

/// A dictionary inside a message: 40 bytes, `Copy`.
///
/// Keys are compared as bytes. Of duplicate keys the last one wins. `get` passes over all entries: for many look-ups in a
/// large dictionary take [`MapRef::indexed`] once, and to read every entry iterate.
#[derive(Clone, Copy)]
pub struct MapRef<'a> {
    /// Place of the first key (or of whatever follows an empty dictionary).
    pub(crate) first: RawRef<'a>,
    pub(crate) len: u32,
}

impl<'a> MapRef<'a> {
    /// An empty dictionary.
    #[must_use]
    pub const fn empty() -> Self {
        Self { first: RawRef::new(&[], 0), len: 0 }
    }

    /// Number of entries, duplicates counted.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are no entries.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entries in the order they came, keys checked to be UTF-8.
    #[inline]
    #[must_use]
    pub const fn iter(&self) -> MapIter<'a> {
        MapIter { entries: self.entries() }
    }

    /// The entries, keys as bytes and values as places: nothing is decoded or checked.
    #[inline(always)]
    #[must_use]
    pub const fn entries(&self) -> EntryIter<'a> {
        EntryIter { at: self.first, left: self.len, given: false }
    }

    /// The place of the value that belongs to `key`.
    #[must_use]
    #[inline]
    pub fn raw(&self, key: &str) -> Option<RawRef<'a>> {
        let mut found = None;
        for (name, value) in self.entries() {
            if name == key.as_bytes() {
                found = Some(value);
            }
        }
        found
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
    /// [`DecodeReason::NoSuchName`] for a missing key, and what `T` refuses.
    #[inline]
    pub fn get_as<T: crate::FromValue<'a>>(&self, key: &str) -> Result<T, DecodeError> {
        match self.raw(key) {
            Some(raw) => T::from_raw(raw),
            None => match T::missing() {
                Some(value) => Ok(value),
                None => Err(DecodeError::new(self.first.at, DecodeReason::NoSuchName)),
            },
        }
    }

    /// The dictionary with its entries sorted by key, so that a look-up is a binary search.
    ///
    /// Cost and memory as for [`ListRef::indexed`], plus the sorting.
    #[must_use]
    pub fn indexed(&self) -> IndexedMap<'a> {
        IndexedMap::new(*self)
    }
}

impl<'a> IntoIterator for MapRef<'a> {
    type Item = Result<(&'a str, ValueRef<'a>), DecodeError>;
    type IntoIter = MapIter<'a>;

    fn into_iter(self) -> MapIter<'a> {
        self.iter()
    }
}

/// The entries of a dictionary as they stand. A value is passed over when the next entry is asked for, as by [`RawIter`].
#[derive(Clone)]
pub struct EntryIter<'a> {
    /// The value given last, or the first key.
    at: RawRef<'a>,
    left: u32,
    given: bool,
}

impl<'a> EntryIter<'a> {
    /// The place of the next key and of its value, without looking into either.
    #[inline(always)]
    pub(crate) fn next_raw(&mut self) -> Option<(RawRef<'a>, RawRef<'a>)> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let mut key = self.at;
        if self.given {
            key.at = skip(key.message, key.at);
        }
        self.given = true;
        self.at.at = skip(key.message, key.at);
        Some((key, self.at))
    }
}

impl<'a> Iterator for EntryIter<'a> {
    type Item = (&'a [u8], RawRef<'a>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self.next_raw()?;
        Some((key.str_bytes().unwrap_or_default(), value))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for EntryIter<'_> {}

/// The entries of a dictionary.
#[derive(Clone)]
pub struct MapIter<'a> {
    entries: EntryIter<'a>,
}

impl<'a> Iterator for MapIter<'a> {
    type Item = Result<(&'a str, ValueRef<'a>), DecodeError>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self.entries.next_raw()?;
        Some(key.str().and_then(|key| Ok((key, value.value()?))))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl ExactSizeIterator for MapIter<'_> {}
