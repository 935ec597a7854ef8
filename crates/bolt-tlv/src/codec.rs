//! Owns: checked cursors over a payload, one for reading and one for writing, and what they say when it does not fit.
//! Never allocates, never panics on any bytes, never reads past the payload. All integers are little-endian.

use core::fmt;

use crate::int256::{I256, U256};
use crate::pool::AcquireError;

/// Reads a payload field by field.
///
/// Layout: a slice, a position and the message's name. Cost: one comparison a field; `str` checks UTF-8. Every method takes the
/// name of the field, which a failure reports beside the offset.
///
/// ```
/// use bolt_tlv::{DecodeErrorKind, Reader};
/// let mut reader = Reader::new("Tick", &[7, 0, 1]);
/// assert_eq!(reader.u16("sequence")?, 7);
/// assert!(reader.bool("last")?);
/// let error = reader.u8("flags").unwrap_err();
/// assert_eq!((error.field, error.offset), ("flags", 3));
/// # Ok::<(), bolt_tlv::DecodeError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    payload: &'a [u8],
    position: usize,
    message: &'static str,
}

/// Methods that read one fixed-size number.
macro_rules! read_numbers {
    ($($name:ident: $type:ty),* $(,)?) => {$(
        #[doc = concat!("Reads one `", stringify!($type), "`.")]
        ///
        /// # Errors
        /// The payload ends first.
        #[inline]
        pub fn $name(&mut self, field: &'static str) -> Result<$type, DecodeError> {
            Ok(<$type>::from_le_bytes(*self.array(field)?))
        }
    )*};
}

impl<'a> Reader<'a> {
    /// A cursor at the start of `payload`.
    #[inline]
    #[must_use]
    pub const fn new(message: &'static str, payload: &'a [u8]) -> Self {
        Self { payload, position: 0, message }
    }

    /// A cursor at `position`, which may lie behind the end: the first read then says so.
    #[inline]
    #[must_use]
    pub const fn at(message: &'static str, payload: &'a [u8], position: usize) -> Self {
        Self { payload, position, message }
    }

    read_numbers! {
        u8: u8, u16: u16, u32: u32, u64: u64, u128: u128, u256: U256,
        i8: i8, i16: i16, i32: i32, i64: i64, i128: i128, i256: I256,
        f32: f32, f64: f64,
    }

