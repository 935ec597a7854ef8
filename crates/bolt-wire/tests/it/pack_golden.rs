//! Golden bytes: every example of the protocol's tables, written as a server or an official driver writes it, and read back.

use bolt_wire::{
    Bytes, Date, DateTime, DateTimeForm, DateTimeZoned, Dialect, Duration, Encode, Encoder, LocalDateTime,
    LocalTime, Map, Node, Path, Point2D, RawRef, Time, UnboundRelationship, Unsupported, Uuid, Value, Vector,
    Walker,
};

/// Bytes from hexadecimal digits; blanks are ignored.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    assert_eq!(digits.len() % 2, 0, "{text}");
    digits.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect()
}

pub(crate) fn encode(value: &impl Encode, dialect: Dialect) -> Vec<u8> {
    let mut out = Vec::new();
    Encoder::new(&mut out, dialect).encode(value).unwrap();
    out
}

/// The value in `bytes`, which must hold nothing else.
pub(crate) fn decode(bytes: &[u8], dialect: Dialect) -> Value {
    assert_eq!(Walker::default().walk(bytes, 0, dialect), Ok(bytes.len()));
    RawRef::new(bytes, 0).value().unwrap().to_owned().unwrap()
}

/// That `value` is written as `golden`, and `golden` read as `value`.
fn both_ways(value: impl Into<Value>, golden: &str, dialect: Dialect) {
    let value = value.into();
    assert_eq!(encode(&value, dialect), hex(golden), "{value:?}");
    assert_eq!(decode(&hex(golden), dialect), value, "{golden}");
}

#[test]
fn scalars() {
    for (value, golden) in [
        (0i64, "00"),
        (127, "7F"),
        (-16, "F0"),
        (-1, "FF"),
        (128, "C9 00 80"),
        (-17, "C8 EF"),
        (-128, "C8 80"),
        (-129, "C9 FF 7F"),
        (32_767, "C9 7F FF"),
        (32_768, "CA 00 00 80 00"),
        (-32_768, "C9 80 00"),
        (-32_769, "CA FF FF 7F FF"),
        (i64::from(i32::MAX), "CA 7F FF FF FF"),
        (1 << 31, "CB 00 00 00 00 80 00 00 00"),
        (i64::from(i32::MIN), "CA 80 00 00 00"),
        (i64::from(i32::MIN) - 1, "CB FF FF FF FF 7F FF FF FF"),
        (i64::MIN, "CB 80 00 00 00 00 00 00 00"),
        (i64::MAX, "CB 7F FF FF FF FF FF FF FF"),
    ] {
        both_ways(value, golden, Dialect::V4);
    }
    both_ways((), "C0", Dialect::V4);
    both_ways(true, "C3", Dialect::V4);
    both_ways(false, "C2", Dialect::V4);
    both_ways(1.5, "C1 3F F8 00 00 00 00 00 00", Dialect::V4);
    both_ways(f64::INFINITY, "C1 7F F0 00 00 00 00 00 00", Dialect::V4);
    both_ways("", "80", Dialect::V4);
    both_ways("größe", "87 67 72 C3 B6 C3 9F 65", Dialect::V4);
    both_ways(Bytes(&[]), "CC 00", Dialect::V4);
    both_ways(Bytes(&[1, 2, 3]), "CC 03 01 02 03", Dialect::V4);
}

#[test]
fn containers() {
    let list = vec![Value::Int(1), Value::Float(2.0), Value::from("three")];
    both_ways(list, "93 01 C1 40 00 00 00 00 00 00 00 85 74 68 72 65 65", Dialect::V4);
    both_ways(Map::from([("a", Value::Int(1)), ("b", Value::Null)]), "A2 81 61 01 81 62 C0", Dialect::V4);
    both_ways(vec![1i64; 16], &format!("D4 10 {}", "01".repeat(16)), Dialect::V4);
    let entries: Map = (0..16).map(|i| (char::from(b'a' + i).to_string(), 1)).collect();
    let golden: String = (0..16).map(|i| format!("81 {:02X} 01", b'a' + i)).collect();
    both_ways(entries, &format!("D8 10 {golden}"), Dialect::V4);
}

