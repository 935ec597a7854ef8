//! The walker, the reader and the encoder against their naive twin, and every hostile input against the promise: an error that
//! names the place, no panic, no deep stack, no memory beyond what the bytes pay for.

use bolt_wire::{
    DEPTH_MAX_DEFAULT, DecodeError, DecodeReason, Dialect, Encode, EncodeError, Encoder, Fields, Map, Node,
    NodeRef, Path, PathRef, RawRef, RecordDecoder, Relationship, SHOW_DEPTH_MAX, Structure,
    UnboundRelationship, Uuid, VALUE_DEPTH_MAX, Value, ValueRef, Vector, VectorRef, Version, Walker, model,
};
use proptest::prelude::*;

use crate::pack_golden::{decode, encode, hex};

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_as_the_oracle_reads_them(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        model::decode(&bytes);
    }

    #[test]
    fn nearly_legal_bytes_are_read_as_the_oracle_reads_them(
        choices in proptest::collection::vec(any::<u8>(), 0..60),
        changes in proptest::collection::vec((any::<u16>(), any::<u8>()), 0..4),
    ) {
        // Markers first: containers and short leaves, which random bytes rarely put together.
        let markers = [0x91, 0x93, 0xA1, 0xA2, 0xB1, 0xB4, 0x81, 0xD4, 0xD8, 0xC9, 0xC8, 0x4E, 0x44, 0x50, 0x05, 0xF0];
        let mut bytes: Vec<u8> = choices.iter().map(|&c| if c < 200 { markers[usize::from(c) % 16] } else { c }).collect();
        model::decode(&bytes);
        for (at, byte) in changes {
            if !bytes.is_empty() {
                let at = usize::from(at) % bytes.len();
                bytes[at] = byte;
            }
        }
        model::decode(&bytes);
    }

    #[test]
    fn every_value_survives(choices in proptest::collection::vec(any::<u8>(), 0..400)) {
        model::round_trip(&choices);
    }

    #[test]
    fn lists_of_numbers_of_any_width_are_read(items in proptest::collection::vec((any::<i64>(), 0..64u32), 0..200)) {
        let items: Vec<i64> = items.into_iter().map(|(wide, shift)| wide >> shift).collect();
        let bytes = encode(&items, Dialect::V5);
        model::decode(&bytes);
        let list = RawRef::new(&bytes, 0).list().unwrap();
        prop_assert_eq!(list.ints().collect::<Result<Vec<_>, _>>(), Ok(items));
    }
}

fn scan(message: &[u8], width: usize) -> Result<(), DecodeError> {
    RecordDecoder::new(DEPTH_MAX_DEFAULT, Dialect::V5).scan(message, width)
}

/// Runs `f` on a thread with the stack that threads usually get.
fn on_small_stack(f: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(2 << 20).spawn(f).unwrap().join().unwrap();
}

