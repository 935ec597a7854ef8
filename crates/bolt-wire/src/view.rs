//! What borrowed values can do besides being read: be shown, be compared, and be sent on as they stand.
//! Owns no data. Showing stops at [`SHOW_DEPTH_MAX`]; comparing and sending on neither recurse nor allocate.

use core::fmt;

use crate::encode::{Encode, Encoder, Output, Params};
use crate::error::EncodeError;
use crate::marker::Kind;
use crate::record::RecordRef;
use crate::structure::{
    NodeRef, PathRef, RelationshipRef, StructRef, UnboundRelationshipRef, UnsupportedRef, tag,
};
use crate::value_ref::{ListRef, MapRef, RawRef, ValueRef};
use crate::walk::skip_values;

/// How many levels of nesting `Debug` shows; what lies deeper is shown as `…`, so that showing never exhausts the stack.
pub const SHOW_DEPTH_MAX: u32 = 64;

/// A value and the levels that may still be shown below it.
struct Shown<'a>(RawRef<'a>, u32);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.value() {
            Ok(value) => show(&value, self.1, f),
            Err(error) => write!(f, "<{error}>"),
        }
    }
}

/// A key that may be anything.
struct ShownKey<'a>(RawRef<'a>);

impl fmt::Debug for ShownKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.str() {
            Ok(key) => f.write_str(key),
            Err(error) => write!(f, "<{error}>"),
        }
    }
}

fn show_list(list: ListRef<'_>, levels: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match levels.checked_sub(1) {
        Some(levels) => f.debug_list().entries(list.raws().map(|raw| Shown(raw, levels))).finish(),
        None if list.is_empty() => f.write_str("[]"),
        None => f.write_str("[…]"),
    }
}

fn show_map(map: MapRef<'_>, levels: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some(levels) = levels.checked_sub(1) else {
        return f.write_str(if map.is_empty() { "{}" } else { "{…}" });
    };
    let mut shown = f.debug_map();
    let mut entries = map.entries();
    while let Some((key, value)) = entries.next_raw() {
        shown.entry(&ShownKey(key), &Shown(value, levels));
    }
    shown.finish()
}

fn show_structure(structure: StructRef<'_>, levels: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match structure.tag() {
        tag::NODE => f.write_str("Node")?,
        tag::RELATIONSHIP => f.write_str("Relationship")?,
        tag::UNBOUND_RELATIONSHIP => f.write_str("UnboundRelationship")?,
        tag::PATH => f.write_str("Path")?,
        tag => write!(f, "Structure {tag:02X} ")?,
    }
    show_list(structure.as_list(), levels, f)
}

fn show(value: &ValueRef<'_>, levels: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        ValueRef::Null => f.write_str("null"),
        ValueRef::Bool(v) => fmt::Debug::fmt(v, f),
        ValueRef::Int(v) => fmt::Debug::fmt(v, f),
        ValueRef::Float(v) => fmt::Debug::fmt(v, f),
        ValueRef::String(v) => fmt::Debug::fmt(v, f),
        ValueRef::Bytes(v) => write!(f, "b{v:02X?}"),
        ValueRef::List(v) => show_list(*v, levels, f),
        ValueRef::Map(v) => show_map(*v, levels, f),
        ValueRef::Node(NodeRef { raw, .. })
        | ValueRef::Relationship(RelationshipRef { raw, .. })
        | ValueRef::UnboundRelationship(UnboundRelationshipRef { raw, .. })
        | ValueRef::Path(PathRef { raw, .. })
        | ValueRef::Structure(StructRef { raw, .. }) => match raw.structure() {
            Ok(structure) => show_structure(structure, levels, f),
            Err(error) => write!(f, "<{error}>"),
        },
        ValueRef::Date(v) => fmt::Debug::fmt(v, f),
        ValueRef::Time(v) => fmt::Debug::fmt(v, f),
        ValueRef::LocalTime(v) => fmt::Debug::fmt(v, f),
        ValueRef::DateTime(v) => fmt::Debug::fmt(v, f),
        ValueRef::DateTimeZoned(v) => fmt::Debug::fmt(v, f),
        ValueRef::LocalDateTime(v) => fmt::Debug::fmt(v, f),
        ValueRef::Duration(v) => fmt::Debug::fmt(v, f),
        ValueRef::Point2D(v) => fmt::Debug::fmt(v, f),
        ValueRef::Point3D(v) => fmt::Debug::fmt(v, f),
        ValueRef::Vector(v) => fmt::Debug::fmt(v, f),
        ValueRef::Uuid(v) => fmt::Debug::fmt(v, f),
        ValueRef::Unsupported(v) => fmt::Debug::fmt(v, f),
    }
}

