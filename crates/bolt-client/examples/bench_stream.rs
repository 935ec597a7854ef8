//! Streams a generated result, reads every value of every column, and prints what that cost: one `key=value` line.
//!
//! `bench_stream ADDRESS SHAPE RECORDS [FETCH] [WAY]`: SHAPE is `scalars`, `nodes`, `lists` or `rtt` (so many times
//! `RETURN 1`); FETCH the records per PULL, 0 for all (default 1000); WAY `borrow` (default), `owned` (each row kept
//! for a batch of 1,000), `batch` (kept in a `RecordBatch`), `serde` (a struct per row) or `skip` (rows not looked at).
//! The server is `cargo run --release -p bolt-server --example generated`. The process CPU is counted from before the
//! connection is opened to after the last record; allocations likewise; the peak of resident memory is the process's.

use std::time::Instant;

use bolt_client::{Config, Connection, NodeRef, OwnedRecord, RecordBatch, RecordRef, RunOptions};
use cpu_time::ProcessTime;

#[global_allocator]
static ALLOC: bolt_alloc::CountingAlloc = bolt_alloc::CountingAlloc::new();

type Error = Box<dyn std::error::Error>;

/// What the values add up to; compare with `bolt_server::generated::expected`.
#[derive(Default, Debug)]
struct Sums {
    records: u64,
    ints: i64,
    floats: f64,
    string_bytes: u64,
    trues: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Scalars,
    Nodes,
    Lists,
    Rtt,
}

impl Sums {
    /// Each value by its type, strings checked to be UTF-8, properties by name: what a user's code does.
    #[inline]
    fn add(&mut self, shape: Shape, row: RecordRef<'_>) -> Result<(), Error> {
        self.records += 1;
        match shape {
            Shape::Scalars => {
                self.ints = self.ints.wrapping_add(row.get::<i64>(0)?);
                self.floats += row.get::<f64>(1)?;
                self.string_bytes += row.get::<&str>(2)?.len() as u64;
                self.trues += u64::from(row.get::<bool>(3)?);
            }
            Shape::Nodes => {
                let node = row.get::<NodeRef<'_>>(0)?;
                self.records += u64::from(node.id() < 0);
                for label in node.labels() {
                    self.records += u64::from(label?.is_empty());
                }
                for entry in node.properties().entries() {
                    let (key, value) = entry;
                    match key {
                        b"name" | b"email" => self.string_bytes += value.str()?.len() as u64,
                        b"born" => self.ints = self.ints.wrapping_add(value.int()?),
                        b"score" => self.floats += value.float()?,
                        b"active" => self.trues += u64::from(value.bool()?),
                        _ => {}
                    }
                }
            }
            Shape::Lists => {
                for item in row.get::<bolt_client::ListRef<'_>>(0)?.ints() {
                    self.ints = self.ints.wrapping_add(item?);
                }
            }
            Shape::Rtt => self.ints += row.get::<i64>(0)?,
        }
        Ok(())
    }
}

