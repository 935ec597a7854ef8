//! Values to bytes, always in the smallest form, as the official drivers write them.
//! Owns [`Encoder`], [`Output`] and [`Encode`]; never allocates by itself and never buffers: every part goes straight to the
//! output. What the protocol version cannot carry is refused before a byte of it is written.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::EncodeError;
use crate::marker;
use crate::structure::tag;
use crate::types::{
    Date, DateTime, DateTimeForm, Duration, ElementType, LocalDateTime, LocalTime, Point2D, Point3D, Time,
    Uuid,
};
use crate::version::Version;

/// What the negotiated version, and the `utc` patch, change in the encoding of values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Dialect {
    /// UUIDs travel (PackStream 2, Bolt 6.1).
    pub uuid: bool,
    /// Vectors travel (Bolt 6.0).
    pub vector: bool,
    /// Zoned date-times count UTC seconds (Bolt 5.0, or 4.x with the `utc` patch).
    pub utc: bool,
    /// Nodes and relationships have element ids (Bolt 5.0).
    pub element_ids: bool,
}

impl Dialect {
    /// Bolt 4.0 to 4.4 without patch.
    pub const V4: Self = Self { uuid: false, vector: false, utc: false, element_ids: false };
    /// Bolt 5.0 to 5.8.
    pub const V5: Self = Self { utc: true, element_ids: true, ..Self::V4 };
    /// Bolt 6.0.
    pub const V6_0: Self = Self { vector: true, ..Self::V5 };
    /// Bolt 6.1.
    pub const V6_1: Self = Self { uuid: true, ..Self::V6_0 };
}

/// Where encoded bytes go: a `Vec<u8>`, a [`BoltBuf`](bolt_buf::BoltBuf), or the chunking writer over either.
pub trait Output {
    /// Appends all of `bytes`, or none.
    ///
    /// # Errors
    /// [`EncodeError::Full`] when a limit is reached.
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError>;
}

impl Output for Vec<u8> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

impl Output for bolt_buf::BoltBuf {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.append(bytes).map_err(EncodeError::Full)
    }
}

impl<O: Output + ?Sized> Output for &mut O {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        (**self).write(bytes)
    }
}

/// Counts the bytes that would be written.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountBytes(pub usize);

impl Output for CountBytes {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0 += bytes.len();
        Ok(())
    }
}

/// Writes values to an [`Output`].
///
/// Containers are written as a header and then their parts, by the caller; nothing checks that as many parts follow as the
/// header announced.
///
/// ```
/// use bolt_wire::{Dialect, Encoder};
///
/// let mut out = Vec::new();
/// let mut e = Encoder::new(&mut out, Dialect::V5);
/// e.map_header(1)?;
/// e.str("a")?;
/// e.int(1)?;
/// assert_eq!(out, b"\xA1\x81a\x01");
/// # Ok::<(), bolt_wire::EncodeError>(())
/// ```
#[derive(Debug)]
pub struct Encoder<'o, O: Output> {
    out: &'o mut O,
    dialect: Dialect,
    /// Values keep the form they have (legacy date-times, missing element ids) instead of taking the dialect's.
    verbatim: bool,
}

impl<'o, O: Output> Encoder<'o, O> {
    /// An encoder for one dialect.
    #[inline]
    pub const fn new(out: &'o mut O, dialect: Dialect) -> Self {
        Self { out, dialect, verbatim: false }
    }

    /// An encoder that carries everything and changes nothing.
    #[cfg(feature = "serde")]
    pub(crate) const fn verbatim(out: &'o mut O) -> Self {
        Self { out, dialect: Dialect::V6_1, verbatim: true }
    }

