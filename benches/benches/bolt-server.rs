//! How fast the server streams: a client that reads nothing but chunk headers, against a plain thread that writes the
//! same bytes with `write_all`. Both over loopback; what is measured is the pair of sender and reader.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bolt_server::generated::{GeneratedBackend, Shape};
use bolt_server::{Credentials, Server, ServerConfig};
use bolt_wire::handshake::{ClientHandshake, HandshakeStep, Offer};
use bolt_wire::request::{BoltAgent, Hello, Logon, NotificationFilter, Pull, Run, RunExtra, WriteMessage};
use bolt_wire::{Auth, Version};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const VERSION: Version = Version::V5_8;
const PULL_ALL: i64 = -1;

/// A reader of messages that looks at their headers and second byte only.
struct Headers {
    stream: TcpStream,
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
}

impl Headers {
    fn new(stream: TcpStream) -> Self {
        Headers { stream, buffer: vec![0; 256 << 10], begin: 0, end: 0 }
    }

    /// Passes over records; the number of them, and the tag of the answer that ended them.
    fn records(&mut self) -> (u64, u8) {
        let mut records = 0;
        loop {
            // A header, the marker and the tag; then the message and its end mark are skipped.
            while let Some(&[high, low, _, tag]) = self.buffer[self.begin..self.end].first_chunk() {
                let len = 4 + usize::from(u16::from_be_bytes([high, low]));
                if self.end - self.begin < len {
                    break;
                }
                self.begin += len;
                if tag != 0x71 {
                    return (records, tag);
                }
                records += 1;
            }
            self.buffer.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
            let n = self.stream.read(&mut self.buffer[self.end..]).expect("loopback works");
            assert!(n > 0, "the server closed");
            self.end += n;
        }
    }
}

fn write(message: &impl WriteMessage, flight: &mut Vec<u8>) {
    message.write(VERSION, false, flight).expect("a Vec takes all");
}

fn login(address: std::net::SocketAddr) -> Headers {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_nodelay(true).expect("a socket option");
    let mut handshake = ClientHandshake::new(&Offer::only(VERSION).expect("a supported version"));
    let mut out = Vec::new();
    handshake.start(&mut out).expect("a Vec takes all");
    stream.write_all(&out).expect("loopback works");
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).expect("an answer");
    assert!(matches!(handshake.read(&answer, &mut out), Ok(HandshakeStep::Done { version: VERSION, .. })));
    let auth = Auth::None;
    let hello = Hello {
        user_agent: "bench/1.0",
        bolt_agent: BoltAgent::default(),
        routing: None,
        auth: &auth,
        notifications: NotificationFilter::default(),
    };
    let mut login = Vec::new();
    write(&hello, &mut login);
    write(&Logon { auth: &auth }, &mut login);
    stream.write_all(&login).expect("loopback works");
    let mut headers = Headers::new(stream);
    assert_eq!((headers.records(), headers.records()), ((0, 0x70), (0, 0x70)));
    headers
}

fn pull(n: i64) -> Vec<u8> {
    let mut flight = Vec::new();
    write(&Pull { n, qid: None }, &mut flight);
    flight
}

fn run(query: &str) -> Vec<u8> {
    let mut flight = Vec::new();
    write(&Run { query, params: &(), extra: &RunExtra::default() }, &mut flight);
    flight
}

