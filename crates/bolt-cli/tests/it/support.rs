//! Starting the command and its server, with deadlines.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take. Generous: the machine may be busy; what is tested is that it ends.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The password of every server started here.
pub(crate) const SECRET: &str = "test-password";

/// The command with these words, nothing inherited that would change what it does.
pub(crate) fn bolt(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bolt"));
    command.args(words).env("BOLT_PASSWORD", SECRET).stdin(Stdio::null());
    command
}

/// What a finished command left.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("ended by a signal: {self:?}"))
    }

    /// The output of a command that must have succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code(), 0, "{self:?}");
        self.out
    }

    /// One field of the line that `--stats` prints.
    #[track_caller]
    pub(crate) fn stat(&self, name: &str) -> f64 {
        let line = self.err.lines().last().unwrap_or_default();
        let field = line.split(' ').find_map(|f| f.strip_prefix(name)?.strip_prefix('='));
        field.and_then(|f| f.parse().ok()).unwrap_or_else(|| panic!("no {name} in {line:?}"))
    }
}

/// A child that does not outlive the test.
pub(crate) struct Guard(pub(crate) Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Guard {
    /// Waits for the end, at most until the deadline.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.0.try_wait().expect("a child of this process") {
                return status;
            }
            assert!(Instant::now() < end, "still running after {DEADLINE:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn drain(from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut from = from;
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8(bytes).unwrap_or_else(|e| format!("not UTF-8: {e}")));
    });
    receiver
}

/// Starts a command whose output is collected by [`finish`].
pub(crate) fn start(command: &mut Command) -> Guard {
    Guard(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts"))
}

/// Waits for a command and collects what it said.
#[track_caller]
pub(crate) fn finish(mut guard: Guard) -> Done {
    let out = guard.0.stdout.take().map(drain);
    let err = guard.0.stderr.take().map(drain);
    let status = guard.wait();
    let text =
        |r: Option<mpsc::Receiver<String>>| r.map_or_else(String::new, |r| r.recv().unwrap_or_default());
    Done { status, out: text(out), err: text(err) }
}

/// Runs a command to its end.
#[track_caller]
pub(crate) fn done(command: &mut Command) -> Done {
    finish(start(command))
}

/// A server of the command's own, on a free port, stopped with the test.
pub(crate) struct Server {
    pub(crate) guard: Guard,
    pub(crate) uri: String,
}

impl Server {
    /// Starts `bolt serve` with these words more.
    #[track_caller]
    pub(crate) fn start(words: &[&str]) -> Self {
        let mut all = vec!["serve", "--listen", "127.0.0.1:0"];
        all.extend_from_slice(words);
        let mut guard = Guard(bolt(&all).stdout(Stdio::piped()).spawn().expect("the server starts"));
        let stdout = guard.0.stdout.take().expect("piped");
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(stdout).read_line(&mut line);
            let _ = sender.send(line);
        });
        let line = receiver.recv_timeout(DEADLINE).expect("a line");
        let uri =
            line.split_whitespace().find(|w| w.starts_with("bolt://")).unwrap_or_else(|| panic!("{line:?}"));
        Self { guard, uri: uri.to_owned() }
    }

    /// `bolt run` against this server.
    pub(crate) fn run(&self, words: &[&str]) -> Command {
        let mut all = vec!["run", "--uri", &self.uri];
        all.extend_from_slice(words);
        bolt(&all)
    }

    /// The output of a query that must succeed.
    #[track_caller]
    pub(crate) fn json(&self, query: &str) -> String {
        done(&mut self.run(&["--format", "json", query])).ok()
    }
}
