//! `cargo xtask ci [stage]...`: everything in smoke size, a line per stage with its seconds.
//!
//! Owns the order of the stages, what smoke size means for each, and the closing table. A failing stage never hides
//! the next; the end names all that failed. `.ci/run` calls this and holds no logic. Where `CI` is set in the environment,
//! each stage's own build is removed when it has passed. Limits: one stage at a time, since each of them uses every core already.

use std::time::{Duration, Instant};

use crate::COMMANDS;
use crate::run::{Context, Outcome, StageResult};

/// A command of this program, with the arguments that make it small.
struct Stage {
    name: &'static str,
    smoke: &'static [&'static str],
    /// The target directories of its own flags that no later stage uses.
    last_of: &'static [&'static str],
}

const fn stage(
    name: &'static str,
    smoke: &'static [&'static str],
    last_of: &'static [&'static str],
) -> Stage {
    Stage { name, smoke, last_of }
}

/// Cheap and telling ones first.
const STAGES: &[Stage] = &[
    stage("test", &[], &[]),
    stage("deny", &[], &[]),
    stage("msrv", &[], &["msrv"]),
    stage("targets", &[], &[]),
    stage("alone", &[], &["targets", "alone"]),
    stage("loom", &[], &["loom"]),
    stage("miri", &[], &["miri"]),
    stage("asan", &[], &["asan"]),
    stage("tsan", &[], &["tsan"]),
    stage("fuzz", &["--seconds", "10"], &["fuzz"]),
    stage(
        "crash",
        &["--images", "20000", "--damages", "3000", "--kill", "5", "--readers", "4", "--large", "48"],
        &[],
    ),
    stage("bench", &["--smoke"], &["bench-smoke"]),
    stage("demo", &[], &[]),
    stage("interop", &["--records", "100000"], &["interop-pages"]),
];

/// The whole run is ended here, so that one hanging test cannot eat the day and the table still says where it hung.
const ALL_WITHIN: Duration = Duration::from_secs(75 * 60);

struct Row {
    name: &'static str,
    result: StageResult,
    skips: Vec<String>,
    seconds: f64,
}

/// `cargo xtask ci [stage]...`.
pub(crate) fn run(context: &Context, arguments: &[String]) -> StageResult {
    if let Some(unknown) = arguments.iter().find(|name| STAGES.iter().all(|stage| stage.name != *name)) {
        let names: Vec<&str> = STAGES.iter().map(|stage| stage.name).collect();
        return Err(format!("ci has no stage `{unknown}`; there are {}", names.join(", ")));
    }
    // On a machine for this alone nothing is built a second time: what would make that fast only fills its disk.
    let built_once = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    context.end_by(Instant::now() + ALL_WITHIN);
    if built_once {
        context.build_once();
    }
    let mut rows = Vec::new();
    for Stage { name, smoke, last_of } in STAGES {
        if !arguments.is_empty() && !arguments.iter().any(|argument| argument == name) {
            continue;
        }
        let command =
            COMMANDS.iter().find(|command| command.name == *name).ok_or("each stage is a command")?;
        let words: Vec<String> = smoke.iter().map(|&word| word.to_owned()).collect();
        println!("\n==> {name} {}", smoke.join(" "));
        let started = Instant::now();
        let result = (command.run)(context, &words);
        let row = Row { name, result, skips: context.take_skips(), seconds: started.elapsed().as_secs_f64() };
        println!("<== {}", line(&row));
        if built_once && row.result.is_ok() {
            for flavour in *last_of {
                // What cannot be removed costs room, and no answer.
                let _ = std::fs::remove_dir_all(context.flavour(flavour));
            }
        }
        rows.push(row);
    }
    println!("\n{}", table(&rows));
    let failed: Vec<&str> = rows.iter().filter(|row| row.result.is_err()).map(|row| row.name).collect();
    if failed.is_empty() { Ok(Outcome::Passed) } else { Err(format!("failed: {}", failed.join(", "))) }
}

fn line(row: &Row) -> String {
    let Row { name, seconds, .. } = row;
    match &row.result {
        Ok(Outcome::Passed) => format!("{name:8} {seconds:7.1} s  passed"),
        Ok(Outcome::Skipped(reason)) => format!("{name:8} {seconds:7.1} s  SKIPPED: {reason}"),
        Err(reason) => format!("{name:8} {seconds:7.1} s  FAILED: {reason}"),
    }
}

/// A line per stage and per thing left out; the last line stands alone in the form that readers of logs know.
fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        text += &line(row);
        text.push('\n');
        for skip in &row.skips {
            text += &format!("         left out: {skip}\n");
        }
    }
    let count = |wanted: fn(&StageResult) -> bool| rows.iter().filter(|row| wanted(&row.result)).count();
    let passed = count(|result| matches!(result, Ok(Outcome::Passed)));
    let skipped = count(|result| matches!(result, Ok(Outcome::Skipped(_))));
    let failed = count(Result::is_err);
    let seconds: f64 = rows.iter().map(|row| row.seconds).sum();
    text += &format!("{seconds:.0} s in all\n\n{passed} passed, {failed} failed");
    if skipped > 0 {
        text += &format!(", {skipped} skipped");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_counts_and_stands_alone() {
        let row = |name, result, skips: &[&str]| {
            let skips = skips.iter().map(|&skip| skip.to_owned()).collect();
            Row { name, result, skips, seconds: 1.25 }
        };
        let rows = [
            row("test", Ok(Outcome::Passed), &["the jemalloc features"]),
            row("loom", Err("a model".to_owned()), &[]),
            row("miri", Ok(Outcome::Skipped("no nightly".to_owned())), &[]),
        ];
        let text = table(&rows);
        assert_eq!(text.lines().last(), Some("1 passed, 1 failed, 1 skipped"));
        assert!(
            text.contains("FAILED: a model") && text.contains("left out: the jemalloc features"),
            "{text}"
        );
        assert_eq!(table(&rows[..1]).lines().last(), Some("1 passed, 0 failed"));
    }

    #[test]
    fn every_stage_is_a_command() {
        for Stage { name, .. } in STAGES {
            assert!(COMMANDS.iter().any(|command| command.name == *name), "{name}");
        }
    }
}
