//! A whole query through the client, against the plain-std way of the same: a `BufReader`, a vector that each message
//! is copied into, and a decoder of a few lines for just this shape. The server generates the stream on another
//! thread, so the wall time is that of the slower of the two; the client's own CPU is what `bench_stream` measures.

use std::hint::black_box;
use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bolt_client::{Auth, Config, Connection, RunOptions, Version};
use bolt_server::generated::{Expected, GeneratedBackend, Shape, expected};
use bolt_server::{Credentials, Server, ServerConfig};
use bolt_wire::request::{BoltAgent, Hello, Logon, NotificationFilter, Pull, Run, RunExtra, WriteMessage};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const VERSION: Version = Version::V5_8;
const RECORDS: u64 = 100_000;

fn start() -> SocketAddr {
    let backend = GeneratedBackend::new(Credentials::Anyone);
    let server = Server::bind("127.0.0.1:0", ServerConfig::default(), backend).expect("a free port");
    let address = server.local_addr();
    std::thread::spawn(move || server.serve());
    address
}

fn connect(address: SocketAddr) -> Connection {
    let config =
        Config::new(address.ip().to_string(), address.port()).only_version(VERSION).expect("supported");
    Connection::connect(&config).expect("a connection")
}

fn stream(conn: &mut Connection, fetch: u32) -> Expected {
    let options = RunOptions::default().fetch_size(fetch);
    let mut rows = conn.run_with("CALL generate.scalars(100000)", (), &options).expect("columns");
    let mut sum = Expected::default();
    while let Some(row) = rows.next().expect("a row") {
        sum.records += 1;
        sum.ints = sum.ints.wrapping_add(row.get::<i64>(0).expect("an int"));
        sum.floats += row.get::<f64>(1).expect("a float");
        sum.string_bytes += row.get::<&str>(2).expect("a string").len() as u64;
        sum.trues += u64::from(row.get::<bool>(3).expect("a bool"));
    }
    sum
}

/// What one writes with the standard library and an afternoon.
struct Plain {
    reader: BufReader<TcpStream>,
    message: Vec<u8>,
}

impl Plain {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let mut plain = Plain { reader: BufReader::new(stream), message: Vec::new() };
        let mut out = vec![0x60, 0x60, 0xB0, 0x17, 0, 0, VERSION.minor, VERSION.major];
        out.extend([0; 12]);
        let auth = Auth::None;
        let notifications = NotificationFilter::default();
        let hello = Hello {
            user_agent: "plain/1",
            bolt_agent: BoltAgent::default(),
            routing: None,
            auth: &auth,
            notifications,
        };
        hello.write(VERSION, false, &mut out).expect("fits");
        Logon { auth: &auth }.write(VERSION, false, &mut out).expect("fits");
        plain.reader.get_mut().write_all(&out).expect("sent");
        plain.reader.read_exact(&mut [0; 4]).expect("a version");
        for _ in 0..2 {
            assert_eq!(plain.next()[1], 0x70, "SUCCESS");
        }
        plain
    }

    fn next(&mut self) -> &[u8] {
        self.message.clear();
        loop {
            let mut header = [0; 2];
            self.reader.read_exact(&mut header).expect("a header");
            let size = usize::from(u16::from_be_bytes(header));
            if size == 0 {
                return &self.message;
            }
            let at = self.message.len();
            self.message.resize(at + size, 0);
            self.reader.read_exact(&mut self.message[at..]).expect("a chunk");
        }
    }

    fn send(&mut self, query: &str, n: i64) {
        let mut out = Vec::new();
        Run { query, params: &(), extra: &RunExtra::default() }
            .write(VERSION, false, &mut out)
            .expect("fits");
        Pull { n, qid: None }.write(VERSION, false, &mut out).expect("fits");
        self.reader.get_mut().write_all(&out).expect("sent");
    }

    fn stream(&mut self) -> Expected {
        self.send("CALL generate.scalars(100000)", -1);
        assert_eq!(self.next()[1], 0x70, "SUCCESS");
        let mut sum = Expected::default();
        loop {
            let message = self.next();
            if message[1] != 0x71 {
                return sum;
            }
            let mut at = 3;
            let mut take = |n: usize| {
                at += n;
                &message[at - n..at]
            };
            sum.records += 1;
            let int = match take(1)[0] {
                small @ (0..=0x7F | 0xF0..) => i64::from(small as i8),
                0xC9 => i64::from(i16::from_be_bytes(take(2).try_into().expect("two"))),
                0xCA => i64::from(i32::from_be_bytes(take(4).try_into().expect("four"))),
                _ => i64::from_be_bytes(take(8).try_into().expect("eight")),
            };
            sum.ints = sum.ints.wrapping_add(int);
            sum.floats += f64::from_be_bytes(take(9)[1..].try_into().expect("eight"));
            let len = usize::from(take(1)[0] & 15);
            let name = String::from_utf8(take(len).to_vec()).expect("text");
            sum.string_bytes += name.len() as u64;
            sum.trues += u64::from(take(1)[0] == 0xC3);
        }
    }

    fn one(&mut self) -> usize {
        self.send("RETURN 1", 1000);
        (0..3).map(|_| self.next().len()).sum()
    }
}

fn streams(c: &mut Criterion) {
    let address = start();
    let answer = expected(Shape::Scalars, RECORDS);
    let mut group = c.benchmark_group("bolt-client/stream-scalars");
    group.throughput(Throughput::Elements(RECORDS)).sample_size(10).measurement_time(Duration::from_secs(2));
    let mut conn = connect(address);
    for fetch in [1000, 0] {
        assert_eq!(stream(&mut conn, fetch), answer);
        let name = if fetch == 0 { "pull-all".to_owned() } else { format!("pull-{fetch}") };
        group.bench_function(BenchmarkId::new("client", name), |b| {
            b.iter(|| black_box(stream(&mut conn, fetch)));
        });
    }
    let mut plain = Plain::connect(address);
    assert_eq!(plain.stream(), answer);
    group.bench_function(BenchmarkId::new("std", "pull-all"), |b| b.iter(|| black_box(plain.stream())));
    group.finish();
}

fn round_trip(c: &mut Criterion) {
    let address = start();
    let mut group = c.benchmark_group("bolt-client/round-trip");
    let mut conn = connect(address);
    let mut one = || {
        let mut rows = conn.run("RETURN 1", ()).expect("columns");
        let value: i64 = rows.next().expect("a row").expect("one").get(0).expect("an int");
        assert!(rows.next().expect("the end").is_none());
        value
    };
    assert_eq!(one(), 1);
    group.bench_function(BenchmarkId::new("client", "return-1"), |b| b.iter(|| black_box(one())));
    let mut plain = Plain::connect(address);
    assert!(plain.one() > 0);
    group.bench_function(BenchmarkId::new("std", "return-1"), |b| b.iter(|| black_box(plain.one())));
    group.finish();
}

criterion_group!(benches, streams, round_trip);
criterion_main!(benches);
