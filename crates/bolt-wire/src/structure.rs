//! Borrowed structures: graph values, zoned date-times, vectors, and structures nobody knows.
//! Owns the layout of each tag in every protocol version; never fails a message: a broken structure is an error of the
//! one value that is read.

use crate::error::{DecodeError, DecodeReason};
use crate::marker::{self, Kind};
use crate::types::{
    Date, DateTime, DateTimeForm, Duration, ElementType, LocalDateTime, LocalTime, Point2D, Point3D, Time,
};
use crate::value_ref::{ListIter, ListRef, MapRef, RawIter, RawRef, ValueRef};
use crate::walk::{skip, unexpected_end};

/// The tags of §5 of the protocol, as they travel.
pub mod tag {
    /// Node.
    pub const NODE: u8 = 0x4E;
    /// Relationship.
    pub const RELATIONSHIP: u8 = 0x52;
    /// Relationship without end points.
    pub const UNBOUND_RELATIONSHIP: u8 = 0x72;
    /// Path.
    pub const PATH: u8 = 0x50;
    /// Date.
    pub const DATE: u8 = 0x44;
    /// Time of day with offset.
    pub const TIME: u8 = 0x54;
    /// Time of day.
    pub const LOCAL_TIME: u8 = 0x74;
    /// Date-time with offset, local seconds (4.x).
    pub const DATE_TIME_LEGACY: u8 = 0x46;
    /// Date-time with zone name, local seconds (4.x).
    pub const DATE_TIME_ZONED_LEGACY: u8 = 0x66;
    /// Date-time with offset, UTC seconds.
    pub const DATE_TIME: u8 = 0x49;
    /// Date-time with zone name, UTC seconds.
    pub const DATE_TIME_ZONED: u8 = 0x69;
    /// Date-time without offset.
    pub const LOCAL_DATE_TIME: u8 = 0x64;
    /// Duration.
    pub const DURATION: u8 = 0x45;
    /// Point in the plane.
    pub const POINT_2D: u8 = 0x58;
    /// Point in space.
    pub const POINT_3D: u8 = 0x59;
    /// Vector (6.0).
    pub const VECTOR: u8 = 0x56;
    /// Stand-in for a type this version cannot carry (6.0).
    pub const UNSUPPORTED: u8 = 0x3F;
}

/// Any structure as it travels: tag and fields. Copy, borrows the message.
#[derive(Clone, Copy)]
pub struct StructRef<'a> {
    /// Place of the marker.
    pub(crate) raw: RawRef<'a>,
    pub(crate) tag: u8,
    pub(crate) fields: u8,
}

impl<'a> StructRef<'a> {
    #[inline]
    pub(crate) fn read(raw: RawRef<'a>, expected: &'static str) -> Result<Self, DecodeError> {
        let m = raw.marker()?;
        if m & 0xF0 != marker::STRUCT0 {
            return Err(raw.wrong_type(expected));
        }
        match raw.message.get(raw.at + 1) {
            Some(&tag) => Ok(Self { raw, tag, fields: m & 0x0F }),
            None => Err(unexpected_end(raw.message, raw.at, 2)),
        }
    }

