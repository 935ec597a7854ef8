//! The command line: what may be asked, the help that says so, and usage errors that say what to do.
//!
//! Owns no behaviour: it turns words into [`Command`] and never opens a file, a socket or the environment.
//! Passwords are never words of the command line, where every user of the machine could read them.

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

/// The port of Bolt.
pub(crate) const PORT: u16 = 7687;
/// Records asked for by one PULL unless `--fetch-size` says otherwise: one answer in flight stays below the receive buffer's ceiling for
/// records of up to 16 KiB, and the round trip is shared by a thousand records.
pub(crate) const FETCH_SIZE: u32 = 1_000;
/// How long the server may take to accept, to shake hands and to log in.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Records `bolt demo` streams: what the command promises at least.
pub(crate) const DEMO_RECORDS: u64 = 1_000_000;

/// What the user asked for.
#[derive(Debug)]
pub(crate) enum Command {
    /// Print this text to standard output and exit 0.
    Help(&'static str),
    /// Print the version and exit 0.
    Version,
    /// `bolt run`.
    Run(Box<Run>),
    /// `bolt serve`.
    Serve(Serve),
    /// `bolt demo`.
    Demo(Demo),
    /// `bolt pages`.
    Pages(crate::pages_args::Pages),
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Table,
    Json,
    Csv,
    Null,
}

/// Everything of `bolt run`.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) uri: String,
    pub(crate) user: String,
    pub(crate) no_auth: bool,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) database: Option<String>,
    /// `name=json`, still as written.
    pub(crate) params: Vec<String>,
    pub(crate) format: Format,
    /// Records per PULL; 0 is all of them.
    pub(crate) fetch_size: u32,
    pub(crate) stats: bool,
    pub(crate) read: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) connect_timeout: Duration,
    pub(crate) query: Query,
}

/// Where the query text comes from.
#[derive(Debug)]
pub(crate) enum Query {
    Text(String),
    Stdin,
}

/// Everything of `bolt serve`.
#[derive(Debug)]
pub(crate) struct Serve {
    pub(crate) listen: SocketAddr,
    pub(crate) data: Option<PathBuf>,
    pub(crate) generated: bool,
    pub(crate) user: String,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) no_auth: bool,
    pub(crate) expose: bool,
    pub(crate) until_eof: bool,
}

/// Everything of `bolt demo`.
#[derive(Debug)]
pub(crate) struct Demo {
    pub(crate) records: u64,
}

/// A command line that cannot be obeyed: what is wrong, and which help to read.
#[derive(Debug)]
pub(crate) struct UsageError {
    message: String,
    topic: &'static str,
}

impl UsageError {
    fn new(topic: &'static str, message: impl Into<String>) -> Self {
        Self { message: message.into(), topic }
    }

    /// A mistake found after parsing, in what `bolt run` was given.
    pub(crate) fn run(message: impl Into<String>) -> Self {
        Self::new("run", message)
    }

    /// The same for `bolt pages`.
    pub(crate) fn pages(message: impl Into<String>) -> Self {
        Self::new("pages", message)
    }

    /// The same for `bolt serve`.
    pub(crate) fn serve(message: impl Into<String>) -> Self {
        Self::new("serve", message)
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let help =
            if self.topic.is_empty() { "bolt help".into() } else { format!("bolt {} --help", self.topic) };
        write!(f, "{}\nhint: `{help}` lists the options and shows examples", self.message)
    }
}

/// Reads the words after the program's name.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let mut parser = lexopt::Parser::from_args(words);
    let fail = |e: lexopt::Error| UsageError::new("", e.to_string());
    match parser.next().map_err(fail)? {
        None => Err(UsageError::new("", "no command given: expected `run`, `serve`, `pages` or `demo`")),
        Some(Short('h') | Long("help")) => Ok(Command::Help(HELP)),
        Some(Short('V') | Long("version")) => Ok(Command::Version),
        Some(Value(word)) => match word.to_str() {
            Some("run") => run(&mut parser),
            Some("serve") => serve(&mut parser),
            Some("demo") => demo(&mut parser),
            Some("pages") => crate::pages_args::parse(&mut parser),
            Some("version") => Ok(Command::Version),
            Some("help") => help(&mut parser),
            _ => Err(UsageError::new(
                "",
                format!("unknown command {word:?}: expected `run`, `serve`, `pages`, `demo` or `help`"),
            )),
        },
        Some(other) => Err(UsageError::new("", other.unexpected().to_string())),
    }
}

