//! `cargo xtask`: every check of the workspace, one command each.
//!
//! Owns the command line: it parses the words, finds the stage and says how it went. It holds no check of its own; each
//! stage is one module beside this file. Limits: it starts the tools of the Rust toolchain and the servers of the
//! interop suite, and never touches a file outside the target directory, the server cache and the system's
//! temporary directory.

#![forbid(unsafe_code)]

mod alone;
mod bench;
mod ci;
mod crash;
mod deny;
mod fuzz;
mod interop;
mod interop_pages;
mod loom;
mod probe;
mod run;
mod sanitize;
mod servers;
mod source;
mod targets;
mod test;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

use run::{Context, Outcome, StageResult};

/// One command: its name, what stands behind it on the usage page, and the function that runs it.
pub(crate) struct Command {
    pub(crate) name: &'static str,
    arguments: &'static str,
    about: &'static str,
    pub(crate) run: fn(&Context, &[String]) -> StageResult,
}

const fn command(
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(&Context, &[String]) -> StageResult,
) -> Command {
    Command { name, arguments, about, run }
}

/// Every command, in the order of the usage page.
pub(crate) const COMMANDS: &[Command] = &[
    command("test", "", "format, clippy, unit, integration and doc tests, docs pages, tidy", test::run),
    command("tidy", "", "layering, unsafe and atomics in their files, headers, pages, words", tidy::run),
    command("loom", "[crate]", "the loom models of every crate that has them", loom::run),
    command("miri", "[crate]", "the tests of crates with unsafe under miri", sanitize::miri),
    command("asan", "[crate]", "the tests of crates with unsafe under AddressSanitizer", sanitize::asan),
    command("tsan", "[crate]", "the tests of crates with threads under ThreadSanitizer", sanitize::tsan),
    command("fuzz", "[target] [--seconds N]", "the fuzz targets, each for N seconds (60)", fuzz::run),
    command("bench", "[--smoke] [-- ARGS]", "the criterion suites; --smoke runs each once", bench::run),
    command("alone", "[crate]", "each library by itself: features, no_std, packaged tarball", alone::run),
    command(
        "crash",
        "[--images N] [--damages N] [--kill SECONDS] [--readers SECONDS]",
        "the page store after N (100,000) crashes, N (10,000) damages, kills (60 s), beside readers (60 s)",
        crash::run,
    ),
    command("targets", "", "type-check for Windows, 32-bit x86 and aarch64", targets::run),
    command("msrv", "", "type-check with the oldest supported compiler", targets::msrv),
    command("deny", "", "licences of every dependency (cargo-deny too, where installed)", deny::run),
    command(
        "interop",
        "[--all | SERVER...] [--records N]",
        "the suite against real servers; the official driver against ours; pages: our store against bbolt",
        interop::run,
    ),
    command(
        "servers",
        "start|check|fetch|list",
        "real Bolt servers on loopback, for tests by hand",
        servers::run,
    ),
    command("demo", "", "the newcomer's first command, timed", bench::demo),
    command("ci", "[stage]...", "all of the above in smoke size, a line per stage with its seconds", ci::run),
];

fn usage() -> String {
    let mut text = String::from("usage: cargo xtask <command>\n\n");
    for command in COMMANDS {
        let left = format!("{} {}", command.name, command.arguments);
        text += &format!("  {left:41} {}\n", command.about);
    }
    text + "\nEnvironment: CARGO_TARGET_DIR moves every build; BOLT_SERVER_CACHE moves the fetched servers.\n\
            docs/testing.md tells what each stage needs.\n"
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let Some(name) = words.next() else {
        print!("{}", usage());
        return ExitCode::from(2);
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        eprint!("xtask: no command is called `{name}`\n\n{}", usage());
        return ExitCode::from(2);
    };
    let arguments: Vec<String> = words.collect();
    let result = Context::new().and_then(|context| {
        let outcome = (command.run)(&context, &arguments);
        for skip in context.take_skips() {
            eprintln!("xtask {name}: SKIPPED {skip}");
        }
        outcome
    });
    match result {
        Ok(Outcome::Passed) => ExitCode::SUCCESS,
        Ok(Outcome::Skipped(reason)) => {
            eprintln!("xtask {name}: SKIPPED {reason}");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("xtask {name}: {reason}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_named_once_and_described() {
        for (at, command) in COMMANDS.iter().enumerate() {
            assert!(COMMANDS[..at].iter().all(|other| other.name != command.name), "{} twice", command.name);
            assert!(!command.about.is_empty());
            assert!(usage().contains(command.name));
        }
    }
}