#[test]
fn structural_errors_name_offset_and_reason() {
    use DecodeReason as R;
    let cases: [(&str, usize, usize, DecodeReason); 40] = [
        ("B17191 D67FFFFFFF", 1, 3, R::CountTooLarge { what: "list", count: 0x7FFF_FFFF, available: 0 }),
        (
            "B17191 DA7FFFFFFF",
            1,
            3,
            R::CountTooLarge { what: "dictionary", count: 0x7FFF_FFFF, available: 0 },
        ),
        ("B17191 D27FFFFFFF41", 1, 8, R::UnexpectedEnd { needed: 0x7FFF_FFFF, available: 1 }),
        ("B17191 CE7FFFFFFF00", 1, 8, R::UnexpectedEnd { needed: 0x7FFF_FFFF, available: 1 }),
        ("B17191 D280000000", 1, 4, R::SizeTooLarge(0x8000_0000)),
        ("B17191 D6FFFFFFFF", 1, 4, R::SizeTooLarge(0xFFFF_FFFF)),
        ("B17194 0102", 4, 2, R::CountTooLarge { what: "list", count: 4, available: 2 }),
        ("B17192 9201", 2, 3, R::CountTooLarge { what: "list", count: 2, available: 1 }),
        ("B17191 CB0000", 1, 3, R::UnexpectedEnd { needed: 9, available: 3 }),
        ("B17191 C1", 1, 3, R::UnexpectedEnd { needed: 9, available: 1 }),
        ("B17191 D100", 1, 3, R::UnexpectedEnd { needed: 3, available: 2 }),
        ("B1", 1, 0, R::UnexpectedEnd { needed: 3, available: 1 }),
        ("B171", 1, 0, R::UnexpectedEnd { needed: 3, available: 2 }),
        ("", 1, 0, R::UnexpectedEnd { needed: 3, available: 0 }),
        ("B17191 C4", 1, 3, R::ReservedMarker(0xC4)),
        ("B17191 C5", 1, 3, R::ReservedMarker(0xC5)),
        ("B17191 C6", 1, 3, R::ReservedMarker(0xC6)),
        ("B17191 C7", 1, 3, R::ReservedMarker(0xC7)),
        ("B17191 CF", 1, 3, R::ReservedMarker(0xCF)),
        ("B17191 D3", 1, 3, R::ReservedMarker(0xD3)),
        ("B17191 D7", 1, 3, R::ReservedMarker(0xD7)),
        ("B17191 DB", 1, 3, R::ReservedMarker(0xDB)),
        ("B17191 DC014401", 1, 3, R::ReservedMarker(0xDC)),
        ("B17191 DE", 1, 3, R::ReservedMarker(0xDE)),
        ("B17191 DF", 1, 3, R::ReservedMarker(0xDF)),
        ("B17191 E0", 1, 3, R::ReservedMarker(0xE0)),
        ("B17191 EF", 1, 3, R::ReservedMarker(0xEF)),
        ("B17191 A10102", 1, 4, R::KeyNotString(0x01)),
        ("B17191 A1C002", 1, 4, R::KeyNotString(0xC0)),
        ("B17191 A19002", 1, 4, R::KeyNotString(0x90)),
        ("B17191 0100", 1, 4, R::TrailingBytes(1)),
        ("B271 9101 9102", 1, 0, R::FieldCount { what: "a RECORD", expected: 1, found: 2 }),
        ("B071", 1, 0, R::FieldCount { what: "a RECORD", expected: 1, found: 0 }),
        ("B17101", 1, 2, R::WrongType { expected: "the list of a RECORD", found: "an integer" }),
        ("B171A0", 1, 2, R::WrongType { expected: "the list of a RECORD", found: "a dictionary" }),
        ("B170A0", 1, 1, R::UnknownStructure { tag: 0x70 }),
        ("01", 1, 0, R::WrongType { expected: "a RECORD", found: "an integer" }),
        ("B17192 0102", 1, 2, R::ColumnCount { expected: 1, found: 2 }),
        ("B17190", 1, 2, R::ColumnCount { expected: 1, found: 0 }),
        ("B17191 B1", 1, 3, R::UnexpectedEnd { needed: 2, available: 1 }),
    ];
    for (message, width, offset, reason) in cases {
        assert_eq!(scan(&hex(message), width), Err(DecodeError { offset, reason }), "{message}");
    }
    for last in 0xE1..=0xEF {
        let mut decoder = RecordDecoder::new(8, Dialect::V6_1);
        let error = decoder.scan(&[0xB1, 0x71, 0x91, last], 1).unwrap_err();
        assert_eq!(error.reason, R::ReservedMarker(last));
    }
    let mut decoder = RecordDecoder::new(8, Dialect::V6_1);
    let short = [&[0xB1, 0x71, 0x91, 0xE0][..], &[0; 15]].concat();
    assert_eq!(decoder.scan(&short, 1).unwrap_err().reason, R::UnexpectedEnd { needed: 17, available: 16 });
    assert_eq!(
        scan(&hex("B17194 0102"), 4).unwrap_err().to_string(),
        "at byte 2: list announces 4 items but 2 bytes are left"
    );
}

