//! What can be wrong with bytes that came in, and with values that should go out.
//! Owns the two small `Copy` error types of PackStream; never holds heap memory. Serde's error, which names a path
//! and therefore allocates, lives in `de`.

use core::fmt;

use bolt_buf::CapacityError;

use crate::version::Version;

/// Why a message, or one value in it, could not be read.
///
/// 48 bytes, `Copy`, no heap. A *structural* error (anything [`Walker`](crate::Walker) or
/// [`RecordDecoder::scan`](crate::RecordDecoder::scan) returns) means the peer and we no longer agree on where values
/// begin: discard the connection. An error from reading one value of a scanned record concerns that value alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Offset in bytes from the start of the message body (chunk headers not counted).
    pub offset: usize,
    /// What was expected there, and what was found.
    pub reason: DecodeReason,
}

/// The reason half of a [`DecodeError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeReason {
    /// The message ends inside a value: `needed` bytes were announced, `available` are left.
    UnexpectedEnd {
        /// Bytes the value needs from here on.
        needed: usize,
        /// Bytes left in the message.
        available: usize,
    },
    /// A marker byte that PackStream reserves (or `E0` below Bolt 6.1).
    ReservedMarker(u8),
    /// A size of 2³¹ or more.
    SizeTooLarge(u32),
    /// A container announces more items than the rest of the message can hold.
    CountTooLarge {
        /// "list", "dictionary" or "structure".
        what: &'static str,
        /// Items (entries, fields) announced.
        count: u32,
        /// Bytes left in the message.
        available: usize,
    },
    /// Containers nested deeper than the limit.
    TooDeep {
        /// The limit that was passed.
        limit: u32,
    },
    /// A dictionary key whose marker is not a string's.
    KeyNotString(u8),
    /// A string that is not UTF-8; the offset is that of its first bad byte.
    InvalidUtf8,
    /// Bytes left over after the message's one structure.
    TrailingBytes(usize),
    /// A message longer than the limit.
    MessageTooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A value of another type than was asked for.
    WrongType {
        /// What the caller, or the structure's definition, wants.
        expected: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// A number that does not fit the type asked for, or the range its place allows.
    OutOfRange {
        /// The type or range.
        expected: &'static str,
    },
    /// A known structure with the wrong number of fields.
    FieldCount {
        /// Name of the structure.
        what: &'static str,
        /// Fields it has.
        expected: u8,
        /// Fields found.
        found: u8,
    },
    /// A structure tag that has no meaning in this protocol version.
    UnknownStructure {
        /// The tag byte.
        tag: u8,
    },
    /// A RECORD with another number of values than the result has columns.
    ColumnCount {
        /// Columns of the result.
        expected: usize,
        /// Values found.
        found: usize,
    },
    /// A column number beyond the record.
    NoSuchColumn {
        /// The number asked for.
        index: usize,
        /// Columns of the record.
        count: usize,
    },
    /// No column, property or dictionary key of the name asked for.
    NoSuchName,
    /// A path whose parts contradict each other.
    BadPath(&'static str),
    /// A vector whose bytes are not a vector.
    BadVector(&'static str),
}

impl DecodeError {
    /// Makes an error; meant for code that reads further meaning out of a message, such as [`FromValue`](crate::FromValue).
    #[cold]
    #[inline(never)]
    #[must_use]
    pub const fn new(offset: usize, reason: DecodeReason) -> Self {
        Self { offset, reason }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.offset, self.reason)
    }
}

impl fmt::Display for DecodeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use DecodeReason as R;
        match *self {
            R::UnexpectedEnd { needed, available } => {
                write!(f, "the message ends inside a value: {needed} bytes needed but {available} are left")
            }
            R::ReservedMarker(m) => write!(f, "expected a value, found the reserved marker {m:02X}"),
            R::SizeTooLarge(n) => write!(f, "size {n} is beyond the largest legal one, 2147483647"),
            R::CountTooLarge { what, count, available } => {
                let unit = if what == "dictionary" { "entries" } else { "items" };
                write!(f, "{what} announces {count} {unit} but {available} bytes are left")
            }
            R::TooDeep { limit } => write!(f, "values are nested deeper than the limit of {limit}"),
            R::KeyNotString(m) => write!(f, "expected a string as dictionary key, found marker {m:02X}"),
            R::InvalidUtf8 => f.write_str("string is not valid UTF-8"),
            R::TrailingBytes(n) => write!(f, "expected the end of the message, found {n} more bytes"),
            R::MessageTooLarge { limit } => write!(f, "message is longer than the limit of {limit} bytes"),
            R::WrongType { expected, found } => write!(f, "expected {expected}, found {found}"),
            R::OutOfRange { expected } => write!(f, "number does not fit {expected}"),
            R::FieldCount { what, expected, found } => {
                write!(f, "{what} has {expected} fields, found {found}")
            }
            R::UnknownStructure { tag } => write!(f, "unknown structure tag {tag:02X}"),
            R::ColumnCount { expected, found } => {
                write!(f, "the result has {expected} columns but this record has {found} values")
            }
            R::NoSuchColumn { index, count } => {
                write!(f, "there is no column {index}: the record has {count}, counted from 0")
            }
            R::NoSuchName => f.write_str("there is no entry of that name"),
            R::BadPath(why) => write!(f, "not a path: {why}"),
            R::BadVector(why) => write!(f, "not a vector: {why}"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// Why a value could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The buffer has reached its hard limit.
    Full(CapacityError),
    /// The protocol version in use cannot carry this.
    Unsupported {
        /// What cannot be carried.
        what: &'static str,
        /// The first version that can.
        since: Version,
    },
    /// A string, byte array, list or dictionary of 2³¹ items or more.
    TooLong {
        /// Its length.
        len: usize,
    },
    /// A structure with more than 15 fields, or a tag above 127.
    BadStructure {
        /// Fields announced.
        fields: usize,
        /// The tag.
        tag: u8,
    },
    /// Values nested deeper than the encoder follows.
    TooDeep {
        /// The limit.
        limit: u32,
    },
    /// An integer outside −2⁶³ … 2⁶³−1, which Bolt cannot carry.
    IntegerOutOfRange,
    /// A zoned date-time held in the form (legacy local, or UTC) that this connection does not use; changing the form
    /// needs the zone's offset at that time. See [`DateTimeZoned`](crate::DateTimeZoned).
    ZonedForm,
    /// A value that may be received but never sent.
    NotSendable {
        /// What it is.
        what: &'static str,
    },
    /// A dictionary key that is not a string.
    KeyNotString,
    /// A container that wrote another number of items than it announced.
    LengthMismatch {
        /// Items announced.
        announced: usize,
        /// Items written.
        written: usize,
    },
    /// A `Serialize` implementation reported a failure of its own.
    Custom(&'static str),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Full(full) => full.fmt(f),
            Self::Unsupported { what, since } => {
                write!(f, "{what} needs Bolt {}.{} or later", since.major, since.minor)
            }
            Self::TooLong { len } => write!(f, "length {len} is beyond the largest legal one, 2147483647"),
            Self::BadStructure { fields, tag } => {
                write!(f, "structure {tag:02X} with {fields} fields: at most 15 fields and tag 7F are legal")
            }
            Self::TooDeep { limit } => write!(f, "values are nested deeper than the limit of {limit}"),
            Self::IntegerOutOfRange => f.write_str("integer does not fit 64 bits with sign"),
            Self::ZonedForm => f.write_str(
                "zoned date-time is in the other form (UTC or legacy local): convert it with its offset",
            ),
            Self::NotSendable { what } => write!(f, "{what} can be received but not sent"),
            Self::KeyNotString => f.write_str("dictionary keys must be strings"),
            Self::LengthMismatch { announced, written } => {
                write!(f, "a container announced {announced} items but wrote {written}")
            }
            Self::Custom(why) => f.write_str(why),
        }
    }
}

impl core::error::Error for EncodeError {}

impl From<CapacityError> for EncodeError {
    fn from(full: CapacityError) -> Self {
        Self::Full(full)
    }
}
