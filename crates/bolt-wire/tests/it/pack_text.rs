//! Values as text: each kind once, and what must not be mistaken for something else.

use bolt_wire::{
    Bytes, Date, DateTime, DateTimeForm, DateTimeZoned, Duration, LocalDateTime, LocalTime, Map, Node, Path,
    Point2D, Point3D, RawRef, Relationship, Structure, Time, UnboundRelationship, Uuid, Value, Vector,
};

use crate::pack_golden::encode;

fn ada() -> Node {
    Node {
        id: 1,
        labels: vec!["Person".into(), "Two words".into()],
        properties: Map::from([("name", Value::from("Ada")), ("né `1815`", Value::Null)]),
        element_id: Some("4:x:1".into()),
    }
}

#[test]
fn every_kind_of_value_reads_like_cypher() {
    let knows = UnboundRelationship {
        rel_type: "KNOWS".into(),
        properties: Map::from([("since", 1840)]),
        element_id: Some(String::new()),
        ..UnboundRelationship::default()
    };
    let bare = Node { element_id: Some("b".into()), ..Node::default() };
    let path =
        Path { nodes: vec![ada(), bare], relationships: vec![knows.clone()], indices: vec![1, 1, -1, 0] };
    let lived = Relationship {
        rel_type: "LIVED_IN".into(),
        element_ids: Some(["a", "b", "c"].map(String::from)),
        ..Relationship::default()
    };
    let paris = DateTimeZoned {
        seconds: 4_500,
        nanoseconds: 42,
        zone: "Europe/Paris".into(),
        form: DateTimeForm::Utc,
    };
    let cases: Vec<(Value, &str)> = vec![
        (Value::Null, "null"),
        (true.into(), "true"),
        (i64::MIN.into(), "-9223372036854775808"),
        (2.0.into(), "2.0"),
        (1e300.into(), "1e300"),
        (f64::NAN.into(), "NaN"),
        (f64::NEG_INFINITY.into(), "-Infinity"),
        ("it's \\ größe\n\u{7}".into(), r"'it\'s \\ größe\n\u0007'"),
        (Bytes(&[1, 0xAB]).into(), "bytes('01AB')"),
        (vec![Value::Int(1), vec!["a"].into(), Value::List(vec![])].into(), "[1, ['a'], []]"),
        (
            Map::from([("a", 1), ("_b2", 2), ("3c", 3), ("", 4), ("d`e", 5)]).into(),
            "{a: 1, _b2: 2, `3c`: 3, ``: 4, `d``e`: 5}",
        ),
        (Map::new().into(), "{}"),
        (ada().into(), "(:Person:`Two words` {name: 'Ada', `né ``1815```: null})"),
        (Node { element_id: Some("x".into()), ..Node::default() }.into(), "()"),
        (lived.into(), "[:LIVED_IN]"),
        (knows.into(), "[:KNOWS {since: 1840}]"),
        (
            path.into(),
            "(:Person:`Two words` {name: 'Ada', `né ``1815```: null})-[:KNOWS {since: 1840}]->()<-[:KNOWS {since: 1840}]-\
             (:Person:`Two words` {name: 'Ada', `né ``1815```: null})",
        ),
        (Date { days: 19_782 }.into(), "date('2024-02-29')"),
        (Date { days: -719_529 }.into(), "date('-0001-12-31')"),
        (Date { days: 2_932_897 }.into(), "date('+10000-01-01')"),
        (Date { days: i64::MAX }.into(), "date('+25252734927768524-07-27')"),
        (Time { nanoseconds: 1_000_000_000, offset_seconds: 3_600 }.into(), "time('00:00:01+01:00')"),
        (Time { nanoseconds: 1, offset_seconds: -19_815 }.into(), "time('00:00:00.000000001-05:30:15')"),
        (LocalTime { nanoseconds: 86_399_999_000_000 }.into(), "localtime('23:59:59.999')"),
        (
            LocalDateTime { seconds: -1, nanoseconds: 500_000_000 }.into(),
            "localdatetime('1969-12-31T23:59:59.5')",
        ),
        (DateTime::new(4_500, 42, 3_600).into(), "datetime('1970-01-01T02:15:00.000000042+01:00')"),
        (DateTime::new(0, 0, 0).into(), "datetime('1970-01-01T00:00:00Z')"),
        (paris.into(), "datetime({epochSeconds: 4500, nanosecond: 42, timezone: 'Europe/Paris'})"),
        (
            Duration { months: 1, days: 2, seconds: 3, nanoseconds: 500_000_000 }.into(),
            "duration('P1M2DT3.5S')",
        ),
        (
            Duration { months: 0, days: 0, seconds: -1, nanoseconds: 500_000_000 }.into(),
            "duration('PT-0.5S')",
        ),
        (Duration { months: 0, days: 0, seconds: 0, nanoseconds: 0 }.into(), "duration('PT0S')"),
        (Duration { months: -14, days: 0, seconds: 0, nanoseconds: 0 }.into(), "duration('P-14M')"),
        (Point2D { srid: 7_203, x: 1.0, y: -2.5 }.into(), "point({srid: 7203, x: 1.0, y: -2.5})"),
        (
            Point3D { srid: 9_157, x: 1.0, y: 2.0, z: 3.0 }.into(),
            "point({srid: 9157, x: 1.0, y: 2.0, z: 3.0})",
        ),
        (Vector::from(&[0.1_f32, -2.0][..]).into(), "vector([0.1, -2.0], 2, FLOAT32)"),
        (Vector::from(&[1_i8, -2][..]).into(), "vector([1, -2], 2, INTEGER8)"),
        (
            Uuid([0x55, 0x0E, 0x84, 0, 0xE2, 0x9B, 0x41, 0xD4, 0xA7, 0x16, 0x44, 0x66, 0x55, 0x44, 0, 0])
                .into(),
            "uuid('550e8400-e29b-41d4-a716-446655440000')",
        ),
        (
            Value::Structure(Box::new(Structure { tag: 0x5A, fields: vec![1.into(), "x".into()] })),
            "<structure 5A> [1, 'x']",
        ),
    ];
    for (value, text) in cases {
        assert_eq!(value.to_string(), text);
        let bytes = encode(&value, bolt_wire::Dialect::V6_1);
        assert_eq!(RawRef::new(&bytes, 0).value().unwrap().to_string(), text, "borrowed");
    }
    let legacy = DateTimeZoned {
        seconds: 8_100,
        nanoseconds: 0,
        zone: "Europe/Paris".into(),
        form: DateTimeForm::LegacyLocal,
    };
    assert_eq!(Value::from(legacy).to_string(), "datetime('1970-01-01T02:15:00[Europe/Paris]')");
    let deep = (0..70).fold(Value::Int(1), |value, _| Value::List(vec![value]));
    assert_eq!(deep.to_string(), format!("{}[…]{}", "[".repeat(64), "]".repeat(64)));
}

#[test]
fn numbers_no_server_sends_have_a_text_too() {
    for n in [i64::MIN, i64::MIN + 1, -1, i64::MAX] {
        for value in [
            Value::from(Date { days: n }),
            Time { nanoseconds: n, offset_seconds: n }.into(),
            LocalTime { nanoseconds: n }.into(),
            LocalDateTime { seconds: n, nanoseconds: n }.into(),
            DateTime::new(n, n, n).into(),
            Duration { months: n, days: n, seconds: n, nanoseconds: n }.into(),
        ] {
            assert!(value.to_string().ends_with("')"), "{value}");
        }
    }
}
