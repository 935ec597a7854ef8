//! How owned values are shown: as their variants and fields are named, down to [`SHOW_DEPTH_MAX`] levels.
//! Owns no data. Each level costs the stack a frame, and `{:#?}` a blank for every line below it, so that a value as deep as
//! [`VALUE_DEPTH_MAX`](crate::VALUE_DEPTH_MAX) would otherwise take the whole stack, and padding that grows with the square of its depth.

use core::fmt;

use crate::value::{Map, Node, Path, Relationship, Structure, UnboundRelationship, Value};
use crate::view::SHOW_DEPTH_MAX;

/// Something that is shown down to a number of levels.
trait Show {
    fn show(&self, levels: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// A part and the levels that may still be shown, its own included.
struct Shown<'a, T: ?Sized>(&'a T, u32);

impl<T: Show + ?Sized> fmt::Debug for Shown<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.show(self.1, f)
    }
}

impl<T: Show> Show for [T] {
    fn show(&self, levels: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match levels.checked_sub(1) {
            Some(levels) => f.debug_list().entries(self.iter().map(|item| Shown(item, levels))).finish(),
            None if self.is_empty() => f.write_str("[]"),
            None => f.write_str("[…]"),
        }
    }
}

impl Show for Map {
    fn show(&self, levels: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match levels.checked_sub(1) {
            Some(levels) => {
                f.debug_map().entries(self.iter().map(|(key, value)| (key, Shown(value, levels)))).finish()
            }
            None if self.is_empty() => f.write_str("{}"),
            None => f.write_str("{…}"),
        }
    }
}

impl Show for Value {
    fn show(&self, levels: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut variant = |name: &str, part: &dyn fmt::Debug| f.debug_tuple(name).field(part).finish();
        match self {
            Self::Null => f.write_str("Null"),
            Self::Bool(v) => variant("Bool", v),
            Self::Int(v) => variant("Int", v),
            Self::Float(v) => variant("Float", v),
            Self::String(v) => variant("String", v),
            Self::Bytes(v) => variant("Bytes", v),
            Self::List(v) => variant("List", &Shown(v.as_slice(), levels)),
            Self::Map(v) => variant("Map", &Shown(v, levels)),
            // The structs say their names themselves.
            Self::Node(v) => v.show(levels, f),
            Self::Relationship(v) => v.show(levels, f),
            Self::UnboundRelationship(v) => v.show(levels, f),
            Self::Path(v) => v.show(levels, f),
            Self::Structure(v) => v.show(levels, f),
            Self::Date(v) => fmt::Debug::fmt(v, f),
            Self::Time(v) => fmt::Debug::fmt(v, f),
            Self::LocalTime(v) => fmt::Debug::fmt(v, f),
            Self::DateTime(v) => fmt::Debug::fmt(v, f),
            Self::DateTimeZoned(v) => fmt::Debug::fmt(v, f),
            Self::LocalDateTime(v) => fmt::Debug::fmt(v, f),
            Self::Duration(v) => fmt::Debug::fmt(v, f),
            Self::Point2D(v) => fmt::Debug::fmt(v, f),
            Self::Point3D(v) => fmt::Debug::fmt(v, f),
            Self::Vector(v) => fmt::Debug::fmt(v, f),
            Self::Uuid(v) => fmt::Debug::fmt(v, f),
            Self::Unsupported(v) => fmt::Debug::fmt(v, f),
        }
    }
}

/// One struct a line: its fields that cannot nest, then, behind the bar, those that can.
macro_rules! show_fields {
    ($($type:ident: $($leaf:ident)* | $($deep:ident)*;)*) => {$(
        impl Show for $type {
            fn show(&self, levels: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type))
                    $(.field(stringify!($leaf), &self.$leaf))*
                    $(.field(stringify!($deep), &Shown(self.$deep.borrow(), levels)))*
                    .finish()
            }
        }
    )*};
}

/// The part of a field that is shown: a `Vec` as its slice.
trait Part {
    type Shown: Show + ?Sized;
    fn borrow(&self) -> &Self::Shown;
}

impl<T: Show> Part for alloc::vec::Vec<T> {
    type Shown = [T];
    fn borrow(&self) -> &[T] {
        self
    }
}

impl Part for Map {
    type Shown = Self;
    fn borrow(&self) -> &Self {
        self
    }
}

show_fields! {
    Node: id labels element_id | properties;
    Relationship: id start_id end_id rel_type element_ids | properties;
    UnboundRelationship: id rel_type element_id | properties;
    Path: indices | nodes relationships;
    Structure: tag | fields;
}

macro_rules! debug_from_top {
    ($($type:ident)*) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.show(SHOW_DEPTH_MAX, f)
            }
        }
    )*};
}

debug_from_top! { Value Map Node Relationship UnboundRelationship Path Structure }