    /// Reads a structure that must have one tag and one number of fields.
    #[inline]
    fn read_as(raw: RawRef<'a>, tag: u8, fields: u8, what: &'static str) -> Result<Fields<'a>, DecodeError> {
        let structure = Self::read(raw, what)?;
        if structure.tag != tag {
            return Err(structure.other_tag(what));
        }
        structure.expect_fields(fields, what)
    }

    #[inline]
    fn expect_fields(self, expected: u8, what: &'static str) -> Result<Fields<'a>, DecodeError> {
        if self.fields != expected {
            let reason = DecodeReason::FieldCount { what, expected, found: self.fields };
            return Err(DecodeError::new(self.raw.at, reason));
        }
        Ok(self.cursor())
    }

    #[cold]
    #[inline(never)]
    fn other_tag(self, expected: &'static str) -> DecodeError {
        DecodeError { offset: self.raw.at, reason: DecodeReason::WrongType { expected, found: self.name() } }
    }

    #[inline]
    fn cursor(self) -> Fields<'a> {
        Fields { next: self.raw.moved(self.raw.at + 2) }
    }

    /// What the tag means, for errors.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.tag {
            tag::NODE => "a node",
            tag::RELATIONSHIP => "a relationship",
            tag::UNBOUND_RELATIONSHIP => "an unbound relationship",
            tag::PATH => "a path",
            tag::DATE => "a date",
            tag::TIME => "a time",
            tag::LOCAL_TIME => "a local time",
            tag::DATE_TIME | tag::DATE_TIME_LEGACY => "a date-time",
            tag::DATE_TIME_ZONED | tag::DATE_TIME_ZONED_LEGACY => "a zoned date-time",
            tag::LOCAL_DATE_TIME => "a local date-time",
            tag::DURATION => "a duration",
            tag::POINT_2D => "a 2D point",
            tag::POINT_3D => "a 3D point",
            tag::VECTOR => "a vector",
            tag::UNSUPPORTED => "an unsupported value",
            _ => "a structure",
        }
    }

    /// The tag byte; above 127 it is illegal, which makes it an unknown one.
    #[inline]
    #[must_use]
    pub const fn tag(&self) -> u8 {
        self.tag
    }

    /// Number of fields, 0 … 15.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.fields as usize
    }

    /// Whether there are no fields.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.fields == 0
    }

    /// The fields.
    #[must_use]
    pub fn iter(&self) -> ListIter<'a> {
        self.as_list().iter()
    }

    /// The places of the fields, nothing decoded.
    #[must_use]
    pub fn raws(&self) -> RawIter<'a> {
        self.as_list().raws()
    }

    pub(crate) fn as_list(&self) -> ListRef<'a> {
        ListRef { first: self.raw.moved(self.raw.at + 2), len: u32::from(self.fields) }
    }

    /// Where the structure stands.
    #[must_use]
    pub const fn raw(&self) -> RawRef<'a> {
        self.raw
    }

    /// Why this is not a value of a known type: an unknown tag, or what is wrong with the fields of a known one.
    /// `None` if nothing is wrong.
    #[must_use]
    pub fn problem(&self) -> Option<DecodeError> {
        self.typed().err()
    }

    /// The value this structure is, or the structure itself when it is none.
    #[inline]
    pub(crate) fn to_value(self) -> ValueRef<'a> {
        self.typed().unwrap_or(ValueRef::Structure(self))
    }

    fn typed(self) -> Result<ValueRef<'a>, DecodeError> {
        let raw = self.raw;
        Ok(match self.tag {
            tag::NODE => {
                let node = NodeRef::read(raw)?;
                node.check()?;
                ValueRef::Node(node)
            }
            tag::RELATIONSHIP => {
                let relationship = RelationshipRef::read(raw)?;
                relationship.check()?;
                ValueRef::Relationship(relationship)
            }
            tag::UNBOUND_RELATIONSHIP => {
                let relationship = UnboundRelationshipRef::read(raw)?;
                relationship.check()?;
                ValueRef::UnboundRelationship(relationship)
            }
            tag::PATH => ValueRef::Path(PathRef::read(raw)?),
            tag::DATE => ValueRef::Date(read_date(raw)?),
            tag::TIME => ValueRef::Time(read_time(raw)?),
            tag::LOCAL_TIME => ValueRef::LocalTime(read_local_time(raw)?),
            tag::DATE_TIME | tag::DATE_TIME_LEGACY => ValueRef::DateTime(read_date_time(raw)?),
            tag::DATE_TIME_ZONED | tag::DATE_TIME_ZONED_LEGACY => {
                ValueRef::DateTimeZoned(DateTimeZonedRef::read(raw)?)
            }
            tag::LOCAL_DATE_TIME => ValueRef::LocalDateTime(read_local_date_time(raw)?),
            tag::DURATION => ValueRef::Duration(read_duration(raw)?),
            tag::POINT_2D => ValueRef::Point2D(read_point_2d(raw)?),
            tag::POINT_3D => ValueRef::Point3D(read_point_3d(raw)?),
            tag::VECTOR => ValueRef::Vector(VectorRef::read(raw)?),
            tag::UNSUPPORTED => ValueRef::Unsupported(UnsupportedRef::read(raw)?),
            tag => return Err(DecodeError::new(raw.at + 1, DecodeReason::UnknownStructure { tag })),
        })
    }
}

