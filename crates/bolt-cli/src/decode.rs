//! Decoding a value completely and keeping nothing: what `--format null` does with each record.
//!
//! Every integer, float and temporal part is read, every string is checked to be UTF-8, every list, dictionary, node and path is walked
//! to its end. Allocates nothing; recursion is bounded by the decoder's depth limit.

use std::hint::black_box;

use bolt_wire::{DecodeError, DecodeReason, Kind, ListRef, MapRef, NodeRef, RawRef, ValueRef};

/// Decodes a value to its last byte. Scalars are read straight from their marker.
///
/// # Errors
/// A string that is not UTF-8.
#[inline]
pub(crate) fn touch(raw: RawRef<'_>) -> Result<(), DecodeError> {
    match raw.kind() {
        Kind::Int => {
            black_box(raw.int()?);
        }
        Kind::Float => {
            black_box(raw.float()?);
        }
        Kind::String => {
            black_box(raw.str()?.len());
        }
        Kind::Bool => {
            black_box(raw.bool()?);
        }
        Kind::Null => {}
        Kind::List => touch_list(raw.list()?)?,
        Kind::Map => touch_map(raw.map()?)?,
        _ => touch_deep(raw.value()?)?,
    }
    Ok(())
}

#[inline(never)]
fn touch_deep(value: ValueRef<'_>) -> Result<(), DecodeError> {
    match value {
        ValueRef::List(list) => touch_list(list)?,
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
            for field in structure.raws() {
                touch(field)?;
            }
        }
        leaf => {
            black_box(leaf);
        }
    }
    Ok(())
}

fn touch_list(list: ListRef<'_>) -> Result<(), DecodeError> {
    for item in list.raws() {
        touch(item)?;
    }
    Ok(())
}

fn touch_map(map: MapRef<'_>) -> Result<(), DecodeError> {
    for (key, value) in map.entries() {
        if std::str::from_utf8(black_box(key)).is_err() {
            return Err(bad_key(map));
        }
        touch(value)?;
    }
    Ok(())
}

/// The place of the key that is not UTF-8.
#[cold]
pub(crate) fn bad_key(map: MapRef<'_>) -> DecodeError {
    let unnamed = DecodeError { offset: 0, reason: DecodeReason::InvalidUtf8 };
    map.iter().find_map(Result::err).unwrap_or(unnamed)
}

fn touch_node(node: NodeRef<'_>) -> Result<(), DecodeError> {
    black_box((node.id(), node.element_id()?));
    for label in node.labels() {
        black_box(label?);
    }
    touch_map(node.properties())
}
