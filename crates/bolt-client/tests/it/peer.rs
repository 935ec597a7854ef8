//! The other end of the socket: raw bytes, chunks and a PackStream writer of a few lines.
//!
//! Written from the specification and sharing no code with the crates under test, so that a mistake there is not
//! answered by the same mistake here. Every wait has a deadline; a panic in a script fails the test that joins it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use bolt_client::{Auth, Config, Connection, Version};

pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

// Message tags, Bolt specification, "messages".
pub(crate) const HELLO: u8 = 0x01;
pub(crate) const GOODBYE: u8 = 0x02;
pub(crate) const RESET: u8 = 0x0F;
pub(crate) const RUN: u8 = 0x10;
pub(crate) const BEGIN: u8 = 0x11;
pub(crate) const COMMIT: u8 = 0x12;
pub(crate) const ROLLBACK: u8 = 0x13;
pub(crate) const DISCARD: u8 = 0x2F;
pub(crate) const PULL: u8 = 0x3F;
pub(crate) const TELEMETRY: u8 = 0x54;
pub(crate) const ROUTE: u8 = 0x66;
pub(crate) const LOGON: u8 = 0x6A;
pub(crate) const LOGOFF: u8 = 0x6B;

pub(crate) fn int(value: i64) -> Vec<u8> {
    match i8::try_from(value) {
        Ok(small) if small >= -16 => vec![small as u8],
        _ => [&[0xCB][..], &value.to_be_bytes()].concat(),
    }
}

pub(crate) fn text(value: &str) -> Vec<u8> {
    let len = value.len();
    let header = match len {
        0..=15 => vec![0x80 | len as u8],
        16..=255 => vec![0xD0, len as u8],
        _ => [&[0xD2][..], &(len as u32).to_be_bytes()].concat(),
    };
    [header, value.as_bytes().to_vec()].concat()
}

pub(crate) fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let header = if items.len() < 16 {
        vec![0x90 | items.len() as u8]
    } else {
        [&[0xD6][..], &(items.len() as u32).to_be_bytes()].concat()
    };
    [header, items.concat()].concat()
}

pub(crate) fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    assert!(entries.len() < 16);
    let mut out = vec![0xA0 | entries.len() as u8];
    for (key, value) in entries {
        out.extend(text(key));
        out.extend(value);
    }
    out
}

pub(crate) const TRUE: u8 = 0xC3;

pub(crate) fn success(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    [vec![0xB1, 0x70], map(entries)].concat()
}

pub(crate) fn record(values: &[Vec<u8>]) -> Vec<u8> {
    [vec![0xB1, 0x71], list(values)].concat()
}

pub(crate) fn ignored() -> Vec<u8> {
    vec![0xB0, 0x7E]
}

pub(crate) fn failure(code: &str, message: &str) -> Vec<u8> {
    [vec![0xB1, 0x7F], map(&[("code", text(code)), ("message", text(message))])].concat()
}

pub(crate) fn columns(names: &[&str]) -> Vec<u8> {
    let names: Vec<_> = names.iter().map(|name| text(name)).collect();
    success(&[("fields", list(&names)), ("t_first", int(1))])
}

/// A body as one message: chunks of at most 65,535 bytes and the end mark.
pub(crate) fn framed(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 4);
    for chunk in body.chunks(0xFFFF) {
        out.extend((chunk.len() as u16).to_be_bytes());
        out.extend(chunk);
    }
    out.extend([0, 0]);
    out
}

/// One message a client sent.
pub(crate) struct Request {
    pub(crate) tag: u8,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The query text of a RUN.
    pub(crate) fn query(&self) -> String {
        assert_eq!(self.tag, RUN);
        let (at, len) = match self.body[2] {
            m @ 0x80..=0x8F => (3, usize::from(m & 15)),
            0xD0 => (4, usize::from(self.body[3])),
            0xD1 => (5, usize::from(u16::from_be_bytes([self.body[3], self.body[4]]))),
            other => panic!("query begins with {other:02X}"),
        };
        String::from_utf8(self.body[at..at + len].to_vec()).unwrap()
    }

    /// `n` or `qid` of a PULL or DISCARD.
    pub(crate) fn number(&self, key: &str) -> Option<i64> {
        let key = text(key);
        let at = self.body.windows(key.len()).position(|window| window == key)? + key.len();
        let rest = &self.body[at..];
        Some(match rest[0] {
            small @ (0x00..=0x7F | 0xF0..=0xFF) => i64::from(small as i8),
            0xC8 => i64::from(rest[1] as i8),
            0xC9 => i64::from(i16::from_be_bytes([rest[1], rest[2]])),
            0xCA => i64::from(i32::from_be_bytes(rest[1..5].try_into().unwrap())),
            0xCB => i64::from_be_bytes(rest[1..9].try_into().unwrap()),
            other => panic!("number begins with {other:02X}"),
        })
    }

