//! The small fixed structures of Bolt as plain `Copy` types that hold exactly what travels: temporal values, points, UUIDs.
//! Owns no calendar and no time-zone database: every field is the protocol's own unit, in the protocol's own range
//! (wider than most date libraries'), and conversions that could fail return `Option`.

use core::fmt;

/// Nanoseconds in a second.
const NANOS: i64 = 1_000_000_000;

/// A calendar day. Structure `44`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date {
    /// Days since 1970-01-01, negative before.
    pub days: i64,
}

/// A time of day with an offset. Structure `54`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Time {
    /// Nanoseconds since local midnight, 0 … 86,399,999,999,999 from a server.
    pub nanoseconds: i64,
    /// Seconds east of UTC.
    pub offset_seconds: i64,
}

/// A time of day. Structure `74`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalTime {
    /// Nanoseconds since midnight.
    pub nanoseconds: i64,
}

/// A date and time without offset. Structure `64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalDateTime {
    /// Seconds since 1970-01-01T00:00 local time.
    pub seconds: i64,
    /// Nanoseconds within the second, 0 … 999,999,999 from a server.
    pub nanoseconds: i64,
}

/// Which clock the seconds of a [`DateTime`] or [`DateTimeZoned`](crate::DateTimeZoned) count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DateTimeForm {
    /// Seconds since 1970-01-01T00:00 UTC: tags `49` and `69`, Bolt 5.0 on, or 4.x with the `utc` patch.
    #[default]
    Utc,
    /// Seconds since 1970-01-01T00:00 on the local clock: tags `46` and `66`, Bolt 4.x.
    LegacyLocal,
}

/// An instant with an offset. Structures `49` (UTC) and `46` (legacy).
///
/// Both forms carry the same information, so that the encoder writes whichever the connection uses.
///
/// ```
/// use bolt_wire::{DateTime, DateTimeForm};
///
/// let legacy = DateTime { seconds: 8_100, nanoseconds: 42, offset_seconds: 3_600, form: DateTimeForm::LegacyLocal };
/// assert_eq!(legacy.utc_seconds(), Some(4_500));
/// assert_eq!(legacy.to_form(DateTimeForm::Utc), Some(DateTime::new(4_500, 42, 3_600)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DateTime {
    /// Seconds since 1970-01-01T00:00 on the clock that `form` names.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanoseconds: i64,
    /// Seconds east of UTC.
    pub offset_seconds: i64,
    /// Which clock `seconds` counts.
    pub form: DateTimeForm,
}

impl DateTime {
    /// From seconds since 1970-01-01T00:00 UTC.
    #[must_use]
    pub const fn new(utc_seconds: i64, nanoseconds: i64, offset_seconds: i64) -> Self {
        Self { seconds: utc_seconds, nanoseconds, offset_seconds, form: DateTimeForm::Utc }
    }

    /// Seconds since 1970-01-01T00:00 UTC; `None` if that is beyond 64 bits.
    #[must_use]
    pub const fn utc_seconds(self) -> Option<i64> {
        match self.form {
            DateTimeForm::Utc => Some(self.seconds),
            DateTimeForm::LegacyLocal => self.seconds.checked_sub(self.offset_seconds),
        }
    }

    /// Seconds since 1970-01-01T00:00 on the local clock; `None` if that is beyond 64 bits.
    #[must_use]
    pub const fn local_seconds(self) -> Option<i64> {
        match self.form {
            DateTimeForm::Utc => self.seconds.checked_add(self.offset_seconds),
            DateTimeForm::LegacyLocal => Some(self.seconds),
        }
    }

    /// The same instant in the other form; `None` if its seconds would be beyond 64 bits.
    #[must_use]
    pub const fn to_form(self, form: DateTimeForm) -> Option<Self> {
        let seconds = match form {
            DateTimeForm::Utc => self.utc_seconds(),
            DateTimeForm::LegacyLocal => self.local_seconds(),
        };
        match seconds {
            Some(seconds) => Some(Self { seconds, form, ..self }),
            None => None,
        }
    }
}

