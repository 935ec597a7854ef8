//! Owns: `[service.NAME]` tables of a TOML file, read and checked against a schema.
//! Every other table of the file belongs to somebody else and is not looked at. Limits: `TEXT_BYTES_MAX` bytes, `SERVICES_MAX`
//! services.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::classes::{Class, Classes};
use crate::diagnostics::{Error, Place, Problems, SLIP, distance, suggest};
use crate::names;
use crate::schema::Schema;
use crate::yaml::shortened;

const TEXT_BYTES_MAX: usize = 1 << 20;
const SERVICES_MAX: usize = 1024;

/// The table under which services stand.
const SERVICE: &str = "service";

const KEYS: &[&str] =
    &["messages", "buffer_pool_enabled", "exhausted", "wait_ms", "strategy", "class_bytes_max", "capacities"];

const EXHAUSTED: &[&str] = &["allocate", "error", "wait"];
const STRATEGIES: &[(&str, &str)] =
    &[("magazines", "Magazines"), ("list", "List"), ("mutex", "Mutex"), ("ring", "Ring")];

const WAIT_MS_DEFAULT: u64 = 100;
const WAIT_MS_MAX: u64 = 3_600_000;

/// One service, complete.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) constant_name: String,
    /// Indices into the schema, in the order of the list.
    pub(crate) messages: Vec<usize>,
    pub(crate) buffer_pool_enabled: bool,
    pub(crate) exhausted: Exhausted,
    /// The variant of `bolt_tlv::Strategy`; none for the default.
    pub(crate) strategy: Option<&'static str>,
    pub(crate) classes: Vec<Class>,
    /// Bytes that each class may not exceed, when that was asked for.
    pub(crate) bounds: Vec<Option<u64>>,
}

/// What happens when a class has no buffer left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exhausted {
    Allocate,
    Error,
    Wait { ms: u64 },
}

/// Reads the services of `text`. Those in `wanted` must be there.
pub(crate) fn parse(
    file: &str,
    text: &str,
    schema: &Schema,
    classes: &Classes,
    wanted: &[String],
) -> Result<Vec<Service>, Error> {
    let mut problems = Problems::new(file, text);
    let services = {
        let mut reader = Reader { text, schema, classes, problems: &mut problems };
        reader.file(wanted)
    };
    match services {
        Some(services) if problems.is_empty() => Ok(services),
        _ => Err(problems.finish()),
    }
}

struct Reader<'a, 'p, 'f> {
    text: &'a str,
    schema: &'a Schema,
    classes: &'a Classes,
    problems: &'p mut Problems<'f>,
}