/// The fields of a structure, read one after the other.
#[derive(Clone, Copy)]
struct Fields<'a> {
    next: RawRef<'a>,
}

impl<'a> Fields<'a> {
    #[inline]
    fn raw(&mut self) -> RawRef<'a> {
        let field = self.next;
        self.next.at = skip(field.message, field.at);
        field
    }

    #[inline]
    fn int(&mut self) -> Result<i64, DecodeError> {
        self.raw().int()
    }

    #[inline]
    fn float(&mut self) -> Result<f64, DecodeError> {
        self.raw().float()
    }
}

pub(crate) fn read_date(raw: RawRef<'_>) -> Result<Date, DecodeError> {
    let mut fields = StructRef::read_as(raw, tag::DATE, 1, "a date")?;
    Ok(Date { days: fields.int()? })
}

pub(crate) fn read_time(raw: RawRef<'_>) -> Result<Time, DecodeError> {
    let mut fields = StructRef::read_as(raw, tag::TIME, 2, "a time")?;
    Ok(Time { nanoseconds: fields.int()?, offset_seconds: fields.int()? })
}

pub(crate) fn read_local_time(raw: RawRef<'_>) -> Result<LocalTime, DecodeError> {
    let mut fields = StructRef::read_as(raw, tag::LOCAL_TIME, 1, "a local time")?;
    Ok(LocalTime { nanoseconds: fields.int()? })
}

/// Which form a tag is, if it is either of the two.
fn form_of(found: u8, utc: u8, legacy: u8) -> Option<DateTimeForm> {
    if found == utc {
        Some(DateTimeForm::Utc)
    } else if found == legacy {
        Some(DateTimeForm::LegacyLocal)
    } else {
        None
    }
}

pub(crate) fn read_date_time(raw: RawRef<'_>) -> Result<DateTime, DecodeError> {
    let structure = StructRef::read(raw, "a date-time")?;
    let Some(form) = form_of(structure.tag, tag::DATE_TIME, tag::DATE_TIME_LEGACY) else {
        return Err(structure.other_tag("a date-time"));
    };
    let mut fields = structure.expect_fields(3, "a date-time")?;
    Ok(DateTime { seconds: fields.int()?, nanoseconds: fields.int()?, offset_seconds: fields.int()?, form })
}

pub(crate) fn read_local_date_time(raw: RawRef<'_>) -> Result<LocalDateTime, DecodeError> {
    let mut fields = StructRef::read_as(raw, tag::LOCAL_DATE_TIME, 2, "a local date-time")?;
    Ok(LocalDateTime { seconds: fields.int()?, nanoseconds: fields.int()? })
}

pub(crate) fn read_duration(raw: RawRef<'_>) -> Result<Duration, DecodeError> {
    let mut fields = StructRef::read_as(raw, tag::DURATION, 4, "a duration")?;
    Ok(Duration {
        months: fields.int()?,
        days: fields.int()?,
        seconds: fields.int()?,
        nanoseconds: fields.int()?,
    })
}

pub(crate) fn read_point_2d(raw: RawRef<'_>) -> Result<Point2D, DecodeError> {
    let mut fields = StructRef::read_as(raw, tag::POINT_2D, 3, "a 2D point")?;
    Ok(Point2D { srid: fields.int()?, x: fields.float()?, y: fields.float()? })
}

pub(crate) fn read_point_3d(raw: RawRef<'_>) -> Result<Point3D, DecodeError> {
    let mut fields = StructRef::read_as(raw, tag::POINT_3D, 4, "a 3D point")?;
    Ok(Point3D { srid: fields.int()?, x: fields.float()?, y: fields.float()?, z: fields.float()? })
}

