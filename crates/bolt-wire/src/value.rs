//! Owned values: what a borrowed value becomes when it must outlive its message, and what parameters are built from.
//! Owns plain structs with public fields in the protocol's own units. Nothing here recurses, nor do copying, comparing and writing, which
//! are in `deep`; only dropping does, which is why conversion stops at [`VALUE_DEPTH_MAX`].

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::deep::{self, Task};
use crate::encode::{Encode, Encoder, Output, Params};
use crate::error::{DecodeError, DecodeReason, EncodeError};
use crate::marker::Kind;
use crate::structure::{StructRef, tag};
use crate::types::{
    Date, DateTime, DateTimeForm, Duration, ElementType, LocalDateTime, LocalTime, Point2D, Point3D, Time,
    Uuid,
};
use crate::value_ref::{RawRef, ValueRef};

/// How deep owned values may nest: as deep as the default limit of the walk. A value of this depth is read, cloned, compared, encoded, shown and
/// dropped within 256 KiB of stack, in a debug build too; deeper ones can be read only as [`ValueRef`].
pub const VALUE_DEPTH_MAX: u32 = crate::walk::DEPTH_MAX_DEFAULT;

/// A value of its own: 40 bytes and what it holds on the heap.
///
/// `Debug` shows [`SHOW_DEPTH_MAX`](crate::SHOW_DEPTH_MAX) levels of nesting and `…` for what lies deeper.
#[derive(Default)]
#[non_exhaustive]
pub enum Value {
    /// Null.
    #[default]
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string.
    String(String),
    /// A byte array.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Value>),
    /// A dictionary.
    Map(Map),
    /// A node.
    Node(Box<Node>),
    /// A relationship.
    Relationship(Box<Relationship>),
    /// A relationship as paths hold it.
    UnboundRelationship(Box<UnboundRelationship>),
    /// A path.
    Path(Box<Path>),
    /// A day.
    Date(Date),
    /// A time of day with offset.
    Time(Time),
    /// A time of day.
    LocalTime(LocalTime),
    /// An instant with offset.
    DateTime(DateTime),
    /// An instant with the name of a zone.
    DateTimeZoned(Box<DateTimeZoned>),
    /// A date and time without offset.
    LocalDateTime(LocalDateTime),
    /// A span of time.
    Duration(Duration),
    /// A point in the plane.
    Point2D(Point2D),
    /// A point in space.
    Point3D(Point3D),
    /// A vector of numbers.
    Vector(Vector),
    /// A UUID.
    Uuid(Uuid),
    /// The stand-in for a value that the protocol version could not carry.
    Unsupported(Box<Unsupported>),
    /// A structure with an unknown tag, or a known one that was broken.
    Structure(Box<Structure>),
}

/// A dictionary that keeps the order, and the duplicates, of what came. Look-ups take the last of equal keys.
#[derive(Default)]
pub struct Map(pub Vec<(String, Value)>);

impl Value {
    #[inline(never)]
    pub(crate) fn clone_leaf(&self) -> Self {
        match self {
            Self::Bool(v) => Self::Bool(*v),
            Self::Int(v) => Self::Int(*v),
            Self::Float(v) => Self::Float(*v),
            Self::String(v) => Self::String(v.clone()),
            Self::Bytes(v) => Self::Bytes(v.clone()),
            Self::Date(v) => Self::Date(*v),
            Self::Time(v) => Self::Time(*v),
            Self::LocalTime(v) => Self::LocalTime(*v),
            Self::DateTime(v) => Self::DateTime(*v),
            Self::DateTimeZoned(v) => Self::DateTimeZoned(v.clone()),
            Self::LocalDateTime(v) => Self::LocalDateTime(*v),
            Self::Duration(v) => Self::Duration(*v),
            Self::Point2D(v) => Self::Point2D(*v),
            Self::Point3D(v) => Self::Point3D(*v),
            Self::Vector(v) => Self::Vector(v.clone()),
            Self::Uuid(v) => Self::Uuid(*v),
            Self::Unsupported(v) => Self::Unsupported(v.clone()),
            // What has parts does not come here.
            _ => Self::Null,
        }
    }
}

