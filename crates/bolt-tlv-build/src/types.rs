//! Owns: the types a field can have, the expressions that name them, and how many bytes they take on the wire.
//! Never looks at files. Limits: `DEPTH_MAX` types inside each other in one expression; numbers up to 2³² − 1.

use std::collections::HashMap;

use crate::diagnostics::{Place, Problems, suggest};
use crate::schema::Message;
use crate::yaml::parse_number;

/// `optional<vector<array<…>>>` deeper than this is a mistake.
const DEPTH_MAX: usize = 8;

/// A length or count up to this travels in two bytes, above in four.
const SHORT_PREFIX_MAX: u64 = u16::MAX as u64;

/// An owned struct keeps what is larger than this behind one allocation, so that it can be moved about.
const INLINE_BYTES_MAX: u64 = 1024;

/// A type, resolved. Enums and messages are indices into the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// An unsigned integer of 1 to 32 bytes.
    Unsigned(u8),
    /// A signed integer of 1 to 32 bytes.
    Signed(u8),
    Bool,
    Float32,
    Float64,
    /// Exactly so many bytes.
    Fixed(u64),
    /// UTF-8 of at most so many bytes.
    Text(u64),
    /// At most so many bytes.
    Blob(u64),
    /// Exactly so many of one type.
    Array(Box<Type>, u64),
    /// At most so many of one type.
    List(Box<Type>, u64),
    Optional(Box<Type>),
    Enum(usize),
    Message(usize),
}

/// Bytes on the wire, at least and at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Size {
    pub(crate) min: u64,
    pub(crate) max: u64,
}

impl Size {
    pub(crate) const fn exactly(bytes: u64) -> Self {
        Self { min: bytes, max: bytes }
    }

    pub(crate) const fn plus(self, other: Self) -> Self {
        Self { min: self.min.saturating_add(other.min), max: self.max.saturating_add(other.max) }
    }
}

/// Bytes of the length or count in front of something of at most `max`.
pub(crate) const fn prefix_bytes(max: u64) -> u64 {
    if max <= SHORT_PREFIX_MAX { 2 } else { 4 }
}

/// What types need to know of the schema to be measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measure<'a> {
    pub(crate) enum_bytes: &'a [u8],
    pub(crate) messages: &'a [Message],
}