/// A node: `Copy`, borrows the message.
///
/// Reading one looks at the number of fields and the markers of the first three; element ids and labels are checked when
/// they are asked for.
#[derive(Clone, Copy)]
pub struct NodeRef<'a> {
    pub(crate) raw: RawRef<'a>,
    labels_at: u32,
    properties_at: u32,
    fields: u8,
}

impl<'a> NodeRef<'a> {
    #[inline]
    pub(crate) fn read(raw: RawRef<'a>) -> Result<Self, DecodeError> {
        let structure = StructRef::read(raw, "a node")?;
        if structure.tag != tag::NODE {
            return Err(structure.other_tag("a node"));
        }
        if structure.fields != 3 {
            structure.expect_fields(4, "a node")?;
        }
        let mut fields = structure.cursor();
        fields.int()?;
        let labels = fields.raw();
        labels.list()?;
        let properties = fields.next;
        properties.map()?;
        Ok(Self {
            raw,
            labels_at: labels.at as u32,
            properties_at: properties.at as u32,
            fields: structure.fields,
        })
    }

    /// What `read` left open: that every label is a string, and the element id too.
    fn check(&self) -> Result<(), DecodeError> {
        check_strings(self.raw.moved(self.labels_at as usize).list()?)?;
        if self.fields == 4 { self.element_id_raw().str().map(|_| ()) } else { Ok(()) }
    }

    /// The numeric id. Deprecated by servers since 5.0, but always there.
    #[inline]
    #[must_use]
    pub fn id(&self) -> i64 {
        self.raw.moved(self.raw.at + 2).int().unwrap_or(-1)
    }

    fn element_id_raw(&self) -> RawRef<'a> {
        self.raw.moved(skip(self.raw.message, self.properties_at as usize))
    }

    /// The element id, from Bolt 5.0 on; it stands behind the properties, which are passed over.
    ///
    /// # Errors
    /// A field that is not a string, or not UTF-8.
    pub fn element_id(&self) -> Result<Option<&'a str>, DecodeError> {
        if self.fields == 4 { self.element_id_raw().str().map(Some) } else { Ok(None) }
    }

    /// The labels.
    #[inline]
    #[must_use]
    pub fn labels(&self) -> crate::value_ref::TypedIter<'a, &'a str> {
        self.labels_list().iter_as()
    }

    /// The labels as a list.
    #[must_use]
    pub fn labels_list(&self) -> ListRef<'a> {
        let raw = self.raw.moved(self.labels_at as usize);
        raw.list().unwrap_or(ListRef { first: raw, len: 0 })
    }

    /// The properties.
    #[inline]
    #[must_use]
    pub fn properties(&self) -> MapRef<'a> {
        self.raw.moved(self.properties_at as usize).map().unwrap_or(MapRef::empty())
    }

    /// The property `key`, as a `T`; a missing one reads as `None` where `T` is an `Option`.
    ///
    /// # Errors
    /// [`DecodeReason::NoSuchName`] for a missing property, and what `T` refuses.
    #[inline]
    pub fn get<T: crate::FromValue<'a>>(&self, key: &str) -> Result<T, DecodeError> {
        self.properties().get_as(key)
    }

    /// Where the node stands.
    #[must_use]
    pub const fn raw(&self) -> RawRef<'a> {
        self.raw
    }
}

/// That every item is a string. That it is UTF-8 the walk has proved, or `str` says.
fn check_strings(list: ListRef<'_>) -> Result<(), DecodeError> {
    for raw in list.raws() {
        if raw.kind() != Kind::String {
            return Err(raw.wrong_type("a string"));
        }
    }
    Ok(())
}

/// A relationship: `Copy`, borrows the message.
#[derive(Clone, Copy)]
pub struct RelationshipRef<'a> {
    pub(crate) raw: RawRef<'a>,
    id: i64,
    start_id: i64,
    end_id: i64,
    type_at: u32,
    properties_at: u32,
    fields: u8,
}

