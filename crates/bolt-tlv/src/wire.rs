//! Owns: how each type of a schema is read, skipped, kept and written; what generated code is put together from.
//! A type of the schema is a Rust type here, usually one without values ([`Str`], [`Seq`] …), and [`Wire`] says the rest. Never panics on any
//! bytes, never allocates except for owned values, and then no more than the bytes at hand can fill. Limits: counts and lengths of four bytes.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::marker::PhantomData;

use crate::codec::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind, Reader, Writer};
use crate::int256::{I256, U256};

pub use crate::wire_list::{Array, BoxArray, List, ListIter, Seq};

/// A length or count up to this travels in two bytes, above in four.
const SHORT_PREFIX_MAX: usize = u16::MAX as usize;

/// Bytes of the length or count in front of something of at most `max`: 2 up to 65,535, else 4.
#[must_use]
pub const fn prefix_bytes(max: usize) -> usize {
    if max <= SHORT_PREFIX_MAX { 2 } else { 4 }
}

/// A type of a schema: how its values are read, skipped, owned and written.
///
/// Generated messages and enums implement it, and so do the types of this module. It is the vocabulary of generated code; a program
/// that uses messages meets it only in the bounds of [`List`].
pub trait Wire {
    /// What reading gives: the value itself, or something that borrows the payload and decodes when asked.
    type View<'a>;
    /// What a plain struct holds.
    type Owned;
    /// What a message is written from without owning it.
    type Parts<'a>: 'a;

    /// Bytes at most.
    const MAX_BYTES: usize;
    /// Bytes always, for a type whose values all have the same number.
    const FIXED_BYTES: Option<usize>;

    /// Passes over a value, checking every length on the way.
    ///
    /// # Errors
    /// The payload ends first, a length is above its maximum, or a presence byte is neither 0 nor 1.
    fn skip(reader: &mut Reader<'_>, field: &'static str) -> Result<(), DecodeError>;

    /// Reads a value.
    ///
    /// # Errors
    /// As [`skip`](Self::skip); or text that is not UTF-8, a boolean that is neither 0 nor 1, a number that no enum value has.
    fn read<'a>(reader: &mut Reader<'a>, field: &'static str) -> Result<Self::View<'a>, DecodeError>;

    /// Makes a view its own.
    ///
    /// # Errors
    /// What was not decoded yet turns out wrong.
    fn own(view: Self::View<'_>) -> Result<Self::Owned, DecodeError>;

    /// Bytes this value takes.
    fn size(value: &Self::Owned) -> usize;

    /// Writes a value.
    ///
    /// # Errors
    /// It is longer or larger than the schema allows, or the memory is too short.
    fn write(value: &Self::Owned, out: &mut Writer<'_>, field: &'static str) -> Result<(), EncodeError>;

    /// As [`size`](Self::size), of the borrowed form.
    fn size_parts(value: &Self::Parts<'_>) -> usize;

    /// As [`write`](Self::write), of the borrowed form.
    ///
    /// # Errors
    /// As there.
    fn write_parts(
        value: &Self::Parts<'_>,
        out: &mut Writer<'_>,
        field: &'static str,
    ) -> Result<(), EncodeError>;
}

/// The half of an implementation that reads, for a type that is on the wire what another is and only owned or written otherwise.
macro_rules! reads_like {
    ($like:ty) => {
        type View<'a> = <$like as Wire>::View<'a>;
        const MAX_BYTES: usize = <$like as Wire>::MAX_BYTES;
        const FIXED_BYTES: Option<usize> = <$like as Wire>::FIXED_BYTES;

        #[inline]
        fn skip(reader: &mut Reader<'_>, field: &'static str) -> Result<(), DecodeError> {
            <$like as Wire>::skip(reader, field)
        }

        #[inline]
        fn read<'a>(reader: &mut Reader<'a>, field: &'static str) -> Result<Self::View<'a>, DecodeError> {
            <$like as Wire>::read(reader, field)
        }
    };
}
pub(crate) use reads_like;

/// A type whose three forms are one plain value of a fixed number of bytes.
macro_rules! plain {
    ($($type:ty, $name:ident, $bytes:expr;)*) => {$(
        impl Wire for $type {
            type View<'a> = Self;
            type Owned = Self;
            type Parts<'a> = Self;
            const MAX_BYTES: usize = $bytes;
            const FIXED_BYTES: Option<usize> = Some($bytes);

            #[inline]
            fn skip(reader: &mut Reader<'_>, field: &'static str) -> Result<(), DecodeError> {
                reader.skip($bytes, field)
            }

            #[inline]
            fn read<'a>(reader: &mut Reader<'a>, field: &'static str) -> Result<Self, DecodeError> {
                reader.$name(field)
            }

            #[inline]
            fn own(view: Self) -> Result<Self, DecodeError> {
                Ok(view)
            }

            #[inline]
            fn size(_: &Self) -> usize {
                $bytes
            }

            #[inline]
            fn write(value: &Self, out: &mut Writer<'_>, field: &'static str) -> Result<(), EncodeError> {
                out.$name(*value, field)
            }

            #[inline]
            fn size_parts(_: &Self) -> usize {
                $bytes
            }

            #[inline]
            fn write_parts(value: &Self, out: &mut Writer<'_>, field: &'static str) -> Result<(), EncodeError> {
                out.$name(*value, field)
            }
        }
    )*};
}

plain! {
    u8, u8, 1;
    u16, u16, 2;
    u32, u32, 4;
    u64, u64, 8;
    u128, u128, 16;
    U256, u256, 32;
    i8, i8, 1;
    i16, i16, 2;
    i32, i32, 4;
    i64, i64, 8;
    i128, i128, 16;
    I256, i256, 32;
    f32, f32, 4;
    f64, f64, 8;
    bool, bool, 1;
}

/// An integer of `BYTES` bytes on the wire, in the next wider integer `T`: `u24` is `Narrow<u32, 3>`.
#[derive(Debug)]
pub struct Narrow<T, const BYTES: usize>(PhantomData<T>);

/// An integer that holds narrower ones.
pub trait Wide: Copy + sealed::Sealed + 'static {
    /// From the low bytes, least significant first; the sign, if it has one, is that of the last.
    fn widen(bytes: &[u8]) -> Self;
    /// The low bytes, or `false` where they do not say it all.
    fn narrow(self, bytes: &mut [u8]) -> bool;
}

