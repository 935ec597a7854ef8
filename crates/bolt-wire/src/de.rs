//! From PackStream into `serde::Deserialize`, strings and bytes borrowed from the message.
//! Owns the mapping from Bolt's data model to serde's, written on [`from_raw`], and the error that names the place. Values deeper
//! than [`SERDE_DEPTH_MAX`] are refused, because serde's visitors recurse.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Visitor};
use serde::forward_to_deserialize_any;

use crate::error::{DecodeError, DecodeReason};
use crate::marker::Kind;
use crate::record::RecordRef;
use crate::ser::{NATIVE, Serde, read_native};
use crate::structure::{NodeRef, RelationshipRef, StructRef, UnboundRelationshipRef, VectorRef, tag};
use crate::value_ref::{EntryIter, ListRef, MapRef, RawIter, RawRef};
use crate::{ElementType, FromValue};

/// How deep values may nest for serde: within a 2 MiB stack also for visitors that are not small, in a debug build too.
pub const SERDE_DEPTH_MAX: u32 = 256;

/// Entries up to which a dictionary is searched for duplicate keys by comparing each with each, which needs no memory.
const PAIRWISE_MAX: usize = 16;

/// Why a value could not be deserialized: what is wrong, where in the message, and at which column or property.
///
/// One pointer; allocates when it arises.
#[derive(Debug)]
pub struct DeError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    /// Names and numbers from the outside in, joined; built from the inside out.
    path: String,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Decode(DecodeError),
    /// What a `Deserialize` implementation had to say.
    Custom(String),
    TooDeep,
}

impl DeError {
    /// Column and keys that lead to the value, such as `n.address[2].street`; empty for the value itself.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// The decoding error behind it, if it is one.
    #[must_use]
    pub fn decode_error(&self) -> Option<DecodeError> {
        match self.0.cause {
            Cause::Decode(error) => Some(error),
            Cause::Custom(_) | Cause::TooDeep => None,
        }
    }

    #[cold]
    fn new(cause: Cause) -> Self {
        Self(Box::new(Inner { path: String::new(), cause }))
    }

    /// The same error, seen from the dictionary or record in which it arose under `key`.
    #[cold]
    fn under(mut self, key: &str) -> Self {
        let inner = &mut self.0.path;
        let dot = if inner.is_empty() || inner.starts_with('[') { "" } else { "." };
        *inner = alloc::format!("{key}{dot}{inner}");
        self
    }

    /// The same error, seen from the list in which it arose at `index`.
    #[cold]
    fn at(mut self, index: usize) -> Self {
        let inner = &mut self.0.path;
        let dot = if inner.is_empty() || inner.starts_with('[') { "" } else { "." };
        *inner = alloc::format!("[{index}]{dot}{inner}");
        self
    }
}

impl fmt::Display for DeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.path.is_empty() {
            write!(f, "{}: ", self.0.path)?;
        }
        match &self.0.cause {
            Cause::Decode(error) => error.fmt(f),
            Cause::Custom(message) => f.write_str(message),
            Cause::TooDeep => write!(f, "values are nested deeper than serde's limit of {SERDE_DEPTH_MAX}"),
        }
    }
}

impl core::error::Error for DeError {}

impl de::Error for DeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Cause::Custom(message.to_string()))
    }
}

impl From<DecodeError> for DeError {
    fn from(error: DecodeError) -> Self {
        Self::new(Cause::Decode(error))
    }
}