    /// The same encoder with another output.
    #[cfg(feature = "serde")]
    pub(crate) const fn aside<'b, B: Output>(&self, out: &'b mut B) -> Encoder<'b, B> {
        Encoder { out, dialect: self.dialect, verbatim: self.verbatim }
    }

    /// Whether graph values are written with element ids, given whether the value at hand has one.
    pub(crate) const fn with_element_ids(&self, own: bool) -> bool {
        if self.verbatim { own } else { self.dialect.element_ids }
    }

    /// What this encoder may write.
    #[inline]
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The output.
    #[inline]
    pub const fn output(&mut self) -> &mut O {
        self.out
    }

    /// Any value that knows how to write itself.
    ///
    /// # Errors
    /// What the value says.
    #[inline]
    pub fn encode<T: Encode + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        value.encode(self)
    }

    /// Bytes that are encoded already.
    ///
    /// # Errors
    /// [`EncodeError::Full`], as for every method here that can write.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.out.write(bytes)
    }

    /// Null.
    ///
    /// # Errors
    /// [`EncodeError::Full`].
    #[inline]
    pub fn null(&mut self) -> Result<(), EncodeError> {
        self.out.write(&[marker::NULL])
    }

    /// A boolean.
    ///
    /// # Errors
    /// [`EncodeError::Full`].
    #[inline]
    pub fn bool(&mut self, value: bool) -> Result<(), EncodeError> {
        self.out.write(&[if value { marker::TRUE } else { marker::FALSE }])
    }

    /// An integer, in 1, 2, 3, 5 or 9 bytes.
    ///
    /// # Errors
    /// [`EncodeError::Full`].
    #[inline]
    pub fn int(&mut self, value: i64) -> Result<(), EncodeError> {
        let [.., c, d, e, f, g, h] = value.to_be_bytes();
        if (-16..=127).contains(&value) {
            self.out.write(&[h])
        } else if i8::try_from(value).is_ok() {
            self.out.write(&[marker::INT8, h])
        } else if i16::try_from(value).is_ok() {
            self.out.write(&[marker::INT16, g, h])
        } else if i32::try_from(value).is_ok() {
            self.out.write(&[marker::INT32, e, f, g, h])
        } else {
            let [a, b, ..] = value.to_be_bytes();
            self.out.write(&[marker::INT64, a, b, c, d, e, f, g, h])
        }
    }

    /// A float, bit for bit.
    ///
    /// # Errors
    /// [`EncodeError::Full`].
    #[inline]
    pub fn float(&mut self, value: f64) -> Result<(), EncodeError> {
        let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
        self.out.write(&[marker::FLOAT, a, b, c, d, e, f, g, h])
    }

    /// A header with a size: in the nibble of `small` if there is such a form, else behind `sized`, `sized + 1`, `sized + 2`.
    #[inline]
    fn sized_header(&mut self, len: usize, small: Option<u8>, sized: u8) -> Result<(), EncodeError> {
        match (u32::try_from(len), small) {
            (Ok(len @ 0..=15), Some(small)) => self.out.write(&[small | len as u8]),
            (Ok(len @ 0..=0xFF), _) => self.out.write(&[sized, len as u8]),
            (Ok(len @ 0..=0xFFFF), _) => {
                let [_, _, a, b] = len.to_be_bytes();
                self.out.write(&[sized + 1, a, b])
            }
            (Ok(len @ 0..=marker::SIZE_MAX), _) => {
                let [a, b, c, d] = len.to_be_bytes();
                self.out.write(&[sized + 2, a, b, c, d])
            }
            _ => Err(EncodeError::TooLong { len }),
        }
    }

    /// A byte array.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] from 2³¹ bytes on, [`EncodeError::Full`].
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.sized_header(bytes.len(), None, marker::BYTES8)?;
        self.out.write(bytes)
    }

    /// A string.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] from 2³¹ bytes on, [`EncodeError::Full`].
    #[inline]
    pub fn str(&mut self, text: &str) -> Result<(), EncodeError> {
        self.sized_header(text.len(), Some(marker::STRING0), marker::STRING8)?;
        self.out.write(text.as_bytes())
    }

    /// The header of a string; `len` bytes of UTF-8 must follow by [`raw`](Self::raw).
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] from 2³¹ bytes on, [`EncodeError::Full`].
    #[inline]
    pub fn str_header(&mut self, len: usize) -> Result<(), EncodeError> {
        self.sized_header(len, Some(marker::STRING0), marker::STRING8)
    }

    /// The header of a list; `len` values must follow.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] from 2³¹ items on, [`EncodeError::Full`].
    #[inline]
    pub fn list_header(&mut self, len: usize) -> Result<(), EncodeError> {
        self.sized_header(len, Some(marker::LIST0), marker::LIST8)
    }

    /// The header of a dictionary; `len` times a string and a value must follow.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] from 2³¹ entries on, [`EncodeError::Full`].
    #[inline]
    pub fn map_header(&mut self, len: usize) -> Result<(), EncodeError> {
        self.sized_header(len, Some(marker::MAP0), marker::MAP8)
    }

    /// The header of a structure; `fields` values must follow.
    ///
    /// # Errors
    /// [`EncodeError::BadStructure`] above 15 fields or tag 7F, [`EncodeError::Full`].
    #[inline]
    pub fn struct_header(&mut self, fields: u8, tag: u8) -> Result<(), EncodeError> {
        if fields > 15 || tag > 0x7F {
            return Err(EncodeError::BadStructure { fields: usize::from(fields), tag });
        }
        self.out.write(&[marker::STRUCT0 | fields, tag])
    }

    /// A UUID.
    ///
    /// # Errors
    /// [`EncodeError::Unsupported`] below Bolt 6.1, [`EncodeError::Full`].
    pub fn uuid(&mut self, uuid: Uuid) -> Result<(), EncodeError> {
        if !self.dialect.uuid {
            return Err(EncodeError::Unsupported {
                what: "a UUID",
                since: Version::first_with(|features| features.uuid),
            });
        }
        let mut bytes = [marker::UUID; 17];
        bytes[1..].copy_from_slice(&uuid.0);
        self.out.write(&bytes)
    }

    /// A date.
    ///
    /// # Errors
    /// [`EncodeError::Full`].
    pub fn date(&mut self, date: Date) -> Result<(), EncodeError> {
        self.struct_header(1, tag::DATE)?;
        self.int(date.days)
    }

    /// A time of day with offset.
    ///
    /// # Errors
    /// [`EncodeError::Full`].
    pub fn time(&mut self, time: Time) -> Result<(), EncodeError> {
        self.struct_header(2, tag::TIME)?;
        self.int(time.nanoseconds)?;
        self.int(time.offset_seconds)
    }

    /// A time of day.
    ///
    /// # Errors
    /// [`EncodeError::Full`].
    pub fn local_time(&mut self, time: LocalTime) -> Result<(), EncodeError> {
        self.struct_header(1, tag::LOCAL_TIME)?;
        self.int(time.nanoseconds)
    }

    /// A date and time without offset.
    ///
    /// # Errors
    /// [`EncodeError::Full`].
    pub fn local_date_time(&mut self, time: LocalDateTime) -> Result<(), EncodeError> {
        self.struct_header(2, tag::LOCAL_DATE_TIME)?;
        self.int(time.seconds)?;
        self.int(time.nanoseconds)
    }

    /// The form date-times have on this connection.
    const fn form(&self, own: DateTimeForm) -> DateTimeForm {
        if self.verbatim {
            own
        } else if self.dialect.utc {
            DateTimeForm::Utc
        } else {
            DateTimeForm::LegacyLocal
        }
    }

    /// An instant with offset, in the form this connection uses.
    ///
    /// # Errors
    /// [`EncodeError::IntegerOutOfRange`] if its seconds do not fit that form, [`EncodeError::Full`].
    pub fn date_time(&mut self, time: DateTime) -> Result<(), EncodeError> {
        let form = self.form(time.form);
        let time = time.to_form(form).ok_or(EncodeError::IntegerOutOfRange)?;
        self.struct_header(
            3,
            if form == DateTimeForm::Utc { tag::DATE_TIME } else { tag::DATE_TIME_LEGACY },
        )?;
        self.int(time.seconds)?;
        self.int(time.nanoseconds)?;
        self.int(time.offset_seconds)
    }

    /// An instant with the name of a zone. Its form must be the one this connection uses: changing it takes the zone's offset.
    ///
    /// # Errors
    /// [`EncodeError::ZonedForm`], [`EncodeError::Full`].
    pub fn date_time_zoned(
        &mut self,
        seconds: i64,
        nanoseconds: i64,
        zone: &str,
        form: DateTimeForm,
    ) -> Result<(), EncodeError> {
        if form != self.form(form) {
            return Err(EncodeError::ZonedForm);
        }
        let utc = form == DateTimeForm::Utc;
        self.struct_header(3, if utc { tag::DATE_TIME_ZONED } else { tag::DATE_TIME_ZONED_LEGACY })?;
        self.int(seconds)?;
        self.int(nanoseconds)?;
        self.str(zone)
    }

    /// A duration.
    ///
    /// # Errors
    /// [`EncodeError::Full`].
    pub fn duration(&mut self, duration: Duration) -> Result<(), EncodeError> {
        self.struct_header(4, tag::DURATION)?;
        self.int(duration.months)?;
        self.int(duration.days)?;
        self.int(duration.seconds)?;
        self.int(duration.nanoseconds)
    }

    /// A point in the plane.
    ///
    /// # Errors
    /// [`EncodeError::Full`].
    pub fn point_2d(&mut self, point: Point2D) -> Result<(), EncodeError> {
        self.struct_header(3, tag::POINT_2D)?;
        self.int(point.srid)?;
        self.float(point.x)?;
        self.float(point.y)
    }

    /// A point in space.
    ///
    /// # Errors
    /// [`EncodeError::Full`].
    pub fn point_3d(&mut self, point: Point3D) -> Result<(), EncodeError> {
        self.struct_header(4, tag::POINT_3D)?;
        self.int(point.srid)?;
        self.float(point.x)?;
        self.float(point.y)?;
        self.float(point.z)
    }

    /// A vector; `data` are its elements in network order.
    ///
    /// # Errors
    /// [`EncodeError::Unsupported`] below Bolt 6.0, [`EncodeError::LengthMismatch`] if `data` is no whole number of elements,
    /// [`EncodeError::Full`].
    pub fn vector(&mut self, element_type: ElementType, data: &[u8]) -> Result<(), EncodeError> {
        if !self.dialect.vector {
            return Err(EncodeError::Unsupported {
                what: "a vector",
                since: Version::first_with(|features| features.vector),
            });
        }
        let announced = data.len().next_multiple_of(element_type.width());
        if announced != data.len() {
            return Err(EncodeError::LengthMismatch { announced, written: data.len() });
        }
        self.struct_header(2, tag::VECTOR)?;
        self.bytes(&[element_type as u8])?;
        self.bytes(data)
    }
}

