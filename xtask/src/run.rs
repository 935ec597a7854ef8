//! Running other programs: where the workspace lies, what a stage returns, and commands with a deadline.
//!
//! Owns [`Context`] (the root, the target directory, what was skipped) and [`Run`], the one way this program starts
//! another. A command whose deadline passes is ended together with everything it started. Limits: processes are ended
//! through the system's own `kill`, so on systems without one only the direct child is.

use std::cell::{Cell, RefCell};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What a stage says when nothing failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It ran and all was well.
    Passed,
    /// It could not run here, and why.
    Skipped(String),
}

/// A stage's end: passed, skipped with a reason, or failed with one.
pub(crate) type StageResult = Result<Outcome, String>;

/// Where things are, and what had to be left out. One per process.
pub(crate) struct Context {
    /// The workspace's root directory.
    pub(crate) root: PathBuf,
    /// Cargo's target directory, with `CARGO_TARGET_DIR` respected.
    pub(crate) target: PathBuf,
    skips: RefCell<Vec<String>>,
    latest: Cell<Option<Instant>>,
    once: Cell<bool>,
}

impl Context {
    /// Finds the workspace this program was built from.
    pub(crate) fn new() -> Result<Self, String> {
        // Cargo says at run time where it was called; two checkouts that share a target directory share the binary.
        let told = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let own =
            told.filter(|path| path.ends_with("xtask")).unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = own.parent().ok_or("xtask has no parent directory")?;
        if !root.join("Cargo.toml").is_file() {
            return Err(format!(
                "{} holds no workspace; was the checkout moved? Build again.",
                root.display()
            ));
        }
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(directory) if !directory.is_empty() => {
                std::env::current_dir().map_err(|error| error.to_string())?.join(directory)
            }
            _ => root.join("target"),
        };
        Ok(Self {
            root: root.to_owned(),
            target,
            skips: RefCell::default(),
            latest: Cell::default(),
            once: Cell::default(),
        })
    }

    /// Ends every `cargo` started from here on at this moment, however much longer its own deadline is.
    pub(crate) fn end_by(&self, moment: Instant) {
        self.latest.set(Some(moment));
    }

    /// Every `cargo` started from here on keeps nothing that only speeds up building the same again.
    pub(crate) fn build_once(&self) {
        self.once.set(true);
    }

    /// The target directory of one set of flags: builds with other flags never throw each other's work away.
    pub(crate) fn flavour(&self, name: &str) -> PathBuf {
        self.target.join("xtask").join(name)
    }

    /// `cargo`, as rustup finds it, at the root, with the workspace's own target directory.
    pub(crate) fn cargo(&self) -> Run {
        self.cargo_on(None)
    }

    /// `cargo +toolchain`, or the default one.
    pub(crate) fn cargo_on(&self, toolchain: Option<&str>) -> Run {
        let mut run = Run::new("cargo", &self.root);
        run.command.env("CARGO_TARGET_DIR", &self.target);
        run.latest = self.latest.get();
        if self.once.get() {
            run = run.env_default("CARGO_INCREMENTAL", "0");
        }
        match toolchain {
            Some(toolchain) => run.arg(format!("+{toolchain}")),
            None => run,
        }
    }

    /// Notes a part that could not run here. In continuous integration it is listed in the closing table.
    pub(crate) fn skip(&self, what: impl Into<String>) {
        let what = what.into();
        println!("SKIPPED {what}");
        self.skips.borrow_mut().push(what);
    }

    /// What was skipped since this was last asked.
    pub(crate) fn take_skips(&self) -> Vec<String> {
        std::mem::take(&mut *self.skips.borrow_mut())
    }
}

/// A command about to run. Its output goes to ours unless captured.
pub(crate) struct Run {
    command: Command,
    deadline: Duration,
    /// A moment that comes before the deadline: the end of a whole series of commands.
    latest: Option<Instant>,
    quiet: bool,
}

/// Longest any one command may take unless it says otherwise.
const DEADLINE: Duration = Duration::from_secs(30 * 60);

impl Run {
    /// `program` in `directory`, with nothing on its standard input.
    pub(crate) fn new(program: impl AsRef<OsStr>, directory: &Path) -> Self {
        let mut command = Command::new(program);
        command.current_dir(directory).stdin(Stdio::null());
        Self { command, deadline: DEADLINE, latest: None, quiet: false }
    }

    /// Adds one argument.
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    pub(crate) fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets an environment variable unless the caller's environment has it already.
    pub(crate) fn env_default(self, name: &str, value: &str) -> Self {
        if std::env::var_os(name).is_some() { self } else { self.env(name, value) }
    }

    /// Sets the deadline.
    pub(crate) fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Prints neither the command line nor anything else of its own.
    pub(crate) fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// The command as a person would type it, without the environment.
    pub(crate) fn line(&self) -> String {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        let words: Vec<String> = words.map(quoted).collect();
        words.join(" ")
    }

    /// Runs it with our standard output and error. A non-zero exit is an error that names the command.
    pub(crate) fn go(mut self) -> Result<(), String> {
        if !self.quiet {
            let variables: Vec<String> = self
                .command
                .get_envs()
                .filter(|(name, _)| matches!(name.to_str(), Some("RUSTFLAGS" | "MIRIFLAGS" | "RUSTDOCFLAGS")))
                .filter_map(|(name, value)| Some(format!("{}={} ", name.to_str()?, quoted(value?))))
                .collect();
            println!("$ {}{}", variables.concat(), self.line());
        }
        let line = self.line();
        let child = self.spawn()?;
        let status = wait(child, self.allowed(), &line)?;
        if status.success() { Ok(()) } else { Err(format!("`{line}` ended with {status}")) }
    }