impl Map {
    /// An empty dictionary.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Number of entries.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of `key`; passes over the entries from the last.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Sets `key`, in its place if it is there already; returns what it was.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.into(), value.into());
        match self.0.iter_mut().rev().find(|(name, _)| *name == key) {
            Some((_, old)) => Some(core::mem::replace(old, value)),
            None => {
                self.0.push((key, value));
                None
            }
        }
    }

    /// The entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }
}

impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self(entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

impl<K: Into<String>, V: Into<Value>, const N: usize> From<[(K, V); N]> for Map {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl IntoIterator for Map {
    type Item = (String, Value);
    type IntoIter = alloc::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// A node.
#[derive(Clone, Default, PartialEq)]
pub struct Node {
    /// The numeric id.
    pub id: i64,
    /// The labels.
    pub labels: Vec<String>,
    /// The properties.
    pub properties: Map,
    /// The element id, from Bolt 5.0 on.
    pub element_id: Option<String>,
}

/// A relationship.
#[derive(Clone, Default, PartialEq)]
pub struct Relationship {
    /// The numeric id.
    pub id: i64,
    /// The numeric id of the node it starts at.
    pub start_id: i64,
    /// The numeric id of the node it ends at.
    pub end_id: i64,
    /// The type.
    pub rel_type: String,
    /// The properties.
    pub properties: Map,
    /// The element ids of the relationship, its start and its end, from Bolt 5.0 on.
    pub element_ids: Option<[String; 3]>,
}

/// A relationship as paths hold it: its end points follow from the path.
#[derive(Clone, Default, PartialEq)]
pub struct UnboundRelationship {
    /// The numeric id.
    pub id: i64,
    /// The type.
    pub rel_type: String,
    /// The properties.
    pub properties: Map,
    /// The element id, from Bolt 5.0 on.
    pub element_id: Option<String>,
}

/// A path as it travels.
#[derive(Clone, Default, PartialEq)]
pub struct Path {
    /// The nodes, each once; the walk begins at the first.
    pub nodes: Vec<Node>,
    /// The relationships, each once.
    pub relationships: Vec<UnboundRelationship>,
    /// The walk: relationship number (from 1, negative = against its direction), node number (from 0), and so on.
    pub indices: Vec<i64>,
}

impl Path {
    /// The steps of the walk: relationship, whether it is walked forward, and the node arrived at. Ends at the first index that is
    /// out of range, which a path that was received does not have.
    pub fn steps(&self) -> impl Iterator<Item = (&UnboundRelationship, bool, &Node)> {
        self.indices.as_chunks::<2>().0.iter().map_while(|&[along, to]| {
            let number = usize::try_from(along.unsigned_abs()).ok()?.checked_sub(1)?;
            Some((self.relationships.get(number)?, along > 0, self.nodes.get(usize::try_from(to).ok()?)?))
        })
    }
}

/// An instant with the name of a time zone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DateTimeZoned {
    /// Seconds since 1970-01-01T00:00 on the clock that `form` names.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanoseconds: i64,
    /// Name of the zone, such as `Europe/Paris`.
    pub zone: String,
    /// Which clock `seconds` counts.
    pub form: DateTimeForm,
}

impl DateTimeZoned {
    /// The same, borrowed.
    #[must_use]
    pub fn view(&self) -> crate::DateTimeZonedRef<'_> {
        let Self { seconds, nanoseconds, ref zone, form } = *self;
        crate::DateTimeZonedRef { seconds, nanoseconds, zone, form }
    }

    /// The same instant in the other form, given the zone's offset then; `None` if its seconds would be beyond 64 bits.
    #[must_use]
    pub fn to_form(&self, form: DateTimeForm, offset_seconds: i64) -> Option<Self> {
        let (seconds, nanoseconds) = (self.seconds, self.nanoseconds);
        let time = DateTime { seconds, nanoseconds, offset_seconds, form: self.form }.to_form(form)?;
        Some(Self { seconds: time.seconds, form, ..self.clone() })
    }
}

/// A vector: its elements' type and their bytes in network order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vector {
    /// The type of the elements.
    pub element_type: ElementType,
    /// The elements in network order, as they travel.
    pub data: Vec<u8>,
}