    /// Reads one byte that is 0 or 1.
    ///
    /// # Errors
    /// The payload ends first, or the byte is neither.
    #[inline]
    pub fn bool(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        let offset = self.position;
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(self.error_at(DecodeErrorKind::InvalidBool { found }, field, offset)),
        }
    }

    /// Reads `N` bytes as an array.
    ///
    /// # Errors
    /// The payload ends first.
    #[inline]
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<&'a [u8; N], DecodeError> {
        let rest = self.payload.get(self.position..).unwrap_or_default();
        match rest.first_chunk() {
            Some(chunk) => {
                self.position += N;
                Ok(chunk)
            }
            None => Err(self.truncated(N, field)),
        }
    }

    /// Reads `n` bytes.
    ///
    /// # Errors
    /// The payload ends first.
    #[inline]
    pub fn bytes(&mut self, n: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let rest = self.payload.get(self.position..).unwrap_or_default();
        match rest.get(..n) {
            Some(bytes) => {
                self.position += n;
                Ok(bytes)
            }
            None => Err(self.truncated(n, field)),
        }
    }

    /// Passes over `n` bytes.
    ///
    /// # Errors
    /// The payload ends first.
    #[inline]
    pub fn skip(&mut self, n: usize, field: &'static str) -> Result<(), DecodeError> {
        self.bytes(n, field).map(|_| ())
    }

    /// Reads `n` bytes of UTF-8.
    ///
    /// # Errors
    /// The payload ends first, or the bytes are not UTF-8; the offset is that of the first bad byte.
    pub fn str(&mut self, n: usize, field: &'static str) -> Result<&'a str, DecodeError> {
        let offset = self.position;
        let bytes = self.bytes(n, field)?;
        core::str::from_utf8(bytes).map_err(|error| {
            let valid_up_to = error.valid_up_to();
            self.error_at(DecodeErrorKind::InvalidUtf8 { valid_up_to }, field, offset + valid_up_to)
        })
    }

    /// Reads a length or count of one byte.
    ///
    /// # Errors
    /// The payload ends first, or the number is above `max`.
    #[inline]
    pub fn length_u8(&mut self, max: usize, field: &'static str) -> Result<usize, DecodeError> {
        let offset = self.position;
        let length = usize::from(self.u8(field)?);
        self.checked_length(length, max, field, offset)
    }

    /// Reads a length or count of two bytes.
    ///
    /// # Errors
    /// The payload ends first, or the number is above `max`.
    #[inline]
    pub fn length_u16(&mut self, max: usize, field: &'static str) -> Result<usize, DecodeError> {
        let offset = self.position;
        let length = usize::from(self.u16(field)?);
        self.checked_length(length, max, field, offset)
    }

    /// Reads a length or count of four bytes.
    ///
    /// # Errors
    /// The payload ends first, or the number is above `max`.
    #[inline]
    pub fn length_u32(&mut self, max: usize, field: &'static str) -> Result<usize, DecodeError> {
        let offset = self.position;
        let length = usize::try_from(self.u32(field)?).unwrap_or(usize::MAX);
        self.checked_length(length, max, field, offset)
    }

    fn checked_length(
        &self,
        length: usize,
        length_max: usize,
        field: &'static str,
        offset: usize,
    ) -> Result<usize, DecodeError> {
        if length > length_max {
            return Err(self.error_at(DecodeErrorKind::TooLong { length, length_max }, field, offset));
        }
        Ok(length)
    }

    /// Bytes read so far.
    #[inline]
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// Bytes not read yet.
    #[inline]
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.payload.len().saturating_sub(self.position)
    }

    /// Whether all was read.
    #[inline]
    #[must_use]
    pub const fn is_at_end(&self) -> bool {
        self.remaining() == 0
    }

    /// The whole payload.
    #[inline]
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// An error at the present position.
    #[cold]
    #[must_use]
    pub const fn error(&self, kind: DecodeErrorKind, field: &'static str) -> DecodeError {
        self.error_at(kind, field, self.position)
    }

    /// An error at another offset.
    #[cold]
    #[must_use]
    pub const fn error_at(&self, kind: DecodeErrorKind, field: &'static str, offset: usize) -> DecodeError {
        DecodeError { message: self.message, field, offset, kind }
    }

    #[cold]
    const fn truncated(&self, needed: usize, field: &'static str) -> DecodeError {
        self.error(DecodeErrorKind::Truncated { needed, available: self.remaining() }, field)
    }
}

/// Writes a payload field by field into memory that is there already.
///
/// Layout: a slice, a position and the message's name. Cost: one comparison a field.
///
/// ```
/// use bolt_tlv::Writer;
/// let mut memory = [0; 3];
/// let mut writer = Writer::new("Tick", &mut memory);
/// writer.u16(7, "sequence")?;
/// writer.bool(true, "last")?;
/// assert!(writer.u8(0, "flags").is_err());
/// assert_eq!(memory, [7, 0, 1]);
/// # Ok::<(), bolt_tlv::EncodeError>(())
/// ```
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut [u8],
    position: usize,
    message: &'static str,
}

/// Methods that write one fixed-size number.
macro_rules! write_numbers {
    ($($name:ident: $type:ty),* $(,)?) => {$(
        #[doc = concat!("Writes one `", stringify!($type), "`.")]
        ///
        /// # Errors
        /// The memory is full; nothing was written.
        #[inline]
        pub fn $name(&mut self, value: $type, field: &'static str) -> Result<(), EncodeError> {
            self.bytes(&value.to_le_bytes(), field)
        }
    )*};
}