    /// Like [`Run::go`], with everything it prints sent to a file instead.
    pub(crate) fn go_into(mut self, log: &Path) -> Result<(), String> {
        let said = |error: std::io::Error| format!("{}: {error}", log.display());
        let output = File::create(log).map_err(said)?;
        self.command.stderr(output.try_clone().map_err(said)?).stdout(output);
        self.go()
    }

    /// Runs it and hands back what it printed on standard output; standard error passes through.
    pub(crate) fn capture(self) -> Result<String, String> {
        let line = self.line();
        let (status, output) = self.capture_any()?;
        if status.success() { Ok(output) } else { Err(format!("`{line}` ended with {status}")) }
    }

    /// Like [`Run::capture`], for commands whose failure is an answer too.
    pub(crate) fn capture_any(mut self) -> Result<(ExitStatus, String), String> {
        let line = self.line();
        self.command.stdout(Stdio::piped());
        if self.quiet {
            self.command.stderr(Stdio::null());
        }
        let mut child = self.spawn()?;
        let mut pipe = child.stdout.take().ok_or("a captured child has a pipe")?;
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = pipe.read_to_end(&mut bytes);
            bytes
        });
        let status = wait(child, self.allowed(), &line)?;
        let bytes = reader.join().map_err(|_| format!("the reader of `{line}` panicked"))?;
        Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn allowed(&self) -> Duration {
        let left = self.latest.map(|latest| latest.saturating_duration_since(Instant::now()));
        left.map_or(self.deadline, |left| left.min(self.deadline))
    }

    fn spawn(&mut self) -> Result<Child, String> {
        own_group(&mut self.command);
        let program = quoted(self.command.get_program());
        self.command.spawn().map_err(|error| format!("cannot start {program}: {error}"))
    }
}

/// In a terminal Ctrl-C must reach the whole family, so it stays in one process group; elsewhere each command leads a
/// group of its own and a passed deadline ends all of it.
fn own_group(command: &mut Command) {
    #[cfg(unix)]
    if !std::io::stdin().is_terminal() {
        use std::os::unix::process::CommandExt;
        command.process_group(0);
    }
    #[cfg(not(unix))]
    let _ = (command, std::io::stdin().is_terminal());
}

fn wait(mut child: Child, deadline: Duration, line: &str) -> Result<ExitStatus, String> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(status) = child.try_wait().map_err(|error| format!("`{line}`: {error}"))? {
            return Ok(status);
        }
        if started.elapsed() > deadline {
            if !std::io::stdin().is_terminal() {
                signal("KILL", &format!("-{}", child.id()));
            }
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("`{line}` passed its deadline of {} s and was ended", deadline.as_secs()));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// Sends a signal by name to a process, or to a group when `target` begins with a minus.
pub(crate) fn signal(name: &str, target: &str) {
    if cfg!(unix) {
        let script = "kill -s \"$1\" -- \"$2\"";
        let _ = Command::new("sh")
            .args(["-c", script, "sh", name, target])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// True when `program` can be started and says yes to `argument` (mostly `--version`).
pub(crate) fn answers(program: impl AsRef<OsStr>, argument: &str) -> bool {
    Command::new(program)
        .arg(argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Adds flags to those the caller's environment already asks for.
pub(crate) fn with_flags(name: &str, flags: &str) -> OsString {
    match std::env::var(name) {
        Ok(given) if !given.trim().is_empty() => format!("{given} {flags}").into(),
        _ => flags.into(),
    }
}

fn quoted(word: &OsStr) -> String {
    let text = word.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "-_./=+:,@".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.into_owned() } else { format!("'{text}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> PathBuf {
        std::env::temp_dir()
    }

    #[test]
    fn output_is_captured_and_failure_named() {
        let output = Run::new("cargo", &here()).arg("--version").quiet().capture().expect("cargo is there");
        assert!(output.starts_with("cargo "), "{output}");
        let error =
            Run::new("cargo", &here()).arg("no-such-command").quiet().capture().expect_err("must fail");
        assert!(error.contains("cargo no-such-command"), "{error}");
        let error = Run::new("no-such-program-here", &here()).go().expect_err("must fail");
        assert!(error.contains("no-such-program-here"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_deadline_ends_the_command_and_says_so() {
        let started = Instant::now();
        let sleep = Run::new("sleep", &here()).arg("60").quiet().deadline(Duration::from_millis(200));
        let error = sleep.go().expect_err("60 s do not fit into 0.2 s");
        assert!(error.contains("deadline"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn the_end_of_a_series_comes_before_a_deadline() {
        let mut run = Run::new("cargo", &here()).deadline(Duration::from_secs(1000));
        assert_eq!(run.allowed(), Duration::from_secs(1000));
        run.latest = Some(Instant::now() + Duration::from_secs(10));
        assert!(run.allowed() <= Duration::from_secs(10));
        run.latest = Some(Instant::now());
        assert_eq!(run.allowed(), Duration::ZERO);
    }

    #[test]
    fn lines_can_be_pasted_into_a_shell() {
        let run = Run::new("cargo", &here()).args(["test", "--", "a b"]);
        assert_eq!(run.line(), "cargo test -- 'a b'");
    }
}
