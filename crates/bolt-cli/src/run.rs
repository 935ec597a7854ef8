//! `bolt run`: one query, its records in the format asked for, and what it cost.
//!
//! Owns the loop between the connection and the output. Once the first records have passed, a record allocates nothing: it is read in
//! the receive buffer and written into one reused block (`table` holds a bounded window of first rows besides, see [`crate::table`]).
//! Memory does not depend on the length of the result nor on the size of a PULL.

use std::io::{self, IsTerminal, Read, Write};
use std::time::{Duration, Instant};

use bolt_alloc::Counts;
use bolt_client::{Auth, Config, Connection, Error, ErrorKind, Reason, RunOptions, TxOptions};
use bolt_wire::{DecodeError, RecordRef, Value, ValueRef};

use crate::args::{self, Format, Query, UsageError};
use crate::exit::Stop;
use crate::interrupt::Interrupts;
use crate::progress::Progress;
use crate::sink::{Cell, Out, Sink};
use crate::table::{CELL_BYTES, Kind, Table};
use crate::{csv, json, params, password, text, usage};

/// Longest query text read from standard input: what fits a message of 16 MiB with its parameters.
const QUERY_BYTES_MAX: u64 = 15 << 20;
/// Ceiling on the connection's buffers. Streams of small records need some 200 KiB of it; the rest is for single large messages.
const MEMORY_BYTES_MAX: usize = 64 << 20;

/// Runs the query.
///
/// # Errors
/// Why the command ends early, or ends with another code than 0.
pub(crate) fn run(run: &args::Run) -> Result<(), Stop> {
    let mut parameters = Vec::with_capacity(run.params.len());
    for word in &run.params {
        let (name, value) = params::param(word).map_err(UsageError::run)?;
        if parameters.iter().any(|(n, _)| *n == name) {
            return Err(UsageError::run(format!("--param {name} is given twice")).into());
        }
        parameters.push((name, value));
    }
    let mut config = Config::from_uri(&run.uri).map_err(|e| UsageError::run(e.to_string()))?;
    let interrupts = Interrupts::install().map_err(Stop::failed)?;
    let query = match &run.query {
        Query::Text(text) => text.clone(),
        Query::Stdin => query_from_stdin()?,
    };
    config.auth = if run.no_auth { Auth::None } else { Auth::basic(&run.user, secret(run, &interrupts)?) };
    config.user_agent = concat!("bolt-cli/", env!("CARGO_PKG_VERSION")).into();
    config.fetch_size = run.fetch_size.into();
    config.connect_timeout = Some(run.connect_timeout);
    config.login_timeout = Some(run.connect_timeout);
    config.memory_bytes_max = MEMORY_BYTES_MAX;
    let began = Instant::now();
    let mut connection = Connection::connect(&config).map_err(|e| failed(&e, &config))?;
    interrupts.cancel_with(connection.cancel_handle());
    let outcome = stream(run, &mut connection, &query, &parameters, began);
    match outcome {
        Err(_) if interrupts.is_interrupted() => Err(Stop::Interrupted),
        Err(Ended::Client(e)) if e.is_cancelled() => Err(Stop::Interrupted),
        Err(Ended::Client(e)) => Err(failed(&e, &config)),
        Err(Ended::Value(e)) => Err(Stop::failed(format!(
            "the server sent a value that cannot be read: {e}\nhint: the other records were printed"
        ))),
        Err(Ended::Output(io::ErrorKind::BrokenPipe)) => {
            // The reader has had enough: what it would have read is of no use to anyone.
            drop(connection);
            Err(Stop::Quiet)
        }
        Err(Ended::Output(e)) => Err(Stop::failed(format!("the output cannot be written: {e}"))),
        Ok(()) => {
            connection.close();
            Ok(())
        }
    }
}

/// Why a stream ended before its end.
enum Ended {
    Client(Error),
    Value(DecodeError),
    Output(io::ErrorKind),
}

impl From<Error> for Ended {
    fn from(e: Error) -> Self {
        Ended::Client(e)
    }
}

impl From<DecodeError> for Ended {
    fn from(e: DecodeError) -> Self {
        Ended::Value(e)
    }
}

fn query_from_stdin() -> Result<String, Stop> {
    let mut text = String::new();
    io::stdin()
        .take(QUERY_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|e| Stop::failed(format!("the query cannot be read from standard input: {e}")))?;
    if text.len() as u64 > QUERY_BYTES_MAX {
        return Err(UsageError::run(format!(
            "the query on standard input is longer than {QUERY_BYTES_MAX} bytes"
        ))
        .into());
    }
    if text.trim().is_empty() {
        return Err(UsageError::run("the query on standard input is empty").into());
    }
    Ok(text)
}

fn secret(run: &args::Run, interrupts: &Interrupts) -> Result<String, Stop> {
    match password::given(run.password_file.as_deref()).map_err(Stop::failed)? {
        Some(password) => Ok(password),
        None => password::ask(&run.user, interrupts).map_err(|e| UsageError::run(e).into()),
    }
}