impl fmt::Debug for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self, SHOW_DEPTH_MAX, f)
    }
}

impl fmt::Debug for RecordRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_map();
        for (column, name) in self.fields().iter().enumerate() {
            if let Ok(raw) = self.at(column) {
                shown.entry(&format_args!("{name}"), &Shown(raw, SHOW_DEPTH_MAX));
            }
        }
        shown.finish()
    }
}

/// Whether two values are the same: in lockstep through their bytes, with one counter for what is still to come.
fn same(a: RawRef<'_>, b: RawRef<'_>) -> bool {
    same_values(a, b, 1)
}

/// Whether the next `pending` values at `a` and `b` are the same. Dictionaries are the same if they are in the same order.
fn same_values(mut a: RawRef<'_>, mut b: RawRef<'_>, mut pending: u64) -> bool {
    while pending > 0 {
        pending -= 1;
        let kind = a.kind();
        if kind != b.kind() {
            return false;
        }
        let (children, next_a, next_b) = match kind {
            Kind::List => match (a.list(), b.list()) {
                (Ok(x), Ok(y)) if x.len() == y.len() => (x.len() as u64, x.first, y.first),
                _ => return false,
            },
            Kind::Map => match (a.map(), b.map()) {
                (Ok(x), Ok(y)) if x.len() == y.len() => (2 * x.len() as u64, x.first, y.first),
                _ => return false,
            },
            Kind::Structure => match (a.structure(), b.structure()) {
                (Ok(x), Ok(y)) if (x.tag(), x.len()) == (y.tag(), y.len()) => {
                    (x.len() as u64, x.as_list().first, y.as_list().first)
                }
                _ => return false,
            },
            leaf => {
                let equal = match leaf {
                    Kind::Int => a.int() == b.int(),
                    Kind::Float => a.float() == b.float(),
                    Kind::String => a.str_bytes() == b.str_bytes(),
                    Kind::Bytes => a.bytes() == b.bytes(),
                    _ => a.as_bytes() == b.as_bytes(),
                };
                if !equal {
                    return false;
                }
                (0, a.moved(a.end()), b.moved(b.end()))
            }
        };
        (pending, a, b) = (pending + children, next_a, next_b);
    }
    true
}

/// Views that are places in a message: shown, compared and sent on through that place.
macro_rules! by_place {
    ($($type:ident)*) => {$(
        impl fmt::Debug for $type<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&Shown(self.raw, SHOW_DEPTH_MAX), f)
            }
        }

        impl PartialEq for $type<'_> {
            /// Whether the values are the same, dictionaries in the same order; the width of numbers does not count.
            fn eq(&self, other: &Self) -> bool {
                same(self.raw, other.raw)
            }
        }

        impl Encode for $type<'_> {
            fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
                e.raw(self.raw.as_bytes())
            }
        }
    )*};
}

by_place! { NodeRef RelationshipRef UnboundRelationshipRef PathRef StructRef }

impl fmt::Debug for RawRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Shown(*self, SHOW_DEPTH_MAX), f)
    }
}

impl PartialEq for RawRef<'_> {
    /// Whether the values are the same, dictionaries in the same order; the width of numbers does not count.
    fn eq(&self, other: &Self) -> bool {
        same(*self, *other)
    }
}

impl Encode for RawRef<'_> {
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        e.raw(self.as_bytes())
    }
}

impl fmt::Debug for ListRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show_list(*self, SHOW_DEPTH_MAX, f)
    }
}

impl PartialEq for ListRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && same_values(self.first, other.first, u64::from(self.len))
    }
}

/// Items are sent on as they stand: the connection they come from and the one they go to must speak the same [`Dialect`](crate::Dialect).
impl Encode for ListRef<'_> {
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        e.list_header(self.len())?;
        send_on(self.first, u64::from(self.len), e)
    }
}

impl fmt::Debug for MapRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show_map(*self, SHOW_DEPTH_MAX, f)
    }
}

