//! PackStream: records scanned and read in place, beside a plain recursive decoder into owned values; parameters encoded, beside
//! plain pushes to a `Vec`. Every case checks its sums before it times. One element is one record.

use std::hint::black_box;

use bolt_wire::chunk::{Chunked, Dechunker};
use bolt_wire::request::{AccessMode, Pull, Run, RunExtra, WriteMessage};
use bolt_wire::{
    DecodeError, Dialect, Encode, Encoder, Fields, FromValue, ListRef, Map, Node, NodeRef, Params,
    RecordBatch, RecordDecoder, RecordRef, Value, Version,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Records in one block, as a receive buffer holds them.
const RECORDS: usize = 1_000;

/// A stream of messages: their bytes, and where each begins and ends.
struct Stream {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    fields: Fields,
}

impl Stream {
    fn new(columns: &[&str], mut record: impl FnMut(u64) -> Vec<Value>) -> Self {
        let mut stream = Self { bytes: Vec::new(), ends: Vec::new(), fields: columns.iter().collect() };
        for i in 0..RECORDS as u64 {
            let mut e = Encoder::new(&mut stream.bytes, Dialect::V5);
            e.struct_header(1, 0x71).unwrap();
            record(i).encode(&mut e).unwrap();
            stream.ends.push(stream.bytes.len());
        }
        stream
    }

    fn messages(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let message = &self.bytes[start..end];
            start = end;
            message
        })
    }

    /// Scans every message and reads it with `read`; the sum of what that returns.
    fn sum(
        &self,
        decoder: &mut RecordDecoder,
        mut read: impl FnMut(RecordRef<'_>) -> Result<u64, DecodeError>,
    ) -> Result<u64, DecodeError> {
        let mut sum = 0u64;
        for message in self.messages() {
            decoder.scan(message, self.fields.len())?;
            sum = sum.wrapping_add(read(decoder.record(message, &self.fields))?);
        }
        Ok(sum)
    }
}

