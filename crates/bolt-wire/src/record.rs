//! Records: one structural walk, then columns read in any order.
//! Owns the column offsets and the scratch memory of one connection, reused from record to record; never copies a record
//! unless asked to ([`RecordRef::to_owned`], [`RecordBatch`]).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::FromValue;
use crate::encode::Dialect;
use crate::error::{DecodeError, DecodeReason};
use crate::index::Scratch;
use crate::marker::{self, Kind, LEAF_LEN};
use crate::value::Value;
use crate::value_ref::{RawRef, ValueRef};
use crate::walk::{Walker, check_short, size_at, unexpected_end};

/// First byte of a RECORD: a structure of one field.
const HEADER: u8 = 0xB1;
/// Second byte of a RECORD.
const TAG: u8 = 0x71;

/// The column names of one result.
///
/// Cloning shares the storage. `clear` and `push` reuse it where nobody else shares it, so that a connection allocates
/// nothing for the names of its next result once warm.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields {
    names: Arc<Names>,
}

#[derive(Clone, Default, PartialEq, Eq)]
struct Names {
    /// All names, one after the other.
    text: String,
    /// Where each name ends in `text`.
    ends: Vec<u32>,
}

impl Fields {
    /// No columns.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all names and keeps their memory.
    pub fn clear(&mut self) {
        match Arc::get_mut(&mut self.names) {
            Some(names) => {
                names.text.clear();
                names.ends.clear();
            }
            None => self.names = Arc::default(),
        }
    }

    /// Adds a column. Names beyond 4 GiB in all are cut off.
    pub fn push(&mut self, name: &str) {
        let names = Arc::make_mut(&mut self.names);
        if u32::try_from(names.text.len() + name.len()).is_ok() {
            names.text.push_str(name);
        }
        names.ends.push(names.text.len() as u32);
    }

    /// Number of columns.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.ends.len()
    }

    /// Whether there are no columns.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.ends.is_empty()
    }

    /// The name of column `i`; empty beyond the last.
    #[must_use]
    pub fn name(&self, i: usize) -> &str {
        let start = if i == 0 { 0 } else { self.names.ends.get(i - 1).map_or(u32::MAX, |&end| end) };
        let end = self.names.ends.get(i).map_or(start, |&end| end);
        self.names.text.get(start as usize..end as usize).unwrap_or_default()
    }

    /// The first column of that name.
    #[must_use]
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.iter().position(|column| column == name)
    }

    /// The names in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        (0..self.len()).map(|i| self.name(i))
    }
}

impl<S: AsRef<str>> FromIterator<S> for Fields {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        let mut fields = Self::new();
        names.into_iter().for_each(|name| fields.push(name.as_ref()));
        fields
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Scans the records of one connection: a walker, the column offsets of the current record, and scratch memory.
///
/// ```
/// use bolt_wire::{Dialect, Fields, RecordDecoder};
///
/// let fields: Fields = ["n", "name"].into_iter().collect();
/// let message = b"\xB1\x71\x92\x2A\x83abc"; // RECORD [42, "abc"]
/// let mut decoder = RecordDecoder::new(1_024, Dialect::V5);
/// decoder.scan(message, fields.len())?;
/// let record = decoder.record(message, &fields);
/// assert_eq!(record.get::<i64>(0)?, 42);
/// assert_eq!(record.by_name::<&str>("name")?, "abc");
/// # Ok::<(), bolt_wire::DecodeError>(())
/// ```
#[derive(Debug)]
pub struct RecordDecoder {
    walker: Walker,
    dialect: Dialect,
    /// Where each column begins, and behind the last where the record ends: one more than there are columns.
    offsets: Vec<u32>,
    scratch: Scratch,
}

impl RecordDecoder {
    /// A decoder that refuses values nested deeper than `depth_max`.
    #[must_use]
    pub fn new(depth_max: u32, dialect: Dialect) -> Self {
        Self { walker: Walker::new(depth_max), dialect, offsets: Vec::new(), scratch: Scratch::new() }
    }

