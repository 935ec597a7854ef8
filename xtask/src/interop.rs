//! `cargo xtask interop`: one suite through `bolt-client` against real servers, the official driver against ours, our page store against bbolt.
//!
//! Owns the order: build, start a server (and a second one that wants TLS), run the suite, stop both, next. The checks
//! are the program in `xtask/interop`, the driver's are its `official_driver.py`. A server that cannot be had on this
//! machine is reported by name with the reason; one that does not start, or a check that fails, is a failure. Limits:
//! Unix; one pair of servers at a time, since two Java processes fill a small machine.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::interop_pages::{self, Ended};
use crate::run::{Context, Outcome, Run, StageResult};
use crate::servers::{self, Kind, PASSWORD, SERVERS, Server, Spec, Tls, USER, Wishes};
use crate::workspace;

/// The package of the suite.
const SUITE: &str = "boltstack-interop";

/// The driver that Neo4j itself publishes, and the one package it needs.
const OFFICIAL_DRIVER: &[&str] = &["neo4j==6.4.1", "pytz"];

/// The suite against one server takes one to two minutes, a million records included.
const DEADLINE: Duration = Duration::from_secs(15 * 60);

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    names: Vec<String>,
    all: bool,
    /// Scripts for the page store.
    scripts: Option<u64>,
    /// Words for the suite itself: `--records N`, `--only CHECK`.
    suite: Vec<String>,
}

/// `cargo xtask interop [--all | SERVER ... | ours | pages] [--records N] [--only CHECK] [--scripts N]`.
pub(crate) fn run(context: &Context, arguments: &[String]) -> StageResult {
    let wanted = parse(arguments)?;
    let chosen: Vec<&'static Spec> = if wanted.names.is_empty() {
        SERVERS.iter().filter(|spec| wanted.all || !spec.by_flag).collect()
    } else {
        let real = wanted.names.iter().filter(|name| *name != "ours" && *name != "pages");
        real.map(|name| servers::spec(name)).collect::<Result<_, _>>()?
    };
    let ours = wanted.names.is_empty() || wanted.names.iter().any(|name| name == "ours");
    workspace::find(&workspace::load(context)?, SUITE)?;
    let mut failed = Vec::new();
    let mut tried = 0;
    if !chosen.is_empty() {
        let suite = built(context, SUITE, "interop")?;
        for spec in chosen {
            if let Err(reason) = servers::fetch(context, spec) {
                context.skip(format!("interop with {}: {reason}", spec.name));
                continue;
            }
            tried += 1;
            if let Err(reason) = against(context, spec, &suite, &wanted.suite) {
                println!("{} FAILED: {reason}", spec.name);
                failed.push(spec.name);
            }
        }
    }
    if ours {
        match servers::packages("official-driver", OFFICIAL_DRIVER) {
            Err(reason) => context.skip(format!("the official driver against our server: {reason}")),
            Ok(driver) => {
                tried += 1;
                let bolt = built(context, "bolt-cli", "bolt")?;
                for mode in ["generated", "embedded"] {
                    if let Err(reason) = official_driver(context, &bolt, &driver, mode) {
                        println!("the official driver against bolt serve, {mode}, FAILED: {reason}");
                        failed.push(mode);
                    }
                }
            }
        }
    }
    if wanted.names.is_empty() || wanted.names.iter().any(|name| name == "pages") {
        match interop_pages::run(context, wanted.scripts.unwrap_or(interop_pages::SCRIPTS)) {
            Ok(()) => tried += 1,
            Err(Ended::Cannot(reason)) => context.skip(format!("our page store against bbolt: {reason}")),
            Err(Ended::Failed(reason)) => {
                tried += 1;
                println!("our page store against bbolt FAILED: {reason}");
                failed.push("pages");
            }
        }
    }
    match (failed.is_empty(), tried) {
        (false, _) => Err(format!("failed: {}", failed.join(", "))),
        (true, 0) => Ok(Outcome::Skipped("no server could be had here".to_owned())),
        (true, _) => Ok(Outcome::Passed),
    }
}

fn parse(arguments: &[String]) -> Result<Wanted, String> {
    let mut wanted = Wanted::default();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--all" => wanted.all = true,
            "--records" | "--only" => {
                let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
                wanted.suite.extend([word.clone(), value.clone()]);
            }
            "--scripts" => {
                let value = words.next().and_then(|value| value.replace('_', "").parse().ok());
                wanted.scripts = Some(value.ok_or("--scripts needs a whole number")?);
            }
            flag if flag.starts_with('-') => return Err(format!("interop does not know {flag}")),
            name => wanted.names.push(name.to_owned()),
        }
    }
    Ok(wanted)
}

