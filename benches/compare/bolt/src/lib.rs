//! What the clients of this comparison share: the task, the sums that prove every value was read, and the line that reports the
//! cost. Each client is a binary of its own, so that none pays for another's code or memory. The line is that of
//! `bolt-client`'s example `bench_stream`.

use std::error::Error as StdError;
use std::time::Instant;

use cpu_time::ProcessTime;

#[global_allocator]
static ALLOC: bolt_alloc::CountingAlloc = bolt_alloc::CountingAlloc::new();

/// Whatever went wrong.
pub type Error = Box<dyn StdError + Send + Sync>;

/// Rows kept at a time by the ways that keep them.
pub const KEPT: usize = 1000;

/// What is streamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// int, float, string, bool.
    Scalars,
    /// A node with five properties.
    Nodes,
    /// A list of 100 ints.
    Lists,
    /// `RETURN 1`, so many times.
    Rtt,
}

/// What the client does with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Reads every value and lets the row go.
    Read,
    /// Reads every value and keeps the row, a thousand at a time.
    Owned,
    /// Makes a struct of it by serde.
    Serde,
}

/// What to do.
#[derive(Clone, Debug)]
pub struct Task {
    /// `host:port`.
    pub address: String,
    /// What is streamed.
    pub shape: Shape,
    /// Records, or round trips.
    pub records: u64,
    /// Records per PULL.
    pub fetch: i64,
    /// What becomes of a row.
    pub way: Way,
}

impl Task {
    /// The query that starts the stream.
    pub fn query(&self) -> String {
        let name = match self.shape {
            Shape::Scalars => "scalars",
            Shape::Nodes => "nodes",
            Shape::Lists => "lists",
            Shape::Rtt => return "RETURN 1".to_owned(),
        };
        format!("CALL generate.{name}({})", self.records)
    }
}

/// What the values add up to; compare with `bolt_server::generated::expected`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    /// Rows.
    pub records: u64,
    /// Integers, wrapping.
    pub ints: i64,
    /// Floats.
    pub floats: f64,
    /// Bytes of strings.
    pub string_bytes: u64,
    /// Booleans that are true.
    pub trues: u64,
}

impl Sums {
    /// Adds a row of scalars.
    pub fn scalars(&mut self, id: i64, score: f64, name: &str, active: bool) {
        self.records += 1;
        self.ints = self.ints.wrapping_add(id);
        self.floats += score;
        self.string_bytes += name.len() as u64;
        self.trues += u64::from(active);
    }

    /// Adds a node's properties.
    pub fn person(&mut self, name: &str, email: &str, born: i64, score: f64, active: bool) {
        self.scalars(born, score, name, active);
        self.string_bytes += email.len() as u64;
    }
}

/// A row of scalars as a program's struct.
#[derive(Debug, serde::Deserialize)]
pub struct Scalars {
    /// Column.
    pub id: i64,
    /// Column.
    pub score: f64,
    /// Column.
    pub name: String,
    /// Column.
    pub active: bool,
}

/// A node as a program's struct.
#[derive(Debug, serde::Deserialize)]
pub struct Person {
    /// Property.
    pub name: String,
    /// Property.
    pub email: String,
    /// Property.
    pub born: i64,
    /// Property.
    pub score: f64,
    /// Property.
    pub active: bool,
}

/// A row with a node.
#[derive(Debug, serde::Deserialize)]
pub struct NodeRow {
    /// Column.
    pub node: Person,
}

/// A row with a list.
#[derive(Debug, serde::Deserialize)]
pub struct ListRow {
    /// Column.
    pub list: Vec<i64>,
}

/// Something a column should have been.
pub fn missing(what: &str) -> Error {
    format!("the row holds no {what}").into()
}

/// Reads the task from the command line, does it, and prints what it cost.
///
/// # Errors
/// Wrong arguments, or what the client says.
pub fn run(client: &str, work: impl FnOnce(&Task) -> Result<(Sums, String), Error>) -> Result<(), Error> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: CLIENT ADDRESS scalars|nodes|lists|rtt RECORDS [FETCH] [borrow|owned|serde]";
    let [address, shape, records, rest @ ..] = args.as_slice() else { return Err(usage.into()) };
    let task = Task {
        address: address.clone(),
        shape: match shape.as_str() {
            "scalars" => Shape::Scalars,
            "nodes" => Shape::Nodes,
            "lists" => Shape::Lists,
            "rtt" => Shape::Rtt,
            _ => return Err(usage.into()),
        },
        records: records.parse()?,
        fetch: rest.first().map_or(Ok(1000), |fetch| fetch.parse())?,
        way: match rest.get(1).map(String::as_str) {
            None | Some("borrow" | "skip") => Way::Read,
            Some("owned") => Way::Owned,
            Some("serde") => Way::Serde,
            _ => return Err(usage.into()),
        },
    };
    let way = rest.get(1).map_or("borrow", String::as_str);
    let (cpu, wall) = (ProcessTime::now(), Instant::now());
    let (outcome, counts) = bolt_alloc::measure(|| work(&task));
    let (wall, cpu) = (wall.elapsed(), cpu.elapsed());
    let (sums, bolt) = outcome?;
    let allocations = counts.allocations + counts.reallocations;
    println!(
        "client={client} bolt={bolt} shape={shape} fetch={} way={way} records={} ints={} floats={} string_bytes={} trues={} \
         wall_ms={:.1} cpu_us_per_record={:.4} records_per_s={:.0} allocations={allocations} allocations_per_record={:.6} \
         peak_rss_kib={}",
        task.fetch,
        sums.records,
        sums.ints,
        sums.floats,
        sums.string_bytes,
        sums.trues,
        wall.as_secs_f64() * 1e3,
        cpu.as_secs_f64() * 1e6 / sums.records as f64,
        sums.records as f64 / wall.as_secs_f64(),
        allocations as f64 / sums.records as f64,
        peak_rss_kib().unwrap_or_default(),
    );
    Ok(())
}

/// The kernel's own high-water mark.
fn peak_rss_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}
