//! Owns: the study's driver: a process for each configuration, the file of their figures, the tables and the chart in `docs/`. Never
//! measures itself; `smoke` alone does the work here, small, and asserts that answers agree and that half of the allocations are saved.
//! Limits: it looks for the workers beside itself, where `cargo build --release` puts them.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use bolt_alloc::CountingAlloc;
use boltstack_compare_study::figures::{ALLOCATORS, Figures, Row, STRESS_THREADS, Techniques};
use boltstack_compare_study::report::{STRESS_TOLD, Study, draw, filled};
use boltstack_compare_study::worker::{self, Size};

/// For `smoke`, which counts in this process.
#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc::new();

const USAGE: &str = "\
study run PART [--rounds N] [--scale PERCENT]   PART: counts, times, stress or all; rounds are added to the file of figures
study run instructions                          the same under valgrind, a tenth of the work; minutes
study run --smoke                               every combination, small: answers agree, half of the allocations are saved
study report                                    tables and chart into docs/";

/// Of the work, for each of the 128 combinations in `smoke`; and for none and all, whose counts are compared.
const SMOKE_SCALE: usize = 1;
const SMOKE_COUNTED_SCALE: usize = 10;
/// For valgrind, which is fifty times slower.
const INSTRUCTIONS_SCALE: &str = "10";
/// What must be saved in `smoke`, in hundredths.
const SAVED_PERCENT_MIN: u64 = 50;

