//! The command line of `bolt pages`: names and options as bbolt's own command has them, and what that one lacks.
//!
//! Owns no behaviour: it turns words into [`Pages`] and never opens a file.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

use crate::args::{Command, UsageError};
use crate::pages_text::{Format, parse_hex};

/// How long a command waits for a writer of the file to go away, unless `--timeout` says otherwise.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of keys and values a transaction of `compact` takes, as in bbolt.
const TX_MAX_SIZE: u64 = 65_536;

/// Everything of `bolt pages`.
#[derive(Debug)]
pub(crate) struct Pages {
    pub(crate) file: PathBuf,
    /// How long to wait for a writer; `None` for ever.
    pub(crate) timeout: Option<Duration>,
    pub(crate) action: Action,
}

/// What is asked of the file.
#[derive(Debug)]
pub(crate) enum Action {
    Check {
        from_page: Option<u64>,
        older: bool,
    },
    Info {
        verbose: bool,
    },
    Stats {
        prefix: Vec<u8>,
    },
    /// The canonical dump, or a hexadecimal one of these pages.
    Dump {
        pages: Vec<u64>,
    },
    Pages,
    Page {
        pages: Vec<u64>,
        all: bool,
        format: Format,
    },
    PageItem {
        page: u64,
        item: u64,
        key: bool,
        value: bool,
        format: Format,
    },
    Buckets,
    Keys {
        path: Vec<Vec<u8>>,
        format: Format,
    },
    Get {
        path: Vec<Vec<u8>>,
        key: Vec<u8>,
        format: Format,
    },
    Inspect,
    Map {
        output: Option<PathBuf>,
    },
    Compact {
        output: PathBuf,
        tx_max_size: u64,
        no_sync: bool,
    },
    Backup {
        output: PathBuf,
    },
    Repair {
        output: PathBuf,
        salvage: bool,
    },
}

fn usage(message: impl Into<String>) -> UsageError {
    UsageError::pages(message)
}

/// Reads the words after `bolt pages`.
pub(crate) fn parse(parser: &mut lexopt::Parser) -> Result<Command, UsageError> {
    let mut words: Vec<OsString> = Vec::new();
    let mut options = Options::default();
    while let Some(arg) = parser.next().map_err(|e| usage(e.to_string()))? {
        match arg {
            Short('h') | Long("help") => return Ok(Command::Help(HELP)),
            Value(word) => words.push(word),
            Short('o') | Long("output") => options.output = Some(path(parser)?),
            Short('f') | Long("format" | "format-value") => options.format = Some(text(parser, "--format")?),
            Long("parse-format") => options.parse_format = Some(text(parser, "--parse-format")?),
            Long("from-page") => options.from_page = Some(number(&text(parser, "--from-page")?)?),
            Long("timeout") => options.timeout = Some(text(parser, "--timeout")?),
            Long("tx-max-size") => options.tx_max_size = Some(number(&text(parser, "--tx-max-size")?)?),
            Long("no-sync") => options.flags.push("--no-sync"),
            Long("salvage") => options.flags.push("--salvage"),
            Long("all") => options.flags.push("--all"),
            Long("older") => options.flags.push("--older"),
            Long("key-only") => options.flags.push("--key-only"),
            Long("value-only") => options.flags.push("--value-only"),
            Short('v') | Long("verbose") => options.flags.push("--verbose"),
            other => return Err(usage(other.unexpected().to_string())),
        }
    }
    let mut words = words.into_iter();
    let Some(name) = words.next() else {
        return Err(usage("no pages command given: expected `check`, `info`, `stats`, `dump` or another"));
    };
    let name = name.into_string().map_err(|name| usage(format!("unknown pages command {name:?}")))?;
    if name == "help" {
        return Ok(Command::Help(HELP));
    }
    let Some(file) = words.next() else { return Err(usage(format!("`pages {name}` needs a database file"))) };
    let rest: Vec<OsString> = words.collect();
    let timeout = match options.timeout.as_deref() {
        None => Some(LOCK_TIMEOUT),
        Some("none") => None,
        Some(word) => Some(seconds(word)?),
    };
    let action = action(&name, rest, &mut options)?;
    options.all_used(&name)?;
    Ok(Command::Pages(Pages { file: file.into(), timeout, action }))
}

