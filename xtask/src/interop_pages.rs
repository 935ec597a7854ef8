//! `cargo xtask interop pages [--scripts N]`: our page store and the real bbolt, operation by operation, on the same and on each other's files.
//!
//! Owns the order: build the oracle (`xtask/bbolt-oracle`, the Go bbolt behind a line interface) and the example `apply` of `bbolt-pages`, generate
//! scripts, run each through both, compare every result line and the contents, let bbolt check what we wrote; then both write one file by
//! turns. The oracle says what is right. Limits: needs Go, and the Go module proxy or a filled module cache for its first build; what
//! bbolt itself does wrong is left out by the oracle's generator.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::run::{Context, Run};

/// Scripts when nothing else is asked for: what CI runs.
pub(crate) const SCRIPTS: u64 = 200;
/// Operations of a script.
const OPERATIONS: u64 = 600;
/// Rounds of writing one file by turns, for each hundred scripts.
const TURNS_A_HUNDRED: u64 = 10;
/// A script takes milliseconds.
const DEADLINE: Duration = Duration::from_secs(120);

/// What the scripts vary over: each row with each seed that falls on it. `gen` itself varies fill percent, pinned readers and reopening.
const SHAPES: &[&[&str]] = &[
    &["page=1024"],
    &["page=4096", "freelist=map"],
    &["page=16384", "nofreelistsync=1"],
    &["page=65536"],
    &["page=1024", "freelist=map", "nofreelistsync=1"],
    &["page=4096", "big=1"],
    &["page=2048", "nofreelistsync=1"],
    &["page=8192", "freelist=map", "big=1"],
    &["page=32768", "freelist=map"],
    &["page=4096"],
];

/// The two programs and a place for files.
struct Pair {
    go: PathBuf,
    ours: PathBuf,
    directory: PathBuf,
}

/// Why nothing was compared.
pub(crate) enum Ended {
    /// Something this needs is not here.
    Cannot(String),
    /// A difference, or a program that failed.
    Failed(String),
}

