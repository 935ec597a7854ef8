//! Owns: what a message becomes in Rust: a plain struct, a view that borrows, and for messages with text or lists a struct of borrowed parts.
//! The generated code is a list of calls into `bolt_tlv::wire`, one a field; there is no unsafe code in it and nothing that can panic.

use crate::classes::Classes;
use crate::code::{Code, escaped};
use crate::layout::{self, Part};
use crate::schema::{Field, Message, Schema};
use crate::types::{Type, prefix_bytes};

/// The functions of `bolt_tlv::wire::Wire`, each as name, parameters and result.
pub(crate) type Signature = (&'static str, &'static [&'static str], &'static str);

const READER: &str = "reader: &mut bolt_tlv::Reader<'_>";
const FIELD: &str = "field: &'static str";
const WRITER: &str = "out: &mut bolt_tlv::Writer<'_>";
const WRITTEN: &str = " -> Result<(), bolt_tlv::EncodeError>";

pub(crate) const SKIP: Signature = ("skip", &[READER, FIELD], " -> Result<(), bolt_tlv::DecodeError>");
pub(crate) const READ: Signature = (
    "read<'a>",
    &["reader: &mut bolt_tlv::Reader<'a>", FIELD],
    " -> Result<Self::View<'a>, bolt_tlv::DecodeError>",
);
pub(crate) const OWN: Signature =
    ("own", &["view: Self::View<'_>"], " -> Result<Self, bolt_tlv::DecodeError>");
/// The same for an enum, which may have a value called `View`: `Self::View` would be two things.
pub(crate) const READ_PLAIN: Signature =
    ("read<'a>", &["reader: &mut bolt_tlv::Reader<'a>", FIELD], " -> Result<Self, bolt_tlv::DecodeError>");
pub(crate) const OWN_PLAIN: Signature = ("own", &["view: Self"], " -> Result<Self, bolt_tlv::DecodeError>");
pub(crate) const WRITE_PARTS_PLAIN: Signature = ("write_parts", &["value: &Self", WRITER, FIELD], WRITTEN);
pub(crate) const SIZE: Signature = ("size", &["value: &Self"], " -> usize");
pub(crate) const SIZE_PLAIN: Signature = ("size", &["_: &Self"], " -> usize");
pub(crate) const WRITE: Signature = ("write", &["value: &Self", WRITER, FIELD], WRITTEN);
pub(crate) const SIZE_PARTS: Signature = ("size_parts", &["value: &Self::Parts<'_>"], " -> usize");
pub(crate) const SIZE_PARTS_PLAIN: Signature = ("size_parts", &["_: &Self"], " -> usize");
pub(crate) const WRITE_PARTS: Signature =
    ("write_parts", &["value: &Self::Parts<'_>", WRITER, FIELD], WRITTEN);

/// Opens one of them inside an `impl`.
pub(crate) fn wire_function(code: &mut Code, (name, parameters, result): Signature) {
    code.blank();
    code.function(&format!("fn {name}"), parameters, result);
}

/// The Rust integer that holds so many bytes.
fn integer(bytes: u8, signed: bool) -> String {
    let letter = if signed { "i" } else { "u" };
    match bytes.next_power_of_two() {
        32 => format!("bolt_tlv::{}256", letter.to_uppercase()),
        wide => format!("{letter}{}", 8 * u32::from(wide)),
    }
}

/// The forms a type takes in generated code.
#[derive(Clone, Copy)]
struct Forms<'a> {
    schema: &'a Schema,
}