    /// Changes the dialect, as the handshake and HELLO find it out.
    pub const fn set_dialect(&mut self, dialect: Dialect) {
        self.dialect = dialect;
    }

    /// Whether strings are checked to be UTF-8 by [`scan`](Self::scan), as they are at first; see [`Walker::set_check_text`].
    pub const fn set_check_text(&mut self, check_text: bool) {
        self.walker.set_check_text(check_text);
    }

    /// Walks the body of one RECORD message and notes where its columns are.
    ///
    /// One pass over the bytes; allocates only while its memory grows to the widest record and the deepest value seen.
    ///
    /// # Errors
    /// A message that is no RECORD of `width` values, or whatever the [`Walker`] refuses in one of them: the connection cannot
    /// be used any longer.
    pub fn scan(&mut self, message: &[u8], width: usize) -> Result<(), DecodeError> {
        self.scratch.reset();
        let mut at = record_body(message, width)?;
        if self.offsets.len() != width + 1 {
            self.offsets.resize(width + 1, 0);
        }
        let check_text = self.walker.checks_text();
        let (columns, end) = self.offsets.split_at_mut(width);
        for column in columns {
            *column = at as u32;
            match message.get(at) {
                Some(&m) if matches!(LEAF_LEN[usize::from(m)], 1..) => {
                    let len = usize::from(LEAF_LEN[usize::from(m)]);
                    if len > message.len() - at {
                        return Err(unexpected_end(message, at, len));
                    }
                    if m & 0xF0 == marker::STRING0 && check_text {
                        check_short(message, at, len)?;
                    }
                    at += len;
                }
                _ => at = self.walker.walk(message, at, self.dialect)?,
            }
        }
        if at != message.len() {
            return Err(DecodeError::new(at, DecodeReason::TrailingBytes(message.len() - at)));
        }
        end[0] = at as u32;
        Ok(())
    }

    /// The record that was scanned last; `message` must be the one given to [`scan`](Self::scan).
    ///
    /// Given another message, reading gives errors or wrong values, nothing worse.
    #[inline]
    #[must_use]
    pub const fn record<'a>(&'a self, message: &'a [u8], fields: &'a Fields) -> RecordRef<'a> {
        RecordRef { message, offsets: self.offsets.as_slice(), fields, scratch: Some(&self.scratch) }
    }
}

/// Checks the header of a RECORD with `width` values; returns where the first value begins.
#[inline]
fn record_body(message: &[u8], width: usize) -> Result<usize, DecodeError> {
    if message.len() > u32::MAX as usize {
        let limit = u32::MAX as usize;
        return Err(DecodeError::new(0, DecodeReason::MessageTooLarge { limit }));
    }
    let &[HEADER, TAG, m, ..] = message else { return Err(not_a_record(message)) };
    if Kind::of(m) != Kind::List {
        return Err(not_a_record(message));
    }
    let (count, body) = size_at(message, 2, m, marker::LIST0)?;
    if count as usize > message.len() - body {
        let available = message.len() - body;
        return Err(DecodeError::new(2, DecodeReason::CountTooLarge { what: "list", count, available }));
    }
    if count as usize != width {
        return Err(DecodeError::new(
            2,
            DecodeReason::ColumnCount { expected: width, found: count as usize },
        ));
    }
    Ok(body)
}

#[cold]
#[inline(never)]
fn not_a_record(message: &[u8]) -> DecodeError {
    let wrong = |offset, expected, found: u8| {
        let found = Kind::of(found).name();
        DecodeError { offset, reason: DecodeReason::WrongType { expected, found } }
    };
    match *message {
        [HEADER, TAG, m, ..] => wrong(2, "the list of a RECORD", m),
        [m, TAG, ..] if m != HEADER && m & 0xF0 == marker::STRUCT0 => {
            let reason = DecodeReason::FieldCount { what: "a RECORD", expected: 1, found: m & 0x0F };
            DecodeError { offset: 0, reason }
        }
        [m, tag, ..] if tag != TAG && m & 0xF0 == marker::STRUCT0 => {
            DecodeError { offset: 1, reason: DecodeReason::UnknownStructure { tag } }
        }
        [m, ..] if m & 0xF0 != marker::STRUCT0 => wrong(0, "a RECORD", m),
        _ => unexpected_end(message, 0, 3),
    }
}

