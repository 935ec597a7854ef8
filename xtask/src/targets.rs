//! `cargo xtask targets` and `msrv`: type-checks for other machines and for the oldest compiler.
//!
//! Owns the list of targets and how each is checked. Nothing is linked or run, so no foreign linker or C compiler is
//! needed. Limit: features that compile C (jemalloc, the embedded graph) are left to the machine's own builds.

use crate::run::{Context, Outcome, StageResult};
use crate::{tools, workspace};

/// One per promise: another operating system, 32-bit pointers, another processor with weaker memory order.
const TARGETS: &[&str] = &["x86_64-pc-windows-gnu", "i686-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// `cargo xtask targets`.
pub(crate) fn run(context: &Context, arguments: &[String]) -> StageResult {
    if let [unexpected, ..] = arguments {
        return Err(format!("targets takes no argument, and `{unexpected}` was given"));
    }
    let packages = workspace::load(context)?;
    let mut failed = Vec::new();
    for triple in TARGETS {
        if let Err(reason) = tools::target(context, triple) {
            context.skip(format!("{triple}: {reason}"));
            continue;
        }
        for (kind, features) in [(true, None), (false, Some("--no-default-features"))] {
            let names = of_kind(&packages, kind);
            if names.is_empty() {
                continue;
            }
            let command = context
                .cargo()
                .args(["check", "--target", triple])
                .args(names)
                .args(features)
                .env("CARGO_TARGET_DIR", context.flavour("targets"));
            if let Err(reason) = command.go() {
                println!("{triple}: {reason}");
                failed.push(*triple);
            }
        }
    }
    failed.dedup();
    if failed.is_empty() { Ok(Outcome::Passed) } else { Err(format!("failed: {}", failed.join(", "))) }
}

/// `cargo xtask msrv`: the published crates with the compiler that `rust-version` names.
pub(crate) fn msrv(context: &Context, arguments: &[String]) -> StageResult {
    if let [unexpected, ..] = arguments {
        return Err(format!("msrv takes no argument, and `{unexpected}` was given"));
    }
    let version =
        stated(&std::fs::read_to_string(context.root.join("Cargo.toml")).map_err(|e| e.to_string())?)?;
    if let Err(reason) = tools::toolchain(context, &version, &[]) {
        return Ok(Outcome::Skipped(reason));
    }
    let packages = workspace::load(context)?;
    for (library, features) in [(true, None), (false, Some("--no-default-features"))] {
        let names = of_kind(&packages, library);
        if !names.is_empty() {
            context
                .cargo_on(Some(&version))
                .arg("check")
                .args(names)
                .args(features)
                .env("CARGO_TARGET_DIR", context.flavour("msrv"))
                .go()?;
        }
    }
    Ok(Outcome::Passed)
}

/// The published libraries, or the published programs, as arguments.
fn of_kind(packages: &[workspace::Package], library: bool) -> Vec<&str> {
    let wanted = packages.iter().filter(|package| package.published && package.library == library);
    wanted.flat_map(|package| ["--package", package.name.as_str()]).collect()
}

/// The toolchain that the root manifest's `rust-version` names, with its patch number.
fn stated(manifest: &str) -> Result<String, String> {
    let line = manifest.lines().find_map(|line| line.trim().strip_prefix("rust-version"));
    let version = line.and_then(|line| line.split('"').nth(1)).ok_or("Cargo.toml states no rust-version")?;
    Ok(if version.matches('.').count() == 1 { format!("{version}.0") } else { version.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stated_version_gets_its_patch_number() {
        assert_eq!(stated("[workspace.package]\nrust-version = \"1.90\"\n").as_deref(), Ok("1.90.0"));
        assert_eq!(stated("rust-version = \"1.90.1\"").as_deref(), Ok("1.90.1"));
        assert!(stated("edition = \"2024\"").is_err());
    }
}
