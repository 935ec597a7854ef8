//! Owns: where each field of a message stands, and the drawing of it that goes into the documentation, bytes eight to a row.
//! A message is a run of parts: fixed ones, whose fields always have the same offsets, and varying ones between them. Never changes a schema.

use crate::schema::{Message, Schema};
use crate::types::{Type, prefix_bytes};

/// Columns of a drawn byte, its left border included.
const CELL: usize = 8;
const ROW: u64 = 8;

/// Rows of one field that are drawn before the rest is left out.
const ROWS_SHOWN: u64 = 2;

/// A run of fields.
#[derive(Debug)]
pub(crate) enum Part {
    /// Fields at fixed offsets from the beginning of the part.
    Fixed { fields: Vec<Placed>, bytes: u64 },
    /// One field whose size varies, and with it the place of what follows.
    Varying { field: usize },
}

/// A field inside a fixed part.
#[derive(Debug)]
pub(crate) struct Placed {
    /// Its index in the message.
    pub(crate) field: usize,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

/// The parts of a message, in the order of the wire.
pub(crate) fn parts(schema: &Schema, message: &Message) -> Vec<Part> {
    let measure = schema.measure();
    let mut parts: Vec<Part> = Vec::new();
    for (index, field) in message.fields.iter().enumerate() {
        match measure.fixed(&field.ty) {
            Some(size) => {
                if !matches!(parts.last(), Some(Part::Fixed { .. })) {
                    parts.push(Part::Fixed { fields: Vec::new(), bytes: 0 });
                }
                if let Some(Part::Fixed { fields, bytes }) = parts.last_mut() {
                    fields.push(Placed { field: index, offset: *bytes, bytes: size });
                    *bytes += size;
                }
            }
            None => parts.push(Part::Varying { field: index }),
        }
    }
    parts
}

/// The type as a schema writes it.
pub(crate) fn schema_type(schema: &Schema, ty: &Type) -> String {
    let inner = |ty| schema_type(schema, ty);
    match ty {
        Type::Unsigned(bytes) => format!("u{}", 8 * u32::from(*bytes)),
        Type::Signed(bytes) => format!("i{}", 8 * u32::from(*bytes)),
        Type::Bool => "bool".to_owned(),
        Type::Float32 => "f32".to_owned(),
        Type::Float64 => "f64".to_owned(),
        Type::Fixed(bytes) => format!("bytes[{bytes}]"),
        Type::Text(max) => format!("string({max})"),
        Type::Blob(max) => format!("bytes({max})"),
        Type::Array(item, count) => format!("array<{}, {count}>", inner(item)),
        Type::List(item, max) => format!("vector<{}, {max}>", inner(item)),
        Type::Optional(item) => format!("optional<{}>", inner(item)),
        Type::Enum(index) => schema.enums[*index].name.clone(),
        Type::Message(index) => schema.messages[*index].name.clone(),
    }
}

/// The drawing of a message's payload.
pub(crate) fn drawing(schema: &Schema, message: &Message) -> Vec<String> {
    let mut lines = Vec::new();
    let parts = parts(schema, message);
    let mut behind: Option<&str> = None;
    for part in &parts {
        match part {
            Part::Fixed { fields, bytes } => {
                if let Some(name) = behind {
                    lines.push(format!("behind `{name}`:"));
                }
                let named: Vec<(&str, u64, u64)> = fields
                    .iter()
                    .map(|placed| (message.fields[placed.field].name.as_str(), placed.offset, placed.bytes))
                    .collect();
                draw(&named, *bytes, &mut lines);
            }
            Part::Varying { field } => {
                let field = &message.fields[*field];
                let size = schema.measure().size(&field.ty);
                lines.push(format!(
                    "{}: {}, {} to {} bytes",
                    field.name,
                    form(schema, &field.ty),
                    size.min,
                    size.max
                ));
                behind = Some(&field.name);
            }
        }
    }
    lines
}

/// What stands on the wire for a type of varying size.
fn form(schema: &Schema, ty: &Type) -> String {
    let prefix = |max: u64| format!("u{}", 8 * prefix_bytes(max));
    match ty {
        Type::Text(max) => format!("{} length, UTF-8", prefix(*max)),
        Type::Blob(max) => format!("{} length, bytes", prefix(*max)),
        Type::List(item, max) => format!("{} count, items ({})", prefix(*max), form(schema, item)),
        Type::Array(item, count) => format!("{count} items ({})", form(schema, item)),
        Type::Optional(inner) => format!("u8 0, or u8 1 and the value ({})", form(schema, inner)),
        Type::Message(index) => {
            let message = &schema.messages[*index];
            if message.frozen {
                message.name.clone()
            } else {
                format!("{} length, {}", prefix(message.size.max), message.name)
            }
        }
        _ => schema_type(schema, ty),
    }
}

/// Draws fields that lie behind each other, eight bytes to a row.
fn draw(fields: &[(&str, u64, u64)], bytes: u64, lines: &mut Vec<String>) {
    let margin = bytes.to_string().len().max(4);
    let shown = bytes.min(ROW) as usize;
    let blank = " ".repeat(margin);
    let mut numbers = format!("{blank} ");
    for column in 0..shown {
        numbers.push_str(&format!("{column:^CELL$}"));
    }
    lines.push(numbers.trim_end().to_owned());
    lines.push(format!("{blank} +{}", "-------+".repeat(shown)));
    let mut row_start = 0;
    while row_start < bytes {
        let row_end = (row_start + ROW).min(bytes);
        let whole =
            fields.iter().find(|(_, offset, size)| *offset <= row_start && row_start + ROW <= offset + size);
        if let Some((_, offset, size)) = whole {
            // Rows that hold nothing but more of one long field say nothing new.
            let first = offset.div_ceil(ROW) * ROW;
            let last = (offset + size) / ROW * ROW;
            if (last - first) / ROW > 2 * ROWS_SHOWN && row_start == first + ROWS_SHOWN * ROW {
                lines.push(format!("{blank} |  ..."));
                row_start = last - ROW;
                continue;
            }
        }
        let mut row = format!("{row_start:>margin$} |");
        for &(name, offset, size) in fields {
            let (from, to) = (offset.max(row_start), (offset + size).min(row_end));
            if from < to {
                let width = (to - from) as usize * CELL - 1;
                row.push_str(&format!("{:<width$}|", format!(" {}", cut(name, width - 1))));
            }
        }
        lines.push(row);
        row_start = row_end;
    }
    let last = (bytes - 1) % ROW + 1;
    lines.push(format!("{blank} +{}", "-------+".repeat(last as usize)));
}

/// A name that fits into its box, or the beginning of it and a tilde.
fn cut(name: &str, width: usize) -> String {
    if name.len() <= width { name.to_owned() } else { format!("{}~", &name[..width.saturating_sub(1)]) }
}