#[test]
fn deep_nesting_is_an_error_beyond_the_limit_and_data_below_it() {
    on_small_stack(|| {
        let nested =
            |level: &[u8], levels: usize| [&[0xB1, 0x71, 0x91], &level.repeat(levels)[..], &[0x01]].concat();
        for (level, levels) in
            [(&b"\x91"[..], 400_000), (b"\xA1\x81a", 200_000), (b"\xB1\x5A", 200_000), (b"\xD4\x01", 200_000)]
        {
            let error = scan(&nested(level, levels), 1).unwrap_err();
            let offset = 3 + level.len() * DEPTH_MAX_DEFAULT as usize;
            assert_eq!(
                error,
                DecodeError { offset, reason: DecodeReason::TooDeep { limit: DEPTH_MAX_DEFAULT } }
            );
            let legal = nested(level, DEPTH_MAX_DEFAULT as usize);
            assert_eq!(scan(&legal, 1), Ok(()));
            // All that can be done with a value, done with one as deep as it may be.
            let value = RawRef::new(&legal, 3).value().unwrap();
            let owned = value.to_owned().unwrap();
            assert_eq!(owned.clone(), owned);
            for shown in [format!("{owned:?}"), format!("{owned:#?}")] {
                assert!(shown.contains('…') && shown.len() < 512 << 10, "{} bytes", shown.len());
            }
            assert!(!format!("{value:?} {value:#?}").is_empty());
            assert!(value == value);
            assert_eq!(decode(&encode(&owned, Dialect::V5), Dialect::V5), owned);
            drop(owned);
            // A user may set a limit far above: borrowed values follow, owned ones and serde stop where the stack is safe.
            // (12,000 levels leave a recursive function 175 bytes of this stack each.)
            let far = nested(level, 12_000);
            assert_eq!(RecordDecoder::new(12_000, Dialect::V5).scan(&far, 1), Ok(()));
            let value = RawRef::new(&far, 3).value().unwrap();
            let reason = DecodeReason::TooDeep { limit: VALUE_DEPTH_MAX };
            assert_eq!(RawRef::new(&far, 3).end(), far.len());
            assert_eq!(Value::read(RawRef::new(&far, 3)).unwrap_err().reason, reason);
            assert_eq!(value.to_owned().unwrap_err().reason, reason);
            assert!(format!("{value:?}").contains('…'));
            assert!(value == value);
            assert_eq!(
                encode(&value, Dialect::V5).len(),
                far.len() - 3 - if level.len() == 2 && level[0] == 0xD4 { 1 } else { 0 }
            );
        }
        // Values that were built by hand and are too deep are refused, not followed.
        let mut deep = Value::Null;
        for _ in 0..=VALUE_DEPTH_MAX {
            deep = Value::List(vec![deep]);
        }
        let refused = Encoder::new(&mut Vec::new(), Dialect::V5).encode(&deep);
        assert_eq!(refused, Err(EncodeError::TooDeep { limit: VALUE_DEPTH_MAX }));
    });
}

fn nested_value(levels: u32) -> Value {
    (0..levels).fold(Value::Int(1), |value, level| match level % 4 {
        0 => Value::List(vec![value]),
        1 => Map::from([("a", value)]).into(),
        2 => Node { properties: Map::from([("p", value)]), ..Node::default() }.into(),
        _ => Value::Structure(Box::new(Structure { tag: 1, fields: vec![value] })),
    })
}

