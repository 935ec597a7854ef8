#![doc = include_str!("../README.md")]
//!
//! # This file
//!
//! Owns [`Config`], which a build script calls: it reads the files, tells Cargo what they are, and writes the code. What it prints is meant for
//! Cargo alone.

#![forbid(unsafe_code)]

mod classes;
mod code;
mod diagnostics;
mod emit;
mod emit_message;
#[cfg(test)]
mod golden;
mod layout;
#[cfg(any(test, feature = "model"))]
pub mod model;
mod names;
#[cfg(any(test, feature = "model"))]
mod samples;
mod schema;
mod services;
mod types;
mod yaml;

use std::path::{Path, PathBuf};

use crate::classes::{CLASSES_DEFAULT, CLASSES_MAX, Classes};
use crate::emit::Report;
use crate::schema::Schema;

pub use crate::diagnostics::Error;

/// A payload above this is refused unless [`Config::size_max`] says otherwise: it would be one buffer of 16 MiB.
pub const SIZE_MAX_DEFAULT: u64 = 16 << 20;

/// No payload can be longer: the length in a header has 32 bits, and the largest buffer is rounded up.
const SIZE_MAX_LIMIT: u64 = (1 << 31) - 64;

/// The name of the generated file in `OUT_DIR`.
const OUTPUT_DEFAULT: &str = "messages.rs";

/// Set to anything but 0, this variable has a build show what the classes waste: `BOLT_TLV_REPORT=1 cargo build`.
pub const REPORT_VARIABLE: &str = "BOLT_TLV_REPORT";

/// More classes that save so many tenths of a per cent are worth a warning.
const WASTE_AVOIDABLE_PERMILLE: u64 = 100;

/// What to generate from which files; made in a `build.rs`, ended by [`generate`](Self::generate).
///
/// ```no_run
/// fn main() -> Result<(), bolt_tlv_build::Error> {
///     bolt_tlv_build::Config::new("contracts.yaml").services("config.toml").generate()
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Config {
    schema: Source,
    services: Option<Source>,
    wanted: Vec<String>,
    output: String,
    size_max: u64,
    classes_max: usize,
    warn_above_percent: Option<u64>,
}

/// A file, or text that stands for one.
#[derive(Clone, Debug)]
struct Source {
    path: PathBuf,
    text: Option<String>,
}

impl Source {
    fn file(path: &Path) -> Self {
        Self { path: path.to_owned(), text: None }
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn read(&self) -> Result<String, Error> {
        if let Some(text) = &self.text {
            return Ok(text.clone());
        }
        let bytes = std::fs::read(&self.path).map_err(|error| {
            let help = "expected a file there; paths are relative to the package's Cargo.toml";
            Error::file(&self.name(), format!("cannot be read: {error}"), help)
        })?;
        String::from_utf8(bytes).map_err(|error| {
            let what = format!("is not UTF-8 from byte {} on", error.utf8_error().valid_up_to());
            Error::file(&self.name(), what, "expected the file saved as UTF-8")
        })
    }
}

impl Config {
    /// The schema is in this file, relative to the package.
    pub fn new(contracts: impl AsRef<Path>) -> Self {
        Self {
            schema: Source::file(contracts.as_ref()),
            services: None,
            wanted: Vec::new(),
            output: OUTPUT_DEFAULT.to_owned(),
            size_max: SIZE_MAX_DEFAULT,
            classes_max: CLASSES_DEFAULT,
            warn_above_percent: None,
        }
    }

    /// The schema is this text; messages call it `contracts.yaml`.
    pub fn from_text(contracts: impl Into<String>) -> Self {
        let mut config = Self::new("contracts.yaml");
        config.schema.text = Some(contracts.into());
        config
    }

    /// Services stand in this file, as `[service.NAME]`; what else is in it is not looked at.
    pub fn services(mut self, config: impl AsRef<Path>) -> Self {
        self.services = Some(Source::file(config.as_ref()));
        self
    }

