//! Runs every client on the same streams and prints a markdown table per stream.
//!
//! `compare [--rounds N] [--scale F] [--only TEXT]`: N rounds (5), every client once per round and stream, so that a busy
//! minute hits all; F multiplies the numbers of records (1.0); TEXT picks streams by name. The server runs pinned to one
//! processor, each client to another, by `taskset` where there is one. Every client's sums are checked. Medians are printed,
//! ratios against the best driver other than ours.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bolt_server::generated::{Expected, Shape, expected};

type Outcome<T> = Result<T, Box<dyn Error>>;

const SERVER_CPU: &str = "0";
const CLIENT_CPU: &str = "1";

const OURS: &str = "bolt-client";
const FLOOR: &str = "floor-headers-only";

/// A stream, the way its rows are read, and who can.
struct Case {
    title: &'static str,
    shape: &'static str,
    records: u64,
    fetch: i64,
    /// What ours is asked for, and what the others are.
    ways: &'static [(&'static str, &'static str)],
}

const CASES: [Case; 8] = [
    Case {
        title: "scalars, every value read, PULL 1000",
        shape: "scalars",
        records: 1_000_000,
        fetch: 1000,
        ways: &[("borrow", "borrow")],
    },
    Case {
        title: "nodes, every property read, PULL 1000",
        shape: "nodes",
        records: 200_000,
        fetch: 1000,
        ways: &[("borrow", "borrow")],
    },
    Case {
        title: "lists, every item read, PULL 1000",
        shape: "lists",
        records: 50_000,
        fetch: 1000,
        ways: &[("borrow", "borrow")],
    },
    Case {
        title: "scalars, PULL all",
        shape: "scalars",
        records: 1_000_000,
        fetch: 0,
        ways: &[("borrow", "borrow")],
    },
    Case {
        title: "scalars, rows kept a thousand at a time",
        shape: "scalars",
        records: 500_000,
        fetch: 1000,
        ways: &[("owned", "owned"), ("batch", "")],
    },
    Case {
        title: "nodes, rows kept a thousand at a time",
        shape: "nodes",
        records: 100_000,
        fetch: 1000,
        ways: &[("owned", "owned"), ("batch", "")],
    },
    Case {
        title: "nodes into structs by serde",
        shape: "nodes",
        records: 100_000,
        fetch: 1000,
        ways: &[("serde", "serde")],
    },
    Case {
        title: "RETURN 1, there and back",
        shape: "rtt",
        records: 20_000,
        fetch: 1000,
        ways: &[("borrow", "borrow")],
    },
];

/// One run's line, taken apart.
#[derive(Clone, Debug)]
struct Run {
    bolt: String,
    cpu_us: f64,
    per_second: f64,
    allocations: f64,
    peak_rss_kib: f64,
}

struct Client {
    name: &'static str,
    binary: PathBuf,
    has_serde: bool,
}

fn main() -> Outcome<()> {
    let (mut rounds, mut scale, mut only) = (5_usize, 1.0_f64, String::new());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or("an option wants a value");
        match arg.as_str() {
            "--rounds" => rounds = value()?.parse()?,
            "--scale" => scale = value()?.parse()?,
            "--only" => only = value()?,
            _ => return Err("usage: compare [--rounds N] [--scale F] [--only TEXT]".into()),
        }
    }
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.join("../../..");
    eprintln!("building: the server, bolt-client's bench_stream, and the peers");
    let examples = build(&root, &["--package", "bolt-server", "--package", "bolt-client", "--examples"])?;
    let peers = build(package, &["--bins"])?;
    let find = |from: &BTreeMap<String, PathBuf>, name: &str| {
        from.get(name).cloned().ok_or_else(|| format!("cargo built no {name}"))
    };
    let clients = [
        (FLOOR, find(&peers, "floor")?, false),
        (OURS, find(&examples, "bench_stream")?, true),
        ("neo4j-0.2.0", find(&peers, "peer_neo4j")?, false),
        ("neo4rs-0.9.0-rc.11", find(&peers, "peer_neo4rs")?, true),
        ("boltr-0.3.0", find(&peers, "peer_boltr")?, false),
    ]
    .map(|(name, binary, has_serde)| Client { name, binary, has_serde });

    let pinned = Command::new("taskset").arg("-V").stdout(Stdio::null()).status().is_ok_and(|s| s.success());
    if !pinned {
        eprintln!("there is no taskset: nothing is pinned");
    }
    let server = Server::start(pinned, &find(&examples, "generated")?)?;
    let cases: Vec<&Case> = CASES.iter().filter(|case| case.title.contains(&only)).collect();
    // By case, then by client and way, in the order of the tables.
    let mut results: Vec<BTreeMap<(usize, &str), Vec<Run>>> = vec![BTreeMap::new(); cases.len()];
    for round in 1..=rounds {
        for (case, results) in cases.iter().zip(&mut results) {
            eprintln!("round {round} of {rounds}: {}", case.title);
            let records = ((case.records as f64 * scale) as u64).max(1);
            for (order, client) in clients.iter().enumerate() {
                for &(ours, theirs) in case.ways {
                    let way = if client.name == OURS { ours } else { theirs };
                    let skip = way.is_empty()
                        || (way == "serde" && !client.has_serde)
                        || (client.name == FLOOR && way != "borrow");
                    if skip {
                        continue;
                    }
                    let run = measure(pinned, client, &server.address, case, records, way)?;
                    results.entry((order, way)).or_default().push(run);
                }
            }
        }
    }
    drop(server);
    for (case, results) in cases.iter().zip(&results) {
        print_table(case, &clients, results);
    }
    Ok(())
}