fn figures_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("figures.csv")
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs")
}

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["run", "--smoke"] => smoke(),
        ["run", "instructions"] => instructions(),
        ["run", part, ref options @ ..] => run(part, options),
        ["report"] => report(),
        _ => Err(format!("unknown arguments {arguments:?}\n{USAGE}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("study: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Which allocator, whether counted, with how many threads.
#[derive(Clone, Copy)]
struct Under {
    allocator: &'static str,
    counted: bool,
    threads: usize,
}

fn worker_named(name: &str) -> Result<PathBuf, String> {
    Ok(env::current_exe().map_err(|error| error.to_string())?.with_file_name(name))
}

/// Starts one worker and reads its lines.
fn work(under: Under, on: Techniques, scale: usize, round: usize) -> Result<Vec<Row>, String> {
    let Under { allocator, counted, threads } = under;
    let name = if counted { format!("{allocator}_counting") } else { allocator.to_owned() };
    let worker = worker_named(&name)?;
    let output = Command::new(&worker)
        .args([on.to_string(), threads.to_string(), scale.to_string()])
        .output()
        .map_err(|error| {
            format!("{}: {error}; build all binaries: cargo build --release", worker.display())
        })?;
    if !output.status.success() {
        return Err(format!("{name} {on}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let row = |line: &str| {
        let figures = Figures::parse(line).ok_or_else(|| format!("{name} printed {line}"))?;
        Ok(Row { allocator: allocator.into(), counted, on, threads, round, instructions: 0, figures })
    };
    String::from_utf8_lossy(&output.stdout).lines().map(row).collect()
}

/// Answers by workload and threads: the first one seen is what all others must be.
#[derive(Default)]
struct Answers(HashMap<(String, usize), u64>);

impl Answers {
    fn check(&mut self, row: &Row) -> Result<(), String> {
        let Figures { workload, answer, .. } = &row.figures;
        let first = *self.0.entry((workload.clone(), row.threads)).or_insert(*answer);
        if first == *answer {
            return Ok(());
        }
        Err(format!(
            "{workload} with {}, {} threads: the answer is {answer:x}, and was {first:x}",
            row.on, row.threads
        ))
    }
}

fn run(part: &str, options: &[&str]) -> Result<(), String> {
    let (mut rounds, mut scale) = (1, 100);
    for option in options.chunks(2) {
        match *option {
            ["--rounds", number] => rounds = number.parse().map_err(|_| format!("{number} rounds"))?,
            ["--scale", percent] => scale = percent.parse().map_err(|_| format!("scale {percent}"))?,
            _ => return Err(format!("unknown option {option:?}\n{USAGE}")),
        }
    }
    let parts: &[&str] = match part {
        "all" => &["counts", "times", "stress"],
        "counts" | "times" | "stress" => &[part],
        _ => return Err(format!("unknown part {part}\n{USAGE}")),
    };
    for part in parts {
        let begin = Instant::now();
        let counted = *part == "counts";
        let threads = if *part == "stress" { &STRESS_THREADS[..] } else { &[1] };
        let file = figures_file();
        let text = fs::read_to_string(&file).unwrap_or_else(|_| Row::header() + "\n");
        let known = |row: &Row| row.counted == counted && threads.contains(&row.threads);
        let last = text.lines().filter_map(Row::parse).filter(known).map(|row| row.round).max();
        let mut text = text;
        // Counts do not change from round to round.
        if counted {
            let others = text.lines().filter(|line| !Row::parse(line).is_some_and(|row| row.counted));
            text = others.fold(String::new(), |text, line| text + line + "\n");
        }
        let first = if counted { 0 } else { last.map_or(0, |last| last + 1) };
        let mut answers = Answers::default();
        for round in first..first + if counted { 1 } else { rounds } {
            for on in Techniques::studied() {
                for &threads in threads {
                    // Each technique by itself is told for one number of threads.
                    let told = counted || threads == 1 || threads == STRESS_TOLD;
                    if !told && on != Techniques::NONE && on != Techniques::EVERY {
                        continue;
                    }
                    for allocator in ALLOCATORS {
                        for row in work(Under { allocator, counted, threads }, on, scale, round)? {
                            answers.check(&row)?;
                            text += &format!("{row}\n");
                        }
                    }
                }
            }
        }
        fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        println!("{part}: {:.1} s, into {}", begin.elapsed().as_secs_f64(), file.display());
    }
    Ok(())
}

/// Instructions inside of operations, counted by valgrind's callgrind: the same on a busy machine as on a quiet one.
fn instructions() -> Result<(), String> {
    let file = figures_file();
    let mut text = fs::read_to_string(&file).unwrap_or_else(|_| Row::header() + "\n");
    let others = text.lines().filter(|line| Row::parse(line).is_none_or(|row| row.instructions == 0));
    text = others.fold(String::new(), |text, line| text + line + "\n");
    for on in Techniques::studied() {
        for allocator in ALLOCATORS {
            let output = Command::new("valgrind")
                .args([
                    "--tool=callgrind",
                    "--callgrind-out-file=/dev/null",
                    "--toggle-collect=*Work>::operate*",
                ])
                .arg(worker_named(allocator)?)
                .args([&on.to_string(), "1", INSTRUCTIONS_SCALE])
                .output()
                .map_err(|error| format!("valgrind: {error}"))?;
            let told = String::from_utf8_lossy(&output.stderr);
            let counted =
                told.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
            let instructions = counted.ok_or_else(|| format!("valgrind {allocator} {on}: {told}"))?;
            let figures = Figures { workload: "instructions".into(), ..Figures::default() };
            let row = Row {
                allocator: allocator.into(),
                counted: false,
                on,
                threads: 1,
                round: 0,
                instructions,
                figures,
            };
            text += &format!("{row}\n");
        }
    }
    fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
}

fn smoke() -> Result<(), String> {
    let begin = Instant::now();
    let mut answers = Answers::default();
    let here = |on, size: Size| {
        let rows = worker::run(on, size).into_iter();
        rows.map(move |figures| Row {
            allocator: ALLOCATORS[0].into(),
            counted: true,
            on,
            threads: size.threads,
            round: 0,
            instructions: 0,
            figures,
        })
    };
    for on in Techniques::combinations() {
        for row in here(on, Size { threads: 1, scale: SMOKE_SCALE }) {
            answers.check(&row)?;
        }
    }
    for on in [Techniques::NONE, Techniques::EVERY] {
        for allocator in ALLOCATORS {
            for (counted, threads) in [(false, 1), (true, 1), (false, 8)] {
                for row in work(Under { allocator, counted, threads }, on, SMOKE_SCALE, 0)? {
                    answers.check(&row)?;
                }
            }
        }
    }
    let count = |on| {
        let rows: Vec<_> = here(on, Size { threads: 1, scale: SMOKE_COUNTED_SCALE }).collect();
        let whole = rows.into_iter().find(|row| row.figures.workload == "whole");
        whole.map(|row| row.figures).ok_or("no figures of the whole")
    };
    let (none, all) = (count(Techniques::NONE)?, count(Techniques::EVERY)?);
    let pairs = [
        ("allocations", none.allocations, all.allocations),
        (
            "allocations and resizes",
            none.allocations + none.reallocations,
            all.allocations + all.reallocations,
        ),
    ];
    for (what, none, all) in pairs {
        println!(
            "{what}: {none} with nothing on, {all} with everything: {:.0} % fewer",
            100.0 * (1.0 - all as f64 / none as f64)
        );
        if all * 100 > none * (100 - SAVED_PERCENT_MIN) {
            return Err(format!(
                "less than {SAVED_PERCENT_MIN} % of {what} are saved: {none} before, {all} after"
            ));
        }
    }
    println!(
        "128 combinations and {} workers agree; {:.1} s",
        2 * ALLOCATORS.len(),
        begin.elapsed().as_secs_f64()
    );
    Ok(())
}

fn report() -> Result<(), String> {
    let read = |path: &Path| fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    let write = |path: &Path, text: &str| {
        fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    let study = Study::parse(&read(&figures_file())?)?;
    let page = docs().join("memory-study.md");
    write(&page, &filled(&read(&page)?, &study.tables())?)?;
    write(&docs().join("memory-study.svg"), &draw(&study))?;
    Ok(())
}
