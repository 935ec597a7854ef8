//! Decoding a value completely and keeping nothing: what `--format null` does with each record.
//!
//! Every integer, float and temporal part is read, every string is checked to be UTF-8, every list, dictionary, node and path is walked
//! to its end. Allocates nothing; recursion is bounded by the decoder's depth limit.

use std::hint::black_box;

use bolt_wire::{DecodeError, MapRef, NodeRef, ValueRef};

/// Decodes a value to its last byte.
///
/// # Errors
/// A string that is not UTF-8.
#[inline]
pub(crate) fn touch(value: ValueRef<'_>) -> Result<(), DecodeError> {
    match value {
        ValueRef::Null | ValueRef::Bool(_) | ValueRef::Int(_) | ValueRef::Float(_) | ValueRef::String(_) => {
            black_box(value);
            Ok(())
        }
        other => touch_deep(other),
    }
}

fn touch_deep(value: ValueRef<'_>) -> Result<(), DecodeError> {
    match value {
        ValueRef::List(list) => {
            for item in list.iter() {
                touch(item?)?;
            }
        }
        ValueRef::Map(map) => touch_map(map)?,
        ValueRef::Node(node) => touch_node(node)?,
        ValueRef::Relationship(rel) => {
            black_box((rel.id(), rel.start_id(), rel.end_id(), rel.rel_type()?, rel.element_ids()?));
            touch_map(rel.properties())?;
        }
        ValueRef::UnboundRelationship(rel) => {
            black_box((rel.id(), rel.rel_type()?, rel.element_id()?));
            touch_map(rel.properties())?;
        }
        ValueRef::Path(path) => {
            for node in path.nodes() {
                touch_node(node?)?;
            }
            for rel in path.relationships() {
                touch_deep(ValueRef::UnboundRelationship(rel?))?;
            }
            for index in path.indices().ints() {
                black_box(index?);
            }
        }
        ValueRef::Structure(structure) => {
            for field in structure.iter() {
                touch(field?)?;
            }
        }
        leaf => {
            black_box(leaf);
        }
    }
    Ok(())
}

fn touch_map(map: MapRef<'_>) -> Result<(), DecodeError> {
    for entry in map.iter() {
        let (key, value) = entry?;
        black_box(key);
        touch(value)?;
    }
    Ok(())
}

fn touch_node(node: NodeRef<'_>) -> Result<(), DecodeError> {
    black_box((node.id(), node.element_id()?));
    for label in node.labels() {
        black_box(label?);
    }
    touch_map(node.properties())
}