/// One constructor a line: from a slice of numbers.
macro_rules! vector_from {
    ($($type:ident $variant:ident)*) => {$(
        impl From<&[$type]> for Vector {
            fn from(elements: &[$type]) -> Self {
                let data = elements.iter().flat_map(|element| element.to_be_bytes()).collect();
                Self { element_type: ElementType::$variant, data }
            }
        }
    )*};
}

vector_from! { i8 I8 i16 I16 i32 I32 i64 I64 f32 F32 f64 F64 }

impl Vector {
    /// The vector as a borrowed one, to read its elements.
    #[must_use]
    pub fn view(&self) -> crate::VectorRef<'_> {
        crate::VectorRef { element_type: self.element_type, data: &self.data }
    }
}

/// The stand-in a server sends for a value that the protocol version cannot carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unsupported {
    /// Name of the type.
    pub name: String,
    /// Major number of the first version that carries it.
    pub minimum_major: i64,
    /// Minor number of that version.
    pub minimum_minor: i64,
    /// What the server has to say about it.
    pub message: Option<String>,
}

/// A structure nobody knows, kept as it came.
#[derive(Clone, Default, PartialEq)]
pub struct Structure {
    /// The tag; above 127 it is illegal and cannot be sent.
    pub tag: u8,
    /// The fields.
    pub fields: Vec<Value>,
}

/// One conversion a line.
macro_rules! value_from {
    ($($type:ty: $v:ident => $body:expr;)*) => {$(
        impl From<$type> for Value {
            fn from($v: $type) -> Self {
                $body
            }
        }
    )*};
}

