//! Owned values copied, compared and written without recursion, so that none is too deep for a small stack.
//! Owns the loops and their stack, whose first [`NEAR`] levels lie in place: ordinary values cost no allocation for it. Dropping is the
//! compiler's, and recurses: a drop of one's own would forbid to take values apart by pattern.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::slice;

use crate::encode::{Encoder, Output};
use crate::error::EncodeError;
use crate::structure::tag;
use crate::value::{Map, Node, Path, Relationship, Structure, UnboundRelationship, VALUE_DEPTH_MAX, Value};

/// Levels that take no heap: more than data has.
const NEAR: usize = 8;

/// A stack whose first levels lie in place.
struct Stack<T> {
    near: [Option<T>; NEAR],
    far: Vec<T>,
    len: usize,
}

impl<T> Stack<T> {
    const fn new() -> Self {
        Self { near: [const { None }; NEAR], far: Vec::new(), len: 0 }
    }

    fn push(&mut self, item: T) {
        match self.near.get_mut(self.len) {
            Some(place) => *place = Some(item),
            None => self.far.push(item),
        }
        self.len += 1;
    }

    fn pop(&mut self) -> Option<T> {
        self.len = self.len.checked_sub(1)?;
        match self.near.get_mut(self.len) {
            Some(place) => place.take(),
            None => self.far.pop(),
        }
    }
}

// ---- what a value is made of

/// The values right inside another, with their keys where they have some, in the order they are written.
enum Parts<'a> {
    Items(slice::Iter<'a, Value>),
    Entries(slice::Iter<'a, (String, Value)>),
    /// The properties of a path's nodes, then those of its relationships.
    Path {
        entries: slice::Iter<'a, (String, Value)>,
        nodes: slice::Iter<'a, Node>,
        relationships: slice::Iter<'a, UnboundRelationship>,
    },
}

impl<'a> Iterator for Parts<'a> {
    type Item = (&'a str, &'a Value);

    fn next(&mut self) -> Option<Self::Item> {
        fn keyed((key, value): &(String, Value)) -> (&str, &Value) {
            (key.as_str(), value)
        }
        match self {
            Self::Items(items) => items.next().map(|value| ("", value)),
            Self::Entries(entries) => entries.next().map(keyed),
            Self::Path { entries, nodes, relationships } => loop {
                if let Some(entry) = entries.next() {
                    return Some(keyed(entry));
                }
                *entries = match nodes.next() {
                    Some(node) => node.properties.0.iter(),
                    None => relationships.next()?.properties.0.iter(),
                };
            },
        }
    }
}

impl Value {
    /// The values inside; none for a leaf.
    fn parts(&self) -> Option<Parts<'_>> {
        Some(match self {
            Self::List(items) => Parts::Items(items.iter()),
            Self::Structure(v) => Parts::Items(v.fields.iter()),
            Self::Map(v) => Parts::Entries(v.0.iter()),
            Self::Node(v) => Parts::Entries(v.properties.0.iter()),
            Self::Relationship(v) => Parts::Entries(v.properties.0.iter()),
            Self::UnboundRelationship(v) => Parts::Entries(v.properties.0.iter()),
            Self::Path(v) => Parts::Path {
                entries: [].iter(),
                nodes: v.nodes.iter(),
                relationships: v.relationships.iter(),
            },
            _ => return None,
        })
    }
}

// ---- comparing

impl PartialEq for Value {
    /// Whether the values are the same, dictionaries in the same order; floats as `f64` compares them.
    fn eq(&self, other: &Self) -> bool {
        if !same_but_for_parts(self, other) {
            return false;
        }
        match (self.parts(), other.parts()) {
            (Some(a), Some(b)) => same_parts(a, b),
            _ => true,
        }
    }
}

impl PartialEq for Map {
    /// Whether the entries are the same, in the same order.
    fn eq(&self, other: &Self) -> bool {
        same_keys(self, other) && same_parts(Parts::Entries(self.0.iter()), Parts::Entries(other.0.iter()))
    }
}

