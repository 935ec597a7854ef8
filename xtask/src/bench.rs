//! `cargo xtask bench [--smoke]` and `demo`: what is measured, and the newcomer's first command.
//!
//! Owns no figure: the suites in `benches/` print theirs. `--smoke` runs every benchmark once, which also checks the
//! answer each asserts before it times. Limit: rivals live in `benches/compare`, a workspace of its own with a
//! README that tells how to run it.

use std::time::{Duration, Instant};

use crate::run::{Context, Outcome, StageResult};

/// A full run of every suite.
const DEADLINE: Duration = Duration::from_secs(90 * 60);

/// The demo itself must end within this once it is built.
const DEMO_SECONDS_MAX: u64 = 20;

/// `cargo xtask bench [--smoke] [-- ARGS]`.
pub(crate) fn run(context: &Context, arguments: &[String]) -> StageResult {
    let mut command = context.cargo().arg("bench").deadline(DEADLINE);
    match arguments {
        [] => {}
        [smoke] if smoke == "--smoke" => {
            // Once through each benchmark: minutes of optimisation would be spent on seconds of running.
            command = command.args(["--", "--test"]).env("CARGO_TARGET_DIR", context.flavour("bench-smoke"));
            for (setting, value) in [("LTO", "off"), ("CODEGEN_UNITS", "16"), ("OPT_LEVEL", "1")] {
                command = command.env(&format!("CARGO_PROFILE_BENCH_{setting}"), value);
            }
        }
        [dashes, rest @ ..] if dashes == "--" => command = command.arg("--").args(rest),
        [other, ..] => return Err(format!("bench knows --smoke and -- ARGS, not `{other}`")),
    }
    command.go()?;
    Ok(Outcome::Passed)
}

/// `cargo xtask demo`: builds, then times the run alone.
pub(crate) fn demo(context: &Context, arguments: &[String]) -> StageResult {
    if let [unexpected, ..] = arguments {
        return Err(format!("demo takes no argument, and `{unexpected}` was given"));
    }
    context.cargo().args(["build", "--release"]).go()?;
    let started = Instant::now();
    context.cargo().args(["run", "--release", "--", "demo"]).deadline(Duration::from_secs(120)).go()?;
    let seconds = started.elapsed().as_secs_f64();
    println!("demo: {seconds:.1} s, of {DEMO_SECONDS_MAX} s at most");
    // A busy machine is no defect of the demo; the deadline above catches one that hangs.
    Ok(Outcome::Passed)
}