fn help(parser: &mut lexopt::Parser) -> Result<Command, UsageError> {
    let topic = parser.next().map_err(|e| UsageError::new("", e.to_string()))?;
    match topic {
        None => Ok(Command::Help(HELP)),
        Some(Value(word)) => match word.to_str() {
            Some("run") => Ok(Command::Help(HELP_RUN)),
            Some("serve") => Ok(Command::Help(HELP_SERVE)),
            Some("demo") => Ok(Command::Help(HELP_DEMO)),
            Some("pages") => Ok(Command::Help(crate::pages_args::HELP)),
            _ => Err(UsageError::new(
                "",
                format!("no help on {word:?}: expected `run`, `serve`, `pages` or `demo`"),
            )),
        },
        Some(other) => Err(UsageError::new("", other.unexpected().to_string())),
    }
}

fn run(parser: &mut lexopt::Parser) -> Result<Command, UsageError> {
    let usage = |e: lexopt::Error| UsageError::run(e.to_string());
    let mut query: Option<Query> = None;
    let mut run = Run {
        uri: format!("bolt://127.0.0.1:{PORT}"),
        user: "neo4j".into(),
        no_auth: false,
        password_file: None,
        database: None,
        params: Vec::new(),
        format: Format::Table,
        fetch_size: FETCH_SIZE,
        stats: false,
        read: false,
        timeout: None,
        connect_timeout: CONNECT_TIMEOUT,
        query: Query::Stdin,
    };
    while let Some(arg) = parser.next().map_err(usage)? {
        match arg {
            Short('h') | Long("help") => return Ok(Command::Help(HELP_RUN)),
            Short('a') | Long("uri") => run.uri = string(parser, "--uri").map_err(UsageError::run)?,
            Short('u') | Long("user") => run.user = string(parser, "--user").map_err(UsageError::run)?,
            Long("no-auth") => run.no_auth = true,
            Long("password-file") => run.password_file = Some(path(parser).map_err(usage)?),
            Short('p') | Long("password") => {
                return Err(UsageError::run(
                    "a password on the command line can be read by every user of this machine: \
                     set BOLT_PASSWORD, give --password-file FILE, or answer the prompt",
                ));
            }
            Short('d') | Long("database") => {
                run.database = Some(string(parser, "--database").map_err(UsageError::run)?);
            }
            Short('P') | Long("param") => {
                run.params.push(string(parser, "--param").map_err(UsageError::run)?);
            }
            Short('f') | Long("format") => {
                let word = string(parser, "--format").map_err(UsageError::run)?;
                run.format = match word.as_str() {
                    "table" => Format::Table,
                    "json" => Format::Json,
                    "csv" => Format::Csv,
                    "null" => Format::Null,
                    _ => {
                        return Err(UsageError::run(format!(
                            "--format {word:?} is not known: expected table, json, csv or null"
                        )));
                    }
                };
            }
            Long("fetch-size") => {
                let word = string(parser, "--fetch-size").map_err(UsageError::run)?;
                run.fetch_size = fetch_size(&word)?;
            }
            Long("timeout") => {
                let word = string(parser, "--timeout").map_err(UsageError::run)?;
                run.timeout = Some(seconds(&word, "--timeout")?);
            }
            Long("connect-timeout") => {
                let word = string(parser, "--connect-timeout").map_err(UsageError::run)?;
                run.connect_timeout = seconds(&word, "--connect-timeout")?;
            }
            Long("stats") => run.stats = true,
            Long("read") => run.read = true,
            Value(word) if query.is_none() => {
                let text = word.into_string().map_err(|w| {
                    UsageError::run(format!(
                        "the query is not UTF-8: {w:?}; give it on standard input with `-`"
                    ))
                })?;
                query = Some(if text == "-" { Query::Stdin } else { Query::Text(text) });
            }
            Value(word) => {
                return Err(UsageError::run(format!(
                    "a second query {word:?}: quote the query so that the shell passes it as one word"
                )));
            }
            other => return Err(UsageError::run(other.unexpected().to_string())),
        }
    }
    run.query = query.ok_or_else(|| {
        UsageError::run("no query given: write it as one quoted word, or `-` to read it from standard input")
    })?;
    if let Query::Text(text) = &run.query
        && text.trim().is_empty()
    {
        return Err(UsageError::run("the query is empty"));
    }
    Ok(Command::Run(Box::new(run)))
}

