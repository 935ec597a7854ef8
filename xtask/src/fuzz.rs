//! `cargo xtask fuzz [target] [--seconds N]`: the targets of `fuzz/`, with libFuzzer and AddressSanitizer.
//!
//! Owns the flags that cargo-fuzz would set, so that a fresh machine needs no further tool; the folder keeps
//! cargo-fuzz's layout and works with it too. Findings land in `fuzz/artifacts/TARGET`, the corpus in
//! `fuzz/corpus/TARGET`. Limits: needs the nightly compiler and a C++ compiler for libFuzzer itself; x86-64 and
//! aarch64, Linux and macOS.

use std::path::PathBuf;
use std::time::Duration;

use crate::run::{Context, Outcome, StageResult, answers, with_flags};
use crate::tools;

/// Seconds a target runs unless `--seconds` says otherwise.
const SECONDS: u64 = 60;

/// Longest input. Models decode operations from bytes, and 4 KiB are some hundred of them.
const INPUT_BYTES_MAX: usize = 4096;

/// Coverage counters, comparison tracing and the sanitizer: what libFuzzer steers by.
const FLAGS: &str = "--cfg fuzzing -Cdebug-assertions -Ccodegen-units=1 -Zsanitizer=address \
    -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// `cargo xtask fuzz [target] [--seconds N]`.
pub(crate) fn run(context: &Context, arguments: &[String]) -> StageResult {
    let (wanted, seconds) = parse(arguments)?;
    if let Err(reason) = tools::toolchain(context, tools::NIGHTLY, &[]) {
        return Ok(Outcome::Skipped(reason));
    }
    let host = tools::host(context)?;
    if !(host.contains("linux") || host.contains("apple")) {
        return Ok(Outcome::Skipped(format!("libFuzzer is not built for {host}")));
    }
    if !["c++", "g++", "clang++"].iter().any(|compiler| answers(compiler, "--version")) {
        return Ok(Outcome::Skipped("libFuzzer is C++, and no C++ compiler was found".to_owned()));
    }
    let folder = context.root.join("fuzz");
    let all = targets(context)?;
    let chosen = match wanted {
        Some(name) if !all.contains(&name) => {
            return Err(format!("no fuzz target is called `{name}`; there are {}", all.join(", ")));
        }
        Some(name) => vec![name],
        None => all,
    };
    let directory = context.flavour("fuzz");
    let mut build = context.cargo_on(Some(tools::NIGHTLY)).args(["build", "--release", "--target", &host]);
    build = build.arg("--manifest-path").arg(folder.join("Cargo.toml"));
    for name in &chosen {
        build = build.args(["--bin", name]);
    }
    build
        .env("CARGO_TARGET_DIR", &directory)
        .env("RUSTFLAGS", with_flags("RUSTFLAGS", FLAGS))
        // The workspace's release profile links slowly for speed that a fuzzer does not need.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .go()?;
    let mut failed = Vec::new();
    for name in &chosen {
        let corpus = made(folder.join("corpus").join(name))?;
        let artifacts = made(folder.join("artifacts").join(name))?;
        let binary = directory.join(&host).join("release").join(name);
        let fuzzer = crate::run::Run::new(binary, &folder)
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-max_len={INPUT_BYTES_MAX}"))
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            // One input that takes 10 s or 1 GiB is a finding too: nothing from outside may cost that much.
            .args(["-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1"])
            .arg(corpus)
            .deadline(Duration::from_secs(seconds + 120));
        let log = directory.join(format!("{name}.log"));
        let result = fuzzer.go_into(&log);
        let text =
            std::fs::read(&log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        match result {
            Ok(()) => println!("{name}: {}", summary(&text)),
            Err(reason) => {
                println!("{text}\n{name}: {reason}\n{name}: the input is in {}", artifacts.display());
                failed.push(name.as_str());
            }
        }
    }
    if failed.is_empty() { Ok(Outcome::Passed) } else { Err(format!("findings in {}", failed.join(", "))) }
}

fn parse(arguments: &[String]) -> Result<(Option<String>, u64), String> {
    let (mut target, mut seconds) = (None, SECONDS);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => {
                let value = words.next().ok_or("--seconds needs a number")?;
                seconds = value.parse().map_err(|_| format!("--seconds: `{value}` is no whole number"))?;
            }
            flag if flag.starts_with('-') => return Err(format!("fuzz does not know {flag}")),
            name if target.is_none() => target = Some(name.to_owned()),
            more => return Err(format!("one target at most; `{more}` is the second")),
        }
    }
    Ok((target, seconds))
}

/// What a run without findings did, from libFuzzer's closing figures.
fn summary(log: &str) -> String {
    let figure = |name: &str| {
        let line = log.lines().find_map(|line| line.strip_prefix(&format!("stat::{name}:")));
        line.map_or("?", str::trim).to_owned()
    };
    let covered = log
        .lines()
        .rev()
        .find_map(|line| line.split_once(" cov: "))
        .map_or("?", |(_, rest)| rest.split_whitespace().next().unwrap_or("?"));
    format!(
        "{} inputs, {} a second, {covered} edges, {} MiB",
        figure("number_of_executed_units"),
        figure("average_exec_per_sec"),
        figure("peak_rss_mb")
    )
}

/// The binaries of `fuzz/Cargo.toml`.
fn targets(context: &Context) -> Result<Vec<String>, String> {
    let command = context
        .cargo()
        .args(["metadata", "--format-version=1", "--no-deps", "--manifest-path"])
        .arg(context.root.join("fuzz").join("Cargo.toml"))
        .quiet();
    let packages = crate::workspace::parse(&command.capture()?)?;
    let names: Vec<String> = packages.into_iter().flat_map(|package| package.binaries).collect();
    if names.is_empty() { Err("fuzz/Cargo.toml names no target".to_owned()) } else { Ok(names) }
}

fn made(directory: PathBuf) -> Result<PathBuf, String> {
    std::fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_figures_are_read() {
        let log = "#2 INITED cov: 9 ft: 9\n#512 NEW    cov: 23 ft: 40 corp: 3\nDone\n\
                   stat::number_of_executed_units: 512\nstat::average_exec_per_sec:     85\nstat::peak_rss_mb: 40\n";
        assert_eq!(summary(log), "512 inputs, 85 a second, 23 edges, 40 MiB");
        assert_eq!(summary(""), "? inputs, ? a second, ? edges, ? MiB");
    }

    #[test]
    fn arguments_are_taken_in_any_order() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(parse(&words("")), Ok((None, SECONDS)));
        assert_eq!(parse(&words("buf --seconds 5")), Ok((Some("buf".into()), 5)));
        assert_eq!(parse(&words("--seconds 5 buf")), Ok((Some("buf".into()), 5)));
        for line in ["--seconds", "--seconds five", "--fast", "a b"] {
            assert!(parse(&words(line)).is_err(), "{line}");
        }
    }
}
