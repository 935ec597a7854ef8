//! A first word with a Bolt server: handshake, login, `RETURN 1`, in raw bytes.
//!
//! Owns just enough of the protocol to tell a port that accepts from a server that answers, so that starting a
//! server needs none of the crates under test. Never used by a test as a client. Limits: Bolt 4.4, 5.1 and 5.2 with
//! basic authentication; replies up to 64 KiB.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What a server is asked to let in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Login<'a> {
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
    pub(crate) database: Option<&'a str>,
}

/// Longest silence a server that is up may keep.
const SILENCE: Duration = Duration::from_secs(20);

const REPLY_BYTES_MAX: usize = 64 * 1024;

const SUCCESS: u8 = 0x70;
const RECORD: u8 = 0x71;

/// The version agreed on, once `RETURN 1` has answered with its record.
pub(crate) fn return_one(address: SocketAddr, login: Login<'_>) -> Result<(u8, u8), String> {
    let mut stream = TcpStream::connect_timeout(&address, SILENCE).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(SILENCE)).map_err(|error| error.to_string())?;
    stream.set_write_timeout(Some(SILENCE)).map_err(|error| error.to_string())?;
    // Magic, then 5.2 down to 5.1, then 4.4, then nothing (Bolt handshake, ranged proposals).
    let proposals = [0x60, 0x60, 0xB0, 0x17, 0, 1, 2, 5, 0, 0, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0];
    send(&mut stream, &proposals)?;
    let mut chosen = [0; 4];
    stream.read_exact(&mut chosen).map_err(|error| format!("no answer to the handshake: {error}"))?;
    let version = match chosen {
        [0, 0, minor, major] if major > 0 => (major, minor),
        other => return Err(format!("the handshake was answered with {other:02x?}")),
    };
    let agent = ("user_agent", "boltstack-xtask/0.1");
    let basic = [("scheme", "basic"), ("principal", login.user), ("credentials", login.password)];
    if version.0 >= 5 {
        // From 5.1 on the login is a message of its own.
        exchange(&mut stream, &message(0x01, &[map(&[agent])]), SUCCESS)?;
        exchange(&mut stream, &message(0x6A, &[map(&basic)]), SUCCESS)?;
    } else {
        exchange(&mut stream, &message(0x01, &[map(&[&[agent][..], &basic[..]].concat())]), SUCCESS)?;
    }
    let extra: Vec<(&str, &str)> = login.database.map(|name| ("db", name)).into_iter().collect();
    exchange(&mut stream, &message(0x10, &[text("RETURN 1"), map(&[]), map(&extra)]), SUCCESS)?;
    // PULL {n: -1}: a map of one, the key, the integer.
    exchange(&mut stream, &message(0x3F, &[vec![0xA1, 0x81, b'n', 0xFF]]), RECORD)?;
    exchange(&mut stream, &[], SUCCESS)?;
    let _ = send(&mut stream, &message(0x02, &[]));
    Ok(version)
}

/// Sends a request (none when empty) and takes one reply, which must carry the tag expected.
fn exchange(stream: &mut TcpStream, request: &[u8], expected: u8) -> Result<(), String> {
    send(stream, request)?;
    let reply = receive(stream)?;
    match reply.get(1) {
        Some(&tag) if tag == expected => Ok(()),
        Some(_) => Err(format!("the server answered {}", String::from_utf8_lossy(&reply).escape_debug())),
        None => Err("the server sent an empty message".to_owned()),
    }
}

fn send(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), String> {
    stream.write_all(bytes).map_err(|error| error.to_string())
}

/// One message, put together from its chunks; keep-alives (empty chunks before it) are skipped.
fn receive(stream: &mut impl Read) -> Result<Vec<u8>, String> {
    let mut message = Vec::new();
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length).map_err(|error| error.to_string())?;
        let length = usize::from(u16::from_be_bytes(length));
        if length == 0 && !message.is_empty() {
            return Ok(message);
        }
        if message.len() + length > REPLY_BYTES_MAX {
            return Err(format!("a reply longer than {REPLY_BYTES_MAX} bytes"));
        }
        let start = message.len();
        message.resize(start + length, 0);
        stream.read_exact(&mut message[start..]).map_err(|error| error.to_string())?;
    }
}

/// A structure with its fields, in one chunk.
fn message(tag: u8, fields: &[Vec<u8>]) -> Vec<u8> {
    let mut body = vec![0xB0 | nibble(fields.len()), tag];
    body.extend(fields.concat());
    let length = u16::try_from(body.len()).expect("a login is short");
    [&length.to_be_bytes()[..], &body, &[0, 0]].concat()
}

fn map(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = vec![0xA0 | nibble(entries.len())];
    for (key, value) in entries {
        bytes.extend(text(key));
        bytes.extend(text(value));
    }
    bytes
}

fn text(value: &str) -> Vec<u8> {
    let mut bytes = match u8::try_from(value.len()).expect("a word of a login is short") {
        short @ 0..16 => vec![0x80 | short],
        long => vec![0xD0, long],
    };
    bytes.extend(value.as_bytes());
    bytes
}

fn nibble(count: usize) -> u8 {
    u8::try_from(count).ok().filter(|&count| count < 16).expect("fewer than 16 entries")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A server that plays `replies`, one per message it receives, after agreeing to 4.4.
    fn scripted(replies: Vec<Vec<u8>>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("one caller");
            let mut handshake = [0; 20];
            stream.read_exact(&mut handshake).expect("a handshake");
            stream.write_all(&[0, 0, 4, 4]).expect("an answer");
            for reply in replies {
                receive(&mut stream).expect("a request");
                stream.write_all(&reply).expect("a reply");
            }
        });
        address
    }

    const LOGIN: Login<'static> =
        Login { user: "neo4j", password: "a long enough word", database: Some("neo4j") };

    #[test]
    fn a_server_that_answers_is_known_by_its_record() {
        let success = message(SUCCESS, &[map(&[])]);
        let record = message(RECORD, &[vec![0x91, 0x01]]);
        let keep_alive = vec![0, 0];
        let both = [keep_alive, record, success.clone()].concat();
        let address = scripted(vec![success.clone(), success, both]);
        assert_eq!(return_one(address, LOGIN), Ok((4, 4)));
    }

    #[test]
    fn a_refusal_is_quoted() {
        let failure = message(0x7F, &[map(&[("code", "Neo.ClientError.Security.Unauthorized")])]);
        let error = return_one(scripted(vec![failure]), LOGIN).expect_err("must be refused");
        assert!(error.contains("Neo.ClientError.Security.Unauthorized"), "{error}");
    }

    #[test]
    fn messages_are_framed_as_the_protocol_says() {
        assert_eq!(message(0x02, &[]), [0, 2, 0xB0, 0x02, 0, 0]);
        assert_eq!(text("sixteen letters!")[..2], [0xD0, 16]);
        assert_eq!(map(&[("a", "b")]), [0xA1, 0x81, b'a', 0x81, b'b']);
    }
}
