//! `cargo xtask loom [crate]`: the models of every crate that has a `tests/loom.rs`.
//!
//! Owns the flags of that build: `--cfg bolt_loom`, optimised, debug assertions on, in a target directory of its own.
//! Limits: the preemption bound is 3 unless `LOOM_MAX_PREEMPTIONS` says otherwise, since an unbounded search of three
//! threads does not end in a working day; bugs that need more switches than that are beyond it.

use std::time::Duration;

use crate::run::{Context, Outcome, StageResult, with_flags};
use crate::workspace;

/// Ordinary models end within a minute; a search that exploded is ended here.
const DEADLINE: Duration = Duration::from_secs(20 * 60);

/// `cargo xtask loom [crate]`.
pub(crate) fn run(context: &Context, arguments: &[String]) -> StageResult {
    let has_models = |package: &workspace::Package| package.tests.iter().any(|test| test == "loom");
    let packages = workspace::select(workspace::load(context)?, arguments, has_models)?;
    if packages.is_empty() {
        return Err("no crate has a tests/loom.rs: were they moved?".to_owned());
    }
    for package in &packages {
        if !has_models(package) {
            return Err(format!("{} has no tests/loom.rs", package.name));
        }
        let mut command = context.cargo().args(["test", "--package", &package.name, "--test", "loom"]);
        if package.features.iter().any(|feature| feature == "loom") {
            command = command.args(["--features", "loom"]);
        }
        command
            .env("CARGO_TARGET_DIR", context.flavour("loom"))
            .env("RUSTFLAGS", with_flags("RUSTFLAGS", "--cfg bolt_loom"))
            .env("CARGO_PROFILE_DEV_OPT_LEVEL", "2")
            .env_default("LOOM_MAX_PREEMPTIONS", "3")
            .deadline(DEADLINE)
            .go()?;
    }
    Ok(Outcome::Passed)
}