/// A span of time. Structure `45`. The four parts do not carry into one another: a month has no fixed number of days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Duration {
    /// Months.
    pub months: i64,
    /// Days.
    pub days: i64,
    /// Seconds.
    pub seconds: i64,
    /// Nanoseconds on top of `seconds`, never negative from a server.
    pub nanoseconds: i64,
}

impl From<core::time::Duration> for Duration {
    /// Seconds and nanoseconds; a span beyond 2⁶³−1 seconds is cut to that.
    fn from(d: core::time::Duration) -> Self {
        Self {
            seconds: i64::try_from(d.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: i64::from(d.subsec_nanos()),
            ..Self::default()
        }
    }
}

impl Duration {
    /// The span as the standard library has it; `None` if it is negative or counts months or days.
    #[must_use]
    pub fn to_std(self) -> Option<core::time::Duration> {
        if self.months != 0 || self.days != 0 {
            return None;
        }
        let seconds = self.seconds.checked_add(self.nanoseconds.div_euclid(NANOS))?;
        let nanos = self.nanoseconds.rem_euclid(NANOS);
        Some(core::time::Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?))
    }
}

/// A point in the plane. Structure `58`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point2D {
    /// Coordinate system: 4326 WGS-84, 7203 Cartesian.
    pub srid: i64,
    /// x, or longitude.
    pub x: f64,
    /// y, or latitude.
    pub y: f64,
}

/// A point in space. Structure `59`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point3D {
    /// Coordinate system: 4979 WGS-84 with height, 9157 Cartesian.
    pub srid: i64,
    /// x, or longitude.
    pub x: f64,
    /// y, or latitude.
    pub y: f64,
    /// z, or height in metres.
    pub z: f64,
}

/// A UUID, 16 bytes in the order of the written form. Marker `E0`, Bolt 6.1 on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid(pub [u8; 16]);

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uuid({self})")
    }
}

impl core::str::FromStr for Uuid {
    type Err = InvalidUuid;

    /// Reads 32 hexadecimal digits; hyphens may stand anywhere between bytes.
    fn from_str(text: &str) -> Result<Self, InvalidUuid> {
        let mut bytes = [0; 16];
        let mut rest = text.as_bytes();
        for byte in &mut bytes {
            while let [b'-', tail @ ..] = rest {
                rest = tail;
            }
            let [high, low, tail @ ..] = rest else { return Err(InvalidUuid) };
            let digit = |c: &u8| (*c as char).to_digit(16).ok_or(InvalidUuid);
            *byte = u8::try_from(digit(high)? * 16 + digit(low)?).map_err(|_| InvalidUuid)?;
            rest = tail;
        }
        if rest.is_empty() { Ok(Self(bytes)) } else { Err(InvalidUuid) }
    }
}

/// A text that is not a UUID: 32 hexadecimal digits are expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUuid;

impl fmt::Display for InvalidUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a UUID: expected 32 hexadecimal digits, with or without hyphens")
    }
}

impl core::error::Error for InvalidUuid {}

/// What the elements of a [`Vector`](crate::Vector) are. The discriminant is the byte that travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ElementType {
    /// 8-bit signed integers, `C8`.
    I8 = 0xC8,
    /// 16-bit signed integers, `C9`.
    I16 = 0xC9,
    /// 32-bit signed integers, `CA`.
    I32 = 0xCA,
    /// 64-bit signed integers, `CB`.
    I64 = 0xCB,
    /// 32-bit floats, `C6`.
    F32 = 0xC6,
    /// 64-bit floats, `C1`.
    F64 = 0xC1,
}

impl ElementType {
    /// The type a vector's type byte names.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0xC8 => Self::I8,
            0xC9 => Self::I16,
            0xCA => Self::I32,
            0xCB => Self::I64,
            0xC6 => Self::F32,
            0xC1 => Self::F64,
            _ => return None,
        })
    }

    /// Bytes an element takes.
    #[must_use]
    pub const fn width(self) -> usize {
        match self {
            Self::I8 => 1,
            Self::I16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }
}