fn same_parts<'a>(mut a: Parts<'a>, mut b: Parts<'a>) -> bool {
    let mut around = Stack::new();
    loop {
        match (a.next(), b.next()) {
            (Some((_, x)), Some((_, y))) => {
                if !same_but_for_parts(x, y) {
                    return false;
                }
                if let (Some(x), Some(y)) = (x.parts(), y.parts()) {
                    around.push((core::mem::replace(&mut a, x), core::mem::replace(&mut b, y)));
                }
            }
            (None, None) => match around.pop() {
                Some(pair) => (a, b) = pair,
                None => return true,
            },
            _ => return false,
        }
    }
}

fn same_keys(a: &Map, b: &Map) -> bool {
    a.0.len() == b.0.len() && a.0.iter().zip(&b.0).all(|((a, _), (b, _))| a == b)
}

fn same_node(a: &Node, b: &Node) -> bool {
    (a.id, &a.labels, &a.element_id) == (b.id, &b.labels, &b.element_id)
        && same_keys(&a.properties, &b.properties)
}

fn same_unbound(a: &UnboundRelationship, b: &UnboundRelationship) -> bool {
    (a.id, &a.rel_type, &a.element_id) == (b.id, &b.rel_type, &b.element_id)
        && same_keys(&a.properties, &b.properties)
}

fn same_but_for_parts(a: &Value, b: &Value) -> bool {
    use Value as V;
    match (a, b) {
        (V::Null, V::Null) => true,
        (V::Bool(a), V::Bool(b)) => a == b,
        (V::Int(a), V::Int(b)) => a == b,
        (V::Float(a), V::Float(b)) => a == b,
        (V::String(a), V::String(b)) => a == b,
        (V::Bytes(a), V::Bytes(b)) => a == b,
        (V::List(a), V::List(b)) => a.len() == b.len(),
        (V::Map(a), V::Map(b)) => same_keys(a, b),
        (V::Node(a), V::Node(b)) => same_node(a, b),
        (V::Relationship(a), V::Relationship(b)) => {
            (a.id, a.start_id, a.end_id, &a.rel_type, &a.element_ids)
                == (b.id, b.start_id, b.end_id, &b.rel_type, &b.element_ids)
                && same_keys(&a.properties, &b.properties)
        }
        (V::UnboundRelationship(a), V::UnboundRelationship(b)) => same_unbound(a, b),
        (V::Path(a), V::Path(b)) => {
            a.indices == b.indices
                && (a.nodes.len(), a.relationships.len()) == (b.nodes.len(), b.relationships.len())
                && a.nodes.iter().zip(&b.nodes).all(|(a, b)| same_node(a, b))
                && a.relationships.iter().zip(&b.relationships).all(|(a, b)| same_unbound(a, b))
        }
        (V::Date(a), V::Date(b)) => a == b,
        (V::Time(a), V::Time(b)) => a == b,
        (V::LocalTime(a), V::LocalTime(b)) => a == b,
        (V::DateTime(a), V::DateTime(b)) => a == b,
        (V::DateTimeZoned(a), V::DateTimeZoned(b)) => a == b,
        (V::LocalDateTime(a), V::LocalDateTime(b)) => a == b,
        (V::Duration(a), V::Duration(b)) => a == b,
        (V::Point2D(a), V::Point2D(b)) => a == b,
        (V::Point3D(a), V::Point3D(b)) => a == b,
        (V::Vector(a), V::Vector(b)) => a == b,
        (V::Uuid(a), V::Uuid(b)) => a == b,
        (V::Unsupported(a), V::Unsupported(b)) => a == b,
        (V::Structure(a), V::Structure(b)) => (a.tag, a.fields.len()) == (b.tag, b.fields.len()),
        _ => false,
    }
}

// ---- copying