/// A value that can be written to Bolt.
///
/// Implemented for integers that fit `i64`, floats, strings, byte wrappers, options, slices, [`Value`](crate::Value), and the
/// structures of this crate; for anything with `serde::Serialize` use [`Serde`](crate::Serde) (feature `serde`).
pub trait Encode {
    /// Writes the value.
    ///
    /// # Errors
    /// What the encoder says.
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError>;
}

impl<T: Encode + ?Sized> Encode for &T {
    #[inline]
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        (**self).encode(e)
    }
}

impl<T: Encode + ?Sized> Encode for Box<T> {
    #[inline]
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        (**self).encode(e)
    }
}

/// One implementation a line: the type, and the encoder's method with the value as `v`.
macro_rules! encode_as {
    ($($type:ty: $v:ident, $e:ident => $body:expr;)*) => {$(
        impl Encode for $type {
            #[inline]
            fn encode<O: Output>(&self, $e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
                let $v = self;
                $body
            }
        }
    )*};
}

encode_as! {
    i8: v, e => e.int(i64::from(*v));
    i16: v, e => e.int(i64::from(*v));
    i32: v, e => e.int(i64::from(*v));
    i64: v, e => e.int(*v);
    u8: v, e => e.int(i64::from(*v));
    u16: v, e => e.int(i64::from(*v));
    u32: v, e => e.int(i64::from(*v));
    u64: v, e => e.int(i64::try_from(*v).map_err(|_| EncodeError::IntegerOutOfRange)?);
    usize: v, e => e.int(i64::try_from(*v).map_err(|_| EncodeError::IntegerOutOfRange)?);
    f32: v, e => e.float(f64::from(*v));
    f64: v, e => e.float(*v);
    bool: v, e => e.bool(*v);
    str: v, e => e.str(v);
    String: v, e => e.str(v);
    (): _v, e => e.null();
    Date: v, e => e.date(*v);
    Time: v, e => e.time(*v);
    LocalTime: v, e => e.local_time(*v);
    LocalDateTime: v, e => e.local_date_time(*v);
    DateTime: v, e => e.date_time(*v);
    Duration: v, e => e.duration(*v);
    core::time::Duration: v, e => e.duration((*v).into());
    Point2D: v, e => e.point_2d(*v);
    Point3D: v, e => e.point_3d(*v);
    Uuid: v, e => e.uuid(*v);
}

