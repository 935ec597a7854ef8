//! From `serde::Serialize` straight into an encoder. Owns the mapping from serde's data model to Bolt's, written on [`Serde`];
//! buffers only where serde does not tell a length beforehand, and then the bytes of that one container.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::ser::{self, Serialize};

use crate::encode::{Dialect, Encode, Encoder, Output, Params};
use crate::error::EncodeError;
use crate::value::Value;
use crate::value_ref::RawRef;
use crate::walk::Walker;

/// Name of the newtype struct under which types of this crate pass through serde, as their PackStream bytes.
pub(crate) const NATIVE: &str = "$bolt_wire::native";

/// The dialect of those bytes: the newest, which carries everything.
pub(crate) const NATIVE_DIALECT: Dialect = Dialect::V6_1;

/// A value that is written through its `serde::Serialize`, as a value ([`Encode`]) or as parameters ([`Params`]).
///
/// | serde | Bolt |
/// |---|---|
/// | integers | integer; beyond 64 bits with sign an error |
/// | floats, bool, str, bytes | float, boolean, string, bytes |
/// | char | string |
/// | none, unit, unit struct | null |
/// | some, newtype struct | what is inside |
/// | sequence, tuple | list |
/// | map, struct | dictionary; keys must be strings, chars or unit variants |
/// | unit variant | its name as string |
/// | other variants | dictionary of one entry: name → content |
/// | [`Date`](crate::Date), [`Uuid`](crate::Uuid), [`Value`] and the other types of this crate | themselves |
///
/// ```
/// use bolt_wire::{Dialect, Encoder, Params, Serde};
///
/// let params = std::collections::BTreeMap::from([("n", 1)]);
/// let mut out = Vec::new();
/// Serde(&params).encode_params(&mut Encoder::new(&mut out, Dialect::V5))?;
/// assert_eq!(out, b"\xA1\x81n\x01");
/// # Ok::<(), bolt_wire::EncodeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Serde<T>(pub T);

impl<T: Serialize> Encode for Serde<T> {
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        self.0.serialize(ValueSerializer { e }).map_err(|error| error.reason)
    }
}

impl<T: Serialize> Params for Serde<T> {
    /// Writes the parameters; anything but a struct or a map with string keys, or nothing at all, is an error.
    fn encode_params<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        let dialect = e.dialect();
        let mut checked = OnlyMap { out: e.output(), begun: false };
        self.encode(&mut Encoder::new(&mut checked, dialect))
    }
}

/// Lets a dictionary pass, makes an empty one of null, and stops everything else at its first byte.
struct OnlyMap<'o, O> {
    out: &'o mut O,
    begun: bool,
}

impl<O: Output> Output for OnlyMap<'_, O> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        if self.begun {
            return self.out.write(bytes);
        }
        self.begun = true;
        match bytes.first() {
            Some(0xA0..=0xAF | 0xD8..=0xDA) => self.out.write(bytes),
            Some(0xC0) => self.out.write(&[0xA0]),
            _ => Err(EncodeError::Custom("parameters must serialize as a map or a struct")),
        }
    }
}

/// Any serializable value as an owned [`Value`].
///
/// # Errors
/// What cannot be a Bolt value, or a failure that `T` reports itself.
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, SerError> {
    let mut bytes = Vec::new();
    value.serialize(ValueSerializer { e: &mut Encoder::verbatim(&mut bytes) })?;
    read_native(&bytes).map_err(|_| EncodeError::TooDeep { limit: crate::VALUE_DEPTH_MAX }.into())
}

/// Reads an owned value from the bytes of one, which may come from anywhere.
pub(crate) fn read_native<'a, T: crate::FromValue<'a>>(bytes: &'a [u8]) -> Result<T, crate::DecodeError> {
    let end = Walker::default().walk(bytes, 0, NATIVE_DIALECT)?;
    if end != bytes.len() {
        let rest = crate::DecodeReason::TrailingBytes(bytes.len() - end);
        return Err(crate::DecodeError::new(end, rest));
    }
    T::from_raw(RawRef::new(bytes, 0))
}

