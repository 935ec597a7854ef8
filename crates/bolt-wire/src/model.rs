//! The naive twin of the walker and the reader: recursion, one byte after the other, no tables. For tests and fuzz targets only.
//! Owns the oracle and the comparison; its recursion ends at [`DEPTH`], so that it can be fed anything.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::{
    CountBytes, Dialect, Encode, Encoder, Fields, FromValue, RawRef, RecordDecoder, Value, ValueRef, Walker,
};

/// The nesting limit under which both sides are compared.
pub const DEPTH: u32 = 40;

/// The end of the value at `at`, or `None` if it is not legal.
fn end(bytes: &[u8], at: usize, depth: u32, dialect: Dialect) -> Option<usize> {
    let size = |width: usize| {
        let field = bytes.get(at + 1..at + 1 + width)?;
        let size = field.iter().fold(0usize, |size, &byte| size << 8 | usize::from(byte));
        (size < 1 << 31).then_some((size, at + 1 + width))
    };
    let marker = *bytes.get(at)?;
    let flat = |len: usize| (at + len <= bytes.len()).then_some(at + len);
    let raw = |(len, body): (usize, usize)| (body + len <= bytes.len()).then_some(body + len);
    let text = |(len, body): (usize, usize)| {
        core::str::from_utf8(bytes.get(body..body + len)?).ok().map(|_| body + len)
    };
    let nibble = (usize::from(marker & 0x0F), at + 1);
    let items = |(count, mut at): (usize, usize), keyed: bool| {
        let each = if keyed { 2 } else { 1 };
        if depth == 0 || count * each > bytes.len().checked_sub(at)? {
            return None;
        }
        for _ in 0..count {
            if keyed {
                if !matches!(bytes.get(at)?, 0x80..=0x8F | 0xD0..=0xD2) {
                    return None;
                }
                at = end(bytes, at, depth - 1, dialect)?;
            }
            at = end(bytes, at, depth - 1, dialect)?;
        }
        Some(at)
    };
    match marker {
        0x00..=0x7F | 0xF0..=0xFF | 0xC0 | 0xC2 | 0xC3 => flat(1),
        0xC8 => flat(2),
        0xC9 => flat(3),
        0xCA => flat(5),
        0xCB | 0xC1 => flat(9),
        0x80..=0x8F => text(nibble),
        0xD0 => text(size(1)?),
        0xD1 => text(size(2)?),
        0xD2 => text(size(4)?),
        0xCC => raw(size(1)?),
        0xCD => raw(size(2)?),
        0xCE => raw(size(4)?),
        0x90..=0x9F => items(nibble, false),
        0xD4 => items(size(1)?, false),
        0xD5 => items(size(2)?, false),
        0xD6 => items(size(4)?, false),
        0xA0..=0xAF => items(nibble, true),
        0xD8 => items(size(1)?, true),
        0xD9 => items(size(2)?, true),
        0xDA => items(size(4)?, true),
        0xB0..=0xBF => {
            bytes.get(at + 1)?;
            items((nibble.0, at + 2), false)
        }
        0xE0 if dialect.uuid => flat(17),
        _ => None,
    }
}

