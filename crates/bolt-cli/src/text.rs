//! Values as people read them, for table cells: Cypher's own notation, on one line, with nothing a terminal would obey.
//!
//! A string by itself is printed bare, inside anything else it is quoted. Control characters, line separators and the marks that turn
//! the direction of text are written as escapes, so a value can neither move the cursor nor disguise itself. Never meant to be read
//! back: `json` and `csv` are.

use bolt_wire::{
    DecodeError, Kind, ListRef, MapRef, NodeRef, PathRef, RawRef, UnboundRelationshipRef, ValueRef,
};

use crate::sink::{Fmt, Sink};
use crate::{json, scalar};

/// Appends a value as the content of a cell.
///
/// # Errors
/// A string that is not UTF-8.
pub(crate) fn cell(out: &mut impl Sink, value: ValueRef<'_>) -> Result<(), DecodeError> {
    match value {
        ValueRef::String(text) => {
            plain(out, text);
            Ok(())
        }
        other => leaf(out, other),
    }
}

/// Text without anything a terminal would obey.
pub(crate) fn plain(out: &mut impl Sink, text: &str) {
    let mut start = 0;
    for (at, c) in text.char_indices() {
        let obeyed = c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if obeyed {
            out.text(&text[start..at]);
            match c {
                '\n' => out.text("\\n"),
                '\r' => out.text("\\r"),
                '\t' => out.text("\\t"),
                _ => {
                    use std::fmt::Write as _;
                    let _ = write!(Fmt(out), "\\u{:04x}", u32::from(c));
                }
            }
            start = at + c.len_utf8();
        }
    }
    out.text(&text[start..]);
}

fn quoted(out: &mut impl Sink, text: &str) {
    out.put(b"\"");
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\\']) {
        plain(out, &rest[..at]);
        out.put(b"\\");
        out.text(&rest[at..=at]);
        rest = &rest[at + 1..];
    }
    plain(out, rest);
    out.put(b"\"");
}

/// The value that stands at a place inside another one. Lists and dictionaries recurse through here and through nothing larger.
fn nested(out: &mut impl Sink, at: RawRef<'_>) -> Result<(), DecodeError> {
    match at.kind() {
        Kind::List => list(out, at.list()?),
        Kind::Map => map(out, at.map()?),
        _ => leaf(out, at.value()?),
    }
}

fn list(out: &mut impl Sink, items: ListRef<'_>) -> Result<(), DecodeError> {
    out.put(b"[");
    for (i, item) in items.raws().enumerate() {
        if i > 0 {
            out.put(b", ");
        }
        nested(out, item)?;
    }
    out.put(b"]");
    Ok(())
}

#[inline(never)]
fn leaf(out: &mut impl Sink, value: ValueRef<'_>) -> Result<(), DecodeError> {
    match value {
        ValueRef::Null => out.put(b"null"),
        ValueRef::Bool(v) => out.put(if v { b"true" } else { b"false" }),
        ValueRef::Int(v) => scalar::int(out, v),
        ValueRef::Float(v) => float(out, v),
        ValueRef::String(v) => quoted(out, v),
        ValueRef::Bytes(v) => {
            out.put(b"0x");
            for byte in v {
                out.put(&[scalar::hex(byte >> 4), scalar::hex(*byte)]);
            }
        }
        ValueRef::List(items) => list(out, items)?,
        ValueRef::Map(entries) => map(out, entries)?,
        ValueRef::Node(v) => node(out, v)?,
        ValueRef::Relationship(v) => relationship(out, v.rel_type()?, v.properties())?,
        ValueRef::UnboundRelationship(v) => relationship(out, v.rel_type()?, v.properties())?,
        ValueRef::Path(v) => path(out, v)?,
        ValueRef::Point2D(p) => point(out, p.srid, p.x, p.y, None),
        ValueRef::Point3D(p) => point(out, p.srid, p.x, p.y, Some(p.z)),
        ValueRef::Vector(v) => json::vector(out, v),
        ValueRef::Unsupported(v) => {
            out.put(b"<");
            plain(out, v.name);
            out.put(b", needs Bolt ");
            scalar::int(out, v.minimum_major);
            out.put(b".");
            scalar::int(out, v.minimum_minor);
            out.put(b">");
        }
        ValueRef::Structure(v) => {
            out.put(b"<structure ");
            out.put(&json::hex_tag(v.tag()));
            out.put(b">");
        }
        other => json::moment(out, other),
    }
    Ok(())
}

fn float(out: &mut impl Sink, value: f64) {
    if scalar::finite(out, value).is_none() {
        out.text(scalar::non_finite(value));
    }
}

fn map(out: &mut impl Sink, entries: MapRef<'_>) -> Result<(), DecodeError> {
    out.put(b"{");
    for (i, (key, item)) in entries.entries().enumerate() {
        if i > 0 {
            out.put(b", ");
        }
        let Ok(key) = std::str::from_utf8(key) else { return Err(crate::decode::bad_key(entries)) };
        plain(out, key);
        out.put(b": ");
        nested(out, item)?;
    }
    out.put(b"}");
    Ok(())
}

fn node(out: &mut impl Sink, node: NodeRef<'_>) -> Result<(), DecodeError> {
    out.put(b"(");
    for label in node.labels() {
        out.put(b":");
        plain(out, label?);
    }
    if !node.properties().is_empty() {
        if !node.labels_list().is_empty() {
            out.put(b" ");
        }
        map(out, node.properties())?;
    }
    out.put(b")");
    Ok(())
}

fn relationship(out: &mut impl Sink, kind: &str, properties: MapRef<'_>) -> Result<(), DecodeError> {
    out.put(b"[:");
    plain(out, kind);
    if !properties.is_empty() {
        out.put(b" ");
        map(out, properties)?;
    }
    out.put(b"]");
    Ok(())
}

fn path(out: &mut impl Sink, path: PathRef<'_>) -> Result<(), DecodeError> {
    node(out, path.start()?)?;
    for step in path.steps() {
        let step = step?;
        let rel: UnboundRelationshipRef<'_> = step.relationship;
        out.put(if step.forward { b"-" } else { b"<-" });
        relationship(out, rel.rel_type()?, rel.properties())?;
        out.put(if step.forward { b"->" } else { b"-" });
        node(out, step.node)?;
    }
    Ok(())
}

fn point(out: &mut impl Sink, srid: i64, x: f64, y: f64, z: Option<f64>) {
    out.put(b"point({srid: ");
    scalar::int(out, srid);
    out.put(b", x: ");
    float(out, x);
    out.put(b", y: ");
    float(out, y);
    if let Some(z) = z {
        out.put(b", z: ");
        float(out, z);
    }
    out.put(b"})");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_terminal_obeys_gets_through() {
        let mut out = Vec::new();
        plain(&mut out, "a\u{1b}[31mred\u{9b}0m\n\r\t\u{7}\u{202e}evil\u{2066}\u{2028}größe 😀");
        let text = String::from_utf8(out).expect("text");
        assert_eq!(text, "a\\u001b[31mred\\u009b0m\\n\\r\\t\\u0007\\u202eevil\\u2066\\u2028größe 😀");
    }

    #[test]
    fn quotes_and_backslashes_inside_other_values() {
        let mut out = Vec::new();
        quoted(&mut out, "a\"b\\c\nd");
        assert_eq!(out, br#""a\"b\\c\nd""#);
    }
}
