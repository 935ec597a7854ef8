//! `cargo xtask crash [--images N] [--damages N] [--kill SECONDS] [--readers SECONDS] [--large MIB]`: what the page store bears, in number and at length.
//!
//! Owns the numbers; the tests in `crates/bbolt-pages/tests/it` own the workloads and the judgement: `crash.rs` the images of simulated
//! crashes and the failing operations, `damage.rs` damaged files, `kill.rs` a process that is killed while it commits, `readers.rs` readers beside a growing writer, `large.rs` a
//! database sixteen times as large as its memory. Limit: a crash
//! of the store's own making is simulated through its I/O seam; what a disk does beyond losing, reordering and tearing writes is not.

use std::time::Duration;

use crate::run::{Context, Outcome, StageResult};

/// Each option, the variable that hands it to the tests, and the value of a full run.
const OPTIONS: [(&str, &str, &str); 5] = [
    ("--images", "BBOLT_CRASH_IMAGES", "100000"),
    ("--damages", "BBOLT_DAMAGES", "10000"),
    ("--kill", "BBOLT_KILL_SECONDS", "60"),
    ("--readers", "BBOLT_READERS_SECONDS", "60"),
    ("--large", "BBOLT_LARGE_MIB", "1024"),
];
const DEADLINE: Duration = Duration::from_secs(30 * 60);

/// `cargo xtask crash [--images N] [--damages N] [--kill SECONDS] [--readers SECONDS] [--large MIB]`.
pub(crate) fn run(context: &Context, arguments: &[String]) -> StageResult {
    let values = values(arguments)?;
    let test = ["test", "--release", "--package", "bbolt-pages", "--test", "it", "--"];
    // One after the other, so that what is killed and what is read has the machine to itself; what each did is shown.
    let tests =
        ["crash::", "damage::", "kill::", "readers::", "large::", "--test-threads", "1", "--show-output"];
    let mut command = context.cargo().args(test).args(tests);
    for ((_, variable, _), value) in OPTIONS.iter().zip(values) {
        command = command.env(variable, value);
    }
    command.deadline(DEADLINE).go()?;
    Ok(Outcome::Passed)
}

/// The options' values in the order of [`OPTIONS`].
fn values(arguments: &[String]) -> Result<[&str; 5], String> {
    let mut values = OPTIONS.map(|(.., full)| full);
    for pair in arguments.chunks(2) {
        let known = match pair {
            [flag, number] if number.parse::<u32>().is_ok() => {
                OPTIONS.iter().position(|(name, ..)| name == flag).zip(Some(number))
            }
            _ => None,
        };
        let Some((option, number)) = known else {
            return Err(format!(
                "crash knows --images N, --damages N, --kill SECONDS, --readers SECONDS and --large MIB, not `{}`",
                pair.join(" ")
            ));
        };
        values[option] = number;
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_runs_in_full() {
        let words = |text: &str| text.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(values(&[]), Ok(["100000", "10000", "60", "60", "1024"]));
        assert_eq!(values(&words("--kill 3 --images 7")), Ok(["7", "10000", "3", "60", "1024"]));
        for wrong in ["--kill", "--kill x", "--images -1", "--polish 3", "5"] {
            assert!(values(&words(wrong)).is_err(), "{wrong}");
        }
    }
}