fn serve(parser: &mut lexopt::Parser) -> Result<Command, UsageError> {
    let usage = |e: lexopt::Error| UsageError::serve(e.to_string());
    let mut serve = Serve {
        listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT),
        data: None,
        generated: false,
        user: "neo4j".into(),
        password_file: None,
        no_auth: false,
        expose: false,
        until_eof: false,
    };
    while let Some(arg) = parser.next().map_err(usage)? {
        match arg {
            Short('h') | Long("help") => return Ok(Command::Help(HELP_SERVE)),
            Short('l') | Long("listen") => {
                let word = string(parser, "--listen").map_err(UsageError::serve)?;
                serve.listen = listen(&word)?;
            }
            Long("data") => serve.data = Some(path(parser).map_err(usage)?),
            Long("generated") => serve.generated = true,
            Short('u') | Long("user") => {
                serve.user = string(parser, "--user").map_err(UsageError::serve)?;
            }
            Long("password-file") => serve.password_file = Some(path(parser).map_err(usage)?),
            Long("no-auth") => serve.no_auth = true,
            Long("expose") => serve.expose = true,
            Long("until-eof") => serve.until_eof = true,
            other => return Err(UsageError::serve(other.unexpected().to_string())),
        }
    }
    if serve.generated && serve.data.is_some() {
        return Err(UsageError::serve(
            "--generated serves no file: leave out --data, or leave out --generated",
        ));
    }
    if serve.no_auth && serve.password_file.is_some() {
        return Err(UsageError::serve(
            "--no-auth and --password-file contradict each other: give one of them",
        ));
    }
    if serve.no_auth && !serve.listen.ip().is_loopback() && !serve.expose {
        return Err(UsageError::serve(format!(
            "--no-auth on {} would let everyone on the network in: listen on 127.0.0.1, or say --expose as well",
            serve.listen
        )));
    }
    Ok(Command::Serve(serve))
}

fn demo(parser: &mut lexopt::Parser) -> Result<Command, UsageError> {
    let fail = |e: String| UsageError::new("demo", e);
    let mut demo = Demo { records: DEMO_RECORDS };
    while let Some(arg) = parser.next().map_err(|e| fail(e.to_string()))? {
        match arg {
            Short('h') | Long("help") => return Ok(Command::Help(HELP_DEMO)),
            Long("records") => {
                let word = string(parser, "--records").map_err(fail)?;
                demo.records = word
                    .replace('_', "")
                    .parse()
                    .ok()
                    .filter(|n| (1_000..=1_000_000_000).contains(n))
                    .ok_or_else(|| {
                        fail(format!(
                            "--records {word:?}: expected a whole number from 1,000 to 1,000,000,000"
                        ))
                    })?;
            }
            other => return Err(fail(other.unexpected().to_string())),
        }
    }
    Ok(Command::Demo(demo))
}

fn string(parser: &mut lexopt::Parser, option: &str) -> Result<String, String> {
    let value = parser.value().map_err(|e| e.to_string())?;
    value.into_string().map_err(|v| format!("{option} {v:?} is not UTF-8"))
}

fn path(parser: &mut lexopt::Parser) -> Result<PathBuf, lexopt::Error> {
    parser.value().map(PathBuf::from)
}

fn fetch_size(word: &str) -> Result<u32, UsageError> {
    match word {
        "all" | "-1" => Ok(0),
        _ => word.replace('_', "").parse::<u32>().ok().filter(|n| *n > 0).ok_or_else(|| {
            UsageError::run(format!("--fetch-size {word:?}: expected a whole number from 1, or `all`"))
        }),
    }
}

fn seconds(word: &str, option: &str) -> Result<Duration, UsageError> {
    word.parse::<f64>()
        .ok()
        .filter(|s| *s > 0.0)
        .and_then(|s| Duration::try_from_secs_f64(s).ok())
        .ok_or_else(|| {
            UsageError::run(format!("{option} {word:?}: expected a number of seconds above 0, such as 2.5"))
        })
}

