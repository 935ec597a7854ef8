//! Values as text that reads like Cypher: `Display` of values, owned and borrowed, and of times.
//! Owns no data, and allocates nothing but what the walk along a borrowed path does. Where Cypher has a literal or a function for a value, that is what is written; nodes, relationships
//! and paths look as they do in patterns, and what Cypher has no word for is written so that it cannot be taken for one. Showing
//! stops at [`SHOW_DEPTH_MAX`](crate::SHOW_DEPTH_MAX) levels, as `Debug` does.

use core::fmt::{self, Display, Formatter, Write as _};

use crate::structure::{DateTimeZonedRef, UnsupportedRef, VectorRef};
use crate::types::{
    Date, DateTime, DateTimeForm, Duration, ElementType, LocalDateTime, LocalTime, Point2D, Point3D, Time,
};
use crate::value::{Map, Value};
use crate::value_ref::{MapRef, RawRef, ValueRef};
use crate::view::SHOW_DEPTH_MAX;

// ---- times, in ISO 8601

const SECONDS_PER_DAY: i64 = 86_400;
const NANOSECONDS: i64 = 1_000_000_000;

/// `2024-02-29`; years beyond four digits with a sign. Every number of days has a date, of the proleptic Gregorian calendar.
impl Display for Date {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // From days to a civil date by Hinnant's method (eras of 400 years that begin in March), in 128 bits.
        let z = i128::from(self.days) + 719_468;
        let (era, day_of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = year_of_era + era * 400 + i128::from(month <= 2);
        match year {
            0..=9_999 => write!(f, "{year:04}")?,
            _ => write!(f, "{year:+05}")?,
        }
        write!(f, "-{month:02}-{day:02}")
    }
}

/// `12:34:56.789`, from seconds of a day and nanoseconds.
fn clock(seconds: i64, nanoseconds: i64, f: &mut Formatter<'_>) -> fmt::Result {
    write!(f, "{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)?;
    fraction(nanoseconds.unsigned_abs(), f)
}

/// `.789`, without zeros at its end; nothing for zero.
fn fraction(mut nanoseconds: u64, f: &mut Formatter<'_>) -> fmt::Result {
    if nanoseconds == 0 {
        return Ok(());
    }
    let mut digits = 9;
    while nanoseconds.is_multiple_of(10) {
        nanoseconds /= 10;
        digits -= 1;
    }
    write!(f, ".{nanoseconds:0digits$}")
}

/// `+01:00`, `-05:30:15`, `Z`.
fn offset(seconds: i64, f: &mut Formatter<'_>) -> fmt::Result {
    if seconds == 0 {
        return f.write_char('Z');
    }
    let (sign, size) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
    write!(f, "{sign}{:02}:{:02}", size / 3_600, size / 60 % 60)?;
    if size.is_multiple_of(60) { Ok(()) } else { write!(f, ":{:02}", size % 60) }
}

/// `2024-02-29T12:34:56.789`, from seconds since 1970-01-01T00:00 on some clock; nanoseconds above a second are carried, as servers do.
fn instant(seconds: i128, nanoseconds: i64, f: &mut Formatter<'_>) -> fmt::Result {
    let seconds = seconds + i128::from(nanoseconds.div_euclid(NANOSECONDS));
    let day = i128::from(SECONDS_PER_DAY);
    // Days of 128-bit seconds that began as 64-bit ones fit 64 bits again.
    let days = seconds.div_euclid(day) as i64;
    write!(f, "{}T", Date { days })?;
    clock(seconds.rem_euclid(day) as i64, nanoseconds.rem_euclid(NANOSECONDS), f)
}

/// `12:34:56.789`; what is no time of day is written as hours beyond 23, or negative.
impl Display for LocalTime {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.nanoseconds < 0 {
            f.write_char('-')?;
        }
        let size = self.nanoseconds.unsigned_abs();
        clock((size / NANOSECONDS as u64) as i64, (size % NANOSECONDS as u64) as i64, f)
    }
}

/// `12:34:56.789+01:00`.
impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", LocalTime { nanoseconds: self.nanoseconds })?;
        offset(self.offset_seconds, f)
    }
}

/// `2024-02-29T12:34:56.789`.
impl Display for LocalDateTime {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        instant(i128::from(self.seconds), self.nanoseconds, f)
    }
}

/// `2024-02-29T12:34:56.789+01:00`, the local time and its offset, whichever form it came in.
impl Display for DateTime {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let own = i128::from(self.seconds);
        let local = match self.form {
            DateTimeForm::Utc => own + i128::from(self.offset_seconds),
            DateTimeForm::LegacyLocal => own,
        };
        instant(local, self.nanoseconds, f)?;
        offset(self.offset_seconds, f)
    }
}