impl<'a> RelationshipRef<'a> {
    pub(crate) fn read(raw: RawRef<'a>) -> Result<Self, DecodeError> {
        let structure = StructRef::read(raw, "a relationship")?;
        if structure.tag != tag::RELATIONSHIP {
            return Err(structure.other_tag("a relationship"));
        }
        if structure.fields != 5 {
            structure.expect_fields(8, "a relationship")?;
        }
        let mut fields = structure.cursor();
        let (id, start_id, end_id) = (fields.int()?, fields.int()?, fields.int()?);
        let name = fields.raw();
        name.str_bytes()?;
        let properties = fields.next;
        properties.map()?;
        let (type_at, properties_at) = (name.at as u32, properties.at as u32);
        Ok(Self { raw, id, start_id, end_id, type_at, properties_at, fields: structure.fields })
    }

    fn check(&self) -> Result<(), DecodeError> {
        self.rel_type()?;
        self.element_ids().map(|_| ())
    }

    /// The numeric id.
    #[must_use]
    pub const fn id(&self) -> i64 {
        self.id
    }

    /// The numeric id of the node it starts at.
    #[must_use]
    pub const fn start_id(&self) -> i64 {
        self.start_id
    }

    /// The numeric id of the node it ends at.
    #[must_use]
    pub const fn end_id(&self) -> i64 {
        self.end_id
    }

    /// The type.
    ///
    /// # Errors
    /// [`DecodeReason::InvalidUtf8`].
    pub fn rel_type(&self) -> Result<&'a str, DecodeError> {
        self.raw.moved(self.type_at as usize).str()
    }

    /// The properties.
    #[must_use]
    pub fn properties(&self) -> MapRef<'a> {
        self.raw.moved(self.properties_at as usize).map().unwrap_or(MapRef::empty())
    }

    /// The property `key`, as a `T`; a missing one reads as `None` where `T` is an `Option`.
    ///
    /// # Errors
    /// [`DecodeReason::NoSuchName`] for a missing property, and what `T` refuses.
    pub fn get<T: crate::FromValue<'a>>(&self, key: &str) -> Result<T, DecodeError> {
        self.properties().get_as(key)
    }

    /// The element ids of the relationship, its start and its end, from Bolt 5.0 on.
    ///
    /// # Errors
    /// A field that is not a string, or not UTF-8.
    pub fn element_ids(&self) -> Result<Option<[&'a str; 3]>, DecodeError> {
        if self.fields != 8 {
            return Ok(None);
        }
        let mut fields = Fields { next: self.raw.moved(skip(self.raw.message, self.properties_at as usize)) };
        Ok(Some([fields.raw().str()?, fields.raw().str()?, fields.raw().str()?]))
    }

    /// The element id, from Bolt 5.0 on.
    ///
    /// # Errors
    /// A field that is not a string, or not UTF-8.
    pub fn element_id(&self) -> Result<Option<&'a str>, DecodeError> {
        Ok(self.element_ids()?.map(|[own, ..]| own))
    }

    /// Where the relationship stands.
    #[must_use]
    pub const fn raw(&self) -> RawRef<'a> {
        self.raw
    }
}

/// A relationship as paths hold it, its end points following from the path: `Copy`, borrows the message.
#[derive(Clone, Copy)]
pub struct UnboundRelationshipRef<'a> {
    pub(crate) raw: RawRef<'a>,
    id: i64,
    type_at: u32,
    properties_at: u32,
    fields: u8,
}

impl<'a> UnboundRelationshipRef<'a> {
    pub(crate) fn read(raw: RawRef<'a>) -> Result<Self, DecodeError> {
        let structure = StructRef::read(raw, "an unbound relationship")?;
        if structure.tag != tag::UNBOUND_RELATIONSHIP {
            return Err(structure.other_tag("an unbound relationship"));
        }
        if structure.fields != 3 {
            structure.expect_fields(4, "an unbound relationship")?;
        }
        let mut fields = structure.cursor();
        let id = fields.int()?;
        let name = fields.raw();
        name.str_bytes()?;
        let properties = fields.next;
        properties.map()?;
        let (type_at, properties_at) = (name.at as u32, properties.at as u32);
        Ok(Self { raw, id, type_at, properties_at, fields: structure.fields })
    }