/// What a container's copied parts are collected into, and what is made of them in the end.
enum Copying<'a> {
    Items(Vec<Value>, &'a Value),
    Entries(Vec<(String, Value)>, Option<&'a Value>),
}

impl<'a> Copying<'a> {
    fn new(of: &'a Value, parts: &Parts<'a>) -> Self {
        match parts {
            Parts::Items(items) => Self::Items(Vec::with_capacity(items.len()), of),
            Parts::Entries(entries) => Self::Entries(Vec::with_capacity(entries.len()), Some(of)),
            Parts::Path { .. } => Self::Items(Vec::new(), of),
        }
    }

    fn push(&mut self, key: &str, value: Value) {
        match self {
            Self::Items(items, _) => items.push(value),
            Self::Entries(entries, _) => entries.push((key.into(), value)),
        }
    }

    fn finish(self) -> Value {
        match self {
            Self::Items(items, Value::Structure(of)) => {
                Value::Structure(Box::new(Structure { tag: of.tag, fields: items }))
            }
            Self::Items(items, Value::Path(of)) => Value::Path(Box::new(copy_path(of, items))),
            Self::Items(items, _) => Value::List(items),
            Self::Entries(entries, of) => {
                let properties = Map(entries);
                match of {
                    Some(Value::Node(of)) => Value::Node(Box::new(copy_node(of, properties))),
                    Some(Value::Relationship(of)) => Value::Relationship(Box::new(Relationship {
                        id: of.id,
                        start_id: of.start_id,
                        end_id: of.end_id,
                        rel_type: of.rel_type.clone(),
                        properties,
                        element_ids: of.element_ids.clone(),
                    })),
                    Some(Value::UnboundRelationship(of)) => {
                        Value::UnboundRelationship(Box::new(copy_unbound(of, properties)))
                    }
                    _ => Value::Map(properties),
                }
            }
        }
    }
}

fn copy_node(of: &Node, properties: Map) -> Node {
    Node { id: of.id, labels: of.labels.clone(), properties, element_id: of.element_id.clone() }
}

fn copy_unbound(of: &UnboundRelationship, properties: Map) -> UnboundRelationship {
    UnboundRelationship {
        id: of.id,
        rel_type: of.rel_type.clone(),
        properties,
        element_id: of.element_id.clone(),
    }
}

/// A path whose properties, in their order, are `values`.
fn copy_path(of: &Path, values: Vec<Value>) -> Path {
    let mut values = values.into_iter();
    let mut properties = |of: &Map| {
        Map(of.0.iter().map(|(key, _)| (key.clone(), values.next().unwrap_or_default())).collect())
    };
    Path {
        nodes: of.nodes.iter().map(|node| copy_node(node, properties(&node.properties))).collect(),
        relationships: of
            .relationships
            .iter()
            .map(|along| copy_unbound(along, properties(&along.properties)))
            .collect(),
        indices: of.indices.clone(),
    }
}

fn copy<'a>(mut parts: Parts<'a>, mut copying: Copying<'a>) -> Value {
    let mut around = Stack::new();
    loop {
        match parts.next() {
            Some((key, value)) => match value.parts() {
                None => copying.push(key, value.clone_leaf()),
                Some(inner) => {
                    let inner_copying = Copying::new(value, &inner);
                    let outer = core::mem::replace(&mut copying, inner_copying);
                    around.push((key, core::mem::replace(&mut parts, inner), outer));
                }
            },
            None => {
                let done = copying.finish();
                let Some((key, outer_parts, outer)) = around.pop() else { return done };
                (parts, copying) = (outer_parts, outer);
                copying.push(key, done);
            }
        }
    }
}

impl Clone for Value {
    fn clone(&self) -> Self {
        match self.parts() {
            None => self.clone_leaf(),
            Some(parts) => {
                let copying = Copying::new(self, &parts);
                copy(parts, copying)
            }
        }
    }
}

impl Clone for Map {
    fn clone(&self) -> Self {
        let copying = Copying::Entries(Vec::with_capacity(self.0.len()), None);
        match copy(Parts::Entries(self.0.iter()), copying) {
            Value::Map(map) => map,
            _ => Self::new(),
        }
    }
}

// ---- writing

