//! A client of a few lines for these tests: it sends what it is told and shows what comes back, without judging.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bolt_server::generated::GeneratedBackend;
use bolt_server::{Backend, Credentials, RunningServer, Server, ServerConfig};
use bolt_wire::chunk::{Chunked, Dechunker};
use bolt_wire::handshake::{ClientHandshake, HandshakeStep, Offer};
use bolt_wire::request::{
    BoltAgent, Hello, Logon, NotificationFilter, Pull, Reset, Run, RunExtra, WriteMessage,
};
use bolt_wire::response::{FAILURE, IGNORED, RECORD, Response, SUCCESS};
use bolt_wire::{Auth, Map, MapRef, Value, ValueRef, Version, Walker};

pub(crate) const USER: &str = "neo4j";
pub(crate) const PASSWORD: &str = "secret";

/// Longer than any test takes: reached only when an answer does not come.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn serve(change: impl FnOnce(&mut ServerConfig)) -> RunningServer {
    serve_backend(GeneratedBackend::new(Credentials::user(USER, PASSWORD)), change)
}

pub(crate) fn serve_backend(backend: impl Backend, change: impl FnOnce(&mut ServerConfig)) -> RunningServer {
    let mut config = ServerConfig::default();
    config.failed_login_delay = Duration::from_millis(20);
    change(&mut config);
    Server::bind("127.0.0.1:0", config, backend).unwrap().spawn().unwrap()
}

/// An answer, owned.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Success(Map),
    Record(Vec<Value>),
    Ignored,
    Failure(Map),
    /// The server closed the connection.
    Closed,
}

impl Answer {
    #[track_caller]
    pub(crate) fn success(self) -> Map {
        match self {
            Answer::Success(map) => map,
            other => panic!("expected SUCCESS, got {other:?}"),
        }
    }

    /// The code of a FAILURE, in the form of either version.
    #[track_caller]
    pub(crate) fn failure(&self) -> &str {
        let Answer::Failure(map) = self else { panic!("expected FAILURE, got {self:?}") };
        match map.get("neo4j_code").or_else(|| map.get("code")) {
            Some(Value::String(code)) => code,
            other => panic!("a FAILURE has a code: {other:?}"),
        }
    }
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) version: Version,
    pub(crate) utc: bool,
    unread: Vec<u8>,
    flight: Vec<u8>,
}

impl Client {
    /// Connects and agrees on a version.
    pub(crate) fn greet(address: SocketAddr, version: Version) -> Client {
        Client::offer(address, &Offer::only(version).unwrap())
    }

    pub(crate) fn offer(address: SocketAddr, offer: &Offer) -> Client {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut handshake = ClientHandshake::new(offer);
        let mut out = Vec::new();
        handshake.start(&mut out).unwrap();
        let mut input = Vec::new();
        loop {
            stream.write_all(&out).unwrap();
            out.clear();
            let mut byte = [0; 1];
            let n = stream.read(&mut byte).unwrap();
            assert!(n > 0, "closed in the handshake after {input:?}");
            input.push(byte[0]);
            match handshake.read(&input, &mut out).unwrap() {
                HandshakeStep::NeedMore => {}
                HandshakeStep::Done { version, consumed, .. } => {
                    assert_eq!(consumed, input.len());
                    stream.write_all(&out).unwrap();
                    return Client { stream, version, utc: false, unread: Vec::new(), flight: Vec::new() };
                }
            }
        }
    }

    /// Connects and logs in.
    pub(crate) fn login(address: SocketAddr, version: Version) -> Client {
        let mut client = Client::greet(address, version);
        let hello = client.hello(USER, PASSWORD).success();
        client.utc = hello.get("patch_bolt").is_some();
        client
    }

    /// HELLO, and LOGON where there is one; the last answer.
    pub(crate) fn hello(&mut self, user: &str, password: &str) -> Answer {
        let auth = Auth::basic(user, password);
        self.queue(&hello_with(&auth));
        let logon = self.version.features().logon;
        if logon {
            self.queue(&Logon { auth: &auth });
        }
        self.send();
        let hello = self.answer();
        match hello {
            Answer::Success(_) if logon => match self.answer() {
                Answer::Success(_) => hello,
                other => other,
            },
            other => other,
        }
    }

    /// Adds a request to the next flight.
    pub(crate) fn queue(&mut self, message: &impl WriteMessage) -> &mut Self {
        message.write(self.version, self.utc, &mut self.flight).unwrap();
        self
    }

