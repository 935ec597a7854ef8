//! Owns: a service's configuration at run time - which messages it handles, and so which buffers it needs - from code or from the same
//! `config.toml` that the build read. Never guesses: what is unknown is refused with its line.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::ops::{Range, RangeInclusive};
use core::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::class::ClassSpec;
use crate::message::{Catalog, MessageInfo};
use crate::pool::{BufferPool, Exhausted, Strategy};

/// Milliseconds that a service waits for a buffer when it says `exhausted = "wait"` and no number: long for a program, short for a
/// person.
const WAIT_MS_DEFAULT: u64 = 100;

/// An hour. Whoever waits longer wants no deadline but an error.
const WAIT_MS_MAX: u64 = 3_600_000;

/// The keys of `[service.NAME]`.
const KEYS: [&str; 7] =
    ["messages", "buffer_pool_enabled", "exhausted", "wait_ms", "strategy", "class_bytes_max", "capacities"];

/// What a service handles and how its buffers are kept.
///
/// ```
/// use bolt_tlv::{BufferPool, Catalog, ClassSpec, MessageInfo, ServiceConfig};
/// // Generated code has this constant:
/// const CATALOG: Catalog = Catalog {
///     messages: &[MessageInfo { name: "SwapEvent", type_id: 1, version: 1, size_max: 84, class_bytes: 128 }],
///     classes: &[ClassSpec::new(128, 1024)],
/// };
/// let text = r#"
///     [service.polygon-adapter]
///     messages = ["SwapEvent"]
/// "#;
/// let config = ServiceConfig::from_toml(text, "polygon-adapter", &CATALOG)?;
/// let pool = BufferPool::from_service_config(&config);
/// assert_eq!(pool.acquire(84).unwrap().capacity(), 128);
/// let error = ServiceConfig::from_toml(&text.replace("Swap", "Swab"), "polygon-adapter", &CATALOG).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "line 3: service polygon-adapter: unknown message \"SwabEvent\"; the schema has SwapEvent"
/// );
/// # Ok::<(), bolt_tlv::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceConfig {
    name: String,
    messages: Vec<MessageInfo>,
    classes: Vec<ClassSpec>,
    buffer_pool_enabled: bool,
    exhausted: Exhausted,
    strategy: Strategy,
}

impl ServiceConfig {
    /// Reads `[service.NAME]` from the text of a `config.toml` and checks it against the compiled messages.
    ///
    /// # Errors
    /// The text is not TOML, the service is not in it, or names something that does not exist; with the line.
    pub fn from_toml(text: &str, service: &str, catalog: &Catalog) -> Result<Self, ConfigError> {
        let at = |span: Range<usize>| {
            1 + text.as_bytes()[..span.start.min(text.len())].iter().filter(|&&b| b == b'\n').count()
        };
        let document = DeTable::parse(text).map_err(|error| ConfigError {
            line: error.span().map(at),
            message: error.message().to_string(),
        })?;
        let services =
            document.get_ref().get("service").map(|value| (at(value.span()), value.get_ref().as_table()));
        let services = match services {
            Some((_, Some(services))) => services,
            Some((line, None)) => {
                return Err(ConfigError::at(line, "`service` is a table of services: write [service.NAME]"));
            }
            None => return Err(ConfigError { line: None, message: no_service(service, &[]) }),
        };
        let Some((key, value)) = services.iter().find(|(key, _)| key.get_ref().as_ref() == service) else {
            let known: Vec<&str> = services.keys().map(|key| key.get_ref().as_ref()).collect();
            return Err(ConfigError { line: None, message: no_service(service, &known) });
        };
        let wrong = |span: Range<usize>, what: String| ConfigError {
            line: Some(at(span)),
            message: alloc::format!("service {service}: {what}"),
        };
        let Some(table) = value.get_ref().as_table() else {
            return Err(wrong(key.span(), "expected a table: write [service.NAME]".to_string()));
        };
        Self::from_table(service, table, key.span(), catalog, &wrong)
    }