fn main() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let usage =
        "usage: bench_stream ADDRESS scalars|nodes|lists|rtt RECORDS [FETCH] [borrow|owned|batch|serde|skip]";
    let (address, shape) = (args.first().ok_or(usage)?, args.get(1).ok_or(usage)?.as_str());
    let records: u64 = args.get(2).ok_or(usage)?.parse()?;
    let fetch: i64 = args.get(3).map_or(Ok(1000), |fetch| fetch.parse())?;
    let way = args.get(4).map_or("borrow", String::as_str);
    let kind = match shape {
        "scalars" => Shape::Scalars,
        "nodes" => Shape::Nodes,
        "lists" => Shape::Lists,
        "rtt" => Shape::Rtt,
        _ => return Err(usage.into()),
    };

    let cpu = ProcessTime::now();
    let wall = Instant::now();
    let (outcome, counts) = bolt_alloc::measure(|| -> Result<(Sums, Connection), Error> {
        let mut conn = Connection::connect(&Config::from_uri(&format!("bolt://{address}"))?)?;
        let mut sums = Sums::default();
        if kind == Shape::Rtt {
            for _ in 0..records {
                let mut rows = conn.run("RETURN 1", ())?;
                while let Some(row) = rows.next()? {
                    sums.add(kind, row)?;
                }
            }
            return Ok((sums, conn));
        }
        let options = RunOptions::default().fetch_size(fetch);
        let mut rows = conn.run_with(&format!("CALL generate.{shape}({records})"), (), &options)?;
        match way {
            "borrow" => {
                while let Some(row) = rows.next()? {
                    sums.add(kind, row)?;
                }
            }
            "skip" => {
                while let Some(row) = rows.next()? {
                    sums.records += 1;
                    sums.ints += row.len() as i64;
                }
            }
            "owned" => {
                let mut kept: Vec<OwnedRecord> = Vec::with_capacity(1000);
                while let Some(row) = rows.next()? {
                    sums.add(kind, row)?;
                    if kept.len() == kept.capacity() {
                        kept.clear();
                    }
                    kept.push(row.to_owned());
                }
            }
            "batch" => {
                let mut kept = RecordBatch::new();
                while let Some(row) = rows.next()? {
                    sums.add(kind, row)?;
                    if kept.len() == 1000 {
                        kept.clear();
                    }
                    kept.push(row);
                }
            }
            #[cfg(feature = "serde")]
            "serde" => typed::read(&mut rows, kind, &mut sums)?,
            _ => return Err(usage.into()),
        }
        Ok((sums, conn))
    });
    let (wall, cpu) = (wall.elapsed(), cpu.elapsed());
    let (sums, conn) = outcome?;
    let stats = conn.stats();
    println!(
        "client=bolt-client bolt={} shape={shape} fetch={fetch} way={way} records={} ints={} floats={} string_bytes={} \
         trues={} wall_ms={:.1} cpu_us_per_record={:.4} records_per_s={:.0} mb_per_s={:.0} allocations={} \
         allocations_per_record={:.6} peak_rss_kib={} reads={} writes={} prefetches={} buffer_kib={}",
        conn.version(),
        sums.records,
        sums.ints,
        sums.floats,
        sums.string_bytes,
        sums.trues,
        wall.as_secs_f64() * 1e3,
        cpu.as_secs_f64() * 1e6 / sums.records as f64,
        sums.records as f64 / wall.as_secs_f64(),
        stats.bytes_read as f64 / wall.as_secs_f64() / 1e6,
        counts.allocations + counts.reallocations,
        (counts.allocations + counts.reallocations) as f64 / sums.records as f64,
        peak_rss_kib().map_or_else(|| "unknown".to_owned(), |kib| kib.to_string()),
        stats.reads,
        stats.writes,
        stats.prefetches,
        stats.buffers_bytes / 1024,
    );
    Ok(())
}

/// A struct for each row: strings owned, as a program that keeps them needs it.
#[cfg(feature = "serde")]
mod typed {
    use serde_derive::Deserialize;

    use super::{Error, Shape, Sums};

    #[derive(Deserialize)]
    struct Scalars {
        id: i64,
        score: f64,
        name: String,
        active: bool,
    }

    #[derive(Deserialize)]
    struct Person {
        name: String,
        email: String,
        born: i64,
        score: f64,
        active: bool,
    }

    #[derive(Deserialize)]
    struct Node {
        node: Person,
    }

    #[derive(Deserialize)]
    struct List {
        list: Vec<i64>,
    }

    pub(crate) fn read(rows: &mut bolt_client::Rows<'_>, kind: Shape, sums: &mut Sums) -> Result<(), Error> {
        match kind {
            Shape::Scalars => {
                for row in rows.typed::<Scalars>() {
                    let row = row?;
                    sums.records += 1;
                    sums.ints = sums.ints.wrapping_add(row.id);
                    sums.floats += row.score;
                    sums.string_bytes += row.name.len() as u64;
                    sums.trues += u64::from(row.active);
                }
            }
            Shape::Nodes => {
                for row in rows.typed::<Node>() {
                    let Person { name, email, born, score, active } = row?.node;
                    sums.records += 1;
                    sums.ints = sums.ints.wrapping_add(born);
                    sums.floats += score;
                    sums.string_bytes += (name.len() + email.len()) as u64;
                    sums.trues += u64::from(active);
                }
            }
            Shape::Lists => {
                for row in rows.typed::<List>() {
                    sums.records += 1;
                    sums.ints = row?.list.into_iter().fold(sums.ints, i64::wrapping_add);
                }
            }
            Shape::Rtt => {}
        }
        Ok(())
    }
}

/// The kernel's own high-water mark, where /proc tells it.
fn peak_rss_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}