mod sealed {
    /// Nobody else's integers.
    pub trait Sealed {}
}

macro_rules! wide {
    ($($type:ty, $signed:literal;)*) => {$(
        impl sealed::Sealed for $type {}
        impl Wide for $type {
            #[inline]
            fn widen(bytes: &[u8]) -> Self {
                let negative = $signed && bytes.last().is_some_and(|&last| last & 0x80 != 0);
                let mut all = [if negative { 0xFF } else { 0 }; size_of::<$type>()];
                for (to, from) in all.iter_mut().zip(bytes) {
                    *to = *from;
                }
                Self::from_le_bytes(all)
            }

            #[inline]
            fn narrow(self, bytes: &mut [u8]) -> bool {
                let all = self.to_le_bytes();
                for (to, from) in bytes.iter_mut().zip(all) {
                    *to = from;
                }
                let negative = $signed && bytes.last().is_some_and(|&last| last & 0x80 != 0);
                let rest = if negative { 0xFF } else { 0 };
                all.iter().skip(bytes.len()).all(|&byte| byte == rest)
            }
        }
    )*};
}

wide! {
    u32, false;
    u64, false;
    u128, false;
    U256, false;
    i32, true;
    i64, true;
    i128, true;
    I256, true;
}

impl<T: Wide, const BYTES: usize> Narrow<T, BYTES> {
    /// The value of these bytes.
    #[inline]
    #[must_use]
    pub fn from_le_bytes(bytes: &[u8; BYTES]) -> T {
        T::widen(bytes)
    }
}

impl<T: Wide, const BYTES: usize> Wire for Narrow<T, BYTES> {
    type View<'a> = T;
    type Owned = T;
    type Parts<'a> = T;
    const MAX_BYTES: usize = BYTES;
    const FIXED_BYTES: Option<usize> = Some(BYTES);

    #[inline]
    fn skip(reader: &mut Reader<'_>, field: &'static str) -> Result<(), DecodeError> {
        reader.skip(BYTES, field)
    }

    #[inline]
    fn read<'a>(reader: &mut Reader<'a>, field: &'static str) -> Result<T, DecodeError> {
        Ok(T::widen(reader.array::<BYTES>(field)?))
    }

    #[inline]
    fn own(view: T) -> Result<T, DecodeError> {
        Ok(view)
    }

    #[inline]
    fn size(_: &T) -> usize {
        BYTES
    }

    fn write(value: &T, out: &mut Writer<'_>, field: &'static str) -> Result<(), EncodeError> {
        let mut bytes = [0; BYTES];
        if !value.narrow(&mut bytes) {
            return Err(out.error(EncodeErrorKind::OutOfRange { bits: 8 * BYTES as u16 }, field));
        }
        out.bytes(&bytes, field)
    }

    #[inline]
    fn size_parts(_: &T) -> usize {
        BYTES
    }

    fn write_parts(value: &T, out: &mut Writer<'_>, field: &'static str) -> Result<(), EncodeError> {
        Self::write(value, out, field)
    }
}