/// What `--stats` tells.
struct Cost {
    records: u64,
    bytes: u64,
    wall: Duration,
    cpu: Option<Duration>,
    allocations: Counts,
}

fn stream(
    run: &args::Run,
    connection: &mut Connection,
    query: &str,
    parameters: &[(String, Value)],
    began: Instant,
) -> Result<(), Ended> {
    let tx = TxOptions {
        database: run.database.clone(),
        read_only: run.read,
        timeout: run.timeout,
        ..TxOptions::default()
    };
    let options = RunOptions { tx, fetch_size: None };
    let bytes_before = connection.stats().bytes_read;
    let mut rows = connection.run_with(query, parameters, &options)?;
    let mut progress = Progress::new();
    let mut out = Out::new(progress.screen(io::stdout().lock()));
    let mut printer = Printer::new(run.format, rows.fields().iter(), &mut out);
    let (cpu_before, streaming) = (usage::cpu(), Instant::now());
    let (outcome, allocations) = bolt_alloc::measure(|| -> Result<u64, Ended> {
        let mut records = 0_u64;
        while let Some(row) = rows.next()? {
            records += 1;
            printer.record(&mut out, row)?;
            out.check().map_err(|e| Ended::Output(e.kind()))?;
            progress.record(records);
        }
        Ok(records)
    });
    progress.end();
    let wall = streaming.elapsed();
    let cpu = cpu_before.and_then(|before| usage::cpu()?.checked_sub(before));
    // What came before a failure is printed all the same, in every format.
    printer.finish(&mut out);
    let ended = match outcome {
        Ok(records) => {
            let summary = rows.finish()?;
            if run.format == Format::Table {
                footer(&mut out, records, began.elapsed(), &summary);
            }
            let bytes = connection.stats().bytes_read - bytes_before;
            Ok(Cost { records, bytes, wall, cpu, allocations })
        }
        Err(e) => Err(e),
    };
    out.flush();
    let written = out.check().map_err(|e| Ended::Output(e.kind()));
    let cost = ended?;
    if run.stats {
        report(&cost);
    }
    written
}

/// The last lines of a table: what the query changed, and how much it gave.
fn footer(out: &mut impl Sink, records: u64, took: Duration, summary: &bolt_client::Summary) {
    let c = summary.counters();
    let mut first = true;
    for (count, what) in [
        (c.nodes_created, "nodes created"),
        (c.nodes_deleted, "nodes deleted"),
        (c.relationships_created, "relationships created"),
        (c.relationships_deleted, "relationships deleted"),
        (c.properties_set, "properties set"),
        (c.labels_added, "labels added"),
        (c.labels_removed, "labels removed"),
        (c.indexes_added, "indexes added"),
        (c.indexes_removed, "indexes removed"),
        (c.constraints_added, "constraints added"),
        (c.constraints_removed, "constraints removed"),
        (c.system_updates, "system updates"),
    ] {
        if count > 0 {
            out.text(if first { "" } else { ", " });
            out.text(&grouped(count));
            out.text(" ");
            out.text(what);
            first = false;
        }
    }
    out.text(if first { "" } else { "\n" });
    let noun = if records == 1 { "record" } else { "records" };
    out.text(&format!("{} {noun}, {} ms\n", grouped(records), took.as_millis()));
}

/// `1,234,567`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn report(cost: &Cost) {
    let per = |total: f64| if cost.records == 0 { 0.0 } else { total / cost.records as f64 };
    let cpu = match cost.cpu {
        Some(cpu) => format!("{:.4}", per(cpu.as_secs_f64() * 1e6)),
        None => "unknown".into(),
    };
    let rss = usage::peak_rss_kib().map_or_else(|| "unknown".into(), |k| k.to_string());
    let _ = writeln!(
        io::stderr(),
        "records={} bytes={} wall_ms={:.1} cpu_us_per_record={cpu} allocations={} allocations_per_record={:.6} peak_rss_kib={rss}",
        cost.records,
        cost.bytes,
        cost.wall.as_secs_f64() * 1e3,
        cost.allocations.allocations,
        per(cost.allocations.allocations as f64),
    );
}

/// One format at work.
pub(crate) enum Printer {
    Table(Box<(Table, Cell)>),
    /// `{"name":` and `,"name":` of each column, ready to copy.
    Json(Vec<Vec<u8>>),
    Csv,
    Null,
}