#[cold]
#[inline(never)]
pub(crate) fn no_such_column(index: usize, count: usize) -> DecodeError {
    DecodeError { offset: 0, reason: DecodeReason::NoSuchColumn { index, count } }
}

/// One record, borrowed from the receive buffer: 48 bytes, `Copy`, `Send` and `Sync`. Columns are decoded when they are read.
#[derive(Clone, Copy)]
pub struct RecordRef<'a> {
    message: &'a [u8],
    /// One more than there are columns.
    offsets: &'a [u32],
    fields: &'a Fields,
    scratch: Option<&'a Scratch>,
}

impl<'a> RecordRef<'a> {
    /// Number of columns.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there are no columns.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The column names.
    #[inline]
    #[must_use]
    pub const fn fields(&self) -> &'a Fields {
        self.fields
    }

    /// The place of column `column`.
    ///
    /// # Errors
    /// [`DecodeReason::NoSuchColumn`].
    #[inline(always)]
    pub fn at(&self, column: usize) -> Result<RawRef<'a>, DecodeError> {
        let [columns @ .., _] = self.offsets else { return Err(no_such_column(column, 0)) };
        match columns.get(column) {
            Some(&at) => Ok(RawRef { message: self.message, at: at as usize, scratch: self.scratch }),
            None => Err(no_such_column(column, self.len())),
        }
    }

    /// Column `column` as a `T`.
    ///
    /// # Errors
    /// [`DecodeReason::NoSuchColumn`], and what `T` refuses. The rest of the record stays readable.
    #[inline(always)]
    pub fn get<T: FromValue<'a>>(&self, column: usize) -> Result<T, DecodeError> {
        T::from_raw(self.at(column)?)
    }

    /// The column named `name` as a `T`. Compares names one by one: for many records look up
    /// [`Fields::index_of`] once and use [`get`](Self::get).
    ///
    /// # Errors
    /// [`DecodeReason::NoSuchName`], and what `T` refuses.
    pub fn by_name<T: FromValue<'a>>(&self, name: &str) -> Result<T, DecodeError> {
        match self.fields.index_of(name) {
            Some(column) => self.get(column),
            None => Err(DecodeError::new(0, DecodeReason::NoSuchName)),
        }
    }

    /// Column `column`, decoded.
    ///
    /// # Errors
    /// [`DecodeReason::NoSuchColumn`], and what [`RawRef::value`] says.
    #[inline]
    pub fn value(&self, column: usize) -> Result<ValueRef<'a>, DecodeError> {
        self.at(column)?.value()
    }

    /// All columns, decoded one by one.
    #[inline]
    pub fn values(&self) -> impl ExactSizeIterator<Item = Result<ValueRef<'a>, DecodeError>> + use<'a> {
        let record = *self;
        (0..record.len()).map(move |column| record.value(column))
    }

    /// The encoded bytes of column `column`, marker included; empty if there is no such column.
    #[inline]
    #[must_use]
    pub fn raw(&self, column: usize) -> &'a [u8] {
        match self.offsets.get(column..).and_then(|rest| rest.first_chunk::<2>()) {
            Some(&[start, end]) => self.message.get(start as usize..end as usize).unwrap_or_default(),
            None => &[],
        }
    }

    /// The whole message body.
    #[inline]
    #[must_use]
    pub const fn message(&self) -> &'a [u8] {
        self.message
    }

    /// A copy that outlives the buffer: the record's bytes and offsets as they are, two allocations whatever it holds.
    #[must_use]
    pub fn to_owned(&self) -> OwnedRecord {
        OwnedRecord {
            message: self.message.into(),
            offsets: self.offsets.into(),
            fields: self.fields.clone(),
        }
    }

    /// All columns as owned values.
    ///
    /// # Errors
    /// A string that is not UTF-8, or a value nested deeper than [`VALUE_DEPTH_MAX`](crate::VALUE_DEPTH_MAX).
    pub fn to_values(&self) -> Result<Vec<Value>, DecodeError> {
        self.values().map(|value| value?.to_owned()).collect()
    }
}