/// Deserializes the value at `raw`, in bytes that were walked.
///
/// | Bolt | serde |
/// |---|---|
/// | null | unit, none |
/// | boolean, integer, float | the same; an integer is accepted where a float is wanted |
/// | string, bytes | borrowed `&str`, `&[u8]`, or owned |
/// | list | sequence, tuple, array |
/// | dictionary | map, struct; of duplicate keys the last counts |
/// | node, relationship | as the dictionary of its properties, or as [`Node`](crate::Node), [`Relationship`](crate::Relationship) |
/// | vector | sequence of its numbers |
/// | string, dictionary of one entry | enum |
/// | UUID | 16 bytes, or [`Uuid`](crate::Uuid) |
/// | other structures | sequence of their fields, or the type of this crate that they are |
///
/// # Errors
/// What the value cannot be, with the path to it.
pub fn from_raw<'de, T: Deserialize<'de>>(raw: RawRef<'de>) -> Result<T, DeError> {
    T::deserialize(ValueDeserializer { raw, depth: 0 })
}

impl<'a> RecordRef<'a> {
    /// The record as a `T`.
    ///
    /// A struct or a map takes columns by name, a tuple or a sequence by position, anything else the only column. A struct that
    /// does not name the only column, where that holds a node, a relationship or a dictionary, takes its properties.
    ///
    /// # Errors
    /// What does not fit, with the column and what leads on from there.
    pub fn deserialize<T: Deserialize<'a>>(&self) -> Result<T, DeError> {
        T::deserialize(RecordDeserializer { record: *self })
    }

    /// Column `column` as a `T`, through serde.
    ///
    /// # Errors
    /// What does not fit, with the column's name and what leads on from there.
    pub fn deserialize_column<T: Deserialize<'a>>(&self, column: usize) -> Result<T, DeError> {
        from_raw(self.at(column)?).map_err(|error| error.under(self.fields().name(column)))
    }
}

impl<'a> RawRef<'a> {
    /// The value as a `T`, through serde; see [`from_raw`].
    ///
    /// # Errors
    /// What does not fit, with the path to it.
    pub fn deserialize<T: Deserialize<'a>>(self) -> Result<T, DeError> {
        from_raw(self)
    }
}

impl<'a> NodeRef<'a> {
    /// The node's properties as a `T`; see [`from_raw`].
    ///
    /// # Errors
    /// What does not fit, with the path to it.
    pub fn deserialize<T: Deserialize<'a>>(&self) -> Result<T, DeError> {
        from_raw(self.raw)
    }
}

/// Reads through serde wherever [`FromValue`] is asked for, at the price of the path: an error tells only the offset.
impl<'a, T: Deserialize<'a>> FromValue<'a> for Serde<T> {
    fn from_raw(raw: RawRef<'a>) -> Result<Self, DecodeError> {
        from_raw(raw).map(Self).map_err(|error| {
            let reason = match error.0.cause {
                Cause::Decode(error) => return error,
                Cause::TooDeep => DecodeReason::TooDeep { limit: SERDE_DEPTH_MAX },
                Cause::Custom(_) => DecodeReason::WrongType {
                    expected: "what the type deserializes from",
                    found: raw.kind().name(),
                },
            };
            DecodeError::new(raw.offset(), reason)
        })
    }
}

#[derive(Clone, Copy)]
struct ValueDeserializer<'de> {
    raw: RawRef<'de>,
    /// Containers around the value.
    depth: u32,
}

impl<'de> ValueDeserializer<'de> {
    /// The depth of what is inside this value.
    fn deeper(self) -> Result<u32, DeError> {
        if self.depth >= SERDE_DEPTH_MAX { Err(DeError::new(Cause::TooDeep)) } else { Ok(self.depth + 1) }
    }