/// `P14M3DT4.5S`: months, days and seconds as they are, since a month has no fixed number of days and a day none of seconds.
impl Display for Duration {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let nanoseconds = i128::from(self.seconds) * i128::from(NANOSECONDS) + i128::from(self.nanoseconds);
        f.write_char('P')?;
        if self.months != 0 {
            write!(f, "{}M", self.months)?;
        }
        if self.days != 0 {
            write!(f, "{}D", self.days)?;
        }
        if nanoseconds != 0 || (self.months == 0 && self.days == 0) {
            // −1 s and 500,000,000 ns are −0.5 s: one sign for both.
            let size = nanoseconds.unsigned_abs();
            write!(f, "T{}{}", if nanoseconds < 0 { "-" } else { "" }, size / NANOSECONDS as u128)?;
            fraction((size % NANOSECONDS as u128) as u64, f)?;
            f.write_char('S')?;
        }
        Ok(())
    }
}

// ---- leaves

fn float(value: f64, f: &mut Formatter<'_>) -> fmt::Result {
    match value {
        _ if value.is_nan() => f.write_str("NaN"),
        f64::INFINITY => f.write_str("Infinity"),
        f64::NEG_INFINITY => f.write_str("-Infinity"),
        // The shortest form that reads back as the same number, always with a point or an exponent.
        _ => write!(f, "{value:?}"),
    }
}

fn string(text: &str, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_char('\'')?;
    for c in text.chars() {
        match c {
            '\'' => f.write_str("\\'")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c if c.is_control() => write!(f, "\\u{:04X}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('\'')
}

/// A key, label or type: bare where it can be, else between backticks.
fn name(text: &str, f: &mut Formatter<'_>) -> fmt::Result {
    let mut chars = text.chars();
    let bare = chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_');
    if bare {
        return f.write_str(text);
    }
    f.write_char('`')?;
    for c in text.chars() {
        f.write_str(if c == '`' { "`" } else { "" })?;
        f.write_char(c)?;
    }
    f.write_char('`')
}

fn bytes(bytes: &[u8], f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str("bytes('")?;
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02X}"))?;
    f.write_str("')")
}

fn point(srid: i64, coordinates: &[f64], f: &mut Formatter<'_>) -> fmt::Result {
    write!(f, "point({{srid: {srid}")?;
    for (axis, &coordinate) in ["x", "y", "z"].iter().zip(coordinates) {
        write!(f, ", {axis}: ")?;
        float(coordinate, f)?;
    }
    f.write_str("})")
}

fn zoned(time: DateTimeZonedRef<'_>, f: &mut Formatter<'_>) -> fmt::Result {
    match time.form {
        // Which local time it is only a table of zones knows.
        DateTimeForm::Utc => {
            write!(f, "datetime({{epochSeconds: {}, nanosecond: {}", time.seconds, time.nanoseconds)?;
            f.write_str(", timezone: ")?;
            string(time.zone, f)?;
            f.write_str("})")
        }
        DateTimeForm::LegacyLocal => {
            f.write_str("datetime('")?;
            instant(i128::from(time.seconds), time.nanoseconds, f)?;
            // A name of a zone has no quotes; one that has is cut there, so that the text stays one literal.
            write!(f, "[{}]')", time.zone.split('\'').next().unwrap_or_default())
        }
    }
}

fn vector(vector: VectorRef<'_>, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str("vector([")?;
    let mut between = "";
    let mut each = |f: &mut Formatter<'_>| {
        let comma = f.write_str(between);
        between = ", ";
        comma
    };
    if vector.element_type() == ElementType::F32 {
        // As 32-bit numbers: widened they would have digits that nobody wrote.
        vector
            .iter_f32()
            .into_iter()
            .flatten()
            .try_for_each(|v| each(f).and_then(|()| write!(f, "{v:?}")))?;
    } else if vector.element_type() == ElementType::F64 {
        vector.iter_f64().into_iter().flatten().try_for_each(|v| each(f).and_then(|()| float(v, f)))?;
    } else {
        vector.iter_i64().into_iter().flatten().try_for_each(|v| each(f).and_then(|()| write!(f, "{v}")))?;
    }
    let kind = match vector.element_type() {
        ElementType::I8 => "INTEGER8",
        ElementType::I16 => "INTEGER16",
        ElementType::I32 => "INTEGER32",
        ElementType::I64 => "INTEGER64",
        ElementType::F32 => "FLOAT32",
        ElementType::F64 => "FLOAT64",
    };
    write!(f, "], {}, {kind})", vector.len())
}

fn unsupported(value: UnsupportedRef<'_>, f: &mut Formatter<'_>) -> fmt::Result {
    write!(f, "<{}, which needs Bolt {}.{}>", value.name, value.minimum_major, value.minimum_minor)
}

// ---- what nests

/// A value inside another, of either kind.
enum Inner<'a> {
    Owned(&'a Value),
    Borrowed(RawRef<'a>),
}

impl Inner<'_> {
    fn write(self, levels: u32, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owned(value) => owned(value, levels, f),
            Self::Borrowed(raw) => match raw.value() {
                Ok(value) => borrowed(&value, levels, f),
                Err(error) => write!(f, "<{error}>"),
            },
        }
    }
}