impl<'a> Writer<'a> {
    /// A cursor at the start of `out`.
    #[inline]
    #[must_use]
    pub const fn new(message: &'static str, out: &'a mut [u8]) -> Self {
        Self { out, position: 0, message }
    }

    write_numbers! {
        u8: u8, u16: u16, u32: u32, u64: u64, u128: u128, u256: U256,
        i8: i8, i16: i16, i32: i32, i64: i64, i128: i128, i256: I256,
        f32: f32, f64: f64,
    }

    /// Writes 0 or 1.
    ///
    /// # Errors
    /// The memory is full; nothing was written.
    #[inline]
    pub fn bool(&mut self, value: bool, field: &'static str) -> Result<(), EncodeError> {
        self.u8(u8::from(value), field)
    }

    /// Writes bytes as they are, without a length.
    ///
    /// # Errors
    /// The memory is full; nothing was written.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8], field: &'static str) -> Result<(), EncodeError> {
        let rest = self.out.get_mut(self.position..).unwrap_or_default();
        match rest.get_mut(..bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.position += bytes.len();
                Ok(())
            }
            None => Err(self.no_room(bytes.len(), field)),
        }
    }

    /// Writes text as UTF-8, without a length.
    ///
    /// # Errors
    /// The memory is full; nothing was written.
    #[inline]
    pub fn str(&mut self, text: &str, field: &'static str) -> Result<(), EncodeError> {
        self.bytes(text.as_bytes(), field)
    }

    /// Writes a length or count in one byte.
    ///
    /// # Errors
    /// The number is above `max` or above what one byte holds, or the memory is full; nothing was written.
    #[inline]
    pub fn length_u8(&mut self, length: usize, max: usize, field: &'static str) -> Result<(), EncodeError> {
        match u8::try_from(length) {
            Ok(byte) if length <= max => self.u8(byte, field),
            _ => Err(self.too_long(length, max.min(usize::from(u8::MAX)), field)),
        }
    }

    /// Writes a length or count in two bytes.
    ///
    /// # Errors
    /// The number is above `max` or above what two bytes hold, or the memory is full; nothing was written.
    #[inline]
    pub fn length_u16(&mut self, length: usize, max: usize, field: &'static str) -> Result<(), EncodeError> {
        match u16::try_from(length) {
            Ok(number) if length <= max => self.u16(number, field),
            _ => Err(self.too_long(length, max.min(usize::from(u16::MAX)), field)),
        }
    }

    /// Writes a length or count in four bytes.
    ///
    /// # Errors
    /// The number is above `max` or above what four bytes hold, or the memory is full; nothing was written.
    #[inline]
    pub fn length_u32(&mut self, length: usize, max: usize, field: &'static str) -> Result<(), EncodeError> {
        match u32::try_from(length) {
            Ok(number) if length <= max => self.u32(number, field),
            _ => Err(self.too_long(length, max, field)),
        }
    }

    /// Bytes written so far.
    #[inline]
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// Bytes of memory left.
    #[inline]
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.out.len().saturating_sub(self.position)
    }

    /// An error of this message.
    #[cold]
    #[must_use]
    pub const fn error(&self, kind: EncodeErrorKind, field: &'static str) -> EncodeError {
        EncodeError { message: self.message, field, kind }
    }

    #[cold]
    const fn too_long(&self, length: usize, length_max: usize, field: &'static str) -> EncodeError {
        self.error(EncodeErrorKind::TooLong { length, length_max }, field)
    }

    #[cold]
    const fn no_room(&self, needed: usize, field: &'static str) -> EncodeError {
        self.error(EncodeErrorKind::NoRoom { needed, available: self.remaining() }, field)
    }
}

/// Why a payload is not the message it should be, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeError {
    /// The message that was expected.
    pub message: &'static str,
    /// The field that was read.
    pub field: &'static str,
    /// Offset in the payload at which it went wrong.
    pub offset: usize,
    /// What went wrong.
    pub kind: DecodeErrorKind,
}