/// Exactly `N` bytes, held inline: `bytes[N]`, an address, a hash.
#[derive(Debug)]
pub struct Bytes<const N: usize>;

impl<const N: usize> Wire for Bytes<N> {
    type View<'a> = &'a [u8; N];
    type Owned = [u8; N];
    type Parts<'a> = [u8; N];
    const MAX_BYTES: usize = N;
    const FIXED_BYTES: Option<usize> = Some(N);

    #[inline]
    fn skip(reader: &mut Reader<'_>, field: &'static str) -> Result<(), DecodeError> {
        reader.skip(N, field)
    }

    #[inline]
    fn read<'a>(reader: &mut Reader<'a>, field: &'static str) -> Result<&'a [u8; N], DecodeError> {
        reader.array(field)
    }

    #[inline]
    fn own(view: &[u8; N]) -> Result<[u8; N], DecodeError> {
        Ok(*view)
    }

    #[inline]
    fn size(_: &[u8; N]) -> usize {
        N
    }

    #[inline]
    fn write(value: &[u8; N], out: &mut Writer<'_>, field: &'static str) -> Result<(), EncodeError> {
        out.bytes(value, field)
    }

    #[inline]
    fn size_parts(_: &[u8; N]) -> usize {
        N
    }

    #[inline]
    fn write_parts(value: &[u8; N], out: &mut Writer<'_>, field: &'static str) -> Result<(), EncodeError> {
        out.bytes(value, field)
    }
}

/// Exactly `N` bytes, so many that an owned struct keeps them behind a box.
#[derive(Debug)]
pub struct BoxBytes<const N: usize>;

impl<const N: usize> Wire for BoxBytes<N> {
    type Owned = Box<[u8; N]>;
    type Parts<'a> = &'a [u8; N];
    reads_like!(Bytes<N>);

    fn own(view: &[u8; N]) -> Result<Box<[u8; N]>, DecodeError> {
        Ok(boxed(Vec::from(&view[..])))
    }

    #[inline]
    fn size(_: &Box<[u8; N]>) -> usize {
        N
    }

    #[inline]
    fn write(value: &Box<[u8; N]>, out: &mut Writer<'_>, field: &'static str) -> Result<(), EncodeError> {
        out.bytes(&value[..], field)
    }

    #[inline]
    fn size_parts(_: &&[u8; N]) -> usize {
        N
    }

    #[inline]
    fn write_parts(value: &&[u8; N], out: &mut Writer<'_>, field: &'static str) -> Result<(), EncodeError> {
        out.bytes(&value[..], field)
    }
}

/// A vector of exactly `N` items as a boxed array; nothing of it ever lies on the stack.
pub(crate) fn boxed<T, const N: usize>(items: Vec<T>) -> Box<[T; N]> {
    match items.into_boxed_slice().try_into() {
        Ok(array) => array,
        Err(_) => unreachable!("the caller collected exactly N items"),
    }
}

/// UTF-8 of at most `MAX` bytes: `string(MAX)`.
#[derive(Debug)]
pub struct Str<const MAX: usize>;

impl<const MAX: usize> Wire for Str<MAX> {
    type View<'a> = &'a str;
    type Owned = String;
    type Parts<'a> = &'a str;
    const MAX_BYTES: usize = prefix_bytes(MAX) + MAX;
    const FIXED_BYTES: Option<usize> = None;

    #[inline]
    fn skip(reader: &mut Reader<'_>, field: &'static str) -> Result<(), DecodeError> {
        Blob::<MAX>::skip(reader, field)
    }

    #[inline]
    fn read<'a>(reader: &mut Reader<'a>, field: &'static str) -> Result<&'a str, DecodeError> {
        let length = read_length(reader, MAX, field)?;
        reader.str(length, field)
    }

    fn own(view: &str) -> Result<String, DecodeError> {
        Ok(String::from(view))
    }

    #[inline]
    fn size(value: &String) -> usize {
        prefix_bytes(MAX) + value.len()
    }

    #[inline]
    fn write(value: &String, out: &mut Writer<'_>, field: &'static str) -> Result<(), EncodeError> {
        Self::write_parts(&value.as_str(), out, field)
    }

    #[inline]
    fn size_parts(value: &&str) -> usize {
        prefix_bytes(MAX) + value.len()
    }

    #[inline]
    fn write_parts(value: &&str, out: &mut Writer<'_>, field: &'static str) -> Result<(), EncodeError> {
        Blob::<MAX>::write_parts(&value.as_bytes(), out, field)
    }
}

