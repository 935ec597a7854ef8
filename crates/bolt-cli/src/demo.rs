//! `bolt demo`: a server, a graph, a few tables, a million records, and whether the promises held.
//!
//! The server is this same program as a child process, so that processor time, allocations and memory told here are the client's own.
//! The child stops when its standard input ends, and is killed on every other way out. Promises that do not depend on the machine's
//! speed are checked, and a broken one ends the command with 1: the count and sums of the records, no allocation per record, the bound
//! on memory.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bolt_alloc::Counts;
use bolt_client::{Auth, Config, Connection, Error, FetchSize, RunOptions};
use bolt_server::generated::{Expected, Shape, expected};
use bolt_wire::Value;

use crate::args::{self, Format};
use crate::exit::Stop;
use crate::interrupt::Interrupts;
use crate::password;
use crate::run::{Printer, grouped};
use crate::sink::{Out, Sink};
use crate::usage;

/// The most memory the command may ever have resident, whatever it reads. A debug build maps twice the code, and promises twice as much.
const PEAK_RSS_KIB_MAX: u64 = if cfg!(debug_assertions) { 16 << 10 } else { 8 << 10 };
/// Allocations a whole stream may make: the request, the columns, the buffers growing once. None of them is per record.
const STREAM_ALLOCATIONS_MAX: u64 = 64;
/// How long the server may take to be ready.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// The queries shown, each with the question it answers.
const QUESTIONS: [(&str, &str); 3] = [
    (
        "Who made what, and when?",
        "MATCH (p:Person)-[m:MADE]->(w:Work)\nRETURN w.name AS work, m.year AS year, p.name AS by, m.year - p.born AS age\nORDER BY year, work LIMIT 6",
    ),
    (
        "Which ideas have the most parents?",
        "MATCH (p:Person)-[:MADE]->(w:Work)\nRETURN w AS work, count(*) AS people, collect(p.name) AS names\nORDER BY people DESC, w.name LIMIT 3",
    ),
    (
        "How did Babbage reach Knuth?",
        "MATCH path = shortestPath((:Person {name: $from})-[:INFLUENCED*]->(:Person {name: $to}))\nRETURN length(path) AS steps, [person IN nodes(path) | person.name] AS way",
    ),
];

/// Runs the demonstration.
///
/// # Errors
/// The server cannot be started, or a promise was broken.
pub(crate) fn demo(demo: &args::Demo) -> Result<(), Stop> {
    let began = Instant::now();
    let interrupts = Interrupts::install().map_err(Stop::failed)?;
    let secret = password::made_up();
    let server = Served::start(&secret)?;
    let mut out = Out::new(io::stdout().lock());
    let config = Config::from_uri(&server.uri)
        .map_err(client)?
        .auth(Auth::basic("neo4j", &secret))
        .user_agent(concat!("bolt-cli/", env!("CARGO_PKG_VERSION")));
    let mut connection = Connection::connect(&config).map_err(client)?;
    interrupts.cancel_with(connection.cancel_handle());
    line(&mut out, &format!("Server  {} (a process of its own), Bolt {}", server.uri, connection.version()));
    if cfg!(feature = "embedded") {
        graph(&mut connection, &mut out)?;
    } else {
        line(&mut out, "This bolt was built without the embedded graph (feature `embedded`): streams only.");
    }
    let broken = streams(&mut connection, &mut out, demo.records)?;
    connection.close();
    drop(server);
    line(&mut out, &format!("\nAll of it took {:.1} s.", began.elapsed().as_secs_f64()));
    out.flush();
    // A reader that left early does not change what was promised.
    if broken.is_empty() {
        Ok(())
    } else {
        Err(Stop::failed(format!("broken promises: {}", broken.join("; "))))
    }
}

fn client(e: Error) -> Stop {
    Stop::failed(e.to_string())
}

fn line(out: &mut impl Sink, text: &str) {
    out.text(text);
    out.put(b"\n");
}

