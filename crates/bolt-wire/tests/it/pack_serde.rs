//! Serde both ways: structs, enums, borrowed text, own types, records by name and by position, and errors that name the place.

use std::collections::BTreeMap;

use bolt_wire::{
    DateTime, DateTimeForm, DateTimeZoned, Dialect, Encode, Encoder, Fields, Map, Node, Params,
    RecordDecoder, RecordRef, Serde, Uuid, Value, from_raw, to_value,
};
use serde::{Deserialize, Serialize};
use serde_derive as macros;

use crate::pack_golden::{encode, hex};

/// Encodes `columns` as a RECORD, scans it, and shows it to `look`.
pub(crate) fn with_record<R>(
    names: &[&str],
    columns: Vec<Value>,
    look: impl FnOnce(RecordRef<'_>) -> R,
) -> R {
    let mut message = hex("B1 71");
    columns.encode(&mut Encoder::new(&mut message, Dialect::V6_1)).unwrap();
    let fields: Fields = names.iter().collect();
    let mut decoder = RecordDecoder::new(1_024, Dialect::V6_1);
    decoder.scan(&message, names.len()).unwrap();
    look(decoder.record(&message, &fields))
}

#[derive(Debug, PartialEq, macros::Serialize, macros::Deserialize)]
struct Person<'a> {
    name: &'a str,
    age: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mail: Option<String>,
}

#[derive(Debug, PartialEq, macros::Serialize, macros::Deserialize)]
enum Shape {
    Empty,
    Circle(f64),
    Box(i32, i32),
    Named { name: String },
}