/// Options as given; each is taken out by the command that knows it.
#[derive(Default)]
struct Options {
    output: Option<PathBuf>,
    format: Option<String>,
    parse_format: Option<String>,
    from_page: Option<u64>,
    tx_max_size: Option<u64>,
    timeout: Option<String>,
    flags: Vec<&'static str>,
}

impl Options {
    fn flag(&mut self, name: &str) -> bool {
        let before = self.flags.len();
        self.flags.retain(|flag| *flag != name);
        self.flags.len() < before
    }

    fn format(&mut self) -> Result<Format, UsageError> {
        match self.format.take() {
            None => Ok(Format::Auto),
            Some(word) => Format::named(&word).ok_or_else(|| {
                usage(format!(
                    "--format {word:?} is not known: expected auto, ascii-encoded, hex, bytes or redacted"
                ))
            }),
        }
    }

    fn output(&mut self, what: &str) -> Result<PathBuf, UsageError> {
        self.output.take().ok_or_else(|| {
            usage(format!("{what}: name the new file with -o FILE, or -o - for standard output"))
        })
    }

    /// A new file that is written here and there, so no pipe.
    fn file(&mut self, what: &str) -> Result<PathBuf, UsageError> {
        let output = self.output(what)?;
        if output.as_os_str() == "-" {
            return Err(usage(format!("{what} writes a database in place: name a file with -o FILE")));
        }
        Ok(output)
    }

    /// An option that the command does not know is a mistake, not a wish to be passed over.
    fn all_used(&self, name: &str) -> Result<(), UsageError> {
        let left = [
            ("-o", self.output.is_some()),
            ("--format", self.format.is_some()),
            ("--parse-format", self.parse_format.is_some()),
            ("--from-page", self.from_page.is_some()),
            ("--tx-max-size", self.tx_max_size.is_some()),
        ];
        let left =
            left.iter().find(|(_, given)| *given).map(|(option, _)| *option).or(self.flags.first().copied());
        left.map_or(Ok(()), |option| Err(usage(format!("`pages {name}` has no option {option}"))))
    }
}

fn action(name: &str, rest: Vec<OsString>, options: &mut Options) -> Result<Action, UsageError> {
    let numbers = |words: Vec<OsString>| -> Result<Vec<u64>, UsageError> {
        words.into_iter().map(|word| number(&word.to_string_lossy())).collect()
    };
    let nothing = |rest: &[OsString]| match rest.first() {
        Some(word) => Err(usage(format!("`pages {name}` takes one file, and {word:?} was given as well"))),
        None => Ok(()),
    };
    Ok(match name {
        "check" => {
            nothing(&rest)?;
            Action::Check {
                from_page: options.from_page.take().filter(|page| *page != 0),
                older: options.flag("--older"),
            }
        }
        "info" => {
            nothing(&rest)?;
            Action::Info { verbose: options.flag("--verbose") }
        }
        "stats" => {
            nothing(rest.get(1..).unwrap_or(&[]))?;
            Action::Stats { prefix: rest.into_iter().next().map(bytes).transpose()?.unwrap_or_default() }
        }
        "dump" => Action::Dump { pages: numbers(rest)? },
        "pages" => {
            nothing(&rest)?;
            Action::Pages
        }
        "page" => {
            let (pages, all) = (numbers(rest)?, options.flag("--all"));
            if pages.is_empty() != all {
                return Err(usage("`pages page` takes page numbers, or --all"));
            }
            Action::Page { pages, all, format: options.format()? }
        }
        "page-item" => {
            let [page, item] = numbers(rest)?[..] else {
                return Err(usage("`pages page-item` takes a file, a page and an item"));
            };
            let (key, value) = (options.flag("--key-only"), options.flag("--value-only"));
            if key && value {
                return Err(usage("--key-only and --value-only exclude each other"));
            }
            Action::PageItem { page, item, key: !value, value: !key, format: options.format()? }
        }
        "buckets" => {
            nothing(&rest)?;
            Action::Buckets
        }
        "keys" => {
            if rest.is_empty() {
                return Err(usage("`pages keys` takes a file and the names down to a bucket"));
            }
            let path = rest.into_iter().map(bytes).collect::<Result<_, _>>()?;
            Action::Keys { path, format: options.format()? }
        }
        "get" => {
            let mut path = rest.into_iter().map(bytes).collect::<Result<Vec<_>, _>>()?;
            let key = path.pop().filter(|_| !path.is_empty());
            let Some(mut key) = key else {
                return Err(usage("`pages get` takes a file, the names down to a bucket, and a key"));
            };
            match options.parse_format.take().as_deref() {
                None | Some("ascii-encoded") => {}
                Some("hex") => {
                    let hex = key;
                    key = parse_hex(&hex).ok_or_else(|| {
                        usage(format!("the key {:?} is not hexadecimal", String::from_utf8_lossy(&hex)))
                    })?;
                }
                Some(word) => {
                    return Err(usage(format!(
                        "--parse-format {word:?} is not known: expected ascii-encoded or hex"
                    )));
                }
            }
            if key.is_empty() {
                return Err(usage("the key is empty, and no database holds such a key"));
            }
            Action::Get { path, key, format: options.format()? }
        }
        "inspect" => {
            nothing(&rest)?;
            Action::Inspect
        }
        "map" => {
            nothing(&rest)?;
            Action::Map { output: options.output.take().filter(|path| path.as_os_str() != "-") }
        }
        "compact" => {
            nothing(&rest)?;
            Action::Compact {
                output: options.file("pages compact")?,
                tx_max_size: options.tx_max_size.take().unwrap_or(TX_MAX_SIZE),
                no_sync: options.flag("--no-sync"),
            }
        }
        "backup" => {
            nothing(&rest)?;
            Action::Backup { output: options.output("pages backup")? }
        }
        "repair" => {
            nothing(&rest)?;
            if options.flag("--salvage") {
                Action::Repair { output: options.file("pages repair --salvage")?, salvage: true }
            } else {
                Action::Repair { output: options.output("pages repair")?, salvage: false }
            }
        }
        _ => return Err(usage(format!("unknown pages command {name:?}"))),
    })
}