/// Loads the graph in one transaction, asks the questions.
fn graph<W: Write>(connection: &mut Connection, out: &mut Out<W>) -> Result<(), Stop> {
    let people: &[(&str, i64)] = &[
        ("Charles Babbage", 1791),
        ("Ada Lovelace", 1815),
        ("Alan Turing", 1912),
        ("Grace Hopper", 1906),
        ("John Backus", 1924),
        ("Edsger Dijkstra", 1930),
        ("Tony Hoare", 1934),
        ("Donald Knuth", 1938),
        ("Barbara Liskov", 1939),
    ];
    let works: &[(&str, &str, i64)] = &[
        ("Charles Babbage", "Analytical Engine", 1837),
        ("Ada Lovelace", "Analytical Engine", 1843),
        ("Alan Turing", "Turing machine", 1936),
        ("Grace Hopper", "A-0 compiler", 1952),
        ("John Backus", "Fortran", 1957),
        ("John Backus", "ALGOL 60", 1960),
        ("Edsger Dijkstra", "shortest paths", 1959),
        ("Tony Hoare", "quicksort", 1961),
        ("Donald Knuth", "TeX", 1978),
        ("Barbara Liskov", "CLU", 1974),
    ];
    let influences: &[(&str, &str)] = &[
        ("Charles Babbage", "Ada Lovelace"),
        ("Ada Lovelace", "Alan Turing"),
        ("Alan Turing", "Edsger Dijkstra"),
        ("Grace Hopper", "John Backus"),
        ("John Backus", "Edsger Dijkstra"),
        ("Edsger Dijkstra", "Tony Hoare"),
        ("Edsger Dijkstra", "Barbara Liskov"),
        ("Tony Hoare", "Donald Knuth"),
    ];
    let rows = |rows: Vec<Vec<Value>>| Value::List(rows.into_iter().map(Value::List).collect());
    let loads = [
        (
            "UNWIND $rows AS row CREATE (:Person {name: row[0], born: row[1]})",
            rows(people.iter().map(|(n, b)| vec![(*n).into(), (*b).into()]).collect()),
        ),
        (
            "UNWIND $rows AS row MATCH (p:Person {name: row[0]}) MERGE (w:Work {name: row[1]}) CREATE (p)-[:MADE {year: row[2]}]->(w)",
            rows(works.iter().map(|(p, w, y)| vec![(*p).into(), (*w).into(), (*y).into()]).collect()),
        ),
        (
            "UNWIND $rows AS row MATCH (a:Person {name: row[0]}), (b:Person {name: row[1]}) CREATE (a)-[:INFLUENCED]->(b)",
            rows(influences.iter().map(|(a, b)| vec![(*a).into(), (*b).into()]).collect()),
        ),
    ];
    let began = Instant::now();
    let mut transaction = connection.begin(&Default::default()).map_err(client)?;
    for (query, rows) in loads {
        let cursor = transaction.run(query, [("rows", rows)]).map_err(client)?;
        transaction.finish(cursor).map_err(client)?;
    }
    transaction.commit().map_err(client)?;
    let (nodes, edges) = (people.len(), works.len() + influences.len());
    line(
        out,
        &format!(
            "Graph   {nodes} people and {edges} relationships loaded in one transaction, {} ms",
            began.elapsed().as_millis()
        ),
    );
    for (question, query) in QUESTIONS {
        line(out, &format!("\n{question}"));
        for text in query.lines() {
            line(out, &format!("    {text}"));
        }
        let mut parameters: Vec<(&str, Value)> = Vec::new();
        if query.contains("$from") {
            parameters.extend([("from", "Charles Babbage".into()), ("to", "Donald Knuth".into())]);
        }
        let mut rows = connection.run(query, parameters).map_err(client)?;
        let mut printer = Printer::new(Format::Table, rows.fields().iter(), out);
        while let Some(row) = rows.next().map_err(client)? {
            printer.record(out, row).map_err(|e| Stop::failed(e.to_string()))?;
        }
        printer.finish(out);
        rows.finish().map_err(client)?;
    }
    Ok(())
}

/// What one stream cost.
struct Cost {
    sums: Expected,
    wall: Duration,
    cpu: Option<Duration>,
    bytes: u64,
    allocations: Counts,
}