    /// Services stand in this text; messages call it `config.toml`.
    pub fn services_text(mut self, config: impl Into<String>) -> Self {
        self.services = Some(Source { path: PathBuf::from("config.toml"), text: Some(config.into()) });
        self
    }

    /// This service must be among them. Otherwise a missing one is noticed where the program names its constant.
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.wanted.push(name.into());
        self
    }

    /// The generated file's name in `OUT_DIR`, for a package with more than one schema. Without it: `messages.rs`.
    pub fn output(mut self, name: impl Into<String>) -> Self {
        self.output = name.into();
        self
    }

    /// A message with a longer payload is refused. Without it: [`SIZE_MAX_DEFAULT`]; at most 2 GiB.
    pub fn size_max(mut self, bytes: u64) -> Self {
        self.size_max = bytes.min(SIZE_MAX_LIMIT);
        self
    }

    /// No more classes than this, 1 to 16. Without it: 8.
    pub fn classes_max(mut self, count: usize) -> Self {
        self.classes_max = count.clamp(1, CLASSES_MAX);
        self
    }

    /// The build warns when the classes waste more than so many per cent of their buffers; 0 always tells the figure. Without it: where
    /// more classes would waste ten per cent less. The figures stand in the generated file in any case, and in Cargo's output when
    /// [`REPORT_VARIABLE`] is set.
    pub fn warn_above_percent(mut self, percent: u64) -> Self {
        self.warn_above_percent = Some(percent);
        self
    }

    /// Generates the code, writes it into `OUT_DIR`, and tells Cargo to run the build script again when a file has changed.
    ///
    /// The file is only touched when its content changes, so that an unchanged schema compiles nothing anew.
    ///
    /// # Errors
    /// Every problem found in the files, each with its line; or a file that cannot be read or written.
    pub fn generate(&self) -> Result<(), Error> {
        for source in [Some(&self.schema), self.services.as_ref()].into_iter().flatten() {
            if source.text.is_none() {
                println!("cargo::rerun-if-changed={}", source.path.display());
            }
        }
        let Some(out) = std::env::var_os("OUT_DIR") else {
            let help = "expected to be called from a build script; `generate_code` gives the text";
            return Err(Error::file("OUT_DIR", "is not set", help));
        };
        println!("cargo::rerun-if-env-changed={REPORT_VARIABLE}");
        let asked = std::env::var_os(REPORT_VARIABLE).is_some_and(|value| !value.is_empty() && value != "0");
        let (code, report) = self.run()?;
        for warning in self.warnings(&report, asked) {
            println!("cargo::warning={}: {warning}", self.schema.name());
        }
        let path = Path::new(&out).join(&self.output);
        if std::fs::read(&path).is_ok_and(|present| present == code.as_bytes()) {
            return Ok(());
        }
        std::fs::write(&path, code).map_err(|error| {
            Error::file(&path.display().to_string(), format!("cannot be written: {error}"), "")
        })
    }

    /// The generated code as text, for a program that keeps it in its tree or looks at it in a test.
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub fn generate_code(&self) -> Result<String, Error> {
        self.run().map(|(code, _)| code)
    }

    /// As [`generate_code`](Self::generate_code), with the problems as a `compile_error!` instead of an `Err`: the compiler then
    /// shows them where the code is included, which editors underline.
    #[must_use]
    pub fn generate_code_or_compile_error(&self) -> String {
        self.generate_code()
            .unwrap_or_else(|error| format!("compile_error! {{ {:?} }}\n", format!("\n{error}")))
    }

    /// What the classes waste, as it stands at the top of the generated file: a line for all of them, and a table.
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub fn waste_report(&self) -> Result<String, Error> {
        self.run().map(|(_, report)| report.lines.join("\n"))
    }

