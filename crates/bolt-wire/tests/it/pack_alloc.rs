//! What is promised about the heap, counted: nothing for records that are read, two allocations for one that is kept.

use bolt_alloc::{assert_no_alloc, measure};
use bolt_wire::{
    DecodeError, Dialect, Encode, Encoder, Fields, ListRef, Map, MapRef, Node, NodeRef, Path, PathRef,
    Point2D, RecordBatch, RecordDecoder, RecordRef, UnboundRelationship, Value, ValueRef,
};

/// Each of the 64 messages many times over.
const RECORDS: usize = 10_000;

/// One message a record: a few shapes in turn, so that no memory is sized for one of them only.
fn messages() -> Vec<Vec<u8>> {
    let node = |id: i64| Node {
        id,
        labels: vec!["Person".into(), "Admin".into()],
        properties: Map::from([
            ("name", Value::String(format!("name-{id}"))),
            ("age", Value::Int(id % 90)),
            ("at", Value::Point2D(Point2D { srid: 7_203, x: 1.0, y: 2.0 })),
            ("tags", vec!["a", "b"].into()),
            ("active", Value::Bool(true)),
        ]),
        element_id: Some(format!("4:x:{id}")),
    };
    let along =
        UnboundRelationship { rel_type: "T".into(), element_id: Some(String::new()), ..Default::default() };
    (0..64)
        .map(|i| {
            let value: Value = match i % 4 {
                0 => node(i).into(),
                1 => (0..300).map(|k| k * k * i).collect::<Vec<i64>>().into(),
                2 => Path {
                    nodes: vec![node(1), node(2)],
                    relationships: vec![along.clone()],
                    indices: vec![1, 1],
                }
                .into(),
                _ => Value::Map(
                    (0..40).map(|k| (format!("key-{k}"), vec![Value::Int(k), Value::Null])).collect(),
                ),
            };
            let mut message = vec![0xB1, 0x71];
            let columns = [Value::Int(i), Value::String(format!("text {i}")), value];
            columns.encode(&mut Encoder::new(&mut message, Dialect::V5)).unwrap();
            message
        })
        .collect()
}

fn fields() -> Fields {
    ["i", "text", "value"].into_iter().collect()
}

/// Reads all there is in a record, by every kind of access.
fn read_all(record: RecordRef<'_>) -> Result<usize, DecodeError> {
    let mut seen = record.get::<i64>(0)? as usize + record.by_name::<&str>("text")?.len();
    let deep = |list: ListRef<'_>| -> Result<usize, DecodeError> {
        let indexed = list.indexed();
        let mut seen = 0;
        for i in (0..list.len()).rev() {
            seen += usize::from(indexed.get(i)?.is_some());
        }
        Ok(seen + list.iter().count())
    };
    let map = |map: MapRef<'_>| -> Result<usize, DecodeError> {
        let indexed = map.indexed();
        let mut seen = 0;
        for entry in map {
            let (key, _) = entry?;
            seen += usize::from(indexed.get(key)?.is_some()) + usize::from(map.get(key)?.is_some());
        }
        Ok(seen)
    };
    let node = |node: NodeRef<'_>| -> Result<usize, DecodeError> {
        Ok(node.labels().count() + map(node.properties())? + node.element_id()?.map_or(0, str::len))
    };
    seen += match record.value(2)? {
        ValueRef::List(v) => deep(v)?,
        ValueRef::Map(v) => map(v)?,
        ValueRef::Node(v) => node(v)?,
        ValueRef::Path(v) => {
            let mut seen = node(v.start()?)?;
            for step in v.steps() {
                let step = step?;
                seen += node(step.node)? + step.relationship.rel_type()?.len();
            }
            seen + record.get::<PathRef<'_>>(2)?.len()
        }
        other => panic!("unexpected {other:?}"),
    };
    Ok(seen)
}

fn read_stream(decoder: &mut RecordDecoder, messages: &[Vec<u8>], fields: &Fields, records: usize) -> usize {
    let mut seen = 0;
    for message in messages.iter().cycle().take(records) {
        decoder.scan(message, fields.len()).unwrap();
        seen += read_all(decoder.record(message, fields)).unwrap();
    }
    seen
}

#[test]
fn records_that_are_read_allocate_nothing() {
    let (messages, mut fields) = (messages(), fields());
    let mut decoder = RecordDecoder::new(1_024, Dialect::V5);
    let warm = read_stream(&mut decoder, &messages, &fields, messages.len());
    let seen = assert_no_alloc(|| read_stream(&mut decoder, &messages, &fields, RECORDS));
    assert!(seen > warm);
    // The names of the next result cost nothing either.
    assert_no_alloc(|| {
        fields.clear();
        ["i", "text", "value"].into_iter().for_each(|name| fields.push(name));
    });
}