value_from! {
    (): _v => Self::Null;
    bool: v => Self::Bool(v);
    i8: v => Self::Int(v.into());
    i16: v => Self::Int(v.into());
    i32: v => Self::Int(v.into());
    i64: v => Self::Int(v);
    u8: v => Self::Int(v.into());
    u16: v => Self::Int(v.into());
    u32: v => Self::Int(v.into());
    f32: v => Self::Float(v.into());
    f64: v => Self::Float(v);
    &str: v => Self::String(v.into());
    String: v => Self::String(v);
    Map: v => Self::Map(v);
    Node: v => Self::Node(Box::new(v));
    Relationship: v => Self::Relationship(Box::new(v));
    UnboundRelationship: v => Self::UnboundRelationship(Box::new(v));
    Path: v => Self::Path(Box::new(v));
    Date: v => Self::Date(v);
    Time: v => Self::Time(v);
    LocalTime: v => Self::LocalTime(v);
    DateTime: v => Self::DateTime(v);
    DateTimeZoned: v => Self::DateTimeZoned(Box::new(v));
    LocalDateTime: v => Self::LocalDateTime(v);
    Duration: v => Self::Duration(v);
    core::time::Duration: v => Self::Duration(v.into());
    Point2D: v => Self::Point2D(v);
    Point3D: v => Self::Point3D(v);
    Vector: v => Self::Vector(v);
    Uuid: v => Self::Uuid(v);
    crate::encode::Bytes<'_>: v => Self::Bytes(v.0.into());
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

// ---- from bytes, without recursion

/// A container that is being built.
enum Frame<'a> {
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
    /// Fields of a structure; it is assembled when the last one is there.
    Structure(Vec<Value>, StructRef<'a>),
}

impl Value {
    /// Reads an owned value from walked bytes.
    ///
    /// # Errors
    /// A string that is not UTF-8, or a value nested deeper than [`VALUE_DEPTH_MAX`].
    pub fn read(raw: RawRef<'_>) -> Result<Self, DecodeError> {
        // The containers being built, each with the number of parts still to come. `next` goes over the bytes once, in order.
        let mut stack: Vec<(Frame<'_>, usize)> = Vec::new();
        let mut next = raw;
        'value: loop {
            let mut value = match next.kind() {
                Kind::List => {
                    let list = next.list()?;
                    push(&mut stack, next, Frame::List(reserve(list.len())), list.len())?;
                    next = list.first;
                    None
                }
                Kind::Map => {
                    let map = next.map()?;
                    push(&mut stack, next, Frame::Map(reserve(map.len())), map.len())?;
                    next = map.first;
                    None
                }
                Kind::Structure => match next.structure()?.to_value() {
                    ValueRef::Node(_)
                    | ValueRef::Relationship(_)
                    | ValueRef::UnboundRelationship(_)
                    | ValueRef::Path(_)
                    | ValueRef::Structure(_) => {
                        let structure = next.structure()?;
                        let frame = Frame::Structure(reserve(structure.len()), structure);
                        push(&mut stack, next, frame, structure.len())?;
                        next = structure.as_list().first;
                        None
                    }
                    leaf => {
                        next.at = next.end();
                        Some(Self::leaf(leaf))
                    }
                },
                _ => {
                    let leaf = next.value()?;
                    next.at = next.end();
                    Some(Self::leaf(leaf))
                }
            };
            // Hand the finished value to the container it belongs to, and that one, if it is full, to its own.
            loop {
                let Some((frame, left)) = stack.last_mut() else { return Ok(value.unwrap_or_default()) };
                match frame {
                    Frame::List(items) | Frame::Structure(items, _) => items.extend(value.take()),
                    Frame::Map(entries) => {
                        if let (Some(value), Some((_, slot))) = (value.take(), entries.last_mut()) {
                            *slot = value;
                        }
                        if *left > 0 {
                            entries.push((next.str()?.into(), Self::Null));
                            next.at = next.end();
                        }
                    }
                }
                if let Some(fewer) = left.checked_sub(1) {
                    *left = fewer;
                    continue 'value;
                }
                value = match stack.pop() {
                    Some((Frame::List(items), _)) => Some(Self::List(items)),
                    Some((Frame::Map(entries), _)) => Some(Self::Map(Map(entries))),
                    Some((Frame::Structure(fields, structure), _)) => Some(assemble(structure, fields)),
                    None => None,
                };
            }
        }
    }

    /// A value that has no parts which could nest.
    fn leaf(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Bool(v) => Self::Bool(v),
            ValueRef::Int(v) => Self::Int(v),
            ValueRef::Float(v) => Self::Float(v),
            ValueRef::String(v) => Self::String(v.into()),
            ValueRef::Bytes(v) => Self::Bytes(v.into()),
            ValueRef::Date(v) => Self::Date(v),
            ValueRef::Time(v) => Self::Time(v),
            ValueRef::LocalTime(v) => Self::LocalTime(v),
            ValueRef::DateTime(v) => Self::DateTime(v),
            ValueRef::DateTimeZoned(v) => Self::DateTimeZoned(Box::new(DateTimeZoned {
                seconds: v.seconds,
                nanoseconds: v.nanoseconds,
                zone: v.zone.into(),
                form: v.form,
            })),
            ValueRef::LocalDateTime(v) => Self::LocalDateTime(v),
            ValueRef::Duration(v) => Self::Duration(v),
            ValueRef::Point2D(v) => Self::Point2D(v),
            ValueRef::Point3D(v) => Self::Point3D(v),
            ValueRef::Vector(v) => {
                Self::Vector(Vector { element_type: v.element_type(), data: v.data().into() })
            }
            ValueRef::Uuid(v) => Self::Uuid(v),
            ValueRef::Unsupported(v) => Self::Unsupported(Box::new(Unsupported {
                name: v.name.into(),
                minimum_major: v.minimum_major,
                minimum_minor: v.minimum_minor,
                message: v.message.map(String::from),
            })),
            _ => Self::Null,
        }
    }
}