    pub(crate) fn contains(&self, bytes: &[u8]) -> bool {
        self.body.windows(bytes.len()).any(|window| window == bytes)
    }
}

/// The server's side of one accepted connection.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    pub(crate) version: Version,
}

impl Peer {
    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Peer { stream, version: Version::V5_4 }
    }

    pub(crate) fn read_exact<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// The next request, or none when the client has closed.
    pub(crate) fn next_request(&mut self) -> Option<Request> {
        let mut body = Vec::new();
        loop {
            let mut header = [0; 2];
            match self.stream.read_exact(&mut header) {
                Ok(()) => {}
                Err(_) if body.is_empty() => return None,
                Err(error) => panic!("cut inside a message: {error}"),
            }
            let size = usize::from(u16::from_be_bytes(header));
            if size == 0 {
                break;
            }
            let at = body.len();
            body.resize(at + size, 0);
            self.stream.read_exact(&mut body[at..]).unwrap();
        }
        Some(Request { tag: body[1], body })
    }

    pub(crate) fn expect(&mut self, tag: u8) -> Request {
        let request = self.next_request().unwrap_or_else(|| panic!("closed while {tag:02X} was awaited"));
        assert_eq!(request.tag, tag, "expected {tag:02X}, the client sent {:02X?}", request.body);
        request
    }

    /// Waits until the client has closed; nothing may come but GOODBYE.
    pub(crate) fn expect_close(&mut self) {
        while let Some(request) = self.next_request() {
            assert_eq!(request.tag, GOODBYE, "after its end the client sent {:02X?}", request.body);
        }
    }

    /// Waits so long and finds that the client has sent nothing.
    pub(crate) fn expect_silence(&self, wait: Duration, why: &str) {
        self.stream.set_read_timeout(Some(wait)).unwrap();
        assert!(self.stream.peek(&mut [0; 1]).is_err(), "{why}");
        self.stream.set_read_timeout(Some(DEADLINE)).unwrap();
    }

    /// Sends bodies as messages, all in one write. A client that has hung up is no error of the script.
    pub(crate) fn send(&mut self, bodies: &[Vec<u8>]) {
        let bytes: Vec<u8> = bodies.iter().flat_map(|body| framed(body)).collect();
        self.raw(&bytes);
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Reads the client's proposals and takes the only version in them.
    pub(crate) fn handshake(&mut self) {
        assert_eq!(self.read_exact::<4>(), [0x60, 0x60, 0xB0, 0x17]);
        let slots: [u8; 16] = self.read_exact();
        let slot = &slots[..4];
        assert_ne!(slot[3], 0xFF, "scripts are played to clients that propose one version");
        self.version = Version { major: slot[3], minor: slot[2] };
        self.raw(&[0, 0, slot[2], slot[3]]);
    }

    /// Handshake and login, all well.
    pub(crate) fn login(&mut self) {
        self.handshake();
        self.expect(HELLO);
        let mut answers = vec![success(&[("server", text("Script/1")), ("connection_id", text("bolt-1"))])];
        if self.version >= Version::V5_1 {
            self.expect(LOGON);
            answers.push(success(&[]));
        }
        self.send(&answers);
    }

    /// Reads RUN and PULL, as clients send them in one flight.
    pub(crate) fn run_and_pull(&mut self) -> Request {
        let run = self.expect(RUN);
        self.expect(PULL);
        run
    }
}

/// A listening script: one closure for each connection it expects, in order.
pub(crate) struct Server {
    pub(crate) port: u16,
    thread: JoinHandle<()>,
}

type Script = Box<dyn FnOnce(&mut Peer) + Send>;

impl Server {
    pub(crate) fn new(scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            for script in scripts {
                let (stream, _) = listener.accept().unwrap();
                script(&mut Peer::new(stream));
            }
        });
        Server { port, thread }
    }

    pub(crate) fn one(script: impl FnOnce(&mut Peer) + Send + 'static) -> Self {
        Server::new(vec![Box::new(script)])
    }

    pub(crate) fn config(&self) -> Config {
        self.config_for(Version::V5_4)
    }

    pub(crate) fn config_for(&self, version: Version) -> Config {
        let mut config = Config::from_uri(&format!("bolt://127.0.0.1:{}", self.port))
            .unwrap()
            .auth(Auth::basic("neo4j", "secret"))
            .only_version(version)
            .unwrap();
        config.read_timeout = Some(DEADLINE);
        config
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::connect(&self.config()).unwrap()
    }

    /// The script has come to its end without a complaint.
    pub(crate) fn join(self) {
        if let Err(panic) = self.thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}