/// A byte array, as opposed to a list of integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bytes<'a>(pub &'a [u8]);

impl Encode for Bytes<'_> {
    #[inline]
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        e.bytes(self.0)
    }
}

impl<T: Encode> Encode for Option<T> {
    #[inline]
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        match self {
            Some(value) => value.encode(e),
            None => e.null(),
        }
    }
}

impl<T: Encode> Encode for [T] {
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        e.list_header(self.len())?;
        self.iter().try_for_each(|item| item.encode(e))
    }
}

impl<T: Encode, const N: usize> Encode for [T; N] {
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        self.as_slice().encode(e)
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        self.as_slice().encode(e)
    }
}

/// The parameters of a query: something that writes one dictionary.
///
/// Implemented for `()` (none), arrays, slices and `Vec`s of name and value, [`Map`](crate::Map), a borrowed
/// [`MapRef`](crate::MapRef), and `Serde(&T)` where `T` serializes as a map or struct.
pub trait Params {
    /// Writes the dictionary, header and all.
    ///
    /// # Errors
    /// What the encoder says.
    fn encode_params<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError>;
}

impl Params for () {
    fn encode_params<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        e.map_header(0)
    }
}

impl<K: AsRef<str>, V: Encode> Params for [(K, V)] {
    fn encode_params<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        e.map_header(self.len())?;
        for (name, value) in self {
            e.str(name.as_ref())?;
            value.encode(e)?;
        }
        Ok(())
    }
}

impl<K: AsRef<str>, V: Encode, const N: usize> Params for [(K, V); N] {
    fn encode_params<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        self.as_slice().encode_params(e)
    }
}

impl<K: AsRef<str>, V: Encode> Params for Vec<(K, V)> {
    fn encode_params<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        self.as_slice().encode_params(e)
    }
}

impl<P: Params + ?Sized> Params for &P {
    fn encode_params<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        (**self).encode_params(e)
    }
}