fn list<'a>(
    items: impl ExactSizeIterator<Item = Inner<'a>>,
    levels: u32,
    f: &mut Formatter<'_>,
) -> fmt::Result {
    let Some(levels) = levels.checked_sub(1) else {
        return f.write_str(if items.len() == 0 { "[]" } else { "[…]" });
    };
    f.write_char('[')?;
    for (i, item) in items.enumerate() {
        f.write_str(if i == 0 { "" } else { ", " })?;
        item.write(levels, f)?;
    }
    f.write_char(']')
}

fn map<'a>(
    entries: impl ExactSizeIterator<Item = (&'a str, Inner<'a>)>,
    levels: u32,
    f: &mut Formatter<'_>,
) -> fmt::Result {
    let Some(levels) = levels.checked_sub(1) else {
        return f.write_str(if entries.len() == 0 { "{}" } else { "{…}" });
    };
    f.write_char('{')?;
    for (i, (key, value)) in entries.enumerate() {
        f.write_str(if i == 0 { "" } else { ", " })?;
        name(key, f)?;
        f.write_str(": ")?;
        value.write(levels, f)?;
    }
    f.write_char('}')
}

fn entries_of(map: &Map) -> impl ExactSizeIterator<Item = (&str, Inner<'_>)> {
    map.iter().map(|(key, value)| (key, Inner::Owned(value)))
}

fn entries_at(map: MapRef<'_>) -> impl ExactSizeIterator<Item = (&str, Inner<'_>)> {
    map.entries().map(|(key, raw)| (core::str::from_utf8(key).unwrap_or("?"), Inner::Borrowed(raw)))
}

/// `:A:B {k: 1}` or `:T {k: 1}`, without the brackets.
fn pattern<'a>(
    labels: impl Iterator<Item = &'a str>,
    properties: impl ExactSizeIterator<Item = (&'a str, Inner<'a>)>,
    levels: u32,
    f: &mut Formatter<'_>,
) -> fmt::Result {
    let mut any = false;
    for label in labels {
        f.write_char(':')?;
        name(label, f)?;
        any = true;
    }
    if properties.len() == 0 {
        return Ok(());
    }
    f.write_str(if any { " " } else { "" })?;
    map(properties, levels, f)
}

fn owned(value: &Value, levels: u32, f: &mut Formatter<'_>) -> fmt::Result {
    let node = |v: &crate::Node, f: &mut Formatter<'_>| {
        f.write_char('(')?;
        pattern(v.labels.iter().map(|label| label.as_str()), entries_of(&v.properties), levels, f)?;
        f.write_char(')')
    };
    let along = |rel_type: &str, properties: &Map, f: &mut Formatter<'_>| {
        f.write_char('[')?;
        pattern([rel_type].into_iter(), entries_of(properties), levels, f)?;
        f.write_char(']')
    };
    match value {
        Value::List(v) => list(v.iter().map(Inner::Owned), levels, f),
        Value::Map(v) => map(entries_of(v), levels, f),
        Value::Node(v) => node(v, f),
        Value::Relationship(v) => along(&v.rel_type, &v.properties, f),
        Value::UnboundRelationship(v) => along(&v.rel_type, &v.properties, f),
        Value::Path(v) => {
            let Some(start) = v.nodes.first() else { return f.write_str("<a path without nodes>") };
            node(start, f)?;
            v.steps().try_for_each(|(relationship, forward, to)| {
                f.write_str(if forward { "-" } else { "<-" })?;
                along(&relationship.rel_type, &relationship.properties, f)?;
                f.write_str(if forward { "->" } else { "-" })?;
                node(to, f)
            })
        }
        Value::Structure(v) => {
            write!(f, "<structure {:02X}> ", v.tag)?;
            list(v.fields.iter().map(Inner::Owned), levels, f)
        }
        Value::Null => f.write_str("null"),
        Value::Bool(v) => v.fmt(f),
        Value::Int(v) => v.fmt(f),
        Value::Float(v) => float(*v, f),
        Value::String(v) => string(v, f),
        Value::Bytes(v) => bytes(v, f),
        Value::Date(v) => write!(f, "date('{v}')"),
        Value::Time(v) => write!(f, "time('{v}')"),
        Value::LocalTime(v) => write!(f, "localtime('{v}')"),
        Value::DateTime(v) => write!(f, "datetime('{v}')"),
        Value::DateTimeZoned(v) => zoned(v.view(), f),
        Value::LocalDateTime(v) => write!(f, "localdatetime('{v}')"),
        Value::Duration(v) => write!(f, "duration('{v}')"),
        Value::Point2D(Point2D { srid, x, y }) => point(*srid, &[*x, *y], f),
        Value::Point3D(Point3D { srid, x, y, z }) => point(*srid, &[*x, *y, *z], f),
        Value::Vector(v) => vector(v.view(), f),
        Value::Uuid(v) => write!(f, "uuid('{v}')"),
        Value::Unsupported(v) => unsupported(v.view(), f),
    }
}

