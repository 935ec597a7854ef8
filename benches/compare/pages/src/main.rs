//! `compare`: the workloads of a page store through bbolt-pages, LMDB (heed), redb and the Go bbolt, each run in a process of its own.
//!
//! Owns the order (engines take turns within a round), the files and the table. Every answer is compared before a time counts: an engine
//! that read or wrote something else than the others ends the run. Limits: the Go engine needs `go`, and is left out, loudly, where
//! there is none; sizes are those of the file system, so sparse files tell what they take.

mod heed_engine;
mod ours;
mod redb_engine;
mod work;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use work::{Shape, Sum, Work, Workload};

const HELP: &str = "\
compare [--keys N] [--rounds R] [--shape random|prefix|sizes|sequence|halved] [--value BYTES]
        [--only WORKLOAD,...] [--engines ENGINE,...] [--dir DIRECTORY] [--base ENGINE]

  --keys     keys in the database (1000000); 100000 gives a table in a minute or two
  --rounds   runs of each workload (3); the table gives the median, and the spread. A round of durable is 500 commits: ask for ten
  --only     load get get2 many missing gettx begin scan range churn pinned bigfree durable-new durable
  --engines  ours ours-map ours-unsynced heed heed-map redb bbolt bbolt-unsynced: ours is bbolt-pages, bbolt the Go one, -map writes through
             the map, -unsynced leaves the freelist out of each commit
  --dir      where the databases go (a directory of its own in the system's temporary one)
";

/// Every engine: its name, and whether it only makes sense where the freelist counts.
const ENGINES: &[(&str, bool)] = &[
    ("ours", false),
    ("ours-map", false),
    ("ours-unsynced", true),
    ("heed", false),
    ("heed-map", false),
    ("redb", false),
    ("bbolt", false),
    ("bbolt-unsynced", true),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match words.first().map(String::as_str) {
        Some("--one") => one(&words[1..]),
        Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            Ok(())
        }
        _ => Plan::parse(&words).and_then(|plan| plan.run()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("compare: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// The child: `--one PATH ENGINE WORKLOAD KEYS SHAPE VALUE`.
fn one(words: &[String]) -> Result<(), String> {
    let [path, engine, workload, keys, shape, value] = words else {
        return Err("six words after --one".into());
    };
    let work = Work {
        keys: number(keys)?,
        value_bytes: number(value)? as usize,
        shape: Shape::named(shape).ok_or("an unknown shape")?,
    };
    let workload = Workload::named(workload).ok_or("an unknown workload")?;
    let path = Path::new(path);
    let measured = match engine.as_str() {
        "ours" => work::run::<ours::Ours<true, false>>(path, workload, &work),
        "ours-map" => work::run::<ours::Ours<true, true>>(path, workload, &work),
        "ours-unsynced" => work::run::<ours::Ours<false, false>>(path, workload, &work),
        "heed" => work::run::<heed_engine::Heed<false>>(path, workload, &work),
        "heed-map" => work::run::<heed_engine::Heed<true>>(path, workload, &work),
        "redb" => work::run::<redb_engine::Redb>(path, workload, &work),
        other => return Err(format!("no engine is called {other}")),
    };
    println!(
        "ns={} operations={} count={} sum={:016x}",
        measured.time.as_nanos(),
        measured.operations,
        measured.sum.count,
        measured.sum.sum
    );
    Ok(())
}

fn number(word: &str) -> Result<u64, String> {
    word.replace('_', "").parse().map_err(|_| format!("{word:?} is no whole number"))
}

/// What the command line asks for.
struct Plan {
    work: Work,
    rounds: usize,
    workloads: Vec<(Workload, &'static str, &'static str)>,
    engines: Vec<(&'static str, bool)>,
    directory: PathBuf,
    /// The Go program, where Go is.
    go: Option<PathBuf>,
}

/// What one child told.
#[derive(Clone, Copy)]
struct Told {
    ns_per_operation: f64,
    sum: Sum,
    file_mib: f64,
}

impl Plan {
    fn parse(words: &[String]) -> Result<Self, String> {
        let mut plan = Self {
            work: Work { keys: 1_000_000, value_bytes: 100, shape: Shape::Random },
            rounds: 3,
            workloads: Workload::ALL.to_vec(),
            engines: ENGINES.to_vec(),
            directory: std::env::temp_dir().join(format!("compare-pages-{}", std::process::id())),
            go: None,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} needs a value\n{HELP}"))?;
            match word.as_str() {
                "--keys" => plan.work.keys = number(value)?.max(1_000),
                "--rounds" => plan.rounds = number(value)?.max(1) as usize,
                "--value" => plan.work.value_bytes = number(value)?.clamp(8, 60_000) as usize,
                "--shape" => {
                    plan.work.shape =
                        Shape::named(value).ok_or_else(|| format!("no shape {value}\n{HELP}"))?
                }
                "--dir" => plan.directory = PathBuf::from(value),
                "--only" => {
                    let wanted: Vec<&str> = value.split(',').collect();
                    plan.workloads.retain(|(_, name, _)| wanted.contains(name));
                    if plan.workloads.len() != wanted.len() {
                        return Err(format!("--only {value}: an unknown workload\n{HELP}"));
                    }
                }
                "--engines" => {
                    let wanted: Vec<&str> = value.split(',').collect();
                    plan.engines.retain(|(name, _)| wanted.contains(name));
                    if plan.engines.len() != wanted.len() {
                        let known: Vec<&str> = ENGINES.iter().map(|(name, _)| *name).collect();
                        return Err(format!("--engines {value}: there are {}", known.join(" ")));
                    }
                }
                _ => return Err(format!("{word} is not known\n{HELP}")),
            }
        }
        Ok(plan)
    }

    fn run(mut self) -> Result<(), String> {
        std::fs::create_dir_all(&self.directory).map_err(|e| format!("{}: {e}", self.directory.display()))?;
        self.go = build_go(&self.directory);
        if self.go.is_none() {
            println!("LEFT OUT: bbolt, since `go build` does not work here");
            self.engines.retain(|(name, _)| !name.starts_with("bbolt"));
        }
        let outcome = self.compare_all();
        // Only what this run made: other files of a directory that the user named stay.
        for (engine, _) in &self.engines {
            self.remove(&self.base(engine));
            self.remove(&self.copy(engine));
        }
        if let Some(go) = &self.go {
            let _ = std::fs::remove_file(go);
        }
        let _ = std::fs::remove_dir(&self.directory);
        outcome
    }

    fn compare_all(&self) -> Result<(), String> {
        let Work { keys, value_bytes, shape } = self.work;
        println!(
            "{keys} keys ({shape:?}), values of {value_bytes} bytes, {} rounds, engines in turns",
            self.rounds
        );
        println!("the answers of all engines are compared in every run; ns are medians\n");
        // A small round first: nothing is timed before the answers agree.
        let small = Self {
            work: Work { keys: 2_000, ..self.work },
            rounds: 1,
            workloads: self.workloads.clone(),
            engines: self.engines.clone(),
            directory: self.directory.clone(),
            go: self.go.clone(),
        };
        small.prepare()?;
        for &(workload, name, _) in &small.workloads {
            small.rows(workload, name)?;
        }
        self.prepare()?;
        for &(workload, name, about) in &self.workloads {
            let rows = self.rows(workload, name)?;
            self.print(name, about, &rows);
        }
        Ok(())
    }

    fn base(&self, engine: &str) -> PathBuf {
        self.directory.join(format!("{engine}.base"))
    }

    fn copy(&self, engine: &str) -> PathBuf {
        self.directory.join(format!("{engine}.db"))
    }

    /// A database and the lock file that LMDB puts beside it.
    fn remove(&self, path: &Path) {
        let _ = std::fs::remove_file(path);
        let _ = std::fs::remove_file(format!("{}-lock", path.display()));
    }

    /// Loads a database per engine, untimed.
    fn prepare(&self) -> Result<(), String> {
        if !self.workloads.iter().any(|(workload, ..)| workload.starts_loaded()) {
            return Ok(());
        }
        let mut answers = Vec::new();
        for &(engine, only_free) in &self.engines {
            if !only_free {
                self.remove(&self.base(engine));
                answers.push((engine, self.child(engine, &self.base(engine), "load")?.sum));
            }
        }
        agree("load", &answers)
    }

    fn rows(&self, workload: Workload, name: &str) -> Result<BTreeMap<&'static str, Vec<Told>>, String> {
        let mut rows: BTreeMap<&'static str, Vec<Told>> = BTreeMap::new();
        for round in 0..self.rounds {
            let mut answers = Vec::new();
            for turn in 0..self.engines.len() {
                let (engine, only_free) = self.engines[(turn + round) % self.engines.len()];
                if only_free && workload != Workload::BigFree {
                    continue;
                }
                let path = if workload.starts_loaded() && !workload.writes() {
                    self.base(engine)
                } else {
                    let copy = self.copy(engine);
                    self.remove(&copy);
                    if workload.starts_loaded() {
                        copy_sparse(&self.base(engine), &copy)?;
                    }
                    copy
                };
                let told = self.child(engine, &path, name)?;
                answers.push((engine, told.sum));
                rows.entry(engine).or_default().push(told);
                self.remove(&self.copy(engine));
            }
            agree(name, &answers)?;
        }
        Ok(rows)
    }

    fn child(&self, engine: &str, path: &Path, workload: &str) -> Result<Told, String> {
        let Work { keys, value_bytes, shape } = self.work;
        let shape = format!("{shape:?}").to_lowercase();
        let (keys, value) = (keys.to_string(), value_bytes.to_string());
        let mut command = match engine.strip_prefix("bbolt") {
            Some(rest) if rest.is_empty() || rest == "-unsynced" => {
                let mut command = Command::new(self.go.as_ref().ok_or("no Go program")?);
                let freelist = if rest.is_empty() { "synced" } else { "unsynced" };
                command.arg(path).args([workload, &keys, &shape, &value, freelist]);
                command
            }
            _ => {
                let mut command = Command::new(std::env::current_exe().map_err(|e| e.to_string())?);
                command.arg("--one").arg(path).args([engine, workload, &keys, &shape, &value]);
                command
            }
        };
        let output = command.output().map_err(|e| format!("{engine}: {e}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{engine} {workload}: {}: {why}", output.status));
        }
        let told = |name: &str| {
            let words = text.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            words.ok_or_else(|| format!("{engine} {workload} printed {text:?}, without {name}"))
        };
        let operations = number(told("operations")?)?;
        let sum = u64::from_str_radix(told("sum")?, 16).map_err(|e| e.to_string())?;
        Ok(Told {
            ns_per_operation: number(told("ns")?)? as f64 / operations.max(1) as f64,
            sum: Sum { count: number(told("count")?)?, sum },
            file_mib: on_disk(path),
        })
    }

    fn print(&self, name: &str, about: &str, rows: &BTreeMap<&'static str, Vec<Told>>) {
        let median = |told: &[Told]| {
            let mut times: Vec<f64> = told.iter().map(|told| told.ns_per_operation).collect();
            times.sort_by(f64::total_cmp);
            (times[times.len() / 2], times[0], times[times.len() - 1])
        };
        let of = |engine: &str| rows.get(engine).map(|told| median(told).0);
        println!("{name}: {about}");
        println!(
            "  {:16} {:>12} {:>23} {:>10} {:>10} {:>9}",
            "engine", "ns", "spread", "to heed", "to bbolt", "MiB"
        );
        for (engine, _) in &self.engines {
            let Some(told) = rows.get(engine) else { continue };
            let (middle, low, high) = median(told);
            let ratio =
                |peer: &str| of(peer).map_or_else(|| "-".into(), |ns| format!("{:.2} x", ns / middle));
            let disk = told.iter().map(|told| told.file_mib).fold(0.0, f64::max);
            let spread = format!("{low:.1} - {high:.1}");
            println!(
                "  {engine:16} {middle:>12.1} {spread:>23} {:>10} {:>10} {disk:>9.1}",
                ratio("heed"),
                ratio("bbolt")
            );
        }
        println!();
    }
}

/// A copy that keeps holes (LMDB's writable map makes its file as long as the map) and is on the disk: no engine's first barrier has to wait for it.
fn copy_sparse(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |e| format!("a copy of {}: {e}", from.display());
    let copied = Command::new("cp").arg("--sparse=always").args([from, to]).status();
    if !copied.is_ok_and(|status| status.success()) {
        std::fs::copy(from, to).map_err(failed)?;
    }
    std::fs::File::open(to).and_then(|file| file.sync_all()).map_err(failed)
}

/// MiB that the file takes, holes left out.
#[cfg(unix)]
fn on_disk(path: &Path) -> f64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).map_or(0.0, |about| about.blocks() as f64 * 512.0 / 1_048_576.0)
}

#[cfg(not(unix))]
fn on_disk(path: &Path) -> f64 {
    std::fs::metadata(path).map_or(0.0, |about| about.len() as f64 / 1_048_576.0)
}

fn agree(workload: &str, answers: &[(&'static str, Sum)]) -> Result<(), String> {
    let Some((first, wanted)) = answers.first() else { return Ok(()) };
    for (engine, sum) in answers {
        if sum != wanted {
            return Err(format!("{workload}: {engine} says {sum:?}, {first} says {wanted:?}"));
        }
    }
    Ok(())
}

fn build_go(directory: &Path) -> Option<PathBuf> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("go");
    let program = directory.join("comparepages");
    let status = Command::new("go")
        .args(["build", "-buildvcs=false", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(sources)
        .status();
    status.is_ok_and(|status| status.success()).then_some(program)
}