impl Forms<'_> {
    fn boxed(&self, ty: &Type, inner: String) -> String {
        if self.schema.measure().is_boxed(ty) { format!("Box<{inner}>") } else { inner }
    }

    /// What the plain struct holds.
    fn owned(&self, ty: &Type) -> String {
        match ty {
            Type::Unsigned(bytes) => integer(*bytes, false),
            Type::Signed(bytes) => integer(*bytes, true),
            Type::Bool => "bool".to_owned(),
            Type::Float32 => "f32".to_owned(),
            Type::Float64 => "f64".to_owned(),
            Type::Fixed(bytes) => self.boxed(ty, format!("[u8; {bytes}]")),
            Type::Text(_) => "String".to_owned(),
            Type::Blob(_) => "Vec<u8>".to_owned(),
            Type::Array(item, count) => self.boxed(ty, format!("[{}; {count}]", self.owned(item))),
            Type::List(item, _) => format!("Vec<{}>", self.owned(item)),
            Type::Optional(inner) => format!("Option<{}>", self.owned(inner)),
            Type::Enum(index) => self.schema.enums[*index].type_name.clone(),
            Type::Message(index) => self.boxed(ty, self.schema.messages[*index].type_name.clone()),
        }
    }

    /// What the struct of borrowed parts holds.
    fn parts(&self, ty: &Type) -> String {
        let reference = if self.schema.measure().is_boxed(ty) { "&'a " } else { "" };
        match ty {
            Type::Fixed(bytes) => format!("{reference}[u8; {bytes}]"),
            Type::Text(_) => "&'a str".to_owned(),
            Type::Blob(_) => "&'a [u8]".to_owned(),
            Type::Array(item, count) => format!("{reference}[{}; {count}]", self.parts(item)),
            Type::List(item, _) => format!("&'a [{}]", self.parts(item)),
            Type::Optional(inner) => format!("Option<{}>", self.parts(inner)),
            Type::Message(index) => parts_name(&self.schema.messages[*index], "'a"),
            _ => self.owned(ty),
        }
    }

    /// What the view gives.
    fn view(&self, ty: &Type) -> String {
        match ty {
            Type::Fixed(bytes) => format!("&'a [u8; {bytes}]"),
            Type::Text(_) => "&'a str".to_owned(),
            Type::Blob(_) => "&'a [u8]".to_owned(),
            Type::Array(item, _) | Type::List(item, _) => format!("wire::List<'a, {}>", self.marker(item)),
            Type::Optional(inner) => format!("Option<{}>", self.view(inner)),
            Type::Message(index) => format!("{}View<'a>", self.schema.messages[*index].type_name),
            _ => self.owned(ty),
        }
    }

    /// The type whose `Wire` says how it travels.
    fn marker(&self, ty: &Type) -> String {
        let boxed = self.schema.measure().is_boxed(ty);
        let narrow = |bytes: u8, signed| match integer(bytes, signed) {
            wide if bytes.is_power_of_two() => wide,
            wide => format!("wire::Narrow<{wide}, {bytes}>"),
        };
        match ty {
            Type::Unsigned(bytes) => narrow(*bytes, false),
            Type::Signed(bytes) => narrow(*bytes, true),
            Type::Fixed(bytes) => format!("wire::{}<{bytes}>", if boxed { "BoxBytes" } else { "Bytes" }),
            Type::Text(max) => format!("wire::Str<{max}>"),
            Type::Blob(max) => format!("wire::Blob<{max}>"),
            Type::Array(item, count) => {
                format!("wire::{}<{}, {count}>", if boxed { "BoxArray" } else { "Array" }, self.marker(item))
            }
            Type::List(item, max) => format!("wire::Seq<{}, {max}>", self.marker(item)),
            Type::Optional(inner) => format!("wire::Opt<{}>", self.marker(inner)),
            Type::Message(index) if boxed => {
                format!("wire::Boxed<{}>", self.schema.messages[*index].type_name)
            }
            Type::Message(index) => self.schema.messages[*index].type_name.clone(),
            _ => self.owned(ty),
        }
    }

    /// The same at the head of a path: `wire::Str::<64>`.
    fn path(&self, ty: &Type) -> String {
        let marker = self.marker(ty);
        match marker.find('<') {
            Some(at) => format!("{}::{}", &marker[..at], &marker[at..]),
            None => marker,
        }
    }
}