impl Measure<'_> {
    /// Bytes on the wire. Messages inside must have been measured before.
    pub(crate) fn size(&self, ty: &Type) -> Size {
        match ty {
            Type::Unsigned(bytes) | Type::Signed(bytes) => Size::exactly(u64::from(*bytes)),
            Type::Bool => Size::exactly(1),
            Type::Float32 => Size::exactly(4),
            Type::Float64 => Size::exactly(8),
            Type::Fixed(bytes) => Size::exactly(*bytes),
            Type::Text(max) | Type::Blob(max) => {
                let prefix = prefix_bytes(*max);
                Size { min: prefix, max: prefix.saturating_add(*max) }
            }
            Type::Array(item, count) => {
                let item = self.size(item);
                Size { min: item.min.saturating_mul(*count), max: item.max.saturating_mul(*count) }
            }
            Type::List(item, max) => {
                let (prefix, item) = (prefix_bytes(*max), self.size(item));
                Size { min: prefix, max: prefix.saturating_add(item.max.saturating_mul(*max)) }
            }
            Type::Optional(inner) => Size { min: 1, max: self.size(inner).max.saturating_add(1) },
            Type::Enum(index) => Size::exactly(u64::from(self.enum_bytes[*index])),
            Type::Message(index) => {
                let message = &self.messages[*index];
                let prefix = if message.frozen { 0 } else { prefix_bytes(message.size.max) };
                message.size.plus(Size::exactly(prefix))
            }
        }
    }

    /// Bytes on the wire when every value has the same number of them, this year and with every later version.
    pub(crate) fn fixed(&self, ty: &Type) -> Option<u64> {
        match ty {
            Type::Array(item, count) => self.fixed(item)?.checked_mul(*count),
            Type::Message(index) => self.messages[*index].fixed,
            Type::Text(_) | Type::Blob(_) | Type::List(..) | Type::Optional(_) => None,
            _ => Some(self.size(ty).max),
        }
    }

    /// About how many bytes the value takes inside an owned struct.
    pub(crate) fn inline_bytes(&self, ty: &Type) -> u64 {
        if self.is_boxed(ty) { 8 } else { self.unboxed_bytes(ty) }
    }

    fn unboxed_bytes(&self, ty: &Type) -> u64 {
        match ty {
            Type::Unsigned(bytes) | Type::Signed(bytes) => u64::from(bytes.next_power_of_two()),
            Type::Fixed(bytes) => *bytes,
            Type::Array(item, count) => self.inline_bytes(item).saturating_mul(*count),
            Type::Text(_) | Type::Blob(_) | Type::List(..) => 24,
            Type::Optional(inner) => self.inline_bytes(inner).saturating_add(8),
            Type::Message(index) => self.messages[*index].inline_bytes,
            Type::Bool | Type::Enum(_) | Type::Float32 | Type::Float64 => 8,
        }
    }

    /// Whether an owned struct keeps it behind one allocation.
    pub(crate) fn is_boxed(&self, ty: &Type) -> bool {
        matches!(ty, Type::Fixed(_) | Type::Array(..) | Type::Message(_))
            && self.unboxed_bytes(ty) > INLINE_BYTES_MAX
    }

    /// Whether an owned value has anything on the heap; if so there is a borrowed form to send it from.
    pub(crate) fn has_heap(&self, ty: &Type) -> bool {
        self.is_boxed(ty)
            || match ty {
                Type::Text(_) | Type::Blob(_) | Type::List(..) => true,
                Type::Array(inner, _) | Type::Optional(inner) => self.has_heap(inner),
                Type::Message(index) => self.messages[*index].has_heap,
                _ => false,
            }
    }

    /// Whether its borrowed form has references in it.
    pub(crate) fn borrows(&self, ty: &Type) -> bool {
        match ty {
            Type::Text(_) | Type::Blob(_) | Type::List(..) => true,
            Type::Fixed(_) => self.is_boxed(ty),
            Type::Array(inner, _) => self.is_boxed(ty) || self.borrows(inner),
            Type::Optional(inner) => self.borrows(inner),
            Type::Message(index) => self.messages[*index].borrows,
            _ => false,
        }
    }

    /// Whether its borrowed form is `Copy`.
    pub(crate) fn parts_copy(&self, ty: &Type) -> bool {
        match ty {
            Type::Array(inner, _) => self.is_boxed(ty) || self.parts_copy(inner),
            Type::Optional(inner) => self.parts_copy(inner),
            Type::Message(index) => {
                let message = &self.messages[*index];
                if message.borrows { message.parts_copy } else { !message.has_heap }
            }
            _ => true,
        }
    }

    /// Whether a float is somewhere in it, which leaves it without `Eq`.
    pub(crate) fn has_float(&self, ty: &Type) -> bool {
        match ty {
            Type::Float32 | Type::Float64 => true,
            Type::Array(inner, _) | Type::List(inner, _) | Type::Optional(inner) => self.has_float(inner),
            Type::Message(index) => self.messages[*index].has_float,
            _ => false,
        }
    }
}

/// Every message and enum a type expression may name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Named {
    Enum(usize),
    Message(usize),
    /// It is in the file, and what is wrong with it has been told.
    Refused,
}

/// One row of the built-in names without arguments, beside the integers and `bytesN`.
const BUILT_IN: &[(&str, Type)] = &[
    ("bool", Type::Bool),
    ("boolean", Type::Bool),
    ("Bool", Type::Bool),
    ("f32", Type::Float32),
    ("float", Type::Float32),
    ("float32", Type::Float32),
    ("f64", Type::Float64),
    ("double", Type::Float64),
    ("float64", Type::Float64),
    ("Address", Type::Fixed(20)),
    ("address", Type::Fixed(20)),
    ("Hash", Type::Fixed(32)),
    ("hash", Type::Fixed(32)),
];

