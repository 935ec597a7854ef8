//! `cargo xtask miri`, `asan` and `tsan`: the tests of every crate with unsafe code or with threads, under a judge.
//!
//! Owns the flags of each: miri with strict provenance, AddressSanitizer with leak detection, ThreadSanitizer over a standard library that
//! is built with it, since one that is not hides the locks from it. Each has a target directory of its own. Limits: all need
//! the nightly compiler; miri cannot run C, so default features and those that a crate's tests take by a development dependency on the crate
//! itself, and no documentation tests; tests shorten themselves under `cfg(miri)`, and may under `cfg(bolt_tsan)`.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::run::{Context, Outcome, Run, StageResult, with_flags};
use crate::{tidy, tools, workspace};

const DEADLINE: Duration = Duration::from_secs(30 * 60);

/// ThreadSanitizer takes a minute for the standard library and seconds for the tests; what takes longer is to be shortened.
const TSAN_DEADLINE: Duration = Duration::from_secs(12 * 60);

/// `cargo xtask miri [crate]`.
pub(crate) fn miri(context: &Context, arguments: &[String]) -> StageResult {
    if let Err(reason) = tools::toolchain(context, tools::NIGHTLY, &["miri", "rust-src"]) {
        return Ok(Outcome::Skipped(reason));
    }
    let packages = judged(context, arguments)?;
    let target = context.flavour("miri");
    let run = |targets: &[&str]| {
        context
            .cargo_on(Some(tools::NIGHTLY))
            .args(["miri", "test", "--no-fail-fast"])
            .args(targets)
            .args(&packages)
            .env("CARGO_TARGET_DIR", &target)
            // Isolation off: property tests look at the clock and the environment.
            .env("MIRIFLAGS", with_flags("MIRIFLAGS", "-Zmiri-strict-provenance -Zmiri-disable-isolation"))
            // A panic that a test expects is printed, and a backtrace is seconds of interpretation.
            .env("RUST_BACKTRACE", "0")
            .env_default("PROPTEST_CASES", "4")
            .deadline(DEADLINE)
    };
    // The interpreter uses one core. Both halves build with the same features, so the second finds its libraries built.
    let halves = [("lib", run(&["--lib"])), ("tests", run(&["--test", "*"]))];
    std::fs::create_dir_all(&target).map_err(|error| format!("{}: {error}", target.display()))?;
    side_by_side(halves.map(|(name, run)| (target.join(format!("{name}.log")), run)))?;
    Ok(Outcome::Passed)
}

/// Runs all at once, prints what each said when all have ended, and names those that failed.
fn side_by_side<const N: usize>(runs: [(PathBuf, Run); N]) -> Result<(), String> {
    let ended = thread::scope(|scope| {
        let running = runs.map(|(log, run)| scope.spawn(move || (run.go_into(&log), log)));
        running
            .map(|thread| thread.join().map_err(|_| "a thread that waits for a command panicked".to_owned()))
    });
    let mut failed = Vec::new();
    for end in ended {
        let (result, log) = end?;
        match std::fs::read(&log) {
            Ok(said) => println!("{}", String::from_utf8_lossy(&said)),
            Err(error) => println!("{}: {error}", log.display()),
        }
        failed.extend(result.err());
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}

/// `cargo xtask asan [crate]`.
pub(crate) fn asan(context: &Context, arguments: &[String]) -> StageResult {
    if let Err(reason) = tools::toolchain(context, tools::NIGHTLY, &[]) {
        return Ok(Outcome::Skipped(reason));
    }
    let host = tools::host(context)?;
    if !(host.contains("linux") || host.contains("apple")) {
        return Ok(Outcome::Skipped(format!("AddressSanitizer is not built for {host}")));
    }
    let packages = judged(context, arguments)?;
    context
        .cargo_on(Some(tools::NIGHTLY))
        // A target named aloud keeps the sanitizer out of build scripts and procedural macros.
        .args(["test", "--lib", "--tests", "--no-fail-fast", "--target", &host])
        .args(packages)
        .env("CARGO_TARGET_DIR", context.flavour("asan"))
        .env("RUSTFLAGS", with_flags("RUSTFLAGS", "-Zsanitizer=address"))
        .env_default("ASAN_OPTIONS", "detect_leaks=1:detect_stack_use_after_return=1")
        .deadline(DEADLINE)
        .go()?;
    Ok(Outcome::Passed)
}

/// `cargo xtask tsan [crate]`.
pub(crate) fn tsan(context: &Context, arguments: &[String]) -> StageResult {
    if let Err(reason) = tools::toolchain(context, tools::NIGHTLY, &["rust-src"]) {
        return Ok(Outcome::Skipped(reason));
    }
    let host = tools::host(context)?;
    if ![
        "x86_64-unknown-linux-gnu",
        "aarch64-unknown-linux-gnu",
        "aarch64-apple-darwin",
        "x86_64-apple-darwin",
    ]
    .contains(&host.as_str())
    {
        return Ok(Outcome::Skipped(format!("ThreadSanitizer is not built for {host}")));
    }
    let packages = workspace::select(workspace::load(context)?, arguments, tidy::has_threads)?;
    if packages.is_empty() {
        return Err("no crate has loom models or asks for tsan: was the manifest key renamed?".to_owned());
    }
    let packages = packages.into_iter().flat_map(|package| ["--package".to_owned(), package.name]);
    context
        .cargo_on(Some(tools::NIGHTLY))
        .args(["test", "-Zbuild-std", "--lib", "--tests", "--no-fail-fast", "--target", &host])
        .args(packages)
        .env("CARGO_TARGET_DIR", context.flavour("tsan"))
        .env("RUSTFLAGS", with_flags("RUSTFLAGS", "-Zsanitizer=thread --cfg bolt_tsan"))
        // A race fails the test binary, whatever its tests say of themselves.
        .env_default("TSAN_OPTIONS", "halt_on_error=1:second_deadlock_stack=1")
        .env_default("PROPTEST_CASES", "16")
        .deadline(TSAN_DEADLINE)
        .go()?;
    Ok(Outcome::Passed)
}

fn judged(context: &Context, arguments: &[String]) -> Result<Vec<String>, String> {
    let packages = workspace::select(workspace::load(context)?, arguments, tidy::wants_a_judge)?;
    if packages.is_empty() {
        return Err(
            "no crate lists unsafe files or has loom models: was the manifest key renamed?".to_owned()
        );
    }
    Ok(packages.into_iter().flat_map(|package| ["--package".to_owned(), package.name]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_side_by_side_all_end_and_the_failing_ones_are_named() {
        let folder = std::env::temp_dir().join(format!("boltstack-side-by-side-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let run =
            |word: &str| (folder.join(format!("{word}.log")), Run::new("cargo", &folder).arg(word).quiet());
        assert_eq!(side_by_side([run("--version"), run("--help")]), Ok(()));
        let error = side_by_side([run("no-such-command"), run("--version")]).unwrap_err();
        assert!(error.contains("no-such-command") && !error.contains("--version"), "{error}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