/// At most `MAX` bytes: `bytes(MAX)`.
#[derive(Debug)]
pub struct Blob<const MAX: usize>;

impl<const MAX: usize> Wire for Blob<MAX> {
    type View<'a> = &'a [u8];
    type Owned = Vec<u8>;
    type Parts<'a> = &'a [u8];
    const MAX_BYTES: usize = prefix_bytes(MAX) + MAX;
    const FIXED_BYTES: Option<usize> = None;

    #[inline]
    fn skip(reader: &mut Reader<'_>, field: &'static str) -> Result<(), DecodeError> {
        let length = read_length(reader, MAX, field)?;
        reader.skip(length, field)
    }

    #[inline]
    fn read<'a>(reader: &mut Reader<'a>, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = read_length(reader, MAX, field)?;
        reader.bytes(length, field)
    }

    fn own(view: &[u8]) -> Result<Vec<u8>, DecodeError> {
        Ok(Vec::from(view))
    }

    #[inline]
    fn size(value: &Vec<u8>) -> usize {
        prefix_bytes(MAX) + value.len()
    }

    #[inline]
    fn write(value: &Vec<u8>, out: &mut Writer<'_>, field: &'static str) -> Result<(), EncodeError> {
        Self::write_parts(&value.as_slice(), out, field)
    }

    #[inline]
    fn size_parts(value: &&[u8]) -> usize {
        prefix_bytes(MAX) + value.len()
    }

    #[inline]
    fn write_parts(value: &&[u8], out: &mut Writer<'_>, field: &'static str) -> Result<(), EncodeError> {
        write_length(value.len(), MAX, out, field)?;
        out.bytes(value, field)
    }
}

/// A value or nothing: a byte 0, or a byte 1 and the value.
#[derive(Debug)]
pub struct Opt<E>(PhantomData<E>);

impl<E: Wire> Wire for Opt<E> {
    type View<'a> = Option<E::View<'a>>;
    type Owned = Option<E::Owned>;
    type Parts<'a> = Option<E::Parts<'a>>;
    const MAX_BYTES: usize = 1 + E::MAX_BYTES;
    const FIXED_BYTES: Option<usize> = None;

    fn skip(reader: &mut Reader<'_>, field: &'static str) -> Result<(), DecodeError> {
        if reader.bool(field)? { E::skip(reader, field) } else { Ok(()) }
    }

    fn read<'a>(reader: &mut Reader<'a>, field: &'static str) -> Result<Self::View<'a>, DecodeError> {
        if reader.bool(field)? { E::read(reader, field).map(Some) } else { Ok(None) }
    }

    fn own(view: Self::View<'_>) -> Result<Self::Owned, DecodeError> {
        view.map(E::own).transpose()
    }

    fn size(value: &Self::Owned) -> usize {
        value.as_ref().map_or(1, |value| E::size(value).saturating_add(1))
    }

    fn write(value: &Self::Owned, out: &mut Writer<'_>, field: &'static str) -> Result<(), EncodeError> {
        out.bool(value.is_some(), field)?;
        value.as_ref().map_or(Ok(()), |value| E::write(value, out, field))
    }

    fn size_parts(value: &Self::Parts<'_>) -> usize {
        value.as_ref().map_or(1, |value| E::size_parts(value).saturating_add(1))
    }

    fn write_parts(
        value: &Self::Parts<'_>,
        out: &mut Writer<'_>,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        out.bool(value.is_some(), field)?;
        value.as_ref().map_or(Ok(()), |value| E::write_parts(value, out, field))
    }
}

/// A value so large that an owned struct keeps it behind a box.
#[derive(Debug)]
pub struct Boxed<E>(PhantomData<E>);

impl<E: Wire> Wire for Boxed<E> {
    type Owned = Box<E::Owned>;
    type Parts<'a> = E::Parts<'a>;
    reads_like!(E);

    fn own(view: Self::View<'_>) -> Result<Self::Owned, DecodeError> {
        E::own(view).map(Box::new)
    }

    fn size(value: &Self::Owned) -> usize {
        E::size(value)
    }

    fn write(value: &Self::Owned, out: &mut Writer<'_>, field: &'static str) -> Result<(), EncodeError> {
        E::write(value, out, field)
    }

    fn size_parts(value: &Self::Parts<'_>) -> usize {
        E::size_parts(value)
    }

    fn write_parts(
        value: &Self::Parts<'_>,
        out: &mut Writer<'_>,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        E::write_parts(value, out, field)
    }
}