    fn from_table(
        service: &str,
        table: &DeTable<'_>,
        span: Range<usize>,
        catalog: &Catalog,
        wrong: &dyn Fn(Range<usize>, String) -> ConfigError,
    ) -> Result<Self, ConfigError> {
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.get_ref().as_ref())) {
            let what = alloc::format!("unknown key `{}`; the keys are {}", key.get_ref(), KEYS.join(", "));
            return Err(wrong(key.span(), what));
        }
        let Some(list) = table.get("messages") else {
            return Err(wrong(span, "`messages` is missing: name what the service handles".to_string()));
        };
        let names = list.get_ref().as_array().ok_or_else(|| {
            wrong(list.span(), "`messages` is a list of names, as [\"SwapEvent\"]".to_string())
        })?;
        let mut messages: Vec<MessageInfo> = Vec::new();
        for name in names.iter() {
            let DeValue::String(text) = name.get_ref() else {
                return Err(wrong(
                    name.span(),
                    "`messages` is a list of names, as [\"SwapEvent\"]".to_string(),
                ));
            };
            let Some(message) = catalog.message(text) else {
                let known: Vec<&str> = catalog.messages.iter().map(|message| message.name).collect();
                let what = alloc::format!("unknown message {text:?}; the schema has {}", known.join(", "));
                return Err(wrong(name.span(), what));
            };
            if messages.contains(message) {
                return Err(wrong(name.span(), alloc::format!("message {text:?} is named twice")));
            }
            messages.push(*message);
        }
        if messages.is_empty() {
            return Err(wrong(list.span(), "`messages` is empty: name what the service handles".to_string()));
        }
        let buffer_pool_enabled = match table.get("buffer_pool_enabled") {
            None => true,
            Some(value) => value
                .get_ref()
                .as_bool()
                .ok_or_else(|| wrong(value.span(), "`buffer_pool_enabled` is true or false".to_string()))?,
        };
        let exhausted = exhausted(table, wrong)?;
        let strategy = strategy(table, wrong)?;
        let mut config = Self {
            name: service.to_string(),
            classes: classes_of(&messages, catalog),
            messages,
            buffer_pool_enabled,
            exhausted,
            strategy,
        };
        config.limits(table, wrong)?;
        Ok(config)
    }

    /// `capacities`, then `class_bytes_max`, which bounds whatever the capacities are.
    fn limits(
        &mut self,
        table: &DeTable<'_>,
        wrong: &dyn Fn(Range<usize>, String) -> ConfigError,
    ) -> Result<(), ConfigError> {
        if let Some(value) = table.get("capacities") {
            let Some(capacities) = value.get_ref().as_table() else {
                return Err(wrong(
                    value.span(),
                    "`capacities` is a table from class size to buffers".to_string(),
                ));
            };
            for (key, capacity) in capacities {
                let text = key.get_ref().as_ref();
                let class = self.classes.iter_mut().find(|known| known.size_bytes.to_string() == text);
                let Some(class) = class else {
                    let known: Vec<String> =
                        self.classes.iter().map(|class| class.size_bytes.to_string()).collect();
                    let what = alloc::format!(
                        "no class of {} bytes; this service has {}",
                        key.get_ref(),
                        known.join(", ")
                    );
                    return Err(wrong(key.span(), what));
                };
                // As when the program is built: more buffers than 2³² bytes hold are a slip of the pen.
                let most = (u64::from(u32::MAX) / class.size_bytes as u64).max(1);
                let capacity = number(capacity, "a capacity", 1..=most, wrong)?;
                *class = ClassSpec::new(class.size_bytes, usize::try_from(capacity).unwrap_or(usize::MAX));
            }
        }
        if let Some(value) = table.get("class_bytes_max") {
            let bytes_max = number(value, "`class_bytes_max`", 1..=u64::from(u32::MAX), wrong)?;
            let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
            for class in &mut self.classes {
                if bytes_max < class.size_bytes {
                    let what = alloc::format!(
                        "`class_bytes_max` = {bytes_max} does not hold one buffer of {} bytes",
                        class.size_bytes
                    );
                    return Err(wrong(value.span(), what));
                }
                *class = class.with_bytes_max(bytes_max.min(class.bytes_max));
            }
        }
        Ok(())
    }

    /// The service's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The messages it handles.
    #[must_use]
    pub fn messages(&self) -> &[MessageInfo] {
        &self.messages
    }

    /// The classes of its messages, in ascending order.
    #[must_use]
    pub fn classes(&self) -> &[ClassSpec] {
        &self.classes
    }

    /// Whether buffers are kept; otherwise each is a plain allocation.
    #[must_use]
    pub fn buffer_pool_enabled(&self) -> bool {
        self.buffer_pool_enabled
    }

    /// What happens when a class has no buffer left.
    #[must_use]
    pub fn exhausted(&self) -> Exhausted {
        self.exhausted
    }

    /// How free buffers are kept.
    #[must_use]
    pub fn strategy(&self) -> Strategy {
        self.strategy
    }
}