/// What is wrong with a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The payload ends inside the field.
    Truncated {
        /// Bytes the field needs here.
        needed: usize,
        /// Bytes that are left.
        available: usize,
    },
    /// A length or count above what the schema allows.
    TooLong {
        /// The number found.
        length: usize,
        /// The schema's maximum.
        length_max: usize,
    },
    /// Text that is not UTF-8.
    InvalidUtf8 {
        /// Bytes of the text that are valid before the first bad one.
        valid_up_to: usize,
    },
    /// A boolean that is neither 0 nor 1.
    InvalidBool {
        /// The byte found.
        found: u8,
    },
    /// An enum value the schema does not name.
    UnknownVariant {
        /// The number found.
        found: u64,
    },
    /// A type id the schema does not name.
    UnknownType {
        /// The id found.
        type_id: u16,
    },
    /// Flags that must be understood and are not.
    CriticalFlags {
        /// The unknown ones.
        flags: u8,
    },
}

impl DecodeError {
    /// The error of a header whose type id no message has.
    #[must_use]
    pub const fn unknown_type(type_id: u16) -> Self {
        let kind = DecodeErrorKind::UnknownType { type_id };
        Self { message: "frame", field: "type_id", offset: 0, kind }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, field, offset, kind } = *self;
        write!(f, "{message}.{field} at payload offset {offset}: ")?;
        match kind {
            DecodeErrorKind::Truncated { needed, available } => {
                write!(
                    f,
                    "expected {needed} more bytes, {available} are left; the sender cut the message short"
                )
            }
            DecodeErrorKind::TooLong { length, length_max } => {
                write!(
                    f,
                    "expected a length of at most {length_max}, found {length}; compare both ends' schemas"
                )
            }
            DecodeErrorKind::InvalidUtf8 { valid_up_to } => {
                write!(f, "expected UTF-8, found a bad byte behind {valid_up_to} valid ones")
            }
            DecodeErrorKind::InvalidBool { found } => write!(f, "expected 0 or 1, found {found}"),
            DecodeErrorKind::UnknownVariant { found } => {
                write!(f, "{found} is no value of this enum; compare both ends' schemas")
            }
            DecodeErrorKind::UnknownType { type_id } => {
                write!(f, "{type_id} is no message of this schema; skip the frame, the stream is in step")
            }
            DecodeErrorKind::CriticalFlags { flags } => {
                write!(
                    f,
                    "flags {flags:#04x} must be understood and are not; skip the frame, the stream is in step"
                )
            }
        }
    }
}

impl core::error::Error for DecodeError {}

/// Why a message could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodeError {
    /// The message.
    pub message: &'static str,
    /// The field that was written; empty when it is about the whole message.
    pub field: &'static str,
    /// What went wrong.
    pub kind: EncodeErrorKind,
}

/// What is wrong with a message, or with the memory for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeErrorKind {
    /// The memory is too short for the field.
    NoRoom {
        /// Bytes the field needs.
        needed: usize,
        /// Bytes that are left.
        available: usize,
    },
    /// A text, byte string or vector above what the schema allows.
    TooLong {
        /// Its length.
        length: usize,
        /// The schema's maximum.
        length_max: usize,
    },
    /// A number that the field's width does not hold.
    OutOfRange {
        /// Width of the field.
        bits: u16,
    },
    /// No buffer could be had.
    Acquire(AcquireError),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, field, kind } = *self;
        let dot = if field.is_empty() { "" } else { "." };
        write!(f, "{message}{dot}{field}: ")?;
        match kind {
            EncodeErrorKind::NoRoom { needed, available } => {
                write!(
                    f,
                    "needs {needed} bytes, {available} are left; give it a buffer of the message's MAX_SIZE"
                )
            }
            EncodeErrorKind::TooLong { length, length_max } => {
                write!(
                    f,
                    "a length of {length} is above the schema's maximum of {length_max}; shorten it or raise `max`"
                )
            }
            EncodeErrorKind::OutOfRange { bits } => {
                write!(f, "the value does not fit the field's {bits} bits")
            }
            EncodeErrorKind::Acquire(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for EncodeError {}