fn path(parser: &mut lexopt::Parser) -> Result<PathBuf, UsageError> {
    parser.value().map(PathBuf::from).map_err(|e| usage(e.to_string()))
}

fn text(parser: &mut lexopt::Parser, option: &str) -> Result<String, UsageError> {
    let value = parser.value().map_err(|e| usage(e.to_string()))?;
    value.into_string().map_err(|value| usage(format!("{option} {value:?} is not UTF-8")))
}

fn number(word: &str) -> Result<u64, UsageError> {
    word.parse().map_err(|_| usage(format!("{word:?} is no page number or size: expected a whole number")))
}

fn seconds(word: &str) -> Result<Duration, UsageError> {
    let parsed = word.parse::<f64>().ok().filter(|seconds| *seconds >= 0.0);
    parsed.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).ok_or_else(|| {
        usage(format!("--timeout {word:?}: expected seconds such as 2.5, or `none` to wait for ever"))
    })
}

/// A name or key as bytes: what the shell passed, exactly.
#[cfg(unix)]
fn bytes(word: OsString) -> Result<Vec<u8>, UsageError> {
    Ok(std::os::unix::ffi::OsStringExt::into_vec(word))
}

#[cfg(not(unix))]
fn bytes(word: OsString) -> Result<Vec<u8>, UsageError> {
    word.into_string().map(String::into_bytes).map_err(|word| usage(format!("{word:?} is not Unicode")))
}

/// `bolt pages --help`.
pub(crate) const HELP: &str = "\
bolt pages - look into, check, copy and repair a bbolt database file, etcd's included

Usage: bolt pages COMMAND FILE [ARGUMENTS]