impl BufferPool {
    /// The pool of a service as its configuration says. Feature `config`.
    #[must_use]
    pub fn from_service_config(config: &ServiceConfig) -> Self {
        let mut builder = Self::builder()
            .enabled(config.buffer_pool_enabled)
            .exhausted(config.exhausted)
            .strategy(config.strategy);
        for &class in &config.classes {
            builder = builder.with_class(class);
        }
        builder.build()
    }
}

/// The classes that these messages travel in.
fn classes_of(messages: &[MessageInfo], catalog: &Catalog) -> Vec<ClassSpec> {
    let used = |class: &&ClassSpec| messages.iter().any(|message| message.class_bytes == class.size_bytes);
    catalog.classes.iter().filter(used).copied().collect()
}

fn exhausted(
    table: &DeTable<'_>,
    wrong: &dyn Fn(Range<usize>, String) -> ConfigError,
) -> Result<Exhausted, ConfigError> {
    let wait = match table.get("wait_ms") {
        None => None,
        Some(value) => Some((value.span(), number(value, "`wait_ms`", 1..=WAIT_MS_MAX, wrong)?)),
    };
    let word = table.get("exhausted");
    let policy = match word.map(|value| (value.span(), value.get_ref().as_str())) {
        None | Some((_, Some("allocate"))) => Exhausted::Allocate,
        Some((_, Some("error"))) => Exhausted::Error,
        Some((_, Some("wait"))) => {
            return Ok(Exhausted::Wait(Duration::from_millis(wait.map_or(WAIT_MS_DEFAULT, |(_, ms)| ms))));
        }
        Some((span, _)) => {
            return Err(wrong(span, "`exhausted` is \"allocate\", \"error\" or \"wait\"".to_string()));
        }
    };
    match wait {
        None => Ok(policy),
        Some((span, _)) => Err(wrong(span, "`wait_ms` needs `exhausted = \"wait\"`".to_string())),
    }
}

fn strategy(
    table: &DeTable<'_>,
    wrong: &dyn Fn(Range<usize>, String) -> ConfigError,
) -> Result<Strategy, ConfigError> {
    let Some(value) = table.get("strategy") else { return Ok(Strategy::default()) };
    match value.get_ref().as_str() {
        Some("list") => Ok(Strategy::List),
        Some("mutex") => Ok(Strategy::Mutex),
        Some("magazines") => Ok(Strategy::Magazines),
        Some("ring") => Ok(Strategy::Ring),
        _ => Err(wrong(
            value.span(),
            "`strategy` is \"list\", \"mutex\", \"magazines\" or \"ring\"".to_string(),
        )),
    }
}

/// A whole number within `range`.
fn number(
    value: &Spanned<DeValue<'_>>,
    what: &str,
    range: RangeInclusive<u64>,
    wrong: &dyn Fn(Range<usize>, String) -> ConfigError,
) -> Result<u64, ConfigError> {
    let number = match value.get_ref() {
        DeValue::Integer(integer) => u64::from_str_radix(integer.as_str(), integer.radix()).ok(),
        _ => None,
    };
    number.filter(|number| range.contains(number)).ok_or_else(|| {
        let what = alloc::format!("{what} is a whole number from {} to {}", range.start(), range.end());
        wrong(value.span(), what)
    })
}

fn no_service(service: &str, known: &[&str]) -> String {
    if known.is_empty() {
        return alloc::format!("there is no [service.{service}], and no other service");
    }
    alloc::format!("there is no [service.{service}]; the file has {}", known.join(", "))
}

/// What is wrong with a `config.toml`, and in which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Counted from 1; `None` when it is about something that is missing.
    pub line: Option<usize>,
    message: String,
}

impl ConfigError {
    fn at(line: usize, message: &str) -> Self {
        Self { line: Some(line), message: message.to_string() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl core::error::Error for ConfigError {}
