//! The shapes of the generated streams: every value is a formula of the record's number, so that whoever reads a
//! stream can check that it got all of it and got it right.
//!
//! Owns the formulas, their encoding into blocks of ready-made records, and the sums to expect. Never touches a
//! socket. Limits: a stream repeats itself after [`Shape::block_records`] records; a block is at most 1 MiB or so.

use std::io::Write as _;

use bolt_wire::{
    Date, DateTime, DateTimeForm, Dialect, Duration, ElementType, EncodeError, Encoder, LocalDateTime,
    LocalTime, Point2D, Point3D, Time, Uuid,
};

/// What the records of a stream look like. `r` below is the record's number modulo [`Shape::block_records`].
///
/// Sizes are bytes on the wire, chunk header and end mark included, averaged over a block:
///
/// | shape | columns | bytes, 5.x and later | bytes, 4.x |
/// |---|---|---|---|
/// | `Scalars` | `id` int, `score` float, `name` string, `active` bool | 36.1 | 36.1 |
/// | `Nodes` | `node`: `(:Person {name, email, born, score, active})` | 148.7 | 103.9 |
/// | `Lists` | `list`: 100 ints, 7.84 bytes each as realistic mixes of widths are | 793 | 793 |
/// | `Mixed` | `n` int, `value`: every type in turn | about 90 | about 75 |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// `id = r × 1,000,003`, `score = r / 2 + 0.25`, `name = "user-" + six digits of r` (`usér-` for each fourth),
    /// `active = r divisible by 3`.
    Scalars,
    /// Node `r`, label `Person`; `name = "Person-" + six digits`, `email = "person-" + six digits + "@example.org"`,
    /// `born = 1950 + r mod 60`, `score = r / 4`, `active = r even`.
    Nodes,
    /// 100 integers by [`list_item`]: 76 of nine bytes, 16 of five, 6 of three, 2 of one, well shuffled.
    Lists,
    /// `n = r` and a value whose type is number `r mod 28` of the list at [`MIXED_KINDS`].
    Mixed,
    /// `n`, the record's number, without end: what `generate.slow` and `generate.failing` send.
    Numbers,
}

/// What the values of a stream add up to, for readers that want to prove they read it all.
///
/// Counted are column values, list items and node properties. Not counted are ids, element ids, labels and keys;
/// of `Mixed` only the first column.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Expected {
    /// Records.
    pub records: u64,
    /// The sum of all integers, wrapping at 64 bits.
    pub ints: i64,
    /// The sum of all floats. Exact in any order, since all are quarters.
    pub floats: f64,
    /// Bytes of all strings.
    pub string_bytes: u64,
    /// How many booleans are true.
    pub trues: u64,
}

/// Names of the types that [`Shape::Mixed`] goes through, in order.
pub const MIXED_KINDS: [&str; 28] = [
    "null",
    "true",
    "false",
    "integer of any width",
    "float",
    "empty string",
    "string of 0 to 299 bytes",
    "string beyond ASCII",
    "bytes of 0 to 299",
    "empty list",
    "list of mixed types",
    "list nested 20 deep",
    "dictionary of 3",
    "dictionary of 20",
    "date",
    "time",
    "local time",
    "date-time with offset",
    "date-time with zone",
    "local date-time",
    "duration",
    "point in the plane",
    "point in space",
    "node",
    "relationship",
    "path",
    "vector",
    "UUID",
];

/// Integers per record of [`Shape::Lists`].
pub const LIST_ITEMS: usize = 100;

const ELEMENT_ID_PREFIX: &str = "4:b0172ec0-1f5e-4a3c-9d51-60605b170001:";
const RELATIONSHIP_ID_PREFIX: &str = "5:b0172ec0-1f5e-4a3c-9d51-60605b170001:";

/// Item `j` of the list in record `r`.
pub fn list_item(r: u64, j: usize) -> i64 {
    let j = j as u64;
    let x = mix(r * LIST_ITEMS as u64 + j);
    let sign = if x & (1 << 62) == 0 { 1 } else { -1 };
    let low = |bits: u32| (x & ((1 << bits) - 1)) as i64;
    match (j * 37 + r * 13) % 100 {
        0..76 => sign * (low(55) | 1 << 40),
        76..92 => sign * (low(30) | 1 << 16),
        92..98 => sign * (low(14) | 1 << 8),
        _ => low(7),
    }
}