/// Builds in release mode and returns the executables by name.
fn build(directory: &Path, what: &[&str]) -> Outcome<BTreeMap<String, PathBuf>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut child = Command::new(cargo)
        .current_dir(directory)
        .args(["build", "--release", "--message-format=json-render-diagnostics"])
        .args(what)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut found = BTreeMap::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            // {"reason":"compiler-artifact",…,"executable":"/…/name",…}
            let line = line?;
            let Some((_, rest)) = line.split_once("\"executable\":\"") else { continue };
            let Some((path, _)) = rest.split_once('"') else { continue };
            let path = PathBuf::from(path);
            if let Some(name) = path.file_stem().and_then(|name| name.to_str()) {
                found.insert(name.to_owned(), path.clone());
            }
        }
    }
    if child.wait()?.success() { Ok(found) } else { Err("the build failed".into()) }
}

fn command(pinned: bool, cpu: &str, binary: &Path) -> Command {
    if !pinned {
        return Command::new(binary);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", cpu]).arg(binary);
    command
}

/// The server of generated streams; killed when dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(pinned: bool, binary: &Path) -> Outcome<Server> {
        let mut child =
            command(pinned, SERVER_CPU, binary).arg("127.0.0.1:0").stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or("no output of the server")?;
        let mut server = Server { child, address: String::new() };
        BufReader::new(stdout).read_line(&mut server.address)?;
        server.address.truncate(server.address.trim_end().len());
        if server.address.is_empty() { Err("the server did not start".into()) } else { Ok(server) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already if either fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn measure(
    pinned: bool,
    client: &Client,
    address: &str,
    case: &Case,
    records: u64,
    way: &str,
) -> Outcome<Run> {
    // Peers have no word for "all", or reserve memory for as many: one more than there are means the same.
    let fetch = if client.name == OURS || case.fetch != 0 { case.fetch } else { records as i64 + 1 };
    let output = command(pinned, CLIENT_CPU, &client.binary)
        .args([address, case.shape, &records.to_string(), &fetch.to_string(), way])
        .stderr(Stdio::inherit())
        .output()?;
    let line = String::from_utf8(output.stdout)?;
    if !output.status.success() {
        return Err(format!("{} failed at {}", client.name, case.title).into());
    }
    let fields: BTreeMap<&str, &str> =
        line.split_ascii_whitespace().filter_map(|field| field.split_once('=')).collect();
    let number = |name: &str| -> Outcome<f64> {
        Ok(fields.get(name).ok_or_else(|| format!("{} reports no {name}", client.name))?.parse()?)
    };
    let found = Expected {
        records: number("records")? as u64,
        ints: fields.get("ints").ok_or("no ints")?.parse()?,
        floats: number("floats")?,
        string_bytes: number("string_bytes")? as u64,
        trues: number("trues")? as u64,
    };
    let right = match case.shape {
        "scalars" => expected(Shape::Scalars, records),
        "nodes" => expected(Shape::Nodes, records),
        "lists" => expected(Shape::Lists, records),
        _ => Expected { records, ints: records as i64, ..Expected::default() },
    };
    let is_right = if client.name == FLOOR { found.records == right.records } else { found == right };
    if !is_right {
        return Err(format!("{} read {found:?} instead of {right:?}", client.name).into());
    }
    Ok(Run {
        bolt: fields.get("bolt").copied().unwrap_or("?").to_owned(),
        cpu_us: number("cpu_us_per_record")?,
        per_second: number("records_per_s")?,
        allocations: number("allocations_per_record")?,
        peak_rss_kib: number("peak_rss_kib")?,
    })
}

fn median(runs: &[Run], of: impl Fn(&Run) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn print_table(case: &Case, clients: &[Client], results: &BTreeMap<(usize, &str), Vec<Run>>) {
    let is_peer = |order: usize| !matches!(clients[order].name, OURS | FLOOR);
    let best = results
        .iter()
        .filter(|((order, _), _)| is_peer(*order))
        .map(|(_, runs)| median(runs, |run| run.cpu_us))
        .fold(f64::INFINITY, f64::min);
    println!("\n**{}**\n", case.title);
    println!(
        "| client | Bolt | CPU µs/record | min … max | of the best peer | records/s | allocations/record | peak RSS MiB |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for ((order, way), runs) in results {
        let cpu = median(runs, |run| run.cpu_us);
        let min = runs.iter().map(|run| run.cpu_us).fold(f64::INFINITY, f64::min);
        let max = runs.iter().map(|run| run.cpu_us).fold(0.0, f64::max);
        let name = clients[*order].name;
        let name =
            if case.ways.len() > 1 && name == OURS { format!("{name} ({way})") } else { name.to_owned() };
        println!(
            "| {name} | {} | {cpu:.3} | {min:.3} … {max:.3} | {:.2} | {:.0} | {:.3} | {:.1} |",
            runs[0].bolt,
            cpu / best,
            median(runs, |run| run.per_second),
            median(runs, |run| run.allocations),
            median(runs, |run| run.peak_rss_kib) / 1024.0,
        );
    }
}