fn borrowed(value: &ValueRef<'_>, levels: u32, f: &mut Formatter<'_>) -> fmt::Result {
    let node = |v: &crate::NodeRef<'_>, f: &mut Formatter<'_>| {
        f.write_char('(')?;
        pattern(v.labels().map(|label| label.unwrap_or("?")), entries_at(v.properties()), levels, f)?;
        f.write_char(')')
    };
    let along = |rel_type: Result<&str, crate::DecodeError>, properties, f: &mut Formatter<'_>| {
        f.write_char('[')?;
        pattern([rel_type.unwrap_or("?")].into_iter(), entries_at(properties), levels, f)?;
        f.write_char(']')
    };
    match value {
        ValueRef::List(v) => list(v.raws().map(Inner::Borrowed), levels, f),
        ValueRef::Map(v) => map(entries_at(*v), levels, f),
        ValueRef::Node(v) => node(v, f),
        ValueRef::Relationship(v) => along(v.rel_type(), v.properties(), f),
        ValueRef::UnboundRelationship(v) => along(v.rel_type(), v.properties(), f),
        ValueRef::Path(v) => {
            match v.start() {
                Ok(start) => node(&start, f)?,
                Err(error) => return write!(f, "<{error}>"),
            }
            v.steps().try_for_each(|step| {
                let Ok(step) = step else { return f.write_str("-<a broken step>-") };
                f.write_str(if step.forward { "-" } else { "<-" })?;
                along(step.relationship.rel_type(), step.relationship.properties(), f)?;
                f.write_str(if step.forward { "->" } else { "-" })?;
                node(&step.node, f)
            })
        }
        ValueRef::Structure(v) => {
            write!(f, "<structure {:02X}> ", v.tag())?;
            list(v.raws().map(Inner::Borrowed), levels, f)
        }
        ValueRef::Null => f.write_str("null"),
        ValueRef::Bool(v) => v.fmt(f),
        ValueRef::Int(v) => v.fmt(f),
        ValueRef::Float(v) => float(*v, f),
        ValueRef::String(v) => string(v, f),
        ValueRef::Bytes(v) => bytes(v, f),
        ValueRef::Date(v) => write!(f, "date('{v}')"),
        ValueRef::Time(v) => write!(f, "time('{v}')"),
        ValueRef::LocalTime(v) => write!(f, "localtime('{v}')"),
        ValueRef::DateTime(v) => write!(f, "datetime('{v}')"),
        ValueRef::DateTimeZoned(v) => zoned(*v, f),
        ValueRef::LocalDateTime(v) => write!(f, "localdatetime('{v}')"),
        ValueRef::Duration(v) => write!(f, "duration('{v}')"),
        ValueRef::Point2D(Point2D { srid, x, y }) => point(*srid, &[*x, *y], f),
        ValueRef::Point3D(Point3D { srid, x, y, z }) => point(*srid, &[*x, *y, *z], f),
        ValueRef::Vector(v) => vector(*v, f),
        ValueRef::Uuid(v) => write!(f, "uuid('{v}')"),
        ValueRef::Unsupported(v) => unsupported(*v, f),
    }
}

/// As Cypher would write it. Shows [`SHOW_DEPTH_MAX`] levels and `…` for what lies deeper.
///
/// ```
/// use bolt_wire::{Date, Map, Node, Value};
///
/// let ada = Node { labels: vec!["Person".into()], properties: Map::from([("name", "Ada")]), ..Node::default() };
/// let row = Value::List(vec![ada.into(), Date { days: 19_782 }.into(), Value::Float(2.0), "it's".into()]);
/// assert_eq!(row.to_string(), r"[(:Person {name: 'Ada'}), date('2024-02-29'), 2.0, 'it\'s']");
/// ```
impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        owned(self, SHOW_DEPTH_MAX, f)
    }
}

impl Display for Map {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        map(entries_of(self), SHOW_DEPTH_MAX, f)
    }
}

/// As for [`Value`]; a part that cannot be read is shown as its error, in angle brackets.
impl Display for ValueRef<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        borrowed(self, SHOW_DEPTH_MAX, f)
    }
}