#[inline]
pub(crate) fn read_length(
    reader: &mut Reader<'_>,
    max: usize,
    field: &'static str,
) -> Result<usize, DecodeError> {
    if max <= SHORT_PREFIX_MAX { reader.length_u16(max, field) } else { reader.length_u32(max, field) }
}

#[inline]
pub(crate) fn write_length(
    length: usize,
    max: usize,
    out: &mut Writer<'_>,
    field: &'static str,
) -> Result<(), EncodeError> {
    if max <= SHORT_PREFIX_MAX {
        out.length_u16(length, max, field)
    } else {
        out.length_u32(length, max, field)
    }
}

/// What generated views implement: they are put over the place a reader stands at.
pub trait Decode<'a>: Sized {
    /// Checks the lengths of the message that begins here and puts the view over it. The reader is behind the last known field then.
    ///
    /// # Errors
    /// As [`Wire::skip`], of any field.
    fn decode_from(reader: &mut Reader<'a>) -> Result<Self, DecodeError>;
}

/// Reads a nested message with a length in front. `max` says how wide the length is; a newer version's message may be longer.
///
/// # Errors
/// The payload ends first, or the message inside is wrong.
pub fn read_nested<'a, V: Decode<'a>>(
    reader: &mut Reader<'a>,
    max: usize,
    message: &'static str,
    field: &'static str,
) -> Result<V, DecodeError> {
    let length = read_length(reader, widest(max), field)?;
    let start = reader.position();
    reader.skip(length, field)?;
    let payload = reader.payload().get(..start + length).unwrap_or_default();
    V::decode_from(&mut Reader::at(message, payload, start))
}

/// Passes over a nested message by the length in front; what is in it is checked when it is read.
///
/// # Errors
/// The payload ends first.
pub fn skip_nested(reader: &mut Reader<'_>, max: usize, field: &'static str) -> Result<(), DecodeError> {
    let length = read_length(reader, widest(max), field)?;
    reader.skip(length, field)
}

const fn widest(max: usize) -> usize {
    if max <= SHORT_PREFIX_MAX { SHORT_PREFIX_MAX } else { u32::MAX as usize }
}

/// Reads a frozen nested message, which has no length in front.
///
/// # Errors
/// As [`Decode::decode_from`].
pub fn read_frozen<'a, V: Decode<'a>>(
    reader: &mut Reader<'a>,
    message: &'static str,
    field: &'static str,
) -> Result<V, DecodeError> {
    let start = reader.position();
    let mut inner = Reader::at(message, reader.payload(), start);
    let view = V::decode_from(&mut inner)?;
    reader.skip(inner.position() - start, field)?;
    Ok(view)
}

/// Writes the length in front of a nested message of at most `max` bytes.
///
/// # Errors
/// It is longer than that, or the memory is too short.
pub fn write_nested_length(
    length: usize,
    max: usize,
    out: &mut Writer<'_>,
    field: &'static str,
) -> Result<(), EncodeError> {
    write_length(length, max, out, field)
}

/// Takes the `N` bytes of fields that always have the same place. Where the payload ends before, the error names the field in which it does.
///
/// # Errors
/// The payload ends first.
#[inline]
pub fn fixed<'a, const N: usize>(
    reader: &mut Reader<'a>,
    fields: &[(&'static str, usize)],
) -> Result<&'a [u8; N], DecodeError> {
    if reader.remaining() >= N {
        return reader.array("");
    }
    cut_short(reader, fields)
}

#[cold]
fn cut_short<'a, const N: usize>(
    reader: &mut Reader<'a>,
    fields: &[(&'static str, usize)],
) -> Result<&'a [u8; N], DecodeError> {
    for &(field, bytes) in fields {
        reader.skip(bytes, field)?;
    }
    reader.array("")
}

/// `LEN` of `ALL` bytes, from `OFFSET` on; that they are there is checked by the compiler.
#[inline]
#[must_use]
pub const fn part<const OFFSET: usize, const LEN: usize, const ALL: usize>(bytes: &[u8; ALL]) -> &[u8; LEN] {
    const { assert!(OFFSET + LEN <= ALL, "a field lies inside its message") };
    let (_, rest) = bytes.split_at(OFFSET);
    match rest.first_chunk() {
        Some(part) => part,
        None => unreachable!(),
    }
}

/// The error for a number that no value of an enum has. `offset` is where the number stands.
///
/// # Errors
/// Always.
#[cold]
pub fn unknown_variant<T>(
    reader: &Reader<'_>,
    found: u64,
    field: &'static str,
    offset: usize,
) -> Result<T, DecodeError> {
    Err(reader.error_at(DecodeErrorKind::UnknownVariant { found }, field, offset))
}
