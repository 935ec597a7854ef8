//! Values as JSON, from the bytes of the record to the bytes of the output: no tree between them, nothing allocated.
//!
//! | value | JSON |
//! |---|---|
//! | null, boolean, integer, string, list, dictionary | the same; integers are exact, all 64 bits of them |
//! | float | shortest number that reads back equal, always with `.` or an exponent; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | bytes | base64 string |
//! | date, times, date-times, duration | ISO 8601 string; with a named zone the instant in UTC and the name, `…Z[Europe/Paris]` |
//! | point | `{"srid", "x", "y"}` and `"z"` |
//! | node | `{"id", "element_id", "labels", "properties"}`, `element_id` from Bolt 5.0 |
//! | relationship | `{"id", "element_id", "type", "start", "start_element_id", "end", "end_element_id", "properties"}`; likewise |
//! | path | `{"nodes", "relationships"}` in the order walked |
//! | vector | list of numbers |
//! | UUID | string |
//! | what the protocol version cannot carry | `{"unsupported", "needs_bolt", "message"}` |
//! | a broken or unknown structure | `{"structure", "problem"}`, the tag in hexadecimal |
//!
//! Recursion is bounded by the decoder's depth limit (1,024), which every value has passed before it comes here.

use bolt_wire::{
    DateTimeForm, DecodeError, ElementType, Kind, ListRef, MapRef, NodeRef, PathRef, RawRef, RelationshipRef,
    UnboundRelationshipRef, ValueRef, VectorRef,
};

use crate::scalar;
use crate::sink::Sink;

/// Appends a JSON string.
pub(crate) fn string(out: &mut impl Sink, text: &str) {
    out.put(b"\"");
    escaped(out, text);
    out.put(b"\"");
}

/// A string's inside. Control characters are escaped, C1 and DEL too: a terminal would obey them.
fn escaped(out: &mut impl Sink, text: &str) {
    let bytes = text.as_bytes();
    let (mut start, mut at) = (0, 0);
    while at < bytes.len() {
        let byte = bytes[at];
        if byte >= b' ' && byte != b'"' && byte != b'\\' && byte != 0x7F && byte != 0xC2 {
            at += 1;
            continue;
        }
        let (code, width) = match byte {
            0xC2 if bytes.get(at + 1).is_some_and(|b| *b < 0xA0) => (bytes[at + 1], 2),
            0xC2 => {
                at += 2;
                continue;
            }
            _ => (byte, 1),
        };
        out.put(&bytes[start..at]);
        match code {
            b'"' => out.put(b"\\\""),
            b'\\' => out.put(b"\\\\"),
            b'\n' => out.put(b"\\n"),
            b'\r' => out.put(b"\\r"),
            b'\t' => out.put(b"\\t"),
            _ => out.put(&[b'\\', b'u', b'0', b'0', scalar::hex(code >> 4), scalar::hex(code)]),
        }
        at += width;
        start = at;
    }
    out.put(&bytes[start..]);
}

fn float(out: &mut impl Sink, value: f64) {
    if scalar::finite(out, value).is_none() {
        string(out, scalar::non_finite(value));
    }
}

/// Appends the value that stands at a place. Scalars are read straight from their marker; lists and dictionaries recurse through here
/// and through nothing larger, so that a thousand levels fit a small stack.
///
/// # Errors
/// A string that is not UTF-8.
#[inline]
pub(crate) fn raw(out: &mut impl Sink, at: RawRef<'_>) -> Result<(), DecodeError> {
    match at.kind() {
        Kind::Int => scalar::int(out, at.int()?),
        Kind::String => string(out, at.str()?),
        Kind::List => list(out, at.list()?)?,
        Kind::Map => map(out, at.map()?)?,
        _ => value(out, at.value()?)?,
    }
    Ok(())
}

fn list(out: &mut impl Sink, items: ListRef<'_>) -> Result<(), DecodeError> {
    out.put(b"[");
    for (i, item) in items.raws().enumerate() {
        if i > 0 {
            out.put(b",");
        }
        raw(out, item)?;
    }
    out.put(b"]");
    Ok(())
}

/// Appends a value.
///
/// # Errors
/// A string that is not UTF-8.
#[inline(never)]
pub(crate) fn value(out: &mut impl Sink, value: ValueRef<'_>) -> Result<(), DecodeError> {
    match value {
        ValueRef::Null => out.put(b"null"),
        ValueRef::Bool(v) => out.put(if v { b"true" } else { b"false" }),
        ValueRef::Int(v) => scalar::int(out, v),
        ValueRef::Float(v) => float(out, v),
        ValueRef::String(v) => string(out, v),
        ValueRef::Bytes(v) => quoted(out, |o| scalar::base64(o, v)),
        ValueRef::List(items) => list(out, items)?,
        ValueRef::Map(entries) => map(out, entries)?,
        ValueRef::Node(v) => node(out, v)?,
        ValueRef::Relationship(v) => relationship(out, v)?,
        ValueRef::UnboundRelationship(v) => unbound(out, v, None)?,
        ValueRef::Path(v) => path(out, v)?,
        ValueRef::Point2D(p) => point(out, p.srid, p.x, p.y, None),
        ValueRef::Point3D(p) => point(out, p.srid, p.x, p.y, Some(p.z)),
        ValueRef::Vector(v) => vector(out, v),
        ValueRef::Unsupported(v) => {
            out.put(b"{\"unsupported\":");
            string(out, v.name);
            out.put(b",\"needs_bolt\":\"");
            scalar::int(out, v.minimum_major);
            out.put(b".");
            scalar::int(out, v.minimum_minor);
            out.put(b"\",\"message\":");
            match v.message {
                Some(message) => string(out, message),
                None => out.put(b"null"),
            }
            out.put(b"}");
        }
        ValueRef::Structure(v) => {
            out.put(b"{\"structure\":\"");
            out.put(&hex_tag(v.tag()));
            out.put(b"\",\"problem\":");
            match v.problem() {
                Some(problem) => display(out, problem),
                None => out.put(b"null"),
            }
            out.put(b"}");
        }
        other => quoted(out, |o| moment(o, other)),
    }
    Ok(())
}