impl Reader<'_, '_, '_> {
    fn add(&mut self, span: Range<usize>, what: impl Into<String>, help: impl Into<String>) {
        self.problems.add(Place::of_offset(self.text, span.start), what, help);
    }

    fn file(&mut self, wanted: &[String]) -> Option<Vec<Service>> {
        if self.text.len() > TEXT_BYTES_MAX {
            let what = format!("the file has {} bytes", self.text.len());
            self.add(0..0, what, format!("expected at most {TEXT_BYTES_MAX}"));
            return None;
        }
        let root = match DeTable::parse(self.text) {
            Ok(root) => root,
            Err(error) => {
                let what = format!("this is not TOML: {}", shortened(error.message()));
                let help = if error.message().contains("duplicate") {
                    "expected each table and each key once"
                } else {
                    "expected `[service.NAME]` and `messages = […]`"
                };
                self.add(error.span().unwrap_or(0..0), what, help);
                return None;
            }
        };
        for (key, _) in in_order(root.get_ref()) {
            let text = key.get_ref().as_ref();
            if text != SERVICE && distance(text, SERVICE) <= 2 * SLIP {
                self.add(
                    key.span(),
                    format!("`{}` is not `{SERVICE}`", shortened(text)),
                    "expected `[service.NAME]`",
                );
            }
        }
        let mut services: Vec<(Service, Range<usize>)> = Vec::new();
        if let Some(table) = root.get_ref().get(SERVICE) {
            let table = self.table(table, "`service`", "expected `[service.NAME]`")?;
            if table.len() > SERVICES_MAX {
                self.add(
                    0..0,
                    format!("there are {} services", table.len()),
                    format!("expected at most {SERVICES_MAX}"),
                );
                return None;
            }
            for (key, value) in in_order(table) {
                let Some(service) = self.service(key, value) else { continue };
                let same = services.iter().find(|(other, _)| other.constant_name == service.constant_name);
                if let Some((other, _)) = same {
                    let what = format!(
                        "`{}` and `{}` would both be `{}` in Rust",
                        service.name, other.name, service.constant_name
                    );
                    self.add(key.span(), what, "expected another name");
                }
                services.push((service, key.span()));
            }
        }
        for name in wanted {
            if !services.iter().any(|(service, _)| service.name == *name) && self.problems.is_empty() {
                let known = services.iter().map(|(service, _)| service.name.as_str());
                let help =
                    suggest(name, known, || format!("expected `[service.{name}]` with `messages = […]`"));
                self.add(0..0, format!("there is no service `{}`", shortened(name)), help);
            }
        }
        Some(services.into_iter().map(|(service, _)| service).collect())
    }

    fn service(
        &mut self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<Service> {
        let name = key.get_ref().as_ref();
        if let Err(help) = names::check_service(name) {
            self.add(key.span(), format!("`{}` cannot be the name of a service", shortened(name)), help);
            return None;
        }
        let table = self.table(value, &format!("`service.{name}`"), "expected `messages = […]`")?;
        for (key, _) in in_order(table) {
            let text = key.get_ref().as_ref();
            if !KEYS.contains(&text) {
                let help =
                    suggest(text, KEYS.iter().copied(), || format!("expected one of: {}", KEYS.join(", ")));
                self.add(key.span(), format!("a service has no key `{}`", shortened(text)), help);
            }
        }
        let Some(list) = table.get("messages") else {
            self.add(
                key.span(),
                format!("the service `{name}` has no `messages`"),
                "expected `messages = [\"…\"]`",
            );
            return None;
        };
        let messages = self.messages(name, list);
        let buffer_pool_enabled = match table.get("buffer_pool_enabled") {
            None => true,
            Some(value) => value.get_ref().as_bool().unwrap_or_else(|| {
                self.wrong(value, "expected `true` or `false`");
                true
            }),
        };
        let exhausted = self.exhausted(table);
        let strategy = match table.get("strategy") {
            None => None,
            Some(value) => self.choice(value, STRATEGIES.iter().map(|&(text, _)| text)).and_then(|chosen| {
                STRATEGIES.iter().find(|(text, _)| *text == chosen).map(|&(_, variant)| variant)
            }),
        };
        let class_bytes_max =
            table.get("class_bytes_max").and_then(|value| self.number(value, 1, u64::from(u32::MAX)));
        let sizes = messages.iter().map(|&index| self.schema.messages[index].size.max);
        let mut classes: Vec<Class> = sizes.filter_map(|size| self.classes.class_of(size)).collect();
        classes.sort_unstable_by_key(|class| class.bytes);
        classes.dedup();
        if let (Some(value), Some(max), Some(largest)) =
            (table.get("class_bytes_max"), class_bytes_max, classes.last())
            && max < largest.bytes
        {
            let what = format!("{max} bytes do not hold one buffer of the class of {} bytes", largest.bytes);
            self.add(value.span(), what, format!("expected at least {}", largest.bytes));
        }
        if let Some(capacities) = table.get("capacities") {
            self.capacities(name, capacities, &mut classes);
        }
        // A pool may hold twice what it keeps, in plain allocations, unless that is above the bound.
        let bounds = classes.iter_mut().map(|class| {
            let bytes_max = class_bytes_max.map(|max| max.min(2 * class.bytes * class.capacity));
            class.capacity = bytes_max.map_or(class.capacity, |max| class.capacity.min(max / class.bytes));
            bytes_max
        });
        let bounds = bounds.collect();
        let constant_name = names::constant_name(name);
        let name = name.to_owned();
        Some(Service {
            name,
            constant_name,
            messages,
            buffer_pool_enabled,
            exhausted,
            strategy,
            classes,
            bounds,
        })
    }

    fn messages(&mut self, service: &str, list: &Spanned<DeValue<'_>>) -> Vec<usize> {
        let mut messages = Vec::new();
        let Some(items) = list.get_ref().as_array() else {
            self.wrong(list, "expected a list of message names: `[\"SwapEvent\"]`");
            return messages;
        };
        if items.is_empty() {
            self.add(
                list.span(),
                format!("the service `{service}` handles no message"),
                "expected at least one name",
            );
        }
        for item in items.iter() {
            let Some(text) = item.get_ref().as_str() else {
                self.wrong(item, "expected the name of a message in quotes");
                continue;
            };
            let Some(index) = self.schema.messages.iter().position(|message| message.name == text) else {
                let all: Vec<&str> =
                    self.schema.messages.iter().map(|message| message.name.as_str()).collect();
                let help = suggest(text, all.iter().copied(), || match all.as_slice() {
                    [.., _] if all.len() <= 12 => format!("expected one of: {}", all.join(", ")),
                    _ => format!("expected one of the {} messages of the schema", all.len()),
                });
                self.add(item.span(), format!("unknown message `{}`", shortened(text)), help);
                continue;
            };
            if messages.contains(&index) {
                self.add(item.span(), format!("`{text}` is there twice"), "expected each message once");
                continue;
            }
            messages.push(index);
        }
        messages
    }

    fn exhausted(&mut self, table: &DeTable<'_>) -> Exhausted {
        let chosen = match table.get("exhausted") {
            None => "allocate",
            Some(value) => self.choice(value, EXHAUSTED.iter().copied()).unwrap_or("wait"),
        };
        let wait_ms = table.get("wait_ms");
        if let (Some(value), true) = (wait_ms, chosen != "wait") {
            self.add(value.span(), "`wait_ms` without waiting", "expected `exhausted = \"wait\"` beside it");
        }
        match chosen {
            "error" => Exhausted::Error,
            "wait" => {
                let ms = wait_ms.and_then(|value| self.number(value, 1, WAIT_MS_MAX));
                Exhausted::Wait { ms: ms.unwrap_or(WAIT_MS_DEFAULT) }
            }
            _ => Exhausted::Allocate,
        }
    }

    fn capacities(&mut self, service: &str, value: &Spanned<DeValue<'_>>, classes: &mut [Class]) {
        let form = format!("expected `[service.{service}.capacities]` with lines such as `128 = 512`");
        let Some(table) = self.table(value, "`capacities`", &form) else { return };
        let known: Vec<String> = classes.iter().map(|class| class.bytes.to_string()).collect();
        for (key, value) in in_order(table) {
            let text = key.get_ref().as_ref();
            let Some(class) = classes.iter_mut().find(|class| class.bytes.to_string() == text) else {
                let what = format!("the service `{service}` has no class of {} bytes", shortened(text));
                self.add(key.span(), what, format!("expected one of: {}", known.join(", ")));
                continue;
            };
            // More buffers than 2³² bytes hold are a slip of the pen.
            let most = (u64::from(u32::MAX) / class.bytes).max(1);
            if let Some(capacity) = self.number(value, 1, most) {
                class.capacity = capacity;
            }
        }
    }

    fn table<'v, 'i>(
        &mut self,
        value: &'v Spanned<DeValue<'i>>,
        what: &str,
        help: &str,
    ) -> Option<&'v DeTable<'i>> {
        if let DeValue::Table(table) = value.get_ref() {
            return Some(table);
        }
        self.add(value.span(), format!("{what} is {}", described(value.get_ref())), help);
        None
    }

    fn choice<'c>(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        choices: impl Iterator<Item = &'c str> + Clone,
    ) -> Option<&'c str> {
        let quoted: Vec<String> = choices.clone().map(|choice| format!("\"{choice}\"")).collect();
        let help = format!("expected one of: {}", quoted.join(", "));
        let Some(text) = value.get_ref().as_str() else {
            self.wrong(value, &help);
            return None;
        };
        let found = choices.clone().find(|choice| *choice == text);
        if found.is_none() {
            let help = suggest(text, choices, || help);
            self.add(value.span(), format!("unknown choice `{}`", shortened(text)), help);
        }
        found
    }

    fn number(&mut self, value: &Spanned<DeValue<'_>>, min: u64, max: u64) -> Option<u64> {
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|number| u64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok());
        let number = number.filter(|number| (min..=max).contains(number));
        if number.is_none() {
            self.wrong(value, &format!("expected a whole number from {min} to {max}"));
        }
        number
    }

    fn wrong(&mut self, value: &Spanned<DeValue<'_>>, help: &str) {
        self.add(value.span(), format!("found {}", described(value.get_ref())), help);
    }
}

fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("`\"{}\"`", shortened(text)),
        DeValue::Integer(number) => format!("`{}`", shortened(number.as_str())),
        DeValue::Float(number) => format!("`{}`", shortened(number.as_str())),
        DeValue::Boolean(yes) => format!("`{yes}`"),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

type Entry<'t, 'i> = (&'t Spanned<std::borrow::Cow<'i, str>>, &'t Spanned<DeValue<'i>>);

/// The entries as the file has them; the map itself is sorted by name.
fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<Entry<'t, 'i>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}