/// Memory for `len` parts, as far as it is cheap: the walk proved a byte for each, a `Value` takes forty.
fn reserve<T>(len: usize) -> Vec<T> {
    Vec::with_capacity(len.min(1_024))
}

fn push<'a>(
    stack: &mut Vec<(Frame<'a>, usize)>,
    at: RawRef<'a>,
    frame: Frame<'a>,
    parts: usize,
) -> Result<(), DecodeError> {
    if stack.len() >= VALUE_DEPTH_MAX as usize {
        return Err(DecodeError::new(at.offset(), DecodeReason::TooDeep { limit: VALUE_DEPTH_MAX }));
    }
    stack.push((frame, parts));
    Ok(())
}

/// Puts a graph structure together from its fields, or keeps them as they are if they do not fit.
fn assemble(structure: StructRef<'_>, fields: Vec<Value>) -> Value {
    if structure.problem().is_some() {
        return Value::Structure(Box::new(Structure { tag: structure.tag(), fields }));
    }
    // The structure was proved to have the right fields: what does not fit below cannot occur.
    let mut fields = fields.into_iter();
    let mut next = || fields.next().unwrap_or_default();
    match structure.tag() {
        tag::NODE => node(next(), next(), next(), next()).into(),
        tag::RELATIONSHIP => Relationship {
            id: int(next()),
            start_id: int(next()),
            end_id: int(next()),
            rel_type: string(next()).unwrap_or_default(),
            properties: map(next()),
            element_ids: match [string(next()), string(next()), string(next())] {
                [Some(own), Some(start), Some(end)] => Some([own, start, end]),
                _ => None,
            },
        }
        .into(),
        tag::UNBOUND_RELATIONSHIP => unbound(next(), next(), next(), next()).into(),
        _ => {
            let nodes = list(next()).into_iter().filter_map(|value| match value {
                Value::Node(node) => Some(*node),
                _ => None,
            });
            let nodes = nodes.collect();
            let relationships = list(next()).into_iter().filter_map(|value| match value {
                Value::UnboundRelationship(relationship) => Some(*relationship),
                _ => None,
            });
            let relationships = relationships.collect();
            Path { nodes, relationships, indices: list(next()).into_iter().map(int).collect() }.into()
        }
    }
}

fn node(id: Value, labels: Value, properties: Value, element_id: Value) -> Node {
    let labels = list(labels).into_iter().filter_map(string).collect();
    Node { id: int(id), labels, properties: map(properties), element_id: string(element_id) }
}

fn unbound(id: Value, rel_type: Value, properties: Value, element_id: Value) -> UnboundRelationship {
    UnboundRelationship {
        id: int(id),
        rel_type: string(rel_type).unwrap_or_default(),
        properties: map(properties),
        element_id: string(element_id),
    }
}

fn int(value: Value) -> i64 {
    if let Value::Int(v) = value { v } else { 0 }
}

fn string(value: Value) -> Option<String> {
    if let Value::String(v) = value { Some(v) } else { None }
}

fn list(value: Value) -> Vec<Value> {
    if let Value::List(v) = value { v } else { Vec::new() }
}

fn map(value: Value) -> Map {
    if let Value::Map(v) = value { v } else { Map::new() }
}

impl<'a> crate::FromValue<'a> for Value {
    fn from_raw(raw: RawRef<'a>) -> Result<Self, DecodeError> {
        Self::read(raw)
    }
}

impl<'a> crate::FromValue<'a> for Map {
    fn from_raw(raw: RawRef<'a>) -> Result<Self, DecodeError> {
        raw.map()?;
        Value::read(raw).map(map)
    }
}