#[test]
fn structures() {
    let (v4, v5) = (Dialect::V4, Dialect::V5);
    both_ways(Date { days: 1 }, "B1 44 01", v5);
    both_ways(Date { days: 19_782 }, "B1 44 C9 4D 46", v5);
    let time = Time { nanoseconds: 1_000_000_000, offset_seconds: 3_600 };
    both_ways(time, "B2 54 CA 3B 9A CA 00 C9 0E 10", v5);
    both_ways(LocalTime { nanoseconds: 1_000_000_000 }, "B1 74 CA 3B 9A CA 00", v5);
    both_ways(LocalDateTime { seconds: 1, nanoseconds: 0 }, "B2 64 01 00", v5);
    let long = Duration { months: 1, days: 2, seconds: 3, nanoseconds: 500_000_000 };
    both_ways(long, "B4 45 01 02 03 CA 1D CD 65 00", v5);
    let negative = Duration { seconds: -1, nanoseconds: 500_000_000, ..Duration::default() };
    both_ways(negative, "B4 45 00 00 FF CA 1D CD 65 00", v5);
    let point = Point2D { srid: 7_203, x: 1.0, y: 2.0 };
    both_ways(point, "B3 58 C9 1C 23 C1 3F F0 00 00 00 00 00 00 C1 40 00 00 00 00 00 00 00", v5);

    let time = DateTime::new(4_500, 42, 3_600);
    both_ways(time, "B3 49 C9 11 94 2A C9 0E 10", v5);
    let legacy = time.to_form(DateTimeForm::LegacyLocal).unwrap();
    both_ways(legacy, "B3 46 C9 1F A4 2A C9 0E 10", v4);
    assert_eq!(encode(&time, v4), encode(&legacy, v4), "the encoder picks the form");
    assert_eq!(encode(&time, v5), encode(&legacy, v5), "the encoder picks the form");
    let zone = String::from("Europe/Paris");
    let zoned = DateTimeZoned { seconds: 4_500, nanoseconds: 0, zone, form: DateTimeForm::Utc };
    both_ways(zoned.clone(), "B3 69 C9 11 94 00 8C 45 75 72 6F 70 65 2F 50 61 72 69 73", v5);
    let legacy = zoned.to_form(DateTimeForm::LegacyLocal, 3_600).unwrap();
    both_ways(legacy, "B3 66 C9 1F A4 00 8C 45 75 72 6F 70 65 2F 50 61 72 69 73", v4);

    both_ways(Vector::from(&[1f32, -2.0][..]), "B2 56 CC 01 C6 CC 08 3F 80 00 00 C0 00 00 00", Dialect::V6_0);
    both_ways(Vector::from(&[1i8, 2, 3][..]), "B2 56 CC 01 C8 CC 03 01 02 03", Dialect::V6_0);
    let uuid: Uuid = "550e8400-e29b-41d4-a716-446655440000".parse().unwrap();
    both_ways(uuid, "E0 55 0E 84 00 E2 9B 41 D4 A7 16 44 66 55 44 00 00", Dialect::V6_1);
    let unsupported = Unsupported { name: "UUID".into(), minimum_major: 6, minimum_minor: 1, message: None };
    both_ways(Value::Unsupported(unsupported.into()), "B4 3F 84 55 55 49 44 06 01 A0", Dialect::V6_0);
}

#[test]
fn graph_values() {
    let element_id = String::from("4:0f3c9a5e-6f6b-4b8e-9d61-3f0a4e5b7c21:0");
    let node = Node {
        id: 0,
        labels: vec!["A".into()],
        properties: Map::from([("k", 1)]),
        element_id: Some(element_id.clone()),
    };
    let digits: String = element_id.bytes().map(|byte| format!("{byte:02X}")).collect();
    both_ways(node.clone(), &format!("B4 4E 00 91 81 41 A1 81 6B 01 D0 28 {digits}"), Dialect::V5);
    let old = |id| Node { id, labels: vec![], properties: Map::new(), element_id: None };
    both_ways(old(7), "B3 4E 07 90 A0", Dialect::V4);

    let along = UnboundRelationship { id: 9, rel_type: "t".into(), ..UnboundRelationship::default() };
    let path = Path { nodes: vec![old(1), old(2)], relationships: vec![along.clone()], indices: vec![-1, 1] };
    both_ways(
        path.clone(),
        "B3 50 92 B3 4E 01 90 A0 B3 4E 02 90 A0 91 B3 72 09 81 74 A0 92 FF 01",
        Dialect::V4,
    );
    assert_eq!(path.steps().collect::<Vec<_>>(), [(&along, false, &old(2))]);
}