const TEXT_NAMES: &[&str] = &["string", "String", "str"];
const BYTES_NAMES: &[&str] = &["bytes", "Bytes"];
const ARRAY_NAMES: &[&str] = &["array", "Array"];
const LIST_NAMES: &[&str] = &["vector", "Vector", "vec", "Vec", "list", "List"];
const OPTIONAL_NAMES: &[&str] = &["optional", "Optional", "option", "Option"];

/// Offered when a name is close to one of them.
const SUGGESTED: &[&str] = &[
    "u8", "u16", "u24", "u32", "u64", "u128", "u160", "u256", "i8", "i16", "i24", "i32", "i64", "i128",
    "i256", "uint8", "uint16", "uint32", "uint64", "uint128", "uint256", "int8", "int16", "int32", "int64",
    "int128", "int256", "bool", "f32", "f64", "float", "double", "Address", "Hash", "string", "bytes",
    "bytes32", "array", "vector", "optional",
];

/// `u24`, `uint24`, `U24`, `i256`, `int256`: any multiple of 8 up to 256.
fn integer(name: &str) -> Option<Result<Type, String>> {
    let strip = |prefixes: &[&str]| {
        let bits = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix))?;
        (!bits.is_empty() && bits.chars().all(|c| c.is_ascii_digit()))
            .then(|| bits.parse::<u64>().unwrap_or(u64::MAX))
    };
    let (bits, signed) = match strip(&["uint", "u", "U"]) {
        Some(bits) => (bits, false),
        None => (strip(&["int", "i", "I"])?, true),
    };
    match u8::try_from(bits / 8) {
        Ok(bytes) if bits % 8 == 0 && (1..=32).contains(&bytes) => {
            Some(Ok(if signed { Type::Signed(bytes) } else { Type::Unsigned(bytes) }))
        }
        _ => Some(Err("expected an integer of 8 to 256 bits, a multiple of 8".to_owned())),
    }
}

/// Whether a schema's own type may not have this name.
pub(crate) fn is_built_in(name: &str) -> bool {
    let fixed =
        name.strip_prefix("bytes").is_some_and(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit()));
    let groups = [TEXT_NAMES, BYTES_NAMES, ARRAY_NAMES, LIST_NAMES, OPTIONAL_NAMES];
    fixed
        || integer(name).is_some()
        || BUILT_IN.iter().any(|(built_in, _)| *built_in == name)
        || groups.iter().any(|group| group.contains(&name))
}

/// Reads type expressions.
pub(crate) struct Parser<'a, 'p, 'f> {
    text: &'a str,
    position: usize,
    place: Place,
    /// `max:` of the field, for the outermost string, byte string or vector.
    outer_max: Option<u64>,
    names: &'a HashMap<String, Named>,
    problems: &'p mut Problems<'f>,
}

type Parsed<T> = Result<T, ()>;

impl<'a, 'p, 'f> Parser<'a, 'p, 'f> {
    /// The type that `text` names, which stands at `place`. What is wrong goes into `problems`.
    pub(crate) fn parse(
        text: &'a str,
        place: Place,
        max: Option<u64>,
        names: &'a HashMap<String, Named>,
        problems: &'p mut Problems<'f>,
    ) -> Option<Type> {
        let mut parser = Self { text, position: 0, place, outer_max: max, names, problems };
        let ty = parser.complete().ok()?;
        if parser.outer_max.is_some() {
            let what = format!("`max` says nothing about `{}`", crate::yaml::shortened(text));
            parser.problems.add(
                place,
                what,
                "expected it with a string, bytes or vector that has no maximum of its own",
            );
            return None;
        }
        Some(ty)
    }

    fn complete(&mut self) -> Parsed<Type> {
        let ty = self.ty(0, true)?;
        self.blanks();
        if self.position < self.text.len() {
            return self.fail(
                self.position,
                "unexpected text behind the type",
                "expected nothing more, `?` or `[N]`",
            );
        }
        Ok(ty)
    }