impl PartialEq for MapRef<'_> {
    /// Whether the entries are the same, in the same order.
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && same_values(self.first, other.first, 2 * u64::from(self.len))
    }
}

/// Entries are sent on as they stand: the connection they come from and the one they go to must speak the same [`Dialect`](crate::Dialect).
impl Encode for MapRef<'_> {
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        e.map_header(self.len())?;
        send_on(self.first, 2 * u64::from(self.len), e)
    }
}

impl Params for MapRef<'_> {
    fn encode_params<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        self.encode(e)
    }
}

/// Copies the next `values` values.
fn send_on<O: Output>(first: RawRef<'_>, values: u64, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
    let end = skip_values(first.message, first.at, values);
    e.raw(first.message.get(first.at..end).unwrap_or_default())
}

impl PartialEq for ValueRef<'_> {
    /// Whether the values are the same, dictionaries in the same order; floats as `f64` compares them.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            (Self::Node(a), Self::Node(b)) => a == b,
            (Self::Relationship(a), Self::Relationship(b)) => a == b,
            (Self::UnboundRelationship(a), Self::UnboundRelationship(b)) => a == b,
            (Self::Path(a), Self::Path(b)) => a == b,
            (Self::Date(a), Self::Date(b)) => a == b,
            (Self::Time(a), Self::Time(b)) => a == b,
            (Self::LocalTime(a), Self::LocalTime(b)) => a == b,
            (Self::DateTime(a), Self::DateTime(b)) => a == b,
            (Self::DateTimeZoned(a), Self::DateTimeZoned(b)) => a == b,
            (Self::LocalDateTime(a), Self::LocalDateTime(b)) => a == b,
            (Self::Duration(a), Self::Duration(b)) => a == b,
            (Self::Point2D(a), Self::Point2D(b)) => a == b,
            (Self::Point3D(a), Self::Point3D(b)) => a == b,
            (Self::Vector(a), Self::Vector(b)) => a == b,
            (Self::Uuid(a), Self::Uuid(b)) => a == b,
            (Self::Unsupported(a), Self::Unsupported(b)) => a == b,
            (Self::Structure(a), Self::Structure(b)) => a == b,
            _ => false,
        }
    }
}

/// Containers and graph values are sent on as they stand: the connection they come from and the one they go to must speak the same
/// [`Dialect`](crate::Dialect).
impl Encode for ValueRef<'_> {
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        match self {
            Self::Null => e.null(),
            Self::Bool(v) => e.bool(*v),
            Self::Int(v) => e.int(*v),
            Self::Float(v) => e.float(*v),
            Self::String(v) => e.str(v),
            Self::Bytes(v) => e.bytes(v),
            Self::List(v) => v.encode(e),
            Self::Map(v) => v.encode(e),
            Self::Node(v) => v.encode(e),
            Self::Relationship(v) => v.encode(e),
            Self::UnboundRelationship(v) => v.encode(e),
            Self::Path(v) => v.encode(e),
            Self::Date(v) => e.date(*v),
            Self::Time(v) => e.time(*v),
            Self::LocalTime(v) => e.local_time(*v),
            Self::DateTime(v) => e.date_time(*v),
            Self::DateTimeZoned(v) => e.date_time_zoned(v.seconds, v.nanoseconds, v.zone, v.form),
            Self::LocalDateTime(v) => e.local_date_time(*v),
            Self::Duration(v) => e.duration(*v),
            Self::Point2D(v) => e.point_2d(*v),
            Self::Point3D(v) => e.point_3d(*v),
            Self::Vector(v) => e.vector(v.element_type(), v.data()),
            Self::Uuid(v) => e.uuid(*v),
            Self::Unsupported(v) => v.encode(e),
            Self::Structure(v) => v.encode(e),
        }
    }
}

/// A server sends it from Bolt 6.0 on; a client has no use for it.
impl Encode for UnsupportedRef<'_> {
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        if !e.dialect().vector {
            return Err(EncodeError::NotSendable { what: "an unsupported value" });
        }
        e.struct_header(4, tag::UNSUPPORTED)?;
        e.str(self.name)?;
        e.int(self.minimum_major)?;
        e.int(self.minimum_minor)?;
        match self.message {
            Some(message) => [("message", message)].encode_params(e),
            None => e.map_header(0),
        }
    }
}