/// An address to listen on: `ip:port`, `localhost:port`, or an address alone with Bolt's port.
fn listen(word: &str) -> Result<SocketAddr, UsageError> {
    let with_name = word.strip_prefix("localhost").map(|rest| format!("127.0.0.1{rest}"));
    let text = with_name.as_deref().unwrap_or(word);
    text.parse::<SocketAddr>().or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT))).map_err(|_| {
        UsageError::serve(format!(
            "--listen {word:?}: expected an address and a port such as 127.0.0.1:7687, [::1]:7687, or 127.0.0.1:0 for any free port"
        ))
    })
}

/// `bolt help`.
pub(crate) const HELP: &str = "\
bolt - run queries over the Bolt protocol, serve an embedded graph, look into bbolt files, or see a demo

Usage: bolt COMMAND [OPTIONS]

Commands:
  run     run a query against a server and print its records
  serve   serve an embedded property graph, or generated streams, over Bolt
  pages   look into, check, copy and repair a bbolt database file
  demo    start a server, load a graph, query it, and stream a million records
  help    this text, or `bolt help COMMAND`

Options:
  -h, --help      this text
  -V, --version   the version

Two commands to begin with:
  bolt demo
  BOLT_PASSWORD=secret bolt serve & BOLT_PASSWORD=secret bolt run \"RETURN 1 AS one\"

Exit codes: 0 done, 1 the server or the network said no, 2 the command line is wrong, 130 interrupted by Ctrl-C.
";

/// `bolt run --help`.
pub(crate) const HELP_RUN: &str = "\
bolt run - run a query against a Bolt server and print its records

Usage: bolt run [OPTIONS] QUERY      the query as one quoted word
       bolt run [OPTIONS] -          the query from standard input