impl<'a> crate::FromValue<'a> for Node {
    fn from_raw(raw: RawRef<'a>) -> Result<Self, DecodeError> {
        crate::NodeRef::from_raw(raw)?;
        match Value::read(raw)? {
            Value::Node(node) => Ok(*node),
            _ => Err(broken(raw)),
        }
    }
}

impl<'a> crate::FromValue<'a> for Relationship {
    fn from_raw(raw: RawRef<'a>) -> Result<Self, DecodeError> {
        crate::RelationshipRef::from_raw(raw)?;
        match Value::read(raw)? {
            Value::Relationship(relationship) => Ok(*relationship),
            _ => Err(broken(raw)),
        }
    }
}

impl<'a> crate::FromValue<'a> for Path {
    fn from_raw(raw: RawRef<'a>) -> Result<Self, DecodeError> {
        crate::PathRef::from_raw(raw)?;
        match Value::read(raw)? {
            Value::Path(path) => Ok(*path),
            _ => Err(broken(raw)),
        }
    }
}

impl<'a> crate::FromValue<'a> for DateTimeZoned {
    fn from_raw(raw: RawRef<'a>) -> Result<Self, DecodeError> {
        let crate::DateTimeZonedRef { seconds, nanoseconds, zone, form } = crate::FromValue::from_raw(raw)?;
        Ok(Self { seconds, nanoseconds, zone: zone.into(), form })
    }
}

impl<'a> crate::FromValue<'a> for Vector {
    fn from_raw(raw: RawRef<'a>) -> Result<Self, DecodeError> {
        let crate::VectorRef { element_type, data } = crate::FromValue::from_raw(raw)?;
        Ok(Self { element_type, data: data.into() })
    }
}

/// What is wrong with a structure whose field count and first markers were right.
#[cold]
fn broken(raw: RawRef<'_>) -> DecodeError {
    let problem = raw.structure().ok().and_then(|structure| structure.problem());
    problem.unwrap_or(DecodeError::new(raw.offset(), DecodeReason::InvalidUtf8))
}

impl ValueRef<'_> {
    /// The value as an owned one.
    ///
    /// # Errors
    /// A string that is not UTF-8, or a value nested deeper than [`VALUE_DEPTH_MAX`].
    pub fn to_owned(&self) -> Result<Value, DecodeError> {
        match self {
            Self::List(v) => {
                let mut items = reserve(v.len());
                for raw in v.raws() {
                    items.push(Value::read(raw)?);
                }
                Ok(Value::List(items))
            }
            Self::Map(v) => {
                let mut entries = reserve(v.len());
                let mut places = v.entries();
                while let Some((key, value)) = places.next_raw() {
                    entries.push((key.str()?.into(), Value::read(value)?));
                }
                Ok(Value::Map(Map(entries)))
            }
            Self::Node(v) => Value::read(v.raw()),
            Self::Relationship(v) => Value::read(v.raw()),
            Self::UnboundRelationship(v) => Value::read(v.raw()),
            Self::Path(v) => Value::read(v.raw()),
            Self::Structure(v) => Value::read(v.raw()),
            leaf => Ok(Value::leaf(*leaf)),
        }
    }
}

// ---- to bytes

impl Value {
    #[inline(never)]
    pub(crate) fn encode_leaf<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        match self {
            Self::Bool(v) => e.bool(*v),
            Self::Int(v) => e.int(*v),
            Self::Float(v) => e.float(*v),
            Self::String(v) => e.str(v),
            Self::Bytes(v) => e.bytes(v),
            Self::Date(v) => e.date(*v),
            Self::Time(v) => e.time(*v),
            Self::LocalTime(v) => e.local_time(*v),
            Self::DateTime(v) => e.date_time(*v),
            Self::DateTimeZoned(v) => e.date_time_zoned(v.seconds, v.nanoseconds, &v.zone, v.form),
            Self::LocalDateTime(v) => e.local_date_time(*v),
            Self::Duration(v) => e.duration(*v),
            Self::Point2D(v) => e.point_2d(*v),
            Self::Point3D(v) => e.point_3d(*v),
            Self::Vector(v) => e.vector(v.element_type, &v.data),
            Self::Uuid(v) => e.uuid(*v),
            Self::Unsupported(v) => v.view().encode(e),
            // What has parts does not come here.
            _ => e.null(),
        }
    }
}

