//! What a value can be read as. Owns [`FromValue`] and its implementations; never decodes more than is asked for.

use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{DecodeError, DecodeReason};
use crate::structure::{self, DateTimeZonedRef, NodeRef, PathRef, RelationshipRef, StructRef};
use crate::structure::{UnboundRelationshipRef, UnsupportedRef, VectorRef};
use crate::types::{Date, DateTime, Duration, LocalDateTime, LocalTime, Point2D, Point3D, Time, Uuid};
use crate::value_ref::{Guess, ListRef, MapRef, RawRef, ValueRef};

/// A type that a Bolt value can be read as.
///
/// Integers are read into any integer type they fit, floats into `f64` and, rounded, `f32`; an integer is not read as a float, as it
/// might lose digits. Null is read as `None` only. Implement `from_raw` for types of your own; [`RawRef::value`] gives the
/// decoded value where one marker is not enough.
///
/// ```
/// use bolt_wire::{DecodeError, FromValue, RawRef};
///
/// struct Celsius(f64);
///
/// impl<'a> FromValue<'a> for Celsius {
///     fn from_raw(raw: RawRef<'a>) -> Result<Self, DecodeError> {
///         raw.float().map(Self)
///     }
/// }
///
/// let body = 21.5f64.to_be_bytes();
/// let message = [&[0xC1][..], &body].concat();
/// assert_eq!(Celsius::from_raw(RawRef::new(&message, 0))?.0, 21.5);
/// # Ok::<(), DecodeError>(())
/// ```
pub trait FromValue<'a>: Sized {
    /// Reads the value that stands at `raw`, in bytes that were walked.
    ///
    /// # Errors
    /// A value of another type, out of range, or broken.
    fn from_raw(raw: RawRef<'a>) -> Result<Self, DecodeError>;

    /// Reads the next item of a list: at `next`, or behind it where `guess` says so. Both are the iterator's own.
    #[doc(hidden)]
    #[inline(always)]
    fn read_next(next: &mut RawRef<'a>, guess: &mut Guess) -> Result<Self, DecodeError> {
        guess.pass_over(next);
        Self::from_raw(*next)
    }

    /// What a missing property or dictionary key reads as, if that is no error.
    #[inline]
    #[must_use]
    fn missing() -> Option<Self> {
        None
    }
}

/// How items that cannot nest are read: where the next one begins is known beforehand, and need not wait for this one.
macro_rules! read_next_leaf {
    () => {
        #[inline(always)]
        fn read_next(next: &mut RawRef<'a>, _guess: &mut Guess) -> Result<Self, DecodeError> {
            let raw = *next;
            next.at = raw.end();
            Self::from_raw(raw)
        }
    };
}

/// One implementation a line: the type, and how it is read from `raw`.
macro_rules! read_as {
    ($($type:ty: $raw:ident => $body:expr;)*) => {$(
        impl<'a> FromValue<'a> for $type {
            #[inline(always)]
            fn from_raw($raw: RawRef<'a>) -> Result<Self, DecodeError> {
                $body
            }
        }
    )*};
}

/// The same for types that cannot nest.
macro_rules! read_leaf {
    ($($type:ty: $raw:ident => $body:expr;)*) => {$(
        impl<'a> FromValue<'a> for $type {
            #[inline(always)]
            fn from_raw($raw: RawRef<'a>) -> Result<Self, DecodeError> {
                $body
            }

            read_next_leaf! {}
        }
    )*};
}

impl<'a> FromValue<'a> for i64 {
    #[inline(always)]
    fn from_raw(raw: RawRef<'a>) -> Result<Self, DecodeError> {
        raw.int()
    }

    #[inline(always)]
    fn read_next(next: &mut RawRef<'a>, guess: &mut Guess) -> Result<Self, DecodeError> {
        next.next_int(guess)
    }
}

impl<'a> FromValue<'a> for f64 {
    #[inline(always)]
    fn from_raw(raw: RawRef<'a>) -> Result<Self, DecodeError> {
        raw.float()
    }

    #[inline(always)]
    fn read_next(next: &mut RawRef<'a>, _guess: &mut Guess) -> Result<Self, DecodeError> {
        next.next_float()
    }
}

read_leaf! {
    f32: raw => raw.float().map(|wide| wide as f32);
    bool: raw => raw.bool();
    &'a str: raw => raw.str();
    String: raw => raw.str().map(String::from);
    &'a [u8]: raw => raw.bytes();
    Uuid: raw => raw.uuid();
}

read_as! {
    RawRef<'a>: raw => Ok(raw);
    ValueRef<'a>: raw => raw.value();
    ListRef<'a>: raw => raw.list();
    MapRef<'a>: raw => raw.map();
    StructRef<'a>: raw => raw.structure();
    NodeRef<'a>: raw => NodeRef::read(raw);
    RelationshipRef<'a>: raw => RelationshipRef::read(raw);
    UnboundRelationshipRef<'a>: raw => UnboundRelationshipRef::read(raw);
    PathRef<'a>: raw => PathRef::read(raw);
    VectorRef<'a>: raw => VectorRef::read(raw);
    UnsupportedRef<'a>: raw => UnsupportedRef::read(raw);
    DateTimeZonedRef<'a>: raw => DateTimeZonedRef::read(raw);
    Date: raw => structure::read_date(raw);
    Time: raw => structure::read_time(raw);
    LocalTime: raw => structure::read_local_time(raw);
    DateTime: raw => structure::read_date_time(raw);
    LocalDateTime: raw => structure::read_local_date_time(raw);
    Duration: raw => structure::read_duration(raw);
    Point2D: raw => structure::read_point_2d(raw);
    Point3D: raw => structure::read_point_3d(raw);
}

/// Integers narrower than, or not the same as, the one that travels.
macro_rules! read_narrow {
    ($($type:ident)*) => {$(
        impl<'a> FromValue<'a> for $type {
            #[inline(always)]
            fn from_raw(raw: RawRef<'a>) -> Result<Self, DecodeError> {
                let wide = raw.int()?;
                $type::try_from(wide).map_err(|_| {
                    DecodeError::new(raw.offset(), DecodeReason::OutOfRange { expected: stringify!($type) })
                })
            }

            read_next_leaf! {}
        }
    )*};
}

read_narrow! { i8 i16 i32 u8 u16 u32 u64 isize usize i128 u128 }

impl<'a, T: FromValue<'a>> FromValue<'a> for Option<T> {
    #[inline]
    fn from_raw(raw: RawRef<'a>) -> Result<Self, DecodeError> {
        if raw.is_null() { Ok(None) } else { T::from_raw(raw).map(Some) }
    }

    #[inline]
    fn missing() -> Option<Self> {
        Some(None)
    }
}

impl<'a, T: FromValue<'a>> FromValue<'a> for Vec<T> {
    fn from_raw(raw: RawRef<'a>) -> Result<Self, DecodeError> {
        let list = raw.list()?;
        // The walk proved a byte for every item; a wide `T` may still take many times the message, so that what is reserved
        // ahead is bounded by the message and the rest grows as items are really read.
        let mut items = Self::with_capacity(list.len().min(4_096));
        for item in list.iter_as::<T>() {
            items.push(item?);
        }
        Ok(items)
    }
}