    fn check(&self) -> Result<(), DecodeError> {
        self.rel_type()?;
        self.element_id().map(|_| ())
    }

    /// The numeric id.
    #[must_use]
    pub const fn id(&self) -> i64 {
        self.id
    }

    /// The type.
    ///
    /// # Errors
    /// [`DecodeReason::InvalidUtf8`].
    pub fn rel_type(&self) -> Result<&'a str, DecodeError> {
        self.raw.moved(self.type_at as usize).str()
    }

    /// The properties.
    #[must_use]
    pub fn properties(&self) -> MapRef<'a> {
        self.raw.moved(self.properties_at as usize).map().unwrap_or(MapRef::empty())
    }

    /// The element id, from Bolt 5.0 on.
    ///
    /// # Errors
    /// A field that is not a string, or not UTF-8.
    pub fn element_id(&self) -> Result<Option<&'a str>, DecodeError> {
        if self.fields != 4 {
            return Ok(None);
        }
        self.raw.moved(skip(self.raw.message, self.properties_at as usize)).str().map(Some)
    }

    /// Where the relationship stands.
    #[must_use]
    pub const fn raw(&self) -> RawRef<'a> {
        self.raw
    }
}

/// A path: nodes and relationships, each listed once, and the walk through them. `Copy`, borrows the message.
///
/// Reading one proves that the walk stays inside the two lists, so that iterating never fails for that.
#[derive(Clone, Copy)]
pub struct PathRef<'a> {
    pub(crate) raw: RawRef<'a>,
    relationships_at: u32,
    indices_at: u32,
}

/// One step of a path: along `relationship` to `node`.
#[derive(Clone, Copy)]
pub struct PathStep<'a> {
    /// The relationship walked along.
    pub relationship: UnboundRelationshipRef<'a>,
    /// Whether it was walked from its start to its end.
    pub forward: bool,
    /// The node arrived at.
    pub node: NodeRef<'a>,
}

impl<'a> PathRef<'a> {
    pub(crate) fn read(raw: RawRef<'a>) -> Result<Self, DecodeError> {
        let mut fields = StructRef::read_as(raw, tag::PATH, 3, "a path")?;
        let (nodes_raw, relationships_raw, indices_raw) = (fields.raw(), fields.raw(), fields.next);
        let (nodes, relationships) = (nodes_raw.list()?, relationships_raw.list()?);
        let indices = indices_raw.list()?;
        if nodes.is_empty() {
            return Err(DecodeError::new(nodes_raw.at, DecodeReason::BadPath("it has no node")));
        }
        if indices.len() % 2 != 0 {
            let odd = "its indices are not pairs of relationship and node";
            return Err(DecodeError::new(indices_raw.at, DecodeReason::BadPath(odd)));
        }
        for node in nodes.raws() {
            NodeRef::read(node)?.check()?;
        }
        for relationship in relationships.raws() {
            UnboundRelationshipRef::read(relationship)?.check()?;
        }
        for (i, index_raw) in indices.raws().enumerate() {
            let index = index_raw.int()?;
            let (inside, why) = if i % 2 == 0 {
                let inside = index != 0 && index.unsigned_abs() <= relationships.len() as u64;
                (inside, "a step takes a relationship that is not in its list")
            } else {
                let inside = usize::try_from(index).is_ok_and(|index| index < nodes.len());
                (inside, "a step leads to a node that is not in its list")
            };
            if !inside {
                return Err(DecodeError::new(index_raw.at, DecodeReason::BadPath(why)));
            }
        }
        Ok(Self { raw, relationships_at: relationships_raw.at as u32, indices_at: indices_raw.at as u32 })
    }