    fn visit_list<V: Visitor<'de>>(self, list: ListRef<'de>, visitor: V) -> Result<V::Value, DeError> {
        let mut access = ListAccess { left: list.raws(), index: 0, depth: self.deeper()? };
        let value = visitor.visit_seq(&mut access)?;
        match access.left.next() {
            None => Ok(value),
            Some(_) => {
                let wanted = access.index;
                Err(de::Error::invalid_length(list.len(), &alloc::format!("{wanted} items").as_str()))
            }
        }
    }

    fn visit_map<V: Visitor<'de>>(self, map: MapRef<'de>, visitor: V) -> Result<V::Value, DeError> {
        let depth = self.deeper()?;
        visitor.visit_map(MapAccess { left: map.entries(), value: None, overruled: overruled(map), depth })
    }

    fn visit_structure<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        let structure = self.raw.structure()?;
        match structure.tag() {
            tag::NODE => self.visit_map(NodeRef::from_raw(self.raw)?.properties(), visitor),
            tag::RELATIONSHIP => self.visit_map(RelationshipRef::from_raw(self.raw)?.properties(), visitor),
            tag::UNBOUND_RELATIONSHIP => {
                self.visit_map(UnboundRelationshipRef::from_raw(self.raw)?.properties(), visitor)
            }
            tag::VECTOR => visit_vector(VectorRef::from_raw(self.raw)?, visitor),
            _ => self.visit_list(StructRef::as_list(&structure), visitor),
        }
    }
}

fn visit_vector<'de, V: Visitor<'de>>(vector: VectorRef<'de>, visitor: V) -> Result<V::Value, DeError> {
    use de::value::SeqDeserializer;
    match vector.element_type() {
        ElementType::F32 => visitor.visit_seq(SeqDeserializer::new(vector.iter_f32().into_iter().flatten())),
        ElementType::F64 => visitor.visit_seq(SeqDeserializer::new(vector.iter_f64().into_iter().flatten())),
        _ => visitor.visit_seq(SeqDeserializer::new(vector.iter_i64().into_iter().flatten())),
    }
}

/// Places of keys that come again later in the dictionary, sorted. Empty, and without memory, for nearly all.
fn overruled(map: MapRef<'_>) -> Vec<u32> {
    let mut places = Vec::new();
    if map.len() <= PAIRWISE_MAX {
        let mut entries = map.entries();
        while let Some((key, _)) = entries.next_raw() {
            let name = key.str_bytes().unwrap_or_default();
            if entries.clone().any(|(later, _)| later == name) {
                places.push(key.at as u32);
            }
        }
        return places;
    }
    let mut keys: Vec<(&[u8], u32)> = Vec::with_capacity(map.len());
    let mut entries = map.entries();
    while let Some((key, _)) = entries.next_raw() {
        keys.push((key.str_bytes().unwrap_or_default(), key.at as u32));
    }
    keys.sort_unstable();
    places.extend(keys.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[0].1));
    places.sort_unstable();
    places
}

impl<'de> de::Deserializer<'de> for ValueDeserializer<'de> {
    type Error = DeError;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        let raw = self.raw;
        match raw.kind() {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool => visitor.visit_bool(raw.bool()?),
            Kind::Int => visitor.visit_i64(raw.int()?),
            Kind::Float => visitor.visit_f64(raw.float()?),
            Kind::String => visitor.visit_borrowed_str(raw.str()?),
            Kind::Bytes => visitor.visit_borrowed_bytes(raw.bytes()?),
            Kind::List => self.visit_list(raw.list()?, visitor),
            Kind::Map => self.visit_map(raw.map()?, visitor),
            Kind::Structure => self.visit_structure(visitor),
            Kind::Uuid => visitor.visit_borrowed_bytes(raw.as_bytes().get(1..).unwrap_or_default()),
            Kind::Reserved => {
                Err(DecodeError::new(raw.offset(), DecodeReason::ReservedMarker(raw.marker()?)).into())
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        if self.raw.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        if name == NATIVE {
            visitor.visit_borrowed_bytes(self.raw.as_bytes())
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        match self.raw.kind() {
            Kind::String => {
                visitor.visit_enum(de::value::BorrowedStrDeserializer::<DeError>::new(self.raw.str()?))
            }
            Kind::Map => {
                let map = self.raw.map()?;
                let mut entries = map.entries();
                match (entries.next_raw(), map.len()) {
                    (Some((name, content)), 1) => {
                        let content = ValueDeserializer { raw: content, depth: self.deeper()? };
                        visitor.visit_enum(VariantAccess { name: name.str()?, content })
                    }
                    (_, found) => {
                        Err(de::Error::invalid_length(found, &"a dictionary of one entry, the variant"))
                    }
                }
            }
            _ => Err(self.raw.wrong_type("a string or a dictionary of one entry, the variant").into()),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier
    }
}

struct ListAccess<'de> {
    left: RawIter<'de>,
    index: usize,
    depth: u32,
}

impl<'de> de::SeqAccess<'de> for &mut ListAccess<'de> {
    type Error = DeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, DeError> {
        let Some(raw) = self.left.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        match seed.deserialize(ValueDeserializer { raw, depth: self.depth }) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(error.at(index)),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        // What visitors reserve by this, they bound themselves.
        Some(self.left.len())
    }
}