/// An optimised program of the workspace: a million records through an unoptimised one would be the longest check.
fn built(context: &Context, package: &str, binary: &str) -> Result<PathBuf, String> {
    context.cargo().args(["build", "--release", "--package", package, "--bin", binary]).go()?;
    Ok(context.target.join("release").join(binary))
}

/// The suite against one server and its TLS-only twin.
fn against(context: &Context, spec: &'static Spec, suite: &Path, more: &[String]) -> Result<(), String> {
    let started = Instant::now();
    let noops = matches!(spec.kind, Kind::Neo4j { version, .. } if !version.starts_with("4."));
    let settings = if noops {
        // An empty chunk each second while a query runs: what a client must step over.
        vec![
            "server.bolt.connection_keep_alive=1s".to_owned(),
            "server.bolt.connection_keep_alive_for_requests=ALL".to_owned(),
        ]
    } else {
        Vec::new()
    };
    let server = Server::start(context, spec, &Wishes { settings, ..Wishes::default() })?;
    let secure = Server::start(context, spec, &Wishes { tls: Tls::Required, ..Wishes::default() })?;
    println!("{} at {}, TLS only at {}", spec.name, server.address, secure.address);
    let result = Run::new(suite, &context.root)
        .args(["--kind", spec.name, "--user", USER, "--password", PASSWORD])
        .args(["--address", &server.address.to_string(), "--tls-only", &secure.address.to_string()])
        .args(noops.then_some("--noops"))
        .args(more)
        .deadline(DEADLINE)
        .go();
    if result.is_err() {
        println!("{}: the last lines of its log:\n{}", spec.name, server.log_tail());
    }
    let stopped = secure.stop().and(server.stop());
    println!("{}: {:.1} s", spec.name, started.elapsed().as_secs_f64());
    result.and(stopped)
}

/// Neo4j's own Python driver against `bolt serve`.
fn official_driver(context: &Context, bolt: &Path, driver: &Path, mode: &str) -> Result<(), String> {
    let ours = Ours::start(context, bolt, mode)?;
    let script = context.root.join("xtask").join("interop").join("official_driver.py");
    let result = Run::new(servers::python()?, &context.root)
        // No bytecode beside the script: the tree stays clean.
        .arg("-B")
        .arg(script)
        .args([mode, &ours.address, USER, PASSWORD])
        .env("PYTHONPATH", driver)
        .deadline(DEADLINE)
        .go();
    result.and(ours.stop())
}

/// `bolt serve` on a free port. It ends with the pipe we hold, however we end.
struct Ours {
    child: Child,
    address: String,
}

impl Ours {
    fn start(context: &Context, bolt: &Path, mode: &str) -> Result<Self, String> {
        let mut command = Command::new(bolt);
        command.args(["serve", "--listen", "127.0.0.1:0", "--until-eof", "--user", USER]);
        if mode == "generated" {
            command.arg("--generated");
        }
        command.env("BOLT_PASSWORD", PASSWORD).current_dir(&context.root);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = command.spawn().map_err(|error| format!("{}: {error}", bolt.display()))?;
        let mut ours = Self { child, address: String::new() };
        let output = ours.child.stdout.take().ok_or("a piped child has an output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).map_err(|error| format!("bolt serve: {error}"))?;
        ours.address = address_in(&line).ok_or_else(|| format!("bolt serve printed `{}`", line.trim()))?;
        Ok(ours)
    }

    /// Closes its input and waits for an orderly end.
    fn stop(mut self) -> Result<(), String> {
        drop(self.child.stdin.take());
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(10) {
            match self.child.try_wait().map_err(|error| error.to_string())? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("bolt serve ended with {status}")),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        Err("bolt serve did not stop within 10 s of its input's end".to_owned())
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `127.0.0.1:7687` from `listening on bolt://127.0.0.1:7687 with …`.
fn address_in(line: &str) -> Option<String> {
    let rest = line.split_once("bolt://")?.1;
    rest.split_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_go_where_they_belong() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let wanted = parse(&words("arcadedb --records 1000 --all --only limits")).expect("well formed");
        assert_eq!(wanted.names, ["arcadedb"]);
        assert!(wanted.all);
        assert_eq!(wanted.suite, ["--records", "1000", "--only", "limits"]);
        assert_eq!(parse(&words("pages --scripts 2_000")).expect("well formed").scripts, Some(2_000));
        assert!(parse(&words("--scripts many")).is_err());
        assert!(parse(&words("--records")).is_err());
        assert!(parse(&words("--fast")).is_err());
    }

    #[test]
    fn our_server_tells_its_address() {
        let line = "listening on bolt://127.0.0.1:40001 with generated streams\n";
        assert_eq!(address_in(line).as_deref(), Some("127.0.0.1:40001"));
        assert_eq!(address_in("error: address in use"), None);
    }
}