/// Whether any bytes of this type are a value, so that reading it cannot fail once they are there.
fn is_always_right(ty: &Type) -> bool {
    matches!(ty, Type::Unsigned(_) | Type::Signed(_) | Type::Float32 | Type::Float64 | Type::Fixed(_))
}

/// The type that a message is written from without owning it; the plain struct where that borrows nothing anyway.
fn parts_name(message: &Message, lifetime: &str) -> String {
    if message.borrows {
        format!("{}Parts<{lifetime}>", message.type_name)
    } else {
        message.type_name.clone()
    }
}

pub(crate) fn message(code: &mut Code, schema: &Schema, classes: &Classes, message: &Message) {
    let class = classes.class_of(message.size.max).map_or(message.size.max, |class| class.bytes);
    let emitter =
        Emitter { schema, forms: Forms { schema }, message, parts: layout::parts(schema, message), class };
    emitter.owned(code);
    if message.borrows {
        emitter.borrowed(code);
    }
    emitter.view(code);
    if message.nested {
        emitter.wire(code);
    }
}

struct Emitter<'a> {
    schema: &'a Schema,
    forms: Forms<'a>,
    message: &'a Message,
    parts: Vec<Part>,
    class: u64,
}

impl Emitter<'_> {
    fn doc(&self, code: &mut Code, otherwise: &str) {
        if self.message.doc.is_empty() {
            code.doc(otherwise);
        } else {
            code.doc(&escaped(&self.message.doc));
        }
    }

    fn field_doc(&self, code: &mut Code, field: &Field) {
        let ty = layout::schema_type(self.schema, &field.ty);
        let since = if field.since > 1 { format!(", since version {}", field.since) } else { String::new() };
        let doc = if field.doc.is_empty() { String::new() } else { format!(": {}", escaped(&field.doc)) };
        let stop = if doc.ends_with(['.', '!', '?']) { "" } else { "." };
        code.doc(&format!("`{ty}`{since}{doc}{stop}"));
    }

    fn owned(&self, code: &mut Code) {
        let message = self.message;
        let name = &message.type_name;
        code.blank();
        self.doc(code, &format!("The message `{}`.", message.name));
        code.doc_blank();
        let size = match (message.size.min, message.size.max) {
            (min, max) if min == max => format!("{max} bytes"),
            (min, max) => format!("{min} to {max} bytes"),
        };
        let nested = if message.frozen { " Frozen: nested, it has no length in front." } else { "" };
        code.doc(&format!(
            "Id {}, version {}; {size}, in buffers of {}.{nested}",
            message.id, message.version, self.class
        ));
        let drawing = layout::drawing(self.schema, message);
        if !drawing.is_empty() {
            code.doc_blank();
            code.line("/// ```text");
            for line in drawing {
                code.line(format!("/// {line}").trim_end());
            }
            code.line("/// ```");
        }
        let copy = if message.has_heap { "" } else { "Copy, " };
        let eq = if message.has_float { "" } else { ", Eq, Hash" };
        code.line(&format!("#[derive(Clone, {copy}Debug, PartialEq{eq})]"));
        self.members(code, &format!("pub struct {name}"), |field| self.forms.owned(&field.ty));
        code.blank();
        code.open(&format!("impl {name} {{"));
        code.doc("Its name in the schema.");
        code.pair("pub const NAME: &'static str =", &format!("\"{}\";", message.name));
        code.doc("The id in its header.");
        code.line(&format!("pub const TYPE_ID: u16 = {};", message.id));
        code.doc("The version in its header, raised with each field that is added.");
        code.line(&format!("pub const VERSION: u8 = {};", message.version));
        code.doc("Bytes of its longest payload.");
        code.line(&format!("pub const MAX_SIZE: usize = {};", message.size.max));
        code.doc("Bytes of the buffers it travels in.");
        code.line(&format!("pub const BUFFER_CLASS: usize = {};", self.class));
        code.blank();
        code.doc("Puts the view over a payload.");
        code.doc_blank();
        code.doc("# Errors");
        code.doc("The payload is cut short, or a length in it is above its maximum.");
        code.function(
            "pub fn decode",
            &["payload: &[u8]"],
            &format!(" -> Result<{name}View<'_>, bolt_tlv::DecodeError>"),
        );
        code.line("bolt_tlv::View::decode(payload)");
        code.close("}");
        code.close("}");
        self.message_impl(code, name, "size", "write");
        self.conversion(code);
    }

    fn members(&self, code: &mut Code, head: &str, ty: impl Fn(&Field) -> String) {
        if self.message.fields.is_empty() {
            code.line(&format!("{head} {{}}"));
            return;
        }
        // What clippy calls very complex is what the schema asked for.
        if self.message.fields.iter().any(|field| ty(field).matches(['<', '[']).count() > 3) {
            code.line("#[allow(clippy::type_complexity)]");
        }
        code.open(&format!("{head} {{"));
        for field in &self.message.fields {
            self.field_doc(code, field);
            code.typed(&format!("pub {}:", field.rust_name), &ty(field), ",");
        }
        code.close("}");
    }

    /// `bolt_tlv::Message` for the plain struct or for its parts.
    fn message_impl(&self, code: &mut Code, target: &str, size: &str, write: &str) {
        let name = &self.message.type_name;
        code.blank();
        code.implement(" bolt_tlv::Message", target);
        for (constant, ty) in [
            ("NAME", "&'static str"),
            ("TYPE_ID", "u16"),
            ("VERSION", "u8"),
            ("MAX_SIZE", "usize"),
            ("BUFFER_CLASS", "usize"),
        ] {
            code.pair(&format!("const {constant}: {ty} ="), &format!("{name}::{constant};"));
        }
        code.blank();
        code.open("fn encoded_len(&self) -> usize {");
        let mut fixed = 0;
        let mut varying = Vec::new();
        for part in &self.parts {
            match part {
                Part::Fixed { bytes, .. } => fixed += bytes,
                Part::Varying { field } => varying.push(&self.message.fields[*field]),
            }
        }
        if varying.is_empty() {
            code.line(&fixed.to_string());
        } else {
            code.line(&format!("let mut bytes = core::num::Saturating({fixed}_usize);"));
            for field in varying {
                let value = format!("&self.{}", field.rust_name);
                code.call(&format!("bytes += {}::{size}", self.forms.path(&field.ty)), &[&value], ";");
            }
            code.line("// What is longer than the schema allows is refused when it is written.");
            code.line("bytes.0.min(<Self as bolt_tlv::Message>::MAX_SIZE)");
        }
        code.close("}");
        code.blank();
        let out = if self.message.fields.is_empty() { "_out" } else { "out" };
        code.function("fn encode_into", &["&self", &format!("{out}: &mut bolt_tlv::Writer<'_>")], WRITTEN);
        for field in &self.message.fields {
            let value = format!("&self.{}", field.rust_name);
            let quoted = format!("\"{}\"", field.name);
            code.call(&format!("{}::{write}", self.forms.path(&field.ty)), &[&value, "out", &quoted], "?;");
        }
        code.line("Ok(())");
        code.close("}");
        code.close("}");
    }

    fn conversion(&self, code: &mut Code) {
        let name = &self.message.type_name;
        code.blank();
        code.implement(&format!(" TryFrom<{name}View<'_>>"), name);
        code.line("type Error = bolt_tlv::DecodeError;");
        code.blank();
        let view = if self.message.fields.is_empty() { "_view" } else { "view" };
        code.function("fn try_from", &[&format!("{view}: {name}View<'_>")], " -> Result<Self, Self::Error>");
        if self.message.fields.is_empty() {
            code.line("Ok(Self {})");
        } else {
            if self
                .message
                .fields
                .iter()
                .any(|field| ["into", "try_into"].contains(&field.rust_name.as_str()))
            {
                // By value, a method of this name would be the conversion that every type has.
                code.line("let view = &view;");
            }
            self.converted_fields(code);
        }
        code.close("}");
        code.close("}");
    }

    fn converted_fields(&self, code: &mut Code) {
        let boxed = |ty: &Type| self.schema.measure().is_boxed(ty);
        // What an accessor gives as it is; the object before it and what stands behind it.
        let plain = |ty: &Type| match ty {
            Type::Fixed(_) if !boxed(ty) => Some(("*view", "")),
            _ if is_always_right(ty) && !boxed(ty) => Some(("view", "")),
            Type::Bool | Type::Enum(_) => Some(("view", "?")),
            _ => None,
        };
        if let [field] = self.message.fields.as_slice()
            && let Some((object, question)) = plain(&field.ty)
            && code.short_literal("Ok(Self", &format!("{0}: {object}.{0}(){question}", field.rust_name), ")")
        {
            return;
        }
        code.open("Ok(Self {");
        for field in &self.message.fields {
            let method = format!(".{}()", field.rust_name);
            let (member, ty) = (&field.rust_name, &field.ty);
            if let Some((object, question)) = plain(ty) {
                code.given(member, object, &method, &format!("{question},"));
            } else {
                let question = if is_always_right(ty) { "" } else { "?" };
                let argument = format!("view{method}{question}");
                code.call(&format!("{member}: {}::own", self.forms.path(ty)), &[&argument], "?,");
            }
        }
        code.close("})");
    }

    fn borrowed(&self, code: &mut Code) {
        let message = self.message;
        let name = &message.type_name;
        code.blank();
        code.doc(&format!("[`{name}`] from borrowed parts, to send it without allocating."));
        let copy = if message.parts_copy { "Copy, " } else { "" };
        let eq = if message.has_float { "" } else { ", Eq, Hash" };
        code.line(&format!("#[derive(Clone, {copy}Debug, PartialEq{eq})]"));
        self.members(code, &format!("pub struct {name}Parts<'a>"), |field| self.forms.parts(&field.ty));
        self.message_impl(code, &format!("{name}Parts<'_>"), "size_parts", "write_parts");
    }

    /// Whether some accessor goes back to the payload.
    fn reads_later(&self) -> bool {
        self.parts.iter().any(|part| match part {
            Part::Varying { .. } => true,
            Part::Fixed { fields, .. } => self.part_reads_later(fields),
        })
    }

    fn part_reads_later(&self, fields: &[layout::Placed]) -> bool {
        fields.iter().any(|placed| !is_always_right(&self.message.fields[placed.field].ty))
    }

    fn part_has_fixed(&self, fields: &[layout::Placed]) -> bool {
        fields.iter().any(|placed| is_always_right(&self.message.fields[placed.field].ty))
    }

    fn view(&self, code: &mut Code) {
        let message = self.message;
        let name = &message.type_name;
        code.blank();
        code.doc(&format!("[`{name}`] in its payload: each field is decoded when it is asked for."));
        code.line("#[derive(Clone, Copy, Debug)]");
        code.open(&format!("pub struct {name}View<'a> {{"));
        let mut members: Vec<String> = Vec::new();
        if message.fields.is_empty() {
            code.line("_payload: core::marker::PhantomData<&'a [u8]>,");
        }
        if self.reads_later() {
            code.line("payload: &'a [u8],");
            members.push("payload: reader.payload()".to_owned());
        }
        for (number, part) in self.parts.iter().enumerate() {
            match part {
                Part::Fixed { fields, bytes } => {
                    if self.part_reads_later(fields) {
                        code.line(&format!("at_{number}: usize,"));
                        members.push(format!("at_{number}"));
                    }
                    if self.part_has_fixed(fields) {
                        code.line(&format!("fixed_{number}: &'a [u8; {bytes}],"));
                        members.push(format!("fixed_{number}"));
                    }
                }
                Part::Varying { .. } => {
                    code.line(&format!("at_{number}: usize,"));
                    members.push(format!("at_{number}"));
                }
            }
        }
        code.close("}");
        code.blank();
        code.implement("<'a> bolt_tlv::View<'a>", &format!("{name}View<'a>"));
        code.line(&format!("type Message = {name};"));
        code.blank();
        code.function("fn decode", &["payload: &'a [u8]"], " -> Result<Self, bolt_tlv::DecodeError>");
        code.call("let mut reader = bolt_tlv::Reader::new", &[&format!("{name}::NAME"), "payload"], ";");
        code.line("wire::Decode::decode_from(&mut reader)");
        code.close("}");
        code.close("}");
        code.blank();
        code.implement("<'a> wire::Decode<'a>", &format!("{name}View<'a>"));
        let reader = if message.fields.is_empty() { "_reader" } else { "reader" };
        code.function(
            "fn decode_from",
            &[&format!("{reader}: &mut bolt_tlv::Reader<'a>")],
            " -> Result<Self, bolt_tlv::DecodeError>",
        );
        for (number, part) in self.parts.iter().enumerate() {
            self.decode_part(code, number, part);
        }
        if message.fields.is_empty() {
            code.literal("Ok(Self", &["_payload: core::marker::PhantomData".to_owned()], ")");
        } else {
            code.literal("Ok(Self", &members, ")");
        }
        code.close("}");
        code.close("}");
        if !message.fields.is_empty() {
            code.blank();
            // A field may be called `new`, `len`, `from_block` or `next`; its accessor promises nothing for that.
            code.line("#[allow(clippy::style, clippy::complexity)]");
            code.open(&format!("impl<'a> {name}View<'a> {{"));
            let mut first = true;
            for (number, part) in self.parts.iter().enumerate() {
                let fields: Vec<usize> = match part {
                    Part::Fixed { fields, .. } => fields.iter().map(|placed| placed.field).collect(),
                    Part::Varying { field } => vec![*field],
                };
                for index in fields {
                    if !first {
                        code.blank();
                    }
                    first = false;
                    self.accessor(code, number, part, index);
                }
            }
            code.close("}");
        }
    }

    fn decode_part(&self, code: &mut Code, number: usize, part: &Part) {
        match part {
            Part::Fixed { fields, bytes } => {
                if self.part_reads_later(fields) {
                    code.line(&format!("let at_{number} = reader.position();"));
                }
                let table: Vec<String> = fields
                    .iter()
                    .map(|placed| {
                        format!("(\"{}\", {})", self.message.fields[placed.field].name, placed.bytes)
                    })
                    .collect();
                let table: Vec<&str> = table.iter().map(String::as_str).collect();
                code.array(&format!("const FIELDS_{number}: &[(&str, usize)] = &"), &table, ";");
                if self.part_has_fixed(fields) {
                    code.line(&format!("let fixed_{number} = wire::fixed(reader, FIELDS_{number})?;"));
                } else {
                    code.line(&format!("wire::fixed::<{bytes}>(reader, FIELDS_{number})?;"));
                }
            }
            Part::Varying { field } => {
                let field = &self.message.fields[*field];
                let quoted = format!("\"{}\"", field.name);
                code.line(&format!("let at_{number} = reader.position();"));
                if field.since > 1 {
                    code.line("// An older sender does not send it.");
                    code.open("if !reader.is_at_end() {");
                }
                code.call(&format!("{}::skip", self.forms.path(&field.ty)), &["reader", &quoted], "?;");
                if field.since > 1 {
                    code.close("}");
                }
            }
        }
    }

    fn accessor(&self, code: &mut Code, number: usize, part: &Part, index: usize) {
        let field = &self.message.fields[index];
        let view = self.forms.view(&field.ty);
        self.field_doc(code, field);
        let place = match part {
            Part::Fixed { fields, .. } => fields.iter().find(|placed| placed.field == index),
            Part::Varying { .. } => None,
        };
        if let (Some(place), true) = (place, is_always_right(&field.ty)) {
            code.line("#[must_use]");
            code.function(&format!("pub fn {}", field.rust_name), &["&self"], &format!(" -> {view}"));
            let bytes = format!("wire::part::<{}, {}, _>(self.fixed_{number})", place.offset, place.bytes);
            match &field.ty {
                Type::Fixed(_) => code.line(&bytes),
                Type::Unsigned(width) | Type::Signed(width) if !width.is_power_of_two() => {
                    code.call(&format!("{}::from_le_bytes", self.forms.path(&field.ty)), &[&bytes], "");
                }
                _ => code.call(&format!("{view}::from_le_bytes"), &[&format!("*{bytes}")], ""),
            }
            code.close("}");
            return;
        }
        code.doc_blank();
        code.doc("# Errors");
        code.doc("The bytes are no such value.");
        code.function(
            &format!("pub fn {}", field.rust_name),
            &["&self"],
            &format!(" -> Result<{view}, bolt_tlv::DecodeError>"),
        );
        let at = match place {
            Some(place) if place.offset > 0 => format!("self.at_{number} + {}", place.offset),
            _ => format!("self.at_{number}"),
        };
        let name = format!("{}::NAME", self.message.type_name);
        code.call("let mut reader = bolt_tlv::Reader::at", &[&name, "self.payload", &at], ";");
        if field.since > 1 {
            code.open("if reader.is_at_end() {");
            code.line("return Ok(None);");
            code.close("}");
        }
        let quoted = format!("\"{}\"", field.name);
        code.call(&format!("{}::read", self.forms.path(&field.ty)), &["&mut reader", &quoted], "");
        code.close("}");
    }

    /// How the message travels inside another.
    fn wire(&self, code: &mut Code) {
        let message = self.message;
        let name = &message.type_name;
        let prefix = if message.frozen { 0 } else { prefix_bytes(message.size.max) };
        code.blank();
        code.open(&format!("impl wire::Wire for {name} {{"));
        code.line(&format!("type View<'a> = {name}View<'a>;"));
        code.line("type Owned = Self;");
        code.line(&format!("type Parts<'a> = {};", parts_name(message, "'a")));
        code.line(&format!("const MAX_BYTES: usize = {};", message.size.max + prefix));
        match message.fixed {
            Some(bytes) => code.line(&format!("const FIXED_BYTES: Option<usize> = Some({bytes});")),
            None => code.line("const FIXED_BYTES: Option<usize> = None;"),
        }
        wire_function(code, SKIP);
        match message.fixed {
            Some(bytes) => code.line(&format!("reader.skip({bytes}, field)")),
            None if message.frozen => {
                code.line("wire::read_frozen::<Self::View<'_>>(reader, Self::NAME, field)?;");
                code.line("Ok(())");
            }
            None => code.line("wire::skip_nested(reader, Self::MAX_SIZE, field)"),
        }
        code.close("}");
        wire_function(code, READ);
        if message.frozen {
            code.line("wire::read_frozen(reader, Self::NAME, field)");
        } else {
            code.line("wire::read_nested(reader, Self::MAX_SIZE, Self::NAME, field)");
        }
        code.close("}");
        wire_function(code, OWN);
        code.line("Self::try_from(view)");
        code.close("}");
        for (size, write) in [(SIZE, WRITE), (SIZE_PARTS, WRITE_PARTS)] {
            wire_function(code, size);
            if message.frozen {
                code.line("bolt_tlv::Message::encoded_len(value)");
            } else {
                code.line(&format!("{prefix} + bolt_tlv::Message::encoded_len(value)"));
            }
            code.close("}");
            let (head, mut parameters, result) = write;
            let unnamed: Vec<&str> =
                parameters.iter().map(|&each| if each == FIELD { "_: &'static str" } else { each }).collect();
            if message.frozen {
                parameters = &unnamed;
            }
            code.blank();
            code.function(&format!("fn {head}"), parameters, result);
            if !message.frozen {
                code.line("let length = bolt_tlv::Message::encoded_len(value);");
                code.line("wire::write_nested_length(length, Self::MAX_SIZE, out, field)?;");
            }
            code.line("bolt_tlv::Message::encode_into(value, out)");
            code.close("}");
        }
        code.close("}");
    }
}