/// Streams the records twice, in batches and in one PULL, and names what was promised and not kept.
fn streams<W: Write>(
    connection: &mut Connection,
    out: &mut Out<W>,
    records: u64,
) -> Result<Vec<String>, Stop> {
    let mut broken = Vec::new();
    line(
        out,
        &format!(
            "\nStreams of {} generated records (integer, float, string, boolean), every value read and summed",
            grouped(records)
        ),
    );
    for (name, fetch_size) in [("PULL 1,000", FetchSize::from(1_000)), ("one PULL", FetchSize::All)] {
        let cost = stream(connection, records, fetch_size)?;
        let seconds = cost.wall.as_secs_f64();
        let megabytes = cost.bytes as f64 / 1e6;
        line(
            out,
            &format!(
                "  {name:<12}{:>12} records/s  {:>7.1} MB/s",
                grouped((records as f64 / seconds) as u64),
                megabytes / seconds
            ),
        );
        let cpu = cost
            .cpu
            .map_or("unknown".into(), |cpu| format!("{:.3} µs", cpu.as_secs_f64() * 1e6 / records as f64));
        let allocations = cost.allocations.allocations;
        line(
            out,
            &format!(
                "  {:<12}{cpu} CPU per record, {:.6} allocations per record ({allocations} in all)",
                "",
                allocations as f64 / records as f64
            ),
        );
        let due = expected(Shape::Scalars, records);
        if cost.sums != due {
            broken.push(format!("{name}: the records should add up to {due:?} and gave {:?}", cost.sums));
        }
        if allocations > STREAM_ALLOCATIONS_MAX {
            broken.push(format!("{name}: {allocations} allocations in one stream, {STREAM_ALLOCATIONS_MAX} at most were promised"));
        }
    }
    let stats = connection.stats();
    let buffer = stats.buffer;
    line(
        out,
        &format!(
            "  buffer      {} KiB now, {} KiB at most; grew {}×, shrank {}×; {} of {} bytes had to be moved ({:.2} %)",
            buffer.capacity_bytes >> 10,
            buffer.capacity_high_water_bytes >> 10,
            buffer.grows,
            buffer.shrinks,
            grouped(buffer.bytes_moved),
            grouped(stats.bytes_read),
            buffer.bytes_moved as f64 * 100.0 / stats.bytes_read.max(1) as f64
        ),
    );
    match usage::peak_rss_kib() {
        Some(kib) => {
            line(
                out,
                &format!(
                    "  memory      {} KiB resident at most, {} KiB promised",
                    grouped(kib),
                    grouped(PEAK_RSS_KIB_MAX)
                ),
            );
            if kib > PEAK_RSS_KIB_MAX {
                broken.push(format!("{kib} KiB were resident, {PEAK_RSS_KIB_MAX} at most were promised"));
            }
        }
        None => line(out, "  memory      not told by this operating system"),
    }
    if broken.is_empty() {
        line(
            out,
            "  promises    kept: every record came once and unchanged, nothing was allocated per record",
        );
    }
    Ok(broken)
}

fn stream(connection: &mut Connection, records: u64, fetch_size: FetchSize) -> Result<Cost, Stop> {
    let n = i64::try_from(records).map_err(|_| Stop::failed("too many records"))?;
    let bytes_before = connection.stats().bytes_read;
    let options = RunOptions { fetch_size: Some(fetch_size), ..RunOptions::default() };
    let (began, cpu_before) = (Instant::now(), usage::cpu());
    let (sums, allocations) = bolt_alloc::measure(|| -> Result<Expected, Error> {
        let mut rows = connection.run_with("CALL generate.scalars($n)", [("n", n)], &options)?;
        let mut sums = Expected::default();
        while let Some(row) = rows.next()? {
            sums.records += 1;
            sums.ints = sums.ints.wrapping_add(row.get::<i64>(0)?);
            sums.floats += row.get::<f64>(1)?;
            sums.string_bytes += row.get::<&str>(2)?.len() as u64;
            sums.trues += u64::from(row.get::<bool>(3)?);
        }
        rows.finish()?;
        Ok(sums)
    });
    let wall = began.elapsed();
    let cpu = cpu_before.and_then(|before| usage::cpu()?.checked_sub(before));
    let sums = sums.map_err(client)?;
    Ok(Cost { sums, wall, cpu, bytes: connection.stats().bytes_read - bytes_before, allocations })
}

/// The server's process. Dropping it closes its standard input and then makes sure.
struct Served {
    child: Child,
    uri: String,
}

impl Served {
    fn start(secret: &str) -> Result<Self, Stop> {
        let program = std::env::current_exe()
            .map_err(|e| Stop::failed(format!("this program cannot find itself: {e}")))?;
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--until-eof"]);
        if !cfg!(feature = "embedded") {
            command.arg("--generated");
        }
        command.env(password::VARIABLE, secret).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child =
            command.spawn().map_err(|e| Stop::failed(format!("the server cannot be started: {e}")))?;
        let Some(stdout) = child.stdout.take() else { return Err(Stop::failed("the server has no output")) };
        let mut served = Self { child, uri: String::new() };
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut ready = String::new();
            let _ = BufReader::new(stdout).read_line(&mut ready);
            let _ = sender.send(ready);
        });
        let ready = receiver.recv_timeout(START_TIMEOUT).unwrap_or_default();
        match ready.split_whitespace().find(|word| word.starts_with("bolt://")) {
            Some(uri) => {
                served.uri = uri.to_owned();
                Ok(served)
            }
            None => Err(Stop::failed("the server did not become ready; what it said stands above")),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let patience = Instant::now() + Duration::from_secs(2);
        while Instant::now() < patience {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
