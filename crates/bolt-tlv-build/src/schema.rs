//! Owns: the schema as `contracts.yaml` means it: enums and messages with ids, sizes and resolved types.
//! Past this module there is nothing left to check: names are good and unique, nothing is recursive, every size is known and within
//! the limit. Limits: `MESSAGES_MAX` messages, `FIELDS_MAX` fields each, `NESTING_MAX` messages inside each other.

use std::collections::{HashMap, HashSet};

use crate::diagnostics::{Error, Place, Problems, suggest};
use crate::names;
use crate::types::{self, Measure, Named, Size, Type};
use crate::yaml::{self, Key, Node, Value};

const MESSAGES_MAX: usize = 4096;
const FIELDS_MAX: usize = 512;
const VARIANTS_MAX: usize = 4096;
const NESTING_MAX: usize = 16;

/// Ids below this are for ids written by hand; names are hashed to the ones from here on, so that the two seldom meet.
const ASSIGNED_IDS_FROM: u32 = 0x100;

#[derive(Clone, Debug)]
pub(crate) struct Schema {
    pub(crate) enums: Vec<Enumeration>,
    /// In the order of the file.
    pub(crate) messages: Vec<Message>,
    /// Indices of `messages` such that what is nested stands before what contains it.
    pub(crate) inside_out: Vec<usize>,
    enum_bytes: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct Enumeration {
    pub(crate) name: String,
    pub(crate) type_name: String,
    pub(crate) doc: String,
    /// Bytes of its number.
    pub(crate) bytes: u8,
    pub(crate) variants: Vec<Variant>,
    place: Place,
}

#[derive(Clone, Debug)]
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) type_name: String,
    pub(crate) value: u64,
    pub(crate) doc: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) name: String,
    pub(crate) type_name: String,
    pub(crate) doc: String,
    pub(crate) id: u16,
    pub(crate) version: u8,
    /// Never changes, and is therefore inlined where it is nested.
    pub(crate) frozen: bool,
    pub(crate) fields: Vec<Field>,
    pub(crate) size: Size,
    /// Its bytes where it is nested, when they are always the same number: it is frozen and so is all in it.
    pub(crate) fixed: Option<u64>,
    pub(crate) inline_bytes: u64,
    pub(crate) has_heap: bool,
    pub(crate) has_float: bool,
    /// Whether it can be written from parts that borrow.
    pub(crate) borrows: bool,
    /// Whether these parts are `Copy`.
    pub(crate) parts_copy: bool,
    /// Whether another message contains it.
    pub(crate) nested: bool,
    place: Place,
    id_place: Option<Place>,
}

#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) rust_name: String,
    pub(crate) doc: String,
    pub(crate) ty: Type,
    /// The version of the message that brought it.
    pub(crate) since: u8,
    place: Place,
}

impl Schema {
    pub(crate) fn measure(&self) -> Measure<'_> {
        Measure { enum_bytes: &self.enum_bytes, messages: &self.messages }
    }

    /// Reads a schema. `file` is how messages name it; a message of more than `size_max` bytes is refused.
    pub(crate) fn parse(file: &str, text: &str, size_max: u64) -> Result<Self, Error> {
        let mut problems = Problems::new(file, text);
        let root = yaml::parse(text, &mut problems);
        if !problems.is_empty() {
            return Err(problems.finish());
        }
        let start = Place { line: 1, column: 1 };
        let Some(root) = root.filter(|root| !root.is_null()) else {
            problems.add(start, "the file is empty", "expected `messages:` and its list");
            return Err(problems.finish());
        };
        let mut reader = Reader { problems: &mut problems, refused: Vec::new() };
        let schema = reader.schema(&root);
        let schema = schema.and_then(|schema| reader.complete(schema, size_max));
        match schema {
            Some(schema) if problems.is_empty() => Ok(schema),
            _ => Err(problems.finish()),
        }
    }
}

/// A message whose types are still text.
struct Draft<'n> {
    message: Message,
    types: Vec<DraftType<'n>>,
}