#[test]
fn what_is_shown_of_a_value_is_bounded_and_named() {
    let nodes = vec![Node { id: 7, ..Node::default() }];
    let value = Value::List(vec![
        Value::Int(1),
        Map::from([("k", "v")]).into(),
        Path { nodes, ..Path::default() }.into(),
        bolt_wire::Date { days: 3 }.into(),
    ]);
    assert_eq!(
        format!("{value:?}"),
        "List([Int(1), Map({\"k\": String(\"v\")}), Path { indices: [], nodes: [Node { id: 7, labels: [], \
         element_id: None, properties: {} }], relationships: [] }, Date { days: 3 }])"
    );
    assert_eq!(
        format!("{:#?}", Value::List(vec![1.into()])),
        "List(\n    [\n        Int(\n            1,\n        ),\n    ],\n)"
    );
    let show = |levels| format!("{:?}", nested_value(levels));
    assert!(!show(SHOW_DEPTH_MAX).contains('…'));
    assert!(show(SHOW_DEPTH_MAX + 1).contains('…'));
    std::thread::Builder::new()
        .stack_size(256 << 10)
        .spawn(|| {
            let deep = nested_value(300);
            for shown in [format!("{deep:?}"), format!("{deep:#?}")] {
                assert!(shown.contains('…') && shown.len() < 512 << 10, "{} bytes", shown.len());
            }
        })
        .unwrap()
        .join()
        .unwrap();
}

/// Nothing but dropping recurses, and that within small frames.
#[test]
fn a_value_of_full_depth_needs_a_fraction_of_a_thread_s_stack() {
    fn run<R: Send + 'static>(stack_bytes: usize, f: impl FnOnce() -> R + Send + 'static) -> R {
        std::thread::Builder::new().stack_size(stack_bytes).spawn(f).unwrap().join().unwrap()
    }
    let list = |value| Value::List(vec![Value::Null, value, Value::from("behind")]);
    let map = |value| Map::from([("a", value), ("b", Value::Int(2))]).into();
    let structure = |value| Value::Structure(Box::new(Structure { tag: 1, fields: vec![value] }));
    let node = |value| {
        let properties = Map::from([("a", value), ("b", Value::Null)]);
        Node { id: 7, labels: vec!["L".into()], properties, element_id: Some("4:x:7".into()) }.into()
    };
    let relationship = |value| {
        let properties = Map::from([("a", value)]);
        let element_ids = Some(["r", "s", "e"].map(String::from));
        Relationship { properties, element_ids, ..Relationship::default() }.into()
    };
    let path = |value| {
        let plain = |key: &str, value| Node {
            properties: [(key, value)].into(),
            element_id: Some(key.into()),
            ..Node::default()
        };
        let along = UnboundRelationship {
            properties: [("since", 1840)].into(),
            element_id: Some("5:y".into()),
            ..UnboundRelationship::default()
        };
        let nodes = vec![plain("a", Value::Int(1)), plain("b", value)];
        Path { nodes, relationships: vec![along], indices: vec![1, 1] }.into()
    };
    /// What puts a value into another, and the levels of nesting that adds.
    type Level = (fn(Value) -> Value, u32);
    let levels: [Level; 6] = [(list, 1), (map, 1), (structure, 1), (node, 2), (relationship, 2), (path, 4)];
    for (level, height) in levels {
        let nested = |levels: u32| (0..levels / height).fold(Value::Int(1), |value, _| level(value));
        let deep = nested(VALUE_DEPTH_MAX);
        let bytes = encode(&deep, Dialect::V5);
        let (read, copy) = run(64 << 10, move || {
            let read = decode(&bytes, Dialect::V5);
            let copy = read.clone();
            assert!(copy == read);
            assert_eq!(encode(&copy, Dialect::V5), bytes);
            (read, copy)
        });
        assert!(read == deep && copy == deep);
        assert!(nested(VALUE_DEPTH_MAX - height) != deep);
        run(256 << 10, move || {
            assert!(format!("{deep:#?}").contains('…'));
            drop((deep, read, copy));
        });
        // One more is refused where it is read and where it is written.
        let deeper = level(nested(VALUE_DEPTH_MAX));
        let mut out = Vec::new();
        assert!(matches!(
            Encoder::new(&mut out, Dialect::V5).encode(&deeper),
            Err(EncodeError::TooDeep { limit: VALUE_DEPTH_MAX })
        ));
    }
}