/// The value as text, decoded the naive way; `None` for text that is not UTF-8. Structures as tag and fields.
fn text(bytes: &[u8], at: &mut usize) -> Option<String> {
    let marker = bytes[*at];
    let mut take = |len: usize| {
        let part = &bytes[*at..*at + len];
        *at += len;
        part
    };
    let number = |part: &[u8]| part.iter().fold(0u64, |number, &byte| number << 8 | u64::from(byte));
    let head = take(1)[0];
    let count = match marker {
        0x80..=0xBF => usize::from(head & 0x0F),
        0xCC..=0xCE | 0xD0..=0xD2 | 0xD4..=0xD6 | 0xD8..=0xDA => number(take(1 << (head & 3))) as usize,
        _ => 0,
    };
    Some(match marker {
        0x00..=0x7F => format!("{marker}"),
        0xF0..=0xFF => format!("{}", i64::from(marker) - 256),
        0xC0 => "null".into(),
        0xC2 => "false".into(),
        0xC3 => "true".into(),
        0xC1 => format!("float {:016x}", number(take(8))),
        0xC8 => format!("{}", number(take(1)) as i8),
        0xC9 => format!("{}", number(take(2)) as i16),
        0xCA => format!("{}", number(take(4)) as i32),
        0xCB => format!("{}", number(take(8)) as i64),
        0xE0 => format!("uuid {:?}", take(16)),
        0x80..=0x8F | 0xD0..=0xD2 => format!("{:?}", core::str::from_utf8(take(count)).ok()?),
        0xCC..=0xCE => format!("bytes {:?}", take(count)),
        0xA0..=0xAF | 0xD8..=0xDA => {
            let mut all = String::from("{");
            for _ in 0..count {
                all += &text(bytes, at)?;
                all += ": ";
                all += &text(bytes, at)?;
                all += ", ";
            }
            all + "}"
        }
        _ => {
            let mut all = String::from("[");
            if matches!(marker, 0xB0..=0xBF) {
                all = format!("struct {} [", take(1)[0]);
            }
            for _ in 0..count {
                all += &text(bytes, at)?;
                all += ", ";
            }
            all + "]"
        }
    })
}

/// The value as the same text, read through the library.
fn library_text(raw: RawRef<'_>) -> Option<String> {
    let list = |head: &str, raws: crate::RawIter<'_>| {
        let mut all = String::from(head) + "[";
        for raw in raws {
            all += &library_text(raw)?;
            all += ", ";
        }
        Some(all + "]")
    };
    // Structures are compared by their fields; what they decode to is checked by reading them at all.
    if let Ok(structure) = raw.structure() {
        let _ = raw.value();
        return list(&format!("struct {} ", structure.tag()), structure.raws());
    }
    Some(match raw.value().ok()? {
        ValueRef::Null => "null".into(),
        ValueRef::Bool(v) => format!("{v}"),
        ValueRef::Int(v) => format!("{v}"),
        ValueRef::Float(v) => format!("float {:016x}", v.to_bits()),
        ValueRef::String(v) => format!("{v:?}"),
        ValueRef::Bytes(v) => format!("bytes {v:?}"),
        ValueRef::Uuid(v) => format!("uuid {:?}", &v.0[..]),
        ValueRef::List(v) => list("", v.raws())?,
        ValueRef::Map(v) => {
            let mut all = String::from("{");
            let mut entries = v.entries();
            while let Some((key, value)) = entries.next_raw() {
                all += &format!("{:?}: ", key.str().ok()?);
                all += &library_text(value)?;
                all += ", ";
            }
            all + "}"
        }
        other => format!("unexpected {other:?}"),
    })
}

/// Takes any bytes as one value, and as one RECORD, and holds the library to its promises.
///
/// # Panics
/// If the library and the oracle disagree, or a round trip changes a value.
pub fn decode(bytes: &[u8]) {
    for dialect in [Dialect::V4, Dialect::V6_1] {
        let expected = end(bytes, 0, DEPTH, dialect);
        let walked = Walker::new(DEPTH).walk(bytes, 0, dialect);
        match (&walked, expected) {
            (Ok(end), Some(expected)) => assert_eq!(*end, expected),
            (Err(error), None) => {
                assert!(error.offset <= bytes.len(), "{error}");
                let _ = format!("{error}");
            }
            _ => panic!("walked {walked:?}, expected {expected:?}"),
        }
        if let Ok(end) = walked {
            read(&bytes[..end], dialect);
        }
    }
    record(bytes);
}

/// One value that was walked.
fn read(bytes: &[u8], dialect: Dialect) {
    let raw = RawRef::new(bytes, 0);
    assert_eq!(raw.as_bytes(), bytes);
    assert_eq!(library_text(raw), text(bytes, &mut 0));
    let _ = format!(
        "{raw:?} {}",
        raw.value().map_or_else(|error| format!("{error}"), |value| format!("{value}"))
    );
    // Sent on as it stands, it is legal and says the same.
    let mut sent = Vec::new();
    Encoder::new(&mut sent, dialect).encode(&raw).expect("a Vec has no limit");
    assert_eq!(sent, bytes);
    let Ok(owned) = raw.value().and_then(|value| value.to_owned()) else { return };
    // Owned and written again it is in canonical form, which does not change any more. Some values cannot be written: illegal
    // tags, and what this dialect does not carry.
    let mut first = Vec::new();
    if Encoder::new(&mut first, dialect).encode(&owned).is_err() {
        return;
    }
    let again = decoded(&first, dialect);
    let mut second = Vec::new();
    Encoder::new(&mut second, dialect).encode(&again).expect("it was written before");
    assert_eq!(first, second, "{owned:?}");
}