/// Why a value could not be serialized; keeps the text of a failure that the value's own `Serialize` reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerError {
    reason: EncodeError,
    message: Option<String>,
}

impl SerError {
    /// The reason, without text.
    #[must_use]
    pub const fn reason(&self) -> EncodeError {
        self.reason
    }
}

impl fmt::Display for SerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => f.write_str(message),
            None => self.reason.fmt(f),
        }
    }
}

impl core::error::Error for SerError {}

impl ser::Error for SerError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = Some(alloc::format!("{message}"));
        Self { reason: EncodeError::Custom("the value's own Serialize reported an error"), message }
    }
}

impl From<EncodeError> for SerError {
    fn from(reason: EncodeError) -> Self {
        Self { reason, message: None }
    }
}

struct ValueSerializer<'e, 'o, O: Output> {
    e: &'e mut Encoder<'o, O>,
}

impl<'e, 'o, O: Output> ValueSerializer<'e, 'o, O> {
    /// A container of `len` items, header first; or, where the length is unknown, of what will have been counted.
    fn container(self, len: Option<usize>, keyed: bool) -> Result<Container<'e, 'o, O>, SerError> {
        match len {
            Some(len) => {
                if keyed {
                    self.e.map_header(len)?;
                } else {
                    self.e.list_header(len)?;
                }
                Ok(Container { e: self.e, announced: len, aside: None, written: 0, keyed })
            }
            None => Ok(Container { e: self.e, announced: 0, aside: Some(Vec::new()), written: 0, keyed }),
        }
    }

    /// The dictionary of one entry around the content of a variant.
    fn variant(&mut self, name: &str) -> Result<(), SerError> {
        self.e.map_header(1)?;
        Ok(self.e.str(name)?)
    }
}

/// A list or dictionary in the making.
struct Container<'e, 'o, O: Output> {
    e: &'e mut Encoder<'o, O>,
    announced: usize,
    /// The parts, where the header waits for their number.
    aside: Option<Vec<u8>>,
    written: usize,
    keyed: bool,
}

impl<O: Output> Container<'_, '_, O> {
    fn item<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), SerError> {
        self.written += 1;
        self.part(item)
    }

    fn part<T: Serialize + ?Sized>(&mut self, part: &T) -> Result<(), SerError> {
        match &mut self.aside {
            Some(aside) => part.serialize(ValueSerializer { e: &mut self.e.aside(aside) }),
            None => part.serialize(ValueSerializer { e: self.e }),
        }
    }

    fn key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), SerError> {
        self.written += 1;
        let text = key.serialize(KeySerializer)?;
        self.part(text.as_str())
    }

    fn entry<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), SerError> {
        self.written += 1;
        self.part(key)?;
        self.part(value)
    }

    fn finish(self) -> Result<(), SerError> {
        match self.aside {
            Some(aside) => {
                if self.keyed {
                    self.e.map_header(self.written)?;
                } else {
                    self.e.list_header(self.written)?;
                }
                Ok(self.e.raw(&aside)?)
            }
            None if self.written == self.announced => Ok(()),
            None => {
                Err(EncodeError::LengthMismatch { announced: self.announced, written: self.written }.into())
            }
        }
    }
}