/// Numbers that look random and are the same in every run (SplitMix64).
fn noise(i: u64) -> u64 {
    let mut z = i.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

fn scalars() -> Stream {
    Stream::new(&["id", "x", "name", "flag"], |i| {
        vec![
            Value::Int(i as i64 * 1_000),
            Value::Float(i as f64 / 2.0),
            Value::String(format!("name-{i:05}")),
            Value::Bool(i % 3 == 0),
        ]
    })
}

fn nodes() -> Stream {
    Stream::new(&["n"], |i| {
        let node = Node {
            id: i as i64,
            labels: vec!["Person".into()],
            properties: Map::from([
                ("name", Value::String(format!("name-{i:05}"))),
                ("age", Value::Int(i as i64 % 90)),
                ("score", Value::Float(i as f64 / 2.0)),
                ("active", Value::Bool(i % 3 == 0)),
                ("since", Value::Int(1_600_000_000 + i as i64)),
            ]),
            element_id: Some(format!("4:3f0a4e5b-7c21-4b8e-9d61-0f3c9a5e6f6b:{i}")),
        };
        vec![node.into()]
    })
}

/// Lists of 100 integers made by `item`.
fn lists(item: impl Fn(u64) -> i64) -> Stream {
    Stream::new(&["l"], |i| vec![(0..100).map(|k| item(i * 100 + k)).collect::<Vec<i64>>().into()])
}

fn read_scalars(record: RecordRef<'_>) -> Result<u64, DecodeError> {
    let id: i64 = record.get(0)?;
    let x: f64 = record.get(1)?;
    let name: &str = record.get(2)?;
    let flag: bool = record.get(3)?;
    Ok((id as u64).wrapping_add(x as u64).wrapping_add(name.len() as u64).wrapping_add(u64::from(flag)))
}

/// Properties matched by name in one pass, as a user with speed in mind writes it.
fn read_node(record: RecordRef<'_>) -> Result<u64, DecodeError> {
    let node: NodeRef<'_> = record.get(0)?;
    let mut sum = node.id() as u64;
    for label in node.labels() {
        sum = sum.wrapping_add(label?.len() as u64);
    }
    for (key, value) in node.properties().entries() {
        let part = match key {
            b"name" => value.str()?.len() as u64,
            b"age" | b"since" => value.int()? as u64,
            b"score" => value.float()? as u64,
            b"active" => u64::from(value.bool()?),
            _ => 0,
        };
        sum = sum.wrapping_add(part);
    }
    Ok(sum)
}

/// Properties asked for one by one, as most users write it.
fn read_node_by_name(record: RecordRef<'_>) -> Result<u64, DecodeError> {
    let node: NodeRef<'_> = record.get(0)?;
    let mut sum = node.id() as u64;
    for label in node.labels() {
        sum = sum.wrapping_add(label?.len() as u64);
    }
    let properties = node.properties();
    let name: &str = properties.get_as("name")?;
    let (age, since): (i64, i64) = (properties.get_as("age")?, properties.get_as("since")?);
    let score: f64 = properties.get_as("score")?;
    let active: bool = properties.get_as("active")?;
    Ok(sum
        .wrapping_add(name.len() as u64)
        .wrapping_add((age + since) as u64)
        .wrapping_add(score as u64)
        .wrapping_add(u64::from(active)))
}

fn read_list(record: RecordRef<'_>) -> Result<u64, DecodeError> {
    let list: ListRef<'_> = record.get(0)?;
    let mut sum = 0u64;
    for item in list.ints() {
        sum = sum.wrapping_add(item? as u64);
    }
    Ok(sum)
}

/// Every item by its number, from the last to the first: the list is indexed once.
fn read_list_backwards(record: RecordRef<'_>) -> Result<u64, DecodeError> {
    let list = record.get::<ListRef<'_>>(0)?.indexed();
    let mut sum = 0u64;
    for i in (0..list.len()).rev() {
        sum = sum.wrapping_add(list.get_as::<i64>(i)? as u64);
    }
    Ok(sum)
}

fn read_strings(record: RecordRef<'_>) -> Result<u64, DecodeError> {
    let list: ListRef<'_> = record.get(0)?;
    let mut sum = 0u64;
    for item in list.iter_as::<&str>() {
        sum = sum.wrapping_add(item?.len() as u64);
    }
    Ok(sum)
}

// ---- the plain baseline: recursion, owned values, no limits

enum Plain {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    String(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
    Struct(Vec<Self>),
}

fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (head, tail) = bytes.split_first_chunk::<N>().unwrap();
    *bytes = tail;
    *head
}

fn plain_string(bytes: &mut &[u8], len: usize) -> String {
    let (text, tail) = bytes.split_at(len);
    *bytes = tail;
    String::from_utf8(text.to_vec()).unwrap()
}

fn plain(bytes: &mut &[u8]) -> Plain {
    let [m] = take(bytes);
    match m {
        0x00..=0x7F | 0xF0..=0xFF => Plain::Int(i64::from(m as i8)),
        0xC8 => Plain::Int(i64::from(i8::from_be_bytes(take(bytes)))),
        0xC9 => Plain::Int(i64::from(i16::from_be_bytes(take(bytes)))),
        0xCA => Plain::Int(i64::from(i32::from_be_bytes(take(bytes)))),
        0xCB => Plain::Int(i64::from_be_bytes(take(bytes))),
        0xC1 => Plain::Float(f64::from_be_bytes(take(bytes))),
        0xC2 | 0xC3 => Plain::Bool(m == 0xC3),
        0x80..=0x8F => Plain::String(plain_string(bytes, usize::from(m & 15))),
        0xD0 => {
            let [len] = take(bytes);
            Plain::String(plain_string(bytes, usize::from(len)))
        }
        0x90..=0x9F => Plain::List((0..m & 15).map(|_| plain(bytes)).collect()),
        0xD4 => {
            let [len] = take(bytes);
            Plain::List((0..len).map(|_| plain(bytes)).collect())
        }
        0xA0..=0xAF => {
            let entry = |bytes: &mut &[u8]| match plain(bytes) {
                Plain::String(key) => (key, plain(bytes)),
                _ => panic!("key"),
            };
            Plain::Map((0..m & 15).map(|_| entry(bytes)).collect())
        }
        0xB0..=0xBF => {
            take::<1>(bytes);
            Plain::Struct((0..m & 15).map(|_| plain(bytes)).collect())
        }
        _ => Plain::Null,
    }
}

/// The same sum as the readers above make: integers, truncated floats, lengths of strings that are no keys, truths; of a node
/// without the element id.
fn plain_sum(value: &Plain) -> u64 {
    match value {
        Plain::Null => 0,
        Plain::Bool(v) => u64::from(*v),
        Plain::Int(v) => *v as u64,
        Plain::Float(v) => *v as u64,
        Plain::String(v) => v.len() as u64,
        Plain::List(v) => v.iter().map(plain_sum).fold(0, u64::wrapping_add),
        Plain::Map(v) => v
            .iter()
            .map(|(key, value)| plain_sum(value) + u64::from(key.is_empty()))
            .fold(0, u64::wrapping_add),
        Plain::Struct(v) => v.iter().take(3).map(plain_sum).fold(0, u64::wrapping_add),
    }
}

fn plain_stream(stream: &Stream) -> u64 {
    stream.messages().map(|mut message| plain_sum(&plain(&mut message))).fold(0, u64::wrapping_add)
}

type Group<'a> = criterion::BenchmarkGroup<'a, criterion::measurement::WallTime>;

/// One shape: walked only, walked and read, and through the plain decoder. Generic, so that reading is inlined as in a program.
fn case(
    group: &mut Group<'_>,
    decoder: &mut RecordDecoder,
    name: &str,
    stream: &Stream,
    read: impl Fn(RecordRef<'_>) -> Result<u64, DecodeError>,
) {
    assert_eq!(stream.sum(decoder, &read), Ok(plain_stream(stream)), "{name}");
    group.bench_function(format!("scan/{name}"), |b| {
        b.iter(|| stream.sum(decoder, |record| Ok(record.len() as u64)));
    });
    group.bench_function(format!("scan+read/{name}"), |b| b.iter(|| stream.sum(decoder, &read)));
    group.bench_function(format!("plain/{name}"), |b| b.iter(|| plain_stream(black_box(stream))));
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("wire");
    group.throughput(Throughput::Elements(RECORDS as u64));
    let mut decoder = RecordDecoder::new(1_024, Dialect::V5);
    let (group, decoder) = (&mut group, &mut decoder);
    case(group, decoder, "scalars", &scalars(), read_scalars);
    case(group, decoder, "nodes", &nodes(), read_node);
    case(group, decoder, "nodes-by-name", &nodes(), read_node_by_name);
    // Integers of one width, of two in no order, and of all; texts of all short lengths.
    let mostly_wide =
        |i| if noise(i) % 7 < 5 { noise(i + 7) as i64 } else { i64::from(noise(i) as i32 | 1 << 20) };
    let mixed = |i| noise(i) as i64 >> (noise(i + 1_000_000) % 64);
    case(group, decoder, "lists-tiny", &lists(|i| noise(i) as i64 & 0x7F), read_list);
    case(group, decoder, "lists-wide", &lists(|i| noise(i) as i64), read_list);
    case(group, decoder, "lists-mostly-wide", &lists(mostly_wide), read_list);
    case(group, decoder, "lists-mixed", &lists(mixed), read_list);
    case(group, decoder, "lists-mixed-indexed", &lists(mixed), read_list_backwards);
    let text = |i| Value::from(&"abcdefghijkl"[..noise(i) as usize % 12]);
    let texts = Stream::new(&["l"], |i| vec![Value::List((0..100).map(|k| text(i * 100 + k)).collect())]);
    case(group, decoder, "lists-short-strings", &texts, read_strings);
    keep(group, &scalars(), decoder);
}

/// Records that are kept: in a batch, one by one, and as owned values.
fn keep(group: &mut Group<'_>, stream: &Stream, decoder: &mut RecordDecoder) {
    let mut batch = RecordBatch::new();
    stream
        .sum(decoder, |record| {
            batch.push(record);
            Ok(0)
        })
        .unwrap();
    assert_eq!(
        batch.iter().map(|record| read_scalars(record).unwrap()).fold(0, u64::wrapping_add),
        plain_stream(stream)
    );
    group.bench_function("keep/batch", |b| {
        b.iter(|| {
            batch.clear();
            stream.sum(decoder, |record| {
                batch.push(record);
                Ok(0)
            })
        });
    });
    group.bench_function("keep/owned-record", |b| {
        b.iter(|| {
            let mut kept = Vec::with_capacity(RECORDS);
            let sum = stream.sum(decoder, |record| {
                kept.push(record.to_owned());
                Ok(0)
            });
            (sum, kept)
        });
    });
    group.bench_function("keep/values", |b| {
        b.iter(|| {
            let mut kept = Vec::with_capacity(RECORDS);
            let sum = stream.sum(decoder, |record| {
                kept.push(record.to_values()?);
                Ok(0)
            });
            (sum, kept)
        });
    });
}

fn encode(c: &mut Criterion) {
    let params =
        [("id", Value::Int(1_000_000)), ("name", Value::from("somebody")), ("score", Value::Float(0.5))];
    let pushed = |out: &mut Vec<u8>| {
        out.extend_from_slice(b"\xA3\x82id\xCA");
        out.extend_from_slice(&black_box(1_000_000i32).to_be_bytes());
        out.extend_from_slice(b"\x84name\x88");
        out.extend_from_slice(black_box("somebody").as_bytes());
        out.extend_from_slice(b"\x85score\xC1");
        out.extend_from_slice(&black_box(0.5f64).to_be_bytes());
    };
    let (mut out, mut plain) = (Vec::new(), Vec::new());
    params.encode_params(&mut Encoder::new(&mut out, Dialect::V5)).unwrap();
    pushed(&mut plain);
    assert_eq!(out, plain);
    assert_eq!(Map::from_raw(bolt_wire::RawRef::new(&out, 0)), Ok(params.clone().into()));
    let mut group = c.benchmark_group("wire");
    group.bench_function("encode/params", |b| {
        b.iter(|| {
            out.clear();
            black_box(&params).encode_params(&mut Encoder::new(&mut out, Dialect::V5)).unwrap();
        });
    });
    group.bench_function("encode/params-pushed", |b| {
        b.iter(|| {
            plain.clear();
            pushed(&mut plain);
        });
    });
    group.finish();
}

/// Chunked messages found in place, beside the plain reader that copies each chunk into a `Vec`; one element is one message.
fn dechunk(c: &mut Criterion) {
    const MESSAGES: usize = 1_000;
    let mut group = c.benchmark_group("wire");
    group.throughput(Throughput::Elements(MESSAGES as u64));
    for (name, size, chunk) in
        [("one-chunk", 32, 32), ("chunks-of-1024", 8_192, 1_024), ("chunks-of-1", 32, 1)]
    {
        let mut stream = Vec::new();
        for i in 0..MESSAGES {
            let body: Vec<u8> = (0..size).map(|at| noise((i * size + at) as u64) as u8).collect();
            for piece in body.chunks(chunk) {
                stream.extend_from_slice(&(piece.len() as u16).to_be_bytes());
                stream.extend_from_slice(piece);
            }
            stream.extend_from_slice(&[0, 0]);
        }
        let in_place = |stream: &mut [u8]| {
            let (mut dechunker, mut at, mut sum) = (Dechunker::new(), 0, 0_u64);
            while let Ok(Chunked::Message { start, end, consumed }) =
                dechunker.next(&mut stream[at..], 1 << 20)
            {
                sum += u64::from(stream[at + start]) + u64::from(stream[at + end - 1]) + (end - start) as u64;
                at += consumed;
            }
            sum
        };
        let copied = |stream: &[u8], body: &mut Vec<u8>| {
            let (mut at, mut sum) = (0, 0_u64);
            body.clear();
            while let Some(header) = stream.get(at..at + 2) {
                let size = usize::from(u16::from_be_bytes([header[0], header[1]]));
                at += 2;
                if size == 0 {
                    sum += u64::from(body[0]) + u64::from(body[body.len() - 1]) + body.len() as u64;
                    body.clear();
                } else {
                    body.extend_from_slice(&stream[at..at + size]);
                    at += size;
                }
            }
            sum
        };
        // Joining changes the stream, so that each round begins with a copy of it, for both.
        let (mut work, mut body) = (stream.clone(), Vec::new());
        assert_eq!(in_place(&mut work), copied(&stream, &mut body));
        group.bench_function(format!("dechunk/{name}"), |b| {
            b.iter(|| {
                work.copy_from_slice(&stream);
                black_box(in_place(&mut work))
            });
        });
        group.bench_function(format!("dechunk/{name}-copied"), |b| {
            b.iter(|| {
                work.copy_from_slice(&stream);
                black_box(copied(&work, &mut body))
            });
        });
    }
    group.finish();
}

/// What a query costs before it leaves: RUN and PULL, chunked, in one flight.
fn flight(c: &mut Criterion) {
    let extra = RunExtra { mode: AccessMode::Read, db: Some("neo4j"), ..RunExtra::default() };
    let write = |out: &mut Vec<u8>| {
        out.clear();
        let (query, params) = ("RETURN $x AS x", &[("x", black_box(1))]);
        Run { query, params, extra: &extra }.write(Version::V5_8, false, out).unwrap();
        Pull { n: 1_000, qid: None }.write(Version::V5_8, false, out).unwrap();
    };
    let mut out = Vec::new();
    write(&mut out);
    assert_eq!(out.len(), 54);
    c.bench_function("wire/flight/run-pull", |b| b.iter(|| write(&mut out)));
}

criterion_group!(benches, dechunk, flight, decode, encode);
criterion_main!(benches);