    fn list_at(&self, at: usize) -> ListRef<'a> {
        let raw = self.raw.moved(at);
        raw.list().unwrap_or(ListRef { first: raw, len: 0 })
    }

    /// The nodes, each once; the walk begins at the first.
    #[must_use]
    pub fn nodes(&self) -> crate::value_ref::TypedIter<'a, NodeRef<'a>> {
        self.nodes_list().iter_as()
    }

    /// The nodes as a list.
    #[must_use]
    pub fn nodes_list(&self) -> ListRef<'a> {
        self.list_at(self.raw.at + 2)
    }

    /// The relationships, each once.
    #[must_use]
    pub fn relationships(&self) -> crate::value_ref::TypedIter<'a, UnboundRelationshipRef<'a>> {
        self.relationships_list().iter_as()
    }

    /// The relationships as a list.
    #[must_use]
    pub fn relationships_list(&self) -> ListRef<'a> {
        self.list_at(self.relationships_at as usize)
    }

    /// The walk as it travels: relationship number (from 1, negative = against its direction), node number (from 0), …
    #[must_use]
    pub fn indices(&self) -> ListRef<'a> {
        self.list_at(self.indices_at as usize)
    }

    /// Number of steps.
    #[must_use]
    pub fn len(&self) -> usize {
        self.indices().len() / 2
    }

    /// Whether the path is a single node.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.indices().is_empty()
    }

    /// The node the walk begins at.
    ///
    /// # Errors
    /// None for a path that was read without one.
    pub fn start(&self) -> Result<NodeRef<'a>, DecodeError> {
        NodeRef::read(self.nodes_list().first)
    }

    /// The steps of the walk; nodes and relationships are looked up through [`ListRef::indexed`].
    #[must_use]
    pub fn steps(&self) -> PathSteps<'a> {
        PathSteps {
            nodes: self.nodes_list().indexed(),
            relationships: self.relationships_list().indexed(),
            indices: self.indices().raws(),
        }
    }

    /// Where the path stands.
    #[must_use]
    pub const fn raw(&self) -> RawRef<'a> {
        self.raw
    }
}

/// The steps of a path.
#[derive(Clone)]
pub struct PathSteps<'a> {
    nodes: crate::index::IndexedList<'a>,
    relationships: crate::index::IndexedList<'a>,
    indices: RawIter<'a>,
}

impl<'a> PathSteps<'a> {
    fn step(&self, along: RawRef<'a>, to: RawRef<'a>) -> Result<PathStep<'a>, DecodeError> {
        let (along, to) = (along.int()?, to.int()?);
        // Both were proved to be in range when the path was read.
        let number = usize::try_from(along.unsigned_abs()).unwrap_or(0).wrapping_sub(1);
        Ok(PathStep {
            relationship: self.relationships.get_as(number)?,
            forward: along > 0,
            node: self.nodes.get_as(usize::try_from(to).unwrap_or(usize::MAX))?,
        })
    }
}

impl<'a> Iterator for PathSteps<'a> {
    type Item = Result<PathStep<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let along = self.indices.next()?;
        let to = self.indices.next()?;
        Some(self.step(along, to))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let steps = self.indices.len() / 2;
        (steps, Some(steps))
    }
}

/// An instant with the name of a time zone. Structures `69` (UTC) and `66` (legacy). Unknown names are kept as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTimeZonedRef<'a> {
    /// Seconds since 1970-01-01T00:00 on the clock that `form` names.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanoseconds: i64,
    /// Name of the zone, such as `Europe/Paris`.
    pub zone: &'a str,
    /// Which clock `seconds` counts.
    pub form: DateTimeForm,
}

impl<'a> DateTimeZonedRef<'a> {
    pub(crate) fn read(raw: RawRef<'a>) -> Result<Self, DecodeError> {
        let structure = StructRef::read(raw, "a zoned date-time")?;
        let Some(form) = form_of(structure.tag, tag::DATE_TIME_ZONED, tag::DATE_TIME_ZONED_LEGACY) else {
            return Err(structure.other_tag("a zoned date-time"));
        };
        let mut fields = structure.expect_fields(3, "a zoned date-time")?;
        Ok(Self { seconds: fields.int()?, nanoseconds: fields.int()?, zone: fields.raw().str()?, form })
    }
}