/// What is read of a record may go to another thread, and a future that holds it across a wait may too.
#[test]
fn everything_read_is_send_and_sync() {
    use bolt_wire::{
        DateTimeZonedRef, IndexedList, IndexedMap, ListIter, ListRef, MapIter, MapRef, OwnedRecord,
        PathSteps, RecordBatch, RecordRef, RelationshipRef, StructRef, Summary, UnsupportedRef,
    };
    fn shareable<T: Send + Sync>() {}
    shareable::<(RecordDecoder, RecordRef<'_>, OwnedRecord, RecordBatch, Fields)>();
    shareable::<(RawRef<'_>, ValueRef<'_>, ListRef<'_>, ListIter<'_>, MapRef<'_>, MapIter<'_>)>();
    shareable::<(
        IndexedList<'_>,
        IndexedMap<'_>,
        NodeRef<'_>,
        RelationshipRef<'_>,
        PathRef<'_>,
        PathSteps<'_>,
    )>();
    shareable::<(StructRef<'_>, VectorRef<'_>, DateTimeZonedRef<'_>, UnsupportedRef<'_>, Value, Map, Summary)>(
    );
    // Two threads index one record at the same time.
    let message =
        [&[0xB1, 0x71, 0x92, 0xD4, 100][..], &[7; 100], &[0xA3], b"\x81b\x02\x81a\x01\x81b\x03"].concat();
    let mut decoder = RecordDecoder::new(8, Dialect::V5);
    decoder.scan(&message, 2).unwrap();
    let fields: Fields = ["l", "m"].into_iter().collect();
    let record = decoder.record(&message, &fields);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                let list = record.get::<ListRef<'_>>(0).unwrap().indexed();
                let map = record.get::<MapRef<'_>>(1).unwrap().indexed();
                assert_eq!((0..100).map(|i| list.get_as::<i64>(i).unwrap()).sum::<i64>(), 700);
                assert_eq!((map.get_as::<i64>("a"), map.get_as::<i64>("b")), (Ok(1), Ok(3)));
            });
        }
    });
}

/// Look-ups in large dictionaries agree with a pass over all entries, whatever the order of the keys.
#[test]
fn an_indexed_dictionary_of_any_order_finds_the_last_of_equal_keys() {
    for len in [0_u32, 1, 2, 3, 15, 16, 17, 100, 1_000] {
        for order in 0..4_u32 {
            let key = |i: u32| match order {
                0 => i,
                1 => len - i,
                2 => i.wrapping_mul(2_654_435_761) % 97,
                _ => 5,
            };
            let map: Map = (0..len).map(|i| (format!("k{:04}", key(i)), Value::from(i))).collect();
            let bytes = encode(&Value::Map(map), Dialect::V5);
            let map = RawRef::new(&bytes, 0).map().unwrap();
            let indexed = map.indexed();
            for i in 0..len + 2 {
                let key = format!("k{:04}", key(i.min(len)));
                assert_eq!(
                    indexed.raw(&key).map(RawRef::offset),
                    map.raw(&key).map(RawRef::offset),
                    "{len} {order}"
                );
            }
        }
    }
}

/// The time to read what nests is that of its bytes, whatever its depth; a level that cost a pass over all below it would take minutes here.
#[test]
fn reading_down_a_million_levels_takes_one_look_at_each() {
    const LEVELS: usize = 1_000_000;
    let lists = [&vec![0x91; LEVELS][..], &[0x01]].concat();
    assert_eq!(Walker::new(u32::MAX).walk(&lists, 0, Dialect::V5), Ok(lists.len()));
    let (mut at, mut levels) = (RawRef::new(&lists, 0), 0);
    while let Ok(list) = at.list() {
        at = if levels % 2 == 0 {
            list.raws().next().unwrap()
        } else {
            list.iter_as().next().unwrap().unwrap()
        };
        levels += 1;
    }
    assert_eq!((levels, at.int()), (LEVELS, Ok(1)));
    let maps = [&[0xA1, 0x81, 0x61].repeat(LEVELS)[..], &[0x01]].concat();
    let (mut at, mut levels) = (RawRef::new(&maps, 0), 0);
    while let Ok(map) = at.map() {
        at = map.entries().next().unwrap().1;
        levels += 1;
    }
    assert_eq!((levels, at.int()), (LEVELS, Ok(1)));
}