impl<'e, 'o, O: Output> ser::Serializer for ValueSerializer<'e, 'o, O> {
    type Ok = ();
    type Error = SerError;
    type SerializeSeq = Container<'e, 'o, O>;
    type SerializeTuple = Container<'e, 'o, O>;
    type SerializeTupleStruct = Container<'e, 'o, O>;
    type SerializeTupleVariant = Container<'e, 'o, O>;
    type SerializeMap = Container<'e, 'o, O>;
    type SerializeStruct = Container<'e, 'o, O>;
    type SerializeStructVariant = Container<'e, 'o, O>;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, v: bool) -> Result<(), SerError> {
        Ok(self.e.bool(v)?)
    }

    fn serialize_i8(self, v: i8) -> Result<(), SerError> {
        Ok(self.e.int(v.into())?)
    }

    fn serialize_i16(self, v: i16) -> Result<(), SerError> {
        Ok(self.e.int(v.into())?)
    }

    fn serialize_i32(self, v: i32) -> Result<(), SerError> {
        Ok(self.e.int(v.into())?)
    }

    fn serialize_i64(self, v: i64) -> Result<(), SerError> {
        Ok(self.e.int(v)?)
    }

    fn serialize_i128(self, v: i128) -> Result<(), SerError> {
        Ok(self.e.int(i64::try_from(v).map_err(|_| EncodeError::IntegerOutOfRange)?)?)
    }

    fn serialize_u8(self, v: u8) -> Result<(), SerError> {
        Ok(self.e.int(v.into())?)
    }

    fn serialize_u16(self, v: u16) -> Result<(), SerError> {
        Ok(self.e.int(v.into())?)
    }

    fn serialize_u32(self, v: u32) -> Result<(), SerError> {
        Ok(self.e.int(v.into())?)
    }

    fn serialize_u64(self, v: u64) -> Result<(), SerError> {
        Ok(self.e.int(i64::try_from(v).map_err(|_| EncodeError::IntegerOutOfRange)?)?)
    }

    fn serialize_u128(self, v: u128) -> Result<(), SerError> {
        Ok(self.e.int(i64::try_from(v).map_err(|_| EncodeError::IntegerOutOfRange)?)?)
    }

    fn serialize_f32(self, v: f32) -> Result<(), SerError> {
        Ok(self.e.float(v.into())?)
    }

    fn serialize_f64(self, v: f64) -> Result<(), SerError> {
        Ok(self.e.float(v)?)
    }

    fn serialize_char(self, v: char) -> Result<(), SerError> {
        Ok(self.e.str(v.encode_utf8(&mut [0; 4]))?)
    }

    fn serialize_str(self, v: &str) -> Result<(), SerError> {
        Ok(self.e.str(v)?)
    }

    fn serialize_bytes(self, v: &[u8]) -> Result<(), SerError> {
        Ok(self.e.bytes(v)?)
    }

    fn serialize_none(self) -> Result<(), SerError> {
        Ok(self.e.null()?)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), SerError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), SerError> {
        Ok(self.e.null()?)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), SerError> {
        Ok(self.e.null()?)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), SerError> {
        Ok(self.e.str(variant)?)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), SerError> {
        if name != NATIVE {
            return value.serialize(self);
        }
        // One of our own types, as the bytes of the newest dialect: read it back and write it as this connection has it.
        let mut quoted = Vec::new();
        value.serialize(ValueSerializer { e: &mut Encoder::verbatim(&mut quoted) })?;
        let native = RawRef::new(&quoted, 0).bytes().and_then(read_native::<Value>);
        let native = native.map_err(|_| EncodeError::TooDeep { limit: crate::VALUE_DEPTH_MAX })?;
        Ok(native.encode(self.e)?)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), SerError> {
        self.variant(variant)?;
        value.serialize(self)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Container<'e, 'o, O>, SerError> {
        self.container(len, false)
    }

    fn serialize_tuple(self, len: usize) -> Result<Container<'e, 'o, O>, SerError> {
        self.container(Some(len), false)
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Container<'e, 'o, O>, SerError> {
        self.container(Some(len), false)
    }

    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Container<'e, 'o, O>, SerError> {
        self.variant(variant)?;
        self.container(Some(len), false)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Container<'e, 'o, O>, SerError> {
        self.container(len, true)
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Container<'e, 'o, O>, SerError> {
        self.container(Some(len), true)
    }

    fn serialize_struct_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Container<'e, 'o, O>, SerError> {
        self.variant(variant)?;
        self.container(Some(len), true)
    }
}

impl<O: Output> ser::SerializeSeq for Container<'_, '_, O> {
    type Ok = ();
    type Error = SerError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SerError> {
        self.item(value)
    }

    fn end(self) -> Result<(), SerError> {
        self.finish()
    }
}

impl<O: Output> ser::SerializeTuple for Container<'_, '_, O> {
    type Ok = ();
    type Error = SerError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SerError> {
        self.item(value)
    }

    fn end(self) -> Result<(), SerError> {
        self.finish()
    }
}

impl<O: Output> ser::SerializeTupleStruct for Container<'_, '_, O> {
    type Ok = ();
    type Error = SerError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SerError> {
        self.item(value)
    }

    fn end(self) -> Result<(), SerError> {
        self.finish()
    }
}

impl<O: Output> ser::SerializeTupleVariant for Container<'_, '_, O> {
    type Ok = ();
    type Error = SerError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SerError> {
        self.item(value)
    }

    fn end(self) -> Result<(), SerError> {
        self.finish()
    }
}

impl<O: Output> ser::SerializeMap for Container<'_, '_, O> {
    type Ok = ();
    type Error = SerError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), SerError> {
        self.key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SerError> {
        self.part(value)
    }

    fn end(self) -> Result<(), SerError> {
        self.finish()
    }
}

impl<O: Output> ser::SerializeStruct for Container<'_, '_, O> {
    type Ok = ();
    type Error = SerError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), SerError> {
        self.entry(key, value)
    }

    fn end(self) -> Result<(), SerError> {
        self.finish()
    }
}

impl<O: Output> ser::SerializeStructVariant for Container<'_, '_, O> {
    type Ok = ();
    type Error = SerError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), SerError> {
        self.entry(key, value)
    }

    fn end(self) -> Result<(), SerError> {
        self.finish()
    }
}

/// Keys: strings, characters and names of unit variants.
struct KeySerializer;

/// The methods that refuse what cannot be a key.
macro_rules! no_key {
    ($($method:ident($($type:ty),*);)*) => {$(
        fn $method(self, $(_: $type),*) -> Result<String, SerError> {
            Err(EncodeError::KeyNotString.into())
        }
    )*};
}

/// The containers that cannot be keys.
macro_rules! no_container_key {
    ($($method:ident($($type:ty),*) -> $result:ident;)*) => {$(
        fn $method(self, $(_: $type),*) -> Result<Self::$result, SerError> {
            Err(EncodeError::KeyNotString.into())
        }
    )*};
}

impl ser::Serializer for KeySerializer {
    type Ok = String;
    type Error = SerError;
    type SerializeSeq = ser::Impossible<String, SerError>;
    type SerializeTuple = ser::Impossible<String, SerError>;
    type SerializeTupleStruct = ser::Impossible<String, SerError>;
    type SerializeTupleVariant = ser::Impossible<String, SerError>;
    type SerializeMap = ser::Impossible<String, SerError>;
    type SerializeStruct = ser::Impossible<String, SerError>;
    type SerializeStructVariant = ser::Impossible<String, SerError>;

    fn serialize_char(self, v: char) -> Result<String, SerError> {
        Ok(v.into())
    }

    fn serialize_str(self, v: &str) -> Result<String, SerError> {
        Ok(v.to_owned())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<String, SerError> {
        Ok(variant.to_owned())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<String, SerError> {
        value.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<String, SerError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<String, SerError> {
        Err(EncodeError::KeyNotString.into())
    }

    no_key! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_bytes(&[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
    }

    no_container_key! {
        serialize_seq(Option<usize>) -> SerializeSeq;
        serialize_tuple(usize) -> SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> SerializeTupleVariant;
        serialize_map(Option<usize>) -> SerializeMap;
        serialize_struct(&'static str, usize) -> SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> SerializeStructVariant;
    }
}

/// The bytes of one of our own values.
struct Native<'a>(&'a [u8]);

impl Serialize for Native<'_> {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// Our own types: in Bolt they are themselves; in another format, the bytes of a PackStream value.
macro_rules! serialize_native {
    ($($type:ident)*) => {$(
        impl Serialize for crate::$type {
            fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut bytes = Vec::new();
                self.encode(&mut Encoder::verbatim(&mut bytes)).map_err(ser::Error::custom)?;
                serializer.serialize_newtype_struct(NATIVE, &Native(&bytes))
            }
        }
    )*};
}

serialize_native! {
    Date Time LocalTime LocalDateTime DateTime DateTimeZoned Duration Point2D Point3D Uuid Vector Value Map Node Relationship Path
}
