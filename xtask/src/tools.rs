//! The tools a stage needs: asks rustup for them when they are missing.
//!
//! Owns the names of the toolchains and how a missing piece is had. It installs toolchains, components and targets
//! through rustup and nothing else. Limit: where there is no rustup (a distribution's own Rust) what is missing
//! stays missing, and the stage says so by name.

use crate::run::{Context, Run, answers};

/// The compiler for miri, sanitizers and fuzzing.
pub(crate) const NIGHTLY: &str = "nightly";

/// Makes sure of a toolchain with components (`rust-src`, `miri` …). The error is the reason it cannot be had.
pub(crate) fn toolchain(context: &Context, name: &str, components: &[&str]) -> Result<(), String> {
    need_rustup()?;
    if !rustup(context, &["run", name, "rustc", "--version"]).quiet().capture_any()?.0.success() {
        println!("installing the {name} toolchain");
        rustup(context, &["toolchain", "install", name, "--profile", "minimal"])
            .go()
            .map_err(|error| format!("toolchain {name} cannot be had: {error}"))?;
    }
    let list =
        rustup(context, &["component", "list", "--installed", "--toolchain", name]).quiet().capture()?;
    for component in components {
        let has = |line: &str| line == *component || line.starts_with(&format!("{component}-"));
        if !list.lines().any(has) {
            println!("installing {component} for {name}");
            rustup(context, &["component", "add", component, "--toolchain", name])
                .go()
                .map_err(|error| format!("component {component} of {name} cannot be had: {error}"))?;
        }
    }
    Ok(())
}

/// Makes sure of a compilation target of the default toolchain.
pub(crate) fn target(context: &Context, triple: &str) -> Result<(), String> {
    need_rustup()?;
    let list = rustup(context, &["target", "list", "--installed"]).quiet().capture()?;
    if list.lines().any(|line| line == triple) {
        return Ok(());
    }
    println!("installing the target {triple}");
    rustup(context, &["target", "add", triple]).go().map_err(|error| format!("target {triple}: {error}"))
}

/// The triple of this machine, as the default compiler names it.
pub(crate) fn host(context: &Context) -> Result<String, String> {
    let text = Run::new("rustc", &context.root).arg("-vV").quiet().capture()?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc -vV names no host".to_owned())
}

/// True when C can be compiled and made: what jemalloc's build script asks for.
pub(crate) fn has_c_and_make() -> bool {
    answers("make", "--version") && (answers("cc", "--version") || answers("gcc", "--version"))
}

fn need_rustup() -> Result<(), String> {
    if answers("rustup", "--version") { Ok(()) } else { Err("rustup is not installed".to_owned()) }
}

fn rustup(context: &Context, arguments: &[&str]) -> Run {
    Run::new("rustup", &context.root).args(arguments)
}