#[test]
fn records_by_name_by_position_and_through_the_only_column() {
    let columns = || vec![Value::Int(41), Value::from("Ada"), Value::Null];
    with_record(&["age", "name", "mail"], columns(), |record| {
        let person: Person<'_> = record.deserialize().unwrap();
        assert_eq!(person, Person { name: "Ada", age: 41, mail: None });
        let name = person.name.as_bytes().as_ptr_range();
        assert!(record.message().as_ptr_range().contains(&name.start), "the text is borrowed");
        assert_eq!(record.deserialize::<(i64, &str, Option<i8>)>().unwrap(), (41, "Ada", None));
        assert_eq!(record.deserialize_column::<String>(1).unwrap(), "Ada");
        let all: BTreeMap<&str, Value> = record.deserialize().unwrap();
        assert_eq!(all["age"], Value::Int(41));
        assert_eq!(
            record.deserialize::<(i64, &str)>().unwrap_err().to_string(),
            "invalid length 3, expected a tuple of size 2"
        );
    });
    let node = Node {
        id: 1,
        properties: Map::from([("name", Value::from("Ada")), ("age", Value::Int(41))]),
        ..Node::default()
    };
    with_record(&["n"], vec![node.clone().into()], |record| {
        let person = Person { name: "Ada", age: 41, mail: None };
        assert_eq!(record.deserialize::<Person<'_>>().unwrap(), person, "a node's properties");
        assert_eq!(record.deserialize_column::<Person<'_>>(0).unwrap(), person);
        let whole: Node = record.deserialize().unwrap();
        assert_eq!(whole.properties, node.properties);
        assert_eq!(record.get::<Serde<Person<'_>>>(0).unwrap().0, person);
    });
    with_record(&["x"], vec![Value::Int(7)], |record| {
        #[derive(macros::Deserialize)]
        struct Wrapper(i64);
        assert_eq!(record.deserialize::<Wrapper>().unwrap().0, 7);
        assert_eq!(record.deserialize::<Option<u16>>().unwrap(), Some(7));
    });
}

#[test]
fn errors_name_column_and_property() {
    let wrong = Map::from([("name", Value::from("Ada")), ("age", Value::from("old"))]);
    with_record(&["n"], vec![vec![wrong].into()], |record| {
        let error = record.deserialize_column::<Vec<Person<'_>>>(0).unwrap_err();
        assert_eq!(error.path(), "n[0].age");
        assert_eq!(error.to_string(), "n[0].age: invalid type: string \"old\", expected u8");
    });
    with_record(&["n"], vec![Map::from([("name", "Ada")]).into()], |record| {
        assert_eq!(record.deserialize::<Person<'_>>().unwrap_err().to_string(), "n: missing field `age`");
    });
    with_record(&["a"], vec![Value::Int(300)], |record| {
        let error = record.deserialize::<u8>().unwrap_err();
        assert_eq!(error.to_string(), "a: invalid value: integer `300`, expected u8");
    });
}

#[test]
fn every_shape_round_trips() {
    fn round<T: Serialize + for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug>(
        value: &T,
        golden: &str,
    ) {
        let bytes = encode(&Serde(value), Dialect::V5);
        assert_eq!(bytes, hex(golden), "{value:?}");
        assert_eq!(from_raw::<T>(bolt_wire::RawRef::new(&bytes, 0)).unwrap(), *value);
    }
    round(&Shape::Empty, "85 45 6D 70 74 79");
    round(&Shape::Circle(1.5), "A1 86 43 69 72 63 6C 65 C1 3F F8 00 00 00 00 00 00");
    round(&Shape::Box(1, -1), "A1 83 42 6F 78 92 01 FF");
    round(&Shape::Named { name: "x".into() }, "A1 85 4E 61 6D 65 64 A1 84 6E 61 6D 65 81 78");
    round(&(1u8, 'x', (), Some(true)), "94 01 81 78 C0 C3");
    round(&vec![Some(1), None], "92 01 C0");
    round(&BTreeMap::from([("k".to_string(), 1i64)]), "A1 81 6B 01");
    round(&i64::MIN, "CB 80 00 00 00 00 00 00 00");
}

#[test]
fn what_bolt_cannot_carry_is_refused() {
    let refuse = |value: &dyn Fn() -> Result<Value, bolt_wire::SerError>| value().unwrap_err().to_string();
    assert_eq!(refuse(&|| to_value(&u64::MAX)), "integer does not fit 64 bits with sign");
    assert_eq!(refuse(&|| to_value(&i128::MIN)), "integer does not fit 64 bits with sign");
    assert_eq!(refuse(&|| to_value(&BTreeMap::from([(1, 2)]))), "dictionary keys must be strings");
    let mut out = Vec::new();
    let error = Serde(1).encode_params(&mut Encoder::new(&mut out, Dialect::V5)).unwrap_err();
    assert_eq!(error.to_string(), "parameters must serialize as a map or a struct");
    assert_eq!(out, b"", "nothing was written");
    Serde(()).encode_params(&mut Encoder::new(&mut out, Dialect::V5)).unwrap();
    assert_eq!(out, hex("A0"));
}

/// Sequences and maps that do not know their length, as iterator adapters make them.
struct Unknown;

impl Serialize for Unknown {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::{SerializeMap, SerializeSeq};
        struct Odd;
        impl Serialize for Odd {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut seq = serializer.serialize_seq(None)?;
                for i in [1, 3, 5] {
                    seq.serialize_element(&i)?;
                }
                seq.end()
            }
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("odd", &Odd)?;
        map.serialize_entry(&'e', &Some(2))?;
        map.end()
    }
}

#[test]
fn unknown_lengths_are_counted() {
    assert_eq!(encode(&Serde(Unknown), Dialect::V5), hex("A2 83 6F 64 64 93 01 03 05 81 65 02"));
}

#[test]
fn own_types_pass_through_serde_as_themselves() {
    #[derive(Debug, PartialEq, macros::Serialize, macros::Deserialize)]
    struct Own {
        at: DateTime,
        zoned: DateTimeZoned,
        id: Uuid,
        any: Value,
        list: Vec<Uuid>,
    }
    let own = Own {
        at: DateTime {
            seconds: 8_100,
            nanoseconds: 42,
            offset_seconds: 3_600,
            form: DateTimeForm::LegacyLocal,
        },
        zoned: DateTimeZoned { seconds: 1, nanoseconds: 0, zone: "UTC".into(), form: DateTimeForm::Utc },
        id: Uuid([7; 16]),
        any: vec![Value::Null, Value::from(2.5)].into(),
        list: vec![Uuid([1; 16])],
    };
    let bytes = encode(&Serde(&own), Dialect::V6_1);
    let read: Own = from_raw(bolt_wire::RawRef::new(&bytes, 0)).unwrap();
    assert_eq!(read.at, DateTime::new(4_500, 42, 3_600), "this connection's form");
    assert_eq!((&read.zoned, read.id, &read.any, &read.list), (&own.zoned, own.id, &own.any, &own.list));
    let Value::Map(map) = to_value(&own).unwrap() else { panic!("a struct is a dictionary") };
    assert_eq!(map.get("at"), Some(&Value::DateTime(own.at)), "values keep their form");
    let json = serde_json::to_string(&own).unwrap();
    assert_eq!(serde_json::from_str::<Own>(&json).unwrap(), own, "through another format and back");
}

#[test]
fn duplicate_keys_count_last() {
    let few = hex("A3 84 6E 61 6D 65 81 78 83 61 67 65 01 84 6E 61 6D 65 81 79");
    let person: Person<'_> = from_raw(bolt_wire::RawRef::new(&few, 0)).unwrap();
    assert_eq!((person.name, person.age), ("y", 1));
    // More entries than are compared pairwise.
    let many: String = (0..40).map(|i| format!("81 {:02X} {i:02X}", b'a' + i % 20)).collect();
    let many = hex(&format!("D8 28 {many}"));
    let map: BTreeMap<String, u8> = from_raw(bolt_wire::RawRef::new(&many, 0)).unwrap();
    assert_eq!(map.len(), 20);
    assert_eq!((map["a"], map["t"]), (20, 39));
}
