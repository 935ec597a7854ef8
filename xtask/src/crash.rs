//! `cargo xtask crash [--images N]`: the page store's crash images and failing operations, in number.
//!
//! Owns the number; the tests in `crates/bbolt-pages/tests/it/crash.rs` own the workload, the images and the judgement. Limit: a crash of the
//! store's own making is simulated through its I/O seam; what a disk does beyond losing, reordering and tearing writes is not.

use std::time::Duration;

use crate::run::{Context, Outcome, StageResult};

/// Images of a full run.
const IMAGES: &str = "100000";
const DEADLINE: Duration = Duration::from_secs(30 * 60);

/// `cargo xtask crash [--images N]`.
pub(crate) fn run(context: &Context, arguments: &[String]) -> StageResult {
    let images = match arguments {
        [] => IMAGES,
        [flag, number] if flag == "--images" && number.parse::<usize>().is_ok() => number,
        other => return Err(format!("crash knows --images N, not `{}`", other.join(" "))),
    };
    let test = ["test", "--release", "--package", "bbolt-pages", "--test", "it", "--", "crash::"];
    context.cargo().args(test).env("BBOLT_CRASH_IMAGES", images).deadline(DEADLINE).go()?;
    Ok(Outcome::Passed)
}