/// A list so long that its places go beyond what a decoder keeps, and one that is not as long as it says.
#[test]
fn indexing_keeps_no_more_memory_than_its_cap_and_believes_no_announcement() {
    const KEPT_BYTES_MAX: i64 = 1 << 20;
    let list = |len: u32| {
        let message = [&[0xB1, 0x71, 0x91, 0xD6][..], &len.to_be_bytes(), &vec![7; len as usize]].concat();
        let mut decoder = RecordDecoder::new(8, Dialect::V5);
        decoder.scan(&message, 1).unwrap();
        (decoder, message)
    };
    let fields: Fields = ["l"].into_iter().collect();
    let (mut decoder, long) = list(1 << 20);
    let ((), counts) = measure(|| {
        let list = decoder.record(&long, &fields).get::<ListRef<'_>>(0).unwrap().indexed();
        assert_eq!(list.get_as::<i64>((1 << 20) - 1), Ok(7));
        assert_eq!(list.get(1 << 20), Ok(None));
        decoder.scan(b"\xB1\x71\x91\x01", 1).unwrap();
    });
    assert!(counts.peak_bytes >= 4 << 20, "{counts}");
    assert!(counts.live_bytes <= KEPT_BYTES_MAX, "{counts}");
    // The decoder is asked about a message it has not scanned: the count is nonsense, the memory must not follow it.
    let lying = b"\xB1\x71\x91\xD6\x7F\xFF\xFF\xFF\x01\x02\x03";
    let (mut decoder, short) = list(3);
    decoder.scan(&short, 1).unwrap();
    let ((), counts) = measure(|| {
        for list in [
            decoder.record(lying, &fields).get::<ListRef<'_>>(0).unwrap().indexed(),
            bolt_wire::RawRef::new(lying, 3).list().unwrap().indexed(),
        ] {
            assert_eq!(list.get_as::<i64>(1), Ok(2));
        }
    });
    assert!(counts.peak_bytes < 8 << 10, "{counts}");
}

#[test]
fn records_that_are_kept_cost_two_allocations_or_hardly_any() {
    let (messages, fields) = (messages(), fields());
    let mut decoder = RecordDecoder::new(1_024, Dialect::V5);
    read_stream(&mut decoder, &messages, &fields, messages.len());
    let mut kept = Vec::with_capacity(RECORDS);
    let ((), counts) = measure(|| {
        for message in messages.iter().cycle().take(RECORDS) {
            decoder.scan(message, 3).unwrap();
            kept.push(decoder.record(message, &fields).to_owned());
        }
    });
    assert_eq!((counts.allocations, counts.reallocations), (2 * RECORDS as u64, 0));
    let mut batch = RecordBatch::new();
    let ((), counts) = measure(|| {
        for message in messages.iter().cycle().take(RECORDS) {
            decoder.scan(message, 3).unwrap();
            batch.push(decoder.record(message, &fields));
        }
    });
    assert!(counts.allocations + counts.reallocations < RECORDS as u64 / 50, "{counts}");
    for (kept, batched) in kept.iter().zip(batch.iter()) {
        assert_eq!(kept.as_ref().message(), batched.message());
        assert_eq!(read_all(kept.as_ref()), read_all(batched));
    }
}

#[test]
#[cfg(feature = "serde")]
fn structs_with_borrowed_text_cost_nothing_and_with_a_string_one_allocation() {
    #[derive(serde_derive::Deserialize)]
    struct Borrowed<'a> {
        i: i64,
        text: &'a str,
    }
    #[derive(serde_derive::Deserialize)]
    struct Owned {
        i: i64,
        text: String,
    }
    let mut message = vec![0xB1, 0x71];
    [Value::Int(7), Value::from("seven")].encode(&mut Encoder::new(&mut message, Dialect::V5)).unwrap();
    let fields: Fields = ["i", "text"].into_iter().collect();
    let mut decoder = RecordDecoder::new(1_024, Dialect::V5);
    decoder.scan(&message, 2).unwrap();
    assert_no_alloc(|| {
        for _ in 0..RECORDS {
            decoder.scan(&message, 2).unwrap();
            let row: Borrowed<'_> = decoder.record(&message, &fields).deserialize().unwrap();
            assert_eq!((row.i, row.text), (7, "seven"));
        }
    });
    let ((), counts) = measure(|| {
        for _ in 0..RECORDS {
            let row: Owned = decoder.record(&message, &fields).deserialize().unwrap();
            assert_eq!((row.i, row.text.len()), (7, 5));
        }
    });
    assert_eq!(counts.allocations, RECORDS as u64);
}

#[test]
fn a_warm_encoder_allocates_nothing() {
    let value = Value::from(vec![Value::from("text"), Value::Int(1 << 40), Value::Map([("k", 1.5)].into())]);
    let mut out = Vec::with_capacity(1_024);
    assert_no_alloc(|| {
        for _ in 0..RECORDS {
            out.clear();
            Encoder::new(&mut out, Dialect::V5).encode(&value).unwrap();
        }
    });
    assert!(!out.is_empty());
}