#[test]
#[cfg(feature = "serde")]
fn serde_stops_where_the_stack_is_safe() {
    #[derive(serde_derive::Deserialize, Debug)]
    #[serde(untagged)]
    #[allow(dead_code, reason = "only its shape is of interest")]
    enum Tree {
        Leaf(i64),
        Branch(Vec<Self>),
    }
    on_small_stack(|| {
        let nested = |levels: usize| [&vec![0x91; levels][..], &[0x01]].concat();
        let legal = nested(bolt_wire::SERDE_DEPTH_MAX as usize);
        let deep: serde_json::Value = RawRef::new(&legal, 0).deserialize().unwrap();
        assert!(deep.is_array());
        let tree = RawRef::new(&nested(100), 0).deserialize::<Tree>().unwrap();
        assert!(matches!(tree, Tree::Branch(_)));
        let error = RawRef::new(&nested(1_000), 0).deserialize::<serde_json::Value>().unwrap_err();
        assert!(error.to_string().ends_with("values are nested deeper than serde's limit of 256"), "{error}");
    });
}

/// The one column of a RECORD whose message is legal.
fn with_column<R>(column: &str, look: impl FnOnce(RawRef<'_>) -> R) -> R {
    let message = [&[0xB1, 0x71, 0x91][..], &hex(column)].concat();
    let mut decoder = RecordDecoder::new(DEPTH_MAX_DEFAULT, Dialect::V6_1);
    // What text is worth is told by the tests of text.
    decoder.set_check_text(false);
    decoder.scan(&message, 1).unwrap();
    let fields: Fields = ["x"].into_iter().collect();
    look(decoder.record(&message, &fields).at(0).unwrap())
}

/// Every place where text can stand, each with text of every length before it, so that the window the walk looks through lies
/// everywhere in the message.
#[test]
fn text_that_is_not_utf8_is_found_by_the_walk() {
    let bad: [&[u8]; 6] = [b"\xC3(", b"\xC0\x80", b"\xED\xA0\x80", b"\x80", b"ab\xFF", b"\xF4\x90\x80\x80"];
    let mut decoder = RecordDecoder::new(DEPTH_MAX_DEFAULT, Dialect::V6_1);
    let string = |text: &[u8]| match text.len() {
        len @ 0..=15 => [&[0x80 | len as u8][..], text].concat(),
        len => [&[0xD0, len as u8][..], text].concat(),
    };
    for bad in bad {
        let good = core::str::from_utf8(bad).unwrap_err().valid_up_to();
        for before in 0..40 {
            for behind in [0, 1, 14, 30] {
                let text = [&vec![b'x'; before][..], bad, &vec![b'y'; behind]].concat();
                let text = string(&text);
                let places: [(&[u8], &[u8]); 8] = [
                    (b"", b""),
                    (b"\x93\x01", b"\x02"),
                    (b"\xA1", b"\x01"),
                    (b"\xA1\x81k", b""),
                    (b"\xB4\x4E\x00\x91", b"\xA0\x81e"),
                    (b"\xB4\x4E\x00\x90\xA0", b""),
                    (b"\xB4\x72\x00", b"\xA0\x81e"),
                    (b"\xB1\x5A", b""),
                ];
                for (head, tail) in places {
                    let message = [b"\xB1\x71\x91", head, &text, tail].concat();
                    let header = if text[0] == 0xD0 { 2 } else { 1 };
                    let offset = 3 + head.len() + header + before + good;
                    let error = DecodeError { offset, reason: DecodeReason::InvalidUtf8 };
                    assert_eq!(decoder.scan(&message, 1), Err(error), "{message:02X?}");
                    decoder.set_check_text(false);
                    assert_eq!(decoder.scan(&message, 1), Ok(()), "{message:02X?}");
                    decoder.set_check_text(true);
                }
            }
        }
    }
    // What is beyond ASCII but right passes, at every place as well; bytes are no text.
    for before in 0..40 {
        for right in ["\u{80}", "ß", "€", "\u{10FFFF}", "größe"] {
            let text = string(format!("{}{right}", "x".repeat(before)).as_bytes());
            let bytes = [&[0xCC, 2][..], &[0xFF; 2]].concat();
            let message = [b"\xB1\x71\x93", &text[..], &bytes, &text].concat();
            assert_eq!(decoder.scan(&message, 3), Ok(()), "{message:02X?}");
        }
    }
}

#[test]
fn text_the_walk_did_not_look_at_is_an_error_where_it_is_read() {
    let invalid = |offset| DecodeError { offset, reason: DecodeReason::InvalidUtf8 };
    with_column("82 C3 28", |raw| assert_eq!(raw.str(), Err(invalid(4))));
    with_column("82 C0 80", |raw| assert_eq!(raw.value().unwrap_err(), invalid(4)));
    with_column("84 61 ED A0 80", |raw| assert_eq!(raw.str(), Err(invalid(5))));
    with_column("A1 82 C3 28 01", |raw| {
        assert_eq!(raw.map().unwrap().iter().next().unwrap().unwrap_err(), invalid(5));
        assert_eq!(raw.map().unwrap().get("x"), Ok(None), "looking up compares bytes");
        assert_eq!(Value::read(raw).unwrap_err(), invalid(5));
    });
    with_column("B3 4E 00 91 82 C3 28 A0", |raw| {
        let node: NodeRef<'_> = bolt_wire::FromValue::from_raw(raw).unwrap();
        assert_eq!(node.labels().next().unwrap(), Err(invalid(8)));
    });
}

#[test]
fn broken_structures_are_errors_of_their_value_only() {
    let problem = |column: &str| {
        with_column(column, |raw| {
            let ValueRef::Structure(structure) = raw.value().unwrap() else { panic!("{column} is broken") };
            assert!(matches!(Value::read(raw), Ok(Value::Structure(_)) | Err(_)));
            structure.problem().unwrap().to_string()
        })
    };
    let (n, r) = ("B3 4E 01 90 A0", "B3 72 01 81 74 A0");
    for (column, expected) in [
        ("B1 5A 01".into(), "at byte 4: unknown structure tag 5A"),
        ("B1 80 01".into(), "at byte 4: unknown structure tag 80"),
        ("B2 44 01 01".into(), "at byte 3: a date has 1 fields, found 2"),
        ("B0 44".into(), "at byte 3: a date has 1 fields, found 0"),
        ("B1 44 81 41".into(), "at byte 5: expected an integer, found a string"),
        ("B3 50 90 90 90".into(), "at byte 5: not a path: it has no node"),
        (
            format!("B3 50 91 {n} 91 {r} 91 01"),
            "at byte 18: not a path: its indices are not pairs of relationship and node",
        ),
        (
            format!("B3 50 91 {n} 91 {r} 92 00 00"),
            "at byte 19: not a path: a step takes a relationship that is not in its list",
        ),
        (
            format!("B3 50 91 {n} 91 {r} 92 02 00"),
            "at byte 19: not a path: a step takes a relationship that is not in its list",
        ),
        (
            format!("B3 50 91 {n} 91 {r} 92 01 05"),
            "at byte 20: not a path: a step leads to a node that is not in its list",
        ),
        (
            "B2 56 CC 01 C6 CC 03 3F 80 00".into(),
            "at byte 8: not a vector: its bytes are no whole number of elements",
        ),
        ("B2 56 CC 01 C7 CC 00".into(), "at byte 5: not a vector: its element type is unknown"),
        ("B2 56 CC 02 C8 C8 CC 00".into(), "at byte 5: not a vector: its element type is not one byte"),
        ("B2 56 C8 80 CC 00".into(), "at byte 5: expected bytes, found an integer"),
        ("B4 4E 00 90 A0 01".into(), "at byte 8: expected a string, found an integer"),
        ("B3 4E 00 91 01 A0".into(), "at byte 7: expected a string, found an integer"),
        ("B3 66 00 00 82 C3 28".into(), "at byte 8: string is not valid UTF-8"),
    ] {
        assert_eq!(problem(&column), expected, "{column}");
    }
    with_column(&format!("B3 50 91 {n} 91 {r} 92 00 00"), |raw| {
        assert!(<PathRef<'_> as bolt_wire::FromValue>::from_raw(raw).is_err());
    });
    with_column("B2 56 CC 01 C6 CC 03 3F 80 00", |raw| {
        assert!(<VectorRef<'_> as bolt_wire::FromValue>::from_raw(raw).is_err());
    });
    // Values out of any calendar's range are still values.
    with_column("B1 44 CB 7F FF FF FF FF FF FF FF", |raw| {
        assert_eq!(raw.value().unwrap(), ValueRef::Date(bolt_wire::Date { days: i64::MAX }));
    });
    with_column("B3 46 CB 80 00 00 00 00 00 00 00 00 01", |raw| {
        let ValueRef::DateTime(time) = raw.value().unwrap() else { panic!("a date-time") };
        assert_eq!((time.local_seconds(), time.utc_seconds()), (Some(i64::MIN), None));
    });
    with_column("B3 69 00 00 84 4E 6F 70 65", |raw| {
        assert!(matches!(raw.value(), Ok(ValueRef::DateTimeZoned(time)) if time.zone == "Nope"));
    });
}

#[test]
fn counts_never_reserve_more_than_bytes_pay_for() {
    // 10,000 lists that each announce all the bytes that are left, inside one another: legal as far as the walk can see.
    let mut message = hex("B1 71 91");
    let total = 4_000usize;
    for i in 0..1_000 {
        message.extend([0xD6, 0, 0]);
        message.extend(u16::try_from(total - i).unwrap().to_be_bytes());
    }
    let ((), counts) = bolt_alloc::measure(|| assert!(scan(&message, 1).is_err()));
    assert!(counts.peak_bytes < 64 * 1_024, "{counts:?}");
}

#[test]
fn what_the_version_cannot_carry_is_refused_before_a_byte_is_written() {
    let mut out = Vec::new();
    let vector = Vector::from(&[1i8][..]);
    for dialect in [Dialect::V4, Dialect::V5] {
        let mut e = Encoder::new(&mut out, dialect);
        let since = Version { major: 6, minor: 0 };
        assert_eq!(vector.encode(&mut e), Err(EncodeError::Unsupported { what: "a vector", since }));
    }
    for dialect in [Dialect::V4, Dialect::V5, Dialect::V6_0] {
        let mut e = Encoder::new(&mut out, dialect);
        let since = Version { major: 6, minor: 1 };
        assert_eq!(e.uuid(Uuid([0; 16])), Err(EncodeError::Unsupported { what: "a UUID", since }));
    }
    assert_eq!(out, b"");
}

#[test]
fn a_lenient_reader_accepts_any_width() {
    let any = |bytes: &str| decode(&hex(bytes), Dialect::V5);
    assert_eq!(any("CB 00 00 00 00 00 00 00 2A"), Value::Int(42));
    assert_eq!(any("D2 00 00 00 01 41"), Value::from("A"));
    assert_eq!(any("D4 01 01"), Value::from(vec![1]));
    assert_eq!(any("CE 00 00 00 01 01"), Value::Bytes(vec![1]));
    assert_eq!(any("D9 00 01 81 61 01"), Value::Map([("a", 1)].into()));
    assert_eq!(any("82 00 41"), Value::from("\0A"));
    let Value::Float(nan) = any("C1 7F F8 00 00 00 00 BE EF") else { panic!("a float") };
    assert_eq!(nan.to_bits(), 0x7FF8_0000_0000_BEEF);
    let bytes = hex("A2 81 61 01 81 61 02");
    assert_eq!(RawRef::new(&bytes, 0).map().unwrap().get_as::<i64>("a"), Ok(2), "the last one wins");
    assert!(Walker::default().walk(&bytes, 0, Dialect::V5).is_ok());
}