/// Spreads a number over 64 bits (the finalizer of SplitMix64).
fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// What `n` records of a shape add up to. Cost: one pass over a block, whatever `n` is.
///
/// ```
/// use bolt_server::generated::{Shape, expected};
/// let all = expected(Shape::Numbers, 5);
/// assert_eq!((all.records, all.ints), (5, 0 + 1 + 2 + 3 + 4));
/// ```
pub fn expected(shape: Shape, n: u64) -> Expected {
    let block_records = shape.block_records();
    let (blocks, rest) = (n / block_records, n % block_records);
    let (mut block, mut tail) = (Expected::default(), Expected::default());
    for r in 0..if blocks > 0 { block_records } else { rest } {
        shape.add(r, &mut block);
        if r < rest {
            shape.add(r, &mut tail);
        }
    }
    if blocks == 0 {
        block = Expected::default();
    }
    Expected {
        records: n,
        ints: block.ints.wrapping_mul(blocks as i64).wrapping_add(tail.ints),
        floats: block.floats * blocks as f64 + tail.floats,
        string_bytes: block.string_bytes * blocks + tail.string_bytes,
        trues: block.trues * blocks + tail.trues,
    }
}

impl Shape {
    /// Records after which a stream repeats itself.
    pub fn block_records(self) -> u64 {
        match self {
            Shape::Lists => 1024,
            Shape::Scalars | Shape::Nodes | Shape::Mixed | Shape::Numbers => 4096,
        }
    }

    /// The names of its columns.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Shape::Scalars => &["id", "score", "name", "active"],
            Shape::Nodes => &["node"],
            Shape::Lists => &["list"],
            Shape::Mixed => &["n", "value"],
            Shape::Numbers => &["n"],
        }
    }

    fn add(self, r: u64, sum: &mut Expected) {
        sum.records += 1;
        match self {
            Shape::Scalars => {
                sum.ints = sum.ints.wrapping_add(scalar_id(r));
                sum.floats += scalar_score(r);
                sum.string_bytes += scalar_name(r).as_bytes().len() as u64;
                sum.trues += u64::from(r.is_multiple_of(3));
            }
            Shape::Nodes => {
                sum.ints = sum.ints.wrapping_add(node_born(r));
                sum.floats += node_score(r);
                sum.string_bytes +=
                    node_name(r).as_bytes().len() as u64 + node_email(r).as_bytes().len() as u64;
                sum.trues += u64::from(r.is_multiple_of(2));
            }
            Shape::Lists => {
                for j in 0..LIST_ITEMS {
                    sum.ints = sum.ints.wrapping_add(list_item(r, j));
                }
            }
            Shape::Mixed | Shape::Numbers => sum.ints = sum.ints.wrapping_add(r as i64),
        }
    }

    /// Writes the columns of record `r`, without list header.
    fn encode(self, r: u64, e: &mut Encoder<'_, Vec<u8>>) -> Result<(), EncodeError> {
        match self {
            Shape::Scalars => {
                e.int(scalar_id(r))?;
                e.float(scalar_score(r))?;
                e.str(scalar_name(r).as_str())?;
                e.bool(r.is_multiple_of(3))
            }
            Shape::Nodes => node(r, e),
            Shape::Lists => {
                e.list_header(LIST_ITEMS)?;
                (0..LIST_ITEMS).try_for_each(|j| e.int(list_item(r, j)))
            }
            Shape::Mixed => {
                e.int(r as i64)?;
                mixed(r, e)
            }
            Shape::Numbers => e.int(r as i64),
        }
    }
}

/// A short text built without the heap.
struct Text {
    bytes: [u8; 64],
    len: usize,
}