impl Printer {
    pub(crate) fn new<'n>(format: Format, names: impl Iterator<Item = &'n str>, out: &mut impl Sink) -> Self {
        match format {
            Format::Table => {
                let shown = names.map(|name| {
                    let mut cell = Cell::new(CELL_BYTES);
                    text::plain(&mut cell, name);
                    cell.as_str().to_owned()
                });
                let width = io::stdout().is_terminal().then(usage::terminal_width).flatten();
                Printer::Table(Box::new((Table::new(shown.collect(), width), Cell::new(CELL_BYTES))))
            }
            Format::Json => Printer::Json(
                names
                    .enumerate()
                    .map(|(i, name)| {
                        let mut key = vec![if i == 0 { b'{' } else { b',' }];
                        json::string(&mut key, name);
                        key.push(b':');
                        key
                    })
                    .collect(),
            ),
            Format::Csv => {
                let mut columns = 0;
                for name in names {
                    out.put(if columns > 0 { b"," } else { b"" });
                    csv::string(out, name);
                    columns += 1;
                }
                out.put(if columns > 0 { b"\r\n" } else { b"" });
                Printer::Csv
            }
            Format::Null => Printer::Null,
        }
    }

    #[inline]
    pub(crate) fn record(&mut self, out: &mut impl Sink, row: RecordRef<'_>) -> Result<(), DecodeError> {
        match self {
            Printer::Table(table) => {
                let (table, cell) = &mut **table;
                for value in row.values() {
                    let value = value?;
                    cell.clear();
                    text::cell(cell, value)?;
                    let kind = match value {
                        ValueRef::Null => Kind::Null,
                        ValueRef::Int(_) | ValueRef::Float(_) => Kind::Number,
                        _ => Kind::Other,
                    };
                    table.cell(out, cell, kind);
                }
            }
            Printer::Json(keys) => {
                if keys.is_empty() {
                    out.put(b"{");
                }
                for (column, key) in keys.iter().enumerate() {
                    out.put(key);
                    json::raw(out, row.at(column)?)?;
                }
                out.put(b"}\n");
            }
            Printer::Csv => {
                for (i, value) in row.values().enumerate() {
                    if i > 0 {
                        out.put(b",");
                    }
                    csv::value(out, value?)?;
                }
                out.put(b"\r\n");
            }
            Printer::Null => {
                for column in 0..row.len() {
                    crate::decode::touch(row.at(column)?)?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn finish(&mut self, out: &mut impl Sink) {
        if let Printer::Table(table) = self {
            table.0.finish(out);
        }
    }
}

/// The sentence, and what to do next.
fn failed(error: &Error, config: &Config) -> Stop {
    let address = format!("{}:{}", config.host, config.port);
    let hint = match error.reason() {
        Reason::Unreachable => {
            format!("is a server running at {address}? `bolt serve` starts one; --uri names another")
        }
        Reason::NotBolt => "--uri must name the Bolt port (7687 unless changed), not the web port".into(),
        Reason::TimedOut => {
            format!(
                "something accepts connections at {address} but does not speak Bolt in time; a port that wants TLS stays silent too"
            )
        }
        _ => match error.failure().map(|f| f.code.as_str()) {
            Some(code) => advice(code).into(),
            None => String::new(),
        },
    };
    let message = match error.failure() {
        Some(failure) => format!("{}: {}", failure.code, failure.message),
        None => error.to_string(),
    };
    let mut shown = Vec::new();
    for (i, line) in message.lines().enumerate() {
        shown.put(if i > 0 { b"\n" } else { b"" });
        text::plain(&mut shown, line);
    }
    let mut shown = String::from_utf8_lossy(&shown).into_owned();
    if !hint.is_empty() {
        shown.push_str("\nhint: ");
        shown.push_str(&hint);
    } else if error.is_retryable() && error.kind() != ErrorKind::Caller {
        shown.push_str("\nhint: this may pass; try again");
    }
    Stop::failed(shown)
}

/// What to do about a server's code.
fn advice(code: &str) -> &'static str {
    let mut parts = code.split('.').skip(1);
    let (class, category, title) = (parts.next(), parts.next(), parts.next().unwrap_or(""));
    match (class, category, title) {
        (_, Some("Security"), "Unauthorized") => {
            "check --user and the password (BOLT_PASSWORD, --password-file)"
        }
        (_, Some("Security"), "AuthenticationRateLimit") => {
            "wait some seconds, then try again with the right password"
        }
        (_, Some("Security"), "CredentialsExpired") => {
            "change the password first: ALTER CURRENT USER SET PASSWORD …"
        }
        (_, Some("Security"), _) => "this user may not do that; use another one with --user",
        (_, Some("Database"), "DatabaseNotFound") => {
            "check --database; leave it out for the server's default"
        }
        (_, _, "ParameterMissing") => "give it with --param NAME=JSON",
        (_, _, "SyntaxError") => "mend the query at the place named",
        (_, _, "AccessMode") => "leave out --read to let the query write",
        (_, _, "TransactionTimedOut" | "TransactionTimedOutClientConfiguration") => "raise --timeout",
        (Some("TransientError"), ..) => "this may pass; try again",
        (Some("DatabaseError"), ..) => "the server failed, not the query; its log tells more",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands() {
        for (n, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(n), text);
        }
    }

    #[test]
    fn codes_have_advice() {
        for (code, part) in [
            ("Neo.ClientError.Security.Unauthorized", "--user"),
            ("Neo.ClientError.Database.DatabaseNotFound", "--database"),
            ("Neo.ClientError.Statement.ParameterMissing", "--param"),
            ("Neo.TransientError.Transaction.DeadlockDetected", "try again"),
            ("Neo.DatabaseError.General.UnknownError", "log"),
        ] {
            assert!(advice(code).contains(part), "{code}");
        }
        assert_eq!(advice("nonsense"), "");
    }
}