/// A vector: its elements' type, and their bytes in network order. `Copy`, borrows the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VectorRef<'a> {
    pub(crate) element_type: ElementType,
    pub(crate) data: &'a [u8],
}

impl<'a> VectorRef<'a> {
    pub(crate) fn read(raw: RawRef<'a>) -> Result<Self, DecodeError> {
        let mut fields = StructRef::read_as(raw, tag::VECTOR, 2, "a vector")?;
        let (type_raw, data_raw) = (fields.raw(), fields.next);
        let bad = |raw: RawRef<'_>, why| DecodeError::new(raw.at, DecodeReason::BadVector(why));
        let &[byte] = type_raw.bytes()? else {
            return Err(bad(type_raw, "its element type is not one byte"));
        };
        let Some(element_type) = ElementType::from_byte(byte) else {
            return Err(bad(type_raw, "its element type is unknown"));
        };
        let data = data_raw.bytes()?;
        if data.len() % element_type.width() != 0 {
            return Err(bad(data_raw, "its bytes are no whole number of elements"));
        }
        Ok(Self { element_type, data })
    }

    /// The type of the elements.
    #[must_use]
    pub const fn element_type(&self) -> ElementType {
        self.element_type
    }

    /// The elements' bytes in network order, as they travel.
    #[must_use]
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Number of elements.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.data.len() / self.element_type.width()
    }

    /// Whether there are no elements.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The elements as 32-bit floats, bit for bit; `None` if they are of another type.
    #[must_use]
    pub fn iter_f32(&self) -> Option<impl ExactSizeIterator<Item = f32> + use<'a>> {
        (self.element_type == ElementType::F32)
            .then(|| self.data.as_chunks::<4>().0.iter().map(|bytes| f32::from_be_bytes(*bytes)))
    }

    /// The elements as 64-bit floats; those of 32 bits are widened, integers give `None`.
    #[must_use]
    pub fn iter_f64(&self) -> Option<impl ExactSizeIterator<Item = f64> + use<'a>> {
        let (data, wide) = (self.data, self.element_type == ElementType::F64);
        matches!(self.element_type, ElementType::F32 | ElementType::F64).then(|| {
            let width = self.element_type.width();
            data.chunks_exact(width).map(move |bytes| {
                match (wide, bytes.first_chunk(), bytes.first_chunk()) {
                    (true, Some(bytes), _) => f64::from_be_bytes(*bytes),
                    (_, _, Some(bytes)) => f64::from(f32::from_be_bytes(*bytes)),
                    _ => 0.0,
                }
            })
        })
    }

    /// The elements as integers, of whatever width; floats give `None`.
    #[must_use]
    pub fn iter_i64(&self) -> Option<impl ExactSizeIterator<Item = i64> + use<'a>> {
        let width = match self.element_type {
            ElementType::F32 | ElementType::F64 => return None,
            _ => self.element_type.width(),
        };
        Some(self.data.chunks_exact(width).map(move |bytes| {
            let wide = bytes.iter().fold(0i64, |wide, &byte| wide << 8 | i64::from(byte));
            let unused = 64 - 8 * width;
            wide << unused >> unused
        }))
    }
}

/// The stand-in a server sends for a value that this protocol version cannot carry. `Copy`, borrows the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsupportedRef<'a> {
    /// Name of the type.
    pub name: &'a str,
    /// Major number of the first version that carries it.
    pub minimum_major: i64,
    /// Minor number of that version.
    pub minimum_minor: i64,
    /// What the server has to say about it.
    pub message: Option<&'a str>,
}

impl<'a> UnsupportedRef<'a> {
    pub(crate) fn read(raw: RawRef<'a>) -> Result<Self, DecodeError> {
        let mut fields = StructRef::read_as(raw, tag::UNSUPPORTED, 4, "an unsupported value")?;
        Ok(Self {
            name: fields.raw().str()?,
            minimum_major: fields.int()?,
            minimum_minor: fields.int()?,
            message: fields.next.map()?.get_as("message")?,
        })
    }
}
