//! For tests only: code that makes random messages of a schema, so that what is generated can be tried with schemas nobody wrote tests for.
//!
//! Owns the text of those functions. They need a `Random` with the methods called here, and a `Probe` that is handed every message; the tests
//! that include them have both. Never part of what a build script generates.

use std::fmt::Write;

use crate::schema::{Message, Schema};
use crate::types::Type;

/// For each message of the schema a function `make_…` that makes a random one, where it borrows a function `parts_…` that borrows from it, and
/// a function `each` that hands all of them to a probe. `path` is where the generated code is.
pub(crate) fn file(schema: &Schema, path: &str) -> String {
    let emitter = Emitter { schema, path };
    let mut code = String::new();
    let mut each = String::new();
    for (index, message) in schema.messages.iter().enumerate() {
        let name = &message.type_name;
        let random = if message.fields.is_empty() { "_random" } else { "random" };
        let fields: Vec<String> = message
            .fields
            .iter()
            .map(|field| format!("{}: {}", field.rust_name, emitter.make(&field.ty)))
            .collect();
        let _ = writeln!(
            code,
            "fn make_{index}({random}: &mut Random) -> {path}::{name} {{\n    {path}::{name} {{ {} }}\n}}",
            fields.join(", ")
        );
        let mut written = "encoded(message)".to_owned();
        if message.borrows {
            let fields: Vec<String> = message
                .fields
                .iter()
                .map(|field| {
                    let value = format!("&message.{}", field.rust_name);
                    format!("{}: {}", field.rust_name, emitter.parts(&field.ty, &value))
                })
                .collect();
            let _ = writeln!(
                code,
                "fn parts_{index}(message: &{path}::{name}) -> {path}::{name}Parts<'_> {{\n    {path}::{name}Parts {{ {} }}\n}}",
                fields.join(", ")
            );
            written = format!("encoded(&parts_{index}(message))");
        }
        let looks: String = message
            .fields
            .iter()
            .map(|field| match field.ty {
                Type::List(..) | Type::Array(..) => {
                    format!(
                        "for item in view.{}().expect(\"it is whole\") {{ let _ = item; }} ",
                        field.rust_name
                    )
                }
                _ => format!("let _ = view.{}(); ", field.rust_name),
            })
            .collect();
        let view = if message.fields.is_empty() { "_view" } else { "view" };
        let _ = writeln!(
            code,
            "fn look_{index}(payload: &[u8]) {{\n    let {view} = &{path}::{name}::decode(payload).expect(\"it is whole\");\n    {looks}\n}}"
        );
        let since = message.fields.iter().any(|field| field.since > 1);
        let _ = writeln!(
            each,
            "    probe.message({since}, make_{index}, |payload| {path}::{name}::decode(payload).and_then({path}::{name}::try_from), |message| {written}, look_{index});"
        );
    }
    format!("{code}fn each(probe: &mut Probe) {{\n{each}}}\n")
}

struct Emitter<'a> {
    schema: &'a Schema,
    path: &'a str,
}

impl Emitter<'_> {
    fn is_boxed(&self, ty: &Type) -> bool {
        self.schema.measure().is_boxed(ty)
    }

    fn message(&self, index: usize) -> &Message {
        &self.schema.messages[index]
    }

    /// An expression that makes a value.
    fn make(&self, ty: &Type) -> String {
        match ty {
            Type::Unsigned(bytes) | Type::Signed(bytes) => format!("random.integer({bytes})"),
            Type::Bool => "random.yes()".to_owned(),
            Type::Float32 => "random.float() as f32".to_owned(),
            Type::Float64 => "random.float()".to_owned(),
            Type::Fixed(bytes) if self.is_boxed(ty) => {
                format!("random.boxed::<_, {bytes}>(|random| random.integer(1))")
            }
            Type::Fixed(_) => "core::array::from_fn(|_| random.integer(1))".to_owned(),
            Type::Text(max) => format!("random.text({max})"),
            Type::Blob(max) => format!("random.list({max}, |random| random.integer(1))"),
            Type::Array(item, count) if self.is_boxed(ty) => {
                format!("random.boxed::<_, {count}>(|random| {})", self.make(item))
            }
            Type::Array(item, _) => format!("core::array::from_fn(|_| {})", self.make(item)),
            Type::List(item, max) => format!("random.list({max}, |random| {})", self.make(item)),
            Type::Optional(inner) => format!("random.option(|random| {})", self.make(inner)),
            Type::Enum(index) => {
                let each = &self.schema.enums[*index];
                let values: Vec<String> = each.variants.iter().map(|v| v.value.to_string()).collect();
                format!(
                    "{}::{}::from_value(random.choice(&[{}])).expect(\"a value of the schema\")",
                    self.path,
                    each.type_name,
                    values.join(", ")
                )
            }
            Type::Message(index) if self.is_boxed(ty) => format!("Box::new(make_{index}(random))"),
            Type::Message(index) => format!("make_{index}(random)"),
        }
    }

    /// An expression for the borrowed form of what `value` refers to.
    fn parts(&self, ty: &Type, value: &str) -> String {
        let boxed = self.is_boxed(ty);
        match ty {
            Type::Text(_) => format!("({value}).as_str()"),
            Type::Blob(_) => format!("({value}).as_slice()"),
            Type::Fixed(_) if boxed => format!("&**({value})"),
            Type::Array(item, count) => {
                let (open, close) = if boxed { ("leaked_array(", ")") } else { ("*", "") };
                format!(
                    "{open}array::<_, {count}>(({value}).iter().map(|item| {})){close}",
                    self.parts(item, "item")
                )
            }
            Type::List(item, _) => {
                format!(
                    "leaked(({value}).iter().map(|item| {}).collect::<Vec<_>>())",
                    self.parts(item, "item")
                )
            }
            Type::Optional(inner) => format!("({value}).as_ref().map(|item| {})", self.parts(inner, "item")),
            Type::Message(index) if self.message(*index).borrows => format!("parts_{index}({value})"),
            Type::Message(_) if boxed => format!("(**({value})).clone()"),
            Type::Message(_) => format!("({value}).clone()"),
            _ => format!("*({value})"),
        }
    }
}