Looking (names, arguments and output as bbolt's own command has them):
  check FILE               every rule of the format; exit 0 sound, 1 not
      --from-page N        only the tree under page N
      --older              the state before the last commit instead
  info FILE [-v]           page size; -v: both metas, file size, free pages
  stats FILE [PREFIX]      pages, tree, fill and buckets, of the buckets whose names begin with PREFIX
  pages FILE               a table of all pages
  page FILE N... | --all   pages in words                     [--format-value FORMAT]
  page-item FILE N ITEM    one element of a leaf              [--key-only | --value-only] [--format FORMAT]
  dump FILE N...           pages in hexadecimal
  buckets FILE             names of the top-level buckets
  keys FILE BUCKET...      keys of a bucket                   [--format FORMAT]
  get FILE BUCKET... KEY   a value  [--format FORMAT] [--parse-format ascii-encoded|hex]
  inspect FILE             the tree of buckets as JSON

And what that one lacks:
  dump FILE                everything as text, the same for the same contents
  map FILE [-o OUT.svg]    a picture: a square a page, by kind, fill, free and pending

New files from old (FILE itself is never changed; -o - writes to standard output where it can):
  compact -o DST FILE      the contents alone         [--tx-max-size BYTES] [--no-sync]
  backup -o DST FILE       every page in use
  repair -o DST FILE       the newest state whose tree is whole, its free list made anew
      --salvage            if no tree is whole: every pair that can still be reached

Options:
      --timeout S          how long to wait for a writer of FILE (10), or `none`
  FORMAT is auto, ascii-encoded, hex, bytes or redacted.

Examples:
  bolt pages check member/snap/db && echo sound
  bolt pages keys member/snap/db key --format hex | head
  bolt pages map app.db -o app.svg

Exit codes: 0 done or sound, 1 damaged or not to be read, 2 the command line is wrong.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Command, UsageError> {
        let mut parser = lexopt::Parser::from_args(line.split_whitespace().map(OsString::from));
        parse(&mut parser)
    }

    fn action_of(line: &str) -> Action {
        match words(line) {
            Ok(Command::Pages(pages)) => {
                assert_eq!(pages.file, PathBuf::from("f.db"));
                pages.action
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn every_command_is_understood() {
        assert!(matches!(
            action_of("check f.db --from-page 7"),
            Action::Check { from_page: Some(7), older: false }
        ));
        assert!(matches!(action_of("check f.db --from-page 0"), Action::Check { from_page: None, .. }));
        assert!(matches!(action_of("info f.db"), Action::Info { verbose: false }));
        assert!(matches!(action_of("stats f.db te"), Action::Stats { prefix } if prefix == b"te"));
        assert!(matches!(action_of("dump f.db"), Action::Dump { pages } if pages.is_empty()));
        assert!(matches!(action_of("dump f.db 3 4"), Action::Dump { pages } if pages == [3, 4]));
        assert!(matches!(action_of("page --all f.db"), Action::Page { all: true, .. }));
        assert!(matches!(
            action_of("page-item f.db 3 0 --key-only"),
            Action::PageItem { key: true, value: false, .. }
        ));
        assert!(
            matches!(action_of("keys f.db a b -f hex"), Action::Keys { path, format: Format::Hex } if path.len() == 2)
        );
        assert!(
            matches!(action_of("get f.db a 6b31 --parse-format hex"), Action::Get { key, .. } if key == b"k1")
        );
        assert!(matches!(action_of("map f.db -o -"), Action::Map { output: None }));
        assert!(matches!(action_of("repair f.db -o x --salvage"), Action::Repair { salvage: true, .. }));
        let compact = action_of("compact -o x f.db");
        assert!(matches!(compact, Action::Compact { tx_max_size: TX_MAX_SIZE, no_sync: false, .. }));
        for name in ["pages", "buckets", "inspect"] {
            action_of(&format!("{name} f.db"));
        }
    }

    #[test]
    fn mistakes_say_what_to_do() {
        for (line, part) in [
            ("", "no pages command"),
            ("polish f.db", "unknown pages command"),
            ("check", "needs a database file"),
            ("check f.db g.db", "one file"),
            ("check f.db --all", "no option --all"),
            ("page f.db", "page numbers, or --all"),
            ("page f.db x", "whole number"),
            ("page-item f.db 3", "a page and an item"),
            ("page-item f.db 3 4 --key-only --value-only", "exclude"),
            ("keys f.db", "names down to a bucket"),
            ("get f.db bucket", "and a key"),
            ("get f.db b zz --parse-format hex", "not hexadecimal"),
            ("keys f.db b --format xml", "ascii-encoded, hex"),
            ("backup f.db", "-o FILE"),
            ("compact f.db", "-o FILE"),
            ("compact f.db -o -", "in place"),
            ("check f.db --timeout soon", "such as 2.5"),
        ] {
            let text = words(line).expect_err(line).to_string();
            assert!(text.contains(part), "{line:?} gave {text:?}");
            assert!(text.contains("hint: `bolt pages --help`"), "{text}");
        }
        assert!(matches!(words("--help"), Ok(Command::Help(_))));
    }
}
