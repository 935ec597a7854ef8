//! Dictionaries whose entries depend on what is set: counted, then written, by one list of entries.
//!
//! Owns the two-pass idiom that PackStream's counts-in-front ask for. It neither allocates nor buffers, and knows no message.

use crate::encode::{Encode, Encoder, Output};
use crate::error::EncodeError;

/// Something that lays out the entries of a dictionary. [`visit`](Self::visit) runs twice, so it must put the same entries each time.
///
/// ```
/// use bolt_wire::{Dialect, EncodeError, Encoder, Entries, EntrySink, encode_map};
/// struct Colour { name: Option<&'static str>, depth: i64 }
/// impl Entries for Colour {
///     fn visit<S: EntrySink>(&self, sink: &mut S) -> Result<(), EncodeError> {
///         sink.put_some("name", self.name)?;
///         sink.put("depth", &self.depth)
///     }
/// }
/// let mut out = Vec::new();
/// encode_map(&mut Encoder::new(&mut out, Dialect::default()), &Colour { name: None, depth: 8 }).unwrap();
/// assert_eq!(out, b"\xA1\x85depth\x08");
/// ```
pub trait Entries {
    /// Puts every entry, in the order they are to be written.
    ///
    /// # Errors
    /// What the sink returns, passed on.
    fn visit<S: EntrySink>(&self, sink: &mut S) -> Result<(), EncodeError>;
}

/// Takes the entries of a dictionary: once to count them, once to write them.
pub trait EntrySink: Sized {
    /// Takes one entry.
    ///
    /// # Errors
    /// The value cannot be encoded, or the output is full.
    fn put<V: Encode + ?Sized>(&mut self, key: &str, value: &V) -> Result<(), EncodeError>;

    /// Takes one entry if it has a value.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    fn put_some<V: Encode + ?Sized>(&mut self, key: &str, value: Option<&V>) -> Result<(), EncodeError> {
        value.map_or(Ok(()), |value| self.put(key, value))
    }

    /// Takes an entry whose value is a dictionary itself.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    fn put_map<E: Entries + ?Sized>(&mut self, key: &str, value: &E) -> Result<(), EncodeError> {
        self.put(key, &AsMap(value))
    }
}

/// Entries as the dictionary they make.
struct AsMap<'a, E: ?Sized>(&'a E);

impl<E: Entries + ?Sized> Encode for AsMap<'_, E> {
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        encode_map(e, self.0)
    }
}

struct Count(usize);

impl EntrySink for Count {
    fn put<V: Encode + ?Sized>(&mut self, _: &str, _: &V) -> Result<(), EncodeError> {
        self.0 += 1;
        Ok(())
    }
}

impl<O: Output> EntrySink for Encoder<'_, O> {
    fn put<V: Encode + ?Sized>(&mut self, key: &str, value: &V) -> Result<(), EncodeError> {
        self.str(key)?;
        self.encode(value)
    }
}

/// Writes the dictionary that `entries` lay out.
///
/// # Errors
/// A value cannot be encoded, or the output is full.
pub fn encode_map<O: Output, E: Entries + ?Sized>(
    e: &mut Encoder<'_, O>,
    entries: &E,
) -> Result<(), EncodeError> {
    let mut count = Count(0);
    entries.visit(&mut count)?;
    e.map_header(count.0)?;
    entries.visit(e)
}

impl Entries for () {
    fn visit<S: EntrySink>(&self, _: &mut S) -> Result<(), EncodeError> {
        Ok(())
    }
}

impl<E: Entries + ?Sized> Entries for &E {
    fn visit<S: EntrySink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        (**self).visit(sink)
    }
}

impl<K: AsRef<str>, V: Encode> Entries for [(K, V)] {
    fn visit<S: EntrySink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        self.iter().try_for_each(|(key, value)| sink.put(key.as_ref(), value))
    }
}

impl<K: AsRef<str>, V: Encode, const N: usize> Entries for [(K, V); N] {
    fn visit<S: EntrySink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        self.as_slice().visit(sink)
    }
}