/// What is left to be written of a container, or behind one.
pub(crate) enum Task<'a> {
    Items(slice::Iter<'a, Value>),
    Entries(slice::Iter<'a, (String, Value)>),
    NodeEnd(&'a Node),
    RelationshipEnd(&'a Relationship),
    UnboundEnd(&'a UnboundRelationship),
    Nodes(slice::Iter<'a, Node>, &'a Path),
    Relationships(slice::Iter<'a, UnboundRelationship>, &'a Path),
}

/// Stands for the list that nodes and relationships of a path are in, so that nesting is counted as it is when reading.
fn the_list<'a>() -> Task<'a> {
    Task::Items([].iter())
}

/// Writes `value`, whatever it is.
pub(crate) fn encode_value<O: Output>(value: &Value, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
    let mut around = Stack::new();
    match open(value, e, &mut around)? {
        Some(task) => encode(task, around, e),
        None => Ok(()),
    }
}

/// Writes what a header was written for.
pub(crate) fn encode_task<O: Output>(task: Task<'_>, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
    encode(task, Stack::new(), e)
}

/// Writes a leaf, or the head of a container, and gives what is left of that.
fn open<'a, O: Output>(
    value: &'a Value,
    e: &mut Encoder<'_, O>,
    around: &mut Stack<Task<'a>>,
) -> Result<Option<Task<'a>>, EncodeError> {
    Ok(Some(match value {
        Value::List(items) => {
            e.list_header(items.len())?;
            Task::Items(items.iter())
        }
        Value::Structure(v) => {
            e.struct_header(u8::try_from(v.fields.len()).unwrap_or(u8::MAX), v.tag)?;
            Task::Items(v.fields.iter())
        }
        Value::Map(v) => v.head(e)?,
        Value::Node(v) => {
            around.push(Task::NodeEnd(v));
            v.head(e)?
        }
        Value::Relationship(v) => {
            around.push(Task::RelationshipEnd(v));
            v.head(e)?
        }
        Value::UnboundRelationship(v) => {
            around.push(Task::UnboundEnd(v));
            v.head(e)?
        }
        Value::Path(v) => v.head(e)?,
        leaf => {
            leaf.encode_leaf(e)?;
            return Ok(None);
        }
    }))
}

fn encode<'a, O: Output>(
    mut task: Task<'a>,
    mut around: Stack<Task<'a>>,
    e: &mut Encoder<'_, O>,
) -> Result<(), EncodeError> {
    loop {
        let part = match &mut task {
            Task::Items(items) => items.next(),
            Task::Entries(entries) => match entries.next() {
                Some((key, value)) => {
                    e.str(key)?;
                    Some(value)
                }
                None => None,
            },
            Task::NodeEnd(node) => {
                node.tail(e)?;
                None
            }
            Task::RelationshipEnd(relationship) => {
                relationship.tail(e)?;
                None
            }
            Task::UnboundEnd(relationship) => {
                relationship.tail(e)?;
                None
            }
            Task::Nodes(nodes, path) => {
                if let Some(node) = nodes.next() {
                    let entries = node.head(e)?;
                    around.push(core::mem::replace(&mut task, entries));
                    around.push(the_list());
                    around.push(Task::NodeEnd(node));
                } else {
                    let path = *path;
                    e.list_header(path.relationships.len())?;
                    task = Task::Relationships(path.relationships.iter(), path);
                }
                continue;
            }
            Task::Relationships(relationships, path) => {
                if let Some(along) = relationships.next() {
                    let entries = along.head(e)?;
                    around.push(core::mem::replace(&mut task, entries));
                    around.push(the_list());
                    around.push(Task::UnboundEnd(along));
                    continue;
                }
                path.tail(e)?;
                None
            }
        };
        match part {
            Some(value) if value.parts().is_none() => value.encode_leaf(e)?,
            Some(value) => {
                // The one that is open, those around it, and this one.
                if around.len + 2 > VALUE_DEPTH_MAX as usize {
                    return Err(EncodeError::TooDeep { limit: VALUE_DEPTH_MAX });
                }
                // What `open` puts on the stack belongs above the open container.
                let outer = core::mem::replace(&mut task, Task::Items([].iter()));
                around.push(outer);
                if let Some(inner) = open(value, e, &mut around)? {
                    task = inner;
                }
            }
            None => match around.pop() {
                Some(outer) => task = outer,
                None => return Ok(()),
            },
        }
    }
}

impl Map {
    pub(crate) fn head<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<Task<'_>, EncodeError> {
        e.map_header(self.0.len())?;
        Ok(Task::Entries(self.0.iter()))
    }
}

impl Path {
    pub(crate) fn head<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<Task<'_>, EncodeError> {
        e.struct_header(3, tag::PATH)?;
        e.list_header(self.nodes.len())?;
        Ok(Task::Nodes(self.nodes.iter(), self))
    }

    fn tail<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        e.encode(&self.indices)
    }
}