Where and who:
  -a, --uri URI              server (bolt://127.0.0.1:7687); no user or password in it
  -u, --user NAME            user (neo4j)
      --password-file FILE   password from the first line of FILE
      --no-auth              log in without a user, for servers that allow it
  -d, --database NAME        database (the server's default)
      --connect-timeout S    seconds to connect and log in (5)
  The password comes from --password-file, else from BOLT_PASSWORD, else from a prompt on the terminal.

What:
  -P, --param NAME=JSON      a parameter; repeatable. Integers stay exact over the whole 64-bit range
      --read                 ask for read access only
      --timeout S            transaction timeout, in seconds, kept by the server
      --fetch-size N         records per PULL (1000), or `all` for one PULL of everything

How it is printed:
  -f, --format FORMAT        table   for people: columns sized by the first 1,000 rows (default)
                             json    one object a line, columns in order, integers exact
                             csv     RFC 4180, first line the column names
                             null    decode every value, print nothing
      --stats                end with one line on standard error:
                             records= bytes= wall_ms= cpu_us_per_record= allocations=
                             allocations_per_record= peak_rss_kib=

Examples:
  bolt run \"MATCH (p:Person) RETURN p.name, p.born ORDER BY p.born\"
  bolt run --param id=9007199254740993 --format json 'RETURN $id AS id'
  bolt run --param 'names=[\"Ann\",\"Bo\"]' 'UNWIND $names AS n CREATE (:Person {name: n})'
  bolt run --format null --stats \"UNWIND range(1, 100000) AS x RETURN x\"
  bolt run - < report.cypher > report.txt

Exit codes: 0 done, 1 the server or the network said no, 2 the command line is wrong, 130 interrupted by Ctrl-C
(the first Ctrl-C resets the query on the server and exits; a second one exits at once).
";

/// `bolt serve --help`.
pub(crate) const HELP_SERVE: &str = "\
bolt serve - serve an embedded property graph, or generated streams, over Bolt

Usage: bolt serve [OPTIONS]

Options:
  -l, --listen ADDRESS       address and port (127.0.0.1:7687); port 0 takes any free one
      --data FILE            keep the graph in FILE; without it the graph ends with the server
      --generated            serve no graph, only streams: CALL generate.scalars(1000000) and others
  -u, --user NAME            the user who may log in (neo4j)
      --password-file FILE   the user's password from the first line of FILE
      --no-auth              let everyone in; on a loopback address, or with --expose
      --expose               with --no-auth: mean it, on an address others can reach
      --until-eof            stop when standard input ends, so that a parent process takes the server with it
  The password comes from --password-file, else from BOLT_PASSWORD; otherwise one is made up and printed.

When it is ready it prints one line with its address to standard output. SIGTERM or Ctrl-C stops it cleanly.
Bolt is not encrypted here: on a network, put it behind a tunnel.

Examples:
  BOLT_PASSWORD=secret bolt serve
  BOLT_PASSWORD=secret bolt serve --data movies.graph --listen 127.0.0.1:0
  bolt serve --generated --no-auth

Exit codes: 0 stopped cleanly, 1 the address or the file cannot be used, 2 the command line is wrong.
";

/// `bolt demo --help`.
pub(crate) const HELP_DEMO: &str = "\
bolt demo - everything at once, with nothing installed

Usage: bolt demo [--records N]

Starts an embedded server on a free port of this machine, loads a small graph, prints a few queries as tables, then
streams N (1000000) generated records and prints records/s, CPU and allocations per record and peak memory beside the
story of the receive buffer.

Exit codes: 0 every promise held, 1 one was broken: the count and the sums of the records, no allocation per record,
or the memory bound. None of these depends on how fast the machine is.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[&str]) -> Result<Command, UsageError> {
        parse(line.iter().map(OsString::from))
    }

    fn message(line: &[&str]) -> String {
        words(line).expect_err("must be refused").to_string()
    }

    #[test]
    fn a_run_with_every_option() {
        let line = [
            "run",
            "--uri",
            "bolt://h:1",
            "-u",
            "ann",
            "--database=d",
            "--param",
            "a=1",
            "-P",
            "b=[2]",
            "--format",
            "csv",
            "--fetch-size",
            "all",
            "--stats",
            "--read",
            "--timeout",
            "1.5",
            "RETURN 1",
        ];
        let Ok(Command::Run(run)) = words(&line) else { panic!("a run") };
        assert_eq!(
            (run.uri.as_str(), run.user.as_str(), run.database.as_deref()),
            ("bolt://h:1", "ann", Some("d"))
        );
        assert_eq!((run.params.len(), run.format, run.fetch_size), (2, Format::Csv, 0));
        assert!(run.stats && run.read && !run.no_auth);
        assert_eq!(run.timeout, Some(Duration::from_millis(1_500)));
        assert!(matches!(run.query, Query::Text(q) if q == "RETURN 1"));
    }

    #[test]
    fn a_dash_is_standard_input() {
        let Ok(Command::Run(run)) = words(&["run", "-"]) else { panic!("a run") };
        assert!(matches!(run.query, Query::Stdin));
    }

    #[test]
    fn mistakes_say_what_to_do() {
        for (line, part) in [
            (&["run"][..], "no query given"),
            (&["run", "  "], "the query is empty"),
            (&["run", "MATCH", "(n)"], "quote the query"),
            (&["run", "--format", "xml", "RETURN 1"], "table, json, csv or null"),
            (&["run", "--fetch-size", "0", "RETURN 1"], "from 1, or `all`"),
            (&["run", "--password", "x", "RETURN 1"], "BOLT_PASSWORD"),
            (&["run", "--nope", "RETURN 1"], "--nope"),
            (&["run", "--timeout", "-1", "RETURN 1"], "seconds above 0"),
            (&["run", "--uri"], "--uri"),
            (&["serve", "--listen", "nowhere"], "127.0.0.1:7687"),
            (&["serve", "--generated", "--data", "f"], "--generated serves no file"),
            (&["serve", "--no-auth", "--listen", "0.0.0.0:7687"], "--expose"),
            (&["demo", "--records", "1"], "1,000 to"),
            (&["dance"], "unknown command"),
            (&[], "no command given"),
        ] {
            let text = message(line);
            assert!(text.contains(part), "{line:?} gave {text:?}");
            assert!(text.contains("hint: `bolt "), "{line:?} gave no hint: {text:?}");
        }
    }

    #[test]
    fn help_is_never_an_error() {
        for line in [
            &["help"][..],
            &["--help"],
            &["run", "--help"],
            &["serve", "-h"],
            &["demo", "-h"],
            &["help", "run"],
        ] {
            assert!(matches!(words(line), Ok(Command::Help(_))), "{line:?}");
        }
        assert!(matches!(words(&["--version"]), Ok(Command::Version)));
    }

    #[test]
    fn listening_addresses() {
        for (word, address) in [
            ("localhost:1", "127.0.0.1:1"),
            ("127.0.0.1", "127.0.0.1:7687"),
            ("[::1]:9", "[::1]:9"),
            ("::1", "[::1]:7687"),
            ("0.0.0.0:0", "0.0.0.0:0"),
        ] {
            assert_eq!(listen(word).expect("an address").to_string(), address);
        }
    }
}
