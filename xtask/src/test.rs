//! `cargo xtask test`: format, clippy, unit, integration and doc tests, the pages of docs/, tidy.
//!
//! Owns the newcomer's second command: it must pass on a machine that has the Rust toolchain and nothing else. All
//! parts run even when one fails, and the end names those that did. Limit: features whose build script needs `make`
//! are left out, loudly, where there is none.

use std::time::Duration;

use crate::run::{Context, Outcome, Run, StageResult, with_flags};
use crate::{tidy, tools, workspace};

/// Features that build C with `make`: jemalloc's own build.
const NEEDS_MAKE: &[&str] = &["jemalloc"];

/// Clippy, the tests and the documentation of the whole workspace from an empty target directory take about five
/// minutes on two cores.
const DEADLINE: Duration = Duration::from_secs(40 * 60);

/// `cargo xtask test`.
pub(crate) fn run(context: &Context, arguments: &[String]) -> StageResult {
    if let [unexpected, ..] = arguments {
        return Err(format!("test takes no argument, and `{unexpected}` was given"));
    }
    let features = features(context)?;
    let cargo = |words: &[&str]| context.cargo().args(words).deadline(DEADLINE);
    let parts: [(&str, Run); 5] = [
        ("format", cargo(&["fmt", "--all", "--check"])),
        (
            "clippy",
            cargo(&["clippy", "--workspace", "--all-targets"]).args(&features).args(["--", "-D", "warnings"]),
        ),
        (
            "tests",
            cargo(&["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"]).args(&features),
        ),
        ("doc tests", cargo(&["test", "--workspace", "--doc", "--no-fail-fast"]).args(&features)),
        (
            "documentation",
            cargo(&["doc", "--workspace", "--no-deps", "--quiet"])
                .args(&features)
                .env("RUSTDOCFLAGS", with_flags("RUSTDOCFLAGS", "-D warnings")),
        ),
    ];
    let mut failed = Vec::new();
    for (name, command) in parts {
        if let Err(reason) = command.go() {
            println!("{name}: {reason}");
            failed.push(name);
        }
    }
    if let Err(reason) = tidy::run(context, &[]) {
        println!("tidy: {reason}");
        failed.push("tidy");
    }
    if failed.is_empty() { Ok(Outcome::Passed) } else { Err(format!("failed: {}", failed.join(", "))) }
}

/// `--all-features`, or all but those this machine cannot build.
fn features(context: &Context) -> Result<Vec<String>, String> {
    if tools::has_c_and_make() {
        return Ok(vec!["--all-features".to_owned()]);
    }
    context.skip("the jemalloc features: they need `make` and a C compiler, and this machine lacks one");
    let packages = workspace::load(context)?;
    let possible: Vec<String> = packages
        .iter()
        .flat_map(|package| package.features.iter().map(move |feature| (package, feature)))
        .filter(|(_, feature)| !NEEDS_MAKE.contains(&feature.as_str()))
        .map(|(package, feature)| format!("{}/{feature}", package.name))
        .collect();
    Ok(vec!["--features".to_owned(), possible.join(",")])
}
