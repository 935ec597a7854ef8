//! The table of `tests/golden/values.py`: what the official Python driver packs for each value, beside what the encoder here writes.

use bolt_wire::{
    Bytes, Date, DateTime, DateTimeForm, DateTimeZoned, Dialect, Duration, LocalDateTime, LocalTime, Map,
    Point2D, Point3D, Time, Uuid, Value, Vector, Version,
};

use crate::pack_golden::{decode, encode, hex};

/// The value a line of the table means; `build` in values.py is its twin.
fn build(what: &str, dialect: Dialect) -> Value {
    let mut words = what.split(' ');
    let kind = words.next().unwrap();
    let words: Vec<&str> = words.collect();
    let float = |i: usize| words[i].parse::<f64>().unwrap();
    let int = |i: usize| words[i].parse::<i64>().unwrap();
    let size = || words[0].parse::<usize>().unwrap();
    match kind {
        "null" => Value::Null,
        "true" => true.into(),
        "false" => false.into(),
        "int" => int(0).into(),
        "float" => f64::from_bits(u64::from_str_radix(words[0], 16).unwrap()).into(),
        "text" => String::from_utf8(hex(words[0])).unwrap().into(),
        "string" => ('a'..='z').cycle().take(size()).collect::<String>().into(),
        "bytes" => Bytes(&(0..size()).map(|i| (i * 7 % 256) as u8).collect::<Vec<u8>>()).into(),
        "list" => (0..int(0)).map(|i| i % 300 - 40).collect::<Vec<i64>>().into(),
        "map" => Value::Map((0..int(0)).map(|i| (format!("k{i}"), i)).collect()),
        "nested" => (0..size()).fold(Value::Int(1), |value, _| Value::List(vec![value])),
        "mixed" => {
            let inner = Map::from([("c", Value::List(vec![]))]);
            let a = Value::List(vec![Map::new().into()]);
            let map = Map::from([("a", a), ("b", inner.into()), ("", Value::Int(-17))]);
            let (text, bytes) = (Value::from("three"), Value::from(Bytes(&[1, 2])));
            Value::List(vec![1.into(), 2.5.into(), text, Value::Null, true.into(), bytes, map.into()])
        }
        "date" => Date { days: int(0) }.into(),
        "local-time" => LocalTime { nanoseconds: int(0) }.into(),
        "time" => Time { nanoseconds: int(0), offset_seconds: int(1) }.into(),
        "local-date-time" => LocalDateTime { seconds: int(0), nanoseconds: int(1) }.into(),
        "date-time" => DateTime::new(int(0), int(1), int(2)).into(),
        "zoned" => {
            let (zone, form) = (words[3].into(), DateTimeForm::Utc);
            let zoned = DateTimeZoned { seconds: int(0), nanoseconds: int(1), zone, form };
            // Only with a time zone database could the encoder know the offset.
            let form = if dialect.utc { DateTimeForm::Utc } else { DateTimeForm::LegacyLocal };
            zoned.to_form(form, int(2)).unwrap().into()
        }
        "duration" => Duration { months: int(0), days: int(1), seconds: int(2), nanoseconds: int(3) }.into(),
        "point" if words.len() == 3 => Point2D { srid: int(0), x: float(1), y: float(2) }.into(),
        "point" => Point3D { srid: int(0), x: float(1), y: float(2), z: float(3) }.into(),
        "vector" => vector(&words).into(),
        "uuid" => words[0].parse::<Uuid>().unwrap().into(),
        _ => panic!("values.py writes {kind}, which is unknown here"),
    }
}

fn vector(words: &[&str]) -> Vector {
    fn elements<T: std::str::FromStr<Err: std::fmt::Debug>>(words: &[&str]) -> Vec<T> {
        words.iter().map(|word| word.parse().unwrap()).collect()
    }
    let (kind, words) = words.split_first().unwrap();
    match *kind {
        "i8" => Vector::from(&elements::<i8>(words)[..]),
        "i16" => Vector::from(&elements::<i16>(words)[..]),
        "i32" => Vector::from(&elements::<i32>(words)[..]),
        "i64" => Vector::from(&elements::<i64>(words)[..]),
        "f32" => Vector::from(&elements::<f32>(words)[..]),
        _ => Vector::from(&elements::<f64>(words)[..]),
    }
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |digest, &byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

#[test]
fn every_value_is_written_as_the_official_driver_writes_it_and_read_back() {
    let golden = include_str!("../golden/values-6.4.1.txt");
    let (mut compared, mut digests) = (0, 0);
    for line in golden.lines().filter(|line| !line.starts_with('#')) {
        let (head, expected) = line.split_once(" = ").unwrap();
        let (label, what) = head.split_once(' ').unwrap();
        let number = label.trim_end_matches("+utc");
        let (major, minor) = number.split_once('.').unwrap();
        let version = Version::new(major.parse().unwrap(), minor.parse().unwrap());
        assert!(version.is_supported());
        let dialect = version.dialect(number != label);
        let value = build(what, dialect);
        let ours = encode(&value, dialect);
        match expected.split_once(':') {
            Some((len, digest)) => {
                let digest = u64::from_str_radix(digest, 16).unwrap();
                assert_eq!((ours.len(), fnv1a(&ours)), (len.parse().unwrap(), digest), "{head}");
                digests += 1;
            }
            None => assert_eq!(ours, hex(expected), "{head}"),
        }
        // A date-time comes back in the form that travelled; the encoder was given the other one, if that is the legacy form.
        let back = match decode(&ours, dialect) {
            Value::DateTime(time) => time.to_form(DateTimeForm::Utc).unwrap().into(),
            back => back,
        };
        // Not a number is not equal to itself; that its bits survive, the second writing tells.
        assert!(back == value || what == "float 7ff8000000000000", "{head}");
        assert_eq!(encode(&back, dialect), ours, "{head}");
        compared += 1;
    }
    assert!(
        compared > 1_500 && digests > 100,
        "the golden file has shrunk to {compared} lines, {digests} digests"
    );
}