    pub(crate) fn queue_run(&mut self, query: &str, params: &Map) -> &mut Self {
        self.queue(&Run { query, params, extra: &RunExtra::default() })
    }

    pub(crate) fn queue_pull(&mut self, n: i64) -> &mut Self {
        self.queue(&Pull { n, qid: None })
    }

    pub(crate) fn send(&mut self) {
        self.stream.write_all(&self.flight).unwrap();
        self.flight.clear();
    }

    /// Sends one message body in one chunk.
    pub(crate) fn send_body(&mut self, body: &[u8]) {
        let mut framed = Vec::new();
        for chunk in body.chunks(0xFFFF) {
            framed.extend_from_slice(&(chunk.len() as u16).to_be_bytes());
            framed.extend_from_slice(chunk);
        }
        framed.extend_from_slice(&[0, 0]);
        // The server may have closed already.
        let _ = self.stream.write_all(&framed);
    }

    /// The body of the next message; `None` at the end.
    pub(crate) fn body(&mut self) -> Option<Vec<u8>> {
        let mut dechunker = Dechunker::new();
        loop {
            match dechunker.next(&mut self.unread, usize::MAX).unwrap() {
                Chunked::Message { start, end, consumed } => {
                    let body = self.unread[start..end].to_vec();
                    self.unread.drain(..consumed);
                    return Some(body);
                }
                Chunked::Noop { .. } => panic!("this server sends no NOOPs"),
                Chunked::NeedMore { .. } => {
                    let mut chunk = [0; 16384];
                    match self.stream.read(&mut chunk) {
                        Ok(0) => return None,
                        Ok(n) => self.unread.extend_from_slice(&chunk[..n]),
                        Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return None,
                        Err(e) => panic!("no answer: {e}"),
                    }
                }
            }
        }
    }

    pub(crate) fn answer(&mut self) -> Answer {
        let Some(body) = self.body() else { return Answer::Closed };
        let mut walker = Walker::new(2000);
        match Response::parse(&body, self.version, self.utc, &mut walker).unwrap() {
            Response::Success(map) => Answer::Success(owned(map)),
            Response::Failure(map) => Answer::Failure(owned(map)),
            Response::Ignored => Answer::Ignored,
            Response::Record => {
                let end = walker.walk(&body, 0, self.version.dialect(self.utc)).unwrap();
                assert_eq!(end, body.len());
                let list = bolt_wire::RawRef::new(&body, 2).list().unwrap();
                Answer::Record(list.iter_as::<Value>().map(Result::unwrap).collect())
            }
        }
    }

    /// Records up to the next other answer.
    pub(crate) fn records(&mut self) -> (Vec<Vec<Value>>, Answer) {
        let mut records = Vec::new();
        loop {
            match self.answer() {
                Answer::Record(values) => records.push(values),
                other => return (records, other),
            }
        }
    }

    /// Counts records up to the next other answer without decoding them.
    pub(crate) fn count(&mut self) -> (u64, u8) {
        let mut records = 0;
        loop {
            let body = self.body().expect("the stream ends with an answer");
            match body[1] {
                RECORD => records += 1,
                tag @ (SUCCESS | FAILURE | IGNORED) => return (records, tag),
                tag => panic!("unknown answer {tag:02X}"),
            }
        }
    }

    /// Runs a query to its end in one flight.
    pub(crate) fn query(&mut self, query: &str, params: &Map) -> (Vec<Vec<Value>>, Answer) {
        self.queue_run(query, params).queue_pull(-1).send();
        match self.answer() {
            Answer::Success(_) => self.records(),
            other => (Vec::new(), other),
        }
    }

    pub(crate) fn reset(&mut self) {
        self.queue(&Reset).send();
        loop {
            match self.answer() {
                Answer::Success(map) if map.is_empty() => return,
                Answer::Closed => panic!("closed instead of reset"),
                _ => {}
            }
        }
    }

    /// Works as ever.
    #[track_caller]
    pub(crate) fn assert_alive(&mut self) {
        let (records, end) = self.query("RETURN 1", &Map::default());
        assert_eq!(records, [[Value::Int(1)]]);
        end.success();
    }
}

fn owned(map: MapRef<'_>) -> Map {
    match ValueRef::Map(map).to_owned().unwrap() {
        Value::Map(map) => map,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn hello_with(auth: &Auth) -> Hello<'_> {
    Hello {
        user_agent: "tests/1.0",
        bolt_agent: BoltAgent::default(),
        routing: None,
        auth,
        notifications: NotificationFilter::default(),
    }
}

pub(crate) fn map<const N: usize>(entries: [(&str, Value); N]) -> Map {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