struct MapAccess<'de> {
    left: EntryIter<'de>,
    /// Key and value of the entry whose key was read last.
    value: Option<(RawRef<'de>, RawRef<'de>)>,
    overruled: Vec<u32>,
    depth: u32,
}

impl<'de> de::MapAccess<'de> for MapAccess<'de> {
    type Error = DeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, DeError> {
        while let Some((key, value)) = self.left.next_raw() {
            if !self.overruled.is_empty() && self.overruled.binary_search(&(key.at as u32)).is_ok() {
                continue;
            }
            self.value = Some((key, value));
            return seed.deserialize(ValueDeserializer { raw: key, depth: self.depth }).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, DeError> {
        let Some((key, raw)) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(ValueDeserializer { raw, depth: self.depth })
            .map_err(|error| error.under(key.str().unwrap_or("?")))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.len())
    }
}

struct VariantAccess<'de> {
    name: &'de str,
    content: ValueDeserializer<'de>,
}

impl<'de> de::EnumAccess<'de> for VariantAccess<'de> {
    type Error = DeError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), DeError> {
        let name = seed.deserialize(de::value::BorrowedStrDeserializer::<DeError>::new(self.name))?;
        Ok((name, self))
    }
}

impl<'de> de::VariantAccess<'de> for VariantAccess<'de> {
    type Error = DeError;

    fn unit_variant(self) -> Result<(), DeError> {
        Deserialize::deserialize(self.content).map_err(|error: DeError| error.under(self.name))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, DeError> {
        seed.deserialize(self.content).map_err(|error| error.under(self.name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DeError> {
        de::Deserializer::deserialize_any(self.content, visitor).map_err(|error| error.under(self.name))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        de::Deserializer::deserialize_any(self.content, visitor).map_err(|error| error.under(self.name))
    }
}

#[derive(Clone, Copy)]
struct RecordDeserializer<'de> {
    record: RecordRef<'de>,
}

impl<'de> RecordDeserializer<'de> {
    /// The only column, or an error that says how many there are.
    fn only(self) -> Result<ValueDeserializer<'de>, DeError> {
        match self.record.len() {
            1 => Ok(ValueDeserializer { raw: self.record.at(0)?, depth: 0 }),
            count => Err(de::Error::invalid_length(count, &"a record of one column")),
        }
    }

    fn under_only(self, error: DeError) -> DeError {
        error.under(self.record.fields().name(0))
    }

    fn visit_columns<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_map(ColumnAccess { record: self.record, column: 0 })
    }
}

/// What takes the only column.
macro_rules! only_column {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
            self.only()?.$method(visitor).map_err(|error| self.under_only(error))
        }
    )*};
}