impl Text {
    fn format(args: std::fmt::Arguments<'_>) -> Text {
        let mut bytes = [0; 64];
        let mut rest = &mut bytes[..];
        // The formats of this file are all shorter; a longer one would show as a wrong sum in the tests.
        let _ = rest.write_fmt(args);
        let len = 64 - rest.len();
        Text { bytes, len }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

fn scalar_id(r: u64) -> i64 {
    r as i64 * 1_000_003
}

fn scalar_score(r: u64) -> f64 {
    r as f64 / 2.0 + 0.25
}

fn scalar_name(r: u64) -> Text {
    if r.is_multiple_of(4) {
        Text::format(format_args!("usér-{r:06}"))
    } else {
        Text::format(format_args!("user-{r:06}"))
    }
}

fn node_name(r: u64) -> Text {
    Text::format(format_args!("Person-{r:06}"))
}

fn node_email(r: u64) -> Text {
    Text::format(format_args!("person-{r:06}@example.org"))
}

fn node_born(r: u64) -> i64 {
    1950 + (r % 60) as i64
}

fn node_score(r: u64) -> f64 {
    r as f64 / 4.0
}

fn node(r: u64, e: &mut Encoder<'_, Vec<u8>>) -> Result<(), EncodeError> {
    let element_ids = e.dialect().element_ids;
    e.struct_header(if element_ids { 4 } else { 3 }, b'N')?;
    e.int(r as i64)?;
    e.list_header(1)?;
    e.str("Person")?;
    e.map_header(5)?;
    e.str("name")?;
    e.str(node_name(r).as_str())?;
    e.str("email")?;
    e.str(node_email(r).as_str())?;
    e.str("born")?;
    e.int(node_born(r))?;
    e.str("score")?;
    e.float(node_score(r))?;
    e.str("active")?;
    e.bool(r.is_multiple_of(2))?;
    if element_ids {
        e.str(Text::format(format_args!("{ELEMENT_ID_PREFIX}{r}")).as_str())?;
    }
    Ok(())
}

fn relationship_properties(r: u64, e: &mut Encoder<'_, Vec<u8>>) -> Result<(), EncodeError> {
    e.map_header(1)?;
    e.str("since")?;
    e.int(2000 + (r % 25) as i64)
}

/// `(r)-[:KNOWS {since}]->(r + 1)`
fn relationship(r: u64, e: &mut Encoder<'_, Vec<u8>>) -> Result<(), EncodeError> {
    let element_ids = e.dialect().element_ids;
    e.struct_header(if element_ids { 8 } else { 5 }, b'R')?;
    e.int(r as i64)?;
    e.int(r as i64)?;
    e.int(r as i64 + 1)?;
    e.str("KNOWS")?;
    relationship_properties(r, e)?;
    if element_ids {
        e.str(Text::format(format_args!("{RELATIONSHIP_ID_PREFIX}{r}")).as_str())?;
        e.str(Text::format(format_args!("{ELEMENT_ID_PREFIX}{r}")).as_str())?;
        e.str(Text::format(format_args!("{ELEMENT_ID_PREFIX}{}", r + 1)).as_str())?;
    }
    Ok(())
}

/// `(r)-[:KNOWS]->(r + 1)<-[:KNOWS]-(r)`: the same relationship forth and back.
fn path(r: u64, e: &mut Encoder<'_, Vec<u8>>) -> Result<(), EncodeError> {
    let element_ids = e.dialect().element_ids;
    e.struct_header(3, b'P')?;
    e.list_header(2)?;
    node(r, e)?;
    node(r + 1, e)?;
    e.list_header(1)?;
    e.struct_header(if element_ids { 4 } else { 3 }, b'r')?;
    e.int(r as i64)?;
    e.str("KNOWS")?;
    relationship_properties(r, e)?;
    if element_ids {
        e.str(Text::format(format_args!("{RELATIONSHIP_ID_PREFIX}{r}")).as_str())?;
    }
    e.list_header(4)?;
    for step in [1, 1, -1, 0] {
        e.int(step)?;
    }
    Ok(())
}

/// What stands for a value that a version below 6.0 cannot carry, as real servers send it.
fn unknown_type(original: &str, e: &mut Encoder<'_, Vec<u8>>) -> Result<(), EncodeError> {
    e.map_header(2)?;
    e.str("originalType")?;
    e.str(original)?;
    e.str("reason")?;
    e.str("UNKNOWN_TYPE")
}

fn mixed(r: u64, e: &mut Encoder<'_, Vec<u8>>) -> Result<(), EncodeError> {
    /// One on each side of every change of width, and the ends.
    const INTS: [i64; 16] = [
        0,
        127,
        128,
        -16,
        -17,
        -128,
        -129,
        32_767,
        32_768,
        -32_768,
        -32_769,
        2_147_483_647,
        2_147_483_648,
        -2_147_483_649,
        i64::MAX,
        i64::MIN,
    ];
    const FLOATS: [f64; 8] =
        [0.0, -0.0, 1.5, -1e300, f64::MIN_POSITIVE, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    let kinds = MIXED_KINDS.len() as u64;
    let round = r / kinds;
    let i = r as i64;
    match r % kinds {
        0 => e.null(),
        1 => e.bool(true),
        2 => e.bool(false),
        3 => e.int(INTS[(round % 16) as usize]),
        4 => e.float(FLOATS[(round % 8) as usize]),
        5 => e.str(""),
        6 => e.str(&"abcdefghij".repeat(30)[..(r % 300) as usize]),
        7 => e.str("größe 数 \u{1F980}"),
        8 => e.bytes(&[r as u8; 300][..(r % 300) as usize]),
        9 => e.list_header(0),
        10 => {
            e.list_header(4)?;
            e.int(i)?;
            e.float(0.5)?;
            e.str("three")?;
            e.null()
        }
        11 => {
            (0..20).try_for_each(|_| e.list_header(1))?;
            e.int(i)
        }
        12 => {
            e.map_header(3)?;
            e.str("a")?;
            e.int(i)?;
            e.str("b")?;
            e.null()?;
            e.str("")?;
            e.str("empty key")
        }
        13 => {
            e.map_header(20)?;
            for k in 0..20 {
                e.str(Text::format(format_args!("key{k}")).as_str())?;
                e.int(i * k)?;
            }
            Ok(())
        }
        14 => e.date(Date { days: i * 10 - 20_000 }),
        15 => e.time(Time { nanoseconds: i * 1_000_000_007, offset_seconds: 3600 }),
        16 => e.local_time(LocalTime { nanoseconds: i * 1_000_000_007 }),
        17 => e.date_time(DateTime::new(i * 86_399, 42, 3600)),
        // Nairobi is three hours ahead of UTC the year round, so that both forms are known without a time-zone database.
        18 if e.dialect().utc => e.date_time_zoned(i * 86_399, 42, "Africa/Nairobi", DateTimeForm::Utc),
        18 => e.date_time_zoned(i * 86_399 + 10_800, 42, "Africa/Nairobi", DateTimeForm::LegacyLocal),
        19 => e.local_date_time(LocalDateTime { seconds: i * 86_399, nanoseconds: 999_999_999 }),
        20 => e.duration(Duration { months: i, days: -i, seconds: -1, nanoseconds: 500_000_000 }),
        21 => e.point_2d(Point2D { srid: 7203, x: r as f64, y: -0.5 }),
        22 => e.point_3d(Point3D { srid: 4979, x: 12.5, y: 55.25, z: r as f64 }),
        23 => node(r, e),
        24 => relationship(r, e),
        25 => path(r, e),
        26 if e.dialect().vector => {
            let floats = [1.0_f32, -2.0, 0.5, r as f32];
            let data: Vec<u8> = floats.iter().flat_map(|float| float.to_be_bytes()).collect();
            e.vector(ElementType::F32, &data)
        }
        26 => unknown_type("VECTOR(4, FLOAT32)", e),
        _ if e.dialect().uuid => e.uuid(Uuid((u128::from(mix(r)) << 64 | u128::from(r)).to_be_bytes())),
        _ if e.dialect().vector => {
            // UnsupportedType: name, first version that has it, and a map that may hold a message.
            e.struct_header(4, b'?')?;
            e.str("UUID")?;
            e.int(6)?;
            e.int(1)?;
            e.map_header(0)
        }
        _ => unknown_type("UUID", e),
    }
}

/// All records of a block, framed and ready to be sent.
#[derive(Debug)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    /// Where each record begins; one more at the end.
    starts: Vec<u32>,
}

impl Block {
    /// # Errors
    /// None that the shapes of this file can bring about.
    pub(crate) fn new(shape: Shape, dialect: Dialect) -> Result<Block, EncodeError> {
        let records = shape.block_records();
        let mut bytes = Vec::new();
        let mut starts = Vec::with_capacity(records as usize + 1);
        for r in 0..records {
            starts.push(bytes.len() as u32);
            let begin = bytes.len();
            bytes.extend_from_slice(&[0, 0, 0xB1, 0x71]);
            let mut e = Encoder::new(&mut bytes, dialect);
            e.list_header(shape.columns().len())?;
            shape.encode(r, &mut e)?;
            let body = bytes.len() - begin - 2;
            // Each record is one chunk.
            let size = u16::try_from(body).map_err(|_| EncodeError::TooLong { len: body })?;
            bytes[begin..begin + 2].copy_from_slice(&size.to_be_bytes());
            bytes.extend_from_slice(&[0, 0]);
        }
        starts.push(bytes.len() as u32);
        bytes.shrink_to_fit();
        Ok(Block { bytes, starts })
    }

    pub(crate) fn records(&self) -> u64 {
        self.starts.len() as u64 - 1
    }

    /// Where to stop when up to `n` records are to be sent from record `from` on: at the block's end, or after
    /// about as many bytes as one write should have.
    pub(crate) fn step(&self, from: u64, n: u64, bytes_max: usize) -> u64 {
        let last = from + n.min(self.records() - from);
        let limit = self.starts[from as usize] as usize + bytes_max;
        let fitting =
            self.starts[from as usize..=last as usize].partition_point(|&start| start as usize <= limit);
        last.min(from + (fitting as u64).saturating_sub(1).max(1))
    }

    /// The bytes of the records `from..to` of the block.
    pub(crate) fn slice(&self, from: u64, to: u64) -> &[u8] {
        &self.bytes[self.starts[from as usize] as usize..self.starts[to as usize] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Shape; 5] = [Shape::Scalars, Shape::Nodes, Shape::Lists, Shape::Mixed, Shape::Numbers];

    /// The sizes in the table above are what the comparison with other clients rests on.
    #[test]
    fn records_have_the_sizes_that_are_documented() {
        let average = |shape: Shape, dialect| {
            let block = Block::new(shape, dialect).unwrap();
            block.bytes.len() as f64 / block.records() as f64
        };
        for (shape, v5, v4) in
            [(Shape::Scalars, 36.1, 36.1), (Shape::Nodes, 148.7, 103.9), (Shape::Lists, 793.0, 793.0)]
        {
            let found = (average(shape, Dialect::V5), average(shape, Dialect::V4));
            assert!((found.0 - v5).abs() < 0.1 && (found.1 - v4).abs() < 0.1, "{shape:?}: {found:?}");
        }
    }

    #[test]
    fn slices_are_whole_records_and_every_one_is_a_single_chunk() {
        for shape in ALL {
            for dialect in [Dialect::V4, Dialect::V5, Dialect::V6_0, Dialect::V6_1] {
                let block = Block::new(shape, dialect).unwrap();
                assert_eq!(block.slice(0, block.records()).len(), block.bytes.len());
                for r in 0..block.records() {
                    let record = block.slice(r, r + 1);
                    let size = usize::from(u16::from_be_bytes([record[0], record[1]]));
                    assert_eq!(size + 4, record.len());
                    assert_eq!(&record[2..4], [0xB1, 0x71]);
                    assert_eq!(&record[record.len() - 2..], [0, 0]);
                }
            }
        }
    }

    #[test]
    fn expected_sums_go_on_over_the_end_of_a_block() {
        for shape in ALL {
            for n in [0, 1, 7, shape.block_records(), shape.block_records() * 2 + 5] {
                let mut slow = Expected::default();
                for record in 0..n {
                    shape.add(record % shape.block_records(), &mut slow);
                }
                assert_eq!(expected(shape, n), slow, "{shape:?} {n}");
            }
        }
    }

    #[test]
    fn list_items_have_the_widths_that_are_documented() {
        let width = |v: i64| match v {
            -16..=127 => 1,
            _ if i16::try_from(v).is_ok() => 3,
            _ if i32::try_from(v).is_ok() => 5,
            _ => 9,
        };
        for r in 0..Shape::Lists.block_records() {
            let mut counts = [0; 10];
            (0..LIST_ITEMS).for_each(|j| counts[width(list_item(r, j))] += 1);
            assert_eq!((counts[9], counts[5], counts[3], counts[1]), (76, 16, 6, 2), "record {r}");
        }
    }
}