/// Temporal values and UUIDs, without quotes; also what the table prints of them.
pub(crate) fn moment(out: &mut impl Sink, value: ValueRef<'_>) {
    match value {
        ValueRef::Date(d) => scalar::date(out, d.days),
        ValueRef::Time(t) => scalar::time(out, t.nanoseconds, t.offset_seconds),
        ValueRef::LocalTime(t) => scalar::local_time(out, t.nanoseconds),
        ValueRef::LocalDateTime(t) => scalar::local_datetime(out, t.seconds, t.nanoseconds),
        ValueRef::DateTime(t) => {
            // Beyond 64 bits of seconds only one clock can be written; the offset tells which.
            let utc = t.utc_seconds().unwrap_or(t.seconds);
            scalar::datetime_utc(out, utc, t.nanoseconds, t.offset_seconds);
        }
        ValueRef::DateTimeZoned(t) => {
            scalar::local_datetime(out, t.seconds, t.nanoseconds);
            if t.form == DateTimeForm::Utc {
                out.put(b"Z");
            }
            out.put(b"[");
            escaped(out, t.zone);
            out.put(b"]");
        }
        ValueRef::Duration(d) => scalar::duration(out, d.months, d.days, d.seconds, d.nanoseconds),
        ValueRef::Uuid(id) => scalar::uuid(out, id.0),
        _ => out.put(b"?"),
    }
}

fn quoted<S: Sink>(out: &mut S, inside: impl FnOnce(&mut S)) {
    out.put(b"\"");
    inside(out);
    out.put(b"\"");
}

/// An error's sentence as a string; it is plain ASCII without quotes.
fn display(out: &mut impl Sink, problem: DecodeError) {
    use std::fmt::Write as _;
    quoted(out, |o| {
        let _ = write!(crate::sink::Fmt(o), "{problem}");
    });
}

/// `0x58`.
pub(crate) fn hex_tag(tag: u8) -> [u8; 4] {
    [b'0', b'x', scalar::hex(tag >> 4), scalar::hex(tag)]
}

fn map(out: &mut impl Sink, entries: MapRef<'_>) -> Result<(), DecodeError> {
    out.put(b"{");
    for (i, (key, item)) in entries.entries().enumerate() {
        if i > 0 {
            out.put(b",");
        }
        let Ok(key) = std::str::from_utf8(key) else { return Err(crate::decode::bad_key(entries)) };
        string(out, key);
        out.put(b":");
        raw(out, item)?;
    }
    out.put(b"}");
    Ok(())
}

fn identity(out: &mut impl Sink, key: &[u8], id: i64, element_key: &[u8], element_id: Option<&str>) {
    out.put(key);
    scalar::int(out, id);
    if let Some(element_id) = element_id {
        out.put(element_key);
        string(out, element_id);
    }
}

fn node(out: &mut impl Sink, node: NodeRef<'_>) -> Result<(), DecodeError> {
    identity(out, b"{\"id\":", node.id(), b",\"element_id\":", node.element_id()?);
    out.put(b",\"labels\":[");
    for (i, label) in node.labels().enumerate() {
        if i > 0 {
            out.put(b",");
        }
        string(out, label?);
    }
    out.put(b"],\"properties\":");
    map(out, node.properties())?;
    out.put(b"}");
    Ok(())
}

fn relationship(out: &mut impl Sink, rel: RelationshipRef<'_>) -> Result<(), DecodeError> {
    let [own, start, end] = rel.element_ids()?.map_or([None; 3], |ids| ids.map(Some));
    identity(out, b"{\"id\":", rel.id(), b",\"element_id\":", own);
    out.put(b",\"type\":");
    string(out, rel.rel_type()?);
    identity(out, b",\"start\":", rel.start_id(), b",\"start_element_id\":", start);
    identity(out, b",\"end\":", rel.end_id(), b",\"end_element_id\":", end);
    out.put(b",\"properties\":");
    map(out, rel.properties())?;
    out.put(b"}");
    Ok(())
}