    fn ty(&mut self, depth: usize, outer: bool) -> Parsed<Type> {
        self.blanks();
        let start = self.position;
        if depth > DEPTH_MAX {
            return self.fail(
                start,
                "types are nested too deeply",
                format!("expected at most {DEPTH_MAX} inside each other"),
            );
        }
        let mut ty = if self.take("[") {
            let item = self.ty(depth + 1, false)?;
            self.expect(";", "`[T; N]`")?;
            let count = self.count("array")?;
            self.expect("]", "`[T; N]`")?;
            Type::Array(Box::new(item), count)
        } else {
            self.named(depth, outer)?
        };
        let mut suffixes = 0;
        loop {
            self.blanks();
            let at = self.position;
            suffixes += 1;
            if suffixes > DEPTH_MAX {
                return self.fail(
                    at,
                    "types are nested too deeply",
                    format!("expected at most {DEPTH_MAX} inside each other"),
                );
            }
            if self.take("?") {
                ty = self.optional(ty, at)?;
            } else if self.take("[") {
                let count = self.count("array")?;
                self.expect("]", "`T[N]`")?;
                ty = Type::Array(Box::new(ty), count);
            } else {
                return Ok(ty);
            }
        }
    }

    fn named(&mut self, depth: usize, outer: bool) -> Parsed<Type> {
        let start = self.position;
        let rest = &self.text[start..];
        let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let name = &rest[..length];
        self.position += length;
        if name.is_empty() {
            let found =
                rest.chars().next().map_or("nothing".to_owned(), |c| format!("`{}`", c.escape_debug()));
            return self.fail(
                start,
                format!("expected a type, found {found}"),
                "expected a type such as `u64`, `string(32)` or `vector<Hash, 8>`",
            );
        }
        if TEXT_NAMES.contains(&name) {
            return self.bounded(name, outer).map(Type::Text);
        }
        if BYTES_NAMES.contains(&name) {
            if self.take("[") {
                let count = self.count("byte string")?;
                self.expect("]", "`bytes[N]`")?;
                return Ok(Type::Fixed(count));
            }
            return self.bounded(name, outer).map(Type::Blob);
        }
        if ARRAY_NAMES.contains(&name) || LIST_NAMES.contains(&name) {
            let fixed = ARRAY_NAMES.contains(&name);
            let close = self.open(name, &format!("expected `{name}<T, N>`"))?;
            let item = self.ty(depth + 1, false)?;
            let max = if self.take(",") {
                self.count(if fixed { "array" } else { "vector" })?
            } else if let Some(max) = self.outer_max.take_if(|_| outer && !fixed) {
                max
            } else {
                let what = if fixed { "this array has no length" } else { "this vector has no maximum" };
                return self.fail(
                    start,
                    what,
                    format!("expected `{name}<T, N>` with the most items it can have{}", self.flow_hint()),
                );
            };
            self.expect(close, &format!("`{name}<T, N>`"))?;
            return Ok(if fixed {
                Type::Array(Box::new(item), max)
            } else {
                Type::List(Box::new(item), max)
            });
        }
        if OPTIONAL_NAMES.contains(&name) {
            let close = self.open(name, &format!("expected `{name}<T>`"))?;
            // `max:` reaches through an optional.
            let inner = self.ty(depth + 1, outer)?;
            self.expect(close, &format!("`{name}<T>`"))?;
            return self.optional(inner, start);
        }
        if let Some(result) = integer(name) {
            let slip = |help| suggest(name, SUGGESTED.iter().copied(), || help);
            return result.or_else(|help| self.fail(start, format!("unknown type `{name}`"), slip(help)));
        }
        if let Some((_, ty)) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
            return Ok(ty.clone());
        }
        if let Some(digits) = name.strip_prefix("bytes")
            && let Some(count) = parse_number(digits).filter(|&n| (1..=u64::from(u32::MAX)).contains(&n))
        {
            return Ok(Type::Fixed(count));
        }
        match self.names.get(name) {
            Some(Named::Enum(index)) => Ok(Type::Enum(*index)),
            Some(Named::Message(index)) => Ok(Type::Message(*index)),
            // Anything stands in for it: the schema is refused already.
            Some(Named::Refused) => Ok(Type::Bool),
            None => {
                let mut own: Vec<&str> = self.names.keys().map(String::as_str).collect();
                own.sort_unstable();
                let candidates = SUGGESTED.iter().copied().chain(own);
                let general = || {
                    "expected u8 … u256, i8 … i256, bool, f32, f64, Address, Hash, bytes[N], bytes(N), string(N), array<T, N>, vector<T, N>, \
                     optional<T>, or a message or enum of this file"
                        .to_owned()
                };
                let help = suggest(name, candidates, general);
                self.fail(start, format!("unknown type `{name}`"), help)
            }
        }
    }

    /// The maximum of a string or byte string: `string(64)`, `string<64>`, or `max: 64` beside it.
    fn bounded(&mut self, name: &str, outer: bool) -> Parsed<u64> {
        let start = self.position - name.len();
        for (open, close) in [("(", ")"), ("<", ">")] {
            if self.take(open) {
                let max = self.count(name)?;
                self.expect(close, &format!("`{name}(N)`"))?;
                return Ok(max);
            }
        }
        if outer && let Some(max) = self.outer_max.take() {
            return Ok(max);
        }
        let what = format!("`{name}` has no maximum");
        let fixed = if BYTES_NAMES.contains(&name) { ", or `bytes[N]` for exactly N bytes" } else { "" };
        self.fail(start, what, format!("expected `{name}(N)` with the most bytes it can have{fixed}"))
    }

    fn optional(&mut self, inner: Type, at: usize) -> Parsed<Type> {
        if matches!(inner, Type::Optional(_)) {
            return self.fail(
                at,
                "an optional of an optional",
                "expected one of them: a value is there or it is not",
            );
        }
        Ok(Type::Optional(Box::new(inner)))
    }

    fn open(&mut self, name: &str, help: &str) -> Parsed<&'static str> {
        for (open, close) in [("<", ">"), ("(", ")")] {
            if self.take(open) {
                return Ok(close);
            }
        }
        let start = self.position - name.len();
        self.fail(start, format!("`{name}` of what?"), help)
    }

    /// A count: at least 1, at most what four bytes hold.
    fn count(&mut self, of: &str) -> Parsed<u64> {
        self.blanks();
        let start = self.position;
        let rest = &self.text[start..];
        let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        self.position += length;
        let digits = &rest[..length];
        match parse_number(digits) {
            Some(count) if (1..=u64::from(u32::MAX)).contains(&count) => Ok(count),
            Some(_) => self.fail(
                start,
                format!("{digits} is out of range"),
                "expected a number from 1 to 4294967295",
            ),
            None if !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()) => self.fail(
                start,
                format!("{} is out of range", crate::yaml::shortened(digits)),
                "expected a number from 1 to 4294967295",
            ),
            None => self.fail(
                start,
                format!("the {of} needs a number here"),
                format!("expected a whole number such as `64`{}", self.flow_hint()),
            ),
        }
    }

    /// A comma inside `{ }` ends the value, as YAML has it; that is worth saying.
    fn flow_hint(&self) -> &'static str {
        if self.text.contains(['<', '(']) && !self.text.contains(['>', ')']) {
            "; inside { } write the type in quotes"
        } else {
            ""
        }
    }

    fn expect(&mut self, token: &str, whole: &str) -> Parsed<()> {
        if self.take(token) {
            return Ok(());
        }
        self.fail(
            self.position,
            format!("expected `{token}` here"),
            format!("the form is {whole}{}", self.flow_hint()),
        )
    }

    fn take(&mut self, token: &str) -> bool {
        self.blanks();
        let found = self.text[self.position..].starts_with(token);
        self.position += if found { token.len() } else { 0 };
        found
    }

    fn blanks(&mut self) {
        let rest = &self.text[self.position..];
        self.position += rest.len() - rest.trim_start_matches([' ', '\t', '\n']).len();
    }

    fn fail<T>(&mut self, at: usize, what: impl Into<String>, help: impl Into<String>) -> Parsed<T> {
        let column = self.place.column + self.text[..at].chars().count();
        self.problems.add(Place { line: self.place.line, column }, what, help);
        Err(())
    }
}