/// Runs `scripts` scripts and the turns that go with them.
pub(crate) fn run(context: &Context, scripts: u64) -> Result<(), Ended> {
    let directory = context.flavour("interop-pages");
    std::fs::create_dir_all(&directory)
        .map_err(|e| Ended::Failed(format!("{}: {e}", directory.display())))?;
    let go = directory.join("bbolt-oracle");
    if !crate::run::answers("go", "version") {
        return Err(Ended::Cannot("Go is not installed".into()));
    }
    let sources = context.root.join("xtask").join("bbolt-oracle");
    let built = Run::new("go", &sources).args(["build", "-buildvcs=false", "-o"]).arg(&go).arg(".").go();
    built.map_err(|reason| Ended::Cannot(format!("the oracle cannot be built here: {reason}")))?;
    let build = ["build", "--release", "--package", "bbolt-pages", "--example", "apply"];
    context.cargo().args(build).go().map_err(Ended::Failed)?;
    let ours = context.target.join("release").join("examples").join("apply");
    let pair = Pair { go, ours, directory };
    let started = Instant::now();
    pair.scripts(scripts).and_then(|()| pair.turns(scripts)).map_err(Ended::Failed)?;
    println!(
        "pages: {scripts} scripts of {OPERATIONS} operations and {} turns on one file, all alike, {:.1} s",
        turns(scripts),
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

fn turns(scripts: u64) -> u64 {
    scripts.div_ceil(100) * TURNS_A_HUNDRED
}

/// A third of the files is written through the mapping, and a third by early writes, pinned readers and reopenings included.
fn way(number: u64) -> Option<&'static str> {
    [None, Some("writablemap=1"), Some("leaveskept=1")][(number % 3) as usize]
}

impl Pair {
    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Every script on two fresh files, and each file looked at by the other.
    fn scripts(&self, scripts: u64) -> Result<(), String> {
        for seed in 1..=scripts {
            let shape = SHAPES[(seed % SHAPES.len() as u64) as usize];
            let told = |what: String| format!("script {seed} ({}): {what}", shape.join(" "));
            self.fresh();
            self.generate(seed, shape).map_err(told)?;
            self.both("script", ["go.db", "our.db"], way(seed)).map_err(told)?;
            self.sound_and_alike(["go.db", "our.db"]).map_err(told)?;
            // What was opened without a writer's options: contents and soundness as seen by the other.
            std::fs::write(self.file("look"), "read-tx open 1\nr1:dump\nread-tx close 1\ncheck\n")
                .map_err(|e| e.to_string())?;
            self.both("look", ["our.db", "go.db"], None).map_err(told)?;
        }
        Ok(())
    }

    /// Two files of one history, written by turns, never by the same at the same time.
    fn turns(&self, scripts: u64) -> Result<(), String> {
        self.fresh();
        for turn in 0..turns(scripts) {
            let told = |what: String| format!("turn {turn} on one file: {what}");
            let kinds: &[&str] = match turn % 4 {
                0 => &["page=1024"],
                1 => &["page=1024", "freelist=map"],
                2 => &["page=1024", "nofreelistsync=1"],
                _ => &["page=1024", "freelist=map", "nofreelistsync=1"],
            };
            self.generate(1_000_000 + turn, kinds).map_err(told)?;
            let files = if turn % 2 == 0 { ["a.db", "b.db"] } else { ["b.db", "a.db"] };
            self.both("script", files, way(turn)).map_err(told)?;
            self.sound_and_alike(files).map_err(told)?;
        }
        Ok(())
    }

    fn fresh(&self) {
        for name in ["go.db", "our.db", "a.db", "b.db"] {
            let _ = std::fs::remove_file(self.file(name));
        }
    }

    fn generate(&self, seed: u64, shape: &[&str]) -> Result<(), String> {
        let (seed, operations) = (seed.to_string(), OPERATIONS.to_string());
        let mut words = vec!["gen", &seed, &operations];
        words.extend(shape);
        self.go(&words, None, "script")
    }

    /// The script through Go on the first file and through us on the second, in the `way` that we are told; the result lines are equal.
    fn both(&self, script: &str, [go, our]: [&str; 2], way: Option<&str>) -> Result<(), String> {
        let (script, go, our) = (self.file(script), self.file(go), self.file(our));
        program(&self.go, &["apply", &go.to_string_lossy()], Some(&script), &self.file("go.out"))?;
        let our = our.to_string_lossy();
        let words: Vec<&str> = std::iter::once(&*our).chain(way).collect();
        program(&self.ours, &words, Some(&script), &self.file("our.out"))?;
        alike(&self.file("go.out"), &self.file("our.out"), &script)
    }

    fn go(&self, words: &[&str], input: Option<&Path>, output: &str) -> Result<(), String> {
        program(&self.go, words, input, &self.file(output))
    }

    /// bbolt finds nothing wrong with either, and reads the same out of both.
    fn sound_and_alike(&self, files: [&str; 2]) -> Result<(), String> {
        for (file, dump) in files.iter().zip(["go.dump", "our.dump"]) {
            let path = self.file(file);
            let path = path.to_string_lossy();
            self.go(&["check", &path], None, "findings").map_err(|reason| {
                let findings = std::fs::read_to_string(self.file("findings")).unwrap_or_default();
                format!("{file}: {reason}: {}", findings.lines().take(3).collect::<Vec<_>>().join("; "))
            })?;
            self.go(&["dump", &path], None, dump)?;
        }
        alike(&self.file("go.dump"), &self.file("our.dump"), &self.file("script"))
    }
}

/// Runs a program to its end, its output into a file.
fn program(path: &Path, words: &[&str], input: Option<&Path>, output: &Path) -> Result<(), String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let open = |path: &Path| File::open(path).map_err(|e| format!("{}: {e}", path.display()));
    let input = input.map_or(Ok(Stdio::null()), |path| open(path).map(Stdio::from))?;
    let out = File::create(output).map_err(|e| format!("{}: {e}", output.display()))?;
    let mut child = Command::new(path)
        .args(words)
        .stdin(input)
        .stdout(out)
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("{name}: {e}"))?;
    let started = Instant::now();
    loop {
        match child.try_wait().map_err(|e| format!("{name}: {e}"))? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("{name} {}: {status}", words.first().unwrap_or(&""))),
            None if started.elapsed() > DEADLINE => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{name} did not end within {DEADLINE:?}"));
            }
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// The first line in which two outputs differ; the script stays where it is, to be run again.
fn alike(go: &Path, our: &Path, script: &Path) -> Result<(), String> {
    let read = |path: &Path| std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
    let (go, our) = (read(go)?, read(our)?);
    if go == our {
        return Ok(());
    }
    let line = |bytes: &[u8], at: usize| {
        let found = bytes.split(|byte| *byte == b'\n').nth(at).map(String::from_utf8_lossy);
        found.map_or_else(|| "nothing".to_owned(), |line| format!("`{line}`"))
    };
    let lines = go.split(|byte| *byte == b'\n').zip(our.split(|byte| *byte == b'\n'));
    let at = lines.take_while(|(go, our)| go == our).count();
    Err(format!(
        "line {}: bbolt says {}, we say {} ({})",
        at + 1,
        line(&go, at),
        line(&our, at),
        script.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_by_its_line() {
        let directory = std::env::temp_dir().join(format!("boltstack-alike-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let write = |name: &str, text: &str| {
            let path = directory.join(name);
            std::fs::write(&path, text).expect("a file");
            path
        };
        let (go, same) = (write("go", "1 put ok\n2 get ok nil\n"), write("same", "1 put ok\n2 get ok nil\n"));
        let (other, short) = (write("other", "1 put ok\n2 get ok v:\n"), write("short", "1 put ok\n"));
        assert_eq!(alike(&go, &same, &go), Ok(()));
        assert!(
            alike(&go, &other, &go)
                .is_err_and(|e| e.contains("line 2: bbolt says `2 get ok nil`, we say `2 get ok v:`"))
        );
        assert!(alike(&go, &short, &go).is_err());
        let _ = std::fs::remove_dir_all(&directory);
    }

    #[test]
    fn a_hundred_scripts_bring_ten_turns() {
        assert_eq!((turns(1), turns(200), turns(2_000)), (10, 20, 200));
    }
}