/// A relationship of a path; its ends follow from the walk.
fn unbound(
    out: &mut impl Sink,
    rel: UnboundRelationshipRef<'_>,
    ends: Option<(NodeRef<'_>, NodeRef<'_>)>,
) -> Result<(), DecodeError> {
    identity(out, b"{\"id\":", rel.id(), b",\"element_id\":", rel.element_id()?);
    out.put(b",\"type\":");
    string(out, rel.rel_type()?);
    if let Some((start, end)) = ends {
        identity(out, b",\"start\":", start.id(), b",\"start_element_id\":", start.element_id()?);
        identity(out, b",\"end\":", end.id(), b",\"end_element_id\":", end.element_id()?);
    }
    out.put(b",\"properties\":");
    map(out, rel.properties())?;
    out.put(b"}");
    Ok(())
}

fn path(out: &mut impl Sink, path: PathRef<'_>) -> Result<(), DecodeError> {
    out.put(b"{\"nodes\":[");
    node(out, path.start()?)?;
    for step in path.steps() {
        out.put(b",");
        node(out, step?.node)?;
    }
    out.put(b"],\"relationships\":[");
    let mut from = path.start()?;
    for (i, step) in path.steps().enumerate() {
        if i > 0 {
            out.put(b",");
        }
        let step = step?;
        let ends = if step.forward { (from, step.node) } else { (step.node, from) };
        unbound(out, step.relationship, Some(ends))?;
        from = step.node;
    }
    out.put(b"]}");
    Ok(())
}

fn point(out: &mut impl Sink, srid: i64, x: f64, y: f64, z: Option<f64>) {
    out.put(b"{\"srid\":");
    scalar::int(out, srid);
    out.put(b",\"x\":");
    float(out, x);
    out.put(b",\"y\":");
    float(out, y);
    if let Some(z) = z {
        out.put(b",\"z\":");
        float(out, z);
    }
    out.put(b"}");
}

/// A list of the numbers. A 32-bit float is written as the shortest text that reads back to the same 32-bit float.
pub(crate) fn vector(out: &mut impl Sink, vector: VectorRef<'_>) {
    out.put(b"[");
    let mut first = true;
    let mut comma = |out: &mut _| {
        if !std::mem::take(&mut first) {
            Sink::put(out, b",");
        }
    };
    match vector.element_type() {
        ElementType::F32 => {
            for v in vector.iter_f32().into_iter().flatten() {
                comma(out);
                float32(out, v);
            }
        }
        ElementType::F64 => {
            for v in vector.iter_f64().into_iter().flatten() {
                comma(out);
                float(out, v);
            }
        }
        _ => {
            for v in vector.iter_i64().into_iter().flatten() {
                comma(out);
                scalar::int(out, v);
            }
        }
    }
    out.put(b"]");
}

fn float32(out: &mut impl Sink, value: f32) {
    use std::fmt::Write as _;
    if value.is_finite() {
        let _ = write!(crate::sink::Fmt(out), "{value:?}");
    } else {
        string(out, scalar::non_finite(f64::from(value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_and_nothing_else_is_touched() {
        for (text, json) in [
            ("", r#""""#),
            ("größe 名前 😀", r#""größe 名前 😀""#),
            ("a\"b\\c\nd\re\tf", r#""a\"b\\c\nd\re\tf""#),
            ("\u{0}\u{1b}\u{7f}\u{9b}\u{a0}", "\"\\u0000\\u001b\\u007f\\u009b\u{a0}\""),
            ("\u{85}x\u{c2}", "\"\\u0085xÂ\""),
        ] {
            let mut out = Vec::new();
            string(&mut out, text);
            assert_eq!(String::from_utf8(out).expect("text"), json);
        }
    }

    #[test]
    fn as_deep_as_the_decoder_lets_through() {
        // The smallest stack a main thread has anywhere is 1 MiB; a debug build's frames are many times larger.
        let stack_bytes = if cfg!(debug_assertions) { 8 << 20 } else { 1 << 20 };
        let deepest = std::thread::Builder::new().stack_size(stack_bytes).spawn(deepest).expect("a thread");
        deepest.join().expect("rendered");
    }

    /// The deepest value any record can hold, in every renderer.
    fn deepest() {
        let depth = bolt_wire::DEPTH_MAX_DEFAULT as usize - 2;
        let mut message = vec![0x91; depth];
        message.push(7);
        let dialect = bolt_wire::Version::V5_8.dialect(false);
        bolt_wire::Walker::new(bolt_wire::DEPTH_MAX_DEFAULT)
            .walk(&message, 0, dialect)
            .expect("within the limit");
        let at = RawRef::new(&message, 0);
        let expected = format!("{}7{}", "[".repeat(depth), "]".repeat(depth));
        let mut out = Vec::new();
        raw(&mut out, at).expect("rendered");
        assert_eq!(out, expected.as_bytes());
        out.clear();
        crate::text::cell(&mut out, at.value().expect("a list")).expect("rendered");
        assert_eq!(out, expected.as_bytes());
        out.clear();
        crate::csv::value(&mut out, at.value().expect("a list")).expect("rendered");
        assert_eq!(out, format!("\"{expected}\"").as_bytes());
        crate::decode::touch(at).expect("decoded");
    }
}
