//! Records as CSV (RFC 4180): a header line, `CRLF` ends, fields quoted when they must be.
//!
//! Null is an empty field and the empty string is `""`, so the two stay apart. Strings are exact, control characters included: CSV is
//! for programs. Lists, dictionaries and everything of the graph become their JSON (see [`crate::json`]) inside a quoted field.

use bolt_wire::{DecodeError, ValueRef};

use crate::sink::Sink;
use crate::{json, scalar};

/// A string field.
pub(crate) fn string(out: &mut impl Sink, text: &str) {
    if !text.is_empty() && !text.bytes().any(|b| matches!(b, b'"' | b',' | b'\n' | b'\r')) {
        return out.text(text);
    }
    out.put(b"\"");
    Doubled(out).text(text);
    out.put(b"\"");
}

/// A sink that doubles the quotes of what passes, for text inside a quoted field.
struct Doubled<'s, S: Sink>(&'s mut S);

impl<S: Sink> Sink for Doubled<'_, S> {
    fn put(&mut self, bytes: &[u8]) {
        if !bytes.contains(&b'"') {
            return self.0.put(bytes);
        }
        for (i, piece) in bytes.split(|b| *b == b'"').enumerate() {
            if i > 0 {
                self.0.put(b"\"\"");
            }
            self.0.put(piece);
        }
    }
}

/// The field of a value.
///
/// # Errors
/// A string that is not UTF-8.
pub(crate) fn value(out: &mut impl Sink, value: ValueRef<'_>) -> Result<(), DecodeError> {
    match value {
        ValueRef::Null => {}
        ValueRef::String(text) => string(out, text),
        ValueRef::Bytes(bytes) => scalar::base64(out, bytes),
        ValueRef::Bool(_) | ValueRef::Int(_) => json::value(out, value)?,
        ValueRef::Float(v) => {
            if scalar::finite(out, v).is_none() {
                out.text(scalar::non_finite(v));
            }
        }
        ValueRef::Date(_)
        | ValueRef::Time(_)
        | ValueRef::LocalTime(_)
        | ValueRef::DateTime(_)
        | ValueRef::LocalDateTime(_)
        | ValueRef::Duration(_)
        | ValueRef::Uuid(_) => json::moment(out, value),
        // A zone's name is the peer's own text.
        ValueRef::DateTimeZoned(_) => quoted(out, |o| json::moment(o, value)),
        nested => {
            out.put(b"\"");
            json::value(&mut Doubled(out), nested)?;
            out.put(b"\"");
        }
    }
    Ok(())
}

fn quoted<S: Sink>(out: &mut S, inside: impl FnOnce(&mut Doubled<'_, S>)) {
    out.put(b"\"");
    inside(&mut Doubled(out));
    out.put(b"\"");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_when_they_must_be() {
        for (text, field) in [
            ("plain text", "plain text"),
            ("", "\"\""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("\"", "\"\"\"\""),
        ] {
            let mut out = Vec::new();
            string(&mut out, text);
            assert_eq!(String::from_utf8(out).expect("text"), field);
        }
    }
}