    /// The lines of the report that are worth a warning: all of them if [`REPORT_VARIABLE`] asks, otherwise those that can be acted upon.
    fn warnings(&self, report: &Report, asked: bool) -> Vec<String> {
        if asked {
            return report.lines.iter().filter(|line| !line.is_empty()).cloned().collect();
        }
        let (waste, least) = (report.waste_permille, report.least_permille);
        match self.warn_above_percent {
            Some(percent) if percent > 0 && waste <= percent.saturating_mul(10) => Vec::new(),
            Some(_) => vec![report.lines[0].clone()],
            None if waste - least.min(waste) >= WASTE_AVOIDABLE_PERMILLE => vec![format!(
                "the classes waste {} % of their buffers; {CLASSES_MAX} of them would waste {} %: `Config::classes_max({CLASSES_MAX})`",
                emit::percent(waste),
                emit::percent(least),
            )],
            None => Vec::new(),
        }
    }

    fn run(&self) -> Result<(String, Report), Error> {
        let schema_file = self.schema.name();
        let schema = Schema::parse(&schema_file, &self.schema.read()?, self.size_max)?;
        let sizes = || schema.messages.iter().map(|message| message.size.max);
        let classes = Classes::choose(sizes(), self.classes_max);
        let services_file = self.services.as_ref().map(Source::name);
        let services = match &self.services {
            Some(source) => {
                services::parse(&source.name(), &source.read()?, &schema, &classes, &self.wanted)?
            }
            None => match self.wanted.first() {
                Some(name) => {
                    let help = "expected `Config::services(\"config.toml\")` with it";
                    return Err(Error::file(
                        &schema_file,
                        format!("no file names the service `{name}`"),
                        help,
                    ));
                }
                None => Vec::new(),
            },
        };
        let report = Report::new(&schema, &classes);
        // The generated file is the same wherever it is built, so it names the files without their directories.
        let short = |path: &Path| {
            path.file_name().map_or_else(String::new, |name| yaml::shortened(&name.to_string_lossy()))
        };
        let services_name = self.services.as_ref().map(|source| short(&source.path));
        debug_assert_eq!(services_file.is_some(), services_name.is_some());
        let input = emit::Input {
            schema_file: &short(&self.schema.path),
            services_file: services_name.as_deref(),
            schema: &schema,
            classes: &classes,
            report: &report,
            services: &services,
        };
        Ok((emit::file(&input), report))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(config: &Config, asked: bool) -> Vec<String> {
        let (_, report) = config.run().unwrap_or_else(|error| panic!("{error}"));
        config.warnings(&report, asked)
    }

    #[test]
    fn waste_is_told_where_something_can_be_done_about_it_and_on_request() {
        // One message of 84 bytes wastes a third of the smallest buffer, and nothing helps.
        let small = Config::from_text("messages:\n  - {name: Swap, fields: {a: 'bytes[84]'}}\n");
        assert_eq!(warnings(&small, false), [""; 0]);
        let line = "1 class wastes 34.3 % of their buffers' bytes when each message fills one; powers of two would waste 34.3 %.";
        for percent in [0, 34] {
            assert_eq!(warnings(&small.clone().warn_above_percent(percent), false), [line]);
        }
        assert_eq!(warnings(&small.clone().warn_above_percent(35), false), [""; 0]);
        let table = ["  class  buffers  waste  messages", "    128     1024  34.3%  Swap (84)"];
        assert_eq!(warnings(&small, true), [line, table[0], table[1]]);
        assert_eq!(small.waste_report().as_deref(), Ok([line, "", table[0], table[1]].join("\n").as_str()));
        assert!(small.generate_code().is_ok_and(|code| table.iter().all(|line| code.contains(line))));
        // Sixteen sizes, each twice the one before, and two classes for them.
        let fields = (0..16).map(|i| format!("  - {{name: M{i}, fields: {{a: 'bytes[{}]'}}}}\n", 128 << i));
        let wide = Config::from_text(format!("messages:\n{}", fields.collect::<String>())).classes_max(2);
        let told = "the classes waste 56.7 % of their buffers; 16 of them would waste 0.0 %: `Config::classes_max(16)`";
        assert_eq!(warnings(&wide, false), [told]);
        assert_eq!(warnings(&wide.classes_max(16), false), [""; 0]);
    }
}