/// A record that owns its bytes, read like a borrowed one. `Send` and `Sync`.
#[derive(Clone)]
pub struct OwnedRecord {
    message: Box<[u8]>,
    offsets: Box<[u32]>,
    fields: Fields,
}

impl OwnedRecord {
    /// The record, to read.
    #[inline]
    #[must_use]
    pub fn as_ref(&self) -> RecordRef<'_> {
        RecordRef { message: &self.message, offsets: &self.offsets, fields: &self.fields, scratch: None }
    }
}

/// Many records of one result in two growing blocks of memory: to keep a record costs two copies and, on average, no
/// allocation. `Send` and `Sync`.
///
/// ```
/// use bolt_wire::{Dialect, Fields, RecordBatch, RecordDecoder};
///
/// let fields: Fields = ["n"].into_iter().collect();
/// let mut decoder = RecordDecoder::new(1_024, Dialect::V5);
/// let mut batch = RecordBatch::new();
/// for message in [b"\xB1\x71\x91\x01", b"\xB1\x71\x91\x02"] {
///     decoder.scan(message, 1)?;
///     batch.push(decoder.record(message, &fields));
/// }
/// let sum: i64 = batch.iter().map(|record| record.get::<i64>(0)).sum::<Result<_, _>>()?;
/// assert_eq!(sum, 3);
/// # Ok::<(), bolt_wire::DecodeError>(())
/// ```
#[derive(Clone, Default)]
pub struct RecordBatch {
    /// The messages, one after the other.
    bytes: Vec<u8>,
    /// The column offsets of each record in its own message, and its end: `width + 1` for each record.
    offsets: Vec<u32>,
    /// Where each message begins in `bytes`.
    starts: Vec<usize>,
    fields: Fields,
}

impl RecordBatch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Copies a record into the batch. The first one decides the columns.
    ///
    /// # Panics
    /// If the record has another number of columns than the first.
    pub fn push(&mut self, record: RecordRef<'_>) {
        if self.starts.is_empty() {
            self.fields = record.fields.clone();
        }
        let stride = record.offsets.len();
        assert_eq!(
            self.offsets.len(),
            self.starts.len() * stride,
            "records of one batch have the same columns"
        );
        self.starts.push(self.bytes.len());
        self.bytes.extend_from_slice(record.message);
        self.offsets.extend_from_slice(record.offsets);
    }

    /// Number of records.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are no records.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The column names.
    #[must_use]
    pub const fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Record `i`.
    #[must_use]
    pub fn get(&self, i: usize) -> Option<RecordRef<'_>> {
        let start = *self.starts.get(i)?;
        let end = self.starts.get(i + 1).map_or(self.bytes.len(), |&end| end);
        let stride = self.offsets.len() / self.starts.len();
        let offsets = self.offsets.get(i * stride..(i + 1) * stride)?;
        Some(RecordRef { message: self.bytes.get(start..end)?, offsets, fields: &self.fields, scratch: None })
    }

    /// The records in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = RecordRef<'_>> {
        (0..self.len()).map(|i| {
            self.get(i).unwrap_or(RecordRef {
                message: &[],
                offsets: &[],
                fields: &self.fields,
                scratch: None,
            })
        })
    }

    /// Forgets all records and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.offsets.clear();
        self.starts.clear();
    }
}