impl<'de> de::Deserializer<'de> for RecordDeserializer<'de> {
    type Error = DeError;

    fn is_human_readable(&self) -> bool {
        false
    }

    only_column! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128 deserialize_u8 deserialize_u16
        deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char deserialize_str
        deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option deserialize_identifier
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.visit_columns(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.visit_columns(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        wanted: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        if self.record.len() == 1 && !wanted.contains(&self.record.fields().name(0)) {
            let raw = self.record.at(0)?;
            let named = match raw.kind() {
                Kind::Map => true,
                Kind::Structure => matches!(
                    raw.structure()?.tag(),
                    tag::NODE | tag::RELATIONSHIP | tag::UNBOUND_RELATIONSHIP
                ),
                _ => false,
            };
            if named {
                let value = ValueDeserializer { raw, depth: 0 }.deserialize_struct(name, wanted, visitor);
                return value.map_err(|error| self.under_only(error));
            }
        }
        self.visit_columns(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_seq(ColumnAccess { record: self.record, column: 0 })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, DeError> {
        if len != self.record.len() {
            return Err(de::Error::invalid_length(self.record.len(), &visitor));
        }
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        if name == NATIVE {
            return self
                .only()?
                .deserialize_newtype_struct(name, visitor)
                .map_err(|error| self.under_only(error));
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.only()?.deserialize_enum(name, variants, visitor).map_err(|error| self.under_only(error))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_unit()
    }
}

struct ColumnAccess<'de> {
    record: RecordRef<'de>,
    column: usize,
}

impl<'de> ColumnAccess<'de> {
    fn value<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, DeError> {
        let column = self.column;
        self.column += 1;
        let raw = self.record.at(column)?;
        let value = seed.deserialize(ValueDeserializer { raw, depth: 0 });
        value.map_err(|error| error.under(self.record.fields().name(column)))
    }
}

impl<'de> de::SeqAccess<'de> for ColumnAccess<'de> {
    type Error = DeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, DeError> {
        if self.column < self.record.len() { self.value(seed).map(Some) } else { Ok(None) }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.record.len().saturating_sub(self.column))
    }
}

impl<'de> de::MapAccess<'de> for ColumnAccess<'de> {
    type Error = DeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, DeError> {
        if self.column >= self.record.len() {
            return Ok(None);
        }
        let name = self.record.fields().name(self.column);
        seed.deserialize(de::value::BorrowedStrDeserializer::<DeError>::new(name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, DeError> {
        self.value(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.record.len().saturating_sub(self.column))
    }
}

impl<'de> de::IntoDeserializer<'de, DeError> for RawRef<'de> {
    type Deserializer = RawDeserializer<'de>;

    fn into_deserializer(self) -> RawDeserializer<'de> {
        RawDeserializer(ValueDeserializer { raw: self, depth: 0 })
    }
}

/// A value as a serde `Deserializer`.
#[derive(Clone, Copy)]
pub struct RawDeserializer<'de>(ValueDeserializer<'de>);

impl<'de> de::Deserializer<'de> for RawDeserializer<'de> {
    type Error = DeError;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.0.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.0.deserialize_option(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.0.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

impl fmt::Debug for RawDeserializer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.raw, f)
    }
}

/// Takes the bytes of one of our own types, from Bolt or from wherever they were stored.
struct NativeVisitor<T>(core::marker::PhantomData<T>);

impl<'de, T: for<'a> FromValue<'a>> Visitor<'de> for NativeVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of Bolt")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<T, E> {
        read_native(bytes).map_err(|error| E::custom(error.reason))
    }

    fn visit_newtype_struct<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_bytes(self)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut bytes: A) -> Result<T, A::Error> {
        let mut own: Vec<u8> = Vec::new();
        while let Some(byte) = bytes.next_element()? {
            own.push(byte);
        }
        self.visit_bytes(&own)
    }
}

/// Our own types: in Bolt they are themselves; in another format, the bytes of a PackStream value.
macro_rules! deserialize_native {
    ($($type:ident)*) => {$(
        impl<'de> Deserialize<'de> for crate::$type {
            fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_newtype_struct(NATIVE, NativeVisitor(core::marker::PhantomData))
            }
        }
    )*};
}

deserialize_native! {
    Date Time LocalTime LocalDateTime DateTime DateTimeZoned Duration Point2D Point3D Uuid Vector Value Map Node Relationship Path
}