fn stream(c: &mut Criterion) {
    let server =
        Server::bind("127.0.0.1:0", ServerConfig::default(), GeneratedBackend::new(Credentials::Anyone))
            .and_then(Server::spawn)
            .expect("a free port");
    let mut client = login(server.handle().local_addr());
    let mut group = c.benchmark_group("bolt-server/stream");
    group.sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    for (name, shape, n) in [
        ("scalars", Shape::Scalars, 400_000),
        ("nodes", Shape::Nodes, 200_000),
        ("lists", Shape::Lists, 40_000),
    ] {
        assert!(n > shape.block_records(), "a stream that repeats itself");
        group.throughput(Throughput::Elements(n));
        for (batch, pull_n) in [("pull-all", PULL_ALL), ("pull-1000", 1000)] {
            let request = [run(&format!("CALL generate.{name}({n})")), pull(pull_n)].concat();
            let next = pull(pull_n);
            group.bench_with_input(BenchmarkId::new(name, batch), &request, |b, request| {
                b.iter(|| {
                    client.stream.write_all(request).expect("loopback works");
                    assert_eq!(client.records(), (0, 0x70));
                    let mut seen = 0;
                    loop {
                        let (records, tag) = client.records();
                        assert_eq!(tag, 0x70);
                        seen += records;
                        if seen == n {
                            break;
                        }
                        client.stream.write_all(&next).expect("loopback works");
                    }
                    black_box(seen)
                });
            });
        }
        // The same bytes, prepared, written by a thread that does nothing else.
        let bytes = Arc::new(record_bytes(&mut client, name, n));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::clone(&bytes);
        let writer = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("the bench connects");
            let mut go = [0];
            while socket.read(&mut go).is_ok_and(|n| n > 0) {
                if socket.write_all(&shared).is_err() {
                    return;
                }
            }
        });
        let mut plain = Headers::new(TcpStream::connect(address).expect("the writer listens"));
        group.bench_function(BenchmarkId::new(name, "plain-std"), |b| {
            b.iter(|| {
                plain.stream.write_all(&[1]).expect("loopback works");
                assert_eq!(plain.records(), (n, 0x70));
            });
        });
        drop(plain);
        writer.join().expect("the writer ends with its socket");
    }
    group.finish();
    server.shutdown();
}

/// The records of a stream as they come off the wire, and an empty SUCCESS behind them.
fn record_bytes(client: &mut Headers, name: &str, n: u64) -> Vec<u8> {
    let request = [run(&format!("CALL generate.{name}({n})")), pull(PULL_ALL)].concat();
    client.stream.write_all(&request).expect("loopback works");
    assert_eq!(client.records(), (0, 0x70));
    let mut bytes = client.buffer[client.begin..client.end].to_vec();
    client.begin = client.end;
    let mut scanned = 0;
    loop {
        while let Some(&[high, low, _, tag]) = bytes[scanned..].first_chunk() {
            let len = 4 + usize::from(u16::from_be_bytes([high, low]));
            if bytes.len() - scanned < len {
                break;
            }
            if tag != 0x71 {
                bytes.truncate(scanned);
                bytes.extend_from_slice(&[0, 3, 0xB1, 0x70, 0xA0, 0, 0]);
                return bytes;
            }
            scanned += len;
        }
        let n = client.stream.read(&mut client.buffer).expect("loopback works");
        assert!(n > 0, "the server closed");
        bytes.extend_from_slice(&client.buffer[..n]);
    }
}

fn round_trip(c: &mut Criterion) {
    let server =
        Server::bind("127.0.0.1:0", ServerConfig::default(), GeneratedBackend::new(Credentials::Anyone))
            .and_then(Server::spawn)
            .expect("a free port");
    let mut client = login(server.handle().local_addr());
    let request = [run("RETURN 1"), pull(1000)].concat();
    c.bench_function("bolt-server/round-trip/return-1", |b| {
        b.iter(|| {
            client.stream.write_all(&request).expect("loopback works");
            assert_eq!((client.records(), client.records()), ((0, 0x70), (1, 0x70)));
        });
    });
    // What a byte there and a byte back cost without any protocol.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let echo = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("the bench connects");
        socket.set_nodelay(true).expect("a socket option");
        let mut byte = [0];
        while socket.read(&mut byte).is_ok_and(|n| n > 0) {
            if socket.write_all(&byte).is_err() {
                return;
            }
        }
    });
    let mut plain = TcpStream::connect(address).expect("the echo listens");
    plain.set_nodelay(true).expect("a socket option");
    c.bench_function("bolt-server/round-trip/plain-std", |b| {
        b.iter(|| {
            plain.write_all(&[1]).expect("loopback works");
            plain.read_exact(&mut [0]).expect("loopback works");
        });
    });
    drop(plain);
    echo.join().expect("the echo ends with its socket");
    server.shutdown();
}

criterion_group!(benches, stream, round_trip);
criterion_main!(benches);