/// The value in `bytes`, which must hold exactly one.
fn decoded(bytes: &[u8], dialect: Dialect) -> Value {
    assert_eq!(Walker::default().walk(bytes, 0, dialect), Ok(bytes.len()));
    Value::read(RawRef::new(bytes, 0)).expect("what was encoded can be decoded")
}

/// One message that may be a RECORD, and the value as the only column of one.
fn record(bytes: &[u8]) {
    let mut decoder = RecordDecoder::new(DEPTH, Dialect::V6_1);
    let fields: Fields = ["a", "b"].into_iter().collect();
    for width in 0..3 {
        if decoder.scan(bytes, width).is_ok() {
            let record = decoder.record(bytes, &fields);
            assert_eq!(record.len(), width);
            let parts: usize = (0..width).map(|column| record.raw(column).len()).sum();
            assert!(parts <= bytes.len());
            let owned = record.to_owned();
            assert_eq!(format!("{record:?}"), format!("{:?}", owned.as_ref()));
        }
    }
    let message = [&[0xB1, 0x71, 0x91], bytes].concat();
    if decoder.scan(&message, 1).is_err() {
        return;
    }
    let record = decoder.record(&message, &fields);
    let Ok(raw) = record.at(0) else { panic!("one column") };
    if let Ok(list) = raw.list() {
        let indexed = list.indexed();
        for (i, item) in list.raws().enumerate() {
            assert_eq!(indexed.raw(i).map(RawRef::offset), Some(item.offset()));
        }
        assert!(indexed.raw(list.len()).is_none());
        // The iterator that guesses widths, beside one look at a time.
        for (guessed, plain) in list.ints().zip(list.raws()) {
            assert_eq!(guessed, plain.int());
        }
        for (guessed, plain) in list.floats().zip(list.raws()) {
            assert_eq!(guessed.map(f64::to_bits), plain.float().map(f64::to_bits));
        }
        let _ = Vec::<Option<&str>>::from_raw(raw);
    }
    if let Ok(map) = raw.map() {
        let indexed = map.indexed();
        for (key, _) in map.entries() {
            if let Ok(key) = core::str::from_utf8(key) {
                assert_eq!(indexed.raw(key).map(RawRef::offset), map.raw(key).map(RawRef::offset));
            }
        }
    }
    if let Ok(path) = crate::PathRef::from_raw(raw) {
        for step in path.steps() {
            assert!(step.is_ok(), "a path that was read can be walked");
        }
    }
    #[cfg(feature = "serde")]
    {
        let _ = raw.deserialize::<Value>();
        let _ = raw.deserialize::<alloc::collections::BTreeMap<&str, serde::de::IgnoredAny>>();
    }
}