struct DraftType<'n> {
    text: &'n str,
    place: Place,
    max: Option<u64>,
    optional: bool,
}

struct Reader<'p, 'f> {
    problems: &'p mut Problems<'f>,
    /// Names of enums and messages that have a problem of their own. A field that names one has none.
    refused: Vec<String>,
}

/// A mapping whose keys are taken out one by one.
struct Entries<'n> {
    place: Place,
    entries: &'n [(Key, Node)],
}

impl<'n> Entries<'n> {
    fn get(&self, names: &[&str]) -> Option<(&'n Key, &'n Node)> {
        self.entries.iter().find(|(key, _)| names.contains(&key.text.as_str())).map(|(key, node)| (key, node))
    }
}

const TOP_KEYS: &[&str] = &["messages", "enums"];
const MESSAGE_KEYS: &[&str] = &["name", "fields", "id", "version", "frozen", "doc", "description"];
const FIELD_KEYS: &[&str] =
    &["name", "type", "max", "max_length", "max_items", "optional", "since", "doc", "description"];
const ENUM_KEYS: &[&str] = &["name", "values", "variants", "repr", "doc", "description"];
const VARIANT_KEYS: &[&str] = &["name", "value", "doc", "description"];

impl Reader<'_, '_> {
    fn schema(&mut self, root: &Node) -> Option<Schema> {
        let top = self.entries(root, "the file", TOP_KEYS)?;
        let Some((messages_key, messages_node)) = top.get(&["messages"]) else {
            self.problems.add(root.place, "the file has no `messages`", "expected `messages:` and its list");
            return None;
        };
        let enums = match top.get(&["enums"]) {
            Some((_, node)) => {
                let nodes = self.list(node, "`enums`", MESSAGES_MAX)?;
                nodes.iter().filter_map(|node| self.enumeration(node)).collect()
            }
            None => Vec::new(),
        };
        let nodes = self.list(messages_node, "`messages`", MESSAGES_MAX)?;
        if nodes.is_empty() {
            self.problems.add(messages_key.place, "there is no message", "expected at least one `- name: …`");
        }
        let drafts: Vec<Draft<'_>> = nodes.iter().filter_map(|node| self.message(node)).collect();
        let names = self.names(&enums, &drafts);
        let mut messages = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let mut message = draft.message;
            for (field, ty) in message.fields.iter_mut().zip(draft.types) {
                let parsed = types::Parser::parse(ty.text, ty.place, ty.max, &names, self.problems);
                field.ty = match parsed {
                    Some(Type::Optional(inner)) => Type::Optional(inner),
                    Some(inner) if ty.optional => Type::Optional(Box::new(inner)),
                    Some(inner) => inner,
                    // The problem is noted; anything stands in for the type until the whole is refused.
                    None => Type::Bool,
                };
            }
            messages.push(message);
        }
        let enum_bytes = enums.iter().map(|each: &Enumeration| each.bytes).collect();
        Some(Schema { enums, messages, inside_out: Vec::new(), enum_bytes })
    }

    fn enumeration(&mut self, node: &Node) -> Option<Enumeration> {
        let entries = self.entries(node, "an enum", ENUM_KEYS)?;
        let (name, place) = self.type_name(&entries, "enum")?;
        self.refused.push(name.to_owned());
        let repr = match entries.get(&["repr"]) {
            None => None,
            Some((_, node)) => match node.text() {
                Some("u8" | "uint8") => Some(1),
                Some("u16" | "uint16") => Some(2),
                Some("u32" | "uint32") => Some(4),
                _ => {
                    let what = format!("{} cannot be the numbers of an enum", node.describe());
                    self.problems.add(node.place, what, "expected `repr: u8`, `u16` or `u32`");
                    None
                }
            },
        };
        let Some((key, values)) = entries.get(&["values", "variants"]) else {
            self.problems.add(
                entries.place,
                format!("the enum `{name}` has no values"),
                "expected `values:` and a list of names",
            );
            return None;
        };
        let mut variants: Vec<(Variant, Place)> = Vec::new();
        match &values.value {
            Value::Mapping(named) => {
                for (key, node) in named.iter().take(VARIANTS_MAX + 1) {
                    let Some(value) = node.number() else {
                        let what = format!("expected a number, found {}", node.describe());
                        let help = format!(
                            "expected a whole number from 0 to {}: `{}: 0`",
                            u32::MAX,
                            yaml::shortened(&key.text)
                        );
                        self.problems.add(node.place, what, help);
                        continue;
                    };
                    self.variant(&key.text, key.place, Some(value), String::new(), &mut variants);
                }
            }
            Value::Sequence(items) => {
                for item in items.iter().take(VARIANTS_MAX + 1) {
                    if let (Some(text), Value::Scalar { .. }) = (item.text(), &item.value) {
                        self.variant(text, item.place, None, String::new(), &mut variants);
                        continue;
                    }
                    let Some(entries) = self.entries(item, "a value", VARIANT_KEYS) else { continue };
                    let Some((name, place)) = self.word(&entries, "name", "a value") else { continue };
                    let value = match entries.get(&["value"]) {
                        Some((_, node)) => match self.number(node, 0, u64::from(u32::MAX)) {
                            Some(value) => Some(value),
                            None => continue,
                        },
                        None => None,
                    };
                    let doc = self.doc(&entries);
                    self.variant(name, place, value, doc, &mut variants);
                }
            }
            Value::Scalar { .. } => {
                let what = format!("expected the values of `{name}`, found {}", values.describe());
                self.problems.add(
                    values.place,
                    what,
                    "expected a list of names, or names with their numbers",
                );
                return None;
            }
        }
        if variants.len() > VARIANTS_MAX {
            self.problems.add(
                key.place,
                format!("`{name}` has too many values"),
                format!("expected at most {VARIANTS_MAX}"),
            );
            return None;
        }
        let Some(largest) = variants.iter().map(|(variant, _)| variant.value).max() else {
            // Values that are wrong have been told already.
            let none = match &values.value {
                Value::Sequence(items) => items.is_empty(),
                Value::Mapping(named) => named.is_empty(),
                Value::Scalar { .. } => true,
            };
            if none {
                self.problems.add(
                    key.place,
                    format!("the enum `{name}` has no values"),
                    "expected at least one name",
                );
            }
            return None;
        };
        let needed = if largest <= 0xFF {
            1
        } else if largest <= 0xFFFF {
            2
        } else {
            4
        };
        let bytes = repr.unwrap_or(needed);
        for (variant, place) in &variants {
            if variant.value >= 1 << (8 * u32::from(bytes)) {
                let what = format!("{} does not fit into `repr: u{}`", variant.value, 8 * bytes);
                self.problems.add(*place, what, "expected a smaller number or a wider `repr`");
            }
        }
        let type_name = names::type_name(name);
        let variants = variants.into_iter().map(|(variant, _)| variant).collect();
        self.refused.pop();
        Some(Enumeration {
            name: name.to_owned(),
            type_name,
            doc: self.doc(&entries),
            bytes,
            variants,
            place,
        })
    }

    /// Adds a value; without a number it is one more than the one before, as in Rust.
    fn variant(
        &mut self,
        name: &str,
        place: Place,
        value: Option<u64>,
        doc: String,
        variants: &mut Vec<(Variant, Place)>,
    ) {
        if let Err(help) = names::check(name) {
            self.problems.add(
                place,
                format!("`{}` cannot be the name of a value", yaml::shortened(name)),
                help,
            );
            return;
        }
        let value =
            value.unwrap_or_else(|| variants.last().map_or(0, |(last, _)| last.value.saturating_add(1)));
        if value > u64::from(u32::MAX) {
            self.problems.add(place, format!("{value} is out of range"), "expected at most 4294967295");
            return;
        }
        let type_name = names::type_name(name);
        if names::is_taken(&type_name) && type_name == "Self" {
            self.problems.add(
                place,
                format!("`{name}` cannot be the name of a value"),
                "expected another name: Rust needs this one",
            );
            return;
        }
        let variant = Variant { name: name.to_owned(), type_name, value, doc };
        for (other, other_place) in variants.iter() {
            let what = if other.type_name == variant.type_name {
                format!("`{name}` and `{}` of line {} are the same name", other.name, other_place.line)
            } else if other.value == value {
                format!("`{name}` and `{}` of line {} are both {value}", other.name, other_place.line)
            } else {
                continue;
            };
            self.problems.add(place, what, "expected each name and number once");
            return;
        }
        variants.push((variant, place));
    }

    fn message<'n>(&mut self, node: &'n Node) -> Option<Draft<'n>> {
        let entries = self.entries(node, "a message", MESSAGE_KEYS)?;
        let (name, place) = self.type_name(&entries, "message")?;
        self.refused.push(name.to_owned());
        let id_entry = entries.get(&["id"]);
        let id = id_entry.and_then(|(_, node)| self.number(node, 1, u64::from(u16::MAX)));
        let id = id.and_then(|id| u16::try_from(id).ok());
        let frozen = self.boolean(&entries, "frozen");
        let Some((fields_key, fields_node)) = entries.get(&["fields"]) else {
            self.problems.add(
                entries.place,
                format!("the message `{name}` has no `fields`"),
                "expected `fields:` and a list, `[]` for none",
            );
            return None;
        };
        let mut fields: Vec<Field> = Vec::new();
        let mut types = Vec::new();
        match &fields_node.value {
            Value::Mapping(named) => {
                for (key, node) in named.iter().take(FIELDS_MAX + 1) {
                    let Some(text) = node.text() else {
                        let what = format!(
                            "expected the type of `{}`, found {}",
                            yaml::shortened(&key.text),
                            node.describe()
                        );
                        self.problems.add(
                            node.place,
                            what,
                            "the form is `name: type`, or a list of `- name: …`",
                        );
                        continue;
                    };
                    let ty = DraftType { text, place: inside(node), max: None, optional: false };
                    self.field(&key.text, key.place, 1, String::new(), ty, &mut fields, &mut types);
                }
            }
            Value::Sequence(items) => {
                for item in items.iter().take(FIELDS_MAX + 1) {
                    let Some(entries) = self.entries(item, "a field", FIELD_KEYS) else { continue };
                    let Some((name, place)) = self.word(&entries, "name", "a field") else { continue };
                    let Some((_, type_node)) = entries.get(&["type"]) else {
                        self.problems.add(
                            place,
                            format!("the field `{name}` has no `type`"),
                            "expected `type: u64` or another type",
                        );
                        continue;
                    };
                    let Some(text) = type_node.text() else {
                        let what = format!("expected the type of `{name}`, found {}", type_node.describe());
                        self.problems.add(
                            type_node.place,
                            what,
                            "expected a type such as `u64` or `string(32)`",
                        );
                        continue;
                    };
                    let max = entries.get(&["max", "max_length", "max_items"]);
                    // A wrong one has been told; 1 stands in for it, so that the type is not said to have none.
                    let max = max.map(|(_, node)| self.number(node, 1, u64::from(u32::MAX)).unwrap_or(1));
                    let since = entries.get(&["since"]).and_then(|(_, node)| self.number(node, 1, 255));
                    let since = since.map_or(1, |since| since as u8);
                    let optional = self.boolean(&entries, "optional");
                    let doc = self.doc(&entries);
                    let ty = DraftType { text, place: inside(type_node), max, optional };
                    self.field(name, place, since, doc, ty, &mut fields, &mut types);
                }
            }
            Value::Scalar { .. } if fields_node.is_null() => {}
            Value::Scalar { .. } => {
                let what = format!("expected the fields of `{name}`, found {}", fields_node.describe());
                self.problems.add(fields_node.place, what, "expected a list of `- name: …` with `type: …`");
                return None;
            }
        }
        if fields.len() > FIELDS_MAX {
            self.problems.add(
                fields_key.place,
                format!("`{name}` has too many fields"),
                format!("expected at most {FIELDS_MAX}: nest messages"),
            );
            return None;
        }
        let newest = fields.iter().map(|field| field.since).max().unwrap_or(1);
        let mut version = newest;
        if let Some((_, node)) = entries.get(&["version"])
            && let Some(number) = self.number(node, 1, 255)
        {
            version = number as u8;
            if version < newest {
                let what = format!("`{name}` is version {version} but has a field since version {newest}");
                self.problems.add(
                    node.place,
                    what,
                    format!("expected at least `version: {newest}`, or none: it follows from the fields"),
                );
            }
        }
        if frozen && version > 1 {
            self.problems.add(
                place,
                format!("`{name}` is frozen and has a second version"),
                "expected one of them: what is frozen never changes",
            );
        }
        if frozen && fields.is_empty() {
            self.problems.add(
                place,
                format!("`{name}` is frozen and has no fields"),
                "expected at least one: nothing can ever be added",
            );
        }
        let message = Message {
            name: name.to_owned(),
            type_name: names::type_name(name),
            doc: self.doc(&entries),
            id: id.unwrap_or_else(|| assigned_id(name)),
            version,
            frozen,
            fields,
            size: Size::default(),
            fixed: None,
            inline_bytes: 0,
            has_heap: false,
            has_float: false,
            borrows: false,
            parts_copy: false,
            nested: false,
            place,
            id_place: id_entry.map(|(_, node)| node.place),
        };
        self.refused.pop();
        Some(Draft { message, types })
    }

    #[allow(clippy::too_many_arguments)]
    fn field<'n>(
        &mut self,
        name: &str,
        place: Place,
        since: u8,
        doc: String,
        ty: DraftType<'n>,
        fields: &mut Vec<Field>,
        types: &mut Vec<DraftType<'n>>,
    ) {
        if let Err(help) = names::check(name) {
            self.problems.add(
                place,
                format!("`{}` cannot be the name of a field", yaml::shortened(name)),
                help,
            );
            return;
        }
        let rust_name = names::field_name(name);
        if let Some(other) = fields.iter().find(|other| other.rust_name == rust_name) {
            let what = if other.name == name {
                format!("the field `{name}` is there twice; the first is in line {}", other.place.line)
            } else {
                format!(
                    "the fields `{name}` and `{}` of line {} are both `{rust_name}` in Rust",
                    other.name, other.place.line
                )
            };
            self.problems.add(place, what, "expected each name once");
            return;
        }
        if let Some(last) = fields.last().filter(|last| last.since > since) {
            let what =
                format!("`{name}` stands behind `{}`, which came with version {}", last.name, last.since);
            self.problems.add(
                place,
                what,
                "expected new fields at the end: what is on the wire keeps its place",
            );
        }
        fields.push(Field { name: name.to_owned(), rust_name, doc, ty: Type::Bool, since, place });
        types.push(ty);
    }

    /// Every name a type expression may use, each once.
    fn names(&mut self, enums: &[Enumeration], drafts: &[Draft<'_>]) -> HashMap<String, Named> {
        let mut names = HashMap::new();
        let mut rust: HashMap<String, (String, Place)> = HashMap::new();
        let enums = enums
            .iter()
            .enumerate()
            .map(|(i, each)| (&each.name, &each.type_name, each.place, Named::Enum(i), false));
        let messages = drafts.iter().enumerate().map(|(i, draft)| {
            let message = &draft.message;
            (&message.name, &message.type_name, message.place, Named::Message(i), true)
        });
        for (name, type_name, place, named, is_message) in enums.chain(messages) {
            if types::is_built_in(name) {
                self.problems.add(place, format!("`{name}` is a built-in type"), "expected another name");
                continue;
            }
            if names::is_taken(type_name) {
                self.problems.add(
                    place,
                    format!("`{type_name}` is a name that the generated code needs"),
                    "expected another name",
                );
                continue;
            }
            let derived: &[&str] = if is_message { &["", "View", "Parts"] } else { &[""] };
            for suffix in derived {
                let derived = format!("{type_name}{suffix}");
                if let Some((other, other_place)) = rust.get(&derived) {
                    let what = if other == name {
                        format!("`{name}` is there twice; the first is in line {}", other_place.line)
                    } else {
                        format!(
                            "`{name}` and `{other}` of line {} would both be `{derived}` in Rust",
                            other_place.line
                        )
                    };
                    self.problems.add(place, what, "expected another name");
                    break;
                }
                rust.insert(derived, (name.clone(), place));
            }
            names.entry(name.clone()).or_insert(named);
        }
        for name in &self.refused {
            names.entry(name.clone()).or_insert(Named::Refused);
        }
        names
    }

    /// Ids, recursion, sizes: what can be said once all types are known.
    fn complete(&mut self, mut schema: Schema, size_max: u64) -> Option<Schema> {
        if !self.problems.is_empty() {
            return None;
        }
        self.ids(&schema.messages);
        schema.inside_out = self.inside_out(&schema.messages)?;
        let mut nested = HashSet::new();
        for message in &schema.messages {
            for field in &message.fields {
                messages_in(&field.ty, &mut |index| {
                    nested.insert(index);
                });
            }
        }
        for index in schema.inside_out.clone() {
            let measure = schema.measure();
            let message = &schema.messages[index];
            let mut size = Size::default();
            let mut inline_bytes = 0_u64;
            for field in &message.fields {
                let mut field_size = measure.size(&field.ty);
                if field.since > 1 {
                    if !matches!(field.ty, Type::Optional(_)) {
                        let what =
                            format!("`{}` came with version {} and is not optional", field.name, field.since);
                        self.problems.add(
                            field.place,
                            what,
                            "expected `optional: true`: older senders do not send it",
                        );
                    }
                    field_size.min = 0;
                }
                size = size.plus(field_size);
                inline_bytes = inline_bytes.saturating_add(measure.inline_bytes(&field.ty));
                if field_size.max > size_max && size.max - field_size.max <= size_max {
                    let what = format!("`{}` can have {} bytes", field.name, field_size.max);
                    self.problems.add(
                        field.place,
                        what,
                        format!("expected at most {size_max} bytes a message: lower a maximum"),
                    );
                } else if size.max > size_max && size.max - field_size.max <= size_max {
                    let what = format!("with `{}` the message can have {} bytes", field.name, size.max);
                    self.problems.add(
                        field.place,
                        what,
                        format!("expected at most {size_max} bytes a message: lower a maximum"),
                    );
                }
            }
            let has_heap = message.fields.iter().any(|field| measure.has_heap(&field.ty));
            let has_float = message.fields.iter().any(|field| measure.has_float(&field.ty));
            let borrows = message.fields.iter().any(|field| measure.borrows(&field.ty));
            let parts_copy = message.fields.iter().all(|field| measure.parts_copy(&field.ty));
            let fixed =
                message.frozen && message.fields.iter().all(|field| measure.fixed(&field.ty).is_some());
            let message = &mut schema.messages[index];
            message.size = size;
            message.fixed = fixed.then_some(size.max);
            message.inline_bytes = inline_bytes;
            message.has_heap = has_heap;
            message.has_float = has_float;
            message.borrows = borrows;
            message.parts_copy = parts_copy;
            message.nested = nested.contains(&index);
        }
        self.problems.is_empty().then_some(schema)
    }

    fn ids(&mut self, messages: &[Message]) {
        let mut taken: HashMap<u16, &Message> = HashMap::new();
        for message in messages {
            if let Some(other) = taken.get(&message.id) {
                let free =
                    (1..=u16::MAX).find(|id| messages.iter().all(|message| message.id != *id)).unwrap_or(1);
                let (name, id) = (&message.name, message.id);
                let (what, help) = if message.id_place.is_some() && other.id_place.is_some() {
                    let what = format!(
                        "`{name}` and `{}` of line {} both have id {id}",
                        other.name, other.place.line
                    );
                    (what, format!("expected each id once; {free} is free"))
                } else {
                    let what = format!(
                        "`{name}` and `{}` of line {} both come to id {id}",
                        other.name, other.place.line
                    );
                    (what, format!("expected an id written out for the newer one: `id: {free}` is free"))
                };
                self.problems.add(message.id_place.unwrap_or(message.place), what, help);
            } else {
                taken.insert(message.id, message);
            }
        }
    }

    /// Messages such that what is nested comes first. Fails on a cycle, and where the nesting is too deep.
    fn inside_out(&mut self, messages: &[Message]) -> Option<Vec<usize>> {
        let mut inside: Vec<Vec<usize>> = Vec::with_capacity(messages.len());
        let mut around: Vec<Vec<usize>> = vec![Vec::new(); messages.len()];
        for (index, message) in messages.iter().enumerate() {
            let mut own = Vec::new();
            for field in &message.fields {
                messages_in(&field.ty, &mut |inner| {
                    if !own.contains(&inner) {
                        own.push(inner);
                        around[inner].push(index);
                    }
                });
            }
            inside.push(own);
        }
        let mut waiting: Vec<usize> = inside.iter().map(Vec::len).collect();
        let mut depths = vec![1; messages.len()];
        let mut order: Vec<usize> = (0..messages.len()).filter(|&index| waiting[index] == 0).collect();
        let mut next = 0;
        while let Some(&index) = order.get(next) {
            next += 1;
            if depths[index] > NESTING_MAX {
                let what =
                    format!("`{}` has messages nested more than {NESTING_MAX} deep", messages[index].name);
                self.problems.add(messages[index].place, what, "expected a flatter message");
                return None;
            }
            for &outer in &around[index] {
                depths[outer] = depths[outer].max(depths[index] + 1);
                waiting[outer] -= 1;
                if waiting[outer] == 0 {
                    order.push(outer);
                }
            }
        }
        if order.len() == messages.len() {
            return Some(order);
        }
        // Whoever still waits is in a cycle or contains one: following a waiting child leads into it.
        let mut path = vec![(0..messages.len()).find(|&index| waiting[index] > 0)?];
        let cycle = loop {
            let last = *path.last()?;
            let child = inside[last].iter().copied().find(|&inner| waiting[inner] > 0)?;
            if let Some(at) = path.iter().position(|&index| index == child) {
                break path.split_off(at);
            }
            path.push(child);
        };
        let first = &messages[cycle[0]];
        let shown: Vec<&str> = cycle.iter().take(8).map(|&index| messages[index].name.as_str()).collect();
        let dots = if cycle.len() > shown.len() { " → …" } else { "" };
        let what = format!("`{}` contains itself: {}{dots} → {}", first.name, shown.join(" → "), first.name);
        self.problems.add(first.place, what, "expected an end: a recursive message has no maximum size");
        None
    }

    fn entries<'n>(&mut self, node: &'n Node, of: &str, allowed: &[&str]) -> Option<Entries<'n>> {
        let Value::Mapping(entries) = &node.value else {
            let what = format!("expected {of}, found {}", node.describe());
            self.problems.add(node.place, what, format!("expected `{}: …`", allowed[0]));
            return None;
        };
        let mut seen: HashMap<&str, Place> = HashMap::new();
        for (key, _) in entries {
            let text = key.text.as_str();
            if let Some(first) = seen.insert(text, key.place) {
                let what = format!(
                    "`{}` is there twice; the first is in line {}",
                    yaml::shortened(text),
                    first.line
                );
                self.problems.add(key.place, what, "expected each key once");
            } else if !allowed.contains(&text) {
                let what = format!("{of} has no key `{}`", yaml::shortened(text));
                let help = match text {
                    "<<" => "merged mappings are not taken: write the keys out".to_owned(),
                    _ => suggest(text, allowed.iter().copied(), || {
                        format!("expected one of: {}", allowed.join(", "))
                    }),
                };
                self.problems.add(key.place, what, help);
            }
        }
        Some(Entries { place: node.place, entries })
    }

    fn list<'n>(&mut self, node: &'n Node, of: &str, max: usize) -> Option<&'n [Node]> {
        match &node.value {
            Value::Sequence(items) if items.len() <= max => Some(items),
            Value::Sequence(items) => {
                self.problems.add(
                    node.place,
                    format!("{of} has {} entries", items.len()),
                    format!("expected at most {max}"),
                );
                None
            }
            Value::Scalar { .. } if node.is_null() => Some(&[]),
            _ => {
                let what = format!("expected a list under {of}, found {}", node.describe());
                self.problems.add(node.place, what, "expected lines that begin with `- name: …`");
                None
            }
        }
    }

    /// The text under a key that must be there.
    fn word<'n>(&mut self, entries: &Entries<'n>, key: &str, of: &str) -> Option<(&'n str, Place)> {
        match entries.get(&[key]) {
            None => {
                self.problems.add(
                    entries.place,
                    format!("{of} without a `{key}`"),
                    format!("expected `{key}: …`"),
                );
                None
            }
            Some((_, node)) => match node.text() {
                Some(text) => Some((text, node.place)),
                None => {
                    self.problems.add(
                        node.place,
                        format!("expected the {key} of {of}, found {}", node.describe()),
                        "expected a word",
                    );
                    None
                }
            },
        }
    }

    fn type_name<'n>(&mut self, entries: &Entries<'n>, of: &str) -> Option<(&'n str, Place)> {
        let article = if of == "enum" { "an enum" } else { "a message" };
        let (name, place) = self.word(entries, "name", article)?;
        match names::check(name) {
            Ok(()) => Some((name, place)),
            Err(help) => {
                self.problems.add(
                    place,
                    format!("`{}` cannot be the name of {article}", yaml::shortened(name)),
                    help,
                );
                None
            }
        }
    }

    fn number(&mut self, node: &Node, min: u64, max: u64) -> Option<u64> {
        let number = node.number().filter(|number| (min..=max).contains(number));
        if number.is_none() {
            let what = format!("expected a number, found {}", node.describe());
            self.problems.add(node.place, what, format!("expected a whole number from {min} to {max}"));
        }
        number
    }

    fn boolean(&mut self, entries: &Entries<'_>, key: &str) -> bool {
        let Some((_, node)) = entries.get(&[key]) else { return false };
        node.boolean().unwrap_or_else(|| {
            self.problems.add(
                node.place,
                format!("expected yes or no, found {}", node.describe()),
                "expected `true` or `false`",
            );
            false
        })
    }

    fn doc(&mut self, entries: &Entries<'_>) -> String {
        let Some((_, node)) = entries.get(&["doc", "description"]) else { return String::new() };
        match &node.value {
            Value::Scalar { text, .. } => text.trim().to_owned(),
            _ => {
                self.problems.add(
                    node.place,
                    format!("expected text, found {}", node.describe()),
                    "expected a sentence",
                );
                String::new()
            }
        }
    }
}

/// Where the text of a scalar begins: behind its quote, if it has one.
fn inside(node: &Node) -> Place {
    let quoted = matches!(node.value, Value::Scalar { quoted: true, .. });
    Place { line: node.place.line, column: node.place.column + usize::from(quoted) }
}

/// Calls `f` with each message inside a type. Types are shallow, so this may recurse.
fn messages_in(ty: &Type, f: &mut impl FnMut(usize)) {
    match ty {
        Type::Array(inner, _) | Type::List(inner, _) | Type::Optional(inner) => messages_in(inner, f),
        Type::Message(index) => f(*index),
        _ => {}
    }
}

/// The id of a message that was given none: FNV-1a of its name, folded into the ids from `ASSIGNED_IDS_FROM` on. It depends on
/// the name alone, so messages can be added, removed and reordered without changing anybody's id.
pub(crate) fn assigned_id(name: &str) -> u16 {
    let hash =
        name.bytes().fold(0x811C_9DC5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let ids = 0x1_0000 - ASSIGNED_IDS_FROM;
    u16::try_from(ASSIGNED_IDS_FROM + hash % ids).unwrap_or(u16::MAX)
}
