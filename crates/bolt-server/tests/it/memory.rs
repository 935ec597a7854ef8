//! What a client that does not read costs, as the allocator tells it.
//!
//! Counts of the whole process mean something only where nothing else runs, so the measurement is a test of its own that the
//! ordinary one starts in a process of its own.

use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use bolt_server::{
    Backend, Columns, Failure, Interrupt, Map, Peer, Progress, QueryRequest, RecordSink, RunningServer,
    Session, TransactionRequest,
};
use bolt_wire::request::{Pull, Run, RunExtra, WriteMessage};
use bolt_wire::{AuthRef, Version};

use crate::client::{Client, serve_backend};

/// Bytes of one record of the endless stream.
const RECORD_BYTES: usize = 10_000;

/// Clients at once: enough that one connection's share stands out from what the server itself holds.
const CLIENTS: i64 = 24;

/// What a connection may hold for a client that only writes: the requests that wait, at most
/// `ServerConfig::queued_bytes_max`, and its two buffers, each the working size of 128 KiB at most.
const CEILING_BYTES: i64 = (1 << 20) + 2 * (128 << 10) + SLACK_BYTES;

/// What a connection may hold for a client that asks and does not read: its two buffers.
const STREAM_CEILING_BYTES: i64 = 2 * (128 << 10) + SLACK_BYTES;

/// Threads, names, the session and the stream.
const SLACK_BYTES: i64 = 32 << 10;

/// Answers every query with records without end, made one by one in the connection's buffer.
struct Endless;

impl Backend for Endless {
    type Session = Self;

    fn authenticate(&self, _: &AuthRef<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn open(&self, _: &Peer, _: Interrupt) -> Result<Self, Failure> {
        Ok(Endless)
    }
}

impl Session for Endless {
    type Stream = String;

    fn begin(&mut self, _: &TransactionRequest<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn run(&mut self, _: &QueryRequest<'_>, columns: &mut Columns) -> Result<String, Failure> {
        columns.push("x");
        Ok("x".repeat(RECORD_BYTES))
    }

    fn pull(&mut self, text: &mut String, n: u64, sink: &mut RecordSink<'_>) -> Result<Progress, Failure> {
        for _ in 0..n {
            sink.record(|e| e.str(text))?;
        }
        Ok(Progress::More)
    }

    fn discard(&mut self, _: &mut String, _: u64) -> Result<Progress, Failure> {
        Ok(Progress::done())
    }

    fn commit(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn rollback(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn reset(&mut self) {}
}

fn live() -> i64 {
    bolt_alloc::global_counts().live_bytes
}

/// Waits until the live bytes have stopped changing: every thread of the server is stuck in a `write` or waits for one.
fn settled() -> i64 {
    let begun = Instant::now();
    let mut last = live();
    let mut since = Instant::now();
    while since.elapsed() < Duration::from_millis(300) {
        assert!(begun.elapsed() < Duration::from_secs(20), "memory does not come to rest");
        std::thread::sleep(Duration::from_millis(10));
        let now = live();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

fn clients(server: &RunningServer) -> Vec<Client> {
    let address = server.handle().local_addr();
    (0..CLIENTS).map(|_| Client::login(address, Version::V5_8)).collect()
}

#[test]
#[ignore = "counts the whole process: started alone by the test below"]
fn measured_alone() {
    let server = serve_backend(Endless, |_| {});
    let none = settled();
    let mut stuck = clients(&server);
    let idle = (settled() - none) / CLIENTS;
    for client in &mut stuck {
        client.queue_run("endless", &Map::default()).queue_pull(-1).send();
    }
    let before = settled() - none;
    let reading = before / CLIENTS;
    // The clients go on asking, until nobody takes their bytes any more.
    let mut flight = Vec::new();
    for _ in 0..1_000 {
        let run = Run { query: "endless", params: &Map::default(), extra: &RunExtra::default() };
        run.write(Version::V5_8, false, &mut flight).unwrap();
        Pull { n: -1, qid: None }.write(Version::V5_8, false, &mut flight).unwrap();
    }
    let mut sent = 0_u64;
    for client in &mut stuck {
        client.stream.set_nonblocking(true).unwrap();
        let mut silent_since = Instant::now();
        while silent_since.elapsed() < Duration::from_millis(50) && sent < 1 << 32 {
            match client.stream.write(&flight) {
                Ok(n) => {
                    sent += n as u64;
                    silent_since = Instant::now();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    let asking = (settled() - none) / CLIENTS;
    println!(
        "bytes per connection: idle {idle}, not reading {reading}, not reading but asking {asking}; {sent} sent"
    );
    assert!(sent > CLIENTS as u64 * (1 << 20), "the clients were stopped too soon: {sent}");
    assert!(idle <= STREAM_CEILING_BYTES, "{idle} bytes for a connection at rest");
    assert!(reading <= STREAM_CEILING_BYTES, "{reading} bytes for a client that does not read");
    assert!(asking <= CEILING_BYTES, "{asking} bytes for a client that asks on and does not read");
    drop(stuck);
    server.shutdown();
    let after = settled() - none;
    assert!(after < SLACK_BYTES, "{after} bytes stayed behind");
}

#[test]
fn a_client_that_does_not_read_costs_its_buffers_and_no_more() {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["memory::measured_alone", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{said}\n{}", String::from_utf8_lossy(&child.stderr));
    assert!(said.contains("1 passed") && said.contains("bytes per connection"), "{said}");
}