/// Decisions out of the input; zeros when it is used up.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// An integer of any width, with a taste for the borders between widths.
    fn int(&mut self) -> i64 {
        let bytes: [u8; 8] = core::array::from_fn(|_| self.byte());
        let wide = i64::from_le_bytes(bytes);
        let shift = self.byte();
        if shift >= 192 {
            (1i64 << (shift % 64)).wrapping_add(i64::from(shift % 3) - 1)
        } else {
            wide >> (shift % 64)
        }
    }

    fn float(&mut self) -> f64 {
        f64::from_bits(self.int().cast_unsigned())
    }

    fn string(&mut self) -> String {
        let len = usize::from(self.byte()) * if self.byte() > 250 { 300 } else { 1 };
        (0..len % 70_000)
            .map(|i| char::from_u32(u32::from(self.byte()) * 13 + i as u32 % 3).unwrap_or('\u{1F980}'))
            .collect()
    }

    fn count(&mut self) -> usize {
        usize::from(self.byte() % 24)
    }

    fn map(&mut self, depth: u32) -> crate::Map {
        (0..self.count()).map(|_| (self.string(), self.value(depth))).collect()
    }

    fn node(&mut self, depth: u32) -> crate::Node {
        crate::Node {
            id: self.int(),
            labels: (0..self.count()).map(|_| self.string()).collect(),
            properties: self.map(depth),
            element_id: Some(self.string()),
        }
    }

    fn value(&mut self, depth: u32) -> Value {
        let kind = if depth == 0 { self.byte() % 16 } else { self.byte() % 22 };
        match kind {
            0 => Value::Null,
            1 => (self.byte() < 128).into(),
            2..=4 => self.int().into(),
            5 => self.float().into(),
            6 => self.string().into(),
            7 => Value::Bytes((0..self.count()).map(|_| self.byte()).collect()),
            8 => crate::Date { days: self.int() }.into(),
            9 => crate::Time { nanoseconds: self.int(), offset_seconds: self.int() }.into(),
            10 => crate::DateTime::new(self.int(), self.int(), self.int()).into(),
            11 => crate::DateTimeZoned {
                seconds: self.int(),
                nanoseconds: self.int(),
                zone: self.string(),
                form: crate::DateTimeForm::Utc,
            }
            .into(),
            12 => crate::Duration {
                months: self.int(),
                days: self.int(),
                seconds: self.int(),
                nanoseconds: self.int(),
            }
            .into(),
            13 => {
                crate::Point3D { srid: self.int(), x: self.float(), y: self.float(), z: self.float() }.into()
            }
            14 => crate::Uuid(core::array::from_fn(|_| self.byte())).into(),
            15 => {
                let items: Vec<i16> = (0..self.count()).map(|_| self.int() as i16).collect();
                crate::Vector::from(&items[..]).into()
            }
            16 | 17 => Value::List((0..self.count() * 12).map(|_| self.value(depth - 1)).collect()),
            18 => Value::Map(self.map(depth - 1)),
            19 => self.node(depth - 1).into(),
            20 => crate::Relationship {
                id: self.int(),
                start_id: self.int(),
                end_id: self.int(),
                rel_type: self.string(),
                properties: self.map(depth - 1),
                element_ids: Some([self.string(), self.string(), self.string()]),
            }
            .into(),
            _ => {
                let along = crate::UnboundRelationship {
                    id: self.int(),
                    rel_type: self.string(),
                    properties: self.map(depth - 1),
                    element_id: Some(self.string()),
                };
                let nodes = [self.node(depth - 1), self.node(depth - 1)].into();
                crate::Path { nodes, relationships: [along].into(), indices: [-1, 1, 1, 0].into() }.into()
            }
        }
    }
}

/// Takes bytes as the description of a value, and sees that it survives being written and read, owned and borrowed.
///
/// # Panics
/// If it does not.
pub fn round_trip(choices: &[u8]) {
    let value = Choices(choices).value(3);
    let mut bytes = Vec::new();
    Encoder::new(&mut bytes, Dialect::V6_1).encode(&value).expect("every value can be written");
    let mut counted = CountBytes::default();
    Encoder::new(&mut counted, Dialect::V6_1).encode(&value).expect("every value can be counted");
    assert_eq!(counted.0, bytes.len());
    // Compared as text, so that every NaN equals itself.
    let read = decoded(&bytes, Dialect::V6_1);
    assert_eq!(format!("{read:?}"), format!("{value:?}"));
    let borrowed = RawRef::new(&bytes, 0).value().expect("what was encoded can be decoded");
    assert_eq!(format!("{borrowed}"), format!("{value}"));
    assert_eq!(format!("{:?}", value.clone()), format!("{value:?}"));
    assert_eq!(library_text(RawRef::new(&bytes, 0)), text(&bytes, &mut 0));
    let mut again = Vec::new();
    read.encode(&mut Encoder::new(&mut again, Dialect::V6_1)).expect("it was written before");
    assert_eq!(again, bytes);
    for cut in [1, bytes.len().div_ceil(2)] {
        let cut = &bytes[..bytes.len().saturating_sub(cut)];
        assert!(
            Walker::default().walk(cut, 0, Dialect::V6_1).is_err(),
            "a value that is cut off is an error"
        );
    }
}