/// An element id; where a value of an older version has none, official drivers use the decimal numeric id.
fn element_id<O: Output>(e: &mut Encoder<'_, O>, own: Option<&str>, id: i64) -> Result<(), EncodeError> {
    match own {
        Some(own) => e.str(own),
        None => e.str(&id.to_string()),
    }
}

impl Node {
    /// All up to the properties' values; those are left.
    pub(crate) fn head<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<Task<'_>, EncodeError> {
        e.struct_header(3 + u8::from(e.with_element_ids(self.element_id.is_some())), tag::NODE)?;
        e.int(self.id)?;
        self.labels.encode(e)?;
        self.properties.head(e)
    }

    /// All behind the properties.
    pub(crate) fn tail<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        if e.with_element_ids(self.element_id.is_some()) {
            element_id(e, self.element_id.as_deref(), self.id)?;
        }
        Ok(())
    }
}

impl Relationship {
    /// As for a node.
    pub(crate) fn head<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<Task<'_>, EncodeError> {
        let fields = if e.with_element_ids(self.element_ids.is_some()) { 8 } else { 5 };
        e.struct_header(fields, tag::RELATIONSHIP)?;
        self.ids().iter().try_for_each(|&id| e.int(id))?;
        e.str(&self.rel_type)?;
        self.properties.head(e)
    }

    /// As for a node.
    pub(crate) fn tail<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        if e.with_element_ids(self.element_ids.is_some()) {
            for (i, id) in self.ids().into_iter().enumerate() {
                element_id(e, self.element_ids.as_ref().map(|own| own[i].as_str()), id)?;
            }
        }
        Ok(())
    }

    const fn ids(&self) -> [i64; 3] {
        [self.id, self.start_id, self.end_id]
    }
}

impl UnboundRelationship {
    /// As for a node.
    pub(crate) fn head<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<Task<'_>, EncodeError> {
        let with_element_id = e.with_element_ids(self.element_id.is_some());
        e.struct_header(3 + u8::from(with_element_id), tag::UNBOUND_RELATIONSHIP)?;
        e.int(self.id)?;
        e.str(&self.rel_type)?;
        self.properties.head(e)
    }

    /// As for a node.
    pub(crate) fn tail<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        if e.with_element_ids(self.element_id.is_some()) {
            element_id(e, self.element_id.as_deref(), self.id)?;
        }
        Ok(())
    }
}

impl Encode for Value {
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        deep::encode_value(self, e)
    }
}

impl Encode for Map {
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        let task = self.head(e)?;
        deep::encode_task(task, e)
    }
}

/// Graph types by themselves: what begins with a head and ends with a tail.
macro_rules! encode_graph {
    ($($type:ident)*) => {$(
        impl Encode for $type {
            fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
                let task = self.head(e)?;
                deep::encode_task(task, e)?;
                self.tail(e)
            }
        }
    )*};
}

encode_graph! { Node Relationship UnboundRelationship }

impl Encode for Path {
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        let task = self.head(e)?;
        deep::encode_task(task, e)
    }
}

impl Encode for DateTimeZoned {
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        e.date_time_zoned(self.seconds, self.nanoseconds, &self.zone, self.form)
    }
}

impl Encode for Vector {
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        e.vector(self.element_type, &self.data)
    }
}

impl Unsupported {
    /// The stand-in as a borrowed one.
    #[must_use]
    pub fn view(&self) -> crate::UnsupportedRef<'_> {
        crate::UnsupportedRef {
            name: &self.name,
            minimum_major: self.minimum_major,
            minimum_minor: self.minimum_minor,
            message: self.message.as_deref(),
        }
    }
}

impl Params for Map {
    fn encode_params<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        self.encode(e)
    }
}
